/*
 * Cases of acceptance, by their ids (tests/CASES), and the operator's verbs: two endpoints over
 * memory, see fo_world.h. FO_TRACE=1 prints events, FO_WIRE=1 messages.
 */
#include "fo_pair.h"

/* --- clocks ------------------------------------------------------------------------------------
 */

static void set_clock(struct node *n, int64_t by)
{
	const struct lease *l;
	struct now now;

	n->skew += by;
	now = now_of(n);
	pool_clock_moved(n->pool, by);
	for (uint64_t a = 0; (l = pool_next(n->pool, (uint32_t)a)); a = (uint64_t)l->addr + 1)
		put(n, l, NULL);
	fo_endpoint_turn(n->ep, n->open, &now);
	fo_endpoint_clock_moved(n->ep, by, &now);
	turn_end(n);
}

static struct world *pair_to_set_clocks(void)
{
	struct world *w = normal_pair();

	w->check_promises = false; /* they are counted by one clock */
	return w;
}

/* The primary's clock is wrong @by seconds when it grants a lease to client 1. */
static void lease_by_wrong_clock(struct world *w, int64_t by, double sec)
{
	set_clock(P, by);
	run(w, 5);
	assert_true(request(P, 1, true));
	run(w, sec);
}

/* The lease of client 1, by what the secondary knows and by its clock. */
static const struct lease *ends_within(struct world *w, unsigned min, unsigned max)
{
	const struct lease *l = pool_get(S->pool, w->client_addr[1]);

	assert_int_equal(l->state, LEASE_ACTIVE);
	assert_in_range(l->expires - now_of(S).wall.sec, min, max);
	return l;
}

/* The waits of RECOVER-WAIT and of a hold last as long as they would have. */
static void clock_set_while_waiting(void **state)
{
	static const int64_t by[] = { 1000, -1000 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = pair_to_set_clocks();
		struct fo_status st;
		int64_t died, left;

		run(w, 12);
		died = w->us;
		secondary_down(w, 1);
		run(w, 1);
		boot(S);
		run(w, 3);
		assert_int_equal(state_of(S), FO_RECOVER_WAIT);
		fo_endpoint_status(S->ep, &st);
		left = (int64_t)st.next_at - now_of(S).wall.sec;
		assert_in_range(left, 10, 30);
		set_clock(S, by[i]);
		fo_endpoint_status(S->ep, &st);
		assert_int_equal((int64_t)st.next_at - now_of(S).wall.sec, left);
		run(w, (double)left - 2);
		assert_int_equal(state_of(S), FO_RECOVER_WAIT);
		run(w, 4);
		assert_int_not_equal(state_of(S), FO_RECOVER_WAIT);
		assert_true(w->us < died + 35 * SEC);
		world_done(w);
	}
}

/* What the partner's addresses become usable at in PARTNER-DOWN is MCLT away, not a date. */
static void clock_set_in_partner_down(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	secondary_down(w, 1);
	run(w, 1);
	set_clock(P, 7200);
	run(w, 1);
	assert_true(P->view.partner_pool_from > now_of(P).wall.sec + 25);
	assert_true(P->view.partner_pool_from <= now_of(P).wall.sec + 30);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	world_done(w);
}

/* Beyond the limit from one message to the next: nothing is taken in between, by a clock that looks
 * late. */
static void clock_set_back(void **state)
{
	struct world *w = pair_to_set_clocks();
	const struct lease *l;

	(void)state;
	run(w, 5);
	set_clock(P, -300);
	assert_true(request(P, 1, true));
	run(w, 1);
	l = pool_get(P->pool, w->client_addr[1]);
	assert_int_equal(P->refused.reason, FO_REJECT_TIME_MISMATCH);
	assert_true(l->state == LEASE_ACTIVE && l->flags & LEASE_DIRTY);
	assert_int_equal(S->clock_events, 1);
	set_clock(P, 300);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 70));
	world_done(w);
}

/* A clock that was behind and is set right: what was promised by it lasts as long as it was told,
 * at the partner, too. */
