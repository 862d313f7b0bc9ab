/* The latent cache alone: rows of one layer, and the absorbed attention of a token with two heads over them. */
#include <dormouse.h>
#include <stdio.h>

enum { RANK = 4, ROPE = 2, WIDTH = RANK + ROPE, ROWS = 3, HEADS = 2 };

int main(void) {
  static const char config[] =
      "{\"kv_lora_rank\": 4, \"qk_rope_head_dim\": 2, \"capacity\": 16, \"type\": \"bf16\"}";
  static const float rows[ROWS][WIDTH] = {
    { 1, 0, 0, 0, 0.5f, 0 },
    { 0, 1, 0, 0, 0, 0.5f },
    { 0, 0, 1, 0, -0.5f, 0 },
  };
  static const float query[HEADS][WIDTH] = {
    { 4, 0, 0, 0, 0, 0 }, /* looks for the first row */
    { 0, 0, 0, 0, 0, 8 }, /* looks for a rotated key like the second row's */
  };
  dormouse_error error = DORMOUSE_ERROR_INIT;
  dormouse_latent_cache *cache = NULL;
  float out[HEADS][RANK];
  size_t row_count = 0, byte_count = 0;
  if (dormouse_latent_cache_create(&cache, config, &error) < 0 ||
      dormouse_latent_cache_append(cache, rows[0], ROWS, &error) < 0 ||
      dormouse_latent_cache_attend(out[0], cache, query[0], HEADS, 0, 1.0f, &error) < 0 ||
      dormouse_latent_cache_size(&row_count, &byte_count, cache, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    dormouse_latent_cache_free(cache);
    return 1;
  }
  printf("%zu rows, %zu bytes\n", row_count, byte_count);
  for (int head = 0; head < HEADS; head++) {
    printf("head %d:", head);
    for (int column = 0; column < RANK; column++) printf(" %.4f", out[head][column]);
    putchar('\n');
  }
  dormouse_latent_cache_free(cache);
  return 0;
}
