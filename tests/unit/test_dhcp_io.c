/*
 * net/dhcp_io on real interfaces: a veth pair between two network namespaces of its own, "server"
 * with veth0 (10.9.0.1) and "field" with veth1, where clients and relays are played and the
 * replies are watched as frames. Needs root.
 *
 * That a packet is heard once, or never, is shown by what follows it: each socket is a queue, so
 * when a later packet has come out of every socket, all of the earlier one has.
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
#include <cmocka.h>
#include "../lib/dhcp_build.h"
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

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0) {
		perror("setns");
		abort();
	}
}

static int own_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void run(const char *cmd)
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

static int raw_socket(const char *dev)
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

static void mac_of(const char *dev, uint8_t ret[6])
{
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(req.ifr_name, dev, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		abort();
	memcpy(ret, req.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static uint32_t source_of(uint32_t dest, uint32_t giaddr)
{
	return giaddr ? RELAY : dest == ALL ? 0 : CLIENT;
}

/* A DISCOVER in an Ethernet frame; the caller spoils what it likes. */
static struct frame frame_of(uint32_t dest, uint32_t giaddr, uint32_t xid)
{
	struct ip_udp h = { source_of(dest, giaddr), dest, giaddr ? 67 : 68, 67 };
	static struct dhcp_build b;
	struct frame f;
	size_t len;

	db_init(&b, 5);
	db_put32(&b, DHCP_OFF_XID, xid);
	db_put32(&b, DHCP_OFF_GIADDR, giaddr);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	len = db_done(&b);
	memcpy(f.buf, dest == ALL || dest == SUBNET_ALL ? all_mac : server_mac, 6);
	memcpy(f.buf + 6, field_mac, 6);
	f.buf[12] = 8;
	f.buf[13] = 0;
	memcpy(f.buf + 14 + IP_UDP_LEN, b.buf, len);
	ip_udp_write(f.buf + 14, &h, len);
	f.len = 14 + IP_UDP_LEN + len;
	return f;
}

static void send_frame(const struct frame *f)
{
	assert_int_equal(send(watch, f->buf, f->len, 0), f->len);
}

static void send_plain(uint32_t dest, uint32_t giaddr, uint32_t xid)
{
	struct frame f = frame_of(dest, giaddr, xid);

	send_frame(&f);
}

/* RFC 1071, written again: the code under test does not check itself. */
static unsigned ones_sum(const uint8_t *p, size_t len, unsigned sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void ip_sum_again(struct frame *f)
{
	unsigned sum;

	f->buf[24] = f->buf[25] = 0;
	sum = ones_sum(f->buf + 14, (f->buf[14] & 15) * 4u, 0) ^ 0xffff;
	f->buf[24] = (uint8_t)(sum >> 8);
	f->buf[25] = (uint8_t)sum;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LIMIT_MS) == 1;
}

/* The next UDP datagram from port 67 that the field sees coming in. */
static struct frame see_reply(void)
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

static void drain_watch(void)
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
	uint8_t payload[512];
};

static struct heard heard[512];
static unsigned n_heard;

static void note(const struct dhcp_datagram *d)
{
	struct heard *h = &heard[n_heard];

	assert_true(n_heard < 512);
	memset(h, 0, sizeof(*h));
	h->d = *d;
	memcpy(h->payload, d->payload, d->len < 512 ? d->len : 512);
	h->xid = be32(h->payload + DHCP_OFF_XID);
	n_heard++;
}

static unsigned count_of(uint32_t xid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_heard; i++)
		n += heard[i].xid == xid;
	return n;
}

static const struct heard *find(uint32_t xid)
{
	for (unsigned i = 0; i < n_heard; i++) {
		if (heard[i].xid == xid)
			return &heard[i];
	}
	fail_msg("xid %08x was not heard", xid);
	return NULL;
}

static void hear_some(void)
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
			note(&batch[k]);
	}
}

