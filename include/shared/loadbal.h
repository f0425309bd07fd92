#pragma once
/*
 * RFC 3074 load balancing: the hash, and the one rule that says whether a server answers a client.
 * Compiled into the kernel program, the core and the daemon's own filter; needs no libc.
 *
 * Bucket numbering and length rule are those of ISC DHCP, the only other implementation in the
 * field: the hash of the whole identifier, started with its length modulo 256.
 */
#include "shared/xdp_abi.h"

/* RFC 3074 §6: Pearson's permutation of 0..255 */
static const __u8 loadbal_table[256] = {
	251, 175, 119, 215, 81,	 14,  79,  191, 103, 49,  181, 143, 186, 157, 0,   232, 31,  32,
	55,  60,  152, 58,  17,	 237, 174, 70,	160, 144, 220, 90,  57,	 223, 59,  3,	18,  140,
	111, 166, 203, 196, 134, 243, 124, 95,	222, 179, 197, 65,  180, 48,  36,  15,	107, 46,
	233, 130, 165, 30,  123, 161, 209, 23,	97,  16,  40,  91,  219, 61,  100, 10,	210, 109,
	250, 127, 22,  138, 29,	 108, 244, 67,	207, 9,	  178, 204, 74,	 98,  126, 249, 167, 116,
	34,  77,  193, 200, 121, 5,   20,  113, 71,  35,  128, 13,  182, 94,  25,  226, 227, 199,
	75,  27,  41,  245, 230, 224, 43,  225, 177, 26,  155, 150, 212, 142, 218, 115, 241, 73,
	88,  105, 39,  114, 62,	 255, 192, 201, 145, 214, 168, 158, 221, 148, 154, 122, 12,  84,
	82,  163, 44,  139, 228, 236, 205, 242, 217, 11,  187, 146, 159, 64,  86,  239, 195, 42,
	106, 198, 118, 112, 184, 172, 87,  2,	173, 117, 176, 229, 247, 253, 137, 185, 99,  164,
	102, 147, 45,  66,  231, 52,  141, 211, 194, 206, 246, 238, 56,	 110, 78,  248, 63,  240,
	189, 93,  92,  51,  53,	 183, 19,  171, 72,  50,  33,  104, 101, 69,  8,   252, 83,  120,
	76,  135, 85,  54,  202, 125, 188, 213, 96,  235, 136, 208, 162, 129, 190, 132, 156, 38,
	47,  1,	  7,   254, 24,	 4,   216, 131, 89,  21,  28,  133, 37,	 153, 149, 80,	170, 68,
	6,   169, 234, 151
};

/*
 * One octet of the hash; @hash is below 256, and so is what comes back. Verifiers up to 6.8 do not
 * follow an exclusive or: there a branch shows the bound. It is never taken, so that it costs less
 * than a mask in the chain of loads; clang must not know that, or it drops the branch.
 */
static inline __u64 loadbal_step(__u64 hash, __u64 octet)
{
	__u64 i = hash ^ octet;

#ifdef __bpf__
	asm volatile("" : "+r"(i));
	if (i > 255)
		return 0;
#endif
	return loadbal_table[i];
}

/**
 * loadbal_hash - the bucket of an identifier
 * @len: its octets are taken from last to first; the start value is @len modulo 256
 *
 * The kernel program runs the same steps over its scratch copy (filter_hash_up_to,
 * shared/filter.h).
 */
static inline __u8 loadbal_hash(const __u8 *key, __u32 len)
{
	__u64 hash = len & 255;

	while (len > 0)
		hash = loadbal_step(hash, key[--len]);
	return (__u8)hash;
}

/**
 * loadbal_by_client_id - which identifier is hashed: the client identifier or chaddr
 * @identity: enum hash_identity of the relationship
 * @cid_len: of option 61; an absent one and an empty one (RFC 2132 §9.14 forbids it) are the same
 */
static inline int loadbal_by_client_id(__u32 identity, __u32 cid_len)
{
	return identity != HASH_HARDWARE && cid_len > 0;
}

/* The bucket of a client: option 61, else hlen octets of chaddr without htype. */
static inline __u8 loadbal_bucket(__u32 identity, const __u8 *cid, __u32 cid_len,
				  const __u8 *chaddr, __u32 hlen)
{
	return loadbal_by_client_id(identity, cid_len) ? loadbal_hash(cid, cid_len)
						       : loadbal_hash(chaddr, hlen);
}

static inline int loadbal_owned(const struct relation_policy *p, __u8 bucket)
{
	return p->owned[bucket >> 3] >> (bucket & 7) & 1;
}

enum loadbal_why {
	LOADBAL_SERVE_ALL,  /* answered: the partner is not balancing with us */
	LOADBAL_SERVE_NONE, /* silent: the failover state forbids an answer */
	LOADBAL_OURS,	    /* answered: our bucket */
	LOADBAL_BY_SECS,    /* answered: the partner's bucket, but the client has waited long */
	LOADBAL_PARTNERS,   /* silent: the partner's bucket */
};

/**
 * loadbal_serves - does this server answer a DISCOVER?
 * @secs: of the client, byte-swapped values repaired (dhcp_secs_repair)
 * @why: always written
 *
 * The one rule for the kernel program, the daemon's filter and the server. An unknown ->serve is
 * answered: when in doubt two servers answer rather than none.
 * Spec: RFC 3074 §5; draft-ietf-dhc-failover-12 §5.3; secs >= threshold answers.
 */
static inline int loadbal_serves(const struct relation_policy *p, __u8 bucket, __u16 secs,
				 enum loadbal_why *why)
{
	switch (p->serve) {
	case SERVE_NONE:
		*why = LOADBAL_SERVE_NONE;
		return 0;
	case SERVE_BALANCE:
		break;
	default:
		*why = LOADBAL_SERVE_ALL;
		return 1;
	}
	if (loadbal_owned(p, bucket)) {
		*why = LOADBAL_OURS;
		return 1;
	}
	if (p->secs_threshold != SECS_NEVER && secs >= p->secs_threshold) {
		*why = LOADBAL_BY_SECS;
		return 1;
	}
	*why = LOADBAL_PARTNERS;
	return 0;
}
