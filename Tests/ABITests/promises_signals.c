/* A fault on a thread of the library's own reaches the host's handler, and other signals never interrupt such threads.
   usage: promises_signals MODEL_COPY, whose weights are cut short here. Ends with 42, from the handler of SIGBUS. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"

static pthread_t host;

static void on_fault(int number) { _exit(number == SIGBUS && !pthread_equal(pthread_self(), host) ? 42 : 1); }

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number) {
  if (number == SIGUSR1 && pthread_equal(pthread_self(), host)) interrupts++;
}

int main(int argc, char **argv) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *session;
  struct sigaction action;
  sigset_t set, before;
  char path[4096];
  int32_t tokens[] = {5, 6, 7};
  if (argc != 2) return 2;
  host = pthread_self();
  memset(&action, 0, sizeof action);
  action.sa_handler = on_fault;
  sigaction(SIGBUS, &action, NULL);
  action.sa_handler = on_interrupt;
  sigaction(SIGUSR1, &action, NULL);
  options.thread_count = 3;
  options.residency = DORMOUSE_RESIDENCY_MAPPED;
  WORKS(dormouse_engine_open(&engine, argv[1], &options, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  /* While the host blocks it, a signal of the process's waits: nobody else takes it. */
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  kill(getpid(), SIGUSR1);
  WORKS(dormouse_session_prefill(session, tokens, 1, &error));
  CHECK(interrupts == 0);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  CHECK(interrupts == 1);
  snprintf(path, sizeof path, "%s/model.safetensors", argv[1]);
  CHECK(truncate(path, 4096) == 0);
  if (failures) return 1;
  dormouse_session_prefill(session, tokens, 3, &error);
  return 3;
}
