/*
 * twinbench: its clocks, in a file of their own so that tests can play time.
 */
#include <sys/resource.h>
#include <time.h>
#include "bench.h"

int64_t bench_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct bench_now bench_clock(void)
{
	return (struct bench_now){ bench_clock_us(), (uint32_t)time(NULL) };
}

void bench_clock_sleep(int64_t us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	(void)nanosleep(&t, NULL);
}

static uint64_t us_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

uint64_t bench_clock_cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return us_of(u.ru_utime) + us_of(u.ru_stime);
}
