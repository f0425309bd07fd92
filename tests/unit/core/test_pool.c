/*
 * core/pool: choice of addresses, offers and NAKs; clocks that step, runs, addresses outside, and
 * what the partner asked for; a range of a million addresses costs nothing before it is used. Any
 * sequence of changes is in test_pool_model.c.
 */
#include <errno.h>

#include "pool_world.h"

/* --- choice of addresses ---------------------------------------------------------------------- */

static void never_used_first_then_oldest(void **state)
{
	struct pool *p = new_pool(&table, MAX_OFFERS);
	const struct scope *s = &scopes[0];

	(void)state;
	/* never used, in order, without the reserved one */
	for (uint32_t a = 10; a < 29; a++) {
		if (a == 15)
			continue;
		assert_int_equal(first(p, s, LEASE_FREE), a);
		put(p, IP(10, 9, 0, a), LEASE_ACTIVE, a, a);
	}
	/* freed ones wait behind those that nobody ever had, the longest free first */
	put(p, IP(10, 9, 0, 20), LEASE_FREE, 20, 1000);
	put(p, IP(10, 9, 0, 12), LEASE_FREE, 12, 1001);
	put(p, IP(10, 9, 0, 20), LEASE_FREE, 20, 1000); /* told again: it keeps its place */
	assert_int_equal(first(p, s, LEASE_FREE), 29);
	put(p, IP(10, 9, 0, 29), LEASE_ACTIVE, 29, 1002);
	assert_int_equal(first(p, s, LEASE_FREE), 61);
	for (uint32_t a = 61; a < 65; a++)
		put(p, IP(10, 9, 0, a), LEASE_BACKUP, 0, a);
	assert_int_equal(first(p, s, LEASE_FREE), 20);
	put(p, IP(10, 9, 0, 20), LEASE_ACTIVE, 20, 1003);
	assert_int_equal(first(p, s, LEASE_FREE), 12);
	put(p, IP(10, 9, 0, 12), LEASE_ABANDONED, 0, 1003);
	assert_int_equal(first(p, s, LEASE_FREE), 0);
	/* the other share */
	assert_int_equal(first(p, s, LEASE_BACKUP), 61);
	put(p, IP(10, 9, 0, 61), LEASE_FREE, 0, 2000);
	assert_int_equal(first(p, s, LEASE_BACKUP), 62);
	assert_int_equal(first(p, s, LEASE_FREE), 61);
	/* the oldest of several ranges */
	put(p, IP(10, 9, 0, 20), LEASE_FREE, 20, 1500);
	assert_int_equal(first(p, s, LEASE_FREE), 20);
	assert_null(pool_free_first(p, &scopes[3], LEASE_FREE));
	end_pool();
}

/* cases T000-1: a reserved address is in no list, whatever becomes of its lease */
static void reserved_never_free(void **state)
{
	static const uint8_t walk[] = { LEASE_ACTIVE, LEASE_RELEASED, LEASE_FREE,   LEASE_BACKUP,
					LEASE_ACTIVE, LEASE_EXPIRED,  LEASE_BACKUP, LEASE_FREE };
	struct pool *p = new_pool(&table, MAX_OFFERS);
	struct pool_counts c;
	struct lease l;

	(void)state;
	for (uint32_t a = 10; a < 65; a++)
		if (a != 15 && a != 55 && pool_get(p, IP(10, 9, 0, a)))
			put(p, IP(10, 9, 0, a), LEASE_ACTIVE, a, a);
	for (size_t i = 0; i < N(walk); i++) {
		put(p, IP(10, 9, 0, 15), walk[i], 900, 1);
		put(p, IP(10, 9, 0, 55), walk[i], 901, 1);
		assert_null(pool_free_first(p, &scopes[0], LEASE_FREE));
		assert_null(pool_free_first(p, &scopes[0], LEASE_BACKUP));
		pool_counts_scope(p, &scopes[0], &c);
		assert_int_equal(c.total, 23);
		assert_int_equal(c.active, 23);
		assert_int_equal(c.free + c.backup, 0);
		assert_int_equal(c.reserved, 2);
		pool_offer(p, IP(10, 9, 0, 55), key_of(901), (mono_t){ 5 });
		pool_offers_expire(p, (mono_t){ 5 });
	}
	/* a record says so although our configuration does not (decision A22) */
	l = *pool_get(p, IP(10, 9, 0, 20));
	l.state = LEASE_FREE;
	l.flags |= LEASE_RESERVED;
	pool_apply(p, &l, 0);
	assert_null(pool_free_first(p, &scopes[0], LEASE_FREE));
	assert_false(pool_is_reserved(p, l.addr));
	l.flags = 0;
	pool_apply(p, &l, 0);
	assert_int_equal(first(p, &scopes[0], LEASE_FREE), 20);
	assert_false(pool_is_reserved(p, l.addr));
	assert_true(pool_is_reserved(p, IP(10, 9, 0, 55)));
	assert_false(pool_is_reserved(p, IP(10, 9, 0, 56)));
	end_pool();
}

