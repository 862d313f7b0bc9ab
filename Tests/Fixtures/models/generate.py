"""Writes the good-* checkpoints with their goldens, the bad-* folders and the manifests. See README.md.

    python generate.py            everything
    python generate.py NAME...    only these good cases (manifest.json is left alone)
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

import bad
import cases
import plain
import publish
import reference
import safetensors_file

HERE = Path(__file__).parent
CONTINUATION = 64
GREEDY_MARGIN = 1e-3  # top-1 over top-2, relative to the largest logit, on the whole greedy path
ROUTE_MARGIN = 1e-4  # last chosen over first rejected expert or group, on the whole path
INDEX_MARGIN = 1e-5  # last picked over first rejected position, relative to the row's largest score, on the whole path
TOLERANCE = 2e-4  # |logit - golden| relative to the largest golden logit
POSITION_TOLERANCE = 2.5e-6  # ||golden - exact|| / ||exact|| of the logits of every single position of the whole path
EFFECT = 50 * TOLERANCE  # what breaking one rule must change at least


def find_prompt(case, model, decoder_of, random):
    """A prompt whose greedy path has no thin margins; None when this checkpoint offers none."""
    vocabulary = case.config["vocab_size"]
    for _ in range(40):
        ids = [int(i) for i in random.integers(2, vocabulary, case.prompt)]
        first = decoder_of()
        first.forward(np.array(ids))
        if first.route_margin < ROUTE_MARGIN or first.index_margin < INDEX_MARGIN:
            continue
        chosen, margin, steps = reference.greedy(model, ids, CONTINUATION, GREEDY_MARGIN)
        varied = len(set(chosen)) >= min(8, vocabulary // 3)
        if len(chosen) < CONTINUATION or case.config["eos_token_id"] in chosen or not varied:
            continue
        whole = decoder_of()
        logits = whole.forward(np.array(ids + chosen))
        if whole.route_margin < ROUTE_MARGIN or whole.index_margin < INDEX_MARGIN:
            continue
        return ids, chosen, margin, steps, whole, logits
    return None


def effects(config, tensors, path, logits):
    """Largest relative change of the logits when one rule is broken, for every rule that the case must show."""
    result = {}
    for rule in plain.rules(config):
        broken = plain.Decoder(config, tensors, [rule]).forward(path)
        result[rule] = float(np.abs(broken - logits).max() / np.abs(logits).max())
    return result


def worst_position(logits, exact):
    """The largest ||logits - exact|| / ||exact|| of one position."""
    return float((np.linalg.norm(logits - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max())


def attempt(case, seed, folder):
    """One checkpoint from one seed: written, run and checked; None and the reason when a check fails."""
    stored = publish.store(case, publish.draw(case, seed))
    shutil.rmtree(folder, ignore_errors=True)
    publish.write(folder, case, stored)
    values = publish.widen(stored)
    model = reference.build(case.config, values)
    assert reference.float8_alike(stored, values), f"{case.name}: torch decodes the FP8 weights differently"
    config, tensors = plain.read_folder(folder)
    found = find_prompt(case, model, lambda: plain.Decoder(config, tensors), np.random.default_rng(seed + 1))
    if found is None:
        return None, "no prompt with sufficient margins"
    ids, chosen, margin, steps, exact, expected = found
    path = np.array(ids + chosen)
    effect = effects(config, tensors, path, expected)
    if case.bias_mean >= 0:  # only biased scores below zero tell a fill of 0 from a fill of -inf
        effect.pop("group_fill", None)
    weak = {rule: change for rule, change in effect.items() if change < EFFECT}
    if weak:
        return None, f"weak effects {weak}"
    assert reference.loads_alike(folder, config, model) is not False, f"{case.name}: transformers loads other weights"
    logits, states = reference.whole(model, ids + chosen, with_states=True)
    worst = max(worst_position(logits, expected), worst_position(np.array(steps), expected[len(ids) - 1 : -1]))
    if worst > POSITION_TOLERANCE:
        return None, f"float32 is off by {worst:.2g} at one position"
    size = np.abs(logits).max()
    cached = np.abs(np.array(steps) - logits[len(ids) - 1 : -1]).max() / size
    independent = np.abs(logits - expected).max() / size
    assert cached < TOLERANCE / 10, f"{case.name}: the cache changes the logits by {cached}"
    assert independent < TOLERANCE / 10, f"{case.name}: the second decoder differs by {independent}"
    assert [int(i) for i in logits[len(ids) - 1 : -1].argmax(-1)] == chosen
    golden = {"input_ids": np.array(ids, np.int32), "logits": logits[: len(ids)].copy()}
    golden |= {"greedy": np.array(chosen, np.int32), "last_logits": steps[-1]}
    if case.hidden_states:
        golden |= {f"hidden.{i}": state[: len(ids)].copy() for i, state in enumerate(states)}
    route_margin = None if np.isinf(exact.route_margin) else exact.route_margin  # nothing is ever rejected
    figures = {"seed": seed, "greedy_margin": margin, "route_margin": route_margin}
    if not np.isinf(exact.index_margin):
        figures["index_margin"] = exact.index_margin
    figures |= {"cache_difference": float(cached), "second_decoder_difference": float(independent)}
    figures["worst_position"] = worst
    metadata = {"transformers": transformers.__version__, "torch": torch.__version__}
    metadata |= {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in figures.items()}
    safetensors_file.save(folder / "golden.safetensors", golden, metadata)
    return describe(case, figures, effect), ""


def describe(case, figures, effect):
    """One entry of manifest.json."""
    dims = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "q_lora_rank",
            "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "n_routed_experts")  # fmt: skip
    short = lambda value: float(f"{value:.3g}") if isinstance(value, float) else value
    return {
        "name": f"good-{case.name}", "covers": case.covers, "prompt": case.prompt, "greedy": CONTINUATION,
        "hidden_states": case.hidden_states, "element_type": case.element_type, "scales": case.scales or None,
        "fused": case.fused, "shards": case.shards, "dimensions": {name: case.config[name] for name in dims},
        "tolerance": TOLERANCE, "figures": {k: short(v) for k, v in figures.items()},
        "effects": {k: short(v) for k, v in effect.items()},
    }  # fmt: skip


def generate(case):
    """Tries seeds until a checkpoint satisfies every check."""
    first = case.seed or 1000 * (1 + [c.name for c in cases.CASES].index(case.name))
    for seed in range(first, first + 40, 2):
        entry, reason = attempt(case, seed, HERE / f"good-{case.name}")
        if entry:
            print(case.name, entry["figures"], entry["effects"], flush=True)
            return entry
        print(case.name, seed, reason, flush=True)
    raise SystemExit(f"{case.name}: no seed will do")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    wanted = sys.argv[1:]
    entries = [generate(case) for case in cases.CASES if not wanted or case.name in wanted]
    if wanted:
        return
    manifest = {"tolerance": "largest |logit - golden| over largest |golden|", "cases": entries}
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    bad.generate(HERE)


if __name__ == "__main__":
    main()
