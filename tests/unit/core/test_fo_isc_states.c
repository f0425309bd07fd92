/*
 * What an ISC dhcpd sees of our states, and must never see, since it does not survive it. It is
 * played by hand, see fo_isc_partner.h. failover-behaviour §3.7.
 */
#include "fo_isc_partner.h"

static const uint8_t states[] = {
	FO_STARTUP,	  FO_NORMAL,	  FO_COMM_INT, FO_PARTNER_DOWN, FO_POTENTIAL_CONFLICT,
	FO_RECOVER,	  FO_PAUSED,	  FO_SHUTDOWN, FO_RECOVER_DONE, FO_RESOLUTION_INT,
	FO_CONFLICT_DONE, FO_RECOVER_WAIT
};

static unsigned shown(const struct fo_end *e)
{
	return e->state == FO_STARTUP ? e->saved : e->state;
}

/* Every state of ours, met by an ISC in NORMAL or CONFLICT-DONE: what it cannot stand is not shown,
 * the link is closed instead. */
static void test_never_shown(void **state)
{
	(void)state;
	for (unsigned k = 0; k < sizeof(states) * sizeof(states) * 16; k++) {
		uint8_t own = states[k % sizeof(states)];
		uint8_t saved = states[k / sizeof(states) % sizeof(states)];
		unsigned bits = k / (unsigned)(sizeof(states) * sizeof(states));
		struct fo_end end = { .state = own,
				      .saved = saved,
				      .primary = bits & 1,
				      .ever_normal = true,
				      .stos = 100,
				      .last_operational = 200 };
		struct fo_in in = { .ev = FO_EV_PEER_STATE,
				    .isc = true,
				    .first = bits & 2,
				    .peer_startup = bits & 4,
				    .peer_state = bits & 8 ? FO_CONFLICT_DONE : FO_NORMAL,
				    .mclt = 30,
				    .now.sec = 1000 };
		struct fo_step s = fo_fsm_step(&end, &in);
		unsigned is = shown(&s.next);
		bool bad;

		if (s.todo & FO_DO_CLOSE)
			continue;
		if (bits & 8)
			bad = is != FO_NORMAL && is != FO_POTENTIAL_CONFLICT &&
			      is != FO_RESOLUTION_INT;
		else
			bad = is == FO_POTENTIAL_CONFLICT || is == FO_RESOLUTION_INT ||
			      is == FO_CONFLICT_DONE || (is == FO_PARTNER_DOWN && !(bits & 4));
		if (bad)
			fail_msg("%s (saved %s) shows %s to %s, bits %x", fo_state_name(own),
				 fo_state_name(saved), fo_state_name(is),
				 fo_state_name(in.peer_state), bits);
	}
}

static void test_conflict_done_begins_anew(void **state) /* §3.7, 5 */
{
	struct fo_end end = { .state = FO_CONFLICT_DONE, .primary = true, .ever_normal = true };
	struct fo_in in = { .ev = FO_EV_PEER_STATE, .isc = true, .first = true, .linked = true };

	(void)state;
	in.peer_state = FO_RESOLUTION_INT;
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_POTENTIAL_CONFLICT);
	in.peer_state = FO_NORMAL; /* it has finished */
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_NORMAL);
	in.peer_state = FO_POTENTIAL_CONFLICT;
	in.first = false;
	assert_int_equal(fo_fsm_step(&end, &in).next.state, FO_CONFLICT_DONE);
	end.primary = false; /* roles were exchanged: never shown by a secondary */
	in.ev = FO_EV_START;
	assert_int_equal(fo_fsm_step(&end, &in).next.saved, FO_RESOLUTION_INT);
}

