#pragma once
/*
 * The border between the kernel program and user space: maps, their keys and values, verdicts.
 * Operators dump these maps with bpftool; names are public. All integers are in host order unless
 * a comment says otherwise; addresses are four octets as typed.
 */
#include <linux/types.h>

#define TL_ABI_VERSION 1
#define TL_MAX_RELATIONS 1024
#define TL_SLOTS 4 /* per relationship; the active one is named by tl_control */
#define TL_MAX_PREFIXES 65536
#define TL_MAX_IFACES 256
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

/* tl_relation: slot (TL_SLOTS per relationship) -> policy; writer: daemon; reader: every packet */
struct relation_policy {
	__u32 serve;	  /* enum filter_serve */
	__u32 generation; /* counts the changes of this relationship */
	__u8 owned[32];	  /* RFC 3074 buckets answered here, bit b % 8 of octet b / 8 */
	__u16 secs_threshold; /* secs >= this is answered by both; 0 = both always */
	__u8 hash_identity;   /* enum hash_identity */
	__u8 pad[5];
};
_Static_assert(sizeof(struct relation_policy) == 48, "no hidden padding");
