/*
 * Two failover state machines against each other over a small exchange of STATE, UPDREQ and
 * UPDDONE: the reference sequences, then every pair of states, every interleaving that a seed
 * finds, a crash and a cut after every message. Whatever happens, they meet in NORMAL.
 * Spec: draft-ietf-dhc-failover-12 §9; failover-behaviour §3.5, §9; decision A11.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "core/fo_fsm.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { T0 = 1000000, MCLT = 60, QUEUE = 64, MESSAGES_MOST = 200 };

enum kind { STATE, UPDREQ, UPDREQALL, UPDDONE };

struct message {
	enum kind kind;
	uint8_t state;
	bool startup;
	uint32_t stos;
	unsigned id; /* of the request */
};

struct side {
	struct fo_end end, disk;
	struct message queue[QUEUE]; /* to the partner, in flight */
	unsigned head, tail;
	unsigned asked, next_id; /* id of our unanswered request, 0 none */
	uint32_t boot, recover_until;
	bool up, heard;
	unsigned requests_all;
	char trace[256];
};

struct pair {
	struct side s[2]; /* 0 is the primary */
	bool linked;
	uint32_t now;
	unsigned delivered;
};

static const char *short_name(unsigned state)
{
	static const char *const names[] = { "-", "ST", "N",  "CI", "PD", "PC",
					     "R", "PA", "SD", "RD", "RI", "CD" };

	return state == FO_RECOVER_WAIT ? "RW" : state < LEN(names) ? names[state] : "?";
}

static void send(struct pair *p, unsigned i, struct message m)
{
	struct side *s = &p->s[i];

	if (!p->linked)
		return;
	assert_in_range(s->tail - s->head, 0, QUEUE - 1);
	s->queue[s->tail++ % QUEUE] = m;
}

static void tell(struct pair *p, unsigned i)
{
	const struct fo_end *e = &p->s[i].end;
	bool startup = e->state == FO_STARTUP;

	send(p, i,
	     (struct message){ .kind = STATE,
			       .state = startup ? e->saved : e->state,
			       .startup = startup,
			       .stos = e->stos });
}

/* The steps that would hurt a partner of another make, §3.7. */
static void check_move(const struct fo_end *from, const struct fo_end *to)
{
	if (from->primary)
		assert_false(from->state == FO_POTENTIAL_CONFLICT && to->state == FO_NORMAL);
	else
		assert_int_not_equal(to->state, FO_CONFLICT_DONE);
	assert_false(from->state == FO_PARTNER_DOWN && to->state == FO_COMM_INT);
	assert_false(from->state == FO_RECOVER_WAIT && to->state == FO_RECOVER);
}

static void carry_out(struct pair *p, unsigned i, const struct fo_step *st)
{
	struct side *s = &p->s[i];

	if (memcmp(&st->next, &s->end, sizeof(s->end)))
		assert_true(st->todo & FO_DO_PERSIST);
	check_move(&s->end, &st->next);
	if (st->next.state != s->end.state) {
		size_t n = strlen(s->trace);

		snprintf(s->trace + n, sizeof(s->trace) - n, "%s%s", n ? " " : "",
			 short_name(st->next.state));
	}
	s->disk = s->end = st->next;
	if (st->todo & FO_DO_TELL_PEER)
		tell(p, i);
	if (st->todo & (FO_DO_SEND_UPDREQ | FO_DO_SEND_UPDREQALL)) {
		bool all = st->todo & FO_DO_SEND_UPDREQALL;

		s->asked = ++s->next_id;
		s->requests_all += all;
		send(p, i, (struct message){ .kind = all ? UPDREQALL : UPDREQ, .id = s->asked });
	}
	if (st->todo & FO_DO_RECOVER_TIMER)
		s->recover_until = st->recover_until;
	assert_false(st->todo & FO_DO_CLOSE);
}

static struct fo_step happens(struct pair *p, unsigned i, struct fo_in in)
{
	struct side *s = &p->s[i];
	struct fo_step st;

