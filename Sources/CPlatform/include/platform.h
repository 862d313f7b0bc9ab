// What Swift cannot say itself: variadic system calls and processor features. No logic lives here.
#ifndef DORMOUSE_PLATFORM_H
#define DORMOUSE_PLATFORM_H
#include <stdint.h>

// futex(2) on a 32-bit word private to this process.
// Sleeps while *word == expected; returns at a wake, a signal, or when it differs already.
void platform_futex_wait(const uint32_t *word, uint32_t expected);
// Wakes up to count sleepers.
void platform_futex_wake(const uint32_t *word, int32_t count);

// Bits of platform_cpu_features.
enum {
  PLATFORM_CPU_AVX2_FMA_F16C = 1,       // AVX2, FMA and F16C together
  PLATFORM_CPU_AVX512_VNNI_BF16 = 2,    // AVX-512 F, BW, DQ, VL, VNNI and BF16 together
  PLATFORM_CPU_NEON_DOTPROD = 4,        // Arm Advanced SIMD with the dot product instructions
};
uint32_t platform_cpu_features(void);

#endif
