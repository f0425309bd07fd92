/*
 * fo_endpoint: two endpoints over memory, from the first start to the return of a lost one.
 * failover-behaviour §3 to §9; decisions A. FO_TRACE=1 prints events, FO_WIRE=1 messages.
 */
#include "fo_pair.h"

/* --- first start, leases ------------------------------------------------------------------------
 */

static void test_first_start(void **state)
{
	static const uint8_t path[] = { FO_STARTUP, FO_RECOVER };
	struct world *w = new_world(3);

	(void)state;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_true(w->us < 2 * SEC); /* RECOVER-WAIT is 0 for a new pair, and shares go quickly */
	assert_memory_equal(P->trace, path, sizeof(path));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(count_state(P, i, LEASE_BACKUP), range_size[i] / 2);
		assert_int_equal(count_state(S, i, LEASE_BACKUP), range_size[i] / 2);
	}
	assert_same(w, 0);
	assert_true(P->runs_left >= 3 && P->updates_left <= 6); /* by range, not by address */
	for (unsigned a = 0; a < MAX_ADDR; a++)
		assert_false(P->disk.has[a] || S->disk.has[a]);
	assert_int_equal(P->ep->count.sent[FO_POOLRESP], S->ep->count.sent[FO_POOLREQ]);
	assert_true(fo_any(P->disk.rec.incarnation, 16));
	assert_true(fo_any(S->disk.rec.incarnation, 16));
	world_done(w);
}

/* A partner of the first version knows no runs: one address at a time, as it understands. */
static void test_first_start_without_runs(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	w->no_runs = true;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(count_state(P, i, LEASE_BACKUP), range_size[i] / 2);
		assert_int_equal(count_state(S, i, LEASE_BACKUP), range_size[i] / 2);
	}
	assert_same(w, 0);
	assert_int_equal(P->runs_written + P->runs_left, 0);
	assert_true(P->multi > 10); /* several bindings per message */
	assert_int_equal(P->max_in_flight, 10);
	world_done(w);
}

/* A secondary that lost its disk and has become one of the first version: it hears of each address
 * of its share, and may use none before. */
static void test_runs_for_former_partner(void **state)
{
	struct world *w = normal_pair();
	unsigned share = count_state(P, 0, LEASE_BACKUP);

	(void)state;
	assert_true(P->runs_left > 0);
	for (unsigned c = 1; c < 20; c++)
		(void)(request(P, c, false) + request(S, c, false));
	run(w, 1);
	crash(S, true);
	lose_disk(S);
	S->runs_written = 0;
	w->no_runs = true;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	assert_int_equal(S->runs_written, 0);
	assert_true(count_state(S, 0, LEASE_BACKUP) + 20 >= share);
	world_done(w);
}

/* The former version asks for all of what both agree about: each address is told as it is, and none
 * as wanted back. */
static void test_runs_told_one_by_one(void **state)
{
	struct world *w = normal_pair();
	unsigned share = count_state(P, 0, LEASE_BACKUP);
	uint64_t given = P->ep->count.addresses_given;

	(void)state;
	crash(S, true);
	w->no_runs = true;
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	TURN(S, now);
	fo_updates_ask(S->ep, true);
	turn_end(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	run(w, 2);
	assert_int_equal(S->ep->asked_xid, 0);
	assert_true(P->disk.has[range_size[0] - 1 + 10]);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), share);
	assert_int_equal(P->ep->count.addresses_given, given);
	assert_same(w, 0);
	world_done(w);
}

/* The same secondary, of this version: runs and addresses with history are all it is told. */
static void test_runs_for_lost_disk(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned c = 1; c < 20; c++)
		(void)(request(P, c, false) + request(S, c, false));
	run(w, 1);
	P->updates_left = 0;
	crash(S, true);
	lose_disk(S);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
	assert_true(P->updates_left < 20);
	assert_int_equal(count_state(S, 2, LEASE_BACKUP), range_size[2] / 2);
	world_done(w);
}

/* The primary wants a run back of which the secondary has just leased an address: the secondary
 * refuses, its client keeps the address, and what nobody used is moved later. */
static void test_run_wanted_back(void **state)
{
	struct world *w = normal_pair();
	unsigned before = count_state(P, 0, LEASE_BACKUP), other = count_state(P, 1, LEASE_BACKUP);
	unsigned c;

	(void)state;
	assert_true(before >= 24);
	P->conf.share_secondary = 10;
	S->conf.share_secondary = 10;
	P->ep->balance_at = (mono_t){ w->us }; /* it decides, and now */
	TURN(P, now);
	fo_balance(P->ep);
	turn_end(P);
	assert_true(dirty(P));
	for (c = 1; c < N_CLIENTS; c++) /* before it hears of that: all that it has left */
		(void)request(S, c, true);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(S->runs_refused, 1);
	/* asked for is not had, but in the other range */
	assert_int_equal(P->ep->count.addresses_taken, other - count_state(P, 1, LEASE_BACKUP));
	assert_same(w, 0);
	run(w, 130);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) <= 14); /* 10 % of 41, what may be off, and
								  what its clients had */
	world_done(w);
}

static void put_run(struct node *n, const struct lease *l, uint32_t length)
{
	TURN(n, now);
	fo_store_run(n->ep, l, length);
	turn_end(n);
}

/* What is left of a run may be one address, and one with a record: the partner weighs it against
 * its own run there, not against its record, or both would refuse what the other holds for ever. */
static void test_run_of_one(void **state)
{
	struct world *w = normal_pair();
	const struct lease *row;
	struct lease rest;
	unsigned c = 0;

	(void)state;
	while (!request(S, ++c, false))
		;
	run(w, 1);
	row = pool_next(S->pool, 0);
	while (!pool_has_record(S->pool, row->addr))
		row = pool_next(S->pool, row->addr + 1);
	release(S, c);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	rest = (struct lease){ .addr = row->addr,
			       .state = LEASE_BACKUP,
			       .acked_state = LEASE_FREE,
			       .serial = 1,
			       .flags = LEASE_DIRTY };
	put_run(P, &rest, 1);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 0);
	assert_same(w, 0);
	world_done(w);
}

