/*
 * sys/log and sys/clock: forms of a line, escaping, the ring, rate limits, slewing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "conf/conf.h"
#include "sys/clock.h"
#include "sys/log.h"

/* What one call writes to stderr. */
static const char *printed(enum log_level max, int format, enum log_level level, const char *what,
			   const char *detail)
{
	static char buf[8192];
	int saved = dup(STDERR_FILENO), fd[2];
	ssize_t n;

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_setup(max, format);
	log_event(level, what, "%s", detail);
	log_setup(LOG_L_INFO, LOG_TEXT);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], buf, sizeof(buf) - 1);
	close(fd[0]);
	buf[n > 0 ? n : 0] = 0;
	return buf;
}

/* The time stamp of the first line, replaced by T so that lines compare. */
static const char *timeless(const char *line)
{
	static char buf[8192];
	const char *t = strstr(line, "20"), *z = t ? strchr(t, 'Z') : NULL;

	assert_non_null(z);
	assert_int_equal(z - t, strlen("2000-01-01T00:00:00.000"));
	(void)snprintf(buf, sizeof(buf), "%.*sT%s", (int)(t - line), line, z + 1);
	return buf;
}

static void test_text(void **state)
{
	(void)state;
	assert_string_equal(timeless(printed(LOG_L_INFO, LOG_TEXT, LOG_L_WARNING, "state-changed",
					     "relationship=campus to=NORMAL")),
			    "T warning state-changed relationship=campus to=NORMAL\n");
	assert_string_equal(timeless(printed(LOG_L_INFO, LOG_TEXT, LOG_L_INFO, "ready", "")),
			    "T info ready\n");
	/* one line stays one line, and a terminal stays as it is */
	assert_string_equal(
		timeless(printed(LOG_L_INFO, LOG_TEXT, LOG_L_INFO, "odd\n", "a=\n\x1b[2J")),
		"T info odd? a=??[2J\n");
}

static void test_journal(void **state)
{
	(void)state;
	assert_string_equal(printed(LOG_L_INFO, LOG_JOURNAL, LOG_L_ERROR, "store-failed", "code=5"),
			    "<3>store-failed code=5\n");
	assert_string_equal(printed(LOG_L_INFO, LOG_JOURNAL, LOG_L_INFO, "a", ""), "<6>a\n");
	assert_string_equal(printed(LOG_L_INFO, LOG_JOURNAL, LOG_L_WARNING, "a", ""), "<4>a\n");
	assert_string_equal(printed(LOG_L_DEBUG, LOG_JOURNAL, LOG_L_DEBUG, "a", ""), "<7>a\n");
}

