#pragma once
/*
 * Cursors over octets, big-endian. A cursor keeps its first failure: decode straight down and ask
 * `bad` once. Reading past the end gives zeros, writing past it writes nothing. A sub-cursor
 * makes reading beyond an option's end impossible.
 *
 * Callers: every codec (core/dhcp_msg, core/fo_msg, store records).
 */
#include <string.h>
#include "core/types.h"

struct rd {
	const uint8_t *p;
	size_t len; /* octets left */
	bool bad;   /* somebody read past the end */
};

static inline struct rd rd_init(const void *p, size_t len)
{
	return (struct rd){ (const uint8_t *)p, len, false };
}

static inline struct rd rd_of(struct octets o)
{
	return rd_init(o.p, o.len);
}

/* The next @n octets, or NULL and the cursor is bad from then on. NULL is no failure for n = 0. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->len) {
		r->bad = true;
		r->len = 0;
		return NULL;
	}
	if (n)
		r->p += n;
	r->len -= n;
	return p;
}

static inline uint64_t rd_uint(struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);
	uint64_t v = 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)rd_uint(r, 1);
}

static inline uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)rd_uint(r, 2);
}

static inline uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)rd_uint(r, 4);
}

static inline uint64_t rd_u64(struct rd *r)
{
	return rd_uint(r, 8);
}

/* The next @n octets where they lie; empty when there are not so many. */
static inline struct octets rd_octets(struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	return (struct octets){ p, p ? (uint32_t)n : 0 };
}

/* All that is left. */
static inline struct octets rd_rest(struct rd *r)
{
	return rd_octets(r, r->len);
}

/* Copy @n octets out; zeros when there are not so many. */
static inline void rd_copy(struct rd *r, void *ret, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	if (p)
		memcpy(ret, p, n);
	else if (n)
		memset(ret, 0, n);
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_take(r, n);
}

/* A cursor over the next @n octets alone; bad when there are not so many (and so is @r). */
static inline struct rd rd_sub(struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	return (struct rd){ p, r->bad ? 0 : n, r->bad };
}

struct wr {
	uint8_t *p;
	size_t size, len; /* room in all, octets written */
	bool bad;	  /* something did not fit; nothing was written since */
};

static inline struct wr wr_init(void *p, size_t size)
{
	return (struct wr){ (uint8_t *)p, size, 0, false };
}

/* Room for @n octets, or NULL and the cursor is bad from then on. */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	uint8_t *p;

	if (w->bad || n > w->size - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->p + w->len;
	w->len += n;
	return p;
}

static inline void wr_uint(struct wr *w, uint64_t v, size_t n)
{
	uint8_t *p = wr_room(w, n);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_uint(w, v, 1);
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	wr_uint(w, v, 2);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	wr_uint(w, v, 4);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	wr_uint(w, v, 8);
}

static inline void wr_octets(struct wr *w, const void *p, size_t n)
{
	uint8_t *to = wr_room(w, n);

	if (to && n)
		memcpy(to, p, n);
}

static inline void wr_zero(struct wr *w, size_t n)
{
	uint8_t *to = wr_room(w, n);

	if (to && n)
		memset(to, 0, n);
}

/* Write over two octets at @at that were written before (a length known only later). */
static inline void wr_set_u16(struct wr *w, size_t at, uint16_t v)
{
	if (w->bad || at + 2 > w->len)
		return;
	w->p[at] = (uint8_t)(v >> 8);
	w->p[at + 1] = (uint8_t)v;
}
