"""What an answer is made of: events as they come, and the whole."""

from __future__ import annotations

import ctypes
import functools
import json
from dataclasses import dataclass, field
from typing import Any, List, Literal, Optional, Tuple

from . import _abi
from ._errors import IncompleteAnswerError
from ._forms import Parser
from ._values import shortened

FinishReason = Literal["stop", "length", "context", "time"]

_KINDS = {_abi.EVENT_PROMPT: "prompt", _abi.EVENT_TOKEN: "token", _abi.EVENT_END: "end"}
_FINISH: "dict[int, FinishReason]" = {
    _abi.FINISH_STOP: "stop", _abi.FINISH_LENGTH: "length", _abi.FINISH_CONTEXT: "context", _abi.FINISH_TIME: "time",
}


@dataclass(frozen=True, repr=False)
class Event:
    """One step of an answer. The texts of all events together are the answer."""

    kind: str
    """"prompt" (a chunk of the prompt is done, or a part of its media encoded), "token", or "end"."""
    text: str
    """Whole characters; empty while a character or a stop string is unfinished."""
    token: Optional[int]
    log_probability: Optional[float]
    """Natural logarithm, when logprobs were asked for."""
    alternatives: Tuple[Tuple[int, float], ...]
    """The most probable tokens and their log-probabilities, best first."""
    finish_reason: Optional[FinishReason]
    """At the end: "stop", "length", "context" or "time"."""
    prompt_tokens: int
    prompt_done: int
    prompt_reused: int
    prompt_shared: int
    """Tokens of the prompt that other sessions had computed."""
    generated_tokens: int
    prompt_seconds: float
    generation_seconds: float
    waiting_seconds: float
    image_tokens: int
    """Of the prompt's tokens, those that stand for images."""
    video_tokens: int
    audio_tokens: int
    transcribed_tokens: int
    """Tokens that the speech model has written for this call."""
    transcribed_seconds: float
    """Of the audio whose transcripts stand in the prompt."""

    def __repr__(self) -> str:
        if self.kind == "token":
            return f"<Event token {self.token} {self.text!r}>"
        if self.kind == "end":
            return f"<Event end, {self.finish_reason}, {self.generated_tokens} tokens{_shown(self.text)}>"
        return f"<Event {self.kind} {self.prompt_done} of {self.prompt_tokens} tokens>"


@dataclass(repr=False)
class Answer:
    """A whole answer."""

    text: str = ""
    tokens: List[int] = field(default_factory=list)
    log_probabilities: List[float] = field(default_factory=list)
    end: Optional[Event] = None
    """The last event: finish_reason, counts and times."""
    _parser: Optional[Parser] = field(default=None, repr=False, compare=False)

    @property
    def finish_reason(self) -> Optional[FinishReason]:
        return self.end.finish_reason if self.end else None

    @functools.cached_property
    def parsed(self) -> Any:
        """An instance of the class that `constraint` or `response_format` named, or a schema's JSON as `json.loads` has it;
        None where the answer was to have no such form.

        An answer that was cut off is an IncompleteAnswerError; what a class of its own refuses is that class's error.
        """
        if self._parser is None:
            return None
        if self.finish_reason != "stop":
            raise IncompleteAnswerError(self.finish_reason, self.text)
        try:
            json.loads(self.text)
        except ValueError:  # a stop string has cut it
            raise IncompleteAnswerError(self.finish_reason, self.text) from None
        return self._parser(self.text)

    def add(self, event: Event) -> None:
        self.text += event.text
        if event.token is not None:
            self.tokens.append(event.token)
        if event.log_probability is not None:
            self.log_probabilities.append(event.log_probability)
        if event.kind == "end":
            self.end = event

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Answer {shortened(self.text)!r}, {len(self.tokens)} tokens, {self.finish_reason or 'not at its end'}>"


def _shown(text: str) -> str:
    return f" {text!r}" if text else ""


def event_of(event: _abi.event, has_log_probabilities: bool) -> Event:
    """What a callback of the library is told, to keep."""
    is_token = event.kind == _abi.EVENT_TOKEN
    # Text comes in whole characters, so each piece can be decoded alone.
    text = ctypes.string_at(event.text, event.text_length) if event.text_length else b""
    return Event(
        kind=_KINDS.get(event.kind, str(event.kind)),
        text=text.decode("utf-8", "replace"),
        token=event.token if is_token else None,
        log_probability=event.log_probability if is_token and has_log_probabilities else None,
        alternatives=tuple(
            (event.alternatives[index].token, event.alternatives[index].log_probability)
            for index in range(event.alternative_count)
        ),
        finish_reason=_FINISH.get(event.finish_reason),
        prompt_tokens=event.prompt_tokens,
        prompt_done=event.prompt_done,
        prompt_reused=event.prompt_reused,
        prompt_shared=event.prompt_shared,
        generated_tokens=event.generated_tokens,
        prompt_seconds=event.prompt_seconds,
        generation_seconds=event.generation_seconds,
        waiting_seconds=event.waiting_seconds,
        image_tokens=event.image_tokens,
        video_tokens=event.video_tokens,
        audio_tokens=event.audio_tokens,
        transcribed_tokens=event.transcribed_tokens,
        transcribed_seconds=event.transcribed_seconds,
    )
