"""Writes schemas.jsonl: random schemas with instances, and whether each is valid by the `jsonschema` package.

    pip install jsonschema==4.26.0 rfc3339-validator==0.1.4 && python generate.py
"""

import json
import random
from pathlib import Path

import jsonschema

KEYS = ["a", "b", "c", "xy", "ä\""]
STRINGS = ["", "a", "ab", "abc", "b1", "2024-02-29", "2023-02-29", "ä\n", "x" * 9, "aaa", "12", "🙂", "a/b", "\u007f"]
NUMBERS = [0, 1, -1, 2, 3, 5, 7, 10, 12, 99, 100, 101, -7, 0.5, 1.5, -2.25, 3.14, 1000000, 0.01]
PATTERNS = ["^a", "b$", "^[a-c]+$", "[0-9]", "^(?!ab)", "a|1", "^.{2,3}$", "^x*$", "\\d\\d", "^$", "[^a]", "^(a|b)c?"]
random = random.Random(20261130)


def scalar():
    return random.choice([None, True, False, random.choice(NUMBERS), random.choice(STRINGS)])


def value(depth):
    kind = random.randrange(8 if depth > 0 else 5)
    if kind < 5:
        return scalar()
    if kind == 5:
        return [value(depth - 1) for _ in range(random.randrange(4))]
    return {key: value(depth - 1) for key in random.sample(KEYS, random.randrange(4))}


def number_schema():
    schema = {"type": random.choice(["number", "integer"])}
    for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]:
        if random.random() < 0.25:
            schema[key] = random.choice(NUMBERS)
    if random.random() < 0.2:
        schema["multipleOf"] = random.choice([1, 2, 3, 7, 10, 0.1, 0.01])
    return schema


def string_schema():
    schema = {"type": "string"}
    if random.random() < 0.4:
        schema["pattern"] = random.choice(PATTERNS)
    if random.random() < 0.3:
        schema["minLength"] = random.randrange(4)
    if random.random() < 0.3:
        schema["maxLength"] = random.randrange(6)
    if random.random() < 0.15:
        schema["format"] = random.choice(["date", "ipv4", "uuid", "no-such-format"])
    return schema


def array_schema(depth):
    schema = {"type": "array"}
    if random.random() < 0.7:
        schema["items"] = any_schema(depth - 1)
    if random.random() < 0.3:
        schema["prefixItems"] = [any_schema(depth - 1) for _ in range(random.randrange(1, 3))]
    if random.random() < 0.15:
        schema["contains"] = any_schema(0)
        if random.random() < 0.4:
            schema["minContains"] = random.randrange(3)
    for key in ["minItems", "maxItems"]:
        if random.random() < 0.25:
            schema[key] = random.randrange(4)
    return schema


def object_schema(depth):
    schema = {"type": "object"}
    if random.random() < 0.9:
        schema["properties"] = {key: any_schema(depth - 1) for key in random.sample(KEYS, random.randrange(1, 4))}
    if random.random() < 0.5:
        schema["required"] = random.sample(KEYS, random.randrange(1, 3))
    if random.random() < 0.5:
        schema["additionalProperties"] = random.choice([False, False, any_schema(depth - 1)])
    if random.random() < 0.2:
        schema["patternProperties"] = {random.choice(["^a", "y$", "^[a-b]$"]): any_schema(depth - 1)}
    if random.random() < 0.1:
        schema["propertyNames"] = {"pattern": random.choice(["^[a-z]+$", "^.$"])}
    if random.random() < 0.1:
        schema["dependentRequired"] = {random.choice(KEYS): [random.choice(KEYS)]}
    if random.random() < 0.1:
        schema["dependentSchemas"] = {random.choice(KEYS): any_schema(0)}
    for key in ["minProperties", "maxProperties"]:
        if random.random() < 0.12:
            schema[key] = random.randrange(4)
    return schema


def any_schema(depth):
    kind = random.randrange(14)
    if depth <= 0 or kind < 3:
        return random.choice([
            number_schema, string_schema, lambda: {"type": random.choice(["null", "boolean", "string", "integer"])},
            lambda: {"enum": [value(1) for _ in range(random.randrange(1, 4))]}, lambda: {"const": value(1)},
            lambda: True, lambda: {"type": ["string", "null"]},
        ])()
    if kind < 5:
        return array_schema(depth)
    if kind < 9:
        return object_schema(depth)
    if kind == 9:
        return {"anyOf": [any_schema(depth - 1) for _ in range(random.randrange(1, 4))]}
    if kind == 10:
        return {"oneOf": [any_schema(depth - 1) for _ in range(random.randrange(1, 3))]}
    if kind == 11:
        return {"allOf": [any_schema(depth - 1) for _ in range(random.randrange(1, 3))]}
    if kind == 12:
        return {"not": any_schema(0)}
    return {"if": any_schema(0), "then": any_schema(depth - 1), "else": any_schema(depth - 1)}


def near(schema, depth=3):
    """A value that may well be valid."""
    if not isinstance(schema, dict) or random.random() < 0.08:
        return value(2)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    for key in ["anyOf", "oneOf", "allOf"]:
        if key in schema:
            return near(random.choice(schema[key]), depth)
    if "then" in schema:
        return near(random.choice([schema["then"], schema["else"], schema["if"]]), depth)
    kind = schema.get("type")
    if kind == "object":
        result = {}
        for key, inner in schema.get("properties", {}).items():
            if key in schema.get("required", []) or random.random() < 0.6:
                result[key] = near(inner, depth - 1)
        for key in schema.get("required", []):
            result.setdefault(key, value(1))
        if random.random() < 0.3:
            result[random.choice(KEYS)] = value(1)
        items = list(result.items())
        random.shuffle(items)
        return dict(items)
    if kind == "array":
        prefix = [near(inner, depth - 1) for inner in schema.get("prefixItems", [])]
        rest = [near(schema.get("items", True), depth - 1) for _ in range(random.randrange(3))]
        return prefix + rest
    if kind in ("number", "integer"):
        return random.choice(NUMBERS)
    if kind == "string":
        return random.choice(STRINGS)
    return value(1)


def main():
    checker = jsonschema.FormatChecker(["date", "ipv4", "uuid"])
    lines = []
    while len(lines) < 400:
        schema = any_schema(3)
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        tests = []
        for _ in range(10):
            instance = near(schema)
            tests.append([json.dumps(instance, ensure_ascii=False), validator.is_valid(instance)])
        lines.append(json.dumps({"schema": schema, "tests": tests}, ensure_ascii=False))
    (Path(__file__).parent / "schemas.jsonl").write_text("\n".join(lines) + "\n")


main()
