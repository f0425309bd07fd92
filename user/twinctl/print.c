/*
 * Text for people: tables with columns as wide as their longest value, no colour unless on a
 * terminal. Names and identifiers come from clients: nothing of them may drive the terminal.
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

/* Length of one character of valid UTF-8 at @s that a terminal may get, else 0: C0, DEL, C1 and
 * what is no UTF-8 stay outside. */
static size_t printable(const unsigned char *s)
{
	size_t len = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc2 ? 2 : 0;

	if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

const char *safe_text(const char *text, char *buf, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0;

	while (*s && at + 5 < size) {
		size_t len = printable(s);

		if (len) {
			memcpy(buf + at, s, len);
			at += len;
			s += len;
		} else {
			at += (size_t)snprintf(buf + at, size - at, "\\x%02x", *s++);
		}
	}
	buf[at] = 0;
	return buf;
}

/* As the configuration writes it: 90s, 10m, 1h, 8d. */
static void duration_text(long long sec, char *buf, size_t size)
{
	static const struct {
		long long sec;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };

	for (unsigned i = 0; i < 3; i++)
		if (sec && sec % units[i].sec == 0) {
			snprintf(buf, size, "%lld%c", sec / units[i].sec, units[i].unit);
			return;
		}
	snprintf(buf, size, "%llds", sec);
}

static bool is_duration(const char *key)
{
	return !strcmp(key, "lease-time") || !strcmp(key, "max-client-lead-time") ||
	       !strcmp(key, "auto-partner-down") || !strcmp(key, "max-clock-skew");
}

static const char *text_of(const json_t *v, const char *key, char *buf, size_t size);

static void array_text(const json_t *v, const char *key, char *buf, size_t size)
{
	char one[128];
	size_t at = 0;

	buf[0] = 0;
	for (size_t i = 0; i < json_array_size(v) && at + 1 < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "",
				       text_of(json_array_get(v, i), key, one, sizeof(one)));
	if (!at)
		snprintf(buf, size, "-");
}

static const char *text_of(const json_t *v, const char *key, char *buf, size_t size)
{
	const char *what = NULL, *when = NULL;

	snprintf(buf, size, "-");
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		return json_string_length(v) ? safe_text(json_string_value(v), buf, size) : buf;
	case JSON_INTEGER:
		if (is_duration(key))
			duration_text(json_integer_value(v), buf, size);
		else
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
		array_text(v, key, buf, size);
		break;
	case JSON_OBJECT: /* "next" of a relationship */
		(void)json_unpack((json_t *)(uintptr_t)v, "{s:s, s?:s}", "what", &what, "at",
				  &when);
		if (what)
			snprintf(buf, size, "%s%s%s", what, when ? " at " : "", when ? when : "");
		break;
	case JSON_NULL:
		break;
	}
	return buf;
}

const char *value_text(const json_t *o, const char *key, char *buf, size_t size)
{
	return text_of(at_key(o, key), key, buf, size);
}

/* --- tables ------------------------------------------------------------------------------------
 */

/* Characters, not octets. */
static unsigned width_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* The text of one cell, cut to what the column allows. Returns its width. */
static unsigned cell_text(const json_t *row, const struct column *c, char *buf, size_t size)
{
	unsigned width = width_of(value_text(row, c->key, buf, size)), n = 0;
	char *p = buf;

	if (!c->most || width <= c->most)
		return width;
	while (*p && (n < c->most - 3 || (*p & 0xc0) == 0x80))
		n += (*p++ & 0xc0) != 0x80;
	strcpy(p, "...");
	return c->most;
}

static void print_cell(const char *text, unsigned width, unsigned column, bool last)
{
	if (last)
		printf("%s\n", text);
	else
		printf("%s%*s", text, (int)(column - width) + 2, "");
}

void print_table(const json_t *rows, const struct column *cols, unsigned n)
{
	unsigned width[16] = { 0 };
	char buf[1024];

	for (unsigned c = 0; c < n; c++) {
		width[c] = (unsigned)strlen(cols[c].title);
		for (size_t i = 0; i < json_array_size(rows); i++) {
			unsigned w = cell_text(json_array_get(rows, i), &cols[c], buf, sizeof(buf));

			if (w > width[c])
				width[c] = w;
		}
	}
	for (unsigned c = 0; c < n; c++)
		print_cell(cols[c].title, (unsigned)strlen(cols[c].title), width[c], c + 1 == n);
	for (size_t i = 0; i < json_array_size(rows); i++)
		for (unsigned c = 0; c < n; c++) {
			unsigned w = cell_text(json_array_get(rows, i), &cols[c], buf, sizeof(buf));

			print_cell(buf, w, width[c], c + 1 == n);
		}
}

/* --- one object --------------------------------------------------------------------------------
 */

#define IN_ONE_LINE 4 /* elements of a list */

static void print_member(const char *key, const json_t *v)
{
	char buf[1024];

	if (json_array_size(v) <= IN_ONE_LINE) {
		printf("%-26s %s\n", key, text_of(v, key, buf, sizeof(buf)));
		return;
	}
	for (size_t i = 0; i < json_array_size(v); i++)
		printf("%-26s %s\n", i ? "" : key,
		       text_of(json_array_get(v, i), key, buf, sizeof(buf)));
}

void print_object(const json_t *o)
{
	json_t *v, *inner, *all = (json_t *)(uintptr_t)o;
	const char *key, *part;
	char name[64];

	json_object_foreach(all, key, v)
	{
		if (!json_is_object(v) || json_object_get(v, "what")) {
			print_member(key, v);
			continue;
		}
		json_object_foreach(v, part, inner)
		{
			snprintf(name, sizeof(name), "%s.%s", key, part);
			print_member(name, inner);
		}
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
