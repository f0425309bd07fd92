/*
 * CONNECT and CONNECTACK: who may connect, what the primary decides, and what both remember of each
 * other's storage.
 *
 * Callers: fo_link. Standards: draft-ietf-dhc-failover-12 §7.8, §7.9, §8.2; failover-wire §5.1,
 * §5.2; decisions A7, A16, A21.
 */
#include "core/fo_endpoint_priv.h"

#include <string.h>

/* --- what both remember of each other (decision A7) ------------------------------------------- */

/* Does our record hold nothing but a start from nothing? It may be paused, or have been forced into
 * PARTNER-DOWN. A conflict asks for everything in any case; later states of RECOVER have. */
static bool blank(const struct fo_end *end)
{
	bool rests =
		end->state == FO_STARTUP || end->state == FO_PAUSED || end->state == FO_SHUTDOWN;
	uint8_t at = rests ? end->saved : end->state;

	return at == FO_RECOVER || at == FO_PARTNER_DOWN;
}

static void compare_memory(struct fo_endpoint *e, const struct fo_connect *c)
{
	bool ours = fo_any(e->rec.incarnation, 16), theirs = fo_any(c->incarnation, 16);
	bool told = c->start_count & FO_START_COUNT_LOST || c->remembered > e->start_count;
	struct fo_end *end = &e->rec.end;

	e->own_kind = c->own_kind;
	e->runs = c->own_kind && c->features & FO_FEATURE_RUNS;
	e->new_pair = !ours && !theirs;
	e->peer_blank = c->own_kind && ours && !theirs;
	e->peer_count = c->own_kind ? c->start_count & ~FO_START_COUNT_LOST : 0;
	e->tell_lost = c->own_kind && e->peer_count < e->rec.peer_start_count;
	if (c->own_kind && c->max_skew && c->max_skew < e->skew_limit)
		e->skew_limit = c->max_skew;
	if (!c->own_kind || end->lost_storage || !(told || (!ours && theirs && blank(end))))
		return;
	end->lost_storage = true;
	pool_told_none(e->pool, e->conf->relation);
	fo_persist(e);
	fo_event(e, "storage-lost", "the partner remembers more than we do", 0, 0, 0);
}

/* What a partner that was told of its loss becomes, or has been: that is on its disk before it can
 * say so. One that was forced to serve has a conflict to resolve, and never shows RECOVER. */
static bool knows_its_loss(uint8_t state)
{
	return state == FO_RECOVER || state == FO_POTENTIAL_CONFLICT || state == FO_NORMAL;
}

/* The partner's counter is remembered once it has learned that its storage is an older one. */
void fo_remember_start(struct fo_endpoint *e, uint8_t state)
{
	if (!e->own_kind || e->rec.peer_start_count == e->peer_count ||
	    (e->tell_lost && !knows_its_loss(state)))
		return;
	e->tell_lost = false;
	e->rec.peer_start_count = e->peer_count;
	fo_persist(e);
}

static void partner_is(struct fo_endpoint *e, const struct fo_connect *c, bool stranger)
{
	if (!stranger)
		memcpy(e->rec.partner, c->incarnation, sizeof(e->rec.partner));
	e->rec.stranger = stranger;
	fo_persist(e);
}

/* What was told and acknowledged counts between the two who did that. The partner has heard nothing
 * of what a stranger said since: it is told all that we hold, and what we disagree about comes up.
 * So is one that has lost its storage, and has a new name. Nobody has one before the first NORMAL.
 */
static void recognize(struct fo_endpoint *e, const struct fo_connect *c)
{
	bool named = c->own_kind && fo_any(c->incarnation, sizeof(c->incarnation));
	bool first = !fo_any(e->rec.partner, sizeof(e->rec.partner));
	bool same = named && !memcmp(e->rec.partner, c->incarnation, sizeof(c->incarnation));
	bool was = e->rec.stranger, began = fo_any(e->rec.incarnation, 16);

	if (named ? same && !was : was || !began)
		return; /* nothing new */
	partner_is(e, c, !named);
	if (!named || (first && !was))
		return;
	fo_event(e, "partner-changed", "somebody else has spoken for it: it is told everything", 0,
		 0, 0);
	fo_updates_forget(e);
}

/* --- handshake -------------------------------------------------------------------------------- */

static struct octets text(const char *s)
{
	uint32_t n = 0;

	while (n < 255 && s[n])
		n++;
	return (struct octets){ (const uint8_t *)s, n };
}

