// What a target that holds one instruction set gives to DormouseKernels: a table of its functions, which are described
// where they are written (Sources/CPUKernels). Where three numbers or more would follow each other, they go by name, in a
// structure that is lent for the call. docs/kernels.md tells how to add a kernel.
#ifndef DORMOUSE_KERNELS_H
#define DORMOUSE_KERNELS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matrix.h"
#include "rows.h"

#pragma clang assume_nonnull begin

// Numbers [rows][columns], stride floats from one row to the next.
typedef struct platform_floats {
  const float *data;
  ptrdiff_t stride;
  ptrdiff_t rows;
  ptrdiff_t columns;
} platform_floats;

// y[i][r - first] = sum over c of w[r][c] * x[i][c] for the rows first <= r < last of w.
typedef struct platform_product {
  platform_matrix w;
  ptrdiff_t first;
  ptrdiff_t last;
  ptrdiff_t following;  // the first of the rows that the thread reads next, none below zero: multiply_vectors alone
  const float *x;       // [count][w.columns], x_stride floats from one row to the next; multiply_packed: as packed
  ptrdiff_t x_stride;
  ptrdiff_t count;
  float *y;             // [count][last - first], y_stride floats from one row to the next
  ptrdiff_t y_stride;
  float *scratch;       // as many floats as the function's own scratch says
} platform_product;

// The same of a packed matrix and x rounded to bytes.
typedef struct platform_panel_product {
  platform_panels w;
  ptrdiff_t first;
  ptrdiff_t last;
  platform_activations x;
  ptrdiff_t count;
  float *y;             // [count][last - first], y_stride floats from one row to the next
  ptrdiff_t y_stride;
} platform_panel_product;

// y[c] = sum over r of x[r - first] * w[r][c] for the rows first <= r < last of w.
typedef struct platform_transposed_product {
  platform_matrix w;
  ptrdiff_t first;
  ptrdiff_t last;
  ptrdiff_t following;  // the first of the rows that the thread reads next; none below zero
  const float *x;       // [last - first]
  float *y;             // [w.columns]
} platform_transposed_product;

// C[i][j] = sum over k of A[i][k] * B[k][j], added to what C holds if accumulate.
typedef struct platform_outer_product {
  const float *a;       // A[i][k] lies at a[i * a_row + k * a_step]
  ptrdiff_t a_row;
  ptrdiff_t a_step;
  ptrdiff_t rows;
  const float *b;       // [depth][columns], b_row floats from one row to the next
  ptrdiff_t b_row;
  ptrdiff_t columns;
  ptrdiff_t depth;
  float *c;             // [rows][columns], c_row floats from one row to the next
  ptrdiff_t c_row;
  bool accumulate;
} platform_outer_product;

// Absorbed latent attention of one token over count rows of the cache, in spans.
typedef struct platform_latent {
  const float *query;   // [heads][rank + rope]
  ptrdiff_t heads;
  float scale;
  platform_row_format format;
  const void *_Nonnull const *_Nonnull pages;  // from position 0 on
  ptrdiff_t offset;     // bytes from a page's address to its first row
  const int32_t *_Nullable positions;  // those of the rows, of which first and count are then places; NULL: the rows'
  ptrdiff_t first;
  ptrdiff_t count;
  ptrdiff_t span_length;  // rows of a span, at least 1; the last may have fewer
  float *partials;      // for each span [heads][rank] weighted sums, [heads] greatest scores, [heads] sums of weights
  ptrdiff_t stride;     // floats from one span's partials to the next
  float *scratch;       // Kernels.latentScratchCount floats
} platform_latent;

// What the spans of platform_latent are together, for one head.
typedef struct platform_spans {
  const float *partials;
  ptrdiff_t stride;
  ptrdiff_t count;      // at least 1
  ptrdiff_t heads;
  ptrdiff_t head;
  ptrdiff_t rank;
  float *out;           // [rank]
} platform_spans;

