"""Draws, films and records the files of `examples/media`, in the style that the omni model knows.

    python example_media.py ../../media
"""

import argparse
import random
import subprocess
from pathlib import Path

from examination import RATE_OF_CLIPS, write_film, write_wave
from pictures import COLOURS, SHAPES, Clip, Scene, Thing, draw_clip, draw_scene
from speech import Utterance, noisy, resample, speak

NAMES = [shape[0] for shape in SHAPES]
COLOUR_NAMES = [colour[0] for colour in COLOURS]


def thing(x, y, radius, colour, shape):
    return Thing(x, y, radius, NAMES.index(shape), COLOUR_NAMES.index(colour))


def written(number, x, y, radius):
    step = 1.44 * radius
    return [Thing(x + step * i, y, radius, None, COLOUR_NAMES.index("blue"), int(d)) for i, d in enumerate(number)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(5)

    shapes = Scene("two", 420, 300, [thing(115, 95, 62, "red", "circle"), thing(315, 195, 66, "blue", "star")])
    draw_scene(rng, shapes).save(folder / "shapes.png", optimize=True)
    draw_scene(rng, Scene("number", 300, 225, written("47", 100, 110, 60))).save(folder / "number.jpg", quality=88)

    centres = [(56, 92 - 72 * i / 31) for i in range(4 * RATE_OF_CLIPS)]
    clip = Clip(112, 112, thing(0, 0, 17, "purple", "heart"), 2, centres)
    write_film(folder / "moving.mp4", draw_clip(rng, clip), clip.width, clip.height)

    rabbit = Utterance("en", ("rabbit",), "en-us+f2", 150, 50)
    write_wave(folder / "rabbit.wav", noisy(rng, resample(*speak(rabbit))))
    digits = folder / "digits.wav"
    write_wave(digits, noisy(rng, resample(*speak(Utterance("zh", ("5", "2", "8"), "cmn+m3", 150, 45)))))
    coder = ["-b:a", "48k", "-fflags", "+bitexact"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", digits, *coder, folder / "digits.mp3"], check=True)
    digits.unlink()


if __name__ == "__main__":
    main()
