// Calls kernels and holds them to sums in double precision, from the definition of each format (packed ones in
// panels.c). Prints what differs; returns 1 if anything does.
#include "driver.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void get_kernels(platform_kernels *table);

platform_kernels kernels;

enum { MOST = 600 };  // columns
static int failures;
static long checks;
static const int sizes[] = {4, 2, 2, 1};

static unsigned random_bits(void) {
  static unsigned long long state = 88172645463325252ull;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (unsigned)(state >> 20);
}

static float random_number(void) { return (float)((int)(random_bits() & 0xFFFFFF) - 0x800000) / 0x800000; }

void expect(double value, double expected, double tolerance, const char *what, int type, long index) {
  checks++;
  if (fabs(value - expected) <= tolerance || (isnan(value) && isnan(expected))) return;
  if (failures++ < 20) printf("%s, type %d, %ld: %.9g, expected %.9g\n", what, type, index, value, expected);
}

// The value of a stored element: sign, exponent and mantissa put together by ldexp.
static double element(const platform_matrix *w, long index) {
  const unsigned char *p = (const unsigned char *)w->data + index * sizes[w->type];
  unsigned bits = 0;
  float single;
  memcpy(&bits, p, sizes[w->type]);
  if (w->type == PLATFORM_TYPE_BFLOAT16) bits <<= 16;
  memcpy(&single, &bits, 4);
  if (w->type == PLATFORM_TYPE_FLOAT32 || w->type == PLATFORM_TYPE_BFLOAT16) return single;
  int is_half = w->type == PLATFORM_TYPE_FLOAT16;
  int mantissa_bits = is_half ? 10 : 3, bias = is_half ? 15 : 7, width = is_half ? 16 : 8;
  int mantissa = bits & ((1 << mantissa_bits) - 1);
  int exponent = bits >> mantissa_bits & ((1 << (width - 1 - mantissa_bits)) - 1);
  double sign = bits >> (width - 1) ? -1 : 1;
  if (is_half && exponent == 31) return mantissa ? NAN : sign * INFINITY;
  if (!is_half && (bits & 0x7F) == 0x7F) return NAN;
  return sign * ldexp(mantissa + (exponent ? 1 << mantissa_bits : 0), (exponent ? exponent : 1) - bias - mantissa_bits);
}

static double value(const platform_matrix *w, long r, long c) {
  double scale = 1;
  if (w->scales)
    scale = ((const float *)w->scales)[(w->first_row + r) / w->row_block * w->scale_columns + c / w->column_block];
  return element(w, r * w->columns + c) * scale;
}

static platform_matrix make(int type, long rows, long columns, int scaled) {
  platform_matrix w = {.columns = columns, .type = type};
  unsigned char *data = malloc(rows * columns * sizes[type] + 1);
  for (long i = 0; i < rows * columns; i++) {
    unsigned bits = random_bits();
    float number = random_number();
    if (type == PLATFORM_TYPE_FLOAT32 || type == PLATFORM_TYPE_BFLOAT16) memcpy(&bits, &number, 4);
    if (type == PLATFORM_TYPE_BFLOAT16) bits >>= 16;
    if (type == PLATFORM_TYPE_FLOAT16) bits &= 0xBFFF;
    if (type == PLATFORM_TYPE_FLOAT8_E4M3 && (bits & 0x7F) == 0x7F) bits = 0;
    memcpy(data + i * sizes[type], &bits, sizes[type]);
  }
  w.data = data;
  if (!scaled) return w;
  w.row_block = 7, w.column_block = 100, w.first_row = 3, w.scale_type = PLATFORM_SCALE_FLOAT32;
  w.scale_columns = (columns + 99) / 100;
  long count = (rows + 3 + 6) / 7 * w.scale_columns;
  float *scales = malloc(count * sizeof(float));
  for (long i = 0; i < count; i++) scales[i] = 0.01f + fabsf(random_number());
  w.scales = scales;
  return w;
}

float *numbers(long count) {
  float *x = aligned_alloc(64, (count * 4 + 63) / 64 * 64 + 64);
  for (long i = 0; i < count; i++) x[i] = random_number();
  return x;
}

