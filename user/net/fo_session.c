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
#include "net/fo_session.h"

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

#include "sys/clock.h"
#include "sys/log.h"

#define RETRY_MS 1000	       /* after any loss */
#define STIMULUS_MS 5000       /* an ISC primary is invited by the secondary as well */
#define REJECTED_FIRST_MS 5000 /* after a rejection, doubled up to ... */
#define REJECTED_MAX_MS 60000
#define CONNECT_LIMIT_MS 3000	 /* TCP handshake */
#define FIRST_MESSAGE_LIMIT_S 15 /* an accepted connection must say CONNECT within */
#define LINGER_S 2		 /* what was sent before a close may take this long */
#define INPUT_MAX (64 * 1024)	 /* unread octets per connection */
#define OUTPUT_MIN (256 * 1024)	 /* unsent ones, beside what both windows can hold */
#define HALF_OPEN_MAX 4		 /* accepted and silent, per partner (decision E6) */
#define TURN_MESSAGES 64	 /* of one link in one turn; others are served in between */
#define TURN_MESSAGES_ALL 256	 /* of all links */
#define TURN_ACCEPTS 64

struct link {
	struct fo_net *net;
	const struct conf_relation *conf;
	unsigned relation;
	struct bufferevent *bev; /* connecting or up */
	bool up;
	bool isc;    /* of another make, as far as we know: its receive timer is another one */
	bool spoken; /* the partner has said something on it */
	bool choked; /* what was not sent is more than it may be: about to be closed */
	bool heard_now;	 /* in the list of those heard in this turn */
	unsigned budget; /* messages that it may still say in this turn */
	struct link *next_heard;
	int retry_ms;
	struct event *retry; /* primaries, and secondaries of an ISC dhcpd */
	mono_t heard;
};

struct inbound { /* accepted, relationship not yet known */
	struct fo_net *net;
	struct bufferevent *bev;
	struct sockaddr_in from;
	struct inbound *next, **prev;
};

struct fo_net {
	struct event_base *base;
	struct fo_net_ops ops;
	struct link *links;
	unsigned n_links;
	struct evconnlistener **listeners;
	unsigned n_listeners;
	unsigned accepts, messages; /* in this turn */
	struct link *heard;	    /* likewise */
	struct inbound *inbound;
	struct log_limit strangers;
};

static void link_arm_retry(struct link *l, int ms)
{
	int wait = l->conf->fo.primary || ms > STIMULUS_MS ? ms : STIMULUS_MS;
	struct timeval tv = { wait / 1000, wait % 1000 * 1000 };

	if (l->retry)
		evtimer_add(l->retry, &tv);
}

static void tune(evutil_socket_t fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* --- a connection that is being closed: what was sent first may still leave --------------------
 */

static void drained(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

static void drain_failed(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void close_gently(struct bufferevent *bev)
{
	struct timeval limit = { LINGER_S, 0 };

	if (!evbuffer_get_length(bufferevent_get_output(bev))) {
		bufferevent_free(bev);
		return;
	}
	bufferevent_disable(bev, EV_READ);
	bufferevent_setcb(bev, NULL, drained, drain_failed, NULL);
	bufferevent_set_timeouts(bev, NULL, &limit);
}

/* --- links ------------------------------------------------------------------------------------ */

static void link_drop(struct link *l, bool gently)
{
	struct bufferevent *bev = l->bev;

	l->bev = NULL;
	l->up = l->choked = l->spoken = false;
	if (bev && gently)
		close_gently(bev);
	else if (bev)
		bufferevent_free(bev);
}

/* A link that is heard in this turn is looked at again at its end. */
static void link_note_heard(struct link *l)
{
	if (l->heard_now)
		return;
	l->heard_now = true;
	l->budget = TURN_MESSAGES;
	l->next_heard = l->net->heard;
	l->net->heard = l;
}

static bool link_may_speak(struct link *l)
{
	struct fo_net *n = l->net;

	link_note_heard(l);
	if (!l->budget || n->messages >= TURN_MESSAGES_ALL ||
	    !n->ops.room(n->ops.ctx, l->relation))
		return false;
	l->budget--;
	n->messages++;
	return true;
}

/* Cut the input into messages. Returns false when the connection is no longer this link's. */
static bool link_input(struct link *l)
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
			/* disabled: libevent calls for what lies above its mark on and on */
			bufferevent_disable(bev, EV_READ);
			break;
		}
		v = fo_msg_decode(p, have < FO_MSG_MAX ? have : FO_MSG_MAX, &m);
		if (v == FO_MORE)
			break;
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
	(void)link_input(l);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct link *l = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		tune(bufferevent_getfd(l->bev));
		bufferevent_set_timeouts(l->bev, NULL, NULL);
		l->up = true;
		l->heard = clock_now().mono;
		l->net->ops.link_up(l->net->ops.ctx, l->relation, true);
		return;
	}
	if (l->up) {
		link_drop(l, false);
		l->net->ops.link_down(l->net->ops.ctx, l->relation, FO_CLOSE_PEER);
	} else {
		link_drop(l, false);
	}
	l->retry_ms = RETRY_MS; /* whoever rejects says so: this is a loss like any other */
	link_arm_retry(l, l->retry_ms);
}

