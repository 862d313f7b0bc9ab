"""A second, independent decoder in numpy float64 that reads a published folder, with switches that break one rule each.

It serves three ends: it checks the transformers numbers, it measures the routing margins, and it proves that every
feature a case claims to cover changes the logits.
"""

import json
import math

import numpy as np

import layers
import publish
import safetensors_file


def read_folder(folder):
    """(config, tensors in float64 with one tensor per expert) of a published folder."""
    config = json.loads((folder / "config.json").read_text())
    index = folder / "model.safetensors.index.json"
    files = {"model.safetensors"}
    if index.exists():
        files = set(json.loads(index.read_text())["weight_map"].values())
    raw = {}
    for file in sorted(files):
        raw.update(safetensors_file.load(folder / file))
    tensors = {}
    for name, array in publish.widen(raw).items():
        array = array.astype(np.float64)
        if name.endswith(".experts.gate_up_proj"):
            half = array.shape[1] // 2
            for e, both in enumerate(array):
                tensors[name.replace("gate_up_proj", f"{e}.gate_proj.weight")] = both[:half]
                tensors[name.replace("gate_up_proj", f"{e}.up_proj.weight")] = both[half:]
        elif name.endswith(".experts.down_proj"):
            for e, down in enumerate(array):
                tensors[name.replace("down_proj", f"{e}.down_proj.weight")] = down
        else:
            tensors[name] = array
    return config, tensors


def rope_settings(config):
    settings = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    settings.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    settings.setdefault("rope_type", settings.get("type", "default"))
    return settings


def mscale(factor, value):
    return 0.1 * value * math.log(factor) + 1.0 if factor > 1 else 1.0


