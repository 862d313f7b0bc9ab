"""Writes the model as a GGUF, the file that llama.cpp reads, with its own package and its own rounding."""

from pathlib import Path

import gguf
import numpy as np
from gguf import quants

import bench_model
import rounding


class PeerFile:
    """One GGUF of one type ("Q8_0", "Q4_0"); norms and the router stay float32, as in llama.cpp's own files."""

    def __init__(self, path: Path, type_name: str, shape: bench_model.Shape):
        self.type = gguf.GGMLQuantizationType[type_name]
        self.writer = gguf.GGUFWriter(path, "deepseek2")
        self.writer.add_file_type(gguf.LlamaFileType["MOSTLY_" + type_name])
        _describe(self.writer, shape)
        for _, tensors in bench_model.shards(shape):
            for tensor in tensors:
                self._announce(tensor)
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_ti_data_to_file()

    def write(self, tensor: bench_model.Tensor, bits: np.ndarray) -> None:
        """bits: bfloat16, of the tensor's shape; tensors come in the order of `bench_model.shards`."""
        values = rounding.from_bfloat16(bits)
        for _, part in tensor.gguf:
            self.writer.write_tensor_data(
                part(values) if _is_precise(tensor) else quants.quantize(part(values), self.type)
            )

    def close(self) -> None:
        self.writer.close()

    def _announce(self, tensor: bench_model.Tensor) -> None:
        # Parts of nothing: an array without memory behind it has their shapes.
        nothing = np.broadcast_to(np.float32(0), tensor.shape)
        for name, part in tensor.gguf:
            shape = part(nothing).shape
            if _is_precise(tensor):
                self.writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * int(np.prod(shape)))
            else:
                shape = gguf.quant_shape_to_byte_shape(shape, self.type)
                self.writer.add_tensor_info(name, shape, np.dtype(np.uint8), int(np.prod(shape)), self.type)


def _is_precise(tensor: bench_model.Tensor) -> bool:
    return tensor.kind in ("norm", "router")


def _describe(writer: gguf.GGUFWriter, shape: bench_model.Shape) -> None:
    """The same facts as config.json, in the words of the format."""
    writer.add_name("bench")
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(163840)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_leading_dense_block_count(1)
    writer.add_feed_forward_length(shape.dense_width)
    writer.add_layer_norm_rms_eps(1e-6)
    _describe_attention(writer, shape)
    _describe_experts(writer, shape)
    _describe_tokens(writer, shape)


def _describe_attention(writer: gguf.GGUFWriter, shape: bench_model.Shape) -> None:
    """Keys and values as the latent cache holds them (one head for all), then as attention expands them ("mla")."""
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.rope)
    writer.add_q_lora_rank(shape.query_rank)
    writer.add_kv_lora_rank(shape.rank)
    writer.add_key_length(shape.rank + shape.rope)
    writer.add_value_length(shape.rank)
    writer.add_key_length_mla(shape.nope + shape.rope)
    writer.add_value_length_mla(shape.value)


def _describe_experts(writer: gguf.GGUFWriter, shape: bench_model.Shape) -> None:
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.awake)
    writer.add_expert_shared_count(shape.shared)
    writer.add_expert_feed_forward_length(shape.expert_width)
    writer.add_expert_weights_scale(1.0)
    writer.add_expert_weights_norm(False)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX)


def _describe_tokens(writer: gguf.GGUFWriter, shape: bench_model.Shape) -> None:
    """llama.cpp opens no file without a vocabulary; prompts are token ids, so any words will do."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-llm")
    writer.add_token_list([f"t{index}" for index in range(shape.vocabulary)])
    writer.add_token_types([gguf.TokenType.NORMAL] * shape.vocabulary)
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
