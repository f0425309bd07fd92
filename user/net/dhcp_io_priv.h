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

enum io_socket { IO_PACKET, IO_UDP, IO_SOCKETS };

struct io_iface {
	char name[IFNAMSIZ];
	int ifindex; /* 0: absent */
	unsigned mtu;
	int fd[IO_SOCKETS];   /* -1: not open */
	int gone[IO_SOCKETS]; /* of a device that has gone; closed by the next rescan */
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

	struct mmsghdr rx_msg[DHCP_IO_BATCH];
	struct iovec rx_iov[DHCP_IO_BATCH];
	struct sockaddr_storage rx_from[DHCP_IO_BATCH];
	_Alignas(struct cmsghdr) uint8_t rx_control[DHCP_IO_BATCH][RX_CONTROL];
	uint8_t rx_buf[DHCP_IO_BATCH][RX_SLOT];

	unsigned n_slots;
	struct io_slot slots[DHCP_IO_BATCH];
};

/* dhcp_io_sockets.c: open both sockets of a device, or none. 0 or -errno with a sentence. */
int io_open_sockets(struct io_iface *i, unsigned rcvbuf, char err[PROBLEM_MAX]);
int io_open_raw(int *ret, char err[PROBLEM_MAX]);
