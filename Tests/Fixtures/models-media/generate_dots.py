"""Writes dots3_note-tiny and dots3_note-modules with their goldens.

Run it with a Python that has transformers 5.23, torchvision, Pillow, numpy, ml_dtypes and safetensors.

    dots3_note-tiny     a whole model as transformers saves it, which is the hub's layout of its tensors: config.json, weights
                        in bfloat16, tokenizer, template, processors; the logits of prompts with images, videos and audio
                        and their greedy continuations (golden.json, golden.safetensors), and the towers' rows
    dots3_note-modules  the same towers alone, named as transformers' modules are, with experts fused to one tensor

tower.safetensors has, for each batch of grids, the normalised rows of the vision tower and those of the projector, patches
in order of rows, from numbers that are ((37 i + 11) mod 251) / 125 - 1; audio.safetensors, for each (samples, seed),
the log-mel features of its chunks and the adapter's rows. All of it is computed by transformers in float32, and checked
against the same in float64.
"""

import json
import pathlib
import shutil
import sys

import ml_dtypes
import numpy as np
import torch
import transformers
from transformers import Dots3NoteForConditionalGeneration
from transformers.video_utils import VideoMetadata

import dots
import generate_kimi
import kimi
from generate_kimi import CONTINUATION, MARGIN, TOWER_ERROR, fresh, parts, patches, relative, safetensors_file
import synthetic_images

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "audio"))
import synthetic_audio  # noqa: E402

LOGIT_ERROR = 4e-6  # of transformers' float32 against float64
GAP = 1e-5  # of what routers and indexers choose to what they leave
BATCHES = {"one": [(1, 4, 6)], "two": [(1, 2, 2), (1, 6, 4)], "wide": [(1, 2, 140)], "film": [(3, 2, 4), (1, 4, 2)]}
# less than a hop, one frame, a row and a bit, odd, a chunk, several chunks and a bit
SOUNDS = [(100, 1), (161, 2), (1283, 3), (5003, 4), (16000, 5), (32001, 6), (50007, 7)]
CONVERSATIONS = {
    "text": [{"role": "user", "content": "the name of a thing in another"}],
    **{name: generate_kimi.CONVERSATIONS[name] for name in ("image", "images", "video")},
    "audio": [{"role": "user", "content": [{"type": "text", "text": "hear "}, {"type": "audio", "audio": (20001, 5)}]}],
    "mixed": [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": [{"type": "image", "image": (16, 16, 5)}, {"type": "audio", "audio": (3000, 8)}]},
        {"role": "assistant", "content": "an answer"},
        {"role": "user", "content": [
            {"type": "video", "video": (21, 33, 33, 6, 8.0)}, {"type": "text", "text": "then "}, {"type": "image", "image": (30, 9, 7)},
            {"type": "audio", "audio": (17003, 9)}, {"type": "text", "text": "the last one"}]}],
}  # fmt: skip


