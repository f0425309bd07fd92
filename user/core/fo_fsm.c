/*
 * The failover state machine. Pure: the caller persists what comes out, then carries it out.
 *
 * Caller: core/fo_endpoint. fsm_go alone changes the state; one function per state says what each
 * event means there. The partner's states are in fo_fsm_peer.c, STARTUP in fo_fsm_start.c, the
 * operator in fo_fsm_oper.c, and what a state means for clients in fo_fsm_view.c.
 * Spec: draft-ietf-dhc-failover-12 §9; what an ISC dhcpd does otherwise is tolerated, not copied.
 */
#include "core/fo_fsm_priv.h"

/* --- steps ------------------------------------------------------------------------------------ */

struct fo_step fsm_stay(const struct fo_end *cur, uint32_t todo, const char *why)
{
	return (struct fo_step){ .next = *cur, .todo = todo, .why = why };
}

struct fo_step fsm_unexpected(const struct fo_end *cur)
{
	return fsm_stay(cur, 0, "means nothing in this state");
}

struct fo_step fsm_refuse(const struct fo_end *cur, const char *why)
{
	return fsm_stay(cur, FO_DO_REFUSED, why);
}

bool fsm_linked(const struct fo_in *in)
{
	return in->ev == FO_EV_PEER_STATE || (in->linked && in->ev != FO_EV_LINK_LOST);
}

/* MCLT after the last promise that the partner may not know of. That was made before now, also
 * where a clock that was ahead has dated it later. */
uint32_t fsm_wait_until(const struct fo_end *end, const struct fo_in *in)
{
	int64_t last = end->last_operational < in->now.sec ? end->last_operational : in->now.sec;

	return end->last_operational ? sec_clamp(last + in->mclt) : 0;
}

/* The partner is asked for all it has when our own records cannot be relied on. */
uint32_t fsm_ask(const struct fo_end *end, const struct fo_in *in)
{
	if (end->lost_storage)
		return FO_DO_SEND_UPDREQALL | FO_DO_CLEAR_ACKED;
	/* An ISC knows per lease, not per partner, what was acknowledged: in doubt all of it. */
	if (in->isc && end->state == FO_RECOVER)
		return FO_DO_SEND_UPDREQALL;
	return end->ever_normal ? FO_DO_SEND_UPDREQ : FO_DO_SEND_UPDREQALL;
}

/* In POTENTIAL-CONFLICT the primary asks first; the secondary when the primary has finished, or
 * is in a state that never would begin (§9.10). */
static bool asks_in_conflict(const struct fo_end *end)
{
	return end->primary || end->peer == FO_CONFLICT_DONE || end->peer == FO_RECOVER_WAIT ||
	       end->peer == FO_RECOVER_DONE;
}

/* Does it serve, or wait for us to, from its own share alone? */
bool fsm_partner_ready(const struct fo_end *end)
{
	return end->peer == FO_NORMAL || end->peer == FO_RECOVER_DONE;
}

/* What is due on entry to a state, also when a restart enters it again. */
static uint32_t entry(const struct fo_end *end, const struct fo_in *in)
{
	switch ((enum fo_state)end->state) {
	case FO_NORMAL:
		return FO_DO_SEND_UPDATES | FO_DO_BALANCE;
	case FO_COMM_INT:
		return FO_DO_SAFE_TIMER;
	case FO_PARTNER_DOWN:
		return FO_DO_RECLAIM;
	case FO_POTENTIAL_CONFLICT:
		return fsm_linked(in) && asks_in_conflict(end) ? fsm_ask(end, in) : 0;
	case FO_RECOVER:
		return fsm_linked(in) ? fsm_ask(end, in) : 0;
	case FO_RECOVER_WAIT:
		return FO_DO_RECOVER_TIMER;
	case FO_RECOVER_DONE:
		return fsm_linked(in) && fsm_partner_ready(end) && !in->isc ? FO_DO_SEND_UPDREQ : 0;
	case FO_STARTUP:
		return FO_DO_STARTUP_TIMER;
	case FO_STATE_NONE:
	case FO_PAUSED:
	case FO_SHUTDOWN:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		break;
	}
	return 0;
}

