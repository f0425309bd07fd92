/*
 * What a partner that lost its storage, or was long away, is told and may say: all that was there
 * when it asked, also what was renewed meanwhile; and nobody hears from it that a lease is over
 * which it may have renewed and forgotten. failover-behaviour §3.6, §5.6; decision A7.
 */
#include "fo_pair.h"
#include "core/pool_priv.h"

static struct world *pair_with_window(uint32_t window)
{
	struct world *w = new_world(1);

	w->n[0].conf.max_unacked = w->n[1].conf.max_unacked = window;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	return w;
}

static void lease_to(struct world *w, unsigned n)
{
	for (unsigned c = 1; c <= n; c++)
		assert_true(request(&w->n[0], c, true));
	run(w, 1);
}

static void lose_secondary(struct world *w)
{
	crash(&w->n[1], true);
	lose_disk(&w->n[1]);
	run(w, 2);
}

/* UPDREQALL waits behind an update that is on its way, and a binding that the walk has yet to reach
 * is renewed: it goes with its newer contents, and before UPDDONE. */
static void test_renewed_during_dump(void **state)
{
	struct world *w = pair_with_window(1);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t a;

	(void)state;
	lease_to(w, 8);
	lose_secondary(w);
	w->check_promises = false;	  /* which reads the disk that is gone */
	assert_true(request(p, 1, true)); /* to be told at once */
	boot(s);
	for (unsigned i = 0; i < 100000 && !p->ep->dump.active; i++)
		run(w, 0.0001);
	assert_true(p->ep->dump.active);
	assert_int_equal(p->ep->n_flights, 1);
	assert_true(request(p, 5, true));
	p->commit_at = w->us + SEC / 2; /* a slow disk: its turn comes before its commit */
	a = w->client_addr[5];
	for (unsigned i = 0; i < 100000 && state_of(s) == FO_RECOVER; i++)
		run(w, 0.0001);
	assert_int_equal(state_of(s), FO_RECOVER_WAIT);
	assert_int_equal(pool_get(s->pool, a)->state, LEASE_ACTIVE);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	world_done(w);
}

/* The end of a lease, which who lost its storage refuses, is on its way when the client renews:
 * that is told in its place, before UPDDONE. */
static void test_renewed_while_refused(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t a;

	(void)state;
	lease_to(w, 1);
	a = w->client_addr[1];
	lose_secondary(w);
	w->check_promises = false; /* which reads the disk that is gone */
	assert_null(operate(p, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 35);
	assert_int_equal(pool_get(p->pool, a)->state, LEASE_EXPIRED);
	p->ep->rec.stranger = true; /* so that STATE waits for no commit */
	boot(s);
	for (unsigned i = 0; i < 100000 && p->ep->rec.end.peer != FO_RECOVER; i++)
		run(w, 0.0001);
	p->commit_at = w->us + SEC / 2; /* it waits for the disk until the request has come */
	for (unsigned i = 0; i < 100000 && !s->refusals; i++)
		run(w, 0.0001);
	assert_int_equal(s->refusals, 1);
	assert_true(pool_is_in_flight(p->pool, a) && p->ep->dump.active);
	acknowledge(p, pool_get(p->pool, a), 1, false);
	turn_end(p);
	p->commit_at = w->us + SEC / 2; /* and the refusal comes before it is written */
	for (unsigned i = 0; i < 100000 && state_of(s) == FO_RECOVER; i++)
		run(w, 0.0001);
	assert_int_equal(state_of(s), FO_RECOVER_WAIT);
	assert_int_equal(pool_get(s->pool, a)->rcvd_pet, pool_get(p->pool, a)->sent_pet);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	world_done(w);
}

/* Client 1 has a long lease, and renews it at @n, which nobody else hears. Return: its end. */
static uint32_t renew_unheard(struct node *n)
{
	struct world *w = n->w;

	lease_to(w, 1);
	assert_true(request(&w->n[0], 1, true));
	run(w, 1);
	w->partition = true;
	run(w, 50);
	assert_true(request(n, 1, true));
	run(w, 1);
	return w->promise[w->client_addr[1] - FIRST].until;
}

/* The secondary renews a lease, unheard, and loses its storage. The primary, in PARTNER-DOWN, takes
 * the lease for over: it must not be told that it is. */
static void test_forgotten_promise(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t a, ends;

	(void)state;
	w->lease_time = 60;
	ends = renew_unheard(s);
	a = w->client_addr[1] - FIRST;
	lose_secondary(w);
	assert_null(operate(p, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 20);
	assert_int_equal(p->disk.l[a].state, LEASE_EXPIRED);
	w->partition = false;
	boot(s);
	run(w, 5);
	assert_int_equal(state_of(s), FO_RECOVER_WAIT);
	assert_true(ends > (uint32_t)now_of(p).wall.sec);
	assert_int_equal(p->disk.l[a].state, LEASE_EXPIRED);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 120));
	run(w, 70);
	assert_int_equal(p->disk.l[a].state, LEASE_BACKUP); /* its client is the secondary's */
	world_done(w);
}

