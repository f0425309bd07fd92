/*
 * fo_endpoint beside a partner of another make, played by hand: what an ISC dhcpd must see, and
 * must never see. failover-behaviour §3.7, §5, §6; failover-wire. FO_TRACE=1 prints events.
 */
#include "fo_pair.h"

/* --- a partner of another make, played by hand --------------------------------------------------
 */

static struct world *alone(bool primary)
{
	struct world *w = new_world(1);

	w->by_hand = true;
	w->check_promises = false; /* they look into the partner, who is not there */
	P->conf.dialect = S->conf.dialect = FO_DIALECT_ISC;
	boot(primary ? P : S);
	w->linked = true;
	return w;
}

/* What the node sent last, of one type; NULL when nothing. */
static const struct fo_msg *heard_within(struct node *n, uint8_t type, double sec)
{
	static struct fo_msg m;
	static struct in_air copy;
	bool found = false;

	run(n->w, sec);
	for (struct in_air *a = n->w->n[!n->i].wire; a; a = a->next)
		if (a->msg[2] == type) {
			copy = *a;
			found = true;
		}
	clear_queues(&n->w->n[!n->i]);
	return found && fo_msg_decode(copy.msg, copy.len, &m) == FO_OK ? &m : NULL;
}

static const struct fo_msg *heard(struct node *n, uint8_t type)
{
	return heard_within(n, type, 0.2);
}

static void say(struct node *n, struct fo_writer *wr)
{
	static struct fo_msg m;
	static uint8_t copy[FO_MSG_MAX];
	size_t len = fo_write_end(wr);

	memcpy(copy, wr->buf, len);
	assert_int_equal(fo_msg_decode(copy, len, &m), FO_OK);
	n->in_flight -= m.type == FO_BNDACK && n->in_flight;
	TURN(n, now);
	fo_endpoint_message(n->ep, &m, &now);
	turn_end(n);
}

static struct octets str(const char *s)
{
	return (struct octets){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static struct fo_connect isc_connect(void)
{
	return (struct fo_connect){
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_MAX_UNACKED |
		       1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_MCLT |
		       1u << FO_OPT_HBA,
		.name = str("campus"),
		.vendor = str("isc-4.4.3"),
		.max_unacked = 10,
		.receive_timer = 20,
		.version = 1,
		.mclt = 60,
	};
}

static int64_t partner_ahead; /* seconds, in all that it says */

static void begin(struct node *n, struct fo_writer *wr, uint8_t type, int64_t skew, uint32_t xid)
{
	static uint8_t buf[FO_MSG_MAX];
	wall_t at = { now_of(n).wall.sec + partner_ahead + skew };

	fo_write_begin(wr, buf, sizeof(buf), type, at, xid);
}

static void link_up(struct node *n)
{
	TURN(n, now);
	n->w->linked = true;
	fo_endpoint_link_up(n->ep, &now, false);
	turn_end(n);
}

static void test_connect_refused(void **state)
{
	static const struct {
		const char *ref;
		const char *name;
		uint32_t without;
		int64_t skew;
		uint32_t mclt;
		uint8_t tls, reason;
	} row[] = {
		{ "5.1 good", "campus", 0, 0, 60, 0, 0 },
		{ "5.1 name", "other", 0, 0, 60, 0, FO_REJECT_INVALID_PARTNER },
		{ "5.1 no name", "campus", FO_OPT_RELATIONSHIP_NAME, 0, 60, 0,
		  FO_REJECT_INVALID_PARTNER },
		{ "4.3 clock", "campus", 0, 61, 60, 0, FO_REJECT_TIME_MISMATCH },
		{ "4.3 clock", "campus", 0, -61, 60, 0, FO_REJECT_TIME_MISMATCH },
		{ "4.3 clock", "campus", 0, 59, 60, 0, 0 },
		{ "5.1 name before clock", "other", 0, 61, 60, 0, FO_REJECT_INVALID_PARTNER },
		{ "5.1 no HBA", "campus", FO_OPT_HBA, 0, 60, 0, FO_REJECT_HBA_CONFLICT },
		{ "5.1 no MCLT", "campus", FO_OPT_MCLT, 0, 60, 0, FO_REJECT_INVALID_MCLT },
		{ "design 4: never 0", "campus", 0, 0, 0, 0, FO_REJECT_INVALID_MCLT },
		{ "6 TLS required", "campus", 0, 0, 60, 2, FO_REJECT_TLS_UNCONFIGURED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct world *w = alone(false);
		struct fo_connect c = isc_connect(), ack;
		const struct fo_msg *m;
		struct fo_writer wr;

		link_up(S);
		c.name = str(row[i].name);
		c.mclt = row[i].mclt;
		c.tls = row[i].tls;
		if (row[i].without)
			c.has &= ~(1u << row[i].without);
		begin(S, &wr, FO_CONNECT, row[i].skew, 77);
		fo_write_connect(&wr, &c);
		say(S, &wr);
		m = heard(S, FO_CONNECTACK);
		if (!m)
			fail_msg("row %zu (%s): no answer", i, row[i].ref);
		assert_int_equal(m->xid, 77);
		fo_msg_read_connect(m, &ack);
		if (ack.reject != row[i].reason)
			fail_msg("row %zu (%s): reason %u", i, row[i].ref, ack.reject);
		if (w->linked != !ack.reject)
			fail_msg("row %zu (%s): link %d", i, row[i].ref, w->linked);
		world_done(w);
	}
}

static void test_second_connect(void **state)
{
	struct world *w = alone(false);
	struct fo_connect c = isc_connect(), ack;
	struct fo_writer wr;

	(void)state;
	link_up(S);
	for (unsigned i = 0; i < 2; i++) {
		begin(S, &wr, FO_CONNECT, 0, 5 + i);
		fo_write_connect(&wr, &c);
		say(S, &wr);
	}
	fo_msg_read_connect(heard(S, FO_CONNECTACK), &ack);
	assert_int_equal(ack.reject, FO_REJECT_DUPLICATE_CONNECTION);
	assert_false(w->linked);
	world_done(w);
}

static void test_nothing_before_the_handshake(void **state)
{
	(void)state;
	for (unsigned type = 1; type <= 12; type++)
		for (unsigned primary = 0; primary < 2; primary++) {
			struct world *w = alone(primary);
			struct node *n = primary ? P : S;
			struct fo_writer wr;

			if (type == (primary ? FO_CONNECTACK : FO_CONNECT)) {
				world_done(w);
				continue;
			}
			link_up(n);
			run(w, 0.1);
			begin(n, &wr, (uint8_t)type, 0, 1);
			say(n, &wr);
			run(w, 0.1);
			if (w->linked)
				fail_msg("type %u is heard before the handshake", type);
			assert_int_equal(n->ep->count.links, 0);
			world_done(w);
		}
}

static void isc_link(struct node *n)
{
	struct fo_state_msg s = { FO_RECOVER, true, (uint32_t)BASE };
	struct fo_connect c = isc_connect();
	struct fo_writer wr;

	link_up(n);
	begin(n, &wr, n->i ? FO_CONNECT : FO_CONNECTACK, 0, 1);
	if (n->i)
		fo_write_connect(&wr, &c);
	else
		fo_write_connectack(&wr, &c);
	say(n, &wr);
	assert_true(n->ep->link == LINK_UP);
	assert_null(heard(n, FO_STATE)); /* §3.7, 6: not before its own is known */
	begin(n, &wr, FO_STATE, 0, 2);
	fo_write_state(&wr, &s);
	say(n, &wr);
	assert_non_null(heard(n, FO_STATE));
	s.startup = false; /* repeated, without the flag: no error */
	begin(n, &wr, FO_STATE, 0, 3);
	fo_write_state(&wr, &s);
	say(n, &wr);
	assert_true(n->ep->link == LINK_UP);
}

static void isc_tells(struct node *n, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct fo_binding b = { .addr = FIRST + 10 + i, .status = LEASE_FREE };
		struct fo_writer wr;

		begin(n, &wr, FO_BNDUPD, 0, 500 + i);
		assert_true(fo_write_binding(&wr, &b, false));
		say(n, &wr);
	}
}

static void isc_done(struct node *n, uint32_t xid)
{
	struct fo_writer wr;

	begin(n, &wr, FO_UPDDONE, 0, xid);
	say(n, &wr);
}

/* The answer to UPDREQALL: every address of every pool. */
static void isc_tells_all(struct node *n)
{
	isc_tells(n, 0, 64);
	isc_done(n, n->ep->asked_xid);
	run(n->w, 0.2);
	clear_queues(&n->w->n[!n->i]);
}

static void test_another_make(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = alone(primary);
		struct node *n = primary ? P : S;
		struct fo_state_msg s = { FO_RECOVER_DONE, false, (uint32_t)BASE };
		struct fo_binding b = { .addr = FIRST + 10,
					.status = LEASE_ACTIVE,
					.chaddr = str("\1\2\3\4\5\6\7"),
					.expires = (uint32_t)BASE + 60,
					.pet = (uint32_t)BASE + 600,
					.stos = (uint32_t)BASE };
		const struct fo_msg *m;
		struct fo_writer wr;

		isc_link(n);
		assert_false(n->ep->own_kind);
		isc_tells_all(n);
		assert_int_equal(state_of(n), FO_RECOVER_DONE); /* it shows RECOVER: new pair */
		begin(n, &wr, FO_STATE, 0, 4);
		fo_write_state(&wr, &s);
		say(n, &wr);
		assert_int_equal(state_of(n), FO_NORMAL);
		begin(n, &wr, FO_BNDUPD, 0, 99);
		assert_true(fo_write_binding(&wr, &b, false));
		say(n, &wr);
		m = heard(n, FO_BNDACK);
		assert_non_null(m);
		assert_int_equal(m->xid, 99);
		assert_int_equal(m->len, 20); /* address alone: failover-wire §5.4 */
		assert_int_equal(n->disk.l[10].state, LEASE_ACTIVE);
		assert_int_equal(n->disk.l[10].rcvd_pet, BASE + 600);
		assert_int_equal(n->disk.c[10].chaddr[5], 7);
		b.addr = FIRST + 5; /* in no range */
		begin(n, &wr, FO_BNDUPD, 0, 100);
		assert_true(fo_write_binding(&wr, &b, false));
		say(n, &wr);
		m = heard_within(n, FO_BNDACK, 0.01); /* refusals do not wait for others */
		assert_non_null(m);
		assert_int_equal(fo_msg_opt(m, FO_OPT_REJECT_REASON).p[0],
				 FO_REJECT_ILLEGAL_ADDRESS);
		b.addr = FIRST + 11; /* of the future: after a restart our clock would seem wrong */
		b.stos = b.cltt = (uint32_t)BASE + 3600;
		begin(n, &wr, FO_BNDUPD, 0, 101);
		assert_true(fo_write_binding(&wr, &b, false));
		say(n, &wr);
		m = heard_within(n, FO_BNDACK, 0.01);
		assert_non_null(m);
		assert_int_equal(fo_msg_opt(m, FO_OPT_REJECT_REASON).p[0], FO_REJECT_TIME_MISMATCH);
		assert_int_not_equal(n->disk.l[11].state, LEASE_ACTIVE);
		world_done(w);
	}
}

static void contact(struct node *n)
{
	struct fo_writer wr;

	begin(n, &wr, FO_CONTACT, 0, 1);
	say(n, &wr);
	clear_queues(&n->w->n[!n->i]);
}

static struct world *isc_normal(void)
{
	struct world *w = alone(true);
	struct fo_state_msg s = { FO_RECOVER_DONE, false, (uint32_t)BASE };
	struct fo_writer wr;

