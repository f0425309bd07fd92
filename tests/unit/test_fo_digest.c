/*
 * The message digest: known vectors, two ends back to back, and every way in which somebody in
 * between may tamper (draft-ietf-dhc-failover-12 §12.17; decision A24).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net/fo_digest.h"

#define NOW 1700000000

static const struct octets s1 = { (const uint8_t *)"sixteen octets!!", 16 };
static const struct octets s2 = { (const uint8_t *)"another secret of 24 ok.", 24 };
static const struct octets none;

static size_t connect_msg(uint8_t *buf, uint8_t type, uint32_t time, int nonce, uint8_t reject)
{
	struct fo_connect c = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VENDOR_SPECIFIC,
		.name = { (const uint8_t *)"campus", 6 },
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.start_count = 1,
		.has_nonce = nonce >= 0,
		.reject = reject,
	};
	struct fo_writer w;

	memset(c.nonce, nonce, sizeof(c.nonce));
	fo_write_begin(&w, buf, FO_MSG_MAX - FO_DIGEST_ROOM, type, (wall_t){ time }, 1);
	if (type == FO_CONNECT)
		fo_write_connect(&w, &c);
	else
		fo_write_connectack(&w, &c);
	return fo_write_end(&w);
}

static size_t plain_msg(uint8_t *buf, uint8_t type, uint32_t xid)
{
	struct fo_writer w;

	fo_write_begin(&w, buf, FO_MSG_MAX - FO_DIGEST_ROOM, type, (wall_t){ NOW }, xid);
	return fo_write_end(&w);
}

/* --- two ends -------------------------------------------------------------------------------- */

struct pair {
	struct fo_digest *p, *s;
};

static enum fo_digest_verdict pass(struct fo_digest *from, struct fo_digest *to, const uint8_t *msg,
				   size_t len)
{
	uint8_t sealed[FO_MSG_MAX];
	size_t n = fo_digest_seal(from, msg, len, sealed);

	assert_int_equal(n, len + FO_DIGEST_ROOM);
	return fo_digest_open(to, sealed, n);
}

static enum fo_digest_verdict introduce(struct pair *x)
{
	uint8_t buf[FO_MSG_MAX];
	enum fo_digest_verdict v = pass(x->p, x->s, buf, connect_msg(buf, FO_CONNECT, NOW, 7, 0));

	return v != FO_DIGEST_OK
		       ? v
		       : pass(x->s, x->p, buf, connect_msg(buf, FO_CONNECTACK, NOW, 9, 0));
}

static struct pair pair(void)
{
	struct pair x = { fo_digest_new(s1, none, true), fo_digest_new(s1, none, false) };

	assert_int_equal(introduce(&x), FO_DIGEST_OK);
	return x;
}

static void done(struct pair *x)
{
	fo_digest_free(x->p);
	fo_digest_free(x->s);
}

/* --- what it looks like ---------------------------------------------------------------------- */

/* Computed by another implementation (Python's hmac module), from the description in the header. */
static void test_vectors(void **state)
{
	static const uint8_t bare[32] = { 0xef, 0xa5, 0x30, 0xef, 0xa9, 0x29, 0xea, 0xde,
					  0xd9, 0x96, 0xb6, 0x2a, 0x4d, 0xbc, 0x23, 0x86,
					  0x42, 0xe3, 0x5d, 0x62, 0xe2, 0x8b, 0xaa, 0x52,
					  0x0a, 0xaa, 0x00, 0x08, 0x4c, 0x79, 0x3d, 0xd0 };
	static const uint8_t keyed[2][32] = {
		{ 0x97, 0xe9, 0x03, 0x61, 0x6c, 0x82, 0x21, 0x17, 0x6f, 0x36, 0xe8,
		  0x2e, 0x40, 0xf2, 0x13, 0x35, 0x70, 0xb0, 0x35, 0x80, 0xb9, 0x4c,
		  0x6a, 0xbc, 0x6d, 0x43, 0xaa, 0x37, 0x34, 0x72, 0x7a, 0x46 },
		{ 0x4b, 0xb2, 0xa3, 0x0d, 0x38, 0x5d, 0xc5, 0x85, 0x51, 0x54, 0x84,
		  0xd8, 0x58, 0x38, 0x49, 0xd1, 0x9c, 0xb9, 0x46, 0x46, 0x3c, 0x3f,
		  0xea, 0x3e, 0x11, 0xfb, 0x0c, 0xf8, 0xb0, 0xce, 0xea, 0xe7 }
	};
	struct pair x = { fo_digest_new(s1, none, true), fo_digest_new(s1, none, false) };
	uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX];
	size_t n;

	(void)state;
	/* CONTACT, the first message, under the secret alone */
	n = fo_digest_seal(x.p, msg, plain_msg(msg, FO_CONTACT, 5), out);
	assert_int_equal(n, 49);
	assert_memory_equal(out + 12, "\x00\x11\x00\x21\x02", 5);
	assert_memory_equal(out + 17, bare, 32);
	done(&x);

	/* and the second, after both nonces (sixteen 7, sixteen 9) */
	x = pair();
	n = fo_digest_seal(x.p, msg, plain_msg(msg, FO_CONTACT, 5), out);
	assert_memory_equal(out + 17, keyed[0], 32);
	n = fo_digest_seal(x.s, msg, plain_msg(msg, FO_CONTACT, 5), out);
	assert_memory_equal(out + 17, keyed[1], 32);
	done(&x);
}