static void clock_was_behind(void **state)
{
	struct world *w = pair_to_set_clocks();
	const struct lease *l;

	(void)state;
	lease_by_wrong_clock(w, -300, 2);
	set_clock(P, 300);
	run(w, 5);
	l = ends_within(w, 22, 25);
	assert_in_range(l->rcvd_pet - now_of(S).wall.sec, 600, 610);
	world_done(w);
}

/* The same by a server that was started anew since: its store was dated anew, too. */
static void clock_was_behind_before(void **state)
{
	struct world *w = pair_to_set_clocks();

	(void)state;
	crash(S, true);
	lease_by_wrong_clock(w, -300, 1);
	set_clock(P, 300);
	run(w, 1);
	crash(P, true);
	boot(P);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	(void)ends_within(w, 10, 30);
	world_done(w);
}

/* Set wrong and right again: what was promised before both is over when it says so. */
static void clock_there_and_back(void **state)
{
	struct world *w = pair_to_set_clocks();

	(void)state;
	crash(S, true);
	run(w, 5);
	assert_true(request(P, 1, true));
	run(w, 1);
	set_clock(P, 300);
	set_clock(P, -300);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	(void)ends_within(w, 10, 30);
	world_done(w);
}

/* A clock that was ahead and is set right: what it dated is told as of now, not when that time has
 * come, also to a partner that has lost everything meanwhile. */
static void clock_was_ahead(void **state)
{
	(void)state;
	for (unsigned lost = 0; lost < 2; lost++) {
		struct world *w = pair_to_set_clocks();

		lease_by_wrong_clock(w, 300, 2);
		assert_int_equal(P->refused.reason, FO_REJECT_TIME_MISMATCH);
		set_clock(P, -300);
		if (lost) {
			crash(S, true);
			lose_disk(S);
			run(w, 1);
			boot(S);
		}
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 70));
		assert_same(w, 0);
		world_done(w);
	}
}

/* The smaller limit of both holds on both (features 13.2). */
static void smaller_limit_of_skew(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = new_world(2);
		struct fo_status st;

		w->n[i].conf.max_clock_skew_sec = 10;
		start_both(w);
		run(w, 5);
		S->skew = 20;
		run(w, 5);
		assert_true(request(P, 1, true));
		run(w, 2);
		assert_true(P->ep->count.updates_rejected_by_partner > 0);
		for (unsigned k = 0; k < 2; k++) {
			fo_endpoint_status(w->n[k].ep, &st);
			assert_int_equal(st.clock_skew_limit_sec, 10);
			assert_int_equal(state_of(&w->n[k]), FO_NORMAL);
		}
		world_done(w);
	}
}

/* T001-1: refused with a time mismatch, one event a minute that names both clocks, states as they
 * were, and told again when the clocks are back. */
static void t001_1_clocks_apart(void **state)
{
	struct world *w = normal_pair();
	unsigned seen;

	(void)state;
	S->skew = 61;
	run(w, 5);
	seen = P->clock_events;
	assert_int_equal(seen, 1);
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(P, c, true));
	run(w, 2);
	assert_int_equal(P->refused.reason, FO_REJECT_TIME_MISMATCH);
	assert_true(P->refusals >= 8);
	assert_true(dirty(P) >= 8);
	run(w, 50);
	assert_int_equal(P->clock_events, seen);
	run(w, 70);
	assert_int_equal(P->clock_events, seen + 2);
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_int_equal(state_of(S), FO_NORMAL);
	assert_int_equal(P->ep->count.links_lost + S->ep->count.links_lost, 0);
	w->check_promises = false;
	S->skew = 0;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 70));
	assert_same(w, 0);
	world_done(w);
}

/* T001-1, within the limit: accepted with translated times. */
static void t001_1_compensated(void **state)
{
	struct world *w = new_world(2);
	const struct lease *p, *s;

	(void)state;
	S->skew = 50;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_true(request(P, 1, true));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	p = pool_get(P->pool, w->client_addr[1]);
	s = pool_get(S->pool, w->client_addr[1]);
	assert_int_equal(s->state, LEASE_ACTIVE);
	assert_in_range(s->expires - p->expires, 49, 51);
	assert_int_equal(P->refusals, 0);
	world_done(w);
}

