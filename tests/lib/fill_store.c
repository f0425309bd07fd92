/*
 * fill_store - a store with so many running leases, which end one by one within an hour, of a
 * server that the partner has not heard of for a while: written by the store's own library, a
 * million in some seconds.
 *
 *   fill_store DIR RELATIONSHIP primary|secondary FIRST-ADDRESS COUNT [SEED]
 *
 * With a seed the clients are those that twinbench makes of it, each somewhere among the addresses.
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
#include "../../tools/lib/bench.h"

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

struct job {
	uint32_t first, n, now;
	const char *seed; /* NULL: none */
};

static struct lease_client client_of(const struct job *j, uint32_t i)
{
	struct lease_client c = { .htype = 1,
				  .hlen = 6,
				  .chaddr = { 2, 0xf1, (uint8_t)(i >> 24), (uint8_t)(i >> 16),
					      (uint8_t)(i >> 8), (uint8_t)i } };
	const struct bench_conf conf = { .seed = j->seed ? bench_seed(j->seed) : 0 };

	/* a prime that divides no count in use: each number once */
	if (j->seed)
		bench_identity_mac(&conf, (uint32_t)(i * 7919ull % j->n), c.chaddr);
	return c;
}

static int put_lease(struct lease_store *st, const struct job *j, uint32_t i)
{
	struct lease_client c = client_of(j, i);
	uint32_t now = j->now;
	struct lease l = { .addr = j->first + i,
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

static int fill(struct lease_store *st, struct told *t, const struct job *j)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < j->n; i++) {
		if (!lease_store_room(st, 1))
			r = commit(st, t);
		if (r >= 0)
			r = put_lease(st, j, i);
	}
	return r < 0 ? r : commit(st, t);
}

int main(int argc, char **argv)
{
	struct lease_store_conf conf = { .directory = argc >= 6 ? argv[1] : "" };
	struct job job = { .now = (uint32_t)time(NULL), .seed = argc == 7 ? argv[6] : NULL };
	struct told t = { 0 };
	struct lease_store_ops ops = { &t, durable, failed };
	struct lease_store *st;
	struct in_addr first;
	char err[256];
	int r;

	if ((argc != 6 && argc != 7) || inet_pton(AF_INET, argv[4], &first) != 1) {
		fputs("usage: fill_store DIR RELATIONSHIP primary|secondary FIRST-ADDRESS COUNT "
		      "[SEED]\n",
		      stderr);
		return 2;
	}
	conf.addresses = strtoul(argv[5], NULL, 0);
	job.first = ntohl(first.s_addr);
	job.n = (uint32_t)conf.addresses;
	conf.batch_max = 65536;
	if (lease_store_open(&conf, &ops, &st, err) < 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	r = put_relation(st, argv[2], !strcmp(argv[3], "primary"), job.now);
	if (r >= 0)
		r = fill(st, &t, &job);
	lease_store_close(st);
	if (r < 0)
		fprintf(stderr, "cannot fill %s: %s\n", argv[1], strerror(-r));
	return r < 0;
}