	isc_link(P);
	isc_tells_all(P);
	begin(P, &wr, FO_STATE, 0, 4);
	fo_write_state(&wr, &s);
	say(P, &wr);
	return w;
}

/* To another make: one binding per message, never more than its window, a new try of what it
 * refused, and a change in flight is sent anew. */
static void test_window_of_another_make(void **state)
{
	struct world *w = isc_normal();
	const struct fo_msg *m;
	struct fo_binding b;
	struct fo_writer wr;
	unsigned cursor = 0;
	uint64_t sent;

	(void)state;
	m = heard(P, FO_BNDUPD);
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	assert_false(fo_msg_next_binding(m, &cursor, &b));
	assert_int_equal(P->ep->n_flights, 10);
	assert_int_equal(P->ep->count.updates_sent, 10);
	begin(P, &wr, FO_BNDACK, 0, m->xid);
	assert_true(fo_write_ack(&wr, b.addr, FO_REJECT_IN_USE, "no"));
	say(P, &wr);
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 1);
	run(w, 1);
	sent = P->ep->count.updates_sent;
	assert_int_equal(sent, 11);
	begin(P, &wr, FO_BNDACK, 0, 4711); /* no such message */
	assert_true(fo_write_ack(&wr, b.addr, 0, NULL));
	say(P, &wr);
	assert_int_equal(P->ep->n_flights, 10);
	world_done(w);
}

static void test_refused_is_tried_again(void **state) /* §5.5 */
{
	struct world *w = isc_normal();
	const struct fo_msg *m = heard(P, FO_BNDUPD);
	uint64_t sent, from;
	struct fo_binding b;
	struct fo_writer wr;

	(void)state;
	for (unsigned i = 0; i < 32 && m; i++) { /* refuse everything */
		unsigned cursor = 0;

		assert_true(fo_msg_next_binding(m, &cursor, &b));
		for (unsigned k = 0; k < P->ep->max_flights; k++)
			if (P->ep->flights[k].xid) {
				begin(P, &wr, FO_BNDACK, 0, P->ep->flights[k].xid);
				assert_true(fo_write_ack(&wr, P->ep->flights[k].b[0].addr,
							 FO_REJECT_UNKNOWN_REASON, "no"));
				say(P, &wr);
			}
		m = heard(P, FO_BNDUPD);
	}
	sent = P->ep->count.updates_sent;
	from = (uint64_t)w->us;
	assert_int_equal(P->ep->count.updates_rejected_by_partner, sent);
	while ((uint64_t)w->us < from + 50 * SEC) {
		run(w, 2.5);
		contact(P);
	}
	assert_int_equal(P->ep->count.updates_sent, sent);
	while ((uint64_t)w->us < from + 62 * SEC) {
		run(w, 2.5);
		contact(P);
	}
	assert_int_equal(P->ep->count.updates_sent, sent + 10);
	world_done(w);
}

