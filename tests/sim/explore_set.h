#pragma once
/*
 * What has been seen, for the two exploring programs: states by a 64 bit digest, each with the
 * step that first led to it, so that the shortest way there can be told. Two states with one digest
 * would be taken for one: with ten million of them the odds are 1 to 370,000.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
	uint64_t *keys;	 /* open addressing; 0 = empty */
	uint32_t *which; /* number of the state under that key */
	uint32_t *parent;
	uint16_t *step; /* from the parent */
	uint8_t *depth;
	uint32_t n, room, mask;
};

#define SEEN_NONE UINT32_MAX

static inline void *seen_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	return p;
}

static inline void seen_init(struct seen *s, uint32_t room)
{
	uint32_t slots = 1024;

	while (slots < room / 2 * 3)
		slots *= 2;
	*s = (struct seen){ .room = room, .mask = slots - 1 };
	s->keys = seen_alloc(slots, sizeof(*s->keys));
	s->which = seen_alloc(slots, sizeof(*s->which));
	s->parent = seen_alloc(room, sizeof(*s->parent));
	s->step = seen_alloc(room, sizeof(*s->step));
	s->depth = seen_alloc(room, 1);
}

static inline void seen_done(struct seen *s)
{
	free(s->keys);
	free(s->which);
	free(s->parent);
	free(s->step);
	free(s->depth);
}

static inline uint32_t seen_slot(const struct seen *s, uint64_t key)
{
	uint32_t i = (uint32_t)(key >> 20) & s->mask;

	while (s->keys[i] && s->keys[i] != key)
		i = (i + 1) & s->mask;
	return i;
}

static inline uint32_t seen_find(const struct seen *s, uint64_t key)
{
	uint32_t i = seen_slot(s, key | 1);

	return s->keys[i] ? s->which[i] : SEEN_NONE;
}

/* Return: its number, *fresh whether it is new; SEEN_NONE when there is no room. */
static inline uint32_t seen_add(struct seen *s, uint64_t key, uint32_t parent, unsigned step,
				bool *fresh)
{
	uint32_t i = seen_slot(s, key | 1);

	*fresh = false;
	if (s->keys[i])
		return s->which[i];
	if (s->n == s->room)
		return SEEN_NONE;
	*fresh = true;
	s->keys[i] = key | 1;
	s->which[i] = s->n;
	s->parent[s->n] = parent;
	s->step[s->n] = (uint16_t)step;
	s->depth[s->n] = parent == SEEN_NONE ? 0 : (uint8_t)(s->depth[parent] + 1);
	return s->n++;
}

/* The steps from the start to a state. Return: how many. */
static inline unsigned seen_path(const struct seen *s, uint32_t at, uint16_t *ret, unsigned max)
{
	unsigned n = s->depth[at];

	for (unsigned i = n; i-- > 0; at = s->parent[at])
		if (i < max)
			ret[i] = s->step[at];
	return n < max ? n : max;
}

static inline uint64_t seen_mix(uint64_t h, uint64_t v)
{
	h ^= v + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
	h *= 0xff51afd7ed558ccdULL;
	return h ^ h >> 32;
}

static inline uint64_t seen_mix_bytes(uint64_t h, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (; len >= 8; b += 8, len -= 8) {
		uint64_t v;

		memcpy(&v, b, 8);
		h = seen_mix(h, v);
	}
	while (len--)
		h = seen_mix(h, *b++);
	return h;
}
