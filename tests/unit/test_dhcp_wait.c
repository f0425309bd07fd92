/*
 * net/dhcp_wait: which of a queue are given up. The oldest, all that are too old at once, and never
 * those that came since.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/dhcp_wait.h"

#define MS 1000

static void test_the_age(void **state)
{
	static const struct {
		enum dhcp_io_kind kind;
		int64_t age_ms;
		bool over;
	} row[] = {
		{ DHCP_IO_DISCOVERS, 0, false },   { DHCP_IO_DISCOVERS, 1000, false },
		{ DHCP_IO_DISCOVERS, 1001, true }, { DHCP_IO_DISCOVERS, 86400000, true },
		{ DHCP_IO_REQUESTS, 1001, false }, { DHCP_IO_REQUESTS, 2000, false },
		{ DHCP_IO_REQUESTS, 2001, true },  { DHCP_IO_REQUESTS, 0, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct dhcp_wait w = { 0 };

		assert_int_equal(dhcp_wait_is_over(&w, row[i].kind, row[i].age_ms * MS),
				 row[i].over);
	}
}

/* Once the head is too old, so is all that is more than a quarter as old; then all is well again.
 */
static void test_not_one_by_one(void **state)
{
	static const struct {
		int64_t age_ms;
		bool over;
	} row[] = {
		{ 990, false }, { 1100, true }, { 990, true },	{ 500, true },
		{ 251, true },	{ 250, false }, { 260, false }, { 990, false },
		{ 1001, true }, { 300, true },	{ 0, false },	{ 600, false },
	};
	struct dhcp_wait w = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(dhcp_wait_is_over(&w, DHCP_IO_DISCOVERS, row[i].age_ms * MS),
				 row[i].over);
}

/* A queue of at most @room, which drops the newest when it is full, and a server that is @slower
 * than what arrives, each millisecond. Returns how many were answered; none too late. */
static unsigned play(unsigned arrive, unsigned serve, unsigned room, int64_t *ret_oldest)
{
	static int64_t queue[1 << 20];
	unsigned head = 0, tail = 0, answered = 0;
	struct dhcp_wait w = { 0 };

	*ret_oldest = 0;
	for (int64_t now = 0; now < 20000; now++) {
		for (unsigned i = 0; i < arrive; i++)
			if (tail - head < room)
				queue[tail++ % (1 << 20)] = now;
		for (unsigned done = 0; done < serve && head < tail;) {
			int64_t age = now - queue[head++ % (1 << 20)];

			if (dhcp_wait_is_over(&w, DHCP_IO_DISCOVERS, age * MS))
				continue;
			*ret_oldest = age > *ret_oldest ? age : *ret_oldest;
			answered++;
			done++;
		}
	}
	return answered;
}

/* Ten times too much: as many are answered as can be, whether the queue is long or short for the
 * speed, and none of them later than its client waits. */
static void test_ten_times_too_much(void **state)
{
	int64_t oldest;

	(void)state;
	assert_in_range(play(100, 10, 6500, &oldest), 199000, 200000);
	assert_in_range(oldest, 0, 1000);
	assert_in_range(play(10, 1, 6500, &oldest), 19000, 20000);
	assert_in_range(oldest, 501, 1000);
	assert_int_equal(play(1, 10, 6500, &oldest), 20000); /* and nothing is lost without need */
	assert_int_equal(oldest, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_age),
		cmocka_unit_test(test_not_one_by_one),
		cmocka_unit_test(test_ten_times_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
