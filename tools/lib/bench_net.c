/*
 * twinbench: its sockets. As relays: UDP from each giaddr, port 67, to each server, and port 68 for
 * clients that renew by unicast (their addresses must be local here: "ip route add local NET dev
 * lo"). As direct clients: one packet socket, whole frames, many hardware addresses behind one
 * interface, ARP answered for the addresses they hold. Messages go and come in batches.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench.h"

#define BATCH 64
#define FRAME 1600
#define HEADERS (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))

struct out {
	int fd;
	size_t len;
	struct sockaddr_in to;
	uint32_t from; /* source address, network order; 0 the socket's own */
	uint8_t data[BENCH_PACKET + HEADERS];
};

struct bench_net {
	int relay, client, packet; /* sockets; -1 not in this mode */
	const struct bench_server *servers;
	unsigned n_servers, n_out;
	struct out out[BATCH];
	struct mmsghdr in[BATCH];
	struct iovec in_iov[BATCH];
	uint8_t in_data[BATCH][FRAME];
};

static void big_buffers(int fd)
{
	int size = 16 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int open_udp(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_ANY) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on));
	big_buffers(fd);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int open_packet(const char *interface)
{
	int index = (int)if_nametoindex(interface), on = 1;
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = index };
	struct packet_mreq promiscuous = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };
	int fd;

	if (!index)
		return -ENODEV;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	(void)setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous));
	big_buffers(fd);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int open_sockets(struct bench_net *n, const struct bench_conf *c)
{
	n->relay = n->client = n->packet = -1;
	if (c->interface) {
		n->packet = open_packet(c->interface);
		return n->packet < 0 ? n->packet : 0;
	}
	n->relay = open_udp(DHCP_SERVER_PORT);
	if (n->relay < 0)
		return n->relay;
	n->client = open_udp(DHCP_CLIENT_PORT);
	return n->client < 0 ? n->client : 0;
}

int bench_net_open(const struct bench_conf *c, const struct bench_server *servers,
		   unsigned n_servers, struct bench_net **ret)
{
	struct bench_net *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->servers = servers;
	n->n_servers = n_servers;
	for (unsigned i = 0; i < BATCH; i++) {
		n->in_iov[i] = (struct iovec){ n->in_data[i], FRAME };
		n->in[i].msg_hdr.msg_iov = &n->in_iov[i];
		n->in[i].msg_hdr.msg_iovlen = 1;
	}
	r = open_sockets(n, c);
	if (r < 0) {
		bench_net_close(n);
		return r;
	}
	*ret = n;
	return 0;
}

void bench_net_close(struct bench_net *n)
{
	if (!n)
		return;
	if (n->relay >= 0)
		close(n->relay);
	if (n->client >= 0)
		close(n->client);
	if (n->packet >= 0)
		close(n->packet);
	free(n);
}

static uint64_t drops_of(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

uint64_t bench_net_drops(struct bench_net *n)
{
	return drops_of(n->relay) + drops_of(n->client) + drops_of(n->packet);
}

/* --- frames ---------------------------------------------------------------------------------- */

static uint32_t sum16(const void *p, size_t len, uint32_t sum)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	return len & 1 ? sum + ((uint32_t)b[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return htons((uint16_t)~sum);
}

/* Ethernet, IPv4 and UDP around a message that is already in its place behind them. */
static size_t put_headers(uint8_t *frame, const uint8_t src[6], const uint8_t dst[6], uint32_t from,
			  uint32_t to, size_t len)
{
	struct ether_header eth = { .ether_type = htons(ETHERTYPE_IP) };
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .tot_len = htons((uint16_t)(sizeof(ip) + sizeof(struct udphdr) + len)),
			    .ttl = 64,
			    .protocol = IPPROTO_UDP,
			    .saddr = htonl(from),
			    .daddr = htonl(to) };
	struct udphdr udp = { .source = htons(DHCP_CLIENT_PORT),
			      .dest = htons(DHCP_SERVER_PORT),
			      .len = htons((uint16_t)(sizeof(udp) + len)) };
	uint32_t sum = sum16(&ip.saddr, 8, IPPROTO_UDP + (uint32_t)(sizeof(udp) + len));

	memcpy(eth.ether_shost, src, 6);
	memcpy(eth.ether_dhost, dst, 6);
	ip.check = fold(sum16(&ip, sizeof(ip), 0));
	udp.check = fold(sum16(frame + HEADERS, len, sum16(&udp, sizeof(udp), sum)));
	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + sizeof(eth), &ip, sizeof(ip));
	memcpy(frame + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	return HEADERS + len;
}

/* --- out ------------------------------------------------------------------------------------- */

static struct out *next_out(struct bench_net *n, int fd)
{
	struct out *o;

	if (n->n_out == BATCH)
		bench_net_flush(n);
	o = &n->out[n->n_out++];
	o->fd = fd;
	o->from = 0;
	return o;
}

static void queue_udp(struct bench_net *n, int fd, uint32_t from, uint32_t to, const uint8_t *msg,
		      size_t len)
{
	struct out *o = next_out(n, fd);

	o->to = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons(DHCP_SERVER_PORT),
				      .sin_addr.s_addr = htonl(to) };
	o->from = htonl(from);
	o->len = len;
	memcpy(o->data, msg, len);
}

