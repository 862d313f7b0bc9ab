"""Writes kimi_k25-tiny, kimi_k25-modules, kimi_k25-saved and kimi_vl-tiny with their goldens.

Run it with a Python that has transformers 5.23, torchvision, Pillow, numpy, ml_dtypes and safetensors.

    kimi_k25-tiny     a whole model in the hub's layout: config.json, weights, tokenizer, template, processors, the logits
                      of prompts with images and videos and their greedy continuations (golden.json, golden.safetensors)
    kimi_k25-modules  another tower alone, in bfloat16, named as transformers' modules are: queries and keys permuted
    kimi_k25-saved    the same, named as transformers' own save_pretrained writes it, with the goldens of both
    kimi_vl-tiny      a tower in the layout of Kimi-VL, in bfloat16

Towers have tower.safetensors: for each batch of grids the normalised rows of the tower and those of the projector, from
patches whose numbers are ((37 i + 11) mod 251) / 125 - 1. All of it is computed by transformers in float32, and checked
against the same in float64.
"""

import copy
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from transformers import Kimi_K25ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.video_utils import VideoMetadata

import kimi

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "vision"), str(HERE.parent / "models")]
import safetensors_file  # noqa: E402
import synthetic_images  # noqa: E402

BATCHES = {
    "one": [(1, 4, 6)], "two": [(1, 2, 2), (1, 6, 4)], "beyond": [(1, 10, 16)], "thin": [(1, 2, 30)],
    "frames4": [(4, 4, 2)], "frames5": [(4, 2, 4), (1, 2, 4)], "frames9": [(4, 2, 2), (4, 2, 2), (1, 2, 2)],
    "mixed": [(3, 2, 6), (1, 8, 8), (2, 4, 2)],
}  # fmt: skip
CONTINUATION = 16
MARGIN = 2e-3  # top-1 over top-2 on the greedy path, relative to the largest logit
TOWER_ERROR = 2e-6  # of transformers' float32 against float64
LOGIT_ERROR = 3e-6


def patches(count, patch):
    numbers = (np.arange(count * 3 * patch * patch, dtype=np.int64) * 37 + 11) % 251
    return (numbers.astype(np.float32) / np.float32(125) - 1).reshape(count, 3, patch, patch)


def relative(a, b):
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))


@torch.no_grad()
def encoded(model, pixels, grids):
    """(normalised rows [patches, hidden], projector rows [tokens, text hidden]).

    Grids of one length are one batch; transformers 5.23 fails on a batch of several lengths, so that these go one by one.
    """
    if len({grid[0] for grid in grids}) > 1:
        pieces = torch.split(pixels, [int(np.prod(grid)) for grid in grids])
        each = [encoded(model, piece, [grid]) for piece, grid in zip(pieces, grids)]
        return tuple(torch.cat(part) for part in zip(*each))
    rows = model.model.vision_tower(pixels, grid_thw=torch.tensor(grids))
    return rows.last_hidden_state, model.model.mm_projector(rows.pooler_output).squeeze(1)


def tower(model, grids):
    dtype = next(model.parameters()).dtype
    count = sum(int(np.prod(grid)) for grid in grids)
    pixels = torch.from_numpy(patches(count, model.config.vision_config.patch_size)).to(dtype)
    return tuple(part.numpy() for part in encoded(model, pixels, grids))


def write_tower(folder, model, batches=BATCHES):
    tensors, worst = {}, 0.0
    results = {name: tower(model, grids) for name, grids in batches.items()}
    model.double()
    # Tables that modules computed in float32 stay as they are: the rules, not the rounding, are the model.
    for name, grids in batches.items():
        exact = tower(model, grids)
        for kind, ours, theirs in zip(("tower", "rows"), results[name], exact):
            worst = max(worst, relative(ours, theirs))
            tensors[f"{name}.{kind}"] = ours
        tensors[f"{name}.grids"] = np.array(grids, np.int32)
    model.float()
    assert worst < TOWER_ERROR, worst
    safetensors_file.save(folder / "tower.safetensors", tensors)
    return worst


# --- names ---


def fused(state, prefix, ending, heads):
    """Queries, keys and values in one tensor, neighbouring channels turning together, as models are published."""

    def unpermuted(tensor):
        half = tensor.shape[0] // heads // 2
        return tensor.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(tensor.shape)

    query, key, value = (state[f"{prefix}attn.{part}_proj.{ending}"] for part in "qkv")
    return np.concatenate([unpermuted(query), unpermuted(key), value])


