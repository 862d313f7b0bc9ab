"""The options of calls, for type checkers: what they mean stands in dormouse.h and docs/python.md."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Dict, Literal, Mapping, Optional, Protocol, Sequence, Type, TypedDict, Union

if TYPE_CHECKING:  # Python has it since 3.11
    if sys.version_info >= (3, 11):
        from typing import Unpack as Unpack
    else:
        from typing_extensions import Unpack as Unpack

Message = Mapping[str, Any]
"""{"role": ..., "content": ...}; the content is a text, or a list of texts, media and parts, or None."""

Messages = Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A text (one message of the user's), one message, a list of messages, or an object {"messages": [...], ...}."""

CacheType = Literal["f32", "bf16", "int8"]
Residency = Literal["memory", "mapped"]
WeightsType = Literal["native", "int8", "int4"]
Attention = Literal["expanded", "absorbed"]
Overflow = Literal["stop", "slide"]


class FormAdapter(Protocol):
    """What stands for a form that is no class: pydantic's TypeAdapter of a union, say."""

    def json_schema(self) -> Dict[str, Any]: ...

    def validate_json(self, data: str, /) -> Any: ...


Form = Union[Mapping[str, Any], Type[Any], FormAdapter]
"""A form as dormouse.h has it; or a pydantic model, a dataclass or another class, which `Answer.parsed` is an instance of."""


class GenerationOptions(TypedDict, total=False):
    """Of `Session.generate` and `Session.agenerate`: the members of dormouse_session_generate's config."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Union[Mapping[int, float], Mapping[str, float]]
    seed: int
    stop: Union[str, Sequence[str]]
    stop_token_ids: Sequence[int]
    logprobs: int
    logprobs_of: Literal["model", "sampled"]
    ignore_eos: bool
    priority: int
    time_limit: float
    constraint: Form
    response_format: Form
    parts: bool
    answer_format: str
    thinking: Union[bool, Mapping[str, int]]
    reasoning_effort: str
    language: Mapping[str, Any]


class EmbeddingOptions(TypedDict, total=False):
    """Of `Session.embed` and `Engine.embed`: the members of dormouse_session_embed's config."""

    pooling: Literal["last", "mean"]
    normalize: bool
    priority: int
    time_limit: float


class TemplateOptions(TypedDict, total=False):
    """What goes to the model's chat template beside the messages."""

    tools: Optional[Sequence[Mapping[str, Any]]]
    add_generation_prompt: bool
    continue_final_message: Union[bool, str]
    chat_template: str
    template_variables: Mapping[str, Any]


class ChatOptions(GenerationOptions, TemplateOptions, total=False):
    """Of `Session.chat` and `Session.achat`.

    With `tools` the answer comes in parts; with `parts=False` beside them it is one text, as the model writes it.
    """

    tool_choice: Union[str, Mapping[str, Any]]
    parallel_tool_calls: bool


class SessionOptions(TypedDict, total=False):
    """Of `Engine.session` and `Engine.plan`."""

    context_length: int
    cache: Optional[CacheType]
    attention: Optional[Attention]
    private: bool
    overflow: Optional[Overflow]
    keep_tokens: int


class MediaOptions(TypedDict, total=False):
    """Of `Engine`'s `media`: the members of dormouse_engine_options.media_config."""

    roots: Sequence[Union[str, "os.PathLike[str]"]]
    base: Union[str, "os.PathLike[str]"]
    max_bytes: int
    max_pixels: int
    max_frames: int
    max_seconds: float
    max_output_bytes: int
    time_limit: float
    cache_bytes: int
    speech_model: Union[str, "os.PathLike[str]"]


class TranscriptionOptions(TypedDict, total=False):
    """Of `Transcriber.transcribe`: the members of dormouse_transcriber_run's config."""

    language: str
    task: Literal["transcribe", "translate"]
    timestamps: bool
    temperature: Union[float, Sequence[float]]
    compression_ratio_threshold: Optional[float]
    logprob_threshold: Optional[float]
    no_speech_threshold: Optional[float]
    condition_on_prev_tokens: bool
    seed: int
    time_limit: float
