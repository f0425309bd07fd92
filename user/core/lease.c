/*
 * Identity of clients and names of binding states. A client is known by a keyed 128 bit digest, so
 * that rows in memory have one size and nobody outside can make two clients collide.
 *
 * Callers: core/server, core/fo_endpoint, the start-up scan.
 * Standards: RFC 2131 §4.2 and RFC 4361 §6 (what identifies a client); SipHash-2-4 with 128 bits
 * of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF").
 */
#include "core/lease.h"

#include <string.h>

/* --- SipHash-2-4, 128 bit ------------------------------------------------------------------- */

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

/* By value: the state stays in registers. */
static inline struct sip sip_round(struct sip s)
{
	s.v0 += s.v1;
	s.v2 += s.v3;
	s.v1 = rotl(s.v1, 13) ^ s.v0;
	s.v3 = rotl(s.v3, 16) ^ s.v2;
	s.v0 = rotl(s.v0, 32);
	s.v2 += s.v1;
	s.v0 += s.v3;
	s.v1 = rotl(s.v1, 17) ^ s.v2;
	s.v3 = rotl(s.v3, 21) ^ s.v0;
	s.v2 = rotl(s.v2, 32);
	return s;
}

static inline struct sip sip_word(struct sip s, uint64_t m)
{
	s.v3 ^= m;
	s = sip_round(sip_round(s));
	s.v0 ^= m;
	return s;
}

static inline struct sip sip_final(struct sip s)
{
	return sip_round(sip_round(sip_round(sip_round(s))));
}

/* Little-endian on every machine; the compiler sees one load. */
static inline uint64_t word_at(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

/* @p has zeros behind its @len octets, as many as the last word lacks, and be it all of one. */
static struct client_key siphash128(const struct client_hash *h, const uint8_t *p, unsigned len)
{
	struct sip s = { h->k[0] ^ 0x736f6d6570736575ULL, h->k[1] ^ 0x646f72616e646f6dULL ^ 0xee,
			 h->k[0] ^ 0x6c7967656e657261ULL, h->k[1] ^ 0x7465646279746573ULL };
	struct client_key ret;
	unsigned whole = len & ~7u;

	for (unsigned i = 0; i < whole; i += 8)
		s = sip_word(s, word_at(p + i));
	s = sip_word(s, (uint64_t)len << 56 | word_at(p + whole));
	s.v2 ^= 0xee;
	s = sip_final(s);
	ret.w[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	s = sip_final(s);
	ret.w[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return ret;
}

/* --- identity ------------------------------------------------------------------------------- */

/* The first octet keeps the two kinds of identity apart: an option 61 that holds htype and chaddr
 * is another client than one that sends no option 61 (RFC 2131 §4.2). */
enum { KIND_HARDWARE = 0, KIND_CLIENT_ID = 1 };

static unsigned append(uint8_t *buf, unsigned at, struct octets o, unsigned max)
{
	unsigned n = o.len < max ? o.len : max;

	if (n)
		memcpy(buf + at, o.p, n);
	return at + n;
}

struct client_key client_key(const struct client_hash *h, struct octets id, uint8_t htype,
			     struct octets chaddr)
{
	uint8_t buf[2 + CLIENT_ID_MAX + 8];
	struct client_key k;
	unsigned n = 0;

	if (id.p && id.len) {
		buf[n++] = KIND_CLIENT_ID;
		n = append(buf, n, id, CLIENT_ID_MAX);
	} else {
		buf[n++] = KIND_HARDWARE;
		buf[n++] = htype;
		n = append(buf, n, chaddr, CHADDR_MAX);
	}
	memset(buf + n, 0, 8);
	k = siphash128(h, buf, n);
	if (client_key_none(k))
		k.w[0] = 1;
	return k;
}

struct client_key lease_client_key(const struct client_hash *h, const struct lease_client *c)
{
	struct octets id = { c->id, c->id_len };
	struct octets chaddr = { c->chaddr, c->hlen < CHADDR_MAX ? c->hlen : CHADDR_MAX };

	if (!id.len && !chaddr.len)
		return (struct client_key){ { 0, 0 } };
	return client_key(h, id, c->htype, chaddr);
}

/* --- names ---------------------------------------------------------------------------------- */

const char *lease_state_name(unsigned state)
{
	static const char *const name[] = {
		[LEASE_NONE] = "free",	       [LEASE_FREE] = "free",
		[LEASE_ACTIVE] = "active",     [LEASE_EXPIRED] = "expired",
		[LEASE_RELEASED] = "released", [LEASE_ABANDONED] = "abandoned",
		[LEASE_RESET] = "reset",       [LEASE_BACKUP] = "backup",
	};

	return state < sizeof(name) / sizeof(name[0]) ? name[state] : "unknown";
}
