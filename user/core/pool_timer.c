/*
 * Timers of rows: a binary heap by second, each row knowing its place, so that a renewal moves
 * one entry. Callers: pool_apply, and whoever was told to look again later.
 */
#include "core/pool_priv.h"

static void place(struct pool *p, uint32_t at, struct timer t)
{
	p->heap[at] = t;
	p->rows[t.row].timer = at;
}

static void up(struct pool *p, uint32_t at, struct timer t)
{
	for (; at > 1 && p->heap[at / 2].at > t.at; at /= 2)
		place(p, at, p->heap[at / 2]);
	place(p, at, t);
}

static void down(struct pool *p, uint32_t at, struct timer t)
{
	uint32_t child;

	for (; (child = at * 2) <= p->n_timers; at = child) {
		if (child < p->n_timers && p->heap[child + 1].at < p->heap[child].at)
			child++;
		if (p->heap[child].at >= t.at)
			break;
		place(p, at, p->heap[child]);
	}
	place(p, at, t);
}

static void move(struct pool *p, uint32_t at, struct timer t)
{
	if (at > 1 && p->heap[at / 2].at > t.at)
		up(p, at, t);
	else
		down(p, at, t);
}

void pool_timer_set(struct pool *p, uint32_t id, uint32_t at)
{
	uint32_t here = p->rows[id].timer;

	if (at) {
		move(p, here ? here : ++p->n_timers, (struct timer){ at, id });
		return;
	}
	if (!here)
		return;
	p->rows[id].timer = 0;
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
