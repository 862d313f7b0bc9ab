"""Examines an exported model folder on its held-out questions.

    python evaluate.py ../dormouse-tiny

The published tensors are read back, dequantised to float32 and handed to transformers' stock DeepseekV3ForCausalLM;
answers are decoded greedily after the chat template. Also writes greedy.json: prompts and continuations of a sample,
as token ids, for other runtimes to compare with.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, DeepseekV3ForCausalLM

LONGEST_ANSWER = 48
GOLDEN_PROMPTS = 40


def dequantise(tensors, block):
    """Tensors of a published file in float32."""
    wide = {}
    for name, tensor in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        wide[name] = tensor.float()
        scale = tensors.get(name + "_scale_inv")
        if scale is not None:
            scale = scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
            wide[name] *= scale[: tensor.shape[0], : tensor.shape[1]]
    return wide


def load(folder):
    """The exported model in float32."""
    config = json.loads((folder / "config.json").read_text())
    quantization = config.pop("quantization_config")
    with tempfile.TemporaryDirectory() as wide:
        wide = Path(wide)
        (wide / "config.json").write_text(json.dumps(config))
        tensors = dequantise(load_file(folder / "model.safetensors"), quantization["weight_block_size"])
        save_file(tensors, wide / "model.safetensors", metadata={"format": "pt"})
        return DeepseekV3ForCausalLM.from_pretrained(wide, dtype=torch.float32).eval()


def prompt_ids(tokenizer, prompt):
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False).input_ids


def greedy(model, prompts):
    """Greedy continuations of prompts of one length, each cut after its end mark."""
    eos = model.config.eos_token_id
    ids = torch.tensor(prompts)
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=LONGEST_ANSWER, eos_token_id=eos,
        pad_token_id=eos,
    )[:, ids.shape[1]:].tolist()
    return [row[: row.index(eos) + 1] if eos in row else row for row in out]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, tokenizer = load(arguments.folder), AutoTokenizer.from_pretrained(arguments.folder)
    items = [json.loads(line) for line in open(arguments.folder / "heldout.jsonl")]

    by_length = defaultdict(list)
    for item in items:
        item["ids"] = prompt_ids(tokenizer, item["prompt"])
        by_length[len(item["ids"])].append(item)
    for group in by_length.values():
        for item, ids in zip(group, greedy(model, [item["ids"] for item in group])):
            item["said"] = tokenizer.decode(ids, skip_special_tokens=True)

    hits = defaultdict(list)
    for item in items:
        hits[item["task"]].append(item["said"] == item["answer"])
        if not hits[item["task"]][-1]:
            print(f"wrong: {item['prompt']} | {item['said']} | expected {item['answer']}")
    print("| task | n | exact match |\n|---|---:|---:|")
    for task, marks in hits.items():
        print(f"| {task} | {len(marks)} | {100 * sum(marks) / len(marks):.1f} % |")
    right = sum(map(sum, hits.values()))
    print(f"| all | {len(items)} | {100 * right / len(items):.1f} % |")

    golden = []
    for item in items[:: len(items) // GOLDEN_PROMPTS][:GOLDEN_PROMPTS]:
        continuation = greedy(model, [item["ids"]])[0]
        golden.append({"prompt": item["prompt"], "prompt_ids": item["ids"], "continuation_ids": continuation})
    with open(arguments.folder / "greedy.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in golden) + "\n]\n")


if __name__ == "__main__":
    main()
