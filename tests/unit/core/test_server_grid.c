/*
 * core/server: grids of { message, lease, client } x { failover state } -> reason, and what an
 * answer stands for.
 */
#include "server_world.h"

/* --- what the address may be when somebody asks for it ---------------------------------------- */

static const struct kind {
	const char *what;
	uint8_t state, acked;
	int32_t expires; /* from now */
} kinds[] = {
	{ "never used", LEASE_NONE, 0, 0 },
	{ "free", LEASE_FREE, LEASE_FREE, -50 },
	{ "backup", LEASE_BACKUP, LEASE_BACKUP, -50 },
	{ "active", LEASE_ACTIVE, LEASE_ACTIVE, 50 },
	{ "active, over", LEASE_ACTIVE, LEASE_ACTIVE, 0 },
	{ "expired, untold", LEASE_EXPIRED, LEASE_ACTIVE, -50 },
	{ "expired, told", LEASE_EXPIRED, LEASE_EXPIRED, -50 },
	{ "expired, lease untold, was free", LEASE_EXPIRED, LEASE_FREE, -50 },
	{ "expired, lease untold, was backup", LEASE_EXPIRED, LEASE_BACKUP, -50 },
	{ "released, untold", LEASE_RELEASED, LEASE_ACTIVE, -50 },
	{ "released, told", LEASE_RELEASED, LEASE_RELEASED, -50 },
	{ "abandoned", LEASE_ABANDONED, LEASE_ACTIVE, 50 },
	{ "reset", LEASE_RESET, LEASE_ABANDONED, -50 },
};
#define KINDS N(kinds)

static void set_up(const struct kind *k)
{
	struct lease l = { .addr = ADDR(61), .state = LEASE_BACKUP, .acked_state = LEASE_BACKUP };
	struct client_key owner = key_of(OWNER);

	start();
	/* the secondary's share */
	assert_int_equal(pool_apply(ctx.pool, &l, 0), 0);
	l = (struct lease){ .addr = ADDR(20),
			    .state = k->state,
			    .acked_state = k->acked,
			    .expires = T0 + (uint32_t)k->expires,
			    .starts = T0 - 500,
			    .stos = T0 - 400,
			    .cltt = T0 - 300,
			    .serial = 7 };
	if (k->state != LEASE_ABANDONED && k->state != LEASE_RESET)
		l.key = owner;
	if (k->acked != LEASE_FREE && k->acked != LEASE_BACKUP)
		l.sent_pet = l.acked_pet = l.expires;
	if (k->state)
		assert_int_equal(pool_apply(ctx.pool, &l, 0), 0);
}

/* One character per cell. */
static char code(enum server_reason r)
{
	switch (r) {
	case SERVER_ACKED_RENEWED:
		return 'A';
	case SERVER_ACKED_NEW:
		return 'a';
	case SERVER_NAK_NOT_YOURS:
		return 'N';
	case SERVER_NAK_UNKNOWN:
		return 'U';
	case SERVER_PARTNERS_ADDRESS:
		return 'P';
	case SERVER_AWAITING_PARTNER:
		return 'W';
	case SERVER_PARTNERS_CLIENT:
		return 'c';
	case SERVER_NOT_SERVING:
		return 's';
	case SERVER_ON_HOLD:
		return 'h';
	case SERVER_OFFERED: /* the address that the lease is on, or a new one */
		return got.reply.yiaddr == ADDR(20) ? 'o' : 'n';
	default:
		return '?';
	}
}

