/*
 * Who was away for long and meets a partner that has nothing to tell, since it lost its storage or
 * rests: how long service is held back, and what ends that. Two endpoints over memory, see
 * fo_world.h. Decisions A7, A8; failover-behaviour §3.6.
 */
#include "fo_pair.h"

static struct world *holding_pair(void)
{
	struct world *w = new_world(2);

	P->conf.after_outage_hold = S->conf.after_outage_hold = true;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	return w;
}

/* The secondary's clock is slewed while both rest: the pause that the primary knows begins at other
 * times by its clock. It has not become another. */
static void test_pause_by_a_slewed_clock(void **state)
{
	struct world *w = holding_pair();

	(void)state;
	w->check_promises = false; /* they are counted by one clock */
	run(w, 5);
	assert_null(operate(S, FO_EV_OP_PAUSE, 0));
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	drop_link(w, NULL, FO_CLOSE_SILENT);
	S->skew = -3;
	run(w, 5);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(P->ep->heard && P->ep->rec.end.peer_stos > P->ep->rec.end.stos);
	world_done(w);
}

/* A lost store that was forced to serve is resolved as a conflict: RECOVER is never shown. What the
 * partner has learned that way it is not told again with the next link. */
static void lost_and_resolved(unsigned who)
{
	struct world *w = holding_pair();
	struct node *n = &w->n[who], *o = &w->n[!who];

	for (unsigned i = 0; i < 2; i++) /* starts that the new store does not know of */
		restart(n);
	crash(n, true);
	lose_disk(n);
	boot(n);
	assert_null(operate(n, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	n->n_trace = 0;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_int_equal(n->trace[0], FO_POTENTIAL_CONFLICT);
	assert_int_equal(o->disk.rec.peer_start_count, n->disk.starts);
	n->n_trace = 0;
	drop_link(w, NULL, FO_CLOSE_SILENT);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_int_equal(n->n_trace, 2); /* COMMUNICATIONS-INTERRUPTED, NORMAL */
	assert_false(o->ep->tell_lost);
	world_done(w);
}

static void test_lost_store_resolved_is_told_once(void **state)
{
	(void)state;
	lost_and_resolved(0);
	lost_and_resolved(1);
}

/* Paused for longer than MCLT, while the secondary served, and resumed alone: held back. */
static struct world *resumed_alone(void)
{
	struct world *w = holding_pair();

	run(w, 5);
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 40);
	w->partition = true;
	run(w, 5);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	run(w, 1);
	assert_true(state_of(P) == FO_COMM_INT && P->view.hold && P->ep->heard_since_start);
	return w;
}

/* The secondary served until just now, and is back without its storage. */
static void replace_secondary(struct world *w)
{
	crash(S, true);
	lose_disk(S);
	w->partition = false;
	boot(S);
}

/* It was heard before we were paused; what it promised since lasts for MCLT after its loss. */
static void test_hold_of_a_pause_outlives_a_loss(void **state)
{
	struct world *w = resumed_alone();

	(void)state;
	run(w, 24);
	replace_secondary(w);
	run(w, 10); /* longer than MCLT after the end of our pause */
	assert_int_equal(P->ep->rec.end.peer, FO_RECOVER_WAIT);
	assert_true(P->view.hold && !P->view.serve_new);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 30));
	assert_true(P->view.serve_new);
	world_done(w);
}

/* In PARTNER-DOWN, and long away: the secondary was repaired, took over in turn, and has lost its
 * storage since. It is heard before the time to start is over. */
static void test_hold_in_partner_down_beside_a_loss(void **state)
{
	struct world *w = holding_pair();

	(void)state;
	secondary_down(w, 5);
	run(w, 2);
	crash(P, true);
	w->us += 60 * SEC;
	lose_disk(S);
	boot(P);
	run(w, 1);
	boot(S);
	w->connect_at = w->us + 1000;
	run(w, 0.5);
	assert_true(P->ep->heard && state_of(P) == FO_PARTNER_DOWN);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	run(w, 28);
	assert_true(P->view.hold);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_true(P->view.serve_new);
	world_done(w);
}