static void check_product(const platform_matrix *w, long rows, long count, int nan_row) {
  long columns = w->columns;
  float *x = numbers(count * columns), *y = numbers(count * rows);
  float *packed = numbers(count * columns);
  static const char *const names[] = {"vectors", "matrix", "packed activations"};
  platform_floats input = {.data = x, .stride = columns, .rows = count, .columns = columns};
  kernels.pack_activations(&input, packed);
  for (int way = 0; way < 3; way++) {
    long needed[] = {kernels.multiply_vectors_scratch(columns, count), kernels.multiply_matrix_scratch(columns, count),
                     kernels.multiply_packed_scratch()};
    float *scratch = numbers(needed[way]);
    platform_product product = {.w = *w, .first = 0, .last = rows, .following = -1, .x = way == 2 ? packed : x,
                                .x_stride = columns, .count = count, .y = y, .y_stride = rows, .scratch = scratch};
    if (way == 0) kernels.multiply_vectors(&product);
    if (way == 1) kernels.multiply_matrix(&product);
    if (way == 2) kernels.multiply_packed(&product);
    for (long i = 0; i < count; i++)
      for (long r = 0; r < rows; r++) {
        double sum = 0, magnitude = 0;
        for (long c = 0; c < columns; c++) {
          double term = value(w, r, c) * x[i * columns + c];
          sum += term, magnitude += fabs(term);
        }
        expect(y[i * rows + r], r == nan_row ? NAN : sum, 5e-7 * magnitude, names[way], w->type, r);
      }
    free(scratch);
  }
  free(x), free(y), free(packed);
}

static void check_transposed(const platform_matrix *w, long rows) {
  float *x = numbers(rows), y[MOST];
  platform_transposed_product product = {.w = *w, .first = 0, .last = rows, .following = -1, .x = x, .y = y};
  kernels.multiply_transposed(&product);
  for (long c = 0; c < w->columns; c++) {
    double sum = 0, magnitude = 0;
    for (long r = 0; r < rows; r++) sum += value(w, r, c) * x[r], magnitude += fabs(value(w, r, c) * x[r]);
    expect(y[c], sum, 5e-7 * magnitude, "transposed", w->type, c);
  }
  for (long r = 0; r < rows; r++) {
    kernels.dequantize(w, r, y);
    for (long c = 0; c < w->columns; c++)
      expect(y[c], value(w, r, c), 1e-7 * fabs(value(w, r, c)), "dequantize", w->type, c);
  }
  free(x);
}

static void check_vectors(long count) {
  float *x = numbers(count), *up = numbers(count), y[MOST];
  double squares = 0, top = -INFINITY, total = 0;
  for (long i = 0; i < count; i++) x[i] *= 20, squares += (double)x[i] * x[i], top = fmax(top, x[i]);
  for (long i = 0; i < count; i++) total += exp(x[i] - top);
  kernels.rms_norm(x, up, 1e-6f, count, y);
  for (long i = 0; i < count; i++) {
    double expected = x[i] / sqrt(squares / count + 1e-6) * up[i];
    expect(y[i], expected, 1e-6 * fabs(expected), "norm", 0, i);
  }
  memcpy(y, x, count * sizeof(float));
  kernels.softmax(y, count);
  for (long i = 0; i < count; i++) {
    // x - top is rounded to float32 before it is an exponent of up to 40.
    double expected = exp((double)x[i] - top) / total;
    expect(y[i], expected, 5e-6 * expected + 1e-40, "softmax", 0, i);
  }
  memcpy(y, x, count * sizeof(float));
  kernels.silu_multiply(y, up, count);
  for (long i = 0; i < count; i++) {
    double expected = x[i] / (1 + exp(-(double)x[i])) * up[i];
    expect(y[i], expected, 2e-6 * fabs(expected), "silu", 0, i);
  }
  free(x), free(up);
}

int main(void) {
  get_kernels(&kernels);
  static const long widths[] = {1, 7, 16, 33, 128, 257, 600}, heights[] = {1, 4, 9, 21}, counts[] = {1, 2, 5, 14};
  for (int type = 0; type < 4; type++)
    for (int scaled = 0; scaled < 2; scaled++)
      for (int i = 0; i < 7; i++)
        for (int j = 0; j < 4; j++) {
          platform_matrix w = make(type, heights[j], widths[i], scaled);
          check_product(&w, heights[j], counts[(i + j) % 4], -1);
          check_transposed(&w, heights[j]);
          if (type == PLATFORM_TYPE_FLOAT8_E4M3) {
            ((unsigned char *)w.data)[(heights[j] / 2 + 1) * widths[i] - 1] = 0xFF;
            check_product(&w, heights[j], counts[j], heights[j] / 2);
            check_transposed(&w, heights[j]);
          }
          free((void *)w.data), free((void *)w.scales);
        }
  for (int i = 0; i < 7; i++) check_vectors(widths[i]);
  check_panels();
  printf("%ld values, %d wrong\n", checks, failures);
  return failures != 0;
}
