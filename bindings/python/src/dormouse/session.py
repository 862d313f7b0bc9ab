"""One timeline of tokens over an engine, and the answers it gives."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import queue
import weakref
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Type, Union

from . import _abi, _arrays
from ._library import Handle, Worker, call, filled, interruptible, library
from ._messages import Messages, messages_json
from .media import attachments

if TYPE_CHECKING:
    from .engine import Engine

_KINDS = {_abi.EVENT_PROMPT: "prompt", _abi.EVENT_TOKEN: "token", _abi.EVENT_END: "end"}
_FINISH = {
    _abi.FINISH_STOP: "stop", _abi.FINISH_LENGTH: "length", _abi.FINISH_CONTEXT: "context",
    _abi.FINISH_TIME: "time",
}
_STOPPED = 1  # what our callback returns to stop the work


@dataclass(frozen=True)
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
    finish_reason: Optional[str]
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
    """Of the prompt's tokens, those that stand for pictures."""
    video_tokens: int
    audio_tokens: int
    transcribed_tokens: int
    """Tokens that the speech model has written for this call."""
    transcribed_seconds: float
    """Of the sounds whose transcripts stand in the prompt."""


@dataclass
class Answer:
    """A whole answer."""

    text: str = ""
    tokens: List[int] = field(default_factory=list)
    log_probabilities: List[float] = field(default_factory=list)
    end: Optional[Event] = None
    """The last event: finish_reason, counts and times."""

    @property
    def finish_reason(self) -> Optional[str]:
        return self.end.finish_reason if self.end else None

    def add(self, event: Event) -> None:
        self.text += event.text
        if event.token is not None:
            self.tokens.append(event.token)
        if event.log_probability is not None:
            self.log_probabilities.append(event.log_probability)
        if event.kind == "end":
            self.end = event


