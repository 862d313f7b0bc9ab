"""Writes the tokenizer fixtures: small tokenizers with the published pre-tokenizer chains, and what they give.

Run from any folder with Python 3.11, tokenizers 0.23.3, tiktoken 0.14.0, transformers 5.23.0:
    python Tests/Fixtures/tokenizer/generate.py
Output: NAME/tokenizer.json or NAME/tiktoken.model, NAME/tokenizer_config.json, NAME/expected.json, strings.json.
"""
import base64
import json
import pathlib
import random
import unicodedata

import tiktoken
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import corpus

HERE = pathlib.Path(__file__).parent
# Escaped, since some of these (the Kelvin and Ohm signs) look like or normalize to other letters.
V2_LETTERS = (
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377"
    "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556"
    "\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
    "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4"
    "\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC"
    "\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
    "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B"
    "\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A"
    "\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943")
V2 = ["[\r\n]", r"\s?[" + V2_LETTERS + "]+", "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+", r"\s+$", "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"]
V3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
      r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
GLM4 = [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])


def newer_characters():
    """Characters that Oniguruma knows and Unicode 14 (this Python's and Debian 12's PCRE2's version) does not."""
    text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) == "Cn")
    split = pre_tokenizers.Split(Regex(r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{C}\p{Z}&&[^\p{Cn}]]"), "removed", invert=True)
    return {c for piece, _ in split.pre_tokenize_str(text) for c in piece}


def splits(patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]


def byte_level(use_regex=False, add_prefix_space=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def token(content, special, normalized=False, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized,
            "special": special, **flags}


def train(steps, size, specials=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), show_progress=False, min_frequency=1,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus.corpus(random.Random(7)), trainer)
    return json.loads(tokenizer.to_str())


def with_added(document, tokens):
    """Ids as the package gives them: that of the vocabulary, or the next free one."""
    vocabulary = document["model"]["vocab"]
    document["added_tokens"] = []
    following = len(vocabulary)
    for entry in tokens:
        known = vocabulary.get(entry["content"])
        document["added_tokens"].append({"id": following if known is None else known, **entry})
        following += known is None
    return document


def v2():
    steps = splits(V2) + [pre_tokenizers.Digits(individual_digits=True), byte_level()]
    document = with_added(train(steps, 2600), [
        token("<｜begin▁of▁sentence｜>", True, True), token("<｜end▁of▁sentence｜>", True, True), token("<｜▁pad▁｜>", True, True)])
    document["normalizer"] = {"type": "Sequence", "normalizers": []}
    document["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    return document, {"add_bos_token": True, "add_eos_token": False, "bos_token": {"__type": "AddedToken", **token(
        "<｜begin▁of▁sentence｜>", True, True)}, "eos_token": {"__type": "AddedToken", **token("<｜end▁of▁sentence｜>", True, True)},
        "pad_token": "<｜▁pad▁｜>", "unk_token": None, "tokenizer_class": "LlamaTokenizerFast"}


def v3():
    specials = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
    document = with_added(train(splits(V3) + [byte_level()], 2800, specials), [token(s, True) for s in specials] + [
        token("<｜place▁holder▁no▁0｜>", True), token("<｜User｜>", False), token("<｜Assistant｜>", False), token("<think>", False, True),
        token("</think>", False, True), token("<｜tool▁calls▁begin｜>", False), token("<｜tool▁call▁begin｜>", False)])
    document["normalizer"] = {"type": "Sequence", "normalizers": []}
    return document, {"add_bos_token": False, "add_eos_token": False, "bos_token": {"__type": "AddedToken", **token(
        "<｜begin▁of▁sentence｜>", False, True)}, "eos_token": "<｜end▁of▁sentence｜>", "pad_token": None}


def glm4():
    document = with_added(train(splits(GLM4) + [byte_level()], 2400), [
        token(s, True) for s in ("<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>")]
        + [token(s, False) for s in ("<think>", "</think>")])
    document["model"]["ignore_merges"] = True
    document["post_processor"] = None
    return document, {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}


def mixed():
    """What the published files use rarely: every flag of an added token, behaviours, normalizers, a template."""
    steps = [pre_tokenizers.Split("-", "removed"), pre_tokenizers.Split(Regex(r"[,;]"), "merged_with_previous"),
             pre_tokenizers.Split(Regex(r"[(\[]"), "merged_with_next"), pre_tokenizers.Split(Regex(r"[^!?]+"), "contiguous", invert=True),
             pre_tokenizers.Digits(individual_digits=False),
             byte_level(use_regex=True, add_prefix_space=True)]
    document = with_added(train(steps, 2000), [
        token("<think>", False, True, lstrip=True), token("</think>", True, rstrip=True), token("fox", False, single_word=True),
        token("<｜User｜>", True, lstrip=True, rstrip=True), token("<｜Us", False), token("''", False, True), token("天气", False, True, single_word=True)])
    document["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Replace", "pattern": {"String": "“"}, "content": "''"},
        {"type": "Replace", "pattern": {"Regex": r"\s{2,}"}, "content": "  "}]}
    start = document["added_tokens"][0]["id"]
    document["post_processor"] = {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "<think>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</think>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {
            "<think>": {"id": "<think>", "ids": [start], "tokens": ["<think>"]}, "</think>": {"id": "</think>", "ids": [start + 1], "tokens": ["</think>"]}}}
    return document, {}


