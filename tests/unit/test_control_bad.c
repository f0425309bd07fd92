/*
 * The API and those who ask for what there is not, in a wrong way, too much, or go away before the
 * answer: each gets an error with a code, and others are served meanwhile.
 */
#include <dirent.h>

#include "control_child.h"

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

/* --- who asks too much ------------------------------------------------------------------------ */

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
		cmocka_unit_test(refusals_are_told),
		cmocka_unit_test(errors_have_codes),
		cmocka_unit_test(large_requests),
		cmocka_unit_test(one_request_per_turn),
		cmocka_unit_test(half_of_the_descriptors_stay_free),
		cmocka_unit_test(clients_that_go_away),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
