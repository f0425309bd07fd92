/*
 * Packet I/O, the way in: a batch of datagrams from one socket, each with where it came from,
 * which address of ours it was sent to and how long it waited.
 *
 * Called by the node when a descriptor is readable.
 * Spec: decisions D1 (one hearing), D3 (checksums), A19 (age); packet(7), ip(7).
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "net/dhcp_io_priv.h"

#define VLAN_ID 0x0fff

/* What the kernel tells beside the octets. */
struct aside {
	struct timespec at;
	struct tpacket_auxdata aux;
	struct in_pktinfo to;
};

static struct io_iface *find_socket(const struct dhcp_io *io, int fd, enum io_socket *ret)
{
	for (unsigned k = 0; fd >= 0 && k < io->n_ifaces; k++) {
		for (unsigned s = 0; s < IO_SOCKETS; s++) {
			if (io->ifaces[k].fd[s] == fd) {
				*ret = s;
				return &io->ifaces[k];
			}
		}
	}
	return NULL;
}

enum dhcp_io_kind dhcp_io_kind_of(const struct dhcp_io *io, int fd)
{
	enum io_socket s = IO_PACKET;

	(void)find_socket(io, fd, &s);
	return io_kind(s);
}

/* The kernel writes lengths and flags into the headers, so they are set for each batch. */
static void prepare(struct dhcp_io *io, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		io->rx_iov[k] = (struct iovec){ io->rx_buf[k], RX_SLOT };
		io->rx_msg[k].msg_hdr = (struct msghdr){ .msg_name = &io->rx_from[k],
							 .msg_namelen = sizeof(io->rx_from[k]),
							 .msg_iov = &io->rx_iov[k],
							 .msg_iovlen = 1,
							 .msg_control = io->rx_control[k],
							 .msg_controllen = RX_CONTROL };
	}
}

static void copy_cmsg(const struct cmsghdr *c, int level, int type, void *ret, size_t len)
{
	if (c->cmsg_level == level && c->cmsg_type == type && c->cmsg_len >= CMSG_LEN(len))
		memcpy(ret, CMSG_DATA(c), len);
}

static struct aside read_aside(struct msghdr *h)
{
	struct aside a = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		copy_cmsg(c, SOL_SOCKET, SCM_TIMESTAMPNS, &a.at, sizeof(a.at));
		copy_cmsg(c, SOL_PACKET, PACKET_AUXDATA, &a.aux, sizeof(a.aux));
		copy_cmsg(c, IPPROTO_IP, IP_PKTINFO, &a.to, sizeof(a.to));
	}
	return a;
}

/* The kernel stamps with the wall clock, so a step of that shows; backwards counts as no wait. */
static int64_t waited_us(const struct timespec *at, const struct timespec *now)
{
	int64_t us =
		((int64_t)now->tv_sec - at->tv_sec) * 1000000 + (now->tv_nsec - at->tv_nsec) / 1000;

	return at->tv_sec && us > 0 ? us : 0;
}

static bool take_frame(struct dhcp_io *io, const uint8_t *buf, size_t len,
		       const struct tpacket_auxdata *aux, struct dhcp_datagram *d)
{
	bool summed = aux->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID);
	struct octets payload;
	struct ip_udp h;

	if (aux->tp_status & TP_STATUS_VLAN_VALID && aux->tp_vlan_tci & VLAN_ID) {
		io->counts.other_vlan++;
		return false;
	}
	switch (ip_udp_read(buf, len, summed, &h, &payload)) {
	case IP_UDP_BAD_IP:
		io->counts.bad_ip++;
		return false;
	case IP_UDP_BAD_SUM:
		io->counts.bad_checksum++;
		return false;
	case IP_UDP_OK:
		break;
	}
	d->payload = payload.p;
	d->len = payload.len;
	d->src = h.src;
	d->src_port = h.src_port;
	d->by_packet_socket = true;
	return true;
}

/* The kernel names our own address where the header's destination is one, and for a broadcast the
 * address that would answer it: equal means unicast. */
static void take_udp(const uint8_t *buf, size_t len, const struct sockaddr_storage *from,
		     const struct in_pktinfo *to, struct dhcp_datagram *d)
{
	struct sockaddr_in in;

	memcpy(&in, from, sizeof(in));
	d->payload = buf;
	d->len = (uint32_t)len;
	d->src = ntohl(in.sin_addr.s_addr);
	d->src_port = ntohs(in.sin_port);
	if (to->ipi_addr.s_addr == to->ipi_spec_dst.s_addr)
		d->dest = ntohl(to->ipi_addr.s_addr);
}

static bool take(struct dhcp_io *io, enum io_socket kind, unsigned k, const struct timespec *now,
		 struct dhcp_datagram *d)
{
	struct mmsghdr *m = &io->rx_msg[k];
	struct aside a = read_aside(&m->msg_hdr);

	if (m->msg_hdr.msg_flags & MSG_TRUNC) {
		io->counts.too_long++;
		return false;
	}
	d->age_us = waited_us(&a.at, now);
	if (io_is_packet(kind))
		return take_frame(io, io->rx_buf[k], m->msg_len, &a.aux, d);
	take_udp(io->rx_buf[k], m->msg_len, &io->rx_from[k], &a.to, d);
	return true;
}

/* Errors that say something about the device, or nothing at all; rescan sees to it. */
static bool is_passing(int error)
{
	return error == EAGAIN || error == EINTR || error == ENETDOWN || error == ENODEV ||
	       error == ENXIO;
}

int dhcp_io_receive(struct dhcp_io *io, int fd, struct dhcp_datagram *ret, unsigned max)
{
	enum io_socket kind;
	struct io_iface *i = find_socket(io, fd, &kind);
	struct timespec now;
	int n, got = 0;

	if (!i)
		return -EBADF;
	if (max > DHCP_IO_BATCH)
		max = DHCP_IO_BATCH;
	prepare(io, max);
	n = recvmmsg(fd, io->rx_msg, max, MSG_DONTWAIT, NULL);
	if (n < 0)
		return is_passing(errno) ? 0 : -errno;
	clock_gettime(CLOCK_REALTIME, &now); /* the clock of the kernel's stamps */
	for (int k = 0; k < n; k++) {
		ret[got] = (struct dhcp_datagram){ .iface = (unsigned)(i - io->ifaces),
						   .ifindex = i->ifindex };
		if (take(io, kind, (unsigned)k, &now, &ret[got]))
			got++;
	}
	io->counts.heard += (uint64_t)got;
	return got;
}
