/*
 * twinbench: which client holds which address, to find one address that two clients were given,
 * whichever server did it. An open hash; a client has one address at most and gives it back before
 * it takes another, so there are never more entries than clients and the table never fills up,
 * however many addresses are released, declined and left to expire in a long run.
 */
#include <stdlib.h>
#include "bench.h"

struct bench_held {
	uint32_t mask;
	struct slot {
		uint32_t addr, n, expiry; /* addr 0: empty */
	} slot[];
};

struct bench_held *bench_held_new(uint32_t clients)
{
	uint64_t size = 1024;
	struct bench_held *h;

	while (size < 2ULL * clients)
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

static uint32_t home(const struct bench_held *h, uint32_t addr)
{
	return (addr * 2654435761u ^ addr >> 15) & h->mask;
}

/* The entry of an address, or the empty one where it belongs. */
static struct slot *find(struct bench_held *h, uint32_t addr)
{
	uint32_t i = home(h, addr);

	while (h->slot[i].addr && h->slot[i].addr != addr)
		i = (i + 1) & h->mask;
	return &h->slot[i];
}

uint32_t bench_held_take(struct bench_held *h, uint32_t addr, uint32_t n, uint32_t expiry,
			 uint32_t now)
{
	struct slot *s = find(h, addr);
	uint32_t other = BENCH_NONE;

	if (!addr)
		return BENCH_NONE;
	if (s->addr && s->n != n && s->expiry > now)
		other = s->n;
	*s = (struct slot){ addr, n, expiry };
	return other;
}

/* Those behind a hole that do not lie between it and their home would not be found: they move up.
 */
static void close_hole(struct bench_held *h, uint32_t hole)
{
	for (uint32_t i = (hole + 1) & h->mask; h->slot[i].addr; i = (i + 1) & h->mask) {
		uint32_t from_home = (i - home(h, h->slot[i].addr)) & h->mask;

		if (from_home < ((i - hole) & h->mask))
			continue;
		h->slot[hole] = h->slot[i];
		hole = i;
	}
	h->slot[hole].addr = 0;
}

void bench_held_drop(struct bench_held *h, uint32_t addr, uint32_t n)
{
	struct slot *s = find(h, addr);

	if (addr && s->addr && s->n == n)
		close_hole(h, (uint32_t)(s - h->slot));
}

uint32_t bench_held_owner(struct bench_held *h, uint32_t addr)
{
	const struct slot *s = find(h, addr);

	return addr && s->addr ? s->n : BENCH_NONE;
}
