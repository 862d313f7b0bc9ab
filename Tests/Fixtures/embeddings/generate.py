"""Writes goldens.safetensors: what transformers' base classes give as `last_hidden_state` for models of ../models, float32.

    python Tests/Fixtures/embeddings/generate.py

For each model NAME of `MODELS`:

    NAME.input_ids  [600] I32
    NAME.last       [lengths, hidden_size] F32: the row of the last token, of the first 1, 64, 65 and 600 ids
    NAME.mean       [lengths, hidden_size] F32: the mean of these ids' rows, summed in float64

The ids are the first of `SEEDS` random lists whose thinnest margin (the last chosen expert or picked position over the first
rejected one, by the second decoder) is at least `MARGIN`: the rounding of float32 then flips no choice. Versions as in
../models/README.md, and the same bytes again.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = HERE.parent / "models"
sys.path.insert(0, str(FOLDERS))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

import plain  # noqa: E402
import reference  # noqa: E402
import safetensors_file  # noqa: E402

# Routed experts in groups, MLA without a query rank, with yarn, and with an indexer and windows.
MODELS = ["good-v3-group8", "good-v2-greedy", "good-glm-lite", "good-dots-published"]
LENGTHS = [1, 64, 65, 600]
SEEDS = range(1, 2000)
MARGIN = 1e-5


def margin(config, tensors, ids):
    decoder = plain.Decoder(config, tensors)
    decoder.forward(np.array(ids))
    return min(decoder.route_margin, decoder.index_margin)


def choose(name, config, tensors):
    """The ids, and the seed that gave them."""
    for seed in SEEDS:
        ids = np.random.default_rng(seed).integers(2, config["vocab_size"], LENGTHS[-1])
        if margin(config, tensors, ids[:64]) >= MARGIN and margin(config, tensors, ids) >= MARGIN:
            return ids, seed
    raise SystemExit(f"{name}: no seed will do")


@torch.no_grad()
def last_hidden_state(folder, config, ids):
    """[n, hidden_size], after the final norm."""
    _, model_class = reference.CLASSES[config["model_type"]]
    eager = {"attn_implementation": "eager", "experts_implementation": "eager"}
    model = model_class.from_pretrained(folder, dtype=torch.float32, **eager).eval()
    return model.model(torch.tensor(np.array([ids])), use_cache=False).last_hidden_state[0].numpy()


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    goldens, metadata = {}, {"transformers": transformers.__version__, "torch": torch.__version__}
    for name in MODELS:
        config, tensors = plain.read_folder(FOLDERS / name)
        ids, seed = choose(name, config, tensors)
        states = last_hidden_state(FOLDERS / name, config, ids)
        goldens[f"{name}.input_ids"] = ids.astype(np.int32)
        goldens[f"{name}.last"] = np.stack([states[n - 1] for n in LENGTHS])
        goldens[f"{name}.mean"] = np.stack([states[:n].astype(np.float64).mean(0) for n in LENGTHS]).astype(np.float32)
        metadata[f"{name}.seed"] = str(seed)
        print(name, seed, flush=True)
    safetensors_file.save(HERE / "goldens.safetensors", goldens, metadata)


if __name__ == "__main__":
    main()
