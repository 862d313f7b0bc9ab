"""Asks a model about images, videos and audio: python omni.py MODEL FILE QUESTION [FILE QUESTION...]"""

import sys
from pathlib import Path
from typing import Callable, Mapping, Set

import dormouse

KINDS: Mapping[Callable[[str], dormouse.Media], Set[str]] = {
    dormouse.Image: {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tiff"},
    dormouse.Video: {".mp4", ".mov", ".webm", ".mkv", ".avi"},
    dormouse.Audio: {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac"},
}


def media(path: str) -> dormouse.Media:
    """The file as what its name says: the library itself looks at the bytes."""
    for kind, suffixes in KINDS.items():
        if Path(path).suffix.lower() in suffixes:
            return kind(path)
    raise SystemExit(f"{path}: neither an image, a video nor audio by its name")


def main() -> None:
    if len(sys.argv) < 4 or len(sys.argv) % 2:
        raise SystemExit(__doc__)
    with dormouse.Engine(sys.argv[1]) as engine, engine.session() as session:
        for path, question in zip(sys.argv[2::2], sys.argv[3::2]):
            messages = [{"role": "user", "content": [media(path), question]}]
            answer = session.chat(messages, max_tokens=100, stream=False)
            end = answer.end
            assert end is not None  # an answer that was read to its end has one
            rows = end.image_tokens + end.video_tokens + end.audio_tokens
            print(f"{path} ({rows} of {end.prompt_tokens} tokens): {answer.text}")


main()