static void test_stuck(void **state) /* A11 */
{
	struct world *w = isc_normal();

	(void)state;
	assert_non_null(heard(P, FO_BNDUPD));
	while (w->us < 290 * SEC) {
		run(w, 2.5);
		contact(P);
	}
	assert_true(w->linked);
	for (unsigned i = 0; i < 6; i++) {
		run(w, 2.5);
		contact(P);
	}
	assert_false(w->linked);
	world_done(w);
}

static void test_last_word_is_right(void **state)
{
	struct world *w = alone(true);
	struct fo_connect c = isc_connect();
	struct fo_state_msg s;
	struct fo_writer wr;

	(void)state;
	link_up(P);
	begin(P, &wr, FO_CONNECTACK, 0, 1);
	fo_write_connectack(&wr, &c);
	say(P, &wr);
	assert_true(fo_msg_read_state(heard_within(P, FO_STATE, 2.2), &s));
	assert_true(s.startup);
	for (unsigned i = 0; i < 2; i++) {
		run(w, 1.3);
		contact(P);
	}
	assert_int_equal(state_of(P), FO_STARTUP);
	run(w, 0.3);
	assert_true(fo_msg_read_state(heard(P, FO_STATE), &s)); /* STARTUP is over */
	assert_false(s.startup);
	world_done(w);
}

static void test_silence(void **state)
{
	struct world *w = alone(true);

	(void)state;
	isc_link(P);
	run(w, 19);
	assert_true(w->linked);
	run(w, 1.1);
	assert_false(w->linked);
	w->by_hand = true;
	link_up(P);
	run(w, 14.9); /* nobody answers CONNECT */
	assert_int_equal(P->ep->link, LINK_HANDSHAKE);
	run(w, 0.3);
	assert_int_equal(P->ep->link, LINK_NONE);
	world_done(w);
}

/* --- what it must not see (§3.7) ----------------------------------------------------------------
 */

static const uint8_t states[] = {
	FO_STARTUP,	  FO_NORMAL,	  FO_COMM_INT, FO_PARTNER_DOWN, FO_POTENTIAL_CONFLICT,
	FO_RECOVER,	  FO_PAUSED,	  FO_SHUTDOWN, FO_RECOVER_DONE, FO_RESOLUTION_INT,
	FO_CONFLICT_DONE, FO_RECOVER_WAIT
};

static unsigned shown(const struct fo_end *e)
{
	return e->state == FO_STARTUP ? e->saved : e->state;
}

/* Every state of ours, met by an ISC in NORMAL or CONFLICT-DONE: what it cannot stand is not shown,
 * the link is closed instead. */
static void test_never_shown(void **state)
{
	(void)state;
	for (unsigned k = 0; k < sizeof(states) * sizeof(states) * 16; k++) {
		uint8_t own = states[k % sizeof(states)];
		uint8_t saved = states[k / sizeof(states) % sizeof(states)];
		unsigned bits = k / (unsigned)(sizeof(states) * sizeof(states));
		struct fo_end end = { .state = own,
				      .saved = saved,
				      .primary = bits & 1,
				      .ever_normal = true,
				      .stos = 100,
				      .last_operational = 200 };
		struct fo_in in = { .ev = FO_EV_PEER_STATE,
				    .isc = true,
				    .first = bits & 2,
				    .peer_startup = bits & 4,
				    .peer_state = bits & 8 ? FO_CONFLICT_DONE : FO_NORMAL,
				    .mclt = 30,
				    .now.sec = 1000 };
		struct fo_step s = fo_fsm_step(&end, &in);
		unsigned is = shown(&s.next);
		bool bad;

		if (s.todo & FO_DO_CLOSE)
			continue;
		if (bits & 8)
			bad = is != FO_NORMAL && is != FO_POTENTIAL_CONFLICT &&
			      is != FO_RESOLUTION_INT;
		else
			bad = is == FO_POTENTIAL_CONFLICT || is == FO_RESOLUTION_INT ||
			      is == FO_CONFLICT_DONE || (is == FO_PARTNER_DOWN && !(bits & 4));
		if (bad)
			fail_msg("%s (saved %s) shows %s to %s, bits %x", fo_state_name(own),
				 fo_state_name(saved), fo_state_name(is),
				 fo_state_name(in.peer_state), bits);
	}
}

static void test_conflict_done_begins_anew(void **state) /* §3.7, 5 */
{
	struct fo_end end = { .state = FO_CONFLICT_DONE, .primary = true, .ever_normal = true };
	struct fo_in in = { .ev = FO_EV_PEER_STATE, .isc = true, .first = true, .linked = true };

	(void)state;
	in.peer_state = FO_RESOLUTION_INT;
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_POTENTIAL_CONFLICT);
	in.peer_state = FO_NORMAL; /* it has finished */
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_NORMAL);
	in.peer_state = FO_POTENTIAL_CONFLICT;
	in.first = false;
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_CONFLICT_DONE);
	end.primary = false; /* roles were exchanged: never shown by a secondary */
	in.ev = FO_EV_START;
	assert_int_equal(fo_fsm_step(&end, &in).next.saved, FO_RESOLUTION_INT);
}

