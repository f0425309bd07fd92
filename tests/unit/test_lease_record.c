/*
 * Records on disk: what goes in comes out; what is damaged, too new or not ours is told apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include "store/lease_record.h"

static struct lease full_lease(void)
{
	return (struct lease){ .starts = 1,
			       .expires = SEC_MAX,
			       .sent_pet = 3,
			       .acked_pet = 4,
			       .rcvd_pet = 5,
			       .cltt = 6,
			       .stos = 7,
			       .serial = 0xfffffffe,
			       .state = LEASE_BACKUP,
			       .acked_state = LEASE_ABANDONED,
			       .flags = LEASE_RESERVED | LEASE_DIRTY,
			       .bucket = 255 };
}

static struct lease_client full_client(void)
{
	struct lease_client c = { .htype = 1,
				  .hlen = CHADDR_MAX,
				  .id_len = 255,
				  .host_name_len = 255,
				  .relay_agent_len = 255 };

	memset(c.chaddr, 0xa1, sizeof(c.chaddr));
	memset(c.id, 0xa2, sizeof(c.id));
	memset(c.host_name, 0xa3, sizeof(c.host_name));
	memset(c.relay_agent, 0xa4, sizeof(c.relay_agent));
	return c;
}

static void assert_lease_equal(const struct lease *a, const struct lease *b)
{
	assert_int_equal(a->starts, b->starts);
	assert_int_equal(a->expires, b->expires);
	assert_int_equal(a->sent_pet, b->sent_pet);
	assert_int_equal(a->acked_pet, b->acked_pet);
	assert_int_equal(a->rcvd_pet, b->rcvd_pet);
	assert_int_equal(a->cltt, b->cltt);
	assert_int_equal(a->stos, b->stos);
	assert_int_equal(a->serial, b->serial);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->acked_state, b->acked_state);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->bucket, b->bucket);
}

static void round_trip(const struct lease *l, const struct lease_client *c)
{
	uint8_t buf[LEASE_RECORD_MAX];
	size_t n = lease_record_encode(l, c, buf, sizeof(buf));
	struct lease_client rc;
	struct lease rl;

	assert_int_not_equal(n, 0);
	assert_int_equal(lease_record_decode(buf, n, &rl, &rc), 0);
	assert_lease_equal(&rl, l);
	assert_memory_equal(&rc, c, sizeof(rc));
	assert_int_equal(lease_record_decode(buf, n, &rl, NULL), 0);
	for (size_t room = 0; room < n; room++)
		assert_int_equal(lease_record_encode(l, c, buf, room), 0);
}

static void test_round_trip(void **state)
{
	struct lease none = { 0 }, full = full_lease();
	struct lease_client nobody = { 0 }, all = full_client(), id_only = { .id_len = 1 },
			    no_address = { .htype = 37 };

	(void)state;
	round_trip(&none, &nobody);
	round_trip(&full, &all);
	round_trip(&none, &all);
	round_trip(&full, &nobody);
	round_trip(&full, &id_only);
	round_trip(&full, &no_address);
}

/* The example of the header, octet for octet: a change of the format has to be meant. */
static void test_example(void **state)
{
	static const uint8_t expected[] = {
		0x01, 0x01, 0x01, 0x02, 0x02, 0x04, 0x69, 0x55, 0xb9, 0x00, 0x03, 0x04,
		0x69, 0x55, 0xc7, 0x10, 0x0c, 0x01, 0x2a, 0x40, 0x07, 0x01, 0x02, 0x00,
		0x00, 0x00, 0x00, 0x01, 0xff, 0x04, 0xf1, 0x00, 0xa7, 0xc2,
	};
	struct lease l = { .state = LEASE_ACTIVE, .starts = 1767225600, .bucket = 0x2a };
	struct lease_client c = { .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, 1 } };
	uint8_t buf[LEASE_RECORD_MAX];

	(void)state;
	l.expires = l.starts + 3600;
	assert_int_equal(lease_record_encode(&l, &c, buf, sizeof(buf)), sizeof(expected));
	assert_memory_equal(buf, expected, sizeof(expected));
}

