/*
 * The failover state machine: names of states; every state with every state of the partner, in both
 * roles, as tables. Start, other events and the operator are in test_fo_fsm_*.c; two machines
 * against each other in test_fo_walk.c. Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour
 * §3.5.
 */
#include "fo_fsm_step.h"

/* --- names ------------------------------------------------------------------------------------ */

static void names(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 256; s++) { /* §12.24 */
		bool known = s <= 11 || s == 254;

		assert_int_equal(fo_state_valid(s), (s >= 2 && s <= 11) || s == 254);
		assert_int_equal(strcmp(fo_state_name(s), "UNKNOWN") != 0, known);
	}
	assert_string_equal(fo_state_name(FO_COMM_INT), "COMMUNICATIONS-INTERRUPTED");
	assert_string_equal(fo_state_name(FO_RECOVER_WAIT), "RECOVER-WAIT");
	assert_string_equal(fo_state_name(FO_RESOLUTION_INT), "RESOLUTION-INTERRUPTED");
}

/* --- §3.5: the partner's state --------------------------------------------------------------- */

/* Own state down, the partner's across, in the order of states[]. The partner's state began before
 * our last promise; __ stays. */
static const uint8_t peer_grid[][11] = {
	/*        N   CI  PD  PC  RI  CD  R   RW  RD  PA  SD */
	/* N  */ { __, __, PC, PC, PC, PC, CI, CI, __, CI, PD },
	/* CI */ { N, N, PC, PC, PC, PC, __, __, N, __, PD },
	/* PD */ { PC, PC, PC, PC, PC, PC, __, __, N, PC, __ },
	/* PC */ { __, __, __, __, __, __, __, __, __, __, __ },
	/* RI */ { PC, PC, PC, PC, PC, PC, PC, PC, PC, PC, PC },
	/* CD */ { N, __, __, __, __, __, __, PC, PC, __, __ },
	/* R  */ { __, __, __, PC, PC, PC, __, __, __, __, __ },
	/* RW */ { __, __, __, PC, PC, PC, __, __, __, __, __ },
	/* RD */ { __, __, __, PC, PC, PC, __, __, __, __, __ },
	/* PA */ { __, __, __, __, __, __, __, __, __, __, __ },
	/* SD */ { __, __, __, __, __, __, __, __, __, __, __ },
};

/* What is done besides, where the state stays: a asks (UPDREQ), t tells, u sends updates, s asks
 * as the secondary only, w looks at its wait again, x closes as the primary only. */
static const char *const peer_todo[][11] = {
	/*        N    CI    PD   PC   RI   CD    R    RW    RD    PA   SD */
	/* N  */ { "", "tu", "", "", "", "", "", "", "tu", "", "" },
	/* CI */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* PD */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* PC */ { "", "", "", "", "", "sx", "", "ts", "ts", "", "" },
	/* RI */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* CD */ { "", "", "", "t", "", "", "", "", "", "", "" },
	/* R  */ { "a", "a", "a", "", "", "", "a", "a", "a", "a", "a" },
	/* RW */ { "w", "w", "w", "", "", "", "w", "w", "w", "w", "w" },
	/* RD */ { "a", "", "", "", "", "", "", "", "a", "", "" },
	/* PA */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* SD */ { "", "", "", "", "", "", "", "", "", "", "" },
};

static uint32_t letters(const char *s, bool primary)
{
	uint32_t todo = 0;

	for (; *s; s++)
		switch (*s) {
		case 'a':
			todo |= FO_DO_SEND_UPDREQ;
			break;
		case 's':
			todo |= primary ? 0 : FO_DO_SEND_UPDREQ;
			break;
		case 't':
			todo |= FO_DO_TELL_PEER;
			break;
		case 'u':
			todo |= FO_DO_SEND_UPDATES;
			break;
		case 'w':
			todo |= FO_DO_RECOVER_TIMER;
			break;
		case 'x':
			todo |= primary ? FO_DO_CLOSE : 0;
			break;
		default:
			fail();
		}
	return todo;
}

/* Entering PC the primary asks; the secondary where the primary never would begin. Entering R
 * everybody asks. */
static uint32_t asks_on_entry(unsigned to, unsigned peer, bool primary)
{
	if (to == R)
		return FO_DO_SEND_UPDREQ;
	if (to == PC && (primary || peer == CD || peer == RW || peer == RD))
		return FO_DO_SEND_UPDREQ;
	return 0;
}

