// Reads a JPEG by libjpeg, whose errors leave by longjmp: none of it crosses a frame of Swift's.
#ifndef DORMOUSE_JPEG_PICTURE_H
#define DORMOUSE_JPEG_PICTURE_H
#include <stddef.h>
#include <stdint.h>

enum { jpeg_picture_message_size = 256 };

typedef enum jpeg_picture_result {
  JPEG_PICTURE_DONE = 0,
  JPEG_PICTURE_STOPPED,     // one of the calls below has returned non-zero
  JPEG_PICTURE_CUT,         // the data end too early
  JPEG_PICTURE_DAMAGED,     // message tells what is wrong
  JPEG_PICTURE_UNSUPPORTED, // message tells what libjpeg does not read
  JPEG_PICTURE_NO_MEMORY,
} jpeg_picture_result;

// What is called while the picture is read, all on the calling thread; non-zero stops, where an int is returned.
typedef struct jpeg_picture_calls {
  void *context;
  // Fills the buffer with the next bytes of the file; 0 at its end, or where reading fails.
  size_t (*read)(void *context, uint8_t *buffer, size_t capacity);
  // What the header tells, before memory is taken for pixels. component_count: 1 (grey), 3 (red, green, blue) or 4
  // (cyan, magenta, yellow, black, as stored: Adobe's programs store the complement).
  int (*begin)(void *context, uint32_t width, uint32_t height, int component_count);
  // The values [width, component_count] of the next row, from the top.
  int (*row)(void *context, const uint8_t *values);
  // Asked in every row of blocks of every scan.
  int (*is_stopped)(void *context);
} jpeg_picture_calls;

// message: jpeg_picture_message_size bytes for an English sentence of libjpeg's.
jpeg_picture_result jpeg_picture_read(const jpeg_picture_calls *calls, char *message);
#endif
