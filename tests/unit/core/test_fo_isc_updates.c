/*
 * Updates to an ISC dhcpd and from it: in which order, how many at once, and what becomes of those
 * that one of both refuses. It is played by hand, see fo_isc_partner.h. failover-behaviour §5;
 * T000-2, T000-3.
 */
#include "fo_isc_partner.h"

/* --- from it and to it ------------------------------------------------------------------------ */

static void test_another_make(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = alone(primary);
		struct node *n = primary ? P : S;
		struct fo_binding b = { .addr = FIRST + 10,
					.status = LEASE_ACTIVE,
					.chaddr = str("\1\2\3\4\5\6\7"),
					.expires = (uint32_t)BASE + 60,
					.pet = (uint32_t)BASE + 600,
					.stos = (uint32_t)BASE };
		const struct fo_msg *m;

		isc_link(n);
		assert_false(n->ep->own_kind);
		isc_tells_all(n);
		assert_int_equal(state_of(n), FO_RECOVER_DONE); /* it shows RECOVER: new pair */
		state_from(n, FO_RECOVER_DONE);
		assert_int_equal(state_of(n), FO_NORMAL);
		tell(n, &b, 99);
		m = heard(n, FO_BNDACK);
		assert_non_null(m);
		assert_int_equal(m->xid, 99);
		assert_int_equal(m->len, 20); /* address alone: failover-wire §5.4 */
		assert_int_equal(n->disk.l[10].state, LEASE_ACTIVE);
		assert_int_equal(n->disk.l[10].rcvd_pet, BASE + 600);
		assert_int_equal(n->disk.c[10].chaddr[5], 7);
		b.addr = FIRST + 5; /* in no range */
		tell(n, &b, 100);
		m = heard_within(n, FO_BNDACK, 0.01); /* refusals do not wait for others */
		assert_non_null(m);
		assert_int_equal(fo_msg_opt(m, FO_OPT_REJECT_REASON).p[0],
				 FO_REJECT_ILLEGAL_ADDRESS);
		b.addr = FIRST + 11; /* of the future: after a restart our clock would seem wrong */
		b.stos = b.cltt = (uint32_t)BASE + 3600;
		tell(n, &b, 101);
		m = heard_within(n, FO_BNDACK, 0.01);
		assert_non_null(m);
		assert_int_equal(fo_msg_opt(m, FO_OPT_REJECT_REASON).p[0], FO_REJECT_TIME_MISMATCH);
		assert_int_not_equal(n->disk.l[11].state, LEASE_ACTIVE);
		world_done(w);
	}
}

/* To another make: one binding per message, never more than its window, a new try of what it
 * refused, and a change in flight is sent anew. */
static void test_window_of_another_make(void **state)
{
	struct world *w = isc_normal();
	const struct fo_msg *m;
	struct fo_binding b;
	unsigned cursor = 0;
	uint64_t sent;

	(void)state;
	m = heard(P, FO_BNDUPD);
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	assert_false(fo_msg_next_binding(m, &cursor, &b));
	assert_int_equal(P->ep->n_flights, 10);
	assert_int_equal(P->ep->count.updates_sent, 10);
	ack(P, m->xid, b.addr, FO_REJECT_IN_USE);
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 1);
	run(w, 1);
	sent = P->ep->count.updates_sent;
	assert_int_equal(sent, 11);
	ack(P, 4711, b.addr, FO_REJECT_NONE); /* no such message */
	assert_int_equal(P->ep->n_flights, 10);
	world_done(w);
}

static void test_refused_is_tried_again(void **state) /* §5.5 */
{
	struct world *w = isc_normal();
	const struct fo_msg *m = heard(P, FO_BNDUPD);
	uint64_t sent, from;
	struct fo_binding b;

	(void)state;
	for (unsigned i = 0; i < 32 && m; i++) { /* refuse everything */
		unsigned cursor = 0;

		assert_true(fo_msg_next_binding(m, &cursor, &b));
		for (unsigned k = 0; k < P->ep->max_flights; k++)
			if (P->ep->flights[k].xid)
				ack(P, P->ep->flights[k].xid, P->ep->flights[k].b[0].addr,
				    FO_REJECT_UNKNOWN_REASON);
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

/* The link is lost and comes again; both were in NORMAL. */
static void link_again(struct node *n)
{
	TURN(n, now);

	fo_endpoint_link_down(n->ep, &now, FO_CLOSE_PEER);
	turn_end(n);
	run(n->w, 1);
	clear_queues(&n->w->n[!n->i]);
	link_up(n);
	shakes_hands(n);
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

/* --- refused, and disputed (§5.5) ------------------------------------------------------------- */

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
	assert_true(fo_is_flying(P->ep, addr));
	world_done(w);
}

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
		cmocka_unit_test(test_another_make),
		cmocka_unit_test(test_window_of_another_make),
		cmocka_unit_test(test_refused_is_tried_again),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_all_one_by_one),
		cmocka_unit_test(test_one_second_one_word),
		cmocka_unit_test(test_reservations_stay_here),
		cmocka_unit_test(test_its_news_come_first),
		cmocka_unit_test(test_refused_is_no_duel),
		cmocka_unit_test(test_refused_is_answered),
		cmocka_unit_test(test_disputed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
