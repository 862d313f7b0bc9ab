"""Writes good-voxtral-* and good-audioflamingo3-*: tiny random models that hear, with a deepseek_v3 text model, and golden.safetensors:
rows of the towers, logits of prompts with one and two pieces of audio, and what the models say next.

Run with Python 3.11, transformers 5.23.0, torch:
    python Tests/Fixtures/models-media/generate_audio.py [NAME...]
"""

import json
import pathlib
import sys
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AudioFlamingo3Config, AudioFlamingo3EncoderConfig, AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor,
    DeepseekV3Config, PreTrainedTokenizerFast, VoxtralConfig, VoxtralEncoderConfig, VoxtralForConditionalGeneration,
    VoxtralProcessor, WhisperFeatureExtractor,
)  # fmt: skip

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "audio"))
import synthetic_audio

GREEDY = 16
MARGIN = 2e-3  # of every token: first over second logit
CORPUS = ["what do you hear in the night", "the mouse sleeps", "was hörst du", "qu'entends-tu", "count the voices"]

VOXTRAL_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}[INST]"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}[BEGIN_AUDIO][AUDIO]{% endif %}{% endfor %}{% endif %}"
    "[/INST]{% else %}{{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
FLAMINGO_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% else %}<sound>{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(special):
    text = Tokenizer(models.BPE())
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special, show_progress=False)
    text.train_from_iterator(CORPUS, trainer)
    return text


def text_config(vocabulary):
    return DeepseekV3Config(
        vocab_size=vocabulary, hidden_size=36, intermediate_size=50, moe_intermediate_size=14, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, n_shared_experts=1, n_routed_experts=8, num_experts_per_tok=3,
        n_group=2, topk_group=1, routed_scaling_factor=1.8, norm_topk_prob=True, kv_lora_rank=18, q_lora_rank=22,
        qk_nope_head_dim=8, qk_rope_head_dim=6, v_head_dim=10, first_k_dense_replace=1, max_position_embeddings=1024,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=0,
        eos_token_id=1, num_nextn_predict_layers=0, tie_word_embeddings=False)  # fmt: skip


def audio_config(make, hidden, heads, width, bins, positions):
    return make(hidden_size=hidden, num_attention_heads=heads, intermediate_size=width, num_hidden_layers=2,
                num_mel_bins=bins, max_source_positions=positions)  # fmt: skip


def randomise(model, seed):
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._experts_implementation = "eager"  # others want strides of 16 bytes
    generator = torch.Generator().manual_seed(seed)
    draw = lambda value, deviation: torch.randn(value.shape, generator=generator) * deviation
    named = list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if "correction_bias" in n]
    for name, value in named:
        if "norm" in name:
            new = draw(value, 0.2) + (1 if name.endswith("weight") else 0)
        elif "correction_bias" in name:
            new = draw(value, 0.3)
        elif name.endswith("bias"):
            new = draw(value, 0.3)
        elif "embed_positions" in name:
            new = draw(value, 0.4)
        elif "embed_tokens" in name:
            new = draw(value, 0.7)
        else:
            new = draw(value, (2.0 if "conv" in name or "projector" in name else 1.2) / value[0].numel() ** 0.5)
        value.data.copy_(new)


