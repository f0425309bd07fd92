/*
 * When a lease is over beside an ISC dhcpd, which corrects no clock, and who says so. It is played
 * by hand, see fo_isc_partner.h. failover-behaviour §4.2, §6.4, §7.
 */
#include "fo_isc_partner.h"

/* §4.2: the secondary leaves the end of a lease to an ISC primary, the primary tells it. */
static void test_who_expires(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = beside_isc(primary);
		struct node *n = primary ? P : S;
		struct fo_binding b;
		uint32_t addr;

		assert_true(request(n, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		b = take(n, addr, 2, NULL);
		assert_int_equal(b.status, LEASE_ACTIVE);
		for (unsigned i = 0; i < 5; i++) { /* the lead time is over */
			(void)take(n, addr, 15, NULL);
			contact(n);
		}
		if (primary) {
			assert_true(n->disk.l[addr - FIRST].state == LEASE_FREE ||
				    n->disk.l[addr - FIRST].state == LEASE_BACKUP);
			world_done(w);
			continue;
		}
		for (unsigned i = 0; i < 2; i++) { /* less than an ISC may lag */
			contact(n);
			assert_int_equal(take(n, addr, 15, NULL).status, 0);
		}
		assert_int_equal(n->disk.l[addr - FIRST].state, LEASE_ACTIVE);
		b = told(addr, LEASE_EXPIRED, 3);
		b.expires = n->disk.l[addr - FIRST].expires;
		assert_int_equal(update(n, &b), 0);
		assert_int_equal(n->disk.l[addr - FIRST].state, LEASE_FREE);
		world_done(w);
	}
}

/* §7: an ISC corrects nothing. One whose clock is ahead is told by its own clock when a lease ends,
 * else it would take one for over that still runs, and we refuse its word for that. One that looks
 * behind may only have been late: no end is told earlier than it was promised. */
static void test_ends_by_its_clock(void **state)
{
	static const int ahead[] = { 59, 1, 0, -1, -59 };

	(void)state;
	for (unsigned i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		uint32_t shift = ahead[i] > 1 ? (uint32_t)ahead[i] : 0, addr;
		struct fo_binding b, over, again;
		struct world *w;
		struct lease l;

		partner_ahead = ahead[i];
		w = beside_isc(false);
		assert_true(request(S, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		b = take(S, addr, 2, NULL);
		l = S->disk.l[addr - FIRST];
		assert_int_equal(b.status, LEASE_ACTIVE);
		assert_int_equal(b.expires, l.expires + shift);
		assert_int_equal(b.pet, l.sent_pet + shift);
		assert_int_equal(b.cltt, l.cltt + shift);
		assert_int_equal(b.stos, l.starts + shift);
		(void)take(S, addr, 3, NULL); /* acknowledgements are written late */
		assert_int_equal(S->disk.l[addr - FIRST].acked_pet, l.sent_pet);

		partner_ahead += shift ? 1 : 0; /* as whole seconds are compared */
		contact(S);
		again = told(addr, LEASE_ACTIVE, 3); /* what it was told, told again */
		again.expires = b.expires;
		again.pet = b.pet;
		assert_int_equal(update(S, &again), 0);
		assert_int_equal(S->disk.l[addr - FIRST].expires, l.expires);

		over = told(addr, LEASE_EXPIRED, 3);
		over.expires = b.expires;
		assert_int_equal(update(S, &over), FO_REJECT_OUTDATED);
		(void)take(S, addr, 10, NULL);
		while (now_sec(w) < l.expires) {
			contact(S);
			(void)take(S, addr, 1, NULL);
		}
		assert_int_equal(update(S, &over), 0);
		assert_int_equal(S->disk.l[addr - FIRST].state, LEASE_FREE);
		world_done(w);
	}
	partner_ahead = 0;
}

static void wait_a(struct world *w, struct node *n, double sec)
{
	for (double t = 0; t < sec; t += 2) {
		run(w, 2);
		contact(n);
	}
}

/* What a secondary found expired while it was alone is the primary's to tell as well; it is told
 * all the same when nothing comes for longer than an ISC may lag. */
static void test_expired_alone(void **state)
{
	struct world *w = beside_isc(false);
	struct lease l = *pool_get(S->pool, FIRST + 10);
	struct lease_client c = client_of(5);

	(void)state;
	l.state = LEASE_EXPIRED;
	l.acked_state = LEASE_ACTIVE;
	l.flags = LEASE_DIRTY;
	l.serial++;
	l.stos = now_sec(w);
	l.key = lease_client_key(&secret, &c);
	(void)pool_apply(S->pool, &l, S->open);
	put(S, &l, &c);
	turn_end(S);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(take(S, l.addr, 15, NULL).status, 0);
		contact(S);
	}
	wait_a(w, S, 2);
	for (unsigned i = 0; i < 10 && S->disk.l[10].state != LEASE_FREE; i++) {
		(void)take(S, l.addr, 15, NULL);
		contact(S);
	}
	assert_int_equal(S->disk.l[10].state, LEASE_FREE);
	world_done(w);
}

/* An ISC reads the times that it is told by its own clock, however far behind that is: what it may
 * promise lasts so much longer by ours. After a restart, too, when it is not there to be known. */
static void test_waits_for_a_slow_clock(void **state)
{
	(void)state;
	for (unsigned again = 0; again < 2; again++) {
		struct world *w = beside_isc(true);
		uint32_t stos, addr, at;
		const struct lease *l;

		if (again)
			P->conf.dialect = FO_DIALECT_AUTO;
		assert_true(request(P, 3, true));
		run(w, 0.1);
		addr = w->client_addr[3];
		(void)take(P, addr, 4, NULL);
		drop_link(w, NULL, FO_CLOSE_PEER);
		assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
		run(w, 1);
		if (again) {
			crash(P, true);
			boot(P);
			run(w, P->conf.startup_sec + 1);
		}
		assert_int_equal(state_of(P), FO_PARTNER_DOWN);
		stos = P->disk.rec.end.stos;
		l = pool_get(P->pool, addr);
		at = (l->acked_pet > l->sent_pet ? l->acked_pet : l->sent_pet) + 30 + 60;
		assert_true(l->acked_pet > stos);
		assert_int_equal(P->view.partner_pool_from, stos + 30 + 5 + 60);
		assert_int_equal(binding_reclaim_at(&P->view, l, stos), at);
		world_done(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_expires),
		cmocka_unit_test(test_ends_by_its_clock),
		cmocka_unit_test(test_expired_alone),
		cmocka_unit_test(test_waits_for_a_slow_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
