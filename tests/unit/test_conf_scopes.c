/*
 * conf: what becomes of ranges, exclusions, reservations and options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../lib/conf_text.h"
#include "shared/xdp_abi.h"

/* --- ranges ----------------------------------------------------------------------------------- */

static const struct {
	const char *ranges, *exclusions, *reserved, *expected;
} cuts[] = {
	{ "10-20", "", "", "10-20" },
	{ "30-40, 10-20", "", "", "10-20 30-40" },
	{ "10-20, 21-30", "", "", "10-20 21-30" },
	{ "10-20", "15", "", "10-14 16-20" },
	{ "10-20", "10", "", "11-20" },
	{ "10-20", "20", "", "10-19" },
	{ "10-20", "10-20", "", "" },
	{ "10-20", "5-25", "", "" },
	{ "10-20", "5-12, 18-25", "", "13-17" },
	{ "10-20", "12-15, 14-17", "", "10-11 18-20" },
	{ "10-20", "12-18, 14-15", "", "10-11 19-20" },
	{ "10-20", "14-15, 12-18", "", "10-11 19-20" },
	{ "10-20, 30-40", "15-35", "", "10-14 36-40" },
	{ "10-20, 30-40, 50-60", "12, 35-55", "", "10-11 13-20 30-34 56-60" },
	{ "10-20, 30-40", "9-31, 33", "", "32-32 34-40" },
	{ "10-20", "", "15", "10-20" },
	{ "10-20", "", "5", "5! 10-20" },
	{ "10-20", "", "25, 9, 21", "9! 10-20 21! 25!" },
	{ "10-20", "15-17", "16", "10-14 16! 18-20" },
	{ "10-20", "10-20", "10, 20", "10! 20!" },
	{ "", "", "7", "7!" },
	{ "1-254", "", "", "1-254" },
};

/* "10-20, 30" -> items in the subnet 10.9.0.0/24 */
static char *addresses(const char *s, char *to)
{
	for (bool start = true; *s; s++) {
		if (start && *s >= '0' && *s <= '9')
			to = stpcpy(to, "10.9.0.");
		start = *s < '0' || *s > '9';
		*to++ = *s;
	}
	*to = 0;
	return to;
}

static void test_ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(cuts); i++) {
		char text[2000], got[500] = "", list[300], *p = got, *q = text, *save;
		struct conf *c;
		uint64_t sum = 0;

		q += sprintf(q, SCOPE "  ranges: [");
		q = addresses(cuts[i].ranges, q);
		q += sprintf(q, "]\n  exclusions: [");
		q = addresses(cuts[i].exclusions, q);
		q += sprintf(q, "]\n  reservations:\n");
		strcpy(list, cuts[i].reserved);
		for (char *r = strtok_r(list, ", ", &save); r; r = strtok_r(NULL, ", ", &save))
			q += sprintf(q, "  - {address: 10.9.0.%s, client-id: \"text:no%s\"}\n", r,
				     r);
		c = parse(text);
		for (uint32_t k = 0; k < c->scopes.n_ranges; k++) {
			const struct addr_range *r = &c->scopes.ranges[k];

			sum += r->last - r->first + 1;
			if (r->flags == RANGE_RESERVED && r->first == r->last)
				p += sprintf(p, "%s%u!", k ? " " : "", r->first & 255);
			else
				p += sprintf(p, "%s%u-%u", k ? " " : "", r->first & 255,
					     r->last & 255);
			assert_int_equal(r->scope, 0);
		}
		assert_string_equal(got, cuts[i].expected);
		assert_int_equal(c->n_addresses, sum);
		assert_int_equal(c->scopes.scopes[0].n_ranges, c->scopes.n_ranges);
		conf_free(c);
	}
}

