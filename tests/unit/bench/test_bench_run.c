/* The exchanges of twinbench before a network and clocks that are played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench_world.h"

#define SERVER 77
#define LEASE 600
#define RTT_US 200

/* How many of a histogram took that long and longer. */
static uint64_t at_least_us(const struct bench_hist *h, uint64_t us)
{
	struct bench_hist probe = { 0 };
	uint64_t n = 0;
	unsigned slot = 0;

	bench_hist_add(&probe, (int64_t)us);
	while (!probe.slot[slot])
		slot++;
	for (; slot < sizeof(h->slot) / sizeof(h->slot[0]); slot++)
		n += h->slot[slot];
	return n;
}

/* Each client has its own address; every request is granted. */
static void honest(const struct sent *s)
{
	if (s->r.type == DHCPDISCOVER)
		world_answer(s, DHCPOFFER, 1000 + s->client, SERVER, LEASE, RTT_US);
	if (s->r.type == DHCPREQUEST)
		world_answer(s, DHCPACK, 1000 + s->client, SERVER, LEASE, RTT_US);
}

/* --- time ------------------------------------------------------------------------------------- */

static void half_a_second_is_lost(void)
{
	if (world.us < 6000000)
		return;
	world.us += 500000;
	world.flushed = NULL;
}

/* Whoever was due while the generator itself stood still has waited since then. */
static void latency_counts_from_when_it_was_due(void **state)
{
	struct bench *b = world_init(2000, honest);

	(void)state;
	b->conf.rate = 1000;
	b->conf.period = 2;
	world.flushed = half_a_second_is_lost;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 2000);
	assert_in_range(at_least_us(&b->k.offer, 100000), 390, 410);
	assert_in_range(at_least_us(&b->k.offer, 250000), 240, 260);
	assert_in_range(b->k.offer.max, 499000, 502000);
	assert_in_range(b->k.behind_us, 499000, 501000);
	assert_in_range(b->k.ack.max, RTT_US, 2 * RTT_US); /* of a REQUEST: from its OFFER */
	world_done();
}

static void stalls_for_half_a_second(const struct sent *s)
{
	int64_t wait = s->at_us >= 6000000 && s->at_us < 6500000 ? 6500000 - s->at_us : RTT_US;

	world_answer(s, s->r.type == DHCPDISCOVER ? DHCPOFFER : DHCPACK, 1000 + s->client, SERVER,
		     LEASE, wait);
}

/* A server that stands still does not slow down what is sent to it. */
static void the_open_loop_does_not_wait(void **state)
{
	struct bench *b = world_init(2000, stalls_for_half_a_second);

	(void)state;
	b->conf.rate = 1000;
	b->conf.period = 2;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 2000);
	assert_in_range(at_least_us(&b->k.offer, 100000), 390, 410);
	assert_true(b->k.behind_us < 1000);
	assert_true(b->k.seconds < 2.1);
	world_done();
}

/* Fewer turns, the same exchanges, and the rest counts as waiting. */
static void a_nap_makes_batches(void **state)
{
	struct bench *b = world_init(2000, honest);

	(void)state;
	b->conf.rate = 20000;
	b->conf.period = .1;
	b->conf.nap_us = 1000;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 2000);
	assert_in_range(world.flushes, 95, 110);
	assert_true(bench_hist_at(&b->k.offer, .5) > RTT_US + 500);
	world_done();
}

static void the_window_is_kept(void **state)
{
	struct bench *b = world_init(2000, honest);

	(void)state;
	b->conf.window = 10;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 2000);
	assert_int_equal(world.most_under_way, 10);
	b->conf.period = 1; /* round and round, until time is up */
	bench_run_phase(b, PH_RENEW);
	assert_in_range(b->k.done, 40000, 60000);
	assert_int_equal(b->k.busy, 0);
	world_done();
}

static void all_but_the_first(const struct sent *s)
{
	if (s->client)
		honest(s);
}

/* In a closed loop the others go on beside one that waits, and nothing is amiss. */
static void one_that_waits_is_passed_by(void **state)
{
	struct bench *b = world_init(5, all_but_the_first);

	(void)state;
	b->conf.period = 1;
	bench_run_phase(b, PH_DORA);
	assert_true(b->k.done > 4000);
	assert_int_equal(b->k.failed, 1);
	assert_int_equal(b->k.busy, 0);
	world_done();
}

/* --- what is sent again ----------------------------------------------------------------------- */

static struct sent heard[64];
static unsigned n_heard;

static void silent(const struct sent *s)
{
	heard[n_heard++ % 64] = *s;
}

