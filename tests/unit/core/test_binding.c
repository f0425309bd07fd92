/*
 * binding: lease times by the MCLT rule, reclaim, and every rung of the ladder that judges an
 * update, from both sides. failover-behaviour §2, §5, §6.4; decisions A13, A14, A22.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "core/binding.h"

/* rows name the columns that count; the rest is 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define fail_row(i, what) fail_msg("row %u (%s): %s", (unsigned)(i), row[i].ref, what)

static struct fo_view view(bool primary, uint32_t mclt)
{
	return (struct fo_view){
		.primary = primary, .limited = true, .mclt = mclt, .partner_pool_from = SEC_INFINITE
	};
}

/* --- grants ----------------------------------------------------------------------------------- */

static void test_grant(void **state)
{
	static const struct {
		const char *ref;
		uint32_t mclt, acked, rcvd, now, desired;
		uint32_t seconds, expires, pet;
		int by;
	} row[] = {
		{ "2.2 new", 60, 0, 0, 1000, 600, 60, 1060, 1630, LIMIT_MCLT },
		{ "2.2 t=32", 60, 1630, 0, 1032, 600, 600, 1632, 1932, LIMIT_NONE },
		{ "2.2 t=332", 60, 1932, 0, 1332, 600, 600, 1932, 2232, LIMIT_NONE },
		{ "2.3 new", 3600, 0, 0, 1000, 259200, 3600, 4600, 1000 + 259200 + 1800,
		  LIMIT_MCLT },
		{ "2.3 renew", 3600, 1000 + 261000, 0, 2800, 259200, 259200, 262000, 2800 + 388800,
		  LIMIT_NONE },
		{ "2.4 t=332", 60, 1932, 0, 1332, 600, 600, 1932, 2232, LIMIT_NONE },
		{ "2.4 t=632", 60, 1932, 0, 1632, 600, 360, 1992, 1632 + 780, LIMIT_ACKED_PET },
		{ "2.4 t=812", 60, 1932, 0, 1812, 600, 180, 1992, 1812 + 690, LIMIT_ACKED_PET },
		{ "2.4 t=932", 60, 1932, 0, 1932, 600, 60, 1992, 1932 + 630, LIMIT_MCLT },
		{ "2.4 other server", 60, 0, 1932, 1632, 600, 360, 1992, 1632 + 780,
		  LIMIT_RCVD_PET },
		{ "2.1 D <= MCLT", 60, 0, 0, 1000, 60, 60, 1060, 1090, LIMIT_NONE },
		{ "2.1 D < MCLT", 60, 0, 0, 1000, 30, 30, 1030, 1045, LIMIT_NONE },
		{ "2.1 infinite", 60, 0, 0, 1000, SEC_INFINITE, 60, 1060, SEC_MAX, LIMIT_MCLT },
		{ "7 infinite, acked", 60, SEC_MAX, 0, 1000, SEC_INFINITE, SEC_MAX - 1000, SEC_MAX,
		  SEC_MAX, LIMIT_NONE },
		{ "no failover", 0, 0, 0, 1000, 600, 600, 1600, 0, LIMIT_NONE },
		{ "no failover, infinite", 0, 0, 0, 1000, SEC_INFINITE, SEC_INFINITE, SEC_MAX, 0,
		  LIMIT_NONE },
	};

	(void)state;
	for (size_t i = 0; i < N(row); i++) {
		struct fo_view v = view(true, row[i].mclt);
		struct lease l = { .state = LEASE_ACTIVE,
				   .acked_pet = row[i].acked,
				   .rcvd_pet = row[i].rcvd,
				   .sent_pet = 1u << 30 };
		struct lease_grant g =
			binding_grant(&v, &l, (wall_t){ row[i].now }, row[i].desired);

		if (g.seconds != row[i].seconds || g.expires != row[i].expires ||
		    g.pet != row[i].pet || (int)g.limited_by != row[i].by)
			fail_msg("row %zu (%s): %u %u %u %d", i, row[i].ref, g.seconds, g.expires,
				 g.pet, (int)g.limited_by);
	}
}

static void test_grant_free_has_no_past(void **state)
{
	struct fo_view v = view(true, 60);
	struct lease l = { .state = LEASE_FREE, .acked_pet = 9000, .rcvd_pet = 9000 };

	(void)state;
	assert_int_equal(binding_grant(&v, &l, (wall_t){ 1000 }, 600).seconds, 60);
	v.limited = false; /* partner-down-lease-limit: lift */
	assert_int_equal(binding_grant(&v, &l, (wall_t){ 1000 }, 600).seconds, 600);
	assert_int_equal(binding_grant(&v, &l, (wall_t){ 1000 }, 600).pet, 1000 + 900);
}

