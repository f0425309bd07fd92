#pragma once
/*
 * The border between the kernel program and user space: maps, their keys and values, verdicts.
 * Operators dump these maps with bpftool; names are public and print in words (enums, named
 * counters). All integers are in host order unless a comment says otherwise; addresses are four
 * octets as typed. Whoever changes a layout here raises TL_ABI_VERSION: pinned maps of another
 * version are replaced, and the program passes everything until its own version is written.
 */
#include <linux/types.h>

#define TL_ABI_VERSION 2
#define TL_MAX_RELATIONS 1024
#define TL_SLOTS 4	  /* per relationship; the active one is named by tl_control */
#define TL_BUCKET_NEAR 64 /* relationships in tl_bucket: 6 kB each and CPU, but no hash look-up */
#define TL_MAX_PREFIXES 65536
#define TL_MAX_IFACES 256
#define TL_IFACE_NEAR 256 /* interface indexes in tl_iface_near, without a hash look-up */
#define TL_MAX_LOCAL 4096
#define TL_MAX_RELAYS 8192
#define TL_EVENT_OCTETS (256 * 1024)
#define TL_NO_RELATION 0xffffffffu

#define TL_DEADLINE_BY_HAND (~0ULL) /* armed without a daemon: never passes */

enum filter_serve {
	SERVE_ALL = 0, /* also what a cleared slot says */
	SERVE_NONE = 1,
	SERVE_BALANCE = 2,
};

enum hash_identity {
	HASH_CLIENT_ID = 0, /* option 61, else chaddr: RFC 3074 §6, ISC */
	HASH_HARDWARE = 1,  /* chaddr always: Windows */
};

#define SECS_NEVER 0xffff /* secs-threshold: never */

/* tl_relation: slot (TL_SLOTS per relationship) -> policy; writer: daemon; reader: every DISCOVER
 */
struct relation_policy {
	enum filter_serve serve;
	__u32 generation; /* counts the changes of this relationship */
	__u8 owned[32];	  /* RFC 3074 buckets answered here, bit b % 8 of octet b / 8 */
	enum hash_identity hash_identity;
	__u16 secs_threshold; /* secs >= this is answered by both; 0 = both always */
	__u8 pad[2];
};
_Static_assert(sizeof(struct relation_policy) == 48, "no hidden padding");

/* tl_control: relationship -> its active slot, 0 to TL_SLOTS - 1; mmap-able; writer: daemon */
struct relation_control {
	__u32 active_slot;
	__u8 pad[4]; /* elements of an array map stand 8 octets apart, also in its mmap */
};
_Static_assert(sizeof(struct relation_control) == 8, "stride of the mmap-ed array");

/* tl_alive: one element, mmap-able; writer: daemon; reader: every packet about to be dropped */
struct filter_alive {
	__u32 abi_version;  /* of the writer; another one than the program's: pass everything */
	__u32 sample_every; /* each so manieth judged DISCOVER of a CPU goes to tl_event; 0 none */
	__u64 deadline_ns;  /* CLOCK_MONOTONIC until which the maps hold; 0: pass everything */
};
_Static_assert(sizeof(struct filter_alive) == 16, "no hidden padding");

/* tl_local: our IPv4 addresses -> the interface that has them; writer: daemon */
struct local_key {
	__u8 address[4];
};
struct local_value {
	__u32 ifindex;
};

/* What selects a relationship, by prefix or by interface */
struct relation_choice {
	__u32 relation;		   /* TL_NO_RELATION: known, but served without a partner */
	__u8 partner_cannot_serve; /* no free address is left to the partner here */
	__u8 pad[3];
};
_Static_assert(sizeof(struct relation_choice) == 8, "no hidden padding");

/* tl_subnet: longest prefix of link selection, subnet selection or giaddr -> relation_choice */
struct subnet_key {
	__u32 prefix_length;
	__u8 address[4];
};
_Static_assert(sizeof(struct subnet_key) == 8, "no hidden padding");

