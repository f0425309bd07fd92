/*
 * core/dhcp_msg: what is accepted, what is refused and under which verdict, and what the accessors
 * make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../lib/dhcp_build.h"
#include "core/dhcp_msg.h"
#include "shared/loadbal.h"

static struct dhcp_build b;
static struct dhcp_msg m;

static enum dhcp_verdict decode_now(void)
{
	return dhcp_msg_decode(b.buf, b.w.len, &m);
}

static void assert_opt(uint8_t code, const void *want, size_t len)
{
	struct octets o = dhcp_opt(&m, code);

	assert_non_null(o.p);
	assert_int_equal(o.len, len);
	assert_memory_equal(o.p, want, len);
}

/* --- one row: a DISCOVER, some raw octets behind it, the verdict ---------------------------------
 */
static const struct {
	const char *ref, *given;
	uint8_t tail[24];
	unsigned n;
	enum dhcp_verdict want;
} tails[] = {
	{ "2132 §3.2", "END", { 255 }, 1, DHCP_OK },
	{ "real clients", "no END", { 0 }, 0, DHCP_OK },
	{ "2132 §3.1", "pads, then no END", { 0, 0, 0 }, 3, DHCP_OK },
	{ "2132 §3.1",
	  "pads between options",
	  { 0, 12, 1, 'a', 0, 0, 15, 1, 'b', 255 },
	  10,
	  DHCP_OK },
	{ "real clients", "junk behind END", { 255, 61, 200, 1 }, 4, DHCP_OK },
	{ "2132 §2", "code without length", { 12 }, 1, DHCP_BAD_OPTION },
	{ "2132 §2", "one octet short", { 12, 3, 'a', 'b' }, 4, DHCP_BAD_OPTION },
	{ "2132 §2", "value fills the rest", { 12, 3, 'a', 'b', 'c' }, 5, DHCP_OK },
	{ "real clients", "empty host name", { 12, 0, 255 }, 3, DHCP_OK },
	{ "2132 §9.1", "requested address of 3", { 50, 3, 10, 0, 0, 255 }, 6, DHCP_BAD_OPTION },
	{ "2132 §9.1", "requested address of 4", { 50, 4, 10, 0, 0, 1, 255 }, 7, DHCP_OK },
	{ "3396 §5", "requested address in two", { 50, 2, 10, 0, 50, 2, 0, 1, 255 }, 9, DHCP_OK },
	{ "2132 §9.1",
	  "twice, so 8 octets",
	  { 50, 4, 1, 1, 1, 1, 50, 4, 1, 1, 1, 1 },
	  12,
	  DHCP_BAD_OPTION },
	{ "2132 §9.2", "lease time of 2", { 51, 2, 0, 1, 255 }, 5, DHCP_BAD_OPTION },
	{ "2132 §9.11", "renewal time of 1", { 58, 1, 0, 255 }, 4, DHCP_BAD_OPTION },
	{ "2132 §9.12", "rebinding time of 5", { 59, 5, 0, 0, 0, 0, 9, 255 }, 8, DHCP_BAD_OPTION },
	{ "2132 §9.3", "overload of 2", { 52, 2, 1, 1, 255 }, 5, DHCP_BAD_OPTION },
	{ "2132 §9.3", "empty overload", { 52, 0, 255 }, 3, DHCP_BAD_OPTION },
	{ "2132 §9.6", "a second message type", { 53, 1, 1, 255 }, 4, DHCP_BAD_OPTION },
	{ "2132 §9.7", "server id of 5", { 54, 5, 1, 2, 3, 4, 5, 255 }, 8, DHCP_BAD_OPTION },
	{ "2132 §9.10", "maximum size of 4", { 57, 4, 0, 0, 2, 64, 255 }, 7, DHCP_BAD_OPTION },
	{ "3011 §2", "subnet selection of 2", { 118, 2, 10, 0, 255 }, 5, DHCP_BAD_OPTION },
};

static void test_option_area(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		db_init(&b, 1);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		wr_octets(&b.w, tails[i].tail, tails[i].n);
		if (decode_now() != tails[i].want)
			fail_msg("RFC %s, %s: %s", tails[i].ref, tails[i].given,
				 dhcp_verdict_name(decode_now()));
	}
}

