/*
 * Message digest and TLS of a connection, before the core hears of it.
 *
 * TLS is begun within the connection, as the draft has it: the primary asks in a CONNECT in the
 * clear, the secondary agrees in CONNECTACK, then both shake hands, and the primary introduces
 * itself once more, which is the first that the core sees. Whoever has TLS configured never goes
 * on without it. What came in the clear is used for nothing but to agree on TLS.
 *
 * Callers: fo_session (links), fo_inbound (accepted connections).
 * Standards: draft-ietf-dhc-failover-12 §8.2, §12.17, §12.26, §12.27; decision A24.
 */
#include "net/fo_guard.h"

#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "net/fo_tls.h"
#include "sys/clock.h"

#define SKEW_DEFAULT_S 60

static bool has_secret(const struct link *l)
{
	return fo_keys_secret(l->net->keys, l->relation).p != NULL;
}

static void report(const struct link *l, enum fo_refused what, const char *why)
{
	l->net->ops.refused(l->net->ops.ctx, l->relation, what, why);
}

static void report_digest(const struct link *l, enum fo_digest_verdict v, const char *why)
{
	static const enum fo_refused what[] = {
		[FO_DIGEST_MISSING] = FO_REFUSED_DIGEST_MISSING,
		[FO_DIGEST_WRONG] = FO_REFUSED_DIGEST_WRONG,
		[FO_DIGEST_REPLAYED] = FO_REFUSED_DIGEST_REPLAYED,
		[FO_DIGEST_UNEXPECTED] = FO_REFUSED_DIGEST_UNEXPECTED,
	};

	report(l, what[v], why ? why : fo_digest_text(v));
}

static struct fo_digest *new_digest(const struct link *l)
{
	return fo_digest_new(fo_keys_secret(l->net->keys, l->relation),
			     fo_keys_former(l->net->keys, l->relation), l->conf->fo.primary);
}

/* --- digest ----------------------------------------------------------------------------------- */

bool guard_begin(struct link *l)
{
	fo_digest_free(l->digest);
	l->digest = NULL;
	if (!has_secret(l))
		return true;
	l->digest = new_digest(l);
	return l->digest != NULL;
}

void guard_end(struct link *l)
{
	fo_digest_free(l->digest);
	l->digest = NULL;
	l->asked_tls = l->encrypted = l->opened = false;
}

size_t guard_seal(struct link *l, const uint8_t **msg, size_t len, uint8_t room[FO_MSG_MAX])
{
	if (!l->digest)
		return len;
	len = fo_digest_seal(l->digest, *msg, len, room);
	*msg = room;
	return len;
}

/* Into the connection's buffer; what a wrong digest is told takes no seal where we have none. */
static void tell(struct bufferevent *bev, struct fo_digest *d, const uint8_t *msg, size_t len)
{
	uint8_t room[FO_MSG_MAX];

	if (d) {
		len = fo_digest_seal(d, msg, len, room);
		msg = room;
	}
	if (len)
		(void)bufferevent_write(bev, msg, len);
}

static void disconnect(struct link *l, enum fo_reject reason, bool sealed)
{
	const char *why = fo_reject_text(reason);
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	fo_write_begin(&w, buf, sizeof(buf) - FO_DIGEST_ROOM, FO_DISCONNECT, clock_now().wall, 1);
	fo_write_u8(&w, FO_OPT_REJECT_REASON, (uint8_t)reason);
	fo_write_opt(&w, FO_OPT_MESSAGE, why, strlen(why));
	tell(l->bev, sealed ? l->digest : NULL, buf, fo_write_end(&w));
	link_refused(l, FO_CLOSE_REJECTED);
}

static enum fo_digest_verdict judge(struct fo_digest *d, const uint8_t *msg, size_t len)
{
	if (d)
		return fo_digest_open(d, msg, len);
	return fo_digest_present(msg, len) ? FO_DIGEST_UNEXPECTED : FO_DIGEST_OK;
}

/* Who rejects us for our digest has none: what it says proves nothing, and helps the operator. */
static const char *claim(enum fo_digest_verdict v, const uint8_t *msg, size_t len)
{
	uint32_t reason = 0;
	struct fo_msg m;

	if (v != FO_DIGEST_MISSING || fo_msg_decode(msg, len, &m) != FO_OK ||
	    !fo_msg_u32(&m, FO_OPT_REJECT_REASON, &reason))
		return NULL;
	if (reason == FO_REJECT_DIGEST_UNCONFIGURED)
		return "the partner has no secret configured";
	return "a rejection without a digest";
}

