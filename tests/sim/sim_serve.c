/*
 * At least one side serves, except in the pairs of states listed here, each with a bound in time
 * (decision A2). And: does a server in PARTNER-DOWN serve beside a partner that serves as well?
 * Then it was declared down wrongly, and what it reclaimed may collide (decision A12).
 */
#include "sim.h"

static unsigned shown(const struct server *s)
{
	if (!s->up || s->frozen || !s->ep)
		return FO_STATE_NONE;
	return fo_closing(s->ep) ? FO_SHUTDOWN : s->ep->rec.end.state;
}

static bool serves(const struct server *s)
{
	return s->up && !s->frozen && s->in_force && s->view.serve_new;
}

static void note_false_pd(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct server *s = &w->s[i], *p = &w->s[!i];
		int64_t from;

		if (!s->in_force || !s->view.serve_new || !s->view.partner_down || !serves(p) ||
		    !s->ep)
			continue;
		from = ((int64_t)s->view.partner_pool_from - BASE) * SEC -
		       (s->off_max + s->off_min) / 2;
		if (!w->false_pd_from || from < w->false_pd_from)
			w->false_pd_from = from;
	}
}

static bool took_over(const struct server *s)
{
	const struct fo_end *e = &s->disk.rec.end;
	bool rests = e->state == FO_STARTUP || e->state == FO_PAUSED || e->state == FO_SHUTDOWN;

	return s->disk.has_rec && (rests ? e->saved : e->state) == FO_PARTNER_DOWN;
}

/* Without the hold, who was away for long and finds nobody gives what the partner may have given
 * before it died as well: the operator's choice (decision A8). */
static void note_unheld(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct server *s = &w->s[i];

		if (s->long_away && !s->conf.after_outage_hold && serves(s) && s->ep &&
		    !s->ep->heard_since_start && took_over(&w->s[!i]) && !w->false_pd_from)
			w->false_pd_from = w->us;
	}
}

/* --- back after a long absence (decision A8)
 * ------------------------------------------------------
 */

/* Until the partner was heard, the operator said that it is dead (force_down), or MCLT after the
 * start: nothing new is promised. */
static void check_hold(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct server *s = &w->s[i];

		if (!s->held_until || !s->in_force || !s->view.serve_new || !s->ep)
			continue;
		if (s->ep->heard_since_start || s->now.wall.sec >= s->held_until)
			continue;
		violate(w, "not-held", 0, -1,
			"%c was away for long, has not heard the partner, and serves", "PS"[i]);
	}
}

/* --- PARTNER-DOWN -------------------------------------------------------------------------------
 */

#define RECLAIM_LATE 3

/* What ended comes back when its wait is over (failover-behaviour §6.4), not by and by. */
static void check_reclaim(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server *s = &w->s[i];

		if (s->disk_us > SEC / 10 || s->frozen) /* what waited comes when that is over */
			s->reclaim_looked = w->us + RECLAIM_LATE * SEC;
		if (!s->in_force || !s->view.partner_down || !s->view.serve_new ||
		    w->us < s->down_since + RECLAIM_LATE * SEC || w->us < s->reclaim_looked + SEC ||
		    !s->ep)
			continue;
		s->reclaim_looked = w->us;
		for (unsigned a = 0; a < MAX_ADDR; a++) {
			const struct lease *l = &s->disk.l[a];

			if (!s->disk.has[a] || pool_get(s->pool, FIRST + a)->serial != l->serial ||
			    (l->state != LEASE_EXPIRED && l->state != LEASE_RELEASED))
				continue;
			if (s->now.wall.sec >
			    RECLAIM_LATE +
				    (int64_t)binding_reclaim_at(&s->view, l, s->disk.rec.end.stos))
				violate(w, "reclaim-late", FIRST + a, -1,
					"%c: %08x is %s, and should be free since %+d s", "PS"[i],
					FIRST + a, lease_state_name(l->state),
					(int)(binding_reclaim_at(&s->view, l,
								 s->disk.rec.end.stos) -
					      s->now.wall.sec));
		}
	}
}

/* --- the list -----------------------------------------------------------------------------------
 */

/* What one side may be in while nobody serves, and how long at most, in seconds: so many times the
 * lead time, the time of starting up and the contact time, and seconds beside. */
