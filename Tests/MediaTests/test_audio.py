"""Audio equals what the ffmpeg command makes of it: the mean of the channels, resampled by swresample."""

import numpy as np
import pytest
from media import MediaError

AUDIO = {
    "pcm.wav": ["-c:a", "pcm_s16le"],
    "pcm-8-bits.wav": ["-c:a", "pcm_u8"],
    "pcm-24-bits.wav": ["-c:a", "pcm_s24le"],
    "float.wav": ["-c:a", "pcm_f32le"],
    "adpcm.wav": ["-c:a", "adpcm_ms"],
    "layer3.mp3": ["-c:a", "libmp3lame", "-b:a", "96k"],
    "layer3-variable.mp3": ["-c:a", "libmp3lame", "-q:a", "4"],
    "layer3-no-header.mp3": ["-c:a", "libmp3lame", "-write_xing", "0"],
    "lossless.flac": ["-c:a", "flac"],
    "vorbis.ogg": ["-c:a", "libvorbis"],
    "opus.ogg": ["-c:a", "libopus"],
    "opus.webm": ["-c:a", "libopus"],
    "aac.m4a": ["-c:a", "aac"],
    "alac.m4a": ["-c:a", "alac"],
    "adts.aac": ["-c:a", "aac"],
    "audio.mkv": ["-c:a", "flac"],
}
CHANNELS = {1: "0.4*sin(440*t*2*PI)", 2: "0.4*sin(440*t*2*PI)|0.3*sin(1000*t*t)", 6: "|".join(
    f"0.3*sin({200 * (channel + 1)}*t*2*PI)" for channel in range(6))}


@pytest.fixture(scope="module")
def audio(ffmpeg, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")

    def make(name, channels=2, rate=44100, seconds=1.5):
        path = folder / f"{channels}-{rate}-{name}"
        if not path.exists():
            rate = 48000 if "opus" in name else rate
            source = f"aevalsrc={CHANNELS[channels]}:s={rate}:d={seconds}"
            ffmpeg("-f", "lavfi", "-i", source, *AUDIO[name], path)
        return path

    return make


def reference(ffmpeg, path, channels, rate):
    """The mean of the channels at `rate`, from the command."""
    mean = "+".join(f"{1 / channels}*c{channel}" for channel in range(channels))
    mixed = ["-af", f"aformat=flt,pan=mono|c0={mean}", "-ar", rate]
    data = ffmpeg("-i", path, "-map", "0:a:0", *mixed, "-f", "f32le", "-")
    return np.frombuffer(data, np.float32)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("name", AUDIO)
def test_audio(media, ffmpeg, audio, name, rate):
    path = audio(name)
    expected = reference(ffmpeg, path, 2, rate)
    with media.open(path) as file:
        info = file.info()
        assert (info.width, info.frame_count, info.channel_count) == (0, 0, 2)
        assert info.sample_rate == (48000 if "opus" in name else 44100)
        assert info.audio_duration == pytest.approx(1.5, abs=0.08)
        samples = file.samples(rate)
        assert len(samples) == len(expected)
        assert np.abs(samples - expected).max() < 1e-4


@pytest.mark.parametrize("channels", [1, 6])
def test_channels(media, ffmpeg, audio, channels):
    path = audio("float.wav", channels=channels)
    with media.open(path.read_bytes()) as file:
        assert file.info().channel_count == channels
        samples = file.samples()
        expected = reference(ffmpeg, path, channels, 44100)
        assert len(samples) == len(expected) and np.abs(samples - expected).max() < 1e-4


@pytest.mark.parametrize("rate", [8000, 11025, 96000])
def test_rates(media, ffmpeg, audio, rate):
    path = audio("pcm.wav", rate=rate)
    with media.open(path) as file:
        assert len(file.samples()) == round(1.5 * rate)
        expected = reference(ffmpeg, path, 2, 16000)
        samples = file.samples(16000)
        assert len(samples) == len(expected) and np.abs(samples - expected).max() < 1e-4


def test_audio_of_a_video(media, ffmpeg, tmp_path):
    path = tmp_path / "video.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-f", "lavfi", "-i", "sine=duration=1.2", "-c:a",
        "aac", path)
    with media.open(path) as file:
        info = file.info()
        assert (info.frame_count, info.channel_count) == (10, 1)
        assert info.duration == pytest.approx(1) and info.audio_duration == pytest.approx(1.2, abs=0.05)
        expected = reference(ffmpeg, path, 1, 16000)
        # Images and audio in any order.
        assert file.image().shape == (48, 64, 3)
        samples = file.samples(16000)
        assert len(samples) == len(expected) and np.abs(samples - expected).max() < 1e-4
        assert np.array_equal(file.samples(16000), samples)


