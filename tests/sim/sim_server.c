/*
 * The driver of a server: what user/node_turn.c, node_store.c, node_clients.c and node_partner.c do
 * with the loop, the store and the sockets, done with virtual ones. The order within a turn is
 * theirs.
 *
 * Durable before visible: whatever waits for a commit leaves when that is on disk, in the order it
 * was decided. Links are heard before clients. After a freeze links are lost first (decision A19).
 */
#include "sim.h"

#include "sys/clock.h"

#define EXPIRE_PER_TURN 256
#define LATE_US (3 * SEC)
#define TICK_MAX_US 500000
#define RETRY_STORE_US SEC

/* --- batches ---------------------------------------------------------------------------------- */

uint64_t server_wait_for(const struct server *s)
{
	return s->open.n ? s->open_no : s->open_no - 1;
}

void server_put_refused(struct server *s)
{
	s->suspect = true;
}

static void tell_batch(struct server *s)
{
	if (s->ep)
		fo_endpoint_turn(s->ep, s->open_no, &s->now);
}

static struct fo_view silent(void)
{
	return (struct fo_view){ .policy.serve = SERVE_NONE, .mclt = 1, .limited = true };
}

/* --- what waited for its commit ----------------------------------------------------------------
 */

static void send_reply(struct world *w, struct server *s, const struct out_reply *o)
{
	int64_t waited = s->now.mono.us - o->decided.mono.us;
	uint32_t sec = (uint32_t)((waited + SEC - 1) / SEC);
	struct out_reply left = *o; /* as dhcp_reply_shorten */

	if (waited > LATE_US || (waited >= SEC && left.r.lease && left.r.lease <= sec))
		return;
	if (waited >= SEC && left.r.lease)
		left.r.lease -= sec;
	check_reply(w, s, &left);
	dgram_reply(w, s, &left.r);
}

static void out(struct world *w, struct server *s, const struct outbox_item *i)
{
	const struct out_link *p = outbox_payload(i);

	switch ((enum out_kind)i->kind) {
	case OUT_REPLY:
		send_reply(w, s, outbox_payload(i));
		break;
	case OUT_POLICY:
		check_view(w, s, outbox_payload(i));
		memcpy(&s->view, outbox_payload(i), sizeof(s->view));
		if (s->ep) /* a later one may wait already */
			s->view = fo_view_narrow(&s->view, &s->ep->view);
		s->in_force = true;
		break;
	case OUT_FO_MESSAGE:
		if (p->conn == s->conn && s->conn)
			link_send(w, s, p->data, i->len - sizeof(*p));
		break;
	case OUT_FO_CLOSE:
		if (p->conn == s->conn && s->conn)
			link_close(w, s, p->data[0]);
		break;
	}
}

static void flush(struct world *w, struct server *s)
{
	const struct outbox_item *i;

	while (!s->suspect && s->up && (i = outbox_ready(&s->outbox, s->durable))) {
		out(w, s, i);
		outbox_pop(&s->outbox);
	}
}

/* --- from disk -------------------------------------------------------------------------------- */

static void load_runs(struct server *s)
{
	const uint32_t *no = s->disk.run_no;

	for (unsigned a = 0, n; a < MAX_ADDR; a += n) {
		struct lease l = s->disk.run[a];

		for (n = 1; a + n < MAX_ADDR && no[a + n] == no[a];)
			n++;
		l.addr = FIRST + a;
		if (no[a])
			(void)pool_apply_run(s->pool, &l, n, 0);
	}
}

