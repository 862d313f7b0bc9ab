#!/usr/bin/env python3
"""Times Dormouse beside llama.cpp on the same weights, bits and threads, in turns, and prints the ratios.

Writes a random model of DeepSeek-V2-Lite's widths once, then runs both engines round by round, each as a process of
its own, each workload of one beside that of the other. Dormouse measures the machine's own limits in every run. Keep
the machine idle. Results go to a JSON file after every run, so an interrupt (Ctrl-C) loses none that is finished.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import bench_model
import choices
import figures
import machine
import model_writer
import report
from engines import Workload
from session import Session, read_results

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
KINDS = ("int8", "int4", "native", "fp8")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--layers", type=int, default=6, help="6: the reference, 11 GB; 2: a quick look, 3 GB")
    what.add_argument(
        "--weights", type=choices.names(KINDS), default=["int8", "int4", "native"], help="also fp8; default int8,int4,native"
    )
    what.add_argument("--prompts", type=choices.numbers, default=[512, 4096], help="tokens to prefill; default 512,4096")
    what.add_argument("--gen", type=int, default=64, help="tokens to generate after each; default 64")
    what.add_argument(
        "--sweep", type=choices.names(figures.SWEEPS), default=[], help="also depth, threads, batch (tokens at once), sets"
    )
    what.add_argument("--depths", type=choices.numbers, default=[0, 1024, 4096, 8192, 16384, 32768], help="of --sweep depth")
    what.add_argument("--peer-depth", type=int, default=4096, help="deepest that llama.cpp is taken to; default 4096")
    what.add_argument("--cache", choices=["f32", "bf16", "int8"], help="Dormouse's latent cache; llama.cpp's is f16")
    how = parser.add_argument_group("how")
    how.add_argument("--threads", type=int, default=min(2, machine.threads()), help="default 2")
    how.add_argument("--rounds", type=int, default=3, help="of both engines in turns; the median counts; default 3")
    how.add_argument("--no-peer", action="store_true", help="Dormouse alone")
    how.add_argument("--quick", action="store_true", help="--layers 2 --rounds 1 --prompts 512")
    where = parser.add_argument_group("where")
    where.add_argument("--binary", type=Path, default=BUILD / "release" / "dormouse", help="the dormouse command")
    where.add_argument("--models", type=Path, default=BUILD / "benchmarks" / "models", help="where models are kept")
    where.add_argument("--output", type=Path, default=BUILD / "benchmarks", help="where results and plots go")
    where.add_argument("--docs", action="store_true", help="put the plots into docs/ too")
    where.add_argument(
        "--from", type=Path, dest="earlier", metavar="JSON", help="report and plot earlier results; measure nothing"
    )
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.layers, arguments.rounds, arguments.prompts = 2, 1, [512]
    for name in ("layers", "gen", "threads", "rounds"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return arguments


def needed_models(arguments: argparse.Namespace) -> list[str]:
    """Names for `model_writer`, without twice the same."""
    names = ["fp8" if kind == "fp8" else "bf16" for kind in arguments.weights]
    if not arguments.no_peer:
        names += [figures.PEER_OF[kind] for kind in arguments.weights if kind in figures.PEER_OF]
    return list(dict.fromkeys(names))


def check(arguments: argparse.Namespace, shape: bench_model.Shape) -> str | None:
    """A sentence that tells why this cannot run here, or None."""
    if not arguments.binary.is_file():
        return f"{arguments.binary} is missing: build it first (make build)"
    count = bench_model.parameter_count(shape)
    missing = model_writer.missing(arguments.models, shape.layers, needed_models(arguments))
    # What Dormouse packs is as large as what the peer does.
    missing += [
        figures.PEER_OF[kind] for kind in arguments.weights
        if kind in figures.PEER_OF and not _is_packed(_packed_folder(arguments, kind))
    ]  # fmt: skip
    disk = count * sum(model_writer.BYTES_PER_WEIGHT[name] for name in missing)
    # Weights as they are held, and what loading, the cache and the system need beside them.
    bytes_per_weight = 2.0 if "native" in arguments.weights else 1.25
    return machine.shortage(arguments.models, 1.05 * disk, bytes_per_weight * count + 1.5 * machine.GIB)


def compare(session: Session, arguments: argparse.Namespace) -> None:
    """Every round: each workload of each kind of weights, by both engines, which take turns at being first."""
    for number in range(arguments.rounds):
        for kind in arguments.weights:
            for prompt in arguments.prompts:
                workload = Workload(prompt=prompt, gen=arguments.gen)
                runs = [lambda: session.dormouse("compare", kind, workload)]
                if kind in figures.PEER_OF and not arguments.no_peer:
                    runs.insert(number % 2, lambda: session.peer("compare", figures.PEER_OF[kind], workload))
                for run in runs:
                    run()
            if kind in figures.PEER_OF and not session.has_refused("compare", kind):
                load_packed(session, arguments, kind)


def load_packed(session: Session, arguments: argparse.Namespace, kind: str) -> None:
    """Loads weights that were packed before, as the peer's were; the first time, packs and writes them."""
    folder = _packed_folder(arguments, kind)
    workload = Workload(prompt=min(arguments.prompts), gen=1)
    if not _is_packed(folder):
        folder.mkdir(parents=True, exist_ok=True)
        session.dormouse("packing", kind, workload, packed=folder)
    session.dormouse("packed", kind, workload, packed=folder)


