#pragma once
/*
 * DHCP messages for tests, written down in the order of the wire. A message that outgrows its
 * buffer shows as wr.bad, which db_done turns into length 0.
 */
#include "core/wire.h"
#include "shared/dhcp_wire.h"

struct dhcp_build {
	struct wr w;
	uint8_t buf[4096];
};

static inline void db_put16(struct dhcp_build *b, size_t at, uint16_t v)
{
	wr_set_u16(&b->w, at, v);
}

static inline void db_put32(struct dhcp_build *b, size_t at, uint32_t v)
{
	wr_set_u16(&b->w, at, (uint16_t)(v >> 16));
	wr_set_u16(&b->w, at + 2, (uint16_t)v);
}

/* A request of Ethernet address 02:00:00:00:00:@host with the cookie; options follow. */
static inline void db_init(struct dhcp_build *b, uint8_t host)
{
	b->w = wr_init(b->buf, sizeof(b->buf));
	wr_zero(&b->w, DHCP_FIXED_LEN);
	wr_u32(&b->w, DHCP_COOKIE);
	b->buf[0] = BOOTREQUEST;
	b->buf[DHCP_OFF_HTYPE] = 1;
	b->buf[DHCP_OFF_HLEN] = 6;
	db_put32(b, DHCP_OFF_XID, 0x39a5f00d);
	b->buf[DHCP_OFF_CHADDR] = 2;
	b->buf[DHCP_OFF_CHADDR + 5] = host;
}

static inline void db_opt(struct dhcp_build *b, uint8_t code, const void *p, uint8_t len)
{
	wr_u8(&b->w, code);
	wr_u8(&b->w, len);
	wr_octets(&b->w, p, len);
}

static inline void db_opt8(struct dhcp_build *b, uint8_t code, uint8_t v)
{
	db_opt(b, code, &v, 1);
}

static inline void db_opt16(struct dhcp_build *b, uint8_t code, uint16_t v)
{
	wr_u8(&b->w, code);
	wr_u8(&b->w, 2);
	wr_u16(&b->w, v);
}

static inline void db_opt32(struct dhcp_build *b, uint8_t code, uint32_t v)
{
	wr_u8(&b->w, code);
	wr_u8(&b->w, 4);
	wr_u32(&b->w, v);
}

static inline size_t db_done(struct dhcp_build *b)
{
	wr_u8(&b->w, DHO_END);
	return b->w.bad ? 0 : b->w.len;
}
