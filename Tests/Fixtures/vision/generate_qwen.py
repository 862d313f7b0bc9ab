"""What Qwen2-VL's image processor and Qwen3-VL's video processor of transformers 5.23 make of images and videos: qwen.json
and qwen.safetensors. dots3-note sees through them, with a temporal patch of 1.

Run it with a Python that has transformers 5.23, torchvision, Pillow, numpy and safetensors. Images come from synthetic_images.py;
patches are brought from the order of merged patches to that of rows.
"""

import json
import pathlib
import warnings

import numpy as np
from safetensors.numpy import save_file
from transformers.models.qwen2_vl import image_processing_qwen2_vl
from transformers.models.qwen3_vl import video_processing_qwen3_vl
from transformers.video_utils import VideoMetadata

from generate_preprocessing import SIZES, put_patches
import synthetic_images

HERE = pathlib.Path(__file__).parent


def by_rows(values, grid, merge, patch):
    """From the order of merged patches, in which transformers has them, to that of rows: [patches, 3, patch, patch]."""
    frames, height, width = grid
    cut = values.reshape(frames, height // merge, width // merge, merge, merge, 3, patch, patch)
    return np.ascontiguousarray(cut.swapaxes(2, 3).reshape(-1, 3, patch, patch))


def plans():
    rows = []
    for width, height in SIZES:
        for patch, merge, least, most in ((14, 2, 3136, 1003520), (8, 2, 1024, 6144), (14, 1, 196, 12845056)):
            row = {"size": (width, height), "patch": patch, "merge": merge, "least": least, "most": most}
            try:
                new = image_processing_qwen2_vl.smart_resize(height, width, patch * merge, least, most)
                rows.append(row | {"new": new[::-1]})
            except ValueError:
                rows.append(row | {"refused": True})
        for patch, merge, frames, least, most in ((14, 2, 7, 131072, 786432), (8, 2, 3, 1024, 9216), (14, 2, 1, 3136, 200704)):
            row = {"size": (width, height), "patch": patch, "merge": merge, "frames": frames, "least": least, "most": most}
            try:
                new = video_processing_qwen3_vl.smart_resize(frames, height, width, 1, patch * merge, least, most)
                rows.append(row | {"new": new[::-1]})
            except ValueError:
                rows.append(row | {"refused": True})
    return rows


def pictures(tensors):
    cases = []
    small = {"patch_size": 8, "temporal_patch_size": 1, "merge_size": 2, "size": {"shortest_edge": 512, "longest_edge": 1536}}
    grey = small | {"image_mean": 0.5, "image_std": 0.25}  # few numbers
    older = {"patch_size": 14, "temporal_patch_size": 1, "min_pixels": 784, "max_pixels": 2400, "image_mean": 0.5,
             "image_std": 0.25, "resample": 2}  # fmt: skip
    for index, (config, size) in enumerate(
        [(small, (33, 21)), (grey, (100, 90)), (grey, (7, 60)), (grey, (1, 1)), (grey, (32, 16)), (older, (43, 27)),
         (older, (90, 3))]):  # fmt: skip
        processor = image_processing_qwen2_vl.Qwen2VLImageProcessor(**config)
        out = processor([synthetic_images.image(*size, seed=index)], return_tensors="pt", input_data_format="channels_last")
        grid = out["image_grid_thw"][0].tolist()
        name = f"picture.{index}"
        put_patches(tensors, name, by_rows(out["pixel_values"].numpy(), grid, processor.merge_size, processor.patch_size))
        cases.append({"name": name, "config": config, "patch": config["patch_size"], "size": size, "seed": index, "grid": grid})
    return cases


def films(tensors):
    cases = []
    small = {"patch_size": 8, "temporal_patch_size": 1, "merge_size": 2, "size": {"shortest_edge": 1024, "longest_edge": 4096}}
    capped = small | {"cap_pixels_per_frame": True, "max_video_tokens": 3, "min_frames": 2, "max_frames": 5}
    for index, (config, frames, rate, size) in enumerate(
        [(small, 1, 2.0, (20, 12)), (small, 3, 30.0, (17, 14)), (small, 9, 2.0, (40, 27)), (capped, 31, 7.3, (50, 40)),
         (small | {"fps": 3}, 50, 25.0, (16, 16)), (capped, 4, 29.97, (9, 70))]):  # fmt: skip
        processor = video_processing_qwen3_vl.Qwen3VLVideoProcessor(**config)
        out = processor(
            [synthetic_images.video(frames, *size, seed=index)], video_metadata=[VideoMetadata(total_num_frames=frames, fps=rate)],
            return_metadata=True, return_tensors="pt", input_data_format="channels_last")  # fmt: skip
        grid = out["video_grid_thw"][0].tolist()
        name = f"film.{index}"
        put_patches(tensors, name, by_rows(out["pixel_values_videos"].numpy(), grid, 2, 8))
        cases.append({
            "name": name, "config": config, "patch": 8, "frames": frames, "rate": rate, "size": size, "seed": index,
            "indices": [int(i) for i in out["video_metadata"][0].frames_indices], "grid": grid})  # fmt: skip
    return cases


def samplings():
    """Long films, by index alone."""
    cases = []
    for total, rate, config in (
        (100, 29.97, {}), (7201, 23.976, {}), (50, 59.94, {"fps": 0.5}), (1000, 2.5, {"max_frames": 64}), (10, 1000.0, {}),
        (3, 24.0, {})):  # fmt: skip
        processor = video_processing_qwen3_vl.Qwen3VLVideoProcessor(patch_size=8, temporal_patch_size=1, **config)
        indices = processor.sample_frames(VideoMetadata(total_num_frames=total, fps=rate), fps=config.get("fps"))
        cases.append({"total": total, "rate": rate, "config": config, "indices": indices.tolist()})
    return cases


def main():
    warnings.simplefilter("ignore")
    tensors = {}
    document = {"plans": plans(), "pictures": pictures(tensors), "films": films(tensors), "samplings": samplings()}
    save_file(tensors, HERE / "qwen.safetensors")
    lines = ",\n".join(
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "\n ]" for key, rows in document.items())
    (HERE / "qwen.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