static void test_no_pause_in_conflict_done(void **state)
{
	struct fo_end end = { .state = FO_POTENTIAL_CONFLICT, .peer = FO_CONFLICT_DONE };
	struct fo_in in = { .ev = FO_EV_OP_PAUSE, .isc = true, .linked = true };

	(void)state;
	assert_true(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
	in.ev = FO_EV_OP_SHUTDOWN;
	assert_true(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
	in.ev = FO_EV_OP_PAUSE;
	in.linked = false;
	assert_false(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
}

/* A server whose record says it was in @own; the ISC shows @theirs. */
static struct world *meets(bool primary, uint8_t own, uint8_t theirs, bool startup)
{
	struct world *w = alone(primary);
	struct node *n = primary ? P : S;
	struct fo_state_msg s = { theirs, startup, (uint32_t)BASE - 100 };
	struct fo_connect c = isc_connect();
	struct fo_writer wr;

	n->up = false;
	n->disk.has_rec = true;
	n->disk.rec.end = (struct fo_end){ .state = own,
					   .saved = own,
					   .primary = primary,
					   .ever_normal = true,
					   .stos = (uint32_t)BASE - 50,
					   .last_operational = (uint32_t)BASE - 1 };
	n->disk.rec.mclt = 60;
	n->disk.rec.incarnation[0] = 1;
	boot(n);
	link_up(n);
	begin(n, &wr, primary ? FO_CONNECTACK : FO_CONNECT, 0, 1);
	if (primary)
		fo_write_connectack(&wr, &c);
	else
		fo_write_connect(&wr, &c);
	say(n, &wr);
	run(w, 0.1);
	clear_queues(&w->n[primary]);
	begin(n, &wr, FO_STATE, 0, 2);
	fo_write_state(&wr, &s);
	say(n, &wr);
	return w;
}

/* The states that the node shows, in order; 0 ends. */
static void shows(struct node *n, uint8_t ret[8])
{
	static struct fo_msg m;
	struct fo_state_msg s;
	unsigned k = 0;

	memset(ret, 0, 8);
	run(n->w, 0.1);
	for (struct in_air *a = n->w->n[!n->i].wire; a && k < 7; a = a->next) {
		assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
		if (m.type == FO_STATE && fo_msg_read_state(&m, &s))
			ret[k++] = s.state;
	}
}

static void test_first_words(void **state)
{
	static const struct {
		const char *ref;
		uint8_t own, theirs;
		bool startup;
		uint8_t shown[8];
	} row[] = {
		{ "3.7.1 both back", FO_NORMAL, FO_COMM_INT, false, { FO_COMM_INT, FO_NORMAL } },
		{ "3.7.1 it restarts", FO_NORMAL, FO_NORMAL, true, { FO_COMM_INT, FO_NORMAL } },
		{ "3.7.1 it recovers", FO_NORMAL, FO_RECOVER, true, { FO_COMM_INT } },
		{ "3.7.2 we were down", FO_PARTNER_DOWN, FO_NORMAL, true, { FO_PARTNER_DOWN } },
		{ "3.5 both served alone",
		  FO_PARTNER_DOWN,
		  FO_PARTNER_DOWN,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.12 while we wait", FO_RECOVER_WAIT, FO_NORMAL, false, { FO_RECOVER_WAIT } },
		{ "3.7.6 it resolves",
		  FO_NORMAL,
		  FO_POTENTIAL_CONFLICT,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_NORMAL, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_PARTNER_DOWN, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_RECOVER, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_RECOVER_DONE, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD",
		  FO_POTENTIAL_CONFLICT,
		  FO_CONFLICT_DONE,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.3 PC meets N", FO_POTENTIAL_CONFLICT, FO_NORMAL, false, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		for (unsigned primary = 0; primary < 2; primary++) {
			struct world *w;
			uint8_t got[8];

			if (primary && row[i].theirs == FO_CONFLICT_DONE)
				continue;
			w = meets(primary, row[i].own, row[i].theirs, row[i].startup);
			shows(primary ? P : S, got);
			if (memcmp(got, row[i].shown, 8))
				fail_msg("row %zu (%s), primary %u: shows %s, %s", i, row[i].ref,
					 primary, fo_state_name(got[0]), fo_state_name(got[1]));
			world_done(w);
		}
}

/* It says nothing: after two seconds we do. */
static void test_speaks_after_all(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = alone(primary);
		struct node *n = primary ? P : S;
		struct fo_connect c = isc_connect();
		struct fo_writer wr;

		link_up(n);
		begin(n, &wr, primary ? FO_CONNECTACK : FO_CONNECT, 0, 1);
		if (primary)
			fo_write_connectack(&wr, &c);
		else
			fo_write_connect(&wr, &c);
		say(n, &wr);
		assert_null(heard_within(n, FO_STATE, 1.9));
		assert_non_null(heard_within(n, FO_STATE, 0.2));
		world_done(w);
	}
}

/* In RECOVER an ISC is asked for everything, and every request of its own is answered once, with
 * the latest number. */
static void test_asks_for_all(void **state)
{
	struct world *w = meets(false, FO_RECOVER, FO_PARTNER_DOWN, false);
	const struct fo_msg *m;
	struct fo_writer wr;

	(void)state;
	assert_non_null(heard(S, FO_UPDREQALL));
	begin(S, &wr, FO_UPDREQALL, 0, 70);
	say(S, &wr);
	begin(S, &wr, FO_UPDREQALL, 0, 71);
	say(S, &wr);
	m = heard_within(S, FO_UPDDONE, 1.2); /* a second walk begins a second later */
	assert_non_null(m);
	assert_int_equal(m->xid, 71);
	world_done(w);
}

/* Refusals sent within @sec: each address, from FIRST + 10 on, at most once. Return: which. */
static uint64_t refused_within(struct node *n, double sec)
{
	static struct fo_msg m;
	struct fo_binding b;
	uint64_t which = 0;

	run(n->w, sec);
	for (struct in_air *a = n->w->n[!n->i].wire; a; a = a->next) {
		unsigned cursor = 0;

		assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
		if (m.type != FO_BNDACK)
			continue;
		assert_true(fo_msg_next_binding(&m, &cursor, &b));
		if (!b.reject)
			continue;
		assert_int_not_equal(m.xid, 0); /* an ISC takes that for none */
		assert_in_range(b.addr, FIRST + 10, FIRST + 73);
		assert_false(which >> (b.addr - FIRST - 10) & 1);
		which |= 1ULL << (b.addr - FIRST - 10);
	}
	clear_queues(&n->w->n[!n->i]);
	return which;
}

/* What waits for its acknowledgement is left out of the answer. Return: xid of UPDREQALL. */
static uint32_t asked_behind_acks(struct node *n)
{
	static struct fo_msg m;
	struct in_air *a;
	uint8_t before = 0;

	assert_null(n->w->n[!n->i].wire);
	run(n->w, 0.08);
	for (a = n->w->n[!n->i].wire; a && a->msg[2] != FO_UPDREQALL; a = a->next)
		before = a->msg[2];
	assert_non_null(a);
	assert_int_equal(before, FO_BNDACK);
	assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
	clear_queues(&n->w->n[!n->i]);
	return m.xid;
}

#define LAST_TEN 0xffc0000000000000ULL

/* UPDDONE before all is told: what an ISC kept to itself is refused, all is asked for again, and
 * only then relied on. What was on its way behind UPDDONE is waited for. */
static void test_left_out_is_refused(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = meets(primary, FO_RECOVER, FO_PARTNER_DOWN, false);
		struct node *n = primary ? P : S;
		uint32_t first, second;

		first = heard(n, FO_UPDREQALL)->xid;
		isc_tells(n, 0, 54);
		isc_done(n, first);
		assert_int_equal(state_of(n), FO_RECOVER);
		assert_int_equal(refused_within(n, 0.9), 0);
		assert_int_equal(refused_within(n, 0.2), LAST_TEN);
		run(w, 0.86);
		isc_tells(n, 3, 4);
		second = asked_behind_acks(n);
		assert_int_not_equal(second, first);
		isc_tells(n, 54, 64); /* told now, but of the others it may have news */
		isc_done(n, first);
		assert_int_equal(refused_within(n, 1.5), 0); /* that was said of the first time */
		assert_int_equal(state_of(n), FO_RECOVER);
		isc_tells(n, 0, 53);
		isc_done(n, second);
		assert_int_equal(state_of(n), FO_RECOVER);
		run(w, 0.5);
		isc_tells(n, 53, 54);
		assert_int_equal(state_of(n), FO_RECOVER_WAIT);
		clear_queues(&w->n[!n->i]);
		assert_int_equal(refused_within(n, 8), 0);
		world_done(w);
	}
}

/* Its window is full of what it will never hear of again: it says nothing at all. */
static void test_silent_is_unstuck(void **state)
{
	static const uint8_t in[] = { FO_RECOVER, FO_POTENTIAL_CONFLICT };

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++) { /* UPDREQALL, UPDREQ */
		struct world *w =
			meets(true, in[i], i ? FO_POTENTIAL_CONFLICT : FO_PARTNER_DOWN, false);

		run(w, 0.1);
		isc_tells(P, 0, 10);
		assert_int_equal(refused_within(P, 4.5), 0);
		isc_tells(P, 0, 10); /* once more the same is no progress */
		assert_int_equal(refused_within(P, 0.6), ~0x3ffULL);
		isc_tells(P, 10, 54); /* that helped */
		assert_int_equal(refused_within(P, 4.5), 0);
		assert_null(heard(P, FO_UPDREQALL));
		isc_done(P, P->ep->asked_xid);
		if (i) { /* of UPDREQ nobody knows what belongs to it */
			assert_int_equal(state_of(P), FO_CONFLICT_DONE);
			world_done(w);
			continue;
		}
		assert_non_null(heard_within(P, FO_UPDREQALL, 1.1));
		isc_tells(P, 0, 64);
		isc_done(P, P->ep->asked_xid);
		assert_int_equal(state_of(P), FO_RECOVER_WAIT);
		world_done(w);
	}
}

/* Addresses that the ISC does not have: asked three times, told to the operator, and done. */
static void test_left_out_for_good(void **state)
{
	struct world *w = meets(false, FO_RECOVER, FO_PARTNER_DOWN, false);
	unsigned asked = 0;

	(void)state;
	for (double t = 0; t < 12 && state_of(S) == FO_RECOVER; t += 0.5) {
		if (heard_within(S, FO_UPDREQALL, 0.5)) {
			asked++;
			isc_tells(S, 0, 60);
			isc_done(S, S->ep->asked_xid);
		}
	}
	assert_int_equal(asked, 3);
	assert_int_equal(state_of(S), FO_RECOVER_WAIT);
	world_done(w);
}

/* Reserved addresses are not awaited (decision A22). */
static void test_reserved_is_not_awaited(void **state)
{
	struct world *w = meets(true, FO_RECOVER, FO_PARTNER_DOWN, false);
	struct lease l = *pool_get(P->pool, FIRST + 10 + 20);

	(void)state;
	l.flags |= LEASE_RESERVED;
	(void)pool_apply(P->pool, &l, P->open);
	isc_tells(P, 0, 20);
	isc_tells(P, 21, 64);
	isc_done(P, P->ep->asked_xid);
	assert_int_equal(state_of(P), FO_RECOVER_WAIT);
	world_done(w);
}

/* The receive timer that is announced: 20 s, and a primary that was mistaken connects once more. */
static void test_receive_timer(void **state)
{
	struct world *w = new_world(1);
	struct fo_connect c = isc_connect(), sent;
	struct fo_writer wr;

	(void)state;
	w->by_hand = true;
	boot(P);
	link_up(P);
	fo_msg_read_connect(heard(P, FO_CONNECT), &sent);
	assert_int_equal(sent.receive_timer, 3); /* as to our own kind */
	begin(P, &wr, FO_CONNECTACK, 0, 1);
	fo_write_connectack(&wr, &c);
	say(P, &wr);
	run(w, 0.1);
	assert_false(w->linked);
	link_up(P);
	fo_msg_read_connect(heard(P, FO_CONNECT), &sent);
	assert_int_equal(sent.receive_timer, 20);
	assert_false(sent.has & 1u << FO_OPT_VENDOR_SPECIFIC);
	begin(P, &wr, FO_CONNECTACK, 0, 1);
	fo_write_connectack(&wr, &c);
	say(P, &wr);
	assert_int_equal(P->ep->link, LINK_UP);
	world_done(w);
}

static void test_dialect_refused(void **state)
{
	(void)state;
	for (unsigned own = 0; own < 2; own++) {
		struct world *w = new_world(1);
		struct fo_connect c = isc_connect(), ack;
		struct fo_writer wr;

		w->by_hand = true;
		S->conf.dialect = own ? FO_DIALECT_ISC : FO_DIALECT_TWINLEASE;
		boot(S);
		link_up(S);
		if (own)
			c.vendor = str(FO_VENDOR_CLASS);
		begin(S, &wr, FO_CONNECT, 0, 1);
		fo_write_connect(&wr, &c);
		say(S, &wr);
		fo_msg_read_connect(heard(S, FO_CONNECTACK), &ack);
		assert_int_equal(ack.reject, FO_REJECT_INVALID_PARTNER);
		world_done(w);
	}
}

/* --- updates to it ------------------------------------------------------------------------------
 */

static void state_from(struct node *n, uint8_t st)
{
	struct fo_state_msg s = { st, false, (uint32_t)BASE };
	struct fo_writer wr;

	begin(n, &wr, FO_STATE, 0, 4);
	fo_write_state(&wr, &s);
	say(n, &wr);
}

static void ack(struct node *n, uint32_t xid, uint32_t addr, enum fo_reject reject)
{
	struct fo_writer wr;

	begin(n, &wr, FO_BNDACK, 0, xid);
	assert_true(fo_write_ack(&wr, addr, reject, reject ? "no" : NULL));
	say(n, &wr);
}

/* All that was sent within @sec is acknowledged. Return: the last binding about @addr; status 0:
 * none. */
static struct fo_binding take(struct node *n, uint32_t addr, double sec, unsigned *ret_n)
{
	struct fo_binding b, found = { 0 };
	unsigned total = 0;

	for (double t = 0; t < sec; t += 0.05) {
		static struct in_air copy[64];
		static struct fo_msg m;
		unsigned k = 0;

		run(n->w, 0.05);
		for (struct in_air *a = n->w->n[!n->i].wire; a && k < 64; a = a->next)
			if (a->msg[2] == FO_BNDUPD)
				copy[k++] = *a;
		clear_queues(&n->w->n[!n->i]);
		for (unsigned i = 0; i < k; i++) {
			unsigned cursor = 0;

			assert_int_equal(fo_msg_decode(copy[i].msg, copy[i].len, &m), FO_OK);
			assert_true(fo_msg_next_binding(&m, &cursor, &b));
			total += b.addr == addr;
			if (b.addr == addr)
				found = b;
			ack(n, m.xid, b.addr, FO_REJECT_NONE);
		}
	}
	if (ret_n)
		*ret_n = total;
	return found;
}

static struct fo_binding told(uint32_t addr, uint8_t status, unsigned client)
{
	static uint8_t hw[7] = { 1, 2 };

	hw[6] = (uint8_t)client;
	return (struct fo_binding){ .addr = addr,
				    .status = status,
				    .chaddr = { client ? hw : NULL, client ? 7 : 0 } };
}

/* Return: the reason of its refusal, 0 when accepted. */
static enum fo_reject update(struct node *n, const struct fo_binding *b)
{
	const struct fo_msg *m;
	struct fo_binding got;
	struct fo_writer wr;
	unsigned cursor = 0;

	begin(n, &wr, FO_BNDUPD, 0, 900);
	assert_true(fo_write_binding(&wr, b, false));
	say(n, &wr);
	m = heard(n, FO_BNDACK);
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &got));
	return got.reject;
}

