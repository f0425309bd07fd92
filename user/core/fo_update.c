/*
 * Binding updates to the partner: what to send next, the window, UPDREQ and UPDREQALL, and what an
 * acknowledgement means.
 *
 * Callers: fo_endpoint (pump, loss of the link), fo_link (BNDACK, UPDREQ, UPDREQALL, UPDDONE).
 * Standards: draft-ietf-dhc-failover-12 §5.4, §7.1, §7.3 to §7.5; failover-behaviour §5.5, §5.6.
 */
#include "core/fo_endpoint_priv.h"

/* --- bindings --------------------------------------------------------------------------------- */

bool fo_taking_back(const struct fo_endpoint *e, const struct lease *l)
{
	return e->conf->primary && l->state == LEASE_BACKUP && l->flags & LEASE_DIRTY &&
	       l->acked_state == LEASE_BACKUP;
}

struct lease fo_mark_dirty(const struct lease *l)
{
	struct lease d = *l;

	d.flags |= LEASE_DIRTY;
	if (d.state == LEASE_BACKUP)
		d.acked_state = LEASE_FREE; /* else it would read as wanted back */
	return d;
}

static bool none_or_free(unsigned state)
{
	return state == LEASE_NONE || state == LEASE_FREE || state == LEASE_BACKUP;
}

/* Our own record must say what the partner may have seen, before it can see it: a lease that the
 * partner never heard of may end without asking, and one whose end it never heard of may go on. */
static bool must_note(const struct lease *l)
{
	switch ((enum lease_state)l->state) {
	case LEASE_ACTIVE:
	case LEASE_ABANDONED:
		return none_or_free(l->acked_state);
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET:
		return l->acked_state != l->state;
	case LEASE_NONE:
	case LEASE_FREE:
	case LEASE_BACKUP:
		break;
	}
	return false;
}

static void note(struct fo_endpoint *e, const struct lease *l)
{
	struct lease noted = *l;

	noted.acked_state = noted.state;
	fo_store(e, &noted, NULL);
}

static uint8_t state_to_send(const struct fo_endpoint *e, const struct lease *l)
{
	if (fo_taking_back(e, l) || l->state == LEASE_NONE)
		return LEASE_FREE;
	return l->state;
}

static uint32_t pet_to_send(const struct lease *l)
{
	if (l->state != LEASE_ACTIVE)
		return 0;
	return l->sent_pet > l->expires ? l->sent_pet : l->expires; /* PET >= LET, §7.1 */
}

struct client_octets {
	struct lease_client c;
	uint8_t chaddr[1 + CHADDR_MAX];
};

/* Who holds or held it. @room backs the octets. Return: false when that is needed and not known. */
static bool add_client(struct fo_endpoint *e, const struct lease *l, struct client_octets *room,
		       struct fo_binding *b)
{
	bool needed =
		l->state == LEASE_ACTIVE || l->state == LEASE_EXPIRED || l->state == LEASE_RELEASED;
	unsigned hlen;

	if (client_key_none(l->key) && !needed)
		return true;
	if (l->state == LEASE_ABANDONED)
		return true;
	if (!e->sink.client(e->sink.ctx, l->addr, &room->c))
		return !needed;
	hlen = room->c.hlen <= CHADDR_MAX ? room->c.hlen : CHADDR_MAX;
	room->chaddr[0] = room->c.htype;
	for (unsigned i = 0; i < hlen; i++)
		room->chaddr[1 + i] = room->c.chaddr[i];
	if (hlen)
		b->chaddr = (struct octets){ room->chaddr, 1 + hlen };
	if (room->c.id_len)
		b->client_id = (struct octets){ room->c.id, room->c.id_len };
	return hlen || room->c.id_len;
}

static bool to_binding(struct fo_endpoint *e, const struct lease *l, struct client_octets *room,
		       struct fo_binding *ret)
{
	*ret = (struct fo_binding){
		.addr = l->addr,
		.status = state_to_send(e, l),
		.expires = l->expires,
		.pet = pet_to_send(l),
		/* an ISC means the beginning of the lease (failover-wire §5.3) */
		.stos = e->own_kind ? l->stos : l->starts,
		.cltt = l->cltt,
		.ip_flags = l->flags & (LEASE_RESERVED | LEASE_BOOTP),
		.serial = l->serial,
		.has_serial = true,
	};
	return add_client(e, l, room, ret);
}

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

static void skip_rejected(struct fo_endpoint *e, uint32_t addr)
{
	pool_in_flight(e->pool, addr, true);
	if (!e->rejected++)
		e->retry_at = mono_add_us(e->now.mono, (int64_t)e->retry_sec * FO_SEC_US);
}

/* A dirty binding that may go now, or NULL. @limit: newest commit to look at. */
static const struct lease *next_dirty(struct fo_endpoint *e, uint64_t limit)
{
	const struct lease *l;

	while ((l = pool_dirty_first(e->pool, e->conf->relation, limit)) && must_note(l))
		note(e, l); /* it comes again when that is durable */
	return l;
}

