/*
 * Shares of the free addresses: which of them are the primary's (FREE) and which the secondary's
 * (BACKUP), range by range. The primary moves them; the secondary asks.
 *
 * Callers: fo_endpoint (entry to NORMAL, after changes, timer), fo_link (POOLREQ, POOLRESP).
 * Standards: draft-ietf-dhc-failover-12 §5.4, §7.2; failover-behaviour §6; decision A4.
 */
#include "core/fo_endpoint_priv.h"

int64_t fo_share_move(const struct fo_share_rule *r, uint32_t free, uint32_t backup, bool eager)
{
	uint64_t avail = (uint64_t)free + backup;
	int64_t target = (int64_t)((avail * r->percent + (r->round_up ? 99 : 0)) / 100);
	int64_t move = target - backup, size = move < 0 ? -move : move;
	uint64_t threshold = (avail * r->misbalance + 50) / 100;

	if (eager || (move > 0 && backup < 2) || (move < 0 && free < 2))
		return move;
	return (uint64_t)size > threshold ? move : 0;
}

static struct fo_share_rule rule_of(const struct fo_endpoint *e)
{
	const struct fo_conf *c = e->conf;
	struct fo_share_rule r = { .misbalance = c->misbalance };

	if (c->policy.hot_standby) {
		r.percent = c->standby_reserve;
		r.round_up = c->policy.active_is_primary;
		if (!c->policy.active_is_primary) /* mirrored: the reserve is the primary's */
			r.percent = 100 - c->standby_reserve;
	} else {
		r.percent = e->own_kind ? c->share_secondary : 50; /* an ISC balances to that */
	}
	if (r.percent > 100)
		r.percent = 100;
	return r;
}

static int64_t range_move(const struct fo_endpoint *e, uint32_t range, bool eager)
{
	struct fo_share_rule r = rule_of(e);
	struct pool_counts c;

	pool_counts_range(e->pool, range, &c);
	return fo_share_move(&r, c.free, c.backup, eager);
}

static bool range_is_mine(const struct fo_endpoint *e, uint32_t range)
{
	const struct scope_table *t = pool_table(e->pool);

	return !(t->ranges[range].flags & RANGE_RESERVED) &&
	       t->scopes[t->ranges[range].scope].relation == (int)e->conf->relation;
}

/* Once it is durable the address is not ours any more, even if the partner never hears of it. */
static uint32_t give_one(struct fo_endpoint *e, const struct lease *first)
{
	struct lease l = *first;

	l.state = LEASE_BACKUP;
	l.acked_state = LEASE_FREE;
	l.flags |= LEASE_DIRTY;
	l.stos = sec_clamp(e->now.wall.sec);
	l.serial++;
	fo_store(e, &l, NULL);
	e->count.addresses_given++;
	return 1;
}

/* Never-used ones, many by one update; from the end of the range, since we begin at the other. */
static uint32_t give_runs(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint32_t done = 0, most = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	uint64_t below = 1ULL << 32;
	struct pool_stretch s;

	while (e->runs && most - done >= POOL_RUN_MIN &&
	       pool_unused_last(e->pool, range, LEASE_FREE, most - done, below, &s)) {
		below = s.l.addr;
		if (s.n < POOL_RUN_MIN)
			continue;
		s.l.state = LEASE_BACKUP;
		s.l.acked_state = LEASE_FREE;
		s.l.flags = LEASE_DIRTY;
		s.l.stos = sec_clamp(e->now.wall.sec);
		s.l.serial++;
		fo_store_run(e, &s.l, s.n);
		done += s.n;
	}
	e->count.addresses_given += done;
	return done;
}

static uint32_t give(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint32_t done = 0;

	for (; n > 0; n--, done++) {
		const struct lease *first = pool_range_free_first(e->pool, range, LEASE_FREE);

		if (!first)
			break;
		give_one(e, first);
	}
	return done;
}

/* From the end, too: the secondary begins at the other. */
static uint32_t take_runs(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint32_t done = 0, most = n > 0 ? (uint32_t)n : 0;
	uint64_t below = 1ULL << 32;
	struct pool_stretch s;

	while (e->runs && fo_due(e->take_at, &e->now) && most - done >= POOL_RUN_MIN &&
	       pool_unused_last(e->pool, range, LEASE_BACKUP, most - done, below, &s)) {
		below = s.l.addr;
		if (s.n < POOL_RUN_MIN || s.l.flags & LEASE_DIRTY)
			continue;
		s.l.flags |= LEASE_DIRTY;
		s.l.acked_state = LEASE_BACKUP;
		s.l.serial++;
		fo_store_run(e, &s.l, s.n);
		done += s.n;
	}
	e->count.addresses_taken += done;
	return done;
}

/* An address of the secondary's share stays its own until it agrees (failover-behaviour §4.1): the
 * row remains BACKUP, marked as wanted back. */
