/*
 * The table of addresses: layout of its memory, look-up, the one way in (pool_apply), counts.
 * A million addresses cost 140 MB of address space, and memory only as they come into use.
 *
 * Callers: core/server (clients), core/fo_endpoint (partner), the start-up scan.
 * Standards: RFC 2131 §2.1, §4.3.1 (which addresses are available); decisions A3, C1, C3.
 */
#include "core/pool_priv.h"

#include <errno.h>
#include <string.h>

#define MIN_HOMES 16

/* --- memory --------------------------------------------------------------------------------- */

struct layout {
	size_t rows, ranges, relations, heap, heap_place, slots, records, apart, loose, offers;
	size_t offer_chain, runs, naks, size;
	uint32_t n_rows, n_relations, max_homes, n_chains, max_runs;
};

static size_t take(size_t *at, size_t n, size_t size)
{
	size_t here = (*at + 63) & ~(size_t)63;

	*at = here + n * size;
	return here;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t r = 16;

	while (r < n && r < 1U << 31)
		r *= 2;
	return r;
}

static uint32_t count_relations(const struct scope_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_scopes; i++)
		if (t->scopes[i].relation >= (int32_t)n)
			n = (uint32_t)t->scopes[i].relation + 1;
	return n;
}

static bool lay_out(const struct scope_table *t, uint32_t max_offers, struct layout *ret)
{
	uint64_t n = 0;
	size_t at = sizeof(struct pool);

	for (uint32_t i = 0; i < t->n_ranges; i++)
		n += (uint64_t)t->ranges[i].last - t->ranges[i].first + 1;
	if (n > POOL_MAX_ADDRESSES)
		return false;
	ret->n_rows = (uint32_t)n;
	ret->n_relations = count_relations(t);
	ret->max_homes = (uint32_t)(n * 4 / 3) + MIN_HOMES;
	ret->n_chains = power_of_two(max_offers);
	ret->max_runs = ret->n_rows / (POOL_RUN_MIN / 2) + 64; /* a new run cuts one at most */
	ret->ranges = take(&at, t->n_ranges, sizeof(struct pool_range));
	ret->relations = take(&at, ret->n_relations, sizeof(struct pool_relation));
	ret->records = take(&at, (size_t)n / 64 + 1, sizeof(uint64_t));
	ret->apart = take(&at, (size_t)n / 64 + 1, sizeof(uint64_t));
	ret->loose = take(&at, (size_t)n / 64 + 1, sizeof(uint64_t));
	ret->runs = take(&at, ret->max_runs, sizeof(uint32_t));
	ret->offers = take(&at, (size_t)max_offers + 1, sizeof(struct offer));
	ret->offer_chain = take(&at, ret->n_chains, sizeof(uint32_t));
	ret->naks = take(&at, (size_t)NAK_SETS * NAK_WAYS, sizeof(struct nak));
	/* at the worst all of them stand behind the last home, and an empty one behind these */
	ret->slots = take(&at, (size_t)ret->max_homes + n + 2, sizeof(struct slot));
	ret->heap = take(&at, (size_t)n + 1, sizeof(struct timer));
	ret->heap_place = take(&at, (size_t)n + 1, sizeof(uint32_t));
	ret->rows = take(&at, (size_t)n + 1 + ret->max_runs, sizeof(struct row));
	ret->size = at;
	return true;
}

size_t pool_size(const struct scope_table *t, uint32_t max_offers)
{
	struct layout lay;

	return lay_out(t, max_offers, &lay) ? lay.size : 0;
}

static void init_ranges(struct pool *p)
{
	uint32_t base = 1;

	for (uint32_t i = 0; i < p->t->n_ranges; i++) {
		const struct addr_range *r = &p->t->ranges[i];
		struct pool_range *pr = &p->ranges[i];

		pr->base = pr->cursor = base;
		pr->size = r->last - r->first + 1;
		pr->backup_cursor = base + pr->size;
		base += pr->size;
	}
}

static void reserve(struct pool *p, uint32_t addr)
{
	uint32_t range = pool_range_of(p, addr), id;

	if (range == p->t->n_ranges)
		return;
	id = pool_row_of(p, addr);
	if (p->rows[id].flags & ROW_CONFIGURED)
		return;
	p->rows[id].l.addr = addr;
	p->rows[id].flags |= ROW_CONFIGURED;
	bit_set(p->apart, id, true);
	p->ranges[range].reserved++;
	pool_free_update(p, range, id, false);
}

