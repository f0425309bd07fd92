/*
 * The server's turn: clock, puts, commit, and what leaves after it. Called by main.c and by the
 * callbacks of the loop.
 *
 * Durable before visible: whatever a decision sends is queued with the number of the batch that
 * covers everything put before it, and leaves when the store says that this batch is on disk.
 */
#include "node_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define REFRESH_US 2000000 /* interfaces and addresses are looked at this often */
#define RETRY_STORE_US 1000000
#define TICK_MAX_US 500000
#define FINISH_US 1000000

/* --- turns ------------------------------------------------------------------------------------ */

/* So long that the partner may have taken over and given our free addresses away. */
static bool beyond_lead_time(const struct node *n, int64_t gap)
{
	struct fo_status s;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (!n->relations[i].ep)
			continue;
		fo_endpoint_status(n->relations[i].ep, &s);
		if (gap >= (int64_t)s.record->mclt * 1000000)
			return true;
	}
	return false;
}

/* Frozen (SIGSTOP, a paused machine) and thawed: whatever the partner has done meanwhile is more
 * recent than what we believe. Links are lost before any packet is heard, and after MCLT it is as
 * after a restart (decision A19). */
static void thaw(struct node *n)
{
	int64_t gap = n->now.mono.us - n->last_turn.mono.us;

	if (beyond_lead_time(n, gap)) {
		n->count.frozen++;
		log_event(LOG_L_WARNING, "was-frozen", "for_ms=%" PRId64 " as-after=restart",
			  gap / 1000);
		node_outbox_clear(n);
		if (node_partner_restart(n) < 0)
			node_put_refused(n);
		return;
	}
	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		const struct fo_conf *c = &n->conf->relations[i].fo;

		if (gap <= (int64_t)c->contact_timeout_sec * 1000000 || !n->relations[i].ep)
			continue;
		n->count.frozen++;
		log_event(LOG_L_WARNING, "was-frozen", "relationship=%s for_ms=%" PRId64, c->name,
			  gap / 1000);
		if (n->net && fo_net_is_up(n->net, i)) {
			fo_net_close(n->net, i, FO_CLOSE_SILENT);
			/* contact ended when we stood still, and so did our service: a partner
			 * that took over since must find that we did not serve beside it */
			fo_endpoint_link_down(n->relations[i].ep, &n->last_turn, FO_CLOSE_SILENT);
			fo_endpoint_turn(n->relations[i].ep, lease_store_batch(n->store), &n->now);
		}
	}
}

/* What the endpoints put from now on gets this number. */
static void tell_batch(struct node *n)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		if (n->relations[i].ep)
			fo_endpoint_turn(n->relations[i].ep, lease_store_batch(n->store), &n->now);
}

void node_turn_begin(struct node *n)
{
	if (n->in_turn)
		return;
	n->in_turn = true;
	n->now = clock_now();
	n->count.turns++;
	tell_batch(n);
	if (n->last_turn.mono.us)
		thaw(n);
	n->last_turn = n->now;
}

uint64_t node_wait_for(const struct node *n)
{
	return lease_store_covers(n->store);
}

int node_put(struct node *n, const struct lease *l, const struct lease_client *c)
{
	return lease_store_put(n->store, l, c);
}

/* The endpoint has gone on as if the record were there. So nothing leaves any more, and with the
 * end of the turn memory is made anew from disk. */
void node_put_refused(struct node *n)
{
	n->suspect = true;
}

void node_touch_scope(struct node *n, const struct scope *s)
{
	uint32_t i = (uint32_t)(s - n->conf->scopes.scopes);

	if (s->relation < 0 || n->scopes[i].touched)
		return;
	n->scopes[i].touched = true;
	n->scopes[n->n_touched++].index = i;
}

void node_touch(struct node *n, const struct scope *s)
{
	if (!s || s->relation < 0)
		return;
	n->relations[s->relation].touched = true;
	node_touch_scope(n, s);
}

/* A partner without a free address in a subnet is silent there: then all of its clients are ours,
 * and the kernel must let them through (decision B7). */
