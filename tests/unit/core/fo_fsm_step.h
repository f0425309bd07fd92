#pragma once
/*
 * For tests of the failover state machine: the states by the letters of the tables, one end and an
 * event for it, and what holds of every step, whatever the event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "core/fo_fsm.h"

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

static inline struct fo_end end_in(uint8_t state, bool primary)
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

static inline struct fo_in event(enum fo_event ev)
{
	return (struct fo_in){ .ev = ev, .mclt = MCLT, .boot = BOOT, .now = { NOW } };
}

static inline struct fo_in peer_in(uint8_t state, bool startup)
{
	struct fo_in in = event(FO_EV_PEER_STATE);

	in.peer_state = state;
	in.peer_startup = startup;
	in.peer_stos = BEFORE;
	in.linked = true;
	return in;
}

/* What is due on entry; the update requests are looked at by themselves. */
static inline uint32_t entry_todo(unsigned state)
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
static inline void check_step(const struct fo_end *cur, const struct fo_in *in,
			      const struct fo_step *s)
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
