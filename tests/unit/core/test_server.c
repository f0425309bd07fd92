/*
 * core/server: grids of { message, lease, client } x { failover state } -> reason, and what an
 * answer stands for; the stories of cases T000; expiry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "core/server.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define ADDR(n) IP(10, 9, 0, n)
#define N(a) (sizeof(a) / sizeof((a)[0]))
#define T0 1000000u /* the tests' beginning of time, UTC sec */
#define MCLT 600u
#define LEASE_TIME 7200u
#define NOBODY 0u

/* --- a server -----------------------------------------------------------------------------------
 */

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

static void start(void)
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

static void pass(uint32_t sec)
{
	now.wall.sec += sec;
	now.mono.us += sec * 1000000ll;
}

/* --- failover states as the server sees them
 * ------------------------------------------------------ */

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

static void enter(enum state s)
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

/* --- clients
 * -------------------------------------------------------------------------------------- */

static struct dhcp_msg msg;
static struct server_request req;

static void option(uint8_t code, const void *p, uint16_t len)
{
	msg.opt[code].off = (uint16_t)(1 + msg.n_data);
	msg.opt[code].len = len;
	memcpy(msg.data + 1 + msg.n_data, p, len);
	msg.n_data = (uint16_t)(msg.n_data + len);
}

static void option_u32(uint8_t code, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	option(code, b, 4);
}

/* A message of client @n behind a relay in scope 0 that came to .1 of ours. */
static void message(uint8_t type, uint32_t n)
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

static struct client_key key_of(uint32_t n)
{
	message(0, n);
	return req.key;
}

static enum server_reason decide(void)
{
	server_decide(&ctx, &req, &now, &got);
	assert_true(got.reason < SERVER_REASON_COUNT);
	seen[got.reason] = true;
	return got.reason;
}

/* The daemon's part: store, apply. */
static void keep(void)
{
	if (got.change)
		assert_int_equal(pool_apply(ctx.pool, &got.lease, 1), 0);
}

static enum server_reason discover(uint32_t client, uint32_t asked)
{
	message(DHCPDISCOVER, client);
	if (asked)
		option_u32(DHO_REQUESTED_ADDRESS, asked);
	return decide();
}

enum asking { SELECTING, INIT_REBOOT, RENEWING, REBINDING };

static enum server_reason request(enum asking how, uint32_t client, uint32_t addr)
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

static void assert_reason(enum server_reason want)
{
	if (got.reason != want)
		fail_msg("got %s, not %s", server_reason_name(got.reason),
			 server_reason_name(want));
}

/* DISCOVER, REQUEST: the address that the client ends up with; 0 none. */
static uint32_t dora(uint32_t client)
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

/* --- grids
 * ---------------------------------------------------------------------------------------- */

/* What the address may be when somebody asks for it. */
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
#define OWNER 100u
#define STRANGER 200u

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