/* Have we made promises up to now? Returning from STARTUP into a state that serves alone is not
 * among the reasons, nor is what is entered while held back: whoever is held back there is to be
 * held back after another restart too. */
static bool promised_until_now(const struct fo_end *cur, const struct fo_in *in, enum fo_state to)
{
	return cur->state == FO_NORMAL || to == FO_NORMAL ||
	       (to == FO_PARTNER_DOWN && cur->state != to && !in->hold) ||
	       (to == FO_RECOVER && fo_state_operational(cur->state));
}

static bool recovering(unsigned state)
{
	return state == FO_RECOVER || state == FO_RECOVER_WAIT || state == FO_RECOVER_DONE;
}

/* Who was away for long, or recovers, does not know what the partner gave meanwhile: a partner in
 * PARTNER-DOWN gives of our share until it hears that we have recovered. The conflict in which it
 * would tell may begin at once, and the link may not outlive it. */
static bool still_behind(const struct fo_end *cur, const struct fo_in *in, enum fo_state to)
{
	switch (to) {
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
		return true;
	case FO_POTENTIAL_CONFLICT:
		return cur->behind || fsm_long_away(cur, in);
	case FO_STARTUP: /* the record may be from before this was noted */
		return cur->behind || recovering(cur->saved);
	case FO_RESOLUTION_INT:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return cur->behind;
	case FO_STATE_NONE:
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_CONFLICT_DONE:
		break;
	}
	return false;
}

/* The only place where state moves. */
struct fo_step fsm_go(const struct fo_end *cur, const struct fo_in *in, enum fo_state to,
		      const char *why)
{
	struct fo_step s = fsm_stay(cur, FO_DO_PERSIST, why);

	s.next.state = (uint8_t)to;
	if (cur->state != to)
		s.next.stos = sec_clamp(in->now.sec);
	if (to == FO_PARTNER_DOWN && in->since && in->since < s.next.stos)
		s.next.stos = in->since;
	if (promised_until_now(cur, in, to))
		s.next.last_operational = sec_clamp(in->now.sec);
	if (to == FO_NORMAL)
		s.next.ever_normal = true;
	s.next.behind = still_behind(cur, in, to);
	if (fsm_linked(in))
		s.todo |= FO_DO_TELL_PEER;
	s.todo |= entry(&s.next, in);
	if (s.todo & FO_DO_RECOVER_TIMER)
		s.recover_until = fsm_wait_until(&s.next, in);
	return s;
}

struct fo_step fsm_recovered(const struct fo_end *cur, const struct fo_in *in, const char *why)
{
	if (in->isc && fsm_linked(in) && fsm_partner_ready(cur))
		return fsm_go(cur, in, FO_NORMAL, why);
	return fsm_go(cur, in, FO_RECOVER_DONE, why);
}

/* --- protocol events, by state ---------------------------------------------------------------- */

static struct fo_step in_startup(const struct fo_end *cur, const struct fo_in *in)
{
	switch (in->ev) {
	case FO_EV_PEER_STATE:
		return fsm_leave_linked(cur, in);
	case FO_EV_LINK_LOST: /* it had nothing to say yet, but may: that our storage is an old one
			       */
		return fsm_stay(cur, 0, "the time to start goes on");
	case FO_EV_STARTUP_TIMER:
		return fsm_leave_alone(cur, in, "started without the partner");
	default:
		return fsm_unexpected(cur);
	}
}

static struct fo_step in_normal(const struct fo_end *cur, const struct fo_in *in)
{
	if (in->ev == FO_EV_LINK_LOST)
		return fsm_go(cur, in, FO_COMM_INT, "the partner is out of reach");
	return fsm_unexpected(cur);
}