def test_cover_larger_than_the_probe(media, ffmpeg, audio):
    """An ID3v2 tag of two megabytes in front of the first frame of audio."""
    body = audio("layer3-no-header.mp3").read_bytes()
    body = body[body.index(b"\xff\xfb"):]
    size = 2 << 20
    frame = b"PRIV" + size.to_bytes(4, "big") + b"\0\0" + bytes(size)
    length = len(frame)
    header = b"ID3\x03\0\0" + bytes((length >> shift) & 0x7F for shift in (21, 14, 7, 0))
    with media.open(header + frame + body) as file:
        assert len(file.samples()) >= 1.4 * 44100


def test_streaming(media, audio):
    """An hour would come in pieces like these; whoever has enough stops."""
    with media.open(audio("pcm.wav")) as file:
        assert 0 < len(file.samples(16000, stop_after=2)) < 24000


@pytest.mark.parametrize("rate", [1, 999, 768001, 2**32 - 1])
def test_rate_out_of_range(media, audio, rate):
    with media.open(audio("pcm.wav")) as file, pytest.raises(MediaError, match=f"sample_rate is {rate}") as error:
        file.samples(rate)
    assert error.value.status == "INVALID_ARGUMENT"


def test_absurd_rate_of_a_file(media, audio):
    """A filter from two thousand million samples a second down to sixteen thousand would take minutes to make."""
    data = bytearray(audio("pcm.wav").read_bytes())
    data[24:28] = (2_000_000_011).to_bytes(4, "little")
    with media.open(bytes(data)) as file, pytest.raises(MediaError, match="at 2000000011 Hz is not supported"):
        file.samples(16000)


@pytest.mark.parametrize("missing", [1, 5])
@pytest.mark.parametrize("name", AUDIO)
def test_cut_in_the_last_frame(media, ffmpeg, audio, tmp_path, name, missing):
    """All but the last sample or frame is there, as the command has it."""
    if name in ("aac.m4a", "alac.m4a"):
        pytest.skip("its index stands at the end")
    whole = audio(name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[:-missing])
    with media.open(whole) as file:
        expected = file.samples()
    with media.open(cut) as file:
        assert file.info().channel_count == 2
        samples = file.samples()
    # Some bytes of PCM, a page of Ogg, a frame of everything else.
    frame = {"pcm.wav": 2, "pcm-8-bits.wav": 3, "pcm-24-bits.wav": 2, "float.wav": 1}.get(name, 4800)
    frame = 48000 if name.endswith(".ogg") else frame
    assert len(expected) - frame <= len(samples) <= len(expected)
    command = reference(ffmpeg, cut, 2, 48000 if "opus" in name else 44100)
    assert abs(len(command) - len(samples)) <= frame
    common = min(len(samples), len(expected) - frame)
    assert np.abs(samples[:common] - expected[:common]).max() < 1e-6


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_cut_video_is_heard_up_to_there(media, ffmpeg, tmp_path, share):
    path = tmp_path / "video.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=2", "-f", "lavfi", "-i", "sine=duration=2", "-c:a",
        "aac", "-movflags", "+faststart", path)
    data = path.read_bytes()
    start = data.index(b"mdat")
    with media.open(data) as file:
        whole, count = file.samples(), file.info().frame_count
    with media.open(data[:start + int((len(data) - start) * share)]) as file:
        samples, seen = file.samples(), file.info().frame_count
        assert 0 < len(samples) < len(whole) and np.abs(samples - whole[:len(samples)]).max() < 1e-4
        assert 0 < seen < count or share > 0.9
        # What is counted can be seen, the last one too.
        assert file.frames([seen - 1])[0][2].shape == (48, 64, 3)


def test_damage_in_the_midst_is_told(media, audio):
    data = bytearray(audio("adts.aac").read_bytes())
    middle = data.index(b"\xff\xf1", len(data) // 2)
    data[middle + 7:middle + 60] = b"\xff" * 53
    with media.open(bytes(data)) as file, pytest.raises(MediaError, match="cannot decode the audio: ") as error:
        file.samples()
    assert error.value.status == "MALFORMED"
