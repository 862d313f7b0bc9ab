/* Opens, uses and frees many sessions. Usage: soak MODEL REQUESTS. Each request has a prompt of its own, some of them
 * with a beginning that others have too. Prints the resident bytes after a quarter of the requests and at the end. */
#include <dormouse.h>
#include <stdio.h>
#include <stdlib.h>

static dormouse_error error = DORMOUSE_ERROR_INIT;

static void check(dormouse_status status) {
  if (status == DORMOUSE_OK) return;
  fprintf(stderr, "%s\n", error.message);
  exit(1);
}

static long resident_bytes(void) {
  long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2) exit(3);
  fclose(file);
  return resident * 4096;
}

static void request(dormouse_engine *engine, int number) {
  dormouse_session *session;
  int32_t tokens[96];
  size_t count = 20 + (size_t)(number % 76);
  for (size_t i = 0; i < count; i++) tokens[i] = (int32_t)((i * 7 + (i < 16 ? 0 : (size_t)number) * 13) % 90);
  check(dormouse_session_open(&session, engine, NULL, &error));
  check(dormouse_session_generate(session, tokens, count, "{\"max_tokens\": 2, \"ignore_eos\": true}", NULL, NULL,
                                  &error));
  dormouse_session_free(session);
}

int main(int argc, char **argv) {
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  dormouse_engine *engine;
  int count = argc == 3 ? atoi(argv[2]) : 0;
  if (count < 4) return 2;
  options.thread_count = 2;
  check(dormouse_engine_open(&engine, argv[1], &options, &error));
  for (int number = 0; number < count; number++) {
    if (number == count / 4) printf("%ld\n", resident_bytes());
    request(engine, number);
  }
  printf("%ld\n", resident_bytes());
  dormouse_engine_free(engine);
  return 0;
}
