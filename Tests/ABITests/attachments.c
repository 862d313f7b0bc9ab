/* Images, videos and audio through the header: what works, and what each mistake is answered with.
   attachments VISION_FOLDER TEXT_FOLDER IMAGE_FILE */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"

static const char *const MESSAGES =
    "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"attachment:0\"}},"
    "{\"type\":\"text\",\"text\":\"what?\"}]}]";

static void check_images(void) {
  uint8_t pixels[4 * 5 * 3] = {0};
  dormouse_attachment *image = (dormouse_attachment *)1;
  WORKS(dormouse_attachment_create_image(&image, pixels, 5, 4, &error));
  FAILS(INVALID, dormouse_attachment_append_audio(image, NULL, 0, &error));
  dormouse_attachment_free(image);
  dormouse_attachment_free(NULL);
  FAILS(INVALID, dormouse_attachment_create_image(NULL, pixels, 5, 4, &error));
  FAILS(INVALID, dormouse_attachment_create_image(&image, NULL, 5, 4, &error));
  CHECK(image == NULL);
  FAILS(INVALID, dormouse_attachment_create_image(&image, pixels, 0, 4, &error));
  FAILS(INVALID, dormouse_attachment_create_image(&image, pixels, 70000, 1, &error));
  FAILS(INVALID, dormouse_attachment_create_image(&image, pixels, UINT32_MAX, UINT32_MAX, &error));
}

static void check_videos(void) {
  uint8_t pixels[3 * 2 * 2 * 3] = {0};
  double times[3] = {0, 0.5, 1}, back[3] = {0, 1, 0.5};
  dormouse_attachment *video = NULL;
  WORKS(dormouse_attachment_create_video(&video, pixels, 3, 2, 2, NULL, 24, &error));
  dormouse_attachment_free(video);
  WORKS(dormouse_attachment_create_video(&video, pixels, 3, 2, 2, times, 0, &error));
  dormouse_attachment_free(video);
  FAILS(INVALID, dormouse_attachment_create_video(&video, pixels, 3, 2, 2, NULL, 0, &error));
  FAILS(INVALID, dormouse_attachment_create_video(&video, pixels, 3, 2, 2, NULL, NAN, &error));
  FAILS(INVALID, dormouse_attachment_create_video(&video, pixels, 3, 2, 2, back, 0, &error));
  FAILS(INVALID, dormouse_attachment_create_video(&video, pixels, 0, 2, 2, NULL, 24, &error));
  FAILS(INVALID, dormouse_attachment_create_video(&video, pixels, SIZE_MAX, 2, 2, NULL, 24, &error));
}

static void check_audio(void) {
  float samples[8] = {0, 0.1f, 0.2f, 0.3f}, bad[2] = {0, NAN};
  dormouse_attachment *audio = NULL;
  WORKS(dormouse_attachment_create_audio(&audio, NULL, 0, 2, 44100, &error));
  WORKS(dormouse_attachment_append_audio(audio, samples, 4, &error));
  FAILS(INVALID, dormouse_attachment_append_audio(audio, bad, 1, &error));
  FAILS(INVALID, dormouse_attachment_append_audio(audio, NULL, 4, &error));
  FAILS(INVALID, dormouse_attachment_append_audio(audio, samples, SIZE_MAX, &error));
  dormouse_attachment_free(audio);
  FAILS(INVALID, dormouse_attachment_append_audio(NULL, samples, 4, &error));
  FAILS(INVALID, dormouse_attachment_create_audio(&audio, samples, 4, 0, 44100, &error));
  FAILS(INVALID, dormouse_attachment_create_audio(&audio, samples, 4, 2, 0, &error));
  CHECK(audio == NULL);
}

