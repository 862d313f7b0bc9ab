/* Answers questions with a model folder, one after another in one session.

     cc chat.c $(pkg-config --cflags --libs dormouse) -o chat
     ./chat ../models/dormouse-tiny "What is 7 plus 5?" "8加5等于几?"                                            */
#include <dormouse.h>
#include <stdio.h>
#include <string.h>

static int32_t print(void *user_data, const dormouse_event *event) {
  (void)user_data;
  if (event->text_length > 0) fwrite(event->text, 1, event->text_length, stdout);
  fflush(stdout);
  return 0; /* anything else would stop the answer */
}

/* The question as the one message of a chat. */
static dormouse_status write_messages(char *out, size_t capacity, const char *question, dormouse_error *error) {
  static const char before[] = "[{\"role\": \"user\", \"content\": ", after[] = "}]";
  const size_t start = sizeof before - 1;
  size_t length = 0;
  dormouse_status status;
  memcpy(out, before, start);
  status = dormouse_json_quote(out + start, capacity - start - sizeof after, &length, question, strlen(question), error);
  if (status == DORMOUSE_OK) memcpy(out + start + length, after, sizeof after);
  return status;
}

static int answer(dormouse_session *session, const char *question) {
  dormouse_error error = DORMOUSE_ERROR_INIT;
  char messages[4096];
  dormouse_status status = write_messages(messages, sizeof messages, question, &error);
  if (status >= 0) status = dormouse_session_chat(session, messages, "{\"max_tokens\": 100}", print, NULL, &error);
  if (status < 0) {
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