/* Both in NORMAL, all that was to be told is. As secondary the ISC has given us half. */
static struct world *beside_isc(bool primary)
{
	struct world *w = alone(primary);
	struct node *n = primary ? P : S;

	isc_link(n);
	isc_tells_all(n);
	state_from(n, FO_RECOVER_DONE);
	state_from(n, FO_NORMAL);
	assert_int_equal(state_of(n), FO_NORMAL);
	for (unsigned i = 0; !primary && i < 32; i++) {
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(n, &b), 0);
	}
	(void)take(n, 0, 1, NULL);
	assert_int_equal(dirty(n), 0);
	return w;
}

static uint32_t now_sec(const struct world *w)
{
	return (uint32_t)(BASE + w->us / SEC);
}

static void wait_a(struct world *w, struct node *n, double sec)
{
	for (double t = 0; t < sec; t += 2) {
		run(w, 2);
		contact(n);
	}
}

/* §4.2: the secondary leaves the end of a lease to an ISC primary, the primary tells it. */
static void test_who_expires(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = beside_isc(primary);
		struct node *n = primary ? P : S;
		struct fo_binding b;
		uint32_t addr;

		assert_true(request(n, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		b = take(n, addr, 2, NULL);
		assert_int_equal(b.status, LEASE_ACTIVE);
		for (unsigned i = 0; i < 5; i++) { /* the lead time is over */
			(void)take(n, addr, 15, NULL);
			contact(n);
		}
		if (primary) {
			assert_true(n->disk.l[addr - FIRST].state == LEASE_FREE ||
				    n->disk.l[addr - FIRST].state == LEASE_BACKUP);
			world_done(w);
			continue;
		}
		for (unsigned i = 0; i < 2; i++) { /* less than an ISC may lag */
			contact(n);
			assert_int_equal(take(n, addr, 15, NULL).status, 0);
		}
		assert_int_equal(n->disk.l[addr - FIRST].state, LEASE_ACTIVE);
		b = told(addr, LEASE_EXPIRED, 3);
		b.expires = n->disk.l[addr - FIRST].expires;
		assert_int_equal(update(n, &b), 0);
		assert_int_equal(n->disk.l[addr - FIRST].state, LEASE_FREE);
		world_done(w);
	}
}

/* §7: an ISC corrects nothing. One whose clock is ahead is told by its own clock when a lease ends,
 * else it would take one for over that still runs, and we refuse its word for that. One that looks
 * behind may only have been late: no end is told earlier than it was promised. */
static void test_ends_by_its_clock(void **state)
{
	static const int ahead[] = { 59, 1, 0, -1, -59 };

	(void)state;
	for (unsigned i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		uint32_t shift = ahead[i] > 1 ? (uint32_t)ahead[i] : 0, addr;
		struct fo_binding b, over, again;
		struct world *w;
		struct lease l;

		partner_ahead = ahead[i];
		w = beside_isc(false);
		assert_true(request(S, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		b = take(S, addr, 2, NULL);
		l = S->disk.l[addr - FIRST];
		assert_int_equal(b.status, LEASE_ACTIVE);
		assert_int_equal(b.expires, l.expires + shift);
		assert_int_equal(b.pet, l.sent_pet + shift);
		assert_int_equal(b.cltt, l.cltt + shift);
		assert_int_equal(b.stos, l.starts + shift);
		(void)take(S, addr, 3, NULL); /* acknowledgements are written late */
		assert_int_equal(S->disk.l[addr - FIRST].acked_pet, l.sent_pet);

		partner_ahead += shift ? 1 : 0; /* as whole seconds are compared */
		contact(S);
		again = told(addr, LEASE_ACTIVE, 3); /* what it was told, told again */
		again.expires = b.expires;
		again.pet = b.pet;
		assert_int_equal(update(S, &again), 0);
		assert_int_equal(S->disk.l[addr - FIRST].expires, l.expires);

		over = told(addr, LEASE_EXPIRED, 3);
		over.expires = b.expires;
		assert_int_equal(update(S, &over), FO_REJECT_OUTDATED);
		(void)take(S, addr, 10, NULL);
		while (now_sec(w) < l.expires) {
			contact(S);
			(void)take(S, addr, 1, NULL);
		}
		assert_int_equal(update(S, &over), 0);
		assert_int_equal(S->disk.l[addr - FIRST].state, LEASE_FREE);
		world_done(w);
	}
	partner_ahead = 0;
}

/* What a secondary found expired while it was alone is the primary's to tell as well; it is told
 * all the same when nothing comes for longer than an ISC may lag. */
static void test_expired_alone(void **state)
{
	struct world *w = beside_isc(false);
	struct lease l = *pool_get(S->pool, FIRST + 10);
	struct lease_client c = client_of(5);

	(void)state;
	l.state = LEASE_EXPIRED;
	l.acked_state = LEASE_ACTIVE;
	l.flags = LEASE_DIRTY;
	l.serial++;
	l.stos = now_sec(w);
	l.key = lease_client_key(&secret, &c);
	(void)pool_apply(S->pool, &l, S->open);
	put(S, &l, &c);
	turn_end(S);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(take(S, l.addr, 15, NULL).status, 0);
		contact(S);
	}
	wait_a(w, S, 2);
	for (unsigned i = 0; i < 10 && S->disk.l[10].state != LEASE_FREE; i++) {
		(void)take(S, l.addr, 15, NULL);
		contact(S);
	}
	assert_int_equal(S->disk.l[10].state, LEASE_FREE);
	world_done(w);
}

/* T000-3: who compares seconds is told what became of one, once, and of later ones later. */
static void test_one_second_one_word(void **state)
{
	struct world *w = beside_isc(true);
	struct fo_binding b;
	uint32_t addr;
	unsigned n;

	(void)state;
	run_until(w, (w->us / SEC + 1) * SEC + 1000);
	assert_true(request(P, 2, true));
	run(w, 0.1);
	addr = w->client_addr[2];
	release(P, 2); /* a client of the primary's bucket: it stays FREE */
	b = take(P, addr, 0.7, &n);
	assert_int_equal(n, 0);
	b = take(P, addr, 1, &n);
	assert_int_equal(n, 1); /* the lease itself was never told */
	assert_int_equal(b.status, LEASE_RELEASED);
	world_done(w);
}

/* An address that it is given: its potential expiry lies ahead, so that an ISC which has leased it
 * by now refuses; the second try is without. */
static void test_share_is_refusable(void **state)
{
	struct world *w = isc_normal();
	const struct fo_msg *m = heard(P, FO_BNDUPD);
	unsigned cursor = 0;
	struct fo_binding b;

	(void)state;
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	assert_int_equal(b.status, LEASE_BACKUP);
	assert_in_range(b.pet, m->time + 1, m->time + FO_SHARE_PET_SEC);
	world_done(w);
}

static void test_reservations_stay_here(void **state) /* decision A22 */
{
	struct world *w = beside_isc(true);
	struct lease l = *pool_get(P->pool, FIRST + 60);
	struct lease_client c = client_of(6);
	unsigned n;

	(void)state;
	l.state = LEASE_ACTIVE;
	l.flags = LEASE_DIRTY | LEASE_RESERVED;
	l.expires = now_sec(w) + 30;
	l.sent_pet = now_sec(w) + 600;
	l.serial++;
	l.key = lease_client_key(&secret, &c);
	(void)pool_apply(P->pool, &l, P->open);
	put(P, &l, &c);
	turn_end(P);
	(void)take(P, l.addr, 2, &n);
	assert_int_equal(n, 0);
	assert_int_equal(dirty(P), 0);
	assert_int_equal(P->disk.l[60].acked_pet, l.sent_pet); /* full leases all the same */
	world_done(w);
}

/* --- shares (§6.3) ------------------------------------------------------------------------------
 */

static void test_asks_an_isc_primary(void **state)
{
	struct world *w = alone(false);

	(void)state;
	isc_link(S);
	isc_tells_all(S);
	state_from(S, FO_RECOVER_DONE);
	assert_non_null(heard_within(S, FO_POOLREQ, 1)); /* on entry to NORMAL */
	for (unsigned i = 0; i < 5; i++) {
		assert_null(heard_within(S, FO_POOLREQ, 11));
		contact(S);
	}
	assert_non_null(heard_within(S, FO_POOLREQ, 10)); /* once a minute */
	world_done(w);
}

/* An ISC knows halves only, in hot standby as well. */
static void test_halves_in_hot_standby(void **state)
{
	struct world *w = alone(true);

	(void)state;
	P->conf.policy.hot_standby = P->conf.policy.active_is_primary = true;
	P->conf.standby_reserve = 5;
	isc_link(P);
	isc_tells_all(P);
	state_from(P, FO_RECOVER_DONE);
	state_from(P, FO_NORMAL);
	(void)take(P, 0, 1, NULL);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 32);
	world_done(w);
}

static void test_gives_back_when_asked(void **state)
{
	struct world *w = beside_isc(false);
	const struct fo_msg *m;
	struct fo_writer wr;
	uint32_t n = 0;

	(void)state;
	for (unsigned i = 32; i < 52; i++) {
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(S, &b), 0);
	}
	begin(S, &wr, FO_POOLREQ, 0, 40);
	say(S, &wr);
	m = heard_within(S, FO_POOLRESP, 0.01);
	assert_non_null(m);
	assert_int_equal(m->xid, 40);
	assert_true(fo_msg_u32(m, FO_OPT_ADDRESSES_TRANSFERRED, &n));
	assert_int_equal(n, 20);
	(void)take(S, 0, 1, NULL);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 32);
	world_done(w);
}

