/*
 * Free addresses of each range: never-used ones first, in the order of addresses, then the one
 * that has been free longest. Two lists per range, one for each server's share. Addresses that
 * are reserved or held for an offer are in none.
 *
 * Never-used addresses are not linked: a cursor for each server's share walks over them, so that a
 * range of millions costs neither time nor memory before it is used. They are the primary's, but
 * for those in runs of the secondary's share (decision A3).
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

static bool in_backup_run(const struct pool *p, uint32_t id)
{
	uint32_t run = pool_run_over(p, id);

	return run && p->rows[run].l.state == LEASE_BACKUP;
}

/* In which list the row belongs: ROW_IN_FREE, ROW_IN_BACKUP, or 0. */
static uint8_t home(const struct pool *p, const struct pool_range *pr, uint32_t id)
{
	const struct row *r = &p->rows[id];

	if (row_is_reserved(r) || r->offer)
		return 0;
	if (r->flags & ROW_RECORD)
		return r->l.state == LEASE_BACKUP ? ROW_IN_BACKUP
		       : lease_is_free(&r->l)	  ? ROW_IN_FREE
						  : 0;
	/* else the cursor has yet to come by */
	if (in_backup_run(p, id))
		return id < pr->backup_cursor ? ROW_IN_BACKUP : 0;
	return id < pr->cursor ? ROW_IN_FREE : 0;
}

static uint32_t end_of(const struct pool_range *pr)
{
	return pr->base + pr->size;
}

static void advance_free(const struct pool *p, struct pool_range *pr)
{
	uint32_t id = pool_next_unused(p, pr->cursor, end_of(pr)), run;

	while (id < end_of(pr) && (run = pool_run_over(p, id)) &&
	       p->rows[run].l.state == LEASE_BACKUP)
		id = pool_next_unused(p, p->rows[run].first + p->rows[run].length, end_of(pr));
	pr->cursor = id;
}

/* The first row at or after @id in a run of the secondary's share. */
static uint32_t next_in_backup(const struct pool *p, uint32_t id, uint32_t end)
{
	for (uint32_t i = pool_run_place(p, id); i < p->n_runs; i++) {
		const struct row *run = &p->rows[p->runs[i]];

		if (run->first >= end)
			break;
		if (run->l.state == LEASE_BACKUP)
			return run->first > id ? run->first : id;
	}
	return end;
}

static void advance_backup(const struct pool *p, struct pool_range *pr)
{
	uint32_t id = pr->backup_cursor, was;

	do {
		was = id;
		id = next_in_backup(p, pool_next_unused(p, id, end_of(pr)), end_of(pr));
	} while (id != was && id < end_of(pr));
	pr->backup_cursor = id;
}

void pool_free_advance(struct pool *p, uint32_t range)
{
	advance_free(p, &p->ranges[range]);
	advance_backup(p, &p->ranges[range]);
}

void pool_free_update(struct pool *p, uint32_t range, uint32_t id, bool to_front)
{
	struct pool_range *pr = &p->ranges[range];
	struct row *r = &p->rows[id];
	const uint8_t both = ROW_IN_FREE | ROW_IN_BACKUP;
	uint8_t at = r->flags & both, to = home(p, pr, id);

	if (at != to) {
		if (at)
			unlink_row(p, at == ROW_IN_FREE ? &pr->free : &pr->backup, id);
		if (to)
			link_row(p, to == ROW_IN_FREE ? &pr->free : &pr->backup, id, to_front);
		r->flags = (uint16_t)((r->flags & ~both) | to);
	}
	bit_set(p->loose, id, !bit_get(p->apart, id) && (to || r->offer));
	if (id == pr->cursor)
		advance_free(p, pr);
	if (id == pr->backup_cursor)
		advance_backup(p, pr);
}

/* --- choice --------------------------------------------------------------------------------- */

static const struct lease *never_used(const struct pool *p, uint32_t range, uint32_t id)
{
	pool_row_derive(p, id, pool_addr_of(p, range, id));
	return &p->rows[id].l;
}

const struct lease *pool_range_free_first(const struct pool *p, uint32_t range, unsigned state)
{
	const struct pool_range *pr = &p->ranges[range];
	uint32_t first = state == LEASE_BACKUP ? pr->backup.first : pr->free.first;
	uint32_t cursor = state == LEASE_BACKUP ? pr->backup_cursor : pr->cursor;

	/* offered, never taken, and so back at the front */
	if (first && !(p->rows[first].flags & ROW_RECORD))
		return never_used(p, range, first);
	if (cursor < end_of(pr))
		return never_used(p, range, cursor);
	return first ? &p->rows[first].l : NULL;
}

const struct lease *pool_range_used_next(const struct pool *p, uint32_t range, unsigned state,
					 const struct lease *before)
{
	const struct pool_range *pr = &p->ranges[range];
	uint32_t id = before		      ? p->rows[pool_row_of(p, before->addr)].free_next
		      : state == LEASE_BACKUP ? pr->backup.first
					      : pr->free.first;

	while (id && !(p->rows[id].flags & ROW_RECORD))
		id = p->rows[id].free_next;
	return id ? &p->rows[id].l : NULL;
}

const struct lease *pool_free_first(const struct pool *p, const struct scope *s, unsigned state)
{
	const struct lease *best = NULL;

	for (uint32_t i = 0; i < s->n_ranges; i++) {
		const struct lease *l = pool_range_free_first(p, s->first_range + i, state);

		if (l && !(p->rows[pool_row_of(p, l->addr)].flags & ROW_RECORD))
			return l;
		if (l && (!best || l->stos < best->stos))
			best = l;
	}
	return best;
}
