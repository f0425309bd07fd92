#pragma once
/*
 * The kernel half seen from the daemon: load, attach, pin, and write its maps. Names of pins:
 * PIN-DIRECTORY/{prog,link-IFACE,maps/NAME} (a dot in IFACE is a colon there); the same as
 *   bpftool prog load twinlease.bpf.o PIN-DIRECTORY/prog pinmaps PIN-DIRECTORY/maps
 * makes, so that who attaches does not matter to the daemon. user/dp is the only place that
 * includes libbpf and the skeleton.
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
	bool force;	   /* attach in spite of a bridge port, a bond, a relay agent on port 67 */
	const char *group; /* that may open the pins (0660); NULL: only their owner */
};

/**
 * datapath_open - load or open the program and its maps, attach where the mode says so
 * @ret: NULL with return 0 where the mode is off, or auto and nothing works (one event each)
 * Return: 0 or -errno with one sentence in @err.
 * Context: at start, with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON unless external or off; after it
 * none of them is needed on kernels from 6.1 on. A link that is pinned already gets the program of
 * this build in one step; maps of the same ABI keep their contents.
 */
int datapath_open(const struct datapath_conf *c, struct datapath **ret, char err[256]);
void datapath_close(
	struct datapath *dp); /* leaves program and pins in place: pass after deadline */

/**
 * datapath_attach - load, attach and pin without a daemon
 * @c: mode auto, native or generic; the interfaces are not looked at
 * Return: 0; -errno with one sentence in @err. The program passes everything until a daemon writes
 * the maps.
 */
int datapath_attach(const struct datapath_conf *c, const char *iface, char err[256]);
/* Remove the pin of the link: that detaches. -ENOENT: none of ours there, @err says how else. */
int datapath_detach(const char *pin_directory, const char *iface, char err[256]);

/**
 * datapath_set_scopes - all that selects a relationship: prefixes of scopes, and interfaces
 * Nothing is left of what a partner cannot serve: datapath_set_partner_empty tells it anew.
 * Return: 0; -E2BIG more prefixes than fit; -errno.
 */
int datapath_set_scopes(struct datapath *dp, const struct scope_table *t);
/* Our own addresses; where there are more than fit, an event, and to the rest all passes. */
int datapath_set_local(struct datapath *dp);

/**
 * datapath_set_policy - switch a relationship: fill an idle slot, read back, flip
 * Return: the generation (from 1), the old one when @p says nothing new; -errno.
 * Four slots bear three switches in a row at once; a fourth before the next membarrier waits for
 * one, about 20 ms. datapath_settle, called when there is time, spares that.
 */
int datapath_set_policy(struct datapath *dp, unsigned relation, const struct relation_policy *p);
/* The partner cannot serve these scopes (no free address left to it): by index of the scope. */
int datapath_set_partner_empty(struct datapath *dp, const struct scope_table *t, unsigned scope,
			       bool empty);
/* Wait until no packet can see a slot that was left. About 20 ms. */
void datapath_settle(struct datapath *dp);
/* Vouch for the maps until now + fail-open-after. Aligned store, no system call. */
void datapath_alive(struct datapath *dp);
void datapath_disarm(struct datapath *dp); /* deadline 0: pass everything, at once */
/* Each so manieth judged DISCOVER goes to tl_event; 0 none. */
void datapath_sample(struct datapath *dp, uint32_t every);

struct datapath_status {
	const char *mode;  /* native, generic, external, off */
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
/* DISCOVERs by relay. Return: how many there are (up to @max are written), or -errno. */
struct relay_health {
	uint32_t giaddr; /* host order */
	struct relay_counters counters;
};
int datapath_relays(struct datapath *dp, struct relay_health *ret, unsigned max);
