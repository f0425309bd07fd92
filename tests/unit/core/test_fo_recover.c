/*
 * A server that lost its storage, or was given an older copy of it, recovers from its partner
 * before it serves. What it is told meanwhile: test_fo_lost. Two endpoints over memory, see
 * fo_world.h. failover-behaviour §3.6; decision A7.
 */
#include "fo_pair.h"

static void lost_store(unsigned who)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];

	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	crash(n, true);
	lose_disk(n);
	run(w, 2);
	n->n_trace = 0;
	boot(n);
	run(w, 4);
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_int_equal(n->ep->count.sent[FO_UPDREQALL], 1);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 8);
	run(w, 22); /* MCLT from its start */
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_same(w, 0);
	assert_false(n->disk.rec.end.lost_storage);
	world_done(w);
}

static void test_lost_store(void **state)
{
	(void)state;
	lost_store(0);
	lost_store(1);
}

/* The partner has started once as well, so that the start counters tell nothing: a blank record
 * beside an old pair's does, whatever the operator did before they met. */
static void lost_and_operated(unsigned who, enum fo_event ev)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];

	for (unsigned c = 1; c < 9; c++) { /* the second time it is a long lease */
		assert_true(request(c % 2 ? P : S, 1 + c % 4, true));
		run(w, 1);
	}
	crash(n, true);
	lose_disk(n);
	boot(n);
	assert_null(operate(n, ev, 0));
	run(w, 3);
	if (state_of(n) == FO_PAUSED)
		assert_null(operate(n, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_true(n->ep->count.sent[FO_UPDREQALL] > 0);
	assert_same(w, 0);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 4);
	world_done(w);
}

static void test_lost_store_and_operator(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		lost_and_operated(who, FO_EV_OP_PAUSE);
		lost_and_operated(who, FO_EV_OP_FORCE_PARTNER_DOWN);
	}
}

/* Recovered, and nobody there: the partner may reclaim MCLT after what it knows, so what it does
 * not know is not promised. With the link, renewals are as before. */
static void test_recovered_alone_is_held(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(S, true);
	run(w, 2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	lose_disk(S);
	boot(S);
	while (state_of(S) != FO_RECOVER_WAIT)
		run(w, 0.1);
	w->partition = true;
	drop_link(w, NULL, FO_CLOSE_SILENT);
	run(w, 70); /* MCLT is over: what it forgot binds nobody any more */
	assert_int_equal(state_of(S), FO_RECOVER_DONE);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(S->view.hold && S->view.serve_renew && !S->view.serve_new);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_false(S->view.hold);
	world_done(w);
}

/* The same, with a partner that has not said what it is in. */
static void test_recovered_is_held_until_the_partner_speaks(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(S, true);
	crash(P, true);
	S->disk.rec.end.state = FO_RECOVER_DONE;
	boot(S);
	run(w, 20);
	assert_int_equal(state_of(S), FO_RECOVER_DONE);
	assert_true(S->view.hold);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	S->ep->link = LINK_UP;
	fo_refresh_view(S->ep);
	assert_true(S->ep->view.hold);
	S->ep->heard = true;
	fo_refresh_view(S->ep);
	assert_false(S->ep->view.hold || S->ep->view.serve_new);
	assert_true(S->ep->view.serve_renew);
	fo_endpoint_status(S->ep, &st);
	assert_null(strstr(st.next, "held back"));
	S->ep->link = LINK_NONE;
	S->ep->heard = false;
	world_done(w);
}

/* An older copy of the storage is put back: the partner remembers later starts (A7). */
static void restored_store(unsigned who)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];
	struct disk *copy = malloc(sizeof(*copy));

	assert_non_null(copy);
	assert_true(request(n, 1, true));
	run(w, 1);
	*copy = n->disk;
	restart(n); /* a further start, which the copy does not know of */
	restart(n);
	for (unsigned c = 2; c < 9; c++)
		assert_true(request(n, c, true));
	run(w, 1);
	crash(n, true);
	n->disk = *copy;
	boot(n);
	run(w, 5);
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_int_equal(n->ep->count.sent[FO_UPDREQALL], 1);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 8);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 40));
	assert_same(w, 0);
	/* its free addresses were not taken for wanted back */
	assert_int_equal(P->ep->count.addresses_taken, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) >= 24);
	restart(n); /* and that was it */
	free(copy);
	world_done(w);
}

static void test_restored_store(void **state)
{
	(void)state;
	restored_store(0);
	restored_store(1);
}

/* The link is lost again before the primary has heard which start this is: CONNECT has said which
 * it remembers, so the secondary knows enough not to serve from an older store. */
static void test_restored_store_and_one_word(void **state)
{
	struct world *w = normal_pair();
	struct disk *copy = malloc(sizeof(*copy));

	(void)state;
	assert_non_null(copy);
	*copy = S->disk;
	for (unsigned i = 0; i < 2; i++)
		restart(S);
	crash(S, true);
	S->disk = *copy;
	boot(S);
	for (unsigned i = 0; S->ep->link != LINK_UP && i < 40000; i++)
		run(w, 0.0001);
	assert_int_equal(S->ep->link, LINK_UP);
	w->partition = true;
	run(w, 15);
	assert_int_equal(state_of(S), FO_RECOVER);
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	free(copy);
	world_done(w);
}

/* A record older than the partner's that nobody knows to be old is put right. */
static void test_stale_record(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct world *w = normal_pair();
		struct node *n = &w->n[who];
		uint32_t a;

		assert_true(request(n, 1, true));
		run(w, 1);
		for (unsigned i = 0; i < 3; i++)
			assert_true(request(&w->n[!who], 1, true));
		run(w, 1);
		a = w->client_addr[1] - FIRST;
		crash(n, true);
		n->disk.l[a].serial -= 2;
		n->disk.recent[a][0] = n->disk.l[a].serial;
		n->disk.l[a].expires -= 200;
		n->disk.l[a].flags |= LEASE_DIRTY;
		boot(n);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
		assert_same(w, 0);
		assert_true(n->disk.l[a].expires > BASE + 500);
		world_done(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_store),
		cmocka_unit_test(test_lost_store_and_operator),
		cmocka_unit_test(test_recovered_alone_is_held),
		cmocka_unit_test(test_recovered_is_held_until_the_partner_speaks),
		cmocka_unit_test(test_restored_store),
		cmocka_unit_test(test_restored_store_and_one_word),
		cmocka_unit_test(test_stale_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
