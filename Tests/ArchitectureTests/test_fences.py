"""Every import is a declared dependency, every declared one is imported, and modules import lower floors alone."""

import fences
import package
import pytest
from floors import Floor, Gap, Guest, Room


def test_the_house_stands(targets):
    assert fences.complaints(targets) == []


def test_the_package_is_read_whole(targets):
    """A reader that finds nothing would complain of nothing."""
    assert targets["DormouseEngine"].imports.keys() >= {"DormouseModel", "DormouseText", "Glibc"}
    assert targets["DormouseEngineTests"].imports.keys() >= {"DormouseEngine", "Testing"}
    assert targets["DormouseSupport"].imports.keys() >= {"CJSON", "CHost", "CPlatform"}
    assert "ArgumentParser" in targets["dormouse"].dependencies & targets["dormouse"].imports.keys()
    assert targets["DormouseMedia"].imports["CDormouse"], "dormouse_media.h includes dormouse.h"
    assert not targets["CPlatform"].is_swift
    assert targets["CDormouse"].folder == "include"


@pytest.mark.parametrize(("source", "modules"), [
    ("import Lower", {"Lower"}),
    ("  public import Lower\ninternal import Other // why", {"Lower", "Other"}),
    ("@testable import Lower", {"Lower"}),
    ("@_exported public import Lower", {"Lower"}),
    ("@preconcurrency\nimport Lower", {"Lower"}),
    ("@_spi(Testing) @testable import Lower", {"Lower"}),
    ("import struct Lower.Value", {"Lower"}),
    ("import Lower.Inner", {"Lower"}),
    ("import Lower; import Other", {"Lower", "Other"}),
    ("// import Lower\n/* import Lower\nimport Lower */", set()),
    ("let important = 1\nfunc f() { important(from: Lower) }", set()),
    ("#if arch(x86_64)\nimport Lower\n#elseif arch(arm64)\nimport Other\n#else\nimport Third\n#endif", {"Lower"}),
    ("#if !arch(x86_64)\nimport Lower\n#else\nimport Other\n#endif\nimport Third", {"Other", "Third"}),
    ("#if os(Linux)\nimport Lower\n#else\nimport Other\n#endif", {"Lower", "Other"}),
    ("#if arch(arm64)\n#if os(Linux)\nimport Lower\n#endif\n#else\nimport Other\n#endif", {"Other"}),
])
def test_imports_are_found(source, modules):
    assert package.imports(source, "x86_64") == modules


HOUSE = [
    Floor("3", [Room("Client", "")], True),
    Floor("2", [Room("Upper", ""), Room("Sibling", "")]),
    Floor("1", [Room("Lower", "")]),
    Floor("0", [Room("Kernel*", ""), Guest("C", ""), Gap(4)]),
]


@pytest.fixture
def complaints(tmp_path):
    """The complaints about a small package that stands, with some targets as the test has them: a target is its source,
    its dependencies and, if not "regular", its kind."""

    def complaints_(linked={}, house=HOUSE, **changes):
        made = {
            "Client": ("import Header", ["Header"]),
            "Upper": ("import Lower\nimport Glibc", ["Lower"]),
            "Sibling": ("public import Lower", ["Lower"]),
            "Lower": ("internal import KernelFast", ["KernelFast"]),
            "KernelFast": ("", []),
            "Header": (None, [], "system"),
            "UpperTests": ("@testable import Upper\nimport Testing", ["Upper"], "test"),
            **changes,
        }
        manifest = {"targets": []}
        for name, (source, dependencies, *kind) in made.items():
            kind = kind[0] if kind else "regular"
            folder = tmp_path / ("Tests" if kind == "test" else "Sources") / name
            folder.mkdir(parents=True, exist_ok=True)
            if source is not None:
                (folder / "File.swift").write_text(source)
            manifest["targets"].append({
                "name": name, "type": kind,
                "dependencies": [
                    {"product": [name, "package", None, None]} if name == "Package" else {"byName": [name, None]}
                    for name in dependencies],
            })
        return fences.complaints(package.read(manifest, tmp_path, "x86_64"), house, linked)

    return complaints_