static void expect_waits(const int64_t wait_ms[6])
{
	struct bench *b = world_init(1, silent);

	n_heard = 0;
	b->conf.tries = 7;
	b->conf.timeout_ms = (uint32_t)wait_ms[0];
	b->conf.jitter_ms = 1000;
	b->conf.backoff = true;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(n_heard, 7);
	for (unsigned i = 0; i < 6; i++)
		assert_in_range((heard[i + 1].at_us - heard[i].at_us) / 1000, wait_ms[i] - 1000,
				wait_ms[i] + 1001);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(heard[i].r.secs, (heard[i].at_us - heard[0].at_us) / 1000000);
	assert_int_equal(b->k.failed, 1);
	assert_int_equal(b->k.lost, 7);
	assert_int_equal(b->k.resent, 6);
	world_done();
}

static void again_and_again_as_rfc_2131_says(void **state)
{
	static const int64_t rfc[] = { 4000, 8000, 16000, 32000, 64000, 64000 };
	static const int64_t odd[] = { 5000, 10000, 20000, 40000, 64000, 64000 };

	(void)state;
	expect_waits(rfc);
	expect_waits(odd);
}

static void no_offer_is_a_loss_as_well(void **state)
{
	struct bench *b = world_init(3, silent);

	(void)state;
	bench_run_phase(b, PH_DISCOVER);
	assert_int_equal(b->k.failed, 3);
	assert_int_equal(b->k.lost, 3);
	world.server = honest;
	bench_run_phase(b, PH_DISCOVER);
	assert_int_equal(b->k.done, 3);
	assert_int_equal(b->k.lost, 0);
	world_done();
}

/* Clients that began together do not come back together. */
static void jitter_spreads(void **state)
{
	struct bench *b = world_init(32, silent);
	unsigned times = 1;

	(void)state;
	n_heard = 0;
	b->conf.tries = 2;
	b->conf.jitter_ms = 500;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(n_heard, 64);
	for (unsigned i = 33; i < 64; i++)
		times += heard[i].at_us != heard[i - 1].at_us;
	assert_in_range(times, 5, BENCH_JITTERS);
	world_done();
}

static void first_two_requests_are_lost(const struct sent *s)
{
	silent(s);
	if (s->r.type == DHCPDISCOVER && n_heard > 1)
		world_answer(s, DHCPOFFER, 1000, SERVER, LEASE, RTT_US);
	if (s->r.type == DHCPREQUEST && n_heard == 4)
		world_answer(s, DHCPACK, 1000, SERVER, LEASE, RTT_US);
}

/* DISCOVER (lost), DISCOVER, REQUEST (lost), REQUEST. */
static void a_lost_request_counts_from_its_first_time(void **state)
{
	struct bench *b = world_init(1, first_two_requests_are_lost);

	(void)state;
	n_heard = 0;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 1);
	assert_int_equal(n_heard, 4);
	assert_int_equal(heard[3].r.type, DHCPREQUEST);
	assert_int_equal(heard[1].r.secs, 1);
	assert_int_equal(heard[3].r.secs, 1); /* as the DISCOVER that was answered */
	assert_in_range(b->k.ack.max, 1000000, 1001000);
	assert_in_range(b->k.offer.max, 1000000, 1001000);
	assert_int_equal(b->k.lost, 2);
	assert_int_equal(b->client[0].expiry, WORLD_UTC + 6 + LEASE); /* from the first REQUEST */
	world_done();
}

static void two_requests_are_lost(const struct sent *s)
{
	silent(s);
	if (s->r.type == DHCPDISCOVER)
		world_answer(s, DHCPOFFER, 1000, SERVER, LEASE, RTT_US);
	if (s->r.type == DHCPREQUEST && n_heard == 5)
		world_answer(s, DHCPACK, 1000, SERVER, LEASE, RTT_US);
}

/* DISCOVER, REQUEST (lost), REQUEST (lost), DISCOVER, REQUEST: two seconds in vain are seen. */
static void a_new_discover_hides_no_lost_request(void **state)
{
	struct bench *b = world_init(1, two_requests_are_lost);

	(void)state;
	n_heard = 0;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->k.done, 1);
	assert_int_equal(n_heard, 5);
	assert_int_equal(heard[3].r.type, DHCPDISCOVER);
	assert_in_range(b->k.ack.max, 2000000, 2001000);
	assert_int_equal(b->client[0].expiry, WORLD_UTC + 7 + LEASE); /* from the third REQUEST */
	world.us += 1000000;
	n_heard = 3;
	bench_run_phase(b, PH_RETURN); /* the next exchange has a time of its own */
	assert_int_equal(b->k.done, 1);
	assert_in_range(b->k.ack.max, RTT_US, 2 * RTT_US);
	world_done();
}

/* --- one address, one client ------------------------------------------------------------------ */

