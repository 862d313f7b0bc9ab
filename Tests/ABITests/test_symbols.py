"""The library's symbols are the header's functions, no more and no less."""

import re
import subprocess

from header import REPOSITORY, functions


def dynamic_symbols(library, *options):
    output = subprocess.run(["nm", "-D", *options, str(library)], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1] for line in output.splitlines()]


def test_exported_symbols_are_the_header(library):
    assert sorted(dynamic_symbols(library, "--defined-only")) == sorted(functions())


def test_version_script_is_the_header():
    script = (REPOSITORY / "Sources" / "DormouseLibrary" / "dormouse.map").read_text()
    assert re.findall(r"^\s+(dormouse_\w+);", script, re.MULTILINE) == functions()


def test_every_export_is_checked_by_the_compiler():
    """`@implementation` makes the Swift compiler hold the function against the header."""
    sources = "".join(path.read_text() for path in (REPOSITORY / "Sources" / "DormouseABI").rglob("*.swift"))
    exported = re.findall(r'@_cdecl\("(\w+)"\) @implementation\s+public func (\w+)', sources)
    assert sorted(name for name, _ in exported) == sorted(functions())
    assert all(name == function for name, function in exported)
    assert sources.count("@_cdecl(") == len(exported)


def test_bundled_libraries_are_inside_and_hidden(library):
    """json-c and PCRE2 come neither from the system nor into the host's way."""
    undefined = dynamic_symbols(library, "--undefined-only")
    assert not [name for name in undefined if re.match(r"(json_|pcre2_|\$s|swift_)", name)]


def test_python_declares_every_function():
    from dormouse import _abi

    assert ["dormouse_" + name for name in _abi.PROTOTYPES] == functions()
