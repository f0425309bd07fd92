#pragma once
/* Waiting for a condition, with a limit, in tests that turn a loop: turn() is of who includes it.
 */
#include "sys/clock.h"

#define LIMIT_MS 10000

#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t limit_ = clock_now().mono.us + LIMIT_MS * 1000;                            \
		while (!(condition)) {                                                             \
			turn();                                                                    \
			if (clock_now().mono.us > limit_)                                          \
				fail_msg("never: %s", #condition);                                 \
		}                                                                                  \
	} while (0)
