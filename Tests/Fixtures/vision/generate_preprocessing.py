"""What the published processors make of images and videos: preprocessing.json and preprocessing.safetensors.

Run it with a Python that has transformers 5.23, torchvision, Pillow, numpy and safetensors. Images come from
synthetic_images.py. The transformers layout is computed by transformers itself; the layouts of Kimi K2.5's and Kimi-VL's own
files by Pillow and the few published lines around it, written anew here.
"""

import json
import math
import pathlib

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms.v2 import functional as tvF
from transformers.models.kimi_k25 import image_processing_kimi_k25, video_processing_kimi_k25
from transformers.models.kimi_k25.processing_kimi_k25 import Kimi_K25Processor
from transformers.video_utils import VideoMetadata, default_sample_indices_fn

import synthetic_images

HERE = pathlib.Path(__file__).parent
FILTERS = {1: "LANCZOS", 2: "BILINEAR", 3: "BICUBIC"}
# source width, height -> result width, height: shrink, grow, both, one axis alone, single pixels
SCALINGS = [
    ((37, 23), (19, 11)), ((61, 40), (60, 39)), ((9, 7), (21, 16)), ((40, 5), (7, 30)), ((30, 30), (30, 13)),
    ((30, 30), (13, 30)), ((1, 9), (1, 4)), ((200, 3), (3, 1)), ((1, 1), (5, 4)),
]  # fmt: skip
SIZES = [
    (1, 1), (2, 1), (13, 29), (28, 28), (29, 27), (56, 84), (57, 83), (224, 224), (640, 480), (1000, 7), (7, 1000),
    (1024, 1024), (1920, 1080), (4000, 3000), (3000, 4000), (7168, 28), (7169, 27), (20000, 20), (20, 65535),
    (3591, 3583), (12345, 6789),
]  # fmt: skip


def scaled_by_torchvision(pixels, size, number):
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    mode = tvF.InterpolationMode[FILTERS[number]]
    return tvF.resize(image, [size[1], size[0]], interpolation=mode, antialias=True).permute(1, 2, 0).numpy()


def scaled_by_pillow(pixels, size, number):
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling(number)))


def packed(bytes_):
    """Four bytes to a number, the first the lowest, zeroes at the end."""
    flat = np.ascontiguousarray(bytes_).reshape(-1)
    return np.pad(flat, (0, -flat.size % 4)).view("<i4")


def put_patches(tensors, name, values):
    """The numbers of patches as places in a table of them, where one byte is enough for a place."""
    table, places = np.unique(values, return_inverse=True)
    if table.size > 256:
        tensors[name] = values
        return
    tensors[f"{name}.table"] = table
    tensors[f"{name}.places"] = packed(places.astype(np.uint8))
    tensors[f"{name}.shape"] = np.array(values.shape, np.int32)


def scalings(tensors):
    cases = []
    for index, (source, result) in enumerate(SCALINGS):
        for number in FILTERS:
            for arithmetic, scale in (("torchvision", scaled_by_torchvision), ("pillow", scaled_by_pillow)):
                name = f"scale.{index}.{number}.{arithmetic}"
                tensors[name] = packed(scale(synthetic_images.image(*source, seed=index), result, number))
                cases.append(
                    {"name": name, "source": source, "result": result, "seed": index, "filter": number,
                     "arithmetic": arithmetic})  # fmt: skip
    return cases


