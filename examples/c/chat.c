/* Answers questions with a model folder, one after another in one session.

     cc chat.c $(pkg-config --cflags --libs dormouse) -o chat
     ./chat ../models/dormouse-tiny "What is 7 plus 5?" "8加5等于几?"                                            */
#include <dormouse.h>
#include <stdio.h>

static int32_t print(void *user_data, const dormouse_event *event) {
  (void)user_data;
  if (event->text_length > 0) fwrite(event->text, 1, event->text_length, stdout);
  fflush(stdout);
  return 0; /* anything else would stop the answer */
}

/* A JSON string: quotes, backslashes and control characters need an escape, all other UTF-8 stands as it is. */
static int write_json_string(char *out, size_t capacity, const char *text) {
  size_t used = 0;
  for (; *text != 0; text++) {
    unsigned char c = (unsigned char)*text;
    int count = c == '"' || c == '\\' ? snprintf(out + used, capacity - used, "\\%c", c)
                : c < 0x20            ? snprintf(out + used, capacity - used, "\\u%04x", c)
                                      : snprintf(out + used, capacity - used, "%c", c);
    if (count < 0 || (size_t)count >= capacity - used) return 0;
    used += (size_t)count;
  }
  return 1;
}

static int answer(dormouse_session *session, const char *question) {
  dormouse_error error = DORMOUSE_ERROR_INIT;
  char content[2048], messages[2200];
  if (!write_json_string(content, sizeof content, question)) return fputs("the question is too long\n", stderr), 0;
  snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": \"%s\"}]", content);
  if (dormouse_session_chat(session, messages, "{\"max_tokens\": 100}", print, NULL, &error) < 0) {
    fprintf(stderr, "%s: %s\n", dormouse_status_name(error.status), error.message);
    return 0;
  }
  putchar('\n');
  return 1;
}

int main(int argc, char **argv) {
  dormouse_error error = DORMOUSE_ERROR_INIT;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  int done = 1;
  if (argc < 3) return fprintf(stderr, "usage: %s MODEL QUESTION...\n", argv[0]), 2;
  options.residency = DORMOUSE_RESIDENCY_MAPPED;
  if (dormouse_engine_open(&engine, argv[1], &options, &error) < 0 ||
      dormouse_session_open(&session, engine, NULL, &error) < 0) {
    fprintf(stderr, "%s: %s\n", dormouse_status_name(error.status), error.message);
    done = 0;
  }
  for (int index = 2; done && index < argc; index++) done = answer(session, argv[index]);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
  return done ? 0 : 1;
}
