"""One loaded model, shared by its sessions."""

from __future__ import annotations

import ctypes
import json
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

from . import _abi, _arrays, _embedding
from ._errors import DormouseError
from ._library import Handle, call, filled, text
from ._messages import messages_json, template_fields
from ._opening import RESIDENCY, Loading, choice
from ._values import Path, document, path_bytes, path_text, unsigned
from .media import attachments
from .options import Attention, CacheType, MediaOptions, Messages, Overflow, Residency, WeightsType
from .session import Prompt, Session

if TYPE_CHECKING:
    from .options import EmbeddingOptions, GenerationOptions, SessionOptions, TemplateOptions, Unpack

_WEIGHTS = {
    None: _abi.WEIGHTS_DEFAULT, "native": _abi.WEIGHTS_NATIVE, "int8": _abi.WEIGHTS_INT8, "int4": _abi.WEIGHTS_INT4,
}
_CACHE = {None: _abi.CACHE_DEFAULT, "f32": _abi.CACHE_F32, "bf16": _abi.CACHE_BF16, "int8": _abi.CACHE_INT8}
_OVERFLOW = {None: _abi.OVERFLOW_DEFAULT, "stop": _abi.OVERFLOW_STOP, "slide": _abi.OVERFLOW_SLIDE}
_ATTENTION = {
    None: _abi.ATTENTION_DEFAULT, "expanded": _abi.ATTENTION_EXPANDED, "absorbed": _abi.ATTENTION_ABSORBED,
}

_BATCH_LIMIT = 16  # the library's own