/* An ISC secondary may have leased any address that is its own: it is not taken back, but asked. */
static void test_never_takes_from_an_isc(void **state)
{
	struct world *w = beside_isc(true);
	unsigned polled = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) { /* it says that all is its own */
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(P, &b), 0);
	}
	for (unsigned i = 0; i < 14; i++) {
		static struct fo_msg m;

		run(w, 10);
		for (struct in_air *a = S->wire; a; a = a->next) {
			assert_int_not_equal(a->msg[2], FO_BNDUPD);
			polled += a->msg[2] == FO_POOLREQ;
		}
		(void)m;
		contact(P);
	}
	assert_in_range(polled, 2, 3);
	world_done(w);
}

/* --- updates of its own -------------------------------------------------------------------------
 */

/* What it has refused is out of flight: its own word is no duel then (§5.5). */
static void test_refused_is_no_duel(void **state)
{
	struct world *w = beside_isc(true);
	const struct fo_msg *m;
	struct fo_binding b;
	unsigned cursor = 0;

	(void)state;
	assert_true(request(P, 2, true));
	m = heard_within(P, FO_BNDUPD, 1.5);
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	ack(P, m->xid, b.addr, FO_REJECT_UNKNOWN_REASON);
	b = told(w->client_addr[2], LEASE_ACTIVE, 2); /* no CLTT: a duel would be ours */
	b.expires = now_sec(w) + 100;
	b.pet = now_sec(w) + 700;
	b.chaddr.p = (const uint8_t *)"\1\2\0\0\0\0\2";
	assert_int_equal(update(P, &b), 0);
	world_done(w);
}

