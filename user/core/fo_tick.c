/*
 * What time and the disk bring to an end of a failover relationship: its timers, when the next of
 * them is due, what waited for a commit.
 *
 * Callers: the driver (daemon, simulator, tests), in its turns.
 * Standards: draft-ietf-dhc-failover-12 §9; failover-behaviour §1, §3, §6.4; decisions A8, A9.
 */
#include "core/fo_endpoint_priv.h"

/* --- timers ----------------------------------------------------------------------------------- */

static void step_plain(struct fo_endpoint *e, enum fo_event ev)
{
	struct fo_in in = fo_input(e, ev);

	(void)fo_step(e, &in);
}

static void operational(struct fo_endpoint *e)
{
	e->operational_at = mono_add_us(e->now.mono, FO_OPERATIONAL_SEC * FO_SEC_US);
	if (!fo_state_operational(e->rec.end.state) || e->hold)
		return;
	e->rec.end.last_operational = sec_clamp(e->now.wall.sec);
	fo_persist(e);
}

static bool reached(uint32_t at, const struct now *now)
{
	return at && now->wall.sec >= at;
}

static void tick_states(struct fo_endpoint *e)
{
	if (fo_due(e->startup_at, &e->now)) {
		e->startup_at = MONO_NEVER;
		step_plain(e, FO_EV_STARTUP_TIMER);
	}
	if (reached(e->recover_until, &e->now)) {
		e->recover_until = 0;
		step_plain(e, FO_EV_RECOVER_TIMER);
	}
	if (e->hold && !e->partner_sign && reached(e->hold_until, &e->now)) {
		e->hold = false;
		step_plain(e, FO_EV_HOLD_OVER);
	}
	if (fo_due(e->safe_at, &e->now)) {
		e->safe_at = MONO_NEVER;
		step_plain(e, FO_EV_SAFE_PERIOD);
	}
}

static void pump(struct fo_endpoint *e)
{
	if (!fo_closing(e)) /* no new business */
		fo_balance_pump(e);
	fo_updates_pump(e);
	fo_isc_told_pump(e);
	fo_closing_pump(e);
}

void fo_endpoint_tick(struct fo_endpoint *e, const struct now *now)
{
	e->now = *now;
	fo_link_tick(e);
	tick_states(e);
	if (fo_due(e->operational_at, now))
		operational(e);
	if (fo_due(e->lazy.at, now))
		fo_write_acked(e);
	if (fo_due(e->retry_at, now))
		fo_updates_retry(e);
	if (fo_due(e->lacked_at, now))
		fo_lacked_retry(e);
	fo_updates_begin(e);
	fo_updates_ask_again(e);
	pump(e);
}

static mono_t wall_timer(const struct fo_endpoint *e, uint32_t at)
{
	int64_t sec = (int64_t)at - e->now.wall.sec;

	return at ? mono_add_us(e->now.mono, sec > 0 ? sec * FO_SEC_US : 0) : MONO_NEVER;
}

static mono_t next_of_link(const struct fo_endpoint *e)
{
	mono_t t = mono_min(mono_min(e->handshake_at, e->settle_at),
			    mono_min(e->contact_at, e->tell_at));

	if (e->link != LINK_UP)
		return t;
	t = mono_min(t, mono_add_us(e->last_heard, (int64_t)fo_contact_sec(e) * FO_SEC_US));
	if (e->n_flights)
		t = mono_min(t, mono_add_us(e->acked, FO_STUCK_US));
	else if (e->dump.active && e->dump.all && e->dump.cursor <= UINT32_MAX && !e->first_xid)
		t = e->now.mono; /* the walk goes on */
	if (e->asked_of_us)
		t = mono_min(t, e->dump_at);
	if (fo_awaits_partner(e))
		t = mono_min(t, mono_add_us(e->progress, FO_STUCK_US));
	return mono_min(mono_min(t, e->ack_at), mono_min(e->told.at, e->first_until));
}

mono_t fo_endpoint_next(const struct fo_endpoint *e)
{
	mono_t t = mono_min(next_of_link(e), mono_min(e->startup_at, e->safe_at));

	t = mono_min(t, mono_min(e->retry_at, e->operational_at));
	t = mono_min(t, e->lacked_at);
	t = mono_min(t, mono_min(e->lazy.at, e->ask_at));
	t = mono_min(t, fo_closing(e) ? e->closing_until : e->balance_at);
	t = mono_min(t, wall_timer(e, e->recover_until));
	if (e->hold && !e->partner_sign)
		t = mono_min(t, wall_timer(e, e->hold_until));
	return t;
}

/* --- disk, changes ---------------------------------------------------------------------------- */

/* What ended leases may be used again at, now that the partner's word is not to be had (§6.4). */
static void reclaim(struct fo_endpoint *e)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = fo_next_mine(e, a)); a = (uint64_t)l->addr + 1)
		if (l->state == LEASE_EXPIRED || l->state == LEASE_RELEASED ||
		    l->state == LEASE_RESET)
			pool_set_timer(e->pool, l->addr,
				       binding_reclaim_at(&e->view, l, e->rec.end.stos));
}

void fo_endpoint_durable(struct fo_endpoint *e, uint64_t batch, const struct now *now)
{
	e->now = *now;
	e->durable = batch;
	if (e->reclaim_batch && batch >= e->reclaim_batch) {
		e->reclaim_batch = 0;
		reclaim(e);
	}
	fo_updates_pump(e);
	fo_closing_pump(e);
}

void fo_endpoint_pump(struct fo_endpoint *e, const struct now *now)
{
	e->now = *now;
	/* in the same commit as what was promised (decision A9), to the second */
	if (e->rec.end.last_operational < now->wall.sec)
		operational(e);
	e->balance_at = mono_min(e->balance_at, mono_add_us(e->balanced, FO_BALANCE_MIN_US));
	pump(e);
}
