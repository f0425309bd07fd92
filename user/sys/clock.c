/*
 * Clocks. Timers run on CLOCK_BOOTTIME, which counts while the machine sleeps. Lease times run on
 * a wall clock of our own: the system's at start, carried on by BOOTTIME, drawn slowly to the
 * system's as long as they differ by little. So a step of the system's clock expires nothing: it
 * shows in clock_wall_step_sec and waits for the operator or the partner (decision A20).
 *
 * Callers: the loop, once per turn; sys/log. One thread.
 */
#include <time.h>
#include "sys/clock.h"

static int64_t wall_minus_boot_us;
static int64_t last_boot_us;
static int64_t limit_us = CLOCK_SLEW_MAX_US;
static bool started;

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* fails only for an unknown clock */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_init(void)
{
	last_boot_us = read_us(CLOCK_BOOTTIME);
	wall_minus_boot_us = read_us(CLOCK_REALTIME) - last_boot_us;
	started = true;
}

int64_t clock_slew(int64_t diff_us, int64_t elapsed_us)
{
	int64_t most = elapsed_us / 2000;

	if (diff_us > limit_us || diff_us < -limit_us || most <= 0)
		return 0;
	if (diff_us > most)
		return most;
	return diff_us < -most ? -most : diff_us;
}

static int64_t wall_step_us(int64_t boot_us)
{
	return read_us(CLOCK_REALTIME) - (boot_us + wall_minus_boot_us);
}

static int64_t boot_now(void)
{
	int64_t boot_us, elapsed_us;

	if (!started)
		clock_init();
	boot_us = read_us(CLOCK_BOOTTIME);
	elapsed_us = boot_us - last_boot_us;
	if (elapsed_us >= 1000000) { /* less would round the correction away */
		wall_minus_boot_us += clock_slew(wall_step_us(boot_us), elapsed_us);
		last_boot_us = boot_us;
	}
	return boot_us;
}

struct now clock_now(void)
{
	int64_t boot_us = boot_now();

	return (struct now){
		.mono = { boot_us },
		.wall = { (boot_us + wall_minus_boot_us) / 1000000 },
	};
}

int64_t clock_wall_us(void)
{
	return boot_now() + wall_minus_boot_us;
}

int64_t clock_wall_step_sec(void)
{
	return clock_nearest_sec(wall_step_us(boot_now()));
}

void clock_set_limit(int64_t us)
{
	limit_us = us;
}

void clock_accept(void)
{
	clock_init();
}

uint64_t clock_monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
