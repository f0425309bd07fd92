/*
 * What became of our binding updates: accepted, refused, or lost with the link; and the later
 * tries.
 *
 * Callers: fo_link (BNDACK, loss of the link), fo_endpoint (timer, steps of the state machine).
 * Standards: draft-ietf-dhc-failover-12 §7.1.5, §7.2, §8.3; failover-behaviour §5.5, §5.6.
 */
#include "core/fo_endpoint_priv.h"

/* What our own kind refused it may take now, for what it told since was refused in favour of it. Who
 * does not agree all the same asks ever less often, down to once a minute. */
void fo_retry_sooner(struct fo_endpoint *e)
{
	mono_t at = mono_add_us(e->now.mono, (int64_t)e->sooner_sec * FO_SEC_US);

	if (!e->own_kind || !e->rejected || e->retry_at.us <= at.us)
		return;
	e->retry_at = at;
	e->sooner_sec = e->sooner_sec * 2 < FO_RETRY_SEC ? e->sooner_sec * 2 : FO_RETRY_SEC;
}

/* Our own kind has news of what it refuses, which come at once, or cross ours on the wire: then
 * what is left of ours is told again. An ISC changes its mind less often (failover-behaviour §5.6).
 */
static uint32_t pace_sec(const struct fo_endpoint *e)
{
	return e->retry_sec ? e->retry_sec : e->own_kind ? FO_SOONER_SEC : FO_RETRY_SEC;
}

/* What the partner lacks has a time of its own, so that it neither comes with every retry of what
 * is refused for a reason that passes, nor slows those down (decision A16). */
void fo_retry_later(struct fo_endpoint *e, enum fo_reject why)
{
	uint32_t sec = why == FO_REJECT_TIME_MISMATCH ? FO_RETRY_SEC : pace_sec(e);

	if (why == FO_REJECT_ILLEGAL_ADDRESS) {
		e->lacked_at = mono_min(e->lacked_at,
					mono_add_us(e->now.mono, FO_RETRY_MAX_SEC * FO_SEC_US));
		return;
	}
	e->rejected++;
	e->retry_at = mono_min(e->retry_at, mono_add_us(e->now.mono, (int64_t)sec * FO_SEC_US));
}

void fo_skip_rejected(struct fo_endpoint *e, uint32_t addr, enum fo_reject why)
{
	pool_in_flight(e->pool, addr, true);
	if (why == FO_REJECT_ILLEGAL_ADDRESS)
		pool_lacked(e->pool, addr);
	fo_retry_later(e, why);
}

static struct fo_flight *flight_of(struct fo_endpoint *e, uint32_t xid)
{
	for (uint32_t i = 0; xid && i < e->max_flights; i++) {
		uint32_t at = (e->ack_hint + i) % e->max_flights;

		if (e->flights[at].xid != xid)
			continue;
		e->ack_hint = at;
		return &e->flights[at];
	}
	return NULL;
}

static struct fo_sent *sent_of(struct fo_flight *f, uint32_t addr)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->b[i].addr == addr && f->b[i].open)
			return &f->b[i];
	return NULL;
}

static bool write_later(struct fo_endpoint *e, const struct lease *then)
{
	struct fo_lazy *z = &e->lazy;
	uint32_t at = (z->first + z->n) % FO_LAZY_MAX;

	if (then->state != LEASE_ACTIVE || z->n == FO_LAZY_MAX)
		return false;
	if (!z->n++)
		z->at = mono_add_us(e->now.mono, FO_LAZY_US);
	z->ring[at].addr = then->addr;
	z->ring[at].serial = then->serial;
	return true;
}

void fo_write_acked(struct fo_endpoint *e)
{
	struct fo_lazy *z = &e->lazy;

	for (unsigned i = 0; i < FO_LAZY_CHUNK && z->n; i++, z->n--) {
		const struct lease *l = pool_get(e->pool, z->ring[z->first].addr);

		/* else it has been written since, and all that is known of it */
		if (l && l->serial == z->ring[z->first].serial && !(l->flags & LEASE_DIRTY))
			e->sink.put(e->sink.ctx, l, NULL);
		z->first = (z->first + 1) % FO_LAZY_MAX;
	}
	z->at = z->n ? e->now.mono : MONO_NEVER;
}

