/*
 * Which endpoints a turn touches: those that somebody has been at, those with a timer that is due,
 * and after a commit those that may wait for it. With a thousand relationships at rest that is a
 * few of them; of the others a turn reads one line of a table.
 *
 * Callers: node_turn, node_store (commits), node_partner, and whoever may change an endpoint
 * (node_endpoint).
 */
#include "node_priv.h"

/* What an endpoint puts is of use to it once it is durable. */
void node_await_batch(struct node_relation *r)
{
	r->node->wake[r->index].awaits = lease_store_batch(r->node->store);
}

static struct fo_endpoint *up_to_date(struct node *n, unsigned i)
{
	struct fo_endpoint *e = n->relations[i].ep;

	if (e)
		fo_endpoint_turn(e, lease_store_batch(n->store), &n->now);
	n->wake[i].due.us = 0;
	return e;
}

struct fo_endpoint *node_endpoint(struct node *n, unsigned i)
{
	node_await_batch(&n->relations[i]);
	return up_to_date(n, i);
}

/* What the clients have changed, and what it has to do by itself. */
static void endpoint_turn(struct node *n, unsigned i, struct fo_endpoint *e)
{
	struct node_relation *r = &n->relations[i];

	if (r->policy_lost)
		node_policy_again(r);
	if (fo_endpoint_next(e).us <= n->now.mono.us)
		fo_endpoint_tick(node_endpoint(n, i), &n->now);
	if (r->touched)
		fo_endpoint_pump(node_endpoint(n, i), &n->now);
	r->touched = false;
	if (r->broken && fo_net_is_up(n->net, i)) {
		fo_net_close(n->net, i, FO_CLOSE_STATE);
		fo_endpoint_link_down(e, &n->now, FO_CLOSE_STATE);
	}
	r->broken = r->persisted = false;
}

void node_partner_turn(struct node *n)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		struct fo_endpoint *e;

		if (n->wake[i].due.us > n->now.mono.us)
			continue;
		e = up_to_date(n, i);
		if (!e)
			continue;
		endpoint_turn(n, i, e);
		if (!n->relations[i].policy_lost)
			n->wake[i].due = fo_endpoint_next(e);
	}
}

/* Nobody else waits for the disk: it has neither put anything nor been asked for anything since. */
void node_partner_durable(struct node *n, uint64_t batch)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		struct node_wake *w = &n->wake[i];
		struct fo_endpoint *e;

		if (w->told >= w->awaits)
			continue;
		e = up_to_date(n, i);
		w->told = batch;
		if (e)
			fo_endpoint_durable(e, batch, &n->now);
	}
}

mono_t node_partner_next(const struct node *n)
{
	mono_t next = MONO_NEVER;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (n->wake[i].due.us)
			next = mono_min(next, n->wake[i].due);
		else if (n->relations[i].ep)
			next = mono_min(next, fo_endpoint_next(n->relations[i].ep));
	}
	return next;
}

void node_partner_look(struct node *n)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		n->wake[i].due.us = 0;
}