static void tell_partner_empty(struct node *n)
{
	for (uint32_t k = 0; k < n->n_touched; k++) {
		uint32_t i = n->scopes[k].index;
		const struct scope *s = &n->conf->scopes.scopes[i];
		struct pool_counts c;
		bool empty;

		n->scopes[i].touched = false;
		pool_counts_scope(n->pool, s, &c);
		empty = !(n->conf->relations[s->relation].fo.primary ? c.backup : c.free);
		if (empty == n->scopes[i].partner_empty)
			continue;
		n->scopes[i].partner_empty = empty;
		if (n->dp)
			(void)datapath_set_partner_empty(n->dp, &n->conf->scopes, i, empty);
	}
	n->n_touched = 0;
}

static void out(struct node *n, const struct outbox_item *i)
{
	if (i->kind == OUT_REPLY)
		node_send_reply(n, outbox_payload(i), i->len);
	else if (i->kind == OUT_AUDIT)
		log_line("lease", outbox_payload(i));
	else
		node_partner_out(n, i);
}

void node_outbox_clear(struct node *n)
{
	outbox_clear(&n->outbox);
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		n->relations[i].waiting = 0;
	n->waiting = 0;
}

void node_flush(struct node *n)
{
	const struct outbox_item *i;

	while (!n->suspect && (i = outbox_ready(&n->outbox, n->durable))) {
		out(n, i);
		outbox_pop(&n->outbox);
	}
	if (n->io)
		dhcp_io_flush(n->io);
}

/* A lease may end only by the rules of a state that is known, on disk and in force. */
static bool may_expire(const struct node *n, const struct scope *s)
{
	return !s || s->relation < 0 || n->relations[s->relation].in_force;
}

static void expire_leases(struct node *n)
{
	const struct lease *l;
	unsigned done = 0;

	while (done++ < NODE_EXPIRE_PER_TURN && lease_store_room(n->store, 1) &&
	       (l = pool_due(n->pool, n->now.wall))) {
		const struct scope *s = pool_scope(n->pool, l->addr);
		uint32_t again = 0, addr = l->addr, ended = l->expires;
		bool ran = l->state == LEASE_ACTIVE;
		wall_t now = node_clock_for(n, l);
		struct lease next;

		if (!may_expire(n, s)) {
			pool_set_timer(n->pool, addr, sec_clamp(n->now.wall.sec + 1));
			continue;
		}
		if (!server_expire(node_view(n, s), l, now, &next, &again)) {
			pool_set_timer(n->pool, addr,
				       sec_clamp(again + (n->now.wall.sec - now.sec)));
			continue;
		}
		if (node_put(n, &next, NULL) < 0)
			break;
		(void)pool_apply(n->pool, &next, lease_store_batch(n->store));
		n->count.expired++;
		if (ran)
			node_audit_expired(n, addr, ended);
		node_touch(n, s);
	}
}

static void partner_turn(struct node *n)
{
	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		struct node_relation *r = &n->relations[i];

		if (!r->ep)
			continue;
		if (r->policy_lost)
			node_policy_again(r);
		if (fo_endpoint_next(r->ep).us <= n->now.mono.us)
			fo_endpoint_tick(r->ep, &n->now);
		if (r->touched)
			fo_endpoint_pump(r->ep, &n->now);
		r->touched = false;
		if (r->broken && fo_net_is_up(n->net, i)) {
			fo_net_close(n->net, i, FO_CLOSE_STATE);
			fo_endpoint_link_down(r->ep, &n->now, FO_CLOSE_STATE);
		}
		r->broken = r->persisted = false;
	}
}

static void arm_tick(struct node *n)
{
	mono_t next = mono_add_us(n->now.mono, TICK_MAX_US);
	struct timeval tv;
	int64_t us;

	for (unsigned i = 0; i < n->conf->n_relations; i++)
		if (n->relations[i].ep)
			next = mono_min(next, fo_endpoint_next(n->relations[i].ep));
	us = next.us - clock_now().mono.us;
	if (us < 1000)
		us = 1000;
	tv = (struct timeval){ us / 1000000, us % 1000000 };
	evtimer_add(n->tick, &tv);
}

static void submit(struct node *n)
{
	if (lease_store_covers(n->store) < lease_store_batch(n->store) ||
	    !lease_store_idle(n->store))
		return;
	(void)lease_store_submit(n->store);
	tell_batch(n);
}

/* Memory is not to be believed any more. Silent from here on: what waits is forgotten, the
 * partner finds nobody, clients are not answered. */
