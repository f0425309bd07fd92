/*
 * The node and the wall clock. Leases run on a clock of our own (sys/clock) that no step of the
 * system's moves. A step waits until the partner's clock, or the operator, says that it is right;
 * a clock that lies before the newest time in the store is nobody's to serve by (decision A20).
 *
 * Callers: node (start, turns), node_api (twinctl clock).
 */
#include "node_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RETRY_CLOCK_US 5000000
#define RESTATE_PER_TURN 500
#define LIMIT_SEC (CLOCK_SLEW_MAX_US / 1000000) /* without a relationship */

_Static_assert(LIMIT_SEC == FO_CLOCK_SLACK_SEC, "what is slewed away is no absence");

static bool beyond(int64_t sec, int64_t limit)
{
	return sec > limit || sec < -limit;
}

/* The smallest max-clock-skew: what differs by less is slewed away. */
static int64_t limit_sec(const struct node *n)
{
	int64_t limit = LIMIT_SEC;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		uint32_t l = n->conf->relations[i].fo.max_clock_skew_sec;

		if (l && l < limit)
			limit = l;
	}
	return limit;
}

/* Do the partners that are linked go by the system's clock, and not by ours? */
static bool partners_confirm(const struct node *n, int64_t step, int64_t limit)
{
	bool any = false;
	struct fo_status s;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (!n->relations[i].ep)
			continue;
		fo_endpoint_status(n->relations[i].ep, &s);
		if (!s.connected || !s.own_kind)
			continue;
		if (beyond(s.clock_skew_ms / 1000 - step, limit) ||
		    !beyond(s.clock_skew_ms / 1000, limit))
			return false;
		any = true;
	}
	return any;
}

/* The store follows, a part with each turn: until then its dates are those of the former clock. */
void node_clock_restate(struct node *n)
{
	const struct lease *l;
	unsigned done = 0;

	while (n->restate_at && done++ < RESTATE_PER_TURN && lease_store_room(n->store, 1)) {
		l = pool_next(n->pool, (uint32_t)n->restate_at);
		if (l && node_put(n, l, NULL) < 0)
			return;
		n->restate_at = l && l->addr < UINT32_MAX ? l->addr + 1 : 0;
	}
}

static void step_to(struct node *n, const char *by)
{
	int64_t step = clock_wall_step_sec();

	clock_accept();
	n->now = clock_now();
	n->last_turn.wall = n->now.wall;
	if (n->serving) { /* else its times are of a former run, by another clock */
		pool_clock_moved(n->pool, step);
		n->restate_at = 1;
		node_clock_restate(n);
	}
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		if (n->relations[i].ep)
			fo_endpoint_clock_moved(node_endpoint(n, i), step, &n->now);
	n->clock_stepped = false;
	log_event(LOG_L_WARNING, "clock-accepted", "seconds=%" PRId64 " by=%s", step, by);
}

void node_clock_watch(struct node *n)
{
	int64_t step = clock_wall_step_sec(), limit = limit_sec(n);
	bool stepped = beyond(step, limit);

	clock_set_limit(limit * 1000000);
	if (stepped && n->serving && partners_confirm(n, step, limit)) {
		step_to(n, "partner");
		return;
	}
	if (stepped && !n->clock_stepped)
		log_event(
			LOG_L_ERROR, "clock-step",
			"seconds=%" PRId64 " limit=%" PRId64 "s in-force=no "
			"next=\"leases go by the clock as it was, until the partner's agrees with "
			"the new one, or 'twinctl clock accept'\"",
			step, limit);
	else if (!stepped && n->clock_stepped)
		log_event(LOG_L_INFO, "clock-step", "seconds=%" PRId64 " in-force=yes", step);
	n->clock_stepped = stepped;
}

bool node_clock_is_behind(struct node *n)
{
	int64_t slack = LIMIT_SEC, ours = clock_now().wall.sec;

	if (n->clock_confirmed || ours + slack >= n->newest)
		return false;
	if (ours + clock_wall_step_sec() + slack >= n->newest) { /* it was set right */
		clock_accept();
		n->now = clock_now();
		return false;
	}
	if (!n->why_not[0])
		log_event(LOG_L_ERROR, "clock-behind", "by_s=%" PRId64 " serving=no",
			  n->newest - ours);
	snprintf(n->why_not, sizeof(n->why_not),
		 "the clock of this host is %" PRId64 " s behind the newest time in the store: set "
		 "it right and the service begins by itself, or say 'twinctl clock accept'",
		 n->newest - ours);
	n->behind = true;
	n->retry_store = mono_add_us(n->now.mono, RETRY_CLOCK_US);
	return true;
}

/* --- operator ----------------------------------------------------------------------------------
 */

void node_clock_status(struct node *n, struct ctl_clock *ret)
{
	int64_t step = clock_wall_step_sec();

	*ret = (struct ctl_clock){ .ours = sec_clamp(n->now.wall.sec),
				   .system = sec_clamp(n->now.wall.sec + step),
				   .newest = sec_clamp(n->newest),
				   .step_sec = step,
				   .limit_sec = limit_sec(n),
				   .behind = n->behind && !n->serving };
}

const char *node_clock_accept(struct node *n)
{
	if (n->behind && !n->serving) {
		n->clock_confirmed = true;
		n->retry_store = n->now.mono;
		step_to(n, "operator");
		return NULL;
	}
	if (!beyond(clock_wall_step_sec(), limit_sec(n)))
		return "there is nothing to accept: the system's clock is the one of the leases";
	step_to(n, "operator");
	return NULL;
}
