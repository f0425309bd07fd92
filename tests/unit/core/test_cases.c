/*
 * Cases that operators reported, by their ids (tests/CASES): two servers with the whole of core,
 * from the client's message to what both disks say. Networks and disks: fo_world.h.
 */
#include "fo_world.h"

#define P (&w->n[0])
#define S (&w->n[1])
#define A(k) (FIRST + (k)) /* 10.9.0.k */

enum { C1 = 1, C2 = 2, STRANGERS = 100 };

/* 10.9.0.0/24: .10 to .49 and .61 to .100, .55 reserved for C1 inside of an exclusion. */
static struct reservation reserved[] = {
	{ A(55), 1, { (const uint8_t *)"\2\0\0\0\0\1", 6 }, "printer" },
};
static const struct addr_range ranges[] = {
	{ A(10), A(49), 0, 0 },
	{ A(55), A(55), 0, RANGE_RESERVED },
	{ A(61), A(100), 0, 0 },
};

static struct world *new_world(bool with_reservation)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, 1);
	w->check_promises = false; /* of the world's own clients */
	w->scopes[0].n_ranges = 3;
	memcpy(w->ranges, ranges, sizeof(ranges));
	w->table.n_ranges = 3;
	w->scopes[0].reservations = with_reservation ? reserved : NULL;
	w->scopes[0].n_reservations = with_reservation;
	return w;
}

static void meet(struct world *w)
{
	start_both(w);
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
}

static struct world *normal_pair(void)
{
	struct world *w = new_world(true);

	meet(w);
	return w;
}

/* --- a client's message ------------------------------------------------------------------------
 */

static struct dhcp_msg msg;
static struct server_decision got;

static void option_u32(uint8_t code, uint32_t v)
{
	msg.opt[code].off = (uint16_t)(1 + msg.n_data);
	msg.opt[code].len = 4;
	for (unsigned i = 0; i < 4; i++)
		msg.data[1 + msg.n_data++] = (uint8_t)(v >> (24 - 8 * i));
}

static void message(uint8_t type, unsigned c)
{
	struct lease_client k = client_of(c);

	memset(&msg, 0, sizeof(msg));
	msg.op = BOOTREQUEST;
	msg.type = type;
	msg.htype = 1;
	msg.hlen = 6;
	memcpy(msg.chaddr, k.chaddr, 6);
	msg.giaddr = A(1);
	msg.secs = 10; /* whoever it is, it has waited */
}

static enum server_reason decide(struct node *n, unsigned c)
{
	struct lease_client k = client_of(c);
	struct server_ctx ctx = { .scopes = &n->w->table,
				  .pool = n->pool,
				  .views = &n->view,
				  .server_identifier = A(2 + n->i),
				  .authoritative = true };
	struct server_request req = { .msg = &msg, .key = lease_client_key(&secret, &k) };
	struct now now = now_of(n);

	req.iface_addr = req.dest_addr = A(2 + n->i);
	server_decide(&ctx, &req, &now, &got);
	if (got.change) {
		assert_int_equal(pool_apply(n->pool, &got.lease, n->open), 0);
		put(n, &got.lease, got.change_client ? &got.client : NULL);
	}
	turn_end(n);
	return got.reason;
}

static uint32_t discover(struct node *n, unsigned c, uint32_t wish) /* the address offered */
{
	message(DHCPDISCOVER, c);
	if (wish)
		option_u32(DHO_REQUESTED_ADDRESS, wish);
	return decide(n, c) == SERVER_OFFERED ? got.reply.yiaddr : 0;
}

static enum server_reason selects(struct node *n, unsigned c, uint32_t addr)
{
	message(DHCPREQUEST, c);
	option_u32(DHO_SERVER_ID, A(2 + n->i));
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	return decide(n, c);
}

static enum server_reason reboots(struct node *n, unsigned c, uint32_t addr)
{
	message(DHCPREQUEST, c);
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	return decide(n, c);
}

static enum server_reason renews(struct node *n, unsigned c, uint32_t addr)
{
	message(DHCPREQUEST, c);
	msg.ciaddr = addr;
	msg.giaddr = 0;
	return decide(n, c);
}

static uint32_t dora(struct node *n, unsigned c)
{
	uint32_t addr = discover(n, c, 0);

	if (!addr)
		return 0;
	assert_true(selects(n, c, addr) == SERVER_ACKED_NEW || got.reason == SERVER_ACKED_RENEWED);
	return addr;
}

