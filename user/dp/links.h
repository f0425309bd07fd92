#pragma once
/* Network interfaces of this namespace, as rtnetlink tells them. */
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct link_info {
	uint32_t ifindex;
	uint32_t lower; /* ifindex below a VLAN device, else 0 */
	uint16_t vlan;	/* id of a VLAN device, else 0 */
	char name[IF_NAMESIZE];
	char kind[16];	      /* veth, vlan, bond, bridge ...; empty for hardware */
	char master_kind[16]; /* of whose port it is: bridge, bond ...; else empty */
};

#define LINKS_MAX 16384 /* 4,094 VLANs, and as much again for containers */

/**
 * links_list - all interfaces, without any privilege
 * Return: how many; -errno. More than @max are left out.
 */
int links_list(struct link_info *ret, unsigned max);
const struct link_info *links_find(const struct link_info *l, int n, const char *name);
