"""Text for the tokenizer fixtures: a training corpus and the strings that are compared. No file or network is read."""
import random
import unicodedata

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "Don't count your chickens before they've hatched; it's early!",
    "In 2026 there were 365 days, 12 months and 8,760 hours.", "She said: \"I'LL be there, won't you?\" and left…",
    "Mixture of experts: 256 experts, 8 awake, 1 shared.", "Latent attention keeps 576 values a token and layer.",
    "今天天气很好，我们去公园散步吧。", "深度学习模型需要大量的数据和计算资源。", "请问这个价格是多少？一共３５８元。", "中华人民共和国成立于1949年10月1日。",
    "機械学習は面白いですね。カタカナとひらがな、漢字。", "東京タワーの高さは333メートルです。", "안녕하세요, 만나서 반갑습니다. 오늘은 날씨가 좋네요.",
    "مرحبا بالعالم، كيف حالك اليوم؟ العدد ١٢٣٤٥", "नमस्ते दुनिया, आप कैसे हैं? संख्या १२३४५", "สวัสดีชาวโลก ราคา ๑๒๓ บาท", "שלום עולם, מה שלומך?",
    "Привет, мир! Как дела? Ещё раз.", "Γειά σου Κόσμε, τι κάνεις;", "Çok güzel bir gün, değil mi? İstanbul'da ığ.", "Tiếng Việt có nhiều dấu thanh điệu.",
    "El niño comió piñas y mañana irá al colegio.", "Ça va très bien, où êtes-vous né à Noël?", "Größe, Straße, Übermut und Äpfel.", "Zażółć gęślą jaźń.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n",
    "for (int i = 0; i < count; ++i) {\n\tsum += values[i] * weights[i];\n}\n", "#include <stdio.h>\r\nint main(void) { return 0; }\r\n",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name;", "<div class=\"box\"><p>Hello &amp; bye</p></div>",
    "let x: [String: Int] = [\"a\": 1, \"b\": 2] // comment", "{\"key\": [1, 2.5, -3e10, null, true], \"text\": \"\\u00e9\"}",
    "https://example.com/path?query=1&other=two#part", "user.name+tag@example.org", "x² + y³ = z⁴, ½ + ¼ = ¾, Ⅷ ≤ Ⅻ",
    "🙂👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️ emoji", "e\u0301 a\u0308 o\u0302 combining", "The HTTPServer parsed XMLHttpRequest and iOS APIs.",
]
SPECIALS = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>",
            "<｜tool▁calls▁begin｜>", "<|im_end|>", "<|im_user|>", "[BOS]", "<|reserved_token_3000|>", "<｜▁pad▁｜>"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n ", "\u00a0", "\u3000", "\u0085", "\u2003", "\u200b", "\u2028",
          "\u2029", "\u202f", "\u205f", "\u1680", "\u180e", "\x0b", "\x0c", "\x1c", "\x1f", "\ufeff", "\n \n\t ", " \u3000 "]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒", "⅓½¼¾", "ⅠⅡⅢⅣ", "²³¹", "①②③", "一二三〇"]
MARKS = ["\u0301", "\u0308", "\u20e3", "\ufe0f", "\u200d", "\u0e31", "\u093e", "\u064b", "\u3099", "\U0001f3fd"]
AFFIXES = ["'s", "'S", "'t", "'re", "'VE", "'ll", "'Ll", "'d", "'\u017f", "'M", "’s", "'x"]


SYLLABLES = "an be co da el fi go hu in ka lo mi nu op pra qui ri sta tu un ver wo xi ya zen tion ing ed er ly".split()
CHARACTERS = "天地人大小上下左右中国学习电脑语言文字春夏秋冬东西南北红黄蓝白黑一二三四五六七八九十水火木金土"


