#pragma once
/*
 * Failover messages: octets <-> values. A decoded message keeps its options in the order of the
 * wire, so that it encodes to the same octets; typed readers pick what a message may carry.
 * Spec: draft-ietf-dhc-failover-12 §6, §7, §12.
 */
#include "core/binding.h"

#define FO_HDR_LEN 12
#define FO_MSG_MAX 2048
#define FO_DIGEST_ROOM 37 /* what option 17 takes where messages carry a digest */
#define FO_NONCE_LEN 16
#define FO_MAX_OPTS 509 /* the most that fit in FO_MSG_MAX octets */

enum fo_msg_type {
	FO_POOLREQ = 1,
	FO_POOLRESP = 2,
	FO_BNDUPD = 3,
	FO_BNDACK = 4,
	FO_CONNECT = 5,
	FO_CONNECTACK = 6,
	FO_UPDREQALL = 7,
	FO_UPDDONE = 8,
	FO_UPDREQ = 9,
	FO_STATE = 10,
	FO_CONTACT = 11,
	FO_DISCONNECT = 12,
	FO_MESSAGE_TYPES /* one above the last */
};

enum fo_opt_code {
	FO_OPT_ADDRESSES_TRANSFERRED = 1,
	FO_OPT_ASSIGNED_ADDRESS = 2,
	FO_OPT_BINDING_STATUS = 3,
	FO_OPT_CLIENT_ID = 4,
	FO_OPT_CHADDR = 5,
	FO_OPT_CLTT = 6,
	FO_OPT_REPLY_OPTIONS = 7,
	FO_OPT_REQUEST_OPTIONS = 8,
	FO_OPT_DDNS = 9,
	FO_OPT_DELAYED_SERVICE = 10,
	FO_OPT_HBA = 11,
	FO_OPT_IP_FLAGS = 12,
	FO_OPT_LEASE_EXPIRY = 13,
	FO_OPT_MAX_UNACKED = 14,
	FO_OPT_MCLT = 15,
	FO_OPT_MESSAGE = 16,
	FO_OPT_DIGEST = 17,
	FO_OPT_POTENTIAL_EXPIRY = 18,
	FO_OPT_RECEIVE_TIMER = 19,
	FO_OPT_VERSION = 20,
	FO_OPT_REJECT_REASON = 21,
	FO_OPT_RELATIONSHIP_NAME = 22,
	FO_OPT_SERVER_FLAGS = 23,
	FO_OPT_SERVER_STATE = 24,
	FO_OPT_STOS = 25,
	FO_OPT_TLS_REPLY = 26,
	FO_OPT_TLS_REQUEST = 27,
	FO_OPT_VENDOR_CLASS = 28,
	FO_OPT_VENDOR_SPECIFIC = 29,
};

/* Sub-options of option 29 between our own servers (2+2 TLVs) */
enum fo_vendor_code {
	FO_VENDOR_SERIAL = 1,	   /* u64, per binding: decision A13 */
	FO_VENDOR_INCARNATION = 2, /* 16 octets, CONNECT and CONNECTACK: decision A7 */
	FO_VENDOR_START_COUNT = 3, /* u64, CONNECT and CONNECTACK */
	FO_VENDOR_RUN_LENGTH = 4,  /* u32, per binding: consecutive never-used addresses, A3 */
	FO_VENDOR_FEATURES = 9,	   /* u32, CONNECT and CONNECTACK: enum fo_feature */
	FO_VENDOR_NONCE = 5,	   /* 16 octets, CONNECT and CONNECTACK with a digest: A24 */
	FO_VENDOR_MAX_SKEW = 8,	   /* u32 sec, CONNECT and CONNECTACK: the smaller one holds */
	FO_VENDOR_REMEMBERED = 10, /* u64, CONNECT: the largest start count of the partner's */
	FO_VENDOR_LEAD = 11,	   /* u32 sec, CONNECT: the longest lead time that still counts, A16 */
};

/* What a server understands beyond the first version, told to its partner: bits. */
enum fo_feature {
	FO_FEATURE_RUNS = 1, /* FO_VENDOR_RUN_LENGTH */
};

enum fo_verdict { /* one counter each */
		  FO_OK,
		  FO_MORE,	     /* the octets end within the message: read more */
		  FO_BAD_LENGTH,     /* header length outside 12..2048 */
		  FO_BAD_OFFSET,     /* payload offset below 8, 9..11, or beyond the length */
		  FO_BAD_TYPE,	     /* type 0 or 13..127: close (draft §6.1) */
		  FO_IGNORED_TYPE,   /* type 128..255: skip */
		  FO_BAD_OPTION,     /* an option runs past the end */
		  FO_BAD_OPTION_LEN, /* a fixed-length option of another length */
		  FO_DUPLICATE,	     /* an option twice (outside of a further binding group) */
		  FO_VERDICTS
};
const char *fo_verdict_text(enum fo_verdict v);

struct fo_opt {
	uint16_t code, len;
	const uint8_t *p; /* into the caller's octets */
};

struct fo_msg {
	uint8_t type, offset; /* offset as received */
	uint16_t len;
	uint32_t time; /* sender's clock, UTC sec */
	uint32_t xid;
	struct octets extra; /* header octets between 12 and the payload offset */
	uint16_t n_opts;
	struct fo_opt opt[FO_MAX_OPTS];
};

/* Octets that the first message of a stream takes; 0: fewer than two octets so far. For a length
 * that no message may have it says 2, so that the caller decodes at once and hears why not. */
size_t fo_msg_length(const uint8_t *buf, size_t len);

