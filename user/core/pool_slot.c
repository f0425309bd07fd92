/*
 * The first row of each client in each scope, by a hash of both: a table of (tag, row), sorted by
 * tag with gaps between, so that a look-up ends at the first larger tag and touches a row only when
 * all 32 bits of the tag agree. Nothing wraps: what is pushed behind the last home stands there.
 *
 * The table grows with the clients, not with the addresses: a scope of millions costs nothing
 * before it is used, and a small table stays in the processor's caches.
 *
 * Caller: pool_client. (Linear probing in order of the hash: Amble, Knuth: "Ordered hash tables".)
 */
#include "core/pool_priv.h"

static uint32_t home(uint32_t tag, uint32_t n_homes)
{
	return (uint32_t)((uint64_t)tag * n_homes >> 32); /* keeps the order */
}

uint32_t pool_slot_first(const struct pool *p, uint32_t tag)
{
	uint32_t i = home(tag, p->n_homes);

	while (p->slots[i].row && p->slots[i].tag < tag)
		i++;
	return i;
}

void pool_slot_expect(const struct pool *p, uint32_t tag)
{
	__builtin_prefetch(&p->slots[home(tag, p->n_homes)]);
}

/* --- growth ----------------------------------------------------------------------------------- */

/* Where the next one in order stands: at its home, or right behind the one before. */
static uint32_t place_of(const struct slot *s, uint32_t n_homes, uint32_t behind)
{
	uint32_t at = home(s->tag, n_homes);

	return at > behind ? at : behind;
}

/* How far any of them will stand from its number, which is no nearer than it does now: so they can
 * be packed there, and spread again from the first on, without overtaking each other. */
static uint32_t most_ahead(const struct pool *p, uint32_t n_homes)
{
	uint32_t most = 0, behind = 0, n = 0;

	for (uint32_t i = 0; n < p->n_clients; i++) {
		if (!p->slots[i].row)
			continue;
		behind = place_of(&p->slots[i], n_homes, behind) + 1;
		most = behind - 1 - n > most ? behind - 1 - n : most;
		n++;
	}
	return most;
}

/* One behind the last slot in use. */
static uint32_t end_of(const struct pool *p)
{
	uint32_t i = p->n_homes;

	while (p->slots[i].row)
		i++;
	return i;
}

/* All of them side by side, the last one at @end - 1. */
static void pack(struct pool *p, uint32_t end)
{
	for (uint32_t i = end_of(p); i--;) {
		struct slot s = p->slots[i];

		if (!s.row)
			continue;
		p->slots[i] = (struct slot){ 0 };
		p->slots[--end] = s;
	}
}

static void spread(struct pool *p, uint32_t from, uint32_t n_homes)
{
	uint32_t behind = 0;

	for (uint32_t i = from; i < from + p->n_clients; i++) {
		struct slot s = p->slots[i];
		uint32_t at = place_of(&s, n_homes, behind);

		p->slots[i] = (struct slot){ 0 };
		p->slots[at] = s;
		behind = at + 1;
	}
}

/* In place and in order: about 10 ns for each client, every time that their number doubles. */
static void grow(struct pool *p)
{
	uint32_t n = p->n_homes < p->max_homes / 2 ? 2 * p->n_homes : p->max_homes;
	uint32_t from = most_ahead(p, n);

	pack(p, from + p->n_clients);
	spread(p, from, n);
	p->n_homes = n;
}

/* --- change ----------------------------------------------------------------------------------- */

void pool_slot_add(struct pool *p, uint32_t tag, uint32_t row)
{
	struct slot s = { tag, row };

	if (p->n_clients >= p->n_homes / 4 * 3 && p->n_homes < p->max_homes)
		grow(p);
	p->n_clients++;
	for (uint32_t i = pool_slot_first(p, tag); s.row; i++) {
		struct slot was = p->slots[i];

		p->slots[i] = s;
		s = was;
	}
}

void pool_slot_drop(struct pool *p, uint32_t i)
{
	for (; p->slots[i + 1].row && home(p->slots[i + 1].tag, p->n_homes) <= i; i++)
		p->slots[i] = p->slots[i + 1];
	p->slots[i] = (struct slot){ 0 };
	p->n_clients--;
}
