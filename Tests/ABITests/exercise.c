/* Calls every function of dormouse.h with good and with bad input.
   usage: exercise FOLDER TEXT_FOLDER   (a tiny model without a tokenizer, and one with tokenizer and chat template) */
#include "expect.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void versions_and_statuses(void) {
  CHECK(dormouse_version_number() ==
        DORMOUSE_VERSION_MAJOR * 1000000u + DORMOUSE_VERSION_MINOR * 1000u + DORMOUSE_VERSION_PATCH);
  CHECK(strcmp(dormouse_status_name(DORMOUSE_OK), "OK") == 0);
  CHECK(strcmp(dormouse_status_name(DORMOUSE_ERROR_MALFORMED), "MALFORMED") == 0);
  CHECK(strcmp(dormouse_status_name(DORMOUSE_ERROR_INTERNAL), "INTERNAL") == 0);
  CHECK(strcmp(dormouse_status_name(DORMOUSE_ERROR_OVERLOADED), "OVERLOADED") == 0);
  CHECK(strcmp(dormouse_status_name(DORMOUSE_ERROR_TIMED_OUT), "TIMED_OUT") == 0);
  CHECK(strcmp(dormouse_status_name(1), "UNKNOWN") == 0);
  CHECK(strcmp(dormouse_status_name(INT32_MIN), "UNKNOWN") == 0);
}

/* Macro and function fill a struct alike. */
static void initialisers(void) {
  dormouse_error e1 = DORMOUSE_ERROR_INIT, e2;
  dormouse_engine_options o1 = DORMOUSE_ENGINE_OPTIONS_INIT, o2;
  dormouse_session_options s1 = DORMOUSE_SESSION_OPTIONS_INIT, s2;
  memset(&e2, 0xAA, sizeof e2);
  memset(&o2, 0xAA, sizeof o2);
  memset(&s2, 0xAA, sizeof s2);
  dormouse_error_init(&e2);
  dormouse_engine_options_init(&o2);
  dormouse_session_options_init(&s2);
  CHECK(memcmp(&e1, &e2, sizeof e1) == 0);
  CHECK(memcmp(&o1, &o2, sizeof o1) == 0);
  CHECK(memcmp(&s1, &s2, sizeof s1) == 0);
  dormouse_error_init(NULL);
  dormouse_engine_options_init(NULL);
  dormouse_session_options_init(NULL);
}

/* struct_size: what is shorter is zero-filled, what is longer must end in zeroes. */
static void struct_sizes(const char *folder) {
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  struct { dormouse_engine_options known; uint64_t tail[2]; } engine_more;
  struct { dormouse_session_options known; uint64_t tail[2]; } session_more;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  struct { uint32_t struct_size; dormouse_status status; char message[8]; } small = { 16, 0, "" };

  memset(&engine_more, 0, sizeof engine_more);
  memset(&session_more, 0, sizeof session_more);
  engine_more.known.struct_size = sizeof engine_more;
  session_more.known.struct_size = sizeof session_more;
  WORKS(dormouse_engine_open(&engine, folder, &engine_more.known, &error));
  WORKS(dormouse_session_open(&session, engine, &session_more.known, &error));
  dormouse_session_free(session);
  session_more.tail[1] = 1;
  FAILS(INVALID, dormouse_session_open(&session, engine, &session_more.known, &error));
  CHECK(session == NULL);
  settings.struct_size = 4;
  settings.cache = 99;      /* beyond the size given: never read */
  settings.attention = 99;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  dormouse_session_free(session);
  settings.struct_size = 0;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.struct_size = UINT32_MAX;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  dormouse_engine_free(engine);

  engine_more.tail[0] = 1;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &engine_more.known, &error));
  CHECK(engine == NULL);
  options.struct_size = 8;
  options.weights = 99;
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  dormouse_engine_free(engine);
  options.struct_size = 3;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));

  /* An error struct of an older, shorter layout is not written beyond its end. */
  CHECK(dormouse_engine_open(&engine, NULL, NULL, (dormouse_error *)(void *)&small) == INVALID);
  CHECK(small.status == INVALID && small.message[7] == 0 && strlen(small.message) > 0);
  small.struct_size = 0;
  small.status = 77;
  CHECK(dormouse_engine_open(&engine, NULL, NULL, (dormouse_error *)(void *)&small) == INVALID);
  CHECK(small.status == 77);
}

static int32_t stop_loading(void *user_data, uint64_t done, uint64_t total) {
  ++*(int *)user_data;
  return done <= total ? 7 : 0;
}

static int32_t count_progress(void *user_data, uint64_t done, uint64_t total) {
  *(int *)user_data += 1;
  return done > total;
}

static void ignore_log(void *user_data, int32_t level, const char *message, size_t length) {
  (void)user_data, (void)level, (void)message, (void)length;
}

