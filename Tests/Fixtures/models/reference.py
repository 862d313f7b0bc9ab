"""The golden numbers: transformers, float32, eager attention, on exactly the weights that were published."""

import copy

import numpy as np
import torch
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config, DeepseekV3ForCausalLM
from transformers import Glm4MoeLiteConfig, Glm4MoeLiteForCausalLM
from transformers.models.dots3_note.configuration_dots3_note import Dots3NoteTextConfig
from transformers.models.dots3_note.modeling_dots3_note import Dots3NoteForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MLP

import layers
import publish

CLASSES = {
    "deepseek_v2": (DeepseekV2Config, DeepseekV2ForCausalLM),
    "deepseek_v3": (DeepseekV3Config, DeepseekV3ForCausalLM),
    "kimi_k2": (DeepseekV3Config, DeepseekV3ForCausalLM),
    "glm4_moe_lite": (Glm4MoeLiteConfig, Glm4MoeLiteForCausalLM),
    "dots3_note_text": (Dots3NoteTextConfig, Dots3NoteForCausalLM),
    "dots3_note": (Dots3NoteTextConfig, Dots3NoteForCausalLM),
}
NOT_FOR_THE_CLASS = ("architectures", "auto_map", "model_type", "torch_dtype", "dtype", "quantization_config")


def state_dictionary(config, values):
    """Widened tensors as the transformers modules name them: experts fused, nothing of the prediction layer."""
    ending = f"model.layers.{config['num_hidden_layers']}."
    kept = {k: v for k, v in values.items() if not k.startswith((ending, "model.mtp.")) and not k.endswith("inv_freq")}
    state = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in publish.fuse(config, kept).items()}
    if config["tie_word_embeddings"]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    if not config.get("n_shared_experts"):
        width, hidden = 0, config["hidden_size"]
        for layer in range(config["num_hidden_layers"]):
            if publish.is_sparse(config, layer):
                prefix = f"model.layers.{layer}.mlp.shared_experts."
                state[prefix + "gate_proj.weight"] = torch.zeros(width, hidden)
                state[prefix + "up_proj.weight"] = torch.zeros(width, hidden)
                state[prefix + "down_proj.weight"] = torch.zeros(hidden, width)
    return state


def loads_alike(folder, config, model):
    """Whether transformers' own loader, given the published folder, arrives at the very weights of `model`.

    None where it cannot be asked: FP8 (its loader wants another package), and what the classes do not know.
    """
    unknown = config.get("moe_layer_freq", 1) not in (1, [1, 0, 1]) or config.get("n_shared_experts", 0) is None
    # The class of a whole dots3_note wants its towers.
    if "quantization_config" in config or unknown or config["model_type"] == "dots3_note":
        return None
    _, model_class = CLASSES[config["model_type"]]
    loaded, _ = model_class.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    theirs = loaded.state_dict()
    return all(torch.equal(theirs[name], tensor) for name, tensor in model.state_dict().items())


def float8_alike(stored, values):
    """Whether torch decodes the FP8 codes and multiplies the 128x128 scales out as `publish.widen` does."""
    for name, codes in stored.items():
        if name + "_scale_inv" not in stored:
            continue
        decoded = torch.from_numpy(codes.view(np.uint8).copy()).view(torch.float8_e4m3fn).float()
        grid = torch.from_numpy(stored[name + "_scale_inv"].astype(np.float32))
        rows, columns = torch.arange(codes.shape[0]) // 128, torch.arange(codes.shape[1]) // 128
        if not torch.equal(decoded * grid[rows][:, columns], torch.from_numpy(values[name])):
            return False
    return True


def build(config, values):
    """The transformers model in float32; every tensor of the state must be used (strict)."""
    config_class, model_class = CLASSES[config["model_type"]]
    fields = {k: copy.deepcopy(v) for k, v in config.items() if k not in NOT_FOR_THE_CLASS}
    fields["n_shared_experts"] = fields.get("n_shared_experts") or 0
    reference = config_class(**fields, attn_implementation="eager")
    reference._experts_implementation = "eager"
    model = model_class(reference)
    if config.get("moe_layer_freq", 1) != 1 and not layers.is_dots(config):  # the class knows no layer frequency
        for index, layer in enumerate(model.model.layers):
            if not publish.is_sparse(config, index):
                layer.mlp = DeepseekV3MLP(reference)
    model = model.float().eval()
    model.load_state_dict(state_dictionary(config, values), strict=True)
    return model


@torch.no_grad()
def whole(model, ids, with_states=False):
    """Logits [n, vocabulary] without a cache, and the hidden states: embedding, then the output of every layer."""
    states, handles = [], []
    if with_states:
        modules = [model.model.embed_tokens, *model.model.layers]
        handles = [m.register_forward_hook(lambda _m, _i, out: states.append(out[0].clone())) for m in modules]
    logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return logits.numpy(), [state.numpy() for state in states]


@torch.no_grad()
def greedy(model, ids, count, minimum):
    """(continuation, smallest relative margin, logits of every step) with the cache; stops early below `minimum`."""
    out = model(torch.tensor([ids]), use_cache=True)
    chosen, steps, margin = [], [], float("inf")
    while True:
        logits = out.logits[0, -1]
        top = torch.topk(logits, 2).values
        margin = min(margin, float((top[0] - top[1]) / logits.abs().max()))
        if margin < minimum:
            return chosen, margin, steps
        chosen.append(int(logits.argmax()))
        steps.append(logits.numpy())
        if len(chosen) == count:
            return chosen, margin, steps
        out = model(torch.tensor([[chosen[-1]]]), past_key_values=out.past_key_values, use_cache=True)
