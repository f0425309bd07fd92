/*
 * The connection to the partner: its life, STATE, CONTACT, silence, the difference of the clocks,
 * and which message goes where.
 *
 * Callers: the driver (link events, messages), fo_endpoint (timers, STATE).
 * Standards: draft-ietf-dhc-failover-12 §6.1, §7.10 to §7.12, §8; failover-wire §1, §5, §7.
 */
#include "core/fo_endpoint_priv.h"

/* --- sending ---------------------------------------------------------------------------------- */

uint32_t fo_next_xid(struct fo_endpoint *e)
{
	if (!++e->xid)
		e->xid = 1;
	return e->xid;
}

void fo_begin(struct fo_endpoint *e, struct fo_writer *w, uint8_t *buf, uint8_t type, uint32_t xid)
{
	size_t room = FO_MSG_MAX - (e->conf->digest ? FO_DIGEST_ROOM : 0);

	fo_write_begin(w, buf, room, type, e->now.wall, xid);
}

void fo_send(struct fo_endpoint *e, struct fo_writer *w)
{
	size_t len = fo_write_end(w);

	if (!len)
		return;
	e->count.sent[w->buf[2]]++;
	e->sink.send(e->sink.ctx, w->buf, len);
}

void fo_send_plain(struct fo_endpoint *e, uint8_t type, uint32_t xid)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	fo_begin(e, &w, buf, type, xid);
	fo_send(e, &w);
}

uint32_t fo_contact_sec(const struct fo_endpoint *e)
{
	const struct fo_conf *c = e->conf;

	if (!e->isc)
		return c->contact_timeout_sec;
	return c->contact_timeout_isc_sec ? c->contact_timeout_isc_sec : FO_CONTACT_ISC_SEC;
}

void fo_link_tell(struct fo_endpoint *e)
{
	const struct fo_end *end = &e->rec.end;
	struct fo_state_msg s = { .state = end->state, .stos = end->stos };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	e->tell_at = MONO_NEVER;
	if (end->state == FO_STARTUP) {
		s.state = end->saved;
		s.startup = true;
	}
	fo_begin(e, &w, buf, FO_STATE, fo_next_xid(e));
	fo_write_state(&w, &s);
	fo_send(e, &w);
}

/* --- the partner's clock ---------------------------------------------------------------------- */

uint32_t fo_translate(const struct fo_endpoint *e, uint32_t theirs)
{
	int64_t ms = e->skew_ms;

	if (!theirs || theirs >= SEC_MAX || (ms > -FO_TRANSLATE_MS && ms < FO_TRANSLATE_MS))
		return theirs > SEC_MAX ? SEC_MAX : theirs;
	return sec_clamp((int64_t)theirs - ms / 1000);
}

uint32_t fo_translate_back(const struct fo_endpoint *e, uint32_t ours)
{
	if (e->own_kind || !ours || ours >= SEC_MAX || e->skew_ms < FO_TRANSLATE_MS)
		return ours;
	return sec_clamp((int64_t)ours + e->skew_ms / 1000);
}

bool fo_skewed(const struct fo_endpoint *e)
{
	int64_t limit = (int64_t)e->skew_limit * 1000;

	return e->own_kind && e->conf->max_clock_skew_sec &&
	       (e->skew_ms > limit || e->skew_ms < -limit);
}

static void tell_clocks(struct fo_endpoint *e, const char *why)
{
	fo_event(e, "clock-skew", why, 0, sec_clamp(e->now.wall.sec + e->skew_ms / 1000),
		 sec_clamp(e->now.wall.sec));
}

void fo_skew_tell(struct fo_endpoint *e)
{
	if (!fo_skewed(e) || !fo_due(e->skew_told, &e->now))
		return;
	e->skew_told = mono_add_us(e->now.mono, FO_SKEW_TELL_US);
	tell_clocks(e, "the clocks differ too much: updates are refused, both go on serving");
}

/* After a time in which they did not. */
static void clocks_agree(struct fo_endpoint *e)
{
	if (fo_skewed(e))
		return;
	e->skew_told.us = 0;
	tell_clocks(e, "the clocks agree again");
	fo_updates_retry(e);
	e->retry_sec = 0;
}

/* With the usual timers nothing comes as late as that: the link would have been given up. Where a
 * long contact-timeout lets it, the clock seems behind until the next message that is in time. */