static void opening(const char *folder) {
  dormouse_engine *engine = (dormouse_engine *)&failures;
  dormouse_session *session = NULL;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  int calls = 0;
  size_t length = 0;
  FAILS(INVALID, dormouse_engine_open(NULL, folder, NULL, &error));
  FAILS(INVALID, dormouse_engine_open(&engine, NULL, NULL, &error));
  CHECK(engine == NULL);
  FAILS(INVALID, dormouse_engine_open(&engine, "\xFF\xFE", NULL, &error));
  FAILS(DORMOUSE_ERROR_NOT_FOUND, dormouse_engine_open(&engine, "/nowhere/at all", NULL, &error));
  CHECK(strstr(error.message, "/nowhere/at all") != NULL);
  CHECK(dormouse_engine_open(&engine, "/nowhere/at all", NULL, NULL) == DORMOUSE_ERROR_NOT_FOUND);

  options.flags = 0x80;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.flags = 0;
  options.thread_count = 100000;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.thread_count = 2;
  options.residency = 99;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.residency = DORMOUSE_RESIDENCY_MAPPED;
  options.weights = -1;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.weights = DORMOUSE_WEIGHTS_NATIVE;
  options.reserved = 1;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.reserved = 0;
  options.pin_threads = 2;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.pin_threads = 1;
  options.reserved_2 = 1;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.reserved_2 = 0;
  options.reserved_3 = 1;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.reserved_3 = 0;
  options.batch_limit = 1025;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.batch_limit = 0;
  options.queue_limit = UINT32_MAX;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.queue_limit = 0;
  options.prompt_tokens_per_step = 16385;
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(strstr(error.message, "prompt_tokens_per_step") != NULL && strstr(error.message, "16385") != NULL);
  options.prompt_tokens_per_step = 0;
  options.memory_limit = 1;
  FAILS(DORMOUSE_ERROR_OUT_OF_MEMORY, dormouse_engine_open(&engine, folder, &options, &error));
  options.memory_limit = 0;
  options.log = ignore_log;
  options.progress = count_progress;
  options.progress_user_data = &calls;
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(calls > 0);
  dormouse_engine_free(engine);
  options.residency = DORMOUSE_RESIDENCY_MEMORY;
  options.progress = stop_loading;
  calls = 0;
  FAILS(DORMOUSE_ERROR_CANCELLED, dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(calls == 1 && engine == NULL);

  dormouse_engine_options_init(&options);
  options.flags = DORMOUSE_ENGINE_WITHOUT_WEIGHTS;
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(dormouse_session_open(&session, engine, NULL, &error) < 0 && session == NULL);
  FAILS(DORMOUSE_ERROR_UNSUPPORTED, dormouse_engine_statistics(NULL, 0, &length, engine, &error));
  dormouse_engine_free(engine);
  dormouse_engine_free(NULL);
}

/* The rule of all buffers: the size always, and the contents only where there is room. */
static void documents(const dormouse_engine *engine) {
  char buffer[8192];
  size_t length = 0, full = 0;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  FAILS(SHORT, dormouse_engine_info(NULL, 0, &full, engine, &error));
  CHECK(full > 0 && full < sizeof buffer);
  memset(buffer, '#', sizeof buffer);
  FAILS(SHORT, dormouse_engine_info(buffer, full - 1, &length, engine, &error));
  CHECK(length == full && buffer[0] == '#');
  WORKS(dormouse_engine_info(buffer, full, &length, engine, &error));
  CHECK(length == full && buffer[full] == '#');
  WORKS(dormouse_engine_info(buffer, sizeof buffer, &length, engine, &error));
  CHECK(buffer[length] == 0 && strlen(buffer) == length && strstr(buffer, "\"model_type\"") != NULL);
  FAILS(INVALID, dormouse_engine_info(buffer, sizeof buffer, NULL, engine, &error));
  FAILS(INVALID, dormouse_engine_info(NULL, sizeof buffer, &length, engine, &error));
  FAILS(INVALID, dormouse_engine_info(buffer, sizeof buffer, &length, NULL, &error));

  WORKS(dormouse_engine_plan(buffer, sizeof buffer, &length, engine, NULL, &error));
  CHECK(strstr(buffer, "\"total\"") != NULL);
  settings.context_length = UINT32_MAX;
  FAILS(INVALID, dormouse_engine_plan(buffer, sizeof buffer, &length, engine, &settings, &error));
  FAILS(INVALID, dormouse_engine_plan(buffer, sizeof buffer, &length, NULL, NULL, &error));

  FAILS(SHORT, dormouse_engine_statistics(NULL, 0, &full, engine, &error));
  memset(buffer, '#', sizeof buffer);
  FAILS(SHORT, dormouse_engine_statistics(buffer, full - 1, &length, engine, &error));
  CHECK(length == full && buffer[0] == '#');
  WORKS(dormouse_engine_statistics(buffer, sizeof buffer, &length, engine, &error));
  CHECK(strlen(buffer) == length && strstr(buffer, "\"sessions\":{\"working\":0,") != NULL);
  FAILS(INVALID, dormouse_engine_statistics(buffer, sizeof buffer, NULL, engine, &error));
  FAILS(INVALID, dormouse_engine_statistics(NULL, sizeof buffer, &length, engine, &error));
  FAILS(INVALID, dormouse_engine_statistics(buffer, sizeof buffer, &length, NULL, &error));

  WORKS(dormouse_kernels_list(buffer, sizeof buffer, &length, &error));
  CHECK(strstr(buffer, "\"baseline\"") != NULL);
  FAILS(INVALID, dormouse_kernels_list(buffer, sizeof buffer, NULL, &error));
}

typedef struct { int events, tokens, ends, stop_after; uint32_t generated; } tally;

static int32_t count_events(void *user_data, const dormouse_event *event) {
  tally *counts = user_data;
  counts->events++;
  counts->tokens += event->kind == DORMOUSE_EVENT_TOKEN;
  counts->ends += event->kind == DORMOUSE_EVENT_END;
  counts->generated = event->generated_tokens;
  CHECK(event->struct_size >= sizeof(dormouse_event));
  CHECK((event->text == NULL) == (event->text_length == 0));
  if (event->kind == DORMOUSE_EVENT_TOKEN) {
    CHECK(event->token >= 0 && event->finish_reason == 0);
    if (event->alternative_count > 0) {
      CHECK(event->alternatives[0].log_probability <= 0);
      CHECK(event->log_probability <= event->alternatives[0].log_probability);
    }
  } else {
    CHECK(event->token == -1 && event->alternative_count == 0);
  }
  if (event->kind == DORMOUSE_EVENT_END) CHECK(event->finish_reason >= 1 && event->finish_reason <= 4);
  return counts->stop_after > 0 && counts->tokens >= counts->stop_after ? 4711 : 0;
}

static int32_t cancel_session(void *user_data, const dormouse_event *event) {
  dormouse_session *session = user_data;
  size_t length = 0;
  if (event->kind == DORMOUSE_EVENT_TOKEN) {
    CHECK(dormouse_session_length(&length, session, NULL) == DORMOUSE_ERROR_BUSY);
    dormouse_session_cancel(session);
  }
  return 0;
}

/* What holds for answers whose config says nothing. */
static void generation_defaults(const char *folder) {
  static const int32_t tokens[3] = { 1, 2, 3 };
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  tally counts = { 0, 0, 0, 0, 0 };
  options.generation_defaults = "{\"top_p\": 2}";
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(strstr(error.message, "generation_defaults") != NULL && strstr(error.message, "top_p") != NULL);
  options.generation_defaults = "{\"constraint\": {\"regex\": \"a\"}}";
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  CHECK(strstr(error.message, "constraint") != NULL && engine == NULL);
  options.generation_defaults = "\xFF";
  FAILS(INVALID, dormouse_engine_open(&engine, folder, &options, &error));
  options.generation_defaults = "{\"max_tokens\": 3, \"ignore_eos\": true, \"logprobs_of\": \"sampled\"}";
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_generate(session, tokens, 3, NULL, count_events, &counts, &error));
  CHECK(counts.tokens == 3 && counts.ends == 1);
  WORKS(dormouse_session_generate(session, tokens, 3, "{\"max_tokens\": 2, \"logprobs\": 2}", count_events, &counts,
                                  &error));
  CHECK(counts.tokens == 5);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
}