	in.linked = p->linked;
	in.new_pair = !p->s[0].end.ever_normal && !p->s[1].end.ever_normal;
	in.mclt = MCLT;
	in.boot = s->boot;
	in.heard_since_start = s->heard;
	in.now.sec = p->now;
	in.asked = s->asked;
	st = fo_fsm_step(&s->end, &in);
	carry_out(p, i, &st);
	return st;
}

static struct fo_step event(struct pair *p, unsigned i, enum fo_event ev)
{
	return happens(p, i, (struct fo_in){ .ev = ev });
}

static void receive(struct pair *p, unsigned i, const struct message *m)
{
	struct side *s = &p->s[i];

	switch (m->kind) {
	case STATE:
		s->heard = true;
		happens(p, i,
			(struct fo_in){ .ev = FO_EV_PEER_STATE,
					.peer_state = m->state,
					.peer_startup = m->startup,
					.peer_stos = m->stos });
		break;
	case UPDREQ:
	case UPDREQALL: /* nothing to send: done at once */
		send(p, i, (struct message){ .kind = UPDDONE, .id = m->id });
		break;
	case UPDDONE:
		if (m->id != s->asked) /* of a request that was repeated */
			break;
		s->asked = 0;
		event(p, i, FO_EV_UPDDONE);
		break;
	}
}

/* --- the world ----------------------------------------------------------------------------------
 */

static void boot(struct pair *p, unsigned i)
{
	struct side *s = &p->s[i];

	s->end = s->disk;
	s->up = true;
	s->heard = false;
	s->boot = p->now;
	s->recover_until = 0;
	event(p, i, FO_EV_START);
}

static void cut(struct pair *p)
{
	bool was = p->linked;

	p->linked = false;
	for (unsigned i = 0; i < 2; i++) {
		p->s[i].head = p->s[i].tail = p->s[i].asked = 0;
		if (was && p->s[i].up)
			event(p, i, FO_EV_LINK_LOST);
	}
}

/* kill -9: nothing but what is on disk remains. */
static void kill(struct pair *p, unsigned i)
{
	p->s[i].up = false;
	cut(p);
	memset(&p->s[i].end, 0, sizeof(p->s[i].end));
	p->s[i].end.ever_normal = p->s[i].disk.ever_normal; /* for new_pair of the other */
}

static void link_up(struct pair *p)
{
	p->linked = true;
	for (unsigned i = 0; i < 2; i++) { /* what CONNECT and CONNECTACK find, decision A7 */
		struct fo_end *e = &p->s[i].end;

		assert_true(p->s[i].up);
		if (!e->ever_normal && p->s[!i].end.ever_normal)
			e->lost_storage = true;
	}
	tell(p, 1); /* with the CONNECTACK */
	tell(p, 0);
}

static bool deliver(struct pair *p, unsigned to)
{
	struct side *from = &p->s[!to];
	struct message m;

	if (from->head == from->tail)
		return false;
	m = from->queue[from->head++ % QUEUE];
	p->delivered++;
	receive(p, to, &m);
	return true;
}

/* Time goes on to the end of a RECOVER-WAIT. Return: whether there was one. */
static bool wait_recover(struct pair *p)
{
	bool fired = false;

	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p->s[i];

		if (!s->up || s->end.state != FO_RECOVER_WAIT)
			continue;
		if (p->now < s->recover_until)
			p->now = s->recover_until;
		event(p, i, FO_EV_RECOVER_TIMER);
		fired = true;
	}
	return fired;
}

/* Deliver up to @most messages, in an order that @seed decides; waits come when nothing is in
 * flight. */
static void run(struct pair *p, unsigned most, uint32_t seed)
{
	unsigned until = p->delivered + most;

	while (p->delivered < until) {
		unsigned first = seed >> 16 & 1;

		seed = seed * 1103515245u + 12345u;
		if (!deliver(p, first) && !deliver(p, !first) && !wait_recover(p))
			return;
	}
}

static void settle(struct pair *p)
{
	unsigned before = p->delivered;

	run(p, MESSAGES_MOST, 0);
	assert_true(p->delivered - before < MESSAGES_MOST); /* they do not talk for ever */
}

static struct pair fresh(void)
{
	struct pair p = { .now = T0 };

