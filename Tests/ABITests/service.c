/* Many sessions of one engine: forks, saved sessions, shared prefixes, sliding, limits, and threads.
   usage: service FOLDER SCRATCH_FOLDER   (a tiny model without a tokenizer, and a folder for files) */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROMPT = 70, ANSWER = 24, THREADS = 6 };

/* The greedy answer to a prompt: ids, and what its last event said. */
typedef struct {
  int32_t ids[ANSWER];
  uint32_t count, shared;
  int32_t reason;
} answer;

static size_t vocabulary;

static int32_t keep_answer(void *user_data, const dormouse_event *event) {
  answer *kept = user_data;
  if (event->kind == DORMOUSE_EVENT_TOKEN && kept->count < ANSWER) kept->ids[kept->count++] = event->token;
  if (event->kind == DORMOUSE_EVENT_END) kept->reason = event->finish_reason, kept->shared = event->prompt_shared;
  return 0;
}

static dormouse_status generate(dormouse_session *session, const int32_t *tokens, size_t count, answer *kept) {
  memset(kept, 0, sizeof *kept);
  return dormouse_session_generate(session, tokens, count, "{\"ignore_eos\": true, \"max_tokens\": 24}", keep_answer,
                                   kept, NULL);
}

static int same(const answer *a, const answer *b) {
  return a->count == ANSWER && b->count == ANSWER && memcmp(a->ids, b->ids, sizeof a->ids) == 0;
}

/* Prompts of one number are equal, and those of different ones differ from their first token on. */
static void fill(int32_t *tokens, int number) {
  for (size_t index = 0; index < PROMPT; index++)
    tokens[index] = (int32_t)((index * 7 + index / 5 + (size_t)number) % vocabulary);
}

static dormouse_engine *open_engine(const char *folder, const dormouse_engine_options *options) {
  dormouse_engine *engine = NULL;
  WORKS(dormouse_engine_open(&engine, folder, options, &error));
  if (engine == NULL) exit(1);
  return engine;
}

static dormouse_session *open_session(dormouse_engine *engine, const dormouse_session_options *options) {
  dormouse_session *session = NULL;
  WORKS(dormouse_session_open(&session, engine, options, &error));
  if (session == NULL) exit(1);
  return session;
}

static size_t length_of(const dormouse_session *session) {
  size_t length = SIZE_MAX;
  WORKS(dormouse_session_length(&length, session, &error));
  return length;
}

/* The number behind the first `name` after `part` in the engine's statistics; -1 when there is none. */
static double statistic(const dormouse_engine *engine, const char *part, const char *name) {
  char document[8192], key[64];
  size_t length = 0;
  const char *found;
  if (dormouse_engine_statistics(document, sizeof document, &length, engine, NULL) != DORMOUSE_OK) return -1;
  snprintf(key, sizeof key, "\"%s\":", part);
  found = strstr(document, key);
  snprintf(key, sizeof key, "\"%s\":", name);
  found = found == NULL ? NULL : strstr(found, key);
  return found == NULL ? -1 : strtod(found + strlen(key), NULL);
}

static void forks(dormouse_engine *engine) {
  int32_t tokens[PROMPT];
  dormouse_session *session = open_session(engine, NULL), *fork = NULL;
  answer first, second, longer;
  double used;
  fill(tokens, 1);
  WORKS(dormouse_session_prefill(session, tokens, PROMPT, &error));
  FAILS(INVALID, dormouse_session_fork(NULL, session, &error));
  fork = session;
  FAILS(INVALID, dormouse_session_fork(&fork, NULL, &error));
  CHECK(fork == NULL);
  used = statistic(engine, "cache", "used");
  WORKS(dormouse_session_fork(&fork, session, &error));
  CHECK(fork != NULL && length_of(fork) == PROMPT);
  CHECK(used > 0 && statistic(engine, "cache", "used") == used); /* no page is copied */
  CHECK(statistic(engine, "cache", "shared") >= 2);
  WORKS(generate(session, NULL, 0, &first));
  WORKS(generate(fork, NULL, 0, &second));
  CHECK(same(&first, &second));
  /* Each goes its own way. */
  WORKS(dormouse_session_truncate(session, 3, &error));
  CHECK(length_of(session) == 3 && length_of(fork) == PROMPT + ANSWER);
  dormouse_session_free(session); /* the fork keeps what it needs */
  WORKS(dormouse_session_truncate(fork, PROMPT, &error));
  WORKS(generate(fork, NULL, 0, &longer));
  CHECK(same(&second, &longer));
  dormouse_session_free(fork);

  session = open_session(engine, NULL);
  WORKS(dormouse_session_fork(&fork, session, &error)); /* of nothing */
  CHECK(length_of(fork) == 0);
  dormouse_session_free(fork);
  dormouse_session_free(session);
}

