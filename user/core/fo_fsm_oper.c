/*
 * The failover state machine: what an operator may ask for, and the sentence that refuses the
 * rest. Caller: fo_fsm.c.
 * Spec: draft-ietf-dhc-failover-12 §9.8 (PARTNER-DOWN), §9.12 (PAUSED), §9.13 (SHUTDOWN).
 */
#include "core/fo_fsm_priv.h"

static struct fo_step halt(const struct fo_end *cur, const struct fo_in *in, enum fo_state to,
			   const char *why)
{
	struct fo_end e = *cur;
	struct fo_step s;

	if (cur->state != FO_STARTUP && cur->state != FO_PAUSED)
		e.saved = cur->state;
	s = fsm_go(&e, in, to, why);
	if (e.saved == FO_PARTNER_DOWN) /* what may be reclaimed depends on its beginning */
		s.next.stos = cur->stos;
	if (to == FO_SHUTDOWN && in->settled)
		s.next.last_operational = 0;
	return s;
}

struct fo_step fsm_op_halt(const struct fo_end *cur, const struct fo_in *in)
{
	if (cur->state == FO_SHUTDOWN)
		return fsm_refuse(cur, "it is shut down already");
	if (in->isc && in->linked && cur->peer == FO_CONFLICT_DONE) /* its process would end */
		return fsm_refuse(cur, "the partner, an ISC dhcpd, waits for us to resolve a "
				       "conflict: in a moment");
	if (in->ev == FO_EV_OP_SHUTDOWN &&
	    !in->linked) /* it would take our word for a settled one */
		return fsm_refuse(cur, "the partner is not connected, and does not know what we "
				       "promised: stop the daemon instead");
	if (in->ev == FO_EV_OP_SHUTDOWN)
		return halt(cur, in, FO_SHUTDOWN, "shut down by the operator");
	if (cur->state == FO_PAUSED)
		return fsm_refuse(cur, "it is paused already");
	if (cur->state == FO_PARTNER_DOWN ||
	    (cur->state == FO_STARTUP && cur->saved == FO_PARTNER_DOWN))
		return fsm_refuse(cur,
				  "the partner would come back, see a pause, and not know that its "
				  "addresses are in use: stop the daemon instead");
	return halt(cur, in, FO_PAUSED, "paused by the operator");
}

struct fo_step fsm_op_resume(const struct fo_end *cur, const struct fo_in *in)
{
	if (cur->state != FO_PAUSED && cur->state != FO_SHUTDOWN)
		return fsm_refuse(cur, "it is neither paused nor shut down");
	if (in->linked && fo_state_valid(cur->peer))
		return fsm_leave_linked(cur, in);
	return fsm_leave_alone(cur, in, "resumed by the operator");
}

/* Declaring a partner down that is there to object makes a conflict out of nothing. */
static bool partner_objects(const struct fo_end *cur, const struct fo_in *in)
{
	if (!in->linked)
		return false;
	switch ((enum fo_state)cur->peer) {
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return false;
	case FO_STATE_NONE:
	case FO_STARTUP:
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_POTENTIAL_CONFLICT:
	case FO_RECOVER_DONE:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		break;
	}
	return true;
}

/* Dead since a time at which we had heard it? These states begin with the loss of the partner (or
 * with its word that it promises nothing). The wait for its promises would be too short. */
static bool heard_after(const struct fo_end *cur, const struct fo_in *in)
{
	return in->since && in->since < cur->stos &&
	       (cur->state == FO_COMM_INT || cur->state == FO_RESOLUTION_INT);
}

static const char while_held[] =
	"we were away for long, the partner may have taken over: --force says "
	"that it is dead";

/* Held back in PARTNER-DOWN the operator says that the partner is dead, which may have served since
 * it was declared so before: the wait for its promises begins anew. */
static struct fo_step down_once_more(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;
	struct fo_in at = *in;

	e.stos = sec_clamp(in->now.sec);
	if (at.since && at.since < cur->stos)
		at.since = cur->stos;
	return fsm_go(&e, &at, FO_PARTNER_DOWN, "forced by the operator");
}

struct fo_step fsm_op_partner_down(const struct fo_end *cur, const struct fo_in *in)
{
	bool force = in->ev == FO_EV_OP_FORCE_PARTNER_DOWN;

	switch ((enum fo_state)cur->state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		if (partner_objects(cur, in))
			return fsm_refuse(cur, "the partner is connected: it is not down");
		if (heard_after(cur, in))
			return fsm_refuse(cur, "the partner was heard after that time: it was not "
					       "dead then");
		if (in->hold && !force)
			return fsm_refuse(cur, while_held);
		return fsm_go(cur, in, FO_PARTNER_DOWN, "declared by the operator");
	case FO_STARTUP:
	case FO_RECOVER:
		if (in->linked || in->heard_since_start)
			return fsm_refuse(cur, "the partner was heard: recover from it first");
		if (!force)
			return fsm_refuse(cur, "we do not know what the partner promised: --force "
					       "accepts that two clients may get one address");
		return fsm_go(cur, in, FO_PARTNER_DOWN, "forced by the operator");
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE: /* we know all that it knew, but for what it promised since */
		if (in->linked)
			return fsm_refuse(cur, "the partner is connected: it is not down");
		if (!force)
			return fsm_refuse(cur,
					  "the partner served alone until it was lost: --force "
					  "accepts that its latest leases are not known here");
		return fsm_go(cur, in, FO_PARTNER_DOWN, "forced by the operator");
	case FO_PARTNER_DOWN:
		if (in->hold)
			return force ? down_once_more(cur, in) : fsm_refuse(cur, while_held);
		return fsm_refuse(cur, "it is in PARTNER-DOWN already");
	case FO_POTENTIAL_CONFLICT:
		return fsm_refuse(cur, "the partner is connected: a conflict is being resolved");
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return fsm_refuse(cur, "resume it first");
	case FO_STATE_NONE:
		break;
	}
	return fsm_refuse(cur, "it has not started");
}
