/* Addresses held, beside a naive model; an address given twice is always named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tools/lib/bench.h"

#define CLIENTS 600
#define ADDRESSES 900

static void two_clients_are_noticed(void **state)
{
	struct bench_held *h = bench_held_new(10);

	(void)state;
	assert_int_equal(bench_held_take(h, 7, 1, 100, 50), BENCH_NONE);
	assert_int_equal(bench_held_take(h, 7, 1, 120, 60), BENCH_NONE); /* renewed */
	assert_int_equal(bench_held_take(h, 7, 2, 130, 119), 1);
	assert_int_equal(bench_held_owner(h, 7), 2);
	bench_held_drop(h, 7, 1); /* not its any more */
	assert_int_equal(bench_held_owner(h, 7), 2);
	bench_held_free(h);
}

static void released_and_expired_are_free(void **state)
{
	struct bench_held *h = bench_held_new(10);

	(void)state;
	assert_int_equal(bench_held_take(h, 7, 1, 100, 50), BENCH_NONE);
	bench_held_drop(h, 7, 1);
	assert_int_equal(bench_held_owner(h, 7), BENCH_NONE);
	assert_int_equal(bench_held_take(h, 7, 2, 100, 50), BENCH_NONE);
	assert_int_equal(bench_held_take(h, 7, 3, 200, 100), BENCH_NONE);
	bench_held_drop(h, 0, 3); /* who has none gives none back */
	assert_int_equal(bench_held_take(h, 0, 3, 200, 100), BENCH_NONE);
	assert_int_equal(bench_held_owner(h, 7), 3);
	bench_held_free(h);
}

/* More addresses, one after the other, than the table has places. */
static void a_long_run_does_not_fill_it(void **state)
{
	struct bench_held *h = bench_held_new(CLIENTS);
	static uint32_t addr[CLIENTS];

	(void)state;
	memset(addr, 0, sizeof(addr));
	for (uint32_t i = 1; i < 200000; i++) {
		uint32_t n = (uint32_t)bench_mix64(i) % CLIENTS;

		bench_held_drop(h, addr[n], n);
		addr[n] = i;
		assert_int_equal(bench_held_take(h, i, n, 1000, 1), BENCH_NONE);
		assert_int_equal(bench_held_take(h, i, CLIENTS, 1000, 1), n);
		assert_int_equal(bench_held_take(h, i, n, 1000, 1), CLIENTS);
	}
	for (uint32_t n = 0; n < CLIENTS; n++)
		assert_int_equal(bench_held_owner(h, addr[n]), n);
	bench_held_free(h);
}

struct model {
	uint32_t owner[ADDRESSES + 1], expiry[ADDRESSES + 1], of[CLIENTS];
};

static uint32_t model_take(struct model *m, uint32_t addr, uint32_t n, uint32_t expiry,
			   uint32_t now)
{
	uint32_t other = m->owner[addr];
	bool held = other != BENCH_NONE && other != n && m->expiry[addr] > now;

	m->owner[addr] = n;
	m->expiry[addr] = expiry;
	return held ? other : BENCH_NONE;
}

static void model_drop(struct model *m, uint32_t addr, uint32_t n)
{
	if (addr && m->owner[addr] == n)
		m->owner[addr] = BENCH_NONE;
}

static void as_the_naive_model(void **state)
{
	struct bench_held *h = bench_held_new(CLIENTS);
	static struct model m;
	unsigned twice = 0;

	(void)state;
	memset(m.owner, 0xff, sizeof(m.owner));
	for (uint32_t i = 0; i < 300000; i++) {
		uint64_t r = bench_mix64(i);
		uint32_t n = (uint32_t)r % CLIENTS, addr = (uint32_t)(r >> 32) % ADDRESSES + 1;
		uint32_t now = i / 100, expected;

		bench_held_drop(h, m.of[n], n);
		model_drop(&m, m.of[n], n);
		m.of[n] = 0;
		if (r >> 60 < 4)
			continue;
		m.of[n] = addr;
		expected = model_take(&m, addr, n, now + 5, now);
		assert_int_equal(bench_held_take(h, addr, n, now + 5, now), expected);
		twice += expected != BENCH_NONE;
	}
	for (uint32_t a = 1; a <= ADDRESSES; a++)
		assert_int_equal(bench_held_owner(h, a), m.owner[a]);
	assert_true(twice > 1000);
	bench_held_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_clients_are_noticed),
		cmocka_unit_test(released_and_expired_are_free),
		cmocka_unit_test(a_long_run_does_not_fill_it),
		cmocka_unit_test(as_the_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
