/* core/scope: subnets, reservations (RFC 2131 §4.3.1), option sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/scope.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define N(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(...)                                                                                \
	{                                                                                          \
		(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })         \
	}

static void subnet_of_an_address(void **state)
{
	static const struct scope scopes[] = {
		{ .subnet = IP(10, 9, 0, 0), .prefix = 24 },
		{ .subnet = IP(10, 9, 1, 0), .prefix = 25 },
		{ .subnet = IP(10, 9, 1, 192), .prefix = 26 },
		{ .subnet = IP(192, 168, 0, 0), .prefix = 16 },
		{ .subnet = IP(203, 0, 113, 7), .prefix = 32 },
	};
	static const struct scope_table t = { scopes, N(scopes), NULL, 0 }, empty;
	static const struct scope all = { .subnet = 0, .prefix = 0 };
	static const struct scope_table one = { &all, 1, NULL, 0 };
	static const struct {
		uint32_t addr;
		int want; /* -1: none */
	} rows[] = {
		{ IP(10, 9, 0, 0), 0 },	     { IP(10, 9, 0, 255), 0 },
		{ IP(10, 8, 255, 255), -1 }, { IP(10, 9, 1, 127), 1 },
		{ IP(10, 9, 1, 128), -1 },   { IP(10, 9, 1, 191), -1 },
		{ IP(10, 9, 1, 192), 2 },    { IP(192, 168, 255, 255), 3 },
		{ IP(192, 169, 0, 0), -1 },  { IP(203, 0, 113, 7), 4 },
		{ IP(203, 0, 113, 8), -1 },  { 0, -1 },
		{ IP(203, 0, 113, 6), -1 },  { 0xffffffff, -1 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		const struct scope *want = rows[i].want < 0 ? NULL : &scopes[rows[i].want];

		if (scope_find(&t, rows[i].addr) != want)
			fail_msg("row %zu: %08x found in the wrong scope", i, rows[i].addr);
	}
	assert_null(scope_find(&empty, IP(10, 9, 0, 1)));
	assert_ptr_equal(scope_find(&one, 0xffffffff), &all);
}

/* Sorted by (htype, length, octets), as conf makes them. */
static const struct reservation reserved[] = {
	{ IP(10, 9, 0, 50), 0, OCTETS('z'), NULL },
	{ IP(10, 9, 0, 51), 0, OCTETS(1, 2, 0, 0, 0, 0, 5), NULL },
	{ IP(10, 9, 0, 52), 0, OCTETS(1, 2, 0, 0, 0, 0, 6), NULL },
	{ IP(10, 9, 0, 53), 1, OCTETS(2, 0, 0, 0, 0, 5), NULL },
	{ IP(10, 9, 0, 54), 1, OCTETS(2, 0, 0, 0, 0, 6), NULL },
	{ IP(10, 9, 0, 55), 6, OCTETS(2, 0, 0, 0, 0, 6), NULL },
};
static const struct scope scope = { .subnet = IP(10, 9, 0, 0),
				    .prefix = 24,
				    .reservations = reserved,
				    .n_reservations = N(reserved) };

static void reservation_of_a_client(void **state)
{
	const struct {
		const char *what;
		struct octets id;
		uint8_t htype;
		struct octets chaddr;
		int want; /* host part, 0: none */
	} rows[] = {
		{ "hardware address", { NULL, 0 }, 1, OCTETS(2, 0, 0, 0, 0, 5), 53 },
		{ "hardware address, last", { NULL, 0 }, 6, OCTETS(2, 0, 0, 0, 0, 6), 55 },
		{ "other hardware type", { NULL, 0 }, 6, OCTETS(2, 0, 0, 0, 0, 5), 0 },
		{ "identifier", OCTETS('z'), 1, OCTETS(9, 9, 9, 9, 9, 9), 50 },
		{ "identifier before hardware", OCTETS(1, 2, 0, 0, 0, 0, 6), 1,
		  OCTETS(2, 0, 0, 0, 0, 5), 52 },
		{ "unknown identifier, known hardware", OCTETS('y'), 1, OCTETS(2, 0, 0, 0, 0, 6),
		  54 },
		{ "identifier is no hardware address", OCTETS(2, 0, 0, 0, 0, 5), 1,
		  OCTETS(9, 9, 9, 9, 9, 9), 0 },
		{ "hardware type 0 is no identifier", { NULL, 0 }, 0, OCTETS('z'), 0 },
		{ "nothing", { NULL, 0 }, 1, { NULL, 0 }, 0 },
		{ "prefix of an identifier", OCTETS(1, 2, 0, 0, 0, 0), 1, { NULL, 0 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		const struct reservation *r =
			scope_reservation(&scope, rows[i].id, rows[i].htype, rows[i].chaddr);

		if ((r ? (int)(r->addr & 255) : 0) != rows[i].want)
			fail_msg("%s: got %d", rows[i].what, r ? (int)(r->addr & 255) : 0);
	}
}

static void option_in_a_set(void **state)
{
	static const uint8_t tlv[] = { 1,   0, 4, 255, 255, 255, 0, 6, 0, 0,
				       121, 0, 2, 7,   8,   200, 1, 0, 5 };
	struct option_set all = { tlv, 15 }, cut = { tlv, sizeof(tlv) }, none = { NULL, 0 };
	struct octets v;

	(void)state;
	v = option_set_get(&all, 1);
	assert_ptr_equal(v.p, tlv + 3);
	assert_int_equal(v.len, 4);
	v = option_set_get(&all, 6);
	assert_non_null(v.p);
	assert_int_equal(v.len, 0);
	v = option_set_get(&all, 121);
	assert_int_equal(v.len, 2);
	assert_int_equal(v.p[1], 8);
	assert_null(option_set_get(&all, 3).p);
	assert_null(option_set_get(&cut, 200).p); /* says 256 octets, has one */
	assert_null(option_set_get(&none, 1).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnet_of_an_address),
		cmocka_unit_test(reservation_of_a_client),
		cmocka_unit_test(option_in_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
