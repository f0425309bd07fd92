#pragma once
/*
 * A network of one's own for a test, with nothing but lo: as root, or as root of a user namespace.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = -1;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

static inline bool put_map(const char *path, unsigned id)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", id);
	return put_text(path, map) == 0;
}

static inline int of_lo(unsigned long request, struct ifreq lo)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	strcpy(lo.ifr_name, "lo");
	r = fd < 0 ? -1 : ioctl(fd, request, &lo);
	if (fd >= 0)
		close(fd);
	return r;
}

/* @besides: more namespaces (CLONE_NEW...) for who is not root. Without a group of its own, root in
 * the namespace may not make a socket in a directory. */
static inline bool own_network(int besides)
{
	if (getuid()) {
		unsigned uid = getuid(), gid = getgid();

		if (unshare(CLONE_NEWUSER | CLONE_NEWNET | besides) < 0 ||
		    !put_map("/proc/self/uid_map", uid) ||
		    put_text("/proc/self/setgroups", "deny") < 0 ||
		    !put_map("/proc/self/gid_map", gid))
			return false;
	} else if (unshare(CLONE_NEWNET) < 0) {
		return false;
	}
	return of_lo(SIOCSIFFLAGS, (struct ifreq){ .ifr_flags = IFF_UP }) == 0;
}
