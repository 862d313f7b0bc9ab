/* Every function, with what makes it go deep, on threads of 128 KB: half of what the header asks of callers.
   usage: promises_stacks MODEL SPEECH_MODEL SEEING_MODEL FOLDER MEDIA_FILE... -- HOSTILE_MODEL...
   A hostile model may be refused. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "expect.h"

enum { STACK = 128 << 10 };

static const char *model, *speech_model, *seeing_model, *folder, *media_file, *hostile;
static char messages[4096], configuration[4096], path[4096];
static dormouse_engine *engine;

static int32_t on_event(void *user_data, const dormouse_event *event) {
  (void)user_data, (void)event;
  return 0;
}

static int32_t on_segment(void *user_data, const dormouse_segment *segment) {
  (void)user_data, (void)segment;
  return 0;
}

static void *call(void *body) {
  void (*function)(void);
  memcpy(&function, body, sizeof function);
  function();
  return NULL;
}

static void on_small_stack(void (*body)(void)) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  if (pthread_create(&thread, &attributes, call, &body) != 0) exit(3);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
}

/* depth arrays inside one another as a member beside the rest. */
static void nest(char *text, const char *before, int depth, const char *after) {
  size_t end = (size_t)sprintf(text, "%s", before);
  for (int index = 0; index < depth; index++) text[end++] = '[';
  for (int index = 0; index < depth; index++) text[end++] = ']';
  sprintf(text + end, "%s", after);
}

static void open_model(void) { WORKS(dormouse_engine_open(&engine, model, NULL, &error)); }

static void texts(void) {
  char buffer[65536];
  int32_t tokens[2048];
  size_t size;
  WORKS(dormouse_engine_info(buffer, sizeof buffer, &size, engine, &error));
  WORKS(dormouse_engine_plan(buffer, sizeof buffer, &size, engine, NULL, &error));
  WORKS(dormouse_engine_statistics(buffer, sizeof buffer, &size, engine, &error));
  WORKS(dormouse_engine_tokenize(tokens, 2048, &size, engine, "A text, 1 + 2 = 3", 17, 3, &error));
  WORKS(dormouse_engine_detokenize(buffer, sizeof buffer, &size, engine, tokens, size, 0, &error));
  WORKS(dormouse_engine_render_messages(buffer, sizeof buffer, &size, engine, messages, &error));
  WORKS(dormouse_engine_tokenize_messages(tokens, 2048, &size, engine, messages, &error));
}

static void sessions(void) {
  dormouse_session *session = NULL, *copy = NULL;
  static float logits[1 << 18];
  int32_t tokens[] = {5, 6, 7};
  size_t size;
  sprintf(path, "%s/session", folder);
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_chat(session, messages, "{\"max_tokens\":5,\"logprobs\":20,\"top_p\":0.9,\"temperature\":1}",
                              on_event, NULL, &error));
  FAILS(INVALID, dormouse_session_chat(session, messages, configuration, on_event, NULL, &error));
  WORKS(dormouse_session_generate(session, tokens, 3, "{\"max_tokens\":5}", on_event, NULL, &error));
  WORKS(dormouse_session_prefill(session, tokens, 3, &error));
  WORKS(dormouse_session_prefill_logits(logits, sizeof logits / sizeof *logits, &size, session, tokens, 3, &error));
  WORKS(dormouse_session_logits(logits, sizeof logits / sizeof *logits, &size, session, &error));
  WORKS(dormouse_session_fork(&copy, session, &error));
  WORKS(dormouse_session_save(session, path, &error));
  WORKS(dormouse_session_restore(copy, path, &error));
  WORKS(dormouse_session_truncate(copy, 2, &error));
  dormouse_session_free(session);
  dormouse_session_free(copy);
}

static void close_model(void) { dormouse_engine_free(engine); }

static void media(void) {
  for (int32_t kind = DORMOUSE_ATTACHMENT_IMAGE; kind <= DORMOUSE_ATTACHMENT_AUDIO; kind++) {
    dormouse_attachment *attachment = NULL;
    dormouse_status status = dormouse_attachment_create_from_file(&attachment, kind, media_file, &error);
    CHECK((status == DORMOUSE_OK) == (attachment != NULL));
    if (attachment != NULL && kind == DORMOUSE_ATTACHMENT_AUDIO) {
      dormouse_transcriber *transcriber = NULL;
      WORKS(dormouse_transcriber_open(&transcriber, speech_model, NULL, &error));
      status = dormouse_transcriber_run(transcriber, attachment, NULL, on_segment, NULL, &error);
      dormouse_transcriber_free(transcriber);
    }
    dormouse_attachment_free(attachment);
  }
}

