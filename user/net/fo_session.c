/*
 * TCP sessions of the failover relationships. The primary opens the connection from the address
 * that its partner knows; the secondary listens and finds the relationship by the source address
 * and the name in CONNECT, so that several relationships may join the same two servers. With
 * dialect isc the secondary opens connections as well, on which the primary speaks first; and as
 * primary we use one that comes in. A stream is cut into messages by their length field; everything
 * else is core/fo_endpoint's.
 *
 * Called by the node on the loop thread.
 * Standards: draft-ietf-dhc-failover-12 §6.1 (transport), §8 (connection management).
 */

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "net/fo_guard.h"
#include "net/fo_tls.h"
#include "sys/clock.h"

#define OUTPUT_MIN (256 * 1024) /* unsent ones, beside what both windows can hold */
#define TURN_MESSAGES 64	/* of one link in one turn; others are served in between */
#define TURN_MESSAGES_ALL 256	/* of all links */

void fo_tune(evutil_socket_t fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* --- links ------------------------------------------------------------------------------------ */

static void link_late(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	bufferevent_trigger_event(l->bev, BEV_EVENT_READING | BEV_EVENT_TIMEOUT, 0);
}

bool link_wait(struct link *l)
{
	int ms = l->net->patience_ms;
	struct timeval limit = { ms / 1000, ms % 1000 * 1000 };

	if (!l->late)
		l->late = evtimer_new(l->net->base, link_late, l);
	return l->late && evtimer_add(l->late, &limit) == 0;
}

static void link_in_time(struct link *l)
{
	if (l->late)
		evtimer_del(l->late);
}

void link_drop(struct link *l, bool gently)
{
	struct bufferevent *bev = l->bev;

	l->bev = NULL;
	l->up = l->choked = l->spoken = l->held = false;
	link_in_time(l);
	guard_end(l);
	if (bev && gently)
		fo_leave(l->net, bev);
	else if (bev)
		bufferevent_free(bev);
}

static void link_note_heard(struct link *l)
{
	if (!l->heard_now)
		l->budget = TURN_MESSAGES;
	l->heard_now = true;
}

static bool link_may_speak(struct link *l)
{
	struct fo_net *n = l->net;

	link_note_heard(l);
	if (n->messages >= TURN_MESSAGES_ALL && n->left_out == n->n_links && l->budget)
		n->left_out = l->relation;
	if (!l->budget || n->messages >= TURN_MESSAGES_ALL || !n->ops.room(n->ops.ctx, l->relation))
		return false;
	l->budget--;
	n->messages++;
	return true;
}

/* What it has said stays unread for now. */
static void link_hold(struct link *l)
{
	struct fo_net *n = l->net;

	l->held = true;
	l->heard = clock_now().mono;
	n->ops.waits(n->ops.ctx, l->relation);
}

/* Cut the input into messages. Returns false when the connection is no longer this link's. */
bool link_input(struct link *l)
{
	struct bufferevent *bev = l->bev;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct fo_msg m;

	while (l->bev == bev && evbuffer_get_length(in)) {
		size_t have = evbuffer_get_length(in);
		const uint8_t *p =
			evbuffer_pullup(in, have < FO_MSG_MAX ? (ssize_t)have : FO_MSG_MAX);
		enum fo_verdict v;

		if (!link_may_speak(l)) {
			link_hold(l);
			/* disabled: libevent calls for what lies above its mark on and on */
			bufferevent_disable(bev, EV_READ);
			break;
		}
		v = fo_msg_decode(p, have < FO_MSG_MAX ? have : FO_MSG_MAX, &m);
		if (v == FO_MORE)
			break;
		if (m.len && !guard_accepts(l, p, m.len))
			return false;
		if (v == FO_IGNORED_TYPE && m.len) {
			evbuffer_drain(in, m.len);
			continue;
		}
		if (v != FO_OK) {
			l->net->ops.garbage(l->net->ops.ctx, l->relation, v);
			return false;
		}
		l->net->ops.message(l->net->ops.ctx, l->relation, &m);
		if (l->bev == bev)
			evbuffer_drain(in, m.len);
	}
	return l->bev == bev;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct link *l = arg;

	(void)bev;
	l->heard = clock_now().mono;
	l->spoken = true;
	if (l->up)
		(void)link_input(l);
	else
		guard_tls_answer(l);
}

void link_begin(struct link *l, bool ours)
{
	if (!l->digest && !guard_begin(l)) {
		link_refused(l, FO_CLOSE_STATE);
	} else if (guard_wants_tls(l)) {
		guard_ask_tls(l);
	} else {
		link_in_time(l);
		l->up = true;
		l->heard = clock_now().mono;
		l->net->ops.link_up(l->net->ops.ctx, l->relation, ours);
	}
}

void link_refused(struct link *l, enum fo_close_reason why)
{
	bool was_up = l->up;

	fo_net_close(l->net, l->relation, why);
	if (was_up)
		l->net->ops.link_down(l->net->ops.ctx, l->relation, FO_CLOSE_REJECTED);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct link *l = arg;
	bool rejected = false;

	if (what & BEV_EVENT_CONNECTED) {
		bufferevent_set_timeouts(bev, NULL, NULL); /* of the TCP handshake */
		fo_tune(bufferevent_getfd(bev));
		link_begin(l, true);
		return;
	}
	if ((l->asked_tls || l->encrypted) && !(l->up && l->spoken))
		rejected = guard_tls_failed(l, bev,
					    "the partner closed the connection, or did not answer");
	if (l->up) {
		link_drop(l, false);
		l->net->ops.link_down(l->net->ops.ctx, l->relation, FO_CLOSE_PEER);
	} else {
		link_drop(l, false);
	}
	/* whoever rejects says so, in TLS by an alert: else this is a loss like any other */
	l->retry_ms = rejected ? link_after_rejection(l) : RETRY_MS;
	link_arm_retry(l, l->retry_ms);
}

void link_use(struct link *l, struct bufferevent *bev)
{
	l->bev = bev;
	bufferevent_setcb(bev, on_read, NULL, on_event, l);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* A link that has been silent beyond the receive timer, or on which nothing came yet, gives way to
 * a new connection: the first CONNECT counts (failover-wire §1.2). */
bool link_is_alive(const struct link *l)
{
	const struct fo_conf *c = &l->conf->fo;
	int64_t sec = l->isc ? c->contact_timeout_isc_sec : c->contact_timeout_sec;

	return l->up && l->spoken && clock_now().mono.us - l->heard.us < sec * 1000000;
}

/* --- open, close
 * ---------------------------------------------------------------------------------- */

static bool already_listening(const struct fo_net *n, unsigned upto)
{
	const struct sockaddr_in *a = &n->links[upto].conf->local;

	for (unsigned i = 0; i < upto; i++) {
		const struct sockaddr_in *b = &n->links[i].conf->local;

		if (a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port)
			return true;
	}
	return false;
}

static int listen_for(struct fo_net *n, unsigned i, char err[256])
{
	struct sockaddr_in at = n->links[i].conf->local;
	char text[INET_ADDRSTRLEN];
	struct evconnlistener *l = evconnlistener_new_bind(
		n->base, inbound_accept, n,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 64,
		(struct sockaddr *)&at, sizeof(at));

	if (!l) {
		int r = -errno;

		snprintf(err, 256,
			 "cannot listen for failover on %s port %u: %s: is the address on an "
			 "interface of this host, and the port free?",
			 evutil_inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)),
			 ntohs(at.sin_port), strerror(-r));
		return r;
	}
	evconnlistener_set_error_cb(l, inbound_accept_failed);
	n->listeners[n->n_listeners++] = l;
	return 0;
}