def _packed_folder(arguments: argparse.Namespace, kind: str) -> Path:
    return arguments.models / f"packed-{arguments.layers}-{kind}"


def _is_packed(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def sweep(session: Session, arguments: argparse.Namespace, series: str) -> None:
    """One run for each place on the axis."""
    if series == "sets":
        for name in session.instruction_sets():
            # The baseline is a reference for correctness, far too slow for a long prompt.
            workload = Workload(prompt=32 if name == "baseline" else 512, gen=arguments.gen)
            session.dormouse(series, "native", workload, environment={"DORMOUSE_ISA": name})
        return
    for kind in arguments.weights:
        for workload, threads in _places(arguments, series):
            session.dormouse(series, kind, workload, threads=threads)
            if kind in figures.PEER_OF and not arguments.no_peer and workload.depth <= arguments.peer_depth:
                session.peer(series, figures.PEER_OF[kind], workload, threads=threads)


def _places(arguments: argparse.Namespace, series: str) -> Iterator[tuple[Workload, int]]:
    if series == "depth":
        for depth in arguments.depths:
            yield Workload(prompt=128, gen=32, depth=depth), arguments.threads
    elif series == "threads":
        for threads in range(1, machine.threads() + 1):
            yield Workload(prompt=512, gen=32), threads
    else:
        for count in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            yield Workload(prompt=count, gen=1), arguments.threads


def finish(results: dict, arguments: argparse.Namespace) -> None:
    """Prints the report and writes it and the plots."""
    text = report.text(results)
    print(text)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "report.md").write_text(text + "\n")
    import plots  # takes a second to load, and a measurement should not wait for it

    for folder in [arguments.output] + ([ROOT / "docs"] if arguments.docs else []):
        for path in plots.write_all(results, folder):
            print(f"wrote {path}", file=sys.stderr)


def main() -> int:
    arguments = parse()
    if arguments.earlier:
        finish(read_results(arguments.earlier), arguments)
        return 0
    shape = bench_model.Shape(layers=arguments.layers)
    reason = check(arguments, shape)
    if reason:
        print(f"benchmark: {reason}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the engine's process too
    session = None
    try:
        model_writer.write_missing(
            arguments.models,
            shape,
            needed_models(arguments),
            lambda part: print(f"writing the model: {part}", file=sys.stderr),
        )
        session = Session(arguments, shape)
        compare(session, arguments)
        for series in arguments.sweep:
            sweep(session, arguments, series)
        session.finish()
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        if session and session.results["runs"]:
            finish(session.results, arguments)
        return 130
    finish(session.results, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