/* tl_iface: interface and outer VLAN id (0: untagged) -> relation_choice */
struct iface_key {
	__u32 ifindex;
	__u16 vlan;
	__u8 pad[2];
};
_Static_assert(sizeof(struct iface_key) == 8, "no hidden padding");

/*
 * tl_iface_near: interface -> the same for its untagged clients, asked first; mmap-able, one
 * aligned word; writer: daemon. A cleared element sends us to tl_iface.
 */
struct iface_choice {
	__u32 relation;
	__u8 partner_cannot_serve;
	__u8 known; /* 0: this element says nothing */
	__u8 pad[2];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct iface_choice) == 8, "stride of the mmap-ed array");

/*
 * Every packet is counted under exactly one of these. The first two are
 * the only ones that drop. The public name is the field of tl_verdict, as bpftool shows it.
 * FILTER_REASON_LIST(X) gives X(id, "public name", "what it means"), FILTER_REASON_FIELDS(X) the
 * same with the name as an identifier.
 */
#define FILTER_REASON_TABLE(W, X)                                                                  \
	W(X, PARTNERS, partners, "dropped: the partner's bucket, below secs-threshold")            \
	W(X, NOT_SERVING, not_serving, "dropped: the failover state forbids an answer")            \
	W(X, OURS, ours, "DISCOVER of our bucket")                                                 \
	W(X, BY_SECS, by_secs, "DISCOVER of the partner's bucket, secs-threshold reached")         \
	W(X, SERVE_ALL, serve_all, "DISCOVER while we answer every client")                        \
	W(X, PARTNER_EMPTY, partner_empty, "the partner's DISCOVER, but it has no free address")   \
	W(X, NOT_ARMED, not_armed, "would be dropped, but no daemon vouches for the maps")         \
	W(X, DEADLINE, deadline, "would be dropped, but the daemon has been silent too long")      \
	W(X, NO_RELATION, no_relation, "DISCOVER for a subnet that is served without a partner")   \
	W(X, NO_POLICY, no_policy, "DISCOVER for a relationship without a policy")                 \
	W(X, UNKNOWN_SUBNET, unknown_subnet, "DISCOVER through a relay of no known subnet")        \
	W(X, UNKNOWN_IFACE, unknown_iface, "DISCOVER on an interface or VLAN of no known subnet")  \
	W(X, NOT_LOCAL, not_local, "DISCOVER to an address that is not ours")                      \
	W(X, RELAY_PORT, relay_port, "DISCOVER from a relay port other than 67 (RFC 8357)")        \
	W(X, DIRECT_RELAY_INFO, direct_relay_info, "DISCOVER with relay information, no giaddr")   \
	W(X, SPLIT_CLIENT_ID, split_client_id, "client identifier in several parts (RFC 3396)")    \
	W(X, SPLIT_RELAY_INFO, split_relay_info, "relay information in several parts (RFC 3396)")  \
	W(X, STEP_LIMIT, step_limit, "more options than the kernel walks")                         \
	W(X, SELECTING, selecting, "REQUEST that names a server")                                  \
	W(X, RENEWING, renewing, "REQUEST that renews, rebinds or comes after a reboot")           \
	W(X, DECLINE, decline, "DECLINE")                                                          \
	W(X, RELEASE, release, "RELEASE")                                                          \
	W(X, INFORM, inform, "INFORM")                                                             \
	W(X, OTHER_TYPE, other_type, "message type that no client sends, or an unknown one")       \
	W(X, NO_TYPE, no_type, "no message type: BOOTP with a vendor field")                       \
	W(X, NO_COOKIE, no_cookie, "no magic cookie: BOOTP")                                       \
	W(X, NOT_REQUEST, not_request, "not a BOOTREQUEST")                                        \
	W(X, BAD_HLEN, bad_hlen, "hardware address longer than 16 octets")                         \
	W(X, BAD_OPTION, bad_option, "option of a wrong length, repeated, or past its field")      \
	W(X, TOO_SHORT, too_short, "UDP port 67, shorter than a DHCP message")                     \
	W(X, TOO_LONG, too_long, "UDP port 67, longer than the kernel looks at")                   \
	W(X, BAD_LENGTH, bad_length, "IPv4 or UDP length does not fit the frame")                  \
	W(X, FRAGMENT, fragment, "fragment of a UDP datagram")                                     \
	W(X, NOT_DHCP, not_dhcp, "UDP to another port than 67")                                    \
	W(X, NOT_UDP, not_udp, "IPv4, not UDP")                                                    \
	W(X, NOT_IPV4, not_ipv4, "not IPv4, or behind more than two VLAN tags")                    \
	W(X, BAD_FRAME, bad_frame, "frame or IPv4 header cut short or malformed")                  \
	W(X, INTERNAL, internal, "a map element is missing: a fault of ours")

