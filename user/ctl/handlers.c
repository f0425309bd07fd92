/*
 * What the API answers: one table of method, path and handler. A handler reads through
 * struct ctl_ops, or hands in an operator's wish.
 */
#include "ctl/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>

#define PAGE_DEFAULT 1000
#define PAGE_MAX 10000

static void get_status(struct ctl_request *r)
{
	const struct ctl_ops *ops = r->ops;
	const struct conf *c = ops->conf(ops->ctx);
	json_t *rels = json_array();
	struct ctl_status s;

	ops->status(ops->ctx, &s);
	for (unsigned i = 0; i < c->n_relations; i++)
		json_array_append_new(rels, ctl_relation_object(ops, i));
	ctl_answer(
		r, 200,
		json_pack("{s:s, s:s, s:o, s:o, s:b, s:s, s:s, s:i, s:i, s:{s:I, s:I, s:I, s:I}, "
			  "s:o}",
			  "version", s.version, "server", s.server_name, "now",
			  json_time(sec_clamp(ops->now(ops->ctx).wall.sec)), "started",
			  json_time(s.started), "serving", s.serving, "why-not", s.why_not,
			  "filter", s.filter_mode, "scopes", c->scopes.n_scopes, "leases-active",
			  s.leases_active, "store", "commits", (json_int_t)s.commits, "used-octets",
			  (json_int_t)s.store_used, "map-octets", (json_int_t)s.store_size,
			  "disk-free-octets", (json_int_t)s.disk_free, "relationships", rels));
}

/* --- relationships
 * ------------------------------------------------------------------------------------ */

static int find_relation(struct ctl_request *r, const char *name)
{
	const struct conf *c = r->ops->conf(r->ops->ctx);

	for (unsigned i = 0; i < c->n_relations; i++)
		if (!strcmp(c->relations[i].fo.name, name))
			return (int)i;
	ctl_error(r, 404, "no-such-relationship", name,
		  "there is no relationship \"%s\": see 'twinctl relationship list'", name);
	return -1;
}

static void list_relations(struct ctl_request *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->ops->conf(r->ops->ctx)->n_relations; i++)
		json_array_append_new(list, ctl_relation_object(r->ops, i));
	ctl_answer(r, 200, json_pack("{s:o}", "relationships", list));
}

static void show_relation(struct ctl_request *r)
{
	int i = find_relation(r, r->name);

	if (i >= 0)
		ctl_answer(r, 200, ctl_relation_object(r->ops, (unsigned)i));
}

/* "since" of a wish: RFC 3339 in UTC, or seconds. */
static bool read_since(struct ctl_request *r, uint32_t *ret)
{
	const json_t *v = json_object_get(r->body, "since");
	struct tm tm = { 0 };
	const char *end;

	*ret = 0;
	if (!v || json_is_null(v))
		return true;
	if (json_is_integer(v)) {
		*ret = sec_clamp(json_integer_value(v));
		return true;
	}
	end = json_is_string(v) ? strptime(json_string_value(v), "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	if (!end || *end) {
		ctl_error(r, 400, "bad-time", NULL,
			  "since: give a time in UTC as 2026-01-31T23:59:59Z");
		return false;
	}
	*ret = sec_clamp(timegm(&tm));
	return true;
}

static void operate(struct ctl_request *r, enum fo_event ev)
{
	int i = find_relation(r, r->name);
	const char *refused;
	uint32_t since;

	if (i < 0 || !read_since(r, &since))
		return;
	refused = r->ops->operate(r->ops->ctx, (unsigned)i, ev, since);
	if (refused)
		ctl_error(r, 409, "refused", r->name, "%s", refused);
	else
		ctl_answer(r, 200, ctl_relation_object(r->ops, (unsigned)i));
}

static void partner_down(struct ctl_request *r)
{
	bool force = json_is_true(json_object_get(r->body, "force"));

	operate(r, force ? FO_EV_OP_FORCE_PARTNER_DOWN : FO_EV_OP_PARTNER_DOWN);
}

static void shut_down(struct ctl_request *r)
{
	operate(r, FO_EV_OP_SHUTDOWN);
}

static void pause_relation(struct ctl_request *r)
{
	operate(r, FO_EV_OP_PAUSE);
}

static void resume(struct ctl_request *r)
{
	operate(r, FO_EV_OP_RESUME);
}

/* --- scopes and leases
 * --------------------------------------------------------------------------------- */

