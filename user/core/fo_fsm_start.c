/*
 * The failover state machine: the start of a relationship, and the way from STARTUP, PAUSED and
 * SHUTDOWN into the state that was saved. Caller: fo_fsm.c, fo_fsm_oper.c.
 * Spec: draft-ietf-dhc-failover-12 §9.3 (STARTUP); decisions on long absence and lost storage.
 */
#include "core/fo_fsm_priv.h"

/* What a state becomes where the partner is out of reach (§9.3, §9.5, §9.10). */
static uint8_t successor(uint8_t state)
{
	switch ((enum fo_state)state) {
	case FO_NORMAL:
		return FO_COMM_INT;
	case FO_POTENTIAL_CONFLICT:
		return FO_RESOLUTION_INT;
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_RECOVER:
	case FO_RECOVER_WAIT:
	case FO_RECOVER_DONE:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		return state;
	case FO_STATE_NONE: /* no record: everything is to be learned */
	case FO_STARTUP:
	case FO_PAUSED:
	case FO_SHUTDOWN:
		break;
	}
	return FO_RECOVER;
}

/* CONFLICT-DONE is a state of primaries: a record may be from before the roles were exchanged. */
static uint8_t of_role(bool primary, uint8_t state)
{
	return !primary && state == FO_CONFLICT_DONE ? FO_RESOLUTION_INT : state;
}

static uint8_t return_state(const struct fo_end *cur)
{
	bool within =
		cur->state == FO_STARTUP || cur->state == FO_PAUSED || cur->state == FO_SHUTDOWN;

	if (cur->lost_storage)
		return FO_RECOVER;
	return of_role(cur->primary, successor(within ? cur->saved : cur->state));
}

struct fo_step fsm_start(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;
	uint8_t was = cur->state == FO_STARTUP ? cur->saved : cur->state;
	struct fo_step s;

	e.saved = return_state(cur);
	e.state = FO_STARTUP;
	if (e.saved != was && (e.saved == FO_COMM_INT || e.saved == FO_RESOLUTION_INT))
		e.stos = e.last_operational ? e.last_operational : e.stos; /* contact was lost */
	s = fsm_go(&e, in, FO_STARTUP, "started");
	s.todo &= ~(uint32_t)FO_DO_TELL_PEER; /* no link can be there yet */
	return s;
}

/* The end in its saved state. Out of STARTUP it is as if it had never been left; out of a pause it
 * begins anew, but for PARTNER-DOWN, whose beginning says what may be reclaimed. */
static struct fo_end returned(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = *cur;

	e.state = return_state(cur);
	if (cur->state != FO_STARTUP && e.state != FO_PARTNER_DOWN)
		e.stos = sec_clamp(in->now.sec);
	return e;
}

static bool serves_alone(unsigned state)
{
	return state == FO_COMM_INT || state == FO_PARTNER_DOWN || state == FO_RESOLUTION_INT ||
	       state == FO_CONFLICT_DONE;
}

static bool recovers(unsigned peer)
{
	return peer == FO_RECOVER || peer == FO_RECOVER_WAIT;
}

/* Or for nobody knows how long: the clock that we went by when last at work was far ahead. */
bool fsm_long_away(const struct fo_end *end, const struct fo_in *in)
{
	int64_t away = in->now.sec - (int64_t)end->last_operational;

	return away >= in->mclt || away < -FO_CLOCK_SLACK_SEC;
}

void fsm_hold(struct fo_step *s, const char *why)
{
	s->todo |= FO_DO_HOLD;
	s->todo &= ~(uint32_t)FO_DO_SAFE_TIMER; /* that clock starts when the hold ends */
	s->why = why;
}

/* It has lost what it promised, or is starting, which PARTNER-DOWN does not listen to. */
static bool tells_nothing(const struct fo_end *end, const struct fo_in *in)
{
	return recovers(end->peer) || in->peer_lost ||
	       (in->peer_startup && end->state == FO_PARTNER_DOWN);
}

/* Back to work with the partner in sight: enter the saved state, then its row of the table. */
struct fo_step fsm_leave_linked(const struct fo_end *cur, const struct fo_in *in)
{
	struct fo_end e = returned(cur, in);
	struct fo_in seen = *in;
	struct fo_step s;

	seen.ev = FO_EV_PEER_STATE; /* as last heard, for a resumed one */
	seen.peer_state = e.peer;
	seen.peer_stos = e.peer_stos;
	s = fsm_sees(&e, &seen);
	if (s.next.state == e.state) /* it stays there, which still is an entry */
		s = fsm_go(&e, &seen, (enum fo_state)e.state, s.why);
	if (s.next.state == FO_RECOVER) /* nothing was promised in between */
		s.next.last_operational = cur->last_operational;
	if (serves_alone(s.next.state) && tells_nothing(&e, in) && fsm_long_away(&e, in)) {
		fsm_hold(&s, "long away, and the partner does not say what it promised meanwhile");
		s.next.last_operational = cur->last_operational; /* after another restart, too */
	}
	return s;
}

struct fo_step fsm_leave_alone(const struct fo_end *cur, const struct fo_in *in, const char *why)
{
	struct fo_end e = returned(cur, in);
	struct fo_step s = fsm_go(&e, in, (enum fo_state)e.state, why);

	if (s.next.behind && s.next.state == FO_RESOLUTION_INT)
		fsm_hold(&s, "alone before the partner told what it gave without us");
	else if (serves_alone(e.state) && fsm_long_away(&e, in))
		fsm_hold(&s, "long away and alone: the partner may have taken over");
	return s;
}
