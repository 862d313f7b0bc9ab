"""The list of checkpoints: configuration as published, way of storing, and what each is there to catch."""

from dataclasses import dataclass


@dataclass
class Case:
    name: str
    covers: list
    config: dict
    prompt: int = 37
    element_type: str = "F32"  # of every tensor that is not FP8
    scales: str = ""  # "" = no FP8, "F32", "UE8M0" (powers of two stored as F32), "F8_E8M0"
    fused: bool = False
    shards: int = 1
    hidden_states: bool = False
    inverse_frequencies: bool = False  # an old, ignorable tensor
    router_gain: float = 1.5
    bias_mean: float = 0.0
    bias_deviation: float = 0.35
    latent_gain: float = 1.0
    # Lower gains and a smaller spread leave attention softer, so that float32 comes closer to the exact logits.
    query_gain: float = 1.6
    rope_gain: float = 1.6
    norm_spread: float = 0.6
    expert_gain: float = 1.6
    embedding_deviation: float = 0.7
    seed: int = 0  # the first to try; 0: by the case's place in the list


def attention(hidden, heads, query, rank, nope, rope, value):
    return {
        "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": heads, "q_lora_rank": query,
        "kv_lora_rank": rank, "qk_nope_head_dim": nope, "qk_rope_head_dim": rope, "v_head_dim": value,
    }  # fmt: skip


def experts(count, chosen, shared, width, groups=1, kept=1, scale=2.5, norm=True):
    return {
        "n_routed_experts": count, "num_experts_per_tok": chosen, "n_shared_experts": shared,
        "moe_intermediate_size": width, "n_group": groups, "topk_group": kept, "routed_scaling_factor": scale,
        "norm_topk_prob": norm,
    }  # fmt: skip


def yarn(factor, original, **extra):
    return {"type": "yarn", "factor": factor, "original_max_position_embeddings": original, **extra}


def common(layers, dense, width, vocabulary=97, **extra):
    config = {
        "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1,
        "first_k_dense_replace": dense, "hidden_act": "silu", "initializer_range": 0.02, "intermediate_size": width,
        "max_position_embeddings": 1024, "moe_layer_freq": 1, "num_hidden_layers": layers,
        "num_nextn_predict_layers": 0, "pretraining_tp": 1, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 10000, "tie_word_embeddings": False, "torch_dtype": "float32", "use_cache": True,
        "vocab_size": vocabulary,
    }  # fmt: skip
    return config | extra


def v2(*parts, **extra):
    config = {"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2"} | common(**extra)
    for part in parts:
        config |= part
    config |= {"norm_topk_prob": False, "scoring_func": "softmax"}
    config.setdefault("topk_method", "greedy")
    config.pop("num_nextn_predict_layers")
    return config