static void offers_are_held_and_bounded(void **state)
{
	struct pool *p = new_pool(&table, MAX_OFFERS);
	const struct scope *s = &scopes[0];

	(void)state;
	pool_offer(p, IP(10, 9, 0, 10), key_of(1), (mono_t){ 100 });
	assert_int_equal(first(p, s, LEASE_FREE), 11);
	assert_int_equal(pool_offered(p, key_of(1), s), IP(10, 9, 0, 10));
	assert_int_equal(pool_offered(p, key_of(1), &scopes[1]), 0);
	assert_true(pool_is_offered(p, IP(10, 9, 0, 10), key_of(2)));
	assert_false(pool_is_offered(p, IP(10, 9, 0, 10), key_of(1)));
	/* one offer per client and scope */
	pool_offer(p, IP(10, 9, 0, 12), key_of(1), (mono_t){ 200 });
	assert_false(pool_is_offered(p, IP(10, 9, 0, 10), key_of(2)));
	assert_int_equal(first(p, s, LEASE_FREE), 10);
	pool_offer(p, IP(10, 9, 1, 1), key_of(1), (mono_t){ 150 });
	assert_int_equal(pool_offered(p, key_of(1), s), IP(10, 9, 0, 12));
	/* time; what was never taken comes back in front */
	pool_offers_expire(p, (mono_t){ 199 });
	assert_int_equal(pool_offered(p, key_of(1), &scopes[1]), 0);
	assert_int_equal(pool_offered(p, key_of(1), s), IP(10, 9, 0, 12));
	pool_offers_expire(p, (mono_t){ 200 });
	assert_int_equal(pool_offered(p, key_of(1), s), 0);
	/* a full table: the one that ends first goes */
	for (uint32_t i = 0; i <= MAX_OFFERS; i++)
		pool_offer(p, IP(10, 9, 1, i), key_of(50 + i), (mono_t){ i == 3 ? 10 : 300 + i });
	for (uint32_t i = 0; i <= MAX_OFFERS; i++)
		assert_int_equal(pool_offered(p, key_of(50 + i), &scopes[1]),
				 i == 3 ? 0 : IP(10, 9, 1, i));
	/* another client's lease or a conflict ends an offer; the end of a lease does not */
	put(p, IP(10, 9, 1, 0), LEASE_ACTIVE, 7, 1);
	assert_int_equal(pool_offered(p, key_of(50), &scopes[1]), 0);
	put(p, IP(10, 9, 1, 1), LEASE_ABANDONED, 0, 1);
	assert_int_equal(pool_offered(p, key_of(51), &scopes[1]), 0);
	put(p, IP(10, 9, 1, 2), LEASE_FREE, 7, 1);
	assert_int_equal(pool_offered(p, key_of(52), &scopes[1]), IP(10, 9, 1, 2));
	pool_offer(p, IP(1, 1, 1, 1), key_of(9), (mono_t){ 1 });
	pool_offer_drop(p, IP(1, 1, 1, 1));
	assert_false(pool_is_offered(p, IP(1, 1, 1, 1), key_of(9)));
	end_pool();
	p = new_pool(&table, 0);
	pool_offer(p, IP(10, 9, 0, 10), key_of(1), (mono_t){ 100 });
	assert_int_equal(pool_offered(p, key_of(1), s), 0);
	end_pool();
}

