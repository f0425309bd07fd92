/*
 * IPv4 and UDP headers, both directions. Called by net/dhcp_io for packet and raw sockets.
 * Spec: RFC 791 §3.1, RFC 768, RFC 1071.
 */
#include "net/ip_udp.h"

#include "core/wire.h"

#define IP_LEN 20
#define UDP_LEN 8
#define UDP_PROTOCOL 17
#define IP_SUM_AT 10
#define UDP_SUM_AT (IP_LEN + 6)
#define TTL 64

/* One's complement sum of RFC 1071, to be continued; an odd octet counts as the high one. */
static uint32_t sum_add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Over the pseudo header (@addrs: source and destination as they stand in the IP header) and the
 * UDP datagram. 0 for one that holds its right checksum. */
static uint16_t udp_sum(const uint8_t *addrs, const uint8_t *udp, size_t len)
{
	uint32_t sum = UDP_PROTOCOL + (uint32_t)len;

	return sum_end(sum_add(sum_add(sum, addrs, 8), udp, len));
}

void ip_udp_write(uint8_t *buf, const struct ip_udp *h, size_t len)
{
	struct wr w = wr_init(buf, IP_UDP_LEN);
	uint16_t sum;

	wr_u16(&w, 0x4500); /* version 4, 5 words, no class of service */
	wr_u16(&w, (uint16_t)(IP_UDP_LEN + len));
	wr_u32(&w, 0); /* id, flags: fragmentation allowed */
	wr_u8(&w, TTL);
	wr_u8(&w, UDP_PROTOCOL);
	wr_u16(&w, 0);
	wr_u32(&w, h->src);
	wr_u32(&w, h->dest);
	wr_u16(&w, h->src_port);
	wr_u16(&w, h->dest_port);
	wr_u16(&w, (uint16_t)(UDP_LEN + len));
	wr_u16(&w, 0);
	wr_set_u16(&w, IP_SUM_AT, sum_end(sum_add(0, buf, IP_LEN)));
	sum = udp_sum(buf + 12, buf + IP_LEN, UDP_LEN + len);
	wr_set_u16(&w, UDP_SUM_AT, sum ? sum : 0xffff); /* 0 would mean: not summed */
}

static bool read_ip(struct rd *r, const uint8_t *buf, size_t *ret_head, size_t *ret_total,
		    struct ip_udp *ret)
{
	uint8_t version = rd_u8(r);
	uint16_t fragment;

	*ret_head = (size_t)(version & 15) * 4;
	rd_skip(r, 1);
	*ret_total = rd_u16(r);
	rd_skip(r, 2);
	fragment = rd_u16(r) & 0x3fff; /* more fragments, offset */
	rd_skip(r, 1);
	if (version >> 4 != 4 || fragment || rd_u8(r) != UDP_PROTOCOL)
		return false;
	rd_skip(r, 2);
	ret->src = rd_u32(r);
	ret->dest = rd_u32(r);
	return !r->bad && *ret_head >= IP_LEN && *ret_total >= *ret_head + UDP_LEN &&
	       *ret_total - IP_LEN <= r->len && !sum_end(sum_add(0, buf, *ret_head));
}

enum ip_udp_verdict ip_udp_read(const uint8_t *buf, size_t len, bool summed, struct ip_udp *ret,
				struct octets *ret_payload)
{
	struct rd r = rd_init(buf, len);
	size_t head, total, udp_len;
	struct ip_udp h;
	uint16_t sum;

	if (!read_ip(&r, buf, &head, &total, &h))
		return IP_UDP_BAD_IP;
	r = rd_init(buf + head, total - head);
	h.src_port = rd_u16(&r);
	h.dest_port = rd_u16(&r);
	udp_len = rd_u16(&r);
	sum = rd_u16(&r);
	if (udp_len < UDP_LEN || udp_len > total - head)
		return IP_UDP_BAD_IP;
	if (!summed && sum && udp_sum(buf + 12, buf + head, udp_len))
		return IP_UDP_BAD_SUM;
	*ret = h;
	*ret_payload = rd_octets(&r, udp_len - UDP_LEN);
	return IP_UDP_OK;
}
