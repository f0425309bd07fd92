#pragma once
/*
 * The kernel half seen from the daemon: load, attach, pin, and write its maps. The only module
 * that includes libbpf and the skeleton. Names of pins: PIN-DIRECTORY/{prog,link-IFACE,maps/NAME}.
 */
#include "conf/conf.h"
#include "shared/xdp_abi.h"

struct datapath;

struct datapath_conf {
	enum conf_filter_mode mode;
	const char *pin_directory;
	const char *const *interfaces;
	unsigned n_interfaces;
	uint32_t fail_open_after_ms;
	bool force; /* attach in spite of a bridge port, a bond, a relay agent on port 67 */
};

/**
 * datapath_open - load or open the program and its maps, attach where the mode says so
 * @ret: NULL with return 0 where the mode is off, or auto and nothing works (one event each)
 * Return: 0 or -errno with one sentence in @err.
 * Context: at start, with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON unless external or off; after it
 * none of them is needed on kernels from 6.1 on.
 */
int datapath_open(const struct datapath_conf *c, struct datapath **ret, char err[256]);
void datapath_close(struct datapath *dp); /* leaves program and pins in place: pass after deadline */

/* All that selects a relationship: prefixes of scopes, interfaces, our own addresses. */
int datapath_set_scopes(struct datapath *dp, const struct scope_table *t);
int datapath_set_local(struct datapath *dp);

/* Switch a relationship's policy: fill an idle slot, read back, flip. Returns the generation. */
int datapath_set_policy(struct datapath *dp, unsigned relation, const struct relation_policy *p);
/* Vouch for the maps until now + fail-open-after. Aligned store, no system call. */
void datapath_alive(struct datapath *dp);
void datapath_disarm(struct datapath *dp); /* deadline 0: pass everything, at once */

struct datapath_status {
	const char *mode; /* native, generic, external, off */
	bool attached[64]; /* by interface of the configuration */
	uint64_t switch_us_last, switch_us_max, switches;
};
void datapath_status(struct datapath *dp, struct datapath_status *ret);
int datapath_verdicts(struct datapath *dp, struct filter_counter ret[FILTER_REASONS]);
/* Per bucket: passed as ours, left to the partner, passed by secs. */
struct bucket_counter {
	uint64_t passed, left, by_secs;
};
int datapath_buckets(struct datapath *dp, unsigned relation, struct bucket_counter ret[256]);