static void one_nak_in_ten_seconds(void **state)
{
	struct pool *p = new_pool(&table, MAX_OFFERS);
	mono_t t = { 77 };

	(void)state;
	assert_true(pool_nak_take(p, key_of(1), t));
	assert_false(pool_nak_take(p, key_of(1), t));
	assert_true(pool_nak_take(p, key_of(2), t));
	assert_false(pool_nak_take(p, key_of(1), mono_add_us(t, 9999999)));
	assert_true(pool_nak_take(p, key_of(1), mono_add_us(t, 10000000)));
	assert_false(pool_nak_take(p, key_of(1), mono_add_us(t, 10000001)));
	/* many strangers: never two for one, and most get theirs */
	unsigned yes = 0;
	for (uint32_t i = 100; i < 100 + NAK_SETS * 2; i++) {
		yes += pool_nak_take(p, key_of(i), t);
		assert_false(pool_nak_take(p, key_of(i), t));
	}
	assert_true(yes > NAK_SETS);
	end_pool();
}

/* --- borders ---------------------------------------------------------------------------------- */

/* What is due stays in order; no time and for ever stay what they are. */
static void a_step_of_the_clock_moves_all(void **state)
{
	static const int64_t by[] = { 3600, -3600, -100000 };
	struct pool *p = new_pool(&table, MAX_OFFERS);
	uint32_t addr = ranges[0].first;
	struct lease l = { .addr = addr,
			   .state = LEASE_ACTIVE,
			   .key = key_of(1),
			   .expires = 50000,
			   .cltt = 40000,
			   .sent_pet = SEC_MAX };

	(void)state;
	assert_int_equal(pool_apply(p, &l, 0), 0);
	put(p, addr + 1, LEASE_ACTIVE, 2, 45000);
	for (unsigned i = 0; i < 3; i++) {
		struct lease was = *pool_get(p, addr);
		const struct lease *row = pool_get(p, addr);

		pool_clock_moved(p, by[i]);
		assert_int_equal(row->expires, i < 2 ? was.expires + by[i] : 1);
		assert_int_equal(row->cltt, i < 2 ? was.cltt + by[i] : 1);
		assert_int_equal(row->sent_pet, SEC_MAX);
		assert_int_equal(row->acked_pet, 0);
		row = pool_get(p, addr + 1);
		assert_null(pool_due(p, (wall_t){ row->expires - 1 }));
		assert_ptr_equal(pool_due(p, (wall_t){ i < 2 ? row->expires : 0 }),
				 i < 2 ? row : NULL);
	}
	end_pool();
}

/* As many runs as fit: what is one more is refused and changes nothing; what takes the place of
 * others is not. */
static void runs_are_bounded(void **state)
{
	static const struct {
		uint32_t from, n;
		int r;
	} row[] = {
		{ 0, 10, -ENOSPC },  /* splits a run in two */
		{ 0, 20, 0 },	     /* all of one */
		{ 20, 20, 0 },	     /* and of the next */
		{ 10, 20, -ENOSPC }, /* between two */
		{ 30, 10, -ENOSPC }, /* the end of one */
		{ 0, 40, 0 },	     /* two become one */
		{ 5, 20, -ENOSPC },  /* one becomes three */
		{ 5, 35, 0 },	     /* and two */
		{ 0, 1000, 0 },	     /* all become one */
		{ 100, 200, 0 },     /* and three */
	};
	struct addr_range r = { IP(10, 0, 0, 0), IP(10, 0, 3, 231), 0, 0 };
	struct scope s = { .subnet = IP(10, 0, 0, 0), .prefix = 8, .n_ranges = 1, .relation = 0 };
	struct scope_table t = { &s, 1, &r, 1 };
	struct pool *p = new_pool(&t, 10);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct lease l = { .addr = r.first + 20 * i, .state = LEASE_BACKUP };

		assert_int_equal(pool_apply_run(p, &l, 20, 1), 0);
	}
	assert_int_equal(p->n_runs, 50);
	p->max_runs = 50;
	for (unsigned i = 0; i < N(row); i++) {
		struct lease l = { .addr = r.first + row[i].from,
				   .state = LEASE_FREE,
				   .serial = i };
		uint32_t was = p->n_runs;

		if (pool_apply_run(p, &l, row[i].n, 2) != row[i].r)
			fail_msg("row %u: %u runs were there", i, was);
		assert_true(p->n_runs <= p->max_runs && (!row[i].r || p->n_runs == was));
	}
	end_pool();
}

