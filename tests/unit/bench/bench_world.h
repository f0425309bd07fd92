#pragma once
/*
 * A network and clocks that the tests of twinbench play: what is sent goes to a function of the
 * test, which answers or does not; time passes only while twinbench waits.
 */
#include <string.h>
#include "tools/lib/bench.h"

#define WORLD_QUEUE 8192
#define WORLD_UTC 1000000

struct sent { /* one message, as a server reads it */
	struct bench_request r;
	uint32_t client; /* by its hardware address */
	enum bench_way way;
	int64_t at_us;
};

struct answer {
	int64_t at_us;
	struct bench_reply r;
};

static struct world {
	int64_t us;
	struct bench b;
	volatile int stop;
	void (*server)(const struct sent *s);
	void (*flushed)(void);
	struct answer queue[WORLD_QUEUE]; /* in the order of time */
	unsigned first, n;
	uint32_t most_under_way;
	unsigned flushes;
} world;

struct bench_now bench_clock(void)
{
	return (struct bench_now){ world.us, WORLD_UTC + (uint32_t)(world.us / 1000000) };
}

int64_t bench_clock_us(void)
{
	return world.us;
}

uint64_t bench_clock_cpu_us(void)
{
	return 0;
}

void bench_clock_sleep(int64_t us)
{
	world.us += us;
}

uint64_t bench_net_drops(struct bench_net *net)
{
	(void)net;
	return 0;
}

static uint32_t octets(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The server reads what is in the packet, not what twinbench says about it. */
static void read_message(const uint8_t *p, size_t len, struct sent *s)
{
	s->r = (struct bench_request){ .xid = octets(p + DHCP_OFF_XID, 4),
				       .secs = (uint16_t)octets(p + DHCP_OFF_SECS, 2),
				       .ciaddr = octets(p + DHCP_OFF_CIADDR, 4),
				       .giaddr = octets(p + DHCP_OFF_GIADDR, 4) };
	s->client = bench_identity_number(&world.b.conf, p + DHCP_OFF_CHADDR);
	for (size_t i = DHCP_OPTIONS_OFF; i + 1 < len && p[i] != DHO_END; i += 2u + p[i + 1]) {
		if (p[i] == DHO_MESSAGE_TYPE)
			s->r.type = p[i + 2];
		if (p[i] == DHO_REQUESTED_ADDRESS)
			s->r.requested = octets(p + i + 2, 4);
		if (p[i] == DHO_SERVER_ID)
			s->r.server_id = octets(p + i + 2, 4);
	}
}

void bench_net_send(struct bench_net *net, enum bench_way way, const struct bench_request *r,
		    const uint8_t client_mac[6], const struct bench_server *to, const uint8_t *msg,
		    size_t len)
{
	struct sent s = { .way = way, .at_us = world.us };

	(void)net, (void)r, (void)client_mac, (void)to;
	read_message(msg, len, &s);
	if (world.b.under_way > world.most_under_way)
		world.most_under_way = world.b.under_way;
	world.server(&s);
}

void bench_net_flush(struct bench_net *net)
{
	(void)net;
	world.flushes++;
	if (world.flushed)
		world.flushed();
}

/* An answer that arrives so many microseconds from now. */
static void world_answer(const struct sent *s, uint8_t type, uint32_t yiaddr, uint32_t server,
			 uint32_t lease_sec, int64_t after_us)
{
	struct answer a = { world.us + after_us,
			    { .type = type,
			      .xid = s->r.xid,
			      .yiaddr = yiaddr,
			      .server_id = server,
			      .lease_sec = lease_sec } };
	unsigned i = world.n++;

	assert_true(world.n <= WORLD_QUEUE);
	bench_identity_mac(&world.b.conf, s->client, a.r.mac);
	for (; i > 0 && world.queue[(world.first + i - 1) % WORLD_QUEUE].at_us > a.at_us; i--)
		world.queue[(world.first + i) % WORLD_QUEUE] =
			world.queue[(world.first + i - 1) % WORLD_QUEUE];
	world.queue[(world.first + i) % WORLD_QUEUE] = a;
}

void bench_net_receive(struct bench_net *net, int64_t us, bench_reply_fn fn, bench_arp_fn arp,
		       void *arg)
{
	int64_t until = world.us + us;

	(void)net, (void)arp;
	if (world.n && world.queue[world.first].at_us < until)
		until = world.queue[world.first].at_us;
	world.us = until > world.us ? until : world.us;
	while (world.n && world.queue[world.first].at_us <= world.us) {
		struct bench_reply r = world.queue[world.first].r;

		world.first = (world.first + 1) % WORLD_QUEUE;
		world.n--;
		fn(arg, &r);
	}
}

static struct bench *world_init(uint32_t clients, void (*server)(const struct sent *s))
{
	struct bench *b = &world.b;

	memset(&world, 0, sizeof(world));
	world.us = 5000000;
	world.server = server;
	b->conf = (struct bench_conf){ .clients = clients,
				       .window = clients < 64 ? clients : 64,
				       .tries = 4,
				       .timeout_ms = 1000,
				       .listen_ms = 500,
				       .rebind_after = 1 };
	b->stop = &world.stop;
	b->client = test_calloc(clients, sizeof(*b->client));
	b->held = bench_held_new(clients);
	b->pick = bench_pick_new(clients);
	for (uint32_t i = 0; i < clients; i++)
		b->client[i].xid = i;
	return b;
}

static void world_done(void)
{
	test_free(world.b.client);
	bench_held_free(world.b.held);
	bench_pick_free(world.b.pick);
}