static void accepted(struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	struct lease then;

	if (!(l->flags & LEASE_DIRTY)) { /* of a full update: we had its word before */
		pool_in_flight(e->pool, s->addr, false);
		return;
	}
	e->count.addresses_taken += fo_was_taken(s, l);
	then = binding_acked(l, s->pet, s->state, e->now.wall);
	if (write_later(e, &then)) {
		(void)pool_apply(e->pool, &then, e->batch);
		return;
	}
	fo_store(e, &then, NULL);
	if (s->state != LEASE_FREE && s->state != LEASE_BACKUP)
		fo_balance_freed(e, &then);
}

/* What is done about a refusal, in words. */
const char *fo_next_try(const struct fo_endpoint *e, bool dirty, enum fo_reject reason)
{
	if (!dirty)
		return "nothing: it was told at the partner's request only";
	if (reason == FO_REJECT_ILLEGAL_ADDRESS)
		return "it is sent again in an hour, or with the next connection";
	if (reason == FO_REJECT_TIME_MISMATCH)
		return "it is sent again when the clocks agree";
	return pace_sec(e) > FO_RETRY_SEC   ? "it is sent again later, within an hour"
	       : pace_sec(e) < FO_RETRY_SEC ? "it is sent again within a minute"
					     : "it is sent again in a minute";
}

static void refused(struct fo_endpoint *e, const struct fo_sent *s, const struct fo_binding *b)
{
	const struct lease *l = pool_get(e->pool, s->addr);
	bool dirty = l && l->flags & LEASE_DIRTY;
	struct lease known = { .addr = s->addr };

	if (l) {
		known.state = l->acked_state;
		known.rcvd_pet = l->rcvd_pet;
		fo_refused(e, &(struct fo_refusal){ .reason = b->reject,
						    .ours = l,
						    .theirs = &known,
						    .words = b->message,
						    .next = fo_next_try(e, dirty, b->reject) });
	}
	if (dirty)
		fo_skip_rejected(e, s->addr, b->reject);
	else
		pool_in_flight(e->pool, s->addr, false);
}

/* Does what was sent still stand? A change since then is on its way by itself. That NORMAL was left
 * or entered is none: what was wanted back, and is given now, is ours. */
static bool unchanged(const struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	return l && l->serial == s->serial && pool_is_in_flight(e->pool, s->addr) &&
	       (fo_state_to_send(e, l) == s->state || fo_wanted_back(e, l));
}

/* We took the partner's word while ours was on its way, and now it has taken ours: both tell again
 * what they hold, and the same rule decides on both sides. */
static void tell_again(struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	struct lease d;

	if (!e->own_kind || !l || l->flags & LEASE_DIRTY || l->serial == s->serial)
		return;
	d = fo_mark_dirty(l);
	d.serial = lease_serial_above(s->serial, l->serial);
	fo_store(e, &d, NULL);
}

/* Return: false when what the partner answers to has changed since. */
static bool one_acked(struct fo_endpoint *e, const struct fo_sent *s, const struct fo_binding *b)
{
	bool rejected = b->has & 1u << FO_OPT_REJECT_REASON;
	const struct lease *l = pool_get(e->pool, b->addr);

	if (!unchanged(e, s, l)) {
		if (!rejected)
			tell_again(e, s, l);
		return false;
	}
	if (rejected)
		refused(e, s, b);
	else
		accepted(e, s, l);
	return true;
}

static void acked_one(struct fo_endpoint *e, struct fo_flight *f, const struct fo_binding *b)
{
	bool rejected = b->has & 1u << FO_OPT_REJECT_REASON, stands;
	struct fo_sent *s = sent_of(f, b->addr);

	if (!s)
		return;
	s->open = false;
	f->open--;
	e->unacked--;
	if (rejected)
		e->count.updates_rejected_by_partner++;
	else
		e->count.updates_acked++;
	stands = s->run ? fo_run_acked(e, s, b) : one_acked(e, s, b);
	if (!stands && rejected && f->dump)
		fo_updates_overtaken(e);
}

static void retries_begin_anew(struct fo_endpoint *e)
{
	e->retry_sec = 0;
	e->sooner_sec = FO_SOONER_SEC;
}

static bool nothing_left(const struct fo_endpoint *e)
{
	return !e->n_flights && !e->rejected &&
	       !pool_dirty_first(e->pool, e->conf->relation, UINT64_MAX);
}

void fo_updates_acked(struct fo_endpoint *e, const struct fo_msg *m)
{
	struct fo_flight *f = flight_of(e, m->xid);
	struct fo_binding b;
	unsigned cursor = 0;

	if (!f)
		return;
	while (fo_msg_next_binding(m, &cursor, &b))
		acked_one(e, f, &b);
	if (f->open)
		return;
	f->xid = 0;
	e->n_flights--;
	e->dump.flights -= f->dump;
	e->acked = e->now.mono;
	if (e->own_kind && nothing_left(e))
		retries_begin_anew(e);
}

