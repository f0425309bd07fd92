#pragma once
/*
 * DHCP messages: octets <-> values. Options split over several instances are joined (RFC 3396),
 * overload of file and sname is followed (RFC 2131 §4.1).
 */
#include "core/types.h"
#include "shared/dhcp_wire.h"

enum dhcp_verdict { /* one counter each */
		    DHCP_OK,
		    DHCP_TOO_SHORT,   /* less than the fixed header and the magic cookie */
		    DHCP_NOT_REQUEST, /* op is not BOOTREQUEST */
		    DHCP_BAD_COOKIE,  /* plain BOOTP or something else */
		    DHCP_BAD_OPTION,  /* an option runs past its field, or a fixed one has a wrong
					 length */
		    DHCP_NO_TYPE,     /* no option 53 (BOOTP) */
		    DHCP_BAD_TYPE,    /* option 53 names no message that a server hears */
		    DHCP_BAD_HLEN,    /* hlen > 16 */
		    DHCP_VERDICTS
};

#define DHCP_MSG_DATA 1500 /* room for joined options; a message that needs more is BAD_OPTION */

struct dhcp_msg {
	uint8_t op, htype, hlen, hops;
	uint8_t type;  /* option 53 */
	uint16_t secs; /* as the client meant it: byte-swapped values repaired */
	uint16_t flags;
	uint32_t xid;
	uint32_t ciaddr, yiaddr, siaddr, giaddr; /* host order */
	uint8_t chaddr[16];
	struct {
		uint16_t off, len; /* into data; off 0 = absent */
	} opt[256];
	uint16_t n_data;
	uint8_t data[1 + DHCP_MSG_DATA];
};

/**
 * dhcp_msg_decode - a message that a client or relay sent to a server
 * @ret: meant to be read after DHCP_OK only; nothing in it points into @buf
 *
 * Forgiven are what real clients do: no END, pads anywhere, junk behind END. Not forgiven is an
 * option that leaves its field: nobody can say what it was. Empty options are kept.
 * Spec: RFC 2131 §2, §4.1; RFC 2132 §9.3; RFC 3396 §5, §7 (options, then file, then sname).
 */
enum dhcp_verdict dhcp_msg_decode(const uint8_t *buf, size_t len, struct dhcp_msg *ret);

/* The same for a message in either direction (what tests and load generators receive): op may be
 * BOOTREPLY and the type any of RFC 2131. */
enum dhcp_verdict dhcp_msg_decode_any(const uint8_t *buf, size_t len, struct dhcp_msg *ret);

const char *dhcp_verdict_name(enum dhcp_verdict v); /* public name of its counter: "too-short" */
const char *dhcp_type_name(uint8_t type);	    /* "DISCOVER"; "unknown" */

static inline bool dhcp_has(const struct dhcp_msg *m, uint8_t code)
{
	return m->opt[code].off != 0;
}

/* Value of an option; p is NULL when it is absent (a present one may be empty). */
static inline struct octets dhcp_opt(const struct dhcp_msg *m, uint8_t code)
{
	if (!m->opt[code].off)
		return (struct octets){ NULL, 0 };
	return (struct octets){ m->data + m->opt[code].off, m->opt[code].len };
}

/* Address in a four-octet option, host order; 0 when absent or of another length. */
uint32_t dhcp_opt_addr(const struct dhcp_msg *m, uint8_t code);
uint32_t dhcp_opt_u32(const struct dhcp_msg *m, uint8_t code, uint32_t otherwise);
/* Sub-option of option 82 (RFC 3046), p NULL when absent. */
struct octets dhcp_relay_sub(const struct dhcp_msg *m, uint8_t sub);

/* Client identity as RFC 2131 §4.2 has it: option 61 or nothing (an empty one is nothing, RFC 2132
 * §9.14); and chaddr (hlen octets). */
struct octets dhcp_client_id(const struct dhcp_msg *m);
struct octets dhcp_chaddr(const struct dhcp_msg *m);

/* The address that selects the subnet: link selection (RFC 3527), subnet selection (RFC 3011),
 * giaddr; 0 when only the interface can say. @ret_by says which, for counters and explain; may be
 * NULL. Link selection is a relay's word: without giaddr nobody said it (decision D6). */
enum subnet_by { SUBNET_BY_LINK, SUBNET_BY_OPTION, SUBNET_BY_GIADDR, SUBNET_BY_INTERFACE };
uint32_t dhcp_subnet_hint(const struct dhcp_msg *m, enum subnet_by *ret_by);

/* RFC 3074 bucket of the client by the relationship's enum hash_identity. */
uint8_t dhcp_bucket(const struct dhcp_msg *m, unsigned hash_identity);
