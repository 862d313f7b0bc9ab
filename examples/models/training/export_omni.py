"""Writes a checkpoint of `train_omni.py` as a model folder.

    python export_omni.py run ../dormouse-omni

The text model is as in dormouse-tiny: FP8 blocks, DeepSeek-V3's names behind `language_model.`. The towers and their
projectors are bfloat16, under the names that transformers gives the modules of Kimi-K2.5 and Audio Flamingo 3.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from export import hub_config, hub_tensors, write_json
from model import BOS, EOS
from omni_tokenizer import IMAGE, MEDIA_BEGIN, MEDIA_END, SOUND, VIDEO
from towers import FFT, FRAMES, HOP, MEL_BINS, MERGE, PATCH, RATE, SOURCE_POSITIONS, audio_config, vision_config

LONGEST_SOUND = 60  # seconds
PICTURE_PATCHES = 100  # larger pictures are made smaller
FRAME_PATCHES = 64
# Beginnings of names here and in the file
VISION_PARTS = [("tower.", "vision_tower.")]
VISION_PARTS += [(f"{part}.", f"mm_projector.{part}.") for part in ("pre_norm", "in_proj", "out_proj")]
VOICE_PARTS = [("tower.", "audio_tower.")]
VOICE_PARTS += [(f"{part}.", f"audio_projector.{part}.") for part in ("linear_1", "linear_2")]


def part(state, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def renamed(state, names):
    """Tensors in bfloat16 under their published names."""
    for name, tensor in state.items():
        for ours, published in names:
            if name.startswith(ours):
                yield published + name.removeprefix(ours), tensor.bfloat16().contiguous()


def tensors(state):
    every = {f"language_model.{name}": t for name, t in hub_tensors(part(state, "text.")).items()}
    every |= dict(renamed(part(state, "vision."), VISION_PARTS))
    every |= dict(renamed(part(state, "voice."), VOICE_PARTS))
    return every


def config(vocabulary, tokenizer):
    text = hub_config(vocabulary)
    vision, audio = vision_config(), audio_config()
    return {
        "architectures": ["KimiK25ForConditionalGeneration"],
        "model_type": "kimi_k25",
        "text_config": text,
        "vision_config": {
            "model_type": "kimi_k25_vision",
            **{key: getattr(vision, key) for key in (
                "hidden_act hidden_size intermediate_size num_attention_heads num_hidden_layers patch_size"
                " pos_emb_height pos_emb_time pos_emb_width").split()},
            "merge_kernel_size": [MERGE, MERGE],
            "rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"},
        },
        "audio_config": {
            "model_type": "audioflamingo3_encoder",
            **{key: getattr(audio, key) for key in (
                "activation_function hidden_size intermediate_size max_source_positions num_attention_heads"
                " num_hidden_layers num_mel_bins scale_embedding").split()},
        },
        "projection_hidden_size": vision.hidden_size,
        "projection_layer_norm_eps": 1e-5,
        "projector_bias": True,
        "projector_hidden_act": "gelu",
        "image_token_id": tokenizer.token_to_id(IMAGE),
        "video_token_id": tokenizer.token_to_id(VIDEO),
        "audio_token_id": tokenizer.token_to_id(SOUND),
        "vision_start_token_id": tokenizer.token_to_id(MEDIA_BEGIN),
        "vision_end_token_id": tokenizer.token_to_id(MEDIA_END),
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }


def processors():
    pixels = {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "merge_size": MERGE, "patch_size": PATCH,
        "resample": 3, "rescale_factor": 1 / 255, "size": {"max_height": 16, "max_width": 16},
    }
    return {
        "image_processor": {"image_processor_type": "Kimi_K25ImageProcessor", "max_patches": PICTURE_PATCHES, **pixels},
        "video_processor": {
            "video_processor_type": "Kimi_K25VideoProcessor", "max_patches": FRAME_PATCHES, **pixels,
            "do_sample_frames": True, "fps": 2, "temporal_patch_size": FRAMES,
        },
        "feature_extractor": {
            "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": MEL_BINS, "hop_length": HOP,
            "n_fft": FFT, "sampling_rate": RATE, "chunk_length": SOURCE_POSITIONS * 2 * HOP // RATE,
            "padding_value": 0.0, "return_attention_mask": True,
        },
        "audio_token": SOUND,
        "max_audio_len": LONGEST_SOUND,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(arguments.run / "tokenizer.json"))
    state = torch.load(arguments.run / "omni.pt")["model"]
    save_file(tensors(state), folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config(tokenizer.get_vocab_size(), tokenizer))
    write_json(folder / "processor_config.json", processors())
    write_json(folder / "generation_config.json", {
        "_from_model_config": True, "bos_token_id": BOS, "do_sample": False, "eos_token_id": EOS,
    })
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(arguments.run / name, folder / name)


if __name__ == "__main__":
    main()