/* All that was sent so far has been heard once the two marks have: one for each socket. */
static void hear_all(void)
{
	static uint32_t mark = 0xe0000000;

	mark += 2;
	send_plain(ALL, 0, mark);
	send_plain(SERVER, RELAY, mark + 1);
	while (!count_of(mark) || !count_of(mark + 1))
		hear_some();
	assert_true(find(mark)->d.by_packet_socket);
	assert_false(find(mark + 1)->d.by_packet_socket);
}

static void open_io(void)
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };

	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	n_heard = 0;
	drain_watch();
}

static int close_io(void **state)
{
	(void)state;
	dhcp_io_close(io);
	io = NULL;
	return 0;
}

/* --- hearing
 * ---------------------------------------------------------------------------------------- */

enum spoil {
	NOTHING_SPOILT,
	UDP_SUM_WRONG,
	UDP_SUM_ZERO,
	IP_SUM_WRONG,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
	PORT_68,
	NOT_UDP,
	OTHER_MAC,
	TAGGED_7,
	TAGGED_0,
	PADDED,
	WITH_IP_OPTIONS,
	CUT_IN_HEADER,
	UDP_LEN_TOO_LARGE,
};

static void insert(struct frame *f, size_t at, const void *p, size_t n)
{
	memmove(f->buf + at + n, f->buf + at, f->len - at);
	memcpy(f->buf + at, p, n);
	f->len += n;
}

static void spoil_ip(struct frame *f, size_t at, uint8_t v)
{
	f->buf[14 + at] = v;
	ip_sum_again(f);
}

static void spoil_frame(struct frame *f, enum spoil s)
{
	switch (s) {
	case NOTHING_SPOILT:
		break;
	case UDP_SUM_WRONG:
		f->buf[40] ^= 0x55;
		break;
	case UDP_SUM_ZERO:
		f->buf[40] = f->buf[41] = 0;
		break;
	case IP_SUM_WRONG:
		f->buf[24] ^= 0x55;
		break;
	case FRAGMENT_FIRST:
		spoil_ip(f, 6, 0x20);
		break;
	case FRAGMENT_LATER:
		spoil_ip(f, 7, 8);
		break;
	case PORT_68:
		f->buf[37] = 68;
		f->buf[40] = f->buf[41] = 0;
		break;
	case NOT_UDP:
		spoil_ip(f, 9, 6);
		break;
	case OTHER_MAC:
		memcpy(f->buf, "\x02\x11\x22\x33\x44\x55", 6);
		break;
	case TAGGED_7:
		insert(f, 12, "\x81\x00\x00\x07", 4);
		break;
	case TAGGED_0:
		insert(f, 12, "\x81\x00\xe0\x00", 4);
		break;
	case PADDED:
		memset(f->buf + f->len, 0xaa, 40);
		f->len += 40;
		break;
	case WITH_IP_OPTIONS: /* four no-operations */
		insert(f, 34, "\x01\x01\x01\x01", 4);
		f->buf[14] = 0x46;
		f->buf[17] += 4; /* does not carry: the message is short */
		ip_sum_again(f);
		break;
	case CUT_IN_HEADER:
		f->len = 14 + IP_UDP_LEN + DHCP_OFF_GIADDR + 2;
		break;
	case UDP_LEN_TOO_LARGE:
		f->buf[38] = 8;
		break;
	}
}

