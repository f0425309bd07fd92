/*
 * Binding updates to an ISC dhcpd: what it must not hear, or not yet.
 *
 * Callers: fo_update (each binding that is to be sent).
 * Standards: failover-behaviour §4.2, §5.3, §5.4 (what an ISC does with an update); decisions A14,
 * A22.
 */
#include "core/fo_endpoint_priv.h"

#define SETTLE_US 200000	 /* how often we look whether the second is over */
#define CLOCK_BACK_SEC 2	 /* a clock that was set back by so little */
#define PRIMARY_IS_BEHIND_SEC 65 /* beyond what an ISC tolerates itself */

/* Reserved addresses are not an ISC's business: it has its own host declarations. */
bool fo_isc_never(const struct fo_endpoint *e, const struct lease *l)
{
	return l->flags & LEASE_RESERVED || pool_is_reserved(e->pool, l->addr);
}

/* As if it had agreed: nobody else ever gives the address away. */
static void settle_alone(struct fo_endpoint *e, const struct lease *l)
{
	struct lease then = binding_acked(l, l->sent_pet, fo_state_to_send(e, l), e->now.wall);

	fo_store(e, &then, NULL);
}

/* In NORMAL an ISC primary tells us what has expired, and refuses our word for it; unless it lags
 * far behind. */
static bool is_for_primary(const struct fo_endpoint *e, const struct lease *l)
{
	const struct fo_end *end = &e->rec.end;
	uint32_t since = l->stos > end->stos ? l->stos : end->stos;

	return l->state == LEASE_EXPIRED && !e->conf->primary && end->state == FO_NORMAL &&
	       e->now.wall.sec < (int64_t)since + PRIMARY_IS_BEHIND_SEC;
}

/* Who compares whole seconds cannot tell two events of one second apart: the second is waited out,
 * and only what came out of it is sent. */
static bool may_change_within_second(const struct fo_endpoint *e, const struct lease *l)
{
	int64_t now = e->now.wall.sec;

	return l->cltt >= now && l->cltt <= now + CLOCK_BACK_SEC;
}

enum fo_isc_may fo_isc_may_send(struct fo_endpoint *e, const struct lease *l)
{
	if (fo_isc_never(e, l)) {
		settle_alone(e, l);
		return ISC_SKIP;
	}
	if (is_for_primary(e, l)) {
		fo_skip_rejected(e, l->addr, FO_REJECT_NONE);
		return ISC_SKIP;
	}
	if (may_change_within_second(e, l)) {
		e->settle_at = mono_add_us(e->now.mono, SETTLE_US);
		return ISC_WAIT;
	}
	return ISC_SEND;
}

/* An ISC secondary takes FREE or BACKUP over a lease that it has just given, and has not told us of
 * yet, unless the potential expiry lies ahead: then it refuses, and its update comes. Once refused
 * all the same, its updates have come: the second try is without. */
uint32_t fo_isc_share_pet(const struct fo_endpoint *e)
{
	if (!e->conf->primary || e->retry_sec > FO_RETRY_SEC)
		return 0;
	return sec_clamp(e->now.wall.sec + FO_SHARE_PET_SEC);
}
