"""Has espeak-ng say digits and words in several voices, and keeps the sounds in one file.

    python speech.py run/speech.npz
"""

import argparse
import io
import random
import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import stable_hash

RATE = 16_000
LONGEST = 4.0  # seconds; a window of the audio tower

# The words that are learned, English and Chinese, from `words.py`
WORDS = [
    ("cat", "猫"), ("dog", "狗"), ("bird", "鸟"), ("fish", "鱼"), ("horse", "马"), ("tiger", "老虎"), ("rabbit", "兔子"),
    ("apple", "苹果"), ("banana", "香蕉"), ("lemon", "柠檬"), ("table", "桌子"), ("train", "火车"), ("bicycle", "自行车"),
    ("teacher", "老师"), ("doctor", "医生"), ("flower", "花"), ("water", "水"), ("mountain", "山"), ("moon", "月亮"),
    ("bread", "面包"), ("milk", "牛奶"), ("mother", "妈妈"), ("school", "学校"), ("music", "音乐"),
]
LANGUAGES = {
    "en": ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029"],
    "zh": ["cmn"],
}
VARIANTS = ["", "+m1", "+m3", "+m4", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+Andy", "+linda", "+steph", "+adam"]
SPOKEN_DIGITS = {
    "en": "zero one two three four five six seven eight nine".split(),
    "zh": list("零一二三四五六七八九"),
}
SEPARATORS = {"en": ", ", "zh": ","}


@dataclass(frozen=True)
class Utterance:
    """words: what is said, digits as digits."""

    language: str
    words: tuple[str, ...]
    voice: str
    rate: int  # words a minute
    pitch: int  # 0 to 99

    @property
    def held_out(self) -> bool:
        """One in ten pairs of text and voice is only for the examination, at whatever rate and pitch."""
        return stable_hash(f"speech {' '.join(self.words)} {self.voice}") % 10 == 0

    @property
    def text(self) -> str:
        spoken = SPOKEN_DIGITS[self.language]
        return SEPARATORS[self.language].join(spoken[int(w)] if w.isdigit() else w for w in self.words)


def random_utterance(rng: random.Random) -> Utterance:
    language = rng.choice(("en", "zh"))
    if rng.random() < 0.5:
        words = tuple(str(rng.randrange(10)) for _ in range(rng.choice((1, 1, 2, 3))))
    else:
        words = (rng.choice(WORDS)[0 if language == "en" else 1],)
    voice = rng.choice(LANGUAGES[language]) + rng.choice(VARIANTS)
    return Utterance(language, words, voice, rng.randint(120, 200), rng.randint(25, 75))


def speak(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Samples from -1 to 1 and their rate, silence at both ends cut off."""
    command = ["espeak-ng", "-v", utterance.voice, "-s", str(utterance.rate), "-p", str(utterance.pitch), "--stdout",
               utterance.text]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(1 << 24), "<i2").astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if len(loud) == 0:
        raise ValueError(f"espeak-ng says nothing for {utterance}")
    return samples[loud[0]: loud[-1] + 1], rate


def resample(samples: np.ndarray, rate: int, to: int = RATE) -> np.ndarray:
    """By zeros or cuts in the spectrum: exact for what both rates can hold."""
    count = round(len(samples) * to / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(count // 2 + 1, spectrum.dtype)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    return (np.fft.irfft(kept, count) * count / len(samples)).astype(np.float32)


def noisy(rng: random.Random, samples: np.ndarray) -> np.ndarray:
    """Loudness, silence at both ends, noise of the room: what a microphone adds."""
    gain = rng.uniform(0.25, 1.0) / max(1e-3, float(np.abs(samples).max()))
    noise = np.random.default_rng(rng.getrandbits(32))
    room = [np.zeros(int(rng.uniform(0.02, 0.35) * RATE), np.float32) for _ in range(2)]
    sound = np.concatenate([room[0], samples * gain, room[1]])[: int(LONGEST * RATE)]
    level = float(np.sqrt(np.mean((samples * gain) ** 2))) * 10 ** (-rng.uniform(12, 40) / 20)
    hiss = noise.standard_normal(len(sound)).astype(np.float32)
    if rng.random() < 0.5:  # a duller noise
        hiss = np.convolve(hiss, np.ones(5, np.float32) / 5**0.5, "same")
    return np.clip(sound + level * hiss, -1, 1).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=14_000)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    rng, wanted = random.Random(arguments.seed), []
    while len(wanted) < arguments.count:
        utterance = random_utterance(rng)
        if not utterance.held_out:
            wanted.append(utterance)
    with ThreadPoolExecutor(2) as pool:
        sounds = list(pool.map(lambda u: resample(*speak(u)), wanted))
    kept = [(u, s) for u, s in zip(wanted, sounds) if len(s) < (LONGEST - 0.3) * RATE]
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        arguments.file,
        samples=np.concatenate([np.int16(s.clip(-1, 1) * 32767) for _, s in kept]),
        lengths=np.array([len(s) for _, s in kept]),
        languages=np.array([u.language for u, _ in kept]),
        words=np.array([" ".join(u.words) for u, _ in kept]))
    print(f"{len(kept)} sounds, {sum(len(s) for _, s in kept) / RATE:.0f} s")


if __name__ == "__main__":
    main()
