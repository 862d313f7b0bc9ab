#!/usr/bin/env python3
"""Writes the folders beside this script: good-* (what a checkpoint may look like) and bad-* (what must be refused).

usage: generate.py
needs: numpy, torch, safetensors (written with numpy 2.4.6, torch 2.15.0, safetensors 0.8.0)

golden.json      of good-*: type, shape and bytes (hexadecimal) of every tensor, taken from the arrays before saving
expected.json    of bad-*: status and pieces of the sentence, and whether the safetensors package refuses it too
../../Fuzz/corpus/safetensors: the headers as seeds of the fuzz target
"""
import json
import os
import pathlib
import shutil
import struct

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
SPELLING = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8", torch.bool: "BOOL",
}
golden, expected = {}, {}


def folder(name):
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def write(path, header, data=b"", length=None, pad=True):
    """A safetensors file from the text or object of its header; `length` replaces the true header length."""
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def describe(tensors):
    return {
        name: {
            "dtype": SPELLING[t.dtype], "shape": list(t.shape),
            "bytes": t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex() if t.numel() else "",
        }
        for name, t in tensors.items()
    }


def index(path, weight_map, **more):
    (path / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map, **more}, indent=1) + "\n")


# --- good ---------------------------------------------------------------------------------------------------------

def every_type():
    rng = np.random.default_rng(7)
    tensors = {}
    for number, (dtype, name) in enumerate(SPELLING.items()):
        size = torch.empty(0, dtype=dtype).element_size()
        raw = rng.integers(0, 256, (3, 5 + number, size), dtype=np.uint8)
        if dtype == torch.bool:
            raw %= 2
        tensors[f"every.{name}"] = torch.from_numpy(raw).view(dtype).reshape(3, 5 + number)
    return tensors


