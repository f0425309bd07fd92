/*
 * core/server: who answers whom, and with which address; the stories of cases T000; what is kept of
 * a client. Grids are in test_server_grid.c, times in test_server_times.c.
 */
#include "server_world.h"

/* --- load balancing --------------------------------------------------------------------------- */

static void who_answers_in_normal(void **state)
{
	struct lease l = { .addr = ADDR(61), .state = LEASE_BACKUP };

	(void)state;
	start();
	enter(NX);
	pool_apply(ctx.pool, &l, 0);
	for (uint16_t secs = 0; secs < 10; secs++) {
		message(DHCPDISCOVER, STRANGER);
		msg.secs = secs;
		decide();
		assert_reason(secs >= 3 ? SERVER_OFFERED : SERVER_PARTNERS_CLIENT);
		message(DHCPREQUEST, STRANGER);
		option_u32(DHO_REQUESTED_ADDRESS, ADDR(20));
		msg.secs = secs;
		decide();
		assert_reason(secs >= 3 ? SERVER_ACKED_NEW : SERVER_PARTNERS_CLIENT);
	}
	/* by the bucket: this client's, and it alone */
	view.policy.owned[got.bucket / 8] = (uint8_t)(1 << got.bucket % 8);
	assert_int_equal(discover(STRANGER, 0), SERVER_OFFERED);
	memset(view.policy.owned, 0xff, 32);
	view.policy.owned[got.bucket / 8] ^= (uint8_t)(1 << got.bucket % 8);
	assert_int_equal(discover(STRANGER, 0), SERVER_PARTNERS_CLIENT);
	assert_int_equal(discover(STRANGER + 1, 0), SERVER_OFFERED);
	/* the partner has nothing left in this scope: DISCOVERs are ours, too (B7) */
	memset(view.policy.owned, 0, 32);
	l.state = LEASE_ACTIVE;
	pool_apply(ctx.pool, &l, 0);
	assert_int_equal(discover(STRANGER, 0), SERVER_OFFERED);
	assert_int_equal(request(INIT_REBOOT, STRANGER, ADDR(20)), SERVER_PARTNERS_CLIENT);
	/* the other way round: the secondary, when nothing is FREE */
	view.primary = false;
	assert_int_equal(discover(STRANGER, 0), SERVER_PARTNERS_CLIENT);
	for (uint32_t i = 0; i < N(ranges) - 1; i++)
		for (l.addr = ranges[i].first; l.addr <= ranges[i].last; l.addr++) {
			l.state = l.addr == ADDR(12) ? LEASE_BACKUP : LEASE_ACTIVE;
			pool_apply(ctx.pool, &l, 0);
		}
	assert_int_equal(discover(STRANGER, 0), SERVER_OFFERED);
	assert_int_equal(got.reply.yiaddr, ADDR(12));
}

/* --- NAKs ------------------------------------------------------------------------------------- */

static void naks(void **state)
{
	(void)state;
	start();
	enter(CI);
	/* another subnet than the relay's */
	request(INIT_REBOOT, STRANGER, IP(10, 9, 1, 10));
	assert_reason(SERVER_NAK_WRONG_SUBNET);
	assert_true(got.answer && !got.change);
	assert_int_equal(got.reply.type, DHCPNAK);
	assert_int_equal(got.reply.server_id, ADDR(2));
	assert_string_equal(got.reply.message, "the address is not of the client's subnet");
	/* at most one in ten seconds (A15), whatever the reason */
	pass(9);
	request(REBINDING, STRANGER, IP(10, 9, 1, 10));
	assert_reason(SERVER_NAK_LIMIT);
	assert_false(got.answer);
	pass(1);
	request(SELECTING, STRANGER, ADDR(200)); /* in no range */
	assert_reason(SERVER_NAK_UNKNOWN);
	assert_int_equal(request(SELECTING, STRANGER + 1, ADDR(200)), SERVER_NAK_UNKNOWN);
	/* silent where we are not authoritative, or not sure */
	ctx.authoritative = false;
	assert_int_equal(request(SELECTING, STRANGER + 2, ADDR(200)), SERVER_NOT_AUTHORITATIVE);
	assert_false(got.answer);
	ctx.authoritative = true;
	enter(RD);
	assert_int_equal(request(RENEWING, STRANGER + 3, ADDR(200)), SERVER_NOT_SERVING);
	enter(HO);
	assert_int_equal(request(REBINDING, STRANGER + 3, IP(10, 9, 1, 10)), SERVER_ON_HOLD);
	assert_false(got.answer);
	enter(RI);
	assert_int_equal(request(SELECTING, STRANGER + 3, ADDR(200)), SERVER_NOT_SERVING);
	assert_false(got.answer);
	enter(AL);
	assert_int_equal(request(RENEWING, STRANGER + 3, ADDR(200)), SERVER_NAK_UNKNOWN);
}