static void test_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool heard = type == 1 || type == 3 || type == 4 || type == 7 || type == 8;

		db_init(&b, 1);
		db_opt8(&b, DHO_MESSAGE_TYPE, (uint8_t)type);
		assert_int_equal(decode_now(), heard ? DHCP_OK : DHCP_BAD_TYPE);
		assert_int_equal(dhcp_msg_decode_any(b.buf, b.w.len, &m),
				 type >= 1 && type <= 8 ? DHCP_OK : DHCP_BAD_TYPE);
	}
	db_init(&b, 1);
	(void)db_done(&b);
	assert_int_equal(decode_now(), DHCP_NO_TYPE);
	assert_string_equal(dhcp_type_name(DHCPINFORM), "INFORM");
	assert_string_equal(dhcp_type_name(0), "unknown");
	assert_string_equal(dhcp_type_name(9), "unknown");
}

static void test_header_verdicts(void **state)
{
	(void)state;
	db_init(&b, 1);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	for (size_t len = 0; len < DHCP_OPTIONS_OFF; len++)
		assert_int_equal(dhcp_msg_decode(b.buf, len, &m), DHCP_TOO_SHORT);
	assert_int_equal(dhcp_msg_decode(b.buf, DHCP_OPTIONS_OFF, &m), DHCP_NO_TYPE);
	b.buf[0] = BOOTREPLY;
	assert_int_equal(decode_now(), DHCP_NOT_REQUEST);
	assert_int_equal(dhcp_msg_decode_any(b.buf, b.w.len, &m), DHCP_OK);
	b.buf[0] = 3;
	assert_int_equal(dhcp_msg_decode_any(b.buf, b.w.len, &m), DHCP_NOT_REQUEST);
	b.buf[0] = BOOTREQUEST;
	b.buf[DHCP_OFF_HLEN] = 16;
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(dhcp_chaddr(&m).len, 16);
	b.buf[DHCP_OFF_HLEN] = 17;
	assert_int_equal(decode_now(), DHCP_BAD_HLEN);
	b.buf[DHCP_OFF_HLEN] = 6;
	b.buf[DHCP_FIXED_LEN] = 0;
	assert_int_equal(decode_now(), DHCP_BAD_COOKIE);
}

static void test_header_fields(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };

	(void)state;
	db_init(&b, 9);
	b.buf[3] = 4;
	db_put16(&b, DHCP_OFF_SECS, 7);
	db_put16(&b, DHCP_OFF_FLAGS, 0x8000);
	db_put32(&b, DHCP_OFF_CIADDR, 0x0a090001);
	db_put32(&b, 16, 0x0a090002);
	db_put32(&b, 20, 0x0a090003);
	db_put32(&b, DHCP_OFF_GIADDR, 0x0a090004);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPREQUEST);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(m.op, 1);
	assert_int_equal(m.htype, 1);
	assert_int_equal(m.hlen, 6);
	assert_int_equal(m.hops, 4);
	assert_int_equal(m.type, DHCPREQUEST);
	assert_int_equal(m.xid, 0x39a5f00d);
	assert_int_equal(m.secs, 7);
	assert_int_equal(m.flags, 0x8000);
	assert_int_equal(m.ciaddr, 0x0a090001);
	assert_int_equal(m.yiaddr, 0x0a090002);
	assert_int_equal(m.siaddr, 0x0a090003);
	assert_int_equal(m.giaddr, 0x0a090004);
	assert_int_equal(dhcp_chaddr(&m).len, 6);
	assert_memory_equal(dhcp_chaddr(&m).p, mac, 6);
}

/* Decision A18: above 255 with an empty low octet is a number in the wrong byte order. */
static void test_secs_repaired(void **state)
{
	static const uint16_t row[][2] = { { 0, 0 },	      { 255, 255 }, { 256, 1 },
					   { 0x0300, 3 },     { 257, 257 }, { 0xff00, 255 },
					   { 0xffff, 0xffff } };

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		db_init(&b, 1);
		db_put16(&b, DHCP_OFF_SECS, row[i][0]);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		assert_int_equal(decode_now(), DHCP_OK);
		assert_int_equal(m.secs, row[i][1]);
	}
}