static void load_pool(struct world *w, struct server *s)
{
	size_t size = pool_size(&w->table, MAX_OFFERS), round = (size + 63) & ~(size_t)63;

	if (s->pool_mem_size < round) {
		free(s->pool_mem);
		s->pool_mem = aligned_alloc(64, round);
		s->pool_mem_size = round;
		if (!s->pool_mem)
			abort();
	}
	memset(s->pool_mem, 0, round);
	s->pool = pool_init(s->pool_mem, size, &w->table, MAX_OFFERS);
	s->newest = 0;
	load_runs(s);
	for (unsigned a = 0; a < MAX_ADDR; a++)
		s->put_serial[a] = s->disk.has[a] ? s->disk.l[a].serial : 0;
	for (unsigned a = 0; a < MAX_ADDR; a++) {
		struct lease l = s->disk.l[a];
		struct lease_client c;

		if (!s->disk.has[a])
			continue;
		c = client_full(&s->disk.c[a]);
		l.key = lease_client_key(&s->hash, &c);
		(void)pool_apply(s->pool, &l, 0);
		if (s->newest < l.cltt)
			s->newest = l.cltt;
		if (s->newest < l.stos && l.stos < SEC_MAX)
			s->newest = l.stos;
	}
}

static void load_endpoint(struct server *s)
{
	static _Alignas(64) uint8_t mem[2][400000];
	struct fo_sink sink = sink_of(s);
	size_t size = fo_endpoint_size(&s->conf);

	if (size > sizeof(mem[0]))
		abort();
	memset(mem[s->i], 0, size);
	s->overslept = false;
	s->ep = fo_endpoint_init(mem[s->i], size, &s->conf, s->disk.has_rec ? &s->disk.rec : NULL,
				 s->disk.starts, s->pool, &s->hash, &sink, &s->now);
	fo_endpoint_turn(s->ep, s->open_no, &s->now);
}

/* Decision A8, told apart by the record as it stands on disk, which a clock may have dated that was
 * far ahead. */
static void note_absence(struct server *s)
{
	const struct fo_record *r = &s->disk.rec;
	int64_t away = s->now.wall.sec - (int64_t)r->end.last_operational;

	s->long_away = s->disk.has_rec && r->mclt &&
		       (away >= r->mclt || away < -CLOCK_SLEW_MAX_US / SEC);
	s->held_until =
		s->long_away && s->conf.after_outage_hold ? s->now.wall.sec + r->mclt : 0;
}

static void load(struct world *w, struct server *s)
{
	load_pool(w, s);
	s->retry_store = s->now.mono.us + 5 * SEC;
	s->serving = !clock_is_behind(s);
	if (!s->serving)
		clock_start(w, s); /* the system may have the time by now */
	s->ctx = (struct server_ctx){ .scopes = &w->table,
				      .pool = s->pool,
				      .views = &s->view,
				      .server_identifier = s->addr,
				      .authoritative = true,
				      .offer_hold_sec = 20,
				      .decline_hold_sec = w->t.lease_time + 2 * waits(w) + 60 };
	s->view = silent();
	s->in_force = false;
	s->down_since = 0;
	s->ep = NULL;
	note_absence(s);
	if (s->serving)
		load_endpoint(s);
}

/* --- frozen and thawed -------------------------------------------------------------------------
 */

static void partner_lost(struct world *w, struct server *s, enum fo_close_reason why)
{
	if (s->conn)
		link_close(w, s, why);
	s->ep = NULL;
	s->in_force = false;
	s->view = silent();
}

static void forget_flights(struct pool *p)
{
	const struct lease *l;

	for (uint64_t a = 0; a <= UINT32_MAX && (l = pool_next(p, (uint32_t)a)); a = l->addr + 1ull)
		pool_in_flight(p, l->addr, false);
	for (uint64_t a = 0; a <= UINT32_MAX && (l = pool_run_next(p, (uint32_t)a));
	     a = (uint64_t)l->addr + pool_run_length(p, l))
		pool_run_in_flight(p, l->addr, false);
}

static int64_t lead_time(const struct server *s)
{
	struct fo_status st;

	fo_endpoint_status(s->ep, &st);
	return st.record->mclt * SEC;
}

static void after_freeze(struct world *w, struct server *s, int64_t gap, const struct now *last)
{
	if (!s->ep)
		return;
	if (gap >= lead_time(s)) {
		outbox_clear(&s->outbox);
		partner_lost(w, s, FO_CLOSE_SILENT);
		forget_flights(s->pool);
		load_endpoint(s);
		return;
	}
	if (gap <= (int64_t)s->conf.contact_timeout_sec * SEC || !s->conn)
		return;
	link_close(w, s, FO_CLOSE_SILENT);
	fo_endpoint_link_down(s->ep, last, FO_CLOSE_SILENT);
	fo_endpoint_turn(s->ep, s->open_no, &s->now);
}

