/* Histogram of twinbench: percentiles beside those of the sorted values, extremes, nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/lib/bench.h"

static struct bench_hist hist;

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void percentiles_are_within_a_slot(void **state)
{
	static const double part[] = { .001, .5, .9, .99, .999, 1 };
	static uint64_t value[20000];
	const unsigned n = sizeof(value) / sizeof(value[0]);

	(void)state;
	memset(&hist, 0, sizeof(hist));
	for (unsigned i = 0; i < n; i++) {
		uint64_t r = bench_mix64(i);

		value[i] = (r >> 20) >> (r % 44); /* of every size */
		bench_hist_add(&hist, (int64_t)value[i]);
	}
	qsort(value, n, sizeof(value[0]), ascending);
	for (unsigned i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		uint64_t exact = value[(unsigned)(part[i] * n + .5) - 1];

		assert_in_range(bench_hist_at(&hist, part[i]), exact - exact / 60,
				exact + exact / 60 + 1);
	}
	assert_int_equal(bench_hist_at(&hist, 1), value[n - 1]);
	assert_int_equal(hist.max, value[n - 1]);
	assert_int_equal(hist.min, value[0]);
	assert_int_equal(hist.n, n);
}

/* Below 32 us every value has its slot; powers of two begin theirs. */
static void small_values_are_exact(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 32; v++) {
		memset(&hist, 0, sizeof(hist));
		bench_hist_add(&hist, v);
		bench_hist_add(&hist, 1000000);
		assert_int_equal(bench_hist_at(&hist, .5), v);
	}
}

static void extremes_fit(void **state)
{
	(void)state;
	memset(&hist, 0, sizeof(hist));
	assert_int_equal(bench_hist_at(&hist, .99), 0);
	bench_hist_add(&hist, -5);
	assert_int_equal(hist.max, 0);
	bench_hist_add(&hist, INT64_MAX);
	assert_int_equal(hist.max, INT64_MAX);
	assert_true((double)hist.sum_sq > 8.5e37);
	assert_int_equal(hist.slot[0], 1);
	assert_true(bench_hist_at(&hist, 1) > (uint64_t)INT64_MAX / 64 * 63);
}

/* One slow answer in a thousand is in p99.9 and above it only. */
static void the_tail_is_seen(void **state)
{
	(void)state;
	memset(&hist, 0, sizeof(hist));
	for (unsigned i = 0; i < 9989; i++)
		bench_hist_add(&hist, 100);
	for (unsigned i = 0; i < 11; i++)
		bench_hist_add(&hist, 500000);
	assert_in_range(bench_hist_at(&hist, .99), 98, 102);
	assert_in_range(bench_hist_at(&hist, .999), 490000, 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_within_a_slot),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(extremes_fit),
		cmocka_unit_test(the_tail_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
