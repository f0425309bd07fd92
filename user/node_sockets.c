/*
 * The sockets of clients: which of them is heard when, and how much of it.
 *
 * What cannot wait is heard when the loop says that it is there, a batch of each socket, beside
 * what the partner says. DISCOVERs are heard when the turn ends, so after all of that; while more
 * REQUESTs wait than a batch holds, only a few of them, so that they do not bring yet more
 * REQUESTs, and yet no flood of REQUESTs silences the server for new clients. What has waited too
 * long is given up (net/dhcp_wait.h). A turn's work is bounded by that, whatever comes.
 */
#include "node_priv.h"

#include <errno.h>

#define DISCOVERS_BEHIND (NODE_BATCH / 8) /* of a socket in a turn, while REQUESTs wait */

/* True: there may be more. */
static bool hear_batch(struct node *n, struct node_socket *s, unsigned max)
{
	static struct dhcp_datagram batch[NODE_BATCH]; /* one thread, one batch at a time */
	int got = dhcp_io_receive(n->io, s->fd, batch, max);

	for (int i = 0; n->serving && i < got; i++) {
		n->count.datagrams++;
		if (dhcp_wait_is_over(&s->wait, s->kind, dhcp_datagram_age_us(&batch[i])))
			n->count.stale[s->kind]++;
		else
			node_hear(n, &batch[i]);
	}
	return got == (int)max;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct node_socket *s = arg;
	struct node *n = s->node;

	(void)fd;
	(void)what;
	node_turn_begin(n);
	if (s->kind == DHCP_IO_DISCOVERS)
		s->ready = n->discovers_ready = true;
	else if (hear_batch(n, s, NODE_BATCH))
		n->requests_wait = true;
}

/* What is too old does not use up the share: what is new waits behind it. */
static void hear_discovers(struct node *n, struct node_socket *s, unsigned share)
{
	const uint64_t *stale = &n->count.stale[s->kind];
	unsigned batches = 0;
	uint64_t before;

	do
		before = *stale;
	while (hear_batch(n, s, share) && *stale - before == share &&
	       ++batches < NODE_BATCH / share);
}

void node_sockets_turn(struct node *n)
{
	unsigned share = n->requests_wait ? DISCOVERS_BEHIND : NODE_BATCH;

	n->requests_wait = false;
	if (!n->discovers_ready)
		return;
	n->discovers_ready = false;
	for (unsigned i = 0; i < n->n_sockets; i++) {
		if (n->sockets[i].ready)
			hear_discovers(n, &n->sockets[i], share);
		n->sockets[i].ready = false;
	}
}

void node_sockets_forget(struct node *n)
{
	for (unsigned i = 0; i < n->n_sockets; i++)
		event_free(n->sockets[i].ev);
	n->n_sockets = 0;
}

int node_sockets_start(struct node *n)
{
	int fds[NODE_SOCKETS];
	unsigned count = dhcp_io_fds(n->io, fds, NODE_SOCKETS);

	node_watch_interfaces(n);
	node_sockets_forget(n);
	for (unsigned i = 0; i < count; i++) {
		struct node_socket *s = &n->sockets[i];

		*s = (struct node_socket){ .node = n,
					   .fd = fds[i],
					   .kind = dhcp_io_kind_of(n->io, fds[i]) };
		s->ev = event_new(n->base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
		if (!s->ev)
			return -ENOMEM;
		event_priority_set(s->ev, PRIO_CLIENTS);
		n->n_sockets++;
		if (!n->deaf)
			event_add(s->ev, NULL);
	}
	return 0;
}

void node_sockets_deaf(struct node *n, bool deaf)
{
	if (deaf == n->deaf)
		return;
	n->deaf = deaf;
	for (unsigned i = 0; i < n->n_sockets; i++)
		(void)(deaf ? event_del(n->sockets[i].ev) : event_add(n->sockets[i].ev, NULL));
}
