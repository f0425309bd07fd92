/*
 * The failover state machine: what a state of the partner makes of ours, one function per row of
 * the table, both in the order of the specification. Caller: fo_fsm.c.
 * Spec: draft-ietf-dhc-failover-12 §9.4 to §9.14. Pairs that the draft leaves without a way out
 * (a conflict on one side, a recovery on the other) end in POTENTIAL-CONFLICT on both.
 */
#include "core/fo_fsm_priv.h"

/* A partner that declared us down after our last promise has taken over from where we left:
 * recover from it. One that did before then has served beside us: conflict. The same holds for
 * one met after a start alone, held back. */
static struct fo_step meets_partner_down(const struct fo_end *e, const struct fo_in *in)
{
	if (in->peer_stos > e->last_operational)
		return fsm_go(e, in, FO_RECOVER, "the partner took over while we were away");
	return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner took over while we were serving");
}

static struct fo_step normal_sees(const struct fo_end *e, const struct fo_in *in)
{
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
		return fsm_stay(e, 0, "both normal");
	case FO_COMM_INT:
	case FO_RECOVER_DONE: /* it waits for this word */
		return fsm_stay(e, FO_DO_TELL_PEER | FO_DO_SEND_UPDATES, "the partner returns");
	case FO_PARTNER_DOWN:
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner has served without us");
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
		return fsm_go(e, in, FO_COMM_INT, "the partner recovers");
	case FO_PAUSED:
		return fsm_go(e, in, FO_COMM_INT, "the partner is paused");
	case FO_SHUTDOWN:
		return fsm_go(e, in, FO_PARTNER_DOWN, "the partner shut down in order");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step comm_int_sees(const struct fo_end *e, const struct fo_in *in)
{
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_RECOVER_DONE:
		if (in->peer_lost) /* what it says stems from an older copy */
			return fsm_stay(e, 0, "the partner is to recover");
		return fsm_go(e, in, FO_NORMAL, "the partner is back");
	case FO_PARTNER_DOWN:
		return meets_partner_down(e, in);
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner resolves a conflict");
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
		return fsm_stay(e, 0, "the partner recovers");
	case FO_PAUSED:
		return fsm_stay(e, 0, "the partner is paused");
	case FO_SHUTDOWN:
		return fsm_go(e, in, FO_PARTNER_DOWN, "the partner shut down in order");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step partner_down_sees(const struct fo_end *e, const struct fo_in *in)
{
	if (in->peer_startup)
		return fsm_stay(e, 0, "the partner starts up");
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner was not down");
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
		return fsm_stay(e, 0, "the partner recovers");
	case FO_RECOVER_DONE:
		return fsm_go(e, in, FO_NORMAL, "the partner has recovered");
	case FO_PAUSED:
		if (in->peer_ran && !in->isc)
			return fsm_go(e, in, FO_POTENTIAL_CONFLICT,
				      "the partner is paused, and was not down before that");
		return fsm_stay(e, 0, "the partner does not serve");
	case FO_SHUTDOWN: /* after we had acknowledged all that it promised */
		return fsm_stay(e, 0, "the partner does not serve");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step conflict_sees(const struct fo_end *e, const struct fo_in *in)
{
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return fsm_stay(e, 0, "the conflict is being resolved");
	case FO_CONFLICT_DONE:
		if (e->primary)
			return fsm_stay(e, FO_DO_CLOSE, "the partner plays the primary too");
		return fsm_stay(e, fsm_ask(e, in), "the primary has resolved its part");
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE: /* would wait for ever: it must join in */
		return fsm_stay(e, FO_DO_TELL_PEER | (e->primary ? 0 : fsm_ask(e, in)),
				"the partner recovers, but there is a conflict");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step conflict_done_sees(const struct fo_end *e, const struct fo_in *in)
{
	/* An ISC secondary asks for its part only when it sees POTENTIAL-CONFLICT become
	 * CONFLICT-DONE on this link. */
	if (in->isc && in->first && in->peer_state != FO_NORMAL)
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the conflict is resolved once more");
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
		return fsm_go(e, in, FO_NORMAL, "the conflict is resolved on both sides");
	case FO_POTENTIAL_CONFLICT:
		return fsm_stay(e, FO_DO_TELL_PEER, "the secondary has yet to resolve its part");
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT,
			      "the partner recovers, but there is a conflict");
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return fsm_stay(e, 0, "the secondary has yet to resolve its part");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step recover_sees(const struct fo_end *e, const struct fo_in *in)
{
	switch ((enum fo_state)in->peer_state) {
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner resolves a conflict");
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return fsm_stay(e, in->asked ? 0 : fsm_ask(e, in),
				"we ask the partner for what we missed");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

static struct fo_step recover_wait_sees(const struct fo_end *e, const struct fo_in *in)
{
	struct fo_step s;

	switch ((enum fo_state)in->peer_state) {
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE: /* neither would ever move again otherwise */
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner resolves a conflict");
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		/* shorter, perhaps: it may know nothing of the lead time that we went by */
		s = fsm_stay(e, FO_DO_RECOVER_TIMER,
			     "we wait until what we may have promised is over");
		s.recover_until = fsm_wait_until(e, in);
		return s;
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

/* Until it heard that we have recovered, the partner in PARTNER-DOWN may have given addresses of
 * our share, since it told us all. Now it does not any more: what it gave is asked for, and only
 * then our share is ours again. (An ISC dhcpd takes the word for the end of it.) */
static struct fo_step recover_done_sees(const struct fo_end *e, const struct fo_in *in)
{
	switch ((enum fo_state)in->peer_state) {
	case FO_NORMAL:
	case FO_RECOVER_DONE:
		if (in->isc)
			return fsm_go(e, in, FO_NORMAL, "both have recovered");
		return fsm_stay(e, in->asked ? 0 : FO_DO_SEND_UPDREQ,
				"we ask for what the partner gave until now");
	case FO_POTENTIAL_CONFLICT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT, "the partner resolves a conflict");
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return fsm_stay(e, 0, "we wait for the partner");
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}

/* Who has shut down finds the partner in charge: it will come back by recovering. */
static struct fo_step shutdown_sees(const struct fo_end *e, const struct fo_in *in)
{
	struct fo_step s = fsm_stay(e, 0, "we are shut down");

	if (in->peer_state == FO_PARTNER_DOWN && e->saved != FO_RECOVER) {
		s.next.saved = FO_RECOVER;
		s.todo = FO_DO_PERSIST;
	}
	return s;
}

static bool resolves(unsigned peer_state)
{
	return peer_state == FO_POTENTIAL_CONFLICT || peer_state == FO_RESOLUTION_INT ||
	       peer_state == FO_CONFLICT_DONE;
}

/* Decision A7: the partner knows what we have lost. It is asked for all of it before we are in
 * NORMAL; who was forced to serve without it resolves that as a conflict. */
static bool must_ask_all(const struct fo_end *e, const struct fo_in *in, enum fo_state *ret_to)
{
	if (!e->lost_storage)
		return false;
	switch ((enum fo_state)e->state) {
	case FO_NORMAL:
	case FO_COMM_INT:
		*ret_to = FO_RECOVER;
		return true;
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
		*ret_to = resolves(in->peer_state) ? FO_POTENTIAL_CONFLICT : FO_RECOVER;
		return true;
	case FO_PARTNER_DOWN:
		*ret_to = FO_POTENTIAL_CONFLICT;
		return !in->peer_startup;
	case FO_CONFLICT_DONE:
		*ret_to = FO_POTENTIAL_CONFLICT;
		return true;
	case FO_STATE_NONE: /* the others ask for it by themselves, or rest */
	case FO_STARTUP:
	case FO_POTENTIAL_CONFLICT:
	case FO_RECOVER:
	case FO_PAUSED:
	case FO_SHUTDOWN:
	case FO_RESOLUTION_INT:
		break;
	}
	return false;
}

struct fo_step fsm_sees(const struct fo_end *e, const struct fo_in *in)
{
	enum fo_state to;

	if (must_ask_all(e, in, &to))
		return fsm_go(e, in, to, "our storage was lost or restored");
	switch ((enum fo_state)e->state) {
	case FO_NORMAL:
		return normal_sees(e, in);
	case FO_COMM_INT:
		return comm_int_sees(e, in);
	case FO_PARTNER_DOWN:
		return partner_down_sees(e, in);
	case FO_POTENTIAL_CONFLICT:
		return conflict_sees(e, in);
	case FO_RESOLUTION_INT:
		return fsm_go(e, in, FO_POTENTIAL_CONFLICT,
			      "the partner is back, and the conflict");
	case FO_CONFLICT_DONE:
		return conflict_done_sees(e, in);
	case FO_RECOVER:
		return recover_sees(e, in);
	case FO_RECOVER_WAIT:
		return recover_wait_sees(e, in);
	case FO_RECOVER_DONE:
		return recover_done_sees(e, in);
	case FO_PAUSED:
		return fsm_stay(e, 0, "we are paused");
	case FO_SHUTDOWN:
		return shutdown_sees(e, in);
	case FO_STATE_NONE:
	case FO_STARTUP:
		break;
	}
	return fsm_unexpected(e);
}
