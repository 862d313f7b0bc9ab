// Packed weights: what packPanel writes is read back here by the layout that matrix.h describes, without any code of
// the kernels, and products are held to sums in double precision of what both sides stand for.
#include "driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = PLATFORM_PANEL_ROWS, GROUP = PLATFORM_GROUP_COLUMNS };

// The levels of int4 by their codes, as docs and Sources/CPUKernels/PanelFormats.swift list them.
static const int levels[16] = {-127, -101, -81, -64, -48, -34, -21, -9, 3, 14, 26, 39, 52, 68, 88, 119};

// Element (r, c) of a packed matrix.
static double held(const platform_panels *w, long r, long c) {
  const unsigned char *panel = (const unsigned char *)w->data + r / ROWS * w->panel_stride;
  long lane = r % ROWS, g = c / GROUP, inside = c % GROUP;
  float factor;
  memcpy(&factor, panel + lane * 4, 4);
  signed char root = ((const signed char *)panel)[64 + g * ROWS + lane];
  double scale = (double)root * abs(root) * factor;
  const unsigned char *elements = panel + 64 + (w->groups * ROWS + 63) / 64 * 64;
  if (w->type == PLATFORM_PANELS_INT8) {
    int byte = elements[((g * 8 + inside / 4) * ROWS + lane) * 4 + inside % 4];
    return scale * (byte - 128);
  }
  int byte = elements[((g * 4 + inside / 8) * ROWS + lane) * 4 + inside % 4];
  return scale * levels[inside % 8 < 4 ? byte & 15 : byte >> 4];
}

// Packs rows [rows][columns] and holds the outcome to them.
static platform_panels pack(int type, const float *source, long rows, long columns) {
  long groups = (columns + GROUP - 1) / GROUP, panels = (rows + ROWS - 1) / ROWS, width = groups * GROUP;
  platform_panels w = {.groups = groups, .panel_stride = platform_panel_byte_count(type, groups), .type = type};
  // Zeroes where a head is followed by nothing up to the next multiple of 64.
  unsigned char *data = memset(aligned_alloc(64, panels * w.panel_stride), 0, panels * w.panel_stride);
  float *block = numbers(ROWS * width), *scratch = numbers(kernels.pack_panel_scratch(groups)), *row = numbers(columns);
  for (long panel = 0; panel < panels; panel++) {
    memset(block, 0, ROWS * width * sizeof(float));
    for (long r = panel * ROWS; r < rows && r < (panel + 1) * ROWS; r++)
      memcpy(block + r % ROWS * width, source + r * columns, columns * sizeof(float));
    platform_floats input = {.data = block, .stride = width, .rows = ROWS, .columns = width};
    kernels.pack_panel(type, &input, data + panel * w.panel_stride, scratch);
  }
  w.data = data;
  for (long r = 0; r < rows; r++) {
    kernels.unpack_row(&w, r, columns, row);
    int is_finite = 1;
    for (long c = 0; c < columns; c++) is_finite &= isfinite(source[r * columns + c]) != 0;
    for (long g = 0; g < groups; g++) {
      double top = 0, squares = 0, error = 0;
      for (long c = g * GROUP; c < columns && c < (g + 1) * GROUP; c++) {
        double x = source[r * columns + c], value = held(&w, r, c);
        expect(row[c], value, 2e-7 * fabs(value), "unpacked row", type, c);
        top = fmax(top, fabs(x));
        squares += x * x, error += (value - x) * (value - x);
        if (!is_finite) expect(value, NAN, 0, "row that is not finite", type, c);
      }
      if (!is_finite) continue;
      // int8: half a step, of a scale that was rounded upward. int4: what the worst groups of random numbers leave.
      double allowed = type == PLATFORM_PANELS_INT8 ? top / 127 * 0.52 * sqrt(GROUP) : 0.15 * sqrt(squares);
      expect(sqrt(error), 0, allowed, "packed weights", type, r);
    }
  }
  free(block), free(scratch), free(row);
  return w;
}