static uint32_t max3(uint32_t a, uint32_t b, uint32_t c)
{
	return a > b ? (a > c ? a : c) : b > c ? b : c;
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

/* --- load balancing
 * ------------------------------------------------------------------------------- */

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

/* --- NAKs
 * ------------------------------------------------------------------------------------------- */

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

/* --- reservations: case T000-1
 * ------------------------------------------------------------------------ */

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

/* --- which subnet, which address of ours
 * ---------------------------------------------------------------- */

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

/* --- times
 * ---------------------------------------------------------------------------------------------- */

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

/* --- expiry
 * --------------------------------------------------------------------------------------------- */

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

/* --- no address for two clients, whatever happens on this side
 * --------------------------------------------- */

#define CLIENTS 40
static uint64_t rng;

static uint32_t chance(uint32_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % n;
}

/* As the secondary of an ISC: its word comes first, but not for ever (its clock may be ahead). */
static void expire_beside_an_isc(void **state)
{
	struct lease l = { .addr = ADDR(20), .state = LEASE_ACTIVE, .acked_state = LEASE_ACTIVE,
			   .expires = T0, .key = key_of(OWNER) };
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

struct holder {
	uint32_t client;
	int64_t until;
};

static void hear_ack(struct holder *held, uint32_t client)
{
	struct holder *h = &held[got.reply.yiaddr & 255];

	if (h->client && h->client != client && h->until > now.wall.sec)
		fail_msg("address %u for %u, promised to %u for another %d s",
			 got.reply.yiaddr & 255, client, h->client, (int)(h->until - now.wall.sec));
	h->client = client;
	h->until = now.wall.sec + got.reply.lease;
}

/* What the partner acknowledges, at some time, in the order of commits. */
static void partner_acks(void)
{
	const struct lease *l = pool_dirty_first(ctx.pool, 0, 1);
	struct lease next;

	if (!l || !view.balanced)
		return;
	next = binding_acked(l, l->sent_pet, l->state, now.wall);
	pool_apply(ctx.pool, &next, 1);
}

static void time_passes(void)
{
	const struct lease *l;
	unsigned n = 0;

	pass(chance(200));
	while ((l = pool_due(ctx.pool, now.wall))) {
		struct lease next;
		uint32_t again, addr = l->addr;

		assert_true(n++ < 1000);
		if (server_expire(&view, l, now.wall, &next, &again)) {
			pool_apply(ctx.pool, &next, 1);
			continue;
		}
		assert_true(!again || again > now.wall.sec);
		pool_set_timer(ctx.pool, addr, again);
	}
}

static void one_step(struct holder *held)
{
	uint32_t client = 1 + chance(CLIENTS), addr = ADDR(10 + chance(55));
	static const enum state states[] = { N1, N1, N1, CI, PD, RD, NO };

	switch (chance(10)) {
	case 0:
		enter(states[chance(N(states))]);
		view.partner_pool_from =
			view.partner_down ? (uint32_t)now.wall.sec + MCLT : SEC_INFINITE;
		return;
	case 1:
		message(chance(2) ? DHCPRELEASE : DHCPDECLINE, client);
		msg.ciaddr = addr;
		option_u32(DHO_REQUESTED_ADDRESS, addr);
		decide();
		if (got.change)
			held[addr & 255].client = NOBODY;
		keep();
		return;
	case 2:
		time_passes();
		return;
	case 3:
	case 4:
		partner_acks();
		return;
	case 5:
		request((enum asking)chance(4), client, addr);
		break;
	default:
		if (discover(client, chance(2) ? addr : 0) != SERVER_OFFERED)
			return;
		request(SELECTING, client, got.reply.yiaddr);
		break;
	}
	if (!got.answer || got.reply.type != DHCPACK)
		return;
	hear_ack(held, client);
	if (view.mclt)
		assert_true(got.lease.expires <=
			    max3(got.lease.acked_pet, got.lease.rcvd_pet, (uint32_t)now.wall.sec) +
				    MCLT);
	keep();
}

static void no_address_for_two_clients(void **state)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);

	(void)state;
	for (unsigned round = 0; round < 20; round++, seed++) {
		struct holder held[256] = { { 0, 0 } };

		print_message("SEED=%llu\n", (unsigned long long)seed);
		rng = seed;
		start();
		enter(round & 1 ? N1 : AL);
		for (unsigned i = 0; i < 20000; i++)
			one_step(held);
	}
}

/* --- the list of reasons
 * -------------------------------------------------------------------------------------- */

static void every_reason_was_given(void **state)
{
	(void)state;
	for (enum server_reason r = 0; r < SERVER_REASON_COUNT; r++) {
		assert_true(strlen(server_reason_name(r)) > 3);
		assert_true(strlen(server_reason_text(r)) > 10);
		if (!seen[r] && r != SERVER_NO_ROOM) /* found by who encodes the reply */
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
		cmocka_unit_test(grid_selecting),
		cmocka_unit_test(grid_init_reboot),
		cmocka_unit_test(grid_renewing),
		cmocka_unit_test(grid_discover),
		cmocka_unit_test(grid_release),
		cmocka_unit_test(grid_decline),
		cmocka_unit_test(grid_inform),
		cmocka_unit_test(who_answers_in_normal),
		cmocka_unit_test(naks),
		cmocka_unit_test(selecting_is_for_the_server_named),
		cmocka_unit_test(an_offer_lost_to_somebody_else),
		cmocka_unit_test(the_partners_share),
		cmocka_unit_test(reserved_in_an_exclusion),
		cmocka_unit_test(reservation_added_later),
		cmocka_unit_test(subnet_of_the_client),
		cmocka_unit_test(server_identifier_rule),
		cmocka_unit_test(lease_time_and_wishes),
		cmocka_unit_test(worked_example),
		cmocka_unit_test(former_promises_do_not_count),
		cmocka_unit_test(told_end_may_not_have_arrived),
		cmocka_unit_test(what_is_kept_of_the_client),
		cmocka_unit_test(a_very_long_identifier),
		cmocka_unit_test(on_hold_nothing_new_is_promised),
		cmocka_unit_test(expiry),
		cmocka_unit_test(expire_beside_an_isc),
		cmocka_unit_test(no_address_for_two_clients),
		cmocka_unit_test(every_reason_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
