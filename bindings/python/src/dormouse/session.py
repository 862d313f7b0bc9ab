"""One timeline of tokens over an engine, and the answers it gives."""

from __future__ import annotations

import ctypes
import operator
import threading
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Literal, Optional, Sequence, Tuple, Type, Union, overload

from . import _abi, _arrays
from ._errors import BusyError, DormouseError, error_for
from ._forms import taken
from ._library import Handle, call, filled, interruptible
from ._messages import messages_json, template_fields
from ._values import Path, document, path_bytes
from ._work import Work
from .events import Answer, Event
from .media import attachments
from .options import ChatOptions, GenerationOptions, Messages
from .streams import AsyncStream, Stream

if TYPE_CHECKING:
    from .engine import Engine
    from .options import EmbeddingOptions, Unpack

__all__ = ["Answer", "AsyncStream", "Event", "Session", "Stream"]

Prompt = Union[str, Sequence[int]]


class Session:
    """One timeline of tokens. One call at a time; `cancel` and `close` from any thread. `Engine.session` opens one.

    A call while another thread is at work on the session, or while an answer of it is read, is a BusyError.
    """

    def __init__(self, engine: "Engine", handle: Handle) -> None:
        self.engine = engine
        self._handle = handle
        self._lock = threading.Lock()
        # Of the last answer: its stream and its thread hold it, the session does not.
        self._last: "Optional[weakref.ref[Work]]" = None

    def close(self) -> None:
        """Ends what is under way, on any thread, and frees the session. Who reads an answer gets a CancelledError."""
        work = self._work()
        if work is not None:
            work.cancel("the session was closed")
        self._handle.close()
        if work is not None:
            work.stop("the session was closed")

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Tokens in the session."""
        length = ctypes.c_size_t()
        with self._at_rest() as pointer:
            call("session_length", ctypes.byref(length), pointer)
        return length.value

    def __bool__(self) -> bool:
        """Whether the session is open: an empty session is no less a session."""
        return self._handle.is_open

    def __repr__(self) -> str:
        if not self:
            return "<Session closed>"
        try:
            return f"<Session of {self.engine.name}, {len(self)} tokens>"
        except BusyError:
            return f"<Session of {self.engine.name}, at work>"
        except (DormouseError, ValueError):
            return "<Session>"

    def cancel(self) -> None:
        """Stops the call under way within one layer's time; that call raises CancelledError. Any thread."""
        work = self._work()
        if work is not None and work.is_held:
            work.cancel("the session was cancelled")
        self._handle.cancel()

    def truncate(self, length: int) -> None:
        """Keeps the first `length` tokens."""
        length = operator.index(length)
        if length < 0:
            raise ValueError(f"length is {length}, less than 0")
        with self._at_rest() as pointer:
            call("session_truncate", pointer, length)

    def fork(self) -> "Session":
        """A second session with the same tokens, which goes its own way from here on. No page is copied."""
        forked = ctypes.c_void_p()
        with self._at_rest() as pointer:
            call("session_fork", ctypes.byref(forked), pointer)
        return Session(self.engine, Handle("session", forked.value, self._handle.keep))

    def save(self, path: Path) -> None:
        """Writes tokens, cache and logits to a file, which appears whole or not at all."""
        file = path_bytes(path)
        with self._at_rest() as pointer:
            call("session_save", pointer, file)

    def restore(self, path: Path) -> None:
        """Makes the session what was saved. When the file does not fit, the session is as it was."""
        file = path_bytes(path)
        with self._at_rest() as pointer:
            call("session_restore", pointer, file)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Appends tokens."""
        ids = _arrays.tokens(tokens)
        self._work_off(lambda pointer: call("session_prefill", pointer, ids, len(ids)))

    def prefill_logits(self, tokens: Sequence[int]) -> Any:
        """Appends tokens; the logits after each, float32 [tokens, vocabulary]."""
        ids = _arrays.tokens(tokens)
        buffer = self._work_off(
            lambda pointer: filled(ctypes.c_float, "session_prefill_logits", pointer, ids, len(ids))
        )
        return _arrays.shaped(buffer, [len(ids), len(buffer) // max(1, len(ids))])

    def logits(self) -> Any:
        """The logits after the last token, float32 [vocabulary]."""
        with self._at_rest() as pointer:
            buffer = filled(ctypes.c_float, "session_logits", pointer)
        return _arrays.shaped(buffer, [len(buffer)])

    def embed(self, prompt: Prompt, **options: "Unpack[EmbeddingOptions]") -> Any:
        """What the model makes of a text or of tokens behind those that the session holds: its hidden state after the
        final norm, float32 [hidden_size]. The session stays as it is.

        pooling: "last" (default), the state of the last token, or "mean" of all of them; normalize: divides it by its
        length; priority and time_limit as for `generate`. `Engine.embed` takes many texts at once.
        """
        ids, config = self._ids(prompt), document(options)
        buffer = self._work_off(
            lambda pointer: filled(ctypes.c_float, "session_embed", pointer, ids, len(ids), config)
        )
        return _arrays.shaped(buffer, [len(buffer)])

    def _embed_into(self, row: Any, ids: Any, config: bytes) -> None:
        count = ctypes.c_size_t()
        with self._handle as pointer:
            call("session_embed", row, len(row), ctypes.byref(count), pointer, ids, len(ids), config)

    # Answers

    @overload
    def generate(
        self, prompt: Prompt = (), *, stream: Literal[True] = True, **options: "Unpack[GenerationOptions]"
    ) -> Stream: ...

    @overload
    def generate(
        self, prompt: Prompt = (), *, stream: Literal[False], **options: "Unpack[GenerationOptions]"
    ) -> Answer: ...

    @overload
    def generate(
        self, prompt: Prompt = (), *, stream: bool, **options: "Unpack[GenerationOptions]"
    ) -> Union[Stream, Answer]: ...

    def generate(
        self, prompt: Prompt = (), *, stream: bool = True, **options: "Unpack[GenerationOptions]"
    ) -> Union[Stream, Answer]:
        """Appends tokens (or the tokens of a text, with no template) and goes on from there.

        Options are the members of dormouse_session_generate's config: max_tokens, temperature, seed, stop, ... (see
        `GenerationOptions`). Gives a `Stream` of events, or with stream=False the whole `Answer`.
        """
        self._refuse_a_second()
        ids = self._ids(prompt)
        return self._answer(self._generation(lambda: ids, dict(options)), stream)

    @overload
    def chat(
        self, messages: Messages, *, stream: Literal[True] = True, **options: "Unpack[ChatOptions]"
    ) -> Stream: ...

    @overload
    def chat(self, messages: Messages, *, stream: Literal[False], **options: "Unpack[ChatOptions]") -> Answer: ...

    @overload
    def chat(
        self, messages: Messages, *, stream: bool, **options: "Unpack[ChatOptions]"
    ) -> Union[Stream, Answer]: ...

    def chat(
        self, messages: Messages, *, stream: bool = True, **options: "Unpack[ChatOptions]"
    ) -> Union[Stream, Answer]:
        """Answers a chat; of the growing list of messages only what is new is computed.

        `messages` is a list of messages, one of them, or a text that the user says. A message's content is a text, or a
        list of texts, `Image`, `Video` and `Audio`, PIL images, arrays of pixels, and parts as dormouse.h has them.
        tools, add_generation_prompt, continue_final_message, chat_template and template_variables go to the template
        (`TemplateOptions`), the rest is as for `generate`. With tools or thinking the answer comes in parts: `Answer` has
        its reasoning and tool_calls apart from its text.
        """
        self._refuse_a_second()
        return self._answer(self._conversation(messages, dict(options)), stream)

    def agenerate(self, prompt: Prompt = (), **options: "Unpack[GenerationOptions]") -> AsyncStream:
        """`generate` for asyncio: `async for event in session.agenerate(...)`, or `await ....text()`.

        A text becomes tokens on the thread of the work.
        """
        self._refuse_a_second()
        return AsyncStream(self, self._generation(lambda: self._ids(prompt), dict(options)))

    def achat(self, messages: Messages, **options: "Unpack[ChatOptions]") -> AsyncStream:
        """`chat` for asyncio: `async for event in session.achat(...)`, or `await ....answer()`.

        A task that is cancelled while it waits for an event cancels the call, and goes on when the session is free.
        """
        self._refuse_a_second()
        return AsyncStream(self, self._conversation(messages, dict(options)))

    def _ids(self, prompt: Prompt) -> Any:
        if isinstance(prompt, str):
            length = ctypes.c_size_t()
            with self._handle as pointer:
                call("session_length", ctypes.byref(length), pointer)
            prompt = self.engine.tokenize(prompt, add_special=length.value == 0)
        return _arrays.tokens(prompt)

    def _generation(self, ids: Callable[[], Any], options: Dict[str, Any]) -> Work:
        def arguments() -> Tuple[Any, ...]:
            tokens = ids()
            return tokens, len(tokens)

        return self._prepared("session_generate", arguments, options)

    def _conversation(self, messages: Messages, options: Dict[str, Any]) -> Work:
        fields = template_fields(options)
        content, media = messages_json(messages, fields)

        # The media live as long as what holds this function.
        def arguments() -> Tuple[Any, ...]:
            return (content, *attachments(media))

        return self._prepared("session_chat_with_attachments", arguments, options)

    def _prepared(self, name: str, arguments: Callable[[], Tuple[Any, ...]], options: Dict[str, Any]) -> Work:
        options, parser = taken(options)
        config = document(options)
        handle = self._handle

        def run(function: Any) -> int:
            values = arguments()
            with handle as pointer:
                return call(name, pointer, *values, config, function, None)

        with handle:  # one that is closed says so at once
            return Work(run, handle, has_log_probabilities=bool(options.get("logprobs")), parser=parser)

    def _answer(self, work: Work, stream: bool) -> Union[Stream, Answer]:
        answer = Stream(self, work)
        if stream:
            return answer
        with answer:
            return answer.answer()

    # Who has the session

    def _take_for(self, work: Work) -> None:
        """Gives the session to a work that begins. Raises BusyError while another one has it."""
        while True:
            self._await_what_leaves()
            with self._lock:
                last = self._work()
                if last is not None and last is not work:
                    if last.is_held:
                        raise _busy()
                    if last.is_leaving:
                        continue
                self._last = weakref.ref(work)
                return

    def _is_left_at_work(self) -> bool:
        """Whether an answer that nobody reads any more is still stopping."""
        work = self._work()
        return work is not None and work.is_leaving

    def _work(self) -> Optional[Work]:
        return None if self._last is None else self._last()

    def _refuse_a_second(self) -> None:
        work = self._work()
        if work is not None and work.is_held:
            raise _busy()

    def _await_what_leaves(self) -> None:
        work = self._work()
        if work is not None and work.is_leaving:
            work.stop("nobody reads the answer any more")

    def _at_rest(self) -> Handle:
        """The handle, for one short call."""
        self._await_what_leaves()
        return self._handle

    def _work_off(self, work: Callable[[ctypes.c_void_p], Any]) -> Any:
        """A long call, which Ctrl-C can end."""
        self._await_what_leaves()

        def run() -> Any:
            with self._handle as pointer:
                return work(pointer)

        return interruptible(run, self._handle.cancel)


def _busy() -> BusyError:
    error = error_for(
        _abi.ERROR_BUSY,
        "the session is at work, or its last answer is not read to its end: wait, close that stream, or use a session "
        "for each thread",
    )
    assert isinstance(error, BusyError)
    return error
