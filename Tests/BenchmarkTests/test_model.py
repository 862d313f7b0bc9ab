"""The model that is measured: its size, its files, and that an interrupted writer leaves nothing half done."""

import json
import struct

import numpy as np
import pytest

import bench_model
import checkpoint
import model_writer
import rounding

SMALL = bench_model.Shape(
    layers=2, experts=4, vocabulary=96, awake=2, hidden=64, heads=2, query_rank=32, rank=32, nope=16, rope=16, value=16,
    expert_width=32, dense_width=160,
)  # fmt: skip


def read(folder):
    """name -> (type, array of bits) of all shards of a folder."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    tensors = {}
    for file in sorted(set(index.values())):
        data = (folder / file).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        for name, entry in json.loads(data[8 : 8 + length]).items():
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            assert index[name] == file
            bits = np.frombuffer(data[begin:end], checkpoint.TYPES[entry["dtype"]])
            tensors[name] = (entry["dtype"], bits.reshape(entry["shape"]))
    assert set(tensors) == set(index)
    return tensors


def write(tmp_path, *names):
    model_writer.write_missing(tmp_path, SMALL, list(names), lambda part: None)
    return [read(model_writer.path_of(tmp_path, SMALL.layers, name)) for name in names]


def test_size_of_the_reference():
    """What the issue's figures were measured on: 3.13 G weights."""
    assert bench_model.parameter_count(bench_model.Shape()) == pytest.approx(3.13e9, rel=0.005)


def test_folder(tmp_path):
    (tensors,) = write(tmp_path, "bf16")
    assert sum(bits.size for _, bits in tensors.values()) == bench_model.parameter_count(SMALL)
    assert {kind for kind, _ in tensors.values()} == {"BF16"}
    expert = tensors["model.layers.1.mlp.experts.3.down_proj.weight"][1]
    assert expert.shape == (64, 32)
    deviation = np.std(rounding.from_bfloat16(expert))
    assert deviation == pytest.approx(model_writer.DEVIATION, rel=0.1)
    assert not np.array_equal(expert, tensors["model.layers.1.mlp.experts.2.down_proj.weight"][1])
    assert np.all(rounding.from_bfloat16(tensors["model.norm.weight"][1]) == 1)


def test_float8_holds_the_same_numbers(tmp_path):
    native, float8 = write(tmp_path, "bf16", "fp8")
    scheme = json.loads((tmp_path / "2-layers" / "fp8" / "config.json").read_text())["quantization_config"]
    assert scheme["weight_block_size"] == [128, 128]
    rounded = [name for name, (kind, _) in float8.items() if kind == "F8_E4M3"]
    assert len(rounded) == 5 * 2 + 3 + 3 * 4 + 3  # attention's, the dense layer's, the experts', the shared expert's
    for name, (kind, bits) in native.items():
        if name not in rounded:
            np.testing.assert_array_equal(bits, float8[name][1])
            continue
        values = rounding.from_bfloat16(bits)
        found = rounding.from_float8(float8[name][1], float8[name + "_scale_inv"][1])
        assert np.linalg.norm(found - values) < 0.04 * np.linalg.norm(values)


def test_same_bytes_in_any_company(tmp_path):
    (alone,) = write(tmp_path / "a", "bf16")
    together, _ = write(tmp_path / "b", "bf16", "fp8")
    for name, (_, bits) in alone.items():
        np.testing.assert_array_equal(bits, together[name][1])


def test_rounded_folder(tmp_path):
    folder = model_writer.RoundedFolder(tmp_path / "q4", SMALL, rounding.round_q4_0)
    model_writer.write_all(SMALL, [folder], [], lambda part: None)
    (native,) = write(tmp_path, "bf16")
    rounded = read(tmp_path / "q4")
    name = "model.layers.0.mlp.up_proj.weight"
    np.testing.assert_array_equal(rounded[name][1], rounding.round_q4_0(rounding.from_bfloat16(native[name][1])))
    for name in ("model.layers.1.mlp.gate.weight", "model.norm.weight"):
        np.testing.assert_array_equal(rounded[name][1], native[name][1])


def test_nothing_is_written_twice_or_by_halves(tmp_path):
    def interrupt(part):
        if part == "layer-1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model_writer.write_missing(tmp_path, SMALL, ["bf16"], interrupt)
    assert list(tmp_path.iterdir()) == []
    assert model_writer.missing(tmp_path, 2, ["bf16", "fp8"]) == ["bf16", "fp8"]
    write(tmp_path, "bf16")
    assert model_writer.missing(tmp_path, 2, ["bf16", "fp8"]) == ["fp8"]
    model_writer.write_missing(tmp_path, SMALL, ["bf16"], interrupt)  # there is nothing left to do


def test_shards_hold_what_they_announce(tmp_path):
    shard = checkpoint.Shard(tmp_path / "a", [("x", "F32", (2, 2))])
    with pytest.raises(ValueError, match="announced"):
        shard.write("x", np.zeros((2, 3), np.float32))
    shard = checkpoint.Shard(tmp_path / "b", [("x", "F32", (2, 2))])
    with pytest.raises(ValueError, match="never written"):
        shard.close()
