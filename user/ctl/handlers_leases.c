/*
 * What the API answers about scopes and leases, and what a client's DISCOVER would get. Called by
 * the table in handlers.c.
 *
 * Addresses that nobody ever used are one object for all that lie together.
 * A page looks at a bounded number of addresses and such objects, so that a listing of millions
 * keeps nobody waiting: its "next" says where to go on, also when the page itself is empty.
 */
#include "ctl/http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 1000
#define SCAN_MAX 20000 /* addresses that one page looks at */

/* --- scopes ------------------------------------------------------------------------------------
 */

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

void ctl_list_scopes(struct ctl_request *r)
{
	const struct scope_table *t = &r->ops->conf(r->ops->ctx)->scopes;
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->n_scopes; i++)
		json_array_append_new(list, ctl_scope_object(r->ops, &t->scopes[i]));
	ctl_answer(r, 200, json_pack("{s:o}", "scopes", list));
}

void ctl_show_scope(struct ctl_request *r)
{
	const struct scope *s = scope_by_name(r, r->name);

	if (s)
		ctl_answer(r, 200, ctl_scope_object(r->ops, s));
}

/* --- clients -----------------------------------------------------------------------------------
 */

/* "02:00:00:00:00:01", also with '-' or '.' or nothing between the octets; 0: it is none. */
static size_t parse_hex(const char *t, uint8_t *out, size_t max)
{
	size_t n = 0;

	while (*t) {
		char digits[3] = { 0 };

		if (n && strchr(":-.", *t))
			t++;
		if (n == max || !isxdigit((unsigned char)t[0]) || !isxdigit((unsigned char)t[1]))
			return 0;
		memcpy(digits, t, 2);
		out[n++] = (uint8_t)strtoul(digits, NULL, 16);
		t += 2;
	}
	return n;
}

/* The client that the query names; hlen and id_len are 0 where it does not. */
static bool read_client(struct ctl_request *r, struct lease_client *c)
{
	const char *hw = ctl_query(r, "hardware-address"), *id = ctl_query(r, "client-id");

	memset(c, 0, sizeof(*c));
	c->htype = 1;
	if (hw)
		c->hlen = (uint8_t)parse_hex(hw, c->chaddr, sizeof(c->chaddr));
	if (id)
		c->id_len = (uint8_t)parse_hex(id, c->id, sizeof(c->id));
	if ((!hw || c->hlen) && (!id || c->id_len))
		return true;
	ctl_error(r, 400, "bad-client", hw && !c->hlen ? hw : id,
		  "hardware-address, client-id: give octets in hexadecimal as 02:00:00:00:00:01");
	return false;
}

static bool same_client(const struct lease_client *want, const struct lease_client *c)
{
	if (want->id_len && (c->id_len != want->id_len || memcmp(c->id, want->id, want->id_len)))
		return false;
	return !want->hlen ||
	       (c->hlen == want->hlen && !memcmp(c->chaddr, want->chaddr, want->hlen));
}

/* --- leases ------------------------------------------------------------------------------------
 */

/* The durable lease with the client that holds it; false: not on disk (yet). */
static bool read_lease(const struct ctl_ops *ops, uint32_t addr, struct lease *l,
		       struct lease_client *c)
{
	return ops->lease(ops->ctx, addr, l, c) == 0;
}

struct page {
	const struct scope *scope; /* NULL: all */
	unsigned state;		   /* 0: all */
	bool held;		   /* only what somebody holds or once held */
	struct lease_client client;
	uint32_t from;
	uint64_t limit;
};

/* What memory knows; the store is asked for the rest of them. */
static bool row_fits(const struct page *p, const struct pool *pool, const struct lease *row)
{
	return (!p->state || row->state == p->state) && (!p->held || !client_key_none(row->key)) &&
	       (!p->scope || pool_scope(pool, row->addr) == p->scope);
}

static void add_lease(const struct ctl_ops *ops, const struct page *p, uint32_t addr, json_t *list)
{
	struct lease_client c;
	struct lease l;

	if (read_lease(ops, addr, &l, &c) && (!p->state || l.state == p->state) &&
	    same_client(&p->client, &c))
		json_array_append_new(list, ctl_lease_object(ops, &l, &c));
}

/* Addresses that nobody ever used are one object for all that lie together. */
static void add_gap(const struct ctl_ops *ops, const struct page *p, const struct pool_stretch *s,
		    json_t *list)
{
	unsigned state = s->l.state == LEASE_BACKUP ? LEASE_BACKUP : LEASE_FREE;

	if (!p->held && !p->client.hlen && !p->client.id_len && (!p->state || state == p->state) &&
	    (!p->scope || pool_scope(ops->pool(ops->ctx), s->l.addr) == p->scope))
		json_array_append_new(list, ctl_gap_object(ops, &s->l, s->n));
}

/* Rows with a record and gaps between them, in the order of addresses: the next of each kind. */
struct walk {
	const struct pool *pool;
	const struct lease *row; /* NULL: none are left */
	struct pool_stretch gap;
	bool has_gap;
};

static void begin_at(struct walk *w, uint32_t at)
{
	w->row = pool_next(w->pool, at);
	w->has_gap = pool_gap_next(w->pool, at, &w->gap);
}

static bool gap_is_next(const struct walk *w)
{
	return w->has_gap && (!w->row || w->gap.l.addr < w->row->addr);
}

