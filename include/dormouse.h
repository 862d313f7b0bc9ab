/*
 * dormouse.h - the whole stable interface of Dormouse, an embeddable runtime for DeepSeek-style open weights.
 *
 * Rules that hold for every function here:
 *
 * - Names are dormouse_noun_verb. Out-parameters come first, a callback is followed by its user_data, error is last.
 * - A dormouse_status is 0 (done) or negative (see the list below; a number is never reused). The one exception: where
 *   a callback stopped the work with a value of its own, that value comes back.
 * - error may be NULL. Otherwise set error->struct_size first; on failure it holds the status and a sentence that names
 *   the file, the field and the value. It is left alone on success.
 * - A struct that memset has zeroed has no struct_size yet, so the library cannot know how much of it there is: a
 *   dormouse_error of size 0 receives neither status nor sentence (the function's result is the same), and options of
 *   size 0 are INVALID_ARGUMENT. Set struct_size, or begin with the macro or the ..._init function.
 * - Option structs start with struct_size and only ever grow at the end. Zero means default. Fill them with their
 *   macro or their ..._init function. A shorter struct is taken as zero-filled; a longer one must have a zero tail.
 * - Handles are opaque; ..._free(NULL) does nothing. A child keeps its parent alive, so handles may be freed in any
 *   order. The library never hands out memory that the caller must free, other than handles.
 * - Strings in are UTF-8. Texts, tokens and JSON documents come out into the caller's buffer: *length (or *count)
 *   always receives the full size, and DORMOUSE_ERROR_BUFFER_TOO_SMALL says that capacity was less, in which case the
 *   buffer is untouched. Capacity 0 with a NULL buffer asks for the size. Texts are not NUL-terminated unless room is
 *   left: when capacity is greater than *length, buffer[*length] is 0.
 * - Pointers given to a callback die when it returns. A callback must not call back into the same session, except
 *   dormouse_session_cancel. A callback returns: it must neither throw an exception nor longjmp nor end its thread. One
 *   that does so all the same loses its session or transcriber: from then on calls on that answer INTERNAL (after a
 *   longjmp those of the same thread, and BUSY those of others), freeing it works, and the other sessions go on; memory
 *   that the call held is lost. Progress and log callbacks have no such net.
 * - Calls compute in the floating-point environment that processes start with (round to nearest, no traps, denormal
 *   numbers kept) whatever the caller has set, and give the caller its own back; callbacks run in the caller's.
 * - A calling thread needs 256 KB of stack that nobody else uses.
 * - Threads of the library's own block all signals but SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT and SIGSYS, so
 *   that the host's handlers of faults are called on them too.
 * - A child made by fork opens what it needs anew. In it every call on a handle that its parent had made answers
 *   INVALID_ARGUMENT at once, and freeing such a handle does nothing. A child that is made inside a callback must not
 *   return from it. A fork waits up to 0.25 s for threads that are in the midst of the library's work.
 * - The library does not print, exit, abort or read the environment, except DORMOUSE_ISA (see
 *   dormouse_kernels_force) and DORMOUSE_MEDIA_LIBRARY (the path of libdormouse_media.so, which is loaded when the
 *   first media file is met; by default it is looked for beside this library, and where the system looks).
 */
#ifndef DORMOUSE_H
#define DORMOUSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DORMOUSE_API __attribute__((visibility("default")))
#else
#define DORMOUSE_API
#endif

/* ---- Version, status, error --------------------------------------------------------------------------------- */

#define DORMOUSE_VERSION_MAJOR 0
#define DORMOUSE_VERSION_MINOR 2
#define DORMOUSE_VERSION_PATCH 0

/* The version of the library that runs: major * 1000000 + minor * 1000 + patch. Thread: any. */
DORMOUSE_API uint32_t dormouse_version_number(void);

typedef int32_t dormouse_status;

enum {
  DORMOUSE_OK = 0,
  DORMOUSE_ERROR_INVALID_ARGUMENT = -1, /* a NULL, a value out of range, a struct of the wrong size, bad JSON given */
  DORMOUSE_ERROR_NOT_FOUND = -2,        /* a file, a folder or a part of the model (tokenizer, template) is missing */
  DORMOUSE_ERROR_INPUT_OUTPUT = -3,     /* the system refused to open, read or map a file */
  DORMOUSE_ERROR_MALFORMED = -4,        /* a file's contents contradict its format or one another */
  DORMOUSE_ERROR_UNSUPPORTED = -5,      /* well-formed, but this library has no such architecture, type or feature */
  DORMOUSE_ERROR_BUFFER_TOO_SMALL = -6, /* *length or *count tells the size that is needed */
  DORMOUSE_ERROR_CANCELLED = -7,        /* dormouse_session_cancel, or a progress callback, stopped the work */
  DORMOUSE_ERROR_OUT_OF_MEMORY = -8,    /* an allocation failed, or memory_limit or cache_limit would be passed */
  DORMOUSE_ERROR_CONTEXT_FULL = -9,     /* more tokens than the session's context length */
  DORMOUSE_ERROR_NUMERICAL = -10,       /* the model produced a value that is not finite */
  DORMOUSE_ERROR_BUSY = -11,            /* the session is at work on another thread */
  DORMOUSE_ERROR_INTERNAL = -12,        /* a fault of this library; please report it */
  DORMOUSE_ERROR_OVERLOADED = -13,      /* as many sessions wait as may; try again later */
  DORMOUSE_ERROR_TIMED_OUT = -14        /* time_limit passed before the first token */
};

/* The name of a status, such as "MALFORMED"; "UNKNOWN" for any other number. Never NULL. Thread: any. */
DORMOUSE_API const char *dormouse_status_name(dormouse_status status);

typedef struct dormouse_error {
  uint32_t struct_size; /* sizeof(dormouse_error) */
  dormouse_status status;
  char message[1016]; /* UTF-8, NUL-terminated, cut at a character if it is too long */
} dormouse_error;

#define DORMOUSE_ERROR_INIT { sizeof(dormouse_error), 0, { 0 } }

/* Fills *error as DORMOUSE_ERROR_INIT does. Thread: any. */
DORMOUSE_API void dormouse_error_init(dormouse_error *error);

/* ---- Engine: one loaded model, shared by its sessions -------------------------------------------------------- */

typedef struct dormouse_engine dormouse_engine;

/* Levels: 1 error, 2 warning, 3 information, 4 debug. message is UTF-8 and not NUL-terminated.
   Called on any thread, several at a time; must not call the library. */
typedef void (*dormouse_log_fn)(void *user_data, int32_t level, const char *message, size_t message_length);

/* Bytes of weights loaded so far, and in all. A non-zero return cancels the loading.
   Called on any thread, one call at a time; must not call the library. */