static void link_use(struct link *l, struct bufferevent *bev)
{
	l->bev = bev;
	bufferevent_setcb(bev, on_read, NULL, on_event, l);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static int bound_socket(const struct sockaddr_in *local)
{
	struct sockaddr_in from = *local;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	from.sin_port = 0; /* the partner knows us by our address alone */
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static void link_connect(evutil_socket_t unused, short what, void *arg)
{
	struct link *l = arg;
	struct timeval limit = { CONNECT_LIMIT_MS / 1000, 0 };
	struct sockaddr_in to = l->conf->partner;
	struct bufferevent *bev;
	int fd;

	(void)unused;
	(void)what;
	if (l->bev)
		return;
	link_arm_retry(l, l->retry_ms); /* replaced as soon as something happens */
	fd = bound_socket(&l->conf->local);
	if (fd < 0)
		return; /* the address is not there (yet): try again */
	bev = bufferevent_socket_new(l->net->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		close(fd);
		return;
	}
	evtimer_del(l->retry);
	link_use(l, bev);
	bufferevent_set_timeouts(bev, NULL, &limit);
	if (bufferevent_socket_connect(bev, (struct sockaddr *)&to, sizeof(to)) < 0 && l->bev) {
		link_drop(l, false);
		link_arm_retry(l, l->retry_ms);
	}
}

/* --- accepted connections -----------------------------------------------------------------------
 */

static void inbound_forget(struct inbound *in)
{
	*in->prev = in->next;
	if (in->next)
		in->next->prev = in->prev;
	free(in);
}

static void inbound_drop(struct inbound *in)
{
	bufferevent_free(in->bev);
	inbound_forget(in);
}

static void inbound_refuse(struct inbound *in, const struct fo_msg *m, struct octets name,
			   enum fo_reject reason)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	struct fo_connect ack = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_MESSAGE,
		.name = name,
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.version = 1,
		.reject = (uint8_t)reason,
	};
	const char *text = fo_reject_text(reason);
	size_t len;

	ack.message = (struct octets){ (const uint8_t *)text, (uint32_t)strlen(text) };
	fo_write_begin(&w, buf, sizeof(buf), FO_CONNECTACK, clock_now().wall, m->xid);
	fo_write_connectack(&w, &ack);
	len = fo_write_end(&w);
	bufferevent_write(in->bev, buf, len);
	close_gently(in->bev);
	inbound_forget(in);
}

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

/* A link that has been silent beyond the receive timer, or on which nothing came yet, gives way to
 * a new connection: the first CONNECT counts (failover-wire §1.2). */
static bool link_is_alive(const struct link *l)
{
	const struct fo_conf *c = &l->conf->fo;
	int64_t sec = l->isc ? c->contact_timeout_isc_sec : c->contact_timeout_sec;

	return l->up && l->spoken && clock_now().mono.us - l->heard.us < sec * 1000000;
}

static void inbound_adopt(struct inbound *in, struct link *l)
{
	struct bufferevent *bev = in->bev;

	if (l->up) {
		link_drop(l, false);
		l->net->ops.link_down(l->net->ops.ctx, l->relation, FO_CLOSE_SILENT);
	}
	link_drop(l, false); /* our own connect, if that is still on its way */
	if (l->retry)
		evtimer_del(l->retry);
	inbound_forget(in);
	bufferevent_set_timeouts(bev, NULL, NULL);
	link_use(l, bev);
	l->up = true;
	l->spoken = !l->conf->fo.primary; /* CONNECT brought us here */
	l->heard = clock_now().mono;
	l->net->ops.link_up(l->net->ops.ctx, l->relation, false);
	if (l->bev == bev)
		(void)link_input(l); /* CONNECT is still in the buffer */
}

static void inbound_read(struct bufferevent *bev, void *arg)
{
	struct inbound *in = arg;
	struct evbuffer *buf = bufferevent_get_input(bev);
	size_t have = evbuffer_get_length(buf);
	const uint8_t *p = evbuffer_pullup(buf, have < FO_MSG_MAX ? (ssize_t)have : FO_MSG_MAX);
	struct fo_connect c;
	struct fo_msg m;
	enum fo_verdict v = fo_msg_decode(p, have < FO_MSG_MAX ? have : FO_MSG_MAX, &m);
	struct link *l;

	if (v == FO_MORE)
		return;
	if (v != FO_OK || m.type != FO_CONNECT) {
		inbound_drop(in);
		return;
	}
	fo_msg_read_connect(&m, &c);
	l = link_by_name(in->net, &in->from, c.name);
	if (!l || l->conf->fo.primary) {
		tell_stranger(in, c.name,
			      l ? "the partner plays the primary too" : "no such relationship");
		inbound_refuse(in, &m, c.name, FO_REJECT_INVALID_PARTNER);
	} else if (link_is_alive(l)) {
		inbound_refuse(in, &m, c.name, FO_REJECT_DUPLICATE_CONNECTION);
	} else {
		l->isc = !c.own_kind;
		inbound_adopt(in, l);
	}
}

