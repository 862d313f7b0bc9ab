"""Draws the pictures and clips that the omni model is trained and examined on, and says what is in them."""

import io
import math
import random
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFilter

from data import stable_hash

# English, plural, Chinese
SHAPES = [
    ("circle", "circles", "圆形"), ("square", "squares", "正方形"), ("triangle", "triangles", "三角形"),
    ("star", "stars", "星形"), ("heart", "hearts", "心形"), ("cross", "crosses", "十字形"),
]

# English, Chinese, and the corners of a box of RGB values: none touches another
COLOURS = [
    ("red", "红色", (205, 10, 10), (250, 55, 55)), ("green", "绿色", (0, 125, 10), (60, 185, 70)),
    ("blue", "蓝色", (10, 40, 190), (60, 100, 250)), ("yellow", "黄色", (235, 210, 0), (255, 240, 60)),
    ("black", "黑色", (0, 0, 0), (35, 35, 35)), ("brown", "棕色", (105, 55, 15), (140, 80, 45)),
    ("orange", "橙色", (245, 125, 0), (255, 155, 40)), ("grey", "灰色", (120, 120, 120), (150, 150, 150)),
    ("purple", "紫色", (125, 20, 140), (165, 65, 185)),
]

# Thirds of a picture, row by row
PLACES = [
    ("at the top left", "左上角"), ("at the top", "上面"), ("at the top right", "右上角"),
    ("on the left", "左边"), ("in the middle", "中间"), ("on the right", "右边"),
    ("at the bottom left", "左下角"), ("at the bottom", "下面"), ("at the bottom right", "右下角"),
]

# English, Chinese, step of x and y
DIRECTIONS = [("to the left", "向左", -1, 0), ("to the right", "向右", 1, 0), ("up", "向上", 0, -1), ("down", "向下", 0, 1)]

CELL = 28  # pixels of a merged patch's side
MOST_THINGS = 4
FINENESS = 3  # what is drawn is drawn so much larger, and reduced


@dataclass
class Thing:
    """Something drawn: a shape, or a written digit (`shape` is then None). Centre and radius in pixels."""

    x: float
    y: float
    radius: float
    shape: int | None = None
    colour: int | None = None
    digit: int | None = None
    turn: float = 0.0


@dataclass
class Scene:
    """What a picture shows, and which questions make sense for it."""

    kind: str
    width: int
    height: int
    things: list[Thing] = field(default_factory=list)

    def count(self, shape: int) -> int:
        """How many things have a shape."""
        return sum(thing.shape == shape for thing in self.things)

    def place(self, thing: Thing) -> int:
        """The third of the picture's height and width that a thing's centre lies in."""
        return min(2, int(3 * thing.y / self.height)) * 3 + min(2, int(3 * thing.x / self.width))


@dataclass
class Clip:
    """A shape that moves straight, and where it is in each frame."""

    width: int
    height: int
    thing: Thing
    direction: int
    centres: list[tuple[float, float]]


def is_held_out(*key) -> bool:
    """One in ten combinations (of shape, colour and place, say) belongs to the examination."""
    return stable_hash("omni " + " ".join(map(str, key))) % 10 == 0


# Composing


def scene_key(scene: Scene):
    if scene.kind == "number":
        return "number", *(thing.digit for thing in scene.things), int(scene.things[0].radius)
    first = scene.things[0]
    return scene.kind, first.shape, first.colour, scene.place(first), len(scene.things)


# How often scenes are of a kind: counting takes longest to learn.
EXAMINED, TAUGHT = [4, 4, 4, 3], [6, 6, 7, 6]


def make_scene(rng: random.Random, width: int, height: int, held_out: bool) -> Scene:
    """A random scene of a picture of this size that belongs to the examination, or does not."""
    while True:
        kind = rng.choices(["one", "two", "many", "number"], EXAMINED if held_out else TAUGHT)[0]
        scene = Scene(kind, width, height)
        {"one": _one, "two": _two, "many": _many, "number": _number}[kind](rng, scene)
        if scene.things and is_held_out(*scene_key(scene)) == held_out:
            return scene


