/*
 * Packet I/O, the way out: where a reply goes, and a queue of built datagrams that one sendmmsg
 * per socket hands to the kernel. Routed replies (to relays, to clients that have their address)
 * leave by the raw IP socket, whose ARP is the kernel's; replies to clients without an address
 * leave as frames to their hardware address or to all.
 *
 * Called by the node when a reply is durable; flushed once per turn.
 * Spec: RFC 2131 §4.1; RFC 8357; decision D2.
 */
#include <errno.h>
#include <net/ethernet.h>
#include <string.h>
#include "net/dhcp_io_priv.h"

struct dhcp_io_dest dhcp_io_dest_for(const struct dhcp_datagram *in, const struct dhcp_msg *req,
				     const struct dhcp_reply *r)
{
	struct dhcp_dest to = dhcp_reply_dest(req, r);
	struct dhcp_io_dest d = { .way = to.way,
				  .iface = in->iface,
				  .src = r->server_id,
				  .addr = to.addr,
				  .port = to.port };

	if (to.way == DHCP_TO_RELAY && in->dest)
		d.src = in->dest;
	if (to.way == DHCP_TO_RELAY && in->src_port && dhcp_relay_sub(req, RELAY_SOURCE_PORT).p)
		d.port = in->src_port;
	if (to.way == DHCP_TO_CHADDR)
		memcpy(d.mac, req->chaddr, sizeof(d.mac));
	else
		memset(d.mac, 0xff, sizeof(d.mac));
	return d;
}

static void address_route(struct io_slot *s, int raw, uint32_t addr)
{
	s->fd = raw;
	s->to.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
	s->to_len = sizeof(s->to.in);
}

static void address_frame(struct io_slot *s, const struct io_iface *i, const uint8_t mac[6])
{
	s->fd = i->fd[IO_PACKET];
	s->to.ll = (struct sockaddr_ll){ .sll_family = AF_PACKET,
					 .sll_protocol = htons(ETH_P_IP),
					 .sll_ifindex = i->ifindex,
					 .sll_halen = 6 };
	memcpy(s->to.ll.sll_addr, mac, 6);
	s->to_len = sizeof(s->to.ll);
}

bool dhcp_io_send(struct dhcp_io *io, const struct dhcp_io_dest *d, const uint8_t *payload,
		  size_t len)
{
	struct ip_udp h = { d->src, d->addr, DHCP_SERVER_PORT, d->port };
	bool routed = d->way == DHCP_TO_RELAY || d->way == DHCP_TO_CIADDR;
	struct io_slot *s;

	if (len > DHCP_IO_PAYLOAD_MAX || d->iface >= io->n_ifaces ||
	    (!routed && io->ifaces[d->iface].fd[IO_PACKET] < 0)) {
		io->counts.not_sent++;
		return false;
	}
	if (io->n_slots == DHCP_IO_BATCH)
		dhcp_io_flush(io);
	s = &io->slots[io->n_slots++];
	if (routed)
		address_route(s, io->raw, d->addr);
	else
		address_frame(s, &io->ifaces[d->iface], d->mac);
	memcpy(s->buf + IP_UDP_LEN, payload, len);
	ip_udp_write(s->buf, &h, len);
	s->len = IP_UDP_LEN + len;
	return true;
}

/* One refused message must not hold up those behind it: it is dropped, the rest goes on. */
static void send_all(struct dhcp_io *io, int fd, struct mmsghdr *m, unsigned n)
{
	while (n) {
		int sent = sendmmsg(fd, m, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		unsigned done = sent > 0 ? (unsigned)sent : 1;

		if (sent > 0)
			io->counts.sent += done;
		else
			io->counts.not_sent++;
		m += done;
		n -= done;
	}
}

/* All slots of one socket, from @first on. */
static void flush_socket(struct dhcp_io *io, unsigned first)
{
	struct mmsghdr m[DHCP_IO_BATCH];
	struct iovec iov[DHCP_IO_BATCH];
	int fd = io->slots[first].fd;
	unsigned n = 0;

	for (unsigned k = first; k < io->n_slots; k++) {
		struct io_slot *s = &io->slots[k];

		if (s->fd != fd)
			continue;
		iov[n] = (struct iovec){ s->buf, s->len };
		m[n] = (struct mmsghdr){ .msg_hdr = { .msg_name = &s->to,
						      .msg_namelen = s->to_len,
						      .msg_iov = &iov[n],
						      .msg_iovlen = 1 } };
		n++;
		s->fd = -1;
	}
	send_all(io, fd, m, n);
}

void dhcp_io_flush(struct dhcp_io *io)
{
	for (unsigned k = 0; k < io->n_slots; k++) {
		if (io->slots[k].fd >= 0)
			flush_socket(io, k);
	}
	io->n_slots = 0;
}
