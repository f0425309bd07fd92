#pragma once
/* May the filter go onto this interface of this host? Decisions B1, B2 of the design. */
#include <stdint.h>

/**
 * attach_check - refuse what would cut other people's traffic
 * Refused are ports of a bridge or bond, a host where another program holds UDP port 67 (a relay
 * agent), and VLANs whose tags the hardware strips.
 * Return: 0 and *ret_ifindex; -ENODEV no such interface; -EBUSY with one sentence in @err.
 */
int attach_check(const char *iface, uint32_t *ret_ifindex, char err[256]);