static void selecting_is_for_the_server_named(void **state)
{
	uint32_t addr;

	(void)state;
	start();
	enter(N1);
	assert_int_equal(discover(STRANGER, 0), SERVER_OFFERED);
	addr = got.reply.yiaddr;
	message(DHCPREQUEST, STRANGER);
	option_u32(DHO_SERVER_ID, ADDR(3));
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	decide();
	assert_reason(SERVER_OTHER_SERVER);
	assert_false(got.answer || got.change);
	/* our offer is free for others at once */
	assert_int_equal(pool_offered(ctx.pool, req.key, &scopes[0]), 0);
	/* told also while on hold: a sign of the partner's life (A8) */
	enter(HO);
	message(DHCPREQUEST, STRANGER);
	option_u32(DHO_SERVER_ID, ADDR(3));
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	assert_int_equal(decide(), SERVER_OTHER_SERVER);
	/* any address of ours will do */
	enter(N1);
	for (unsigned i = 0; i < 3; i++) {
		message(DHCPREQUEST, STRANGER);
		req.dest_addr = IP(192, 0, 2, 9);
		option_u32(DHO_SERVER_ID, i == 0   ? ADDR(2)
					  : i == 1 ? IP(192, 0, 2, 1)
						   : IP(192, 0, 2, 9));
		option_u32(DHO_REQUESTED_ADDRESS, addr);
		assert_int_equal(decide(), SERVER_ACKED_NEW);
	}
	/* a damaged identifier names nobody */
	message(DHCPREQUEST, STRANGER);
	option(DHO_SERVER_ID, "\0", 1);
	option_u32(DHO_REQUESTED_ADDRESS, addr);
	assert_int_equal(decide(), SERVER_OTHER_SERVER);
	/* a client that renews and names a server, too, renews: at any of the two */
	message(DHCPREQUEST, STRANGER);
	option_u32(DHO_SERVER_ID, ADDR(3));
	msg.ciaddr = addr;
	assert_int_equal(decide(), SERVER_ACKED_NEW);
	/* nothing asked for at all */
	message(DHCPREQUEST, STRANGER);
	assert_int_equal(decide(), SERVER_NO_LEASE);
}

static void an_offer_lost_to_somebody_else(void **state)
{
	uint32_t addr;

	(void)state;
	start();
	enter(CI);
	assert_int_equal(discover(1, 0), SERVER_OFFERED);
	addr = got.reply.yiaddr;
	assert_int_equal(discover(2, addr), SERVER_OFFERED);
	assert_int_not_equal(got.reply.yiaddr, addr);
	assert_int_equal(discover(1, 0), SERVER_OFFERED); /* again: the same */
	assert_int_equal(got.reply.yiaddr, addr);
	assert_int_equal(request(SELECTING, 2, addr), SERVER_OFFER_GONE);
	assert_false(got.answer);
	pass(59);
	assert_int_equal(request(SELECTING, 2, addr), SERVER_OFFER_GONE);
	pass(1); /* the offer is over */
	assert_int_equal(request(SELECTING, 2, addr), SERVER_ACKED_NEW);
	keep();
	assert_int_equal(request(SELECTING, 1, addr), SERVER_NAK_NOT_YOURS);
	/* who has an address gets no second one */
	assert_int_equal(request(SELECTING, 2, ADDR(25)), SERVER_NAK_UNKNOWN);
	pass(10);
	assert_int_equal(request(INIT_REBOOT, 2, ADDR(25)), SERVER_NAK_UNKNOWN);
	assert_int_equal(request(INIT_REBOOT, 2, addr), SERVER_ACKED_RENEWED);
	assert_int_equal(discover(2, ADDR(25)), SERVER_OFFERED);
	assert_int_equal(got.reply.yiaddr, addr);
	/* unless that one is over */
	now.wall.sec = pool_get(ctx.pool, addr)->expires;
	assert_int_equal(request(INIT_REBOOT, 2, ADDR(25)), SERVER_ACKED_NEW);
}

