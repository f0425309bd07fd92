/*
 * LD_PRELOAD: writes a log of what happens to the database file (*.mdb but lock.mdb) into the
 * file named by SYNCLOG. An event is noted when its call has returned, before the program can
 * draw conclusions from it; so a mark after a sync in the log was after it in truth.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "synclog.h"

void synclog_mark(uint64_t batch);

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static int named;

static void put_all(const void *p, size_t len)
{
	if (REAL(write)(log_fd, p, len) != (ssize_t)len)
		abort();
}

static void note(enum synclog_op op, off_t off, const struct iovec *v, int n, size_t len)
{
	struct synclog_record r = { (uint64_t)off, (uint32_t)len, op };

	pthread_mutex_lock(&lock);
	if (log_fd < 0 && getenv("SYNCLOG"))
		log_fd = open(getenv("SYNCLOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		abort();
	put_all(&r, sizeof(r));
	for (; n-- && len; v++) {
		size_t part = v->iov_len < len ? v->iov_len : len;

		put_all(v->iov_base, part);
		len -= part;
	}
	pthread_mutex_unlock(&lock);
}

void synclog_mark(uint64_t batch)
{
	note(SYNCLOG_MARK, (off_t)batch, NULL, 0, 0);
}

static void note_name(void)
{
	named = 1;
	note(SYNCLOG_RENAME, 0, NULL, 0, 0);
}

static int ends(const char *name, size_t len, const char *end)
{
	return len >= strlen(end) && !memcmp(name + len - strlen(end), end, strlen(end));
}

/* Is it the database? When it has its final name without a rename, that is noted as one. */
static int ours(int fd)
{
	char link[64], name[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name));
	if (n <= 0 || !ends(name, (size_t)n, ".mdb") || ends(name, (size_t)n, "/lock.mdb"))
		return 0;
	if (!named && ends(name, (size_t)n, "/data.mdb"))
		note_name();
	return 1;
}

static void note_write(int fd, off_t off, const struct iovec *v, int n, ssize_t len)
{
	if (len > 0 && ours(fd))
		note(fcntl(fd, F_GETFL) & O_DSYNC ? SYNCLOG_DSYNC : SYNCLOG_WRITE, off, v, n,
		     (size_t)len);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	ssize_t r = REAL(pwrite)(fd, p, n, off);

	note_write(fd, off, &v, 1, r);
	return r;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	return pwrite(fd, p, n, off);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t r = REAL(pwritev)(fd, v, n, off);

	note_write(fd, off, v, n, r);
	return r;
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	off_t off = lseek(fd, 0, SEEK_CUR);
	ssize_t r = REAL(writev)(fd, v, n);

	note_write(fd, off, v, n, r);
	return r;
}

ssize_t write(int fd, const void *p, size_t n)
{
	off_t off = lseek(fd, 0, SEEK_CUR);
	struct iovec v = { (void *)(uintptr_t)p, n };
	ssize_t r = REAL(write)(fd, p, n);

	note_write(fd, off, &v, 1, r);
	return r;
}

int ftruncate(int fd, off_t len)
{
	if (ours(fd))
		note(SYNCLOG_ODD, len, NULL, 0, 0);
	return REAL(ftruncate)(fd, len);
}

int msync(void *p, size_t n, int flags)
{
	note(SYNCLOG_ODD, (off_t)n, NULL, 0, 0);
	return REAL(msync)(p, n, flags);
}

int fdatasync(int fd)
{
	int r = REAL(fdatasync)(fd);

	if (r == 0 && ours(fd))
		note(SYNCLOG_SYNC, 0, NULL, 0, 0);
	return r;
}

int fsync(int fd)
{
	int r = REAL(fsync)(fd);
	struct stat st;

	if (r == 0 && ours(fd))
		note(SYNCLOG_SYNC, 0, NULL, 0, 0);
	else if (r == 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		note(SYNCLOG_DIR, 0, NULL, 0, 0);
	return r;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int r = REAL(renameat)(from_dir, from, to_dir, to);

	if (r == 0 && ends(to, strlen(to), "data.mdb"))
		note_name();
	return r;
}