/* --- operator ----------------------------------------------------------------------------------
 */

/* A10: service ends, what the partner does not know is told, and only then it is SHUTDOWN: the
 * partner takes over at once, and the return needs no wait. */
static void shutdown_in_order(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct world *w = normal_pair();
		struct node *n = &w->n[who], *other = &w->n[!who];
		int64_t back;

		for (unsigned c = 1; c < 12; c++)
			assert_true(request(n, c, true));
		assert_true(dirty(n) > 0);
		assert_null(operate(n, FO_EV_OP_SHUTDOWN, 0));
		assert_int_equal(state_of(n), FO_NORMAL); /* not yet */
		assert_non_null(operate(n, FO_EV_OP_SHUTDOWN, 0));
		assert_non_null(operate(n, FO_EV_OP_PAUSE, 0));
		run(w, 2);
		assert_int_equal(state_of(n), FO_SHUTDOWN);
		assert_int_equal(state_of(other), FO_PARTNER_DOWN);
		assert_int_equal(dirty(n), 0);
		assert_int_equal(n->disk.rec.end.last_operational, 0);
		assert_false(request(n, 13, true));
		assert_int_equal(count_state(other, 0, LEASE_ACTIVE), 11);
		crash(n, true);
		run(w, 1);
		boot(n);
		back = w->us;
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
		assert_true(w->us < back + 5 * SEC); /* MCLT is 30 s */
		assert_same(w, 0);
		world_done(w);
	}
}

/* What was promised in the moment before is acknowledged too: a client that asks between the wish
 * and its commit. */
static void shutdown_under_load(void **state)
{
	struct world *w = normal_pair();
	unsigned served = 0, c = 1;

	(void)state;
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	while (c < N_CLIENTS && P->view.serve_new) { /* twice within each commit */
		served += request(P, c++, true);
		run(w, 0.0005);
	}
	assert_true(served > 0);
	assert_true(c < N_CLIENTS);
	run(w, 1);
	assert_int_equal(state_of(P), FO_SHUTDOWN);
	assert_int_equal(count_state(S, 0, LEASE_ACTIVE), served);
	assert_int_equal(P->disk.rec.end.last_operational, 0);
	world_done(w);
}

/* A partner that acknowledges nothing: after 30 s served again, with a word; resume ends it, too.
 */
static void shutdown_given_up(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	S->skew = 500; /* it refuses everything */
	run(w, 5);
	assert_true(request(P, 1, true));
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	run(w, 1);
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "SHUTDOWN when"));
	assert_in_range(st.next_at, BASE + w->us / SEC + 27, BASE + w->us / SEC + 30);
	assert_false(P->view.serve_new || P->view.serve_renew);
	assert_int_equal(P->view.policy.serve, SERVE_NONE);
	run(w, 27);
	assert_false(P->view.serve_new);
	run(w, 3);
	assert_string_equal(P->last_event, "shutdown-given-up");
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_true(P->view.serve_new && P->view.serve_renew);
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	run(w, 1);
	assert_true(P->view.serve_new);
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	run(w, 1);
	crash(S, true);
	run(w, 1);
	assert_int_equal(state_of(P), FO_COMM_INT); /* serves: nobody else does */
	assert_true(P->view.serve_new);
	world_done(w);
}

/* A16: what concerns addresses that the partner has refused to know is not waited for; what it
 * could give to somebody is. */
static void shutdown_beside_an_own_range(void **state)
{
	(void)state;
	for (unsigned by_run = 0; by_run < 2; by_run++) {
		struct scope_table all;
		struct world *w = pair_with_own_scope(2, !by_run, &all);
		unsigned owed = dirty(P); /* the secondary's share of the second range */

		assert_int_equal(owed, by_run ? 1 : range_size[1] / 2);
		assert_true(request(P, 1, true));
		assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
		run(w, 2);
		assert_int_equal(state_of(P), FO_SHUTDOWN);
		assert_int_equal(state_of(S), FO_PARTNER_DOWN);
		assert_int_equal(dirty(P), owed);
		assert_int_equal(count_state(S, 0, LEASE_ACTIVE), 1);
		assert_int_equal(P->disk.rec.end.last_operational, 0);
		world_done(w);
	}
}

