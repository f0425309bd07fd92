/*
 * twinbench: the exchanges of the simulated clients. A phase starts one exchange per client, in a
 * closed loop (so many under way) or by the clock (so many per second), resends what is not
 * answered, and counts. Called by twinbench.c, phase after phase.
 * Spec: RFC 2131 §4.4 (client behaviour) as far as a server can see it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench.h"

extern char **environ;

static int64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void read_clocks(struct bench *b)
{
	b->now_us = mono_us();
	b->now_sec = (uint32_t)time(NULL);
}

static uint32_t number_of(const struct bench *b, const struct bench_client *cl)
{
	return (uint32_t)(cl - b->client);
}

/* --- lists by level: all of one list wait equally long, so each is in order of time ------------
 */

static int64_t level_us(const struct bench *b, unsigned level)
{
	if (b->phase == PH_DISCOVER)
		return (int64_t)b->conf.listen_ms * 1000;
	return ((int64_t)b->conf.timeout_ms * 1000) << (b->conf.backoff ? level : 0);
}

static void list_add(struct bench *b, struct bench_client *cl)
{
	uint32_t n = number_of(b, cl), last = b->tail[cl->level];

	cl->next = BENCH_NONE;
	cl->prev = last;
	if (last == BENCH_NONE)
		b->head[cl->level] = n;
	else
		b->client[last].next = n;
	b->tail[cl->level] = n;
}

static void list_remove(struct bench *b, struct bench_client *cl)
{
	if (cl->prev == BENCH_NONE)
		b->head[cl->level] = cl->next;
	else
		b->client[cl->prev].next = cl->next;
	if (cl->next == BENCH_NONE)
		b->tail[cl->level] = cl->prev;
	else
		b->client[cl->next].prev = cl->prev;
}

/* --- sending ---------------------------------------------------------------------------------- */

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

static uint16_t secs_of(const struct bench *b, const struct bench_client *cl)
{
	int64_t since = b->conf.secs_fixed ? 0 : (b->now_us - cl->started_us) / 1000000;

	since += b->conf.secs;
	return since < 0 ? 0 : since > 65535 ? 65535 : (uint16_t)since;
}

static bool by_unicast(const struct bench *b, const struct bench_client *cl)
{
	return (b->phase == PH_RENEW && cl->level < b->conf.rebind_after) || b->phase == PH_RELEASE;
}

static struct bench_request request_of(const struct bench *b, const struct bench_client *cl)
{
	struct bench_request r = { .type = DHCPREQUEST, .xid = cl->xid, .secs = secs_of(b, cl) };

	if (!by_unicast(b, cl))
		r.giaddr = b->conf.giaddr;
	switch (b->phase) {
	case PH_DISCOVER:
	case PH_DORA:
		if (cl->state == CL_WAIT_ACK) {
			r.requested = cl->addr;
			r.server_id = cl->server_id;
		} else {
			r.type = DHCPDISCOVER;
		}
		break;
	case PH_RENEW:
	case PH_REBIND:
		r.ciaddr = cl->addr;
		break;
	case PH_REBOOT:
		r.requested = cl->addr;
		break;
	case PH_RELEASE:
		r.type = DHCPRELEASE;
		r.ciaddr = cl->addr;
		r.server_id = cl->server_id;
		break;
	case PH_DECLINE:
		r.type = DHCPDECLINE;
		r.requested = cl->addr;
		r.server_id = cl->server_id;
		break;
	}
	return r;
}

static void transmit(struct bench *b, struct bench_client *cl)
{
	struct bench_request r = request_of(b, cl);
	const struct bench_server *to = NULL;
	uint32_t n = b->conf.first + number_of(b, cl);
	uint8_t packet[BENCH_PACKET], mac[6];
	size_t len = bench_packet_build(&b->conf, n, &r, packet);

	bench_identity_mac(&b->conf, n, mac);
	if (by_unicast(b, cl))
		to = server_by_id(b, cl->server_id);
	bench_net_send(b->net, to ? WAY_SERVER : WAY_ALL, &r, mac, to, packet, len);
	cl->sent_us = b->now_us;
	b->k.sent++;
	b->k.discovers += r.type == DHCPDISCOVER;
	b->k.requests += r.type == DHCPREQUEST;
}

