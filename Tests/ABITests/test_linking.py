"""What the binaries need from the system: the C library and its kin, no Swift, no Foundation."""

import os
import re
import shutil
import subprocess

import pytest

from header import REPOSITORY

ALLOWED = {
    "linux-vdso.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1",
    "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}


def needed(path):
    output = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
    return {line.split()[0].rsplit("/", 1)[-1] for line in output.splitlines() if line.strip()}


def dynamic_section(path):
    return subprocess.run(["readelf", "-dW", str(path)], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("file", ["lib/libdormouse.so.0", "bin/dormouse"])
def test_linked_libraries(prefix, file):
    assert needed(prefix / file) - ALLOWED == set()


# What docs/c-abi.md says that a system must have: glibc, and the C++ runtime of GCC 11.
NEWEST = {"GLIBC": (2, 35), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11,)}


@pytest.mark.parametrize("file", ["lib/libdormouse.so.0", "lib/libdormouse_media.so.0", "bin/dormouse"])
def test_no_newer_system_than_documented_is_needed(prefix, file):
    sections = subprocess.run(["readelf", "-VW", prefix / file], capture_output=True, text=True, check=True).stdout
    wanted = re.findall(r"Name: (GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)", sections)
    assert ("GLIBC", "2.34") in wanted
    assert [(name, number) for name, number in wanted if tuple(map(int, number.split("."))) > NEWEST[name]] == []


def test_documented_needs_are_those_of_the_library(library):
    """Each library and number that the page names is one that the binary names."""
    page = (REPOSITORY / "docs" / "c-abi.md").read_text()
    needs = " ".join(re.search(r"It needs glibc (.*?)Its soname", page, re.DOTALL).group().split())
    assert needs.startswith("It needs glibc 2.35 or newer (`hypotf@GLIBC_2.35`")
    symbols = subprocess.run(["nm", "-D", str(library)], capture_output=True, text=True, check=True).stdout
    assert "hypotf@GLIBC_2.35" in symbols
    named = set(re.findall(r"`(lib[^`]*)`", needs)) - {"libdormouse.so.0"}
    assert named == {"libstdc++.so.6", "libgcc_s.so.1"}
    assert named <= set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic_section(library))) <= ALLOWED


def test_soname(library):
    assert "[libdormouse.so.0]" in re.search(r"\(SONAME\).*", dynamic_section(library)).group()


@pytest.mark.parametrize("file", ["lib/libdormouse.so.0", "bin/dormouse"])
def test_no_path_of_the_build_machine_is_searched(prefix, file):
    paths = re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", dynamic_section(prefix / file))
    for path in ":".join(paths).split(":"):
        assert path == "" or path.startswith("$ORIGIN"), paths


def test_command_runs_alone(prefix, tmp_path):
    """A copy in an empty folder, with an empty environment: no installed Swift, no library beside it."""
    copy = tmp_path / "dormouse"
    shutil.copy(prefix / "bin" / "dormouse", copy)
    result = subprocess.run([copy, "kernels", "--json"], env={}, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert '"chosen"' in result.stdout


def test_library_loads_alone(library, compile_c, tmp_path):
    shutil.copy(library, tmp_path / "libdormouse.so.0")
    source = tmp_path / "version.c"
    source.write_text("#include <dormouse.h>\nint main(void) { return dormouse_version_number() == 0; }\n")
    program = compile_c(source)
    environment = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert subprocess.run([program], env=environment).returncode == 0
    assert os.path.getsize(library) < 25_000_000