def kimi_vl_size(width, height, patch, merge, limit):
    """Kimi-VL's `rescale` with `pad_input`: (new size, padded size), or None where it raises."""
    patches = (width // patch) * (height // patch)
    if patches > limit:
        scale = math.sqrt(limit / patches)
        width, height = int(width * scale), int(height * scale)
    step = patch * merge
    padded = (width + (step - width % step) % step, height + (step - height % step) % step)
    refused = padded[0] // patch >= 512 or padded[1] // patch >= 512 or 0 in (width, height)
    return None if refused else ((width, height), padded)


def plans():
    rows = []
    for width, height in SIZES:
        for patch, merge, limit, side in ((14, 2, 16384, 512), (14, 2, 4096, 512), (8, 2, 60, 9), (14, 1, 7, 3)):
            new, padded = image_processing_kimi_k25.navit_resize(height, width, patch, merge, limit, side)
            rows.append(
                {"rule": "kimi_k25", "size": (width, height), "patch": patch, "merge": merge, "limit": limit,
                 "side": side, "new": new[::-1], "padded": padded[::-1]})  # fmt: skip
        for patch, merge, limit in ((14, 2, 4096), (14, 2, 25600), (8, 2, 60)):
            found = kimi_vl_size(width, height, patch, merge, limit)
            row = {"rule": "kimi_vl", "size": (width, height), "patch": patch, "merge": merge, "limit": limit}
            rows.append(row | ({"new": found[0], "padded": found[1]} if found else {"refused": True}))
    return rows


def transformers_pictures(tensors):
    cases = []
    settings = {"patch_size": 8, "merge_size": 2, "max_patches": 12, "size": {"max_height": 6, "max_width": 6}}
    uneven = {"patch_size": 14, "max_patches": 8, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    coarse = {"patch_size": 8, "max_patches": 6, "resample": 2}
    for index, (config, size) in enumerate(
        [(settings, (33, 21)), (settings, (100, 90)), (settings, (7, 60)), (settings, (1, 1)), (uneven, (27, 43)),
         (coarse, (31, 47))]):  # fmt: skip
        processor = image_processing_kimi_k25.Kimi_K25ImageProcessor(**config)
        out = processor([synthetic_images.image(*size, seed=index)], return_tensors="pt", input_data_format="channels_last")
        name = f"transformers.{index}"
        put_patches(tensors, name, out["pixel_values"].numpy())
        grid = out["image_grid_thw"][0].tolist()
        cases.append({"name": name, "config": config, "size": size, "seed": index, "grid": grid})
    return cases


def patches_of(pixels, patch):
    """[frames, height, width, 3], normalised, to [patches, 3, patch, patch]."""
    frames, height, width, _ = pixels.shape
    cut = pixels.reshape(frames, height // patch, patch, width // patch, patch, 3).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(cut.reshape(-1, 3, patch, patch))


def padded_by_pillow(pixels, new, padded):
    image = Image.fromarray(pixels)
    array = np.asarray(image.resize(new, Image.Resampling.BICUBIC) if image.size != new else image)
    return np.pad(array, ((0, padded[1] - new[1]), (0, padded[0] - new[0]), (0, 0)))


def published_pictures(tensors):
    """Kimi K2.5's own layout and Kimi-VL's."""
    cases = []
    own = {
        "in_patch_limit": 12, "patch_size": 8, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "merge_kernel_size": 2, "fixed_output_tokens": None, "patch_limit_on_one_side": 6,
        "in_patch_limit_each_frame": 8, "in_patch_limit_video": None, "sample_fps": 2.0,
        "max_num_frames_each_video": None, "temporal_merge_kernel_size": 4, "timestamp_mode": "hh:mm:ss.fff",
    }  # fmt: skip
    mean, deviation = np.float32(0.5), np.float32(0.5)
    for index, size in enumerate([(33, 21), (100, 90), (8, 8)]):
        new, padded = image_processing_kimi_k25.navit_resize(size[1], size[0], 8, 2, 12, 6)
        pixels = padded_by_pillow(synthetic_images.image(*size, seed=index), new[::-1], padded[::-1])
        values = ((pixels / 255.0).astype(np.float32) - mean) * (np.float32(1) / deviation)
        name = f"kimi_k25.{index}"
        put_patches(tensors, name, patches_of(values[None], 8))
        cases.append({"name": name, "config": {"media_proc_cfg": own}, "size": size, "seed": index})
    older = {
        "in_token_limit": 12, "patch_size": 8, "merge_kernel_size": [2, 2], "pad_input": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    }  # fmt: skip
    for index, size in enumerate([(33, 21), (100, 90), (16, 16)]):
        new, padded = kimi_vl_size(*size, 8, 2, 12)
        pixels = padded_by_pillow(synthetic_images.image(*size, seed=index), new, padded)
        values = (pixels.astype(np.float32) / np.float32(255) - mean) / deviation
        name = f"kimi_vl.{index}"
        put_patches(tensors, name, patches_of(values[None], 8))
        cases.append({"name": name, "config": older, "size": size, "seed": index})
    return cases


def films(tensors):
    """Frames, grids, prompts and patches of films that are sampled by transformers."""
    config = {"patch_size": 8, "merge_size": 2, "max_patches": 8, "size": {"max_height": 6, "max_width": 6}}
    cases = []
    for index, (frames, rate, fps, size) in enumerate(
        [(1, 2.0, 2, (20, 12)), (4, 2.0, 2, (17, 14)), (5, 2.0, 2, (16, 16)), (9, 2.0, 2, (20, 15)), (31, 7.3, 2, (18, 18)),
         (25, 25.0, 3, (16, 16)), (3, 30.0, 2, (16, 32))]):  # fmt: skip
        processor = video_processing_kimi_k25.Kimi_K25VideoProcessor(**config, fps=fps)
        metadata = VideoMetadata(total_num_frames=frames, fps=rate)
        out = processor(
            [synthetic_images.video(frames, *size, seed=index)], video_metadata=[metadata], return_metadata=True, return_tensors="pt",
            input_data_format="channels_last")  # fmt: skip
        reader = type("Reader", (), {"video_processor": processor, "video_token": "@"})()
        name = f"film.{index}"
        if index < 4:
            put_patches(tensors, name, out["pixel_values_videos"].numpy())
        cases.append({
            "name": name, "config": config | {"fps": fps}, "frames": frames, "rate": rate, "size": size, "seed": index,
            "indices": [int(i) for i in out["video_metadata"][0].frames_indices],
            "grids": out["video_grid_thw"].tolist(),
            "prompt": Kimi_K25Processor.replace_video_token(reader, out, 0),
            "hasPatches": index < 4,
        })  # fmt: skip
    return cases


def samplings():
    """Long films, by index alone."""
    cases = []
    for total, rate, fps in ((100, 29.97, 2), (7201, 23.976, 2), (50, 59.94, 0.5), (1000, 2.5, 2), (10, 1000.0, 2)):
        indices = default_sample_indices_fn(VideoMetadata(total_num_frames=total, fps=rate), fps=fps)
        published_fps = min(fps, rate)
        count = max(round(total * published_fps / rate), 1)
        published = np.linspace(0, total - 1, count).round().astype(int)
        cases.append(
            {"total": total, "rate": rate, "fps": fps, "floor": indices.tolist(), "nearest": published.tolist()})  # fmt: skip
    return cases


def main():
    tensors = {}
    document = {
        "scalings": scalings(tensors), "plans": plans(), "transformers": transformers_pictures(tensors),
        "published": published_pictures(tensors), "films": films(tensors), "samplings": samplings(),
    }  # fmt: skip
    save_file(tensors, HERE / "preprocessing.safetensors")
    lines = ",\n".join(
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "\n ]" for key, rows in document.items())
    (HERE / "preprocessing.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
