"""Configuration documents: published-style good-*.json, and bad-*.json with one thing wrong each.

Any Python 3 runs it; it rewrites the documents and expected.json beside it. The values of the good ones are those of
the published checkpoints (dimensions: shared reference on models; counts: billions of parameters as published, or
computed from the dimensions where no figure is published). Their cache bytes are for 16-bit rows.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent


def yarn(factor, **extra):
    base = {"type": "yarn", "factor": factor, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1}
    return base | extra


V3 = {
    "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"}, "aux_loss_alpha": 0.001, "bos_token_id": 0,
    "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168,
    "initializer_range": 0.02, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
    "model_type": "deepseek_v3", "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8,
    "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 128,
    "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1,
    "pretraining_tp": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "quantization_config": {
        "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]
    },
    "rms_norm_eps": 1e-06, "rope_scaling": yarn(40, mscale=1.0, mscale_all_dim=1.0), "rope_theta": 10000,
    "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "seq_aux": True, "tie_word_embeddings": False,
    "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": True, "v_head_dim": 128,
    "vocab_size": 129280,
}  # fmt: skip
PLAIN = {k: v for k, v in V3.items() if k != "quantization_config"}
V2_LITE = {k: v for k, v in PLAIN.items() if k not in ("ep_size", "num_nextn_predict_layers")} | {
    "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "bos_token_id": 100000,
    "eos_token_id": 100001, "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 10944,
    "moe_intermediate_size": 1408, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2,
    "norm_topk_prob": False, "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27,
    "num_key_value_heads": 16, "q_lora_rank": None, "routed_scaling_factor": 1.0, "scoring_func": "softmax",
    "topk_group": 1, "topk_method": "greedy", "vocab_size": 102400,
    "rope_scaling": yarn(40, mscale=0.707, mscale_all_dim=0.707),
}  # fmt: skip
V2 = V2_LITE | {
    "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536, "n_group": 8,
    "n_routed_experts": 160, "num_attention_heads": 128, "num_hidden_layers": 60, "num_key_value_heads": 128,
    "q_lora_rank": 1536, "routed_scaling_factor": 16.0, "topk_group": 3, "topk_method": "group_limited_greedy",
}  # fmt: skip
MOONLIGHT = {k: v for k, v in PLAIN.items() if k != "rope_scaling"} | {
    "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 11264, "max_position_embeddings": 8192,
    "moe_intermediate_size": 1408, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2,
    "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16,
    "num_nextn_predict_layers": 0, "q_lora_rank": None, "rope_theta": 50000.0, "routed_scaling_factor": 2.446,
    "topk_group": 1, "vocab_size": 163840,
}  # fmt: skip
KIMI_K2 = V3 | {
    "model_type": "kimi_k2", "bos_token_id": 163584, "eos_token_id": 163585, "first_k_dense_replace": 1,
    "max_position_embeddings": 131072, "n_group": 1, "n_routed_experts": 384, "num_attention_heads": 64,
    "num_key_value_heads": 64, "num_nextn_predict_layers": 0, "rope_theta": 50000.0,
    "rope_scaling": yarn(32.0, beta_fast=1.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0),
    "routed_scaling_factor": 2.827, "topk_group": 1, "vocab_size": 163840,
}  # fmt: skip
GLM = {
    "architectures": ["Glm4MoeLiteForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "dtype": "bfloat16", "eos_token_id": [154820, 154827, 154829], "first_k_dense_replace": 1, "hidden_act": "silu",
    "hidden_size": 2048, "intermediate_size": 10240, "kv_lora_rank": 512, "max_position_embeddings": 202752,
    "model_type": "glm4_moe_lite", "moe_intermediate_size": 1536, "n_group": 1, "n_routed_experts": 64,
    "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 20, "num_experts_per_tok": 4,
    "num_hidden_layers": 47, "num_key_value_heads": 20, "num_nextn_predict_layers": 1, "pad_token_id": 154820,
    "partial_rotary_factor": 1.0, "q_lora_rank": 768, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 1000000, "routed_scaling_factor": 1.8,
    "tie_word_embeddings": False, "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 256, "vocab_size": 154880,
}  # fmt: skip
V31 = V3 | {"quantization_config": V3["quantization_config"] | {"scale_fmt": "ue8m0"}}
NEW_SPELLING = {k: v for k, v in PLAIN.items() if k not in ("rope_theta", "rope_scaling", "torch_dtype")} | {
    "dtype": "bfloat16",
    "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0}
    | {k: v for k, v in V3["rope_scaling"].items() if k != "type"},
}

# name: document, billions of parameters in all and active, bytes a token of the latent and of a plain cache
GOOD = {
    "v2-lite": (V2_LITE, 15.7, 2.7, 31104, 276480),
    "v2": (V2, 236, 21, 69120, 4915200),
    "v3": (V3, 671, 37, 70272, 4997120),
    "v3-rope-parameters": (NEW_SPELLING, 671, 37, 70272, 4997120),
    "r1": (V3 | {"transformers_version": "4.46.3"}, 671, 37, 70272, 4997120),
    "v3.1": (V31, 671, 37, 70272, 4997120),
    "moonlight": (MOONLIGHT, 16.0, 2.9, 31104, 276480),
    "kimi-k2": (KIMI_K2, 1026, 33, 70272, 2498560),
    "glm-4.7-flash": (GLM, 30, 3.9, 54144, 962560),
}


def quantised(**fields):
    return {"quantization_config": V3["quantization_config"] | fields}


def roped(**fields):
    return {"rope_scaling": V3["rope_scaling"] | fields}


MISSING = object()
# name: fields that change, status, what the sentence must hold; the base is V3 unless a fourth entry says otherwise
BAD = {
    "model-type": ({"model_type": "llama"}, "unsupported", ["model_type", '"llama"', "deepseek_v3"]),
    "model-type-number": ({"model_type": 3}, "malformed", ["model_type is 3", "a string"]),
    "model-type-v32": ({"model_type": "deepseek_v32"}, "unsupported", ["model_type", '"deepseek_v32"']),
    "vocabulary-missing": ({"vocab_size": MISSING}, "malformed", ["vocab_size is missing", "an integer from 1"]),
    "vocabulary-null": ({"vocab_size": None}, "malformed", ["vocab_size is null"]),
    "hidden-negative": ({"hidden_size": -7168}, "malformed", ["hidden_size is -7168", "an integer from 1"]),
    "hidden-text": ({"hidden_size": "7168"}, "malformed", ['hidden_size is "7168"', "an integer"]),
    "hidden-fraction": ({"hidden_size": 7168.5}, "malformed", ["hidden_size is 7168.5"]),
    "hidden-huge": ({"hidden_size": 1 << 62}, "malformed", ["hidden_size is 4611686018427387904"]),
    "layers-huge": ({"num_hidden_layers": 1000000000}, "malformed", ["num_hidden_layers is 1000000000"]),
    "layers-zero": ({"num_hidden_layers": 0}, "malformed", ["num_hidden_layers is 0", "an integer from 1"]),
    "heads-zero": ({"num_attention_heads": 0}, "malformed", ["num_attention_heads is 0", "an integer from 1"]),
    "heads-list": ({"num_attention_heads": [128]}, "malformed", ["num_attention_heads is an array"]),
    "key-heads": ({"num_key_value_heads": 8}, "unsupported", ["num_key_value_heads is 8", "128"]),
    "query-rank-missing": ({"q_lora_rank": MISSING}, "malformed", ["q_lora_rank is missing", "null"]),
    "query-rank-zero": ({"q_lora_rank": 0}, "malformed", ["q_lora_rank is 0"]),
    "latent-rank-missing": ({"kv_lora_rank": MISSING}, "malformed", ["kv_lora_rank is missing"]),
    "rope-odd": ({"qk_rope_head_dim": 63}, "malformed", ["qk_rope_head_dim is 63", "an even number"]),
    "value-object": ({"v_head_dim": {}}, "malformed", ["v_head_dim is an object"]),
    "activation": ({"hidden_act": "gelu"}, "unsupported", ["hidden_act", '"gelu"', "silu"]),
    "mlp-bias": ({"mlp_bias": True}, "unsupported", ["mlp_bias is true"]),
    "bias-text": ({"attention_bias": "yes"}, "malformed", ['attention_bias is "yes"', "true or false"]),
    "epsilon-negative": ({"rms_norm_eps": -1e-6}, "malformed", ["rms_norm_eps is -"]),
    "epsilon-missing": ({"rms_norm_eps": MISSING}, "malformed", ["rms_norm_eps is missing"]),
    "positions-zero": ({"max_position_embeddings": 0}, "malformed", ["max_position_embeddings is 0"]),
    "first-dense-missing": ({"first_k_dense_replace": MISSING}, "malformed", ["first_k_dense_replace is missing"]),
    "first-dense-negative": ({"first_k_dense_replace": -1}, "malformed", ["first_k_dense_replace is -1"]),
    "layer-frequency-zero": ({"moe_layer_freq": 0}, "malformed", ["moe_layer_freq is 0"]),
    "layer-types-short": ({"mlp_layer_types": ["dense"]}, "malformed", ["mlp_layer_types has 1 entries", "61"]),
    "layer-types-unknown": (
        {"mlp_layer_types": ["dense"] * 60 + ["sparser"]}, "unsupported", ["mlp_layer_types[60]", '"sparser"']),
    "experts-missing": ({"n_routed_experts": MISSING}, "malformed", ["n_routed_experts is missing"]),
    "experts-huge": ({"n_routed_experts": 1000000000}, "malformed", ["n_routed_experts is 1000000000"]),
    "experts-too-many-chosen": ({"num_experts_per_tok": 257}, "malformed", ["num_experts_per_tok is 257", "256"]),
    "experts-none-chosen": ({"num_experts_per_tok": 0}, "malformed", ["num_experts_per_tok is 0"]),
    "experts-beyond-groups": (
        {"num_experts_per_tok": 129}, "malformed", ["num_experts_per_tok is 129", "128 experts of 4 groups"]),
    "groups-do-not-divide": ({"n_group": 7}, "malformed", ["n_group is 7", "a divisor", "256"]),
    "groups-missing": ({"n_group": MISSING}, "malformed", ["n_group is missing"]),
    "groups-of-one": ({"n_group": 256}, "malformed", ["n_group is 256", "at least 2"]),
    "groups-too-many-kept": ({"topk_group": 9}, "malformed", ["topk_group is 9", "from 1 to 8"]),
    "shared-negative": ({"n_shared_experts": -1}, "malformed", ["n_shared_experts is -1"]),
    "method": ({"topk_method": "lottery"}, "unsupported", ["topk_method", '"lottery"', "noaux_tc"]),
    "method-of-v2": ({"topk_method": "greedy"}, "unsupported", ["topk_method", '"greedy"', "noaux_tc"]),
    "method-of-v3": ({"topk_method": "noaux_tc"}, "unsupported", ["topk_method", "greedy"], V2_LITE),
    "scoring": ({"scoring_func": "relu"}, "unsupported", ["scoring_func", '"relu"', "sigmoid"]),
    "scoring-of-v2": ({"scoring_func": "softmax"}, "unsupported", ["scoring_func", '"softmax"', "sigmoid"]),
    "scale-missing": ({"routed_scaling_factor": MISSING}, "malformed", ["routed_scaling_factor is missing"]),
    "scale-text": ({"routed_scaling_factor": "2.5"}, "malformed", ['routed_scaling_factor is "2.5"', "a number"]),
    "norm-missing": ({"norm_topk_prob": MISSING}, "malformed", ["norm_topk_prob is missing", "true or false"]),
    "norm-number": ({"norm_topk_prob": 1}, "malformed", ["norm_topk_prob is 1", "true or false"]),
    "norm-of-v2": ({"norm_topk_prob": True}, "unsupported", ["norm_topk_prob is true", "greedy"], V2_LITE),
    "theta-zero": ({"rope_theta": 0}, "malformed", ["rope_theta is 0"]),
    "rope-type": (roped(type="longrope"), "unsupported", ["rope_scaling.type", '"longrope"', "yarn"]),
    "rope-new-type": (
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "unsupported", ["rope_scaling.rope_type", "llama3"]),
    "rope-scaling-text": ({"rope_scaling": "yarn"}, "malformed", ["rope_scaling is a string", "an object"]),
    "rope-partial": ({"partial_rotary_factor": 0.5}, "unsupported", ["partial_rotary_factor is 0.5"]),
    "rope-half-of-v2": ({"rope_interleave": False}, "unsupported", ["rope_interleave is false"], V2_LITE),
    "yarn-factor-missing": (
        {"rope_scaling": {"type": "yarn"}}, "malformed", ["rope_scaling.factor is missing", "a number"]),
    "yarn-factor-small": (roped(factor=0.5), "malformed", ["rope_scaling.factor is 0.5"]),
    "yarn-original-zero": (
        roped(original_max_position_embeddings=0), "malformed",
        ["rope_scaling.original_max_position_embeddings is 0"]),
    "yarn-mscale-negative": (roped(mscale=-1.0), "malformed", ["rope_scaling.mscale is -1"]),
    "yarn-betas-crossed": (roped(beta_fast=1, beta_slow=2), "malformed", ["rope_scaling.beta_slow is 2", "beta_fast"]),
    "quantisation-method": (
        {"quantization_config": {"quant_method": "compressed-tensors"}}, "unsupported",
        ["quantization_config.quant_method", '"compressed-tensors"', "fp8"]),
    "quantisation-method-missing": (
        {"quantization_config": {}}, "malformed", ["quantization_config.quant_method is missing"]),
    "quantisation-format": (quantised(fmt="e5m2"), "unsupported", ["quantization_config.fmt", '"e5m2"']),
    "quantisation-static": (
        quantised(activation_scheme="static"), "unsupported", ["quantization_config.activation_scheme", '"static"']),
    "quantisation-block-null": (
        quantised(weight_block_size=None), "unsupported", ["quantization_config.weight_block_size is null"]),
    "quantisation-block-zero": (
        quantised(weight_block_size=[0, 128]), "malformed", ["quantization_config.weight_block_size is [0,128]"]),
    "quantisation-block-three": (
        quantised(weight_block_size=[1, 2, 3]), "malformed", ["quantization_config.weight_block_size is [1,2,3]"]),
    "quantisation-scales": (
        quantised(scale_fmt="mx"), "unsupported", ["quantization_config.scale_fmt", '"mx"', "ue8m0"]),
    "mtp-negative": ({"num_nextn_predict_layers": -1}, "malformed", ["num_nextn_predict_layers is -1"]),
    "too-large": (
        {"hidden_size": 1 << 20, "intermediate_size": 1 << 20, "moe_intermediate_size": 1 << 20,
         "num_hidden_layers": 4096, "n_routed_experts": 65536}, "malformed", ["parameters", "out of range"]),
}  # fmt: skip


def main():
    for old in HERE.glob("*.json"):
        old.unlink()
    good, bad = [], []
    for name, (document, total, active, latent, plain) in GOOD.items():
        (HERE / f"good-{name}.json").write_text(json.dumps(document, indent=1) + "\n")
        good.append({"file": f"good-{name}.json", "total": total, "active": active, "latent": latent, "plain": plain})
    for name, (fields, status, mentions, *base) in BAD.items():
        document = (base[0] if base else V3) | fields
        document = {k: v for k, v in document.items() if v is not MISSING}
        (HERE / f"bad-{name}.json").write_text(json.dumps(document, indent=1) + "\n")
        bad.append({"file": f"bad-{name}.json", "status": status, "mentions": mentions})
    (HERE / "expected.json").write_text(json.dumps({"good": good, "bad": bad}, indent=1) + "\n")


if __name__ == "__main__":
    main()
