/*
 * Accepted connections whose relationship is not yet known: found by the source address and the
 * name in CONNECT, and given to the link once digest and TLS have let it pass. Nobody but a partner
 * gets so far, and of a partner's silent ones only a few are kept (decision E6).
 *
 * Callers: fo_session (listeners), fo_guard (answers).
 * Standards: draft-ietf-dhc-failover-12 §8.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "net/fo_guard.h"
#include "sys/clock.h"

#define HALF_OPEN_MAX 4 /* accepted and silent, per partner (decision E6) */

static void inbound_forget(struct inbound *in)
{
	*in->prev = in->next;
	if (in->next)
		in->next->prev = in->prev;
	fo_digest_free(in->digest);
	event_free(in->late);
	free(in);
}

void inbound_drop(struct inbound *in)
{
	if (in->bev) /* TLS could be out of memory */
		bufferevent_free(in->bev);
	inbound_forget(in);
}

/* --- answers ----------------------------------------------------------------------------------
 */

static void write_sealed(struct inbound *in, const uint8_t *msg, size_t len)
{
	uint8_t room[FO_MSG_MAX];

	if (in->digest) {
		len = fo_digest_seal(in->digest, msg, len, room);
		msg = room;
	}
	if (len)
		(void)bufferevent_write(in->bev, msg, len);
}

void inbound_answer(struct inbound *in, const struct fo_msg *m, const struct fo_connect *c,
		    enum fo_reject reason, uint8_t tls)
{
	const char *text = fo_reject_text(reason);
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	struct fo_connect ack = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_MESSAGE |
		       (c->has & 1u << FO_OPT_TLS_REQUEST ? 1u << FO_OPT_TLS_REPLY : 0),
		.name = c->name,
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.version = 1,
		.tls = tls,
		.reject = (uint8_t)reason,
		.message = { (const uint8_t *)text, (uint32_t)strlen(text) },
	};

	if (in->tls_for && !reason) {
		ack.has |= 1u << FO_OPT_MAX_UNACKED | 1u << FO_OPT_RECEIVE_TIMER;
		ack.max_unacked = in->tls_for->conf->fo.max_unacked;
		ack.receive_timer = in->tls_for->conf->fo.contact_timeout_sec;
	}
	fo_write_begin(&w, buf, sizeof(buf) - FO_DIGEST_ROOM, FO_CONNECTACK, clock_now().wall,
		       m->xid);
	fo_write_connectack(&w, &ack);
	write_sealed(in, buf, fo_write_end(&w));
	if (!reason)
		return;
	fo_leave(in->net, in->bev);
	inbound_forget(in);
}

/* --- the first message ------------------------------------------------------------------------
 */

static void tell_stranger(const struct inbound *in, struct octets name, const char *why)
{
	char from[INET_ADDRSTRLEN], quoted[160];

	if (!log_allow(&in->net->strangers, 6, clock_now().mono))
		return;
	log_event(LOG_L_WARNING, "connect-refused", "from=%s name=%s why=\"%s\"",
		  evutil_inet_ntop(AF_INET, &in->from.sin_addr, from, sizeof(from)),
		  log_quote(name.p, name.len, quoted, sizeof(quoted)), why);
}

static struct link *link_by_name(struct fo_net *n, const struct sockaddr_in *from,
				 struct octets name)
{
	for (unsigned i = 0; i < n->n_links; i++) {
		struct link *l = &n->links[i];

		if (l->conf->partner.sin_addr.s_addr == from->sin_addr.s_addr && name.p &&
		    strlen(l->conf->fo.name) == name.len &&
		    !memcmp(l->conf->fo.name, name.p, name.len))
			return l;
	}
	return NULL;
}

static void inbound_adopt(struct inbound *in, struct link *l)
{
	struct fo_digest *digest = in->digest;
	struct bufferevent *bev = in->bev;
	bool encrypted = in->encrypted;

	in->digest = NULL;
	inbound_forget(in);
	if (l->up) {
		link_drop(l, false);
		l->net->ops.link_down(l->net->ops.ctx, l->relation, FO_CLOSE_SILENT);
	}
	link_drop(l, false); /* our own connect, if that is still on its way */
	if (l->retry)
		evtimer_del(l->retry);
	link_use(l, bev);
	l->digest = digest;
	l->opened = l->spoken = !l->conf->fo.primary; /* CONNECT brought us here */
	l->encrypted = encrypted;
	link_begin(l, false);
	if (l->bev == bev && l->up)
		(void)link_input(l); /* CONNECT is still in the buffer */
}

static void first_message(struct inbound *in, const uint8_t *p, const struct fo_msg *m)
{
	struct fo_connect c;
	struct link *l;

	fo_msg_read_connect(m, &c);
	l = link_by_name(in->net, &in->from, c.name);
	if (!l || l->conf->fo.primary) {
		tell_stranger(in, c.name,
			      l ? "the partner plays the primary too" : "no such relationship");
		inbound_answer(in, m, &c, FO_REJECT_INVALID_PARTNER, 0);
	} else if (guard_connect(in, l, p, m, &c) == GUARD_ADOPT) {
		l->isc = !c.own_kind;
		inbound_adopt(in, l);
	}
}

static void inbound_read(struct bufferevent *bev, void *arg)
{
	struct inbound *in = arg;
	struct evbuffer *buf = bufferevent_get_input(bev);
	size_t have = evbuffer_get_length(buf);
	const uint8_t *p = evbuffer_pullup(buf, have < FO_MSG_MAX ? (ssize_t)have : FO_MSG_MAX);
	struct fo_msg m;
	enum fo_verdict v = fo_msg_decode(p, have < FO_MSG_MAX ? have : FO_MSG_MAX, &m);

	if (v == FO_MORE)
		return;
	if (v != FO_OK || m.type != FO_CONNECT)
		inbound_drop(in);
	else
		first_message(in, p, &m);
}

