/*
 * The failover state machine and its operator: partner-down, pause, shutdown, resume (decisions A10
 * and A23).
 */
#include "fo_fsm_step.h"

/* --- operator, decisions A10 and A23 ---------------------------------------------------------- */

static void op_partner_down(void **state)
{
	enum { NO, FORCE, YES };
	static const struct {
		uint8_t own, peer;
		bool linked, heard, hold;
		uint8_t want;
	} row[] = {
		{ N, N, 0, 1, 0, YES },	   { N, N, 1, 1, 0, NO },      { CI, N, 0, 1, 0, YES },
		{ CI, N, 0, 0, 1, FORCE }, { CI, R, 1, 1, 0, YES },    { CI, PA, 1, 1, 0, YES },
		{ CI, CI, 1, 1, 0, NO },   { RI, PC, 0, 1, 0, YES },   { RI, PC, 0, 1, 1, FORCE },
		{ CD, PC, 0, 1, 0, YES },  { CD, PC, 1, 1, 0, NO },    { ST, 0, 0, 0, 0, FORCE },
		{ ST, N, 0, 1, 0, NO },	   { ST, N, 1, 0, 0, NO },     { R, 0, 0, 0, 0, FORCE },
		{ R, PD, 0, 1, 0, NO },	   { R, PD, 1, 1, 0, NO },     { RW, PD, 0, 1, 0, FORCE },
		{ RW, PD, 1, 1, 0, NO },   { RD, PD, 0, 1, 0, FORCE }, { RD, PD, 1, 1, 0, NO },
		{ PD, R, 0, 1, 0, NO },	   { PD, R, 0, 0, 1, FORCE },  { PC, PC, 1, 1, 0, NO },
		{ PA, CI, 0, 1, 0, NO },   { SD, PD, 0, 1, 0, NO },    { 0, 0, 0, 0, 0, NO },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++)
		for (unsigned force = 0; force < 2; force++) {
			struct fo_end cur = end_in(row[i].own, true);
			struct fo_in in =
				event(force ? FO_EV_OP_FORCE_PARTNER_DOWN : FO_EV_OP_PARTNER_DOWN);
			bool yes = row[i].want == YES || (row[i].want == FORCE && force);
			struct fo_step s;

			cur.peer = row[i].peer;
			in.linked = row[i].linked;
			in.heard_since_start = row[i].heard;
			in.hold = row[i].hold;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			if (s.next.state != (yes ? PD : row[i].own) ||
			    !!(s.todo & FO_DO_REFUSED) == yes)
				fail_msg("row %zu force %u: %s (%s)", i, force,
					 fo_state_name(s.next.state), s.why);
			if (!yes)
				assert_memory_equal(&s.next, &cur, sizeof(cur));
		}
}

/* The wait may count from the time at which the partner is known to have died, never from later. */
static void partner_down_since(void **state)
{
	static const uint32_t since[][2] = { { 0, NOW },
					     { NOW - 500, NOW - 500 },
					     { NOW + 9, NOW } };

	(void)state;
	for (size_t i = 0; i < LEN(since); i++) {
		struct fo_end cur = end_in(CI, true);
		struct fo_in in = event(FO_EV_OP_PARTNER_DOWN);

		in.since = since[i][0];
		assert_int_equal(fo_fsm_step(&cur, &in).next.stos, since[i][1]);
	}
}

/* Dead before we lost sight of it: no. Its promises would be taken for over too soon. */
static void partner_down_since_contact(void **state)
{
	static const uint8_t own[] = { CI, RI };

	(void)state;
	for (size_t i = 0; i < LEN(own); i++)
		for (unsigned force = 0; force < 2; force++) {
			struct fo_end cur = end_in(own[i], true);
			struct fo_in in =
				event(force ? FO_EV_OP_FORCE_PARTNER_DOWN : FO_EV_OP_PARTNER_DOWN);

			in.since = STOS - 1;
			assert_int_equal(fo_fsm_step(&cur, &in).todo, FO_DO_REFUSED);
			in.since = STOS;
			assert_int_equal(fo_fsm_step(&cur, &in).next.state, PD);
			assert_int_equal(fo_fsm_step(&cur, &in).next.stos, STOS);
		}
}

/* Held back in PARTNER-DOWN: the partner may have served since it was declared down, so the wait
 * begins anew, or with the time of its death; never before that declaration. */
static void partner_down_once_more(void **state)
{
	static const uint32_t since[][2] = {
		{ 0, NOW }, { NOW - 50, NOW - 50 }, { NOW + 9, NOW }, { STOS - 1, STOS }
	};

	(void)state;
	for (size_t i = 0; i < LEN(since); i++) {
		struct fo_end cur = end_in(PD, true);
		struct fo_in in = event(FO_EV_OP_FORCE_PARTNER_DOWN);
		struct fo_step s;

		in.hold = true;
		in.since = since[i][0];
		s = fo_fsm_step(&cur, &in);
		check_step(&cur, &in, &s);
		assert_int_equal(s.next.stos, since[i][1]);
		assert_int_equal(s.todo, ALWAYS | FO_DO_RECLAIM);
	}
}

