#pragma once
/*
 * Two state machines over a wire, and the steps that may happen to them. explore_fsm.c says what is
 * left out and why, and is the only one to include this.
 */
#include "core/fo_fsm.h"
#include <string.h>

enum { Q = 8, MCLT = 60, LAST = 1000, MOST = 6000000 };

enum msg_kind { NOTHING, STATE, UPDREQ, UPDREQALL, UPDDONE, CLOSED };

struct msg {
	uint8_t kind, state, startup; /* the latter two of STATE */
};

struct side { /* octets only: compared and hashed as a whole */
	uint8_t state, saved, peer, ever, lost;
	uint8_t behind;	     /* the partner remembers a later start of ours (decision A7) */
	uint8_t link, heard; /* a link; a STATE on it */
	uint8_t new_pair;
	uint8_t asked, owes; /* an UPDREQ of ours, of theirs */
	uint8_t n;	     /* messages on their way to the partner */
	struct msg q[Q];
};

struct pair {
	struct side s[2]; /* 0 is the primary */
};

/* --- what may happen -------------------------------------------------------------------------- */

enum step_kind { /* without a fault up to FAULTS */
		 S_DELIVER,
		 S_DONE, /* all that was asked for is acknowledged */
		 S_RECOVER,
		 S_STARTUP,
		 S_RESUME,
		 S_CONNECT,
		 FAULTS,
		 S_LINK_LOST = FAULTS,
		 S_CRASH,
		 S_STORE_LOST,
		 S_STORE_RESTORED,
		 S_SAFE,
		 S_DOWN,
		 S_FORCE_DOWN,
		 S_PAUSE,
		 S_SHUTDOWN,
		 STEP_KINDS
};

static const char *const step_text[] = {
	"hears the next message",
	"has answered the update request",
	"RECOVER-WAIT is over",
	"startup timer",
	"resume by the operator",
	"and S connect",
	"link lost",
	"crashes and starts",
	"starts with an empty store",
	"starts with a copy of its store as of NORMAL",
	"safe period over",
	"partner-down by the operator",
	"partner-down --force",
	"pause by the operator",
	"shutdown by the operator",
};

/* A step: kind, side, how times compare. */
enum { FAR = 1, LATER = 2, HOWS = 4 };
#define STEP(kind, i, how) ((unsigned)(kind) << 3 | (unsigned)(i) << 2 | (how))
#define STEPS STEP(STEP_KINDS, 0, 0)

static const char *problem; /* of the step just made */

static unsigned state_shown(const struct side *s)
{
	return s->state == FO_STARTUP ? s->saved : s->state;
}

static void push(struct pair *p, unsigned i, struct msg m)
{
	struct side *s = &p->s[i];

	if (!p->s[!i].link)
		return;
	if (s->n == Q)
		problem = "they talk for ever";
	else
		s->q[s->n++] = m;
}

static void forget(struct pair *p, unsigned i, unsigned kind_from, unsigned kind_to)
{
	struct side *s = &p->s[i];
	unsigned n = 0;

	for (unsigned k = 0; k < s->n; k++)
		if (s->q[k].kind < kind_from || s->q[k].kind > kind_to)
			s->q[n++] = s->q[k];
	s->n = (uint8_t)n;
	memset(s->q + n, 0, (Q - n) * sizeof(s->q[0]));
}

static void tell(struct pair *p, unsigned i)
{
	const struct side *s = &p->s[i];

	push(p, i, (struct msg){ STATE, (uint8_t)state_shown(s), s->state == FO_STARTUP });
}

/* Only the latest request is answered: what belongs to an earlier one means nothing. */
static void ask(struct pair *p, unsigned i, bool all)
{
	forget(p, i, UPDREQ, UPDREQALL);
	forget(p, !i, UPDDONE, UPDDONE);
	p->s[!i].owes = 0;
	p->s[i].asked = 1;
	push(p, i, (struct msg){ all ? UPDREQALL : UPDREQ, 0, 0 });
}

static void link_gone(struct pair *p, unsigned i);

static bool halted(unsigned state)
{
	return state == FO_STARTUP || state == FO_PAUSED || state == FO_SHUTDOWN;
}

static struct fo_end to_end(const struct side *s, unsigned i)
{
	return (struct fo_end){ .state = s->state,
				.saved = s->saved,
				.peer = s->peer,
				.primary = i == 0,
				.ever_normal = s->ever,
				.lost_storage = s->lost,
				.stos = LAST,
				.peer_stos = LAST,
				.last_operational = LAST };
}