static const struct scope *scope_by_name(struct ctl_request *r, const char *name)
{
	const struct scope_table *t = &r->ops->conf(r->ops->ctx)->scopes;
	char ip[16], text[20];

	for (uint32_t i = 0; i < t->n_scopes; i++) {
		const struct scope *s = &t->scopes[i];

		ctl_addr_text(s->subnet, ip);
		snprintf(text, sizeof(text), "%s/%u", ip, s->prefix);
		if (!strcmp(name, ip) || !strcmp(name, text) || (s->name && !strcmp(name, s->name)))
			return s;
	}
	ctl_error(r, 404, "no-such-scope", name,
		  "there is no scope \"%s\": see 'twinctl scope list'", name);
	return NULL;
}

static void list_scopes(struct ctl_request *r)
{
	const struct scope_table *t = &r->ops->conf(r->ops->ctx)->scopes;
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->n_scopes; i++)
		json_array_append_new(list, ctl_scope_object(r->ops, &t->scopes[i]));
	ctl_answer(r, 200, json_pack("{s:o}", "scopes", list));
}

static void show_scope(struct ctl_request *r)
{
	const struct scope *s = scope_by_name(r, r->name);

	if (s)
		ctl_answer(r, 200, ctl_scope_object(r->ops, s));
}

/* The durable lease with the client that holds it; false: not on disk (yet). */
static bool read_lease(const struct ctl_ops *ops, uint32_t addr, struct lease *l,
		       struct lease_client *c)
{
	return ops->lease(ops->ctx, addr, l, c) == 0;
}

struct page {
	const struct scope *scope; /* NULL: all */
	const char *state;	   /* NULL: all */
	uint32_t from, limit;
};

static uint32_t add_leases(const struct ctl_ops *ops, const struct page *p, json_t *list)
{
	const struct pool *pool = ops->pool(ops->ctx);
	const struct lease *row;
	uint32_t at = p->from;
	struct lease_client c;
	struct lease l;

	while (pool && (row = pool_next(pool, at))) {
		uint32_t addr = row->addr;

		if (json_array_size(list) >= p->limit)
			return addr;
		if ((!p->scope || pool_scope(pool, addr) == p->scope) &&
		    read_lease(ops, addr, &l, &c) &&
		    (!p->state || !strcmp(p->state, lease_state_name(l.state))))
			json_array_append_new(list, ctl_lease_object(ops, &l, &c));
		if (addr == UINT32_MAX)
			break;
		at = addr + 1;
	}
	return 0;
}

static void list_leases(struct ctl_request *r)
{
	const char *scope = ctl_query(r, "scope"), *limit = ctl_query(r, "limit");
	struct page p = { .state = ctl_query(r, "state"), .limit = PAGE_DEFAULT };
	json_t *list;
	uint32_t next;

	if (limit)
		p.limit = (uint32_t)strtoul(limit, NULL, 10);
	if (!p.limit || p.limit > PAGE_MAX) {
		ctl_error(r, 400, "bad-limit", limit, "limit: give a number from 1 to %u",
			  PAGE_MAX);
		return;
	}
	if (ctl_query(r, "from") && !ctl_query_addr(r, "from", &p.from)) {
		ctl_error(r, 400, "bad-address", ctl_query(r, "from"),
			  "from: give an IPv4 address");
		return;
	}
	if (scope && !(p.scope = scope_by_name(r, scope)))
		return;
	list = json_array();
	next = add_leases(r->ops, &p, list);
	ctl_answer(r, 200, json_pack("{s:o, s:o}", "leases", list, "next", json_addr(next)));
}

static bool parse_addr(const char *text, uint32_t *ret)
{
	unsigned a, b, c, d;
	char tail;

	if (sscanf(text, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &tail) != 4 || a > 255 || b > 255 ||
	    c > 255 || d > 255)
		return false;
	*ret = a << 24 | b << 16 | c << 8 | d;
	return true;
}

static void show_lease(struct ctl_request *r)
{
	struct lease_client c;
	struct lease l;
	uint32_t addr;

	if (!parse_addr(r->name, &addr))
		ctl_error(r, 400, "bad-address", r->name, "\"%s\" is no IPv4 address", r->name);
	else if (!read_lease(r->ops, addr, &l, &c))
		ctl_error(r, 404, "no-such-lease", r->name, "%s was never leased", r->name);
	else
		ctl_answer(r, 200, ctl_lease_object(r->ops, &l, &c));
}

/* --- filter
 * -------------------------------------------------------------------------------------------- */

