/*
 * conf: the full example, mistakes with their places and remedies, limits of every key, shares.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../lib/conf_text.h"
#include "shared/xdp_abi.h"

static char *read_text(const char *file)
{
	static char buf[65536];
	FILE *f = fopen(file, "r");
	size_t n;

	if (!f)
		fail_msg("no %s: run from the top of the tree", file);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = 0;
	return buf;
}

/* --- files ------------------------------------------------------------------------------------ */

static void check_relation(const struct conf_relation *r)
{
	assert_string_equal(r->fo.name, "campus");
	assert_true(r->fo.primary);
	assert_int_equal(r->fo.relation, 0);
	assert_false(r->fo.policy.hot_standby);
	assert_true(r->fo.policy.active_is_primary);
	assert_int_equal(r->fo.policy.secs_threshold, 3);
	assert_int_equal(r->fo.policy.hash_identity, HASH_CLIENT_ID);
	assert_int_equal(r->fo.mclt, 3600);
	assert_int_equal(r->fo.max_unacked, 100);
	assert_int_equal(r->fo.contact_timeout_sec, 3);
	assert_int_equal(r->fo.auto_partner_down_sec, 0);
	assert_int_equal(r->fo.max_clock_skew_sec, 60);
	assert_int_equal(r->fo.share_secondary, 50);
	assert_int_equal(r->fo.standby_reserve, 5);
	assert_int_equal(r->fo.misbalance, 15);
	assert_int_equal(r->fo.ownership, 10);
	assert_true(r->fo.after_outage_hold);
	assert_false(r->fo.lift_lease_limit);
	assert_int_equal(ntohl(r->local.sin_addr.s_addr), ip("192.0.2.1"));
	assert_int_equal(ntohl(r->partner.sin_addr.s_addr), ip("192.0.2.2"));
	assert_int_equal(ntohs(r->local.sin_port), 647);
	assert_int_equal(ntohs(r->partner.sin_port), 647);
	assert_int_equal(r->local.sin_family, AF_INET);
	assert_int_equal(r->fo.dialect, FO_DIALECT_AUTO);
	assert_int_equal(r->fo.contact_timeout_isc_sec, 6); /* of 3 s */
	assert_int_equal(r->local_share, 50);
	assert_true(r->line > 0);
}

static void test_example(void **state)
{
	struct conf_problems p;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load("tools/twinlease.yaml.example", &c, &p), 0);
	assert_int_equal(p.n, 0); /* no warnings either */
	conf_problems_free(&p);
	assert_string_equal(c->file, "tools/twinlease.yaml.example");
	assert_string_equal(c->server.name, "a.example.net");
	assert_int_equal(c->server.n_interfaces, 1);
	assert_string_equal(c->server.interfaces[0], "eth0");
	assert_string_equal(c->server.state_directory, "/var/lib/twinlease");
	assert_true(c->server.authoritative);
	assert_string_equal(c->server.user, "twinlease");
	assert_int_equal(c->server.identifier, 0);
	assert_int_equal(c->server.log_level, 2);
	assert_int_equal(c->server.log_format, LOG_TEXT);
	assert_int_equal(c->server.offer_hold_sec, 60);
	assert_int_equal(c->filter.mode, FILTER_AUTO);
	assert_string_equal(c->filter.pin_directory, "/sys/fs/bpf/twinlease");
	assert_int_equal(c->filter.fail_open_after_ms, 6000);
	assert_int_equal(c->api.n_listen, 1);
	assert_string_equal(c->api.listen[0], "unix:/run/twinlease/api.sock");
	assert_false(c->api.read_only);
	assert_int_equal(c->n_relations, 1);
	check_relation(&c->relations[0]);
	assert_int_equal(c->scopes.n_scopes, 1);
	assert_int_equal(c->scopes.scopes[0].lease_time, 8 * 86400);
	assert_int_equal(c->scopes.scopes[0].renew_time, 0);
	assert_int_equal(c->scopes.scopes[0].relation, 0);
	assert_string_equal(c->scopes.scopes[0].name, "floor 9");
	assert_int_equal(c->scopes.n_ranges, 3); /* two parts and the reservation between */
	assert_int_equal(c->n_addresses, 191 - 11 + 1);
	conf_free(c);
}

/* Issue: a configuration with 20 different mistakes gives 20 messages with line, column, remedy. */
static void test_twenty_mistakes(void **state)
{
	static const char file[] = "tests/data/conf/twenty-mistakes.yaml";
	static char expected[16384], got[16384];
	FILE *out = fmemopen(got, sizeof(got), "w");
	struct conf_problems p;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load(file, &c, &p), -EINVAL);
	assert_null(c);
	assert_int_equal(p.n, 20);
	assert_int_equal(p.errors, 20);
	for (unsigned i = 0; i < p.n; i++) {
		assert_true(p.list[i].line > 0 && p.list[i].column > 0);
		assert_non_null(strstr(p.list[i].text, i == 4 ? "did you mean" : ": "));
	}
	conf_problems_print("twenty-mistakes.yaml", &p, out);
	fclose(out);
	conf_problems_free(&p);
	strcpy(expected, read_text("tests/data/conf/twenty-mistakes.expected"));
	assert_string_equal(got, expected);
}

