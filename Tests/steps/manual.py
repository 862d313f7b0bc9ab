#!/usr/bin/env python3
"""Writes the manual page from what the command says of itself. Usage: manual.py COMMAND PAGE

The source is `dormouse --experimental-dump-help` of swift-argument-parser. `make manual` runs this, and
Tests/CLITests/test_manual.py holds the committed page against the command.
"""

import json
import subprocess
import sys

FILES = [
    ("FILE.messages.json", "The messages of the chat whose session `--session FILE` keeps."),
    (".dormouse", "In a model's folder: weights packed by `--packed-cache model`."),
    ("$XDG_CACHE_HOME/dormouse, ~/.cache/dormouse", "Weights packed by `--packed-cache user`."),
]
ENVIRONMENT = [
    ("DORMOUSE_ISA", "Forces an instruction set: baseline, avx2, avx512 or neon."),
    ("DORMOUSE_MEDIA_LIBRARY", "The path of libdormouse_media.so, where it is not beside the command's library."),
]
EXIT = [("0", "Done."), ("1", "Failed; the sentence is on stderr."), ("2", "Wrong usage."), ("130", "Interrupted.")]
EXAMPLES = [
    'dormouse run MODEL "What is 7 plus 5?"',
    "dormouse run MODEL <question.txt",
    'dormouse run MODEL "What is this?" --image photo.jpg',
    "dormouse info MODEL --weights int4",
    "dormouse bench MODEL --prompt 512 --gen 64",
]


def escaped(text):
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.splitlines())


def emphasised(text):
    """The same, with what stands in backquotes in bold."""
    parts = escaped(text).split("`")
    return "".join(f"\\fB{part}\\fR" if index % 2 else part for index, part in enumerate(parts))


def names(argument):
    """An argument as a heading: -p, --prompt <text>."""
    if argument["kind"] == "positional":
        return f"\\fI{escaped(argument['valueName'])}\\fR"
    written = [
        f"\\fB{escaped(('--' if name['kind'] == 'long' else '-') + name['name'])}\\fR" for name in argument["names"]
    ]
    value = "" if argument["kind"] == "flag" else f" \\fI{escaped(argument['valueName'])}\\fR"
    return ", ".join(written) + value


def details(argument):
    text = argument.get("abstract", "")
    if values := argument.get("allValues"):
        text += f" One of {', '.join(values)}."
    if default := argument.get("defaultValue"):
        text += f" The default is {default}."
    return text


def entries(pairs):
    lines = []
    for name, text in pairs:
        lines += [".TP", f"\\fB{escaped(name)}\\fR", emphasised(text)]
    return lines


def shown(arguments):
    return [
        argument
        for argument in arguments
        if argument["shouldDisplay"] and not {name["name"] for name in argument.get("names", [])} & {"help", "version"}
    ]


def paragraphs(text):
    return [line for paragraph in text.splitlines() if paragraph for line in (".PP", escaped(paragraph))]


def command(entry):
    """A command's section: how it is called, what it does, what it takes."""
    arguments = shown(entry.get("arguments", []))
    places = [argument for argument in arguments if argument["kind"] == "positional"]
    arguments = places + [argument for argument in arguments if argument not in places]
    call = [f"[{names(place)}]" if place["isOptional"] else names(place) for place in places]
    lines = [f".SS dormouse {entry['commandName']}", " ".join([f"\\fBdormouse {entry['commandName']}\\fR", *call, "[options]"])]
    lines += [".PP", escaped(entry.get("abstract", ""))]
    lines += paragraphs(entry.get("discussion", ""))
    title = None
    for argument in arguments:
        if argument.get("sectionTitle") != title:
            title = argument.get("sectionTitle")
            if title:
                lines += [".PP", f"\\fI{escaped(title)}:\\fR"]
        lines += [".TP", names(argument), escaped(details(argument))]
    return lines


def page(program):
    """The whole page as text."""
    dump = subprocess.run([program, "--experimental-dump-help"], capture_output=True, check=True).stdout
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    root = json.loads(dump)["command"]
    commands = [entry for entry in root["subcommands"] if entry["shouldDisplay"] and entry["commandName"] != "help"]
    lines = [
        '.\\" Written by Tests/steps/manual.py from what the command says of itself: make manual.',
        f'.TH DORMOUSE 1 "" "{version}" "User Commands"',
        ".SH NAME",
        f"dormouse \\- {escaped(root['abstract'][0].lower() + root['abstract'][1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        "\\fBdormouse\\fR \\fIcommand\\fR [\\fIarguments\\fR] [\\fIoptions\\fR]",
        ".SH DESCRIPTION",
        *paragraphs(root.get("discussion", ""))[1:],
        ".SH COMMANDS",
    ]
    for entry in commands:
        lines += command(entry)
    lines += [".SH EXIT STATUS", *entries(EXIT)]
    lines += [".SH ENVIRONMENT", *entries(ENVIRONMENT)]
    lines += [".SH FILES", *entries(FILES)]
    lines += [".SH EXAMPLES"]
    for example in EXAMPLES:
        lines += [".PP", ".nf", escaped(example), ".fi"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(page(sys.argv[1]))