static void test_scope_order(void **state)
{
	struct conf *c =
		parse(SERVER "scopes:\n"
			     "- {subnet: 192.168.1.0/24, ranges: 192.168.1.5-192.168.1.9}\n"
			     "- {subnet: 10.9.0.0/24, ranges: [10.9.0.30, 10.9.0.10], "
			     "relationship: r, name: b}\n"
			     "- {subnet: 10.8.0.0/31, ranges: 10.8.0.0-10.8.0.1}\n"
			     "relationships:\n"
			     "- {name: r, role: primary, local: 1.2.3.4, partner: 1.2.3.5, "
			     "authentication: off}\n");
	const struct scope_table *t = &c->scopes;

	(void)state;
	assert_int_equal(t->n_scopes, 3);
	assert_int_equal(t->scopes[0].subnet, ip("10.8.0.0"));
	assert_int_equal(t->scopes[1].subnet, ip("10.9.0.0"));
	assert_int_equal(t->scopes[2].subnet, ip("192.168.1.0"));
	assert_int_equal(t->scopes[1].first_range, 1);
	assert_int_equal(t->scopes[1].n_ranges, 2);
	assert_int_equal(t->scopes[1].relation, 0);
	assert_string_equal(t->scopes[1].name, "b");
	assert_null(t->scopes[0].name);
	assert_int_equal(t->ranges[1].first, ip("10.9.0.10"));
	assert_int_equal(t->ranges[3].scope, 2);
	assert_int_equal(c->n_addresses, 2 + 2 + 5);
	assert_ptr_equal(scope_find(t, ip("10.9.0.77")), &t->scopes[1]);
	assert_null(scope_find(t, ip("10.8.0.2")));
	conf_free(c);
}

static void test_many_addresses(void **state)
{
	const char *got = messages(SERVER "scopes:\n- {subnet: 64.0.0.0/2, ranges: "
					  "64.0.0.1-127.255.255.254}\n- {subnet: 128.0.0.0/1, "
					  "ranges: 128.0.0.1-223.255.255.255}\n",
				   NULL);

	(void)state;
	assert_string_equal(got, "f:3:1: 2684354557 addresses are too many for one server: "
				 "1610612736 are the most\n");
}

/* The table of the kernel has room for so many prefixes; and a large file reads in linear time. */
static void test_many_scopes(void **state)
{
	char *text = malloc(6000000), *p = text;
	struct conf_problems problems;
	struct conf *c = NULL;

	(void)state;
	p += sprintf(p, SERVER "scopes:\n");
	for (unsigned i = 0; i < TL_MAX_PREFIXES; i++)
		p += sprintf(p, "- {subnet: 10.%u.%u.0/24, ranges: 10.%u.%u.1}\n", i >> 8, i & 255,
			     i >> 8, i & 255);
	assert_int_equal(conf_parse("f", text, (size_t)(p - text), &c, &problems), 0);
	assert_int_equal(c->n_addresses, TL_MAX_PREFIXES);
	conf_problems_free(&problems);
	conf_free(c);
	p += sprintf(p, "- {subnet: 11.0.0.0/24, ranges: 11.0.0.1}\n");
	c = NULL;
	assert_int_equal(conf_parse("f", text, (size_t)(p - text), &c, &problems), -EINVAL);
	assert_int_equal(problems.n, 1);
	assert_int_equal(problems.list[0].line, TL_MAX_PREFIXES + 3);
	assert_string_equal(problems.list[0].text, "too many scopes: 65536 are the most");
	conf_problems_free(&problems);
	assert_null(c);
	free(text);
}

/* --- reservations ----------------------------------------------------------------------------- */

static const struct reservation *look(const struct scope *s, const char *id, unsigned htype,
				      const char *chaddr)
{
	struct octets i = { (const uint8_t *)id, id ? (uint32_t)strlen(id) : 0 };
	struct octets h = { (const uint8_t *)chaddr, (uint32_t)strlen(chaddr) };

	return scope_reservation(s, i, (uint8_t)htype, h);
}

