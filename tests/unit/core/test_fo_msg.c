/*
 * Failover messages: octets to verdicts, readers and writers against each other. The same codec
 * against recorded octets of another make is tests/unit/test_captures.c.
 * Spec: draft-ietf-dhc-failover-12 §6 (header), §7 (messages), §12 (options).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "core/fo_msg.h"
#include "core/lease.h"

#define T0 1700000000u
#define TEXT(s) ((struct octets){ (const uint8_t *)(s), sizeof(s) - 1 })

struct raw {
	uint8_t p[4096];
	size_t len;
};

static void add(struct raw *r, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->p[r->len++] = (uint8_t)(v >> 8 * (n - 1 - i));
	r->p[0] = (uint8_t)(r->len >> 8);
	r->p[1] = (uint8_t)r->len;
}

static struct raw raw_msg(uint8_t type)
{
	struct raw r = { .len = 2 };

	add(&r, type, 1);
	add(&r, FO_HDR_LEN, 1);
	add(&r, T0, 4);
	add(&r, 0x01020304, 4);
	return r;
}

static void raw_opt(struct raw *r, uint16_t code, uint16_t len)
{
	add(r, code, 2);
	add(r, len, 2);
	for (uint16_t i = 0; i < len; i++)
		add(r, i + 1u, 1);
}

static enum fo_verdict verdict(const struct raw *r, struct fo_msg *m)
{
	return fo_msg_decode(r->p, r->len, m);
}

static void same_octets(const struct raw *r, const struct fo_msg *m)
{
	uint8_t buf[FO_MSG_MAX];

	assert_int_equal(fo_msg_encode(m, buf, sizeof(buf)), r->len);
	assert_memory_equal(buf, r->p, r->len);
	assert_int_equal(fo_msg_encode(m, buf, r->len - 1), 0);
}

/* --- header ------------------------------------------------------------------------------------
 */

static void type_grid(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) { /* §6.1 */
		struct raw r = raw_msg((uint8_t)type);
		struct fo_msg m;
		enum fo_verdict want = type >= 128	       ? FO_IGNORED_TYPE
				       : type < 1 || type > 12 ? FO_BAD_TYPE
							       : FO_OK;

		if (verdict(&r, &m) != want)
			fail_msg("type %u: %s", type, fo_verdict_text(verdict(&r, &m)));
		assert_int_equal(m.len, 12);
		if (want == FO_OK)
			same_octets(&r, &m);
	}
}

static void length_grid(void **state)
{
	static uint8_t buf[FO_MSG_MAX + 10];
	struct raw r = raw_msg(FO_CONTACT);
	struct fo_msg m;

	(void)state;
	memcpy(buf, r.p, r.len);
	for (unsigned len = 0; len < 65536; len++) { /* §6.1: 12 to 2048 */
		enum fo_verdict got, want;
		bool ok = len >= 12 && len <= 2048;

		buf[0] = (uint8_t)(len >> 8);
		buf[1] = (uint8_t)len;
		got = fo_msg_decode(buf, 12, &m);
		want = !ok ? FO_BAD_LENGTH : len == 12 ? FO_OK : FO_MORE;
		if (got != want || m.len != (ok ? len : 0))
			fail_msg("length %u: %s, %u", len, fo_verdict_text(got), m.len);
		assert_int_equal(fo_msg_length(buf, 2), ok ? len : 2);
	}
	assert_int_equal(fo_msg_length(buf, 1), 0);
	assert_int_equal(fo_msg_decode(buf, 0, &m), FO_MORE);
	assert_int_equal(fo_msg_decode(buf, 1, &m), FO_MORE);
	assert_int_equal(m.len, 0);
}

/* Every message cut anywhere wants more, and nothing behind it is read. */
static void cut_and_followed(void **state)
{
	struct raw r = raw_msg(FO_STATE);
	struct fo_msg m;

	(void)state;
	raw_opt(&r, FO_OPT_SERVER_STATE, 1);
	raw_opt(&r, FO_OPT_RELATIONSHIP_NAME, 7);
	for (size_t n = 0; n < r.len; n++)
		assert_int_equal(fo_msg_decode(r.p, n, &m), FO_MORE);
	memset(r.p + r.len, 0xff, 100);
	assert_int_equal(fo_msg_decode(r.p, r.len + 100, &m), FO_OK);
	assert_int_equal(m.n_opts, 2);
	same_octets(&r, &m);
}

