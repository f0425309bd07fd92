#pragma once
/*
 * One server for tests of core/server: its scopes and memory, the failover states as it sees them,
 * clients that are numbers, and their messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/server.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define ADDR(n) IP(10, 9, 0, n)
#define N(a) (sizeof(a) / sizeof((a)[0]))
#define T0 1000000u /* the tests' beginning of time, UTC sec */
#define MCLT 600u
#define LEASE_TIME 7200u
#define NOBODY 0u
#define OWNER 100u
#define STRANGER 200u

/* --- a server --------------------------------------------------------------------------------- */

/* .15 is reserved inside of the range, .55 outside of it (in an exclusion): case T000-1. Clients
 * are numbers; the hardware address ends with it. */
static const struct reservation reserved[] = {
	{ ADDR(15), 1, { (const uint8_t *)"\2\0\0\0\0\x0f", 6 }, "fifteen" },
	{ ADDR(55), 1, { (const uint8_t *)"\2\0\0\0\0\x37", 6 }, "printer" },
};
static const struct addr_range ranges[] = {
	{ ADDR(10), ADDR(29), 0, 0 },
	{ ADDR(55), ADDR(55), 0, RANGE_RESERVED },
	{ ADDR(61), ADDR(64), 0, 0 },
	{ IP(10, 9, 1, 10), IP(10, 9, 1, 12), 1, 0 },
};
static const struct scope scopes[] = {
	{ .subnet = ADDR(0),
	  .prefix = 24,
	  .relation = 0,
	  .lease_time = LEASE_TIME,
	  .reservations = reserved,
	  .n_reservations = N(reserved),
	  .first_range = 0,
	  .n_ranges = 3 },
	{ .subnet = IP(10, 9, 1, 0),
	  .prefix = 24,
	  .relation = -1,
	  .lease_time = 300,
	  .first_range = 3,
	  .n_ranges = 1 },
};
static const struct scope_table table = { scopes, N(scopes), ranges, N(ranges) };
static const struct client_hash hash = { { 11, 22 } };

static struct fo_view view;
static struct server_ctx ctx;
static struct now now;
static void *memory;
static struct server_decision got;
static bool seen[SERVER_REASON_COUNT];

static inline void start(void)
{
	size_t size = pool_size(&table, 64);

	free(memory);
	memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
	assert_non_null(memory);
	memset(memory, 0, size);
	ctx = (struct server_ctx){ .scopes = &table,
				   .views = &view,
				   .server_identifier = ADDR(2),
				   .authoritative = true };
	ctx.pool = pool_init(memory, size, &table, 64);
	now = (struct now){ { 5000000 }, { T0 } };
}

static inline void pass(uint32_t sec)
{
	now.wall.sec += sec;
	now.mono.us += sec * 1000000ll;
}

/* --- failover states as the server sees them -------------------------------------------------- */

enum state { N1, NX, N2, CI, CI2, PD, PD2, RD, HO, NO, AL, STATES, RI = STATES };
static const char *const state_name[] = { "NORMAL primary, our bucket",
					  "NORMAL primary, partner's bucket",
					  "NORMAL secondary, our bucket",
					  "COMM-INT primary",
					  "COMM-INT secondary",
					  "PARTNER-DOWN primary, before the wait",
					  "PARTNER-DOWN secondary, after the wait",
					  "RECOVER-DONE",
					  "hold",
					  "serve none",
					  "alone" };

static inline void enter(enum state s)
{
	/* RI: RESOLUTION-INTERRUPTED, CONFLICT-DONE. They differ from CI in NAKs only */
	bool serve = s != RD && s != HO && s != NO, normal = s == N1 || s == NX || s == N2;

	if (s == AL) {
		view = fo_view_alone;
		return;
	}
	view = (struct fo_view){
		.policy = { .serve = normal  ? SERVE_BALANCE
				     : serve ? SERVE_ALL
					     : SERVE_NONE,
			    .secs_threshold = 3 },
		.primary = s != N2 && s != CI2 && s != PD2,
		.serve_new = serve,
		.serve_renew = s != NO,
		.nak = serve && s != RI,
		.hold = s == HO,
		.balanced = normal,
		.limited = true,
		.partner_down = s == PD || s == PD2,
		.mclt = MCLT,
		.partner_pool_from = s == PD	? T0 + MCLT
				     : s == PD2 ? T0
						: SEC_INFINITE,
	};
	memset(view.policy.owned, s == NX ? 0 : 0xff, 32);
}

