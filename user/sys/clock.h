#pragma once
/*
 * The only place that reads clocks: CLOCK_BOOTTIME for timers; for leases the wall clock at start
 * plus BOOTTIME (decision A20). Once per turn of the loop.
 */
#include "core/types.h"

void clock_init(void);
struct now clock_now(void);
int64_t clock_wall_step_sec(void); /* the wall clock of the system minus ours, to the nearest second */

static inline int64_t clock_nearest_sec(int64_t us)
{
	return (us + (us < 0 ? -500000 : 500000)) / 1000000;
}
uint64_t clock_monotonic_ns(void); /* CLOCK_MONOTONIC, for the deadline in the kernel's maps */

int64_t clock_wall_us(void); /* our wall clock, finer: time stamps of log lines */
void clock_accept(void);     /* the operator takes the system's wall clock as right: step to it */

/* A difference up to this, or to the limit set, is slewed away; a larger one is a step that waits
 * for clock_accept. */
#define CLOCK_SLEW_MAX_US (60 * 1000000LL)
void clock_set_limit(int64_t us);

/**
 * clock_slew - how far to move our wall clock towards the system's
 * @diff_us: the system's minus ours; @elapsed_us: since this was last asked
 * Return: the correction, at most one part in 2000 of @elapsed_us, so that our clock never stops
 * or runs backwards.
 */
int64_t clock_slew(int64_t diff_us, int64_t elapsed_us);
