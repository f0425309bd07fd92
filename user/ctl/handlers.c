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

/* Is @word one of the words in @words, which have one space between them? */
static bool is_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; len && (p = strstr(p, word)); p++)
		if ((p == words || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

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

/* Only these keys, words in @known, may stand in the body. */
static bool body_has_only(struct ctl_request *r, const char *known)
{
	const char *key;
	json_t *v;

	json_object_foreach(r->body, key, v)
	{
		if (is_word(known, key))
			continue;
		ctl_error(r, 400, "unknown-key", key, "the body has the key \"%s\": known %s%s",
			  key, *known ? "are " : "is none", known);
		return false;
	}
	return true;
}

static bool bad_time(struct ctl_request *r, const char *why)
{
	ctl_error(r, 400, "bad-time", NULL, "since: %s", why);
	return false;
}

/* "since" of a wish: RFC 3339 in UTC, or seconds. */
static bool read_since(struct ctl_request *r, uint32_t *ret)
{
	const json_t *v = json_object_get(r->body, "since");
	struct tm tm = { 0 };
	const char *end;
	int64_t sec;

	*ret = 0;
	if (!v || json_is_null(v))
		return true;
	end = json_is_string(v) ? strptime(json_string_value(v), "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	if (json_is_integer(v))
		sec = json_integer_value(v);
	else if (end && !*end)
		sec = timegm(&tm);
	else
		return bad_time(r, "give a time in UTC as 2026-01-31T23:59:59Z");
	if (sec <= 0 || sec > r->ops->now(r->ops->ctx).wall.sec)
		return bad_time(r, "give a time in the past");
	*ret = sec_clamp(sec);
	return true;
}

static void operate(struct ctl_request *r, enum fo_event ev, const char *keys)
{
	int i = find_relation(r, r->name);
	const char *refused;
	uint32_t since;

	if (i < 0 || !body_has_only(r, keys) || !read_since(r, &since))
		return;
	refused = r->ops->operate(r->ops->ctx, (unsigned)i, ev, since);
	if (refused)
		ctl_error(r, 409, "refused", r->name, "%s", refused);
	else
		ctl_answer(r, 200, ctl_relation_object(r->ops, (unsigned)i));
}

static void partner_down(struct ctl_request *r)
{
	const json_t *force = json_object_get(r->body, "force");

	if (force && !json_is_boolean(force))
		ctl_error(r, 400, "bad-force", NULL, "force: give true or false");
	else
		operate(r,
			json_is_true(force) ? FO_EV_OP_FORCE_PARTNER_DOWN : FO_EV_OP_PARTNER_DOWN,
			"force since");
}

static void shut_down(struct ctl_request *r)
{
	operate(r, FO_EV_OP_SHUTDOWN, "");
}

static void pause_relation(struct ctl_request *r)
{
	operate(r, FO_EV_OP_PAUSE, "");
}

static void resume(struct ctl_request *r)
{
	operate(r, FO_EV_OP_RESUME, "");
}

/* --- clock -------------------------------------------------------------------------------------
 */

static void show_clock(struct ctl_request *r)
{
	struct ctl_clock c;

	r->ops->clock(r->ops->ctx, &c);
	ctl_answer(r, 200,
		   json_pack("{s:o, s:o, s:I, s:I, s:b, s:b, s:o}", "leases", json_time(c.ours),
			     "system", json_time(c.system), "step-seconds", (json_int_t)c.step_sec,
			     "limit-seconds", (json_int_t)c.limit_sec, "step-waits",
			     c.step_sec > c.limit_sec || c.step_sec < -c.limit_sec,
			     "behind-the-store", c.behind, "newest-in-store", json_time(c.newest)));
}

static void accept_clock(struct ctl_request *r)
{
	const char *refused;

	if (!body_has_only(r, ""))
		return;
	refused = r->ops->clock_accept(r->ops->ctx);
	if (refused)
		ctl_error(r, 409, "refused", NULL, "%s", refused);
	else
		show_clock(r);
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

/* --- events, metrics ----------------------------------------------------------------------- */

static void get_events(struct ctl_request *r)
{
	ctl_events(r, ctl_get_followers(r->ctl));
}

#define LABEL_MAX 300

/* A label's value may hold anything; three characters are written as two. */
static const char *label_text(const char *s, char buf[LABEL_MAX])
{
	size_t n = 0;

	for (; *s && n < LABEL_MAX - 2; s++) {
		if (*s == '\\' || *s == '"' || *s == '\n')
			buf[n++] = '\\';
		buf[n++] = *s == '\n' ? 'n' : *s;
	}
	buf[n] = 0;
	return buf;
}

static void get_metrics(struct ctl_request *r)
{
	static struct ctl_metric m[CTL_METRICS_MAX]; /* large; one request at a time */
	unsigned n = r->ops->metrics(r->ops->ctx, m);
	struct evbuffer *out = evbuffer_new();
	const char *last = "";
	char label[LABEL_MAX];

	for (unsigned i = 0; out && i < n; i++) {
		if (strcmp(last, m[i].name))
			evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m[i].name,
					    m[i].help, m[i].name, m[i].gauge ? "gauge" : "counter");
		last = m[i].name;
		if (m[i].label[0])
			evbuffer_add_printf(out, "%s{%s=\"%s\"} %.17g\n", m[i].name, m[i].key,
					    label_text(m[i].label, label), m[i].value);
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
	const char *query; /* the keys that it knows */
} routes[] = {
	{ EVHTTP_REQ_GET, "/v1/status", get_status, "" },
	{ EVHTTP_REQ_GET, "/v1/relationships", list_relations, "" },
	{ EVHTTP_REQ_GET, "/v1/relationships/*", show_relation, "" },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/partner-down", partner_down, "" },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/shutdown", shut_down, "" },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/pause", pause_relation, "" },
	{ EVHTTP_REQ_POST, "/v1/relationships/*/resume", resume, "" },
	{ EVHTTP_REQ_GET, "/v1/clock", show_clock, "" },
	{ EVHTTP_REQ_POST, "/v1/clock/accept", accept_clock, "" },
	{ EVHTTP_REQ_GET, "/v1/scopes", ctl_list_scopes, "" },
	{ EVHTTP_REQ_GET, "/v1/scopes/*", ctl_show_scope, "" },
	{ EVHTTP_REQ_GET, "/v1/leases", ctl_list_leases,
	  "scope state held hardware-address client-id from limit" },
	{ EVHTTP_REQ_GET, "/v1/leases/*", ctl_show_lease, "" },
	{ EVHTTP_REQ_GET, "/v1/filter", show_filter, "" },
	{ EVHTTP_REQ_GET, "/v1/filter/buckets", show_buckets, "relationship" },
	{ EVHTTP_REQ_GET, "/v1/explain", ctl_explain, "hardware-address client-id scope secs" },
	{ EVHTTP_REQ_GET, "/v1/events", get_events, "follow since" },
	{ EVHTTP_REQ_GET, "/metrics", get_metrics, "" },
};

static bool is_utf8(const char *s)
{
	json_t *o = json_string(s);

	json_decref(o);
	return o;
}

/* One element of a path as text. False: too long, or no text. */
static bool decode(const char *element, char *name, size_t size)
{
	size_t len = 0;
	char *text = evhttp_uridecode(element, 0, &len);
	bool good = text && len < size && strlen(text) == len && is_utf8(text);

	if (good)
		memcpy(name, text, len + 1);
	free(text);
	return good;
}

/* Does @path fit the pattern? The element under '*' is decoded into @name. */
static bool path_fits(const char *pattern, const char *path, char *name, size_t size)
{
	const char *star = strchr(pattern, '*');
	size_t before = star ? (size_t)(star - pattern) : 0, len;
	char element[900];

	if (!star)
		return !strcmp(pattern, path);
	if (strncmp(pattern, path, before))
		return false;
	len = strcspn(path + before, "/");
	if (!len || len >= sizeof(element) || strcmp(star + 1, path + before + len))
		return false;
	memcpy(element, path + before, len);
	element[len] = 0;
	return decode(element, name, size);
}

/* A key that is not known was meant to do something: nothing is better than half of it. */
static bool query_has_only(struct ctl_request *r, const struct route *route)
{
	const struct evkeyval *v;

	TAILQ_FOREACH(v, &r->query, next)
	{
		if (is_word(route->query, v->key))
			continue;
		ctl_error(r, 400, "unknown-parameter", v->key,
			  "%s has no parameter \"%s\": known %s%s", route->path, v->key,
			  *route->query ? "are " : "is none", route->query);
		return false;
	}
	return true;
}

static void wrong_method(struct ctl_request *r, const char *path, const struct route *route)
{
	const char *allow = route->method == EVHTTP_REQ_GET ? "GET" : "POST";

	evhttp_add_header(evhttp_request_get_output_headers(r->http), "Allow", allow);
	ctl_error(r, 405, "wrong-method", path, "%s takes %s only", path, allow);
}

void ctl_dispatch(struct ctl_request *r, const char *path)
{
	for (unsigned i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_fits(routes[i].path, path, r->name, sizeof(r->name)))
			continue;
		if (routes[i].method != evhttp_request_get_command(r->http))
			wrong_method(r, path, &routes[i]);
		else if (query_has_only(r, &routes[i]))
			routes[i].handle(r);
		return;
	}
	ctl_error(r, 404, "no-such-path", path, "the API has no %s", path);
}
