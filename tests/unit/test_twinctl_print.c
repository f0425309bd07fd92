/* twinctl: what people read; texts of the server's, cells of a table, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "twinctl/print.c"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_drives_the_terminal),
		cmocka_unit_test(cells_are_cut_and_counted_in_characters),
		cmocka_unit_test(durations_as_in_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
