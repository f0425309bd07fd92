/*
 * What the partner has yet to hear: per relationship one queue of rows whose present contents it
 * has not acknowledged, in the order of the commits that hold them, since an update may leave only
 * when its record is durable. A row is at most once in the queue.
 * Spec: failover-12 §5.4 (lazy update); failover-behaviour §1.3, §5.6.
 */
#include "core/pool_priv.h"

static struct pool_relation *relation_of(const struct pool *p, uint32_t addr)
{
	const struct scope *s = pool_scope(p, addr);

	return s && s->relation >= 0 ? &p->relations[s->relation] : NULL;
}

static void dequeue(struct pool *p, struct pool_relation *rel, uint32_t id)
{
	struct row *r = &p->rows[id];

	if (r->flags & ROW_QUEUED) {
		if (r->dirty_prev)
			p->rows[r->dirty_prev].dirty_next = r->dirty_next;
		else
			rel->queue.first = r->dirty_next;
		if (r->dirty_next)
			p->rows[r->dirty_next].dirty_prev = r->dirty_prev;
		else
			rel->queue.last = r->dirty_prev;
	}
	r->dirty_next = r->dirty_prev = 0;
	rel->lacked -= r->flags & ROW_LACKED ? 1 : 0;
	r->flags &= (uint16_t) ~(ROW_QUEUED | ROW_IN_FLIGHT | ROW_ASKED | ROW_LACKED);
}

static void enqueue_behind(struct pool *p, struct pool_relation *rel, uint32_t id, uint32_t before)
{
	struct row *r = &p->rows[id];

	r->dirty_prev = before;
	r->dirty_next = before ? p->rows[before].dirty_next : rel->queue.first;
	if (before)
		p->rows[before].dirty_next = id;
	else
		rel->queue.first = id;
	if (r->dirty_next)
		p->rows[r->dirty_next].dirty_prev = id;
	else
		rel->queue.last = id;
	r->flags |= ROW_QUEUED;
}

/* The partner has asked for updates since it began to wait. */
static bool asked(const struct pool_relation *rel, const struct row *r)
{
	return rel && r->flags & ROW_QUEUED && (r->batch <= rel->mark || r->flags & ROW_ASKED);
}

bool pool_dirty_asked(const struct pool *p, uint32_t id)
{
	return asked(relation_of(p, p->rows[id].l.addr), &p->rows[id]);
}

static void carry(struct pool_relation *rel, struct row *r)
{
	if (rel->carried < r->batch)
		rel->carried = r->batch;
	r->flags |= ROW_ASKED;
}

void pool_dirty_carry(struct pool *p, uint32_t id)
{
	if (p->rows[id].flags & ROW_QUEUED)
		carry(relation_of(p, p->rows[id].l.addr), &p->rows[id]);
}

void pool_run_carry(struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr), run = id ? pool_run_over(p, id) : 0;

	if (run && pool_dirty_asked(p, run))
		pool_dirty_carry(p, id);
}

void pool_dirty_update(struct pool *p, uint32_t id, uint8_t was, uint64_t batch)
{
	struct row *r = &p->rows[id];
	struct pool_relation *rel = relation_of(p, r->l.addr);
	bool asked_for = asked(rel, r);
	uint32_t before;

	r->batch = batch;
	if (!rel)
		return;
	dequeue(p, rel, id);
	rel->dirty -= was & LEASE_DIRTY ? 1 : 0;
	if (!(r->l.flags & LEASE_DIRTY))
		return;
	rel->dirty++;
	/* commits are numbered upwards: this ends at once, but for a piece of a run that waits on
	 * as the whole did */
	for (before = rel->queue.last; before && p->rows[before].batch > r->batch;)
		before = p->rows[before].dirty_prev;
	enqueue_behind(p, rel, id, before);
	if (asked_for)
		carry(rel, r);
}