/* --- PARTNER-DOWN ------------------------------------------------------------------------------
 */

/* partner-down-lease-limit: keep grants MCLT, lift what is configured (A8). */
static void lease_limit_in_partner_down(void **state)
{
	(void)state;
	for (unsigned lift = 0; lift < 2; lift++) {
		struct world *w = normal_pair();
		const struct lease *l;

		P->conf.lift_lease_limit = lift;
		w->check_promises = !lift; /* of the lead time, among others */
		crash(S, true);
		run(w, 1);
		assert_true(request(P, 1, true));
		run(w, 1);
		l = pool_get(P->pool, w->client_addr[1]);
		assert_true(l->expires <= now_of(P).wall.sec + 30); /* MCLT, before */
		assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
		run(w, 1);
		assert_true(request(P, 2, true));
		run(w, 1);
		l = pool_get(P->pool, w->client_addr[2]);
		if (lift)
			assert_true(l->expires > now_of(P).wall.sec + 590);
		else
			assert_true(l->expires <= now_of(P).wall.sec + 30);
		boot(S);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
		assert_same(w, 0);
		world_done(w);
	}
}

/* With lift, who comes back alone after a long absence is held for the longest lease (A8). */
static void hold_with_lifted_limit(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	P->conf.after_outage_hold = P->conf.lift_lease_limit = true;
	primary_back_alone(w, 6);
	assert_true(P->view.hold);
	fo_endpoint_status(P->ep, &st);
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 600);
	run(w, 500);
	assert_true(P->view.hold);
	run(w, 100);
	assert_false(P->view.hold);
	world_done(w);
}

/* What happens next is said in every state. */
static void next_in_every_state(void **state)
{
	struct world *w = new_world(1);
	bool seen[256] = { false };
	struct fo_status st;

	(void)state;
	start_both(w);
	for (unsigned i = 0; i < 4000; i++) {
		if (i == 500)
			assert_null(operate(P, FO_EV_OP_PAUSE, 0));
		if (i == 600)
			assert_null(operate(P, FO_EV_OP_RESUME, 0));
		if (i == 1200)
			crash(S, true);
		if (i == 1400)
			assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
		if (i == 1500)
			boot(S);
		if (i == 3800)
			assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
		run(w, 0.0123);
		for (unsigned k = 0; k < 2; k++) {
			if (!w->n[k].up)
				continue;
			fo_endpoint_status(w->n[k].ep, &st);
			seen[st.record->end.state] = true;
			if (!*st.next)
				fail_msg("nothing is said in %s",
					 fo_state_name(st.record->end.state));
		}
	}
	assert_true(seen[FO_NORMAL] && seen[FO_COMM_INT] && seen[FO_PARTNER_DOWN]);
	assert_true(seen[FO_PAUSED] && seen[FO_SHUTDOWN] && seen[FO_STARTUP]);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_set_while_waiting),
		cmocka_unit_test(clock_set_in_partner_down),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(clock_was_behind),
		cmocka_unit_test(clock_was_behind_before),
		cmocka_unit_test(clock_there_and_back),
		cmocka_unit_test(clock_was_ahead),
		cmocka_unit_test(smaller_limit_of_skew),
		cmocka_unit_test(t001_1_clocks_apart),
		cmocka_unit_test(t001_1_compensated),
		cmocka_unit_test(shutdown_in_order),
		cmocka_unit_test(shutdown_under_load),
		cmocka_unit_test(shutdown_given_up),
		cmocka_unit_test(shutdown_beside_an_own_range),
		cmocka_unit_test(lease_limit_in_partner_down),
		cmocka_unit_test(hold_with_lifted_limit),
		cmocka_unit_test(next_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
