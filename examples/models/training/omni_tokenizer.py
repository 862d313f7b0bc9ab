"""dormouse-tiny's tokenizer with the marks of pictures, clips and sounds, and a chat template that takes them."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

MEDIA_BEGIN, MEDIA_CONTENT, MEDIA_END = "<|media_begin|>", "<|media_content|>", "<|media_end|>"
IMAGE, VIDEO, SOUND = "<|media_pad|>", "<|kimi_k25_video_placeholder|>", "<sound>"
MARKS = [MEDIA_BEGIN, MEDIA_CONTENT, MEDIA_END, IMAGE, VIDEO, SOUND]

CHAT_TEMPLATE = (
    "{%- macro said(content) -%}"
    "{%- if content is string -%}{{ content }}{%- else -%}{%- for part in content -%}"
    "{%- if part['type'] in ['image', 'image_url'] -%}"
    "{{ '<|media_begin|>image<|media_content|><|media_pad|><|media_end|>' }}"
    "{%- elif part['type'] in ['video', 'video_url'] -%}{{ '<|kimi_k25_video_placeholder|>' }}"
    "{%- elif part['type'] in ['audio', 'input_audio'] -%}{{ '<sound>' }}"
    "{%- else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{{ bos_token }}"
    "{%- for message in messages if message['role'] == 'system' -%}"
    "{{ '' if loop.first else '\\n\\n' }}{{ said(message['content']) }}"
    "{%- endfor -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '<｜User｜>' + said(message['content']) }}"
    "{%- elif message['role'] == 'assistant' and message['content'] is not none -%}"
    "{{ '<｜Assistant｜>' + said(message['content']) + '<｜end▁of▁sentence｜>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%}"
)


def extend(folder: Path) -> Tokenizer:
    """The tokenizer of a text model's folder with the marks added behind its vocabulary."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in MARKS])
    return tokenizer


def write(tokenizer: Tokenizer, text_folder: Path, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.loads((text_folder / "tokenizer_config.json").read_text())
    config["chat_template"] = CHAT_TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n")
