/*
 * The shares of a pair of which one is an ISC dhcpd: asked for, given and given back, never taken.
 * It is played by hand, see fo_isc_partner.h. failover-behaviour §6.2, §6.3.
 */
#include "fo_isc_partner.h"

/* An address that it is given: its potential expiry lies ahead, so that an ISC which has leased it
 * by now refuses; the second try is without. */
static void test_share_is_refusable(void **state)
{
	struct world *w = isc_normal();
	const struct fo_msg *m = heard(P, FO_BNDUPD);
	unsigned cursor = 0;
	struct fo_binding b;

	(void)state;
	assert_true(fo_msg_next_binding(m, &cursor, &b));
	assert_int_equal(b.status, LEASE_BACKUP);
	assert_in_range(b.pet, m->time + 1, m->time + FO_SHARE_PET_SEC);
	world_done(w);
}

static void test_asks_an_isc_primary(void **state)
{
	struct world *w = alone(false);

	(void)state;
	isc_link(S);
	isc_tells_all(S);
	state_from(S, FO_RECOVER_DONE);
	assert_non_null(heard_within(S, FO_POOLREQ, 1)); /* on entry to NORMAL */
	for (unsigned i = 0; i < 5; i++) {
		assert_null(heard_within(S, FO_POOLREQ, 11));
		contact(S);
	}
	assert_non_null(heard_within(S, FO_POOLREQ, 10)); /* once a minute */
	world_done(w);
}

/* An ISC knows halves only, in hot standby as well. */
static void test_halves_in_hot_standby(void **state)
{
	struct world *w = alone(true);

	(void)state;
	P->conf.policy.hot_standby = P->conf.policy.active_is_primary = true;
	P->conf.standby_reserve = 5;
	isc_link(P);
	isc_tells_all(P);
	state_from(P, FO_RECOVER_DONE);
	state_from(P, FO_NORMAL);
	(void)take(P, 0, 1, NULL);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 32);
	world_done(w);
}

static void test_gives_back_when_asked(void **state)
{
	struct world *w = beside_isc(false);
	const struct fo_msg *m;
	struct fo_writer wr;
	uint32_t n = 0;

	(void)state;
	for (unsigned i = 32; i < 52; i++) {
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(S, &b), 0);
	}
	begin(S, &wr, FO_POOLREQ, 0, 40);
	say(S, &wr);
	m = heard_within(S, FO_POOLRESP, 0.01);
	assert_non_null(m);
	assert_int_equal(m->xid, 40);
	assert_true(fo_msg_u32(m, FO_OPT_ADDRESSES_TRANSFERRED, &n));
	assert_int_equal(n, 20);
	(void)take(S, 0, 1, NULL);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 32);
	world_done(w);
}

/* An ISC secondary may have leased any address that is its own: it is not taken back, but asked. */
static void test_never_takes_from_an_isc(void **state)
{
	struct world *w = beside_isc(true);
	unsigned polled = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) { /* it says that all is its own */
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(P, &b), 0);
	}
	for (unsigned i = 0; i < 14; i++) {
		run(w, 10);
		for (struct in_air *a = S->wire; a; a = a->next) {
			assert_int_not_equal(a->msg[2], FO_BNDUPD);
			polled += a->msg[2] == FO_POOLREQ;
		}
		contact(P);
	}
	assert_in_range(polled, 2, 3);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share_is_refusable),
		cmocka_unit_test(test_asks_an_isc_primary),
		cmocka_unit_test(test_halves_in_hot_standby),
		cmocka_unit_test(test_gives_back_when_asked),
		cmocka_unit_test(test_never_takes_from_an_isc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
