/*
 * A store's records all at once (pool_load_begin, pool_load_end), against the same ones applied
 * one by one: every client is found, at the same binding, with the same ones behind it, and so it
 * stays whatever comes after.
 */
#include <string.h>

#include "pool_world.h"

#define ADDRESSES 6000

static const struct addr_range wide[] = { { 1000, 3999, 0, 0 }, { 5000, 7999, 1, 0 } };
static const struct scope two_scopes[] = {
	{ .n_ranges = 1, .relation = -1 },
	{ .first_range = 1, .n_ranges = 1, .relation = -1 },
};
static const struct scope_table t = { two_scopes, 2, wide, 2 };

static uint64_t rng;
static uint32_t n_keys;

static uint32_t number(void)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33);
}

/* Of each two clients who follow each other the tags are the same, though they are two. */
static struct client_key key_number(uint32_t i)
{
	return i ? (struct client_key){ { (i / 2 + 1) * 0x9e3779b97f4a7c15ULL, i } }
		 : (struct client_key){ { 0, 0 } };
}

static uint32_t addr_number(uint32_t i)
{
	return i < ADDRESSES / 2 ? 1000 + i : 5000 + i - ADDRESSES / 2;
}

static struct lease some_lease(uint32_t addr)
{
	return (struct lease){ .addr = addr,
			       .state = (uint8_t)(1 + number() % 7),
			       .expires = 1 + number() % 1000,
			       .cltt = number() % 10,
			       .stos = 1 + number() % 10,
			       .key = key_number(number() % (n_keys + 1)) };
}

static void both(struct pool *a, struct pool *b, const struct lease *l)
{
	assert_int_equal(pool_apply(a, l, 0), 0);
	assert_int_equal(pool_apply(b, l, 0), 0);
}

static uint32_t behind(const struct pool *p, const struct lease *l)
{
	return p->rows[pool_row_of(p, l->addr)].sib_next;
}

static void same_clients(const struct pool *a, const struct pool *b)
{
	assert_false(a->loading || b->loading);
	assert_int_equal(a->n_clients, b->n_clients);
	assert_int_equal(a->n_homes, b->n_homes);
	for (uint32_t i = 1; i <= n_keys; i++)
		for (unsigned s = 0; s < 2; s++) {
			const struct lease *l = pool_find_client(a, key_number(i), &two_scopes[s]);
			const struct lease *m = pool_find_client(b, key_number(i), &two_scopes[s]);

			for (assert_int_equal(!l, !m); l; l = &a->rows[behind(a, l)].l) {
				assert_int_equal(l->addr, m->addr);
				assert_int_equal(behind(a, l), behind(b, m));
				m = &b->rows[behind(b, m)].l;
				if (!behind(a, l))
					break;
			}
		}
}

static void load(uint32_t leases, uint32_t clients, bool twice)
{
	struct pool *a = new_pool(&t, 0), *b;
	void *memory_of_a = memory;
	struct lease l;

	b = new_pool(&t, 0);
	n_keys = clients;
	rng = leases + clients;
	pool_load_begin(b);
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		if (number() % ADDRESSES >= leases)
			continue;
		l = some_lease(addr_number(i));
		both(a, b, &l);
	}
	if (twice) { /* of a damaged tree: then it is as if nobody had said that they are many */
		for (uint32_t i = 0; i < 3; i++) {
			l = some_lease(addr_number(i * 7));
			l.key = key_number(2 - i);
			both(a, b, &l);
		}
	}
	pool_load_end(b);
	same_clients(a, b);
	for (uint32_t i = 0; i < 2000; i++) {
		l = some_lease(addr_number(number() % ADDRESSES));
		both(a, b, &l);
	}
	same_clients(a, b);
	munmap(memory_of_a, memory_size);
	end_pool();
}

static void as_one_by_one(void **state)
{
	static const uint32_t clients[] = { 1, 2, 3, 60, 2000, 20000 };
	static const uint32_t leases[] = { 0, 1, 30, ADDRESSES / 10, ADDRESSES };

	(void)state;
	for (unsigned i = 0; i < N(leases); i++)
		for (unsigned k = 0; k < N(clients); k++)
			load(leases[i], clients[k], false);
}

static void an_address_comes_twice(void **state)
{
	(void)state;
	load(ADDRESSES / 10, 2000, true);
	load(ADDRESSES, 3, true);
}

/* Only an empty table is filled in no order. */
static void not_beside_others(void **state)
{
	struct pool *p = new_pool(&table, 0);

	(void)state;
	put(p, IP(10, 9, 1, 0), LEASE_ACTIVE, 1, 10);
	pool_load_begin(p);
	put(p, IP(10, 9, 1, 1), LEASE_ACTIVE, 2, 10);
	assert_int_equal(pool_find_client(p, key_of(1), &scopes[1])->addr, IP(10, 9, 1, 0));
	assert_int_equal(pool_find_client(p, key_of(2), &scopes[1])->addr, IP(10, 9, 1, 1));
	pool_load_end(p);
	assert_int_equal(pool_find_client(p, key_of(2), &scopes[1])->addr, IP(10, 9, 1, 1));
	end_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_one_by_one),
		cmocka_unit_test(an_address_comes_twice),
		cmocka_unit_test(not_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
