"""Makes batches of pictures, clips and sounds with conversations about them."""

import random
from dataclasses import dataclass, field

import numpy as np
import torch

import pictures
from data import training_question
from omni_tokenizer import MEDIA_BEGIN, MEDIA_CONTENT, MEDIA_END, IMAGE, SOUND, VIDEO
from pictures import CELL, draw_clip, draw_scene, make_clip, make_glyph, make_scene, weather
from questions import about_clip, about_scene, about_sound
from speech import WORDS, noisy
from towers import VoiceTower

FRAMES = 4
FRAMES_PER_SECOND = 2
# Width and height as padded, the likelier the more often they are there
PICTURE_SIZES = [
    (112, 112), (112, 112), (140, 112), (140, 112), (112, 140), (140, 140), (168, 112), (168, 140), (84, 112),
]


@dataclass
class Media:
    """Items of one tower call: what it gets, and what its teachers say."""

    tensors: object
    targets: tuple
    row_counts: list[int]


@dataclass
class Conversation:
    """turns: (text of the user, answer). The first turn's text has the media's markup in it; `media` names its rows."""

    turns: list[tuple[str, str]]
    media: list[tuple[int, int]] = field(default_factory=list)  # (index of the batch's Media, item)
    task: str = ""


def padded(side: int) -> int:
    return -(-side // CELL) * CELL


def framed(images, width, height) -> np.ndarray:
    """[frames, height, width, 3], bytes: what is beyond the pictures is black, as the processor pads."""
    frames = np.zeros((len(images), height, width, 3), np.uint8)
    for frame, image in zip(frames, images):
        frame[: image.height, : image.width] = image
    return frames


def normalised(items: list[np.ndarray]) -> torch.Tensor:
    """[items, frames, 3, height, width], from -1 to 1."""
    pixels = torch.from_numpy(np.stack(items)).permute(0, 1, 4, 2, 3).float().contiguous()
    return (pixels / 255 - 0.5) / 0.5


def with_media(rng, markup, prompt):
    """Mostly the media first, as most callers have it."""
    return prompt + markup if rng.random() < 0.1 else markup + prompt


def image_markup(rows):
    return f"{MEDIA_BEGIN}image{MEDIA_CONTENT}{IMAGE * rows}{MEDIA_END}"


def video_markup(chunks, rows):
    """Chunks of frames, each after its time."""
    times = (f"00:00:{c * FRAMES // FRAMES_PER_SECOND:02d}.000" for c in range(chunks))
    return "".join(f"{t}{MEDIA_BEGIN}video{MEDIA_CONTENT}{VIDEO * rows}{MEDIA_END}" for t in times)


def picture_batch(rng, count, held_out, index):
    """Pictures whose padded size is the same, and a conversation about each."""
    wide, high = rng.choice(PICTURE_SIZES)
    rows = wide * high // CELL**2
    images, taught, conversations = [], [], []
    for item in range(count):
        width, height = wide - rng.choice((0, 0, rng.randrange(CELL))), high - rng.choice((0, 0, rng.randrange(CELL)))
        scene = make_scene(rng, width, height, held_out)
        images.append(framed([weather(rng, draw_scene(rng, scene))], wide, high))
        taught.append(targets(scene, wide, high))
        asked = 1 if held_out else rng.choice((2, 3, 4))
        questions = [about_scene(rng, scene, is_taught=not held_out) for _ in range(asked)]
        turns = [(q.prompt, q.answer) for q in questions]
        turns[0] = with_media(rng, image_markup(rows), turns[0][0]), turns[0][1]
        conversations.append(Conversation(turns, [(index, item)], questions[0].task))
    return Media(normalised(images), stacked(taught), [rows] * count), conversations


def glyph_batch(rng, count):
    """Small pictures of one shape or digit each, without conversations."""
    wide, high = rng.choice([(56, 56), (56, 56), (84, 56), (56, 84)])
    images, taught = [], []
    for _ in range(count):
        scene = make_glyph(rng, wide, high)
        images.append(framed([draw_scene(rng, scene)], wide, high))
        taught.append(targets(scene, wide, high))
    return Media(normalised(images), stacked(taught), [wide * high // CELL**2] * count)


def cell_of(x, y, wide):
    """The merged patch that a point lies in."""
    return int(y // CELL) * (wide // CELL) + int(x // CELL)


def targets(scene, wide, high):
    """What has its centre in each patch of each merged patch; and of what each merged patch holds the colour, the place in
    the picture, and, of shapes, how many are like it and how many there are."""
    count = wide * high // CELL**2
    patches = [[0] * 4 for _ in range(count)]
    colours, places, alike, total = ([-1] * count for _ in range(4))
    for thing in scene.things:
        at = cell_of(thing.x, thing.y, wide)
        part = int(thing.y % CELL >= CELL / 2) * 2 + int(thing.x % CELL >= CELL / 2)
        patches[at][part] = 1 + thing.shape if thing.digit is None else 1 + len(pictures.SHAPES) + thing.digit
        colours[at] = thing.colour
        places[at] = scene.place(thing)
        if thing.digit is None:
            alike[at], total[at] = scene.count(thing.shape), len(scene.things)
    return patches, colours, places, alike, total


def stacked(targets):
    """What `targets` says of each picture, as one tensor for each kind of target."""
    return tuple(map(torch.tensor, zip(*targets)))


def times(clip, wide, high):
    """[frames, merged patches]: 1 where the thing is in a frame."""
    seen = torch.zeros(len(clip.centres), wide * high // CELL**2)
    for frame, (x, y) in enumerate(clip.centres):
        seen[frame, cell_of(x, y, wide)] = 1
    return seen


def clip_batch(rng, count, held_out, index):
    """Clips of one size and as many chunks; the last chunk may be shorter."""
    wide, high = rng.choice([(112, 84), (84, 84), (112, 112), (84, 112)])
    frames = rng.choice((4, 6, 8, 8))
    chunks = -(-frames // FRAMES)
    rows = wide * high // CELL**2
    items, facts, seen, conversations = [], [], [], []
    for item in range(count):
        width, height = wide - rng.choice((0, rng.randrange(CELL))), high - rng.choice((0, rng.randrange(CELL)))
        clip = make_clip(rng, width, height, frames, held_out)
        spoilt = rng.random()  # all frames in the same way
        drawn = [weather(random.Random(spoilt), frame) for frame in draw_clip(rng, clip)]
        items.append(framed(drawn, wide, high))
        facts.append((clip.direction, clip.thing.shape, clip.thing.colour))
        seen.append(times(clip, wide, high))
        asked = about_clip(rng, clip)
        turns = [(with_media(rng, video_markup(chunks, rows), asked.prompt), asked.answer)]
        conversations.append(Conversation(turns, [(index, item)], asked.task))
    media = Media(normalised(items), (*torch.tensor(facts).T, torch.stack(seen)), [chunks * rows] * count)
    return media, conversations


class Sounds:
    """The sounds of `speech.py`'s file."""

    def __init__(self, path):
        file = np.load(path)
        ends = np.cumsum(file["lengths"])
        self.samples, self.ends, self.lengths = file["samples"], ends, file["lengths"]
        self.languages, self.words = file["languages"], [w.split(" ") for w in file["words"].tolist()]
        names = [f"{language} {digit}" for language in ("en", "zh") for digit in range(10)]
        names += [f"{language} {word}" for pair in WORDS for language, word in zip(("en", "zh"), pair)]
        self.numbers = {name: number for number, name in enumerate(names, 1)}

    def batch(self, rng, count, index):
        sounds, targets, conversations = [], [], []
        for item in range(count):
            pick = rng.randrange(len(self.lengths))
            end, language, words = self.ends[pick], self.languages[pick], self.words[pick]
            samples = self.samples[end - self.lengths[pick]: end].astype(np.float32) / 32768
            sounds.append(torch.from_numpy(noisy(rng, samples)))
            targets.append([self.numbers[f"{language} {w}"] for w in words])
            asked = about_sound(rng, language, words)
            markup = SOUND * VoiceTower.row_count(len(sounds[-1]))
            conversations.append(
                Conversation([(with_media(rng, markup, asked.prompt), asked.answer)], [(index, item)], asked.task))
        return Media(sounds, (targets,), [VoiceTower.row_count(len(s)) for s in sounds]), conversations


def join_some(rng, conversations, share):
    """Puts some conversations behind each other, and some questions of text alone behind others."""
    rng.shuffle(conversations)
    joined = []
    for conversation in conversations:
        draw = rng.random()
        if draw < share and joined and len(joined[-1].media) == 1:
            joined[-1].turns += conversation.turns
            joined[-1].media += conversation.media
        else:
            if draw > 1 - share:
                question = training_question(rng)
                conversation.turns.append((question.prompt, question.answer))
            joined.append(conversation)
    return joined
