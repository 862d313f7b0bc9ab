"""The table of turns that both engines take in one process."""

import turns


def pair(peer, dormouse, *bandwidth):
    return turns.Pair(peer, dormouse, list(bandwidth))


def test_pairs_are_compared_one_by_one():
    """Medians of the rates may say 2.5 where no pair does."""
    pairs = [pair(10, 20, 30e9), pair(20, 60, 30e9), pair(40, 50, 30e9)]
    table = turns.summary([{"weights": "int4", "prompt": 512, "pairs": pairs}])
    assert "2.00x" in table and "1.90x" in table
    assert "fast, 30.0 GB/s" in table  # nothing slower is known


def test_memory_is_told_apart():
    pairs = [pair(50, 80, 33e9, 32e9), pair(60, 120, 56e9, 57e9), pair(60, 60, 33e9, 57e9)]
    lines = turns.summary([{"weights": "int8", "prompt": 4096, "pairs": pairs}]).splitlines()
    assert [line.split("|")[2].split(",")[0].strip() for line in lines[2:]] == ["all", "slow", "fast"]
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["3", "1", "1"]
    assert "1.60x" in lines[3] and "2.00x" in lines[4]
