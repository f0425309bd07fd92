#pragma once
/*
 * filter_glance() and filter_closely(): what becomes of one frame. The same text is compiled into
 * the kernel program (bpf/twinlease.bpf.c) and into the daemon (user/dp/filter_user.c), limits
 * included, so that both give the same verdict on every frame. Judged are only DHCPDISCOVERs that
 * are meant for us; all else passes, and so does everything in doubt: user space knows more.
 *
 * Who includes this file provides these hooks before:
 *   FILTER_GLOBAL                     linkage of the functions that a verifier checks on their own
 *   FILTER_BOUND(x, mask)             x & mask, provably, right before an index
 *   FILTER_FORGET()                   keep no state in registers: what a verifier sees in memory
 *                                     it does not follow, so that its states merge
 *   FILTER_OPAQUE(w, x)               x, of which a verifier knows nothing more: the same for one
 *                                     value that is to stay in a register
 *   FILTER_LOAD(type, p)              an integer as it stands at p, aligned or not
 *   struct filter_env                 one frame and its tables
 *   const __u8 *filter_peek(env, off, n)      n <= 20 octets of the frame's head, or NULL
 *   int filter_copy(env, off, w, n)           the message into w->msg; 0 when its n octets were
 *                                             there, DHCP_OPTIONS_OFF to FILTER_MSG_MAX of them.
 *                                             It may leave out sname and file,
 *   int filter_copy_fields(env, off, w)       which this brings
 *   struct filter_work *filter_scratch(env)   room for one message, or NULL
 *   filter_find_local, filter_find_subnet, filter_find_iface, filter_find_policy, filter_vouched
 *
 * The parser's state lives in struct filter_work, in the kernel a map value: there the verifier
 * follows no value of it, so that states merge and the program stays small for it.
 * Spec: RFC 2131 §2, §4.1; RFC 2132 §9.3; RFC 3011; RFC 3046; RFC 3074; RFC 3527; IEEE 802.1Q.
 */
#include "shared/dhcp_wire.h"
#include "shared/loadbal.h"

#define FILTER_MSG_MAX 2048    /* octets of a message; a longer one passes */
#define FILTER_MSG_SLACK 512   /* one whole option behind any offset */
#define FILTER_CHUNK 16	       /* steps per call of filter_walk: an option, or up to eight pads */
#define FILTER_CHUNKS 64       /* 1,024 steps in the options field; more than that passes */
#define FILTER_FIELD_CHUNKS 13 /* no more fit into file and sname */
#define FILTER_SUBOPTIONS 32
#define FILTER_SHORT_ID 32	    /* octets of an identifier that are hashed in place */
#define FILTER_GLANCE 42	    /* octets of Ethernet, IPv4 without options, UDP */
#define FILTER_GO_ON FILTER_REASONS /* no reason found yet */
#define FILTER_WANTS_FIELDS (FILTER_REASONS + 1)

/* Options that were seen, and what they hold. */
enum filter_seen {
	SEEN_CLIENT_ID = 1,
	SEEN_RELAY_INFO = 2,
	SEEN_SERVER_ID = 4,
	SEEN_SELECTION = 8,
	SEEN_OVERLOAD = 16,
	SEEN_LINK = 32,
	SEEN_RELAY_PORT = 64,
};

/* Where the message stands in its frame, and what the headers say. */
struct filter_frame {
	__u32 off, len; /* of the UDP payload */
	__u32 octets;	/* Ethernet header to the end of the IPv4 packet; 0 not IPv4 */
	__u32 dest;	/* IPv4 destination, network order */
	__u16 source_port;
	__u16 vlan; /* outer id, 0 untagged */
};