static void open_seeing(void) { WORKS(dormouse_engine_open(&engine, seeing_model, NULL, &error)); }

/* A part of each kind, from arrays. */
static void seeing(void) {
  static uint8_t pixels[4 * 32 * 32 * 3];
  static float samples[16000];
  dormouse_attachment *given[3] = {NULL, NULL, NULL}, *bytes = NULL;
  const dormouse_attachment *attachments[3];
  dormouse_session *session = NULL;
  int32_t tokens[4096];
  size_t size;
  const char *chat =
      "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"attachment:0\"}},"
      "{\"type\":\"video_url\",\"video_url\":{\"url\":\"attachment:1\"}},"
      "{\"type\":\"input_audio\",\"input_audio\":{\"url\":\"attachment:2\"}}]}]";
  WORKS(dormouse_attachment_create_image(&given[0], pixels, 32, 32, &error));
  WORKS(dormouse_attachment_create_video(&given[1], pixels, 4, 32, 32, NULL, 2, &error));
  WORKS(dormouse_attachment_create_audio(&given[2], samples, 8000, 2, 22050, &error));
  WORKS(dormouse_attachment_append_audio(given[2], samples, 100, &error));
  CHECK(dormouse_attachment_create_from_bytes(&bytes, DORMOUSE_ATTACHMENT_IMAGE, pixels, 64, &error) != DORMOUSE_OK);
  memcpy(attachments, given, sizeof given);
  WORKS(dormouse_engine_tokenize_messages_with_attachments(tokens, 4096, &size, engine, chat, attachments, 3, &error));
  WORKS(dormouse_session_open(&session, engine, NULL, &error));
  WORKS(dormouse_session_chat_with_attachments(session, chat, attachments, 3, "{\"max_tokens\":3}", on_event, NULL, &error));
  dormouse_session_free(session);
  for (int index = 0; index < 3; index++) dormouse_attachment_free(given[index]);
}

/* A language as deep as one may be; it may be refused. */
static void constrain(const char *config) {
  static const int32_t letter[] = { 'a' };
  static uint8_t bytes[256];
  static size_t offsets[257];
  static uint32_t mask[8];
  dormouse_constraint *constraint = NULL, *copy = NULL;
  size_t count;
  int32_t tokens[8];
  for (int index = 0; index < 256; index++) bytes[index] = (uint8_t)index, offsets[index + 1] = (size_t)index + 1;
  if (dormouse_constraint_create_for_vocabulary(&constraint, bytes, offsets, 256, NULL, 0, config, &error) < 0) return;
  for (int index = 0; index < 20; index++) {
    if (dormouse_constraint_allowed(mask, 8, &count, constraint, &error) < 0) break;
    if (dormouse_constraint_accept(constraint, letter, 1, &error) < 0) break;
  }
  dormouse_constraint_forced(tokens, 8, &count, constraint, &error);
  WORKS(dormouse_constraint_clone(&copy, constraint, &error));
  dormouse_constraint_free(copy);
  dormouse_constraint_free(constraint);
}

static void constraints(void) {
  static char text[65536];
  size_t end = (size_t)sprintf(text, "{\"regex\":\"");
  for (int index = 0; index < 99; index++) end += (size_t)sprintf(text + end, "(a?b|");
  for (int index = 0; index < 99; index++) end += (size_t)sprintf(text + end, ")*");
  sprintf(text + end, "\"}");
  constrain(text);
  end = (size_t)sprintf(text, "{\"regex\":\"");
  for (int index = 0; index < 5000; index++) end += (size_t)sprintf(text + end, "a?b?");
  sprintf(text + end, "\"}");
  constrain(text);
  end = (size_t)sprintf(text, "{\"grammar\":\"root ::= ");
  for (int index = 0; index < 99; index++) end += (size_t)sprintf(text + end, "(root | ");
  end += (size_t)sprintf(text + end, "[a]");
  for (int index = 0; index < 99; index++) end += (size_t)sprintf(text + end, ")*");
  sprintf(text + end, "\"}");
  constrain(text);
  end = (size_t)sprintf(text, "{\"json_schema\":");
  for (int index = 0; index < 25; index++) end += (size_t)sprintf(text + end, "{\"anyOf\":[{\"not\":");
  end += (size_t)sprintf(text + end, "{\"const\":1}");
  for (int index = 0; index < 25; index++) end += (size_t)sprintf(text + end, "}]}");
  sprintf(text + end, "}");
  constrain(text);
  end = (size_t)sprintf(text, "{\"json_schema\":{\"$ref\":\"#/$defs/0\",\"$defs\":{");
  for (int index = 0; index < 600; index++)
    end += (size_t)sprintf(text + end, "\"%d\":{\"allOf\":[{\"$ref\":\"#/$defs/%d\"}]},", index, index + 1);
  sprintf(text + end, "\"600\":{}}}}");
  constrain(text);
}

