/*
 * The API over a real UNIX socket: what each path answers, to a client that asks as it should.
 */
#include <sys/stat.h>

#include "control_child.h"

static void the_socket_is_for_owner_and_group(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

static void relationship_has_every_key(void **state)
{
	static const char *const keys[] = { "name",
					    "role",
					    "mode",
					    "local",
					    "partner",
					    "scopes",
					    "local-share",
					    "partner-share",
					    "buckets",
					    "standby-reserve",
					    "max-client-lead-time",
					    "auto-partner-down",
					    "secs-threshold",
					    "hash-identity",
					    "authentication",
					    "state",
					    "state-since",
					    "partner-state",
					    "partner-state-since",
					    "connected",
					    "clock-skew",
					    "pending-updates",
					    "unacked-updates",
					    "max-clock-skew",
					    "counters",
					    "next" };
	json_t *o = ask("/v1/relationships/cam%2Fpus", NULL);

	(void)state;
	assert_non_null(o);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!json_object_get(o, keys[i]))
			fail_msg("key %s is missing", keys[i]);
	assert_int_equal(json_object_size(o), sizeof(keys) / sizeof(keys[0]));
	/* everything that is counted, under a name of its own; there is no message of type 0 */
	assert_int_equal(json_object_size(json_object_get(o, "counters")),
			 sizeof(struct fo_counters) / sizeof(uint64_t) - 2);
	assert_string_equal(text_at(o, "state"), "NORMAL");
	assert_string_equal(text_at(o, "state-since"), "2023-11-14T22:13:20Z");
	assert_int_equal(json_integer_value(json_object_get(o, "local-share")), 50);
	json_decref(o);
}

static void leases_come_in_pages(void **state)
{
	json_t *o = ask("/v1/leases?limit=2", NULL), *list;

	(void)state;
	assert_non_null(o);
	list = json_object_get(o, "leases");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_at(json_array_get(list, 0), "address"), "10.9.0.10");
	assert_string_equal(text_at(json_array_get(list, 0), "hardware-address"),
			    "02:00:00:00:00:0a");
	assert_string_equal(text_at(o, "next"), "10.9.0.12");
	json_decref(o);
	o = ask("/v1/leases?from=10.9.0.12&held=true", NULL);
	assert_int_equal(json_array_size(json_object_get(o, "leases")), 1);
	assert_true(json_is_null(json_object_get(o, "next")));
	json_decref(o);
}

/* Addresses that nobody ever used: one object for all that lie together and belong to one server.
 */
static void never_used_ones_are_told(void **state)
{
	static const struct {
		const char *from, *first, *last, *state, *owner;
		json_int_t n;
		bool next;
	} table[] = {
		{ "10.9.0.13", "10.9.0.13", "10.9.0.99", "free", "local", 87, true },
		{ "10.9.0.99", "10.9.0.99", "10.9.0.99", "free", "local", 1, true },
		{ "10.9.0.100", "10.9.0.100", "10.9.0.149", "backup", "partner", 50, true },
		{ "10.9.0.200", "10.9.0.200", "10.9.0.209", "free", "local", 10, false },
	};
	char path[100];
	json_t *o, *g;

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(path, sizeof(path), "/v1/leases?limit=1&from=%s", table[i].from);
		o = ask(path, NULL);
		g = json_array_get(json_object_get(o, "leases"), 0);
		assert_string_equal(text_at(g, "address"), table[i].first);
		assert_string_equal(text_at(g, "last-address"), table[i].last);
		assert_string_equal(text_at(g, "state"), table[i].state);
		assert_string_equal(text_at(g, "owner"), table[i].owner);
		assert_string_equal(text_at(g, "scope"), "10.9.0.0/24");
		assert_int_equal(json_integer_value(json_object_get(g, "addresses")), table[i].n);
		assert_int_equal(json_is_string(json_object_get(o, "next")), table[i].next);
		json_decref(o);
	}
	o = ask("/v1/leases/10.9.0.149", NULL);
	assert_string_equal(text_at(o, "owner"), "partner");
	json_decref(o);
	assert_null(ask("/v1/leases/10.9.0.210", NULL));
}

