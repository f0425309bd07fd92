#pragma once
/*
 * Datagrams of clients and relays. Each interface has four sockets, and one packet is heard by one
 * of them (decision D1): a packet socket takes what is sent to 255.255.255.255 with giaddr 0, which
 * a client without an address may be behind; a UDP socket bound to the device takes the rest. There
 * are two of each, so that what can wait, DISCOVER and INFORM, waits in a queue of its own.
 * Replies wait in a queue until dhcp_io_flush. One thread; nothing is allocated per packet.
 *
 * An interface is named by its place in the configuration, from 0; that number stays while the
 * device comes and goes.
 */
#include <net/if.h>
#include "core/dhcp_reply.h"

#define DHCP_IO_BATCH 64	 /* datagrams per receive; replies per flush */
#define DHCP_IO_PAYLOAD_MAX 1472 /* largest reply; an interface may carry less */
#define DHCP_IO_ADDRESSES 64	 /* of ours that we know per interface; more are not used */

struct dhcp_io_conf {
	const char *const *interfaces; /* copied */
	unsigned n_interfaces;
	unsigned rcvbuf; /* octets; 0 = 8 MiB, as far as the system allows; half for DISCOVERs */
};

enum dhcp_io_kind {
	DHCP_IO_REQUESTS,  /* and all else that cannot wait */
	DHCP_IO_DISCOVERS, /* and INFORMs */
	DHCP_IO_KINDS,
};

struct dhcp_datagram {
	const uint8_t *payload; /* the BOOTP message; valid until the next receive */
	uint32_t len;
	unsigned iface; /* place in the configuration */
	int ifindex;
	uint32_t src;  /* host order */
	uint32_t dest; /* unicast address of ours that it came to; 0: it was a broadcast */
	uint16_t src_port;
	bool by_packet_socket;
	int64_t age_us; /* how long it waited in the kernel before it was read */
};

static inline int64_t dhcp_datagram_age_us(const struct dhcp_datagram *d)
{
	return d->age_us;
}

/* Where a reply goes: plain values, may be copied and kept until the reply is durable. */
struct dhcp_io_dest {
	enum dhcp_way way;
	unsigned iface;
	uint32_t src, addr; /* host order */
	uint16_t port;
	uint8_t mac[6]; /* of the frame, for DHCP_TO_CHADDR and DHCP_BROADCAST */
};

struct dhcp_io_counts {
	uint64_t heard;		      /* handed to the caller */
	uint64_t bad_ip;	      /* header or lengths wrong, or IP checksum */
	uint64_t bad_checksum;	      /* of UDP */
	uint64_t too_long;	      /* more octets than any message that we understand */
	uint64_t other_vlan;	      /* tagged for a VLAN that is not this interface */
	uint64_t full[DHCP_IO_KINDS]; /* found their queue full; as of dhcp_io_count_full */
	uint64_t sent;
	uint64_t not_sent; /* the kernel refused: no route, no room behind unanswered ARP, down */
};

struct dhcp_io;

/**
 * dhcp_io_open - hear DHCP on interfaces
 * @err: one sentence when it fails
 *
 * An interface that does not exist is no failure: dhcp_io_rescan picks it up.
 * Needs CAP_NET_RAW and CAP_NET_BIND_SERVICE, here and in dhcp_io_rescan; not in between.
 *
 * Return: 0; -EADDRINUSE another server holds port 67, @err names its process; -errno.
 */
int dhcp_io_open(const struct dhcp_io_conf *c, struct dhcp_io **ret, char err[256]);
void dhcp_io_close(struct dhcp_io *io);

/**
 * dhcp_io_rescan - look again at which interfaces there are, their MTU and our addresses
 *
 * File descriptors of an interface that has gone are closed by the call after this one, so that
 * the caller can forget them meanwhile.
 *
 * Return: true when something has changed: ask dhcp_io_fds again.
 */
bool dhcp_io_rescan(struct dhcp_io *io);

/* Why an interface is not heard at present: "absent", or the sentence of a failure; else NULL. */
const char *dhcp_io_problem(const struct dhcp_io *io, unsigned iface);

/* Descriptors to wait on for reading. Return: how many (at most @max). */
unsigned dhcp_io_fds(const struct dhcp_io *io, int *fds, unsigned max);

/* Which datagrams one of these descriptors has. */
enum dhcp_io_kind dhcp_io_kind_of(const struct dhcp_io *io, int fd);

/* Ask the kernel how many it has dropped since the last call: counts.full. A few system calls per
 * interface; what is dropped between the last call and the end of a device is not counted. */
void dhcp_io_count_full(struct dhcp_io *io);

/**
 * dhcp_io_receive - what one descriptor has, without waiting
 * Return: how many datagrams (0: none of ours among them); -errno.
 */
int dhcp_io_receive(struct dhcp_io *io, int fd, struct dhcp_datagram *ret, unsigned max);

/* i-th address of ours on an interface, host order, as the kernel lists them; 0 behind the last. */
uint32_t dhcp_io_address(const struct dhcp_io *io, unsigned iface, unsigned i);
/* The first of them within a subnet; 0 none. */
uint32_t dhcp_io_address_in(const struct dhcp_io *io, unsigned iface, uint32_t subnet,
			    uint8_t prefix);
/* Largest reply that fits the interface's MTU. */
size_t dhcp_io_payload_max(const struct dhcp_io *io, unsigned iface);
int dhcp_io_ifindex(const struct dhcp_io *io, unsigned iface); /* 0 while it is absent */

/**
 * dhcp_io_dest_for - way, source and frame of a reply (decision D2)
 * To a relay it leaves from the address that the request came to, else from the server identifier.
 * A relay that asked for its own port (RFC 8357) is answered there.
 */
struct dhcp_io_dest dhcp_io_dest_for(const struct dhcp_datagram *in, const struct dhcp_msg *req,
				     const struct dhcp_reply *r);

/* Queue a reply (copied); a full queue is flushed first. False: it can never be sent (too long,
 * or its interface is gone). */
bool dhcp_io_send(struct dhcp_io *io, const struct dhcp_io_dest *d, const uint8_t *payload,
		  size_t len);
/* Hand the queue to the kernel. Never waits; what the kernel refuses is dropped and counted. */
void dhcp_io_flush(struct dhcp_io *io);

const struct dhcp_io_counts *dhcp_io_counters(const struct dhcp_io *io);