def published(model, projector=("proj.0", "proj.2"), projector_prefix="mm_projector."):
    """The hub's names and shapes, experts one by one."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    heads = model.config.vision_config.num_attention_heads
    out = {}
    for name, tensor in state.items():
        if name.startswith("model.language_model."):
            name = name.replace("model.language_model.", "language_model.model.")
            if ".experts.gate_up_proj" in name:
                for expert, matrix in enumerate(tensor):
                    gate, up = np.split(matrix, 2)
                    for part, value in (("gate", gate), ("up", up)):
                        out[name.replace("experts.gate_up_proj", f"experts.{expert}.{part}_proj.weight")] = value
            elif ".experts.down_proj" in name:
                for expert, matrix in enumerate(tensor):
                    out[name.replace("experts.down_proj", f"experts.{expert}.down_proj.weight")] = matrix
            else:
                out[name] = tensor
        elif name == "lm_head.weight":
            out["language_model.lm_head.weight"] = tensor
        elif name.startswith("model.mm_projector."):
            part = name.removeprefix("model.mm_projector.")
            part = part.replace("in_proj", projector[0]).replace("out_proj", projector[1])
            out[projector_prefix + part] = tensor
        elif ".layers." in name:
            layer = int(name.split(".")[3])
            part = name.split(".", 4)[4]
            target = f"vision_tower.encoder.blocks.{layer}."
            if ".q_proj." in name:
                ending = name.rsplit(".", 1)[1]
                out[f"{target}wqkv.{ending}"] = fused(state, f"model.vision_tower.layers.{layer}.", ending, heads)
            elif ".k_proj." not in name and ".v_proj." not in name:
                for ours, theirs in (("norm1", "norm0"), ("norm2", "norm1"), ("fc1", "fc0"), ("fc2", "fc1"), ("attn.proj", "wo")):
                    if part.startswith((ours, "mlp." + ours)):
                        part = part.replace(ours, theirs)
                        break
                out[target + part] = tensor
        elif "position_embeddings" in name:
            out["vision_tower.patch_embed.pos_emb.weight"] = tensor
        elif "final_layernorm" in name:
            out[name.replace("model.vision_tower.", "vision_tower.encoder.")] = tensor
        else:
            out[name.removeprefix("model.")] = tensor
    return out


def is_vision(name):
    return "vision_tower" in name or "projector" in name


def as_bfloat16(tensors):
    import ml_dtypes

    return {name: tensor.astype(ml_dtypes.bfloat16) for name, tensor in tensors.items()}


# --- prompts ---

CONVERSATIONS = {
    "text": [{"role": "user", "content": "the name of a thing"}],
    "image": [{"role": "user", "content": [{"type": "image", "image": (50, 37, 1)}, {"type": "text", "text": "in the image?"}]}],
    "images": [
        {"role": "user", "content": [
            {"type": "text", "text": "one "}, {"type": "image", "image": (21, 60, 2)}, {"type": "text", "text": " and two "},
            {"type": "image", "image": (140, 96, 3)}, {"type": "text", "text": " are different"}]}],
    "video": [{"role": "user", "content": [{"type": "video", "video": (9, 40, 27, 4, 2.0)}, {"type": "text", "text": "what moves"}]}],
    "mixed": [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": [{"type": "image", "image": (16, 16, 5)}, {"type": "text", "text": "the first"}]},
        {"role": "assistant", "content": "an answer"},
        {"role": "user", "content": [
            {"type": "video", "video": (21, 33, 33, 6, 8.0)}, {"type": "text", "text": "then "}, {"type": "image", "image": (30, 9, 7)},
            {"type": "text", "text": "the last one"}]}],
}  # fmt: skip


def parts(messages, kind):
    return [part[kind] for m in messages if not isinstance(m["content"], str) for part in m["content"] if part["type"] == kind]


def inputs_of(processor, messages):
    text = processor.tokenizer.apply_chat_template(
        messages, chat_template=kimi.TEMPLATE, tokenize=False, add_generation_prompt=True)
    images = [synthetic_images.image(w, h, seed=s) for w, h, s in parts(messages, "image")]
    videos = [synthetic_images.video(n, w, h, seed=s) for n, w, h, s, _ in parts(messages, "video")]
    metadata = [VideoMetadata(total_num_frames=n, fps=rate) for n, _, _, _, rate in parts(messages, "video")]
    options = {}
    if images:
        options["images"] = images
    if videos:
        options |= {"videos": videos, "video_metadata": metadata}
    return text, processor(text=[text], return_tensors="pt", add_special_tokens=False, input_data_format="channels_last", **options)


@torch.no_grad()
def logits_of(model, inputs, ids):
    dtype = next(model.parameters()).dtype
    outputs = {}
    for kind, pixels, grid in (("image", "pixel_values", "image_grid_thw"), ("video", "pixel_values_videos", "video_grid_thw")):
        if pixels in inputs:
            _, rows = encoded(model, inputs[pixels].to(dtype), inputs[grid].tolist())
            outputs[kind] = BaseModelOutputWithPooling(pooler_output=(rows,))
    return model(input_ids=torch.tensor([ids]), use_cache=False, mm_encoder_outputs=outputs).logits[0].numpy()


def continuation(model, inputs, ids):
    """(tokens, smallest margin): the whole is computed anew for each token."""
    path, margin = list(ids), float("inf")
    for _ in range(CONTINUATION):
        last = logits_of(model, inputs, path)[-1]
        top = np.sort(last)[-2:]
        margin = min(margin, float((top[1] - top[0]) / np.abs(last).max()))
        path.append(int(last.argmax()))
    return path[len(ids):], margin


def conversations(model, tok):
    processor = kimi.processor(tok)
    rows, tensors, worst = [], {}, 0.0
    for name, messages in CONVERSATIONS.items():
        text, inputs = inputs_of(processor, messages)
        ids = inputs["input_ids"][0].tolist()
        chosen, margin = continuation(model, inputs, ids)
        # A chosen placeholder would be read as one more image.
        unwanted = {tok.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|media_pad|>", kimi.VIDEO_PLACEHOLDER)}
        if margin < MARGIN or len(set(chosen)) < 5 or unwanted & set(chosen):
            return None
        logits = logits_of(model, inputs, ids + chosen)
        model.double()
        exact = logits_of(model, inputs, ids + chosen)
        model.float()
        worst = max(worst, float((np.linalg.norm(logits - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max()))
        # Every position of one, of the others the last of the prompt and the four behind it.
        tensors[f"{name}.logits"] = logits if name == "image" else logits[len(ids) - 1 : len(ids) + 4]
        grids = {key: inputs[key].tolist() for key in ("image_grid_thw", "video_grid_thw") if key in inputs}
        rows.append({"name": name, "messages": messages, "text": text, "ids": ids, "greedy": chosen, "margin": margin} | grids)
    return (rows, tensors) if worst < LOGIT_ERROR else None


# --- folders ---


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def write_whole(tok):
    for seed in range(1, 200):
        model = kimi.build(tok, seed)
        found = conversations(model, tok)
        if found is not None:
            break
    else:
        raise SystemExit("no seed with margins")
    folder = fresh("kimi_k25-tiny")
    rows, tensors = found
    model.config.save_pretrained(folder)
    safetensors_file.save(folder / "model.safetensors", published(model))
    tok.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(kimi.TEMPLATE)
    image, video = kimi.processors()
    image.save_pretrained(folder)
    video.save_pretrained(folder)
    worst = write_tower(folder, model)
    safetensors_file.save(folder / "golden.safetensors", tensors)
    lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "golden.json").write_text(
        f'{{"transformers": "{transformers.__version__}", "seed": {seed}, "conversations": [\n {lines}\n]}}\n')
    loaded = Kimi_K25ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    theirs = loaded.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.state_dict().items()), "the hub's names"
    print("kimi_k25-tiny: seed", seed, "tower error", worst)


def write_tower_alone(tok):
    """The same tower under both kinds of names that transformers has."""
    model = kimi.build(tok, 7, torch.bfloat16)
    folder = fresh("kimi_k25-modules")
    model.config.save_pretrained(folder)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items() if is_vision(name)}
    safetensors_file.save(folder / "model.safetensors", as_bfloat16(state))
    folder = fresh("kimi_k25-saved")
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    kept = {n: t for n, t in safetensors_file.load(folder / "model.safetensors").items() if is_vision(n)}
    safetensors_file.save(folder / "model.safetensors", kept)
    (folder / "generation_config.json").unlink()
    print("kimi_k25-saved: tower error", write_tower(folder, model, {"mixed": BATCHES["mixed"]}))


def write_kimi_vl(tok):
    """The tower of images; transformers has no class for it, but the same rules, under other names."""
    model = kimi.build(tok, 11, torch.bfloat16)
    folder = fresh("kimi_vl-tiny")
    vision = model.config.vision_config
    kimi.write_json(folder / "config.json", {
        "architectures": ["KimiVLForConditionalGeneration"], "model_type": "kimi_vl", "media_placeholder_token_id": 282,
        "vision_config": {
            "model_type": "moonvit", "patch_size": vision.patch_size, "num_attention_heads": vision.num_attention_heads,
            "num_hidden_layers": vision.num_hidden_layers, "hidden_size": vision.hidden_size,
            "intermediate_size": vision.intermediate_size, "init_pos_emb_height": vision.pos_emb_height,
            "init_pos_emb_width": vision.pos_emb_width, "merge_kernel_size": [2, 2]},
        "text_config": {"model_type": "deepseek_v3", "hidden_size": model.config.text_config.hidden_size}})  # fmt: skip
    kimi.write_json(folder / "preprocessor_config.json", {
        "in_token_limit": 48, "patch_size": 8, "num_pooled_tokens": 1024, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5], "pad_input": True})  # fmt: skip
    names = published(model, ("linear_1", "linear_2"), "multi_modal_projector.")
    kept = {name: tensor for name, tensor in names.items() if is_vision(name)}
    safetensors_file.save(folder / "model.safetensors", as_bfloat16(kept))
    pictures_only = {name: BATCHES[name] for name in ("one", "two", "beyond")}
    print("kimi_vl-tiny: tower error", write_tower(folder, model, pictures_only))


def main():
    tok = kimi.tokenizer()
    write_whole(tok)
    write_tower_alone(tok)
    write_kimi_vl(tok)


if __name__ == "__main__":
    main()