static enum server_reason releases(struct node *n, unsigned c, uint32_t addr)
{
	message(DHCPRELEASE, c);
	msg.ciaddr = addr;
	return decide(n, c);
}

static enum server_reason declines(struct node *n, unsigned c, uint32_t addr)
{
	message(DHCPDECLINE, c);
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	return decide(n, c);
}

static void agree(struct world *w) /* "both DBs agree" */
{
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 60));
	assert_same(w, 0);
}

static unsigned state_at(const struct node *n, uint32_t addr)
{
	return n->disk.l[addr - FIRST].state;
}

static unsigned allocatable(const struct node *n)
{
	struct pool_counts k;

	pool_counts_scope(n->pool, &n->w->scopes[0], &k);
	return k.free + k.backup;
}

/* --- T000-1 ------------------------------------------------------------------------------------
 */

/* No stranger is offered the reserved address, with and without asking for it; who insists hears
 * one NAK from each server and has another address with the next attempt. */
static void strangers_stay_out(struct world *w, struct node *n)
{
	for (unsigned c = STRANGERS; c < STRANGERS + 6; c++) {
		uint32_t a = discover(n, c, c & 1 ? A(55) : 0);
		unsigned naks = 0;

		assert_int_not_equal(a, 0);
		assert_int_not_equal(a, A(55));
		naks += selects(n, c, A(55)) == SERVER_NAK_NOT_YOURS;
		for (unsigned again = 0; again < 5; again++) {
			enum server_reason r = reboots(n, c, A(55));

			naks += r == SERVER_NAK_NOT_YOURS;
			assert_true(r == SERVER_NAK_LIMIT || r == SERVER_NAK_NOT_YOURS);
		}
		assert_true(naks <= 1);
		a = dora(n, c);
		assert_int_not_equal(a, 0);
		assert_int_not_equal(a, A(55));
		assert_int_equal(releases(n, c, a), SERVER_RELEASED);
	}
	run(w, 1);
}

static void t000_1_released(void **state)
{
	(void)state;
	for (unsigned granter = 0; granter < 2; granter++)
		for (unsigned hearer = 0; hearer < 2; hearer++) { /* RELEASE at either server */
			struct world *w = normal_pair();
			unsigned before = allocatable(P);

			assert_int_equal(dora(&w->n[granter], C1), A(55));
			agree(w);
			assert_int_equal(releases(&w->n[hearer], C1, A(55)), SERVER_RELEASED);
			agree(w);
			for (unsigned i = 0; i < 2; i++) {
				const struct lease *l = pool_get(w->n[i].pool, A(55));

				assert_true(lease_is_free(l));
				assert_true(l->flags & LEASE_RESERVED);
				assert_int_equal(allocatable(&w->n[i]), before);
			}
			strangers_stay_out(w, P);
			strangers_stay_out(w, S);
			assert_int_equal(dora(&w->n[!granter], C1), A(55));
			agree(w);
			assert_int_equal(P->refusals + S->refusals, 0);
			world_done(w);
		}
}

/* Released, or run out, while the servers do not hear each other; both restarted; one alone. */
static void t000_1_apart(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		struct world *w = normal_pair();

		assert_int_equal(dora(P, C1), A(55));
		agree(w);
		if (variant == 0) { /* released in COMMUNICATIONS-INTERRUPTED */
			w->partition = true;
			run(w, 5);
			assert_int_equal(state_of(S), FO_COMM_INT);
			assert_int_equal(releases(S, C1, A(55)), SERVER_RELEASED);
			run(w, 1);
			strangers_stay_out(w, S);
			strangers_stay_out(w, P);
			w->partition = false;
		} else if (variant == 1) { /* it runs out */
			run(w, 40);
		} else if (variant == 2) { /* both restart between RELEASE and DISCOVER */
			assert_int_equal(releases(P, C1, A(55)), SERVER_RELEASED);
			run(w, 1);
			crash(P, true);
			crash(S, true);
			run(w, 1);
			boot(P);
			boot(S);
		} else { /* S alone */
			crash(P, true);
			run(w, 1);
			assert_int_equal(releases(S, C1, A(55)), SERVER_RELEASED);
			run(w, 1);
			strangers_stay_out(w, S);
			assert_int_equal(discover(S, C1, 0), A(55));
			boot(P);
		}
		agree(w);
		strangers_stay_out(w, P);
		strangers_stay_out(w, S);
		assert_int_equal(dora(P, C1), A(55));
		agree(w);
		world_done(w);
	}
}

