#pragma once
/*
 * Memory of one configuration: many small pieces, freed at once. Running out of memory jumps to
 * where the owner said, so that no caller has to look for NULL.
 */
#include <setjmp.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	char *next;
	size_t left;
	jmp_buf *no_memory; /* taken when malloc fails */
};

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for everything; never NULL */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_text(struct arena *a, const char *s, size_t len); /* a copy, terminated */
void arena_done(struct arena *a);
