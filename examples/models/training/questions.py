"""What is asked about pictures, clips and sounds, in both languages, and the answers."""

import random
from dataclasses import dataclass

from pictures import COLOURS, DIRECTIONS, PLACES, SHAPES, Clip, Scene


@dataclass(frozen=True)
class Asked:
    task: str
    prompt: str
    answer: str


def _pick(rng, task, english, chinese):
    """One of two languages' (prompts, answer)."""
    prompts, answer = english if rng.random() < 0.5 else chinese
    return Asked(task, rng.choice(prompts), answer)


def _name(thing):
    return f"a {COLOURS[thing.colour][0]} {SHAPES[thing.shape][0]}".replace("a orange", "an orange")


def _chinese_name(thing):
    return f"{COLOURS[thing.colour][1]}的{SHAPES[thing.shape][2]}"


def _sentence(text):
    return f"{text[0].upper()}{text[1:]}."


def _shape(rng, scene):
    english, _, chinese = SHAPES[scene.things[0].shape]
    return _pick(
        rng, "shape",
        (["What shape is in the picture?", "What shape is this?", "Which shape do you see?"], f"It is a {english}."),
        (["图中是什么形状?", "这是什么形状?"], f"这是{chinese}。"))


def _colour(rng, scene):
    thing = rng.choice(scene.things)
    colour, chinese_colour = COLOURS[thing.colour][:2]
    english, _, chinese = SHAPES[thing.shape]
    return _pick(
        rng, "colour",
        ([f"What colour is the {english}?", f"Tell me the colour of the {english}."], f"The {english} is {colour}."),
        ([f"{chinese}是什么颜色的?", f"{chinese}的颜色是什么?"], f"{chinese}是{chinese_colour}的。"))


def _place(rng, scene, things=None):
    thing = rng.choice(things or scene.things)
    place, chinese_place = PLACES[scene.place(thing)]
    english, _, chinese = SHAPES[thing.shape]
    return _pick(
        rng, "place",
        ([f"Where is the {english}?", f"In which part of the picture is the {english}?"], f"The {english} is {place}."),
        ([f"{chinese}在哪里?", f"{chinese}在图的什么位置?"], f"{chinese}在{chinese_place}。"))


def _place_of_another(rng, scene):
    """Of a thing that need not be in a combination that is held out: of first things alone, a model learns where those
    never are."""
    others = [thing for thing in scene.things[1:] if scene.count(thing.shape) == 1]
    return _place(rng, scene, others) if others else _count_all(rng, scene)


def _content(rng, scene):
    things = sorted(scene.things, key=lambda thing: thing.x)
    english = _sentence(" and ".join(map(_name, things)))
    return _pick(
        rng, "content",
        (["What is in the picture?", "What do you see?", "Describe the picture."], english),
        (["图中有什么?", "你看到什么?", "描述一下这张图。"], "和".join(map(_chinese_name, things)) + "。"))


def _count_shape(rng, scene):
    shape = rng.choice(scene.things).shape
    if rng.random() < 0.1:
        shape = rng.randrange(len(SHAPES))
    count = scene.count(shape)
    one, more, chinese = SHAPES[shape]
    english = f"There is 1 {one}." if count == 1 else f"There are {count} {more}."
    return _pick(
        rng, "count",
        ([f"How many {more} are there?", f"Count the {more}.", f"How many {more} do you see?"], english),
        ([f"图中有几个{chinese}?", f"数一数{chinese}。"], f"有{count}个{chinese}。"))


def _count_all(rng, scene):
    count = len(scene.things)
    english = "There is 1 shape." if count == 1 else f"There are {count} shapes."
    return _pick(
        rng, "count",
        (["How many shapes are there?", "Count the shapes."], english),
        (["图中有几个形状?", "数一数有几个形状。"], f"有{count}个形状。"))


def _number(rng, scene):
    number = " ".join(str(thing.digit) for thing in scene.things)
    english, chinese = f"It says {number}.", f"写的是{number}。"
    return _pick(
        rng, "number",
        (["What is written in the picture?", "Which digits are written here?", "Read the number."], english),
        (["图中写的是什么数字?", "写的是什么数字?", "读出这个数字。"], chinese))


KINDS = {
    "one": [_shape, _colour, _place, _content],
    "two": [_colour, _place, _content],
    "many": [_count_shape, _count_all],
    "number": [_number],
}


# In training places are asked for more often: they are learned last.
TAUGHT_KINDS = {
    "one": [*KINDS["one"], *[_place] * 3],
    "two": [*KINDS["two"], *[_place_of_another] * 3],
    "many": [*KINDS["many"], _count_shape, _place_of_another],
    "number": KINDS["number"],
}


def about_scene(rng: random.Random, scene: Scene, is_taught: bool = False) -> Asked:
    return rng.choice((TAUGHT_KINDS if is_taught else KINDS)[scene.kind])(rng, scene)


def about_clip(rng: random.Random, clip: Clip) -> Asked:
    english, _, chinese = SHAPES[clip.thing.shape]
    colour, chinese_colour = COLOURS[clip.thing.colour][:2]
    way, chinese_way = DIRECTIONS[clip.direction][:2]
    kind = rng.randrange(3)
    if kind == 0:
        return _pick(
            rng, "motion",
            ([f"Where does the {english} move?", f"Which way does the {english} go?"], f"The {english} moves {way}."),
            ([f"{chinese}往哪里移动?", f"{chinese}向哪个方向移动?"], f"{chinese}{chinese_way}移动。"))
    if kind == 1:
        return _pick(
            rng, "event",
            (["What happens in the video?", "Describe the video."], _sentence(f"{_name(clip.thing)} moves {way}")),
            (["视频里发生了什么?", "描述一下这个视频。"], f"{_chinese_name(clip.thing)}{chinese_way}移动。"))
    return _pick(
        rng, "moving thing",
        (["What moves in the video?", "What do you see in the video?"], _sentence(_name(clip.thing))),
        (["视频里什么在动?", "视频里有什么?"], f"{_chinese_name(clip.thing)}。"))


def about_sound(rng: random.Random, language: str, words: list[str]) -> Asked:
    """`words`: what is said, digits as digits."""
    said = " ".join(words)
    if words[0].isdigit():
        return _pick(
            rng, "spoken digits",
            (["Which digits do you hear?", "What number is said?", "Write down the digits."], f"I hear {said}."),
            (["你听到什么数字?", "说的是什么数字?", "写下这些数字。"], f"我听到{said}。"))
    if rng.random() < 0.15:
        english, chinese = ("English", "英文") if language == "en" else ("Chinese", "中文")
        return _pick(
            rng, "spoken language",
            (["Which language is this?", "Is this English or Chinese?"], f"It is {english}."),
            (["这是什么语言?", "这是英文还是中文?"], f"这是{chinese}。"))
    return _pick(
        rng, "spoken word",
        (["What do you hear?", "Which word is said?", "What does the voice say?"], f"I hear {said}."),
        (["你听到什么?", "说的是什么词?", "写下你听到的话。"], f"我听到{said}。"))
