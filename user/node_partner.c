/*
 * The failover side of the node: gives each core/fo_endpoint its store, its connection and its
 * time, and carries out what it asks for in the order it asked.
 *
 * A change of state is persisted, then told to the partner, then written to the kernel's maps:
 * all three pass through the outbox in that order.
 */
#include "node_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define OPERATE_US 2000000 /* that an operator's wish may wait for the disk */

struct out_policy {
	struct fo_view view;
	mono_t decided;
};

/* A message or a close that waits, and the link that it is for. */
struct out_link {
	uint32_t epoch;
	uint8_t data[];
};

/* Serves nobody, and knows of a partner: nothing ends without its agreement. */
struct fo_view node_view_silent(void)
{
	return (struct fo_view){ .policy.serve = SERVE_NONE, .mclt = 1, .limited = true };
}

/* --- sink: what an endpoint wants done ----------------------------------------------------------
 */

/* NULL: there is no room, or this relationship has its part of it. */
static void *wait_for_commit(struct node_relation *r, uint16_t kind, uint32_t len)
{
	struct node *n = r->node;
	void *p = NULL;

	if (r->waiting + len <= NODE_OUTBOX_RELATION && n->waiting + len <= NODE_OUTBOX / 4 * 3)
		p = outbox_push(&n->outbox, node_wait_for(n), kind, (uint16_t)r->index, len);
	if (!p)
		return NULL;
	r->waiting += len;
	n->waiting += len;
	return p;
}

static bool wait_for_link(struct node_relation *r, uint16_t kind, const void *data, size_t len)
{
	struct out_link *p = wait_for_commit(r, kind, (uint32_t)(sizeof(*p) + len));

	if (!p)
		return false;
	p->epoch = r->epoch;
	memcpy(p->data, data, len);
	return true;
}

static void sink_send(void *ctx, const uint8_t *msg, size_t len)
{
	struct node_relation *r = ctx;

	if (wait_for_link(r, OUT_FO_MESSAGE, msg, len))
		return;
	r->node->count.outbox_full++;
	r->broken = true; /* a gap in the stream: the link ends with this turn */
}

static void sink_send_now(void *ctx, const uint8_t *msg, size_t len)
{
	struct node_relation *r = ctx;

	fo_net_send(r->node->net, r->index, msg, len);
}

static void sink_close(void *ctx, enum fo_close_reason why)
{
	struct node_relation *r = ctx;
	struct node *n = r->node;
	uint8_t data = (uint8_t)why;

	/* a silent partner gets nothing that was sent: no use in waiting */
	if (why == FO_CLOSE_SILENT || !wait_for_link(r, OUT_FO_CLOSE, &data, 1))
		fo_net_close(n->net, r->index, why);
}

static void sink_persist(void *ctx, const struct fo_record *rec)
{
	struct node_relation *r = ctx;
	struct node *n = r->node;

	r->persisted = true;
	node_await_batch(r);
	if (lease_store_put_relation(n->store, n->conf->relations[r->index].fo.name, rec) < 0)
		node_put_refused(n);
}

static void sink_put(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct node_relation *r = ctx;
	const struct scope *s = pool_scope(r->node->pool, l->addr);

	node_await_batch(r);
	if (node_put(r->node, l, c) < 0)
		node_put_refused(r->node);
	if (s)
		node_touch_scope(r->node, s);
}

static void sink_put_run(void *ctx, const struct lease *l, uint32_t n)
{
	struct node_relation *r = ctx;
	struct pool_stretch s;
	uint64_t a = l->addr, last = a + n - 1;

	node_await_batch(r);
	if (lease_store_put_run(r->node->store, l, n) < 0)
		node_put_refused(r->node);
	for (; a <= last && pool_stretch_next(r->node->pool, (uint32_t)a, (uint32_t)last, &s);
	     a = (uint64_t)s.l.addr + s.n)
		node_touch_scope(r->node, pool_scope(r->node->pool, s.l.addr));
}

