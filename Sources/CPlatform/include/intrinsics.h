// Processor instructions for the kernel targets, and wrappers of those that are macros, which Swift cannot see. What is
// here depends on the feature flags of the target that imports it.
#ifndef DORMOUSE_INTRINSICS_H
#define DORMOUSE_INTRINSICS_H
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Asks for the cache line of address, which need not be readable.
static inline __attribute__((always_inline)) void platform_prefetch(const void *address) {
  __builtin_prefetch(address, 0, 3);
}

// The same, but into the second cache only.
static inline __attribute__((always_inline)) void platform_prefetch_second(const void *address) {
  __builtin_prefetch(address, 0, 2);
}

#endif
