#pragma once
/*
 * Two failover endpoints back to back over memory: a fake store with commits that take time
 * (fo_world_store.h), a wire that may lose its connection (fo_world_wire.h), a virtual clock, and a
 * small server that grants leases (fo_world_client.h). The driver asserts what every driver relies
 * on: nothing leaves before its commit, the window, and that no address is promised to two clients
 * (fo_world_check.h).
 */
#include "core/server.h"
#include "fo_world_client.h"

static const uint32_t range_size[3] = { 64, 40, 5000 };

static void world_init(struct world *w, unsigned n_scopes)
{
	memset(w, 0, sizeof(*w));
	w->rnd = 88172645463325252ULL;
	w->lease_time = 600;
	w->check_promises = true;
	for (unsigned i = 0; i < n_scopes; i++) {
		uint32_t net = FIRST + (i < 2 ? i * 256 : 2048);

		w->ranges[i] = (struct addr_range){ net + 10, net + 9 + range_size[i], i, 0 };
		w->scopes[i] = (struct scope){ .subnet = net,
					       .prefix = 24,
					       .relation = 0,
					       .name = "s",
					       .lease_time = 600,
					       .first_range = i,
					       .n_ranges = 1 };
	}
	w->table = (struct scope_table){ w->scopes, n_scopes, w->ranges, n_scopes };
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &w->n[i];

		n->w = w;
		n->i = i;
		n->conf = (struct fo_conf){
			.name = "campus",
			.relation = 0,
			.primary = i == 0,
			.mclt = 30,
			.max_unacked = 10,
			.contact_timeout_sec = 3,
			.startup_sec = 5,
			.max_clock_skew_sec = 60,
			.share_secondary = 50,
			.misbalance = 15,
			.ownership = 10,
			.policy = { .secs_threshold = 3 },
		};
		memset(n->conf.policy.hba, 0xff, 16);
		clear_queues(n);
	}
}

static void world_done(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		clear_queues(&w->n[i]);
		free(w->n[i].pool_mem);
		free(w->n[i].ep_mem);
	}
	free(w);
}

static inline void start_both(struct world *w)
{
	boot(&w->n[0]);
	boot(&w->n[1]);
	w->connect_at = w->us + 1000;
}

static void try_connect(struct world *w)
{
	w->connect_at = w->us + RECONNECT_US;
	if (w->linked || w->by_hand || w->partition || !w->n[0].up || !w->n[1].up)
		return;
	w->linked = true;
	w->epoch++;
	for (unsigned i = 0; i < 2; i++) {
		TURN(&w->n[i], now);
		fo_endpoint_link_up(w->n[i].ep, &now, i == 0);
		turn_end(&w->n[i]);
	}
}

/* --- what arrives ----------------------------------------------------------------------------- */

static void note_serials(struct node *n, const struct fo_msg *m)
{
	struct fo_binding b;
	unsigned cursor = 0;

	while (m->type == FO_BNDUPD && fo_msg_next_binding(m, &cursor, &b)) {
		n->recv_serial[b.addr - FIRST] = (uint32_t)b.serial;
		n->recv_xid[b.addr - FIRST] = m->xid;
		n->recv_run[b.addr - FIRST] = b.run;
	}
}

static void note_asked(struct node *n)
{
	n->asked_rejects = n->ep->count.updates_rejected_by_partner;
	for (unsigned a = 0; a < MAX_ADDR; a++)
		n->asked[a] = on_disk(n, a)->serial;
}

static void arrive(struct node *n, const struct in_air *a)
{
	static struct fo_msg m;

	if (!n->up || a->epoch != n->w->epoch || !n->w->linked)
		return;
	if (!a->len) {
		drop_link(n->w, &n->w->n[!n->i], FO_CLOSE_PEER);
		return;
	}
	assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
	if (getenv("FO_WIRE"))
		printf("%9.3f %c <- type %u xid %u len %u\n", (double)n->w->us / 1e6,
		       n->i ? 'S' : 'P', m.type, m.xid, m.len);
	note_serials(n, &m);
	if (m.type == FO_UPDREQ || m.type == FO_UPDREQALL)
		note_asked(n);
	n->in_flight -= m.type == FO_BNDACK && n->in_flight;
	TURN(n, now);
	fo_endpoint_message(n->ep, &m, &now);
	turn_end(n);
}

static void deliver(struct node *n)
{
	struct in_air *a = n->wire;

	n->wire = a->next;
	if (!n->wire)
		n->wire_end = &n->wire;
	arrive(n, a);
	free(a);
}

/* --- time ------------------------------------------------------------------------------------- */

/* Rows whose time has come. */
static void expire_row(struct node *n, const struct lease *row)
{
	struct lease l;
	uint32_t again;

	if (!server_expire(&n->view, row, now_of(n).wall, &l, &again)) {
		pool_set_timer(n->pool, row->addr, again);
		return;
	}
	(void)pool_apply(n->pool, &l, n->open);
	put(n, &l, NULL);
}

