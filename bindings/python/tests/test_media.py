"""Images, videos and audio in chats: arrays, PIL images, files, and what is wrong with them."""

import base64
import io
import sys
import tempfile

import dormouse
import numpy as np
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "Tests" / "Support"))
import media_goldens  # noqa: E402

CONVERSATIONS = media_goldens.conversations()
GREEDY = {"temperature": 0, "ignore_eos": True, "max_tokens": 16, "stream": False}


@pytest.fixture(scope="module")
def kimi(tmp_path_factory):
    """A model that sees, and a folder that messages may name files of."""
    folder = tmp_path_factory.mktemp("media")
    with dormouse.Engine(media_goldens.FOLDER, threads=2, media={"roots": [folder]}) as engine:
        yield engine, folder


def messages(conversation, make):
    """The messages of a golden conversation; `make(array, rate, number)` makes a part of each image and video."""
    result, number = [], 0
    for message in conversation["messages"]:
        content = message["content"]
        if not isinstance(content, str):
            parts = []
            for part in content:
                array, rate = media_goldens.pixels(part)
                parts.append(part["text"] if array is None else make(array, rate, number))
                number += array is not None
            content = parts
        result.append({"role": message["role"], "content": content})
    return result


def from_array(array, rate, _):
    return dormouse.Image(array) if rate is None else dormouse.Video(array, fps=rate)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_arrays(kimi, name):
    engine, _ = kimi
    conversation = CONVERSATIONS[name]
    chat = messages(conversation, from_array)
    assert engine.tokenize_messages(chat) == conversation["ids"]
    with engine.session(private=True) as session:
        answer = session.chat(chat, **GREEDY)
    assert answer.tokens == conversation["greedy"]
    assert answer.end.image_tokens == conversation["ids"].count(282)
    assert answer.end.video_tokens == conversation["ids"].count(283)
    assert answer.end.audio_tokens == 0


@pytest.mark.parametrize("name", ["images", "mixed"])
def test_files(kimi, name):
    """Paths, files' bytes, data URLs and named files: the same answers as from arrays."""
    engine, folder = kimi
    conversation = CONVERSATIONS[name]

    def make(array, rate, number):
        path = folder / f"{name}-{number}.{'png' if rate is None else 'mkv'}"
        if rate is not None:
            media_goldens.write_video(path, array, rate)
            kind = [dormouse.Video(path), dormouse.Video(path.read_bytes())][number % 2]
            return kind if way else {"type": "video_url", "video_url": {"url": f"file://{path}"}}
        media_goldens.write_png(path, array)
        if way == 0:
            data = base64.b64encode(path.read_bytes()).decode()
            return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return [dormouse.Image(path), dormouse.Image(str(path)), dormouse.Image(path.read_bytes())][(way + number) % 3]

    for way in range(4):
        with engine.session(private=True) as session:
            assert session.chat(messages(conversation, make), **GREEDY).tokens == conversation["greedy"], way


def test_a_model_that_sees_and_hears():
    conversations = media_goldens.conversations(media_goldens.OMNI)

    def make(part):
        array, rate = media_goldens.pixels(part)
        if array is not None:
            return from_array(array, rate, 0)
        samples, rate = media_goldens.samples(part)
        return part["text"] if samples is None else dormouse.Audio(samples, rate=rate)

    totals = []
    with dormouse.Engine(media_goldens.OMNI, threads=2, progress=lambda *state: totals.append(state)) as engine:
        assert engine.info()["modalities"] == ["text", "image", "video", "audio"]
        for name in ("mixed", "sounds"):
            conversation = conversations[name]
            chat = [
                {**message, "content": content if isinstance(content, str) else [make(part) for part in content]}
                for message in conversation["messages"]
                for content in [message["content"]]
            ]
            assert engine.tokenize_messages(chat) == conversation["ids"]
            with engine.session(private=True) as session:
                answer = session.chat(chat, **GREEDY)
            assert answer.tokens == conversation["greedy"], name
            assert answer.end.audio_tokens == conversation["ids"].count(283)
        memory = engine.statistics()["memory"]
        assert 0 < memory["used"] <= memory["peak"]
    # One running total over the text model and both towers.
    done = [state[0] for state in totals]
    assert done == sorted(done) and {state[1] for state in totals} == {done[-1]}


def test_pil_images_and_bare_arrays(kimi):
    from PIL import Image

    engine, _ = kimi
    conversation = CONVERSATIONS["image"]
    for make in (lambda array, *_: Image.fromarray(array), lambda array, *_: array):
        with engine.session(private=True) as session:
            assert session.chat(messages(conversation, make), **GREEDY).tokens == conversation["greedy"]