def test_a_small_house_stands(complaints):
    assert complaints() == []


def test_an_undeclared_import_is_found(complaints):
    assert complaints(Upper=("import Lower\nimport KernelFast", ["Lower"])) == [
        "Upper imports KernelFast (Sources/Upper/File.swift), which Package.swift does not declare as its dependency"]
    assert complaints(UpperTests=("@testable import Upper\nimport Lower", ["Upper"], "test")) == [
        "UpperTests imports Lower (Tests/UpperTests/File.swift), which Package.swift does not declare as its dependency"]


def test_a_c_module_and_what_its_header_includes_are_declared_too(complaints, tmp_path):
    for name, header in (("Header", ""), ("Other", '#include "../Header/Header.h"\n#include <stdint.h>\n')):
        (tmp_path / "Sources" / name).mkdir(parents=True)
        (tmp_path / "Sources" / name / f"{name}.h").write_text(header)
    other = (None, [], "system")
    source = "import Lower\nimport Other"
    assert complaints(Other=other, Upper=(source, ["Lower"]))[0].startswith("Upper imports Header (")
    assert complaints(Other=other, Upper=(source, ["Lower"]))[1].startswith("Upper imports Other (")
    assert complaints(Other=other, Upper=(source, ["Lower", "Other", "Header"])) == []


def test_an_unused_dependency_is_found(complaints):
    assert complaints(Upper=("import Lower", ["Lower", "KernelFast"])) == [
        "Upper declares KernelFast as its dependency, and no source of it imports that"]
    assert complaints(UpperTests=("import Testing", ["Upper"], "test")) == [
        "UpperTests declares Upper as its dependency, and no source of it imports that"]
    assert complaints(Upper=("import Lower", ["Lower", "Package"])) == [
        "Upper declares Package as its dependency, and no source of it imports that"]


def test_a_package_is_declared_as_it_is_imported(complaints):
    assert complaints(Upper=("import Lower\nimport Package", ["Lower", "Package"])) == []


def test_what_is_linked_alone_is_said_and_true(complaints):
    upper = ("import Lower", ["Lower", "KernelFast"])
    assert complaints({"Upper": {"KernelFast"}}, Upper=upper) == []
    stale = "floors.py: Upper is said to link {} without importing it, which it does not"
    assert complaints({"Upper": {"Lower", "KernelFast"}}, Upper=upper) == [stale.format("Lower")]
    assert complaints({"Upper": {"KernelFast"}}) == [stale.format("KernelFast")]
    assert complaints({"Nobody": {"Lower"}}) == ["floors.py: LINKED names Nobody, which is no target"]


def test_siblings_and_upper_floors_are_not_imported(complaints):
    assert complaints(Upper=("import Lower\nimport Sibling", ["Lower", "Sibling"])) == [
        "Upper (floor 2) imports Sibling (floor 2), which is not below it"]
    assert complaints(Lower=("import KernelFast\nimport Upper", ["KernelFast", "Upper"])) == [
        "Lower (floor 1) imports Upper (floor 2), which is not below it"]


def test_a_client_has_the_header_alone(complaints):
    assert complaints(Client=("import Header\nimport Upper", ["Header", "Upper"])) == [
        "Client is above dormouse.h and imports Upper, which is below it"]


def test_the_core_has_no_foundation(complaints):
    assert complaints(Client=("import Header\nimport FoundationEssentials", ["Header"])) == []
    assert complaints(UpperTests=("import Upper\nimport Foundation", ["Upper"], "test")) == []
    (complaint,) = complaints(Upper=("import Lower\nimport Foundation", ["Lower"]))
    assert complaint.startswith("Upper imports Foundation (")


def test_every_module_has_a_floor_and_every_room_a_module(complaints):
    assert complaints(New=("import Lower", ["Lower"])) == ["New has no floor: give it one in floors.py"]
    assert complaints(house=[*HOUSE, Floor("-1", [Room("Cellar", "")])]) == [
        "floors.py: Cellar is no target of Package.swift"]
