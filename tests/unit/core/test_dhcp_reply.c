/*
 * core/dhcp_reply: what a reply holds, in which order and place, how large it may get, and where it
 * goes. Replies are read back by the decoder of core/dhcp_msg.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../lib/dhcp_build.h"
#include "core/dhcp_reply.h"

#define WAY_OUT 1472
#define SERVER 0x0a090001
#define CLIENT 0x0a090037

static struct dhcp_build b;
static struct dhcp_msg req, got;
static uint8_t out[4096];
static size_t out_len;
static struct wr set; /* configured options, sorted by code */
static uint8_t set_buf[4096];
static struct option_set options;
static struct dhcp_reply reply;

static void set_opt(uint8_t code, const void *p, uint16_t len)
{
	wr_u8(&set, code);
	wr_u16(&set, len);
	wr_octets(&set, p, len);
}

static void set_fill(uint8_t code, uint16_t len)
{
	static uint8_t fill[2000];

	for (unsigned i = 0; i < sizeof(fill); i++)
		fill[i] = (uint8_t)(i * 7 + code);
	set_opt(code, fill, len);
}

/* A request to be completed by the test, an empty set, an OFFER of everything usual. */
static void begin(uint8_t type)
{
	db_init(&b, 5);
	db_opt8(&b, DHO_MESSAGE_TYPE, type);
	set = wr_init(set_buf, sizeof(set_buf));
	reply = (struct dhcp_reply){ .type = DHCPOFFER,
				     .yiaddr = CLIENT,
				     .server_id = SERVER,
				     .lease = 3600,
				     .renew = 1800,
				     .rebind = 3150,
				     .options = &options };
}

static size_t encode_to(size_t size, size_t mtu_payload)
{
	options = (struct option_set){ set_buf, (uint32_t)set.len };
	assert_int_equal(dhcp_msg_decode(b.buf, db_done(&b), &req), DHCP_OK);
	b.w.len--; /* the test may add options and encode again */
	memset(out, 0xee, sizeof(out));
	out_len = dhcp_reply_encode(&req, &reply, out, size, mtu_payload);
	for (size_t i = size; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xee);
	return out_len;
}

static void encode(void)
{
	assert_true(encode_to(sizeof(out), WAY_OUT) >= DHCP_MIN_REPLY);
	assert_int_equal(dhcp_msg_decode_any(out, out_len, &got), DHCP_OK);
}

/* Codes of a field as they stand there, in decimal: "53 54 51 255" */
static const char *codes_at(size_t off, size_t len)
{
	static char text[4][1024];
	static unsigned turn;
	char *s = text[turn++ % 4];
	size_t n = 0;

	s[0] = 0;
	for (size_t i = off; i < off + len;) {
		uint8_t code = out[i++];

		n += (size_t)snprintf(s + n, 1024 - n, "%s%u", n ? " " : "", code);
		if (code == DHO_END)
			break;
		if (code != DHO_PAD)
			i += 1u + out[i];
	}
	return s;
}

static const char *codes(void)
{
	return codes_at(DHCP_OPTIONS_OFF, out_len - DHCP_OPTIONS_OFF);
}

static void assert_opt(uint8_t code, const void *want, size_t len)
{
	struct octets o = dhcp_opt(&got, code);

	assert_non_null(o.p);
	assert_int_equal(o.len, len);
	assert_memory_equal(o.p, want, len);
}

static void assert_configured(uint8_t code)
{
	struct octets o = option_set_get(&options, code);

	assert_opt(code, o.p, o.len);
}

/* --- RFC 2131 §4.3.1 table 3 --------------------------------------------------------------------
 */

