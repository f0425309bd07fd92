#pragma once
/*
 * What is known of one address: the numbers that decisions read (struct lease, kept in memory for
 * every address) and who holds it (struct lease_client, kept in the store only).
 * Spec: draft-ietf-dhc-failover-12 §5.4 (bindings); RFC 2131 §2.1.
 */
#include "core/types.h"

/* binding-status, draft-ietf-dhc-failover-12 §12.3; 0 = no record: FREE, the primary's */
enum lease_state {
	LEASE_NONE = 0,
	LEASE_FREE = 1,
	LEASE_ACTIVE = 2,
	LEASE_EXPIRED = 3,
	LEASE_RELEASED = 4,
	LEASE_ABANDONED = 5,
	LEASE_RESET = 6,
	LEASE_BACKUP = 7,
};

enum lease_flag {
	LEASE_RESERVED = 1,   /* R: reserved for one client, never in a free list */
	LEASE_BOOTP = 2,      /* B: BOOTP, no end */
	LEASE_DIRTY = 4,      /* the partner has not acknowledged the present contents */
	LEASE_BY_PARTNER = 8, /* the partner granted or renewed it last */
};

/* Identity of a client (RFC 4361, RFC 6842): keyed 128 bit digest of the client identifier, or of
 * htype + chaddr where none was sent. All zero: nobody. Digests differ between processes and
 * never leave one. */
struct client_key {
	uint64_t w[2];
};

struct lease {
	uint32_t addr;	    /* host order */
	uint32_t starts;    /* begin of the present lease */
	uint32_t expires;   /* told to the client by anyone (draft: lease-expiration-time) */
	uint32_t sent_pet;  /* largest potential expiry told to the partner */
	uint32_t acked_pet; /* potential expiry that the partner acknowledged */
	uint32_t rcvd_pet;  /* potential expiry received and acknowledged by us */
	uint32_t cltt;	    /* client-last-transaction-time */
	uint32_t stos;	    /* start-time-of-state of this binding */
	uint32_t serial; /* 1 + the largest seen for this address at every change; own kind only */
	uint8_t state;	 /* enum lease_state */
	uint8_t acked_state; /* the last state that the partner is known to have, or may have, seen
			      */
	uint8_t flags;	     /* enum lease_flag */
	uint8_t bucket;	     /* RFC 3074 hash of the client that holds or held it last */
	struct client_key key; /* not stored: made from struct lease_client when a record is read */
};

#define CLIENT_ID_MAX 255
#define CHADDR_MAX 16

struct lease_client {
	uint8_t htype, hlen; /* hlen 0: no hardware address known */
	uint8_t chaddr[CHADDR_MAX];
	uint8_t id_len; /* 0: the client sends no option 61 */
	uint8_t id[CLIENT_ID_MAX];
	uint8_t host_name_len;
	uint8_t host_name[255];
	uint8_t relay_agent_len; /* option 82 of the last request, as received */
	uint8_t relay_agent[255];
};

/* Of two changes the later one, as serial numbers go round (RFC 1982): also of an address whose
 * number a partner has driven to the largest. 0 is that of an address nobody told of, and comes
 * before all others. */
static inline bool lease_serial_later(uint32_t a, uint32_t b)
{
	return a && (!b || (int32_t)(a - b) > 0);
}

static inline uint32_t lease_serial_next(uint32_t serial)
{
	return serial + 1 ? serial + 1 : 1;
}

static inline uint32_t lease_serial_above(uint32_t a, uint32_t b)
{
	return lease_serial_next(lease_serial_later(a, b) ? a : b);
}

static inline bool client_key_equal(struct client_key a, struct client_key b)
{
	return a.w[0] == b.w[0] && a.w[1] == b.w[1];
}

static inline bool client_key_none(struct client_key a)
{
	return !(a.w[0] | a.w[1]);
}

/* Secret of this process, 16 random octets given at start. */
struct client_hash {
	uint64_t k[2];
};

/**
 * client_key - digest of a client's identity (SipHash-2-4, 128 bit)
 * @id:     value of option 61, or { NULL, 0 } where the client sent none
 * @htype:  hardware type and @chaddr (hlen octets): used when there is no @id
 *
 * Return: never the all-zero key.
 * Spec: RFC 2131 §4.2; RFC 4361 §6.
 */
struct client_key client_key(const struct client_hash *h, struct octets id, uint8_t htype,
			     struct octets chaddr);
/* The same for a stored client; the all-zero key when it names neither identifier nor hardware. */
struct client_key lease_client_key(const struct client_hash *h, const struct lease_client *c);

/* Is the address one that may be given to a new client by its owner? */
static inline bool lease_is_free(const struct lease *l)
{
	return l->state == LEASE_NONE || l->state == LEASE_FREE || l->state == LEASE_BACKUP;
}

/* On the primary: in the secondary's share, but wanted back, and not given yet? (On the secondary
 * the same means an address of its own that the primary has yet to hear of.) */
static inline bool lease_is_wanted_back(const struct lease *l)
{
	return l->state == LEASE_BACKUP && l->flags & LEASE_DIRTY && l->acked_state == LEASE_BACKUP;
}

/* Has its lease ended, and was that told to the partner, or may have been? */
static inline bool lease_end_is_told(const struct lease *l)
{
	return (l->state == LEASE_EXPIRED || l->state == LEASE_RELEASED ||
		l->state == LEASE_RESET) &&
	       l->acked_state == l->state;
}

const char *lease_state_name(unsigned state); /* "free", ... as in the API; "unknown" else */
