#pragma once
/*
 * Two shipping endpoints over shipping pools, a store of two copies (on disk, and with what is not
 * committed yet), a first-in-first-out wire and a few clients, all in one piece of memory without
 * a pointer to anything outside of it: a snapshot is a copy, put back to the same place.
 *
 * Time stands still but for time steps. Whole seconds only. CONTACT is left out: silence is the
 * step "link lost". One commit covers all that waits; nothing that was put or sent after it leaves
 * before it. Time, clients and the
 * beginning are in explore_client.h; both are included by explore.c alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/fo_endpoint_priv.h"
#include "core/pool_priv.h"
#include "core/server.h"
#include "shared/loadbal.h"

#define BASE 1700000000LL /* UTC sec at virtual time 0 */
#define NET 0x0a090000u	  /* 10.9.0.0 */
#define FIRST (NET + 10)
#define MAX_ADDR 6
#define MAX_CLIENTS 3
#define BUF 3072
#define ACKS 512	   /* of the endpoint's buffer of acknowledgements */
#define LONG_SEC 100000000 /* a timer that never fires here */
enum { MCLT_SEC = 20, LEASE_SEC = 60, STARTUP_AFTER = 5 };

struct disk {
	struct lease l[MAX_ADDR];
	uint8_t client[MAX_ADDR]; /* whose; 0 nobody */
	uint8_t has[MAX_ADDR];
	struct fo_record rec;
	uint64_t starts;
	uint32_t shown; /* states that were on disk since the start, a bit each */
	uint8_t has_rec;
};

enum out_kind { OUT_MESSAGE = 1, OUT_CLOSE, OUT_VIEW, OUT_ACK };

struct out {
	uint16_t len; /* of what follows */
	uint8_t kind;
};

struct out_ack { /* to a client */
	uint32_t addr, expires;
	uint8_t client, released;
};

struct node {
	uint8_t up, conn, waiting; /* for a commit */
	uint64_t open;		   /* number of the next commit */
	struct disk disk, soft;
	struct fo_view view; /* in force */
	uint16_t out_len, wire_len;
	uint8_t out[BUF];  /* waits for the commit */
	uint8_t wire[BUF]; /* on its way to this node */
};

struct promise {
	uint32_t until;
	uint8_t client, said_by;
};

struct world {
	int64_t sec;
	struct node n[2]; /* 0 is the primary */
	struct promise promise[MAX_ADDR];
	uint32_t addr[MAX_CLIENTS + 1], until[MAX_CLIENTS + 1]; /* what a client believes to have */
	uint8_t released[MAX_CLIENTS + 1];
	uint8_t asked[MAX_CLIENTS + 1]; /* servers asked in this second, a bit each */
	uint8_t lost;			/* stores lost, a bit each */
	uint8_t down_declared;
};

/* What never changes. */
static struct {
	unsigned n_addr, n_clients;
	bool false_down; /* PARTNER-DOWN is declared of a partner that lives */
	struct fo_conf conf[2];
	struct scope scope;
	struct addr_range range;
	struct scope_table table;
} setup;

static struct world w;
static struct fo_endpoint *ep[2];
static struct pool *pools[2];
static void *ep_mem[2], *pool_mem[2];
static size_t ep_size, pool_octets;
static const struct client_hash secret = { { 1, 2 } };
static bool replay; /* tell what happens */
static char violation[200];

