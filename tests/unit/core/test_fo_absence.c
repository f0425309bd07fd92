/*
 * Who was away for longer than MCLT and comes back alone, since the partner may have taken over:
 * how long service is held back, and what ends that. A partner that lost its storage: test_fo_hold.
 * Two endpoints over memory, see fo_world.h. Decisions A8, A16; P23.
 */
#include "fo_pair.h"

static void test_hold_after_long_absence(void **state) /* A8, P23 */
{
	struct fo_status st;
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	primary_back_alone(w, 6);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 30);
	run(w, 23);
	assert_true(P->view.hold);
	/* a restart now would be held back as well */
	assert_true(P->disk.rec.end.last_operational < BASE + w->us / SEC - 60);
	run(w, 2);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	world_done(w);
}

/* The lead time was lowered before: the partner may have promised by the former one, on a lease
 * that ends later (decision A16). */
static void test_hold_after_a_lowered_lead(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	P->conf.after_outage_hold = true;
	for (unsigned i = 0; i < 2; i++) { /* the second time it is a long lease */
		assert_true(request(P, 1, true));
		run(w, 1);
	}
	P->conf.mclt = 20;
	restart(P);
	primary_back_alone(w, 6);
	assert_true(P->view.hold);
	assert_int_equal(P->disk.rec.mclt, 20);
	fo_endpoint_status(P->ep, &st);
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 30);
	run(w, 23);
	assert_true(P->view.hold);
	run(w, 2);
	assert_false(P->view.hold);
	world_done(w);
}

static void test_hold_ends_by_contact_not_by_signs(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	primary_back_alone(w, 6);
	sign(P);
	run(w, 40);
	assert_true(P->view.hold);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_false(P->view.hold);
	world_done(w);
}

static void test_hold_ends_by_any_contact(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	primary_back_alone(w, 6);
	assert_true(P->view.hold);
	boot(S);
	assert_null(operate(S, FO_EV_OP_PAUSE, 0)); /* our state stays */
	run(w, 3);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_false(P->view.hold);
	world_done(w);
}

/* The primary, in PARTNER-DOWN, was away for longer than MCLT: the partner may have taken over. */
static struct world *held_in_partner_down(void)
{
	struct world *w = normal_pair();

	P->conf.after_outage_hold = true;
	secondary_down(w, 5);
	run(w, 2);
	assert_true(P->view.serve_new);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	return w;
}

static void test_hold_in_partner_down(void **state) /* A8 */
{
	struct world *w = held_in_partner_down();
	struct fo_status st;

	(void)state;
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 30);
	/* a restart now would be held back as well */
	assert_true(P->disk.rec.end.last_operational < BASE + w->us / SEC - 60);
	run(w, 23);
	assert_true(P->view.hold);
	run(w, 2);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new && P->view.partner_down);
	run(w, 10);
	assert_true(P->disk.rec.end.last_operational >= BASE + w->us / SEC - 10);
	world_done(w);
}

static void test_hold_in_partner_down_forced(void **state)
{
	struct world *w = held_in_partner_down();

	(void)state;
	assert_non_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	assert_true(P->view.hold);
	assert_null(operate(P, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	run(w, 1);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	/* what the partner promised after it was declared down the first time is waited for */
	assert_true(P->view.partner_pool_from >= BASE + w->us / SEC - 1 + 30);
	assert_non_null(operate(P, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	world_done(w);
}

/* That the partner starts up does not say yet what it did meanwhile. */
static void test_hold_in_partner_down_and_contact(void **state)
{
	struct world *w = held_in_partner_down();

	(void)state;
	boot(S);
	for (unsigned i = 0; state_of(S) == FO_STARTUP && i < 20000; i++) {
		assert_true(P->ep->hold);
		run(w, 0.0001);
	}
	assert_true(P->ep->heard_since_start);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 50));
	assert_false(P->view.hold);
	world_done(w);
}

/* Paused for longer than MCLT; the partner took over and was lost: what it promised lasts for MCLT
 * from then on, however long ago we were started. */
static void test_hold_after_a_long_pause(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	run(w, 40);
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 60);
	crash(S, true);
	run(w, 5);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	run(w, 28);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold);
	run(w, 4);
	assert_false(P->view.hold);
	world_done(w);
}

