/*
 * dhcp_echo - answers every DISCOVER with an OFFER and every REQUEST with an ACK, and remembers
 * nothing: what a load generator costs without a server, and a server that does wrong on purpose.
 * The address comes from the last three octets of the hardware address. Used by
 * tests/netns/test_twinbench.
 *
 *   dhcp_echo ADDRESS [--addresses N] [--nak]
 *     --addresses N  only so many different ones, so that clients share them
 *     --nak          every REQUEST is refused
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "shared/dhcp_wire.h"

#define BATCH 64
#define FIRST 0x0b000000u /* 11.0.0.0/8 has an address for each of 2^24 clients */
#define LEASE_SEC 600

struct echo {
	int fd;
	uint32_t self, addresses;
	bool nak;
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
		out[n_out++] = e->m[i];
	}
	for (unsigned done = 0; done < n_out;) {
		int r = sendmmsg(e->fd, out + done, n_out - done, 0);

		done += r > 0 ? (unsigned)r : 1;
	}
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
						 { "nak", 0, NULL, 'n' },
						 { NULL, 0, NULL, 0 } };
	static struct echo e = { .addresses = 1u << 24 };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'a')
			e.addresses = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'n')
			e.nak = true;
		else
			return 2;
	}
	if (optind + 1 != argc || !e.addresses)
		return 2;
	open_echo(&e, argv[optind]);
	for (;;)
		turn(&e);
}