static void inbound_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	inbound_drop(arg);
}

/* Relationships with the server at this address: each may have a connection on its way. */
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

static void inbound_start(struct fo_net *n, evutil_socket_t fd, const struct sockaddr_in *from)
{
	struct timeval limit = { FIRST_MESSAGE_LIMIT_S, 0 };
	struct link *ours = link_we_begin(n, from);
	struct inbound *in;

	if (ours && ours->up) { /* there is a link, or a handshake: it stays (failover-wire §1.2) */
		close(fd);
		return;
	}
	in = calloc(1, sizeof(*in));

	if (in)
		in->bev = bufferevent_socket_new(n->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!in || !in->bev) {
		free(in);
		close(fd);
		return;
	}
	tune(fd);
	in->net = n;
	in->from = *from;
	in->prev = &n->inbound;
	in->next = n->inbound;
	if (in->next)
		in->next->prev = &in->next;
	n->inbound = in;
	bufferevent_setcb(in->bev, inbound_read, NULL, inbound_event, in);
	bufferevent_setwatermark(in->bev, EV_READ, 0, 2 * FO_MSG_MAX);
	bufferevent_set_timeouts(in->bev, &limit, NULL);
	bufferevent_enable(in->bev, EV_READ | EV_WRITE);
	if (ours)
		inbound_adopt(in, ours);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
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
		n->base, on_accept, n,
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
	if (!c->fo.primary && !l->isc)
		return;
	l->retry = evtimer_new(n->base, link_connect, l);
	link_arm_retry(l, c->fo.primary ? 0 : STIMULUS_MS);
}

int fo_net_open(struct event_base *base, const struct conf *c, const struct fo_net_ops *ops,
		struct fo_net **ret, char err[256])
{
	struct fo_net *n = calloc(1, sizeof(*n));
	int r = 0;

	if (!n)
		return -ENOMEM;
	n->base = base;
	n->ops = *ops;
	n->n_links = c->n_relations;
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

void fo_net_use(struct fo_net *n, const struct conf *c)
{
	for (unsigned i = 0; i < n->n_links; i++)
		n->links[i].conf = &c->relations[i];
}

/* What the loop has not sent yet, as far as it goes without waiting; then the FIN. */
static void link_finish(struct link *l)
{
	if (l->up) {
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
	for (unsigned i = 0; n->links && i < n->n_links; i++) {
		link_finish(&n->links[i]);
		if (n->links[i].retry)
			event_free(n->links[i].retry);
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

	if (!l->up || l->choked)
		return;
	if (evbuffer_get_length(bufferevent_get_output(l->bev)) + len <= output_max(l)) {
		(void)bufferevent_write(l->bev, msg, len);
		return;
	}
	/* it asks and does not read: ended by the loop, since the endpoint may be our caller */
	l->choked = true;
	log_event(LOG_L_WARNING, "partner-does-not-read", "relationship=%s", l->conf->fo.name);
	bufferevent_trigger_event(l->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

/* What a link said beyond its budget is heard in the next turn, beside the clients. */
static void link_go_on(struct link *l)
{
	l->heard_now = false;
	if (!l->up || !evbuffer_get_length(bufferevent_get_input(l->bev)))
		return;
	if (!l->net->ops.room(l->net->ops.ctx, l->relation)) {
		link_note_heard(l); /* a commit brings room, and a turn */
		return;
	}
	bufferevent_enable(l->bev, EV_READ);
	bufferevent_trigger(l->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void fo_net_turn(struct fo_net *n)
{
	struct link *l = n->heard, *next;

	if (n->accepts >= TURN_ACCEPTS)
		for (unsigned i = 0; i < n->n_listeners; i++)
			(void)evconnlistener_enable(n->listeners[i]);
	n->accepts = n->messages = 0;
	n->heard = NULL;
	for (; l; l = next) {
		next = l->next_heard;
		link_go_on(l);
	}
}

void fo_net_close(struct fo_net *n, unsigned relation, enum fo_close_reason why)
{
	struct link *l = &n->links[relation];

	if (why == FO_CLOSE_REJECTED)
		l->retry_ms = l->retry_ms < REJECTED_FIRST_MS	  ? REJECTED_FIRST_MS
			      : l->retry_ms * 2 > REJECTED_MAX_MS ? REJECTED_MAX_MS
								  : l->retry_ms * 2;
	else
		l->retry_ms = RETRY_MS;
	link_drop(l, why != FO_CLOSE_SILENT);
	link_arm_retry(l, l->retry_ms);
}

bool fo_net_is_up(const struct fo_net *n, unsigned relation)
{
	return n->links[relation].up;
}