/* RFC 3396 §5: pieces are joined in the order options, file, sname. */
static void test_joined_over_fields(void **state)
{
	(void)state;
	db_init(&b, 1);
	db_opt(&b, DHO_CLIENT_ID, "ab", 2);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	db_opt(&b, DHO_CLIENT_ID, "cd", 2);
	db_opt(&b, DHO_HOST_NAME, "host", 4);
	db_opt8(&b, DHO_OVERLOAD, 3);
	(void)db_done(&b);
	memcpy(b.buf + DHCP_OFF_FILE,
	       "\x3d\x02"
	       "ef"
	       "\xff\x0c\x01"
	       "X",
	       8);
	memcpy(b.buf + DHCP_OFF_SNAME,
	       "\0\x3d\x01"
	       "g"
	       "\x0f\x02"
	       "xy",
	       8);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_opt(DHO_CLIENT_ID, "abcdefg", 7);
	assert_opt(DHO_HOST_NAME, "host", 4);
	assert_opt(DHO_DOMAIN_NAME, "xy", 2);
	assert_false(dhcp_has(&m, DHO_PAD));
	assert_false(dhcp_has(&m, DHO_END));
	assert_false(dhcp_has(&m, DHO_ROUTERS));
	assert_null(dhcp_opt(&m, DHO_ROUTERS).p);
}

static void test_overload_selects_fields(void **state)
{
	(void)state;
	for (unsigned overload = 0; overload < 8; overload++) {
		db_init(&b, 1);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		db_opt8(&b, DHO_OVERLOAD, (uint8_t)overload);
		memcpy(b.buf + DHCP_OFF_FILE,
		       "\x0c\x01"
		       "f",
		       3);
		memcpy(b.buf + DHCP_OFF_SNAME,
		       "\x0f\x01"
		       "s",
		       3);
		assert_int_equal(decode_now(), DHCP_OK);
		assert_int_equal(dhcp_has(&m, DHO_HOST_NAME), (overload & 1) != 0);
		assert_int_equal(dhcp_has(&m, DHO_DOMAIN_NAME), (overload & 2) != 0);
	}
}

static void test_overloaded_field_is_checked(void **state)
{
	(void)state;
	db_init(&b, 1);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	db_opt8(&b, DHO_OVERLOAD, 2);
	/* the last option of sname would reach into file */
	b.buf[DHCP_OFF_SNAME + 60] = DHO_HOST_NAME;
	b.buf[DHCP_OFF_SNAME + 61] = 2;
	assert_int_equal(decode_now(), DHCP_OK);
	b.buf[DHCP_OFF_SNAME + 61] = 3;
	assert_int_equal(decode_now(), DHCP_BAD_OPTION);
	/* file is not looked at, since nobody said that it holds options */
	b.buf[DHCP_OFF_SNAME + 61] = 2;
	b.buf[DHCP_OFF_FILE + 127] = DHO_HOST_NAME;
	assert_int_equal(decode_now(), DHCP_OK);
}

/* The room for joined options ends at DHCP_MSG_DATA, exactly. */
static void test_room(void **state)
{
	static uint8_t fill[255];

	(void)state;
	for (unsigned extra = 0; extra < 2; extra++) {
		db_init(&b, 1);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		for (unsigned left = DHCP_MSG_DATA - 1 + extra; left;) {
			uint8_t n = left > 255 ? 255 : (uint8_t)left;

			memset(fill, (int)left, sizeof(fill));
			db_opt(&b, 200, fill, n);
			left -= n;
		}
		db_opt(&b, 201, NULL, 0);
		assert_int_equal(decode_now(), extra ? DHCP_BAD_OPTION : DHCP_OK);
	}
	db_init(&b, 1);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	for (unsigned code = 60; code < 254; code++)
		db_opt8(&b, (uint8_t)(code == 61 ? 12 : code == 118 ? 13 : code), (uint8_t)code);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(m.n_data, 1 + 1 + 194);
	assert_opt(253, "\xfd", 1);
}

static void test_number_accessors(void **state)
{
	(void)state;
	db_init(&b, 1);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPREQUEST);
	db_opt32(&b, DHO_REQUESTED_ADDRESS, 0x0a090037);
	db_opt32(&b, DHO_LEASE_TIME, 3600);
	db_opt(&b, DHO_ROUTERS, "abc", 3);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(dhcp_opt_addr(&m, DHO_REQUESTED_ADDRESS), 0x0a090037);
	assert_int_equal(dhcp_opt_addr(&m, DHO_SERVER_ID), 0);
	assert_int_equal(dhcp_opt_addr(&m, DHO_ROUTERS), 0);
	assert_int_equal(dhcp_opt_u32(&m, DHO_LEASE_TIME, 7), 3600);
	assert_int_equal(dhcp_opt_u32(&m, DHO_RENEWAL_TIME, 7), 7);
}

