#!/usr/bin/env python3
"""Measures what int8 and int4 weights cost in accuracy, beside weights rounded to llama.cpp's Q8_0 and Q4_0.

On a random model of the benchmark's widths: the error of all logits, ||a - b|| / ||b||, where b are those of the bf16
weights with float32 sums. The rounded weights are written as float32 and run natively, so activations stay float32
there. A change of the experts that a token goes to counts like any other error, on both sides.
"""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bench_model
import checkpoint
import engines
import machine
import model_writer
import report
import rounding

BUILD = Path(__file__).resolve().parent.parent / ".build"

# The widths of the reference; fewer experts and words, since only time depends on their number.
SHAPE = {"experts": 16, "vocabulary": 4096}


@dataclass(frozen=True)
class Subject:
    """One way to hold the weights."""

    name: str
    folder: str  # of the model
    weights: str  # --weights
    bound: tuple[float, str] | None = None  # at most so many times the error of another
    absorbed: bool = False  # attention as decoding computes it, else as prefill does


REFERENCE = Subject("bf16, float32 sums", "bf16", "native")
SUBJECTS = [
    Subject("rounded to Q8_0", "Q8_0", "native"),
    Subject("int8", "bf16", "int8", (1.5, "rounded to Q8_0")),
    Subject("int8, absorbed", "bf16", "int8", (1.5, "rounded to Q8_0"), absorbed=True),
    Subject("rounded to Q4_0", "Q4_0", "native"),
    Subject("int4", "bf16", "int4", (1.0, "rounded to Q4_0")),
    Subject("int4, absorbed", "bf16", "int4", (1.0, "rounded to Q4_0"), absorbed=True),
]
ROUNDINGS = {"Q8_0": rounding.round_q8_0, "Q4_0": rounding.round_q4_0}


@dataclass(frozen=True)
class Outcome:
    """Errors relative to the reference: of all logits together, and the median over positions."""

    subject: Subject
    whole: float | None
    middle: float | None
    refusal: str | None = None


def write_models(folder: Path, shape: bench_model.Shape) -> None:
    """Those that are not there: "bf16" and one for each of `ROUNDINGS`."""
    makers = {"bf16": lambda path: model_writer.BFloat16Folder(path, shape)}
    for name, function in ROUNDINGS.items():
        makers[name] = lambda path, function=function: model_writer.RoundedFolder(path, shape, function)
    missing = [name for name in makers if not (folder / name).exists()]
    if not missing:
        return
    with model_writer.unfinished(folder) as unfinished:
        targets = [makers[name](unfinished / name) for name in missing]
        model_writer.write_all(shape, targets, [], lambda part: print(f"writing the models: {part}", file=sys.stderr))
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (unfinished / name).rename(folder / name)


def logits(arguments: argparse.Namespace, subject: Subject, folder: Path) -> tuple[np.ndarray | None, str | None]:
    """([tokens, vocabulary], None), or (None, the sentence of a refusal)."""
    generator = random.Random(11)
    ids = [generator.randrange(SHAPE["vocabulary"]) for _ in range(arguments.tokens)]
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "ids.json"), Path(place, "logits.safetensors")
        source.write_text(json.dumps(ids))
        command = [str(arguments.binary), "logits", str(folder / subject.folder), "--json"]
        command += ["--ids", str(source), "--output", str(target), "--threads", str(arguments.threads)]
        command += [] if subject.weights == "native" else ["--weights", subject.weights]
        command += ["--absorbed"] if subject.absorbed else []
        _, refusal, _ = engines.run(command)
        return (None, refusal) if refusal else (checkpoint.read(target)["logits"].astype(np.float64), None)


def compare(subject: Subject, found: np.ndarray, expected: np.ndarray) -> Outcome:
    """found, expected: [tokens, vocabulary]."""
    differences = np.linalg.norm(found - expected, axis=1)
    sizes = np.linalg.norm(expected, axis=1)
    whole = np.linalg.norm(differences) / np.linalg.norm(sizes)
    return Outcome(subject, float(whole), float(np.median(differences / sizes)))


def is_within(outcome: Outcome, outcomes: list[Outcome]) -> bool | None:
    """Whether the bound holds; None without a bound or one of the errors."""
    if outcome.subject.bound is None or outcome.whole is None:
        return None
    factor, name = outcome.subject.bound
    other = next((entry.whole for entry in outcomes if entry.subject.name == name), None)
    return None if other is None else outcome.whole <= factor * other


def table(outcomes: list[Outcome]) -> str:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.3f} %"

    rows = []
    for outcome in outcomes:
        bound = outcome.subject.bound
        words = "-" if bound is None else f"{bound[0]:g}x {bound[1].split()[-1]}"
        within = {True: "yes", False: "NO", None: "-"}[is_within(outcome, outcomes)]
        rows.append([outcome.subject.name, percent(outcome.whole), percent(outcome.middle), words, within])
    return report.table(["weights", "error of logits", "median position", "at most", "within"], rows)


def measure(arguments: argparse.Namespace, folder: Path) -> list[Outcome]:
    """Raises RuntimeError when the reference itself cannot be computed."""
    expected, refusal = logits(arguments, REFERENCE, folder)
    if expected is None:
        raise RuntimeError(refusal)
    outcomes = []
    for subject in SUBJECTS:
        found, refusal = logits(arguments, subject, folder)
        outcomes.append(
            Outcome(subject, None, None, refusal) if found is None else compare(subject, found, expected)
        )  # fmt: skip
    return outcomes


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=2, help="of the model; default 2, which takes 3 GB of disk")
    parser.add_argument("--tokens", type=int, default=64, help="positions; default 64")
    parser.add_argument("--threads", type=int, default=min(2, machine.threads()))
    parser.add_argument("--binary", type=Path, default=BUILD / "release" / "dormouse", help="the dormouse command")
    parser.add_argument("--models", type=Path, default=BUILD / "benchmarks" / "models", help="where models are kept")
    arguments = parser.parse_args(words)
    if min(arguments.layers, arguments.tokens, arguments.threads) < 1:
        parser.error("--layers, --tokens and --threads must be at least 1")
    return arguments


def main() -> int:
    arguments = parse()
    shape = bench_model.Shape(layers=arguments.layers, **SHAPE)
    size = bench_model.parameter_count(shape)
    folder = arguments.models / f"accuracy-{arguments.layers}-layers"
    reason = machine.shortage(arguments.models, 0 if folder.exists() else 10.5 * size, 6 * size)
    if not arguments.binary.is_file():
        reason = f"{arguments.binary} is missing: build it first (make build)"
    if reason:
        print(f"accuracy: {reason}", file=sys.stderr)
        return 1
    try:
        write_models(folder, shape)
        outcomes = measure(arguments, folder)
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.refusal:
            print(f"\nNot measured: {outcome.subject.name}: {outcome.refusal}")
    return 1 if any(is_within(outcome, outcomes) is False for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
