"""Puts the shared libraries into the wheel where the repository has built them; everything else is in pyproject.toml.

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


def built_media_library():
    """The library that reads media files, from beside the other one, which looks for it there; or None."""
    library = built_library()
    places = [] if library is None else [library.parent / ("libdormouse_media.so" + end) for end in (".0", "")]
    return next((path for path in places if path.is_file()), None)


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        self.pack("libdormouse.so.0", built_library())
        self.pack("libdormouse_media.so.0", built_media_library())

    def pack(self, name, library):
        target = Path(self.build_lib) / "dormouse" / name
        target.unlink(missing_ok=True)
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
