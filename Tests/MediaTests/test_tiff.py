"""TIFF images equal PIL's, whatever way libtiff's own command has written them."""

import struct
import zlib

import numpy as np
import pytest
from media import MediaError
from PIL import Image
from images import decoded, modes, reference, saved

LAYOUTS = {
    "strips": ["-r", "7"],
    "tiles": ["-t", "-w", "32", "-l", "16"],
    "one tile": ["-t", "-w", "128", "-l", "128"],
    "planes": ["-p", "separate", "-r", "7"],
    "tiled planes": ["-p", "separate", "-t", "-w", "32", "-l", "16"],
    "big endian": ["-B", "-r", "7"],
    "BigTIFF": ["-8", "-t", "-w", "32", "-l", "16"],
    "big endian BigTIFF": ["-8", "-B"],
    "backward bits": ["-f", "lsb2msb", "-r", "7"],
    "LZW": ["-c", "lzw"],
    "LZW, predicted": ["-c", "lzw:2", "-r", "7"],
    "deflate": ["-c", "zip:2", "-t", "-w", "32", "-l", "16"],
    "PackBits": ["-c", "packbits"],
    "LZMA": ["-c", "lzma"],
    "ZSTD": ["-c", "zstd:2", "-8"],
    "WebP": ["-c", "webp"],
    "fax 3": ["-c", "g3:2d"],
    "fax 4": ["-c", "g4", "-f", "lsb2msb"],
}
# Which layouts a mode is written in, where it is not all of them.
COLOR_ONLY = {"WebP": ("RGB", "RGBA")}
BITS_ONLY = ("fax 3", "fax 4")


def written(layout, mode):
    if layout in COLOR_ONLY:
        return mode in COLOR_ONLY[layout]
    if layout in BITS_ONLY:
        return mode == "1"
    # libtiff predicts whole bytes alone, and its command takes them alone apart.
    return mode != "1" or not any(word in layout for word in ("predicted", "deflate", "ZSTD", "planes"))


def known_to_pil(layout, mode):
    """PIL as its packages have it can't read a few of them, which must equal what they were made from all the same."""
    if layout in ("WebP", "big endian BigTIFF"):
        return False
    return not (mode in ("RGBA", "LA") and layout == "backward bits" or mode == "LA" and "planes" in layout)


@pytest.mark.parametrize(
    "layout, mode",
    [(layout, mode) for layout in LAYOUTS for mode in ("RGB", "RGBA", "L", "LA", "1", "P") if written(layout, mode)])
def test_every_layout(media, painting, tool, tmp_path, layout, mode):
    source, path = tmp_path / "plain.tiff", tmp_path / "written.tiff"
    source.write_bytes(saved(modes(painting)[mode], "TIFF"))
    tool("tiffcp", *LAYOUTS[layout], source, path)
    data = path.read_bytes()
    pixels = decoded(media, data)
    expected = np.asarray(modes(painting)[mode].convert("RGB"))
    if layout == "WebP":
        assert np.abs(pixels.astype(int) - expected).mean() < 12
    else:
        assert np.array_equal(pixels, expected)
    if known_to_pil(layout, mode):
        assert np.array_equal(pixels, reference(data))
    with media.open(path) as file:
        assert np.array_equal(file.image(), pixels)
        assert file.info().format == b"tiff"


@pytest.mark.parametrize("options", [
    ["-c", "jpeg:90"], ["-c", "jpeg:r:75"], ["-c", "jpeg", "-t", "-w", "32", "-l", "32"],
    ["-c", "jpeg:r", "-t", "-w", "48", "-l", "16"], ["-c", "jpeg", "-r", "16"],
], ids=" ".join)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_inside(media, painting, tool, tmp_path, options, mode):
    source, path = tmp_path / "plain.tiff", tmp_path / "written.tiff"
    source.write_bytes(saved(modes(painting)[mode], "TIFF"))
    tool("tiffcp", *options, source, path)
    data = path.read_bytes()
    pixels = decoded(media, data)
    assert np.array_equal(pixels, reference(data))
    assert np.abs(pixels.astype(int) - np.asarray(modes(painting)[mode].convert("RGB"))).mean() < 12


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_other_colors(media, painting, mode, compression):
    data = saved(Image.fromarray(painting).convert(mode), "TIFF", compression=compression)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("layout", ["planes", "tiled planes", "tiles"])
