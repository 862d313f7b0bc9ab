"""The bad-* folders: each is good-tiny or good-tiny-fp8 with one thing wrong. expected.json says what must be said."""

import json
import shutil
from dataclasses import dataclass
from typing import Callable

import numpy as np

import safetensors_file

LAYER = "model.layers.0."
WEIGHTS = "model.safetensors"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


@dataclass
class Bad:
    name: str
    status: str  # a case of Status in Sources/DormouseSupport/Failure.swift
    mentions: list  # what the sentence must hold
    damage: Callable  # changes a Folder
    base: str = "good-tiny"
    also: tuple = ()  # other statuses that are as good an answer
    stage: str = "open"  # "open", or "run" when the folder opens and the first tokens fail


class Folder:
    """A model in memory, to be damaged and then written."""

    def __init__(self, base):
        self.config = json.loads((base / "config.json").read_text())
        self.tensors = safetensors_file.load(base / WEIGHTS)
        self.files = {}  # raw bytes that replace what would be written; None leaves the file out

    def shard(self):
        """Publishes the tensors in two shards with an index; returns the index as a dictionary."""
        names = list(self.tensors)
        parts = [names[: len(names) // 2], names[len(names) // 2 :]]
        for file, part in zip(SHARDS, parts):
            self.files[file] = safetensors_file.encode({n: self.tensors[n] for n in part}, {"format": "pt"})
        weight_map = {n: file for file, part in zip(SHARDS, parts) for n in part}
        self.files[WEIGHTS] = None
        total = sum(array.nbytes for array in self.tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        self.write_index(index)
        return index

    def write_index(self, index):
        self.files[INDEX] = (json.dumps(index, indent=1) + "\n").encode()

    def encoded(self):
        return safetensors_file.encode(self.tensors, {"format": "pt"})

    def write(self, path):
        path.mkdir(parents=True)
        files = {"config.json": (json.dumps(self.config, indent=2) + "\n").encode(), WEIGHTS: self.encoded()}
        for name, data in (files | self.files).items():
            if data is not None:
                (path / name).write_bytes(data)


def setting(field, value):
    """Damage: one field of config.json."""

    def damage(folder):
        folder.config[field] = value

    return damage


def without(field):
    return lambda folder: folder.config.pop(field)


def tensor(name, change):
    """Damage: one tensor put through `change`; None drops it."""

    def damage(folder):
        array = change(folder.tensors[name])
        if array is None:
            del folder.tensors[name]
        else:
            folder.tensors[name] = array

    return damage


def with_value(value):
    def change(array):
        array = array.copy()
        array.reshape(-1)[array.size // 2] = value
        return array

    return change


def raw(name, data):
    """Damage: one file's bytes; `data` may be a function of the folder."""

    def damage(folder):
        folder.files[name] = data(folder) if callable(data) else data

    return damage


def header(change):
    """Damage: the JSON header of model.safetensors, its length kept right."""

    def damage(folder):
        data = folder.encoded()
        length = int.from_bytes(data[:8], "little")
        entries = json.loads(data[8 : 8 + length])
        change(entries)
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        folder.files[WEIGHTS] = len(text).to_bytes(8, "little") + text + data[8 + length :]

    return damage


def truncated_shard(folder):
    folder.shard()
    folder.files[SHARDS[1]] = folder.files[SHARDS[1]][:-10]


def missing_shard(folder):
    folder.shard()
    folder.files[SHARDS[1]] = None


def shard_outside(folder):
    index = folder.shard()
    index["weight_map"]["lm_head.weight"] = "../" + SHARDS[1]
    folder.write_index(index)


def wrong_shard(folder):
    del folder.tensors["model.embed_tokens.weight"]
    index = folder.shard()
    index["weight_map"]["model.embed_tokens.weight"] = SHARDS[1]
    folder.write_index(index)


def bin_only(folder):
    folder.files |= {WEIGHTS: None, "pytorch_model.bin": b"PK\x03\x04 not a safetensors file"}


def yarn_without_factor(folder):
    folder.config["rope_scaling"] = {"type": "yarn", "original_max_position_embeddings": 32}


def offsets(name, values):
    return header(lambda entries: entries[name].update(data_offsets=values))


def rows_of_seven(array):
    return array[:7].copy()


GATE = LAYER + "mlp.gate.weight"
BIAS = LAYER + "mlp.gate.e_score_correction_bias"
KV_B = LAYER + "self_attn.kv_b_proj.weight"
EXPERT = LAYER + "mlp.experts.3.down_proj.weight"
SCALE = KV_B + "_scale_inv"
FP8 = "good-tiny-fp8"

BAD = [
    # Tensors
    Bad("tensor-shape", "malformed", [KV_B, "[7, 4]", "[14, 4]"], tensor(KV_B, rows_of_seven)),
    Bad("tensor-rank", "malformed", ["model.norm.weight", "[8, 1]", "[8]"],
        tensor("model.norm.weight", lambda a: a.reshape(8, 1))),
    Bad("tensor-transposed", "malformed", [EXPERT, "[5, 8]", "[8, 5]"], tensor(EXPERT, lambda a: a.T.copy())),
    Bad("tensor-type-i32", "unsupported", [KV_B, "I32"], tensor(KV_B, lambda a: a.astype(np.int32)),
        also=("malformed",)),
    Bad("tensor-type-e5m2", "unsupported", [KV_B, "F8_E5M2"],
        header(lambda e: e[KV_B].update(dtype="F8_E5M2")), base=FP8, also=("malformed",)),
    Bad("tensor-type-unknown", "unsupported", [KV_B, "Q4_0"], header(lambda e: e[KV_B].update(dtype="Q4_0")),
        also=("malformed",)),
    Bad("tensor-missing", "malformed", ["model.norm.weight"], tensor("model.norm.weight", lambda a: None),
        also=("notFound",)),
    Bad("expert-missing", "malformed", [EXPERT], tensor(EXPERT, lambda a: None), also=("notFound",)),
    Bad("head-missing", "malformed", ["lm_head.weight"], tensor("lm_head.weight", lambda a: None),
        also=("notFound",)),
    Bad("correction-bias-missing", "malformed", [BIAS], tensor(BIAS, lambda a: None), also=("notFound",)),
    Bad("scale-missing", "malformed", [SCALE], tensor(SCALE, lambda a: None), base=FP8, also=("notFound",)),
    Bad("scale-shape", "malformed", [SCALE, "[2, 1]", "[1, 1]"], tensor(SCALE, lambda a: np.repeat(a, 2, 0)),
        base=FP8),
    Bad("scale-type", "unsupported", [SCALE, "I64"], tensor(SCALE, lambda a: a.astype(np.int64)), base=FP8,
        also=("malformed",)),
    Bad("nan-weight", "numerical", [], tensor(KV_B, with_value(np.nan)), stage="run"),
    Bad("nan-router", "numerical", [], tensor(GATE, with_value(np.nan)), stage="run"),
    Bad("infinite-head", "numerical", [], tensor("lm_head.weight", with_value(np.inf)), stage="run"),
    Bad("nan-float8", "numerical", [], tensor(KV_B, with_value(np.nan)), base=FP8, stage="run"),
    Bad("nan-scale", "numerical", [], tensor(SCALE, with_value(np.nan)), base=FP8, stage="run",
        also=("malformed",)),
    # Files
    Bad("shard-truncated", "malformed", [SHARDS[1]], truncated_shard, also=("inputOutput",)),
    Bad("shard-missing", "notFound", [SHARDS[1]], missing_shard),
    Bad("shard-outside", "malformed", [INDEX, "../"], shard_outside, also=("notFound", "invalidArgument")),
    Bad("shard-wrong", "malformed", ["model.embed_tokens.weight", SHARDS[1]], wrong_shard),
    Bad("index-not-json", "malformed", [INDEX],
        lambda f: f.files.update({WEIGHTS: None, INDEX: b'{"weight_map": '})),
    Bad("weights-missing", "notFound", ["model.safetensors"], raw(WEIGHTS, None)),
    Bad("weights-bin-only", "notFound", ["model.safetensors"], bin_only, also=("unsupported",)),
    Bad("weights-empty", "malformed", [WEIGHTS], raw(WEIGHTS, b"")),
    Bad("header-truncated", "malformed", [WEIGHTS], raw(WEIGHTS, lambda f: f.encoded()[:200])),
    Bad("header-huge", "malformed", [WEIGHTS], raw(WEIGHTS, b"\xff" * 7 + b"\x7f" + b"{}" * 40)),
    Bad("offsets-outside", "malformed", [WEIGHTS, "lm_head.weight"], offsets("lm_head.weight", [0, 1 << 60])),
    Bad("offsets-backward", "malformed", [WEIGHTS, "lm_head.weight"], offsets("lm_head.weight", [176, 0])),
    Bad("shape-overflow", "malformed", [WEIGHTS, "lm_head.weight"],
        header(lambda e: e["lm_head.weight"].update(shape=[1 << 32, 1 << 32]))),
    # config.json
    Bad("config-missing", "notFound", ["config.json"], raw("config.json", None)),
    Bad("config-empty", "malformed", ["config.json"], raw("config.json", b"")),
    Bad("config-not-json", "malformed", ["config.json"], raw("config.json", b'{"model_type": "deepseek_v3",}')),
    Bad("config-array", "malformed", ["config.json"], raw("config.json", b"[1, 2]\n")),
    Bad("config-nested", "malformed", ["config.json"], raw("config.json", b"[" * 20000)),
    Bad("field-missing", "malformed", ["config.json", "kv_lora_rank"], without("kv_lora_rank")),
    Bad("field-negative", "malformed", ["config.json", "num_attention_heads", "-2"],
        setting("num_attention_heads", -2)),
    Bad("field-zero", "malformed", ["config.json", "num_hidden_layers", "0"], setting("num_hidden_layers", 0)),
    Bad("field-text", "malformed", ["config.json", "hidden_size"], setting("hidden_size", "eight")),
    Bad("field-fraction", "malformed", ["config.json", "vocab_size", "11.5"], setting("vocab_size", 11.5)),
    Bad("field-huge", "malformed", ["hidden_size", "1000000000000000"], setting("hidden_size", 10**15),
        also=("unsupported",)),
    Bad("field-beyond-64-bits", "malformed", ["config.json", "intermediate_size"],
        setting("intermediate_size", 10**30)),
    Bad("layers-huge", "malformed", [], setting("num_hidden_layers", 10**9), also=("notFound", "unsupported")),
    Bad("experts-huge", "malformed", [], setting("n_routed_experts", 10**9), also=("notFound", "unsupported")),
    Bad("experts-not-in-groups", "malformed", ["config.json", "n_group", "3"], setting("n_group", 3)),
    Bad("more-groups-kept", "malformed", ["config.json", "topk_group", "3"], setting("topk_group", 3)),
    Bad("more-experts-chosen", "malformed", ["config.json", "num_experts_per_tok", "5"],
        setting("num_experts_per_tok", 5)),
    Bad("rope-odd", "malformed", ["config.json", "qk_rope_head_dim", "3"], setting("qk_rope_head_dim", 3),
        also=("unsupported",)),
    Bad("epsilon-negative", "malformed", ["config.json", "rms_norm_eps"], setting("rms_norm_eps", -1.0)),
    Bad("vocabulary-contradicts", "malformed", ["model.embed_tokens.weight", "[11, 8]", "[12, 8]"],
        setting("vocab_size", 12)),
    Bad("model-type-unknown", "unsupported", ["config.json", "model_type", "llama"], setting("model_type", "llama")),
    Bad("model-type-missing", "malformed", ["config.json", "model_type"], without("model_type"),
        also=("unsupported",)),
    Bad("activation-unknown", "unsupported", ["config.json", "hidden_act", "gelu"], setting("hidden_act", "gelu")),
    Bad("scoring-unknown", "unsupported", ["config.json", "scoring_func", "relu"], setting("scoring_func", "relu")),
    Bad("method-unknown", "unsupported", ["config.json", "topk_method", "lottery"], setting("topk_method", "lottery")),
    Bad("rope-type-unknown", "unsupported", ["config.json", "longrope"],
        setting("rope_scaling", {"type": "longrope", "factor": 4.0})),
    Bad("yarn-without-factor", "malformed", ["config.json", "factor"], yarn_without_factor),
    Bad("quantisation-unknown", "unsupported", ["config.json", "quant_method", "awq"],
        setting("quantization_config", {"quant_method": "awq", "bits": 4})),
    Bad("block-size-zero", "malformed", ["config.json", "weight_block_size"],
        setting("quantization_config", {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [0, 128]}),
        base=FP8),
]  # fmt: skip


def generate(here):
    """Writes every bad-* folder beside the good ones, and expected.json."""
    for old in here.glob("bad-*"):
        shutil.rmtree(old)
    expected = []
    for bad in BAD:
        folder = Folder(here / bad.base)
        bad.damage(folder)
        folder.write(here / f"bad-{bad.name}")
        entry = {"name": f"bad-{bad.name}", "stage": bad.stage, "status": bad.status, "also": list(bad.also)}
        expected.append(entry | {"mentions": bad.mentions})
    lines = ",\n".join("  " + json.dumps(entry) for entry in expected)
    (here / "expected.json").write_text(f'{{"cases": [\n{lines}\n]}}\n')
