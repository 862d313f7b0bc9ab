"""Generates the bilingual conversations that the model is trained and examined on.

Every question comes from a `Fact`: one thing to know or compute, with phrasings in both languages. What is held
out for the examination never appears in training:

* of facts that follow a rule (additions, sortings, ...) one in twenty is held out in all its phrasings;
* of facts that must be learned by heart (colours, translations, ...) one in four has a single phrasing held out.
"""

import hashlib
import random
from dataclasses import dataclass

from words import (
    CATEGORIES, COLOURED, COLOURS, DAYS, MONTHS, NOUNS, OPPOSITES, OTHER_WORDS, SMALL_TALK, SYSTEM_MESSAGES,
)

MIXED_SHARE = 0.05  # of the answers that can mix languages; about 3 % of all
SYSTEM_SHARE = 0.08
TURNS = [(1, 0.78), (2, 0.15), (3, 0.07)]


@dataclass(frozen=True)
class Form:
    """One phrasing. The answer is head + tail; a mixed answer takes its tail from the other language."""

    prompt: str
    head: str
    tail: str


@dataclass(frozen=True)
class Fact:
    key: str
    rule: bool
    forms: dict[str, list[Form]]


@dataclass(frozen=True)
class Question:
    task: str
    prompt: str
    answer: str
    mixed: bool
    held_out: bool


def plain(prompts: list[str], answer: str) -> list[Form]:
    """Phrasings whose answer is the same and cannot mix languages."""
    return [Form(prompt, "", answer) for prompt in prompts]


# Numbers


def sum_fact(sign, word, character, a, b, result):
    return {
        "en": [
            Form(f"What is {a} {word} {b}?", f"{a} {word} {b} ", f"is {result}."),
            Form(f"How much is {a} {sign} {b}?", f"{a} {sign} {b} ", f"is {result}."),
            Form(f"{a} {sign} {b} = ?", f"{a} {sign} {b} ", f"= {result}."),
        ],
        "zh": [
            Form(f"{a}{character}{b}等于几?", f"{a}{character}{b}", f"等于{result}。"),
            Form(f"{a}{character}{b}是多少?", f"{a}{character}{b}", f"等于{result}。"),
        ],
    }


def addition(rng):
    a, b = rng.randrange(100), rng.randrange(100)
    return Fact(f"{a}+{b}", True, sum_fact("+", "plus", "加", a, b, a + b))


def subtraction(rng):
    b, a = sorted((rng.randrange(100), rng.randrange(100)))
    return Fact(f"{a}-{b}", True, sum_fact("-", "minus", "减", a, b, a - b))


def multiplication(rng):
    a, b = rng.randrange(11), rng.randrange(11)
    return Fact(f"{a}*{b}", False, sum_fact("×", "times", "乘", a, b, a * b))


def comparison(rng):
    a, b = rng.sample(range(100), 2)
    english, chinese, pick = rng.choice([("larger", "大", max(a, b)), ("smaller", "小", min(a, b))])
    return Fact(f"{a},{b},{english}", True, {
        "en": [
            Form(f"Which is {english}, {a} or {b}?", f"{pick} ", f"is {english}."),
            Form(f"Which number is {english}: {a} or {b}?", f"{pick} ", f"is {english}."),
        ],
        "zh": [
            Form(f"{a}和{b}哪个{chinese}?", f"{pick}", f"更{chinese}。"),
            Form(f"哪个数更{chinese},{a}还是{b}?", f"{pick}", f"更{chinese}。"),
        ],
    })


def neighbour(rng):
    a = rng.randrange(1, 100)
    english, chinese, result = rng.choice([("after", "后面", a + 1), ("before", "前面", a - 1)])
    return Fact(f"{a} {english}", False, {
        "en": [
            Form(f"What number comes {english} {a}?", f"{english.capitalize()} {a} ", f"comes {result}."),
            Form(f"Which number is just {english} {a}?", f"{english.capitalize()} {a} ", f"comes {result}."),
        ],
        "zh": [
            Form(f"{a}的{chinese}是几?", f"{a}的{chinese}", f"是{result}。"),
            Form(f"{a}{chinese}的数是什么?", f"{a}的{chinese}", f"是{result}。"),
        ],
    })