/* The partner may hold it as free already: its former promise counts no more. */
static void test_grant_told_end_has_no_past(void **state)
{
	static const uint8_t end[] = { LEASE_EXPIRED, LEASE_RELEASED, LEASE_RESET };
	struct fo_view v = view(true, 60);

	(void)state;
	for (size_t i = 0; i < N(end); i++) {
		struct lease l = { .state = end[i], .acked_pet = 9000, .rcvd_pet = 9000 };

		l.acked_state = LEASE_ACTIVE;
		assert_int_equal(binding_grant(&v, &l, (wall_t){ 1000 }, 600).seconds, 600);
		l.acked_state = end[i];
		assert_int_equal(binding_grant(&v, &l, (wall_t){ 1000 }, 600).seconds, 60);
	}
}

static void test_may_allocate(void **state)
{
	static const struct {
		const char *ref;
		bool primary;
		uint8_t st, flags;
		uint32_t from;
		bool may;
	} row[] = {
		{ "6.1 P never used", true, LEASE_NONE, 0, 0, true },
		{ "6.1 P free", true, LEASE_FREE, 0, 0, true },
		{ "6.1 P backup", true, LEASE_BACKUP, 0, 0, false },
		{ "6.1 S never used", false, LEASE_NONE, 0, 0, false },
		{ "6.1 S free", false, LEASE_FREE, 0, 0, false },
		{ "6.1 S backup", false, LEASE_BACKUP, 0, 0, true },
		{ "6.4 P backup, wait over", true, LEASE_BACKUP, 0, 1000, true },
		{ "6.4 P backup, waiting", true, LEASE_BACKUP, 0, 1001, false },
		{ "6.4 P backup, never", true, LEASE_BACKUP, 0, SEC_INFINITE, false },
		{ "6.4 S never used, wait over", false, LEASE_NONE, 0, 999, true },
		{ "6.4 expired is not free", true, LEASE_EXPIRED, 0, 1, false },
		{ "6.4 active is not free", true, LEASE_ACTIVE, 0, 1, false },
		{ "4.3 reserved", false, LEASE_FREE, LEASE_RESERVED, 0, true },
		{ "4.3 reserved, released", true, LEASE_RELEASED, LEASE_RESERVED, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < N(row); i++) {
		struct fo_view v = view(row[i].primary, 60);
		struct lease l = { .state = row[i].st, .flags = row[i].flags };

		v.partner_down = row[i].from != 0;
		v.partner_pool_from = row[i].from;
		if (binding_may_allocate(&v, &l, (wall_t){ 1000 }) != row[i].may)
			fail_row(i, "wrong answer");
	}
}

static void test_reclaim(void **state)
{
	static const struct {
		const char *ref;
		struct lease l;
		uint32_t pd, at;
		bool waits; /* MCLT */
	} row[] = {
		{ "2.5 rcvd 20, sent 90",
		  { .expires = 30, .sent_pet = 90, .rcvd_pet = 20 },
		  50,
		  150,
		  true },
		{ "2.5 stos", { .expires = 30, .sent_pet = 40, .rcvd_pet = 20 }, 50, 110, true },
		{ "6.4 acked", { .expires = 30, .acked_pet = 500 }, 50, 560, true },
		{ "6.4 rcvd", { .expires = 30, .rcvd_pet = 500 }, 50, 560, true },
		{ "6.4 LET",
		  { .expires = 300, .acked_state = LEASE_ACTIVE, .starts = 60 },
		  50,
		  360,
		  true },
		{ "6.4 first granted in PD",
		  { .expires = 300, .sent_pet = 900, .starts = 60, .acked_state = LEASE_FREE },
		  50,
		  300,
		  false },
		{ "6.4 granted before",
		  { .expires = 300, .sent_pet = 900, .starts = 49, .acked_state = LEASE_FREE },
		  50,
		  960,
		  true },
		{ "7 clamp", { .expires = SEC_MAX }, 50, SEC_MAX, false },
	};

	(void)state;
	for (size_t i = 0; i < N(row); i++) {
		struct fo_view v = view(true, 60);
		uint32_t at = binding_reclaim_at(&v, &row[i].l, row[i].pd);

		if (at != row[i].at)
			fail_msg("row %zu (%s): %u", i, row[i].ref, at);
		v.mclt_former = 90; /* A16: the partner may have promised by it */
		at = binding_reclaim_at(&v, &row[i].l, row[i].pd);
		if (at != (row[i].waits ? row[i].at + 30 : row[i].at))
			fail_msg("row %zu (%s), former lead time: %u", i, row[i].ref, at);
	}
}

/* --- judging updates -------------------------------------------------------------------------- */

#define NOW 1000
#define LIVE 2000 /* an expiry to come */
#define OVER 900
enum { C1 = 1, C2 = 2 };
enum { CLEAN = 0, DIRTY = 1 };

/* P and S: what the primary, and the secondary, answers when @ours is its and @theirs arrives. */
struct rung {
	const char *ref;
	struct {
		uint8_t st;
		uint32_t serial;
		uint8_t client;
		uint32_t expires, cltt;
	} ours, theirs;
	bool dirty;
	int p, s;
};

static struct lease lease_of(uint8_t st, uint32_t serial, unsigned c, uint32_t exp, uint32_t cltt)
{
	return (struct lease){ .addr = 0x0a090010,
			       .state = st,
			       .serial = serial,
			       .expires = exp,
			       .cltt = cltt,
			       .stos = 500,
			       .starts = 500,
			       .key = { { c, c } } };
}

static int judge(const struct rung *r, bool primary, bool serials, struct lease *ret)
{
	struct fo_view v = view(primary, 60);
	struct lease ours =
		lease_of(r->ours.st, r->ours.serial, r->ours.client, r->ours.expires, r->ours.cltt);
	struct binding_update u = {
		.lease = lease_of(r->theirs.st, r->theirs.serial, r->theirs.client,
				  r->theirs.expires, r->theirs.cltt),
		.has_cltt = r->theirs.cltt != 0,
		.has_serial = serials,
		.has_client = r->theirs.client != 0,
		.partner_is_primary = !primary,
	};

	u.lease.rcvd_pet = r->theirs.expires;
	ours.flags = r->dirty ? LEASE_DIRTY : 0;
	return (int)binding_accept(&v, &ours, &u, r->dirty, (wall_t){ NOW }, ret);
}

static void walk(const struct rung *row, size_t n, bool serials)
{
	struct lease l;

	for (size_t i = 0; i < n; i++) {
		int p = judge(&row[i], true, serials, &l), s = judge(&row[i], false, serials, &l);

		if (p != row[i].p || s != row[i].s)
			fail_msg("row %zu (%s): primary says %d, secondary %d", i, row[i].ref, p,
				 s);
	}
}

static void test_own_kind(void **state)
{
	/* clang-format off */
	static const struct rung row[] = {
		{ "0 status", { LEASE_FREE, 1 }, { 0, 2 }, CLEAN, 3, 3 },
		{ "0 status", { LEASE_FREE, 1 }, { 8, 2 }, CLEAN, 3, 3 },
		{ "0 no client", { LEASE_FREE, 1 }, { LEASE_ACTIVE, 2, 0, LIVE }, CLEAN, 3, 3 },
		{ "0 no client", { LEASE_FREE, 1 }, { LEASE_RELEASED, 2 }, CLEAN, 3, 3 },
		/* 1: again */
		{ "1", { LEASE_FREE, 5 }, { LEASE_RELEASED, 5, C1 }, CLEAN, 0, 0 },
		{ "1 told again", { LEASE_BACKUP, 5 }, { LEASE_BACKUP, 5 }, DIRTY, 0, 0 },
		/* 2: a running lease against nobody's address, whatever the numbers */
		{ "2 free", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_FREE, 9 }, CLEAN, 2, 2 },
		{ "2 backup", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_BACKUP, 9 }, DIRTY, 2, 2 },
		{ "2 expired", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_EXPIRED, 9, C1, OVER }, DIRTY, 2, 2 },
		{ "2 expired, clocks", { LEASE_ACTIVE, 5, C1, NOW + 2 }, { LEASE_EXPIRED, 6, C1, NOW }, CLEAN, 0, 0 },
		{ "2 expired, renewed here", { LEASE_ACTIVE, 5, C1, NOW + 3 }, { LEASE_EXPIRED, 6, C1, NOW }, CLEAN, 2, 2 },
		{ "2 mirrored", { LEASE_FREE, 9 }, { LEASE_ACTIVE, 5, C1, LIVE }, DIRTY, 0, 0 },
		{ "2 mirrored", { LEASE_BACKUP, 9 }, { LEASE_ACTIVE, 5, C1, LIVE }, CLEAN, 0, 0 },
		{ "2 mirrored", { LEASE_EXPIRED, 9, C1, OVER }, { LEASE_ACTIVE, 5, C1, LIVE }, DIRTY, 0, 0 },
		{ "2 mirrored, expired, clocks", { LEASE_EXPIRED, 5, C1, NOW }, { LEASE_ACTIVE, 5, C1, NOW + 2 }, DIRTY, 16, 0 },
		{ "2 expired, clocks", { LEASE_ACTIVE, 5, C1, NOW + 2 }, { LEASE_EXPIRED, 5, C1, NOW }, DIRTY, 16, 0 },
		{ "2 over", { LEASE_ACTIVE, 5, C1, OVER }, { LEASE_FREE, 6 }, CLEAN, 0, 0 },
		/* 3: two clients */
		{ "3 both live", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_ACTIVE, 9, C2, LIVE }, DIRTY, 2, 0 },
		{ "3 both live", { LEASE_ACTIVE, 9, C1, LIVE }, { LEASE_ACTIVE, 5, C2, LIVE }, DIRTY, 2, 0 },
		{ "3 ours live", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_ACTIVE, 9, C2, OVER }, CLEAN, 2, 2 },
		{ "3 ours live", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_RELEASED, 9, C2 }, CLEAN, 2, 2 },
		{ "3 theirs live", { LEASE_ACTIVE, 9, C1, OVER }, { LEASE_ACTIVE, 5, C2, LIVE }, CLEAN, 0, 0 },
		{ "3 theirs live", { LEASE_RELEASED, 9, C1 }, { LEASE_ACTIVE, 5, C2, LIVE }, DIRTY, 0, 0 },
		/* A13: abandoned to active by the serial */
		{ "3 abandoned", { LEASE_ABANDONED, 5, C1 }, { LEASE_ACTIVE, 6, C2, LIVE }, CLEAN, 0, 0 },
		{ "3 abandoned", { LEASE_ABANDONED, 6, C1 }, { LEASE_ACTIVE, 5, C2, LIVE }, DIRTY, 16, 16 },
		{ "3 abandoned", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_ABANDONED, 6 }, CLEAN, 0, 0 },
		{ "3 abandoned", { LEASE_ACTIVE, 6, C1, LIVE }, { LEASE_ABANDONED, 5 }, DIRTY, 16, 16 },
		/* 4: released and renewed at one time */
		{ "4", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_RELEASED, 9, C1 }, DIRTY, 16, 16 },
		{ "4", { LEASE_RELEASED, 9, C1 }, { LEASE_ACTIVE, 5, C1, LIVE }, DIRTY, 0, 0 },
		{ "4 reset", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_RESET, 9 }, DIRTY, 16, 16 },
		{ "4 in turn", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_RELEASED, 6, C1 }, CLEAN, 0, 0 },
		{ "4 in turn", { LEASE_RELEASED, 6, C1 }, { LEASE_ACTIVE, 7, C1, LIVE }, CLEAN, 0, 0 },
		/* 5: the serial */
		{ "5 higher", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_ACTIVE, 6, C1, LIVE }, CLEAN, 0, 0 },
		{ "5 higher", { LEASE_ACTIVE, 5, C1, LIVE }, { LEASE_ACTIVE, 6, C1, LIVE }, DIRTY, 0, 0 },
		{ "5 lower", { LEASE_ACTIVE, 6, C1, LIVE }, { LEASE_ACTIVE, 5, C1, LIVE }, CLEAN, 15, 15 },
		{ "5 lower", { LEASE_ACTIVE, 6, C1, LIVE }, { LEASE_ACTIVE, 5, C1, LIVE }, DIRTY, 16, 16 },
		{ "5 equal", { LEASE_ACTIVE, 6, C1, LIVE }, { LEASE_ACTIVE, 6, C1, LIVE }, DIRTY, 16, 0 },
		{ "5 past the largest", { LEASE_ACTIVE, UINT32_MAX, C1, LIVE }, { LEASE_ACTIVE, 1, C1, LIVE }, CLEAN, 0, 0 },
		{ "5 past the largest", { LEASE_ACTIVE, 1, C1, LIVE }, { LEASE_ACTIVE, UINT32_MAX, C1, LIVE }, CLEAN, 15, 15 },
		{ "5 half a round apart", { LEASE_ACTIVE, 6, C1, LIVE }, { LEASE_ACTIVE, 0x80000006, C1, LIVE }, CLEAN, 16, 0 },
		{ "5 half a round apart", { LEASE_ACTIVE, 0x80000006, C1, LIVE }, { LEASE_ACTIVE, 6, C1, LIVE }, CLEAN, 16, 0 },
		{ "5 never told of", { LEASE_NONE, 0 }, { LEASE_ABANDONED, UINT32_MAX }, CLEAN, 0, 0 },
		{ "5 T000-3", { LEASE_ACTIVE, 6, C1, LIVE, NOW }, { LEASE_RELEASED, 7, C1, LIVE, NOW }, CLEAN, 0, 0 },
	};
	/* clang-format on */

	(void)state;
	walk(row, N(row), true);
}

