/* Measures what an engine and a session take at most. Usage: memory SMALL MODEL CONTEXT. The small model goes first, so
 * that the library's own pages are in the baseline; the session of the other one is filled to its end. Prints the plan's
 * document, then the bytes by which the peak of resident memory passed the baseline. */
#include <dormouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dormouse_error error = DORMOUSE_ERROR_INIT;

static void check(dormouse_status status) {
  if (status == DORMOUSE_OK) return;
  fprintf(stderr, "%s\n", error.message);
  exit(1);
}

/* Bytes of a line of /proc/self/status, which counts in kilobytes. */
static long status_bytes(const char *name) {
  char line[256];
  long kilobytes = -1;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) exit(3);
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) kilobytes = strtol(line + strlen(name), NULL, 10);
  fclose(file);
  return kilobytes * 1024;
}

/* From here on the peak counts from what is resident now. */
static void reset_peak(void) {
  FILE *file = fopen("/proc/self/clear_refs", "w");
  if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0) exit(3);
}

/* Opens a model, fills a session but for the last tokens, generates those, and prints the plan. */
static void use(const char *model, uint32_t context, int prints) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_engine *engine;
  dormouse_session *session;
  char plan[1024];
  size_t length;
  int32_t *tokens = calloc(context, sizeof *tokens);
  if (tokens == NULL || context <= 4) exit(3);
  for (uint32_t token = 0; token < context; token++) tokens[token] = (int32_t)(token % 64);
  options.thread_count = 2;
  settings.context_length = context;
  check(dormouse_engine_open(&engine, model, &options, &error));
  check(dormouse_session_open(&session, engine, &settings, &error));
  check(dormouse_session_prefill(session, tokens, context - 4, &error));
  check(dormouse_session_generate(session, NULL, 0, "{\"ignore_eos\": true}", NULL, NULL, &error));
  check(dormouse_engine_plan(plan, sizeof plan, &length, engine, &settings, &error));
  if (prints) printf("%s\n", plan);
  dormouse_session_free(session);
  dormouse_engine_free(engine);
  free(tokens);
}

int main(int argc, char **argv) {
  long baseline;
  if (argc != 4) return 2;
  use(argv[1], 64, 0);
  reset_peak();
  baseline = status_bytes("VmRSS:");
  use(argv[2], (uint32_t)atoi(argv[3]), 1);
  printf("%ld\n", status_bytes("VmHWM:") - baseline);
  return 0;
}