/* A loop that has nothing to do turns twice a second all the same. */
static struct now last_turn(const struct server *s)
{
	struct now n = s->now;

	n.mono.us = s->frozen_since - 1000;
	n.wall.sec = (n.mono.us + s->wall_minus_boot) / SEC;
	return n;
}

static void turn_begin(struct world *w, struct server *s)
{
	struct now last = last_turn(s);

	s->now = server_clock(w, s);
	tell_batch(s);
	if (!s->frozen_since)
		return;
	TRACE(w, 0, -1, "%c thawed after %.3f s", "PS"[s->i],
	      (double)(s->now.mono.us - last.mono.us) / 1e6);
	s->frozen_since = 0;
	if (s->serving)
		after_freeze(w, s, s->now.mono.us - last.mono.us, &last);
}

void server_thaw(struct world *w, struct server *s)
{
	s->frozen = false;
	s->overslept = s->serving && s->ep &&
		       server_clock(w, s).mono.us - s->frozen_since > (s->ep->rec.mclt + 1) * SEC;
	server_wake(w, s, w->us);
}

/* --- a turn ----------------------------------------------------------------------------------- */

static void expire_leases(struct world *w, struct server *s)
{
	const struct lease *l;
	unsigned done = 0;

	while (done++ < EXPIRE_PER_TURN && (l = pool_due(s->pool, s->now.wall))) {
		uint32_t again = 0, addr = l->addr;
		struct lease next;

		if (!s->in_force) {
			pool_set_timer(s->pool, addr, sec_clamp(s->now.wall.sec + 1));
			continue;
		}
		if (!server_expire(&s->view, l, s->now.wall, &next, &again)) {
			pool_set_timer(s->pool, addr, again);
			continue;
		}
		TRACE(w, addr, -1, "%c time: %s -> %s", "PS"[s->i], lease_state_name(l->state),
		      lease_state_name(next.state));
		disk_put(s, &next, NULL);
		(void)pool_apply(s->pool, &next, s->open_no);
		s->touched = true;
	}
}

static void partner_turn(struct world *w, struct server *s)
{
	if (!s->ep)
		return;
	if (fo_endpoint_next(s->ep).us <= s->now.mono.us)
		fo_endpoint_tick(s->ep, &s->now);
	if (s->touched)
		fo_endpoint_pump(s->ep, &s->now);
	s->touched = false;
	if (s->broken && s->conn) {
		link_close(w, s, FO_CLOSE_STATE);
		fo_endpoint_link_down(s->ep, &s->now, FO_CLOSE_STATE);
	}
	s->broken = false;
}

static void stop_serving(struct world *w, struct server *s)
{
	TRACE(w, 0, -1, "%c the store fails: silent", "PS"[s->i]);
	s->serving = s->suspect = false;
	s->open.n = s->committing.n = 0;
	outbox_clear(&s->outbox);
	partner_lost(w, s, FO_CLOSE_STATE);
	s->retry_store = s->now.mono.us + RETRY_STORE_US;
	/* numbers of batches go on: what was on its way is lost with all after it */
	s->durable = s->open_no - 1;
}

static void try_store_again(struct world *w, struct server *s)
{
	if (s->now.mono.us < s->retry_store)
		return;
	load(w, s);
	TRACE(w, 0, -1, "%c the store is back, serving %d", "PS"[s->i], s -> serving);
}

static void serve_turn(struct world *w, struct server *s)
{
	pool_offers_expire(s->pool, s->now.mono);
	expire_leases(w, s);
	partner_turn(w, s);
	if (s->suspect) {
		stop_serving(w, s);
		return;
	}
	disk_submit(w, s);
	tell_batch(s);
	flush(w, s);
}

static void durable(struct world *w, struct server *s)
{
	if (!s->written_unheard)
		return;
	s->written_unheard = false;
	if (s->commit_failed) {
		s->commit_failed = false;
		stop_serving(w, s);
		return;
	}
	s->durable = s->writing_no;
	tell_batch(s);
	if (s->ep)
		fo_endpoint_durable(s->ep, s->durable, &s->now);
	flush(w, s);
}