static void test_header(void **state)
{
	static const uint8_t type[] = { DHCPOFFER, DHCPACK, DHCPNAK };

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		bool nak = type[i % 3] == DHCPNAK, relayed = i / 3 & 1, flag = i / 6;

		begin(DHCPREQUEST);
		b.buf[3] = 2;
		db_put16(&b, DHCP_OFF_SECS, 9);
		db_put16(&b, DHCP_OFF_FLAGS, flag ? DHCP_BROADCAST_FLAG : 0);
		db_put32(&b, DHCP_OFF_CIADDR, CLIENT);
		db_put32(&b, DHCP_OFF_GIADDR, relayed ? 0x0a090002 : 0);
		memcpy(b.buf + DHCP_OFF_SNAME, "junk of the client", 18);
		reply.type = type[i % 3];
		reply.ciaddr = CLIENT;
		encode();
		assert_int_equal(got.op, BOOTREPLY);
		assert_int_equal(got.type, reply.type);
		assert_int_equal(got.htype, 1);
		assert_int_equal(got.hlen, 6);
		assert_int_equal(got.hops, 0);
		assert_int_equal(got.xid, 0x39a5f00d);
		assert_int_equal(got.secs, 0);
		assert_int_equal(got.flags, flag || (nak && relayed) ? DHCP_BROADCAST_FLAG : 0);
		assert_int_equal(got.ciaddr, nak ? 0 : CLIENT);
		assert_int_equal(got.yiaddr, nak ? 0 : CLIENT);
		assert_int_equal(got.siaddr, 0);
		assert_int_equal(got.giaddr, relayed ? 0x0a090002 : 0);
		assert_memory_equal(got.chaddr, req.chaddr, 16);
		assert_int_equal(out[DHCP_OFF_SNAME], 0);
		assert_int_equal(out[DHCP_OFF_FILE], 0);
	}
}

static void test_options_by_type(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t lease;
		const char *want;
	} row[] = {
		{ DHCPOFFER, 3600, "53 54 51 58 59 61 118 56 1 3 82 255" },
		{ DHCPACK, 3600, "53 54 51 58 59 61 118 56 1 3 82 255" },
		{ DHCPACK, 0, "53 54 61 118 56 1 3 82 255" }, /* of an INFORM */
		{ DHCPNAK, 3600, "53 54 61 118 56 82 255" },
		{ DHCPNAK, 0, "53 54 61 118 56 82 255" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		begin(DHCPREQUEST);
		db_opt32(&b, DHO_REQUESTED_ADDRESS, CLIENT);
		db_opt(&b, DHO_RELAY_AGENT, "\x01\x02xy", 4);
		db_opt32(&b, DHO_SUBNET_SELECTION, 0x0a090000);
		db_opt(&b, DHO_CLIENT_ID, "\x01hello", 6);
		db_opt(&b, DHO_HOST_NAME, "me", 2);
		set_opt(DHO_SUBNET_MASK, "\xff\xff\xff\0", 4);
		set_opt(DHO_ROUTERS, "\x0a\x09\0\x01", 4);
		reply.type = row[i].type;
		reply.lease = row[i].lease;
		reply.message = "why";
		encode();
		assert_string_equal(codes(), row[i].want);
		assert_int_equal(dhcp_opt_addr(&got, DHO_SERVER_ID), SERVER);
		assert_opt(DHO_CLIENT_ID, "\x01hello", 6);
		assert_opt(DHO_RELAY_AGENT, "\x01\x02xy", 4);
		assert_opt(DHO_MESSAGE, "why", 3);
		assert_int_equal(dhcp_opt_addr(&got, DHO_SUBNET_SELECTION), 0x0a090000);
		if (row[i].lease && row[i].type != DHCPNAK) {
			assert_int_equal(dhcp_opt_u32(&got, DHO_LEASE_TIME, 0), 3600);
			assert_int_equal(dhcp_opt_u32(&got, DHO_RENEWAL_TIME, 0), 1800);
			assert_int_equal(dhcp_opt_u32(&got, DHO_REBINDING_TIME, 0), 3150);
		}
	}
	begin(DHCPDISCOVER);
	reply.options = NULL;
	reply.message = "";
	reply.renew = reply.rebind = 0;
	reply.lease = SEC_INFINITE;
	encode();
	assert_string_equal(codes(), "53 54 51 255");
	assert_int_equal(dhcp_opt_u32(&got, DHO_LEASE_TIME, 0), SEC_INFINITE);
	assert_int_equal(out_len, DHCP_MIN_REPLY);
}

/* What a reply says after it has waited for the disk. */
static void assert_times(uint32_t sec, uint32_t lease, uint32_t renew, uint32_t rebind)
{
	encode();
	assert_true(dhcp_reply_shorten(out, out_len, sec));
	assert_int_equal(dhcp_msg_decode_any(out, out_len, &got), DHCP_OK);
	assert_int_equal(dhcp_opt_u32(&got, DHO_LEASE_TIME, 0), lease);
	assert_int_equal(dhcp_opt_u32(&got, DHO_RENEWAL_TIME, 0), renew);
	assert_int_equal(dhcp_opt_u32(&got, DHO_REBINDING_TIME, 0), rebind);
}

