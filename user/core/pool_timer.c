/*
 * Timers of rows: a heap of four branches by second, with a table of each row's place, so that a
 * renewal moves one entry. Callers: pool_apply, and whoever was told to look again later.
 */
#include "core/pool_priv.h"

#define BRANCHES 4

static uint32_t parent(uint32_t at)
{
	return (at - 2) / BRANCHES + 1;
}

/* 0: there is none. */
static uint32_t earliest_below(const struct pool *p, uint32_t at)
{
	uint64_t first = (uint64_t)(at - 1) * BRANCHES + 2, last = first + BRANCHES - 1;
	uint32_t best = first <= p->n_timers ? (uint32_t)first : 0;

	for (uint64_t i = first + 1; i <= last && i <= p->n_timers; i++)
		if (p->heap[i].at < p->heap[best].at)
			best = (uint32_t)i;
	return best;
}

static void place(struct pool *p, uint32_t at, struct timer t)
{
	p->heap[at] = t;
	p->heap_place[t.row] = at;
}

static void up(struct pool *p, uint32_t at, struct timer t)
{
	for (; at > 1 && p->heap[parent(at)].at > t.at; at = parent(at))
		place(p, at, p->heap[parent(at)]);
	place(p, at, t);
}

static void down(struct pool *p, uint32_t at, struct timer t)
{
	uint32_t child;

	while ((child = earliest_below(p, at)) && p->heap[child].at < t.at) {
		place(p, at, p->heap[child]);
		at = child;
	}
	place(p, at, t);
}

static void move(struct pool *p, uint32_t at, struct timer t)
{
	if (at > 1 && p->heap[parent(at)].at > t.at)
		up(p, at, t);
	else
		down(p, at, t);
}

void pool_timer_set(struct pool *p, uint32_t id, uint32_t at)
{
	uint32_t here = p->heap_place[id];

	if (at) {
		move(p, here ? here : ++p->n_timers, (struct timer){ at, id });
		return;
	}
	if (!here)
		return;
	p->heap_place[id] = 0;
	if (here < p->n_timers--)
		move(p, here, p->heap[p->n_timers + 1]);
}

void pool_set_timer(struct pool *p, uint32_t addr, uint32_t at_sec)
{
	uint32_t id = pool_row_of(p, addr);

	if (!id)
		return;
	p->rows[id].l.addr = addr;
	pool_timer_set(p, id, at_sec);
}

const struct lease *pool_due(const struct pool *p, wall_t now)
{
	return p->n_timers && p->heap[1].at <= now.sec ? &p->rows[p->heap[1].row].l : NULL;
}

uint32_t pool_next_due(const struct pool *p)
{
	return p->n_timers ? p->heap[1].at : 0;
}