/* Who forgot what it promised takes what was built on its records, whatever they say, and does not
 * agree that a lease is over (decision A7). */
static void test_forgot(void **state)
{
	static const uint8_t end[] = { LEASE_EXPIRED, LEASE_RELEASED, LEASE_RESET };
	struct fo_view v = view(true, 60);
	struct lease ours = lease_of(LEASE_ACTIVE, 5, C1, LIVE, 0), l;
	struct binding_update u = { .lease = lease_of(LEASE_ACTIVE, 6, C2, LIVE, 0),
				    .has_serial = true,
				    .has_client = true };
	wall_t now = { NOW };

	(void)state;
	assert_int_equal(binding_accept(&v, &ours, &u, true, now, &l), FO_REJECT_IN_USE);
	u.forgot = true;
	assert_int_equal(binding_accept(&v, &ours, &u, true, now, &l), FO_REJECT_NONE);
	assert_true(client_key_equal(l.key, u.lease.key));
	u.lease = lease_of(LEASE_FREE, 6, 0, 0, 0);
	assert_int_equal(binding_accept(&v, &ours, &u, true, now, &l), FO_REJECT_NONE);
	u.lease.serial = 4;
	assert_int_equal(binding_accept(&v, &ours, &u, true, now, &l), FO_REJECT_IN_USE);
	ours = (struct lease){ 0 };
	for (size_t i = 0; i < N(end); i++) {
		u.lease = lease_of(end[i], 6, C1, OVER, 0);
		u.forgot = true;
		assert_int_equal(binding_accept(&v, &ours, &u, false, now, &l),
				 FO_REJECT_LESS_CRITICAL);
		u.forgot = false;
		assert_int_equal(binding_accept(&v, &ours, &u, false, now, &l), FO_REJECT_NONE);
	}
}

