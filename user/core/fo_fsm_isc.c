/*
 * The failover state machine beside an ISC dhcpd: some pairs of states make it stop serving until
 * an operator comes, or end its process. Where one would come about, the link is closed before it
 * is shown: the ISC then leaves NORMAL by itself, and next time the pair is a harmless one.
 *
 * Caller: fo_fsm.c, with what the partner's state makes of ours.
 * Standards: failover-behaviour §3.5 (entries of ISC), §3.7.
 */
#include "core/fo_fsm_priv.h"

/* In NORMAL it takes these for impossible, and shuts itself down. */
static bool stops_normal(unsigned shown, bool startup)
{
	switch ((enum fo_state)shown) {
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return true;
	case FO_PARTNER_DOWN: /* out of STARTUP it recovers; out of NORMAL it would object */
		return !startup;
	case FO_STATE_NONE:
	case FO_STARTUP:
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
	case FO_RECOVER_DONE:
	case FO_RECOVER_WAIT:
		break;
	}
	return false;
}

/* In CONFLICT-DONE its process ends at anything but these. */
static bool ends_conflict_done(unsigned shown)
{
	return shown != FO_NORMAL && shown != FO_POTENTIAL_CONFLICT && shown != FO_RESOLUTION_INT;
}

struct fo_step fsm_spare_isc(const struct fo_end *e, const struct fo_in *in, struct fo_step s)
{
	unsigned shown = s.next.state == FO_STARTUP ? s.next.saved : s.next.state;

	if (!in->isc)
		return s;
	if (in->peer_state == FO_NORMAL && stops_normal(shown, in->peer_startup))
		return fsm_stay(e, FO_DO_CLOSE, "an ISC in NORMAL would shut down at our state");
	if (in->peer_state == FO_CONFLICT_DONE && ends_conflict_done(shown))
		return fsm_stay(e, FO_DO_CLOSE, "an ISC in CONFLICT-DONE would end at our state");
	return s;
}
