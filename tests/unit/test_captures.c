/*
 * Recorded failover traffic of ISC dhcpd 4.4.3-P1 against the codec: each message decodes and
 * encodes to the same octets; what was malformed on purpose gives the verdict that it should; and
 * what the typed readers understand, the writers write as ISC did. Counts per type, taken with
 * another decoder, keep the test from passing on nothing.
 * Spec: draft-ietf-dhc-failover-12 §6, §7, §12.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../lib/pcap_stream.h"
#include "core/fo_msg.h"

#define DIR "tests/data/captures/"

/* rows name the columns that count; the rest is 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct capture {
	const char *file;
	unsigned streams;
	bool fake; /* one side is no ISC: written as it pleased */
	unsigned count[13];
	unsigned bad[FO_VERDICTS];
};

static const struct capture captures[] = {
	{ "a_first_startup", 3, .count = { [3] = 50, 50, 1, 1, 4, 2, 0, 8, 16 } },
	{ "b_leases", 2, .count = { [3] = 21, 21, [11] = 51 } },
	{ "c_kill_restart", 6, .count = { [3] = 7, 7, 1, 1, [10] = 4, 56 } },
	{ "d_address_conflict", 7, .count = { [3] = 28, 28, 3, 2, 4, 4, 2, 15, 22 } },
	{ "d_partition_conflict", 6, .count = { [3] = 4, 3, 2, 1, 0, 2, 2, 7, 27 } },
	{ "d_partner_down", 18, .count = { [3] = 33, 33, 1, 1, 1, 1, 0, 6, 59 } },
	{ "d_recover_wait", 7, .count = { [3] = 76, 76, 2, 2, 5, 3, 0, 15, 39 } },
	{ "e_control_stop", 10, .count = { [3] = 10, 10, 1, 1, [10] = 4, 18 } },
	{ "e_paused", 4, .count = { [5] = 1, 1, [10] = 5, 14 } },
	{ "e_shutdown", 4, .count = { [5] = 1, 1, [10] = 5, 18 } },
	{ "f_both_primary", 7, .count = { [5] = 5, 2, [10] = 2 } },
	{ "f_mclt_differs", 3, .count = { [3] = 50, 50, 1, 1, 4, 2, 0, 8, 2 } },
	{ "f_wrong_name", 7, .count = { [5] = 3, 3 } },
	{ "g_pool_request", 3, .count = { [1] = 1, 1, 65, 65, 1, 1, 4, 2, 0, 8, 22 } },
	{ "x_fake_primary_bndupd", 21, true,
	  .count = { [1] = 1, 1, 64, 64, 9, 7, 4, 6, 1, 32, 26, 1 },
	  .bad = { [FO_BAD_OPTION_LEN] = 1 /* IP-flags of one octet */ } },
	{ "x_fake_primary_connect", 70, true, .count = { [5] = 18, 16, [10] = 11 },
	  .bad = { [FO_DUPLICATE] = 1 /* MCLT twice */,
		   [FO_BAD_TYPE] = 2 /* 13, with and without an option */,
		   [FO_IGNORED_TYPE] = 1 /* 200 */,
		   [FO_BAD_LENGTH] = 2 /* 11 and 2049 */ } },
	{ "x_fake_secondary", 20, true,
	  .count = { [1] = 1, 1, 37, 40, 10, 8, 3, 5, 2, 15, 16, 3 } },
};

struct tally {
	unsigned count[13], bad[FO_VERDICTS], written, odd_offset, groups;
};