static void queue_frame(struct bench_net *n, const uint8_t src[6], const uint8_t dst[6],
			uint32_t from, uint32_t to, const uint8_t *msg, size_t len)
{
	struct out *o = next_out(n, n->packet);

	memcpy(o->data + HEADERS, msg, len);
	o->len = put_headers(o->data, src, dst, from, to, len);
}

void bench_net_send(struct bench_net *n, enum bench_way way, const struct bench_request *r,
		    const uint8_t client_mac[6], const struct bench_server *to, const uint8_t *msg,
		    size_t len)
{
	static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

	if (n->packet >= 0 && way == WAY_SERVER)
		queue_frame(n, client_mac, to->mac, r->ciaddr, to->addr, msg, len);
	else if (n->packet >= 0)
		queue_frame(n, client_mac, everybody, r->ciaddr, INADDR_BROADCAST, msg, len);
	else if (way == WAY_SERVER)
		queue_udp(n, n->client, r->ciaddr, to->addr, msg, len);
	else
		for (unsigned i = 0; i < n->n_servers; i++)
			queue_udp(n, n->relay, r->giaddr, n->servers[i].addr, msg, len);
}

struct source { /* one IP_PKTINFO control message */
	_Alignas(struct cmsghdr) uint8_t octets[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void set_source(struct msghdr *m, struct source *s, uint32_t from)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = from };
	struct cmsghdr *c;

	m->msg_control = s->octets;
	m->msg_controllen = sizeof(s->octets);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

/* A message that cannot go (no route, a dead neighbour) is lost, as it would be on the wire. */
static void send_all(int fd, struct mmsghdr *m, unsigned n)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	unsigned waits = 0;

	while (n > 0) {
		int r = sendmmsg(fd, m, n, 0);

		if (r < 0 && (errno == EAGAIN || errno == ENOBUFS) && waits++ < 10) {
			(void)poll(&p, 1, 10);
			continue;
		}
		r = r > 0 ? r : 1;
		m += r;
		n -= (unsigned)r;
	}
}

void bench_net_flush(struct bench_net *n)
{
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct source source[BATCH];
	unsigned from = 0;

	for (unsigned i = 0; i < n->n_out; i++) {
		struct out *o = &n->out[i];

		iov[i] = (struct iovec){ o->data, o->len };
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		if (o->fd != n->packet) {
			m[i].msg_hdr.msg_name = &o->to;
			m[i].msg_hdr.msg_namelen = sizeof(o->to);
			set_source(&m[i].msg_hdr, &source[i], o->from);
		}
		if (i + 1 == n->n_out || n->out[i + 1].fd != o->fd) {
			send_all(o->fd, m + from, i + 1 - from);
			from = i + 1;
		}
	}
	n->n_out = 0;
}

/* --- in -------------------------------------------------------------------------------------- */

