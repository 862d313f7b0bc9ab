"""DeepSeek's published tokenizer.json: encodings are those of the `tokenizers` package, and texts come back."""

import os
import pathlib
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

import dormouse  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("DORMOUSE_REAL_MODELS", "/nonexistent")) / "deepseek"
ROOT = pathlib.Path(__file__).resolve().parents[2]
COUNT = 3000
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz ", "ABCabc'sdtm ll re 've  ", "0123456789 ,.-:/", "的一是不了人我在有他这中大来上国,。!?", "あいうえおカキクケコ漢字ー",
    "абвгдеёжзий АБВ", "αβγδε ΑΒΓ άέή", "ابتثجح ًٌٍ", "한국어는 재미있다", "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪 ", "e\u0301a\u0308n\u0303 \u200b\u200d\ufeff", "(){}[]<>=+*&|!;#\"'\\`~@$%^_\t\n\r ",
    "\u00a0\u2003\u3000 \t\n\u2028", "<｜User｜><｜Assistant｜><think></think>|",
]  # fmt: skip


def texts():
    """Lines of this repository's files, runs of characters of many scripts, and both mixed."""
    source = random.Random(5)
    lines = []
    for path in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("Sources/DormouseText/*.swift"), *ROOT.glob("*.md")]):
        lines += path.read_text(encoding="utf-8").split("\n")
    result = ["", " ", "\n\n\n", "1234567890" * 20, "a" * 500]
    while len(result) < COUNT:
        kind = source.randrange(3)
        if kind == 0:
            start = source.randrange(len(lines))
            result.append("\n".join(lines[start : start + source.randrange(1, 6)]))
            continue
        alphabets = source.sample(ALPHABETS, 1 if kind == 1 else 4)
        result.append("".join(source.choice(source.choice(alphabets)) for _ in range(source.randrange(1, 120))))
    return result


@pytest.fixture(scope="module")
def both():
    if not FOLDER.is_dir():
        pytest.skip("no deepseek in DORMOUSE_REAL_MODELS")
    with dormouse.Engine(FOLDER, without_weights=True) as engine:
        yield engine, tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def test_encodings(both):
    ours, theirs = both
    differing = []
    for text in texts():
        found = list(ours.tokenize(text, parse_special=True))
        expected = theirs.encode(text, add_special_tokens=False).ids
        if found != expected:
            differing.append((text, found, expected))
    assert not differing, f"{len(differing)} of {COUNT} differ, the first: {differing[0]}"


def test_texts_come_back(both):
    ours, theirs = both
    for text in texts()[:500]:
        ids = list(ours.tokenize(text, parse_special=True))
        assert ours.detokenize(ids) == theirs.decode(ids, skip_special_tokens=False)