static bool set_back(const struct fo_endpoint *e, int64_t sample)
{
	return e->own_kind && e->skew_until.us && e->skew_ms - sample > FO_SKEW_JUMP_MS;
}

/* Every message tells the time it was made. What comes late looks like a clock that is behind, so
 * the largest difference of the last few seconds is nearest to the truth. */
static void learn_clock(struct fo_endpoint *e, const struct fo_msg *m)
{
	int64_t sample = ((int64_t)m->time - e->now.wall.sec) * 1000;
	bool was = fo_skewed(e);

	if (set_back(e, sample))
		e->skew_until.us = 0;
	if (fo_due(e->skew_until, &e->now)) {
		e->skew_before = e->skew_until.us ? e->skew_now : sample;
		e->skew_now = sample;
		e->skew_until = mono_add_us(e->now.mono, FO_SKEW_WINDOW_US);
	}
	if (sample > e->skew_now)
		e->skew_now = sample;
	e->skew_ms = e->skew_now > e->skew_before ? e->skew_now : e->skew_before;
	if (e->link != LINK_UP) /* whose clock it is shows with the handshake */
		return;
	fo_skew_tell(e);
	if (was)
		clocks_agree(e);
}

void fo_endpoint_clock_moved(struct fo_endpoint *e, int64_t by_sec, const struct now *now)
{
	struct fo_end *end = &e->rec.end;
	bool was = fo_skewed(e);

	e->now = *now;
	end->stos = sec_shift(end->stos, by_sec);
	end->peer_stos = sec_shift(end->peer_stos, by_sec);
	end->last_operational = sec_shift(end->last_operational, by_sec);
	e->rec.mclt_until = sec_shift(e->rec.mclt_until, by_sec);
	e->recover_until = sec_shift(e->recover_until, by_sec);
	e->hold_until = sec_shift(e->hold_until, by_sec);
	e->boot = sec_shift(e->boot, by_sec);
	for (uint32_t i = 0; i < e->max_flights; i++)
		for (unsigned k = 0; e->flights[i].xid && k < e->flights[i].n; k++)
			e->flights[i].b[k].pet = sec_shift(e->flights[i].b[k].pet, by_sec);
	e->skew_ms -= by_sec * 1000;
	e->skew_now -= by_sec * 1000;
	e->skew_before -= by_sec * 1000;
	fo_persist(e);
	fo_refresh_view(e);
	if (was)
		clocks_agree(e);
}

/* --- messages --------------------------------------------------------------------------------- */

/* The first word to an ISC after a reconnect is COMMUNICATIONS-INTERRUPTED, also where NORMAL comes
 * of its own (failover-behaviour §3.7, 1); in other pairs only the outcome may be shown. */
static bool says_interrupted_first(const struct fo_endpoint *e, uint8_t peer_state)
{
	const struct fo_end *end = &e->rec.end;
	uint8_t shown = end->state == FO_STARTUP ? end->saved : end->state;

	return e->isc && shown == FO_COMM_INT &&
	       (peer_state == FO_NORMAL || peer_state == FO_COMM_INT ||
		peer_state == FO_RECOVER_DONE);
}

/* It knows no more than we tell it; what it promised while we were away, and lost, nobody knows. */
static bool recovers(uint8_t peer_state)
{
	return peer_state == FO_RECOVER || peer_state == FO_RECOVER_WAIT;
}

/* Nor does who rests since it lost it tell anything. */
static bool has_lost(const struct fo_endpoint *e, uint8_t peer_state)
{
	bool rests = peer_state == FO_PAUSED || peer_state == FO_SHUTDOWN;

	if (rests && (e->peer_lost || e->peer_blank || recovers(e->rec.end.peer)))
		return true;
	return recovers(peer_state) || e->tell_lost;
}

