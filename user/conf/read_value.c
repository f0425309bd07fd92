/*
 * The readers of single values and of words, by the type that the table gives a key.
 *
 * Caller: read.c.
 */
#include <stdio.h>
#include <string.h>
#include "conf/read.h"
#include "shared/xdp_abi.h"

void reader_wrong(struct reader *r, const char *how)
{
	conf_error(r->c, r->n, "%s %s %s", r->k->name, node_show(r->c, r->n), how);
}

static void put_u32(struct reader *r, uint32_t v)
{
	memcpy(r->to, &v, sizeof(v));
}

static void put_ptr(struct reader *r, const void *p)
{
	memcpy(r->to, &p, sizeof(p));
}

static void put_int(struct reader *r, int v)
{
	memcpy(r->to, &v, sizeof(v));
}

static void read_text(struct reader *r)
{
	char how[80];

	for (size_t i = 0; i < r->n->len; i++)
		if ((unsigned char)r->n->text[i] < 0x20 || r->n->text[i] == 0x7f) {
			reader_wrong(r, "holds a control character: remove it");
			return;
		}
	if ((int64_t)r->n->len > r->k->max) {
		(void)snprintf(how, sizeof(how), "is too long: %d octets are the most",
			       (int)r->k->max);
		reader_wrong(r, how);
		return;
	}
	put_ptr(r, arena_text(r->c->keep, r->n->text, r->n->len));
}

static void read_path(struct reader *r)
{
	if (*r->n->text != '/' || r->n->len > 4000)
		reader_wrong(r, "is not an absolute path: begin it with a slash");
	else
		put_ptr(r, arena_text(r->c->keep, r->n->text, r->n->len));
}

static void read_bool(struct reader *r)
{
	bool v;
	const char *how = value_bool(r->n->text, &v);

	if (how)
		reader_wrong(r, how);
	else
		memcpy(r->to, &v, sizeof(v));
}

static void read_number(struct reader *r)
{
	char text[32], how[80];
	size_t len = r->n->len;
	int64_t v;

	if (r->k->type == KEY_PERCENT && len > 1 && len < sizeof(text) &&
	    r->n->text[len - 1] == '%')
		len--;
	(void)snprintf(text, sizeof(text), "%.*s", len < sizeof(text) ? (int)len : 31, r->n->text);
	if (value_number(text, &v) || v < r->k->min || v > r->k->max) {
		(void)snprintf(how, sizeof(how), "is not a number from %d to %d: write one%s",
			       (int)r->k->min, (int)r->k->max,
			       r->k->type == KEY_PERCENT ? ", it is percent" : "");
		reader_wrong(r, how);
		return;
	}
	put_u32(r, (uint32_t)v);
}

static void read_duration(struct reader *r)
{
	char how[80], least[DURATION_TEXT], most[DURATION_TEXT];
	uint32_t v;
	const char *fault = value_duration(r->n->text, &v);

	if (fault) {
		reader_wrong(r, fault);
	} else if (v < r->k->min || v > r->k->max) {
		(void)snprintf(how, sizeof(how), "is too %s: write one from %s to %s",
			       v < r->k->min ? "short" : "long",
			       duration_text((uint32_t)r->k->min, least),
			       duration_text((uint32_t)r->k->max, most));
		reader_wrong(r, how);
	} else {
		put_u32(r, v);
	}
}

static void read_lease(struct reader *r)
{
	if (node_says(r->n, "infinite"))
		put_u32(r, SEC_INFINITE);
	else
		read_duration(r);
}

static void read_patience(struct reader *r)
{
	if (node_says(r->n, "off"))
		put_u32(r, 0);
	else if (node_says(r->n, "on"))
		put_u32(r, 3600);
	else
		read_duration(r);
}

static void read_secs(struct reader *r)
{
	int64_t v;

	if (node_says(r->n, "never"))
		put_u32(r, SECS_NEVER);
	else if (value_number(r->n->text, &v) || v < 0 || v > r->k->max)
		reader_wrong(r, "is not a threshold: write seconds from 0 to 255, or never");
	else
		put_u32(r, (uint32_t)v);
}

static void read_address(struct reader *r)
{
	uint32_t v;
	const char *how = value_address(r->n->text, &v);

	if (!how && !value_is_unicast(v))
		how = "is not the address of one host: write a unicast address";
	if (how)
		reader_wrong(r, how);
	else
		put_u32(r, v);
}

static void read_prefix(struct reader *r)
{
	struct prefix p;
	const char *how = value_prefix(r->n->text, &p);

	if (!how && (!p.len || !value_is_unicast(p.addr)))
		how = "is no subnet of hosts: write a unicast one of length 1 to 32";
	if (how)
		reader_wrong(r, how);
	else
		memcpy(r->to, &p, sizeof(p));
}

static void read_endpoint(struct reader *r)
{
	struct sockaddr_in sa;
	const char *how = value_endpoint(r->n->text, 647, &sa);

	if (how)
		reader_wrong(r, how);
	else
		memcpy(r->to, &sa, sizeof(sa));
}