def test_cmyk_layouts(media, painting, tool, tmp_path, layout):
    source, path = tmp_path / "plain.tiff", tmp_path / "written.tiff"
    source.write_bytes(saved(Image.fromarray(painting).convert("CMYK"), "TIFF"))
    tool("tiffcp", *LAYOUTS[layout], source, path)
    assert np.array_equal(decoded(media, path.read_bytes()), reference(source.read_bytes()))


def tiff(rows, width, height, fields, order="<", compression=1):
    """A TIFF of one strip; fields: tag -> value or values, all of them SHORT."""
    fields = {256: width, 257: height, 259: compression, 277: 1, 278: height, **fields}
    values = {tag: value if isinstance(value, (list, tuple)) else [value] for tag, value in fields.items()}
    count = len(values) + 2
    extra = 8 + 2 + 12 * count + 4
    offsets, tail = {}, b""
    for tag, numbers in values.items():
        if len(numbers) > 2:
            offsets[tag] = extra + len(tail)
            tail += struct.pack(f"{order}{len(numbers)}H", *numbers)
    entries = {}
    for tag, numbers in values.items():
        if tag in offsets:
            place = struct.pack(f"{order}I", offsets[tag])
        else:
            place = struct.pack(f"{order}{len(numbers)}H", *numbers).ljust(4, b"\0")
        entries[tag] = struct.pack(f"{order}HHI", tag, 3, len(numbers)) + place
    entries[273] = struct.pack(f"{order}HHII", 273, 4, 1, extra + len(tail))
    entries[279] = struct.pack(f"{order}HHII", 279, 4, 1, len(rows))
    directory = struct.pack(f"{order}H", count) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HI", 42, 8) + directory + tail + rows


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric, channels, extra", [
    (2, 3, []), (2, 4, [0]), (2, 4, [1]), (2, 4, [2]), (5, 4, []),
])
def test_16_bits_of_color(media, order, photometric, channels, extra):
    values = np.random.default_rng(5).integers(0, 65536, (9, 11, channels)).astype(f"{order}u2")
    fields = {258: [16] * channels, 262: photometric, 277: channels, **({338: extra} if extra else {})}
    data = tiff(values.tobytes(), 11, 9, fields, order)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_16_bits_of_grey(media, order, photometric):
    """Of grey the upper bits count, too, as in PNG: PIL clips it and leaves little but white."""
    values = np.random.default_rng(6).integers(0, 65536, (9, 11)).astype(f"{order}u2")
    data = tiff(values.tobytes(), 11, 9, {258: 16, 262: photometric}, order)
    upper = (values.astype(int) >> 8) if photometric else 255 - (values.astype(int) >> 8)
    assert np.array_equal(decoded(media, data), np.repeat(upper[..., None], 3, axis=2))


