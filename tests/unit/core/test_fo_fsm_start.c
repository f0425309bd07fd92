/*
 * The failover state machine at its start: which state was saved, what STARTUP waits for, with the
 * partner and alone. Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour §3.3.
 */
#include "fo_fsm_step.h"

/* --- §3.3: start ----------------------------------------------------------------------------- */

static void start_grid(void **state)
{
	static const struct {
		uint8_t state, saved, want;
		uint32_t stos;
	} row[] = {
		{ 0, 0, R, STOS },    { N, 0, CI, LAST },  { CI, 0, CI, STOS },
		{ PD, 0, PD, STOS },  { PC, 0, RI, LAST }, { RI, 0, RI, STOS },
		{ CD, 0, CD, STOS },  { R, 0, R, STOS },   { RW, 0, RW, STOS },
		{ RD, 0, RD, STOS },  { ST, N, CI, LAST }, { ST, CI, CI, STOS },
		{ ST, PD, PD, STOS }, { ST, 0, R, STOS },  { PA, N, CI, LAST },
		{ PA, PD, PD, STOS }, { PA, R, R, STOS },  { SD, N, CI, LAST },
		{ SD, R, R, STOS },   { SD, SD, R, STOS }, { 99, 0, R, STOS },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(row[i].state, true);
		struct fo_in in = event(FO_EV_START);
		struct fo_step s;

		cur.saved = row[i].saved;
		s = fo_fsm_step(&cur, &in);
		assert_int_equal(s.todo, ALWAYS | FO_DO_STARTUP_TIMER);
		assert_int_equal(s.next.state, ST);
		if (s.next.saved != row[i].want)
			fail_msg("row %zu: %s", i, fo_state_name(s.next.saved));
		assert_int_equal(s.next.last_operational, LAST);
		if (row[i].state != PA && row[i].state != SD)
			assert_int_equal(s.next.stos, row[i].state == ST && row[i].saved == N
							      ? LAST
							      : row[i].stos);
		cur.lost_storage = true; /* known at the start already: a restored store */
		assert_int_equal(fo_fsm_step(&cur, &in).next.saved, R);
	}
}

/* Out of STARTUP with the partner: the saved state's row; told without the flag in any case. */
static void startup_meets(void **state)
{
	(void)state;
	for (unsigned o = 0; o < LEN(states); o++)
		for (unsigned p = 0; p < LEN(states); p++)
			for (unsigned k = 0; k < 4; k++) {
				uint8_t saved = states[o] == N		      ? CI
						: states[o] == PC	      ? RI
						: states[o] == CD && !(k & 1) ? RI
									      : states[o];
				struct fo_end cur = end_in(ST, k & 1), ref = end_in(saved, k & 1);
				struct fo_in in = peer_in(states[p], k & 2);
				struct fo_step s, row;

				if (states[o] == PA || states[o] == SD) /* never saved */
					continue;
				cur.saved = states[o];
				s = fo_fsm_step(&cur, &in);
				row = fo_fsm_step(&ref, &in);
				check_step(&cur, &in, &s);
				assert_int_equal(s.next.state, row.next.state);
				assert_int_equal(s.todo, row.todo | ALWAYS | FO_DO_TELL_PEER |
								 entry_todo(s.next.state));
				assert_int_equal(s.next.stos, s.next.state == saved ? STOS : NOW);
			}
}

/* Out of STARTUP alone: by the timer, or when the link breaks before the partner spoke. */
static void startup_alone(void **state)
{
	static const struct {
		uint8_t saved, want;
		bool held; /* after an absence of MCLT and more, decision A8 */
	} row[] = {
		{ N, CI, true },   { CI, CI, true }, { PC, RI, true }, { RI, RI, true },
		{ CD, CD, true },  { PD, PD, true }, { R, R, false },  { RW, RW, false },
		{ RD, RD, false }, { 0, R, false },
	};
	/* the last but one by a clock that was ahead: how long it was away nobody knows */
	static const uint32_t last[] = { NOW - MCLT + 1,  NOW + 60, NOW - MCLT,
					 NOW - MCLT - 99, NOW + 61, 0 };

	(void)state;
	for (size_t i = 0; i < LEN(row); i++)
		for (size_t l = 0; l < LEN(last); l++) {
			struct fo_end cur = end_in(ST, true);
			struct fo_in in = event(FO_EV_LINK_LOST);
			bool held = row[i].held && l > 1;
			struct fo_step s;

			cur.saved = row[i].saved;
			cur.last_operational = last[l];
			s = fo_fsm_step(&cur, &in); /* it may have been about to say something */
			assert_int_equal(s.next.state, ST);
			assert_int_equal(s.todo, 0);
			in.ev = FO_EV_STARTUP_TIMER;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			assert_int_equal(s.next.state, row[i].want);
			assert_int_equal(!!(s.todo & FO_DO_HOLD), held);
			assert_int_equal(!!(s.todo & FO_DO_SAFE_TIMER),
					 s.next.state == CI && !held);
			/* so that a second start holds too */
			assert_int_equal(s.next.last_operational, last[l]);
		}
}

/* Long away, and the partner, which may have served meanwhile, has nothing to tell, or has yet to
 * say what it is: held back as without it. */
static void startup_meets_lost_partner(void **state)
{
	static const uint8_t saved[] = { CI, PD, CD, RI };

	(void)state;
	for (unsigned p = 0; p < LEN(states) * LEN(saved); p++)
		for (unsigned k = 0; k < 4; k++) {
			uint8_t peer = states[p / LEN(saved)];
			struct fo_end cur = end_in(ST, true);
			struct fo_in in = peer_in(peer, k & 2);
			bool held = k & 1 && (peer == R || peer == RW);
			struct fo_step s;

			cur.saved = saved[p % LEN(saved)];
			if (k == 3 && cur.saved == PD)
				held = true;
			cur.last_operational = NOW - MCLT + !(k & 1);
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			held &= s.next.state == cur.saved; /* else there is a conflict */
			assert_int_equal(!!(s.todo & FO_DO_HOLD), held);
			if (held) /* and after a further restart */
				assert_int_equal(s.next.last_operational, NOW - MCLT);
		}
}

/* In STARTUP all but the timer and the link are nothing. */
static void startup_other_events(void **state)
{
	static const enum fo_event ev[] = { FO_EV_UPDDONE, FO_EV_RECOVER_TIMER, FO_EV_SAFE_PERIOD,
					    FO_EV_HOLD_OVER, FO_EVENTS };

	(void)state;
	for (size_t e = 0; e < LEN(ev); e++) {
		struct fo_end cur = end_in(ST, true);
		struct fo_in in = event(ev[e]);
		struct fo_step s;

		cur.saved = R;
		s = fo_fsm_step(&cur, &in);
		assert_int_equal(s.todo, 0);
		assert_memory_equal(&s.next, &cur, sizeof(cur));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_grid),
		cmocka_unit_test(startup_meets),
		cmocka_unit_test(startup_alone),
		cmocka_unit_test(startup_meets_lost_partner),
		cmocka_unit_test(startup_other_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
