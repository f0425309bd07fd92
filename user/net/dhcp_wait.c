/*
 * The age at which waiting datagrams are given up. Called by the node for each that it reads.
 * Spec: RFC 2131 §4.1 (a client asks again after 4 s, give or take one); decision A19.
 */
#include "net/dhcp_wait.h"

/* Many clients ask for the first time again after one second, and then have two questions here.
 * A REQUEST is worth more, and seldom repeated so soon: the 2 s after which nobody may count on an
 * answer that promises a lease from the time of the question. */
static const int64_t oldest_us[DHCP_IO_KINDS] = {
	[DHCP_IO_REQUESTS] = 2000000,
	[DHCP_IO_DISCOVERS] = 1000000,
};

bool dhcp_wait_is_over(struct dhcp_wait *w, enum dhcp_io_kind kind, int64_t age_us)
{
	w->behind = age_us > (w->behind ? oldest_us[kind] / 4 : oldest_us[kind]);
	return w->behind;
}
