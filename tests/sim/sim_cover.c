/*
 * Coverage: pairs of states, rungs of the update ladder, reasons to reject, what clients were told,
 * faults. Each must have been seen, or stands here with the reason why not (decision E3).
 */
#include "sim_cover.h"
#include "seldom.h"

#include <sys/mman.h>

struct cover *cover_new(void)
{
	void *mem = mmap(NULL, sizeof(struct cover), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* --- counting -----------------------------------------------------------------------------------
 */

unsigned state_index(unsigned state)
{
	return state == FO_STATE_NONE ? 0 : state == FO_RECOVER_WAIT ? 12 : state;
}

static unsigned name_of(unsigned index)
{
	return index == 12 ? FO_RECOVER_WAIT : index;
}

static unsigned index_of(const struct server *s)
{
	return s->up && s->ep ? state_index(s->ep->rec.end.state) : 0;
}

void cover_pair(struct world *w)
{
	w->cover->pair[index_of(&w->s[0])][index_of(&w->s[1])]++;
}

void cover_reason(struct world *w, enum server_reason r)
{
	w->cover->reason[r]++;
}

void cover_reject(struct world *w, enum fo_reject r)
{
	w->cover->reject[(unsigned)r & 31]++;
}

void cover_fault(struct world *w, enum fault_kind k)
{
	w->cover->fault[k]++;
}

void cover_rung(unsigned rung)
{
	the_world->cover->rung[rung < RUNGS ? rung : 0]++;
}

static void add(uint64_t *to, const uint64_t *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] += from[i];
}

void cover_add(struct cover *to, const struct cover *from)
{
	add(&to->pair[0][0], &from->pair[0][0], STATES * STATES);
	add(to->reason, from->reason, SERVER_REASON_COUNT);
	add(to->reject, from->reject, 32);
	add(to->rung, from->rung, RUNGS);
	add(to->fault, from->fault, F_KINDS);
	to->seeds += from->seeds;
	to->events += from->events;
	to->collisions += from->collisions;
	to->false_pd += from->false_pd;
	to->hours += from->hours;
}

/* --- what need not be seen
 * ------------------------------------------------------------------------ */

struct excuse {
	unsigned what;
	const char *why;
};

static const struct excuse rejects[] = {
	{ FO_REJECT_ILLEGAL_ADDRESS, "both are configured with the same ranges" },
	{ FO_REJECT_MISSING_BINDING, "our own kind sends whole bindings" },
	{ FO_REJECT_UNKNOWN_REASON, "no identifier here is too long" },
	{ FO_REJECT_OUTDATED,
	  "messages keep their order: what we have acknowledged is told no more" },
	{ FO_REJECT_NOT_RESERVED, "the ladder with serials knows no such rung" },
};

static const struct excuse reasons[] = {
	{ SERVER_INFORMED, "clients here do not ask for options alone" },
	{ SERVER_NAK_WRONG_SUBNET, "clients here do not move" },
	{ SERVER_NO_SUBNET, "relays and interfaces are in scopes" },
	{ SERVER_NO_SERVER_ID, "every server has an address" },
	{ SERVER_NOT_AUTHORITATIVE, "both servers are" },
	{ SERVER_NO_ROOM, "replies are not encoded here" },
};

#define EXCUSED(list, what) excused(list, sizeof(list) / sizeof((list)[0]), what)

static const char *excused(const struct excuse *list, unsigned n, unsigned what)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].what == what)
			return list[i].why;
	return NULL;
}

/* Which pairs cannot be: the second is what the other is in; either way round unless said. */
static const struct {
	uint8_t p, s; /* 255: any */
	const char *why;
} pairs[] = {
	{ 255, FO_CONFLICT_DONE, "a secondary is never in CONFLICT-DONE" },
	{ FO_NORMAL, FO_RECOVER_WAIT, "a primary leaves NORMAL before that (explore_fsm)" },
};

static const char *pair_seldom(unsigned p, unsigned s)
{
	for (unsigned i = 0; i < SELDOM; i++)
		if (seldom[i].p == p && seldom[i].s == s)
			return "seldom; explore_fsm walks it";
	return NULL;
}