typedef int32_t (*dormouse_progress_fn)(void *user_data, uint64_t done, uint64_t total);

enum { /* dormouse_engine_options.flags */
  DORMOUSE_ENGINE_WITHOUT_WEIGHTS = 1,     /* tokens, templates, info and plan only: opens at once; no sessions */
  DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE = 2 /* sessions share nothing but what dormouse_session_fork shares */
};
enum { /* dormouse_engine_options.residency */
  DORMOUSE_RESIDENCY_DEFAULT = 0, /* memory */
  DORMOUSE_RESIDENCY_MEMORY = 1,  /* weights are read into memory of the process */
  DORMOUSE_RESIDENCY_MAPPED = 2   /* weights are mapped: quick start, shared between processes, may be paged out. A file
                                     that somebody cuts short while it is mapped, or whose disk fails, ends the process
                                     with SIGBUS at the next use of what is gone: no library can prevent that. So
                                     replace such files by renaming, and never write into them */
};
enum { /* dormouse_engine_options.weights */
  DORMOUSE_WEIGHTS_DEFAULT = 0, /* native */
  DORMOUSE_WEIGHTS_NATIVE = 1,  /* as the files hold them: f32, f16, bf16, fp8 blocks */
  DORMOUSE_WEIGHTS_INT8 = 2,    /* packed while loading: 8 bits and a scale for each group of 32 */
  DORMOUSE_WEIGHTS_INT4 = 3     /* packed while loading: 4 bits and a scale for each group of 32 */
};

typedef struct dormouse_engine_options {
  uint32_t struct_size;  /* sizeof(dormouse_engine_options) */
  uint32_t flags;        /* DORMOUSE_ENGINE_... */
  uint32_t thread_count; /* 0: what processor affinity and the control group's quota allow; at most 1024 */
  int32_t residency;     /* DORMOUSE_RESIDENCY_... */
  int32_t weights;       /* DORMOUSE_WEIGHTS_... */
  uint32_t reserved;     /* 0 */
  uint64_t memory_limit; /* bytes for weights, working memory and the caches of all sessions; 0: no limit */
  dormouse_progress_fn progress;
  void *progress_user_data;
  dormouse_log_fn log; /* NULL: silent */
  void *log_user_data;
  uint32_t pin_threads; /* 1: each thread of the engine's own stays on one processor of the affinity mask, where the
                           fewest threads of other pinned engines are; calling threads stay free. UNSUPPORTED when the
                           system refuses. 0: the system places them */
  uint32_t reserved_2;  /* 0 */
  const char *packed_cache_folder; /* where int8 and int4 weights are kept packed for the next start, in a file for each
                                      model and precision; made if only its last part is missing. Files that are missing
                                      or damaged or of another state of the model are written anew, and what fails with
                                      them goes to the log alone. Writing goes on beside the engine's work; freeing the
                                      last of the engine and its sessions waits for its end, and then tells the log.
                                      NULL: nothing is kept */
  uint64_t cache_limit;            /* bytes for the cache pages of all sessions and of kept prefixes, within
                                      memory_limit; 0: no limit of their own */
  uint64_t prefix_cache_limit;     /* bytes of pages, for each type of rows, that are kept for later sessions with the
                                      same beginning; what was used longest ago goes first, and all of it before a
                                      session lacks pages. 0: those of 4096 tokens */
  uint32_t batch_limit;            /* sessions computed at a time, at most 1024; 0: 16 */
  uint32_t queue_limit;            /* sessions that may wait for one of these places before OVERLOADED; 0: 256 */
  uint32_t prompt_tokens_per_step; /* tokens of prompts computed in one step while another session generates: a token
                                      never waits for more than that; at most 16384; 0: 64 */
  uint32_t reserved_3;             /* 0 */
  const char *media_config;        /* NULL, or an object about the media files that messages name or hold:
                                      "roots"            folders that they may come from; default: none
                                      "base"             the folder in which relative paths begin; default: the
                                                         current one
                                      "max_bytes"        of a file; "max_pixels" of an image or a frame; "max_frames"
                                      "max_seconds"      of a video or audio; "max_output_bytes" decoded in all
                                      "time_limit"       seconds for one call of the decoder. What is set here holds
                                                         for attachments as well; "roots" does not
                                      "cache_bytes"      of what towers have made that are kept; default 268435456
                                      "speech_model"     a Whisper folder: where the model does not hear itself, it
                                                         writes down the audio of messages, and its text takes their
                                                         place. Its memory counts in memory_limit */
  const char *generation_defaults; /* NULL, or an object with members of config_json (dormouse_session_generate), which
                                      hold for all answers of the engine's sessions: over the model's
                                      generation_config.json, and under what a call's own config says. Checked when the
                                      engine is opened. What one answer alone can be asked for (constraint,
                                      response_format, tools, tool_choice, logprobs) is INVALID_ARGUMENT here */
} dormouse_engine_options;

#define DORMOUSE_ENGINE_OPTIONS_INIT \
  { sizeof(dormouse_engine_options), 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL }

/* Fills *options as DORMOUSE_ENGINE_OPTIONS_INIT does. Thread: any. */
DORMOUSE_API void dormouse_engine_options_init(dormouse_engine_options *options);

/* Opens the model folder (config.json, safetensors, tokenizer) at model_path. options may be NULL.
   On failure *out is NULL and nothing stays behind. A folder without a tokenizer opens; the functions on text then
   answer NOT_FOUND. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_open(dormouse_engine **out, const char *model_path,
                                                  const dormouse_engine_options *options, dormouse_error *error);

/* Sessions keep what they need alive. Thread: any. */
DORMOUSE_API void dormouse_engine_free(dormouse_engine *engine);