/* --- one exchange ----------------------------------------------------------------------------- */

static void forget(struct bench *b, struct bench_client *cl)
{
	bench_held_drop(b->held, cl->held, number_of(b, cl));
	cl->addr = cl->held = 0;
	cl->expiry = 0;
}

static void end(struct bench *b, struct bench_client *cl, bool done)
{
	list_remove(b, cl);
	cl->state = CL_IDLE;
	b->under_way--;
	if (done)
		b->k.done++;
	else
		b->k.failed++;
	if (done && cl->level > 2)
		b->k.late++;
	if (!done && b->event_us && cl->started_us - b->event_us > b->gap_us)
		b->gap_us = cl->started_us - b->event_us;
}

static bool has_something_to_do(const struct bench *b, const struct bench_client *cl)
{
	if (b->phase == PH_DISCOVER || b->phase == PH_DORA)
		return true;
	return cl->addr && cl->expiry > b->now_sec;
}

static void begin(struct bench *b, uint32_t n, int64_t due_us)
{
	struct bench_client *cl = &b->client[n];

	if (cl->state != CL_IDLE) {
		b->k.busy++;
		return;
	}
	if (!has_something_to_do(b, cl))
		return;
	b->k.started++;
	cl->started_us = due_us;
	cl->xid += 1u << 24; /* the low bits are the client's number */
	cl->level = cl->requests = cl->heard = 0;
	cl->state = b->phase == PH_DISCOVER ? CL_LISTEN
		    : b->phase == PH_DORA   ? CL_WAIT_OFFER
					    : CL_WAIT_ACK;
	transmit(b, cl);
	if (b->phase == PH_RELEASE || b->phase == PH_DECLINE) { /* nobody answers these */
		cl->state = CL_IDLE;
		b->k.done++;
		forget(b, cl);
		return;
	}
	b->under_way++;
	list_add(b, cl);
}

/* A message was lost, or a NAK came: the next transmission, or the end. */
static void again(struct bench *b, struct bench_client *cl)
{
	list_remove(b, cl);
	cl->level++;
	if (cl->level >= b->conf.tries) {
		cl->level--;
		list_add(b, cl);
		end(b, cl, false);
		return;
	}
	if (b->phase == PH_DORA && cl->state == CL_WAIT_ACK && cl->requests >= 2)
		cl->state = CL_WAIT_OFFER;
	cl->requests += cl->state == CL_WAIT_ACK;
	b->k.resent++;
	transmit(b, cl);
	list_add(b, cl);
}

static void listened(struct bench *b, struct bench_client *cl)
{
	b->k.by_servers[__builtin_popcount(cl->heard)]++;
	end(b, cl, cl->heard != 0);
}

static void take_offer(struct bench *b, struct bench_client *cl, const struct bench_reply *r,
		       struct bench_server *s)
{
	uint8_t bit = (uint8_t)(1u << (s - b->server));

	if (cl->heard & bit && cl->state == CL_LISTEN)
		return;
	s->offers++;
	s->bucket[bench_identity_bucket(&b->conf, b->conf.first + number_of(b, cl))]++;
	b->k.offers++;
	if (!cl->heard)
		bench_hist_add(&b->k.offer, b->now_us - cl->started_us);
	cl->heard |= bit;
	if (cl->state != CL_WAIT_OFFER)
		return; /* one more answer to a client that only listens, or has chosen */
	list_remove(b, cl);
	cl->addr = r->yiaddr;
	cl->server_id = r->server_id;
	cl->state = CL_WAIT_ACK;
	cl->requests = 1;
	transmit(b, cl);
	list_add(b, cl);
}

static void write_lease(struct bench *b, const struct bench_client *cl, const uint8_t mac[6])
{
	char ip[INET_ADDRSTRLEN], id[INET_ADDRSTRLEN];

	if (!b->leases)
		return;
	bench_ip(cl->addr, ip);
	bench_ip(cl->server_id, id);
	fprintf(b->leases, "%02x:%02x:%02x:%02x:%02x:%02x %s %" PRIu32 " %s %" PRIu32 "\n", mac[0],
		mac[1], mac[2], mac[3], mac[4], mac[5], ip, cl->expiry, id, b->now_sec);
}