/* All else is taken: "no address", and not .55. */
static void t000_1_pool_full(void **state)
{
	struct world *w = normal_pair();
	unsigned given = 0;

	(void)state;
	assert_int_equal(dora(P, C1), A(55));
	assert_int_equal(releases(P, C1, A(55)), SERVER_RELEASED);
	agree(w);
	for (unsigned round = 0; round < 6; round++, run(w, 3))
		for (unsigned c = 20; c < 120; c++) {
			uint32_t a = discover(c & 1 ? P : S, c, A(55));

			assert_int_not_equal(a, A(55));
			given += a && selects(c & 1 ? P : S, c, a) == SERVER_ACKED_NEW;
		}
	assert_int_equal(given, 80);
	assert_int_equal(discover(P, 200, A(55)) | discover(S, 200, A(55)), 0);
	assert_int_equal(got.reason, SERVER_NO_ADDRESS);
	world_done(w);
}

/* Excluded while it is leased: it runs out with its client, and nobody else is offered it. */
static void t000_1_excluded_later(void **state)
{
	struct world *w = new_world(false);
	uint32_t a, held;

	(void)state;
	meet(w);
	a = dora(P, C2);
	held = a;
	agree(w);
	crash(P, true);
	crash(S, true);
	if (a == A(10)) /* which half is whose is not the matter here */
		w->ranges[0].first = A(11);
	else
		w->ranges[0].last = a - 1;
	run(w, 1);
	start_both(w);
	agree(w);
	for (unsigned c = 20; c < 30; c++)
		for (unsigned i = 0; i < 2; i++) {
			assert_int_not_equal(discover(&w->n[i], c, a), a);
			(void)reboots(&w->n[i], c, a);
			assert_false(got.answer && got.reply.yiaddr == a);
		}
	(void)renews(P, C2, a);
	assert_false(got.answer && got.reply.type == DHCPACK);
	a = dora(P, C2);
	assert_int_not_equal(a, 0);
	assert_int_not_equal(a, held);
	agree(w);
	world_done(w);
}

/* 200 strangers for ten minutes: never more than one NAK for a client in ten seconds. */
static void t000_1_soak(void **state)
{
	struct world *w = normal_pair();
	int64_t last_nak[256][2];

	(void)state;
	assert_int_equal(dora(P, C1), A(55));
	assert_int_equal(releases(P, C1, A(55)), SERVER_RELEASED);
	agree(w);
	for (unsigned c = 0; c < 256; c++)
		last_nak[c][0] = last_nak[c][1] = -100 * SEC;
	for (unsigned sec = 0; sec < 600; sec += 3, run(w, 3))
		for (unsigned c = 50; c < 250; c++) {
			unsigned i = (c + sec) % 2;
			enum server_reason r =
				c % 3 ? reboots(&w->n[i], c, A(55)) : selects(&w->n[i], c, A(55));

			assert_false(got.answer && got.reply.yiaddr == A(55));
			if (r != SERVER_NAK_NOT_YOURS)
				continue;
			assert_true(w->us - last_nak[c][i] >= 10 * SEC);
			last_nak[c][i] = w->us;
		}
	world_done(w);
}

/* --- T000-2 ------------------------------------------------------------------------------------
 */

/* C2 was given what C1 uses from before, and declines it: both know it as abandoned. */
static uint32_t declined(struct world *w)
{
	uint32_t a = dora(P, C2);

	agree(w);
	assert_int_equal(declines(P, C2, a), SERVER_DECLINED);
	agree(w);
	assert_int_equal(state_at(P, a), LEASE_ABANDONED);
	assert_int_equal(state_at(S, a), LEASE_ABANDONED);
	return a;
}

/* C1 renews at either server: refused or silence by policy, never half a lease; both agree, and no
 * update is refused. */
