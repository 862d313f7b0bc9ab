// What Swift cannot say itself: variadic system calls and processor features. No logic lives here.
#ifndef DORMOUSE_PLATFORM_H
#define DORMOUSE_PLATFORM_H
#include <stddef.h>
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

// Processors that this process may be scheduled on (sched_getaffinity(2)); 0 when the system does not say.
int32_t platform_affinity_count(void);

// Writes the numbers of the processors that this process may be scheduled on, lowest first, to processors[capacity] and
// returns how many there are, at most capacity; 0 when the system does not say.
int32_t platform_affinity(int32_t *processors, int32_t capacity);

// Binds a thread (a pthread_t) to one processor: 0, or an error number.
int32_t platform_pin_thread(uintptr_t thread, int32_t processor);

// Two words of the calling thread for the thread pool: which pool it works for now, and as which worker.
void platform_set_thread_role(const void *pool, int32_t worker);
const void *platform_thread_pool(void);
int32_t platform_thread_worker(void);

// Scratch memory of the calling thread: at least byte_count bytes, aligned to 64, contents undefined, valid until the
// thread's next call. Freed when the thread ends. NULL when there is no memory.
void *platform_scratch(size_t byte_count);

// Names the calling thread for debuggers; cut to 15 bytes.
void platform_name_thread(const char *name);

// Writes the path of the shared library or program that this code is part of, as the loader knows it, to path[capacity]
// and returns its length; 0 when it is not known or has no room.
size_t platform_own_path(char *path, size_t capacity);

// The environment's value of a name, valid until it changes; NULL for none, and in a program that has more rights than
// its user (secure_getenv(3)).
const char *platform_environment(const char *name);

// A Swift closure of the type (Int, Int) -> Void where its caller has it, with no copy on the heap. Swift's own way to
// lend a closure to other threads, withoutActuallyEscaping, allocates at every call. The layout is that of Swift's
// calling convention: a function, and what it finds in its context register.
typedef struct platform_closure {
  void *function;
  void *context;
} platform_closure;

// platform_lend_closure(body, argument, use), which Swift declares itself since C can't spell its first parameter, calls
// use(argument, &body); the closure is valid until use returns.

// body(first, second). Thread: any, while the closure is lent.
void platform_call_closure(const platform_closure *body, intptr_t first, intptr_t second);

// Tells the core that this thread waits in a loop.
static inline void platform_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
