#pragma once
/*
 * A primary and a secondary in a world of their own (fo_world.h), as most tests of fo_endpoint want
 * them: w is the world, P and S are its servers.
 */
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

/* Return: why it is refused; NULL: it is not. */
static inline const char *operate(struct node *n, enum fo_event ev, uint32_t since)
{
	const char *why;

	TURN(n, now);
	why = fo_endpoint_operate(n->ep, ev, since, &now);
	turn_end(n);
	return why;
}
