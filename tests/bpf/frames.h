#pragma once
/*
 * Frames for tests, written down as one reads them: a description with defaults (a broadcast
 * DISCOVER without tags from 02:00:00:00:00:01), options appended one by one, then frame_build.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "shared/dhcp_wire.h"

#define FRAME_MAX 4096

struct frame_spec {
	uint16_t vlan[3];
	unsigned n_vlans;
	uint16_t tag;	     /* ethertype of the tags; 0 is 802.1Q */
	unsigned ip_options; /* words */
	uint8_t src[4], dst[4];
	uint16_t sport, dport;
	uint8_t op, hlen, mac[6];
	uint16_t secs;
	uint8_t giaddr[4];
	uint8_t sname[64], file[128];
	uint8_t opt[3600];
	unsigned n_opt;
};

struct frame {
	uint8_t b[FRAME_MAX];
	unsigned len;
	unsigned ip, udp, msg; /* offsets */
};

/* A client on the wire: no address yet, broadcast. @type 0: without option 53. */
static inline struct frame_spec frame_direct(uint8_t type)
{
	struct frame_spec s = { .dst = { 255, 255, 255, 255 },
				.sport = 68,
				.dport = 67,
				.op = BOOTREQUEST,
				.hlen = 6,
				.mac = { 2, 0, 0, 0, 0, 1 } };

	if (type) {
		s.opt[0] = DHO_MESSAGE_TYPE;
		s.opt[1] = 1;
		s.opt[2] = type;
		s.n_opt = 3;
	}
	return s;
}

/* Through a relay at 10.1.x.1, to our address 192.0.2.1. */
static inline struct frame_spec frame_relayed(uint8_t type, uint8_t third_octet)
{
	struct frame_spec s = frame_direct(type);

	memcpy(s.src, (uint8_t[]){ 10, 1, third_octet, 1 }, 4);
	memcpy(s.dst, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	memcpy(s.giaddr, s.src, 4);
	s.sport = 67;
	return s;
}

static inline void frame_room(const struct frame_spec *s, unsigned n)
{
	if (s->n_opt + n > sizeof(s->opt))
		abort(); /* a fault of the test */
}

static inline void frame_raw(struct frame_spec *s, const void *octets, unsigned n)
{
	frame_room(s, n);
	memcpy(s->opt + s->n_opt, octets, n);
	s->n_opt += n;
}

static inline void frame_option(struct frame_spec *s, uint8_t code, const void *value, uint8_t len)
{
	frame_raw(s, (uint8_t[]){ code, len }, 2);
	frame_raw(s, value, len);
}

static inline void frame_fill(struct frame_spec *s, uint8_t octet, unsigned n)
{
	frame_room(s, n);
	memset(s->opt + s->n_opt, octet, n);
	s->n_opt += n;
}

static inline void frame_end(struct frame_spec *s)
{
	frame_fill(s, DHO_END, 1);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void frame_message(const struct frame_spec *s, uint8_t *m)
{
	memset(m, 0, DHCP_OPTIONS_OFF);
	m[0] = s->op;
	m[DHCP_OFF_HTYPE] = 1;
	m[DHCP_OFF_HLEN] = s->hlen;
	put16(m + DHCP_OFF_SECS, s->secs);
	memcpy(m + DHCP_OFF_GIADDR, s->giaddr, 4);
	memcpy(m + DHCP_OFF_CHADDR, s->mac, 6);
	memcpy(m + DHCP_OFF_SNAME, s->sname, 64);
	memcpy(m + DHCP_OFF_FILE, s->file, 128);
	put16(m + DHCP_FIXED_LEN, DHCP_COOKIE >> 16);
	put16(m + DHCP_FIXED_LEN + 2, DHCP_COOKIE & 0xffff);
	memcpy(m + DHCP_OPTIONS_OFF, s->opt, s->n_opt);
}

/* IPv4 and UDP lengths of what is there now; checksums stay 0, the filter does not look at them. */
static inline void frame_lengths(struct frame *f)
{
	put16(f->b + f->ip + 2, f->len - f->ip);
	put16(f->b + f->udp + 4, f->len - f->udp);
}

static inline void frame_build(const struct frame_spec *s, struct frame *f)
{
	unsigned at = 12;

	memset(f->b, 0, sizeof(f->b));
	memset(f->b, 0xff, 6);
	memcpy(f->b + 6, s->mac, 6);
	for (unsigned i = 0; i < s->n_vlans; i++, at += 4) {
		put16(f->b + at, s->tag ? s->tag : 0x8100);
		put16(f->b + at + 2, s->vlan[i]);
	}
	put16(f->b + at, 0x0800);
	f->ip = at + 2;
	f->b[f->ip] = (uint8_t)(0x45 + s->ip_options);
	f->b[f->ip + 8] = 64;
	f->b[f->ip + 9] = 17;
	memcpy(f->b + f->ip + 12, s->src, 4);
	memcpy(f->b + f->ip + 16, s->dst, 4);
	f->udp = f->ip + 20 + 4 * s->ip_options;
	memset(f->b + f->ip + 20, 1, 4 * s->ip_options); /* no-operation */
	put16(f->b + f->udp, s->sport);
	put16(f->b + f->udp + 2, s->dport);
	f->msg = f->udp + 8;
	frame_message(s, f->b + f->msg);
	f->len = f->msg + DHCP_OPTIONS_OFF + s->n_opt;
	frame_lengths(f);
}
