"""Pictures, films and sound for the messages of a chat: put them into a message's content beside the texts.

    session.chat([{"role": "user", "content": ["What is this?", dormouse.Image("photo.jpg")]}])
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, List, Optional, Sequence, Tuple, Union

from . import _abi, _arrays
from ._library import Handle, call

Path = Union[str, "os.PathLike[str]"]


class Media:
    """Something that a message holds beside text; made once, it may stand in any number of messages."""

    _kind: int
    part_type: str
    """The type of its part in a message."""

    def __init__(self) -> None:
        self._handle: Handle

    @property
    def pointer(self) -> ctypes.c_void_p:
        return self._handle.pointer

    def part(self, number: int) -> Any:
        """The part of a message that names it, as number `number` of the media beside the messages."""
        return {"type": self.part_type, self.part_type: {"url": f"attachment:{number}"}}

    def _create(self, name: str, *arguments: Any) -> None:
        pointer = ctypes.c_void_p()
        call(name, ctypes.byref(pointer), *arguments)
        self._handle = Handle("attachment", pointer.value)

    def _read(self, source: Union[Path, bytes]) -> None:
        """Reads a file, or a file's bytes, by libdormouse_media."""
        if isinstance(source, (bytes, bytearray, memoryview)):
            content = bytes(source)
            self._create("attachment_create_from_bytes", self._kind, content, len(content))
        else:
            self._create("attachment_create_from_file", self._kind, os.fsencode(source))


class Image(Media):
    """A picture.

    source: a path, a file's bytes, a PIL image, or an array [height, width, 3] of uint8 (red, green, blue).
    """

    _kind = _abi.ATTACHMENT_IMAGE
    part_type = "image_url"

    def __init__(self, source: Any) -> None:
        super().__init__()
        if isinstance(source, (str, bytes, bytearray, os.PathLike)):
            self._read(source)
            return
        pixels, shape = _pixels(source, 3)
        self._create("attachment_create_image", pixels, shape[1], shape[0])


class Video(Media):
    """A film.

    source: a path, a file's bytes, or frames: PIL images, or an array [frames, height, width, 3] of uint8.
    fps: frames' rate, or timestamps: when each is shown, in seconds; of files neither is needed.
    sample_fps: frames a second that the model looks at; default: what its files say.
    """

    _kind = _abi.ATTACHMENT_VIDEO
    part_type = "video_url"

    def __init__(
        self,
        source: Any,
        *,
        fps: Optional[float] = None,
        timestamps: Optional[Sequence[float]] = None,
        sample_fps: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.sample_fps = sample_fps
        if isinstance(source, (str, bytes, bytearray, os.PathLike)):
            if fps is not None or timestamps is not None:
                raise ValueError("a film's file says itself when its frames are shown")
            self._read(source)
            return
        if (fps is None) == (timestamps is None):
            raise ValueError("frames need either fps or timestamps")
        pixels, shape = _pixels(source, 4)
        times = None
        if timestamps is not None:
            if len(timestamps) != shape[0]:
                raise ValueError(f"there are {len(timestamps)} timestamps for {shape[0]} frames")
            times = (ctypes.c_double * len(timestamps))(*timestamps)
        self._create("attachment_create_video", pixels, shape[0], shape[2], shape[1], times, float(fps or 0))

    def part(self, number: int) -> Any:
        part = super().part(number)
        if self.sample_fps is not None:
            part[self.part_type]["fps"] = self.sample_fps
        return part


class Audio(Media):
    """Sound.

    source: a path, a file's bytes, or samples: an array [frames] or [frames, channels] of float32 from -1 to 1.
    rate: samples of a channel a second; of files it isn't needed.
    """

    _kind = _abi.ATTACHMENT_AUDIO
    part_type = "input_audio"

    def __init__(self, source: Any, *, rate: Optional[int] = None) -> None:
        super().__init__()
        if isinstance(source, (str, bytes, bytearray, os.PathLike)):
            if rate is not None:
                raise ValueError("a sound's file says its rate itself")
            self._read(source)
            return
        if rate is None:
            raise ValueError("samples need a rate")
        samples, frames, self._channels = _samples(source)
        self._create("attachment_create_audio", samples.pointer, frames, self._channels, rate)

    def append(self, samples: Any) -> None:
        """Adds samples at the end, of as many channels: sound that still comes in."""
        floats, frames, channels = _samples(samples)
        if channels != getattr(self, "_channels", channels):
            raise ValueError(f"samples of {channels} channels for a sound of {self._channels}")
        call("attachment_append_audio", self.pointer, floats.pointer, frames)


def attachments(media: Sequence[Media]) -> Tuple[Any, int]:
    """Media as the library takes them: an array of handles, and their number."""
    handles = (ctypes.c_void_p * len(media))(*(item.pointer.value for item in media))
    return handles, len(media)


def _pixels(source: Any, dimensions: int) -> Tuple[bytes, Tuple[int, ...]]:
    """Bytes and shape of pictures of red, green and blue."""
    if dimensions == 4 and isinstance(source, (list, tuple)):
        parts = [_pixels(frame, 3) for frame in source]
        shapes = {shape for _, shape in parts}
        if len(shapes) != 1:
            raise ValueError(f"frames must all have one size, not {len(shapes)}")
        return b"".join(part for part, _ in parts), (len(parts), *shapes.pop())
    if hasattr(source, "convert") and hasattr(source, "tobytes"):  # a PIL image
        image = source.convert("RGB")
        return image.tobytes(), (image.height, image.width, 3)
    view = memoryview(source)
    shape = tuple(view.shape or ())
    if view.format not in ("B", "=B", "<B") or len(shape) != dimensions or shape[-1] != 3:
        sizes = "[height, width, 3]" if dimensions == 3 else "[frames, height, width, 3]"
        raise ValueError(f"pixels must be uint8 {sizes}, not {view.format!r} {list(shape)}")
    return view.tobytes(), shape


def _samples(source: Any) -> Tuple[_arrays.Floats, int, int]:
    dimensions = 2 if len(getattr(source, "shape", ())) == 2 or (len(source) and _is_sequence(source[0])) else 1
    floats = _arrays.Floats(source, "samples", dimensions)
    channels = floats.shape[1] if dimensions == 2 else 1
    return floats, floats.shape[0], channels


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def parts(content: Any, found: List[Media]) -> Any:
    """A message's content as JSON has it; media in it are added to `found`, and texts become parts."""
    if not isinstance(content, (list, tuple)):
        if _is_media(content):
            return parts([content], found)
        return content
    result: List[Any] = []
    for part in content:
        if isinstance(part, str):
            result.append({"type": "text", "text": part})
        elif _is_media(part):
            media = part if isinstance(part, Media) else Image(part)
            found.append(media)
            result.append(media.part(len(found) - 1))
        else:
            result.append(part)
    return result


def _is_media(value: Any) -> bool:
    """A `Media`, a PIL image, or an array of pixels."""
    is_picture = hasattr(value, "convert") and hasattr(value, "tobytes")
    return isinstance(value, Media) or is_picture or (hasattr(value, "shape") and hasattr(value, "dtype"))
