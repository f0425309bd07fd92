/*
 * The failover state machine and what happens besides the partner's word: a lost link, timers, the
 * end of an update; recovery and conflict step by step; the marks that the record keeps. Spec:
 * draft-ietf-dhc-failover-12 §9; failover-behaviour §3.4, §3.6.
 */
#include "fo_fsm_step.h"

/* --- §3.4, §3.6: other events ----------------------------------------------------------------- */

static void event_grid(void **state)
{
	static const enum fo_event ev[] = { FO_EV_LINK_LOST,   FO_EV_STARTUP_TIMER,
					    FO_EV_UPDDONE,     FO_EV_RECOVER_TIMER,
					    FO_EV_SAFE_PERIOD, FO_EV_HOLD_OVER };
	/* __ stays; rows and columns as named; the partner was in PD, the link is gone */
	static const struct {
		uint8_t own, want[6][2]; /* [event][primary] */
	} row[] = {
		/*       lost          startup       upddone       recover       safe          hold
		 */
		{ N, { { CI, CI }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ CI, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { PD, PD }, { __, __ } } },
		{ PD, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ PC, { { RI, RI }, { __, __ }, { N, CD }, { __, __ }, { __, __ }, { __, __ } } },
		{ RI, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ CD, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ R, { { __, __ }, { __, __ }, { RW, RW }, { __, __ }, { __, __ }, { __, __ } } },
		{ RW, { { __, __ }, { __, __ }, { __, __ }, { RD, RD }, { __, __ }, { __, __ } } },
		{ RD, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ PA, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
		{ SD, { { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ }, { __, __ } } },
	};

	(void)state;
	assert_int_equal(LEN(row), LEN(states));
	for (size_t i = 0; i < LEN(row); i++)
		for (size_t e = 0; e < LEN(ev); e++)
			for (unsigned primary = 0; primary < 2; primary++) {
				struct fo_end cur = end_in(row[i].own, primary);
				struct fo_in in = event(ev[e]);
				uint8_t want = row[i].want[e][primary];
				struct fo_step s;

				cur.peer = row[i].own == PC ? CD : PD;
				s = fo_fsm_step(&cur, &in);
				check_step(&cur, &in, &s);
				if (s.next.state != (want ? want : row[i].own))
					fail_msg("%s event %d: %s", fo_state_name(row[i].own),
						 (int)ev[e], fo_state_name(s.next.state));
				if (!want && ev[e] != FO_EV_HOLD_OVER)
					assert_int_equal(s.todo, 0);
			}
}

static void hold_over(void **state)
{
	static const struct {
		uint8_t own;
		uint32_t todo;
		bool serves;
	} row[] = { { CI, FO_DO_SAFE_TIMER, true },
		    { RI, 0, true },
		    { CD, 0, true },
		    { PD, 0, true },
		    { N, 0, false } };

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(row[i].own, true);
		struct fo_in in = event(FO_EV_HOLD_OVER);
		struct fo_step s = fo_fsm_step(&cur, &in);

		assert_int_equal(s.todo, row[i].todo);
		assert_int_equal(!strcmp(s.why, "alone for MCLT: serving"), row[i].serves);
	}
}

/* The safe period never strikes a partner that is there, nor while we are held back. */
static void safe_period(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct fo_end cur = end_in(CI, true);
		struct fo_in in = event(FO_EV_SAFE_PERIOD);
		struct fo_step s;

		in.linked = k & 1;
		in.hold = k & 2;
		s = fo_fsm_step(&cur, &in);
		check_step(&cur, &in, &s);
		assert_int_equal(s.next.state, k ? CI : PD);
		assert_int_equal(s.todo & FO_DO_SAFE_TIMER, k ? FO_DO_SAFE_TIMER : 0);
	}
}

/* §3.6, decision A7: how long RECOVER-WAIT lasts. */
static void recover_wait(void **state)
{
	static const struct {
		const char *ref;
		bool new_pair, ever, lost;
		uint32_t last, until; /* until 0: skipped */
		uint8_t peer, want;
		uint32_t last_after;
	} row[] = {
		{ "new pair", 1, 0, 0, 0, 0, R, RD, 0 },
		{ "new pair, partner done", 1, 0, 0, 0, 0, RD, RD, 0 },
		{ "from the last promise", 0, 1, 0, LAST, LAST + MCLT, PD, RW, LAST },
		{ "that is long ago", 0, 1, 0, NOW - MCLT, 0, PD, RD, NOW - MCLT },
		{ "just not", 0, 1, 0, NOW - MCLT + 1, NOW + 1, PD, RW, NOW - MCLT + 1 },
		{ "by a clock that was ahead", 0, 1, 0, NOW + 99, NOW + MCLT, PD, RW, NOW + 99 },
		{ "shut down in order", 0, 1, 0, 0, 0, PD, RD, 0 },
		{ "lost: from boot", 0, 1, 1, LAST, BOOT + MCLT, PD, RW, BOOT },
		{ "no record here, partner has", 0, 0, 0, 0, BOOT + MCLT, PD, RW, BOOT },
		{ "partner in N meanwhile", 0, 1, 0, NOW - MCLT, 0, N, RD, NOW - MCLT },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(R, false);
		struct fo_in in = event(FO_EV_UPDDONE);
		struct fo_step s;

		in.linked = true;
		in.new_pair = row[i].new_pair;
		cur.ever_normal = row[i].ever;
		cur.lost_storage = row[i].lost;
		cur.last_operational = row[i].last;
		cur.peer = row[i].peer;
		s = fo_fsm_step(&cur, &in);
		check_step(&cur, &in, &s);
		if (s.next.state != row[i].want || s.recover_until != row[i].until ||
		    s.next.last_operational != row[i].last_after)
			fail_msg("%s: %s until %u, last %u", row[i].ref,
				 fo_state_name(s.next.state), s.recover_until,
				 s.next.last_operational);
		assert_false(s.next.lost_storage);
		if (s.next.state != RW)
			continue;
		/* a restart within the wait ends it at the same time */
		in = event(FO_EV_START);
		in.boot = NOW;
		cur = fo_fsm_step(&s.next, &in).next;
		assert_int_equal(cur.saved, RW);
		in.ev = FO_EV_STARTUP_TIMER;
		s = fo_fsm_step(&cur, &in);
		assert_int_equal(s.next.state, RW);
		assert_true(s.todo & FO_DO_RECOVER_TIMER);
		assert_int_equal(s.recover_until, row[i].until);
	}
}