static void test_times_of_a_late_reply(void **state)
{
	uint8_t before[sizeof(out)];

	(void)state;
	begin(DHCPREQUEST);
	assert_times(3, 3597, 1797, 3147);
	assert_times(1800, 1800, 1, 1350); /* never none */
	assert_times(3599, 1, 1, 1);
	assert_false(dhcp_reply_shorten(out, out_len, 1)); /* it is over */
	reply.lease = SEC_INFINITE;
	assert_times(3, SEC_INFINITE, 1797, 3147);
	reply.lease = 0; /* INFORM */
	encode();
	memcpy(before, out, out_len);
	assert_true(dhcp_reply_shorten(out, out_len, 3));
	assert_memory_equal(out, before, out_len);
}

/* Relay information of some 290 octets leaves no room for them in the options field. */
static void test_times_of_a_late_reply_aside(void **state)
{
	static const uint8_t half[150];

	(void)state;
	for (uint8_t n = 100; n < sizeof(half); n++) {
		begin(DHCPREQUEST);
		db_opt(&b, DHO_RELAY_AGENT, half, sizeof(half));
		db_opt(&b, DHO_RELAY_AGENT, half, n);
		assert_times(3, 3597, 1797, 3147);
	}
}

/* --- which configured options, in which order ----------------------------------------------------
 */
static const struct {
	const char *ref, *given;
	uint8_t list[12];
	uint8_t n;
	const char *want; /* between the fixed ones and END */
} orders[] = {
	{ "2131 §4.3.1", "no list: all", { 0 }, 0, "1 3 6 15 33 42 121" },
	{ "2132 §9.8", "in the client's order", { 15, 6, 1 }, 3, "15 6 1" },
	{ "2132 §9.8", "once each", { 6, 15, 6 }, 3, "6 15" },
	{ "2132 §9.8", "not configured: left out", { 6, 44, 15 }, 3, "6 15" },
	{ "2132 §3.3", "mask before routers", { 3, 6, 1 }, 3, "1 3 6" },
	{ "2132 §3.3", "mask not asked for", { 6, 3 }, 2, "6 3" },
	{ "3442", "classless routes replace routers", { 1, 3, 33, 121 }, 4, "1 121" },
	{ "3442", "wherever they stand", { 121, 3, 6 }, 3, "121 6" },
	{ "3442", "only if listed", { 3, 33 }, 2, "3 33" },
	{ "2131 table 3",
	  "never configured",
	  { 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 82 },
	  11,
	  "" },
	{ "2132 §9.8", "pad and END in the list", { 0, 255, 118, 6 }, 4, "6" },
};

static void test_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		static const uint8_t code[] = { 0,  1,	3,  6,	15, 33, 42, 50,	 51,  52, 53,
						54, 55, 57, 58, 59, 61, 82, 118, 121, 255 };
		char want[128];

		begin(DHCPDISCOVER);
		if (orders[i].n)
			db_opt(&b, DHO_PARAMETER_LIST, orders[i].list, orders[i].n);
		for (unsigned k = 0; k < sizeof(code); k++)
			set_fill(code[k], 4);
		encode();
		snprintf(want, sizeof(want), "53 54 51 58 59 %s%s255", orders[i].want,
			 orders[i].want[0] ? " " : "");
		if (strcmp(codes(), want))
			fail_msg("RFC %s, %s: %s, not %s", orders[i].ref, orders[i].given, codes(),
				 want);
	}
}

/* RFC 3442: where the classless routes find no room, the router is better than no route. */
static void test_routers_when_classless_do_not_fit(void **state)
{
	(void)state;
	begin(DHCPDISCOVER);
	db_opt(&b, DHO_PARAMETER_LIST, "\x79\x03", 2);
	set_fill(DHO_ROUTERS, 4);
	set_fill(DHO_CLASSLESS_ROUTES, 800);
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 3 255");
	db_opt16(&b, DHO_MAX_MESSAGE_SIZE, 1500);
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 121 121 121 121 255");
	assert_configured(DHO_CLASSLESS_ROUTES);
}

/* --- room ---------------------------------------------------------------------------------------
 */