static void tick(struct node *n)
{
	const struct lease *l;

	TURN(n, now);
	fo_endpoint_tick(n->ep, &now);
	/* before the first view is in force nothing may be judged: it would look like no partner */
	while (n->view.mclt && (l = pool_due(n->pool, now.wall)))
		expire_row(n, l);
	turn_end(n);
}

/* While the cable is cut the octets wait: TCP repeats them until somebody gives up. */
static bool wire_moves(const struct node *n)
{
	return n->wire && !n->w->by_hand && !n->w->partition;
}

static int64_t next_of(const struct node *n)
{
	int64_t t = INT64_MAX, due;

	if (n->commit_at >= 0)
		t = n->commit_at;
	if (wire_moves(n) && n->wire->at < t)
		t = n->wire->at;
	if (n->up && fo_endpoint_next(n->ep).us < t)
		t = fo_endpoint_next(n->ep).us;
	due = n->up && n->view.mclt ? pool_next_due(n->pool) : 0;
	if (due && (due - BASE - n->skew) * SEC < t)
		t = (due - BASE - n->skew) * SEC;
	return t;
}

static void step_node(struct node *n)
{
	if (n->commit_at >= 0 && n->commit_at <= n->w->us)
		commit(n);
	while (wire_moves(n) && n->wire->at <= n->w->us)
		deliver(n);
	if (n->up)
		tick(n);
}

static void run_until(struct world *w, int64_t until)
{
	unsigned guard = 0;

	while (w->us < until) {
		int64_t t = until, was = w->us;

		for (unsigned i = 0; i < 2; i++)
			if (next_of(&w->n[i]) < t)
				t = next_of(&w->n[i]);
		if (w->connect_at < t)
			t = w->connect_at;
		w->us = t > w->us ? t : w->us;
		if (w->us >= w->connect_at)
			try_connect(w);
		for (unsigned i = 0; i < 2; i++)
			step_node(&w->n[i]);
		guard = w->us == was ? guard + 1 : 0;
		if (guard > 10000)
			fail_msg("time stands still at %.3f s: %lld %lld, pool %u %u",
				 (double)w->us / 1e6, (long long)next_of(&w->n[0]),
				 (long long)next_of(&w->n[1]), pool_next_due(w->n[0].pool),
				 pool_next_due(w->n[1].pool));
	}
}

static void run(struct world *w, double sec)
{
	run_until(w, w->us + (int64_t)(sec * 1e6));
}

static uint8_t state_of(const struct node *n)
{
	struct fo_status s;

	fo_endpoint_status(n->ep, &s);
	return s.record->end.state;
}

static uint32_t dirty(const struct node *n)
{
	return pool_dirty_count(n->pool, 0);
}

/* Run until both are in the states wished and nothing is left to tell. */
static inline bool settle(struct world *w, uint8_t p, uint8_t s, double max)
{
	int64_t until = w->us + (int64_t)(max * 1e6);

	while (w->us < until) {
		run(w, 0.05);
		if (w->n[0].up && w->n[1].up && state_of(&w->n[0]) == p &&
		    state_of(&w->n[1]) == s && !dirty(&w->n[0]) && !dirty(&w->n[1]) &&
		    !w->n[0].ops && !w->n[1].ops)
			return true;
	}
	return false;
}

/* --- what both disks say ---------------------------------------------------------------------- */

static inline unsigned count_state(const struct node *n, unsigned scope, unsigned state)
{
	const struct addr_range *r = &n->w->ranges[scope];
	unsigned k = 0;

	for (uint32_t a = r->first; a <= r->last; a++)
		k += on_disk(n, a - FIRST)->state == state;
	return k;
}

static inline void assert_same(const struct world *w, int64_t slack)
{
	for (unsigned a = 0; a < MAX_ADDR; a++) {
		const struct lease *p = on_disk(&w->n[0], a), *s = on_disk(&w->n[1], a);
		unsigned ps = p->state ? p->state : LEASE_FREE,
			 ss = s->state ? s->state : LEASE_FREE;

		if (ps != ss)
			fail_msg("%08x is %s (%u) at P and %s (%u) at S", FIRST + a,
				 lease_state_name(ps), p->serial, lease_state_name(ss), s->serial);
		if (ps != LEASE_ACTIVE)
			continue;
		assert_memory_equal(w->n[0].disk.c[a].chaddr, w->n[1].disk.c[a].chaddr, 6);
		if (llabs((int64_t)p->expires - s->expires) > slack)
			fail_msg("%08x ends %u at P and %u at S (serials %u %u)", FIRST + a,
				 p->expires, s->expires, p->serial, s->serial);
	}
}
