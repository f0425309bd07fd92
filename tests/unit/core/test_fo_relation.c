/*
 * The relationship of two servers: clocks that differ, what is agreed with the connection, and the
 * states that they enter by themselves or by the operator's word. Two endpoints over memory, see
 * fo_world.h. failover-behaviour §3, §7; decisions A10, A11, A16, A21.
 */
#include "fo_pair.h"

/* --- time ------------------------------------------------------------------------------------- */

static void test_clocks_apart(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	S->skew = 20;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 2);
	for (unsigned a = 0; a < MAX_ADDR; a++)
		if (P->disk.l[a].state == LEASE_ACTIVE)
			assert_true(llabs((int64_t)P->disk.l[a].expires + 20 -
					  S->disk.l[a].expires) <= 1);
	world_done(w);
}

static void test_clocks_too_far_apart(void **state) /* A21, T001-1 */
{
	struct world *w = new_world(2);
	struct fo_status st;

	(void)state;
	S->skew = 61;
	start_both(w);
	run(w, 5);
	assert_int_equal(state_of(P), FO_NORMAL); /* connected all the same */
	assert_true(request(P, 1, true));
	run(w, 2);
	assert_true(dirty(P) > 0);
	assert_true(P->ep->count.updates_rejected_by_partner > 0);
	assert_int_equal(state_of(P), FO_NORMAL);
	fo_endpoint_status(P->ep, &st);
	assert_true(st.clock_skew_ms > 60000);
	S->skew = 0; /* mended: everything is told again */
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	S->skew = 30 * 86400; /* more than 31 bits of milliseconds */
	run(w, 3);
	fo_endpoint_status(P->ep, &st);
	assert_true(st.clock_skew_ms / 1000 > 30 * 86400 - 5);
	world_done(w);
}

/* --- what both agree about -------------------------------------------------------------------- */

static void test_primary_decides(void **state) /* A16 */
{
	struct world *w = new_world(2);

	(void)state;
	S->conf.mclt = 300;
	memset(S->conf.policy.hba, 0, 32);
	memset(P->conf.policy.hba, 0xff, 22);
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(S->disk.rec.mclt, 30);
	assert_int_equal(S->view.mclt, 30);
	assert_int_equal(S->view.policy.owned[21], 0);
	assert_int_equal(S->view.policy.owned[22], 0xff);
	crash(S, true);
	boot(S);
	run(w, 0.0005);
	assert_int_equal(S->ep->policy.hba[21], 0xff); /* remembered */
	world_done(w);
}

static void test_lead_time_changes(void **state) /* A16 */
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.mclt = 20; /* lowered: at once for promises, later for waits */
	restart(P);
	assert_int_equal(P->view.mclt, 20);
	assert_int_equal(S->view.mclt, 20);
	assert_int_equal(P->disk.rec.mclt_former, 30);
	secondary_down(w, 1);
	run(w, 0.1);
	assert_int_equal(P->view.partner_pool_from, P->disk.rec.end.stos + 30);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	crash(P, true);
	crash(S, true);
	P->conf.mclt = 100; /* raised: only when the secondary knows */
	boot(P);
	run(w, 6);
	assert_int_equal(P->view.mclt, 20);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_int_equal(P->view.mclt, 100);
	assert_int_equal(S->disk.rec.mclt, 100);
	world_done(w);
}

/* Somebody in the primary's name goes by a lead time of a day. Return: what the primary knew. */
static struct world *lead_of_a_day(struct disk *ret_primary)
{
	struct world *w = normal_pair();

	*ret_primary = P->disk;
	P->conf.mclt = 86400;
	restart(P);
	assert_int_equal(S->view.mclt, 86400);
	P->conf.mclt = 30;
	return w;
}

/* The true one says that nobody of this pair ever promised anything by it: waits go by its own. */
static void test_lead_time_that_never_was(void **state)
{
	static struct disk before;

	(void)state;
	for (unsigned waiting = 0; waiting < 2; waiting++) {
		struct world *w = lead_of_a_day(&before);

		crash(S, true);
		S->disk.rec.end.lost_storage = true;
		if (waiting) { /* begun beside the wrong one, who is still there */
			P->conf.mclt = 86400;
			boot(S);
			run(w, 100);
			assert_int_equal(state_of(S), FO_RECOVER_WAIT);
			P->conf.mclt = 30;
		}
		crash(P, true);
		before.starts = P->disk.starts;
		P->disk = before;
		boot(P);
		if (!waiting)
			boot(S);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 45));
		assert_int_equal(S->disk.rec.mclt, 30);
		assert_int_equal(S->disk.rec.mclt_former, 0);
		world_done(w);
	}
}

/* It was, and what rests on it may run; or the primary has forgotten whether it was. */
static void test_lead_time_that_was(void **state)
{
	static struct disk before;

	(void)state;
	for (unsigned forgotten = 0; forgotten < 2; forgotten++) {
		struct world *w = lead_of_a_day(&before);

		crash(S, true);
		S->disk.rec.end.lost_storage = true;
		crash(P, true);
		if (forgotten)
			lose_disk(P);
		boot(P);
		boot(S);
		run(w, 3600);
		assert_int_equal(S->disk.rec.mclt, 30);
		assert_int_equal(S->disk.rec.mclt_former, 86400);
		assert_int_equal(state_of(S), FO_RECOVER_WAIT);
		world_done(w);
	}
}