def kept(engine, part):
    """What the session's prompt becomes with a part: tokens, and the first logits, which tell images apart."""
    with engine.session(private=True) as session:
        answer = session.chat({"role": "user", "content": [part, "x"]}, logprobs=5, temperature=0, max_tokens=2)
        return [event.alternatives for event in answer if event.kind == "token"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pil_images_are_held_upright(kimi, orientation):
    """As the bytes of the same file: photographs of telephones say by EXIF how they were held."""
    from PIL import Image

    engine, _ = kimi
    pixels = np.random.default_rng(1).integers(0, 256, (36, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    opened = Image.open(io.BytesIO(file.getvalue()))
    expected = kept(engine, dormouse.Image(file.getvalue()))
    assert kept(engine, opened) == kept(engine, dormouse.Image(opened)) == expected
    assert (kept(engine, dormouse.Image(pixels)) == expected) == (orientation == 1)


def test_pil_images_of_16_bits(kimi):
    """As the bytes of the same file: the upper byte of each value, not white for everything above 255."""
    from PIL import Image

    engine, _ = kimi
    values = np.arange(0, 65536, 26, dtype=np.uint16)[: 48 * 52].reshape(48, 52)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    expected = kept(engine, dormouse.Image(file.getvalue()))
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert opened.mode == "I;16" and kept(engine, opened) == expected
    big = Image.frombytes("I;16B", opened.size, values.astype(">u2").tobytes())
    assert kept(engine, big) == expected
    grey = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    assert kept(engine, grey) == expected
    with pytest.raises(ValueError, match="'I'.*64870"):
        dormouse.Image(Image.fromarray(values.astype(np.int32)))
    small = (values >> 8).astype(np.int32)
    assert kept(engine, Image.fromarray(small)) == expected


def test_open_files_and_buffers(kimi, tmp_path):
    engine, _ = kimi
    path = tmp_path / "image.png"
    media_goldens.write_png(path, np.random.default_rng(2).integers(0, 256, (36, 60, 3), dtype=np.uint8))
    content = path.read_bytes()
    expected = kept(engine, dormouse.Image(path))
    with open(path, "rb") as file, open(path) as text, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(content)
        spooled.seek(0)
        for source in (file, spooled, io.BytesIO(content), bytearray(content), memoryview(content)):
            assert kept(engine, dormouse.Image(source)) == expected
        with pytest.raises((ValueError, UnicodeDecodeError)):
            dormouse.Image(text)
    with pytest.raises(ValueError, match="'rb'"):
        dormouse.Image(io.StringIO("x"))
    with pytest.raises(dormouse.InvalidArgumentError, match="0 bytes"):
        dormouse.Image(file_at_its_end(content))
    pixels = np.random.default_rng(2).integers(0, 256, (36, 60, 3), dtype=np.uint8)
    assert kept(engine, dormouse.Image(memoryview(pixels))) == expected
    frames = np.stack([pixels] * 4)
    video = tmp_path / "video.mkv"
    media_goldens.write_video(video, frames, 2.0)
    with open(video, "rb") as file:
        assert kept(engine, dormouse.Video(file)) == kept(engine, dormouse.Video(memoryview(video.read_bytes())))
    assert repr(dormouse.Image(path)) == "<Image 'image.png'>"
    assert repr(dormouse.Image(pixels)) == "<Image 60x36>"


def file_at_its_end(content):
    file = io.BytesIO()
    file.write(content)
    return file


def test_equal_content_is_reused(kimi):
    engine, _ = kimi
    conversation = CONVERSATIONS["images"]
    with engine.session() as first, engine.session() as second:
        first.chat(messages(conversation, from_array), **GREEDY)
        answer = second.chat(messages(conversation, from_array), **GREEDY)
        assert answer.tokens == conversation["greedy"] and answer.end.prompt_shared > 0
        again = second.chat(messages(conversation, from_array), **GREEDY)
        assert again.end.prompt_reused == len(conversation["ids"])


def test_sample_fps(kimi):
    engine, _ = kimi
    frames, _ = media_goldens.pixels({"type": "video", "video": [9, 40, 27, 4, 2.0]})

    def count(**options):
        chat = [{"role": "user", "content": [dormouse.Video(frames, **options), "x"]}]
        return engine.tokenize_messages(chat).count(283)

    assert count(fps=2.0) == count(timestamps=[index / 2 for index in range(9)]) == 18
    assert count(fps=2.0, sample_fps=1.0) < 18


@pytest.mark.parametrize(
    ("part", "error", "fragment"),
    [
        ({"type": "image_url", "image_url": {"url": "/etc/hostname"}}, dormouse.InvalidArgumentError, "outside"),
        ({"type": "image_url", "image_url": {"url": "http://a/b"}}, dormouse.UnsupportedError, "not fetched"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}, dormouse.DormouseError, "part 0"),
        ({"type": "image_url", "image_url": {"url": "attachment:7"}}, dormouse.InvalidArgumentError, "no attachment 7"),
        ({"type": "smell", "smell": "x"}, dormouse.UnsupportedError, "'smell'"),
    ],
)
def test_bad_parts(kimi, part, error, fragment):
    engine, _ = kimi
    with engine.session() as session:
        with pytest.raises(error, match=fragment):
            session.chat([{"role": "user", "content": [part]}], **GREEDY)
        assert len(session) == 0


def test_damaged_files(kimi, tmp_path):
    whole, broken = tmp_path / "whole.png", tmp_path / "broken.png"
    media_goldens.write_png(whole, np.zeros((9, 9, 3), np.uint8))
    broken.write_bytes(whole.read_bytes()[:40])
    with pytest.raises(dormouse.DormouseError, match="broken.png"):
        dormouse.Image(broken)
    with pytest.raises(dormouse.NotFoundError, match="nowhere.png"):
        dormouse.Image("/nowhere.png")
    with pytest.raises(dormouse.DormouseError):
        dormouse.Video(b"no video")
    with pytest.raises(dormouse.InvalidArgumentError, match="0 bytes"):
        dormouse.Image(b"")


def test_bad_arrays():
    for shape in [(3, 3), (3, 3, 4), (0, 3, 3)]:
        with pytest.raises((ValueError, dormouse.InvalidArgumentError)):
            dormouse.Image(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        dormouse.Image(np.zeros((3, 3, 3), np.float32))
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    for options in [{}, {"fps": 1.0, "timestamps": [0, 1]}, {"timestamps": [0]}]:
        with pytest.raises(ValueError):
            dormouse.Video(frames, **options)
    for options in [{"fps": -1.0}, {"fps": float("nan")}, {"timestamps": [1.0, 1.0]}, {"timestamps": [-1.0, 1.0]}]:
        with pytest.raises(dormouse.InvalidArgumentError):
            dormouse.Video(frames, **options)
    with pytest.raises(ValueError, match="rate"):
        dormouse.Audio([0.0])
    for samples, rate in [([float("nan")], 16000), ([0.0], 1), (np.zeros((4, 40), np.float32), 16000)]:
        with pytest.raises(dormouse.InvalidArgumentError):
            dormouse.Audio(samples, rate=rate)


def test_sound_may_come_in_pieces():
    samples = np.sin(np.arange(32000) * 0.05).astype(np.float32)
    voice = REPOSITORY / "Tests" / "Fixtures" / "models-media" / "good-voxtral"
    with dormouse.Engine(voice, threads=2) as engine:
        whole = dormouse.Audio(samples, rate=16000)
        pieces = dormouse.Audio([], rate=16000)
        with engine.session() as session, pytest.raises(dormouse.InvalidArgumentError, match="0 samples"):
            session.chat([{"role": "user", "content": [pieces, "say"]}], **GREEDY)
        for start in range(0, 32000, 7000):
            pieces.append(samples[start : start + 7000])
        tokens = []
        for audio in (whole, pieces):
            with engine.session(private=True) as session:
                answer = session.chat([{"role": "user", "content": [audio, "say"]}], **GREEDY)
                assert answer.end.audio_tokens > 0
                tokens.append(answer.tokens)
        assert tokens[0] == tokens[1]


def test_text_models_refuse_pictures(tiny):
    with tiny.session() as session, pytest.raises(dormouse.UnsupportedError, match="takes text only"):
        session.chat([{"role": "user", "content": [np.zeros((4, 4, 3), np.uint8)]}], stream=False)


def test_media_config(tmp_path):
    for media, fragment in [
        ({"roots": [tmp_path / "none"]}, "none"), ({"max_pixels": 0}, "max_pixels"), ({"colour": 1}, "colour"),
    ]:
        with pytest.raises(dormouse.DormouseError, match=fragment):
            dormouse.Engine(media_goldens.FOLDER, media=media)
    path = tmp_path / "large.png"
    media_goldens.write_png(path, np.zeros((100, 100, 3), np.uint8))
    with dormouse.Engine(media_goldens.FOLDER, media={"roots": [tmp_path], "max_pixels": 9999}) as engine:
        chat = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": str(path)}}]}]
        with pytest.raises(dormouse.DormouseError, match="100 x 100 pixels, more than max_pixels, 9999"):
            engine.tokenize_messages(chat)
