/*
 * Cases of acceptance, by their ids (tests/CASES), and the operator's verbs: two endpoints over
 * memory, see fo_world.h. FO_TRACE=1 prints events, FO_WIRE=1 messages.
 */
#include "fo_world.h"

#define P (&w->n[0])
#define S (&w->n[1])

static struct world *new_world(unsigned scopes)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, scopes);
	return w;
}

static struct world *normal_pair(void)
{
	struct world *w = new_world(2);

	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	return w;
}

static const char *operate(struct node *n, enum fo_event ev, uint32_t since)
{
	const char *why;

	TURN(n, now);
	why = fo_endpoint_operate(n->ep, ev, since, &now);
	turn_end(n);
	return why;
}

/* --- clocks ------------------------------------------------------------------------------------
 */

static void set_clock(struct node *n, int64_t by)
{
	struct now now;

	n->skew += by;
	now = now_of(n);
	fo_endpoint_turn(n->ep, n->open, &now);
	fo_endpoint_clock_moved(n->ep, by, &now);
	turn_end(n);
}

/* The waits of RECOVER-WAIT and of a hold last as long as they would have. */
static void clock_set_while_waiting(void **state)
{
	static const int64_t by[] = { 1000, -1000 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = normal_pair();
		struct fo_status st;
		int64_t died, left;

		w->check_promises = false; /* they are counted by one clock */
		run(w, 12);
		died = w->us;
		crash(S, true);
		run(w, 1);
		assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
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
	crash(S, true);
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	set_clock(P, 7200);
	run(w, 1);
	assert_true(P->view.partner_pool_from > now_of(P).wall.sec + 25);
	assert_true(P->view.partner_pool_from <= now_of(P).wall.sec + 30);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	world_done(w);
}

/* The smaller limit of both holds on both (features 13.2). */
static void smaller_limit_of_skew(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = new_world(2);
		struct fo_status st;

		w->n[i].conf.max_clock_skew_sec = 10;
		S->skew = 20;
		start_both(w);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_set_while_waiting),
		cmocka_unit_test(clock_set_in_partner_down),
		cmocka_unit_test(smaller_limit_of_skew),
		cmocka_unit_test(t001_1_clocks_apart),
		cmocka_unit_test(t001_1_compensated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