static void test_first_option(void **state)
{
	struct fo_digest *d = fo_digest_new(s1, none, true);
	uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX];
	size_t n = connect_msg(msg, FO_CONNECT, NOW, 1, 0);
	static struct fo_msg was, m;

	(void)state;
	assert_int_equal(fo_msg_decode(msg, n, &was), FO_OK);
	n = fo_digest_seal(d, msg, n, out);
	assert_int_equal(fo_msg_decode(out, n, &m), FO_OK);
	assert_int_equal(m.n_opts, was.n_opts + 1);
	assert_int_equal(m.opt[0].code, FO_OPT_DIGEST);
	for (unsigned i = 0; i < was.n_opts; i++) {
		assert_int_equal(m.opt[i + 1].code, was.opt[i].code);
		assert_memory_equal(m.opt[i + 1].p, was.opt[i].p, was.opt[i].len);
	}
	fo_digest_free(d);
}

/* A message that the core may write always has room for it; a larger one is not cut. */
static void test_room(void **state)
{
	struct fo_digest *d = fo_digest_new(s1, none, true);
	uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX], fill[FO_MSG_MAX] = { 0 };
	struct fo_writer w;
	size_t n;

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		fo_write_begin(&w, msg, FO_MSG_MAX, FO_BNDUPD, (wall_t){ NOW }, 1);
		fo_write_opt(&w, FO_OPT_MESSAGE, fill,
			     FO_MSG_MAX - FO_DIGEST_ROOM - FO_HDR_LEN - 4 + more);
		n = fo_write_end(&w);
		assert_int_equal(fo_digest_seal(d, msg, n, out), more ? 0 : FO_MSG_MAX);
	}
	fo_digest_free(d);
}

/* --- what passes, what does not --------------------------------------------------------------- */

static void test_session(void **state)
{
	struct pair x = pair();
	uint8_t msg[FO_MSG_MAX];

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(pass(x.p, x.s, msg, plain_msg(msg, FO_CONTACT, i)), FO_DIGEST_OK);
		assert_int_equal(pass(x.s, x.p, msg, plain_msg(msg, FO_UPDREQ, i)), FO_DIGEST_OK);
	}
	done(&x);
}

/* Any octet but the digest's own, and these, too. */
static void test_each_bit(void **state)
{
	struct pair x = pair();
	uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX];
	size_t n = fo_digest_seal(x.p, msg, connect_msg(msg, FO_CONNECT, NOW, 3, 0), out);

	(void)state;
	for (size_t bit = 0; bit < n * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(fo_digest_open(x.s, out, n), FO_DIGEST_OK);
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(fo_digest_open(x.s, out, n), FO_DIGEST_OK);
	done(&x);
}

static void test_missing(void **state)
{
	struct pair x = pair();
	uint8_t msg[FO_MSG_MAX];
	size_t n = plain_msg(msg, FO_CONTACT, 1);

	(void)state;
	assert_int_equal(fo_digest_open(x.s, msg, n), FO_DIGEST_MISSING);
	n = connect_msg(msg, FO_CONNECT, NOW, 1, 0);
	assert_int_equal(fo_digest_open(x.s, msg, n), FO_DIGEST_MISSING);
	msg[3] = 200; /* the offset beyond the message */
	assert_int_equal(fo_digest_open(x.s, msg, n), FO_DIGEST_MISSING);
	done(&x);
}

static void test_replayed(void **state)
{
	struct pair x = pair();
	uint8_t msg[FO_MSG_MAX], a[FO_MSG_MAX], b[FO_MSG_MAX];
	size_t n = plain_msg(msg, FO_CONTACT, 1);

	(void)state;
	assert_int_equal(fo_digest_seal(x.p, msg, n, a), n + FO_DIGEST_ROOM);
	assert_int_equal(fo_digest_seal(x.p, msg, n, b), n + FO_DIGEST_ROOM);
	n += FO_DIGEST_ROOM;
	assert_int_equal(fo_digest_open(x.s, b, n), FO_DIGEST_WRONG); /* a was left out */
	assert_int_equal(fo_digest_open(x.s, a, n), FO_DIGEST_OK);
	assert_int_equal(fo_digest_open(x.s, a, n), FO_DIGEST_REPLAYED);
	assert_int_equal(fo_digest_open(x.s, b, n), FO_DIGEST_OK);
	assert_int_equal(fo_digest_open(x.s, a, n), FO_DIGEST_REPLAYED);
	done(&x);
}

