/*
 * Packet I/O, the slow part: which interfaces there are, their sockets and addresses, opening and
 * closing. dhcp_io_hear.c and dhcp_io_send.c are what each packet runs through.
 *
 * Called by the node: once at start, then dhcp_io_rescan every few seconds.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "net/dhcp_io_priv.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int device_index(const struct dhcp_io *io, const char *name)
{
	struct ifreq req = { 0 };

	memcpy(req.ifr_name, name, IFNAMSIZ);
	return ioctl(io->raw, SIOCGIFINDEX, &req) < 0 ? 0 : req.ifr_ifindex;
}

static unsigned device_mtu(const struct dhcp_io *io, const char *name)
{
	struct ifreq req = { 0 };

	memcpy(req.ifr_name, name, IFNAMSIZ);
	return ioctl(io->raw, SIOCGIFMTU, &req) < 0 ? 0 : (unsigned)req.ifr_mtu;
}

/* A device that left this namespace and came back has the number it had, but the packet socket let
 * go of it when it left: its name holds no device's number since then. */
static bool is_orphaned(const struct io_iface *i)
{
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);

	return i->fd[IO_PACKET] >= 0 &&
	       !getsockname(i->fd[IO_PACKET], (struct sockaddr *)&at, &len) &&
	       at.sll_ifindex != i->ifindex;
}

/* The sockets of a device that is not there any more, or not the same one. */
static void retire_sockets(struct io_iface *i)
{
	for (unsigned s = 0; s < IO_SOCKETS; s++) {
		i->gone[s] = i->fd[s];
		i->fd[s] = -1;
	}
}

/* Bring one interface's sockets in line with the device. Return: 1 they changed, also where no
 * others could be opened in place of those that are gone, 0 not, or -errno; with i->problem. A
 * device that vanishes under our hands is merely absent. */
static int follow_device(struct dhcp_io *io, struct io_iface *i)
{
	int index = device_index(io, i->name), r, changed = 0;

	if (index == i->ifindex && is_orphaned(i))
		index = 0; /* absent until the next look, when the port is free again */
	if (index != i->ifindex) {
		changed = i->fd[IO_UDP] >= 0;
		retire_sockets(i);
		i->ifindex = index;
	}
	i->mtu = index ? device_mtu(io, i->name) : 0;
	if (!index) {
		snprintf(i->problem, sizeof(i->problem), "absent");
		return changed;
	}
	if (i->fd[IO_UDP] >= 0)
		return changed;
	r = io_open_sockets(i, io->rcvbuf, i->problem);
	if (r == -ENODEV || r == -ENXIO) {
		i->ifindex = 0;
		snprintf(i->problem, sizeof(i->problem), "absent");
		return changed;
	}
	if (r < 0)
		return changed ? changed : r;
	i->problem[0] = 0;
	return 1;
}

/* Does this address belong to the device? Labels ("eth0:1") count as their device. */
static bool is_address_of(const struct ifaddrs *a, const struct io_iface *i)
{
	size_t len = strcspn(a->ifa_name, ":");

	return a->ifa_addr && a->ifa_addr->sa_family == AF_INET && len == strlen(i->name) &&
	       !memcmp(a->ifa_name, i->name, len);
}

static uint32_t host_order(const struct sockaddr *sa)
{
	struct sockaddr_in in;

	memcpy(&in, sa, sizeof(in));
	return ntohl(in.sin_addr.s_addr);
}

static bool take_addresses(struct io_iface *i, const struct ifaddrs *list)
{
	uint32_t found[DHCP_IO_ADDRESSES];
	unsigned n = 0;

	for (const struct ifaddrs *a = list; a && n < DHCP_IO_ADDRESSES; a = a->ifa_next) {
		if (is_address_of(a, i))
			found[n++] = host_order(a->ifa_addr);
	}
	if (n == i->n_addrs && !memcmp(found, i->addrs, n * sizeof(found[0])))
		return false;
	memcpy(i->addrs, found, n * sizeof(found[0]));
	i->n_addrs = n;
	return true;
}

/* Where the kernel does not answer, what we knew stays. */
static bool refresh_addresses(struct dhcp_io *io)
{
	struct ifaddrs *list;
	bool changed = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (unsigned k = 0; k < io->n_ifaces; k++)
		changed |= take_addresses(&io->ifaces[k], list);
	freeifaddrs(list);
	return changed;
}

bool dhcp_io_rescan(struct dhcp_io *io)
{
	bool changed = false;

	for (unsigned k = 0; k < io->n_ifaces; k++) {
		for (unsigned s = 0; s < IO_SOCKETS; s++)
			close_fd(&io->ifaces[k].gone[s]);
		changed |= follow_device(io, &io->ifaces[k]) > 0;
	}
	return refresh_addresses(io) || changed;
}