static json_t *filter_object(const struct ctl_ops *ops, const struct ctl_filter *f)
{
	const struct conf *c = ops->conf(ops->ctx);
	json_t *ifaces = json_array(), *verdicts = json_array();

	for (unsigned i = 0; i < c->server.n_interfaces && i < 64; i++)
		json_array_append_new(ifaces,
				      json_pack("{s:s, s:b}", "name", c->server.interfaces[i],
						"attached", f->attached[i]));
	for (unsigned i = 0; i < f->n_reasons; i++)
		json_array_append_new(verdicts,
				      json_pack("{s:s, s:s, s:I, s:I}", "reason", f->reason[i].name,
						"means", f->reason[i].text, "packets",
						(json_int_t)f->reason[i].packets, "octets",
						(json_int_t)f->reason[i].octets));
	return json_pack("{s:s, s:o, s:{s:I, s:f, s:f}, s:o}", "mode", f->mode, "interfaces",
			 ifaces, "switches", "count", (json_int_t)f->switches, "last-seconds",
			 (double)f->switch_us_last / 1e6, "max-seconds",
			 (double)f->switch_us_max / 1e6, "verdicts", verdicts);
}

static void show_filter(struct ctl_request *r)
{
	static struct ctl_filter f; /* large; one request at a time */
	int err = r->ops->filter(r->ops->ctx, &f);

	if (err < 0 && err != -ENOENT)
		ctl_error(r, 500, "filter-unreadable", NULL, "the filter's maps: %s",
			  strerror(-err));
	else
		ctl_answer(r, 200, filter_object(r->ops, &f));
}

static void show_buckets(struct ctl_request *r)
{
	const char *name = ctl_query(r, "relationship");
	const struct conf *c = r->ops->conf(r->ops->ctx);
	struct ctl_bucket b[256] = { 0 };
	json_t *list;
	int i, counted;

	if (!name && c->n_relations)
		name = c->relations[0].fo.name;
	i = find_relation(r, name ? name : "");
	if (i < 0)
		return;
	counted = r->ops->buckets(r->ops->ctx, (unsigned)i, b) == 0;
	list = json_array();
	for (unsigned k = 0; k < 256; k++)
		json_array_append_new(list,
				      json_pack("[I, I, I]", (json_int_t)b[k].passed,
						(json_int_t)b[k].left, (json_int_t)b[k].by_secs));
	ctl_answer(r, 200,
		   json_pack("{s:o, s:b, s:[s, s, s], s:o}", "relationship",
			     ctl_relation_object(r->ops, (unsigned)i), "counted", counted,
			     "columns", "passed", "left-to-partner", "passed-by-secs", "buckets",
			     list));
}

/* --- explain, events, metrics
 * ---------------------------------------------------------------------------- */

static size_t parse_hex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;

	while (*text && n < max) {
		unsigned v;

		if (*text == ':' || *text == '-') {
			text++;
			continue;
		}
		if (sscanf(text, "%2x", &v) != 1 || !text[1])
			return 0;
		out[n++] = (uint8_t)v;
		text += 2;
	}
	return *text ? 0 : n;
}

static bool read_client(struct ctl_request *r, struct lease_client *c)
{
	const char *hw = ctl_query(r, "hardware-address"), *id = ctl_query(r, "client-id");

	memset(c, 0, sizeof(*c));
	c->htype = 1;
	if (hw)
		c->hlen = (uint8_t)parse_hex(hw, c->chaddr, sizeof(c->chaddr));
	if (id)
		c->id_len = (uint8_t)parse_hex(id, c->id, sizeof(c->id));
	if ((hw && !c->hlen) || (id && !c->id_len) || (!hw && !id)) {
		ctl_error(r, 400, "bad-client", hw ? hw : id,
			  "give hardware-address=02:00:00:00:00:01 or client-id= in hexadecimal");
		return false;
	}
	return true;
}

static json_t *client_leases(const struct ctl_ops *ops, const struct lease_client *c)
{
	const struct pool *pool = ops->pool(ops->ctx);
	json_t *list = json_array();
	const struct lease *row;
	struct lease_client held;
	struct lease l;

	for (uint32_t at = 0; pool && (row = pool_next(pool, at)); at = l.addr + 1) {
		l = *row;
		if (read_lease(ops, l.addr, &l, &held) &&
		    ((c->id_len && held.id_len == c->id_len &&
		      !memcmp(held.id, c->id, c->id_len)) ||
		     (c->hlen && held.hlen == c->hlen && !memcmp(held.chaddr, c->chaddr, c->hlen))))
			json_array_append_new(list, ctl_lease_object(ops, &l, &held));
	}
	return list;
}