bool guard_accepts(struct link *l, const uint8_t *msg, size_t len)
{
	enum fo_digest_verdict v;

	if (l->opened) { /* by guard_connect, when it was still nobody's */
		l->opened = false;
		return true;
	}
	v = judge(l->digest, msg, len);
	if (v == FO_DIGEST_OK)
		return true;
	report_digest(l, v, claim(v, msg, len));
	disconnect(l, fo_digest_reject(v), v != FO_DIGEST_MISSING);
	return false;
}

/* --- TLS, the primary's side ------------------------------------------------------------------ */

bool guard_wants_tls(const struct link *l)
{
	return fo_keys_tls(l->net->keys, l->relation) && !l->encrypted;
}

void guard_ask_tls(struct link *l)
{
	const struct fo_conf *c = &l->conf->fo;
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	struct fo_connect ask = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_MAX_UNACKED |
		       1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_MCLT |
		       1u << FO_OPT_HBA,
		.name = { (const uint8_t *)c->name, (uint32_t)strlen(c->name) },
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.max_unacked = c->max_unacked,
		.receive_timer = c->contact_timeout_sec,
		.version = 1,
		.tls = FO_TLS_REQUIRED,
		.mclt = c->mclt,
	};

	memcpy(ask.hba, c->policy.hba, sizeof(ask.hba));
	fo_write_begin(&w, buf, sizeof(buf) - FO_DIGEST_ROOM, FO_CONNECT, clock_now().wall, 1);
	fo_write_connect(&w, &ask);
	l->asked_tls = true;
	tell(l->bev, l->digest, buf, fo_write_end(&w));
	if (!link_wait(l))
		link_refused(l, FO_CLOSE_STATE);
}

bool guard_tls_failed(struct link *l, struct bufferevent *bev, const char *otherwise)
{
	char why[160];

	fo_tls_why(bev, why, sizeof(why));
	report(l, FO_REFUSED_TLS, *why ? why : otherwise);
	return *why;
}

static void handshake(struct link *l)
{
	struct bufferevent *bev = l->bev;

	l->bev = NULL; /* given up */
	bev = fo_tls_start(l->net->base, bev, fo_keys_tls(l->net->keys, l->relation), l->conf,
			   true);
	l->encrypted = true;
	l->spoken = false;
	if (bev && guard_begin(l) && link_wait(l)) {
		link_use(l, bev);
		return;
	}
	if (bev)
		bufferevent_free(bev);
	link_refused(l, FO_CLOSE_STATE);
}

/* Why the answer is none that TLS may begin after; NULL: it is one. */
static const char *no_tls(const struct fo_msg *m, const struct fo_connect *c, size_t more)
{
	if (m->type != FO_CONNECTACK)
		return "the partner does not answer CONNECT";
	if (c->tls != FO_TLS_DESIRED)
		return "the partner does not speak TLS: remove it here, or use a partner that does";
	return more ? "the partner says something before TLS has begun" : NULL;
}

static void rejected(struct link *l, uint8_t reason)
{
	bool tls = reason == FO_REJECT_TLS_UNCONFIGURED || reason == FO_REJECT_TLS_UNSUPPORTED;

	if (tls)
		report(l, FO_REFUSED_TLS,
		       "the partner has no TLS configured: configure it there, or remove it here");
	else
		report(l, FO_REFUSED_CONNECT, fo_reject_text(reason));
	link_refused(l, reason == FO_REJECT_DUPLICATE_CONNECTION ? FO_CLOSE_DUPLICATE
								 : FO_CLOSE_REJECTED);
}

void guard_tls_answer(struct link *l)
{
	struct evbuffer *in = bufferevent_get_input(l->bev);
	size_t have = evbuffer_get_length(in);
	const uint8_t *p = evbuffer_pullup(in, have < FO_MSG_MAX ? (ssize_t)have : FO_MSG_MAX);
	struct fo_connect c;
	const char *why;
	struct fo_msg m;
	enum fo_verdict v = fo_msg_decode(p, have < FO_MSG_MAX ? have : FO_MSG_MAX, &m);

	if (v == FO_MORE)
		return;
	if (v != FO_OK) {
		report(l, FO_REFUSED_TLS, "what the partner answers is no message");
		link_refused(l, FO_CLOSE_PROTOCOL);
		return;
	}
	if (!guard_accepts(l, p, m.len))
		return;
	fo_msg_read_connect(&m, &c);
	why = no_tls(&m, &c, have - m.len);
	if (m.type == FO_CONNECTACK && c.has & 1u << FO_OPT_REJECT_REASON) {
		rejected(l, c.reject);
	} else if (why) {
		report(l, FO_REFUSED_TLS, why);
		disconnect(l, FO_REJECT_TLS_UNSUPPORTED, true);
	} else {
		handshake(l);
	}
}

