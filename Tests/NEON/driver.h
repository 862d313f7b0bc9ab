// What driver.c and panels.c share.
#ifndef DRIVER_H
#define DRIVER_H
#include "kernels.h"

// Those of the instruction set that this program was built with.
extern platform_kernels kernels;

// `count` random numbers from -1 to 1, at a multiple of 64.
float *numbers(long count);

// Counts, and prints, a value that is further from what is expected than `tolerance`; NaN equals NaN.
void expect(double value, double expected, double tolerance, const char *what, int type, long index);

// Packing, rounding of activations, and products of both.
void check_panels(void);

#endif
