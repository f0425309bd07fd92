/*
 * Events of a relationship as an operator reads them: levels of changes of state, both records of a
 * refused update once a minute, one event per scope for a range that one server lacks, both clocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "ctl/fo_counters.h"
#include "../lib/log_news.h"
#include "../lib/store_test.h"
#include "node_priv.h"

static struct scope scopes[1] = {
	{ .subnet = 0x0a090000, .prefix = 16, .name = "s", .n_ranges = 1 }
};
static struct addr_range ranges[1] = { { 0x0a09000a, 0x0a0900c8, 0, 0 } };
static struct conf_relation relations[1] = { { .fo = { .name = "cam pus", .mclt = 60 } } };
static struct conf conf = { .relations = relations, .n_relations = 1 };
static struct node node;
static struct node_relation rel;
static struct lease_client them = { .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, 7 } };

static int setup(void **state)
{
	(void)state;
	conf.relations = relations;
	conf.scopes = (struct scope_table){ scopes, 1, ranges, 1 };
	node.conf = &conf;
	node.now.mono.us += 100LL * 3600 * 1000000;
	rel = (struct node_relation){ .node = &node };
	(void)news();
	return 0;
}

static void levels_of_states(void **state)
{
	static const struct {
		uint8_t from, to;
		enum log_level level;
	} row[] = {
		{ FO_RECOVER_DONE, FO_NORMAL, LOG_L_INFO },
		{ FO_COMM_INT, FO_NORMAL, LOG_L_INFO },
		{ FO_NORMAL, FO_COMM_INT, LOG_L_ERROR },
		{ FO_NORMAL, FO_POTENTIAL_CONFLICT, LOG_L_ERROR },
		{ FO_COMM_INT, FO_PARTNER_DOWN, LOG_L_ERROR },
		{ FO_STARTUP, FO_RECOVER, LOG_L_WARNING },
		{ FO_STATE_NONE, FO_RECOVER, LOG_L_WARNING },
	};

	(void)state;
	for (unsigned own = 0; own < 2; own++)
		for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
			node_partner_event(&rel, own ? "state" : "partner-state", "", 0,
					   row[i].from, row[i].to);
			assert_int_equal(news(), 1);
			assert_int_equal(last.level, row[i].level);
			assert_string_equal(last.what, own ? "state" : "partner-state");
			says("relationship=\"cam pus\"");
			says(fo_state_name(row[i].to));
			assert_int_equal(!!strstr(last.detail, "from="), row[i].from != 0);
		}
	node_partner_event(&rel, "link-lost", "", 0, FO_CLOSE_SILENT, 0);
	assert_int_equal(news(), 1);
	assert_int_equal(last.level, LOG_L_ERROR);
	node_partner_event(&rel, "link-up", "Twinlease", 0, 10, 3);
	assert_int_equal(news(), 1);
	assert_int_equal(last.level, LOG_L_INFO);
}

/* Who cannot connect tries each second: the same words once a minute, for each relationship. */
static void attempts_are_told_once(void **state)
{
	static const char both[] = "the partner plays the primary too";
	struct node_relation other = { .node = &node, .index = 1 };
	struct conf_relation two[2] = { relations[0], relations[0] };

	(void)state;
	conf.relations = two;
	for (unsigned i = 0; i < 50; i++) {
		node_partner_event(&rel, "connect-refused", both, 0, 0, 0);
		node.now.mono.us += 1000000;
	}
	assert_int_equal(news(), 1);
	says(both);
	node_partner_event(&rel, "connect-refused", "something else", 0, 0, 0);
	assert_int_equal(news(), 1);
	node_partner_event(&rel, "connect-rejected", both, 0, 0, 0);
	assert_int_equal(news(), 1);
	node_partner_event(&other, "connect-refused", both, 0, 0, 0);
	assert_int_equal(news(), 1);
	node.now.mono.us += 10000000;
	node_partner_event(&rel, "connect-refused", both, 0, 0, 0);
	assert_int_equal(news(), 1);
}

static void refuse(uint32_t addr, uint8_t reason, bool by_us)
{
	struct lease ours = {
		.addr = addr, .state = LEASE_ABANDONED, .expires = 1700000060, .cltt = 1700000000
	};
	struct lease theirs = {
		.addr = addr, .state = LEASE_ACTIVE, .expires = 1700000600, .cltt = 1700000030
	};
	struct fo_refusal f = { .by_us = by_us,
				.reason = reason,
				.ours = &ours,
				.theirs = &theirs,
				.client = by_us ? &them : NULL,
				.next = "it is sent again in a minute" };

	if (!by_us)
		f.words = (struct octets){ (const uint8_t *)"active x", 8 };
	node_partner_refusal(&rel, &f);
}