static void pages_are_of_one_client(void **state)
{
	static const struct {
		const char *query;
		unsigned n;
	} table[] = {
		{ "", 6 }, /* and three stretches of never-used addresses */
		{ "?state=free", 2 },
		{ "?state=backup", 1 },
		{ "?held=true", 3 },
		{ "?held=true&hardware-address=02:00:00:00:00:0b", 1 },
		{ "?hardware-address=02:00:00:00:00:0b&client-id=01", 0 },
		{ "?state=abandoned", 0 },
		{ "?scope=10.9.0.0/24&state=active", 3 },
	};
	char path[100];

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		json_t *o;

		snprintf(path, sizeof(path), "/v1/leases%s", table[i].query);
		o = ask(path, NULL);
		assert_non_null(o);
		if (json_array_size(json_object_get(o, "leases")) != table[i].n)
			fail_msg("%s: %zu leases, should be %u", path,
				 json_array_size(json_object_get(o, "leases")), table[i].n);
		json_decref(o);
	}
}

static void buckets_and_explain(void **state)
{
	json_t *o = ask("/v1/filter/buckets", NULL), *d;

	(void)state;
	assert_non_null(o);
	assert_int_equal(json_integer_value(json_array_get(
				 json_array_get(json_object_get(o, "buckets"), 255), 1)),
			 5);
	json_decref(o);
	o = ask("/v1/explain?hardware-address=02:00:00:00:00:0b&secs=3", NULL);
	assert_non_null(o);
	d = json_array_get(json_object_get(o, "discover"), 0);
	assert_int_equal(json_integer_value(json_object_get(d, "bucket")), 14);
	assert_string_equal(text_at(d, "address"), "10.9.0.10");
	json_decref(o);
}

static void events_can_be_followed(void **state)
{
	struct twinctl t = ask_with();
	char line[8192] = "";

	(void)state;
	assert_int_equal(api_follow(&t, "/v1/events?follow=true", first_event, line), EXIT_DONE);
	assert_non_null(strstr(line, "\"hello\""));
}

static void clock_is_accepted_once(void **state)
{
	json_t *o = ask("/v1/clock", NULL);

	(void)state;
	assert_true(json_is_true(json_object_get(o, "step-waits")));
	assert_int_equal(json_integer_value(json_object_get(o, "step-seconds")), 7200);
	assert_string_equal(text_at(o, "system"), "2023-11-15T00:13:20Z");
	json_decref(o);
	o = ask("/v1/clock/accept", json_object());
	assert_false(json_is_true(json_object_get(o, "step-waits")));
	json_decref(o);
	assert_null(ask("/v1/clock/accept", json_object()));
}

static void metrics_are_exposed(void **state)
{
	struct twinctl t = ask_with();
	FILE *f = request(&t, "/metrics", NULL);
	struct head h;
	char *text;

	(void)state;
	assert_non_null(f);
	assert_true(read_head(f, &h));
	text = read_body(f, &h);
	assert_non_null(strstr(text, "# TYPE twinlease_x_total counter\n"
				     "twinlease_x_total{reason=\"a\\\"\\\\\\n\"} 4\n"));
	free(text);
	fclose(f);
}

static void only_sockets_are_replaced(void **state)
{
	static char at[100];
	const char *listen[] = { at };
	struct conf c = { .api = { listen, 1, false } };
	struct event_base *base = event_base_new();
	struct ctl_ops ops = { 0 };
	char err[256] = "";
	struct ctl *ctl;
	FILE *f;

	(void)state;
	snprintf(at, sizeof(at), "unix:%s", socket_path); /* the child answers there */
	assert_int_equal(ctl_open(base, &c, &ops, &ctl, err), -EADDRINUSE);
	snprintf(at, sizeof(at), "unix:%s.file", socket_path);
	f = fopen(at + 5, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(ctl_open(base, &c, &ops, &ctl, err), -EEXIST);
	assert_non_null(strstr(err, "is no socket"));
	assert_int_equal(unlink(at + 5), 0); /* still there */
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_socket_is_for_owner_and_group),
		cmocka_unit_test(relationship_has_every_key),
		cmocka_unit_test(leases_come_in_pages),
		cmocka_unit_test(never_used_ones_are_told),
		cmocka_unit_test(pages_are_of_one_client),
		cmocka_unit_test(buckets_and_explain),
		cmocka_unit_test(events_can_be_followed),
		cmocka_unit_test(clock_is_accepted_once),
		cmocka_unit_test(metrics_are_exposed),
		cmocka_unit_test(only_sockets_are_replaced),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
