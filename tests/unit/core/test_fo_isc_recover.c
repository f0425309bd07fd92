/*
 * A server that lost its storage asks an ISC dhcpd for all, which may leave out what it believes to
 * be on its way. It is played by hand, see fo_isc_partner.h. failover-behaviour §3.6, §3.7.
 */
#include "fo_isc_partner.h"

/* In RECOVER an ISC is asked for everything, and every request of its own is answered once, with
 * the latest number. */
static void test_asks_for_all(void **state)
{
	struct world *w = meets(false, FO_RECOVER, FO_PARTNER_DOWN, false);
	const struct fo_msg *m;
	struct fo_writer wr;

	(void)state;
	assert_non_null(heard(S, FO_UPDREQALL));
	begin(S, &wr, FO_UPDREQALL, 0, 70);
	say(S, &wr);
	begin(S, &wr, FO_UPDREQALL, 0, 71);
	say(S, &wr);
	m = heard_within(S, FO_UPDDONE, 1.2); /* a second walk begins a second later */
	assert_non_null(m);
	assert_int_equal(m->xid, 71);
	world_done(w);
}

/* Refusals sent within @sec: each address, from FIRST + 10 on, at most once. Return: which. */
static uint64_t refused_within(struct node *n, double sec)
{
	static struct fo_msg m;
	struct fo_binding b;
	uint64_t which = 0;

	run(n->w, sec);
	for (struct in_air *a = n->w->n[!n->i].wire; a; a = a->next) {
		unsigned cursor = 0;

		assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
		if (m.type != FO_BNDACK)
			continue;
		assert_true(fo_msg_next_binding(&m, &cursor, &b));
		if (!b.reject)
			continue;
		assert_int_not_equal(m.xid, 0); /* an ISC takes that for none */
		assert_in_range(b.addr, FIRST + 10, FIRST + 73);
		assert_false(which >> (b.addr - FIRST - 10) & 1);
		which |= 1ULL << (b.addr - FIRST - 10);
	}
	clear_queues(&n->w->n[!n->i]);
	return which;
}

/* What waits for its acknowledgement is left out of the answer. Return: xid of UPDREQALL. */
static uint32_t asked_behind_acks(struct node *n)
{
	static struct fo_msg m;
	struct in_air *a;
	uint8_t before = 0;

	assert_null(n->w->n[!n->i].wire);
	run(n->w, 0.08);
	for (a = n->w->n[!n->i].wire; a && a->msg[2] != FO_UPDREQALL; a = a->next)
		before = a->msg[2];
	assert_non_null(a);
	assert_int_equal(before, FO_BNDACK);
	assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
	clear_queues(&n->w->n[!n->i]);
	return m.xid;
}

#define LAST_TEN 0xffc0000000000000ULL

/* UPDDONE before all is told: what an ISC kept to itself is refused, all is asked for again, and
 * only then relied on. What was on its way behind UPDDONE is waited for. */
static void test_left_out_is_refused(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = meets(primary, FO_RECOVER, FO_PARTNER_DOWN, false);
		struct node *n = primary ? P : S;
		uint32_t first, second;

		first = heard(n, FO_UPDREQALL)->xid;
		isc_tells(n, 0, 54);
		isc_done(n, first);
		assert_int_equal(state_of(n), FO_RECOVER);
		assert_int_equal(refused_within(n, 0.9), 0);
		assert_int_equal(refused_within(n, 0.2), LAST_TEN);
		run(w, 0.86);
		isc_tells(n, 3, 4);
		second = asked_behind_acks(n);
		assert_int_not_equal(second, first);
		isc_tells(n, 54, 64); /* told now, but of the others it may have news */
		isc_done(n, first);
		assert_int_equal(refused_within(n, 1.5), 0); /* that was said of the first time */
		assert_int_equal(state_of(n), FO_RECOVER);
		isc_tells(n, 0, 53);
		isc_done(n, second);
		assert_int_equal(state_of(n), FO_RECOVER);
		run(w, 0.5);
		isc_tells(n, 53, 54);
		assert_int_equal(state_of(n), FO_RECOVER_WAIT);
		clear_queues(&w->n[!n->i]);
		assert_int_equal(refused_within(n, 8), 0);
		world_done(w);
	}
}