def by_rows(values, grids, merge=2):
    """From the order of merged patches, in which transformers has them, to that of rows; [patches, ...]."""
    pieces, start = [], 0
    for frames, height, width in grids:
        own = values[start : start + frames * height * width]
        start += len(own)
        cut = own.reshape(frames, height // merge, width // merge, merge, merge, *own.shape[1:])
        pieces.append(cut.swapaxes(2, 3).reshape(own.shape))
    return np.concatenate(pieces)


def merged(values, grids, merge=2):
    """The other way."""
    pieces, start = [], 0
    for frames, height, width in grids:
        own = values[start : start + frames * height * width]
        start += len(own)
        cut = own.reshape(frames, height // merge, merge, width // merge, merge, *own.shape[1:])
        pieces.append(cut.swapaxes(2, 3).reshape(own.shape))
    return np.concatenate(pieces)


@torch.no_grad()
def see(model, grids):
    dtype = next(model.parameters()).dtype
    pixels = merged(patches(sum(int(np.prod(grid)) for grid in grids), dots.PATCH), grids)
    rows = model.model.vision_tower(torch.from_numpy(pixels).to(dtype), grid_thw=torch.tensor(grids))
    return by_rows(rows.last_hidden_state.numpy(), grids), rows.pooler_output.numpy()


@torch.no_grad()
def hear(model, features):
    dtype = next(model.parameters()).dtype
    return model.model.audio_tower(
        features["input_features"].to(dtype), features["chunk_sample_lengths"]).pooler_output.numpy()


def write_towers(folder, model, extractor):
    towers, audio, worst = {}, {}, 0.0
    seen = {name: see(model, grids) for name, grids in BATCHES.items()}
    given = {f"{n}.{seed}": extractor(synthetic_audio.voice(n, seed), sampling_rate=synthetic_audio.RATE) for n, seed in SOUNDS}
    heard = {name: hear(model, features) for name, features in given.items()}
    model.double()
    for name, grids in BATCHES.items():
        for kind, ours, exact in zip(("tower", "rows"), seen[name], see(model, grids)):
            worst = max(worst, relative(ours, exact))
            if (name, kind) != ("wide", "tower"):
                towers[f"{name}.{kind}"] = ours
        towers[f"{name}.grids"] = np.array(grids, np.int32)
    for name, rows in heard.items():
        exact = hear(model, given[name])
        worst = max(worst, relative(rows, exact))
        audio[f"{name}.rows"] = rows
        assert len(rows) == int(given[name]["num_audio_tokens"])
    model.float()
    # [chunks, mel bins, frames] to [chunks * frames, mel bins], of two pieces of audio.
    for name in list(given)[3:5]:
        audio[f"{name}.features"] = np.concatenate([c.T for c in given[name]["input_features"].numpy()])
    assert worst < TOWER_ERROR, worst
    safetensors_file.save(folder / "tower.safetensors", towers)
    safetensors_file.save(folder / "audio.safetensors", audio)
    return worst


def inputs_of(processor, messages):
    text = processor.tokenizer.apply_chat_template(
        messages, chat_template=dots.TEMPLATE, tokenize=False, add_generation_prompt=True)
    options = {}
    if images := [synthetic_images.image(w, h, seed=s) for w, h, s in parts(messages, "image")]:
        options["images"] = images
    if videos := [synthetic_images.video(n, w, h, seed=s) for n, w, h, s, _ in parts(messages, "video")]:
        options["videos"] = videos
        options["video_metadata"] = [VideoMetadata(total_num_frames=v[0], fps=v[4]) for v in parts(messages, "video")]
    if heard := [synthetic_audio.voice(n, seed) for n, seed in parts(messages, "audio")]:
        options["audio"] = heard
    inputs = processor(
        text=[text], return_tensors="pt", add_special_tokens=False, input_data_format="channels_last", **options)
    return text, {key: value for key, value in inputs.items() if key not in ("attention_mask", "num_audio_tokens", "mm_token_type_ids")}


@torch.no_grad()
def logits_of(model, inputs, ids):
    dtype = next(model.parameters()).dtype
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items() if k != "input_ids"}
    return model(input_ids=torch.tensor([ids]), use_cache=False, **given).logits[0].numpy()


class Choices:
    """While it lasts, the smallest distance between what `topk` takes and what it leaves, relative to the greatest.

    The indexer's scores are exactly 0 where all heads are rectified: among equals, `torch.topk` takes any, and others with
    every length of the prompt.
    """

    def __enter__(self):
        self.gap, self.method = float("inf"), torch.Tensor.topk
        self.function = torch.topk
        torch.topk = self.watched
        torch.Tensor.topk = lambda values, k, dim=-1, **options: self.watched(values, k, dim, **options)
        return self

    def watched(self, values, k, dim=-1, **options):
        if k < values.shape[dim]:
            ordered = torch.sort(values, dim=dim, descending=True).values
            gaps = ordered[..., k - 1] - ordered[..., k]
            # What lies behind a token is as good as minus infinity.
            gaps = gaps[ordered[..., k] > -1e30]
            scale = values[values > -1e30].abs().max()
            if gaps.numel():
                self.gap = min(self.gap, float(gaps.min() / scale))
        return self.function(values, k, dim=dim, **options)

    def __exit__(self, *_):
        torch.Tensor.topk, torch.topk = self.method, self.function


def continuation(model, inputs, ids, unwanted):
    """(tokens, smallest margin), or None where a choice is close or a placeholder; the whole is computed anew each time."""
    path, margin = list(ids), float("inf")
    for _ in range(CONTINUATION):
        last = logits_of(model, inputs, path)[-1]
        top = np.sort(last)[-2:]
        margin = min(margin, float((top[1] - top[0]) / np.abs(last).max()))
        path.append(int(last.argmax()))
        # A chosen placeholder would be read as one more image.
        if margin < MARGIN or path[-1] in unwanted:
            return None
    chosen = path[len(ids) :]
    return (chosen, margin) if len(set(chosen)) >= 5 else None


def conversations(model, tok):
    processor = dots.processor(tok)
    unwanted = {tok.convert_tokens_to_ids(t) for t in ("<|endofassistant|>", "<|imgpad|>", "<|video_pad|>", "<|audio_comp_pad|>")}
    rows, tensors, worst = [], {}, 0.0
    for name, messages in CONVERSATIONS.items():
        text, inputs = inputs_of(processor, messages)
        ids = inputs["input_ids"][0].tolist()
        found = continuation(model, inputs, ids, unwanted)
        if found is None:
            return None
        chosen, margin = found
        with Choices() as choices:
            logits = logits_of(model, inputs, ids + chosen)
        if choices.gap < GAP:
            return None
        model.double()
        exact = logits_of(model, inputs, ids + chosen)
        model.float()
        worst = max(worst, float((np.linalg.norm(logits - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max()))
        # The last position of the prompt and the four behind it.
        tensors[f"{name}.logits"] = logits[len(ids) - 1 : len(ids) + 4]
        grids = {key: inputs[key].tolist() for key in ("image_grid_thw", "video_grid_thw") if key in inputs}
        rows.append({"name": name, "messages": messages, "text": text, "ids": ids, "greedy": chosen, "margin": margin} | grids)
    print("seed with margins, logit error", worst, flush=True)
    return (rows, tensors) if worst < LOGIT_ERROR else None


def as_bfloat16(tensors):
    """But for the routers' biases, which files keep in float32."""
    return {n: t if n.endswith(("correction_bias", "router_bias")) else t.astype(ml_dtypes.bfloat16) for n, t in tensors.items()}


def main():
    tok = dots.tokenizer()
    torch.set_num_threads(1)
    for seed in range(1, 400):
        model = dots.build(tok, seed)
        found = conversations(model, tok)
        if found is not None:
            break
    else:
        raise SystemExit("no seed with margins")
    rows, tensors = found
    folder = fresh("dots3_note-tiny")
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    safetensors_file.save(folder / "model.safetensors", as_bfloat16(safetensors_file.load(folder / "model.safetensors")))
    processor = dots.processor(tok)
    processor.save_pretrained(folder)
    worst = write_towers(folder, model, processor.feature_extractor)
    safetensors_file.save(folder / "golden.safetensors", tensors)
    lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "golden.json").write_text(
        f'{{"transformers": "{transformers.__version__}", "seed": {seed}, "conversations": [\n {lines}\n]}}\n')
    loaded = Dots3NoteForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    theirs = loaded.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.state_dict().items()), "the hub's names"
    bare = fresh("dots3_note-modules")
    for name in ("config.json", "processor_config.json"):
        shutil.copy(folder / name, bare / name)
    state = {n: t.numpy() for n, t in model.state_dict().items() if "_tower." in n}
    safetensors_file.save(bare / "model.safetensors", as_bfloat16(state))
    print("dots3_note-tiny: seed", seed, "tower error", worst)


if __name__ == "__main__":
    main()
