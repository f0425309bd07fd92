#pragma once
/* What was told (sys/log) since a test looked last. */
#include <string.h>

#include "sys/log.h"

static struct log_record last;

/* How many events came since the last call; @last is the last one. */
static inline unsigned news(void)
{
	static uint64_t seen;
	struct log_record r[16];
	unsigned n, all = 0;

	while ((n = log_ring_read(seen, r, 16))) {
		all += n;
		last = r[n - 1];
		seen = last.seq;
	}
	return all;
}

static inline void says(const char *text)
{
	if (!strstr(last.detail, text))
		fail_msg("\"%s\" is not in: %s", text, last.detail);
}
