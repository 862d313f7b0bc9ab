// Processor instructions for the kernel targets, and wrappers of those that are macros, which Swift cannot see. What is
// here depends on the feature flags of the target that imports it.
#ifndef DORMOUSE_INTRINSICS_H
#define DORMOUSE_INTRINSICS_H
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Asks for the cache line of address, which need not be readable.
static inline __attribute__((always_inline)) void platform_prefetch(const void *address) {
  __builtin_prefetch(address, 0, 3);
}

// Lanes of value where the lane of key is greater than border, of rest elsewhere.
#if defined(__AVX512F__)
static inline __attribute__((always_inline)) __m512 platform_where_greater(__m512 key, __m512 border, __m512 value,
                                                                           __m512 rest) {
  return _mm512_mask_mov_ps(rest, _mm512_cmp_ps_mask(key, border, _CMP_GT_OQ), value);
}
#elif defined(__AVX2__)
static inline __attribute__((always_inline)) __m256 platform_where_greater(__m256 key, __m256 border, __m256 value,
                                                                           __m256 rest) {
  return _mm256_blendv_ps(rest, value, _mm256_cmp_ps(key, border, _CMP_GT_OQ));
}
#elif defined(__x86_64__)
static inline __attribute__((always_inline)) __m128 platform_where_greater(__m128 key, __m128 border, __m128 value,
                                                                           __m128 rest) {
  __m128 mask = _mm_cmpgt_ps(key, border);
  return _mm_or_ps(_mm_and_ps(mask, value), _mm_andnot_ps(mask, rest));
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) float32x4_t platform_where_greater(float32x4_t key, float32x4_t border,
                                                                                float32x4_t value, float32x4_t rest) {
  return vbslq_f32(vcgtq_f32(key, border), value, rest);
}
#endif

#if defined(__AVX512BW__)
// Words of codes, less one where a is not greater than b.
static inline __attribute__((always_inline)) __m512i platform_less_one_unless_greater(__m512i codes, __m512i a,
                                                                                      __m512i b) {
  return _mm512_mask_sub_epi16(codes, _mm512_cmple_epi16_mask(a, b), codes, _mm512_set1_epi16(1));
}
#endif

#if defined(__AVX512BF16__)
// Sixteen float32 rounded to bfloat16, to nearest, ties to even; subnormal numbers become zero.
static inline __attribute__((always_inline)) __m256i platform_bfloat16(__m512 v) {
  return (__m256i)_mm512_cvtneps_pbh(v);
}

// sums[i] += a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1] of the bfloat16 in a and b.
static inline __attribute__((always_inline)) __m512 platform_dot_pairs(__m512 sums, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
}
#endif

#if defined(__aarch64__)
// sums[i] += the four products of bytes 4 i ... 4 i + 3 of weights (signed) with the bytes of x.
static inline __attribute__((always_inline)) int32x4_t platform_dot_bytes(int32x4_t sums, uint8x16_t weights, int32_t x) {
  int8x16_t w = vreinterpretq_s8_u8(weights);
  int8x16_t v = vreinterpretq_s8_s32(vdupq_n_s32(x));
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(sums, w, v);
#else
  int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(v)));
  int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(w), vget_high_s8(v)));
  return vaddq_s32(sums, vpaddq_s32(low, high));
#endif
}

// sums[i] + a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1].
static inline __attribute__((always_inline)) int32x4_t platform_add_products(int32x4_t sums, int16x8_t a, int16x8_t b) {
  int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
  int32x4_t high = vmull_s16(vget_high_s16(a), vget_high_s16(b));
  return vaddq_s32(sums, vpaddq_s32(low, high));
}

// All bits of the words of a that are greater than those of b.
static inline __attribute__((always_inline)) uint16x8_t platform_greater_words(int16x8_t a, int16x8_t b) {
  return vcgtq_s16(a, b);
}

// table[places[i]] for places below 64, else 0.
static inline __attribute__((always_inline)) uint8x16_t platform_look_up_64(const void *table, uint8x16_t places) {
  return vqtbl4q_u8(vld1q_u8_x4((const uint8_t *)table), places);
}

// table[codes[i]] for codes below 16.
static inline __attribute__((always_inline)) uint8x16_t platform_look_up(uint8x16_t table, uint8x16_t codes) {
  return vqtbl1q_u8(table, codes);
}
#endif

// The same, but into the second cache only.
static inline __attribute__((always_inline)) void platform_prefetch_second(const void *address) {
  __builtin_prefetch(address, 0, 2);
}

#endif
