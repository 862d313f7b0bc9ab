"""Makes a Whisper folder as model hubs have them out of one in CTranslate2's format, the form in which packages carry real
weights. The numbers are the same, in the file's own float16 or float32.

usage: ctranslate2_whisper.py SOURCE_FOLDER TARGET_FOLDER     needs numpy
SOURCE_FOLDER has model.bin, config.json and tokenizer.json.

model.bin (CTranslate2's `Model::load`), little-endian:
    version UInt32; name of the specification, revision UInt32; count UInt32; then for each variable
    name; rank UInt8; shape [rank] UInt32; type UInt8; bytes UInt32; data
A name is a UInt16 with its length, and so many bytes, the last of them 0.
"""

import json
import pathlib
import shutil
import struct
import sys

import numpy as np

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
SPELLINGS = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}


class Reader:
    def __init__(self, data):
        self.data, self.offset = data, 0

    def number(self, kind):
        (value,) = struct.unpack_from("<" + kind, self.data, self.offset)
        self.offset += struct.calcsize(kind)
        return value

    def name(self):
        length = self.number("H")
        start, self.offset = self.offset, self.offset + length
        return self.data[start : self.offset].rstrip(b"\0").decode()

    def array(self):
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = np.dtype(TYPES[self.number("B")])
        size = self.number("I")
        start, self.offset = self.offset, self.offset + size
        return np.frombuffer(self.data, kind, size // kind.itemsize, start).reshape(shape)


def variables(path):
    reader = Reader(path.read_bytes())
    reader.number("I"), reader.name(), reader.number("I")
    result = {}
    for _ in range(reader.number("I")):
        name = reader.name()
        result[name] = reader.array()
    return result


def layer_count(given, side):
    return len([name for name in given if name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0/weight")])


def tensors(given):
    """{the hub's name: array}"""
    result = {}
    width = given["decoder/embeddings/weight"].shape[1]

    def linear(source, targets):
        """A matrix and its bias, cut into as many parts of equal height as there are targets; keys have no bias."""
        for kind in ("weight", "bias"):
            for part, target in zip(np.split(given[f"{source}/{kind}"], len(targets)), targets):
                if kind == "weight" or not target.endswith(".k_proj"):
                    result[f"{target}.{kind}"] = part

    def norm(source, target):
        result[f"{target}.weight"], result[f"{target}.bias"] = given[f"{source}/gamma"], given[f"{source}/beta"]

    for side in ("encoder", "decoder"):
        root = f"model.{side}"
        for index in range(layer_count(given, side)):
            source, target = f"{side}/layer_{index}", f"{root}.layers.{index}"
            linear(f"{source}/self_attention/linear_0", [f"{target}.self_attn.{part}_proj" for part in "qkv"])
            linear(f"{source}/self_attention/linear_1", [f"{target}.self_attn.out_proj"])
            norm(f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm")
            if side == "decoder":
                linear(f"{source}/attention/linear_0", [f"{target}.encoder_attn.q_proj"])
                linear(f"{source}/attention/linear_1", [f"{target}.encoder_attn.{part}_proj" for part in "kv"])
                linear(f"{source}/attention/linear_2", [f"{target}.encoder_attn.out_proj"])
                norm(f"{source}/attention/layer_norm", f"{target}.encoder_attn_layer_norm")
            linear(f"{source}/ffn/linear_0", [f"{target}.fc1"])
            linear(f"{source}/ffn/linear_1", [f"{target}.fc2"])
            norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
        norm(f"{side}/layer_norm", f"{root}.layer_norm")
        result[f"{root}.embed_positions.weight"] = given[f"{side}/position_encodings/encodings"]
    for index in (1, 2):
        linear(f"encoder/conv{index}", [f"model.encoder.conv{index}"])
    result["model.decoder.embed_tokens.weight"] = given["decoder/embeddings/weight"]
    assert all(array.dtype in SPELLINGS for array in result.values()), "weights of 8 bits can't be turned back"
    return result, width


def write_safetensors(path, arrays):
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": SPELLINGS[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())


def convert(source, target):
    source, target = pathlib.Path(source), pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    given = variables(source / "model.bin")
    arrays, width = tensors(given)
    write_safetensors(target / "model.safetensors", arrays)
    shutil.copy(source / "tokenizer.json", target)
    settings = json.loads((source / "config.json").read_text())
    added = json.loads((source / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in added}
    vocabulary = len(given["decoder/embeddings/weight"])
    ends = dict.fromkeys(["bos_token_id", "eos_token_id", "pad_token_id"], ids["<|endoftext|>"])
    start = {"decoder_start_token_id": ids["<|startoftranscript|>"]}
    mel = given["encoder/conv1/weight"].shape[1]

    def write(name, document):
        (target / name).write_text(json.dumps(document, indent=1) + "\n")

    shared = {"activation_function": "gelu", "scale_embedding": False, "is_encoder_decoder": True}
    for side in ("encoder", "decoder"):
        shared |= {f"{side}_layers": layer_count(given, side), f"{side}_attention_heads": width // 64,
                   f"{side}_ffn_dim": len(given[f"{side}/layer_0/ffn/linear_0/bias"])}  # fmt: skip
    write("config.json", {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": vocabulary,
        "d_model": width, "num_mel_bins": mel, "max_source_positions": len(given["encoder/position_encodings/encodings"]),
        "max_target_positions": len(given["decoder/position_encodings/encodings"]), **shared, **ends, **start,
    })  # fmt: skip
    generation = {
        **ends, **start, "no_timestamps_token_id": ids["<|notimestamps|>"], "prev_sot_token_id": ids["<|startofprev|>"],
        "suppress_tokens": [token for token in settings["suppress_ids"] if token >= 0],
        "begin_suppress_tokens": settings["suppress_ids_begin"], "max_initial_timestamp_index": 50, "max_length": 448,
        "is_multilingual": vocabulary >= 51865,
    }  # fmt: skip
    if generation["is_multilingual"]:
        generation["lang_to_id"] = {name: token for name, token in ids.items() if token in settings["lang_ids"]}
        generation["task_to_id"] = {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}
    write("generation_config.json", generation)
    write("preprocessor_config.json", {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": mel, "sampling_rate": 16000, "hop_length": 160,
        "chunk_length": 30, "n_fft": 400, "padding_side": "right", "padding_value": 0.0,
    })  # fmt: skip
    write("tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer", "eos_token": "<|endoftext|>"})


if __name__ == "__main__":
    convert(*sys.argv[1:])
