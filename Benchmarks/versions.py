#!/usr/bin/env python3
"""Times two built checkouts in turns: decoding, a prompt and opening a model of each, on the same random model.

Each of them runs in a process of its own and sleeps while the other works; the first place changes from pair to pair, and
the median of the pairs' ratios counts (second over first, above 1 where the second is faster). Keep the machine idle.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import bench_model
import choices
import figures
import machine
import model_writer
import report

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / ".build" / "benchmarks" / "models"
UNITS = {"decode": "tokens/s", "prompt": "tokens/s", "open": "opened/s"}


class Worker:
    """What a child process does: one engine, timed a piece at a time."""

    def __init__(self, arguments: argparse.Namespace, weights: str, name: str):
        import dormouse  # of the checkout, which PYTHONPATH names

        self.arguments = arguments
        packed = arguments.models / f"packed-{arguments.layers}-{weights}-{name}"
        packed.mkdir(parents=True, exist_ok=True)
        self.open_engine = lambda: dormouse.Engine(
            str(model_writer.path_of(arguments.models, arguments.layers, "bf16")),
            weights=weights, threads=arguments.threads, packed_cache=str(packed),
        )  # fmt: skip
        self.engine = self.open_engine()
        self.generator = random.Random(1)
        self.session = self.engine.session(context_length=arguments.prompt + arguments.gen + 64)
        self.prompt()

    def decode(self) -> float:
        self.session.truncate(len(self.ids) - 1)
        start = time.perf_counter()
        self.session.generate(
            self.ids[-1:], stream=False, max_tokens=self.arguments.gen, temperature=0, ignore_eos=True
        )
        return self.arguments.gen / (time.perf_counter() - start)

    def prompt(self) -> float:
        """Of other tokens each time: the engine would find those of before."""
        self.session.truncate(0)
        self.ids = [self.generator.randrange(10, 30000) for _ in range(self.arguments.prompt)]
        start = time.perf_counter()
        self.session.prefill(self.ids)
        return len(self.ids) / (time.perf_counter() - start)

    def open(self) -> float:
        start = time.perf_counter()
        self.open_engine().close()
        return 1 / (time.perf_counter() - start)

    def serve(self) -> None:
        """Answers each line, a piece of work's name, by its rate."""
        print("ready", flush=True)
        for line in sys.stdin:
            print(getattr(self, line.strip())(), flush=True)


class Version:
    """A checkout at work in its process."""

    def __init__(self, checkout: Path, name: str, weights: str, arguments: argparse.Namespace):
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", f"{weights}:{name}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={
                **os.environ,
                "DORMOUSE_LIBRARY": str(checkout / ".build" / "release" / "libDormouse.so"),
                "PYTHONPATH": str(checkout / "bindings" / "python" / "src"),
            },
        )  # fmt: skip
        self.answer()

    def answer(self) -> str:
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"a checkout's process ended with status {self.process.wait()}")
        return line

    def measure(self, work: str) -> float:
        print(work, file=self.process.stdin, flush=True)
        return float(self.answer())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(weights: str, arguments: argparse.Namespace) -> list[list[str]]:
    """A row for each kind of work."""
    versions = [
        Version(checkout, name, weights, arguments)
        for checkout, name in zip(arguments.checkouts, ("first", "second"), strict=True)
    ]
    rows = []
    for work in arguments.work:
        pairs = []
        for number in range(arguments.pairs):
            rates = [0.0, 0.0]
            for place in (0, 1) if number % 2 else (1, 0):
                time.sleep(0.1)
                rates[place] = versions[place].measure(work)
            pairs.append(rates)
        rows.append(row(work, weights, pairs))
        print("  ".join(rows[-1]), file=sys.stderr)
    for version in versions:
        version.close()
    return rows


def row(work: str, weights: str, pairs: list[list[float]]) -> list[str]:
    """Of the table: the medians of both, and how the ratios of the pairs spread."""
    ratios = sorted(second / first for first, second in pairs)
    quarter = len(ratios) // 4
    first, second = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return [
        f"{work}, {weights}", f"{report.number(first)} {UNITS[work]}", report.number(second),
        f"{statistics.median(ratios):.3f}x", f"{ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}",
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="versions.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", type=Path, nargs=2, help="two folders, each after `make build`")
    parser.add_argument("--layers", type=int, default=2, help="of the model; default 2")
    parser.add_argument(
        "--weights", type=choices.names(("native", *figures.PEER_OF)), default=["int8", "int4"],
        help="default int8,int4",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=choices.names(tuple(UNITS)), default=list(UNITS), help="default decode,prompt,open"
    )
    parser.add_argument("--prompt", type=int, default=512, help="tokens; default 512")
    parser.add_argument("--gen", type=int, default=64, help="tokens to decode in a turn; default 64")
    parser.add_argument("--pairs", type=int, default=20, help="of turns; default 20")
    parser.add_argument("--threads", type=int, default=min(2, machine.threads()))
    parser.add_argument("--models", type=Path, default=MODELS, help="where models are kept")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if min(arguments.layers, arguments.prompt, arguments.gen, arguments.pairs, arguments.threads) < 1:
        parser.error("--layers, --prompt, --gen, --pairs and --threads must be at least 1")
    return arguments


def main() -> int:
    arguments = parse()
    if arguments.worker:
        Worker(arguments, *arguments.worker.split(":")).serve()
        return 0
    shape = bench_model.Shape(layers=arguments.layers)
    model_writer.write_missing(
        arguments.models, shape, ["bf16"], lambda part: print(f"writing the model: {part}", file=sys.stderr)
    )
    rows = [row for weights in arguments.weights for row in measure(weights, arguments)]
    print(report.table(["work", "first", "second", "ratio", "quarters"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
