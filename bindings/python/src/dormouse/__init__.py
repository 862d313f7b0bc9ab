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
from .engine import Engine
from .media import Audio, Image, Video
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
from .session import Answer, Event, Session, Stream
from .transcriber import Segment, Transcriber, Transcript

__all__ = [
    "Answer",
    "Audio",
    "BusyError",
    "CancelledError",
    "ContextFullError",
    "DormouseError",
    "Engine",
    "Event",
    "Image",
    "InputOutputError",
    "InstructionSets",
    "InternalError",
    "InvalidArgumentError",
    "LatentCache",
    "LibraryNotFoundError",
    "MachineLimits",
    "MalformedError",
    "NotFoundError",
    "NumericalError",
    "OutOfMemoryError",
    "OverloadedError",
    "PackedMatrix",
    "Router",
    "Segment",
    "Session",
    "Stream",
    "TimedOutError",
    "Transcriber",
    "Transcript",
    "UnsupportedError",
    "Video",
    "force_instruction_set",
    "instruction_sets",
    "measure_machine",
    "multiply",
    "version",
]