	for (unsigned i = 0; i < 2; i++) {
		p.s[i].disk.primary = i == 0;
		boot(&p, i);
	}
	return p;
}

static void forget_traces(struct pair *p)
{
	p->s[0].trace[0] = p->s[1].trace[0] = 0;
}

/* A pair in NORMAL that has served for an hour. */
static struct pair normal(void)
{
	struct pair p = fresh();

	link_up(&p);
	settle(&p);
	p.now += 3600;
	for (unsigned i = 0; i < 2; i++)
		p.s[i].disk.last_operational = p.s[i].end.last_operational = p.now;
	forget_traces(&p);
	return p;
}

static void both_normal(const struct pair *p)
{
	assert_string_equal(short_name(p->s[0].end.state), "N");
	assert_string_equal(short_name(p->s[1].end.state), "N");
	assert_true(p->s[0].end.ever_normal && p->s[1].end.ever_normal);
	assert_int_equal(p->s[0].end.peer, FO_NORMAL);
	assert_int_equal(p->s[1].end.peer, FO_NORMAL);
}

static void traces(const struct pair *p, const char *primary, const char *secondary)
{
	assert_string_equal(p->s[0].trace, primary);
	assert_string_equal(p->s[1].trace, secondary);
}

static void work(struct pair *p, unsigned i)
{
	p->s[i].disk.last_operational = p->s[i].end.last_operational = p->now;
}

/* --- the reference sequences, §9
 * ------------------------------------------------------------------ */

static void first_start(void **state)
{
	struct pair p = fresh();

	(void)state;
	link_up(&p);
	settle(&p);
	both_normal(&p);
	assert_int_equal(p.now, T0); /* nobody waited */
	assert_true(p.s[0].requests_all && p.s[1].requests_all);
	assert_string_equal(p.s[1].trace + strlen(p.s[1].trace) - 1, "N");
	assert_non_null(strstr(p.s[0].trace, "ST R "));
}

static void short_outage(void **state)
{
	(void)state;
	for (unsigned victim = 0; victim < 2; victim++) {
		struct pair p = normal();
		uint32_t killed = p.now, requests = p.s[victim].next_id;

		kill(&p, victim);
		p.now += 12;
		work(&p, !victim);
		boot(&p, victim);
		link_up(&p);
		settle(&p);
		both_normal(&p);
		traces(&p, victim ? "CI N" : "ST N", victim ? "ST N" : "CI N");
		assert_int_equal(p.now, killed + 12); /* by the updates alone */
		assert_int_equal(p.s[victim].next_id, requests);
	}
}

static void cable_cut(void **state)
{
	struct pair p = normal();

	(void)state;
	cut(&p);
	p.now += 500;
	link_up(&p);
	settle(&p);
	both_normal(&p);
	traces(&p, "CI N", "CI N");
}

static void both_restart(void **state)
{
	struct pair p = normal();

	(void)state;
	kill(&p, 0);
	kill(&p, 1);
	p.now += 5;
	boot(&p, 0);
	boot(&p, 1);
	link_up(&p);
	settle(&p);
	both_normal(&p);
}

static void partner_down_and_return(void **state)
{
	static const struct {
		uint32_t away;
		const char *trace;
		uint32_t done; /* seconds after the kill */
	} row[] = { { 20, "ST R RW RD N", MCLT }, { MCLT + 12, "ST R RD N", MCLT + 12 } };

	(void)state;
	for (size_t i = 0; i < LEN(row); i++)
		for (unsigned victim = 0; victim < 2; victim++) {
			struct pair p = normal();
			uint32_t killed = p.now;

			kill(&p, victim);
			p.now += 5;
			event(&p, !victim, FO_EV_OP_PARTNER_DOWN);
			p.now = killed + row[i].away;
			work(&p, !victim);
			boot(&p, victim);
			link_up(&p);
			settle(&p);
			both_normal(&p);
			assert_string_equal(p.s[victim].trace, row[i].trace);
			assert_string_equal(p.s[!victim].trace, "CI PD N");
			assert_int_equal(p.now, killed + row[i].done);
		}
}