/* Our share is empty: the partner's is given in PARTNER-DOWN after the wait, and never before. */
static void the_partners_share(void **state)
{
	static const struct {
		enum state s;
		bool given;
	} rows[] = { { N1, false }, { CI, false }, { PD, false }, { PD2, true }, { AL, true } };

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		unsigned theirs = rows[i].s == PD2 ? LEASE_FREE : LEASE_BACKUP;

		start();
		enter(rows[i].s);
		for (uint32_t a = 10; a < 65; a++) {
			struct lease l = { .addr = ADDR(a), .state = (uint8_t)theirs };

			(void)pool_apply(ctx.pool, &l, 0);
		}
		discover(1, 0);
		assert_reason(rows[i].given ? SERVER_OFFERED : SERVER_NO_ADDRESS);
	}
	enter(PD);
	now.wall.sec = T0 + MCLT - 1;
	assert_int_equal(discover(2, 0), SERVER_NO_ADDRESS);
	now.wall.sec++;
	assert_int_equal(discover(2, 0), SERVER_OFFERED);
}

/* --- reservations: case T000-1 ---------------------------------------------------------------- */

static void reserved_in_an_exclusion(void **state)
{
	const uint32_t printer = 55;
	uint32_t leased = 0;

	(void)state;
	for (enum state s = 0; s < STATES; s++) {
		if (s == NX || s == RD || s == HO || s == NO)
			continue;
		start();
		enter(s);
		assert_int_equal(dora(printer), ADDR(55));
		assert_true(got.lease.flags & LEASE_RESERVED);
		message(DHCPRELEASE, printer);
		msg.ciaddr = ADDR(55);
		assert_int_equal(decide(), SERVER_RELEASED);
		keep();
		for (uint32_t c = 1000; c < 1005; c++) {
			if (discover(c, c & 1 ? ADDR(55) : 0) == SERVER_OFFERED)
				assert_int_not_equal(got.reply.yiaddr, ADDR(55));
			/* one NAK, and the next attempt succeeds; no loop */
			assert_int_equal(request(SELECTING, c, ADDR(55)), SERVER_NAK_NOT_YOURS);
			assert_int_equal(request(INIT_REBOOT, c, ADDR(55)), SERVER_NAK_LIMIT);
		}
		/* it comes back to its client */
		assert_int_equal(discover(printer, 0), SERVER_OFFERED);
		assert_int_equal(got.reply.yiaddr, ADDR(55));
	}
	/* all else is taken: "no address", not .55 and not .15 */
	start();
	enter(AL);
	for (uint32_t c = 2000; dora(c); c++)
		leased++;
	assert_int_equal(leased, 23);
	assert_reason(SERVER_NO_ADDRESS);
	assert_int_equal(dora(15), ADDR(15));
	assert_int_equal(dora(printer), ADDR(55));
	/* and when it expired instead */
	pass(LEASE_TIME);
	for (const struct lease *l; (l = pool_due(ctx.pool, now.wall));) {
		struct lease next;
		uint32_t again;

		assert_true(server_expire(&view, l, now.wall, &next, &again));
		pool_apply(ctx.pool, &next, 1);
	}
	for (uint32_t c = 3000; c < 3023; c++)
		assert_int_not_equal(dora(c) & 255, 55);
	assert_int_equal(discover(4000, 0), SERVER_NO_ADDRESS);
}

