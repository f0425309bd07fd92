#pragma once
/*
 * When a datagram has waited too long to be answered: its client has asked again, or is about to,
 * and to answer the old question first makes the new one wait as well. So the oldest are given up,
 * and not one by one as each comes of age, or else every answer would be as late as can be: once
 * the head of a queue is too old, all goes until it is a quarter as old.
 */
#include "net/dhcp_io.h"

struct dhcp_wait { /* one for each queue */
	bool behind;
};

/* The next of the queue, @age_us old: is it given up? */
bool dhcp_wait_is_over(struct dhcp_wait *w, enum dhcp_io_kind kind, int64_t age_us);
