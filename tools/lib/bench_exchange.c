/*
 * twinbench: one exchange of a simulated client, from its first message to its end: what is sent,
 * what an answer means, what happens when none comes. Begun by bench_run.c; answers come from
 * bench_net.c, time-outs from bench_wait.c.
 * Spec: RFC 2131 §4.4 (client behaviour) as far as a server can see it.
 */
#include <string.h>
#include "bench.h"

#define REPORTED 20 /* addresses given twice that are named; all are counted */

static bool is_dora(const struct bench_client *cl)
{
	return cl->kind == PH_DISCOVER || cl->kind == PH_DORA || cl->kind == PH_RETURN;
}

static struct bench_relay *relay_of(struct bench *b, uint32_t n)
{
	static struct bench_relay direct; /* counted, and never shown */

	return b->n_relays ? &b->relay[n % b->n_relays] : &direct;
}

static struct bench_server *server_by_id(struct bench *b, uint32_t id)
{
	for (unsigned i = 0; i < b->n_servers; i++)
		if (b->server[i].addr == id)
			return &b->server[i];
	if (b->n_servers == BENCH_SERVERS)
		return NULL;
	b->server[b->n_servers].addr = id;
	return &b->server[b->n_servers++];
}

/* --- sending ---------------------------------------------------------------------------------- */

static uint16_t secs_of(const struct bench *b, const struct bench_client *cl)
{
	int64_t since = b->conf.secs_fixed ? 0 : (b->now.us - cl->started_us) / 1000000;

	since += b->conf.secs;
	return since < 0 ? 0 : since > 65535 ? 65535 : (uint16_t)since;
}

/* Direct clients do not ask for a server's hardware address: they know it once it has answered. */
static bool is_known(const struct bench *b, const struct bench_server *s)
{
	static const uint8_t none[6];

	return b->n_relays || memcmp(s->mac, none, 6);
}

/* The server that alone gets the message; NULL: it goes to all. */
static const struct bench_server *only_server(struct bench *b, const struct bench_client *cl)
{
	const struct bench_server *s;

	if ((cl->kind != PH_RENEW || cl->level >= b->conf.rebind_after) && cl->kind != PH_RELEASE)
		return NULL;
	s = server_by_id(b, cl->server_id);
	return s && is_known(b, s) ? s : NULL;
}

/* Which fields and options a message has: RFC 2131 §4.3.6 and table 5. */
static void fill_request(struct bench_client *cl, struct bench_request *r)
{
	switch ((enum bench_phase)cl->kind) {
	case PH_DISCOVER:
	case PH_DORA:
	case PH_RETURN:
	case PH_MIX:
		if (cl->state == CL_WAIT_ACK) {
			r->requested = cl->addr;
			r->server_id = cl->server_id;
			r->secs = cl->secs;
		} else {
			r->type = DHCPDISCOVER;
			cl->secs = r->secs;
		}
		break;
	case PH_RENEW:
	case PH_REBIND:
		r->ciaddr = cl->addr;
		break;
	case PH_REBOOT:
		r->requested = cl->addr;
		break;
	case PH_RELEASE:
		r->type = DHCPRELEASE;
		r->ciaddr = cl->addr;
		r->server_id = cl->server_id;
		break;
	case PH_DECLINE:
		r->type = DHCPDECLINE;
		r->requested = cl->addr;
		r->server_id = cl->server_id;
		break;
	}
}

static void transmit(struct bench *b, struct bench_client *cl)
{
	struct bench_request r = { .type = DHCPREQUEST, .xid = cl->xid, .secs = secs_of(b, cl) };
	const struct bench_server *to = only_server(b, cl);
	uint32_t n = b->conf.first + bench_number(b, cl);
	uint8_t packet[BENCH_PACKET], mac[6];
	size_t len;

	if (!to)
		r.giaddr = relay_of(b, bench_number(b, cl))->giaddr;
	fill_request(cl, &r);
	len = bench_packet_build(&b->conf, n, &r, packet);
	bench_identity_mac(&b->conf, n, mac);
	bench_net_send(b->net, to ? WAY_SERVER : WAY_ALL, &r, mac, to, packet, len);
	cl->sent_us = b->now.us;
	b->k.sent++;
	b->k.discovers += r.type == DHCPDISCOVER;
	b->k.requests += r.type == DHCPREQUEST;
}

/* --- beginning and end ------------------------------------------------------------------------ */

bool bench_has_lease(const struct bench *b, const struct bench_client *cl)
{
	return cl->addr && cl->expiry > b->now.sec;
}

