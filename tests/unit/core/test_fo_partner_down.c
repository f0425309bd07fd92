/*
 * PARTNER-DOWN, and the return of the partner: what may be served from when on, and how both agree
 * again. Two endpoints over memory, see fo_world.h. failover-behaviour §3.5, §6.4; decision A12.
 */
#include "fo_pair.h"

static void partner_down(unsigned who)
{
	struct world *w = normal_pair();
	struct node *dead = &w->n[who], *n = &w->n[!who];
	uint32_t a2, t0, at;

	for (unsigned c = 1; c < 5; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	assert_non_null(operate(n, FO_EV_OP_PARTNER_DOWN, 0)); /* refused while linked */
	crash(dead, true);
	run(w, 1);
	a2 = w->client_addr[2] - FIRST;
	release(n, 2);
	run(w, 7);
	assert_null(operate(n, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 0.1);
	assert_int_equal(state_of(n), FO_PARTNER_DOWN);
	t0 = n->disk.rec.end.stos;
	assert_true(n->view.partner_down);
	assert_int_equal(n->view.partner_pool_from, t0 + 30);
	assert_true(request(n, 4, false));
	run(w, 0.1);
	/* its own free addresses at once, the partner's after MCLT, a released one after all that
	 * anybody may have promised for it (§6.4) */
	w->check_promises = true;
	for (unsigned c = 10; c < 16; c++)
		assert_true(request(n, c, false));
	run(w, 29);
	assert_int_equal(n->disk.l[a2].state, LEASE_RELEASED);
	at = binding_reclaim_at(&n->view, &n->disk.l[a2], t0);
	assert_true(at > t0 + 630); /* PET 600 + 15, MCLT 30 */
	run_until(w, (at - BASE - 1) * SEC);
	assert_int_equal(n->disk.l[a2].state, LEASE_RELEASED);
	run_until(w, (at - BASE + 1) * SEC);
	assert_int_equal(n->disk.l[a2].state, LEASE_FREE);
	assert_true(request(n, 4, false));
	run(w, 1);
	/* the dead one returns: RECOVER, UPDREQ, at once RECOVER-DONE (long away), NORMAL */
	dead->n_trace = 0;
	w->us += 5 * SEC;
	boot(dead);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 6));
	assert_int_equal(dead->ep->count.sent[FO_UPDREQ], 2); /* once more in RECOVER-DONE */
	assert_int_equal(dead->ep->count.sent[FO_UPDREQALL], 0);
	assert_int_equal(dead->trace[1], FO_RECOVER);
	assert_int_equal(dead->trace[dead->n_trace - 1], FO_NORMAL);
	assert_same(w, 0);
	world_done(w);
}

static void test_partner_down(void **state)
{
	(void)state;
	partner_down(0);
	partner_down(1);
}

static void test_partner_down_uses_everything(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	secondary_down(w, 1);
	for (unsigned c = 1; c < N_CLIENTS; c++)
		(void)request(P, c, false);
	run(w, 1);
	P->w->lease_time = 1000;
	assert_true(count_state(P, 0, LEASE_BACKUP) == 32);
	assert_int_equal(P->view.partner_pool_from, P->disk.rec.end.stos + 30);
	run(w, 31);
	for (uint32_t a = w->ranges[0].first; a <= w->ranges[0].last; a++) {
		const struct lease *l = pool_get(P->pool, a);

		if (lease_is_free(l))
			assert_true(binding_may_allocate(&P->view, l, now_of(P).wall));
	}
	world_done(w);
}

static void test_return_within_mclt_waits(void **state)
{
	struct world *w = normal_pair();
	int64_t died;

	(void)state;
	assert_true(request(S, 1, true));
	run(w, 12);
	died = w->us;
	secondary_down(w, 1);
	for (unsigned c = 2; c < 9; c++) /* the partner never heard of these */
		assert_true(request(P, c, true));
	run(w, 1);
	boot(S);
	run(w, 3);
	assert_int_equal(count_state(S, 0, LEASE_ACTIVE), 8);
	assert_int_equal(state_of(S), FO_RECOVER_WAIT);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 40));
	/* MCLT after it was last at work; that is noted every 10 s */
	assert_true(w->us >= died + 19 * SEC && w->us <= died + 32 * SEC);
	assert_same(w, 0);
	world_done(w);
}

/* Taken over, the secondary dies; the primary serves alone, and is paused. Back in PARTNER-DOWN,
 * the secondary must not serve from what it knew: the pause hides what the primary promised. */
static void test_pause_hides_service(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(P, true);
	run(w, 5);
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	crash(S, true);
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(request(P, 1, true));
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	boot(S);
	run(w, 3);
	assert_true(S->ep->heard);
	assert_false(S->view.serve_new || S->view.serve_renew);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "resume it"));
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	world_done(w);
}

static void test_both_in_partner_down(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	w->check_promises = false; /* not claimed here (A12) */
	for (unsigned c = 1; c < 5; c++)
		assert_true(request(P, c, true));
	run(w, 1);
	w->partition = true;
	run(w, 4);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 35);
	for (unsigned c = 1; c < 20; c++)
		(void)request(c % 2 ? P : S, c, true);
	for (unsigned c = 8; c < 20; c++) /* the same addresses for others */
		(void)request(c % 2 ? S : P, c, true);
	run(w, 1);
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 130));
	assert_same(w, 0);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partner_down),
		cmocka_unit_test(test_partner_down_uses_everything),
		cmocka_unit_test(test_return_within_mclt_waits),
		cmocka_unit_test(test_pause_hides_service),
		cmocka_unit_test(test_both_in_partner_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
