"""Random checkpoints and the ways in which they are published: element types, FP8 blocks, fused experts, shards."""

import json

import ml_dtypes
import numpy as np

import layers
import safetensors_file

BLOCK = 128
FLOAT8_MAX = 448.0


def is_sparse(config, layer):
    """Whether a decoder layer holds a mixture of experts (published DeepSeek code; `mlp_layer_types` for GLM)."""
    types = config.get("mlp_layer_types")
    if types:
        return types[layer] == "sparse"
    frequency = config.get("moe_layer_freq", 1)
    here = frequency[layer] != 0 if isinstance(frequency, list) else layer % frequency == 0
    return layer >= config["first_k_dense_replace"] and here


class Weights:
    """Draws one checkpoint; gains are chosen so that attention and routing visibly change the logits."""

    def __init__(self, case, seed):
        self.case, self.config, self.out = case, case.config, {}
        self.random = np.random.default_rng(seed)

    def put(self, name, array):
        self.out[name] = array.astype(np.float32)

    def matrix(self, name, rows, columns, gain):
        """A random matrix whose 128x128 blocks differ in size, so that a wrong block scale shows."""
        array = self.random.normal(0, gain / np.sqrt(columns), (rows, columns))
        factors = self.random.uniform(0.5, 1.5, (-(-rows // BLOCK), -(-columns // BLOCK)))
        array *= np.repeat(np.repeat(factors, BLOCK, 0), BLOCK, 1)[:rows, :columns]
        self.put(name, array)

    def norm(self, name, size):
        self.put(name, self.random.uniform(1 - self.case.norm_spread, 1 + self.case.norm_spread, size))

    def mlp(self, prefix, width, gain):
        hidden = self.config["hidden_size"]
        self.matrix(prefix + "gate_proj.weight", width, hidden, 1.4)
        self.matrix(prefix + "up_proj.weight", width, hidden, 1.2)
        self.matrix(prefix + "down_proj.weight", hidden, width, gain)

    def experts(self, prefix):
        c = self.config
        hidden, count = c["hidden_size"], c["n_routed_experts"]
        self.matrix(prefix + "gate.weight", count, hidden, self.case.router_gain)
        if c["model_type"] != "deepseek_v2":
            bias = self.random.normal(self.case.bias_mean, self.case.bias_deviation, count)
            self.put(prefix + "gate.e_score_correction_bias", bias)
        for expert in range(count):
            self.mlp(f"{prefix}experts.{expert}.", c["moe_intermediate_size"], self.case.expert_gain)
        if c.get("n_shared_experts"):
            self.mlp(prefix + "shared_experts.", layers.shared_width(c), 1.0)

    def bias(self, name, size):
        if self.config["attention_bias"]:
            self.put(name, self.random.normal(0, 0.3 * self.case.latent_gain, size))

    def attention(self, prefix, layer):
        # The prediction layer's attention is that of the first.
        c = layers.attention(self.config, layer if layer < self.config["num_hidden_layers"] else 0)
        hidden, heads, rank, query = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"], c["q_lora_rank"]
        nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        if query is None:
            self.matrix(prefix + "q_proj.weight", heads * (nope + rope), hidden, self.case.query_gain)
        else:
            self.matrix(prefix + "q_a_proj.weight", query, hidden, self.case.latent_gain)
            self.bias(prefix + "q_a_proj.bias", query)
            self.norm(prefix + "q_a_layernorm.weight", query)
            self.matrix(prefix + "q_b_proj.weight", heads * (nope + rope), query, self.case.query_gain)
        self.matrix(prefix + "kv_a_proj_with_mqa.weight", rank + rope, hidden, 1.0)
        self.out[prefix + "kv_a_proj_with_mqa.weight"][:rank] *= self.case.latent_gain
        self.out[prefix + "kv_a_proj_with_mqa.weight"][rank:] *= self.case.rope_gain
        self.bias(prefix + "kv_a_proj_with_mqa.bias", rank + rope)
        self.norm(prefix + "kv_a_layernorm.weight", rank)
        self.matrix(prefix + "kv_b_proj.weight", heads * (nope + value), rank, 1.3)
        self.matrix(prefix + "o_proj.weight", hidden, heads * value, 1.5)
        self.bias(prefix + "o_proj.bias", hidden)
        if layers.is_dots(c):
            self.norm(prefix + "k_rope_only_layernorm.weight", rope)
            self.matrix(prefix + "g_proj.weight", heads, hidden, 2.0)
        if c.get("indexed"):
            self.indexer(prefix + "indexer.", c)

    def indexer(self, prefix, c):
        hidden, heads, width = c["hidden_size"], c["index_n_heads"], c["index_head_dim"]
        self.matrix(prefix + "wq_b.weight", heads * width, c["q_lora_rank"], 1.5)
        self.matrix(prefix + "wk.weight", width, hidden, 1.0)
        self.norm(prefix + "k_norm.weight", width)
        self.put(prefix + "k_norm.bias", self.random.normal(0, 0.3, width))
        self.matrix(prefix + "weights_proj.weight", heads, hidden, 1.0)

    def layer(self, index):
        prefix, hidden = f"model.layers.{index}.", self.config["hidden_size"]
        self.norm(prefix + "input_layernorm.weight", hidden)
        self.norm(prefix + "post_attention_layernorm.weight", hidden)
        self.attention(prefix + "self_attn.", index)
        if index >= self.config["num_hidden_layers"] or is_sparse(self.config, index):
            self.experts(prefix + "mlp.")
        else:
            self.mlp(prefix + "mlp.", self.config["intermediate_size"], 1.2)

    def prediction_layer(self, index):
        """The multi-token prediction layer as DeepSeek V3 publishes it; a plain decoder must skip it."""
        prefix, hidden = f"model.layers.{index}.", self.config["hidden_size"]
        self.layer(index)
        for name in ("enorm", "hnorm", "shared_head.norm"):
            self.norm(f"{prefix}{name}.weight", hidden)
        self.matrix(prefix + "eh_proj.weight", hidden, 2 * hidden, 1.0)
        self.put(prefix + "embed_tokens.weight", self.out["model.embed_tokens.weight"])
        self.put(prefix + "shared_head.head.weight", self.out["lm_head.weight"])


def draw(case, seed):
    """All tensors of the checkpoint under their published names, in float32."""
    w, c = Weights(case, seed), case.config
    vocabulary, hidden, count = c["vocab_size"], c["hidden_size"], c["num_hidden_layers"]
    w.put("model.embed_tokens.weight", w.random.normal(0, case.embedding_deviation, (vocabulary, hidden)))
    for index in range(count):
        w.layer(index)
    w.norm("model.norm.weight", hidden)
    if not c["tie_word_embeddings"]:
        w.matrix("lm_head.weight", vocabulary, hidden, 1.5)
    if c.get("num_nextn_predict_layers"):
        w.prediction_layer(count)
    if case.inverse_frequencies:
        size = c["qk_rope_head_dim"] // 2
        w.put("model.layers.0.self_attn.rotary_emb.inv_freq", w.random.uniform(0, 1, size))
    return w.out


def quantise_float8(array, power_of_two):
    """E4M3 codes and the 128x128 grid of factors that turn codes back into values (`weight_scale_inv`)."""
    rows, columns = array.shape
    grid = np.zeros((-(-rows // BLOCK), -(-columns // BLOCK)), np.float32)
    codes = np.zeros(array.shape, ml_dtypes.float8_e4m3fn)
    for i in range(grid.shape[0]):
        for j in range(grid.shape[1]):
            part = np.s_[i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK]
            scale = np.float32(np.abs(array[part]).max() / FLOAT8_MAX)
            if power_of_two:
                scale = np.float32(2.0 ** np.ceil(np.log2(scale)))
            grid[i, j] = scale
            codes[part] = np.clip(array[part] / scale, -FLOAT8_MAX, FLOAT8_MAX).astype(ml_dtypes.float8_e4m3fn)
    return codes, grid


def holds_float8(name, array):
    """Which tensors DeepSeek publishes as FP8: linear layers, but neither router, embeddings, head nor eh_proj."""
    kept = ("gate.weight", "embed_tokens.weight", "lm_head.weight", "head.weight", "eh_proj.weight")
    return array.ndim == 2 and not name.endswith(kept)


def store(case, tensors):
    """The tensors in the element types of the case; this is what the reference must see."""
    wide = safetensors_file.TYPES[case.element_type]
    result = {}
    for name, array in tensors.items():
        if case.scales and holds_float8(name, array):
            codes, grid = quantise_float8(array, power_of_two=case.scales != "F32")
            result[name] = codes
            dtype = safetensors_file.TYPES["F8_E8M0" if case.scales == "F8_E8M0" else "F32"]
            result[name + "_scale_inv"] = grid.astype(dtype)
        elif name.endswith("e_score_correction_bias") and case.element_type == "BF16":
            result[name] = array
        else:
            result[name] = array.astype(wide)
    return result


def widen(stored):
    """float32 values of stored tensors, FP8 blocks multiplied out."""
    result = {}
    for name, array in stored.items():
        if name.endswith("_scale_inv"):
            continue
        values = array.astype(np.float32)
        grid = stored.get(name + "_scale_inv")
        if grid is not None:
            rows, columns = array.shape
            scales = np.repeat(np.repeat(grid.astype(np.float32), BLOCK, 0), BLOCK, 1)
            values = values * scales[:rows, :columns]
        result[name] = values
    return result


def fuse(config, stored):
    """Experts as transformers 5 keeps them: gate_up_proj [E, 2m, h] (gate rows first) and down_proj [E, h, m]."""
    result = {name: array for name, array in stored.items() if ".mlp.experts." not in name}
    for layer in range(config["num_hidden_layers"]):
        if not is_sparse(config, layer):
            continue
        prefix = f"model.layers.{layer}.mlp.experts."
        part = lambda expert, name: stored[f"{prefix}{expert}.{name}_proj.weight"]
        experts = range(config["n_routed_experts"])
        both = [np.concatenate([part(e, "gate"), part(e, "up")]) for e in experts]
        result[prefix + "gate_up_proj"] = np.stack(both)
        result[prefix + "down_proj"] = np.stack([part(e, "down") for e in experts])
    return result


def write(folder, case, stored):
    """Writes config.json and the weight files of a published folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(case.config, indent=2) + "\n")
    tensors = fuse(case.config, stored) if case.fused else stored
    if case.shards == 1:
        safetensors_file.save(folder / "model.safetensors", tensors, {"format": "pt"})
        return
    names, weight_map = list(tensors), {}
    for shard in range(case.shards):
        file = f"model-{shard + 1:05}-of-{case.shards:05}.safetensors"
        part = names[shard * len(names) // case.shards : (shard + 1) * len(names) // case.shards]
        safetensors_file.save(folder / file, {n: tensors[n] for n in part}, {"format": "pt"})
        weight_map.update({n: file for n in part})
    total = sum(array.nbytes for array in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