static void report_duplicate(struct bench *b, const struct bench_client *cl, uint32_t other)
{
	char ip[INET_ADDRSTRLEN];

	bench_ip(cl->addr, ip);
	fprintf(stderr, "twinbench: %s given to clients %" PRIu32 " and %" PRIu32 "\n", ip, other,
		number_of(b, cl));
	b->duplicates++;
}

static void take_ack(struct bench *b, struct bench_client *cl, const struct bench_reply *r,
		     struct bench_server *s)
{
	uint32_t n = number_of(b, cl), other;

	s->acks++;
	b->k.acks++;
	bench_hist_add(&b->k.ack, b->now_us - (b->phase == PH_DORA ? cl->sent_us : cl->started_us));
	if (cl->held != r->yiaddr) /* a client that gets another address gives up the former */
		bench_held_drop(b->held, cl->held, n);
	cl->addr = cl->held = r->yiaddr;
	cl->server_id = r->server_id;
	cl->expiry =
		r->lease_sec > UINT32_MAX - b->now_sec ? UINT32_MAX : b->now_sec + r->lease_sec;
	other = bench_held_take(b->held, cl->addr, n, cl->expiry, b->now_sec);
	if (other != BENCH_NONE)
		report_duplicate(b, cl, other);
	write_lease(b, cl, r->mac);
	end(b, cl, true);
}

static void take_nak(struct bench *b, struct bench_client *cl, struct bench_server *s)
{
	s->naks++;
	b->k.naks++;
	forget(b, cl);
	if (b->phase == PH_DORA) {
		cl->requests = 2; /* from the start: DISCOVER */
		again(b, cl);
	} else {
		end(b, cl, false);
	}
}

static void on_reply(void *arg, const struct bench_reply *r)
{
	struct bench *b = arg;
	uint32_t n = r->xid & 0xffffff;
	struct bench_client *cl = n < b->conf.clients ? &b->client[n] : NULL;
	struct bench_server *s = server_by_id(b, r->server_id);
	uint8_t mac[6];

	b->k.received++;
	b->now_us = mono_us(); /* the loop's reading is older than its wait */
	bench_identity_mac(&b->conf, b->conf.first + n, mac);
	if (!cl || !s || cl->xid != r->xid || memcmp(mac, r->mac, 6)) {
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

static const uint8_t *on_arp(void *arg, uint32_t addr, uint8_t scratch[6])
{
	struct bench *b = arg;
	uint32_t n = bench_held_owner(b->held, addr);

	if (n == BENCH_NONE)
		return NULL;
	bench_identity_mac(&b->conf, b->conf.first + n, scratch);
	return scratch;
}

/* --- the loop --------------------------------------------------------------------------------- */

static uint64_t wanted_in_all(const struct bench *b)
{
	if (b->conf.rate > 0 && b->conf.period > 0)
		return (uint64_t)(b->conf.rate * b->conf.period);
	return b->conf.clients;
}

/* By the clock: an exchange counts from the moment when it was due, also when we are late. */
static void begin_by_clock(struct bench *b)
{
	double elapsed = (double)(b->now_us - b->phase_us) / 1e6;
	uint64_t due = (uint64_t)(elapsed * b->conf.rate) + 1, all = wanted_in_all(b);

	for (due = due < all ? due : all; b->begun < due; b->begun++)
		begin(b, (uint32_t)(b->begun % b->conf.clients),
		      b->phase_us + (int64_t)((double)b->begun * 1e6 / b->conf.rate));
}

static void begin_some(struct bench *b)
{
	uint64_t all = wanted_in_all(b);

	if (b->conf.rate > 0) {
		begin_by_clock(b);
		return;
	}
	for (; b->begun < all && b->under_way < b->conf.window; b->begun++)
		begin(b, (uint32_t)b->begun, b->now_us);
}

static void run_out(struct bench *b)
{
	for (unsigned level = 0; level < BENCH_LEVELS; level++) {
		int64_t before = b->now_us - level_us(b, level);

		while (b->head[level] != BENCH_NONE) {
			struct bench_client *cl = &b->client[b->head[level]];

			if (cl->sent_us > before)
				break;
			if (cl->state == CL_LISTEN)
				listened(b, cl);
			else
				again(b, cl);
		}
	}
}

static int64_t pause_us(const struct bench *b)
{
	int64_t next = b->now_us + 20000;

	for (unsigned level = 0; level < BENCH_LEVELS; level++) {
		uint32_t n = b->head[level];

		if (n != BENCH_NONE && b->client[n].sent_us + level_us(b, level) < next)
			next = b->client[n].sent_us + level_us(b, level);
	}
	if (b->conf.rate > 0 && b->begun < wanted_in_all(b)) {
		int64_t due = b->phase_us + (int64_t)((double)b->begun * 1e6 / b->conf.rate);

		next = due < next ? due : next;
	}
	return next > b->now_us ? next - b->now_us : 0;
}

static void run_event(struct bench *b)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, NULL, NULL };
	char *command;
	pid_t pid;

	if (!b->event.command || b->event_us ||
	    (double)(b->now_us - b->phase_us) < b->event.at * 1e6)
		return;
	command = strdup(b->event.command);
	argv[2] = command;
	b->event_us = b->now_us;
	if (!command || posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ))
		fprintf(stderr, "twinbench: cannot run: %s\n", b->event.command);
	free(command);
}

