#!/usr/bin/env python3
"""Measures the latent cache as a service: sessions side by side, shared prefixes, forks, cancelling, stalls.

All in one process through the Python binding, one session and many taking turns in every round, since the machine's
memory may change its speed from minute to minute. Sessions are private unless sharing is what is measured.
"""

import argparse
import json
import os
import random
import statistics
import sys
import threading
import time
from pathlib import Path

import bench_model
import model_writer

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
os.environ.setdefault("DORMOUSE_LIBRARY", str(BUILD / "release" / "libDormouse.so"))

import dormouse  # noqa: E402


class Service:
    """One engine, and what is measured with it."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.engine = dormouse.Engine(arguments.model, weights=arguments.weights, threads=arguments.threads)
        self.vocabulary = self.engine.info()["vocabulary_size"]
        self.random = random.Random(1)

    def ids(self, count: int) -> list[int]:
        return [self.random.randrange(self.vocabulary) for _ in range(count)]

    def session(self, private: bool = True) -> dormouse.Session:
        length = self.arguments.prefix + 256
        return self.engine.session(context_length=length, cache=self.arguments.cache, private=private)

    def decode(self, count: int) -> dict[str, float]:
        """`count` sessions generating at the same time: tokens/s together, and the share of time outside of steps."""
        sessions = [self.session() for _ in range(count)]
        for session in sessions:
            session.prefill(self.ids(16))
        before = self._step_seconds()
        seconds = self._at_once([lambda session=session: self._generate(session) for session in sessions])
        steps = self._step_seconds() - before
        for session in sessions:
            session.close()
        rate = count * self.arguments.gen / seconds
        return {"tokens_per_second": rate, "outside_of_steps": 1 - steps / seconds}

    def _step_seconds(self) -> float:
        seconds = self.engine.statistics()["seconds"]
        return seconds["prompt"] + seconds["mixed"] + seconds["generation"]

    def _generate(self, session: dormouse.Session) -> None:
        # The first token belongs to the prompt.
        session.generate(self.ids(1), stream=False, max_tokens=self.arguments.gen + 1, ignore_eos=True)

    def _at_once(self, bodies: list) -> float:
        """Seconds from the start of all threads to the end of the last."""
        barrier = threading.Barrier(len(bodies) + 1)

        def run(body) -> None:
            barrier.wait()
            body()

        threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        barrier.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    def prefix(self) -> dict[str, float]:
        """Two requests with the same long beginning, and forks of the second one."""
        beginning = self.ids(self.arguments.prefix)
        first, second = self.session(private=False), self.session(private=False)
        seconds, found = [], []
        for session in (first, second):
            start = time.perf_counter()
            answer = session.generate(beginning + self.ids(8), stream=False, max_tokens=1, ignore_eos=True)
            seconds.append(time.perf_counter() - start)
            found.append(answer.end.prompt_shared)
        pages = self._pages()
        forks = []
        for _ in range(50):
            start = time.perf_counter()
            fork = second.fork()
            forks.append(time.perf_counter() - start)
            fork.close()
        fork = second.fork()
        copied = self._pages() - pages
        for session in (first, second, fork):
            session.close()
        return {
            "first_seconds": seconds[0],
            "second_seconds": seconds[1],
            "shared_tokens": found[1],
            "fork_milliseconds": 1e3 * statistics.median(forks),
            "fork_copied_pages": copied,
        }

    def _pages(self) -> int:
        return self.engine.statistics()["cache"][self.arguments.cache]["used"]

    def cancel(self) -> float:
        """Milliseconds from cancelling a long prompt to the end of its call."""
        session = self.session()
        ended = []

        def prefill() -> None:
            try:
                session.prefill(self.ids(self.arguments.prefix))
            except dormouse.CancelledError:
                ended.append(time.perf_counter())

        thread = threading.Thread(target=prefill)
        thread.start()
        time.sleep(0.3)
        start = time.perf_counter()
        session.cancel()
        thread.join()
        session.close()
        return 1e3 * (ended[0] - start) if ended else float("nan")

    def stall(self) -> dict[str, float]:
        """Milliseconds between one session's tokens, alone and while another reads a long prompt."""
        session, other = self.session(), self.session()
        session.prefill(self.ids(16))
        times = []
        prompt = threading.Thread(target=lambda: other.prefill(self.ids(self.arguments.prefix)))
        for event in session.generate(self.ids(1), max_tokens=48, ignore_eos=True):
            if event.kind != "token":
                continue
            times.append(time.perf_counter())
            if len(times) == 16:
                prompt.start()
        other.cancel()
        prompt.join()
        gaps = [1e3 * (after - before) for before, after in zip(times, times[1:])]
        session.close(), other.close()
        return {"alone": statistics.median(gaps[:14]), "median": statistics.median(gaps[16:]), "longest": max(gaps[16:])}


def quiet(function, *arguments):
    """A cancelled prompt is what `stall` leaves behind."""
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        return function(*arguments)
    finally:
        threading.excepthook = hook


def own_model() -> Path:
    shape = bench_model.Shape(layers=6)
    models = BUILD / "benchmarks" / "models"
    model_writer.write_missing(models, shape, ["bf16"], lambda part: print(f"writing the model: {part}", file=sys.stderr))
    return model_writer.path_of(models, shape.layers, "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model's folder; default: the benchmark's own, written where it is missing")
    parser.add_argument("--weights", default="int8", choices=["native", "int8", "int4"])
    parser.add_argument("--cache", default="f32", choices=["f32", "bf16", "int8"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--gen", type=int, default=32, help="tokens that each session generates")
    parser.add_argument("--prefix", type=int, default=4096, help="tokens of the shared prefix")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    arguments.model = arguments.model or own_model()
    service = Service(arguments)
    service.decode(1)
    rounds = []
    for number in range(arguments.rounds):
        limits = dormouse.measure_machine(arguments.threads)
        one, many = service.decode(1), service.decode(arguments.sessions)
        rounds.append({"bytes_per_second": limits.bytes_per_second, "one": one, "many": many})
        print(
            f"round {number + 1}: {limits.bytes_per_second / 1e9:.1f} GB/s, one session"
            f" {one['tokens_per_second']:.1f} tokens/s, {arguments.sessions} sessions {many['tokens_per_second']:.1f}",
            file=sys.stderr,
        )
    ratios = [entry["many"]["tokens_per_second"] / entry["one"]["tokens_per_second"] for entry in rounds]
    result = {
        "rounds": rounds,
        "ratio": statistics.median(ratios),
        "outside_of_steps": statistics.median(entry["one"]["outside_of_steps"] for entry in rounds),
        "prefix": [service.prefix() for _ in range(2)],
        "cancel_milliseconds": [service.cancel() for _ in range(5)],
        "stall_milliseconds": quiet(service.stall),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