/* UPDREQALL also sends what the partner once acknowledged. Dirty rows come by their queue. */
static const struct lease *next_walked(struct fo_endpoint *e)
{
	const struct lease *l;

	for (unsigned i = 0; i < FO_WALK_CHUNK && e->dump.cursor <= UINT32_MAX; i++) {
		l = pool_next(e->pool, (uint32_t)e->dump.cursor);
		if (!l) {
			e->dump.cursor = UINT64_MAX;
			return NULL;
		}
		e->dump.cursor = l->addr;
		if (fo_mine(e, l->addr) && !(l->flags & LEASE_DIRTY) &&
		    !pool_is_in_flight(e->pool, l->addr))
			return l;
		e->dump.cursor++;
	}
	return NULL;
}

static const struct lease *next_binding(struct fo_endpoint *e, bool *ret_dump)
{
	uint64_t limit = e->dump.batch < e->durable ? e->dump.batch : e->durable;
	const struct lease *l = e->dump.active ? next_dirty(e, limit) : NULL;

	*ret_dump = true;
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
	for (uint32_t i = 0; i < e->max_flights; i++)
		if (!e->flights[i].xid)
			return &e->flights[i];
	return NULL;
}

static void depart(struct fo_endpoint *e, struct fo_flight *f, const struct lease *l,
		   const struct fo_binding *b, bool dump)
{
	f->b[f->n++] = (struct fo_sent){ .addr = l->addr,
					 .serial = l->serial,
					 .pet = b->pet,
					 .state = b->status,
					 .open = true };
	f->open++;
	f->dump |= dump;
	pool_in_flight(e->pool, l->addr, true);
}

static void unsendable(struct fo_endpoint *e, const struct lease *l)
{
	fo_event(e, "update-unsendable", "no client is stored for it", l->addr, l->state, 0);
	if (l->flags & LEASE_DIRTY)
		skip_rejected(e, l->addr);
	else
		e->dump.cursor++;
}

/* Fill one message; several bindings only for our own kind (failover-wire §5.3). */
static void fill(struct fo_endpoint *e, struct fo_flight *f, struct fo_writer *w)
{
	unsigned max = e->own_kind ? FO_BATCH_MAX : 1;
	struct client_octets room;
	const struct lease *l;
	struct fo_binding b;
	bool dump;

	while (f->n < max && (l = next_binding(e, &dump))) {
		if (!to_binding(e, l, &room, &b)) {
			unsendable(e, l);
			continue;
		}
		if (!fo_write_binding(w, &b, e->own_kind))
			return; /* full */
		depart(e, f, l, &b, dump);
	}
}

static bool send_one(struct fo_endpoint *e)
{
	struct fo_flight *f = free_flight(e);
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	if (!f || e->n_flights >= e->peer_window)
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
	    pool_dirty_first(e->pool, e->conf->relation, d->batch))
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
	while (send_one(e))
		;
	finish_dump(e);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static struct fo_flight *flight_of(struct fo_endpoint *e, uint32_t xid)
{
	for (uint32_t i = 0; xid && i < e->max_flights; i++)
		if (e->flights[i].xid == xid)
			return &e->flights[i];
	return NULL;
}

static struct fo_sent *sent_of(struct fo_flight *f, uint32_t addr)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->b[i].addr == addr && f->b[i].open)
			return &f->b[i];
	return NULL;
}

static void accepted(struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	struct lease then;

	e->count.updates_acked++;
	if (!(l->flags & LEASE_DIRTY)) { /* of a full update: we had its word before */
		pool_in_flight(e->pool, s->addr, false);
		return;
	}
	then = binding_acked(l, s->pet, s->state, e->now.wall);
	fo_store(e, &then, NULL);
}

static void refused(struct fo_endpoint *e, const struct fo_sent *s, const struct fo_binding *b)
{
	const struct lease *l = pool_get(e->pool, s->addr);

	e->count.updates_rejected_by_partner++;
	fo_event(e, "update-rejected", fo_reject_text(b->reject), s->addr, b->reject, s->state);
	if (l && l->flags & LEASE_DIRTY)
		skip_rejected(e, s->addr);
	else
		pool_in_flight(e->pool, s->addr, false);
}

/* Does what was sent still stand? A change since then is on its way by itself. */
static bool unchanged(const struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	return l && l->serial == s->serial && pool_is_in_flight(e->pool, s->addr) &&
	       state_to_send(e, l) == s->state;
}

/* We took the partner's word while ours was on its way, and now it has taken ours: both tell again
 * what they hold, and the same rule decides on both sides. */
static void tell_again(struct fo_endpoint *e, const struct fo_sent *s, const struct lease *l)
{
	struct lease d;

	if (!e->own_kind || !l || l->flags & LEASE_DIRTY || l->serial == s->serial)
		return;
	d = fo_mark_dirty(l);
	d.serial = (s->serial > l->serial ? s->serial : l->serial) + 1;
	fo_store(e, &d, NULL);
}

