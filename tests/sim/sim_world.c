/*
 * A world from a seed: who is there, on which terms; the queue of events; chance.
 *
 * One stream of chance makes the world and drives what happens in it; the faults come from a
 * stream of their own, so that leaving one out (sim_trace.c) changes as little as possible else.
 */
#include "sim.h"

#include "shared/loadbal.h"

/* --- chance ----------------------------------------------------------------------------------- */

uint64_t rnd(struct world *w)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return w->rnd * 0x2545f4914f6cdd1dULL;
}

uint32_t below(struct world *w, uint32_t n)
{
	return n ? (uint32_t)((rnd(w) >> 32) * n >> 32) : 0;
}

bool chance(struct world *w, unsigned percent)
{
	return below(w, 100) < percent;
}

#define PICK(w, array) (array)[below(w, sizeof(array) / sizeof((array)[0]))]

/* --- the queue: a binary heap by time, then by order of making
 * ------------------------------------
 */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void at(struct world *w, int64_t us, enum event_kind kind, unsigned who, uint32_t arg)
{
	struct event e = { us, w->seq++, (uint16_t)kind, (uint16_t)who, arg };
	uint32_t i = w->n_queue++;

	if (i == w->queue_room) {
		w->queue_room = w->queue_room ? w->queue_room * 2 : 1024;
		w->queue = realloc(w->queue, w->queue_room * sizeof(*w->queue));
		if (!w->queue)
			abort();
	}
	for (; i && earlier(&e, &w->queue[(i - 1) / 2]); i = (i - 1) / 2)
		w->queue[i] = w->queue[(i - 1) / 2];
	w->queue[i] = e;
}

static struct event take(struct world *w)
{
	struct event top = w->queue[0], last = w->queue[--w->n_queue];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_queue) {
		if (child + 1 < w->n_queue && earlier(&w->queue[child + 1], &w->queue[child]))
			child++;
		if (!earlier(&w->queue[child], &last))
			break;
		w->queue[i] = w->queue[child];
		i = child;
	}
	w->queue[i] = last;
	return top;
}

static bool happen(struct world *w, const struct event *e)
{
	struct server *s = &w->s[e->who & 1];

	switch ((enum event_kind)e->kind) {
	case EV_TURN:
		if (e->at != s->turn_at)
			return false; /* another moment was agreed on since */
		server_turn(w, s);
		return true;
	case EV_COMMIT:
		disk_commit(w, s, e->arg);
		return true;
	case EV_WIRE:
		link_wire(w, e->who);
		return true;
	case EV_CONNECT:
		if (e->at != s->connect_at)
			return false;
		link_connect(w, s);
		return true;
	case EV_REQUEST:
		dgram_arrive(w, e->arg);
		return true;
	case EV_REPLY:
		dgram_answer(w, e->arg);
		return true;
	case EV_CLIENT:
		if (e->at != w->c[e->who].timer)
			return false;
		client_timer(w, &w->c[e->who]);
		return true;
	case EV_FAULT:
		if (!w->quiet)
			fault_begin(w, &w->faults[e->arg]);
		return true;
	case EV_FAULT_END:
		fault_end(w, &w->faults[e->arg]);
		return true;
	case EV_KINDS:
		break;
	}
	return false;
}

void world_run(struct world *w, int64_t until)
{
	int64_t was = -1;
	unsigned still = 0;

	while (w->n_queue && w->queue[0].at <= until) {
		struct event e = take(w);

		w->us = e.at;
		still = w->us == was ? still + 1 : 0;
		was = w->us;
		if (still > 20000)
			violate(w, "time-stands-still", 0, -1, "event %u of %u repeats", e.kind,
				e.who);
		if (!happen(w, &e))
			continue;
		w->events++;
		check_service(w);
	}
	if (w->us < until)
		w->us = until;
}

uint32_t true_sec(const struct world *w)
{
	return (uint32_t)(BASE + w->us / SEC);
}

uint32_t waits(const struct world *w)
{
	uint32_t a = w->s[0].conf.mclt, b = w->s[1].conf.mclt;

	return a > b ? a : b;
}

/* --- terms ------------------------------------------------------------------------------------ */

