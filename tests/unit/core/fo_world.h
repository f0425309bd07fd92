#pragma once
/*
 * Two failover endpoints back to back over memory: a fake store with commits that take time, a
 * wire that may lose its connection, a virtual clock, and a small server that grants leases. The
 * driver asserts what every driver relies on: nothing leaves before its commit, the window, and
 * that no address is promised to two clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/fo_endpoint_priv.h"
#include "core/server.h"
#include "shared/loadbal.h"

#define SEC 1000000LL
#define BASE 1700000000LL /* UTC sec at virtual time 0 */
#define COMMIT_US 2000
#define WIRE_US 500
#define RECONNECT_US (1 * SEC)
#define MAX_ADDR 8192
#define FIRST 0x0a090000u /* 10.9.0.0 */
#define N_CLIENTS 24

struct disk {
	bool has[MAX_ADDR];
	struct lease l[MAX_ADDR];
	struct lease_client c[MAX_ADDR];
	uint32_t recent[MAX_ADDR][4]; /* serials written last */
	bool has_run[MAX_ADDR];	      /* what holds without a record */
	struct lease run[MAX_ADDR];
	uint32_t recent_run[MAX_ADDR][4];
	struct fo_record rec;
	bool has_rec;
	uint64_t starts;
};

enum out_kind { OUT_MESSAGE, OUT_CLOSE, OUT_VIEW, OUT_ACK };

struct out { /* waits for a commit */
	struct out *next;
	enum out_kind kind;
	uint64_t batch;
	unsigned epoch;
	size_t len;
	uint8_t msg[FO_MSG_MAX];
	struct fo_view view;
	struct lease lease;	/* OUT_ACK */
	unsigned client, asked; /* the client's request that it answers */
};

struct op { /* waits to be written */
	struct op *next;
	uint64_t batch;
	bool record, keep_client;
	uint32_t run; /* length, 0: one address */
	struct lease l;
	struct lease_client c;
	struct fo_record rec;
};

struct in_air {
	struct in_air *next;
	int64_t at;
	unsigned epoch;
	size_t len;
	uint8_t msg[FO_MSG_MAX];
};

struct world;
struct node {
	struct world *w;
	unsigned i;
	bool up;
	struct fo_conf conf;
	struct disk disk;
	struct pool *pool;
	void *pool_mem, *ep_mem;
	struct fo_endpoint *ep;
	struct fo_view view; /* in force */
	uint64_t open, durable, committing;
	unsigned open_puts;
	int64_t commit_at; /* -1: nothing on its way */
	struct op *ops, **ops_end;
	struct out *outs, **outs_end;
	struct in_air *wire, **wire_end; /* towards this node */
	int64_t skew;			 /* sec, added to the wall clock */
	uint32_t asked[MAX_ADDR];	 /* serials on disk when the partner asked for updates */
	uint64_t asked_rejects;
	unsigned in_flight; /* BNDUPD that left and are not acknowledged */
	unsigned max_in_flight, peaks;
	uint32_t recv_serial[MAX_ADDR], recv_xid[MAX_ADDR]; /* of the last update heard */
	uint32_t recv_run[MAX_ADDR];
	char last_event[64], last_why[128];
	unsigned events, clock_events, updates_left, multi;
	unsigned runs_written, runs_left, runs_refused;
	unsigned refusals; /* updates refused, either way; the last one: */
	struct fo_refusal refused;
	struct lease refused_ours, refused_theirs;
	char refused_words[200];
	uint8_t trace[64]; /* states entered */
	unsigned n_trace;
	bool written[256]; /* states that were on disk since the start */
};

struct promise {
	unsigned client; /* 0: none; else 1.. */
	uint32_t until;
	uint32_t said_by;
};

