#pragma once
/*
 * All that explore_world.h holds as one piece of octets, to be put back later, and packed for
 * keeping many of them. Included by explore.c alone.
 */
#include "explore_client.h"
#include "explore_set.h"

struct part {
	uint8_t *p;
	size_t len;
};

static struct part parts[16];
static unsigned n_parts;
static size_t image_size;
static uint8_t *image, *zero_image; /* as it is; as it was at the start */
static uint8_t *packed, *here;	    /* for keeping a state, for leaving one again and again */

static void add_part(void *p, size_t len)
{
	parts[n_parts++] = (struct part){ p, len };
	image_size += len;
}

/* All that can change. The table of NAKs is large and matters to no promise; of the room for
 * acknowledgements little is ever used. */
static void find_parts(void)
{
	n_parts = 0;
	image_size = 0;
	add_part(&w, sizeof(w));
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *e = ep_mem[i], *p = pool_mem[i];
		size_t tail = offsetof(struct fo_endpoint, max_flights);
		size_t naks = (size_t)((uint8_t *)pools[i]->naks - p);
		size_t slots = (size_t)((uint8_t *)pools[i]->slots - p);

		add_part(e, offsetof(struct fo_endpoint, acks) + ACKS);
		add_part(e + tail, ep_size - tail);
		add_part(p, naks);
		add_part(p + slots, pool_octets - slots);
	}
	image_size = (image_size + 7) & ~(size_t)7;
	image = seen_alloc(image_size, 1);
	zero_image = seen_alloc(image_size, 1);
	packed = seen_alloc(image_size, 2);
	here = seen_alloc(image_size, 1);
}

static void gather(uint8_t *to)
{
	for (unsigned k = 0; k < n_parts; to += parts[k++].len)
		memcpy(to, parts[k].p, parts[k].len);
}

static void scatter(const uint8_t *from)
{
	for (unsigned k = 0; k < n_parts; from += parts[k++].len)
		memcpy(parts[k].p, from, parts[k].len);
}

/* What differs from the start, in words of 8 octets: runs of (same, different, words). */
static size_t pack(uint8_t *to)
{
	const uint64_t *now = (const uint64_t *)(void *)image;
	const uint64_t *then = (const uint64_t *)(void *)zero_image;
	size_t words = image_size / 8, at = 0, len = 0;

	while (at < words) {
		size_t from = at, diff;
		uint16_t run[2];

		while (at < words && now[at] == then[at])
			at++;
		diff = at;
		while (at < words && now[at] != then[at])
			at++;
		run[0] = (uint16_t)(diff - from);
		run[1] = (uint16_t)(at - diff);
		memcpy(to + len, run, 4);
		memcpy(to + len + 4, now + diff, (at - diff) * 8);
		len += 4 + (at - diff) * 8;
	}
	return len;
}

static void unpack(const uint8_t *from, size_t len)
{
	size_t at = 0;

	memcpy(image, zero_image, image_size);
	for (size_t k = 0; k < len;) {
		uint16_t run[2];

		memcpy(run, from + k, 4);
		at += run[0];
		memcpy(image + at * 8, from + k + 4, run[1] * 8u);
		at += run[1];
		k += 4 + run[1] * 8u;
	}
}
