/*
 * Reservations of one scope: checked, sorted as scope_reservation looks them up.
 *
 * Caller: scopes.c. Spec: RFC 4361 §6 (client identifier before hardware address).
 */
#include <stdlib.h>
#include <string.h>
#include "conf/build.h"

static void check_one(struct conf_ctx *c, const struct raw_scope *s,
		      const struct raw_reservation *r)
{
	const struct node *at = node_or(r->node, "address");
	char a[ADDR_TEXT], b[ADDR_TEXT];
	struct prefix p = s->subnet;
	bool hardware = !node_is_empty(node_get(r->node, "hardware-address"));
	bool client = !node_is_empty(node_get(r->node, "client-id"));

	if (hardware && client)
		conf_error(c, node_or(r->node, "client-id"),
			   "client-id stands beside hardware-address: keep one of them");
	else if (!hardware && !client)
		conf_error(c, r->node, "reservation for nobody: add hardware-address or client-id");
	if (!r->addr || !p.len)
		return;
	if (!prefix_holds(p, r->addr))
		conf_error(c, at, "address %s is outside of its subnet %s/%d: correct it",
			   addr_text(r->addr, a), addr_text(p.addr, b), p.len);
	else if (p.len < 31 && (r->addr == p.addr || r->addr == prefix_last(p)))
		conf_error(c, at, "address %s is the %s address of its subnet: choose another",
			   addr_text(r->addr, a), r->addr == p.addr ? "network" : "broadcast");
}

static struct reservation convert(const struct raw_reservation *r)
{
	const struct raw_octets *id = r->client_id.p ? &r->client_id : &r->hardware;

	return (struct reservation){
		.addr = r->addr,
		.htype = r->client_id.p ? 0 : (uint8_t)r->htype,
		.id = { id->p, (uint32_t)id->len },
		.name = r->name,
	};
}

/* What is compared, and which one in the file it is. */
struct entry {
	struct reservation r;
	const struct raw_reservation *raw;
};

static int in_file(const struct entry *x, const struct entry *y)
{
	return x->raw < y->raw ? -1 : x->raw > y->raw;
}

static int same_client(const struct entry *x, const struct entry *y)
{
	if (x->r.htype != y->r.htype)
		return x->r.htype < y->r.htype ? -1 : 1;
	if (x->r.id.len != y->r.id.len)
		return x->r.id.len < y->r.id.len ? -1 : 1;
	return x->r.id.len ? memcmp(x->r.id.p, y->r.id.p, x->r.id.len) : 0;
}

static int by_client(const void *a, const void *b)
{
	int d = same_client(a, b);

	return d ? d : in_file(a, b);
}

static int by_addr(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->r.addr != y->r.addr)
		return x->r.addr < y->r.addr ? -1 : 1;
	return in_file(x, y);
}

static void check_addresses(struct conf_ctx *c, struct entry *e, unsigned n)
{
	char a[ADDR_TEXT];

	qsort(e, n, sizeof(*e), by_addr);
	for (unsigned i = 1; i < n; i++)
		if (e[i].r.addr && e[i].r.addr == e[i - 1].r.addr)
			conf_error(c, node_or(e[i].raw->node, "address"),
				   "address %s is reserved in line %d already: choose another",
				   addr_text(e[i].r.addr, a), e[i - 1].raw->node->line);
}

static void check_clients(struct conf_ctx *c, struct entry *e, unsigned n)
{
	qsort(e, n, sizeof(*e), by_client);
	for (unsigned i = 1; i < n; i++) {
		const char *key = e[i].r.htype ? "hardware-address" : "client-id";

		if (!e[i].r.id.len || same_client(&e[i], &e[i - 1]))
			continue;
		conf_error(c, node_or(e[i].raw->node, key),
			   "%s %s has a reservation in line %d already: remove one", key,
			   node_show(c, node_get(e[i].raw->node, key)), e[i - 1].raw->node->line);
	}
}

void build_reservations(struct conf_ctx *c, const struct raw_scope *s, struct scope *ret)
{
	const struct raw_reservation *raw = s->reservations.v;
	unsigned n = s->reservations.n;
	struct reservation *list = arena_array(c->keep, n, sizeof(*list));
	struct entry *e = arena_array(c->scratch, n, sizeof(*e));

	for (unsigned i = 0; i < n; i++) {
		check_one(c, s, &raw[i]);
		e[i] = (struct entry){ convert(&raw[i]), &raw[i] };
	}
	check_addresses(c, e, n);
	check_clients(c, e, n);
	for (unsigned i = 0; i < n; i++)
		list[i] = e[i].r;
	ret->reservations = list;
	ret->n_reservations = n;
}
