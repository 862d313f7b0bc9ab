"""What each attention layer of a configuration has, in the published names whatever the document's spelling.

Written from dots3-note's published fields (`swa_*`) and from what transformers saves (`layer_types`, `per_layer_config`,
nested `rope_parameters`); every other family's layers are alike.
"""

OWN = ("num_attention_heads", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def is_dots(config):
    return config["model_type"].startswith("dots3_note")


def types(config):
    """indexed_attention, sliding_attention or full_attention for every layer of a dots3-note model."""
    native, count = "per_layer_config" in config, config["num_hidden_layers"]
    dsa = config.get("use_dsa", None if native else True)
    full = "full_attention" if dsa is False else "indexed_attention"
    if "layer_types" in config:
        names = {"full_attention": full} if dsa else {}
        return [names.get(name, name) for name in config["layer_types"]]
    slides = config.get("use_sliding_window", True)
    return [full if not slides or i < 2 or i % 4 == 1 else "sliding_attention" for i in range(count)]


def attention(config, layer):
    """The configuration with the layer's own sizes in place of the model's, and `window` and `indexed` beside them."""
    if not is_dots(config):
        return config
    kind = types(config)[layer]
    own = dict(config.get("per_layer_config", {}).get(str(layer), {}))
    theta = config.get("rope_theta", 80_000_000.0)
    if kind == "sliding_attention" and "per_layer_config" not in config:
        own = {name: config["swa_" + name] for name in OWN if "swa_" + name in config}
        own.setdefault("qk_rope_head_dim", config["swa_head_dim"] - own["qk_nope_head_dim"])
        theta = config.get("swa_rope_theta", 50_000.0)
    theta = (config.get("rope_parameters") or {}).get(kind, {}).get("rope_theta", theta)
    window = config.get("sliding_window") or config.get("sliding_window_size", 512)
    return {
        **config, **own, "rope_theta": theta, "rope_parameters": None, "rope_scaling": None,
        "window": window if kind == "sliding_attention" else None, "indexed": kind == "indexed_attention",
    }  # fmt: skip


def shared_width(config):
    """Width of all shared experts of a layer together."""
    width = config.get("shared_experts_intermediate_size", config["moe_intermediate_size"])
    return config.get("moe_shared_expert_intermediate_size", width) * config["n_shared_experts"]
