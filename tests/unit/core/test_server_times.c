/*
 * core/server: how long a lease is promised, what the partner is told of it, and when it ends.
 * Spec: failover-behaviour §2, §4.4, §6.4.
 */
#include "server_world.h"

/* --- times ------------------------------------------------------------------------------------ */

static uint32_t lease_for_wish(uint32_t wish)
{
	message(DHCPDISCOVER, 1);
	msg.giaddr = IP(10, 9, 1, 1); /* alone, 300 s */
	option_u32(DHO_LEASE_TIME, wish);
	assert_int_equal(decide(), SERVER_OFFERED);
	return got.reply.lease;
}

static void lease_time_and_wishes(void **state)
{
	struct scope s[N(scopes)];
	struct scope_table t = table;

	(void)state;
	memcpy(s, scopes, sizeof(s));
	start();
	enter(CI);
	assert_int_equal(lease_for_wish(299), 299);
	assert_int_equal(lease_for_wish(301), 300);
	assert_int_equal(lease_for_wish(SEC_INFINITE), 300);
	assert_int_equal(lease_for_wish(0), 60);
	assert_int_equal(got.reply.renew, 30);
	assert_int_equal(got.reply.rebind, 53); /* 7/8, never early */
	/* configured T1 and T2, where they fit */
	t.scopes = s;
	ctx.scopes = &t;
	s[1].renew_time = 100;
	s[1].rebind_time = 200;
	assert_int_equal(lease_for_wish(300), 300);
	assert_int_equal(got.reply.renew, 100);
	assert_int_equal(got.reply.rebind, 200);
	assert_int_equal(lease_for_wish(150), 150);
	assert_int_equal(got.reply.renew, 100);
	assert_int_equal(got.reply.rebind, 132);
	assert_int_equal(lease_for_wish(101), 101);
	assert_int_equal(got.reply.renew, 89);
	assert_int_equal(lease_for_wish(100), 100);
	assert_int_equal(got.reply.renew, 50);
	s[1].lease_time = SEC_INFINITE;
	assert_int_equal(lease_for_wish(SEC_INFINITE), SEC_INFINITE);
	assert_int_equal(got.reply.renew, SEC_INFINITE);
	s[1].lease_time = 30;
	assert_int_equal(lease_for_wish(10), 30);
	/* no lease time at all: a promise of nothing is no answer */
	s[1].lease_time = 0;
	message(DHCPDISCOVER, 1);
	msg.giaddr = IP(10, 9, 1, 1);
	decide();
	assert_false(got.answer);
}

/* failover-behaviour §2.2 and §2.4, through the server. */
static void worked_example(void **state)
{
	static const struct {
		uint32_t at, ack; /* the partner acknowledges before */
		uint32_t lease, pet;
	} rows[] = {
		{ 0, 0, 60, 630 },
		{ 32, 630, 600, 932 },
		{ 332, 932, 600, 1232 },
		/* the partner is lost */
		{ 632, 0, 360, 1412 },
		{ 812, 0, 180, 1502 },
		{ 932, 0, 60, 1562 },
		{ 962, 0, 60, 1592 },
	};
	struct scope s[N(scopes)];
	struct scope_table t = table;

	(void)state;
	memcpy(s, scopes, sizeof(s));
	s[0].lease_time = 600;
	t.scopes = s;
	start();
	ctx.scopes = &t;
	enter(N1);
	view.mclt = 60;
	for (size_t i = 0; i < N(rows); i++) {
		if (rows[i].ack) {
			struct lease l = *pool_get(ctx.pool, ADDR(20));

			l.acked_pet = T0 + rows[i].ack;
			pool_apply(ctx.pool, &l, 1);
		}
		now.wall.sec = T0 + rows[i].at;
		if (i == 3)
			view.balanced = false;
		request(i ? RENEWING : SELECTING, 1, ADDR(20));
		assert_reason(i ? SERVER_ACKED_RENEWED : SERVER_ACKED_NEW);
		assert_int_equal(got.reply.lease, rows[i].lease);
		assert_int_equal(got.lease.expires, now.wall.sec + rows[i].lease);
		assert_int_equal(got.lease.sent_pet, T0 + rows[i].pet);
		assert_int_equal(got.lease.starts, T0);
		keep();
	}
	/* a shortened lease time: what was acknowledged beyond it counts no more; the number once
	 * told stays, since the partner may have relied on it */
	struct lease l = *pool_get(ctx.pool, ADDR(20));
	l.acked_pet = l.sent_pet = T0 + 5000;
	pool_apply(ctx.pool, &l, 1);
	s[0].lease_time = 100;
	request(RENEWING, 1, ADDR(20));
	assert_int_equal(got.reply.lease, 100);
	assert_int_equal(got.lease.acked_pet, T0 + 962 + 150);
	assert_int_equal(got.lease.sent_pet, T0 + 5000);
}