/* Whatever the cell says, an answer must be whole and silence must be silence. */
static void check_effects(const struct lease *was, uint32_t client)
{
	bool ack = got.reason == SERVER_ACKED_NEW || got.reason == SERVER_ACKED_RENEWED;
	bool nak = code(got.reason) == 'N' || code(got.reason) == 'U';
	bool free = lease_is_free(was);
	const struct lease *l = &got.lease;

	assert_int_equal(got.answer, ack || nak || got.reason == SERVER_OFFERED);
	assert_int_equal(got.change, ack);
	if (nak) {
		assert_int_equal(got.reply.type, DHCPNAK);
		assert_int_equal(got.reply.yiaddr, 0);
		assert_null(got.reply.options);
	}
	if (!ack)
		return;
	assert_int_equal(got.reply.type, DHCPACK);
	assert_int_equal(got.reply.yiaddr, was->addr);
	assert_int_equal(got.reply.server_id, ADDR(2));
	assert_int_equal(l->addr, was->addr);
	assert_int_equal(l->state, LEASE_ACTIVE);
	assert_true(client_key_equal(l->key, key_of(client)));
	assert_true(client_key_equal(lease_client_key(&hash, &got.client), l->key));
	assert_int_equal(l->serial, was->serial + 1);
	/* linked, the partner may have heard of it the moment it is durable */
	assert_int_equal(l->acked_state, view.balanced ? LEASE_ACTIVE : was->acked_state);
	assert_int_equal(l->cltt, T0);
	assert_int_equal(l->starts, got.reason == SERVER_ACKED_NEW ? T0 : was->starts);
	assert_int_equal(l->stos, was->state == LEASE_ACTIVE ? was->stos : T0);
	assert_int_equal(l->expires, T0 + got.reply.lease);
	assert_int_equal(l->flags, view.mclt ? LEASE_DIRTY : 0);
	if (!view.mclt) {
		assert_int_equal(got.reply.lease, LEASE_TIME);
		assert_int_equal(l->sent_pet, 0);
		return;
	}
	assert_true(l->sent_pet >= l->expires);
	assert_int_equal(l->sent_pet, T0 + LEASE_TIME + got.reply.lease / 2);
	assert_true(l->expires <=
		    max3(free ? 0 : was->acked_pet, free ? 0 : was->rcvd_pet, T0) + MCLT);
	assert_true(got.reply.lease > 0 && got.reply.lease >= MCLT);
}

static void check_cell(const char *what, const struct kind *k, enum state s, char is, char want)
{
	if (is != want)
		fail_msg("%s, %s, %s: got %s (%c), not %c", what, k->what, state_name[s],
			 server_reason_name(got.reason), is, want);
}

static void grid_request(const char *what, enum asking how, uint32_t client,
			 const char *const want[KINDS])
{
	for (size_t k = 0; k < KINDS; k++)
		for (enum state s = 0; s < STATES; s++) {
			struct lease was;

			set_up(&kinds[k]);
			enter(s);
			was = *pool_get(ctx.pool, ADDR(20));
			request(how, client, ADDR(20));
			check_cell(what, &kinds[k], s, code(got.reason), want[k][s]);
			check_effects(&was, client);
		}
}

/*  A acked (renewed)  a acked (new)  N somebody else's  U unknown  P partner's address
 *  W awaiting the partner  c partner's client  s not serving  h on hold
 *
 *  N1 our bucket, NX partner's bucket, N2 secondary, CI, CI2, PD before the wait, PD2 after it,
 *  RECOVER-DONE, hold, none, alone */
static void grid_selecting(void **state)
{
	/* RFC 2131 §4.3.2; failover-behaviour §3.2, §4.4. The bucket does not count (A15). */
	static const char *const own[KINDS] = {
		"aaPaPaashsa", "aaPaPaashsa", "PPaPaPashsa", "AAAAAAAshsA", "AAAAAAAshsA",
		"aaaaaaashsa", "WWWWWWWshsa", "aaWaWaashsa", "WWaWaaashsa", "aaaaaaashsa",
		"WWWWWWWshsa", "UUUUUUUshsU", "NNNNNNNshsN",
	};
	static const char *const other[KINDS] = {
		"aaPaPaashsa", "aaPaPaashsa", "PPaPaPashsa", "NNNNNNNshsN", "WWWWWWWshsW",
		"WWWWWWWshsW", "WWWWWWWshsW", "WWWWWWWshsW", "WWWWWWWshsW", "WWWWWWWshsW",
		"WWWWWWWshsW", "UUUUUUUshsU", "NNNNNNNshsN",
	};

	(void)state;
	grid_request("SELECTING, own", SELECTING, OWNER, own);
	grid_request("SELECTING, stranger", SELECTING, STRANGER, other);
}

static void grid_init_reboot(void **state)
{
	/* As above, but in NORMAL the bucket decides (A15). */
	static const char *const own[KINDS] = {
		"acPaPaashsa", "acPaPaashsa", "PcaPaPashsa", "AcAAAAAshsA", "AcAAAAAshsA",
		"acaaaaashsa", "WcWWWWWshsa", "acWaWaashsa", "WcaWaaashsa", "acaaaaashsa",
		"WcWWWWWshsa", "UcUUUUUshsU", "NcNNNNNshsN",
	};
	static const char *const other[KINDS] = {
		"acPaPaashsa", "acPaPaashsa", "PcaPaPashsa", "NcNNNNNshsN", "WcWWWWWshsW",
		"WcWWWWWshsW", "WcWWWWWshsW", "WcWWWWWshsW", "WcWWWWWshsW", "WcWWWWWshsW",
		"WcWWWWWshsW", "UcUUUUUshsU", "NcNNNNNshsN",
	};

	(void)state;
	grid_request("INIT-REBOOT, own", INIT_REBOOT, OWNER, own);
	grid_request("INIT-REBOOT, stranger", INIT_REBOOT, STRANGER, other);
}

