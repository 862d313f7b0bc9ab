"""Golden routings by the router modules of transformers 5.23.0 (torch, float32).

Run it with a Python that has torch, transformers 5.23.0, safetensors and numpy; it rewrites cases.json and
golden.safetensors beside it. Each case holds logits [tokens, experts], for sigmoid routers a bias [experts], and what
the module chose: ids and weights [tokens, chosen], sorted by id, since torch leaves the order open.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import DeepseekV2Config, DeepseekV3Config
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

TOKENS = 64
HERE = pathlib.Path(__file__).parent


def softmax(name, experts, chosen, scale, method="greedy", groups=1, kept=1):
    return name, dict(
        scoring_func="softmax", topk_method=method, n_routed_experts=experts, num_experts_per_tok=chosen,
        n_group=groups, topk_group=kept, norm_topk_prob=False, routed_scaling_factor=scale,
    ), 0.0  # fmt: skip


def sigmoid(name, experts, chosen, scale, groups=1, kept=1, norm=True, bias_mean=0.0):
    return name, dict(
        scoring_func="sigmoid", topk_method="noaux_tc", n_routed_experts=experts, num_experts_per_tok=chosen,
        n_group=groups, topk_group=kept, norm_topk_prob=norm, routed_scaling_factor=scale,
    ), bias_mean  # fmt: skip


CASES = [
    softmax("v2-lite", 64, 6, 1.0),
    softmax("v2", 160, 6, 16.0, "group_limited_greedy", 8, 3),
    softmax("v2-all-groups", 12, 5, 2.0, "group_limited_greedy", 3, 3),
    softmax("v2-one-expert", 7, 1, 1.5),
    sigmoid("v3", 256, 8, 2.5, 8, 4),
    sigmoid("v3-negative-bias", 32, 6, 2.5, 4, 2, bias_mean=-1.2),
    sigmoid("v3-no-norm", 24, 4, 1.7, 6, 2, norm=False),
    sigmoid("kimi-k2", 384, 8, 2.827),
    sigmoid("glm-lite", 64, 4, 1.8),
    sigmoid("every-expert", 6, 6, 0.7, 3, 3),
]


def route(config, logits, bias):
    """The module's own choice; an identity for its weight makes the hidden state the logits."""
    experts = config["n_routed_experts"]
    fields = {k: v for k, v in config.items() if k != "scoring_func"} | {"hidden_size": experts}
    if config["scoring_func"] == "softmax":
        router = DeepseekV2TopkRouter(DeepseekV2Config(**fields, num_attention_heads=1))
    else:
        fields.pop("topk_method")
        router = DeepseekV3TopkRouter(DeepseekV3Config(**fields))
        router.e_score_correction_bias.copy_(torch.from_numpy(bias))
    router.weight.data.copy_(torch.eye(experts))
    with torch.no_grad():
        same, weights, ids = router(torch.from_numpy(logits))
    assert np.array_equal(same.numpy(), logits)
    order = ids.argsort(dim=-1)
    return ids.gather(1, order).to(torch.int32).numpy(), weights.gather(1, order).numpy()


def main():
    tensors, cases = {}, []
    for index, (name, config, bias_mean) in enumerate(CASES):
        random = np.random.default_rng(100 + index)
        logits = random.standard_normal((TOKENS, config["n_routed_experts"]), np.float32) * np.float32(2)
        bias = (random.standard_normal(config["n_routed_experts"], np.float32) * 0.3 + bias_mean).astype(np.float32)
        ids, weights = route(config, logits, bias)
        tensors |= {f"{name}.logits": logits, f"{name}.ids": ids, f"{name}.weights": weights}
        if config["scoring_func"] == "sigmoid":
            tensors[f"{name}.bias"] = bias
        cases.append({"name": name, "config": config})
    save_file(tensors, HERE / "golden.safetensors")
    (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