/* RW over: RD also without the partner; where it waits in N or RD already it is asked for what it
 * gave until now. An ISC is not. */
static void recover_timer(void **state)
{
	(void)state;
	for (unsigned p = 0; p < LEN(states); p++)
		for (unsigned linked = 0; linked < 2; linked++) {
			struct fo_end cur = end_in(RW, true);
			struct fo_in in = event(FO_EV_RECOVER_TIMER);
			bool there = linked && (states[p] == N || states[p] == RD);
			struct fo_step s;

			cur.peer = states[p];
			in.linked = linked;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			assert_int_equal(s.next.state, RD);
			assert_int_equal(!!(s.todo & FO_DO_SEND_UPDREQ), there);
			in.isc = true;
			s = fo_fsm_step(&cur, &in);
			assert_int_equal(s.next.state, there ? N : RD);
			assert_false(s.todo & FO_DO_SEND_UPDREQ);
		}
}

/* RD ends when the partner, in N or RD by now, has told all that it gave. */
static void recover_done_ends(void **state)
{
	(void)state;
	for (unsigned p = 0; p < LEN(states); p++)
		for (unsigned linked = 0; linked < 2; linked++) {
			struct fo_end cur = end_in(RD, true);
			struct fo_in in = event(FO_EV_UPDDONE);
			bool there = linked && (states[p] == N || states[p] == RD);
			struct fo_step s;

			cur.peer = states[p];
			in.linked = linked;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			assert_int_equal(s.next.state, there ? N : RD);
			assert_int_equal(s.next.last_operational, there ? NOW : LAST);
		}
}

/* PC: UPDDONE ends it for the primary; for the secondary once the primary has finished. */
static void conflict_upddone(void **state)
{
	(void)state;
	for (unsigned p = 0; p < LEN(states); p++)
		for (unsigned primary = 0; primary < 2; primary++) {
			struct fo_end cur = end_in(PC, primary);
			struct fo_in in = event(FO_EV_UPDDONE);
			bool early = states[p] == PC || states[p] == RI;
			struct fo_step s;

			cur.peer = states[p];
			cur.lost_storage = true;
			in.linked = true;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			assert_int_equal(s.next.state, primary ? CD : early ? PC : N);
			assert_int_equal(s.next.lost_storage, s.next.state == PC);
		}
}

/* last_operational and ever_normal as the record needs them. */
static void marks(void **state)
{
	static const struct {
		const char *ref;
		uint8_t own, peer; /* peer 0: LINK_LOST */
		bool ever;
		uint32_t last;
	} row[] = {
		{ "CI -> N", CI, CI, true, NOW },    { "N -> CI", N, 0, true, NOW },
		{ "CI stays", CI, R, false, LAST },  { "CI -> PD", CI, SD, false, NOW },
		{ "R stays", R, PD, false, LAST },   { "RD stays", RD, N, false, LAST },
		{ "RD -> PC", RD, PC, false, LAST }, { "CD -> N", CD, N, true, NOW },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(row[i].own, true);
		struct fo_in in =
			row[i].peer ? peer_in(row[i].peer, false) : event(FO_EV_LINK_LOST);
		struct fo_step s;

		cur.ever_normal = row[i].own == N;
		s = fo_fsm_step(&cur, &in);
		if (s.next.last_operational != row[i].last || s.next.ever_normal != row[i].ever)
			fail_msg("%s: %u, %d", row[i].ref, s.next.last_operational,
				 s.next.ever_normal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_grid),	    cmocka_unit_test(hold_over),
		cmocka_unit_test(safe_period),	    cmocka_unit_test(recover_wait),
		cmocka_unit_test(recover_timer),    cmocka_unit_test(recover_done_ends),
		cmocka_unit_test(conflict_upddone), cmocka_unit_test(marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