static uint32_t place(const struct walk *w)
{
	return gap_is_next(w) ? w->gap.l.addr : w->row->addr;
}

static void go_on(struct walk *w)
{
	bool gap = gap_is_next(w);
	uint64_t at = (uint64_t)place(w) + (gap ? w->gap.n : 1);

	if (gap)
		w->has_gap = at <= UINT32_MAX && pool_gap_next(w->pool, (uint32_t)at, &w->gap);
	else
		w->row = at <= UINT32_MAX ? pool_next(w->pool, (uint32_t)at) : NULL;
}

/* Return: the address to go on at, 0 at the end. */
static uint32_t add_leases(const struct ctl_ops *ops, const struct page *p, json_t *list)
{
	struct walk w = { .pool = ops->pool(ops->ctx) };

	if (w.pool)
		begin_at(&w, p->from);
	for (unsigned seen = 0; w.row || w.has_gap; seen++, go_on(&w)) {
		if (seen == SCAN_MAX || json_array_size(list) >= p->limit)
			return place(&w);
		if (gap_is_next(&w))
			add_gap(ops, p, &w.gap, list);
		else if (row_fits(p, w.pool, w.row))
			add_lease(ops, p, w.row->addr, list);
	}
	return 0;
}

static bool read_state(struct ctl_request *r, unsigned *ret)
{
	const char *text = ctl_query(r, "state");

	*ret = LEASE_NONE;
	if (!text)
		return true;
	for (unsigned s = LEASE_FREE; s <= LEASE_BACKUP; s++) {
		if (!strcmp(text, lease_state_name(s))) {
			*ret = s;
			return true;
		}
	}
	ctl_error(r, 400, "bad-state", text,
		  "state: give free, active, expired, released, abandoned, reset or backup");
	return false;
}

static bool read_page(struct ctl_request *r, struct page *p)
{
	const char *scope = ctl_query(r, "scope"), *held = ctl_query(r, "held");

	*p = (struct page){ .limit = PAGE_MAX, .held = held && !strcmp(held, "true") };
	if (held && !p->held && strcmp(held, "false")) {
		ctl_error(r, 400, "bad-held", held, "held: give true or false");
		return false;
	}
	if (ctl_query(r, "from") && !ctl_query_addr(r, "from", &p->from)) {
		ctl_error(r, 400, "bad-address", ctl_query(r, "from"),
			  "from: give an IPv4 address");
		return false;
	}
	if (!ctl_query_number(r, "limit", "bad-limit", 1, PAGE_MAX, &p->limit) ||
	    !read_state(r, &p->state) || !read_client(r, &p->client))
		return false;
	return !scope || (p->scope = scope_by_name(r, scope));
}

void ctl_list_leases(struct ctl_request *r)
{
	struct page p;
	json_t *list;
	uint32_t next;

	if (!read_page(r, &p))
		return;
	list = json_array();
	next = add_leases(r->ops, &p, list);
	ctl_answer(r, 200, json_pack("{s:o, s:o}", "leases", list, "next", json_addr(next)));
}

/* Of an address in a range that nobody ever used. */
static bool show_unused(struct ctl_request *r, uint32_t addr)
{
	const struct pool *pool = r->ops->pool(r->ops->ctx);
	struct pool_stretch s;

	if (!pool || !pool_gap_next(pool, addr, &s) || s.l.addr != addr)
		return false;
	ctl_answer(r, 200, ctl_gap_object(r->ops, &s.l, 1));
	return true;
}

void ctl_show_lease(struct ctl_request *r)
{
	struct lease_client c;
	struct lease l;
	uint32_t addr;

	if (!ctl_parse_addr(r->name, &addr))
		ctl_error(r, 400, "bad-address", r->name, "\"%s\" is no IPv4 address", r->name);
	else if (read_lease(r->ops, addr, &l, &c))
		ctl_answer(r, 200, ctl_lease_object(r->ops, &l, &c));
	else if (!show_unused(r, addr))
		ctl_error(r, 404, "no-such-lease", r->name,
			  "%s was never leased, and is in no range", r->name);
}

/* --- explain -----------------------------------------------------------------------------------
 */

void ctl_explain(struct ctl_request *r)
{
	const struct scope_table *t = &r->ops->conf(r->ops->ctx)->scopes;
	const char *scope = ctl_query(r, "scope");
	const struct scope *only = NULL;
	struct server_decision d;
	struct lease_client c;
	uint64_t secs = 0;
	json_t *list;

	if (!read_client(r, &c) || !ctl_query_number(r, "secs", "bad-secs", 0, 65535, &secs) ||
	    (scope && !(only = scope_by_name(r, scope))))
		return;
	if (!c.hlen && !c.id_len) {
		ctl_error(r, 400, "bad-client", NULL,
			  "give hardware-address=02:00:00:00:00:01, client-id= in hexadecimal, or "
			  "both");
		return;
	}
	list = json_array();
	for (uint32_t i = 0; i < t->n_scopes; i++) {
		const struct scope *s = &t->scopes[i];

		if (only && only != s)
			continue;
		r->ops->explain(r->ops->ctx, &c, s->prefix > 30 ? s->subnet : s->subnet + 1,
				(uint16_t)secs, &d);
		json_array_append_new(list, ctl_decision_object(r->ops, &d));
	}
	ctl_answer(r, 200, json_pack("{s:o}", "discover", list));
}