/* Whatever two records meet, un-acknowledged on both sides: exactly one of them survives. */
static void test_own_kind_symmetric(void **state)
{
	static const uint32_t end[] = { OVER, LIVE };
	struct lease ignored;

	(void)state;
	for (unsigned i = 0; i < 7 * 7 * 3 * 2 * 2 * 2; i++) {
		unsigned k = i, a = k % 7 + 1, b = (k /= 7) % 7 + 1, d = (k /= 7) % 3;
		unsigned same = (k /= 3) % 2, ea = (k /= 2) % 2, eb = (k /= 2) % 2;
		struct rung p = { "",
				  { (uint8_t)a, 5, C1, end[ea], 0 },
				  { (uint8_t)b, (uint8_t)(4 + d), same ? C1 : C2, end[eb], 0 },
				  DIRTY,
				  0,
				  0 };
		struct rung s = { "", p.theirs, p.ours, DIRTY, 0, 0 };
		bool p_takes, s_takes;

		/* abandoned ones carry no client; two running ones of two clients are rung 3 */
		p.theirs.client = b == LEASE_ABANDONED ? 0 : p.theirs.client;
		s.theirs.client = a == LEASE_ABANDONED ? 0 : s.theirs.client;
		if (a == b && d == 1 && a != LEASE_ACTIVE && (same || a == LEASE_ABANDONED))
			continue; /* the same event: both may say so */
		p_takes = judge(&p, true, true, &ignored) == 0;
		s_takes = judge(&s, false, true, &ignored) == 0;
		if (p_takes == s_takes)
			fail_msg("P has %u end %u, S has %u end %u, serial 5 and %u, %s client: %s",
				 a, end[ea], b, end[eb], 4 + d, same ? "same" : "other",
				 p_takes ? "both accept" : "both reject");
	}
}