/* --- clients ---------------------------------------------------------------------------------- */

static struct dhcp_msg msg;
static struct server_request req;

static inline void option(uint8_t code, const void *p, uint16_t len)
{
	msg.opt[code].off = (uint16_t)(1 + msg.n_data);
	msg.opt[code].len = len;
	memcpy(msg.data + 1 + msg.n_data, p, len);
	msg.n_data = (uint16_t)(msg.n_data + len);
}

static inline void option_u32(uint8_t code, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	option(code, b, 4);
}

/* A message of client @n behind a relay in scope 0 that came to .1 of ours. */
static inline void message(uint8_t type, uint32_t n)
{
	uint8_t mac[6] = { 2, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	memset(&msg, 0, sizeof(msg));
	msg.op = BOOTREQUEST;
	msg.type = type;
	msg.htype = 1;
	msg.hlen = 6;
	memcpy(msg.chaddr, mac, 6);
	msg.giaddr = ADDR(1);
	req = (struct server_request){ .msg = &msg,
				       .iface_addr = IP(192, 0, 2, 1),
				       .dest_addr = IP(192, 0, 2, 1) };
	req.key = client_key(&hash, (struct octets){ NULL, 0 }, 1, (struct octets){ mac, 6 });
}

static inline struct client_key key_of(uint32_t n)
{
	message(0, n);
	return req.key;
}

static inline enum server_reason decide(void)
{
	server_decide(&ctx, &req, &now, &got);
	assert_true(got.reason < SERVER_REASON_COUNT);
	seen[got.reason] = true;
	return got.reason;
}

/* The daemon's part: store, apply. */
static inline void keep(void)
{
	if (got.change)
		assert_int_equal(pool_apply(ctx.pool, &got.lease, 1), 0);
}

static inline enum server_reason discover(uint32_t client, uint32_t asked)
{
	message(DHCPDISCOVER, client);
	if (asked)
		option_u32(DHO_REQUESTED_ADDRESS, asked);
	return decide();
}

enum asking { SELECTING, INIT_REBOOT, RENEWING, REBINDING };

static inline enum server_reason request(enum asking how, uint32_t client, uint32_t addr)
{
	message(DHCPREQUEST, client);
	if (how == SELECTING)
		option_u32(DHO_SERVER_ID, ADDR(2));
	if (how == SELECTING || how == INIT_REBOOT)
		option_u32(DHO_REQUESTED_ADDRESS, addr);
	else
		msg.ciaddr = addr;
	if (how == RENEWING)
		msg.giaddr = 0;
	return decide();
}

static inline void assert_reason(enum server_reason want)
{
	if (got.reason != want)
		fail_msg("got %s, not %s", server_reason_name(got.reason),
			 server_reason_name(want));
}

/* DISCOVER, REQUEST: the address that the client ends up with; 0 none. */
static inline uint32_t dora(uint32_t client)
{
	uint32_t addr;

	if (discover(client, 0) != SERVER_OFFERED)
		return 0;
	addr = got.reply.yiaddr;
	request(SELECTING, client, addr);
	assert_true(got.reason == SERVER_ACKED_NEW || got.reason == SERVER_ACKED_RENEWED);
	assert_int_equal(got.reply.yiaddr, addr);
	keep();
	return addr;
}

/* Which reasons are for the grids (test_server_grid.c) to give; test_server.c gives all others. */
static inline bool reason_of_a_grid(enum server_reason r)
{
	return r == SERVER_INFORMED || r == SERVER_DECLINED || r == SERVER_PARTNERS_ADDRESS ||
	       r == SERVER_AWAITING_PARTNER;
}

static inline uint32_t max3(uint32_t a, uint32_t b, uint32_t c)
{
	return a > b ? (a > c ? a : c) : b > c ? b : c;
}