struct filter_work {
	__u8 msg[FILTER_MSG_MAX + FILTER_MSG_SLACK];
	/* the walk */
	__u32 pos, end; /* the next option, the end of its field */
	__u32 in_options, overload;
	__u32 result; /* enum filter_reason, FILTER_GO_ON or FILTER_WANTS_FIELDS */
	__u32 seen;   /* enum filter_seen */
	__u32 type;
	__u32 client_id_off, client_id_len;
	__u32 relay_info_off, relay_info_len;
	__u32 selection, link; /* addresses, network order */
	/* what was decided, for counters and events */
	__u32 judged; /* a relationship's policy spoke */
	__u32 relation;
	__u32 giaddr; /* network order */
	__u16 secs;
	__u8 bucket;
	__u8 owned;	   /* the bucket is ours */
	__u32 since_event; /* judged DISCOVERs since the last sampled one */
	__u32 pad;
	__u64 tick, now_ns; /* the kernel's: when it last read the clock, and what that said */
	__u64 nothing;	    /* the kernel's: always 0, which its verifier does not know */
};

#define FILTER_RARE(x) __builtin_expect(!!(x), 0)

static inline __u16 filter_be16(const __u8 *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(FILTER_LOAD(__u16, p));
#else
	return FILTER_LOAD(__u16, p);
#endif
}

/* An address as it stands on the wire: compared and looked up, never counted with. */
static inline __u32 filter_addr(const __u8 *p)
{
	return FILTER_LOAD(__u32, p);
}

/* Four octets at once: do those that @mask names say @value? Both as one writes them. */
static inline int filter_has(const __u8 *p, __u32 mask, __u32 value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	mask = __builtin_bswap32(mask);
	value = __builtin_bswap32(value);
#endif
	return (FILTER_LOAD(__u32, p) & mask) == value;
}

/* --- what the half that includes us provides ------------------------------------------------- */
static inline const __u8 *filter_peek(struct filter_env *env, __u32 off, __u32 n);
static inline int filter_copy(struct filter_env *env, __u32 off, struct filter_work *w, __u32 n);
static inline int filter_copy_fields(struct filter_env *env, __u32 off, struct filter_work *w);
static inline struct filter_work *filter_scratch(struct filter_env *env);
static inline int filter_find_local(struct filter_env *env, __u32 addr);
/* Both: 1 and *ret when there is one. */
static inline int filter_find_subnet(struct filter_env *env, __u32 addr,
				     struct relation_choice *ret);
static inline int filter_find_iface(struct filter_env *env, __u16 vlan,
				    struct relation_choice *ret);
static inline const struct relation_policy *filter_find_policy(struct filter_env *env,
							       __u32 relation);
/* FILTER_GO_ON while somebody vouches for the maps, else REASON_NOT_ARMED or REASON_DEADLINE.
 * Reads the clock, therefore asked only before a drop. */
static inline enum filter_reason filter_vouched(struct filter_env *env, struct filter_work *w);

/* --- headers ---------------------------------------------------------------------------------- */

static inline enum filter_reason filter_glance_type(__u16 proto)
{
	return proto == 0x0800 || proto == 0x8100 || proto == 0x88a8 ? FILTER_GO_ON
								     : REASON_NOT_IPV4;
}

/**
 * filter_glance - most of what is no DHCP, known by the first FILTER_GLANCE octets
 * @p: they are there
 * @octets: written where this is IPv4
 *
 * All traffic of an interface pays for this function: it asks for nothing but loads and compares.
 * Return: FILTER_GO_ON where filter_closely() has to look.
 */
static inline enum filter_reason filter_glance(const __u8 *p, __u64 *octets)
{
	/* Ethernet type, version and length of the header: all but the type of service */
	if (FILTER_RARE(!filter_has(p + 12, 0xffffff00, 0x08004500)))
		return filter_glance_type(filter_be16(p + 12));
	*octets = 14u + filter_be16(p + 16);
	if (p[23] != 17)
		return REASON_NOT_UDP;
	if (FILTER_RARE(filter_be16(p + 36) == DHCP_SERVER_PORT) ||
	    FILTER_RARE(filter_be16(p + 20) & 0x3fff))
		return FILTER_GO_ON;
	return REASON_NOT_DHCP;
}

static inline enum filter_reason filter_ethernet(struct filter_env *env, struct filter_frame *f)
{
	const __u8 *p = filter_peek(env, 0, 14);
	__u16 proto;

	if (!p)
		return REASON_BAD_FRAME;
	proto = filter_be16(p + 12);
	f->off = 14;
	f->vlan = 0;
	for (int tag = 0; tag < 2 && (proto == 0x8100 || proto == 0x88a8); tag++) {
		p = filter_peek(env, f->off, 4);
		if (!p)
			return REASON_BAD_FRAME;
		if (tag == 0)
			f->vlan = filter_be16(p) & 0xfff;
		proto = filter_be16(p + 2);
		f->off += 4;
	}
	return proto == 0x0800 ? FILTER_GO_ON : REASON_NOT_IPV4;
}

