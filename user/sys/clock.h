#pragma once
/*
 * The only place that reads clocks: CLOCK_BOOTTIME for timers; for leases the wall clock at start
 * plus BOOTTIME (decision A20). Once per turn of the loop.
 */
#include "core/types.h"

void clock_init(void);
struct now clock_now(void);
int64_t clock_wall_step_sec(void); /* the wall clock of the system minus ours */
uint64_t clock_monotonic_ns(void); /* CLOCK_MONOTONIC, for the deadline in the kernel's maps */