def _free_spot(rng, scene, radius):
    """A centre inside a third and not on its border, away from the edges and other things; None if none is found."""
    for _ in range(12):
        x = rng.uniform(radius + 1, scene.width - radius - 1)
        y = rng.uniform(radius + 1, scene.height - radius - 1)
        on_border = any(min(abs(3 * v / side - 1), abs(3 * v / side - 2)) < 0.12
                        for v, side in ((x, scene.width), (y, scene.height)))
        if not on_border and all(math.dist((x, y), (t.x, t.y)) > radius + t.radius + 3 for t in scene.things):
            return x, y
    return None


def _add(rng, scene, shape, colour, smallest, largest):
    radius = rng.uniform(smallest, largest)
    spot = _free_spot(rng, scene, radius)
    if spot:
        scene.things.append(Thing(*spot, radius, shape, colour, turn=rng.uniform(-0.2, 0.2)))
    return spot is not None


def _one(rng, scene):
    side = min(scene.width, scene.height)
    _add(rng, scene, rng.randrange(len(SHAPES)), rng.randrange(len(COLOURS)), 0.11 * side, 0.3 * side)


def make_glyph(rng: random.Random, width: int, height: int) -> Scene:
    """One shape or digit that nearly fills a small picture: what a tower learns first."""
    scene = Scene("number" if rng.random() < 0.5 else "one", width, height)
    largest = min(width, height) / 2 - 1
    radius = rng.uniform(0.4, 0.95) * largest
    x, y = (rng.uniform(radius + 1, max(radius + 1, side - radius - 1)) for side in (width, height))
    colour = rng.randrange(len(COLOURS))
    if scene.kind == "one":
        scene.things.append(Thing(x, y, radius, rng.randrange(len(SHAPES)), colour, turn=rng.uniform(-0.2, 0.2)))
    else:
        scene.things.append(Thing(x, y, radius, None, colour, rng.randrange(10)))
    return scene


def _two(rng, scene):
    shapes, colours = rng.sample(range(len(SHAPES)), 2), rng.sample(range(len(COLOURS)), 2)
    side = min(scene.width, scene.height)
    for shape, colour in zip(shapes, colours):
        if not _add(rng, scene, shape, colour, 0.11 * side, 0.2 * side):
            scene.things.clear()
            return
    # Which one stands left must be plain.
    if abs(scene.things[0].x - scene.things[1].x) < 0.15 * scene.width:
        scene.things.clear()


def _many(rng, scene):
    """Up to `MOST_THINGS` things of one or two shapes in any colours."""
    shapes = rng.sample(range(len(SHAPES)), rng.choice((1, 1, 2)))
    side = min(scene.width, scene.height)
    for _ in range(rng.randint(1, MOST_THINGS)):
        if not _add(rng, scene, rng.choice(shapes), rng.randrange(len(COLOURS)), 0.11 * side, 0.17 * side):
            scene.things.clear()
            return


def _number(rng, scene):
    """One or two written digits beside each other, in one colour."""
    digits = [rng.randrange(10) for _ in range(rng.choice((1, 2, 2)))]
    radius = rng.uniform(0.62, 0.92) * min(scene.height / 2 - 2, scene.width / (2 * 0.72 * len(digits) + 0.3))
    width = 2 * 0.72 * radius * len(digits)
    left = rng.uniform(1, max(1, scene.width - width - 1))
    y = rng.uniform(radius + 1, max(radius + 1, scene.height - radius - 1))
    colour = rng.choice([i for i, c in enumerate(COLOURS) if c[0] not in ("yellow", "grey")])
    for index, digit in enumerate(digits):
        x = left + (index + 0.5) * 2 * 0.72 * radius
        scene.things.append(Thing(x, y + rng.uniform(-0.06, 0.06) * radius, radius, None, colour, digit))


