"""A tiny random dots3_note: configuration, tokenizer, processors and template, in the layout that transformers saves."""

import torch
from transformers import Dots3NoteConfig, Dots3NoteForConditionalGeneration
from transformers.models.dots3_note.feature_extraction_dots3_note import Dots3NoteFeatureExtractor
from transformers.models.dots3_note.processing_dots3_note import Dots3NoteProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

import kimi

SPECIAL = ["<|endoftext|>", "<|user|>", "<|endofuser|>", "<|assistant|>", "<|endofassistant|>", "<|system|>",
           "<|endofsystem|>", "<|img|>", "<|imgpad|>", "<|endofimg|>", "<|video_pad|>", "<|audio_comp_start|>",
           "<|audio_comp_end|>", "<|audio_comp_pad|>"]  # fmt: skip
TEMPLATE = """\
{%- for message in messages -%}
<|{{ message['role'] }}|>
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or part['type'] == 'image_url' -%}
<|img|><|imgpad|><|endofimg|>
{%- elif part['type'] == 'video' or part['type'] == 'video_url' -%}
<|video_pad|>
{%- elif part['type'] == 'audio' or part['type'] == 'input_audio' -%}
<|audio_comp_start|><|audio_comp_pad|><|audio_comp_end|>
{%- else -%}{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|endof{{ message['role'] }}|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""
PATCH = 8


def tokenizer():
    return kimi.tokenizer(tuple(SPECIAL), bos="<|endoftext|>", eos="<|endofassistant|>", pad="<|endoftext|>")


def configuration(tok):
    """Prompts are longer than the sliding window, and than what the indexer picks."""
    text = dict(
        vocab_size=len(tok), hidden_size=32, intermediate_size=40, moe_intermediate_size=16, num_hidden_layers=4,
        num_attention_heads=3, num_key_value_heads=3, q_lora_rank=20, kv_lora_rank=16, qk_nope_head_dim=8,
        qk_rope_head_dim=4, v_head_dim=8, head_dim=12, n_routed_experts=8, num_experts_per_tok=3,
        shared_experts_intermediate_size=16, index_topk=12, index_head_dim=8, index_n_heads=12, sliding_window=10,
        layer_types=["indexed_attention", "sliding_attention", "indexed_attention", "sliding_attention"],
        mlp_layer_types=["dense", "sparse", "dense", "sparse"],
        swa_num_attention_heads=2, swa_num_key_value_heads=2, swa_q_lora_rank=12, swa_kv_lora_rank=24, swa_head_dim=16,
        swa_qk_nope_head_dim=12, swa_qk_rope_head_dim=4, swa_v_head_dim=8, routed_scaling_factor=1.5,
        max_position_embeddings=1024, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id)  # fmt: skip
    vision = dict(
        hidden_size=24, intermediate_size=38, num_hidden_layers=4, num_attention_heads=3, patch_size=PATCH,
        moe_intermediate_size=14, pyramid_num_routed=[-1, 4, -1, 7], router_scaling_factor=1.25, adapter_in_dim=24,
        adapter_out_dim=32)  # fmt: skip
    audio = dict(
        hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=3, feature_size=20,
        downsample_hidden_size=6, adapter_input_size=24, adapter_out_dim=32, max_position_embeddings=64)  # fmt: skip
    number = tok.convert_tokens_to_ids
    return Dots3NoteConfig(
        text_config=text, vision_config=vision, audio_config=audio, image_token_id=number("<|imgpad|>"),
        video_token_id=number("<|video_pad|>"), audio_token_id=number("<|audio_comp_pad|>"))  # fmt: skip


def build(tok, seed):
    """The model in float32, its weights rounded to bfloat16 but for the routers' biases."""
    model = Dots3NoteForConditionalGeneration._from_config(configuration(tok), attn_implementation="eager")
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._experts_implementation = "eager"  # others want strides of 16 bytes
    kimi.randomize(model, seed)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()
    return model.eval()


def processor(tok):
    """Chunks of sound of a second, so that few tokens are several."""
    sizes = {"patch_size": PATCH, "temporal_patch_size": 1, "merge_size": 2}
    return Dots3NoteProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes, size={"shortest_edge": 1024, "longest_edge": 6144}),
        tokenizer=tok,
        video_processor=Qwen3VLVideoProcessor(
            **sizes, size={"shortest_edge": 1024, "longest_edge": 9216}, min_frames=3, max_frames=6),
        feature_extractor=Dots3NoteFeatureExtractor(feature_size=20, chunk_length=1), chat_template=TEMPLATE)  # fmt: skip