/* Each refuses the other's word of a run in favour of its own; where both cross on the wire, the
 * refusal comes behind the word that says that it would be taken now. It is not a minute away. */
static void test_refusals_that_cross(void **state)
{
	unsigned both = 0;

	(void)state;
	for (unsigned ms = 0; ms < 20; ms++) {
		struct lease ours = { .state = LEASE_FREE, .serial = 0x9febc2af };
		struct lease theirs = { .state = LEASE_BACKUP, .serial = 1 };
		struct world *w = normal_pair();
		unsigned c = 0;

		while (!request(P, ++c, false))
			;
		ours.addr = theirs.addr = pool_next(P->pool, 0)->addr;
		ours.flags = theirs.flags = LEASE_DIRTY;
		put_run(P, &ours, 4);
		run(w, ms / 1e3);
		put_run(S, &theirs, 4);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
		assert_same(w, 0);
		both += P->ep->count.updates_rejected && S->ep->count.updates_rejected;
		world_done(w);
	}
	assert_true(both > 1);
}

/* The record of a running lease says "not acknowledged" for a while longer: after a crash the
 * update goes once more, and nothing is promised on the strength of what was not written. */
static void test_acks_written_later(void **state)
{
	struct world *w = normal_pair();
	const struct lease *row, *disk;
	unsigned c = 1;

	(void)state;
	while (!request(P, c, false))
		c++;
	run(w, 0.5);
	row = pool_get(P->pool, w->client_addr[c]);
	disk = &P->disk.l[row->addr - FIRST];
	assert_false(row->flags & LEASE_DIRTY);
	assert_true(row->acked_pet > 0);
	assert_true(disk->flags & LEASE_DIRTY && !disk->acked_pet);
	crash(P, true);
	boot(P);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 30));
	assert_same(w, 0);
	run(w, 3);
	assert_false(disk->flags & LEASE_DIRTY);
	assert_true(disk->acked_pet > 0);
	(void)request(P, c, false); /* a change takes it along, and is not undone by it */
	run(w, 0.5);
	(void)request(P, c, false);
	run(w, 0.5);
	assert_true(disk->flags & LEASE_DIRTY && disk->acked_pet > 0);
	assert_int_equal(P->ep->lazy.n, 2);
	run(w, 3);
	assert_int_equal(P->ep->lazy.n, 0);
	assert_false(disk->flags & LEASE_DIRTY);
	world_done(w);
}

static void test_share_hold(void **state)
{
	const struct fo_share_rule half = { 50, false, 15, 10 }, none = { 0, true, 15, 10 };

	(void)state;
	assert_int_equal(fo_share_hold(&half, 60, 40), 10);
	assert_int_equal(fo_share_hold(&half, 3, 1), 0);
	assert_int_equal(fo_share_hold(&half, 8, 2), 1);
	/* fewer than two: used ones move too, else a standby keeps one address for ever (A4) */
	assert_int_equal(fo_share_hold(&half, 71, 1), 0);
	assert_int_equal(fo_share_hold(&none, 60, 40), 0);
	/* a reserve of nothing is nothing, whatever may be off elsewhere (T001-4) */
	assert_int_equal(fo_share_move(&none, 97, 3, false), -3);
	assert_int_equal(fo_share_move(&none, 100, 0, true), 0);
}

/* Freed addresses go where their last client is served, while that is not more than the slack. */
static void test_freed_go_to_their_clients(void **state)
{
	struct world *w = normal_pair();
	unsigned fond = 0, other = 0, seen = 0;

	(void)state;
	w->lease_time = 20;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		(void)(request(P, c, false) || request(S, c, false));
	run(w, 35);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	for (unsigned c = 1; c < N_CLIENTS; c++) {
		const struct lease *l = &P->disk.l[w->client_addr[c] - FIRST];

		if (!w->client_addr[c])
			continue;
		seen++;
		assert_true(l->state == LEASE_FREE || l->state == LEASE_BACKUP);
		if (bucket_of(c) >= 128)
			fond += l->state == LEASE_BACKUP;
		else
			other += l->state == LEASE_BACKUP;
	}
	assert_true(seen > 15);
	assert_true(fond > 5); /* they are the secondary's at once, and its alone */
	assert_int_equal(other, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) <= 32 + 6);
	world_done(w);
}

/* The secondary has nothing left: it says so, asks at once, and has its share within seconds. */
static void test_empty_share(void **state)
{
	struct world *w = normal_pair();
	unsigned asked;

	(void)state;
	run(w, 70); /* what it asked at the beginning is long ago */
	S->ep->poolreq_at = mono_add_us((mono_t){ w->us }, 50 * SEC);
	asked = (unsigned)S->ep->count.sent[FO_POOLREQ];
	P->ep->balance_at = P->ep->balanced = mono_add_us((mono_t){ w->us }, 1000 * SEC);
	for (unsigned i = 0; i < 32; i++) { /* all that it has, for others */
		const struct lease *l = pool_free_first(S->pool, &w->scopes[0], LEASE_BACKUP);
		struct lease d;

		if (!l)
			break;
		d = *l;
		d.state = LEASE_ABANDONED;
		d.expires = (uint32_t)(BASE + w->us / SEC + 1000);
		d.serial++;
		d.flags |= LEASE_DIRTY;
		(void)pool_apply(S->pool, &d, S->open);
		put(S, &d, NULL);
	}
	turn_end(S);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP) + 0, 32); /* on disk a moment later */
	P->ep->balance_at = P->ep->balanced = mono_add_us((mono_t){ w->us }, 1000 * SEC);
	run(w, 3);
	assert_true(S->ep->count.sent[FO_POOLREQ] > asked);
	assert_true(count_state(S, 0, LEASE_BACKUP) >= 14);
	assert_false(S->ep->starved);
	world_done(w);
}

static void test_smaller_window(void **state)
{
	struct world *w = new_world(3);

	(void)state;
	w->no_runs = true;
	S->conf.max_unacked = 2;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(P->max_in_flight, 2); /* the partner's, not ours */
	assert_true(P->ep->count.window_nearly_full > 0);
	assert_int_equal(S->ep->count.window_nearly_full, 0); /* it had nothing to tell */
	assert_same(w, 0);
	world_done(w);
}