/* The secondary has forgotten a former lead time, or was talked out of it: the primary knows. */
static void test_lead_time_is_learned_again(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.mclt = 20;
	restart(P);
	assert_int_equal(S->disk.rec.mclt_former, 30);
	crash(S, true);
	S->disk.rec.mclt_former = S->disk.rec.mclt_until = 0;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 45));
	assert_int_equal(S->disk.rec.mclt, 20);
	assert_int_equal(S->disk.rec.mclt_former, 30);
	assert_true(S->disk.rec.mclt_until >= P->disk.rec.mclt_until);
	world_done(w);
}

static void test_wrong_name(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	S->conf.name = "Campus";
	start_both(w);
	run(w, 0.05);
	assert_string_equal(P->last_event, "connect-rejected");
	assert_non_null(strstr(P->last_why, "partner"));
	run(w, 10);
	assert_int_equal(state_of(P), FO_RECOVER);
	assert_int_equal(P->ep->count.links, 0);
	world_done(w);
}

/* --- its states ------------------------------------------------------------------------------- */

static void test_auto_partner_down(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	P->conf.auto_partner_down_sec = 40;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	crash(S, true);
	run(w, 39);
	assert_int_equal(state_of(P), FO_COMM_INT);
	run(w, 2);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	world_done(w);
}

static void test_pause_and_shutdown(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 1);
	assert_int_equal(state_of(P), FO_PAUSED);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 5));
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	run(w, 1);
	assert_int_equal(state_of(P), FO_SHUTDOWN);
	assert_int_equal(state_of(S), FO_PARTNER_DOWN);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 5)); /* no wait: all was acknowledged (A10) */
	world_done(w);
}

/* Decision A11: in POTENTIAL-CONFLICT, and the partner does nothing about it. It is the primary's
 * turn, so that nothing was asked for either. */
static void test_conflict_without_progress(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	run(w, 10);
	S->ep->rec.end.state = FO_POTENTIAL_CONFLICT;
	S->ep->progress = (mono_t){ w->us };
	run(w, 299);
	assert_int_equal(S->ep->count.links_lost, 0);
	run(w, 2);
	assert_int_equal(S->ep->count.links_lost, 1);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	world_done(w);
}

static void test_contact_does_not_wait(void **state)
{
	struct world *w = normal_pair();
	uint64_t sent = S->ep->count.sent[FO_CONTACT];

	(void)state;
	S->commit_at = w->us + 30 * SEC; /* the disk hangs */
	S->committing = S->open++;
	run(w, 20);
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_true(S->ep->count.sent[FO_CONTACT] - sent >= 19);
	assert_true(S->ep->count.sent[FO_CONTACT] - sent <= 21);
	world_done(w);
}

/* --- what the partner lacks ------------------------------------------------------------------- */

static void lease_to(struct node *n, uint32_t addr, unsigned client, uint32_t serial)
{
	uint32_t at = (uint32_t)(BASE + n->w->us / SEC);
	struct lease_client c = client_of(client);
	struct lease l = *pool_get(n->pool, addr);

	l.state = l.acked_state = LEASE_ACTIVE;
	l.flags = LEASE_DIRTY;
	l.serial = serial;
	l.stos = l.cltt = l.starts = at;
	l.expires = at + 4000;
	l.key = lease_client_key(&secret, &c);
	TURN(n, now);
	fo_store(n->ep, &l, &c);
	turn_end(n);
}

/* It is told once an hour (A16), also while other updates are refused and told again; and it does
 * not make these wait. */
static void test_lacked_has_its_own_pace(void **state)
{
	struct scope_table all;
	struct world *w = pair_with_own_scope(2, false, &all);
	uint32_t first = w->ranges[0].first;

	(void)state;
	w->check_promises = false;
	run(w, 5);
	lease_to(P, all.ranges[1].first, 1, 5);
	run(w, 5);
	assert_int_equal(pool_lacked_count(P->pool, 0), 2); /* the lease, and its range's run */
	assert_int_equal(P->ep->rejected, 0);
	for (unsigned i = 0; i < 1200; i++) { /* meanwhile others are refused */
		lease_to(P, first + 1, 3, 1000 + i);
		fo_retry_later(P->ep, FO_REJECT_LESS_CRITICAL);
		run(w, 1);
	}
	assert_true(P->ep->retry_sec || !P->ep->rejected);
	assert_int_equal(pool_lacked_count(P->pool, 0), 2);
	assert_int_equal(P->lacked, 2); /* once each, within this hour */
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lacked_has_its_own_pace),
		cmocka_unit_test(test_clocks_apart),
		cmocka_unit_test(test_clocks_too_far_apart),
		cmocka_unit_test(test_primary_decides),
		cmocka_unit_test(test_lead_time_changes),
		cmocka_unit_test(test_lead_time_that_never_was),
		cmocka_unit_test(test_lead_time_that_was),
		cmocka_unit_test(test_lead_time_is_learned_again),
		cmocka_unit_test(test_wrong_name),
		cmocka_unit_test(test_auto_partner_down),
		cmocka_unit_test(test_pause_and_shutdown),
		cmocka_unit_test(test_conflict_without_progress),
		cmocka_unit_test(test_contact_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
