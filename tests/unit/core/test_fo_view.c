/*
 * What a state means for clients (§3.1 and decision A5); fo_view_narrow: while a view waits for its
 * commit nobody is promised what it takes away, nor yet what it gives.
 */
#include "fo_fsm_step.h"

/* --- §3.1 and decision A5: what a state means for clients ------------------------------------- */

static struct fo_policy_conf policy(void)
{
	struct fo_policy_conf c = { .active_is_primary = true,
				    .secs_threshold = 3,
				    .hash_identity = HASH_HARDWARE };

	memset(c.hba, 0xff, 16);
	c.hba[16] = 0x01;
	return c;
}

static void view_grid(void **state)
{
	static const struct {
		uint8_t own, serve;
		bool fresh, renew, balanced, down, may_hold, nak;
	} row[] = {
		{ 0, SERVE_NONE, 0, 0, 0, 0, 0, 0 },	{ ST, SERVE_NONE, 0, 0, 0, 0, 0, 0 },
		{ N, SERVE_BALANCE, 1, 1, 1, 0, 0, 1 }, { CI, SERVE_ALL, 1, 1, 0, 0, 1, 1 },
		{ PD, SERVE_ALL, 1, 1, 0, 1, 1, 1 },	{ PC, SERVE_NONE, 0, 0, 0, 0, 0, 0 },
		{ RI, SERVE_ALL, 1, 1, 0, 0, 1, 0 },	{ CD, SERVE_ALL, 1, 1, 0, 0, 1, 0 },
		{ R, SERVE_NONE, 0, 0, 0, 0, 0, 0 },	{ RW, SERVE_NONE, 0, 0, 0, 0, 0, 0 },
		{ RD, SERVE_NONE, 0, 1, 0, 0, 1, 0 },	{ PA, SERVE_NONE, 0, 0, 0, 0, 0, 0 },
		{ SD, SERVE_NONE, 0, 0, 0, 0, 0, 0 },
	};
	struct fo_policy_conf conf = policy();

	(void)state;
	for (size_t i = 0; i < LEN(row); i++)
		for (unsigned k = 0; k < 4; k++) {
			struct fo_end cur = end_in(row[i].own, k & 1);
			bool hold = k & 2;
			struct fo_view v = fo_fsm_view(&cur, &conf, MCLT, hold);
			bool held = hold && row[i].may_hold;

			if (v.policy.serve != (held ? SERVE_NONE : row[i].serve) ||
			    v.serve_new != (row[i].fresh && !held) || v.serve_renew != row[i].renew)
				fail_msg("%s hold %d: serve %u", fo_state_name(row[i].own), hold,
					 v.policy.serve);
			assert_int_equal(v.nak, row[i].nak && !held);
			assert_int_equal(v.balanced, row[i].balanced);
			assert_int_equal(v.partner_down, row[i].down);
			assert_int_equal(v.hold, held);
			assert_int_equal(v.primary, k & 1);
			assert_true(v.limited);
			assert_int_equal(v.mclt, MCLT);
			assert_int_equal(v.partner_pool_from,
					 row[i].down ? STOS + MCLT : SEC_INFINITE);
			assert_int_equal(v.policy.secs_threshold, 3);
			assert_int_equal(v.policy.hash_identity, HASH_HARDWARE);
			assert_int_equal(v.policy.generation, 0);
			assert_int_equal(fo_state_operational(row[i].own), row[i].renew);
		}
}

/* Load balance: every bucket belongs to one of the two. Hot standby: all to the active one. */
static void view_buckets(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		struct fo_policy_conf conf = policy();
		struct fo_end cur = end_in(N, k & 1);
		struct fo_view v;

		conf.hot_standby = k & 2;
		conf.active_is_primary = k & 4;
		v = fo_fsm_view(&cur, &conf, MCLT, false);
		for (unsigned b = 0; b < 256; b++) {
			bool owned = v.policy.owned[b / 8] >> b % 8 & 1;
			bool primarys = conf.hot_standby ? conf.active_is_primary : b <= 128;

			assert_int_equal(owned, primarys == cur.primary);
		}
	}
}

static void view_clamped(void **state)
{
	struct fo_policy_conf conf = policy();
	struct fo_end cur = end_in(PD, true);

	(void)state;
	cur.stos = SEC_MAX;
	assert_int_equal(fo_fsm_view(&cur, &conf, MCLT, false).partner_pool_from, SEC_MAX);
}

static void view_alone(void **state)
{
	const struct fo_view *v = &fo_view_alone;

	(void)state;
	assert_int_equal(v->policy.serve, SERVE_ALL);
	assert_true(v->primary && v->serve_new && v->serve_renew && v->nak);
	assert_false(v->hold || v->balanced || v->limited);
	assert_int_equal(v->mclt, 0);
	assert_true(v->partner_down);
	assert_int_equal(v->partner_pool_from, 0);
}

/* --- two views at once ------------------------------------------------------------------------ */

static struct fo_view view_of(unsigned state, bool hold)
{
	struct fo_end end = { .state = (uint8_t)state, .primary = true, .stos = 1000 };
	struct fo_policy_conf conf = { .hba = { 1 } };

	return fo_fsm_view(&end, &conf, 60, hold);
}

static void test_leaving_partner_down(void **state)
{
	struct fo_view down = view_of(FO_PARTNER_DOWN, false), n = view_of(FO_NORMAL, false), v;

	(void)state;
	v = fo_view_narrow(&down, &n);
	assert_false(v.partner_down);
	assert_int_equal(v.partner_pool_from, SEC_INFINITE);
	assert_true(v.balanced);
	assert_int_equal(v.policy.serve, SERVE_BALANCE);
	assert_true(v.serve_new && v.serve_renew);
	v = fo_view_narrow(&n, &down); /* nothing yet */
	assert_false(v.partner_down);
	assert_int_equal(v.partner_pool_from, SEC_INFINITE);
	assert_int_equal(v.policy.serve, SERVE_BALANCE);
}

static void test_never_more_than_both(void **state)
{
	static const uint8_t all[] = { FO_STARTUP, FO_NORMAL,	    FO_COMM_INT, FO_PARTNER_DOWN,
				       FO_RECOVER, FO_RECOVER_DONE, FO_PAUSED,	 FO_CONFLICT_DONE };

	(void)state;
	for (unsigned a = 0; a < sizeof(all); a++)
		for (unsigned b = 0; b < sizeof(all); b++) {
			struct fo_view x = view_of(all[a], false), y = view_of(all[b], b & 1);
			struct fo_view v = fo_view_narrow(&x, &y), same = fo_view_narrow(&x, &x);

			assert_int_equal(v.serve_new, x.serve_new && y.serve_new);
			assert_int_equal(v.serve_renew, x.serve_renew && y.serve_renew);
			assert_int_equal(v.hold, x.hold || y.hold);
			assert_int_equal(v.nak, x.nak && y.nak);
			assert_int_equal(v.balanced, x.balanced || y.balanced);
			assert_int_equal(v.partner_down, x.partner_down && y.partner_down);
			if (x.policy.serve == SERVE_NONE || y.policy.serve == SERVE_NONE)
				assert_int_equal(v.policy.serve, SERVE_NONE);
			assert_memory_equal(&same, &x, sizeof(x));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(view_grid),
		cmocka_unit_test(view_buckets),
		cmocka_unit_test(view_clamped),
		cmocka_unit_test(view_alone),
		cmocka_unit_test(test_leaving_partner_down),
		cmocka_unit_test(test_never_more_than_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
