#pragma once
/*
 * The HTTP+JSON API and /metrics. Handlers read through struct ctl_ops, or submit an operator's
 * wish; they never touch the state of other modules. Paths, objects and error codes: design of
 * the API in README.
 */
#include "conf/conf.h"
#include "core/server.h"

struct event_base;
struct ctl;

/* One counter or gauge under its only name; label "" none, else the value of the label @key. */
struct ctl_metric {
	const char *name, *key, *label, *help;
	bool gauge;
	double value;
};
#define CTL_METRICS_MAX 65536 /* 1,024 relationships */

struct ctl_status {
	const char *version, *server_name;
	uint32_t started;	 /* UTC sec */
	bool serving;		 /* false: the store is closed or failing */
	const char *why_not;	 /* when not serving; "" */
	const char *filter_mode; /* native, generic, external, off */
	uint32_t leases_active;
	uint64_t commits, commit_us_max;
	uint64_t store_used, store_size, disk_free;
};

/* The clock of the leases and the system's; UTC sec. */
struct ctl_clock {
	uint32_t ours, system, newest; /* newest: in the store */
	int64_t step_sec, limit_sec;
	bool behind; /* nobody is served: our clock lies before the newest time in the store */
};

struct ctl_filter {
	const char *mode;
	bool attached[64]; /* by interface of the configuration */
	uint64_t switches, switch_us_last, switch_us_max;
	unsigned n_reasons;
	struct {
		const char *name, *text;
		uint64_t packets, octets;
	} reason[64];
};

struct ctl_bucket {
	uint64_t passed, left, by_secs;
};

struct ctl_ops {
	void *ctx;
	struct now (*now)(void *ctx);
	const struct conf *(*conf)(void *ctx);
	const struct pool *(*pool)(void *ctx);
	void (*status)(void *ctx, struct ctl_status *ret);
	void (*relation)(void *ctx, unsigned i, struct fo_status *ret);
	/* FO_EV_OP_*; since: UTC sec or 0. Return: NULL done, or why it is refused. */
	const char *(*operate)(void *ctx, unsigned i, enum fo_event ev, uint32_t since);
	int (*lease)(void *ctx, uint32_t addr, struct lease *ret, struct lease_client *ret_client);
	int (*filter)(void *ctx, struct ctl_filter *ret); /* -ENOENT: no filter */
	int (*buckets)(void *ctx, unsigned relation, struct ctl_bucket ret[256]); /* -ENOENT */
	/* What would a DISCOVER of this client, relayed by or local to @subnet_addr, get right now?
	 * Nothing is held or stored. */
	void (*explain)(void *ctx, const struct lease_client *c, uint32_t subnet_addr,
			uint16_t secs, struct server_decision *ret);
	unsigned (*metrics)(void *ctx, struct ctl_metric ret[CTL_METRICS_MAX]);
	void (*clock)(void *ctx, struct ctl_clock *ret);
	const char *(*clock_accept)(void *ctx); /* NULL done, or why it is refused */
};

/**
 * ctl_open - listen on the API sockets of the configuration ("unix:/path": mode 0660)
 * Return: 0 or -errno with one sentence in @err. A stale socket file of a dead daemon is replaced.
 */
int ctl_open(struct event_base *base, const struct conf *c, const struct ctl_ops *ops,
	     struct ctl **ret, char err[256]);
void ctl_close(struct ctl *c); /* NULL is fine */
