/*
 * Bindings by client and scope. The table finds clients by their best row; the other rows of the
 * same client in the same scope hang behind it, ACTIVE ones first, then the latest heard. So a
 * client with a long history slows down nobody, and finding the best row of a client is finding the
 * client.
 */
#include "core/pool_priv.h"

/* A client that took and released hundreds of addresses of one scope: from here on the order of
 * its history no longer matters. */
#define SORT_DEPTH 64

static uint32_t tag_of(struct client_key key, uint32_t scope)
{
	return (uint32_t)((key.w[0] ^ (uint64_t)scope * 0x9e3779b97f4a7c15ULL) >> 32);
}

static bool better(const struct lease *a, const struct lease *b)
{
	if ((a->state == LEASE_ACTIVE) != (b->state == LEASE_ACTIVE))
		return a->state == LEASE_ACTIVE;
	return a->cltt > b->cltt;
}

/* The slot of the client's first row; false: there is none, and @ret is not written. */
static bool find_client(const struct pool *p, struct client_key key, uint32_t scope, uint32_t *ret)
{
	uint32_t tag = tag_of(key, scope);

	for (uint32_t i = pool_slot_first(p, tag); p->slots[i].row && p->slots[i].tag == tag; i++) {
		const struct lease *l = &p->rows[p->slots[i].row].l;

		if (client_key_equal(l->key, key) && pool_scope_index(p, l->addr) == scope) {
			*ret = i;
			return true;
		}
	}
	return false;
}

void pool_client_link(struct pool *p, uint32_t id, uint32_t scope)
{
	struct row *r = &p->rows[id];
	uint32_t slot, before = 0, behind = 0;

	if (client_key_none(r->l.key))
		return;
	r->flags |= ROW_BY_CLIENT;
	if (p->loading) {
		pool_slot_append(p, tag_of(r->l.key, scope), id);
		return;
	}
	if (!find_client(p, r->l.key, scope, &slot)) {
		pool_slot_add(p, tag_of(r->l.key, scope), id);
		return;
	}
	behind = p->slots[slot].row;
	for (unsigned n = 0; behind && n < SORT_DEPTH && better(&p->rows[behind].l, &r->l); n++) {
		before = behind;
		behind = p->rows[behind].sib_next;
	}
	r->sib_prev = before;
	r->sib_next = behind;
	if (behind)
		p->rows[behind].sib_prev = id;
	if (before)
		p->rows[before].sib_next = id;
	else
		p->slots[slot].row = id;
}

/* --- all at once ------------------------------------------------------------------------------ */

void pool_load_begin(struct pool *p)
{
	p->loading = !p->n_clients;
}

/* Of those with one tag, who are one client nearly always, only the first row stays in the sorted
 * table. Return: the others, chained by sib_next. */
static uint32_t take_siblings(struct pool *p)
{
	uint32_t rest = 0, *end = &rest, n = 0;

	for (uint32_t i = 0; i < p->n_clients; i++) {
		struct slot s = p->slots[i];

		p->slots[i] = (struct slot){ 0 };
		if (n && p->slots[n - 1].tag == s.tag) {
			*end = s.row;
			end = &p->rows[s.row].sib_next;
		} else {
			p->slots[n++] = s;
		}
	}
	p->n_clients = n;
	return rest;
}

void pool_load_end(struct pool *p)
{
	uint32_t id, next;

	if (!p->loading)
		return;
	p->loading = false;
	pool_slot_sort(p);
	next = take_siblings(p);
	pool_slot_spread(p);
	while ((id = next)) {
		next = p->rows[id].sib_next;
		p->rows[id].sib_next = 0;
		pool_client_link(p, id, pool_scope_index(p, p->rows[id].l.addr));
	}
}

/* --- change ----------------------------------------------------------------------------------- */

/* @next: the client's next best row, or 0 and nothing is left of it. */
static void replace_first(struct pool *p, uint32_t id, uint32_t scope, uint32_t next)
{
	uint32_t i = pool_slot_first(p, tag_of(p->rows[id].l.key, scope));

	while (p->slots[i].row != id) /* it is there: only pool_apply changes a row's key */
		i++;
	if (next)
		p->slots[i].row = next;
	else
		pool_slot_drop(p, i);
}

void pool_client_unlink(struct pool *p, uint32_t id, uint32_t scope)
{
	struct row *r = &p->rows[id];
	uint32_t next;

	if (!(r->flags & ROW_BY_CLIENT))
		return;
	pool_load_end(p); /* of an address that comes a second time */
	next = r->sib_next;
	if (next)
		p->rows[next].sib_prev = r->sib_prev;
	if (r->sib_prev)
		p->rows[r->sib_prev].sib_next = next;
	else
		replace_first(p, id, scope, next);
	r->sib_next = r->sib_prev = 0;
	r->flags &= (uint16_t)~ROW_BY_CLIENT;
}

const struct lease *pool_find_client(const struct pool *p, struct client_key key,
				     const struct scope *s)
{
	uint32_t i;

	if (client_key_none(key) || !find_client(p, key, (uint32_t)(s - p->t->scopes), &i))
		return NULL;
	return &p->rows[p->slots[i].row].l;
}