static const char *pair_excused(unsigned p, unsigned s)
{
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].p == 255 || pairs[i].p == p) &&
		    (pairs[i].s == 255 || pairs[i].s == s))
			return pairs[i].why;
	return NULL;
}

/* --- the report ----------------------------------------------------------------------------------
 */

static const char *const rung_name[RUNGS] = {
	"no serial",	    "1 same event",	      "2 ours runs, theirs idle",
	"2 theirs runs",    "3 two clients, primary", "3 two clients, secondary",
	"3 ours runs",	    "3 theirs runs",	      "4 ours renewed, theirs released",
	"4 theirs renewed", "5 equal, primary",	      "5 equal, secondary",
	"5 theirs newer",   "5 theirs older",
};

static bool judging;

static bool missing(const char *what, const char *name, const char *why)
{
	if (!judging)
		return !why;
	if (why)
		printf("  not seen: %s %s: %s\n", what, name, why);
	else
		printf("  NOT SEEN: %s %s\n", what, name);
	return !why;
}

static unsigned report_pairs(const struct cover *c)
{
	unsigned seen = 0, bad = 0, excuses = 0;

	for (unsigned p = 0; p < STATES; p++)
		for (unsigned s = 0; s < STATES; s++) {
			char name[64];

			if (c->pair[p][s]) {
				seen++;
				continue;
			}
			if (pair_excused(name_of(p), name_of(s))) {
				excuses++;
				continue;
			}
			if (!p && !s)
				continue;
			snprintf(name, sizeof(name), "%s / %s",
				 p ? fo_state_name(name_of(p)) : "dead",
				 s ? fo_state_name(name_of(s)) : "dead");
			bad += missing("states", name, pair_seldom(name_of(p), name_of(s)));
		}
	printf("pairs of states: %u seen, %u cannot be, %u missing\n", seen, excuses, bad);
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		printf("  cannot be: %s\n", pairs[i].why);
	return bad;
}

bool cover_report(const struct cover *c, bool judge)
{
	unsigned bad;

	judging = judge;
	bad = report_pairs(c);

	printf("ladder:");
	for (unsigned i = 1; i < RUNGS; i++)
		printf("%s %s %llu", i > 1 ? "," : "", rung_name[i],
		       (unsigned long long)c->rung[i]);
	printf("\nrejects:");
	for (unsigned i = 1; i < 32; i++)
		if (c->reject[i])
			printf(" %u (%s) %llu", i, fo_reject_text(i),
			       (unsigned long long)c->reject[i]);
	printf("\nclients:");
	for (unsigned i = 0; i < SERVER_REASON_COUNT; i++)
		if (c->reason[i])
			printf(" %s %llu", server_reason_name(i), (unsigned long long)c->reason[i]);
	printf("\nfaults:");
	for (unsigned i = 0; i < F_KINDS; i++)
		printf(" %s %llu", fault_name(i), (unsigned long long)c->fault[i]);
	printf("\n");
	for (unsigned i = 1; i < RUNGS; i++)
		if (!c->rung[i])
			bad += missing("rung", rung_name[i], NULL);
	for (unsigned i = 1; i <= FO_REJECT_TIME_MISMATCH; i++)
		if (!c->reject[i])
			bad += missing("reject", fo_reject_text(i), EXCUSED(rejects, i));
	for (unsigned i = FO_REJECT_OUTDATED; i <= FO_REJECT_LESS_CRITICAL; i++)
		if (!c->reject[i])
			bad += missing("reject", fo_reject_text(i), EXCUSED(rejects, i));
	for (unsigned i = 0; i < SERVER_REASON_COUNT; i++)
		if (!c->reason[i])
			bad += missing("client", server_reason_name(i), EXCUSED(reasons, i));
	for (unsigned i = 0; i < F_KINDS; i++)
		if (!c->fault[i])
			bad += missing("fault", fault_name(i), NULL);
	return !judge || !bad;
}
