"""Reads dormouse.h: its functions, structs and constants, in the header's order."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HEADER = REPOSITORY / "include" / "dormouse.h"


def source():
    """The header without its comments."""
    return re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.DOTALL)


def functions():
    return re.findall(r"^DORMOUSE_API [^;(]*?\b(dormouse_\w+)\(", source(), re.MULTILINE)


def structs():
    """name -> field names."""
    found = {}
    for name, body in re.findall(r"struct (dormouse_\w+) \{(.*?)\}", source(), re.DOTALL):
        found[name] = [re.search(r"(\w+)(?:\[\d+\])?\s*$", line).group(1) for line in body.split(";") if line.strip()]
    return found


def constants():
    return [
        name
        for body in re.findall(r"\benum \{(.*?)\}", source(), re.DOTALL)
        for name in re.findall(r"\b(DORMOUSE_\w+) =", body)
    ]


def probe():
    """A C program that prints the layout as JSON."""
    lines = ["#include <dormouse.h>", "#include <stdio.h>", "int main(void) {", 'puts("{\\"structs\\": {");']
    for index, (name, fields) in enumerate(structs().items()):
        lines.append(f'printf("%s\\"{name}\\": {{\\"size\\": %zu, \\"offsets\\": {{", "{", " if index else ""}", sizeof({name}));')
        for position, field in enumerate(fields):
            comma = ", " if position else ""
            lines.append(f'printf("{comma}\\"{field}\\": %zu", offsetof({name}, {field}));')
        lines.append('puts("}}");')
    lines.append('puts("}, \\"constants\\": {");')
    for index, name in enumerate(constants()):
        lines.append(f'printf("%s\\"{name}\\": %d\\n", "{", " if index else ""}", (int){name});')
    lines += ['puts("}}");', "return 0;", "}"]
    return "\n".join(lines) + "\n"