static void t000_2_renewal_of_abandoned(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 2; at++)
		for (unsigned crossing = 0; crossing < 2; crossing++) {
			struct world *w = new_world(false);
			uint32_t a;

			meet(w);
			if (crossing) { /* the other server does not know of the DECLINE yet */
				a = dora(P, C2);
				agree(w);
				assert_int_equal(declines(P, C2, a), SERVER_DECLINED);
			} else {
				a = declined(w);
			}
			(void)renews(&w->n[at], C1, a);
			assert_false(got.answer && got.reply.type == DHCPACK);
			agree(w);
			assert_int_equal(P->refusals + S->refusals, 0);
			assert_int_equal(state_at(P, a), LEASE_ABANDONED);
			a = dora(&w->n[at], C1); /* and has another one at once */
			assert_int_not_equal(a, 0);
			agree(w);
			world_done(w);
		}
}

/* The quarantine is over: the address comes back on both, by way of the partner's word. */
static void t000_2_quarantine_ends(void **state)
{
	struct world *w = new_world(false);
	uint32_t a;

	(void)state;
	meet(w);
	a = declined(w);
	run(w, 86400 + 120);
	agree(w);
	assert_true(lease_is_free(pool_get(P->pool, a)));
	assert_true(lease_is_free(pool_get(S->pool, a)));
	assert_int_equal(P->refusals + S->refusals, 0);
	world_done(w);
}

/* Two clients ask for one address at both servers at once: one wins, the other hears NAK. */
static void t000_2_two_at_once(void **state)
{
	struct world *w = new_world(false);
	enum server_reason r[2];
	uint32_t a;

	(void)state;
	meet(w);
	a = declined(w);
	r[0] = reboots(P, 3, a);
	r[1] = reboots(S, 4, a);
	assert_true(r[0] != SERVER_ACKED_NEW || r[1] != SERVER_ACKED_NEW);
	agree(w);
	world_done(w);
}

/* --- T000-3 ------------------------------------------------------------------------------------
 */

/* A released address that the partner has yet to hear of is nobody's for a moment: the client is
 * given another. */
static void assign(struct node *n, unsigned c, uint32_t *a)
{
	enum server_reason r = selects(n, c, *a);

	if (r == SERVER_AWAITING_PARTNER)
		*a = dora(n, c);
	else
		assert_true(r == SERVER_ACKED_NEW || r == SERVER_ACKED_RENEWED);
	assert_int_not_equal(*a, 0);
}

static void do_word(struct world *w, unsigned c, const char *words, uint32_t *a)
{
	for (; *words; words++) {
		if (*words == 'A')
			assign(P, c, a);
		else if (*words == 'R')
			assert_int_equal(releases(P, c, *a), SERVER_RELEASED);
		else if (*words == 'd')
			drop_link(w, NULL, FO_CLOSE_PEER);
		else if (*words == '-')
			P->skew--;
	}
}

/* Several changes of a lease within one second, with and without a commit between them, a new
 * connection or a clock that goes back a second: the partner ends with the last of them. */
static void t000_3_same_second(void **state)
{
	static const struct {
		const char *words;
		uint8_t ends;
	} row[] = { { "AR", LEASE_FREE },   { "RA", LEASE_ACTIVE },  { "ARA", LEASE_ACTIVE },
		    { "RAR", LEASE_FREE },  { "AdR", LEASE_FREE },   { "RdA", LEASE_ACTIVE },
		    { "A-R", LEASE_FREE },  { "R-A", LEASE_ACTIVE }, { "ARdA", LEASE_ACTIVE },
		    { "RA-dR", LEASE_FREE } };

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		for (unsigned step = 0; step < 4; step++) {
			struct world *w = new_world(false);
			uint32_t a;

			meet(w);
			a = discover(P, C1, 0);
			assert_int_equal(selects(P, C1, a), SERVER_ACKED_NEW);
			agree(w);
			w->us = (w->us / SEC + 1) * SEC;
			for (const char *c = row[i].words; *c; c++) {
				char one[2] = { *c, 0 };

				do_word(w, C1, one, &a);
				run(w, 0.0013 * step);
			}
			agree(w);
			for (unsigned k = 0; k < 2; k++) {
				unsigned n = count_state(&w->n[k], 0, LEASE_ACTIVE);

				if (n != (row[i].ends == LEASE_ACTIVE) ||
				    (n && state_at(&w->n[k], a) != LEASE_ACTIVE))
					fail_msg("%s ends with %u leases at %c", row[i].words, n,
						 k ? 'S' : 'P');
			}
			assert_int_equal(P->refusals + S->refusals, 0);
			world_done(w);
		}
}

