// What crosses between DormouseKernels and the targets that hold one instruction set each: a row-major weight matrix.
// A C struct, because those targets share no Swift module (see docs of DormouseKernels/KernelTable.swift).
#ifndef DORMOUSE_MATRIX_H
#define DORMOUSE_MATRIX_H
#include <stddef.h>
#include <stdint.h>

// Values of platform_matrix.type.
enum {
  PLATFORM_TYPE_FLOAT32 = 0,
  PLATFORM_TYPE_FLOAT16 = 1,
  PLATFORM_TYPE_BFLOAT16 = 2,
  PLATFORM_TYPE_FLOAT8_E4M3 = 3,
};

// Values of platform_matrix.scale_type.
enum {
  PLATFORM_SCALE_NONE = 0,
  PLATFORM_SCALE_FLOAT32 = 1,
  PLATFORM_SCALE_E8M0 = 2,
};

// Element (r, c) lies at data[r * columns + c] and is multiplied by
// scales[(first_row + r) / row_block * scale_columns + c / column_block] unless scale_type is NONE.
typedef struct platform_matrix {
  const void *data;
  const void *scales;
  ptrdiff_t columns;
  ptrdiff_t scale_columns;
  ptrdiff_t row_block;
  ptrdiff_t column_block;
  ptrdiff_t first_row;
  int32_t type;
  int32_t scale_type;
} platform_matrix;

#endif
