#!/usr/bin/env python3
"""Decodes by Dormouse and by llama.cpp in turns of a few tokens within one process.

What a virtual machine's memory gives changes within minutes, sometimes by two; runs one after another then compare
different machines. Here both engines hold the same model at the same time, and each pair of turns is less than a second
apart, the first place changing from pair to pair. The median of the pairs' ratios counts.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import bench_model
import choices
import figures
import machine
import model_writer
import peer
import report

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
LIBRARY = BUILD / "release" / "libDormouse.so"
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
os.environ.setdefault("DORMOUSE_LIBRARY", str(LIBRARY))

import dormouse  # noqa: E402

PAUSE = 0.1  # seconds for an engine's threads to fall asleep


@dataclass(frozen=True)
class Pair:
    """Tokens a second of a turn of each engine, and bytes a second that the machine read before and after both."""

    peer: float
    dormouse: float
    bandwidth: list[float]

    @property
    def ratio(self) -> float:
        return self.dormouse / self.peer


class Peer:
    """llama.cpp, which keeps the prompt."""

    def __init__(self, model: Path, ids: list[int], arguments: argparse.Namespace):
        options = argparse.Namespace(
            model=str(model), depth=0, prompt=len(ids), gen=arguments.gen, threads=arguments.threads
        )
        self.server, _ = peer.open_server(options)
        self.ids, self.gen = ids, arguments.gen
        self.turn()

    def turn(self) -> float:
        """By its own clock."""
        return peer.complete(self.server, self.ids, self.gen, keep=True)["predicted_per_second"]


class Own:
    """Dormouse, behind the same prompt."""

    def __init__(self, weights: str, packed: Path, ids: list[int], arguments: argparse.Namespace):
        folder = model_writer.path_of(arguments.models, arguments.layers, "bf16")
        packed.mkdir(parents=True, exist_ok=True)
        self.engine = dormouse.Engine(
            str(folder), weights=weights, threads=arguments.threads, packed_cache=str(packed)
        )
        self.session = self.engine.session(context_length=len(ids) + arguments.gen + 64)
        self.ids, self.gen = ids, arguments.gen
        self.session.prefill(ids)
        self.turn()

    def turn(self) -> float:
        """The last token of the prompt again, then as many steps as tokens."""
        self.session.truncate(len(self.ids) - 1)
        start = time.perf_counter()
        self.session.generate(self.ids[-1:], stream=False, max_tokens=self.gen, temperature=0, ignore_eos=True)
        return self.gen / (time.perf_counter() - start)


def measure(weights: str, prompt: int, arguments: argparse.Namespace) -> list[Pair]:
    generator = random.Random(prompt)
    ids = [generator.randrange(10, 30000) for _ in range(prompt)]
    packed = arguments.models / f"packed-{arguments.layers}-{weights}"
    own = Own(weights, packed, ids, arguments)
    other = Peer(model_writer.path_of(arguments.models, arguments.layers, figures.PEER_OF[weights]), ids, arguments)
    pairs = []
    before = peer.read_bandwidth(str(LIBRARY), arguments.threads)
    for number in range(arguments.pairs):
        rates = {}
        for name, engine in [("dormouse", own), ("peer", other)][:: 1 if number % 2 else -1]:
            time.sleep(PAUSE)
            rates[name] = engine.turn()
        time.sleep(PAUSE)
        after = peer.read_bandwidth(str(LIBRARY), arguments.threads)
        pairs.append(Pair(bandwidth=before + after, **rates))
        before = after
    own.session.close()
    own.engine.close()
    return pairs


def summary(results: list[dict]) -> str:
    """results: of each kind of weights and prompt its `pairs`."""
    pairs = [pair for entry in results for pair in entry["pairs"]]
    most = max((rate for pair in pairs for rate in pair.bandwidth), default=0.0)
    rows = []
    for entry in results:
        targets = [
            figure.target for figure in figures.FIGURES
            if (figure.metric, figure.weights, figure.prompt) == ("decode", entry["weights"], entry["prompt"])
        ]  # fmt: skip
        for memory in (None, "slow", "fast"):
            alike = [pair for pair in entry["pairs"] if memory in (None, figures.memory_of(pair.bandwidth, most))]
            if alike:
                rows.append(row(entry, memory or "all", alike, targets))
    header = ["after so many tokens", "memory", "pairs", "llama.cpp", "Dormouse", "ratio", "quarters", "target"]
    return report.table(header, rows)


def row(entry: dict, memory: str, pairs: list[Pair], targets: list[float]) -> list[str]:
    ratios = sorted(pair.ratio for pair in pairs)
    quarter = len(ratios) // 4
    bandwidth = statistics.median(rate for pair in pairs for rate in pair.bandwidth)
    return [
        f"{entry['prompt']:,}, {entry['weights']} vs {figures.PEER_OF[entry['weights']]}",
        f"{memory}, {report.number(bandwidth / 1e9)} GB/s", str(len(pairs)),
        report.number(statistics.median(pair.peer for pair in pairs)),
        report.number(statistics.median(pair.dormouse for pair in pairs)), f"{statistics.median(ratios):.2f}x",
        f"{ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f}", f"{targets[0]:.2f}x" if targets else "-",
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="turns.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=6, help="of the model; default 6")
    parser.add_argument(
        "--weights", type=choices.names(tuple(figures.PEER_OF)), default=["int8", "int4"], help="default int8,int4"
    )
    parser.add_argument(
        "--prompts", type=choices.numbers, default=[512, 4096], help="tokens before the turns; default 512,4096"
    )
    parser.add_argument("--gen", type=int, default=32, help="tokens of a turn; default 32")
    parser.add_argument("--pairs", type=int, default=30, help="of turns; default 30")
    parser.add_argument("--threads", type=int, default=min(2, machine.threads()))
    parser.add_argument("--models", type=Path, default=BUILD / "benchmarks" / "models", help="where models are kept")
    parser.add_argument("--output", type=Path, default=BUILD / "benchmarks" / "turns.json", help="all pairs, as JSON")
    arguments = parser.parse_args()
    if min(arguments.layers, arguments.gen, arguments.pairs, arguments.threads, *arguments.prompts) < 1:
        parser.error("--layers, --prompts, --gen, --pairs and --threads must be at least 1")
    return arguments


def main() -> int:
    arguments = parse()
    names = ["bf16", *(figures.PEER_OF[kind] for kind in arguments.weights)]
    shape = bench_model.Shape(layers=arguments.layers)
    model_writer.write_missing(
        arguments.models, shape, names, lambda part: print(f"writing the model: {part}", file=sys.stderr)
    )
    results = []
    for weights in arguments.weights:
        for prompt in arguments.prompts:
            pairs = measure(weights, prompt, arguments)
            results.append({"weights": weights, "prompt": prompt, "pairs": pairs})
            print(summary(results[-1:]), file=sys.stderr)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    plain = [{**entry, "pairs": [asdict(pair) for pair in entry["pairs"]]} for entry in results]
    arguments.output.write_text(json.dumps(plain, indent=1))
    print(summary(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
