"""Ratios and shares from measurements, and the tables of them."""

import pytest

import figures
import report


def run(engine, weights, prompt, series="compare", **values):
    fields = {
        "prefill": None,
        "decode": None,
        "load_seconds": None,
        "refusal": None,
        "disturbance": None,
        "details": None,
    }
    workload = {"prompt": prompt, "gen": 64, "depth": 0}
    return {
        "series": series,
        "engine": engine,
        "weights": weights,
        "workload": workload,
        "threads": 2,
        **fields,
        **values,
    }


def results(runs, **values):
    fields = {"machine": {"processor": "Abacus"}, "model": {"layers": 2, "parameters": 8e8}, "threads": 2, "rounds": 3}
    return {**fields, "started": "today", "finished": True, "runs": runs, **values}


def ratio(runs, name, weights):
    (found,) = [entry for entry in figures.ratios(runs) if (entry.figure.name, entry.figure.weights) == (name, weights)]
    return found


def test_ratios_are_of_medians():
    runs = [run("llama.cpp", "Q8_0", 512, decode=value) for value in (20, 10, 90)]
    runs += [run("Dormouse", "int8", 512, decode=value) for value in (35, 30, 31)]
    found = ratio(runs, "decode", "int8")
    assert (found.peer, found.dormouse, found.value, found.is_reached) == (20, 31, 1.55, False)
    runs += [run("Dormouse", "int8", 512, decode=40), run("Dormouse", "int8", 512, decode=50)]
    assert ratio(runs, "decode", "int8").is_reached is True


def test_times_are_compared_the_other_way_round():
    runs = [run("llama.cpp", "Q4_0", 512, load_seconds=3.0), run("Dormouse", "int4", 512, load_seconds=2.0)]
    runs += [run("Dormouse", "int4", 512, series="packed", load_seconds=0.5)]
    assert ratio(runs, "load bf16 and pack, seconds", "int4").value == 1.5
    assert ratio(runs, "load packed weights, seconds", "int4").value == 6
    assert "packed: Dormouse" not in report.text(results(runs))  # it is no sweep


def test_decoding_has_a_limit():
    """2 GB a token at 100 GB/s are 50 tokens a second: 2.5 times what the peer reached."""
    details = {"weight_bytes_per_token": 1.5e9, "cache_bytes_per_token": 0.5e9, "machine_bytes_per_second": 1e11}
    runs = [run("llama.cpp", "Q8_0", 512, decode=20, prefill=9)]
    runs += [run("Dormouse", "int8", 512, decode=40, prefill=9, details=details)]
    assert ratio(runs, "decode", "int8").most == 2.5
    assert ratio(runs, "prefill 512", "int8").most is None
    assert "2.50x" in report.text(results(runs))


def met(engine, weights, decode, *bandwidth):
    details = {"all_machine_bytes_per_second": list(bandwidth), "package": "abacus", "features": ""}
    return run(engine, weights, 512, decode=decode, details=details)


def test_runs_that_met_the_same_memory_are_compared():
    runs = [met("llama.cpp", "Q4_0", 50, 33e9, 34e9), met("Dormouse", "int4", 90, 33e9, 32e9)]
    runs += [met("llama.cpp", "Q4_0", 64, 56e9, 57e9), met("Dormouse", "int4", 128, 50e9, 56e9)]
    # It changed over meanwhile.
    runs += [met("Dormouse", "int4", 1000, 33e9, 56e9), met("llama.cpp", "Q4_0", 1, 43e9, 43e9)]
    slow, fast = figures.ratios_by_memory(runs)
    assert (slow.memory, slow.ratio.value, slow.bandwidth, slow.ratio.is_reached) == ("slow", 1.8, 33e9, False)
    assert (fast.memory, fast.ratio.value, fast.bandwidth, fast.ratio.is_reached) == ("fast", 2.0, 56e9, True)
    assert (fast.peer_count, fast.dormouse_count) == (1, 1)
    assert "fast, 56.0 GB/s" in report.text(results(runs))