/* --- loss of the link, retries ---------------------------------------------------------------- */

void fo_updates_reset(struct fo_endpoint *e)
{
	for (uint32_t i = 0; i < e->max_flights; i++) {
		struct fo_flight *f = &e->flights[i];

		for (unsigned k = 0; f->xid && k < f->n; k++)
			if (f->b[k].open && f->b[k].run)
				pool_run_in_flight(e->pool, f->b[k].addr, false);
			else if (f->b[k].open)
				pool_in_flight(e->pool, f->b[k].addr, false);
		f->xid = 0;
	}
	e->count.updates_dropped += e->unacked;
	e->n_flights = e->unacked = 0;
	e->ack_len = e->n_acks = 0; /* received, but never to be acknowledged (§8.3) */
	e->ack_at = MONO_NEVER;
	e->asked_xid = 0;
	e->ask_at = MONO_NEVER;
	fo_isc_told_reset(e);
	fo_isc_first_reset(e);
	e->dump.active = e->asked_of_us = false;
	e->dump.flights = 0;
	fo_updates_retry_all(e);
	retries_begin_anew(e);
}

bool fo_is_flying(const struct fo_endpoint *e, uint32_t addr)
{
	for (uint32_t i = 0; i < e->max_flights; i++)
		for (unsigned k = 0; e->flights[i].xid && k < e->flights[i].n; k++)
			if (e->flights[i].b[k].addr == addr && e->flights[i].b[k].open &&
			    !e->flights[i].b[k].run)
				return true;
	return false;
}

/* Older news may still be without an answer where the partner has refused these. */
bool fo_this_flies(const struct fo_endpoint *e, const struct lease *l, bool run)
{
	for (uint32_t i = 0; i < e->max_flights; i++)
		for (unsigned k = 0; e->flights[i].xid && k < e->flights[i].n; k++)
			if (e->flights[i].b[k].addr == l->addr && e->flights[i].b[k].open &&
			    e->flights[i].b[k].serial == l->serial &&
			    !e->flights[i].b[k].run == !run)
				return true;
	return false;
}

/* The next binding of this relationship at or after @addr. Other relationships' ranges are stepped
 * over as a whole: a server with a thousand of them walks for each. */
const struct lease *fo_next_mine(const struct fo_endpoint *e, uint64_t addr)
{
	const struct lease *l;

	for (; addr <= UINT32_MAX; addr = (uint64_t)pool_range_last(e->pool, l->addr) + 1) {
		l = pool_next(e->pool, (uint32_t)addr);
		if (!l || fo_mine(e, l->addr))
			return l;
	}
	return NULL;
}

/* Into the queue again: what the partner lacks, or all else that it has refused. */
static void put_back(struct fo_endpoint *e, bool lacked)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = fo_next_mine(e, a)); a = (uint64_t)l->addr + 1)
		if (l->flags & LEASE_DIRTY && pool_is_in_flight(e->pool, l->addr) &&
		    pool_is_lacked(e->pool, l->addr) == lacked &&
		    !fo_this_flies(e, l, false))
			pool_in_flight(e->pool, l->addr, false);
	fo_run_retry(e, lacked);
}

void fo_updates_retry(struct fo_endpoint *e)
{
	uint32_t sec = pace_sec(e) * 2;

	e->retry_at = MONO_NEVER;
	if (!e->rejected)
		return;
	e->rejected = 0;
	e->retry_sec = sec < FO_RETRY_MAX_SEC ? sec : FO_RETRY_MAX_SEC;
	put_back(e, false);
}

void fo_lacked_retry(struct fo_endpoint *e)
{
	e->lacked_at = MONO_NEVER;
	if (pool_lacked_count(e->pool, e->conf->relation))
		put_back(e, true);
}

void fo_updates_retry_all(struct fo_endpoint *e)
{
	fo_updates_retry(e);
	fo_lacked_retry(e);
}

void fo_updates_forget(struct fo_endpoint *e)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = fo_next_mine(e, a)); a = (uint64_t)l->addr + 1) {
		struct lease d = fo_mark_dirty(l);

		d.acked_pet = 0;
		if (d.flags != l->flags || d.acked_state != l->acked_state || l->acked_pet)
			fo_store(e, &d, NULL);
	}
	fo_run_forget(e);
}
