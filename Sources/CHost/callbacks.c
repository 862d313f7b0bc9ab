#define _GNU_SOURCE
#include "host.h"

#include <pthread.h>
#include <stddef.h>

#define SWIFT_CALL __attribute__((swiftcall))

uintptr_t host_current_frame(void);

// What stands in the frame of host_call_out.
struct departure {
  uint64_t mark;
  void (*left)(void *);
  void *argument;
};

// Runs at the end of host_call_out, and when an exception goes through it (this file is compiled with -fexceptions).
static void depart(struct departure *departure) {
  departure->mark = 0;
  if (departure->left) departure->left(departure->argument);
}

SWIFT_CALL void host_call_out(void *function, void *context, host_frame *frame, void (*left)(void *), void *argument) {
  static _Atomic uint64_t count;
  typedef SWIFT_CALL void (*body)(__attribute__((swift_context)) void *);
  struct departure departure __attribute__((cleanup(depart))) = {(++count << 8) + 0xD5, left, argument};
  frame->address = (uintptr_t)&departure;
  frame->mark = departure.mark;
  ((body)function)(context);
  departure.left = NULL;
}

// Of the calling thread's own stack, without what guards its end; highest is 1 where the system does not say.
static _Thread_local uintptr_t lowest, highest;

static int is_on_own_stack(uintptr_t address) {
  if (highest == 0) {
    pthread_attr_t attributes;
    void *base = NULL;
    size_t size = 0, guard = 0;
    highest = 1;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      if (pthread_attr_getstack(&attributes, &base, &size) == 0 && pthread_attr_getguardsize(&attributes, &guard) == 0) {
        lowest = (uintptr_t)base + guard;
        highest = (uintptr_t)base + size;
      }
      pthread_attr_destroy(&attributes);
    }
  }
  return address >= lowest && address < highest;
}

size_t host_stack_room(void) {
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  return is_on_own_stack(here) ? here - lowest : 0;
}

// Stacks grow downwards: a call from inside of the closure begins below the frame. One that begins above it has been
// made after the frame was left; one below it too, where the frame's place holds something else by now.
__attribute__((no_sanitize("address"))) int32_t host_frame_is_gone(const host_frame *frame) {
  uintptr_t call = host_current_frame();
  uintptr_t here = call ? call : (uintptr_t)__builtin_frame_address(0);
  if (!is_on_own_stack(here) || !is_on_own_stack(frame->address)) return 0;
  if (here >= frame->address) return 1;
  const struct departure *departure = (const struct departure *)frame->address;
  return *(const volatile uint64_t *)&departure->mark != frame->mark;
}