static void offset_grid(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 256; off++) { /* §6.1; 8 is the draft's text for 12 */
		struct raw r = raw_msg(FO_STATE);
		enum fo_verdict want = FO_OK;
		struct fo_msg m;

		for (unsigned i = 12; i < off && i < 40; i++)
			add(&r, 0xee, 1);
		raw_opt(&r, FO_OPT_SERVER_STATE, 1);
		r.p[3] = (uint8_t)off;
		if (off != 8 && (off < 12 || off > r.len))
			want = FO_BAD_OFFSET;
		else if (off > 40) /* into the option that stands behind 40: nonsense or nothing */
			continue;
		if (verdict(&r, &m) != want)
			fail_msg("offset %u: %s", off, fo_verdict_text(verdict(&r, &m)));
		if (want != FO_OK)
			continue;
		assert_int_equal(m.n_opts, 1);
		assert_int_equal(m.offset, off);
		assert_int_equal(m.extra.len, off == 8 ? 0 : off - 12);
		same_octets(&r, &m);
	}
}

static void header_fields(void **state)
{
	struct raw r = raw_msg(FO_POOLREQ);
	struct fo_msg m;

	(void)state;
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_int_equal(m.time, T0);
	assert_int_equal(m.xid, 0x01020304);
	assert_int_equal(m.type, FO_POOLREQ);
	assert_int_equal(m.n_opts, 0);
}

/* --- options -----------------------------------------------------------------------------------
 */

static const uint8_t fixed_len[42] = {
	/* §12; 0 = any */
	[1] = 4,  [2] = 4,  [3] = 1,  [6] = 4,	[10] = 1, [12] = 2, [13] = 4, [14] = 4, [15] = 4,
	[18] = 4, [19] = 4, [20] = 1, [21] = 1, [23] = 1, [24] = 1, [25] = 4, [26] = 1, [27] = 1,
};

static void option_length_grid(void **state)
{
	(void)state;
	for (unsigned type = FO_POOLREQ; type <= FO_DISCONNECT; type++)
		for (uint16_t code = 0; code < 42; code++)
			for (uint16_t len = 0; len < 40; len++) {
				struct raw r = raw_msg((uint8_t)type);
				enum fo_verdict want = FO_OK;
				struct fo_msg m;

				raw_opt(&r, code, len);
				if (fixed_len[code] && fixed_len[code] != len)
					want = FO_BAD_OPTION_LEN;
				if (verdict(&r, &m) != want)
					fail_msg("type %u option %u len %u: %s", type, code, len,
						 fo_verdict_text(verdict(&r, &m)));
				if (want == FO_OK)
					same_octets(&r, &m);
			}
}

static void option_past_end(void **state)
{
	struct fo_msg m;

	(void)state;
	for (unsigned cut = 1; cut < 12; cut++) { /* two options of 6 octets each */
		struct raw r = raw_msg(FO_CONNECT);

		raw_opt(&r, FO_OPT_MESSAGE, 2);
		raw_opt(&r, FO_OPT_RELATIONSHIP_NAME, 2);
		r.len -= cut;
		add(&r, 0, 0);
		assert_int_equal(verdict(&r, &m), cut == 6 ? FO_OK : FO_BAD_OPTION);
	}
}

static void most_options(void **state)
{
	struct raw r = raw_msg(FO_CONNECT);
	struct fo_msg m;

	(void)state;
	for (uint16_t i = 0; i < FO_MAX_OPTS; i++)
		raw_opt(&r, 1000 + i, 0);
	assert_int_equal(r.len, FO_MSG_MAX);
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_int_equal(m.n_opts, FO_MAX_OPTS);
	same_octets(&r, &m);
}

