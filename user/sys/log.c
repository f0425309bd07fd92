/*
 * Log lines and the ring of events. Everything at the edge that has something to say calls
 * log_event; ctl reads the ring for the API. Lines go to stderr only: the supervisor keeps them.
 *
 * Three forms: text for people, one JSON object per line, and for the journal the text with the
 * priority in front that sd-daemon(3) describes. One thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "conf/conf.h"
#include "sys/clock.h"
#include "sys/log.h"

/* A line grows into a buffer; what does not fit is cut, the final newline never. */
struct line {
	char buf[4096];
	size_t len;
};

static const char *const level_name[] = { "error", "warning", "info", "debug" };
static const char level_priority[] = { '3', '4', '6', '7' }; /* syslog(3) */

static enum log_level max_level = LOG_L_INFO;
static int out_format = LOG_TEXT;

static struct log_record ring[LOG_RING];
static uint64_t ring_last; /* sequence number of the newest; record n is ring[n % LOG_RING] */
static void (*ring_cb)(void *);
static void *ring_ctx;

void log_setup(enum log_level level, int format)
{
	max_level = level;
	out_format = format;
}

static void add_char(struct line *l, char c)
{
	if (l->len < sizeof(l->buf) - 1)
		l->buf[l->len++] = c;
}

static void add(struct line *l, const char *s)
{
	while (*s)
		add_char(l, *s++);
}

static void add_time(struct line *l, int64_t wall_us)
{
	time_t sec = (time_t)(wall_us / 1000000);
	char buf[40];
	struct tm tm;
	size_t n;

	if (!gmtime_r(&sec, &tm))
		return;
	n = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, sizeof(buf) - n, ".%03dZ", (int)(wall_us / 1000 % 1000));
	add(l, buf);
}

