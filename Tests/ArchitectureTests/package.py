"""The package as it is: its targets from `swift package dump-package`, and what their sources import."""

import json
import platform
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]


class Target(NamedTuple):
    name: str
    kind: str  # regular, executable, test or system
    is_swift: bool
    folder: str  # from the root of the package
    dependencies: set  # targets and products
    imports: dict  # module -> a file that imports it, from the root; what the headers of C modules include, too


def targets(root=REPOSITORY):
    """name -> Target."""
    dump = subprocess.run(
        ["swift", "package", "dump-package"], cwd=root, capture_output=True, text=True, check=True).stdout
    machine = platform.machine()
    return read(json.loads(dump), root, "arm64" if machine == "aarch64" else machine)


def read(manifest, root, architecture):
    """- manifest: the document of dump-package.
    - architecture: as Swift names it.
    """
    found = {}
    for target in manifest["targets"]:
        default = ("Tests/" if target["type"] == "test" else "Sources/") + target["name"]
        folder = target.get("path") or default
        found[target["name"]] = Target(
            target["name"], target["type"], any((root / folder).rglob("*.swift")), folder,
            {_name(dependency) for dependency in target["dependencies"]}, {})
    included = {target.name: _included(target, found.values(), root) for target in found.values()}
    for target in found.values():
        for path in sorted((root / target.folder).rglob("*.swift")):
            for module in imports(path.read_text(encoding="utf-8"), architecture):
                for name in {module} | included.get(module, set()):
                    target.imports.setdefault(name, str(path.relative_to(root)))
    return found


def _name(dependency):
    """Of {"byName": [name, condition]}, {"target": [name, condition]} or {"product": [name, package, ...]}."""
    (value,) = dependency.values()
    return value[0]


def _included(target, targets, root):
    """The other targets whose headers those of a C target include."""
    found = set()
    for path in sorted((root / target.folder).rglob("*.h")):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
            header = (path.parent / name).resolve()
            found |= {other.name for other in targets if header.is_relative_to((root / other.folder).resolve())}
    return found - {target.name}


def imports(source, architecture):
    """The modules that a Swift source imports, compiled for `architecture`."""
    source = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL)
    return {
        name
        for line in _compiled(source, architecture)
        for statement in line.split("//")[0].split(";")
        if (name := _imported(statement))
    }


_IMPORT = re.compile(r"""
    \s* (?:@\w+(?:\([^)]*\))?\s+)*                                           # @testable, @_spi(Name), @preconcurrency
    (?:(?:open|public|package|internal|fileprivate|private)\s+)?
    import\s+ (?:(?:typealias|struct|class|enum|protocol|let|var|func)\s+)?  # import struct Module.Name
    `?(\w+)`? (?:\.\w+)* \s*$""", re.VERBOSE)


def _imported(statement):
    match = _IMPORT.match(statement)
    return match and match[1]


def _compiled(source, architecture):
    """The lines that #if leaves, where it asks for the architecture; all branches of other questions."""
    branches = []  # for each #if around: whether this branch may be compiled, and whether one before it is for certain
    for line in source.splitlines():
        words = line.split(None, 1)
        directive = words[0] if words else ""
        if directive in ("#if", "#elseif"):
            is_true = _is_true(words[1], architecture)
            is_decided = branches.pop()[1] if directive == "#elseif" else False
            branches.append((not is_decided and is_true is not False, is_decided or is_true is True))
        elif directive == "#else":
            branches.append((not branches.pop()[1], True))
        elif directive == "#endif":
            branches.pop()
        elif all(may_be_compiled for may_be_compiled, _ in branches):
            yield line


def _is_true(condition, architecture):
    """None where it depends on something else."""
    match = re.fullmatch(r"(!?)\s*arch\((\w+)\)", condition.split("//")[0].strip())
    return match and (match[2] == architecture) != bool(match[1])