static void disconnect(struct fo_endpoint *e, enum fo_reject reason)
{
	struct octets why = text(fo_reject_text(reason));
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	fo_begin(e, &w, buf, FO_DISCONNECT, fo_next_xid(e));
	fo_write_u8(&w, FO_OPT_REJECT_REASON, reason);
	fo_write_opt(&w, FO_OPT_MESSAGE, why.p, why.len);
	fo_send(e, &w);
	fo_event(e, "connect-refused", fo_reject_text(reason), 0, reason, 0);
	fo_link_close(e, FO_CLOSE_REJECTED);
}

static void tell_nonce(const struct fo_endpoint *e, struct fo_connect *c)
{
	uint64_t r[2] = { e->sink.random(e->sink.ctx), e->sink.random(e->sink.ctx) };

	_Static_assert(sizeof(r) == FO_NONCE_LEN, "two draws");
	memcpy(c->nonce, r, sizeof(r));
	c->has_nonce = true;
}

static void introduce(const struct fo_endpoint *e, struct fo_connect *c)
{
	c->name = text(e->conf->name);
	c->vendor = text(FO_VENDOR_CLASS);
	c->max_unacked = e->conf->max_unacked;
	c->receive_timer = fo_contact_sec(e);
	c->version = 1;
	c->features = FO_FEATURE_RUNS;
	c->max_skew = e->conf->max_clock_skew_sec;
	c->start_count = e->start_count | (e->tell_lost ? FO_START_COUNT_LOST : 0);
	memcpy(c->incarnation, e->rec.incarnation, sizeof(c->incarnation));
	c->has |= 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		  1u << FO_OPT_MAX_UNACKED | 1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VERSION;
	if (!e->isc)
		c->has |= 1u << FO_OPT_VENDOR_SPECIFIC;
	if (e->conf->digest)
		tell_nonce(e, c);
}

void fo_send_connect(struct fo_endpoint *e)
{
	struct fo_connect c = { .mclt = e->conf->mclt };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	introduce(e, &c);
	c.remembered = e->rec.peer_start_count; /* the secondary has yet to tell its own */
	c.lead = fo_mclt_lead(e);
	c.has |= 1u << FO_OPT_MCLT | 1u << FO_OPT_HBA;
	if (!e->conf->tls) /* not within TLS (failover-wire §5.1) */
		c.has |= 1u << FO_OPT_TLS_REQUEST;
	memcpy(c.hba, e->policy.hba, sizeof(c.hba));
	e->connect_xid = fo_next_xid(e);
	fo_begin(e, &w, buf, FO_CONNECT, e->connect_xid);
	fo_write_connect(&w, &c);
	fo_send(e, &w);
}

static void send_connectack(struct fo_endpoint *e, const struct fo_connect *theirs, uint32_t xid,
			    enum fo_reject reject)
{
	struct fo_connect c = { .reject = reject };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	introduce(e, &c);
	if (theirs->has & 1u << FO_OPT_TLS_REQUEST)
		c.has |= 1u << FO_OPT_TLS_REPLY;
	if (reject) {
		c.message = text(fo_reject_text(reject));
		c.has |= 1u << FO_OPT_MESSAGE;
		c.name = theirs->name;
	}
	fo_begin(e, &w, buf, FO_CONNECTACK, xid);
	fo_write_connectack(&w, &c);
	fo_send(e, &w);
}

static bool same_name(const struct fo_endpoint *e, const struct fo_connect *c)
{
	struct octets ours = text(e->conf->name);

	return c->name.p && c->name.len == ours.len && !memcmp(c->name.p, ours.p, ours.len);
}

/* Only where received times are not judged one by one (decision A21). */
static bool too_skewed(const struct fo_endpoint *e, const struct fo_connect *c,
		       const struct fo_msg *m)
{
	int64_t off = (int64_t)m->time - e->now.wall.sec;

	return !c->own_kind && e->conf->max_clock_skew_sec &&
	       (off > e->conf->max_clock_skew_sec || -off > e->conf->max_clock_skew_sec);
}

/* Is the partner of another make than we were told to expect? */
static bool other_dialect(const struct fo_endpoint *e, const struct fo_connect *c)
{
	return e->conf->dialect != FO_DIALECT_AUTO &&
	       (e->conf->dialect == FO_DIALECT_TWINLEASE) != c->own_kind;
}

static enum fo_reject judge_connect(const struct fo_endpoint *e, const struct fo_connect *c,
				    const struct fo_msg *m)
{
	if (!same_name(e, c) || other_dialect(e, c))
		return FO_REJECT_INVALID_PARTNER;
	if (too_skewed(e, c, m))
		return FO_REJECT_TIME_MISMATCH;
	if (c->tls == 2)
		return FO_REJECT_TLS_UNCONFIGURED;
	if (!(c->has & 1u << FO_OPT_HBA))
		return FO_REJECT_HBA_CONFLICT;
	if (!c->mclt)
		return FO_REJECT_INVALID_MCLT;
	if (c->has & 1u << FO_OPT_VERSION && c->version != 1 && c->own_kind)
		return FO_REJECT_VERSION;
	return FO_REJECT_NONE;
}