/* Ours stands: it is told so, since an ISC does not ask. */
static void test_refused_is_answered(void **state)
{
	struct world *w = beside_isc(true);
	struct fo_binding b;
	uint32_t addr;
	uint64_t sent;

	(void)state;
	assert_true(request(P, 2, true));
	run(w, 0.1);
	addr = w->client_addr[2];
	assert_int_equal(take(P, addr, 2, NULL).status, LEASE_ACTIVE);
	sent = P->ep->count.updates_sent;
	b = told(addr, LEASE_ACTIVE, 9); /* another client (§5.4) */
	b.expires = now_sec(w) + 100;
	assert_int_equal(update(P, &b), FO_REJECT_IN_USE);
	run(w, 0.1);
	assert_int_equal(P->ep->count.updates_sent, sent + 1);
	assert_true(fo_is_flying(P->ep, addr, false));
	world_done(w);
}

/* Asked for all by one that takes one message at a time: each address once, and then it is done. */
static void test_all_one_by_one(void **state)
{
	struct world *w = beside_isc(true);
	struct fo_writer wr;
	uint64_t sent;

	(void)state;
	P->ep->peer_window = 1;
	sent = P->ep->count.updates_sent;
	begin(P, &wr, FO_UPDREQALL, 0, 77);
	say(P, &wr);
	(void)take(P, 0, 6, NULL);
	assert_int_equal(P->ep->count.updates_sent, sent + 64);
	assert_int_equal(P->ep->count.sent[FO_UPDDONE], 1);
	world_done(w);
}

/* An ISC reads the times that it is told by its own clock, however far behind that is: what it may
 * promise lasts so much longer by ours. After a restart, too, when it is not there to be known. */
