"""Writes kimi_k25-omni: a tiny random model that sees and hears, and its goldens.

transformers 5.23 has no such class: the towers are its own (MoonViT of kimi_k25, the encoder and projector of Audio
Flamingo 3), and so is the text model; their rows are put in place of embeddings here. Weights are in bfloat16, and all
is computed from them in float32 and checked against float64. Run it as generate_kimi.py.

golden.json has the conversations and what comes of them, golden.safetensors `NAME.logits` behind the prompt and behind
each of the next two tokens, and `sounds.rows`, those of both pieces of audio.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from transformers import (
    AudioFlamingo3Config, AudioFlamingo3EncoderConfig, AudioFlamingo3Processor, Kimi_K25ForConditionalGeneration,
    WhisperFeatureExtractor,
)  # fmt: skip
from transformers.models.audioflamingo3.modeling_audioflamingo3 import (
    AudioFlamingo3Encoder, AudioFlamingo3MultiModalProjector,
)  # fmt: skip

import kimi
from generate_kimi import as_bfloat16, encoded, fresh, inputs_of, published, safetensors_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "audio"))
import synthetic_audio  # noqa: E402

SOUND = "<sound>"
TEMPLATE = kimi.TEMPLATE.replace(
    "{%- else -%}{{ part['text'] }}", "{%- elif part['type'] == 'audio' -%}<sound>\n{%- else -%}{{ part['text'] }}")
CONTINUATION = 16
MARGIN = 2e-3  # top-1 over top-2 on the greedy path, relative to the largest logit
LOGIT_ERROR = 3e-6


def text(words):
    return {"type": "text", "text": words}


def image(*numbers):
    return {"type": "image", "image": numbers}


def sound(count, seed):
    return {"type": "audio", "audio": (count, seed)}


CONVERSATIONS = {
    "text": ["the name of a thing"],
    "image": [[image(50, 37, 1), text("in the image?")]],
    "video": [[{"type": "video", "video": (9, 40, 27, 4, 2.0)}, text("what moves")]],
    "sound": [[text("say it: "), sound(40001, 1)]],
    # The first is longer than a window.
    "sounds": [[text("one "), sound(75003, 3), text(" and two "), sound(11234, 2)]],
    "mixed": [
        [image(16, 16, 5), text("the first "), sound(9000, 4)],
        "an answer",
        [{"type": "video", "video": (5, 33, 33, 6, 2.0)}, text("then "), sound(30007, 5), image(30, 9, 7), text("all")]],
}  # fmt: skip


def messages(turns):
    return [{"role": "assistant" if turn % 2 else "user", "content": content} for turn, content in enumerate(turns)]


class Omni(torch.nn.Module):
    """The published parts side by side."""

    def __init__(self, tok, seed):
        super().__init__()
        config = kimi.configuration(tok)
        config.vision_config.num_hidden_layers = 2
        self.seeing = Kimi_K25ForConditionalGeneration._from_config(config, attn_implementation="eager")
        self.seeing.config.text_config._experts_implementation = "eager"
        # A copy of the text's part: an object of its own would lose its attention, and with it the causal mask.
        self.hearing = AudioFlamingo3Config(
            audio_config=AudioFlamingo3EncoderConfig(
                hidden_size=20, num_attention_heads=2, intermediate_size=26, num_hidden_layers=2, num_mel_bins=20,
                max_source_positions=200),
            text_config=config.text_config.to_dict(), audio_token_id=tok.convert_tokens_to_ids(SOUND))  # fmt: skip
        self.audio_tower = AudioFlamingo3Encoder._from_config(self.hearing.audio_config, attn_implementation="eager")
        self.audio_projector = AudioFlamingo3MultiModalProjector(self.hearing)
        assert self.seeing.config.text_config._attn_implementation == "eager"
        kimi.randomize(self, seed)
        for parameter in self.parameters():
            parameter.data = parameter.data.to(torch.bfloat16).float()
        self.eval()

    def heard(self, inputs):
        """Rows of all audio, [rows, hidden]."""
        features, mask = inputs["input_features"], inputs["input_features_mask"]
        dtype = next(self.parameters()).dtype
        rows = self.audio_projector(self.audio_tower(features.to(dtype), mask).last_hidden_state)
        _, lengths = self.audio_tower._get_feat_extract_output_lengths(mask.sum(-1).to(torch.long))
        return rows[torch.arange(rows.shape[1])[None, :] < lengths[:, None]]

    def seen(self, inputs, pixels, grid):
        return encoded(self.seeing, inputs[pixels].to(next(self.parameters()).dtype), inputs[grid].tolist())[1]

    @torch.no_grad()
    def rows(self, inputs):
        """What the towers make of the media, by the token whose places it takes."""
        config, rows = self.seeing.config, {}
        if "pixel_values" in inputs:
            rows[config.image_token_id] = self.seen(inputs, "pixel_values", "image_grid_thw")
        if "pixel_values_videos" in inputs:
            rows[config.video_token_id] = self.seen(inputs, "pixel_values_videos", "video_grid_thw")
        if "input_features" in inputs:
            rows[self.hearing.audio_token_id] = self.heard(inputs)
        return rows

    @torch.no_grad()
    def logits(self, rows, ids):
        ids = torch.tensor([ids])
        known = ids.clone()
        known[known == self.seeing.config.video_token_id] = 0  # lies behind the vocabulary
        embeddings = self.seeing.get_input_embeddings()(known)
        for token, values in rows.items():
            places = ids == token
            assert int(places.sum()) == len(values), (token, int(places.sum()), len(values))
            embeddings[places] = values
        hidden = self.seeing.model.language_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        return self.seeing.lm_head(hidden)[0].numpy()


class Processor:
    """The two published processors, one behind the other."""

    def __init__(self, tok):
        self.seeing = kimi.processor(tok)
        self.extractor = WhisperFeatureExtractor(feature_size=20, chunk_length=4, return_attention_mask=True)
        self.hearing = AudioFlamingo3Processor(self.extractor, tok, audio_token=SOUND)

    def __call__(self, turns):
        """The prompt as the template writes it, and inputs."""
        kimi.TEMPLATE = TEMPLATE
        given = [part["audio"] for turn in turns if not isinstance(turn, str) for part in turn if part["type"] == "audio"]
        heard = [self.hearing(text=SOUND, audio=synthetic_audio.voice(*numbers)) for numbers in given]
        counts = iter([int((part["input_ids"] == self.hearing.audio_token_id).sum()) for part in heard])

        def expanded(content):
            if isinstance(content, str):
                return content
            return [text(SOUND * next(counts)) if part["type"] == "audio" else part for part in content]

        plain = self.seeing.tokenizer.apply_chat_template(
            messages(turns), chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True)
        _, inputs = inputs_of(self.seeing, messages([expanded(content) for content in turns]))
        if heard:
            for key in ("input_features", "input_features_mask"):
                inputs[key] = torch.cat([part[key] for part in heard])
        return plain, inputs


def continuation(model, rows, ids, unwanted):
    """(tokens, smallest margin): the whole is computed anew for each token; None where an answer hangs on a hair."""
    path, least = list(ids), float("inf")
    for _ in range(CONTINUATION):
        last = model.logits(rows, path)[-1]
        top = np.sort(last)[-2:]
        margin = float((top[1] - top[0]) / np.abs(last).max())
        if margin < MARGIN or int(last.argmax()) in unwanted:
            return None
        least = min(least, margin)
        path.append(int(last.argmax()))
    chosen = path[len(ids) :]
    return (chosen, least) if len(set(chosen)) >= 5 else None


def run(model, tok, prompts):
    """Rows of golden.json, tensors, and the error of float32; None where an answer will not do."""
    lines, tensors, worst = [], {}, 0.0
    # A chosen placeholder would be read as one more image.
    unwanted = {tok.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|media_pad|>", kimi.VIDEO_PLACEHOLDER, SOUND)}
    for name, (plain, inputs) in prompts.items():
        ids = inputs["input_ids"][0].tolist()
        rows = model.rows(inputs)
        found = continuation(model, rows, ids, unwanted)
        if found is None:
            return None
        chosen, margin = found
        logits = model.logits(rows, ids + chosen)
        model.double()
        exact = model.logits(model.rows(inputs), ids + chosen)
        model.float()
        worst = max(worst, float((np.linalg.norm(logits - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max()))
        tensors[f"{name}.logits"] = logits[len(ids) - 1 : len(ids) + 2]
        if name == "sounds":
            tensors["sounds.rows"] = rows[model.hearing.audio_token_id].numpy()
        lines.append({
            "name": name, "messages": messages(CONVERSATIONS[name]), "text": plain, "ids": ids, "greedy": chosen,
            "margin": margin})  # fmt: skip
    return (lines, tensors, worst) if worst < LOGIT_ERROR else None


def write(folder, model, tok, processor, found, seed):
    rows, tensors, worst = found
    model.seeing.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    heard = json.loads(model.hearing.to_json_string(use_diff=False))
    config |= {key: heard[key] for key in ("audio_token_id", "projector_hidden_act", "projector_bias")}
    keys = ("model_type", "activation_function", "hidden_size", "intermediate_size", "max_source_positions",
            "num_attention_heads", "num_hidden_layers", "num_mel_bins", "scale_embedding")  # fmt: skip
    config["audio_config"] = {key: heard["audio_config"][key] for key in keys}
    kimi.write_json(folder / "config.json", config)
    kept = {name: tensor.numpy() for name, tensor in model.state_dict().items() if not name.startswith("seeing.")}
    weights = published(model.seeing) | kept
    # The routers' biases stay in float32, as published: what they choose may hang on a hair.
    wide = {name: tensor for name, tensor in weights.items() if name.endswith("e_score_correction_bias")}
    safetensors_file.save(folder / "model.safetensors", as_bfloat16(weights) | wide)
    tok.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    seeing, video = kimi.processors()
    kimi.write_json(folder / "processor_config.json", {
        "image_processor": json.loads(seeing.to_json_string()), "video_processor": json.loads(video.to_json_string()),
        "feature_extractor": json.loads(processor.extractor.to_json_string()), "audio_token": SOUND,
        "max_audio_len": 60})  # fmt: skip
    safetensors_file.save(folder / "golden.safetensors", tensors)
    lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "golden.json").write_text(
        f'{{"transformers": "{transformers.__version__}", "seed": {seed}, "conversations": [\n {lines}\n]}}\n')
    print(folder.name, "seed", seed, "logits' error", worst)


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    tok = kimi.tokenizer((*kimi.SPECIAL, SOUND, kimi.VIDEO_PLACEHOLDER))
    processor = Processor(tok)
    prompts = {name: processor(turns) for name, turns in CONVERSATIONS.items()}
    for seed in range(1, 400):
        model = Omni(tok, seed)
        found = run(model, tok, prompts)
        if found is not None:
            return write(fresh("kimi_k25-omni"), model, tok, processor, found, seed)
    raise SystemExit("no seed with margins")


if __name__ == "__main__":
    main()
