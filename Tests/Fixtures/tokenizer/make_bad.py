"""Writes the bad-* folders, small tokenizers that must be refused, and expected.json with the expected status and sentence.

Run from any folder with Python 3.11: python Tests/Fixtures/tokenizer/make_bad.py
"""
import base64
import copy
import json
import pathlib

HERE = pathlib.Path(__file__).parent
GOOD = {
    "version": "1.0", "added_tokens": [{"id": 5, "content": "<s>", "special": True}], "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}, "post_processor": None,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}, "merges": ["a b", "ab c"]}}
BYTES = [f"{base64.b64encode(bytes([b])).decode()} {b}" for b in range(256)]
table = {}


def folder(name, status, message, text=None, **files):
    path = HERE / f"bad-{name}"
    path.mkdir(exist_ok=True)
    for file, content in files.items():
        target = path / {"tokenizer": "tokenizer.json", "configuration": "tokenizer_config.json", "ranks": "tiktoken.model"}[file]
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    table[path.name] = {"status": status, "message": message, **({"text": text} if text else {})}


def changed(name, status, message, value, *path, text=None):
    document = copy.deepcopy(GOOD)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    folder(name, status, message, text, tokenizer=document)


def pattern(name, status, message, expression, text=None):
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    changed(name, status, message, {"type": "Sequence", "pretokenizers": [split, GOOD["pre_tokenizer"]]}, "pre_tokenizer", text=text)


folder("empty-folder-but-configuration", "notFound", "neither tokenizer.json nor tiktoken.model", configuration={})
folder("empty-file", "malformed", "tokenizer.json: the JSON document is empty", tokenizer="")
folder("truncated", "malformed", "tokenizer.json: not valid JSON", tokenizer=json.dumps(GOOD)[:200])
folder("array", "malformed", "the document is an array, expected an object", tokenizer=[])
folder("duplicate-token", "malformed", "the same key twice: 'a'", tokenizer=json.dumps(GOOD).replace('"b": 1', '"a": 1'))
folder("invalid-utf8", "malformed", "not valid JSON", tokenizer=json.dumps(GOOD).encode().replace(b'"abc"', b'"ab\xff"'))
changed("no-model", "malformed", "model is null, expected an object", None, "model")
changed("unigram", "unsupported", "model.type is \"Unigram\"", "Unigram", "model", "type")
changed("no-vocab", "malformed", "model.vocab: expected an object", None, "model", "vocab")
changed("no-merges", "malformed", "model.merges: expected an array", None, "model", "merges")
changed("merge-part-missing", "malformed", "model.merges[1]: token 'x' is not in model.vocab", ["a b", "x c"], "model", "merges")
changed("merge-result-missing", "malformed", "model.merges[1]: token 'bc' is not in model.vocab", ["a b", "b c"], "model", "merges")
changed("merge-three-parts", "malformed", "model.merges[0] is \"a b c\", expected two tokens", ["a b c"], "model", "merges")
changed("merge-number", "malformed", "model.merges[0] is 7, expected two tokens", [7], "model", "merges")
changed("merge-empty-part", "malformed", "model.merges[0]: token '' is not in model.vocab", [["a", ""]], "model", "merges")
changed("negative-id", "malformed", "model.vocab['b'] is -1, expected an id", -1, "model", "vocab", "b")
changed("huge-id", "malformed", "model.vocab['b'] is 4000000000, expected an id", 4000000000, "model", "vocab", "b")
changed("id-string", "malformed", "model.vocab['b'] is \"1\", expected an id", "1", "model", "vocab", "b")
changed("id-fraction", "malformed", "model.vocab['b'] is 1.5, expected an id", 1.5, "model", "vocab", "b")
changed("duplicate-id", "malformed", "have the same id 0", 0, "model", "vocab", "b")
changed("unknown-token", "malformed", "model.unk_token is \"<unk>\", which is not in model.vocab", "<unk>", "model", "unk_token")
changed("byte-fallback", "unsupported", "model.byte_fallback", True, "model", "byte_fallback")
changed("dropout", "unsupported", "model.dropout is 0.1", 0.1, "model", "dropout")
changed("word-suffix", "unsupported", "model.end_of_word_suffix is \"</w>\"", "</w>", "model", "end_of_word_suffix")
changed("ignore-merges-text", "malformed", "model.ignore_merges is a string, expected a boolean", "yes", "model", "ignore_merges")
changed("added-number", "malformed", "added_tokens is an integer, expected an array", 3, "added_tokens")
changed("added-no-content", "malformed", "added_tokens[0].content: expected a string", [{"id": 5}], "added_tokens")
changed("added-long", "malformed", "added_tokens[0].content has 2000 bytes", [{"id": 5, "content": "x" * 2000}], "added_tokens")
changed("added-no-id", "malformed", "added_tokens[0].id is null, expected an id", [{"content": "<s>"}], "added_tokens")
changed("added-negative-id", "malformed", "added_tokens[0].id is -5", [{"id": -5, "content": "<s>"}], "added_tokens")
changed("added-other-id", "malformed", "added_tokens[0]: token 'ab' has id 9 here and id 3 elsewhere", [{"id": 9, "content": "ab"}], "added_tokens")
changed("added-taken-id", "malformed", "added_tokens[0]: tokens 'ab' and '<s>' have the same id 3", [{"id": 3, "content": "<s>"}], "added_tokens")
changed("added-flag", "malformed", "added_tokens[0].special is an integer", [{"id": 5, "content": "<s>", "special": 1}], "added_tokens")
changed("normalizer-nfkc", "unsupported", "normalizer.type 'NFKC' is not supported", {"type": "NFKC"}, "normalizer")
changed("normalizer-no-type", "malformed", "normalizer.type: expected a string", {}, "normalizer")
changed("pre-tokenizer-missing", "unsupported", "pre_tokenizer does not end in 'ByteLevel'", None, "pre_tokenizer")
changed("pre-tokenizer-metaspace", "unsupported", "pre_tokenizer", {"type": "Metaspace"}, "pre_tokenizer")
changed("pre-tokenizer-unknown-step", "unsupported", "pre_tokenizer.pretokenizers[0].type 'UnicodeScripts' is not supported",
        {"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}, GOOD["pre_tokenizer"]]}, "pre_tokenizer")
changed("pre-tokenizer-behavior", "unsupported", "pre_tokenizer.pretokenizers[0].behavior 'Glued' is not supported",
        {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "-"}, "behavior": "Glued"}, GOOD["pre_tokenizer"]]}, "pre_tokenizer")
