// Callbacks that throw, jump or end their thread against the header's word: the session is lost, and says so; freeing it
// works, and the others go on, also where they wait for its place.
// usage: promises_callbacks MODEL SPEECH_MODEL
#include <pthread.h>
#include <setjmp.h>
#include <stdexcept>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "expect.h"

static const char *const ENDLESS = "{\"max_tokens\":20,\"ignore_eos\":true}";
static const int32_t TOKENS[] = {5, 6, 7};
static jmp_buf place;

static int32_t throwing(void *, const dormouse_event *event) {
  if (event->kind == DORMOUSE_EVENT_TOKEN) throw std::runtime_error("thrown by a callback");
  return 0;
}
static int32_t throwing_in_prompt(void *, const dormouse_event *) { throw 7; }
static int32_t jumping(void *, const dormouse_event *event) {
  if (event->kind == DORMOUSE_EVENT_TOKEN) longjmp(place, 1);
  return 0;
}
static int32_t ending(void *, const dormouse_event *) {
  pthread_exit(nullptr);
  return 0;
}
static int32_t quiet(void *, const dormouse_event *) { return 0; }

static dormouse_session *open_session(dormouse_engine *engine) {
  dormouse_session *session = nullptr;
  WORKS(dormouse_session_open(&session, engine, nullptr, &error));
  return session;
}

static dormouse_engine *open_engine(const char *model, uint32_t batch_limit) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = nullptr;
  options.thread_count = 2;
  options.batch_limit = batch_limit;
  WORKS(dormouse_engine_open(&engine, model, &options, &error));
  return engine;
}

/* A session that works from its beginning to its end. */
static void others_go_on(dormouse_engine *engine) {
  dormouse_session *session = open_session(engine);
  WORKS(dormouse_session_generate(session, TOKENS, 3, ENDLESS, quiet, nullptr, &error));
  size_t length = 0;
  WORKS(dormouse_session_length(&length, session, &error));
  CHECK(length == 23);
  dormouse_session_free(session);
}

static void is_lost(dormouse_session *session) {
  size_t length;
  dormouse_session *copy = nullptr;
  FAILS(DORMOUSE_ERROR_INTERNAL, dormouse_session_length(&length, session, &error));
  CHECK(strstr(error.message, "callback") != nullptr);
  FAILS(DORMOUSE_ERROR_INTERNAL, dormouse_session_fork(&copy, session, &error));
  FAILS(DORMOUSE_ERROR_INTERNAL, dormouse_session_generate(session, TOKENS, 3, ENDLESS, quiet, nullptr, &error));
  dormouse_session_cancel(session);
  FAILS(DORMOUSE_ERROR_INTERNAL, dormouse_session_length(&length, session, &error));
}

static void throws(dormouse_engine *engine, dormouse_event_fn callback) {
  dormouse_session *session = open_session(engine);
  bool caught = false;
  try {
    dormouse_session_generate(session, TOKENS, 3, ENDLESS, callback, nullptr, &error);
  } catch (...) {
    caught = true;
  }
  CHECK(caught);
  others_go_on(engine);
  is_lost(session);
  others_go_on(engine);
  dormouse_session_free(session);
}

static void jumps(dormouse_engine *engine, bool looks) {
  dormouse_session *volatile session = open_session(engine);
  if (setjmp(place) == 0) {
    dormouse_session_generate(session, TOKENS, 3, ENDLESS, jumping, nullptr, &error);
    CHECK(false);
  }
  if (looks) is_lost(session);
  dormouse_session_free(session);
  others_go_on(engine);
}

/* Deeper than the callback was. */
__attribute__((noinline)) static void is_lost_far_down(dormouse_session *session, int depth) {
  volatile char filling[4096];
  memset(const_cast<char *>(filling), depth, sizeof filling);
  if (depth > 0) is_lost_far_down(session, depth - 1);
  else is_lost(session);
  filling[0] = 0;
}

