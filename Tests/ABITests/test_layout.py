"""Layouts and numbers: C, ctypes and the committed layout.json say the same.

A change of layout.json other than an addition breaks programs compiled before it.
To write it anew: DORMOUSE_WRITE_LAYOUT=1 with this test.
"""

import ctypes
import json
import os
import subprocess
from pathlib import Path

import pytest
from header import constants, probe, structs

LAYOUT = Path(__file__).with_name("layout.json")


@pytest.fixture(scope="module")
def layout_of_c(compile_c, tmp_path_factory):
    source = tmp_path_factory.mktemp("probe") / "probe.c"
    source.write_text(probe())
    output = subprocess.run([compile_c(source)], capture_output=True, text=True, check=True).stdout
    return json.loads(output)


def test_parser_sees_the_whole_header():
    assert len(structs()) >= 5 and "dormouse_session_options" in structs()
    assert len(constants()) >= 35


def test_committed_layout(layout_of_c):
    if os.environ.get("DORMOUSE_WRITE_LAYOUT"):
        LAYOUT.write_text(json.dumps(layout_of_c, indent=1) + "\n")
    assert layout_of_c == json.loads(LAYOUT.read_text())


def test_python_layout(layout_of_c):
    from dormouse import _abi

    for name, expected in layout_of_c["structs"].items():
        structure = getattr(_abi, name.removeprefix("dormouse_"))
        offsets = {field[0]: getattr(structure, field[0]).offset for field in structure._fields_}
        assert {"size": ctypes.sizeof(structure), "offsets": offsets} == expected, name


def test_python_constants(layout_of_c):
    from dormouse import _abi

    for name, value in layout_of_c["constants"].items():
        assert getattr(_abi, name.removeprefix("DORMOUSE_")) == value, name