static inline enum filter_reason filter_ipv4_udp(struct filter_env *env, struct filter_frame *f)
{
	const __u8 *p = filter_peek(env, f->off, 20);
	__u32 header, total, udp;

	if (!p || p[0] >> 4 != 4 || (p[0] & 15) < 5)
		return REASON_BAD_FRAME;
	header = (p[0] & 15u) * 4;
	total = filter_be16(p + 2);
	f->octets = f->off + total;
	f->dest = filter_addr(p + 16);
	if (p[9] != 17)
		return REASON_NOT_UDP;
	if (filter_be16(p + 6) & 0x3fff) /* more fragments, or an offset */
		return REASON_FRAGMENT;

	p = filter_peek(env, f->off + header, 8);
	if (!p)
		return REASON_BAD_FRAME;
	if (filter_be16(p + 2) != DHCP_SERVER_PORT)
		return REASON_NOT_DHCP;
	f->source_port = filter_be16(p);
	udp = filter_be16(p + 4);
	if (udp < 8 || udp + header > total)
		return REASON_BAD_LENGTH;
	f->off += header + 8;
	f->len = udp - 8;
	if (f->len < DHCP_OPTIONS_OFF)
		return REASON_TOO_SHORT;
	return f->len > FILTER_MSG_MAX ? REASON_TOO_LONG : FILTER_GO_ON;
}

static inline enum filter_reason filter_fixed_fields(const struct filter_work *w)
{
	if (w->msg[0] != BOOTREQUEST)
		return REASON_NOT_REQUEST;
	if (filter_be16(w->msg + DHCP_FIXED_LEN) != (DHCP_COOKIE >> 16) ||
	    filter_be16(w->msg + DHCP_FIXED_LEN + 2) != (DHCP_COOKIE & 0xffff))
		return REASON_NO_COOKIE;
	return w->msg[DHCP_OFF_HLEN] > 16 ? REASON_BAD_HLEN : FILTER_GO_ON;
}

/* --- options ---------------------------------------------------------------------------------- */

/* The walk ends here, for this reason. */
static inline int filter_stop(struct filter_work *w, enum filter_reason reason)
{
	w->result = reason;
	return 0;
}

static inline enum filter_reason filter_type_reason(__u32 type)
{
	switch (type) {
	case DHCPDECLINE:
		return REASON_DECLINE;
	case DHCPRELEASE:
		return REASON_RELEASE;
	case DHCPINFORM:
		return REASON_INFORM;
	default:
		return REASON_OTHER_TYPE;
	}
}

/* Returns 1 when it is there for the first time. */
static inline int filter_first(struct filter_work *w, enum filter_seen what)
{
	if (w->seen & what)
		return 0;
	w->seen |= what;
	return 1;
}

/* What no DISCOVER follows passes at once; a REQUEST is worth one look at the server it names. */
static inline int filter_message_type(struct filter_work *w, __u32 type)
{
	w->type = type;
	if (type == DHCPDISCOVER)
		return 1;
	if (type != DHCPREQUEST)
		return filter_stop(w, filter_type_reason(type));
	return w->seen & SEEN_SERVER_ID ? filter_stop(w, REASON_SELECTING) : 1;
}

/**
 * filter_option - note one option
 * @value: its first octet, @len behind it, @pos its offset in the message
 * Return: 1 to go on, 0 when w->result says why not.
 */