/* Many clients at once. */
static void t000_3_many(void **state)
{
	struct world *w = new_world(false);
	uint32_t a[40];

	(void)state;
	meet(w);
	for (unsigned c = 0; c < 40; c++) {
		a[c] = discover(P, 10 + c, 0);
		do_word(w, 10 + c, "ARA", &a[c]);
	}
	for (unsigned c = 0; c < 40; c += 2)
		do_word(w, 10 + c, "RAR", &a[c]);
	agree(w);
	for (unsigned c = 0; c < 40; c++)
		assert_int_equal(state_at(S, a[c]) == LEASE_ACTIVE, c & 1);
	assert_int_equal(P->refusals + S->refusals, 0);
	world_done(w);
}

/* --- section 2 ---------------------------------------------------------------------------------
 */

/* T001-4: no reserve: the standby has nothing to offer until PARTNER-DOWN + MCLT. */
static void t001_4_no_reserve(void **state)
{
	struct world *w = new_world(false);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		w->n[i].conf.policy.hot_standby = true;
		w->n[i].conf.policy.active_is_primary = true;
		w->n[i].conf.share_secondary = w->n[i].conf.standby_reserve = 0;
	}
	meet(w);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 0);
	crash(P, true);
	run(w, 2);
	assert_int_equal(state_of(S), FO_COMM_INT);
	assert_int_equal(discover(S, C2, 0), 0);
	assert_int_equal(got.reason, SERVER_NO_ADDRESS);
	TURN(S, now);
	assert_null(fo_endpoint_operate(S->ep, FO_EV_OP_PARTNER_DOWN, 0, &now));
	turn_end(S);
	run(w, 28);
	assert_int_equal(state_of(S), FO_PARTNER_DOWN);
	assert_int_equal(discover(S, C2, 0), 0);
	run(w, 3);
	assert_int_not_equal(dora(S, C2), 0);
	world_done(w);
}

/* T001-3: two ranges in one scope, 70:30: each is split by itself. */
static void t001_3_each_range(void **state)
{
	struct world *w = new_world(false);

	(void)state;
	w->ranges[0].last = A(29); /* 20 and 40 addresses */
	for (unsigned i = 0; i < 2; i++)
		w->n[i].conf.share_secondary = 30;
	meet(w);
	for (unsigned i = 0; i < 3; i += 2) {
		struct pool_counts k;

		pool_counts_range(P->pool, i, &k);
		assert_int_equal(k.backup, i ? 12 : 6);
		assert_int_equal(k.free, i ? 28 : 14);
	}
	world_done(w);
}

/* T002-1: secs 0 to 9: the owner answers all, the partner from the threshold on, each from its own
 * share. */
static void t002_1_threshold(void **state)
{
	struct world *w = new_world(false);

	(void)state;
	meet(w);
	for (unsigned c = 10; c < 40; c++)
		for (unsigned secs = 0; secs < 10; secs++)
			for (unsigned i = 0; i < 2; i++) {
				struct node *n = &w->n[i];
				bool own = loadbal_owned(&n->view.policy, bucket_of(c)), answered;

				message(DHCPDISCOVER, c);
				msg.secs = (uint16_t)secs;
				answered = decide(n, c) == SERVER_OFFERED;
				assert_int_equal(answered, own || secs >= 3);
				if (answered)
					assert_int_equal(
						pool_get(n->pool, got.reply.yiaddr)->state ==
							LEASE_BACKUP,
						i);
			}
	world_done(w);
}

/* T002-3: the partner was stopped in order: its clients are served at once, at secs 0. */
static void t002_3_partner_stopped(void **state)
{
	struct world *w = new_world(false);
	unsigned theirs = 0;

	(void)state;
	meet(w);
	crash(S, true);
	run(w, 0.01);
	for (unsigned c = 10; c < 40; c++) {
		theirs += bucket_of(c) >= 128;
		message(DHCPDISCOVER, c);
		assert_int_equal(decide(P, c), SERVER_OFFERED);
	}
	assert_true(theirs > 5);
	world_done(w);
}

/* T004-1: updates are received and the link goes before they are acknowledged: no acknowledgement
 * of them on the new connection, and the partner has them all in the end. */