/* What the model is, as a JSON object: path, model_type, parameters {total, active, active_in_layers}, towers [{modalities,
   parameters {total}}], modalities, layers, hidden_size, vocabulary_size, context_length, attention, experts, cache
   {values_per_token, page_tokens, bytes_per_token {bf16, f32, int8}, plain_attention_bytes_per_token {bf16, f32}},
   weights {precision, bytes, bytes_per_token, types, tensors}, text {tokenizer, chat_template, chat_templates,
   chat_template_failure, end_tokens}, instruction_set, threads. docs/configuration.md says what each member holds; more
   may come. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_info(char *buffer, size_t capacity, size_t *length,
                                                  const dormouse_engine *engine, dormouse_error *error);

typedef struct dormouse_session_options dormouse_session_options;

/* The memory that the engine and one session of these options (NULL: defaults) take at most, as a JSON object of byte
   counts: weights, towers, speech_model (with one transcription), cache (the session's pages when its context is full),
   working_memory, prefix_cache (pages kept for later sessions), total. Works WITHOUT_WEIGHTS too. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_plan(char *buffer, size_t capacity, size_t *length,
                                                  const dormouse_engine *engine,
                                                  const dormouse_session_options *options, dormouse_error *error);

/* What the engine does and has done, as a JSON object: sessions {working, waiting, entered, left, refused, cancelled,
   failed}, steps {count, mean_batch, largest_batch}, tokens {prompt, generated}, seconds {prompt, mixed, generation,
   waiting}, and for each type of rows in use cache {f32, bf16, int8: {page_tokens, page_bytes, used, shared, free,
   prefix_pages, prefix_evicted, tokens_asked, tokens_found, hit_rate}}. docs/configuration.md says what each member
   holds; more may come. UNSUPPORTED without weights. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_statistics(char *buffer, size_t capacity, size_t *length,
                                                        const dormouse_engine *engine, dormouse_error *error);

/* ---- Text ----------------------------------------------------------------------------------------------------- */

enum { /* flags of tokenize */
  DORMOUSE_TOKENIZE_ADD_SPECIAL = 1,  /* add what the tokenizer puts around a text (the beginning-of-sequence token) */
  DORMOUSE_TOKENIZE_PARSE_SPECIAL = 2 /* take control tokens written in the text as such; else they are plain text */
};
enum { /* flags of detokenize */
  DORMOUSE_DETOKENIZE_SKIP_SPECIAL = 1 /* leave control tokens out */
};

/* Bytes that are not UTF-8 are read as U+FFFD, one for each maximal invalid part. A text has 64 MiB at most, and a
   tokenizer whose patterns take longer over it than some seconds of processor time for each megabyte is MALFORMED, by
   name; so is a chat template that does too much below. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_tokenize(int32_t *tokens, size_t capacity, size_t *count,
                                                      const dormouse_engine *engine, const char *text,
                                                      size_t text_length, uint32_t flags, dormouse_error *error);

/* An id outside the vocabulary is INVALID_ARGUMENT. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_detokenize(char *buffer, size_t capacity, size_t *length,
                                                        const dormouse_engine *engine, const int32_t *tokens,
                                                        size_t token_count, uint32_t flags, dormouse_error *error);

/* The text of a chat as the model's own template renders it. messages_json is an array of messages ({"role": ...,
   "content": a text, or an array of parts}), or an object with these members and no others:
     "messages"                the array
     "tools"                   an array for the template; without it, tools is None there, as in transformers
     "add_generation_prompt"   whether an answer begins at the end; true unless continue_final_message is set
     "continue_final_message"  true: the last message stays open, and the model goes on with its content; a string: with
                               that member of it, such as "reasoning_content". As in transformers, a template that does
                               not show the message as it is makes this INVALID_ARGUMENT
     "chat_template"           the name of one of the model's templates; without it "tool_use" where the model has that
                               and tools are given, else "default"
     "template_variables"      an object of further variables; they come before the model's tokens of the same names
   Templates get the model's tokens by name (bos_token, image_token, ...), "thinking" or "reasoning" of a message as its
   "reasoning_content" too, and, where they read that member, an assistant's content without the <think>...</think> at
   its beginning, which is "reasoning_content" then. A template that cannot be read fails here, not when the model is
   opened. A part is one of
     {"type": "text", "text": ...}
     {"type": "image_url", "image_url": {"url": ...}}
     {"type": "video_url", "video_url": {"url": ..., "fps": frames a second that are looked at}}
     {"type": "input_audio", "input_audio": {"data": a file's bytes in base64, "format": ...}, or {"url": ...}}
   and a url is a path or file: (under the roots of dormouse_engine_options.media_config), data:TYPE;base64,BYTES, or
   attachment:N, which is number N of the attachments beside the messages. Nothing is fetched from a network.
   Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_render_messages(char *buffer, size_t capacity, size_t *length,
                                                             const dormouse_engine *engine, const char *messages_json,
                                                             dormouse_error *error);

/* The tokens of the same rendering: control tokens come from the template alone, never from the messages' contents.
   Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_tokenize_messages(int32_t *tokens, size_t capacity, size_t *count,
                                                               const dormouse_engine *engine,
                                                               const char *messages_json, dormouse_error *error);

/* text[text_length] as a JSON string with its quotes, for messages_json and config_json: quotation marks, backslashes and
   control characters are escaped, NUL among them, and all other UTF-8 stands as it is. Bytes that are not UTF-8 become
   U+FFFD as in dormouse_engine_tokenize. text may be NULL when text_length is 0. Thread: any. */
DORMOUSE_API dormouse_status dormouse_json_quote(char *buffer, size_t capacity, size_t *length, const char *text,
                                                 size_t text_length, dormouse_error *error);

/* ---- Attachments: images, videos and audio beside the messages of a chat -------------------------------------- */

typedef struct dormouse_attachment dormouse_attachment;

enum { /* what a file is read as */
  DORMOUSE_ATTACHMENT_IMAGE = 1,
  DORMOUSE_ATTACHMENT_VIDEO = 2,
  DORMOUSE_ATTACHMENT_AUDIO = 3
};

/* An image: pixels[height][width][3], red, green and blue. They are copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_create_image(dormouse_attachment **out, const uint8_t *pixels,
                                                              uint32_t width, uint32_t height, dormouse_error *error);

/* A video: pixels[frame_count][height][width][3], shown at timestamps[frame_count] seconds, which ascend, or at
   frames_per_second where timestamps is NULL. Pixels are copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_create_video(dormouse_attachment **out, const uint8_t *pixels,
                                                              size_t frame_count, uint32_t width, uint32_t height,
                                                              const double *timestamps, double frames_per_second,
                                                              dormouse_error *error);

/* Audio: samples[frame_count][channel_count], -1 to 1, sample_rate of each channel a second. Channels are mixed down and
   the rate is changed as the model wants it. frame_count may be 0, for what dormouse_attachment_append_audio brings
   later. Samples are copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_create_audio(dormouse_attachment **out, const float *samples,
                                                              size_t frame_count, uint32_t channel_count,
                                                              uint32_t sample_rate, dormouse_error *error);

/* A file, read by libdormouse_media, which is loaded at the first call: UNSUPPORTED where it is missing. kind is one of
   DORMOUSE_ATTACHMENT_...; a video or audio is decoded when it is used. The host's own call: the roots of
   dormouse_engine_options.media_config hold for messages alone. Its limits hold where an engine uses the attachment; what
   is read or decoded here keeps to their defaults. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_create_from_file(dormouse_attachment **out, int32_t kind,
                                                                  const char *path, dormouse_error *error);

/* The same of bytes[byte_count] that a file has; they are copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_create_from_bytes(dormouse_attachment **out, int32_t kind,
                                                                   const uint8_t *bytes, size_t byte_count,
                                                                   dormouse_error *error);

/* Adds samples[frame_count][channel_count] at the end of audio that samples were given for. Calls that have begun with
   it do not see them. Thread: any. */
