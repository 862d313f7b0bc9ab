"""The conversations of Tests/Fixtures/models-media, their images, videos and audio by formula."""

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FOLDER = TESTS / "Fixtures" / "models-media" / "kimi_k25-tiny"
# Sees and hears.
OMNI = TESTS / "Fixtures" / "models-media" / "kimi_k25-omni"

sys.path[:0] = [str(TESTS / "Fixtures" / "vision"), str(TESTS / "Fixtures" / "audio")]
import synthetic_audio  # noqa: E402
import synthetic_images  # noqa: E402


def conversations(folder=FOLDER):
    """By name: messages (parts as the goldens have them), ids, greedy."""
    document = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in document["conversations"]}


def pixels(part):
    """The array of a part, and its frames a second; None and None for a text or audio."""
    if part["type"] == "image":
        return synthetic_images.image(*part["image"]), None
    if part["type"] == "video":
        return synthetic_images.video(*part["video"][:4]), part["video"][4]
    return None, None


def samples(part):
    """Those of audio, and how many of them a second; None and None for another part."""
    return (synthetic_audio.voice(*part["audio"]), synthetic_audio.RATE) if part["type"] == "audio" else (None, None)


def write_png(path, array):
    from PIL import Image

    Image.fromarray(array).save(path)


def write_video(path, frames, rate):
    """A video without loss: FFV1 in planes of red, green and blue."""
    count, height, width, _ = frames.shape
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{width}x{height}", "-r", str(rate), "-i", "-", "-c:v", "ffv1", "-pix_fmt", "gbrp", str(path),
    ]  # fmt: skip
    subprocess.run(command, input=frames.tobytes(), check=True)


def write_audio(path, samples, rate):
    """A WAV without loss, in 32 bits."""
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "-",
        "-c:a", "pcm_f32le", str(path),
    ]  # fmt: skip
    subprocess.run(command, input=samples.tobytes(), check=True)
