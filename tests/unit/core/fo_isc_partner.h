#pragma once
/*
 * A partner of another make, played by hand: one server of a world (fo_pair.h) beside the words of
 * an ISC dhcpd, up to both in NORMAL. What the server says is kept for the test. failover-wire.
 */
#include "fo_pair.h"

static inline struct world *alone(bool primary)
{
	struct world *w = new_world(1);

	w->by_hand = true;
	w->check_promises = false; /* they look into the partner, who is not there */
	P->conf.dialect = S->conf.dialect = FO_DIALECT_ISC;
	boot(primary ? P : S);
	w->linked = true;
	return w;
}

/* What the node sent last, of one type; NULL when nothing. */
static inline const struct fo_msg *heard_within(struct node *n, uint8_t type, double sec)
{
	static struct fo_msg m;
	static struct in_air copy;
	bool found = false;

	run(n->w, sec);
	for (struct in_air *a = n->w->n[!n->i].wire; a; a = a->next)
		if (a->msg[2] == type) {
			copy = *a;
			found = true;
		}
	clear_queues(&n->w->n[!n->i]);
	return found && fo_msg_decode(copy.msg, copy.len, &m) == FO_OK ? &m : NULL;
}

static inline const struct fo_msg *heard(struct node *n, uint8_t type)
{
	return heard_within(n, type, 0.2);
}

static inline void say(struct node *n, struct fo_writer *wr)
{
	static struct fo_msg m;
	static uint8_t copy[FO_MSG_MAX];
	size_t len = fo_write_end(wr);

	memcpy(copy, wr->buf, len);
	assert_int_equal(fo_msg_decode(copy, len, &m), FO_OK);
	n->in_flight -= m.type == FO_BNDACK && n->in_flight;
	TURN(n, now);
	fo_endpoint_message(n->ep, &m, &now);
	turn_end(n);
}

