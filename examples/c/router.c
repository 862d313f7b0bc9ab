/* The MoE router alone: which experts two tokens go to, and with what weight. */
#include <dormouse.h>
#include <stdio.h>

enum { TOKENS = 2, EXPERTS = 8, CHOSEN = 2 };

int main(void) {
  /* As DeepSeek-V3 has it: sigmoid scores, a bias that counts in the choice alone, 2 of 4 groups. */
  static const char config[] =
      "{\"n_routed_experts\": 8, \"num_experts_per_tok\": 2, \"scoring_func\": \"sigmoid\","
      " \"topk_method\": \"noaux_tc\", \"n_group\": 4, \"topk_group\": 2,"
      " \"norm_topk_prob\": true, \"routed_scaling_factor\": 2.5}";
  static const float logits[TOKENS][EXPERTS] = {
    { 0.3f, -1.2f, 2.1f, 0.0f, -0.4f, 1.7f, -2.0f, 0.9f },
    { -0.8f, 1.1f, 0.2f, -0.3f, 2.4f, -1.5f, 0.6f, 0.1f },
  };
  static const float bias[EXPERTS] = { 0, 0, -0.1f, 0, 0, 0, 0.2f, 0 };
  dormouse_error error = DORMOUSE_ERROR_INIT;
  dormouse_router *router = NULL;
  int32_t ids[TOKENS][CHOSEN];
  float weights[TOKENS][CHOSEN];
  if (dormouse_router_create(&router, config, &error) < 0 ||
      dormouse_router_route(ids[0], weights[0], router, logits[0], bias, TOKENS, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    dormouse_router_free(router);
    return 1;
  }
  for (int token = 0; token < TOKENS; token++) {
    printf("token %d:", token);
    for (int rank = 0; rank < CHOSEN; rank++) printf("  expert %d x %.4f", ids[token][rank], weights[token][rank]);
    putchar('\n');
  }
  dormouse_router_free(router);
  return 0;
}