DORMOUSE_API dormouse_status dormouse_attachment_append_audio(dormouse_attachment *attachment, const float *samples,
                                                              size_t frame_count, dormouse_error *error);

/* Calls that use it go on. Thread: any. */
DORMOUSE_API void dormouse_attachment_free(dormouse_attachment *attachment);

/* As dormouse_engine_tokenize_messages, with what attachment:N names. Positions of images, videos and audio have the
   tokens that the model's own processor has there, which need not be in the vocabulary. Thread: any. */
DORMOUSE_API dormouse_status dormouse_engine_tokenize_messages_with_attachments(
    int32_t *tokens, size_t capacity, size_t *count, const dormouse_engine *engine, const char *messages_json,
    const dormouse_attachment *const *attachments, size_t attachment_count, dormouse_error *error);

/* ---- Session: one timeline of tokens over an engine ----------------------------------------------------------- */

typedef struct dormouse_session dormouse_session;

enum { /* dormouse_session_options.cache */
  DORMOUSE_CACHE_DEFAULT = 0, /* f32; bf16 where the engine packs weights */
  DORMOUSE_CACHE_F32 = 1,
  DORMOUSE_CACHE_BF16 = 2,
  DORMOUSE_CACHE_INT8 = 3 /* latents in bytes with a scale a row, rotated keys in bf16 */
};
enum { /* dormouse_session_options.attention */
  DORMOUSE_ATTENTION_DEFAULT = 0, /* absorbed for few tokens, expanded for many */
  DORMOUSE_ATTENTION_EXPANDED = 1,
  DORMOUSE_ATTENTION_ABSORBED = 2
};

enum { /* dormouse_session_options.flags */
  DORMOUSE_SESSION_PRIVATE = 1,     /* neither uses what other sessions computed nor leaves them anything */
  DORMOUSE_SESSION_REPRODUCIBLE = 2 /* uses of it only what it would have computed itself, bit for bit: with packed
                                       weights (int8, int4) its results equal those of the same calls on a private
                                       session that was never interrupted, whether a beginning was computed, shared,
                                       forked or restored. Without this flag rows that are shared may have been computed
                                       in the other form of attention, whose last bits differ, so that after some tokens
                                       another text may follow. Costs time where the rest of a long prompt behind a
                                       shared beginning is computed in the form of the whole prompt (docs/numerics.md).
                                       With native weights sums depend on what else is in a batch: results are equal up
                                       to rounding with or without it */
};
enum { /* dormouse_session_options.overflow: what happens when the context is full */
  DORMOUSE_OVERFLOW_DEFAULT = 0, /* stop */
  DORMOUSE_OVERFLOW_STOP = 1,    /* answers end with FINISH_CONTEXT; further tokens are CONTEXT_FULL */
  DORMOUSE_OVERFLOW_SLIDE = 2    /* the first keep_tokens stay, and of the rest the newer half; what stays is computed
                                    anew, as if the session had never held the others. Dropped tokens do not come back,
                                    not even when the call fails */
};

struct dormouse_session_options {
  uint32_t struct_size;    /* sizeof(dormouse_session_options) */
  uint32_t context_length; /* tokens; 0: the model's maximum, but at most 4096 */
  int32_t cache;           /* DORMOUSE_CACHE_... */
  int32_t attention;       /* DORMOUSE_ATTENTION_... */
  uint32_t flags;          /* DORMOUSE_SESSION_... */
  int32_t overflow;        /* DORMOUSE_OVERFLOW_... */
  uint32_t keep_tokens;    /* SLIDE: tokens at the beginning that always stay, less than context_length */
  uint32_t reserved;       /* 0 */
};

#define DORMOUSE_SESSION_OPTIONS_INIT { sizeof(dormouse_session_options), 0, 0, 0, 0, 0, 0, 0 }

/* Fills *options as DORMOUSE_SESSION_OPTIONS_INIT does. Thread: any. */
DORMOUSE_API void dormouse_session_options_init(dormouse_session_options *options);

/* A context_length beyond the model's maximum is INVALID_ARGUMENT; one that memory_limit or cache_limit could not hold
   even alone is OUT_OF_MEMORY. Pages are taken as tokens come: a call takes those that it may need before it begins,
   waits for other sessions' calls to end when there are too few, and is OUT_OF_MEMORY when that can't help.
   options may be NULL. Thread: any. */
DORMOUSE_API dormouse_status dormouse_session_open(dormouse_session **out, dormouse_engine *engine,
                                                   const dormouse_session_options *options, dormouse_error *error);

/* The session must not be at work; one that a callback has lost may be freed. Thread: one call at a time per session. */
DORMOUSE_API void dormouse_session_free(dormouse_session *session);

/* Stops the call that the session is in, rendering, tokenizing, waiting and prefill included, within one layer's time;
   that call answers CANCELLED and the tokens it had completed stay. Without a call under way it does nothing. NULL does
   nothing.
   Thread: any. */
DORMOUSE_API void dormouse_session_cancel(dormouse_session *session);

