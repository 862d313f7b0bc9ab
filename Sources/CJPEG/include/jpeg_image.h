// Reads a JPEG by libjpeg, whose errors leave by longjmp: none of it crosses a frame of Swift's.
#ifndef DORMOUSE_JPEG_IMAGE_H
#define DORMOUSE_JPEG_IMAGE_H
#include <stddef.h>
#include <stdint.h>

enum { jpeg_image_message_size = 256 };

typedef enum jpeg_image_result {
  JPEG_IMAGE_DONE = 0,
  JPEG_IMAGE_STOPPED,     // one of the calls below has returned non-zero
  JPEG_IMAGE_CUT,         // the data end too early
  JPEG_IMAGE_DAMAGED,     // message tells what is wrong
  JPEG_IMAGE_UNSUPPORTED, // message tells what libjpeg does not read
  JPEG_IMAGE_NO_MEMORY,
} jpeg_image_result;

// What is called while the image is read, all on the calling thread; non-zero stops, where an int is returned.
typedef struct jpeg_image_calls {
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
} jpeg_image_calls;

// message: jpeg_image_message_size bytes for an English sentence of libjpeg's.
jpeg_image_result jpeg_image_read(const jpeg_image_calls *calls, char *message);
#endif