static const struct {
	const char *ref, *given;
	uint32_t dest, giaddr;
	enum spoil spoil;
	unsigned want; /* times heard */
	bool by_packet_socket;
	uint32_t want_dest;
} rows[] = {
	{ "D1", "a client's broadcast", ALL, 0, 0, 1, true, 0 },
	{ "D1", "a relay's broadcast", ALL, RELAY, 0, 1, false, 0 },
	{ "D1", "a client's unicast", SERVER, 0, 0, 1, false, SERVER },
	{ "D1", "a relay's unicast", SERVER, RELAY, 0, 1, false, SERVER },
	{ "D2", "to our second address", SERVER2, RELAY, 0, 1, false, SERVER2 },
	{ "D1", "to the subnet's broadcast", SUBNET_ALL, 0, 0, 1, false, 0 },
	{ "D1", "to somebody else", NOBODY, RELAY, 0, 0, false, 0 },
	{ "D3", "broadcast, UDP checksum wrong", ALL, 0, UDP_SUM_WRONG, 0, true, 0 },
	{ "D3", "unicast, UDP checksum wrong", SERVER, RELAY, UDP_SUM_WRONG, 0, false, 0 },
	{ "D3", "broadcast, not summed", ALL, 0, UDP_SUM_ZERO, 1, true, 0 },
	{ "D3", "unicast, not summed", SERVER, RELAY, UDP_SUM_ZERO, 1, false, SERVER },
	{ "791", "broadcast, IP checksum wrong", ALL, 0, IP_SUM_WRONG, 0, true, 0 },
	{ "791", "a first fragment", ALL, 0, FRAGMENT_FIRST, 0, true, 0 },
	{ "791", "a later fragment", ALL, 0, FRAGMENT_LATER, 0, true, 0 },
	{ "2131", "to the client's port", ALL, 0, PORT_68, 0, true, 0 },
	{ "791", "not UDP", ALL, 0, NOT_UDP, 0, true, 0 },
	{ "D1", "broadcast in another's frame", ALL, 0, OTHER_MAC, 0, true, 0 },
	{ "B2", "tagged for VLAN 7", ALL, 0, TAGGED_7, 0, true, 0 },
	{ "802.1Q", "tagged with a priority alone", ALL, 0, TAGGED_0, 1, true, 0 },
	{ "802.3", "padding behind the datagram", ALL, 0, PADDED, 1, true, 0 },
	{ "791", "with IP options", ALL, 0, WITH_IP_OPTIONS, 1, true, 0 },
	{ "2131", "cut within the fixed header", ALL, 0, CUT_IN_HEADER, 0, true, 0 },
	{ "768", "longer than its packet", ALL, 0, UDP_LEN_TOO_LARGE, 0, true, 0 },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void check_row(unsigned i)
{
	struct frame sent = frame_of(rows[i].dest, rows[i].giaddr, 100 + i);
	const struct heard *h;

	if (count_of(100 + i) != rows[i].want)
		fail_msg("%s, %s: heard %u times", rows[i].ref, rows[i].given, count_of(100 + i));
	if (!rows[i].want)
		return;
	h = find(100 + i);
	assert_int_equal(h->d.by_packet_socket, rows[i].by_packet_socket);
	assert_int_equal(h->d.dest, rows[i].want_dest);
	assert_int_equal(h->d.src, source_of(rows[i].dest, rows[i].giaddr));
	assert_int_equal(h->d.src_port, rows[i].giaddr ? 67 : 68);
	assert_int_equal(h->d.iface, 0);
	assert_int_equal(h->d.ifindex, dhcp_io_ifindex(io, 0));
	assert_in_range(dhcp_datagram_age_us(&h->d), 0, 5000000);
	assert_int_equal(h->d.len, sent.len - 14 - IP_UDP_LEN);
	assert_memory_equal(h->payload, sent.buf + 14 + IP_UDP_LEN, h->d.len);
}

static void test_heard_once(void **state)
{
	(void)state;
	open_io();
	for (unsigned i = 0; i < N_ROWS; i++) {
		struct frame f = frame_of(rows[i].dest, rows[i].giaddr, 100 + i);

		spoil_frame(&f, rows[i].spoil);
		send_frame(&f);
	}
	hear_all();
	for (unsigned i = 0; i < N_ROWS; i++)
		check_row(i);
	assert_int_equal(dhcp_io_counters(io)->bad_checksum, 1); /* the kernel counts the other */
	assert_int_equal(dhcp_io_counters(io)->bad_ip, 2);
	assert_int_equal(dhcp_io_counters(io)->heard, n_heard);
}

/* Decision D3: over veth the kernel leaves the checksum of its own UDP to the receiver's card. */
static void test_not_yet_summed(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(67),
				  .sin_addr.s_addr = INADDR_BROADCAST };
	struct frame f = frame_of(ALL, 0, 7);
	int fd, on = 1;

	(void)state;
	open_io();
	enter(field_ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enter(server_ns);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "veth1", 5), 0);
	assert_true(sendto(fd, f.buf + 42, f.len - 42, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	close(fd);
	hear_all();
	assert_int_equal(count_of(7), 1);
	assert_int_equal(dhcp_io_counters(io)->bad_checksum, 0);
}

static void test_too_long(void **state)
{
	static uint8_t big[4000];
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(67),
				  .sin_addr.s_addr = htonl(SERVER) };
	int fd;

	(void)state;
	open_io();
	enter(field_ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enter(server_ns);
	assert_int_equal(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)), 4000);
	close(fd);
	hear_all();
	assert_int_equal(n_heard, 2);
	assert_int_equal(dhcp_io_counters(io)->too_long, 1);
}