static bool sink_client(void *ctx, uint32_t addr, struct lease_client *ret)
{
	struct node_relation *r = ctx;
	struct lease l;

	return lease_store_get(r->node->store, addr, &l, ret) == 0;
}

static void sink_policy(void *ctx, const struct fo_view *v)
{
	struct node_relation *r = ctx;
	struct node *n = r->node;
	struct out_policy *p = wait_for_commit(r, OUT_POLICY, sizeof(*p));

	r->policy_lost = !p;
	if (!p) { /* no room to wait: serve nobody, which is never wrong, and try again */
		n->views[r->index] = node_view_silent();
		return;
	}
	*p = (struct out_policy){ *v, clock_now().mono };
	n->views[r->index] = fo_view_narrow(&n->views[r->index], v);
}

void node_policy_again(struct node_relation *r)
{
	struct fo_status s;

	fo_endpoint_status(r->ep, &s);
	sink_policy(r, s.view);
}

static void sink_event(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		       uint32_t b)
{
	node_partner_event(ctx, what, why, addr, a, b);
}

static void sink_refused(void *ctx, const struct fo_refusal *refusal)
{
	node_partner_refusal(ctx, refusal);
}

static uint64_t sink_random(void *ctx)
{
	uint64_t v = 0;

	(void)ctx;
	(void)!getrandom(&v, sizeof(v), 0);
	return v;
}

/* --- network: what the partner does -------------------------------------------------------------
 */

static struct fo_endpoint *endpoint(struct node *n, unsigned i)
{
	node_turn_begin(n);
	return node_endpoint(n, i);
}

static void net_up(void *ctx, unsigned i, bool ours)
{
	struct node *n = ctx;
	struct fo_endpoint *e = endpoint(n, i);

	n->relations[i].epoch++;
	if (!fo_net_is_up(n->net, i))
		return; /* we have just thawed: whatever came in our sleep is closed */
	if (n->conf->relations[i].tls.certificate)
		(void)node_certificates_of(&n->relations[i]);
	if (e)
		fo_endpoint_link_up(e, &n->now, ours);
	else
		fo_net_close(n->net, i, FO_CLOSE_STATE); /* the store is failing: say nothing */
}

static void net_down(void *ctx, unsigned i, enum fo_close_reason why)
{
	struct node *n = ctx;
	struct fo_endpoint *e = endpoint(n, i);

	if (e)
		fo_endpoint_link_down(e, &n->now, why);
}

static void net_message(void *ctx, unsigned i, const struct fo_msg *m)
{
	struct node *n = ctx;
	struct fo_endpoint *e = endpoint(n, i);

	if (!e)
		return;
	if (lease_store_overfull(n->store)) { /* it heeds no window: what is not heard is safe */
		fo_net_close(n->net, i, FO_CLOSE_PROTOCOL);
		fo_endpoint_link_down(e, &n->now, FO_CLOSE_PROTOCOL);
		return;
	}
	fo_endpoint_message(e, m, &n->now);
}

/* Clients have their part of a batch, and other relationships theirs of the outbox, whatever the
 * partner says. */
static bool net_room(void *ctx, unsigned i)
{
	struct node *n = ctx;
	struct node_relation *r = &n->relations[i];

	if (!n->serving)
		return true;
	if (r->persisted) /* a change of state looks at every binding: one in a turn */
		return false;
	return lease_store_room(n->store, NODE_LINK_LEAVES) &&
	       r->waiting < NODE_OUTBOX_RELATION / 2 && n->waiting < NODE_OUTBOX / 2;
}

/* Who waits for our disk, or behind others, is not silent. */
static void net_waits(void *ctx, unsigned i)
{
	struct fo_endpoint *e = node_endpoint(ctx, i);
	struct node *n = ctx;

	if (e)
		fo_endpoint_alive(e, &n->now);
}

static void net_garbage(void *ctx, unsigned i, enum fo_verdict v)
{
	struct node *n = ctx;
	struct fo_endpoint *e = endpoint(n, i);

	if (e)
		fo_endpoint_garbage(e, v, &n->now);
	if (fo_net_is_up(n->net, i)) {
		fo_net_close(n->net, i, FO_CLOSE_PROTOCOL);
		if (e)
			fo_endpoint_link_down(e, &n->now, FO_CLOSE_PROTOCOL);
	}
}

