/*
 * The node when more comes than it can answer: what cannot wait is heard before DISCOVERs, these
 * never stop altogether, the oldest are given up, and the partner is heard meanwhile. Counts and
 * orders, not speed: the test says when a turn is.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/node_world.h"

#define ONE_SECOND 1

/* @n messages of clients behind a relay; none is heard before the next turn. */
static void send_many(uint8_t type, unsigned first, unsigned count)
{
	static struct dhcp_build b;

	for (unsigned i = 0; i < count; i++) {
		db_init(&b, (uint8_t)(first + i));
		b.buf[DHCP_OFF_CHADDR + 4] = (uint8_t)((first + i) >> 8);
		db_opt8(&b, DHO_MESSAGE_TYPE, type);
		if (type == DHCPREQUEST) { /* INIT-REBOOT, of an address that nobody has */
			db_opt32(&b, DHO_REQUESTED_ADDRESS, FIRST + first + i);
			db_put32(&b, DHCP_OFF_CIADDR, 0);
		}
		relay_unheard(&b);
	}
}

static uint64_t offers(void)
{
	return node->count.reasons[SERVER_OFFERED];
}

static uint64_t requests(void)
{
	return node->count.datagrams - offers() - node->count.stale[DHCP_IO_DISCOVERS];
}

static void alone(void **state)
{
	(void)state;
	configure(NULL);
	start();
}

/* DISCOVERs that were there first are answered last, yet some of them in every turn. */
static void what_cannot_wait_is_heard_first(void **state)
{
	unsigned turns_taken = 0;

	alone(state);
	send_many(DHCPDISCOVER, 0, 300);
	send_many(DHCPREQUEST, 1000, 200);
	while (requests() < 200 && turns_taken < 100) {
		uint64_t before[] = { requests(), offers() };

		turn();
		turns_taken++;
		if (requests() == before[0])
			continue; /* the disk had its say alone */
		assert_true(offers() - before[1] >= 1);
		assert_true(requests() == 200 || offers() - before[1] <= NODE_BATCH / 8);
	}
	assert_int_equal(requests(), 200);
	assert_true(offers() < 200); /* 100 DISCOVERs and more still wait */
	wait_until(offers() == 300);
	assert_int_equal(node->count.datagrams, 500);
}

/* Few REQUESTs do not make DISCOVERs wait: a batch of them in the same turn. */
static void few_requests_hold_up_nobody(void **state)
{
	alone(state);
	send_many(DHCPDISCOVER, 0, NODE_BATCH);
	send_many(DHCPREQUEST, 1000, 3);
	for (unsigned i = 0; i < 100 && !requests(); i++)
		turn();
	assert_int_equal(requests(), 3);
	assert_int_equal(offers(), NODE_BATCH);
}

/* Heard a second late: the DISCOVERs are given up, whose clients ask again; REQUESTs are not. */
static void the_oldest_are_given_up(void **state)
{
	alone(state);
	send_many(DHCPDISCOVER, 0, 100);
	send_many(DHCPREQUEST, 1000, 10);
	atomic_store(&wall_offset, ONE_SECOND);
	wait_until(node->count.datagrams == 110);
	atomic_store(&wall_offset, 0);
	assert_int_equal(node->count.stale[DHCP_IO_DISCOVERS], 100);
	assert_int_equal(node->count.stale[DHCP_IO_REQUESTS], 0);
	assert_int_equal(offers(), 0);
	send_many(DHCPDISCOVER, 0, 50);
	wait_until(offers() == 50);
	assert_int_equal(node->count.stale[DHCP_IO_DISCOVERS], 100);
}

/* DISCOVERs that are too old do not take the share of those that wait behind them: new clients are
 * answered however many REQUESTs wait. */
static void the_oldest_hold_up_nobody(void **state)
{
	const unsigned rounds = 30; /* 8 in each do not get past the old ones */
	int64_t over;

	alone(state);
	send_many(DHCPDISCOVER, 0, 300);
	over = clock_now().mono.us + 1100000; /* only time makes them older than those to come */
	while (clock_now().mono.us < over)
		(void)poll(NULL, 0, 10);
	for (unsigned i = 0; i < rounds; i++) {
		send_many(DHCPREQUEST, 1000, 2 * NODE_BATCH);
		send_many(DHCPDISCOVER, 2000 + 9 * i, 9);
		turn();
	}
	assert_true(offers() >= 9);
}

/* 100 DISCOVERs that were sent before are heard, too late. */
static void hear_too_late(void)
{
	uint64_t before = node->count.stale[DHCP_IO_DISCOVERS];

	atomic_store(&wall_offset, ONE_SECOND);
	wait_until(node->count.stale[DHCP_IO_DISCOVERS] == before + 100);
	atomic_store(&wall_offset, 0);
}

static bool overload_is_told(void)
{
	node->next_refresh.us = 0;
	turn();
	return node->overload.told;
}

/* What came while the store was read is given up, and no overload; what comes after that is. */
static void the_start_is_no_overload(void **state)
{
	char err[256];

	(void)state;
	configure(NULL);
	assert_int_equal(node_open(base, conf, &node, err), 0);
	send_many(DHCPDISCOVER, 0, 100);
	assert_int_equal(node_start(node, err), 0);
	hear_too_late();
	assert_false(overload_is_told());
	assert_false(overload_is_told());
	send_many(DHCPDISCOVER, 0, 100);
	hear_too_late();
	assert_true(overload_is_told());
}

/* Nor what came while the node stood still. */
static void a_thaw_is_no_overload(void **state)
{
	alone(state);
	(void)overload_is_told(); /* the start is over */
	(void)overload_is_told();
	send_many(DHCPDISCOVER, 0, 100);
	node->last_turn.mono.us -= 2000000;
	hear_too_late();
	assert_false(overload_is_told());
	assert_false(overload_is_told());
	send_many(DHCPDISCOVER, 0, 100);
	hear_too_late();
	assert_true(overload_is_told());
}

/* While clients flood, the partner is heard before all of theirs has been, and answered. */
static void the_partner_is_heard_meanwhile(void **state)
{
	uint64_t sent;

	(void)state;
	store_normal(false);
	configure("secondary");
	start();
	link_normal();
	sent = node->count.datagrams;
	for (unsigned round = 0; round < 20; round++) {
		const struct lease *l = pool_get(node->pool, FIRST + round);

		send_many(DHCPREQUEST, 0, 6 * NODE_BATCH);
		send_many(DHCPDISCOVER, 0, 2 * NODE_BATCH);
		sent += 8 * NODE_BATCH;
		peer_updates(FIRST + round, 1);
		wait_until(l->state == LEASE_ACTIVE);
		assert_in_range(sent - node->count.datagrams, 4 * NODE_BATCH, 8 * NODE_BATCH);
		wait_until(peer_hears(FO_BNDACK));
		wait_until(node->count.datagrams == sent);
	}
	assert_int_equal(state_of(), FO_NORMAL);
	peer_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_cannot_wait_is_heard_first, setup, teardown),
		cmocka_unit_test_setup_teardown(few_requests_hold_up_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_are_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_hold_up_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(the_start_is_no_overload, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thaw_is_no_overload, setup, teardown),
		cmocka_unit_test_setup_teardown(the_partner_is_heard_meanwhile, setup, teardown),
	};

	if (!own_network(CLONE_NEWNS)) {
		printf("needs namespaces of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
