/*
 * Names and kinds of the failover states. Callers: everybody who shows or judges one.
 * Spec: draft-ietf-dhc-failover-12 §9.2, §12.24 (numbers).
 */
#include "core/fo_fsm.h"

const char *fo_state_name(unsigned state)
{
	switch ((enum fo_state)state) {
	case FO_STATE_NONE:
		return "NONE";
	case FO_STARTUP:
		return "STARTUP";
	case FO_NORMAL:
		return "NORMAL";
	case FO_COMM_INT:
		return "COMMUNICATIONS-INTERRUPTED";
	case FO_PARTNER_DOWN:
		return "PARTNER-DOWN";
	case FO_POTENTIAL_CONFLICT:
		return "POTENTIAL-CONFLICT";
	case FO_RECOVER:
		return "RECOVER";
	case FO_PAUSED:
		return "PAUSED";
	case FO_SHUTDOWN:
		return "SHUTDOWN";
	case FO_RECOVER_DONE:
		return "RECOVER-DONE";
	case FO_RESOLUTION_INT:
		return "RESOLUTION-INTERRUPTED";
	case FO_CONFLICT_DONE:
		return "CONFLICT-DONE";
	case FO_RECOVER_WAIT:
		return "RECOVER-WAIT";
	}
	return "UNKNOWN";
}

bool fo_state_valid(unsigned state)
{
	return (state >= FO_NORMAL && state <= FO_CONFLICT_DONE) || state == FO_RECOVER_WAIT;
}

bool fo_state_operational(unsigned state)
{
	switch ((enum fo_state)state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RECOVER_DONE: /* renewals */
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return true;
	case FO_STATE_NONE:
	case FO_STARTUP:
	case FO_POTENTIAL_CONFLICT:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
	case FO_RECOVER_WAIT:
		break;
	}
	return false;
}
