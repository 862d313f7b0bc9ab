"""The manual page, and what installing and uninstalling leave behind."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

STEPS = REPOSITORY / "Tests" / "steps"
sys.path.insert(0, str(STEPS))
import manual  # noqa: E402


def test_the_page_is_what_the_command_says(binary):
    assert (REPOSITORY / "docs" / "dormouse.1").read_text() == manual.page(binary), "'make manual' writes it anew"


def test_the_page_names_every_command_and_option(dormouse, binary):
    page = manual.page(binary).replace("\\-", "-")
    for command in ["run", "transcribe", "info", "tokenize", "logits", "bench", "kernels"]:
        assert f".SS dormouse {command}\n" in page
    for option in ["--session", "--packed-cache", "--image", "-p"]:
        assert option in page and option in dormouse("run", "--help").out


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_page_has_no_faults(binary):
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=manual.page(binary), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def step(name, *arguments):
    return subprocess.run(
        [STEPS / name, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=REPOSITORY
    )


def tree(folder):
    return {os.path.relpath(os.path.join(path, name), folder) for path, *names in os.walk(folder) for name in sum(names, [])}


@pytest.mark.skipif("DORMOUSE_ISA" in os.environ, reason="once is enough")
@pytest.mark.parametrize("destination", ["", "stage"])
def test_uninstalling_leaves_what_was_there(tmp_path, destination):
    root = tmp_path / destination if destination else None
    prefix = tmp_path / "prefix"
    place = tmp_path / "stage" / str(prefix).lstrip("/") if root else prefix
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "libother.so").write_text("another's")
    before = tree(tmp_path)
    for _ in range(2):  # once over the other
        done = step("install.sh", root or "", prefix)
        assert done.returncode == 0, done.stderr
    installed = tree(place)
    assert {"bin/dormouse", "include/dormouse.h", "lib/libdormouse.so", "share/man/man1/dormouse.1"} <= installed
    # What an older version has left is removed, what somebody else has put into a folder of ours stays.
    (place / "lib" / "libdormouse.so.0.0.1").write_text("old")
    with open(place / "share" / "dormouse" / "installed", "a") as file:
        file.write("lib/libdormouse.so.0.0.1\n")
    (place / "share" / "man" / "man1" / "other.1").write_text("another's")
    done = step("uninstall.sh", root or "", prefix)
    assert done.returncode == 0, done.stderr
    at = os.path.relpath(place, tmp_path)
    assert tree(tmp_path) - before == {f"{at}/share", f"{at}/share/man", f"{at}/share/man/man1", f"{at}/share/man/man1/other.1"}
    assert before <= tree(tmp_path)
    assert step("uninstall.sh", root or "", prefix).returncode == 1


@pytest.mark.skipif("DORMOUSE_ISA" in os.environ, reason="once is enough")
def test_a_prefix_that_was_made_goes_again(tmp_path):
    assert step("install.sh", "", tmp_path / "new").returncode == 0
    assert step("uninstall.sh", "", tmp_path / "new").returncode == 0
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("line", ["../precious", "/etc/hosts", "lib/../../precious", ".."])
def test_a_list_of_somebody_elses_removes_nothing(tmp_path, line):
    (tmp_path / "precious").write_text("stays")
    (tmp_path / "prefix" / "share" / "dormouse").mkdir(parents=True)
    (tmp_path / "prefix" / "share" / "dormouse" / "installed").write_text("share/dormouse/installed\n" + line + "\n")
    done = step("uninstall.sh", "", tmp_path / "prefix")
    assert done.returncode == 1 and "outside" in done.stderr
    assert (tmp_path / "precious").exists() and (tmp_path / "prefix" / "share" / "dormouse" / "installed").exists()