static void test_both_renewed(void **state)
{
	struct rung r = { "",
			  { LEASE_ACTIVE, 6, C1, LIVE + 5, 0 },
			  { LEASE_ACTIVE, 6, C1, LIVE, 0 },
			  DIRTY,
			  0,
			  0 };
	struct lease l;

	(void)state;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.expires, LIVE + 5); /* the client's later promise stands */
	assert_int_equal(l.serial, 7);	       /* and is told again */
	assert_true(l.flags & LEASE_DIRTY);
	r.theirs.expires = LIVE + 9;
	r.theirs.serial = 9;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.expires, LIVE + 9);
	assert_int_equal(l.serial, 10); /* it may be released there, not knowing of ours */
	assert_true(l.flags & LEASE_DIRTY);
	r.ours.expires = OVER;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_false(l.flags & LEASE_DIRTY);
	r.ours.expires = LIVE + 5;
	r.theirs.expires = LIVE; /* ours was known there: a shorter lease was granted since */
	r.theirs.serial = 7;
	r.dirty = CLEAN;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.expires, LIVE);
}

/* Granted here and found in use by a stranger there at one time: it rests for as long as the client
 * may use it. What the partner knew of when it decided does not count. */
static void test_abandoned_there(void **state)
{
	struct rung r = { "",
			  { LEASE_ACTIVE, 6, C1, LIVE, 0 },
			  { LEASE_ABANDONED, 6, 0, LIVE - 9, 0 },
			  DIRTY,
			  0,
			  0 };
	struct lease l;

	(void)state;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.state, LEASE_ABANDONED);
	assert_int_equal(l.expires, LIVE);
	assert_int_equal(l.serial, 7);
	assert_true(l.flags & LEASE_DIRTY);
	r.theirs.expires = LIVE + 1; /* nothing is left to tell */
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.expires, LIVE + 1);
	assert_false(l.flags & LEASE_DIRTY);
	r.theirs.expires = LIVE - 9;
	r.theirs.serial = 7;
	r.dirty = CLEAN;
	assert_int_equal(judge(&r, false, true, &l), 0);
	assert_int_equal(l.expires, LIVE - 9);
	assert_false(l.flags & LEASE_DIRTY);
}

