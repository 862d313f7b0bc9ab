"""dormouse.h in ctypes: structs, constants and prototypes with the header's names, and nothing else.

Tests/ABITests holds the layouts here against the C compiler's.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

OK = 0
ERROR_INVALID_ARGUMENT = -1
ERROR_NOT_FOUND = -2
ERROR_INPUT_OUTPUT = -3
ERROR_MALFORMED = -4
ERROR_UNSUPPORTED = -5
ERROR_BUFFER_TOO_SMALL = -6
ERROR_CANCELLED = -7
ERROR_OUT_OF_MEMORY = -8
ERROR_CONTEXT_FULL = -9
ERROR_NUMERICAL = -10
ERROR_BUSY = -11
ERROR_INTERNAL = -12
ERROR_OVERLOADED = -13
ERROR_TIMED_OUT = -14

ENGINE_WITHOUT_WEIGHTS = 1
ENGINE_WITHOUT_PREFIX_CACHE = 2

RESIDENCY_DEFAULT = 0
RESIDENCY_MEMORY = 1
RESIDENCY_MAPPED = 2

WEIGHTS_DEFAULT = 0
WEIGHTS_NATIVE = 1
WEIGHTS_INT8 = 2
WEIGHTS_INT4 = 3

TOKENIZE_ADD_SPECIAL = 1
TOKENIZE_PARSE_SPECIAL = 2
DETOKENIZE_SKIP_SPECIAL = 1

CACHE_DEFAULT = 0
CACHE_F32 = 1
CACHE_BF16 = 2
CACHE_INT8 = 3

ATTENTION_DEFAULT = 0
ATTENTION_EXPANDED = 1
ATTENTION_ABSORBED = 2

SESSION_PRIVATE = 1
SESSION_REPRODUCIBLE = 2

OVERFLOW_DEFAULT = 0
OVERFLOW_STOP = 1
OVERFLOW_SLIDE = 2

ATTACHMENT_IMAGE = 1
ATTACHMENT_VIDEO = 2
ATTACHMENT_AUDIO = 3

EVENT_PROMPT = 1
EVENT_TOKEN = 2
EVENT_END = 3
EVENT_PART = 4

FINISH_STOP = 1
FINISH_LENGTH = 2
FINISH_CONTEXT = 3
FINISH_TIME = 4
FINISH_TOOL_CALLS = 5

PART_CONTENT = 1
PART_REASONING = 2
PART_TOOL_NAME = 3
PART_TOOL_ARGUMENTS = 4
PART_BROKEN_CALL = 5

TYPE_F32 = 1
TYPE_F16 = 2
TYPE_BF16 = 3
TYPE_F8_E4M3 = 4
TYPE_F8_E8M0 = 5

log_fn = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_void_p, c_size_t)
progress_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)


class error(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("status", c_int32), ("message", ctypes.c_char * 1016)]


class engine_options(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("thread_count", c_uint32),
        ("residency", c_int32),
        ("weights", c_int32),
        ("reserved", c_uint32),
        ("memory_limit", c_uint64),
        ("progress", progress_fn),
        ("progress_user_data", c_void_p),
        ("log", log_fn),
        ("log_user_data", c_void_p),
        ("pin_threads", c_uint32),
        ("reserved_2", c_uint32),
        ("packed_cache_folder", c_char_p),
        ("cache_limit", c_uint64),
        ("prefix_cache_limit", c_uint64),
        ("batch_limit", c_uint32),
        ("queue_limit", c_uint32),
        ("prompt_tokens_per_step", c_uint32),
        ("reserved_3", c_uint32),
        ("media_config", c_char_p),
        ("generation_defaults", c_char_p),
    ]


class session_options(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("context_length", c_uint32),
        ("cache", c_int32),
        ("attention", c_int32),
        ("flags", c_uint32),
        ("overflow", c_int32),
        ("keep_tokens", c_uint32),
        ("reserved", c_uint32),
    ]


class alternative(ctypes.Structure):
    _fields_ = [("token", c_int32), ("log_probability", c_float)]


class event(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("token", c_int32),
        ("log_probability", c_float),
        ("text", c_void_p),
        ("text_length", c_size_t),
        ("alternatives", POINTER(alternative)),
        ("alternative_count", c_size_t),
        ("finish_reason", c_int32),
        ("prompt_tokens", c_uint32),
        ("prompt_done", c_uint32),
        ("prompt_reused", c_uint32),
        ("generated_tokens", c_uint32),
        ("prompt_shared", c_uint32),
        ("prompt_seconds", c_double),
        ("generation_seconds", c_double),
        ("waiting_seconds", c_double),
        ("image_tokens", c_uint32),
        ("video_tokens", c_uint32),
        ("audio_tokens", c_uint32),
        ("transcribed_tokens", c_uint32),
        ("transcribed_seconds", c_double),
        ("part", c_int32),
        ("tool_index", c_uint32),
        ("tool_id", c_void_p),
        ("tool_id_length", c_size_t),
        ("tool_name", c_void_p),
        ("tool_name_length", c_size_t),
        ("consistency_reasoning", c_float),
        ("consistency_content", c_float),
    ]


event_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(event))


class segment(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("temperature", c_float),
        ("start", c_double),
        ("end", c_double),
        ("text", c_void_p),
        ("text_length", c_size_t),
        ("language", c_void_p),
        ("language_length", c_size_t),
        ("tokens", POINTER(c_int32)),
        ("token_count", c_size_t),
        ("average_log_probability", c_double),
        ("compression_ratio", c_double),
        ("no_speech_probability", c_double),
    ]


segment_fn = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(segment))

status = c_int32
_error = POINTER(error)
_size = POINTER(c_size_t)
_floats = POINTER(c_float)
_tokens = POINTER(c_int32)
_handle = c_void_p
_out_handle = POINTER(c_void_p)
_text_out = [c_void_p, c_size_t, _size]
_tokens_out = [_tokens, c_size_t, _size]
_floats_out = [_floats, c_size_t, _size]

# name without "dormouse_": (result, arguments)
PROTOTYPES = {
    "version_number": (c_uint32, []),
    "status_name": (c_char_p, [status]),
    "error_init": (None, [_error]),
    "engine_options_init": (None, [POINTER(engine_options)]),
    "engine_open": (status, [_out_handle, c_char_p, POINTER(engine_options), _error]),
    "engine_free": (None, [_handle]),
    "engine_info": (status, [*_text_out, _handle, _error]),
    "engine_plan": (status, [*_text_out, _handle, POINTER(session_options), _error]),
    "engine_statistics": (status, [*_text_out, _handle, _error]),
    "engine_tokenize": (status, [*_tokens_out, _handle, c_char_p, c_size_t, c_uint32, _error]),
    "engine_detokenize": (status, [*_text_out, _handle, _tokens, c_size_t, c_uint32, _error]),
    "engine_render_messages": (status, [*_text_out, _handle, c_char_p, _error]),
    "engine_tokenize_messages": (status, [*_tokens_out, _handle, c_char_p, _error]),
    "json_quote": (status, [*_text_out, c_char_p, c_size_t, _error]),
    "attachment_create_image": (status, [_out_handle, c_char_p, c_uint32, c_uint32, _error]),
    "attachment_create_video": (
        status, [_out_handle, c_char_p, c_size_t, c_uint32, c_uint32, POINTER(c_double), c_double, _error],
    ),
    "attachment_create_audio": (status, [_out_handle, _floats, c_size_t, c_uint32, c_uint32, _error]),
    "attachment_create_from_file": (status, [_out_handle, c_int32, c_char_p, _error]),
    "attachment_create_from_bytes": (status, [_out_handle, c_int32, c_char_p, c_size_t, _error]),
    "attachment_append_audio": (status, [_handle, _floats, c_size_t, _error]),
    "attachment_free": (None, [_handle]),
    "engine_tokenize_messages_with_attachments": (
        status, [*_tokens_out, _handle, c_char_p, POINTER(c_void_p), c_size_t, _error],
    ),
    "session_options_init": (None, [POINTER(session_options)]),
    "session_open": (status, [_out_handle, _handle, POINTER(session_options), _error]),
    "session_free": (None, [_handle]),
    "session_cancel": (None, [_handle]),
    "session_length": (status, [_size, _handle, _error]),
    "session_truncate": (status, [_handle, c_size_t, _error]),
    "session_fork": (status, [_out_handle, _handle, _error]),
    "session_save": (status, [_handle, c_char_p, _error]),
    "session_restore": (status, [_handle, c_char_p, _error]),
    "session_prefill": (status, [_handle, _tokens, c_size_t, _error]),
    "session_prefill_logits": (status, [*_floats_out, _handle, _tokens, c_size_t, _error]),
    "session_logits": (status, [*_floats_out, _handle, _error]),
    "session_embed": (status, [*_floats_out, _handle, _tokens, c_size_t, c_char_p, _error]),
    "session_generate": (status, [_handle, _tokens, c_size_t, c_char_p, event_fn, c_void_p, _error]),
    "session_chat": (status, [_handle, c_char_p, c_char_p, event_fn, c_void_p, _error]),
    "session_chat_with_attachments": (
        status, [_handle, c_char_p, POINTER(c_void_p), c_size_t, c_char_p, event_fn, c_void_p, _error],
    ),
    "constraint_create": (status, [_out_handle, _handle, c_char_p, _error]),
    "constraint_create_for_vocabulary": (
        status, [_out_handle, c_char_p, POINTER(c_size_t), c_size_t, _tokens, c_size_t, c_char_p, _error],
    ),
    "constraint_clone": (status, [_out_handle, _handle, _error]),
    "constraint_free": (None, [_handle]),
    "constraint_allowed": (status, [POINTER(c_uint32), c_size_t, _size, _handle, _error]),
    "constraint_accept": (status, [_handle, _tokens, c_size_t, _error]),
    "constraint_rewind": (status, [_handle, c_size_t, _error]),
    "constraint_forced": (status, [*_tokens_out, _handle, _error]),
    "constraint_is_complete": (status, [POINTER(c_int32), _handle, _error]),
    "transcriber_open": (status, [_out_handle, c_char_p, POINTER(engine_options), _error]),
    "transcriber_free": (None, [_handle]),
    "transcriber_cancel": (None, [_handle]),
    "transcriber_run": (status, [_handle, _handle, c_char_p, segment_fn, c_void_p, _error]),
    "router_create": (status, [_out_handle, c_char_p, _error]),
    "router_free": (None, [_handle]),
    "router_route": (status, [_tokens, _floats, _handle, _floats, _floats, c_size_t, _error]),
    "latent_cache_create": (status, [_out_handle, c_char_p, _error]),
    "latent_cache_free": (None, [_handle]),
    "latent_cache_append": (status, [_handle, _floats, c_size_t, _error]),
    "latent_cache_size": (status, [_size, _size, _handle, _error]),
    "latent_cache_truncate": (status, [_handle, c_size_t, _error]),
    "latent_cache_attend": (status, [_floats, _handle, _floats, c_size_t, c_size_t, c_float, _error]),
    "kernels_list": (status, [*_text_out, _error]),
    "kernels_force": (status, [c_char_p, _error]),
    "kernels_multiply": (
        status,
        [
            _floats, c_void_p, c_int32, c_void_p, c_int32, c_size_t, c_size_t, c_size_t, c_size_t, _floats, c_size_t,
            _error,
        ],
    ),
    "packed_matrix_create": (
        status, [_out_handle, c_char_p, c_void_p, c_int32, c_void_p, c_int32, c_size_t, c_size_t, _error],
    ),
    "packed_matrix_free": (None, [_handle]),
    "packed_matrix_size": (status, [_size, _size, _size, _handle, _error]),
    "packed_matrix_dequantize": (status, [_floats, _handle, c_size_t, c_size_t, _error]),
    "packed_matrix_multiply": (status, [_floats, _handle, _floats, c_size_t, _error]),
    "machine_measure": (status, [POINTER(c_double), POINTER(c_double), c_uint32, _error]),
}


def declare(library: ctypes.CDLL) -> None:
    """Gives the library's functions their types; a function that the library lacks is an AttributeError."""
    for name, (result, arguments) in PROTOTYPES.items():
        function = getattr(library, "dormouse_" + name)
        function.restype = result
        function.argtypes = arguments
