"""dormouse_media.h for the tests, by ctypes."""

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint8, c_uint32
from ctypes import c_uint64, c_void_p

import numpy as np

CANCEL = CFUNCTYPE(c_int32, c_void_p)
FRAME = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_double, POINTER(c_uint8), c_uint32, c_uint32)
SAMPLES = CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_size_t)

STATUS = {
    0: "OK", -1: "INVALID_ARGUMENT", -2: "NOT_FOUND", -3: "INPUT_OUTPUT", -4: "MALFORMED", -5: "UNSUPPORTED",
    -6: "BUFFER_TOO_SMALL", -7: "CANCELLED", -8: "OUT_OF_MEMORY", -14: "TIMED_OUT",
}


class Error(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("status", c_int32), ("message", c_char * 1016)]


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("thread_count", c_uint32), ("byte_limit", c_uint64), ("pixel_limit", c_uint64),
        ("frame_limit", c_uint64), ("output_limit", c_uint64), ("second_limit", c_double), ("time_limit", c_double),
        ("is_cancelled", CANCEL), ("cancel_user_data", c_void_p), ("name", c_char_p),
    ]


class Info(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("width", c_uint32), ("height", c_uint32), ("channel_count", c_uint32),
        ("frame_count", c_uint64), ("duration", c_double), ("frame_rate", c_double), ("audio_duration", c_double),
        ("sample_rate", c_uint32), ("reserved", c_uint32), ("format", c_char * 32),
    ]


class MediaError(Exception):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Library:
    def __init__(self, path):
        self.path = str(path)
        self.library = ctypes.CDLL(self.path)
        for name in ("open_path", "open_bytes", "describe", "timestamps", "frames", "samples"):
            getattr(self.library, f"dormouse_media_{name}").restype = c_int32
        self.library.dormouse_media_free.restype = None
        self.library.dormouse_media_version_number.restype = c_uint32

    def call(self, name, *arguments):
        error = Error(struct_size=ctypes.sizeof(Error))
        status = getattr(self.library, f"dormouse_media_{name}")(*arguments, byref(error))
        if status < 0:
            assert error.status == status and error.message
            raise MediaError(STATUS[status], error.message.decode())
        return status

    def open(self, source, **options):
        return File(self, source, options)


class File:
    """An open file, from a path or from bytes."""

    def __init__(self, library, source, options):
        self.library, self.handle = library, c_void_p()
        self.options = Options(struct_size=ctypes.sizeof(Options))
        for name, value in options.items():
            setattr(self.options, name, CANCEL(value) if name == "is_cancelled" else value)
        if isinstance(source, bytes):
            self.source = (c_uint8 * len(source)).from_buffer_copy(source) if source else None
            library.call("open_bytes", byref(self.handle), self.source, c_size_t(len(source)), byref(self.options))
        else:
            library.call("open_path", byref(self.handle), str(source).encode(), byref(self.options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.library.dormouse_media_free(self.handle)

    def info(self):
        info = Info(struct_size=ctypes.sizeof(Info))
        self.library.call("describe", byref(info), self.handle)
        return info

    def timestamps(self):
        count = c_size_t()
        try:
            self.library.call("timestamps", None, c_size_t(0), byref(count), self.handle)
        except MediaError as error:
            if error.status != "BUFFER_TOO_SMALL":
                raise
        seconds = (c_double * count.value)()
        self.library.call("timestamps", seconds, count, byref(count), self.handle)
        return list(seconds)

    def frames(self, indices, stop_after=None):
        found = []

        def receive(_, index, seconds, pixels, width, height):
            array = np.ctypeslib.as_array(pixels, (height, width, 3)).copy()
            found.append((index, seconds, array))
            return 77 if len(found) == stop_after else 0

        indices = list(indices)
        numbers = (c_uint64 * len(indices))(*indices)
        status = self.library.call("frames", self.handle, numbers, c_size_t(len(indices)), FRAME(receive), None)
        assert status == (77 if stop_after else 0)
        return found

    def image(self):
        return self.frames([0])[0][2]

    def samples(self, rate=0, stop_after=None):
        found = []

        def receive(_, samples, count):
            found.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 77 if len(found) == stop_after else 0

        status = self.library.call("samples", self.handle, c_uint32(rate), SAMPLES(receive), None)
        assert status == (77 if stop_after else 0)
        return np.concatenate(found)
