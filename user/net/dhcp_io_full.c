/*
 * How many datagrams the kernel dropped because the queue of our socket was full: the sign of an
 * overload, and all that is seen of it here, since it costs us nothing.
 *
 * A packet socket's count is exact. A UDP socket's holds also what its filter left to the others:
 * the broadcasts that packet sockets hear are known and taken off; those of relays are not, but the
 * sum of both kinds goes no further than what all UDP sockets of this host together found no room
 * for. Of which kind it was, is then a guess: DISCOVERs, of which most floods are.
 *
 * Called by the node every few seconds, and when somebody asks.
 * Spec: packet(7) (PACKET_STATISTICS), socket(7) (SO_MEMINFO), proc(5) (/proc/net/snmp).
 */
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include "net/dhcp_io_priv.h"

static struct tpacket_stats packet_stats(int fd)
{
	struct tpacket_stats st = { 0 };
	socklen_t len = sizeof(st);

	(void)getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len);
	return st; /* since it was last read */
}

static uint32_t udp_dropped(int fd, uint32_t *last)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 }, since;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	since = info[SK_MEMINFO_DROPS] - *last;
	*last = info[SK_MEMINFO_DROPS];
	return since;
}

/* The line "Udp: " that begins with a number holds the values; the fifth is RcvbufErrors. */
static int64_t host_full(void)
{
	FILE *f = fopen("/proc/net/snmp", "re");
	long long v = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Udp: %*u %*u %*u %*u %lld", &v) == 1)
			break;
	}
	if (f)
		fclose(f);
	return v;
}

/* UDP first: what comes in between is taken off too early, and found again the next time.
 * Return: how many packets are to be taken off. */
static int64_t ask_interface(struct dhcp_io *io, struct io_iface *i)
{
	static const enum io_socket udp[] = { IO_UDP, IO_UDP_DISCOVERS },
				    packet[] = { IO_PACKET, IO_PACKET_DISCOVERS };
	int64_t packets = 0;

	for (unsigned k = 0; k < DHCP_IO_KINDS; k++)
		io->full.udp[k] += udp_dropped(i->fd[udp[k]], &i->dropped[k]);
	for (unsigned k = 0; k < DHCP_IO_KINDS; k++) {
		struct tpacket_stats st = packet_stats(i->fd[packet[k]]);

		io->counts.full[k] += st.tp_drops;
		packets += st.tp_packets;
	}
	return packets;
}

/* Packets that no UDP socket was ever handed, because a firewall or a checksum stood between, would
 * hide what is lost later: no more of them are found again than there were in this look. */
static void take_off(struct dhcp_io *io, int64_t packets)
{
	for (unsigned k = 0; k < DHCP_IO_KINDS; k++) {
		int64_t least = io->full.told[k] - packets;

		io->full.udp[k] -= packets;
		if (io->full.udp[k] < least)
			io->full.udp[k] = least;
	}
}

/* Return: how many were told, of @left at most. */
static int64_t tell_kind(struct dhcp_io *io, enum dhcp_io_kind k, int64_t left)
{
	int64_t more = io->full.udp[k] - io->full.told[k];

	if (more > left)
		more = left;
	if (more <= 0)
		return 0;
	io->counts.full[k] += (uint64_t)more;
	io->full.told[k] += more;
	return more;
}

void dhcp_io_count_full(struct dhcp_io *io)
{
	const int64_t *told = io->full.told;
	int64_t left =
		host_full() - io->full.host - told[DHCP_IO_REQUESTS] - told[DHCP_IO_DISCOVERS];
	int64_t packets = 0;

	for (unsigned i = 0; i < io->n_ifaces; i++)
		if (io->ifaces[i].fd[IO_UDP] >= 0)
			packets += ask_interface(io, &io->ifaces[i]);
	take_off(io, packets);
	left -= tell_kind(io, DHCP_IO_DISCOVERS, left);
	(void)tell_kind(io, DHCP_IO_REQUESTS, left);
}

void io_count_full_from_now(struct dhcp_io *io)
{
	io->full.host = host_full();
}