static void stop_serving(struct node *n, int err)
{
	if (n->serving) {
		snprintf(n->why_not, sizeof(n->why_not), "the store in %s cannot be written: %s",
			 n->conf->server.state_directory, strerror(-err));
		log_event(LOG_L_ERROR, "store-failed", "error=\"%s\" serving=no", strerror(-err));
	}
	n->serving = n->suspect = false;
	n->probe = 0;
	node_outbox_clear(n);
	node_partner_lost(n, FO_CLOSE_STATE);
	n->retry_store = mono_add_us(n->now.mono, RETRY_STORE_US);
}

/* After a failed commit everything in memory is suspect, disk alone is true (decision C2). Whether
 * it takes records again is shown by a record: a server that could only offer would be worse than
 * none. */
static void try_store_again(struct node *n)
{
	char err[256];

	if (n->probe || n->now.mono.us < n->retry_store.us)
		return;
	n->retry_store = mono_add_us(n->now.mono, RETRY_STORE_US);
	if (n->store_failed && lease_store_reopen(n->store, err) < 0)
		return;
	n->store_failed = false;
	if (lease_store_put_meta(n->store, "start-count", &n->start_count,
				 sizeof(n->start_count)) == 0)
		n->probe = lease_store_submit(n->store);
}

static void recover(struct node *n)
{
	n->probe = 0;
	if (node_load(n) < 0)
		return; /* and once more, after a moment */
	n->serving = true;
	n->behind = false;
	n->why_not[0] = 0;
	log_event(LOG_L_INFO, "store-recovered", "serving=yes");
}

static void serve_turn(struct node *n)
{
	pool_offers_expire(n->pool, n->now.mono);
	expire_leases(n);
	partner_turn(n);
	tell_partner_empty(n);
	if (n->suspect) {
		lease_store_discard(n->store);
		stop_serving(n, -ENOBUFS);
		return;
	}
	submit(n);
	node_clients_deaf(n, !lease_store_room(n->store, 4 * NODE_BATCH));
	node_flush(n);
}

void node_turn_end(struct node *n)
{
	node_turn_begin(n);
	if (n->serving)
		serve_turn(n);
	else
		try_store_again(n);
	if (n->net)
		fo_net_turn(n->net);
	node_reload_turn(n);
	if (n->dp && !n->maps_wrong && n->now.mono.us - n->vouched.us >= 500000) {
		datapath_alive(n->dp);
		n->vouched = n->now.mono;
	}
	if (n->now.mono.us >= n->next_refresh.us) {
		node_clients_refresh(n);
		node_clock_watch(n);
		node_watch_disk(n);
		node_certificates_watch(n);
		n->next_refresh = mono_add_us(n->now.mono, REFRESH_US);
	}
	arm_tick(n);
	n->in_turn = false;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	node_turn_begin(arg);
}

/* --- store ------------------------------------------------------------------------------------ */

static void on_store(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;

	(void)fd;
	(void)what;
	node_turn_begin(n);
	lease_store_dispatch(n->store);
}

static void on_durable(void *ctx, uint64_t batch)
{
	struct node *n = ctx;
	int reading;

	n->durable = batch;
	tell_batch(n); /* a batch that waited has been handed over */
	if (n->probe && batch >= n->probe)
		recover(n);
	reading = lease_store_read(n->store); /* many updates may leave now, each with its client */
	for (unsigned i = 0; n->serving && i < n->conf->n_relations; i++)
		if (n->relations[i].ep)
			fo_endpoint_durable(n->relations[i].ep, batch, &n->now);
	if (reading == 0)
		lease_store_read_end(n->store);
	node_flush(n);
}

static void on_failed(void *ctx, uint64_t batch, int err)
{
	struct node *n = ctx;

	(void)batch;
	n->store_failed = true;
	stop_serving(n, err);
	if (err == -EIO) {
		n->fatal = err;
		event_base_loopbreak(n->base);
	}
}

static void note_time(struct node *n, uint32_t sec)
{
	if (n->newest < sec && sec < SEC_MAX)
		n->newest = sec;
}

static int load_lease(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct node *n = ctx;
	struct lease row = *l;

	note_time(n, l->cltt);
	note_time(n, l->stos);
	row.key = lease_client_key(&n->hash, c);
	(void)pool_apply(n->pool, &row, 0); /* outside of every range: kept, not served */
	return 0;
}