static void violate(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void violate(const char *fmt, ...)
{
	va_list ap;

	if (violation[0])
		return;
	va_start(ap, fmt);
	vsnprintf(violation, sizeof(violation), fmt, ap);
	va_end(ap);
}

static struct now now_is(void)
{
	return (struct now){ { w.sec * FO_SEC_US }, { BASE + w.sec } };
}

static struct lease_client client_of(unsigned c)
{
	return (struct lease_client){ .htype = 1,
				      .hlen = 6,
				      .chaddr = { 2, 0, 0, 0, 0, (uint8_t)c } };
}

/* --- what leaves after a commit --------------------------------------------------------------- */

static void append(uint8_t *buf, uint16_t *len, const void *p, size_t n)
{
	if (*len + n > BUF) {
		fprintf(stderr, "explore: a buffer is too small\n");
		exit(2);
	}
	if (n)
		memcpy(buf + *len, p, n);
	*len = (uint16_t)(*len + n);
}

/* Draft §7: nothing is shown before it is durable. */
static void check_message(unsigned i, const uint8_t *msg, size_t len)
{
	const struct node *n = &w.n[i];
	static struct fo_msg m;
	struct fo_state_msg s;
	struct fo_binding b;
	unsigned cursor = 0;

	if (fo_msg_decode(msg, len, &m) != FO_OK) {
		violate("%c sends what cannot be read", "PS"[i]);
		return;
	}
	if (m.type == FO_STATE && fo_msg_read_state(&m, &s) &&
	    !(n->disk.shown >> (s.state & 31) & 1))
		violate("%c shows %s, which is not on disk", "PS"[i], fo_state_name(s.state));
	while (m.type == FO_BNDUPD && fo_msg_next_binding(&m, &cursor, &b)) {
		const struct lease *l = &n->disk.l[b.addr - FIRST];

		if (!n->disk.has[b.addr - FIRST] || l->serial < b.serial)
			violate("%c tells .%u before it is on disk", "PS"[i], b.addr & 255);
		if (b.status == LEASE_ACTIVE && b.pet < b.expires)
			violate("%c tells .%u with a potential end before its end", "PS"[i],
				b.addr & 255);
	}
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A client hears an ACK. Nobody else may be promised the address; and its end is bounded by what
 * the partner knows (draft §5.2.1). */
static void promised(unsigned i, const struct out_ack *a)
{
	unsigned at = a->addr - FIRST;
	uint32_t now = (uint32_t)(BASE + w.sec), known = now;
	struct promise *p = &w.promise[at];
	const struct disk *other = &w.n[!i].disk;

	if (a->released != w.released[a->client])
		return;
	if (p->client && p->client != a->client && p->until > now && !setup.false_down)
		violate("%c promises .%u to client %u; client %u has it from %c for %u s more",
			"PS"[i], a -> addr & 255, a -> client, p -> client, "PS"[p->said_by],
			p -> until - now);
	if (other->has[at]) {
		const struct lease *l = &other->l[at];

		known = max_u32(max_u32(known, l->expires), max_u32(l->sent_pet, l->acked_pet));
		known = max_u32(known, l->rcvd_pet);
	}
	if (a->expires > known + MCLT_SEC && !w.lost && !setup.false_down)
		violate("%c promises .%u for %u s, which is more than MCLT beyond what the partner "
			"knows",
			"PS"[i], a -> addr & 255, a -> expires - now);
	*p = (struct promise){ a->expires, a->client, (uint8_t)i };
	w.addr[a->client] = a->addr;
	w.until[a->client] = a->expires;
	if (replay)
		printf("        client %u has .%u for %u s\n", a->client, a->addr & 255,
		       a->expires - now);
}

static void leave(unsigned i, unsigned kind, const void *p, size_t len)
{
	static const uint8_t closed[2] = { 0, 0 };
	struct out_ack ack;

	switch ((enum out_kind)kind) {
	case OUT_MESSAGE:
		if (!w.n[i].conn)
			break;
		check_message(i, p, len);
		if (w.n[!i].conn)
			append(w.n[!i].wire, &w.n[!i].wire_len, p, len);
		break;
	case OUT_CLOSE: /* after what was sent; a length of 0 stands for it */
		if (w.n[i].conn && w.n[!i].conn)
			append(w.n[!i].wire, &w.n[!i].wire_len, closed, 2);
		w.n[i].conn = 0;
		w.n[i].wire_len = 0;
		break;
	case OUT_VIEW:
		memcpy(&w.n[i].view, p, sizeof(w.n[i].view));
		break;
	case OUT_ACK:
		memcpy(&ack, p, sizeof(ack));
		promised(i, &ack);
		break;
	}
}

static void out(unsigned i, enum out_kind kind, const void *p, size_t len)
{
	struct node *n = &w.n[i];
	struct out o = { (uint16_t)len, (uint8_t)kind };

	if (!n->waiting && !n->out_len) {
		leave(i, kind, p, len);
		return;
	}
	append(n->out, &n->out_len, &o, sizeof(o));
	append(n->out, &n->out_len, p, len);
}

/* --- sink ------------------------------------------------------------------------------------- */

static unsigned index_of(void *ctx)
{
	return (unsigned)((struct node *)ctx - w.n);
}

static void sink_send(void *ctx, const uint8_t *msg, size_t len)
{
	out(index_of(ctx), OUT_MESSAGE, msg, len);
}

static void sink_send_now(void *ctx, const uint8_t *msg, size_t len)
{
	(void)ctx; /* CONTACT */
	(void)msg;
	(void)len;
}

static void sink_close(void *ctx, enum fo_close_reason why)
{
	uint8_t reason = (uint8_t)why;

	out(index_of(ctx), OUT_CLOSE, &reason, 1);
}

static void sink_persist(void *ctx, const struct fo_record *r)
{
	struct node *n = ctx;

	n->soft.rec = *r;
	n->soft.has_rec = 1;
	n->soft.shown |= 1u << (r->end.state & 31) | 1u << (r->end.saved & 31);
	n->waiting = 1;
}

static void put(struct node *n, const struct lease *l, const struct lease_client *c)
{
	unsigned at = l->addr - FIRST;

	n->soft.l[at] = *l;
	n->soft.has[at] = 1;
	if (c)
		n->soft.client[at] = c->hlen ? c->chaddr[5] : 0;
	n->waiting = 1;
}

static void sink_put(void *ctx, const struct lease *l, const struct lease_client *c)
{
	put(ctx, l, c);
}

static void sink_put_run(void *ctx, const struct lease *l, uint32_t n)
{
	violate("%c stores a run of %u from .%u on: there are none so short", "PS"[index_of(ctx)],
		n, l -> addr & 255);
}

static bool sink_client(void *ctx, uint32_t addr, struct lease_client *ret)
{
	const struct disk *d = &((struct node *)ctx)->disk;
	unsigned at = addr - FIRST;

	memset(ret, 0, sizeof(*ret));
	if (d->client[at])
		*ret = client_of(d->client[at]);
	return d->has[at];
}

static void sink_policy(void *ctx, const struct fo_view *v)
{
	out(index_of(ctx), OUT_VIEW, v, sizeof(*v));
}

static void sink_event(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		       uint32_t b)
{
	(void)a;
	if (replay)
		printf("        %c %s %s %s .%u\n", "PS"[index_of(ctx)], what,
		       strcmp(what, "state") ? "" : fo_state_name(b), why, addr & 255);
}

static uint64_t sink_random(void *ctx)
{
	return 77 + index_of(ctx);
}

/* --- a node ----------------------------------------------------------------------------------- */

static void begin_turn(unsigned i)
{
	struct now now = now_is();

	fo_endpoint_turn(ep[i], w.n[i].open, &now);
}

static void end_turn(unsigned i)
{
	struct now now = now_is();

	if (!w.n[i].up)
		return;
	begin_turn(i);
	fo_endpoint_pump(ep[i], &now);
}

static void commit(unsigned i)
{
	struct node *n = &w.n[i];
	static uint8_t was[BUF];
	uint16_t len = n->out_len;
	struct now now = now_is();
	struct out o;

	n->disk = n->soft;
	n->waiting = 0;
	n->out_len = 0;
	memcpy(was, n->out, len);
	for (uint16_t at = 0; at < len; at = (uint16_t)(at + sizeof(o) + o.len)) {
		memcpy(&o, was + at, sizeof(o));
		leave(i, o.kind, was + at + sizeof(o), o.len);
	}
	n->open++;
	begin_turn(i);
	fo_endpoint_durable(ep[i], n->open - 1, &now);
	end_turn(i);
}

static void hear_nothing(unsigned i)
{
	w.n[i].conn = 0;
	w.n[i].wire_len = 0;
}

/* The connection is gone as this side sees it. What it had sent may still arrive. */
static void link_lost(unsigned i)
{
	struct now now = now_is();

	hear_nothing(i);
	begin_turn(i);
	fo_endpoint_link_down(ep[i], &now, FO_CLOSE_PEER);
	end_turn(i);
}

static void forget_sent(unsigned i) /* messages of a connection that is gone */
{
	struct node *n = &w.n[i];
	static uint8_t keep[BUF];
	uint16_t len = 0;
	struct out o;

	for (uint16_t at = 0; at < n->out_len; at = (uint16_t)(at + sizeof(o) + o.len)) {
		memcpy(&o, n->out + at, sizeof(o));
		if (o.kind == OUT_MESSAGE || o.kind == OUT_CLOSE)
			continue;
		memcpy(keep + len, n->out + at, sizeof(o) + o.len);
		len = (uint16_t)(len + sizeof(o) + o.len);
	}
	memcpy(n->out, keep, len);
	n->out_len = len;
}

static void connect(void)
{
	struct now now = now_is();

	for (unsigned i = 0; i < 2; i++) {
		w.n[i].wire_len = 0;
		w.n[i].conn = 1;
		forget_sent(i);
	}
	for (unsigned i = 0; i < 2; i++) {
		begin_turn(i);
		fo_endpoint_link_up(ep[i], &now, i == 0);
		end_turn(i);
	}
}

static void boot(unsigned i)
{
	const struct fo_sink sink = {
		.ctx = &w.n[i],
		.send = sink_send,
		.send_now = sink_send_now,
		.close = sink_close,
		.persist = sink_persist,
		.put = sink_put,
		.put_run = sink_put_run,
		.client = sink_client,
		.policy = sink_policy,
		.event = sink_event,
		.random = sink_random,
	};
	struct node *n = &w.n[i];
	struct now now = now_is();

	memset(ep_mem[i], 0, ep_size);
	memset(pool_mem[i], 0, pool_octets);
	pools[i] = pool_init(pool_mem[i], pool_octets, &setup.table, 2);
	for (unsigned a = 0; a < setup.n_addr; a++) {
		struct lease_client c = client_of(n->disk.client[a]);
		struct lease l = n->disk.l[a];

		if (!n->disk.has[a])
			continue;
		l.key = n->disk.client[a] ? lease_client_key(&secret, &c)
					  : (struct client_key){ { 0, 0 } };
		(void)pool_apply(pools[i], &l, 0);
	}
	n->soft = n->disk;
	n->soft.shown = n->disk.shown = 0;
	n->soft.starts = ++n->disk.starts;
	n->open = 1;
	n->up = 1;
	n->view = (struct fo_view){ .policy.serve = SERVE_NONE, .mclt = 1, .limited = true };
	ep[i] = fo_endpoint_init(ep_mem[i], ep_size, &setup.conf[i],
				 n->disk.has_rec ? &n->disk.rec : NULL, n->disk.starts, pools[i],
				 &secret, &sink, &now);
	end_turn(i);
}

/* All that is not on disk is gone. The partner has yet to notice. */
static void crash(unsigned i)
{
	struct node *n = &w.n[i];

	hear_nothing(i);
	n->up = n->waiting = 0;
	n->out_len = 0;
	n->soft = n->disk;
	memset(ep_mem[i], 0, ep_size);
	memset(pool_mem[i], 0, pool_octets);
	memset(&n->view, 0, sizeof(n->view));
}

static void lose_store(unsigned i)
{
	memset(&w.n[i].disk, 0, sizeof(w.n[i].disk));
	memset(&w.n[i].soft, 0, sizeof(w.n[i].soft));
	w.lost |= (uint8_t)(1u << i);
}

static void tell_message(unsigned i, const struct fo_msg *m)
{
	static const char *const name[] = {
		"?",	     "POOLREQ", "POOLRESP", "BNDUPD", "BNDACK",	 "CONNECT",    "CONNECTACK",
		"UPDREQALL", "UPDDONE", "UPDREQ",   "STATE",  "CONTACT", "DISCONNECT",
	};
	struct fo_binding b;
	unsigned cursor = 0;

	printf("        %c hears %s", "PS"[i], m -> type < 13 ? name[m->type] : "?");
	while ((m->type == FO_BNDUPD || m->type == FO_BNDACK) &&
	       fo_msg_next_binding(m, &cursor, &b))
		printf(" .%u %s serial %u reject %u", b.addr & 255,
		       m->type == FO_BNDUPD ? lease_state_name(b.status) : "", (unsigned)b.serial,
		       b.reject);
	printf("\n");
}

static void deliver(unsigned i)
{
	struct node *n = &w.n[i];
	static uint8_t msg[FO_MSG_MAX];
	static struct fo_msg m;
	struct now now = now_is();
	size_t len = (size_t)n->wire[0] << 8 | n->wire[1], taken = len ? len : 2;

	memcpy(msg, n->wire, len);
	n->wire_len = (uint16_t)(n->wire_len - taken);
	memmove(n->wire, n->wire + taken, n->wire_len);
	if (!len) {
		link_lost(i);
		return;
	}
	if (fo_msg_decode(msg, len, &m) != FO_OK)
		return;
	if (replay)
		tell_message(i, &m);
	begin_turn(i);
	fo_endpoint_message(ep[i], &m, &now);
	end_turn(i);
}