static void test_no_file(void **state)
{
	char buf[256] = "";
	FILE *out = fmemopen(buf, sizeof(buf), "w");
	struct conf_problems p;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load("/nowhere/at.all", &c, &p), -ENOENT);
	assert_int_equal(p.errors, 1);
	conf_problems_print("/nowhere/at.all", &p, out);
	fclose(out);
	assert_string_equal(buf, "/nowhere/at.all: cannot be read (No such file or directory): "
				 "check the path and its permissions\n");
	conf_problems_free(&p);
	assert_int_equal(conf_load("/", &c, &p), -EISDIR);
	conf_problems_free(&p);
	conf_problems_free(&p); /* nothing left: fine */
	conf_free(NULL);
}

/* --- single mistakes -------------------------------------------------------------------------- */

static const struct {
	const char *text, *expected;
} mistakes[] = {
	/* the file as such */
	{ "", "f:1:1: the file is empty: begin with `server:`\n" },
	{ "# nothing\n", "f:1:1: the file is empty: begin with `server:`\n" },
	{ "- a\n", "f:1:1: the file is not a mapping: begin with `server:`\n" },
	{ "server: {interfaces: [eth0]\nfilter: {}\n",
	  "f:2:1: not YAML (did not find expected ',' or '}'): close the bracket, and separate its "
	  "items by commas\n" },
	{ "server:\n\tname: a\n",
	  "f:2:1: not YAML (found character that cannot start any token): indent with spaces, and "
	  "quote values that begin with @, ` or %\n" },
	{ SERVER "filter:\n  mode: auto: off\n",
	  "f:3:13: not YAML (mapping values are not allowed in this context): quote values that "
	  "hold a colon, and check the indentation\n" },
	{ SERVER "api: \x01\n",
	  "f:2:6: not text: save the file as UTF-8 without control characters\n" },
	{ SERVER "api: \xff\n",
	  "f:2:6: not text: save the file as UTF-8 without control characters\n" },
	{ SERVER "---\na: b\n",
	  "f:2:1: a second document begins: keep all in one, without `---` between\n" },
	{ "server: &x {interfaces: [eth0]}\nfilter: *x\n",
	  "f:2:9: aliases are not understood: write the value itself\n" },
	{ SERVER "filter:\n  mode: !off\n",
	  "f:3:9: tags are not understood: remove it, or quote a value that begins with an "
	  "exclamation mark\n" },
	{ "filter: {mode: off}\n",
	  "f:1:1: warning: server has no interfaces: no client is heard; add interfaces: [...]\n" },
	{ "[a]: b\n", "f:1:1: a key must be a word, this is a list: write `key: value`\n" },
	{ SERVER "options: [[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]\n",
	  "f:2:25: nested too deeply: nothing here needs more than 16 levels\n" },
	/* keys */
	{ SERVER "scope: []\n", "f:2:1: unknown key \"scope\": did you mean \"scopes\"?\n" },
	{ SERVER "hamster: 1\n",
	  "f:2:1: unknown key \"hamster\": remove it; the nearest known key is \"filter\"\n" },
	{ SERVER "\"a\\nb\": 1\n",
	  "f:2:1: unknown key \"a\\x0ab\": remove it; the nearest known key is \"api\"\n" },
	{ "server:\n  interface: [eth0]\n",
	  "f:2:3: warning: server has no interfaces: no client is heard; add interfaces: [...]\n"
	  "f:2:3: unknown key \"interface\": did you mean \"interfaces\"?\n" },
	{ SERVER "filter: {mode: off}\nfilter: {mode: auto}\n",
	  "f:3:1: filter stands here a second time (first in line 2): remove one\n" },
	{ SERVER "filter: off\n",
	  "f:2:9: filter is not a mapping: write its keys below it, indented\n" },
	{ SERVER "scopes: {subnet: 10.9.0.0/24}\n",
	  "f:2:9: scopes is not a list: write - before each of them\n" },
	{ SERVER "scopes: [10.9.0.0/24]\n",
	  "f:2:10: scopes: \"10.9.0.0/24\" is not a mapping: write `key: value` lines\n" },
	/* kinds of values */
	{ "server: {interfaces: [eth0, eth0]}\n",
	  "f:1:29: interface \"eth0\" stands here a second time: remove it\n" },
	{ "server: {interfaces: {eth0: 1}}\n",
	  "f:1:22: interfaces (a mapping) is not a list: write - before each item, or [a, b]\n" },
	{ "server: {interfaces: [[eth0]]}\n",
	  "f:1:23: interfaces (a list) is no item of this list: write one value\n" },
	{ "server: {interfaces: [eth0], name: [a]}\n",
	  "f:1:36: name is a list: write one value\n" },
	{ "server: {interfaces: [eth0], name: \"a\\0b\"}\n",
	  "f:1:36: name \"a\\x00b\" holds a zero octet: remove it\n" },
	{ "server: {interfaces: [eth0], name: \"a\\tb\"}\n",
	  "f:1:36: name \"a\\x09b\" holds a control character: remove it\n" },
	{ "server: {interfaces: [eth0], user: abcdefghijklmnopqrstuvwxyz0123456}\n",
	  "f:1:36: user \"abcdefghijklmnopqrstuvwxyz0123456\" is too long: 32 octets are the "
	  "most\n" },
	{ "server: {interfaces: [eth0], server-identifier: 224.0.0.1}\n",
	  "f:1:49: server-identifier \"224.0.0.1\" is not the address of one host: write a unicast "
	  "address\n" },
	{ SERVER "api: {listen: tcp}\n",
	  "f:2:15: listen \"tcp\" is no place to listen at: write unix:/run/twinlease/api.sock\n" },
	{ SERVER "api: {listen: [\"unix:/a\", \"unix:/a\"]}\n",
	  "f:2:27: listen \"unix:/a\" stands here a second time: remove it\n" },
	/* what comes later */
	{ SERVER "api: {tls: {certificate: /a}}\n",
	  "f:2:12: tls is not available in this version: remove it\n" },
	{ REL "  tls: on\n",
	  "f:8:8: tls \"on\" is not known: write off, or its keys below it, indented\n" },
	{ BARE, "f:3:3: authentication is missing: write authentication: {secret-file: /path}, or "
		"tls, or authentication: off for a link that nobody else can reach\n" },
	{ BARE "  tls: off\n", "f:3:3: authentication is missing: write authentication: "
			       "{secret-file: /path}, or tls, or "
			       "authentication: off for a link that nobody else can reach\n" },
	{ BARE "  authentication: {algorithm: hmac-md5, secret-file: /s}\n",
	  "f:7:31: algorithm \"hmac-md5\" is not known: write hmac-sha256\n" },
	{ BARE "  authentication: {former-secret-file: /s}\n",
	  "f:7:19: secret-file is missing: add it\n"
	  "f:7:40: warning: former-secret-file has no effect here: the primary chooses the secret; "
	  "write it on the secondary, while the primary still has the former one\n" },
	{ BARE "  tls: {certificate: /c, key: k}\n",
	  "f:7:8: partner-ca is missing: add it\n"
	  "f:7:31: key \"k\" is not an absolute path: begin it with a slash\n" },
	{ REL "  dialect: isc\n  contact-timeout: 5s\n",
	  "f:9:20: contact-timeout is too short for dialect isc: write 6s or more\n" },
	{ BARE "  dialect: isc\n  authentication: {secret-file: /s}\n",
	  "f:8:19: authentication cannot be used towards dialect isc, which has none: write "
	  "authentication: off, without tls, and keep the link to yourselves\n" },
	{ REL "  dialect: isc\n  tls: {certificate: /c, key: /k, partner-ca: /p}\n",
	  "f:9:8: tls cannot be used towards dialect isc, which has none: write authentication: "
	  "off, without tls, and keep the link to yourselves\n" },
	{ "server: {interfaces: [eth0], conflict-detection: ping}\n",
	  "f:1:50: conflict-detection \"ping\" is not available in this version: write off, or "
	  "remove it\n" },
	{ "server: {interfaces: [eth0], accept-empty: true}\n",
	  "f:1:44: accept-empty \"true\" is not available in this version: write false, or remove "
	  "it\n" },
	/* relationships */
	{ REL_HEAD "  local: 192.0.2.1\n", "f:3:3: partner is missing: add it\n" },
	{ REL_HEAD "  local: 192.0.2.1\n  partner:\n", "f:7:3: partner is missing: add it\n" },
	{ REL_HEAD "  local: 192.0.2.1:0\n  partner: 192.0.2.2\n",
	  "f:6:10: local \"192.0.2.1:0\" is not address[:port]: write an IPv4 address, as in "
	  "192.0.2.1 or 192.0.2.1:647\n" },
	{ REL_HEAD "  local: 0.0.0.0\n  partner: 192.0.2.2\n",
	  "f:6:10: local \"0.0.0.0\" is not the address of one host: write the server's own "
	  "address\n" },
	{ REL_HEAD "  local: 192.0.2.1\n  partner: 192.0.2.1\n",
	  "f:7:12: partner is the same address as local: write the other server's address\n" },
	{ REL "  local-share: 50\n  buckets: "
	      "ff00000000000000000000000000000000000000000000000000000000000000\n",
	  "f:8:16: local-share stands beside buckets: keep one of them\n" },
	{ REL "  mode: hot-standby\n  local-share: 50\n",
	  "f:9:16: warning: local-share has no effect in hot-standby: standby-reserve divides the "
	  "addresses\n" },
	{ REL "  mode: hot-standby\n  dialect: isc\n  contact-timeout: 6s\n  standby-reserve: 10\n",
	  "f:11:20: warning: standby-reserve has no effect with dialect isc: an ISC dhcpd keeps "
	  "half "
	  "of the free addresses on each side\n" },
	{ REL "  auto-partner-down: 59m\n",
	  "f:8:22: warning: auto-partner-down is shorter than max-client-lead-time (1h): make it "
	  "longer, or an address may be given twice when both servers live\n" },
	{ REL "  secs-threshold: 256\n",
	  "f:8:19: secs-threshold \"256\" is not a threshold: write seconds from 0 to 255, or "
	  "never\n" },
	{ REL "filter: {fail-open-after: 2s}\n",
	  "f:8:27: warning: fail-open-after is shorter than contact-timeout (3s): make it twice as "
	  "long, or a busy daemon loses its filter\n" },
	/* scopes */
	{ SERVER "scopes:\n- name: a\n", "f:3:3: subnet is missing: add it\n" },
	{ SERVER "scopes:\n- subnet: 10.9.0.0\n  ranges: 10.9.0.1\n",
	  "f:3:11: subnet \"10.9.0.0\" is not a subnet: write address/length, as in "
	  "10.9.0.0/24\n" },
	{ SERVER "scopes:\n- subnet: 0.0.0.0/0\n  ranges: 10.9.0.1\n",
	  "f:3:11: subnet \"0.0.0.0/0\" is no subnet of hosts: write a unicast one of length 1 to "
	  "32\n" },
	{ SCOPE, "f:3:3: warning: scope without ranges: nobody gets an address; add some\n" },
	{ RANGE "- subnet: 10.0.0.0/8\n  ranges: 10.1.1.1\n",
	  "f:5:11: subnet \"10.0.0.0/8\" overlaps 10.9.0.0/24 in line 3: keep subnets apart, or "
	  "join the two\n" },
	{ SERVER "scopes:\n- {subnet: 10.0.0.0/8, ranges: 10.0.0.1}\n"
		 "- {subnet: 10.1.0.0/16, ranges: 10.1.0.1}\n"
		 "- {subnet: 10.2.0.0/16, ranges: 10.2.0.1}\n",
	  "f:4:12: subnet \"10.1.0.0/16\" overlaps 10.0.0.0/8 in line 3: keep subnets apart, or "
	  "join "
	  "the two\n"
	  "f:5:12: subnet \"10.2.0.0/16\" overlaps 10.0.0.0/8 in line 3: keep subnets apart, or "
	  "join "
	  "the two\n" },
	{ RANGE "- subnet: 10.9.0.0/24\n  ranges: 10.9.0.99\n",
	  "f:5:11: subnet \"10.9.0.0/24\" overlaps 10.9.0.0/24 in line 3: keep subnets apart, or "
	  "join the two\n" },
	{ SCOPE "  ranges: [10.9.0.20-10.9.0.10]\n",
	  "f:4:12: ranges \"10.9.0.20-10.9.0.10\" ends before it begins: write the lower address "
	  "first\n" },
	{ SCOPE "  ranges: [10.9.0.10-20]\n",
	  "f:4:12: ranges \"10.9.0.10-20\" is not a range: write first-last, as in "
	  "10.9.0.10-10.9.0.200\n" },
	{ SCOPE "  ranges: [10.9.0.10-10.9.0.255]\n",
	  "f:4:12: range \"10.9.0.10-10.9.0.255\" holds the broadcast address of its subnet: keep "
	  "it within 10.9.0.1-10.9.0.254\n" },
	{ SCOPE "  ranges: [10.9.0.20-10.9.0.30, 10.9.0.10-10.9.0.20]\n",
	  "f:4:33: range \"10.9.0.10-10.9.0.20\" overlaps range \"10.9.0.20-10.9.0.30\" in line 4: "
	  "keep them apart\n" },
	{ RANGE "  exclusions: [10.8.0.1]\n",
	  "f:5:16: exclusion \"10.8.0.1\" is outside of its subnet 10.9.0.0/24: correct it\n" },
	{ RANGE "  exclusions: [10.9.0.21]\n",
	  "f:5:16: warning: exclusion \"10.9.0.21\" is in no range: it has no effect\n" },
	{ RANGE "  relationship: x\n",
	  "f:5:17: relationship \"x\" is not defined: add it below relationships\n" },
	{ RANGE "  lease-time: 1h\n  rebind-time: 1h\n",
	  "f:6:16: rebind-time is not before the end of the lease (1h): shorten it\n" },
	{ RANGE "  lease-time: 1h\n  renew-time: 50m\n  rebind-time: 50m\n",
	  "f:6:15: renew-time is not before the time to rebind (50m): shorten it\n" },
	{ RANGE "options: {lease-time: 8h, rebind-time: 9h}\n",
	  "f:5:40: rebind-time is not before the end of the lease (8h): shorten it\n" },
	{ REL "scopes:\n- subnet: 10.9.0.0/24\n  ranges: 10.9.0.9\n  relationship: r\n"
	      "  lease-time: infinite\n",
	  "f:12:15: lease-time infinite cannot be shared with a partner: write a duration\n" },
	/* reservations */
	{ SCOPE "  reservations:\n  - {hardware-address: \"02:00:00:00:00:01\"}\n",
	  "f:5:5: address is missing: add it\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.5}\n",
	  "f:5:5: reservation for nobody: add hardware-address or client-id\n" },
	{ SCOPE
	  "  reservations:\n  - {address: 10.9.0.5, hardware-address: 02:00, client-id: 01:02}\n",
	  "f:5:61: client-id stands beside hardware-address: keep one of them\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.1.5, hardware-address: 02:00}\n",
	  "f:5:15: address 10.9.1.5 is outside of its subnet 10.9.0.0/24: correct it\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.255, hardware-address: 02:00}\n",
	  "f:5:15: address 10.9.0.255 is the broadcast address of its subnet: choose another\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.5, hardware-address: 02:00}\n"
		"  - {address: 10.9.0.5, hardware-address: 02:01}\n",
	  "f:6:15: address 10.9.0.5 is reserved in line 5 already: choose another\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.6, hardware-address: 02:0a}\n"
		"  - {address: 10.9.0.5, hardware-address: 02-0A}\n",
	  "f:6:43: hardware-address \"02-0A\" has a reservation in line 5 already: remove one\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.6, client-id: \"text:a1\"}\n"
		"  - {address: 10.9.0.5, client-id: \"6131\"}\n",
	  "f:6:36: client-id \"6131\" has a reservation in line 5 already: remove one\n" },
	{ SCOPE "  reservations:\n  - {address: 10.9.0.6, hardware-address: 02:0}\n",
	  "f:5:43: hardware-address \"02:0\" is not hexadecimal: write two digits per octet, as in "
	  "02:00:00:00:00:55\n" },
	/* options */
	{ SERVER "options: {router: 10.9.0.1}\n",
	  "f:2:11: unknown key \"router\": did you mean \"routers\"?\n" },
	{ SERVER "options: {\"255\": {hex: 00}}\n",
	  "f:2:11: option \"255\" does not exist: codes go from 1 to 254\n" },
	{ SERVER "options: {51: {u32: 600}}\n",
	  "f:2:11: option 51 cannot be set by its code: write lease-time, renew-time or "
	  "rebind-time\n" },
	{ SERVER "options: {82: {hex: 00}}\n",
	  "f:2:11: option 82 cannot be set by its code: remove it, the server sets it in each "
	  "message\n" },
	{ SERVER "options: {150: 10.0.0.1}\n", "f:2:16: option 150 needs one form: write "
					       "{address-list: [...]}, {address: .}, {text: .}, "
					       "{hex: .}, {u8: .}, {u16: .} or {u32: .}\n" },
	{ SERVER "options:\n  150:\n\n",
	  "f:3:3: option 150 needs one form: write {address-list: [...]}, {address: .}, {text: .}, "
	  "{hex: .}, {u8: .}, {u16: .} or {u32: .}\n" },
	{ SERVER "options: {150: {adress: 10.0.0.1}}\n",
	  "f:2:17: unknown key \"adress\": did you mean \"address\"?\n" },
	{ SERVER "options: {routers: 10.9.0.1, 3: {address: 10.9.0.2}}\n",
	  "f:2:34: option 3 is given a second time as 3 (first in line 2): remove one\n" },
	{ SERVER "options: {interface-mtu: 67}\n",
	  "f:2:26: interface-mtu \"67\" is not a number from 68 to 65535: write one\n" },
	{ SERVER "options: {subnet-mask: 255.0.255.0}\n",
	  "f:2:24: subnet-mask \"255.0.255.0\" is not a mask: write one as 255.255.255.0, or leave "
	  "it out, since it follows from the subnet\n" },
	{ SERVER "options: {classless-routes: [10.0.0.0/8]}\n",
	  "f:2:30: classless-routes \"10.0.0.0/8\" is not a route: write \"10.0.0.0/8 via "
	  "10.9.0.1\" or \"default via 10.9.0.1\"\n" },
	{ SERVER "options: {domain-search: [a..b]}\n",
	  "f:2:27: domain-search \"a..b\" is not a domain name: write labels of letters, digits "
	  "and "
	  "hyphens with dots between, as in example.net\n" },
	{ SERVER "options: {routers: []}\n",
	  "f:2:20: routers (a list) is empty: write at least one item, or remove it\n" },
	{ SERVER "options: {broadcast-address: [10.9.0.255]}\n",
	  "f:2:30: broadcast-address (a list) is not one value: write text or a number\n" },
	{ RANGE "  options: {routers: 10.8.0.1}\n",
	  "f:5:22: warning: router 10.8.0.1 is outside of the subnet: clients may not reach it\n" },
};