class Decoder:
    """One forward pass over a whole sequence; `broken` names the rules to break."""

    def __init__(self, config, tensors, broken=()):
        self.config, self.tensors, self.broken = config, tensors, set(broken)
        self.route_margin = math.inf
        self.index_margin = math.inf

    def get(self, name):
        return self.tensors[name]

    def norm(self, x, name, epsilon):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * self.get(name)

    def linear(self, x, name):
        y = x @ self.get(name + ".weight").T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None or "attention_bias" in self.broken else y + bias

    def frequencies(self, c):
        """(inverse frequency per pair, factor on cos and sin, factor on the softmax scale)."""
        s, dim = rope_settings(self.config if "window_theta" in self.broken else c), c["qk_rope_head_dim"]
        base = s["rope_theta"] ** (np.arange(0, dim, 2) / dim)
        if s["rope_type"] != "yarn" or "yarn" in self.broken:
            return 1 / base, 1.0, 1.0
        factor, original = s["factor"], s["original_max_position_embeddings"]

        def correction(rotations):
            return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(s["rope_theta"]))

        low = max(math.floor(correction(s.get("beta_fast", 32))), 0)
        high = min(math.ceil(correction(s.get("beta_slow", 1))), dim - 1)
        ramp = np.clip((np.arange(dim // 2) - low) / (high - low or 0.001), 0, 1)
        all_dim = s.get("mscale_all_dim", 0)
        rotation = mscale(factor, s.get("mscale", 1)) / mscale(factor, all_dim)
        softmax = mscale(factor, all_dim) ** 2
        if "cosine_factor" in self.broken:
            rotation = 1.0
        if "softmax_factor" in self.broken:
            softmax = 1.0
        return ramp / (factor * base) + (1 - ramp) / base, rotation, softmax

    def rotate(self, x, positions, c, rule="rope_order"):
        frequency, factor, _ = self.frequencies(c)
        angle = positions[:, None] * frequency
        cos, sin = np.cos(angle) * factor, np.sin(angle) * factor
        interleaved = self.config.get("rope_interleave", True) != (rule in self.broken)
        half = x.shape[-1] // 2
        first, second = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    def attention(self, x, prefix, layer):
        c, count = layers.attention(self.config, layer), len(x)
        heads, rank, hidden = c["num_attention_heads"], c["kv_lora_rank"], c["hidden_size"]
        nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        dots = layers.is_dots(c)
        latent_epsilon = c["rms_norm_eps"] if dots != ("latent_epsilon" in self.broken) else 1e-6
        rescaled = dots and "latent_factor" not in self.broken
        query_latent = None
        if c["q_lora_rank"] is None:
            q = self.linear(x, prefix + "q_proj")
        else:
            q = self.linear(x, prefix + "q_a_proj")
            query_latent = self.norm(q, prefix + "q_a_layernorm.weight", latent_epsilon)
            query_latent = query_latent * ((hidden / c["q_lora_rank"]) ** 0.5 if rescaled else 1.0)
            q = self.linear(query_latent, prefix + "q_b_proj")
        q = q.reshape(count, heads, nope + rope).transpose(1, 0, 2)
        kv = self.linear(x, prefix + "kv_a_proj_with_mqa")
        latent = self.norm(kv[:, :rank], prefix + "kv_a_layernorm.weight", latent_epsilon)
        latent = latent * ((hidden / rank) ** 0.5 if rescaled else 1.0)
        positions, key = np.arange(count), kv[:, rank:]
        if dots and "key_norm" not in self.broken:
            key = self.norm(key, prefix + "k_rope_only_layernorm.weight", latent_epsilon)
        q_rope, k_rope = self.rotate(q[..., nope:], positions, c), self.rotate(key, positions, c)
        kv = self.linear(latent, prefix + "kv_b_proj").reshape(count, heads, nope + value).transpose(1, 0, 2)
        scores = q[..., :nope] @ kv[..., :nope].transpose(0, 2, 1) + q_rope @ k_rope.T
        scores *= (nope + rope) ** -0.5 * self.frequencies(c)[2]
        seen = self.visible(c, count)
        if c.get("indexed") and "indexer" not in self.broken:
            seen = self.picked(x, query_latent, prefix + "indexer.", c, seen)
        scores = np.where(seen, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        if "attention" in self.broken:
            weights = seen / seen.sum(-1, keepdims=True)
        out = (weights @ kv[..., nope:]).transpose(1, 0, 2)
        if dots and "head_gate" not in self.broken:
            out = out / (1 + np.exp(-self.linear(x, prefix + "g_proj")))[..., None]
        return self.linear(out.reshape(count, heads * value), prefix + "o_proj")

    def visible(self, c, count):
        """[query, key]: what a token sees, its own position among them."""
        seen = np.tril(np.ones((count, count), bool))
        if c.get("window") and "window" not in self.broken:
            seen &= ~np.tril(np.ones((count, count), bool), -c["window"] - ("window_edge" in self.broken))
        return seen

    def picked(self, x, query_latent, prefix, c, seen):
        """What is left of `seen` when the indexer has picked its `index_topk` best of every row."""
        count, heads, width, rope = len(x), c["index_n_heads"], c["index_head_dim"], c["qk_rope_head_dim"]
        turn = lambda part, rule: np.concatenate(
            [self.rotate(part[..., :rope], np.arange(count), c, rule), part[..., rope:]], -1
        )
        q = turn(self.linear(query_latent, prefix + "wq_b").reshape(count, heads, width).transpose(1, 0, 2), "index_rope")
        k = self.linear(x, prefix + "wk")
        k = (k - k.mean(-1, keepdims=True)) / np.sqrt(k.var(-1, keepdims=True) + 1e-6)
        k = k * self.get(prefix + "k_norm.weight")
        if "index_bias" not in self.broken:
            k = k + self.get(prefix + "k_norm.bias")
        products = q @ turn(k, "index_rope").T * width**-0.5
        products = products if "index_relu" in self.broken else np.maximum(products, 0)
        weights = self.linear(x, prefix + "weights_proj") * heads**-0.5
        if "index_weights" in self.broken:
            weights = np.ones_like(weights)
        scores = np.where(seen, np.einsum("th,hts->ts", weights, products), -np.inf)
        wanted, kept = c["index_topk"], np.zeros_like(seen)
        for row, own in enumerate(scores):
            order = np.argsort(-own, kind="stable")
            kept[row, order[:wanted]] = True
            if wanted <= row:
                gap = (own[order[wanted - 1]] - own[order[wanted]]) / np.abs(own[: row + 1]).max()
                self.index_margin = min(self.index_margin, float(gap))
        return kept & seen

    def note_margin(self, choice, kept):
        """Keeps the smallest gap between the last chosen and the first rejected value."""
        if kept < choice.shape[-1]:
            ordered = -np.sort(-choice, -1)
            gap = ordered[:, kept - 1] - ordered[:, kept]
            self.route_margin = min(self.route_margin, float(gap.min()))

    def limit_groups(self, choice, softmax):
        c, count = self.config, len(choice)
        groups, kept = c.get("n_group") or 1, c.get("topk_group") or 1
        by_max = softmax != ("group_score" in self.broken)
        grouped = -np.sort(-choice.reshape(count, groups, -1), -1)
        score = grouped[..., 0] if by_max else grouped[..., :2].sum(-1)
        self.note_margin(score, kept)
        allowed = np.zeros((count, groups), bool)
        np.put_along_axis(allowed, np.argsort(-score, -1, kind="stable")[:, :kept], True, -1)
        mask = np.repeat(allowed, choice.shape[1] // groups, 1)
        fill = 0.0 if softmax or "group_fill" in self.broken else -np.inf
        return np.where(mask, choice, fill)

    def route(self, x, prefix):
        """(chosen experts, their weights), each [tokens, k]."""
        c = self.config
        logits, softmax = x @ self.get(prefix + "gate.weight").T, c["model_type"] == "deepseek_v2"
        if softmax:
            scores = np.exp(logits - logits.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            choice, limited = scores, c["topk_method"] == "group_limited_greedy"
        else:
            scores, limited = 1 / (1 + np.exp(-logits)), True
            bias = self.get(prefix + "gate.e_score_correction_bias")
            choice = scores if "bias" in self.broken else scores + bias
        if limited and "groups" not in self.broken:
            choice = self.limit_groups(choice, softmax)
        self.note_margin(np.where(np.isinf(choice), -1e9, choice), c["num_experts_per_tok"])
        chosen = np.argsort(-choice, -1, kind="stable")[:, : c["num_experts_per_tok"]]
        weights = np.take_along_axis(choice if "weight_bias" in self.broken else scores, chosen, -1)
        normalise = False if softmax else c["norm_topk_prob"] != ("normalise" in self.broken)
        if normalise:
            weights = weights / (weights.sum(-1, keepdims=True) + 1e-20)
        return chosen, weights * (1.0 if "routed_scale" in self.broken else c["routed_scaling_factor"])

    def mlp(self, x, prefix):
        gate = x @ self.get(prefix + "gate_proj.weight").T
        up = x @ self.get(prefix + "up_proj.weight").T
        return (gate / (1 + np.exp(-gate)) * up) @ self.get(prefix + "down_proj.weight").T

    def mixture(self, x, prefix):
        chosen, weights = self.route(x, prefix)
        out = np.zeros_like(x)
        for expert in range(self.config["n_routed_experts"]):
            rows, slots = np.nonzero(chosen == expert)
            out[rows] += weights[rows, slots, None] * self.mlp(x[rows], f"{prefix}experts.{expert}.")
        if self.config.get("n_shared_experts") and "shared" not in self.broken:
            out += self.mlp(x, prefix + "shared_experts.")
        return out

    def forward(self, ids):
        """Logits [tokens, vocabulary] of a sequence."""
        c = self.config
        epsilon = 1e-6 if "norm_epsilon" in self.broken else c["rms_norm_eps"]
        x = self.get("model.embed_tokens.weight")[ids]
        for layer in range(c["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            normed = self.norm(x, prefix + "input_layernorm.weight", epsilon)
            x = x + self.attention(normed, prefix + "self_attn.", layer)
            normed = self.norm(x, prefix + "post_attention_layernorm.weight", epsilon)
            sparse = publish.is_sparse(c, layer)
            x = x + (self.mixture if sparse else self.mlp)(normed, prefix + "mlp.")
        x = self.norm(x, "model.norm.weight", epsilon)
        head = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
        return x @ self.get(head).T


def rules(config):
    """The rules whose breaking must change the logits of a model of this configuration."""
    sparse = any(publish.is_sparse(config, layer) for layer in range(config["num_hidden_layers"]))
    settings, version2 = rope_settings(config), config["model_type"] == "deepseek_v2"
    result = ["attention"]
    if config["qk_rope_head_dim"] > 2:
        result.append("rope_order")
    if layers.is_dots(config):
        result += dots_rules(config)
    if config["attention_bias"]:
        result.append("attention_bias")
    if config["rms_norm_eps"] != 1e-6 and not layers.is_dots(config):
        result += ["latent_epsilon", "norm_epsilon"]
    if settings["rope_type"] == "yarn":
        result.append("yarn")
        factor, all_dim = settings["factor"], settings.get("mscale_all_dim", 0)
        if all_dim:
            result.append("softmax_factor")
        if mscale(factor, settings.get("mscale", 1)) != mscale(factor, all_dim):
            result.append("cosine_factor")
    if not sparse:
        return result
    few = config["num_experts_per_tok"] < config["n_routed_experts"]
    if config["routed_scaling_factor"] != 1.0:
        result.append("routed_scale")
    if config.get("n_shared_experts"):
        result.append("shared")
    if not version2:
        result += ["normalise"] + (["bias"] if few else [])
        if few and not (config["norm_topk_prob"] and config["num_experts_per_tok"] == 1):
            result.append("weight_bias")
    if few and (config.get("topk_group") or 1) < (config.get("n_group") or 1):
        if not version2 or config["topk_method"] == "group_limited_greedy":
            result += ["groups", "group_score"] + ([] if version2 else ["group_fill"])
    return result


def dots_rules(config):
    """Those of dots3-note alone. Windows and picks as wide as the path change nothing."""
    kinds, result = layers.types(config), ["latent_factor", "key_norm", "head_gate"]
    if "sliding_attention" in kinds:
        result += ["window", "window_edge"]
        if len(set(kinds)) > 1:
            result.append("window_theta")
    if "indexed_attention" in kinds and config["index_topk"] < 100:
        result += ["indexer", "index_rope", "index_bias", "index_relu", "index_weights"]
    return result