static void both_records(void **state) /* T000-5 */
{
	(void)state;
	refuse(0x0a090010, FO_REJECT_LESS_CRITICAL, true);
	assert_int_equal(news(), 1);
	assert_string_equal(last.what, "update-refused");
	says("address=10.9.0.16");
	says("reject-reason=16");
	says("ours=abandoned,-,ends=2023-11-14T22:14:20Z,cltt=2023-11-14T22:13:20Z");
	says("theirs=active,02:00:00:00:00:07,ends=2023-11-14T22:23:20Z,cltt=2023-11-14T22:13:50Z");
	says("why=\"less critical binding information\"");
	says("next=\"it is sent again in a minute\"");
	refuse(0x0a090010, FO_REJECT_LESS_CRITICAL, false);
	assert_int_equal(news(), 1);
	assert_string_equal(last.what, "update-rejected");
	says("partner-says=\"active x\"");
}

/* A duel over the same client's renewal is no trouble; over another's it is. */
static void duel_of_one_client(void **state)
{
	struct lease ours = { .addr = 0x0a090020, .state = LEASE_ACTIVE, .key = { { 1, 2 } } };
	struct lease theirs = ours;
	struct fo_refusal f = { .by_us = true,
				.reason = FO_REJECT_LESS_CRITICAL,
				.ours = &ours,
				.theirs = &theirs,
				.next = "ours stays" };
	struct told told = { 0 };
	struct lease_store_ops ops = { &told, told_durable, told_failed };
	struct lease_store_conf c = { .addresses = 10, .map_min = 1 << 20 };
	char err[256], dir[64];

	(void)state;
	store_dir_make(dir);
	c.directory = dir;
	assert_int_equal(lease_store_open(&c, &ops, &node.store, err), 0);
	node_partner_refusal(&rel, &f);
	assert_int_equal(news(), 1);
	assert_int_equal(last.level, LOG_L_INFO);
	theirs.key.w[0] = 3;
	ours.addr++;
	node_partner_refusal(&rel, &f);
	assert_int_equal(news(), 1);
	assert_int_equal(last.level, LOG_L_WARNING);
	lease_store_close(node.store);
	node.store = NULL;
	store_dir_remove(dir);
}

static void once_a_minute(void **state) /* T000-5 */
{
	(void)state;
	for (unsigned i = 0; i < 59; i++) {
		refuse(0x0a090010, FO_REJECT_IN_USE, true);
		assert_int_equal(news(), i == 0);
		node.now.mono.us += 1000000;
	}
	refuse(0x0a090010, FO_REJECT_OUTDATED, true); /* another reason */
	assert_int_equal(news(), 1);
	refuse(0x0a090011, FO_REJECT_IN_USE, true); /* another address */
	assert_int_equal(news(), 1);
	refuse(0x0a090010, FO_REJECT_IN_USE, false); /* the other way */
	assert_int_equal(news(), 1);
	node.now.mono.us += 1000000;
	refuse(0x0a090010, FO_REJECT_IN_USE, true);
	assert_int_equal(news(), 1);
}

static void a_storm_is_bounded(void **state)
{
	unsigned n = 0;

	(void)state;
	node.count.refusals_untold = 0;
	for (uint32_t a = 0; a < 5000; a++) {
		refuse(0x0a090000 + a, FO_REJECT_IN_USE, true);
		n += news();
	}
	assert_in_range(n, 512, 1024);
	assert_int_equal(node.count.refusals_untold, 5000 - n);
}

/* Thousands of refused addresses of one relationship silence neither another one's connection nor
 * its own, and what is said of connections is no refusal. */
static void a_storm_silences_no_attempt(void **state)
{
	struct node_relation other = { .node = &node, .index = 1 };
	struct conf_relation two[2] = { relations[0], relations[0] };
	uint64_t untold;

	(void)state;
	conf.relations = two;
	for (uint32_t a = 0; a < 5000; a++)
		refuse(0x0a090000 + a, FO_REJECT_IN_USE, true);
	untold = node.count.refusals_untold;
	(void)news();
	node_partner_event(&other, "digest-wrong", "it is another secret's", 0, 0, 0);
	assert_int_equal(news(), 1);
	assert_string_equal(last.what, "digest-wrong");
	node_partner_event(&rel, "tls-failed", "no certificate", 0, 0, 0);
	assert_int_equal(news(), 1);
	assert_int_equal(node.count.refusals_untold, untold);
}