/* A free address has no past: what was acknowledged for its former client promises nothing. */
static void former_promises_do_not_count(void **state)
{
	struct lease l = { .addr = ADDR(20),
			   .state = LEASE_FREE,
			   .acked_state = LEASE_FREE,
			   .sent_pet = T0 + 9999,
			   .acked_pet = T0 + 9999,
			   .rcvd_pet = T0 + 9999 };

	(void)state;
	start();
	enter(N1);
	pool_apply(ctx.pool, &l, 0);
	assert_int_equal(request(SELECTING, 1, ADDR(20)), SERVER_ACKED_NEW);
	assert_int_equal(got.reply.lease, MCLT);
	assert_int_equal(got.lease.acked_pet | got.lease.rcvd_pet, 0);
	assert_int_equal(got.lease.sent_pet, T0 + LEASE_TIME + MCLT / 2);
}

/* A reserved address comes back to its client although the partner was told that the lease is over.
 * Whether it heard that is not known: its own promises may rest on all that it was told before. */
static void told_end_may_not_have_arrived(void **state)
{
	struct lease l = { .addr = ADDR(15),
			   .state = LEASE_RELEASED,
			   .acked_state = LEASE_RELEASED,
			   .flags = LEASE_DIRTY | LEASE_RESERVED,
			   .sent_pet = T0 + 8000,
			   .acked_pet = T0 + 9000,
			   .rcvd_pet = T0 + 9999,
			   .key = key_of(15) };

	(void)state;
	start();
	enter(CI);
	pool_apply(ctx.pool, &l, 0);
	assert_int_equal(request(INIT_REBOOT, 15, ADDR(15)), SERVER_ACKED_NEW);
	assert_int_equal(got.reply.lease, MCLT);
	assert_int_equal(got.lease.acked_pet | got.lease.rcvd_pet, 0);
	assert_int_equal(got.lease.sent_pet, T0 + 9999);
	enter(AL); /* no partner, no promise to it */
	assert_int_equal(request(INIT_REBOOT, 15, ADDR(15)), SERVER_ACKED_NEW);
	assert_int_equal(got.lease.sent_pet, 0);
}

/* Held back after a long absence (decision A8): a partner that declared us down gives the address
 * away MCLT after the last end it knows of, however often its client renews here. */
static void on_hold_nothing_new_is_promised(void **state)
{
	struct lease l = { .addr = ADDR(20),
			   .state = LEASE_ACTIVE,
			   .acked_state = LEASE_ACTIVE,
			   .starts = T0 - 900,
			   .cltt = T0 - 900,
			   .key = key_of(OWNER) };

	(void)state;
	for (unsigned partners = 0; partners < 2; partners++) {
		start();
		enter(HO);
		l.expires = T0 + 300;
		l.acked_pet = l.rcvd_pet = 0;
		*(partners ? &l.rcvd_pet : &l.acked_pet) = T0 - 100;
		assert_int_equal(pool_apply(ctx.pool, &l, 0), 0);
		for (unsigned i = 0; i < 3; i++, pass(150)) {
			assert_int_equal(request(RENEWING, OWNER, ADDR(20)), SERVER_ACKED_RENEWED);
			assert_int_equal(got.lease.expires, T0 - 100 + MCLT);
			assert_int_equal(got.reply.lease, 500 - i * 150);
			keep();
		}
		pass(50);
		assert_int_equal(request(RENEWING, OWNER, ADDR(20)), SERVER_ON_HOLD);
	}
	/* what was promised before the crash stands, and no more */
	start();
	enter(HO);
	l.expires = T0 + 550;
	l.acked_pet = l.rcvd_pet = 0;
	assert_int_equal(pool_apply(ctx.pool, &l, 0), 0);
	pass(100);
	assert_int_equal(request(RENEWING, OWNER, ADDR(20)), SERVER_ACKED_RENEWED);
	assert_int_equal(got.lease.expires, T0 + 550);
	assert_int_equal(got.reply.lease, 450);
}

/* --- expiry ----------------------------------------------------------------------------------- */

enum { WAIT = 99 };