static int alike(const float *a, const float *b, size_t count) {
  for (size_t index = 0; index < count; index++)
    if (!(fabsf(a[index] - b[index]) <= 1e-4f * (1 + fabsf(a[index])))) return 0;
  return 1;
}

/* Embeddings, beside a session that holds tokens and stays as it is. */
static void embeddings(dormouse_engine *engine, size_t vocabulary, size_t hidden) {
  static const int32_t tokens[5] = { 1, 2, 3, 4, 5 };
  static const int32_t outside[2] = { 1, 1 << 30 };
  static const char *mean = "{\"pooling\": \"mean\", \"normalize\": true, \"priority\": 1, \"time_limit\": 60}";
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_session *session = NULL;
  size_t count = 0, length = 0;
  double norm = 0;
  float *one = malloc(hidden * sizeof(float)), *other = malloc(hidden * sizeof(float));
  float *before = malloc(vocabulary * sizeof(float)), *after = malloc(vocabulary * sizeof(float));
  settings.context_length = 8;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  FAILS(SHORT, dormouse_session_embed(NULL, 0, &count, session, tokens, 5, NULL, &error));
  CHECK(count == hidden);
  one[0] = 4711;
  FAILS(SHORT, dormouse_session_embed(one, hidden - 1, &count, session, tokens, 5, NULL, &error));
  CHECK(one[0] == 4711);
  FAILS(INVALID, dormouse_session_embed(one, hidden, NULL, session, tokens, 5, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(NULL, hidden, &count, session, tokens, 5, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, NULL, tokens, 5, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, NULL, 5, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, tokens, 0, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, tokens, SIZE_MAX, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, outside, 2, NULL, &error));
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, tokens, 5, "{\"pooling\": \"max\"}", &error));
  CHECK(strstr(error.message, "pooling") != NULL && strstr(error.message, "max") != NULL);
  FAILS(INVALID, dormouse_session_embed(one, hidden, &count, session, tokens, 5, "{\"x\": 1}", &error));
  FAILS(DORMOUSE_ERROR_TIMED_OUT,
        dormouse_session_embed(one, hidden, &count, session, tokens, 5, "{\"time_limit\": 1e-9}", &error));
  CHECK(one[0] == 4711);

  WORKS(dormouse_session_embed(one, hidden, &count, session, tokens, 5, NULL, &error));
  WORKS(dormouse_session_prefill(session, tokens, 3, &error));
  WORKS(dormouse_session_logits(before, vocabulary, &count, session, &error));
  WORKS(dormouse_session_embed(other, hidden, &count, session, tokens + 3, 2, "{}", &error));
  CHECK(count == hidden && alike(one, other, hidden)); /* cut in two, the same text */
  WORKS(dormouse_session_embed(other, hidden, &count, session, tokens, 5, mean, &error));
  for (size_t index = 0; index < hidden; index++) norm += (double)other[index] * other[index];
  CHECK(fabs(norm - 1) < 1e-5);
  FAILS(DORMOUSE_ERROR_CONTEXT_FULL,
        dormouse_session_embed(one, hidden, &count, session, (const int32_t[6]){ 1, 2, 3, 4, 5, 6 }, 6, NULL, &error));
  WORKS(dormouse_session_length(&length, session, &error));
  WORKS(dormouse_session_logits(after, vocabulary, &count, session, &error));
  CHECK(length == 3 && memcmp(before, after, vocabulary * sizeof(float)) == 0);
  dormouse_session_free(session);
  free(one), free(other), free(before), free(after);
}

