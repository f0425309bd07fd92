/*
 * One end of a failover relationship: its life, the steps of its state machine and what they ask
 * for, its view, the operator's wishes. What time and the disk bring is in fo_tick.c.
 *
 * Callers: the driver (daemon, simulator, tests), once per event of a turn.
 * Standards: draft-ietf-dhc-failover-12 §9; failover-behaviour §1, §3, §6.4; decisions A7 to A23.
 */
#include "core/fo_endpoint_priv.h"

#include <string.h>

/* --- small things ------------------------------------------------------------------------------
 */

void fo_event(struct fo_endpoint *e, const char *what, const char *why, uint32_t addr, uint32_t a,
	      uint32_t b)
{
	e->sink.event(e->sink.ctx, what, why, addr, a, b);
}

void fo_refused(struct fo_endpoint *e, const struct fo_refusal *r)
{
	if (e->sink.refused)
		e->sink.refused(e->sink.ctx, r);
}

void fo_persist(struct fo_endpoint *e)
{
	e->sink.persist(e->sink.ctx, &e->rec);
}

void fo_store(struct fo_endpoint *e, const struct lease *l, const struct lease_client *c)
{
	struct lease copy = *l; /* it may be the pool's own */

	(void)pool_apply(e->pool, &copy, e->batch);
	e->sink.put(e->sink.ctx, &copy, c);
}

/* --- view ------------------------------------------------------------------------------------- */

static bool same_policy(const struct relation_policy *a, const struct relation_policy *b)
{
	return a->serve == b->serve && a->secs_threshold == b->secs_threshold &&
	       a->hash_identity == b->hash_identity && !memcmp(a->owned, b->owned, 32);
}

static bool same_view(const struct fo_view *a, const struct fo_view *b)
{
	return same_policy(&a->policy, &b->policy) && a->primary == b->primary &&
	       a->serve_new == b->serve_new && a->serve_renew == b->serve_renew &&
	       a->nak == b->nak && a->hold == b->hold && a->balanced == b->balanced &&
	       a->limited == b->limited && a->partner_down == b->partner_down && a->isc == b->isc &&
	       a->mclt == b->mclt && a->mclt_former == b->mclt_former && a->behind == b->behind &&
	       a->partner_pool_from == b->partner_pool_from;
}

/* Recovered, while the partner is not there: it is likely in PARTNER-DOWN and reclaims an address
 * MCLT after what it knows, so that renewals it hears nothing of would soon be promises on
 * addresses of others. */
bool fo_held(const struct fo_endpoint *e)
{
	bool linked = e->link == LINK_UP && e->heard;

	return e->hold || (e->rec.end.state == FO_RECOVER_DONE && !linked);
}

/* Until a partner is heard after a restart its make is not known; our own kind told its starts. */
static bool may_be_isc(const struct fo_endpoint *e)
{
	return e->isc || (e->conf->dialect != FO_DIALECT_TWINLEASE && e->rec.end.ever_normal &&
			  !e->own_kind && !e->rec.peer_start_count);
}

/* An ISC counts its lead from the potential expiry that we told, by its own clock; and a clock that
 * seems behind may only have been late, so that the limit is all that is known of it. */
static void wait_for_promises(const struct fo_endpoint *e, struct fo_view *v)
{
	bool isc = may_be_isc(e);

	v->mclt_former = fo_former_mclt(e);
	v->behind = isc ? e->conf->max_clock_skew_sec : 0;
	v->partner_pool_from = sec_clamp((int64_t)e->rec.end.stos + fo_view_wait(v) +
					 (isc ? FO_SHARE_PET_SEC : 0));
}

void fo_refresh_view(struct fo_endpoint *e)
{
	struct fo_view v = fo_fsm_view(&e->rec.end, &e->policy, e->rec.mclt, fo_held(e));

	v.isc = e->isc;
	if (v.partner_down)
		wait_for_promises(e, &v);
	if (v.partner_down && e->conf->lift_lease_limit)
		v.limited = false;
	if (fo_closing(e)) {
		v.serve_new = v.serve_renew = v.nak = false;
		v.policy.serve = SERVE_NONE;
	}
	v.policy.generation = e->view.policy.generation;
	if (v.policy.generation && same_view(&v, &e->view))
		return;
	v.policy.generation++;
	e->view = v;
	e->sink.policy(e->sink.ctx, &e->view);
}

/* --- steps of the state machine --------------------------------------------------------------- */

struct fo_in fo_input(const struct fo_endpoint *e, enum fo_event ev)
{
	return (struct fo_in){
		.ev = ev,
		.linked = e->link == LINK_UP && e->heard,
		.new_pair = e->new_pair,
		.isc = e->isc,
		.mclt = fo_wait_mclt(e),
		.boot = e->boot,
		.heard_since_start = e->heard_since_start,
		.now = e->now.wall,
		.hold = e->hold,
		.peer_lost = e->peer_lost,
		.asked = e->asked_xid != 0,
		.settled = e->heard && !fo_owed(e),
	};
}

