/*
 * preload_slowsync.so - a slow disk: each fdatasync or fsync takes SLOWSYNC_US microseconds longer.
 * LD_PRELOAD it into twinleased.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slow(const char *name, int fd)
{
	const char *us = getenv("SLOWSYNC_US");
	int (*real)(int);

	*(void **)&real = dlsym(RTLD_NEXT, name);
	if (us)
		(void)usleep((useconds_t)atol(us));
	return real(fd);
}

int fdatasync(int fd)
{
	return slow("fdatasync", fd);
}

int fsync(int fd)
{
	return slow("fsync", fd);
}