struct world {
	int64_t us;
	struct node n[2]; /* 0 primary, 1 secondary */
	bool linked, partition;
	bool no_runs; /* both are told that the other is of the first version */
	bool by_hand; /* one node only: what it sends to the other is kept for the test */
	unsigned epoch;
	int64_t connect_at;
	struct scope_table table;
	struct scope scopes[3];
	struct addr_range ranges[3];
	struct promise promise[MAX_ADDR];
	uint32_t lease_time;
	bool check_promises;
	uint64_t rnd;
	uint32_t client_addr[N_CLIENTS]; /* what the client believes to hold */
	unsigned released[N_CLIENTS];	 /* answers to what it asked before are ignored */
};

static inline uint64_t rnd(struct world *w)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return w->rnd;
}

static struct now now_of(const struct node *n)
{
	return (struct now){ { n->w->us }, { BASE + n->w->us / SEC + n->skew } };
}

static const struct client_hash secret = { { 1, 2 } };

static struct lease_client client_of(unsigned c)
{
	struct lease_client r = { .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, (uint8_t)c } };

	return r;
}

static uint8_t bucket_of(unsigned c)
{
	struct lease_client r = client_of(c);

	return loadbal_bucket(0, r.id, r.id_len, r.chaddr, r.hlen);
}

/* --- the store -------------------------------------------------------------------------------- */

static uint64_t wait_for(const struct node *n)
{
	return n->open_puts ? n->open : n->open - 1;
}

static struct op *new_op(struct node *n)
{
	struct op *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->batch = n->open;
	n->open_puts++;
	*n->ops_end = o;
	n->ops_end = &o->next;
	return o;
}

static void put(struct node *n, const struct lease *l, const struct lease_client *c)
{
	struct op *o = new_op(n);

	o->l = *l;
	if (c)
		o->c = *c;
	o->keep_client = !c;
}

static void write_run(struct node *n, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST;

	assert_true(a < MAX_ADDR && o->run <= MAX_ADDR - a);
	for (uint32_t i = a; i < a + o->run; i++) {
		n->disk.run[i] = o->l;
		n->disk.run[i].addr = FIRST + i;
		n->disk.has_run[i] = true;
		memmove(n->disk.recent_run[i] + 1, n->disk.recent_run[i], 3 * sizeof(uint32_t));
		n->disk.recent_run[i][0] = o->l.serial;
	}
	n->runs_written++;
}

/* What the disk says of an address; its client only when it has a record. */
static const struct lease *on_disk(const struct node *n, uint32_t a)
{
	return n->disk.has[a] ? &n->disk.l[a] : &n->disk.run[a];
}

static void write_op(struct node *n, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST;

	if (o->record) {
		n->disk.rec = o->rec;
		n->disk.has_rec = true;
		n->written[o->rec.end.state] = n->written[o->rec.end.saved] = true;
		return;
	}
	if (o->run) {
		write_run(n, o);
		return;
	}
	assert_true(a < MAX_ADDR);
	if (getenv("FO_ADDR") && strtoul(getenv("FO_ADDR"), NULL, 16) == o->l.addr)
		printf("%9.3f %c disk  %-9s serial %u ends +%d sent +%d acked +%d rcvd +%d flags "
		       "%u "
		       "acked-state %u\n",
		       (double)n->w->us / 1e6, n->i ? 'S' : 'P', lease_state_name(o->l.state),
		       o->l.serial, (int)(o->l.expires - BASE), (int)(o->l.sent_pet - BASE),
		       (int)(o->l.acked_pet - BASE), (int)(o->l.rcvd_pet - BASE), o->l.flags,
		       o->l.acked_state);
	n->disk.l[a] = o->l;
	memmove(n->disk.recent[a] + 1, n->disk.recent[a], 3 * sizeof(uint32_t));
	n->disk.recent[a][0] = o->l.serial;
	n->disk.has[a] = true;
	if (!o->keep_client)
		n->disk.c[a] = o->c;
}

/* --- what leaves ------------------------------------------------------------------------------ */

