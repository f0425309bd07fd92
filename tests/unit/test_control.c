/*
 * The API over a real UNIX socket: a child process serves made-up data through struct ctl_ops, the
 * test asks with the client of twinctl.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "ctl/control.h"
#include "sys/log.h"
#include "twinctl/http.c"
#include "twinctl/print.c"

#define NET 0x0a090000u
#define DESCRIPTORS 256 /* the server's limit */

static char socket_path[64];
static pid_t child;

/* --- what the child serves ---------------------------------------------------------------------
 */

static struct conf conf;
static struct conf_relation relation;
static struct fo_record record;
static struct fo_view view;
static struct fo_counters counters;
static struct scope scope;
static struct addr_range range = { NET + 10, NET + 209, 0, 0 };
static struct pool *pool;

static unsigned answered, most_in_one_turn;

static struct now fake_now(void *ctx)
{
	(void)ctx;
	return (struct now){ { 5000000 }, { 1700000000 } };
}

static const struct conf *fake_conf(void *ctx)
{
	(void)ctx;
	return &conf;
}

static const struct pool *fake_pool(void *ctx)
{
	(void)ctx;
	return pool;
}

static void fake_status(void *ctx, struct ctl_status *ret)
{
	(void)ctx;
	answered++;
	*ret = (struct ctl_status){ .version = "9",
				    .server_name = "a",
				    .serving = true,
				    .why_not = "",
				    .filter_mode = "native",
				    .leases_active = 3 };
}

static void fake_relation(void *ctx, unsigned i, struct fo_status *ret)
{
	(void)ctx;
	(void)i;
	*ret = (struct fo_status){ .conf = &relation.fo,
				   .record = &record,
				   .view = &view,
				   .counters = &counters,
				   .connected = true,
				   .clock_skew_ms = -1500,
				   .pending_updates = 7,
				   .next = "something happens",
				   .next_at = 1700000100 };
}

static const char *fake_operate(void *ctx, unsigned i, enum fo_event ev, uint32_t since)
{
	(void)ctx;
	(void)i;
	if (ev == FO_EV_OP_PARTNER_DOWN)
		return "the partner is linked";
	return ev == FO_EV_OP_FORCE_PARTNER_DOWN && since == 1700000000 ? NULL : "unexpected";
}

static int fake_lease(void *ctx, uint32_t addr, struct lease *ret, struct lease_client *c)
{
	(void)ctx;
	if (addr < NET + 10 || addr > NET + 12)
		return -ENOENT;
	*ret = (struct lease){ .addr = addr, .state = LEASE_ACTIVE, .expires = 1700003600 };
	*c = (struct lease_client){ .htype = 1,
				    .hlen = 6,
				    .chaddr = { 2, 0, 0, 0, 0, (uint8_t)addr },
				    .host_name_len = 2,
				    .host_name = "pc" };
	return 0;
}

static int fake_filter(void *ctx, struct ctl_filter *ret)
{
	(void)ctx;
	memset(ret, 0, sizeof(*ret));
	ret->mode = "native";
	return 0;
}

static int fake_buckets(void *ctx, unsigned i, struct ctl_bucket ret[256])
{
	(void)ctx;
	(void)i;
	ret[255].left = 5;
	return 0;
}

static void fake_explain(void *ctx, const struct lease_client *c, uint32_t addr, uint16_t secs,
			 struct server_decision *ret)
{
	(void)ctx;
	memset(ret, 0, sizeof(*ret));
	ret->scope = &scope;
	ret->bucket = (uint8_t)(c->chaddr[5] + secs);
	ret->answer = true;
	ret->reply.yiaddr = addr + 9;
	ret->grant.limited_by = LIMIT_MCLT;
}

static unsigned fake_metrics(void *ctx, struct ctl_metric ret[CTL_METRICS_MAX])
{
	(void)ctx;
	ret[0] = (struct ctl_metric){ "twinlease_x_total", "reason", "a\"\\\n", "help", false, 4 };
	ret[1] = (struct ctl_metric){ "most_in_one_turn", "", "", "help", true, most_in_one_turn };
	return 2;
}

static void make_pool(void)
{
	size_t size = pool_size(&conf.scopes, 16);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pool = pool_init(mem, size, &conf.scopes, 16);
	for (uint32_t i = 10; i < 13; i++) {
		struct lease l = { .addr = NET + i,
				   .state = LEASE_ACTIVE,
				   .expires = 1700003600,
				   .key = { { i, 1 } } };

		pool_apply(pool, &l, 0);
	}
	pool_apply_run(pool, &(struct lease){ .addr = NET + 100, .state = LEASE_BACKUP }, 50, 0);
}

