/*
 * The sockets of dhcp_io and the filters that split the traffic between them. Both filters ask the
 * same question, is it sent to 255.255.255.255 with giaddr 0, and give opposite answers: so each
 * packet is heard exactly once (decision D1).
 *
 * Called by dhcp_io_open and dhcp_io_rescan.
 * Spec: RFC 2131 §4.1; packet(7), ip(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "net/dhcp_io_priv.h"
#include "net/port_holder.h"

#define RCVBUF_DEFAULT (8u << 20)
#define SNDBUF (8 << 20)

#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (at))
#define ANSWER(n) BPF_STMT(BPF_RET | BPF_K, (n))
#define WHOLE 0xffffffff
#define NOTHING 0
#define IP_AT(off) ((uint32_t)SKF_NET_OFF + (off))
#define UDP_HEAD 8

static int say(char err[PROBLEM_MAX], const char *what, const char *dev, const char *hint)
{
	int r = -errno;

	snprintf(err, PROBLEM_MAX, "%s on %s: %s%s", what, dev, strerror(-r),
		 r == -EPERM || r == -EACCES ? hint : "");
	return r;
}

/* A packet socket without link header: the IP header is at 0. */
static int filter_packets(int fd)
{
	struct sock_filter code[] = {
		LOAD_BYTE((uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 12, 0), /* and OUTGOING */
		LOAD_BYTE(9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 10),
		LOAD_HALF(6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 8, 0), /* a fragment */
		LOAD_WORD(16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, INADDR_BROADCAST, 0, 6),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X = length of the IP header */
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_SERVER_PORT, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, UDP_HEAD + DHCP_OFF_GIADDR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		ANSWER(WHOLE),
		ANSWER(NOTHING),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* A UDP socket: the UDP header is at 0, the IP header by its own base. */
static int filter_udp(int fd)
{
	struct sock_filter code[] = {
		LOAD_WORD(IP_AT(16)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, INADDR_BROADCAST, 0, 2),
		LOAD_WORD(UDP_HEAD + DHCP_OFF_GIADDR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		ANSWER(WHOLE),
		ANSWER(NOTHING),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* The forced form is for those who still have CAP_NET_ADMIN; else the system's limit counts. */
static void set_buffer(int fd, int forced, int plain, int octets)
{
	if (setsockopt(fd, SOL_SOCKET, forced, &octets, sizeof(octets)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &octets, sizeof(octets));
}

static void set_rcvbuf(int fd, unsigned octets)
{
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, (int)(octets ? octets : RCVBUF_DEFAULT));
}

static int enable(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

/* Bound last, so that nothing is heard before the filter is in place. */
static int set_up_packet(int fd, const struct io_iface *i, unsigned rcvbuf)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = i->ifindex };

	set_rcvbuf(fd, rcvbuf);
	if (filter_packets(fd) < 0 || enable(fd, SOL_PACKET, PACKET_AUXDATA) < 0 ||
	    enable(fd, SOL_SOCKET, SO_TIMESTAMPNS) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&at, sizeof(at));
}

static int open_packet(const struct io_iface *i, unsigned rcvbuf, int *ret, char err[PROBLEM_MAX])
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return say(err, "cannot open a packet socket", i->name,
			   " (CAP_NET_RAW is missing)");
	if (set_up_packet(fd, i, rcvbuf) < 0) {
		int r = say(err, "cannot set up the packet socket", i->name, "");

		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

static int set_up_udp(int fd, const struct io_iface *i, unsigned rcvbuf)
{
	set_rcvbuf(fd, rcvbuf);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, i->name, (socklen_t)strlen(i->name)) < 0 ||
	    filter_udp(fd) < 0 || enable(fd, IPPROTO_IP, IP_PKTINFO) < 0)
		return -1;
	return enable(fd, SOL_SOCKET, SO_TIMESTAMPNS);
}

/* No SO_REUSEADDR: two servers on one port would each hear a part (decision D5). */
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

static int open_udp(const struct io_iface *i, unsigned rcvbuf, int *ret, char err[PROBLEM_MAX])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return say(err, "cannot open a UDP socket", i->name, "");
	if (set_up_udp(fd, i, rcvbuf) < 0)
		r = say(err, "cannot set up the UDP socket", i->name, "");
	else
		r = bind_port(fd, i->name, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int io_open_sockets(struct io_iface *i, unsigned rcvbuf, char err[PROBLEM_MAX])
{
	int udp = -1, packet = -1, r;

	r = open_udp(i, rcvbuf, &udp, err);
	if (r < 0)
		return r;
	r = open_packet(i, rcvbuf, &packet, err);
	if (r < 0) {
		close(udp);
		return r;
	}
	i->fd[IO_UDP] = udp;
	i->fd[IO_PACKET] = packet;
	return 0;
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