/* The operator knows that the partner has been dead for long: what has ended meanwhile is free as
 * soon as PARTNER-DOWN is in force, not when somebody happens to look again. */
static void test_reclaim_when_in_force(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0];
	uint32_t a, since;

	(void)state;
	w->lease_time = 60;
	lease_to(w, 1);
	a = w->client_addr[1] - FIRST;
	crash(&w->n[1], true);
	since = (uint32_t)now_of(p).wall.sec;
	run(w, 185); /* its potential expiry and MCLT are over */
	assert_int_equal(p->disk.l[a].state, LEASE_EXPIRED);
	assert_null(operate(p, FO_EV_OP_PARTNER_DOWN, since));
	run(w, 1);
	assert_int_equal(p->disk.l[a].state, LEASE_FREE);
	world_done(w);
}

static void lower_lead(struct node *n)
{
	n->conf.mclt = 20;
	restart(n);
}

/* In PARTNER-DOWN, a lease by its record on disk: EXPIRED until then. */
static void is_reclaimed_at(struct node *n, const struct lease *l, uint32_t at)
{
	run(n->w, at - 1 - (double)now_of(n).wall.sec);
	assert_int_equal(state_of(n), FO_PARTNER_DOWN);
	assert_int_equal(l->state, LEASE_EXPIRED);
	run(n->w, 3);
	assert_int_equal(l->state, LEASE_FREE);
}

/* The lead time was lowered just before: the partner may have promised by the former one, also on
 * a lease that ends when that has passed, and when the primary was started anew (decision A16). */
static void test_reclaim_after_a_lowered_lead(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0];
	const struct lease *l;
	uint32_t end;

	(void)state;
	w->lease_time = 120;
	lease_to(w, 1);
	l = &p->disk.l[w->client_addr[1] - FIRST];
	lower_lead(p);
	assert_true(request(p, 1, true));
	secondary_down(w, 1);
	run(w, 1);
	end = l->sent_pet > l->rcvd_pet ? l->sent_pet : l->rcvd_pet;
	assert_int_equal(p->view.mclt, 20);
	run(w, 40);
	crash(p, true);
	boot(p);
	is_reclaimed_at(p, l, end + 30);
	world_done(w);
}

/* Long after it was lowered, too: of a lease that was renewed just before, and told by an update
 * that never arrived, the former one and the end known then decide. */
static void test_former_lead_outlives_the_leases(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0];
	const struct lease *l;
	uint32_t end;

	(void)state;
	w->lease_time = 600;
	lease_to(w, 1);
	run(w, 1);
	assert_true(request(p, 1, true)); /* for longer than the lead time, since the partner knows */
	run(w, 1);
	l = &p->disk.l[w->client_addr[1] - FIRST];
	lower_lead(p);
	secondary_down(w, 100); /* the former lead time has passed by the clock */
	run(w, 1);
	end = l->sent_pet > l->acked_pet ? l->sent_pet : l->acked_pet;
	assert_true(end > now_of(p).wall.sec + 100);
	is_reclaimed_at(p, l, end + 30);
	world_done(w);
}

/* In PARTNER-DOWN clients come and go all the time. What they change after the request does not
 * keep the partner from hearing that it has been told everything (failover-behaviour §5.6). */
