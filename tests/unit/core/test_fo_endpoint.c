/*
 * fo_endpoint: leases that go from one server to the other, and what becomes of them when the link
 * or one of the servers is lost at any moment. failover-behaviour §4, §5; T000-3, T000-4, T004-1.
 * Two endpoints over memory, see fo_world.h. FO_TRACE=1 prints events, FO_WIRE=1 messages.
 */
#include "fo_pair.h"

/* --- leases ----------------------------------------------------------------------------------- */

static void test_leases_replicate(void **state)
{
	struct world *w = normal_pair();
	uint32_t first[N_CLIENTS];

	(void)state;
	for (unsigned c = 1; c < 20; c++)
		assert_int_equal(request(P, c, false) + request(S, c, false), 1); /* its bucket's */
	run(w, 1);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 19);
	assert_int_equal(dirty(P) + dirty(S), 0);
	assert_same(w, 0);
	for (unsigned c = 1; c < 20; c++) {
		first[c] = w->promise[w->client_addr[c] - FIRST].until;
		assert_int_equal(first[c] - BASE - w->us / SEC, 30 - 1); /* MCLT */
	}
	run(w, 14);
	for (unsigned c = 1; c < 20; c++) /* at the server that did not grant it */
		assert_true(request(c % 2 ? P : S, c, false));
	run(w, 1);
	assert_same(w, 0);
	for (unsigned c = 1; c < 20; c++)
		assert_true(w->promise[w->client_addr[c] - FIRST].until - first[c] > 500);
	world_done(w);
}

static void test_release_and_expiry(void **state)
{
	struct world *w = normal_pair();
	uint32_t addr;

	(void)state;
	assert_true(request(P, 2, true) && request(S, 1, true) && request(P, 3, true));
	run(w, 1);
	addr = w->client_addr[2] - FIRST;
	release(S, 2); /* of the primary's bucket; the server that did not grant it */
	run(w, 1);
	assert_int_equal(P->disk.l[addr].state, LEASE_FREE);
	assert_int_equal(S->disk.l[addr].state, LEASE_FREE);
	assert_int_equal(P->disk.l[addr].rcvd_pet | P->disk.l[addr].acked_pet, 0);
	run(w, 40); /* the others run out; the secondary's own, too, by the primary (§4.2) */
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 0);
	assert_int_equal(count_state(P, 0, LEASE_EXPIRED), 0);
	assert_int_equal(count_state(S, 0, LEASE_EXPIRED), 0);
	assert_same(w, 0);
	world_done(w);
}

static void test_same_second(void **state) /* T000-3 */
{
	struct world *w = normal_pair();
	uint32_t addr;

	(void)state;
	assert_true(request(P, 2, true));
	run(w, 1);
	addr = w->client_addr[2] - FIRST;
	assert_true(request(P, 2, true));
	release(P, 2);
	run(w, 1);
	assert_int_equal(P->disk.l[addr].state, LEASE_FREE);
	assert_same(w, 0);
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 0);
	world_done(w);
}

static void test_both_renew_at_once(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	assert_true(request(P, 1, true));
	run(w, 1);
	for (unsigned i = 0; i < 20; i++) { /* a broadcast REBINDING: both answer */
		assert_true(request(P, 1, true));
		w->us += 1500 * (i % 3);
		assert_true(request(S, 1, true));
		run(w, 3.7);
		assert_same(w, 0);
		assert_int_equal(dirty(P) + dirty(S), 0);
	}
	world_done(w);
}

static void test_smaller_window(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	w->no_runs = true;
	S->conf.max_unacked = 2;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(P->max_in_flight, 2); /* the partner's, not ours */
	assert_true(P->ep->count.window_nearly_full > 0);
	assert_int_equal(S->ep->count.window_nearly_full, 0); /* it had nothing to tell */
	assert_same(w, 0);
	world_done(w);
}

/* The record of a running lease says "not acknowledged" for a while longer: after a crash the
 * update goes once more, and nothing is promised on the strength of what was not written. */