static void link_init(struct fo_net *n, unsigned i, const struct conf_relation *c)
{
	struct link *l = &n->links[i];

	l->net = n;
	l->conf = c;
	l->relation = i;
	l->isc = c->fo.dialect == FO_DIALECT_ISC;
	l->retry_ms = RETRY_MS;
	link_call(l);
}

int fo_net_open(struct event_base *base, const struct conf *c, const struct fo_keys *keys,
		const struct fo_net_ops *ops, struct fo_net **ret, char err[256])
{
	struct fo_net *n = calloc(1, sizeof(*n));
	int r = 0;

	if (!n)
		return -ENOMEM;
	n->base = base;
	n->patience_ms = PATIENCE_MS;
	n->ops = *ops;
	n->keys = keys;
	n->n_links = n->left_out = c->n_relations;
	n->links = calloc(c->n_relations + 1, sizeof(*n->links));
	n->listeners = calloc(c->n_relations + 1, sizeof(*n->listeners));
	if (!n->links || !n->listeners)
		r = -ENOMEM;
	for (unsigned i = 0; !r && i < n->n_links; i++)
		link_init(n, i, &c->relations[i]);
	for (unsigned i = 0; !r && i < n->n_links; i++)
		if (!already_listening(n, i))
			r = listen_for(n, i, err);
	if (r < 0) {
		fo_net_close_all(n);
		return r;
	}
	*ret = n;
	return 0;
}

