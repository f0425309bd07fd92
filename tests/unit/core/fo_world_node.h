#pragma once
/*
 * Life of a server in a world (fo_world.h): its turns and commits, its start with what is on disk,
 * and its end.
 */
#include "fo_world_sink.h"

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
