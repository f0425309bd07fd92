/*
 * Binding updates to the partner: what to send next, the window, UPDREQ and UPDREQALL.
 *
 * Callers: fo_endpoint (pump), fo_link (UPDREQ, UPDREQALL, UPDDONE).
 * Standards: draft-ietf-dhc-failover-12 §5.4, §7.1, §7.3 to §7.5; failover-behaviour §5.5, §5.6.
 */
#include "core/fo_endpoint_priv.h"

/* --- what to send next ------------------------------------------------------------------------ */

/* Are changes told as they come? In the other states only what the partner asks for. */
static bool pushing(const struct fo_endpoint *e)
{
	switch ((enum fo_state)e->rec.end.state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_CONFLICT_DONE:
		return e->heard;
	default:
		return false;
	}
}

/* A dirty binding that may go now, or NULL. @limit: newest commit to look at. */
static const struct lease *next_dirty(struct fo_endpoint *e, uint64_t limit)
{
	const struct lease *l;

	while ((l = pool_dirty_first(e->pool, e->conf->relation, limit))) {
		enum fo_isc_may may = ISC_SEND;

		if (!e->runs && pool_run_length(e->pool, l)) {
			fo_run_expand(e, l);
			continue;
		}
		if (e->isc)
			may = fo_isc_may_send(e, l);
		if (may == ISC_WAIT)
			return NULL;
		if (may == ISC_SKIP)
			continue;
		if (fo_is_noted(e, l))
			return l; /* else it comes again when that is durable */
	}
	return NULL;
}

/* What the partner asked for is told up to this commit. A binding that was renewed while it waited
 * for its turn is told with its newer contents, but it is told. */
static uint64_t dump_limit(const struct fo_endpoint *e)
{
	uint64_t carried = pool_dirty_carried(e->pool, e->conf->relation);

	return e->dump.batch > carried ? e->dump.batch : carried;
}

/* UPDDONE waits for all that is on its way. */
static void await_flights(struct fo_endpoint *e)
{
	for (uint32_t i = 0; i < e->max_flights; i++) {
		struct fo_flight *f = &e->flights[i];

		if (!f->xid || f->dump)
			continue;
		f->dump = true;
		e->dump.flights++;
	}
}

/* What is dirty or on its way now belongs to the request. */
static void dump_up_to_now(struct fo_endpoint *e)
{
	e->dump.batch = e->batch;
	pool_dirty_mark(e->pool, e->conf->relation, e->batch);
	await_flights(e);
}

/* Then the refusal is not about what stands, which is to be told before UPDDONE in its place. */
void fo_updates_overtaken(struct fo_endpoint *e)
{
	if (e->dump.active)
		dump_up_to_now(e);
}

/* UPDREQALL also sends what the partner once acknowledged. Dirty rows come by their queue. */
static const struct lease *next_run_walked(struct fo_endpoint *e)
{
	const struct lease *l;

	while (e->dump.runs <= UINT32_MAX && (l = fo_next_run(e, e->dump.runs))) {
		e->dump.runs = l->addr;
		if (!(l->flags & LEASE_DIRTY) && !pool_run_is_in_flight(e->pool, l->addr))
			return l;
		e->dump.runs = fo_run_behind(e, l);
	}
	e->dump.runs = UINT64_MAX;
	return NULL;
}

static const struct lease *next_walked(struct fo_endpoint *e)
{
	const struct lease *l;

	for (unsigned i = 0; i < FO_WALK_CHUNK && e->dump.cursor <= UINT32_MAX; i++) {
		l = fo_next_mine(e, e->dump.cursor);
		if (!l) {
			e->dump.cursor = UINT64_MAX;
			return NULL;
		}
		e->dump.cursor = l->addr;
		if (!(l->flags & LEASE_DIRTY) && !pool_is_in_flight(e->pool, l->addr) &&
		    !(e->isc && fo_isc_never(e, l)))
			return l;
		if (l->flags & LEASE_DIRTY) { /* changed since the request, perhaps */
			dump_up_to_now(e);
		}
		e->dump.cursor++;
	}
	return NULL;
}