static void on_state(struct fo_endpoint *e, const struct fo_msg *m)
{
	struct fo_state_msg s;
	bool first = !e->heard, listening = e->tell_at.us != MONO_NEVER.us;
	bool knew = e->peer_lost;
	struct fo_in in;

	if (!fo_msg_read_state(m, &s) || !fo_state_valid(s.state)) {
		fo_link_close(e, FO_CLOSE_PROTOCOL);
		return;
	}
	fo_remember_start(e, s.state);
	e->heard = e->heard_since_start = true;
	if (first && listening && says_interrupted_first(e, s.state))
		fo_link_tell(e);
	if (!e->own_kind) /* it may have recovered before we have */
		e->new_pair |= !fo_any(e->rec.incarnation, 16) && s.state == FO_RECOVER;
	e->peer_lost = has_lost(e, s.state);
	if (e->hold && e->peer_lost) {
		if (!knew)
			fo_hold_anew(e);
	} else if (e->hold && !(s.startup && e->rec.end.state == FO_PARTNER_DOWN)) {
		/* (what it says in STARTUP means nothing to who is in PARTNER-DOWN) */
		e->hold = false;
		fo_refresh_view(e);
	}
	in = fo_input(e, FO_EV_PEER_STATE);
	in.first = first;
	in.peer_state = s.state;
	in.peer_startup = s.startup;
	in.peer_stos = fo_translate(e, s.stos);
	(void)fo_step(e, &in);
	if (first && e->isc)
		fo_isc_first_ask(e);
	if (e->link == LINK_UP && e->tell_at.us != MONO_NEVER.us)
		fo_link_tell(e);
}

static void on_poolresp(struct fo_endpoint *e, const struct fo_msg *m)
{
	uint32_t n = 0;

	(void)fo_msg_u32(m, FO_OPT_ADDRESSES_TRANSFERRED, &n);
	fo_balance_answered(e, n);
}

static void on_disconnect(struct fo_endpoint *e, const struct fo_msg *m)
{
	uint32_t reason = FO_REJECT_UNKNOWN;

	(void)fo_msg_u32(m, FO_OPT_REJECT_REASON, &reason);
	fo_event(e, "disconnected", fo_reject_text(reason), 0, reason, 0);
	fo_link_close(e, FO_CLOSE_REJECTED);
}

static void dispatch(struct fo_endpoint *e, const struct fo_msg *m)
{
	if (e->contact_at.us == MONO_NEVER.us)
		e->contact_at = e->now.mono;
	switch (m->type) {
	case FO_STATE:
		on_state(e, m);
		break;
	case FO_BNDUPD:
		e->progress = e->now.mono;
		fo_receive_updates(e, m);
		break;
	case FO_BNDACK:
		e->progress = e->now.mono;
		fo_updates_acked(e, m);
		break;
	case FO_UPDREQ:
	case FO_UPDREQALL:
		fo_updates_asked(e, m->type == FO_UPDREQALL, m->xid);
		break;
	case FO_UPDDONE:
		fo_updates_done(e, m->xid);
		break;
	case FO_POOLREQ:
		fo_balance_asked(e, m->xid);
		break;
	case FO_POOLRESP:
		on_poolresp(e, m);
		break;
	case FO_DISCONNECT:
		on_disconnect(e, m);
		break;
	default: /* CONTACT: that it came is all it says */
		break;
	}
}

void fo_endpoint_message(struct fo_endpoint *e, const struct fo_msg *m, const struct now *now)
{
	e->now = *now;
	if (e->link == LINK_NONE)
		return;
	e->last_heard = now->mono;
	if (m->type < sizeof(e->count.received) / sizeof(e->count.received[0]))
		e->count.received[m->type]++;
	learn_clock(e, m);
	if (m->type == FO_CONNECT)
		fo_on_connect(e, m);
	else if (m->type == FO_CONNECTACK)
		fo_on_connectack(e, m);
	else if (m->type == FO_DISCONNECT || e->link == LINK_UP)
		dispatch(e, m);
	else /* before the handshake nobody else has a say (failover-wire §1.1) */
		fo_link_close(e, FO_CLOSE_PROTOCOL);
	fo_endpoint_pump(e, now); /* an acknowledgement makes room for more */
}

void fo_endpoint_alive(struct fo_endpoint *e, const struct now *now)
{
	e->last_heard = now->mono;
}

void fo_endpoint_garbage(struct fo_endpoint *e, enum fo_verdict v, const struct now *now)
{
	e->now = *now;
	e->count.garbage++;
	if (e->link == LINK_NONE)
		return;
	fo_event(e, "garbage", fo_verdict_text(v), 0, v, 0);
	fo_link_close(e, FO_CLOSE_PROTOCOL);
}

/* --- life of a link --------------------------------------------------------------------------- */