/* Long away, and alone; the secondary, which may have served, is about to start without its storage.
 * It starts for the first time by its counter, as it did before. */
static struct world *held_alone(double since_boot)
{
	struct world *w = holding_pair();

	both_long_away(w);
	lose_disk(S);
	boot(P);
	run(w, since_boot);
	return w;
}

static void check_held(struct world *w)
{
	run(w, 26);
	assert_true(P->ep->heard && P->view.hold && !P->view.serve_new);
	crash(P, true); /* a restart now would be held back as well */
	boot(P);
	run(w, 1.5);
	assert_true(P->ep->heard && P->view.hold && !P->view.serve_new);
	run(w, 33);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	world_done(w);
}

/* A pause, or a shutdown, after the loss does not tell what was promised before it either; nor does
 * it with the next link. */
static void rests_after_a_loss(enum fo_event ev)
{
	struct world *w = held_alone(6);

	boot(S);
	for (unsigned i = 0; P->ep->rec.end.peer != FO_RECOVER && i < 40000; i++)
		run(w, 0.0001);
	run(w, 1);
	assert_true(P->view.hold);
	assert_null(operate(S, ev, 0));
	run(w, 0.1);
	assert_int_equal(P->ep->rec.end.peer, ev == FO_EV_OP_PAUSE ? FO_PAUSED : FO_SHUTDOWN);
	assert_true(P->view.hold && !P->view.serve_new);
	drop_link(w, NULL, FO_CLOSE_SILENT);
	run(w, 2);
	check_held(w);
}

static void test_hold_outlives_a_rest_after_a_loss(void **state)
{
	(void)state;
	rests_after_a_loss(FO_EV_OP_PAUSE);
	rests_after_a_loss(FO_EV_OP_SHUTDOWN);
}

/* It rests before it was heard: that it has no past is said with CONNECT. We are on hold already, or
 * start. */
static void test_hold_beside_a_blank_pause(void **state)
{
	(void)state;
	for (unsigned started = 0; started < 2; started++) {
		struct world *w = held_alone(started ? 6 : 1);

		boot(S);
		assert_null(operate(S, FO_EV_OP_PAUSE, 0));
		w->connect_at = w->us + 1000;
		run(w, 0.5);
		assert_int_equal(P->ep->rec.end.peer, FO_PAUSED);
		assert_true(P->view.hold && !P->view.serve_new);
		check_held(w);
	}
}

/* Clients renew what it promised before it lost its storage: that is no sign that it serves, neither
 * while it recovers in sight nor when it is gone again. */
static void test_signs_of_what_was_lost(void **state)
{
	struct world *w = held_alone(6);
	struct fo_status st;

	(void)state;
	sign(P); /* it may serve, or have lost its storage since */
	boot(S);
	run(w, 3);
	assert_true(P->ep->heard && P->view.hold);
	sign(P);
	fo_endpoint_status(P->ep, &st);
	assert_null(strstr(st.next, "seems to serve"));
	assert_int_not_equal(st.next_at, 0);
	crash(S, true);
	run(w, 1);
	sign(P);
	run(w, 24);
	assert_true(P->view.hold);
	run(w, 4);
	assert_false(P->view.hold);
	world_done(w);
}

/* A sign of the partner counts for the hold in which it was seen. */
static void test_signs_end_with_the_hold(void **state)
{
	struct world *w = holding_pair();

	(void)state;
	primary_back_alone(w, 6);
	sign(P);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 40);
	crash(S, true);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	run(w, 28);
	assert_true(P->view.hold);
	run(w, 4);
	assert_false(P->view.hold);
	world_done(w);
}