static void make_terms(struct world *w)
{
	static const uint32_t lease[] = { 60, 90, 120, 200, 300 };
	static const uint32_t mclt[] = { 15, 20, 30, 30, 45, 60, 90 };
	static const uint32_t contact[] = { 3, 3, 3, 5, 8 };
	static const uint32_t startup[] = { 4, 8, 15 };
	static const unsigned loss[] = { 0, 0, 2, 10, 25 };
	static const int64_t delay[] = { 500, 3000, 30000 };
	struct terms *t = &w->t;

	*t = (struct terms){
		.clients = 32 + below(w, chance(w, 10) ? 120 : 48),
		.scopes = 1 + below(w, SCOPES),
		.faults = 8 + below(w, 20),
		.lease_time = PICK(w, lease),
		.mclt = PICK(w, mclt),
		.contact = PICK(w, contact),
		.startup = PICK(w, startup),
		.length = (300 + below(w, 500)) * SEC,
		.loss = PICK(w, loss),
		.dup = chance(w, 30) ? 5 : 0,
		.delay_max = PICK(w, delay),
		.spike_max = chance(w, 30) ? 900000 : 0,
		.clocks_differ = chance(w, 25),
		.false_pd_allowed = chance(w, 15),
	};
	t->length += t->mclt * 4 * SEC;
	story_terms(w);
}

static void make_policy(struct world *w, struct fo_conf *p, struct fo_conf *s)
{
	static const uint16_t threshold[] = { 3, 3, 6, 0 };
	static const uint32_t reserve[] = { 5, 10, 20 };
	uint32_t share = chance(w, 50) ? 50 : below(w, 101), buckets = (256 * share + 50) / 100;

	p->policy = (struct fo_policy_conf){
		.hot_standby = chance(w, 30),
		.active_is_primary = chance(w, 50),
		.secs_threshold = PICK(w, threshold),
		.hash_identity = chance(w, 20) ? HASH_HARDWARE : HASH_CLIENT_ID,
	};
	for (unsigned b = 0; b < buckets; b++)
		p->policy.hba[b / 8] |= (uint8_t)(1u << b % 8);
	p->share_secondary = 100 - (w->t.share_primary ? w->t.share_primary : share);
	p->standby_reserve = PICK(w, reserve);
	s->policy = p->policy;
	s->share_secondary = p->share_secondary;
	s->standby_reserve = p->standby_reserve;
}

static void make_confs(struct world *w)
{
	static const uint32_t window[] = { 1, 3, 10, 10, 100 };
	struct fo_conf *p = &w->s[0].conf, *s = &w->s[1].conf;

	make_policy(w, p, s);
	for (unsigned i = 0; i < 2; i++) {
		struct fo_conf *c = &w->s[i].conf;

		c->name = "campus";
		c->primary = i == 0;
		c->mclt = w->t.mclt;
		c->max_unacked = PICK(w, window);
		c->contact_timeout_sec = w->t.contact;
		c->startup_sec = w->t.startup;
		c->max_clock_skew_sec = 60;
		c->misbalance = 15;
		c->ownership = 10;
		c->after_outage_hold = !chance(w, 25);
		if (w->t.false_pd_allowed && chance(w, 50))
			c->auto_partner_down_sec = w->t.mclt / 2 + below(w, 2 * w->t.mclt);
	}
	if (chance(w, 10)) { /* configured apart: the primary's word counts */
		s->mclt = w->t.mclt + 10 + below(w, 20);
		memset(s->policy.hba, 0xff, 32);
	}
}

/* --- scopes ------------------------------------------------------------------------------------
 */

static void add_range(struct world *w, unsigned scope, uint32_t first, uint32_t last,
		      uint32_t flags)
{
	w->ranges[w->table.n_ranges++] = (struct addr_range){ first, last, scope, flags };
}

/* Reserved addresses: one within the range, one outside of it. */
static void make_reservations(struct world *w, unsigned i, uint32_t inside)
{
	struct scope *s = &w->scopes[i];

	for (unsigned c = i, n = 0; n < 2 && c < w->t.clients; c += w->t.scopes, n++) {
		w->c[c].reserved = true;
		w->reservations[i][n] = (struct reservation){
			.addr = n ? s->subnet + 6 : inside,
			.htype = w->c[c].with_id ? 0 : 1,
			.id = { w->c[c].with_id ? w->c[c].who.id : w->c[c].who.chaddr, 6 },
		};
		s->n_reservations = n + 1;
	}
	/* sorted as core/scope.h wants them */
	if (s->n_reservations == 2 && w->reservations[i][0].htype > w->reservations[i][1].htype) {
		struct reservation r = w->reservations[i][0];

		w->reservations[i][0] = w->reservations[i][1];
		w->reservations[i][1] = r;
	}
	s->reservations = w->reservations[i];
}