/* What no step may do; the middle ones would hurt a partner of another make (§3.7). */
static void judge(const struct fo_end *from, const struct fo_step *st)
{
	const struct fo_end *to = &st->next;

	if (memcmp(from, to, sizeof(*to)) && !(st->todo & FO_DO_PERSIST))
		problem = "something changed and is not persisted";
	if (from->primary && from->state == FO_POTENTIAL_CONFLICT && to->state == FO_NORMAL)
		problem = "the primary skips CONFLICT-DONE";
	if (!from->primary && to->state == FO_CONFLICT_DONE)
		problem = "the secondary shows CONFLICT-DONE";
	if (from->state == FO_PARTNER_DOWN && to->state == FO_COMM_INT)
		problem = "PARTNER-DOWN is forgotten";
	if (from->state == FO_RECOVER_WAIT && to->state == FO_RECOVER && !from->lost_storage)
		problem = "RECOVER-WAIT begins again";
	if (to->state == FO_STARTUP && from->state != FO_STARTUP &&
	    !(st->todo & FO_DO_STARTUP_TIMER))
		problem = "STARTUP without an end";
	if (to->state == FO_RECOVER_WAIT && from->state != FO_RECOVER_WAIT &&
	    !(st->todo & FO_DO_RECOVER_TIMER))
		problem = "RECOVER-WAIT without an end";
}

/* What is not known must not matter: the same step with other leftovers. */
static void compare(const struct side *s, unsigned i, const struct fo_in *in,
		    const struct fo_step *st)
{
	struct side other = *s;
	struct fo_step alike;
	struct fo_end cur;

	if (!s->heard && in->ev != FO_EV_PEER_STATE)
		other.peer = FO_CONFLICT_DONE;
	if (!halted(s->state))
		other.saved = FO_PARTNER_DOWN;
	cur = to_end(&other, i);
	alike = fo_fsm_step(&cur, in);
	if (alike.next.state != st->next.state ||
	    (alike.todo & ~(uint32_t)FO_DO_PERSIST) != (st->todo & ~(uint32_t)FO_DO_PERSIST) ||
	    (halted(st->next.state) && alike.next.saved != st->next.saved))
		problem = "a leftover decides";
}

static void link_gone(struct pair *p, unsigned i);

static void carry_out(struct pair *p, unsigned i, const struct fo_step *st)
{
	struct side *s = &p->s[i];
	bool moved = st->next.state != s->state;

	s->state = st->next.state;
	s->saved = halted(s->state) ? st->next.saved : 0;
	s->peer = st->next.peer;
	s->ever = st->next.ever_normal;
	s->lost = st->next.lost_storage;
	if (s->link && (st->todo & FO_DO_TELL_PEER || (moved && !s->heard)))
		tell(p, i);
	if (s->link && st->todo & (FO_DO_SEND_UPDREQ | FO_DO_SEND_UPDREQALL))
		ask(p, i, st->todo & FO_DO_SEND_UPDREQALL);
	if (st->todo & FO_DO_CLOSE) {
		push(p, i, (struct msg){ CLOSED, 0, 0 });
		link_gone(p, i);
	}
}

static bool happens(struct pair *p, unsigned i, struct fo_in in, unsigned how)
{
	struct side *s = &p->s[i];
	struct fo_end cur = to_end(s, i);
	struct fo_step st;

	in.linked = s->link && s->heard;
	in.new_pair = s->new_pair;
	in.asked = s->asked;
	in.mclt = MCLT;
	in.boot = LAST;
	in.now.sec = LAST + (how & FAR ? MCLT : 1);
	in.peer_stos = how & LATER ? LAST + 1 : LAST;
	st = fo_fsm_step(&cur, &in);
	judge(&cur, &st);
	compare(s, i, &in, &st);
	if (st.todo & FO_DO_REFUSED)
		return false;
	carry_out(p, i, &st);
	return true;
}

static bool event(struct pair *p, unsigned i, enum fo_event ev, unsigned how)
{
	return happens(p, i, (struct fo_in){ .ev = ev }, how);
}

/* --- link ------------------------------------------------------------------------------------- */

static void drop_link(struct pair *p, unsigned i)
{
	struct side *s = &p->s[i];

	s->link = s->heard = s->asked = s->owes = s->new_pair = s->peer = 0;
	forget(p, 0, 0, CLOSED);
	forget(p, 1, 0, CLOSED);
}

static void link_gone(struct pair *p, unsigned i)
{
	bool was = p->s[i].link;

	drop_link(p, i);
	if (was)
		(void)event(p, i, FO_EV_LINK_LOST, 0);
}

/* What each hears of the other's memory (decision A7; fo_connect.c). */
static void compare_memory(struct pair *p, unsigned i)
{
	struct side *s = &p->s[i];

	s->new_pair = !s->ever && !p->s[!i].ever;
	if (s->behind || (!s->ever && p->s[!i].ever && state_shown(s) == FO_RECOVER))
		s->lost = 1;
}