void fo_net_use(struct fo_net *n, const struct conf *c, const struct fo_keys *keys)
{
	while (n->inbound) /* they hold on to the former secrets */
		inbound_drop(n->inbound);
	for (unsigned i = 0; i < n->n_links; i++) {
		link_drop(&n->links[i], false);
		n->links[i].conf = &c->relations[i];
		n->links[i].retry_ms = RETRY_MS; /* what was rejected may be right now */
		link_arm_retry(&n->links[i], RETRY_MS);
	}
	n->keys = keys;
}

/* What the loop has not sent yet, as far as it goes without waiting; then the FIN. */
static void link_finish(struct link *l)
{
	if (l->up && l->encrypted) {
		fo_tls_finish(l->bev);
	} else if (l->up) {
		struct evbuffer *out = bufferevent_get_output(l->bev);

		evbuffer_unfreeze(out, 1);
		(void)evbuffer_write(out, bufferevent_getfd(l->bev));
	}
	link_drop(l, false);
}

void fo_net_close_all(struct fo_net *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < n->n_listeners; i++)
		evconnlistener_free(n->listeners[i]);
	while (n->inbound)
		inbound_drop(n->inbound);
	fo_leave_all(n);
	for (unsigned i = 0; n->links && i < n->n_links; i++) {
		link_finish(&n->links[i]);
		if (n->links[i].retry)
			event_free(n->links[i].retry);
		if (n->links[i].late)
			event_free(n->links[i].late);
	}
	free(n->links);
	free(n->listeners);
	free(n);
}

/* Updates are bounded by the partner's window, which is no larger than ours, and acknowledgements
 * by ours: more than that waits only for one who asks and does not read. */
static size_t output_max(const struct link *l)
{
	return OUTPUT_MIN + 2 * (size_t)l->conf->fo.max_unacked * FO_MSG_MAX;
}

void fo_net_send(struct fo_net *n, unsigned relation, const uint8_t *msg, size_t len)
{
	struct link *l = &n->links[relation];
	uint8_t room[FO_MSG_MAX];

	if (!l->up || l->choked)
		return;
	len = guard_seal(l, &msg, len, room);
	if (len && evbuffer_get_length(bufferevent_get_output(l->bev)) + len <= output_max(l)) {
		(void)bufferevent_write(l->bev, msg, len);
		return;
	}
	/* it asks and does not read (or a digest cannot be made): ended by the loop, since the
	 * endpoint may be our caller */
	l->choked = true;
	log_event(LOG_L_WARNING, "partner-does-not-read", "relationship=%s", l->conf->fo.name);
	bufferevent_trigger_event(l->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

/* What a link said beyond its budget is heard in the next turn, beside the clients. */
static void link_go_on(struct link *l)
{
	l->heard_now = false;
	if (!l->held) /* half a message waits for its other half */
		return;
	if (!l->net->ops.room(l->net->ops.ctx, l->relation)) {
		link_note_heard(l); /* a commit brings room, and a turn */
		link_hold(l);
		return;
	}
	l->held = false;
	bufferevent_enable(l->bev, EV_READ);
	bufferevent_trigger(l->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* All links together have a budget, too: who found nothing left of it is the first next time. */
void fo_net_turn(struct fo_net *n)
{
	unsigned at = n->left_out < n->n_links ? n->left_out : 0;
	bool again = n->accept_again.us && n->accept_again.us <= clock_now().mono.us;

	if (n->accepts >= TURN_ACCEPTS || again)
		for (unsigned i = 0; i < n->n_listeners; i++)
			(void)evconnlistener_enable(n->listeners[i]);
	if (again)
		n->accept_again.us = 0;
	n->accepts = n->messages = 0;
	n->left_out = n->n_links;
	for (unsigned i = 0; i < n->n_links; i++, at = at + 1 < n->n_links ? at + 1 : 0)
		if (n->links[at].heard_now)
			link_go_on(&n->links[at]);
}

void fo_net_close(struct fo_net *n, unsigned relation, enum fo_close_reason why)
{
	struct link *l = &n->links[relation];

	l->retry_ms = why == FO_CLOSE_REJECTED ? link_after_rejection(l) : RETRY_MS;
	link_drop(l, why != FO_CLOSE_SILENT);
	link_arm_retry(l, l->retry_ms);
}

bool fo_net_is_up(const struct fo_net *n, unsigned relation)
{
	return n->links[relation].up;
}

bool fo_net_partner_end(const struct fo_net *n, unsigned relation, struct fo_tls_end *ret)
{
	const struct link *l = &n->links[relation];

	return l->up && l->encrypted && fo_tls_end_of_theirs(l->bev, ret);
}