static void test_mistakes(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < N(mistakes); i++) {
		const char *got = messages(mistakes[i].text, NULL);

		if (!strcmp(got, mistakes[i].expected))
			continue;
		print_error("row %zu:\n%s\nexpected %sgot      %s", i, mistakes[i].text,
			    mistakes[i].expected, got);
		failed++;
	}
	assert_int_equal(failed, 0);
}

/* More than the maximum are counted, and the file does not take for ever. */
static void test_many_mistakes(void **state)
{
	static char text[400000];
	size_t n = 0;
	const char *got;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		n += (size_t)sprintf(text + n, "hamster%u: 1\n", i);
	got = messages(text, NULL);
	assert_non_null(strstr(got, "f:200:1: unknown key"));
	assert_non_null(strstr(got, "f: 19800 more mistakes: mend these first\n"));
}

/* Long and multi-octet texts are cut between characters. */
static void test_show(void **state)
{
	char text[300] = SERVER "\"x", *p = text + strlen(text);
	const char *got;

	(void)state;
	for (int i = 0; i < 100; i++)
		p = stpcpy(p, "\xc3\xa4");
	strcpy(p, "\": 1\n");
	got = messages(text, NULL);
	p = strstr(got, "...\"");
	assert_non_null(p);
	assert_memory_equal(p - 2, "\xc3\xa4", 2);
	assert_true(p - got < 100);
	got = messages(SERVER "\"\\u009b2J\": 1\n",
		       NULL); /* a control character of 8 bit terminals */
	assert_non_null(strstr(got, "\"\\xc2\\x9b2J\""));
}

