/*
 * Of which addresses a partner that tells everything has told: a mark per row.
 * Callers: fo_isc_told, fo_receive. Spec: draft-ietf-dhc-failover-12 §7.3 (UPDREQALL).
 */
#include "core/pool_priv.h"

static bool is_of(const struct pool *p, const struct addr_range *r, unsigned relation)
{
	return !(r->flags & RANGE_RESERVED) && p->t->scopes[r->scope].relation == (int)relation;
}

void pool_told_none(struct pool *p, unsigned relation)
{
	for (uint32_t i = 0; i < p->t->n_ranges; i++) {
		const struct pool_range *r = &p->ranges[i];

		if (!is_of(p, &p->t->ranges[i], relation))
			continue;
		for (uint32_t id = r->base; id < r->base + r->size; id++)
			if (p->rows[id].flags & ROW_TOLD) /* unused memory stays so */
				p->rows[id].flags &= (uint16_t)~ROW_TOLD;
	}
}

bool pool_told(struct pool *p, uint32_t addr)
{
	uint32_t id = pool_row_of(p, addr);

	if (!id || p->rows[id].flags & ROW_TOLD)
		return false;
	p->rows[id].flags |= ROW_TOLD;
	return true;
}

uint64_t pool_untold(const struct pool *p, unsigned relation, uint64_t addr)
{
	uint32_t i = addr <= UINT32_MAX ? pool_range_from(p, (uint32_t)addr) : p->t->n_ranges;

	for (; i < p->t->n_ranges; i++) {
		const struct addr_range *r = &p->t->ranges[i];

		if (!is_of(p, r, relation))
			continue;
		for (uint64_t a = addr > r->first ? addr : r->first; a <= r->last; a++) {
			const struct row *row = &p->rows[p->ranges[i].base + (a - r->first)];

			if (!(row->flags & ROW_TOLD) && !row_is_reserved(row))
				return a;
		}
	}
	return 1ULL << 32;
}
