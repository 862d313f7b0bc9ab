"""Puts the shared library into the wheel where the repository has built it; everything else is in pyproject.toml.

The package itself has no compiled part: without a built library the wheel is pure, and finds an installed library.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

REPOSITORY = Path(__file__).resolve().parents[2]


def built_library():
    """The library to pack: DORMOUSE_LIBRARY, or the repository's release build; None where there is none."""
    named = os.environ.get("DORMOUSE_LIBRARY")
    path = Path(named) if named else REPOSITORY / ".build" / "release" / "libDormouse.so"
    return path if path.is_file() else None


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        target = Path(self.build_lib) / "dormouse" / "libdormouse.so.0"
        target.unlink(missing_ok=True)
        library = built_library()
        if library is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library, target)


class WheelWithLibrary(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = built_library() is None

    def get_tag(self):
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelWithLibrary})