static void addresses_outside(void **state)
{
	struct pool *p = new_pool(&table, MAX_OFFERS);
	struct lease l = { .addr = IP(10, 9, 0, 30), .state = LEASE_ACTIVE };

	(void)state;
	assert_int_equal(pool_apply(p, &l, 1), -2 /* -ENOENT */);
	assert_null(pool_get(p, l.addr));
	assert_null(pool_scope(p, l.addr));
	assert_null(pool_get(p, 0));
	assert_null(pool_get(p, 0xffffffff));
	assert_null(pool_next(p, 0xffffffff));
	assert_ptr_equal(pool_table(p), &table);
	pool_set_timer(p, l.addr, 5);
	assert_int_equal(pool_next_due(p), 0);
	pool_in_flight(p, l.addr, true);
	assert_false(pool_is_in_flight(p, l.addr));
	end_pool();
	assert_null(pool_init(NULL, 1 << 20, &table, 1));
	uint8_t small[64];
	assert_null(pool_init(small, sizeof(small), &table, 1));
}

static void rows_lie_side_by_side(void **state)
{
	struct pool *p = new_pool(&table, 0);
	const void *first, *at;
	size_t size = pool_rows_at(p, IP(10, 9, 0, 10), 1, &first);

	(void)state;
	assert_int_equal(size, sizeof(struct row));
	assert_ptr_equal(first, pool_get(p, IP(10, 9, 0, 10)));
	assert_int_equal(pool_rows_at(p, IP(10, 9, 0, 29), 5, &at), 5 * size);
	assert_int_equal((const char *)at - (const char *)first, 19 * size);
	assert_int_equal(pool_rows_at(p, IP(10, 9, 1, 99), 3, &at), 3 * size);
	assert_int_equal(pool_rows_at(p, IP(10, 9, 1, 99), 4, &at), 3 * size); /* no more */
	assert_int_equal(pool_rows_at(p, IP(10, 9, 2, 7), 2, &at), size);
	assert_int_equal(pool_rows_at(p, IP(10, 9, 2, 8), 2, &at), 0);
	end_pool();
}

static void whole_internet_is_too_much(void **state)
{
	struct addr_range all = { 0, 0xffffffff, 0, 0 }, most = { 0, 0x60000000, 0, 0 };
	struct scope s = { .n_ranges = 1, .relation = -1 };
	struct scope_table t = { &s, 1, &all, 1 };

	(void)state;
	assert_int_equal(pool_size(&t, 1), 0);
	t.ranges = &most;
	assert_int_equal(pool_size(&t, 1), 0);
	most.last--;
	assert_true(pool_size(&t, 1) > 0);
}

/* A /8: no time at the start, and memory for what is used only. */
static void large_range_costs_nothing_unused(void **state)
{
	struct addr_range r = { IP(10, 0, 0, 1), IP(10, 255, 255, 254), 0, 0 };
	struct scope s = { .subnet = IP(10, 0, 0, 0), .prefix = 8, .n_ranges = 1, .relation = -1 };
	struct scope_table t = { &s, 1, &r, 1 };
	struct pool *p = new_pool(&t, 1000);
	static unsigned char vec[1 << 20];
	size_t pages = (memory_size + 4095) / 4096, used = 0;

	(void)state;
	assert_non_null(p);
	for (uint32_t i = 0; i < 1000; i++)
		put(p, pool_free_first(p, &s, LEASE_FREE)->addr, LEASE_ACTIVE, i + 1, i);
	assert_int_equal(pool_free_first(p, &s, LEASE_FREE)->addr, IP(10, 0, 3, 233));
	assert_true(pages <= sizeof(vec));
	assert_int_equal(mincore(memory, memory_size, vec), 0);
	for (size_t i = 0; i < pages; i++)
		used += vec[i] & 1;
	print_message("%zu of %zu pages used\n", used, pages);
	assert_true(used < 3000);
	end_pool();
}

static void change_to(struct pool *p, unsigned state, uint32_t addr, uint64_t batch)
{
	struct lease l = { .addr = addr, .state = (uint8_t)state, .flags = LEASE_DIRTY };

	assert_int_equal(pool_apply(p, &l, batch), 0);
}

static void change(struct pool *p, uint32_t addr, uint64_t batch)
{
	change_to(p, LEASE_ACTIVE, addr, batch);
}