static void answer_arp(struct bench_net *n, const uint8_t *p, size_t len, bench_arp_fn arp,
		       void *arg)
{
	struct ether_header eth;
	struct ether_arp a;
	uint8_t scratch[6];
	const uint8_t *mac;
	uint32_t wanted;
	struct out *o;

	if (len < sizeof(eth) + sizeof(a))
		return;
	memcpy(&a, p + sizeof(eth), sizeof(a));
	memcpy(&wanted, a.arp_tpa, 4);
	mac = a.ea_hdr.ar_op == htons(ARPOP_REQUEST) ? arp(arg, ntohl(wanted), scratch) : NULL;
	if (!mac)
		return;
	memcpy(eth.ether_dhost, a.arp_sha, 6);
	memcpy(eth.ether_shost, mac, 6);
	eth.ether_type = htons(ETHERTYPE_ARP);
	a.ea_hdr.ar_op = htons(ARPOP_REPLY);
	memcpy(a.arp_tha, a.arp_sha, 6);
	memcpy(a.arp_tpa, a.arp_spa, 4);
	memcpy(a.arp_sha, mac, 6);
	memcpy(a.arp_spa, &wanted, 4);
	o = next_out(n, n->packet);
	memcpy(o->data, &eth, sizeof(eth));
	memcpy(o->data + sizeof(eth), &a, sizeof(a));
	o->len = sizeof(eth) + sizeof(a);
	bench_net_flush(n);
}

/* The DHCP message in a frame to port 68; 0 when there is none. */
static size_t strip_headers(const uint8_t *p, size_t len)
{
	struct iphdr ip;
	struct udphdr udp;
	size_t off = sizeof(struct ether_header);

	if (len < HEADERS)
		return 0;
	memcpy(&ip, p + off, sizeof(ip));
	off += ip.ihl * 4u;
	if (ip.version != 4 || ip.protocol != IPPROTO_UDP || off + sizeof(udp) > len ||
	    (ip.frag_off & htons(IP_OFFMASK | IP_MF)))
		return 0;
	memcpy(&udp, p + off, sizeof(udp));
	return udp.dest == htons(DHCP_CLIENT_PORT) ? off + sizeof(udp) : 0;
}

static void take_frame(struct bench_net *n, const uint8_t *p, size_t len, bench_reply_fn fn,
		       bench_arp_fn arp, void *arg)
{
	struct ether_header eth;
	struct bench_reply r;
	size_t off;

	if (len < sizeof(eth))
		return;
	memcpy(&eth, p, sizeof(eth));
	if (eth.ether_type == htons(ETHERTYPE_ARP))
		answer_arp(n, p, len, arp, arg);
	if (eth.ether_type != htons(ETHERTYPE_IP))
		return;
	off = strip_headers(p, len);
	if (off && bench_packet_parse(p + off, len - off, &r)) {
		memcpy(r.from_mac, eth.ether_shost, 6);
		fn(arg, &r);
	}
}

static void receive_from(struct bench_net *n, int fd, bench_reply_fn fn, bench_arp_fn arp,
			 void *arg)
{
	struct bench_reply r;
	int got;

	do {
		got = recvmmsg(fd, n->in, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++) {
			size_t len = n->in[i].msg_len;

			if (fd == n->packet)
				take_frame(n, n->in_data[i], len, fn, arp, arg);
			else if (bench_packet_parse(n->in_data[i], len, &r))
				fn(arg, &r);
		}
	} while (got == BATCH);
}

void bench_net_receive(struct bench_net *n, int64_t us, bench_reply_fn fn, bench_arp_fn arp,
		       void *arg)
{
	struct pollfd p[2] = { { n->packet >= 0 ? n->packet : n->relay, POLLIN, 0 },
			       { n->client, POLLIN, 0 } };
	struct timespec wait = { us / 1000000, us % 1000000 * 1000 };

	if (ppoll(p, n->client >= 0 ? 2 : 1, &wait, NULL) <= 0)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (p[i].fd >= 0 && p[i].revents)
			receive_from(n, p[i].fd, fn, arp, arg);
}
