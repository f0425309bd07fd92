/*
 * twinbench: the loop. A phase starts one exchange per client, a mix draws client and exchange by
 * weight; both in a closed loop (so many under way) or by the clock (so many per second). Called by
 * twinbench.c, phase after phase.
 */
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

#define BEGIN_MAX 64 /* in one turn: answers are taken in time also when many are due */

extern char **environ;

/* --- what begins next ------------------------------------------------------------------------- */

static uint64_t wanted_in_all(const struct bench *b)
{
	if (b->conf.rate > 0 && b->conf.period > 0)
		return (uint64_t)(b->conf.rate * b->conf.period);
	return b->conf.exchanges ?: b->conf.clients;
}

static bool all_begun(const struct bench *b)
{
	bool timed = b->conf.rate <= 0 && b->conf.period > 0;

	if (timed && (double)(b->now.us - b->phase_us) >= b->conf.period * 1e6)
		return true;
	return (!timed || b->conf.exchanges) && b->begun >= wanted_in_all(b);
}

static uint32_t draw(struct bench *b)
{
	b->random = bench_mix64(b->random);
	return (uint32_t)(b->random >> 32);
}

/* New ones first for a DORA, for all others one with a lease; whoever is there when there is none.
 */
static uint32_t draw_client(struct bench *b, enum bench_phase kind)
{
	enum bench_class first = kind == PH_DORA || kind == PH_DISCOVER ? CLASS_NEW : CLASS_LEASED;
	uint32_t n = bench_pick_any(b->pick, first, draw(b));

	if (n != BENCH_NONE)
		return n;
	return bench_pick_any(b->pick, first == CLASS_NEW ? CLASS_LEASED : CLASS_NEW, draw(b));
}

/* Whoever should begin has not ended: in a closed loop the next one begins in its place. */
static void skip(struct bench *b)
{
	b->k.busy += b->conf.rate > 0;
}

static void begin_mixed(struct bench *b, int64_t due_us)
{
	enum bench_phase kind = bench_pick_kind(b->conf.weight, draw(b));
	uint32_t n = draw_client(b, kind);

	if (n == BENCH_NONE) {
		skip(b);
		return;
	}
	if (!bench_has_lease(b, &b->client[n])) { /* it may have run out meanwhile */
		bench_forget(b, &b->client[n]);
		kind = kind == PH_DISCOVER ? kind : PH_DORA;
	}
	bench_exchange_begin(b, n, kind, due_us);
}

static void begin_next(struct bench *b, uint32_t n, int64_t due_us)
{
	const struct bench_client *cl = &b->client[n];

	if (b->now.us - due_us > (int64_t)b->k.behind_us)
		b->k.behind_us = (uint64_t)(b->now.us - due_us);
	if (b->phase == PH_MIX)
		begin_mixed(b, due_us);
	else if (cl->state != CL_IDLE)
		skip(b);
	else if (b->phase == PH_DISCOVER || b->phase == PH_DORA || bench_has_lease(b, cl))
		bench_exchange_begin(b, n, b->phase, due_us);
}

static int64_t due_at(const struct bench *b, uint64_t number)
{
	return b->phase_us + (int64_t)((double)number * 1e6 / b->conf.rate);
}

/* By the clock: an exchange counts from the moment when it was due, also when we are late. */
static bool is_next(const struct bench *b, int64_t *due_us)
{
	*due_us = b->conf.rate > 0 ? due_at(b, b->begun) : b->now.us;
	if (b->conf.rate > 0)
		return *due_us <= b->now.us;
	return b->under_way < b->conf.window;
}

static void begin_some(struct bench *b)
{
	int64_t due_us;

	for (unsigned i = 0; i < BEGIN_MAX && !all_begun(b) && is_next(b, &due_us); i++) {
		begin_next(b, (uint32_t)(b->begun % b->conf.clients), due_us);
		b->begun++;
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static const uint8_t *on_arp(void *arg, uint32_t addr, uint8_t scratch[6])
{
	struct bench *b = arg;
	uint32_t n = bench_held_owner(b->held, addr);

	if (n == BENCH_NONE)
		return NULL;
	bench_identity_mac(&b->conf, b->conf.first + n, scratch);
	return scratch;
}

static int64_t pause_us(const struct bench *b)
{
	int64_t next = bench_wait_next(b, b->now.us + 20000);

	if (!all_begun(b)) {
		int64_t due_us;

		if (is_next(b, &due_us))
			return 0;
		if (b->conf.rate > 0 && due_us < next)
			next = due_us;
	}
	return next > b->now.us ? next - b->now.us : 0;
}

static void run_event(struct bench *b)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, NULL, NULL };
	char *command;
	pid_t pid;

	if (!b->event.command || b->event_us ||
	    (double)(b->now.us - b->phase_us) < b->event.at * 1e6)
		return;
	command = strdup(b->event.command);
	argv[2] = command;
	b->event_us = b->now.us;
	if (!command || posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ))
		fprintf(stderr, "twinbench: cannot run: %s\n", b->event.command);
	free(command);
}

static void set_classes(struct bench *b)
{
	for (uint32_t i = 0; b->phase == PH_MIX && i < b->conf.clients; i++)
		bench_pick_move(b->pick, i,
				bench_has_lease(b, &b->client[i]) ? CLASS_LEASED : CLASS_NEW);
}

static void reset(struct bench *b, enum bench_phase phase)
{
	b->phase = phase;
	memset(&b->k, 0, sizeof(b->k));
	bench_wait_init(b);
	b->under_way = 0;
	b->begun = 0;
	for (uint32_t i = 0; i < b->conf.clients; i++)
		b->client[i].state = CL_IDLE;
	b->now = bench_clock();
	set_classes(b);
	b->phase_us = b->now.us;
}

void bench_run_phase(struct bench *b, enum bench_phase phase)
{
	uint64_t cpu = bench_clock_cpu_us(), drops = bench_net_drops(b->net);

	reset(b, phase);
	while (!*b->stop && (!all_begun(b) || b->under_way > 0)) {
		run_event(b);
		begin_some(b);
		bench_wait_run_out(b);
		bench_net_flush(b->net);
		if (b->conf.nap_us > 0)
			bench_clock_sleep(b->conf.nap_us);
		bench_net_receive(b->net, pause_us(b), bench_exchange_reply, on_arp, b);
		b->now = bench_clock();
	}
	bench_net_flush(b->net);
	if (b->leases)
		fflush(b->leases);
	b->k.cpu_us = bench_clock_cpu_us() - cpu;
	b->k.drops = bench_net_drops(b->net) - drops;
	b->k.seconds = (double)(b->now.us - b->phase_us) / 1e6;
}