/* Clients 0 and 1 get the same address, each from another server. */
static void split_brain(const struct sent *s)
{
	uint8_t type = s->r.type == DHCPDISCOVER ? DHCPOFFER : DHCPACK;

	if (s->r.type == DHCPDISCOVER || s->r.type == DHCPREQUEST)
		world_answer(s, type, 1000 + s->client / 2, SERVER + s->client, 10, RTT_US);
}

static void an_address_given_twice_is_noticed(void **state)
{
	struct bench *b = world_init(2, split_brain);

	(void)state;
	b->conf.window = 1;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->duplicates, 1);
	assert_int_equal(b->server[0].acks, 1);
	assert_int_equal(b->server[1].acks, 1);
	world_done();
}

static void released_or_run_out_it_may_be_given_again(void **state)
{
	static const enum bench_phase gives_up[] = { PH_RELEASE, PH_DECLINE };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bench *b = world_init(2, split_brain);

		b->conf.clients = 1;
		bench_run_phase(b, PH_DORA);
		assert_true(bench_has_lease(b, &b->client[0]));
		if (i < 2)
			bench_run_phase(b, gives_up[i]);
		else
			world.us += 10 * 1000000;
		b->conf.clients = 2;
		bench_exchange_begin(b, 1, PH_DORA, world.us);
		bench_net_receive(NULL, 1000, bench_exchange_reply, NULL, b);
		b->now = bench_clock();
		bench_net_receive(NULL, 1000, bench_exchange_reply, NULL, b);
		assert_int_equal(b->client[1].held, 1000);
		assert_int_equal(b->duplicates, 0);
		world_done();
	}
}

static void refuses(const struct sent *s)
{
	if (s->r.type == DHCPDISCOVER)
		world_answer(s, DHCPOFFER, 1000, SERVER, LEASE, RTT_US);
	else
		world_answer(s, DHCPNAK, 0, SERVER, 0, RTT_US);
}

static void nobody_holds_what_was_refused(void **state)
{
	struct bench *b = world_init(1, honest);

	(void)state;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(bench_held_owner(b->held, 1000), 0);
	world.server = refuses;
	bench_run_phase(b, PH_REBOOT);
	assert_int_equal(b->k.naks, 1);
	assert_int_equal(b->k.failed, 1);
	assert_int_equal(bench_held_owner(b->held, 1000), BENCH_NONE);
	assert_false(bench_has_lease(b, &b->client[0]));
	bench_run_phase(b, PH_DORA); /* from the start after each NAK, as often as --tries */
	assert_int_equal(b->k.naks, 4);
	assert_int_equal(b->k.failed, 1);
	assert_int_equal(b->k.lost, 0);
	world_done();
}

/* --- relays and mixes ------------------------------------------------------------------------- */

static void behind_its_relay(const struct sent *s)
{
	if (s->way == WAY_ALL)
		assert_int_equal(s->r.giaddr, 10 + s->client % 3);
	else
		assert_int_equal(s->r.giaddr, 0);
	honest(s);
}

static void each_client_has_its_relay(void **state)
{
	struct bench *b = world_init(31, behind_its_relay);

	(void)state;
	for (b->n_relays = 0; b->n_relays < 3; b->n_relays++)
		b->relay[b->n_relays].giaddr = 10 + b->n_relays;
	bench_run_phase(b, PH_DORA);
	assert_int_equal(b->relay[0].acks, 11);
	assert_int_equal(b->relay[2].acks, 10);
	assert_int_equal(b->relay[1].offers, 10);
	bench_run_phase(b, PH_RENEW);
	assert_int_equal(b->k.done, 31);
	bench_run_phase(b, PH_REBIND);
	assert_int_equal(b->k.done, 31);
	world_done();
}

/* A server of an earlier run, whose hardware address direct clients do not know any more. */
static void a_server_not_heard_yet_is_asked_by_broadcast(void **state)
{
	struct bench *b = world_init(1, silent);

	(void)state;
	b->conf.tries = 1;
	for (unsigned relays = 0; relays < 2; relays++) {
		n_heard = 0;
		b->n_relays = relays;
		b->client[0].addr = b->client[0].held = 1000;
		b->client[0].server_id = SERVER;
		b->client[0].expiry = UINT32_MAX;
		bench_run_phase(b, PH_RENEW);
		assert_int_equal(n_heard, 1);
		assert_int_equal(heard[0].r.ciaddr, 1000);
		assert_int_equal(heard[0].way, relays ? WAY_SERVER : WAY_ALL);
	}
	world_done();
}

static bool leased[1000];

