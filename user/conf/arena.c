/*
 * Memory of one configuration, for the other files of conf/ only.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "conf/arena.h"

#define ALIGN sizeof(max_align_t)
#define CHUNK 16384

struct arena_chunk {
	struct arena_chunk *next;
	max_align_t data[];
};

static _Noreturn void give_up(struct arena *a)
{
	longjmp(*a->no_memory, 1);
}

static void *new_chunk(struct arena *a, size_t size)
{
	struct arena_chunk *c;

	if (size > SIZE_MAX / 2)
		give_up(a);
	c = calloc(1, sizeof(*c) + size);
	if (!c)
		give_up(a);
	c->next = a->chunks;
	a->chunks = c;
	return c->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	if (size > CHUNK / 4)
		return new_chunk(a, size);
	size = (size + ALIGN) / ALIGN * ALIGN; /* never 0: an empty array has a place too */
	if (size > a->left) {
		a->next = new_chunk(a, CHUNK);
		a->left = CHUNK;
	}
	p = a->next;
	a->next += size;
	a->left -= size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		give_up(a);
	return arena_alloc(a, total);
}

char *arena_text(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	memcpy(p, s, len);
	return p;
}

void arena_done(struct arena *a)
{
	struct arena_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	a->chunks = NULL;
	a->left = 0;
}