def good():
    path = folder("good-single")
    tensors = every_type()
    tensors |= {
        "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 3), "one": torch.tensor([[[-2.25]]]),
        "caf\u00e9": torch.tensor([1, 2], dtype=torch.int16), "cafe\u0301": torch.tensor([3, 4], dtype=torch.int16),
    }
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt", "caf\u00e9": "\u2603"})
    golden["good-single"] = {"files": ["model.safetensors"], "tensors": describe(tensors)}

    path = folder("good-sharded")
    names, tensors = {}, {}
    for shard in range(3):
        file = f"model-{shard + 1:05d}-of-00003.safetensors"
        part = {
            f"model.layers.{shard}.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) * (shard + 1) - 5.5,
            f"model.layers.{shard}.fp8": (torch.arange(9).float() - shard).reshape(3, 3).to(torch.float8_e4m3fn),
        }
        save_file(part, path / file)
        tensors |= part
        names |= {name: file for name in part}
    index(path, names)
    golden["good-sharded"] = {"files": sorted(set(names.values())), "tensors": describe(tensors)}

    # A tensor that the index does not list still counts, as in transformers.
    path = folder("good-unlisted")
    tensors = {"listed": torch.tensor([1.0]), "unlisted": torch.tensor([2.0])}
    save_file(tensors, path / "a.safetensors")
    index(path, {"listed": "a.safetensors"})
    golden["good-unlisted"] = {"files": ["a.safetensors"], "tensors": describe(tensors)}

    # Of the index only the names of the files count, as in transformers: 'gone' is in none of them, 'moved' in another.
    path = folder("good-index-absent-tensor")
    tensors = {"a": torch.tensor([1.0]), "moved": torch.tensor([2.0])}
    save_file({"a": tensors["a"]}, path / "a.safetensors")
    save_file({"moved": tensors["moved"]}, path / "b.safetensors")
    index(path, {"a": "a.safetensors", "gone": "b.safetensors", "moved": "a.safetensors"})
    golden["good-index-absent-tensor"] = {"files": ["a.safetensors", "b.safetensors"], "tensors": describe(tensors)}

    # Shards in folders below that of the index.
    path = folder("good-subfolders")
    (path / "deep" / "er").mkdir(parents=True)
    tensors = {"a": torch.tensor([1.0]), "b": torch.tensor([2.0]), "c": torch.tensor([3.0])}
    names = {"a": "deep/model.safetensors", "b": "deep/er/model.safetensors", "c": "model-c.safetensors"}
    for name, file in names.items():
        save_file({name: tensors[name]}, path / file)
    index(path, names)
    golden["good-subfolders"] = {"files": sorted(names.values()), "tensors": describe(tensors)}

    # Types that Dormouse does not read beside one that it does.
    path = folder("good-unread-types")
    header, data = {}, b""
    for dtype, shape, size in (
            ("F4", [2, 4], 4), ("F6_E2M3", [4], 3), ("C64", [2], 16), ("F32", [1], 4), ("F6_E3M2", [8], 6), ("F33", [3], 5),
            ("f32", [], 2), ("F8_E4M3FNUZ", [3], 3), ("F8_E5M2FNUZ", [0], 0)):
        header[f"of.{dtype}"] = entry(dtype, shape, len(data), len(data) + size)
        data += struct.pack("<f", 1.5) if dtype == "F32" else b"\x7f" * size
    write(path / "model.safetensors", header, data)
    golden["good-unread-types"] = {"files": ["model.safetensors"], "tensors": describe({"of.F32": torch.tensor([1.5])})}

    # The single file wins over the index beside it, as in transformers.
    path = folder("good-both")
    tensors = {"x": torch.tensor([3.0])}
    save_file(tensors, path / "model.safetensors")
    index(path, {"x": "absent.safetensors"})
    golden["good-both"] = {"files": ["model.safetensors"], "tensors": describe(tensors)}

    # A byte tensor first: nothing after it lies at a multiple of its element's size.
    path = folder("good-misaligned")
    b, x, e = torch.tensor([9], dtype=torch.uint8), torch.tensor([0.5, -0.25]), torch.tensor([7], dtype=torch.int64)
    header = json.dumps({"x": entry("F32", [2], 1, 9), "b": entry("U8", [1], 0, 1), "e": entry("I64", [1], 9, 17)})
    header += " " * (-len(header) % 8)
    write(path / "model.safetensors", header, b.numpy().tobytes() + x.numpy().tobytes() + e.numpy().tobytes())
    golden["good-misaligned"] = {"files": ["model.safetensors"], "tensors": describe({"b": b, "x": x, "e": e})}

    # Empty tensors wherever they can lie, in any order.
    path = folder("good-empty-tensors")
    header = {"end": entry("F32", [0], 8, 8), "middle": entry("F32", [3, 0], 4, 4), "b": entry("F32", [1], 4, 8),
              "start": entry("F32", [0], 0, 0), "a": entry("F32", [], 0, 4)}
    tensors = {"end": torch.zeros(0), "middle": torch.zeros(3, 0), "b": torch.tensor([2.0]), "start": torch.zeros(0),
               "a": torch.tensor(1.0)}
    write(path / "model.safetensors", header, struct.pack("<2f", 1, 2))
    golden["good-empty-tensors"] = {"files": ["model.safetensors"], "tensors": describe(tensors)}

    path = folder("good-no-tensors")
    write(path / "model.safetensors", {})
    golden["good-no-tensors"] = {"files": ["model.safetensors"], "tensors": {}}


# --- bad ----------------------------------------------------------------------------------------------------------

def expect(name, status, *sentence):
    path = folder(name)
    expected[name] = {"status": status, "sentence": list(sentence)}
    return path


def bad(name, sentence, header, data=b"", status="malformed", **more):
    """A folder with one refused file; `sentence`: one piece of the message, or a list of them."""
    pieces = sentence if isinstance(sentence, list) else [sentence]
    write(expect("bad-" + name, status, "model.safetensors", *pieces) / "model.safetensors", header, data, **more)


def raw(name, sentence, content):
    path = expect("bad-" + name, "malformed", "model.safetensors", sentence)
    (path / "model.safetensors").write_bytes(content)


