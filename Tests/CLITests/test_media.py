"""Images and videos on the command line: the answers of transformers, through real files."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Support"))
import media_goldens  # noqa: E402

CONVERSATIONS = media_goldens.conversations()
GREEDY = ["--temperature", "0", "--max-tokens", "16", "--json"]
MODEL = media_goldens.FOLDER


def files(conversation, folder):
    """Writes the files of a conversation's last message: its options, its text, and its messages with the files."""
    options, text, content = [], None, []
    for index, part in enumerate(conversation["messages"][-1]["content"]):
        array, rate = media_goldens.pixels(part)
        if array is None:
            text = part["text"]
            content.append(part)
            continue
        kind = part["type"]
        path = folder / f"{kind}-{index}.{'png' if rate is None else 'mkv'}"
        media_goldens.write_png(path, array) if rate is None else media_goldens.write_video(path, array, rate)
        options += [f"--{kind}", path]
        content.append({"type": f"{kind}_url", f"{kind}_url": {"url": str(path)}})
    return options, text, [*conversation["messages"][:-1], {"role": "user", "content": content}]


def tokens(result):
    assert result.status == 0, result.error
    return [line["token"] for line in result.lines if line["event"] == "token"]


@pytest.mark.parametrize("name", ["image", "video"])
def test_options(dormouse, tmp_path, name):
    conversation = CONVERSATIONS[name]
    options, text, _ = files(conversation, tmp_path)
    result = dormouse("run", MODEL, "-p", text, *options, *GREEDY)
    assert tokens(result) == conversation["greedy"]
    end = result.lines[-1]
    assert end[f"{name}_tokens"] == conversation["ids"].count({"image": 282, "video": 283}[name])
    assert end["audio_tokens"] == 0


@pytest.mark.parametrize("name", ["images", "video"])
def test_messages_name_files_beside_them(dormouse, tmp_path, name):
    conversation = CONVERSATIONS[name]
    _, _, messages = files(conversation, tmp_path)
    path = tmp_path / "messages.json"
    path.write_text(json.dumps(messages))
    assert tokens(dormouse("run", MODEL, "--messages", path, *GREEDY)) == conversation["greedy"]


def test_messages_name_files_from_where_they_stand(dormouse, tmp_path):
    """Relative paths begin beside the file of messages; of messages on stdin, in the current folder."""
    conversation = CONVERSATIONS["image"]
    beside, here = tmp_path / "beside", tmp_path / "here"
    beside.mkdir()
    here.mkdir()
    _, _, messages = files(conversation, beside)
    for part in messages[-1]["content"]:
        if part["type"] == "image_url":
            part["image_url"]["url"] = Path(part["image_url"]["url"]).name
    path = beside / "messages.json"
    path.write_text(json.dumps(messages))
    for folder, name in [(tmp_path, "beside/messages.json"), (beside, "messages.json"), (here, path)]:
        assert tokens(dormouse("run", MODEL, "--messages", name, *GREEDY, cwd=folder)) == conversation["greedy"]
    text = path.read_text()
    result = dormouse("run", MODEL, "--messages", "-", "--media-root", beside, *GREEDY, input=text, cwd=beside)
    assert tokens(result) == conversation["greedy"]
    result = dormouse("run", MODEL, "--messages", "-", "--media-root", beside, *GREEDY, input=text, cwd=here)
    assert (result.status, result.out) == (1, "")


def test_messages_name_no_other_files(dormouse, tmp_path):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    _, _, messages = files(CONVERSATIONS["image"], elsewhere)
    path = here / "messages.json"
    path.write_text(json.dumps(messages))
    result = dormouse("run", MODEL, "--messages", path, *GREEDY)
    assert (result.status, result.out) == (1, "")
    assert "outside of the folders" in result.error
    result = dormouse("run", MODEL, "--messages", path, "--media-root", elsewhere, *GREEDY)
    assert tokens(result) == CONVERSATIONS["image"]["greedy"]


def test_order_is_that_of_the_command_line(dormouse, tmp_path):
    video, _, _ = files(CONVERSATIONS["video"], tmp_path)
    image, _, _ = files(CONVERSATIONS["image"], tmp_path)
    counts = []
    for options in [[*video, *image], [*image, *video], [f"{video[0]}={video[1]}", *image]]:
        result = dormouse("run", MODEL, "-p", "x", *options, *GREEDY)
        counts.append(tokens(result))
    assert counts[0] != counts[1] and counts[0] == counts[2]