/* --- limits of every key ---------------------------------------------------------------------- */

static const struct {
	const char *where;	      /* what goes before `key: value` */
	const char *key, *good, *bad; /* values separated by blanks */
} limits[] = {
	{ SERVER "filter: {", "mode", "auto native generic external off", "on kernel" },
	{ SERVER "filter: {", "pin-directory", "/ /sys/fs/bpf/x", "x ./x" },
	{ SERVER "filter: {", "fail-open-after", "3s 1h 60m 3600s", "0s 3601s 3 s -3s 1x 2h" },
	{ SERVER "api: {", "read-only", "true false yes no on off", "1 TRUE y" },
	{ SERVER "api: {", "listen", "unix:/a [] [unix:/a,unix:/b]", "unix:a 127.0.0.1:1 [a]" },
	{ SERVER "api: {", "tls", "off {} {certificate:,key:} ~", "on {key:/a}" },
	{ "server: {interfaces: eth0, ", "name", "a a.example.net ~", "[a] {}" },
	{ "server: {", "interfaces", "e [a,b,c] abcdefghijklmno",
	  "abcdefghijklmnop .. a/b [[]] [a,~] {a:b}" },
	{ "server: {interfaces: eth0, ", "state-directory", "/var/lib/x /", "x" },
	{ "server: {interfaces: eth0, ", "authoritative", "true off", "maybe 0" },
	{ "server: {interfaces: eth0, ", "user", "u abcdefghijklmnopqrstuvwxyz012345",
	  "abcdefghijklmnopqrstuvwxyz0123456" },
	{ "server: {interfaces: eth0, ", "server-identifier", "1.0.0.0 223.255.255.255 127.0.0.1",
	  "0.0.0.1 224.0.0.0 255.255.255.255 1.2.3 1.2.3.256 01.2.3.4 1.2.3.4.5 a" },
	{ "server: {interfaces: eth0, ", "offer-hold", "1s 1h", "0s 3601s" },
	{ "server: {interfaces: eth0, ", "accept-empty", "false no off", "true 1" },
	{ "server: {interfaces: eth0, ", "conflict-detection", "off", "ping arp on" },
	{ "server: {interfaces: eth0, log: {", "level", "error warning info debug", "trace 3" },
	{ "server: {interfaces: eth0, log: {", "format", "text json journal", "xml" },
	{ REL "  ", "mode", "load-balance hot-standby", "loadbalance" },
	{ REL "  ", "active", "primary secondary", "both" },
	{ REL "  ", "local-share", "0 1 50 99 100 70% 100%", "-1 101 101% % 5.5 a 1e1 [50]" },
	{ REL "  ", "standby-reserve", "0 100", "-1 101" },
	{ REL "  ", "buckets",
	  "0000000000000000000000000000000000000000000000000000000000000000 "
	  "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
	  "00000000000000000000000000000000000000000000000000000000000000 "
	  "000000000000000000000000000000000000000000000000000000000000000000 "
	  "000000000000000000000000000000000000000000000000000000000000000g" },
	{ REL "  ", "max-client-lead-time", "1s 30s 1h 365d", "0s 0 366d 1w 1h30" },
	{ REL "  ", "auto-partner-down", "off on 1h 2h 365d", "0s 366d true" },
	{ REL "  ", "secs-threshold", "0 1 255 never", "-1 256 off 3s" },
	{ REL "  ", "hash-identity", "client-id hardware-address", "chaddr" },
	{ REL "  ", "dialect", "auto twinlease isc", "!isc windows" },
	{ REL "  ", "contact-timeout", "1s 3s 20s 1h", "0s 999ms 3601s" },
	{ REL "  ", "max-unacked-updates", "1 10 100 1000", "0 1001 -5 1.5" },
	{ REL "  ", "max-clock-skew", "1s 60s 1h", "0s 2h" },
	{ REL "  ", "max-lease-misbalance", "0 100", "101" },
	{ REL "  ", "max-lease-ownership", "0 100", "101" },
	{ REL "  ", "after-outage", "hold serve", "wait" },
	{ REL "  ", "partner-down-lease-limit", "keep lift", "drop" },
	{ REL "  ", "partner-api", "off ~", "https://a" },
	{ BARE "  ", "authentication",
	  "off {secret-file:/a} {secret-file:/a,algorithm:hmac-sha256,former-secret-file:/b}",
	  "hmac ~ {} {algorithm:hmac-sha256} {secret-file:a} {secret-file:~} [off] on" },
	{ BARE "  ", "tls",
	  "{certificate:/c,key:/k,partner-ca:/p} "
	  "{certificate:/c,key:/k,partner-ca:/p,partner-name:b.example.net}",
	  "off on {} {key:/a} {certificate:/c,key:/k} [] ~" },
	{ REL "  ", "tls", "off ~ {certificate:/c,key:/k,partner-ca:/p}", "on {key:/a}" },
	{ SERVER "relationships:\n- role: secondary\n  authentication: off\n  local: 1.2.3.4\n  "
		 "partner: 1.2.3.5\n  ",
	  "name",
	  "a "
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	  "89012345678901234567890123456789012345",
	  "~ "
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	  "890123456789012345678901234567890123456" },
	{ SERVER "relationships:\n- name: a\n  authentication: off\n  local: 1.2.3.4\n  partner: "
		 "1.2.3.5\n  ",
	  "role", "primary secondary", "~ master" },
	{ REL_HEAD "  local: 1.2.3.4\n  ", "partner",
	  "1.2.3.5 1.2.3.4:648 127.0.0.1:65535 1.2.3.5:1",
	  "1.2.3.4 1.2.3.4:647 1.2.3.5:65536 1.2.3.5: ::1 host 1.2.3.5:x" },
	{ RANGE "  ", "lease-time", "2s 1s infinite 1h30m 24855d",
	  "0s 24856d 8 forever 1h- 99999999999d" },
	{ RANGE "  ", "renew-time", "1s 6d", "0s 7d infinite" },
	{ RANGE "  ", "rebind-time", "1s 7d", "0s 8d" },
	{ RANGE "  ", "cache-threshold", "0", "25 1" },
	{ RANGE "  ", "name", "x", "[x]" },
	{ RANGE "  ", "options", "{} ~", "[] x" },
	{ RANGE "  ", "reservations", "[] ~", "{} x [x]" },
	{ SCOPE "  ", "ranges", "10.9.0.1-10.9.0.254 [10.9.0.1,10.9.0.2] 10.9.0.254",
	  "10.9.0.0-10.9.0.1 10.9.0.255 10.8.255.255-10.9.0.9 10.9.0.9-10.9.1.0 10.9.0.9- -" },
	{ SERVER "scopes:\n- ranges: []\n  ", "subnet",
	  "10.9.0.0/24 10.9.0.0/31 10.9.0.1/32 128.0.0.0/1",
	  "10.9.0.1/24 10.9.0.0/33 10.9.0.0/-1 10.9.0.0/ /24 0.0.0.0/1 224.0.0.0/4 10.9/16 a" },
	{ SCOPE "  reservations: [{address: 10.9.0.9, ", "hardware-address",
	  "01 02:00:00:00:00:01 020000000001 02-00-00-00-00-01 0102030405060708090a0b0c0d0e0f10",
	  "0102030405060708090a0b0c0d0e0f1011 0g 02:00-01 2:0 ~" },
	{ SCOPE "  reservations: [{address: 10.9.0.9, ", "client-id", "0102 01:02 text:ab",
	  "01 text:a text: ab:c" },
	{ SCOPE "  reservations: [{address: 10.9.0.9, hardware-address: 01, ", "hardware-type",
	  "1 6 255", "0 256" },
	{ SCOPE "  reservations: [{address: 10.9.0.9, hardware-address: 01, ", "name", "x", "[x]" },
	{ SCOPE "  reservations: [{hardware-address: 01, ", "address", "10.9.0.1 10.9.0.254",
	  "10.9.0.0 10.9.0.255 10.9.1.1 a ~" },
	{ SERVER "options: {", "interface-mtu", "68 1500 65535", "67 65536 a [1500]" },
	{ SERVER "options: {", "time-offset", "0 -3600 2147483647 -2147483648", "2147483648 1h" },
	{ SERVER "options: {", "netbios-node-type", "1 8", "0 9" },
	{ SERVER "options: {", "subnet-mask", "0.0.0.0 255.255.255.255 255.255.254.0",
	  "255.255.0.255 0.0.0.1 24" },
	{ SERVER "options: {", "host-name", "a a-b a_b.c a.", ".a a..b a/b ." },
	{ SERVER "options: {", "lease-time", "1s 1h infinite", "0s 5 [1h]" },
	{ SERVER "options: {", "9",
	  "{address:1.2.3.4} {u8:255} {u16:[1,65535]} {u32:4294967295} "
	  "{text:x} {hex:00}",
	  "{u8:256} {u8:-1} {u16:65536} {u32:4294967296} {text:[a,b]} {hex:0} {hex:} {} "
	  "{u8:1,u16:1} [] 5" },
};

