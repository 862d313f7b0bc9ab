"""What an answer is made of: events as they come, and the whole."""

from __future__ import annotations

import ctypes
import functools
import json
import math
from dataclasses import dataclass, field
from typing import Any, List, Literal, Optional, Tuple

from . import _abi
from ._errors import IncompleteAnswerError
from ._forms import Parser
from ._values import shortened

FinishReason = Literal["stop", "length", "context", "time", "tool_calls"]
Part = Literal["content", "reasoning", "tool_name", "tool_arguments", "broken_call"]

_KINDS = {
    _abi.EVENT_PROMPT: "prompt", _abi.EVENT_TOKEN: "token", _abi.EVENT_END: "end", _abi.EVENT_PART: "part",
}  # fmt: skip
_PARTS: "dict[int, Part]" = {
    _abi.PART_CONTENT: "content", _abi.PART_REASONING: "reasoning", _abi.PART_TOOL_NAME: "tool_name",
    _abi.PART_TOOL_ARGUMENTS: "tool_arguments", _abi.PART_BROKEN_CALL: "broken_call",
}  # fmt: skip
_FINISH: "dict[int, FinishReason]" = {
    _abi.FINISH_STOP: "stop", _abi.FINISH_LENGTH: "length", _abi.FINISH_CONTEXT: "context", _abi.FINISH_TIME: "time",
    _abi.FINISH_TOOL_CALLS: "tool_calls",
}


@dataclass(frozen=True, repr=False)
class Event:
    """One step of an answer. The texts of all events together are the answer; of one in parts, those of its parts."""

    kind: str
    """"prompt" (a chunk of the prompt is done, or a part of its media encoded), "token", "part" (of an answer in parts:
    text of one of them), or "end"."""
    text: str
    """Whole characters; empty while a character or a stop string is unfinished."""
    token: Optional[int]
    log_probability: Optional[float]
    """Natural logarithm, when logprobs were asked for, of the distribution that logprobs_of names."""
    alternatives: Tuple[Tuple[int, float], ...]
    """The most probable tokens and their log-probabilities, best first."""
    finish_reason: Optional[FinishReason]
    """At the end: "stop", "length", "context", "time" or "tool_calls"."""
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
    part: Optional[Part] = None
    """What the text is, of a "part": "content", "reasoning", "tool_name", "tool_arguments" or "broken_call"."""
    tool_index: int = 0
    """Of a call's parts: its place among the answer's calls."""
    tool_id: str = ""
    tool_name: str = ""
    consistency_reasoning: Optional[float] = None
    """At the end: of the letters outside of code, the share that is of the expected scripts; None where there are none, or
    nothing is expected."""
    consistency_content: Optional[float] = None

    def __repr__(self) -> str:
        if self.kind == "token":
            return f"<Event token {self.token} {self.text!r}>"
        if self.kind == "part":
            return f"<Event {self.part} {self.text!r}>"
        if self.kind == "end":
            return f"<Event end, {self.finish_reason}, {self.generated_tokens} tokens{_shown(self.text)}>"
        return f"<Event {self.kind} {self.prompt_done} of {self.prompt_tokens} tokens>"


@dataclass
class ToolCall:
    """A function that the model calls."""

    id: str
    """The model's own, or one that the library made."""
    name: str
    arguments: str = ""
    """An object in JSON, as the model wrote it."""

    def parsed(self) -> Any:
        """The arguments read. Raises ValueError for what is no JSON."""
        return json.loads(self.arguments)


@dataclass(repr=False)
class Answer:
    """A whole answer."""

    text: str = ""
    """What is shown; of an answer in parts, its content."""
    tokens: List[int] = field(default_factory=list)
    log_probabilities: List[float] = field(default_factory=list)
    end: Optional[Event] = None
    """The last event: finish_reason, counts and times."""
    reasoning: str = ""
    """What the model thought before, of an answer in parts."""
    tool_calls: List[ToolCall] = field(default_factory=list)
    """The functions that it calls, of an answer in parts."""
    broken_calls: List[str] = field(default_factory=list)
    """What was meant as calls and is none, as it was written."""
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
        if event.part is None or event.part == "content":
            self.text += event.text
        elif event.part == "reasoning":
            self.reasoning += event.text
        else:
            self._add_call(event)
        if event.token is not None:
            self.tokens.append(event.token)
        if event.log_probability is not None:
            self.log_probabilities.append(event.log_probability)
        if event.kind == "end":
            self.end = event

    def _add_call(self, event: Event) -> None:
        if event.part == "tool_name":
            self.tool_calls.append(ToolCall(event.tool_id, event.tool_name))
        elif event.part == "tool_arguments":
            self.tool_calls[-1].arguments += event.text
        elif event.tool_name:  # its beginning was told as a call
            call = self.tool_calls.pop()
            self.broken_calls.append(call.name + call.arguments + event.text)
        else:
            self.broken_calls.append(event.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Answer {shortened(self.text)!r}, {len(self.tokens)} tokens, {self.finish_reason or 'not at its end'}>"


def _shown(text: str) -> str:
    return f" {text!r}" if text else ""


def _text(address: Any, length: int) -> str:
    """Text comes in whole characters, so each piece can be decoded alone."""
    return ctypes.string_at(address, length).decode("utf-8", "replace") if length else ""


def _share(value: float) -> Optional[float]:
    return None if math.isnan(value) else value


def event_of(event: _abi.event, has_log_probabilities: bool) -> Event:
    """What a callback of the library is told, to keep."""
    is_token = event.kind == _abi.EVENT_TOKEN
    return Event(
        kind=_KINDS.get(event.kind, str(event.kind)),
        text=_text(event.text, event.text_length),
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
        part=_PARTS.get(event.part),
        tool_index=event.tool_index,
        tool_id=_text(event.tool_id, event.tool_id_length),
        tool_name=_text(event.tool_name, event.tool_name_length),
        consistency_reasoning=_share(event.consistency_reasoning),
        consistency_content=_share(event.consistency_content),
    )