static void init_reserved(struct pool *p)
{
	for (uint32_t i = 0; i < p->t->n_scopes; i++)
		for (uint32_t k = 0; k < p->t->scopes[i].n_reservations; k++)
			reserve(p, p->t->scopes[i].reservations[k].addr);
	for (uint32_t i = 0; i < p->t->n_ranges; i++)
		if (p->t->ranges[i].flags & RANGE_RESERVED)
			for (uint32_t k = 0; k < p->ranges[i].size; k++)
				reserve(p, p->t->ranges[i].first + k);
}

struct pool *pool_init(void *mem, size_t size, const struct scope_table *t, uint32_t max_offers)
{
	struct layout lay;
	struct pool *p = mem;
	uint8_t *m = mem;

	if (!mem || !lay_out(t, max_offers, &lay) || size < lay.size)
		return NULL;
	p->t = t;
	p->rows = (struct row *)(void *)(m + lay.rows);
	p->ranges = (struct pool_range *)(void *)(m + lay.ranges);
	p->relations = (struct pool_relation *)(void *)(m + lay.relations);
	p->heap = (struct timer *)(void *)(m + lay.heap);
	p->heap_place = (uint32_t *)(void *)(m + lay.heap_place);
	p->slots = (struct slot *)(void *)(m + lay.slots);
	p->records = (uint64_t *)(void *)(m + lay.records);
	p->apart = (uint64_t *)(void *)(m + lay.apart);
	p->loose = (uint64_t *)(void *)(m + lay.loose);
	p->runs = (uint32_t *)(void *)(m + lay.runs);
	p->max_runs = lay.max_runs;
	p->offers = (struct offer *)(void *)(m + lay.offers);
	p->offer_chain = (uint32_t *)(void *)(m + lay.offer_chain);
	p->naks = (struct nak *)(void *)(m + lay.naks);
	p->n_rows = lay.n_rows;
	p->n_relations = lay.n_relations;
	p->n_homes = MIN_HOMES;
	p->max_homes = lay.max_homes;
	p->offer_mask = lay.n_chains - 1;
	p->max_offers = max_offers;
	init_ranges(p);
	init_reserved(p);
	return p;
}

/* --- look-up -------------------------------------------------------------------------------- */

/* The first range that ends at or after @addr. */
uint32_t pool_range_from(const struct pool *p, uint32_t addr)
{
	uint32_t lo = 0, hi = p->t->n_ranges;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->t->ranges[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t pool_range_of(const struct pool *p, uint32_t addr)
{
	uint32_t i = pool_range_from(p, addr);

	return i < p->t->n_ranges && p->t->ranges[i].first <= addr ? i : p->t->n_ranges;
}

uint32_t pool_row_of(const struct pool *p, uint32_t addr)
{
	uint32_t i = pool_range_of(p, addr);

	return i < p->t->n_ranges ? p->ranges[i].base + (addr - p->t->ranges[i].first) : 0;
}

uint32_t pool_scope_index(const struct pool *p, uint32_t addr)
{
	return p->t->ranges[pool_range_of(p, addr)].scope;
}

const struct lease *pool_get(const struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr);

	if (!id)
		return NULL;
	pool_row_derive(p, id, addr); /* a never-used row is all zero until somebody looks */
	return &p->rows[id].l;
}

const struct scope *pool_scope(const struct pool *p, uint32_t addr)
{
	uint32_t i = pool_range_of(p, addr);

	return i < p->t->n_ranges ? &p->t->scopes[p->t->ranges[i].scope] : NULL;
}

uint32_t pool_range_index(const struct pool *p, uint32_t addr)
{
	return pool_range_of(p, addr);
}

bool pool_has_record(const struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr);

	return id && bit_get(p->records, id);
}

bool pool_is_reserved(const struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr);

	return id && p->rows[id].flags & ROW_CONFIGURED;
}

const struct scope_table *pool_table(const struct pool *p)
{
	return p->t;
}

/* --- the way in ----------------------------------------------------------------------------- */

static void count_row(struct pool_range *pr, const struct row *r, int by)
{
	if (row_is_reserved(r)) {
		pr->reserved += (uint32_t)by;
		return;
	}
	pr->count[r->l.state & 7] += (uint32_t)by;
	pr->wanted_back += lease_is_wanted_back(&r->l) ? (uint32_t)by : 0;
}

/* When the row's time is over by itself. Ended bindings are due at once: server_expire says
 * what the partner has to agree to, and when to look again. */