static void op_halt(void **state)
{
	static const uint8_t all[] = { ST, N, CI, PD, PC, RI, CD, R, RW, RD, PA, SD };

	(void)state;
	for (size_t i = 0; i < LEN(all); i++)
		for (unsigned k = 0; k < 4; k++) {
			struct fo_end cur = end_in(all[i], true);
			struct fo_in in = event(k & 1 ? FO_EV_OP_SHUTDOWN : FO_EV_OP_PAUSE);
			bool refused = all[i] == SD || (all[i] == PA && !(k & 1)) ||
				       k == 1 ||		   /* nobody there to take over */
				       (all[i] == PD && !(k & 1)); /* it would hide PARTNER-DOWN */
			bool keeps = all[i] == ST || all[i] == PA;
			struct fo_step s;

			in.linked = in.settled = k & 2;
			if (keeps)
				cur.saved = RD;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			assert_int_equal(!!(s.todo & FO_DO_REFUSED), refused);
			if (refused)
				continue;
			assert_int_equal(s.next.state, k & 1 ? SD : PA);
			assert_int_equal(s.next.saved, keeps ? RD : all[i]);
			assert_int_equal(s.next.stos, all[i] == PD ? STOS : NOW);
			if (k == 3) /* all acknowledged: the return needs no wait */
				assert_int_equal(s.next.last_operational, 0);
			else
				assert_int_equal(s.next.last_operational, all[i] == N ? NOW : LAST);
		}
}

/* SHUTDOWN and the partner in charge: recovery is what comes after, also after a restart. */
static void shutdown_then_recover(void **state)
{
	struct fo_end cur = end_in(SD, false);
	struct fo_in in = peer_in(PD, false);
	struct fo_step s;

	(void)state;
	cur.saved = N;
	s = fo_fsm_step(&cur, &in);
	check_step(&cur, &in, &s);
	assert_int_equal(s.next.state, SD);
	assert_int_equal(s.next.saved, R);
	in = event(FO_EV_START);
	s = fo_fsm_step(&s.next, &in);
	assert_int_equal(s.next.saved, R);
}

static void op_resume(void **state)
{
	static const struct {
		uint8_t own, saved, peer;
		bool linked;
		uint8_t want; /* 0: refused */
		uint32_t stos;
	} row[] = {
		{ PA, N, CI, 1, N, NOW },   { PA, N, CI, 0, CI, NOW },	 { PA, CI, PD, 1, PC, NOW },
		{ PA, PD, R, 1, PD, STOS }, { PA, PD, CI, 0, PD, STOS }, { PA, R, PD, 1, R, NOW },
		{ SD, R, PD, 1, R, NOW },   { SD, R, PD, 0, R, NOW },	 { SD, N, PD, 0, CI, NOW },
		{ PA, PC, PC, 1, PC, NOW }, { PA, RW, PD, 1, RW, NOW },	 { N, 0, N, 1, 0, 0 },
		{ CI, 0, N, 0, 0, 0 },	    { PD, 0, R, 1, 0, 0 },	 { PC, 0, PC, 1, 0, 0 },
		{ RI, 0, PC, 0, 0, 0 },	    { CD, 0, PC, 1, 0, 0 },	 { R, 0, PD, 1, 0, 0 },
		{ RW, 0, PD, 1, 0, 0 },	    { RD, 0, PD, 1, 0, 0 },	 { ST, CI, N, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(row[i].own, true);
		struct fo_in in = event(FO_EV_OP_RESUME);
		struct fo_step s;

		cur.saved = row[i].saved;
		cur.peer = row[i].peer;
		cur.peer_stos = BEFORE;
		in.linked = row[i].linked;
		s = fo_fsm_step(&cur, &in);
		check_step(&cur, &in, &s);
		if (!row[i].want) {
			assert_int_equal(s.todo, FO_DO_REFUSED);
			continue;
		}
		if (s.next.state != row[i].want || s.next.stos != row[i].stos)
			fail_msg("row %zu: %s %u", i, fo_state_name(s.next.state), s.next.stos);
		if (row[i].want == RW)
			assert_int_equal(s.recover_until, LAST + MCLT);
	}
}

/* A pause that was long, with the partner out of reach, is an absence like any other. */
static void resume_long_after(void **state)
{
	struct fo_end cur = end_in(PA, true);
	struct fo_in in = event(FO_EV_OP_RESUME);

	(void)state;
	assert_int_equal(fo_fsm_step(&cur, &in).todo & FO_DO_HOLD, 0);
	in.now.sec = LAST + MCLT;
	assert_int_equal(fo_fsm_step(&cur, &in).todo & FO_DO_HOLD, FO_DO_HOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_partner_down),
		cmocka_unit_test(partner_down_since),
		cmocka_unit_test(partner_down_since_contact),
		cmocka_unit_test(partner_down_once_more),
		cmocka_unit_test(op_halt),
		cmocka_unit_test(shutdown_then_recover),
		cmocka_unit_test(op_resume),
		cmocka_unit_test(resume_long_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
