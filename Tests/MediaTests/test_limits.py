"""Limits, time, cancelling; files that are damaged, hostile, or something else: each ends in an error that says why."""

import ctypes
import io
import os
import struct
import subprocess
import sys
import time
import zlib

import pytest
from media import MediaError
from PIL import Image


def failure(media, source, action=lambda file: file.info(), **options):
    with pytest.raises(MediaError) as error:
        with media.open(source, **options) as file:
            action(file)
    return error.value


@pytest.fixture(scope="module")
def video(ffmpeg, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=2", "-c:v",
        "libx264", "-g", "10", "-pix_fmt", "yuv420p", path)
    return path


def saved(painting, format, **options):
    buffer = io.BytesIO()
    Image.fromarray(painting).save(buffer, format, **options)
    return buffer.getvalue()


def png(painting):
    return saved(painting, "PNG")


def test_byte_limit(media, video):
    size = video.stat().st_size
    error = failure(media, video, byte_limit=size - 1)
    assert error.status == "UNSUPPORTED"
    assert error.message == f"{video}: the file has {size} bytes, more than max_bytes, {size - 1}"
    with media.open(video, byte_limit=size) as file:
        assert file.info().frame_count == 50


@pytest.mark.parametrize(
    "format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "video", "animation", "lossless"])
def test_pixel_limit(media, painting, video, format):
    if format == "video":
        source = video
    elif format == "animation":
        source = saved(painting, "WEBP", save_all=True, append_images=[Image.fromarray(painting[::-1])])
    elif format == "lossless":
        source = saved(painting, "WEBP", lossless=True)
    else:
        source = saved(painting, format)
    with media.open(source) as file:
        width, height = file.info().width, file.info().height
    error = failure(media, source, lambda file: file.image(), pixel_limit=width * height - 1)
    assert error.status == "UNSUPPORTED"
    assert f"{width} x {height} pixels, more than max_pixels, {width * height - 1}" in error.message
    with media.open(source, pixel_limit=width * height) as file:
        file.image()


def test_frame_limit(media, video):
    error = failure(media, video, lambda file: file.image(), frame_limit=49)
    assert (error.status, "max_frames, 49" in error.message) == ("UNSUPPORTED", True)


def test_second_limit(media, video):
    error = failure(media, video, second_limit=1.5)
    assert (error.status, "max_seconds, 1.5 seconds" in error.message) == ("UNSUPPORTED", True)
    assert "max_seconds" in failure(media, video, lambda file: file.samples(), second_limit=1.5).message


def test_a_video_that_cannot_be_seen_may_be_heard(media, video):
    """What is wrong with the images is said where somebody asks for them."""
    for options in ({"pixel_limit": 95 * 64}, {"frame_limit": 49}):
        with media.open(video, **options) as file:
            assert (file.info().width, file.info().channel_count) == (0, 1)
            assert len(file.samples()) >= 2 * 44100
    damaged = bytearray(video.read_bytes())
    at = damaged.index(b"avcC")
    damaged[at + 4:at + 30] = bytes(26)
    with media.open(bytes(damaged)) as file:
        assert len(file.samples()) >= 2 * 44100


def test_output_limit(media, video):
    frame = 96 * 64 * 3
    error = failure(media, video, lambda file: file.frames(range(4)), output_limit=4 * frame - 1)
    assert (error.status, "max_output_bytes" in error.message) == ("UNSUPPORTED", True)
    assert "max_output_bytes" in failure(media, video, lambda file: file.samples(), output_limit=100000).message


def test_time_limit(media, video):
    error = failure(media, video, lambda file: file.frames(range(50)), time_limit=1e-6)
    assert (error.status, "time_limit" in error.message) == ("TIMED_OUT", True)


def test_cancelling(media, video, painting):
    for source in (video, png(painting)):
        error = failure(media, source, lambda file: file.image(), is_cancelled=lambda _: 1)
        assert error.status == "CANCELLED"
    answers = iter([0] * 40 + [1] * 10**6)
    error = failure(media, video, lambda file: file.frames(range(50)), is_cancelled=lambda _: next(answers))
    assert error.status == "CANCELLED"


def test_name_in_sentences(media):
    error = failure(media, b"no media at all", name=b"image 3 of message 2")
    assert error.message.startswith("image 3 of message 2: ")


@pytest.mark.parametrize("field, value", [
    ("time_limit", -1.0), ("time_limit", float("nan")), ("second_limit", float("inf")), ("thread_count", 65),
    ("pixel_limit", 2**28 + 1), ("byte_limit", 2**63),
])
def test_wrong_options(media, painting, field, value):
    error = failure(media, png(painting), **{field: value})
    assert error.status == "INVALID_ARGUMENT" and f"dormouse_media_options.{field} is" in error.message


@pytest.mark.parametrize("name, content, sentence", [
    ("audio.flac", b"fLaC" + bytes(400), "cannot open the file as FLAC: "),
    ("video.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + bytes(400), "cannot open the file as MP4 or MOV: "),
])
def test_sentences_are_ours(media, tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    error = failure(media, path)
    assert error.message.startswith(f"{path}: ")
    assert "Invalid data" not in error.message and "mov,mp4" not in error.message
    assert sentence in error.message or "has no images and no audio" in error.message, error.message


def test_no_file(media, tmp_path):
    assert failure(media, tmp_path / "nothing").status == "NOT_FOUND"
    assert failure(media, tmp_path).status == "INPUT_OUTPUT"
    assert failure(media, tmp_path, name=b"photo").message == "photo: this is a folder, not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert failure(media, tmp_path / "pipe").status == "INPUT_OUTPUT"
    assert failure(media, b"").message == "the media data: the file is empty"


def hostile():
    """Files that ask for much, or for other files."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "a playlist", playlist
    yield "a list of parts", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "a session description", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    yield "a drawing", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "a DASH manifest", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    yield "a huge PNG", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    scan = b"\xff\xc0\0\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    yield "a huge JPEG", b"\xff\xd8" + scan + bytes(100)
    entries = [(256, 4, 2**31), (257, 4, 2**31), (258, 3, 8), (262, 3, 1), (273, 4, 8), (278, 4, 2**31), (279, 4, 100)]
    fields = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    yield "a huge TIFF", b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + bytes(100)
    bitmap = struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "a huge BMP", b"BM" + bitmap
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;"
    yield "a huge GIF", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0" + frame
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\xff\xff" * 2
    yield "a huge animation", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    audio = struct.pack("<HHIIHH", 1, 0, 8000, 0, 0, 16)
    yield "a WAV of no channels", b"RIFF$\0\0\0WAVEfmt \x10\0\0\0" + audio + b"data\0\0\0\0"


def atom(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def full_atom(name, *numbers):
    """An atom of version 0, without flags, and 32-bit numbers."""
    return atom(name, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))


def elsewhere():
    """A video whose one frame of 8 x 8 pixels stands at the beginning of /etc/passwd."""
    url = atom(b"url ", b"\0\0\0\0", b"file:///etc/passwd\0")
    size = struct.pack(">HH", 8, 8)
    entry = atom(b"raw ", bytes(6), b"\0\x01", bytes(16), size, bytes(14), bytes(32), b"\0\x18\xff\xff")
    table = atom(
        b"stbl", atom(b"stsd", bytes(4), b"\0\0\0\x01", entry), full_atom(b"stts", 1, 1, 1),
        full_atom(b"stsc", 1, 1, 1, 1), full_atom(b"stsz", 192, 1), full_atom(b"stco", 1, 0))
    reference = atom(b"dinf", atom(b"dref", bytes(4), b"\0\0\0\x01", url))
    media = atom(
        b"mdia", full_atom(b"mdhd", 0, 0, 1, 1, 0), atom(b"hdlr", bytes(8), b"vide", bytes(13)),
        atom(b"minf", atom(b"vmhd", bytes(12)), reference, table))
    header = atom(b"mvhd", bytes(12), struct.pack(">II", 1, 1), bytes(80))
    track = atom(b"trak", atom(b"tkhd", bytes(84)), media)
    return atom(b"ftyp", b"qt  \0\0\0\0qt  ") + atom(b"moov", header, track)


@pytest.mark.parametrize("name, data", list(hostile()), ids=lambda value: value if isinstance(value, str) else "")
def test_hostile_files(media, name, data):
    before = time.monotonic()
    for action in (lambda file: file.image(), lambda file: file.samples()):
        error = failure(media, data, action)
        assert error.status in ("UNSUPPORTED", "MALFORMED"), error
        assert "root:" not in error.message
    assert time.monotonic() - before < 5


def test_a_track_in_another_file(media):
    """A QuickTime track may say that its samples stand in another file (dref): that one is never opened."""
    data = elsewhere()
    with media.open(data) as file:
        assert file.image().tobytes() == data[:192]


def seeds(ffmpeg, painting, folder):
    """A small file of each format."""
    image = Image.fromarray(painting)
    for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        image.save(buffer, format)
        yield format.lower(), buffer.getvalue()
    for compression in ("jpeg", "tiff_lzw"):
        buffer = io.BytesIO()
        image.save(buffer, "TIFF", compression=compression)
        yield f"tiff with {compression}", buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", save_all=True, append_images=[image.rotate(9)])
    yield "animation", buffer.getvalue()
    videos = {"mp4": "libx264", "webm": "libvpx", "mkv": "libx264", "avi": "mpeg4", "mov": "mjpeg"}
    for name, codec in videos.items():
        path = folder / f"seed.{name}"
        audio = ["-c:a", "libopus"] if name == "webm" else []
        ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=48x32:rate=10:duration=1", "-f", "lavfi", "-i", "sine=duration=1",
            "-c:v", codec, *audio, path)
        yield name, path.read_bytes()
    for name in ("wav", "mp3", "flac", "ogg", "m4a"):
        path = folder / f"seed.{name}"
        ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", path)
        yield name, path.read_bytes()


# Runs in a process of its own, so that a crash, a hang, memory and messages are seen.
DAMAGE = """
import random, resource, sys
sys.path.insert(0, sys.argv[1])
from media import Library, MediaError
library, data, seed = Library(sys.argv[2]), open(sys.argv[3], "rb").read(), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
chance = random.Random(seed)
outcomes = {}
for _ in range(60):
    damaged = bytearray(data)
    for _ in range(chance.choice([1, 3, 10, 100])):
        damaged[chance.randrange(len(damaged))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
    if chance.random() < 0.3:
        del damaged[chance.randrange(len(damaged)):]
    try:
        with library.open(bytes(damaged), time_limit=10, second_limit=100) as file:
            info = file.info()
            if info.frame_count:
                file.frames(sorted({0, info.frame_count // 2, info.frame_count - 1}))
            if info.channel_count:
                file.samples(16000)
        outcome = "decoded"
    except MediaError as error:
        outcome = error.status
    outcomes[outcome] = outcomes.get(outcome, 0) + 1
print(outcomes)
"""


def test_damaged_files(media, ffmpeg, painting, tmp_path, capfd):
    """No crash, no hang, nothing printed, and an outcome for each."""
    program = tmp_path / "damage.py"
    program.write_text(DAMAGE)
    total = {}
    for number, (name, data) in enumerate(seeds(ffmpeg, painting, tmp_path)):
        (tmp_path / "damaged").write_bytes(data)
        folder = os.path.dirname(os.path.abspath(__file__))
        command = [sys.executable, program, folder, media.path, tmp_path / "damaged", str(number)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, f"{name}: {result.returncode}: {result.stderr[-2000:]}"
        assert result.stderr == "", f"{name}: {result.stderr[:2000]}"
        for outcome, count in eval(result.stdout).items():
            total[outcome] = total.get(outcome, 0) + count
    assert set(total) <= {"decoded", "MALFORMED", "UNSUPPORTED", "TIMED_OUT", "OUT_OF_MEMORY"}
    assert total["MALFORMED"] > 100 and total["decoded"] > 50, total


def test_memory_does_not_grow_with_the_audio(media, ffmpeg, tmp_path):
    """Ten minutes of audio in pieces: the process grows by less than its samples would take."""
    path = tmp_path / "long.mp3"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=600:sample_rate=16000", "-b:a", "16k", path)
    program = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); from media import *\n"
        "library = Library(sys.argv[2]); total = 0\n"
        "def receive(_, samples, count):\n    global total; total += count; return 0\n"
        "file = library.open(sys.argv[3]); file.info(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "library.call('samples', file.handle, c_uint32(16000), SAMPLES(receive), None)\n"
        "print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n")
    command = [sys.executable, "-c", program, os.path.dirname(os.path.abspath(__file__)), media.path, path]
    total, growth = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert total == pytest.approx(600 * 16000, rel=0.001)
    assert growth < 4000, f"{growth} KB for {total * 4 // 1024} KB of samples"


def test_the_log_of_ffmpeg_is_the_hosts(media, painting, video):
    """A level that the host has set stays; the default is back after each call."""
    needed = subprocess.run(["ldd", media.path], capture_output=True, text=True, check=True).stdout
    libavutil = ctypes.CDLL(next(line.split()[0] for line in needed.splitlines() if "libavutil" in line))
    standard, quiet = 32, -8
    seen = []

    def level(_):
        seen.append(libavutil.av_log_get_level())
        return 0

    assert libavutil.av_log_get_level() == standard
    with media.open(video, is_cancelled=level) as file:
        file.info()
        assert set(seen) == {quiet} and libavutil.av_log_get_level() == standard
        failure(media, b"no media")
        assert libavutil.av_log_get_level() == standard
        seen.clear()
        libavutil.av_log_set_level(16)
        try:
            file.frames([30])
            assert set(seen) == {16} and libavutil.av_log_get_level() == 16
        finally:
            libavutil.av_log_set_level(standard)
