/*
 * twinbench: which client holds which address, to find one address that two clients were given.
 * An open hash of at most one entry per address; entries are never removed, their holder is.
 */
#include <stdlib.h>
#include <string.h>
#include "bench.h"

struct bench_held {
	uint32_t mask;
	struct slot {
		uint32_t addr, n, expiry;
	} slot[];
};

struct bench_held *bench_held_new(uint32_t clients)
{
	uint64_t size = 1024;
	struct bench_held *h;

	while (size < 8ULL * clients)
		size *= 2;
	h = calloc(1, sizeof(*h) + size * sizeof(struct slot));
	if (h)
		h->mask = (uint32_t)(size - 1);
	return h;
}

void bench_held_free(struct bench_held *h)
{
	free(h);
}

/* The entry of an address, or the empty one where it belongs; NULL when the table is full. */
static struct slot *find(struct bench_held *h, uint32_t addr)
{
	uint32_t i = addr * 2654435761u;

	for (uint32_t tried = 0; tried <= h->mask; tried++, i++) {
		struct slot *s = &h->slot[i & h->mask];

		if (s->addr == addr || !s->addr)
			return s;
	}
	return NULL;
}

uint32_t bench_held_take(struct bench_held *h, uint32_t addr, uint32_t n, uint32_t expiry,
			 uint32_t now)
{
	struct slot *s = find(h, addr);
	uint32_t other = BENCH_NONE;

	if (!s)
		return BENCH_NONE;
	if (s->addr == addr && s->n != n && s->n != BENCH_NONE && s->expiry > now)
		other = s->n;
	*s = (struct slot){ addr, n, expiry };
	return other;
}

void bench_held_drop(struct bench_held *h, uint32_t addr, uint32_t n)
{
	struct slot *s = find(h, addr);

	if (s && s->addr == addr && s->n == n)
		s->n = BENCH_NONE;
}

uint32_t bench_held_owner(struct bench_held *h, uint32_t addr)
{
	const struct slot *s = find(h, addr);

	return s && s->addr == addr ? s->n : BENCH_NONE;
}
