/*
 * When the node commits: at once for who comes alone, together for those who come close to each
 * other, and without any other event when the time has come. The test says when the last commit
 * began, so no clock decides what is seen.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/node_world.h"

#define NEVER_YET 0
#define LONG_AHEAD (clock_now().mono.us + 1000 * 1000000LL)

static uint32_t pending(void)
{
	return lease_store_pending(node->store);
}

static void alone(void)
{
	configure(NULL);
	start();
	wait_until(!pending() && lease_store_idle(node->store));
}

/* One turn with so many changes for which a client waits. */
static void decide(unsigned first, unsigned count, int64_t last_commit)
{
	node_turn_begin(node);
	for (unsigned i = first; i < first + count; i++) {
		struct lease l = known_lease(FIRST + i, wall() + 600);

		assert_int_equal(node_put(node, &l, NULL), 0);
	}
	node->commit.began.us = last_commit;
	node->commit.awaited = true;
	node_turn_end(node);
}

static void who_comes_alone_waits_for_nothing(void **state)
{
	(void)state;
	alone();
	decide(0, 1, NEVER_YET);
	assert_int_equal(pending(), 0);
}

static void who_comes_close_behind_shares_a_commit(void **state)
{
	(void)state;
	alone();
	decide(0, 1, LONG_AHEAD);
	decide(1, 1, LONG_AHEAD);
	turns(20);
	assert_int_equal(pending(), 2);
	decide(2, 1, NEVER_YET);
	assert_int_equal(pending(), 0);
}

static void enough_do_not_wait_for_more(void **state)
{
	(void)state;
	alone();
	decide(0, 63, LONG_AHEAD);
	assert_int_equal(pending(), 63);
	decide(63, 1, LONG_AHEAD);
	assert_int_equal(pending(), 0);
}

/* One lease @us after the beginning of a commit of so many. Return: is it committed? */
static bool decided_after(int64_t us, uint32_t records)
{
	alone();
	node_turn_begin(node); /* the time of this turn is what counts */
	node->commit.records = records;
	decide(0, 1, node->now.mono.us - us);
	return !pending();
}

static void few_wait_for_two_milliseconds(void **state)
{
	(void)state;
	assert_false(decided_after(1900, 7));
}

static void several_wait_for_one(void **state)
{
	(void)state;
	assert_true(decided_after(1000, 8));
}

static void not_less_than_one(void **state)
{
	(void)state;
	assert_false(decided_after(900, 31));
}

static void under_full_load_for_two(void **state)
{
	(void)state;
	assert_false(decided_after(1900, 32));
}

static void not_before_full_load(void **state)
{
	(void)state;
	assert_true(decided_after(1000, 31));
}

static void the_last_commit_is_what_counts(void **state)
{
	(void)state;
	alone();
	decide(0, 9, NEVER_YET);
	assert_int_equal(node->commit.records, 9);
}

static long next_turn_us(void)
{
	struct timeval due, now;

	assert_true(event_pending(node->tick, EV_TIMEOUT, &due));
	evutil_gettimeofday(&now, NULL);
	evutil_timersub(&due, &now, &due);
	return due.tv_sec * 1000000 + due.tv_usec;
}

/* Nothing else need happen: the loop wakes up by itself. */
static void the_time_comes_by_itself(void **state)
{
	(void)state;
	alone();
	decide(0, 1, clock_now().mono.us + 5000);
	assert_int_equal(pending(), 1);
	assert_true(next_turn_us() < 50000); /* the usual tick is far behind */
	wait_until(!pending());
}

/* Its end is told: the loop does not ask for it all the time. */
static void nobody_asks_while_the_disk_is_at_work(void **state)
{
	(void)state;
	alone();
	node_turn_end(node); /* nothing else is due soon */
	atomic_store(&stalled, true);
	decide(0, 1, NEVER_YET);
	decide(1, 1, NEVER_YET);
	assert_int_equal(pending(), 1);
	assert_true(next_turn_us() > 50000);
	atomic_store(&stalled, false);
	wait_until(!pending());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_comes_alone_waits_for_nothing),
		TEST(who_comes_close_behind_shares_a_commit),
		TEST(enough_do_not_wait_for_more),
		TEST(few_wait_for_two_milliseconds),
		TEST(several_wait_for_one),
		TEST(not_less_than_one),
		TEST(under_full_load_for_two),
		TEST(not_before_full_load),
		TEST(the_last_commit_is_what_counts),
		TEST(the_time_comes_by_itself),
		TEST(nobody_asks_while_the_disk_is_at_work),
	};

	if (!own_network(CLONE_NEWNS)) {
		printf("needs namespaces of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
