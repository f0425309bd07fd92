/*
 * twinbench: who the simulated clients are, and what their messages look like. An identity is a
 * function of the seed and a number, nothing is stored: the same seed brings the same clients.
 * Spec: RFC 2131 §4.3.6 (which fields a REQUEST has), RFC 3046 (circuit), RFC 3074 (buckets).
 */
#include <arpa/inet.h>
#include <string.h>
#include "bench.h"
#include "shared/loadbal.h"

uint64_t bench_mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* FNV-1a. */
uint64_t bench_seed(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	while (*text)
		h = (h ^ (uint8_t)*text++) * 0x100000001b3ULL;
	return h;
}

/* The number itself is in the last octets, so that two clients never share an address. */
void bench_identity_mac(const struct bench_conf *c, uint32_t n, uint8_t mac[6])
{
	uint64_t r = bench_mix64(c->seed ^ bench_mix64(n));
	uint32_t low = (n ^ (uint32_t)bench_mix64(c->seed)) & 0xffffff;

	mac[0] = 0x02;
	mac[1] = (uint8_t)r;
	mac[2] = (uint8_t)(r >> 8);
	mac[3] = (uint8_t)(low >> 16);
	mac[4] = (uint8_t)(low >> 8);
	mac[5] = (uint8_t)low;
}

uint32_t bench_identity_number(const struct bench_conf *c, const uint8_t mac[6])
{
	uint32_t low = (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];

	return low ^ ((uint32_t)bench_mix64(c->seed) & 0xffffff);
}

unsigned bench_identity_id(const struct bench_conf *c, uint32_t n, uint8_t id[BENCH_ID_MAX])
{
	uint64_t r = bench_mix64((c->seed + 0x1d) ^ bench_mix64(n + 1));
	unsigned len = 2 + (unsigned)(r % (BENCH_ID_MAX - 1));
	uint8_t mac[6];

	if (c->identity == ID_MAC || (c->identity == ID_MIXED && n % 2))
		return 0;
	for (unsigned i = 0; i < len; i++)
		id[i] = (uint8_t)(bench_mix64(r + i));
	if (len >= 7) { /* type 1 and the hardware address, as most clients send it, and more */
		bench_identity_mac(c, n, mac);
		id[0] = 1;
		memcpy(id + 1, mac, 6);
	} else {
		len = 7;
		id[0] = 0; /* no hardware type; octets of the seed, so that no two populations share
			      it */
		id[1] = (uint8_t)bench_mix64(c->seed);
		id[2] = (uint8_t)(bench_mix64(c->seed) >> 8);
		for (unsigned i = 0; i < 4; i++)
			id[3 + i] = (uint8_t)(n >> (24 - 8 * i));
	}
	return len;
}

uint8_t bench_identity_bucket(const struct bench_conf *c, uint32_t n)
{
	uint8_t mac[6], id[BENCH_ID_MAX];
	unsigned len = bench_identity_id(c, n, id);

	bench_identity_mac(c, n, mac);
	return loadbal_bucket(c->hash_hardware ? HASH_HARDWARE : HASH_CLIENT_ID, id, len, mac, 6);
}

static uint8_t *put_addr(uint8_t *p, uint8_t code, uint32_t addr)
{
	addr = htonl(addr);
	*p++ = code;
	*p++ = 4;
	memcpy(p, &addr, 4);
	return p + 4;
}

static uint8_t *put_octets(uint8_t *p, uint8_t code, const void *v, size_t len)
{
	*p++ = code;
	*p++ = (uint8_t)len;
	memcpy(p, v, len);
	return p + len;
}