/* Whoever held the lease before leaves nothing behind in the next one. */
static void test_one_after_the_other(void **state)
{
	struct lease_client all = full_client(), nobody = { 0 }, half = all, c = { 0 };
	struct lease_client *const rows[] = { &half, &all, &nobody, &half, &nobody, &all, &half };
	uint8_t buf[LEASE_RECORD_MAX];
	struct lease l = full_lease();

	(void)state;
	half.hlen = half.id_len = half.host_name_len = half.relay_agent_len = 5;
	memset(half.chaddr + 5, 0, sizeof(half.chaddr) - 5);
	memset(half.id + 5, 0, sizeof(half.id) - 5);
	memset(half.host_name + 5, 0, sizeof(half.host_name) - 5);
	memset(half.relay_agent + 5, 0, sizeof(half.relay_agent) - 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = lease_record_encode(&l, rows[i], buf, sizeof(buf));

		assert_int_equal(lease_record_decode_over(buf, n, &l, &c), 0);
		assert_memory_equal(&c, rows[i], sizeof(c));
		buf[9] ^= 1;
		assert_int_equal(lease_record_decode_over(buf, n, &l, &c), -EBADMSG);
		assert_memory_equal(&c, rows[i], sizeof(c));
	}
}

static void test_damage(void **state)
{
	struct lease l = full_lease(), rl = { .addr = 77 };
	struct lease_client c = full_client(), rc = { .htype = 99 };
	uint8_t buf[LEASE_RECORD_MAX];
	size_t n = lease_record_encode(&l, &c, buf, sizeof(buf));

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(lease_record_decode(buf, n, &rl, &rc), -EBADMSG);
			buf[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t len = 0; len < n; len++)
		assert_int_equal(lease_record_decode(buf, len, &rl, &rc), -EBADMSG);
	assert_int_equal(rl.addr, 77); /* written on success only */
	assert_int_equal(rc.htype, 99);
	assert_int_equal(lease_record_decode(buf, n, &rl, &rc), 0);
}

/* A record of the given octets before the check, which is made right. */
static size_t framed(const uint8_t *items, size_t len, uint8_t *buf)
{
	uint32_t check = (uint32_t)crc32(0, items, (uInt)len);

	memcpy(buf, items, len);
	buf[len] = 0xff;
	buf[len + 1] = 4;
	for (int i = 0; i < 4; i++)
		buf[len + 2 + (size_t)i] = (uint8_t)(check >> (24 - 8 * i));
	return len + 6;
}

