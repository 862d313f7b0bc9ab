// How the rows of a latent cache are stored; what crosses between DormouseKernels and the targets that hold one
// instruction set each.
#ifndef DORMOUSE_ROWS_H
#define DORMOUSE_ROWS_H
#include <stddef.h>
#include <stdint.h>

// A row holds `rank` latent values, then `rope` values of the rotated key. A page has room for the rows of this many
// positions of a layer, which follow each other without padding, so that nothing in them is aligned. The row of position
// t is row t % PLATFORM_POSITIONS_PER_PAGE of page t / PLATFORM_POSITIONS_PER_PAGE, behind the bytes of other layers.
enum { PLATFORM_POSITIONS_PER_PAGE = 64 };

// Values of platform_row_format.type.
enum {
  // (rank + rope) float32.
  PLATFORM_ROWS_FLOAT32 = 0,
  // (rank + rope) bfloat16.
  PLATFORM_ROWS_BFLOAT16 = 1,
  // rank signed bytes, a float32 that they are multiplied by, rope bfloat16.
  PLATFORM_ROWS_INT8 = 2,
};

typedef struct platform_row_format {
  int32_t type;
  ptrdiff_t rank;
  ptrdiff_t rope;
} platform_row_format;

// Bytes of a row.
static inline __attribute__((always_inline)) ptrdiff_t platform_row_byte_count(platform_row_format format) {
  switch (format.type) {
    case PLATFORM_ROWS_FLOAT32: return 4 * (format.rank + format.rope);
    case PLATFORM_ROWS_BFLOAT16: return 2 * (format.rank + format.rope);
    default: return format.rank + 4 + 2 * format.rope;
  }
}

#endif