/* Tokens in the session. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_length(size_t *length, const dormouse_session *session,
                                                     dormouse_error *error);

/* Keeps the first length tokens and forgets the rest; 0 empties the session.
   A length beyond the session's is INVALID_ARGUMENT. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_truncate(dormouse_session *session, size_t length,
                                                       dormouse_error *error);

/* A second session with the same options and tokens, which goes its own way from here on. It shares the pages of the
   cache with the first one, and copies none: the first to add something copies the page that it adds to.
   Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_fork(dormouse_session **out, dormouse_session *session,
                                                   dormouse_error *error);

/* Writes the session's tokens, cache and logits to a file, which appears whole or not at all; a file of that name is
   replaced. Only the file's owner may read it (mode 0600). Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_save(dormouse_session *session, const char *path,
                                                   dormouse_error *error);

/* Makes the session what was saved: of the same model in the same precision, with rows of the same type, and not longer
   than this session's context. Everything in the file is checked first; when it fails (NOT_FOUND, MALFORMED for damage,
   UNSUPPORTED for another model or type of rows, CONTEXT_FULL), the session is as it was.
   Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_restore(dormouse_session *session, const char *path,
                                                      dormouse_error *error);

/* Appends tokens to the session. When it fails, CANCELLED aside, the session is as it was before.
   Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_prefill(dormouse_session *session, const int32_t *tokens,
                                                      size_t token_count, dormouse_error *error);

/* Appends tokens and gives the logits after each: logits[token_count][vocabulary_size]; *count receives
   token_count * vocabulary_size. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_prefill_logits(float *logits, size_t capacity, size_t *count,
                                                             dormouse_session *session, const int32_t *tokens,
                                                             size_t token_count, dormouse_error *error);

/* The logits after the session's last token: logits[vocabulary_size]; computed now if they are not at hand (after
   truncate, or for the last token of an answer). INVALID_ARGUMENT for an empty session.
   Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_logits(float *logits, size_t capacity, size_t *count,
                                                     dormouse_session *session, dormouse_error *error);

/* What the model makes of tokens behind those that the session holds: its hidden state after the final norm,
   out[hidden_size] (see dormouse_engine_info); *count receives hidden_size. The session stays as it is: its tokens, cache
   and logits, also when the call fails or is cancelled. config_json is NULL or an object:
     "pooling"     "last" (default): the state of the last of the tokens. "mean" is the mean of the states of all of them
     "normalize"   true: divided by its Euclidean length
     "priority"    as for dormouse_session_generate
     "time_limit"  seconds from the call, after which it answers TIMED_OUT
   No tokens are INVALID_ARGUMENT, and more than fit behind the session's are CONTEXT_FULL, also where it slides. To embed
   many texts, call it on several sessions at once, each from a thread of its own: the engine computes them in one batch,
   and each session can take text after text. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_embed(float *out, size_t capacity, size_t *count,
                                                    dormouse_session *session, const int32_t *tokens,
                                                    size_t token_count, const char *config_json,
                                                    dormouse_error *error);

enum { /* dormouse_event.kind */
  DORMOUSE_EVENT_PROMPT = 1, /* a chunk of the prompt is done: prompt_done of prompt_tokens; or, ahead of it, an image,
                                some frames of a video or a window of audio is encoded, and prompt_done stays */
  DORMOUSE_EVENT_TOKEN = 2,  /* a token was chosen; no text while a character or a stop string is unfinished */
  DORMOUSE_EVENT_END = 3,    /* the last event; text holds what was withheld; counts and times are final */
  DORMOUSE_EVENT_PART = 4    /* of an answer in parts alone: text of one part; behind the TOKEN that decided it, which may
                                end one part and begin another, or ahead of the END. TOKEN and END have no text then */
}; /* later versions may have others, which are to be ignored */
enum { /* dormouse_event.finish_reason, 0 before the end */
  DORMOUSE_FINISH_STOP = 1,    /* an end token, one of stop_token_ids, or a stop string */
  DORMOUSE_FINISH_LENGTH = 2,  /* max_tokens */
  DORMOUSE_FINISH_CONTEXT = 3, /* the context is full */
  DORMOUSE_FINISH_TIME = 4,    /* time_limit */
  DORMOUSE_FINISH_TOOL_CALLS = 5 /* of an answer in parts: an end token behind calls of tools */
};
enum { /* dormouse_event.part, 0 but in a PART */
  DORMOUSE_PART_CONTENT = 1,        /* what the model says to its user */
  DORMOUSE_PART_REASONING = 2,      /* what it thinks before */
  DORMOUSE_PART_TOOL_NAME = 3,      /* the name of a function that it calls: whole, once a call */
  DORMOUSE_PART_TOOL_ARGUMENTS = 4, /* the call's arguments, an object in JSON: piece by piece */
  DORMOUSE_PART_BROKEN_CALL = 5     /* what was meant as a call, or as the rest of one, and is none: as it was written */
};

typedef struct dormouse_alternative {
  int32_t token;
  float log_probability;
} dormouse_alternative;

typedef struct dormouse_event {
  uint32_t struct_size;    /* of the library that runs: look before reading members newer than your header */
  int32_t kind;            /* DORMOUSE_EVENT_... */
  int32_t token;           /* TOKEN: the id; else -1 */
  float log_probability;   /* TOKEN: natural logarithm, of the distribution that "logprobs_of" names; 0 unless
                              "logprobs" was asked for */
  const char *text;        /* whole UTF-8 characters, not NUL-terminated; NULL when text_length is 0 */
  size_t text_length;
  const dormouse_alternative *alternatives; /* TOKEN with "logprobs": the most probable tokens, best first */
  size_t alternative_count;
  int32_t finish_reason;     /* DORMOUSE_FINISH_... */
  uint32_t prompt_tokens;    /* tokens of the prompt */
  uint32_t prompt_done;      /* of these, in the session by now */
  uint32_t prompt_reused;    /* of these, in the session before the call */
  uint32_t generated_tokens; /* so far, an end token included */
  uint32_t prompt_shared;    /* of the prompt's tokens, those that other sessions had computed */
  double prompt_seconds;     /* so far */
  double generation_seconds; /* so far */
  double waiting_seconds;    /* from the call until the session was let in */
  uint32_t image_tokens;     /* of the prompt's tokens, those that stand for images, */
  uint32_t video_tokens;     /* for videos, */
  uint32_t audio_tokens;     /* and for audio */
  uint32_t transcribed_tokens; /* tokens that media_config's speech_model has written for this call: none for audio
                                  whose transcripts are kept from earlier calls */
  double transcribed_seconds;  /* of the audio whose transcripts stand in the prompt */
  int32_t part;             /* PART: DORMOUSE_PART_..., what text is */
  uint32_t tool_index;      /* PART of a call: its place among the answer's calls, from 0 */
  const char *tool_id;      /* PART of a call whose name is told: the model's own id, or one made here; UTF-8, not */
  size_t tool_id_length;    /* NUL-terminated; NULL when the length is 0 */
  const char *tool_name;    /* and the function's name */
  size_t tool_name_length;
  float consistency_reasoning; /* END: of the letters outside of code, the share that is of the expected scripts: those of */
  float consistency_content;   /* "language", or of the last message of the user; NaN where there are no letters, nothing
                                  is expected, and in other events */
} dormouse_event;

/* A non-zero return stops the work at this event; the call then returns that value. */
typedef int32_t (*dormouse_event_fn)(void *user_data, const dormouse_event *event);