/* What belonged to the link ends with it. The primary still owes the partner the word that its
 * storage is old: the next CONNECT carries it. */
static void link_gone(struct fo_endpoint *e, enum fo_close_reason why)
{
	bool was_up = e->link == LINK_UP;
	struct fo_in in;

	e->link = LINK_NONE;
	e->heard = false;
	e->handshake_at = e->contact_at = e->tell_at = e->settle_at = MONO_NEVER;
	fo_updates_reset(e);
	if (!was_up)
		return;
	e->count.links_lost++;
	fo_event(e, "link-lost", "", 0, why, 0);
	in = fo_input(e, FO_EV_LINK_LOST);
	(void)fo_step(e, &in);
	fo_closing_end(e, "the link was lost before the partner had acknowledged everything");
}

void fo_link_close(struct fo_endpoint *e, enum fo_close_reason why)
{
	if (e->link == LINK_NONE)
		return;
	e->sink.close(e->sink.ctx, why);
	link_gone(e, why);
}

void fo_endpoint_link_up(struct fo_endpoint *e, const struct now *now, bool ours)
{
	(void)ours; /* the primary speaks first on any connection (failover-wire §1) */
	e->now = *now;
	if (e->link != LINK_NONE)
		link_gone(e, FO_CLOSE_DUPLICATE); /* the driver has replaced it */
	e->link = LINK_HANDSHAKE;
	e->own_kind = e->new_pair = e->peer_blank = false;
	e->skew_ms = 0;
	e->skew_until.us = 0; /* nothing known yet */
	e->skew_limit = e->conf->max_clock_skew_sec;
	e->xid = 0;
	e->last_heard = now->mono;
	e->handshake_at = mono_add_us(now->mono, FO_HANDSHAKE_US);
	if (e->conf->primary)
		fo_send_connect(e);
}

void fo_endpoint_link_down(struct fo_endpoint *e, const struct now *now, enum fo_close_reason why)
{
	e->now = *now;
	if (e->link != LINK_NONE)
		link_gone(e, why);
}

/* --- time ------------------------------------------------------------------------------------- */

/* POTENTIAL-CONFLICT and RECOVER end by what the partner does, whether we have asked it or it is to
 * ask us first. */
bool fo_awaits_partner(const struct fo_endpoint *e)
{
	uint8_t state = e->rec.end.state;

	return e->asked_xid ||
	       (e->heard && (state == FO_POTENTIAL_CONFLICT || state == FO_RECOVER));
}

/* We wait for UPDDONE, or for acknowledgements, and nothing moves (decision A11). */
static bool stuck(const struct fo_endpoint *e)
{
	int64_t now = e->now.mono.us;

	if (e->n_flights && now - e->acked.us >= FO_STUCK_US)
		return true;
	return fo_awaits_partner(e) && now - e->progress.us >= FO_STUCK_US;
}

static void contact(struct fo_endpoint *e)
{
	int64_t every = (int64_t)e->peer_timer_sec * FO_SEC_US / 3;
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	size_t len;

	e->contact_at = mono_add_us(e->now.mono, every > FO_SEC_US ? every : FO_SEC_US);
	fo_begin(e, &w, buf, FO_CONTACT, fo_next_xid(e));
	len = fo_write_end(&w);
	e->count.sent[FO_CONTACT]++;
	e->sink.send_now(e->sink.ctx, buf, len);
}

void fo_link_tick(struct fo_endpoint *e)
{
	int64_t silent = e->now.mono.us - e->last_heard.us;

	if (e->link == LINK_HANDSHAKE && fo_due(e->handshake_at, &e->now)) {
		fo_event(e, "connect-failed", "no answer to the handshake", 0, 0, 0);
		fo_link_close(e, FO_CLOSE_SILENT);
	}
	if (e->link != LINK_UP)
		return;
	if (silent >= (int64_t)fo_contact_sec(e) * FO_SEC_US) {
		fo_link_close(e, FO_CLOSE_SILENT);
		return;
	}
	if (stuck(e)) {
		fo_link_close(e, FO_CLOSE_STUCK);
		return;
	}
	if (fo_due(e->tell_at, &e->now))
		fo_link_tell(e);
	if (fo_due(e->contact_at, &e->now))
		contact(e);
	if (fo_due(e->ack_at, &e->now))
		fo_flush_acks(e);
}