/* The reservation was added while a stranger held the address, or while its client held another. */
static void reservation_added_later(void **state)
{
	struct lease l = {
		.addr = ADDR(15), .state = LEASE_ACTIVE, .expires = T0 + 100, .cltt = T0
	};

	(void)state;
	start();
	enter(CI);
	l.key = key_of(STRANGER);
	pool_apply(ctx.pool, &l, 0);
	/* its client gets another address meanwhile */
	assert_int_equal(dora(15), ADDR(10));
	assert_int_equal(request(RENEWING, 15, ADDR(10)), SERVER_ACKED_RENEWED);
	/* the stranger must leave; silently where no NAK may be sent */
	assert_int_equal(discover(STRANGER, 0), SERVER_OFFERED);
	assert_int_not_equal(got.reply.yiaddr, ADDR(15));
	assert_int_equal(request(RENEWING, STRANGER, ADDR(15)), SERVER_NAK_NOT_YOURS);
	/* free again: the client moves at its next renewal, by a NAK */
	l.state = LEASE_FREE;
	pool_apply(ctx.pool, &l, 0);
	assert_int_equal(request(RENEWING, 15, ADDR(10)), SERVER_NAK_RESERVED);
	assert_int_equal(got.reply.type, DHCPNAK);
	/* or renews as before if there may be none */
	assert_int_equal(request(RENEWING, 15, ADDR(10)), SERVER_ACKED_RENEWED);
	ctx.authoritative = false;
	pass(10);
	assert_int_equal(request(RENEWING, 15, ADDR(10)), SERVER_ACKED_RENEWED);
	/* it took another just before; that is as good until the next renewal */
	assert_int_equal(request(SELECTING, 15, ADDR(10)), SERVER_ACKED_RENEWED);
	assert_int_equal(dora(15), ADDR(15));
	ctx.authoritative = true;
	pass(10);
	assert_int_equal(request(SELECTING, 15, ADDR(10)), SERVER_ACKED_RENEWED);
	assert_int_equal(request(RENEWING, 15, ADDR(15)), SERVER_ACKED_RENEWED);
	/* who has a reservation is a stranger to all others */
	assert_int_equal(request(INIT_REBOOT, 15, ADDR(55)), SERVER_NAK_NOT_YOURS);
	/* a reservation that only the partner's record shows keeps strangers away (A22) */
	l.addr = ADDR(20);
	l.flags = LEASE_RESERVED;
	pool_apply(ctx.pool, &l, 0);
	assert_int_equal(request(INIT_REBOOT, 77, ADDR(20)), SERVER_NAK_NOT_YOURS);
	assert_int_equal(request(INIT_REBOOT, STRANGER, ADDR(20)), SERVER_ACKED_NEW);
}

/* --- which subnet, which address of ours ------------------------------------------------------ */

static void subnet_of_the_client(void **state)
{
	(void)state;
	start();
	enter(CI);
	/* relay, option, interface */
	message(DHCPDISCOVER, 1);
	msg.giaddr = IP(10, 9, 1, 1);
	assert_int_equal(decide(), SERVER_OFFERED);
	assert_ptr_equal(got.scope, &scopes[1]);
	assert_ptr_equal(got.view, &fo_view_alone);
	message(DHCPDISCOVER, 1);
	option_u32(DHO_SUBNET_SELECTION, IP(10, 9, 1, 0));
	decide();
	assert_ptr_equal(got.scope, &scopes[1]);
	message(DHCPDISCOVER, 1);
	msg.giaddr = 0;
	req.iface_addr = ADDR(1);
	decide();
	assert_ptr_equal(got.scope, &scopes[0]);
	assert_ptr_equal(got.view, &view);
	assert_int_equal(got.reply.server_id, ADDR(1));
	/* nowhere */
	message(DHCPDISCOVER, 1);
	msg.giaddr = IP(10, 8, 0, 1);
	assert_int_equal(decide(), SERVER_NO_SUBNET);
	assert_null(got.scope);
	assert_false(got.answer);
	message(DHCPDISCOVER, 1);
	msg.giaddr = 0;
	assert_int_equal(decide(), SERVER_NO_SUBNET);
	/* unicast to us: the subnet of its address; broadcast: the interface's, so that a client
	 * which moved hears of it */
	message(DHCPREQUEST, 1);
	msg.giaddr = 0;
	msg.ciaddr = IP(10, 9, 1, 10);
	req.iface_addr = ADDR(1);
	req.dest_addr = ADDR(1);
	assert_int_equal(decide(), SERVER_ACKED_NEW);
	assert_ptr_equal(got.scope, &scopes[1]);
	assert_int_equal(got.reply.ciaddr, IP(10, 9, 1, 10));
	keep();
	req.dest_addr = 0;
	assert_int_equal(decide(), SERVER_NAK_WRONG_SUBNET);
	/* a RELEASE speaks of its own address, whoever relays it */
	message(DHCPRELEASE, 1);
	msg.ciaddr = IP(10, 9, 1, 10);
	assert_int_equal(decide(), SERVER_RELEASED);
}

