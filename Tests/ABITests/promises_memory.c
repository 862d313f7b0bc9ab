/* One allocation fails, each in its turn: what json-c was refused is OUT_OF_MEMORY, and never the fault of a text.
   usage: promises_memory MODEL
   Prints how many children ended in which way: "ok", "memory", "stopped" (by Swift's runtime, which can't go on), and
   anything else, which is wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

/* Allocations until one fails; 0: none does. Of this thread alone. */
static _Thread_local long countdown;
static _Thread_local long counted;

static int fails(void) {
  counted++;
  if (countdown == 0 || --countdown > 0) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t number, size_t size) { return fails() ? NULL : __libc_calloc(number, size); }
void *realloc(void *memory, size_t size) { return fails() ? NULL : __libc_realloc(memory, size); }
char *strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  return copy ? memcpy(copy, text, size) : NULL;
}

static const char *model;

static const char *const ROUTER =
    "{\"n_routed_experts\": 4, \"num_experts_per_tok\": 1, \"routed_scaling_factor\": 1.0, \"other\": {\"list\": [1, 2.5,"
    " \"a text that is long enough for memory of its own, and then some more of it\", null, true, [[], {}], 4, 5, 6, 7, 8,"
    " 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36]},"
    " \"a\": 1, \"b\": 1, \"c\": 1, \"d\": 1, \"e\": 1, \"f\": 1, \"g\": 1, \"h\": 1, \"i\": 1, \"j\": 1, \"k\": 1}";

static dormouse_status make_router(void) {
  dormouse_router *router = NULL;
  dormouse_status status = dormouse_router_create(&router, ROUTER, &error);
  CHECK((status == DORMOUSE_OK) == (router != NULL));
  return status;
}

static dormouse_status open_engine(void) {
  dormouse_engine *engine = NULL;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_status status;
  options.flags = DORMOUSE_ENGINE_WITHOUT_WEIGHTS;
  status = dormouse_engine_open(&engine, model, &options, &error);
  CHECK((status == DORMOUSE_OK) == (engine != NULL));
  return status;
}

static void try_each(const char *name, dormouse_status (*call)(void), long step) {
  long total, ok = 0, memory = 0, stopped = 0;
  /* What is made once is made. */
  WORKS(call());
  counted = 0;
  WORKS(call());
  total = counted;
  for (long number = 1; number <= total; number += step) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
      dormouse_status answer;
      /* Swift's runtime says on stderr why it stops. */
      if (freopen("/dev/null", "w", stderr) == NULL) _exit(9);
      failures = 0;
      countdown = number;
      answer = call();
      countdown = 0;
      _exit(failures ? 3 : answer == DORMOUSE_OK ? 0 : answer == DORMOUSE_ERROR_OUT_OF_MEMORY ? 1 : 16 - answer);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) ok++;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 1) memory++;
    else if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP))
      stopped++;
    else {
      failures++;
      fprintf(stderr, "%s: allocation %ld of %ld fails: wait status %#x\n", name, number, total, (unsigned)status);
    }
  }
  printf("%s: ok %ld, memory %ld, stopped %ld\n", name, ok, memory, stopped);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  model = argv[1];
  try_each("router", make_router, 1);
  try_each("engine", open_engine, 23);
  return failures != 0;
}