static const struct lease *next_binding(struct fo_endpoint *e, bool *ret_dump)
{
	uint64_t limit = dump_limit(e) < e->durable ? dump_limit(e) : e->durable;
	const struct lease *l = e->dump.active ? next_dirty(e, limit) : NULL;

	*ret_dump = true;
	if (!l && e->dump.active && e->dump.all && e->runs)
		l = next_run_walked(e);
	if (!l && e->dump.active && e->dump.all)
		l = next_walked(e);
	if (l)
		return l;
	*ret_dump = false;
	return pushing(e) ? next_dirty(e, e->durable) : NULL;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct fo_flight *free_flight(struct fo_endpoint *e)
{
	for (uint32_t i = 0; e->n_flights < e->max_flights && i < e->max_flights; i++) {
		uint32_t at = (e->flight_hint + i) % e->max_flights;

		if (e->flights[at].xid)
			continue;
		e->flight_hint = at;
		return &e->flights[at];
	}
	return NULL;
}

/* A row of the walk is behind us: once acknowledged it looks as if it had never been sent. */
static void walk_on(struct fo_endpoint *e, const struct lease *l, const struct fo_binding *b)
{
	if (l->flags & LEASE_DIRTY)
		return;
	if (b->run)
		e->dump.runs = fo_run_behind(e, l);
	else
		e->dump.cursor = (uint64_t)l->addr + 1;
}

static void depart(struct fo_endpoint *e, struct fo_flight *f, const struct lease *l,
		   const struct fo_binding *b, bool dump)
{
	f->b[f->n++] = (struct fo_sent){ .addr = l->addr,
					 .run = b->run,
					 .serial = l->serial,
					 .pet = b->pet,
					 .state = b->status,
					 .open = true };
	f->open++;
	f->dump |= dump;
	walk_on(e, l, b);
	if (b->run)
		pool_run_in_flight(e->pool, l->addr, true);
	else
		pool_in_flight(e->pool, l->addr, true);
}

static void unsendable(struct fo_endpoint *e, const struct lease *l)
{
	fo_event(e, "update-unsendable", "no client is stored for it", l->addr, l->state, 0);
	if (l->flags & LEASE_DIRTY)
		fo_skip_rejected(e, l->addr, FO_REJECT_UNKNOWN_REASON);
	else
		e->dump.cursor++;
}

/* A run and its first address's own record go in two messages: an acknowledgement names neither. */
static bool is_named(const struct fo_flight *f, uint32_t addr)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->b[i].addr == addr)
			return true;
	return false;
}

static bool write_translated(const struct fo_endpoint *e, struct fo_writer *w,
			     const struct fo_binding *b)
{
	struct fo_binding t = *b;

	t.expires = fo_translate_back(e, b->expires);
	t.pet = fo_translate_back(e, b->pet);
	t.stos = fo_translate_back(e, b->stos);
	t.cltt = fo_translate_back(e, b->cltt);
	return fo_write_binding(w, &t, e->own_kind);
}

/* Fill one message; several bindings only for our own kind (failover-wire §5.3). */
static void fill(struct fo_endpoint *e, struct fo_flight *f, struct fo_writer *w)
{
	unsigned max = e->own_kind ? FO_BATCH_MAX : 1;
	struct fo_client_octets room;
	const struct lease *l;
	struct fo_binding b;
	bool dump;

	while (f->n < max && (l = next_binding(e, &dump))) {
		if (!fo_to_binding(e, l, &room, &b)) {
			unsendable(e, l);
			continue;
		}
		if (is_named(f, l->addr) || !write_translated(e, w, &b))
			return; /* full */
		depart(e, f, l, &b, dump);
	}
}

/* Counted once on the way up: messages leave one by one. */
static bool nearly_full(const struct fo_endpoint *e)
{
	return e->n_flights == (e->peer_window * 9 + 9) / 10;
}

static bool send_one(struct fo_endpoint *e)
{
	struct fo_flight *f = e->n_flights < e->peer_window ? free_flight(e) : NULL;
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	if (!f)
		return false;
	f->n = f->open = 0;
	f->dump = false;
	fo_begin(e, &w, buf, FO_BNDUPD, e->xid + 1);
	fill(e, f, &w);
	if (!f->n)
		return false;
	fo_flush_acks(e); /* an acknowledgement goes before our own news of the same address */
	f->xid = fo_next_xid(e);
	if (!e->n_flights++)
		e->acked = e->now.mono;
	e->count.window_nearly_full += nearly_full(e);
	e->unacked += f->n;
	e->dump.flights += f->dump;
	e->count.updates_sent += f->n;
	fo_send(e, &w);
	return true;
}

/* Everything of the request has been acknowledged or rejected; what changed since does not count.
 */
