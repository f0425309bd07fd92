#pragma once
/*
 * Values that every module of the core shares. Addresses are host order inside the core; only
 * the codecs swap. Two clocks in two types that cannot be mixed (each is read once per turn).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	int64_t us;
} mono_t; /* since boot: timers only */
typedef struct {
	int64_t sec;
} wall_t; /* UTC: lease times, disk, peer messages */

struct now {
	mono_t mono;
	wall_t wall;
};

/* Absolute times kept per lease: seconds UTC, 0 = never or unknown, never above this (the
 * partner may be an ISC dhcpd, whose time is a signed 32 bit number). */
#define SEC_MAX 0x7fffffffu
#define SEC_INFINITE 0xffffffffu /* a lease *duration* without end, RFC 2131 §3.3 */

#define MONO_NEVER ((mono_t){ INT64_MAX })

/* A run of octets that somebody else owns. */
struct octets {
	const uint8_t *p;
	uint32_t len;
};

static inline uint32_t sec_clamp(int64_t sec)
{
	return sec < 0 ? 0 : sec > (int64_t)SEC_MAX ? SEC_MAX : (uint32_t)sec;
}

/* A UTC second of a clock that was set by so many; 0, no time, and SEC_MAX, for ever, stay. */
static inline uint32_t sec_shift(uint32_t at, int64_t by_sec)
{
	int64_t to = (int64_t)at + by_sec;

	if (!at || at >= SEC_MAX)
		return at;
	return to < 1 ? 1 : to < SEC_MAX ? (uint32_t)to : SEC_MAX - 1;
}

/* Of two UTC seconds; 0, which stands for never or for none, is before all. */
static inline uint32_t sec_later(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline mono_t mono_add_us(mono_t t, int64_t us)
{
	return (mono_t){ t.us > INT64_MAX - us ? INT64_MAX : t.us + us };
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
	return a.us < b.us ? a : b;
}
