#!/usr/bin/env python3
"""Writes a model folder of DeepSeek-V2-Lite's shape with random bf16 weights, to time the runtime with.

usage: make_model.py FOLDER [--layers 2]     (Python's standard library alone; 0.15 + 0.58 GB a further layer)

The layers are the first of V2-Lite: one dense, the rest with 64 experts of which 6 are awake and 2 shared. Only time
and memory can be measured with it: random weights answer nothing.
"""
import argparse
import json
import os
import struct

HIDDEN, HEADS, RANK, NOPE, ROPE, VALUE = 2048, 16, 512, 128, 64, 128
EXPERTS, AWAKE, SHARED, WIDTH, DENSE, VOCABULARY = 64, 6, 2, 1408, 10944, 32000

# The upper byte of a bf16 between 2^-7 and 2^-5, with the sign of the random byte; the lower byte may be anything.
UPPER = bytes(0x3C | (byte & 0x80) for byte in range(256))
ONE = b"\x80\x3f"


def random_weights(count: int) -> bytes:
    values = bytearray(os.urandom(2 * count))
    values[1::2] = values[1::2].translate(UPPER)
    return bytes(values)


def gated(prefix: str, width: int) -> dict[str, list[int]]:
    return {
        f"{prefix}gate_proj.weight": [width, HIDDEN],
        f"{prefix}up_proj.weight": [width, HIDDEN],
        f"{prefix}down_proj.weight": [HIDDEN, width],
    }


def layer(index: int) -> dict[str, list[int]]:
    prefix = f"model.layers.{index}."
    attention = prefix + "self_attn."
    shapes = {
        f"{prefix}input_layernorm.weight": [HIDDEN],
        f"{prefix}post_attention_layernorm.weight": [HIDDEN],
        f"{attention}q_proj.weight": [HEADS * (NOPE + ROPE), HIDDEN],
        f"{attention}kv_a_proj_with_mqa.weight": [RANK + ROPE, HIDDEN],
        f"{attention}kv_a_layernorm.weight": [RANK],
        f"{attention}kv_b_proj.weight": [HEADS * (NOPE + VALUE), RANK],
        f"{attention}o_proj.weight": [HIDDEN, HEADS * VALUE],
    }
    if index == 0:
        return shapes | gated(prefix + "mlp.", DENSE)
    shapes[f"{prefix}mlp.gate.weight"] = [EXPERTS, HIDDEN]
    for expert in range(EXPERTS):
        shapes |= gated(f"{prefix}mlp.experts.{expert}.", WIDTH)
    return shapes | gated(prefix + "mlp.shared_experts.", SHARED * WIDTH)


def write_shard(path: str, shapes: dict[str, list[int]]) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            file.write(ONE * shape[0] if len(shape) == 1 else random_weights(shape[0] * shape[1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--layers", type=int, default=2)
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)

    ends = {
        "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
        "model.norm.weight": [HIDDEN],
        "lm_head.weight": [VOCABULARY, HIDDEN],
    }
    shards = {"model-ends.safetensors": ends}
    for index in range(arguments.layers):
        shards[f"model-layer-{index}.safetensors"] = layer(index)
    for name, shapes in shards.items():
        write_shard(os.path.join(arguments.folder, name), shapes)
    weight_map = {name: shard for shard, shapes in shards.items() for name in shapes}
    with open(os.path.join(arguments.folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)

    config = {
        "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_act": "silu",
        "hidden_size": HIDDEN, "num_hidden_layers": arguments.layers, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "q_lora_rank": None, "kv_lora_rank": RANK, "qk_nope_head_dim": NOPE,
        "qk_rope_head_dim": ROPE, "v_head_dim": VALUE, "n_routed_experts": EXPERTS, "num_experts_per_tok": AWAKE,
        "n_shared_experts": SHARED, "moe_intermediate_size": WIDTH, "intermediate_size": DENSE,
        "first_k_dense_replace": 1, "moe_layer_freq": 1, "topk_method": "greedy", "scoring_func": "softmax",
        "n_group": 1, "topk_group": 1, "norm_topk_prob": False, "routed_scaling_factor": 1.0, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "rope_scaling": None, "max_position_embeddings": 163840, "vocab_size": VOCABULARY,
        "tie_word_embeddings": False, "attention_bias": False, "torch_dtype": "bfloat16",
    }
    with open(os.path.join(arguments.folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)


if __name__ == "__main__":
    main()