static int load_run(void *ctx, const struct lease *l, uint32_t n)
{
	struct node *node = ctx;
	int r = pool_apply_run(node->pool, l, n, 0);

	note_time(node, l->stos);
	return r == -ENOENT ? 0 : r; /* outside of every range: kept, not served */
}

static void note_relations(struct node *n)
{
	struct fo_record rec;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (lease_store_get_relation(n->store, n->conf->relations[i].fo.name, &rec) < 0)
			continue;
		note_time(n, rec.end.stos);
		note_time(n, rec.end.last_operational);
	}
}

/* The one thing at start that grows with the leases: a single scan of the store, runs and all. */
int node_load(struct node *n)
{
	size_t size = pool_size(&n->conf->scopes, NODE_MAX_OFFERS);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (mem == MAP_FAILED)
		return -ENOMEM;
	if (n->pool_mem)
		(void)munmap(n->pool_mem, n->pool_mem_size);
	n->pool_mem = mem;
	n->pool_mem_size = size;
	n->pool = pool_init(n->pool_mem, n->pool_mem_size, &n->conf->scopes, NODE_MAX_OFFERS);
	n->server.pool = n->pool;
	n->newest = 0;
	r = lease_store_scan_runs(n->store, load_run, n);
	if (!r)
		r = lease_store_scan(n->store, load_lease, n);
	note_relations(n);
	if (!r && node_clock_is_behind(n))
		r = -ETIME;
	for (uint32_t i = 0; !r && i < n->conf->scopes.n_scopes; i++)
		node_touch_scope(n, &n->conf->scopes.scopes[i]);
	return r < 0 ? r : node_partner_load(n);
}

/* The store's start counter: what tells the partner that a store was lost or restored (A7). */
static int count_start(struct node *n)
{
	uint64_t count = 0;
	size_t len = sizeof(count);
	int r = lease_store_get_meta(n->store, "start-count", &count, &len);

	if (r < 0 && r != -ENOENT)
		return r;
	n->start_count = count + 1;
	return lease_store_put_meta(n->store, "start-count", &n->start_count,
				    sizeof(n->start_count));
}

static int open_store(struct node *n, char err[256])
{
	struct lease_store_conf c = { .directory = n->conf->server.state_directory,
				      .addresses = n->conf->n_addresses };
	struct lease_store_ops ops = { n, on_durable, on_failed };
	int r = lease_store_open(&c, &ops, &n->store, err);

	if (r < 0)
		return r;
	r = count_start(n);
	if (r < 0)
		snprintf(err, 256, "cannot read the store in %s: %s", c.directory, strerror(-r));
	return r;
}

/* --- open, start, close
 * --------------------------------------------------------------------------- */

static int init_memory(struct node *n, char err[256])
{
	n->relations = calloc(n->conf->n_relations + 1, sizeof(*n->relations));
	n->views = calloc(n->conf->n_relations + 1, sizeof(*n->views));
	n->scopes = calloc(n->conf->scopes.n_scopes + 1, sizeof(*n->scopes));
	if (!n->relations || !n->views || !n->scopes || outbox_init(&n->outbox, NODE_OUTBOX) < 0) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	if (!pool_size(&n->conf->scopes, NODE_MAX_OFFERS)) {
		snprintf(err, 256, "the ranges hold too many addresses for one server");
		return -E2BIG;
	}
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		n->views[i] = node_view_silent();
	if (getrandom(&n->hash, sizeof(n->hash), 0) != sizeof(n->hash)) {
		snprintf(err, 256, "the kernel gives no random octets");
		return -EIO;
	}
	n->server = (struct server_ctx){
		.scopes = &n->conf->scopes,
		.views = n->views,
		.server_identifier = n->conf->server.identifier,
		.authoritative = n->conf->server.authoritative,
		.offer_hold_sec = n->conf->server.offer_hold_sec,
	};
	return 0;
}

static int open_events(struct node *n)
{
	n->tick = evtimer_new(n->base, on_tick, n);
	n->store_ev =
		event_new(n->base, lease_store_fd(n->store), EV_READ | EV_PERSIST, on_store, n);
	if (!n->tick || !n->store_ev)
		return -ENOMEM;
	event_priority_set(n->tick, PRIO_LINK);
	event_priority_set(n->store_ev, PRIO_LINK);
	event_add(n->store_ev, NULL);
	return 0;
}