/* The relationship has a past from now on: an empty store will be known as a lost one (A7). */
static void make_incarnation(struct fo_endpoint *e)
{
	uint64_t r[2];

	if (fo_any(e->rec.incarnation, sizeof(e->rec.incarnation)))
		return;
	r[0] = e->sink.random(e->sink.ctx) | 1;
	r[1] = e->sink.random(e->sink.ctx);
	memcpy(e->rec.incarnation, r, sizeof(e->rec.incarnation));
}

/* How long what a dead partner promised may last: MCLT, or where that was lifted the longest
 * lease (decision A8). */
static uint32_t longest_promise(const struct fo_endpoint *e)
{
	const struct scope_table *t = pool_table(e->pool);
	uint32_t most = fo_wait_mclt(e);

	for (uint32_t i = 0; e->conf->lift_lease_limit && i < t->n_scopes; i++)
		if (t->scopes[i].relation == (int)e->conf->relation &&
		    t->scopes[i].lease_time > most)
			most = t->scopes[i].lease_time;
	return most;
}

/* It counts from the start; where the partner was heard, from then; or from the end of a pause, in
 * which nobody looked for it. */
static void begin_hold(struct fo_endpoint *e, uint8_t from)
{
	bool alone = from == FO_STARTUP && !e->heard;
	int64_t since = alone ? (int64_t)e->boot : e->now.wall.sec;

	e->peer_lost &= e->heard; /* of before that it tells nothing */
	e->partner_sign = false;
	if (e->conf->after_outage_hold) {
		e->hold = true;
		e->hold_until = sec_clamp(since + longest_promise(e));
	} else if (e->rec.end.state == FO_COMM_INT && e->conf->auto_partner_down_sec) {
		e->safe_at = mono_add_us(e->now.mono,
					 (int64_t)e->conf->auto_partner_down_sec * FO_SEC_US);
	}
}

/* The partner is heard, and has nothing to tell: it promises nobody anything from now on. */
void fo_hold_anew(struct fo_endpoint *e)
{
	e->partner_sign = false;
	e->hold_until = sec_clamp(e->now.wall.sec + longest_promise(e));
}

static void arm(struct fo_endpoint *e, uint32_t todo, uint32_t recover_until)
{
	const struct fo_conf *c = e->conf;
	uint32_t startup = c->startup_sec ? c->startup_sec : FO_STARTUP_SEC;

	if (todo & FO_DO_STARTUP_TIMER)
		e->startup_at = mono_add_us(e->now.mono, (int64_t)startup * FO_SEC_US);
	if (todo & FO_DO_RECOVER_TIMER && (!e->recover_until || recover_until < e->recover_until))
		e->recover_until = recover_until ? recover_until : 1;
	if (todo & FO_DO_SAFE_TIMER && c->auto_partner_down_sec)
		e->safe_at =
			mono_add_us(e->now.mono, (int64_t)c->auto_partner_down_sec * FO_SEC_US);
}

static void tell(struct fo_endpoint *e)
{
	bool must_listen_first = !e->heard && e->tell_at.us != MONO_NEVER.us;

	if (e->link == LINK_UP && !must_listen_first)
		fo_link_tell(e);
}

static void carry_out(struct fo_endpoint *e, const struct fo_step *st, uint8_t from)
{
	bool moved = st->next.state != from;
	uint32_t todo = st->todo;

	if (todo & FO_DO_PERSIST)
		fo_persist(e);
	if (todo & FO_DO_TELL_PEER || (moved && !e->heard)) /* else its last word was wrong */
		tell(e);
	if (todo & FO_DO_HOLD)
		begin_hold(e, from);
	fo_refresh_view(e);
	if (todo & (FO_DO_SEND_UPDREQ | FO_DO_SEND_UPDREQALL))
		fo_updates_ask(e, todo & FO_DO_SEND_UPDREQALL);
	if (todo & FO_DO_SEND_UPDATES)
		fo_updates_retry_all(e);
	if (todo & FO_DO_BALANCE)
		e->balance_at = e->poolreq_at = e->now.mono;
	arm(e, todo, st->recover_until);
	if (todo & FO_DO_RECLAIM)
		e->reclaim_batch = e->batch; /* before that the former view would judge */
	if (todo & FO_DO_CLEAR_ACKED)
		fo_updates_forget(e);
	if (todo & FO_DO_CLOSE)
		fo_link_close(e, FO_CLOSE_STATE);
}

static void enter(struct fo_endpoint *e, uint8_t from, const char *why)
{
	uint8_t to = e->rec.end.state;

	e->count.state_changes++;
	e->count.into_comm_int += to == FO_COMM_INT;
	e->count.into_partner_down += to == FO_PARTNER_DOWN;
	e->count.into_recover += to == FO_RECOVER;
	e->safe_at = e->startup_at = MONO_NEVER;
	e->recover_until = 0;
	e->progress = e->now.mono;
	if (to != FO_COMM_INT && to != FO_PARTNER_DOWN && to != FO_RESOLUTION_INT &&
	    to != FO_CONFLICT_DONE)
		e->hold = false;
	if (to == FO_NORMAL)
		make_incarnation(e);
	fo_event(e, "state", why, 0, from, to);
}

