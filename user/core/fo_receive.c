/*
 * The partner's binding updates: translate, judge (core/binding), store, and acknowledge what is
 * stored. Acknowledgements are gathered for a moment, since one commit serves them all.
 *
 * Callers: fo_link (BNDUPD), fo_endpoint (timer), fo_update (before our own updates).
 * Standards: draft-ietf-dhc-failover-12 §7.1.3, §7.1.4; failover-behaviour §5.1, §5.6, §7.
 */
#include "core/fo_endpoint_priv.h"
#include "shared/loadbal.h"

#include <string.h>

static bool has(const struct fo_binding *b, enum fo_opt_code code)
{
	return b->has & 1u << code;
}

static bool read_client(const struct fo_binding *b, struct lease_client *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (b->client_id.len > CLIENT_ID_MAX || b->chaddr.len > 1 + CHADDR_MAX)
		return false;
	if (b->chaddr.len) {
		ret->htype = b->chaddr.p[0];
		ret->hlen = (uint8_t)(b->chaddr.len - 1);
		memcpy(ret->chaddr, b->chaddr.p + 1, ret->hlen);
	}
	ret->id_len = (uint8_t)b->client_id.len;
	if (ret->id_len)
		memcpy(ret->id, b->client_id.p, ret->id_len);
	return true;
}

/* Until the wait of RECOVER-WAIT is over nobody knows what an empty or an older store promised. */
static bool forgot(const struct fo_endpoint *e)
{
	const struct fo_end *end = &e->rec.end;
	bool rests =
		end->state == FO_STARTUP || end->state == FO_PAUSED || end->state == FO_SHUTDOWN;
	uint8_t at = rests ? end->saved : end->state;

	return end->lost_storage ||
	       (!end->ever_normal && !e->new_pair && (at == FO_RECOVER || at == FO_RECOVER_WAIT));
}

/*
 * An ISC stores the times of our updates as they are and tells them again as its own. Those were by
 * our clock where its own is behind; else they come back a moment earlier when the clocks were
 * compared anew. The one we know is recognized.
 */
static uint32_t lease_end(const struct fo_endpoint *e, const struct fo_binding *b,
			  const struct lease *ours)
{
	uint32_t end = fo_translate(e, b->expires);
	bool known =
		ours && (b->expires == ours->expires ||
			 (end < ours->expires && end + FO_TRANSLATE_MS / 1000 >= ours->expires));

	return known && !e->own_kind ? ours->expires : end;
}

static void read_update(const struct fo_endpoint *e, const struct fo_binding *b,
			const struct lease_client *c, const struct lease *ours,
			struct binding_update *ret)
{
	bool client = c->hlen || (c->id_len && e->own_kind); /* failover-wire §5.3: chaddr */

	*ret = (struct binding_update){
		.lease = { .addr = b->addr,
			   .state = has(b, FO_OPT_BINDING_STATUS) ? b->status : LEASE_NONE,
			   .expires = lease_end(e, b, ours),
			   .rcvd_pet = fo_translate(e, b->pet),
			   .cltt = fo_translate(e, b->cltt),
			   .stos = fo_translate(e, b->stos),
			   .serial = (uint32_t)b->serial,
			   .flags = b->ip_flags & (LEASE_RESERVED | LEASE_BOOTP) },
		.has_cltt = has(b, FO_OPT_CLTT),
		.has_serial = e->own_kind && b->has_serial,
		.forgot = forgot(e),
		.lead = e->own_kind ? fo_wait_mclt(e) : 0,
		.has_client = client && b->status != LEASE_ABANDONED,
		.partner_is_primary = !e->conf->primary,
	};
	if (!ret->has_client)
		return;
	ret->lease.key = lease_client_key(e->hash, c);
	ret->lease.bucket =
		loadbal_bucket(e->policy.hash_identity, c->id, c->id_len, c->chaddr, c->hlen);
}

/* Ours stands against theirs, but the partner does not know it, else it would not have asked. */
static void answer_with_ours(struct fo_endpoint *e, const struct lease *ours)
{
	struct lease d;

	if (ours->flags & LEASE_DIRTY && pool_is_in_flight(e->pool, ours->addr))
		fo_retry_sooner(e); /* unless it has not been refused, but is on its way */
	if (ours->flags & LEASE_DIRTY || ours->state == LEASE_NONE)
		return;
	d = fo_mark_dirty(ours);
	fo_store(e, &d, NULL);
}

/* What is done about a refusal of ours, in words. */
static const char *next_word(enum fo_reject r)
{
	switch (r) {
	case FO_REJECT_ILLEGAL_ADDRESS:
		return "give both servers the same ranges: the partner tries again in an hour";
	case FO_REJECT_TIME_MISMATCH:
		return "the partner tries again when the clocks agree";
	case FO_REJECT_IN_USE:
	case FO_REJECT_OUTDATED:
	case FO_REJECT_LESS_CRITICAL:
		return "ours stays, and the partner is told of it";
	default:
		return "ours stays";
	}
}