def make_clip(rng: random.Random, width: int, height: int, frames: int, held_out: bool) -> Clip:
    """A shape that moves at an even pace through at least a third of the picture; `frames` are those a model looks at."""
    while True:
        shape, colour, direction = rng.randrange(len(SHAPES)), rng.randrange(len(COLOURS)), rng.randrange(4)
        if is_held_out("clip", shape, colour, direction) == held_out:
            break
    radius = rng.uniform(0.12, 0.2) * min(width, height)
    _, _, dx, dy = DIRECTIONS[direction]
    side = width if dx else height
    travel = rng.uniform(0.4, 1.0) * (side - 2 * radius - 2)
    start = rng.uniform(radius + 1, side - radius - 1 - travel)
    across = rng.uniform(radius + 1, (height if dx else width) - radius - 1)
    drift = rng.uniform(-0.05, 0.05) * travel
    centres = []
    for index in range(frames):
        share = index / max(1, frames - 1)
        along = start + travel * (share if dx + dy > 0 else 1 - share)
        other = min(max(across + drift * share, radius), (height if dx else width) - radius)
        centres.append((along, other) if dx else (other, along))
    return Clip(width, height, Thing(0, 0, radius, shape, colour, turn=rng.uniform(-0.2, 0.2)), direction, centres)


# Drawing


def _regular(count, start, radii):
    return [(radii[i % len(radii)] * math.sin(start + 2 * math.pi * i / count),
             -radii[i % len(radii)] * math.cos(start + 2 * math.pi * i / count)) for i in range(count)]


def _heart():
    points = []
    for i in range(40):
        t = 2 * math.pi * i / 40
        x, y = 16 * math.sin(t) ** 3, 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 17, -(y + 2.5) / 16))
    return points


_CROSS = [(-.33, -1), (.33, -1), (.33, -.33), (1, -.33), (1, .33), (.33, .33), (.33, 1), (-.33, 1), (-.33, .33),
          (-1, .33), (-1, -.33), (-.33, -.33)]
OUTLINES = {
    "square": [(-.8, -.8), (.8, -.8), (.8, .8), (-.8, .8)],
    "triangle": _regular(3, 0, [1]),
    "star": _regular(10, 0, [1, 0.42]),
    "heart": _heart(),
    "cross": _CROSS,
}

# Strokes of written digits in a box of 1 by 1: each a list of points that a smooth line passes
STROKES = {
    0: [[[(.5, 0), (.1, .25), (.08, .7), (.5, 1), (.9, .7), (.9, .3), (.5, 0)]]],
    1: [[[(.3, .2), (.55, 0), (.55, 1)]], [[(.5, 0), (.5, 1)]]],
    2: [[[(.1, .25), (.3, .02), (.75, .05), (.85, .35), (.5, .68), (.1, 1)], [(.1, 1), (.92, .98)]]],
    3: [[[(.12, .12), (.5, 0), (.85, .22), (.4, .46)], [(.4, .46), (.9, .62), (.75, .95), (.4, 1), (.08, .86)]]],
    4: [[[(.62, 0), (.08, .66)], [(.08, .66), (.95, .66)], [(.7, .35), (.7, 1)]],
        [[(.2, 0), (.15, .5)], [(.15, .5), (.9, .5)], [(.75, 0), (.72, 1)]]],
    5: [[[(.85, .02), (.2, .02)], [(.2, .02), (.15, .45)], [(.15, .45), (.6, .38), (.9, .65), (.7, .97), (.1, .95)]]],
    6: [[[(.75, .02), (.3, .3), (.1, .7), (.45, 1), (.85, .78), (.6, .5), (.15, .68)]]],
    7: [[[(.08, .04), (.92, .04)], [(.92, .04), (.4, 1)]],
        [[(.08, .04), (.92, .04)], [(.92, .04), (.4, 1)], [(.3, .5), (.8, .5)]]],
    8: [[[(.5, .46), (.15, .25), (.5, 0), (.85, .22), (.5, .46), (.1, .75), (.5, 1), (.9, .75), (.5, .46)]]],
    9: [[[(.85, .3), (.5, .52), (.15, .3), (.45, .0), (.85, .2), (.82, .6), (.6, 1)]]],
}