/* Decision A19: time in the kernel's queue counts. */
static void test_age(void **state)
{
	struct timespec t = { 0, 60 * 1000 * 1000 };

	(void)state;
	open_io();
	send_plain(ALL, 0, 1);
	send_plain(SERVER, RELAY, 2);
	nanosleep(&t, NULL);
	hear_all();
	assert_in_range(find(1)->d.age_us, 60000, 5000000);
	assert_in_range(find(2)->d.age_us, 60000, 5000000);
}

static void test_more_than_a_batch(void **state)
{
	static struct dhcp_datagram batch[2 * DHCP_IO_BATCH];
	int fds[4], most = 0;

	(void)state;
	open_io();
	for (unsigned i = 0; i < 150; i++)
		send_plain(ALL, 0, 1000 + i);
	assert_int_equal(dhcp_io_fds(io, fds, 4), 2);
	assert_int_equal(dhcp_io_fds(io, fds, 1), 1);
	(void)dhcp_io_fds(io, fds, 4);
	for (unsigned i = 0; i < 2; i++) {
		int got = dhcp_io_receive(io, fds[i], batch, 2 * DHCP_IO_BATCH);

		most = got > most ? got : most;
		for (int k = 0; k < got; k++)
			note(&batch[k]);
	}
	assert_int_equal(most, DHCP_IO_BATCH);
	hear_all();
	for (unsigned i = 0; i < 150; i++)
		assert_int_equal(count_of(1000 + i), 1);
	assert_int_equal(dhcp_io_receive(io, fds[0], batch, 1), 0);
	assert_int_equal(dhcp_io_receive(io, 9999, batch, 1), -EBADF);
}

/* --- sending
 * ---------------------------------------------------------------------------------------- */

static void check_frame(const struct frame *f, const uint8_t *mac, uint32_t src, uint32_t dest,
			uint16_t port, size_t len)
{
	unsigned pseudo = 17 + 8 + (unsigned)len;

	assert_memory_equal(f->buf, mac, 6);
	assert_memory_equal(f->buf + 6, server_mac, 6);
	assert_int_equal(f->buf[14], 0x45);
	assert_int_equal(be16(f->buf + 16), IP_UDP_LEN + len);
	assert_int_equal(ones_sum(f->buf + 14, 20, 0), 0xffff);
	assert_int_equal(be32(f->buf + 26), src);
	assert_int_equal(be32(f->buf + 30), dest);
	assert_int_equal(be16(f->buf + 34), 67);
	assert_int_equal(be16(f->buf + 36), port);
	assert_int_equal(be16(f->buf + 38), 8 + len);
	assert_int_not_equal(be16(f->buf + 40), 0);
	assert_int_equal(ones_sum(f->buf + 26, 8 + 8 + len, pseudo), 0xffff);
}

