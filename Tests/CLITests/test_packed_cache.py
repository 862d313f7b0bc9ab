"""--packed-cache: where packed weights are kept for the next start."""

import shutil
from pathlib import Path

import pytest


def logits(dormouse, tmp_path, model, *options, **environment):
    ids = tmp_path / "ids.json"
    ids.write_text("[1, 2, 3]")
    output = tmp_path / "logits.safetensors"
    result = dormouse(
        "logits", model, "--ids", ids, "--output", output, "--weights", "int8", *options, environment=environment)
    return result, output.read_bytes() if result.status == 0 else b""


@pytest.fixture
def model(bare, tmp_path):
    return shutil.copytree(bare, tmp_path / "model")


def test_choices(dormouse, tmp_path, model):
    _, expected = logits(dormouse, tmp_path, str(model))
    assert not (model / ".dormouse").exists()
    logits(dormouse, tmp_path, str(model), "--packed-cache", "off")
    assert not (model / ".dormouse").exists()
    home, cache = tmp_path / "home", tmp_path / "cache"
    (home / ".cache").mkdir(parents=True)
    cache.mkdir()
    cases = [
        (str(model), "model", {}, model / ".dormouse"),
        (str(model / "model.safetensors"), "model", {}, model / ".dormouse"),
        (str(model), "user", {"XDG_CACHE_HOME": str(cache)}, cache / "dormouse"),
        (str(model), "user", {"XDG_CACHE_HOME": "", "HOME": str(home)}, home / ".cache" / "dormouse"),
        (str(model), str(tmp_path / "own"), {}, tmp_path / "own"),
    ]
    for path, choice, environment, folder in cases:
        for _ in range(2):
            result, found = logits(dormouse, tmp_path, path, "--packed-cache", choice, **environment)
            assert (result.status, found) == (0, expected), result.error
            assert [file.suffix for file in Path(folder).iterdir()] == [".panels"]


def test_folder_that_takes_no_file_is_a_warning(dormouse, tmp_path, model):
    result, found = logits(dormouse, tmp_path, str(model), "--packed-cache", str(tmp_path / "missing" / "folder"))
    assert result.status == 0 and found and "packed weights are not kept" in result.error
