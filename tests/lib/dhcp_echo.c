/*
 * dhcp_echo - answers every DISCOVER with an OFFER and every REQUEST with an ACK, and remembers
 * nothing: what a load generator costs without a server, and a server that does wrong on purpose.
 * The address comes from the last three octets of the hardware address. Used by
 * tests/netns/test_twinbench and tools/bench.
 *
 *   dhcp_echo ADDRESS [--addresses N] [--nak] [--durable FILE]
 *     --addresses N   only so many different ones, so that clients share them
 *     --nak           every REQUEST is refused
 *     --durable FILE  an ACK leaves when 100 octets of it are on disk, an OFFER at once: the
 *                     least that any server which syncs before its ACK takes. A thread writes and
 *                     syncs what came since its last sync, all at once, and sends those ACKs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "shared/dhcp_wire.h"

#define BATCH 64
#define FIRST 0x0b000000u /* 11.0.0.0/8 has an address for each of 2^24 clients */
#define LEASE_SEC 600
#define GROUP 4096 /* ACKs that may wait for one sync; more are lost, as at a full socket */
#define RECORD 100 /* octets of each on disk */
#define FILE_LEN (16 * GROUP * RECORD) /* written over and over */

/* ACKs that wait for the disk. */
struct group {
	unsigned n;
	struct sockaddr_in to[GROUP];
	uint8_t data[GROUP][DHCP_MIN_REPLY];
};

struct disk {
	int fd; /* -1: nothing is written */
	off_t at;
	pthread_mutex_t lock; /* of what gathers, and of which group that is */
	pthread_cond_t some;
	struct group groups[2], *gathers;
};

struct echo {
	int fd;
	uint32_t self, addresses;
	bool nak;
	struct disk disk;
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in peer[BATCH];
	uint8_t data[BATCH][1500];
};

