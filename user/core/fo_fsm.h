#pragma once
/*
 * The failover state machine: state + event -> state + things to do. One function moves state.
 * Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour §3; decisions A5, A7 to A11, A23.
 */
#include "core/types.h"
#include "core/fo_view.h"

enum fo_state { /* numbers of the wire, draft §12.24; 254 is ISC's for RECOVER-WAIT */
		FO_STATE_NONE = 0,
		FO_STARTUP = 1, /* never sent: shown by the STARTUP flag */
		FO_NORMAL = 2,
		FO_COMM_INT = 3,
		FO_PARTNER_DOWN = 4,
		FO_POTENTIAL_CONFLICT = 5,
		FO_RECOVER = 6,
		FO_PAUSED = 7,
		FO_SHUTDOWN = 8,
		FO_RECOVER_DONE = 9,
		FO_RESOLUTION_INT = 10,
		FO_CONFLICT_DONE = 11,
		FO_RECOVER_WAIT = 254,
};
const char *fo_state_name(unsigned state); /* "COMMUNICATIONS-INTERRUPTED" as in the draft */
bool fo_state_valid(unsigned state);	   /* one that may stand on the wire (2..11, 254) */
/* One in which clients are promised something: only then does the caller advance last_operational,
 * and not while on hold. */
bool fo_state_operational(unsigned state);

/* A clock was behind the time of its last work by more only with an operator's consent (A20): it is
 * what the owner of the clock slews away, which says so itself. */
#define FO_CLOCK_SLACK_SEC 60

enum fo_event {
	FO_EV_START,	       /* the relationship was loaded: enter STARTUP */
	FO_EV_PEER_STATE,      /* the partner's STATE arrived on a complete link */
	FO_EV_LINK_LOST,       /* closed, silent beyond the receive timer, or never came up */
	FO_EV_STARTUP_TIMER,   /* the partner was not heard within the startup time */
	FO_EV_UPDDONE,	       /* all that we asked for has been stored */
	FO_EV_RECOVER_TIMER,   /* the wait of RECOVER-WAIT is over */
	FO_EV_SAFE_PERIOD,     /* auto-partner-down: that long in COMMUNICATIONS-INTERRUPTED */
	FO_EV_HOLD_OVER,       /* decision A8: alone for MCLT without sign of the partner */
	FO_EV_OP_PARTNER_DOWN, /* operator */
	FO_EV_OP_FORCE_PARTNER_DOWN, /* operator, risk accepted */
	FO_EV_OP_SHUTDOWN,
	FO_EV_OP_PAUSE,
	FO_EV_OP_RESUME,
	FO_EVENTS
};

/* Durable part of an endpoint; the record of the relationship in the store holds it. */
struct fo_end {
	uint8_t state; /* enum fo_state; while FO_STARTUP, @saved is what is shown and stored */
	uint8_t saved; /* state to return to from STARTUP, PAUSED, SHUTDOWN */
	uint8_t peer;  /* the partner's last known state, FO_STATE_NONE when never heard */
	bool primary;
	bool ever_normal;   /* the pair has been in NORMAL: an incarnation exists */
	bool lost_storage;  /* the partner remembers more than we do: RECOVER with UPDREQALL */
	bool behind;	    /* the partner may have taken over, and has yet to tell what it gave */
	bool owes_all;	    /* the partner asked UPDREQALL and has not had UPDDONE */
	uint32_t stos;	    /* UTC sec: our state was entered */
	uint32_t peer_stos; /* UTC sec, our clock */
	uint32_t last_operational; /* UTC sec, written with each commit and every 10 s while
				      operational; 0: we promised nothing that the partner does
				      not know of (new, or shut down in order) */
};

enum fo_do { /* carried out lowest bit first */
	     FO_DO_PERSIST = 1 << 0,
	     FO_DO_TELL_PEER = 1 << 1, /* STATE */
	     FO_DO_SEND_UPDREQ = 1 << 3,
	     FO_DO_SEND_UPDREQALL = 1 << 4,
	     FO_DO_SEND_UPDATES = 1 << 5, /* push what is dirty (entry to NORMAL, CI -> N) */
	     FO_DO_BALANCE = 1 << 6,	  /* primary balances, secondary sends POOLREQ */
	     FO_DO_STARTUP_TIMER = 1 << 7,
	     FO_DO_RECOVER_TIMER = 1 << 8, /* until recover_until */
	     FO_DO_SAFE_TIMER = 1 << 9,	   /* arm auto-partner-down */
	     FO_DO_RECLAIM = 1 << 10, /* PARTNER-DOWN entered: set the timers of what will return */
	     FO_DO_CLEAR_ACKED = 1 << 11, /* forget all up-to-date marks */
	     FO_DO_CLOSE = 1 << 12,	  /* close the link */
	     FO_DO_REFUSED = 1 << 13,	  /* the operator's wish is not possible here: see @why */
	     FO_DO_HOLD = 1 << 14, /* alone (or beside a partner that lost its storage) after an
				      absence of MCLT or more, or behind a partner that took over:
				      hold back (decision A8), if so configured. The view depends
				      on it */
};

struct fo_in {
	enum fo_event ev;
	uint8_t peer_state; /* FO_EV_PEER_STATE */
	bool peer_startup;  /* the STARTUP flag was set */
	uint32_t peer_stos; /* corrected to our clock */
	bool peer_ran;	    /* it is halted now, and may have served since our state began; found
			       by the machine itself */
	bool linked;	    /* a complete link exists */
	bool isc;	    /* the partner is an ISC dhcpd, or of another make */
	bool first;	    /* FO_EV_PEER_STATE: its first STATE on this link */
	bool new_pair;	    /* neither side has an incarnation, or ours is missing and the
			       partner, an ISC, is in RECOVER as well: RECOVER-WAIT is 0 */
	uint32_t mclt;
	uint32_t boot;		/* UTC sec of our start */
	bool heard_since_start; /* some STATE of the partner was heard since our start */
	wall_t now;
	bool hold;	/* decision A8 holds us back now */
	bool peer_lost; /* as last heard, the partner has lost what it promised */
	bool asked;	/* an UPDREQ or UPDREQALL of ours is unanswered on this link */
	bool settled;	/* FO_EV_OP_SHUTDOWN: the partner has acknowledged all that we promised */
	uint32_t since; /* operator's partner-down: UTC sec since when it is known dead, 0 = now */
};

struct fo_step {
	struct fo_end next;
	uint32_t todo;		/* enum fo_do */
	uint32_t recover_until; /* UTC sec, with FO_DO_RECOVER_TIMER */
	const char *why;	/* one sentence, for the event and the operator; never NULL */
};

/**
 * fo_fsm_step - what an event makes of a relationship
 * A state that is not on disk is not entered: persist @next first, then do the rest. After a step
 * without FO_DO_PERSIST, @next is @cur.
 */
struct fo_step fo_fsm_step(const struct fo_end *cur, const struct fo_in *in);

struct fo_policy_conf {
	bool hot_standby;
	bool active_is_primary;
	uint16_t secs_threshold;
	uint8_t hash_identity;
	uint8_t hba[32]; /* 1 bit: the primary answers */
};

/* What the state means for clients and for the kernel (decision A5). generation is left 0 for the
 * caller. */
struct fo_view fo_fsm_view(const struct fo_end *end, const struct fo_policy_conf *conf,
			   uint32_t mclt, bool hold);
