#pragma once
/*
 * A pool for tests of it: a table of four scopes with all that a range may be, memory that costs
 * nothing before it is used, leases put into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "core/pool_priv.h"

#include "core/pool_priv.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Scope 0: two ranges, .15 reserved in the first, .55 reserved between them (in an exclusion).
 * Scope 1: another relationship. Scope 2: served alone. Scope 3: no addresses. */
static const struct reservation reserved[] = {
	{ IP(10, 9, 0, 15), 1, { (const uint8_t *)"\2\0\0\0\0\1", 6 }, NULL },
	{ IP(10, 9, 0, 55), 1, { (const uint8_t *)"\2\0\0\0\0\2", 6 }, NULL },
};
static const struct addr_range ranges[] = {
	{ IP(10, 9, 0, 10), IP(10, 9, 0, 29), 0, 0 },
	{ IP(10, 9, 0, 55), IP(10, 9, 0, 55), 0, RANGE_RESERVED },
	{ IP(10, 9, 0, 61), IP(10, 9, 0, 64), 0, 0 },
	{ IP(10, 9, 1, 0), IP(10, 9, 1, 100), 1, 0 },
	{ IP(10, 9, 2, 7), IP(10, 9, 2, 7), 2, 0 },
};
static const struct scope scopes[] = {
	{ .subnet = IP(10, 9, 0, 0),
	  .prefix = 24,
	  .relation = 0,
	  .reservations = reserved,
	  .n_reservations = 2,
	  .first_range = 0,
	  .n_ranges = 3 },
	{ .subnet = IP(10, 9, 1, 0), .prefix = 24, .relation = 2, .first_range = 3, .n_ranges = 1 },
	{ .subnet = IP(10, 9, 2, 0),
	  .prefix = 24,
	  .relation = -1,
	  .first_range = 4,
	  .n_ranges = 1 },
	{ .subnet = IP(10, 9, 3, 0), .prefix = 24, .relation = 0, .first_range = 5, .n_ranges = 0 },
};
static const struct scope_table table = { scopes, N(scopes), ranges, N(ranges) };

#define MAX_OFFERS 5
static void *memory;
static size_t memory_size;

static inline struct pool *new_pool(const struct scope_table *t, uint32_t max_offers)
{
	memory_size = pool_size(t, max_offers);
	memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	return pool_init(memory, memory_size, t, max_offers);
}

static inline void end_pool(void)
{
	munmap(memory, memory_size);
}

static inline struct client_key key_of(uint32_t n)
{
	return (struct client_key){ { n * 0x9e3779b97f4a7c15ULL, n } };
}

static inline void put(struct pool *p, uint32_t addr, unsigned state, uint32_t client, uint32_t at)
{
	struct lease l = { .addr = addr,
			   .state = (uint8_t)state,
			   .expires = at + 100,
			   .stos = at,
			   .cltt = at,
			   .key = key_of(client) };

	assert_int_equal(pool_apply(p, &l, 0), 0);
}

static inline uint32_t first(const struct pool *p, const struct scope *s, unsigned state)
{
	const struct lease *l = pool_free_first(p, s, state);

	return l ? l->addr & 255 : 0;
}