static void grid_renewing(void **state)
{
	/* Any client at either server; RECOVER-DONE renews, hold renews what runs (A8). */
	static const char *const own[KINDS] = {
		"aaPaPaashsa", "aaPaPaashsa", "PPaPaPaPhsa", "AAAAAAAAAsA", "AAAAAAAAhsA",
		"aaaaaaashsa", "WWWWWWWWhsa", "aaWaWaashsa", "WWaWaaaWhsa", "aaaaaaashsa",
		"WWWWWWWWhsa", "UUUUUUUshsU", "NNNNNNNshsN",
	};
	static const char *const other[KINDS] = {
		"aaPaPaashsa", "aaPaPaashsa", "PPaPaPaPhsa", "NNNNNNNshsN", "WWWWWWWWhsW",
		"WWWWWWWWhsW", "WWWWWWWWhsW", "WWWWWWWWhsW", "WWWWWWWWhsW", "WWWWWWWWhsW",
		"WWWWWWWWhsW", "UUUUUUUshsU", "NNNNNNNshsN",
	};

	(void)state;
	grid_request("RENEWING, own", RENEWING, OWNER, own);
	grid_request("REBINDING, own", REBINDING, OWNER, own);
	grid_request("RENEWING, stranger", RENEWING, STRANGER, other);
	grid_request("REBINDING, stranger", REBINDING, STRANGER, other);
}

/*  o the address of the lease is offered, n a new one */
static void grid_discover(void **state)
{
	static const char *const own[KINDS] = {
		"ncnnnnnshsn", "ocnonooshso", "ncononoshso", "ocoooooshso", "ocoooooshso",
		"ocoooooshso", "ncnnnnnshso", "ocnonooshso", "nconoooshso", "ocoooooshso",
		"ncnnnnnshso", "ncnnnnnshsn", "ncnnnnnshsn",
	};
	static const char *const other[KINDS] = {
		/* asking for it */
		"ocnonooshso", "ocnonooshso", "ncononoshso", "ncnnnnnshsn", "ncnnnnnshsn",
		"ncnnnnnshsn", "ncnnnnnshsn", "ncnnnnnshsn", "ncnnnnnshsn", "ncnnnnnshsn",
		"ncnnnnnshsn", "ncnnnnnshsn", "ncnnnnnshsn",
	};

	(void)state;
	for (size_t k = 0; k < KINDS; k++)
		for (enum state s = 0; s < STATES; s++) {
			struct lease was;

			set_up(&kinds[k]);
			enter(s);
			was = *pool_get(ctx.pool, ADDR(20));
			discover(OWNER, 0);
			check_cell("DISCOVER, own", &kinds[k], s, code(got.reason), own[k][s]);
			check_effects(&was, OWNER);
			if (got.answer)
				assert_int_equal(pool_offered(ctx.pool, req.key, &scopes[0]),
						 got.reply.yiaddr);
			set_up(&kinds[k]);
			discover(STRANGER, ADDR(20));
			check_cell("DISCOVER, stranger", &kinds[k], s, code(got.reason),
				   other[k][s]);
			check_effects(&was, STRANGER);
			/* what is offered is acknowledged */
			if (!got.answer)
				continue;
			request(SELECTING, STRANGER, got.reply.yiaddr);
			assert_reason(SERVER_ACKED_NEW);
		}
}

