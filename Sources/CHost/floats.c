#include "host.h"

#include <string.h>

// Rounding, precision and masks: what decides results. Flags of what has happened are left alone.
#if defined(__x86_64__)

enum { x87_control_bits = 0x0F3F, x87_default = 0x033F, x87_initial = 0x037F };
enum { mxcsr_control_bits = 0xFFC0, mxcsr_default = 0x1F80 };

static inline int is_default(void) {
  uint32_t mxcsr;
  uint16_t x87;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(x87));
  return (mxcsr & mxcsr_control_bits) == mxcsr_default && (x87 & x87_control_bits) == x87_default;
}

// Flags go with the rest: unmasked again, what we have raised would trap.
static void save(uint32_t words[8]) {
  __asm__ volatile("fnstenv %0" : "=m"(*(uint8_t(*)[28])words) : : "memory");
  __asm__ volatile("stmxcsr %0" : "=m"(words[7]));
}

static void set_default(void) {
  uint16_t x87 = x87_initial;
  uint32_t mxcsr = mxcsr_default;
  __asm__ volatile("fnclex");
  __asm__ volatile("fldcw %0" : : "m"(x87));
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void restore(const uint32_t words[8]) {
  __asm__ volatile("fldenv %0" : : "m"(*(const uint8_t(*)[28])words) : "memory");
  __asm__ volatile("ldmxcsr %0" : : "m"(words[7]));
}

#elif defined(__aarch64__)

static inline uint64_t control(void) {
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}

static inline int is_default(void) { return control() == 0; }

static void save(uint32_t words[8]) {
  uint64_t value = control();
  memcpy(words, &value, sizeof(value));
}

static void set_default(void) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0)); }

static void restore(const uint32_t words[8]) {
  uint64_t value;
  memcpy(&value, words, sizeof(value));
  __asm__ volatile("msr fpcr, %0" : : "r"(value));
}

#else
#error "the floating-point environment of this architecture is not known"
#endif

// Of the host's innermost call on this thread, so that callbacks find it. No pointers: whoever jumps out of a callback
// leaves nothing here that could be followed.
static _Thread_local host_call current;

static void take(host_floats *floats) {
  floats->differ = !is_default();
  if (!floats->differ) return;
  save(floats->words);
  set_default();
}

static void give_back(const host_floats *floats) {
  if (floats->differ) restore(floats->words);
}

void host_use_default_floats(void) {
  if (!is_default()) set_default();
}

void host_begin_call(host_call *call) {
  host_call *here = &current;
  *call = *here;
  here->worked = host_begin_work();
  take(&here->floats);
  here->frame = (uintptr_t)call;
}

void host_end_call(const host_call *call) {
  host_call *here = &current;
  give_back(&here->floats);
  host_end_work(here->worked);
  *here = *call;
}

void host_begin_callback(void) {
  give_back(&current.floats);
  current.rests = host_begin_wait();
}

// The callback may have changed the host's environment.
void host_end_callback(void) {
  if (current.rests) host_begin_work();
  take(&current.floats);
}

// For callbacks.c.
uintptr_t host_current_frame(void) { return current.frame; }