static void test_acks_written_later(void **state)
{
	struct world *w = normal_pair();
	const struct lease *row, *disk;
	unsigned c = 1;

	(void)state;
	while (!request(P, c, false))
		c++;
	run(w, 0.5);
	row = pool_get(P->pool, w->client_addr[c]);
	disk = &P->disk.l[row->addr - FIRST];
	assert_false(row->flags & LEASE_DIRTY);
	assert_true(row->acked_pet > 0);
	assert_true(disk->flags & LEASE_DIRTY && !disk->acked_pet);
	crash(P, true);
	boot(P);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 30));
	assert_same(w, 0);
	run(w, 3);
	assert_false(disk->flags & LEASE_DIRTY);
	assert_true(disk->acked_pet > 0);
	(void)request(P, c, false); /* a change takes it along, and is not undone by it */
	run(w, 0.5);
	(void)request(P, c, false);
	run(w, 0.5);
	assert_true(disk->flags & LEASE_DIRTY && disk->acked_pet > 0);
	assert_int_equal(P->ep->lazy.n, 2);
	run(w, 3);
	assert_int_equal(P->ep->lazy.n, 0);
	assert_false(disk->flags & LEASE_DIRTY);
	world_done(w);
}

/* --- interruption ----------------------------------------------------------------------------- */

static void test_interrupted(void **state)
{
	struct world *w = normal_pair();
	unsigned asked;

	(void)state;
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 2);
	asked = (unsigned)(P->ep->count.sent[FO_UPDREQ] + P->ep->count.sent[FO_UPDREQALL]);
	w->partition = true; /* the cable is cut: silence */
	run(w, 2);
	assert_int_equal(state_of(P), FO_NORMAL);
	run(w, 2.2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_int_equal(P->view.policy.serve, SERVE_ALL);
	for (unsigned c = 1; c < 18; c++) /* renewals of all, and new ones of any bucket */
		assert_true(request(c % 2 ? S : P, c, false));
	run(w, 5);
	assert_true(dirty(P) && dirty(S));
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
	assert_same(w, 0);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 17);
	assert_int_equal(P->ep->count.sent[FO_UPDREQ] + P->ep->count.sent[FO_UPDREQALL], asked);
	world_done(w);
}

static void test_link_lost_with_updates_in_flight(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		for (unsigned c = 1; c < 9; c++)
			(void)request((c + k) % 2 ? P : S, c, true);
		run(w, 0.0005 * k); /* before the commit, on the wire, stored, acknowledged ... */
		drop_link(w, NULL, FO_CLOSE_PEER);
		assert_int_equal(P->ep->n_flights | S->ep->n_flights, 0);
		assert_int_equal(state_of(P), FO_COMM_INT);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
		assert_same(w, 0);
	}
	world_done(w);
}

/* Killed at any moment, and back: NORMAL by the updates alone, nothing promised is lost. */
static void killed(unsigned who, bool fin)
{
	for (unsigned k = 0; k < 14; k++) {
		struct world *w = normal_pair();
		struct node *n = &w->n[who], *o = &w->n[!who];

		for (unsigned c = 1; c < 9; c++)
			(void)request(c % 2 ? P : S, c, true);
		run(w, 0.0007 * k);
		crash(n, fin);
		run(w, fin ? 0.1 : 3.5);
		assert_int_equal(state_of(o), FO_COMM_INT);
		for (unsigned c = 1; c < 12; c++)
			(void)request(o, c, true);
		run(w, 1);
		w->partition = false;
		boot(n);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
		assert_same(w, 0);
		assert_true(count_state(P, 0, LEASE_ACTIVE) >= 8);
		assert_int_equal(n->ep->count.sent[FO_UPDREQ] + n->ep->count.sent[FO_UPDREQALL], 0);
		world_done(w);
	}
}

static void test_primary_killed(void **state)
{
	(void)state;
	killed(0, true);
	killed(0, false);
}

static void test_secondary_killed(void **state)
{
	(void)state;
	killed(1, true);
	killed(1, false);
}

static void test_start_alone(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	crash(S, true);
	crash(P, true);
	boot(P);
	run(w, 4.9);
	assert_int_equal(state_of(P), FO_STARTUP);
	assert_int_equal(P->view.policy.serve, SERVE_NONE);
	run(w, 0.2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(P->view.policy.serve, SERVE_ALL);
	assert_true(request(P, 1, false));
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
	assert_same(w, 0);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leases_replicate),
		cmocka_unit_test(test_release_and_expiry),
		cmocka_unit_test(test_same_second),
		cmocka_unit_test(test_both_renew_at_once),
		cmocka_unit_test(test_smaller_window),
		cmocka_unit_test(test_acks_written_later),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_link_lost_with_updates_in_flight),
		cmocka_unit_test(test_primary_killed),
		cmocka_unit_test(test_secondary_killed),
		cmocka_unit_test(test_start_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