static void test_reservations(void **state)
{
	struct conf *c = parse(
		SCOPE "  reservations:\n"
		      "  - {address: 10.9.0.9, hardware-address: \"62:62:62:62:62:62\", name: b}\n"
		      "  - {address: 10.9.0.5, client-id: \"text:identity\"}\n"
		      "  - {address: 10.9.0.6, hardware-address: \"62-62\", hardware-type: 6}\n"
		      "  - {address: 10.9.0.7, hardware-address: \"6161\", hardware-type: 6}\n"
		      "  - {address: 10.9.0.8, client-id: \"62:62:62:62:62:62\"}\n");
	const struct scope *s = &c->scopes.scopes[0];

	(void)state;
	assert_int_equal(s->n_reservations, 5);
	assert_int_equal(look(s, NULL, 1, "bbbbbb")->addr, ip("10.9.0.9"));
	assert_string_equal(look(s, NULL, 1, "bbbbbb")->name, "b");
	assert_int_equal(look(s, "identity", 1, "bbbbbb")->addr, ip("10.9.0.5"));
	assert_int_equal(look(s, "bbbbbb", 1, "xxxxxx")->addr, ip("10.9.0.8"));
	assert_int_equal(look(s, NULL, 6, "bb")->addr, ip("10.9.0.6"));
	assert_int_equal(look(s, NULL, 6, "aa")->addr, ip("10.9.0.7"));
	assert_null(look(s, NULL, 1, "aa"));
	conf_free(c);
}

/* --- options ---------------------------------------------------------------------------------- */

static const char *hex(const uint8_t *p, uint32_t len)
{
	static char buf[5000];

	buf[0] = 0;
	for (uint32_t i = 0; i < len; i++)
		sprintf(buf + 2 * i, "%02x", p[i]);
	return buf;
}

static const struct {
	const char *option;
	unsigned code;
	const char *expected; /* octets of the value; NULL: not there */
} encodings[] = {
	{ "subnet-mask: 255.255.0.0", 1, "ffff0000" },
	{ "", 1, "ffffff00" }, /* follows from the subnet */
	{ "", 28, "0a0900ff" },
	{ "broadcast-address: 10.9.0.127", 28, "0a09007f" },
	{ "time-offset: -3600", 2, "fffff1f0" },
	{ "routers: 10.9.0.1", 3, "0a090001" },
	{ "routers: [10.9.0.1, 10.9.0.2]", 3, "0a0900010a090002" },
	{ "time-servers: 10.9.0.1", 4, "0a090001" },
	{ "domain-name-servers: [10.0.0.53]", 6, "0a000035" },
	{ "log-servers: 10.0.0.1", 7, "0a000001" },
	{ "host-name: pc", 12, "7063" },
	{ "domain-name: example.net", 15, "6578616d706c652e6e6574" },
	{ "interface-mtu: 1500", 26, "05dc" },
	{ "ntp-servers: 10.0.0.1", 42, "0a000001" },
	{ "netbios-name-servers: 10.0.0.1", 44, "0a000001" },
	{ "netbios-node-type: 8", 46, "08" },
	{ "tftp-server-name: tftp", 66, "74667470" },
	{ "bootfile-name: \"a b\"", 67, "612062" },
	/* RFC 3397: labels, uncompressed */
	{ "domain-search: [eng.a.com, b.]", 119,
	  "03656e67016103636f6d00"
	  "016200" },
	/* RFC 3442 */
	{ "classless-routes: [\"10.0.0.0/8 via 10.9.0.1\"]", 121,
	  "080a"
	  "0a090001" },
	{ "classless-routes: [\"default via 10.9.0.1\", \"10.17.0.0/16 via 10.9.0.2\"]", 121,
	  "00"
	  "0a090001"
	  "100a11"
	  "0a090002" },
	{ "classless-routes: \"10.27.129.128/25 via 10.9.0.1\"", 121,
	  "190a1b8180"
	  "0a090001" },
	{ "classless-routes: \"10.198.122.47/32 via 10.9.0.1\"", 121,
	  "200ac67a2f"
	  "0a090001" },
	{ "classless-routes: \"10.128.0.0/9 via 10.9.0.1\"", 121,
	  "090a80"
	  "0a090001" },
	{ "\"150\": {address-list: [10.0.0.1, 10.0.0.2]}", 150, "0a0000010a000002" },
	{ "150: {address: 10.0.0.1}", 150, "0a000001" },
	{ "43: {hex: \"01:ff\"}", 43, "01ff" },
	{ "43: {hex: \"01FF02\"}", 43, "01ff02" },
	{ "252: {text: \"http://a/\"}", 252, "687474703a2f2f612f" },
	{ "23: {u8: 64}", 23, "40" },
	{ "25: {u16: [68, 1500]}", 25, "004405dc" },
	{ "24: {u32: 4294967295}", 24, "ffffffff" },
	{ "1: {address: 255.0.0.0}", 1, "ff000000" },
	{ "lease-time: 1h", 51, NULL }, /* the server writes it */
	{ "routers: ~", 3, NULL },
};

