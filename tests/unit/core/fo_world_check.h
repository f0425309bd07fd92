#pragma once
/*
 * What every test of two endpoints relies on (fo_world.h), asserted of all that leaves a server:
 * nothing before its commit, not more than the window, UPDDONE when all has arrived, and no address
 * promised to two clients, or by more than the lead time.
 */
#include "fo_world_store.h"

static bool among(const uint32_t recent[4], uint32_t serial)
{
	for (unsigned i = 0; i < 4; i++)
		if (recent[i] == serial)
			return true;
	return false;
}

static bool was_written(const struct node *n, uint32_t a, uint32_t serial)
{
	return among(n->disk.recent[a], serial);
}

static void check_run(struct node *n, const struct fo_binding *b)
{
	assert_true(b->has_serial && !n->w->no_runs);
	assert_true(b->status == LEASE_FREE || b->status == LEASE_BACKUP);
	for (uint32_t a = b->addr - FIRST; a < b->addr - FIRST + b->run; a++)
		if (!n->disk.has_run[a] || !among(n->disk.recent_run[a], (uint32_t)b->serial))
			fail_msg("run of %08x left before its record: %u on disk, %u sent",
				 FIRST + a, n->disk.run[a].serial, (unsigned)b->serial);
	n->runs_left++;
}

/* What the partner may have seen stands in our record before it can see it. */
static bool noted(unsigned sent, unsigned acked_state)
{
	if (sent == LEASE_EXPIRED || sent == LEASE_RELEASED || sent == LEASE_RESET)
		return acked_state == sent;
	return sent != LEASE_ACTIVE || (acked_state != LEASE_NONE && acked_state != LEASE_FREE &&
					acked_state != LEASE_BACKUP);
}

static void check_update(struct node *n, const struct fo_msg *m)
{
	struct fo_binding b;
	unsigned cursor = 0, groups = 0;

	while (fo_msg_next_binding(m, &cursor, &b)) {
		uint32_t a = b.addr - FIRST;

		groups++;
		if (b.run) {
			check_run(n, &b);
			continue;
		}
		/* a later change of the same batch may stand there by now */
		if (!n->disk.has[a] || (b.has_serial && !was_written(n, a, (uint32_t)b.serial)))
			fail_msg("update of %08x left before its record: %u on disk, %u sent",
				 b.addr, n->disk.l[a].serial, (unsigned)b.serial);
		if (b.status == LEASE_ACTIVE)
			assert_true(b.pet >= b.expires);
		if (n->disk.l[a].serial == b.serial && n->disk.l[a].state == b.status &&
		    !noted(b.status, n->disk.l[a].acked_state))
			fail_msg("%08x left as %s, but our record says the partner knows %s",
				 b.addr, lease_state_name(b.status),
				 lease_state_name(n->disk.l[a].acked_state));
	}
	n->updates_left++;
	n->multi += groups > 1;
	n->in_flight++;
	if (n->in_flight > n->max_in_flight)
		n->max_in_flight = n->in_flight;
	assert_true(n->in_flight <= n->w->n[!n->i].conf.max_unacked);
}

static void check_ack(struct node *n, const struct fo_msg *m)
{
	struct fo_binding b;
	unsigned cursor = 0;

	while (fo_msg_next_binding(m, &cursor, &b)) {
		uint32_t a = b.addr - FIRST;

		if (b.reject || n->recv_xid[a] != m->xid) {
			n->runs_refused += b.reject && n->recv_run[a];
			continue;
		}
		for (uint32_t i = a; i < a + n->recv_run[a]; i++)
			if (!n->disk.has_run[i] || n->disk.run[i].serial < n->recv_serial[a])
				fail_msg("run with %08x acknowledged before it is on disk",
					 FIRST + i);
		if (n->recv_run[a])
			continue;
		if (!n->disk.has[a] || n->disk.l[a].serial < n->recv_serial[a])
			fail_msg("%08x acknowledged before it is on disk", b.addr);
	}
}

static void check_state(struct node *n, const struct fo_msg *m)
{
	struct fo_state_msg s;

	assert_true(fo_msg_read_state(m, &s));
	/* a later state of the same batch may stand there by now */
	assert_true(n->written[s.state]);
}

/* MCLT and buckets are on disk before CONNECTACK leaves (failover-behaviour §1.3, 6). */
static void check_connectack(struct node *n, const struct fo_msg *m)
{
	struct fo_connect c;

	fo_msg_read_connect(m, &c);
	if (c.reject)
		return;
	assert_true(n->disk.rec.hba_known);
	assert_memory_equal(n->disk.rec.hba, n->ep->rec.hba, 32);
	assert_int_equal(n->disk.rec.mclt, n->ep->rec.mclt);
}

/* All that was on our disk when the partner asked is on its disk, but for what it refused. */
static void check_done(struct node *n)
{
	if (n->w->by_hand || n->w->lied_to || n->asked_rejects != n->ep->count.updates_rejected_by_partner)
		return;
	for (unsigned a = 0; a < MAX_ADDR; a++)
		if (n->asked[a] &&
		    (n->disk.has[a] || !n->w->n[!n->i].disk.has[a]) && /* a record wins */
		    on_disk(n, a)->serial >= n->asked[a] &&	       /* else theirs won */
		    on_disk(&n->w->n[!n->i], a)->serial < n->asked[a])
			fail_msg("UPDDONE before %08x has arrived: serial %u, the partner has %u",
				 FIRST + a, n->asked[a], on_disk(&n->w->n[!n->i], a)->serial);
}

/* A client hears an ACK: is anybody else still promised that address? */
static void promised(struct node *n, const struct out *o)
{
	struct world *w = n->w;
	uint32_t a = o->lease.addr - FIRST, t = (uint32_t)(BASE + w->us / SEC);
	struct promise *p = &w->promise[a];
	const struct disk *other = &w->n[!n->i].disk;
	uint32_t known = t;

	if (o->asked != w->released[o->client])
		return;
	if (w->check_promises && p->client && p->client != o->client && p->until > t)
		fail_msg("seed: %08x promised to client %u by %u until +%u, now to client %u by %u",
			 o->lease.addr, p->client, p->said_by, p->until - t, o->client, n->i);
	/* the lead over what the other server knows of this address is bounded */
	if (other->has[a]) {
		const struct lease *l = &other->l[a];

		known = l->expires > known ? l->expires : known;
		known = l->sent_pet > known ? l->sent_pet : known;
		known = l->acked_pet > known ? l->acked_pet : known;
		known = l->rcvd_pet > known ? l->rcvd_pet : known;
	}
	if (w->check_promises && !w->n[0].skew && !w->n[1].skew &&
	    o->lease.expires > known + n->conf.mclt)
		fail_msg("%08x promised +%u s by %u, beyond the lead time: acked +%d rcvd +%d; the "
			 "other has state %u serial %u, ours %u, sent +%d rcvd +%d",
			 o->lease.addr, o->lease.expires - t, n->i, (int)(o->lease.acked_pet - t),
			 (int)(o->lease.rcvd_pet - t), other->l[a].state, other->l[a].serial,
			 o->lease.serial, (int)(other->l[a].sent_pet - t),
			 (int)(other->l[a].rcvd_pet - t));
	*p = (struct promise){ o->client, o->lease.expires - (uint32_t)n->skew, n->i };
	w->client_addr[o->client] = o->lease.addr;
}