static void test_leases_replicate(void **state)
{
	struct world *w = normal_pair();
	uint32_t first[N_CLIENTS];

	(void)state;
	for (unsigned c = 1; c < 20; c++)
		assert_int_equal(request(P, c, false) + request(S, c, false), 1); /* its bucket's */
	run(w, 1);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 19);
	assert_int_equal(dirty(P) + dirty(S), 0);
	assert_same(w, 0);
	for (unsigned c = 1; c < 20; c++) {
		first[c] = w->promise[w->client_addr[c] - FIRST].until;
		assert_int_equal(first[c] - BASE - w->us / SEC, 30 - 1); /* MCLT */
	}
	run(w, 14);
	for (unsigned c = 1; c < 20; c++) /* at the server that did not grant it */
		assert_true(request(c % 2 ? P : S, c, false));
	run(w, 1);
	assert_same(w, 0);
	for (unsigned c = 1; c < 20; c++)
		assert_true(w->promise[w->client_addr[c] - FIRST].until - first[c] > 500);
	world_done(w);
}

static void test_release_and_expiry(void **state)
{
	struct world *w = normal_pair();
	uint32_t addr;

	(void)state;
	assert_true(request(P, 2, true) && request(S, 1, true) && request(P, 3, true));
	run(w, 1);
	addr = w->client_addr[2] - FIRST;
	release(S, 2); /* of the primary's bucket; the server that did not grant it */
	run(w, 1);
	assert_int_equal(P->disk.l[addr].state, LEASE_FREE);
	assert_int_equal(S->disk.l[addr].state, LEASE_FREE);
	assert_int_equal(P->disk.l[addr].rcvd_pet | P->disk.l[addr].acked_pet, 0);
	run(w, 40); /* the others run out; the secondary's own, too, by the primary (§4.2) */
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 0);
	assert_int_equal(count_state(P, 0, LEASE_EXPIRED), 0);
	assert_int_equal(count_state(S, 0, LEASE_EXPIRED), 0);
	assert_same(w, 0);
	world_done(w);
}

static void test_same_second(void **state) /* T000-3 */
{
	struct world *w = normal_pair();
	uint32_t addr;

	(void)state;
	assert_true(request(P, 2, true));
	run(w, 1);
	addr = w->client_addr[2] - FIRST;
	assert_true(request(P, 2, true));
	release(P, 2);
	run(w, 1);
	assert_int_equal(P->disk.l[addr].state, LEASE_FREE);
	assert_same(w, 0);
	assert_int_equal(P->ep->count.updates_rejected_by_partner, 0);
	world_done(w);
}

static void test_both_renew_at_once(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	assert_true(request(P, 1, true));
	run(w, 1);
	for (unsigned i = 0; i < 20; i++) { /* a broadcast REBINDING: both answer */
		assert_true(request(P, 1, true));
		w->us += 1500 * (i % 3);
		assert_true(request(S, 1, true));
		run(w, 3.7);
		assert_same(w, 0);
		assert_int_equal(dirty(P) + dirty(S), 0);
	}
	world_done(w);
}

/* --- interruption -------------------------------------------------------------------------------
 */

static void test_interrupted(void **state)
{
	struct world *w = normal_pair();
	unsigned asked;

	(void)state;
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 2);
	asked = (unsigned)(P->ep->count.sent[FO_UPDREQ] + P->ep->count.sent[FO_UPDREQALL]);
	w->partition = true; /* the cable is cut: silence */
	run(w, 2);
	assert_int_equal(state_of(P), FO_NORMAL);
	run(w, 2.2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_int_equal(P->view.policy.serve, SERVE_ALL);
	for (unsigned c = 1; c < 18; c++) /* renewals of all, and new ones of any bucket */
		assert_true(request(c % 2 ? S : P, c, false));
	run(w, 5);
	assert_true(dirty(P) && dirty(S));
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
	assert_same(w, 0);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 17);
	assert_int_equal(P->ep->count.sent[FO_UPDREQ] + P->ep->count.sent[FO_UPDREQALL], asked);
	world_done(w);
}

static void test_link_lost_with_updates_in_flight(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		for (unsigned c = 1; c < 9; c++)
			(void)request((c + k) % 2 ? P : S, c, true);
		run(w, 0.0005 * k); /* before the commit, on the wire, stored, acknowledged ... */
		drop_link(w, NULL, FO_CLOSE_PEER);
		assert_int_equal(P->ep->n_flights | S->ep->n_flights, 0);
		assert_int_equal(state_of(P), FO_COMM_INT);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
		assert_same(w, 0);
	}
	world_done(w);
}

/* Killed at any moment, and back: NORMAL by the updates alone, nothing promised is lost. */
static void killed(unsigned who, bool fin)
{
	for (unsigned k = 0; k < 14; k++) {
		struct world *w = normal_pair();
		struct node *n = &w->n[who], *o = &w->n[!who];

		for (unsigned c = 1; c < 9; c++)
			(void)request(c % 2 ? P : S, c, true);
		run(w, 0.0007 * k);
		crash(n, fin);
		run(w, fin ? 0.1 : 3.5);
		assert_int_equal(state_of(o), FO_COMM_INT);
		for (unsigned c = 1; c < 12; c++)
			(void)request(o, c, true);
		run(w, 1);
		w->partition = false;
		boot(n);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
		assert_same(w, 0);
		assert_true(count_state(P, 0, LEASE_ACTIVE) >= 8);
		assert_int_equal(n->ep->count.sent[FO_UPDREQ] + n->ep->count.sent[FO_UPDREQALL], 0);
		world_done(w);
	}
}

static void test_primary_killed(void **state)
{
	(void)state;
	killed(0, true);
	killed(0, false);
}

static void test_secondary_killed(void **state)
{
	(void)state;
	killed(1, true);
	killed(1, false);
}

static void test_start_alone(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	crash(S, true);
	crash(P, true);
	boot(P);
	run(w, 4.9);
	assert_int_equal(state_of(P), FO_STARTUP);
	assert_int_equal(P->view.policy.serve, SERVE_NONE);
	run(w, 0.2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(P->view.policy.serve, SERVE_ALL);
	assert_true(request(P, 1, false));
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 4));
	assert_same(w, 0);
	world_done(w);
}

