#include "host.h"

#include <pthread.h>

static _Atomic uint32_t generation;

static void count_fork(void) { generation++; }

// Where the handler can't be registered, a child is taken for its parent, as it was before there was one. The C library
// takes it back when this library is unloaded.
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

uint32_t host_generation(void) { return generation; }
