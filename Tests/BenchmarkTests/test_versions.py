"""The table of two builds that take turns."""

import versions


def test_rows():
    pairs = [[10, 20], [40, 20], [20, 20], [10, 10]]
    assert versions.row("decode", "int4", pairs) == ["decode, int4", "15.0 tokens/s", "20.0", "1.000x", "1.000 to 1.000"]
    assert versions.row("open", "native", [[2, 4]])[3:] == ["2.000x", "2.000 to 2.000"]
