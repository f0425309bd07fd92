/*
 * fo_view_narrow: while a view waits for its commit nobody is promised what it takes away, nor yet
 * what it gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "core/fo_fsm.h"

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
		cmocka_unit_test(test_leaving_partner_down),
		cmocka_unit_test(test_never_more_than_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
