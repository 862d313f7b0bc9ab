"""What the ABI tests stand on. They test an installed copy: DORMOUSE_PREFIX names where `make install` put it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bindings" / "python" / "src"))


@pytest.fixture(scope="session")
def prefix():
    path = os.environ.get("DORMOUSE_PREFIX")
    assert path, "DORMOUSE_PREFIX must name an installed copy (make test sets it)"
    return Path(path)


@pytest.fixture(scope="session")
def library(prefix):
    return prefix / "lib" / "libdormouse.so.0"


@pytest.fixture(scope="session")
def compile_c(prefix, tmp_path_factory):
    """Compiles C against the installed copy, with warnings as errors; gives the program's path."""

    def compile_(source, *options, standard="c99", compiler="cc", link=True):
        folder = tmp_path_factory.mktemp("c")
        program = folder / "program"
        command = [compiler, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror"]
        command += [f"-I{prefix}/include", *options, str(source)]
        if link:
            command += ["-o", str(program), f"-L{prefix}/lib", "-ldormouse", f"-Wl,-rpath,{prefix}/lib", "-lm"]
        else:
            command += ["-fsyntax-only"]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"
        return program

    return compile_