/* The table has no blanks within a value; a flow map needs them after its colons. */
static void spaced(const char *value, char *to)
{
	for (bool map = *value == '{'; *value; value++) {
		*to++ = *value;
		if (map && *value == ':')
			*to++ = ' ';
	}
	*to = 0;
}

/* What closes the brackets that the last line of @text leaves open, innermost first. */
static void close_brackets(const char *text, char *to)
{
	const char *line = strrchr(text, '\n');
	char open[8];
	int depth = 0;

	for (line = line ? line : text; *line; line++) {
		if (*line == '{' || *line == '[')
			open[depth++] = *line == '{' ? '}' : ']';
		else if (*line == '}' || *line == ']')
			depth--;
	}
	while (depth)
		*to++ = open[--depth];
	strcpy(to, "\n");
}

static void try_value(size_t row, const char *value, bool good)
{
	char text[2000], wide[400];
	struct conf *c = NULL;
	const char *got;
	size_t n;

	spaced(value, wide);
	n = (size_t)sprintf(text, "%s\"%s\": %s", limits[row].where, limits[row].key, wide);
	close_brackets(limits[row].where, text + n);
	got = messages(text, &c);
	if (!c == good)
		fail_msg("%s\nis %s: %s", text, good ? "refused" : "accepted", got);
	conf_free(c);
}