static void test_relay_sub_options(void **state)
{
	static const uint8_t info[] = { 1, 3, 'e', 't', '0', 2, 0, 5, 4, 10, 1, 2, 0, 9, 200, 'x' };

	(void)state;
	db_init(&b, 1);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_null(dhcp_relay_sub(&m, RELAY_CIRCUIT_ID).p);
	db_opt(&b, DHO_RELAY_AGENT, info, sizeof(info));
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(dhcp_relay_sub(&m, RELAY_CIRCUIT_ID).len, 3);
	assert_memory_equal(dhcp_relay_sub(&m, RELAY_CIRCUIT_ID).p, "et0", 3);
	assert_non_null(dhcp_relay_sub(&m, RELAY_REMOTE_ID).p);
	assert_int_equal(dhcp_relay_sub(&m, RELAY_REMOTE_ID).len, 0);
	assert_int_equal(dhcp_relay_sub(&m, RELAY_LINK_SELECTION).len, 4);
	assert_null(dhcp_relay_sub(&m, 9).p); /* runs past option 82 */
	assert_null(dhcp_relay_sub(&m, 77).p);
}

/* RFC 3527 §4 before RFC 3011 before giaddr; every combination of the three. */
static void test_subnet_hint(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		bool link = i & 1, option = i & 2, gi = i & 4, link_short = i & 8;
		enum subnet_by by = 99, want = gi && link && !link_short ? SUBNET_BY_LINK
					       : option			 ? SUBNET_BY_OPTION
					       : gi			 ? SUBNET_BY_GIADDR
									 : SUBNET_BY_INTERFACE;
		static const uint32_t addr[] = { 0x0a010000, 0x0a020000, 0x0a030001, 0 };

		db_init(&b, 1);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		if (link)
			db_opt(&b, DHO_RELAY_AGENT, "\x05\x04\x0a\x01\0\0", link_short ? 5 : 6);
		if (option)
			db_opt32(&b, DHO_SUBNET_SELECTION, 0x0a020000);
		if (gi)
			db_put32(&b, DHCP_OFF_GIADDR, 0x0a030001);
		assert_int_equal(decode_now(), DHCP_OK);
		assert_int_equal(dhcp_subnet_hint(&m, &by), addr[want]);
		assert_int_equal(by, want);
		assert_int_equal(dhcp_subnet_hint(&m, NULL), addr[want]);
	}
}

static void test_identity_and_bucket(void **state)
{
	static const uint8_t id[] = { 1, 2, 0, 0, 0, 0, 77 }, mac[] = { 2, 0, 0, 0, 0, 5 };

	(void)state;
	db_init(&b, 5);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_null(dhcp_client_id(&m).p);
	assert_int_equal(dhcp_bucket(&m, HASH_CLIENT_ID), loadbal_hash(mac, 6));
	db_opt(&b, DHO_CLIENT_ID, NULL, 0);
	assert_int_equal(decode_now(), DHCP_OK);
	assert_null(dhcp_client_id(&m).p);
	assert_int_equal(dhcp_bucket(&m, HASH_CLIENT_ID), loadbal_hash(mac, 6));
	db_opt(&b, DHO_CLIENT_ID, id, sizeof(id));
	assert_int_equal(decode_now(), DHCP_OK);
	assert_int_equal(dhcp_client_id(&m).len, sizeof(id));
	assert_int_equal(dhcp_bucket(&m, HASH_CLIENT_ID), loadbal_hash(id, sizeof(id)));
	assert_int_equal(dhcp_bucket(&m, HASH_HARDWARE), loadbal_hash(mac, 6));
	assert_int_not_equal(loadbal_hash(id, sizeof(id)), loadbal_hash(mac, 6));
}

static void test_verdict_names(void **state)
{
	(void)state;
	for (unsigned v = 0; v < DHCP_VERDICTS; v++)
		assert_string_not_equal(dhcp_verdict_name(v), "unknown");
	assert_string_equal(dhcp_verdict_name(DHCP_VERDICTS), "unknown");
	assert_string_equal(dhcp_verdict_name(DHCP_BAD_HLEN), "bad-hlen");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option_area),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_header_verdicts),
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_secs_repaired),
		cmocka_unit_test(test_joined_over_fields),
		cmocka_unit_test(test_overload_selects_fields),
		cmocka_unit_test(test_overloaded_field_is_checked),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_number_accessors),
		cmocka_unit_test(test_relay_sub_options),
		cmocka_unit_test(test_subnet_hint),
		cmocka_unit_test(test_identity_and_bucket),
		cmocka_unit_test(test_verdict_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
