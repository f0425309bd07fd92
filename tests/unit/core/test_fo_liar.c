/*
 * Somebody who was not the partner has talked to one server in its name: walked through states,
 * told absurd numbers of itself, changed addresses, acknowledged and asked as it pleased. When the
 * true partner is back the pair is in NORMAL within bounded time, and nothing waits to be told. Two
 * endpoints over memory, see fo_world.h. Decisions A7, A16.
 */
#include "fo_isc_partner.h"

/* 3 x (contact + startup) + MCLT */
enum { SEEDS = 300, BOUND = 3 * (3 + 5) + 30 };

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)(rnd(w) >> 20) % n;
}

/* Sometimes what is right, else an edge, else anything. */
static uint32_t odd(struct world *w, uint32_t right)
{
	static const uint32_t edges[] = { 0,	      1,	  0x7fffffff, 0x80000000,
					  0xfffffffe, 0xffffffff, 60,	      86400 };

	switch (below(w, 3)) {
	case 0:
		return right;
	case 1:
		return edges[below(w, 8)];
	default:
		return (uint32_t)(rnd(w) >> 16);
	}
}

struct liar {
	struct node *to;
	bool own_kind;
	uint32_t xid;
};

static void lies(struct liar *l, struct fo_writer *wr, uint8_t type, uint32_t xid)
{
	int64_t ahead = below(l->to->w, 20) ? 0 : (int64_t)below(l->to->w, 200) - 100;

	begin(l->to, wr, type, ahead, xid ? xid : ++l->xid);
}

static void says_plain(struct liar *l, uint8_t type, uint32_t xid)
{
	struct fo_writer wr;

	lies(l, &wr, type, xid);
	say(l->to, &wr);
}

static void says_state(struct liar *l)
{
	static const uint8_t states[] = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 254 };
	struct world *w = l->to->w;
	struct fo_state_msg s = { states[below(w, sizeof(states))], !below(w, 8),
				  odd(w, (uint32_t)now_of(l->to).wall.sec) };
	struct fo_writer wr;

	lies(l, &wr, FO_STATE, 0);
	fo_write_state(&wr, &s);
	say(l->to, &wr);
}

static void absurd(struct world *w, struct fo_connect *c)
{
	c->mclt = odd(w, 30);
	c->max_unacked = odd(w, 10);
	c->receive_timer = odd(w, 3);
	c->start_count = (uint64_t)odd(w, 1) << 32 | odd(w, 1);
	c->remembered = below(w, 2) ? odd(w, 1) : 0;
	c->max_skew = below(w, 2) ? odd(w, 60) : 0;
	c->lead = below(w, 2) ? odd(w, 30) : 0;
	for (unsigned i = 0; i < sizeof(c->hba); i++)
		c->hba[i] = (uint8_t)below(w, 256);
	for (unsigned i = 0; i < 16 && below(w, 3); i++)
		c->incarnation[i] = (uint8_t)below(w, 256);
}

static struct fo_connect introduction(struct liar *l)
{
	struct world *w = l->to->w;
	struct fo_connect c = isc_connect();

	c.mclt = 30;
	l->own_kind = below(w, 4);
	if (l->own_kind) {
		c.vendor = str(FO_VENDOR_CLASS);
		c.has |= 1u << FO_OPT_VENDOR_SPECIFIC;
		c.features = below(w, 4) ? FO_FEATURE_RUNS : 0;
	}
	if (below(w, 2))
		absurd(w, &c);
	return c;
}

static void connects(struct liar *l)
{
	struct world *w = l->to->w;
	struct fo_connect c;
	struct fo_writer wr;

	drop_link(w, l->to, FO_CLOSE_PEER);
	w->epoch++;
	link_up(l->to);
	run(w, 0.01);
	l->xid = 0;
	c = introduction(l);
	lies(l, &wr, l->to->i ? FO_CONNECT : FO_CONNECTACK, 1);
	if (l->to->i)
		fo_write_connect(&wr, &c);
	else
		fo_write_connectack(&wr, &c);
	say(l->to, &wr);
}

static void says_bindings(struct liar *l)
{
	struct world *w = l->to->w;
	uint32_t now = (uint32_t)now_of(l->to).wall.sec;
	struct fo_writer wr;

	lies(l, &wr, FO_BNDUPD, 0);
	for (unsigned n = 1 + below(w, 20); n; n--) {
		const struct addr_range *r = &w->ranges[below(w, 2)];
		uint8_t chaddr[7] = { 1, 2, 0, 0, 0, 0, (uint8_t)below(w, N_CLIENTS) };
		uint32_t k = below(w, r->last - r->first + 1);
		struct fo_binding b = {
			.addr = r->first + k,
			.status = (uint8_t)(1 + below(w, 7)),
			.expires = odd(w, now + 3600),
			.pet = odd(w, now + 7200),
			.stos = odd(w, now),
			.cltt = odd(w, now),
			.serial = odd(w, 1000) & 0x3fffffff,
			.has_serial = below(w, 8),
			.run = below(w, 2) ? 0 : 1 + below(w, r->last - r->first + 1 - k),
		};

		if (below(w, 4))
			b.chaddr = (struct octets){ chaddr, 7 };
		if (!fo_write_binding(&wr, &b, l->own_kind))
			break;
	}
	say(l->to, &wr);
}