static void make_scope(struct world *w, unsigned i, bool tight, bool reserved)
{
	uint32_t net = FIRST + i * 256, here = w->t.clients / w->t.scopes + 1;
	uint32_t size = tight ? here - here / 8 : here * 2 + below(w, here);
	struct scope *s = &w->scopes[i];

	if (size < 4)
		size = 4;
	if (size > 230)
		size = 230;
	*s = (struct scope){ .subnet = net,
			     .prefix = 24,
			     .relation = 0,
			     .name = "scope",
			     .lease_time = w->t.lease_time };
	s->first_range = w->table.n_ranges;
	if (reserved)
		add_range(w, i, net + 6, net + 6, RANGE_RESERVED);
	add_range(w, i, net + 10, net + 9 + size, 0);
	s->n_ranges = w->table.n_ranges - s->first_range;
	if (reserved)
		make_reservations(w, i, net + 10 + below(w, size));
}

static void make_scopes(struct world *w)
{
	bool tight = chance(w, 35), reserved = chance(w, 40);

	if (w->t.room)
		tight = w->t.room == ROOM_TIGHT;
	w->table = (struct scope_table){ w->scopes, w->t.scopes, w->ranges, 0 };
	for (unsigned i = 0; i < w->t.scopes; i++)
		make_scope(w, i, tight, reserved);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static void make_clocks(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server *s = &w->s[i];

		s->sys_error_us = below(w, 900000); /* the second does not turn at one moment */
		if (w->t.clocks_differ) {
			s->rate_ppm = (int64_t)below(w, 401) - 200;
			s->sys_error_us +=
				((int64_t)below(w, 21) - 10) * SEC / (chance(w, 50) ? 10 : 1);
		}
		s->sys_base_us = s->sys_error_us;
	}
}

/* --- the beginning -----------------------------------------------------------------------------
 */

static void reset(struct world *w)
{
	struct world keep = { .queue = w->queue,
			      .queue_room = w->queue_room,
			      .packets = w->packets,
			      .n_packets = w->n_packets,
			      .requests = w->requests,
			      .n_requests = w->n_requests,
			      .replies = w->replies,
			      .n_replies = w->n_replies };
	struct server was[2];
	bool tracing = w->tracing;
	struct cover *cover = w->cover;
	FILE *out = w->trace;
	bool skipped[MAX_FAULTS];

	memcpy(was, w->s, sizeof(was));
	memcpy(skipped, w->fault_skipped, sizeof(skipped));
	memset(w, 0, sizeof(*w));
	w->queue = keep.queue;
	w->queue_room = keep.queue_room;
	w->packets = keep.packets;
	w->n_packets = keep.n_packets;
	w->requests = keep.requests;
	w->n_requests = keep.n_requests;
	w->replies = keep.replies;
	w->n_replies = keep.n_replies;
	w->tracing = tracing;
	w->cover = cover;
	w->trace = out;
	memcpy(w->fault_skipped, skipped, sizeof(skipped));
	for (unsigned i = 0; i < 2; i++) {
		struct server *s = &w->s[i];

		s->pool_mem = was[i].pool_mem;
		s->pool_mem_size = was[i].pool_mem_size;
		s->ep = NULL;
		s->open.ops = was[i].open.ops;
		s->open.room = was[i].open.room;
		s->committing.ops = was[i].committing.ops;
		s->committing.room = was[i].committing.room;
		s->outbox = was[i].outbox;
		if (!s->outbox.mem && outbox_init(&s->outbox, 4u << 20) < 0)
			abort();
		outbox_clear(&s->outbox);
		s->i = i;
		s->addr = FIRST + 2 + i;
		s->inbox = s->dgrams = w->wire[i] = (struct fifo){ -1, -1 };
		s->disk_us = 1000;
	}
}

/* Free lists begin anew, so that memory of former seeds has no say. */
static void thread_lists(struct world *w)
{
	w->free_packet = w->free_request = w->free_reply = -1;
	for (uint32_t i = w->n_packets; i--;) {
		w->packets[i].next = w->free_packet;
		w->free_packet = (int32_t)i;
	}
	for (uint32_t i = w->n_requests; i--;) {
		w->requests[i].next = w->free_request;
		w->free_request = (int32_t)i;
	}
	for (uint32_t i = w->n_replies; i--;) {
		w->replies[i].next = w->free_reply;
		w->free_reply = (int32_t)i;
	}
}

void world_init(struct world *w, uint64_t seed)
{
	reset(w);
	thread_lists(w);
	w->seed = seed;
	w->story = story_of(seed);
	w->rnd = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	for (unsigned i = 0; i < 8; i++)
		(void)rnd(w);
	make_terms(w);
	make_confs(w);
	make_clocks(w);
	for (unsigned i = 0; i < w->t.clients; i++)
		client_init(w, i);
	make_scopes(w);
	faults_plan(w);
	server_boot(w, &w->s[0]);
	server_boot(w, &w->s[1]);
}