/* What was left out for the bound is not remembered as said. */
static void what_was_not_said_is_not_said(void **state)
{
	uint64_t a = node_said_key("a", 0), b = node_said_key("b", 0);
	struct node_said s = { 0 };

	(void)state;
	assert_true(node_may_say(&s, a, 1, node.now.mono));
	node.now.mono.us += 59000000;
	assert_true(node_said_lately(&s, a, node.now.mono));
	assert_false(node_may_say(&s, b, 1, node.now.mono));
	node.now.mono.us += 1000000;
	assert_false(node_said_lately(&s, a, node.now.mono));
	assert_false(node_said_lately(&s, b, node.now.mono));
	assert_true(node_may_say(&s, b, 1, node.now.mono));
}

/* Always something else to say: more than can be remembered is told, up to the bound. */
static void attempts_without_end(void **state)
{
	char why[20];
	unsigned n = 0;

	(void)state;
	node.count.refusals_untold = 0;
	for (unsigned i = 0; i < 500; i++) {
		snprintf(why, sizeof(why), "reason %u", i);
		node_partner_event(&rel, "tls-failed", why, 0, 0, 0);
		n += news();
	}
	assert_int_equal(n, 60);
	assert_int_equal(node.count.refusals_untold, 0);
	for (unsigned i = 0; i < 4; i++) {
		node.now.mono.us += i == 0 ? 59000000 : i == 1 ? 1000000 : 0;
		node_partner_event(&rel, "tls-failed", "at last", 0, 0, 0);
		assert_int_equal(news(), i == 1);
	}
	says("at last");
}

static void one_event_for_a_range(void **state) /* decision A16 */
{
	unsigned n = 0;

	(void)state;
	for (uint32_t a = 0; a < 200; a++) {
		refuse(0x0a090100 + a, FO_REJECT_ILLEGAL_ADDRESS, false);
		n += news();
	}
	assert_int_equal(n, 1);
	assert_string_equal(last.what, "range-differs");
	says("scope=10.9.0.0/16");
	says("missing-at=partner");
	node.now.mono.us += 3599LL * 1000000;
	refuse(0x0a090100, FO_REJECT_ILLEGAL_ADDRESS, false);
	assert_int_equal(news(), 0);
	node.now.mono.us += 2 * 1000000;
	refuse(0x0a090100, FO_REJECT_ILLEGAL_ADDRESS, false);
	assert_int_equal(news(), 1);
	refuse(0x0a090100, FO_REJECT_TIME_MISMATCH, true); /* clock-skew tells of these */
	assert_int_equal(news(), 0);
}

/* Whatever is counted has a name of its own, and no two names read the same number. */
static void names_of_counters(void **state)
{
	struct fo_counters c = { 0 };
	struct fo_record rec = { 0 };
	struct fo_status s = { .counters = &c, .record = &rec };

	(void)state;
	for (unsigned i = 0; i < ctl_n_fo_counters; i++) {
		const struct ctl_fo_counter *k = &ctl_fo_counters[i];

		assert_int_equal(ctl_fo_value(k, &s), 0);
		for (unsigned j = 0; j < i; j++) {
			assert_string_not_equal(k->name, ctl_fo_counters[j].name);
			assert_true(k->value || ctl_fo_counters[j].value ||
				    k->at != ctl_fo_counters[j].at);
		}
		assert_int_equal(!strstr(ctl_fo_metric(k), "_total"), k->gauge);
		assert_null(strchr(ctl_fo_metric(k), '-'));
	}
	c.updates_sent = 7;
	for (unsigned i = 0; i < ctl_n_fo_counters; i++)
		if (!strcmp(ctl_fo_metric(&ctl_fo_counters[i]),
			    "twinlease_failover_updates_sent_total"))
			assert_int_equal(ctl_fo_value(&ctl_fo_counters[i], &s), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(levels_of_states, setup),
		cmocka_unit_test_setup(attempts_are_told_once, setup),
		cmocka_unit_test_setup(both_records, setup),
		cmocka_unit_test_setup(duel_of_one_client, setup),
		cmocka_unit_test_setup(once_a_minute, setup),
		cmocka_unit_test_setup(a_storm_is_bounded, setup),
		cmocka_unit_test_setup(a_storm_silences_no_attempt, setup),
		cmocka_unit_test_setup(what_was_not_said_is_not_said, setup),
		cmocka_unit_test_setup(attempts_without_end, setup),
		cmocka_unit_test_setup(one_event_for_a_range, setup),
		cmocka_unit_test(names_of_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
