#!/usr/bin/env python3
"""Writes folders.json: what transformers renders from a folder's files and a request.

Reference: transformers 5.23.0 (AutoTokenizer.get_chat_template, special_tokens_map, render_jinja_template), jinja2
3.1.6, tokenizers 0.23.3, Python 3.11. Members of messages that are null reach the template here, which
apply_chat_template drops before: the published templates of DeepSeek ask `content is none`.
"""

import json
import pathlib
import tempfile

import tokenizers
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

FOLDER = pathlib.Path(__file__).parent

USER = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b "}]
BEGUN = {"continue_final_message": True}
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
TRIMMED = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n</s>{% endfor %}"
REASONING = "{% for m in messages %}[{{ m.reasoning_content }}]{{ m.content }}</s>{% endfor %}"
THINKING = "{% for m in messages %}[{{ m.thinking }}]{{ m.content }}</s>{% endfor %}"
NAMES = ["bos", "eos", "unk", "sep", "pad", "cls", "mask", "image", "other", "add_bos", "boi"]
SHOW = "".join(f"{name}={{{{ {name}_token if {name}_token is defined else '?' }}}};" for name in NAMES) + "{{ odd }}"
ADDED = {"__type": "AddedToken", "content": "<boi>", "lstrip": True, "normalized": True, "rstrip": False, "single_word": False}
LIST = [{"name": "default", "template": "DEFAULT"}, {"name": "tool_use", "template": "TOOLS"}, {"name": "rag", "template": "RAG {{ documents }}"}]


def only(template, messages=USER, **request):
    return ({"chat_template": template}, {}, {"messages": messages, **request})


def reasoning(*messages):
    return only("{{ messages | tojson }}", [{"role": "assistant", "content": "c", **message} for message in messages])


