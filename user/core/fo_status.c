/*
 * What a failover endpoint knows of itself, for people: state, counters, and what happens next.
 *
 * Callers: the driver (API, metrics, tests). Standards: design §6 (relationship object).
 */
#include "core/fo_endpoint_priv.h"

static uint32_t wall_of(const struct fo_endpoint *e, mono_t t)
{
	if (t.us == MONO_NEVER.us)
		return 0;
	return sec_clamp(e->now.wall.sec + (t.us - e->now.mono.us) / FO_SEC_US);
}

static void next_alone(const struct fo_endpoint *e, struct fo_status *s)
{
	s->next = "NORMAL when the partner is back";
	if (e->hold && e->partner_sign) {
		s->next = "held back: the partner seems to serve; contact or partner-down --force";
	} else if (e->hold && e->heard) {
		s->next = "held back until the partner has recovered: what it promised is not "
			  "known";
		s->next_at = e->hold_until;
	} else if (e->hold) {
		s->next = "held back after a long absence: then all is served";
		s->next_at = e->hold_until;
	} else if (e->safe_at.us != MONO_NEVER.us) {
		s->next = "PARTNER-DOWN by itself";
		s->next_at = wall_of(e, e->safe_at);
	}
}

static void next_words(const struct fo_endpoint *e, struct fo_status *s)
{
	mono_t again = mono_min(e->retry_at, e->lacked_at);

	if (fo_closing(e)) {
		s->next = "SHUTDOWN when the partner has acknowledged everything; else served "
			  "again";
		s->next_at = wall_of(e, e->closing_until);
		return;
	}
	switch ((enum fo_state)e->rec.end.state) {
	case FO_STARTUP:
		s->next = "goes on without the partner";
		s->next_at = wall_of(e, e->startup_at);
		break;
	case FO_COMM_INT:
	case FO_RESOLUTION_INT:
	case FO_CONFLICT_DONE:
		next_alone(e, s);
		break;
	case FO_PARTNER_DOWN:
		if (e->hold) {
			next_alone(e, s);
			break;
		}
		s->next = "NORMAL when the partner has recovered";
		if (e->now.wall.sec < e->view.partner_pool_from) {
			s->next = "the partner's free addresses become usable";
			s->next_at = e->view.partner_pool_from;
		}
		break;
	case FO_RECOVER:
		s->next = e->asked_xid ? "RECOVER-WAIT when the partner has sent what it knows"
				       : "asks the partner for what it knows when it is there";
		break;
	case FO_RECOVER_WAIT:
		s->next = "RECOVER-DONE when former promises are over";
		s->next_at = e->recover_until;
		break;
	case FO_RECOVER_DONE:
		s->next = fo_held(e) ? "held back: NORMAL when the partner is there"
				     : "NORMAL when the partner is ready";
		break;
	case FO_POTENTIAL_CONFLICT:
		s->next = e->rec.end.peer == FO_PAUSED && !e->rec.end.primary
				  ? "waits for the partner, which is paused: resume it"
				  : "CONFLICT-DONE or NORMAL when both know what the other served";
		break;
	case FO_PAUSED:
	case FO_SHUTDOWN:
		s->next = "resume by the operator";
		break;
	case FO_NORMAL:
		s->next = "COMMUNICATIONS-INTERRUPTED when the partner is silent";
		if (again.us != MONO_NEVER.us) {
			s->next = "updates that the partner refused are sent again";
			s->next_at = wall_of(e, again);
		}
		break;
	case FO_STATE_NONE:
		break;
	}
}

void fo_endpoint_status(const struct fo_endpoint *e, struct fo_status *ret)
{
	*ret = (struct fo_status){
		.conf = e->conf,
		.record = &e->rec,
		.view = &e->view,
		.counters = &e->count,
		.connected = e->link == LINK_UP,
		.own_kind = e->own_kind,
		.clock_skew_ms = e->skew_ms,
		.clock_skew_limit_sec =
			e->link == LINK_UP ? e->skew_limit : e->conf->max_clock_skew_sec,
		.pending_updates = pool_dirty_count(e->pool, e->conf->relation),
		.unacked_updates = e->unacked,
		.last_heard = e->last_heard,
		.next = "",
	};
	next_words(e, ret);
}

struct fo_counters *fo_endpoint_counters(struct fo_endpoint *e)
{
	return &e->count;
}