static void test_limits(void **state)
{
	char values[1000], *save;

	(void)state;
	for (size_t i = 0; i < N(limits); i++) {
		for (int good = 0; good < 2; good++) {
			strcpy(values, good ? limits[i].good : limits[i].bad);
			for (char *v = strtok_r(values, " ", &save); v;
			     v = strtok_r(NULL, " ", &save))
				try_value(i, v, good);
		}
	}
}

static void test_defaults(void **state)
{
	struct conf *c = parse(REL "scopes:\n- subnet: 10.9.0.0/24\n  ranges: 10.9.0.1\n");
	char host[256];

	(void)state;
	gethostname(host, sizeof(host));
	assert_string_equal(c->server.name, host);
	assert_string_equal(c->server.state_directory, "/var/lib/twinlease");
	assert_true(c->server.authoritative);
	assert_null(c->server.user);
	assert_int_equal(c->server.log_level, 2);
	assert_int_equal(c->server.offer_hold_sec, 60);
	assert_string_equal(c->api.listen[0], "unix:/run/twinlease/api.sock");
	assert_int_equal(c->api.n_listen, 1);
	assert_string_equal(c->relations[0].fo.name, "r");
	assert_int_equal(c->relations[0].fo.mclt, 3600);
	assert_int_equal(c->relations[0].fo.contact_timeout_sec, 3);
	assert_int_equal(c->relations[0].fo.contact_timeout_isc_sec, 20);
	assert_int_equal(c->filter.fail_open_after_ms, 6000);
	assert_int_equal(c->scopes.scopes[0].relation, -1);
	assert_int_equal(c->scopes.scopes[0].lease_time, 8 * 86400);
	conf_free(c);
	c = parse(REL "  dialect: isc\n");
	assert_int_equal(c->relations[0].fo.dialect, FO_DIALECT_ISC);
	assert_int_equal(c->relations[0].fo.contact_timeout_sec, 20);
	assert_int_equal(c->filter.fail_open_after_ms, 40000);
	conf_free(c);
	c = parse(REL "  contact-timeout: 1s\n  auto-partner-down: on\n");
	assert_int_equal(c->filter.fail_open_after_ms, 3000);
	assert_int_equal(c->relations[0].fo.auto_partner_down_sec, 3600);
	conf_free(c);
}

