/*
 * The view of a scope that no failover relationship covers. Callers: core/server for every packet
 * of such a scope.
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