const char *fo_step(struct fo_endpoint *e, const struct fo_in *in)
{
	uint8_t from = e->rec.end.state, peer = e->rec.end.peer;
	struct fo_step st = fo_fsm_step(&e->rec.end, in);

	if (st.todo & FO_DO_REFUSED)
		return st.why;
	e->rec.end = st.next;
	if (st.next.peer != peer)
		fo_event(e, "partner-state", "", 0, peer, st.next.peer);
	if (st.next.state != from)
		enter(e, from, st.why);
	if (in->ev == FO_EV_OP_FORCE_PARTNER_DOWN) /* there is nobody who took over */
		e->hold = false;
	carry_out(e, &st, from);
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static uint32_t flights(const struct fo_conf *c)
{
	uint32_t n = c->max_unacked ? c->max_unacked : 1;

	return n < FO_MAX_FLIGHTS ? n : FO_MAX_FLIGHTS;
}

size_t fo_endpoint_size(const struct fo_conf *c)
{
	return sizeof(struct fo_endpoint) + flights(c) * sizeof(struct fo_flight);
}

static void load(struct fo_endpoint *e, const struct fo_record *rec)
{
	const struct fo_conf *c = e->conf;

	if (rec)
		e->rec = *rec;
	e->rec.end.primary = c->primary;
	e->policy = c->policy;
	if (c->primary)
		memcpy(e->rec.hba, c->policy.hba, sizeof(e->rec.hba));
	else if (e->rec.hba_known)
		memcpy(e->policy.hba, e->rec.hba, sizeof(e->rec.hba));
	e->rec.hba_known |= c->primary;
	fo_mclt_load(e);
}

struct fo_endpoint *fo_endpoint_init(void *mem, size_t size, const struct fo_conf *c,
				     const struct fo_record *rec, uint64_t start_count,
				     struct pool *pool, const struct client_hash *hash,
				     const struct fo_sink *sink, const struct now *now)
{
	struct fo_endpoint *e = mem;
	struct fo_in in;

	if (!mem || size < fo_endpoint_size(c))
		return NULL;
	e->conf = c;
	e->sink = *sink;
	e->pool = pool;
	e->hash = hash;
	e->now = *now;
	e->start_count = start_count;
	e->boot = sec_clamp(now->wall.sec);
	e->flights = (struct fo_flight *)(void *)(e + 1);
	e->max_flights = flights(c);
	e->sooner_sec = FO_SOONER_SEC;
	e->isc = c->dialect == FO_DIALECT_ISC;
	e->handshake_at = e->contact_at = e->tell_at = e->settle_at = e->startup_at = e->safe_at =
		e->ack_at = e->retry_at = e->lacked_at = e->ask_at = MONO_NEVER;
	e->lazy.at = e->told.at = e->first_until = MONO_NEVER;
	e->balance_at = mono_add_us(now->mono, FO_BALANCE_US);
	e->operational_at = mono_add_us(now->mono, FO_OPERATIONAL_SEC * FO_SEC_US);
	load(e, rec);
	in = fo_input(e, FO_EV_START);
	(void)fo_step(e, &in);
	return e;
}

void fo_endpoint_turn(struct fo_endpoint *e, uint64_t batch, const struct now *now)
{
	e->batch = batch;
	e->now = *now;
}

void fo_endpoint_partner_sign(struct fo_endpoint *e, const struct now *now)
{
	e->now = *now;
	if (!e->hold || e->partner_sign || e->peer_lost) /* what it has lost, it gave before */
		return;
	if (e->rec.end.state == FO_RESOLUTION_INT) { /* heard a moment before: as likely dead */
		fo_hold_anew(e);
		return;
	}
	e->partner_sign = true;
	fo_event(e, "partner-sign", "clients speak of the partner: it is alive, or was just now", 0,
		 0, 0);
}

/* --- operator --------------------------------------------------------------------------------- */

const char *fo_endpoint_operate(struct fo_endpoint *e, enum fo_event ev, uint32_t pd_since,
				const struct now *now)
{
	struct fo_in in;

	e->now = *now;
	in = fo_input(e, ev);
	in.since = pd_since;
	switch (ev) {
	case FO_EV_OP_SHUTDOWN:
		if (fo_closing(e))
			return "it is being shut down already";
		if (fo_closing_first(e))
			return fo_closing_begin(e);
		return fo_step(e, &in);
	case FO_EV_OP_RESUME:
		if (!fo_closing(e))
			return fo_step(e, &in);
		fo_closing_end(e, "the operator has changed his mind");
		return NULL;
	case FO_EV_OP_PARTNER_DOWN:
	case FO_EV_OP_FORCE_PARTNER_DOWN:
	case FO_EV_OP_PAUSE:
		return fo_closing(e) ? "it is being shut down: resume it first" : fo_step(e, &in);
	default:
		return "this is no wish of an operator";
	}
}
