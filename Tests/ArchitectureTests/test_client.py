"""DormouseClient calls each function of the header, or says in a comment why it does not."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_client_knows_the_whole_header():
    functions = set(re.findall(r"\b(dormouse_\w+)\(", (ROOT / "include/dormouse.h").read_text()))
    assert len(functions) > 50
    source = "\n".join(path.read_text() for path in (ROOT / "Sources/DormouseClient").glob("*.swift"))
    named = set(re.findall(r"\bdormouse_\w+", source))
    families = tuple(re.findall(r"\b(dormouse_\w+_)\*", source))
    assert [name for name in sorted(functions) if name not in named and not name.startswith(families)] == []