static void duplicates(void **state)
{
	static const struct {
		const char *what;
		uint8_t type;
		uint16_t code[6];
		enum fo_verdict want;
	} row[] = {
		{ "one", FO_CONNECT, { 15 }, FO_OK },
		{ "twice", FO_CONNECT, { 15, 15 }, FO_DUPLICATE },
		{ "twice, apart", FO_CONNECT, { 15, 14, 15 }, FO_DUPLICATE },
		{ "unknown twice", FO_CONNECT, { 200, 200 }, FO_DUPLICATE },
		{ "address twice in STATE", FO_STATE, { 2, 2 }, FO_DUPLICATE },
		{ "two groups", FO_BNDUPD, { 2, 3, 2, 3 }, FO_OK },
		{ "two groups", FO_BNDACK, { 2, 21, 2, 21 }, FO_OK },
		{ "bare addresses", FO_BNDACK, { 2, 2, 2 }, FO_OK },
		{ "twice in the first group", FO_BNDUPD, { 2, 3, 3, 2 }, FO_DUPLICATE },
		{ "twice in the second group", FO_BNDUPD, { 2, 3, 2, 3, 3 }, FO_DUPLICATE },
		{ "twice before the groups", FO_BNDUPD, { 28, 28, 2, 3 }, FO_DUPLICATE },
		{ "before and within", FO_BNDUPD, { 28, 2, 28 }, FO_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) { /* §6.2 */
		struct raw r = raw_msg(row[i].type);
		struct fo_msg m;

		for (unsigned k = 0; k < 6 && row[i].code[k]; k++) {
			uint16_t c = row[i].code[k];

			raw_opt(&r, c, c < 42 ? fixed_len[c] : 3);
		}
		if (verdict(&r, &m) != row[i].want)
			fail_msg("%s: %s", row[i].what, fo_verdict_text(verdict(&r, &m)));
	}
}

static void verdict_texts(void **state)
{
	(void)state;
	for (unsigned v = 0; v < FO_VERDICTS; v++)
		assert_true(strlen(fo_verdict_text((enum fo_verdict)v)) > 3);
	assert_string_equal(fo_verdict_text(FO_VERDICTS), "unknown verdict");
}

/* --- typed readers and writers ------------------------------------------------------------------
 */

static void begin(struct fo_writer *w, struct raw *r, uint8_t type)
{
	fo_write_begin(w, r->p, sizeof(r->p), type, (wall_t){ T0 }, 7);
}

static void end(struct fo_writer *w, struct raw *r, struct fo_msg *m)
{
	r->len = fo_write_end(w);
	assert_true(r->len >= FO_HDR_LEN);
	assert_int_equal(fo_msg_decode(r->p, r->len, m), FO_OK);
	assert_int_equal(m->time, T0);
	assert_int_equal(m->xid, 7);
	assert_int_equal(m->offset, FO_HDR_LEN);
	same_octets(r, m);
}

static bool equal(struct octets a, struct octets b)
{
	return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

static struct fo_connect connect_full(void)
{
	struct fo_connect c = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_MAX_UNACKED |
		       1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_TLS_REPLY |
		       1u << FO_OPT_MCLT | 1u << FO_OPT_HBA | 1u << FO_OPT_VENDOR_SPECIFIC,
		.name = TEXT("campus"),
		.vendor = TEXT(FO_VENDOR_CLASS),
		.max_unacked = 100,
		.receive_timer = 3,
		.mclt = 3600,
		.version = 1,
		.tls = 2,
		.incarnation = { 1, 2, 3, [15] = 16 },
		.start_count = 0x0102030405060708,
		.remembered = 0x1112131415161718,
		.lead = 86400,
	};

	memset(c.hba, 0xa5, sizeof(c.hba));
	return c;
}

static void connect_codes(const struct fo_msg *m, const uint16_t *want, unsigned n)
{
	assert_int_equal(m->n_opts, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(m->opt[i].code, want[i]);
}

static void connect_round(void **state)
{
	static const uint16_t order[] = { 22, 14, 19, 28, 20, 27, 15, 11, 29 };
	struct fo_connect c = connect_full(), got;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	begin(&w, &r, FO_CONNECT);
	fo_write_connect(&w, &c);
	end(&w, &r, &m);
	connect_codes(&m, order, 9);
	fo_msg_read_connect(&m, &got);
	assert_int_equal(got.has, c.has & ~(1u << FO_OPT_TLS_REPLY));
	assert_true(equal(got.name, c.name) && equal(got.vendor, c.vendor));
	assert_int_equal(got.max_unacked, 100);
	assert_int_equal(got.receive_timer, 3);
	assert_int_equal(got.mclt, 3600);
	assert_int_equal(got.version, 1);
	assert_int_equal(got.tls, 2);
	assert_memory_equal(got.hba, c.hba, 32);
	assert_memory_equal(got.incarnation, c.incarnation, 16);
	assert_true(got.start_count == c.start_count && got.remembered == c.remembered);
	assert_int_equal(got.lead, 86400);
	assert_true(got.own_kind);
}

/* has decides, option by option. */
static void connect_has(void **state)
{
	struct fo_connect all = connect_full();

	(void)state;
	for (unsigned code = 1; code < 30; code++) {
		struct fo_connect c = all, got;
		struct fo_writer w;
		struct fo_msg m;
		struct raw r;

		if (code == FO_OPT_TLS_REPLY || !(all.has & 1u << code))
			continue;
		c.has &= ~(1u << code);
		begin(&w, &r, FO_CONNECT);
		fo_write_connect(&w, &c);
		end(&w, &r, &m);
		assert_int_equal(m.n_opts, 8);
		assert_null(fo_msg_opt(&m, (uint16_t)code).p);
		fo_msg_read_connect(&m, &got);
		if (code == FO_OPT_VENDOR_CLASS) { /* option 29 says nothing without its owner */
			assert_false(got.own_kind);
			assert_int_equal(got.start_count, 0);
		}
	}
}

static void connectack_round(void **state)
{
	static const uint16_t accept[] = { 22, 14, 19, 28, 20, 26, 29 };
	static const uint16_t reject[] = { 22, 28, 20, 26, 21, 16 };
	struct fo_connect c = connect_full(), got;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	memset(c.incarnation, 0, 16); /* none yet: the sub-option is left out */
	c.remembered = 0;
	c.lead = 0;
	begin(&w, &r, FO_CONNECTACK);
	fo_write_connectack(&w, &c);
	end(&w, &r, &m);
	connect_codes(&m, accept, 7);
	assert_int_equal(m.opt[6].len, 12);
	fo_msg_read_connect(&m, &got);
	assert_int_equal(got.reject, 0);
	assert_int_equal(got.has & 1u << FO_OPT_REJECT_REASON, 0);
	assert_true(got.start_count == c.start_count);

	c.reject = FO_REJECT_INVALID_PARTNER;
	c.message = TEXT("no such relationship");
	c.has |= 1u << FO_OPT_MESSAGE;
	begin(&w, &r, FO_CONNECTACK);
	fo_write_connectack(&w, &c);
	end(&w, &r, &m);
	connect_codes(&m, reject, 6);
	fo_msg_read_connect(&m, &got);
	assert_int_equal(got.reject, FO_REJECT_INVALID_PARTNER);
	assert_true(equal(got.message, c.message));
}

/* Buckets that are not 32 octets count as none; another make's option 29 is not ours to read. */
static void connect_strange(void **state)
{
	struct raw r = raw_msg(FO_CONNECT);
	struct fo_connect got;
	struct fo_msg m;

	(void)state;
	raw_opt(&r, FO_OPT_HBA, 16);
	raw_opt(&r, FO_OPT_VENDOR_CLASS, 13);
	raw_opt(&r, FO_OPT_VENDOR_SPECIFIC, 40);
	assert_int_equal(verdict(&r, &m), FO_OK);
	fo_msg_read_connect(&m, &got);
	assert_int_equal(got.has, 1u << FO_OPT_VENDOR_CLASS);
	assert_false(got.own_kind);
	assert_true(fo_vendor_is_own(TEXT("twinlease-9")));
	assert_false(fo_vendor_is_own(TEXT("twinlease")));
	assert_false(fo_vendor_is_own(TEXT("isc-4.4.3-P1")));
	assert_false(fo_vendor_is_own((struct octets){ NULL, 0 }));
}

static void state_round(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 256; s++)
		for (unsigned startup = 0; startup < 2; startup++) {
			struct fo_state_msg in = { (uint8_t)s, startup, T0 - 5 }, got;
			struct fo_writer w;
			struct fo_msg m;
			struct raw r;

			begin(&w, &r, FO_STATE);
			fo_write_state(&w, &in);
			end(&w, &r, &m);
			assert_int_equal(r.len, 30);
			assert_true(fo_msg_read_state(&m, &got));
			assert_int_equal(got.state, s);
			assert_int_equal(got.startup, startup);
			assert_int_equal(got.stos, T0 - 5);
		}
}

static void state_partial(void **state)
{
	struct raw r = raw_msg(FO_STATE);
	struct fo_state_msg got;
	struct fo_msg m;

	(void)state;
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_false(fo_msg_read_state(&m, &got));
	raw_opt(&r, FO_OPT_SERVER_STATE, 1);
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_true(fo_msg_read_state(&m, &got));
	assert_int_equal(got.state, 1);
	assert_false(got.startup);
	assert_int_equal(got.stos, 0);
}

static struct fo_binding binding_full(void)
{
	static const uint8_t id[] = { 1, 2, 0, 0, 0, 0, 7 }, mac[] = { 1, 2, 0, 0, 0, 0, 8 };

	return (struct fo_binding){
		.addr = 0x0a4d0064,
		.status = LEASE_ACTIVE,
		.client_id = { id, sizeof(id) },
		.chaddr = { mac, sizeof(mac) },
		.expires = T0 + 60,
		.pet = T0 + 630,
		.stos = T0,
		.cltt = T0 - 1,
		.ip_flags = 1,
		.serial = 0x1122334455667788,
		.has_serial = true,
		.run = 5,
	};
}

static void binding_round(void **state)
{
	static const uint16_t order[] = { 2, 3, 4, 5, 13, 18, 25, 6, 12, 29 };
	struct fo_binding b = binding_full(), got;
	unsigned cursor = 0;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	begin(&w, &r, FO_BNDUPD);
	assert_true(fo_write_binding(&w, &b, true));
	end(&w, &r, &m);
	connect_codes(&m, order, 10);
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.addr, b.addr);
	assert_int_equal(got.status, b.status);
	assert_true(equal(got.client_id, b.client_id) && equal(got.chaddr, b.chaddr));
	assert_int_equal(got.expires, b.expires);
	assert_int_equal(got.pet, b.pet);
	assert_int_equal(got.stos, b.stos);
	assert_int_equal(got.cltt, b.cltt);
	assert_int_equal(got.ip_flags, 1);
	assert_true(got.has_serial && got.serial == b.serial);
	assert_int_equal(got.run, 5);
	assert_int_equal(got.has, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 13 | 1u << 18 |
					  1u << 25 | 1u << 6 | 1u << 12 | 1u << 29);
	assert_false(fo_msg_next_binding(&m, &cursor, &got));
}