const struct lease *pool_dirty_first(const struct pool *p, unsigned relation, uint64_t durable)
{
	uint32_t id = relation < p->n_relations ? p->relations[relation].queue.first : 0;

	return id && p->rows[id].batch <= durable ? &p->rows[id].l : NULL;
}

void pool_dirty_mark(struct pool *p, unsigned relation, uint64_t batch)
{
	if (relation < p->n_relations)
		p->relations[relation].mark = batch;
}

uint64_t pool_dirty_carried(const struct pool *p, unsigned relation)
{
	return relation < p->n_relations ? p->relations[relation].carried : 0;
}

/* One without a record tells its run's state, and is not dirty itself. */
static bool dirty_itself(const struct pool *p, uint32_t id)
{
	const struct row *r = &p->rows[id];

	return r->l.flags & LEASE_DIRTY && (id > p->n_rows || r->flags & ROW_RECORD);
}

static void set_in_flight(struct pool *p, uint32_t id, uint32_t addr, bool in_flight)
{
	struct row *r = &p->rows[id];
	struct pool_relation *rel;
	uint32_t before = 0, next;

	if (!id || !(r->flags & ROW_IN_FLIGHT) == !in_flight)
		return;
	rel = relation_of(p, addr);
	if (!rel)
		return;
	dequeue(p, rel, id);
	if (in_flight)
		r->flags |= ROW_IN_FLIGHT;
	if (in_flight || !dirty_itself(p, id)) /* a full update sends clean rows, too */
		return;
	/* it was at the front when it left */
	for (next = rel->queue.first; next && p->rows[next].batch < r->batch;) {
		before = next;
		next = p->rows[next].dirty_next;
	}
	enqueue_behind(p, rel, id, before);
}

void pool_in_flight(struct pool *p, uint32_t addr, bool in_flight)
{
	set_in_flight(p, pool_row_of(p, addr), addr, in_flight);
}

static bool has(const struct pool *p, uint32_t id, unsigned flag)
{
	return id && p->rows[id].flags & flag;
}

bool pool_is_in_flight(const struct pool *p, uint32_t addr)
{
	return has(p, pool_row_of(p, addr), ROW_IN_FLIGHT);
}

/* The row of the run that begins at @addr, 0 none. */
static uint32_t run_at(const struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr), run = id ? pool_run_over(p, id) : 0;

	return run && p->rows[run].first == id ? run : 0;
}

void pool_run_in_flight(struct pool *p, uint32_t addr, bool in_flight)
{
	set_in_flight(p, run_at(p, addr), addr, in_flight);
}

bool pool_run_is_in_flight(const struct pool *p, uint32_t addr)
{
	return has(p, run_at(p, addr), ROW_IN_FLIGHT);
}

static void set_lacked(struct pool *p, uint32_t id, uint32_t addr)
{
	struct pool_relation *rel = relation_of(p, addr);
	struct row *r = &p->rows[id];

	if (!id || !rel || !(r->flags & ROW_IN_FLIGHT) || !dirty_itself(p, id))
		return;
	rel->lacked += r->flags & ROW_LACKED ? 0 : 1;
	r->flags |= ROW_LACKED;
}

void pool_lacked(struct pool *p, uint32_t addr)
{
	set_lacked(p, pool_row_of(p, addr), addr);
}

void pool_run_lacked(struct pool *p, uint32_t addr)
{
	set_lacked(p, run_at(p, addr), addr);
}

bool pool_is_lacked(const struct pool *p, uint32_t addr)
{
	return has(p, pool_row_of(p, addr), ROW_LACKED);
}

bool pool_run_is_lacked(const struct pool *p, uint32_t addr)
{
	return has(p, run_at(p, addr), ROW_LACKED);
}

uint32_t pool_lacked_count(const struct pool *p, unsigned relation)
{
	return relation < p->n_relations ? p->relations[relation].lacked : 0;
}

uint32_t pool_dirty_count(const struct pool *p, unsigned relation)
{
	return relation < p->n_relations ? p->relations[relation].dirty : 0;
}