def test_saved_chats_go_on(dormouse, tmp_path):
    options, text, _ = files(CONVERSATIONS["image"], tmp_path)
    session = tmp_path / "session"
    first = dormouse("run", MODEL, "-p", text, *options, "--session", session, *GREEDY)
    assert tokens(first) == CONVERSATIONS["image"]["greedy"]
    second = dormouse("run", MODEL, "-p", "and now?", "--session", session, *GREEDY)
    assert second.status == 0 and second.lines[-1]["prompt_reused"] > len(CONVERSATIONS["image"]["ids"]) // 2


def omni_files(messages, folder):
    """Messages of a conversation with all kinds of parts, their files in a folder."""
    result, number = [], 0
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            parts = []
            for part in content:
                number += 1
                array, frames = media_goldens.pixels(part)
                audio, rate = media_goldens.samples(part)
                if array is None and audio is None:
                    parts.append(part)
                    continue
                path = folder / f"{number}.{'wav' if array is None else 'mkv' if frames else 'png'}"
                if array is None:
                    media_goldens.write_audio(path, audio, rate)
                elif frames:
                    media_goldens.write_video(path, array, frames)
                else:
                    media_goldens.write_png(path, array)
                kind = "input_audio" if array is None else f"{part['type']}_url"
                parts.append({"type": kind, kind: {"url": str(path)}})
            content = parts
        result.append({"role": message["role"], "content": content})
    return result


@pytest.mark.parametrize("name", ["mixed", "sounds"])
def test_a_model_that_sees_and_hears(dormouse, tmp_path, name):
    conversation = media_goldens.conversations(media_goldens.OMNI)[name]
    path = tmp_path / "messages.json"
    path.write_text(json.dumps(omni_files(conversation["messages"], tmp_path)))
    result = dormouse("run", media_goldens.OMNI, "--messages", path, *GREEDY)
    assert tokens(result) == conversation["greedy"]
    end = result.lines[-1]
    counts = [conversation["ids"].count(token) for token in (282, 284, 283)]
    assert [end["image_tokens"], end["video_tokens"], end["audio_tokens"]] == counts


def test_every_kind_of_file_ahead_of_a_prompt(dormouse, tmp_path):
    messages = media_goldens.conversations(media_goldens.OMNI)["mixed"]["messages"]
    parts = [part for message in omni_files(messages, tmp_path) for part in message["content"] if "type" in part]
    options = []
    for part in parts:
        kind = {"image_url": "--image", "video_url": "--video", "input_audio": "--audio"}.get(part["type"])
        options += [kind, part[part["type"]]["url"]] if kind else []
    end = dormouse("run", media_goldens.OMNI, "-p", "what?", *options, *GREEDY).lines[-1]
    assert min(end["image_tokens"], end["video_tokens"], end["audio_tokens"]) > 0


@pytest.mark.parametrize("option", ["--image", "--video", "--audio"])
def test_bad_files(dormouse, tmp_path, option):
    result = dormouse("run", MODEL, "-p", "x", option, tmp_path / "none")
    assert (result.status, result.out) == (1, "")
    assert "none: cannot open" in result.error
    broken = tmp_path / "broken"
    broken.write_bytes(b"nothing of the kind")
    result = dormouse("run", MODEL, "-p", "x", option, broken)
    assert (result.status, result.out) == (1, "")
    assert "message 0, part 0" in result.error
    result = dormouse("run", MODEL, "-p", "x", option, tmp_path)
    assert (result.status, result.out) == (1, "")
    # A model that takes nothing of the kind looks at no path.
    wanted = "takes no parts of type audio" if option == "--audio" else f"'{tmp_path}': this is a folder, not a file"
    assert wanted in result.error


def test_text_models_refuse_images(dormouse, tiny, tmp_path):
    options, text, _ = files(CONVERSATIONS["image"], tmp_path)
    result = dormouse("run", tiny, "-p", text, *options)
    assert (result.status, result.out) == (1, "")
    assert "takes text only" in result.error


@pytest.mark.parametrize("arguments", [["--raw", "-p", "x"], ["--messages", "m.json"]])
def test_files_need_a_prompt(dormouse, arguments):
    assert dormouse("run", MODEL, *arguments, "--image", "x.png").status == 2


def test_without_the_media_library(dormouse, tmp_path):
    options, text, _ = files(CONVERSATIONS["image"], tmp_path)
    environment = {"DORMOUSE_MEDIA_LIBRARY": str(tmp_path / "none.so")}
    result = dormouse("run", MODEL, "-p", text, *options, environment=environment)
    assert (result.status, result.out) == (1, "")
    assert "libdormouse_media.so, which reads images" in result.error
