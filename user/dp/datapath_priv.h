#pragma once
/* Inside user/dp: the loaded object, its pins, and the open maps. */
#include <net/if.h>
#include "dp/datapath.h"

struct twinlease;

enum map_id {
#define X(name) MAP_##name,
	FILTER_MAPS(X)
#undef X
		N_MAPS,
};

struct dp_maps {
	int fd[N_MAPS];
};

struct dp_iface {
	char name[IF_NAMESIZE];
	uint32_t prog_id; /* of the program that is ours there; 0: none known */
};

/* Where the clients of an interface or VLAN belong. */
struct dp_direct {
	struct iface_key key;
	uint32_t scope;
};

#define DP_IFACES 64

struct datapath {
	struct dp_maps maps;
	struct filter_alive *alive;	  /* mmap of tl_alive */
	struct relation_control *control; /* mmap of tl_control */
	uint64_t *near; /* mmap of tl_iface_near: a struct iface_choice is a word */
	uint64_t fail_open_ns;
	int64_t timens_ns; /* what this time namespace adds to CLOCK_MONOTONIC */
	int cpus;
	struct bucket_counters *buckets; /* one per CPU, scratch */
	const char *mode;
	char pin_directory[200];
	struct dp_iface ifaces[DP_IFACES];
	unsigned n_ifaces;
	struct dp_direct direct[TL_MAX_IFACES];
	unsigned n_direct;
	/* switches since the last membarrier, by relationship */
	uint8_t flips[TL_MAX_RELATIONS];
	bool has_buckets[TL_MAX_RELATIONS];
	uint64_t switch_us_last, switch_us_max, switches;
};

/**
 * dp_pins_load - load the program of this build with the maps that are pinned, pin what is new
 * Maps of another ABI or shape are replaced by empty ones.
 * Return: 0 and the program's fd (the caller's) and the maps; -errno with @err.
 */
int dp_pins_load(const char *dir, const char *group, int *ret_prog, struct dp_maps *ret_maps,
		 char err[256]);
/* Only open what is pinned; no capability needed from 6.1 on. */
int dp_pins_open(const char *dir, struct dp_maps *ret_maps, char err[256]);
void dp_maps_close(struct dp_maps *m);
int dp_pin_path(char *ret, size_t size, const char *dir, const char *prefix, const char *name,
		char err[256]);

/**
 * dp_attach - put the program onto an interface, by a pinned link
 * A link of ours that is there already gets the new program in one step.
 * Return: 0 and *ret_mode "native" or "generic"; -errno with @err.
 */
int dp_attach(const struct datapath_conf *c, const char *iface, int prog, const char **ret_mode,
	      char err[256]);
/* Ids of the programs that the pins hold, 0 without a pin that we may open. No fd stays open: the
 * pin alone keeps the filter on its interface, so that removing it is a switch. */
uint32_t dp_link_prog(const char *dir, const char *iface);
uint32_t dp_pinned_prog(const char *dir);
/* Is the program on the interface that one? No capability needed. */
bool dp_is_attached(const char *iface, uint32_t prog_id);
