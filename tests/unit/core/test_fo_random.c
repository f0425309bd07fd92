/*
 * Two endpoints under random faults: connections lost, silence, crashes at any moment, a partner
 * declared down. After every step no address is promised to two clients and nobody leads the
 * partner by more than MCLT (fo_world.h); after the faults both serve and agree.
 * decisions A2, A12. FO_SEED=n runs one seed, FO_SEEDS=n that many.
 */
#include "fo_pair.h"

#define STEPS 250

static bool down_declared(const struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct fo_end *e = w->n[i].up ? &w->n[i].ep->rec.end : &w->n[i].disk.rec.end;

		if (e->state == FO_PARTNER_DOWN ||
		    (e->state == FO_STARTUP && e->saved == FO_PARTNER_DOWN))
			return true;
	}
	return false;
}

static void clients(struct world *w)
{
	unsigned k = 1 + rnd(w) % 6;

	while (k--) {
		unsigned c = 1 + rnd(w) % (N_CLIENTS - 1);
		struct node *n = &w->n[rnd(w) % 2];

		if (rnd(w) % 8)
			(void)request(n, c, rnd(w) % 2);
		else
			release(n, c);
		if (!(rnd(w) % 3)) /* a broadcast: the other hears it, too */
			(void)request(&w->n[!n->i], c, false);
	}
}

/* PARTNER-DOWN is declared only of a server that is dead, and that is not cut off when it comes
 * back: else two clients may get one address, and nobody claims otherwise (A12). */
static void declare_down(struct world *w)
{
	struct node *n = &w->n[rnd(w) % 2];

	if (!n->up || w->n[!n->i].up)
		return;
	(void)operate(n, FO_EV_OP_PARTNER_DOWN, 0);
}

static void fault(struct world *w)
{
	struct node *n = &w->n[rnd(w) % 2];

	switch (rnd(w) % 8) {
	case 0:
	case 1:
		drop_link(w, NULL, FO_CLOSE_PEER);
		break;
	case 2:
		w->partition = !w->partition && !down_declared(w);
		break;
	case 3:
		w->partition = false;
		break;
	case 4:
		if (n->up)
			crash(n, rnd(w) % 2 || down_declared(w));
		break;
	case 5:
	case 6:
		for (unsigned i = 0; i < 2; i++)
			if (!w->n[i].up && rnd(w) % 2) {
				if (!w->n[!i].up || down_declared(w))
					w->partition = false;
				w->n[i].conf.share_secondary = 10 + (uint32_t)(rnd(w) % 9) * 10;
				boot(&w->n[i]);
			}
		break;
	default:
		declare_down(w);
		break;
	}
}

static void pass_time(struct world *w)
{
	static const int64_t us[] = { 100, 700, 2500, 30000, 400000, 1500000, 4000000, 13000000 };

	run_until(w, w->us + us[rnd(w) % 8] + (int64_t)(rnd(w) % 1000));
}

static unsigned runs_told, runs_refused;

/* Each binding sent is in one of the counters of what became of it. */
static void assert_counted(const struct node *n)
{
	const struct fo_counters *c = &n->ep->count;

	assert_int_equal(c->updates_sent, c->updates_acked + c->updates_rejected_by_partner +
						  c->updates_dropped + n->ep->unacked);
}

static void one_seed(uint64_t seed)
{
	struct world *w = new_world(1);

	w->rnd = seed * 0x9e3779b97f4a7c15ULL | 1;
	w->lease_time = 120;
	w->no_runs = !(seed % 5); /* a partner of the first version */
	w->n[0].conf.after_outage_hold = w->n[1].conf.after_outage_hold = true;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned i = 0; i < STEPS; i++) {
		clients(w);
		if (!(rnd(w) % 4))
			fault(w);
		pass_time(w);
	}
	w->partition = false;
	for (unsigned i = 0; i < 2; i++)
		if (!w->n[i].up)
			boot(&w->n[i]);
	/* 3 x (contact + startup) + MCLT, decision E6; then a refused update's second try */
	if (!settle(w, FO_NORMAL, FO_NORMAL, 3 * (3 + 5) + 30 + 62))
		fail_msg("not settled: P %s dirty %u, S %s dirty %u",
			 fo_state_name(state_of(&w->n[0])), dirty(&w->n[0]),
			 fo_state_name(state_of(&w->n[1])), dirty(&w->n[1]));
	assert_same(w, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_counted(&w->n[i]);
		runs_told += w->n[i].runs_left;
		runs_refused += w->n[i].runs_refused;
	}
	world_done(w);
}

static void test_random(void **state)
{
	uint64_t n = getenv("FO_SEEDS") ? strtoull(getenv("FO_SEEDS"), NULL, 10) : 120;

	(void)state;
	if (getenv("FO_SEED")) {
		one_seed(strtoull(getenv("FO_SEED"), NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++) {
		printf("seed %llu\r", (unsigned long long)seed);
		fflush(stdout);
		one_seed(seed);
	}
	printf("%llu seeds, %u runs told, %u refused\n", (unsigned long long)n, runs_told,
	       runs_refused);
	assert_true(n < 100 || (runs_told > n / 2 && runs_refused));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
