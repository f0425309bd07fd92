/*
 * May the filter go onto this interface of this host? It would drop DISCOVERs that are meant for a
 * relay agent, or that a bridge is about to forward. Called by user/dp/attach.c before each attach.
 */
#include "dp/attach_checks.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dp/links.h"
#include "shared/dhcp_wire.h"

/* Does a process hold this socket? Its file descriptors are links to "socket:[inode]". */
static int holds(const char *pid, const char *wanted)
{
	char path[300], target[64];
	struct dirent *e;
	int found = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = 0;
		found = !strcmp(target, wanted);
	}
	if (d)
		closedir(d);
	return found;
}

static void name_of(const char *pid, char ret[32])
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(ret, 32, f))
		strcpy(ret, "?");
	ret[strcspn(ret, "\n")] = 0;
	if (f)
		fclose(f);
}

/* Whose socket? Return: its pid; 0 when nobody's that we may see. */
static int owner_of(unsigned long inode, char ret_name[32])
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	char wanted[40];
	int pid = 0;

	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (proc && !pid && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !holds(e->d_name, wanted))
			continue;
		pid = atoi(e->d_name);
		name_of(e->d_name, ret_name);
	}
	if (proc)
		closedir(proc);
	return pid;
}

static int check_port_67(char err[256])
{
	FILE *f = fopen("/proc/net/udp", "re");
	char line[256], name[32] = "?";
	int r = 0;

	while (f && !r && fgets(line, sizeof(line), f)) {
		unsigned long inode;
		unsigned port;
		int pid;

		if (sscanf(line, " %*d: %*x:%x %*x:%*x %*x %*x:%*x %*x:%*x %*x %*u %*d %lu", &port,
			   &inode) != 2 ||
		    port != DHCP_SERVER_PORT)
			continue;
		pid = owner_of(inode, name);
		if (pid == getpid() || !strcmp(name, "twinleased"))
			continue;
		snprintf(err, 256,
			 "UDP port 67 is held by %s (process %d): the filter would cut off a relay "
			 "agent or another server; stop it, or use --force",
			 name, pid);
		r = -EBUSY;
	}
	if (f)
		fclose(f);
	return r;
}

/* Does the hardware take VLAN tags off before the program can see them? */
static int strips_tags(const char *iface)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", iface);
	req.ifr_data = (void *)&v;
	r = fd >= 0 && !ioctl(fd, SIOCETHTOOL, &req) && (v.data & ETH_FLAG_RXVLAN);
	if (fd >= 0)
		close(fd);
	return r;
}

static int check_vlans(const struct link_info *all, int n, const struct link_info *l, char err[256])
{
	for (int i = 0; i < n; i++) {
		if (!all[i].vlan || all[i].lower != l->ifindex || !strips_tags(l->name))
			continue;
		snprintf(err, 256,
			 "%s carries VLAN device %s and strips tags in hardware, so the filter "
			 "could not tell VLANs apart: ethtool -K %s rxvlan off, or use --force",
			 l->name, all[i].name, l->name);
		return -EBUSY;
	}
	return 0;
}

/* Masters that take the frames of their ports before anybody else sees them. */
static int takes_ports(const char *kind)
{
	return !strcmp(kind, "bridge") || !strcmp(kind, "bond") || !strcmp(kind, "team") ||
	       !strcmp(kind, "openvswitch");
}

int attach_check(const char *iface, uint32_t *ret_ifindex, char err[256])
{
	static struct link_info all[LINKS_MAX];
	const struct link_info *l;
	int n = links_list(all, LINKS_MAX), r;

	if (n < 0) {
		snprintf(err, 256, "cannot list the network interfaces: %s", strerror(-n));
		return n;
	}
	l = links_find(all, n, iface);
	if (!l) {
		snprintf(err, 256, "there is no interface %s in this network namespace", iface);
		return -ENODEV;
	}
	*ret_ifindex = l->ifindex;
	if (takes_ports(l->master_kind)) {
		snprintf(err, 256,
			 "%s is a port of a %s: the filter belongs on the interface above it, or "
			 "use --force",
			 iface, l->master_kind);
		return -EBUSY;
	}
	r = check_port_67(err);
	return r < 0 ? r : check_vlans(all, n, l, err);
}