def test_12_bits_of_grey(media):
    values = np.random.default_rng(6).integers(0, 4096, (5, 7))
    rows = b""
    for row in values:
        text = "".join(f"{value:012b}" for value in row).ljust(88, "0")
        rows += int(text, 2).to_bytes(11, "big")
    pixels = decoded(media, tiff(rows, 7, 5, {258: 12, 262: 1}))
    assert np.array_equal(pixels[..., 0], values >> 4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_few_bits(media, bits, photometric):
    width, height = 13, 6
    rows = np.random.default_rng(bits).integers(0, 256, height * -(-width * bits // 8)).astype(np.uint8).tobytes()
    palette = np.random.default_rng(9).integers(0, 65536, 3 << bits).tolist()
    data = tiff(rows, width, height, {258: bits, 262: photometric, **({320: palette} if photometric == 3 else {})})
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("extra", [[0], [1], [2], [1, 0], [2, 0, 0]])
def test_extra_components(media, extra):
    """Alpha by which colours are multiplied is divided out; everything else that is no colour is left out."""
    channels = 3 + len(extra)
    values = np.random.default_rng(4).integers(0, 256, (9, 11, channels)).astype(np.uint8)
    values[:4, :, 3:4] = np.array([0, 1, 128, 255])[:, None, None]
    data = tiff(values.tobytes(), 11, 9, {258: [8] * channels, 262: 2, 277: channels, 338: extra})
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("subsampling", [(2, 2), (2, 1), (1, 1)])
def test_luma_and_chroma(media, subsampling):
    """Compressed, which PIL has libtiff convert."""
    columns, rows = subsampling
    blocks = 8 // columns * (8 // rows)
    values = np.random.default_rng(8).integers(30, 220, blocks * (columns * rows + 2)).astype(np.uint8)
    fields = {258: [8, 8, 8], 262: 6, 277: 3, 530: list(subsampling)}
    data = tiff(zlib.compress(values.tobytes()), 8, 8, fields, compression=8)
    assert np.array_equal(decoded(media, data), reference(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiles(media, painting, tool, tmp_path, orientation):
    source, path = tmp_path / "plain.tiff", tmp_path / "written.tiff"
    source.write_bytes(saved(Image.fromarray(painting), "TIFF", tiffinfo={0x0112: orientation}))
    tool("tiffcp", "-t", "-w", "32", "-l", "16", "-c", "lzw", source, path)
    data = path.read_bytes()
    pixels = decoded(media, data)
    assert (pixels.shape[:2] == (83, 61)) == (orientation >= 5)
    assert np.array_equal(pixels, reference(data))


def test_the_first_of_several_pages(media, painting):
    pages = [Image.fromarray(np.roll(painting, shift, axis=0)) for shift in (0, 5, 9)]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert np.array_equal(decoded(media, data), painting)


def refusal(media, data, **options):
    with media.open(data, **options) as file, pytest.raises(MediaError) as error:
        file.image()
    assert error.value.message.startswith("the media data: ")
    return error.value


@pytest.mark.parametrize("fields, sentence", [
    ({258: 32, 262: 1, 339: 3}, "values are of the kind 3"),
    ({258: 32, 262: 1}, "1 components with 32 bits"),
    ({258: [8, 8, 8], 262: 8, 277: 3}, "colours are of the kind 8"),
    ({258: 16, 262: 1, 339: 2}, "values are of the kind 2"),
    ({258: 8, 262: 1, 259: 34712}, "compression 34712, JPEG 2000"),
    ({258: 8, 262: 1, 259: 50002}, "compression 50002, JPEG XL"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_not_read_is_named(media, fields, sentence):
    error = refusal(media, tiff(bytes(400), 10, 10, fields))
    assert error.status == "UNSUPPORTED" and sentence in error.message


@pytest.mark.parametrize("fields", [
    {258: [8, 8], 262: 2, 277: 2}, {258: 8, 262: 1, 278: 0}, {258: 8, 262: 1, 277: 0},
])
def test_fields_that_contradict_each_other(media, fields):
    assert refusal(media, tiff(bytes(400), 10, 10, fields)).status in ("MALFORMED", "UNSUPPORTED")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_a_cut_image_is_refused(media, painting, compression):
    data = saved(Image.fromarray(painting), "TIFF", compression=compression)
    cut = refusal(media, data[: len(data) // 2])
    assert cut.status == "MALFORMED" and "TIFF image" in cut.message


def test_huge_blocks(media):
    """A tile of gigabytes for an image of a few pixels."""
    for width, height in ((65520, 65520), (65520, 16), (32768, 4096)):
        fields = {258: 8, 262: 1, 322: width, 323: height, 324: 8, 325: 16}
        error = refusal(media, tiff(bytes(64), 4, 4, fields), pixel_limit=10000)
        assert error.status in ("UNSUPPORTED", "MALFORMED")


def test_cancelled_between_strips(media, painting, tool, tmp_path):
    source, path = tmp_path / "plain.tiff", tmp_path / "written.tiff"
    source.write_bytes(saved(Image.fromarray(painting).resize((64, 4096)), "TIFF"))
    tool("tiffcp", "-r", "1", "-c", "lzw", source, path)
    answers = iter([0] * 2000 + [1] * 10**6)
    assert refusal(media, path.read_bytes(), is_cancelled=lambda _: next(answers)).status == "CANCELLED"
