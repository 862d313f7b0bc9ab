"""docs/architecture.svg is what the sources make of it."""

import xml.etree.ElementTree as ElementTree

import floors
import package
import picture
import pytest
from floors import Floor, Gap, Room, Step


def test_the_committed_picture_is_drawn_from_the_sources(targets):
    committed = (package.REPOSITORY / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert picture.draw(targets) == committed, "draw it anew: make architecture"


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_every_room_and_every_step_is_in_it(targets):
    shown = texts(picture.draw(targets))
    for floor in floors.HOUSE:
        assert f"floor {floor.number}" in shown
        for room in floor.rooms:
            assert isinstance(room, Gap) or room.name.replace("*", "…") in shown
    for number, step in enumerate(floors.WAY, 1):
        assert f"{number} {step.words}".strip() in shown


def target(name, *dependencies):
    return package.Target(name, "regular", True, f"Sources/{name}", set(dependencies), {})


SMALL = {"A": target("A", "B"), "B": target("B", "C"), "C": target("C")}
HOUSE = [Floor("2", [Room("A", "over < & >")]), Floor("1", [Room("B", ""), Gap(6)]), Floor("0", [Room("C", "")])]


def test_words_are_escaped_and_dependencies_shown():
    shown = texts(picture.draw(SMALL, HOUSE, [Step("A", "B", "1 < 2"), Step("B", "C", ""), Step("C", "B", "")]))
    assert {"over < & >", "1 1 < 2", "2", "3"} <= set(shown)
    assert shown[shown.index("A") + 2] == "on B"


def test_a_request_goes_along_dependencies_alone():
    with pytest.raises(ValueError, match="from A to C, on which it does not stand"):
        picture.draw(SMALL, HOUSE, [Step("A", "C", "")])


def test_an_arrow_crosses_no_room():
    targets = {**SMALL, "A": target("A", "B", "C")}
    assert "1" in texts(picture.draw(targets, HOUSE, [Step("A", "C", "")]))
    full = [HOUSE[0], Floor("1", [Room("B", "")]), HOUSE[2]]
    with pytest.raises(ValueError, match="A and C have no straight way"):
        picture.draw(targets, full, [Step("A", "C", "")])