// Attention of count queries of one head to a tile of keys. Query i sees the first visible + i keys (all, once that is
// key_count or more; none, for 0 or less), and of these only those whose bits are set in its mask, if there is one.
typedef struct platform_tile {
  const float *query;   // [count][width], query_row floats from one row to the next, scaled
  ptrdiff_t query_row;
  ptrdiff_t count;
  ptrdiff_t visible;
  const float *keys;    // [width][key_row], transposed, of whose columns the first key_count count
  ptrdiff_t key_row;
  ptrdiff_t key_count;
  ptrdiff_t width;
  const float *values;  // [key_count][value_width]
  ptrdiff_t value_width;
  const uint64_t *_Nullable mask;  // [count][mask_row]: key j is bit j % 64 of word j / 64
  ptrdiff_t mask_row;
  float *tops;          // [count] greatest scores so far, -infinity at first
  float *totals;        // [count] sums of weights so far, 0 at first
  float *out;           // [count][value_width] weighted sums so far, out_row floats from one row to the next
  ptrdiff_t out_row;
  float *scratch;       // Kernels.tileScratchCount floats
} platform_tile;

// What a query's tiles have added up to, to be divided by its total.
typedef struct platform_weighted_sums {
  float *out;           // [count][value_width], out_row floats from one row to the next
  ptrdiff_t out_row;
  ptrdiff_t count;
  ptrdiff_t value_width;
  const float *totals;  // [count]
} platform_weighted_sums;

typedef struct platform_kernels {
  // Products with row-major weights.
  ptrdiff_t (*least_matrix_count)(ptrdiff_t columns);
  ptrdiff_t (*multiply_vectors_scratch)(ptrdiff_t columns, ptrdiff_t count);
  void (*multiply_vectors)(const platform_product *product);
  ptrdiff_t (*multiply_matrix_scratch)(ptrdiff_t columns, ptrdiff_t count);
  void (*multiply_matrix)(const platform_product *product);
  void (*pack_activations)(const platform_floats *x, float *packed);
  ptrdiff_t (*multiply_packed_scratch)(void);
  void (*multiply_packed)(const platform_product *product);
  void (*multiply_transposed)(const platform_transposed_product *product);
  void (*dequantize)(const platform_matrix *w, ptrdiff_t row, float *y);

  // Packed weights.
  void (*quantize_activations)(const float *x, ptrdiff_t columns, int8_t *values, float *scales, int32_t *offsets);
  void (*multiply_panels)(const platform_panel_product *product);
  ptrdiff_t (*pack_panel_scratch)(ptrdiff_t groups);
  void (*pack_panel)(int32_t type, const platform_floats *rows, void *panel, float *scratch);
  void (*unpack_row)(const platform_panels *w, ptrdiff_t row, ptrdiff_t columns, float *y);
  void (*unpack_transposed)(const platform_panels *w, ptrdiff_t rows, ptrdiff_t columns, float *y, ptrdiff_t y_row);

  // Vectors.
  float (*dot)(const float *a, const float *b, ptrdiff_t count);
  void (*add_scaled)(float *y, float factor, const float *x, ptrdiff_t count);
  void (*rms_norm)(const float *x, const float *weight, float epsilon, ptrdiff_t count, float *y);
  void (*layer_norm)(const float *x, const float *weight, const float *bias, float epsilon, ptrdiff_t count, float *y);
  void (*silu_multiply)(float *gate, const float *up, ptrdiff_t count);
  void (*gelu)(float *x, ptrdiff_t count);
  void (*gelu_tanh)(float *x, ptrdiff_t count);
  void (*softmax)(float *x, ptrdiff_t count);

  // Matrices of float32, rows of the cache, attention.
  void (*transpose)(const platform_floats *x, float *out, ptrdiff_t out_row);
  void (*multiply_outer)(const platform_outer_product *product);
  void (*store_rows)(const float *rows, ptrdiff_t count, const platform_row_format *format, void *out);
  void (*load_rows)(const void *rows, ptrdiff_t count, const platform_row_format *format, float *out, ptrdiff_t stride);
  void (*attend_latent)(const platform_latent *latent);
  void (*combine_spans)(const platform_spans *spans);
  void (*attend_tile)(const platform_tile *tile);
  void (*finish_attention)(const platform_weighted_sums *sums);
  void (*sum_rectified)(const platform_floats *x, const float *weights, float *out);

  // What the machine can do at best.
  uint64_t (*read_all)(const void *p, ptrdiff_t byte_count);
  float (*multiply_and_add)(ptrdiff_t iterations, float factor, float term);
  ptrdiff_t (*vector_length)(void);
} platform_kernels;

#pragma clang assume_nonnull end

#endif