static void acked_one(struct fo_endpoint *e, struct fo_flight *f, const struct fo_binding *b)
{
	bool rejected = b->has & 1u << FO_OPT_REJECT_REASON;
	struct fo_sent *s = sent_of(f, b->addr);
	const struct lease *l = pool_get(e->pool, b->addr);

	if (!s)
		return;
	s->open = false;
	f->open--;
	e->unacked--;
	if (!unchanged(e, s, l)) {
		if (!rejected)
			tell_again(e, s, l);
	} else if (rejected) {
		refused(e, s, b);
	} else {
		accepted(e, s, l);
	}
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
}

/* --- loss of the link, retries ---------------------------------------------------------------- */

void fo_updates_reset(struct fo_endpoint *e)
{
	for (uint32_t i = 0; i < e->max_flights; i++) {
		struct fo_flight *f = &e->flights[i];

		for (unsigned k = 0; f->xid && k < f->n; k++)
			if (f->b[k].open)
				pool_in_flight(e->pool, f->b[k].addr, false);
		f->xid = 0;
	}
	e->n_flights = e->unacked = 0;
	e->ack_len = e->n_acks = 0; /* received, but never to be acknowledged (§8.3) */
	e->ack_at = MONO_NEVER;
	e->asked_xid = 0;
	e->dump.active = false;
	e->dump.flights = 0;
	fo_updates_retry(e);
	e->retry_sec = FO_RETRY_SEC;
}

static bool flying(const struct fo_endpoint *e, uint32_t addr)
{
	for (uint32_t i = 0; i < e->max_flights; i++)
		for (unsigned k = 0; e->flights[i].xid && k < e->flights[i].n; k++)
			if (e->flights[i].b[k].addr == addr && e->flights[i].b[k].open)
				return true;
	return false;
}

/* The next binding of this relationship at or after @addr. */
static const struct lease *next_mine(const struct fo_endpoint *e, uint64_t addr)
{
	const struct lease *l = NULL;

	for (; addr <= UINT32_MAX; addr = (uint64_t)l->addr + 1) {
		l = pool_next(e->pool, (uint32_t)addr);
		if (!l || fo_mine(e, l->addr))
			return l;
	}
	return NULL;
}

void fo_updates_retry(struct fo_endpoint *e)
{
	uint32_t sec = e->retry_sec * 2;
	const struct lease *l;

	e->retry_at = MONO_NEVER;
	if (!e->rejected)
		return;
	e->rejected = 0;
	e->retry_sec = sec < FO_RETRY_MAX_SEC ? sec : FO_RETRY_MAX_SEC;
	for (uint64_t a = 0; (l = next_mine(e, a)); a = (uint64_t)l->addr + 1)
		if (l->flags & LEASE_DIRTY && pool_is_in_flight(e->pool, l->addr) &&
		    !flying(e, l->addr))
			pool_in_flight(e->pool, l->addr, false);
}

void fo_updates_forget(struct fo_endpoint *e)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = next_mine(e, a)); a = (uint64_t)l->addr + 1) {
		struct lease d = fo_mark_dirty(l);

		d.acked_pet = 0;
		fo_store(e, &d, NULL);
	}
}

/* --- requests for updates --------------------------------------------------------------------- */

void fo_updates_ask(struct fo_endpoint *e, bool all)
{
	if (e->link != LINK_UP)
		return;
	e->asked_xid = fo_next_xid(e);
	e->progress = e->now.mono;
	fo_send_plain(e, all ? FO_UPDREQALL : FO_UPDREQ, e->asked_xid);
}

static void note_all(struct fo_endpoint *e)
{
	const struct lease *l;

	for (uint64_t a = 0; (l = next_mine(e, a)); a = (uint64_t)l->addr + 1)
		if (l->flags & LEASE_DIRTY && must_note(l))
			note(e, l);
}

/* A second request starts again, and only the latest is answered (failover-behaviour §3.7, 7). */
void fo_updates_asked(struct fo_endpoint *e, bool all, uint32_t xid)
{
	struct fo_dump *d = &e->dump;

	if (all && !e->rec.end.owes_all) {
		e->rec.end.owes_all = true;
		fo_persist(e);
	}
	fo_updates_retry(e);
	note_all(e);
	*d = (struct fo_dump){
		.active = true, .all = e->rec.end.owes_all, .xid = xid, .batch = e->batch
	};
	for (uint32_t i = 0; i < e->max_flights; i++) {
		e->flights[i].dump = e->flights[i].xid != 0;
		d->flights += e->flights[i].dump;
	}
	fo_updates_pump(e);
}

void fo_updates_done(struct fo_endpoint *e, uint32_t xid)
{
	struct fo_in in = fo_input(e, FO_EV_UPDDONE);

	if (!e->asked_xid || (e->own_kind && xid != e->asked_xid))
		return;
	e->asked_xid = 0;
	e->progress = e->now.mono;
	(void)fo_step(e, &in);
}
