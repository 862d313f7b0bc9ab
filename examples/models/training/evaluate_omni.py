"""Examines an exported omni model on the files of its examination, with the training code in float32.

    python evaluate_omni.py ../dormouse-omni ../../../Tests/Fixtures/omni

What the runtime answers can be compared with this: the weights are those of the folder, but files are decoded by Pillow
and the ffmpeg command, and everything is computed by torch.
"""

import argparse
import json
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

from evaluate import LONGEST_ANSWER
from export_omni import FRAME_PATCHES, PICTURE_PATCHES
from exported import read_exported
from model import BOS, EOS, Packing
from omni_data import FRAMES, FRAMES_PER_SECOND, framed, image_markup, normalised, padded, video_markup
from omni_tokenizer import IMAGE, SOUND, VIDEO
from tokenizer import ASSISTANT, USER
from towers import PATCH, RATE, VoiceTower
from train_omni import Omni


def load(folder: Path, text_folder: Path) -> Omni:
    """The exported weights in float32."""
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    model = Omni(text_folder, vocabulary, words=1)
    read_exported(folder, model)
    return model.eval()


# Files


def reduced(width, height, patches):
    """The size that a picture is brought to (`navit_resize` of transformers' Kimi processor; sides never bind here)."""
    scale = min(1.0, (patches / (max(1, width // PATCH) * max(1, height // PATCH))) ** 0.5)
    return max(1, int(width * scale)), max(1, int(height * scale))


def prepared(images, patches):
    size = reduced(*images[0].size, patches)
    images = [image if image.size == size else image.resize(size, Image.BICUBIC) for image in images]
    return normalised([framed(images, padded(size[0]), padded(size[1]))])[0]


def output(command) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def frames(path):
    """The frames of a film that the model looks at."""
    entries = "stream=width,height,r_frame_rate"
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "json", path]
    stream = json.loads(output(probe))["streams"][0]
    data = output(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    film = np.frombuffer(data, np.uint8).reshape(-1, stream["height"], stream["width"], 3)
    above, below = map(int, stream["r_frame_rate"].split("/"))
    wanted = int(len(film) * below / above * FRAMES_PER_SECOND)
    return [Image.fromarray(film[int(i * len(film) / wanted)]) for i in range(wanted)]


def samples(path):
    data = output(["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"])
    return torch.from_numpy(np.frombuffer(data, np.float32).copy())


def markup_and_rows(model, item, path):
    if item["option"] == "image":
        rows, _ = model.vision(prepared([Image.open(path).convert("RGB")], PICTURE_PATCHES)[None])
        return image_markup(rows.shape[1]), rows[0]
    if item["option"] == "video":
        chunks = prepared(frames(path), FRAME_PATCHES).split(FRAMES)
        rows = [model.vision(chunk[None])[0][0] for chunk in chunks]
        return video_markup(len(chunks), len(rows[0])), torch.cat(rows)
    sound = samples(path)
    rows, _ = model.voice([sound])
    count = VoiceTower.row_count(len(sound))
    return SOUND * count, rows[0, :count]


@torch.no_grad()
def answer(model, tokenizer, prompt, rows):
    ids = [BOS, tokenizer.token_to_id(USER), *tokenizer.encode(prompt).ids, tokenizer.token_to_id(ASSISTANT)]
    begin, said = len(ids), []
    places = [i for i, token in enumerate(ids) if tokenizer.id_to_token(token) in (IMAGE, VIDEO, SOUND)]
    while len(said) < LONGEST_ANSWER:
        embedded = model.text.model.embed_tokens(torch.tensor(ids))
        embedded[places] = rows
        packing = Packing(torch.tensor([len(ids)]))
        hidden = model.text.model(
            inputs_embeds=embedded[None], position_ids=packing.position_ids[None], packing=packing, use_cache=False)
        token = int(model.text.lm_head(hidden.last_hidden_state[0, -1]).argmax())
        if token == EOS:
            break
        said.append(token)
        ids.append(token)
    return tokenizer.decode(ids[begin:], skip_special_tokens=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("examination", type=Path)
    parser.add_argument("--text", type=Path, default=Path(__file__).parent.parent / "dormouse-tiny")
    parser.add_argument("--answers", type=Path, help="a file for what was said, one JSON object a line")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model = load(arguments.folder, arguments.text)
    tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    hits, answers = defaultdict(list), []
    for line in open(arguments.examination / "examination.jsonl"):
        item = json.loads(line)
        with torch.no_grad():
            markup, rows = markup_and_rows(model, item, str(arguments.examination / item["file"]))
        said = answer(model, tokenizer, markup + item["prompt"], rows)
        answers.append({"file": item["file"], "said": said})
        hits[item["task"]].append(said == item["answer"])
        if said != item["answer"]:
            print(f"wrong: {item['file']} {item['prompt']} | {said} | expected {item['answer']}")
    if arguments.answers:
        arguments.answers.write_text("".join(json.dumps(a, ensure_ascii=False) + "\n" for a in answers))
    print("| task | n | exact match |\n|---|---:|---:|")
    for task, marks in hits.items():
        print(f"| {task} | {len(marks)} | {100 * sum(marks) / len(marks):.1f} % |")
    every = sum(hits.values(), [])
    print(f"| all | {len(every)} | {100 * sum(every) / len(every):.1f} % |")


if __name__ == "__main__":
    main()