static void both_partner_down(void **state)
{
	struct pair p = normal();

	(void)state;
	cut(&p);
	p.now += 10;
	event(&p, 0, FO_EV_OP_PARTNER_DOWN);
	event(&p, 1, FO_EV_OP_PARTNER_DOWN);
	p.now += 20;
	link_up(&p);
	settle(&p);
	both_normal(&p);
	traces(&p, "CI PD PC CD N", "CI PD PC N");
}

static void one_partner_down_while_both_serve(void **state)
{
	(void)state;
	for (unsigned down = 0; down < 2; down++) {
		struct pair p = normal();

		cut(&p);
		p.now += 10;
		event(&p, down, FO_EV_OP_PARTNER_DOWN);
		p.now += 20;
		work(&p, !down); /* it has promised after that */
		link_up(&p);
		settle(&p);
		both_normal(&p);
		assert_non_null(strstr(p.s[0].trace, "PC CD N"));
		assert_non_null(strstr(p.s[1].trace, "PC N"));
	}
}

static void orderly_shutdown(void **state)
{
	(void)state;
	for (unsigned restarts = 0; restarts < 2; restarts++) {
		struct pair p = normal();

		happens(&p, 1, (struct fo_in){ .ev = FO_EV_OP_SHUTDOWN, .settled = true });
		settle(&p);
		traces(&p, "PD", "SD");
		p.now += 10;
		if (restarts) {
			kill(&p, 1);
			boot(&p, 1);
			link_up(&p);
		} else {
			event(&p, 1, FO_EV_OP_RESUME);
		}
		settle(&p);
		both_normal(&p);
		traces(&p, "PD N", restarts ? "SD ST R RD N" : "SD R RD N");
	}
}

static void pause_and_resume(void **state)
{
	struct pair p = normal();

	(void)state;
	event(&p, 0, FO_EV_OP_PAUSE);
	settle(&p);
	traces(&p, "PA", "CI");
	event(&p, 0, FO_EV_OP_RESUME);
	settle(&p);
	both_normal(&p);
}

/* Decision A7: an emptied store asks for everything and waits from its start. */
static void storage_lost(void **state)
{
	(void)state;
	for (unsigned victim = 0; victim < 2; victim++) {
		struct pair p = normal();
		unsigned all = p.s[victim].requests_all;
		uint32_t booted;

		kill(&p, victim);
		p.s[victim].disk = (struct fo_end){ .primary = victim == 0 };
		p.now += 500;
		booted = p.now;
		boot(&p, victim);
		link_up(&p);
		settle(&p);
		both_normal(&p);
		assert_string_equal(p.s[victim].trace, "ST R RW RD N");
		assert_string_equal(p.s[!victim].trace, "CI N"); /* serving all the while */
		assert_int_equal(p.s[victim].requests_all, all + 1);
		assert_int_equal(p.now, booted + MCLT);
	}
}

/* The survivor in COMMUNICATIONS-INTERRUPTED serves on until the other has recovered. */
static void forced_alone(void **state)
{
	struct pair p = fresh();

	(void)state;
	event(&p, 0, FO_EV_STARTUP_TIMER);
	assert_string_equal(short_name(p.s[0].end.state), "R");
	assert_true(event(&p, 0, FO_EV_OP_PARTNER_DOWN).todo & FO_DO_REFUSED);
	assert_false(event(&p, 0, FO_EV_OP_FORCE_PARTNER_DOWN).todo & FO_DO_REFUSED);
	link_up(&p);
	settle(&p);
	both_normal(&p);
	assert_string_equal(p.s[0].trace, "ST R PD N");
}

/* --- whole grids
 * ------------------------------------------------------------------------------------ */

static const uint8_t all_states[] = {
	FO_NORMAL,	  FO_COMM_INT, FO_PARTNER_DOWN, FO_POTENTIAL_CONFLICT, FO_RESOLUTION_INT,
	FO_CONFLICT_DONE, FO_RECOVER,  FO_RECOVER_WAIT, FO_RECOVER_DONE
};

static struct pair in_states(uint8_t primary, uint8_t secondary)
{
	struct pair p = normal();
	uint8_t states[2] = { primary, secondary };

