/*
 * A step of the wall clock that was found right: every time in the table moves along, so that what
 * was promised lasts as long as it was told, no shorter and no longer (decision A20).
 *
 * Callers: node_clock, which also sees to it that the store follows.
 */
#include "core/pool_priv.h"

static void shift_lease(struct lease *l, int64_t by_sec)
{
	l->starts = sec_shift(l->starts, by_sec);
	l->expires = sec_shift(l->expires, by_sec);
	l->cltt = sec_shift(l->cltt, by_sec);
	l->stos = sec_shift(l->stos, by_sec);
	l->sent_pet = sec_shift(l->sent_pet, by_sec);
	l->acked_pet = sec_shift(l->acked_pet, by_sec);
	l->rcvd_pet = sec_shift(l->rcvd_pet, by_sec);
}

void pool_clock_moved(struct pool *p, int64_t by_sec)
{
	for (uint32_t w = 0; w <= p->n_rows / 64; w++) /* unused rows are not even read */
		for (uint64_t word = p->records[w]; word; word &= word - 1)
			shift_lease(&p->rows[w * 64 + (uint32_t)__builtin_ctzll(word)].l, by_sec);
	for (uint32_t i = 0; i < p->n_runs; i++)
		shift_lease(&p->rows[p->runs[i]].l, by_sec);
	for (uint32_t i = 1; i <= p->n_timers; i++) /* all by as much: the heap stays one */
		p->heap[i].at = sec_shift(p->heap[i].at, by_sec);
}