static void parts(void) {
  static float values[4096];
  dormouse_router *router = NULL;
  dormouse_latent_cache *cache = NULL;
  dormouse_packed_matrix *matrix = NULL;
  int32_t ids[8];
  double bytes, operations;
  char deep[1024], buffer[4096];
  size_t size;
  nest(deep, "{\"n_routed_experts\":4,\"num_experts_per_tok\":1,\"routed_scaling_factor\":1,\"deep\":", 60, "}");
  WORKS(dormouse_router_create(&router, deep, &error));
  WORKS(dormouse_router_route(ids, values, router, values, NULL, 2, &error));
  dormouse_router_free(router);
  nest(deep, "{\"kv_lora_rank\":8,\"qk_rope_head_dim\":4,\"capacity\":8,\"deep\":", 60, "}");
  FAILS(INVALID, dormouse_latent_cache_create(&cache, deep, &error));
  WORKS(dormouse_latent_cache_create(&cache, "{\"kv_lora_rank\":8,\"qk_rope_head_dim\":4,\"capacity\":8}", &error));
  WORKS(dormouse_latent_cache_append(cache, values, 2, &error));
  WORKS(dormouse_latent_cache_attend(values, cache, values, 1, 0, 1, &error));
  dormouse_latent_cache_free(cache);
  WORKS(dormouse_packed_matrix_create(&matrix, "{\"type\":\"int4\",\"rows\":16,\"columns\":64}", values, DORMOUSE_TYPE_F32,
                                      NULL, 0, 0, 0, &error));
  WORKS(dormouse_packed_matrix_multiply(values, matrix, values + 2048, 3, &error));
  dormouse_packed_matrix_free(matrix);
  WORKS(dormouse_kernels_multiply(values, values + 1024, DORMOUSE_TYPE_F32, NULL, 0, 0, 0, 16, 32, values + 2048, 2, &error));
  WORKS(dormouse_kernels_list(buffer, sizeof buffer, &size, &error));
  WORKS(dormouse_machine_measure(&bytes, &operations, 2, &error));
}

/* What comes of it does not matter, but that it comes back. */
static void hostile_model(void) {
  dormouse_engine *opened = NULL;
  dormouse_engine_options options = DORMOUSE_ENGINE_OPTIONS_INIT;
  static int32_t tokens[1 << 16];
  size_t size;
  dormouse_status status;
  char text[512];
  memset(text, 'a', sizeof text);
  options.thread_count = 1;
  options.flags = DORMOUSE_ENGINE_WITHOUT_WEIGHTS;
  status = dormouse_engine_open(&opened, hostile, &options, &error);
  fprintf(stdout, "%s: %s %.200s\n", strrchr(hostile, '/'), dormouse_status_name(status), status ? error.message : "");
  fflush(stdout);
  if (status != DORMOUSE_OK) return;
  status = dormouse_engine_tokenize(tokens, 1 << 16, &size, opened, text, sizeof text, 0, &error);
  fprintf(stdout, "  tokenize: %s %.200s\n", dormouse_status_name(status), status ? error.message : "");
  status = dormouse_engine_tokenize_messages(tokens, 1 << 16, &size, opened, messages, &error);
  fprintf(stdout, "  messages: %s %.200s\n", dormouse_status_name(status), status ? error.message : "");
  dormouse_engine_free(opened);
  fflush(stdout);
}

int main(int argc, char **argv) {
  int index = 5;
  if (argc < 6) return 2;
  model = argv[1];
  speech_model = argv[2];
  seeing_model = argv[3];
  folder = argv[4];
  nest(messages, "{\"messages\":[{\"role\":\"user\",\"content\":\"What is 7 plus 5?\"}],\"template_variables\":{\"deep\":", 58, "}}");
  nest(configuration, "{\"stop\":", 60, "}");
  on_small_stack(parts);
  on_small_stack(constraints);
  on_small_stack(open_model);
  on_small_stack(texts);
  on_small_stack(sessions);
  on_small_stack(close_model);
  on_small_stack(open_seeing);
  on_small_stack(seeing);
  on_small_stack(close_model);
  for (; index < argc && strcmp(argv[index], "--") != 0; index++) {
    media_file = argv[index];
    on_small_stack(media);
  }
  for (index++; index < argc; index++) {
    hostile = argv[index];
    on_small_stack(hostile_model);
  }
  return failures != 0;
}