static void read_buckets(struct reader *r)
{
	uint8_t bits[32];
	size_t len;

	if (value_octets(r->n->text, bits, 32, 32, &len)) {
		reader_wrong(r, "is not a set of buckets: write 64 hexadecimal digits");
		return;
	}
	put_ptr(r, memcpy(arena_alloc(r->c->keep, 32), bits, 32));
}

static void put_octets(struct reader *r, const uint8_t *p, size_t len)
{
	struct raw_octets o = { memcpy(arena_alloc(r->c->keep, len), p, len), len };

	memcpy(r->to, &o, sizeof(o));
}

static void read_octets(struct reader *r)
{
	static const char prefix[] = "text:";
	size_t skip = sizeof(prefix) - 1, len;
	uint8_t buf[256];
	const char *how = NULL;

	if (r->k->type == KEY_CLIENT_ID && !strncmp(r->n->text, prefix, skip)) {
		len = r->n->len - skip;
		if ((int64_t)len < r->k->min || (int64_t)len > r->k->max)
			how = "is no client identifier: write 2 to 255 octets";
		else
			memcpy(buf, r->n->text + skip, len);
	} else {
		how = value_octets(r->n->text, buf, (size_t)r->k->min, (size_t)r->k->max, &len);
	}
	if (how)
		reader_wrong(r, how);
	else
		put_octets(r, buf, len);
}

/* --- words ------------------------------------------------------------------------------------ */

/* The next of "a|b|!c". Return: NULL after the last. */
static const char *next_word(const char *s, const char **ret, size_t *ret_len)
{
	if (!s || !*s)
		return NULL;
	*ret = s;
	*ret_len = strcspn(s, "|");
	return s + *ret_len + (s[*ret_len] == '|');
}

static void no_such_word(struct reader *r)
{
	char how[160] = "is not known: write";
	const char *s = r->k->words, *w, *between = " ";
	size_t len, n = strlen(how);

	while ((s = next_word(s, &w, &len))) {
		if (*w == '!')
			continue;
		n += (size_t)snprintf(how + n, sizeof(how) - n, "%s%.*s", between, (int)len, w);
		between = " or ";
	}
	reader_wrong(r, how);
}

static void not_yet(struct reader *r)
{
	int len = (int)strcspn(r->k->words, "|");

	if (r->n->kind == NODE_SCALAR)
		conf_error(r->c, r->n,
			   "%s %s is not available in this version: write %.*s, or remove it",
			   r->k->name, node_show(r->c, r->n), len, r->k->words);
	else
		conf_error(r->c, r->n, "%s is not available in this version: remove it",
			   r->k->name);
}

static void read_word(struct reader *r)
{
	const char *s = r->k->words, *w;
	size_t len;

	for (int i = 0; (s = next_word(s, &w, &len)); i++) {
		bool later = *w == '!';

		if (r->n->len != len - later || memcmp(r->n->text, w + later, r->n->len))
			continue;
		if (later)
			not_yet(r);
		else
			put_int(r, i);
		return;
	}
	no_such_word(r);
}

/* A map whose keys are all without value says nothing. */
static bool says_nothing(const struct node *n)
{
	if (n->kind == NODE_SCALAR)
		return !n->len;
	for (const struct node *i = n->first; i; i = i->next)
		if (!node_is_empty(i))
			return false;
	return true;
}

void read_later(struct reader *r)
{
	const char *s = r->k->words, *w;
	size_t len;

	if (says_nothing(r->n))
		return;
	while ((s = next_word(s, &w, &len)))
		if (r->n->kind == NODE_SCALAR && r->n->len == len && !memcmp(r->n->text, w, len))
			return;
	not_yet(r);
}

/* --- by type ---------------------------------------------------------------------------------- */

void read_scalar(struct reader *r)
{
	static void (*const by_type[])(struct reader *) = {
		[KEY_TEXT] = read_text,	       [KEY_PATH] = read_path,
		[KEY_BOOL] = read_bool,	       [KEY_NUMBER] = read_number,
		[KEY_PERCENT] = read_number,   [KEY_DURATION] = read_duration,
		[KEY_LEASE] = read_lease,      [KEY_PATIENCE] = read_patience,
		[KEY_SECS] = read_secs,	       [KEY_ADDRESS] = read_address,
		[KEY_PREFIX] = read_prefix,    [KEY_ENDPOINT] = read_endpoint,
		[KEY_BUCKETS] = read_buckets,  [KEY_HARDWARE] = read_octets,
		[KEY_CLIENT_ID] = read_octets, [KEY_WORD] = read_word,
	};

	if (r->n->kind != NODE_SCALAR)
		conf_error(r->c, r->n, "%s is a %s: write one value", r->k->name,
			   r->n->kind == NODE_LIST ? "list" : "mapping");
	else if (strlen(r->n->text) != r->n->len)
		reader_wrong(r, "holds a zero octet: remove it");
	else
		by_type[r->k->type](r);
}