static void test_json(void **state)
{
	static const struct {
		const char *detail, *expected;
	} rows[] = {
		{ "", "" },
		{ "a=1 b=two", ",\"a\":\"1\",\"b\":\"two\"" },
		{ "name=\"floor 9\" n=1", ",\"name\":\"floor 9\",\"n\":\"1\"" },
		{ "name=\"floor", ",\"name\":\"\\\"floor\"" },
		{ "a=1 some words", ",\"a\":\"1\",\"text\":\"some words\"" },
		{ "a= b=\\x01", ",\"a\":\"\",\"b\":\"\\\\x01\"" },
		{ "a=\xc3\xa4", ",\"a\":\"\xc3\xa4\"" },
		{ "a=\xff\xc3", ",\"a\":\"\\u00ff\\u00c3\"" },
		{ "a=\xe2\x82", ",\"a\":\"\\u00e2\\u0082\"" },
		{ "  ", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[512];

		(void)snprintf(want, sizeof(want),
			       "{\"time\":\"T\",\"level\":\"info\",\"event\":\"x\"%s}\n",
			       rows[i].expected);
		assert_string_equal(
			timeless(printed(LOG_L_INFO, LOG_JSON, LOG_L_INFO, "x", rows[i].detail)),
			want);
	}
}

static void test_level(void **state)
{
	uint64_t before = log_ring_last();

	(void)state;
	assert_string_equal(printed(LOG_L_WARNING, LOG_TEXT, LOG_L_INFO, "quiet", ""), "");
	assert_int_equal(log_ring_last(), before + 1); /* not printed, still an event */
	assert_string_equal(printed(LOG_L_INFO, LOG_TEXT, LOG_L_DEBUG, "chatter", ""), "");
	assert_int_equal(log_ring_last(), before + 1);
}

static void test_long_line(void **state)
{
	char *long_text = malloc(10000);
	const char *out;

	(void)state;
	memset(long_text, 'x', 9999);
	long_text[9999] = 0;
	out = printed(LOG_L_INFO, LOG_TEXT, LOG_L_INFO, long_text, long_text);
	assert_true(strlen(out) < 800);
	assert_int_equal(out[strlen(out) - 1], '\n');
	memset(long_text, 1, 9999); /* each grows sixfold */
	out = printed(LOG_L_INFO, LOG_JSON, LOG_L_INFO, long_text, long_text);
	assert_int_equal(out[strlen(out) - 1], '\n');
	free(long_text);
}

static int woken;

static void wake(void *ctx)
{
	assert_ptr_equal(ctx, &woken);
	woken++;
}

static void test_ring(void **state)
{
	static struct log_record r[LOG_RING + 10];
	uint64_t from = log_ring_last();
	unsigned n;

	(void)state;
	log_setup(LOG_L_ERROR, LOG_TEXT);
	log_ring_watch(wake, &woken);
	for (unsigned i = 0; i < 3; i++)
		log_event(LOG_L_INFO, "tick", "i=%u", i);
	log_ring_watch(NULL, NULL);
	assert_int_equal(woken, 3);
	assert_int_equal(log_ring_read(from, r, 10), 3);
	assert_int_equal(r[0].seq, from + 1);
	assert_string_equal(r[2].detail, "i=2");
	assert_string_equal(r[2].what, "tick");
	assert_int_equal(r[2].level, LOG_L_INFO);
	assert_int_equal(log_ring_read(from, r, 2), 2);
	assert_string_equal(r[1].detail, "i=1");
	assert_int_equal(log_ring_read(from + 3, r, 10), 0);
	assert_int_equal(log_ring_read(from + 30, r, 10), 0);

	for (unsigned i = 0; i < LOG_RING + 7; i++)
		log_event(LOG_L_INFO, "tick", "i=%u", i);
	n = log_ring_read(0, r, LOG_RING + 10); /* the oldest are gone, order is kept */
	assert_int_equal(n, LOG_RING);
	assert_string_equal(r[0].detail, "i=7");
	assert_int_equal(r[n - 1].seq, log_ring_last());
	log_setup(LOG_L_INFO, LOG_TEXT);
}

static void test_allow(void **state)
{
	struct log_limit l = { .n = 0 };
	mono_t t = { 5000000 };

	(void)state;
	assert_true(log_allow(&l, 2, t));
	assert_true(log_allow(&l, 2, t));
	for (int i = 0; i < 5; i++)
		assert_false(log_allow(&l, 2, mono_add_us(t, i)));
	assert_int_equal(l.dropped, 5);
	assert_false(log_allow(&l, 2, mono_add_us(t, 59999999)));
	assert_true(log_allow(&l, 2, mono_add_us(t, 60000000)));
	assert_int_equal(l.dropped, 6); /* for the line that now may be written */
	assert_true(log_allow(&l, 2, mono_add_us(t, 60000001)));
	assert_int_equal(l.dropped, 0);
	assert_false(log_allow(&l, 2, mono_add_us(t, 60000002)));
	assert_int_equal(l.dropped, 1);
	assert_false(log_allow(&l, 0, mono_add_us(t, 600000000)));
}

static void test_quote(void **state)
{
	static const struct {
		const char *in;
		size_t len, size;
		const char *expected;
	} rows[] = {
		{ "plain", 5, 100, "plain" },
		{ "floor 9", 7, 100, "\"floor 9\"" },
		{ "", 0, 100, "\"\"" },
		{ "a=b", 3, 100, "\"a=b\"" },
		{ "a\"\\\n\xff", 5, 100, "a\\x22\\x5c\\x0a\\xff" },
		{ "a\0b", 3, 100, "a\\x00b" },
		{ "\xc3\xa4 \xe2\x82\xac", 6, 100, "\"\xc3\xa4 \xe2\x82\xac\"" },
		{ "\xc2\x9b\xc0\x80\xed\xa0\x80", 7, 100, "\\xc2\\x9b\\xc0\\x80\\xed\\xa0\\x80" },
		{ "a\xe2\x82\xac", 4, 4, "a" },
		{ "abcdef", 6, 4, "abc" },
		{ "a cdef", 6, 6, "\"a c\"" },
		{ "ab\n", 3, 6, "ab" }, /* never half an escape */
		{ "ab\n", 3, 7, "ab\\x0a" },
		{ "", 0, 3, "\"\"" },
		{ "a b", 3, 2, "" },
		{ "a", 1, 1, "" },
	};
	char buf[100];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(buf, '#', sizeof(buf));
		assert_string_equal(log_quote(rows[i].in, rows[i].len, buf, rows[i].size),
				    rows[i].expected);
		for (size_t k = rows[i].size; k < sizeof(buf); k++)
			assert_int_equal(buf[k], '#');
	}
	assert_string_equal(log_quote("a", 1, buf, 0), "");
}

static void test_slew(void **state)
{
	static const struct {
		int64_t diff, elapsed, expected;
	} rows[] = {
		{ 0, 1000000, 0 },
		{ 1000000, 1000000, 500 },
		{ -1000000, 1000000, -500 },
		{ 300, 1000000, 300 },
		{ -300, 1000000, -300 },
		{ CLOCK_SLEW_MAX_US, 2000000, 1000 },
		{ CLOCK_SLEW_MAX_US + 1, 2000000, 0 }, /* a step waits to be accepted */
		{ -CLOCK_SLEW_MAX_US, 2000000, -1000 },
		{ -CLOCK_SLEW_MAX_US - 1, 2000000, 0 },
		{ 1000, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(clock_slew(rows[i].diff, rows[i].elapsed), rows[i].expected);
}

static void test_clocks(void **state)
{
	struct now a, b;
	uint64_t ns;
	int64_t us;

	(void)state;
	clock_init();
	a = clock_now();
	us = clock_wall_us();
	b = clock_now();
	assert_true(a.mono.us > 0 && b.mono.us >= a.mono.us);
	assert_true(a.wall.sec <= us / 1000000 && us / 1000000 <= b.wall.sec);
	assert_true(llabs(a.wall.sec - (int64_t)time(NULL)) <= 1);
	assert_int_equal(clock_wall_step_sec(), 0);
	ns = clock_monotonic_ns();
	assert_true(ns > 0);
	assert_true(clock_monotonic_ns() >= ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	  cmocka_unit_test(test_journal),
		cmocka_unit_test(test_json),	  cmocka_unit_test(test_level),
		cmocka_unit_test(test_long_line), cmocka_unit_test(test_ring),
		cmocka_unit_test(test_allow),	  cmocka_unit_test(test_quote),
		cmocka_unit_test(test_slew),	  cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
