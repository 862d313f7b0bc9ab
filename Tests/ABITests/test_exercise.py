"""Every function with good and bad input, from C, under every instruction set that this machine has."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from header import REPOSITORY, functions

SOURCE = Path(__file__).with_name("exercise.c")
SERVICE = Path(__file__).with_name("service.c")
ATTACHMENTS = Path(__file__).with_name("attachments.c")
TRANSCRIBER = Path(__file__).with_name("transcriber.c")
MODELS = REPOSITORY / "Tests" / "Fixtures" / "models"
TINY = REPOSITORY / "examples" / "models" / "dormouse-tiny"


def test_no_function_is_left_out():
    text = "".join(source.read_text() for source in (SOURCE, SERVICE, ATTACHMENTS, TRANSCRIBER))
    assert [name for name in functions() if name + "(" not in text] == []


@pytest.fixture(scope="module")
def program(compile_c):
    return compile_c(SOURCE)


@pytest.fixture(scope="module")
def usable(prefix):
    output = subprocess.run([prefix / "bin" / "dormouse", "kernels", "--json"], capture_output=True, check=True).stdout
    return json.loads(output)["usable"]


@pytest.mark.parametrize("model", ["good-tiny", "good-v3-fp8-mtp", "good-v2-group", "good-glm-lite"])
def test_every_function(program, model):
    assert (TINY / "config.json").is_file(), "the model that ships is missing"
    result = subprocess.run([program, MODELS / model, TINY], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_every_instruction_set(program, usable):
    for name in usable:
        environment = {**os.environ, "DORMOUSE_ISA": name}
        result = subprocess.run(
            [program, MODELS / "good-tiny", TINY], capture_output=True, text=True, timeout=120, env=environment
        )
        assert result.returncode == 0, f"{name}: {result.stderr}"


@pytest.mark.parametrize("model", ["good-tiny", "good-v3-fp8-mtp", "good-v2-group", "good-glm-lite"])
def test_many_sessions(compile_c, tmp_path, model):
    """Forks, saved sessions, shared prefixes, limits and threads."""
    program = compile_c(SERVICE, "-pthread")
    result = subprocess.run([program, MODELS / model, tmp_path], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["session"]


def test_transcriber(compile_c):
    program = compile_c(TRANSCRIBER)
    whisper = MODELS.parent / "whisper" / "good-multilingual"
    result = subprocess.run([program, whisper, TINY], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")


def test_attachments(compile_c, tmp_path):
    image = tmp_path / "image.png"
    Image.effect_mandelbrot((31, 17), (-2, -1, 1, 1), 30).convert("RGB").save(image)
    program = compile_c(ATTACHMENTS)
    vision = MODELS.parent / "models-media" / "kimi_k25-tiny"
    result = subprocess.run([program, vision, TINY, image], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