def _smooth(points, pieces=6):
    """A Catmull-Rom line through points."""
    if len(points) < 3:
        return points
    padded = [points[0], *points, points[-1]]
    line = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:]):
        for i in range(pieces):
            t = i / pieces
            line.append(tuple(
                0.5 * (2 * b[k] + (c[k] - a[k]) * t + (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t * t
                       + (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t ** 3) for k in (0, 1)))
    return [*line, points[-1]]


def _draw_shape(draw, thing, paint):
    x, y, r = (FINENESS * v for v in (thing.x, thing.y, thing.radius))
    name = SHAPES[thing.shape][0]
    if name == "circle":
        draw.ellipse((x - 0.9 * r, y - 0.9 * r, x + 0.9 * r, y + 0.9 * r), fill=paint)
        return
    c, s = math.cos(thing.turn), math.sin(thing.turn)
    draw.polygon([(x + r * (c * a - s * b), y + r * (s * a + c * b)) for a, b in OUTLINES[name]], fill=paint)


def _draw_digit(rng, draw, thing, paint):
    """Every digit is written anew: slant, proportions and points vary."""
    x, y, r = (FINENESS * v for v in (thing.x, thing.y, thing.radius))
    wide, slant, jitter = rng.uniform(0.8, 1.15), rng.uniform(-0.25, 0.2), 0.035
    pen = max(2, int(r * rng.uniform(0.12, 0.26)))
    for stroke in rng.choice(STROKES[thing.digit]):
        points = []
        for a, b in _smooth([(a + rng.gauss(0, jitter), b + rng.gauss(0, jitter)) for a, b in stroke]):
            a, b = (a - 0.5) * wide, (b - 0.5) * 1.7
            points.append((x + r * (a - slant * b), y + r * b))
        draw.line(points, fill=paint, width=pen, joint="curve")
        for a, b in (points[0], points[-1]):
            draw.ellipse((a - pen / 2, b - pen / 2, a + pen / 2, b + pen / 2), fill=paint)


def _paint(rng, colour):
    _, _, low, high = COLOURS[colour]
    return tuple(rng.randint(a, b) for a, b in zip(low, high))


def _background(rng):
    """Light, now and then a little coloured."""
    base = rng.randint(215, 255)
    return tuple(min(255, max(200, base + rng.randint(-12, 12))) for _ in range(3))


def draw_scene(rng: random.Random, scene: Scene) -> Image.Image:
    image = Image.new("RGB", (FINENESS * scene.width, FINENESS * scene.height), _background(rng))
    draw = ImageDraw.Draw(image)
    pen = None
    for thing in scene.things:
        if thing.digit is None:
            _draw_shape(draw, thing, _paint(rng, thing.colour))
        else:
            pen = pen or _paint(rng, thing.colour)
            _draw_digit(rng, draw, thing, pen)
    return image.reduce(FINENESS)


def draw_clip(rng: random.Random, clip: Clip) -> list[Image.Image]:
    background, paint = _background(rng), _paint(rng, clip.thing.colour)
    frames = []
    for x, y in clip.centres:
        image = Image.new("RGB", (FINENESS * clip.width, FINENESS * clip.height), background)
        thing = Thing(x, y, clip.thing.radius, clip.thing.shape, turn=clip.thing.turn)
        _draw_shape(ImageDraw.Draw(image), thing, paint)
        frames.append(image.reduce(FINENESS))
    return frames


def weather(rng: random.Random, image: Image.Image) -> Image.Image:
    """What cameras and files do to a picture: other sizes on the way, JPEG, blur. The size stays."""
    size = image.size
    draw = rng.random()
    if draw < 0.25:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=rng.randint(40, 95))
        image = Image.open(file).convert("RGB")
    elif draw < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    elif draw < 0.5:
        scale = rng.uniform(0.7, 2.5)
        other = tuple(max(8, int(side * scale)) for side in size)
        image = image.resize(other, Image.BICUBIC).resize(size, Image.BICUBIC)
    return image