/* COMMUNICATIONS-INTERRUPTED; the hold may also be in force in the two states like it. */
static struct fo_step in_comm_int(const struct fo_end *cur, const struct fo_in *in)
{
	switch (in->ev) {
	case FO_EV_SAFE_PERIOD:
		if (fsm_linked(in) || in->hold)
			return fsm_stay(cur, FO_DO_SAFE_TIMER, "the partner may be alive");
		return fsm_go(cur, in, FO_PARTNER_DOWN, "the partner was away for the safe period");
	case FO_EV_HOLD_OVER:
		return fsm_stay(cur, FO_DO_SAFE_TIMER, "alone for MCLT: serving");
	case FO_EV_LINK_LOST:
		return fsm_stay(cur, 0, "the partner is still out of reach");
	default:
		return fsm_unexpected(cur);
	}
}

static struct fo_step in_conflict(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;
	struct fo_step s;

	switch (in->ev) {
	case FO_EV_LINK_LOST:
		s = fsm_go(cur, in, FO_RESOLUTION_INT, "the partner is out of reach");
		if (s.next.behind)
			fsm_hold(&s, "lost before the partner told what it gave without us");
		return s;
	case FO_EV_UPDDONE:
		e.lost_storage = false;
		if (e.primary)
			return fsm_go(&e, in, FO_CONFLICT_DONE, "we know what the secondary knows");
		/* The primary shows when it has finished; what came before then is void. */
		if (e.peer == FO_POTENTIAL_CONFLICT || e.peer == FO_RESOLUTION_INT)
			return fsm_stay(cur, 0, "the primary has yet to resolve its part");
		return fsm_go(&e, in, FO_NORMAL, "the conflict is resolved");
	default:
		return fsm_unexpected(cur);
	}
}

/* PARTNER-DOWN, RESOLUTION-INTERRUPTED, CONFLICT-DONE: they serve, and a loss of the link changes
 * nothing. */
static struct fo_step in_serving(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_step s;

	if (in->ev == FO_EV_LINK_LOST)
		return fsm_stay(cur, 0, "the partner is out of reach");
	if (in->ev != FO_EV_HOLD_OVER)
		return fsm_unexpected(cur);
	s = fsm_stay(cur, cur->behind ? FO_DO_PERSIST : 0, "alone for MCLT: serving");
	s.next.behind = false;
	return s;
}

static struct fo_step in_recover(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;

	if (in->ev == FO_EV_LINK_LOST)
		return fsm_stay(cur, 0, "we ask again when the partner is back");
	if (in->ev != FO_EV_UPDDONE)
		return fsm_unexpected(cur);
	if (in->new_pair)
		e.last_operational = 0;
	else if (e.lost_storage || !e.ever_normal) /* nobody knows what was promised before */
		e.last_operational = in->boot;
	if (e.lost_storage) /* an older copy: as an empty store until NORMAL */
		e.ever_normal = false;
	e.lost_storage = false;
	if (fsm_wait_until(&e, in) <= in->now.sec)
		return fsm_recovered(&e, in, "we know what the partner knows");
	return fsm_go(&e, in, FO_RECOVER_WAIT, "until what we may have promised is over");
}

static struct fo_step in_recover_wait(const struct fo_end *cur, const struct fo_in *in)
{
	if (in->ev == FO_EV_RECOVER_TIMER)
		return fsm_recovered(cur, in, "what we may have promised is over");
	if (in->ev == FO_EV_LINK_LOST)
		return fsm_stay(cur, 0, "the wait goes on");
	return fsm_unexpected(cur);
}

static struct fo_step in_recover_done(const struct fo_end *cur, const struct fo_in *in)
{
	if (in->ev == FO_EV_UPDDONE && fsm_linked(in) && fsm_partner_ready(cur))
		return fsm_go(cur, in, FO_NORMAL, "both have recovered");
	if (in->ev == FO_EV_LINK_LOST)
		return fsm_stay(cur, 0, "the partner is out of reach");
	return fsm_unexpected(cur);
}

