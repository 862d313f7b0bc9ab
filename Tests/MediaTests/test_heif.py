"""HEIC and AVIF, read by libheif where it is installed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from media import MediaError
from PIL import Image
from images import decoded, modes, reference, saved


def smooth(width=96, height=64):
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([2 * x, 255 - 3 * y, 128 + 60 * np.sin(x / 20) * np.cos(y / 20)], axis=-1)
    shades[:20, :30] = [200, 40, 40]
    return np.clip(shades, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heif")

    def make(image, format, *options):
        image.save(folder / "plain.png")
        tool("heif-enc", *options, folder / "plain.png", "-o", folder / f"encoded.{format}")
        return (folder / f"encoded.{format}").read_bytes()

    return make


def distance(pixels, expected):
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected).mean()


@pytest.mark.parametrize("format", ["heic", "avif"])
@pytest.mark.parametrize("size", [(96, 64), (65, 47), (16, 16)])
def test_images(media, encoded, format, size):
    image = Image.fromarray(smooth(*size))
    data = encoded(image, format, "-q", "95", *(["-A"] if format == "avif" else []))
    with media.open(data) as file:
        info = file.info()
        assert (info.format, info.width, info.height, info.frame_count) == (format.encode(), *size, 1)
        assert distance(file.image(), np.asarray(image)) < 4


@pytest.mark.parametrize("format", ["heic", "avif"])
def test_without_loss(media, encoded, format):
    """Red, green and blue stored as they are: every value comes back, but for rounding in libheif's command."""
    options = ["-L", "-p", "chroma=444", "--matrix_coefficients=0", *(["-A"] if format == "avif" else [])]
    pixels = decoded(media, encoded(Image.fromarray(smooth()), format, *options))
    assert np.abs(pixels.astype(int) - smooth()).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_avif_of_pil(media, painting, mode, subsampling):
    """Chroma that is stored coarser is interpolated otherwise than by libavif, no worse, and nothing else differs."""
    data = saved(modes(painting)[mode], "AVIF", quality=90, subsampling=subsampling)
    pixels, expected = decoded(media, data), reference(data)
    if subsampling == "4:4:4" or mode == "L":
        assert np.abs(pixels.astype(int) - expected).max() <= 2
    else:
        original = np.asarray(modes(painting)[mode].convert("RGB"))
        assert distance(pixels, original) < distance(expected, original) + 0.5 and distance(pixels, expected) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(media, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(smooth()), "AVIF", quality=95, subsampling="4:4:4", exif=exif.tobytes())
    expected = reference(data)
    assert (expected.shape[:2] == (96, 64)) == (orientation >= 5)
    assert np.abs(decoded(media, data).astype(int) - expected).max() <= 2


def test_ten_bits(media, encoded, ffmpeg, tool, tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "plain.png")
    ffmpeg("-i", tmp_path / "plain.png", "-pix_fmt", "rgb48be", tmp_path / "deep.png")
    tool("heif-enc", "-q", "95", "-b", "10", tmp_path / "deep.png", "-o", tmp_path / "deep.heic")
    assert distance(decoded(media, (tmp_path / "deep.heic").read_bytes()), smooth()) < 4


def box(name, *parts):
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + name + body


def grid(tile, columns, rows, size):
    """An image put together from copies of another one's only item, a HEIC of heif-enc's."""
    def find(data, name, start=0):
        at = data.index(name, start) - 4
        return data[at:at + int.from_bytes(data[at:at + 4], "big")]

    configuration, extent = find(tile, b"hvcC"), find(tile, b"ispe")
    content = find(tile, b"mdat")[8:]
    count = columns * rows
    identifiers = range(2, 2 + count)
    width, height = size
    description = bytes([0, 0, rows - 1, columns - 1]) + width.to_bytes(2, "big") + height.to_bytes(2, "big")

    def entry(identifier, kind):
        return box(b"infe", b"\2\0\0\0", identifier.to_bytes(2, "big"), b"\0\0", kind, b"\0")

    whole = box(b"ispe", bytes(4), width.to_bytes(4, "big"), height.to_bytes(4, "big"))
    properties = box(
        b"iprp", box(b"ipco", configuration, extent, whole), box(
            b"ipma", bytes(4), (1 + count).to_bytes(4, "big"), b"\0\1\1\3",
            *[identifier.to_bytes(2, "big") + b"\2\x81\2" for identifier in identifiers]))
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def assembled(offset):
        places = [(1, offset, len(description))]
        places += [(identifier, offset + len(description), len(content)) for identifier in identifiers]
        location = box(b"iloc", bytes(4), b"\x44\0", len(places).to_bytes(2, "big"), *[
            identifier.to_bytes(2, "big") + b"\0\0\0\1" + place.to_bytes(4, "big") + length.to_bytes(4, "big")
            for identifier, place, length in places])
        return head + box(
            b"meta", bytes(4), box(b"hdlr", bytes(8), b"pict", bytes(13)), box(b"pitm", bytes(4), b"\0\1"),
            location, box(b"iinf", bytes(4), (1 + count).to_bytes(2, "big"), entry(1, b"grid"), *[
                entry(identifier, b"hvc1") for identifier in identifiers]),
            box(b"iref", bytes(4), box(b"dimg", b"\0\1", count.to_bytes(2, "big"), *[
                identifier.to_bytes(2, "big") for identifier in identifiers])), properties)

    return assembled(len(assembled(0)) + 8) + box(b"mdat", description, content)