CASES = [
    # Tokens by name
    ({"chat_template": SHOW, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "<sep>", "pad_token": "</s>",
      "cls_token": "<cls>", "mask_token": "<mask>", "image_token": "<img>", "boi_token": ADDED, "add_bos_token": True}, {}, {"messages": USER}),
    ({"chat_template": SHOW, "bos_token": None, "eos_token": "", "extra_special_tokens": {"image_token": "<img>", "odd": "<odd>"}}, {}, {"messages": USER}),
    ({"chat_template": SHOW, "bos_token": "<s>", "extra_special_tokens": ["<img>"], "other_token": 5}, {}, {"messages": USER}),
    ({"chat_template": SHOW, "bos_token": "<s>"}, {}, {"messages": USER, "template_variables": {"bos_token": "mine", "pad_token": "p"}}),
    ({"chat_template": "{{ bos_token is defined }} {{ eos_token }}|", "bos_token": None}, {}, {"messages": USER}),
    ({"chat_template": "{{ bos_token is defined }} {{ eos_token }}|"}, {}, {"messages": USER}),
    # None
    only("{{ tools is none }} {{ documents is none }} {{ tools is defined }} {{ 'a' if tools }}|"),
    only("{{ tools | length }} {{ documents is none }}", tools=[]),
    only("{{ tools | tojson }} {{ documents }}", tools=TOOLS, template_variables={"documents": [{"title": "t", "text": "x"}]}),
    only("{{ add_generation_prompt }}"), only("{{ add_generation_prompt }}", add_generation_prompt=False),
    # Integers beyond 64 bits
    only("{{ tools | tojson }}{{ messages[0].id }}", [{"role": "user", "content": "", "id": 9223372036854775808}],
         tools=[{"name": "f", "minimum": -(10 ** 30), "maximum": 18446744073709551615}]),
    # Reasoning
    reasoning({"thinking": "t"}), reasoning({"reasoning": "r"}), reasoning({"reasoning_content": "c"}),
    reasoning({"reasoning": "r", "thinking": "t"}), reasoning({"thinking": "t", "reasoning_content": "c", "x": 1}), reasoning({}),
    reasoning({"reasoning": ""}, {"thinking": ["parts", {"a": 1}]}), only("{{ messages | tojson }}", [{"role": "user", "content": "c", "reasoning": "r"}]),
    # Named templates
    ({"chat_template": LIST}, {}, {"messages": USER}), ({"chat_template": LIST}, {}, {"messages": USER, "tools": TOOLS}),
    ({"chat_template": LIST}, {}, {"messages": USER, "tools": []}), ({"chat_template": LIST}, {}, {"messages": USER, "chat_template": "rag"}),
    ({"chat_template": LIST}, {}, {"messages": USER, "chat_template": "default", "tools": TOOLS}),
    ({"chat_template": LIST[1:]}, {}, {"messages": USER}), ({"chat_template": LIST[1:]}, {}, {"messages": USER, "tools": TOOLS}),
    ({"chat_template": LIST[1:]}, {}, {"messages": USER, "chat_template": "rag"}), ({"chat_template": []}, {}, {"messages": USER}),
    ({"chat_template": LIST + [{"name": "default", "template": "LAST"}]}, {}, {"messages": USER}),
    ({"chat_template": LIST}, {"chat_template.jinja": "FILE"}, {"messages": USER, "tools": TOOLS}),
    ({}, {"chat_template.jinja": "FILE", "additional_chat_templates/tool_use.jinja": "FILE TOOLS"}, {"messages": USER}),
    ({}, {"chat_template.jinja": "FILE", "additional_chat_templates/tool_use.jinja": "FILE TOOLS"}, {"messages": USER, "tools": TOOLS}),
    ({}, {"chat_template.jinja": "FILE", "additional_chat_templates/rag.jinja": "FILE RAG"}, {"messages": USER, "tools": TOOLS, "chat_template": "rag"}),
    ({"chat_template": "CONFIG"}, {"additional_chat_templates/tool_use.jinja": "FILE TOOLS"}, {"messages": USER}),
    ({"chat_template": "CONFIG"}, {"additional_chat_templates/tool_use.jinja": "FILE TOOLS"}, {"messages": USER, "tools": TOOLS}),
    ({"chat_template": "CONFIG"}, {"additional_chat_templates/notes.txt": "x"}, {"messages": USER, "tools": TOOLS}),
    # Going on with the last message
    only(PLAIN, CHAT, **BEGUN), only(TRIMMED, CHAT, **BEGUN), only(TRIMMED, [{"role": "assistant", "content": " b\n"}], **BEGUN),
    only(PLAIN, CHAT, continue_final_message=False), only(PLAIN, CHAT + USER, **BEGUN), only(PLAIN, CHAT, continue_final_message="content"),
    only(PLAIN, [{"role": "assistant", "content": ""}], **BEGUN), only(PLAIN, [{"role": "assistant", "content": "  \n"}], **BEGUN),
    only(TRIMMED, [{"role": "assistant", "content": "  \n"}], **BEGUN),
    only(PLAIN, [{"role": "user", "content": "CONTINUE_FINAL_MESSAGE_TAG x"}, {"role": "assistant", "content": "y"}], **BEGUN),
    only(PLAIN, [{"role": "assistant", "content": None}], **BEGUN), only(PLAIN, [{"role": "assistant"}], **BEGUN),
    only(PLAIN, [{"role": "assistant", "content": "b", "name": "n"}], continue_final_message="name"),
    only("{{ messages[0].content }}", CHAT, **BEGUN), only("{{ messages[1].content[1:] }}", CHAT, **BEGUN), only("no such member", CHAT, **BEGUN),
    only("{{ messages[1].content | upper }}", CHAT, **BEGUN), only("{{ messages[1].content | replace('b', '') }}", CHAT, **BEGUN),
    *(only(template, [{"role": "assistant", "content": "c", field: "r "}], continue_final_message=wanted)
      for template in (REASONING, THINKING) for field in ("reasoning_content", "thinking", "reasoning")
      for wanted in ("reasoning_content", "thinking", "reasoning")),
    only(REASONING, [{"role": "assistant", "content": "c", "reasoning_content": "r", "thinking": "t"}], continue_final_message="thinking"),
    only("{{ messages[0].content[0].text }}{{ messages[0].content[1].text }}.</s>",
         [{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image"}]}], **BEGUN),
    only("{{ messages[0].content }}", [{"role": "assistant", "content": [{"type": "image"}]}], **BEGUN),
]


def tokenizer(configuration, files):
    folder = pathlib.Path(tempfile.mkdtemp())
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0, "hi": 1}, unk_token="<unk>"))
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **configuration}))
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return AutoTokenizer.from_pretrained(folder)


def render(configuration, files, request):
    """The text, or None where the reference raises."""
    try:
        own = tokenizer(configuration, files)
        variables = {**own.special_tokens_map, **request.get("template_variables", {})}
        begun = request.get("continue_final_message", False)
        texts, _ = render_jinja_template(
            conversations=[request["messages"]], tools=request.get("tools"), documents=variables.pop("documents", None),
            chat_template=own.get_chat_template(request.get("chat_template"), request.get("tools")),
            continue_final_message=begun, add_generation_prompt=request.get("add_generation_prompt", not begun), **variables)
        return texts[0]
    except Exception as error:
        print(type(error).__name__, str(error)[:150].replace("\n", " "))
        return None


def main():
    cases = [{"configuration": configuration, "files": files, "request": request, "expected": render(configuration, files, request)}
             for configuration, files, request in CASES]
    text = json.dumps(cases, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / "folders.json").write_text(text.replace('},{"configuration', '},\n{"configuration') + "\n")
    print(len(cases), "cases,", sum(case["expected"] is None for case in cases), "of them fail")


if __name__ == "__main__":
    main()
