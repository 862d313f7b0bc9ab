"""Images, videos and audio for the messages of a chat: put them into a message's content beside the texts.

    session.chat([{"role": "user", "content": ["What is this?", dormouse.Image("photo.jpg")]}])
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
from typing import Any, List, Optional, Sequence, Tuple

from . import _abi, _arrays
from ._library import Handle, call
from ._values import path_bytes


class Media:
    """Something that a message holds beside text; made once, it may stand in any number of messages."""

    _kind: int
    part_type: str
    """The type of its part in a message."""

    def __init__(self) -> None:
        self._handle: Handle
        self._shown = ""

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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown}>"

    def _read(self, source: Any) -> bool:
        """Reads a file by libdormouse_media: a path, an open file from where it stands, or a file's bytes. Says whether
        the source was one of these."""
        if isinstance(source, (str, os.PathLike)):
            self._create("attachment_create_from_file", self._kind, path_bytes(source))
            self._shown = repr(os.path.basename(os.fsdecode(source)))
            return True
        content = _file_bytes(source)
        if content is None:
            return False
        self._create("attachment_create_from_bytes", self._kind, content, len(content))
        self._shown = f"of {len(content)} bytes"
        return True


class Image(Media):
    """An image.

    source: a path, an open file, a file's bytes, a PIL image, or an array [height, width, 3] of uint8 (red, green,
    blue). What the EXIF data of a file or of a PIL image say of how it was held is heeded.
    """

    _kind = _abi.ATTACHMENT_IMAGE
    part_type = "image_url"

    def __init__(self, source: Any) -> None:
        super().__init__()
        if self._read(source):
            return
        pixels, shape = _pixels(source, 3)
        self._create("attachment_create_image", pixels, shape[1], shape[0])
        self._shown = f"{shape[1]}x{shape[0]}"


class Video(Media):
    """A video.

    source: a path, an open file, a file's bytes, or frames: PIL images, or an array [frames, height, width, 3] of
    uint8.
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
        if self._read(source):
            if fps is not None or timestamps is not None:
                raise ValueError("a video's file says itself when its frames are shown")
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
        self._shown = f"of {shape[0]} frames, {shape[2]}x{shape[1]}"

    def part(self, number: int) -> Any:
        part = super().part(number)
        if self.sample_fps is not None:
            part[self.part_type]["fps"] = float(self.sample_fps)
        return part


class Audio(Media):
    """Audio.

    source: a path, an open file, a file's bytes, or samples: an array [frames] or [frames, channels] of floats from -1
    to 1, or of int16, int32, uint8, ... that go as far as their type does.
    rate: samples of a channel a second; of files it isn't needed.
    """

    _kind = _abi.ATTACHMENT_AUDIO
    part_type = "input_audio"

    def __init__(self, source: Any, *, rate: Optional[int] = None) -> None:
        super().__init__()
        if self._read(source):
            if rate is not None:
                raise ValueError("the audio's file says its rate itself")
            return
        if rate is None:
            raise ValueError("samples need a rate")
        rate = operator.index(rate)
        samples, frames, self._channels = _samples(source)
        self._create("attachment_create_audio", samples.pointer, frames, self._channels, rate)
        self._shown = f"of samples, {self._channels} x {rate} Hz"

    def append(self, samples: Any) -> None:
        """Adds samples at the end, of as many channels: audio that still comes in."""
        floats, frames, channels = _samples(samples)
        if channels != getattr(self, "_channels", channels):
            raise ValueError(f"samples of {channels} channels for audio of {self._channels}")
        call("attachment_append_audio", self.pointer, floats.pointer, frames)


def attachments(media: Sequence[Media]) -> Tuple[Any, int]:
    """Media as the library takes them: an array of handles, and their number."""
    handles = (ctypes.c_void_p * len(media))(*(item.pointer.value for item in media))
    return handles, len(media)


def _pixels(source: Any, dimensions: int) -> Tuple[bytes, Tuple[int, ...]]:
    """Bytes and shape of images of red, green and blue."""
    if dimensions == 4 and isinstance(source, (list, tuple)):
        parts = [_pixels(frame, 3) for frame in source]
        shapes = {shape for _, shape in parts}
        if len(shapes) != 1:
            raise ValueError(f"frames must all have one size, not {len(shapes)}")
        return b"".join(part for part, _ in parts), (len(parts), *shapes.pop())
    if _is_picture(source):
        image = _upright_colours(source)
        return image.tobytes(), (image.height, image.width, 3)
    view = memoryview(source)
    shape = tuple(view.shape or ())
    if view.format not in ("B", "=B", "<B") or len(shape) != dimensions or shape[-1] != 3:
        sizes = "[height, width, 3]" if dimensions == 3 else "[frames, height, width, 3]"
        raise ValueError(f"pixels must be uint8 {sizes}, not {view.format!r} {list(shape)}")
    return view.tobytes(), shape


def _is_picture(value: Any) -> bool:
    """Whether it is a PIL image, or behaves as one."""
    return hasattr(value, "convert") and hasattr(value, "tobytes")


def _upright_colours(image: Any) -> Any:
    """A PIL image in red, green and blue, held as its EXIF data say: what the library makes of the same file."""
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            image = _eight_bits(image, pil)
        elif image.mode in ("I", "F"):
            _, high = image.getextrema()
            if high > 255:
                raise ValueError(
                    f"a PIL image of mode {image.mode!r} with values up to {high}, whose range nobody knows: convert "
                    "it to 'RGB' first"
                )
    return image.convert("RGB")


def _eight_bits(image: Any, pil: Any) -> Any:
    """The upper byte of each 16: PIL's own conversion takes 256 and more for white."""
    last_is_upper = image.mode in ("I;16", "I;16L") or (image.mode == "I;16N" and sys.byteorder == "little")
    return pil.frombytes("L", image.size, image.tobytes()[1 if last_is_upper else 0 :: 2])


def _file_bytes(source: Any) -> Optional[bytes]:
    """The bytes of a file: as they are, of an open file, or of a buffer of bytes with one dimension; else None."""
    if isinstance(source, (bytes, bytearray)):
        return bytes(source)
    if isinstance(source, memoryview):
        is_row_of_bytes = source.ndim == 1 and source.format in ("B", "b", "c")
        return source.tobytes() if is_row_of_bytes else None
    if not hasattr(source, "read") or hasattr(source, "shape"):
        return None
    content = source.read()
    if isinstance(content, str):
        raise ValueError("the file was opened as text: open it with mode 'rb'")
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise ValueError(f"the file's read gives {type(content).__name__}, not bytes")
    return bytes(content)


def _samples(source: Any) -> Tuple[_arrays.Floats, int, int]:
    """Samples from -1 to 1, how many of each channel, and the channels."""
    floats = _arrays.audio(source)
    return floats, floats.shape[0], floats.shape[1] if len(floats.shape) == 2 else 1


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
    """A `Media`, a PIL image, or an array of pixels; numpy's scalars are none."""
    if isinstance(value, (Media, str)):
        return isinstance(value, Media)
    is_array = hasattr(value, "dtype") and len(getattr(value, "shape", ())) > 0
    return _is_picture(value) or is_array
