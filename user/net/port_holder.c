/*
 * Who holds a UDP port: the sockets of this network namespace are in /proc/net/udp with their
 * inode numbers, the processes that have such an inode open in /proc/PID/fd. What belongs to
 * others is visible only to those with the right (CAP_SYS_PTRACE), hence "not visible".
 *
 * Called by net/dhcp_io when port 67 is taken; never in the way of a packet.
 */
#include "net/port_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INODES_MAX 64

/* The inodes of the sockets bound to a port, of IPv4 and of IPv6 (which may serve both). */
static unsigned add_inodes(const char *table, uint16_t port, unsigned long *inodes, unsigned n)
{
	char line[512];
	FILE *f = fopen(table, "re");

	if (!f)
		return n;
	while (n < INODES_MAX && fgets(line, sizeof(line), f)) {
		unsigned local;
		unsigned long inode;

		if (sscanf(line,
			   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %*x %*x:%*x %*x:%*x %*x %*u "
			   "%*u %lu",
			   &local, &inode) == 2 &&
		    local == port)
			inodes[n++] = inode;
	}
	fclose(f);
	return n;
}

static bool is_one_of(const char *link, const unsigned long *inodes, unsigned n)
{
	unsigned long inode;

	if (sscanf(link, "socket:[%lu]", &inode) != 1)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (inodes[i] == inode)
			return true;
	}
	return false;
}

static bool holds(const char *pid, const unsigned long *inodes, unsigned n)
{
	char path[PATH_MAX], link[64];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = 0;
		found = is_one_of(link, inodes, n);
	}
	closedir(d);
	return found;
}

/* "dnsmasq (pid 1234)"; a name may hold any octet. */
static void write_name(const char *pid, char *buf, size_t size)
{
	char path[64], name[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = 0;
		fclose(f);
	}
	for (char *s = name; *s; s++) {
		if (*s == '\n')
			*s = 0;
		else if (!isprint((unsigned char)*s))
			*s = '?';
	}
	snprintf(buf, size, "%s (pid %s)", name, pid);
}

void port_holder_name(uint16_t port, char *buf, size_t size)
{
	unsigned long inodes[INODES_MAX];
	unsigned n = add_inodes("/proc/thread-self/net/udp", port, inodes, 0);
	struct dirent *e;
	DIR *d;

	n = add_inodes("/proc/thread-self/net/udp6", port, inodes, n);
	snprintf(buf, size, "a process that is not visible from here");
	d = opendir("/proc");
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (isdigit((unsigned char)e->d_name[0]) && atol(e->d_name) != (long)getpid() &&
		    holds(e->d_name, inodes, n)) {
			write_name(e->d_name, buf, size);
			break;
		}
	}
	closedir(d);
}
