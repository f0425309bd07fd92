/*
 * The shares of both servers: how many addresses move, which, when, and who has to agree first. Two
 * endpoints over memory, see fo_world.h. failover-behaviour §6; decision A4.
 */
#include "fo_pair.h"

static void test_share_move(void **state)
{
	static const struct {
		const char *ref;
		struct fo_share_rule r;
		uint32_t free, backup;
		bool eager;
		int64_t move;
	} row[] = {
		{ "A4 first", { 50, false, 15, 10 }, 100, 0, false, 50 },
		{ "A4 settled", { 50, false, 15, 10 }, 50, 50, false, 0 },
		{ "A4 within", { 50, false, 15, 10 }, 65, 35, false, 0 },
		{ "A4 beyond", { 50, false, 15, 10 }, 66, 34, false, 16 },
		{ "A4 back", { 50, false, 15, 10 }, 34, 66, false, -16 },
		{ "A4 back within", { 50, false, 15, 10 }, 35, 65, false, 0 },
		{ "6.2 asked", { 50, false, 15, 10 }, 65, 35, true, 15 },
		{ "A4 fewer than 2", { 50, false, 15, 10 }, 5, 1, false, 2 },
		{ "A4 fewer than 2", { 50, false, 15, 10 }, 1, 5, false, -2 },
		{ "A4 70:30", { 30, false, 15, 10 }, 100, 0, false, 30 },
		{ "A4 reserve", { 5, true, 15, 10 }, 30, 0, false, 2 },
		{ "A4 mirrored", { 95, false, 15, 10 }, 30, 0, false, 28 },
		{ "one", { 50, false, 15, 10 }, 1, 0, false, 0 },
		{ "none", { 50, false, 15, 10 }, 0, 0, true, 0 },
		{ "large", { 50, false, 15, 10 }, 4000000000u, 0, false, 2000000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int64_t m = fo_share_move(&row[i].r, row[i].free, row[i].backup, row[i].eager);

		if (m != row[i].move)
			fail_msg("row %zu (%s): %lld", i, row[i].ref, (long long)m);
	}
}

static void test_share_hold(void **state)
{
	const struct fo_share_rule half = { 50, false, 15, 10 }, none = { 0, true, 15, 10 };

	(void)state;
	assert_int_equal(fo_share_hold(&half, 60, 40), 10);
	assert_int_equal(fo_share_hold(&half, 3, 1), 0);
	assert_int_equal(fo_share_hold(&half, 8, 2), 1);
	/* fewer than two: used ones move too, else a standby keeps one address for ever (A4) */
	assert_int_equal(fo_share_hold(&half, 71, 1), 0);
	assert_int_equal(fo_share_hold(&none, 60, 40), 0);
	/* a reserve of nothing is nothing, whatever may be off elsewhere (T001-4) */
	assert_int_equal(fo_share_move(&none, 97, 3, false), -3);
	assert_int_equal(fo_share_move(&none, 100, 0, true), 0);
}

static void test_reserve_of_standby(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		w->n[i].conf.policy.hot_standby = true;
		w->n[i].conf.policy.active_is_primary = true;
		w->n[i].conf.standby_reserve = 5;
	}
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 4); /* 3.2 rounded up */
	assert_int_equal(count_state(S, 1, LEASE_BACKUP), 2);
	assert_int_equal(P->view.policy.owned[0], 0xff);
	assert_int_equal(S->view.policy.owned[31], 0);
	world_done(w);
}

/* Freed addresses go where their last client is served, while that is not more than the slack. */
static void test_freed_go_to_their_clients(void **state)
{
	struct world *w = normal_pair();
	unsigned fond = 0, other = 0, seen = 0;

	(void)state;
	w->lease_time = 20;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		(void)(request(P, c, false) || request(S, c, false));
	run(w, 35);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	for (unsigned c = 1; c < N_CLIENTS; c++) {
		const struct lease *l = &P->disk.l[w->client_addr[c] - FIRST];

		if (!w->client_addr[c])
			continue;
		seen++;
		assert_true(l->state == LEASE_FREE || l->state == LEASE_BACKUP);
		if (bucket_of(c) >= 128)
			fond += l->state == LEASE_BACKUP;
		else
			other += l->state == LEASE_BACKUP;
	}
	assert_true(seen > 15);
	assert_true(fond > 5); /* they are the secondary's at once, and its alone */
	assert_int_equal(other, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) <= 32 + 6);
	world_done(w);
}

