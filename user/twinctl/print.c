/*
 * Tables for people: columns as wide as their longest value, no colour unless on a terminal.
 */
#include "twinctl/twinctl.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

static const json_t *at_key(const json_t *o, const char *key)
{
	char part[64];
	const char *dot;

	while (o && (dot = strchr(key, '.'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - key), key);
		o = json_object_get(o, part);
		key = dot + 1;
	}
	return o ? json_object_get(o, key) : NULL;
}

static const char *text_of(const json_t *v, char *buf, size_t size)
{
	size_t at = 0;

	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		snprintf(buf, size, "%s", json_string_value(v));
		break;
	case JSON_INTEGER:
		snprintf(buf, size, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(buf, size, "%.3f", json_real_value(v));
		break;
	case JSON_TRUE:
		snprintf(buf, size, "yes");
		break;
	case JSON_FALSE:
		snprintf(buf, size, "no");
		break;
	case JSON_ARRAY:
		buf[0] = 0;
		for (size_t i = 0; i < json_array_size(v) && at + 2 < size; i++) {
			char one[128];

			at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "",
					       text_of(json_array_get(v, i), one, sizeof(one)));
		}
		break;
	case JSON_OBJECT:
		if (json_object_get(v, "what")) { /* "next" of a relationship */
			const char *when = json_string_value(json_object_get(v, "at"));

			snprintf(buf, size, "%s%s%s", json_string_value(json_object_get(v, "what")),
				 when ? " at " : "", when ? when : "");
			break;
		}
		/* fall through */
	default:
		snprintf(buf, size, "-");
	}
	return buf;
}

const char *value_text(const json_t *o, const char *key, char *buf, size_t size)
{
	return text_of(at_key(o, key), buf, size);
}

void print_table(const json_t *rows, const struct column *cols, unsigned n)
{
	int width[16] = { 0 };
	char buf[512];

	for (unsigned c = 0; c < n && c < 16; c++) {
		width[c] = (int)strlen(cols[c].title);
		for (size_t i = 0; i < json_array_size(rows); i++) {
			int w = (int)strlen(
				value_text(json_array_get(rows, i), cols[c].key, buf, sizeof(buf)));

			if (w > width[c])
				width[c] = w;
		}
	}
	for (unsigned c = 0; c < n; c++)
		printf("%-*s%s", c + 1 < n ? width[c] : 0, cols[c].title, c + 1 < n ? "  " : "\n");
	for (size_t i = 0; i < json_array_size(rows); i++)
		for (unsigned c = 0; c < n; c++)
			printf("%-*s%s", c + 1 < n ? width[c] : 0,
			       value_text(json_array_get(rows, i), cols[c].key, buf, sizeof(buf)),
			       c + 1 < n ? "  " : "\n");
}

void print_object(const json_t *o)
{
	const char *key;
	json_t *v;
	char buf[1024];
	void *it;

	for (it = json_object_iter((json_t *)(uintptr_t)o); it;
	     it = json_object_iter_next((json_t *)(uintptr_t)o, it)) {
		key = json_object_iter_key(it);
		v = json_object_iter_value(it);
		printf("%-26s %s\n", key, text_of(v, buf, sizeof(buf)));
	}
}

/* --- 16 x 16 buckets ----------------------------------------------------------------------------
 */

static bool owns(const char *digits, unsigned bucket)
{
	char octet[3] = { digits[bucket / 8 * 2], digits[bucket / 8 * 2 + 1], 0 };

	return strtoul(octet, NULL, 16) >> (bucket % 8) & 1;
}

static long long cell(const json_t *o, unsigned bucket, unsigned column)
{
	return json_integer_value(
		json_array_get(json_array_get(json_object_get(o, "buckets"), bucket), column));
}

static const char *symbol(const struct twinctl *t, bool ours, bool seen)
{
	static const char *const plain[2][2] = { { " .", " o" }, { " -", " #" } };
	static const char *const colour[2][2] = { { "\033[2m ·\033[0m", "\033[33m ○\033[0m" },
						  { "\033[2m ▫\033[0m", "\033[32m ■\033[0m" } };

	return t->colour ? colour[ours][seen] : plain[ours][seen];
}

void print_buckets(const struct twinctl *t, const json_t *o)
{
	const json_t *rel = json_object_get(o, "relationship");
	const char *digits = json_string_value(json_object_get(rel, "buckets"));
	long long passed = 0, left = 0, by_secs = 0, ours = 0;

	if (!digits || strlen(digits) != 64)
		digits = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	printf("relationship %s: bucket = row * 16 + column\n\n      ",
	       json_string_value(json_object_get(rel, "name")));
	for (unsigned c = 0; c < 16; c++)
		printf(" %x", c);
	putchar('\n');
	for (unsigned b = 0; b < 256; b++) {
		if (b % 16 == 0)
			printf("  %3u ", b);
		ours += owns(digits, b);
		passed += cell(o, b, 0);
		left += cell(o, b, 1);
		by_secs += cell(o, b, 2);
		fputs(symbol(t, owns(digits, b), cell(o, b, 0) + cell(o, b, 1) + cell(o, b, 2) > 0),
		      stdout);
		if (b % 16 == 15)
			putchar('\n');
	}
	printf("\n  %s answered here, a DISCOVER was seen    %s answered here, none seen\n"
	       "  %s the partner's, a DISCOVER was seen    %s the partner's, none seen\n",
	       symbol(t, true, true), symbol(t, true, false), symbol(t, false, true),
	       symbol(t, false, false));
	printf("\n  %lld buckets here, %lld at the partner; DISCOVERs passed %lld, left to the "
	       "partner %lld, passed by secs %lld\n",
	       ours, 256 - ours, passed, left, by_secs);
}
