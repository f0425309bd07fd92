/*
 * Calling the partner: who does, when, and from which address; and that the address is there, also
 * where the partner calls.
 *
 * Callers: fo_session.
 * Standards: draft-ietf-dhc-failover-12 §8 (the primary connects).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "net/fo_session_priv.h"

#define STIMULUS_MS 5000       /* an ISC primary is invited by the secondary as well */
#define REJECTED_FIRST_MS 5000 /* after a rejection, doubled up to ... */
#define REJECTED_MAX_MS 60000
#define CONNECT_LIMIT_MS 3000 /* TCP handshake */

void link_arm_retry(struct link *l, int ms)
{
	int wait = l->conf->fo.primary || ms > STIMULUS_MS ? ms : STIMULUS_MS;
	struct timeval tv = { wait / 1000, wait % 1000 * 1000 };

	if (l->retry)
		evtimer_add(l->retry, &tv);
}

int link_after_rejection(const struct link *l)
{
	if (l->retry_ms < REJECTED_FIRST_MS)
		return REJECTED_FIRST_MS;
	return l->retry_ms * 2 > REJECTED_MAX_MS ? REJECTED_MAX_MS : l->retry_ms * 2;
}

/* The primary does, and the secondary of an ISC dhcpd. */
static bool link_calls(const struct link *l)
{
	return l->conf->fo.primary || l->conf->fo.dialect == FO_DIALECT_ISC;
}

static void tell_local_gone(struct link *l, int err)
{
	char why[200];

	if (err == -EADDRNOTAVAIL)
		snprintf(why, sizeof(why),
			 "it is on no interface of this host any more: put it there again, or name "
			 "another one as `local`");
	else
		snprintf(why, sizeof(why), "it cannot be used: %s", strerror(-err));
	l->net->ops.refused(l->net->ops.ctx, l->relation, FO_REFUSED_LOCAL, why);
}

static void tell_no_socket(struct link *l, int err)
{
	char why[200];

	snprintf(why, sizeof(why), "this host gives no socket: %s", strerror(-err));
	l->net->ops.refused(l->net->ops.ctx, l->relation, FO_REFUSED_SOCKET, why);
}

/* Negative: told why there is none. Where descriptors or memory are short the address may well be
 * there: only bind knows. */
static int bound_socket(struct link *l)
{
	struct sockaddr_in from = l->conf->local;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		tell_no_socket(l, -errno);
		return -1;
	}
	from.sin_port = 0; /* the partner knows us by our address alone */
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0) {
		tell_local_gone(l, -errno);
		close(fd);
		return -1;
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
	fd = bound_socket(l);
	if (fd < 0) /* it may come: try again */
		return;
	if (!link_calls(l)) { /* who is called has to be there */
		close(fd);
		return;
	}
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

void link_call(struct link *l)
{
	l->retry = evtimer_new(l->net->base, link_connect, l);
	link_arm_retry(l, l->conf->fo.primary ? 0 : STIMULUS_MS);
}
