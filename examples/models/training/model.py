"""The shipped architecture: DeepSeek-V3 (latent attention, 256 fine-grained experts), very small.

The classes are transformers' own. Two things are added for training on a CPU:

* packed attention and grouped experts, which give the same numbers as the stock code, faster;
* the auxiliary-loss-free balance step of DeepSeek-V3, which transformers leaves out.
"""

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Experts, DeepseekV3MoE

BOS, EOS, PAD = 0, 1, 2


def make_config(vocab_size: int) -> DeepseekV3Config:
    """The configuration of dormouse-tiny."""
    return DeepseekV3Config(
        vocab_size=vocab_size,
        hidden_size=128,
        intermediate_size=384,
        moe_intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        q_lora_rank=96,
        kv_lora_rank=64,
        qk_nope_head_dim=32,
        qk_rope_head_dim=16,
        v_head_dim=32,
        n_routed_experts=256,
        num_experts_per_tok=8,
        n_shared_experts=1,
        n_group=8,
        topk_group=4,
        norm_topk_prob=True,
        routed_scaling_factor=2.5,
        first_k_dense_replace=1,
        num_mtp_layers=0,
        max_position_embeddings=1024,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.06,
        tie_word_embeddings=False,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=None,
    )


def make_model(vocab_size: int) -> DeepseekV3ForCausalLM:
    """A freshly initialised model for training: packed attention, grouped experts."""
    model = DeepseekV3ForCausalLM._from_config(make_config(vocab_size), attn_implementation="packed")
    DeepseekV3Experts.forward = grouped_experts
    return model


# Attention over a packed row of documents

RUNS = 6


class Packing:
    """The documents of a packed row, in runs of similar length that attention pads to their longest."""

    def __init__(self, lengths: torch.Tensor):
        """lengths must ascend, so that runs waste little."""
        self.runs = [Run(part) for part in lengths.tensor_split(min(RUNS, len(lengths)))]
        self.position_ids = torch.cat([run.position_ids for run in self.runs])
        self.tokens = [len(run.position_ids) for run in self.runs]


class Run:
    """Where each token of neighbouring documents lies in a padded [documents, longest] grid."""

    def __init__(self, lengths: torch.Tensor):
        self.documents, self.longest = len(lengths), int(lengths.max())
        starts = torch.cumsum(lengths, 0) - lengths
        document = torch.repeat_interleave(torch.arange(self.documents), lengths)
        self.position_ids = torch.arange(int(lengths.sum())) - starts[document]
        self.cell = document * self.longest + self.position_ids

    def spread(self, packed: torch.Tensor) -> torch.Tensor:
        """[tokens, heads, d] to [documents, heads, longest, d], zeros in the gaps."""
        grid = packed.new_zeros(self.documents * self.longest, *packed.shape[1:]).index_copy(0, self.cell, packed)
        return grid.view(self.documents, self.longest, *packed.shape[1:]).transpose(1, 2)

    def gather(self, grid: torch.Tensor) -> torch.Tensor:
        """The inverse of spread."""
        return _Pick.apply(grid.transpose(1, 2).flatten(0, 1), self.cell)


class _Pick(torch.autograd.Function):
    """Rows of a matrix at distinct indices."""

    @staticmethod
    def forward(ctx, rows, index):
        ctx.save_for_backward(index)
        ctx.size = rows.shape[0]
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        return grad.new_zeros(ctx.size, *grad.shape[1:]).index_copy_(0, index, grad), None


def packed_attention(module, query, key, value, attention_mask, scaling, packing, dropout=0.0, **kwargs):
    """Causal attention inside each document of a packed row."""
    rows = (t[0].transpose(0, 1).split(packing.tokens) for t in (query, key, value))
    outputs = []
    for run, *parts in zip(packing.runs, *rows):
        grids = map(run.spread, parts)
        outputs.append(run.gather(F.scaled_dot_product_attention(*grids, is_causal=True, scale=scaling)))
    return torch.cat(outputs)[None], None


AttentionInterface.register("packed", packed_attention)


# Experts: batched products over experts of similar load

CHUNKS = 8


