#pragma once
/*
 * Time and clients of the two servers of explore_world.h, and how it all begins. The clients are
 * served by core/server. Included by explore.c alone.
 */
#include "explore_world.h"

/* --- time ------------------------------------------------------------------------------------- */

static void tick(unsigned i)
{
	struct now now = now_is();
	const struct lease *l;
	struct lease then;
	uint32_t again;

	begin_turn(i);
	fo_endpoint_tick(ep[i], &now);
	while (w.n[i].view.mclt > 1 && (l = pool_due(pools[i], now.wall))) {
		if (!server_expire(&w.n[i].view, l, now.wall, &then, &again)) {
			pool_set_timer(pools[i], l->addr, again);
			continue;
		}
		(void)pool_apply(pools[i], &then, w.n[i].open);
		put(&w.n[i], &then, NULL);
	}
	end_turn(i);
}

static int64_t sooner(int64_t t, int64_t at)
{
	return at > w.sec && at < t ? at : t;
}

static int64_t sec_of(mono_t t)
{
	return t.us == MONO_NEVER.us ? INT64_MAX : (t.us + FO_SEC_US - 1) / FO_SEC_US;
}

/* The next time at which something may change; CONTACT, heartbeat of last-operational and the
 * minute's balancing do so by themselves, too, and are left out. */
static int64_t next_time(void)
{
	int64_t t = w.sec + MCLT_SEC / 2;

	for (unsigned i = 0; i < 2; i++) {
		const struct fo_endpoint *e = ep[i];

		if (!w.n[i].up)
			continue;
		t = sooner(t, sec_of(e->startup_at));
		t = sooner(t, sec_of(e->handshake_at));
		t = sooner(t, sec_of(e->ack_at));
		t = sooner(t, sec_of(e->tell_at));
		t = sooner(t, sec_of(e->retry_at));
		t = sooner(t, sec_of(e->safe_at));
		t = sooner(t, sec_of(e->balance_at));
		t = sooner(t, e->recover_until - BASE);
		t = sooner(t, e->hold_until - BASE);
		t = sooner(t, w.n[i].view.partner_pool_from - BASE);
		t = sooner(t, pool_next_due(pools[i]) - BASE);
	}
	return t;
}

static void pass_time(void)
{
	w.sec = next_time();
	memset(w.asked, 0, sizeof(w.asked));
	for (unsigned c = 1; c <= setup.n_clients; c++)
		if (w.addr[c] && w.until[c] <= BASE + w.sec)
			w.addr[c] = w.until[c] = 0;
	for (unsigned a = 0; a < setup.n_addr; a++)
		if (w.promise[a].until <= BASE + w.sec)
			w.promise[a] = (struct promise){ 0, 0, 0 };
	for (unsigned i = 0; i < 2; i++)
		if (w.n[i].up)
			tick(i);
}

/* --- clients ---------------------------------------------------------------------------------- */

static struct dhcp_msg msg_of_client;

static void option_u32(uint8_t code, uint32_t v)
{
	struct dhcp_msg *m = &msg_of_client;
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	m->opt[code].off = (uint16_t)(1 + m->n_data);
	m->opt[code].len = 4;
	memcpy(m->data + 1 + m->n_data, b, 4);
	m->n_data = (uint16_t)(m->n_data + 4);
}

static void compose(unsigned c, uint8_t type)
{
	struct lease_client lc = client_of(c);

	memset(&msg_of_client, 0, sizeof(msg_of_client));
	msg_of_client.op = BOOTREQUEST;
	msg_of_client.type = type;
	msg_of_client.htype = 1;
	msg_of_client.hlen = 6;
	msg_of_client.secs = 60; /* any server may answer */
	memcpy(msg_of_client.chaddr, lc.chaddr, 6);
}

