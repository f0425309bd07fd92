/*
 * Every pair of states that two failover state machines can reach, and the way back from each.
 *
 * Two fo_fsm_step machines over a first-in-first-out wire that carries STATE, UPDREQ(ALL) and
 * UPDDONE. From an empty pair every order of deliveries, timers, lost links (seen by one side
 * before the other), crashes, lost and restored stores and operator's wishes is walked, breadth
 * first, until nothing new is found. Then, from every state found, every order of what happens
 * without further faults must end in NORMAL on both sides: no dead end, no circle.
 *
 * What is left out, and why nothing is lost by it:
 * - Times. Where a step compares times, both outcomes are walked: the last promise is MCLT ago or
 *   not, the partner's PARTNER-DOWN began after it or before. Timers may fire at any time. So more
 *   is walked than can happen.
 * - Commits. Nothing leaves before its commit: a crash before it is a crash before the step.
 * - A server that is down: it is one in STARTUP without a link.
 * - What was sent and arrives after its sender's crash or loss of the link: it might as well have
 *   arrived before. CONNECT and CONNECTACK are one step.
 * - The partner's state of a former link, the saved state outside of STARTUP, PAUSED and SHUTDOWN:
 *   each step is made twice, with different ones, and must come out the same.
 * An operator waits while more than one message is on its way.
 *
 * Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour §3; decisions A7 to A11, A23.
 */
#include "explore_fsm.h"
#include "explore_set.h"
#include "seldom.h"

/* --- the walk --------------------------------------------------------------------------------- */

static struct seen seen;
static struct pair *states;

static uint64_t key_of(const struct pair *p)
{
	return seen_mix_bytes(88172645463325252ULL, p, sizeof(*p));
}

static const char *short_name(unsigned state)
{
	static const char *const names[] = { "--", "ST", "N",  "CI", "PD", "PC",
					     "R",  "PA", "SD", "RD", "RI", "CD" };

	return state == FO_RECOVER_WAIT ? "RW" : state < 12 ? names[state] : "?";
}

static void show(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct side *s = &p->s[i];

		printf("  %c %s/%s sees %s%s%s%s%s", i ? 'S' : 'P', short_name(s->state),
		       short_name(s->saved), short_name(s->peer), s->link ? " linked" : "",
		       s->asked ? " asked" : "", s->owes ? " owes" : "", s->lost ? " lost" : "");
		for (unsigned k = 0; k < s->n; k++)
			printf(" >%u.%s", s->q[k].kind, short_name(s->q[k].state));
		printf(";");
	}
	printf("\n");
}

static struct pair beginning(void)
{
	struct pair p;

	memset(&p, 0, sizeof(p));
	for (unsigned i = 0; i < 2; i++)
		(void)start(&p, i);
	return p;
}

static void show_way(uint32_t at)
{
	static uint16_t step[256];
	unsigned n = seen_path(&seen, at, step, 256);
	struct pair p = beginning();

	for (unsigned i = 0; i < n; i++) {
		static const char *const how[] = { "", ", long after", ", partner later",
						   ", long after, partner later" };

		(void)make_step(&p, step[i]);
		printf("%3u. %c %s%s\n", i + 1, step[i] & 4 ? 'S' : 'P', step_text[step[i] >> 3],
		       how[step[i] & 3]);
		show(&p);
	}
}

static int fail(uint32_t at, const char *what)
{
	printf("FAILED: %s. The shortest way there:\n", what);
	show_way(at);
	return 1;
}

static int walk(void)
{
	struct pair first = beginning();
	bool fresh;

	states[seen_add(&seen, key_of(&first), SEEN_NONE, 0, &fresh)] = first;
	for (uint32_t at = 0; at < seen.n; at++)
		for (unsigned step = 0; step < STEPS; step++) {
			struct pair p = states[at];
			uint32_t k;

			if (!make_step(&p, step))
				continue;
			k = seen_add(&seen, key_of(&p), at, step, &fresh);
			if (k == SEEN_NONE) {
				printf("FAILED: more than %u states\n", seen.room);
				return 1;
			}
			if (fresh)
				states[k] = p;
			if (problem)
				return fail(k, problem);
		}
	return 0;
}

/* --- the way back ------------------------------------------------------------------------------
 */

static bool home(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->s[i].state != FO_NORMAL || p->s[i].peer != FO_NORMAL || !p->s[i].ever ||
		    !p->s[i].link || p->s[i].n || p->s[i].lost)
			return false;
	return true;
}

