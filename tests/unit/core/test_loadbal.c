/*
 * The RFC 3074 hash against vectors of an independent implementation, and the rule "who answers"
 * over its whole grid.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/dhcp_wire.h"
#include "shared/loadbal.h"

static unsigned from_hex(const char *text, __u8 *ret, unsigned max)
{
	unsigned n = 0, octet;

	while (n < max && sscanf(text + 2 * n, "%2x", &octet) == 1)
		ret[n++] = (__u8)octet;
	return n;
}

/* tests/data/rfc3074-vectors.tsv: key in hex, TAB, bucket */
static void test_vectors(void **state)
{
	FILE *f = fopen("tests/data/rfc3074-vectors.tsv", "r");
	char line[1024];
	unsigned rows = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *tab = strchr(line, '\t');
		__u8 key[256];
		unsigned len;

		if (line[0] == '#' || !tab)
			continue;
		*tab = 0;
		len = from_hex(line, key, sizeof(key));
		assert_int_equal(len, strlen(line) / 2);
		assert_int_equal(loadbal_hash(key, len), atoi(tab + 1));
		rows++;
	}
	fclose(f);
	assert_true(rows >= 100);
}

/* Measured on a pair of ISC dhcpd 4.4.3: split 128 sent the first four to S, P, S, S. */
static void test_isc_clients(void **state)
{
	static const struct {
		__u8 cid[7], cid_len, mac[6], bucket;
	} t[] = {
		{ { 0 }, 0, { 2, 0, 0, 0, 0, 1 }, 133 },
		{ { 0 }, 0, { 2, 0, 0, 0, 0, 2 }, 45 },
		{ { 0 }, 0, { 2, 0, 0, 0, 0, 3 }, 182 },
		{ { 0 }, 0, { 2, 0, 0, 0, 0, 5 }, 13 },
		{ { 1, 2, 0, 0, 0, 0, 7 }, 7, { 2, 0, 0, 0, 0, 7 }, 172 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		__u8 by_id = loadbal_bucket(HASH_CLIENT_ID, t[i].cid, t[i].cid_len, t[i].mac, 6);
		__u8 by_hw = loadbal_bucket(HASH_HARDWARE, t[i].cid, t[i].cid_len, t[i].mac, 6);

		assert_int_equal(by_id, t[i].bucket);
		assert_int_equal(by_hw, loadbal_hash(t[i].mac, 6));
	}
}

static void test_lengths(void **state)
{
	static const __u8 zeros[256];

	(void)state;
	assert_int_equal(loadbal_hash(zeros, 0), 0);
	assert_int_equal(loadbal_hash(zeros, 1), loadbal_table[1]);
	assert_int_equal(loadbal_hash(zeros, 255), loadbal_hash(zeros, 255));
	/* the table is a permutation: each value once */
	for (unsigned v = 0; v < 256; v++) {
		unsigned n = 0;

		for (unsigned i = 0; i < 256; i++)
			n += loadbal_table[i] == v;
		assert_int_equal(n, 1);
	}
}

/* Bucket b is bit b % 8, least significant first, of octet b / 8, as ISC puts it on the wire. */
static void test_bit_order(void **state)
{
	struct relation_policy p = { .owned = { [0] = 0x01, [1] = 0x80, [31] = 0x40 } };

	(void)state;
	for (unsigned b = 0; b < 256; b++)
		assert_int_equal(loadbal_owned(&p, (__u8)b), b == 0 || b == 15 || b == 254);
}

static void test_rule(void **state)
{
	static const struct {
		__u32 serve;
		__u16 threshold;
		__u8 bucket; /* 0 is ours, 1 the partner's */
		__u16 secs;
		int serves;
		enum loadbal_why why;
	} t[] = {
		{ SERVE_ALL, 3, 0, 0, 1, LOADBAL_SERVE_ALL },
		{ SERVE_ALL, 3, 1, 0, 1, LOADBAL_SERVE_ALL },
		{ SERVE_NONE, 3, 0, 0, 0, LOADBAL_SERVE_NONE },
		{ SERVE_NONE, 0, 1, 9, 0, LOADBAL_SERVE_NONE },
		{ SERVE_BALANCE, 3, 0, 0, 1, LOADBAL_OURS },
		{ SERVE_BALANCE, 3, 0, 9, 1, LOADBAL_OURS },
		{ SERVE_BALANCE, 3, 1, 0, 0, LOADBAL_PARTNERS },
		{ SERVE_BALANCE, 3, 1, 2, 0, LOADBAL_PARTNERS },
		{ SERVE_BALANCE, 3, 1, 3, 1, LOADBAL_BY_SECS },
		{ SERVE_BALANCE, 3, 1, 65535, 1, LOADBAL_BY_SECS },
		{ SERVE_BALANCE, 0, 1, 0, 1, LOADBAL_BY_SECS },
		{ SERVE_BALANCE, SECS_NEVER, 1, 65535, 0, LOADBAL_PARTNERS },
		{ SERVE_BALANCE, 65534, 1, 65533, 0, LOADBAL_PARTNERS },
		{ 77, 3, 1, 0, 1, LOADBAL_SERVE_ALL },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct relation_policy p = { .serve = t[i].serve,
					     .owned = { 0x01 },
					     .secs_threshold = t[i].threshold };
		enum loadbal_why why;

		assert_int_equal(loadbal_serves(&p, t[i].bucket, t[i].secs, &why), t[i].serves);
		assert_int_equal(why, t[i].why);
	}
}

static void test_secs_repair(void **state)
{
	(void)state;
	assert_int_equal(dhcp_secs_repair(0), 0);
	assert_int_equal(dhcp_secs_repair(255), 255);
	assert_int_equal(dhcp_secs_repair(256), 1);
	assert_int_equal(dhcp_secs_repair(0x0300), 3);
	assert_int_equal(dhcp_secs_repair(0x0301), 0x0301);
	assert_int_equal(dhcp_secs_repair(0xff00), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_isc_clients),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_bit_order),
		cmocka_unit_test(test_rule),	cmocka_unit_test(test_secs_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
