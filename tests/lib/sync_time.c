/*
 * sync_time - how long the disk takes for a small sync: 4 KiB into a file that is there already and
 * fdatasync, every 1.5 ms, which is about how often a busy server commits. Prints the median and
 * the 99th percentile in milliseconds. Used by tools/bench.
 *
 *   sync_time FILE COUNT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define BLOCKS 256
#define PACE_NS 1500000
#define COUNT_MAX 1000000

static void die(const char *what)
{
	fprintf(stderr, "sync_time: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void wait_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void put(int fd, unsigned long n)
{
	static uint8_t block[BLOCK];

	memset(block, (int)n, sizeof(block));
	if (pwrite(fd, block, BLOCK, (off_t)(n % BLOCKS) * BLOCK) != BLOCK)
		die("write");
}

/* Blocks that were written before: a sync has nothing of the file system's own to write. */
static int prepared(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	for (unsigned long i = 0; i < BLOCKS; i++)
		put(fd, i);
	if (fsync(fd) < 0)
		die(path);
	return fd;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	int64_t *took;
	int fd;

	if (!count || count > COUNT_MAX)
		return 2;
	took = calloc(count, sizeof(*took));
	if (!took)
		die("memory");
	fd = prepared(argv[1]);
	for (unsigned long i = 0; i < count; i++) {
		int64_t begin = now_ns();

		put(fd, i + 1);
		if (fdatasync(fd) < 0)
			die("fdatasync");
		took[i] = now_ns() - begin;
		wait_until(begin + PACE_NS);
	}
	qsort(took, count, sizeof(*took), by_value);
	printf("%.3f %.3f\n", (double)took[count / 2] / 1e6, (double)took[count * 99 / 100] / 1e6);
	free(took);
	return close(fd) < 0;
}