static void test_hold_after_long_absence(void **state) /* A8, P23 */
{
	struct fo_status st;
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC; /* beyond MCLT */
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 30);
	run(w, 23);
	assert_true(P->view.hold);
	/* a restart now would be held back as well */
	assert_true(P->disk.rec.end.last_operational < BASE + w->us / SEC - 60);
	run(w, 2);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	world_done(w);
}

static void test_hold_ends_by_contact_not_by_signs(void **state)
{
	struct world *w = normal_pair();
	struct now now;

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 6);
	now = now_of(P);
	fo_endpoint_partner_sign(P->ep, &now);
	run(w, 40);
	assert_true(P->view.hold);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_false(P->view.hold);
	world_done(w);
}

/* The secondary served alone, and has lost what it promised. It is heard, but has nothing to tell.
 */
static void test_hold_outlives_a_lost_store(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;
	struct now now;

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 20);
	now = now_of(P);
	fo_endpoint_partner_sign(P->ep, &now);
	assert_true(P->view.hold);
	lose_disk(S);
	boot(S);
	run(w, 15); /* longer than MCLT after our start */
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->ep->heard && P->view.hold);
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "recovered"));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	assert_false(P->view.hold);
	world_done(w);
}

/* The same where it is heard before the time to start is over. */
static void test_hold_beside_a_lost_store(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	lose_disk(S);
	boot(P);
	run(w, 4);
	boot(S);
	w->connect_at = w->us + 1000;
	run(w, 0.5);
	assert_true(P->ep->heard && state_of(P) == FO_COMM_INT);
	run(w, 26.5); /* longer than MCLT after our start */
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold && !P->view.serve_new);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 20));
	assert_true(P->view.serve_new);
	world_done(w);
}

/* Nor does a pause, of one that we know to have lost its storage, tell anything. */
static void test_hold_outlives_a_paused_loss(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	boot(S); /* a further start, which the new store does not know of */
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 6);
	lose_disk(S);
	boot(S);
	assert_null(operate(S, FO_EV_OP_PAUSE, 0));
	run(w, 10);
	assert_true(P->ep->heard);
	assert_int_equal(P->ep->rec.end.peer, FO_PAUSED);
	assert_true(P->view.hold);
	world_done(w);
}

/* It is gone again: MCLT after it was heard, all is served. */
static void test_hold_ends_after_contact(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 20);
	lose_disk(S);
	boot(S);
	run(w, 3);
	assert_true(P->ep->heard_since_start);
	crash(S, true);
	run(w, 20);
	assert_true(P->view.hold);
	run(w, 10);
	assert_false(P->view.hold);
	world_done(w);
}

static void test_hold_ends_by_any_contact(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	crash(S, true);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 6);
	assert_true(P->view.hold);
	boot(S);
	assert_null(operate(S, FO_EV_OP_PAUSE, 0)); /* our state stays */
	run(w, 3);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_false(P->view.hold);
	world_done(w);
}

/* --- PARTNER-DOWN and the return ----------------------------------------------------------------
 */

/* The primary, in PARTNER-DOWN, was away for longer than MCLT: the partner may have taken over. */
static struct world *held_in_partner_down(void)
{
	struct world *w = normal_pair();

	P->conf.after_outage_hold = true;
	crash(S, true);
	run(w, 5);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 2);
	assert_true(P->view.serve_new);
	crash(P, true);
	w->us += 60 * SEC;
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(P->view.hold && !P->view.serve_new && P->view.serve_renew);
	return w;
}

static void test_hold_in_partner_down(void **state) /* A8 */
{
	struct world *w = held_in_partner_down();
	struct fo_status st;

	(void)state;
	fo_endpoint_status(P->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	assert_int_equal(st.next_at, BASE + w->us / SEC - 6 + 30);
	/* a restart now would be held back as well */
	assert_true(P->disk.rec.end.last_operational < BASE + w->us / SEC - 60);
	run(w, 23);
	assert_true(P->view.hold);
	run(w, 2);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new && P->view.partner_down);
	run(w, 10);
	assert_true(P->disk.rec.end.last_operational >= BASE + w->us / SEC - 10);
	world_done(w);
}

static void test_hold_in_partner_down_forced(void **state)
{
	struct world *w = held_in_partner_down();

	(void)state;
	assert_non_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	assert_true(P->view.hold);
	assert_null(operate(P, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	run(w, 1);
	assert_false(P->view.hold);
	assert_true(P->view.serve_new);
	/* what the partner promised after it was declared down the first time is waited for */
	assert_true(P->view.partner_pool_from >= BASE + w->us / SEC - 1 + 30);
	assert_non_null(operate(P, FO_EV_OP_FORCE_PARTNER_DOWN, 0));
	world_done(w);
}

/* That the partner starts up does not say yet what it did meanwhile. */
static void test_hold_in_partner_down_and_contact(void **state)
{
	struct world *w = held_in_partner_down();

	(void)state;
	boot(S);
	for (unsigned i = 0; state_of(S) == FO_STARTUP && i < 20000; i++) {
		assert_true(P->ep->hold);
		run(w, 0.0001);
	}
	assert_true(P->ep->heard_since_start);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 50));
	assert_false(P->view.hold);
	world_done(w);
}

