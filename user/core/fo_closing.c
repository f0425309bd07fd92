/*
 * The way into SHUTDOWN: first nobody is served any more, then the partner acknowledges all that
 * was promised, then the state is entered. So the partner takes over without a gap in what it
 * knows, and the return needs no wait (decision A10).
 *
 * The end of service is in force with the commit that it waits for; only then can nothing new be
 * promised, and only then "all is acknowledged" means anything. Not waited for is what the partner
 * refuses because it has no such address, when it is told once more now. A partner that does not
 * acknowledge within the time ends the attempt: serving goes on, and the operator is told.
 *
 * Callers: fo_endpoint (operator, pump), fo_link (loss of the link).
 * Standards: draft-ietf-dhc-failover-12 §9.13 (SHUTDOWN).
 */
#include "core/fo_endpoint_priv.h"

/* Where clients are served and changes are told as they come, and there is somebody to tell. */
bool fo_closing_first(const struct fo_endpoint *e)
{
	if (e->link != LINK_UP || !e->heard)
		return false;
	switch ((enum fo_state)e->rec.end.state) {
	case FO_NORMAL:
	case FO_COMM_INT:
	case FO_PARTNER_DOWN:
	case FO_CONFLICT_DONE:
		return true;
	default:
		return false;
	}
}

const char *fo_closing_begin(struct fo_endpoint *e)
{
	e->closing_batch = e->batch;
	e->closing_until = mono_add_us(e->now.mono, FO_CLOSING_US);
	fo_event(e, "shutdown", "service ends, the partner is told what it does not know yet", 0,
		 fo_owed(e), 0);
	fo_persist(e); /* so that there is a commit to wait for */
	fo_refresh_view(e);
	fo_updates_retry_all(e);
	return NULL;
}

void fo_closing_end(struct fo_endpoint *e, const char *why)
{
	if (!fo_closing(e))
		return;
	e->closing_batch = 0;
	fo_event(e, "shutdown-given-up", why, 0, fo_owed(e), 0);
	fo_refresh_view(e);
}

void fo_closing_pump(struct fo_endpoint *e)
{
	struct fo_in in;

	if (!fo_closing(e))
		return;
	if (e->durable >= e->closing_batch && !fo_owed(e)) {
		in = fo_input(e, FO_EV_OP_SHUTDOWN);
		e->closing_batch = 0;
		(void)fo_step(e, &in);
	} else if (fo_due(e->closing_until, &e->now)) {
		fo_closing_end(e, "the partner has not acknowledged everything in time");
	}
}