/* The secondary served while we were away, and an older copy of its storage was put back: starting,
 * it shows the state of that copy. It has as little to tell as an empty one. */
static void test_hold_beside_a_restored_store(void **state)
{
	(void)state;
	for (unsigned started = 0; started < 2; started++) {
		struct world *w = holding_pair();
		struct disk *copy = malloc(sizeof(*copy));

		assert_non_null(copy);
		*copy = S->disk;
		for (unsigned i = 0; i < 2; i++) /* starts that the copy does not know of */
			restart(S);
		both_long_away(w);
		S->disk = *copy;
		boot(P);
		run(w, started ? 6 : 1);
		P->n_trace = 0;
		boot(S);
		w->connect_at = w->us + 1000;
		run(w, 3);
		assert_true(P->ep->rec.end.peer == FO_RECOVER_WAIT);
		assert_true(P->view.hold && !P->view.serve_new);
		assert_int_equal(P->n_trace, !started); /* at most out of STARTUP */
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
		assert_true(P->view.serve_new);
		free(copy);
		world_done(w);
	}
}

/* The secondary served alone, and has lost what it promised. It is heard, but has nothing to tell.
 */
static void test_hold_outlives_a_lost_store(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	P->conf.after_outage_hold = true;
	primary_back_alone(w, 20);
	sign(P);
	assert_true(P->view.hold);
	lose_disk(S);
	boot(S);
	run(w, 15); /* longer than MCLT after our start */
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->ep->heard && P->view.hold);
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "recovered"));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	assert_false(P->view.hold);
	world_done(w);
}

/* The same where it is heard before the time to start is over. */
static void test_hold_beside_a_lost_store(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	both_long_away(w);
	lose_disk(S);
	boot(P);
	run(w, 4);
	boot(S);
	w->connect_at = w->us + 1000;
	run(w, 0.5);
	assert_true(P->ep->heard && state_of(P) == FO_COMM_INT);
	run(w, 26.5); /* longer than MCLT after our start */
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold && !P->view.serve_new);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	assert_true(P->view.serve_new);
	world_done(w);
}

/* Nor does a pause, of one that we know to have lost its storage, tell anything. */
static void test_hold_outlives_a_paused_loss(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	restart(S); /* a further start, which the new store does not know of */
	primary_back_alone(w, 6);
	lose_disk(S);
	boot(S);
	assert_null(operate(S, FO_EV_OP_PAUSE, 0));
	run(w, 10);
	assert_true(P->ep->heard);
	assert_int_equal(P->ep->rec.end.peer, FO_PAUSED);
	assert_true(P->view.hold);
	world_done(w);
}

/* It is gone again: MCLT after it was heard, all is served. */
static void test_hold_ends_after_contact(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	primary_back_alone(w, 20);
	lose_disk(S);
	boot(S);
	run(w, 3);
	assert_true(P->ep->heard_since_start);
	crash(S, true);
	run(w, 20);
	assert_true(P->view.hold);
	run(w, 10);
	assert_false(P->view.hold);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause_by_a_slewed_clock),
		cmocka_unit_test(test_lost_store_resolved_is_told_once),
		cmocka_unit_test(test_hold_of_a_pause_outlives_a_loss),
		cmocka_unit_test(test_hold_in_partner_down_beside_a_loss),
		cmocka_unit_test(test_hold_outlives_a_rest_after_a_loss),
		cmocka_unit_test(test_hold_beside_a_blank_pause),
		cmocka_unit_test(test_signs_of_what_was_lost),
		cmocka_unit_test(test_signs_end_with_the_hold),
		cmocka_unit_test(test_hold_beside_a_restored_store),
		cmocka_unit_test(test_hold_outlives_a_lost_store),
		cmocka_unit_test(test_hold_beside_a_lost_store),
		cmocka_unit_test(test_hold_outlives_a_paused_loss),
		cmocka_unit_test(test_hold_ends_after_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