static uint8_t *put_options(uint8_t *p, const struct bench_conf *c, uint32_t n,
			    const struct bench_request *r)
{
	static const uint8_t wanted[] = { DHO_SUBNET_MASK, DHO_ROUTERS, DHO_DOMAIN_NAME_SERVERS,
					  DHO_DOMAIN_NAME, DHO_LEASE_TIME };
	uint8_t id[BENCH_ID_MAX], circuit[64];
	unsigned len = bench_identity_id(c, n, id);

	p = put_octets(p, DHO_MESSAGE_TYPE, &r->type, 1);
	if (len)
		p = put_octets(p, DHO_CLIENT_ID, id, len);
	if (r->requested)
		p = put_addr(p, DHO_REQUESTED_ADDRESS, r->requested);
	if (r->server_id)
		p = put_addr(p, DHO_SERVER_ID, r->server_id);
	p = put_octets(p, DHO_PARAMETER_LIST, wanted, sizeof(wanted));
	if (c->circuit && r->giaddr) { /* the relay's option is the last one, RFC 3046 §2.1 */
		len = (unsigned)strnlen(c->circuit, sizeof(circuit) - 2);
		circuit[0] = RELAY_CIRCUIT_ID;
		circuit[1] = (uint8_t)len;
		memcpy(circuit + 2, c->circuit, len);
		p = put_octets(p, DHO_RELAY_AGENT, circuit, len + 2);
	}
	*p++ = DHO_END;
	return p;
}

size_t bench_packet_build(const struct bench_conf *c, uint32_t n, const struct bench_request *r,
			  uint8_t out[BENCH_PACKET])
{
	uint32_t xid = htonl(r->xid), ciaddr = htonl(r->ciaddr), giaddr = htonl(r->giaddr);
	uint32_t cookie = htonl(DHCP_COOKIE);
	uint8_t *end;

	memset(out, 0, DHCP_MIN_REPLY);
	out[0] = BOOTREQUEST;
	out[DHCP_OFF_HTYPE] = 1;
	out[DHCP_OFF_HLEN] = 6;
	out[3] = r->giaddr ? 1 : 0; /* hops */
	memcpy(out + DHCP_OFF_XID, &xid, 4);
	out[DHCP_OFF_SECS] = (uint8_t)(r->secs >> 8);
	out[DHCP_OFF_SECS + 1] = (uint8_t)r->secs;
	out[DHCP_OFF_FLAGS] = c->broadcast ? DHCP_BROADCAST_FLAG >> 8 : 0;
	memcpy(out + DHCP_OFF_CIADDR, &ciaddr, 4);
	memcpy(out + DHCP_OFF_GIADDR, &giaddr, 4);
	bench_identity_mac(c, n, out + DHCP_OFF_CHADDR);
	memcpy(out + DHCP_FIXED_LEN, &cookie, 4);
	end = put_options(out + DHCP_OPTIONS_OFF, c, n, r);
	return end - out < DHCP_MIN_REPLY ? DHCP_MIN_REPLY : (size_t)(end - out);
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

bool bench_packet_parse(const uint8_t *p, size_t len, struct bench_reply *ret)
{
	size_t i = DHCP_OPTIONS_OFF;

	if (len < i || p[0] != BOOTREPLY || get_u32(p + DHCP_FIXED_LEN) != DHCP_COOKIE)
		return false;
	*ret = (struct bench_reply){ .xid = get_u32(p + DHCP_OFF_XID), .yiaddr = get_u32(p + 16) };
	memcpy(ret->mac, p + DHCP_OFF_CHADDR, 6);
	while (i + 1 < len && p[i] != DHO_END) {
		uint8_t code = p[i], n = p[i + 1];
		const uint8_t *v = p + i + 2;

		if (code == DHO_PAD) {
			i++;
			continue;
		}
		if (i + 2 + n > len)
			return false;
		if (code == DHO_MESSAGE_TYPE && n == 1)
			ret->type = v[0];
		else if (code == DHO_SERVER_ID && n == 4)
			ret->server_id = get_u32(v);
		else if (code == DHO_LEASE_TIME && n == 4)
			ret->lease_sec = get_u32(v);
		i += 2u + n;
	}
	return ret->type != 0;
}