static void expiry(void **state)
{
	const uint32_t mclt = MCLT;
	static const struct {
		const char *what;
		enum state s;
		uint8_t state, acked;
		int32_t expires; /* from now */
		uint32_t pet;	 /* sent, from now */
		uint8_t want;	 /* state, or WAIT */
		uint32_t again;	 /* from now */
	} rows[] = {
		/* decision A14: the primary at once, the secondary 60 s late */
		{ "N primary", N1, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, LEASE_EXPIRED, 0 },
		{ "N primary, early", N1, LEASE_ACTIVE, LEASE_ACTIVE, 1, 5, WAIT, 1 },
		{ "N secondary", N2, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, WAIT, 60 },
		{ "N secondary, late", N2, LEASE_ACTIVE, LEASE_ACTIVE, -59, 5, WAIT, 1 },
		{ "N secondary, primary late", N2, LEASE_ACTIVE, LEASE_ACTIVE, -60, 5,
		  LEASE_EXPIRED, 0 },
		{ "N primary, partner never told", N1, LEASE_ACTIVE, LEASE_FREE, 0, 0,
		  LEASE_EXPIRED, 0 },
		/* §4.4: what the partner never heard of */
		{ "CI primary", CI, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, LEASE_EXPIRED, 0 },
		{ "CI secondary", CI2, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, LEASE_EXPIRED, 0 },
		{ "CI primary, untold", CI, LEASE_ACTIVE, LEASE_NONE, 0, 0, LEASE_FREE, 0 },
		{ "CI primary, untold", CI, LEASE_ACTIVE, LEASE_FREE, 0, 0, LEASE_FREE, 0 },
		{ "CI primary, partner renewed it", CI, LEASE_ACTIVE, LEASE_FREE, 0, 5,
		  LEASE_EXPIRED, 0 },
		{ "CI primary, was backup", CI, LEASE_ACTIVE, LEASE_BACKUP, 0, 0, LEASE_EXPIRED,
		  0 },
		{ "CI secondary, untold", CI2, LEASE_ACTIVE, LEASE_BACKUP, 0, 0, LEASE_BACKUP, 0 },
		{ "CI secondary, was free", CI2, LEASE_ACTIVE, LEASE_FREE, 0, 0, LEASE_EXPIRED, 0 },
		{ "CI, ended before it was told", CI, LEASE_RELEASED, LEASE_FREE, 0, 0, LEASE_FREE,
		  0 },
		/* nobody ends a lease who may not know of its renewal */
		{ "RECOVER-DONE", RD, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, WAIT, 60 },
		{ "hold", HO, LEASE_ACTIVE, LEASE_ACTIVE, -9, 5, WAIT, 60 },
		{ "serve none", NO, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, WAIT, 60 },
		{ "serve none, early", NO, LEASE_ACTIVE, LEASE_ACTIVE, 7, 5, WAIT, 7 },
		/* the partner has to agree */
		{ "N, expired", N1, LEASE_EXPIRED, LEASE_EXPIRED, -9, 5, WAIT, 60 },
		{ "CI, released", CI, LEASE_RELEASED, LEASE_ACTIVE, -9, 5, WAIT, 60 },
		{ "CI, reset", CI, LEASE_RESET, LEASE_FREE, -9, 0, WAIT, 60 },
		/* §6.4: in PARTNER-DOWN MCLT after all that may have been promised. PD began now;
		 * PD2 began MCLT ago */
		{ "PD", PD, LEASE_ACTIVE, LEASE_ACTIVE, 0, 5, LEASE_EXPIRED, 0 },
		{ "PD, expired", PD, LEASE_EXPIRED, LEASE_ACTIVE, -9, 5, WAIT, 5 + MCLT },
		{ "PD, expired, PET past", PD, LEASE_EXPIRED, LEASE_ACTIVE, -9, -5u, WAIT, MCLT },
		{ "PD later, PET ahead", PD2, LEASE_EXPIRED, LEASE_ACTIVE, -9, 5, WAIT, 5 + MCLT },
		{ "PD later, all past", PD2, LEASE_EXPIRED, LEASE_ACTIVE, -650, -650u, LEASE_FREE,
		  0 },
		{ "PD later, one second", PD2, LEASE_RELEASED, LEASE_ACTIVE, -650, -599u, WAIT, 1 },
		{ "PD later, reset", PD2, LEASE_RESET, LEASE_ACTIVE, -650, -600u, LEASE_FREE, 0 },
		{ "PD, untold", PD, LEASE_ACTIVE, LEASE_BACKUP, 0, 0, LEASE_BACKUP, 0 },
		/* declined: by way of RESET, which takes an acknowledgement */
		{ "abandoned", N1, LEASE_ABANDONED, LEASE_ABANDONED, 9, 0, WAIT, 9 },
		{ "abandoned, over", N1, LEASE_ABANDONED, LEASE_ABANDONED, 0, 0, LEASE_RESET, 0 },
		{ "abandoned, secondary", N2, LEASE_ABANDONED, LEASE_ABANDONED, 0, 0, WAIT, 60 },
		{ "abandoned, CI", CI, LEASE_ABANDONED, LEASE_ABANDONED, 0, 0, LEASE_RESET, 0 },
		{ "abandoned, PD", PD2, LEASE_ABANDONED, LEASE_ABANDONED, 0, 0, LEASE_RESET, 0 },
		{ "abandoned, none", NO, LEASE_ABANDONED, LEASE_ABANDONED, 0, 0, WAIT, 60 },
		/* alone everything ends at once */
		{ "alone", AL, LEASE_ACTIVE, LEASE_NONE, 0, 0, LEASE_FREE, 0 },
		{ "alone, early", AL, LEASE_ACTIVE, LEASE_NONE, 3, 0, WAIT, 3 },
		{ "alone, expired", AL, LEASE_EXPIRED, LEASE_ACTIVE, -9, 99, LEASE_FREE, 0 },
		{ "alone, released", AL, LEASE_RELEASED, LEASE_ACTIVE, -9, 99, LEASE_FREE, 0 },
		{ "alone, reset", AL, LEASE_RESET, LEASE_ACTIVE, -9, 99, LEASE_FREE, 0 },
		{ "alone, abandoned", AL, LEASE_ABANDONED, LEASE_NONE, 0, 0, LEASE_FREE, 0 },
		{ "alone, abandoned, early", AL, LEASE_ABANDONED, LEASE_NONE, 4, 0, WAIT, 4 },
		/* nothing to end */
		{ "never used", N1, LEASE_NONE, LEASE_NONE, 0, 0, WAIT, -T0 },
		{ "free", CI, LEASE_FREE, LEASE_FREE, 0, 0, WAIT, -T0 },
		{ "backup", PD2, LEASE_BACKUP, LEASE_BACKUP, 0, 0, WAIT, -T0 },
	};

	(void)state;
	assert_int_equal(mclt, MCLT);
	for (size_t i = 0; i < N(rows); i++) {
		struct lease l = { .addr = ADDR(20),
				   .state = rows[i].state,
				   .acked_state = rows[i].acked,
				   .expires = T0 + (uint32_t)rows[i].expires,
				   .starts = T0 - 2000,
				   .stos = T0 - 2000,
				   .serial = 3,
				   .key = key_of(OWNER) };
		struct lease next = { 0 };
		uint32_t again = 12345;
		bool done;

		if (rows[i].pet)
			l.sent_pet = l.acked_pet = T0 + rows[i].pet;
		enter(rows[i].s);
		if (rows[i].s == PD2)
			view.partner_pool_from = T0; /* entered MCLT ago */
		done = server_expire(&view, &l, (wall_t){ T0 }, &next, &again);
		if (done != (rows[i].want != WAIT) || (done && next.state != rows[i].want))
			fail_msg("%s: %s %s", rows[i].what, done ? "became" : "waits",
				 done ? lease_state_name(next.state) : "");
		if (!done) {
			if (again != T0 + rows[i].again)
				fail_msg("%s: again in %d s", rows[i].what, (int)(again - T0));
			assert_int_equal(next.addr, 0);
			continue;
		}
		assert_int_equal(next.serial, 4);
		assert_int_equal(next.stos, next.state == l.state ? l.stos : T0);
		assert_int_equal(next.acked_state, l.acked_state);
		assert_int_equal(next.flags, view.mclt ? LEASE_DIRTY : 0);
		assert_true(client_key_equal(next.key, l.key)); /* it may want it again */
		if (lease_is_free(&next))
			assert_int_equal(next.sent_pet | next.acked_pet | next.rcvd_pet, 0);
	}
}

/* As the secondary of an ISC: its word comes first, but not for ever (its clock may be ahead). */
static void expire_beside_an_isc(void **state)
{
	struct lease l = { .addr = ADDR(20),
			   .state = LEASE_ACTIVE,
			   .acked_state = LEASE_ACTIVE,
			   .expires = T0,
			   .key = key_of(OWNER) };
	struct lease next = { 0 };
	uint32_t again;

	(void)state;
	enter(N2);
	view.isc = true;
	assert_false(server_expire(&view, &l, (wall_t){ T0 + 69 }, &next, &again));
	assert_int_equal(again, T0 + 70);
	assert_true(server_expire(&view, &l, (wall_t){ T0 + 70 }, &next, &again));
	assert_int_equal(next.state, LEASE_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lease_time_and_wishes),
		cmocka_unit_test(worked_example),
		cmocka_unit_test(former_promises_do_not_count),
		cmocka_unit_test(told_end_may_not_have_arrived),
		cmocka_unit_test(on_hold_nothing_new_is_promised),
		cmocka_unit_test(expiry),
		cmocka_unit_test(expire_beside_an_isc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
