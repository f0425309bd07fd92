/*
 * The connections of the failover relationships, without what is said on them: which of two counts,
 * which gives way, what ends them.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 * First: it waits for ten seconds in all.
 */
#include "fo_session_world.h"

/* Half a message is nothing that could be done: the loop sleeps until the rest comes. */
static void half_a_message(void **state)
{
	uint8_t buf[FO_MSG_MAX];
	size_t len = message(FO_CONTACT, buf);
	int fd;

	(void)state;
	start(SECONDARY);
	fd = they_connect();
	they_say(fd, FO_CONNECT);
	wait_until(heard == 1);
	they_write(fd, buf, len - 1);
	turns(50);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	they_write(fd, buf + len - 1, 1);
	wait_until(heard == 2);
	close(fd);
	wait_until(downs == 1);
}

/* The first CONNECT counts; the second is told so before its connection ends (failover-wire §1.2).
 */
static void a_second_connection(void **state)
{
	struct last last;
	int first, second;

	(void)state;
	start(SECONDARY);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(ups == 1);
	second = they_connect();
	they_say(second, FO_CONNECT);
	last = they_hear_the_end(second);
	assert_int_equal(last.type, FO_CONNECTACK);
	assert_int_equal(last.reason, FO_REJECT_DUPLICATE_CONNECTION);
	they_say(first, FO_CONTACT);
	wait_until(heard == 2);
	assert_int_equal(ups, 1);
	assert_int_equal(downs, 0);
	close(first);
	close(second);
}

/* Silent beyond the receive timer: it gives way. */
static void a_silent_connection(void **state)
{
	int first, second;

	(void)state;
	start(SECONDARY ", contact-timeout: 1s");
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(ups == 1);
	for (int64_t until = clock_now().mono.us + 1100000; clock_now().mono.us < until;)
		turn();
	second = they_connect();
	they_say(second, FO_CONNECT);
	wait_until(ups == 2);
	assert_int_equal(downs, 1);
	assert_int_equal(they_hear_the_end(first).type, 0);
	they_say(second, FO_CONTACT);
	wait_until(heard == 3);
	close(first);
	close(second);
}

/* The secondary's own connection is an invitation and gives way to the primary's, as long as the
 * primary has not spoken on it. */
static void both_connect_to_us(void **state)
{
	int listener, own, theirs;

	(void)state;
	listener = they_listen();
	start(SECONDARY ", dialect: isc");
	own = they_accept(listener);
	wait_until(ups == 1);
	theirs = they_connect();
	they_say(theirs, FO_CONNECT);
	wait_until(ups == 2);
	assert_int_equal(downs, 1);
	assert_true(they_hear_the_end(own).closed);
	they_say(theirs, FO_CONTACT);
	wait_until(heard == 2);
	close(own);
	close(theirs);
	close(listener);
}

static void spoken_on_ours(void **state)
{
	int listener, own, theirs;
	struct last last;

	(void)state;
	listener = they_listen();
	start(SECONDARY ", dialect: isc");
	own = they_accept(listener);
	they_say(own, FO_CONNECT);
	wait_until(heard == 1);
	theirs = they_connect();
	they_say(theirs, FO_CONNECT);
	last = they_hear_the_end(theirs);
	assert_int_equal(last.reason, FO_REJECT_DUPLICATE_CONNECTION);
	they_say(own, FO_CONTACT);
	wait_until(heard == 2);
	assert_int_equal(downs, 0);
	close(own);
	close(theirs);
	close(listener);
}

/* The primary has a link: what comes in beside it is closed without a word. */
static void beside_our_own(void **state)
{
	int listener, own, theirs;

	(void)state;
	listener = they_listen();
	start(PRIMARY);
	own = they_accept(listener);
	wait_until(ups == 1);
	theirs = they_connect();
	assert_int_equal(they_hear_the_end(theirs).type, 0);
	they_say(own, FO_CONTACT);
	wait_until(heard == 1);
	assert_int_equal(downs, 0);
	close(own);
	close(theirs);
	close(listener);
}

/* It has none: it speaks on the one that came in, and connects itself once that is gone. */
static void instead_of_our_own(void **state)
{
	int listener, own, theirs;

	(void)state;
	start(PRIMARY);
	theirs = they_connect();
	wait_until(ups == 1);
	they_say(theirs, FO_CONTACT);
	wait_until(heard == 1);
	listener = they_listen();
	close(theirs);
	wait_until(downs == 1);
	own = they_accept(listener);
	wait_until(ups == 2);
	close(own);
	close(listener);
}

static inline void address_of_lo(uint32_t addr) /* 0: none */
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
	struct ifreq lo = { 0 };

	memcpy(&lo.ifr_addr, &a, sizeof(a));
	assert_int_equal(of_lo(SIOCSIFADDR, lo), 0);
}

/* Our own address is taken away: told by who calls and by who is called; the link is made when it
 * is back. */
static void the_address_goes(void **state)
{
	int listener = they_listen(), fd;

	(void)state;
	start(PRIMARY "}\n  - {name: r1, local: 127.0.0.1, partner: 127.0.0.2, " SECONDARY);
	event_active(net->links[1].retry, EV_TIMEOUT, 0); /* not in five seconds */
	address_of_lo(0);
	wait_until(refused[FO_REFUSED_LOCAL] == 3); /* of both */
	address_of_lo(INADDR_LOOPBACK);
	fd = they_accept(listener);
	wait_until(ups == 1);
	assert_null(net->links[1].bev); /* the secondary has called nobody */
	close(fd);
	close(listener);
}

/* Another configuration: every connection ends, also one that has not spoken yet. */
static void used_anew(void **state)
{
	struct conf *next;
	int first, second;

	(void)state;
	start(SECONDARY);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(heard == 1);
	second = they_connect();
	turns(20);
	next = configuration(SECONDARY ", max-unacked-updates: 7");
	fo_net_use(net, next, keys);
	conf_free(conf);
	conf = next;
	assert_true(they_hear_the_end(first).closed);
	assert_true(they_hear_the_end(second).closed);
	close(first);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(heard == 2);
	close(first);
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(half_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(a_silent_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(both_connect_to_us, setup, teardown),
		cmocka_unit_test_setup_teardown(spoken_on_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(beside_our_own, setup, teardown),
		cmocka_unit_test_setup_teardown(instead_of_our_own, setup, teardown),
		cmocka_unit_test_setup_teardown(the_address_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(used_anew, setup, teardown),
	};

	if (!world_begin())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
