"""Memory stays flat over many short requests."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent / "Fixtures" / "models" / "good-v3-group8"
REQUESTS = 20_000


def test_memory_stays_flat(compile_c):
    program = compile_c(HERE / "soak.c")
    result = subprocess.run([program, MODEL, str(REQUESTS)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    early, late = (int(line) for line in result.stdout.split())
    assert late <= 1.01 * early, f"{early} bytes after {REQUESTS // 4} requests, {late} after {REQUESTS}"