static inline int filter_option(struct filter_work *w, __u32 code, const __u8 *value, __u32 pos,
				__u32 len)
{
	switch (code) {
	case DHO_MESSAGE_TYPE:
		if (len != 1 || w->type)
			return filter_stop(w, REASON_BAD_OPTION);
		return filter_message_type(w, value[0]);
	case DHO_CLIENT_ID:
		if (!filter_first(w, SEEN_CLIENT_ID))
			return filter_stop(w, REASON_SPLIT_CLIENT_ID);
		w->client_id_off = pos;
		w->client_id_len = len;
		return 1;
	case DHO_RELAY_AGENT:
		if (!filter_first(w, SEEN_RELAY_INFO))
			return filter_stop(w, REASON_SPLIT_RELAY_INFO);
		w->relay_info_off = pos;
		w->relay_info_len = len;
		return 1;
	case DHO_SERVER_ID:
		if (len != 4 || !filter_first(w, SEEN_SERVER_ID))
			return filter_stop(w, REASON_BAD_OPTION);
		return w->type == DHCPREQUEST ? filter_stop(w, REASON_SELECTING) : 1;
	case DHO_SUBNET_SELECTION:
		if (len != 4 || !filter_first(w, SEEN_SELECTION))
			return filter_stop(w, REASON_BAD_OPTION);
		w->selection = filter_addr(value);
		return 1;
	case DHO_OVERLOAD:
		if (!w->in_options) /* RFC 2132 §9.3: it speaks of the other fields */
			return 1;
		if (len != 1 || value[0] < 1 || value[0] > 3 || !filter_first(w, SEEN_OVERLOAD))
			return filter_stop(w, REASON_BAD_OPTION);
		w->overload = value[0];
		return 1;
	default:
		return 1;
	}
}

/*
 * RFC 2131 §4.1: after the options field comes file, then sname, where option 52 says so. Returns
 * where the walk goes on, or 0.
 */
static inline __u64 filter_next_field(struct filter_work *w)
{
	if (w->in_options && w->overload) {
		w->result = FILTER_WANTS_FIELDS;
		return 0;
	}
	if (w->overload & 1) {
		w->overload &= ~1u;
		w->end = DHCP_OFF_FILE + DHCP_FILE_LEN;
		return DHCP_OFF_FILE;
	}
	if (w->overload & 2) {
		w->overload = 0;
		w->end = DHCP_OFF_SNAME + DHCP_SNAME_LEN;
		return DHCP_OFF_SNAME;
	}
	filter_stop(w, FILTER_GO_ON);
	return 0;
}

/*
 * One step of the walk: a pad, an option, or the end of a field. Returns where the next one
 * begins, 0 when w->result holds.
 */
static inline __u64 filter_walk_step(struct filter_work *w, __u64 pos)
{
	const __u8 *o = w->msg + FILTER_BOUND(pos, FILTER_MSG_MAX - 1);
	__u64 end = w->end, next = pos + 2 + o[1];

	if (pos >= end || o[0] == DHO_END)
		return filter_next_field(w);
	if (o[0] == DHO_PAD) /* they come in runs, and a run should cost little */
		return pos + (pos + 8 <= end && FILTER_LOAD(__u64, o) == 0 ? 8 : 1);
	if (next > end) {
		filter_stop(w, REASON_BAD_OPTION);
		return 0;
	}
	return filter_option(w, o[0], o + 2, (__u32)pos + 2, o[1]) ? next : 0;
}

/* One chunk of the walk. Returns 1 when there may be more, 0 when w->result holds. */
FILTER_GLOBAL int filter_walk(struct filter_work *w)
{
	__u64 pos;

	if (!w)
		return 0;
	pos = w->pos;
	for (__u64 i = 0; i < FILTER_CHUNK; i++) {
		FILTER_FORGET();
		pos = filter_walk_step(w, pos);
		if (!pos)
			return 0;
		pos = FILTER_OPAQUE(w, pos);
	}
	w->pos = (__u32)pos;
	return 1;
}