static void damage(const char *path, long offset) {
  FILE *file = fopen(path, "r+b");
  int byte;
  CHECK(file != NULL);
  if (file == NULL) return;
  fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET);
  byte = fgetc(file);
  fseek(file, -1, SEEK_CUR);
  fputc(byte ^ 0x10, file);
  fclose(file);
}

/* The answer of a session that then holds what it held. Its last token is computed again, alone: after a prompt the first
   answer may stem from the other form of attention, which rounds differently where weights are packed. */
static void answer_again(dormouse_session *session, answer *kept) {
  size_t length = length_of(session);
  WORKS(generate(session, NULL, 0, kept));
  WORKS(dormouse_session_truncate(session, length, &error));
  WORKS(generate(session, NULL, 0, kept));
  WORKS(dormouse_session_truncate(session, length, &error));
}

/* A restore that fails with `expected` and leaves the session as it was. */
static void refused(dormouse_session *session, const char *path, dormouse_status expected) {
  answer before, after;
  size_t length = length_of(session);
  answer_again(session, &before);
  FAILS(expected, dormouse_session_restore(session, path, &error));
  CHECK(strstr(error.message, path) != NULL);
  CHECK(length_of(session) == length);
  WORKS(generate(session, NULL, 0, &after));
  WORKS(dormouse_session_truncate(session, length, &error));
  CHECK(same(&before, &after));
}

static void snapshots(dormouse_engine *engine, const char *folder, const char *scratch) {
  int32_t tokens[PROMPT];
  char path[512], missing[512], unwritable[512];
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session *session, *restored, *other;
  dormouse_engine *packed;
  answer expected, found;
  snprintf(path, sizeof path, "%s/session", scratch);
  snprintf(missing, sizeof missing, "%s/no such file", scratch);
  snprintf(unwritable, sizeof unwritable, "%s/no/such/folder", scratch);
  fill(tokens, 2);
  session = open_session(engine, NULL);
  FAILS(INVALID, dormouse_session_save(NULL, path, &error));
  FAILS(INVALID, dormouse_session_save(session, NULL, &error));
  FAILS(INVALID, dormouse_session_restore(NULL, path, &error));
  FAILS(INVALID, dormouse_session_restore(session, NULL, &error));
  CHECK(dormouse_session_save(session, unwritable, &error) < 0 && strstr(error.message, unwritable) != NULL);
  CHECK(dormouse_session_save(session, "", &error) < 0);
  WORKS(dormouse_session_save(session, path, &error)); /* of nothing */
  WORKS(dormouse_session_restore(session, path, &error));
  CHECK(length_of(session) == 0);

  WORKS(dormouse_session_prefill(session, tokens, PROMPT, &error));
  WORKS(dormouse_session_save(session, path, &error)); /* takes the old one's place */
  WORKS(generate(session, NULL, 0, &expected));
  settings.flags = DORMOUSE_SESSION_PRIVATE;
  restored = open_session(engine, &settings);
  WORKS(dormouse_session_prefill(restored, tokens, 5, &error)); /* what it held is forgotten */
  WORKS(dormouse_session_restore(restored, path, &error));
  CHECK(length_of(restored) == PROMPT);
  WORKS(generate(restored, NULL, 0, &found));
  CHECK(same(&expected, &found));
  WORKS(dormouse_session_truncate(restored, 9, &error));

  refused(restored, missing, DORMOUSE_ERROR_NOT_FOUND);
  CHECK(dormouse_session_restore(restored, scratch, &error) < 0); /* a folder */
  settings.cache = DORMOUSE_CACHE_INT8;
  other = open_session(engine, &settings);
  WORKS(dormouse_session_prefill(other, tokens, 9, &error));
  refused(other, path, DORMOUSE_ERROR_UNSUPPORTED); /* rows of another type */
  dormouse_session_free(other);
  settings.cache = 0;
  settings.context_length = PROMPT - 1;
  other = open_session(engine, &settings);
  WORKS(dormouse_session_prefill(other, tokens, 9, &error));
  refused(other, path, DORMOUSE_ERROR_CONTEXT_FULL);
  dormouse_session_free(other);
  settings.context_length = 0;
  options.weights = DORMOUSE_WEIGHTS_INT8;
  packed = open_engine(folder, &options);
  other = open_session(packed, &settings);
  dormouse_engine_free(packed);
  WORKS(dormouse_session_prefill(other, tokens, 9, &error));
  refused(other, path, DORMOUSE_ERROR_UNSUPPORTED); /* weights of another precision */
  dormouse_session_free(other);

  damage(path, -3); /* in the rows */
  refused(restored, path, DORMOUSE_ERROR_MALFORMED);
  WORKS(dormouse_session_save(session, path, &error));
  damage(path, 40); /* in the header */
  refused(restored, path, DORMOUSE_ERROR_MALFORMED);
  dormouse_session_free(restored);
  dormouse_session_free(session);
}

