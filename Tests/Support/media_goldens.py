"""The conversations of Tests/Fixtures/models-media/kimi_k25-tiny, their pictures and films by formula."""

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FOLDER = TESTS / "Fixtures" / "models-media" / "kimi_k25-tiny"

sys.path.insert(0, str(TESTS / "Fixtures" / "vision"))
from pictures import film, picture  # noqa: E402


def conversations():
    """By name: messages (parts as the goldens have them), ids, greedy."""
    document = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in document["conversations"]}


def pixels(part):
    """The array of a part, and its frames a second; None and None for a text."""
    if part["type"] == "image":
        return picture(*part["image"]), None
    if part["type"] == "video":
        return film(*part["video"][:4]), part["video"][4]
    return None, None


def write_png(path, array):
    from PIL import Image

    Image.fromarray(array).save(path)


def write_film(path, frames, rate):
    """A film without loss: FFV1 in planes of red, green and blue."""
    count, height, width, _ = frames.shape
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{width}x{height}", "-r", str(rate), "-i", "-", "-c:v", "ffv1", "-pix_fmt", "gbrp", str(path),
    ]  # fmt: skip
    subprocess.run(command, input=frames.tobytes(), check=True)