/* What is left out, and what never goes: §7.1.3, table of BNDUPD. */
static void binding_options(void **state)
{
	static const struct {
		uint8_t status;
		bool client, cltt, flags, own, run, serial;
		size_t len;
		uint8_t sent;
	} row[] = {
		{ LEASE_FREE, 0, 0, 0, 0, 0, 0, 49, LEASE_FREE },
		{ LEASE_NONE, 0, 0, 0, 0, 0, 0, 49, LEASE_FREE },
		{ LEASE_ACTIVE, 1, 0, 0, 0, 0, 0, 71, LEASE_ACTIVE },
		{ LEASE_ACTIVE, 1, 1, 0, 0, 0, 0, 79, LEASE_ACTIVE },
		{ LEASE_ACTIVE, 1, 1, 1, 0, 1, 1, 85, LEASE_ACTIVE },
		{ LEASE_ABANDONED, 1, 1, 0, 0, 0, 0, 57, LEASE_ABANDONED },
		{ LEASE_BACKUP, 0, 0, 0, 1, 0, 0, 49, LEASE_BACKUP },
		{ LEASE_BACKUP, 0, 0, 0, 1, 1, 0, 61, LEASE_BACKUP },
		{ LEASE_BACKUP, 0, 0, 0, 1, 0, 1, 65, LEASE_BACKUP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fo_binding b = binding_full();
		struct fo_writer w;
		struct fo_msg m;
		struct raw r;

		b.status = row[i].status;
		if (!row[i].client)
			b.client_id.len = b.chaddr.len = 0;
		b.cltt = row[i].cltt ? b.cltt : 0;
		b.ip_flags = row[i].flags;
		b.run = row[i].run;
		b.has_serial = row[i].serial;
		begin(&w, &r, FO_BNDUPD);
		assert_true(fo_write_binding(&w, &b, row[i].own));
		end(&w, &r, &m);
		if (r.len != row[i].len)
			fail_msg("row %zu: %zu octets", i, r.len);
		assert_int_equal(fo_msg_opt(&m, FO_OPT_BINDING_STATUS).p[0], row[i].sent);
	}
}

static void binding_times_clamped(void **state)
{
	struct fo_binding b = binding_full(), got;
	unsigned cursor = 0;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	b.expires = b.pet = b.stos = b.cltt = SEC_INFINITE;
	begin(&w, &r, FO_BNDUPD);
	assert_true(fo_write_binding(&w, &b, false));
	end(&w, &r, &m);
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.expires, SEC_MAX);
	assert_int_equal(got.pet, SEC_MAX);
	assert_int_equal(got.stos, SEC_MAX);
	assert_int_equal(got.cltt, SEC_MAX);
	assert_false(got.has_serial);
}