nested = GOOD["pre_tokenizer"]
for _ in range(12):
    nested = {"type": "Sequence", "pretokenizers": [nested]}
changed("pre-tokenizer-nested", "malformed", "more than 8 nested sequences", nested, "pre_tokenizer")
changed("pre-tokenizer-many-steps", "malformed", "pre_tokenizer: more than 64 steps",
        {"type": "Sequence", "pretokenizers": [{"type": "Digits"}] * 70 + [GOOD["pre_tokenizer"]]}, "pre_tokenizer")
changed("decoder-missing", "unsupported", "decoder has no 'ByteLevel'", None, "decoder")
changed("decoder-wordpiece", "unsupported", "decoder.type 'WordPiece' is not supported", {"type": "WordPiece"}, "decoder")
changed("post-processor-bert", "unsupported", "post_processor.type 'BertProcessing' is not supported", {"type": "BertProcessing"}, "post_processor")
changed("post-processor-id", "malformed", "post_processor.special_tokens['<s>'].ids: 77 is no token's id",
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
         "special_tokens": {"<s>": {"ids": [77]}}}, "post_processor")
changed("post-processor-no-text", "malformed", "post_processor.single has the text 0 times",
        {"type": "TemplateProcessing", "single": [], "special_tokens": {}}, "post_processor")
