"""Tiny random Kimi checkpoints: configurations, weights, a tokenizer and processors in the published layouts."""

import json

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import Kimi_K25Config, Kimi_K25ForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.kimi_k25 import image_processing_kimi_k25, video_processing_kimi_k25
from transformers.models.kimi_k25.processing_kimi_k25 import Kimi_K25Processor

MERGES = ["t h", "th e", "i n", "a n", "r e", "o n", "Ġ the", "Ġ a", "Ġ i", "i m", "im a", "Ġ in", "v i", "vi d", "e o", "o r"]
SPECIAL = ["[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>",
           "<|media_begin|>", "<|media_content|>", "<|media_end|>", "<|media_pad|>"]  # fmt: skip
VIDEO_PLACEHOLDER = "<|kimi_k25_video_placeholder|>"
SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}<|im_user|>user<|im_middle|>
{%- elif message['role'] == 'assistant' -%}<|im_assistant|>assistant<|im_middle|>
{%- else -%}<|im_system|>system<|im_middle|>
{%- endif -%}
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or part['type'] == 'image_url' -%}
<|media_begin|>image<|media_content|><|media_pad|><|media_end|>
{%- elif part['type'] == 'video' or part['type'] == 'video_url' -%}
<|kimi_k25_video_placeholder|>
{%- else -%}{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_assistant|>assistant<|im_middle|>{%- endif -%}
"""


def tokenizer(special=tuple(SPECIAL) + (VIDEO_PLACEHOLDER,), bos="[BOS]", eos="<|im_end|>", pad="[EOS]"):
    """Byte-level BPE; Kimi's film's placeholder is the one token behind the model's vocabulary, as in Kimi K2.5."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = alphabet + [merge.replace(" ", "") for merge in MERGES]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(m.split()) for m in MERGES]))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=bos, eos_token=eos, pad_token=pad,
        clean_up_tokenization_spaces=False)  # fmt: skip


def vocabulary_size(tok):
    """Without the film's placeholder."""
    return len(tok) - 1


def configuration(tok):
    text = dict(
        model_type="deepseek_v3", vocab_size=vocabulary_size(tok), hidden_size=32, intermediate_size=40,
        moe_intermediate_size=16, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3, q_lora_rank=20,
        kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, n_routed_experts=8, num_experts_per_tok=3,
        n_group=4, topk_group=2, n_shared_experts=1, first_k_dense_replace=1, norm_topk_prob=True,
        routed_scaling_factor=2.5, max_position_embeddings=1024, rms_norm_eps=1e-5, hidden_act="silu",
        attention_bias=False, tie_word_embeddings=False, scoring_func="sigmoid", topk_method="noaux_tc",
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=tok.convert_tokens_to_ids("[BOS]"), eos_token_id=tok.convert_tokens_to_ids("<|im_end|>"),
    )  # fmt: skip
    vision = dict(
        patch_size=8, pos_emb_height=7, pos_emb_width=7, pos_emb_time=4, num_attention_heads=3, num_hidden_layers=3,
        hidden_size=24, intermediate_size=38, merge_kernel_size=[2, 2])  # fmt: skip
    return Kimi_K25Config(
        text_config=text, vision_config=vision, projection_hidden_size=24, tie_word_embeddings=False,
        image_token_id=tok.convert_tokens_to_ids("<|media_pad|>"),
        video_token_id=tok.convert_tokens_to_ids(VIDEO_PLACEHOLDER),
        vision_start_token_id=tok.convert_tokens_to_ids("<|media_begin|>"),
        vision_end_token_id=tok.convert_tokens_to_ids("<|media_end|>"))  # fmt: skip


@torch.no_grad()
def randomize(model, seed):
    """Every parameter, biases and norms included, so that none can be forgotten unseen."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, deviation, mean=0.0):
        tensor.copy_(mean + deviation * torch.randn(tensor.shape, generator=generator))

    for name, parameter in sorted(model.named_parameters()):
        if "norm" in name or "ln_q" in name:
            normal(parameter, 0.2, 0.0 if name.endswith("bias") else 1.0)
        elif name.endswith("bias"):
            normal(parameter, 0.3)
        elif "position_embeddings" in name:
            normal(parameter, 0.5)
        elif "embed_tokens" in name:
            normal(parameter, 1.0)
        else:
            # Sharp attention and decided logits; experts are fused to [experts, outputs, inputs].
            gain = 2.0 if any(part in name for part in ("q_proj", "k_proj", "q_b_proj", "lm_head", "qkv", "indexer.w")) else 1.0
            inputs = parameter[0].numel() if "patch_embed" in name or "convs" in name else parameter.shape[-1]
            normal(parameter, gain / np.sqrt(inputs))
    for name, buffer in sorted(model.named_buffers()):
        if "e_score_correction_bias" in name:
            normal(buffer, 0.1)


def build(tok, seed, dtype=torch.float32):
    """The model in float32, its weights rounded to `dtype`."""
    model = Kimi_K25ForConditionalGeneration._from_config(configuration(tok), attn_implementation="eager")
    model.config.text_config._experts_implementation = "eager"
    randomize(model, seed)
    # Parameters alone: tables that the modules compute stay in float32.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()
    return model.eval()


def processors():
    small = {"patch_size": 8, "merge_size": 2, "size": {"max_height": 12, "max_width": 12}}
    image = image_processing_kimi_k25.Kimi_K25ImageProcessor(**small, max_patches=48)
    video = video_processing_kimi_k25.Kimi_K25VideoProcessor(**small, max_patches=16)
    return image, video


def processor(tok):
    image, video = processors()
    return Kimi_K25Processor(image_processor=image, tokenizer=tok, video_processor=video, chat_template=TEMPLATE)


def write_json(path, document):
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