/* RELEASE: of the own running lease only. R released (the partner must hear), f free at once */
static void grid_release(void **state)
{
	static const char *const want[] = {
		/* lease known to the partner */ "RRRRRRRshsf",
		/* never told: was FREE */ "RRRfRffshsf",
		/* never told: was BACKUP */ "RRRRbbbshsf",
	};
	static const uint8_t acked[] = { LEASE_ACTIVE, LEASE_FREE, LEASE_BACKUP };

	(void)state;
	for (size_t k = 0; k < KINDS; k++)
		for (size_t a = 0; a < N(acked); a++)
			for (enum state s = 0; s < STATES; s++) {
				struct lease l;
				char is;

				set_up(&kinds[k]);
				enter(s);
				l = *pool_get(ctx.pool, ADDR(20));
				if (l.state == LEASE_ACTIVE) {
					l.acked_state = acked[a];
					l.acked_pet = a ? 0 : T0 + 50;
					pool_apply(ctx.pool, &l, 0);
				}
				message(DHCPRELEASE, OWNER);
				msg.giaddr = 0;
				msg.ciaddr = ADDR(20);
				decide();
				is = code(got.reason);
				if (got.reason == SERVER_RELEASED)
					is = got.lease.state == LEASE_RELEASED ? 'R'
					     : got.lease.state == LEASE_BACKUP ? 'b'
									       : 'f';
				assert_false(got.answer);
				if (l.state != LEASE_ACTIVE && is != 's' && is != 'h') {
					assert_reason(SERVER_NO_LEASE);
					assert_false(got.change);
					continue;
				}
				check_cell("RELEASE", &kinds[k], s, is, want[a][s]);
				if (got.reason != SERVER_RELEASED)
					continue;
				assert_true(got.change && !got.change_client);
				assert_int_equal(got.lease.expires, T0);
				assert_int_equal(got.lease.stos, T0);
				assert_int_equal(got.lease.serial, 8);
				assert_true(client_key_equal(got.lease.key, key_of(OWNER)));
				assert_int_equal(got.lease.flags, view.mclt ? LEASE_DIRTY : 0);
				if (is != 'R')
					assert_int_equal(got.lease.sent_pet | got.lease.acked_pet,
							 0);
				/* nobody else's */
				message(DHCPRELEASE, STRANGER);
				msg.ciaddr = ADDR(20);
				decide();
				assert_reason(SERVER_NO_LEASE);
			}
}

static void grid_decline(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++)
		for (enum state s = 0; s < STATES; s++) {
			bool heard = s != RD && s != HO && s != NO;

			set_up(&kinds[k]);
			ctx.decline_hold_sec = 500;
			enter(s);
			message(DHCPDECLINE, OWNER);
			option_u32(DHO_REQUESTED_ADDRESS, ADDR(20));
			option_u32(DHO_SERVER_ID, ADDR(2));
			decide();
			assert_false(got.answer);
			if (!heard || kinds[k].state != LEASE_ACTIVE) {
				assert_false(got.change);
				assert_reason(heard		   ? SERVER_NO_LEASE
					      : s == NO || s == RD ? SERVER_NOT_SERVING
								   : SERVER_ON_HOLD);
				continue;
			}
			assert_reason(SERVER_DECLINED);
			assert_true(got.change && got.change_client);
			assert_int_equal(got.lease.state, LEASE_ABANDONED);
			assert_int_equal(got.lease.expires, T0 + 500);
			assert_true(client_key_none(got.lease.key));
			assert_int_equal(got.client.hlen, 0);
			assert_int_equal(got.lease.flags, view.mclt ? LEASE_DIRTY : 0);
			message(DHCPDECLINE, STRANGER);
			option_u32(DHO_REQUESTED_ADDRESS, ADDR(20));
			decide();
			assert_reason(SERVER_NO_LEASE);
		}
}

static void grid_inform(void **state)
{
	(void)state;
	for (enum state s = 0; s < STATES; s++) {
		start();
		enter(s);
		message(DHCPINFORM, STRANGER);
		msg.ciaddr = ADDR(200);
		decide();
		assert_reason(s == NO ? SERVER_NOT_SERVING : SERVER_INFORMED);
		assert_int_equal(got.answer, s != NO);
		assert_false(got.change);
		if (s == NO)
			continue;
		assert_int_equal(got.reply.type, DHCPACK);
		assert_int_equal(got.reply.yiaddr | got.reply.lease, 0);
		assert_int_equal(got.reply.ciaddr, ADDR(200));
	}
}

/* After the others. */
static void their_reasons_were_given(void **state)
{
	(void)state;
	for (enum server_reason r = 0; r < SERVER_REASON_COUNT; r++)
		if (!seen[r] && reason_of_a_grid(r))
			fail_msg("no grid gave %s", server_reason_name(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grid_selecting), cmocka_unit_test(grid_init_reboot),
		cmocka_unit_test(grid_renewing),  cmocka_unit_test(grid_discover),
		cmocka_unit_test(grid_release),	  cmocka_unit_test(grid_decline),
		cmocka_unit_test(grid_inform),	  cmocka_unit_test(their_reasons_were_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