static const struct {
	uint8_t state;
	bool for_ever; /* until somebody acts, or the partner is there again */
	uint8_t mclt, startup, contact, sec;
	const char *why;
} listed[] = {
	{ FO_STATE_NONE, true, 0, 0, 0, 0, "dead" },
	{ FO_STARTUP, false, 0, 1, 1, 4, "listens for the partner first" },
	{ FO_RECOVER, false, 1, 1, 3, 20, "learns what it missed" },
	{ FO_RECOVER_WAIT, false, 1, 1, 1, 4, "until its former promises are over" },
	{ FO_RECOVER_DONE, false, 1, 1, 3, 20, "until the partner is ready" },
	{ FO_POTENTIAL_CONFLICT, false, 0, 1, 3, 30, "both learn what the other promised" },
	{ FO_PAUSED, true, 0, 0, 0, 0, "the operator's wish" },
	{ FO_SHUTDOWN, true, 0, 0, 0, 0, "the operator's wish" },
	/* these serve, once it is on disk; on hold not before MCLT (decision A8) */
	{ FO_NORMAL, false, 0, 0, 0, 10, "until it is on disk" },
	{ FO_COMM_INT, false, 1, 1, 1, 10, "held back after a long absence" },
	{ FO_RESOLUTION_INT, false, 1, 1, 1, 10, "held back after a long absence" },
	{ FO_CONFLICT_DONE, false, 1, 1, 1, 10, "held back after a long absence" },
	{ FO_PARTNER_DOWN, false, 1, 1, 1, 10, "held back after a long absence" },
};

/* Seconds that nobody may serve in this state of one side; -1: no bound. */
static int64_t bound_of(const struct world *w, unsigned state)
{
	for (unsigned i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
		if (listed[i].state == state)
			return listed[i].for_ever
				       ? -1
				       : (int64_t)listed[i].mclt * waits(w) +
						 listed[i].startup * w->t.startup +
						 listed[i].contact * w->t.contact + listed[i].sec;
	return 0;
}

static bool halted(unsigned state)
{
	return state == FO_PAUSED || state == FO_SHUTDOWN;
}

/* Both wait for each other at most as long as the slower one; where one is gone for good, the other
 * has its own bound, unless it has to hear the partner before it may serve. */
static int64_t bound(const struct world *w)
{
	unsigned p = shown(&w->s[0]), s = shown(&w->s[1]);
	int64_t a = bound_of(w, p), b = bound_of(w, s);
	bool apart = w->cut[0] || w->cut[1] || a < 0 || b < 0;

	if (a < 0 && b < 0)
		return -1;
	if (halted(p) + (p == FO_POTENTIAL_CONFLICT) + halted(s) + (s == FO_POTENTIAL_CONFLICT) ==
	    2)
		return -1; /* a conflict is resolved by both: the operator's wish */
	for (unsigned i = 0; apart && i < 2; i++) {
		unsigned k = i ? s : p;

		if (k == FO_RECOVER || k == FO_RECOVER_WAIT || k == FO_RECOVER_DONE)
			return -1; /* alone it never serves: the draft's rule, and the operator's */
		if (w->s[i].up && w->s[i].ep && w->s[i].ep->hold)
			return -1; /* by A8 as long as there are signs of the partner */
	}
	/* Told to shut down, it serves nobody while the partner, which may be shut down itself,
	 * acknowledges the rest; after 30 s it gives up and serves again (README). */
	for (unsigned i = 0; i < 2; i++)
		if (w->s[i].up && w->s[i].ep && fo_closing(w->s[i].ep))
			return (a > b ? a : b) + FO_CLOSING_US / SEC;
	return a > b ? a : b;
}

void check_service(struct world *w)
{
	unsigned pair = shown(&w->s[0]) << 8 | shown(&w->s[1]);
	int64_t most;

	note_false_pd(w);
	note_unheld(w);
	check_hold(w);
	check_reclaim(w);
	if (pair != w->pair || w->trouble > w->unserved_since || serves(&w->s[0]) ||
	    serves(&w->s[1])) {
		w->pair = pair;
		w->unserved_since = w->us;
		return;
	}
	if (w->us - w->unserved_since < 4 * SEC)
		return;
	most = bound(w);
	if (most >= 0 && w->us - w->unserved_since > most * SEC)
		violate(w, "nobody-serves", 0, -1,
			"%s and %s: nobody has served for %.1f s, bound %d",
			fo_state_name(pair >> 8), fo_state_name(pair & 255),
			(double)(w->us - w->unserved_since) / 1e6, (int)most);
}