class _Dispatch(torch.autograd.Function):
    """Copy each token's row to its top-k slots."""

    @staticmethod
    def forward(ctx, rows, slot, slots):
        ctx.save_for_backward(slot)
        top_k = slot.shape[1]
        copies = rows[:, None].expand(-1, top_k, -1).flatten(0, 1)
        return rows.new_zeros(slots, rows.shape[1]).index_copy_(0, slot.flatten(), copies)

    @staticmethod
    def backward(ctx, grad):
        (slot,) = ctx.saved_tensors
        return grad.index_select(0, slot.flatten()).view(*slot.shape, -1).sum(1), None, None


class _Combine(torch.autograd.Function):
    """Weighted sum of each token's top-k slots."""

    @staticmethod
    def forward(ctx, slots, weights, slot):
        picked = slots.index_select(0, slot.flatten()).view(*slot.shape, -1)
        weights = weights.to(picked.dtype)
        ctx.save_for_backward(picked, weights, slot)
        ctx.slots = slots.shape[0]
        return torch.bmm(weights[:, None], picked)[:, 0]

    @staticmethod
    def backward(ctx, grad):
        picked, weights, slot = ctx.saved_tensors
        spread = (weights[..., None] * grad[:, None]).flatten(0, 1)
        grad_slots = grad.new_zeros(ctx.slots, grad.shape[1]).index_copy_(0, slot.flatten(), spread)
        return grad_slots, torch.bmm(picked, grad[..., None])[..., 0].float(), None


def grouped_experts(self, hidden_states, top_k_index, top_k_weights):
    """DeepseekV3Experts.forward as a few batched products over experts of similar load, padded to the busiest."""
    flat = top_k_index.flatten()
    load = torch.bincount(flat, minlength=self.num_experts)
    by_load = load.argsort(descending=True)
    rooms = load[by_load].view(CHUNKS, -1)[:, :1].expand(CHUNKS, self.num_experts // CHUNKS).flatten()
    first_slot = torch.empty_like(load).index_copy_(0, by_load, rooms.cumsum(0) - rooms)

    order = flat.argsort(stable=True)
    rank = torch.arange(flat.numel()) - (load.cumsum(0) - load)[flat[order]]
    slot = torch.empty_like(flat).index_copy_(0, order, first_slot[flat[order]] + rank).view_as(top_k_index)

    chunk_rooms = [room for room in rooms.view(CHUNKS, -1)[:, 0].tolist() if room]
    rows = [room * (self.num_experts // CHUNKS) for room in chunk_rooms]
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden_states.dtype
    x = _Dispatch.apply(hidden_states.to(dtype), slot, sum(rows))
    gate_up_proj = _Pick.apply(self.gate_up_proj.to(dtype), by_load).chunk(CHUNKS)
    down_proj = _Pick.apply(self.down_proj.to(dtype), by_load).chunk(CHUNKS)
    outputs = []
    for chunk, room, gate_up, down in zip(x.split(rows), chunk_rooms, gate_up_proj, down_proj):
        gate, up = torch.bmm(chunk.view(-1, room, self.hidden_dim), gate_up.transpose(1, 2)).chunk(2, dim=-1)
        outputs.append(torch.bmm(self.act_fn(gate) * up, down.transpose(1, 2)).flatten(0, 1))
    return _Combine.apply(torch.cat(outputs), top_k_weights, slot).to(hidden_states.dtype)


# Aux-loss-free balance


class Balancer:
    """Nudges each router's e_score_correction_bias towards an even load, as DeepSeek-V3 does."""

    def __init__(self, model: DeepseekV3ForCausalLM):
        self.loads = {}
        self.gates = [m.gate for m in model.modules() if isinstance(m, DeepseekV3MoE)]
        for gate in self.gates:
            gate.register_forward_hook(self._count)

    def _count(self, gate, inputs, output):
        self.loads[gate] = torch.bincount(output[2].flatten(), minlength=gate.num_experts).float()

    @torch.no_grad()
    def step(self, rate: float) -> float:
        """One update after an optimiser step; returns the worst load over the mean load."""
        for gate, load in self.loads.items():
            gate.e_score_correction_bias += rate * torch.sign(load.mean() - load)
        return max(float(load.max() / load.mean()) for load in self.loads.values())