static void arm(struct pool *p, uint32_t id, bool state_changed)
{
	const struct lease *l = &p->rows[id].l;

	switch ((enum lease_state)l->state) {
	case LEASE_ACTIVE:
	case LEASE_ABANDONED:
		pool_timer_set(p, id, l->expires < SEC_MAX ? l->expires : 0);
		break;
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET:
		if (state_changed)
			pool_timer_set(p, id, l->stos ? l->stos : 1);
		break;
	case LEASE_NONE:
	case LEASE_FREE:
	case LEASE_BACKUP:
		pool_timer_set(p, id, 0);
		break;
	}
}

/* May the binding stay where it is among those of its client? */
static bool same_place(const struct lease *a, const struct lease *b)
{
	return client_key_equal(a->key, b->key) && a->cltt == b->cltt &&
	       (a->state == LEASE_ACTIVE) == (b->state == LEASE_ACTIVE);
}

int pool_apply(struct pool *p, const struct lease *l, uint64_t batch)
{
	uint32_t range = pool_range_of(p, l->addr), scope, id;
	struct lease was;
	struct row *r;
	bool move;

	if (range == p->t->n_ranges)
		return -ENOENT;
	id = p->ranges[range].base + (l->addr - p->t->ranges[range].first);
	scope = p->t->ranges[range].scope;
	r = &p->rows[id];
	pool_row_derive(p, id, l->addr);
	was = r->l;
	if (!(r->flags & ROW_RECORD))
		was.flags = 0; /* what its run has to tell is counted there */
	move = !same_place(&was, l);
	if (move)
		pool_client_unlink(p, id, scope);
	count_row(&p->ranges[range], r, -1);
	r->l = *l;
	r->flags |= ROW_RECORD;
	bit_set(p->records, id, true);
	bit_set(p->apart, id, true);
	count_row(&p->ranges[range], r, 1);
	if (move)
		pool_client_link(p, id, scope);
	/* the address is somebody's now, or nobody's for long: what was offered is void */
	if (l->state == LEASE_ACTIVE || l->state == LEASE_ABANDONED)
		pool_offer_forget(p, id);
	pool_free_update(p, range, id, false);
	pool_dirty_update(p, id, was.flags, batch);
	arm(p, id, was.state != l->state);
	return 0;
}

size_t pool_rows_at(const struct pool *p, uint32_t addr, uint32_t n, const void **ret)
{
	uint32_t id = pool_row_of(p, addr), left = p->n_rows + 1 - id;

	if (!id)
		return 0;
	*ret = &p->rows[id];
	return (n < left ? n : left) * sizeof(struct row);
}

/* --- walking and counting ------------------------------------------------------------------- */

uint32_t pool_range_last(const struct pool *p, uint32_t addr)
{
	uint32_t i = pool_range_of(p, addr);

	return i < p->t->n_ranges ? p->t->ranges[i].last : addr;
}

const struct lease *pool_next(const struct pool *p, uint32_t addr)
{
	uint32_t i = pool_range_from(p, addr), id;
	uint64_t word;

	if (i == p->t->n_ranges)
		return NULL;
	id = p->ranges[i].base;
	if (addr > p->t->ranges[i].first)
		id += addr - p->t->ranges[i].first;
	word = p->records[id / 64] >> (id % 64) << (id % 64);
	for (uint32_t w = id / 64;; word = p->records[w]) {
		if (word)
			return &p->rows[w * 64 + (uint32_t)__builtin_ctzll(word)].l;
		if (++w > p->n_rows / 64)
			return NULL;
	}
}

static void add_range(const struct pool_range *pr, struct pool_counts *c)
{
	uint32_t total = pr->size - pr->reserved, used = 0;

	for (unsigned s = LEASE_ACTIVE; s <= LEASE_BACKUP; s++)
		used += pr->count[s];
	c->total += total;
	c->free += total - used;
	c->backup += pr->count[LEASE_BACKUP];
	c->active += pr->count[LEASE_ACTIVE];
	c->expired += pr->count[LEASE_EXPIRED];
	c->released += pr->count[LEASE_RELEASED];
	c->abandoned += pr->count[LEASE_ABANDONED];
	c->reset += pr->count[LEASE_RESET];
	c->wanted_back += pr->wanted_back;
	c->reserved += pr->reserved;
	c->offered += pr->offered;
}

void pool_counts_range(const struct pool *p, uint32_t range, struct pool_counts *ret)
{
	*ret = (struct pool_counts){ 0 };
	if (range < p->t->n_ranges)
		add_range(&p->ranges[range], ret);
}

void pool_counts_scope(const struct pool *p, const struct scope *s, struct pool_counts *ret)
{
	*ret = (struct pool_counts){ 0 };
	for (uint32_t i = 0; i < s->n_ranges; i++)
		add_range(&p->ranges[s->first_range + i], ret);
}