def corpus(rng):
    """Training text: sentences recombined word by word, and invented words."""
    words = [w for s in SENTENCES for w in s.split(" ")]
    words += ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))).capitalize() for _ in range(150)]
    words += ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(700)]
    words += ["".join(rng.choices(CHARACTERS, k=rng.randint(2, 6))) for _ in range(300)]
    for _ in range(6):
        yield from SENTENCES
    for _ in range(3000):
        yield " ".join(rng.choice(words) for _ in range(rng.randint(3, 12)))


def is_comparable(character, newer):
    """Debian 12's PCRE2 knows Unicode 14; characters that only later versions assign have other classes there."""
    return not 0xD800 <= ord(character) < 0xE000 and character not in newer


def random_scalar(rng, newer):
    while True:
        block = rng.choice([(0x20, 0x7F), (0, 0x300), (0x300, 0x1000), (0x1000, 0x3000), (0x3000, 0xA000), (0xA000, 0x10000),
                            (0x10000, 0x20000), (0x1F300, 0x1FB00), (0x20000, 0x32000), (0xE0000, 0x110000)])
        character = chr(rng.randrange(*block))
        if is_comparable(character, newer):
            return character


def strings(rng, newer):
    """All compared strings, without repeats."""
    result = ["", " ", "a", "\n"] + SENTENCES + SPACES + SPECIALS
    pick = rng.choice
    for sentence in SENTENCES:
        result += [" " + sentence, sentence + "  ", sentence.upper(), sentence.replace(" ", ""), sentence.replace(" ", "  "),
                   sentence[::-1], sentence + pick(SENTENCES), sentence + "\n\n" + pick(SENTENCES)]
        result.append(unicodedata.normalize("NFD", sentence))
    words = [w for s in SENTENCES for w in s.split(" ")]
    words += ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 5))) for _ in range(200)]
    words += ["".join(rng.choices(CHARACTERS, k=rng.randint(1, 5))) for _ in range(100)]
    for _ in range(300):  # words and white space of all kinds
        result.append("".join(pick(words) + pick(SPACES) * rng.randint(0, 3) for _ in range(rng.randint(1, 6))))
    for _ in range(150):  # digits of several scripts
        result.append("".join("".join(rng.choices(pick(DIGITS), k=rng.randint(1, 7))) + pick(["", " ", ",", ".", "a", "年"])
                              for _ in range(rng.randint(1, 4))))
    for _ in range(150):  # contractions
        result.append("".join(pick(words) + pick(AFFIXES) + pick(["", " ", "s"]) for _ in range(rng.randint(1, 4))))
    for _ in range(200):  # control tokens in text
        result.append("".join(pick(["", " ", "\n"]) + pick(SPECIALS + words) + pick(["", " ", "  "]) for _ in range(rng.randint(1, 6))))
    for _ in range(50):  # broken control tokens
        token = pick(SPECIALS)
        cut = rng.randrange(len(token))
        result.append(pick(words) + token[:cut] + pick(["", token, " "]) + token[cut:])
    for _ in range(150):  # marks and joiners
        result.append("".join(pick(words)[:4] + pick(MARKS) * rng.randint(0, 3) for _ in range(rng.randint(1, 5))))
    for _ in range(350):  # random Unicode
        result.append("".join(random_scalar(rng, newer) for _ in range(rng.randint(1, 16))))
    for _ in range(150):  # random Unicode between words
        result.append("".join(pick(words) + random_scalar(rng, newer) + pick(["", " "]) for _ in range(rng.randint(1, 5))))
    for _ in range(200):  # random ASCII
        result.append("".join(chr(rng.randrange(0, 128)) for _ in range(rng.randint(1, 24))))
    for character in "a Aé中あ가١!\n\t-🙂\u3000\u0301é":  # long runs
        result += [character * n for n in (2, 3, 7, 31, 64, 257)]
    result += [" " * 90 + "x", "\n" * 70 + " x", "ab" * 300, "Ab" * 90, "AB" * 90 + "c", "中a" * 60, " 1" * 90, "x" + " " * 120 + "7"]
    return list(dict.fromkeys(result))
