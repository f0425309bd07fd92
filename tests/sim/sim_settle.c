/*
 * When the faults are over: both in NORMAL within 3 x (contact + startup) + MCLT (decision E6),
 * both databases agree, both serve, and in the end every address that was leased is free again and
 * in somebody's share.
 */
#include "sim.h"

#define REJECTED_SEC 30 /* what was refused is told again after 1, 2, 4, ... s */

static bool normal(const struct server *s)
{
	return s->up && s->ep && s->ep->rec.end.state == FO_NORMAL && s->in_force &&
	       s->view.balanced;
}

static const char *state_of(const struct server *s)
{
	return s->ep ? fo_state_name(s->ep->rec.end.state) : "dead";
}

static void reach_normal(struct world *w)
{
	int64_t most = (int64_t)(3 * (w->t.contact + w->t.startup) + waits(w)) * SEC;
	int64_t until = w->us + most;

	while (!normal(&w->s[0]) || !normal(&w->s[1])) {
		if (w->us >= until)
			violate(w, "not-normal", 0, -1,
				"%.0f s after the faults P is in %s, S in %s", (double)most / 1e6,
				state_of(&w->s[0]), state_of(&w->s[1]));
		world_run(w, w->us + 250000);
	}
}

/* --- agreement ---------------------------------------------------------------------------------
 */

static bool told(const struct server *s)
{
	return s->ep && !pool_dirty_count(s->pool, 0) && !s->writing && !s->open.n;
}

static uint8_t agreed_state(const struct disk *d, unsigned a)
{
	uint8_t state = disk_lease(d, a)->state;

	return state == LEASE_NONE ? LEASE_FREE : state;
}

static void same_lease(struct world *w, unsigned a)
{
	const struct lease *p = &w->s[0].disk.l[a], *s = &w->s[1].disk.l[a];
	int64_t apart = ((int64_t)p->expires - s->expires) * SEC;

	if (memcmp(w->s[0].disk.c[a].chaddr, w->s[1].disk.c[a].chaddr, 6) != 0)
		violate(w, "disagree", FIRST + a, -1, "%08x is client %u's at P and %u's at S",
			FIRST + a, w->s[0].disk.c[a].chaddr[5], w->s[1].disk.c[a].chaddr[5]);
	/* a late message looks like a slow clock */
	if (apart > clock_slack(w) + w->held_up || -apart > clock_slack(w) + w->held_up)
		violate(w, "disagree", FIRST + a, -1,
			"%08x ends %u at P and %u at S (serials %u %u)", FIRST + a, p->expires,
			s->expires, p->serial, s->serial);
}

static void same_databases(struct world *w)
{
	for (unsigned a = 0; a < MAX_ADDR; a++) {
		uint8_t p = agreed_state(&w->s[0].disk, a), s = agreed_state(&w->s[1].disk, a);

		if (p != s)
			violate(w, "disagree", FIRST + a, -1,
				"%08x is %s (%u) at P and %s (%u) at S", FIRST + a,
				lease_state_name(p), w->s[0].disk.l[a].serial, lease_state_name(s),
				w->s[1].disk.l[a].serial);
		if (p == LEASE_ACTIVE)
			same_lease(w, a);
	}
}

static void agree(struct world *w)
{
	int64_t until = w->us + REJECTED_SEC * SEC;

	for (unsigned i = 0; i < w->t.clients; i++)
		w->c[i].quiet = true;
	world_run(w, w->us + 3 * SEC);
	while (!told(&w->s[0]) || !told(&w->s[1])) {
		if (w->us >= until || !normal(&w->s[0]) || !normal(&w->s[1])) {
			const struct server *s = &w->s[told(&w->s[0])];
			const struct lease *l = NULL;

			for (uint64_t k = FIRST; s->ep && (l = fo_next_mine(s->ep, k));
			     k = l->addr + 1ull)
				if (l->flags & LEASE_DIRTY)
					break;
			violate(w, "not-told", l ? l->addr : 0, -1,
				"P %s has %u to tell, S %s %u; first %08x %s", state_of(&w->s[0]),
				w->s[0].ep ? pool_dirty_count(w->s[0].pool, 0) : 0,
				state_of(&w->s[1]),
				w->s[1].ep ? pool_dirty_count(w->s[1].pool, 0) : 0, l ? l->addr : 0,
				l ? lease_state_name(l->state) : "");
		}
		world_run(w, w->us + 200000);
	}
	same_databases(w);
}