static struct out *new_out(struct node *n, enum out_kind kind)
{
	struct out *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->kind = kind;
	o->batch = wait_for(n);
	o->epoch = n->w->epoch;
	*n->outs_end = o;
	n->outs_end = &o->next;
	return o;
}

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
	if (n->w->by_hand || n->asked_rejects != n->ep->count.updates_rejected_by_partner)
		return;
	for (unsigned a = 0; a < MAX_ADDR; a++)
		if (n->asked[a] &&
		    (n->disk.has[a] || !n->w->n[!n->i].disk.has[a]) && /* a record wins */
		    on_disk(n, a)->serial >= n->asked[a] &&	       /* else theirs won */
		    on_disk(&n->w->n[!n->i], a)->serial < n->asked[a])
			fail_msg("UPDDONE before %08x has arrived: serial %u, the partner has %u",
				 FIRST + a, n->asked[a], on_disk(&n->w->n[!n->i], a)->serial);
}

static void on_air(struct node *n, const uint8_t *msg, size_t len)
{
	struct node *to = &n->w->n[!n->i];
	struct in_air *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	a->at = n->w->us + WIRE_US;
	a->epoch = n->w->epoch;
	a->len = len;
	if (len)
		memcpy(a->msg, msg, len);
	*to->wire_end = a;
	to->wire_end = &a->next;
}

/* What a server of the first version says instead: the features in an unknown sub-option. */
static void hide_features(uint8_t *msg, size_t len)
{
	static const uint8_t from[] = { 0, FO_VENDOR_FEATURES, 0, 4 };

	for (size_t i = FO_HDR_LEN; i + sizeof(from) <= len; i++)
		if (!memcmp(msg + i, from, sizeof(from)))
			msg[i] = 0x7f;
}

static void leave(struct node *n, uint8_t *msg, size_t len)
{
	static struct fo_msg m;

	assert_int_equal(fo_msg_decode(msg, len, &m), FO_OK);
	if (m.type == FO_BNDUPD)
		check_update(n, &m);
	else if (m.type == FO_BNDACK)
		check_ack(n, &m);
	else if (m.type == FO_STATE)
		check_state(n, &m);
	else if (m.type == FO_CONNECTACK)
		check_connectack(n, &m);
	else if (m.type == FO_UPDDONE)
		check_done(n);
	if (n->w->no_runs && (m.type == FO_CONNECT || m.type == FO_CONNECTACK))
		hide_features(msg, len);
	on_air(n, msg, len);
}

static void drop_link(struct world *w, struct node *told, enum fo_close_reason why)
{
	if (!w->linked)
		return;
	w->linked = false;
	w->epoch++;
	w->n[0].in_flight = w->n[1].in_flight = 0;
	w->connect_at = w->us + RECONNECT_US;
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &w->n[i];
		struct now now = now_of(n);

		if (!n->up || n == told)
			continue;
		fo_endpoint_turn(n->ep, n->open, &now);
		fo_endpoint_link_down(n->ep, &now, why);
	}
}