static void test_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(encodings); i++) {
		for (int global = 0; global < 2; global++) {
			const struct scope *s;
			struct octets o;
			struct conf *c;
			char text[500];

			sprintf(text, RANGE "%soptions: {%s}\n", global ? "" : "  ",
				encodings[i].option);
			c = parse(text);
			s = &c->scopes.scopes[0];
			o = option_set_get(&s->options, (uint8_t)encodings[i].code);
			if (!encodings[i].expected)
				assert_null(o.p);
			else
				assert_string_equal(hex(o.p, o.len), encodings[i].expected);
			conf_free(c);
		}
	}
}

/* The whole set: sorted by code, two octets of length, the scope's over the global ones. */
static void test_option_set(void **state)
{
	struct conf *c =
		parse(RANGE "  options: {routers: 10.9.0.1, 254: {u8: 1}, lease-time: 2h}\n"
			    "- subnet: 10.8.0.0/31\n  ranges: 10.8.0.0\n"
			    "options: {routers: 10.9.0.2, host-name: a, lease-time: 1h, "
			    "renew-time: 10m}\n");
	const struct scope *a = &c->scopes.scopes[1], *b = &c->scopes.scopes[0];

	(void)state;
	assert_string_equal(hex(a->options.tlv, a->options.len), "010004ffffff00"
								 "0300040a090001"
								 "0c000161"
								 "1c00040a0900ff"
								 "fe000101");
	assert_string_equal(hex(b->options.tlv, b->options.len),
			    "010004fffffffe"
			    "0300040a090002"
			    "0c000161"); /* /31: no broadcast */
	assert_int_equal(a->lease_time, 7200);
	assert_int_equal(a->renew_time, 600);
	assert_int_equal(b->lease_time, 3600);
	conf_free(c);
}

static void test_long_option(void **state)
{
	char text[4000], *p;
	struct octets o;
	struct conf *c;

	(void)state;
	for (unsigned len = 1024; len <= 1025; len++) {
		p = text + sprintf(text, RANGE "  options: {43: {hex: \"");
		for (unsigned i = 0; i < len; i++)
			p = stpcpy(p, "ab");
		strcpy(p, "\"}}\n");
		if (len > 1024) {
			assert_non_null(strstr(messages(text, NULL), "has too many octets"));
			continue;
		}
		c = parse(text);
		o = option_set_get(&c->scopes.scopes[0].options, 43);
		assert_int_equal(o.len, 1024);
		assert_int_equal(o.p[1023], 0xab);
		conf_free(c);
	}
	p = text + sprintf(text, RANGE "  options: {routers: [10.9.0.1");
	for (unsigned i = 0; i < 256; i++)
		p = stpcpy(p, ",10.9.0.1");
	strcpy(p, "]}\n");
	assert_non_null(strstr(messages(text, NULL), "is too long: 1024 octets are the most"));
}

static void test_long_domain(void **state)
{
	char text[1000], name[400], *p;

	(void)state;
	for (size_t len = 253; len <= 254; len++) {
		for (p = name; p < name + len; p++)
			*p = (p - name) % 64 == 63 ? '.' : 'a';
		*p = 0;
		sprintf(text, RANGE "options: {domain-name: %s}\n", name);
		if (len == 253)
			conf_free(parse(text));
		else
			assert_non_null(strstr(messages(text, NULL), "is too long for a domain"));
	}
	memset(name, 'a', 64);
	strcpy(name + 64, ".net");
	sprintf(text, RANGE "options: {domain-name: %s}\n", name);
	assert_non_null(strstr(messages(text, NULL), "is too long for a domain"));
	sprintf(text, RANGE "options: {domain-name: %s}\n", name + 1);
	conf_free(parse(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),	       cmocka_unit_test(test_scope_order),
		cmocka_unit_test(test_many_addresses), cmocka_unit_test(test_many_scopes),
		cmocka_unit_test(test_reservations),   cmocka_unit_test(test_options),
		cmocka_unit_test(test_option_set),     cmocka_unit_test(test_long_domain),
		cmocka_unit_test(test_long_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