/* --- service ------------------------------------------------------------------------------------
 */

static const struct lease *free_one(const struct world *w, unsigned server, unsigned scope)
{
	return pool_free_first(w->s[server].pool, &w->scopes[scope],
			       server ? LEASE_BACKUP : LEASE_FREE);
}

static void both_serve(struct world *w)
{
	w->t.loss = w->t.dup = 0;
	for (unsigned k = 0; k < w->t.scopes; k++) {
		const struct lease *had[2];

		for (unsigned i = 0; i < 2; i++) {
			w->s[i].probe_answers = 0;
			had[i] = free_one(w, i, k);
		}
		client_probe(w, k);
		world_run(w, w->us + 3 * SEC);
		for (unsigned i = 0; i < 2; i++) /* and it was not given to the partner meanwhile */
			if (had[i] && free_one(w, i, k) == had[i] && !w->s[i].probe_answers)
				violate(w, "does-not-serve", 0, -1,
					"%c has a free address in scope %u and does not offer it",
					"PS"[i], k);
	}
}

/* --- the end of all leases
 * ------------------------------------------------------------------------
 */

static int64_t last_end(const struct world *w)
{
	uint32_t last = true_sec(w);

	for (unsigned i = 0; i < 2; i++)
		for (unsigned a = 0; a < MAX_ADDR; a++)
			if (w->s[i].disk.has[a] && w->s[i].disk.l[a].expires > last)
				last = w->s[i].disk.l[a].expires;
	return last;
}

static void all_free(struct world *w)
{
	for (unsigned r = 0; r < w->table.n_ranges; r++)
		for (uint32_t x = w->ranges[r].first; x <= w->ranges[r].last; x++)
			for (unsigned i = 0; i < 2; i++) {
				uint8_t state = agreed_state(&w->s[i].disk, x - FIRST);

				if (state != LEASE_FREE && state != LEASE_BACKUP)
					violate(w, "address-lost", x, -1,
						"%08x is %s at %c long after every lease is over",
						x, lease_state_name(state), "PS"[i]);
			}
}

static void balanced(struct world *w)
{
	const struct fo_conf *c = &w->s[0].conf;
	struct fo_share_rule rule = { .percent = c->share_secondary, .misbalance = c->misbalance };

	if (c->policy.hot_standby) {
		rule.percent =
			c->policy.active_is_primary ? c->standby_reserve : 100 - c->standby_reserve;
		rule.round_up = c->policy.active_is_primary;
	}
	for (unsigned r = 0; r < w->table.n_ranges; r++) {
		struct pool_counts k;

		if (w->ranges[r].flags & RANGE_RESERVED)
			continue;
		pool_counts_range(w->s[0].pool, r, &k);
		if (k.free + k.backup != k.total)
			violate(w, "address-lost", w->ranges[r].first, -1,
				"range %u: %u free and %u backup of %u", r, k.free, k.backup,
				k.total);
		if (fo_share_move(&rule, k.free, k.backup, false))
			violate(w, "unbalanced", w->ranges[r].first, -1,
				"range %u: %u free, %u backup, %u percent wanted", r, k.free,
				k.backup, rule.percent);
	}
}

void settle(struct world *w)
{
	int64_t wait;

	faults_over(w);
	reach_normal(w);
	agree(w);
	both_serve(w);
	wait = (last_end(w) - true_sec(w) + clocks_apart_sec(w)) * SEC;
	world_run(w, w->us + wait + clock_slack(w) + 75 * SEC); /* decision A14, and a balance */
	agree(w);
	all_free(w);
	balanced(w);
}
