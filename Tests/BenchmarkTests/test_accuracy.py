"""Errors and bounds of the accuracy benchmark."""

import numpy as np
import pytest

import accuracy

SUBJECTS = {subject.name: subject for subject in accuracy.SUBJECTS}
Q8_0, INT8 = SUBJECTS["rounded to Q8_0"], SUBJECTS["int8"]
Q4_0, INT4 = SUBJECTS["rounded to Q4_0"], SUBJECTS["int4"]


def outcome(subject, whole):
    return accuracy.Outcome(subject, whole, whole)


def test_errors():
    expected = np.array([[3.0, 4.0], [0.0, 10.0], [0.0, 2.0]])
    found = np.array([[3.0, 4.5], [0.0, 10.0], [1.0, 2.0]])
    result = accuracy.compare(INT8, found, expected)
    assert result.whole == pytest.approx(np.sqrt(1.25 / 129))
    assert result.middle == pytest.approx(0.1)  # of 0.1, 0 and 0.5


@pytest.mark.parametrize("error, within", [(0.015, True), (0.0151, False)])
def test_int8_may_have_half_as_much_again(error, within):
    outcomes = [outcome(Q8_0, 0.01), outcome(INT8, error)]
    assert accuracy.is_within(outcomes[1], outcomes) is within


@pytest.mark.parametrize("error, within", [(0.2, True), (0.201, False)])
def test_int4_may_not_have_more(error, within):
    outcomes = [outcome(Q4_0, 0.2), outcome(INT4, error)]
    assert accuracy.is_within(outcomes[1], outcomes) is within


def test_bounds_need_both_errors():
    refused = accuracy.Outcome(INT8, None, None, "not yet")
    assert accuracy.is_within(refused, [outcome(Q8_0, 0.01), refused]) is None
    assert accuracy.is_within(outcome(INT8, 0.01), []) is None
    assert accuracy.is_within(outcome(Q8_0, 0.01), [outcome(Q8_0, 0.01)]) is None


def test_table():
    lines = accuracy.table([outcome(Q4_0, 0.2), outcome(INT4, 0.3), accuracy.Outcome(INT8, None, None, "not yet")])
    assert "30.000 %" in lines and "NO" in lines and "1.5x Q8_0" in lines
