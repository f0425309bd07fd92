/*
 * Runs of never-used addresses: which server's share they belong to, said once for all of them
 * (decision A3). A run is a row behind those of the addresses, so that the queue of what the
 * partner has yet to hear takes it as it takes an address. Runs are disjoint and lie in one range
 * each; the newest one cuts what it overlaps, as it does in the store.
 *
 * Callers: core/fo_endpoint (shares, updates), the start-up scan, the rest of the pool.
 * Standards: draft-ietf-dhc-failover-12 §5.4; decisions A3, C3.
 */
#include "core/pool_priv.h"

#include <errno.h>

/* --- look-up ---------------------------------------------------------------------------------- */

static uint32_t end_of(const struct row *run)
{
	return run->first + run->length;
}

uint32_t pool_run_place(const struct pool *p, uint32_t id)
{
	uint32_t lo = 0, hi = p->n_runs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (end_of(&p->rows[p->runs[mid]]) <= id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t pool_run_over(const struct pool *p, uint32_t id)
{
	uint32_t i = p->n_runs ? pool_run_place(p, id) : 0;

	return i < p->n_runs && p->rows[p->runs[i]].first <= id ? p->runs[i] : 0;
}

void pool_row_derive(const struct pool *p, uint32_t id, uint32_t addr)
{
	struct row *r = &p->rows[id];
	uint32_t run;

	if (bit_get(p->records, id)) /* not the row's flags: unused memory is not even read */
		return;
	run = pool_run_over(p, id);
	r->l = run ? p->rows[run].l : (struct lease){ 0 };
	r->l.addr = addr;
}

uint32_t pool_addr_of(const struct pool *p, uint32_t range, uint32_t id)
{
	return p->t->ranges[range].first + (id - p->ranges[range].base);
}

uint32_t pool_run_length(const struct pool *p, const struct lease *l)
{
	const struct row *r = (const struct row *)(const void *)l;

	return r > p->rows + p->n_rows && r <= p->rows + p->n_rows + p->max_runs ? r->length : 0;
}

/* The first row at or after @addr, 0 at the end. */
static uint32_t row_from(const struct pool *p, uint32_t addr, uint32_t *ret_range)
{
	uint32_t i = pool_range_from(p, addr);

	if (i == p->t->n_ranges)
		return 0;
	*ret_range = i;
	return addr > p->t->ranges[i].first ? pool_row_of(p, addr) : p->ranges[i].base;
}

const struct lease *pool_run_next(const struct pool *p, uint32_t addr)
{
	uint32_t range, id = row_from(p, addr, &range), i;

	i = id ? pool_run_place(p, id) : p->n_runs;
	return i < p->n_runs ? &p->rows[p->runs[i]].l : NULL;
}

/* Rows from @id on that lie in the same run as it, or like it in none; at most up to @end. */
static uint32_t same_until(const struct pool *p, uint32_t id, uint32_t end)
{
	uint32_t i = pool_run_place(p, id), until = end;

	if (i < p->n_runs) {
		const struct row *run = &p->rows[p->runs[i]];

		until = run->first <= id ? end_of(run) : run->first;
	}
	return until < end ? until : end;
}

static void stretch(const struct pool *p, uint32_t range, uint32_t id, uint32_t end,
		    struct pool_stretch *ret)
{
	uint32_t run = pool_run_over(p, id);

	*ret = (struct pool_stretch){ .n = end - id, .range = range };
	if (run)
		ret->l = p->rows[run].l;
	ret->l.addr = pool_addr_of(p, range, id);
}

bool pool_stretch_next(const struct pool *p, uint32_t addr, uint32_t last, struct pool_stretch *ret)
{
	uint32_t range, id = row_from(p, addr, &range), end;

	if (!id || p->t->ranges[range].first > last)
		return false;
	end = p->t->ranges[range].last < last ? p->t->ranges[range].last : last;
	end = pool_row_of(p, end) + 1;
	stretch(p, range, id, same_until(p, id, end), ret);
	return true;
}

/* The first row from @id on, below @end, whose bit is @set; @end when there is none. */
static uint32_t next_bit(const uint64_t *bits, uint32_t id, uint32_t end, bool set)
{
	while (id < end) {
		uint64_t word = (set ? bits[id / 64] : ~bits[id / 64]) >> (id % 64);

		if (word) {
			id += (uint32_t)__builtin_ctzll(word);
			break;
		}
		id = (id / 64 + 1) * 64;
	}
	return id < end ? id : end;
}

/* Reserved rows, and those with a record, are both apart from runs. */
static uint32_t gap_until(const struct pool *p, uint32_t id, uint32_t end)
{
	bool reserved = p->rows[id].flags & ROW_CONFIGURED;

	if (!reserved)
		return next_bit(p->apart, id, same_until(p, id, end), true);
	while (id < end && p->rows[id].flags & ROW_CONFIGURED && !(p->rows[id].flags & ROW_RECORD))
		id++;
	return id;
}

bool pool_gap_next(const struct pool *p, uint32_t addr, struct pool_stretch *ret)
{
	uint32_t range, id = row_from(p, addr, &range);

	for (; id && range < p->t->n_ranges; id = p->ranges[range].base) {
		uint32_t end = p->ranges[range].base + p->ranges[range].size;

		id = next_bit(p->records, id, end, false);
		if (id < end) {
			stretch(p, range, id, gap_until(p, id, end), ret);
			if (p->rows[id].flags & ROW_CONFIGURED)
				ret->l.flags |= LEASE_RESERVED;
			return true;
		}
		if (++range == p->t->n_ranges)
			break;
	}
	return false;
}

/* --- never-used addresses --------------------------------------------------------------------- */

uint32_t pool_next_unused(const struct pool *p, uint32_t id, uint32_t end)
{
	while (id < end) {
		uint64_t word = (p->apart[id / 64] | p->loose[id / 64]) >> (id % 64);

		if (~word << (id % 64) >> (id % 64)) {
			id += (uint32_t)__builtin_ctzll(~word);
			break;
		}
		id = (id / 64 + 1) * 64;
	}
	return id < end ? id : end;
}

/* One above the last row below @id, from @from on, that is used (or, @used false, unused). */
static uint32_t last_of(const struct pool *p, uint32_t from, uint32_t id, bool used)
{
	while (id > from) {
		uint32_t w = (id - 1) / 64, n = (id - 1) % 64 + 1;
		uint64_t word = p->apart[w] | p->loose[w];

		word = (used ? word : ~word) << (64 - n);
		if (word) {
			id -= (uint32_t)__builtin_clzll(word);
			break;
		}
		id -= n;
	}
	return id > from ? id : from;
}

static bool owned_by(const struct pool *p, uint32_t id, unsigned state)
{
	uint32_t run = pool_run_over(p, id);

	return (run && p->rows[run].l.state == LEASE_BACKUP) == (state == LEASE_BACKUP);
}

/* Where the run, or the gap between runs, that row @id lies in begins. */
static uint32_t same_from(const struct pool *p, uint32_t id, uint32_t base)
{
	uint32_t i = pool_run_place(p, id), from = base;

	if (i < p->n_runs && p->rows[p->runs[i]].first <= id)
		from = p->rows[p->runs[i]].first;
	else if (i)
		from = end_of(&p->rows[p->runs[i - 1]]);
	return from > base ? from : base;
}

bool pool_unused_last(const struct pool *p, uint32_t range, unsigned state, uint32_t max,
		      uint64_t below, struct pool_stretch *ret)
{
	const struct pool_range *pr = &p->ranges[range];
	const struct addr_range *r = &p->t->ranges[range];
	uint32_t id = pr->base + pr->size, from;

	if (below <= r->first || !max)
		return false;
	if (below <= r->last)
		id = pr->base + ((uint32_t)below - r->first);
	while ((id = last_of(p, pr->base, id, false)) > pr->base) {
		from = same_from(p, id - 1, pr->base);
		if (owned_by(p, id - 1, state)) {
			from = last_of(p, from, id, true);
			if (id - from > max)
				from = id - max;
			stretch(p, range, from, id, ret);
			return true;
		}
		id = from;
	}
	return false;
}

bool pool_dirty_within(const struct pool *p, uint32_t first, uint32_t last)
{
	const struct lease *l;

	for (uint64_t a = first; a <= last && (l = pool_next(p, (uint32_t)a)) && l->addr <= last;
	     a = (uint64_t)l->addr + 1)
		if (l->flags & LEASE_DIRTY)
			return true;
	return false;
}

/* --- the way in ------------------------------------------------------------------------------- */

/* Not the compiler's own, which calls a library where the processor is not known to count. */
static uint32_t count_bits(uint64_t w)
{
	w -= w >> 1 & 0x5555555555555555ULL;
	w = (w & 0x3333333333333333ULL) + (w >> 2 & 0x3333333333333333ULL);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (uint32_t)(w * 0x0101010101010101ULL >> 56);
}

static uint32_t count_within(const struct pool *p, uint32_t from, uint32_t end)
{
	uint32_t n = 0;

	while (from < end) {
		uint32_t w = from / 64, most = 64 - from % 64, k = end - from;
		uint64_t word = ~p->apart[w] >> (from % 64);

		k = k < most ? k : most;
		if (k < 64)
			word &= (1ULL << k) - 1;
		n += count_bits(word);
		from += k;
	}
	return n;
}

/* Count the rows that belong to the secondary's share by their runs. */
static void count_backup(struct pool *p, uint32_t range, uint32_t from, uint32_t end, int by)
{
	struct pool_range *pr = &p->ranges[range];

	for (uint32_t i = pool_run_place(p, from); i < p->n_runs; i++) {
		const struct row *run = &p->rows[p->runs[i]];
		uint32_t a = run->first > from ? run->first : from;
		uint32_t b = end_of(run) < end ? end_of(run) : end;

		if (run->first >= end)
			break;
		if (run->l.state != LEASE_BACKUP)
			continue;
		pr->count[LEASE_BACKUP] += (uint32_t)by * count_within(p, a, b);
		if (lease_is_wanted_back(&run->l))
			pr->wanted_back += (uint32_t)by * count_within(p, a, b);
	}
}

static uint32_t new_run(struct pool *p)
{
	uint32_t id = p->unused_run;

	if (id)
		p->unused_run = p->rows[id].free_next;
	else
		id = p->n_rows + ++p->used_runs;
	p->rows[id] = (struct row){ 0 };
	return id;
}

static void insert(struct pool *p, uint32_t place, const struct row *as, uint64_t batch)
{
	uint32_t id = new_run(p);
	struct row *r = &p->rows[id];

	for (uint32_t i = p->n_runs++; i > place; i--)
		p->runs[i] = p->runs[i - 1];
	p->runs[place] = id;
	r->l = as->l;
	r->first = as->first;
	r->length = as->length;
	pool_dirty_update(p, id, 0, batch);
}

static void drop(struct pool *p, uint32_t place)
{
	uint32_t id = p->runs[place];
	uint8_t was = p->rows[id].l.flags;

	p->rows[id].l.flags = 0;
	pool_dirty_update(p, id, was, p->rows[id].batch);
	p->rows[id].free_next = p->unused_run;
	p->unused_run = id;
	p->n_runs--;
	for (uint32_t i = place; i < p->n_runs; i++)
		p->runs[i] = p->runs[i + 1];
}

/* What is left of a run that a newer one has cut is told again, as what it is now. */
static void shrink(struct pool *p, uint32_t id, uint32_t length, uint64_t batch)
{
	p->rows[id].length = length;
	pool_dirty_update(p, id, p->rows[id].l.flags, batch);
}

/* Return: did the partner ask for any of what was there? Then what comes in its place counts as
 * asked for. */
static bool cut(struct pool *p, uint32_t range, uint32_t from, uint32_t end, uint64_t batch)
{
	uint32_t i = pool_run_place(p, from);
	bool asked = false;

	while (i < p->n_runs && p->rows[p->runs[i]].first < end) {
		struct row was = p->rows[p->runs[i]];

		asked |= pool_dirty_asked(p, p->runs[i]);
		if (was.first < from)
			shrink(p, p->runs[i++], from - was.first, batch);
		else
			drop(p, i);
		if (end_of(&was) > end) {
			was.length = end_of(&was) - end;
			was.first = end;
			was.l.addr = pool_addr_of(p, range, end);
			insert(p, i, &was, was.batch); /* it waits as the whole did, and is */
			p->rows[p->runs[i]].flags |= was.flags & ROW_ASKED;
			shrink(p, p->runs[i], was.length, batch); /* changed now */
			break;
		}
	}
	return asked;
}

/* Rows that were offered, or are back from an offer, stand in lists of their former owner. */
static void move_loose(struct pool *p, uint32_t range, uint32_t from, uint32_t end)
{
	for (uint32_t w = from / 64; w <= (end - 1) / 64; w++) {
		uint64_t word = p->loose[w];

		for (; word; word &= word - 1) {
			uint32_t id = w * 64 + (uint32_t)__builtin_ctzll(word);

			if (id >= from && id < end)
				pool_free_update(p, range, id, true);
		}
	}
}

static void apply_in_range(struct pool *p, uint32_t range, const struct lease *l, uint32_t from,
			   uint32_t end, uint64_t batch)
{
	struct pool_range *pr = &p->ranges[range];
	struct row as = { .l = *l };
	uint32_t place;
	bool asked;

	as.l.addr = pool_addr_of(p, range, from);
	as.first = from;
	as.length = end - from;
	count_backup(p, range, from, end, -1);
	asked = cut(p, range, from, end, batch);
	place = pool_run_place(p, from);
	insert(p, place, &as, batch);
	if (asked)
		pool_dirty_carry(p, p->runs[place]);
	count_backup(p, range, from, end, 1);
	if (l->state == LEASE_BACKUP)
		pr->backup_cursor = from < pr->backup_cursor ? from : pr->backup_cursor;
	else
		pr->cursor = from < pr->cursor ? from : pr->cursor;
	move_loose(p, range, from, end);
	pool_free_advance(p, range);
}

/* Ranges that hold any of the addresses: the first, and how many. */
static uint32_t ranges_of(const struct pool *p, uint32_t first, uint64_t last, uint32_t *ret_i)
{
	uint32_t i = pool_range_from(p, first), n = 0;

	*ret_i = i;
	while (i + n < p->t->n_ranges && p->t->ranges[i + n].first <= last)
		n++;
	return n;
}

/* Those of the addresses' rows that lie in a range: @ret_end is behind the last. */
static void rows_within(const struct pool *p, uint32_t range, uint32_t first, uint64_t last,
			uint32_t *ret_from, uint32_t *ret_end)
{
	const struct addr_range *r = &p->t->ranges[range];
	uint32_t base = p->ranges[range].base;

	*ret_from = base + (first > r->first ? first - r->first : 0);
	*ret_end = base + (last < r->last ? (uint32_t)last - r->first : r->last - r->first) + 1;
}

/* How many runs more there will be: the new one, and a second piece of one that goes beyond it on
 * both sides; those that lie within it are gone. */
static uint32_t growth(const struct pool *p, uint32_t from, uint32_t end)
{
	uint32_t n = 1;

	for (uint32_t i = pool_run_place(p, from); i < p->n_runs; i++) {
		const struct row *run = &p->rows[p->runs[i]];

		if (run->first >= end)
			break;
		if (run->first < from && end_of(run) > end)
			n++;
		else if (run->first >= from && end_of(run) <= end)
			n -= n ? 1 : 0;
	}
	return n;
}

int pool_apply_run(struct pool *p, const struct lease *l, uint32_t n, uint64_t batch)
{
	uint64_t last = (uint64_t)l->addr + n - 1, more = 0;
	uint32_t i, from, end, k = n ? ranges_of(p, l->addr, last, &i) : 0;
	struct lease copy = *l; /* it may be the pool's own */

	if (!k)
		return -ENOENT;
	for (uint32_t r = i; r < i + k; r++) {
		rows_within(p, r, copy.addr, last, &from, &end);
		more += growth(p, from, end);
	}
	if (p->n_runs + more > p->max_runs)
		return -ENOSPC;
	for (uint32_t r = i; r < i + k; r++) {
		rows_within(p, r, copy.addr, last, &from, &end);
		apply_in_range(p, r, &copy, from, end, batch);
	}
	return 0;
}