static void inbound_sent(struct bufferevent *bev, void *arg)
{
	(void)bev;
	guard_inbound_sent(arg);
}

static void inbound_event(struct bufferevent *bev, short what, void *arg)
{
	struct inbound *in = arg;

	if (what & BEV_EVENT_CONNECTED) /* TLS stands; CONNECT is awaited once more */
		return;
	if (in->encrypted)
		(void)guard_tls_failed(in->tls_for, bev, "the partner gave up the TLS handshake");
	inbound_drop(in);
}

/* From the connection to the message that gives it to a link, TLS included. */
static void inbound_late(evutil_socket_t fd, short what, void *arg)
{
	struct inbound *in = arg;

	(void)fd;
	(void)what;
	inbound_event(in->bev, BEV_EVENT_TIMEOUT, in);
}

void inbound_use(struct inbound *in)
{
	bufferevent_setcb(in->bev, inbound_read, inbound_sent, inbound_event, in);
	bufferevent_setwatermark(in->bev, EV_READ, 0, 2 * FO_MSG_MAX);
	bufferevent_enable(in->bev, EV_READ | EV_WRITE);
}

/* --- accepting --------------------------------------------------------------------------------
 */

static unsigned partners_at(const struct fo_net *n, const struct sockaddr_in *from)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n->n_links; i++)
		count += n->links[i].conf->partner.sin_addr.s_addr == from->sin_addr.s_addr;
	return count;
}

/* The relationship whose primary we are, if there is but one with this partner. The primary speaks
 * first, also on a connection that the secondary opened (failover-wire §1). */
static struct link *link_we_begin(struct fo_net *n, const struct sockaddr_in *from)
{
	struct link *found = NULL;

	for (unsigned i = 0; i < n->n_links; i++) {
		struct link *l = &n->links[i];

		if (l->conf->partner.sin_addr.s_addr != from->sin_addr.s_addr)
			continue;
		if (found || !l->conf->fo.primary)
			return NULL;
		found = l;
	}
	return found;
}

/* A partner says CONNECT at once: of those who do not, the one that has waited longest goes. */
static void limit_half_open(struct fo_net *n, const struct sockaddr_in *from, unsigned most)
{
	struct inbound *oldest = NULL;
	unsigned count = 0;

	for (struct inbound *in = n->inbound; in; in = in->next) {
		if (in->from.sin_addr.s_addr != from->sin_addr.s_addr)
			continue;
		oldest = in;
		count++;
	}
	if (count >= most)
		inbound_drop(oldest);
}

static struct inbound *inbound_new(struct fo_net *n, evutil_socket_t fd)
{
	struct timeval limit = { n->patience_ms / 1000, n->patience_ms % 1000 * 1000 };
	struct inbound *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->net = n;
	in->late = evtimer_new(n->base, inbound_late, in);
	if (in->late)
		in->bev = bufferevent_socket_new(n->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (in->bev) {
		evtimer_add(in->late, &limit);
		return in;
	}
	if (in->late)
		event_free(in->late);
	free(in);
	return NULL;
}

static void inbound_start(struct fo_net *n, evutil_socket_t fd, const struct sockaddr_in *from)
{
	struct link *ours = link_we_begin(n, from);
	struct inbound *in;

	if (ours && (ours->up || ours->asked_tls)) { /* there is a link, or a handshake: it stays
							(failover-wire §1.2) */
		close(fd);
		return;
	}
	in = inbound_new(n, fd);
	if (!in) {
		close(fd);
		return;
	}
	fo_tune(fd);
	in->from = *from;
	in->prev = &n->inbound;
	in->next = n->inbound;
	if (in->next)
		in->next->prev = &in->next;
	n->inbound = in;
	inbound_use(in);
	if (ours)
		inbound_adopt(in, ours);
}

#define ACCEPT_AGAIN_US 1000000

void inbound_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
		    int len, void *arg)
{
	struct fo_net *n = arg;
	struct sockaddr_in from;
	char text[INET_ADDRSTRLEN];
	unsigned partners;

	if (++n->accepts >= TURN_ACCEPTS)
		(void)evconnlistener_disable(listener); /* until the turn is over */
	memset(&from, 0, sizeof(from));
	memcpy(&from, sa, (size_t)len < sizeof(from) ? (size_t)len : sizeof(from));
	partners = partners_at(n, &from);
	if (partners) {
		limit_half_open(n, &from, HALF_OPEN_MAX - 1 + partners);
		inbound_start(n, fd, &from);
		return;
	}
	close(fd);
	if (log_allow(&n->strangers, 6, clock_now().mono))
		log_event(LOG_L_WARNING, "failover-connection-refused", "from=%s",
			  evutil_inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text)));
}

/* No descriptor or memory for another connection: accept again in a moment, not at once for ever.
 */
void inbound_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct fo_net *n = arg;
	int err = errno;

	(void)evconnlistener_disable(listener);
	n->accept_again = mono_add_us(clock_now().mono, ACCEPT_AGAIN_US);
	if (log_allow(&n->strangers, 6, clock_now().mono))
		log_event(LOG_L_ERROR, "failover-accept-failed",
			  "why=\"%s\" next=\"again in a second\"", strerror(err));
}