static void t004_1_dropped_with_updates(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 10; step++) {
		struct world *w = new_world(false);
		uint64_t acks;

		meet(w);
		for (unsigned c = 10; c < 50; c++)
			(void)dora(P, c);
		run(w, 0.0021 + 0.0005 * step);
		acks = S->ep->count.sent[FO_BNDACK];
		drop_link(w, NULL, FO_CLOSE_PEER);
		assert_int_equal(S->ep->ack_len, 0);
		run(w, 0.9); /* no connection yet */
		assert_int_equal(S->ep->count.sent[FO_BNDACK], acks);
		agree(w);
		assert_int_equal(count_state(S, 0, LEASE_ACTIVE), count_state(P, 0, LEASE_ACTIVE));
		/* each update that was sent on the new link is acknowledged once */
		assert_int_equal(P->ep->count.updates_acked + P->ep->count.updates_dropped,
				 P->ep->count.updates_sent);
		world_done(w);
	}
}

/* T004-2: a partner that never asks for addresses is given its share all the same. */
static void t004_2_never_asked(void **state)
{
	struct world *w = new_world(false);
	uint64_t asked;

	(void)state;
	meet(w);
	S->ep->poolreq_at = MONO_NEVER;
	asked = S->ep->count.sent[FO_POOLREQ];
	for (unsigned round = 0; round < 10; round++)
		for (unsigned c = 10; c < 30; c++) {
			(void)dora(S, c); /* its share runs low */
			S->ep->poolreq_at = MONO_NEVER;
			run(w, 0.3);
		}
	run(w, 61);
	S->ep->poolreq_at = MONO_NEVER;
	/* 20 of the first range's 40 are used, which was the whole share; half of the rest moved */
	assert_int_equal(count_state(P, 0, LEASE_ACTIVE), 20);
	assert_int_equal(count_state(S, 0, LEASE_BACKUP), 10);
	assert_int_equal(S->ep->count.sent[FO_POOLREQ], asked);
	world_done(w);
}

/* T000-5: both sides tell of a refusal with both records. */
static void t000_5_both_records(void **state)
{
	struct world *w = new_world(false);
	struct lease_client other = client_of(C2);
	struct lease l;
	uint32_t a;

	(void)state;
	meet(w);
	a = dora(P, C1);
	agree(w);
	/* S comes to believe that C2 has it: what a fault, or another make, may bring about */
	l = *pool_get(S->pool, a);
	l.key = lease_client_key(&secret, &other);
	l.serial += 5;
	l.flags |= LEASE_DIRTY;
	(void)pool_apply(S->pool, &l, S->open);
	put(S, &l, &other);
	turn_end(S);
	run(w, 0.05);
	assert_int_equal(P->refusals, 1);
	assert_true(P->refused.by_us);
	assert_int_equal(P->refused.reason, FO_REJECT_IN_USE);
	assert_int_equal(P->refused_ours.addr, a);
	assert_int_equal(P->refused_ours.state, LEASE_ACTIVE);
	assert_int_equal(P->refused_theirs.state, LEASE_ACTIVE);
	assert_true(P->refused_theirs.expires && P->refused_theirs.cltt);
	assert_non_null(strstr(P->refused.next, "partner is told"));
	assert_int_equal(S->refusals, 1);
	assert_false(S->refused.by_us);
	assert_non_null(strstr(S->refused_words, "active hardware-address=02:00:00:00:00:01"));
	agree(w); /* the primary's client stays */
	assert_int_equal(S->disk.c[a - FIRST].chaddr[5], C1);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t000_1_released),
		cmocka_unit_test(t000_1_apart),
		cmocka_unit_test(t000_1_pool_full),
		cmocka_unit_test(t000_1_excluded_later),
		cmocka_unit_test(t000_1_soak),
		cmocka_unit_test(t000_2_renewal_of_abandoned),
		cmocka_unit_test(t000_2_quarantine_ends),
		cmocka_unit_test(t000_2_two_at_once),
		cmocka_unit_test(t000_3_same_second),
		cmocka_unit_test(t000_3_many),
		cmocka_unit_test(t000_5_both_records),
		cmocka_unit_test(t001_3_each_range),
		cmocka_unit_test(t001_4_no_reserve),
		cmocka_unit_test(t002_1_threshold),
		cmocka_unit_test(t002_3_partner_stopped),
		cmocka_unit_test(t004_1_dropped_with_updates),
		cmocka_unit_test(t004_2_never_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
