"""A Whisper model by itself: writes down what is said in audio.

    with dormouse.Transcriber("path/to/whisper") as transcriber:
        print(transcriber.transcribe("speech.wav").text)
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple, Type

from . import _abi
from ._errors import error_for
from ._library import Handle, call, interruptible
from ._opening import RESIDENCY, Loading, choice
from ._values import Path, document, path_bytes, path_text, shortened, unsigned
from .media import Audio
from .options import Residency

if TYPE_CHECKING:
    from .options import TranscriptionOptions, Unpack

_STOPPED = 1  # what our callback returns to stop the work


@dataclass(frozen=True)
class Segment:
    """A piece of a transcript: what was said from one second to another."""

    start: float
    end: float
    text: str
    language: Optional[str]
    """Its code, given or detected; None for a model of one language."""
    tokens: Tuple[int, ...]
    """As the model wrote them, timestamps among them."""
    temperature: float
    """At which the segment's window was written."""
    average_log_probability: float
    compression_ratio: float
    no_speech_probability: float


@dataclass(frozen=True, repr=False)
class Transcript:
    """What was said in audio."""

    segments: Tuple[Segment, ...]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Transcript {shortened(self.text)!r}, {len(self.segments)} segments>"

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def language(self) -> Optional[str]:
        """None where nothing was said, too."""
        return self.segments[0].language if self.segments else None


class Transcriber:
    """A Whisper model opened from its folder. One call at a time; `cancel` from any thread.

    `threads`, `pin_threads`, `residency`, `memory_limit` and `progress` are as for `Engine`.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        pin_threads: bool = False,
        residency: Optional[Residency] = None,
        memory_limit: int = 0,
        progress: Optional[Callable[[int, int], object]] = None,
    ) -> None:
        self._handle = Handle("transcriber", None)
        self._path = path_text(path)
        loading = Loading(progress)
        options = _abi.engine_options(
            struct_size=ctypes.sizeof(_abi.engine_options),
            thread_count=unsigned("threads", threads, 32),
            residency=choice("residency", residency, RESIDENCY),
            memory_limit=unsigned("memory_limit", memory_limit, 64),
            progress=loading.function,
            pin_threads=1 if pin_threads else 0,
        )
        self._handle = Handle("transcriber", loading.open("transcriber", path_bytes(self._path), options))

    def close(self) -> None:
        """Frees the transcriber. A call of another thread is cancelled first. Any thread."""
        self._handle.close()

    def __repr__(self) -> str:
        name = os.path.basename(os.path.abspath(self._path))
        return f"<Transcriber {name}{'' if self._handle.is_open else ', closed'}>"

    def __enter__(self) -> "Transcriber":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def cancel(self) -> None:
        """Stops the call under way within one layer's time; that call raises CancelledError. Any thread."""
        self._handle.cancel()

    def transcribe(
        self,
        sound: Any,
        *,
        rate: Optional[int] = None,
        on_segment: Optional[Callable[[Segment], object]] = None,
        **config: "Unpack[TranscriptionOptions]",
    ) -> Transcript:
        """Writes down audio: an `Audio`, or what one is made of (a path, an open file, a file's bytes, or samples and
        their rate).

        on_segment: told each segment when its window of 30 s is done; what it raises stops the work and comes out here.
        config: language, task ("transcribe" or "translate"), timestamps, temperature, compression_ratio_threshold,
        logprob_threshold, no_speech_threshold, condition_on_prev_tokens, seed, time_limit, as dormouse.h describes
        them.
        """
        if isinstance(sound, Audio):
            if rate is not None:
                raise ValueError("an Audio has its rate already")
        else:
            sound = Audio(sound, rate=rate)
        segments: List[Segment] = []
        failures: List[BaseException] = []

        def receive(_: Optional[int], pointer: Any) -> int:
            try:
                segments.append(_segment(pointer.contents))
                if on_segment is not None:
                    on_segment(segments[-1])
            except BaseException as failure:  # raised below
                failures.append(failure)
                return _STOPPED
            if not self._handle.is_open:  # on_segment has closed it
                failures.append(error_for(_abi.ERROR_CANCELLED, "the transcriber was closed"))
                return _STOPPED
            return 0

        function = _abi.segment_fn(receive)
        options = document(config)

        def run() -> int:
            with self._handle as pointer:
                return call("transcriber_run", pointer, sound.pointer, options, function, None)

        interruptible(run, self.cancel)
        if failures:
            raise failures[0]
        return Transcript(tuple(segments))


def _segment(segment: _abi.segment) -> Segment:
    text = ctypes.string_at(segment.text, segment.text_length) if segment.text_length else b""
    language = ctypes.string_at(segment.language, segment.language_length) if segment.language_length else None
    return Segment(
        start=segment.start,
        end=segment.end,
        text=text.decode("utf-8", "replace"),
        language=None if language is None else language.decode("utf-8", "replace"),
        tokens=tuple(segment.tokens[: segment.token_count]),
        temperature=segment.temperature,
        average_log_probability=segment.average_log_probability,
        compression_ratio=segment.compression_ratio,
        no_speech_probability=segment.no_speech_probability,
    )