static void run_to(struct node *n, uint8_t state)
{
	for (unsigned i = 0; state_of(n) != state && i < 20000; i++)
		run(n->w, 0.001);
	assert_int_equal(state_of(n), state);
}

/* The partner took over while we were away, and is lost when it begins to tell what it gave:
 * before it could say so, or in the conflict that its own start made of it. */
static void test_hold_behind_the_partner(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(P, true);
	run(w, 5);
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 60);
	crash(S, true);
	boot(P);
	run(w, 6);
	assert_true(P->view.hold);
	boot(S);
	run_to(P, FO_POTENTIAL_CONFLICT);
	crash(S, true);
	run_to(P, FO_RESOLUTION_INT);
	run(w, 1);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	crash(P, true); /* and after a restart, too */
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_RESOLUTION_INT);
	assert_true(P->view.hold);
	run(w, 30);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	assert_false(P->disk.rec.end.behind);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 50));
	world_done(w);
}

/* One after the other was down, and each that was left declared it: what the secondary gives in the
 * end is of the primary's share. */
static struct world *both_down_in_turn(void)
{
	struct world *w = normal_pair();

	P->conf.after_outage_hold = S->conf.after_outage_hold = true;
	secondary_down(w, 5);
	run(w, 60);
	crash(P, true);
	w->us += 5 * SEC;
	boot(S);
	run(w, 60);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_false(S->view.hold);
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 60);
	assert_true(S->view.partner_pool_from < BASE + w->us / SEC);
	return w;
}

static void held_when_lost_in_conflict(struct world *w)
{
	run_to(P, FO_POTENTIAL_CONFLICT);
	crash(S, true);
	run_to(P, FO_RESOLUTION_INT);
	run(w, 1);
	assert_true(P->view.hold && !P->view.serve_new);
	world_done(w);
}

/* The contact at the start was long enough for a conflict, and for nothing else. */
static void test_hold_after_a_linked_start(void **state)
{
	struct world *w = both_down_in_turn();

	(void)state;
	boot(P);
	held_when_lost_in_conflict(w);
}

static void test_hold_goes_on_after_a_conflict(void **state)
{
	struct world *w = both_down_in_turn();

	(void)state;
	w->partition = true;
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(P->view.hold);
	w->partition = false;
	held_when_lost_in_conflict(w);
}

/* The partner goes on to give of our share while we wait, then has to be forced with an empty
 * store. */
static void test_hold_after_recover_done(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(P, true);
	run(w, 1);
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	boot(P);
	run_to(P, FO_RECOVER_WAIT);
	run(w, 1);
	assert_true(P->disk.rec.end.behind);
	crash(P, true);
	run(w, 40);
	crash(S, true);
	lose_disk(S);
	boot(S);
	run(w, 6);
	assert_null(operate(S, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	run(w, 60);
	boot(P);
	held_when_lost_in_conflict(w);
}

/* What clients say just after the partner was lost is of before. */
static void test_hold_behind_and_signs(void **state)
{
	struct world *w = both_down_in_turn();

	(void)state;
	boot(P);
	run_to(P, FO_POTENTIAL_CONFLICT);
	crash(S, true);
	run_to(P, FO_RESOLUTION_INT);
	run(w, 20);
	sign(P);
	run(w, 28);
	assert_true(P->view.hold);
	run(w, 4);
	assert_false(P->view.hold);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hold_after_long_absence),
		cmocka_unit_test(test_hold_after_a_lowered_lead),
		cmocka_unit_test(test_hold_ends_by_contact_not_by_signs),
		cmocka_unit_test(test_hold_ends_by_any_contact),
		cmocka_unit_test(test_hold_in_partner_down),
		cmocka_unit_test(test_hold_in_partner_down_forced),
		cmocka_unit_test(test_hold_in_partner_down_and_contact),
		cmocka_unit_test(test_hold_after_a_long_pause),
		cmocka_unit_test(test_hold_behind_the_partner),
		cmocka_unit_test(test_hold_after_a_linked_start),
		cmocka_unit_test(test_hold_goes_on_after_a_conflict),
		cmocka_unit_test(test_hold_after_recover_done),
		cmocka_unit_test(test_hold_behind_and_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
