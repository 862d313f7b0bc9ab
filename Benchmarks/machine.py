"""What this machine is, whether it is large enough, and whether it is idle."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30


def processor() -> str:
    """The processor's name as the system gives it."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, the control group's limit included; None when unknown."""
    available = None
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            available = 1024 * int(line.split()[1])
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        within = max(0, limit - used)
        available = within if available is None else min(available, within)
    return available


def threads() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def shortage(folder: Path, disk_bytes: float, memory_bytes: float) -> str | None:
    """A sentence that tells what is too small, or None. folder: where the files go, or one of its parents exists."""
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < disk_bytes:
        return f"{place} has {free / GIB:.1f} GiB free and the model takes {disk_bytes / GIB:.1f} GiB"
    memory = available_memory()
    if memory is not None and memory < memory_bytes:
        return f"{memory / GIB:.1f} GiB of memory are available and the model needs {memory_bytes / GIB:.1f} GiB"
    return None


def read_once(path: Path) -> None:
    """Reads a file or a folder's files, so that loading finds them in the page cache if that is large enough."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with open(file, "rb", buffering=0) as stream:
            while stream.read(1 << 24):
                pass


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of all processors since the start, from /proc/stat: at work, and taken by the host for others."""

    clock: float
    busy: float
    stolen: float

    @staticmethod
    def now() -> "ProcessorTime | None":
        lines = _lines("/proc/stat")
        if not lines:
            return None
        return ProcessorTime.parse(lines[0], time.monotonic(), os.sysconf("SC_CLK_TCK"))

    @staticmethod
    def parse(line: str, clock: float, ticks: int) -> "ProcessorTime":
        """line: `cpu user nice system idle iowait irq softirq steal ...`."""
        user, nice, system, _, _, irq, softirq, steal = (int(word) / ticks for word in line.split()[1:9])
        return ProcessorTime(clock, user + nice + system + irq + softirq, steal)


def disturbance(before: ProcessorTime, after: ProcessorTime, own_seconds: float, processors: int) -> float:
    """The share (0 to 1) of all processors that others took between two moments, with what the host took."""
    others = after.busy - before.busy - own_seconds + after.stolen - before.stolen
    whole = (after.clock - before.clock) * processors
    return min(1.0, max(0.0, others / whole)) if whole > 0 else 0.0


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _number(path: str) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdigit() else None
