"""Images come out as PIL gives them after exif_transpose and convert("RGB"), which is how the published processors
load them."""

import io
import struct
import zlib

import numpy as np
import pytest
from media import MediaError
from PIL import Image
from images import decoded, modes, reference, saved


LOSSLESS = [
    ("PNG", {}, "RGB RGBA L LA 1 P P16 P4 P2"),
    ("BMP", {}, "RGB RGBA L 1 P P16"),
    ("GIF", {}, "P P16 P2 L 1"),
    ("TIFF", {}, "RGB RGBA L LA 1 P"),
    ("TIFF", {"compression": "tiff_lzw"}, "RGB L P"),
    ("TIFF", {"compression": "tiff_adobe_deflate"}, "RGB RGBA"),
    ("TIFF", {"compression": "packbits"}, "RGB 1"),
    ("WEBP", {"lossless": True, "exact": True}, "RGB RGBA"),
]


@pytest.mark.parametrize(
    "format, options, mode", [(format, options, mode) for format, options, all in LOSSLESS for mode in all.split()]
)
def test_lossless_formats_are_exact(media, painting, format, options, mode):
    data = saved(modes(painting)[mode], format, **options)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("width, height", [(1, 1), (1, 9), (9, 1), (2, 3), (3, 2), (17, 16), (640, 479)])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
def test_sizes(media, painting, format, width, height):
    image = Image.fromarray(painting).resize((width, height))
    data = saved(image, format)
    assert np.array_equal(decoded(media, data), reference(data))


def test_interlaced_png(media, painting, ffmpeg, tmp_path):
    source = tmp_path / "plain.png"
    source.write_bytes(saved(Image.fromarray(painting), "PNG"))
    ffmpeg("-i", source, "-field_order", "tt", "-flags", "+ildct", "-frames:v", "1", tmp_path / "woven.png")
    data = (tmp_path / "woven.png").read_bytes()
    assert data[28] == 1, "the file must be interlaced"
    assert np.array_equal(decoded(media, data), reference(data))


def png16(values, color_type):
    """A PNG of 16 bits a value from values [height, width, channels]; PIL does not write colour of that depth."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("color_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits(media, color_type, channels):
    values = np.random.default_rng(3).integers(0, 65536, (11, 13, channels))
    data = png16(values, color_type)
    pixels = decoded(media, data)
    upper = values >> 8
    expected = np.repeat(upper[..., :1], 3, axis=2) if channels < 3 else upper[..., :3]
    assert np.array_equal(pixels, expected)
    # Grey of 16 bits is clipped by PIL's convert, not scaled: nothing but white would be left of a photograph.
    if color_type != 0:
        assert np.array_equal(pixels, reference(data))


@pytest.mark.parametrize("quality", [60, 90])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossy_webp(media, painting, quality, mode):
    data = saved(modes(painting)[mode], "WEBP", quality=quality)
    difference = np.abs(decoded(media, data).astype(int) - reference(data))
    assert difference.max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation(media, painting, format, orientation, order):
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    if format == "TIFF":
        if order == ">":
            pytest.skip("PIL writes TIFF in the machine's order")
        options = {"tiffinfo": {0x0112: orientation}}
    else:
        options["exif"] = exif.tobytes()
    data = saved(Image.fromarray(painting), format, **options)
    expected = reference(data)
    assert (expected.shape[:2] == (83, 61)) == (orientation >= 5)
    assert np.array_equal(decoded(media, data), expected)


@pytest.mark.parametrize("transparent", [0, 3, 15])
def test_transparent_gif_shows_its_palette(media, painting, transparent):
    data = saved(Image.fromarray(painting).quantize(16), "GIF", transparency=transparent)
    assert np.array_equal(decoded(media, data), reference(data))


def test_palette_with_alpha(media, painting):
    data = saved(Image.fromarray(painting).quantize(16), "PNG", transparency=bytes(range(0, 160, 10)))
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("is_apart", [False, True])
def test_animated_png_gives_its_still_image(media, painting, is_apart):
    """Its first frame, or an image that is none of its frames: then it is no video."""
    frames = [Image.fromarray(np.roll(painting, shift, axis=1)) for shift in (0, 9, 30)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, default_image=is_apart)
    with media.open(data) as file:
        assert np.array_equal(file.image(), reference(data))
        info = file.info()
        assert (info.format, info.frame_count) == ((b"png", 1) if is_apart else (b"apng", 3))


def test_path_and_bytes_are_the_same(media, painting, tmp_path):
    path = tmp_path / "image with no extension"
    path.write_bytes(saved(Image.fromarray(painting), "PNG"))
    with media.open(path) as file:
        assert np.array_equal(file.image(), painting)
        assert file.info().format == b"png"
        assert file.timestamps() == [0]
        with pytest.raises(MediaError, match="no audio|not support"):
            file.samples()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_off_images_are_refused(media, painting, format, share):
    data = saved(Image.fromarray(painting), format)
    with media.open(data[: int(len(data) * share)]) as file, pytest.raises(MediaError) as error:
        file.image()
    assert error.value.status in ("MALFORMED", "UNSUPPORTED")
    assert error.value.message.startswith("the media data: ")