void bench_forget(struct bench *b, struct bench_client *cl)
{
	bench_held_drop(b->held, cl->held, bench_number(b, cl));
	cl->addr = cl->held = 0;
	cl->expiry = 0;
}

static void set_idle(struct bench *b, struct bench_client *cl)
{
	cl->state = CL_IDLE;
	if (b->pick)
		bench_pick_move(b->pick, bench_number(b, cl),
				bench_has_lease(b, cl) ? CLASS_LEASED : CLASS_NEW);
}

static void end(struct bench *b, struct bench_client *cl, bool done)
{
	struct bench_kind *k = &b->k.kind[cl->kind];

	bench_wait_remove(b, cl);
	b->under_way--;
	if (done) {
		b->k.done++;
		k->done++;
		bench_hist_add(&k->whole, b->now.us - cl->started_us);
		b->k.late += cl->level > 2;
	} else {
		b->k.failed++;
		k->failed++;
		cl->addr = cl->held; /* what was offered is not ours */
		if (b->event_us && cl->started_us - b->event_us > b->gap_us)
			b->gap_us = cl->started_us - b->event_us;
	}
	set_idle(b, cl);
}

static enum bench_state first_state(enum bench_phase kind)
{
	if (kind == PH_DISCOVER)
		return CL_LISTEN;
	return kind == PH_DORA || kind == PH_RETURN ? CL_WAIT_OFFER : CL_WAIT_ACK;
}

/* Or a later run would begin with a lease that is none any more. */
static void write_given_back(struct bench *b, struct bench_client *cl)
{
	uint8_t mac[6];

	bench_identity_mac(&b->conf, b->conf.first + bench_number(b, cl), mac);
	cl->expiry = 0;
	bench_leases_write(b, cl, mac);
}

void bench_exchange_begin(struct bench *b, uint32_t n, enum bench_phase kind, int64_t due_us)
{
	struct bench_client *cl = &b->client[n];

	b->k.started++;
	b->k.kind[kind].started++;
	cl->started_us = due_us;
	cl->xid += 1u << 24; /* the low bits are the client's number */
	cl->asked_us = cl->chosen_us = 0;
	cl->level = cl->requests = cl->heard = 0;
	cl->kind = (uint8_t)kind & 15;
	cl->state = (uint8_t)first_state(kind) & 15;
	transmit(b, cl);
	if (kind == PH_RELEASE || kind == PH_DECLINE) { /* nobody answers these */
		b->k.done++;
		b->k.kind[kind].done++;
		write_given_back(b, cl);
		bench_forget(b, cl);
		set_idle(b, cl);
		return;
	}
	if (b->pick)
		bench_pick_move(b->pick, n, CLASS_BUSY);
	b->under_way++;
	bench_wait_add(b, cl);
}

/* A message was lost, or a NAK came: the next transmission, or the end. */
static void again(struct bench *b, struct bench_client *cl)
{
	if (cl->level + 1u >= b->conf.tries) {
		end(b, cl, false);
		return;
	}
	bench_wait_remove(b, cl);
	cl->level++;
	if (is_dora(cl) && cl->state == CL_WAIT_ACK && cl->requests >= 2)
		cl->state = CL_WAIT_OFFER;
	cl->requests += cl->state == CL_WAIT_ACK;
	b->k.resent++;
	transmit(b, cl);
	bench_wait_add(b, cl);
}

void bench_exchange_timeout(struct bench *b, struct bench_client *cl)
{
	if (cl->state == CL_LISTEN) {
		b->k.lost += !cl->heard;
		b->k.by_servers[__builtin_popcount(cl->heard)]++;
		end(b, cl, cl->heard != 0);
	} else {
		b->k.lost++;
		again(b, cl);
	}
}

/* --- answers ---------------------------------------------------------------------------------- */

static void count_offer(struct bench *b, struct bench_client *cl, struct bench_server *s)
{
	uint32_t n = bench_number(b, cl);

	s->offers++;
	s->bucket[bench_identity_bucket(&b->conf, b->conf.first + n)]++;
	relay_of(b, n)->offers++;
	b->k.offers++;
	if (!cl->heard)
		bench_hist_add(&b->k.offer, b->now.us - cl->started_us);
	cl->heard |= (uint8_t)(1u << (s - b->server));
}