/* What the primary said is nothing that the secondary could have said. */
static void test_reflected(void **state)
{
	struct pair x = pair();
	uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX];
	size_t n = fo_digest_seal(x.p, msg, plain_msg(msg, FO_CONTACT, 1), out);

	(void)state;
	assert_int_equal(fo_digest_open(x.p, out, n), FO_DIGEST_WRONG);
	assert_int_equal(fo_digest_open(x.s, out, n), FO_DIGEST_OK);
	done(&x);
}

/* A whole recorded connection: CONNECT passes (and fo_replay_check stops it), nothing after it. */
static void test_recorded(void **state)
{
	uint8_t msg[FO_MSG_MAX], first[FO_MSG_MAX], then[FO_MSG_MAX], ack[FO_MSG_MAX];
	struct pair x = { fo_digest_new(s1, none, true), fo_digest_new(s1, none, false) };
	size_t n, n_then, n_ack;
	struct fo_digest *s;

	(void)state;
	n = fo_digest_seal(x.p, msg, connect_msg(msg, FO_CONNECT, NOW, 7, 0), first);
	assert_int_equal(fo_digest_open(x.s, first, n), FO_DIGEST_OK);
	n_ack = fo_digest_seal(x.s, msg, connect_msg(msg, FO_CONNECTACK, NOW, 9, 0), ack);
	assert_int_equal(fo_digest_open(x.p, ack, n_ack), FO_DIGEST_OK);
	n_then = fo_digest_seal(x.p, msg, plain_msg(msg, FO_CONTACT, 2), then);
	done(&x);

	s = fo_digest_new(s1, none, false);
	assert_int_equal(fo_digest_open(s, first, n), FO_DIGEST_OK);
	n = connect_msg(msg, FO_CONNECTACK, NOW, 10, 0);
	assert_int_not_equal(fo_digest_seal(s, msg, n, first), 0);
	assert_int_equal(fo_digest_open(s, then, n_then), FO_DIGEST_WRONG);
	fo_digest_free(s);

	/* nor does a recorded CONNECTACK answer another CONNECT */
	s = fo_digest_new(s1, none, true);
	n = connect_msg(msg, FO_CONNECT, NOW, 8, 0);
	assert_int_not_equal(fo_digest_seal(s, msg, n, first), 0);
	assert_int_equal(fo_digest_open(s, ack, n_ack), FO_DIGEST_WRONG);
	fo_digest_free(s);
}

static void test_wrong_secret(void **state)
{
	struct pair x = { fo_digest_new(s1, none, true), fo_digest_new(s2, none, false) };

	(void)state;
	assert_int_equal(introduce(&x), FO_DIGEST_WRONG);
	done(&x);
}

/* CONNECTACK that accepts must bring the second nonce; one that rejects need not. */
static void test_nonces(void **state)
{
	static const struct {
		int ask, answer;
		uint8_t reject;
		enum fo_digest_verdict v;
	} row[] = {
		{ 7, 9, 0, FO_DIGEST_OK },
		{ 7, -1, 0, FO_DIGEST_WRONG },
		{ 7, -1, 4, FO_DIGEST_OK },
		{ -1, -1, 0, FO_DIGEST_OK }, /* TLS is asked for */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pair x = { fo_digest_new(s1, none, true), fo_digest_new(s1, none, false) };
		uint8_t msg[FO_MSG_MAX], out[FO_MSG_MAX];
		size_t n;

		n = connect_msg(msg, FO_CONNECT, NOW, row[i].ask, 0);
		assert_int_equal(pass(x.p, x.s, msg, n), FO_DIGEST_OK);
		/* an end that has the secret, and does not do as it should, even if seal says so */
		n = connect_msg(msg, FO_CONNECTACK, NOW, row[i].answer, row[i].reject);
		assert_int_equal(!fo_digest_seal(x.s, msg, n, out), row[i].v != FO_DIGEST_OK);
		assert_int_equal(fo_digest_open(x.p, out, n + FO_DIGEST_ROOM), row[i].v);
		done(&x);
	}
}

/* --- two secrets ------------------------------------------------------------------------------ */