def bad_files():
    one = {"a": entry("F32", [2], 0, 8)}
    raw("empty-file", "the file has 0 bytes", b"")
    raw("short-prefix", "the file has 5 bytes", b"\x10\0\0\0\0")
    raw("length-only", "the header length is 16 bytes, but only 0 follow", struct.pack("<Q", 16))
    bad("header-truncated", "but only 10 follow", b'{"a":{"dty', length=64, pad=False)
    bad("length-zero", "the header length is 0 bytes", one, b"\0" * 8, length=0)
    bad("length-one", "the header length is 1 bytes", b"{", length=1, pad=False)
    bad("length-past-file", "the header length is 4096 bytes", one, b"\0" * 8, length=4096)
    bad("length-over-cap", "the header length is 100000001 bytes, more than the limit of 100000000", one,
        length=100_000_001)
    bad("length-huge", "18446744073709551615 bytes, more than the limit", one, length=2**64 - 1)
    bad("length-int64-max", "9223372036854775807 bytes, more than the limit", one, length=2**63 - 1)
    bad("length-short-of-json", "header: not valid JSON", one, b"\0" * 8, length=20)
    bad("data-truncated", ["tensor 'a'", "data_offsets end at byte 8, but the file has only 7 bytes of data"], one,
        b"\0" * 7)
    bad("data-missing", ["tensor 'a'", "only 0 bytes of data"], one)
    bad("trailing-bytes", "the data has 9 bytes, but the tensors end at byte 8", one, b"\0" * 9)
    bad("trailing-bytes-no-tensors", "the data has 3 bytes, but the tensors end at byte 0", {}, b"abc")
    bad("overlap", "tensor 'b' begins at byte 4 of the data and overlaps 'a', which ends at byte 8",
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, b"\0" * 12)
    bad("overlap-same-bytes", "begins at byte 0 of the data and overlaps",
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 0, 8)}, b"\0" * 8)
    bad("overlap-empty", "tensor 'b' begins at byte 4 of the data and overlaps 'a'",
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [0], 4, 4)}, b"\0" * 8)
    bad("hole", "no tensor covers bytes 8 to 12 of the data, before tensor 'b'",
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 12, 16)}, b"\0" * 16)
    bad("hole-at-start", "no tensor covers bytes 0 to 4 of the data, before tensor 'a'",
        {"a": entry("F32", [1], 4, 8)}, b"\0" * 8)
    bad("begin-after-end", ["tensor 'a'", "data_offsets end before they begin: [8, 0]"],
        {"a": entry("F32", [2], 8, 0)}, b"\0" * 8)
    bad("offset-past-file", ["tensor 'a'", "only 8 bytes of data"], {"a": entry("U8", [2**40], 0, 2**40)}, b"\0" * 8)
    bad("offset-int64-max", ["tensor 'a'", "only 8 bytes of data"],
        {"a": entry("U8", [2**63 - 1], 0, 2**63 - 1)}, b"\0" * 8)
    bad("offset-over-int64", ["tensor 'a'", "data_offsets[1] is"], {"a": entry("U8", [8], 0, 2**64)}, b"\0" * 8)
    bad("shape-overflow", ["tensor 'a'", "shape is out of range: [4294967296, 4294967296, 4]"],
        {"a": entry("F32", [2**32, 2**32, 4], 0, 8)}, b"\0" * 8)
    bad("shape-wraps-to-fit", ["tensor 'a'", "shape is out of range"],
        {"a": entry("U8", [2**32 + 1, 2**32 + 1, 2**31], 0, 8)}, b"\0" * 8)
    bad("size-overflow", ["tensor 'a'", "shape x bytes of F64 is out of range"],
        {"a": entry("F64", [2**61], 0, 8)}, b"\0" * 8)
    bad("shape-mismatch", ["tensor 'a'", "shape [3] of F32 needs 12 bytes, but data_offsets [0, 8] hold 8"],
        {"a": entry("F32", [3], 0, 8)}, b"\0" * 8)
    bad("shape-negative", ["tensor 'a'", "shape[1] is -2"], {"a": entry("F32", [1, -2], 0, 8)}, b"\0" * 8)
    bad("shape-fraction", ["tensor 'a'", "shape[0] is 2.5"], {"a": entry("F32", [2.5], 0, 8)}, b"\0" * 8)
    bad("shape-whole-number", ["tensor 'a'", "shape[0] is 2.0"], {"a": entry("F32", [2.0], 0, 8)}, b"\0" * 8)
    bad("shape-string", ["tensor 'a'", "shape is a string"], {"a": entry("F32", "2", 0, 8)}, b"\0" * 8)
    bad("shape-null", ["tensor 'a'", "shape is null"], {"a": entry("F32", None, 0, 8)}, b"\0" * 8)
    bad("shape-nested", ["tensor 'a'", "shape[0] is an array"], {"a": entry("F32", [[2]], 0, 8)}, b"\0" * 8)
    bad("shape-over-int64", ["tensor 'a'", "shape[0] is"], {"a": entry("F32", [2**63], 0, 8)}, b"\0" * 8)
    bad("shape-under-int64", ["tensor 'a'", "shape[0] is -"], {"a": entry("F32", [-2**80], 0, 8)}, b"\0" * 8)
    bad("type-unknown-overlaps", ["tensor 'b'", "overlaps 'a'"],
        {"a": entry("F33", [2], 0, 8), "b": entry("F32", [1], 4, 8)}, b"\0" * 8)
    bad("type-unknown-hole", ["no tensor covers bytes 4 to 8"],
        {"a": entry("F33", [2], 0, 4), "b": entry("F32", [1], 8, 12)}, b"\0" * 12)
    for name, size in (("F4", 8), ("F6_E2M3", 12), ("F6_E3M2", 12), ("C64", 128)):
        bad(f"type-{name.lower().replace('_', '-')}-size", ["tensor 'a'", f"shape [16] of {name} needs {size} bytes"],
            {"a": entry(name, [16], 0, size + 1)}, b"\0" * (size + 1))
    bad("type-f6-overflow", ["tensor 'a'", "shape x bits of F6_E2M3 is out of range"],
        {"a": entry("F6_E2M3", [2**61], 0, 8)}, b"\0" * 8)
    bad("type-number", ["tensor 'a'", "dtype is an integer"], {"a": entry(32, [2], 0, 8)}, b"\0" * 8)
    bad("offsets-string", ["tensor 'a'", "data_offsets[0] is '0'"],
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]}}, b"\0" * 8)
    bad("offsets-float", ["tensor 'a'", "data_offsets[1] is 8.0"],
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8.0]}}, b"\0" * 8)
    bad("offsets-negative", ["tensor 'a'", "data_offsets[0] is -8"],
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}, b"\0" * 8)
    bad("offsets-three", ["tensor 'a'", "data_offsets has 3 elements"],
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]}}, b"\0" * 8)
    bad("offsets-none", ["tensor 'a'", "data_offsets has 0 elements"],
        {"a": {"dtype": "F32", "shape": [0], "data_offsets": []}})
    bad("offsets-object", ["tensor 'a'", "data_offsets is an object"],
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": {"begin": 0, "end": 8}}}, b"\0" * 8)
    bad("offsets-missing", ["tensor 'a'", "data_offsets is missing"], {"a": {"dtype": "F32", "shape": [2]}}, b"\0" * 8)
    bad("dtype-missing", ["tensor 'a'", "dtype is missing"], {"a": {"shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8)
    bad("shape-missing", ["tensor 'a'", "shape is missing"], {"a": {"dtype": "F32", "data_offsets": [0, 8]}}, b"\0" * 8)
    bad("tensor-not-object", ["tensor 'a'", "found an array"], {"a": [1, 2]})
    bad("duplicate-name", ["same key twice", "'a'"],
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}',
        b"\0" * 8)
    bad("duplicate-name-escaped", "same key twice",
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"\\u0061":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}',
        b"\0" * 8)
    bad("duplicate-field", ["same key twice", "'shape'"],
        '{"a":{"dtype":"U8","shape":[8],"shape":[4],"data_offsets":[0,4]}}', b"\0" * 4)
    bad("name-nul", "the key holds a NUL character", '{"a\\u0000b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', b"\0" * 8)
    bad("name-raw-nul", "not valid JSON", b'{"a\0b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', b"\0" * 8)
    bad("name-control-character", "tensor '\\u{a}\\u{1b}]0;x': shape [3] of F32 needs 12 bytes",
        {"\n\u001b]0;x": entry("F32", [3], 0, 8)}, b"\0" * 8)
    bad("not-utf-8", "not valid JSON", b'{"a\xff":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', b"\0" * 8)
    bad("not-json", "not valid JSON", b"{dtype: F32, nothing here is quoted}   ")
    bad("json-unfinished", "not valid JSON", b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', b"\0" * 8)
    bad("json-comment", "not valid JSON", b'{/* */"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 8)
    bad("json-trailing", "not valid JSON at byte 54", b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}{}', b"\0" * 8)
    bad("json-deep", "not valid JSON", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")
    bad("header-array", "does not begin with '{'", [1, 2, 3])
    bad("header-string", "does not begin with '{'", '"F32"')
    bad("header-white-space", "does not begin with '{'", ' {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b"\0" * 8)
    bad("not-safetensors", "more than the limit", b"", length=struct.unpack("<Q", b"PK\x03\x04\x14\0\0\0")[0] | 1 << 60)
    bad("git-lfs-pointer", "a Git LFS pointer and not the file itself of 4302384880 bytes", b"")
    (HERE / "bad-git-lfs-pointer" / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 4302384880\n")
    bad("metadata-array", "__metadata__ is an array", {"__metadata__": ["pt"]})
    bad("metadata-number", ["__metadata__: 'format'", "is an integer"], {"__metadata__": {"format": 1}})


def bad_folders():
    file = "model.safetensors.index.json"

    def shard(path, name, tensors=("a",)):
        save_file({key: torch.tensor([1.0]) for key in tensors}, path / name)

    expect("bad-no-weights", "notFound", "neither model.safetensors nor " + file)
    (HERE / "bad-no-weights" / "config.json").write_text("{}\n")
    path = expect("bad-missing-shard", "notFound", "b.safetensors: the shard is missing", file)
    shard(path, "a.safetensors")
    index(path, {"a": "a.safetensors", "b": "b.safetensors"})
    path = expect("bad-index-not-json", "malformed", file, "not valid JSON")
    (path / file).write_text("weight_map = {}\n")
    path = expect("bad-index-empty", "malformed", file, "empty")
    (path / file).write_text("")
    path = expect("bad-index-array", "malformed", file, "the index is an array")
    (path / file).write_text("[]\n")
    path = expect("bad-index-no-map", "malformed", file, "weight_map is missing")
    (path / file).write_text("{}\n")
    path = expect("bad-index-empty-map", "malformed", file, "weight_map is empty")
    index(path, {})
    path = expect("bad-index-map-array", "malformed", file, "weight_map is an array")
    index(path, ["a"])
    path = expect("bad-index-number", "malformed", file, "tensor 'a' has an integer")
    index(path, {"a": 1})
    path = expect("bad-index-duplicate", "malformed", file, "same key twice: 'a'")
    shard(path, "a.safetensors")
    (path / file).write_text('{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}\n')
    names = {"parent": "../good-single/model.safetensors", "absolute": "/etc/passwd", "dots": "..", "empty": "",
             "inner": "sub/../a.safetensors", "dot": "./a.safetensors", "double": "sub//a.safetensors",
             "slash": "a.safetensors/", "backslash": "..\\a.safetensors", "nul": "a.safetensors\0", "long": "a" * 256}
    for name, value in names.items():
        path = expect("bad-index-path-" + name, "malformed", file, "tensor 'a'", "is not the name of a file in the index's folder")
        shard(path, "a.safetensors")
        index(path, {"a": value})
    path = expect("bad-tensor-in-two-shards", "malformed", "b.safetensors: tensor 'a' is also in", "a.safetensors")
    shard(path, "a.safetensors")
    shard(path, "b.safetensors", ["a", "b"])
    index(path, {"a": "a.safetensors", "b": "b.safetensors"})
    path = expect("bad-shard-truncated", "malformed", "b.safetensors", "tensor 'b'", "truncated")
    shard(path, "a.safetensors")
    shard(path, "b.safetensors", ["b"])
    data = (path / "b.safetensors").read_bytes()
    (path / "b.safetensors").write_bytes(data[:-1])
    index(path, {"a": "a.safetensors", "b": "b.safetensors"})


def seeds():
    """The headers of all fixtures as seeds of Tests/Fuzz/safetensors.swift: the size of the data, then the JSON."""
    path = HERE.parent.parent / "Fuzz" / "corpus" / "safetensors"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    for file in sorted(HERE.glob("*/*.safetensors")):
        content = file.read_bytes()
        length = int.from_bytes(content[:8], "little")
        if 8 <= len(content) <= 4096 and length <= len(content) - 8:
            seed = struct.pack("<Q", len(content) - 8 - length) + content[8:8 + length]
            (path / f"{file.parent.name}-{file.stem}").write_bytes(seed)


def reference_refuses(path):
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            for name in file.keys():
                file.get_tensor(name)
        return False
    except Exception:
        return True


for old in HERE.glob("good-*"):
    shutil.rmtree(old)
for old in HERE.glob("bad-*"):
    shutil.rmtree(old)
good()
bad_files()
bad_folders()
for name, case in expected.items():
    if os.path.exists(HERE / name / "model.safetensors"):
        case["referenceRefuses"] = reference_refuses(HERE / name / "model.safetensors")
for name in golden:
    for path in (HERE / name).rglob("*.safetensors"):
        assert name == "good-unread-types" or not reference_refuses(path), path
seeds()
(HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
(HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
print(len(golden), "good,", len(expected), "bad;", "accepted by the safetensors package:",
      [name for name, case in expected.items() if case.get("referenceRefuses") is False])
