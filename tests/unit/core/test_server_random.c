/*
 * core/server: whatever clients, partner and time do in any order, no address is promised to two
 * clients.
 */
#include <stdio.h>
#include <time.h>

#include "server_world.h"

#define CLIENTS 40
static uint64_t rng;

static uint32_t chance(uint32_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % n;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_address_for_two_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