static void link_complete(struct fo_endpoint *e, const struct fo_connect *c)
{
	uint32_t window = c->max_unacked ? c->max_unacked : 1;

	e->link = LINK_UP;
	e->count.links++;
	e->handshake_at = MONO_NEVER;
	e->peer_window = window < e->max_flights ? window : e->max_flights;
	e->peer_timer_sec = c->receive_timer ? c->receive_timer : 20;
	/* CONTACT overtakes what waits for a commit. It must not overtake CONNECTACK: the secondary
	 * is silent until it hears that this has arrived. */
	e->contact_at = e->conf->primary ? e->now.mono : MONO_NEVER;
	e->progress = e->now.mono;
	fo_event(e, "link-up", e->own_kind ? "Twinlease" : "another make", 0, c->max_unacked,
		 c->receive_timer);
	fo_skew_tell(e);
	if (e->own_kind)
		fo_link_tell(e);
	else /* what it may see depends on what it is in (failover-behaviour §3.7, 3 and 6) */
		e->tell_at = mono_add_us(e->now.mono, FO_TELL_LATER_US);
}

/* The primary decides (decision A16); durable before CONNECTACK leaves (draft §7.8.2). */
static void adopt(struct fo_endpoint *e, const struct fo_connect *c)
{
	bool differs = c->mclt != e->conf->mclt ||
		       memcmp(c->hba, e->conf->policy.hba, sizeof(c->hba)) != 0;

	fo_mclt_told(e, c->mclt);
	fo_mclt_counts(e, c);
	memcpy(e->rec.hba, c->hba, sizeof(c->hba));
	memcpy(e->policy.hba, c->hba, sizeof(c->hba));
	e->rec.hba_known = true;
	fo_persist(e);
	fo_refresh_view(e);
	if (differs)
		fo_event(e, "config-differs", "buckets and lead time are the primary's", 0, c->mclt,
			 e->conf->mclt);
}

void fo_on_connect(struct fo_endpoint *e, const struct fo_msg *m)
{
	enum fo_reject reject;
	struct fo_connect c;

	if (e->conf->primary) {
		fo_event(e, "connect-refused", "the partner plays the primary too", 0, 0, 0);
		fo_link_close(e, FO_CLOSE_PROTOCOL);
		return;
	}
	fo_msg_read_connect(m, &c);
	reject = e->link == LINK_UP ? FO_REJECT_DUPLICATE_CONNECTION : judge_connect(e, &c, m);
	if (reject) {
		fo_event(e, "connect-refused", fo_reject_text(reject), 0, reject, 0);
		send_connectack(e, &c, m->xid, reject);
		fo_link_close(e, reject == FO_REJECT_DUPLICATE_CONNECTION ? FO_CLOSE_DUPLICATE
									  : FO_CLOSE_REJECTED);
		return;
	}
	e->isc = !c.own_kind;
	compare_memory(e, &c);
	recognize(e, &c);
	adopt(e, &c);
	send_connectack(e, &c, m->xid, FO_REJECT_NONE);
	link_complete(e, &c);
}

void fo_on_connectack(struct fo_endpoint *e, const struct fo_msg *m)
{
	bool told = e->tell_lost, was = e->isc;
	struct fo_connect c;

	fo_msg_read_connect(m, &c);
	if (!e->conf->primary || e->link == LINK_UP) {
		fo_link_close(e, FO_CLOSE_PROTOCOL);
	} else if (!c.name.p) {
		disconnect(e, FO_REJECT_INVALID_PARTNER);
	} else if (c.has & 1u << FO_OPT_REJECT_REASON) {
		fo_event(e, "connect-rejected", fo_reject_text(c.reject), 0, c.reject, 0);
		/* a connection that is dead on our side only is soon found dead there, too */
		fo_link_close(e, c.reject == FO_REJECT_DUPLICATE_CONNECTION ? FO_CLOSE_DUPLICATE
									    : FO_CLOSE_REJECTED);
	} else if (!same_name(e, &c) || other_dialect(e, &c)) {
		disconnect(e, FO_REJECT_INVALID_PARTNER);
	} else if (too_skewed(e, &c, m)) {
		disconnect(e, FO_REJECT_TIME_MISMATCH);
	} else {
		e->isc = !c.own_kind;
		compare_memory(e, &c);
		/* CONNECT could not say it yet, or spoke to somebody else: once more */
		if ((e->tell_lost && !told) || was != e->isc) {
			fo_link_close(e, FO_CLOSE_STATE);
			return;
		}
		recognize(e, &c);
		fo_mclt_agreed(e);
		link_complete(e, &c);
	}
}