static void sessions(dormouse_engine *engine, size_t vocabulary) {
  static const int32_t tokens[5] = { 1, 2, 3, 4, 5 };
  static const int32_t outside[2] = { 1, 1 << 30 };
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_session *session = NULL;
  size_t length = 99, count = 0;
  float *all = malloc(5 * vocabulary * sizeof(float)), *last = malloc(vocabulary * sizeof(float));
  tally counts = { 0, 0, 0, 0, 0 };

  FAILS(INVALID, dormouse_session_open(NULL, engine, NULL, &error));
  FAILS(INVALID, dormouse_session_open(&session, NULL, NULL, &error));
  settings.context_length = UINT32_MAX;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.context_length = 16;
  settings.cache = DORMOUSE_CACHE_INT8;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  dormouse_session_free(session);
  settings.cache = 99;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.cache = DORMOUSE_CACHE_BF16;
  settings.attention = 99;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.attention = DORMOUSE_ATTENTION_ABSORBED;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  dormouse_session_free(session);
  settings.flags = 0x80;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.flags = DORMOUSE_SESSION_PRIVATE;
  settings.reserved = 1;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.reserved = 0;
  settings.overflow = 99;
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.overflow = DORMOUSE_OVERFLOW_STOP;
  settings.keep_tokens = 1; /* means nothing to a session that stops */
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  settings.overflow = DORMOUSE_OVERFLOW_SLIDE;
  settings.keep_tokens = 16; /* leaves no room to slide */
  FAILS(INVALID, dormouse_session_open(&session, engine, &settings, &error));
  CHECK(strstr(error.message, "keep_tokens") != NULL && strstr(error.message, "16") != NULL);
  settings.keep_tokens = 15;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  dormouse_session_free(session);
  settings.flags = 0;
  settings.overflow = 0;
  settings.keep_tokens = 0;
  dormouse_session_free(NULL);
  settings.cache = DORMOUSE_CACHE_F32;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));

  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 0);
  FAILS(INVALID, dormouse_session_length(NULL, session, &error));
  FAILS(INVALID, dormouse_session_length(&length, NULL, &error));
  FAILS(INVALID, dormouse_session_logits(last, vocabulary, &count, session, &error)); /* nothing in it yet */
  FAILS(INVALID, dormouse_session_generate(session, NULL, 0, NULL, NULL, NULL, &error));
  WORKS(dormouse_session_prefill(session, NULL, 0, &error));
  FAILS(INVALID, dormouse_session_prefill(session, NULL, 1, &error));
  FAILS(INVALID, dormouse_session_prefill(NULL, tokens, 1, &error));
  FAILS(INVALID, dormouse_session_prefill(session, outside, 2, &error));
  FAILS(INVALID, dormouse_session_prefill(session, tokens, SIZE_MAX, &error));
  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 0); /* failures left it as it was */

  FAILS(SHORT, dormouse_session_prefill_logits(NULL, 0, &count, session, tokens, 5, &error));
  CHECK(count == 5 * vocabulary);
  FAILS(INVALID, dormouse_session_prefill_logits(all, 5 * vocabulary, NULL, session, tokens, 5, &error));
  WORKS(dormouse_session_prefill_logits(all, 5 * vocabulary, &count, session, tokens, 5, &error));
  WORKS(dormouse_session_logits(last, vocabulary, &count, session, &error));
  CHECK(count == vocabulary && alike(last, all + 4 * vocabulary, vocabulary));
  FAILS(SHORT, dormouse_session_logits(last, vocabulary - 1, &count, session, &error));

  /* The same tokens another way give the same numbers. */
  WORKS(dormouse_session_truncate(session, 2, &error));
  FAILS(INVALID, dormouse_session_truncate(session, 3, &error));
  FAILS(INVALID, dormouse_session_truncate(NULL, 0, &error));
  WORKS(dormouse_session_prefill(session, tokens + 2, 3, &error));
  WORKS(dormouse_session_logits(last, vocabulary, &count, session, &error));
  CHECK(alike(last, all + 4 * vocabulary, vocabulary));

  WORKS(dormouse_session_generate(session, NULL, 0, "{\"max_tokens\": 3, \"ignore_eos\": true, \"logprobs\": 2}",
                                  count_events, &counts, &error));
  CHECK(counts.tokens == 3 && counts.ends == 1 && counts.generated == 3);
  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 8);
  counts = (tally){ 0, 0, 0, 2, 0 };
  CHECK(dormouse_session_generate(session, NULL, 0, "{\"ignore_eos\": true}", count_events, &counts, &error) == 4711);
  CHECK(counts.tokens == 2);
  FAILS(DORMOUSE_ERROR_CANCELLED,
        dormouse_session_generate(session, NULL, 0, "{\"ignore_eos\": true}", cancel_session, session, &error));
  WORKS(dormouse_session_truncate(session, 8, &error));
  WORKS(dormouse_session_generate(session, tokens, 1, "{\"ignore_eos\": true}", NULL, NULL, &error)); /* to the end */
  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 16);
  FAILS(DORMOUSE_ERROR_CONTEXT_FULL, dormouse_session_prefill(session, tokens, 1, &error));
  WORKS(dormouse_session_truncate(session, 1, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{\"max_token\": 1}", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{\"temperature\": \"hot\"}", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{\"priority\": 101}", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{\"priority\": 0.5}", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, tokens, 1, "{\"time_limit\": -1}", NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(session, outside, 2, NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_generate(NULL, tokens, 1, NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_chat(session, NULL, NULL, NULL, NULL, &error));
  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 1);
  dormouse_session_cancel(session); /* nothing under way: nothing happens */
  dormouse_session_cancel(NULL);
  WORKS(dormouse_session_prefill(session, tokens, 1, &error));
  dormouse_session_free(session);
  free(all);
  free(last);
}

/* A text as a JSON string, by the rules of texts that come out. */
static void quoting(void) {
  static const struct {
    const char *text;
    size_t text_length;
    const char *quoted;
  } cases[] = {
      {"", 0, "\"\""},
      {"a \"b\" \\", 7, "\"a \\\"b\\\" \\\\\""},
      {"\b\t\n\f\r\x01\x1F\x7F", 8, "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7F\""},
      {"a\0b", 3, "\"a\\u0000b\""},
      {"8\xE5\x8A\xA0", 4, "\"8\xE5\x8A\xA0\""},
      {"\xE5\x8A|\xFF\xC3", 5, "\"\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\""},
  };
  char buffer[64];
  size_t length = 0, index;
  for (index = 0; index < sizeof cases / sizeof *cases; index++) {
    const size_t expected = strlen(cases[index].quoted);
    WORKS(dormouse_json_quote(buffer, sizeof buffer, &length, cases[index].text, cases[index].text_length, &error));
    CHECK(length == expected && strcmp(buffer, cases[index].quoted) == 0);
    WORKS(dormouse_json_quote(buffer, expected, &length, cases[index].text, cases[index].text_length, &error));
    buffer[0] = 'x';
    FAILS(SHORT,
          dormouse_json_quote(buffer, expected - 1, &length, cases[index].text, cases[index].text_length, &error));
    CHECK(length == expected && buffer[0] == 'x');
  }
  FAILS(SHORT, dormouse_json_quote(NULL, 0, &length, "a", 1, &error));
  CHECK(length == 3);
  WORKS(dormouse_json_quote(buffer, sizeof buffer, &length, NULL, 0, &error));
  CHECK(length == 2);
  FAILS(INVALID, dormouse_json_quote(buffer, sizeof buffer, &length, NULL, 1, &error));
  FAILS(INVALID, dormouse_json_quote(buffer, sizeof buffer, NULL, "a", 1, &error));
  FAILS(INVALID, dormouse_json_quote(buffer, sizeof buffer, &length, "a", SIZE_MAX, &error));
}

static void text(const char *folder) {
  static const char greeting[] = "[{\"role\": \"user\", \"content\": \"What is 7 plus 5?\"}]";
  static const int32_t outside[1] = { -1 };
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  int32_t tokens[256];
  char buffer[4096];
  size_t count = 0, length = 0;
  tally counts = { 0, 0, 0, 0, 0 };
  WORKS(dormouse_engine_open(&engine, folder, NULL, &error));
  if (engine == NULL) return;
  WORKS(dormouse_engine_tokenize(tokens, 256, &count, engine, "What is 7?", 10, 0, &error));
  CHECK(count > 0);
  WORKS(dormouse_engine_detokenize(buffer, sizeof buffer, &length, engine, tokens, count, 0, &error));
  CHECK(length == 10 && memcmp(buffer, "What is 7?", 10) == 0 && buffer[10] == 0);
  FAILS(SHORT, dormouse_engine_tokenize(tokens, 1, &count, engine, "What is 7?", 10, 0, &error));
  WORKS(dormouse_engine_tokenize(tokens, 256, &count, engine, "\xFF\xC3", 2, 0, &error)); /* read as U+FFFD */
  WORKS(dormouse_engine_tokenize(NULL, 0, &count, engine, NULL, 0, 0, &error));
  CHECK(count == 0);
  FAILS(INVALID, dormouse_engine_tokenize(tokens, 256, &count, engine, NULL, 1, 0, &error));
  FAILS(INVALID, dormouse_engine_tokenize(tokens, 256, &count, engine, "a", 1, 0x100, &error));
  FAILS(INVALID, dormouse_engine_tokenize(tokens, 256, &count, NULL, "a", 1, 0, &error));
  WORKS(dormouse_engine_tokenize(tokens, 256, &count, engine, "a", 1,
                                 DORMOUSE_TOKENIZE_ADD_SPECIAL | DORMOUSE_TOKENIZE_PARSE_SPECIAL, &error));
  FAILS(INVALID, dormouse_engine_detokenize(buffer, sizeof buffer, &length, engine, outside, 1, 0, &error));
  FAILS(INVALID, dormouse_engine_detokenize(buffer, sizeof buffer, &length, engine, tokens, 1, 0x100, &error));
  FAILS(INVALID, dormouse_engine_detokenize(buffer, sizeof buffer, &length, engine, NULL, 1, 0, &error));

  WORKS(dormouse_engine_render_messages(buffer, sizeof buffer, &length, engine, greeting, &error));
  CHECK(strstr(buffer, "What is 7 plus 5?") != NULL);
  WORKS(dormouse_engine_tokenize_messages(tokens, 256, &count, engine, greeting, &error));
  CHECK(count > 0);
  FAILS(INVALID, dormouse_engine_render_messages(buffer, sizeof buffer, &length, engine, NULL, &error));
  FAILS(INVALID, dormouse_engine_render_messages(buffer, sizeof buffer, &length, engine, "{}", &error));
  FAILS(INVALID, dormouse_engine_tokenize_messages(tokens, 256, &count, engine, "[]", &error));
  FAILS(INVALID, dormouse_engine_tokenize_messages(tokens, 256, &count, engine, "[{\"role\": 1}]", &error));

  settings.context_length = 128;
  WORKS(dormouse_session_open(&session, engine, &settings, &error));
  dormouse_engine_free(engine); /* the session keeps what it needs */
  WORKS(dormouse_session_chat(session, greeting, "{\"max_tokens\": 8}", count_events, &counts, &error));
  CHECK(counts.tokens > 0 && counts.ends == 1);
  FAILS(INVALID, dormouse_session_chat(session, "no JSON", NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_chat(NULL, greeting, NULL, NULL, NULL, &error));
  dormouse_session_free(session);
}

static void constraints(const char *folder) {
  static const uint8_t bytes[] = "abcab";
  static const size_t offsets[] = { 0, 1, 2, 3, 5, 5 }, falling[] = { 0, 2, 1, 3, 5, 5 };
  static const int32_t end = 4, ab[] = { 3, 2 }, wrong[] = { 0, 0 }, outside = 5;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = NULL;
  dormouse_constraint *constraint = NULL, *copy = NULL;
  uint32_t mask[1] = { 0 }, large[1024];
  int32_t tokens[8] = { 0 }, complete = -1;
  size_t count = 0;
  const char *language = "{\"regex\": \"(ab)+c\"}";
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(NULL, bytes, offsets, 5, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, falling, 5, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, NULL, offsets, 5, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, NULL, 5, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, SIZE_MAX, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 0, &end, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 5, &outside, 1, language, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 5, &end, 1, NULL, &error));
  FAILS(INVALID, dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 5, &end, 1, "{}", &error));
  FAILS(DORMOUSE_ERROR_UNSUPPORTED,
        dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 5, &end, 1,
                                                  "{\"json_schema\": {\"uniqueItems\": true}}", &error));
  CHECK(constraint == NULL);
  WORKS(dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 5, &end, 1, language, &error));
  FAILS(SHORT, dormouse_constraint_allowed(NULL, 0, &count, constraint, &error));
  CHECK(count == 1);
  WORKS(dormouse_constraint_allowed(mask, 1, &count, constraint, &error));
  CHECK(mask[0] == (1u << 0 | 1u << 3));
  FAILS(INVALID, dormouse_constraint_accept(constraint, wrong, 2, &error));
  FAILS(INVALID, dormouse_constraint_accept(constraint, NULL, 1, &error));
  WORKS(dormouse_constraint_clone(&copy, constraint, &error));
  WORKS(dormouse_constraint_accept(constraint, ab, 2, &error));
  WORKS(dormouse_constraint_is_complete(&complete, constraint, &error));
  CHECK(complete == 1);
  WORKS(dormouse_constraint_forced(tokens, 8, &count, constraint, &error));
  CHECK(count == 1 && tokens[0] == end);
  WORKS(dormouse_constraint_accept(constraint, &end, 1, &error));
  WORKS(dormouse_constraint_allowed(mask, 1, &count, constraint, &error));
  CHECK(mask[0] == 0);
  FAILS(INVALID, dormouse_constraint_rewind(constraint, 4, &error));
  WORKS(dormouse_constraint_rewind(constraint, 2, &error));
  WORKS(dormouse_constraint_allowed(mask, 1, &count, constraint, &error));
  CHECK(mask[0] == (1u << 0 | 1u << 2 | 1u << 3));
  WORKS(dormouse_constraint_is_complete(&complete, copy, &error));
  CHECK(complete == 0);
  FAILS(INVALID, dormouse_constraint_allowed(mask, 1, NULL, constraint, &error));
  FAILS(INVALID, dormouse_constraint_allowed(mask, 1, &count, NULL, &error));
  FAILS(INVALID, dormouse_constraint_is_complete(NULL, constraint, &error));
  FAILS(INVALID, dormouse_constraint_forced(tokens, 8, NULL, constraint, &error));
  FAILS(INVALID, dormouse_constraint_clone(NULL, constraint, &error));
  dormouse_constraint_free(constraint);
  dormouse_constraint_free(copy);
  dormouse_constraint_free(NULL);
  options.flags = DORMOUSE_ENGINE_WITHOUT_WEIGHTS;
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  FAILS(INVALID, dormouse_constraint_create(NULL, engine, language, &error));
  FAILS(INVALID, dormouse_constraint_create(&constraint, NULL, language, &error));
  FAILS(INVALID, dormouse_constraint_create(&constraint, engine, "no JSON", &error));
  WORKS(dormouse_constraint_create(&constraint, engine, "{\"choice\": [\"yes\", \"no\"]}", &error));
  dormouse_engine_free(engine); /* the constraint keeps what it needs */
  WORKS(dormouse_constraint_allowed(large, 1024, &count, constraint, &error));
  dormouse_constraint_free(constraint);
}

static void router(void) {
  static const float logits[2][4] = { { 0.5f, 3.0f, -1.0f, 2.0f }, { 4.0f, 0.0f, 0.0f, 3.0f } };
  static const float bias[4] = { 0, 0, 0, 0 };
  float bad[4] = { 0, 0, 0, 0 };
  int32_t ids[4];
  float weights[4];
  dormouse_router *router = NULL;
  FAILS(INVALID, dormouse_router_create(NULL, "{}", &error));
  FAILS(INVALID, dormouse_router_create(&router, NULL, &error));
  FAILS(INVALID, dormouse_router_create(&router, "{\"n_routed_experts\": 4}", &error));
  FAILS(INVALID, dormouse_router_create(&router, "{\"n_routed_experts\": 4, \"num_experts_per_tok\": 5}", &error));
  CHECK(router == NULL);
  WORKS(dormouse_router_create(&router,
                               "{\"n_routed_experts\": 4, \"num_experts_per_tok\": 2, \"scoring_func\": \"softmax\", "
                               "\"topk_method\": \"greedy\", \"norm_topk_prob\": false, \"routed_scaling_factor\": 1.0}",
                               &error));
  WORKS(dormouse_router_route(ids, weights, router, logits[0], NULL, 2, &error));
  CHECK(ids[0] == 1 && ids[1] == 3 && ids[2] == 0 && ids[3] == 3);
  CHECK(fabsf(weights[0] - 0.681067f) < 1e-5f && fabsf(weights[1] - 0.250551f) < 1e-5f);
  WORKS(dormouse_router_route(ids, weights, router, logits[0], NULL, 0, &error));
  FAILS(INVALID, dormouse_router_route(ids, weights, router, logits[0], bias, 1, &error));
  FAILS(INVALID, dormouse_router_route(NULL, weights, router, logits[0], NULL, 1, &error));
  FAILS(INVALID, dormouse_router_route(ids, NULL, router, logits[0], NULL, 1, &error));
  FAILS(INVALID, dormouse_router_route(ids, weights, router, NULL, NULL, 1, &error));
  FAILS(INVALID, dormouse_router_route(ids, weights, NULL, logits[0], NULL, 1, &error));
  FAILS(INVALID, dormouse_router_route(ids, weights, router, logits[0], NULL, SIZE_MAX, &error));
  bad[2] = NAN;
  FAILS(DORMOUSE_ERROR_NUMERICAL, dormouse_router_route(ids, weights, router, bad, NULL, 1, &error));
  dormouse_router_free(router);
  dormouse_router_free(NULL);
}

static void latent_cache(void) {
  static const float rows[2][3] = { { 1, 2, 3 }, { 5, 6, 3 } };
  static const float query[3] = { 0, 0, 1 };
  float out[2] = { 0, 0 };
  size_t count = 0, bytes = 0;
  dormouse_latent_cache *cache = NULL;
  FAILS(INVALID, dormouse_latent_cache_create(NULL, "{}", &error));
  FAILS(INVALID, dormouse_latent_cache_create(&cache, "{\"kv_lora_rank\": 2}", &error));
  FAILS(INVALID, dormouse_latent_cache_create(
                     &cache, "{\"kv_lora_rank\": 2, \"qk_rope_head_dim\": 1, \"capacity\": -1}", &error));
  WORKS(dormouse_latent_cache_create(
      &cache, "{\"kv_lora_rank\": 2, \"qk_rope_head_dim\": 1, \"capacity\": 2, \"type\": \"f32\"}", &error));
  FAILS(INVALID, dormouse_latent_cache_attend(out, cache, query, 1, 0, 1, &error)); /* no rows yet */
  WORKS(dormouse_latent_cache_append(cache, rows[0], 2, &error));
  FAILS(DORMOUSE_ERROR_CONTEXT_FULL, dormouse_latent_cache_append(cache, rows[0], 1, &error));
  FAILS(INVALID, dormouse_latent_cache_append(cache, NULL, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_append(NULL, rows[0], 1, &error));
  WORKS(dormouse_latent_cache_size(&count, &bytes, cache, &error));
  CHECK(count == 2 && bytes >= 2 * 3 * sizeof(float));
  WORKS(dormouse_latent_cache_size(NULL, NULL, cache, &error));
  FAILS(INVALID, dormouse_latent_cache_size(&count, &bytes, NULL, &error));
  WORKS(dormouse_latent_cache_attend(out, cache, query, 1, 0, 1, &error)); /* equal scores: the mean */
  CHECK(fabsf(out[0] - 3) < 1e-5f && fabsf(out[1] - 4) < 1e-5f);
  WORKS(dormouse_latent_cache_attend(out, cache, query, 1, 1, 1, &error));
  CHECK(fabsf(out[0] - 1) < 1e-6f && fabsf(out[1] - 2) < 1e-6f);
  FAILS(INVALID, dormouse_latent_cache_attend(out, cache, query, 1, 3, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_attend(NULL, cache, query, 1, 0, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_attend(out, cache, NULL, 1, 0, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_attend(out, NULL, query, 1, 0, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_attend(out, cache, query, SIZE_MAX, 0, 1, &error));
  WORKS(dormouse_latent_cache_truncate(cache, 1, &error));
  FAILS(INVALID, dormouse_latent_cache_truncate(cache, 2, &error));
  FAILS(INVALID, dormouse_latent_cache_truncate(NULL, 0, &error));
  dormouse_latent_cache_free(cache);
  dormouse_latent_cache_free(NULL);
}

static dormouse_status pack(dormouse_packed_matrix **out, const char *config_json, const void *weights, int32_t type) {
  return dormouse_packed_matrix_create(out, config_json, weights, type, NULL, 0, 0, 0, &error);
}

static void packed_matrix(void) {
  static const float weights[2][3] = { { 1, 2, 3 }, { -127, 0, 64 } };
  static const float input[2][3] = { { 127, 1, 2 }, { 0, 0, 127 } };
  static const uint8_t eighths[3] = { 0x38, 0x40, 0x44 }; /* e4m3 1, 2, 3 */
  static const float scales[2] = { 2, 4 };
  static const char *eight = "{\"type\": \"int8\", \"rows\": 2, \"columns\": 3}";
  static const char *one_row = "{\"type\": \"int4\", \"rows\": 1, \"columns\": 3}";
  float result[4] = { 0 }, held[6] = { 0 };
  size_t rows = 0, columns = 0, bytes = 0;
  dormouse_packed_matrix *matrix = (dormouse_packed_matrix *)(void *)result;
  FAILS(INVALID, pack(NULL, eight, weights, DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, NULL, weights, DORMOUSE_TYPE_F32));
  CHECK(matrix == NULL);
  FAILS(INVALID, pack(&matrix, "{\"type\": \"int5\", \"rows\": 2, \"columns\": 3}", weights, DORMOUSE_TYPE_F32));
  CHECK(strstr(error.message, "int5") != NULL);
  FAILS(INVALID, pack(&matrix, "{\"type\": \"int8\", \"columns\": 3}", weights, DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, "{\"type\": \"int8\", \"rows\": 0, \"columns\": 3}", weights, DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, "{\"type\": \"int8\", \"rows\": 2, \"columns\": 3, \"x\": 1}", weights,
                      DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, "{\"type\": \"int8\", \"rows\": 2147483647, \"columns\": 2147483647}", weights,
                      DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, eight, NULL, DORMOUSE_TYPE_F32));
  FAILS(INVALID, pack(&matrix, eight, weights, 99));
  FAILS(INVALID, pack(&matrix, eight, weights, DORMOUSE_TYPE_F8_E4M3)); /* no scales */
  CHECK(matrix == NULL);

  WORKS(pack(&matrix, eight, weights, DORMOUSE_TYPE_F32));
  WORKS(dormouse_packed_matrix_size(&rows, &columns, &bytes, matrix, &error));
  CHECK(rows == 2 && columns == 3 && bytes >= 2 * 3 && bytes < 4096);
  WORKS(dormouse_packed_matrix_size(NULL, NULL, NULL, matrix, &error));
  FAILS(INVALID, dormouse_packed_matrix_size(&rows, &columns, &bytes, NULL, &error));
  WORKS(dormouse_packed_matrix_dequantize(held, matrix, 0, 2, &error));
  CHECK(fabsf(held[1] - 2) < 0.02f && held[3] == -127 && held[4] == 0 && held[5] == 64);
  WORKS(dormouse_packed_matrix_dequantize(result, matrix, 1, 1, &error));
  CHECK(result[0] == -127 && result[2] == 64);
  WORKS(dormouse_packed_matrix_dequantize(NULL, matrix, 2, 0, &error));
  FAILS(INVALID, dormouse_packed_matrix_dequantize(held, matrix, 1, 2, &error));
  FAILS(INVALID, dormouse_packed_matrix_dequantize(held, matrix, SIZE_MAX, 1, &error));
  FAILS(INVALID, dormouse_packed_matrix_dequantize(held, matrix, 1, SIZE_MAX, &error));
  FAILS(INVALID, dormouse_packed_matrix_dequantize(NULL, matrix, 0, 1, &error));
  FAILS(INVALID, dormouse_packed_matrix_dequantize(held, NULL, 0, 1, &error));
  WORKS(dormouse_packed_matrix_multiply(result, matrix, input[0], 2, &error));
  CHECK(fabsf(result[0] - (127 * held[0] + held[1] + 2 * held[2])) < 1e-3f && result[1] == 128 - 127 * 127);
  CHECK(fabsf(result[2] - 127 * held[2]) < 1e-3f && result[3] == 127 * 64);
  WORKS(dormouse_packed_matrix_multiply(NULL, matrix, NULL, 0, &error));
  FAILS(INVALID, dormouse_packed_matrix_multiply(NULL, matrix, input[0], 1, &error));
  FAILS(INVALID, dormouse_packed_matrix_multiply(result, NULL, input[0], 1, &error));
  FAILS(INVALID, dormouse_packed_matrix_multiply(result, matrix, NULL, 1, &error));
  FAILS(INVALID, dormouse_packed_matrix_multiply(result, matrix, input[0], SIZE_MAX, &error));
  FAILS(INVALID, dormouse_packed_matrix_multiply(result, matrix, input[0], SIZE_MAX / 8, &error));
  dormouse_packed_matrix_free(matrix);
  dormouse_packed_matrix_free(NULL);

  WORKS(dormouse_packed_matrix_create(&matrix, one_row, eighths, DORMOUSE_TYPE_F8_E4M3, scales, DORMOUSE_TYPE_F32, 1, 2,
                                      &error));
  WORKS(dormouse_packed_matrix_dequantize(held, matrix, 0, 1, &error));
  CHECK(fabsf(held[0] - 2) < 1 && fabsf(held[1] - 4) < 1 && fabsf(held[2] - 12) < 1);
  dormouse_packed_matrix_free(matrix);
}

static void kernels(void) {
  static const float weights[2][3] = { { 1, 2, 3 }, { -1, 0, 1 } };
  static const uint16_t halves[3] = { 0x3F80, 0x4000, 0x4040 }; /* bfloat16 1, 2, 3 */
  static const uint8_t eighths[3] = { 0x38, 0x40, 0x44 };       /* e4m3 1, 2, 3 */
  static const float input[3] = { 1, 1, 2 };
  static const float scales[2] = { 2, 4 };
  static const uint8_t exponents[2] = { 128, 129 };
  float result[2] = { 0, 0 };
  double reads = 0, operations = 0;
  WORKS(dormouse_kernels_multiply(result, weights, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, 2, 3, input, 1, &error));
  CHECK(fabsf(result[0] - 9) < 1e-5f && fabsf(result[1] - 1) < 1e-5f);
  WORKS(dormouse_kernels_multiply(result, halves, DORMOUSE_TYPE_BF16, NULL, 0, 0, 0, 1, 3, input, 1, &error));
  CHECK(fabsf(result[0] - 9) < 1e-5f);
  WORKS(dormouse_kernels_multiply(result, eighths, DORMOUSE_TYPE_F8_E4M3, scales, DORMOUSE_TYPE_F32, 1, 2, 1, 3, input,
                                  1, &error));
  CHECK(fabsf(result[0] - 30) < 1e-4f); /* 2 * (1 + 2) + 4 * 6 */
  WORKS(dormouse_kernels_multiply(result, eighths, DORMOUSE_TYPE_F8_E4M3, exponents, DORMOUSE_TYPE_F8_E8M0, 1, 2, 1, 3,
                                  input, 1, &error));
  CHECK(fabsf(result[0] - 30) < 1e-4f);
  FAILS(INVALID, dormouse_kernels_multiply(result, weights, 99, NULL, 0, 0, 0, 2, 3, input, 1, &error));
  FAILS(INVALID, dormouse_kernels_multiply(result, weights, DORMOUSE_TYPE_F32, scales, DORMOUSE_TYPE_F32, 1, 1, 2, 3,
                                           input, 1, &error));
  FAILS(INVALID, dormouse_kernels_multiply(result, eighths, DORMOUSE_TYPE_F8_E4M3, NULL, 0, 0, 0, 1, 3, input, 1,
                                           &error));
  FAILS(INVALID, dormouse_kernels_multiply(NULL, weights, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, 2, 3, input, 1, &error));
  FAILS(INVALID, dormouse_kernels_multiply(result, NULL, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, 2, 3, input, 1, &error));
  FAILS(INVALID, dormouse_kernels_multiply(result, weights, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, 2, 3, NULL, 1, &error));
  FAILS(INVALID, dormouse_kernels_multiply(result, weights, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, SIZE_MAX, 3, input, 1,
                                           &error));
  WORKS(dormouse_kernels_force("baseline", &error));
  WORKS(dormouse_kernels_force(NULL, &error));
  CHECK(dormouse_kernels_force("abacus", &error) < 0);
  WORKS(dormouse_machine_measure(&reads, &operations, 1, &error));
  CHECK(reads > 1e8 && operations > 1e8);
  FAILS(INVALID, dormouse_machine_measure(NULL, NULL, 1000000, &error));
}

int main(int argc, char **argv) {
  dormouse_engine *engine = NULL;
  char info[8192];
  size_t length = 0;
  const char *vocabulary, *hidden;
  if (argc != 3) return fprintf(stderr, "usage: exercise FOLDER TEXT_FOLDER\n"), 2;
  versions_and_statuses();
  initialisers();
  struct_sizes(argv[1]);
  opening(argv[1]);
  generation_defaults(argv[1]);
  WORKS(dormouse_engine_open(&engine, argv[1], NULL, &error));
  WORKS(dormouse_engine_info(info, sizeof info, &length, engine, &error));
  vocabulary = strstr(info, "\"vocabulary_size\":");
  hidden = strstr(info, "\"hidden_size\":");
  CHECK(vocabulary != NULL && hidden != NULL);
  documents(engine);
  if (vocabulary != NULL && hidden != NULL) {
    size_t count = (size_t)strtoul(vocabulary + 18, NULL, 10);
    sessions(engine, count);
    embeddings(engine, count, (size_t)strtoul(hidden + 14, NULL, 10));
  }
  FAILS(DORMOUSE_ERROR_NOT_FOUND, dormouse_engine_tokenize(NULL, 0, &length, engine, "a", 1, 0, &error));
  dormouse_engine_free(engine);
  text(argv[2]);
  quoting();
  constraints(argv[2]);
  router();
  latent_cache();
  packed_matrix();
  kernels();
  if (failures > 0) return fprintf(stderr, "%d expectations failed\n", failures), 1;
  puts("every function answered as the header says");
  return 0;
}
