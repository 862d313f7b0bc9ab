/*
 * dormouse_media.h - what libdormouse.so asks of libdormouse_media.so, which it loads on first use.
 *
 * Not an interface for hosts, and not installed. It keeps to the rules of dormouse.h all the same, since the two
 * libraries may be of different versions: names, statuses, errors, structs that only grow, opaque handles, callbacks
 * that stop the work by a value of their own (greater than 0).
 *
 * A file is an image (JPEG, PNG, WebP, GIF, BMP; TIFF, HEIC and AVIF where libtiff and libheif are installed), a video
 * (MP4, MOV, WebM, Matroska, AVI, animated GIF, WebP and PNG), or audio (WAV, MP3, FLAC, Ogg with Opus or Vorbis, M4A,
 * AAC, or the audio of a video). What it is follows from its bytes, never from its name. Nothing but the file itself is
 * ever opened: no network, no playlist, no other file.
 *
 * The library writes no message anywhere, does not read the environment, and leaves FFmpeg's global state alone.
 */
#ifndef DORMOUSE_MEDIA_H
#define DORMOUSE_MEDIA_H

#include "../../include/dormouse.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DORMOUSE_MEDIA_VERSION_MAJOR 0
#define DORMOUSE_MEDIA_VERSION_MINOR 1

/* The interface of the library that runs: major * 1000 + minor. Another major number is another interface; a larger
   minor one has more. Thread: any. */
DORMOUSE_API uint32_t dormouse_media_version_number(void);

typedef struct dormouse_media_file dormouse_media_file;

/* Whether to stop: non-zero cancels the call under way (CANCELLED). Asked between packets, strips, tiles and rows of
   blocks, and while bytes are read, on the calling thread. */
typedef int32_t (*dormouse_media_cancel_fn)(void *user_data);

/* Limits are checked before memory is taken for what they limit; passing one is UNSUPPORTED and the sentence names it,
   as media_config of dormouse.h calls it (max_bytes, max_pixels, max_frames, max_output_bytes, max_seconds), except
   time_limit, which is TIMED_OUT. */
typedef struct dormouse_media_options {
  uint32_t struct_size;  /* sizeof(dormouse_media_options) */
  uint32_t thread_count; /* threads of a decoder, the calling one included; at most 64; 0: 1 */
  uint64_t byte_limit;   /* bytes of the file; 0: 2 GiB */
  uint64_t pixel_limit;  /* width * height of an image or frame, at most 2^28; 0: 2^26 */
  uint64_t frame_limit;  /* frames of a video; 0: 2^20 */
  uint64_t output_limit; /* bytes of pixels and samples given out in all; 0: 8 GiB */
  double second_limit;   /* seconds of a video or of audio; 0: 6 hours */
  double time_limit;     /* seconds that one call may take; 0: 300 */
  dormouse_media_cancel_fn is_cancelled; /* NULL: never */
  void *cancel_user_data;
  const char *name; /* what sentences call the file; NULL: its path, or "the media data" */
} dormouse_media_options;

#define DORMOUSE_MEDIA_OPTIONS_INIT { sizeof(dormouse_media_options), 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL }

/* Fills *options as DORMOUSE_MEDIA_OPTIONS_INIT does. Thread: any. */
DORMOUSE_API void dormouse_media_options_init(dormouse_media_options *options);

/* Opens the regular file at path. options may be NULL, and is copied. Thread: any. */
DORMOUSE_API dormouse_status dormouse_media_open_path(dormouse_media_file **out, const char *path,
                                                      const dormouse_media_options *options, dormouse_error *error);

/* Opens a file that is in memory. The bytes must stay until the handle is freed. Thread: any. */
DORMOUSE_API dormouse_status dormouse_media_open_bytes(dormouse_media_file **out, const uint8_t *bytes,
                                                       size_t byte_count, const dormouse_media_options *options,
                                                       dormouse_error *error);

/* NULL does nothing. Thread: one call at a time per file. */
DORMOUSE_API void dormouse_media_free(dormouse_media_file *file);

typedef struct dormouse_media_info {
  uint32_t struct_size;   /* sizeof(dormouse_media_info), set by the caller */
  uint32_t width;         /* pixels, as shown: after EXIF orientation and rotation; 0: no image */
  uint32_t height;        /* pixels */
  uint32_t channel_count; /* of the audio; 0: no audio */
  uint64_t frame_count;   /* 1: an image; 0: audio alone */
  double duration;        /* seconds from the first frame to the end of the last; 0 for an image */
  double frame_rate;      /* frame_count / duration; 0 for an image */
  double audio_duration;  /* seconds of audio, as the file tells; 0: it does not */
  uint32_t sample_rate;   /* of the audio, 1/s */
  uint32_t reserved;      /* 0 */
  char format[32];        /* such as "jpeg" or "matroska,webm" */
} dormouse_media_info;

/* Reads a video's packets, and decodes an image's header or its whole. A video that cannot be seen, or is beyond a limit,
   but has audio, is told as audio alone; what is wrong with it is said where its frames are asked for.
   Thread: one call at a time per file. */
DORMOUSE_API dormouse_status dormouse_media_describe(dormouse_media_info *info, dormouse_media_file *file,
                                                     dormouse_error *error);

/* When each frame of a video is shown, in seconds after the first, ascending: seconds[frame_count].
   Thread: one call at a time per file. */
DORMOUSE_API dormouse_status dormouse_media_timestamps(double *seconds, size_t capacity, size_t *count,
                                                       dormouse_media_file *file, dormouse_error *error);

/* A frame: pixels[height][width][3], red, green, blue, 8 bits each. The pointer dies on return. */
typedef int32_t (*dormouse_media_frame_fn)(void *user_data, uint64_t index, double seconds, const uint8_t *pixels,
                                           uint32_t width, uint32_t height);

/* Decodes the frames of these indices, which ascend. An image has the frame 0.
   Thread: one call at a time per file. */
DORMOUSE_API dormouse_status dormouse_media_frames(dormouse_media_file *file, const uint64_t *indices,
                                                   size_t index_count, dormouse_media_frame_fn frame, void *user_data,
                                                   dormouse_error *error);

/* The next samples, at most a few thousand: the mean of all channels, full scale at 1 and -1. The pointer dies on
   return. */
typedef int32_t (*dormouse_media_samples_fn)(void *user_data, const float *samples, size_t sample_count);

/* Decodes the audio from the beginning, resampled to sample_rate (1000 to 768000; 0: as it is), piece after piece.
   Thread: one call at a time per file. */
DORMOUSE_API dormouse_status dormouse_media_samples(dormouse_media_file *file, uint32_t sample_rate,
                                                    dormouse_media_samples_fn samples, void *user_data,
                                                    dormouse_error *error);

#ifdef __cplusplus
}
#endif
#endif