/* --- shares ----------------------------------------------------------------------------------- */

static unsigned owned(const uint8_t hba[32])
{
	unsigned n = 0;

	while (n < 256 && hba[n / 8] >> n % 8 & 1)
		n++;
	for (unsigned b = n; b < 256; b++) /* no bit beyond */
		assert_false(hba[b / 8] >> b % 8 & 1);
	return n;
}

static void test_shares(void **state)
{
	static const struct {
		const char *role, *lines;
		unsigned primary_buckets, secondary_percent, local_share;
	} rows[] = {
		/* A16: the primary owns 0 .. round(2.56 * share) - 1 */
		{ "primary", "", 128, 50, 50 },
		{ "primary", "  local-share: 70\n", 179, 30, 70 },
		{ "primary", "  local-share: 0\n", 0, 100, 0 },
		{ "primary", "  local-share: 1\n", 3, 99, 1 },
		{ "primary", "  local-share: 100\n", 256, 0, 100 },
		{ "secondary", "", 128, 50, 50 },
		{ "secondary", "  local-share: 30\n", 179, 30, 30 },
		{ "secondary", "  local-share: 70%\n", 77, 70, 70 },
		/* A4, A5: hot standby; mirrored where the secondary is the active one */
		{ "primary", "  mode: hot-standby\n", 256, 5, 50 },
		{ "secondary", "  mode: hot-standby\n  standby-reserve: 20\n", 256, 20, 50 },
		{ "primary", "  mode: hot-standby\n  active: secondary\n", 0, 95, 50 },
		{ "secondary", "  mode: hot-standby\n  active: secondary\n", 0, 95, 50 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		char text[500];
		struct conf *c;

		sprintf(text,
			SERVER "relationships:\n- name: r\n  role: %s\n  local: 1.2.3.4\n"
			       "  partner: 1.2.3.5\n  authentication: off\n%s",
			rows[i].role, rows[i].lines);
		c = parse(text);
		assert_int_equal(owned(c->relations[0].fo.policy.hba), rows[i].primary_buckets);
		assert_int_equal(c->relations[0].fo.share_secondary, rows[i].secondary_percent);
		assert_int_equal(c->relations[0].local_share, rows[i].local_share);
		conf_free(c);
	}
}

static void test_buckets(void **state)
{
	static const char digits[] =
		"0100000000000000000000000000000000000000000000000000000000000080";
	char text[500];
	struct conf *c;

	(void)state;
	sprintf(text, REL "  buckets: %s\n", digits); /* bucket b is bit b % 8 of octet b / 8 */
	c = parse(text);
	assert_int_equal(c->relations[0].fo.policy.hba[0], 1);
	assert_int_equal(c->relations[0].fo.policy.hba[31], 0x80);
	assert_int_equal(c->relations[0].fo.policy.hba[1], 0);
	assert_int_equal(c->relations[0].local_share, 1);
	assert_int_equal(c->relations[0].fo.share_secondary, 99);
	conf_free(c);
	sprintf(text,
		SERVER "relationships:\n- {name: r, role: secondary, authentication: off, local: "
		       "1.2.3.4, partner: "
		       "1.2.3.5, buckets: %s, secs-threshold: never}\n",
		digits); /* ours; the primary has the others */
	c = parse(text);
	assert_int_equal(c->relations[0].fo.policy.hba[0], 0xfe);
	assert_int_equal(c->relations[0].fo.policy.hba[31], 0x7f);
	assert_int_equal(c->relations[0].fo.share_secondary, 1);
	assert_int_equal(c->relations[0].fo.policy.secs_threshold, SECS_NEVER);
	conf_free(c);
}

/* A6: several relationships between the same two servers, told apart by name. */
static void test_same_servers(void **state)
{
	struct conf *c = parse(
		REL "- {name: s, role: secondary, authentication: off, local: 192.0.2.1, partner: "
		    "192.0.2.2, contact-timeout: 7s}\n"
		    "scopes: [{subnet: 10.9.0.0/24, ranges: 10.9.0.1, relationship: s}]\n");

	(void)state;
	assert_int_equal(c->n_relations, 2);
	assert_int_equal(c->relations[1].fo.relation, 1);
	assert_false(c->relations[1].fo.primary);
	assert_int_equal(c->scopes.scopes[0].relation, 1);
	assert_int_equal(c->filter.fail_open_after_ms, 14000);
	conf_free(c);
}

/* --- no crash --------------------------------------------------------------------------------- */

static void survive(const char *text, size_t len)
{
	struct conf_problems p;
	struct conf *c = NULL;
	int r = conf_parse("f", text, len, &c, &p);

	assert_int_equal(r == 0, p.errors == 0);
	assert_int_equal(r == 0, c != NULL);
	conf_problems_free(&p);
	conf_free(c);
}

/* The example cut after every octet, with every octet gone, and with every octet another. */
static void test_broken_files(void **state)
{
	char *text = read_text("tools/twinlease.yaml.example"), copy[16384];
	size_t len = strlen(text);

	(void)state;
	assert_in_range(len, 1000, sizeof(copy) - 1);
	for (size_t i = 0; i < len; i++) {
		survive(text, i);
		memcpy(copy, text, i);
		memcpy(copy + i, text + i + 1, len - i - 1);
		survive(copy, len - 1);
		memcpy(copy, text, len);
		copy[i] = ":[]{}-\n\"9\xff"[i % 10];
		survive(copy, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),	      cmocka_unit_test(test_twenty_mistakes),
		cmocka_unit_test(test_no_file),	      cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_many_mistakes), cmocka_unit_test(test_show),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_shares),	      cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_same_servers),  cmocka_unit_test(test_broken_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