static void reset(struct bench *b, enum bench_phase phase)
{
	b->phase = phase;
	memset(&b->k, 0, sizeof(b->k));
	memset(b->head, 0xff, sizeof(b->head));
	memset(b->tail, 0xff, sizeof(b->tail));
	b->under_way = 0;
	b->begun = 0;
	for (uint32_t i = 0; i < b->conf.clients; i++)
		b->client[i].state = CL_IDLE;
	read_clocks(b);
	b->phase_us = b->now_us;
}

double bench_run_phase(struct bench *b, enum bench_phase phase)
{
	reset(b, phase);
	while (!*b->stop && (b->begun < wanted_in_all(b) || b->under_way > 0)) {
		run_event(b);
		begin_some(b);
		run_out(b);
		bench_net_flush(b->net);
		bench_net_receive(b->net, pause_us(b), on_reply, on_arp, b);
		read_clocks(b);
	}
	bench_net_flush(b->net);
	if (b->leases)
		fflush(b->leases);
	return (double)(b->now_us - b->phase_us) / 1e6;
}

/* --- leases of an earlier run ----------------------------------------------------------------- */

static uint32_t parse_ip(const char *s)
{
	struct in_addr a;

	return inet_aton(s, &a) ? ntohl(a.s_addr) : 0;
}

static void take_line(struct bench *b, const uint8_t mac[6], uint32_t addr, uint32_t expiry,
		      uint32_t server)
{
	uint32_t n = bench_identity_number(&b->conf, mac) - b->conf.first;
	uint8_t own[6];

	if (n >= b->conf.clients)
		return;
	bench_identity_mac(&b->conf, b->conf.first + n, own);
	if (memcmp(own, mac, 6))
		return; /* of another seed */
	b->client[n].addr = b->client[n].held = addr;
	b->client[n].expiry = expiry;
	b->client[n].server_id = server;
	(void)bench_held_take(b->held, addr, n, expiry, 0);
}

int bench_load_leases(struct bench *b, const char *file)
{
	char ip[32], id[32];
	uint32_t expiry;
	uint8_t m[6];
	FILE *f = fopen(file, "re");

	if (!f)
		return -errno;
	while (fscanf(f, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx %31s %" SCNu32 " %31s%*[^\n]", &m[0], &m[1],
		      &m[2], &m[3], &m[4], &m[5], ip, &expiry, id) == 9)
		take_line(b, m, parse_ip(ip), expiry, parse_ip(id));
	fclose(f);
	return 0;
}
