/*
 * twinbench: which client does what next in a mix. All clients are in one array, first those
 * without a lease, then those with one, then those that are busy; a client changes its class by
 * trading places with the one at the border, so that drawing one costs the same for any number.
 */
#include <stdlib.h>
#include "bench.h"

struct bench_pick {
	uint32_t *order, *at; /* clients in the order of their classes, and where each one is */
	uint32_t end[CLASS_BUSY + 1];
};

struct bench_pick *bench_pick_new(uint32_t clients)
{
	struct bench_pick *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->order = calloc(clients, sizeof(*p->order));
	p->at = calloc(clients, sizeof(*p->at));
	if (!p->order || !p->at) {
		bench_pick_free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < clients; i++)
		p->order[i] = p->at[i] = i;
	for (unsigned c = CLASS_NEW; c <= CLASS_BUSY; c++)
		p->end[c] = clients;
	return p;
}

void bench_pick_free(struct bench_pick *p)
{
	if (!p)
		return;
	free(p->order);
	free(p->at);
	free(p);
}

static void trade(struct bench_pick *p, uint32_t n, uint32_t place)
{
	uint32_t other = p->order[place];

	p->order[p->at[n]] = other;
	p->at[other] = p->at[n];
	p->order[place] = n;
	p->at[n] = place;
}

void bench_pick_move(struct bench_pick *p, uint32_t n, enum bench_class to)
{
	unsigned c = CLASS_NEW;

	while (p->at[n] >= p->end[c])
		c++;
	for (; c < to; c++)
		trade(p, n, --p->end[c]);
	for (; c > to; c--)
		trade(p, n, p->end[c - 1]++);
}

/* The upper bits of a product are as even as the random number, without a division. */
static uint32_t below(uint32_t limit, uint32_t random)
{
	return (uint32_t)((uint64_t)random * limit >> 32);
}

uint32_t bench_pick_any(const struct bench_pick *p, enum bench_class from, uint32_t random)
{
	uint32_t first = from == CLASS_NEW ? 0 : p->end[from - 1];

	if (first == p->end[from])
		return BENCH_NONE;
	return p->order[first + below(p->end[from] - first, random)];
}

enum bench_phase bench_pick_kind(const uint32_t weight[BENCH_KINDS], uint32_t random)
{
	uint32_t sum = 0, drawn;
	unsigned kind = 0;

	for (unsigned i = 0; i < BENCH_KINDS; i++)
		sum += weight[i];
	for (drawn = below(sum, random); drawn >= weight[kind]; kind++)
		drawn -= weight[kind];
	return (enum bench_phase)kind;
}