def test_a_grid_of_tiles(media, encoded):
    """As telephones store their images."""
    tile = encoded(Image.fromarray(smooth(64, 64)), "heic", "-q", "95")
    pixels = decoded(media, grid(tile, 3, 2, (180, 120)))
    assert pixels.shape == (120, 180, 3)
    assert distance(pixels, np.tile(smooth(64, 64), (2, 3, 1))[:120, :180]) < 4


def refusal(media, data, action=lambda file: file.image(), **options):
    with media.open(data, **options) as file, pytest.raises(MediaError) as error:
        action(file)
    return error.value


@pytest.mark.parametrize("format", ["heic", "avif"])
def test_limits(media, encoded, format):
    data = encoded(Image.fromarray(smooth()), format, *(["-A"] if format == "avif" else []))
    error = refusal(media, data, pixel_limit=96 * 64 - 1)
    assert error.status == "UNSUPPORTED" and "96 x 64 pixels, more than max_pixels, 6143" in error.message
    with media.open(data, pixel_limit=96 * 64) as file:
        file.image()
    assert refusal(media, data, is_cancelled=lambda _: 1).status == "CANCELLED"
    assert refusal(media, data, time_limit=1e-6).status == "TIMED_OUT"


LIAR = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from media import Library, MediaError
library, before = Library(sys.argv[2]), 0
for path in sys.argv[3:]:
    try:
        with library.open(open(path, "rb").read(), pixel_limit=10000) as file:
            outcome = str(file.image().shape)
    except MediaError as error:
        outcome = str(error)
    growth, before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, before
    before += growth
print(growth // 1024, outcome)
"""


@pytest.mark.parametrize("format", ["heic", "avif"])
def test_a_size_that_is_not_the_codecs(media, encoded, format, tmp_path):
    """Boxes that say 64 x 64 of a coded image of millions: it is refused before it is decoded."""
    options = ["-A", "-p", "speed=9"] if format == "avif" else ["-p", "preset=ultrafast"]
    (tmp_path / "plain").write_bytes(encoded(Image.fromarray(smooth(64, 64)), format, *options))
    data = bytearray(encoded(Image.new("RGB", (2304, 2304), (90, 20, 200)), format, *options))
    at = data.index(b"ispe")
    data[at + 8:at + 16] = (64).to_bytes(4, "big") * 2
    (tmp_path / "liar").write_bytes(data)
    folder = os.path.dirname(os.path.abspath(__file__))
    output = subprocess.run(
        [sys.executable, "-c", LIAR, folder, media.path, tmp_path / "plain", tmp_path / "liar"],
        capture_output=True, text=True, check=True).stdout
    megabytes, outcome = output.strip().split(" ", 1)
    assert "UNSUPPORTED" in outcome and "a coded image has 2304 x 2304 pixels" in outcome
    assert int(megabytes) < 16


@pytest.mark.parametrize("format", ["heic", "avif"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_cut_image_is_refused(media, encoded, format, share):
    data = encoded(Image.fromarray(smooth()), format, *(["-A"] if format == "avif" else []))
    error = refusal(media, data[: max(int(len(data) * share), 20)])
    assert error.status in ("MALFORMED", "UNSUPPORTED") and error.message.startswith("the media data: the image")


# Stands in front of the system's dlopen, and does not know two libraries.
MISSING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void *dlopen(const char *name, int flags) {
  void *(*original)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  if (name && (strstr(name, "libtiff") || strstr(name, "libheif"))) name = "/nothing/here.so";
  return original(name, flags);
}
"""
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from media import Library, MediaError
library = Library(sys.argv[2])
for path in sys.argv[3:]:
    try:
        with library.open(open(path, "rb").read()) as file:
            print("decoded", file.image().shape)
    except MediaError as error:
        print(error)
"""


def test_without_the_libraries(media, painting, tool, tmp_path):
    """Other images are read as ever; these name the package that is missing."""
    (tmp_path / "missing.c").write_text(MISSING)
    tool("cc", "-shared", "-fPIC", tmp_path / "missing.c", "-o", tmp_path / "missing.so")
    names = []
    for format in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"):
        names.append(tmp_path / format)
        names[-1].write_bytes(saved(Image.fromarray(painting), format))
    folder = os.path.dirname(os.path.abspath(__file__))
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, media.path, *names], capture_output=True, text=True, check=True,
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "missing.so")}).stdout.splitlines()
    assert output[:5] == ["decoded (61, 83, 3)"] * 5
    assert output[5].startswith("UNSUPPORTED: ") and "libtiff6" in output[5] and "TIFF" in output[5]
    assert output[6].startswith("UNSUPPORTED: ") and "libheif1" in output[6] and "AVIF" in output[6]