/* Length of the character at @s when it is UTF-8 beyond ASCII and prints, else 0. */
static size_t wide_char(const unsigned char *s, size_t len)
{
	size_t n = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc2 ? 2 : 0;

	if (!n || n > len || *s > 0xf4 || (*s == 0xc2 && s[1] < 0xa0))
		return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0; /* too long a form, a surrogate, beyond the last */
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void add_json(struct line *l, const char *s, size_t len)
{
	char esc[8];

	add_char(l, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		size_t wide = wide_char((const unsigned char *)s + i, len - i);

		if (wide) {
			for (size_t end = i + wide; i < end; i++)
				add_char(l, s[i]);
			i--;
		} else if (c == '"' || c == '\\') {
			add_char(l, '\\');
			add_char(l, (char)c);
		} else if (c < 0x20 || c >= 0x7f) { /* octets, not text: each for itself */
			(void)snprintf(esc, sizeof(esc), "\\u%04x", c);
			add(l, esc);
		} else {
			add_char(l, (char)c);
		}
	}
	add_char(l, '"');
}

/* One `key=value` or `key="some value"` of a detail, or a word that is neither. */
struct pair {
	const char *key, *value;
	size_t key_len, value_len;
};

static const char *next_pair(const char *s, struct pair *ret)
{
	const char *end;

	s += strspn(s, " ");
	if (!*s)
		return NULL;
	ret->key = s;
	ret->key_len = strcspn(s, "= ");
	if (s[ret->key_len] != '=') { /* free words: all up to the end is one text */
		*ret = (struct pair){ "text", s, 4, strlen(s) };
		return s + ret->value_len;
	}
	s += ret->key_len + 1;
	if (*s == '"' && (end = strchr(s + 1, '"'))) {
		ret->value = s + 1;
		ret->value_len = (size_t)(end - ret->value);
		return end + 1;
	}
	ret->value = s;
	ret->value_len = strcspn(s, " ");
	return s + ret->value_len;
}

static void format_json(struct line *l, const struct log_record *r)
{
	const char *s = r->detail;
	struct pair p;

	add(l, "{\"time\":\"");
	add_time(l, r->wall_us);
	add(l, "\",\"level\":\"");
	add(l, level_name[r->level]);
	add(l, "\",\"event\":");
	add_json(l, r->what, strlen(r->what));
	while ((s = next_pair(s, &p))) {
		add_char(l, ',');
		add_json(l, p.key, p.key_len);
		add_char(l, ':');
		add_json(l, p.value, p.value_len);
	}
	add_char(l, '}');
}

static void format_text(struct line *l, const struct log_record *r)
{
	if (out_format == LOG_JOURNAL) { /* the journal has its own clock */
		add_char(l, '<');
		add_char(l, level_priority[r->level]);
		add_char(l, '>');
	} else {
		add_time(l, r->wall_us);
		add_char(l, ' ');
		add(l, level_name[r->level]);
		add_char(l, ' ');
	}
	add(l, r->what);
	if (r->detail[0])
		add_char(l, ' ');
	add(l, r->detail);
}

static void print(const struct log_record *r)
{
	struct line l = { .len = 0 };

	if (out_format == LOG_JSON)
		format_json(&l, r);
	else
		format_text(&l, r);
	l.buf[l.len++] = '\n';
	if (write(STDERR_FILENO, l.buf, l.len) < 0)
		return; /* nobody is left to tell */
}

/* --- records ---------------------------------------------------------------------------------- */

/* Nothing may begin a second line or drive a terminal, whatever a caller forgot to quote. */
static void defuse(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

__attribute__((format(printf, 3, 0))) static void fill(struct log_record *r, const char *what,
						       const char *fmt, va_list ap)
{
	r->wall_us = clock_wall_us();
	(void)snprintf(r->what, sizeof(r->what), "%s", what);
	(void)vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	defuse(r->what);
	defuse(r->detail);
}

void log_event(enum log_level level, const char *what, const char *fmt, ...)
{
	struct log_record *r = &ring[(ring_last + 1) % LOG_RING];
	va_list ap;

	if (level > LOG_L_INFO && level > max_level)
		return;
	va_start(ap, fmt);
	fill(r, what, fmt, ap);
	va_end(ap);
	r->level = level;
	r->seq = ++ring_last;
	if (level <= max_level)
		print(r);
	if (ring_cb)
		ring_cb(ring_ctx);
}

__attribute__((format(printf, 2, 3))) static void line_of(const char *what, const char *fmt, ...)
{
	struct log_record r = { .level = LOG_L_INFO };
	va_list ap;

	va_start(ap, fmt);
	fill(&r, what, fmt, ap);
	va_end(ap);
	print(&r);
}

void log_line(const char *what, const char *detail)
{
	line_of(what, "%s", detail);
}

void log_debug(const char *fmt, ...)
{
	struct log_record r = { .level = LOG_L_DEBUG };
	va_list ap;

	if (max_level < LOG_L_DEBUG)
		return;
	va_start(ap, fmt);
	fill(&r, "debug", fmt, ap);
	va_end(ap);
	print(&r);
}

unsigned log_ring_read(uint64_t seq, struct log_record *ret, unsigned max)
{
	uint64_t oldest = ring_last >= LOG_RING ? ring_last - LOG_RING + 1 : 1;
	unsigned n = 0;

	if (seq + 1 > oldest)
		oldest = seq + 1;
	for (uint64_t i = oldest; i <= ring_last && n < max; i++)
		ret[n++] = ring[i % LOG_RING];
	return n;
}

uint64_t log_ring_last(void)
{
	return ring_last;
}

void log_ring_watch(void (*cb)(void *), void *ctx)
{
	ring_cb = cb;
	ring_ctx = ctx;
}

/* --- helpers of callers ----------------------------------------------------------------------- */

bool log_allow(struct log_limit *l, unsigned per_min, mono_t now)
{
	if ((!l->since.us && !l->n) || now.us - l->since.us >= 60 * 1000000LL) {
		l->since = now;
		l->n = 0;
	}
	if (l->n >= per_min) {
		l->dropped = l->n == per_min ? 1 : l->dropped + 1;
		l->n = per_min + 1; /* marks that this minute's count has begun */
		return false;
	}
	if (l->n++) /* the first line after a drought still tells how many were left out */
		l->dropped = 0;
	return true;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

const char *log_quote(const void *p, size_t len, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = p;
	bool quotes = !len || memchr(s, ' ', len) || memchr(s, '=', len);
	size_t n = 0, end;

	if (!size)
		return "";
	if (size < 3) {
		buf[0] = 0;
		return buf;
	}
	end = size - 1 - quotes; /* room for the closing quote and the end */
	if (quotes)
		buf[n++] = '"';
	for (size_t i = 0, take; i < len; i += take) {
		take = is_plain(s[i]) ? 1 : wide_char(s + i, len - i);
		if (n + (take ? take : 4) > end)
			break;
		if (take) {
			memcpy(buf + n, s + i, take);
			n += take;
			continue;
		}
		take = 1;
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[s[i] >> 4];
		buf[n++] = hex[s[i] & 15];
	}
	if (quotes)
		buf[n++] = '"';
	buf[n] = 0;
	return buf;
}
