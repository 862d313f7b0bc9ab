/* A child of fork: every call on a handle of the parent's is refused at once, freeing does nothing, and opening anew works;
   also where other threads of the parent are at work at the fork.
   usage: promises_fork MODEL TEXT_MODEL SPEECH_MODEL FILE */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

static const char *const CHAT = "[{\"role\":\"user\",\"content\":\"What is 7 plus 5?\"}]";

static dormouse_engine *engine, *text;
static dormouse_session *session, *talking;
static dormouse_transcriber *transcriber;
static dormouse_attachment *audio;
static dormouse_router *router;
static dormouse_constraint *constraint;
static dormouse_latent_cache *cache;
static dormouse_packed_matrix *matrix;
static int stopping;

static int32_t on_event(void *user_data, const dormouse_event *event) {
  (void)user_data, (void)event;
  return __atomic_load_n(&stopping, __ATOMIC_SEQ_CST) ? 9 : 0;
}

/* In the parent: a session is always at work. */
static void *talk(void *argument) {
  (void)argument;
  while (!__atomic_load_n(&stopping, __ATOMIC_SEQ_CST))
    dormouse_session_chat(talking, CHAT, "{\"max_tokens\":50,\"ignore_eos\":true}", on_event, NULL, NULL);
  return NULL;
}

static void open_all(const char *model, const char *text_model, const char *speech_model) {
  static float zeros[64];
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  options.thread_count = 2;
  options.pin_threads = 1;
  WORKS(dormouse_engine_open(&engine, model, &options, &error));
  WORKS(dormouse_engine_open(&text, text_model, &options, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_open(&talking, text, NULL, &error));
  WORKS(dormouse_transcriber_open(&transcriber, speech_model, NULL, &error));
  WORKS(dormouse_attachment_create_audio(&audio, zeros, 64, 1, 16000, &error));
  WORKS(dormouse_router_create(&router, "{\"n_routed_experts\":4,\"num_experts_per_tok\":1,\"routed_scaling_factor\":1}",
                               &error));
  WORKS(dormouse_constraint_create(&constraint, text, "{\"choice\":[\"yes\",\"no\"]}", &error));
  WORKS(dormouse_latent_cache_create(&cache, "{\"kv_lora_rank\":8,\"qk_rope_head_dim\":4,\"capacity\":8}", &error));
  WORKS(dormouse_packed_matrix_create(&matrix, "{\"type\":\"int8\",\"rows\":1,\"columns\":32}", zeros, DORMOUSE_TYPE_F32,
                                      NULL, 0, 0, 0, &error));
}

/* Also in a child, where nothing happens. */
static void free_all(void) {
  dormouse_session_free(session);
  dormouse_session_free(talking);
  dormouse_engine_free(engine);
  dormouse_engine_free(text);
  dormouse_transcriber_free(transcriber);
  dormouse_attachment_free(audio);
  dormouse_router_free(router);
  dormouse_constraint_free(constraint);
  dormouse_latent_cache_free(cache);
  dormouse_packed_matrix_free(matrix);
}

#define REFUSED(call)                                   \
  do {                                                  \
    FAILS(INVALID, call);                               \
    CHECK(strstr(error.message, "forked") != NULL);     \
  } while (0)

static void use_all(const char *file) {
  char buffer[64];
  float values[64];
  int32_t tokens[8] = {1, 2};
  size_t size;
  dormouse_session *made = NULL;
  dormouse_constraint *remade = NULL;
  uint32_t mask[64];
  const dormouse_attachment *attachments[1] = {audio};
  REFUSED(dormouse_engine_info(buffer, sizeof buffer, &size, engine, &error));
  REFUSED(dormouse_engine_plan(buffer, sizeof buffer, &size, engine, NULL, &error));
  REFUSED(dormouse_engine_statistics(buffer, sizeof buffer, &size, engine, &error));
  REFUSED(dormouse_engine_tokenize(tokens, 8, &size, text, "a", 1, 0, &error));
  REFUSED(dormouse_engine_detokenize(buffer, sizeof buffer, &size, text, tokens, 2, 0, &error));
  REFUSED(dormouse_engine_render_messages(buffer, sizeof buffer, &size, text, CHAT, &error));
  REFUSED(dormouse_engine_tokenize_messages(tokens, 8, &size, text, CHAT, &error));
  REFUSED(dormouse_engine_tokenize_messages_with_attachments(tokens, 8, &size, text, CHAT, attachments, 1, &error));
  REFUSED(dormouse_attachment_append_audio(audio, values, 8, &error));
  REFUSED(dormouse_session_open(&made, engine, NULL, &error));
  CHECK(made == NULL);
  REFUSED(dormouse_session_length(&size, session, &error));
  REFUSED(dormouse_session_truncate(session, 0, &error));
  REFUSED(dormouse_session_fork(&made, session, &error));
  REFUSED(dormouse_session_save(session, file, &error));
  REFUSED(dormouse_session_restore(session, file, &error));
  REFUSED(dormouse_session_prefill(session, tokens, 2, &error));
  REFUSED(dormouse_session_prefill_logits(values, 64, &size, session, tokens, 2, &error));
  REFUSED(dormouse_session_logits(values, 64, &size, session, &error));
  REFUSED(dormouse_session_generate(session, tokens, 2, NULL, NULL, NULL, &error));
  REFUSED(dormouse_session_chat(talking, CHAT, NULL, NULL, NULL, &error));
  REFUSED(dormouse_session_chat_with_attachments(talking, CHAT, attachments, 1, NULL, NULL, NULL, &error));
  REFUSED(dormouse_transcriber_run(transcriber, audio, NULL, NULL, NULL, &error));
  REFUSED(dormouse_router_route(tokens, values, router, values, NULL, 1, &error));
  REFUSED(dormouse_constraint_create(&remade, text, "{\"regex\":\"a\"}", &error));
  REFUSED(dormouse_constraint_clone(&remade, constraint, &error));
  REFUSED(dormouse_constraint_allowed(mask, 64, &size, constraint, &error));
  REFUSED(dormouse_constraint_accept(constraint, tokens, 1, &error));
  REFUSED(dormouse_constraint_rewind(constraint, 0, &error));
  REFUSED(dormouse_constraint_forced(tokens, 8, &size, constraint, &error));
  REFUSED(dormouse_constraint_is_complete(tokens, constraint, &error));
  REFUSED(dormouse_latent_cache_append(cache, values, 1, &error));
  REFUSED(dormouse_latent_cache_size(&size, NULL, cache, &error));
  REFUSED(dormouse_latent_cache_truncate(cache, 0, &error));
  REFUSED(dormouse_latent_cache_attend(values, cache, values, 1, 0, 1, &error));
  REFUSED(dormouse_packed_matrix_size(&size, NULL, NULL, matrix, &error));
  REFUSED(dormouse_packed_matrix_dequantize(values, matrix, 0, 1, &error));
  REFUSED(dormouse_packed_matrix_multiply(values, matrix, values, 1, &error));
  dormouse_session_cancel(session);
  dormouse_transcriber_cancel(transcriber);
  free_all();
}

/* Engines, parts and media of the child's own. */
static void work_anew(char **argv) {
  dormouse_attachment *image;
  open_all(argv[1], argv[2], argv[3]);
  WORKS(dormouse_session_chat(talking, CHAT, "{\"max_tokens\":8}", NULL, NULL, &error));
  WORKS(dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_IMAGE, argv[4], &error));
  dormouse_attachment_free(image);
  free_all();
}

