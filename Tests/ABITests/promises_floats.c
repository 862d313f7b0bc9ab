/* Whatever floating-point environment the host has, answers are the same and its own is given back; callbacks run in it.
   usage: promises_floats MODEL native|int8 none|up|down|zero|flush|trap
   Prints the hash of an answer with its logits, and of what the parts make of plain arrays: equal for all. */
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "expect.h"

enum { ROWS = 24, COLUMNS = 96, HEADS = 2, WIDTH = 12 };

/* Rounding, traps and the treatment of denormal numbers; flags of what has happened do not count. */
static uint64_t environment(void) {
#if defined(__x86_64__)
  uint16_t x87;
  __asm__ volatile("fnstcw %0" : "=m"(x87));
  return (uint64_t)x87 << 32 | (_mm_getcsr() & 0xFFC0);
#else
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
#endif
}

static void enter(const char *name) {
  if (!strcmp(name, "up")) fesetround(FE_UPWARD);
  if (!strcmp(name, "down")) fesetround(FE_DOWNWARD);
  if (!strcmp(name, "zero")) fesetround(FE_TOWARDZERO);
#if defined(__x86_64__)
  if (!strcmp(name, "flush")) _mm_setcsr(_mm_getcsr() | 0x8040);
#else
  if (!strcmp(name, "flush")) {
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
  }
#endif
  if (!strcmp(name, "trap")) feenableexcept(FE_UNDERFLOW | FE_INEXACT);
}

static uint64_t own, hash = 14695981039346656037u;
static int callbacks;

static void add(const void *bytes, size_t count) {
  const uint8_t *byte = bytes;
  for (size_t index = 0; index < count; index++) hash = (hash ^ byte[index]) * 1099511628211u;
}

/* On a thread of the library's own there is no environment of the host's. */
static _Thread_local int is_host;

static void look(void) {
  callbacks++;
  if (is_host) CHECK(environment() == own);
}

static int32_t on_event(void *user_data, const dormouse_event *event) {
  (void)user_data;
  look();
  if (event->text_length) add(event->text, event->text_length);
  return 0;
}

static int32_t on_progress(void *user_data, uint64_t done, uint64_t total) {
  (void)user_data, (void)done, (void)total;
  look();
  return 0;
}

static void on_log(void *user_data, int32_t level, const char *message, size_t length) {
  (void)user_data, (void)level, (void)message, (void)length;
  look();
}

static float weights[ROWS * COLUMNS], input[2 * COLUMNS], product[2 * ROWS], rows[5 * WIDTH];

/* Values of all sizes, denormal ones among them, without computing. */
static void fill(float *values, int count, uint32_t seed) {
  for (int index = 0; index < count; index++) {
    uint32_t bits;
    seed = seed * 1664525u + 1013904223u;
    bits = (seed & 0x807FFFFF) | (index % 7 == 0 ? 0 : (115u + seed % 12) << 23);
    memcpy(values + index, &bits, 4);
  }
}

static void parts(void) {
  dormouse_packed_matrix *matrix;
  dormouse_router *router;
  dormouse_latent_cache *cache;
  int32_t ids[4];
  float shares[4], attended[HEADS * 8];
  fill(weights, ROWS * COLUMNS, 1);
  fill(input, 2 * COLUMNS, 2);
  fill(rows, 5 * WIDTH, 3);
  WORKS(dormouse_kernels_multiply(product, weights, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, ROWS, COLUMNS, input, 2, &error));
  add(product, sizeof product);
  CHECK(environment() == own);
  WORKS(dormouse_packed_matrix_create(&matrix, "{\"type\":\"int8\",\"rows\":24,\"columns\":96}", weights,
                                      DORMOUSE_TYPE_F32, NULL, 0, 0, 0, &error));
  WORKS(dormouse_packed_matrix_multiply(product, matrix, input, 2, &error));
  add(product, sizeof product);
  WORKS(dormouse_packed_matrix_dequantize(weights, matrix, 0, ROWS, &error));
  add(weights, sizeof weights);
  dormouse_packed_matrix_free(matrix);
  WORKS(dormouse_router_create(&router, "{\"n_routed_experts\":96,\"num_experts_per_tok\":2,\"routed_scaling_factor\":1.7}",
                               &error));
  WORKS(dormouse_router_route(ids, shares, router, input, NULL, 2, &error));
  add(ids, sizeof ids);
  add(shares, sizeof shares);
  dormouse_router_free(router);
  WORKS(dormouse_latent_cache_create(&cache, "{\"kv_lora_rank\":8,\"qk_rope_head_dim\":4,\"capacity\":8,\"type\":\"bf16\"}",
                                     &error));
  WORKS(dormouse_latent_cache_append(cache, rows, 5, &error));
  WORKS(dormouse_latent_cache_attend(attended, cache, input, HEADS, 0, 0.3f, &error));
  add(attended, sizeof attended);
  dormouse_latent_cache_free(cache);
  CHECK(environment() == own);
}

static void answer(const char *model, int32_t precision) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *session, *other;
  static float logits[1 << 17];
  size_t count;
  options.weights = precision;
  options.thread_count = 3;
  options.progress = on_progress;
  options.log = on_log;
  WORKS(dormouse_engine_open(&engine, model, &options, &error));
  CHECK(environment() == own);
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_chat(session, "[{\"role\":\"user\",\"content\":\"Tell me a story about a mouse and 12 + 30.\"}]",
                              "{\"max_tokens\":60,\"ignore_eos\":true,\"temperature\":0.7,\"logprobs\":3}", on_event, NULL,
                              &error));
  CHECK(environment() == own);
  WORKS(dormouse_session_logits(logits, sizeof logits / sizeof *logits, &count, session, &error));
  add(logits, count * sizeof *logits);
  WORKS(dormouse_session_fork(&other, session, &error));
  dormouse_session_free(session);
  dormouse_session_free(other);
  dormouse_engine_free(engine);
  CHECK(environment() == own);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  is_host = 1;
  enter(argv[3]);
  own = environment();
  answer(argv[1], argv[2][0] == 'n' ? DORMOUSE_WEIGHTS_NATIVE : DORMOUSE_WEIGHTS_INT8);
  CHECK(callbacks > 60);
  FAILS(INVALID, dormouse_engine_open(NULL, argv[1], NULL, &error));
  CHECK(environment() == own);
  /* In this order: nothing of the host's own arithmetic may trap before. */
  parts();
  fedisableexcept(FE_ALL_EXCEPT);
  printf("%016llx\n", (unsigned long long)hash);
  return failures != 0;
}