/* Without option 57, and with less than 576 in it, a message is at most 576 - 28 octets. */
static void test_size_limits(void **state)
{
	static const struct {
		uint16_t max;
		size_t size, mtu, want;
	} row[] = {
		{ 0, 4096, 1472, 548 },	     { 100, 4096, 1472, 548 },
		{ 576, 4096, 1472, 548 },    { 577, 4096, 1472, 549 },
		{ 1500, 4096, 1472, 1472 },  { 1400, 4096, 1472, 1372 },
		{ 65535, 4096, 1472, 1472 }, { 65535, 1000, 1472, 1000 },
		{ 65535, 4096, 700, 700 },   { 0, 4096, 500, 500 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		begin(DHCPDISCOVER);
		if (row[i].max)
			db_opt16(&b, DHO_MAX_MESSAGE_SIZE, row[i].max);
		for (unsigned code = 128; code < 254; code++)
			set_fill((uint8_t)code, code == 253 ? 1 : 12);
		assert_in_range(encode_to(row[i].size, row[i].mtu), row[i].want - 10, row[i].want);
		assert_int_equal(dhcp_msg_decode_any(out, out_len, &got), DHCP_OK);
		assert_opt(DHO_OVERLOAD, "\x03", 1);
	}
}

/* An option that ends exactly at the limit stays in the options field; one octet more overloads. */
static void test_overload_begins_at_the_octet(void **state)
{
	/* 548 - 240 - (53 54 51 58 59) 27 - END 1 - set aside for option 52 3, less the head 2 */
	const uint16_t exact = 548 - 240 - 27 - 1 - 3 - 2 - 257;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		begin(DHCPDISCOVER);
		set_fill(200, 255);
		set_fill(201, (uint16_t)(exact + more));
		set_fill(202, 60);
		encode();
		assert_configured(200);
		assert_configured(201);
		assert_configured(202);
		assert_string_equal(codes(), more ? "53 54 51 58 59 200 52 255"
						  : "53 54 51 58 59 200 201 52 255");
		assert_string_equal(codes_at(DHCP_OFF_FILE, DHCP_FILE_LEN),
				    more ? "201 202 255" : "202 255");
		assert_opt(DHO_OVERLOAD, "\x01", 1);
	}
}

static void test_file_then_sname_then_left_out(void **state)
{
	(void)state;
	begin(DHCPDISCOVER);
	set_fill(200, 255);
	set_fill(201, 125); /* fills file with its END */
	set_fill(202, 61);  /* fills sname */
	set_fill(203, 61);  /* nowhere */
	set_fill(204, 1);   /* still room in the options field */
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 200 204 52 255");
	assert_string_equal(codes_at(DHCP_OFF_FILE, DHCP_FILE_LEN), "201 255");
	assert_string_equal(codes_at(DHCP_OFF_SNAME, DHCP_SNAME_LEN), "202 255");
	assert_int_equal(out[DHCP_OFF_FILE + 127], DHO_END);
	assert_int_equal(out[DHCP_OFF_SNAME + 63], DHO_END);
	for (uint8_t code = 200; code <= 202; code++)
		assert_configured(code);
	assert_false(dhcp_has(&got, 203));
}

/* RFC 3396: longer than 255 octets, whole in one field or cut over the fields. */
static void test_long_options(void **state)
{
	static const uint16_t len[] = { 0, 1, 255, 256, 510, 511, 1000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		begin(DHCPDISCOVER);
		db_opt16(&b, DHO_MAX_MESSAGE_SIZE, 1500);
		set_fill(200, len[i]);
		encode();
		assert_configured(200);
	}
	begin(DHCPDISCOVER);
	set_fill(200, 390); /* 255 + 18 in the options field, the rest in file */
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 200 200 52 255");
	assert_string_equal(codes_at(DHCP_OFF_FILE, DHCP_FILE_LEN), "200 255");
	assert_configured(200);
	begin(DHCPDISCOVER);
	set_fill(200, 400); /* and two octets in sname */
	encode();
	assert_opt(DHO_OVERLOAD, "\x03", 1);
	assert_configured(200);
	begin(DHCPDISCOVER);
	set_fill(200, 600); /* more than all three hold */
	set_fill(201, 1);
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 201 255");
}

/* The echoes of RFC 3046 and RFC 6842 have no choice: cut before lost, and no reply without them.
 */