/**
 * fo_msg_decode - one message from the start of @buf
 * Return: FO_OK with @ret filled; it points into @buf. On any other verdict @ret->len is the
 * message's length where that is known (to skip it), else 0.
 */
enum fo_verdict fo_msg_decode(const uint8_t *buf, size_t len, struct fo_msg *ret);

/* The same octets again: how the tests see that nothing of a message was lost. Return: length, 0
 * when @size is too small. */
size_t fo_msg_encode(const struct fo_msg *m, uint8_t *buf, size_t size);

/* --- typed readers -------------------------------------------------------------------------- */

struct octets fo_msg_opt(const struct fo_msg *m, uint16_t code); /* first instance, p NULL absent */
bool fo_msg_u32(const struct fo_msg *m, uint16_t code, uint32_t *ret); /* 1, 2 and 4 octets too */
bool fo_vendor_is_own(struct octets vendor_class);		       /* "twinlease-..." */

/* CONNECT and CONNECTACK, tables 5.1 and 5.2; @has has bit (1u << code) for what was there. A hash
 * bucket assignment that is not 32 octets counts as absent: it is answered with reject 18, the link
 * is not dropped. Option 29 is read from our own kind only (bit 29 says so). */
struct fo_connect {
	uint32_t has;
	struct octets name, vendor, message;
	uint32_t max_unacked, receive_timer, mclt;
	uint8_t version, tls;	 /* TLS-request in CONNECT, TLS-reply in CONNECTACK */
	uint8_t reject;		 /* enum fo_reject, CONNECTACK */
	uint8_t hba[32];	 /* a 1 bit: the primary serves the bucket (ISC's sense) */
	uint8_t incarnation[16]; /* all zero: none */
	uint64_t start_count;	 /* own kind */
	uint64_t remembered;	 /* own kind, CONNECT: of the one it speaks to; 0 not told */
	uint32_t features;	 /* own kind: enum fo_feature, 0 of the first version */
	uint32_t max_skew;	 /* own kind; sec, 0 not told */
	uint32_t lead;		 /* own kind, CONNECT: sec, see FO_VENDOR_LEAD; 0 not told */
	bool own_kind;		 /* the vendor class names Twinlease */
	bool has_nonce;		 /* own kind, with a message digest */
	uint8_t nonce[FO_NONCE_LEN];
};
void fo_msg_read_connect(const struct fo_msg *m, struct fo_connect *ret);

struct fo_state_msg {
	uint8_t state; /* enum fo_state on the wire */
	bool startup;  /* flag 0x01 */
	uint32_t stos;
};
/* Return: false when there is no server-state; it may hold any number, see fo_state_valid. */
bool fo_msg_read_state(const struct fo_msg *m, struct fo_state_msg *ret);

/* One binding of a BNDUPD or BNDACK; groups begin with assigned-IP-address. */
struct fo_binding {
	uint32_t has; /* bit (1u << code) */
	uint32_t addr;
	uint8_t status;
	struct octets client_id, chaddr;   /* chaddr: htype, then the address */
	uint32_t expires, pet, stos, cltt; /* sender's clock; 0 = never or absent */
	uint16_t ip_flags;		   /* 1 R, 2 B */
	uint64_t serial;
	uint32_t run; /* length of a run of never-used addresses; 0: one address, its record */
	bool has_serial;
	uint8_t reject; /* BNDACK */
	struct octets message;
};
/* @cursor starts at 0. Return: false when there is no further group. Options before the first
 * group belong to none. @serial and @run mean something from our own kind only: the caller knows
 * from CONNECT whom it talks to (another make may use option 29 for something else). */
bool fo_msg_next_binding(const struct fo_msg *m, unsigned *cursor, struct fo_binding *ret);

/* --- writers: octets of a whole message, 0 when it does not fit ------------------------------- */

struct fo_writer {
	uint8_t *buf;
	size_t size, len;
	bool bad;
};
void fo_write_begin(struct fo_writer *w, uint8_t *buf, size_t size, uint8_t type, wall_t time,
		    uint32_t xid);
void fo_write_opt(struct fo_writer *w, uint16_t code, const void *p, size_t len);
void fo_write_u8(struct fo_writer *w, uint16_t code, uint8_t v);
void fo_write_u32(struct fo_writer *w, uint16_t code, uint32_t v);
size_t fo_write_end(struct fo_writer *w); /* sets the length field */

/* In ISC's order; @has decides what goes, bit 29 also incarnation, start counts (ours, and the
 * partner's as @remembered) and nonce. A rejecting CONNECTACK (@reject not 0) carries name, vendor,
 * version, TLS-reply, reason and message alone. */
void fo_write_connect(struct fo_writer *w, const struct fo_connect *c);
void fo_write_connectack(struct fo_writer *w, const struct fo_connect *c);
void fo_write_state(struct fo_writer *w, const struct fo_state_msg *s);
/* ISC's order: 2, 3, [4], [5], 13, 18, 25, [6], [12], then 29 to our own kind. What is empty or
 * zero of [..] is left out whatever @has says; client data never goes with ABANDONED; LEASE_NONE
 * goes as FREE. Leaves the writer as it was and returns false when the group does not fit any more.
 */
bool fo_write_binding(struct fo_writer *w, const struct fo_binding *b, bool own_kind);
/* One address of a BNDACK. @message goes with a rejection only; NULL: none. False as above. */
bool fo_write_ack(struct fo_writer *w, uint32_t addr, enum fo_reject reject, const char *message);

#define FO_VENDOR_CLASS "twinlease-" TWINLEASE_VERSION
