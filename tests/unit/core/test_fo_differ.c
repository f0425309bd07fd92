/*
 * Two servers whose stores have nothing in common, as after somebody who was not the partner has
 * talked to one of them in its name: whatever each believes, told or untold, they agree within
 * seconds. Two endpoints over memory, see fo_world.h. failover-behaviour §5.5; decision A13.
 */
#include "fo_pair.h"

enum { SEEDS = 400, SECONDS = 12 };

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)(rnd(w) >> 20) % n;
}

static uint32_t any_serial(struct world *w)
{
	static const uint32_t odd[] = { 1, 4000, 0x3ffffffe, 0x3fffffff };

	return below(w, 4) ? 1 + below(w, 6) : odd[below(w, 4)];
}

static uint32_t any_time(struct world *w)
{
	static const uint32_t odd[] = { 0, 1, SEC_MAX };

	return below(w, 4) ? (uint32_t)(BASE + w->us / SEC) + below(w, 900) : odd[below(w, 3)];
}

/* As it might stand in a store: what was told is acknowledged, what is dirty may be. */
static struct lease any_lease(struct world *w, uint32_t addr, unsigned state)
{
	uint32_t now = (uint32_t)(BASE + w->us / SEC);
	bool told = below(w, 2);

	return (struct lease){ .addr = addr,
			       .state = (uint8_t)state,
			       .acked_state = (uint8_t)(told ? state : 1 + below(w, 7)),
			       .flags = told ? 0 : LEASE_DIRTY,
			       .serial = any_serial(w),
			       .stos = now - below(w, 100),
			       .cltt = now - below(w, 100) };
}

static void put_record(struct node *n)
{
	struct world *w = n->w;
	const struct addr_range *r = &w->ranges[below(w, 2)];
	struct lease l = any_lease(w, r->first + below(w, r->last - r->first + 1), 1 + below(w, 7));
	struct lease_client c = client_of(1 + below(w, N_CLIENTS - 1));

	l.expires = any_time(w);
	l.sent_pet = below(w, 2) ? any_time(w) : 0;
	l.acked_pet = below(w, 2) ? l.sent_pet : 0;
	l.rcvd_pet = below(w, 2) ? any_time(w) : 0;
	if (l.state == LEASE_ABANDONED || (lease_is_free(&l) && below(w, 2)))
		memset(&c, 0, sizeof(c));
	l.key = lease_client_key(&secret, &c);
	TURN(n, now);
	fo_store(n->ep, &l, &c);
	turn_end(n);
}

static void put_run(struct node *n)
{
	struct world *w = n->w;
	const struct addr_range *r = &w->ranges[below(w, 2)];
	uint32_t k = below(w, r->last - r->first + 1), most = r->last - r->first + 1 - k;
	struct lease l = any_lease(w, r->first + k, below(w, 2) ? LEASE_FREE : LEASE_BACKUP);

	l.acked_state = l.flags & LEASE_DIRTY ? l.acked_state : l.state;
	l.cltt = 0;
	TURN(n, now);
	(void)fo_store_run(n->ep, &l, 1 + below(w, below(w, 2) ? most : most < 4 ? most : 4));
	turn_end(n);
}

static void invent(struct node *n)
{
	unsigned many = 1 + below(n->w, 60);

	for (unsigned i = 0; i < many; i++) {
		if (below(n->w, 3))
			put_record(n);
		else
			put_run(n);
		run(n->w, 0.01);
	}
}

/* Apart, each in its own world; then they meet. */
static void differ(uint64_t seed, bool conflict)
{
	struct world *w = normal_pair();

	w->rnd = seed * 0x9e3779b97f4a7c15ULL | 1;
	w->check_promises = false;
	w->lied_to = true;
	w->partition = true;
	run(w, 5);
	if (conflict) {
		assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
		assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	}
	invent(P);
	invent(S);
	w->partition = false;
	if (below(w, 2)) {
		crash(S, true);
		boot(S);
	}
	if (!settle(w, FO_NORMAL, FO_NORMAL, SECONDS))
		fail_msg("seed %u%s: %s with %u to tell, %s with %u", (unsigned)seed,
			 conflict ? ", conflict" : "", fo_state_name(state_of(P)), dirty(P),
			 fo_state_name(state_of(S)), dirty(S));
	world_done(w);
}

static void test_strangers_agree(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		differ(seed, false);
}

static void test_strangers_agree_after_conflict(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		differ(seed, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strangers_agree),
		cmocka_unit_test(test_strangers_agree_after_conflict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