static void partner_down(unsigned who)
{
	struct world *w = normal_pair();
	struct node *dead = &w->n[who], *n = &w->n[!who];
	uint32_t a2, t0, at;

	for (unsigned c = 1; c < 5; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	assert_non_null(operate(n, FO_EV_OP_PARTNER_DOWN, 0)); /* refused while linked */
	crash(dead, true);
	run(w, 1);
	a2 = w->client_addr[2] - FIRST;
	release(n, 2);
	run(w, 7);
	assert_null(operate(n, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 0.1);
	assert_int_equal(state_of(n), FO_PARTNER_DOWN);
	t0 = n->disk.rec.end.stos;
	assert_true(n->view.partner_down);
	assert_int_equal(n->view.partner_pool_from, t0 + 30);
	assert_true(request(n, 4, false));
	run(w, 0.1);
	/* its own free addresses at once, the partner's after MCLT, a released one after all that
	 * anybody may have promised for it (§6.4) */
	w->check_promises = true;
	for (unsigned c = 10; c < 16; c++)
		assert_true(request(n, c, false));
	run(w, 29);
	assert_int_equal(n->disk.l[a2].state, LEASE_RELEASED);
	at = binding_reclaim_at(&n->view, &n->disk.l[a2], t0);
	assert_true(at > t0 + 630); /* PET 600 + 15, MCLT 30 */
	run_until(w, (at - BASE - 1) * SEC);
	assert_int_equal(n->disk.l[a2].state, LEASE_RELEASED);
	run_until(w, (at - BASE + 1) * SEC);
	assert_int_equal(n->disk.l[a2].state, LEASE_FREE);
	assert_true(request(n, 4, false));
	run(w, 1);
	/* the dead one returns: RECOVER, UPDREQ, at once RECOVER-DONE (long away), NORMAL */
	dead->n_trace = 0;
	w->us += 5 * SEC;
	boot(dead);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 6));
	assert_int_equal(dead->ep->count.sent[FO_UPDREQ], 2); /* once more in RECOVER-DONE */
	assert_int_equal(dead->ep->count.sent[FO_UPDREQALL], 0);
	assert_int_equal(dead->trace[1], FO_RECOVER);
	assert_int_equal(dead->trace[dead->n_trace - 1], FO_NORMAL);
	assert_same(w, 0);
	world_done(w);
}

static void test_partner_down(void **state)
{
	(void)state;
	partner_down(0);
	partner_down(1);
}

static void test_partner_down_uses_everything(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	crash(S, true);
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	for (unsigned c = 1; c < N_CLIENTS; c++)
		(void)request(P, c, false);
	run(w, 1);
	P->w->lease_time = 1000;
	assert_true(count_state(P, 0, LEASE_BACKUP) == 32);
	assert_int_equal(P->view.partner_pool_from, P->disk.rec.end.stos + 30);
	run(w, 31);
	for (uint32_t a = w->ranges[0].first; a <= w->ranges[0].last; a++) {
		const struct lease *l = pool_get(P->pool, a);

		if (lease_is_free(l))
			assert_true(binding_may_allocate(&P->view, l, now_of(P).wall));
	}
	world_done(w);
}

static void test_return_within_mclt_waits(void **state)
{
	struct world *w = normal_pair();
	int64_t died;

	(void)state;
	assert_true(request(S, 1, true));
	run(w, 12);
	died = w->us;
	crash(S, true);
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	for (unsigned c = 2; c < 9; c++) /* the partner never heard of these */
		assert_true(request(P, c, true));
	run(w, 1);
	boot(S);
	run(w, 3);
	assert_int_equal(count_state(S, 0, LEASE_ACTIVE), 8);
	assert_int_equal(state_of(S), FO_RECOVER_WAIT);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 40));
	/* MCLT after it was last at work; that is noted every 10 s */
	assert_true(w->us >= died + 19 * SEC && w->us <= died + 32 * SEC);
	assert_same(w, 0);
	world_done(w);
}

static void lost_store(unsigned who)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];

	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 1);
	crash(n, true);
	lose_disk(n);
	run(w, 2);
	n->n_trace = 0;
	boot(n);
	run(w, 4);
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_int_equal(n->ep->count.sent[FO_UPDREQALL], 1);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 8);
	run(w, 22); /* MCLT from its start */
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_same(w, 0);
	assert_false(n->disk.rec.end.lost_storage);
	world_done(w);
}

/* Recovered, and nobody there: the partner may reclaim MCLT after what it knows, so what it does
 * not know is not promised. With the link, renewals are as before. */
static void test_recovered_alone_is_held(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(S, true);
	run(w, 2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	lose_disk(S);
	boot(S);
	while (state_of(S) != FO_RECOVER_WAIT)
		run(w, 0.1);
	w->partition = true;
	drop_link(w, NULL, FO_CLOSE_SILENT);
	run(w, 70); /* MCLT is over: what it forgot binds nobody any more */
	assert_int_equal(state_of(S), FO_RECOVER_DONE);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	assert_true(S->view.hold && S->view.serve_renew && !S->view.serve_new);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_false(S->view.hold);
	world_done(w);
}

/* The same, with a partner that has not said what it is in. */
static void test_recovered_is_held_until_the_partner_speaks(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(S, true);
	crash(P, true);
	S->disk.rec.end.state = FO_RECOVER_DONE;
	boot(S);
	run(w, 20);
	assert_int_equal(state_of(S), FO_RECOVER_DONE);
	assert_true(S->view.hold);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "held back"));
	S->ep->link = LINK_UP;
	fo_refresh_view(S->ep);
	assert_true(S->ep->view.hold);
	S->ep->heard = true;
	fo_refresh_view(S->ep);
	assert_false(S->ep->view.hold || S->ep->view.serve_new);
	assert_true(S->ep->view.serve_renew);
	fo_endpoint_status(S->ep, &st);
	assert_null(strstr(st.next, "held back"));
	S->ep->link = LINK_NONE;
	S->ep->heard = false;
	world_done(w);
}

/* The partner has started once as well, so that the start counters tell nothing: a blank record
 * beside an old pair's does, whatever the operator did before they met. */
static void lost_and_operated(unsigned who, enum fo_event ev)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];

	for (unsigned c = 1; c < 9; c++) { /* the second time it is a long lease */
		assert_true(request(c % 2 ? P : S, 1 + c % 4, true));
		run(w, 1);
	}
	crash(n, true);
	lose_disk(n);
	boot(n);
	assert_null(operate(n, ev, 0));
	run(w, 3);
	if (state_of(n) == FO_PAUSED)
		assert_null(operate(n, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_true(n->ep->count.sent[FO_UPDREQALL] > 0);
	assert_same(w, 0);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 4);
	world_done(w);
}

static void test_lost_store_and_operator(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		lost_and_operated(who, FO_EV_OP_PAUSE);
		lost_and_operated(who, FO_EV_OP_FORCE_PARTNER_DOWN);
	}
}

static void test_lost_store(void **state)
{
	(void)state;
	lost_store(0);
	lost_store(1);
}

/* Paused for longer than MCLT; the partner took over and was lost: what it promised lasts for MCLT
 * from then on, however long ago we were started. */
