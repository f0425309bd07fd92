/*
 * Free addresses told by range instead of one by one: the first start of a pair, a partner of the
 * first version, which knows no runs, and runs of which both servers hold news. Two endpoints over
 * memory, see fo_world.h. failover-behaviour §6.
 */
#include "fo_pair.h"

static void test_first_start(void **state)
{
	static const uint8_t path[] = { FO_STARTUP, FO_RECOVER };
	struct world *w = new_world(3);

	(void)state;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_true(w->us < 2 * SEC); /* RECOVER-WAIT is 0 for a new pair, and shares go quickly */
	assert_memory_equal(P->trace, path, sizeof(path));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(count_state(P, i, LEASE_BACKUP), range_size[i] / 2);
		assert_int_equal(count_state(S, i, LEASE_BACKUP), range_size[i] / 2);
	}
	assert_same(w, 0);
	assert_true(P->runs_left >= 3 && P->updates_left <= 6); /* by range, not by address */
	for (unsigned a = 0; a < MAX_ADDR; a++)
		assert_false(P->disk.has[a] || S->disk.has[a]);
	assert_int_equal(P->ep->count.sent[FO_POOLRESP], S->ep->count.sent[FO_POOLREQ]);
	assert_true(fo_any(P->disk.rec.incarnation, 16));
	assert_true(fo_any(S->disk.rec.incarnation, 16));
	world_done(w);
}

/* A partner of the first version knows no runs: one address at a time, as it understands. */
static void test_first_start_without_runs(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	w->no_runs = true;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(count_state(P, i, LEASE_BACKUP), range_size[i] / 2);
		assert_int_equal(count_state(S, i, LEASE_BACKUP), range_size[i] / 2);
	}
	assert_same(w, 0);
	assert_int_equal(P->runs_written + P->runs_left, 0);
	assert_true(P->multi > 10); /* several bindings per message */
	assert_int_equal(P->max_in_flight, 10);
	world_done(w);
}

/* A secondary that lost its disk and has become one of the first version: it hears of each address
 * of its share, and may use none before. */
static void test_runs_for_former_partner(void **state)
{
	struct world *w = normal_pair();
	unsigned share = count_state(P, 0, LEASE_BACKUP);

	(void)state;
	assert_true(P->runs_left > 0);
	for (unsigned c = 1; c < 20; c++)
		(void)(request(P, c, false) + request(S, c, false));
	run(w, 1);
	crash(S, true);
	lose_disk(S);
	S->runs_written = 0;
	w->no_runs = true;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	assert_int_equal(S->runs_written, 0);
	assert_true(count_state(S, 0, LEASE_BACKUP) + 20 >= share);
	world_done(w);
}

/* The former version asks for all of what both agree about: each address is told as it is, and none
 * as wanted back. */
static void test_runs_told_one_by_one(void **state)
{
	struct world *w = normal_pair();
	unsigned share = count_state(P, 0, LEASE_BACKUP);
	uint64_t given = P->ep->count.addresses_given;

	(void)state;
	crash(S, true);
	w->no_runs = true;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	TURN(S, now);
	fo_updates_ask(S->ep, true);
	turn_end(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	run(w, 2);
	assert_int_equal(S->ep->asked_xid, 0);
	assert_true(P->disk.has[range_size[0] - 1 + 10]);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), share);
	assert_int_equal(P->ep->count.addresses_given, given);
	assert_same(w, 0);
	world_done(w);
}

/* The same secondary, of this version: runs and addresses with history are all it is told. */
static void test_runs_for_lost_disk(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned c = 1; c < 20; c++)
		(void)(request(P, c, false) + request(S, c, false));
	run(w, 1);
	P->updates_left = 0;
	crash(S, true);
	lose_disk(S);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	assert_true(P->updates_left < 20);
	assert_int_equal(count_state(S, 2, LEASE_BACKUP), range_size[2] / 2);
	world_done(w);
}

/* The primary wants a run back of which the secondary has just leased an address: the secondary
 * refuses, its client keeps the address, and what nobody used is moved later. */
static void test_run_wanted_back(void **state)
{
	struct world *w = normal_pair();
	unsigned before = count_state(P, 0, LEASE_BACKUP), other = count_state(P, 1, LEASE_BACKUP);
	unsigned c;

	(void)state;
	assert_true(before >= 24);
	P->conf.share_secondary = 10;
	S->conf.share_secondary = 10;
	P->ep->balance_at = (mono_t){ w->us }; /* it decides, and now */
	TURN(P, now);
	fo_balance(P->ep);
	turn_end(P);
	assert_true(dirty(P));
	for (c = 1; c < N_CLIENTS; c++) /* before it hears of that: all that it has left */
		(void)request(S, c, true);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(S->runs_refused, 1);
	/* asked for is not had, but in the other range */
	assert_int_equal(P->ep->count.addresses_taken, other - count_state(P, 1, LEASE_BACKUP));
	assert_same(w, 0);
	run(w, 130);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) <= 14); /* 10 % of 41, what may be off, and
								  what its clients had */
	world_done(w);
}