/* What was sent before arrives first. */
static void hang_up(struct node *n)
{
	if (n->w->linked && !n->w->by_hand && !n->w->partition)
		on_air(n, NULL, 0);
	else
		drop_link(n->w, n, FO_CLOSE_PEER);
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

static void flush_outs(struct node *n)
{
	struct out *o;

	while (n->up && (o = n->outs) && o->batch <= n->durable) {
		n->outs = o->next;
		if (!n->outs)
			n->outs_end = &n->outs;
		if (o->kind == OUT_VIEW)
			n->view = o->view;
		else if (o->kind == OUT_ACK)
			promised(n, o);
		else if (o->epoch == n->w->epoch && n->w->linked && o->kind == OUT_MESSAGE)
			leave(n, o->msg, o->len);
		else if (o->epoch == n->w->epoch && o->kind == OUT_CLOSE)
			hang_up(n);
		free(o);
	}
}

/* --- sink ------------------------------------------------------------------------------------- */

static void sink_send(void *ctx, const uint8_t *msg, size_t len)
{
	struct out *o = new_out(ctx, OUT_MESSAGE);

	memcpy(o->msg, msg, len);
	o->len = len;
}

static void sink_send_now(void *ctx, const uint8_t *msg, size_t len)
{
	struct node *n = ctx;

	assert_int_equal(msg[2], FO_CONTACT);
	if (n->w->linked)
		on_air(n, msg, len);
}

static void sink_close(void *ctx, enum fo_close_reason why)
{
	(void)why;
	(void)new_out(ctx, OUT_CLOSE);
}

static void sink_persist(void *ctx, const struct fo_record *r)
{
	struct op *o = new_op(ctx);

	o->record = true;
	o->rec = *r;
}

static void sink_put(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct node *n = ctx;
	const struct lease *row = pool_get(n->pool, l->addr);

	assert_non_null(row);
	assert_memory_equal(row, l, sizeof(*l)); /* applied as well */
	put(n, l, c);
}

static void sink_put_run(void *ctx, const struct lease *l, uint32_t run)
{
	struct node *n = ctx;
	struct pool_stretch s;
	struct op *o;

	assert_true(pool_stretch_next(n->pool, l->addr, l->addr + run - 1, &s));
	assert_memory_equal(&s.l, l, sizeof(*l)); /* applied as well */
	assert_int_equal(s.n, run);
	o = new_op(n);
	o->l = *l;
	o->run = run;
}

static bool sink_client(void *ctx, uint32_t addr, struct lease_client *ret)
{
	struct node *n = ctx;

	*ret = n->disk.c[addr - FIRST];
	return n->disk.has[addr - FIRST];
}

static void sink_policy(void *ctx, const struct fo_view *v)
{
	new_out(ctx, OUT_VIEW)->view = *v;
}

static void sink_event(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		       uint32_t b)
{
	struct node *n = ctx;

	n->events++;
	n->clock_events += !strcmp(what, "clock-skew");
	snprintf(n->last_event, sizeof(n->last_event), "%s", what);
	snprintf(n->last_why, sizeof(n->last_why), "%s", why);
	if (!strcmp(what, "state") && n->n_trace < sizeof(n->trace))
		n->trace[n->n_trace++] = (uint8_t)b;
	if (getenv("FO_TRACE"))
		printf("%9.3f %c %-16s %-40s %08x %u %u%s%s\n", (double)n->w->us / 1e6,
		       n->i ? 'S' : 'P', what, why, addr, a, b, strcmp(what, "state") ? "" : " ",
		       strcmp(what, "state") ? "" : fo_state_name(b));
}

static void sink_refused(void *ctx, const struct fo_refusal *r)
{
	struct node *n = ctx;

	n->refusals++;
	n->refused = *r;
	n->refused_ours = *r->ours;
	n->refused_theirs = *r->theirs;
	snprintf(n->refused_words, sizeof(n->refused_words), "%.*s", (int)r->words.len,
		 (const char *)r->words.p);
	if (getenv("FO_TRACE"))
		printf("%9.3f %c refused %s %s %08x next: %s\n", (double)n->w->us / 1e6,
		       n->i ? 'S' : 'P', r->by_us ? "by us" : "by them", fo_reject_text(r->reason),
		       r->ours->addr, r->next);
}

static uint64_t sink_random(void *ctx)
{
	return rnd(((struct node *)ctx)->w);
}

/* --- life of a node --------------------------------------------------------------------------- */

#define TURN(n, now)                                                                               \
	struct now now = now_of(n);                                                                \
	fo_endpoint_turn((n)->ep, (n)->open, &now)

static void turn_end(struct node *n)
{
	struct now now = now_of(n);

	if (!n->up)
		return;
	fo_endpoint_turn(n->ep, n->open, &now);
	fo_endpoint_pump(n->ep, &now);
	if (n->open_puts && n->commit_at < 0) {
		n->committing = n->open++;
		n->open_puts = 0;
		n->commit_at = n->w->us + COMMIT_US;
	}
	flush_outs(n);
}

static void commit(struct node *n)
{
	struct op *o;

	while ((o = n->ops) && o->batch <= n->committing) {
		write_op(n, o);
		n->ops = o->next;
		if (!n->ops)
			n->ops_end = &n->ops;
		free(o);
	}
	n->durable = n->committing;
	n->commit_at = -1;
	flush_outs(n);
	if (!n->up)
		return;
	TURN(n, now);
	fo_endpoint_durable(n->ep, n->durable, &now);
	turn_end(n);
}

static void clear_queues(struct node *n)
{
	while (n->ops) {
		struct op *o = n->ops;
		n->ops = o->next;
		free(o);
	}
	while (n->outs) {
		struct out *o = n->outs;
		n->outs = o->next;
		free(o);
	}
	while (n->wire) {
		struct in_air *a = n->wire;
		n->wire = a->next;
		free(a);
	}
	n->ops_end = &n->ops;
	n->outs_end = &n->outs;
	n->wire_end = &n->wire;
	n->open_puts = 0;
	n->commit_at = -1;
}

static bool same_run(struct lease a, struct lease b)
{
	a.addr = b.addr = 0;
	return !memcmp(&a, &b, sizeof(a));
}

/* Neighbours that say the same are one. */
static void load_runs(struct node *n)
{
	const struct disk *d = &n->disk;

	for (unsigned a = 0, k; a < MAX_ADDR; a += k ? k : 1) {
		for (k = 0;
		     a + k < MAX_ADDR && d->has_run[a + k] && same_run(d->run[a], d->run[a + k]);
		     k++)
			;
		if (k)
			(void)pool_apply_run(n->pool, &d->run[a], k, 0);
	}
}

static void boot(struct node *n)
{
	static const struct fo_sink sink = { .ctx = NULL,
					     .send = sink_send,
					     .send_now = sink_send_now,
					     .close = sink_close,
					     .persist = sink_persist,
					     .put = sink_put,
					     .put_run = sink_put_run,
					     .client = sink_client,
					     .policy = sink_policy,
					     .event = sink_event,
					     .random = sink_random,
					     .refused = sink_refused };
	struct fo_sink s = sink;
	struct now now = now_of(n);
	size_t size = pool_size(&n->w->table, 64);

	s.ctx = n;
	drop_link(n->w, n, FO_CLOSE_PEER); /* a partner that still holds it is told by a reset */
	clear_queues(n);
	free(n->pool_mem);
	free(n->ep_mem);
	n->pool_mem = aligned_alloc(64, (size + 63) & ~(size_t)63);
	assert_non_null(n->pool_mem);
	memset(n->pool_mem, 0, size);
	n->pool = pool_init(n->pool_mem, size, &n->w->table, 64);
	load_runs(n);
	for (unsigned a = 0; a < MAX_ADDR; a++) {
		struct lease l = n->disk.l[a];

		if (!n->disk.has[a])
			continue;
		l.key = n->disk.c[a].hlen ? lease_client_key(&secret, &n->disk.c[a])
					  : (struct client_key){ { 0, 0 } };
		(void)pool_apply(n->pool, &l, 0);
	}
	n->ep_mem = calloc(1, fo_endpoint_size(&n->conf));
	n->open = 1;
	n->durable = 0;
	n->up = true;
	memset(n->written, 0, sizeof(n->written));
	n->view = (struct fo_view){ .policy.serve = SERVE_NONE };
	n->ep = fo_endpoint_init(n->ep_mem, fo_endpoint_size(&n->conf), &n->conf,
				 n->disk.has_rec ? &n->disk.rec : NULL, ++n->disk.starts, n->pool,
				 &secret, &s, &now);
	assert_non_null(n->ep);
	turn_end(n);
}

/* @fin: the kernel closes the connection; else the partner hears nothing any more. */
static inline void crash(struct node *n, bool fin)
{
	n->up = false;
	clear_queues(n);
	if (fin)
		drop_link(n->w, n, FO_CLOSE_PEER);
	else
		n->w->partition = n->w->linked;
}

static inline void lose_disk(struct node *n)
{
	memset(&n->disk, 0, sizeof(n->disk));
}

/* --- the world -------------------------------------------------------------------------------- */

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

/* --- clients ---------------------------------------------------------------------------------- */

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