static void test_rotation(void **state)
{
	/* secrets of the primary, of the secondary: in force, former */
	static const struct {
		int p[2], s[2];
		enum fo_digest_verdict v;
	} row[] = {
		{ { 1, 0 }, { 1, 0 }, FO_DIGEST_OK },	 { { 1, 0 }, { 2, 1 }, FO_DIGEST_OK },
		{ { 2, 0 }, { 2, 1 }, FO_DIGEST_OK },	 { { 2, 0 }, { 2, 0 }, FO_DIGEST_OK },
		{ { 1, 0 }, { 2, 0 }, FO_DIGEST_WRONG }, { { 2, 1 }, { 1, 0 }, FO_DIGEST_WRONG },
	};
	const struct octets s[] = { none, s1, s2 };
	uint8_t msg[FO_MSG_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pair x = { fo_digest_new(s[row[i].p[0]], s[row[i].p[1]], true),
				  fo_digest_new(s[row[i].s[0]], s[row[i].s[1]], false) };

		assert_int_equal(introduce(&x), row[i].v);
		if (row[i].v == FO_DIGEST_OK) {
			size_t n = plain_msg(msg, FO_CONTACT, 3);

			assert_int_equal(pass(x.p, x.s, msg, n), FO_DIGEST_OK);
			assert_int_equal(pass(x.s, x.p, msg, n), FO_DIGEST_OK);
		}
		done(&x);
	}
}

/* --- CONNECT, once ---------------------------------------------------------------------------- */

static enum fo_reject again(struct fo_replay *r, uint32_t time, int nonce, int64_t now)
{
	static struct fo_msg m;
	uint8_t buf[FO_MSG_MAX];
	size_t n = connect_msg(buf, FO_CONNECT, time, nonce, 0);

	assert_int_equal(fo_msg_decode(buf, n, &m), FO_OK);
	return fo_replay_check(r, &m, (wall_t){ now }, 60);
}

static void test_replay(void **state)
{
	struct fo_replay r = { .n = 0 };

	(void)state;
	assert_int_equal(again(&r, NOW, -1, NOW), FO_REJECT_DIGEST_MISMATCH);
	assert_int_equal(again(&r, NOW, 1, NOW), FO_REJECT_NONE);
	assert_int_equal(again(&r, NOW, 1, NOW), FO_REJECT_DIGEST_MISMATCH);
	assert_int_equal(again(&r, NOW, 2, NOW), FO_REJECT_NONE); /* in the same second */
	assert_int_equal(again(&r, NOW, 1, NOW + 50), FO_REJECT_DIGEST_MISMATCH);
	assert_int_equal(again(&r, NOW - 30, 3, NOW), FO_REJECT_NONE); /* a clock was set back */
	assert_int_equal(again(&r, NOW, 4, NOW + 61), FO_REJECT_TIME_MISMATCH);
	assert_int_equal(again(&r, NOW + 61, 4, NOW), FO_REJECT_TIME_MISMATCH);
	assert_int_equal(again(&r, NOW + 60, 4, NOW), FO_REJECT_NONE);
}

/* More than are remembered: what was forgotten is not taken either. */
static void test_replay_many(void **state)
{
	struct fo_replay r = { .n = 0 };

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(again(&r, NOW + (uint32_t)i / 4, i, NOW + i / 4), FO_REJECT_NONE);
	for (int i = 0; i < 200; i++)
		assert_int_equal(again(&r, NOW + (uint32_t)i / 4, i, NOW + 50),
				 FO_REJECT_DIGEST_MISMATCH);
	assert_int_equal(again(&r, NOW + 50, 201, NOW + 50), FO_REJECT_NONE);
}

static void test_texts(void **state)
{
	(void)state;
	assert_int_equal(fo_digest_reject(FO_DIGEST_MISSING), 21);
	assert_int_equal(fo_digest_reject(FO_DIGEST_UNEXPECTED), 13);
	assert_int_equal(fo_digest_reject(FO_DIGEST_WRONG), 20);
	assert_int_equal(fo_digest_reject(FO_DIGEST_REPLAYED), 20);
	for (unsigned v = 0; v < FO_DIGEST_VERDICTS; v++)
		for (unsigned k = 0; k < v; k++)
			assert_string_not_equal(fo_digest_text(v), fo_digest_text(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	 cmocka_unit_test(test_first_option),
		cmocka_unit_test(test_room),	 cmocka_unit_test(test_session),
		cmocka_unit_test(test_each_bit), cmocka_unit_test(test_missing),
		cmocka_unit_test(test_replayed), cmocka_unit_test(test_reflected),
		cmocka_unit_test(test_recorded), cmocka_unit_test(test_wrong_secret),
		cmocka_unit_test(test_nonces),	 cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_replay),	 cmocka_unit_test(test_replay_many),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
