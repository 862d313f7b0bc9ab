"""The model that is measured: DeepSeek-V2-Lite's widths, fewer layers, random weights.

This page says what there is (names, shapes, configuration); `model_writer.py` writes it. Only time, memory and the
error of rounding can be measured with it: random weights answer nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Sizes, under the names of config.json where they differ."""

    layers: int = 6  # num_hidden_layers; the first is dense
    experts: int = 64  # n_routed_experts
    vocabulary: int = 32000  # vocab_size
    awake: int = 6  # num_experts_per_tok
    shared: int = 2  # n_shared_experts
    hidden: int = 2048  # hidden_size
    heads: int = 16  # num_attention_heads
    query_rank: int = 768  # q_lora_rank
    rank: int = 512  # kv_lora_rank
    nope: int = 128  # qk_nope_head_dim
    rope: int = 64  # qk_rope_head_dim
    value: int = 128  # v_head_dim
    expert_width: int = 1408  # moe_intermediate_size
    dense_width: int = 10944  # intermediate_size


Part = Callable[[np.ndarray], np.ndarray]


def _whole(values: np.ndarray) -> np.ndarray:
    return values


@dataclass(frozen=True)
class Tensor:
    """One draw of random numbers, and where it goes."""

    kind: str  # "norm" (ones), "router" or "embedding" (kept in high precision), "weight"
    shape: tuple[int, ...]
    names: tuple[str, ...]  # in the Hugging Face folder; several: one for each index of the first axis
    gguf: tuple[tuple[str, Part], ...]  # names in the GGUF, and what part of the values each of them holds

    @property
    def count(self) -> int:
        return int(np.prod(self.shape))

    @property
    def part_shape(self) -> tuple[int, ...]:
        """The shape of each of `names`."""
        return self.shape if len(self.names) == 1 else self.shape[1:]

    def folder_parts(self, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(name, values) of each tensor of the folder."""
        if len(self.names) == 1:
            yield self.names[0], values
        else:
            yield from zip(self.names, values)


def _one(kind: str, name: str, gguf: str, *shape: int) -> Tensor:
    return Tensor(kind, shape, (name + ".weight",), ((gguf + ".weight", _whole),))


def shards(shape: Shape) -> Iterator[tuple[str, list[Tensor]]]:
    """(file name without its suffix, tensors), in the order in which they are written."""
    yield "embedding", [_one("embedding", "model.embed_tokens", "token_embd", shape.vocabulary, shape.hidden)]
    for index in range(shape.layers):
        feed_forward = _dense(shape, index) if index == 0 else _experts(shape, index)
        yield f"layer-{index}", _attention(shape, index) + feed_forward
    yield "head", [
        _one("norm", "model.norm", "output_norm", shape.hidden),
        _one("embedding", "lm_head", "output", shape.vocabulary, shape.hidden),
    ]


def parameter_count(shape: Shape) -> int:
    return sum(tensor.count for _, tensors in shards(shape) for tensor in tensors)


def _attention(shape: Shape, index: int) -> list[Tensor]:
    layer, attention, block = f"model.layers.{index}.", f"model.layers.{index}.self_attn.", f"blk.{index}."
    heads, hidden = shape.heads, shape.hidden

    def by_head(values: np.ndarray) -> np.ndarray:
        return values.reshape(heads, shape.nope + shape.value, shape.rank)

    def keys(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(by_head(values)[:, : shape.nope].transpose(0, 2, 1))

    def values_of(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(by_head(values)[:, shape.nope :])

    expansion = Tensor(
        "weight",
        (heads * (shape.nope + shape.value), shape.rank),
        (attention + "kv_b_proj.weight",),
        ((block + "attn_k_b.weight", keys), (block + "attn_v_b.weight", values_of)),
    )
    return [
        _one("norm", layer + "input_layernorm", block + "attn_norm", hidden),
        _one("norm", layer + "post_attention_layernorm", block + "ffn_norm", hidden),
        _one("weight", attention + "q_a_proj", block + "attn_q_a", shape.query_rank, hidden),
        _one("norm", attention + "q_a_layernorm", block + "attn_q_a_norm", shape.query_rank),
        _one("weight", attention + "q_b_proj", block + "attn_q_b", heads * (shape.nope + shape.rope), shape.query_rank),
        _one("weight", attention + "kv_a_proj_with_mqa", block + "attn_kv_a_mqa", shape.rank + shape.rope, hidden),
        _one("norm", attention + "kv_a_layernorm", block + "attn_kv_a_norm", shape.rank),
        expansion,
        _one("weight", attention + "o_proj", block + "attn_output", hidden, heads * shape.value),
    ]


def _projections(shape: Shape, width: int) -> list[tuple[str, int, int]]:
    return [("gate", width, shape.hidden), ("up", width, shape.hidden), ("down", shape.hidden, width)]


def _dense(shape: Shape, index: int) -> list[Tensor]:
    return [
        _one("weight", f"model.layers.{index}.mlp.{name}_proj", f"blk.{index}.ffn_{name}", rows, columns)
        for name, rows, columns in _projections(shape, shape.dense_width)
    ]


def _experts(shape: Shape, index: int) -> list[Tensor]:
    prefix, block = f"model.layers.{index}.mlp.", f"blk.{index}."
    tensors = [_one("router", prefix + "gate", block + "ffn_gate_inp", shape.experts, shape.hidden)]
    for name, rows, columns in _projections(shape, shape.expert_width):
        names = tuple(f"{prefix}experts.{expert}.{name}_proj.weight" for expert in range(shape.experts))
        stack = ((f"{block}ffn_{name}_exps.weight", _whole),)
        tensors.append(Tensor("weight", (shape.experts, rows, columns), names, stack))
    for name, rows, columns in _projections(shape, shape.shared * shape.expert_width):
        tensors.append(_one("weight", f"{prefix}shared_experts.{name}_proj", f"{block}ffn_{name}_shexp", rows, columns))
    return tensors


def configuration(shape: Shape) -> dict:
    """config.json of the folder."""
    return {
        "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_act": "silu",
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "q_lora_rank": shape.query_rank, "kv_lora_rank": shape.rank,
        "qk_nope_head_dim": shape.nope, "qk_rope_head_dim": shape.rope, "v_head_dim": shape.value,
        "n_routed_experts": shape.experts, "num_experts_per_tok": shape.awake, "n_shared_experts": shape.shared,
        "moe_intermediate_size": shape.expert_width, "intermediate_size": shape.dense_width,
        "first_k_dense_replace": 1, "moe_layer_freq": 1, "topk_method": "greedy", "scoring_func": "softmax",
        "n_group": 1, "topk_group": 1, "norm_topk_prob": False, "routed_scaling_factor": 1.0, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "rope_scaling": None, "max_position_embeddings": 163840,
        "vocab_size": shape.vocabulary, "tie_word_embeddings": False, "attention_bias": False,
        "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16",
    }  # fmt: skip