static void test_hold_after_a_long_pause(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	P->conf.after_outage_hold = true;
	run(w, 40);
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 60);
	crash(S, true);
	run(w, 5);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	run(w, 28);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(P->view.hold);
	run(w, 4);
	assert_false(P->view.hold);
	world_done(w);
}

/* Taken over, the secondary dies; the primary serves alone, and is paused. Back in PARTNER-DOWN,
 * the secondary must not serve from what it knew: the pause hides what the primary promised. */
static void test_pause_hides_service(void **state)
{
	struct world *w = normal_pair();
	struct fo_status st;

	(void)state;
	crash(P, true);
	run(w, 5);
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 1);
	crash(S, true);
	boot(P);
	run(w, 6);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_true(request(P, 1, true));
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	boot(S);
	run(w, 3);
	assert_true(S->ep->heard);
	assert_false(S->view.serve_new || S->view.serve_renew);
	fo_endpoint_status(S->ep, &st);
	assert_non_null(strstr(st.next, "resume it"));
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	world_done(w);
}

/* An older copy of the storage is put back: the partner remembers later starts (A7). */
static void restored_store(unsigned who)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who];
	struct disk *copy = malloc(sizeof(*copy));

	assert_non_null(copy);
	assert_true(request(n, 1, true));
	run(w, 1);
	*copy = n->disk;
	crash(n, true); /* a further start, which the copy does not know of */
	boot(n);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	crash(n, true);
	boot(n);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	for (unsigned c = 2; c < 9; c++)
		assert_true(request(n, c, true));
	run(w, 1);
	crash(n, true);
	n->disk = *copy;
	boot(n);
	run(w, 5);
	assert_int_equal(state_of(n), FO_RECOVER_WAIT);
	assert_int_equal(n->ep->count.sent[FO_UPDREQALL], 1);
	assert_int_equal(count_state(n, 0, LEASE_ACTIVE), 8);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 40));
	assert_same(w, 0);
	/* its free addresses were not taken for wanted back */
	assert_int_equal(P->ep->count.addresses_taken, 0);
	assert_true(count_state(P, 0, LEASE_BACKUP) >= 24);
	crash(n, true); /* and that was it */
	boot(n);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	free(copy);
	world_done(w);
}

static void test_restored_store(void **state)
{
	(void)state;
	restored_store(0);
	restored_store(1);
}

/* The link is lost again before the primary has heard which start this is: CONNECT has said which
 * it remembers, so the secondary knows enough not to serve from an older store. */
static void test_restored_store_and_one_word(void **state)
{
	struct world *w = normal_pair();
	struct disk *copy = malloc(sizeof(*copy));

	(void)state;
	assert_non_null(copy);
	*copy = S->disk;
	for (unsigned i = 0; i < 2; i++) {
		crash(S, true);
		boot(S);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	}
	crash(S, true);
	S->disk = *copy;
	boot(S);
	for (unsigned i = 0; S->ep->link != LINK_UP && i < 40000; i++)
		run(w, 0.0001);
	assert_int_equal(S->ep->link, LINK_UP);
	w->partition = true;
	run(w, 15);
	assert_int_equal(state_of(S), FO_RECOVER);
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	free(copy);
	world_done(w);
}

/* A record older than the partner's that nobody knows to be old is put right. */
static void test_stale_record(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct world *w = normal_pair();
		struct node *n = &w->n[who];
		uint32_t a;

		assert_true(request(n, 1, true));
		run(w, 1);
		for (unsigned i = 0; i < 3; i++)
			assert_true(request(&w->n[!who], 1, true));
		run(w, 1);
		a = w->client_addr[1] - FIRST;
		crash(n, true);
		n->disk.l[a].serial -= 2;
		n->disk.recent[a][0] = n->disk.l[a].serial;
		n->disk.l[a].expires -= 200;
		n->disk.l[a].flags |= LEASE_DIRTY;
		boot(n);
		assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
		assert_same(w, 0);
		assert_true(n->disk.l[a].expires > BASE + 500);
		world_done(w);
	}
}

static void test_both_in_partner_down(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	w->check_promises = false; /* not claimed here (A12) */
	for (unsigned c = 1; c < 5; c++)
		assert_true(request(P, c, true));
	run(w, 1);
	w->partition = true;
	run(w, 4);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	assert_null(operate(S, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 35);
	for (unsigned c = 1; c < 20; c++)
		(void)request(c % 2 ? P : S, c, true);
	for (unsigned c = 8; c < 20; c++) /* the same addresses for others */
		(void)request(c % 2 ? S : P, c, true);
	run(w, 1);
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 130));
	assert_same(w, 0);
	world_done(w);
}

/* --- shares -------------------------------------------------------------------------------------
 */

static void test_share_move(void **state)
{
	static const struct {
		const char *ref;
		struct fo_share_rule r;
		uint32_t free, backup;
		bool eager;
		int64_t move;
	} row[] = {
		{ "A4 first", { 50, false, 15, 10 }, 100, 0, false, 50 },
		{ "A4 settled", { 50, false, 15, 10 }, 50, 50, false, 0 },
		{ "A4 within", { 50, false, 15, 10 }, 65, 35, false, 0 },
		{ "A4 beyond", { 50, false, 15, 10 }, 66, 34, false, 16 },
		{ "A4 back", { 50, false, 15, 10 }, 34, 66, false, -16 },
		{ "A4 back within", { 50, false, 15, 10 }, 35, 65, false, 0 },
		{ "6.2 asked", { 50, false, 15, 10 }, 65, 35, true, 15 },
		{ "A4 fewer than 2", { 50, false, 15, 10 }, 5, 1, false, 2 },
		{ "A4 fewer than 2", { 50, false, 15, 10 }, 1, 5, false, -2 },
		{ "A4 70:30", { 30, false, 15, 10 }, 100, 0, false, 30 },
		{ "A4 reserve", { 5, true, 15, 10 }, 30, 0, false, 2 },
		{ "A4 mirrored", { 95, false, 15, 10 }, 30, 0, false, 28 },
		{ "one", { 50, false, 15, 10 }, 1, 0, false, 0 },
		{ "none", { 50, false, 15, 10 }, 0, 0, true, 0 },
		{ "large", { 50, false, 15, 10 }, 4000000000u, 0, false, 2000000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int64_t m = fo_share_move(&row[i].r, row[i].free, row[i].backup, row[i].eager);

		if (m != row[i].move)
			fail_msg("row %zu (%s): %lld", i, row[i].ref, (long long)m);
	}
}

static void test_shares_follow_use(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	/* the primary uses up its 32: it takes some of the secondary's, who agrees */
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	run(w, 5);
	assert_same(w, 0);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), (64 - 23) / 2);
	assert_true(P->ep->count.addresses_taken > 0);
	assert_int_equal(dirty(P) + dirty(S), 0);
	world_done(w);
}