def v3(*parts, **extra):
    config = {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3"} | common(**extra)
    for part in parts:
        config |= part
    return config | {"scoring_func": "sigmoid", "topk_method": "noaux_tc"}


def glm(*parts, **extra):
    config = {"architectures": ["Glm4MoeLiteForCausalLM"], "model_type": "glm4_moe_lite"} | common(**extra)
    for part in parts:
        config |= part
    return config | {"topk_method": "noaux_tc", "partial_rotary_factor": 1.0}


def dots(*parts, **extra):
    """dots3-note as published: no fields of a scoring function or method."""
    config = {"architectures": ["Dots3NoteForCausalLM"], "model_type": "dots3_note_text", "pad_token_id": 0} | common(**extra)
    for part in parts:
        config |= part
    config = {k: v for k, v in config.items() if k not in ("rope_scaling", "num_nextn_predict_layers")}
    return config | extra


def sliding(heads, query, rank, nope, rope, value, window, theta=50000.0):
    """The published spelling of the layers with a window."""
    return {
        "swa_num_attention_heads": heads, "swa_num_key_value_heads": heads, "swa_q_lora_rank": query,
        "swa_kv_lora_rank": rank, "swa_head_dim": nope + rope, "swa_qk_nope_head_dim": nope, "swa_v_head_dim": value,
        "swa_rope_theta": theta, "sliding_window_size": window,
    }  # fmt: skip


def index(heads, width, picked):
    return {"index_n_heads": heads, "index_head_dim": width, "index_topk": picked}


def native(config, types, own, thetas):
    """dots3-note as transformers saves it: `own` are the sizes of the layers with a window."""
    config = {k: v for k, v in config.items() if k not in ("rope_theta", "torch_dtype", "moe_layer_freq")}
    dense = config.pop("first_k_dense_replace")
    sparse = ["dense" if i < dense else "sparse" for i in range(len(types))]
    layers = {str(i): own for i, name in enumerate(types) if name == "sliding_attention"}
    rope = {name: {"rope_type": "default", "rope_theta": thetas[name]} for name in sorted(set(types))}
    return config | {
        "layer_types": types, "mlp_layer_types": sparse, "per_layer_config": layers, "rope_parameters": rope,
        "dtype": "float32",
    }  # fmt: skip


def float8(scale_format=None):
    config = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
    return {"quantization_config": config | ({"scale_fmt": scale_format} if scale_format else {})}


def new_rope(config, **parameters):
    """The transformers 5 spelling: `rope_parameters` in place of `rope_theta` and `rope_scaling`."""
    config = {k: v for k, v in config.items() if k not in ("rope_theta", "rope_scaling", "torch_dtype")}
    return config | {"dtype": "float32", "rope_parameters": parameters}


KIMI_MAP = {
    "AutoConfig": "configuration_deepseek.DeepseekV3Config",
    "AutoModel": "modeling_deepseek.DeepseekV3Model",
    "AutoModelForCausalLM": "modeling_deepseek.DeepseekV3ForCausalLM",
}

CASES = [
    Case(
        "v2-greedy",
        ["V2-Lite: direct query, softmax greedy", "yarn 0.707/0.707, old `type` key, past the original context",
         "two shared experts", "7 experts", "vocabulary 101"],
        v2(attention(40, 4, None, 20, 8, 6, 10), experts(7, 2, 2, 11, scale=1.0), layers=3, dense=1, width=43,
           vocabulary=101, rope_scaling=yarn(40, 32, beta_fast=32, beta_slow=1, mscale=0.707, mscale_all_dim=0.707)),
        prompt=83, hidden_states=True, query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v2-group",
        ["V2: group_limited_greedy, 2 of 4 groups by their maximum", "scale 16", "low-rank query", "rope of 2",
         "5 heads", "no dense layer", "3 shards"],
        v2(attention(45, 5, 17, 22, 6, 2, 9), experts(12, 3, 1, 13, groups=4, kept=2, scale=16.0),
           {"topk_method": "group_limited_greedy"}, layers=2, dense=0, width=31),
        shards=3, expert_gain=1.0,
    ),
    Case(
        "v2-f16-tied",
        ["F16 weights", "tied embeddings", "attention_bias", "one expert per token", "n_shared_experts null",
         "n_group null", "an ignorable rotary_emb.inv_freq tensor", "theta 5e4"],
        v2(attention(33, 3, None, 14, 6, 4, 11), experts(5, 1, None, 17, groups=None, kept=None, scale=1.5),
           layers=2, dense=0, width=29, attention_bias=True, tie_word_embeddings=True, rope_theta=50000,
           torch_dtype="float16"),
        element_type="F16", inverse_frequencies=True,
    ),
    Case(
        "v3-group8",
        ["V3: 3 of 8 groups by the sum of the top two", "yarn 1.0/1.0", "two dense layers", "131 tokens of prompt"],
        v3(attention(37, 3, 19, 22, 9, 6, 7), experts(24, 5, 1, 7, groups=8, kept=3), layers=4, dense=2, width=41,
           rope_scaling=yarn(40, 32, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0)),
        prompt=131, hidden_states=True, query_gain=0.7, rope_gain=0.8, expert_gain=1.0, norm_spread=0.4,
    ),
    Case(
        "v3-negative-bias",
        ["biased scores below zero: masked groups need -inf, not 0", "2 of 4 groups", "weights leave the bias out"],
        v3(attention(41, 4, 17, 16, 10, 8, 10), experts(16, 5, 2, 9, groups=4, kept=2, scale=2.0), layers=3, dense=1,
           width=37),
        bias_mean=-0.8, hidden_states=True, query_gain=1.0,
    ),
    Case(
        "v3-bf16-mtp",
        ["BF16 weights beside a float32 correction bias", "3 shards", "multi-token prediction layer to be skipped",
         "1 of 2 groups", "direct query", "theta 1e5"],
        v3(attention(40, 4, None, 24, 8, 4, 12), experts(8, 3, 1, 12, groups=2, kept=1), layers=3, dense=1, width=48,
           vocabulary=107, num_nextn_predict_layers=1, rope_theta=100000, torch_dtype="bfloat16"),
        element_type="BF16", shards=3, query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v3-epsilon",
        ["rms_norm_eps 1e-5 with tiny latents whose norms keep 1e-6", "no renormalisation", "attention_bias",
         "half-split rope", "one group"],
        v3(attention(43, 5, 21, 18, 7, 10, 12), experts(9, 4, 1, 10, scale=1.7, norm=False), layers=2, dense=1,
           width=35, rms_norm_eps=1e-5, attention_bias=True, rope_interleave=False),
        latent_gain=0.003, embedding_deviation=0.004, hidden_states=True,
    ),
    Case(
        "v3-yarn-mscale",
        ["yarn with mscale 1.3 and mscale_all_dim 0.6", "rope_parameters spelling", "half-split rope",
         "fused experts", "odd theta"],
        new_rope(
            v3(attention(36, 4, None, 19, 11, 8, 6), experts(6, 2, 1, 14, scale=1.3), layers=2, dense=1, width=39,
               rope_interleave=False, vocabulary=103),
            rope_type="yarn", rope_theta=4321.5, factor=7.5, original_max_position_embeddings=24, mscale=1.3,
            mscale_all_dim=0.6, beta_fast=8, beta_slow=2),
        prompt=83, fused=True, hidden_states=True, query_gain=1.0, norm_spread=0.4,
    ),
    Case(
        "v3-yarn-plain",
        ["yarn without mscale fields (attention factor 0.1 ln f + 1)", "ramp of width zero", "no shared expert"],
        v3(attention(38, 2, 15, 14, 13, 4, 9), experts(10, 3, 0, 8, groups=2, kept=1, scale=2.2), layers=2, dense=0,
           width=33, rope_scaling=yarn(4.0, 6, beta_fast=1, beta_slow=1)),
        prompt=61, query_gain=1.0, norm_spread=0.4,
    ),
    Case(
        "kimi-fp8",
        ["kimi_k2 with auto_map", "FP8 with ragged 128x128 blocks", "yarn, both betas 1", "theta 5e4", "one group"],
        v3(attention(136, 5, 30, 26, 18, 6, 14), experts(6, 2, 1, 20, scale=2.827), float8(),
           {"auto_map": KIMI_MAP, "architectures": ["DeepseekV3ForCausalLM"], "model_type": "kimi_k2"},
           layers=2, dense=1, width=200, rope_theta=50000, torch_dtype="bfloat16", vocabulary=113,
           rope_scaling=yarn(32, 48, beta_fast=1.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)),
        prompt=59, element_type="BF16", scales="F32", query_gain=0.7, expert_gain=1.0, norm_spread=0.4,
    ),
    Case(
        "v3-fp8-mtp",
        ["FP8, head slices of kv_b_proj that cross block borders", "FP8 prediction layer to be skipped", "3 shards",
         "2 groups", "latent ranks over 128"],
        v3(attention(140, 3, 132, 129, 37, 8, 31), experts(4, 2, 1, 18, groups=2, kept=1), float8(), layers=2,
           dense=1, width=130, num_nextn_predict_layers=1, torch_dtype="bfloat16"),
        element_type="BF16", scales="F32", shards=3, hidden_states=True, query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v31-fp8-ue8m0",
        ["FP8 with scale_fmt ue8m0 stored as float32 powers of two", "4 groups", "expert width over 128"],
        v3(attention(136, 3, 24, 22, 12, 6, 10), experts(8, 3, 1, 16, groups=4, kept=2), float8("ue8m0"), layers=2,
           dense=1, width=257, torch_dtype="bfloat16"),
        element_type="BF16", scales="UE8M0", query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v31-fp8-e8m0",
        ["FP8 with scales of type F8_E8M0", "experts wider than one block", "shared experts of two blocks"],
        v3(attention(66, 3, None, 20, 12, 6, 10), experts(3, 1, 1, 150, norm=True), float8("ue8m0"),
           layers=2, dense=0, width=131, torch_dtype="bfloat16"),
        element_type="BF16", scales="F8_E8M0", query_gain=1.0,
    ),
    Case(
        "glm-lite",
        ["glm4_moe_lite, 192/64/256 heads scaled down", "rms_norm_eps 1e-5", "prediction layer to be skipped",
         "BF16", "theta 1e6"],
        glm(attention(40, 5, 24, 16, 12, 4, 16), experts(8, 4, 1, 12, scale=1.8), layers=3, dense=1, width=56,
            rms_norm_eps=1e-5, num_nextn_predict_layers=1, rope_theta=1000000, torch_dtype="bfloat16"),
        element_type="BF16", hidden_states=True, latent_gain=0.01, embedding_deviation=0.02,
        query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "glm-layer-types",
        ["glm4_moe_lite with mlp_layer_types dense, sparse, dense, sparse", "rope_parameters spelling",
         "half-split rope", "tied embeddings", "fused BF16 experts"],
        new_rope(
            glm(attention(35, 3, 18, 15, 6, 8, 13), experts(6, 2, 2, 10, scale=1.8), layers=4, dense=1, width=38,
                tie_word_embeddings=True, rope_interleave=False,
                mlp_layer_types=["dense", "sparse", "dense", "sparse"]),
            rope_type="default", rope_theta=30000.0, partial_rotary_factor=1.0),
        element_type="BF16", fused=True, embedding_deviation=0.4, query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v3-one-token",
        ["a prompt of one token", "one head", "one expert per token, renormalised", "rope of 2"],
        v3(attention(32, 1, 9, 11, 3, 2, 5), experts(5, 1, 1, 13), layers=2, dense=1, width=33),
        prompt=1,
    ),
    Case(
        "v3-layer-frequency",
        ["moe_layer_freq 2: experts in layers 0 and 2 (published DeepSeek code; built by surgery here)"],
        v3(attention(36, 3, 14, 17, 8, 6, 10), experts(6, 2, 1, 11, groups=2, kept=1), layers=4, dense=0, width=37,
           moe_layer_freq=2),
        query_gain=0.8, norm_spread=0.4,
    ),
    Case(
        "v3-dense",
        ["no layer with experts (first_k_dense_replace over the layer count)", "direct query", "vocabulary 131"],
        v3(attention(48, 6, None, 24, 8, 4, 8), experts(8, 2, 1, 12), layers=2, dense=3, width=61, vocabulary=131),
    ),
    Case(
        "v3-all-experts",
        ["every group kept and every expert chosen", "no renormalisation", "5 tokens of prompt"],
        v3(attention(34, 2, 12, 13, 7, 4, 8), experts(4, 4, 1, 9, groups=2, kept=2, scale=0.7, norm=False), layers=2,
           dense=1, width=29),
        prompt=5,
    ),
    Case(
        "tiny",
        ["the smallest: one layer, hidden size 8; the bad-* folders derive from it"],
        v3(attention(8, 2, 6, 4, 4, 2, 3), experts(4, 2, 1, 5, groups=2, kept=1), layers=1, dense=0, width=7,
           vocabulary=11, torch_dtype="bfloat16"),
        element_type="BF16", prompt=7,
    ),
    Case(
        "tiny-fp8",
        ["the smallest FP8 folder, every matrix in one block; the bad-* folders derive from it"],
        v3(attention(8, 2, None, 4, 4, 2, 3), experts(4, 1, None, 5), float8(), layers=1, dense=0, width=7,
           vocabulary=11, torch_dtype="bfloat16"),
        element_type="BF16", scales="F32", prompt=7,
    ),
    Case(
        "dots-published",
        ["dots3_note_text as published: the schedule of full and sliding layers, each with its own sizes and theta",
         "150 tokens of prompt, a window of 20 and 24 picked positions", "one dense layer, shared experts of their own width"],
        dots(attention(40, 3, 17, 13, 7, 4, 5), sliding(2, 11, 15, 8, 6, 6, window=20), index(12, 9, picked=24),
             experts(4, 2, 1, 6, scale=1.0), {"moe_shared_expert_intermediate_size": 9}, layers=6, dense=1, width=19,
             vocabulary=61, rms_norm_eps=1e-5, rope_theta=80000000.0, torch_dtype="bfloat16"),
        seed=20012, prompt=150, element_type="BF16", query_gain=0.35, rope_gain=0.6, norm_spread=0.3, expert_gain=0.8,
    ),
    Case(
        "dots-native",
        ["dots3_note_text as transformers saves it: layer_types, per_layer_config, rope_parameters by layer type",
         "2 of 4 groups of experts", "more picks than positions: attention to all", "tied embeddings", "fused experts",
         "two shared experts"],
        native(dots(attention(34, 4, 12, 10, 5, 6, 7), index(3, 10, picked=300),
                    experts(8, 3, 2, 5, groups=4, kept=2, scale=1.8), {"shared_experts_intermediate_size": 7}, layers=4,
                    dense=1, width=23, vocabulary=61, tie_word_embeddings=True, sliding_window=9, head_dim=11),
               ["indexed_attention", "sliding_attention", "indexed_attention", "sliding_attention"],
               {"num_attention_heads": 3, "num_key_value_heads": 3, "kv_lora_rank": 12, "qk_nope_head_dim": 3,
                "head_dim": 9},
               {"indexed_attention": 10000.0, "sliding_attention": 300.0}),
        seed=21002, prompt=70, element_type="BF16", fused=True, embedding_deviation=0.4, query_gain=0.4, rope_gain=0.8,
        norm_spread=0.3, expert_gain=1.0,
    ),
    Case(
        "dots-full",
        ["every layer full, without an indexer (use_dsa false)", "attention_bias", "moe_layer_freq one a layer"],
        dots(attention(36, 4, 14, 12, 6, 4, 8), experts(5, 2, 1, 6, scale=1.3), layers=3, dense=0, width=23,
             vocabulary=61, attention_bias=True, use_dsa=False, use_sliding_window=False,
             shared_experts_intermediate_size=8, moe_layer_freq=[1, 0, 1]),
        seed=22000, prompt=66, element_type="BF16", query_gain=0.6, norm_spread=0.4,
    ),
    Case(
        "dots-sliding",
        ["every layer with a window, of 5", "dots3_note with the text model's fields beside the towers'",
         "a prediction layer to be skipped"],
        dots(attention(38, 3, 13, 11, 6, 2, 7), sliding(3, 12, 9, 7, 4, 6, window=5, theta=900.0),
             experts(4, 1, 1, 6, scale=1.0, norm=False), {"model_type": "dots3_note"}, layers=3, dense=1, width=21,
             vocabulary=61, num_nextn_predict_layers=1, shared_experts_intermediate_size=6,
             layer_types=["sliding_attention"] * 3),
        seed=23002, prompt=71, element_type="BF16", query_gain=0.7, norm_spread=0.4,
    ),
]  # fmt: skip
