"""Reads an exported omni folder back into the model that is trained."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from evaluate import dequantise
from export import BLOCK
from export_omni import VISION_PARTS, VOICE_PARTS


def original_names(tensors):
    """The training code's names of the published tensors."""
    for name, weight in tensors.items():
        if name.startswith("language_model."):
            yield "text." + name.removeprefix("language_model."), weight
            continue
        for own, parts in (("vision.", VISION_PARTS), ("voice.", VOICE_PARTS)):
            for ours, published in parts:
                if name.startswith(published):
                    yield own + ours + name.removeprefix(published), weight


def fuse_experts(state):
    """One gate_proj, up_proj and down_proj for each expert to transformers' fused tensors."""
    layers = sorted({name.split(".experts.")[0] for name in state if ".mlp.experts.0." in name})
    for layer in layers:
        count = sum(name.startswith(f"{layer}.experts.") and name.endswith("down_proj.weight") for name in state)
        parts = {part: [state.pop(f"{layer}.experts.{i}.{part}_proj.weight") for i in range(count)]
                 for part in ("gate", "up", "down")}
        gate_up = [torch.cat(pair) for pair in zip(parts["gate"], parts["up"])]
        state[f"{layer}.experts.gate_up_proj"] = torch.stack(gate_up)
        state[f"{layer}.experts.down_proj"] = torch.stack(parts["down"])
    return state


def read_exported(folder: Path, model):
    """All weights but those of the teaching heads, which are not exported."""
    tensors = dequantise(load_file(folder / "model.safetensors"), [BLOCK, BLOCK])
    missing, unexpected = model.load_state_dict(fuse_experts(dict(original_names(tensors))), strict=False)
    if unexpected or any(not name.startswith("teachers.") for name in missing):
        raise ValueError(f"{folder}: missing {missing}, unexpected {unexpected}")
