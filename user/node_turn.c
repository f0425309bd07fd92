/*
 * The server's turn: clock, puts, commit, and what leaves after it.
 *
 * Durable before visible: whatever a decision sends is queued with the number of the batch that
 * covers everything put before it, and leaves when the store says that this batch is on disk.
 *
 * Called by main.c, and by the callbacks of the loop (node_turn_begin).
 */
#include "node_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#define REFRESH_US 2000000 /* interfaces and addresses are looked at this often */
#define TICK_MAX_US 500000
/* A commit costs nearly the same for one lease and for sixty, so the next one begins so long after
 * the last, or when there are as many. A client that comes alone finds the last one over, and waits for
 * nothing; partners do not mind to wait; a slow disk takes longer than that. */
#define COMMIT_EVERY_US 2000
#define COMMIT_SOON_US 1000	 /* after one of several records that was not under full load */
#define COMMIT_LAZY_US 4000	 /* no client waits */
#define COMMIT_SEVERAL 8	 /* records */
#define COMMIT_MANY 32		 /* records: the processor is what is short */
#define COMMIT_ENOUGH 64	 /* records */
#define CONTACT_LEAST_US 1000000 /* no contact time-out and no lead time is shorter */

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

	if (gap < CONTACT_LEAST_US)
		return;
	node_watch_overload_later(n);
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
			(void)node_endpoint(n, i);
		}
	}
}

void node_turn_begin(struct node *n)
{
	if (n->in_turn)
		return;
	n->in_turn = true;
	n->now = clock_now();
	n->count.turns++;
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
	(void)node_endpoint(n, (unsigned)s->relation);
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
		struct lease next;

		if (!may_expire(n, s)) {
			pool_set_timer(n->pool, addr, sec_clamp(n->now.wall.sec + 1));
			continue;
		}
		if (!server_expire(node_view(n, s), l, n->now.wall, &next, &again)) {
			pool_set_timer(n->pool, addr, again);
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

static mono_t commit_due(const struct node *n)
{
	bool soon = n->commit.records >= COMMIT_SEVERAL && n->commit.records < COMMIT_MANY;

	if (!n->commit.awaited)
		return mono_add_us(n->commit.began, COMMIT_LAZY_US);
	return mono_add_us(n->commit.began, soon ? COMMIT_SOON_US : COMMIT_EVERY_US);
}

static void arm_tick(struct node *n)
{
	mono_t next = mono_min(mono_add_us(n->now.mono, TICK_MAX_US), node_partner_next(n));
	struct timeval tv;
	int64_t us;

	if (lease_store_pending(n->store) && lease_store_idle(n->store)) /* else it tells us */
		next = mono_min(next, commit_due(n));
	us = n->restate_at ? 0 : next.us - clock_now().mono.us;
	if (us < 1000)
		us = 1000;
	tv = (struct timeval){ us / 1000000, us % 1000000 };
	evtimer_add(n->tick, &tv);
}

static void submit(struct node *n)
{
	uint32_t records = lease_store_pending(n->store);

	if (!records || !lease_store_idle(n->store) ||
	    (records < COMMIT_ENOUGH && n->now.mono.us < commit_due(n).us))
		return;
	(void)lease_store_submit(n->store);
	n->commit.began = n->now.mono;
	n->commit.records = records;
	n->commit.awaited = false;
}

static void serve_turn(struct node *n)
{
	pool_offers_expire(n->pool, n->now.mono);
	expire_leases(n);
	node_clock_restate(n);
	node_partner_turn(n);
	tell_partner_empty(n);
	if (n->suspect) {
		lease_store_discard(n->store);
		node_stop_serving(n, -ENOBUFS);
		return;
	}
	submit(n);
	node_sockets_deaf(n, !lease_store_room(n->store, 4 * NODE_BATCH));
	node_flush(n);
}

void node_turn_end(struct node *n)
{
	node_turn_begin(n);
	node_sockets_turn(n);
	if (n->serving)
		serve_turn(n);
	else
		node_store_again(n);
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
		node_watch_overload(n);
		node_certificates_watch(n);
		/* some of their timers go by the wall clock, which is slewed */
		node_partner_look(n);
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

int node_turn_open(struct node *n)
{
	n->tick = evtimer_new(n->base, on_tick, n);
	if (!n->tick)
		return -ENOMEM;
	event_priority_set(n->tick, PRIO_LINK);
	return 0;
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
