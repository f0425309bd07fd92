/*
 * twinbench: the file of leases, a line per ACK: hardware address, address, expiry, server
 * identifier, time of the ACK; expiry 0 in a line of a RELEASE or DECLINE. Written while a run goes
 * on, read at the start of a later one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "bench.h"

void bench_ip(uint32_t addr, char out[INET_ADDRSTRLEN])
{
	struct in_addr a = { htonl(addr) };

	inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

void bench_leases_write(struct bench *b, const struct bench_client *cl, const uint8_t mac[6])
{
	char ip[INET_ADDRSTRLEN], id[INET_ADDRSTRLEN];

	if (!b->leases)
		return;
	bench_ip(cl->addr, ip);
	bench_ip(cl->server_id, id);
	fprintf(b->leases, "%02x:%02x:%02x:%02x:%02x:%02x %s %" PRIu32 " %s %" PRIu32 "\n", mac[0],
		mac[1], mac[2], mac[3], mac[4], mac[5], ip, cl->expiry, id, b->now.sec);
}

struct line {
	uint8_t mac[6];
	uint32_t addr, expiry, server;
};

static bool parse_ip(const char *s, uint32_t *ret)
{
	struct in_addr a;
	bool good = inet_pton(AF_INET, s, &a) == 1;

	*ret = good ? ntohl(a.s_addr) : 0;
	return good;
}

/* The time is not needed, and may be left out; the end of the line is needed, or it may be torn. */
static bool parse_line(const char *text, struct line *l)
{
	char ip[INET_ADDRSTRLEN], id[INET_ADDRSTRLEN];
	uint8_t *m = l->mac;
	int at = 0, end = 0;

	(void)sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx %15s %" SCNu32 " %15s%n%*u%n",
		     &m[0], &m[1], &m[2], &m[3], &m[4], &m[5], ip, &l->expiry, id, &at, &end);
	return at && text[end ?: at] == '\n' && parse_ip(ip, &l->addr) && parse_ip(id, &l->server);
}

/* A later line of the same client counts. */
static void take_line(struct bench *b, const struct line *l)
{
	uint32_t n = bench_identity_number(&b->conf, l->mac) - b->conf.first;
	struct bench_client *cl;
	uint8_t own[6];

	if (n >= b->conf.clients)
		return;
	bench_identity_mac(&b->conf, b->conf.first + n, own);
	if (memcmp(own, l->mac, 6))
		return; /* of another seed */
	cl = &b->client[n];
	bench_forget(b, cl);
	if (!l->expiry)
		return; /* given back */
	cl->addr = cl->held = l->addr;
	cl->expiry = l->expiry;
	cl->server_id = l->server;
	(void)bench_held_take(b->held, l->addr, n, l->expiry, 0);
}

int bench_leases_load(struct bench *b, const char *file, unsigned *ret_line)
{
	FILE *f = fopen(file, "re");
	struct line l;
	char text[128];
	int r = 0;

	*ret_line = 0;
	if (!f)
		return -errno;
	while (!r && fgets(text, sizeof(text), f)) {
		++*ret_line;
		if (parse_line(text, &l))
			take_line(b, &l);
		else
			r = -EBADMSG;
	}
	if (!r) {
		*ret_line = 0;
		r = ferror(f) ? -EIO : 0;
	}
	fclose(f);
	return r;
}
