"""`info`, `tokenize`, `logits`, `bench`, `kernels`."""

import json
import math
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[1] / "Fixtures" / "models"


def read_safetensors(path):
    """name -> (shape, values) of a file of float32 and int32 tensors."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = {"F32": "f", "I32": "i"}[entry["dtype"]]
        tensors[name] = (entry["shape"], struct.unpack(f"<{(end - begin) // 4}{kind}", data[begin:end]))
    return tensors


def relative_error(values, expected):
    difference = math.sqrt(sum((a - b) ** 2 for a, b in zip(values, expected)))
    return difference / math.sqrt(sum(b * b for b in expected))


# info


def test_info(dormouse, tiny):
    result = dormouse("info", tiny)
    assert (result.status, result.error) == (0, "")
    for words in [
        "deepseek_v3", "256, 8 awake", "plain attention would need", "F8_E4M3", "memory plan", "pages of 64 tokens",
        "prefix cache",
    ]:
        assert words in result.out


def test_info_as_json(dormouse, tiny):
    (info,) = dormouse("info", tiny, "--json").lines
    assert info["model_type"] == "deepseek_v3"
    assert info["experts"]["routed"] == 256
    cache = info["cache"]
    assert cache["bytes_per_token"]["bf16"] < cache["plain_attention_bytes_per_token"]["bf16"]
    plan = info["plan"]
    assert plan["total"] == plan["weights"] + plan["cache"] + plan["working_memory"] + plan["prefix_cache"]
    unshared = dormouse("info", tiny, "--json", "--no-prefix-cache").lines[0]["plan"]
    assert plan["prefix_cache"] > 0 and unshared == {
        **plan, "prefix_cache": 0, "total": plan["total"] - plan["prefix_cache"]}
    half = dormouse("info", tiny, "--json", "--cache", "bf16").lines[0]["plan"]
    assert half["cache"] * 2 == plan["cache"]
    attention = info["attention"]
    row = attention["kv_lora_rank"] + 4 + 2 * attention["qk_rope_head_dim"]
    assert cache["bytes_per_token"]["int8"] == info["layers"] * row
    bytes_ = dormouse("info", tiny, "--json", "--cache", "int8", "--context", "64").lines[0]["plan"]["cache"]
    assert bytes_ == 64 * cache["bytes_per_token"]["int8"]
    short = dormouse("info", tiny, "--json", "--context", "10").lines[0]["plan"]
    assert short["cache"] < plan["cache"]


def test_info_of_the_whole_model(dormouse):
    """The figures of the published models, from their configuration alone."""
    for folder in sorted(MODELS.glob("good-*")):
        result = dormouse("info", folder, "--json")
        assert result.status == 0, result.error


def test_bad_folders(dormouse):
    """Every bad folder is refused in one sentence that names it; nothing crashes."""
    folders = sorted(MODELS.glob("bad-*"))
    assert len(folders) > 40
    for folder in folders:
        result = dormouse("bench", folder, "--prompt", "2", "--gen", "1", "--reps", "1")
        assert (result.status, result.out) == (1, ""), folder.name
        assert result.error.startswith("dormouse: ") and result.error.count("\n") == 1, result.error


# tokenize


@pytest.mark.parametrize("text", ["What is 7 plus 5?", "7加5等于几?\n", "  two  spaces\t\n\n", "🐭 é\u0301", ""])
def test_tokenize_there_and_back(dormouse, tiny, text):
    ids = dormouse("tokenize", tiny, input=text)
    assert ids.status == 0
    assert dormouse("tokenize", tiny, "--decode", input=ids.out).out == text
    (as_json,) = dormouse("tokenize", tiny, "--json", input=text).lines
    assert as_json == [int(word) for word in ids.out.split()]
    assert dormouse("tokenize", tiny, "--decode", "--json", input=json.dumps(as_json)).lines == [text]


def test_special_tokens(dormouse, tiny):
    token = "<｜User｜>"
    plain = dormouse("tokenize", tiny, "--json", input=token).lines[0]
    (special,) = dormouse("tokenize", tiny, "--json", "--parse-special", input=token).lines[0]
    assert len(plain) > 1 and special not in plain
    assert dormouse("tokenize", tiny, "--decode", input=str(special)).out == token
    assert dormouse("tokenize", tiny, "--decode", input=" ".join(map(str, plain))).out == token
    mixed = json.dumps([special, *plain, special])
    assert dormouse("tokenize", tiny, "--decode", "--skip-special", input=mixed).out == token
    # What the tokenizer adds stands around the text, if it adds anything.
    text = dormouse("tokenize", tiny, "--json", input="7 plus").lines[0]
    added = dormouse("tokenize", tiny, "--json", "--add-special", input="7 plus").lines[0]
    assert any(added[start : start + len(text)] == text for start in range(len(added) - len(text) + 1))


@pytest.mark.parametrize("ids", ["[1, ", "[1.5]", '["a"]', "one", "99999999", "[-1]", "[99999999999]", '{"a": 1}'])
def test_bad_ids(dormouse, tiny, ids):
    result = dormouse("tokenize", tiny, "--decode", input=ids)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith("dormouse: ")


def test_bytes_that_are_no_text(dormouse, tiny):
    ids = dormouse("tokenize", tiny, input=b"a\xff\xfe\x00b")
    assert ids.status == 0
    assert dormouse("tokenize", tiny, "--decode", input=ids.out).out == "a\ufffd\ufffd\x00b"


# logits


@pytest.mark.parametrize("model", ["good-v3-group8", "good-v2-group", "good-glm-lite", "good-kimi-fp8"])
@pytest.mark.parametrize("form", [[], ["--absorbed"]])
def test_logits_against_transformers(dormouse, tmp_path, model, form):
    golden = read_safetensors(MODELS / model / "golden.safetensors")
    ids = list(golden["input_ids"][1])
    file, output = tmp_path / "ids.json", tmp_path / "logits.safetensors"
    file.write_text(json.dumps(ids))
    result = dormouse("logits", MODELS / model, "--ids", file, "--output", output, *form, "--json")
    assert result.status == 0, result.error
    (report,) = result.lines
    shape, values = read_safetensors(output)["logits"]
    assert shape == golden["logits"][0] == [report["tokens"], report["vocabulary_size"]]
    assert relative_error(values, golden["logits"][1]) <= 1e-5
    assert os.listdir(tmp_path) == sorted(["ids.json", "logits.safetensors"]) or len(os.listdir(tmp_path)) == 2


def test_logits_in_pieces(dormouse, tmp_path, tiny):
    """More tokens than one piece of 16 MiB holds come out as from the start."""
    (info,) = dormouse("info", tiny, "--json").lines
    count = info["context_length"]
    ids = [index * 7 % 1000 for index in range(count)]
    first, whole = tmp_path / "first", tmp_path / "whole"
    assert dormouse("logits", tiny, "--ids", "-", "--output", whole, input=json.dumps(ids)).status == 0
    assert dormouse("logits", tiny, "--ids", "-", "--output", first, input=json.dumps(ids[:3])).status == 0
    vocabulary = info["vocabulary_size"]
    values = read_safetensors(whole)["logits"][1]
    assert len(values) == count * vocabulary and all(map(math.isfinite, values))
    assert relative_error(values[: 3 * vocabulary], read_safetensors(first)["logits"][1]) <= 1e-5


@pytest.mark.parametrize("ids", ["", "[]", "{}", "[1.5]", "[-1]", "[123456789]", "1 2 3"])
def test_bad_logits_input(dormouse, bare, tmp_path, ids):
    output = tmp_path / "out.safetensors"
    output.write_text("kept")
    result = dormouse("logits", bare, "--ids", "-", "--output", output, input=ids)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith("dormouse: ") and result.error.count("\n") == 1
    assert output.read_text() == "kept" and len(os.listdir(tmp_path)) == 1


def test_logits_output_that_cannot_be(dormouse, bare, tmp_path):
    for output in [tmp_path, tmp_path / "none" / "out", "/dev/null"]:
        result = dormouse("logits", bare, "--ids", "-", "--output", output, input="[1, 2]")
        assert (result.status, result.out) == (1, ""), output
        assert str(output) in result.error
    assert Path("/dev/null").is_char_device()


def test_interrupted_logits_leave_nothing(binary, tiny, tmp_path):
    process = subprocess.Popen(
        [binary, "logits", tiny, "--ids", "-", "--output", tmp_path / "out"], stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(json.dumps([5] * 1000).encode())
    process.stdin.close()
    until = time.monotonic() + 30
    while not os.listdir(tmp_path) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    # On a fast machine the work may be over before the signal comes.
    if process.wait(timeout=60) == 0:
        assert os.listdir(tmp_path) == ["out"]
    else:
        assert process.returncode == 130 and os.listdir(tmp_path) == []


# bench and kernels


def test_bench(dormouse, tiny):
    options = ["--prompt", "16", "--gen", "4", "--reps", "2", "--depth", "8", "--threads", "1"]
    result = dormouse("bench", tiny, *options)
    assert (result.status, result.error) == (0, "")
    assert "prefill" in result.out and "decode" in result.out and "of this machine's" in result.out
    (report,) = dormouse("bench", tiny, *options, "--json").lines
    assert report["prefill"]["tokens"] == 16 and report["prefill"]["depth"] == 8
    assert report["decode"]["tokens"] == 4 and report["decode"]["depth"] == 24
    assert len(report["decode"]["all_tokens_per_second"]) == 2
    for name in ["prefill", "decode"]:
        assert report[name]["tokens_per_second"] > 0
    assert report["threads"] == 1
    assert report["weight_bytes_per_token"] > 0 and report["machine_bytes_per_second"] > 1e8
    assert 0 < report["share_of_bandwidth"] and 0 < report["share_of_arithmetic"] < 1.5
    # Before each repetition and after the last.
    assert len(report["all_machine_bytes_per_second"]) == len(report["all_machine_operations_per_second"]) == 3
    limits = report["all_machine_bytes_per_second"]
    assert min(limits) <= report["machine_bytes_per_second"] <= max(limits)
    assert report["load_seconds"] > 0 and (report["weights"], report["cache"]) == ("native", "f32")


def test_bench_counts_the_cache(dormouse, tiny):
    """A row in 16 bits takes half of one in 32, and a token reads as many as lie before it."""
    options = ["--prompt", "16", "--gen", "8", "--reps", "1", "--threads", "1", "--json"]
    (whole,) = dormouse("bench", tiny, *options).lines
    (half,) = dormouse("bench", tiny, *options, "--cache", "bf16").lines
    (deep,) = dormouse("bench", tiny, *options, "--depth", "20").lines
    assert half["cache"] == "bf16" and half["cache_bytes"] * 2 == whole["cache_bytes"]
    assert half["cache_bytes_per_token"] * 2 == whole["cache_bytes_per_token"]
    # 16 and 4 rows, then 20 more.
    assert deep["cache_bytes_per_token"] == 2 * whole["cache_bytes_per_token"]
    for report in (whole, half, deep):
        rate = report["decode"]["tokens_per_second"]
        expected = rate * (report["weight_bytes_per_token"] + report["cache_bytes_per_token"])
        assert math.isclose(report["bytes_per_second"], expected, rel_tol=1e-3)
        assert math.isclose(report["weight_bytes_per_second"], rate * report["weight_bytes_per_token"], rel_tol=1e-6)


def test_bench_of_many_sessions(dormouse, tiny):
    options = ["--prompt", "16", "--gen", "4", "--reps", "2", "--depth", "8"]
    assert "sessions" not in dormouse("bench", tiny, *options, "--json").lines[0]
    result = dormouse("bench", tiny, *options, "--sessions", "20")
    assert result.status == 0 and "of 20 at the same time" in result.out and "times those of one" in result.out
    (report,) = dormouse("bench", tiny, *options, "--sessions", "3", "--json").lines
    sessions = report["sessions"]
    assert sessions["count"] == 3
    totals = sessions["all_tokens_per_second"]
    ones = report["decode"]["all_tokens_per_second"]
    assert len(totals) == len(ones) == len(sessions["all_ratios"]) == 2
    assert all(math.isclose(a / b, ratio) for a, b, ratio in zip(totals, ones, sessions["all_ratios"]))
    assert min(sessions["all_ratios"]) <= sessions["ratio"] <= max(sessions["all_ratios"])
    assert 0 < sessions["slowest_session_tokens_per_second"] <= sessions["session_tokens_per_second"]


def test_bench_of_packed_weights(dormouse, tiny):
    options = ["--prompt", "4", "--gen", "2", "--reps", "1", "--json"]
    sizes = {}
    for weights in ["int8", "int4"]:
        (report,) = dormouse("bench", tiny, "--weights", weights, *options).lines
        assert report["weights"] == weights and report["decode"]["tokens_per_second"] > 0
        sizes[weights] = report["weight_bytes_per_token"]
    assert sizes["int4"] < 0.8 * sizes["int8"]


def test_bench_needs_no_tokenizer(dormouse, bare):
    assert dormouse("bench", bare, "--prompt", "4", "--gen", "0", "--reps", "1").status == 0
    assert dormouse("bench", bare, "--prompt", "0", "--gen", "4", "--reps", "1").status == 0


def test_bench_beyond_the_context(dormouse, bare):
    result = dormouse("bench", bare, "--prompt", "1000000")
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith("dormouse: ")


def test_kernels(dormouse):
    (kernels,) = dormouse("kernels", "--json").lines
    assert set(kernels) == {"built", "usable", "chosen"}
    assert kernels["chosen"] == os.environ.get("DORMOUSE_ISA", kernels["usable"][-1])
    assert "baseline" in kernels["usable"] and set(kernels["usable"]) <= set(kernels["built"])
    text = dormouse("kernels").out
    assert [line.split()[0] for line in text.splitlines()] == ["built", "usable", "chosen"]
    for name in kernels["usable"]:
        assert dormouse("kernels", "--json", environment={"DORMOUSE_ISA": name}).lines[0]["chosen"] == name


def test_unknown_instruction_set(dormouse, tiny):
    result = dormouse("run", tiny, "-p", "a", environment={"DORMOUSE_ISA": "abacus"})
    assert (result.status, result.out) == (1, "")
    assert "abacus" in result.error
