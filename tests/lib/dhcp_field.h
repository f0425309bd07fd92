#pragma once
/*
 * A server's dhcp_io and the field before it, for tests: two namespaces joined by a pair of
 * interfaces; frames are thrown at the one end, and those that come back are looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dhcp_build.h"
#include "net/dhcp_io.h"
#include "net/ip_udp.h"

#define SERVER 0x0a090001u  /* on veth0 */
#define SERVER2 0x0a090101u /* a second address of the server */
#define RELAY 0x0a090002u   /* on veth1 */
#define CLIENT 0x0a090037u  /* on veth1 too, for replies to ciaddr */
#define NOBODY 0x0a0900c8u  /* answers no ARP */
#define SUBNET_ALL 0x0a0900ffu
#define ALL 0xffffffffu
#define LIMIT_MS 5000

static int server_ns, field_ns, watch = -1;
static uint8_t server_mac[6], field_mac[6];
static const uint8_t all_mac[6] = { 255, 255, 255, 255, 255, 255 };
static struct dhcp_io *io;
static char err[256];

static inline void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0) {
		perror("setns");
		abort();
	}
}

static inline int own_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static inline void run(const char *cmd)
{
	int r = system(cmd);

	if (r) {
		print_error("%s: %d\n", cmd, r);
		abort();
	}
}

/* --- the field: frames in both directions
 * ---------------------------------------------------------- */

struct frame {
	uint8_t buf[2048];
	size_t len; /* with the Ethernet header */
};

static inline int raw_socket(const char *dev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

	at.sll_ifindex = (int)if_nametoindex(dev);
	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror(dev);
		abort();
	}
	return fd;
}