static uint32_t local_address(const struct node *n, unsigned i)
{
	return ntohl(n->conf->relations[i].local.sin_addr.s_addr);
}

/* A connection that was refused, or could not be made, before the endpoint heard of it. */
static void net_refused(void *ctx, unsigned i, enum fo_refused what, const char *why)
{
	static const struct {
		const char *event;
		size_t counter; /* in struct fo_counters */
	} kind[] = {
		[FO_REFUSED_DIGEST_MISSING] = { "digest-missing",
						offsetof(struct fo_counters, digest_missing) },
		[FO_REFUSED_DIGEST_WRONG] = { "digest-wrong",
					      offsetof(struct fo_counters, digest_wrong) },
		[FO_REFUSED_DIGEST_REPLAYED] = { "digest-replayed",
						 offsetof(struct fo_counters, digest_replayed) },
		[FO_REFUSED_DIGEST_UNEXPECTED] = { "digest-unexpected",
						   offsetof(struct fo_counters,
							    digest_unexpected) },
		[FO_REFUSED_TLS] = { "tls-failed", offsetof(struct fo_counters, tls_failed) },
		[FO_REFUSED_CONNECT] = { "connect-rejected", SIZE_MAX },
		[FO_REFUSED_LOCAL] = { "local-address-gone", SIZE_MAX },
		[FO_REFUSED_SOCKET] = { "connect-failed", SIZE_MAX },
	};
	struct node *n = ctx;
	struct fo_endpoint *e = endpoint(n, i);

	if (e && kind[what].counter != SIZE_MAX)
		++*(uint64_t *)((char *)fo_endpoint_counters(e) + kind[what].counter);
	node_partner_event(&n->relations[i], kind[what].event, why,
			   what == FO_REFUSED_LOCAL ? local_address(n, i) : 0, 0, 0);
}

/* --- what leaves after its commit
 * ------------------------------------------------------------------ */

/* Maps that say what is no longer so are not vouched for: the kernel passes everything, until the
 * policy could be written after all. */
static void mistrust_maps(struct node_relation *r, int err)
{
	struct node *n = r->node;

	r->policy_lost = true;
	n->wake[r->index].due.us = 0;
	if (r->map_wrong)
		return;
	r->map_wrong = true;
	n->maps_wrong++;
	datapath_disarm(n->dp);
	log_event(LOG_L_ERROR, "filter-maps",
		  "relationship=%s why=\"the policy cannot be written: %s\" filter=passes-all",
		  n->conf->relations[r->index].fo.name, strerror(-err));
}

static void switch_policy(struct node *n, unsigned i, const struct out_policy *p)
{
	struct node_relation *rel = &n->relations[i];
	struct fo_status s;
	int64_t us;
	int r;

	n->views[i] = p->view;
	if (rel->ep) {
		fo_endpoint_status(rel->ep, &s); /* a later one may wait already */
		n->views[i] = fo_view_narrow(&p->view, s.view);
	}
	rel->in_force = true;
	if (!n->dp)
		return;
	r = datapath_set_policy(n->dp, i, &p->view.policy);
	if (r < 0) {
		mistrust_maps(rel, r);
		return;
	}
	n->maps_wrong -= rel->map_wrong;
	rel->map_wrong = false;
	us = clock_now().mono.us - p->decided.us;
	n->switches.count++;
	n->switches.us_last = (uint64_t)us;
	if ((uint64_t)us > n->switches.us_max)
		n->switches.us_max = (uint64_t)us;
}

static void out_to_link(struct node *n, const struct outbox_item *i)
{
	const struct out_link *p = outbox_payload(i);

	if (p->epoch != n->relations[i->relation].epoch)
		return;
	if (i->kind == OUT_FO_MESSAGE)
		fo_net_send(n->net, i->relation, p->data, i->len - sizeof(*p));
	else
		fo_net_close(n->net, i->relation, p->data[0]);
}

