/*
 * Connections that are being closed: what was written to them may still leave, for at most 2 s,
 * whether the partner reads or not.
 *
 * Callers: fo_session (links), fo_inbound (refused connections).
 * Standards: draft-ietf-dhc-failover-12 §8 (a rejection is told before the connection ends).
 */
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "net/fo_session_priv.h"

#define LINGER_S 2

struct leaving {
	struct bufferevent *bev;
	struct event *limit; /* for all of it: an octet now and then gains no time */
	struct leaving *next, **prev;
};

static void leaving_end(struct leaving *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	event_free(c->limit);
	bufferevent_free(c->bev);
	free(c);
}

static void leaving_done(struct bufferevent *bev, void *arg)
{
	(void)bev;
	leaving_end(arg);
}

static void leaving_failed(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	leaving_end(arg);
}

static void leaving_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	leaving_end(arg);
}

static struct leaving *leaving_begin(struct fo_net *n, struct bufferevent *bev)
{
	struct timeval limit = { LINGER_S, 0 };
	struct leaving *c = calloc(1, sizeof(*c));

	if (c)
		c->limit = evtimer_new(n->base, leaving_late, c);
	if (!c || !c->limit) {
		free(c);
		return NULL;
	}
	evtimer_add(c->limit, &limit);
	c->bev = bev;
	c->prev = &n->leaving;
	c->next = n->leaving;
	if (c->next)
		c->next->prev = &c->next;
	n->leaving = c;
	return c;
}

void fo_leave(struct fo_net *n, struct bufferevent *bev)
{
	struct leaving *c = NULL;

	if (evbuffer_get_length(bufferevent_get_output(bev)))
		c = leaving_begin(n, bev);
	if (!c) {
		bufferevent_free(bev);
		return;
	}
	bufferevent_disable(bev, EV_READ);
	bufferevent_set_timeouts(bev, NULL, NULL);
	bufferevent_setcb(bev, NULL, leaving_done, leaving_failed, c);
}

void fo_leave_all(struct fo_net *n)
{
	while (n->leaving)
		leaving_end(n->leaving);
}