static int64_t next_due(const struct world *w, const struct server *s)
{
	int64_t t = w->us + TICK_MAX_US, k;

	if (!s->serving || !s->ep) /* it looks again, by and by */
		return t;
	t = w->us + 60 * SEC;
	k = fo_endpoint_next(s->ep).us;
	if (k != INT64_MAX && w->us + (k - s->now.mono.us) < t)
		t = w->us + (k - s->now.mono.us);
	if (pool_next_due(s->pool)) {
		k = (int64_t)pool_next_due(s->pool) * SEC - s->wall_minus_boot - s->now.mono.us;
		if (w->us + k < t)
			t = w->us + k;
	}
	return t > w->us + 1000 ? t : w->us + 1000; /* arm_tick's least */
}

void server_wake(struct world *w, struct server *s, int64_t us)
{
	if (us < w->us)
		us = w->us;
	if (s->turn_at >= w->us && s->turn_at <= us)
		return;
	s->turn_at = us;
	at(w, us, EV_TURN, s->i, 0);
}

/* Links come first; clients have the next turn. */
void server_turn(struct world *w, struct server *s)
{
	bool links = s->inbox.first >= 0 || s->written_unheard;

	s->turn_at = -1;
	if (!s->up || s->frozen)
		return;
	turn_begin(w, s);
	durable(w, s);
	link_hear(w, s);
	if (!links && s->up)
		dgram_hear(w, s);
	clock_watch(w, s);
	if (s->serving)
		serve_turn(w, s);
	else
		try_store_again(w, s);
	check_state(w, s);
	cover_pair(w);
	if (s->crash_now) {
		server_kill(w, s, s->crash_power);
		return;
	}
	if (s->inbox.first >= 0 || s->dgrams.first >= 0)
		server_wake(w, s, w->us + 20);
	else
		server_wake(w, s, next_due(w, s));
}

/* --- life and death --------------------------------------------------------------------------- */

void server_boot(struct world *w, struct server *s)
{
	if (s->up)
		return;
	s->up = true;
	s->frozen = false;
	s->frozen_since = 0;
	s->dead_since = 0;
	s->suspect = s->touched = s->broken = false;
	s->open_no = 1;
	s->durable = 0;
	s->n_written = 0;
	memset(s->written, 0, sizeof(s->written));
	s->hash.k[0] = rnd(w);
	s->hash.k[1] = rnd(w);
	s->disk.starts++; /* the daemon's first batch */
	s->clock_confirmed = false;
	clock_start(w, s);
	TRACE(w, 0, -1, "%c boots, start %u", "PS"[s->i], (unsigned)s -> disk.starts);
	load(w, s);
	s->turn_at = -1;
	server_wake(w, s, w->us);
	s->conn = s->inbound = s->connecting = 0;
	if (!s->i) {
		s->connect_at = w->us + 1000;
		at(w, s->connect_at, EV_CONNECT, 0, 0);
	}
}

void server_kill(struct world *w, struct server *s, bool power)
{
	if (!s->up)
		return;
	TRACE(w, 0, -1, "%c %s", "PS"[s->i], power ? "loses power" : "is killed");
	s->up = false;
	s->crash = CRASH_NONE;
	s->crash_now = false;
	s->crash_in = 0;
	s->dead_since = w->us;
	disk_crash(w, s, power);
	outbox_clear(&s->outbox);
	s->ep = NULL;
	s->view = silent();
	s->in_force = false;
	link_gone(w, s, power);
	dgram_forget(w, s);
}

const char *server_operate(struct world *w, struct server *s, enum fo_event ev, uint32_t since)
{
	const char *refused;

	if (!s->up || s->frozen || !s->ep)
		return "nobody is there";
	turn_begin(w, s);
	if (!s->ep)
		return "nobody is there";
	refused = fo_endpoint_operate(s->ep, ev, since, &s->now);
	server_wake(w, s, w->us);
	return refused;
}