static void test_grammar(void **state)
{
	static const struct {
		const char *given;
		uint8_t octets[24], len;
		int lease, relation;
	} rows[] = {
		{ "empty", { 1 }, 1, 0, 0 },
		{ "unknown tags are skipped", { 1, 0x3e, 1, 9, 0x70, 0, 0xfe, 2, 9, 9 }, 10, 0, 0 },
		{ "no version", { 0 }, 0, -EBADMSG, -EBADMSG },
		{ "version 0", { 0 }, 1, -EBADMSG, -EBADMSG },
		{ "version 2", { 2, 1, 1, 2 }, 4, -EPROTO, -EPROTO },
		{ "version 255", { 255 }, 1, -EPROTO, -EPROTO },
		{ "tag without length", { 1, 1 }, 2, -EBADMSG, -EBADMSG },
		{ "value cut short", { 1, 2, 4, 0, 0, 0 }, 6, -EBADMSG, -EBADMSG },
		{ "number too short", { 1, 0x0b, 3, 0, 0, 0 }, 6, -EBADMSG, -EBADMSG },
		{ "number too long", { 1, 1, 2, 0, 2 }, 5, -EBADMSG, -EBADMSG },
		{ "tag twice", { 1, 1, 1, 2, 1, 1, 2 }, 7, -EBADMSG, -EBADMSG },
		{ "tags descend", { 1, 0x3e, 0, 0x3d, 0 }, 5, -EBADMSG, -EBADMSG },
		{ "tag 0", { 1, 0, 0 }, 3, -EBADMSG, -EBADMSG },
		{ "two checks", { 1, 0xff, 4, 0, 0, 0, 0 }, 7, -EBADMSG, -EBADMSG },
		{ "no such binding state", { 1, 1, 1, 8 }, 4, -EBADMSG, 0 },
		{ "no such acked state", { 1, 0x0a, 1, 8 }, 4, -EBADMSG, -EBADMSG },
		{ "no such failover state", { 1, 1, 1, 12 }, 4, -EBADMSG, -EBADMSG },
		{ "RECOVER-WAIT", { 1, 2, 1, 254 }, 4, -EBADMSG, 0 },
		{ "peer state 253", { 1, 3, 1, 253 }, 4, -EBADMSG, -EBADMSG },
		{ "a bool of 2", { 1, 4, 1, 2 }, 4, -EBADMSG, -EBADMSG },
		{ "hardware without type", { 1, 0x40, 0 }, 3, -EBADMSG, 0 },
		{ "chaddr of 17",
		  { 1, 0x40, 18, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 },
		  21,
		  -EBADMSG,
		  0 },
	};
	struct lease_client c;
	struct fo_record fr;
	struct lease l;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t buf[40];
		size_t n = framed(rows[i].octets, rows[i].len, buf);
		int a = lease_record_decode(buf, n, &l, &c), b = fo_record_decode(buf, n, &fr);

		if (a != rows[i].lease || b != rows[i].relation)
			fail_msg("%s: lease %d, relation %d", rows[i].given, a, b);
	}
}

static struct octets as_octets(const uint8_t *p, size_t len)
{
	return (struct octets){ p, (uint32_t)len };
}

static void test_merge(void **state)
{
	struct lease before = full_lease(), after = { .state = LEASE_EXPIRED, .serial = 9 }, rl;
	struct lease_client c = full_client(), rc;
	uint8_t old[LEASE_RECORD_MAX], fresh[LEASE_RECORD_MAX], merged[LEASE_RECORD_MAX];
	size_t n_old = lease_record_encode(&before, &c, old, sizeof(old));
	size_t n_fresh = lease_record_encode(&after, NULL, fresh, sizeof(fresh));
	int n = lease_record_merge(as_octets(fresh, n_fresh), as_octets(old, n_old), merged,
				   sizeof(merged));

	(void)state;
	assert_true(n > 0);
	assert_int_equal(lease_record_decode(merged, (size_t)n, &rl, &rc), 0);
	assert_lease_equal(&rl, &after);
	assert_memory_equal(&rc, &c, sizeof(c));
	for (size_t room = 0; room < (size_t)n; room++)
		assert_int_equal(lease_record_merge(as_octets(fresh, n_fresh),
						    as_octets(old, n_old), merged, room),
				 -ENOBUFS);
	old[20] ^= 1;
	assert_int_equal(lease_record_merge(as_octets(fresh, n_fresh), as_octets(old, n_old),
					    merged, sizeof(merged)),
			 -EBADMSG);
}

/* What a newer server of this version wrote about the holder outlives our change of the state. */
static void test_merge_keeps_unknown(void **state)
{
	static const uint8_t items[] = { 1, 1, 1, LEASE_ACTIVE, 0x3f, 1, 7, 0x60, 2, 8, 9 };
	struct lease l = { .state = LEASE_EXPIRED };
	uint8_t old[64], fresh[64], merged[64];
	size_t n_old = framed(items, sizeof(items), old);
	size_t n_fresh = lease_record_encode(&l, NULL, fresh, sizeof(fresh));
	static const uint8_t expected[] = { 1, 1, 1, LEASE_EXPIRED, 0x60, 2, 8, 9 };
	int n = lease_record_merge(as_octets(fresh, n_fresh), as_octets(old, n_old), merged,
				   sizeof(merged));

	(void)state;
	assert_int_equal(n, sizeof(expected) + 6);
	assert_memory_equal(merged, expected, sizeof(expected));
}

