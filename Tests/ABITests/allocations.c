/* Counts what decoding allocates. Usage: allocations MODEL THREADS CONFIG. This program's malloc and mmap stand before
 * the C library's, also for the shared library, on every thread; they count while `counting` is set. Prints one number a
 * line: allocations while single tokens were prefilled within a page of the cache, while tokens were prefilled that end
 * a page or begin one, while logits were read, and during one generation between its 16th token and its end. */
#define _GNU_SOURCE
#include <dormouse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STEPS = 200, WARM = 16, PAGE = 64 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static int counting;
static long allocations;

static void count(void) {
  if (__atomic_load_n(&counting, __ATOMIC_SEQ_CST)) __atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST);
}

void *malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
  count();
  return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory == NULL ? ENOMEM : 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  count();
  return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}

/* The number of allocations since start(). */
static void start(void) {
  __atomic_store_n(&allocations, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&counting, 1, __ATOMIC_SEQ_CST);
}

static long stop(void) {
  __atomic_store_n(&counting, 0, __ATOMIC_SEQ_CST);
  return __atomic_load_n(&allocations, __ATOMIC_SEQ_CST);
}

static dormouse_error error = DORMOUSE_ERROR_INIT;

static void check(dormouse_status status) {
  if (status == DORMOUSE_OK) return;
  fprintf(stderr, "%s\n", error.message);
  exit(1);
}

static int32_t on_event(void *user_data, const dormouse_event *event) {
  long *counted = user_data;
  if (event->kind == DORMOUSE_EVENT_TOKEN && event->generated_tokens == WARM) start();
  if (event->kind == DORMOUSE_EVENT_END) *counted = stop();
  return 0;
}

int main(int argc, char **argv) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *session;
  static float logits[1 << 18];
  int32_t tokens[] = {5, 6, 7, 8};
  size_t number;
  long counted = -1, within = 0, at_borders = 0;
  void *sentinel;
  if (argc != 4) return 2;
  options.thread_count = (uint32_t)atoi(argv[2]);
  check(dormouse_engine_open(&engine, argv[1], &options, &error));
  check(dormouse_session_open(&session, engine, NULL, &error));

  /* The counters see what they should see. */
  start();
  sentinel = malloc(32);
  if (posix_memalign(&sentinel, 64, 64) != 0 || stop() != 2) return 3;

  check(dormouse_session_prefill(session, tokens, 4, &error));
  for (int step = 0; step < STEPS + WARM; step++) {
    int position = (4 + step) % PAGE;
    start();
    check(dormouse_session_prefill(session, tokens + step % 4, 1, &error));
    if (step >= WARM) *(position == 0 || position == PAGE - 1 ? &at_borders : &within) += stop();
  }
  printf("%ld\n%ld\n", within, at_borders);

  start();
  for (int step = 0; step < STEPS; step++)
    check(dormouse_session_logits(logits, sizeof logits / sizeof *logits, &number, session, &error));
  printf("%ld\n", stop());

  check(dormouse_session_truncate(session, 4, &error));
  check(dormouse_session_generate(session, tokens, 1, argv[3], on_event, &counted, &error));
  printf("%ld\n", counted);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
  return 0;
}