static struct fo_step in_passive(const struct fo_end *cur, const struct fo_in *in)
{
	if (in->ev == FO_EV_LINK_LOST)
		return fsm_stay(cur, 0, "the partner is out of reach");
	return fsm_unexpected(cur);
}

/* --- the machine ------------------------------------------------------------------------------ */

static struct fo_step protocol_event(const struct fo_end *cur, const struct fo_in *in)
{
	switch ((enum fo_state)cur->state) {
	case FO_STARTUP:
		return in_startup(cur, in);
	case FO_NORMAL:
		return in_normal(cur, in);
	case FO_COMM_INT:
		return in_comm_int(cur, in);
	case FO_POTENTIAL_CONFLICT:
		return in_conflict(cur, in);
	case FO_PARTNER_DOWN:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return in_serving(cur, in);
	case FO_RECOVER:
		return in_recover(cur, in);
	case FO_RECOVER_WAIT:
		return in_recover_wait(cur, in);
	case FO_RECOVER_DONE:
		return in_recover_done(cur, in);
	case FO_PAUSED:
	case FO_SHUTDOWN:
		return in_passive(cur, in);
	case FO_STATE_NONE:
		break;
	}
	return fsm_unexpected(cur);
}

/* The time that one and the same pause began at, told once more, differs by as much: clocks are
 * corrected from a difference of 2 s on, then by all of it, and are read in whole seconds; slewing
 * adds to that. */
#define SAME_PAUSE_SEC 5

/* A pause tells nothing of what came before it. It began after our state did: unless this is the
 * pause of which we know, or it was recovering from us when last heard, the partner may have served
 * in between. */
static bool peer_ran(const struct fo_end *cur, const struct fo_in *in)
{
	if (in->peer_state != FO_PAUSED || in->peer_stos <= cur->stos)
		return false;
	if (cur->peer == FO_PAUSED)
		return in->peer_stos > sec_clamp((int64_t)cur->peer_stos + SAME_PAUSE_SEC);
	return cur->peer != FO_RECOVER && cur->peer != FO_RECOVER_WAIT;
}

/* Note what the partner says of itself, then let the row of our state decide. */
static struct fo_step peer_state(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;
	struct fo_in seen = *in;
	struct fo_step s;

	if (!fo_state_valid(in->peer_state))
		return fsm_stay(cur, FO_DO_CLOSE, "the partner names a state that does not exist");
	e.peer = in->peer_state;
	e.peer_stos = in->peer_stos;
	seen.peer_ran = peer_ran(cur, in);
	s = e.state == FO_STARTUP ? in_startup(&e, &seen) : fsm_sees(&e, &seen);
	s = fsm_spare_isc(&e, in, s);
	if (e.peer != cur->peer || e.peer_stos != cur->peer_stos)
		s.todo |= FO_DO_PERSIST;
	return s;
}

struct fo_step fo_fsm_step(const struct fo_end *cur, const struct fo_in *in)
{
	switch (in->ev) {
	case FO_EV_START:
		return fsm_start(cur, in);
	case FO_EV_PEER_STATE:
		return peer_state(cur, in);
	case FO_EV_LINK_LOST:
	case FO_EV_STARTUP_TIMER:
	case FO_EV_UPDDONE:
	case FO_EV_RECOVER_TIMER:
	case FO_EV_SAFE_PERIOD:
	case FO_EV_HOLD_OVER:
		return protocol_event(cur, in);
	case FO_EV_OP_PARTNER_DOWN:
	case FO_EV_OP_FORCE_PARTNER_DOWN:
		return fsm_op_partner_down(cur, in);
	case FO_EV_OP_SHUTDOWN:
	case FO_EV_OP_PAUSE:
		return fsm_op_halt(cur, in);
	case FO_EV_OP_RESUME:
		return fsm_op_resume(cur, in);
	case FO_EVENTS:
		break;
	}
	return fsm_unexpected(cur);
}
