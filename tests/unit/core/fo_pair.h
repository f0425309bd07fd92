#pragma once
/*
 * A primary and a secondary in a world of their own (fo_world.h), as most tests of fo_endpoint want
 * them: w is the world, P and S are its servers.
 */
#include "core/pool_priv.h"
#include "fo_world.h"

#define P (&w->n[0])
#define S (&w->n[1])

static inline struct world *new_world(unsigned scopes)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, scopes);
	return w;
}

static inline struct world *normal_pair(void)
{
	struct world *w = new_world(2);

	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	return w;
}

/* The secondary lacks the last scope; @ret_all, the primary's table, lasts as long as w. */
static inline struct world *pair_with_own_scope(unsigned scopes, bool no_runs,
						struct scope_table *ret_all)
{
	struct world *w = new_world(scopes);

	w->no_runs = no_runs;
	boot(P);
	*ret_all = w->table;
	P->pool->t = ret_all;
	w->table.n_scopes = w->table.n_ranges = scopes - 1;
	boot(S);
	w->connect_at = w->us + 1000;
	run(w, 20);
	assert_int_equal(state_of(P), FO_NORMAL);
	return w;
}

/* Return: why it is refused; NULL: it is not. */
static inline const char *operate(struct node *n, enum fo_event ev, uint32_t since)
{
	const char *why;

	TURN(n, now);
	why = fo_endpoint_operate(n->ep, ev, since, &now);
	turn_end(n);
	return why;
}

/* Both are gone for longer than MCLT: whoever returns, its partner may have taken over. */
static inline void both_long_away(struct world *w)
{
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
}

static inline void primary_back_alone(struct world *w, double since_boot)
{
	both_long_away(w);
	boot(P);
	run(w, since_boot);
}

/* Killed, and back at once: both are in NORMAL again. */
static inline void restart(struct node *n)
{
	crash(n, true);
	boot(n);
	assert_true(settle(n->w, FO_NORMAL, FO_NORMAL, 8));
}

/* The secondary dies, and is declared down @sec later. */
static inline void secondary_down(struct world *w, double sec)
{
	crash(S, true);
	run(w, sec);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
}

/* Clients show @n that its partner serves. */
static inline void sign(struct node *n)
{
	struct now now = now_of(n);

	fo_endpoint_partner_sign(n->ep, &now);
}
