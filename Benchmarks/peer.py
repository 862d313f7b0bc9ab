#!/usr/bin/env python3
"""Times llama.cpp (the xllamacpp package, prebuilt) on a GGUF: one process, one JSON object on stdout.

The server's own clock counts, which leaves out HTTP and JSON. Weights are read into memory, not mapped.
"""

import argparse
import ctypes
import importlib.metadata
import json
import random
import sys
import time


def open_server(arguments: argparse.Namespace):
    """(server, seconds it took to load)."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.n_ctx = arguments.depth + arguments.prompt + arguments.gen + 64
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = arguments.threads
    parameters.cpuparams_batch.n_threads = arguments.threads
    parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    parameters.warmup = False  # would count as loading; main() warms up itself
    parameters.fit_params = False
    parameters.verbosity = 0
    start = time.monotonic()
    server = xllamacpp.Server(parameters)
    return server, time.monotonic() - start


def complete(server, ids: list[int], count: int, keep: bool = False) -> dict:
    """The server's timings of `count` tokens after `ids`; `keep`: what the last call computed may be reused."""
    request = {"prompt": ids, "n_predict": count, "cache_prompt": keep}
    request |= {"temperature": 0.0, "ignore_eos": True, "stream": False}
    answer = server.handle_completions(request)
    if isinstance(answer, (str, bytes)):
        answer = json.loads(answer)
    if "timings" not in answer:
        raise RuntimeError(f"llama.cpp answered {json.dumps(answer)[:300]}")
    return answer["timings"]


def read_bandwidth(library: str | None, threads: int) -> list[float]:
    """Bytes a second that so many threads read, as Dormouse's library measures it; nothing without the library."""
    if library is None:
        return []
    bytes_per_second, operations_per_second = ctypes.c_double(), ctypes.c_double()
    measure = ctypes.CDLL(library).dormouse_machine_measure
    status = measure(ctypes.byref(bytes_per_second), ctypes.byref(operations_per_second), ctypes.c_uint32(threads), None)
    return [bytes_per_second.value] if status == 0 else []


def measure(server, arguments: argparse.Namespace) -> dict:
    """Rates of each repetition, after `depth` tokens that are not timed, and the machine's before each and after all."""
    prefill, decode, bandwidth = [], [], []
    for repetition in range(arguments.reps):
        bandwidth += read_bandwidth(arguments.library, arguments.threads)
        generator = random.Random(repetition)
        ids = [generator.randrange(10, 30000) for _ in range(arguments.depth + arguments.prompt)]
        if arguments.depth:
            complete(server, ids[: arguments.depth], 1)
        timings = complete(server, ids, arguments.gen, keep=arguments.depth > 0)
        prefill.append(timings["prompt_per_second"])
        decode.append(timings["predicted_per_second"])
    bandwidth += read_bandwidth(arguments.library, arguments.threads)
    return {"all_prefill": prefill, "all_decode": decode, "all_machine_bytes_per_second": bandwidth}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF")
    parser.add_argument("--prompt", type=int, default=512, help="tokens to prefill; default 512")
    parser.add_argument("--gen", type=int, default=64, help="tokens to generate; default 64")
    parser.add_argument("--depth", type=int, default=0, help="tokens before them, not timed; default 0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--library", help="libDormouse.so, to measure the machine beside")
    arguments = parser.parse_args()

    import xllamacpp

    server, load_seconds = open_server(arguments)
    complete(server, list(range(10, 26)), 2)
    result = {
        "engine": "llama.cpp", "package": "xllamacpp " + importlib.metadata.version("xllamacpp"),
        "features": xllamacpp.get_system_info(), "load_seconds": load_seconds, **measure(server, arguments),
    }  # fmt: skip
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
