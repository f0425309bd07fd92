#pragma once
/*
 * twinbench from the inside: what its parts share. A client is an identity that comes from the
 * seed, so that the same seed brings the same clients back; an exchange is what one client does
 * at a time (DORA, renewal, ...). One thread, one loop.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "shared/dhcp_wire.h"

#define BENCH_SERVERS 4
#define BENCH_RELAYS 256
#define BENCH_LEVELS 16 /* transmissions of one message at most */
#define BENCH_JITTERS 8 /* waits of one level, between jitter less and jitter more */
#define BENCH_LISTEN (BENCH_LEVELS * BENCH_JITTERS) /* the list of clients that collect OFFERs */
#define BENCH_LISTS (BENCH_LISTEN + 1)
#define BENCH_ID_MAX 48
#define BENCH_PACKET 640

/* What an exchange is; all exchanges of one phase are the same, in a mix each has its own. */
enum bench_phase {
	PH_DISCOVER,
	PH_DORA,
	PH_RENEW,
	PH_REBIND,
	PH_REBOOT,
	PH_RELEASE,
	PH_DECLINE,
	PH_RETURN, /* DORA by a client that has a lease */
	PH_MIX,
};
#define BENCH_KINDS PH_MIX

enum bench_identity { ID_MAC, ID_CLIENT_ID, ID_MIXED };

struct bench_server {
	uint32_t addr;	/* host order; of --server, or the server identifier of a first answer */
	uint8_t mac[6]; /* direct mode: where its frames came from */
	uint64_t offers, acks, naks;
	uint64_t bucket[256]; /* OFFERs by RFC 3074 bucket of the client */
};

struct bench_relay {
	uint32_t giaddr;
	uint64_t offers, acks, naks;
};

struct bench_conf {
	uint32_t clients, first; /* numbers of the identities: first .. first + clients - 1 */
	uint64_t seed;
	enum bench_identity identity;
	const char *interface;	      /* direct mode */
	uint32_t window;	      /* closed loop: exchanges under way */
	double rate, period;	      /* open loop: exchanges per second, for so many seconds */
	uint64_t exchanges;	      /* how many in all; 0: one per client */
	uint32_t weight[BENCH_KINDS]; /* of a mix */
	unsigned tries;	       /* transmissions without an answer before an exchange has failed */
	unsigned rebind_after; /* renew: transmissions by unicast before it goes to everybody */
	uint32_t timeout_ms, jitter_ms, listen_ms;
	int64_t nap_us; /* at least so long between two looks at the sockets */
	uint16_t secs;
	bool secs_fixed, broadcast, backoff, hash_hardware;
	const char *circuit; /* option 82.1 */
};

/* One simulated client, 64 octets: a million of them fit. */
struct bench_client {
	int64_t started_us; /* the exchange; in open loop when it was due, not when it was sent */
	int64_t sent_us;    /* the last message */
	uint32_t asked_us;  /* the first REQUEST for any OFFER, after started_us; 0 none yet */
	uint32_t chosen_us; /* the first REQUEST for the chosen OFFER, after started_us */
	uint32_t addr;	    /* held, or offered and asked for */
	uint32_t held;	    /* of the last ACK, until released, declined or refused */
	uint32_t server_id; /* of the ACK or the chosen OFFER */
	uint32_t expiry;    /* UTC; 0 no lease */
	uint32_t xid;
	uint32_t next, prev; /* in its list; BENCH_NONE ends it */
	uint16_t secs;	     /* of the last DISCOVER, repeated in the REQUEST (RFC 2131 §4.4.1) */
	uint8_t state : 4;   /* enum bench_state */
	uint8_t kind : 4;    /* enum bench_phase: what it does now */
	uint8_t list;	     /* where it waits for an answer */
	uint8_t level;	     /* transmissions of this exchange that got no answer */
	uint8_t requests;    /* REQUESTs for the chosen OFFER */
	uint8_t heard;	     /* servers that offered, a bit each */
};
_Static_assert(sizeof(struct bench_client) == 64, "a client is what --help says");
#define BENCH_NONE UINT32_MAX

enum bench_state { CL_IDLE, CL_WAIT_OFFER, CL_WAIT_ACK, CL_LISTEN };

/* Latencies: log-linear, 32 steps per power of two, so within 1.6 %; 8 KiB for any number. */
struct bench_hist {
	uint64_t n, sum, min, max;
	double sum_sq; /* more than an integer holds: a second is 10^12 square microseconds */
	uint32_t slot[64 * 32];
};

