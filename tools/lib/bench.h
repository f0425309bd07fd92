#pragma once
/*
 * twinbench from the inside: what its parts share. A client is an identity that comes from the
 * seed, so that the same seed brings the same clients back; an exchange is what one client does
 * in one phase (DORA, renewal, ...). One thread, one loop.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "shared/dhcp_wire.h"

#define BENCH_SERVERS 4
#define BENCH_LEVELS 16 /* transmissions of one message at most */
#define BENCH_ID_MAX 48
#define BENCH_PACKET 640

enum bench_phase { PH_DISCOVER, PH_DORA, PH_RENEW, PH_REBIND, PH_REBOOT, PH_RELEASE, PH_DECLINE };
enum bench_identity { ID_MAC, ID_CLIENT_ID, ID_MIXED };

struct bench_server {
	uint32_t addr;	/* host order; of --server, or the server identifier of a first answer */
	uint8_t mac[6]; /* direct mode: where its frames came from */
	uint64_t offers, acks, naks;
	uint64_t bucket[256]; /* OFFERs by RFC 3074 bucket of the client */
};

struct bench_conf {
	uint32_t clients, first; /* numbers of the identities: first .. first + clients - 1 */
	uint64_t seed;
	enum bench_identity identity;
	uint32_t giaddr;       /* relay mode */
	const char *interface; /* direct mode */
	uint32_t window;       /* closed loop: exchanges under way */
	double rate, period;   /* open loop: exchanges per second, for so many seconds */
	unsigned tries;	       /* transmissions without an answer before an exchange has failed */
	unsigned rebind_after; /* renew: transmissions by unicast before it goes to everybody */
	uint32_t timeout_ms, listen_ms;
	uint16_t secs;
	bool secs_fixed, broadcast, backoff, hash_hardware;
	const char *circuit; /* option 82.1 */
};

/* One simulated client, 56 octets: a million of them fit. */
struct bench_client {
	int64_t started_us; /* the exchange; in open loop when it was due, not when it was sent */
	int64_t sent_us;    /* the last one */
	uint32_t addr;	    /* held, or offered and asked for */
	uint32_t held;	    /* of the last ACK, until released, declined or refused */
	uint32_t server_id; /* of the ACK or the chosen OFFER */
	uint32_t expiry;    /* UTC; 0 no lease */
	uint32_t xid;
	uint32_t next, prev; /* in its level's list; BENCH_NONE ends it */
	uint8_t state;	     /* enum bench_state */
	uint8_t level;	     /* transmissions of this exchange that got no answer: its list */
	uint8_t requests;    /* REQUESTs for the chosen OFFER */
	uint8_t heard;	     /* servers that offered, a bit each */
};
#define BENCH_NONE UINT32_MAX

enum bench_state { CL_IDLE, CL_WAIT_OFFER, CL_WAIT_ACK, CL_LISTEN };

/* Latencies: log-linear, 32 steps per power of two, so within 3 %. */
struct bench_hist {
	uint64_t n, sum, sum_sq, min, max;
	uint32_t slot[64 * 32];
};

struct bench_counters { /* of one phase */
	uint64_t started, done, failed, busy, sent, resent, received, alien, naks;
	uint64_t discovers, requests, offers, acks;
	uint64_t late; /* answered only after more than two retransmissions */
	uint64_t by_servers[BENCH_SERVERS + 1]; /* discover: clients by number of servers heard */
	struct bench_hist offer, ack;
};

/* --- identities and packets (bench_packet.c) --- */

/* splitmix64: every number gives well mixed bits of its own. */
uint64_t bench_mix64(uint64_t x);
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

/* --- latencies (bench_hist.c), in microseconds --- */

void bench_hist_add(struct bench_hist *h, int64_t us);
uint64_t bench_hist_at(const struct bench_hist *h, double part);

/* --- figures (bench_stats.c) --- */

void bench_print_phase(FILE *f, const char *name, const struct bench_counters *k, double seconds);
void bench_print_servers(FILE *f, const struct bench_server *s, unsigned n, bool buckets);
void bench_print_perfdhcp(FILE *f, const struct bench_conf *c, const struct bench_counters *k,
			  double seconds);

/* --- the exchanges (bench_run.c) --- */

struct bench_event { /* --at SECONDS --run COMMAND */
	double at;
	const char *command;
};

struct bench {
	struct bench_conf conf;
	struct bench_server server[BENCH_SERVERS];
	unsigned n_servers;
	struct bench_client *client;
	struct bench_held *held;
	struct bench_net *net;
	FILE *leases;	     /* a line per ACK, written at once */
	uint64_t duplicates; /* one address, two clients at one time */
	volatile int *stop;  /* set by a signal */
	struct bench_event event;
	int64_t event_us; /* when the command ran; 0 not yet */
	int64_t gap_us; /* of the DISCOVERs that got no answer: the latest start after the event */

	/* of the phase that runs */
	enum bench_phase phase;
	struct bench_counters k;
	uint32_t head[BENCH_LEVELS + 1], tail[BENCH_LEVELS + 1];
	uint32_t under_way;
	uint64_t begun; /* clients looked at, whether or not there was something to do */
	int64_t now_us, phase_us;
	uint32_t now_sec;
};

/* Run one phase over all clients; the figures are in b->k. Returns its seconds. */
double bench_run_phase(struct bench *b, enum bench_phase phase);
int bench_load_leases(struct bench *b, const char *file);
void bench_ip(uint32_t addr, char out[INET_ADDRSTRLEN]);