static int set_name(struct io_iface *i, const char *name, char err[PROBLEM_MAX])
{
	if (!name[0] || strlen(name) >= sizeof(i->name)) {
		snprintf(err, PROBLEM_MAX, "\"%.32s\" cannot be the name of an interface", name);
		return -EINVAL;
	}
	memcpy(i->name, name, strlen(name));
	return 0;
}

static int open_all(struct dhcp_io *io, const struct dhcp_io_conf *c, char err[PROBLEM_MAX])
{
	int r = io_open_raw(&io->raw, err);

	for (unsigned k = 0; r >= 0 && k < c->n_interfaces; k++)
		r = set_name(&io->ifaces[k], c->interfaces[k], err);
	for (unsigned k = 0; r >= 0 && k < c->n_interfaces; k++) {
		r = follow_device(io, &io->ifaces[k]);
		if (r < 0)
			memcpy(err, io->ifaces[k].problem, PROBLEM_MAX);
	}
	return r < 0 ? r : 0;
}

int dhcp_io_open(const struct dhcp_io_conf *c, struct dhcp_io **ret, char err[256])
{
	struct dhcp_io *io = calloc(1, sizeof(*io));
	int r;

	if (io)
		io->ifaces = calloc(c->n_interfaces ? c->n_interfaces : 1, sizeof(io->ifaces[0]));
	if (!io || !io->ifaces) {
		snprintf(err, PROBLEM_MAX, "no memory for the network buffers");
		free(io);
		return -ENOMEM;
	}
	io->n_ifaces = c->n_interfaces;
	io->rcvbuf = c->rcvbuf;
	io->raw = -1;
	for (unsigned k = 0; k < io->n_ifaces; k++) {
		for (unsigned s = 0; s < IO_SOCKETS; s++)
			io->ifaces[k].fd[s] = io->ifaces[k].gone[s] = -1;
	}
	r = open_all(io, c, err);
	if (r < 0) {
		dhcp_io_close(io);
		return r;
	}
	(void)refresh_addresses(io);
	io_count_full_from_now(io);
	*ret = io;
	return 0;
}

void dhcp_io_close(struct dhcp_io *io)
{
	if (!io)
		return;
	for (unsigned k = 0; k < io->n_ifaces; k++) {
		for (unsigned s = 0; s < IO_SOCKETS; s++) {
			close_fd(&io->ifaces[k].fd[s]);
			close_fd(&io->ifaces[k].gone[s]);
		}
	}
	close_fd(&io->raw);
	free(io->ifaces);
	free(io);
}

unsigned dhcp_io_fds(const struct dhcp_io *io, int *fds, unsigned max)
{
	unsigned n = 0;

	for (unsigned k = 0; k < io->n_ifaces; k++) {
		for (unsigned s = 0; s < IO_SOCKETS; s++) {
			if (io->ifaces[k].fd[s] >= 0 && n < max)
				fds[n++] = io->ifaces[k].fd[s];
		}
	}
	return n;
}

const char *dhcp_io_problem(const struct dhcp_io *io, unsigned iface)
{
	const struct io_iface *i = &io->ifaces[iface];

	return i->problem[0] ? i->problem : NULL;
}

uint32_t dhcp_io_address(const struct dhcp_io *io, unsigned iface, unsigned i)
{
	return i < io->ifaces[iface].n_addrs ? io->ifaces[iface].addrs[i] : 0;
}

uint32_t dhcp_io_address_in(const struct dhcp_io *io, unsigned iface, uint32_t subnet,
			    uint8_t prefix)
{
	const struct io_iface *i = &io->ifaces[iface];
	uint32_t mask = prefix ? 0xffffffffu << (32 - prefix) : 0;

	for (unsigned k = 0; k < i->n_addrs; k++) {
		if ((i->addrs[k] & mask) == (subnet & mask))
			return i->addrs[k];
	}
	return 0;
}

size_t dhcp_io_payload_max(const struct dhcp_io *io, unsigned iface)
{
	unsigned mtu = io->ifaces[iface].mtu;

	return mtu >= IP_UDP_LEN && mtu - IP_UDP_LEN < DHCP_IO_PAYLOAD_MAX ? mtu - IP_UDP_LEN
									   : DHCP_IO_PAYLOAD_MAX;
}

int dhcp_io_ifindex(const struct dhcp_io *io, unsigned iface)
{
	return io->ifaces[iface].ifindex;
}

const struct dhcp_io_counts *dhcp_io_counters(const struct dhcp_io *io)
{
	return &io->counts;
}
