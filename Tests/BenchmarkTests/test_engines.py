"""Processes that are run, and what they say; the machine's facts. Small scripts stand in for the engines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bench_model
import compare
import engines
import machine
import model_writer
import session

BENCHMARKS = Path(engines.__file__).parent


def python(*lines):
    return [sys.executable, "-c", "\n".join(lines)]


def test_a_process_that_answers():
    result, refusal, disturbed = engines.run(python("print('loading')", "print('{\"a\": 1}')"))
    assert (result, refusal) == ({"a": 1}, None)
    assert disturbed is None or 0 <= disturbed <= 1


@pytest.mark.parametrize(
    "status, output, messages, sentence",
    [
        (1, "", "loading\ndormouse: no such model\n", "no such model"),
        (1, '{"a": 1}', "dormouse: failed later\n", "failed later"),
        (-11, "", "", "no message (status -11)"),
        (2, "", "Error: Unknown option\n", "Error: Unknown option (status 2)"),
        (0, "{broken", "", "no message"),
    ],
)
def test_a_process_that_does_not(status, output, messages, sentence):
    assert engines.interpret(status, output, messages) == (None, sentence)


def test_what_dormouse_reports():
    workload = engines.Workload(prompt=4, gen=2, depth=1)
    answer = {"prefill": {"tokens_per_second": 5.0}, "decode": {"tokens_per_second": 2.0}, "load_seconds": 0.5}
    measured = engines.of_dormouse("int8", workload, 2, (answer, None, 0.0))
    assert (measured.prefill, measured.decode, measured.load_seconds) == (5.0, 2.0, 0.5)
    assert measured.workload == {"prompt": 4, "gen": 2, "depth": 1}
    refused = engines.of_dormouse("int8", workload, 2, (None, "not yet", None))
    assert refused.decode is None and refused.refusal == "not yet"
    assert engines.of_dormouse("int8", workload, 2, ({}, None, None)).prefill is None


def test_what_the_peer_reports():
    answer = {"all_prefill": [1, 9, 3], "all_decode": [4, 2], "load_seconds": 1.5}
    measured = engines.of_peer("Q8_0", engines.Workload(), 2, (answer, None, None))
    assert (measured.prefill, measured.decode, measured.load_seconds) == (3, 3, 1.5)


def test_commands():
    command = engines.dormouse_command(Path("d"), Path("m"), "int4", engines.Workload(7, 3, 1), 2, 1, "bf16")
    assert (
        command
        == "d bench m --json --prompt 7 --gen 3 --depth 1 --threads 2 --reps 1 --weights int4 --cache bf16".split()
    )
    assert "--weights" not in engines.dormouse_command(Path("d"), Path("m"), "native", engines.Workload(), 2, 1)


def test_disturbance():
    before = machine.ProcessorTime.parse("cpu 100 0 50 1000 7 0 0 20 0 0", clock=0.0, ticks=100)
    after = machine.ProcessorTime.parse("cpu 1100 100 150 1500 7 0 0 120 0 0", clock=10.0, ticks=100)
    # 12 s at work and 1 s taken by the host, in 10 s of two processors.
    assert machine.disturbance(before, after, own_seconds=12.0, processors=2) == pytest.approx(0.05)
    assert machine.disturbance(before, after, own_seconds=5.0, processors=2) == pytest.approx(0.4)
    assert machine.disturbance(before, after, own_seconds=99.0, processors=2) == 0


def test_shortage(tmp_path):
    deep = tmp_path / "not" / "there"
    assert machine.shortage(deep, 0, 0) is None
    assert "GiB free and the model takes" in machine.shortage(deep, 1e18, 0)
    assert "memory" in machine.shortage(deep, 0, 1e18)


@pytest.mark.parametrize("words", ["--weights int5", "--prompts a", "--prompts -1", "--threads 0", "--sweep width"])
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.parse(words.split())
    assert stopped.value.code == 2 and "error:" in capsys.readouterr().err


def test_models_that_are_needed():
    assert compare.needed_models(compare.parse([])) == ["bf16", "Q8_0", "Q4_0"]
    assert compare.needed_models(compare.parse(["--no-peer", "--weights", "int8,fp8"])) == ["bf16", "fp8"]
    assert "missing: build it first" in compare.check(compare.parse(["--binary", "/no/such"]), bench_model.Shape())


@pytest.fixture
def stage(tmp_path):
    """A stand-in for the dormouse command, a model that is there in name, and the options to measure with."""
    binary = tmp_path / "dormouse"
    binary.write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\nwords = sys.argv\n"
        "if 'int4' in words: sys.exit('dormouse: no int4 today')\n"
        "if 'int8' in words:\n"
        "  open(sys.path[0] + '/awake', 'w').write(str(os.getpid()))\n"
        "  os.rename(sys.path[0] + '/awake', sys.path[0] + '/asleep')\n"
        "  time.sleep(60)\n"
        "print(json.dumps({'decode': {'tokens_per_second': 2}, 'load_seconds': 1}))\n"
    )
    binary.chmod(0o755)
    model = model_writer.path_of(tmp_path, 2, "bf16")
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    places = ["--models", tmp_path, "--output", tmp_path / "out", "--binary", binary]
    return [str(word) for word in ["--no-peer", "--layers", "2", "--prompts", "512", *places]]


def test_weights_are_packed_once_and_loaded_in_every_round(stage, tmp_path):
    arguments = compare.parse([*stage, "--weights", "int8", "--rounds", "2"])
    asked = []

    class Asked(session.Session):
        def dormouse(self, series, weights, workload, packed=None, **_):
            asked.append((series, packed is not None))
            if packed:
                (packed / "file").touch()

    compare.compare(Asked(arguments, bench_model.Shape(layers=2)), arguments)
    assert asked == [("compare", False), ("packing", True), ("packed", True), ("compare", False), ("packed", True)]


def test_results_are_written_after_every_run(stage, tmp_path):
    arguments = compare.parse([*stage, "--weights", "native,int4", "--rounds", "2"])
    compare.compare(session.Session(arguments, bench_model.Shape(layers=2)), arguments)
    (file,) = (tmp_path / "out").glob("*.json")
    runs = session.read_results(file)["runs"]
    # What was refused in the first round is not asked for again.
    assert [(run["weights"], run["decode"], run["refusal"]) for run in runs] == [
        ("native", 2, None), ("int4", None, "no int4 today"), ("native", 2, None),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished(stage, tmp_path, number):
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import compare, report, machine\n"
        "machine.shortage = lambda *_: None\n"
        "compare.finish = lambda results, _: print(report.text(results))\n"
        "sys.exit(compare.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *stage, "--weights", "native,int8"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
    )  # fmt: skip
    until = time.monotonic() + 30
    while not (tmp_path / "asleep").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    output, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    assert "interrupted: these are the figures up to there" in output and "Traceback" not in messages
    with pytest.raises(ProcessLookupError):  # the engine is gone too
        os.kill(int((tmp_path / "asleep").read_text()), 0)
    (file,) = (tmp_path / "out").glob("*.json")
    results = json.loads(file.read_text())
    assert [run["weights"] for run in results["runs"]] == ["native"] and not results["finished"]
    assert sorted(entry.suffix for entry in (tmp_path / "out").iterdir()) == [".json"]
