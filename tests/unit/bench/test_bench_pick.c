/* Which client and which exchange is next: every one of a class can come, none of another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tools/lib/bench.h"

#define CLIENTS 50

static enum bench_class class[CLIENTS];

/* Draws until each of the class has come, and only those. */
static void expect_all_of(const struct bench_pick *p, enum bench_class wanted)
{
	bool seen[CLIENTS] = { false };
	unsigned members = 0, found = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		members += class[i] == wanted;
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t n = bench_pick_any(p, wanted, (uint32_t)bench_mix64(i));

		if (!members) {
			assert_int_equal(n, BENCH_NONE);
			continue;
		}
		assert_true(n < CLIENTS);
		assert_int_equal(class[n], wanted);
		found += !seen[n];
		seen[n] = true;
	}
	assert_int_equal(found, members);
}

static void classes_are_kept(void **state)
{
	struct bench_pick *p = bench_pick_new(CLIENTS);

	(void)state;
	memset(class, 0, sizeof(class));
	expect_all_of(p, CLASS_NEW);
	expect_all_of(p, CLASS_BUSY);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 20; i++) {
			uint64_t r = bench_mix64(round * 1000 + i);
			uint32_t n = (uint32_t)r % CLIENTS;

			class[n] = (enum bench_class)((r >> 32) % 3);
			bench_pick_move(p, n, class[n]);
		}
		expect_all_of(p, CLASS_NEW);
		expect_all_of(p, CLASS_LEASED);
		expect_all_of(p, CLASS_BUSY);
	}
	bench_pick_free(p);
}

static void one_class_can_have_all(void **state)
{
	struct bench_pick *p = bench_pick_new(CLIENTS);

	(void)state;
	for (unsigned to = CLASS_NEW; to <= CLASS_BUSY; to++) {
		for (uint32_t n = 0; n < CLIENTS; n++) {
			class[n] = (enum bench_class)to;
			bench_pick_move(p, n, class[n]);
		}
		expect_all_of(p, CLASS_NEW);
		expect_all_of(p, CLASS_LEASED);
		expect_all_of(p, CLASS_BUSY);
	}
	bench_pick_free(p);
}

static void kinds_come_by_weight(void **state)
{
	const uint32_t weight[BENCH_KINDS] = { [PH_DORA] = 50, [PH_RENEW] = 30, [PH_REBOOT] = 20 };
	unsigned n[BENCH_KINDS] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		n[bench_pick_kind(weight, (uint32_t)bench_mix64(i))]++;
	assert_in_range(n[PH_DORA], 49000, 51000);
	assert_in_range(n[PH_RENEW], 29000, 31000);
	assert_in_range(n[PH_REBOOT], 19000, 21000);
	assert_int_equal(n[PH_DORA] + n[PH_RENEW] + n[PH_REBOOT], 100000);
	assert_int_equal(bench_pick_kind(weight, 0), PH_DORA);
	assert_int_equal(bench_pick_kind(weight, UINT32_MAX), PH_REBOOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_kept),
		cmocka_unit_test(one_class_can_have_all),
		cmocka_unit_test(kinds_come_by_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