def test_memory_that_never_changes_needs_no_table():
    runs = [met("llama.cpp", "Q4_0", 50, 33e9), met("Dormouse", "int4", 90, 32e9), run("Dormouse", "int4", 512)]
    assert figures.ratios_by_memory(runs) == []
    assert figures.ratios_by_memory([run("llama.cpp", "Q4_0", 512, decode=9)]) == []


def test_a_figure_needs_both_sides():
    runs = [run("llama.cpp", "Q8_0", 512, decode=20), run("Dormouse", "int8", 512, refusal="not yet")]
    found = ratio(runs, "decode", "int8")
    assert (found.peer, found.dormouse, found.value, found.is_reached) == (20, None, None, None)
    assert [entry.figure.weights for entry in figures.ratios(runs)] == ["int8"] * 4


def test_workloads_and_sweeps_are_kept_apart():
    runs = [run("llama.cpp", "Q8_0", 512, decode=20), run("Dormouse", "int8", 512, decode=40)]
    runs += [run("Dormouse", "int8", 4096, decode=30), run("Dormouse", "int8", 512, series="depth", decode=1)]
    assert ratio(runs, "decode", "int8").value == 2
    assert ratio(runs, "decode at depth 4,096", "int8").dormouse == 30


def test_disturbed_runs_give_way():
    runs = [
        run("llama.cpp", "Q8_0", 512, decode=1, disturbance=0.5),
        run("llama.cpp", "Q8_0", 512, decode=9, disturbance=0),
    ]
    alone = run("Dormouse", "int8", 512, decode=2, disturbance=0.5)
    assert figures.undisturbed([*runs, alone]) == [runs[1], alone]
    avx2 = run("Dormouse", "int8", 512, decode=2, disturbance=0, details={"instruction_set": "avx2"})
    assert figures.undisturbed([alone, avx2]) == [alone, avx2]
    refused = run("Dormouse", "int8", 512, refusal="not yet", disturbance=0)
    assert figures.undisturbed([alone, refused]) == [alone, refused]


def test_shares():
    details = {
        "weight_bytes_per_second": 4e10, "share_of_bandwidth": 0.8, "operations_per_second": 1e11,
        "share_of_arithmetic": 0.5, "machine_bytes_per_second": 5e10, "machine_operations_per_second": 2e11,
    }  # fmt: skip
    runs = [run("Dormouse", "int8", 512, decode=50, prefill=300, details=details)]
    (shares,) = figures.shares(runs)
    assert (shares.bandwidth, shares.share_of_bandwidth, shares.arithmetic) == (40, 0.8, 100)
    assert figures.limits(runs) == {"bandwidth": [50], "arithmetic": [200]}


def test_the_whole_report():
    runs = [
        run("llama.cpp", "Q8_0", 512, decode=20, prefill=100, load_seconds=3, disturbance=0.01),
        run("Dormouse", "int8", 512, refusal="this version has native weights only", disturbance=0.3),
    ]
    text = report.text(results(runs, finished=False))
    for words in [
        "Abacus", "decode, int8 vs Q8_0", "1.60x", "Not measured", "native weights only", "interrupted",
        "NOT IDLE: in 1 of 2 runs", "up to 30 %",
    ]:  # fmt: skip
        assert words in text
    runs.append(
        run("Dormouse", "int8", 128, series="depth", decode=7.25, prefill=3.5, details={"instruction_set": "neon"})
    )
    assert "| depth: Dormouse int8 | neon |" in report.text(results(runs)) and "7.25 |" in report.text(results(runs))
    assert "NOT IDLE" not in report.text(results(runs[:1])) and "interrupted" not in report.text(results(runs[:1]))
    assert report.text(results([]))


@pytest.mark.parametrize("value, words", [(None, "-"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (0.0, "0.00")])
def test_numbers(value, words):
    assert report.number(value) == words


def test_tables_line_up():
    lines = report.table(["a", "long"], [["wider", "1"], ["b", "22222"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| ----- | ----: |" and lines[3].endswith("| 22222 |")
