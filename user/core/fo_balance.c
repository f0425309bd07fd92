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

	if (r->percent == 0 || r->percent == 100) /* one has none at all: not even a few */
		return move;
	if (eager || (move > 0 && backup < 2) || (move < 0 && free < 2))
		return move;
	return (uint64_t)size > threshold ? move : 0;
}

int64_t fo_share_hold(const struct fo_share_rule *r, uint32_t free, uint32_t backup)
{
	if (r->percent == 0 || r->percent == 100)
		return 0;
	if (free < 2 || backup < 2) /* it is to have its share, of whatever there is (A4) */
		return 0;
	return (int64_t)((((uint64_t)free + backup) * r->ownership + 50) / 100);
}

static struct fo_share_rule rule_of(const struct fo_endpoint *e)
{
	const struct fo_conf *c = e->conf;
	struct fo_share_rule r = { .misbalance = c->misbalance, .ownership = c->ownership };

	if (e->isc) {
		r.percent = 50; /* it balances to that, whatever the mode */
	} else if (c->policy.hot_standby) {
		r.percent = c->standby_reserve;
		r.round_up = c->policy.active_is_primary;
		if (!c->policy.active_is_primary) /* mirrored: the reserve is the primary's */
			r.percent = 100 - c->standby_reserve;
	} else {
		r.percent = c->share_secondary;
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
	l.serial = lease_serial_next(l.serial);
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
		s.l.serial = lease_serial_next(s.l.serial);
		if (!fo_store_run(e, &s.l, s.n))
			break; /* one by one, then */
		done += s.n;
	}
	e->count.addresses_given += done;
	return done;
}

/* Whose bucket is the client that had it last in? Without one it is nobody's. */
static bool last_client_is(const struct fo_endpoint *e, const struct lease *l, bool secondary)
{
	bool primarys = e->policy.hba[l->bucket / 8] >> (l->bucket % 8) & 1;

	return !client_key_none(l->key) && !e->conf->policy.hot_standby && primarys != secondary;
}

/* Used ones, oldest first. @fond: only those whose last client the partner serves. */
static uint32_t give_used(struct fo_endpoint *e, uint32_t range, int64_t n, bool fond)
{
	const struct lease *l = pool_range_used_next(e->pool, range, LEASE_FREE, NULL), *next;
	uint32_t done = 0;

	for (; l && done < n; l = next) {
		next = pool_range_used_next(e->pool, range, LEASE_FREE, l);
		if (!fond || last_client_is(e, l, true))
			done += give_one(e, l);
	}
	return done;
}

static uint32_t give_unused(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint32_t done = 0;
	const struct lease *l;

	while (done < n && (l = pool_range_free_first(e->pool, range, LEASE_FREE)) &&
	       !pool_has_record(e->pool, l->addr))
		done += give_one(e, l);
	return done;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* failover-behaviour §6.3: first what the secondary's clients had, even some beyond its share; then
 * what nobody had; of the rest only what is more than the slack. @room: for single addresses. */
static uint32_t give(struct fo_endpoint *e, uint32_t range, int64_t move, int64_t hold,
		     int64_t room)
{
	int64_t left = move, n;

	n = give_used(e, range, least(left + hold, room), true);
	left -= n;
	room -= n;
	if (left > 0)
		left -= give_runs(e, range, left);
	n = left > 0 ? give_unused(e, range, least(left, room)) : 0;
	left -= n;
	room -= n;
	if (left > hold) {
		n = give_used(e, range, least(left - hold, room), false);
		left -= n;
		room -= n;
	}
	e->more_to_move |= room <= 0 && left > hold;
	return (uint32_t)(move - left);
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
		s.l.serial = lease_serial_next(s.l.serial);
		if (!fo_store_run(e, &s.l, s.n))
			break; /* one by one, then */
		done += s.n;
	}
	return done;
}

/* An address of the secondary's share stays its own until it agrees (failover-behaviour §4.1): the
 * row remains BACKUP, marked as wanted back. */
static void take_one(struct fo_endpoint *e, const struct lease *l)
{
	struct lease d = *l;

	d.flags |= LEASE_DIRTY;
	d.acked_state = LEASE_BACKUP;
	d.serial = lease_serial_next(d.serial);
	fo_store(e, &d, NULL);
}

static int64_t take_unused(struct fo_endpoint *e, uint32_t range, int64_t n)
{
	uint64_t below = 1ULL << 32;
	struct pool_stretch s;
	int64_t done = 0;

	while (done < n && pool_unused_last(e->pool, range, LEASE_BACKUP, 1, below, &s)) {
		below = s.l.addr;
		if (s.l.flags & LEASE_DIRTY)
			continue;
		take_one(e, &s.l);
		done++;
	}
	return done;
}

static int64_t take_used(struct fo_endpoint *e, uint32_t range, int64_t n, bool fond)
{
	const struct lease *l = pool_range_used_next(e->pool, range, LEASE_BACKUP, NULL), *next;
	int64_t done = 0;

	for (; l && done < n; l = next) {
		next = pool_range_used_next(e->pool, range, LEASE_BACKUP, l);
		if (l->flags & LEASE_DIRTY || (fond && !last_client_is(e, l, false)))
			continue;
		take_one(e, l);
		done++;
	}
	return done;
}