/* Who is to be stored: the stored client knows more (host name, relay agent) than the partner
 * tells; an abandoned address is nobody's. NULL: as it is. */
static const struct lease_client *holder(const struct lease *ours, const struct lease *then,
					 const struct lease_client *told)
{
	static const struct lease_client nobody;

	if (client_key_none(then->key))
		return client_key_none(ours->key) ? NULL : &nobody;
	return client_key_equal(ours->key, then->key) ? NULL : told;
}

/* A partner's binding, and what is known of its address here. */
struct told {
	const struct lease *row; /* NULL: none of ours */
	struct lease_client client;
	struct binding_update u;
};

static struct lease untold(const struct lease *l)
{
	struct lease r = *l;

	r.serial = 0;
	r.flags &= (uint8_t)~LEASE_DIRTY;
	return r;
}

/* What has happened cannot lie in the future: after a restart it would, by the disk, be this
 * server's clock that is wrong (decision A20), and nobody would be served. */
static bool in_the_future(const struct fo_endpoint *e, const struct lease *l)
{
	uint32_t latest = sec_clamp(e->now.wall.sec + FO_FUTURE_SEC);

	return l->cltt > latest || l->stos > latest;
}

/* Does it tell of changes as they come, or only what it is asked for? */
static bool partner_pushes(const struct fo_endpoint *e)
{
	uint8_t peer = e->rec.end.peer;

	return peer == FO_NORMAL || peer == FO_COMM_INT || peer == FO_PARTNER_DOWN ||
	       peer == FO_CONFLICT_DONE;
}

/* Where both have forgotten, each keeps what the other tells for its own lead time longer. What the
 * partner tells of an address later on rests on that already: with once more, and once more, the
 * two would never be done. */
static void lengthen_once(struct fo_endpoint *e, struct binding_update *u)
{
	if (u->forgot && u->lead && u->lease.rcvd_pet && !partner_pushes(e) &&
	    !pool_told(e->pool, u->lease.addr))
		u->lead = 0;
}

static enum fo_reject receive_one(struct fo_endpoint *e, const struct fo_binding *b, struct told *t)
{
	struct lease ours, then;
	enum fo_reject r;
	bool unacked, readable;

	readable = read_client(b, &t->client);
	t->row = fo_mine(e, b->addr) ? pool_get(e->pool, b->addr) : NULL;
	read_update(e, b, &t->client, t->row, &t->u);
	if (in_the_future(e, &t->u.lease))
		return FO_REJECT_TIME_MISMATCH;
	if (e->own_kind && b->run)
		return fo_receive_run(e, &t->u, b->run);
	if (!t->row)
		return FO_REJECT_ILLEGAL_ADDRESS;
	if (fo_skewed(e)) /* decision A21 */
		return FO_REJECT_TIME_MISMATCH;
	if (!readable)
		return FO_REJECT_UNKNOWN_REASON;
	lengthen_once(e, &t->u);
	ours = *t->row;
	if (!pool_has_record(e->pool, b->addr) && (t->u.has_serial || !lease_is_free(&t->u.lease)))
		ours = untold(&ours); /* what its run says is older than any news of its own */
	unacked = t->u.has_serial ? ours.flags & LEASE_DIRTY : fo_is_flying(e, b->addr);
	r = binding_accept(&e->view, &ours, &t->u, unacked, e->now.wall, &then);
	if (!t->u.forgot &&
	    (r == FO_REJECT_IN_USE || r == FO_REJECT_OUTDATED || r == FO_REJECT_LESS_CRITICAL))
		answer_with_ours(e, &ours);
	if (r && binding_recall(&ours, &t->u, e->now.wall, &then))
		fo_store(e, &then, holder(&ours, &then, &t->client));
	if (r)
		return r;
	fo_store(e, &then, holder(&ours, &then, &t->client));
	if (!lease_is_free(&t->u.lease))
		fo_balance_freed(e, &then); /* when it ended a lease */
	return FO_REJECT_NONE;
}

static void tell_refusal(struct fo_endpoint *e, enum fo_reject r, const struct told *t)
{
	const struct lease nothing = { .addr = t->u.lease.addr };

	fo_refused(e, &(struct fo_refusal){ .by_us = true,
					    .reason = r,
					    .ours = t->row ? t->row : &nothing,
					    .theirs = &t->u.lease,
					    .client = &t->client,
					    .next = next_word(r) });
}

static enum fo_reject receive_counted(struct fo_endpoint *e, const struct fo_binding *b,
				      struct told *t)
{
	enum fo_reject r;