struct bench_kind { /* the exchanges of one kind */
	uint64_t started, done, failed, naks;
	struct bench_hist whole; /* from the start to the last answer */
};

struct bench_counters { /* of one phase, or of a mix */
	uint64_t started, done, failed, busy, sent, resent, lost, received, alien, naks;
	uint64_t discovers, requests, offers, acks;
	uint64_t late; /* answered only after more than two retransmissions */
	uint64_t by_servers[BENCH_SERVERS + 1]; /* discover: clients by number of servers heard */
	uint64_t behind_us;			/* open loop: the latest start after it was due */
	uint64_t cpu_us;			/* of this program */
	uint64_t drops;				/* answers that this program was too slow for */
	double seconds;
	struct bench_hist offer, ack;
	struct bench_kind kind[BENCH_KINDS];
};

/* --- clocks (bench_clock.c) --- */

struct bench_now {
	int64_t us;   /* since boot */
	uint32_t sec; /* UTC */
};
struct bench_now bench_clock(void);
int64_t bench_clock_us(void);
uint64_t bench_clock_cpu_us(void); /* used by this process */
void bench_clock_sleep(int64_t us);

/* --- identities and packets (bench_packet.c) --- */

/* splitmix64: every number gives well mixed bits of its own. */
uint64_t bench_mix64(uint64_t x);
/* Any text is a seed. */
uint64_t bench_seed(const char *text);
void bench_identity_mac(const struct bench_conf *c, uint32_t n, uint8_t mac[6]);
/* Option 61 of a client; 0 when it has none. */
unsigned bench_identity_id(const struct bench_conf *c, uint32_t n, uint8_t id[BENCH_ID_MAX]);
/* The number of the client with this address; it may be nobody's. */
uint32_t bench_identity_number(const struct bench_conf *c, const uint8_t mac[6]);
uint8_t bench_identity_bucket(const struct bench_conf *c, uint32_t n);

struct bench_request {
	uint8_t type; /* enum dhcp_type */
	uint32_t xid, ciaddr, requested, server_id, giaddr;
	uint16_t secs;
};
size_t bench_packet_build(const struct bench_conf *c, uint32_t n, const struct bench_request *r,
			  uint8_t out[BENCH_PACKET]);

struct bench_reply {
	uint8_t type;
	uint32_t xid, yiaddr, server_id, lease_sec;
	uint8_t mac[6];
	uint8_t from_mac[6]; /* direct mode */
};
bool bench_packet_parse(const uint8_t *p, size_t len, struct bench_reply *ret);

/* --- sockets (bench_net.c) --- */

struct bench_net;

/* Where a message goes. */
enum bench_way {
	WAY_ALL,    /* relay: to every server; direct: broadcast */
	WAY_SERVER, /* unicast from ciaddr to one server */
};
int bench_net_open(const struct bench_conf *c, const struct bench_server *servers,
		   unsigned n_servers, struct bench_net **ret);
/* Answers that were lost here, because the socket's buffer was full. */
uint64_t bench_net_drops(struct bench_net *net);
void bench_net_close(struct bench_net *net);
/* Queue one message; sent by bench_net_flush or when the batch is full. */
void bench_net_send(struct bench_net *net, enum bench_way way, const struct bench_request *r,
		    const uint8_t client_mac[6], const struct bench_server *to, const uint8_t *msg,
		    size_t len);
void bench_net_flush(struct bench_net *net);
typedef void (*bench_reply_fn)(void *arg, const struct bench_reply *r);
/* "Is this address one of ours": ARP is answered for it (direct mode). NULL: it is not. */
typedef const uint8_t *(*bench_arp_fn)(void *arg, uint32_t addr, uint8_t scratch[6]);
/* Wait up to @us for answers and hand them over. */
void bench_net_receive(struct bench_net *net, int64_t us, bench_reply_fn fn, bench_arp_fn arp,
		       void *arg);

/* --- addresses held: one address, one client (bench_held.c) --- */

struct bench_held;
struct bench_held *bench_held_new(uint32_t clients);
void bench_held_free(struct bench_held *h);
/* Client @n holds @addr until @expiry. Returns the other client that holds it now, or BENCH_NONE.
 */
uint32_t bench_held_take(struct bench_held *h, uint32_t addr, uint32_t n, uint32_t expiry,
			 uint32_t now);
void bench_held_drop(struct bench_held *h, uint32_t addr, uint32_t n);
uint32_t bench_held_owner(struct bench_held *h, uint32_t addr);

