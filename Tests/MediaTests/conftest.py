"""What the tests of libdormouse_media.so stand on: DORMOUSE_PREFIX names where `make install` put it.

Nothing binary is committed: images come from PIL and from the commands of libjpeg, libtiff and libheif, videos and
audio from the ffmpeg command.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from media import Library  # noqa: E402


@pytest.fixture(scope="session")
def media():
    prefix = os.environ.get("DORMOUSE_PREFIX")
    assert prefix, "DORMOUSE_PREFIX must name an installed copy (make test sets it)"
    return Library(Path(prefix) / "lib" / "libdormouse_media.so.0")


@pytest.fixture(scope="session")
def ffmpeg():
    """Runs the ffmpeg command; gives what it writes to standard output."""

    def run(*arguments):
        command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
        result = subprocess.run(command, capture_output=True)
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr.decode()}"
        return result.stdout

    return run


@pytest.fixture(scope="session")
def tool():
    """Runs another command, such as tiffcp."""

    def run(*command):
        result = subprocess.run(list(map(str, command)), capture_output=True)
        assert result.returncode == 0, f"{command}\n{result.stderr.decode()}"
        return result.stdout

    return run


@pytest.fixture(scope="session")
def painting():
    """Pixels [61, 83, 3] with smooth shades, edges and noise; odd sizes on purpose."""
    y, x = np.mgrid[0:61, 0:83]
    noise = np.random.default_rng(7).integers(0, 24, (61, 83, 3))
    shades = np.stack([2 * x + y, 255 - 3 * y, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], axis=-1)
    shades[10:30, 20:50] = [230, 20, 40]
    return np.clip(shades + noise, 0, 255).astype(np.uint8)