	*t = (struct told){ .u.lease.addr = b->addr };
	r = receive_one(e, b, t);
	e->count.updates_received++;
	if (e->isc)
		fo_isc_told(e, b->addr);
	if (!r) {
		e->count.updates_accepted++;
		return r;
	}
	e->count.updates_rejected++;
	e->missed |= r == FO_REJECT_TIME_MISMATCH;
	tell_refusal(e, r, t);
	return r;
}

/* --- our record in words, for a partner of our own kind ------------------------------------------
 */

struct words {
	char *at, *end; /* room for the final zero is left */
};

static void add_text(struct words *w, const char *s)
{
	while (*s && w->at < w->end)
		*w->at++ = *s++;
}

static void add_number(struct words *w, uint32_t v)
{
	char digits[10];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n && w->at < w->end)
		*w->at++ = digits[--n];
}

static void add_hex(struct words *w, const uint8_t *p, unsigned len)
{
	static const char digit[] = "0123456789abcdef";

	for (unsigned i = 0; i < len && w->end - w->at > 2; i++) {
		if (i)
			*w->at++ = ':';
		*w->at++ = digit[p[i] >> 4];
		*w->at++ = digit[p[i] & 15];
	}
}

/* "active client=01:02 hardware=02:00:00:00:00:01 ends=1700000000 cltt=1700000000" */
static const char *our_record(struct fo_endpoint *e, const struct lease *l, char buf[160])
{
	struct words w = { buf, buf + 159 };
	struct lease_client c;

	add_text(&w, lease_state_name(l->state ? l->state : LEASE_FREE));
	if (!client_key_none(l->key) && e->sink.client(e->sink.ctx, l->addr, &c)) {
		add_text(&w, c.id_len ? " client-id=" : " hardware-address=");
		add_hex(&w, c.id_len ? c.id : c.chaddr,
			c.id_len       ? c.id_len < 24 ? c.id_len : 24
			: c.hlen <= 16 ? c.hlen
				       : 16);
	}
	add_text(&w, " ends=");
	add_number(&w, l->expires);
	add_text(&w, " cltt=");
	add_number(&w, l->cltt);
	*w.at = 0;
	return buf;
}

static const char *ack_text(struct fo_endpoint *e, enum fo_reject r, const struct told *t,
			    char buf[160])
{
	if (e->own_kind && r && t->row)
		return our_record(e, t->row, buf);
	return e->own_kind ? NULL : fo_reject_text(r);
}

/* --- acknowledging ---------------------------------------------------------------------------- */

void fo_flush_acks(struct fo_endpoint *e)
{
	for (uint32_t at = 0; at < e->ack_len;) {
		size_t len = fo_msg_length(e->acks + at, e->ack_len - at);

		e->sink.send(e->sink.ctx, e->acks + at, len);
		e->count.sent[FO_BNDACK]++;
		at += (uint32_t)len;
	}
	e->ack_len = e->n_acks = 0;
	e->ack_at = MONO_NEVER;
}

static void begin_ack(struct fo_endpoint *e, struct fo_writer *w, uint32_t xid)
{
	if (e->ack_len + FO_MSG_MAX > sizeof(e->acks))
		fo_flush_acks(e);
	fo_begin(e, w, e->acks + e->ack_len, FO_BNDACK, xid);
}

static void end_ack(struct fo_endpoint *e, struct fo_writer *w)
{
	e->ack_len += (uint32_t)fo_write_end(w);
	e->n_acks++;
	if (e->ack_at.us == MONO_NEVER.us)
		e->ack_at = mono_add_us(e->now.mono, FO_ACK_DELAY_US);
}

/* One message is acknowledged by one, unless it was made of tiny groups. */
void fo_receive_updates(struct fo_endpoint *e, const struct fo_msg *m)
{
	struct fo_writer w;
	struct fo_binding b;
	unsigned cursor = 0, n = 0;
	bool rejects = false;
	char room[160];
	struct told t;

	begin_ack(e, &w, m->xid);
	for (; fo_msg_next_binding(m, &cursor, &b); n++) {
		enum fo_reject r = receive_counted(e, &b, &t);
		const char *text = ack_text(e, r, &t, room);

		rejects |= r != FO_REJECT_NONE;
		if (fo_write_ack(&w, b.addr, r, text))
			continue;
		end_ack(e, &w);
		begin_ack(e, &w, m->xid);
		(void)fo_write_ack(&w, b.addr, r, text);
	}
	if (!n) { /* nothing that could be named */
		fo_write_u8(&w, FO_OPT_REJECT_REASON, FO_REJECT_MISSING_BINDING);
		rejects = true;
	}
	end_ack(e, &w);
	if (rejects || e->n_acks * 2 >= e->conf->max_unacked)
		fo_flush_acks(e);
}