/* --- which client is next (bench_pick.c) --- */

enum bench_class {
	CLASS_NEW,
	CLASS_LEASED,
	CLASS_BUSY
}; /* without a lease, with one, in between */

struct bench_pick;
struct bench_pick *bench_pick_new(uint32_t clients); /* all are CLASS_NEW */
void bench_pick_free(struct bench_pick *p);
void bench_pick_move(struct bench_pick *p, uint32_t n, enum bench_class to);
/* One of a class, each as likely as any other; BENCH_NONE: it is empty. */
uint32_t bench_pick_any(const struct bench_pick *p, enum bench_class from, uint32_t random);
/* By weight; one weight at least is not 0. */
enum bench_phase bench_pick_kind(const uint32_t weight[BENCH_KINDS], uint32_t random);

/* --- latencies (bench_hist.c), in microseconds --- */

void bench_hist_add(struct bench_hist *h, int64_t us);
uint64_t bench_hist_at(const struct bench_hist *h, double part);

/* --- the exchanges (bench_run.c begins them, bench_exchange.c leads them to their end) --- */

struct bench_event { /* --at SECONDS --run COMMAND */
	double at;
	const char *command;
};

struct bench {
	struct bench_conf conf;
	struct bench_server server[BENCH_SERVERS];
	struct bench_relay relay[BENCH_RELAYS]; /* client n is behind relay n % n_relays */
	unsigned n_servers, n_relays;		/* no relay: direct clients */
	struct bench_client *client;
	struct bench_held *held;
	struct bench_pick *pick; /* of a mix */
	struct bench_net *net;
	FILE *leases;	     /* a line per ACK, RELEASE and DECLINE, written at once */
	uint64_t duplicates; /* one address, two clients at one time */
	volatile int *stop;  /* set by a signal */
	struct bench_event event;
	int64_t event_us; /* when the command ran; 0 not yet */
	int64_t gap_us; /* of the DISCOVERs that got no answer: the latest start after the event */
	uint64_t random;

	/* of the phase that runs */
	enum bench_phase phase;
	struct bench_counters k;
	uint32_t head[BENCH_LISTS], tail[BENCH_LISTS]; /* all of one list wait equally long */
	int64_t wait_us[BENCH_LISTS];
	uint32_t under_way;
	uint64_t begun; /* clients looked at, whether or not there was something to do */
	int64_t phase_us;
	struct bench_now now;
};

/* Run one phase or the mix; the figures are in b->k. */
void bench_run_phase(struct bench *b, enum bench_phase phase);

/* Begin an exchange that was due at @due_us, with a client that is idle. */
void bench_exchange_begin(struct bench *b, uint32_t n, enum bench_phase kind, int64_t due_us);
/* Nothing came in time: the next transmission, or the end. */
void bench_exchange_timeout(struct bench *b, struct bench_client *cl);
void bench_exchange_reply(void *arg, const struct bench_reply *r); /* a bench_reply_fn */
bool bench_has_lease(const struct bench *b, const struct bench_client *cl);
void bench_forget(struct bench *b, struct bench_client *cl);

/* Lists of clients that wait for an answer (bench_wait.c). */
void bench_wait_init(struct bench *b);
void bench_wait_add(struct bench *b, struct bench_client *cl);
void bench_wait_remove(struct bench *b, struct bench_client *cl);
void bench_wait_run_out(struct bench *b); /* calls bench_exchange_timeout */
/* When the next of them has waited long enough; @latest if none before that. */
int64_t bench_wait_next(const struct bench *b, int64_t latest);

static inline uint32_t bench_number(const struct bench *b, const struct bench_client *cl)
{
	return (uint32_t)(cl - b->client);
}

/* --- what is kept and printed (bench_leases.c, bench_json.c, bench_perfdhcp.c) --- */

/* -EBADMSG: @ret_line is none of such a file. */
int bench_leases_load(struct bench *b, const char *file, unsigned *ret_line);
void bench_leases_write(struct bench *b, const struct bench_client *cl, const uint8_t mac[6]);
void bench_ip(uint32_t addr, char out[INET_ADDRSTRLEN]);
extern const char *const bench_phase_name[PH_MIX + 1];
void bench_print_phase(FILE *f, enum bench_phase phase, const struct bench_counters *k);
void bench_print_servers(FILE *f, const struct bench *b, bool buckets);
void bench_print_perfdhcp(FILE *f, const struct bench_conf *c, const struct bench_counters *k);