static void shared_prefixes(const char *folder) {
  int32_t tokens[PROMPT];
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_engine *engine = open_engine(folder, NULL);
  dormouse_session *session = open_session(engine, NULL);
  answer first, again;
  fill(tokens, 3);
  WORKS(generate(session, tokens, PROMPT, &first));
  CHECK(first.shared == 0);
  dormouse_session_free(session);
  session = open_session(engine, NULL);
  WORKS(generate(session, tokens, PROMPT, &again));
  CHECK(same(&first, &again) && again.shared == PROMPT - 1); /* the last token is computed, for its logits */
  CHECK(statistic(engine, "cache", "tokens_found") == PROMPT - 1);
  dormouse_session_free(session);
  settings.flags = DORMOUSE_SESSION_PRIVATE;
  session = open_session(engine, &settings);
  WORKS(generate(session, tokens, PROMPT, &again));
  CHECK(same(&first, &again) && again.shared == 0);
  dormouse_session_free(session);
  dormouse_engine_free(engine);

  options.flags = DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE;
  engine = open_engine(folder, &options);
  for (int turn = 0; turn < 2; turn++) {
    session = open_session(engine, NULL);
    WORKS(generate(session, tokens, PROMPT, &again));
    CHECK(same(&first, &again) && again.shared == 0);
    dormouse_session_free(session);
  }
  CHECK(statistic(engine, "cache", "prefix_pages") == 0 && statistic(engine, "cache", "used") == 0);
  dormouse_engine_free(engine);
}

static void sliding(dormouse_engine *engine) {
  int32_t tokens[PROMPT];
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_session *session;
  answer found;
  fill(tokens, 4);
  settings.context_length = 32;
  session = open_session(engine, &settings);
  WORKS(generate(session, tokens, 20, &found));
  CHECK(found.count == 12 && found.reason == DORMOUSE_FINISH_CONTEXT && length_of(session) == 32);
  dormouse_session_free(session);
  settings.overflow = DORMOUSE_OVERFLOW_SLIDE;
  settings.keep_tokens = 4;
  session = open_session(engine, &settings);
  WORKS(generate(session, tokens, 20, &found));
  CHECK(found.count == ANSWER && found.reason == DORMOUSE_FINISH_LENGTH && length_of(session) <= 32);
  FAILS(DORMOUSE_ERROR_CONTEXT_FULL, dormouse_session_prefill(session, tokens, 29, &error)); /* beside the four */
  WORKS(dormouse_session_prefill(session, tokens, 28, &error));
  CHECK(length_of(session) == 32);
  dormouse_session_free(session);
}

