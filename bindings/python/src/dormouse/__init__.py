"""Dormouse runs DeepSeek-style open weights inside your program.

    from dormouse import Engine

    with Engine("path/to/model") as engine, engine.session() as session:
        for event in session.chat([{"role": "user", "content": "What is 7 plus 5?"}]):
            print(event.text, end="", flush=True)
"""

from ._errors import (
    BusyError,
    CancelledError,
    ContextFullError,
    DormouseError,
    IncompleteAnswerError,
    InputOutputError,
    InternalError,
    InvalidArgumentError,
    LibraryNotFoundError,
    MalformedError,
    NotFoundError,
    NumericalError,
    OutOfMemoryError,
    OverloadedError,
    TimedOutError,
    UnsupportedError,
)
from ._library import version
from ._version import __version__
from .constraint import Constraint
from .engine import Engine
from .events import Answer, Event, ToolCall
from .media import Audio, Image, Media, Video
from .options import (
    ChatOptions,
    EmbeddingOptions,
    GenerationOptions,
    MediaOptions,
    Message,
    Messages,
    SessionOptions,
    TemplateOptions,
    TranscriptionOptions,
)
from .parts import (
    InstructionSets,
    LatentCache,
    MachineLimits,
    PackedMatrix,
    Router,
    force_instruction_set,
    instruction_sets,
    measure_machine,
    multiply,
)
from .session import Session
from .streams import AsyncStream, Stream
from .transcriber import Segment, Transcriber, Transcript

__all__ = [
    "Answer",
    "AsyncStream",
    "Audio",
    "BusyError",
    "CancelledError",
    "ChatOptions",
    "Constraint",
    "ContextFullError",
    "DormouseError",
    "Engine",
    "Event",
    "EmbeddingOptions",
    "GenerationOptions",
    "Image",
    "IncompleteAnswerError",
    "InputOutputError",
    "InstructionSets",
    "InternalError",
    "InvalidArgumentError",
    "LatentCache",
    "LibraryNotFoundError",
    "MachineLimits",
    "MalformedError",
    "Media",
    "MediaOptions",
    "Message",
    "Messages",
    "NotFoundError",
    "NumericalError",
    "OutOfMemoryError",
    "OverloadedError",
    "PackedMatrix",
    "Router",
    "Segment",
    "Session",
    "SessionOptions",
    "Stream",
    "TemplateOptions",
    "TimedOutError",
    "ToolCall",
    "Transcriber",
    "Transcript",
    "TranscriptionOptions",
    "UnsupportedError",
    "Video",
    "__version__",
    "force_instruction_set",
    "instruction_sets",
    "measure_machine",
    "multiply",
    "version",
]