static void check_peer_cell(unsigned o, unsigned p, bool primary, bool startup)
{
	struct fo_end cur = end_in(states[o], primary);
	struct fo_in in = peer_in(states[p], startup);
	struct fo_step s = fo_fsm_step(&cur, &in);
	bool deaf = states[o] == PD && startup; /* §3.5: PD hears nobody who starts up */
	uint8_t want = deaf || !peer_grid[o][p] ? states[o] : peer_grid[o][p];
	uint32_t todo = FO_DO_PERSIST; /* the partner's state is new */

	check_step(&cur, &in, &s);
	if (want != states[o])
		todo |= ALWAYS | FO_DO_TELL_PEER | entry_todo(want) |
			asks_on_entry(want, states[p], primary);
	else if (!deaf)
		todo |= letters(peer_todo[o][p], primary);
	if (s.next.state != want || s.todo != todo)
		fail_msg("%s sees %s%s as %s: %s, todo %#x not %#x", fo_state_name(states[o]),
			 fo_state_name(states[p]), startup ? "+STARTUP" : "",
			 primary ? "primary" : "secondary", fo_state_name(s.next.state), s.todo,
			 todo);
	assert_int_equal(s.next.peer, states[p]);
	assert_int_equal(s.next.peer_stos, BEFORE);
	assert_int_equal(s.next.stos, want == states[o] ? STOS : NOW);
}

static void peer_state_grid(void **state)
{
	(void)state;
	for (unsigned o = 0; o < LEN(states); o++)
		for (unsigned p = 0; p < LEN(states); p++)
			for (unsigned k = 0; k < 4; k++)
				check_peer_cell(o, p, k & 1, k & 2);
}

/* PARTNER-DOWN meets a partner that is paused: has it served before that, and after it was declared
 * down? */
static void pause_after_partner_down(void **state)
{
	static const struct {
		const char *ref;
		uint8_t peer; /* as last heard */
		uint32_t since, pause;
		bool isc;
		uint8_t want;
	} row[] = {
		{ "paused before PD", N, BEFORE, STOS, 0, PD },
		{ "paused after PD", N, BEFORE, STOS + 1, 0, PC },
		{ "it served when last heard", CI, BEFORE, STOS + 1, 0, PC },
		{ "it was shut down", SD, BEFORE, STOS + 1, 0, PC },
		{ "never heard", 0, 0, STOS + 1, 0, PC },
		{ "it recovered from us", R, BEFORE, STOS + 1, 0, PD },
		{ "it waited", RW, BEFORE, STOS + 1, 0, PD },
		{ "the same pause", PA, BEFORE, BEFORE, 0, PD },
		{ "the same, by a clock corrected anew", PA, BEFORE, BEFORE + 3, 0, PD },
		{ "the same, by a clock slewed as well", PA, BEFORE, BEFORE + 5, 0, PD },
		{ "another pause", PA, BEFORE, BEFORE + 6, 0, PC },
		{ "an ISC", N, BEFORE, STOS + 1, 1, PD },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++)
		for (unsigned k = 0; k < 4; k++) {
			struct fo_end cur = end_in(k & 2 ? ST : PD, k & 1);
			struct fo_in in = peer_in(PA, false);
			struct fo_step s;

			cur.saved = PD;
			cur.peer = row[i].peer;
			cur.peer_stos = row[i].since;
			in.peer_stos = row[i].pause;
			in.isc = row[i].isc;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			if (s.next.state != row[i].want)
				fail_msg("%s: %s", row[i].ref, fo_state_name(s.next.state));
		}
}

/* A state repeated needs no record; an update request that is unanswered is not repeated. */
static void repeated_state(void **state)
{
	(void)state;
	for (unsigned o = 0; o < LEN(states); o++)
		for (unsigned p = 0; p < LEN(states); p++) {
			struct fo_end cur = end_in(states[o], true);
			struct fo_in in = peer_in(states[p], false);
			struct fo_step s;

			cur.peer = states[p];
			cur.peer_stos = BEFORE;
			in.asked = true;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			if (s.next.state != states[o] || (states[o] == SD && states[p] == PD))
				continue;
			assert_int_equal(s.todo & FO_DO_PERSIST, 0);
			if (states[o] == R)
				assert_int_equal(s.todo & ASKS, 0);
		}
}

/* Numbers that no state has close the link and change nothing (§12.24). */
static void unknown_peer_state(void **state)
{
	(void)state;
	for (unsigned o = 0; o < LEN(states); o++)
		for (unsigned v = 0; v < 256; v++) {
			struct fo_end cur = end_in(states[o], true);
			struct fo_in in = peer_in((uint8_t)v, false);
			struct fo_step s = fo_fsm_step(&cur, &in);

			if (fo_state_valid(v))
				continue;
			assert_int_equal(s.todo, FO_DO_CLOSE);
			assert_memory_equal(&s.next, &cur, sizeof(cur));
		}
}