static void test_taking_back_what_is_used(void **state)
{
	struct world *w = normal_pair();
	unsigned given = 0;

	(void)state;
	for (unsigned c = 1; c < 16; c++)
		assert_true(request(P, c, true));
	w->us += 1100000; /* balancing is due with the next event */
	for (unsigned c = 16; c < N_CLIENTS; c++)
		given += request(S, c, true);
	assert_int_equal(given, 8);
	run(w, 5);
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 23);
	assert_same(w, 0);
	world_done(w);
}

static void test_taking_back_slowly(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	run(w, 0.2);
	S->commit_at = w->us + 5 * SEC; /* its word takes time: nothing is asked twice */
	S->committing = S->open++;
	run(w, 4);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 32);
	assert_int_equal(P->ep->count.addresses_taken, 0);
	run(w, 5);
	assert_int_equal(P->ep->count.addresses_taken, 12);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), 20);
	assert_same(w, 0);
	world_done(w);
}

/* The secondary's word comes when NORMAL has been left: the addresses are the primary's. */
static void taking_back_until_paused(struct world *w, unsigned taken, unsigned left)
{
	run(w, 0.2);
	S->commit_at = w->us + 5 * SEC;
	S->committing = S->open++;
	assert_null(operate(S, FO_EV_OP_PAUSE, 0));
	run(w, 4);
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_int_equal(P->ep->count.addresses_taken, 0);
	run(w, 2);
	assert_int_equal(state_of(P), FO_COMM_INT);
	assert_int_equal(P->ep->count.addresses_taken, taken);
	assert_int_equal(dirty(P), 0);
	assert_int_equal(count_state(P, 0, LEASE_BACKUP), left);
	assert_same(w, 0);
	world_done(w);
}

static void test_taking_back_until_paused(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	for (unsigned c = 1; c < N_CLIENTS; c++)
		assert_true(request(P, c, true));
	taking_back_until_paused(w, 12, 20);
	w = new_world(1);
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	P->conf.share_secondary = 20; /* a run of them */
	assert_true(request(P, 1, true));
	taking_back_until_paused(w, 20, 12);
}

static void test_reserve_of_standby(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		w->n[i].conf.policy.hot_standby = true;
		w->n[i].conf.policy.active_is_primary = true;
		w->n[i].conf.standby_reserve = 5;
	}
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 4); /* 3.2 rounded up */
	assert_int_equal(count_state(S, 1, LEASE_BACKUP), 2);
	assert_int_equal(P->view.policy.owned[0], 0xff);
	assert_int_equal(S->view.policy.owned[31], 0);
	world_done(w);
}

/* --- time ---------------------------------------------------------------------------------------
 */

static void test_clocks_apart(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	S->skew = 20;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	for (unsigned c = 1; c < 9; c++)
		assert_true(request(c % 2 ? P : S, c, true));
	run(w, 2);
	for (unsigned a = 0; a < MAX_ADDR; a++)
		if (P->disk.l[a].state == LEASE_ACTIVE)
			assert_true(llabs((int64_t)P->disk.l[a].expires + 20 -
					  S->disk.l[a].expires) <= 1);
	world_done(w);
}

static void test_clocks_too_far_apart(void **state) /* A21, T001-1 */
{
	struct world *w = new_world(2);
	struct fo_status st;

	(void)state;
	S->skew = 61;
	start_both(w);
	run(w, 5);
	assert_int_equal(state_of(P), FO_NORMAL); /* connected all the same */
	assert_true(request(P, 1, true));
	run(w, 2);
	assert_true(dirty(P) > 0);
	assert_true(P->ep->count.updates_rejected_by_partner > 0);
	assert_int_equal(state_of(P), FO_NORMAL);
	fo_endpoint_status(P->ep, &st);
	assert_true(st.clock_skew_ms > 60000);
	S->skew = 0; /* mended: everything is told again */
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_same(w, 0);
	S->skew = 30 * 86400; /* more than 31 bits of milliseconds */
	run(w, 3);
	fo_endpoint_status(P->ep, &st);
	assert_true(st.clock_skew_ms / 1000 > 30 * 86400 - 5);
	world_done(w);
}

/* --- relationship -------------------------------------------------------------------------------
 */

static void test_primary_decides(void **state) /* A16 */
{
	struct world *w = new_world(2);

	(void)state;
	S->conf.mclt = 300;
	memset(S->conf.policy.hba, 0, 32);
	memset(P->conf.policy.hba, 0xff, 22);
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	assert_int_equal(S->disk.rec.mclt, 30);
	assert_int_equal(S->view.mclt, 30);
	assert_int_equal(S->view.policy.owned[21], 0);
	assert_int_equal(S->view.policy.owned[22], 0xff);
	crash(S, true);
	boot(S);
	run(w, 0.0005);
	assert_int_equal(S->ep->policy.hba[21], 0xff); /* remembered */
	world_done(w);
}

static void test_lead_time_changes(void **state) /* A16 */
{
	struct world *w = normal_pair();

	(void)state;
	crash(P, true);
	P->conf.mclt = 20; /* lowered: at once for promises, later for waits */
	boot(P);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_int_equal(P->view.mclt, 20);
	assert_int_equal(S->view.mclt, 20);
	assert_int_equal(P->disk.rec.mclt_former, 30);
	crash(S, true);
	run(w, 1);
	assert_null(operate(P, FO_EV_OP_PARTNER_DOWN, 0));
	run(w, 0.1);
	assert_int_equal(P->view.partner_pool_from, P->disk.rec.end.stos + 30);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	crash(P, true);
	crash(S, true);
	P->conf.mclt = 100; /* raised: only when the secondary knows */
	boot(P);
	run(w, 6);
	assert_int_equal(P->view.mclt, 20);
	boot(S);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 8));
	assert_int_equal(P->view.mclt, 100);
	assert_int_equal(S->disk.rec.mclt, 100);
	world_done(w);
}

