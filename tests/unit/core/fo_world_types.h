#pragma once
/*
 * What a world of two endpoints is made of (fo_world.h): the servers with their disks, what waits
 * for a commit and what is on the wire, and the clients by number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/fo_endpoint_priv.h"
#include "shared/loadbal.h"

#define SEC 1000000LL
#define BASE 1700000000LL /* UTC sec at virtual time 0 */
#define COMMIT_US 2000
#define WIRE_US 500
#define RECONNECT_US (1 * SEC)
#define MAX_ADDR 8192
#define FIRST 0x0a090000u /* 10.9.0.0 */
#define N_CLIENTS 24

struct disk {
	bool has[MAX_ADDR];
	struct lease l[MAX_ADDR];
	struct lease_client c[MAX_ADDR];
	uint32_t recent[MAX_ADDR][4]; /* serials written last */
	bool has_run[MAX_ADDR];	      /* what holds without a record */
	struct lease run[MAX_ADDR];
	uint32_t recent_run[MAX_ADDR][4];
	struct fo_record rec;
	bool has_rec;
	uint64_t starts;
};

enum out_kind { OUT_MESSAGE, OUT_CLOSE, OUT_VIEW, OUT_ACK };

struct out { /* waits for a commit */
	struct out *next;
	enum out_kind kind;
	uint64_t batch;
	unsigned epoch;
	size_t len;
	uint8_t msg[FO_MSG_MAX];
	struct fo_view view;
	struct lease lease;	/* OUT_ACK */
	unsigned client, asked; /* the client's request that it answers */
};

struct op { /* waits to be written */
	struct op *next;
	uint64_t batch;
	bool record, keep_client;
	uint32_t run; /* length, 0: one address */
	struct lease l;
	struct lease_client c;
	struct fo_record rec;
};

struct in_air {
	struct in_air *next;
	int64_t at;
	unsigned epoch;
	size_t len;
	uint8_t msg[FO_MSG_MAX];
};

struct world;
struct node {
	struct world *w;
	unsigned i;
	bool up;
	struct fo_conf conf;
	struct disk disk;
	struct pool *pool;
	void *pool_mem, *ep_mem;
	struct fo_endpoint *ep;
	struct fo_view view; /* in force */
	uint64_t open, durable, committing;
	unsigned open_puts;
	int64_t commit_at; /* -1: nothing on its way */
	struct op *ops, **ops_end;
	struct out *outs, **outs_end;
	struct in_air *wire, **wire_end; /* towards this node */
	int64_t skew;			 /* sec, added to the wall clock */
	uint32_t asked[MAX_ADDR];	 /* serials on disk when the partner asked for updates */
	uint64_t asked_rejects;
	unsigned in_flight; /* BNDUPD that left and are not acknowledged */
	unsigned max_in_flight, peaks;
	uint32_t recv_serial[MAX_ADDR], recv_xid[MAX_ADDR]; /* of the last update heard */
	uint32_t recv_run[MAX_ADDR];
	char last_event[64], last_why[128];
	unsigned events, clock_events, updates_left, multi;
	unsigned runs_written, runs_left, runs_refused;
	unsigned lacked;   /* updates refused by a partner that has no such range */
	unsigned refusals; /* updates refused, either way; the last one: */
	struct fo_refusal refused;
	struct lease refused_ours, refused_theirs;
	char refused_words[200];
	uint8_t trace[64]; /* states entered */
	unsigned n_trace;
	bool written[256]; /* states that were on disk since the start */
};

struct promise {
	unsigned client; /* 0: none; else 1.. */
	uint32_t until;
	uint32_t said_by;
};

struct world {
	int64_t us;
	struct node n[2]; /* 0 primary, 1 secondary */
	bool linked, partition;
	bool no_runs; /* both are told that the other is of the first version */
	bool by_hand; /* one node only: what it sends to the other is kept for the test */
	unsigned epoch;
	int64_t connect_at;
	struct scope_table table;
	struct scope scopes[3];
	struct addr_range ranges[3];
	struct promise promise[MAX_ADDR];
	uint32_t lease_time;
	bool check_promises;
	bool lied_to; /* somebody has acknowledged in the partner's name */
	uint64_t rnd;
	uint32_t client_addr[N_CLIENTS]; /* what the client believes to hold */
	unsigned released[N_CLIENTS];	 /* answers to what it asked before are ignored */
};

static inline uint64_t rnd(struct world *w)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return w->rnd;
}

static struct now now_of(const struct node *n)
{
	return (struct now){ { n->w->us }, { BASE + n->w->us / SEC + n->skew } };
}

static const struct client_hash secret = { { 1, 2 } };

static struct lease_client client_of(unsigned c)
{
	struct lease_client r = { .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, (uint8_t)c } };

	return r;
}

static uint8_t bucket_of(unsigned c)
{
	struct lease_client r = client_of(c);

	return loadbal_bucket(0, r.id, r.id_len, r.chaddr, r.hlen);
}
