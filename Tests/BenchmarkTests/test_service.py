"""The measurements of sessions, on the model that ships: what they report is there and can be right."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "examples" / "models" / "dormouse-tiny"


def test_service_measures_sessions():
    command = [sys.executable, ROOT / "Benchmarks" / "service.py", "--model", TINY, "--weights", "native"]
    command += ["--threads", "2", "--sessions", "3", "--gen", "6", "--prefix", "256", "--rounds", "1"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["ratio"] > 0 and len(report["rounds"]) == 1
    for entry in report["prefix"]:
        assert entry["shared_tokens"] == 256 and entry["fork_copied_pages"] == 0
        assert 0 < entry["second_seconds"]
    assert 0 <= report["outside_of_steps"] < 1
    assert report["stall_milliseconds"]["longest"] >= report["stall_milliseconds"]["median"] > 0