static inline void mac_of(const char *dev, uint8_t ret[6])
{
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(req.ifr_name, dev, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		abort();
	memcpy(ret, req.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static inline uint32_t source_of(uint32_t dest, uint32_t giaddr)
{
	return giaddr ? RELAY : dest == ALL ? 0 : CLIENT;
}

/* @len octets of a message in an Ethernet frame; the caller spoils what it likes. */
static inline struct frame frame_with(uint32_t dest, uint32_t giaddr, const struct dhcp_build *b,
				      size_t len)
{
	struct ip_udp h = { source_of(dest, giaddr), dest, giaddr ? 67 : 68, 67 };
	struct frame f;

	memcpy(f.buf, dest == ALL || dest == SUBNET_ALL ? all_mac : server_mac, 6);
	memcpy(f.buf + 6, field_mac, 6);
	f.buf[12] = 8;
	f.buf[13] = 0;
	memcpy(f.buf + 14 + IP_UDP_LEN, b->buf, len);
	ip_udp_write(f.buf + 14, &h, len);
	f.len = 14 + IP_UDP_LEN + len;
	return f;
}

static inline struct frame frame_of_type(uint32_t dest, uint32_t giaddr, uint32_t xid, uint8_t type)
{
	static struct dhcp_build b;

	db_init(&b, 5);
	db_put32(&b, DHCP_OFF_XID, xid);
	db_put32(&b, DHCP_OFF_GIADDR, giaddr);
	db_opt8(&b, DHO_MESSAGE_TYPE, type);
	return frame_with(dest, giaddr, &b, db_done(&b));
}

static inline struct frame frame_of(uint32_t dest, uint32_t giaddr, uint32_t xid)
{
	return frame_of_type(dest, giaddr, xid, DHCPDISCOVER);
}

static inline void send_frame(const struct frame *f)
{
	assert_int_equal(send(watch, f->buf, f->len, 0), f->len);
}

static inline void send_plain(uint32_t dest, uint32_t giaddr, uint32_t xid)
{
	struct frame f = frame_of(dest, giaddr, xid);

	send_frame(&f);
}

static inline void send_type(uint32_t dest, uint32_t giaddr, uint32_t xid, uint8_t type)
{
	struct frame f = frame_of_type(dest, giaddr, xid, type);

	send_frame(&f);
}

/* RFC 1071, written again: the code under test does not check itself. */
static inline unsigned ones_sum(const uint8_t *p, size_t len, unsigned sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static inline void ip_sum_again(struct frame *f)
{
	unsigned sum;

	f->buf[24] = f->buf[25] = 0;
	sum = ones_sum(f->buf + 14, (f->buf[14] & 15) * 4u, 0) ^ 0xffff;
	f->buf[24] = (uint8_t)(sum >> 8);
	f->buf[25] = (uint8_t)sum;
}

static inline bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LIMIT_MS) == 1;
}

/* The next UDP datagram from port 67 that the field sees coming in. */
static inline struct frame see_reply(void)
{
	struct frame f;

	for (;;) {
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n;

		if (!readable(watch))
			fail_msg("no reply was seen within %d ms", LIMIT_MS);
		n = recvfrom(watch, f.buf, sizeof(f.buf), 0, (struct sockaddr *)&from, &from_len);
		if (n > 42 && from.sll_pkttype != PACKET_OUTGOING && be16(f.buf + 12) == 0x0800 &&
		    f.buf[14 + 9] == 17 && be16(f.buf + 34) == 67) {
			f.len = (size_t)n;
			return f;
		}
	}
}

static inline void drain_watch(void)
{
	uint8_t buf[64];

	while (recv(watch, buf, sizeof(buf), 0) >= 0)
		;
}

/* --- the server: what dhcp_io hands over
 * ------------------------------------------------------------ */

struct heard {
	struct dhcp_datagram d;
	uint32_t xid;
	enum dhcp_io_kind kind; /* of the socket */
	uint8_t payload[512];
};

static struct heard heard[512];
static unsigned n_heard;

static inline void note(const struct dhcp_datagram *d, enum dhcp_io_kind kind)
{
	struct heard *h = &heard[n_heard];

	assert_true(n_heard < 512);
	memset(h, 0, sizeof(*h));
	h->d = *d;
	h->kind = kind;
	memcpy(h->payload, d->payload, d->len < 512 ? d->len : 512);
	h->xid = be32(h->payload + DHCP_OFF_XID);
	n_heard++;
}

static inline unsigned count_of(uint32_t xid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_heard; i++)
		n += heard[i].xid == xid;
	return n;
}

static inline const struct heard *find(uint32_t xid)
{
	for (unsigned i = 0; i < n_heard; i++) {
		if (heard[i].xid == xid)
			return &heard[i];
	}
	fail_msg("xid %08x was not heard", xid);
	return NULL;
}

static inline void hear_some(void)
{
	static struct dhcp_datagram batch[DHCP_IO_BATCH];
	struct pollfd p[16];
	int fds[16];
	unsigned n = dhcp_io_fds(io, fds, 16);

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	if (poll(p, n, LIMIT_MS) <= 0)
		fail_msg("nothing was heard within %d ms", LIMIT_MS);
	for (unsigned i = 0; i < n; i++) {
		int got = p[i].revents ? dhcp_io_receive(io, fds[i], batch, DHCP_IO_BATCH) : 0;

		assert_true(got >= 0);
		for (int k = 0; k < got; k++)
			note(&batch[k], dhcp_io_kind_of(io, fds[i]));
	}
}

/* All that was sent so far has been heard once the four marks have: one for each socket. */
static inline void hear_all(void)
{
	static uint32_t mark = 0xe0000000;

	mark += 4;
	send_plain(ALL, 0, mark);
	send_plain(SERVER, RELAY, mark + 1);
	send_type(ALL, 0, mark + 2, DHCPREQUEST);
	send_type(SERVER, RELAY, mark + 3, DHCPREQUEST);
	while (!count_of(mark) || !count_of(mark + 1) || !count_of(mark + 2) || !count_of(mark + 3))
		hear_some();
	assert_true(find(mark)->d.by_packet_socket);
	assert_false(find(mark + 1)->d.by_packet_socket);
	assert_true(find(mark + 2)->d.by_packet_socket);
	assert_false(find(mark + 3)->d.by_packet_socket);
}

static inline void open_io_with(unsigned rcvbuf)
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1, .rcvbuf = rcvbuf };

	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	n_heard = 0;
	drain_watch();
}

static inline void open_io(void)
{
	open_io_with(0);
}

static inline int close_io(void **state)
{
	(void)state;
	dhcp_io_close(io);
	io = NULL;
	return 0;
}

/* --- two namespaces
 * ----------------------------------------------------------------------------------- */

/* A namespace for the field, and the process that keeps it until we hold it by descriptor. */
static inline pid_t make_field(void)
{
	int ready[2];
	char octet;
	pid_t pid;

	if (pipe(ready) < 0)
		return -1;
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &octet, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

static inline int set_up(void **state)
{
	char text[256];
	pid_t pid = make_field();

	(void)state;
	if (pid < 0)
		return -1;
	snprintf(text, sizeof(text), "/proc/%d/ns/net", (int)pid);
	field_ns = open(text, O_RDONLY | O_CLOEXEC);
	server_ns = own_ns();
	snprintf(text, sizeof(text),
		 "ip link add veth0 type veth peer name veth1 netns %d && ip link set lo up && "
		 "ip addr add 10.9.0.1/24 dev veth0 && ip addr add 10.9.1.1/24 dev veth0 && "
		 "ip link set veth0 up",
		 (int)pid);
	run(text);
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	enter(field_ns);
	run("ip link set veth1 up && ip addr add 10.9.0.2/24 dev veth1 && "
	    "ip addr add 10.9.0.55/24 dev veth1");
	mac_of("veth1", field_mac);
	watch = raw_socket("veth1");
	enter(server_ns);
	mac_of("veth0", server_mac);
	return 0;
}