static void in_child(char **argv) {
  dormouse_engine *mine = NULL;
  pid_t grandchild;
  int status = 1;
  failures = 0;
  alarm(60);
  use_all(argv[1]);
  CHECK(engine != NULL && mine == NULL);
  work_anew(argv);
  /* A child's handle is of no use in its own child. */
  open_all(argv[1], argv[2], argv[3]);
  if ((grandchild = fork()) == 0) {
    failures = 0;
    alarm(30);
    use_all(argv[1]);
    _exit(failures != 0);
  }
  CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
  free_all();
  _exit(failures != 0);
}

int main(int argc, char **argv) {
  pthread_t thread;
  dormouse_attachment *image;
  size_t length;
  if (argc != 5) return 2;
  WORKS(dormouse_attachment_create_from_file(&image, DORMOUSE_ATTACHMENT_IMAGE, argv[4], &error));
  dormouse_attachment_free(image);
  open_all(argv[1], argv[2], argv[3]);
  if (pthread_create(&thread, NULL, talk, NULL) != 0) return 3;
  for (int round = 0; round < 3; round++) {
    int status = 1;
    pid_t child;
    usleep(3000 * round);
    child = fork();
    if (child == 0) in_child(argv);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  /* The parent goes on. */
  WORKS(dormouse_session_length(&length, session, &error));
  __atomic_store_n(&stopping, 1, __ATOMIC_SEQ_CST);
  pthread_join(thread, NULL);
  free_all();
  return failures != 0;
}