static void test_wrong_name(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	S->conf.name = "Campus";
	start_both(w);
	run(w, 0.05);
	assert_string_equal(P->last_event, "connect-rejected");
	assert_non_null(strstr(P->last_why, "partner"));
	run(w, 10);
	assert_int_equal(state_of(P), FO_RECOVER);
	assert_int_equal(P->ep->count.links, 0);
	world_done(w);
}

static void test_auto_partner_down(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	P->conf.auto_partner_down_sec = 40;
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	crash(S, true);
	run(w, 39);
	assert_int_equal(state_of(P), FO_COMM_INT);
	run(w, 2);
	assert_int_equal(state_of(P), FO_PARTNER_DOWN);
	world_done(w);
}

static void test_pause_and_shutdown(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	assert_null(operate(P, FO_EV_OP_PAUSE, 0));
	run(w, 1);
	assert_int_equal(state_of(P), FO_PAUSED);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 5));
	assert_null(operate(P, FO_EV_OP_SHUTDOWN, 0));
	run(w, 1);
	assert_int_equal(state_of(P), FO_SHUTDOWN);
	assert_int_equal(state_of(S), FO_PARTNER_DOWN);
	assert_null(operate(P, FO_EV_OP_RESUME, 0));
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 5)); /* no wait: all was acknowledged (A10) */
	world_done(w);
}

/* Decision A11: in POTENTIAL-CONFLICT, and the partner does nothing about it. It is the primary's
 * turn, so that nothing was asked for either. */
static void test_conflict_without_progress(void **state)
{
	struct world *w = normal_pair();

	(void)state;
	run(w, 10);
	S->ep->rec.end.state = FO_POTENTIAL_CONFLICT;
	S->ep->progress = (mono_t){ w->us };
	run(w, 299);
	assert_int_equal(S->ep->count.links_lost, 0);
	run(w, 2);
	assert_int_equal(S->ep->count.links_lost, 1);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	world_done(w);
}

static void test_contact_does_not_wait(void **state)
{
	struct world *w = normal_pair();
	uint64_t sent = S->ep->count.sent[FO_CONTACT];

	(void)state;
	S->commit_at = w->us + 30 * SEC; /* the disk hangs */
	S->committing = S->open++;
	run(w, 20);
	assert_int_equal(state_of(P), FO_NORMAL);
	assert_true(S->ep->count.sent[FO_CONTACT] - sent >= 19);
	assert_true(S->ep->count.sent[FO_CONTACT] - sent <= 21);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_start_without_runs),
		cmocka_unit_test(test_runs_for_former_partner),
		cmocka_unit_test(test_runs_told_one_by_one),
		cmocka_unit_test(test_runs_for_lost_disk),
		cmocka_unit_test(test_run_wanted_back),
		cmocka_unit_test(test_run_of_one),
		cmocka_unit_test(test_refusals_that_cross),
		cmocka_unit_test(test_acks_written_later),
		cmocka_unit_test(test_share_hold),
		cmocka_unit_test(test_freed_go_to_their_clients),
		cmocka_unit_test(test_empty_share),
		cmocka_unit_test(test_first_start),
		cmocka_unit_test(test_smaller_window),
		cmocka_unit_test(test_leases_replicate),
		cmocka_unit_test(test_release_and_expiry),
		cmocka_unit_test(test_same_second),
		cmocka_unit_test(test_both_renew_at_once),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_link_lost_with_updates_in_flight),
		cmocka_unit_test(test_primary_killed),
		cmocka_unit_test(test_secondary_killed),
		cmocka_unit_test(test_start_alone),
		cmocka_unit_test(test_hold_after_long_absence),
		cmocka_unit_test(test_hold_ends_by_contact_not_by_signs),
		cmocka_unit_test(test_hold_ends_by_any_contact),
		cmocka_unit_test(test_hold_outlives_a_lost_store),
		cmocka_unit_test(test_hold_beside_a_lost_store),
		cmocka_unit_test(test_hold_outlives_a_paused_loss),
		cmocka_unit_test(test_hold_ends_after_contact),
		cmocka_unit_test(test_hold_in_partner_down),
		cmocka_unit_test(test_hold_in_partner_down_forced),
		cmocka_unit_test(test_hold_in_partner_down_and_contact),
		cmocka_unit_test(test_recovered_alone_is_held),
		cmocka_unit_test(test_recovered_is_held_until_the_partner_speaks),
		cmocka_unit_test(test_partner_down),
		cmocka_unit_test(test_partner_down_uses_everything),
		cmocka_unit_test(test_return_within_mclt_waits),
		cmocka_unit_test(test_lost_store),
		cmocka_unit_test(test_lost_store_and_operator),
		cmocka_unit_test(test_hold_after_a_long_pause),
		cmocka_unit_test(test_pause_hides_service),
		cmocka_unit_test(test_restored_store),
		cmocka_unit_test(test_restored_store_and_one_word),
		cmocka_unit_test(test_stale_record),
		cmocka_unit_test(test_both_in_partner_down),
		cmocka_unit_test(test_share_move),
		cmocka_unit_test(test_shares_follow_use),
		cmocka_unit_test(test_taking_back_what_is_used),
		cmocka_unit_test(test_taking_back_slowly),
		cmocka_unit_test(test_taking_back_until_paused),
		cmocka_unit_test(test_reserve_of_standby),
		cmocka_unit_test(test_clocks_apart),
		cmocka_unit_test(test_clocks_too_far_apart),
		cmocka_unit_test(test_primary_decides),
		cmocka_unit_test(test_lead_time_changes),
		cmocka_unit_test(test_wrong_name),
		cmocka_unit_test(test_auto_partner_down),
		cmocka_unit_test(test_pause_and_shutdown),
		cmocka_unit_test(test_conflict_without_progress),
		cmocka_unit_test(test_contact_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
