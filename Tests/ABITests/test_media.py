"""libdormouse_media.so: its symbols are its header's functions, and it needs FFmpeg and libjpeg, but no Swift."""

import re
import subprocess

import pytest
from header import REPOSITORY
from test_linking import ALLOWED, dynamic_section
from test_symbols import dynamic_symbols

HEADER = REPOSITORY / "Sources" / "CDormouseMedia" / "dormouse_media.h"
NEEDED = {"libavformat", "libavcodec", "libavutil", "libswscale", "libswresample", "libjpeg"}


@pytest.fixture(scope="module")
def media_library(prefix):
    return prefix / "lib" / "libdormouse_media.so.0"


def declared():
    source = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.DOTALL)
    return re.findall(r"^DORMOUSE_API [^;(]*?\b(dormouse_media_\w+)\(", source, re.MULTILINE)


def test_exported_symbols_are_the_header(media_library):
    assert len(declared()) == 9
    assert sorted(dynamic_symbols(media_library, "--defined-only")) == sorted(declared())


def test_version_script_is_the_header():
    script = (REPOSITORY / "Sources" / "DormouseMediaLibrary" / "dormouse_media.map").read_text()
    assert re.findall(r"^\s+(dormouse_\w+);", script, re.MULTILINE) == declared()


def test_every_export_is_checked_by_the_compiler():
    sources = "".join(path.read_text() for path in (REPOSITORY / "Sources" / "DormouseMediaFiles").rglob("*.swift"))
    exported = re.findall(r'@_cdecl\("(\w+)"\) @implementation\s+public func (\w+)', sources)
    assert sorted(name for name, _ in exported) == sorted(declared())
    assert all(name == function for name, function in exported)
    assert sources.count("@_cdecl(") == len(exported)


def test_soname(media_library):
    assert "[libdormouse_media.so.0]" in re.search(r"\(SONAME\).*", dynamic_section(media_library)).group()


def test_needs_its_libraries_and_the_system_alone(media_library):
    """libtiff and libheif are not among them: a system may lack them."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic_section(media_library))
    assert {name.split(".")[0] for name in needed if name not in ALLOWED} == NEEDED
    undefined = dynamic_symbols(media_library, "--undefined-only")
    assert not [name for name in undefined if re.match(r"(json_|\$s|swift_)", name)]


def test_no_path_of_the_build_machine_is_searched(media_library):
    paths = re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", dynamic_section(media_library))
    assert all(path == "" or path.startswith("$ORIGIN") for path in ":".join(paths).split(":")), paths


@pytest.mark.parametrize("standard, compiler", [("c99", "cc"), ("c17", "cc"), ("c++17", "c++")])
def test_header_is_clean(compile_c, tmp_path, standard, compiler):
    source = tmp_path / ("alone.c" if compiler == "cc" else "alone.cpp")
    source.write_text(
        f'#include "{HEADER}"\n'
        "int main(void) {\n"
        "  dormouse_media_options options = DORMOUSE_MEDIA_OPTIONS_INIT;\n"
        "  return (int)options.thread_count;\n"
        "}\n"
    )
    compile_c(source, standard=standard, compiler=compiler, link=False)


def test_layouts_only_grow(compile_c, media_library, tmp_path):
    """Sizes and offsets of this version: later ones add members behind these. The macro and the function agree."""
    source = tmp_path / "layout.c"
    source.write_text(
        f'#include "{HEADER}"\n'
        "#include <stdio.h>\n"
        "#include <string.h>\n"
        "int main(void) {\n"
        "  dormouse_media_options made = DORMOUSE_MEDIA_OPTIONS_INIT, filled;\n"
        "  dormouse_media_options_init(&filled);\n"
        '  printf("%zu %zu %zu %zu %d\\n", offsetof(dormouse_media_options, name), sizeof(filled),\n'
        "         offsetof(dormouse_media_info, format), sizeof(dormouse_media_info),\n"
        "         memcmp(&made, &filled, sizeof(made)));\n"
        "  return 0;\n"
        "}\n"
    )
    program = compile_c(source, "-Wl,--no-as-needed", str(media_library), f"-Wl,-rpath,{media_library.parent}")
    output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["72", "80", "56", "88", "0"]
