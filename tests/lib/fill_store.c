/*
 * fill_store - a store with so many running leases, which end one by one within an hour, of a
 * server that the partner has not heard of for a while: written by the store's own library, a
 * million in some seconds.
 *
 *   fill_store DIR RELATIONSHIP primary|secondary FIRST-ADDRESS COUNT
 *
 * Both of a pair filled so (the other with COUNT 0) know each other. Called by
 * tools/bench-failover and tools/bench-scale.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "shared/loadbal.h"
#include "store/lease_store.h"

struct told {
	uint64_t durable;
	int err;
};

static void durable(void *ctx, uint64_t batch)
{
	((struct told *)ctx)->durable = batch;
}

static void failed(void *ctx, uint64_t batch, int err)
{
	(void)batch;
	((struct told *)ctx)->err = err;
}

static int commit(struct lease_store *st, struct told *t)
{
	uint64_t last = lease_store_submit(st);

	while (!t->err && t->durable < last) {
		struct pollfd p = { .fd = lease_store_fd(st), .events = POLLIN };

		if (poll(&p, 1, 60000) == 1)
			lease_store_dispatch(st);
	}
	return t->err;
}

static int put_relation(struct lease_store *st, const char *name, bool primary, uint32_t now)
{
	struct fo_record r = { .end = { .state = FO_COMM_INT,
					.peer = FO_COMM_INT,
					.primary = primary,
					.ever_normal = true,
					.stos = now,
					.peer_stos = now,
					.last_operational = now } };

	memset(r.incarnation, 7, sizeof(r.incarnation));
	return lease_store_put_relation(st, name, &r);
}

static int put_lease(struct lease_store *st, uint32_t addr, uint32_t i, uint32_t now)
{
	struct lease_client c = { .htype = 1,
				  .hlen = 6,
				  .chaddr = { 2, 0xf1, (uint8_t)(i >> 24), (uint8_t)(i >> 16),
					      (uint8_t)(i >> 8), (uint8_t)i } };
	struct lease l = { .addr = addr,
			   .starts = now,
			   .expires = now + 7200 + i * 2654435761u % 3600,
			   .sent_pet = now + 14400,
			   .cltt = now,
			   .stos = now,
			   .serial = 2,
			   .state = LEASE_ACTIVE,
			   .acked_state = LEASE_ACTIVE,
			   .flags = LEASE_DIRTY };

	l.bucket = loadbal_bucket(0, NULL, 0, c.chaddr, c.hlen);
	return lease_store_put(st, &l, &c);
}

static int fill(struct lease_store *st, struct told *t, uint32_t first, uint32_t n, uint32_t now)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < n; i++) {
		if (!lease_store_room(st, 1))
			r = commit(st, t);
		if (r >= 0)
			r = put_lease(st, first + i, i, now);
	}
	return r < 0 ? r : commit(st, t);
}

int main(int argc, char **argv)
{
	struct lease_store_conf conf = { .directory = argc == 6 ? argv[1] : "" };
	struct told t = { 0 };
	struct lease_store_ops ops = { &t, durable, failed };
	uint32_t now = (uint32_t)time(NULL);
	struct lease_store *st;
	struct in_addr first;
	char err[256];
	int r;

	if (argc != 6 || inet_pton(AF_INET, argv[4], &first) != 1) {
		fputs("usage: fill_store DIR RELATIONSHIP primary|secondary FIRST-ADDRESS COUNT\n",
		      stderr);
		return 2;
	}
	conf.addresses = strtoul(argv[5], NULL, 0);
	conf.batch_max = 65536;
	if (lease_store_open(&conf, &ops, &st, err) < 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	r = put_relation(st, argv[2], !strcmp(argv[3], "primary"), now);
	if (r >= 0)
		r = fill(st, &t, ntohl(first.s_addr), (uint32_t)conf.addresses, now);
	lease_store_close(st);
	if (r < 0)
		fprintf(stderr, "cannot fill %s: %s\n", argv[1], strerror(-r));
	return r < 0;
}