static void connect(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->s[i].link)
			link_gone(p, i);
	for (unsigned i = 0; i < 2; i++) {
		p->s[i].link = 1;
		compare_memory(p, i);
	}
	tell(p, 1);
	tell(p, 0);
}

static void hear_state(struct pair *p, unsigned i, const struct msg *m, unsigned how)
{
	if (m->state == FO_RECOVER)
		p->s[!i].behind = 0;
	p->s[i].heard = 1;
	(void)happens(p, i,
		      (struct fo_in){ .ev = FO_EV_PEER_STATE,
				      .peer_state = m->state,
				      .peer_startup = m->startup },
		      how);
}

static bool deliver(struct pair *p, unsigned i, unsigned how)
{
	struct side *from = &p->s[!i];
	struct msg m = from->q[0];

	if (!from->n || (m.kind != STATE && m.kind != UPDDONE && how))
		return false;
	memmove(from->q, from->q + 1, (Q - 1) * sizeof(m));
	memset(&from->q[Q - 1], 0, sizeof(m));
	from->n--;
	switch ((enum msg_kind)m.kind) {
	case STATE:
		hear_state(p, i, &m, how);
		break;
	case UPDREQ:
	case UPDREQALL:
		p->s[i].owes = 1;
		break;
	case UPDDONE:
		p->s[i].asked = 0;
		(void)event(p, i, FO_EV_UPDDONE, how);
		break;
	case CLOSED:
		link_gone(p, i);
		break;
	case NOTHING:
		break;
	}
	return true;
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool start(struct pair *p, unsigned i)
{
	drop_link(p, i);
	return event(p, i, FO_EV_START, 0);
}

static bool store_lost(struct pair *p, unsigned i, bool restored)
{
	struct side *s = &p->s[i];

	if (restored && !p->s[!i].ever)
		return false;
	drop_link(p, i);
	*s = (struct side){ .behind = p->s[!i].ever };
	if (restored) {
		s->state = FO_NORMAL;
		s->ever = 1;
	}
	return start(p, i);
}

static bool operate(struct pair *p, unsigned i, enum fo_event ev, unsigned how)
{
	return p->s[0].n + p->s[1].n < 2 && event(p, i, ev, how);
}

/* What goes on by itself, or is bound to be done. */
static bool make_progress(struct pair *p, enum step_kind kind, unsigned i, unsigned how)
{
	struct side *s = &p->s[i];

	switch (kind) {
	case S_DELIVER:
		return deliver(p, i, how);
	case S_STARTUP:
		return s->state == FO_STARTUP && event(p, i, FO_EV_STARTUP_TIMER, how);
	case S_RESUME:
		return event(p, i, FO_EV_OP_RESUME, how);
	case S_DONE:
		if (how || !s->owes)
			return false;
		s->owes = 0;
		push(p, i, (struct msg){ UPDDONE, 0, 0 });
		return true;
	case S_RECOVER:
		return !how && s->state == FO_RECOVER_WAIT && event(p, i, FO_EV_RECOVER_TIMER, FAR);
	case S_CONNECT:
		if (how || i || (p->s[0].link && p->s[1].link))
			return false;
		connect(p);
		return true;
	default:
		return false;
	}
}

static bool make_fault(struct pair *p, enum step_kind kind, unsigned i)
{
	switch (kind) {
	case S_SAFE:
		return p->s[i].state == FO_COMM_INT && event(p, i, FO_EV_SAFE_PERIOD, 0);
	case S_DOWN:
		return operate(p, i, FO_EV_OP_PARTNER_DOWN, 0);
	case S_FORCE_DOWN:
		return operate(p, i, FO_EV_OP_FORCE_PARTNER_DOWN, 0);
	case S_PAUSE:
		return operate(p, i, FO_EV_OP_PAUSE, 0);
	case S_SHUTDOWN:
		return operate(p, i, FO_EV_OP_SHUTDOWN, 0);
	case S_LINK_LOST:
		if (p->s[i].link)
			link_gone(p, i);
		return true;
	case S_CRASH:
		return start(p, i);
	case S_STORE_LOST:
	case S_STORE_RESTORED:
		return store_lost(p, i, kind == S_STORE_RESTORED);
	default:
		return false;
	}
}

/* Return: whether this may happen now. */
static bool make_step(struct pair *p, unsigned step)
{
	enum step_kind kind = (enum step_kind)(step >> 3);
	unsigned i = step >> 2 & 1, how = step & 3;

	problem = NULL;
	if (kind < FAULTS)
		return make_progress(p, kind, i, how);
	return !how && make_fault(p, kind, i);
}