static void test_four_ways(void **state)
{
	static const uint8_t chaddr[6] = { 2, 0, 0, 0, 0, 5 };
	static const struct {
		uint32_t giaddr, ciaddr, came_to;
		uint16_t flags, port;
		const uint8_t *mac;
		uint32_t src, dest;
	} row[] = {
		{ RELAY, 0, SERVER2, 0, 67, field_mac, SERVER2, RELAY },
		{ RELAY, 0, 0, 0, 67, field_mac, SERVER, RELAY },
		{ 0, CLIENT, SERVER2, 0, 68, field_mac, SERVER, CLIENT },
		{ 0, 0, 0, 0, 68, chaddr, SERVER, 0x0a090040 },
		{ 0, 0, 0, DHCP_BROADCAST_FLAG, 68, all_mac, SERVER, ALL },
	};
	uint8_t payload[DHCP_IO_PAYLOAD_MAX];

	(void)state;
	open_io();
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]) * 4; i++) {
		unsigned k = i % 5, len = (unsigned[]){ 300, 301, 576, DHCP_IO_PAYLOAD_MAX }[i / 5];
		struct dhcp_msg req = { .giaddr = row[k].giaddr,
					.ciaddr = row[k].ciaddr,
					.flags = row[k].flags,
					.hlen = 6 };
		struct dhcp_reply r = { .type = DHCPACK,
					.yiaddr = 0x0a090040,
					.server_id = SERVER };
		struct dhcp_datagram in = { .dest = row[k].came_to, .src_port = 67 };
		struct dhcp_io_dest d;
		struct frame f;

		memcpy(req.chaddr, chaddr, 6);
		d = dhcp_io_dest_for(&in, &req, &r);
		assert_true(dhcp_io_send(io, &d, payload, len));
		dhcp_io_flush(io);
		f = see_reply();
		check_frame(&f, row[k].mac, row[k].src, row[k].dest, row[k].port, len);
		assert_memory_equal(f.buf + 42, payload, len);
	}
	assert_int_equal(dhcp_io_counters(io)->sent, 20);
	assert_int_equal(dhcp_io_counters(io)->not_sent, 0);
}

/* RFC 8357: a relay that sends its own port in sub-option 19 is answered there. */
static void test_relay_port(void **state)
{
	static struct dhcp_build b;
	struct dhcp_datagram in = { .dest = SERVER, .src_port = 5067 };
	struct dhcp_reply r = { .type = DHCPOFFER, .server_id = SERVER };
	struct dhcp_msg m;

	(void)state;
	for (unsigned asks = 0; asks < 2; asks++) {
		db_init(&b, 5);
		db_put32(&b, DHCP_OFF_GIADDR, RELAY);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		if (asks)
			db_opt(&b, DHO_RELAY_AGENT, "\x13\x00", 2);
		assert_int_equal(dhcp_msg_decode(b.buf, db_done(&b), &m), DHCP_OK);
		assert_int_equal(dhcp_io_dest_for(&in, &m, &r).port, asks ? 5067 : 67);
	}
}

/* A batch of mixed ways leaves whole, in order per way, and more than one queue's worth. */
static void test_batch(void **state)
{
	unsigned seen[2] = { 0, 0 };

	(void)state;
	open_io();
	for (unsigned i = 0; i < 150; i++) {
		struct dhcp_io_dest d = { .way = i & 1 ? DHCP_TO_RELAY : DHCP_BROADCAST,
					  .src = SERVER,
					  .addr = i & 1 ? RELAY : ALL,
					  .port = i & 1 ? 67 : 68 };
		uint8_t payload[300] = { (uint8_t)(i / 2) };

		memset(d.mac, 0xff, 6);
		assert_true(dhcp_io_send(io, &d, payload, sizeof(payload)));
	}
	dhcp_io_flush(io);
	for (unsigned i = 0; i < 150; i++) {
		struct frame f = see_reply();
		unsigned way = be16(f.buf + 36) == 67;

		assert_int_equal(f.buf[42], seen[way]);
		seen[way]++;
	}
	assert_int_equal(seen[0], 75);
	assert_int_equal(seen[1], 75);
	assert_int_equal(dhcp_io_counters(io)->sent, 150);
	dhcp_io_flush(io); /* nothing twice */
	assert_int_equal(dhcp_io_counters(io)->sent, 150);
}