/* A row that the partner asked for is told with its latest contents however often it changes while
 * it waits; one that is dirty since then only holds up nothing. */
static void asked_for_is_carried(void **state)
{
	struct addr_range r = { IP(10, 0, 0, 1), IP(10, 0, 0, 9), 0, 0 };
	struct scope s = { .subnet = IP(10, 0, 0, 0), .prefix = 8, .n_ranges = 1, .relation = 0 };
	struct scope_table t = { &s, 1, &r, 1 };
	struct pool *p = new_pool(&t, 10);

	(void)state;
	change(p, r.first, 1);
	pool_dirty_mark(p, 0, 1);
	change(p, r.first, 2);
	assert_int_equal(pool_dirty_carried(p, 0), 2);
	change(p, r.first, 3);
	assert_int_equal(pool_dirty_carried(p, 0), 3);
	change(p, r.last, 3);
	change(p, r.last, 4);
	assert_int_equal(pool_dirty_carried(p, 0), 3);
	pool_in_flight(p, r.first, true);
	change(p, r.first, 5);
	change(p, r.first, 6);
	assert_int_equal(pool_dirty_carried(p, 0), 3);
	change_to(p, LEASE_FREE, r.first + 1, 7);
	pool_dirty_mark(p, 0, 7);
	change_to(p, LEASE_FREE, r.first + 1, 8);
	pool_offer(p, r.first + 1, key_of(1), (mono_t){ 100 }); /* out of a list, and back */
	pool_offer_drop(p, r.first + 1);
	change_to(p, LEASE_FREE, r.first + 1, 9);
	assert_int_equal(pool_dirty_carried(p, 0), 9);
	end_pool();
}

static void change_run(struct pool *p, unsigned flags, uint32_t addr, uint32_t n, uint64_t batch)
{
	struct lease l = { .addr = addr, .state = LEASE_BACKUP, .flags = (uint8_t)flags };

	assert_int_equal(pool_apply_run(p, &l, n, batch), 0);
}

/* The pieces of a run were asked for as the whole was, however often it is cut; and so is what
 * comes in the place of a piece, or of all. */
static void asked_for_in_pieces(void **state)
{
	struct addr_range r = { IP(10, 0, 0, 0), IP(10, 0, 0, 99), 0, 0 };
	struct scope s = { .subnet = IP(10, 0, 0, 0), .prefix = 8, .n_ranges = 1, .relation = 0 };
	struct scope_table t = { &s, 1, &r, 1 };
	struct pool *p = new_pool(&t, 10);

	(void)state;
	change_run(p, LEASE_DIRTY, r.first, 100, 1);
	pool_dirty_mark(p, 0, 1);
	for (uint32_t i = 1; i < 4; i++) { /* always out of the last piece */
		change_run(p, 0, r.first + 20 * i, 10, i + 1);
		assert_int_equal(pool_dirty_carried(p, 0), i + 1);
	}
	change_run(p, 0, r.last, 1, 5);
	assert_int_equal(pool_dirty_carried(p, 0), 5);
	change_run(p, LEASE_DIRTY, r.first, 100, 6);
	assert_int_equal(pool_dirty_carried(p, 0), 6);
	change_run(p, LEASE_DIRTY, r.first, 100, 7);
	assert_int_equal(pool_dirty_carried(p, 0), 7);
	pool_run_in_flight(p, r.first, true); /* told; what comes now it did not ask for */
	change_run(p, LEASE_DIRTY, r.first, 100, 8);
	assert_int_equal(pool_dirty_carried(p, 0), 7);
	end_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_used_first_then_oldest),
		cmocka_unit_test(reserved_never_free),
		cmocka_unit_test(offers_are_held_and_bounded),
		cmocka_unit_test(one_nak_in_ten_seconds),
		cmocka_unit_test(a_step_of_the_clock_moves_all),
		cmocka_unit_test(runs_are_bounded),
		cmocka_unit_test(addresses_outside),
		cmocka_unit_test(rows_lie_side_by_side),
		cmocka_unit_test(whole_internet_is_too_much),
		cmocka_unit_test(large_range_costs_nothing_unused),
		cmocka_unit_test(asked_for_is_carried),
		cmocka_unit_test(asked_for_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