/* Write what the readers understood of a message. Return: length, 0 where there is no writer. */
static size_t write_again(const struct fo_msg *m, uint8_t *buf, size_t size)
{
	struct fo_connect c;
	struct fo_state_msg s;
	struct fo_binding b;
	struct fo_writer w;
	unsigned cursor = 0;
	uint32_t n;

	fo_write_begin(&w, buf, size, m->type, (wall_t){ m->time }, m->xid);
	switch (m->type) {
	case FO_CONNECT:
		fo_msg_read_connect(m, &c);
		fo_write_connect(&w, &c);
		break;
	case FO_CONNECTACK:
		fo_msg_read_connect(m, &c);
		fo_write_connectack(&w, &c);
		break;
	case FO_STATE:
		assert_true(fo_msg_read_state(m, &s));
		fo_write_state(&w, &s);
		break;
	case FO_BNDUPD:
		while (fo_msg_next_binding(m, &cursor, &b))
			assert_true(fo_write_binding(&w, &b, false));
		break;
	case FO_BNDACK:
		while (fo_msg_next_binding(m, &cursor, &b)) {
			char text[256] = "";

			memcpy(text, b.message.p ? b.message.p : (const uint8_t *)"",
			       b.message.len);
			assert_true(fo_write_ack(&w, b.addr, (enum fo_reject)b.reject, text));
		}
		break;
	case FO_POOLRESP:
		assert_true(fo_msg_u32(m, FO_OPT_ADDRESSES_TRANSFERRED, &n));
		fo_write_u32(&w, FO_OPT_ADDRESSES_TRANSFERRED, n);
		break;
	default:
		break;
	}
	return fo_write_end(&w);
}

static unsigned group_count(const struct fo_msg *m)
{
	unsigned cursor = 0, n = 0;
	struct fo_binding b;

	while (fo_msg_next_binding(m, &cursor, &b))
		n++;
	return n;
}

static void check_message(const struct capture *c, const uint8_t *p, const struct fo_msg *m,
			  struct tally *t)
{
	uint8_t buf[FO_MSG_MAX];

	assert_int_equal(fo_msg_encode(m, buf, sizeof(buf)), m->len);
	assert_memory_equal(buf, p, m->len);
	t->count[m->type]++;
	t->odd_offset += m->offset != FO_HDR_LEN;
	t->groups += group_count(m) > 1;
	if (c->fake)
		return;
	if (write_again(m, buf, sizeof(buf)) != m->len || memcmp(buf, p, m->len))
		fail_msg("%s: type %u xid %u is written otherwise", c->file, m->type, m->xid);
	t->written++;
}

static void walk_stream(const struct capture *c, const struct pcap_stream *s, struct tally *t)
{
	static struct fo_msg m;
	size_t at = 0;

	while (at < s->len) {
		enum fo_verdict v = fo_msg_decode(s->data + at, s->len - at, &m);

		if (v == FO_MORE)
			fail_msg("%s: a stream ends within a message", c->file);
		if (v == FO_OK)
			check_message(c, s->data + at, &m, t);
		else
			t->bad[v]++;
		if (!m.len) /* no way to find the next one */
			return;
		at += m.len;
	}
}

static void every_capture(void **state)
{
	static struct pcap_streams f;
	unsigned odd_offset = 0, groups = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		const struct capture *c = &captures[i];
		struct tally t = { 0 };
		char path[128];
		unsigned all = 0;
		int r;

		snprintf(path, sizeof(path), DIR "%s.pcap", c->file);
		r = pcap_read(path, &f);
		if (r < 0)
			fail_msg("%s: %s", path, strerror(-r));
		assert_int_equal(f.n, c->streams);
		for (unsigned k = 0; k < f.n; k++)
			walk_stream(c, &f.s[k], &t);
		pcap_free(&f);
		for (unsigned k = 0; k < 13; all += t.count[k++])
			if (t.count[k] != c->count[k])
				fail_msg("%s: %u messages of type %u", c->file, t.count[k], k);
		for (unsigned k = 0; k < FO_VERDICTS; k++)
			if (t.bad[k] != c->bad[k])
				fail_msg("%s: %u times: %s", c->file, t.bad[k],
					 fo_verdict_text((enum fo_verdict)k));
		assert_int_equal(t.written, c->fake ? 0 : all);
		odd_offset += t.odd_offset;
		groups += t.groups;
	}
	assert_int_equal(odd_offset, 2); /* payload offsets 8 and 16 */
	assert_int_equal(groups, 1);	 /* two bindings in one BNDUPD */
}

/* A file that is not all there is an error, not an empty list. */
static void broken_capture(void **state)
{
	static struct pcap_streams f;

	(void)state;
	assert_int_equal(pcap_read(DIR "none.pcap", &f), -ENOENT);
	assert_int_equal(pcap_read("Makefile", &f), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_capture),
		cmocka_unit_test(broken_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
