#pragma once
/*
 * IPv4 and UDP headers as octets: for frames that we build ourselves, and for those that a packet
 * socket hands us unchecked. Addresses and ports are host order.
 * Spec: RFC 791, RFC 768, RFC 1071.
 */
#include "core/types.h"

#define IP_UDP_LEN 28 /* of the headers that we write: no IP options */

struct ip_udp {
	uint32_t src, dest;
	uint16_t src_port, dest_port;
};

/* Write both headers before a payload of @len octets that lies at buf + IP_UDP_LEN. */
void ip_udp_write(uint8_t *buf, const struct ip_udp *h, size_t len);

enum ip_udp_verdict {
	IP_UDP_OK,
	IP_UDP_BAD_IP,	/* not a whole, unfragmented IPv4 UDP datagram, or its checksum is wrong */
	IP_UDP_BAD_SUM, /* UDP checksum wrong */
};

/**
 * ip_udp_read - take a datagram apart
 * @summed: the UDP checksum is known to be right, or is not filled in yet (decision D3)
 * @ret_payload: within @buf; padding of the frame is cut off
 */
enum ip_udp_verdict ip_udp_read(const uint8_t *buf, size_t len, bool summed, struct ip_udp *ret,
				struct octets *ret_payload);