void node_partner_out(struct node *n, const struct outbox_item *i)
{
	n->relations[i->relation].waiting -= i->len;
	n->waiting -= i->len;
	if (i->kind == OUT_POLICY)
		switch_policy(n, i->relation, outbox_payload(i));
	else
		out_to_link(n, i);
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

int node_partner_open(struct node *n)
{
	const struct fo_conf any = { .max_unacked = UINT32_MAX }; /* a reload may want more */

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		struct node_relation *r = &n->relations[i];

		r->node = n;
		r->index = i;
		r->size = fo_endpoint_size(&any);
		r->mem = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
		if (r->mem == MAP_FAILED) {
			r->mem = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

static int load_one(struct node *n, struct node_relation *r)
{
	const struct fo_conf *c = &n->conf->relations[r->index].fo;
	struct fo_sink sink = { .ctx = r,
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
	struct fo_record rec;
	int err = lease_store_get_relation(n->store, c->name, &rec);

	if (err < 0 && err != -ENOENT)
		return err;
	/* zero again, and no page of it is taken before it is used */
	if (madvise(r->mem, r->size, MADV_DONTNEED) < 0)
		return -errno;
	r->ep = fo_endpoint_init(r->mem, r->size, c, err ? NULL : &rec, n->start_count, n->pool,
				 &n->hash, &sink, &n->now);
	(void)node_endpoint(n, r->index);
	return 0;
}

int node_partner_load(struct node *n)
{
	int r = 0;

	for (unsigned i = 0; !r && i < n->conf->n_relations; i++)
		r = load_one(n, &n->relations[i]);
	return r;
}

int node_partner_start(struct node *n, char err[256])
{
	struct fo_net_ops ops = { n,	       net_up,	    net_down, net_message,
				  net_garbage, net_refused, net_room, net_waits };

	if (!n->conf->n_relations)
		return 0;
	return fo_net_open(n->base, n->conf, n->keys, &ops, &n->net, err);
}

void node_partner_lost(struct node *n, enum fo_close_reason why)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (n->net && fo_net_is_up(n->net, i))
			fo_net_close(n->net, i, why);
		n->relations[i].ep = NULL; /* made anew from disk */
		n->relations[i].in_force = false;
		n->wake[i].due.us = 0; /* nobody is left who would act */
		n->views[i] = node_view_silent();
	}
}

/* Updates that were on their way: the endpoint that knew of them is gone. */
static void forget_flights(struct pool *p)
{
	const struct lease *l;

	for (uint64_t a = 0; a <= UINT32_MAX && (l = pool_next(p, (uint32_t)a)); a = l->addr + 1ull)
		pool_in_flight(p, l->addr, false);
	for (uint64_t a = 0; a <= UINT32_MAX && (l = pool_run_next(p, (uint32_t)a));
	     a = (uint64_t)l->addr + pool_run_length(p, l))
		pool_run_in_flight(p, l->addr, false);
}

int node_partner_restart(struct node *n)
{
	node_partner_lost(n, FO_CLOSE_SILENT);
	forget_flights(n->pool);
	return node_partner_load(n);
}

void node_partner_close(struct node *n)
{
	fo_net_close_all(n->net);
	n->net = NULL;
	for (unsigned i = 0; n->relations && i < n->conf->n_relations; i++)
		if (n->relations[i].mem)
			(void)munmap(n->relations[i].mem, n->relations[i].size);
}

/* The operator hears "done" of what is on disk, and so in force, and of nothing else. */
const char *node_operate(struct node *n, unsigned i, enum fo_event ev, uint32_t since)
{
	struct fo_endpoint *e;
	const char *refused;
	uint64_t batch;

	node_turn_begin(n);
	e = node_endpoint(n, i);
	if (!e)
		return "the store is failing: nothing can be persisted now";
	refused = fo_endpoint_operate(e, ev, since, &n->now);
	batch = node_wait_for(n);
	if (!refused && !node_drain(n, OPERATE_US) && n->durable < batch) /* else only later news */
		return "the disk has not confirmed it yet: look at the state in a moment";
	return refused;
}