static void make_conf(const char **listen)
{
	scope = (struct scope){ .subnet = NET,
				.prefix = 24,
				.relation = 0,
				.name = "floor 9",
				.lease_time = 600,
				.n_ranges = 1 };
	conf.scopes = (struct scope_table){ &scope, 1, &range, 1 };
	relation.fo = (struct fo_conf){ .name = "cam/pus", .primary = true, .mclt = 30 };
	memset(relation.fo.policy.hba, 0xff, 16);
	record = (struct fo_record){ .end = { .state = FO_NORMAL,
					      .peer = FO_NORMAL,
					      .stos = 1700000000,
					      .primary = true } };
	conf.relations = &relation;
	conf.n_relations = 1;
	conf.api.listen = listen;
	conf.api.n_listen = 1;
	make_pool();
}

static bool ended;

static void end_child(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	ended = true;
}

static bool stepped = true;

static void fake_clock(void *ctx, struct ctl_clock *ret)
{
	(void)ctx;
	*ret = (struct ctl_clock){ .ours = 1700000000,
				   .system = stepped ? 1700007200 : 1700000000,
				   .step_sec = stepped ? 7200 : 0,
				   .limit_sec = 60 };
}

static const char *fake_clock_accept(void *ctx)
{
	(void)ctx;
	if (!stepped)
		return "there is nothing to accept";
	stepped = false;
	return NULL;
}

static void serve(int ready)
{
	static char listen_at[80];
	const char *listen[] = { listen_at };
	struct event_base *base = event_base_new();
	struct event *end = evsignal_new(base, SIGTERM, end_child, NULL);
	struct ctl_ops ops = { NULL,	    fake_now,	      fake_conf,    fake_pool,
			       fake_status, fake_relation,    fake_operate, fake_lease,
			       fake_filter, fake_buckets,     fake_explain, fake_metrics,
			       fake_clock,  fake_clock_accept };
	struct ctl *ctl;
	char err[256];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){ DESCRIPTORS, DESCRIPTORS });
	snprintf(listen_at, sizeof(listen_at), "unix:%s", socket_path);
	make_conf(listen);
	log_setup(LOG_L_ERROR, LOG_TEXT);
	log_event(LOG_L_INFO, "hello", "a=1");
	if (ctl_open(base, &conf, &ops, &ctl, err) < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	event_add(end, NULL);
	while (!ended) { /* as the daemon does: a turn may end after each request */
		unsigned before = answered;

		(void)event_base_loop(base, EVLOOP_ONCE);
		if (answered - before > most_in_one_turn)
			most_in_one_turn = answered - before;
	}
	ctl_close(ctl);
	event_free(end);
	event_base_free(base);
	_exit(0);
}

static int start(void **state)
{
	int pipes[2];
	char c;

	(void)state;
	snprintf(socket_path, sizeof(socket_path), "/tmp/twinlease-test-%d.sock", (int)getpid());
	if (pipe(pipes) < 0)
		return -1;
	child = fork();
	if (!child)
		serve(pipes[1]);
	close(pipes[1]);
	return read(pipes[0], &c, 1) == 1 ? 0 : -1;
}

/* --- questions -----------------------------------------------------------------------------------
 */

static struct twinctl ask_with(void)
{
	static char server[80];

	snprintf(server, sizeof(server), "unix:%s", socket_path);
	return (struct twinctl){ .server = server };
}

static int stop(void **state)
{
	struct twinctl t = ask_with();
	FILE *follower = request(&t, "/v1/events?follow=true", NULL);
	struct head h;
	int status;

	(void)state;
	if (!follower || !read_head(follower, &h)) /* somebody follows when it ends */
		return -1;
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	fclose(follower);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || access(socket_path, F_OK) == 0)
		fail_msg("the server did not end cleanly: status %x", (unsigned)status);
	return 0;
}

static json_t *ask(const char *path, json_t *body)
{
	struct twinctl t = ask_with();

	return api_call(&t, path, body);
}

static const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

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

/* Addresses that nobody ever used: one object for all that lie together and belong to one server. */
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