static void die(const char *what)
{
	fprintf(stderr, "dhcp_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t type_of(const uint8_t *p, size_t len)
{
	for (size_t i = DHCP_OPTIONS_OFF; i + 2 < len && p[i] != DHO_END; i += 2u + p[i + 1])
		if (p[i] == DHO_MESSAGE_TYPE)
			return p[i + 2];
	return 0;
}

static uint8_t *put_u32(uint8_t *p, uint8_t code, uint32_t v)
{
	v = htonl(v);
	*p++ = code;
	*p++ = 4;
	memcpy(p, &v, 4);
	return p + 4;
}

static uint32_t address_of(const struct echo *e, const uint8_t *mac)
{
	uint32_t n = (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];

	return FIRST + 1 + n % e->addresses;
}

/* The request becomes its answer, in its place; 0: there is none. */
static size_t answer(const struct echo *e, uint8_t *p, size_t len)
{
	uint8_t type = len > DHCP_OPTIONS_OFF ? type_of(p, len) : 0, *o = p + DHCP_OPTIONS_OFF;
	uint32_t addr = htonl(address_of(e, p + DHCP_OFF_CHADDR));

	if (type != DHCPDISCOVER && type != DHCPREQUEST)
		return 0;
	type = type == DHCPDISCOVER ? DHCPOFFER : e->nak ? DHCPNAK : DHCPACK;
	p[0] = BOOTREPLY;
	memcpy(p + 16, &addr, 4); /* yiaddr */
	*o++ = DHO_MESSAGE_TYPE;
	*o++ = 1;
	*o++ = type;
	o = put_u32(o, DHO_SERVER_ID, e->self);
	o = put_u32(o, DHO_LEASE_TIME, LEASE_SEC);
	*o++ = DHO_END;
	memset(o, 0, p + DHCP_MIN_REPLY - o);
	return DHCP_MIN_REPLY;
}

/* To the relay, or to a client that has its address (RFC 2131 §4.1). */
static void address_answer(struct sockaddr_in *to, const uint8_t *p)
{
	uint32_t giaddr;

	memcpy(&giaddr, p + DHCP_OFF_GIADDR, 4);
	to->sin_port = htons(giaddr ? DHCP_SERVER_PORT : DHCP_CLIENT_PORT);
	if (giaddr)
		to->sin_addr.s_addr = giaddr;
}

static void send_all(const struct echo *e, struct mmsghdr *out, unsigned n)
{
	for (unsigned done = 0; done < n;) {
		int r = sendmmsg(e->fd, out + done, n - done, 0);

		done += r > 0 ? (unsigned)r : 1;
	}
}

/* --- after the disk --------------------------------------------------------------------------- */

static void gather(struct disk *d, const struct sockaddr_in *to, const uint8_t *p)
{
	struct group *g;

	(void)pthread_mutex_lock(&d->lock);
	g = d->gathers;
	if (g->n < GROUP) {
		g->to[g->n] = *to;
		memcpy(g->data[g->n++], p, DHCP_MIN_REPLY);
	}
	if (g->n == 1)
		(void)pthread_cond_signal(&d->some);
	(void)pthread_mutex_unlock(&d->lock);
}

/* What has gathered; from now on it is the other one that gathers. */
static struct group *take(struct disk *d)
{
	struct group *g;

	(void)pthread_mutex_lock(&d->lock);
	while (!d->gathers->n)
		(void)pthread_cond_wait(&d->some, &d->lock);
	g = d->gathers;
	d->gathers = &d->groups[g == d->groups];
	(void)pthread_mutex_unlock(&d->lock);
	return g;
}

static void make_durable(struct disk *d, const struct group *g)
{
	static uint8_t records[GROUP * RECORD];
	size_t len = g->n * RECORD;

	for (unsigned i = 0; i < g->n; i++)
		memcpy(records + i * RECORD, g->data[i], RECORD);
	if (d->at + (off_t)len > FILE_LEN)
		d->at = 0;
	if (pwrite(d->fd, records, len, d->at) != (ssize_t)len || fdatasync(d->fd) < 0)
		die("write and sync");
	d->at += (off_t)len;
}

static void send_group(const struct echo *e, struct group *g)
{
	struct mmsghdr out[BATCH];
	struct iovec iov[BATCH];
	unsigned n;

	for (unsigned from = 0; from < g->n; from += n) {
		for (n = 0; n < BATCH && from + n < g->n; n++) {
			iov[n] = (struct iovec){ g->data[from + n], DHCP_MIN_REPLY };
			out[n].msg_hdr = (struct msghdr){ .msg_name = &g->to[from + n],
							  .msg_namelen = sizeof(g->to[0]),
							  .msg_iov = &iov[n],
							  .msg_iovlen = 1 };
		}
		send_all(e, out, n);
	}
}

static void *sync_thread(void *arg)
{
	struct echo *e = arg;

	for (;;) {
		struct group *g = take(&e->disk);

		make_durable(&e->disk, g);
		send_group(e, g);
		g->n = 0; /* it gathers only after the next take() */
	}
	return NULL;
}

/* With zeros in it: a sync has data to write then, and nothing of the file system's own. */
static void open_disk(struct echo *e, const char *path)
{
	static const uint8_t zeros[GROUP * RECORD];
	struct disk *d = &e->disk;
	pthread_t thread;

	d->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (d->fd < 0)
		die(path);
	for (off_t at = 0; at < FILE_LEN; at += (off_t)sizeof(zeros))
		if (pwrite(d->fd, zeros, sizeof(zeros), at) != (ssize_t)sizeof(zeros))
			die(path);
	if (fsync(d->fd) < 0)
		die(path);
	d->gathers = d->groups;
	errno = pthread_create(&thread, NULL, sync_thread, e);
	if (errno)
		die("thread");
}

/* --- the network ------------------------------------------------------------------------------ */

static bool waits(const struct echo *e, const uint8_t *answer)
{
	return e->disk.fd >= 0 && type_of(answer, DHCP_MIN_REPLY) == DHCPACK;
}

static void turn(struct echo *e)
{
	struct mmsghdr out[BATCH];
	unsigned n_out = 0;
	int n;

	for (unsigned i = 0; i < BATCH; i++)
		e->iov[i].iov_len = sizeof(e->data[i]);
	n = recvmmsg(e->fd, e->m, BATCH, MSG_WAITFORONE, NULL);
	for (int i = 0; i < n; i++) {
		e->iov[i].iov_len = answer(e, e->data[i], e->m[i].msg_len);
		if (!e->iov[i].iov_len)
			continue;
		address_answer(&e->peer[i], e->data[i]);
		if (waits(e, e->data[i]))
			gather(&e->disk, &e->peer[i], e->data[i]);
		else
			out[n_out++] = e->m[i];
	}
	send_all(e, out, n_out);
}

static void open_echo(struct echo *e, const char *address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(DHCP_SERVER_PORT) };
	int size = 16 << 20;

	if (!inet_aton(address, &a.sin_addr))
		die(address);
	e->self = ntohl(a.sin_addr.s_addr);
	e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("port 67");
	(void)setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	for (unsigned i = 0; i < BATCH; i++) {
		e->iov[i].iov_base = e->data[i];
		e->m[i].msg_hdr = (struct msghdr){ .msg_name = &e->peer[i],
						   .msg_namelen = sizeof(e->peer[i]),
						   .msg_iov = &e->iov[i],
						   .msg_iovlen = 1 };
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "addresses", 1, NULL, 'a' },
						 { "durable", 1, NULL, 'd' },
						 { "nak", 0, NULL, 'n' },
						 { NULL, 0, NULL, 0 } };
	static struct echo e = { .addresses = 1u << 24,
				 .disk = { .fd = -1,
					   .lock = PTHREAD_MUTEX_INITIALIZER,
					   .some = PTHREAD_COND_INITIALIZER } };
	const char *durable = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'a')
			e.addresses = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'n')
			e.nak = true;
		else if (opt == 'd')
			durable = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc || !e.addresses)
		return 2;
	open_echo(&e, argv[optind]);
	if (durable)
		open_disk(&e, durable);
	for (;;)
		turn(&e);
}
