"""Writes good-* folders: tiny random Whisper checkpoints, golden.safetensors (rows of the encoder, logits) and
transcripts.json (what transformers' generate makes of audio by formula).

Run with Python 3.11, transformers 5.23.0, torch:
    python Tests/Fixtures/whisper/generate.py [NAME...]
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers.generation import logits_process
from transformers.models.whisper import generation_whisper

import checkpoint
from checkpoint import Case

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "audio"))
import synthetic_audio

MARGIN = 5e-4  # of every choice: first over second score, timestamps over text, thresholds

BODY = {"decoder_layers": 2, "encoder_layers": 2, "scale_embedding": False}
CASES = [
    Case("multilingual", BODY | {
        "d_model": 24, "encoder_attention_heads": 3, "decoder_attention_heads": 3, "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 52, "num_mel_bins": 80, "max_source_positions": 150, "max_target_positions": 64},
        chunk_length=3, words=301, generation={"max_length": 30}, seed=24),
    Case("half-a-minute", BODY | {
        "d_model": 28, "encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 33,
        "decoder_ffn_dim": 30, "num_mel_bins": 128, "max_source_positions": 1500, "max_target_positions": 60},
        chunk_length=30, words=270, dtype=torch.float16, end_prior=12.0, time_prior=-7.0, gains=checkpoint.SHARPER,
        seed=13, has_timestamp_names=False),
    Case("english", BODY | {
        "d_model": 36, "encoder_attention_heads": 2, "decoder_attention_heads": 3, "encoder_ffn_dim": 50,
        "decoder_ffn_dim": 44, "num_mel_bins": 80, "max_source_positions": 100, "max_target_positions": 48},
        chunk_length=2, words=280, dtype=torch.bfloat16, multilingual=False, end_prior=10.0,
        gains=checkpoint.SHARPER, seed=5),
]  # fmt: skip


class Endless(Exception):
    """More windows than a sound can use: each goes on from next to where the last one began."""


class Watch:
    """Margins of all choices of one call, and what was measured of every window."""

    def __init__(self):
        self.margin, self.windows, self.window = np.inf, [], {}

    def note(self, value):
        self.margin = min(self.margin, abs(float(value)))

    def install(self):
        times, mixin = logits_process.WhisperTimeStampLogitsProcessor, generation_whisper.WhisperGenerationMixin
        self.saved = (times.__call__, mixin._need_fallback, mixin._retrieve_compression_ratio,
                      mixin._retrieve_avg_logprobs)  # fmt: skip
        watch, (rules, fallback, ratio, probability) = self, self.saved

        def ruled(processor, ids, scores):
            begin = processor.timestamp_begin
            processor._detect_timestamp_from_logprob = False
            masked = rules(processor, ids, scores)
            processor._detect_timestamp_from_logprob = True
            logprobs = masked.float().log_softmax(-1)
            watch.note(logprobs[0, begin:].logsumexp(-1) - logprobs[0, :begin].max())
            return rules(processor, ids, scores)

        def measured(model, sequence, outputs, index, processors, config, size, temperature):
            watch.window = {}
            needs, skips = fallback(model, sequence, outputs, index, processors, config, size, temperature)
            speech = generation_whisper._get_attr_from_logit_processors(
                processors, logits_process.WhisperNoSpeechDetection, "no_speech_prob")
            if speech is not None:
                watch.window["no_speech_probability"] = float(speech[index])
            if len(watch.windows) > 60:
                raise Endless
            watch.windows.append(watch.window | {"is_skipped": bool(skips), "needs_fallback": bool(needs)})
            for scores in outputs[index]["scores"] if isinstance(outputs[index], dict) else []:
                top = scores.float().topk(2).values
                if torch.isfinite(top).all():
                    watch.note(top[0] - top[1])
            return needs, skips

        def compressed(tokens, size):
            watch.window["compression_ratio"] = ratio(tokens, size)
            return watch.window["compression_ratio"]

        def likely(scores, tokens, temperature):
            value = probability(scores, tokens, temperature)
            watch.window["average_log_probability"] = float(value)
            return value

        times.__call__, mixin._need_fallback = ruled, measured
        mixin._retrieve_compression_ratio = staticmethod(compressed)
        mixin._retrieve_avg_logprobs = staticmethod(likely)

    def remove(self):
        times, mixin = logits_process.WhisperTimeStampLogitsProcessor, generation_whisper.WhisperGenerationMixin
        times.__call__, mixin._need_fallback = self.saved[:2]
        mixin._retrieve_compression_ratio = staticmethod(self.saved[2])
        mixin._retrieve_avg_logprobs = staticmethod(self.saved[3])


def features(extractor, sound):
    whole = len(sound) <= extractor.n_samples
    options = {} if whole else {"truncation": False, "padding": "longest"}
    return extractor(sound, sampling_rate=synthetic_audio.RATE, return_tensors="pt", **options)["input_features"]


def transcribe(model, extractor, text, sound, options):
    watch = Watch()
    watch.install()
    try:
        timed = options.get("return_timestamps", True)
        # With scores and without timestamps generate returns no segments.
        scores = {"return_dict_in_generate": True, "output_scores": True} if timed else {}
        result = model.generate(features(extractor, sound), return_segments=True, temperature=(0.0,),
                                **({"return_timestamps": True} | options | scores))  # fmt: skip
    finally:
        watch.remove()
    begin = model.generation_config.no_timestamps_token_id + 1
    segments = []
    for segment in result["segments"][0]:
        tokens = segment["tokens"].tolist()
        words = [t for t in tokens if t < begin]
        segments.append({"start": float(segment["start"]), "end": float(segment["end"]), "tokens": tokens,
                         "text": text.decode(words)})  # fmt: skip
    return {"segments": segments, "windows": watch.windows}, watch.margin


def plans(case):
    """(name, count of samples, seed of the sound, options)"""
    chunk = case.chunk_length * synthetic_audio.RATE
    lengths = {"short": chunk * 2 // 3 + 77, "whole": chunk, "long": chunk * 5 // 2 + 1234}
    task = {"task": "transcribe"} if case.multilingual else {}
    result = []
    for seed, (name, count) in enumerate(lengths.items()):
        result.append((name, count, 1 + seed, task))
    if case.multilingual:
        result.append(("translated", lengths["long"], 4, {"task": "translate", "language": "fr"}))
    if case.chunk_length < 30:
        longer = chunk * 6 + 2222
        result.append(("conditioned", longer, 5, task | {"condition_on_prev_tokens": True}))
        result.append(("measured", longer, 6, task | {"compression_ratio_threshold": 1.3, "logprob_threshold": -1.0}))
        result.append(("quiet", longer, 7, task | {"logprob_threshold": -0.01, "no_speech_threshold": None}))
        result.append(("plain", lengths["short"], 8, task | {"return_timestamps": False}))
    return result


def attempt(case, seed):
    folder = HERE / f"good-{case.name}"
    shutil.rmtree(folder, ignore_errors=True)
    model, extractor, text = checkpoint.build(case, folder, seed)
    transcripts, margin = {}, np.inf
    for name, count, sound_seed, options in plans(case):
        sound = synthetic_audio.voice(count, sound_seed)
        if options.get("no_speech_threshold", 0) is None:
            # Between the windows' probabilities, so that some are skipped.
            first, _ = transcribe(model, extractor, text, sound, options | {"no_speech_threshold": 2.0})
            found = sorted(w["no_speech_probability"] for w in first["windows"])
            options = options | {"no_speech_threshold": (found[len(found) // 2 - 1] + found[len(found) // 2]) / 2}
        entry, least = transcribe(model, extractor, text, sound, options)
        if case.multilingual and "language" not in options:
            language = model.detect_language(features(extractor, sound), num_segment_frames=extractor.nb_max_frames)
            entry["language"] = text.id_to_token(int(language[0]))[2:-2]
        margin = min(margin, least)
        transcripts[name] = {"count": count, "seed": sound_seed, "options": options} | entry
    return model, extractor, text, transcripts, margin


def verdict(case, transcripts, margin):
    if margin < MARGIN:
        return f"a margin of {margin:.2g}"
    segments = [segment for entry in transcripts.values() for segment in entry["segments"]]
    tokens = [tuple(segment["tokens"]) for segment in segments]
    few = len(transcripts) < 5
    if len(set(tokens)) < (0.6 if few or not case.multilingual else 0.85) * len(tokens):
        return f"{len(set(tokens))} of {len(tokens)} segments differ"
    if len(set(map(len, tokens))) < (4 if few else 6):
        return f"segments of {sorted(set(map(len, tokens)))} tokens"
    spans = {round((segment["end"] - segment["start"]) * 50) for segment in segments}
    if len(spans) < (4 if few else 6) or max(len(segment["text"]) for segment in segments) < 10:
        return f"segments of {sorted(spans)} steps"
    timed = [entry for entry in transcripts.values() if entry["options"].get("return_timestamps", True)]
    if max(len(entry["segments"]) - len(entry["windows"]) for entry in timed) < (0 if few else 2):
        return "a segment for each window"
    if case.multilingual and len({entry["language"] for entry in transcripts.values() if "language" in entry}) < 2:
        return "one language"
    if "quiet" in transcripts:
        skipped = {window["is_skipped"] for window in transcripts["quiet"]["windows"]}
        if len(skipped) < 2:
            return "nothing is skipped, or all"
    return None


def golden(case, model, extractor, text):
    """Rows of the encoder, and logits of a prompt at once."""
    sound = synthetic_audio.voice(case.chunk_length * synthetic_audio.RATE - 4321, 9)
    begin = model.generation_config.no_timestamps_token_id + 1
    ids = [model.generation_config.decoder_start_token_id, begin + 3, 17, 200, begin + 40, begin + 40]
    with torch.no_grad():
        given = features(extractor, sound)
        rows = model.model.encoder(given).last_hidden_state
        logits = model(input_features=given, decoder_input_ids=torch.tensor([ids])).logits[0]
        exact = model.double()(input_features=given.double(), decoder_input_ids=torch.tensor([ids])).logits[0]
        model.float()
    error = ((logits - exact).norm(dim=-1) / exact.norm(dim=-1)).max()
    shown = np.unique(np.linspace(0, rows.shape[1] - 1, 75).astype(np.int32))
    save_file(
        {"frames": shown, "encoder_rows": rows[0].numpy()[shown], "input_ids": np.array(ids, np.int32),
         "logits": logits.numpy()}, HERE / f"good-{case.name}" / "golden.safetensors")  # fmt: skip
    return float(error)


def generate(case):
    for seed in range(case.seed, case.seed + 200):
        try:
            model, extractor, text, transcripts, margin = attempt(case, seed)
            reason = verdict(case, transcripts, margin)
        except Endless:
            reason = "hardly gets on"
        if reason:
            print(case.name, seed, reason, flush=True)
            continue
        error = golden(case, model, extractor, text)
        if error > 3e-6:
            print(case.name, seed, f"float32 is off by {error:.2g}", flush=True)
            continue
        figures = {"transformers": transformers.__version__, "seed": seed, "margin": margin, "float32_error": error}
        path = HERE / f"good-{case.name}" / "transcripts.json"
        path.write_text(json.dumps(figures | {"transcripts": transcripts}, indent=1, ensure_ascii=False) + "\n")
        print(case.name, figures, flush=True)
        return
    raise SystemExit(f"{case.name}: no seed will do")


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for case in CASES:
        if len(sys.argv) < 2 or case.name in sys.argv[1:]:
            generate(case)