/* Decision D2: a missing ARP answer never holds up a batch, nor does a route that is missing. */
static void test_unanswered_arp(void **state)
{
	struct dhcp_io_dest nobody = { DHCP_TO_RELAY, 0, SERVER, NOBODY, 67, { 0 } };
	struct dhcp_io_dest nowhere = { DHCP_TO_RELAY, 0, SERVER, 0xc0000201, 67, { 0 } };
	struct dhcp_io_dest relay = { DHCP_TO_RELAY, 0, SERVER, RELAY, 67, { 0 } };
	uint8_t payload[DHCP_IO_PAYLOAD_MAX] = { 0 };
	struct frame f;

	(void)state;
	open_io();
	for (unsigned i = 0; i < 1000; i++)
		assert_true(dhcp_io_send(io, &nobody, payload, sizeof(payload)));
	assert_true(dhcp_io_send(io, &nowhere, payload, sizeof(payload)));
	assert_true(dhcp_io_send(io, &relay, payload, 300));
	dhcp_io_flush(io);
	f = see_reply();
	check_frame(&f, field_mac, SERVER, RELAY, 67, 300);
	assert_int_equal(dhcp_io_counters(io)->not_sent, 1);
}

static void test_refused(void **state)
{
	static uint8_t payload[DHCP_IO_PAYLOAD_MAX + 1];
	struct dhcp_io_dest d = { DHCP_BROADCAST, 0, SERVER, ALL, 68, { 0 } };

	(void)state;
	open_io();
	assert_false(dhcp_io_send(io, &d, payload, sizeof(payload)));
	d.iface = 1;
	assert_false(dhcp_io_send(io, &d, payload, 300));
	assert_int_equal(dhcp_io_counters(io)->not_sent, 2);
}

/* --- interfaces and addresses
 * ----------------------------------------------------------------------- */

static void test_port_taken(void **state)
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(67) };
	char want[64], octet;
	int ready[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		(void)prctl(PR_SET_NAME, "other-dhcpd");
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	assert_int_equal(dhcp_io_open(&c, &io, err), -EADDRINUSE);
	assert_null(io);
	snprintf(want, sizeof(want), "other-dhcpd (pid %d)", (int)pid);
	if (!strstr(err, want) || !strstr(err, "veth0"))
		fail_msg("%s", err);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
}

static bool keep_caps(const char *text)
{
	cap_t caps = cap_from_text(text);
	bool ok = caps && cap_set_proc(caps) == 0;

	cap_free(caps);
	return ok;
}

/* Both run in a child. Return: the step that failed, 0 none. */
static int refused_without_caps(const struct dhcp_io_conf *c)
{
	if (!keep_caps("="))
		return 1;
	return dhcp_io_open(c, &io, err) == -EPERM && strstr(err, "CAP_NET_RAW") ? 0 : 2;
}

static int live_with_two_caps(const struct dhcp_io_conf *c)
{
	struct dhcp_io_dest route = { DHCP_TO_RELAY, 0, SERVER, RELAY, 67, { 0 } };
	struct dhcp_io_dest frame = { DHCP_BROADCAST, 0, SERVER, ALL, 68, { 0 } };
	uint8_t payload[300] = { 0 };

	if (!keep_caps("cap_net_raw,cap_net_bind_service=ep") || dhcp_io_open(c, &io, err) < 0)
		return 1;
	if (dhcp_io_rescan(io) || !keep_caps("="))
		return 2;
	hear_all();
	if (!dhcp_io_send(io, &route, payload, 300) || !dhcp_io_send(io, &frame, payload, 300))
		return 3;
	dhcp_io_flush(io);
	return dhcp_io_counters(io)->sent == 2 ? 0 : 4;
}