static void test_mandatory_when_room_is_short(void **state)
{
	static uint8_t id[255], info[255];

	(void)state;
	memset(id, 'i', sizeof(id));
	memset(info, 'r', sizeof(info));
	begin(DHCPDISCOVER);
	db_opt(&b, DHO_CLIENT_ID, id, 200);
	db_opt(&b, DHO_RELAY_AGENT, info, 100);
	set_fill(200, 4);
	encode();
	assert_opt(DHO_CLIENT_ID, id, 200);
	assert_opt(DHO_RELAY_AGENT, info, 100);
	assert_configured(200);
	assert_string_equal(codes(), "53 54 51 58 59 61 52 82 255");
	/* NAK has no file and sname to give */
	reply.type = DHCPNAK;
	assert_int_equal(encode_to(sizeof(out), WAY_OUT), 0);
	/* a client identifier that fits nowhere */
	begin(DHCPDISCOVER);
	db_opt(&b, DHO_CLIENT_ID, id, 255);
	db_opt(&b, DHO_RELAY_AGENT, info, 255);
	assert_int_equal(encode_to(sizeof(out), WAY_OUT), 0);
	db_opt16(&b, DHO_MAX_MESSAGE_SIZE, 1500);
	encode();
	/* relay information longer than the whole options field */
	begin(DHCPDISCOVER);
	db_opt(&b, DHO_RELAY_AGENT, info, 255);
	db_opt(&b, DHO_RELAY_AGENT, info, 55);
	assert_int_equal(encode_to(sizeof(out), WAY_OUT), 0);
	db_opt16(&b, DHO_MAX_MESSAGE_SIZE, 1500);
	encode();
	assert_string_equal(codes(), "53 54 51 58 59 82 82 255");
	assert_int_equal(dhcp_opt(&got, DHO_RELAY_AGENT).len, 310);
	/* a message in option 56 gives way */
	begin(DHCPREQUEST);
	db_opt(&b, DHO_CLIENT_ID, id, 255);
	reply.type = DHCPNAK;
	reply.message = "a text that is a bit longer than what is left: 42 octets are left for it";
	encode();
	assert_string_equal(codes(), "53 54 61 255");
}

static void test_small_buffers(void **state)
{
	(void)state;
	begin(DHCPDISCOVER);
	db_opt(&b, DHO_CLIENT_ID, "abc", 3);
	for (size_t size = 0; size < DHCP_MIN_REPLY; size++)
		assert_int_equal(encode_to(size, WAY_OUT), 0);
	assert_int_equal(encode_to(DHCP_MIN_REPLY, WAY_OUT), DHCP_MIN_REPLY);
}

/* --- RFC 2131 §4.1, decision D2: every combination -----------------------------------------------
 */
static void test_dest(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 128; i++) {
		bool relayed = i & 1, ciaddr = i & 2, flag = i & 4, hlen6 = i & 8, yiaddr = i & 16;
		struct dhcp_dest d, want = { DHCP_BROADCAST, 0xffffffff, 68 };
		uint8_t type[] = { DHCPOFFER, DHCPACK, DHCPNAK, DHCPACK };

		req = (struct dhcp_msg){ .giaddr = relayed ? 0x0a090002 : 0,
					 .ciaddr = ciaddr ? 0x0a090038 : 0,
					 .flags = flag ? DHCP_BROADCAST_FLAG : 0,
					 .hlen = hlen6 ? 6 : 8 };
		reply = (struct dhcp_reply){ .type = type[i >> 5], .yiaddr = yiaddr ? CLIENT : 0 };
		d = dhcp_reply_dest(&req, &reply);
		if (relayed)
			want = (struct dhcp_dest){ DHCP_TO_RELAY, 0x0a090002, 67 };
		else if (reply.type != DHCPNAK && ciaddr)
			want = (struct dhcp_dest){ DHCP_TO_CIADDR, 0x0a090038, 68 };
		else if (reply.type != DHCPNAK && !flag && hlen6 && yiaddr)
			want = (struct dhcp_dest){ DHCP_TO_CHADDR, CLIENT, 68 };
		assert_int_equal(d.way, want.way);
		assert_int_equal(d.addr, want.addr);
		assert_int_equal(d.port, want.port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_options_by_type),
		cmocka_unit_test(test_times_of_a_late_reply),
		cmocka_unit_test(test_times_of_a_late_reply_aside),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_routers_when_classless_do_not_fit),
		cmocka_unit_test(test_size_limits),
		cmocka_unit_test(test_overload_begins_at_the_octet),
		cmocka_unit_test(test_file_then_sname_then_left_out),
		cmocka_unit_test(test_long_options),
		cmocka_unit_test(test_mandatory_when_room_is_short),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_dest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