/* As many groups as fit; the one that does not leaves the message whole. */
static void binding_groups(void **state)
{
	struct fo_binding b = binding_full(), got;
	unsigned n = 0, seen = 0, cursor = 0;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	begin(&w, &r, FO_BNDUPD);
	fo_write_opt(&w, FO_OPT_VENDOR_CLASS, "x", 1); /* before the groups: of none */
	for (; fo_write_binding(&w, &b, true); n++)
		b.addr++;
	end(&w, &r, &m);
	assert_in_range(n, 15, 25);
	assert_true(FO_MSG_MAX - r.len < 105);
	while (fo_msg_next_binding(&m, &cursor, &got)) {
		assert_int_equal(got.addr, 0x0a4d0064 + seen);
		assert_int_equal(got.has & 1u << FO_OPT_VENDOR_CLASS, 0);
		assert_int_equal(got.run, 5);
		seen++;
	}
	assert_int_equal(seen, n);
}

static void binding_strange(void **state)
{
	struct raw r = raw_msg(FO_BNDUPD);
	struct fo_binding got;
	unsigned cursor = 0;
	struct fo_msg m;

	(void)state;
	raw_opt(&r, FO_OPT_BINDING_STATUS, 1); /* before any address */
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_false(fo_msg_next_binding(&m, &cursor, &got));
	raw_opt(&r, FO_OPT_ASSIGNED_ADDRESS, 4);
	raw_opt(&r, FO_OPT_CHADDR, 1); /* a type without an address */
	raw_opt(&r, FO_OPT_CLIENT_ID, 0);
	raw_opt(&r, FO_OPT_VENDOR_SPECIFIC, 7); /* 0102 0304 ...: runs past its end */
	raw_opt(&r, FO_OPT_DDNS, 3);
	assert_int_equal(verdict(&r, &m), FO_OK);
	cursor = 0;
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.addr, 0x01020304);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.has, 1u << 2 | 1u << 29);
	assert_false(got.has_serial);
	assert_int_equal(got.run, 0);

	r = raw_msg(FO_BNDUPD); /* sub-options of another length are not read */
	raw_opt(&r, FO_OPT_ASSIGNED_ADDRESS, 4);
	add(&r, FO_OPT_VENDOR_SPECIFIC, 2);
	add(&r, 17, 2);
	raw_opt(&r, FO_VENDOR_SERIAL, 4);
	raw_opt(&r, FO_VENDOR_RUN_LENGTH, 5);
	assert_int_equal(verdict(&r, &m), FO_OK);
	cursor = 0;
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_false(got.has_serial);
	assert_int_equal(got.run, 0);
}