static void finish_dump(struct fo_endpoint *e)
{
	struct fo_dump *d = &e->dump;

	if (!d->active || d->flights || (d->all && d->cursor <= UINT32_MAX) ||
	    pool_dirty_first(e->pool, e->conf->relation, dump_limit(e)))
		return;
	d->active = false;
	fo_flush_acks(e);
	fo_send_plain(e, FO_UPDDONE, d->xid);
	if (!e->rec.end.owes_all)
		return;
	e->rec.end.owes_all = false;
	fo_persist(e);
}

void fo_updates_pump(struct fo_endpoint *e)
{
	if (e->link != LINK_UP)
		return;
	if (fo_due(e->settle_at, &e->now))
		e->settle_at = MONO_NEVER;
	while (!fo_isc_first_waits(e) && send_one(e))
		;
	finish_dump(e);
}

/* --- requests for updates --------------------------------------------------------------------- */

void fo_updates_ask(struct fo_endpoint *e, bool all)
{
	if (e->link != LINK_UP)
		return;
	fo_isc_first_reset(e); /* only the latest request is answered */
	if (e->isc)
		fo_isc_asked(e, all);
	e->asked_xid = fo_next_xid(e);
	e->asked_all = all;
	e->missed = false;
	e->ask_at = MONO_NEVER;
	e->progress = e->now.mono;
	fo_send_plain(e, all ? FO_UPDREQALL : FO_UPDREQ, e->asked_xid);
}

static void note_all(struct fo_endpoint *e)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = fo_next_mine(e, a)); a = (uint64_t)l->addr + 1)
		if (l->flags & LEASE_DIRTY)
			(void)fo_is_noted(e, l);
}

static void begin_dump(struct fo_endpoint *e, uint32_t xid)
{
	struct fo_dump *d = &e->dump;

	e->asked_of_us = false;
	e->dump_at = mono_add_us(e->now.mono, FO_DUMP_MIN_US);
	fo_updates_retry_all(e);
	note_all(e);
	if (!e->runs && e->rec.end.owes_all)
		fo_run_expand_all(e);
	*d = (struct fo_dump){ .active = true, .all = e->rec.end.owes_all, .xid = xid };
	for (uint32_t i = 0; i < e->max_flights; i++)
		e->flights[i].dump = false;
	dump_up_to_now(e);
	fo_updates_pump(e);
}

/* A second request starts again, and only the latest is answered (failover-behaviour §3.7, 7). Each
 * start looks at every binding: one that comes too soon after another waits its time. */
void fo_updates_asked(struct fo_endpoint *e, bool all, uint32_t xid)
{
	if (all && !e->rec.end.owes_all) {
		e->rec.end.owes_all = true;
		fo_persist(e);
	}
	e->dump.active = false;
	e->dump.xid = xid;
	e->asked_of_us = true;
	fo_updates_begin(e);
}

void fo_updates_begin(struct fo_endpoint *e)
{
	if (e->asked_of_us && fo_due(e->dump_at, &e->now))
		begin_dump(e, e->dump.xid);
}

void fo_updates_done(struct fo_endpoint *e, uint32_t xid)
{
	if (fo_isc_first_done(e, xid) || !e->asked_xid || (e->own_kind && xid != e->asked_xid))
		return;
	if (!e->isc || fo_isc_told_all(e, xid))
		fo_updates_told(e);
}

/* While the clocks differ too much what the partner tells is refused, and what it takes for known
 * to us it would never tell again: its word that this was all does not count (decision A21). */
static bool incomplete(const struct fo_endpoint *e)
{
	uint8_t state = e->rec.end.state;

	return e->missed && (state == FO_RECOVER || state == FO_RECOVER_DONE ||
			     state == FO_POTENTIAL_CONFLICT);
}

static void ask_later(struct fo_endpoint *e)
{
	e->ask_at = mono_add_us(e->now.mono, FO_RETRY_SEC * FO_SEC_US);
	e->skewed_then = fo_skewed(e);
	fo_event(e, "updates-missed", "refused for the clocks: the partner will be asked again", 0,
		 0, 0);
}

void fo_updates_ask_again(struct fo_endpoint *e)
{
	if (e->ask_at.us == MONO_NEVER.us ||
	    (!fo_due(e->ask_at, &e->now) && !(e->skewed_then && !fo_skewed(e))))
		return;
	e->ask_at = MONO_NEVER;
	if (incomplete(e))
		fo_updates_ask(e, e->asked_all);
}

void fo_updates_told(struct fo_endpoint *e)
{
	struct fo_in in = fo_input(e, FO_EV_UPDDONE);

	e->asked_xid = 0;
	fo_isc_told_reset(e);
	e->progress = e->now.mono;
	if (incomplete(e))
		ask_later(e);
	else
		(void)fo_step(e, &in);
}
