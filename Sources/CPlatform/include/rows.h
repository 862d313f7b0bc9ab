// How the rows of a latent cache are stored; what crosses between DormouseKernels and the targets that hold one
// instruction set each.
#ifndef DORMOUSE_ROWS_H
#define DORMOUSE_ROWS_H

// A row holds `rank` latent values, then `rope` values of the rotated key. Rows follow each other without padding, so
// that nothing in them is aligned.
enum {
  // (rank + rope) float32.
  PLATFORM_ROWS_FLOAT32 = 0,
  // (rank + rope) bfloat16.
  PLATFORM_ROWS_BFLOAT16 = 1,
  // rank signed bytes, a float32 that they are multiplied by, rope bfloat16.
  PLATFORM_ROWS_INT8 = 2,
};

#endif
