"""Writes a checkpoint as a model folder in the format of DeepSeek-V3's published repository.

    python export.py run ../dormouse-tiny

Linear projections become FP8 E4M3 with one float32 scale for each 128x128 block; the rest is bfloat16, except for
the routers' correction biases, which stay float32.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from data import held_out_questions
from model import BOS, EOS, make_config

BLOCK = 128
KEPT_WIDE = ("embed_tokens.weight", "lm_head.weight", "norm.weight", "mlp.gate.weight")


def split_experts(state):
    """transformers' fused expert tensors to one gate_proj, up_proj and down_proj for each expert."""
    for name, tensor in state.items():
        if name.endswith("experts.gate_up_proj"):
            for expert, fused in enumerate(tensor):
                gate, up = fused.chunk(2)
                yield name.replace("gate_up_proj", f"{expert}.gate_proj.weight"), gate
                yield name.replace("gate_up_proj", f"{expert}.up_proj.weight"), up
        elif name.endswith("experts.down_proj"):
            for expert, down in enumerate(tensor):
                yield name.replace("down_proj", f"{expert}.down_proj.weight"), down
        else:
            yield name, tensor


def quantise(weight):
    """A matrix to FP8 and the factors that restore it; blocks at the edges may be ragged."""
    rows, columns = weight.shape
    down, across = -(-rows // BLOCK), -(-columns // BLOCK)
    padded = torch.zeros(down * BLOCK, across * BLOCK)
    padded[:rows, :columns] = weight
    blocks = padded.view(down, BLOCK, across, BLOCK)
    scale = blocks.abs().amax(dim=(1, 3)).clamp_min(1e-12) / torch.finfo(torch.float8_e4m3fn).max
    coded = (blocks / scale[:, None, :, None]).view(padded.shape)[:rows, :columns]
    return coded.to(torch.float8_e4m3fn).contiguous(), scale


def hub_tensors(state):
    """All tensors of the published file, by their published names."""
    tensors = {}
    for name, tensor in split_experts(state):
        tensor = tensor.float()
        if name.endswith("e_score_correction_bias"):
            tensors[name] = tensor.contiguous()
        elif name.endswith(KEPT_WIDE):
            tensors[name] = tensor.bfloat16().contiguous()
        else:
            tensors[name], tensors[name + "_scale_inv"] = quantise(tensor)
    return tensors


def hub_config(vocab_size):
    """config.json in the spelling of the published one."""
    config = make_config(vocab_size)
    same = """attention_bias attention_dropout bos_token_id eos_token_id first_k_dense_replace hidden_act hidden_size
        initializer_range intermediate_size kv_lora_rank max_position_embeddings model_type moe_intermediate_size n_group
        n_routed_experts n_shared_experts norm_topk_prob num_attention_heads num_experts_per_tok num_hidden_layers
        num_key_value_heads num_nextn_predict_layers q_lora_rank qk_nope_head_dim qk_rope_head_dim rms_norm_eps
        routed_scaling_factor tie_word_embeddings topk_group use_cache v_head_dim vocab_size""".split()
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        **{key: getattr(config, key) for key in same},
        "ep_size": 1,
        "moe_layer_freq": 1,
        "quantization_config": {
            "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK],
        },
        "rope_scaling": None,
        "rope_theta": int(config.rope_parameters["rope_theta"]),
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
    }


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)

    state = torch.load(arguments.run / "checkpoint.pt")["model"]
    save_file(hub_tensors(state), folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", hub_config(state["lm_head.weight"].shape[0]))
    write_json(folder / "generation_config.json", {
        "_from_model_config": True, "bos_token_id": BOS, "do_sample": False, "eos_token_id": EOS,
    })
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(arguments.run / name, folder / name)
    with open(folder / "heldout.jsonl", "w") as file:
        for question in held_out_questions(per_task=50):
            line = {"task": question.task, "prompt": question.prompt, "answer": question.answer}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