/* @left: without those that are wanted back already. */
static void take_back(struct fo_endpoint *e, uint32_t range, int64_t left, int64_t hold,
		      int64_t room)
{
	int64_t n;

	if (left <= 0)
		return;
	n = take_used(e, range, least(left, room), true);
	left -= n;
	room -= n;
	left -= take_runs(e, range, left);
	n = take_unused(e, range, least(left, room));
	left -= n;
	room -= n;
	if (left > hold) {
		n = take_used(e, range, least(left - hold, room), false);
		left -= n;
		room -= n;
	}
	e->more_to_move |= room <= 0 && left > hold;
}

static void ask_for_more(struct fo_endpoint *e, int64_t again_us)
{
	/* with nothing left it is asked at once, whenever it was asked before */
	if (!fo_due(e->poolreq_at, &e->now) && !(e->own_kind && e->starved))
		return;
	e->poolreq_at = mono_add_us(e->now.mono, again_us);
	fo_send_plain(e, FO_POOLREQ, fo_next_xid(e));
}

/* What is being told, or waits to be. What the partner refused waits for its next try, for an hour
 * where it lacks a range: that keeps nothing else from moving. */
static uint32_t busy(const struct fo_endpoint *e)
{
	uint32_t dirty = pool_dirty_count(e->pool, e->conf->relation);
	uint32_t waits = e->rejected + pool_lacked_count(e->pool, e->conf->relation);

	return dirty > waits ? dirty - waits : 0;
}

/* Return: addresses given. What finds no room now follows when these have arrived. */
static uint32_t balance_range(struct fo_endpoint *e, uint32_t range, bool eager)
{
	int64_t room = busy(e) < FO_BALANCE_CHUNK ? FO_BALANCE_CHUNK - busy(e) : 0, move, hold;
	struct fo_share_rule r = rule_of(e);
	struct pool_counts c;

	pool_counts_range(e->pool, range, &c);
	move = fo_share_move(&r, c.free, c.backup, eager);
	hold = fo_share_hold(&r, c.free, c.backup);
	if (move > 0)
		return give(e, range, move, hold, room);
	if (move < 0 && e->isc) /* it may have leased any of them: it is to give */
		ask_for_more(e, FO_POOLREQ_US);
	else if (move < 0)
		take_back(e, range, -move - c.wanted_back, hold, room);
	return 0;
}

static uint32_t balance_primary(struct fo_endpoint *e, bool eager)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges, given = 0;

	e->more_to_move = false;
	for (uint32_t i = 0; i < ranges; i++)
		if (range_is_mine(e, i))
			given += balance_range(e, i, eager);
	return given;
}

void fo_balance_freed(struct fo_endpoint *e, const struct lease *l)
{
	struct fo_share_rule r = rule_of(e);
	struct pool_counts c;
	uint32_t range;

	if (!e->conf->primary || e->rec.end.state != FO_NORMAL || !e->heard || !r.percent ||
	    l->state != LEASE_FREE || l->flags & LEASE_RESERVED ||
	    pool_is_reserved(e->pool, l->addr) || !last_client_is(e, l, true))
		return;
	range = pool_range_index(e->pool, l->addr);
	pool_counts_range(e->pool, range, &c);
	if (fo_share_move(&r, c.free, c.backup, true) > -fo_share_hold(&r, c.free, c.backup))
		(void)give_one(e, l);
}

/* The partner has all free addresses of a range: nobody may be left to wonder why. */
static void tell_empty(struct fo_endpoint *e)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges, empty = ranges;
	struct fo_share_rule r = rule_of(e);
	struct pool_counts c;

	if (r.percent == (e->conf->primary ? 100 : 0))
		return; /* as configured */
	for (uint32_t i = 0; i < ranges && empty == ranges; i++) {
		if (!range_is_mine(e, i))
			continue;
		pool_counts_range(e->pool, i, &c);
		if (c.free + c.backup > 1 && !(e->conf->primary ? c.free : c.backup))
			empty = i;
	}
	if (empty < ranges && !e->starved)
		fo_event(e, "share-empty", "the partner holds all free addresses of a range",
			 pool_table(e->pool)->ranges[empty].first, 0, 0);
	e->starved = empty < ranges;
}

static void balance_secondary(struct fo_endpoint *e)
{
	uint32_t ranges = pool_table(e->pool)->n_ranges;
	struct pool_counts c;

	for (uint32_t i = 0; i < ranges; i++) {
		if (!range_is_mine(e, i) || range_move(e, i, e->isc) <= 0)
			continue;
		pool_counts_range(e->pool, i, &c);
		ask_for_more(e, !e->own_kind   ? FO_POOLREQ_US
				: !c.backup    ? FO_POOLREQ_NOW_US
				: c.backup < 2 ? FO_POOLREQ_SOON_US
					       : FO_POOLREQ_US);
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
		l.serial = lease_serial_next(l.serial);
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
	tell_empty(e);
	if (e->conf->primary)
		(void)balance_primary(e, e->more_to_move); /* what was begun is finished */
	else
		balance_secondary(e);
}

void fo_balance_pump(struct fo_endpoint *e)
{
	bool room = busy(e) < FO_BALANCE_CHUNK / 2;

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
