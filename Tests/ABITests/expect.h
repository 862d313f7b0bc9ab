/* Expectations of the programs that exercise the library: what fails is told, and the rest goes on, so that one run
   shows everything. */
#ifndef EXPECT_H
#define EXPECT_H

#include <dormouse.h>
#include <stdio.h>

static int failures = 0;
static dormouse_error error = DORMOUSE_ERROR_INIT;

/* One expectation; the rest goes on, so that one run shows everything. */
#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      failures++;                                                                    \
      fprintf(stderr, "line %d: %s (last error: %s)\n", __LINE__, #condition, error.message); \
    }                                                                                \
  } while (0)

/* A call that fails with this status, in the error too, and with a sentence. */
#define FAILS(expected, call)                                    \
  do {                                                           \
    dormouse_error_init(&error);                                 \
    CHECK((call) == (expected));                                 \
    CHECK(error.status == (expected) && error.message[0] != 0);  \
  } while (0)

#define WORKS(call) CHECK((call) == DORMOUSE_OK)

enum { INVALID = DORMOUSE_ERROR_INVALID_ARGUMENT, SHORT = DORMOUSE_ERROR_BUFFER_TOO_SMALL };

#endif