class Voxtral:
    def __init__(self, dtype, bins, seed):
        self.dtype, self.seed = dtype, seed
        self.text = tokenizer(["<s>", "</s>", "[INST]", "[/INST]", "[AUDIO]", "[BEGIN_AUDIO]"])
        self.special = {"bos_token": "<s>", "eos_token": "</s>"}
        self.template = VOXTRAL_TEMPLATE
        self.extractor = WhisperFeatureExtractor(feature_size=bins, chunk_length=2)
        self.model = VoxtralForConditionalGeneration(VoxtralConfig(
            audio_config=audio_config(VoxtralEncoderConfig, 24, 3, 96, bins, 100),
            text_config=text_config(self.text.get_vocab_size()), audio_token_id=self.text.token_to_id("[AUDIO]"),
            projector_hidden_act="gelu"))  # fmt: skip

    def prompt(self, given):
        """Each piece of audio between words; the processor of mistral_common repeats its token for every eight frames."""
        features = VoxtralProcessor._retrieve_input_features(
            SimpleNamespace(feature_extractor=self.extractor), given, 200, sampling_rate=synthetic_audio.RATE, padding=True,
            truncation=False, pad_to_multiple_of=self.extractor.n_samples, return_tensors="pt")  # fmt: skip
        pieces = ["<s>[INST]what"]
        for index, sound in enumerate(given):
            chunks = -(-len(sound) // self.extractor.n_samples)
            pieces += ["[BEGIN_AUDIO]" + "[AUDIO]" * (25 * chunks), " do you hear" if index == 0 else " count"]
        ids = self.text.encode("".join(pieces) + "[/INST]").ids
        return {"input_ids": torch.tensor([ids]), "input_features": features}

    def rows(self, inputs):
        return self.model.get_audio_features(inputs["input_features"]).pooler_output


class Flamingo:
    def __init__(self, dtype, bins, seed):
        self.dtype, self.seed = dtype, seed
        self.text = tokenizer(["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<sound>"])
        self.special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
        self.template = FLAMINGO_TEMPLATE
        self.extractor = WhisperFeatureExtractor(feature_size=bins, chunk_length=2, return_attention_mask=True)
        self.model = AudioFlamingo3ForConditionalGeneration(AudioFlamingo3Config(
            audio_config=audio_config(AudioFlamingo3EncoderConfig, 28, 2, 45, bins, 100),
            text_config=text_config(self.text.get_vocab_size()), audio_token_id=self.text.token_to_id("<sound>"),
            projector_bias=True))  # fmt: skip

    def prompt(self, given):
        fast = PreTrainedTokenizerFast(tokenizer_object=self.text, **self.special)
        processor = AudioFlamingo3Processor(self.extractor, fast)
        texts = ["<|im_start|>user\nwhat do you <sound> hear", " in the <sound>night"][: len(given)]
        # One text takes one piece of audio: two prompts, joined.
        parts = [processor(text=text, audio=sound) for text, sound in zip(texts, given)]
        end = self.text.encode("<|im_end|>\n<|im_start|>assistant\n").ids
        ids = [i for part in parts for i in part["input_ids"][0].tolist()] + end
        join = lambda key: torch.cat([part[key] for part in parts])
        return {"input_ids": torch.tensor([ids]), "input_features": join("input_features"),
                "input_features_mask": join("input_features_mask")}  # fmt: skip

    def rows(self, inputs):
        return self.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"]).pooler_output


CASES = {
    "voxtral": lambda seed: Voxtral(torch.bfloat16, 128, seed),
    "audioflamingo3": lambda seed: Flamingo(torch.float16, 80, seed),
}
PROMPTS = {"one": [(40001, 1)], "two": [(11234, 2), (75003, 3)]}


def publish(case, folder):
    folder.mkdir(parents=True, exist_ok=True)
    case.model.eval().to(case.dtype).save_pretrained(folder)
    case.extractor.save_pretrained(folder)
    case.text.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(case.special) + "\n")
    (folder / "chat_template.jinja").write_text(case.template)
    case.model.float()
    for name, buffer in case.model.named_buffers():  # rounding the angles is not what a file does
        if "inv_freq" in name:
            size = 6
            buffer.copy_(1.0 / 10000.0 ** (torch.arange(0, size, 2).float() / size))


@torch.no_grad()
def run(case):
    """Goldens of all prompts, the least margin of a token, and the error of float32."""
    golden, margin, error = {}, np.inf, 0.0
    for name, given in PROMPTS.items():
        inputs = case.prompt([synthetic_audio.voice(count, seed) for count, seed in given])
        rows, logits = case.rows(inputs), case.model(**inputs).logits[0]
        case.model.double()
        wide = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
        exact = case.model(**wide).logits[0]
        case.model.float()
        error = max(error, float(((logits - exact).norm(dim=-1) / exact.norm(dim=-1)).max()))
        found = case.model.generate(
            **inputs, max_new_tokens=GREEDY, min_new_tokens=GREEDY, do_sample=False, return_dict_in_generate=True,
            output_logits=True)  # fmt: skip
        said = found.sequences[0, -GREEDY:].tolist()
        for step in found.logits:
            top = step[0].topk(2).values
            margin = min(margin, float(top[0] - top[1]))
        if case.model.config.text_config.eos_token_id in said or len(set(said)) < 6:
            margin = 0
        golden |= {
            f"{name}.input_ids": inputs["input_ids"][0].numpy().astype(np.int32), f"{name}.rows": rows.numpy(),
            f"{name}.logits": logits.numpy()[-10:].copy(), f"{name}.greedy": np.array(said, np.int32),
        }  # fmt: skip
    return golden, margin, error


def generate(name):
    for seed in range(100):
        case = CASES[name](seed)
        randomise(case.model, seed)
        folder = HERE / f"good-{name}"
        publish(case, folder)
        golden, margin, error = run(case)
        print(name, seed, margin, error, flush=True)
        if margin >= MARGIN and error < 3e-6:
            figures = {"seed": str(seed), "margin": f"{margin:.3g}", "float32_error": f"{error:.3g}",
                       "transformers": transformers.__version__}  # fmt: skip
            save_file(golden, folder / "golden.safetensors", figures)
            return
    raise SystemExit(f"{name}: no seed will do")


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name in CASES:
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            generate(name)