/* Answers as if each client's own state were known: it does only what that allows. */
static void strict(const struct sent *s)
{
	bool had = leased[s->client];

	assert_true(s->client < 1000);
	if (s->r.type == DHCPRELEASE || s->r.type == DHCPDECLINE || s->r.ciaddr)
		assert_true(had);
	if (s->r.type == DHCPREQUEST && !s->r.server_id)
		assert_true(had);
	if (s->r.ciaddr)
		assert_int_equal(s->r.ciaddr, 1000 + s->client);
	if (s->r.type == DHCPREQUEST)
		leased[s->client] = true;
	if (s->r.type == DHCPRELEASE || s->r.type == DHCPDECLINE)
		leased[s->client] = false;
	honest(s);
}

static void a_mix_does_what_each_state_allows(void **state)
{
	struct bench *b = world_init(1000, strict);
	const struct bench_kind *k = b->k.kind;
	uint64_t sum = 0;

	(void)state;
	memset(leased, 0, sizeof(leased));
	b->conf.weight[PH_DORA] = 40;
	b->conf.weight[PH_RENEW] = 30;
	b->conf.weight[PH_REBIND] = 5;
	b->conf.weight[PH_REBOOT] = 10;
	b->conf.weight[PH_RELEASE] = 7;
	b->conf.weight[PH_DECLINE] = 3;
	b->conf.weight[PH_RETURN] = 5;
	b->conf.exchanges = 100000;
	bench_run_phase(b, PH_MIX);
	for (unsigned i = 0; i < BENCH_KINDS; i++)
		sum += k[i].done;
	assert_int_equal(sum, 100000);
	assert_int_equal(b->k.done, 100000);
	assert_int_equal(b->k.failed, 0);
	assert_int_equal(b->duplicates, 0);
	assert_int_equal(k[PH_DISCOVER].started, 0);
	assert_in_range(k[PH_DORA].done, 39000, 41000);
	assert_in_range(k[PH_RENEW].done, 29500, 30500);
	assert_in_range(k[PH_RELEASE].done, 6700, 7300);
	assert_in_range(k[PH_RETURN].done, 4700, 5300);
	world_done();
}

/* By the clock, with leases that run out: more clients than are busy, so nobody is missing. */
static void short_leases(const struct sent *s)
{
	if (s->r.type == DHCPDISCOVER)
		world_answer(s, DHCPOFFER, 1000 + s->client, SERVER, 2, RTT_US);
	if (s->r.type == DHCPREQUEST)
		world_answer(s, DHCPACK, 1000 + s->client, SERVER, 2, RTT_US);
}

static void a_lease_that_ran_out_begins_again(void **state)
{
	struct bench *b = world_init(1000, short_leases);

	(void)state;
	b->conf.weight[PH_DORA] = 1;
	b->conf.weight[PH_RENEW] = 1;
	b->conf.rate = 500;
	b->conf.period = 20;
	bench_run_phase(b, PH_MIX);
	assert_int_equal(b->k.done, 10000);
	assert_int_equal(b->k.busy, 0);
	assert_true(b->k.kind[PH_DORA].done > 6000);
	assert_true(b->k.kind[PH_RENEW].done > 1000);
	world_done();
}

static void nobody_to_ask_is_counted(void **state)
{
	struct bench *b = world_init(5, silent);

	(void)state;
	b->conf.weight[PH_RENEW] = 1;
	b->conf.rate = 100;
	b->conf.period = 1;
	b->conf.tries = 2;
	bench_run_phase(b, PH_MIX);
	assert_int_equal(b->k.kind[PH_DORA].failed, 5);
	assert_int_equal(b->k.busy, 95);
	world_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latency_counts_from_when_it_was_due),
		cmocka_unit_test(the_open_loop_does_not_wait),
		cmocka_unit_test(a_nap_makes_batches),
		cmocka_unit_test(the_window_is_kept),
		cmocka_unit_test(one_that_waits_is_passed_by),
		cmocka_unit_test(again_and_again_as_rfc_2131_says),
		cmocka_unit_test(no_offer_is_a_loss_as_well),
		cmocka_unit_test(jitter_spreads),
		cmocka_unit_test(a_lost_request_counts_from_its_first_time),
		cmocka_unit_test(a_new_discover_hides_no_lost_request),
		cmocka_unit_test(an_address_given_twice_is_noticed),
		cmocka_unit_test(released_or_run_out_it_may_be_given_again),
		cmocka_unit_test(nobody_holds_what_was_refused),
		cmocka_unit_test(each_client_has_its_relay),
		cmocka_unit_test(a_server_not_heard_yet_is_asked_by_broadcast),
		cmocka_unit_test(a_mix_does_what_each_state_allows),
		cmocka_unit_test(a_lease_that_ran_out_begins_again),
		cmocka_unit_test(nobody_to_ask_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
