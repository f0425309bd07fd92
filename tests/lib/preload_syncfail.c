/*
 * LD_PRELOAD: a disk that fails on command. Concerns files whose name ends in ".mdb" alone.
 * The test finds the functions by dlsym(RTLD_DEFAULT, ...):
 *   syncfail_arm(what, err, times)  the next @times calls of kind @what fail with @err
 *   syncfail_calls(what)            calls of that kind since the last arm, failed ones included
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* META_WRITE: descriptor with O_DSYNC; AHEAD_WRITE: zeros where the next commits will write */
enum what { DATA_WRITE, META_WRITE, SYNC, AHEAD_WRITE, KINDS };

void syncfail_arm(int what, int err, int times);
unsigned syncfail_calls(int what);

static atomic_int error_of[KINDS], left[KINDS];
static atomic_uint calls[KINDS];

void syncfail_arm(int what, int err, int times)
{
	atomic_store(&calls[what], 0);
	atomic_store(&error_of[what], err);
	atomic_store(&left[what], times);
}

unsigned syncfail_calls(int what)
{
	return atomic_load(&calls[what]);
}

static int ours(int fd)
{
	char link[64], name[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	return n > 4 && !memcmp(name + n - 4, ".mdb", 4);
}

static int fails(enum what what)
{
	atomic_fetch_add(&calls[what], 1);
	if (atomic_load(&left[what]) <= 0)
		return 0;
	atomic_fetch_sub(&left[what], 1);
	errno = atomic_load(&error_of[what]);
	return 1;
}

static int write_fails(int fd)
{
	return ours(fd) && fails(fcntl(fd, F_GETFL) & O_DSYNC ? META_WRITE : DATA_WRITE);
}

/* A page of the database is never zero: its number stands in it. */
static int is_ahead(const void *p, size_t n)
{
	const char *c = p;

	return n >= 4096 && !c[0] && !memcmp(c, c + 1, n - 1);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	if (is_ahead(p, n) && ours(fd))
		return fails(AHEAD_WRITE) ? -1 : REAL(pwrite)(fd, p, n, off);
	return write_fails(fd) ? -1 : REAL(pwrite)(fd, p, n, off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	return pwrite(fd, p, n, off);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return write_fails(fd) ? -1 : REAL(writev)(fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	return write_fails(fd) ? -1 : REAL(pwritev)(fd, v, n, off);
}

int fdatasync(int fd)
{
	return ours(fd) && fails(SYNC) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	return ours(fd) && fails(SYNC) ? -1 : REAL(fsync)(fd);
}
