#pragma once
/*
 * A small server that grants leases to the clients of a world (fo_world.h): what both endpoints are
 * to agree about.
 */
#include "core/server.h"
#include "fo_world_node.h"

static void acknowledge(struct node *n, const struct lease *row, unsigned c, bool fresh)
{
	struct lease_client lc = client_of(c);
	struct now now = now_of(n);
	struct lease l = *row;
	struct lease_grant g = binding_grant(&n->view, &l, now.wall, n->w->lease_time);
	struct out *o;

	if (fresh) {
		l.starts = (uint32_t)now.wall.sec;
		l.stos = l.starts;
		l.acked_pet = l.rcvd_pet = l.sent_pet = 0;
		l.key = lease_client_key(&secret, &lc);
		l.bucket = bucket_of(c);
	}
	l.state = LEASE_ACTIVE;
	l.expires = g.expires;
	l.sent_pet = g.pet > l.sent_pet ? g.pet : l.sent_pet;
	l.cltt = (uint32_t)now.wall.sec;
	l.serial++;
	l.flags = (uint8_t)((l.flags | LEASE_DIRTY) & ~LEASE_BY_PARTNER);
	(void)pool_apply(n->pool, &l, n->open);
	put(n, &l, fresh ? &lc : NULL);
	o = new_out(n, OUT_ACK);
	o->lease = l;
	o->client = c;
	o->asked = n->w->released[c];
}

static const struct lease *choose(struct node *n, const struct scope *s)
{
	const struct fo_view *v = &n->view;
	const struct lease *l = pool_free_first(n->pool, s, v->primary ? LEASE_FREE : LEASE_BACKUP);

	if (!l)
		l = pool_free_first(n->pool, s, v->primary ? LEASE_BACKUP : LEASE_FREE);
	return l && binding_may_allocate(v, l, now_of(n).wall) ? l : NULL;
}

/* A client of scope 0 wants an address, or longer. Return: whether somebody may answer. */
static inline bool request(struct node *n, unsigned c, bool any_bucket)
{
	struct lease_client lc = client_of(c);
	struct client_key key = lease_client_key(&secret, &lc);
	const struct scope *s = &n->w->scopes[0];
	const struct lease *l;
	bool done = false;

	if (!n->up)
		return false;
	l = pool_find_client(n->pool, key, s);
	if (l && l->state == LEASE_ACTIVE) {
		if (n->view.serve_renew && (!n->view.hold || l->expires > now_of(n).wall.sec)) {
			acknowledge(n, l, c, false);
			done = true;
		}
	} else if (n->view.serve_new && (any_bucket || !n->view.balanced ||
					 loadbal_owned(&n->view.policy, bucket_of(c)))) {
		l = choose(n, s);
		if (l)
			acknowledge(n, l, c, true);
		done = l != NULL;
	}
	turn_end(n);
	return done;
}

static inline void release(struct node *n, unsigned c)
{
	struct lease_client lc = client_of(c);
	const struct lease *row =
		pool_find_client(n->pool, lease_client_key(&secret, &lc), &n->w->scopes[0]);
	uint32_t addr = n->w->client_addr[c];
	struct lease l;

	if (!addr)
		return;
	n->w->promise[addr - FIRST].client = 0;
	n->w->client_addr[c] = 0;
	n->w->released[c]++;
	if (!n->up || !n->view.serve_new || !row || row->state != LEASE_ACTIVE || row->addr != addr)
		return;
	l = *row;
	l.state = LEASE_RELEASED;
	l.cltt = l.stos = (uint32_t)now_of(n).wall.sec;
	l.serial++;
	l.flags |= LEASE_DIRTY;
	(void)pool_apply(n->pool, &l, n->open);
	put(n, &l, NULL);
	turn_end(n);
}