static void ack_groups(void **state)
{
	struct fo_binding got;
	unsigned cursor = 0;
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;

	(void)state;
	begin(&w, &r, FO_BNDACK);
	assert_true(fo_write_ack(&w, 1, FO_REJECT_NONE, "never shown"));
	assert_true(fo_write_ack(&w, 2, FO_REJECT_OUTDATED, "older"));
	assert_true(fo_write_ack(&w, 3, FO_REJECT_IN_USE, NULL));
	end(&w, &r, &m);
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.has, 1u << 2);
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.addr, 2);
	assert_int_equal(got.reject, FO_REJECT_OUTDATED);
	assert_true(equal(got.message, TEXT("older")));
	assert_true(fo_msg_next_binding(&m, &cursor, &got));
	assert_int_equal(got.reject, FO_REJECT_IN_USE);
	assert_null(got.message.p);
	assert_false(fo_msg_next_binding(&m, &cursor, &got));
}

static void ack_full(void **state)
{
	struct fo_writer w;
	struct fo_msg m;
	struct raw r;
	unsigned n = 0;

	(void)state;
	begin(&w, &r, FO_BNDACK);
	while (fo_write_ack(&w, n, FO_REJECT_NONE, NULL))
		n++;
	end(&w, &r, &m);
	assert_int_equal(n, (FO_MSG_MAX - FO_HDR_LEN) / 8);
}