def dump(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def expected(texts, encode, encode_plain, decode, decode_skipping):
    """ids with control tokens; ids without and decoded text only where they differ from ids and the string itself."""
    result = {"ids": [], "plain": {}, "decoded": {}, "skipped": {}}
    for index, text in enumerate(texts):
        ids, plain = encode(text), encode_plain(text)
        decoded, skipped = decode(ids), decode_skipping(ids)
        result["ids"].append(ids)
        if plain != ids:
            result["plain"][str(index)] = plain
        if decoded != text:
            result["decoded"][str(index)] = decoded
        if skipped != decoded:
            result["skipped"][str(index)] = skipped
    return result


def runs(rng, texts, specials):
    """Prompts of markup and content, where no content holds or completes a control token."""
    contents = [t for t in texts if len(t) < 60 and t and not any(s in t for s in ("<", "[", "fox", "天气", "'", "“"))]
    result = []
    for _ in range(150):
        prompt = []
        for _ in range(rng.randint(1, 6)):
            markup = rng.choice(specials) + rng.choice(["", "\n", " ", "system"]) if rng.random() < 0.8 else "\n\n### "
            prompt += [[1, markup]] + [[0, rng.choice(contents)] for _ in range(rng.randint(0, 2))]
        result.append(prompt)
    return result


def write_json_tokenizer(name, made, texts, rng):
    document, configuration = made
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    dump(folder / "tokenizer.json", document)
    dump(folder / "tokenizer_config.json", configuration)
    full = Tokenizer.from_str(json.dumps(document))
    plain = Tokenizer.from_str(json.dumps({**document, "added_tokens": []}))
    encode = lambda text: full.encode(text, add_special_tokens=False).ids
    result = expected(texts, encode, lambda text: plain.encode(text, add_special_tokens=False).ids,
                      lambda ids: full.decode(ids, skip_special_tokens=False), lambda ids: full.decode(ids, skip_special_tokens=True))
    prompts = runs(rng, texts, [t["content"] for t in document["added_tokens"] if t["content"].startswith("<")])
    result["runs"] = [[prompt, encode("".join(text for _, text in prompt))] for prompt in prompts]
    whole = PreTrainedTokenizerFast.from_pretrained(folder)
    result["special"] = whole("Hello 你好").input_ids
    dump(folder / "expected.json", result)
    return len(full.get_vocab())


def write_kimi(texts, rng):
    document = train(splits([KIMI]) + [byte_level()], 2744)
    decode_byte = {c: b for b, c in tiktoken_alphabet().items()}
    order = sorted(document["model"]["vocab"].items(), key=lambda item: item[1])
    single = [bytes([b]) for b in range(256)]
    longer = [bytes(decode_byte[c] for c in text) for text, _ in order]
    tokens = single + [t for t in longer if len(t) > 1]
    folder = HERE / "kimi"
    folder.mkdir(exist_ok=True)
    lines = [f"{base64.b64encode(t).decode()} {i}" for i, t in enumerate(tokens)]
    (folder / "tiktoken.model").write_text("\n".join(lines) + "\n")
    base = len(tokens)
    names = ["[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<think>", "</think>"]
    decoder = {str(base + 2 * i): token(n, not n.endswith("think>")) for i, n in enumerate(names)}
    dump(folder / "tokenizer_config.json", {"added_tokens_decoder": decoder, "bos_token": "[BOS]", "eos_token": "[EOS]"})
    named = {int(i): t["content"] for i, t in decoder.items()}
    specials = {named.get(i, f"<|reserved_token_{i}|>"): i for i in range(base, base + 256)}
    kimi = tiktoken.Encoding("kimi", pat_str=KIMI, mergeable_ranks={t: i for i, t in enumerate(tokens)}, special_tokens=specials)
    encode = lambda text: kimi.encode(text, allowed_special="all")
    shown = set(range(base)) | {i for i, n in named.items() if n.endswith("think>")}
    result = expected(texts, encode, lambda text: kimi.encode(text, disallowed_special=()), kimi.decode,
                      lambda ids: kimi.decode([i for i in ids if i in shown]))
    prompts = runs(rng, texts, [n for n in specials if n.startswith("<")])
    result["runs"] = [[prompt, encode("".join(text for _, text in prompt))] for prompt in prompts]
    result["special"] = encode("Hello 你好")
    dump(folder / "expected.json", result)
    return kimi.n_vocab


def tiktoken_alphabet():
    """GPT-2's table of printable characters for bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {b: chr(b) for b in printable}
    for byte in range(256):
        table.setdefault(byte, chr(256 + len(table) - len(printable)))
    return table


def main():
    texts = corpus.strings(random.Random(2026), newer_characters())
    dump(HERE / "strings.json", texts)
    for name, make in (("deepseek-v2", v2), ("deepseek-v3", v3), ("glm-4", glm4), ("mixed", mixed)):
        print(name, write_json_tokenizer(name, make(), texts, random.Random(name)), "tokens")
    print("kimi", write_kimi(texts, random.Random(5)), "tokens")
    print(len(texts), "strings")


if __name__ == "__main__":
    main()
