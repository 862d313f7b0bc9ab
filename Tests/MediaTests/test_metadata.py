"""Texts, profiles and tags that a small file inflates to gigabytes: they are never read, whatever holds them."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from media import MediaError
from PIL import Image
from images import decoded, reference, saved

# What the worst of them would take; a process that reads one grows by far less than that.
MEGABYTES = 300
ALLOWED = 48

PROGRAM = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from media import Library, MediaError
library, data = Library(sys.argv[2]), open(sys.argv[3], "rb").read()
# The codecs' own libraries and threads are there before anything is measured.
for path in sys.argv[4:]:
    with library.open(open(path, "rb").read()) as file:
        file.frames([0]) if file.info().frame_count else file.samples(16000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
outcome = "decoded"
try:
    with library.open(data, pixel_limit=10000, output_limit=1 << 20) as file:
        info = file.info()
        if info.frame_count:
            file.frames(range(info.frame_count))
        if info.channel_count:
            file.samples(16000)
except MediaError as error:
    outcome = str(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, outcome)
"""


@pytest.fixture
def growth(media, tmp_path):
    """By how many megabytes a process grows that reads a file, and what comes of it."""

    def measure(data, plain):
        (tmp_path / "file").write_bytes(data)
        (tmp_path / "plain").write_bytes(plain)
        folder = os.path.dirname(os.path.abspath(__file__))
        command = [sys.executable, "-c", PROGRAM, folder, media.path, tmp_path / "file", tmp_path / "plain"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        megabytes, outcome = result.stdout.strip().split(" ", 1)
        return int(megabytes), outcome

    return measure


@pytest.fixture(scope="module")
def deflated():
    """MEGABYTES of one letter."""
    packer = zlib.compressobj(1)
    letters = b"a" * (1 << 20)
    return b"".join(packer.compress(letters) for _ in range(MEGABYTES)) + packer.flush()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(png, chunks):
    """The chunks behind IHDR."""
    return png[:33] + b"".join(chunk(name, data) for name, data in chunks) + png[33:]


def hostile_chunks(deflated):
    return {
        "zTXt": [(b"zTXt", b"k%d\0\0" % number + deflated) for number in range(2)],
        "iTXt": [(b"iTXt", b"key\0\1\0\0\0" + deflated)],
        "iCCP": [(b"iCCP", b"profile\0\0" + deflated)],
        "tEXt": [(b"tEXt", b"k%d\0" % number + b"a" * (1 << 20)) for number in range(40)],
    }


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP", "tEXt"])
@pytest.mark.parametrize("is_animated", [False, True])
def test_png(growth, painting, deflated, kind, is_animated):
    frames = [Image.fromarray(np.roll(painting, shift, axis=1)) for shift in (0, 9)]
    options = {"save_all": True, "append_images": frames[1:]} if is_animated else {}
    plain = saved(frames[0], "PNG", **options)
    data = with_chunks(plain, hostile_chunks(deflated)[kind])
    # The file itself is in memory, and so is FFmpeg's copy.
    allowed = ALLOWED + 3 * (len(data) >> 20)
    megabytes, outcome = growth(data, plain)
    assert outcome == "decoded" and megabytes < allowed, (megabytes, outcome)


def test_png_in_a_video(growth, ffmpeg, painting, deflated, tmp_path):
    """Each packet is a whole PNG."""
    plain = saved(Image.fromarray(painting), "PNG")
    (tmp_path / "plain.png").write_bytes(plain)
    (tmp_path / "hostile.png").write_bytes(with_chunks(plain, hostile_chunks(deflated)["zTXt"]))
    for name in ("plain", "hostile"):
        ffmpeg("-f", "image2", "-i", tmp_path / f"{name}.png", "-c", "copy", tmp_path / f"{name}.mkv")
    megabytes, outcome = growth((tmp_path / "hostile.mkv").read_bytes(), (tmp_path / "plain.mkv").read_bytes())
    assert outcome == "decoded" and megabytes < ALLOWED + 12, (megabytes, outcome)


def test_what_is_left_is_the_image(media, painting):
    """Chunks, segments and parts that pixels or their orientation come from stay where they are."""
    image = Image.fromarray(painting)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytes(3000)
    for format in ("PNG", "JPEG", "WEBP"):
        data = saved(image, format, exif=exif.tobytes(), icc_profile=profile, **(
            {"lossless": True} if format == "WEBP" else {}))
        assert np.array_equal(decoded(media, data), reference(data))
    data = saved(image.quantize(16), "PNG", transparency=3, exif=exif.tobytes(), dpi=(30, 30))
    assert np.array_equal(decoded(media, data), reference(data))


def repeating_exif(entries, byte_count):
    """EXIF entries of unknown tags that all point to the same text."""
    start = 8 + 2 + 12 * entries + 4
    fields = b"".join(
        struct.pack("<HHII", 0xE000 + number, 2, byte_count, start) for number in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + fields + bytes(4) + b"a" * byte_count


def test_exif_of_webp(growth, painting):
    plain = saved(Image.fromarray(painting), "WEBP", lossless=True)
    data = saved(Image.fromarray(painting), "WEBP", lossless=True, exif=repeating_exif(2000, 200_000))
    megabytes, outcome = growth(data, plain)
    assert outcome == "decoded" and megabytes < ALLOWED, (megabytes, outcome)


def test_exif_of_jpeg_in_a_video(growth, ffmpeg, painting, tmp_path):
    plain = saved(Image.fromarray(painting), "JPEG")
    exif = b"Exif\0\0" + repeating_exif(2400, 34000)
    hostile = plain[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + plain[2:]
    for name, data in (("plain", plain), ("hostile", hostile)):
        (tmp_path / f"{name}.jpg").write_bytes(data)
        ffmpeg("-f", "image2", "-i", tmp_path / f"{name}.jpg", "-c", "copy", tmp_path / f"{name}.mkv")
    megabytes, outcome = growth((tmp_path / "hostile.mkv").read_bytes(), (tmp_path / "plain.mkv").read_bytes())
    assert outcome == "decoded" and megabytes < ALLOWED, (megabytes, outcome)
    assert growth(hostile, plain)[1] == "decoded"


def tag(deflated):
    """An ID3v2.4 tag with a deflated comment."""
    size = MEGABYTES << 20
    length = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    content = length + deflated
    size = bytes((len(content) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    frame = b"TXXX" + size + b"\0\x09" + content
    total = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + total + frame


@pytest.mark.parametrize("name", ["audio.mp3", "audio.aac", "between.aac", "audio.flac", "audio.wav", "twice.mp3"])
def test_tags_of_audio(media, growth, ffmpeg, deflated, tmp_path, name):
    path = tmp_path / f"plain.{name.split('.')[1]}"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", path)
    plain = path.read_bytes()
    if name == "audio.wav":
        data = plain + b"id3 " + struct.pack("<I", len(tag(deflated))) + tag(deflated)
    elif name == "between.aac":
        size = (plain[3] & 3) << 11 | plain[4] << 3 | plain[5] >> 5
        data = plain[:size] + tag(deflated) + plain[size:]
    else:
        data = tag(deflated) * (2 if name.startswith("twice") else 1) + plain
    megabytes, outcome = growth(data, plain)
    assert outcome == "decoded" and megabytes < ALLOWED, (megabytes, outcome)
    with media.open(data) as file, media.open(plain) as other:
        assert np.array_equal(file.samples(16000), other.samples(16000))


def test_nothing_but_a_tag(media, deflated):
    with media.open(tag(deflated)) as file, pytest.raises(MediaError) as error:
        file.info()
    assert error.value.status == "UNSUPPORTED"


@pytest.mark.parametrize("inside", [b"moov", b"free"])
def test_a_compressed_header(growth, media, ffmpeg, deflated, tmp_path, inside):
    """QuickTime's `cmov` is refused by name, before anything is inflated."""
    def box(name, *parts):
        body = b"".join(parts)
        return struct.pack(">I", 8 + len(body)) + name + body

    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5:duration=1", tmp_path / "plain.mov")
    plain = (tmp_path / "plain.mov").read_bytes()
    compressed = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", MEGABYTES << 20), deflated))
    data = box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(inside, compressed) + plain[20:]
    megabytes, outcome = growth(data, plain)
    assert outcome.startswith("UNSUPPORTED") and "'cmov'" in outcome and megabytes < ALLOWED, (megabytes, outcome)


@pytest.mark.parametrize("changes", [
    {257: (4, 2**32 - 1), 278: (4, 1)}, {700: (1, 8, 2**31)}, {273: (4, 8, 2**28), 279: (4, 8, 2**28)},
    {322: (4, 65536), 323: (4, 65536), 324: (4, 8), 325: (4, 100)}, {277: (3, 65535)},
], ids=["strips", "a tag", "offsets", "a tile", "components"])
def test_tables_of_tiff(growth, painting, changes):
    """Numbers that would take gigabytes; kinds, values and counts by tag."""
    fields = {256: (4, 10), 257: (4, 10), 258: (3, 8), 262: (3, 1), 273: (4, 8), 278: (4, 10), 279: (4, 100)}
    entries = b""
    for number, (kind, value, *count) in sorted({**fields, **changes}.items()):
        entries += struct.pack("<HHII", number, kind, *(count or [1]), value)
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries) // 12) + entries + bytes(300)
    megabytes, outcome = growth(data, saved(Image.fromarray(painting), "TIFF"))
    assert outcome.startswith(("decoded", "UNSUPPORTED", "MALFORMED")) and megabytes < 16, (megabytes, outcome)