/* Relay agent information (RFC 3046): what selects a subnet, and a relay's own source port. */
FILTER_GLOBAL int filter_walk_relay_info(struct filter_work *w)
{
	__u32 pos, end;

	if (!w)
		return 0;
	pos = w->relay_info_off;
	end = pos + w->relay_info_len;
	for (int i = 0; i < FILTER_SUBOPTIONS; i++) {
		const __u8 *o;

		if (pos >= end)
			return filter_stop(w, FILTER_GO_ON);
		o = w->msg + FILTER_BOUND(pos, FILTER_MSG_MAX - 1);
		if (pos + 2 > end || pos + 2 + o[1] > end)
			return filter_stop(w, REASON_BAD_OPTION);
		if (o[0] == RELAY_LINK_SELECTION) {
			if (o[1] != 4 || !filter_first(w, SEEN_LINK))
				return filter_stop(w, REASON_BAD_OPTION);
			w->link = filter_addr(o + 2);
		} else if (o[0] == RELAY_SOURCE_PORT) {
			w->seen |= SEEN_RELAY_PORT;
		}
		pos += 2u + o[1];
	}
	return filter_stop(w, pos >= end ? FILTER_GO_ON : REASON_STEP_LIMIT);
}

static inline void filter_walk_begin(struct filter_work *w, __u32 len)
{
	w->pos = DHCP_OPTIONS_OFF;
	w->end = len;
	w->in_options = 1;
	w->overload = 0;
	w->result = REASON_STEP_LIMIT;
	w->seen = 0;
	w->type = 0;
	w->client_id_len = 0;
	w->relay_info_len = 0;
	w->selection = 0;
	w->link = 0;
}

static inline void filter_walk_chunks(struct filter_work *w, int max)
{
	for (int i = 0; i < max; i++) {
		if (!filter_walk(w))
			break;
	}
}

/* All options, until it is known that this is a DISCOVER or what else. */
static inline enum filter_reason filter_options(struct filter_env *env, struct filter_work *w,
						const struct filter_frame *f)
{
	filter_walk_begin(w, f->len);
	filter_walk_chunks(w, FILTER_CHUNKS);
	if (w->result == FILTER_WANTS_FIELDS) {
		if (filter_copy_fields(env, f->off, w))
			return REASON_BAD_LENGTH;
		w->in_options = 0;
		w->end = 0; /* the next step is the one to file or sname */
		w->result = REASON_STEP_LIMIT;
		filter_walk_chunks(w, FILTER_FIELD_CHUNKS);
	}
	if (w->result != FILTER_GO_ON)
		return (enum filter_reason)w->result;
	if (w->type == DHCPREQUEST)
		return REASON_RENEWING;
	if (!w->type)
		return REASON_NO_TYPE;
	if (w->relay_info_len)
		filter_walk_relay_info(w);
	return (enum filter_reason)w->result;
}

/* --- the rules -------------------------------------------------------------------------------- */

/* Which relationship: link selection, else subnet selection, else giaddr, else the interface. */
static inline enum filter_reason filter_choose(struct filter_env *env, struct filter_work *w,
					       const struct filter_frame *f,
					       struct relation_choice *ret)
{
	__u32 by = w->link ? w->link : w->selection ? w->selection : w->giaddr;

	if (w->giaddr && (f->source_port != DHCP_SERVER_PORT || (w->seen & SEEN_RELAY_PORT)))
		return REASON_RELAY_PORT;
	if (!w->giaddr && (w->seen & SEEN_RELAY_INFO))
		return REASON_DIRECT_RELAY_INFO;
	if (f->dest != 0xffffffffu && !filter_find_local(env, f->dest))
		return REASON_NOT_LOCAL;
	if (by) {
		if (!filter_find_subnet(env, by, ret))
			return REASON_UNKNOWN_SUBNET;
	} else if (!filter_find_iface(env, f->vlan, ret)) {
		return REASON_UNKNOWN_IFACE;
	}
	return ret->relation == TL_NO_RELATION ? REASON_NO_RELATION : FILTER_GO_ON;
}

/* loadbal_hash() over the message, in a form that a verifier can follow; @max is a constant. */
static inline __u64 filter_hash_up_to(const struct filter_work *w, __u64 off, __u64 len, __u64 max)
{
	__u64 hash = FILTER_BOUND(len, 255), last = off + len - 1;

	for (__u64 i = 0; i < max; i++) {
		if (i >= len)
			break;
		hash = loadbal_step(hash, w->msg[FILTER_BOUND(last - i, FILTER_MSG_MAX - 1)]);
	}
	return hash;
}

FILTER_GLOBAL int filter_hash_long(struct filter_work *w, __u32 off, __u32 len)
{
	return w ? (int)filter_hash_up_to(w, off, len, 255) : 0;
}