static bool decide(unsigned i, unsigned c, struct server_decision *ret)
{
	struct server_ctx ctx = { .scopes = &setup.table,
				  .pool = pools[i],
				  .views = &w.n[i].view,
				  .server_identifier = NET + 1 + i,
				  .authoritative = true };
	struct lease_client lc = client_of(c);
	struct server_request req = { .msg = &msg_of_client,
				      .iface_addr = NET + 1 + i,
				      .dest_addr = NET + 1 + i,
				      .key = lease_client_key(&secret, &lc) };
	struct now now = now_is();

	server_decide(&ctx, &req, &now, ret);
	if (ret->change) {
		(void)pool_apply(pools[i], &ret->lease, w.n[i].open);
		put(&w.n[i], &ret->lease, ret->change_client ? &ret->client : NULL);
	}
	return ret->answer;
}

/* A client renews what it has, or asks for an address: the whole exchange at one server, once in a
 * second. */
static bool client_asks(unsigned c, unsigned i)
{
	static struct server_decision d;
	struct out_ack a;
	bool done = false;

	if (w.asked[c] >> i & 1)
		return false;
	w.asked[c] |= (uint8_t)(1u << i);
	begin_turn(i);
	if (!w.addr[c]) {
		compose(c, DHCPDISCOVER);
		if (!decide(i, c, &d))
			return false;
		compose(c, DHCPREQUEST);
		option_u32(DHO_SERVER_ID, NET + 1 + i);
		option_u32(DHO_REQUESTED_ADDRESS, d.reply.yiaddr);
	} else {
		compose(c, DHCPREQUEST);
		msg_of_client.ciaddr = w.addr[c];
	}
	if (decide(i, c, &d) && d.reply.type == DHCPACK) {
		a = (struct out_ack){ d.lease.addr, d.lease.expires, (uint8_t)c, w.released[c] };
		out(i, OUT_ACK, &a, sizeof(a));
		done = true;
	}
	end_turn(i);
	return done;
}

static bool client_releases(unsigned c, unsigned i)
{
	static struct server_decision d;

	if (!w.addr[c])
		return false;
	begin_turn(i);
	compose(c, DHCPRELEASE);
	msg_of_client.ciaddr = w.addr[c];
	(void)decide(i, c, &d);
	w.promise[w.addr[c] - FIRST] = (struct promise){ 0, 0, 0 };
	w.addr[c] = w.until[c] = 0;
	w.released[c]++;
	end_turn(i);
	return d.change;
}

/* --- the world -------------------------------------------------------------------------------- */

static void world_begin(unsigned n_addr, unsigned n_clients, bool false_down)
{
	setup.n_addr = n_addr;
	setup.n_clients = n_clients;
	setup.false_down = false_down;
	setup.range = (struct addr_range){ FIRST, FIRST + n_addr - 1, 0, 0 };
	setup.scope = (struct scope){ .subnet = NET,
				      .prefix = 24,
				      .relation = 0,
				      .name = "s",
				      .lease_time = LEASE_SEC,
				      .n_ranges = 1 };
	setup.table = (struct scope_table){ &setup.scope, 1, &setup.range, 1 };
	for (unsigned i = 0; i < 2; i++) {
		setup.conf[i] = (struct fo_conf){ .name = "x",
						  .primary = i == 0,
						  .mclt = MCLT_SEC,
						  .max_unacked = 3,
						  .contact_timeout_sec = LONG_SEC,
						  .contact_timeout_isc_sec = LONG_SEC,
						  .startup_sec = STARTUP_AFTER,
						  .max_clock_skew_sec = 60,
						  .share_secondary = 50,
						  .misbalance = 15,
						  .ownership = 10,
						  .after_outage_hold = true,
						  .policy = { .secs_threshold = 3 } };
		memset(setup.conf[i].policy.hba, 0xff, 16);
	}
	ep_size = fo_endpoint_size(&setup.conf[0]);
	pool_octets = (pool_size(&setup.table, 2) + 63) & ~(size_t)63;
	for (unsigned i = 0; i < 2; i++) {
		ep_mem[i] = aligned_alloc(64, (ep_size + 63) & ~(size_t)63);
		pool_mem[i] = aligned_alloc(64, pool_octets);
		if (!ep_mem[i] || !pool_mem[i])
			exit(2);
	}
	memset(&w, 0, sizeof(w));
	w.sec = 1000;
	for (unsigned i = 0; i < 2; i++)
		boot(i);
}

static uint8_t state_of(unsigned i)
{
	return w.n[i].up ? ep[i]->rec.end.state : 0;
}