static void take_offer(struct bench *b, struct bench_client *cl, const struct bench_reply *r,
		       struct bench_server *s)
{
	if (cl->state == CL_LISTEN && cl->heard & 1u << (s - b->server))
		return;
	count_offer(b, cl, s);
	if (cl->state != CL_WAIT_OFFER)
		return; /* one more answer to a client that only listens, or has chosen */
	bench_wait_remove(b, cl);
	cl->addr = r->yiaddr;
	cl->server_id = r->server_id;
	cl->state = CL_WAIT_ACK;
	cl->requests = 1;
	cl->chosen_us = (uint32_t)(b->now.us - cl->started_us);
	cl->asked_us = cl->asked_us ?: cl->chosen_us;
	transmit(b, cl);
	bench_wait_add(b, cl);
}

static void report_duplicate(struct bench *b, const struct bench_client *cl, uint32_t other)
{
	char ip[INET_ADDRSTRLEN];

	if (b->duplicates++ >= REPORTED)
		return;
	bench_ip(cl->addr, ip);
	fprintf(stderr, "twinbench: %s given to clients %u and %u\n", ip, other,
		bench_number(b, cl));
}

/* A lease runs from the moment when it was asked for (RFC 2131 §4.4.1). */
static uint32_t expiry_of(const struct bench *b, int64_t asked_us, uint32_t lease_sec)
{
	uint32_t asked_sec = b->now.sec - (uint32_t)((b->now.us - asked_us) / 1000000);

	return lease_sec > UINT32_MAX - asked_sec ? UINT32_MAX : asked_sec + lease_sec;
}

static void hold(struct bench *b, struct bench_client *cl, const struct bench_reply *r,
		 int64_t asked_us)
{
	uint32_t n = bench_number(b, cl), other;

	if (cl->held != r->yiaddr) /* a client that gets another address gives up the former */
		bench_held_drop(b->held, cl->held, n);
	cl->addr = cl->held = r->yiaddr;
	cl->server_id = r->server_id;
	cl->expiry = expiry_of(b, asked_us, r->lease_sec);
	other = bench_held_take(b->held, cl->addr, n, cl->expiry, b->now.sec);
	if (other != BENCH_NONE)
		report_duplicate(b, cl, other);
}

/*
 * A REQUEST that was sent again counts from its first time, also when a DISCOVER came in between,
 * or losses would look like speed. The lease runs from the REQUEST for what was granted.
 */
static void take_ack(struct bench *b, struct bench_client *cl, const struct bench_reply *r,
		     struct bench_server *s)
{
	s->acks++;
	relay_of(b, bench_number(b, cl))->acks++;
	b->k.acks++;
	bench_hist_add(&b->k.ack, b->now.us - (cl->started_us + cl->asked_us));
	hold(b, cl, r, cl->started_us + cl->chosen_us);
	bench_leases_write(b, cl, r->mac);
	end(b, cl, true);
}

static void take_nak(struct bench *b, struct bench_client *cl, struct bench_server *s)
{
	s->naks++;
	relay_of(b, bench_number(b, cl))->naks++;
	b->k.naks++;
	b->k.kind[cl->kind].naks++;
	bench_forget(b, cl);
	if (is_dora(cl)) {
		cl->requests = 2; /* from the start: DISCOVER */
		again(b, cl);
	} else {
		end(b, cl, false);
	}
}

static bool is_for(const struct bench *b, const struct bench_client *cl,
		   const struct bench_reply *r)
{
	uint8_t mac[6];

	bench_identity_mac(&b->conf, b->conf.first + bench_number(b, cl), mac);
	return cl->xid == r->xid && !memcmp(mac, r->mac, 6) && (r->yiaddr || r->type == DHCPNAK);
}

void bench_exchange_reply(void *arg, const struct bench_reply *r)
{
	struct bench *b = arg;
	uint32_t n = r->xid & 0xffffff;
	struct bench_client *cl = n < b->conf.clients ? &b->client[n] : NULL;
	struct bench_server *s = server_by_id(b, r->server_id);

	b->k.received++;
	b->now.us = bench_clock_us(); /* the loop's reading is older than its wait */
	if (!cl || !s || !is_for(b, cl, r)) {
		b->k.alien++;
		return;
	}
	memcpy(s->mac, r->from_mac, 6);
	if (r->type == DHCPOFFER && cl->state != CL_IDLE)
		take_offer(b, cl, r, s);
	else if (r->type == DHCPACK && cl->state == CL_WAIT_ACK)
		take_ack(b, cl, r, s);
	else if (r->type == DHCPNAK && cl->state == CL_WAIT_ACK)
		take_nak(b, cl, s);
	else
		b->k.alien++; /* the second server's answer, or one that came too late */
}
