#pragma once
/*
 * What may happen next to the two servers of explore_world.h, one number for each step.
 * Included by explore.c alone.
 */
#include "explore_client.h"

enum step_kind {
	S_DELIVER,
	S_COMMIT,
	S_TIME,
	S_CONNECT,
	S_ASK,
	S_RELEASE,
	S_LINK_LOST,
	S_CRASH,
	S_BOOT,
	S_DOWN,
	S_LOSE,
	S_PAUSE,
	S_SHUTDOWN,
	S_RESUME,
	S_SETTLE, /* many at once: a short cut to what is far */
	STEP_KINDS
};

static const char *const step_text[] = { "hears",
					 "commits",
					 "time",
					 "connect",
					 "is asked by client",
					 "hears a release of client",
					 "link lost",
					 "crashes",
					 "starts",
					 "partner-down",
					 "store lost",
					 "pause",
					 "shutdown",
					 "resume",
					 "and S commit and hear all" };

#define STEP(kind, c, i) ((unsigned)(kind) << 3 | (unsigned)((c)-1) << 1 | (unsigned)(i))
#define STEPS STEP(STEP_KINDS, 1, 0)

static bool operate(unsigned i, enum fo_event ev)
{
	struct now now = now_is();
	const char *refused;

	begin_turn(i);
	refused = fo_endpoint_operate(ep[i], ev, 0, &now);
	end_turn(i);
	return !refused;
}

static bool has_down(unsigned i)
{
	const struct fo_end *e = &w.n[i].disk.rec.end;

	return w.n[i].up ? state_of(i) == FO_PARTNER_DOWN : e->state == FO_PARTNER_DOWN;
}

static bool may_pass_time(void)
{
	bool linked = w.n[0].conn && w.n[1].conn;

	for (unsigned i = 0; i < 2; i++)
		if (w.n[i].waiting || w.n[i].wire_len || w.n[i].out_len)
			return false;
	if (setup.false_down || linked || !w.n[0].up || !w.n[1].up)
		return true;
	return !w.down_declared;
}

static bool declare_down(unsigned i)
{
	if (!setup.false_down && (w.n[!i].up || has_down(!i)))
		return false;
	if (!operate(i, FO_EV_OP_PARTNER_DOWN))
		return false;
	w.down_declared = 1;
	return true;
}

static bool make_fault(enum step_kind kind, unsigned i)
{
	struct node *n = &w.n[i];

	switch (kind) {
	case S_LINK_LOST:
		if (!n->conn)
			return false;
		link_lost(i);
		return true;
	case S_CRASH:
		if (!n->up)
			return false;
		crash(i);
		return true;
	case S_LOSE:
		if (n->up || w.lost || !n->disk.has_rec)
			return false;
		lose_store(i);
		return true;
	case S_DOWN:
		return n->up && declare_down(i);
	case S_PAUSE:
		return n->up && operate(i, FO_EV_OP_PAUSE);
	case S_SHUTDOWN:
		return n->up && operate(i, FO_EV_OP_SHUTDOWN);
	default:
		return false;
	}
}

static bool settle(void)
{
	unsigned n = 0, before;

	do {
		before = n;
		for (unsigned i = 0; i < 2 && !violation[0]; i++) {
			struct node *node = &w.n[i];

			if (node->up && node->waiting) {
				commit(i);
				n++;
			}
			if (node->up && node->wire_len) {
				deliver(i);
				n++;
			}
		}
	} while (n != before && n < 500);
	return n > 1;
}

/* Return: whether it can happen now. Most steps are one node's; the others are the primary's. */
static bool make_step(unsigned step)
{
	enum step_kind kind = (enum step_kind)(step >> 3);
	unsigned c = (step >> 1 & 3) + 1, i = step & 1;
	struct node *n = &w.n[i];

	violation[0] = 0;
	if (c > 1 && ((kind != S_ASK && kind != S_RELEASE) || c > setup.n_clients))
		return false;
	switch (kind) {
	case S_DELIVER:
		if (!n->up || !n->wire_len)
			return false;
		deliver(i);
		return true;
	case S_COMMIT:
		if (!n->up || !n->waiting)
			return false;
		commit(i);
		return true;
	case S_TIME:
		if (i || !may_pass_time())
			return false;
		pass_time();
		return true;
	case S_CONNECT:
		if (i || !w.n[0].up || !w.n[1].up || (w.n[0].conn && w.n[1].conn))
			return false;
		connect();
		return true;
	case S_BOOT:
		if (n->up)
			return false;
		boot(i);
		return true;
	case S_ASK:
		return n->up && client_asks(c, i);
	case S_RELEASE:
		return n->up && client_releases(c, i);
	case S_RESUME:
		return n->up && operate(i, FO_EV_OP_RESUME);
	case S_SETTLE:
		return !i && settle();
	default:
		return make_fault(kind, i);
	}
}