static void take_back(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	const struct addr_range *r = &pool_table(e->pool)->ranges[range];
	struct lease l;

	for (uint64_t a = r->first; a <= r->last; a++)
		n -= fo_taking_back(e, pool_get(e->pool, (uint32_t)a));
	n -= take_runs(e, range, n);
	for (uint64_t a = r->last; n > 0 && a >= r->first && a <= r->last; a--) {
		l = *pool_get(e->pool, (uint32_t)a);
		if (l.state != LEASE_BACKUP || (l.flags & (LEASE_DIRTY | LEASE_RESERVED)))
			continue;
		l.flags |= LEASE_DIRTY;
		l.acked_state = LEASE_BACKUP;
		l.serial++;
		fo_store(e, &l, NULL);
		e->count.addresses_taken++;
		n--;
	}
}

static void ask_for_more(struct fo_endpoint *e, bool soon)
{
	if (!fo_due(e->poolreq_at, &e->now))
		return;
	e->poolreq_at = mono_add_us(e->now.mono, soon ? FO_POOLREQ_SOON_US : FO_POOLREQ_US);
	fo_send_plain(e, FO_POOLREQ, fo_next_xid(e));
}

/* Return: addresses given. What finds no room now follows when these have arrived. */
static uint32_t balance_primary(struct fo_endpoint *e, bool eager)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges, given = 0;

	e->more_to_move = false;
	for (uint32_t i = 0; i < ranges; i++) {
		uint32_t busy = pool_dirty_count(e->pool, e->conf->relation);
		int64_t room = busy < FO_BALANCE_CHUNK ? FO_BALANCE_CHUNK - busy : 0, move;

		if (!range_is_mine(e, i))
			continue;
		move = range_move(e, i, eager);
		if (!move)
			continue;
		if (move > 0) {
			uint32_t by_run = give_runs(e, i, move);

			given += by_run;
			move -= by_run;
		}
		if (move > room || -move > room)
			e->more_to_move = true;
		if (move < 0 && e->isc) /* it may have leased any of them: it is to give */
			ask_for_more(e, false);
		else if (move > 0)
			given += give(e, i, move < room ? move : room);
		else if (move < 0)
			take_back(e, i, -move < room ? -move : room);
	}
	return given;
}

static void balance_secondary(struct fo_endpoint *e)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges;
	struct pool_counts c;

	for (uint32_t i = 0; i < ranges; i++) {
		if (!range_is_mine(e, i) || range_move(e, i, e->isc) <= 0)
			continue;
		pool_counts_range(e->pool, i, &c);
		ask_for_more(e, e->own_kind && c.backup < 2);
		return;
	}
}

static uint32_t give_back_some(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint32_t done = 0;

	for (; n > 0; n--, done++) {
		const struct lease *first = pool_range_free_first(e->pool, range, LEASE_BACKUP);
		struct lease l;

		if (!first)
			break;
		l = *first;
		l.state = LEASE_FREE;
		l.acked_state = LEASE_BACKUP;
		l.flags |= LEASE_DIRTY;
		l.stos = sec_clamp(e->now.wall.sec);
		l.serial++;
		fo_store(e, &l, NULL);
	}
	return done;
}

/* An ISC primary that asks us has less than its half. Once told the address is its own. */
static uint32_t give_back(struct fo_endpoint *e)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges, given = 0;

	for (uint32_t i = 0; i < ranges; i++)
		if (range_is_mine(e, i))
			given += give_back_some(e, i, -range_move(e, i, true));
	e->count.addresses_given += given;
	return given;
}

void fo_balance(struct fo_endpoint *e)
{
	e->balance_at = mono_add_us(e->now.mono, FO_BALANCE_US);
	if (e->rec.end.state != FO_NORMAL || !e->heard)
		return;
	e->balanced = e->now.mono;
	if (e->conf->primary)
		(void)balance_primary(e, e->more_to_move); /* what was begun is finished */
	else
		balance_secondary(e);
}

void fo_balance_pump(struct fo_endpoint *e)
{
	bool room = pool_dirty_count(e->pool, e->conf->relation) < FO_BALANCE_CHUNK / 2;

	if (fo_due(e->balance_at, &e->now) || (e->more_to_move && room))
		fo_balance(e);
}

void fo_balance_asked(struct fo_endpoint *e, uint32_t xid)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	uint32_t n = 0;

	/* it looks at every address: who asks all the time is told "none" in between */
	if (e->conf->primary && e->rec.end.state == FO_NORMAL && fo_due(e->given_at, &e->now)) {
		n = balance_primary(e, true);
		e->given_at = mono_add_us(e->now.mono, FO_BALANCE_MIN_US);
	} else if (e->isc && !e->conf->primary && e->rec.end.state == FO_NORMAL) {
		n = give_back(e);
	}
	fo_begin(e, &w, buf, FO_POOLRESP, xid);
	fo_write_u32(&w, FO_OPT_ADDRESSES_TRANSFERRED, n);
	fo_send(e, &w);
}

void fo_balance_answered(struct fo_endpoint *e, uint32_t count)
{
	if (count && e->own_kind) /* there may be more (draft §7.2) */
		e->poolreq_at =
			mono_min(e->poolreq_at, mono_add_us(e->now.mono, FO_POOLREQ_SOON_US));
}
