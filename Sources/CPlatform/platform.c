#define _GNU_SOURCE
#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

void platform_futex_wait(const uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void platform_futex_wake(const uint32_t *word, int32_t count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

uint32_t platform_cpu_features(void) {
  uint32_t features = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    features |= PLATFORM_CPU_AVX2_FMA_F16C;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512bf16"))
    features |= PLATFORM_CPU_AVX512_VNNI_BF16;
#elif defined(__aarch64__)
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) features |= PLATFORM_CPU_NEON_DOTPROD;
#endif
  return features;
}

// The kernel refuses a set smaller than its own mask: 8192 bits cover its largest configuration.
enum { most_processors = 8192 };
typedef cpu_set_t processor_set[most_processors / CPU_SETSIZE];

int32_t platform_affinity_count(void) {
  processor_set set;
  if (sched_getaffinity(0, sizeof(set), set) != 0) return 0;
  return CPU_COUNT_S(sizeof(set), set);
}

int32_t platform_affinity(int32_t *processors, int32_t capacity) {
  processor_set set;
  if (sched_getaffinity(0, sizeof(set), set) != 0) return 0;
  int32_t count = 0;
  for (int32_t processor = 0; processor < most_processors && count < capacity; processor++)
    if (CPU_ISSET_S(processor, sizeof(set), set)) processors[count++] = processor;
  return count;
}

int32_t platform_pin_thread(uintptr_t thread, int32_t processor) {
  processor_set set;
  if (processor < 0 || processor >= most_processors) return EINVAL;
  CPU_ZERO_S(sizeof(set), set);
  CPU_SET_S(processor, sizeof(set), set);
  return pthread_setaffinity_np((pthread_t)thread, sizeof(set), set);
}

void platform_name_thread(const char *name) {
  char cut[16];
  strncpy(cut, name, sizeof(cut) - 1);
  cut[sizeof(cut) - 1] = 0;
  pthread_setname_np(pthread_self(), cut);
}

size_t platform_own_path(char *path, size_t capacity) {
  Dl_info found;
  if (dladdr((void *)platform_own_path, &found) == 0 || !found.dli_fname) return 0;
  size_t length = strlen(found.dli_fname);
  if (length >= capacity) return 0;
  memcpy(path, found.dli_fname, length + 1);
  return length;
}

const char *platform_environment(const char *name) { return secure_getenv(name); }

static _Thread_local const void *thread_pool;
static _Thread_local int32_t thread_worker;

void platform_set_thread_role(const void *pool, int32_t worker) {
  thread_pool = pool;
  thread_worker = worker;
}

const void *platform_thread_pool(void) { return thread_pool; }

int32_t platform_thread_worker(void) { return thread_worker; }

#define SWIFT_CALL __attribute__((swiftcall))

SWIFT_CALL void platform_lend_closure(void *function, void *context, void *argument,
                                      void (*use)(void *argument, const platform_closure *body)) {
  platform_closure body = {function, context};
  use(argument, &body);
}

void platform_call_closure(const platform_closure *body, intptr_t first, intptr_t second) {
  typedef SWIFT_CALL void (*function)(intptr_t, intptr_t, __attribute__((swift_context)) void *);
  ((function)body->function)(first, second, body->context);
}

static _Thread_local void *scratch;
static _Thread_local size_t scratch_size;
static pthread_key_t scratch_key;
static int scratch_key_made;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

// Destructors of the host's keys may run after this one and still call the library: they must not find what was freed.
static void free_scratch(void *memory) {
  free(memory);
  scratch = NULL;
  scratch_size = 0;
}

static void make_scratch_key(void) { scratch_key_made = pthread_key_create(&scratch_key, free_scratch) == 0; }

// A host may unload this library before its threads end: their buffers then stay, and no destructor is called that is
// no longer there.
__attribute__((destructor)) static void delete_scratch_key(void) {
  if (scratch_key_made) pthread_key_delete(scratch_key);
}

void *platform_scratch(size_t byte_count) {
  if (byte_count <= scratch_size) return scratch;
  pthread_once(&scratch_once, make_scratch_key);
  void *larger = NULL;
  if (!scratch_key_made || posix_memalign(&larger, 64, byte_count) != 0) return NULL;
  if (pthread_setspecific(scratch_key, larger) != 0) {
    free(larger);
    return NULL;
  }
  free(scratch);
  scratch = larger;
  scratch_size = byte_count;
  return scratch;
}
