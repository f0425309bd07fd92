/*
 * Bindings by client and scope. Each chain of the hash table links clients by their best row;
 * the other rows of the same client in the same scope hang behind it, ACTIVE ones first, then the
 * latest heard. So a client with a long history slows down nobody, and finding the best row of
 * a client is finding the client.
 */
#include "core/pool_priv.h"

/* A client that took and released hundreds of addresses of one scope: from here on the order of
 * its history no longer matters. */
#define SORT_DEPTH 64

static uint32_t *chain_of(const struct pool *p, struct client_key key, uint32_t scope)
{
	return &p->clients[(uint32_t)(key.w[0] ^ (uint64_t)scope * 0x9e3779b97f4a7c15ULL) &
			   p->client_mask];
}

static bool better(const struct lease *a, const struct lease *b)
{
	if ((a->state == LEASE_ACTIVE) != (b->state == LEASE_ACTIVE))
		return a->state == LEASE_ACTIVE;
	return a->cltt > b->cltt;
}

/* The link that points to the first row of the client, or to 0 at the end of the chain. */
static uint32_t *find_client(const struct pool *p, struct client_key key, uint32_t scope)
{
	uint32_t *at = chain_of(p, key, scope);

	while (*at && !(client_key_equal(p->rows[*at].l.key, key) &&
			pool_scope_index(p, p->rows[*at].l.addr) == scope))
		at = &p->rows[*at].client_next;
	return at;
}

void pool_client_link(struct pool *p, uint32_t id)
{
	struct row *r = &p->rows[id];
	uint32_t *first, before = 0, behind;

	if (client_key_none(r->l.key))
		return;
	r->flags |= ROW_BY_CLIENT;
	first = find_client(p, r->l.key, pool_scope_index(p, r->l.addr));
	behind = *first;
	for (unsigned n = 0; behind && n < SORT_DEPTH && better(&p->rows[behind].l, &r->l); n++) {
		before = behind;
		behind = p->rows[behind].sib_next;
	}
	r->sib_prev = before;
	r->sib_next = behind;
	if (behind)
		p->rows[behind].sib_prev = id;
	if (before) {
		p->rows[before].sib_next = id;
		return;
	}
	r->client_next = behind ? p->rows[behind].client_next : 0;
	if (behind)
		p->rows[behind].client_next = 0;
	*first = id;
}

void pool_client_unlink(struct pool *p, uint32_t id)
{
	struct row *r = &p->rows[id];
	uint32_t next = r->sib_next;

	if (!(r->flags & ROW_BY_CLIENT))
		return;
	if (next)
		p->rows[next].sib_prev = r->sib_prev;
	if (r->sib_prev) {
		p->rows[r->sib_prev].sib_next = next;
	} else {
		uint32_t *first = find_client(p, r->l.key, pool_scope_index(p, r->l.addr));

		if (next)
			p->rows[next].client_next = r->client_next;
		*first = next ? next : r->client_next;
	}
	r->client_next = r->sib_next = r->sib_prev = 0;
	r->flags &= (uint16_t)~ROW_BY_CLIENT;
}

const struct lease *pool_find_client(const struct pool *p, struct client_key key,
				     const struct scope *s)
{
	uint32_t id;

	if (client_key_none(key))
		return NULL;
	id = *find_client(p, key, (uint32_t)(s - p->t->scopes));
	return id ? &p->rows[id].l : NULL;
}
