/*
 * What an ISC dhcpd leaves out when it is asked for what it knows, and how it is made to tell.
 *
 * An ISC that loses the link in RECOVER, PARTNER-DOWN or the like goes on waiting for the
 * acknowledgements of what was on its way. Those updates are never sent again, they take room in
 * its window, and whatever it is asked later leaves them out: it falls silent, or says UPDDONE
 * though we have not heard of some leases. It tells of every address of its pools; so we know
 * which. And a refusal takes an update off its list, whichever message that names: what it left out
 * is refused, and all is asked for once more.
 *
 * Callers: fo_update (UPDREQ, UPDREQALL, UPDDONE), fo_receive, fo_endpoint (timer).
 * Standards: draft-ietf-dhc-failover-12 §7.3 to §7.5; failover-behaviour §3.7, §5.6.
 */
#include "core/fo_endpoint_priv.h"

#define QUIET_US (5 * FO_SEC_US) /* nothing comes: is it stuck? */
#define DONE_US (1 * FO_SEC_US)	 /* something may be on its way, behind UPDDONE */
#define PAUSE_US (1 * FO_SEC_US) /* room for an answer */
#define CHUNK 1024		 /* refused at one time */
#define FIRST_US (5 * FO_SEC_US) /* between its own news */
#define ROUNDS_MAX 2		 /* who has not told by then does not have it */

static void wait(struct fo_endpoint *e, int64_t us)
{
	e->told.at = mono_add_us(e->now.mono, us);
}

void fo_isc_told_reset(struct fo_endpoint *e)
{
	e->told = (struct fo_told){ .at = MONO_NEVER };
}

void fo_isc_asked(struct fo_endpoint *e, bool all)
{
	fo_flush_acks(e); /* else what waits for them is left out */
	pool_told_none(e->pool, e->conf->relation);
	e->told = (struct fo_told){ .all = all, .rounds = e->told.rounds };
	wait(e, QUIET_US);
}

/* Clients make it speak of the same addresses again and again: that is no progress. */
void fo_isc_told(struct fo_endpoint *e, uint32_t addr)
{
	if (e->first_xid)
		e->first_until = mono_add_us(e->now.mono, FIRST_US);
	if (e->asked_xid && pool_told(e->pool, addr))
		wait(e, e->told.done ? DONE_US : QUIET_US);
}

static bool complete(struct fo_endpoint *e)
{
	struct fo_told *t = &e->told;

	t->first = pool_untold(e->pool, e->conf->relation, t->first);
	return !t->all || t->first > UINT32_MAX;
}

bool fo_isc_told_all(struct fo_endpoint *e, uint32_t xid)
{
	if (complete(e))
		return true;
	if (e->told.rounds && xid != e->asked_xid)
		return false; /* it answers the round before, which a refusal has ended */
	e->told.done = true;
	wait(e, DONE_US);
	return false;
}

static void refuse(struct fo_endpoint *e, uint32_t addr)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	fo_begin(e, &w, buf, FO_BNDACK, fo_next_xid(e));
	(void)fo_write_ack(&w, addr, FO_REJECT_UNKNOWN_REASON,
			   "not received: it is asked for once more");
	fo_send(e, &w);
}

/* Return: was there anything to refuse? */
static bool refuse_some(struct fo_endpoint *e)
{
	struct fo_told *t = &e->told;
	unsigned n;

	for (n = 0; n < CHUNK; n++) {
		t->cursor = pool_untold(e->pool, e->conf->relation, t->cursor);
		if (t->cursor > UINT32_MAX)
			break;
		refuse(e, (uint32_t)t->cursor++);
	}
	return n;
}

static void tell(struct fo_endpoint *e, const char *why)
{
	uint64_t first = pool_untold(e->pool, e->conf->relation, 0);
	uint32_t n = 0;

	for (uint64_t a = first; a <= UINT32_MAX;
	     a = pool_untold(e->pool, e->conf->relation, a + 1))
		n++;
	fo_event(e, "left-out", why, (uint32_t)first, n, 0);
}

/* What it still has not told of is in no pool of its own: there is nothing to be known. One that
 * does not even say that it is done is left to the timer of those that are stuck. */
static void give_up(struct fo_endpoint *e)
{
	tell(e, "the partner does not know these addresses: give both servers the same ranges");
	e->told.at = MONO_NEVER;
	if (e->told.done)
		fo_updates_told(e);
}

static void ask_again(struct fo_endpoint *e)
{
	tell(e, "the partner has left out addresses since a link was lost: it is asked again");
	e->told.rounds++;
	fo_updates_ask(e, true);
}

void fo_isc_told_pump(struct fo_endpoint *e)
{
	struct fo_told *t = &e->told;

	if (!e->asked_xid || t->at.us == MONO_NEVER.us)
		return;
	if (t->done && complete(e))
		fo_updates_told(e);
	else if (!fo_due(t->at, &e->now))
		return;
	else if (t->rounds == ROUNDS_MAX)
		give_up(e);
	else if (refuse_some(e))
		wait(e, PAUSE_US);
	else
		ask_again(e);
}

/* --- its own news come first ------------------------------------------------------------------ */

/*
 * An ISC takes any update of ours over a change of its own that still waits to be sent: it compares
 * only with what is on its way. After a time without link that is a lease which it has renewed, and
 * we tell of as it was before: both servers would forget what the client was promised. So it is
 * asked for what it has, and says so when we have acknowledged all of that; then it hears ours.
 */
void fo_isc_first_ask(struct fo_endpoint *e)
{
	uint8_t state = e->rec.end.state;

	if (e->asked_xid || e->link != LINK_UP ||
	    (state != FO_NORMAL && state != FO_COMM_INT && state != FO_PARTNER_DOWN))
		return;
	e->first_xid = fo_next_xid(e);
	e->first_until = mono_add_us(e->now.mono, FIRST_US);
	fo_send_plain(e, FO_UPDREQ, e->first_xid);
}

void fo_isc_first_reset(struct fo_endpoint *e)
{
	e->first_xid = 0;
	e->first_until = MONO_NEVER;
}

bool fo_isc_first_waits(struct fo_endpoint *e)
{
	if (fo_due(e->first_until, &e->now))
		fo_isc_first_reset(e);
	return e->first_xid;
}

bool fo_isc_first_done(struct fo_endpoint *e, uint32_t xid)
{
	bool is = e->first_xid && xid == e->first_xid;

	if (is)
		fo_isc_first_reset(e);
	return is;
}
