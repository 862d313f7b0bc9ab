"""Runs one engine on one workload as a process of its own, so that its memory is gone before the next one starts."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Workload:
    """`prompt` tokens at once after `depth` that are not timed, then `gen` one by one."""

    prompt: int = 512
    gen: int = 64
    depth: int = 0

    @property
    def options(self) -> list[str]:
        return ["--prompt", str(self.prompt), "--gen", str(self.gen), "--depth", str(self.depth)]


@dataclass
class Measurement:
    """What one process reported. Rates are tokens a second; what does not apply, or was not told, is None."""

    engine: str  # "llama.cpp" or "Dormouse"
    weights: str  # "Q8_0", "int8", ...
    workload: dict
    threads: int
    prefill: float | None = None
    decode: float | None = None
    load_seconds: float | None = None
    refusal: str | None = None  # the engine's own sentence, when it did not run
    disturbance: float | None = None  # share of the processors that others took meanwhile
    details: dict | None = None  # everything the process said


def peer_command(model: Path, workload: Workload, threads: int, reps: int, binary: Path) -> list[str]:
    """binary: the dormouse command, whose library measures the machine beside."""
    library = binary.parent / "libDormouse.so"
    command = [sys.executable, str(HERE / "peer.py"), str(model), *workload.options, "--threads", str(threads)]
    command += ["--reps", str(reps)]
    return command + (["--library", str(library.resolve())] if library.is_file() else [])


def dormouse_command(
    binary: Path, model: Path, weights: str, workload: Workload, threads: int, reps: int, cache: str | None = None,
    packed: Path | None = None,
) -> list[str]:
    """weights: native, int8 or int4; packed: the folder of packed weights, written where there is none yet."""
    command = [str(binary), "bench", str(model), "--json", *workload.options, "--threads", str(threads)]
    command += ["--reps", str(reps)]
    command += [] if weights == "native" else ["--weights", weights]
    command += ["--packed-cache", str(packed)] if packed else []
    return command + (["--cache", cache] if cache else [])


def run(command: list[str], environment: dict[str, str] | None = None) -> tuple[dict | None, str | None, float | None]:
    """(the JSON object on stdout, or None; then a sentence why; the share of the processors that others took).

    An interrupt ends the process first and is raised then.
    """
    before, own = machine.ProcessorTime.now(), _children_seconds()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, text=True,
        errors="replace",
    )  # fmt: skip
    try:
        output, messages = process.communicate()
    except BaseException:
        _end(process)
        raise
    after = machine.ProcessorTime.now()
    disturbed = None
    if before and after:
        disturbed = machine.disturbance(before, after, _children_seconds() - own, os.cpu_count() or 1)
    result, refusal = interpret(process.returncode, output, messages)
    return result, refusal, disturbed


def interpret(status: int, output: str, messages: str) -> tuple[dict | None, str | None]:
    """(the last JSON object of `output`, None), or (None, the last line of `messages`) for a process that failed."""
    if status == 0:
        for line in reversed(output.splitlines()):
            if line.startswith("{"):
                try:
                    return json.loads(line), None
                except ValueError:
                    break
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("dormouse: ") if lines else "no message"
    return None, reason if status == 0 or status == 1 else f"{reason} (status {status})"


def of_peer(weights: str, workload: Workload, threads: int, outcome: tuple) -> Measurement:
    """outcome: of `run`."""
    result, refusal, disturbed = outcome
    measured = Measurement("llama.cpp", weights, asdict(workload), threads, refusal=refusal, disturbance=disturbed)
    if result:
        measured.details = result
        measured.prefill = median(result["all_prefill"])
        measured.decode = median(result["all_decode"])
        measured.load_seconds = result["load_seconds"]
    return measured


def of_dormouse(weights: str, workload: Workload, threads: int, outcome: tuple) -> Measurement:
    """outcome: of `run`."""
    result, refusal, disturbed = outcome
    measured = Measurement("Dormouse", weights, asdict(workload), threads, refusal=refusal, disturbance=disturbed)
    if result:
        measured.details = result
        measured.prefill = (result.get("prefill") or {}).get("tokens_per_second")
        measured.decode = (result.get("decode") or {}).get("tokens_per_second")
        measured.load_seconds = result.get("load_seconds")
    return measured


def median(values: list[float]) -> float | None:
    """None for no values."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _children_seconds() -> float:
    """Processor time of all processes that this one started and that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