static void test_dump_ends_under_load(void **state)
{
	struct world *w = pair_with_window(100);
	struct node *p = &w->n[0], *s = &w->n[1];

	(void)state;
	lease_to(w, 12);
	secondary_down(w, 2);
	run(w, 1);
	boot(s);
	for (unsigned i = 0, c = 0; i < 2000 && state_of(s) != FO_RECOVER_WAIT; i++, c++) {
		c %= 12;
		if (w->client_addr[c + 1])
			release(p, c + 1);
		else
			(void)request(p, c + 1, true);
		run(w, 0.005);
	}
	assert_int_equal(state_of(s), FO_RECOVER_WAIT);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	world_done(w);
}

/* The primary renews a lease, unheard, and loses its storage. What the secondary last heard of it
 * ends earlier than the client was told, and the wait is over before that, too. */
static void forget_renewal(double away)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t a, ends;

	w->lease_time = 100;
	ends = renew_unheard(p);
	a = w->client_addr[1] - FIRST;
	assert_true(s->disk.l[a].expires + 40 < ends);
	crash(p, true);
	lose_disk(p);
	run(w, away);
	w->partition = false;
	boot(p);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_true(ends > (uint32_t)now_of(p).wall.sec);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(w->n[i].disk.l[a].state, LEASE_ACTIVE);
		assert_true(w->n[i].disk.l[a].expires >= ends);
		assert_int_equal(w->n[i].disk.c[a].chaddr[5], 1);
	}
	run(w, 120); /* and it ends, on both */
	assert_true(p->disk.l[a].state == LEASE_FREE || p->disk.l[a].state == LEASE_BACKUP);
	assert_int_equal(s->disk.l[a].state, p->disk.l[a].state);
	world_done(w);
}

static void test_forgotten_renewal_runs_there(void **state)
{
	(void)state;
	forget_renewal(1);
}

static void test_forgotten_renewal_ended_there(void **state)
{
	(void)state;
	forget_renewal(52);
}

/* The clocks differ too much while a server recovers: what it refuses the partner would never tell
 * again, so it is not done with recovering (decision A21). */
static void test_recover_beside_skew(void **state)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t a;

	(void)state;
	lease_to(w, 1);
	assert_true(request(p, 1, true));
	run(w, 1);
	a = w->client_addr[1] - FIRST;
	crash(s, true);
	lose_disk(s);
	run(w, 2);
	s->skew = 200;
	boot(s);
	run(w, 90); /* longer than the wait for what it may have promised */
	assert_int_equal(state_of(s), FO_RECOVER);
	assert_int_not_equal(s->disk.l[a].state, LEASE_ACTIVE);
	s->skew = 0;
	run(w, 6);
	assert_int_equal(s->disk.l[a].state, LEASE_ACTIVE);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 300)); /* it started by the wrong clock */
	world_done(w);
}

/* The secondary lacks a range: what it refuses of it is tried again in an hour, and meanwhile keeps
 * no address of the others from moving (decision A16). */
static void test_refused_range_blocks_no_other(void **state)
{
	struct scope_table all;
	struct world *w = pair_with_own_scope(3, true, &all);
	struct node *p = &w->n[0], *s = &w->n[1];

	(void)state;
	assert_true(dirty(p) >= FO_BALANCE_CHUNK);
	assert_int_equal(count_state(s, 0, LEASE_BACKUP), range_size[0] / 2);
	p->conf.share_secondary = 80;
	run(w, 70);
	assert_int_equal(count_state(s, 0, LEASE_BACKUP), range_size[0] * 80 / 100);
	world_done(w);
}

/* The table of runs is full: what would be one more goes address by address, and what is there
 * changes hands all the same. Memory and disk never say two things. */
static void test_no_room_for_runs(void **state)
{
	(void)state;
	for (unsigned share = 20; share <= 80; share += 60) {
		struct world *w = pair_with_window(10);
		struct node *p = &w->n[0], *s = &w->n[1];

		run(w, 2);
		assert_int_equal(p->pool->used_runs, p->pool->n_runs);
		p->pool->max_runs = p->pool->n_runs;
		p->conf.share_secondary = share;
		run(w, 70);
		assert_int_equal(p->pool->max_runs, p->pool->n_runs);
		assert_int_equal(count_state(s, 0, LEASE_BACKUP), range_size[0] * share / 100);
		assert_same(w, 0);
		crash(p, true);
		run(w, 1);
		boot(p);
		assert_int_equal(count_state(p, 0, LEASE_BACKUP), range_size[0] * share / 100);
		world_done(w);
	}
}

