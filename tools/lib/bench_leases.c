/*
 * twinbench: the file of leases, a line per ACK: hardware address, address, expiry, server
 * identifier, time of the ACK. Written while a run goes on, read at the start of a later one.
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

static uint32_t parse_ip(const char *s)
{
	struct in_addr a;

	return inet_aton(s, &a) ? ntohl(a.s_addr) : 0;
}

static void take_line(struct bench *b, const uint8_t mac[6], uint32_t addr, uint32_t expiry,
		      uint32_t server)
{
	uint32_t n = bench_identity_number(&b->conf, mac) - b->conf.first;
	struct bench_client *cl;
	uint8_t own[6];

	if (n >= b->conf.clients)
		return;
	bench_identity_mac(&b->conf, b->conf.first + n, own);
	if (memcmp(own, mac, 6))
		return; /* of another seed */
	cl = &b->client[n];
	bench_held_drop(b->held, cl->held, n); /* a later line of the same client counts */
	cl->addr = cl->held = addr;
	cl->expiry = expiry;
	cl->server_id = server;
	(void)bench_held_take(b->held, addr, n, expiry, 0);
}

int bench_leases_load(struct bench *b, const char *file)
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
