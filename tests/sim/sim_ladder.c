/*
 * Which rung of the update ladder (core/binding.c, decision A13) decides. The linker puts this
 * between core/fo_receive and core/binding (--wrap), so that the shipping code says nothing of it.
 */
#include "sim_cover.h"

enum fo_reject __real_binding_accept(const struct fo_view *v, const struct lease *ours,
				     const struct binding_update *u, bool in_flight, wall_t now,
				     struct lease *ret);
enum fo_reject __wrap_binding_accept(const struct fo_view *v, const struct lease *ours,
				     const struct binding_update *u, bool in_flight, wall_t now,
				     struct lease *ret);

static bool live(const struct lease *l, wall_t now)
{
	return l->state == LEASE_ACTIVE && l->expires > now.sec;
}

static bool idle(const struct lease *l)
{
	return lease_is_free(l) || l->state == LEASE_EXPIRED;
}

static bool ended(const struct lease *l)
{
	return l->state == LEASE_RELEASED || l->state == LEASE_RESET;
}

static unsigned rung_of(const struct fo_view *v, const struct lease *ours,
			const struct binding_update *u, bool unacked, wall_t now)
{
	const struct lease *t = &u->lease;
	bool we = live(ours, now), they = live(t, now);
	bool same =
		!u->has_client || client_key_none(ours->key) || client_key_equal(ours->key, t->key);

	if (!u->has_serial)
		return 0;
	if (t->serial == ours->serial &&
	    (!unacked || (t->state == ours->state && t->state != LEASE_ACTIVE && same)))
		return 1;
	if (we && idle(t) &&
	    !(t->state == LEASE_EXPIRED && t->expires + 2 >= ours->expires &&
	      now.sec + 2 >= ours->expires))
		return 2;
	if (they && idle(ours))
		return 3;
	if (!same && we && they)
		return v->primary ? 4 : 5;
	if (!same && we && t->state != LEASE_ABANDONED)
		return 6;
	if (!same && they && ours->state != LEASE_ABANDONED)
		return 7;
	if (unacked && we && ended(t))
		return 8;
	if (unacked && they && ended(ours))
		return 9;
	if (t->serial == ours->serial)
		return v->primary ? 10 : 11;
	return t->serial > ours->serial ? 12 : 13;
}

enum fo_reject __wrap_binding_accept(const struct fo_view *v, const struct lease *ours,
				     const struct binding_update *u, bool in_flight, wall_t now,
				     struct lease *ret)
{
	cover_rung(rung_of(v, ours, u, in_flight, now));
	return __real_binding_accept(v, ours, u, in_flight, now, ret);
}
