"""Memory: decoding allocates nothing, and an engine with a session takes what its plan said."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TINY = HERE.parents[1] / "examples" / "models" / "dormouse-tiny"
MODELS = HERE.parent / "Fixtures" / "models"


MOST_OF_A_PAGE = 32
"""What taking a page and leaving another to later sessions may allocate."""


@pytest.fixture(scope="module")
def counter(compile_c):
    return compile_c(HERE / "allocations.c")


@pytest.mark.parametrize("model", [TINY, MODELS / "good-v3-group8"], ids=lambda model: model.name)
@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("stop", [[], ["never", "=====", "。。"]], ids=["plain", "stops"])
def test_decoding_allocates_nothing(counter, model, threads, stop):
    config = json.dumps({"ignore_eos": True, "max_tokens": 80, "stop": stop})
    result = subprocess.run([counter, model, threads, config], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    within, at_borders, logits, generate = (int(line) for line in result.stdout.split())
    assert [within, logits, generate] == [0, 0, 0], "prefill within a page, logits, generate"
    # Three pages begin: each is allocated, and the full one before it is left to later sessions.
    assert 3 <= at_borders <= 3 * MOST_OF_A_PAGE


@pytest.mark.parametrize(
    ("options", "most"), [({"temperature": 1, "top_p": 0.9}, 6), ({"logprobs": 5}, 6), ({"repetition_penalty": 1.1}, 1)]
)
def test_what_a_token_may_allocate(counter, options, most):
    """The sort of candidates, the arrays of log-probabilities, a set of tokens that grows: each bounded."""
    config = json.dumps({"ignore_eos": True, "max_tokens": 80, **options})
    result = subprocess.run([counter, TINY, "2", config], capture_output=True, text=True, check=True)
    assert int(result.stdout.split()[3]) <= most * 65


# A dense layer and one of experts: 310 MB of bf16.
HIDDEN, HEADS, RANK, NOPE, ROPE, VALUE = 1024, 8, 512, 128, 64, 128
EXPERTS, WIDTH, DENSE, VOCABULARY = 64, 512, 4096, 16000


def shapes():
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    yield "lm_head.weight", [VOCABULARY, HIDDEN]
    yield "model.norm.weight", [HIDDEN]
    for index in range(2):
        layer = f"model.layers.{index}."
        yield f"{layer}input_layernorm.weight", [HIDDEN]
        yield f"{layer}post_attention_layernorm.weight", [HIDDEN]
        yield f"{layer}self_attn.q_proj.weight", [HEADS * (NOPE + ROPE), HIDDEN]
        yield f"{layer}self_attn.kv_a_proj_with_mqa.weight", [RANK + ROPE, HIDDEN]
        yield f"{layer}self_attn.kv_a_layernorm.weight", [RANK]
        yield f"{layer}self_attn.kv_b_proj.weight", [HEADS * (NOPE + VALUE), RANK]
        yield f"{layer}self_attn.o_proj.weight", [HIDDEN, HEADS * VALUE]
    networks = [("model.layers.0.mlp.", DENSE)]
    networks += [(f"model.layers.1.mlp.experts.{expert}.", WIDTH) for expert in range(EXPERTS)]
    for network, width in networks:
        yield f"{network}gate_proj.weight", [width, HIDDEN]
        yield f"{network}up_proj.weight", [width, HIDDEN]
        yield f"{network}down_proj.weight", [HIDDEN, width]
    yield "model.layers.1.mlp.gate.weight", [EXPERTS, HIDDEN]


CONFIG = {
    "model_type": "deepseek_v2", "hidden_act": "silu", "hidden_size": HIDDEN, "num_hidden_layers": 2,
    "num_attention_heads": HEADS, "q_lora_rank": None, "kv_lora_rank": RANK, "qk_nope_head_dim": NOPE,
    "qk_rope_head_dim": ROPE, "v_head_dim": VALUE, "n_routed_experts": EXPERTS, "num_experts_per_tok": 6,
    "n_shared_experts": 0, "moe_intermediate_size": WIDTH, "intermediate_size": DENSE, "first_k_dense_replace": 1,
    "moe_layer_freq": 1, "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": False,
    "routed_scaling_factor": 1.0, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 4096,
    "vocab_size": VOCABULARY, "tie_word_embeddings": False, "attention_bias": False,
}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder whose weights are all 2^-7: only time and memory can be measured with it."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    header, offset = {}, 0
    for name, shape in shapes():
        size = 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        piece = b"\x00\x3c" * (1 << 20)
        for start in range(0, offset, len(piece)):
            file.write(piece[: min(len(piece), offset - start)])
    yield folder
    (folder / "model.safetensors").unlink()


@pytest.fixture(scope="module")
def peak(compile_c, large):
    """(the plan, the peak above what was there before), for sessions one after another."""
    program = compile_c(HERE / "memory.c")

    def measure(sessions):
        command = [program, MODELS / "good-v3-group8", large, "2048", str(sessions)]
        plan, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return json.loads(plan), int(peak)

    return measure


def test_peak_is_what_the_plan_said(peak):
    plan, most = peak(1)
    parts = ["weights", "cache", "working_memory", "prefix_cache"]
    assert plan["prefix_cache"] == 0 and plan["total"] == sum(plan[part] for part in parts)
    assert abs(most - plan["total"]) <= 0.05 * plan["total"], f"{plan}: the peak was {most} bytes"


def test_kept_prefixes_stay_within_the_plan(peak):
    """Six sessions leave 12,288 tokens of their own; those of 4,096 are kept."""
    plan, most = peak(6)
    assert plan["prefix_cache"] > 0
    assert 0.95 * plan["total"] <= most <= 1.05 * plan["total"], f"{plan}: the peak was {most} bytes"