/* Both renewed one client's lease and neither heard of the other: the later end stays, to be told
 * (to an ISC there is no serial; what it does not know yet is dirty). */
static void test_isc_both_renewed(void **state)
{
	struct binding_update u = { .lease = { .state = LEASE_ACTIVE,
					       .expires = LIVE - 10,
					       .rcvd_pet = LIVE,
					       .key = { { 7, 7 } } },
				    .has_client = true };
	struct lease ours = { .state = LEASE_ACTIVE,
			      .expires = LIVE,
			      .sent_pet = LIVE + 50,
			      .serial = 3,
			      .flags = LEASE_DIRTY,
			      .key = { { 7, 7 } } };
	struct fo_view v = view(false, 60);
	struct lease l;

	(void)state;
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	assert_int_equal(l.expires, LIVE);
	assert_true(l.flags & LEASE_DIRTY);
	u.lease.expires = LIVE; /* nothing is left to tell */
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	assert_false(l.flags & LEASE_DIRTY);
	u.lease.expires = LIVE - 10;
	ours.flags = 0; /* it knew ours, and gave less */
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	assert_int_equal(l.expires, LIVE - 10);
}

static void test_isc_duel(void **state)
{
	/* clang-format off */
	static const struct rung row[] = {
		/* §5.3, our update un-acked */
		{ "A/A larger", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 11 }, DIRTY, 0, 0 },
		{ "A/A smaller", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 9 }, DIRTY, 16, 16 },
		{ "A/A missing", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C1, LIVE }, DIRTY, 16, 16 },
		{ "A/A equal", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 10 }, DIRTY, 16, 0 },
		{ "A/expired", { LEASE_ACTIVE, 0, C1, OVER, 10 }, { LEASE_EXPIRED, 0, C1, OVER }, DIRTY, 0, 0 },
		{ "A/other", { LEASE_ACTIVE, 0, C1, OVER, 10 }, { LEASE_FREE }, DIRTY, 16, 0 },
		{ "other/A", { LEASE_FREE }, { LEASE_ACTIVE, 0, C1, LIVE }, DIRTY, 0, 0 },
		{ "other/other", { LEASE_FREE }, { LEASE_BACKUP }, DIRTY, 16, 0 },
	};
	/* clang-format on */

	(void)state;
	walk(row, N(row), false);
}