/* As news that the partner has refused: told again in an hour. */
static void refused_before(struct node *n)
{
	n->ep->retry_sec = FO_RETRY_MAX_SEC;
	fo_retry_later(n->ep, FO_REJECT_LESS_CRITICAL);
	turn_end(n);
}

/* News of address or run @addr, @ahead of what both know. */
static void news(struct node *n, uint32_t addr, bool whole_run, uint32_t ahead)
{
	struct lease d = fo_mark_dirty(whole_run ? pool_run_next(n->pool, addr)
						 : pool_get(n->pool, addr));

	assert_int_equal(d.addr, addr);
	d.serial += ahead;
	n->ep->now = now_of(n);
	n->ep->batch = n->open;
	if (whole_run)
		fo_store_run(n->ep, &d, pool_run_length(n->pool, pool_run_next(n->pool, addr)));
	else
		fo_store(n->ep, &d, NULL);
}

/* Both hold news of it, and the later one was refused before: who refuses the other's in favour of
 * it tells it now, not in an hour. */
static void later_news_is_told(bool whole_run)
{
	struct world *w = pair_with_window(10);
	struct node *p = &w->n[0], *s = &w->n[1];
	uint32_t addr;

	lease_to(w, 1);
	assert_true(request(p, 1, true));
	run(w, 5);
	assert_int_equal(dirty(p) + dirty(s), 0);
	addr = whole_run ? fo_next_run(s->ep, 0)->addr : w->client_addr[1];
	news(s, addr, whole_run, 5);
	if (whole_run)
		pool_run_in_flight(s->pool, addr, true);
	else
		pool_in_flight(s->pool, addr, true);
	refused_before(s);
	run(w, 5);
	assert_int_equal(dirty(s), 1);
	news(p, addr, whole_run, 1);
	turn_end(p);
	run(w, 4);
	assert_int_equal(dirty(p) + dirty(s), 0);
	world_done(w);
}

static void test_later_news_is_told(void **state)
{
	(void)state;
	later_news_is_told(false);
}

static void test_later_news_of_a_run_is_told(void **state)
{
	(void)state;
	later_news_is_told(true);
}

/* Both have lost what they did last, or are told so: each keeps a lease as long as its own
 * forgotten renewals may last, once. What the other makes of that is no news of before. */
static void test_both_have_lost(void **state)
{
	struct world *w = pair_with_window(10);
	uint32_t a, ends, latest;

	(void)state;
	lease_to(w, 1);
	a = w->client_addr[1];
	latest = pool_get(P->pool, a)->sent_pet + 2 * P->conf.mclt;
	w->check_promises = false; /* which reads the disks */
	crash(P, true);
	run(w, 45); /* over by one, running by the other */
	assert_int_equal(pool_get(S->pool, a)->state, LEASE_EXPIRED);
	crash(S, true);
	P->disk.rec.end.lost_storage = S->disk.rec.end.lost_storage = true;
	boot(P);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	ends = pool_get(P->pool, a)->expires;
	assert_in_range(ends, latest - P->conf.mclt, latest);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump_ends_under_load),
		cmocka_unit_test(test_refused_range_blocks_no_other),
		cmocka_unit_test(test_no_room_for_runs),
		cmocka_unit_test(test_renewed_during_dump),
		cmocka_unit_test(test_both_have_lost),
		cmocka_unit_test(test_renewed_while_refused),
		cmocka_unit_test(test_forgotten_promise),
		cmocka_unit_test(test_reclaim_when_in_force),
		cmocka_unit_test(test_reclaim_after_a_lowered_lead),
		cmocka_unit_test(test_former_lead_outlives_the_leases),
		cmocka_unit_test(test_forgotten_renewal_runs_there),
		cmocka_unit_test(test_forgotten_renewal_ended_there),
		cmocka_unit_test(test_recover_beside_skew),
		cmocka_unit_test(test_later_news_is_told),
		cmocka_unit_test(test_later_news_of_a_run_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
