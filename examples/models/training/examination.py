"""Draws, films and records the held-out examination of the omni model as real files.

    python examination.py ../../Tests/Fixtures/omni

Needs the commands espeak-ng and ffmpeg. Writes `examination.jsonl`: file, option of the command line, task, question,
answer. Pictures are PNG and JPEG of several sizes, clips MP4 (H.264), sounds WAV and MP3.
"""

import argparse
import json
import random
import subprocess
import wave
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pictures import draw_clip, draw_scene, make_clip, make_scene
from questions import about_clip, about_scene, about_sound
from speech import noisy, random_utterance, resample, speak, RATE

PICTURES, CLIPS, SOUNDS = 120, 60, 90
SIZES = [(112, 112), (140, 112), (100, 120), (131, 97), (140, 140), (224, 224), (320, 240), (97, 131)]
CLIP_SIZES = [(112, 84), (96, 96), (84, 112), (112, 112), (176, 144)]
RATE_OF_CLIPS = 8  # frames a second; the model looks at two of them


def picture(rng, index, folder):
    scene = make_scene(rng, *rng.choice(SIZES), held_out=True)
    image = draw_scene(rng, scene)
    if index % 2:
        name = f"picture{index:03d}.jpg"
        image.save(folder / name, quality=rng.randint(70, 95))
    else:
        name = f"picture{index:03d}.png"
        image.save(folder / name, optimize=True)
    return name, "image", about_scene(rng, scene)


def write_film(path, frames, width, height):
    """H.264 in MP4, of even sides."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r",
         str(RATE_OF_CLIPS), "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-vf",
         "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-fflags", "+bitexact", path],
        input=b"".join(frame.tobytes() for frame in frames), check=True)


def write_wave(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.int16(samples * 32767).tobytes())


def clip(rng, index, folder):
    """2 to 4 seconds; the frames a model looks at are every fourth."""
    frames = rng.choice((4, 6, 8)) * RATE_OF_CLIPS // 2
    made = make_clip(rng, *rng.choice(CLIP_SIZES), frames, held_out=True)
    name = f"clip{index:03d}.mp4"
    write_film(folder / name, draw_clip(rng, made), made.width, made.height)
    return name, "video", about_clip(rng, made)


def sound(rng, index, folder):
    utterance = random_utterance(rng)
    while not utterance.held_out:
        utterance = random_utterance(rng)
    path = folder / f"sound{index:03d}.wav"
    write_wave(path, noisy(rng, resample(*speak(utterance))))
    if index % 4:
        plain, path = path, path.with_suffix(".mp3")
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", plain, "-ar", "22050", "-b:a", "48k", "-fflags", "+bitexact", path],
            check=True)
        plain.unlink()
    return path.name, "audio", about_sound(rng, utterance.language, list(utterance.words))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with open(arguments.folder / "examination.jsonl", "w") as file:
        for make, count in ((picture, PICTURES), (clip, CLIPS), (sound, SOUNDS)):
            for index in range(count):
                rng = random.Random(f"examination {make.__name__} {index}")
                name, option, asked = make(rng, index, arguments.folder)
                line = {"file": name, "option": option, **asdict(asked)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
