"""The towers of the omni model: Kimi-K2.5's MoonViT3d and Audio Flamingo 3's encoder, very small.

Parameters and their names are those of transformers' classes. What is computed is the same; batches here are of items
of one size (pictures, clips) or padded (sounds), which is faster on a CPU than the stock code.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AudioFlamingo3EncoderConfig
from transformers.audio_utils import mel_filter_bank
from transformers.models.audioflamingo3.modeling_audioflamingo3 import AudioFlamingo3Encoder
from transformers.models.kimi_k25.configuration_kimi_k25 import Kimi_K25VisionConfig
from transformers.models.kimi_k25.modeling_kimi_k25 import Kimi_K25VisionModel, apply_rotary_pos_emb_vision
from transformers.vision_utils import get_vision_interpolation_indices_and_weights

from pictures import COLOURS, DIRECTIONS, MOST_THINGS, PLACES, SHAPES

PATCH, MERGE, FRAMES = 14, 2, 4
MEL_BINS, HOP, FFT, RATE = 128, 160, 400, 16_000
SOURCE_POSITIONS = 200  # 4 s


def vision_config() -> Kimi_K25VisionConfig:
    return Kimi_K25VisionConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, patch_size=PATCH,
        pos_emb_height=10, pos_emb_width=10, pos_emb_time=FRAMES, merge_kernel_size=(MERGE, MERGE),
        rope_parameters={"rope_type": "axial", "rope_theta": 10000.0},
    )


def audio_config() -> AudioFlamingo3EncoderConfig:
    return AudioFlamingo3EncoderConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, num_mel_bins=MEL_BINS,
        max_source_positions=SOURCE_POSITIONS, layerdrop=0.0,
    )


def attend(q, k, v, mask=None):
    """Attention by plain products: for sequences this short torch's own took a third of a step backwards on a CPU."""
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1).to(v.dtype) @ v


