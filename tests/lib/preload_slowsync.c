/*
 * preload_slowsync.so - a slow disk: each fdatasync, fsync or msync takes SLOWSYNC_US microseconds
 * longer, and so does each write to a descriptor with O_DSYNC, which is a sync as well (LMDB's page
 * that ends a commit). LD_PRELOAD it into twinleased.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_for_disk(void)
{
	const char *us = getenv("SLOWSYNC_US");

	if (us)
		(void)usleep((useconds_t)atol(us));
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

int fdatasync(int fd)
{
	int (*real)(int);

	*(void **)&real = next("fdatasync");
	wait_for_disk();
	return real(fd);
}

int fsync(int fd)
{
	int (*real)(int);

	*(void **)&real = next("fsync");
	wait_for_disk();
	return real(fd);
}

int msync(void *at, size_t len, int flags)
{
	int (*real)(void *, size_t, int);

	*(void **)&real = next("msync");
	wait_for_disk();
	return real(at, len, flags);
}

static ssize_t slow_pwrite(const char *name, int fd, const void *data, size_t len, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t);
	int flags = fcntl(fd, F_GETFL);

	*(void **)&real = next(name);
	if (flags >= 0 && flags & O_DSYNC)
		wait_for_disk();
	return real(fd, data, len, at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	return slow_pwrite("pwrite", fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	return slow_pwrite("pwrite64", fd, data, len, at);
}