static int in_child(int (*fn)(const struct dhcp_io_conf *))
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn(&c));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Two capabilities to open, none to hear and answer. */
static void test_capabilities(void **state)
{
	(void)state;
	n_heard = 0;
	assert_int_equal(in_child(live_with_two_caps), 0);
	assert_int_equal(in_child(refused_without_caps), 0);
}

static void test_bad_name(void **state)
{
	static const char *const dev[] = { "a-name-of-16-oct" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };

	(void)state;
	assert_int_equal(dhcp_io_open(&c, &io, err), -EINVAL);
	assert_non_null(strstr(err, "a-name-of-16-oct"));
}

static void make_later(bool make)
{
	run(make ? "ip link add later0 type veth peer name later1 && ip link set later0 up && "
		   "ip link set later1 up && ip addr add 10.10.0.1/24 dev later0"
		 : "ip link del later0");
}

/* What comes in by later0, from its other end in the same namespace. */
static void hear_by_later(uint32_t xid)
{
	int before = watch;
	struct frame f = frame_of(ALL, 0, xid);

	watch = raw_socket("later1");
	send_frame(&f);
	close(watch);
	watch = before;
	while (!count_of(xid))
		hear_some();
	assert_int_equal(find(xid)->d.iface, 1);
	assert_int_equal(find(xid)->d.ifindex, if_nametoindex("later0"));
}

/* The lowest free descriptor tells whether one was left open. */
static int lowest_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void test_absent_interface(void **state)
{
	static const char *const dev[] = { "veth0", "later0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 2 };
	struct dhcp_io_dest d = { DHCP_BROADCAST, 1, SERVER, ALL, 68, { 0 } };
	uint8_t payload[300] = { 0 };
	int fds[8], lowest;

	(void)state;
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	lowest = lowest_fd();
	n_heard = 0;
	for (unsigned round = 0; round < 2; round++) {
		assert_false(dhcp_io_rescan(io));
		assert_int_equal(lowest_fd(), lowest); /* those of the gone device are closed */
		assert_int_equal(dhcp_io_fds(io, fds, 8), 2);
		assert_null(dhcp_io_problem(io, 0));
		assert_string_equal(dhcp_io_problem(io, 1), "absent");
		assert_int_equal(dhcp_io_ifindex(io, 1), 0);
		assert_int_equal(dhcp_io_address(io, 1, 0), 0);
		assert_false(dhcp_io_send(io, &d, payload, sizeof(payload)));
		make_later(true);
		assert_true(dhcp_io_rescan(io));
		assert_int_equal(dhcp_io_fds(io, fds, 8), 4);
		assert_null(dhcp_io_problem(io, 1));
		assert_int_equal(dhcp_io_address(io, 1, 0), 0x0a0a0001);
		hear_by_later(50 + round);
		assert_true(dhcp_io_send(io, &d, payload, sizeof(payload)));
		/* gone and back between two looks: another device of the same name */
		make_later(false);
		make_later(true);
		dhcp_io_flush(io);
		assert_true(dhcp_io_rescan(io));
		assert_int_equal(dhcp_io_fds(io, fds, 8), 4);
		hear_by_later(60 + round);
		make_later(false);
		assert_true(dhcp_io_rescan(io));
	}
	hear_all(); /* veth0 never noticed */
}

/* A device that was lent to a container comes back with the number it had; packet sockets do not
 * follow it there and back. */
static void test_same_number_again(void **state)
{
	static const char *const dev[] = { "veth0", "later0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 2 };
	char again[160];

	(void)state;
	make_later(true);
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	n_heard = 0;
	hear_by_later(80);
	snprintf(again, sizeof(again),
		 "ip link add later0 index %u type veth peer name later1 && "
		 "ip addr add 10.10.0.1/24 dev later0 && ip link set later0 up && "
		 "ip link set later1 up",
		 if_nametoindex("later0"));
	make_later(false);
	run(again);
	assert_true(dhcp_io_rescan(io)); /* forgotten */
	assert_true(dhcp_io_rescan(io)); /* opened anew */
	assert_null(dhcp_io_problem(io, 1));
	assert_false(dhcp_io_rescan(io));
	hear_by_later(81);
	make_later(false);
}

static void test_addresses(void **state)
{
	(void)state;
	open_io();
	assert_int_equal(dhcp_io_address(io, 0, 0), SERVER);
	assert_int_equal(dhcp_io_address(io, 0, 1), SERVER2);
	assert_int_equal(dhcp_io_address(io, 0, 2), 0);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090100, 24), SERVER2);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090000, 16), SERVER);
	assert_int_equal(dhcp_io_address_in(io, 0, 0, 0), SERVER);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0);
	assert_int_equal(dhcp_io_address_in(io, 0, SERVER2, 32), SERVER2);
	assert_false(dhcp_io_rescan(io));
	run("ip addr add 10.9.2.1/24 dev veth0 label veth0:x");
	assert_true(dhcp_io_rescan(io));
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0x0a090201);
	run("ip addr del 10.9.2.1/24 dev veth0");
	assert_true(dhcp_io_rescan(io));
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0);
	assert_int_equal(dhcp_io_payload_max(io, 0), DHCP_IO_PAYLOAD_MAX);
	run("ip link set veth0 mtu 1000");
	(void)dhcp_io_rescan(io);
	assert_int_equal(dhcp_io_payload_max(io, 0), 1000 - IP_UDP_LEN);
	run("ip link set veth0 mtu 1500");
	(void)dhcp_io_rescan(io);
}