static void test_draft_table(void **state)
{
	/* §5.2 with its do-changes; columns FREE ACTIVE EXPIRED RELEASED ABANDONED RESET BACKUP, of
	 * the same client, later CLTT, our lease over: everything but abandoned accepts */
	/* clang-format off */
	static const struct rung row[] = {
		{ "active, other", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C2, LIVE, 11 }, CLEAN, 2, 0 },
		{ "active, same", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 9 }, CLEAN, 0, 0 },
		{ "t2 expired", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_EXPIRED, 0, C1, OVER, 11 }, CLEAN, 15, 15 },
		{ "t2 expired", { LEASE_ACTIVE, 0, C1, OVER, 10 }, { LEASE_EXPIRED, 0, C1, OVER, 11 }, CLEAN, 0, 0 },
		{ "t2 now", { LEASE_ACTIVE, 0, C1, NOW, 10 }, { LEASE_FREE, 0, 0, 0 }, CLEAN, 0, 0 },
		{ "t2 soon", { LEASE_ACTIVE, 0, C1, NOW + 1, 10 }, { LEASE_FREE, 0, 0, 0 }, CLEAN, 15, 15 },
		{ "t2 free", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_FREE, 0, 0, 0, 11 }, CLEAN, 15, 15 },
		{ "t2 backup", { LEASE_ACTIVE, 0, C1, OVER, 10 }, { LEASE_BACKUP, 0, 0, 0, 11 }, CLEAN, 0, 0 },
		{ "released", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_RELEASED, 0, C1, LIVE, 11 }, CLEAN, 0, 0 },
		{ "released before", { LEASE_ACTIVE, 0, C1, LIVE, 510 }, { LEASE_RELEASED, 0, C1, LIVE, 509 }, CLEAN, 15, 15 },
		{ "released, ISC", { LEASE_ACTIVE, 0, C1, LIVE, 510 }, { LEASE_RELEASED, 0, C1, LIVE, 510 }, CLEAN, 0, 0 },
		{ "ours, at ISC", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_RELEASED, 0, C1, LIVE }, CLEAN, 0, 0 },
		{ "ours, at ISC, before", { LEASE_ACTIVE, 0, C1, LIVE, 510 }, { LEASE_RELEASED, 0, C1, LIVE }, CLEAN, 15, 15 },
		{ "ours, of another", { LEASE_ACTIVE, 0, C1, LIVE, 10 }, { LEASE_RELEASED, 0, C2, LIVE }, CLEAN, 15, 15 },
		{ "ours missing", { LEASE_ACTIVE, 0, C1, LIVE }, { LEASE_RELEASED, 0, C1, LIVE, 1 }, CLEAN, 0, 0 },
		{ "ended before", { LEASE_ACTIVE, 0, C1, LIVE, OVER }, { LEASE_RELEASED, 0, C1, OVER }, CLEAN, 15, 15 },
		{ "ended later", { LEASE_ACTIVE, 0, C1, LIVE, OVER - 1 }, { LEASE_RELEASED, 0, C1, OVER }, CLEAN, 0, 0 },
		{ "older, ended later", { LEASE_ACTIVE, 0, C1, LIVE, 710 }, { LEASE_RELEASED, 0, C1, OVER, 709 }, CLEAN, 0, 0 },
		{ "missing, expired", { LEASE_EXPIRED, 0, C1, OVER, 10 }, { LEASE_ACTIVE, 0, C1, LIVE }, CLEAN, 0, 0 },
		{ "missing, over", { LEASE_EXPIRED, 0, C1, OVER, 10 }, { LEASE_ACTIVE, 0, C1, OVER }, CLEAN, 15, 15 },
		{ "t1 expired", { LEASE_EXPIRED, 0, C1, OVER, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 11 }, CLEAN, 0, 0 },
		{ "t1 expired", { LEASE_EXPIRED, 0, C1, OVER, 10 }, { LEASE_ACTIVE, 0, C1, LIVE, 9 }, CLEAN, 15, 15 },
		{ "t1 rel/exp", { LEASE_RELEASED, 0, C1, OVER, 10 }, { LEASE_EXPIRED, 0, C1, LIVE, 9 }, CLEAN, 15, 15 },
		{ "t3 reset", { LEASE_RESET, 0, C1, OVER }, { LEASE_ACTIVE, 0, C1, LIVE, 501 }, CLEAN, 0, 0 },
		{ "t3 reset", { LEASE_RESET, 0, C1, OVER }, { LEASE_ACTIVE, 0, C1, LIVE, 500 }, CLEAN, 15, 15 },
		{ "(4)", { LEASE_ABANDONED }, { LEASE_ACTIVE, 0, C1, LIVE, 11 }, CLEAN, 16, 16 },
		{ "(4)", { LEASE_ABANDONED }, { LEASE_RELEASED, 0, C1, LIVE, 11 }, CLEAN, 16, 16 },
		{ "(4) ISC primary", { LEASE_ABANDONED }, { LEASE_FREE }, CLEAN, 16, 0 },
		{ "(4) ISC primary", { LEASE_ABANDONED }, { LEASE_BACKUP }, CLEAN, 16, 0 },
		{ "abandoned", { LEASE_ABANDONED }, { LEASE_RESET }, CLEAN, 0, 0 },
		{ "abandoned", { LEASE_ACTIVE, 0, C1, LIVE }, { LEASE_ABANDONED }, CLEAN, 0, 0 },
		{ "free", { LEASE_FREE }, { LEASE_ACTIVE, 0, C1, LIVE }, CLEAN, 0, 0 },
		{ "never used", { LEASE_NONE }, { LEASE_BACKUP }, CLEAN, 0, 0 },
		{ "missing", { LEASE_FREE }, { LEASE_EXPIRED }, CLEAN, 3, 3 },
	};
	/* clang-format on */

	(void)state;
	walk(row, N(row), false);
}

static void test_reserved(void **state)
{
	struct fo_view v = view(true, 60);
	struct lease ours = { .state = LEASE_FREE }, l;
	struct binding_update u = { .lease = { .state = LEASE_BACKUP, .flags = LEASE_RESERVED } };

	(void)state;
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l),
			 FO_REJECT_NOT_RESERVED);
	ours.flags = LEASE_RESERVED;
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	ours.flags = 0;
	u.has_serial = true; /* our own kind: decision A22 */
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	assert_true(l.flags & LEASE_RESERVED);
}

/* --- what is stored --------------------------------------------------------------------------- */