static inline __u64 filter_hash_chaddr(struct filter_work *w)
{
	__u64 hlen = w->msg[DHCP_OFF_HLEN], hash = 6;

	if (hlen != 6)
		return (__u64)filter_hash_long(w, DHCP_OFF_CHADDR, (__u32)hlen);
#pragma GCC unroll 6
	for (int i = 5; i >= 0; i--) /* Ethernet, that is nearly all */
		hash = loadbal_step(hash, w->msg[DHCP_OFF_CHADDR + i]);
	return hash;
}

/* @of_chaddr: its hash, if there is no client identifier. */
static inline __u8 filter_bucket(struct filter_work *w, const struct relation_policy *p,
				 __u64 of_chaddr)
{
	__u32 off = w->client_id_off, len = w->client_id_len;

	if (!len)
		return (__u8)of_chaddr;
	if (!loadbal_by_client_id(p->hash_identity, len))
		return (__u8)filter_hash_chaddr(w);
	if (len > FILTER_SHORT_ID)
		return (__u8)filter_hash_long(w, off, len);
	return (__u8)filter_hash_up_to(w, off, len, FILTER_SHORT_ID);
}

static inline enum filter_reason filter_decide(struct filter_env *env, struct filter_work *w,
					       const struct relation_choice *choice,
					       __u64 of_chaddr)
{
	const struct relation_policy *p = filter_find_policy(env, choice->relation);
	enum filter_reason vouched;
	enum loadbal_why why;

	if (!p)
		return REASON_NO_POLICY;
	w->judged = 1;
	w->relation = choice->relation;
	w->bucket = filter_bucket(w, p, of_chaddr);
	w->owned = (__u8)loadbal_owned(p, w->bucket);
	if (loadbal_serves(p, w->bucket, w->secs, &why))
		return why == LOADBAL_SERVE_ALL ? REASON_SERVE_ALL
		       : why == LOADBAL_OURS	? REASON_OURS
						: REASON_BY_SECS;
	if (why == LOADBAL_PARTNERS && choice->partner_cannot_serve)
		return REASON_PARTNER_EMPTY;
	vouched = filter_vouched(env, w);
	if (vouched != FILTER_GO_ON)
		return vouched;
	return why == LOADBAL_PARTNERS ? REASON_PARTNERS : REASON_NOT_SERVING;
}

/* A message that is whole and in the scratch. */
static inline enum filter_reason filter_message(struct filter_env *env, struct filter_work *w,
						const struct filter_frame *f)
{
	struct relation_choice choice;
	__u64 of_chaddr = 0;
	enum filter_reason r;

	r = filter_fixed_fields(w);
	if (r != FILTER_GO_ON)
		return r;
	r = filter_options(env, w, f);
	if (r != FILTER_GO_ON)
		return r;
	w->secs = dhcp_secs_repair(filter_be16(w->msg + DHCP_OFF_SECS));
	w->giaddr = filter_addr(w->msg + DHCP_OFF_GIADDR);
	if (!w->client_id_len) /* six loads in a chain: they go on while the tables are asked */
		of_chaddr = filter_hash_chaddr(w);
	r = filter_choose(env, w, f, &choice);
	if (r != FILTER_GO_ON)
		return r;
	return filter_decide(env, w, &choice, of_chaddr);
}

/* All but the glance: whatever that could not tell, and what there is no room to glance at. */
static inline enum filter_reason filter_closely(struct filter_env *env, struct filter_frame *f,
						struct filter_work **ret)
{
	struct filter_work *w;
	enum filter_reason r;

	*ret = 0;
	f->octets = 0;
	r = filter_ethernet(env, f);
	if (r != FILTER_GO_ON)
		return r;
	r = filter_ipv4_udp(env, f);
	if (r != FILTER_GO_ON)
		return r;
	w = filter_scratch(env);
	if (!w)
		return REASON_INTERNAL;
	w->judged = 0;
	*ret = w;
	if (filter_copy(env, f->off, w, f->len))
		return REASON_BAD_LENGTH;
	return filter_message(env, w, f);
}