static void limits(const char *folder) {
  int32_t tokens[PROMPT];
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *session = NULL;
  options.cache_limit = 1;
  engine = open_engine(folder, &options);
  FAILS(DORMOUSE_ERROR_OUT_OF_MEMORY, dormouse_session_open(&session, engine, &settings, &error));
  CHECK(session == NULL && strstr(error.message, "cache_limit is 1") != NULL);
  dormouse_engine_free(engine);

  fill(tokens, 5);
  engine = open_engine(folder, NULL);
  session = open_session(engine, NULL);
  FAILS(DORMOUSE_ERROR_TIMED_OUT,
        dormouse_session_generate(session, tokens, PROMPT, "{\"time_limit\": 1e-9}", NULL, NULL, &error));
  dormouse_session_free(session);
  dormouse_engine_free(engine);
}

/* ---- Threads ---- */

/* A call on a thread of its own. */
typedef struct {
  pthread_t thread;
  dormouse_session *session;
  int32_t tokens[PROMPT];
  const char *config;
  answer found;
  dormouse_status status;
  pthread_mutex_t *gate; /* closed: the first token waits there */
} call;

static int32_t wait_at_gate(void *user_data, const dormouse_event *event) {
  call *own = user_data;
  if (event->kind == DORMOUSE_EVENT_TOKEN && event->generated_tokens == 1 && own->gate != NULL) {
    pthread_mutex_lock(own->gate);
    pthread_mutex_unlock(own->gate);
  }
  return keep_answer(&own->found, event);
}

static void *run(void *argument) {
  call *own = argument;
  own->status = dormouse_session_generate(own->session, own->tokens, PROMPT, own->config, wait_at_gate, own, NULL);
  return NULL;
}

static void start(call *own, dormouse_session *session, int number, const char *config) {
  memset(own, 0, sizeof *own);
  own->session = session;
  own->config = config;
  fill(own->tokens, number);
  if (pthread_create(&own->thread, NULL, run, own) != 0) exit(3);
}

/* Until the engine's statistics say so, or a minute has passed. */
static int reached(const dormouse_engine *engine, const char *name, double value) {
  struct timespec pause = { 0, 2000000 };
  for (int attempt = 0; attempt < 30000; attempt++) {
    if (statistic(engine, "sessions", name) == value) return 1;
    nanosleep(&pause, NULL);
  }
  return 0;
}

/* Sessions that generate at the same time say what each of them says alone, with and without shared prefixes. */
static void threads(const char *folder) {
  static const char *config = "{\"ignore_eos\": true, \"max_tokens\": 24}";
  dormouse_engine *engine = open_engine(folder, NULL);
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  answer alone[THREADS];
  call calls[THREADS];
  settings.flags = DORMOUSE_SESSION_PRIVATE;
  for (int index = 0; index < THREADS; index++) {
    dormouse_session *session = open_session(engine, &settings);
    fill(calls[0].tokens, index);
    WORKS(generate(session, calls[0].tokens, PROMPT, &alone[index]));
    dormouse_session_free(session);
  }
  for (uint32_t flags = 0; flags <= DORMOUSE_SESSION_PRIVATE; flags++) {
    settings.flags = flags;
    for (int index = 0; index < THREADS; index++)
      start(&calls[index], open_session(engine, &settings), index, config);
    for (int index = 0; index < THREADS; index++) {
      pthread_join(calls[index].thread, NULL);
      CHECK(calls[index].status == DORMOUSE_OK && same(&alone[index], &calls[index].found));
      dormouse_session_free(calls[index].session);
    }
  }
  CHECK(statistic(engine, "sessions", "working") == 0 && statistic(engine, "sessions", "waiting") == 0);
  CHECK(statistic(engine, "sessions", "entered") == statistic(engine, "sessions", "left"));
  dormouse_engine_free(engine);
}