static int open_filter(struct node *n, char err[256])
{
	const struct conf *c = n->conf;
	struct datapath_conf d = {
		.mode = c->filter.mode,
		.pin_directory = c->filter.pin_directory,
		.interfaces = c->server.interfaces,
		.n_interfaces = c->server.n_interfaces,
		.fail_open_after_ms = c->filter.fail_open_after_ms,
		.group = c->server.user,
	};
	int r = datapath_open(&d, &n->dp, err);

	if (r < 0 || !n->dp)
		return r;
	r = datapath_set_local(n->dp);
	if (!r)
		r = datapath_set_scopes(n->dp, &c->scopes);
	if (r < 0)
		snprintf(err, 256, "cannot write the filter's maps: %s", strerror(-r));
	if (r < 0 && c->filter.mode == FILTER_AUTO) { /* which never fails the start (B10) */
		log_event(LOG_L_ERROR, "filter-off", "why=\"%s\"", err);
		datapath_disarm(n->dp);
		datapath_close(n->dp);
		n->dp = NULL;
		return 0;
	}
	return r;
}

int node_open(struct event_base *base, const struct conf *c, struct node **ret, char err[256])
{
	struct node *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->base = base;
	n->conf = c;
	n->now = n->started = clock_now();
	r = init_memory(n, err);
	if (!r)
		r = fo_keys_load(c, &n->keys, err);
	if (!r)
		r = node_clients_open(n, err);
	if (!r)
		r = open_filter(n, err);
	if (!r)
		r = node_api_open(n, err);
	if (r < 0) {
		node_close(n);
		return r;
	}
	*ret = n;
	return 0;
}

int node_start(struct node *n, char err[256])
{
	int r = open_store(n, err);

	if (!r)
		r = open_events(n);
	if (r < 0)
		return r;
	n->now = clock_now();
	r = node_partner_open(n);
	if (!r)
		r = node_load(n);
	n->serving = !r;
	if (r == -ETIME) /* serve nobody, and look again */
		r = 0;
	if (r < 0) {
		snprintf(err, 256, "cannot load the leases from %s: %s",
			 n->conf->server.state_directory, strerror(-r));
		return r;
	}
	r = node_partner_start(n, err);
	if (!r)
		r = node_clients_start(n);
	if (r < 0)
		return r;
	node_turn_end(n);
	return 0;
}

int node_fatal(const struct node *n)
{
	return n->fatal;
}

bool node_drain(struct node *n, int64_t within_us)
{
	uint64_t last;
	int64_t until;

	node_turn_begin(n);
	last = lease_store_submit(n->store);
	until = clock_now().mono.us + within_us;
	while (n->serving && n->durable < last) {
		struct pollfd p = { .fd = lease_store_fd(n->store), .events = POLLIN };
		int64_t left = (until - clock_now().mono.us) / 1000;

		if (left <= 0 || poll(&p, 1, (int)left) < 0)
			break;
		lease_store_dispatch(n->store);
	}
	if (n->serving)
		node_flush(n);
	return n->serving && n->durable >= lease_store_covers(n->store);
}

void node_close(struct node *n)
{
	if (!n)
		return;
	ctl_close(n->ctl);
	if (n->dp)
		datapath_disarm(n->dp); /* nobody answers here any more: the kernel lets all pass */
	/* A disk that takes longer than a moment is not waited for with the clients, who ask the
	 * partner; lease_store_close waits. */
	if (n->serving)
		(void)node_drain(n, FINISH_US);
	n->serving = false;
	node_partner_close(n);
	node_clients_close(n);
	lease_store_close(n->store);
	datapath_close(n->dp);
	if (n->tick)
		event_free(n->tick);
	if (n->store_ev)
		event_free(n->store_ev);
	if (n->pool_mem)
		(void)munmap(n->pool_mem, n->pool_mem_size);
	outbox_done(&n->outbox);
	node_reload_done(n);
	fo_keys_free(n->keys);
	free(n->relations);
	free(n->views);
	free(n->scopes);
	free(n);
}