static void numbers(void **state)
{
	struct raw r = raw_msg(FO_POOLRESP);
	struct fo_msg m;
	uint32_t v = 99;

	(void)state;
	raw_opt(&r, FO_OPT_ADDRESSES_TRANSFERRED, 4);
	raw_opt(&r, FO_OPT_SERVER_STATE, 1);
	raw_opt(&r, FO_OPT_IP_FLAGS, 2);
	raw_opt(&r, FO_OPT_MESSAGE, 3);
	assert_int_equal(verdict(&r, &m), FO_OK);
	assert_false(fo_msg_u32(&m, FO_OPT_MESSAGE, &v));
	assert_false(fo_msg_u32(&m, FO_OPT_MCLT, &v));
	assert_int_equal(v, 99);
	assert_true(fo_msg_u32(&m, FO_OPT_ADDRESSES_TRANSFERRED, &v));
	assert_int_equal(v, 0x01020304);
	assert_true(fo_msg_u32(&m, FO_OPT_SERVER_STATE, &v));
	assert_int_equal(v, 1);
	assert_true(fo_msg_u32(&m, FO_OPT_IP_FLAGS, &v));
	assert_int_equal(v, 0x0102);
}

/* A writer out of room is bad for good, at every size. */
static void writer_full(void **state)
{
	struct fo_connect c = connect_full();
	size_t whole;
	struct fo_writer w;
	uint8_t buf[FO_MSG_MAX];

	(void)state;
	fo_write_begin(&w, buf, sizeof(buf), FO_CONNECT, (wall_t){ T0 }, 1);
	fo_write_connect(&w, &c);
	whole = fo_write_end(&w);
	for (size_t size = 0; size <= whole; size++) {
		fo_write_begin(&w, buf, size, FO_CONNECT, (wall_t){ T0 }, 1);
		fo_write_connect(&w, &c);
		assert_int_equal(fo_write_end(&w), size == whole ? whole : 0);
	}
	fo_write_begin(&w, buf, sizeof(buf), FO_CONNECT, (wall_t){ T0 }, 1);
	fo_write_opt(&w, FO_OPT_MESSAGE, buf, 70000);
	assert_true(w.bad);
	fo_write_u8(&w, FO_OPT_VERSION, 1);
	assert_int_equal(fo_write_end(&w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(type_grid),
		cmocka_unit_test(length_grid),
		cmocka_unit_test(cut_and_followed),
		cmocka_unit_test(offset_grid),
		cmocka_unit_test(header_fields),
		cmocka_unit_test(option_length_grid),
		cmocka_unit_test(option_past_end),
		cmocka_unit_test(most_options),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(verdict_texts),
		cmocka_unit_test(connect_round),
		cmocka_unit_test(connect_has),
		cmocka_unit_test(connectack_round),
		cmocka_unit_test(connect_strange),
		cmocka_unit_test(state_round),
		cmocka_unit_test(state_partial),
		cmocka_unit_test(binding_round),
		cmocka_unit_test(binding_options),
		cmocka_unit_test(binding_times_clamped),
		cmocka_unit_test(binding_groups),
		cmocka_unit_test(binding_strange),
		cmocka_unit_test(ack_groups),
		cmocka_unit_test(ack_full),
		cmocka_unit_test(numbers),
		cmocka_unit_test(writer_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