static void test_no_pause_in_conflict_done(void **state)
{
	struct fo_end end = { .state = FO_POTENTIAL_CONFLICT, .peer = FO_CONFLICT_DONE };
	struct fo_in in = { .ev = FO_EV_OP_PAUSE, .isc = true, .linked = true };

	(void)state;
	assert_true(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
	in.ev = FO_EV_OP_SHUTDOWN;
	assert_true(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
	in.ev = FO_EV_OP_PAUSE;
	in.linked = false;
	assert_false(fo_fsm_step(&end, &in).todo & FO_DO_REFUSED);
}

/* The states that the node shows, in order; 0 ends. */
static void shows(struct node *n, uint8_t ret[8])
{
	static struct fo_msg m;
	struct fo_state_msg s;
	unsigned k = 0;

	memset(ret, 0, 8);
	run(n->w, 0.1);
	for (struct in_air *a = n->w->n[!n->i].wire; a && k < 7; a = a->next) {
		assert_int_equal(fo_msg_decode(a->msg, a->len, &m), FO_OK);
		if (m.type == FO_STATE && fo_msg_read_state(&m, &s))
			ret[k++] = s.state;
	}
}

static void test_first_words(void **state)
{
	static const struct {
		const char *ref;
		uint8_t own, theirs;
		bool startup;
		uint8_t shown[8];
	} row[] = {
		{ "3.7.1 both back", FO_NORMAL, FO_COMM_INT, false, { FO_COMM_INT, FO_NORMAL } },
		{ "3.7.1 it restarts", FO_NORMAL, FO_NORMAL, true, { FO_COMM_INT, FO_NORMAL } },
		{ "3.7.1 it recovers", FO_NORMAL, FO_RECOVER, true, { FO_COMM_INT } },
		{ "3.7.2 we were down", FO_PARTNER_DOWN, FO_NORMAL, true, { FO_PARTNER_DOWN } },
		{ "3.5 both served alone",
		  FO_PARTNER_DOWN,
		  FO_PARTNER_DOWN,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.12 while we wait", FO_RECOVER_WAIT, FO_NORMAL, false, { FO_RECOVER_WAIT } },
		{ "3.7.6 it resolves",
		  FO_NORMAL,
		  FO_POTENTIAL_CONFLICT,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_NORMAL, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_PARTNER_DOWN, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_RECOVER, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD", FO_RECOVER_DONE, FO_CONFLICT_DONE, false, { FO_POTENTIAL_CONFLICT } },
		{ "3.7.6 CD",
		  FO_POTENTIAL_CONFLICT,
		  FO_CONFLICT_DONE,
		  false,
		  { FO_POTENTIAL_CONFLICT } },
		{ "3.7.3 PC meets N", FO_POTENTIAL_CONFLICT, FO_NORMAL, false, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		for (unsigned primary = 0; primary < 2; primary++) {
			struct world *w;
			uint8_t got[8];

			if (primary && row[i].theirs == FO_CONFLICT_DONE)
				continue;
			w = meets(primary, row[i].own, row[i].theirs, row[i].startup);
			shows(primary ? P : S, got);
			if (memcmp(got, row[i].shown, 8))
				fail_msg("row %zu (%s), primary %u: shows %s, %s", i, row[i].ref,
					 primary, fo_state_name(got[0]), fo_state_name(got[1]));
			world_done(w);
		}
}

/* It says nothing: after two seconds we do. */
static void test_speaks_after_all(void **state)
{
	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct world *w = alone(primary);
		struct node *n = primary ? P : S;

		link_up(n);
		shakes_hands(n);
		assert_null(heard_within(n, FO_STATE, 1.9));
		assert_non_null(heard_within(n, FO_STATE, 0.2));
		world_done(w);
	}
}

static void test_last_word_is_right(void **state)
{
	struct world *w = alone(true);
	struct fo_state_msg s;

	(void)state;
	link_up(P);
	shakes_hands(P);
	assert_true(fo_msg_read_state(heard_within(P, FO_STATE, 2.2), &s));
	assert_true(s.startup);
	for (unsigned i = 0; i < 2; i++) {
		run(w, 1.3);
		contact(P);
	}
	assert_int_equal(state_of(P), FO_STARTUP);
	run(w, 0.3);
	assert_true(fo_msg_read_state(heard(P, FO_STATE), &s)); /* STARTUP is over */
	assert_false(s.startup);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_shown),
		cmocka_unit_test(test_conflict_done_begins_anew),
		cmocka_unit_test(test_no_pause_in_conflict_done),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_speaks_after_all),
		cmocka_unit_test(test_last_word_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