changed("normalizer-bomb", "malformed", "the normalizer makes a text", {"type": "Sequence", "normalizers": [
    {"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 40}, "normalizer", text="a" * 100)
pattern("pattern-open-group", "malformed", "pre_tokenizer.pretokenizers[0].pattern: pattern '(a' does not compile", "(a")
pattern("pattern-open-class", "malformed", "a character class is not closed", "[a")
pattern("pattern-empty-class", "malformed", "a character class is empty", "[a&&]")
pattern("pattern-backslash", "malformed", "a backslash ends the pattern", "a\\")
pattern("pattern-property", "malformed", "does not compile", r"\p{Klingon}")
pattern("pattern-back-reference", "unsupported", r"'\1' at character", r"(a)\1")
pattern("pattern-recursion", "unsupported", r"'(?R' at character", "a(?R)?")
pattern("pattern-verb", "unsupported", "'(*' at character", "(*LIMIT_MATCH=4000000000)a")
pattern("pattern-large", "malformed", "does not compile", "(?:(?:(?:a{1,900}){1,900}){1,900}){1,900}")
pattern("pattern-long", "malformed", "more than the limit of 32768", "a" * 40000)
pattern("pattern-deep", "malformed", "does not compile", "(" * 5000 + ")" * 5000)
pattern("pattern-backtracks", "malformed", "needs too many steps", r"(?:a+)+[bc]", text="a" * 60)
pattern("pattern-backtracks-alternatives", "malformed", "needs too many steps", r"(?:a|a|aa)*[bc]", text="a" * 200)
folder("config-array", "malformed", "tokenizer_config.json: the document is an array", tokenizer=GOOD, configuration=[])
folder("config-bos-number", "malformed", "tokenizer_config.json: bos_token is an integer", tokenizer=GOOD, configuration={"bos_token": 1})
folder("config-flag", "malformed", "tokenizer_config.json: add_bos_token is a string", tokenizer=GOOD, configuration={"add_bos_token": "true"})
folder("config-added-id", "malformed", "added_tokens_decoder['x']: expected an id", tokenizer=GOOD, configuration={"added_tokens_decoder": {"x": {"content": "<x>"}}})
folder("config-added-conflict", "malformed", "token '<s>' has id 8 here and id 5 elsewhere", tokenizer=GOOD,
       configuration={"added_tokens_decoder": {"8": {"content": "<s>", "special": True}}})
folder("config-truncated", "malformed", "tokenizer_config.json: not valid JSON", tokenizer=GOOD, configuration="{\"bos")
folder("ranks-empty", "malformed", "tiktoken.model: the file has 0 tokens", ranks="")
folder("ranks-garbage", "malformed", "tiktoken.model: token 1: '!!!!' is not a token in base64", ranks="!!!! 0\n")
folder("ranks-padding", "malformed", "token 1: 'YQ=' is not a token in base64", ranks="YQ= 0\n")
folder("ranks-empty-token", "malformed", "token 1: the line has 1 fields", ranks=" 0\n")
folder("ranks-no-rank", "malformed", "token 2: the line has 1 fields", ranks="YQ== 0\nYg==\n")
folder("ranks-negative", "malformed", "token 1: rank '-1', expected 0 to 0", ranks="YQ== -1\n")
folder("ranks-hole", "malformed", "token 2: rank '7', expected 0 to 1", ranks="YQ== 0\nYg== 7\n")
folder("ranks-duplicate-rank", "malformed", "have the same id 0", ranks="YQ== 0\nYg== 0\n")
folder("ranks-duplicate-token", "malformed", "token 'a' is there twice", ranks="YQ== 0\nYQ== 1\n")
folder("ranks-missing-byte", "malformed", "no token for the single byte 255", ranks="\n".join(BYTES[:255]) + "\n")
folder("ranks-added-outside", "malformed", "added_tokens_decoder['900'] is outside the reserved ids 256..<512", ranks="\n".join(BYTES) + "\n",
       configuration={"added_tokens_decoder": {"900": {"content": "<x>", "special": True}}})
(HERE / "expected.json").write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
print(len(table), "folders")