static void test_adopted(void **state)
{
	struct fo_view v = view(false, 60);
	struct lease l, ours = lease_of(LEASE_ACTIVE, 5, C1, OVER, 10);
	struct binding_update u = { .lease = lease_of(LEASE_ACTIVE, 6, C1, LIVE, 20),
				    .has_cltt = true,
				    .has_serial = true,
				    .has_client = true };

	(void)state;
	ours.acked_pet = 1500;
	ours.flags = LEASE_DIRTY;
	u.lease.rcvd_pet = LIVE + 300;
	u.lease.bucket = 77;
	assert_int_equal(binding_accept(&v, &ours, &u, true, (wall_t){ NOW }, &l), 0);
	assert_int_equal(l.rcvd_pet, LIVE + 300);
	assert_int_equal(l.acked_pet, 1500);
	assert_int_equal(l.cltt, 20);
	assert_int_equal(l.bucket, 77);
	assert_int_equal(l.flags, LEASE_BY_PARTNER);
	assert_int_equal(l.addr, ours.addr);
	/* released: free on both, and nothing of its past counts for the next client */
	u.lease.state = LEASE_RELEASED;
	u.lease.serial = 7;
	ours = l;
	assert_int_equal(binding_accept(&v, &ours, &u, false, (wall_t){ NOW }, &l), 0);
	assert_int_equal(l.state, LEASE_FREE);
	assert_int_equal(l.acked_state, LEASE_FREE);
	assert_int_equal(l.acked_pet | l.rcvd_pet | l.sent_pet, 0);
	assert_true(client_key_equal(l.key, ours.key)); /* affinity */
}

static void test_adopted_other_client(void **state)
{
	struct fo_view v = view(false, 60);
	struct lease l, ours = lease_of(LEASE_ACTIVE, 5, C1, LIVE, 30);
	struct binding_update u = { .lease = lease_of(LEASE_ACTIVE, 5, C2, LIVE, 20),
				    .has_cltt = true,
				    .has_serial = true,
				    .has_client = true };

	(void)state;
	ours.acked_pet = 1500;
	u.lease.stos = 800;
	assert_int_equal(binding_accept(&v, &ours, &u, true, (wall_t){ NOW }, &l), 0);
	assert_int_equal(l.acked_pet, 0);
	assert_int_equal(l.cltt, 20);
	assert_int_equal(l.starts, 800);
	assert_int_equal(l.key.w[0], C2);
}

static void test_acked(void **state)
{
	static const struct {
		const char *ref;
		uint8_t st, sent, then;
	} row[] = {
		{ "active", LEASE_ACTIVE, LEASE_ACTIVE, LEASE_ACTIVE },
		{ "4.2", LEASE_EXPIRED, LEASE_EXPIRED, LEASE_FREE },
		{ "4.1", LEASE_RELEASED, LEASE_RELEASED, LEASE_FREE },
		{ "4.1", LEASE_RESET, LEASE_RESET, LEASE_FREE },
		{ "4.1", LEASE_ABANDONED, LEASE_ABANDONED, LEASE_ABANDONED },
		{ "6.2", LEASE_BACKUP, LEASE_BACKUP, LEASE_BACKUP },
		{ "4.1 taken back", LEASE_BACKUP, LEASE_FREE, LEASE_FREE },
	};

	(void)state;
	for (size_t i = 0; i < N(row); i++) {
		struct lease ours = { .state = row[i].st,
				      .flags = LEASE_DIRTY | LEASE_RESERVED,
				      .rcvd_pet = 7,
				      .stos = 500 };
		struct lease l = binding_acked(&ours, 5000, row[i].sent, (wall_t){ NOW });

		if (l.state != row[i].then || l.acked_state != row[i].then)
			fail_row(i, "wrong state");
		if (l.flags != LEASE_RESERVED)
			fail_row(i, "wrong flags");
		if (l.acked_pet != (row[i].then == LEASE_ACTIVE ? 5000u : 0))
			fail_row(i, "wrong acknowledged expiry");
		if (l.stos != (row[i].st == row[i].then ? 500 : NOW))
			fail_row(i, "wrong time of state");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant),
		cmocka_unit_test(test_grant_free_has_no_past),
		cmocka_unit_test(test_grant_told_end_has_no_past),
		cmocka_unit_test(test_forgot),
		cmocka_unit_test(test_may_allocate),
		cmocka_unit_test(test_reclaim),
		cmocka_unit_test(test_own_kind),
		cmocka_unit_test(test_own_kind_symmetric),
		cmocka_unit_test(test_both_renewed),
		cmocka_unit_test(test_abandoned_there),
		cmocka_unit_test(test_isc_both_renewed),
		cmocka_unit_test(test_isc_duel),
		cmocka_unit_test(test_draft_table),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_adopted_other_client),
		cmocka_unit_test(test_acked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
