/*
 * twinbench: latencies, in fixed memory whatever their number. Slots grow with the value: one
 * each below 32 us, then 32 for every power of two, so that a percentile is at most 1.6 % off.
 */
#include <math.h>
#include "bench.h"

#define STEPS 32

static unsigned slot_of(uint64_t us)
{
	unsigned power;

	if (us < STEPS)
		return (unsigned)us;
	power = 63 - (unsigned)__builtin_clzll(us);
	return (power - 4) * STEPS + (unsigned)(us >> (power - 5) & (STEPS - 1));
}

/* The middle of a slot. */
static uint64_t value_of(unsigned slot)
{
	unsigned power = slot / STEPS + 4;

	if (slot < STEPS)
		return slot;
	return (1ULL << power) + ((uint64_t)(slot % STEPS) << (power - 5)) +
	       (1ULL << (power - 5)) / 2;
}

/* Less than nothing: the clock was read before the message was, which is no time at all. */
void bench_hist_add(struct bench_hist *h, int64_t signed_us)
{
	uint64_t us = signed_us > 0 ? (uint64_t)signed_us : 0;

	h->min = h->n && h->min < us ? h->min : us;
	h->max = h->max > us ? h->max : us;
	h->n++;
	h->sum += us;
	h->sum_sq += (double)us * (double)us;
	h->slot[slot_of(us)]++;
}

uint64_t bench_hist_at(const struct bench_hist *h, double part)
{
	uint64_t seen = 0, want = (uint64_t)ceil((double)h->n * part);

	for (unsigned i = 0; i < 64 * STEPS; i++) {
		seen += h->slot[i];
		if (h->n && seen >= want)
			return value_of(i) < h->max ? value_of(i) : h->max;
	}
	return h->max;
}