static void refusals_are_told(void **state)
{
	json_t *o = ask("/v1/relationships/cam%2Fpus/partner-down",
			json_pack("{s:b, s:s}", "force", 1, "since", "2023-11-14T22:13:20Z"));

	(void)state;
	assert_non_null(o);
	json_decref(o);
	assert_null(ask("/v1/relationships/cam%2Fpus/partner-down", json_object()));
	assert_null(ask("/v1/relationships/other", NULL));
	assert_null(ask("/v1/leases/10.9.0.9", NULL));
	assert_null(ask("/v1/leases/10.9.0.300", NULL));
	assert_null(ask("/v1/leases?limit=0", NULL));
	assert_null(ask("/v1/nothing", NULL));
	assert_null(ask("/v1/explain?hardware-address=zz", NULL));
}

/* One request as it is, the answer's status and its error's code ("" none). @len is what the
 * request claims of its body. */
static int raw(const char *head, const char *body, size_t len, char code[64])
{
	static char all[50000];
	struct twinctl t = ask_with();
	int fd = api_connect(&t), n;
	FILE *f = fdopen(fd, "r");
	const char *found = NULL;
	struct head h;
	char *text;
	json_t *o;

	assert_non_null(f);
	n = snprintf(all, sizeof(all),
		     "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		     head, len, body);
	(void)!send(fd, all, (size_t)n, MSG_NOSIGNAL); /* a refusal may come before the end */
	assert_true(read_head(f, &h));
	text = read_body(f, &h);
	o = json_loads(text, 0, NULL);
	(void)json_unpack(o, "{s:{s:s}}", "error", "code", &found);
	snprintf(code, 64, "%s", found ? found : "");
	json_decref(o);
	free(text);
	fclose(f);
	return h.status;
}

static void errors_have_codes(void **state)
{
#define DOWN "POST /v1/relationships/cam%2Fpus/partner-down"
	static const struct {
		const char *head, *body;
		int status;
		const char *code;
	} table[] = {
		{ "GET /v1/status", "", 200, "" },
		{ "GET /v1/status", "junk", 200, "" },
		{ "GET /", "", 404, "no-such-path" },
		{ "GET /v1/status/", "", 404, "no-such-path" },
		{ "POST /v1/status", "", 405, "wrong-method" },
		{ "PUT /v1/leases", "", 405, "wrong-method" },
		{ "DELETE /v1/leases/10.9.0.10", "", 405, "wrong-method" },
		{ "GET /v1/relationships/cam%2Fpus/partner-down", "", 405, "wrong-method" },
		{ "GET /v1/status?x=1", "", 400, "unknown-parameter" },
		{ "GET /v1/leases?stat=active", "", 400, "unknown-parameter" },
		{ "GET /v1/leases?%zz", "", 400, "bad-request" },
		{ "GET /v1/leases?limit=0", "", 400, "bad-limit" },
		{ "GET /v1/leases?limit=1001", "", 400, "bad-limit" },
		{ "GET /v1/leases?limit=5x", "", 400, "bad-limit" },
		{ "GET /v1/leases?limit=", "", 400, "bad-limit" },
		{ "GET /v1/leases?limit=99999999999999999999999", "", 400, "bad-limit" },
		{ "GET /v1/leases?from=10.9", "", 400, "bad-address" },
		{ "GET /v1/leases?state=bogus", "", 400, "bad-state" },
		{ "GET /v1/leases?state=active", "", 200, "" },
		{ "GET /v1/leases?held=maybe", "", 400, "bad-held" },
		{ "GET /v1/leases?scope=floor%208", "", 404, "no-such-scope" },
		{ "GET /v1/leases?scope=floor%209", "", 200, "" },
		{ "GET /v1/leases?client-id=1", "", 400, "bad-client" },
		{ "GET /v1/leases/10.9.0.9", "", 404, "no-such-lease" },
		{ "GET /v1/leases/10.9.0.10%20", "", 400, "bad-address" },
		{ "GET /v1/leases/%0a", "", 400, "bad-address" },
		{ "GET /v1/relationships/cam%2Fpus%00x", "", 404, "no-such-path" },
		{ "GET /v1/relationships/%ff%fe", "", 404, "no-such-path" },
		{ "GET /v1/relationships/%22%1b", "", 404, "no-such-relationship" },
		{ "GET /v1/filter/buckets?relationship=%ff", "", 404, "no-such-relationship" },
		{ "GET /v1/explain", "", 400, "bad-client" },
		{ "GET /v1/explain?hardware-address=+1:02", "", 400, "bad-client" },
		{ "GET /v1/explain?hardware-address=0x01", "", 400, "bad-client" },
		{ "GET /v1/explain?hardware-address=0:0:0:0:0:01", "", 400, "bad-client" },
		{ "GET /v1/explain?hardware-address=02:00:00:00:00:01:", "", 400, "bad-client" },
		{ "GET /v1/explain?hardware-address=0200.0000.0001", "", 200, "" },
		{ "GET /v1/explain?client-id=01-02", "", 200, "" },
		{ "GET /v1/explain?client-id=01&secs=-1", "", 400, "bad-secs" },
		{ "GET /v1/explain?client-id=01&secs=65536", "", 400, "bad-secs" },
		{ "GET /v1/events?since=abc", "", 400, "bad-since" },
		{ "GET /v1/events?follow=yes", "", 400, "bad-follow" },
		{ DOWN, "junk", 400, "bad-json" },
		{ DOWN, "[]", 400, "bad-json" },
		{ DOWN, "{}", 409, "refused" },
		{ DOWN, "{\"bogus\":1}", 400, "unknown-key" },
		{ DOWN, "{\"force\":\"yes\"}", 400, "bad-force" },
		{ DOWN, "{\"since\":\"yesterday\"}", 400, "bad-time" },
		{ DOWN, "{\"since\":\"2099-01-01T00:00:00Z\"}", 400, "bad-time" },
		{ DOWN, "{\"since\":-5}", 400, "bad-time" },
		{ DOWN, "{\"since\":true}", 400, "bad-time" },
		{ "POST /v1/relationships/x/partner-down", "{}", 404, "no-such-relationship" },
		{ "POST /v1/relationships/cam%2Fpus/pause", "{\"force\":true}", 400,
		  "unknown-key" },
	};
	char code[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int status = raw(table[i].head, table[i].body, strlen(table[i].body), code);

		if (status != table[i].status || strcmp(code, table[i].code))
			fail_msg("%s %s: %d %s, should be %d %s", table[i].head, table[i].body,
				 status, code, table[i].status, table[i].code);
	}
}

static void large_requests(void **state)
{
	static char head[40000];
	char code[64];

	(void)state;
	assert_int_equal(raw("POST /v1/relationships/x/pause", "", 100000, code), 413);
	memset(head, 'a', sizeof(head) - 1);
	memcpy(head, "GET /v1/leases/", 15);
	assert_int_equal(raw(head, "", 0, code), 400);
	head[1200] = 0;
	assert_int_equal(raw(head, "", 0, code), 404);
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

static bool first_event(void *ctx, const char *line)
{
	strcpy(ctx, line);
	return false;
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

/* --- what people read --------------------------------------------------------------------------
 */

static void nothing_drives_the_terminal(void **state)
{
	static const struct {
		const char *text, *shown;
	} table[] = {
		{ "plain text", "plain text" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\033[31mred", "\\x1b[31mred" },
		{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
		{ "\xc2\x9b"
		  "31m",
		  "\\xc2\\x9b31m" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xe2\x82", "\\xe2\\x82" },
	};
	char buf[64], small[8];

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(safe_text(table[i].text, buf, sizeof(buf)), table[i].shown);
	assert_string_equal(safe_text("abcdefghij", small, sizeof(small)), "abc");
}

static void cells_are_cut_and_counted_in_characters(void **state)
{
	json_t *o = json_pack("{s:s, s:i, s:i, s:[s, s], s:n, s:{s:i}, s:s}", "name",
			      "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "lease-time", 600,
			      "total", 600, "ranges", "a", "b", "none", "addresses", "free", 7,
			      "empty", "");
	static const struct {
		struct column c;
		const char *text;
		unsigned width;
	} table[] = {
		{ { "", "name", 0 }, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 6 },
		{ { "", "name", 6 }, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 6 },
		{ { "", "name", 5 }, "\xc3\xa9\xc3\xa9...", 5 },
		{ { "", "lease-time", 0 }, "10m", 3 },
		{ { "", "total", 0 }, "600", 3 },
		{ { "", "ranges", 0 }, "a, b", 4 },
		{ { "", "none", 0 }, "-", 1 },
		{ { "", "absent", 0 }, "-", 1 },
		{ { "", "empty", 0 }, "-", 1 },
		{ { "", "addresses.free", 0 }, "7", 1 },
	};
	char buf[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(cell_text(o, &table[i].c, buf, sizeof(buf)), table[i].width);
		assert_string_equal(buf, table[i].text);
	}
	json_decref(o);
}

static void durations_as_in_the_configuration(void **state)
{
	static const struct {
		long long sec;
		const char *text;
	} table[] = { { 0, "0s" },	{ 90, "90s" },	     { 600, "10m" }, { 3600, "1h" },
		      { 691200, "8d" }, { 86401, "86401s" }, { 5400, "90m" } };
	char buf[32];

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		duration_text(table[i].sec, buf, sizeof(buf));
		assert_string_equal(buf, table[i].text);
	}
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

/* --- who asks too much
 * --------------------------------------------------------------------------- */

static unsigned descriptors_of_child(void)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)child);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and none of its own */
}

static void one_request_per_turn(void **state)
{
	struct twinctl t = ask_with();
	FILE *f[20];
	struct head h;
	char *text;

	(void)state;
	kill(child, SIGSTOP);
	for (unsigned i = 0; i < 20; i++)
		assert_non_null(f[i] = request(&t, "/v1/status", NULL));
	kill(child, SIGCONT);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(read_head(f[i], &h));
		assert_int_equal(h.status, 200);
		fclose(f[i]);
	}
	f[0] = request(&t, "/metrics", NULL);
	assert_non_null(f[0]);
	assert_true(read_head(f[0], &h));
	text = read_body(f[0], &h);
	assert_non_null(strstr(text, "\nmost_in_one_turn 1\n"));
	free(text);
	fclose(f[0]);
}

static void half_of_the_descriptors_stay_free(void **state)
{
	struct twinctl t = ask_with();
	static const char get[] = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
	static int idle[DESCRIPTORS];
	char answer[64];
	json_t *o;

	(void)state;
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		assert_true((idle[i] = api_connect(&t)) >= 0);
	for (unsigned i = 0; i < 5000 && descriptors_of_child() < DESCRIPTORS / 2 - 2; i++)
		usleep(2000);
	assert_true(descriptors_of_child() >= DESCRIPTORS / 2 - 2);
	/* it answers the first one: whatever it would take of the others it has taken */
	assert_int_equal(write(idle[0], get, sizeof(get) - 1), sizeof(get) - 1);
	assert_true(read(idle[0], answer, sizeof(answer)) > 0);
	assert_true(descriptors_of_child() <= DESCRIPTORS / 2 + 8); /* one more each second */
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		close(idle[i]);
	o = ask("/v1/status", NULL);
	assert_non_null(o);
	json_decref(o);
}

static void clients_that_go_away(void **state)
{
	struct twinctl t = ask_with();
	json_t *o;

	(void)state;
	kill(child, SIGSTOP);
	for (unsigned i = 0; i < 40; i++) {
		FILE *f = request(&t, i % 2 ? "/v1/status" : "/v1/events?follow=true", NULL);

		assert_non_null(f);
		fclose(f);
	}
	kill(child, SIGCONT);
	for (unsigned i = 0; i < 40; i++) { /* more than may follow at a time */
		char line[8192] = "";

		assert_int_equal(api_follow(&t, "/v1/events?follow=true", first_event, line),
				 EXIT_DONE);
	}
	o = ask("/v1/status", NULL);
	assert_non_null(o);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_socket_is_for_owner_and_group),
		cmocka_unit_test(relationship_has_every_key),
		cmocka_unit_test(leases_come_in_pages),
		cmocka_unit_test(never_used_ones_are_told),
		cmocka_unit_test(refusals_are_told),
		cmocka_unit_test(errors_have_codes),
		cmocka_unit_test(large_requests),
		cmocka_unit_test(pages_are_of_one_client),
		cmocka_unit_test(buckets_and_explain),
		cmocka_unit_test(events_can_be_followed),
		cmocka_unit_test(clock_is_accepted_once),
		cmocka_unit_test(metrics_are_exposed),
		cmocka_unit_test(nothing_drives_the_terminal),
		cmocka_unit_test(cells_are_cut_and_counted_in_characters),
		cmocka_unit_test(durations_as_in_the_configuration),
		cmocka_unit_test(only_sockets_are_replaced),
		cmocka_unit_test(one_request_per_turn),
		cmocka_unit_test(half_of_the_descriptors_stay_free),
		cmocka_unit_test(clients_that_go_away),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