static void jumps_far_down(dormouse_engine *engine) {
  dormouse_session *volatile session = open_session(engine);
  if (setjmp(place) == 0) dormouse_session_generate(session, TOKENS, 3, ENDLESS, jumping, nullptr, &error);
  is_lost_far_down(session, 20);
  dormouse_session_free(session);
}

static void *end_within(void *session) {
  dormouse_session_generate(static_cast<dormouse_session *>(session), TOKENS, 3, ENDLESS, ending, nullptr, nullptr);
  return session;
}

static void thread_ends(dormouse_engine *engine) {
  dormouse_session *session = open_session(engine);
  pthread_t thread;
  void *result = session;
  CHECK(pthread_create(&thread, nullptr, end_within, session) == 0 && pthread_join(thread, &result) == 0);
  CHECK(result == nullptr);
  is_lost(session);
  dormouse_session_free(session);
  others_go_on(engine);
}

struct nested {
  dormouse_engine *engine;
  dormouse_session *session, *other;
  int32_t busy;
};

/* A callback that is alive: its own session is busy, others work, and one that it loses itself leaves it untouched. */
static int32_t calling(void *user_data, const dormouse_event *event) {
  nested *own = static_cast<nested *>(user_data);
  size_t length;
  if (event->kind != DORMOUSE_EVENT_TOKEN) return 0;
  own->busy = dormouse_session_length(&length, own->session, &error);
  if (event->generated_tokens == 2) {
    try {
      dormouse_session_generate(own->other, TOKENS, 3, ENDLESS, throwing, nullptr, &error);
      CHECK(false);
    } catch (const std::runtime_error &) {
    }
    is_lost(own->other);
    CHECK(dormouse_session_length(&length, own->session, &error) == DORMOUSE_ERROR_BUSY);
  }
  return 0;
}

static void nests(dormouse_engine *engine) {
  nested own = {engine, open_session(engine), open_session(engine), 0};
  size_t length = 0;
  WORKS(dormouse_session_generate(own.session, TOKENS, 3, ENDLESS, calling, &own, &error));
  CHECK(own.busy == DORMOUSE_ERROR_BUSY);
  WORKS(dormouse_session_length(&length, own.session, &error));
  CHECK(length == 23);
  dormouse_session_free(own.session);
  dormouse_session_free(own.other);
}

static int32_t throwing_segment(void *, const dormouse_segment *) { throw std::runtime_error("thrown by a callback"); }

static void transcriber(const char *model) {
  static float samples[16000 * 31];
  dormouse_transcriber *transcriber = nullptr;
  dormouse_attachment *audio = nullptr;
  bool caught = false;
  for (int index = 0; index < 16000 * 31; index++) samples[index] = static_cast<float>((index / 40 % 2) - 0.5);
  WORKS(dormouse_transcriber_open(&transcriber, model, nullptr, &error));
  WORKS(dormouse_attachment_create_audio(&audio, samples, 16000 * 31, 1, 16000, &error));
  try {
    dormouse_transcriber_run(transcriber, audio, nullptr, throwing_segment, nullptr, &error);
  } catch (const std::runtime_error &) {
    caught = true;
  }
  CHECK(caught);
  FAILS(DORMOUSE_ERROR_INTERNAL, dormouse_transcriber_run(transcriber, audio, nullptr, nullptr, nullptr, &error));
  dormouse_transcriber_free(transcriber);
  dormouse_attachment_free(audio);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  alarm(100);
  for (uint32_t batch_limit : {1u, 16u}) {
    dormouse_engine *engine = open_engine(argv[1], batch_limit);
    throws(engine, throwing);
    throws(engine, throwing_in_prompt);
    jumps(engine, true);
    jumps(engine, false);
    jumps_far_down(engine);
    thread_ends(engine);
    dormouse_engine_free(engine);
  }
  dormouse_engine *engine = open_engine(argv[1], 0);
  nests(engine);
  dormouse_engine_free(engine);
  transcriber(argv[2]);
  return failures != 0;
}