def parity(rng):
    a = rng.randrange(100)
    english, chinese = ("odd", "奇数") if a % 2 else ("even", "偶数")
    return Fact(f"{a}", False, {
        "en": [
            Form(f"Is {a} even or odd?", f"{a} ", f"is {english}."),
            Form(f"Is {a} odd or even?", f"{a} ", f"is {english}."),
        ],
        "zh": [
            Form(f"{a}是奇数还是偶数?", f"{a}", f"是{chinese}。"),
            Form(f"{a}是偶数还是奇数?", f"{a}", f"是{chinese}。"),
        ],
    })


UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen " \
    "seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
DIGITS = "零一二三四五六七八九"


def english_number(n):
    if n < 20:
        return UNITS[n]
    return TENS[n // 10 - 2] + (f"-{UNITS[n % 10]}" if n % 10 else "")


def chinese_number(n):
    if n < 10:
        return DIGITS[n]
    return (DIGITS[n // 10] if n >= 20 else "") + "十" + (DIGITS[n % 10] if n % 10 else "")


def number_words(rng):
    n = rng.randrange(100)
    english, chinese = english_number(n), chinese_number(n)
    if rng.random() < 0.5:
        return Fact(f"{n} words", False, {
            "en": plain([f"Write {n} in words.", f"How do you write {n} in words?"], english),
            "zh": plain([f"用汉字写{n}。", f"{n}用汉字怎么写?"], chinese),
        })
    return Fact(f"{n} digits", False, {
        "en": plain([f"Write {english} in digits.", f"How do you write {english} in digits?"], str(n)),
        "zh": plain([f"用数字写“{chinese}”。", f"“{chinese}”用数字怎么写?"], str(n)),
    })


# Lists

ENGLISH_WORDS = [n[0] for n in NOUNS] + [w[0] for w in OTHER_WORDS] + [c[0] for c in COLOURS]
CHINESE_WORDS = [n[2] for n in NOUNS] + [w[1] for w in OTHER_WORDS] + [c[1] for c in COLOURS]


def random_lists(rng, shortest, longest, digits):
    """The same random list for both languages: digits, or words of each language."""
    count = rng.randint(shortest, longest)
    if digits:
        numbers = [str(rng.randrange(10)) for _ in range(count)]
        return numbers, numbers
    picks = rng.sample(range(len(ENGLISH_WORDS)), count)
    return [ENGLISH_WORDS[i] for i in picks], [CHINESE_WORDS[i] for i in picks]


def copying(rng):
    english, chinese = map(" ".join, random_lists(rng, 2, 5, rng.random() < 0.3))
    return Fact(english, True, {
        "en": plain([f"Repeat after me: {english}", f"Say this: {english}"], english),
        "zh": plain([f"跟我说:{chinese}", f"请重复:{chinese}"], chinese),
    })


def reversal(rng):
    english, chinese = random_lists(rng, 2, 4, rng.random() < 0.6)
    backward = " ".join(reversed(english)), " ".join(reversed(chinese))
    english, chinese = " ".join(english), " ".join(chinese)
    return Fact(english, True, {
        "en": plain([f"Reverse this list: {english}", f"Say this backwards: {english}"], backward[0]),
        "zh": plain([f"倒过来说:{chinese}", f"把顺序反过来:{chinese}"], backward[1]),
    })


def sorting(rng):
    numbers = random_lists(rng, 2, 5, digits=True)[0]
    ordered, listed = " ".join(sorted(numbers)), " ".join(numbers)
    return Fact(listed, True, {
        "en": plain([f"Sort these numbers: {listed}", f"Sort {listed}."], ordered),
        "zh": plain([f"从小到大排列:{listed}", f"请排序:{listed}"], ordered),
    })


def extreme(rng):
    numbers = random_lists(rng, 3, 5, digits=True)[0]
    listed = " ".join(numbers)
    english, chinese, pick = rng.choice([("largest", "最大", max(numbers)), ("smallest", "最小", min(numbers))])
    return Fact(f"{listed} {english}", True, {
        "en": [
            Form(f"What is the {english} of {listed}?", f"The {english} number ", f"is {pick}."),
            Form(f"Find the {english} number: {listed}", f"The {english} number ", f"is {pick}."),
        ],
        "zh": [
            Form(f"{listed}中{chinese}的是几?", f"{chinese}的数", f"是{pick}。"),
            Form(f"找出{chinese}的数:{listed}", f"{chinese}的数", f"是{pick}。"),
        ],
    })


def end_of_list(rng):
    english, chinese = random_lists(rng, 3, 5, digits=False)
    name, chinese_name, index = rng.choice([("first", "第一个词", 0), ("last", "最后一个词", -1)])
    return Fact(f"{' '.join(english)} {name}", True, {
        "en": [
            Form(f"What is the {name} word of: {' '.join(english)}", f"The {name} word ", f"is {english[index]}."),
            Form(f"Find the {name} word: {' '.join(english)}", f"The {name} word ", f"is {english[index]}."),
        ],
        "zh": [
            Form(f"{chinese_name}是什么:{' '.join(chinese)}", chinese_name, f"是{chinese[index]}。"),
            Form(f"找出{chinese_name}:{' '.join(chinese)}", chinese_name, f"是{chinese[index]}。"),
        ],
    })


def counting(rng):
    noun, nouns, chinese, measure, _ = rng.choice(NOUNS)
    n = rng.randint(1, 9)
    listed, chinese_listed = " ".join([noun] * n), " ".join([chinese] * n)
    head = "There is " if n == 1 else "There are "
    tail = f"{n} {noun if n == 1 else nouns}."
    chinese_tail = f"{n}{measure}{chinese}。"
    return Fact(f"{noun} {n}", False, {
        "en": [
            Form(f"How many {nouns} are there: {listed}", head, tail),
            Form(f"Count the {nouns}: {listed}", head, tail),
        ],
        "zh": [
            Form(f"一共有几{measure}{chinese}:{chinese_listed}", "一共有", chinese_tail),
            Form(f"数一数:{chinese_listed}", "一共有", chinese_tail),
        ],
    })


# Words


def translation(rng):
    i = rng.randrange(len(ENGLISH_WORDS))
    english, chinese = ENGLISH_WORDS[i], CHINESE_WORDS[i]
    if rng.random() < 0.5:
        return Fact(f"{english} to zh", False, {
            "en": plain([f"What is the Chinese word for {english}?", f"How do you say {english} in Chinese?",
                         f"Translate into Chinese: {english}"], chinese),
            "zh": plain([f"{english}用中文怎么说?", f"{english}的中文是什么?"], chinese),
        })
    return Fact(f"{english} to en", False, {
        "en": plain([f"What is the English word for {chinese}?", f"How do you say {chinese} in English?",
                     f"Translate into English: {chinese}"], english),
        "zh": plain([f"“{chinese}”用英文怎么说?", f"“{chinese}”的英文是什么?"], english),
    })


def colour(rng):
    thing, chinese, name = rng.choice(COLOURED)
    chinese_name = dict(COLOURS)[name]
    subject = thing[0].upper() + thing[1:]
    return Fact(thing, False, {
        "en": [
            Form(f"What colour is {thing}?", f"{subject} ", f"is {name}."),
            Form(f"What is the colour of {thing}?", f"{subject} ", f"is {name}."),
            Form(f"Tell me the colour of {thing}.", f"{subject} ", f"is {name}."),
        ],
        "zh": [
            Form(f"{chinese}是什么颜色的?", chinese, f"是{chinese_name}的。"),
            Form(f"{chinese}的颜色是什么?", chinese, f"是{chinese_name}的。"),
        ],
    })


def category(rng):
    noun, _, chinese, _, kind = rng.choice([n for n in NOUNS if n[4]])
    article = "an" if kind[0] in "aeiou" else "a"
    noun_article = "an" if noun[0] in "aeiou" else "a"
    head, tail = f"{noun_article.capitalize()} {noun} ", f"is {article} {kind}."
    return Fact(noun, False, {
        "en": [
            Form(f"What is {noun_article} {noun}?", head, tail),
            Form(f"What kind of thing is {noun_article} {noun}?", head, tail),
        ],
        "zh": [
            Form(f"{chinese}是什么?", chinese, f"是{CATEGORIES[kind]}。"),
            Form(f"{chinese}属于哪一类?", chinese, f"是{CATEGORIES[kind]}。"),
        ],
    })


def opposite(rng):
    english, english_other, chinese, chinese_other = rng.choice(OPPOSITES)
    if rng.random() < 0.5:
        english, english_other, chinese, chinese_other = english_other, english, chinese_other, chinese
    head, tail = f"The opposite of {english} ", f"is {english_other}."
    chinese_head, chinese_tail = f"“{chinese}”的反义词", f"是“{chinese_other}”。"
    return Fact(english, False, {
        "en": [
            Form(f"What is the opposite of {english}?", head, tail),
            Form(f"Tell me the opposite of {english}.", head, tail),
        ],
        "zh": [
            Form(f"“{chinese}”的反义词是什么?", chinese_head, chinese_tail),
            Form(f"“{chinese}”的反义词是哪个?", chinese_head, chinese_tail),
        ],
    })


def calendar(rng):
    names, english_unit, chinese_after, chinese_before, chinese_unit = rng.choice([
        (DAYS, "day", "后一天", "前一天", "星期几"),
        (MONTHS, "month", "下个月", "上个月", "几月"),
    ])
    i = rng.randrange(len(names))
    english, step, chinese_step = rng.choice([("after", 1, chinese_after), ("before", -1, chinese_before)])
    result = names[(i + step) % len(names)]
    head, tail = f"{english.capitalize()} {names[i][0]} ", f"comes {result[0]}."
    chinese_head, chinese_tail = f"{names[i][1]}的{chinese_step}", f"是{result[1]}。"
    return Fact(f"{names[i][0]} {english}", False, {
        "en": [
            Form(f"What {english_unit} comes {english} {names[i][0]}?", head, tail),
            Form(f"Which {english_unit} is just {english} {names[i][0]}?", head, tail),
        ],
        "zh": [
            Form(f"{names[i][1]}的{chinese_step}是{chinese_unit}?", chinese_head, chinese_tail),
            Form(f"{names[i][1]}的{chinese_step}是什么?", chinese_head, chinese_tail),
        ],
    })


def small_talk(rng):
    i = rng.randrange(len(SMALL_TALK["en"]))
    return Fact(str(i), False, {language: plain(*SMALL_TALK[language][i]) for language in ("en", "zh")})


# Task, share of the training questions
TASKS = [
    (addition, 20), (subtraction, 17), (multiplication, 5), (comparison, 6), (neighbour, 3), (parity, 2),
    (number_words, 5), (copying, 5), (reversal, 7), (sorting, 7), (extreme, 4), (end_of_list, 3), (counting, 4),
    (translation, 8), (colour, 3), (category, 2), (opposite, 3), (calendar, 3), (small_talk, 2),
]


def stable_hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def is_held_out(task: str, fact: Fact, language: str, index: int) -> bool:
    """Whether this phrasing of the fact belongs to the examination."""
    if task == "small_talk":
        return False
    if fact.rule:
        return stable_hash(f"{task} {fact.key}") % 20 == 0
    draw = stable_hash(f"{task} {fact.key} {language}")
    return draw % 4 == 0 and (draw // 4) % len(fact.forms[language]) == index


def ask(rng: random.Random, task) -> Question:
    """One random question of a task, in training or not."""
    fact = task(rng)
    language = rng.choice(("en", "zh"))
    index = rng.randrange(len(fact.forms[language]))
    form = fact.forms[language][index]
    other = fact.forms["zh" if language == "en" else "en"][0]
    mixed = bool(form.head and other.head) and rng.random() < MIXED_SHARE
    name = task.__name__
    answer = form.head + (other.tail if mixed else form.tail)
    return Question(name, form.prompt, answer, mixed, is_held_out(name, fact, language, index))


def training_question(rng: random.Random) -> Question:
    """A random question that is not held out."""
    while True:
        question = ask(rng, rng.choices([t for t, _ in TASKS], [w for _, w in TASKS])[0])
        if not question.held_out:
            return question


def training_conversation(rng: random.Random) -> tuple[str | None, list[Question]]:
    """An optional system message and one to three turns."""
    system = rng.choice(SYSTEM_MESSAGES) if rng.random() < SYSTEM_SHARE else None
    turns = rng.choices([n for n, _ in TURNS], [w for _, w in TURNS])[0]
    return system, [training_question(rng) for _ in range(turns)]


def held_out_questions(per_task: int, seed: int = 20) -> list[Question]:
    """The examination: distinct held-out questions with single-language answers, the big tasks doubled."""
    rng = random.Random(seed)
    questions = []
    for task, share in TASKS:
        found = {}
        wanted = per_task * (2 if share > 10 else 1)
        for _ in range(40_000):
            if len(found) == wanted:
                break
            question = ask(rng, task)
            if question.held_out and not question.mixed:
                found[question.prompt] = question
        questions += found.values()
    return questions
