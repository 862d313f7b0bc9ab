"""The benchmark of single kernels: it runs, and its figures agree with each other. The sizes here measure nothing."""

import json
import subprocess

import pytest
from conftest import REPOSITORY

BINARY = REPOSITORY / ".build" / "release" / "dormouse-kernels-bench"


@pytest.fixture(scope="module")
def bench():
    assert BINARY.is_file(), f"{BINARY} is missing: build it first"

    def run(*arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120)

    return run


QUICK = ["--bytes", "1", "--seconds", "0.001", "--threads", "2", "--json"]


@pytest.mark.parametrize(
    "case",
    [
        "vector/bfloat16/1408x2048",
        "batch/float8E4M3/1408x2048/x3",
        "attention/bfloat16/heads16/rows1024",
        "vector/int4/2048x1408",
        "matrix/int8/1408x2048/x32",
    ],
)
def test_figures(bench, case):
    result = bench("--only", case, *QUICK)
    assert (result.returncode, result.stderr) == (0, "")
    figures = [json.loads(line) for line in result.stdout.splitlines()]
    assert figures[0]["set"] == "baseline"
    for line in figures:
        assert line["name"].startswith(case) and line["threads"] == 2 and line["passes"] >= 3
        for value, limit, share in [
            ("gigabytes_per_second", "machine_gigabytes_per_second", "share_of_reading"),
            ("gigaflop_per_second", "machine_gigaflop_per_second", "share_of_arithmetic"),
        ]:
            assert line[value] > 0 and line[share] == pytest.approx(line[value] / line[limit])


def test_a_vector_counts_two_operations_a_weight(bench):
    result = bench("--only", "vector/bfloat16/2048x1408", "--set", "baseline", *QUICK)
    line = json.loads(result.stdout)
    assert line["gigaflop_per_second"] == pytest.approx(line["gigabytes_per_second"])


def test_filters(bench):
    names = bench("--list").stdout.splitlines()
    assert len(names) > 100 and len(set(names)) == len(names)
    kept = bench("--list", "--only", "vector,matrix", "--only", "float16/1408x2048").stdout.splitlines()
    assert kept == [
        name for name in names if name.split("/")[0] in ("vector", "matrix") and "float16/1408x2048" in name
    ]


@pytest.mark.parametrize(
    "words",
    [
        "--only nothing",
        "--set abacus",
        "--threads 0",
        "--threads two",
        "--threads 65",
        "--seconds",
        "--bytes 0",
        "--fast",
    ],
)
def test_wrong_usage(bench, words):
    result = bench(*words.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("dormouse-kernels-bench: ") and result.stderr.count("\n") == 1