/* One place, and room for one that waits: there it can be cancelled and its time can run out; a third is refused. */
static void waiting(const char *folder) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *refused_one, *fork = NULL;
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  call working, cancelled;
  options.batch_limit = 1;
  options.queue_limit = 1;
  engine = open_engine(folder, &options);
  pthread_mutex_lock(&gate);
  memset(&working, 0, sizeof working);
  working.session = open_session(engine, NULL);
  working.config = "{\"ignore_eos\": true, \"max_tokens\": 24}";
  working.gate = &gate;
  fill(working.tokens, 1);
  if (pthread_create(&working.thread, NULL, run, &working) != 0) exit(3);
  CHECK(reached(engine, "working", 1));

  refused_one = open_session(engine, NULL);
  FAILS(DORMOUSE_ERROR_TIMED_OUT, dormouse_session_generate(refused_one, working.tokens, 3, "{\"time_limit\": 0.05}",
                                                            NULL, NULL, &error));
  CHECK(length_of(refused_one) == 0);
  start(&cancelled, open_session(engine, NULL), 2, "{\"priority\": 100}");
  CHECK(reached(engine, "waiting", 1));
  FAILS(DORMOUSE_ERROR_OVERLOADED, dormouse_session_prefill(refused_one, working.tokens, 3, &error));
  CHECK(length_of(refused_one) == 0);
  FAILS(DORMOUSE_ERROR_BUSY, dormouse_session_truncate(cancelled.session, 0, &error));
  FAILS(DORMOUSE_ERROR_BUSY, dormouse_session_fork(&fork, working.session, &error));
  dormouse_session_cancel(cancelled.session);
  pthread_join(cancelled.thread, NULL);
  CHECK(cancelled.status == DORMOUSE_ERROR_CANCELLED && cancelled.found.count == 0);
  CHECK(statistic(engine, "sessions", "refused") == 1 && statistic(engine, "sessions", "cancelled") == 1);

  pthread_mutex_unlock(&gate);
  pthread_join(working.thread, NULL);
  CHECK(working.status == DORMOUSE_OK && working.found.count == ANSWER);
  CHECK(fork == NULL);
  dormouse_session_free(refused_one);
  dormouse_session_free(cancelled.session);
  dormouse_session_free(working.session);
  dormouse_engine_free(engine);
}

static int32_t slow_down(void *user_data, const dormouse_event *event) {
  struct timespec pause = { 0, 20000000 };
  if (event->kind == DORMOUSE_EVENT_TOKEN) nanosleep(&pause, NULL);
  return keep_answer(user_data, event);
}

/* Time that runs out after the first token ends the answer in good order. */
static void time_limit(dormouse_engine *engine) {
  int32_t tokens[PROMPT];
  dormouse_session *session = open_session(engine, NULL);
  answer found;
  memset(&found, 0, sizeof found);
  fill(tokens, 6);
  WORKS(dormouse_session_prefill(session, tokens, PROMPT, &error));
  WORKS(dormouse_session_generate(session, NULL, 0, "{\"ignore_eos\": true, \"time_limit\": 0.5}", slow_down, &found,
                                  &error));
  CHECK(found.reason == DORMOUSE_FINISH_TIME && found.count > 0);
  dormouse_session_free(session);
}

int main(int argc, char **argv) {
  dormouse_engine *engine;
  char info[8192];
  const char *size;
  size_t length = 0;
  if (argc != 3) return fprintf(stderr, "usage: service FOLDER SCRATCH_FOLDER\n"), 2;
  engine = open_engine(argv[1], NULL);
  WORKS(dormouse_engine_info(info, sizeof info, &length, engine, &error));
  size = strstr(info, "\"vocabulary_size\":");
  vocabulary = size == NULL ? 0 : (size_t)strtoul(size + 18, NULL, 10);
  if (vocabulary < 2) return 3;
  forks(engine);
  snapshots(engine, argv[1], argv[2]);
  shared_prefixes(argv[1]);
  sliding(engine);
  limits(argv[1]);
  threads(argv[1]);
  waiting(argv[1]);
  time_limit(engine);
  dormouse_engine_free(engine);
  if (failures > 0) return fprintf(stderr, "%d expectations failed\n", failures), 1;
  puts("sessions of one engine keep to the header");
  return 0;
}