static void test_waits_for_a_slow_clock(void **state)
{
	(void)state;
	for (unsigned again = 0; again < 2; again++) {
		struct world *w = beside_isc(true);
		uint32_t stos, addr, at;
		const struct lease *l;

		if (again)
			P->conf.dialect = FO_DIALECT_AUTO;
		assert_true(request(P, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		(void)take(P, addr, 4, NULL);
		drop_link(w, NULL, FO_CLOSE_PEER);
		assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
		run(w, 1);
		if (again) {
			crash(P, true);
			boot(P);
			run(w, P->conf.startup_sec + 1);
		}
		assert_int_equal(state_of(P), FO_PARTNER_DOWN);
		stos = P->disk.rec.end.stos;
		l = pool_get(P->pool, addr);
		at = (l->acked_pet > l->sent_pet ? l->acked_pet : l->sent_pet) + 30 + 60;
		assert_true(l->acked_pet > stos);
		assert_int_equal(P->view.partner_pool_from, stos + 30 + 5 + 60);
		assert_int_equal(binding_reclaim_at(&P->view, l, stos), at);
		world_done(w);
	}
}

/* The link is lost and comes again; both were in NORMAL. */
static void link_again(struct node *n)
{
	struct fo_connect c = isc_connect();
	struct fo_writer wr;
	TURN(n, now);

	fo_endpoint_link_down(n->ep, &now, FO_CLOSE_PEER);
	turn_end(n);
	run(n->w, 1);
	clear_queues(&n->w->n[!n->i]);
	link_up(n);
	begin(n, &wr, n->i ? FO_CONNECT : FO_CONNECTACK, 0, 1);
	if (n->i)
		fo_write_connect(&wr, &c);
	else
		fo_write_connectack(&wr, &c);
	say(n, &wr);
	state_from(n, FO_COMM_INT);
	state_from(n, FO_NORMAL);
	assert_int_equal(state_of(n), FO_NORMAL);
}

/* An ISC would forget a renewal of its own that it has not sent yet, if it heard first of the lease
 * as it was before: so it is asked for its news, and hears ours after them. */
static void test_its_news_come_first(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct world *w = beside_isc(k & 1);
		struct node *n = k & 1 ? P : S;
		struct fo_binding b, sent;
		const struct fo_msg *m;
		uint32_t addr, xid;

		assert_true(request(n, 2, true));
		run(w, 0.1);
		addr = w->client_addr[2];
		link_again(n);
		m = heard_within(n, FO_UPDREQ, 0.01);
		assert_non_null(m);
		xid = m->xid; /* it is overwritten */
		assert_null(heard_within(n, FO_BNDUPD, 4));
		if (k & 2) { /* no answer: it is not waited for any longer */
			assert_int_equal(take(n, addr, 2, NULL).status, LEASE_ACTIVE);
			world_done(w);
			continue;
		}
		b = told(addr, LEASE_ACTIVE, 0);
		b.chaddr = (struct octets){ (const uint8_t *)"\1\2\0\0\0\0\2", 7 };
		b.expires = b.pet = now_sec(w) + 600;
		assert_int_equal(update(n, &b), 0);
		isc_done(n, xid);
		sent = take(n, addr, 2, NULL);
		assert_true(sent.status == 0 || sent.expires >= b.expires);
		assert_true(n->disk.l[addr - FIRST].expires >= b.expires);
		assert_true(request(n, 3, true)); /* the waiting is over */
		run(w, 0.1);
		assert_int_equal(take(n, w->client_addr[3], 2, NULL).status, LEASE_ACTIVE);
		world_done(w);
	}
}

/* --- disputed (§5.5) ----------------------------------------------------------------------------
 */

/* What a client hears that renews @addr at this server. Return: message type, 0 nothing. */
static unsigned renews(struct node *n, unsigned client, uint32_t addr)
{
	static struct dhcp_msg m;
	struct lease_client lc = client_of(client);
	struct server_decision d;
	struct server_ctx ctx = { .scopes = &n->w->table,
				  .pool = n->pool,
				  .views = &n->view,
				  .server_identifier = 1,
				  .authoritative = true };
	struct server_request req = { .msg = &m, .key = lease_client_key(&secret, &lc) };
	struct now now = now_of(n);

	memset(&m, 0, sizeof(m));
	m.op = 1;
	m.type = DHCPREQUEST;
	m.htype = lc.htype;
	m.hlen = lc.hlen;
	m.ciaddr = m.giaddr = addr;
	memcpy(m.chaddr, lc.chaddr, lc.hlen);
	server_decide(&ctx, &req, &now, &d);
	return d.answer ? d.reply.type : 0;
}

/* The primary refuses our client's lease, since it has given the address to another: ours is
 * renewed until the primary says whose it is, and told no after that. */
static void test_disputed(void **state)
{
	struct world *w = beside_isc(false);
	const struct fo_msg *m;
	struct fo_binding b;
	unsigned cursor = 0;
	uint32_t addr;

	(void)state;
	assert_true(request(S, 3, true));
	m = heard_within(S, FO_BNDUPD, 1.5);
	addr = w->client_addr[3];
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	ack(S, m->xid, addr, FO_REJECT_IN_USE);
	assert_int_equal(renews(S, 3, addr), DHCPACK);
	b = told(addr, LEASE_ACTIVE, 9);
	b.expires = now_sec(w) + 600;
	b.pet = now_sec(w) + 900;
	assert_int_equal(update(S, &b), 0);
	assert_int_equal(renews(S, 3, addr), DHCPNAK);
	(void)take(S, addr, 2, &cursor);
	assert_int_equal(cursor, 0); /* nor does the primary hear of it again */
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_second_connect),
		cmocka_unit_test(test_nothing_before_the_handshake),
		cmocka_unit_test(test_another_make),
		cmocka_unit_test(test_window_of_another_make),
		cmocka_unit_test(test_refused_is_tried_again),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_last_word_is_right),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_never_shown),
		cmocka_unit_test(test_conflict_done_begins_anew),
		cmocka_unit_test(test_no_pause_in_conflict_done),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_speaks_after_all),
		cmocka_unit_test(test_asks_for_all),
		cmocka_unit_test(test_left_out_is_refused),
		cmocka_unit_test(test_silent_is_unstuck),
		cmocka_unit_test(test_left_out_for_good),
		cmocka_unit_test(test_reserved_is_not_awaited),
		cmocka_unit_test(test_receive_timer),
		cmocka_unit_test(test_dialect_refused),
		cmocka_unit_test(test_who_expires),
		cmocka_unit_test(test_ends_by_its_clock),
		cmocka_unit_test(test_expired_alone),
		cmocka_unit_test(test_one_second_one_word),
		cmocka_unit_test(test_share_is_refusable),
		cmocka_unit_test(test_reservations_stay_here),
		cmocka_unit_test(test_asks_an_isc_primary),
		cmocka_unit_test(test_halves_in_hot_standby),
		cmocka_unit_test(test_gives_back_when_asked),
		cmocka_unit_test(test_never_takes_from_an_isc),
		cmocka_unit_test(test_refused_is_no_duel),
		cmocka_unit_test(test_refused_is_answered),
		cmocka_unit_test(test_waits_for_a_slow_clock),
		cmocka_unit_test(test_all_one_by_one),
		cmocka_unit_test(test_its_news_come_first),
		cmocka_unit_test(test_disputed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
