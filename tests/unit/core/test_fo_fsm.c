/*
 * The failover state machine: every state with every state of the partner and every event, in both
 * roles, as tables; then what a state means for clients. Two machines against each other are in
 * test_fo_walk.c. Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour §3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "core/fo_fsm.h"

/* rows name the columns that count; the rest is 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum {
	NOW = 100000,
	MCLT = 3600,
	BOOT = NOW - 50,
	LAST = NOW - 1000, /* last-operational */
	STOS = NOW - 5000,
	BEFORE = LAST - 10, /* the partner's start of state: before and after it */
	AFTER = LAST + 10,
};

enum {	       /* as in the tables */
       __ = 0, /* stays */
       ST = FO_STARTUP,
       N = FO_NORMAL,
       CI = FO_COMM_INT,
       PD = FO_PARTNER_DOWN,
       PC = FO_POTENTIAL_CONFLICT,
       R = FO_RECOVER,
       PA = FO_PAUSED,
       SD = FO_SHUTDOWN,
       RD = FO_RECOVER_DONE,
       RI = FO_RESOLUTION_INT,
       CD = FO_CONFLICT_DONE,
       RW = FO_RECOVER_WAIT,
};

static const uint8_t states[] = { N, CI, PD, PC, RI, CD, R, RW, RD, PA, SD };

#define ALWAYS FO_DO_PERSIST
#define ASKS (FO_DO_SEND_UPDREQ | FO_DO_SEND_UPDREQALL)

static struct fo_end end_in(uint8_t state, bool primary)
{
	return (struct fo_end){ .state = state,
				.saved = state == PA || state == SD ? CI : 0,
				.peer = N,
				.primary = primary,
				.ever_normal = true,
				.stos = STOS,
				.peer_stos = STOS,
				.last_operational = LAST };
}

static struct fo_in event(enum fo_event ev)
{
	return (struct fo_in){ .ev = ev, .mclt = MCLT, .boot = BOOT, .now = { NOW } };
}

static struct fo_in peer_in(uint8_t state, bool startup)
{
	struct fo_in in = event(FO_EV_PEER_STATE);

	in.peer_state = state;
	in.peer_startup = startup;
	in.peer_stos = BEFORE;
	in.linked = true;
	return in;
}

/* What is due on entry; the update requests are looked at by themselves. */
static uint32_t entry_todo(unsigned state)
{
	switch (state) {
	case N:
		return FO_DO_SEND_UPDATES | FO_DO_BALANCE;
	case CI:
		return FO_DO_SAFE_TIMER;
	case PD:
		return FO_DO_RECLAIM;
	case RW:
		return FO_DO_RECOVER_TIMER;
	case ST:
		return FO_DO_STARTUP_TIMER;
	default:
		return 0;
	}
}

/* What holds of every step, whatever the event. */
static void check_step(const struct fo_end *cur, const struct fo_in *in, const struct fo_step *s)
{
	bool moved = s->next.state != cur->state;

	assert_non_null(s->why);
	assert_true(fo_state_valid(s->next.state) || s->next.state == ST || !moved);
	if (memcmp(&s->next, cur, sizeof(*cur)))
		assert_true(s->todo & FO_DO_PERSIST);
	if (moved)
		assert_int_equal(s->todo & ALWAYS, ALWAYS);
	if (!in->linked)
		assert_false(s->todo & (FO_DO_TELL_PEER | ASKS));
	if (moved && in->linked && in->ev != FO_EV_START)
		assert_true(s->todo & FO_DO_TELL_PEER);
	if (s->todo & FO_DO_REFUSED)
		assert_int_equal(s->todo, FO_DO_REFUSED);
	assert_true(!moved || (s->todo & entry_todo(s->next.state)) == entry_todo(s->next.state) ||
		    s->todo & FO_DO_HOLD);
	assert_int_equal(s->next.primary, cur->primary);
	if (!cur->primary && cur->state != CD && cur->saved != CD)
		assert_int_not_equal(s->next.state, CD); /* §3.7 5: a secondary never shows it */
}

/* --- names -------------------------------------------------------------------------------------
 */

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

/* --- §3.5: the partner's state ------------------------------------------------------------------
 */

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
 * as the secondary only, x closes as the primary only. */
static const char *const peer_todo[][11] = {
	/*        N    CI    PD   PC   RI   CD    R    RW    RD    PA   SD */
	/* N  */ { "", "tu", "", "", "", "", "", "", "tu", "", "" },
	/* CI */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* PD */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* PC */ { "", "", "", "", "", "sx", "", "ts", "ts", "", "" },
	/* RI */ { "", "", "", "", "", "", "", "", "", "", "" },
	/* CD */ { "", "", "", "t", "", "", "", "", "", "", "" },
	/* R  */ { "a", "a", "a", "", "", "", "a", "a", "a", "a", "a" },
	/* RW */ { "", "", "", "", "", "", "", "", "", "", "" },
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

/* --- §3.3: start -------------------------------------------------------------------------------
 */

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

/* --- §3.4, §3.6: other events
 * --------------------------------------------------------------------- */

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

/* --- operator, decisions A10 and A23
 * ---------------------------------------------------------------- */

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

/* --- §3.1 and decision A5: what a state means for clients
 * -------------------------------------------- */

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
		cmocka_unit_test(start_grid),
		cmocka_unit_test(startup_meets),
		cmocka_unit_test(startup_alone),
		cmocka_unit_test(startup_meets_lost_partner),
		cmocka_unit_test(event_grid),
		cmocka_unit_test(startup_other_events),
		cmocka_unit_test(hold_over),
		cmocka_unit_test(safe_period),
		cmocka_unit_test(recover_wait),
		cmocka_unit_test(recover_timer),
		cmocka_unit_test(recover_done_ends),
		cmocka_unit_test(conflict_upddone),
		cmocka_unit_test(marks),
		cmocka_unit_test(op_partner_down),
		cmocka_unit_test(partner_down_since),
		cmocka_unit_test(partner_down_since_contact),
		cmocka_unit_test(partner_down_once_more),
		cmocka_unit_test(op_halt),
		cmocka_unit_test(shutdown_then_recover),
		cmocka_unit_test(op_resume),
		cmocka_unit_test(resume_long_after),
		cmocka_unit_test(view_grid),
		cmocka_unit_test(view_buckets),
		cmocka_unit_test(view_clamped),
		cmocka_unit_test(view_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
