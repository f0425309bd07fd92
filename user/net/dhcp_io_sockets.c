/*
 * The sockets of dhcp_io, four for each interface: packet and UDP, of which dhcp_io_filters.c says
 * what they hear, for DISCOVERs and for all else.
 *
 * Called by dhcp_io_open and dhcp_io_rescan.
 * Spec: RFC 2131 §4.1; packet(7), ip(7), socket(7) (SO_REUSEPORT).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "net/dhcp_io_priv.h"
#include "net/port_holder.h"

/* The kernel drops the newest when a queue is full: so a queue should hold a
 * burst, yet no more than can be answered before its clients have asked again, 4 s later by RFC
 * 2131 §4.1, after one second in the hastiest. It reckons twice the octets that it is asked for,
 * and a datagram of 300 as 1,280 over veth, 2,300 and more with what a network card's driver sets
 * aside. 8 MiB are then 7,000 to 13,000 REQUESTs, a quarter of a second at 50,000/s; half of it is
 * enough for DISCOVERs, whose clients ask all of them again anyhow. Where fewer can be answered,
 * because the disk is slow, the oldest are given up as they are read (dhcp_wait.h). */
#define RCVBUF_DEFAULT (8u << 20)
#define SNDBUF (8 << 20)

static int say(char err[PROBLEM_MAX], const char *what, const char *dev, const char *hint)
{
	int r = -errno;

	snprintf(err, PROBLEM_MAX, "%s on %s: %s%s", what, dev, strerror(-r),
		 r == -EPERM || r == -EACCES ? hint : "");
	return r;
}

/* The forced form is for those who still have CAP_NET_ADMIN; else the system's limit counts. */
static void set_buffer(int fd, int forced, int plain, int octets)
{
	if (setsockopt(fd, SOL_SOCKET, forced, &octets, sizeof(octets)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &octets, sizeof(octets));
}

static void set_rcvbuf(int fd, enum dhcp_io_kind kind, unsigned octets)
{
	unsigned n = octets ? octets : RCVBUF_DEFAULT;

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, (int)(kind == DHCP_IO_DISCOVERS ? n / 2 : n));
}

static int enable(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

/* Bound last, so that nothing is heard before the filter is in place. */
static int set_up_packet(int fd, const struct io_iface *i, enum dhcp_io_kind kind, unsigned rcvbuf)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = i->ifindex };

	set_rcvbuf(fd, kind, rcvbuf);
	if (io_filter_packets(fd, kind) < 0 || enable(fd, SOL_PACKET, PACKET_AUXDATA) < 0 ||
	    enable(fd, SOL_SOCKET, SO_TIMESTAMPNS) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&at, sizeof(at));
}

static int open_packet(const struct io_iface *i, enum dhcp_io_kind kind, unsigned rcvbuf, int *ret,
		       char err[PROBLEM_MAX])
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return say(err, "cannot open a packet socket", i->name,
			   " (CAP_NET_RAW is missing)");
	*ret = fd;
	if (set_up_packet(fd, i, kind, rcvbuf) < 0)
		return say(err, "cannot set up the packet socket", i->name, "");
	return 0;
}

static int set_up_udp(int fd, const struct io_iface *i, enum dhcp_io_kind kind, unsigned rcvbuf)
{
	set_rcvbuf(fd, kind, rcvbuf);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, i->name, (socklen_t)strlen(i->name)) < 0 ||
	    io_filter_udp(fd, kind) < 0 || enable(fd, IPPROTO_IP, IP_PKTINFO) < 0)
		return -1;
	return enable(fd, SOL_SOCKET, SO_TIMESTAMPNS);
}

static int bind_port(int fd, const char *dev, char err[PROBLEM_MAX])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(DHCP_SERVER_PORT) };
	char holder[128];

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return say(err, "cannot bind UDP port 67", dev,
			   " (CAP_NET_BIND_SERVICE is missing)");
	port_holder_name(DHCP_SERVER_PORT, holder, sizeof(holder));
	snprintf(err, PROBLEM_MAX, "UDP port 67 on %s is held by %s: stop it first", dev, holder);
	return -EADDRINUSE;
}

static int open_udp(const struct io_iface *i, enum dhcp_io_kind kind, unsigned rcvbuf, int *ret,
		    char err[PROBLEM_MAX])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return say(err, "cannot open a UDP socket", i->name, "");
	*ret = fd;
	if (set_up_udp(fd, i, kind, rcvbuf) < 0)
		return say(err, "cannot set up the UDP socket", i->name, "");
	return 0;
}

/* Two servers on one port would each hear a part (decision D5). So the first of our two sockets is
 * bound without sharing the port, which fails where anybody else has it, and only then lets the
 * second in. Who comes later has to ask for sharing, and to run as our user. */
static int share_port(const int fd[IO_SOCKETS], const char *dev, char err[PROBLEM_MAX])
{
	int r = bind_port(fd[IO_UDP], dev, err);

	if (r < 0)
		return r;
	if (enable(fd[IO_UDP], SOL_SOCKET, SO_REUSEPORT) < 0 ||
	    enable(fd[IO_UDP_DISCOVERS], SOL_SOCKET, SO_REUSEPORT) < 0)
		return say(err, "cannot share UDP port 67", dev, "");
	r = bind_port(fd[IO_UDP_DISCOVERS], dev, err);
	if (r == 0 && io_sort_udp(fd[IO_UDP]) < 0)
		r = say(err, "cannot sort what comes to UDP port 67", dev, "");
	return r;
}

static int open_kind(const struct io_iface *i, enum dhcp_io_kind kind, unsigned rcvbuf,
		     int fd[IO_SOCKETS], char err[PROBLEM_MAX])
{
	bool discovers = kind == DHCP_IO_DISCOVERS;
	int r = open_udp(i, kind, rcvbuf, &fd[discovers ? IO_UDP_DISCOVERS : IO_UDP], err);

	return r < 0 ? r
		     : open_packet(i, kind, rcvbuf,
				   &fd[discovers ? IO_PACKET_DISCOVERS : IO_PACKET], err);
}

int io_open_sockets(struct io_iface *i, unsigned rcvbuf, char err[PROBLEM_MAX])
{
	int fd[IO_SOCKETS] = { -1, -1, -1, -1 }, r = 0;

	for (unsigned k = 0; r == 0 && k < DHCP_IO_KINDS; k++)
		r = open_kind(i, k, rcvbuf, fd, err);
	if (r == 0)
		r = share_port(fd, i->name, err);
	for (unsigned s = 0; s < IO_SOCKETS; s++) {
		if (r == 0)
			i->fd[s] = fd[s];
		else if (fd[s] >= 0)
			close(fd[s]);
	}
	memset(i->dropped, 0, sizeof(i->dropped));
	return r;
}

/* Routed replies leave by one raw socket that is bound to nothing: the way back to a relay need
 * not be the interface that its request came in by. It receives nothing (IPPROTO_RAW). What waits
 * for ARP counts against its buffer, at most 208 KiB per neighbour: the buffer has room for many.
 */
int io_open_raw(int *ret, char err[PROBLEM_MAX])
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		return say(err, "cannot open a raw socket", "any interface",
			   " (CAP_NET_RAW is missing)");
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SNDBUF);
	*ret = fd;
	return 0;
}
