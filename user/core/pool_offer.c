/*
 * What no record holds: addresses offered and not yet asked for, in a bounded table (a flood of
 * DISCOVERs pushes out the oldest offers), and the clients that lately got a NAK.
 * Spec: RFC 2131 §3.1 step 2 (an offered address should not be offered again), decision A15.
 */
#include "core/pool_priv.h"

/* --- offers --------------------------------------------------------------------------------- */

static uint32_t *chain_of(const struct pool *p, struct client_key key)
{
	return &p->offer_chain[(uint32_t)key.w[0] & p->offer_mask];
}

static void unlink_order(struct pool *p, uint32_t o)
{
	struct offer *f = &p->offers[o];

	if (f->prev)
		p->offers[f->prev].next = f->next;
	else
		p->offer_order.first = f->next;
	if (f->next)
		p->offers[f->next].prev = f->prev;
	else
		p->offer_order.last = f->prev;
}

static void link_order(struct pool *p, uint32_t o)
{
	struct offer *f = &p->offers[o];
	uint32_t before = p->offer_order.last;

	while (before && p->offers[before].until.us > f->until.us)
		before = p->offers[before].prev;
	f->prev = before;
	f->next = before ? p->offers[before].next : p->offer_order.first;
	if (before)
		p->offers[before].next = o;
	else
		p->offer_order.first = o;
	if (f->next)
		p->offers[f->next].prev = o;
	else
		p->offer_order.last = o;
}

void pool_offer_forget(struct pool *p, uint32_t id)
{
	uint32_t o = p->rows[id].offer, *at;

	if (!o)
		return;
	for (at = chain_of(p, p->offers[o].key); *at != o;)
		at = &p->offers[*at].hash_next;
	*at = p->offers[o].hash_next;
	unlink_order(p, o);
	p->offers[o].next = p->unused_offer;
	p->unused_offer = o;
	p->n_offers--;
	p->ranges[pool_range_of(p, p->rows[id].l.addr)].offered--;
	p->rows[id].offer = 0;
}

static void drop(struct pool *p, uint32_t id)
{
	pool_offer_forget(p, id);
	pool_free_update(p, pool_range_of(p, p->rows[id].l.addr), id, true);
}

static uint32_t new_offer(struct pool *p)
{
	uint32_t o = p->unused_offer;

	if (o) {
		p->unused_offer = p->offers[o].next;
	} else {
		o = ++p->used_offers;
	}
	p->n_offers++;
	return o;
}

static uint32_t find(const struct pool *p, struct client_key key, uint32_t scope)
{
	uint32_t o = *chain_of(p, key);

	while (o && !(client_key_equal(p->offers[o].key, key) &&
		      pool_scope_index(p, p->rows[p->offers[o].row].l.addr) == scope))
		o = p->offers[o].hash_next;
	return o;
}

static void make_room(struct pool *p, uint32_t id, struct client_key key)
{
	uint32_t former = find(p, key, pool_scope_index(p, p->rows[id].l.addr));

	if (former)
		drop(p, p->offers[former].row);
	if (p->rows[id].offer)
		drop(p, id);
	if (p->n_offers == p->max_offers)
		drop(p, p->offers[p->offer_order.first].row);
}

void pool_offer(struct pool *p, uint32_t addr, struct client_key key, mono_t until)
{
	uint32_t id = pool_row_of(p, addr), o, range;

	if (!id || !p->max_offers)
		return;
	p->rows[id].l.addr = addr;
	make_room(p, id, key);
	range = pool_range_of(p, addr);
	o = new_offer(p);
	p->offers[o].key = key;
	p->offers[o].until = until;
	p->offers[o].row = id;
	p->offers[o].hash_next = *chain_of(p, key);
	*chain_of(p, key) = o;
	link_order(p, o);
	p->rows[id].offer = o;
	p->ranges[range].offered++;
	pool_free_update(p, range, id, false);
}

uint32_t pool_offered(const struct pool *p, struct client_key key, const struct scope *s)
{
	uint32_t o = find(p, key, (uint32_t)(s - p->t->scopes));

	return o ? p->rows[p->offers[o].row].l.addr : 0;
}

bool pool_is_offered(const struct pool *p, uint32_t addr, struct client_key except)
{
	uint32_t id = pool_row_of(p, addr), o = id ? p->rows[id].offer : 0;

	return o && !client_key_equal(p->offers[o].key, except);
}

void pool_offer_drop(struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr);

	if (id && p->rows[id].offer)
		drop(p, id);
}

void pool_offers_expire(struct pool *p, mono_t now)
{
	uint32_t o;

	while ((o = p->offer_order.first) && p->offers[o].until.us <= now.us)
		drop(p, p->offers[o].row);
}

/* --- NAKs ----------------------------------------------------------------------------------- */

bool pool_nak_take(struct pool *p, struct client_key key, mono_t now)
{
	struct nak *set = &p->naks[(uint32_t)(key.w[0] % NAK_SETS) * NAK_WAYS], *room = NULL;

	for (unsigned i = 0; i < NAK_WAYS; i++) {
		bool over = client_key_none(set[i].key) || set[i].until.us <= now.us;

		if (client_key_equal(set[i].key, key) && !over)
			return false;
		if (over)
			room = &set[i];
	}
	if (!room)
		return false;
	room->key = key;
	room->until = mono_add_us(now, NAK_QUIET_US);
	return true;
}