struct frame {
	uint32_t at;
	uint16_t step;
	bool moved;
};

enum colour { WHITE, GREY, GOOD };

/* Depth first; a grey state met again is a circle, a state without a step must be home. */
static int way_back(uint32_t from, uint8_t *colour, struct frame *stack, uint32_t *ret_longest)
{
	uint32_t n = 0;

	stack[n++] = (struct frame){ from, 0, false };
	colour[from] = GREY;
	while (n) {
		struct frame *f = &stack[n - 1];
		struct pair p = states[f->at];
		uint32_t k;

		if (f->step == STEP(FAULTS, 0, 0)) {
			if (!f->moved && !home(&p))
				return fail(f->at, "no way on, and not in NORMAL");
			colour[f->at] = GOOD;
			n--;
			continue;
		}
		if (!make_step(&p, f->step++))
			continue;
		k = seen_find(&seen, key_of(&p));
		if (k == SEEN_NONE)
			return fail(f->at, "a state that the walk has missed follows");
		if (k == f->at)
			continue;
		f->moved = true;
		if (colour[k] == GREY)
			return fail(k, "they go round in circles");
		if (colour[k] == GOOD)
			continue;
		colour[k] = GREY;
		stack[n++] = (struct frame){ k, 0, false };
		if (n > *ret_longest)
			*ret_longest = n;
	}
	return 0;
}

static int ways_back(uint32_t *ret_longest)
{
	uint8_t *colour = seen_alloc(seen.n, 1);
	struct frame *stack = seen_alloc(seen.n, sizeof(*stack));
	int r = 0;

	for (uint32_t at = 0; !r && at < seen.n; at++)
		if (colour[at] == WHITE)
			r = way_back(at, colour, stack, ret_longest);
	free(colour);
	free(stack);
	return r;
}

/* --- what was found --------------------------------------------------------------------------- */

static const uint8_t order[] = {
	FO_STARTUP,	   FO_NORMAL,	     FO_COMM_INT, FO_PARTNER_DOWN, FO_POTENTIAL_CONFLICT,
	FO_RESOLUTION_INT, FO_CONFLICT_DONE, FO_RECOVER,  FO_RECOVER_WAIT, FO_RECOVER_DONE,
	FO_PAUSED,	   FO_SHUTDOWN
};
enum { STATES = sizeof(order) };

/* Least number of steps to each pair of states of two running servers, 255: none leads there. */
static uint8_t least[256][256];

static void measure(void)
{
	memset(least, 0xff, sizeof(least));
	for (uint32_t at = 0; at < seen.n; at++) {
		const struct pair *p = &states[at];

		if (seen.depth[at] < least[p->s[0].state][p->s[1].state])
			least[p->s[0].state][p->s[1].state] = seen.depth[at];
	}
}

/* The simulation leaves these to this walk. */
static int seldom_ones(void)
{
	int r = 0;

	for (unsigned i = 0; i < SELDOM; i++) {
		if (least[seldom[i].p][seldom[i].s] != 255)
			continue;
		printf("FAILED: %s/%s is not reached\n", short_name(seldom[i].p),
		       short_name(seldom[i].s));
		r = 1;
	}
	return r;
}

static void table(void)
{
	unsigned pairs = 0;

	printf("Fewest steps to each pair of states (primary down, secondary across):\n   ");
	for (unsigned b = 0; b < STATES; b++)
		printf(" %3s", short_name(order[b]));
	for (unsigned a = 0; a < STATES; a++) {
		printf("\n%-3s", short_name(order[a]));
		for (unsigned b = 0; b < STATES; b++) {
			unsigned d = least[order[a]][order[b]];

			pairs += d != 255;
			if (d == 255)
				printf("   -");
			else
				printf(" %3u", d);
		}
	}
	printf("\n%u of %u pairs are reached.\n", pairs, STATES * STATES);
}

int main(void)
{
	uint32_t longest = 0;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seen_init(&seen, MOST);
	states = seen_alloc(MOST, sizeof(*states));
	r = walk();
	printf("%u states of the pair, at most %u steps from the start\n", seen.n,
	       seen.depth[seen.n - 1]);
	if (!r)
		r = ways_back(&longest);
	if (!r) {
		measure();
		r = seldom_ones();
		table();
		printf("From each of them every way without faults ends in NORMAL, in at most %u "
		       "steps.\n",
		       longest);
	}
	free(states);
	seen_done(&seen);
	return r;
}
