/* Reads a beginning once, forks the session for each question, and answers them all at the same time.

     cc forks.c $(pkg-config --cflags --libs dormouse) -pthread -o forks
     ./forks ../models/dormouse-tiny "What is 7 plus" " 5?" " 2?" " 4?"                                            */
#include <dormouse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 8 };

typedef struct {
  pthread_t thread;
  dormouse_session *session;
  int32_t tokens[256];
  size_t count;
  char text[1024];
  size_t length;
  dormouse_error error;
} branch;

static int32_t collect(void *user_data, const dormouse_event *event) {
  branch *own = user_data;
  if (event->text_length == 0) return 0;
  if (own->length + event->text_length >= sizeof own->text) return 1; /* long enough */
  memcpy(own->text + own->length, event->text, event->text_length);
  own->length += event->text_length;
  return 0;
}

static void *answer(void *argument) {
  branch *own = argument;
  dormouse_session_generate(own->session, own->tokens, own->count, "{\"max_tokens\": 40}", collect, own, &own->error);
  return NULL;
}

/* Ids of a text in which control tokens count as such. */
static dormouse_status tokenize(int32_t *tokens, size_t *count, const dormouse_engine *engine, const char *text,
                                dormouse_error *error) {
  return dormouse_engine_tokenize(tokens, 256, count, engine, text, strlen(text), DORMOUSE_TOKENIZE_PARSE_SPECIAL,
                                  error);
}

int main(int argc, char **argv) {
  static branch branches[MOST];
  dormouse_error error = DORMOUSE_ERROR_INIT;
  dormouse_engine *engine = NULL;
  dormouse_session *session = NULL;
  int32_t tokens[256];
  char text[512];
  size_t count = 0;
  int done = 0, branch_count = argc - 3;
  if (argc < 4 || branch_count > MOST) return fprintf(stderr, "usage: %s MODEL BEGINNING END...\n", argv[0]), 2;
  snprintf(text, sizeof text, "<｜begin▁of▁sentence｜><｜User｜>%s", argv[2]);
  if (dormouse_engine_open(&engine, argv[1], NULL, &error) < 0) goto end;
  if (dormouse_session_open(&session, engine, NULL, &error) < 0) goto end;
  if (tokenize(tokens, &count, engine, text, &error) < 0) goto end;
  if (dormouse_session_prefill(session, tokens, count, &error) < 0) goto end;
  for (; done < branch_count; done++) {
    branch *own = &branches[done];
    dormouse_error_init(&own->error);
    snprintf(text, sizeof text, "%s<｜Assistant｜>", argv[3 + done]);
    if (tokenize(own->tokens, &own->count, engine, text, &error) < 0) goto end;
    if (dormouse_session_fork(&own->session, session, &error) < 0) goto end; /* shares the pages */
    if (pthread_create(&own->thread, NULL, answer, own) != 0) goto end;
  }
end:
  for (int index = 0; index < done; index++) {
    pthread_join(branches[index].thread, NULL);
    printf("%s%s  %s%s\n", argv[2], argv[3 + index], branches[index].text, branches[index].error.message);
  }
  for (int index = 0; index < branch_count; index++) dormouse_session_free(branches[index].session);
  if (done < branch_count) fprintf(stderr, "%s: %s\n", dormouse_status_name(error.status), error.message);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
  return done < branch_count ? 1 : 0;
}