class Engine:
    """A model opened from its folder (or a file in it).

    `pin_threads` binds each of the engine's own threads to one processor.
    `progress(done, total)` is told the bytes loaded, and `log(level, message)` what the library has to say (levels
    1 error to 4 debug); both may be called on any thread. What `progress` raises stops the loading and comes out here.

    `packed_cache` is where int8 and int4 weights are kept packed for the next start: a folder's path, "model"
    (.dormouse in the model's folder) or "user" (dormouse in the user's cache folder). What fails with it goes to the
    log alone. The file is written while the engine is at work already; closing the last of the engine and its sessions
    waits for it.

    `cache_limit` and `prefix_cache` bound, in bytes, the cache pages of all sessions, and those that are kept for later
    sessions with the same beginning (False: none). `batch_limit` sessions are computed at a time, and `queue_limit`
    more may wait; `prompt_tokens_per_step` bounds what one session's prompt costs another's token. 0: the defaults.

    `media` is about the files that messages name or hold, as dormouse.h describes media_config: {"roots": [folders],
    "max_pixels": ..., "speech_model": a Whisper folder that transcribes audio for a model that does not hear, ...}.
    `Image`, `Video` and `Audio` of your own program need no roots.

    `generation_defaults` are options of `Session.generate` that hold for all answers, over the model's own and under
    those of each call.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        pin_threads: bool = False,
        residency: Optional[Residency] = None,
        weights: Optional[WeightsType] = None,
        memory_limit: int = 0,
        cache_limit: int = 0,
        prefix_cache: Union[bool, int] = True,
        batch_limit: int = 0,
        queue_limit: int = 0,
        prompt_tokens_per_step: int = 0,
        without_weights: bool = False,
        packed_cache: Optional[Path] = None,
        media: Optional[MediaOptions] = None,
        generation_defaults: "Optional[GenerationOptions]" = None,
        progress: Optional[Callable[[int, int], object]] = None,
        log: Optional[Callable[[int, str], object]] = None,
    ) -> None:
        self._handle = Handle("engine", None)
        self._batch_limit = batch_limit or _BATCH_LIMIT
        self._path = path_text(path)
        self._facts: Optional[Dict[str, Any]] = None
        # The library may log as long as the engine or a session of it lives: their handles hold on to this.
        self._log = _log_function(log)
        loading = Loading(progress)
        options = _abi.engine_options(
            struct_size=ctypes.sizeof(_abi.engine_options),
            flags=(_abi.ENGINE_WITHOUT_WEIGHTS if without_weights else 0)
            | (0 if prefix_cache else _abi.ENGINE_WITHOUT_PREFIX_CACHE),
            thread_count=unsigned("threads", threads, 32),
            residency=choice("residency", residency, RESIDENCY),
            weights=choice("weights", weights, _WEIGHTS),
            memory_limit=unsigned("memory_limit", memory_limit, 64),
            progress=loading.function,
            log=self._log,
            pin_threads=1 if pin_threads else 0,
            packed_cache_folder=_packed_cache_folder(self._path, packed_cache),
            cache_limit=unsigned("cache_limit", cache_limit, 64),
            prefix_cache_limit=0 if isinstance(prefix_cache, bool) else unsigned("prefix_cache", prefix_cache, 64),
            batch_limit=unsigned("batch_limit", batch_limit, 32),
            queue_limit=unsigned("queue_limit", queue_limit, 32),
            prompt_tokens_per_step=unsigned("prompt_tokens_per_step", prompt_tokens_per_step, 32),
            media_config=None if media is None else _media_config(media),
            generation_defaults=None if generation_defaults is None else document(generation_defaults),
        )
        self._handle = Handle("engine", loading.open("engine", path_bytes(self._path), options), self._log)

    def close(self) -> None:
        """Frees the engine; sessions that are open keep what they need, and go on. Any thread."""
        self._handle.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._handle.is_open:
            return f"<Engine {self.name}, closed>"
        try:
            facts = self._known()
            return f"<Engine {facts['model_type']} {self.name}, weights {facts['weights']['precision']}>"
        except (DormouseError, KeyError):
            return f"<Engine {self.name}>"

    @property
    def name(self) -> str:
        """The last part of the model's path."""
        return os.path.basename(os.path.abspath(self._path))

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the model: ids are less, and logits have so many columns."""
        return int(self._known()["vocabulary_size"])

    @property
    def end_tokens(self) -> Tuple[int, ...]:
        """Ids of the tokens that end an answer."""
        return tuple(int(token) for token in self._known()["text"]["end_tokens"])

    def _known(self) -> Dict[str, Any]:
        """`info`, asked for once: it does not change."""
        if self._facts is None:
            self._facts = self.info()
        return self._facts

    def info(self) -> Dict[str, Any]:
        """What the model is: architecture, parameters, types, cache bytes a token, ..."""
        return self._document("engine_info")

    def statistics(self) -> Dict[str, Any]:
        """What the engine does and has done: sessions, steps, tokens, seconds, cache pages and hits."""
        return self._document("engine_statistics")

    def plan(self, **options: "Unpack[SessionOptions]") -> Dict[str, int]:
        """The bytes that the engine and one session of these options (see `session`) take at most."""
        return self._document("engine_plan", ctypes.byref(_session_options(**options)))

    def _document(self, name: str, *arguments: Any) -> Dict[str, Any]:
        with self._handle as pointer:
            document: Dict[str, Any] = json.loads(text(name, pointer, *arguments))
        return document

    def tokenize(
        self, content: Union[str, bytes], *, add_special: bool = False, parse_special: bool = False
    ) -> List[int]:
        """The ids of a text. Control tokens in it are plain text unless `parse_special`."""
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else bytes(content)
        flags = (_abi.TOKENIZE_ADD_SPECIAL if add_special else 0) | (
            _abi.TOKENIZE_PARSE_SPECIAL if parse_special else 0
        )
        with self._handle as pointer:
            return list(filled(ctypes.c_int32, "engine_tokenize", pointer, data, len(data), flags))

    def detokenize(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of a list of ids; what is not UTF-8 becomes U+FFFD."""
        ids = _arrays.tokens(tokens)
        flags = _abi.DETOKENIZE_SKIP_SPECIAL if skip_special else 0
        with self._handle as pointer:
            return text("engine_detokenize", pointer, ids, len(ids), flags).decode("utf-8", "replace")

    def render_messages(self, messages: Messages, **fields: "Unpack[TemplateOptions]") -> str:
        """The prompt that the model's template makes of a chat (see `Session.chat`).

        `fields` go beside the messages: tools, add_generation_prompt, continue_final_message (True, or the name of a
        member: the last message stays open), chat_template (the name of one of the model's), template_variables.
        """
        content, _ = messages_json(messages, _template_fields(fields))
        with self._handle as pointer:
            return text("engine_render_messages", pointer, content).decode("utf-8")

    def tokenize_messages(self, messages: Messages, **fields: "Unpack[TemplateOptions]") -> List[int]:
        """The ids of that prompt; control tokens come from the template alone."""
        content, media = messages_json(messages, _template_fields(fields))
        name = "engine_tokenize_messages_with_attachments"
        with self._handle as pointer:
            return list(filled(ctypes.c_int32, name, pointer, content, *attachments(media)))

    def embed(
        self, texts: Sequence[Prompt], *, add_special: bool = True, **options: "Unpack[EmbeddingOptions]"
    ) -> Any:
        """An embedding of each text, or list of ids: float32 [texts, hidden_size].

        Options are those of `Session.embed`; time_limit is for all texts together. As many sessions as the engine
        computes at a time (`batch_limit`) take text after text, beside what other sessions do. Of a text,
        `add_special` adds what the tokenizer puts around it.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a text, not a list of texts")
        ids = [self.tokenize(text, add_special=add_special) if isinstance(text, str) else text for text in texts]
        return _embedding.embed(self, ids, self._batch_limit, dict(options))

    def session(
        self,
        *,
        context_length: int = 0,
        cache: Optional[CacheType] = None,
        attention: Optional[Attention] = None,
        private: bool = False,
        reproducible: bool = False,
        overflow: Optional[Overflow] = None,
        keep_tokens: int = 0,
    ) -> Session:
        """Opens a session: one timeline of tokens.

        context_length: tokens (0: the model's maximum, but at most 4096); cache: "f32", "bf16" or "int8"
        (None: f32, and bf16 where the engine packs weights);
        attention: "expanded" or "absorbed" (None: as fits); private: neither uses what other sessions computed nor
        leaves them anything; reproducible: uses of it only what it would have computed itself, bit for bit (with int8
        and int4 weights the results are then those of a private session); overflow: "stop", or "slide" to drop the
        oldest tokens behind the first `keep_tokens`.
        """
        options = _session_options(
            context_length=context_length, cache=cache, attention=attention, private=private,
            reproducible=reproducible, overflow=overflow, keep_tokens=keep_tokens,
        )
        opened = ctypes.c_void_p()
        with self._handle as pointer:
            call("session_open", ctypes.byref(opened), pointer, ctypes.byref(options))
        return Session(self, Handle("session", opened.value, self._log))


def _template_fields(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those that are known by name, and the rest, of which the library says what is wrong."""
    rest = dict(fields)
    return {**template_fields(rest), **rest}


def _log_function(log: Optional[Callable[[int, str], object]]) -> Any:
    if log is None:
        return _abi.log_fn()
    receiver = log

    def report(_: Optional[int], level: int, message: Optional[int], length: int) -> None:
        content = ctypes.string_at(message, length) if message else b""
        receiver(level, content.decode("utf-8", "replace"))

    return _abi.log_fn(report)


def _session_options(
    *,
    context_length: int = 0,
    cache: Optional[str] = None,
    attention: Optional[str] = None,
    private: bool = False,
    reproducible: bool = False,
    overflow: Optional[str] = None,
    keep_tokens: int = 0,
) -> _abi.session_options:
    return _abi.session_options(
        struct_size=ctypes.sizeof(_abi.session_options),
        context_length=unsigned("context_length", context_length, 32),
        cache=choice("cache", cache, _CACHE),
        attention=choice("attention", attention, _ATTENTION),
        flags=(_abi.SESSION_PRIVATE if private else 0) | (_abi.SESSION_REPRODUCIBLE if reproducible else 0),
        overflow=choice("overflow", overflow, _OVERFLOW),
        keep_tokens=unsigned("keep_tokens", keep_tokens, 32),
    )


def _media_config(media: Mapping[str, Any]) -> bytes:
    config = dict(media)
    if isinstance(config.get("roots"), (list, tuple)):
        config["roots"] = [path_text(folder) for folder in config["roots"]]
    for name in ("base", "speech_model"):
        if config.get(name) is not None:
            config[name] = path_text(config[name])
    return document(config)


def _packed_cache_folder(model: str, choice: Optional[Path]) -> Optional[bytes]:
    if choice is None:
        return None
    if choice == "model":
        folder = model if os.path.isdir(model) else os.path.dirname(model) or "."
        return path_bytes(os.path.join(folder, ".dormouse"))
    if choice == "user":
        cache = os.environ.get("XDG_CACHE_HOME", "")
        cache = cache if os.path.isabs(cache) else os.path.join(os.path.expanduser("~"), ".cache")
        return path_bytes(os.path.join(cache, "dormouse"))
    return path_bytes(choice)