/* A link that is down and comes up again is heard without any help. */
static void test_link_down_and_up(void **state)
{
	struct dhcp_datagram d[4];
	int fds[4];

	(void)state;
	open_io();
	run("ip link set veth0 down");
	(void)dhcp_io_fds(io, fds, 4);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(dhcp_io_receive(io, fds[i], d, 4), 0);
	assert_int_equal(dhcp_io_fds(io, fds, 4), 2);
	run("ip link set veth0 up");
	hear_all();
}

/* --- two namespaces
 * ----------------------------------------------------------------------------------- */

/* A namespace for the field, and the process that keeps it until we hold it by descriptor. */
static pid_t make_field(void)
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

static int set_up(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_heard_once, close_io),
		cmocka_unit_test_teardown(test_not_yet_summed, close_io),
		cmocka_unit_test_teardown(test_too_long, close_io),
		cmocka_unit_test_teardown(test_age, close_io),
		cmocka_unit_test_teardown(test_more_than_a_batch, close_io),
		cmocka_unit_test_teardown(test_four_ways, close_io),
		cmocka_unit_test_teardown(test_relay_port, close_io),
		cmocka_unit_test_teardown(test_batch, close_io),
		cmocka_unit_test_teardown(test_unanswered_arp, close_io),
		cmocka_unit_test_teardown(test_refused, close_io),
		cmocka_unit_test_teardown(test_port_taken, close_io),
		cmocka_unit_test_teardown(test_capabilities, close_io),
		cmocka_unit_test_teardown(test_bad_name, close_io),
		cmocka_unit_test_teardown(test_absent_interface, close_io),
		cmocka_unit_test_teardown(test_same_number_again, close_io),
		cmocka_unit_test_teardown(test_addresses, close_io),
		cmocka_unit_test_teardown(test_link_down_and_up, close_io),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs root: no network namespace of its own (%s)\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