// Rounds x [count][columns] and holds the outcome to the rule: the greatest magnitude of 32 becomes 127.
static platform_activations rounded(const float *x, long count, long columns) {
  long groups = (columns + GROUP - 1) / GROUP;
  signed char *values = malloc(count * groups * GROUP);
  float *scales = malloc(count * groups * sizeof(float));
  int *offsets = malloc(count * groups * sizeof(int));
  for (long i = 0; i < count; i++) {
    long at = i * groups;
    kernels.quantize_activations(x + i * columns, columns, values + at * GROUP, scales + at, offsets + at);
    for (long g = 0; g < groups; g++) {
      float top = 0;
      int sum = 0;
      for (long c = g * GROUP; c < columns && c < (g + 1) * GROUP; c++) {
        float size = fabsf(x[i * columns + c]);
        top = isnan(size) || isinf(size) ? NAN : size > top ? size : top;
        if (isnan(top)) break;
      }
      expect(scales[at + g], top / 127, 0, "scale of activations", 0, g);
      if (isnan(top)) continue;
      for (long c = g * GROUP; c < (g + 1) * GROUP; c++) {
        float expected = c < columns && top > 0 ? nearbyintf(x[i * columns + c] * (127 / top)) : 0;
        expect(values[at * GROUP + c], expected, 0, "rounded activations", 0, c);
        sum += values[at * GROUP + c];
      }
      expect(offsets[at + g], -128 * sum, 0, "offset of activations", 0, g);
    }
  }
  return (platform_activations){.values = values, .scales = scales, .offsets = offsets, .groups = groups};
}

static void check_panel_product(const platform_panels *w, long rows, const platform_activations *x, long count,
                                long columns) {
  long first = rows > 5 ? 3 : 0, width = rows - first;
  float *y = numbers(count * width);
  platform_panel_product product = {.w = *w, .first = first, .last = rows, .x = *x, .count = count, .y = y,
                                    .y_stride = width};
  kernels.multiply_panels(&product);
  for (long i = 0; i < count; i++) {
    long at = x->indices ? x->indices[i] : i;
    for (long r = first; r < rows; r++) {
      double sum = 0, magnitude = 0;
      for (long c = 0; c < columns; c++) {
        double scale = x->scales[at * x->groups + c / GROUP];
        double term = held(w, r, c) * x->values[at * x->groups * GROUP + c] * scale;
        sum += term, magnitude += fabs(term);
      }
      expect(y[i * width + r - first], sum, 1e-6 * magnitude, "panels", w->type, r);
    }
  }
  free(y);
}

static void check(int type, long rows, long columns, long count) {
  float *source = numbers(rows * columns), *input = numbers(count * columns);
  int *indices = malloc(count * sizeof(int));
  for (long i = 0; i < count; i++) indices[i] = (int)((i * 5 + 1) % count);
  for (int spoilt = 0; spoilt < 3; spoilt++) {
    if (spoilt == 1) source[rows / 2 * columns + columns - 1] = INFINITY;
    if (spoilt == 2) input[(count - 1) * columns] = NAN;
    platform_panels w = pack(type, source, rows, columns);
    platform_activations x = rounded(input, count, columns);
    check_panel_product(&w, rows, &x, count, columns);
    x.indices = indices;
    check_panel_product(&w, rows, &x, count, columns);
    free((void *)w.data), free((void *)x.values), free((void *)x.scales), free((void *)x.offsets);
  }
  free(source), free(input), free(indices);
}

// The packed bytes are those of every other set: Tests/DormouseKernelsTests/PanelTests.swift has the same hashes.
static void check_hash(int type, unsigned long long expected) {
  enum { rows = 35, columns = 582 };
  float *source = numbers(rows * columns);
  unsigned long long state = 1, hash = 14695981039346656037ull;
  for (long i = 0; i < rows * columns; i++) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    source[i] = (float)((int)(state >> 40) - (1 << 23)) / 0x1p23f;
  }
  platform_panels w = pack(type, source, rows, columns);
  // FNV-1a.
  for (long i = 0; i < (rows + ROWS - 1) / ROWS * w.panel_stride; i++)
    hash = (hash ^ ((const unsigned char *)w.data)[i]) * 1099511628211ull;
  expect(hash == expected, 1, 0, "hash of packed weights", type, 0);
  free(source), free((void *)w.data);
}

void check_panels(void) {
  check_hash(PLATFORM_PANELS_INT8, 6812491481589759594ull);
  check_hash(PLATFORM_PANELS_INT4, 936875748942390644ull);
  static const long widths[] = {1, 31, 32, 70, 257, 600}, heights[] = {1, 16, 21, 48}, counts[] = {1, 2, 4, 7, 13};
  for (int type = PLATFORM_PANELS_INT8; type <= PLATFORM_PANELS_INT4; type++)
    for (int i = 0; i < 6; i++)
      for (int j = 0; j < 4; j++) check(type, heights[j], widths[i], counts[(i + j) % 5]);
}
