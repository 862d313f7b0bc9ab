// What crosses between DormouseKernels and the targets that hold one instruction set each (kernels.h): weight matrices,
// row-major or packed, and activations rounded to bytes. C structs, because those targets share no Swift module.
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

// Bytes of an element of such a type.
static inline __attribute__((always_inline)) ptrdiff_t platform_element_byte_count(int32_t type) {
  return type == PLATFORM_TYPE_FLOAT32 ? 4 : type == PLATFORM_TYPE_FLOAT8_E4M3 ? 1 : 2;
}

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

// The depth of a block in products of outer type: its sums begin at zero and are added to those of the blocks before it.
// What is to have the same bits adds up in the same blocks.
enum { PLATFORM_OUTER_DEPTH = 96 };

// Values of platform_panels.type.
enum {
  PLATFORM_PANELS_INT8 = 0,
  PLATFORM_PANELS_INT4 = 1,
};

enum {
  // Rows of a panel and columns of a group: one scale stands for each row of a group.
  PLATFORM_PANEL_ROWS = 16,
  PLATFORM_GROUP_COLUMNS = 32,
  // Bytes of a group's elements.
  PLATFORM_GROUP_BYTES_INT8 = 512,
  PLATFORM_GROUP_BYTES_INT4 = 256,
};

// A weight matrix packed for products of bytes: panels of 16 rows; rows and columns that fill up the last ones are zero.
//
// A panel is what follows, in this order, panel_stride bytes from the next one:
//   factors   [16 rows] float32; NaN where a row has a number that is not finite
//   scales    [groups][16 rows] int8, roots with a sign: a scale is s |s|; filled up to a multiple of 64 bytes
//   elements  int8: [groups][8 steps][16 rows][4 columns] unsigned bytes, the value plus 128
//             int4: [groups][4 pairs of steps][16 rows][4 columns] bytes; the lower four bits are the code of a column
//             of the pair's first step, the upper four that of its second; a code is an index into the levels of
//             CPUKernels/PanelFormats.swift
// Element (r, c) is value * scale * factor; a step is 4 columns, 8 steps are a group of 32.
typedef struct platform_panels {
  const void *data;
  ptrdiff_t groups;
  ptrdiff_t panel_stride;
  int32_t type;
} platform_panels;

// Bytes of a panel's factors and scales.
static inline __attribute__((always_inline)) ptrdiff_t platform_panel_head_byte_count(ptrdiff_t groups) {
  return 64 + ((groups * PLATFORM_PANEL_ROWS + 63) & ~(ptrdiff_t)63);
}

// Bytes of a panel.
static inline __attribute__((always_inline)) ptrdiff_t platform_panel_byte_count(int32_t type, ptrdiff_t groups) {
  ptrdiff_t group = type == PLATFORM_PANELS_INT4 ? PLATFORM_GROUP_BYTES_INT4 : PLATFORM_GROUP_BYTES_INT8;
  return platform_panel_head_byte_count(groups) + groups * group;
}

// Rows of activations rounded to bytes, a scale for each group of 32 columns: element (t, c) is
// values[t][c] * scales[t][c / 32]; columns that fill up the last group are zero. offsets[t][g] is -128 times the sum
// of a group's values: what unsigned weights add too much.
typedef struct platform_activations {
  const int8_t *values;     // [count][32 * groups]
  const float *scales;      // [count][groups]
  const int32_t *offsets;   // [count][groups]
  ptrdiff_t groups;
  const int32_t *indices;   // which of these rows stand for rows 0, 1, 2, ...; NULL: they themselves
} platform_activations;

#endif
