#define _GNU_SOURCE
#include "host.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint32_t generation;

uint32_t host_generation(void) { return generation; }

// A lock that another thread holds at a fork stays closed in the child for ever. Our own locks belong to handles, which a
// child has no use for; but Swift's runtime has locks of the whole process, which it holds for the microseconds in which
// it makes a type's metadata, at its first use. Nobody else can open those. Therefore a fork waits until the threads
// inside the library have come to a place where they hold none, and keeps them there until the child is made.
//
// Both waits have an end: a thread may be within one long kernel or read, and a thread that is kept may hold a lock that
// another library's handler of forks wants.
enum { longest_wait_for_threads = 250, longest_stop = 1000 };  // milliseconds

static _Atomic int32_t working;
static _Atomic uint32_t forks;    // being made
static _Atomic uint32_t stopped;  // of these, those that wait for no thread any more
static _Thread_local int32_t works;

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

// Until no fork is being made. Another thread forking in the meantime is waited for too.
static void wait_for_forks(void) {
  int64_t end = milliseconds() + longest_stop, left;
  uint32_t count;
  while ((count = forks) != 0 && (left = end - milliseconds()) > 0) {
    struct timespec time = {left / 1000, left % 1000 * 1000000};
    syscall(SYS_futex, &forks, FUTEX_WAIT_PRIVATE, count, &time, NULL, 0);
  }
}

static void begin(void) {
  works = 1;
  working++;
}

static void end(void) {
  works = 0;
  working--;
}

int32_t host_begin_work(void) {
  if (works) return 1;
  begin();
  host_let_forks_pass();
  return 0;
}

void host_end_work(int32_t worked) {
  if (!worked && works) end();
}

void host_let_forks_pass(void) {
  if (__builtin_expect(atomic_load_explicit(&forks, memory_order_relaxed) == 0, 1) || !works) return;
  end();
  wait_for_forks();
  begin();
}

int32_t host_begin_wait(void) {
  int32_t worked = works;
  if (worked) end();
  return worked;
}

// The thread has its lock back by now, and others may need that to come to their place: it stops only where no fork waits
// for them any more.
void host_end_wait(int32_t worked) {
  if (!worked) return;
  begin();
  if (__builtin_expect(stopped == 0, 1)) return;
  end();
  wait_for_forks();
  begin();
}

void host_prepare_fork(void) {
  const struct timespec pause = {0, 50000};
  int64_t end = milliseconds() + longest_wait_for_threads;
  forks++;
  while (1) {
    while (working > works && milliseconds() < end) nanosleep(&pause, NULL);
    stopped++;
    // Either a thread that wakes up meanwhile sees that, or it is seen here.
    if (working <= works || milliseconds() >= end) return;
    stopped--;
  }
}

void host_finish_fork(void) {
  stopped--;
  if (--forks == 0) syscall(SYS_futex, &forks, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

// Of all threads the child has the one that forked.
static void begin_child(void) {
  generation++;
  forks = stopped = 0;
  working = works;
}

// Where the handlers can't be registered, a child is taken for its parent, as it was before there were any. The C library
// takes them back when this library is unloaded.
__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(host_prepare_fork, host_finish_fork, begin_child);
}
