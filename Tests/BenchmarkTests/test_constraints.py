"""The comparison of masks: what it counts, on engines that are made up."""

import json
import subprocess
import sys
from pathlib import Path

import constraint_engines
import constraints

ROOT = Path(__file__).resolve().parents[2]


class Matcher:
    """Takes the text that it was made of."""

    def __init__(self, text):
        self.text, self.place = text, 0

    def restart(self):
        self.place = 0

    def mask(self):
        return 0.001 * (1 + self.place)

    def accept(self, token):
        is_right = self.text[self.place : self.place + 1] == chr(token)
        self.place += is_right
        return is_right

    def is_complete(self):
        return self.place == len(self.text)

    def close(self):
        pass


class Engine:
    def __init__(self, name, refuses):
        self.name, self.refuses = name, refuses

    def tokens(self, text):
        return [ord(character) for character in text]

    def compile(self, schema):
        if schema["const"] in self.refuses:
            raise constraint_engines.Refused
        return Matcher(json.dumps(schema["const"])), 0.5


def test_what_is_counted(tmp_path):
    def data(name, constant, tests):
        file = tmp_path / f"{name}.json"
        tests = [{"data": value, "valid": is_valid} for value, is_valid in tests]
        file.write_text(json.dumps({"schema": {"const": constant}, "tests": tests}))
        return file

    files = [data("a", 12, [(12, True), (13, False), (1, False)]), data("b", 3, [(4, True)]), data("c", 5, [(5, True)])]
    engines = [Engine("one", {5}), Engine("two", {})]
    tallies = {engine.name: constraints.Tally() for engine in engines}
    for file in files:
        constraints.measure(file, engines, engines[0].tokens, tallies)
    one, two = tallies["one"], tallies["two"]
    assert (one.passing, one.refused, one.wrong) == (1, ["c.json"], ["b.json"])
    assert (two.passing, two.refused, two.wrong) == (2, [], ["b.json"])
    # Times count where both compile: 12, 13 up to its second token, 1, and 4.
    assert len(one.masks) == len(two.masks) == 2 + 2 + 1 + 1 and one.compiling == [0.5, 0.5]
    lines = constraints.table(3, tallies).splitlines()
    assert lines[1].split("  ")[0] == "schemas judged rightly" and "1 of 3 (33.3%)" in lines[1]
    assert len({len(line.split("  ")) > 1 for line in lines}) == 1


def test_figures():
    assert constraints.at(0.99, [float(value) for value in range(100)]) == 99
    assert constraints.at(0.5, [3.0, 1.0, 2.0]) == 2 and constraints.at(0.5, []) == constraints.mean([]) == 0


def test_missing_data_are_named():
    command = [sys.executable, ROOT / "Benchmarks" / "constraints.py", "--data", "/nowhere"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == "constraints: /nowhere is not there: name a folder of MaskBench's files with --data\n"