static void test_relation(void **state)
{
	struct fo_record r = { .end = { .state = FO_PARTNER_DOWN,
					.saved = FO_NORMAL,
					.peer = FO_RECOVER_WAIT,
					.primary = true,
					.ever_normal = true,
					.lost_storage = true,
					.behind = true,
					.owes_all = true,
					.stos = 1,
					.peer_stos = 2,
					.last_operational = 3 },
			       .mclt = 4,
			       .mclt_until = 5,
			       .mclt_former = 6,
			       .hba_known = true,
			       .peer_start_count = 0x0123456789abcdef,
			       .stranger = true },
			 got, empty;
	uint8_t buf[LEASE_RECORD_MAX], again[LEASE_RECORD_MAX];
	size_t n;

	(void)state;
	memset(&empty, 0, sizeof(empty));
	memset(r.hba, 0x5a, sizeof(r.hba));
	memset(r.incarnation, 0xc3, sizeof(r.incarnation));
	memset(r.partner, 0x3c, sizeof(r.partner));
	n = fo_record_encode(&r, buf, sizeof(buf));
	assert_int_equal(fo_record_decode(buf, n, &got), 0);
	assert_int_equal(got.end.state, FO_PARTNER_DOWN);
	assert_int_equal(got.end.saved, FO_NORMAL);
	assert_int_equal(got.end.peer, FO_RECOVER_WAIT);
	assert_true(got.end.primary && got.end.ever_normal && got.end.lost_storage);
	assert_true(got.end.behind && got.end.owes_all);
	assert_int_equal(got.end.stos, 1);
	assert_int_equal(got.end.peer_stos, 2);
	assert_int_equal(got.end.last_operational, 3);
	assert_int_equal(got.mclt, 4);
	assert_int_equal(got.mclt_until, 5);
	assert_int_equal(got.mclt_former, 6);
	assert_true(got.hba_known);
	assert_true(got.peer_start_count == 0x0123456789abcdef);
	assert_memory_equal(got.hba, r.hba, sizeof(r.hba));
	assert_memory_equal(got.incarnation, r.incarnation, sizeof(r.incarnation));
	assert_memory_equal(got.partner, r.partner, sizeof(r.partner));
	assert_true(got.stranger);
	assert_int_equal(fo_record_encode(&got, again, sizeof(again)), n);
	assert_memory_equal(again, buf, n);
	assert_int_equal(fo_record_encode(&r, buf, n - 1), 0);

	n = fo_record_encode(&empty, buf, sizeof(buf));
	assert_int_equal(n, 7);
	assert_int_equal(fo_record_decode(buf, n, &got), 0);
	assert_int_equal(got.end.state, FO_STATE_NONE);
	buf[3] ^= 4;
	assert_int_equal(fo_record_decode(buf, n, &got), -EBADMSG);
}

/* Items of a record in which every field has a value. */
static unsigned ascending(const uint8_t *p, size_t len)
{
	unsigned n = 0;

	for (size_t at = 1; at + 6 < len; at += 2 + p[at + 1], n++)
		assert_true(p[at] < p[at + 2 + p[at + 1]]);
	return n;
}

/* The order of the tables: a row out of it would be taken for an unknown tag when it is read. */
static void test_order_of_tables(void **state)
{
	uint8_t buf[LEASE_RECORD_MAX];
	struct fo_record r;
	struct lease l;

	(void)state;
	memset(&l, 1, sizeof(l));
	memset(&r, 1, sizeof(r));
	assert_int_equal(ascending(buf, lease_record_encode(&l, NULL, buf, sizeof(buf))), 12);
	assert_int_equal(ascending(buf, run_record_encode(&l, 1, buf, sizeof(buf))), 6);
	assert_int_equal(ascending(buf, fo_record_encode(&r, buf, sizeof(buf))), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_keeps_unknown),
		cmocka_unit_test(test_relation),
		cmocka_unit_test(test_order_of_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