	cut(&p);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p.s[i];

		s->end.state = states[i];
		s->end.stos = p.now - 30;
		s->end.last_operational = p.now - 20;
		s->recover_until = p.now + 40;
		s->disk = s->end;
		event(&p, i, FO_EV_LINK_LOST); /* who lives on knows that the link is gone */
		s->disk.state = states[i];     /* who restarts may have missed it */
	}
	forget_traces(&p);
	p.now += 5;
	return p;
}

/* Each pair of states in which two servers may find each other, one or both after a restart, or
 * none: they end in NORMAL, however the messages interleave. */
static void any_pair(void **state)
{
	unsigned pairs = 0;

	(void)state;
	for (size_t a = 0; a < LEN(all_states); a++)
		for (size_t b = 0; b < LEN(all_states); b++)
			for (unsigned restart = 0; restart < 4; restart++)
				for (uint32_t seed = 0; seed < 32; seed++) {
					struct pair p;

					if (all_states[b] == FO_CONFLICT_DONE)
						continue; /* a secondary never is */
					p = in_states(all_states[a], all_states[b]);
					for (unsigned i = 0; i < 2; i++)
						if (restart >> i & 1)
							boot(&p, i);
					link_up(&p);
					run(&p, MESSAGES_MOST, seed * 7919);
					if (p.s[0].end.state != FO_NORMAL ||
					    p.s[1].end.state != FO_NORMAL)
						fail_msg("%s, %s restart %u seed %u: %s / %s",
							 short_name(all_states[a]),
							 short_name(all_states[b]), restart, seed,
							 p.s[0].trace, p.s[1].trace);
					both_normal(&p);
					pairs++;
				}
	assert_int_equal(pairs, 9 * 8 * 4 * 32);
}

/* A story is cut short after every message: by a broken link, by a crash of one, by a crash of
 * both. They meet again. */
static void interrupt(struct pair p, unsigned after, unsigned how)
{
	run(&p, after, after * 31337);
	if (how == 0)
		cut(&p);
	if (how & 1)
		kill(&p, 0);
	if (how & 2)
		kill(&p, 1);
	p.now += 3;
	for (unsigned i = 0; i < 2; i++)
		if (!p.s[i].up)
			boot(&p, i);
	link_up(&p);
	settle(&p);
	if (p.s[0].end.state != FO_NORMAL || p.s[1].end.state != FO_NORMAL)
		fail_msg("after %u, how %u: %s / %s", after, how, p.s[0].trace, p.s[1].trace);
}

static void interrupted_anywhere(void **state)
{
	static const uint8_t story[][2] = {
		{ FO_PARTNER_DOWN, FO_PARTNER_DOWN },
		{ FO_PARTNER_DOWN, FO_RECOVER },
		{ FO_RECOVER, FO_PARTNER_DOWN },
		{ FO_COMM_INT, FO_COMM_INT },
		{ FO_RECOVER, FO_RECOVER },
		{ FO_COMM_INT, FO_RECOVER },
		{ FO_CONFLICT_DONE, FO_RESOLUTION_INT },
	};

	(void)state;
	for (size_t i = 0; i < LEN(story); i++)
		for (unsigned after = 0; after < 16; after++)
			for (unsigned how = 0; how < 4; how++) {
				struct pair p = in_states(story[i][0], story[i][1]);

				link_up(&p);
				interrupt(p, after, how);
				p = fresh();
				link_up(&p);
				interrupt(p, after, how);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_start),
		cmocka_unit_test(short_outage),
		cmocka_unit_test(cable_cut),
		cmocka_unit_test(both_restart),
		cmocka_unit_test(partner_down_and_return),
		cmocka_unit_test(both_partner_down),
		cmocka_unit_test(one_partner_down_while_both_serve),
		cmocka_unit_test(orderly_shutdown),
		cmocka_unit_test(pause_and_resume),
		cmocka_unit_test(storage_lost),
		cmocka_unit_test(forced_alone),
		cmocka_unit_test(any_pair),
		cmocka_unit_test(interrupted_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
