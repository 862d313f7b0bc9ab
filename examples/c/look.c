/* Asks a model about an image, a video or audio.

     cc look.c $(pkg-config --cflags --libs dormouse) -o look
     ./look ../models/dormouse-omni image ../media/shapes.png "What is in the picture?"
     ./look ../models/dormouse-omni audio ../media/rabbit.wav "What do you hear?"                              */
#include <dormouse.h>
#include <stdio.h>
#include <string.h>

/* What a file can be read as, and the part of a message that it is named in. */
static const struct {
  const char *name, *part;
  int32_t kind;
} kinds[] = {
    {"image", "{\"type\": \"image_url\", \"image_url\": {\"url\": \"attachment:0\"}}", DORMOUSE_ATTACHMENT_IMAGE},
    {"video", "{\"type\": \"video_url\", \"video_url\": {\"url\": \"attachment:0\"}}", DORMOUSE_ATTACHMENT_VIDEO},
    {"audio", "{\"type\": \"input_audio\", \"input_audio\": {\"url\": \"attachment:0\"}}", DORMOUSE_ATTACHMENT_AUDIO},
};

static int32_t print(void *user_data, const dormouse_event *event) {
  (void)user_data;
  if (event->text_length > 0) fwrite(event->text, 1, event->text_length, stdout);
  return 0;
}

int main(int argc, char **argv) {
  dormouse_error error = DORMOUSE_ERROR_INIT;
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  dormouse_attachment *file = NULL;
  char question[2048], messages[2300];
  size_t number = 0, length = 0;
  dormouse_status status;
  while (argc == 5 && number < 3 && strcmp(argv[2], kinds[number].name) != 0) number++;
  if (argc != 5 || number == 3) return fprintf(stderr, "usage: %s MODEL image|video|audio FILE QUESTION\n", argv[0]), 2;

  status = dormouse_json_quote(question, sizeof question, &length, argv[4], strlen(argv[4]), &error);
  if (status >= 0)
    snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": [%s, {\"type\": \"text\", \"text\": %.*s}]}]",
             kinds[number].part, (int)length, question);
  if (status >= 0) status = dormouse_engine_open(&engine, argv[1], NULL, &error);
  if (status >= 0) status = dormouse_session_open(&session, engine, NULL, &error);
  if (status >= 0) status = dormouse_attachment_create_from_file(&file, kinds[number].kind, argv[3], &error);
  if (status >= 0) {
    const dormouse_attachment *attachments[1];
    attachments[0] = file;
    status = dormouse_session_chat_with_attachments(session, messages, attachments, 1, "{\"max_tokens\": 100}", print,
                                                    NULL, &error);
  }
  if (status >= 0) putchar('\n');
  else fprintf(stderr, "%s: %s\n", dormouse_status_name(error.status), error.message);
  dormouse_attachment_free(file);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
  return status >= 0 ? 0 : 1;
}