class Session:
    """One timeline of tokens. One call at a time; `cancel` from any thread. `Engine.session` opens one."""

    def __init__(self, engine: "Engine", handle: Handle) -> None:
        self.engine = engine
        self._handle = handle
        self._stream: Optional[Stream] = None

    def close(self) -> None:
        """Ends what is under way and frees the session."""
        if self._stream is not None:
            self._stream.close()
        self._handle.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Tokens in the session."""
        length = ctypes.c_size_t()
        call("session_length", ctypes.byref(length), self._handle.pointer)
        return length.value

    def __bool__(self) -> bool:
        """Whether the session is open: an empty session is no less a session."""
        return self._handle.is_open

    def cancel(self) -> None:
        """Stops the call under way within one layer's time; that call raises CancelledError. Any thread."""
        if self._handle.is_open:
            library().dormouse_session_cancel(self._handle.pointer)

    def truncate(self, length: int) -> None:
        """Keeps the first `length` tokens."""
        if length < 0:
            raise ValueError(f"length is {length}, less than 0")
        call("session_truncate", self._handle.pointer, length)

    def fork(self) -> "Session":
        """A second session with the same tokens, which goes its own way from here on. No page is copied."""
        pointer = ctypes.c_void_p()
        call("session_fork", ctypes.byref(pointer), self._handle.pointer)
        return Session(self.engine, Handle("session", pointer.value, self._handle.keep))

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes tokens, cache and logits to a file, which appears whole or not at all."""
        call("session_save", self._handle.pointer, os.fsencode(path))

    def restore(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Makes the session what was saved. When the file does not fit, the session is as it was."""
        call("session_restore", self._handle.pointer, os.fsencode(path))

    def prefill(self, tokens: Sequence[int]) -> None:
        """Appends tokens."""
        ids = _arrays.tokens(tokens)
        pointer = self._handle.pointer
        interruptible(lambda: call("session_prefill", pointer, ids, len(ids)), self.cancel)

    def prefill_logits(self, tokens: Sequence[int]) -> Any:
        """Appends tokens; the logits after each, float32 [tokens, vocabulary]."""
        ids = _arrays.tokens(tokens)
        pointer = self._handle.pointer
        buffer = interruptible(
            lambda: filled(ctypes.c_float, "session_prefill_logits", pointer, ids, len(ids)), self.cancel
        )
        return _arrays.shaped(buffer, [len(ids), len(buffer) // max(1, len(ids))])

    def logits(self) -> Any:
        """The logits after the last token, float32 [vocabulary]."""
        buffer = filled(ctypes.c_float, "session_logits", self._handle.pointer)
        return _arrays.shaped(buffer, [len(buffer)])

    def generate(self, prompt: Union[str, Sequence[int]] = (), *, stream: bool = True, **config: Any) -> Any:
        """Appends tokens (or the tokens of a text, with no template) and goes on from there.

        config: max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty,
        logit_bias, seed, stop, logprobs, ignore_eos, priority, time_limit, as dormouse.h describes them.
        Gives a `Stream` of events, or with stream=False the whole `Answer`.
        """
        if isinstance(prompt, str):
            prompt = self.engine.tokenize(prompt, add_special=len(self) == 0)
        ids = _arrays.tokens(prompt)
        return self._answer("session_generate", (ids, len(ids)), config, stream)

    def chat(self, messages: Messages, *, stream: bool = True, tools: Any = None, **config: Any) -> Any:
        """Answers a chat; of the growing list of messages only what is new is computed.

        A message's content is a text, or a list of texts, `Image`, `Video` and `Audio`, PIL images, arrays of pixels,
        and parts as dormouse.h describes them.
        `tools`, `add_generation_prompt` and `template_variables` go to the template, the rest is as for `generate`.
        """
        fields: Dict[str, Any] = {} if tools is None else {"tools": tools}
        for name in ("add_generation_prompt", "template_variables"):
            if name in config:
                fields[name] = config.pop(name)
        document, media = messages_json(messages, fields)
        return self._answer("session_chat_with_attachments", (document, *attachments(media)), config, stream, keep=media)

    def _answer(
        self, name: str, arguments: Tuple[Any, ...], config: Dict[str, Any], stream: bool, keep: Any = None
    ) -> Any:
        if self._stream is not None:
            self._stream.close()
        document = json.dumps(config).encode("utf-8")
        pointer = self._handle.pointer

        def run(function: Any, keep: Any = keep) -> int:
            return call(name, pointer, *arguments, document, function, None)

        answer = Stream(run, self.cancel, has_log_probabilities=bool(config.get("logprobs")))
        self._stream = answer
        if stream:
            return answer
        with answer:
            return answer.answer()


class Stream(Iterator[Event]):
    """The events of an answer as they come. Leaving it (`close`, or the end of a with statement) stops the work.

    The library works on a thread of its own; what went wrong there is raised here. Nothing starts before the first
    event is asked for.
    """

    def __init__(
        self, run: Callable[[Any], int], cancel: Callable[[], None], *, has_log_probabilities: bool
    ) -> None:
        self._run = run
        self._cancel = cancel
        self._has_log_probabilities = has_log_probabilities
        self._events: "queue.SimpleQueue[Union[Event, BaseException, None]]" = queue.SimpleQueue()
        self._answer = Answer()
        self._worker: Optional[Worker] = None
        self._is_closed = False
        self._is_done = False
        self._function = _abi.event_fn(self._receive)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Event:
        if self._is_done or self._is_closed:
            raise StopIteration
        try:
            self._start()
            item = self._events.get()
        except BaseException:
            self.close()
            raise
        if isinstance(item, Event):
            self._answer.add(item)
            return item
        self._is_done = True
        if self._worker is not None:
            self._worker.wait()
        if item is not None:
            raise item
        raise StopIteration

    def answer(self) -> Answer:
        """Waits for the rest; the whole answer."""
        for _ in self:
            pass
        return self._answer

    def text(self) -> str:
        """Waits for the rest; the text of the whole answer."""
        return self.answer().text

    def close(self) -> None:
        """Stops the work and waits until the session is free again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._worker is not None and not self._is_done:
            self._worker.stop(self._cancel)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _start(self) -> None:
        if self._worker is None:
            _working.add(self)
            self._worker = Worker(self._work)
            self._worker.start()

    def _work(self) -> None:
        try:
            self._run(self._function)
            self._events.put(None)
        except BaseException as failure:  # raised where the events are read
            self._events.put(failure)

    def _receive(self, _: Optional[int], pointer: Any) -> int:
        if self._is_closed:
            return _STOPPED
        try:
            self._events.put(_event(pointer.contents, self._has_log_probabilities))
        except BaseException as failure:
            self._events.put(failure)
            return _STOPPED
        return 0


_working: "weakref.WeakSet[Stream]" = weakref.WeakSet()


@atexit.register
def _close_streams() -> None:
    """No thread may be inside the library while the interpreter goes away under its callback."""
    for stream in list(_working):
        stream.close()


def _event(event: _abi.event, has_log_probabilities: bool) -> Event:
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