static void put_run(struct node *n, const struct lease *l, uint32_t length)
{
	TURN(n, now);
	fo_store_run(n->ep, l, length);
	turn_end(n);
}

/* What is left of a run may be one address, and one with a record: the partner weighs it against
 * its own run there, not against its record, or both would refuse what the other holds for ever. */
static void test_run_of_one(void **state)
{
	struct world *w = normal_pair();
	const struct lease *row;
	struct lease rest;
	unsigned c = 0;

	(void)state;
	while (!request(S, ++c, false))
		;
	run(w, 1);
	row = pool_next(S->pool, 0);
	while (!pool_has_record(S->pool, row->addr))
		row = pool_next(S->pool, row->addr + 1);
	release(S, c);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	rest = (struct lease){ .addr = row->addr,
			       .state = LEASE_BACKUP,
			       .acked_state = LEASE_FREE,
			       .serial = 1,
			       .flags = LEASE_DIRTY };
	put_run(P, &rest, 1);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 0);
	assert_same(w, 0);
	world_done(w);
}

/* Each refuses the other's word of a run in favour of its own; where both cross on the wire, the
 * refusal comes behind the word that says that it would be taken now. It is not a minute away. */
static void test_refusals_that_cross(void **state)
{
	unsigned both = 0;

	(void)state;
	for (unsigned ms = 0; ms < 20; ms++) {
		struct lease ours = { .state = LEASE_FREE, .serial = 0x9febc2af };
		struct lease theirs = { .state = LEASE_BACKUP, .serial = 1 };
		struct world *w = normal_pair();
		unsigned c = 0;

		while (!request(P, ++c, false))
			;
		ours.addr = theirs.addr = pool_next(P->pool, 0)->addr;
		ours.flags = theirs.flags = LEASE_DIRTY;
		put_run(P, &ours, 4);
		run(w, ms / 1e3);
		put_run(S, &theirs, 4);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
		assert_same(w, 0);
		both += P->ep->count.updates_rejected && S->ep->count.updates_rejected;
		world_done(w);
	}
	assert_true(both > 1);
}

/* The former version asks for updates while a run of ours waits for the disk: what the run says of
 * each of its addresses is told before UPDDONE. */
static void test_run_asked_for_one_by_one(void **state)
{
	struct world *w = normal_pair();
	struct lease l = { .state = LEASE_FREE, .serial = 7, .flags = LEASE_DIRTY };
	uint64_t done;

	(void)state;
	crash(S, true);
	w->no_runs = true;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	l.addr = w->ranges[0].first;
	assert_false(pool_has_record(P->pool, l.addr));
	put(P, pool_get(P->pool, l.addr), NULL); /* a commit, and a slow one */
	turn_end(P);
	P->commit_at = w->us + SEC / 2;
	put_run(P, &l, 4); /* with the one behind that */
	done = P->ep->count.sent[FO_UPDDONE];
	TURN(S, now);
	fo_updates_ask(S->ep, false);
	turn_end(S);
	run(w, 0.1);
	assert_true(P->ep->dump.active && !P->ep->dump.all);
	assert_int_equal(pool_run_length(P->pool, pool_run_next(P->pool, l.addr)), 4);
	for (unsigned i = 0; i < 100000 && P->ep->count.sent[FO_UPDDONE] == done; i++)
		run(w, 0.0001);
	assert_int_equal(P->ep->count.sent[FO_UPDDONE], done + 1);
	assert_int_equal(dirty(P), 0);
	for (uint32_t a = l.addr; a < l.addr + 4; a++)
		assert_int_equal(pool_get(S->pool, a)->serial, 7);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_start),
		cmocka_unit_test(test_first_start_without_runs),
		cmocka_unit_test(test_runs_for_former_partner),
		cmocka_unit_test(test_runs_told_one_by_one),
		cmocka_unit_test(test_runs_for_lost_disk),
		cmocka_unit_test(test_run_wanted_back),
		cmocka_unit_test(test_run_of_one),
		cmocka_unit_test(test_refusals_that_cross),
		cmocka_unit_test(test_run_asked_for_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