static inline struct octets str(const char *s)
{
	return (struct octets){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static inline struct fo_connect isc_connect(void)
{
	return (struct fo_connect){
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_MAX_UNACKED |
		       1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_MCLT |
		       1u << FO_OPT_HBA,
		.name = str("campus"),
		.vendor = str("isc-4.4.3"),
		.max_unacked = 10,
		.receive_timer = 20,
		.version = 1,
		.mclt = 60,
	};
}

static int64_t partner_ahead; /* seconds, in all that it says */

static inline void begin(struct node *n, struct fo_writer *wr, uint8_t type, int64_t skew,
			 uint32_t xid)
{
	static uint8_t buf[FO_MSG_MAX];
	wall_t at = { now_of(n).wall.sec + partner_ahead + skew };

	fo_write_begin(wr, buf, sizeof(buf), type, at, xid);
}

static inline void link_up(struct node *n)
{
	TURN(n, now);
	n->w->linked = true;
	fo_endpoint_link_up(n->ep, &now, false);
	turn_end(n);
}

/* Its half of the handshake: CONNECT as primary, else the answer to ours. */
static inline void shakes_hands(struct node *n)
{
	struct fo_connect c = isc_connect();
	struct fo_writer wr;

	begin(n, &wr, n->i ? FO_CONNECT : FO_CONNECTACK, 0, 1);
	if (n->i)
		fo_write_connect(&wr, &c);
	else
		fo_write_connectack(&wr, &c);
	say(n, &wr);
}

static inline void state_from(struct node *n, uint8_t st)
{
	struct fo_state_msg s = { st, false, (uint32_t)BASE };
	struct fo_writer wr;

	begin(n, &wr, FO_STATE, 0, 4);
	fo_write_state(&wr, &s);
	say(n, &wr);
}

static inline void tell(struct node *n, const struct fo_binding *b, uint32_t xid)
{
	struct fo_writer wr;

	begin(n, &wr, FO_BNDUPD, 0, xid);
	assert_true(fo_write_binding(&wr, b, false));
	say(n, &wr);
}

static inline void isc_link(struct node *n)
{
	struct fo_state_msg s = { FO_RECOVER, true, (uint32_t)BASE };
	struct fo_writer wr;

	link_up(n);
	shakes_hands(n);
	assert_true(n->ep->link == LINK_UP);
	assert_null(heard(n, FO_STATE)); /* §3.7, 6: not before its own is known */
	begin(n, &wr, FO_STATE, 0, 2);
	fo_write_state(&wr, &s);
	say(n, &wr);
	assert_non_null(heard(n, FO_STATE));
	s.startup = false; /* repeated, without the flag: no error */
	begin(n, &wr, FO_STATE, 0, 3);
	fo_write_state(&wr, &s);
	say(n, &wr);
	assert_true(n->ep->link == LINK_UP);
}

static inline void isc_tells(struct node *n, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct fo_binding b = { .addr = FIRST + 10 + i, .status = LEASE_FREE };

		tell(n, &b, 500 + i);
	}
}

static inline void isc_done(struct node *n, uint32_t xid)
{
	struct fo_writer wr;

	begin(n, &wr, FO_UPDDONE, 0, xid);
	say(n, &wr);
}

/* The answer to UPDREQALL: every address of every pool. */
static inline void isc_tells_all(struct node *n)
{
	isc_tells(n, 0, 64);
	isc_done(n, n->ep->asked_xid);
	run(n->w, 0.2);
	clear_queues(&n->w->n[!n->i]);
}

static inline void contact(struct node *n)
{
	struct fo_writer wr;

	begin(n, &wr, FO_CONTACT, 0, 1);
	say(n, &wr);
	clear_queues(&n->w->n[!n->i]);
}

static inline struct world *isc_normal(void)
{
	struct world *w = alone(true);

	isc_link(P);
	isc_tells_all(P);
	state_from(P, FO_RECOVER_DONE);
	return w;
}

/* A server whose record says it was in @own; the ISC shows @theirs. */
static inline struct world *meets(bool primary, uint8_t own, uint8_t theirs, bool startup)
{
	struct world *w = alone(primary);
	struct node *n = primary ? P : S;
	struct fo_state_msg s = { theirs, startup, (uint32_t)BASE - 100 };
	struct fo_writer wr;

	n->up = false;
	n->disk.has_rec = true;
	n->disk.rec.end = (struct fo_end){ .state = own,
					   .saved = own,
					   .primary = primary,
					   .ever_normal = true,
					   .stos = (uint32_t)BASE - 50,
					   .last_operational = (uint32_t)BASE - 1 };
	n->disk.rec.mclt = 60;
	n->disk.rec.incarnation[0] = 1;
	boot(n);
	link_up(n);
	shakes_hands(n);
	run(w, 0.1);
	clear_queues(&w->n[primary]);
	begin(n, &wr, FO_STATE, 0, 2);
	fo_write_state(&wr, &s);
	say(n, &wr);
	return w;
}

static inline void ack(struct node *n, uint32_t xid, uint32_t addr, enum fo_reject reject)
{
	struct fo_writer wr;

	begin(n, &wr, FO_BNDACK, 0, xid);
	assert_true(fo_write_ack(&wr, addr, reject, reject ? "no" : NULL));
	say(n, &wr);
}

/* All that was sent within @sec is acknowledged. Return: the last binding about @addr; status 0:
 * none. */
static inline struct fo_binding take(struct node *n, uint32_t addr, double sec, unsigned *ret_n)
{
	struct fo_binding b, found = { 0 };
	unsigned total = 0;

	for (double t = 0; t < sec; t += 0.05) {
		static struct in_air copy[64];
		static struct fo_msg m;
		unsigned k = 0;

		run(n->w, 0.05);
		for (struct in_air *a = n->w->n[!n->i].wire; a && k < 64; a = a->next)
			if (a->msg[2] == FO_BNDUPD)
				copy[k++] = *a;
		clear_queues(&n->w->n[!n->i]);
		for (unsigned i = 0; i < k; i++) {
			unsigned cursor = 0;

			assert_int_equal(fo_msg_decode(copy[i].msg, copy[i].len, &m), FO_OK);
			assert_true(fo_msg_next_binding(&m, &cursor, &b));
			total += b.addr == addr;
			if (b.addr == addr)
				found = b;
			ack(n, m.xid, b.addr, FO_REJECT_NONE);
		}
	}
	if (ret_n)
		*ret_n = total;
	return found;
}

static inline struct fo_binding told(uint32_t addr, uint8_t status, unsigned client)
{
	static uint8_t hw[7] = { 1, 2 };

	hw[6] = (uint8_t)client;
	return (struct fo_binding){ .addr = addr,
				    .status = status,
				    .chaddr = { client ? hw : NULL, client ? 7 : 0 } };
}

/* Return: the reason of its refusal, 0 when accepted. */
static inline enum fo_reject update(struct node *n, const struct fo_binding *b)
{
	const struct fo_msg *m;
	struct fo_binding got;
	unsigned cursor = 0;

	tell(n, b, 900);
	m = heard(n, FO_BNDACK);
	assert_non_null(m);
	assert_true(fo_msg_next_binding(m, &cursor, &got));
	return got.reject;
}

/* Both in NORMAL, all that was to be told is. As secondary the ISC has given us half. */
static inline struct world *beside_isc(bool primary)
{
	struct world *w = alone(primary);
	struct node *n = primary ? P : S;

	isc_link(n);
	isc_tells_all(n);
	state_from(n, FO_RECOVER_DONE);
	state_from(n, FO_NORMAL);
	assert_int_equal(state_of(n), FO_NORMAL);
	for (unsigned i = 0; !primary && i < 32; i++) {
		struct fo_binding b = told(FIRST + 10 + i, LEASE_BACKUP, 0);

		assert_int_equal(update(n, &b), 0);
	}
	(void)take(n, 0, 1, NULL);
	assert_int_equal(dirty(n), 0);
	return w;
}

static inline uint32_t now_sec(const struct world *w)
{
	return (uint32_t)(BASE + w->us / SEC);
}
