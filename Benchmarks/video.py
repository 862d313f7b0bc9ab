#!/usr/bin/env python3
"""Measures a video from file to first token: decoding, sampling, scaling and encoding, what memory it takes, and events.

The video is made by the ffmpeg command: a moving test image in H.264, with audio. Its peak of memory stands beside the
engine's plan, which knows weights, caches and working memory; what a chunk's encoding and the video's rows take comes
on top.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
os.environ.setdefault("DORMOUSE_LIBRARY", str(ROOT / ".build" / "release" / "libDormouse.so"))
os.environ.setdefault("DORMOUSE_MEDIA_LIBRARY", str(ROOT / ".build" / "release" / "libdormouse_media.so"))

import dormouse  # noqa: E402


def make_video(path: Path, seconds: float, size: str) -> None:
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30",
        "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000", "-t", str(seconds), "-pix_fmt", "yuv420p",
        str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def peak_resident() -> int:
    """Bytes of this process that were in memory at most, since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def run(engine: dormouse.Engine, video: Path) -> dict:
    """One chat about the video, on a session of its own that shares nothing."""
    with engine.session(private=True) as session:
        plan = engine.plan()["total"]
        Path("/proc/self/clear_refs").write_text("5")
        resident, start, waits, events = peak_resident(), time.perf_counter(), [], 0
        last = start
        for event in session.chat([{"role": "user", "content": [dormouse.Video(video), "what?"]}], max_tokens=1):
            now = time.perf_counter()
            waits.append(now - last)
            last, events = now, events + (event.kind == "prompt")
            end = event
        return {
            "seconds": last - start, "video_tokens": end.video_tokens, "prompt_events": events,
            "longest_wait": max(waits), "budget_peak": engine.statistics()["memory"]["peak"], "plan": plan,
            "resident_growth": peak_resident() - resident,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    fixture = ROOT / "Tests" / "Fixtures" / "models-media" / "kimi_k25-omni"
    parser.add_argument("--model", type=Path, default=fixture, help="a folder that takes videos (a tiny one)")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--reps", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        make_video(video, arguments.seconds, arguments.size)
        for _ in range(arguments.reps):
            # An engine knows what it has encoded: each measurement has its own.
            with dormouse.Engine(arguments.model, threads=arguments.threads, prefix_cache=False) as engine:
                print(json.dumps(run(engine, video)), flush=True)


if __name__ == "__main__":
    main()
