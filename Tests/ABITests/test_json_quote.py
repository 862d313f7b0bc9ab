"""dormouse_json_quote beside Python's own JSON and its own reading of UTF-8 with faults."""

import ctypes
import json
import random

from dormouse import _abi

PIECES = [b"a", b'"', b"\\", b"\n", b"\x00", b"\x1f", b"\x7f", b"\xc3\xa9", b"\xe5\x8a\xa0", b"\xf0\x9f\xa6\xab", b"</"]
BAD = [b"\xff", b"\xc3", b"\xe5\x8a", b"\xf0\x9f\xa6", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe0\x80", b"\x80"]


def quote(library, text):
    length = ctypes.c_size_t()
    error = _abi.error(ctypes.sizeof(_abi.error))
    status = library.dormouse_json_quote(None, 0, length, text, len(text), error)
    assert status == _abi.ERROR_BUFFER_TOO_SMALL
    buffer = ctypes.create_string_buffer(length.value)
    assert library.dormouse_json_quote(buffer, length.value, length, text, len(text), error) == _abi.OK
    assert length.value == len(buffer)
    return buffer.raw


def test_any_bytes(library):
    library = ctypes.CDLL(str(library))
    _abi.declare(library)
    generator = random.Random(1)
    texts = [b"", *PIECES, *BAD, bytes(range(256)) * 3]
    texts += [b"".join(generator.choices(PIECES + BAD, k=generator.randint(1, 12))) for _ in range(3000)]
    texts += [generator.randbytes(generator.randint(1, 40)) for _ in range(3000)]
    for text in texts:
        expected = json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False)
        assert quote(library, text).decode("utf-8") == expected, text