static void files(const char *path) {
  static uint8_t bytes[1 << 16];
  dormouse_attachment *image = NULL;
  FILE *file = fopen(path, "rb");
  size_t count = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
  if (file != NULL) fclose(file);
  CHECK(count > 0);
  WORKS(dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_IMAGE, path, &error));
  dormouse_attachment_free(image);
  WORKS(dormouse_attachment_create_from_bytes(&image, DORMOUSE_ATTACHMENT_IMAGE, bytes, count, &error));
  dormouse_attachment_free(image);
  FAILS(INVALID, dormouse_attachment_create_from_bytes(&image, DORMOUSE_ATTACHMENT_IMAGE, bytes, 0, &error));
  FAILS(INVALID, dormouse_attachment_create_from_bytes(&image, DORMOUSE_ATTACHMENT_IMAGE, NULL, 1, &error));
  FAILS(INVALID, dormouse_attachment_create_from_file(&image, 9, path, &error));
  FAILS(INVALID, dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_IMAGE, NULL, &error));
  CHECK(dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_AUDIO, path, &error) < 0);
  CHECK(dormouse_attachment_create_from_bytes(&image, DORMOUSE_ATTACHMENT_IMAGE, bytes, count / 2, &error) < 0);
  FAILS(DORMOUSE_ERROR_NOT_FOUND,
        dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_IMAGE, "/nowhere/image.png", &error));
  CHECK(image == NULL);
}

static int32_t count_tokens(void *user_data, const dormouse_event *event) {
  dormouse_event *last = user_data;
  if (event->kind == DORMOUSE_EVENT_END) memcpy(last, event, sizeof *last);
  return 0;
}

static void chats(const char *folder, const char *text_folder) {
  static uint8_t pixels[40 * 30 * 3];
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = NULL, *text = NULL;
  dormouse_session *session = NULL, *other = NULL;
  dormouse_attachment *image = NULL;
  const dormouse_attachment *given[2];
  dormouse_event last = {0};
  int32_t tokens[256];
  size_t count = 0;
  for (size_t index = 0; index < sizeof pixels; index++) pixels[index] = (uint8_t)(index * 7);
  options.media_config = "{\"max_pixels\": 1000000, \"roots\": []}";
  WORKS(dormouse_engine_open(&engine, folder, &options, &error));
  options.media_config = "{\"max_pixels\": \"many\"}";
  FAILS(INVALID, dormouse_engine_open(&text, folder, &options, &error));
  WORKS(dormouse_engine_open(&text, text_folder, NULL, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_open(&other, text, NULL, &error));
  WORKS(dormouse_attachment_create_image(&image, pixels, 40, 30, &error));
  given[0] = image;
  given[1] = NULL;
  WORKS(dormouse_engine_tokenize_messages_with_attachments(tokens, 256, &count, engine, MESSAGES, given, 1, &error));
  CHECK(count > 20);
  FAILS(SHORT, dormouse_engine_tokenize_messages_with_attachments(tokens, 3, &count, engine, MESSAGES, given, 1, &error));
  WORKS(dormouse_session_chat_with_attachments(session, MESSAGES, given, 1, "{\"max_tokens\": 2, \"ignore_eos\": true}",
                                               count_tokens, &last, &error));
  CHECK(last.prompt_tokens == count && last.image_tokens > 0 && last.video_tokens == 0 && last.audio_tokens == 0);
  FAILS(INVALID, dormouse_session_chat_with_attachments(session, MESSAGES, given, 0, NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_chat_with_attachments(session, MESSAGES, given, 2, NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_chat_with_attachments(session, MESSAGES, NULL, 1, NULL, NULL, NULL, &error));
  FAILS(INVALID, dormouse_session_chat(session, MESSAGES, NULL, NULL, NULL, &error));
  FAILS(DORMOUSE_ERROR_UNSUPPORTED,
        dormouse_session_chat_with_attachments(other, MESSAGES, given, 1, NULL, NULL, NULL, &error));
  dormouse_attachment_free(image);
  dormouse_session_free(other);
  dormouse_session_free(session);
  dormouse_engine_free(text);
  dormouse_engine_free(engine);
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: attachments SEEING_FOLDER TEXT_FOLDER PICTURE_FILE\n"), 2;
  check_images();
  check_videos();
  check_audio();
  files(argv[3]);
  chats(argv[1], argv[2]);
  if (failures > 0) return fprintf(stderr, "%d expectations failed\n", failures), 1;
  puts("attachments answered as the header says");
  return 0;
}