/* Appends tokens (there may be none when the session has logits) and goes on from there, token by token.
   config_json is NULL or an object; what is missing comes from the engine's generation_defaults, then from
   the model's generation_config.json, then from here:
     "max_tokens"          1 and up; default: until the context is full
     "temperature"         0 (greedy) to 100; default 0
     "top_k"               0 (off) and up; "top_p" above 0 to 1 (off); "min_p" 0 (off) to 1
     "repetition_penalty"  above 0, 1 is off; "presence_penalty", "frequency_penalty" -100 to 100, 0 is off
     "logit_bias"          object: token id as a string -> -100 to 100
     "seed"                integer; default 0: same seed and same logits, same text (when logits are equal to the bit:
                           DORMOUSE_SESSION_REPRODUCIBLE)
     "stop"                a string or an array of up to 16; the text ends before the first that occurs. Control tokens
                           are not shown, but a string that names one is found where it is chosen
     "stop_token_ids"      an array of up to 1024 ids: the text ends where one of them is chosen, as it does at an end
                           token, and with ignore_eos too
     "logprobs"            0 (off) to 20 alternatives a token; -1: the chosen token's alone
     "logprobs_of"         "model" (default): the model's own distribution, before penalties, bias, constraint and
                           temperature. "sampled" is the one that the token was drawn from, after all of these, top_k,
                           top_p and min_p (at temperature 0, which leaves one token, after the first three). A token that
                           is ruled out there, or less than e^-42 times as probable as the best one, which no draw
                           reaches, is no alternative: there may be fewer than were asked for. One that was given
                           (the end of a reasoning budget, what stands around calls) has 0 and no other beside it
     "ignore_eos"          true: end tokens do not end the text
     "priority"            -100 to 100, default 0: larger ones are let in and computed first
     "time_limit"          seconds from the call: waiting or still in the prompt (rendering and tokenizing a chat and
                           making a constraint among it) it answers TIMED_OUT, with what is completed kept, and
                           later the answer ends with FINISH_TIME
     "constraint"          the form of the answer: an object as for dormouse_constraint_create. Tokens with which no text
                           of that form goes on are ruled out before one is chosen, and the answer ends where it is whole
     "response_format"     the same as OpenAI has it: {"type": "text"}, {"type": "json_object"}, or
                           {"type": "json_schema", "json_schema": {"schema": ...}}
                           Of a model that reasons, both are of its content, and reasoning is free
     "parts"               true: the answer comes in parts (DORMOUSE_EVENT_PART): content, reasoning, calls of tools; stop
                           strings are looked for in the content alone. Default: true with "tools", "thinking" or
                           "reasoning_effort", else false
     "thinking"            true, false, or {"budget_tokens": N}: whether the model reasons before it answers, by the
                           switch that its chat template has (without one, false ends the reasoning where it begins);
                           after N tokens it is ended by the model's own closing tokens. UNSUPPORTED where no format of
                           reasoning is known for the model, and true or N was asked for
     "reasoning_effort"    none (as thinking false), minimal, low, medium, high, xhigh or max: thinking, and the
                           template's variable of that name where it has one
     "tools"               chats alone: an array of functions as OpenAI has it, which the template shows to the model
     "tool_choice"         auto (default), none (no tools after all), required, or a function's name (a string, or an
                           object as OpenAI has it): the answer is calls, whose names are of the list and whose arguments
                           are by their schemas; with auto those of functions with strict are so. What can't be enforced,
                           in a schema that is strict or in the model's format, is UNSUPPORTED
     "parallel_tool_calls" false: one call at most of those that are enforced; default true
     "language"            {"scripts": ["Latin", "Han"]} (Unicode's names) or {"answer": "same" | "en" | "zh" | ...}:
                           the letters of the answer are of these scripts, of the language's, or of those of the user's
                           last message; digits, punctuation, emoji and code between backticks are free. "parts" of it:
                           ["content"] (default), ["reasoning"] or both. Calls of tools, and content under a constraint,
                           are left alone
     "answer_format"       how the model writes reasoning and calls, by name (docs/answers.md), plain for neither; default:
                           as its chat template and tokens say
   An unknown member is INVALID_ARGUMENT. on_event may be NULL.
   Generated tokens, an end token included, stay in the session. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_generate(dormouse_session *session, const int32_t *tokens,
                                                       size_t token_count, const char *config_json,
                                                       dormouse_event_fn on_event, void *user_data,
                                                       dormouse_error *error);

/* Answers a chat (messages_json as for dormouse_engine_render_messages). The session keeps whatever prefix of the
   rendered prompt it already holds, drops the rest, and computes only what is new; so the same session can be given
   the growing list of messages turn by turn. A chat that does not fit is CONTEXT_FULL, which its bytes alone may say
   before anything is tokenized. Thread: one call at a time per session. */
DORMOUSE_API dormouse_status dormouse_session_chat(dormouse_session *session, const char *messages_json,
                                                   const char *config_json, dormouse_event_fn on_event,
                                                   void *user_data, dormouse_error *error);

/* The same with attachments, which attachment:N in the messages names. What a tower makes of an image, video or audio is
   kept by its content: the same one in a later prompt, of any session, is not encoded again. Thread: one call at a time
   per session. */
DORMOUSE_API dormouse_status dormouse_session_chat_with_attachments(
    dormouse_session *session, const char *messages_json, const dormouse_attachment *const *attachments,
    size_t attachment_count, const char *config_json, dormouse_event_fn on_event, void *user_data,
    dormouse_error *error);

/* ---- Constraint: which tokens may come next --------------------------------------------------------------------- */

/* A text in the making that is to become one of a language: a JSON schema's values, a regular expression's or a grammar's
   texts, or one of some texts. What it allows is exact: a token is allowed if, and only if, some text of the language
   goes on with its bytes. A constraint that comes to need more than some seconds of work or some hundreds
   of megabytes is UNSUPPORTED from there on; usual ones need a few, which memory_limit does not count. */
typedef struct dormouse_constraint dormouse_constraint;

/* Over the tokens of an engine, which may be WITHOUT_WEIGHTS; its end tokens may follow a complete text, and control
   tokens are never allowed. config_json is an object with one of
     "json_schema"  a schema of JSON Schema 2020-12, or of the draft that its $schema names: 4, 6, 7, 2019-09
     "regex"        a regular expression of ECMA-262 that matches the whole text, without references back, word
                    boundaries and looking behind
     "choice"       an array of texts
     "grammar"      a grammar in GBNF, llama.cpp's notation, whose whole text is root
   and with json_schema "form": "compact" (default: members in the schema's order, no whitespace, characters escaped only
   where they must be) or "any" (whatever JSON allows). What is not enforced of a schema (docs/constraints.md) is
   UNSUPPORTED, with its JSON path, and never passed over. Thread: any. */
DORMOUSE_API dormouse_status dormouse_constraint_create(dormouse_constraint **out, const dormouse_engine *engine,
                                                        const char *config_json, dormouse_error *error);

