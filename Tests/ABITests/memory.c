/* Measures what an engine and a session take at most. Usage: memory SMALL MODEL CONTEXT SESSIONS. The small model goes
 * first, so that the library's own pages are in the baseline; the sessions of the other one, each with tokens of its own,
 * are filled to their end one after another. With one session the engine keeps no prefixes. Prints the plan's document,
 * then the bytes by which the peak of resident memory passed the baseline. */
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

/* Fills a session but for the last tokens, and generates those. */
static void fill(dormouse_engine *engine, const dormouse_session_options *settings, int number) {
  dormouse_session *session;
  uint32_t context = settings->context_length;
  int32_t *tokens = calloc(context, sizeof *tokens);
  if (tokens == NULL || context <= 4) exit(3);
  for (uint32_t token = 0; token < context; token++) tokens[token] = (int32_t)((token + (uint32_t)number) % 64);
  check(dormouse_session_open(&session, engine, settings, &error));
  check(dormouse_session_prefill(session, tokens, context - 4, &error));
  check(dormouse_session_generate(session, NULL, 0, "{\"ignore_eos\": true}", NULL, NULL, &error));
  dormouse_session_free(session);
  free(tokens);
}

/* Opens a model, fills its sessions one after another, and prints the plan. */
static void use(const char *model, uint32_t context, int sessions, int prints) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_session_options settings = DORMOUSE_SESSION_OPTIONS_INIT;
  dormouse_engine *engine;
  char plan[1024];
  size_t length;
  options.thread_count = 2;
  options.flags = sessions > 1 ? 0 : DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE;
  settings.context_length = context;
  check(dormouse_engine_open(&engine, model, &options, &error));
  for (int number = 0; number < sessions; number++) fill(engine, &settings, number);
  check(dormouse_engine_plan(plan, sizeof plan, &length, engine, &settings, &error));
  if (prints) printf("%s\n", plan);
  dormouse_engine_free(engine);
}

int main(int argc, char **argv) {
  long baseline;
  if (argc != 5) return 2;
  use(argv[1], 64, 1, 0);
  reset_peak();
  baseline = status_bytes("VmRSS:");
  use(argv[2], (uint32_t)atoi(argv[3]), atoi(argv[4]), 1);
  printf("%ld\n", status_bytes("VmHWM:") - baseline);
  return 0;
}