/* Decision A9: when the partner took over decides between recovery and conflict. */
static void partner_took_over(void **state)
{
	static const struct {
		const char *ref;
		uint8_t own, saved;
		uint32_t peer_stos;
		uint8_t want;
		uint32_t last; /* last-operational afterwards */
	} row[] = {
		{ "saved N, later", ST, N, AFTER, R, LAST },
		{ "saved CI, later", ST, CI, AFTER, R, LAST },
		{ "saved CI, same", ST, CI, LAST, PC, LAST },
		{ "saved N, before", ST, N, BEFORE, PC, LAST },
		{ "CI, later: idle or held back", CI, 0, AFTER, R, NOW },
		{ "CI, before", CI, 0, BEFORE, PC, LAST },
		{ "N, later", N, 0, AFTER, PC, NOW },
	};

	(void)state;
	for (size_t i = 0; i < LEN(row); i++) {
		struct fo_end cur = end_in(row[i].own, false);
		struct fo_in in = peer_in(PD, false);
		struct fo_step s;

		cur.saved = row[i].saved;
		in.peer_stos = row[i].peer_stos;
		s = fo_fsm_step(&cur, &in);
		check_step(&cur, &in, &s);
		if (s.next.state != row[i].want || s.next.last_operational != row[i].last)
			fail_msg("%s: %s, last %u", row[i].ref, fo_state_name(s.next.state),
				 s.next.last_operational);
		if (row[i].want == R)
			assert_true(s.todo & FO_DO_SEND_UPDREQ);
	}
}

/* Decision A7: whose storage is lost recovers, asks for everything, forgets its marks. Nobody who
 * has not done so ever gets to NORMAL, whatever state the loss was noticed in; who was forced to
 * serve meanwhile resolves it as a conflict. */
static void lost_storage(void **state)
{
	static const struct {
		uint8_t from, want, conflict; /* where the partner is in PC, RI, CD */
	} row[] = { { ST, R, PC },  { CI, R, R },   { N, R, R },    { RW, R, PC },  { RD, R, PC },
		    { PD, PC, PC }, { CD, PC, PC }, { RI, PC, PC }, { PC, PC, PC }, { R, R, PC } };

	(void)state;
	for (size_t f = 0; f < LEN(row); f++)
		for (unsigned p = 0; p < LEN(states); p++) {
			struct fo_end cur = end_in(row[f].from, true);
			struct fo_in in = peer_in(states[p], false);
			bool conflict = states[p] == PC || states[p] == RI || states[p] == CD;
			struct fo_step s;

			cur.saved = CI;
			cur.lost_storage = true;
			s = fo_fsm_step(&cur, &in);
			check_step(&cur, &in, &s);
			if (s.next.state != (conflict ? row[f].conflict : row[f].want))
				fail_msg("%s sees %s: %s", fo_state_name(row[f].from),
					 fo_state_name(states[p]), fo_state_name(s.next.state));
			assert_true(s.next.lost_storage);
			if (row[f].from == PC) /* asked on entry */
				continue;
			assert_int_equal(s.todo & (ASKS | FO_DO_CLEAR_ACKED),
					 FO_DO_SEND_UPDREQALL | FO_DO_CLEAR_ACKED);
		}
}

/* PARTNER-DOWN is deaf to a partner that starts up, with a lost storage too. */
static void lost_storage_and_startup(void **state)
{
	struct fo_end cur = end_in(PD, true);
	struct fo_in in = peer_in(R, true);

	(void)state;
	cur.lost_storage = true;
	assert_int_equal(fo_fsm_step(&cur, &in).next.state, PD);
}

/* §3.6: no record of ever having talked: everything is asked for, no marks to clear. */
static void asks_all_when_new(void **state)
{
	struct fo_end cur = end_in(R, true);
	struct fo_in in = peer_in(R, true);
	struct fo_step s;

	(void)state;
	cur.ever_normal = false;
	s = fo_fsm_step(&cur, &in);
	assert_int_equal(s.todo & (ASKS | FO_DO_CLEAR_ACKED), FO_DO_SEND_UPDREQALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(peer_state_grid),
		cmocka_unit_test(pause_after_partner_down),
		cmocka_unit_test(repeated_state),
		cmocka_unit_test(unknown_peer_state),
		cmocka_unit_test(partner_took_over),
		cmocka_unit_test(lost_storage),
		cmocka_unit_test(lost_storage_and_startup),
		cmocka_unit_test(asks_all_when_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
