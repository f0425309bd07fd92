/*
 * Free addresses of each range: never-used ones first, in the order of addresses, then the one
 * that has been free longest. Two lists per range, one for each server's share. Addresses that
 * are reserved or held for an offer are in none.
 *
 * Never-used addresses are the primary's (decision A3) and are not linked: a cursor walks over
 * them once, so that a range of millions costs neither time nor memory before it is used.
 */
#include "core/pool_priv.h"

static void unlink_row(struct pool *p, struct list *l, uint32_t id)
{
	struct row *r = &p->rows[id];

	if (r->free_prev)
		p->rows[r->free_prev].free_next = r->free_next;
	else
		l->first = r->free_next;
	if (r->free_next)
		p->rows[r->free_next].free_prev = r->free_prev;
	else
		l->last = r->free_prev;
	r->free_next = r->free_prev = 0;
}

static void link_row(struct pool *p, struct list *l, uint32_t id, bool to_front)
{
	struct row *r = &p->rows[id];

	r->free_prev = to_front ? 0 : l->last;
	r->free_next = to_front ? l->first : 0;
	if (r->free_prev)
		p->rows[r->free_prev].free_next = id;
	else
		l->first = id;
	if (r->free_next)
		p->rows[r->free_next].free_prev = id;
	else
		l->last = id;
}

/* In which list the row belongs: ROW_IN_FREE, ROW_IN_BACKUP, or 0. */
static uint8_t home(const struct pool_range *pr, const struct row *r, uint32_t id)
{
	if (row_is_reserved(r) || r->offer)
		return 0;
	if (r->flags & ROW_RECORD)
		return r->l.state == LEASE_BACKUP ? ROW_IN_BACKUP
		       : lease_is_free(&r->l)	  ? ROW_IN_FREE
						  : 0;
	return id < pr->cursor ? ROW_IN_FREE : 0; /* else the cursor has yet to come by */
}

static bool never_used(const struct row *r)
{
	return !(r->flags & (ROW_RECORD | ROW_CONFIGURED)) && !r->offer;
}

static void advance(struct pool *p, struct pool_range *pr)
{
	while (pr->cursor < pr->base + pr->size && !never_used(&p->rows[pr->cursor]))
		pr->cursor++;
}

void pool_free_update(struct pool *p, uint32_t range, uint32_t id, bool to_front)
{
	struct pool_range *pr = &p->ranges[range];
	struct row *r = &p->rows[id];
	const uint8_t both = ROW_IN_FREE | ROW_IN_BACKUP;
	uint8_t at = r->flags & both, to = home(pr, r, id);

	if (at != to) {
		if (at)
			unlink_row(p, at == ROW_IN_FREE ? &pr->free : &pr->backup, id);
		if (to)
			link_row(p, to == ROW_IN_FREE ? &pr->free : &pr->backup, id, to_front);
		r->flags = (uint8_t)((r->flags & ~both) | to);
	}
	if (id == pr->cursor)
		advance(p, pr);
}

/* --- choice --------------------------------------------------------------------------------- */

static const struct lease *at_cursor(const struct pool *p, uint32_t range)
{
	const struct pool_range *pr = &p->ranges[range];
	struct row *r = &p->rows[pr->cursor];

	if (pr->cursor == pr->base + pr->size)
		return NULL;
	r->l.addr = p->t->ranges[range].first + (pr->cursor - pr->base);
	return &r->l;
}

const struct lease *pool_range_free_first(const struct pool *p, uint32_t range, unsigned state)
{
	const struct pool_range *pr = &p->ranges[range];
	const struct lease *next;
	uint32_t first = pr->free.first;

	if (state == LEASE_BACKUP)
		return pr->backup.first ? &p->rows[pr->backup.first].l : NULL;
	/* offered, never taken, and so back at the front */
	if (first && !(p->rows[first].flags & ROW_RECORD))
		return &p->rows[first].l;
	next = at_cursor(p, range);
	return next ? next : first ? &p->rows[first].l : NULL;
}

const struct lease *pool_free_first(const struct pool *p, const struct scope *s, unsigned state)
{
	const struct lease *best = NULL;

	for (uint32_t i = 0; i < s->n_ranges; i++) {
		const struct lease *l = pool_range_free_first(p, s->first_range + i, state);

		if (l && l->state == LEASE_NONE)
			return l;
		if (l && (!best || l->stos < best->stos))
			best = l;
	}
	return best;
}
