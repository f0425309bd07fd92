/*
 * The table that finds clients, against a plain list: whatever comes and goes, it is sorted, each
 * one stands where a search from its home finds it, and growing loses nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "pool_world.h"

#define ROWS 3000

static uint32_t tags[ROWS + 1]; /* by row; rows that are in the table */
static bool inside[ROWS + 1];
static uint64_t rng;

static uint32_t number(void)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 32);
}

/* Of the kinds that a hash does not give by itself: equal ones, and all at one end. */
static uint32_t some_tag(unsigned kind)
{
	switch (kind) {
	case 0:
		return number();
	case 1:
		return number() % 7 * 0x20000000u;
	case 2:
		return UINT32_MAX - number() % 50;
	default:
		return number() % 50;
	}
}

static uint32_t slot_of(const struct pool *p, uint32_t row)
{
	uint32_t i = pool_slot_first(p, tags[row]);

	while (p->slots[i].row && p->slots[i].tag == tags[row] && p->slots[i].row != row)
		i++;
	return i;
}

static void check(const struct pool *p)
{
	uint32_t n = 0, size = p->max_homes + ROWS, tag = 0;

	for (uint32_t i = 0; i < size; i++) {
		struct slot s = p->slots[i];

		if (!s.row)
			continue;
		assert_true(s.tag >= tag);
		tag = s.tag;
		assert_true(inside[s.row] && tags[s.row] == s.tag);
		assert_int_equal(slot_of(p, s.row), i);
		n++;
	}
	assert_int_equal(n, p->n_clients);
	for (uint32_t row = 1; row <= ROWS; row++)
		n -= inside[row];
	assert_int_equal(n, 0);
}

static void change(struct pool *p, unsigned kind, bool mostly_in)
{
	uint32_t row = 1 + number() % ROWS;

	if (inside[row]) {
		if (mostly_in && number() % 8)
			return;
		pool_slot_drop(p, slot_of(p, row));
		inside[row] = false;
		return;
	}
	if (!mostly_in && number() % 8)
		return;
	tags[row] = some_tag(kind);
	pool_slot_add(p, tags[row], row);
	inside[row] = true;
}

static struct pool *of_rows(void)
{
	static const struct addr_range r = { 1, ROWS, 0, 0 };
	static const struct scope s = { .n_ranges = 1, .relation = -1 };
	static const struct scope_table t = { &s, 1, &r, 1 };

	memset(inside, 0, sizeof(inside));
	return new_pool(&t, 0);
}

static void comes_and_goes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct pool *p = of_rows();

		rng = kind + 1;
		for (unsigned i = 0; i < 60000; i++) {
			change(p, kind, i / 20000 != 1);
			if (i % 499 == 0)
				check(p);
		}
		check(p);
		end_pool();
	}
}

/* Full to the last address, all with one hash: the first and the last there is. */
static void full_of_one(void **state)
{
	(void)state;
	for (unsigned last = 0; last < 2; last++) {
		struct pool *p = of_rows();

		for (uint32_t row = 1; row <= ROWS; row++) {
			tags[row] = last ? UINT32_MAX : 0;
			pool_slot_add(p, tags[row], row);
			inside[row] = true;
		}
		check(p);
		assert_int_equal(p->n_homes, p->max_homes);
		end_pool();
	}
}

/* It is as large as those in it need, whatever there is room for. */
static void grows_with_its_clients(void **state)
{
	struct pool *p = of_rows();

	(void)state;
	for (uint32_t row = 1; row <= ROWS; row++) {
		tags[row] = number();
		pool_slot_add(p, tags[row], row);
		inside[row] = true;
		assert_true(row < 12 || p->n_homes <= row * 8 / 3);
		assert_true(p->n_homes >= row);
	}
	check(p);
	end_pool();
}

/* All at once it is the same table. */
static void sorted_at_once(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 16, 17, 24, 25, 300, ROWS };

	(void)state;
	for (unsigned i = 0; i < N(sizes) * 4; i++) {
		struct pool *p = of_rows(), *one_by_one;
		void *memory_of_p = memory;

		one_by_one = new_pool(p->t, 0);
		rng = i;
		for (uint32_t row = 1; row <= sizes[i / 4]; row++) {
			tags[row] = some_tag(i % 4);
			inside[row] = true;
			pool_slot_append(p, tags[row], row);
			pool_slot_add(one_by_one, tags[row], row);
		}
		pool_slot_sort(p);
		pool_slot_spread(p);
		check(p);
		assert_int_equal(p->n_homes, one_by_one->n_homes);
		munmap(memory_of_p, memory_size);
		end_pool();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(full_of_one),
		cmocka_unit_test(grows_with_its_clients),
		cmocka_unit_test(sorted_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