static void explain(struct ctl_request *r)
{
	const struct scope_table *t = &r->ops->conf(r->ops->ctx)->scopes;
	const char *scope = ctl_query(r, "scope"), *secs = ctl_query(r, "secs");
	const struct scope *only = NULL;
	struct server_decision d;
	struct lease_client c;
	json_t *list;

	if (!read_client(r, &c) || (scope && !(only = scope_by_name(r, scope))))
		return;
	list = json_array();
	for (uint32_t i = 0; i < t->n_scopes; i++) {
		if (only && only != &t->scopes[i])
			continue;
		r->ops->explain(r->ops->ctx, &c, t->scopes[i].subnet + 1,
				secs ? (uint16_t)strtoul(secs, NULL, 10) : 0, &d);
		json_array_append_new(list, ctl_decision_object(r->ops, &d));
	}
	ctl_answer(r, 200,
		   json_pack("{s:o, s:o}", "leases", client_leases(r->ops, &c), "discover", list));
}

static void get_events(struct ctl_request *r)
{
	ctl_events(r, ctl_get_followers(r->ctl));
}

static void get_metrics(struct ctl_request *r)
{
	static struct ctl_metric m[CTL_METRICS_MAX]; /* large; one request at a time */
	unsigned n = r->ops->metrics(r->ops->ctx, m);
	struct evbuffer *out = evbuffer_new();
	const char *last = "";

	for (unsigned i = 0; out && i < n; i++) {
		if (strcmp(last, m[i].name))
			evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m[i].name,
					    m[i].help, m[i].name, m[i].gauge ? "gauge" : "counter");
		last = m[i].name;
		if (m[i].label[0])
			evbuffer_add_printf(out, "%s{%s=\"%s\"} %.17g\n", m[i].name, m[i].key,
					    m[i].label, m[i].value);
		else
			evbuffer_add_printf(out, "%s %.17g\n", m[i].name, m[i].value);
	}
	evhttp_add_header(evhttp_request_get_output_headers(r->http), "Content-Type",
			  "text/plain; version=0.0.4");
	evhttp_send_reply(r->http, 200, "OK", out);
	if (out)
		evbuffer_free(out);
}

/* --- the table
 * ------------------------------------------------------------------------------------------- */

static const struct route {
	enum evhttp_cmd_type method;
	const char *path; /* '*' stands for one element, kept in ctl_request.name */
	void (*handle)(struct ctl_request *r);
} routes[] = {
	{ EVHTTP_REQ_GET, "/v1/status", get_status },
	{ EVHTTP_REQ_GET, "/v1/relationships", list_relations },
	{ EVHTTP_REQ_GET, "/v1/relationships/*", show_relation },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/partner-down", partner_down },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/shutdown", shut_down },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/pause", pause_relation },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/resume", resume },
	{ EVHTTP_REQ_GET, "/v1/scopes", list_scopes },
	{ EVHTTP_REQ_GET, "/v1/scopes/*", show_scope },
	{ EVHTTP_REQ_GET, "/v1/leases", list_leases },
	{ EVHTTP_REQ_GET, "/v1/leases/*", show_lease },
	{ EVHTTP_REQ_GET, "/v1/filter", show_filter },
	{ EVHTTP_REQ_GET, "/v1/filter/buckets", show_buckets },
	{ EVHTTP_REQ_GET, "/v1/explain", explain },
	{ EVHTTP_REQ_GET, "/v1/events", get_events },
	{ EVHTTP_REQ_GET, "/metrics", get_metrics },
};

/* Does @path fit the pattern? The element under '*' is decoded into @name. */
static bool path_fits(const char *pattern, const char *path, char *name, size_t size)
{
	const char *star = strchr(pattern, '*');
	size_t before = star ? (size_t)(star - pattern) : 0, len;
	char element[900], *decoded;

	if (!star)
		return !strcmp(pattern, path);
	if (strncmp(pattern, path, before))
		return false;
	len = strcspn(path + before, "/");
	if (!len || len >= sizeof(element) || strcmp(star + 1, path + before + len))
		return false;
	memcpy(element, path + before, len);
	element[len] = 0;
	decoded = evhttp_uridecode(element, 0, NULL);
	snprintf(name, size, "%s", decoded ? decoded : "");
	free(decoded);
	return true;
}

void ctl_dispatch(struct ctl_request *r, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(r->http);
	bool known = false;

	for (unsigned i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_fits(routes[i].path, path, r->name, sizeof(r->name)))
			continue;
		if (routes[i].method == method) {
			routes[i].handle(r);
			return;
		}
		known = true;
	}
	if (known)
		ctl_error(r, 405, "wrong-method", path, "%s does not take this method", path);
	else
		ctl_error(r, 404, "no-such-path", path, "the API has no %s", path);
}
