// Counts allocations that fail. The linker is told to send all calls of malloc and its kin in our libraries here
// (--wrap), those of json-c among them, which goes on without a word where some of its own fail.
#define _GNU_SOURCE
#include "host.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t refused;

uint64_t host_refused_allocations(void) { return refused; }

// Weak: a program that is linked without --wrap has none, and calls none.
__attribute__((weak)) void *__real_malloc(size_t size);
__attribute__((weak)) void *__real_calloc(size_t count, size_t size);
__attribute__((weak)) void *__real_realloc(void *memory, size_t size);
__attribute__((weak)) char *__real_strdup(const char *text);
__attribute__((weak)) void __real_free(void *memory);
__attribute__((weak)) locale_t __real_newlocale(int mask, const char *name, locale_t base);
__attribute__((weak)) locale_t __real_duplocale(locale_t locale);

static inline void *counted(void *memory) {
  if (__builtin_expect(memory == NULL, 0)) refused++;
  return memory;
}

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size) { return counted(__real_calloc(count, size)); }

// With a size of 0 it frees, and has nothing to give.
void *__wrap_realloc(void *memory, size_t size) {
  void *moved = __real_realloc(memory, size);
  return size == 0 ? moved : counted(moved);
}

// json-c 0.16 takes what strdup gives as it comes, NULL too, and would fall over it. What stands in for it is as good as
// any other text: the count says that nothing counts. It is told from memory when it is freed.
static char no_text[1];

char *__wrap_strdup(const char *text) {
  char *copy = counted(__real_strdup(text));
  return copy ? copy : no_text;
}

void __wrap_free(void *memory) {
  if (memory != no_text) __real_free(memory);
}

// The parser asks for these with every document; a NULL is no document there, and no error.
locale_t __wrap_newlocale(int mask, const char *name, locale_t base) {
  return counted(__real_newlocale(mask, name, base));
}

locale_t __wrap_duplocale(locale_t locale) { return counted(__real_duplocale(locale)); }
