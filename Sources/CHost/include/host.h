// What a library owes the program that it runs in, where only C can say it: the caller's floating-point environment, its
// callbacks, its stacks, its forks. No policy lives here; DormouseSupport's Host... types say what follows.
#ifndef DORMOUSE_HOST_H
#define DORMOUSE_HOST_H
#include <stddef.h>
#include <stdint.h>

// Of the calling thread: rounding, traps, what becomes of denormal numbers (MXCSR and the x87 control word, FPCR).
typedef struct host_floats {
  uint32_t differ;    // whether it is another than the one that a process starts with; the words hold it only then
  uint32_t words[8];  // x86: fnstenv's 28 bytes, then MXCSR. Arm: FPCR
} host_floats;

// Where a call of the host's began, and what was there before it.
typedef struct host_call {
  host_floats floats;
  uintptr_t frame;
  int32_t worked;  // what host_begin_work returned when it began
  int32_t rests;   // what host_begin_wait returned before a callback
} host_call;

// The calling thread computes in the environment that a process starts with from here on, for good.
void host_use_default_floats(void);

// A function of the library's begins, called by the host: until host_end_call the thread computes in the default
// environment. Calls nest.
void host_begin_call(host_call *call);
void host_end_call(const host_call *call);

// A function of the host's is about to be called inside such a call, and has returned: it runs in the host's
// environment. Outside of a call, on a thread of the library's own, that is the default one.
void host_begin_callback(void);
void host_end_callback(void);

// The frame from which a function of the host's was called.
typedef struct host_frame {
  uintptr_t address;
  uint64_t mark;
} host_frame;

// host_call_out(body, frame, left, argument), which Swift declares itself since C can't spell its first parameter, a
// closure of the type () -> Void, notes its own frame in *frame and calls the closure. Where that does not return, since
// an exception goes through it or its thread ends, left(argument) is called meanwhile.

// Whether a frame that this thread has noted is gone although its closure has never returned: something has jumped out
// of it. 0 where that can't be known, as on a stack that is not the thread's own.
int32_t host_frame_is_gone(const host_frame *frame);

// Bytes of stack that the calling thread has left; 0 where that can't be known.
size_t host_stack_room(void);

// How many forks lie between this process and the one that loaded the library: another number in a child.
uint32_t host_generation(void);

// The calling thread is at work inside the library until host_end_work, which gets what the first returned: whether it
// was before. A fork waits for such threads, and stops those that begin meanwhile: see processes.c. Calls begin and end
// work, callbacks interrupt it.
int32_t host_begin_work(void);
void host_end_work(int32_t worked);

// A place within long work where nothing is held that a child of fork would miss. Takes a nanosecond.
void host_let_forks_pass(void);

// Around a wait for other threads, which a fork need not wait for: the second gets what the first returned.
int32_t host_begin_wait(void);
void host_end_wait(int32_t worked);

// What runs before a fork, and after it in the parent. For tests.
void host_prepare_fork(void);
void host_finish_fork(void);

// How often the calling thread was refused memory by malloc and its kin since it began.
uint64_t host_refused_allocations(void);

#endif
