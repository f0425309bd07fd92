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
static void resize(struct pool *p, uint32_t n_homes)
{
	uint32_t from = most_ahead(p, n_homes);

	pack(p, from + p->n_clients);
	spread(p, from, n_homes);
	p->n_homes = n_homes;
}

/* As many homes as it takes before one more comes to @n_clients. */
static uint32_t homes_for(const struct pool *p, uint32_t n_clients)
{
	uint32_t n = p->n_homes;

	while (n_clients >= n / 4 * 3 && n < p->max_homes)
		n = n < p->max_homes / 2 ? 2 * n : p->max_homes;
	return n;
}

/* --- change ----------------------------------------------------------------------------------- */

void pool_slot_add(struct pool *p, uint32_t tag, uint32_t row)
{
	struct slot s = { tag, row };
	uint32_t n_homes = homes_for(p, p->n_clients);

	if (n_homes > p->n_homes)
		resize(p, n_homes);
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

/* --- all at once ------------------------------------------------------------------------------ */

#define FEW 24
#define DIGITS 256

/* By tag, and by row of those with one tag: all are different. */
static uint64_t order(struct slot s)
{
	return (uint64_t)s.tag << 32 | s.row;
}

static unsigned digit(struct slot s, unsigned shift)
{
	return order(s) >> shift & (DIGITS - 1);
}

static void sort_few(struct slot *s, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct slot moved = s[i];
		uint32_t at = i;

		for (; at && order(s[at - 1]) > order(moved); at--)
			s[at] = s[at - 1];
		s[at] = moved;
	}
}

/* Each to its place by one digit, in place: whoever stands there goes on to its own (McIlroy,
 * Bostic, McIlroy: "Engineering radix sort"). @ret_end: where each digit ends. */
static void deal(struct slot *s, uint32_t n, unsigned shift, uint32_t ret_end[DIGITS])
{
	uint32_t next[DIGITS] = { 0 }, at = 0;

	for (uint32_t i = 0; i < n; i++)
		next[digit(s[i], shift)]++;
	for (unsigned d = 0; d < DIGITS; d++) {
		ret_end[d] = at + next[d];
		next[d] = at;
		at = ret_end[d];
	}
	for (unsigned d = 0; d < DIGITS; d++)
		while (next[d] < ret_end[d]) {
			struct slot moved = s[next[d]], was;
			unsigned to;

			for (; (to = digit(moved, shift)) != d; moved = was) {
				was = s[next[to]];
				s[next[to]++] = moved;
			}
			s[next[d]++] = moved;
		}
}

/* From the highest digit down; as deep as there are digits, at the most. */
static void sort(struct slot *s, uint32_t n, unsigned shift)
{
	uint32_t end[DIGITS], from = 0;

	if (n <= FEW) {
		sort_few(s, n);
		return;
	}
	deal(s, n, shift, end);
	for (unsigned d = 0; d < DIGITS && shift; from = end[d++])
		sort(s + from, end[d] - from, shift - 8);
}

void pool_slot_append(struct pool *p, uint32_t tag, uint32_t row)
{
	p->slots[p->n_clients++] = (struct slot){ tag, row };
}

void pool_slot_sort(struct pool *p)
{
	sort(p->slots, p->n_clients, 56);
}

void pool_slot_spread(struct pool *p)
{
	resize(p, homes_for(p, p->n_clients ? p->n_clients - 1 : 0));
}
