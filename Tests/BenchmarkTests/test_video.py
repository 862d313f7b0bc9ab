"""The measurement of videos, on the tiny model that takes images, videos and audio: what it reports is there and can be right."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_videos_are_measured():
    command = [sys.executable, ROOT / "Benchmarks" / "video.py", "--seconds", "12", "--threads", "2", "--reps", "1"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    # Two frames a second, four of them a chunk: an event after each, and one after the prompt.
    assert report["prompt_events"] == 6 + 1 and report["video_tokens"] == 6 * 6
    assert 0 < report["longest_wait"] <= report["seconds"]
    # Beyond the plan: one chunk's encoding and the video's rows.
    assert report["budget_peak"] < report["plan"] + 1_000_000