/* The same over a vocabulary of the caller's own: token i has the bytes from bytes[offsets[i]] to before
   bytes[offsets[i + 1]]; none for one that is no text, which is never allowed. offsets has token_count + 1 elements.
   Everything is copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_constraint_create_for_vocabulary(
    dormouse_constraint **out, const uint8_t *bytes, const size_t *offsets, size_t token_count,
    const int32_t *end_tokens, size_t end_token_count, const char *config_json, dormouse_error *error);

/* A second one that stands where this one does, and goes its own way. Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_clone(dormouse_constraint **out, dormouse_constraint *constraint,
                                                       dormouse_error *error);

/* Thread: one call at a time per constraint. */
DORMOUSE_API void dormouse_constraint_free(dormouse_constraint *constraint);

/* The tokens that may come next: bit i % 32 of mask[i / 32] is token i's. *count receives (tokens + 31) / 32. Empty once
   an end token has been accepted. Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_allowed(uint32_t *mask, size_t capacity, size_t *count,
                                                         dormouse_constraint *constraint, dormouse_error *error);

/* Goes on by these tokens. One that is not allowed is INVALID_ARGUMENT, and none is accepted then.
   Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_accept(dormouse_constraint *constraint, const int32_t *tokens,
                                                        size_t token_count, dormouse_error *error);

/* Takes the last token_count tokens back; more than have been accepted is INVALID_ARGUMENT.
   Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_rewind(dormouse_constraint *constraint, size_t token_count,
                                                        dormouse_error *error);

/* The tokens that must come next, since each is the only one allowed after those before it: at most capacity of them.
   None is accepted by that. Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_forced(int32_t *tokens, size_t capacity, size_t *count,
                                                        dormouse_constraint *constraint, dormouse_error *error);

/* 1 where the text so far is one of the language, else 0. Thread: one call at a time per constraint. */
DORMOUSE_API dormouse_status dormouse_constraint_is_complete(int32_t *is_complete, dormouse_constraint *constraint,
                                                             dormouse_error *error);

/* ---- Transcriber: a Whisper model by itself -------------------------------------------------------------------- */

typedef struct dormouse_transcriber dormouse_transcriber;

/* Opens a Whisper folder (config.json, generation_config.json, preprocessor_config.json, tokenizer.json, safetensors) at
   model_path. Of options, which may be NULL, thread_count, pin_threads, residency, memory_limit and progress matter;
   weights other than native are UNSUPPORTED. On failure *out is NULL and nothing stays behind. Thread: any. */
DORMOUSE_API dormouse_status dormouse_transcriber_open(dormouse_transcriber **out, const char *model_path,
                                                       const dormouse_engine_options *options, dormouse_error *error);

/* The transcriber must not be at work. Thread: one call at a time per transcriber. */
DORMOUSE_API void dormouse_transcriber_free(dormouse_transcriber *transcriber);

/* Stops the call that the transcriber is in, within one layer's time; that call answers CANCELLED. Without a call under
   way it does nothing. NULL does nothing. Thread: any. */
DORMOUSE_API void dormouse_transcriber_cancel(dormouse_transcriber *transcriber);

typedef struct dormouse_segment {
  uint32_t struct_size;    /* of the library that runs: look before reading members newer than your header */
  float temperature;       /* at which the segment's window was written; 0: the most likely token each time */
  double start;            /* seconds from the audio's beginning */
  double end;              /* seconds; 0 <= start <= end <= the audio's length, whatever the model wrote */
  const char *text;        /* UTF-8, not NUL-terminated, with the space that the model writes ahead of it; NULL when
                              text_length is 0 */
  size_t text_length;
  const char *language;    /* its code, given or detected, such as "en", not NUL-terminated; NULL for a model of one
                              language */
  size_t language_length;
  const int32_t *tokens;   /* as the model wrote them, timestamps among them */
  size_t token_count;
  double average_log_probability; /* natural logarithm, of the tokens of the segment's window */
  double compression_ratio;       /* of the same; repetitions have a high one */
  double no_speech_probability;   /* that the window holds no speech */
} dormouse_segment;

/* A non-zero return stops the work; the call then returns that value. */
typedef int32_t (*dormouse_segment_fn)(void *user_data, const dormouse_segment *segment);

/* Writes down what is said in audio, of any length; on_segment, which may be NULL, gets each segment when its window
   of 30 s is done. config_json is NULL or an object:
     "language"                     a code such as "en"; default: detected in the first window
     "task"                         "transcribe" (default), or "translate": into English
     "timestamps"                   default true; audio longer than a window needs them
     "temperature"                  a number, or an array of up to 64, 0 to 100: the next is tried when a window fails a
                                    threshold; default [0, 0.2, 0.4, 0.6, 0.8, 1]
     "compression_ratio_threshold"  above it a window is tried again; default 1.35, null: off
     "logprob_threshold"            below it a window is tried again; default -1, null: off
     "no_speech_threshold"          above it, and below the one before, a window is left out; default 0.6, null: off
     "condition_on_prev_tokens"     true: a window is told what was said before it; default false
     "seed"                         integer; default 0: same seed, same draws above temperature 0
     "time_limit"                   seconds from the call, decoding included: then it answers TIMED_OUT
   An unknown member, and a language or task that the model does not know, are INVALID_ARGUMENT, and so is an attachment
   that is not audio. Thread: one call at a time per transcriber. */
DORMOUSE_API dormouse_status dormouse_transcriber_run(dormouse_transcriber *transcriber,
                                                      const dormouse_attachment *attachment, const char *config_json,
                                                      dormouse_segment_fn on_segment, void *user_data,
                                                      dormouse_error *error);

/* ---- Parts: each usable alone, on plain arrays ----------------------------------------------------------------- */

/* The MoE router of the DeepSeek family. */
typedef struct dormouse_router dormouse_router;

/* config_json, with the names of the model's config.json: "n_routed_experts", "num_experts_per_tok",
   "routed_scaling_factor"; "topk_method" ("greedy", "group_limited_greedy" or "noaux_tc"; without it "scoring_func"
   "sigmoid" means noaux_tc and everything else greedy); "n_group" and "topk_group" for the methods with groups;
   "norm_topk_prob" for noaux_tc. Other members of a config.json are ignored. Thread: any. */
DORMOUSE_API dormouse_status dormouse_router_create(dormouse_router **out, const char *config_json,
                                                    dormouse_error *error);
/* Thread: one call at a time per router. */
DORMOUSE_API void dormouse_router_free(dormouse_router *router);

/* ids[token_count][num_experts_per_tok], weights likewise, from logits[token_count][n_routed_experts];
   correction_bias[n_routed_experts] is required by noaux_tc and must be NULL otherwise. A logit that is not finite
   is NUMERICAL. Thread: any. */
DORMOUSE_API dormouse_status dormouse_router_route(int32_t *ids, float *weights, const dormouse_router *router,
                                                   const float *logits, const float *correction_bias,
                                                   size_t token_count, dormouse_error *error);