#define FILTER_REASON_AS_STRING(X, id, name, text) X(id, #name, text)
#define FILTER_REASON_AS_FIELD(X, id, name, text) X(id, name, text)
#define FILTER_REASON_LIST(X) FILTER_REASON_TABLE(FILTER_REASON_AS_STRING, X)
#define FILTER_REASON_FIELDS(X) FILTER_REASON_TABLE(FILTER_REASON_AS_FIELD, X)

enum filter_reason {
#define X(id, name, text) REASON_##id,
	FILTER_REASON_FIELDS(X)
#undef X
		FILTER_REASONS, /* how many */
};

static inline int filter_drops(enum filter_reason r)
{
	return r == REASON_PARTNERS || r == REASON_NOT_SERVING;
}

struct filter_counter {
	__u64 packets;
	__u64 octets; /* Ethernet header to the end of the IPv4 packet */
};

/* tl_verdict: one element per CPU; writer: kernel, at every exit */
struct filter_verdicts {
#define X(id, name, text) struct filter_counter name;
	FILTER_REASON_FIELDS(X)
#undef X
};
_Static_assert(sizeof(struct filter_verdicts) == 16 * FILTER_REASONS, "no hidden padding");

/*
 * tl_bucket: relationship -> DISCOVERs by bucket, per CPU. From TL_BUCKET_NEAR on they are in
 * tl_bucket_more, whose elements are made by the daemon.
 */
struct bucket_counters {
	__u64 passed[256];  /* as ours, or because we answer all */
	__u64 left[256];    /* to the partner */
	__u64 by_secs[256]; /* the partner's, but secs-threshold was reached */
};

/* tl_relay: giaddr -> DISCOVERs of known subnets by owner of the bucket and by secs; LRU */
struct relay_key {
	__u8 address[4];
};
struct relay_counters {
	__u64 last_seen_ns; /* CLOCK_MONOTONIC, coarse */
	__u64 ours_secs_0, ours_secs_1_3, ours_secs_4_7, ours_secs_8_up;
	__u64 partners_secs_0, partners_secs_1_3, partners_secs_4_7, partners_secs_8_up;
};

/* tl_event: ring buffer of sampled verdicts */
struct filter_event {
	__u64 time_ns; /* CLOCK_MONOTONIC, coarse */
	enum filter_reason reason;
	__u32 ifindex;
	__u32 relation;
	__u16 vlan;
	__u16 secs;
	__u8 bucket;
	__u8 hlen;
	__u8 pad[2];
	__u8 giaddr[4];
	__u8 chaddr[16];
};
_Static_assert(sizeof(struct filter_event) == 48, "no hidden padding");

/* The public maps of the kernel program by name; X(name) */
#define FILTER_MAPS(X)                                                                             \
	X(tl_alive)                                                                                \
	X(tl_control)                                                                              \
	X(tl_relation)                                                                             \
	X(tl_local)                                                                                \
	X(tl_subnet)                                                                               \
	X(tl_iface_near)                                                                           \
	X(tl_iface)                                                                                \
	X(tl_verdict)                                                                              \
	X(tl_bucket)                                                                               \
	X(tl_bucket_more)                                                                          \
	X(tl_relay)                                                                                \
	X(tl_event)
