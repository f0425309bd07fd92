/*
 * What a failover state means for clients: who is served by the daemon, and by which policy the
 * kernel filters. Caller: core/fo_endpoint after every step.
 * Spec: draft-ietf-dhc-failover-12 §9 (service per state), §5.3 (load balancing, RFC 3074).
 */
#include <string.h>
#include "core/fo_fsm.h"

struct service {
	uint8_t serve; /* enum filter_serve */
	bool fresh;    /* DISCOVER, SELECTING, INIT-REBOOT, RELEASE, DECLINE */
	bool renew;    /* RENEWING, REBINDING */
	bool nak;      /* decision A15: only where no conflict is being resolved */
};

static struct service service_of(unsigned state)
{
	switch ((enum fo_state)state) {
	case FO_NORMAL:
		return (struct service){ SERVE_BALANCE, true, true, true };
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
		return (struct service){ SERVE_ALL, true, true, true };
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return (struct service){ SERVE_ALL, true, true, false };
	case FO_RECOVER_DONE:
		return (struct service){ SERVE_NONE, false, true, false };
	case FO_STATE_NONE:
	case FO_STARTUP:
	case FO_POTENTIAL_CONFLICT:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
	case FO_RECOVER_WAIT:
		break;
	}
	return (struct service){ SERVE_NONE, false, false, false };
}

/* Our buckets: the primary's are named, the secondary's are all others; in hot standby the active
 * server has them all. */
static void owned_buckets(uint8_t owned[32], bool primary, const struct fo_policy_conf *conf)
{
	if (conf->hot_standby) {
		memset(owned, conf->active_is_primary == primary ? 0xff : 0, 32);
		return;
	}
	for (unsigned i = 0; i < 32; i++)
		owned[i] = primary ? conf->hba[i] : (uint8_t)~conf->hba[i];
}

/* Held back: only states that would serve alone are. */
static bool held(unsigned state, bool hold)
{
	return hold && (state == FO_COMM_INT || state == FO_PARTNER_DOWN ||
			state == FO_RESOLUTION_INT || state == FO_CONFLICT_DONE ||
			state == FO_RECOVER_DONE);
}

struct fo_view fo_fsm_view(const struct fo_end *end, const struct fo_policy_conf *conf,
			   uint32_t mclt, bool hold)
{
	struct service s = service_of(end->state);
	struct fo_view v = {
		.policy = { .serve = s.serve,
			    .secs_threshold = conf->secs_threshold,
			    .hash_identity = conf->hash_identity },
		.primary = end->primary,
		.serve_new = s.fresh,
		.serve_renew = s.renew,
		.nak = s.nak,
		.balanced = end->state == FO_NORMAL,
		.limited = true,
		.partner_down = end->state == FO_PARTNER_DOWN,
		.mclt = mclt,
		.partner_pool_from = SEC_INFINITE,
	};

	owned_buckets(v.policy.owned, end->primary, conf);
	if (v.partner_down)
		v.partner_pool_from = sec_clamp((int64_t)end->stos + mclt);
	if (held(end->state, hold)) {
		v.hold = true;
		v.serve_new = v.nak = false;
		v.policy.serve = SERVE_NONE;
	}
	return v;
}