/* The latent cache of one layer, with its attention: a row is the normed latent (kv_lora_rank values), then the
   rotated key (qk_rope_head_dim values). */
typedef struct dormouse_latent_cache dormouse_latent_cache;

/* config_json: "kv_lora_rank", "qk_rope_head_dim", "capacity" (rows; required), "type" ("f32", the default,
   "bf16" or "int8": kv_lora_rank bytes, a float, qk_rope_head_dim bf16). Thread: any. */
DORMOUSE_API dormouse_status dormouse_latent_cache_create(dormouse_latent_cache **out, const char *config_json,
                                                          dormouse_error *error);
/* Thread: one call at a time per cache. */
DORMOUSE_API void dormouse_latent_cache_free(dormouse_latent_cache *cache);

/* Appends rows[row_count][kv_lora_rank + qk_rope_head_dim]; CONTEXT_FULL, with nothing appended, beyond the
   capacity. Thread: one call at a time per cache. */
DORMOUSE_API dormouse_status dormouse_latent_cache_append(dormouse_latent_cache *cache, const float *rows,
                                                          size_t row_count, dormouse_error *error);

/* Rows held, and the bytes of the pages that hold them, of 64 rows each. Either pointer may be NULL.
   Thread: one call at a time per cache. */
DORMOUSE_API dormouse_status dormouse_latent_cache_size(size_t *row_count, size_t *byte_count,
                                                        const dormouse_latent_cache *cache, dormouse_error *error);

/* Keeps the first row_count rows. Thread: one call at a time per cache. */
DORMOUSE_API dormouse_status dormouse_latent_cache_truncate(dormouse_latent_cache *cache, size_t row_count,
                                                            dormouse_error *error);

/* Absorbed attention of one token over the first row_count rows (0: all):
   out[h] = sum_t softmax_t(scale * query[h] . row[t]) * row[t][0 ..< kv_lora_rank], for
   query[head_count][kv_lora_rank + qk_rope_head_dim] and out[head_count][kv_lora_rank].
   Thread: any, while nobody appends or truncates. */
DORMOUSE_API dormouse_status dormouse_latent_cache_attend(float *out, const dormouse_latent_cache *cache,
                                                          const float *query, size_t head_count, size_t row_count,
                                                          float scale, dormouse_error *error);

/* The instruction sets as a JSON object: "built", "usable" (arrays of names), "chosen" (a name). Thread: any. */
DORMOUSE_API dormouse_status dormouse_kernels_list(char *buffer, size_t capacity, size_t *length,
                                                   dormouse_error *error);

/* Engines and parts created from now on use this instruction set ("baseline", "avx2", "avx512", "neon"); NULL goes
   back to the environment's DORMOUSE_ISA, or the best usable one. UNSUPPORTED when this processor or this build lacks
   it. Thread: any. */
DORMOUSE_API dormouse_status dormouse_kernels_force(const char *name, dormouse_error *error);

enum { /* weight types */
  DORMOUSE_TYPE_F32 = 1,
  DORMOUSE_TYPE_F16 = 2,
  DORMOUSE_TYPE_BF16 = 3,
  DORMOUSE_TYPE_F8_E4M3 = 4, /* with scales */
  DORMOUSE_TYPE_F8_E8M0 = 5  /* scales only: 2^(byte - 127) */
};

/* result[token_count][rows] = input[token_count][columns] times the transpose of weights[rows][columns].
   For F8_E4M3, element (r, c) counts scales[r / block_rows][c / block_columns] times, with scale_type F32 or F8_E8M0;
   for the other types scales is NULL and scale_type, block_rows and block_columns are 0. Thread: any. */
DORMOUSE_API dormouse_status dormouse_kernels_multiply(float *result, const void *weights, int32_t weight_type,
                                                       const void *scales, int32_t scale_type, size_t block_rows,
                                                       size_t block_columns, size_t rows, size_t columns,
                                                       const float *input, size_t token_count,
                                                       dormouse_error *error);

/* A weight matrix in 8 or 4 bits, with its product: what engines with DORMOUSE_WEIGHTS_INT8 and _INT4 compute with. How
   the bits lie in memory differs from version to version, so they stay inside. */
typedef struct dormouse_packed_matrix dormouse_packed_matrix;

/* Packs weights[rows][columns], given with their scales as for dormouse_kernels_multiply and read during this call
   alone. config_json: "type", "rows", "columns", all required. A row has a scale for each 32 columns; an "int8" weight
   is -127 to 127 times it, an "int4" weight one of sixteen uneven levels times it, with the scale chosen for the least
   squared error. A row with a NaN or an infinity becomes NaN. Thread: any. */
DORMOUSE_API dormouse_status dormouse_packed_matrix_create(dormouse_packed_matrix **out, const char *config_json,
                                                           const void *weights, int32_t weight_type,
                                                           const void *scales, int32_t scale_type, size_t block_rows,
                                                           size_t block_columns, dormouse_error *error);
/* Thread: one call at a time per matrix. */
DORMOUSE_API void dormouse_packed_matrix_free(dormouse_packed_matrix *matrix);

/* Its shape, and the bytes that the packed weights take. Each pointer may be NULL. Thread: any. */
DORMOUSE_API dormouse_status dormouse_packed_matrix_size(size_t *rows, size_t *columns, size_t *byte_count,
                                                         const dormouse_packed_matrix *matrix, dormouse_error *error);

/* weights[row_count][columns]: what the matrix holds now instead of rows first_row, first_row + 1, ... of the weights
   that it was made of. Rows that it does not have are INVALID_ARGUMENT. Thread: any. */
DORMOUSE_API dormouse_status dormouse_packed_matrix_dequantize(float *weights, const dormouse_packed_matrix *matrix,
                                                               size_t first_row, size_t row_count,
                                                               dormouse_error *error);

/* result[token_count][rows] = input[token_count][columns] times the transpose of the matrix, with the input rounded to
   8 bits and a scale for each 32 columns; a token's result does not depend on the others. A NaN or an infinity in the
   input makes its token's result NaN. Thread: any. */
DORMOUSE_API dormouse_status dormouse_packed_matrix_multiply(float *result, const dormouse_packed_matrix *matrix,
                                                             const float *input, size_t token_count,
                                                             dormouse_error *error);

/* What this machine can do at most with thread_count threads (0: all): bytes a second read from memory, and float32
   operations a second of the chosen instruction set. Takes about a second. Thread: any. */
DORMOUSE_API dormouse_status dormouse_machine_measure(double *bytes_per_second, double *operations_per_second,
                                                      uint32_t thread_count, dormouse_error *error);

#ifdef __cplusplus
}
#endif
#endif
