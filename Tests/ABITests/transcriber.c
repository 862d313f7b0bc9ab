/* Whisper by itself, and beside a model that reads only, through the header.
   transcriber WHISPER_FOLDER TEXT_FOLDER */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expect.h"

enum { RATE = 16000, SECONDS = 70 };

static float samples[RATE * SECONDS];

typedef struct {
  dormouse_transcriber *transcriber;
  size_t count;
  int32_t answer;
  int cancels;
  double end;
} watcher;

static int32_t watch(void *user_data, const dormouse_segment *segment) {
  watcher *watcher_ = user_data;
  watcher_->count += 1;
  CHECK(segment->struct_size == sizeof(dormouse_segment));
  CHECK(segment->start >= 0 && segment->end >= segment->start);
  CHECK((segment->text == NULL) == (segment->text_length == 0));
  CHECK(segment->language != NULL && segment->language_length == 2);
  CHECK(segment->tokens != NULL && segment->token_count > 0);
  watcher_->end = segment->end;
  if (watcher_->cancels) dormouse_transcriber_cancel(watcher_->transcriber);
  return watcher_->answer;
}

static dormouse_attachment *audio(size_t count) {
  dormouse_attachment *made = NULL;
  WORKS(dormouse_attachment_create_audio(&made, samples, count, 1, RATE, &error));
  return made;
}

static void opening(const char *whisper) {
  dormouse_transcriber *transcriber = (dormouse_transcriber *)1;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  FAILS(INVALID, dormouse_transcriber_open(NULL, whisper, NULL, &error));
  FAILS(INVALID, dormouse_transcriber_open(&transcriber, NULL, NULL, &error));
  CHECK(transcriber == NULL);
  options.memory_limit = 1000;
  FAILS(DORMOUSE_ERROR_OUT_OF_MEMORY, dormouse_transcriber_open(&transcriber, whisper, &options, &error));
  options.memory_limit = 0;
  options.weights = DORMOUSE_WEIGHTS_INT8;
  FAILS(DORMOUSE_ERROR_UNSUPPORTED, dormouse_transcriber_open(&transcriber, whisper, &options, &error));
  options.weights = 0;
  options.flags = DORMOUSE_ENGINE_WITHOUT_WEIGHTS;
  FAILS(INVALID, dormouse_transcriber_open(&transcriber, whisper, &options, &error));
  dormouse_transcriber_free(NULL);
  dormouse_transcriber_cancel(NULL);
}

static void running(const char *whisper) {
  dormouse_transcriber *transcriber = NULL;
  dormouse_attachment *long_ = audio(RATE * SECONDS), *empty = audio(0), *image = NULL;
  uint8_t pixels[3] = {0};
  watcher all = {0}, stopping = {0}, cancelling = {0};
  WORKS(dormouse_transcriber_open(&transcriber, whisper, NULL, &error));
  WORKS(dormouse_attachment_create_image(&image, pixels, 1, 1, &error));
  WORKS(dormouse_transcriber_run(transcriber, long_, NULL, watch, &all, &error));
  CHECK(all.count > 1 && all.end > 30);
  WORKS(dormouse_transcriber_run(transcriber, long_, "{\"language\":\"de\",\"temperature\":0}", NULL, NULL, &error));
  stopping.answer = 5;
  CHECK(dormouse_transcriber_run(transcriber, long_, NULL, watch, &stopping, &error) == 5);
  CHECK(stopping.count == 1);
  cancelling.transcriber = transcriber;
  cancelling.cancels = 1;
  FAILS(DORMOUSE_ERROR_CANCELLED, dormouse_transcriber_run(transcriber, long_, NULL, watch, &cancelling, &error));
  FAILS(INVALID, dormouse_transcriber_run(NULL, long_, NULL, watch, &all, &error));
  FAILS(INVALID, dormouse_transcriber_run(transcriber, NULL, NULL, watch, &all, &error));
  FAILS(INVALID, dormouse_transcriber_run(transcriber, empty, NULL, watch, &all, &error));
  FAILS(INVALID, dormouse_transcriber_run(transcriber, image, NULL, watch, &all, &error));
  FAILS(INVALID, dormouse_transcriber_run(transcriber, long_, "{\"beams\":5}", watch, &all, &error));
  FAILS(INVALID, dormouse_transcriber_run(transcriber, long_, "\xff", watch, &all, &error));
  dormouse_attachment_free(long_);
  dormouse_attachment_free(empty);
  dormouse_attachment_free(image);
  dormouse_transcriber_free(transcriber);
}

static int32_t keep(void *user_data, const dormouse_event *event) {
  *(dormouse_event *)user_data = *event;
  return 0;
}

static void chatting(const char *whisper, const char *text) {
  static const char *const messages =
      "[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"url\":\"attachment:0\"}}]}]";
  char config[4096];
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  dormouse_attachment *spoken = audio(RATE * 3);
  dormouse_event end = {0};
  snprintf(config, sizeof config, "{\"speech_model\":\"%s\"}", whisper);
  options.media_config = config;
  WORKS(dormouse_engine_open(&engine, text, &options, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_chat_with_attachments(session, messages, (const dormouse_attachment *const *)&spoken, 1,
                                               "{\"max_tokens\":2}", keep, &end, &error));
  CHECK(end.transcribed_tokens > 0 && end.transcribed_seconds == 3 && end.audio_tokens == 0);
  WORKS(dormouse_session_chat_with_attachments(session, messages, (const dormouse_attachment *const *)&spoken, 1,
                                               "{\"max_tokens\":2}", keep, &end, &error));
  CHECK(end.transcribed_tokens == 0 && end.transcribed_seconds == 3);
  dormouse_attachment_free(spoken);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
}

int main(int argument_count, char **arguments) {
  if (argument_count != 3) return 2;
  for (size_t index = 0; index < RATE * SECONDS; ++index)
    samples[index] = 0.4f * sinf(0.09f * (float)index) * sinf(0.0006f * (float)index);
  opening(arguments[1]);
  running(arguments[1]);
  chatting(arguments[1], arguments[2]);
  if (failures > 0) return fprintf(stderr, "%d expectations failed\n", failures), 1;
  return 0;
}
