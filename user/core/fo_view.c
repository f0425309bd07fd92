/*
 * The view of a scope that no failover relationship covers, and what holds between two views.
 * Callers: core/server for every packet of such a scope; the driver when a view changes.
 */
#include "core/fo_view.h"

/* There is no partner to wait for: expired addresses return at once, and addresses that a former
 * relationship left in the partner's share (BACKUP) are ours from the beginning of time. */
const struct fo_view fo_view_alone = {
	.policy = { .serve = SERVE_ALL },
	.primary = true,
	.serve_new = true,
	.serve_renew = true,
	.nak = true,
	.partner_down = true,
	.partner_pool_from = 0,
};

/* Who serves fewer clients; of two that balance the newer. */
static struct relation_policy narrower(const struct relation_policy *now,
				       const struct relation_policy *next)
{
	if (now->serve == SERVE_NONE || next->serve == SERVE_ALL)
		return *now;
	return *next;
}

struct fo_view fo_view_narrow(const struct fo_view *now, const struct fo_view *next)
{
	struct fo_view v = *now;

	v.policy = narrower(&now->policy, &next->policy);
	v.serve_new &= next->serve_new;
	v.serve_renew &= next->serve_renew;
	v.nak &= next->nak;
	v.hold |= next->hold;
	v.balanced |= next->balanced;
	v.limited |= next->limited;
	v.partner_down &= next->partner_down;
	v.mclt_former = sec_later(now->mclt_former, next->mclt_former);
	v.behind = sec_later(now->behind, next->behind);
	v.partner_pool_from = sec_later(now->partner_pool_from, next->partner_pool_from);
	return v;
}
