"""One benchmark: runs engines, keeps what they reported, and writes it down after every run."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import bench_model
import engines
import machine
import model_writer
from engines import Measurement, Workload

FORMAT = 1  # of the JSON file


class Session:
    """arguments: of compare.py. `results` is what the JSON file holds: facts, and `runs` in the order they happened."""

    def __init__(self, arguments: argparse.Namespace, shape: bench_model.Shape):
        self.arguments = arguments
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        arguments.output.mkdir(parents=True, exist_ok=True)
        self.path = arguments.output / f"results-{started.replace(' ', '-').replace(':', '')}.json"
        self.results = {
            "format": FORMAT,
            "started": started,
            "finished": False,
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "machine": {"processor": machine.processor(), "processors": machine.threads()},
            "model": {"layers": shape.layers, "parameters": bench_model.parameter_count(shape)},
            "runs": [],
        }
        self.refused: set[tuple[str, str]] = set()

    def peer(self, series: str, weights: str, workload: Workload, threads: int | None = None) -> None:
        """weights: "Q8_0" or "Q4_0"."""
        threads = threads or self.arguments.threads
        model = self._model(weights)
        command = engines.peer_command(model, workload, threads, 1, self.arguments.binary)
        self._measure(
            series,
            "llama.cpp",
            weights,
            model,
            lambda: engines.of_peer(weights, workload, threads, engines.run(command)),
        )

    def dormouse(
        self, series: str, weights: str, workload: Workload, threads: int | None = None,
        environment: dict | None = None, packed: Path | None = None,
    ) -> None:
        """weights: "int8", "int4", "native" or "fp8"; the last two are their files' own. packed: the folder of packed
        weights."""
        threads = threads or self.arguments.threads
        model = self._model("fp8" if weights == "fp8" else "bf16")
        held = "native" if weights == "fp8" else weights
        command = engines.dormouse_command(
            self.arguments.binary, model, held, workload, threads, 1, self.arguments.cache, packed
        )
        self._measure(
            series, "Dormouse", weights, packed or model,
            lambda: engines.of_dormouse(weights, workload, threads, engines.run(command, environment)),
        )  # fmt: skip

    def has_refused(self, series: str, weights: str) -> bool:
        """Whether Dormouse did not run with these weights."""
        return (series, "Dormouse" + weights) in self.refused

    def instruction_sets(self) -> list[str]:
        """Those usable here, weakest first."""
        kernels, refusal, _ = engines.run([str(self.arguments.binary), "kernels", "--json"])
        if kernels is None:
            print(f"benchmark: {refusal}", file=sys.stderr)
        return kernels["usable"] if kernels else []

    def finish(self) -> None:
        self.results["finished"] = True
        self._write()

    def _model(self, name: str) -> Path:
        return model_writer.path_of(self.arguments.models, self.results["model"]["layers"], name)

    def _measure(self, series: str, engine: str, weights: str, model: Path, run) -> None:
        """What an engine has refused once in a series is not asked of it again."""
        if (series, engine + weights) in self.refused:
            return
        machine.read_once(model)
        measured: Measurement = run()
        if measured.refusal:
            self.refused.add((series, engine + weights))
        self.results["runs"].append({"series": series, **asdict(measured)})
        self._write()
        print(f"{series}: {line(measured)}", file=sys.stderr)

    def _write(self) -> None:
        """All or nothing: an interrupt must not leave half a file."""
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self.results, indent=1))
        unfinished.replace(self.path)


def read_results(path: Path) -> dict:
    results = json.loads(path.read_text())
    if results.get("format") != FORMAT:
        raise SystemExit(f"benchmark: {path} has format {results.get('format')}: expected {FORMAT}")
    return results


def line(measured: Measurement) -> str:
    """One measurement for a person who watches."""
    work = measured.workload
    what = f"{measured.engine} {measured.weights}, {work['prompt']} + {work['gen']} at depth {work['depth']}"
    what += f", {measured.threads} threads"
    if measured.refusal:
        return f"{what}: {measured.refusal}"
    rates = [("prefill", measured.prefill), ("decode", measured.decode), ("load s", measured.load_seconds)]
    figures = ", ".join(f"{name} {value:.1f}" for name, value in rates if value is not None)
    disturbed = measured.disturbance
    return f"{what}: {figures}" + (f" (others took {100 * disturbed:.0f} %)" if disturbed and disturbed > 0.05 else "")
