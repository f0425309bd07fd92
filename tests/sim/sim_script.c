/*
 * Kinds of seeds. Every other seed is left to chance alone; the rest begins with a story that
 * chance tells too seldom, on terms that suit it, and goes on by chance.
 *
 * Callers: sim_world.c (terms), sim_fault.c (the first faults of the plan).
 * Decisions A7, A8, A12, A19.
 */
#include "sim.h"

enum story_kind story_of(uint64_t seed)
{
	return seed & 1 ? STORY_NONE : (enum story_kind)(1 + seed / 2 % (STORY_KINDS - 1));
}

/* --- terms ------------------------------------------------------------------------------------ */

/* Lost, and started again, before the partner has noticed that it was gone. */
static bool swift(const struct world *w)
{
	return w->seed / (4 * (STORY_KINDS - 1)) % 4 == 0;
}

void story_terms(struct world *w)
{
	struct terms *t = &w->t;
	bool other = w->seed / (2 * (STORY_KINDS - 1)) & 1;

	switch (w->story) {
	case STORY_LOST_APART: /* leases shorter than the lead time; nobody has room, or all */
		t->lease_time = other ? 60 : 80;
		t->mclt = 90;
		t->no_wishes = true;
		t->arrive = other ? 20 : 250;
		t->room = other ? ROOM_TIGHT : ROOM_WIDE;
		if (swift(w)) {
			t->contact = 8;
			t->startup = 4;
		}
		break;
	case STORY_FROZEN:
	case STORY_RESTORED:
		t->mclt = t->mclt > 45 ? 45 : t->mclt;
		break;
	case STORY_DECLINES: /* apart for longer than a lease, while clients find conflicts */
		t->lease_time = 60;
		t->mclt = 30;
		t->declines = 12;
		break;
	case STORY_TAKEN_OVER: /* nearly all is the secondary's, and the primary's clients many */
		t->mclt = t->mclt > 45 ? 30 : t->mclt;
		t->share_primary = 10;
		t->room = ROOM_WIDE;
		t->clients = 100;
		t->arrive = 62 + t->mclt * 2 + 120;
		break;
	case STORY_CONFLICT:
		t->false_pd_allowed = true;
		t->faults = 30;
		t->delay_max = 3000;
		break;
	case STORY_NONE:
	case STORY_KINDS:
		break;
	}
	if (w->story)
		t->length = (400 + (int64_t)(w->seed % 200)) * SEC + t->mclt * 4 * SEC;
}

/* --- the first faults ------------------------------------------------------------------------- */

/* @side: whose; @sec: from when, and for how long. */
static void say(struct world *w, unsigned *n, enum fault_kind kind, unsigned side, int64_t sec,
		int64_t lasts)
{
	struct fault *f = &w->faults[(*n)++];

	f->kind = kind;
	f->at = sec * SEC + below(w, SEC);
	f->lasts = lasts * SEC + below(w, SEC / 2);
	f->a = side;
	f->b = f->c = 0;
}

/* A store is put back by hand when the partner knows of later starts; by the tool, which says so
 * to the server alone, then or when it does not. */
static unsigned restored(struct world *w, unsigned side)
{
	bool tool = chance(w, 30), known = !tool || chance(w, 50);
	unsigned n = 0;

	say(w, &n, F_BACKUP, side, 60 + below(w, 20), 1);
	if (known) {
		say(w, &n, F_KILL, side, 85, 1);
		say(w, &n, F_KILL, side, 100, 1);
	}
	say(w, &n, F_RESTORE, side, 150 + below(w, 60), 1);
	w->faults[n - 1].c = tool;
	return n;
}

/* What one served while nobody heard it is forgotten, and both meet again. */
static unsigned lost_apart(struct world *w, unsigned side)
{
	int64_t apart = w->t.room == ROOM_TIGHT ? w->t.lease_time + 15 : 20;
	unsigned n = 0;

	say(w, &n, F_LINK_CUT, side, 80, apart);
	say(w, &n, F_LOSE_STORE, side, swift(w) ? 81 : 80 + apart - 4, 1);
	return n;
}

/* It stands still, is taken for dead, and awakes. */
static unsigned frozen(struct world *w, unsigned side)
{
	unsigned n = 0;

	say(w, &n, F_FREEZE, side, 60 + below(w, 30), (int64_t)w->t.mclt * 3 / 2 + below(w, 60));
	say(w, &n, F_PARTNER_DOWN, !side, w->faults[0].at / SEC + w->t.contact + 2, 2);
	return n;
}

static unsigned declines(struct world *w, unsigned side)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 6; i++)
		say(w, &n, F_LINK_CUT, side, 40 + i * 90, 65 + below(w, 12));
	return n;
}

/* Taken over, and back while the disk is slow: what a new state takes away waits for nothing. */
static unsigned taken_over(struct world *w, unsigned side)
{
	int64_t away = (int64_t)w->t.mclt * 2 + 20;
	unsigned n = 0;

	say(w, &n, F_KILL, 1, 60, away);
	say(w, &n, F_PARTNER_DOWN, 0, 62, 1);
	say(w, &n, F_SLOW_DISK, 0, 60 + away - 2, 60 + below(w, 30));
	w->faults[n - 1].b = 2 + (side & 1);
	return n;
}

/* Both take over, meet, and are disturbed while they make it up. */
static unsigned conflict(struct world *w, unsigned side)
{
	static const enum fault_kind disturb[] = {
		F_LINK_RESET, F_LINK_CUT, F_KILL,      F_PAUSE,
		F_SHUTDOWN,   F_POWER,	  F_LINK_HALF, F_FREEZE
	};
	int64_t t = 45;
	unsigned n = 0;

	for (unsigned round = 0; round < 3; round++) {
		say(w, &n, F_LINK_CUT, side, t, 16);
		say(w, &n, F_PARTNER_DOWN, 0, t + 10, 1);
		if (round != 1)
			say(w, &n, F_PARTNER_DOWN, 1, t + 11, 1);
		say(w, &n, F_LINK_SLOW, side, t + 12, 30);
		w->faults[n - 1].b = below(w, 1u << 16);
		for (unsigned i = 0; i < 3; i++)
			say(w, &n, disturb[below(w, 8)], below(w, 2), t + 17 + below(w, 12),
			    1 + below(w, 20));
		t += 80;
	}
	return n;
}

/* Return: so many of the faults are told; *ret_from: what follows begins then. */
unsigned story_faults(struct world *w, int64_t *ret_from)
{
	unsigned side = below(w, 2), n = 0;

	switch (w->story) {
	case STORY_RESTORED:
		n = restored(w, side);
		break;
	case STORY_LOST_APART:
		n = lost_apart(w, side);
		break;
	case STORY_FROZEN:
		n = frozen(w, side);
		break;
	case STORY_DECLINES:
		n = declines(w, side);
		break;
	case STORY_TAKEN_OVER:
		n = taken_over(w, side);
		break;
	case STORY_CONFLICT:
		n = conflict(w, side);
		break;
	case STORY_NONE:
	case STORY_KINDS:
		break;
	}
	for (unsigned i = 0; i < n; i++)
		if (w->faults[i].at + w->faults[i].lasts + 60 * SEC > *ret_from)
			*ret_from = w->faults[i].at + w->faults[i].lasts + 60 * SEC;
	if (w->t.length < *ret_from + 120 * SEC)
		w->t.length = *ret_from + 120 * SEC;
	return n;
}
