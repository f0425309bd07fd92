#pragma once
/* Inside of dhcp_io, shared by dhcp_io*.c. */
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "net/dhcp_io.h"
#include "net/ip_udp.h"

#define RX_SLOT 2048	/* more octets than any message that core/dhcp_msg takes */
#define RX_CONTROL 256	/* timestamp and destination, or timestamp and auxiliary data */
#define PROBLEM_MAX 256 /* a sentence */

/* Two of a kind; replies leave by the first. */
enum io_socket { IO_PACKET, IO_UDP, IO_PACKET_DISCOVERS, IO_UDP_DISCOVERS, IO_SOCKETS };

static inline bool io_is_packet(enum io_socket s)
{
	return s == IO_PACKET || s == IO_PACKET_DISCOVERS;
}

static inline enum dhcp_io_kind io_kind(enum io_socket s)
{
	return s == IO_PACKET || s == IO_UDP ? DHCP_IO_REQUESTS : DHCP_IO_DISCOVERS;
}

struct io_iface {
	char name[IFNAMSIZ];
	int ifindex; /* 0: absent */
	unsigned mtu;
	int fd[IO_SOCKETS];		 /* -1: not open */
	int gone[IO_SOCKETS];		 /* of a device that has gone; closed by the next rescan */
	uint32_t dropped[DHCP_IO_KINDS]; /* by the UDP sockets, as the kernel last said */
	unsigned n_addrs;
	uint32_t addrs[DHCP_IO_ADDRESSES]; /* host order */
	char problem[PROBLEM_MAX];	   /* empty: it is heard */
};

struct io_slot { /* a reply that waits for dhcp_io_flush */
	int fd;	 /* -1: done */
	size_t len;
	union {
		struct sockaddr_ll ll;
		struct sockaddr_in in;
	} to;
	socklen_t to_len;
	uint8_t buf[IP_UDP_LEN + DHCP_IO_PAYLOAD_MAX];
};

struct dhcp_io {
	struct io_iface *ifaces;
	unsigned n_ifaces;
	unsigned rcvbuf;
	int raw; /* IPv4 with our own header: replies that are routed */
	struct dhcp_io_counts counts;
	struct {			     /* datagrams that UDP sockets had no room for */
		int64_t host;		     /* all of this host, before we began */
		int64_t udp[DHCP_IO_KINDS];  /* at most so many of ours */
		int64_t told[DHCP_IO_KINDS]; /* in counts.full */
	} full;

	struct mmsghdr rx_msg[DHCP_IO_BATCH];
	struct iovec rx_iov[DHCP_IO_BATCH];
	struct sockaddr_storage rx_from[DHCP_IO_BATCH];
	_Alignas(struct cmsghdr) uint8_t rx_control[DHCP_IO_BATCH][RX_CONTROL];
	uint8_t rx_buf[DHCP_IO_BATCH][RX_SLOT];

	unsigned n_slots;
	struct io_slot slots[DHCP_IO_BATCH];
};

/* dhcp_io_sockets.c: open all sockets of a device, or none. 0 or -errno with a sentence. */
int io_open_sockets(struct io_iface *i, unsigned rcvbuf, char err[PROBLEM_MAX]);
int io_open_raw(int *ret, char err[PROBLEM_MAX]);

/* dhcp_io_filters.c: 0, or -1 with errno */
int io_filter_packets(int fd, enum dhcp_io_kind kind);
int io_filter_udp(int fd, enum dhcp_io_kind kind);
int io_sort_udp(int fd);

/* dhcp_io_full.c: what was lost before counts for nothing */
void io_count_full_from_now(struct dhcp_io *io);
