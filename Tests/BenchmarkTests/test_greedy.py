"""Comparing greedy tokens; needs no torch."""

import pytest

import greedy

ANSWERS = [greedy.Answer([5], [1, 2, 3], [0.5, 0.25, 0.125]), greedy.Answer([5, 6], [4, 4, 4], [0.1, 0.1, 0.1])]


def test_equal_tokens():
    outcome = greedy.compare("bf16", "avx2", [[1, 2, 3], [4, 4, 4]], ANSWERS)
    assert (outcome.equal, outcome.total, outcome.differences) == (6, 6, [])


def test_a_difference_is_told_with_the_margin():
    """Tokens that agree again after a difference do not count."""
    outcome = greedy.compare("bf16", "avx2", [[1, 9, 3], [4, 4, 4]], ANSWERS)
    assert (outcome.equal, outcome.total) == (4, 6)
    assert outcome.differences == [
        "prompt 0 (1 tokens): differs from token 1 on, where the reference's margin is 2.5e-01"
    ]


@pytest.mark.parametrize("tokens", [[4, 4], [4, 4, 4, 4], []])
def test_another_length_is_a_difference(tokens):
    outcome = greedy.compare("bf16", "avx2", [[1, 2, 3], tokens], ANSWERS)
    assert outcome.equal == 3 + min(3, len(tokens)) and len(outcome.differences) == 1


def test_prompts_are_the_same_in_every_run():
    first = greedy.prompts([1, 40], 100)
    assert first == greedy.prompts([1, 40], 100) and [len(prompt) for prompt in first] == [1, 40]
    assert all(2 <= token < 100 for prompt in first for token in prompt)


def test_table():
    outcome = greedy.compare("f32", "baseline", [[1, 2, 3], [4, 4, 5]], ANSWERS)
    assert "5 of 6" in greedy.table([outcome]) and "baseline" in greedy.table([outcome])