class VisionTower(nn.Module):
    """Pictures or chunks of clips of one size -> rows of the text model's width."""

    def __init__(self, text_width: int):
        super().__init__()
        config = vision_config()
        self.tower = Kimi_K25VisionModel._from_config(config)
        width = config.hidden_size
        self.merged = width * MERGE * MERGE
        self.pre_norm = nn.LayerNorm(width, eps=1e-5)
        self.in_proj = nn.Linear(self.merged, self.merged)
        self.out_proj = nn.Linear(self.merged, text_width)
        nn.init.normal_(self.tower.patch_embed.pos_emb.position_embeddings, std=0.02)
        self.tables = {}

    def _table(self, frames, height, width):
        """What depends on the grid alone: interpolation of the position grid, and angles."""
        key = frames, height, width
        if key not in self.tables:
            grid = torch.tensor([[1, height, width]])
            taps = get_vision_interpolation_indices_and_weights(grid, 10, mode="bicubic")
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            positions = torch.stack([rows.flatten(), columns.flatten()], 1).repeat(frames, 1)
            cos, sin = self.tower.rotary_emb(torch.zeros(1), positions)
            self.tables[key] = *taps, cos, sin
        return self.tables[key]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """pixels: [batch, frames, 3, H, W], normalised, whole merged patches.

        Returns rows [batch, tokens, text width] and what the projector saw [batch, tokens, merged].
        """
        batch, frames, _, high, wide = pixels.shape
        height, width = high // PATCH, wide // PATCH
        indices, weights, cos, sin = self._table(frames, height, width)
        embed = self.tower.patch_embed
        x = embed.proj(pixels.flatten(0, 1)).flatten(2).transpose(1, 2)
        table = embed.pos_emb.position_embeddings.flatten(0, 1)
        x = x + F.embedding_bag(indices, table, per_sample_weights=weights, mode="sum")
        x = x.view(batch, frames, height * width, -1)
        if frames > 1:
            x = x + embed.pos_emb.time_position_embeddings[1: frames + 1, None]
        x = x.flatten(1, 2)
        for layer in self.tower.layers:
            x = x + self._attend(layer.attn, layer.norm1(x), cos, sin)
            x = x + layer.mlp(layer.norm2(x))
        x = self.tower.final_layernorm(x).view(batch, frames, height // 2, 2, width // 2, 2, -1).mean(1)
        x = self.pre_norm(x.transpose(2, 3)).reshape(batch, height * width // 4, self.merged)
        return self.out_proj(F.gelu(self.in_proj(x))), x

    @staticmethod
    def _attend(attention, x, cos, sin):
        q, k, v = (p(x).unflatten(-1, (attention.num_heads, -1))
                   for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
        out = attend(*(t.transpose(1, 2) for t in (q, k, v)))
        return attention.proj(out.transpose(1, 2).flatten(2))


class LogMel(nn.Module):
    """Whisper's log-mel spectrogram of samples [batch, n]: [batch, bins, n // 160]."""

    def __init__(self):
        super().__init__()
        bank = mel_filter_bank(FFT // 2 + 1, MEL_BINS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("bank", torch.tensor(bank.T, dtype=torch.float32), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, samples):
        spectrum = torch.stft(samples, FFT, HOP, window=self.window, return_complex=True)[..., :-1].abs() ** 2
        logs = (self.bank @ spectrum).clamp_min(1e-10).log10()
        return (torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8) + 4) / 4


class VoiceTower(nn.Module):
    """Sounds -> 25 rows a second."""

    def __init__(self, text_width: int):
        super().__init__()
        self.tower = AudioFlamingo3Encoder._from_config(audio_config())
        self.tower.embed_positions.weight.requires_grad_(True)
        width = audio_config().hidden_size
        self.linear_1 = nn.Linear(width, text_width)
        self.linear_2 = nn.Linear(text_width, text_width)
        self.mel = LogMel()

    @staticmethod
    def row_count(samples: int) -> int:
        frames = -(-samples // HOP)
        return -(-frames // 2) // 2

    def forward(self, sounds: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows [batch, longest, text width] and what the projector saw [batch, longest, hidden]; `row_count` of each
        sound count."""
        counts = torch.tensor([-(-(-(-len(s) // HOP)) // 2) for s in sounds])
        longest = int(counts.max())
        # Two more positions are the silence that a full window has behind a sound.
        size = min(SOURCE_POSITIONS, longest + 2) * 2 * HOP
        samples = torch.stack([F.pad(s, (0, size - len(s))) for s in sounds])
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            features = self.mel(samples)
        t = self.tower
        x = F.gelu(t.conv2(F.gelu(t.conv1(features)))).transpose(1, 2)
        longest += longest % 2
        x = x[:, :longest] + t.embed_positions.weight[:longest]
        mask = (torch.arange(longest) < counts[:, None])[:, None, None]
        for layer in t.layers:
            x = x + self._attend(layer.self_attn, layer.self_attn_layer_norm(x), mask)
            x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
        x = t.layer_norm(F.avg_pool1d(x.transpose(1, 2), 2, 2).transpose(1, 2))
        return self.linear_2(F.gelu(self.linear_1(x))), x

    @staticmethod
    def _attend(attention, x, mask):
        q, k, v = (p(x).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
                   for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        out = attend(q, k, v, mask)
        return attention.out_proj(out.transpose(1, 2).flatten(2))


class Teachers(nn.Module):
    """Small heads on the towers that say directly what is where: they make towers learn fast, and are not exported."""

    NOTHING = 0

    def __init__(self, seen: int, rows: int, heard: int, words: int):
        super().__init__()
        self.patch = nn.Linear(seen // MERGE**2, 1 + len(SHAPES) + 10)
        # Of rows: what is hard to find there the text model does not look for.
        self.content = nn.Linear(rows, len(SHAPES) + 10)
        self.colour = nn.Linear(rows, len(COLOURS))
        self.place = nn.Linear(rows, len(PLACES))
        self.alike = nn.Linear(rows, 1 + MOST_THINGS)
        self.total = nn.Linear(rows, 1 + MOST_THINGS)
        self.when = nn.Linear(rows, FRAMES)
        self.motion = nn.Linear(seen, len(DIRECTIONS) + len(SHAPES) + len(COLOURS))
        self.word = nn.Linear(heard, 1 + words)  # 0 is CTC's blank
        self.words = nn.Linear(heard, 1 + words)  # of a whole sound

    def picture_loss(self, rows, seen, patches, *of_tokens):
        """rows, seen: what the tower returns; patches: [batch, tokens, 4], what has its centre in each patch of a token;
        of_tokens: each [batch, tokens], -1 where a token holds nothing: the colour and the place of what it holds, how
        many things are like it, and how many there are."""
        kinds = self.patch.out_features
        weight = torch.ones(kinds)
        weight[self.NOTHING] = 0.1
        said = self.patch(seen.unflatten(-1, (MERGE**2, -1))).float()
        loss = F.cross_entropy(said.flatten(0, 2), patches.flatten(), weight=weight)
        held = F.one_hot(patches, kinds).amax(2)[..., 1:].float()
        content = self.content(rows).float()
        loss = loss + 4 * F.binary_cross_entropy_with_logits(content, held, pos_weight=torch.tensor(5.0))
        for head, targets in zip((self.colour, self.place, self.alike, self.total), of_tokens):
            loss = loss + F.cross_entropy(head(rows).float().flatten(0, 1), targets.flatten(), ignore_index=-1)
        return loss

    def clip_loss(self, chunks, direction, shape, colour, times):
        """chunks: what the tower returns of each; times: [batch, frames, tokens], 1 where the thing is: without them a tower
        long knew the line of a motion, but not which way it goes."""
        seen = torch.stack([seen for _, seen in chunks]).mean((0, 2))
        parts = self.motion(seen).float().split([len(DIRECTIONS), len(SHAPES), len(COLOURS)], -1)
        loss = sum(F.cross_entropy(p, target) for p, target in zip(parts, (direction, shape, colour)))
        for (rows, _), there in zip(chunks, times.split(FRAMES, dim=1)):
            when = self.when(rows).float().transpose(1, 2)[:, : there.shape[1]]
            loss = loss + 2 * F.binary_cross_entropy_with_logits(when, there, pos_weight=torch.tensor(5.0))
        return loss

    def sound_loss(self, heard, row_counts, words):
        """words: for each sound, numbers from 1."""
        logs = self.word(heard).float().log_softmax(-1).transpose(0, 1)
        sizes = torch.tensor([len(w) for w in words])
        mask = torch.arange(heard.shape[1]) < row_counts[:, None]
        whole = self.words((heard * mask[..., None]).sum(1) / row_counts[:, None]).float().log_softmax(-1)
        bag = torch.zeros_like(whole)
        for row, numbers in zip(bag, words):
            row[numbers] = 1 / len(set(numbers))
        spoken = torch.tensor([word for sound in words for word in sound])
        order = F.ctc_loss(logs, spoken, row_counts, sizes, zero_infinity=True)
        return order - (bag * whole).sum(-1).mean()
