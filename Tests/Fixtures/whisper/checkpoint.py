"""Tiny random Whisper checkpoints with the published files, and sharp enough that what they write depends on what they hear."""

import json
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

CORPUS = ["the mouse sleeps all day long", "voices and sounds of the night", "der Siebenschläfer hört die Stimmen", "le loir écoute"]
LANGUAGES = ["en", "zh", "de", "fr", "yue"]

# Sharp attention over the encoder's rows, which weighs more than what was written before.
GAINS = {"conv": 2.0, "encoder_attn.q": 4.0, "encoder_attn.k": 4.0, "encoder_attn": 3.0, "": 1.3}
SHARPER = {"conv": 4.0, "encoder_attn.q": 6.0, "encoder_attn.k": 6.0, "encoder_attn": 5.0, "decoder": 0.8, "": 1.5}


@dataclass
class Case:
    name: str
    config: dict
    chunk_length: int
    words: int  # ordinary tokens
    dtype: torch.dtype = torch.float32
    multilingual: bool = True
    generation: dict = field(default_factory=dict)
    end_prior: float = 9.0
    time_prior: float = -1.0
    gains: dict = field(default_factory=lambda: GAINS)
    seed: int = 0
    has_timestamp_names: bool = True  # older folders' tokenizers end before the timestamps


def tokenizer(case):
    """Byte-level BPE with Whisper's special tokens in their order, and a timestamp for every 20 ms of a window."""
    result = Tokenizer(models.BPE())
    result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    result.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=case.words, initial_alphabet=alphabet, show_progress=False)
    result.train_from_iterator(CORPUS, trainer)
    assert result.get_vocab_size() == case.words
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    if case.multilingual:
        special += [f"<|{code}|>" for code in LANGUAGES]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    result.add_special_tokens(special)
    if case.has_timestamp_names:
        result.add_tokens([f"<|{0.02 * index:.2f}|>" for index in range(case.config["max_source_positions"] + 1)])
    start, end, quiet = (result.token_to_id(f"<|{n}|>") for n in ("startoftranscript", "endoftext", "notimestamps"))
    result.post_processor = processors.TemplateProcessing(
        single="<|startoftranscript|> <|notimestamps|> $A <|endoftext|>",
        special_tokens=[("<|startoftranscript|>", start), ("<|notimestamps|>", quiet), ("<|endoftext|>", end)],
    )
    return result


def generation_config(case, text):
    ids = {name: text.token_to_id(f"<|{name}|>") for name in
           ("endoftext", "startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech",
            "notimestamps")}  # fmt: skip
    values = {
        "begin_suppress_tokens": [text.encode(" ", add_special_tokens=False).ids[0], ids["endoftext"]],
        "bos_token_id": ids["endoftext"], "eos_token_id": ids["endoftext"], "pad_token_id": ids["endoftext"],
        "decoder_start_token_id": ids["startoftranscript"], "is_multilingual": case.multilingual,
        "max_initial_timestamp_index": 50, "max_length": case.config["max_target_positions"],
        "no_timestamps_token_id": ids["notimestamps"], "return_timestamps": False,
        "suppress_tokens": [1, 2, 7, 40, 90, ids["translate"], ids["transcribe"], ids["startoflm"], ids["startofprev"],
                            ids["nospeech"]],
    }  # fmt: skip
    if case.multilingual:
        values["lang_to_id"] = {f"<|{code}|>": text.token_to_id(f"<|{code}|>") for code in LANGUAGES}
        values["task_to_id"] = {name: ids[name] for name in ("transcribe", "translate")}
        values["prev_sot_token_id"] = ids["startofprev"]
    else:
        values["forced_decoder_ids"] = [[1, ids["notimestamps"]]]
    return values | case.generation


def randomise(model, case, text, seed):
    """Random weights and biases. Channel 0 of the decoder's last norm is a constant, so that channel 0 of the tied
    embedding is how likely a token is in itself: ends and timestamps are made about as likely as published models do."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda shape, deviation: torch.randn(shape, generator=generator) * deviation
    for name, value in model.named_parameters():
        if "encoder.embed_positions" in name:
            continue
        if "embed_tokens" in name:
            new = draw(value.shape, 1.0)
        elif "embed_positions" in name:
            new = draw(value.shape, 0.5)
        elif "norm" in name:
            new = draw(value.shape, 0.2) + (1 if name.endswith("weight") else 0)
        elif name.endswith("bias"):
            new = draw(value.shape, 0.3)
        else:
            fan = value[0].numel()
            gain = next(gain for part, gain in case.gains.items() if part in name)
            new = draw(value.shape, gain / fan**0.5)
        value.data.copy_(new)
    decoder = model.model.decoder
    decoder.layer_norm.weight.data[0], decoder.layer_norm.bias.data[0] = 0.0, 4.0
    priors = decoder.embed_tokens.weight.data[:, 0]
    priors.zero_()
    priors[text.token_to_id("<|endoftext|>")] = case.end_prior / 4
    priors[text.token_to_id("<|notimestamps|>") + 1 :] = case.time_prior / 4


def build(case, folder, seed):
    """Writes the folder, and returns a float32 model with the weights it holds, and its extractor and tokenizer."""
    text = tokenizer(case)
    values = generation_config(case, text)
    special = {key: values[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")}
    config = WhisperConfig(
        vocab_size=text.token_to_id("<|notimestamps|>") + 2 + case.config["max_source_positions"], begin_suppress_tokens=None, suppress_tokens=None, **special, **case.config)
    model = WhisperForConditionalGeneration(config).eval()
    randomise(model, case, text, seed)
    model.generation_config = GenerationConfig(**values)
    stored = model.to(case.dtype)
    folder.mkdir(parents=True, exist_ok=True)
    stored.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(values, indent=1) + "\n")
    extractor = WhisperFeatureExtractor(feature_size=case.config["num_mel_bins"], chunk_length=case.chunk_length)
    extractor.save_pretrained(folder)
    text.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}) + "\n")
    return stored.float(), extractor, text