/* Its window is full of what it will never hear of again: it says nothing at all. */
static void test_silent_is_unstuck(void **state)
{
	static const uint8_t in[] = { FO_RECOVER, FO_POTENTIAL_CONFLICT };

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++) { /* UPDREQALL, UPDREQ */
		struct world *w =
			meets(true, in[i], i ? FO_POTENTIAL_CONFLICT : FO_PARTNER_DOWN, false);

		run(w, 0.1);
		isc_tells(P, 0, 10);
		assert_int_equal(refused_within(P, 4.5), 0);
		isc_tells(P, 0, 10); /* once more the same is no progress */
		assert_int_equal(refused_within(P, 0.6), ~0x3ffULL);
		isc_tells(P, 10, 54); /* that helped */
		assert_int_equal(refused_within(P, 4.5), 0);
		assert_null(heard(P, FO_UPDREQALL));
		isc_done(P, P->ep->asked_xid);
		if (i) { /* of UPDREQ nobody knows what belongs to it */
			assert_int_equal(state_of(P), FO_CONFLICT_DONE);
			world_done(w);
			continue;
		}
		assert_non_null(heard_within(P, FO_UPDREQALL, 1.1));
		isc_tells(P, 0, 64);
		isc_done(P, P->ep->asked_xid);
		assert_int_equal(state_of(P), FO_RECOVER_WAIT);
		world_done(w);
	}
}

/* Addresses that the ISC does not have: asked three times, told to the operator, and done. */
static void test_left_out_for_good(void **state)
{
	struct world *w = meets(false, FO_RECOVER, FO_PARTNER_DOWN, false);
	unsigned asked = 0;

	(void)state;
	for (double t = 0; t < 12 && state_of(S) == FO_RECOVER; t += 0.5) {
		if (heard_within(S, FO_UPDREQALL, 0.5)) {
			asked++;
			isc_tells(S, 0, 60);
			isc_done(S, S->ep->asked_xid);
		}
	}
	assert_int_equal(asked, 3);
	assert_int_equal(state_of(S), FO_RECOVER_WAIT);
	world_done(w);
}

/* Reserved addresses are not awaited (decision A22). */
static void test_reserved_is_not_awaited(void **state)
{
	struct world *w = meets(true, FO_RECOVER, FO_PARTNER_DOWN, false);
	struct lease l = *pool_get(P->pool, FIRST + 10 + 20);

	(void)state;
	l.flags |= LEASE_RESERVED;
	(void)pool_apply(P->pool, &l, P->open);
	isc_tells(P, 0, 20);
	isc_tells(P, 21, 64);
	isc_done(P, P->ep->asked_xid);
	assert_int_equal(state_of(P), FO_RECOVER_WAIT);
	world_done(w);
}

/* It asks for all while we wait for its own news: nothing is due before these have come. */
static void test_asked_while_its_news_are_awaited(void **state)
{
	struct world *w = meets(true, FO_COMM_INT, FO_NORMAL, false);
	struct fo_writer wr;

	(void)state;
	run(w, 0.1);
	assert_true(P->ep->first_xid);
	begin(P, &wr, FO_UPDREQALL, 0, 70);
	say(P, &wr);
	run(w, 1); /* asserts that time moves */
	assert_true(P->ep->first_xid && P->ep->dump.active);
	assert_true(fo_endpoint_next(P->ep).us > w->us);
	isc_done(P, P->ep->first_xid);
	assert_int_equal(P->ep->first_xid, 0);
	assert_non_null(heard(P, FO_BNDUPD));
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_for_all),
		cmocka_unit_test(test_left_out_is_refused),
		cmocka_unit_test(test_silent_is_unstuck),
		cmocka_unit_test(test_left_out_for_good),
		cmocka_unit_test(test_reserved_is_not_awaited),
		cmocka_unit_test(test_asked_while_its_news_are_awaited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
