"""Videos and animations: times without decoding, and frames equal to those of the ffmpeg command."""

import io
import json
import subprocess

import numpy as np
import pytest
from media import MediaError
from PIL import Image

EXACT = ["-sws_flags", "bicubic+accurate_rnd+full_chroma_int"]

# Name and what the ffmpeg command is told: containers, codecs, odd sizes, B-frames, ranges and matrices.
VIDEOS = {
    "h264.mp4": ["-c:v", "libx264", "-bf", "3", "-g", "12", "-pix_fmt", "yuv420p"],
    "h264-closed.mov": ["-c:v", "libx264", "-bf", "0", "-g", "5", "-pix_fmt", "yuv420p"],
    "h264-one-key-frame.mkv": ["-c:v", "libx264", "-bf", "2", "-g", "1000", "-pix_fmt", "yuv420p"],
    "h264-odd.mp4": ["-vf", "scale=65:47", "-c:v", "libx264", "-pix_fmt", "yuv444p"],
    "h264-full-range.mp4": [
        "-vf", "scale=out_range=full", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-color_range", "pc"],
    "h264-709.mp4": [
        "-vf", "scale=out_color_matrix=bt709", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-colorspace", "bt709"],
    "h264-ten-bits.mkv": ["-c:v", "libx264", "-pix_fmt", "yuv420p10le"],
    "h264-interlaced.mp4": ["-c:v", "libx264", "-flags", "+ilme+ildct", "-pix_fmt", "yuv420p"],
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"],
    "vp8.webm": ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "10", "-b:v", "500k"],
    "vp9-odd.webm": ["-vf", "scale=65:47", "-c:v", "libvpx-vp9", "-b:v", "500k"],
    "av1.mkv": ["-c:v", "libaom-av1", "-cpu-used", "8", "-b:v", "300k"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-bf", "2", "-g", "10"],
    "mpeg4.mp4": ["-c:v", "mpeg4", "-g", "10"],
    "mpeg4-odd.mov": ["-vf", "scale=66:46", "-c:v", "mpeg4", "-bf", "2"],
    "h263.3gp": ["-vf", "scale=128:96", "-c:v", "h263"],
    "h263.mov": ["-vf", "scale=128:96", "-c:v", "h263"],
    "mjpeg.avi": ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p"],
    "mpeg2.mkv": ["-c:v", "mpeg2video", "-bf", "2"],
    "prores.mov": ["-c:v", "prores"],
    "ffv1.mkv": ["-c:v", "ffv1", "-pix_fmt", "gbrp"],
    "theora.ogv": ["-c:v", "libtheora"],
    "raw.avi": ["-c:v", "rawvideo", "-pix_fmt", "bgr24"],
}


@pytest.fixture(scope="module")
def video(ffmpeg, tmp_path_factory):
    """Makes each video once: 30 frames at 25 frames a second."""
    folder = tmp_path_factory.mktemp("videos")

    def make(name):
        path = folder / name
        if not path.exists():
            ffmpeg("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1.2", *VIDEOS[name], path)
        return path

    return make


def reference(ffmpeg, path, size):
    """Every frame as the ffmpeg command decodes it: [frames, height, width, 3]."""
    width, height = size
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", *EXACT, *raw)
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def shown_times(path):
    """When ffprobe, which decodes everything, sees the frames."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"]
    output = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True).stdout
    frames = json.loads(output)["frames"]
    if any(not frame for frame in frames):
        return np.arange(len(frames)) / 25  # old AVI tells no times, and has an even pace
    times = [float(frame["best_effort_timestamp_time"]) for frame in frames]
    return np.array(times) - times[0]


@pytest.mark.parametrize("name", VIDEOS)
def test_every_frame(media, ffmpeg, video, name):
    path = video(name)
    with media.open(path) as file:
        info = file.info()
        expected = reference(ffmpeg, path, (info.width, info.height))
        assert info.frame_count == len(expected) == 30
        assert info.duration == pytest.approx(1.2, abs=0.01) and info.frame_rate == pytest.approx(25, rel=0.01)
        frames = file.frames(range(30))
        assert [index for index, _, _ in frames] == list(range(30))
        times = file.timestamps()
        assert times == [seconds for _, seconds, _ in frames]
        assert times == pytest.approx(shown_times(path), abs=1e-3)
        assert np.array_equal(np.stack([pixels for _, _, pixels in frames]), expected)


@pytest.mark.parametrize("name", VIDEOS)
def test_chosen_frames(media, ffmpeg, video, name):
    """Forwards over key frames, and backwards from call to call."""
    path = video(name)
    with media.open(path.read_bytes(), thread_count=2) as file:
        info = file.info()
        expected = reference(ffmpeg, path, (info.width, info.height))
        for indices in ([0, 7, 29], [28], [13, 14, 26], [3], [3], [0]):
            for index, _, pixels in file.frames(indices):
                assert np.array_equal(pixels, expected[index]), f"{indices}: {index}"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation(media, ffmpeg, video, tmp_path, degrees):
    path = tmp_path / "turned.mp4"
    ffmpeg("-i", video("h264.mp4"), "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", path)
    with media.open(path) as file:
        info = file.info()
        assert (info.width, info.height) == ((64, 96) if degrees != 180 else (96, 64))
        # The command turns before it converts colours, and this library after it.
        plain = reference(ffmpeg, video("h264.mp4"), (96, 64))
        for index, _, pixels in file.frames([0, 11]):
            assert np.array_equal(pixels, np.rot90(plain[index], degrees // 90))
        turned = reference(ffmpeg, path, (info.width, info.height))
        assert np.abs(turned[11].astype(int) - pixels).mean() < 10


def test_variable_frame_rate(media, ffmpeg, video, tmp_path):
    path = tmp_path / "uneven.mp4"
    uneven = "select='not(between(n,5,9))+eq(n,20)',setpts='PTS+0.03*mod(N,2)/TB'"
    ffmpeg(
        "-i", video("h264.mp4"), "-vf", uneven, "-fps_mode", "passthrough", "-enc_time_base", "1/1000",
        "-video_track_timescale", "1000", "-c:v", "libx264", "-bf", "2", path)
    with media.open(path) as file:
        assert file.info().frame_count == 25
        assert file.timestamps() == pytest.approx(shown_times(path), abs=1e-4)
        expected = reference(ffmpeg, path, (96, 64))
        for index, _, pixels in file.frames([0, 4, 5, 24]):
            assert np.array_equal(pixels, expected[index])


def test_edit_list(media, ffmpeg, video, tmp_path):
    """Cut without decoding: the packets from the key frame on are there, and an edit list hides the first of them."""
    path = tmp_path / "cut.mp4"
    ffmpeg("-ss", "0.7", "-i", video("h264.mp4"), "-c", "copy", path)
    with media.open(path) as file:
        expected = reference(ffmpeg, path, (96, 64))
        assert file.info().frame_count == len(expected) < 20
        assert file.timestamps() == pytest.approx(shown_times(path), abs=1e-3)
        for index, _, pixels in file.frames([0, 1, len(expected) - 1]):
            assert np.array_equal(pixels, expected[index])


def test_several_tracks(media, ffmpeg, tmp_path):
    """The default track wins, though another is larger; a cover is no video."""
    path = tmp_path / "several.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=5:duration=1", "-f", "lavfi", "-i",
        "testsrc=size=64x48:rate=5:duration=1", "-f", "lavfi", "-i", "sine=duration=1", "-map", "0", "-map", "1",
        "-map", "2", "-c:v", "ffv1", "-disposition:v:0", "0", "-disposition:v:1", "default", path)
    with media.open(path) as file:
        info = file.info()
        assert (info.width, info.height, info.channel_count) == (64, 48, 1)
        assert file.image().shape == (48, 64, 3)


def test_a_cover_is_no_video(media, ffmpeg, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48", "-frames:v", "1", tmp_path / "cover.png")
    ffmpeg(
        "-f", "lavfi", "-i", "sine=duration=1", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c:v", "copy",
        "-id3v2_version", "3", "-disposition:v", "attached_pic", tmp_path / "song.mp3")
    with media.open(tmp_path / "song.mp3") as file:
        info = file.info()
        assert (info.width, info.frame_count, info.channel_count) == (0, 0, 1)
        with pytest.raises(MediaError, match="audio, but no images"):
            file.image()
        assert len(file.samples(16000)) == 16000


def test_a_receiver_may_stop(media, video):
    with media.open(video("h264.mp4")) as file:
        assert len(file.frames(range(30), stop_after=4)) == 4


@pytest.mark.parametrize("indices", [[30], [3, 2], [2, 2], [2**63]])
def test_wrong_indices(media, video, indices):
    with media.open(video("h264.mp4")) as file, pytest.raises(MediaError, match="indices must ascend") as error:
        file.frames(indices)
    assert error.value.status == "INVALID_ARGUMENT"


def animation(painting, format, **options):
    frames = [Image.fromarray(np.roll(painting, 5 * shift, axis=1)) for shift in range(5)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def frames_of_pil(data):
    image = Image.open(io.BytesIO(data))
    for index in range(image.n_frames):
        image.seek(index)
        yield np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("format, options", [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {"quality": 80})])
def test_animations(media, painting, format, options):
    durations = [50, 120, 80, 200, 100]
    data = animation(painting, format, duration=durations, loop=0, **options)
    with media.open(data) as file:
        info = file.info()
        assert (info.width, info.height, info.frame_count) == (83, 61, 5)
        assert info.duration == pytest.approx(0.55)
        assert file.timestamps() == pytest.approx([0, 0.05, 0.17, 0.25, 0.45])
        for (_, _, pixels), expected in zip(file.frames(range(5)), frames_of_pil(data), strict=True):
            assert np.array_equal(pixels, expected)
        assert np.array_equal(file.frames([2])[0][2], list(frames_of_pil(data))[2])


def test_transparent_animated_webp(media):
    """Parts of the canvas, blended over one another with every alpha."""
    frames = []
    for shift in range(6):
        frame = np.zeros((40, 50, 4), np.uint8)
        frame[5 + shift : 25, 3 * shift : 20 + 3 * shift] = [200 - 30 * shift, 40 * shift, 90, 60 * shift // 2 + 50]
        frames.append(Image.fromarray(frame))
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True, duration=40)
    data = buffer.getvalue()
    with media.open(data) as file:
        for (index, _, pixels), expected in zip(file.frames(range(6)), frames_of_pil(data), strict=True):
            assert np.array_equal(pixels, expected), index
