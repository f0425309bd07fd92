/*
 * Look-ups in the subnets, reservations and option sets that conf made. Everything is sorted, so
 * each is a binary search; nothing here changes.
 *
 * Callers: core/server, core/pool, core/dhcp_reply.
 * Standards: RFC 2131 §4.3.1 (choice of subnet), RFC 3046, RFC 3527 by way of the callers.
 */
#include "core/scope.h"

#include <string.h>

static uint32_t prefix_mask(uint8_t prefix)
{
	return prefix ? 0xffffffffu << (32 - prefix) : 0;
}

bool scope_holds(const struct scope *s, uint32_t addr)
{
	return ((addr ^ s->subnet) & prefix_mask(s->prefix)) == 0;
}

const struct scope *scope_find(const struct scope_table *t, uint32_t addr)
{
	uint32_t lo = 0, hi = t->n_scopes;

	while (lo < hi) { /* the last one that begins at or before @addr */
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->scopes[mid].subnet <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && scope_holds(&t->scopes[lo - 1], addr) ? &t->scopes[lo - 1] : NULL;
}

/* Order of scope.reservations. */
static int compare(const struct reservation *r, uint8_t htype, struct octets id)
{
	if (r->htype != htype)
		return r->htype < htype ? -1 : 1;
	if (r->id.len != id.len)
		return r->id.len < id.len ? -1 : 1;
	return id.len ? memcmp(r->id.p, id.p, id.len) : 0;
}

static const struct reservation *find(const struct scope *s, uint8_t htype, struct octets id)
{
	uint32_t lo = 0, hi = s->n_reservations;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = compare(&s->reservations[mid], htype, id);

		if (!c)
			return &s->reservations[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct reservation *scope_reservation(const struct scope *s, struct octets id, uint8_t htype,
					    struct octets chaddr)
{
	const struct reservation *r = NULL;

	if (id.p && id.len)
		r = find(s, 0, id);
	if (!r && htype && chaddr.len) /* 0 in a reservation says "by client identifier" */
		r = find(s, htype, chaddr);
	return r;
}

struct octets option_set_get(const struct option_set *o, uint8_t code)
{
	for (uint32_t at = 0; o->len - at >= 3;) {
		const uint8_t *p = o->tlv + at;
		uint32_t len = (uint32_t)p[1] << 8 | p[2];

		if (len > o->len - at - 3)
			break;
		if (p[0] == code)
			return (struct octets){ p + 3, len };
		at += 3 + len;
	}
	return (struct octets){ NULL, 0 };
}