/* The secondary has nothing left: it says so, asks at once, and has its share within seconds. */
static void test_empty_share(void **state)
{
	struct world *w = normal_pair();
	unsigned asked;

	(void)state;
	run(w, 70); /* what it asked at the beginning is long ago */
	S->ep->poolreq_at = mono_add_us((mono_t){ w->us }, 50 * SEC);
	asked = (unsigned)S->ep->count.sent[FO_POOLREQ];
	P->ep->balance_at = P->ep->balanced = mono_add_us((mono_t){ w->us }, 1000 * SEC);
	for (unsigned i = 0; i < 32; i++) { /* all that it has, for others */
		const struct lease *l = pool_free_first(S->pool, &w->scopes[0], LEASE_BACKUP);
		struct lease d;

		if (!l)
			break;
		d = *l;
		d.state = LEASE_ABANDONED;
		d.expires = (uint32_t)(BASE + w->us / SEC + 1000);
		d.serial++;
		d.flags |= LEASE_DIRTY;
		(void)pool_apply(S->pool, &d, S->open);
		put(S, &d, NULL);
	}
	turn_end(S);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP) + 0, 32); /* on disk a moment later */
	P->ep->balance_at = P->ep->balanced = mono_add_us((mono_t){ w->us }, 1000 * SEC);
	run(w, 3);
	assert_true(S->ep->count.sent[FO_POOLREQ] > asked);
	assert_true(count_state(S, 0, LEASE_BACKUP) >= 14);
	assert_false(S->ep->starved);
	world_done(w);
}

static void test_shares_follow_use(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	/* the primary uses up its 32: it takes some of the secondary's, who agrees */
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	run(w, 5);
	assert_same(w, 0);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), (64 - 23) / 2);
	assert_true(P->ep->count.addresses_taken > 0);
	assert_int_equal(dirty(P) + dirty(S), 0);
	world_done(w);
}

static void test_taking_back_what_is_used(void **state)
{
	struct world *w = normal_pair();
	unsigned given = 0;

	(void)state;
	for (unsigned c = 1; c < 16; c++)
		assert_true(request(P, c, true));
	w->us += 1100000; /* balancing is due with the next event */
	for (unsigned c = 16; c < N_CLIENTS; c++)
		given += request(S, c, true);
	assert_int_equal(given, 8);
	run(w, 5);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 23);
	assert_same(w, 0);
	world_done(w);
}

static void test_taking_back_slowly(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	run(w, 0.2);
	S->commit_at = w->us + 5 * SEC; /* its word takes time: nothing is asked twice */
	S->committing = S->open++;
	run(w, 4);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 32);
	assert_int_equal(P->ep->count.addresses_taken, 0);
	run(w, 5);
	assert_int_equal(P->ep->count.addresses_taken, 12);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 20);
	assert_same(w, 0);
	world_done(w);
}

/* The secondary's word comes when NORMAL has been left: the addresses are the primary's. */
static void taking_back_until_paused(struct world *w, unsigned taken, unsigned left)
{
	run(w, 0.2);
	S->commit_at = w->us + 5 * SEC;
	S->committing = S->open++;
	assert_null(operate(S, FO_EV_OP_PAUSE, 0));
	run(w, 4);
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_int_equal(P->ep->count.addresses_taken, 0);
	run(w, 2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(P->ep->count.addresses_taken, taken);
	assert_int_equal(dirty(P), 0);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), left);
	assert_same(w, 0);
	world_done(w);
}

static void test_taking_back_until_paused(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	taking_back_until_paused(w, 12, 20);
	w = new_world(1);
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	P->conf.share_secondary = 20; /* a run of them */
	assert_true(request(P, 1, true));
	taking_back_until_paused(w, 20, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share_move),
		cmocka_unit_test(test_share_hold),
		cmocka_unit_test(test_reserve_of_standby),
		cmocka_unit_test(test_freed_go_to_their_clients),
		cmocka_unit_test(test_empty_share),
		cmocka_unit_test(test_shares_follow_use),
		cmocka_unit_test(test_taking_back_what_is_used),
		cmocka_unit_test(test_taking_back_slowly),
		cmocka_unit_test(test_taking_back_until_paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
