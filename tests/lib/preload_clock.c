/*
 * LD_PRELOAD: a wall clock that is wrong by CLOCK_OFFSET seconds, also in what the kernel says of
 * when a datagram came. Timers keep their clock. Used by tests/interop/test_clock, where two
 * machines disagree about the time.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static long offset_sec(void)
{
	const char *text = getenv("CLOCK_OFFSET");

	return text ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*next)(clockid_t, struct timespec *);
	int r;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	r = next(id, ts);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += offset_sec();
	return r;
}

time_t time(time_t *ret)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

static void move_stamps(struct msghdr *h)
{
	struct timespec at;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&at, CMSG_DATA(c), sizeof(at));
		at.tv_sec += offset_sec();
		memcpy(CMSG_DATA(c), &at, sizeof(at));
	}
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned max, int flags, struct timespec *timeout)
{
	static int (*next)(int, struct mmsghdr *, unsigned, int, struct timespec *);
	int n;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "recvmmsg");
	n = next(fd, m, max, flags, timeout);
	for (int i = 0; i < n; i++)
		move_stamps(&m[i].msg_hdr);
	return n;
}