static void server_identifier_rule(void **state)
{
	static const struct {
		uint32_t iface, configured, dest, want;
	} rows[] = {
		{ ADDR(1), ADDR(2), ADDR(3), ADDR(1) }, /* in the client's subnet */
		{ IP(192, 0, 2, 1), ADDR(2), ADDR(3), ADDR(2) },
		{ IP(192, 0, 2, 1), 0, IP(192, 0, 2, 3), IP(192, 0, 2, 3) },
		{ IP(192, 0, 2, 1), 0, 0, IP(192, 0, 2, 1) },
		{ 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		start();
		enter(CI);
		ctx.server_identifier = rows[i].configured;
		message(DHCPDISCOVER, 1);
		req.iface_addr = rows[i].iface;
		req.dest_addr = rows[i].dest;
		decide();
		assert_reason(rows[i].want ? SERVER_OFFERED : SERVER_NO_SERVER_ID);
		assert_int_equal(got.reply.server_id, rows[i].want);
	}
}

/* --- what is kept of a client ----------------------------------------------------------------- */

static void what_is_kept_of_the_client(void **state)
{
	(void)state;
	start();
	enter(CI);
	message(DHCPREQUEST, 1);
	option_u32(DHO_REQUESTED_ADDRESS, ADDR(20));
	option(DHO_CLIENT_ID, "\1abc", 4);
	option(DHO_HOST_NAME, "host", 4);
	option(DHO_RELAY_AGENT, "\1\2xy", 4);
	assert_int_equal(decide(), SERVER_ACKED_NEW);
	assert_true(got.change && got.change_client);
	assert_int_equal(got.client.htype, 1);
	assert_int_equal(got.client.hlen, 6);
	assert_int_equal(got.client.chaddr[5], 1);
	assert_int_equal(got.client.id_len, 4);
	assert_memory_equal(got.client.id, "\1abc", 4);
	assert_int_equal(got.client.host_name_len, 4);
	assert_memory_equal(got.client.host_name, "host", 4);
	assert_int_equal(got.client.relay_agent_len, 4);
	assert_memory_equal(got.client.relay_agent, "\1\2xy", 4);
}

/* The beginning that makes the key is what is kept, so that a restart and the partner know the
 * client again. */
static void a_very_long_identifier(void **state)
{
	uint8_t id[400];
	struct octets o = { id, sizeof(id) };

	(void)state;
	start();
	enter(CI);
	memset(id, 7, sizeof(id));
	message(DHCPREQUEST, 1);
	option_u32(DHO_REQUESTED_ADDRESS, ADDR(20));
	option(DHO_CLIENT_ID, id, sizeof(id));
	req.key = client_key(&hash, o, 1, dhcp_chaddr(&msg));
	assert_int_equal(decide(), SERVER_ACKED_NEW);
	assert_true(client_key_equal(lease_client_key(&hash, &got.client), got.lease.key));
}

/* --- the list of reasons ---------------------------------------------------------------------- */

static void every_reason_was_given(void **state)
{
	(void)state;
	for (enum server_reason r = 0; r < SERVER_REASON_COUNT; r++) {
		assert_true(strlen(server_reason_name(r)) > 3);
		assert_true(strlen(server_reason_text(r)) > 10);
		if (!seen[r] && !reason_of_a_grid(r) &&
		    r != SERVER_NO_ROOM) /* found by who encodes the reply */
			fail_msg("no test gave %s", server_reason_name(r));
	}
	assert_string_equal(server_reason_name(SERVER_REASON_COUNT), "unknown");
	assert_string_equal(server_reason_text(SERVER_REASON_COUNT), "unknown");
	free(memory);
	memory = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_answers_in_normal),
		cmocka_unit_test(naks),
		cmocka_unit_test(selecting_is_for_the_server_named),
		cmocka_unit_test(an_offer_lost_to_somebody_else),
		cmocka_unit_test(the_partners_share),
		cmocka_unit_test(reserved_in_an_exclusion),
		cmocka_unit_test(reservation_added_later),
		cmocka_unit_test(subnet_of_the_client),
		cmocka_unit_test(server_identifier_rule),
		cmocka_unit_test(what_is_kept_of_the_client),
		cmocka_unit_test(a_very_long_identifier),
		cmocka_unit_test(every_reason_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