static void says_acks(struct liar *l)
{
	struct fo_endpoint *e = l->to->ep;
	struct world *w = l->to->w;
	struct fo_writer wr;

	for (uint32_t i = 0; i < e->max_flights; i++) {
		struct fo_flight f = e->flights[i];

		if (!f.xid || !below(w, 4))
			continue;
		lies(l, &wr, FO_BNDACK, f.xid);
		for (unsigned k = 0; k < f.n; k++)
			(void)fo_write_ack(&wr, f.b[k].addr,
					   below(w, 3) ? 0 : (enum fo_reject)(1 + below(w, 30)),
					   "no");
		say(l->to, &wr);
	}
}

static void says_something(struct liar *l)
{
	static const uint8_t plain[] = { FO_UPDREQ, FO_UPDREQALL, FO_POOLREQ, FO_CONTACT };
	struct world *w = l->to->w;

	if (l->to->ep->link != LINK_UP || !below(w, 12)) {
		connects(l);
		return;
	}
	switch (below(w, 6)) {
	case 0:
	case 1:
		says_state(l);
		break;
	case 2:
		says_bindings(l);
		break;
	case 3:
		says_acks(l);
		break;
	case 4:
		says_plain(l, FO_UPDDONE, below(w, 4) ? l->to->ep->asked_xid : 0);
		break;
	default:
		says_plain(l, plain[below(w, sizeof(plain))], 0);
		break;
	}
}

/* What the world knows of the true partner's updates says nothing here. */
static void forget_heard(struct node *n)
{
	memset(n->recv_xid, 0xff, sizeof(n->recv_xid));
	memset(n->recv_run, 0, sizeof(n->recv_run));
}

/* The partner of @n is away, and somebody else plays it. */
static void lied_to(struct node *n)
{
	struct liar l = { .to = n };
	struct world *w = n->w;

	for (unsigned i = 5 + below(w, 120); i; i--) {
		forget_heard(n);
		says_something(&l);
		run(w, below(w, 30) ? 0.003 * (1 + below(w, 20)) : below(w, 40));
		if (!below(w, 4))
			(void)request(n, 1 + below(w, N_CLIENTS - 1), true);
	}
	drop_link(w, NULL, FO_CLOSE_PEER);
}

static void returns(uint64_t seed, unsigned who)
{
	struct world *w = normal_pair();
	struct node *n = &w->n[who], *other = &w->n[!who];

	w->rnd = seed * 0x9e3779b97f4a7c15ULL | 1;
	w->check_promises = false;
	w->lied_to = true;
	for (unsigned c = 1; c < 9; c++)
		(void)request(c % 2 ? P : S, c, true);
	run(w, 2);
	crash(other, true);
	other->conf.max_unacked = 1000; /* acknowledged may be what has yet to leave */
	lied_to(n);
	other->conf.max_unacked = n->conf.max_unacked;
	if (!below(w, 4)) {
		crash(n, true);
		boot(n);
	}
	boot(other);
	if (!settle(w, FO_NORMAL, FO_NORMAL, BOUND))
		fail_msg("seed %u, %s was lied to: %s with %u to tell, %s with %u", (unsigned)seed,
			 who ? "the secondary" : "the primary", fo_state_name(state_of(P)),
			 dirty(P), fo_state_name(state_of(S)), dirty(S));
	assert_same(w, INT32_MAX);
	world_done(w);
}

static void answer(struct node *n, uint32_t xid, uint32_t addr, enum fo_reject reject)
{
	struct fo_writer wr;

	begin(n, &wr, FO_BNDACK, 0, xid);
	assert_true(fo_write_ack(&wr, addr, reject, NULL));
	say(n, &wr);
}

/* The newest news of an address are refused while older ones wait for their answer. */
static void test_answers_out_of_order(void **state)
{
	struct world *w = normal_pair();
	uint32_t older, newer;

	(void)state;
	w->partition = true;
	assert_true(request(P, 1, true));
	run(w, 0.1);
	older = P->ep->xid;
	assert_true(request(P, 1, true));
	run(w, 0.1);
	newer = P->ep->xid;
	assert_int_equal(newer, older + 1);
	assert_int_equal(P->ep->n_flights, 2);
	answer(P, newer, w->client_addr[1], FO_REJECT_LESS_CRITICAL);
	run(w, 1.1); /* the next try */
	answer(P, older, w->client_addr[1], FO_REJECT_NONE);
	drop_link(w, NULL, FO_CLOSE_PEER);
	w->partition = false;
	assert_true(settle(w, FO_NORMAL, FO_NORMAL, 10));
	world_done(w);
}

static void test_secondary_was_lied_to(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		returns(seed, 1);
}

static void test_primary_was_lied_to(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		returns(seed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_out_of_order),
		cmocka_unit_test(test_secondary_was_lied_to),
		cmocka_unit_test(test_primary_was_lied_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
