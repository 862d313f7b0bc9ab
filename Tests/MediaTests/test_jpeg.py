"""JPEG images equal PIL's byte by byte: both read them by libjpeg."""

import struct

import numpy as np
import pytest
from media import MediaError
from PIL import Image
from images import decoded, reference, saved


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(media, painting, subsampling, quality, progressive):
    data = saved(
        Image.fromarray(painting), "JPEG", subsampling=subsampling, quality=quality, progressive=progressive)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colors(media, painting, mode):
    data = saved(Image.fromarray(painting).convert(mode), "JPEG", quality=95)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("options", [
    ["-sample", "4x1"], ["-sample", "4x2"], ["-sample", "1x4"], ["-sample", "1x2"], ["-sample", "3x1"],
    ["-sample", "2x4"], ["-sample", "4x1,2x1,1x1"], ["-sample", "2x2,2x1,1x2"], ["-arithmetic"],
    ["-arithmetic", "-progressive"], ["-rgb"], ["-restart", "1"], ["-sample", "4x1", "-progressive"],
], ids=" ".join)
def test_rare_kinds(media, painting, tool, tmp_path, options):
    Image.fromarray(painting).save(tmp_path / "plain.ppm")
    data = tool("cjpeg", "-quality", "80", *options, tmp_path / "plain.ppm")
    assert np.array_equal(decoded(media, data), reference(data))


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + data


def flat_jpeg(sampling, identifiers, transform=None, size=(32, 32)):
    """A baseline JPEG whose blocks have one value each: (columns, rows) of blocks a component in each unit."""
    width, height = size
    wide, high = max(h for h, _ in sampling), max(v for _, v in sampling)
    data = b"\xff\xd8"
    if transform is not None:
        data += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    data += segment(0xDB, b"\0" + bytes([8] + [1] * 63))
    components = b"".join(bytes([name, h << 4 | v, 0]) for name, (h, v) in zip(identifiers, sampling))
    data += segment(0xC0, struct.pack(">BHHB", 8, height, width, len(sampling)) + components)
    # Differences of 0 to 11 bits have the codes 0000 to 1011; a block's other values end at once, with the code 0.
    data += segment(0xC4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
    data += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    data += segment(0xDA, bytes([len(sampling)]) + b"".join(bytes([name, 0]) for name in identifiers) + b"\0\x3f\0")
    chance, bits, previous = np.random.default_rng(1), "", [0] * len(sampling)
    for _ in range(-(-width // (8 * wide)) * -(-height // (8 * high))):
        for index, (h, v) in enumerate(sampling):
            for _ in range(h * v):
                value = int(chance.integers(-120, 120))
                difference, previous[index] = value - previous[index], value
                length = abs(difference).bit_length()
                bits += f"{length:04b}"
                if length:
                    bits += f"{difference if difference > 0 else difference + (1 << length) - 1:0{length}b}"
                bits += "0"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return data + scan + b"\xff\xd9"


@pytest.mark.parametrize("transform", [None, 0, 2])
@pytest.mark.parametrize("identifiers", [b"\1\2\3\4", b"CMYK", b"\0\1\2\3"], ids=["numbers", "letters", "from zero"])
@pytest.mark.parametrize("sampling", [
    [(1, 1)] * 4, [(2, 1), (1, 1), (1, 1), (2, 1)], [(2, 2), (1, 1), (1, 1), (2, 2)], [(1, 1), (1, 1), (1, 1), (2, 2)],
], ids=["4:4:4", "4:2:2", "4:2:0", "fine black"])
def test_four_colors(media, transform, identifiers, sampling):
    data = flat_jpeg(sampling, identifiers, transform)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("transform", [None, 0, 1])
@pytest.mark.parametrize("identifiers", [b"\1\2\3", b"RGB", b"\0\1\2"], ids=["numbers", "letters", "from zero"])
def test_three_colors(media, transform, identifiers):
    data = flat_jpeg([(1, 1)] * 3, identifiers, transform)
    assert np.array_equal(decoded(media, data), reference(data))


def refusal(media, data, **options):
    with media.open(data, **options) as file, pytest.raises(MediaError) as error:
        file.image()
    assert error.value.message.startswith("the media data: ")
    return error.value


@pytest.mark.parametrize("marker, precision, sentence", [
    (0xC3, 8, "0xc3"), (0xC1, 12, "precision 12"), (0xC5, 8, "0xc5"),
])
def test_what_is_not_read_is_named(media, marker, precision, sentence):
    data = bytearray(flat_jpeg([(1, 1)] * 3, b"\1\2\3"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, precision
    error = refusal(media, bytes(data))
    assert error.status == "UNSUPPORTED" and sentence in error.message


def test_two_components(media):
    error = refusal(media, flat_jpeg([(1, 1)] * 2, b"\1\2"))
    assert (error.status, "2 components" in error.message) == ("UNSUPPORTED", True)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_image_is_refused(media, painting, progressive, share):
    data = saved(Image.fromarray(painting), "JPEG", progressive=progressive)
    error = refusal(media, data[: int(len(data) * share)])
    assert error.status == "MALFORMED" and "JPEG image ends too early" in error.message


def test_cancelled_within_a_scan(media, painting):
    """libjpeg is asked in every row of blocks, in each scan of a progressive image."""
    data = saved(Image.fromarray(painting).resize((16, 8000)), "JPEG", progressive=True)
    answers = iter([0] * 3000 + [1] * 10**6)
    error = refusal(media, data, is_cancelled=lambda _: next(answers))
    assert error.status == "CANCELLED"
    with media.open(data) as file:
        assert file.image().shape == (8000, 16, 3)


def test_path_and_bytes_are_the_same(media, painting, tmp_path):
    data = saved(Image.fromarray(painting).resize((900, 700)), "JPEG", quality=95)
    assert len(data) > 1 << 16, "more than libjpeg reads at once"
    (tmp_path / "image").write_bytes(data)
    with media.open(tmp_path / "image") as file:
        assert np.array_equal(file.image(), reference(data))