/* --- accepted connections --------------------------------------------------------------------- */

static enum guard_inbound refuse(struct inbound *in, const struct fo_msg *m,
				 const struct fo_connect *c, enum fo_reject reason)
{
	inbound_answer(in, m, c, reason, 0);
	return GUARD_REFUSED;
}

static enum guard_inbound refuse_digest(struct inbound *in, struct link *l, const struct fo_msg *m,
					const struct fo_connect *c, enum fo_digest_verdict v)
{
	report_digest(l, v, NULL);
	if (v == FO_DIGEST_MISSING || v == FO_DIGEST_UNEXPECTED) { /* it could not check ours */
		fo_digest_free(in->digest);
		in->digest = NULL;
	}
	return refuse(in, m, c, fo_digest_reject(v));
}

/* In the clear, and TLS is configured here: begin it, or not at all. */
static enum guard_inbound agree_tls(struct inbound *in, struct link *l, const struct fo_msg *m,
				    const struct fo_connect *c)
{
	struct evbuffer *input = bufferevent_get_input(in->bev);

	if (!c->tls) {
		report(l, FO_REFUSED_TLS,
		       "the partner does not ask for TLS: configure it there, or remove it here");
		return refuse(in, m, c, FO_REJECT_TLS_REQUIRED);
	}
	if (evbuffer_get_length(input) != m->len) {
		report(l, FO_REFUSED_TLS, "the partner says something before TLS has begun");
		return refuse(in, m, c, FO_REJECT_UNKNOWN_REASON);
	}
	in->tls_for = l;
	bufferevent_disable(in->bev, EV_READ); /* what comes now is TLS */
	inbound_answer(in, m, c, FO_REJECT_NONE, FO_TLS_DESIRED);
	evbuffer_drain(input, m->len);
	fo_digest_free(in->digest); /* it starts anew within TLS */
	in->digest = NULL;
	return GUARD_WAIT;
}

/* Once more, when its digest is right: was it heard before? */
static enum guard_inbound check_replay(struct inbound *in, struct link *l, const struct fo_msg *m,
				       const struct fo_connect *c)
{
	uint32_t skew = l->conf->fo.max_clock_skew_sec;
	enum fo_reject reason =
		fo_replay_check(&l->replay, m, clock_now().wall, skew ? skew : SKEW_DEFAULT_S);

	if (reason == FO_REJECT_NONE)
		return GUARD_ADOPT;
	if (reason == FO_REJECT_DIGEST_MISMATCH)
		report_digest(l, FO_DIGEST_REPLAYED, NULL);
	else
		report(l, FO_REFUSED_DIGEST_REPLAYED,
		       "the time of CONNECT is too far from ours: set the clocks, or it is an old "
		       "one");
	return refuse(in, m, c, reason);
}

enum guard_inbound guard_connect(struct inbound *in, struct link *l, const uint8_t *msg,
				 const struct fo_msg *m, const struct fo_connect *c)
{
	enum fo_digest_verdict v;

	if (in->tls_for && in->tls_for != l) /* the certificate was another's */
		return refuse(in, m, c, FO_REJECT_INVALID_PARTNER);
	if (has_secret(l)) {
		in->digest = new_digest(l);
		if (!in->digest)
			return refuse(in, m, c, FO_REJECT_UNKNOWN_REASON);
	}
	v = judge(in->digest, msg, m->len);
	if (v != FO_DIGEST_OK)
		return refuse_digest(in, l, m, c, v);
	if (link_is_alive(l))
		return refuse(in, m, c, FO_REJECT_DUPLICATE_CONNECTION);
	if (!in->tls_for && fo_keys_tls(l->net->keys, l->relation))
		return agree_tls(in, l, m, c);
	return in->digest ? check_replay(in, l, m, c) : GUARD_ADOPT;
}

void guard_inbound_sent(struct inbound *in)
{
	struct link *l = in->tls_for;
	struct bufferevent *bev = in->bev;

	if (!l || in->encrypted)
		return;
	in->encrypted = true;
	in->bev = fo_tls_start(l->net->base, bev, fo_keys_tls(l->net->keys, l->relation), l->conf,
			       false);
	if (in->bev)
		inbound_use(in);
	else
		inbound_drop(in);
}
