#pragma once
/*
 * The real program in the kernel beside the daemon's own filter function, over the same tables:
 * the tests ask both. Needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON; without them a test exits 77.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "dp/filter_user.h"
#include "frames.h"
#include "shared/loadbal.h"
#include "twinlease.skel.h"

#define RIG_IFINDEX 1 /* what BPF_PROG_TEST_RUN says: loopback */
#define RIG_CPUS 256

struct rig {
	struct twinlease *skel;
	int prog;
	int cpus;
};

static inline __attribute__((format(printf, 2, 0))) int rig_quiet(enum libbpf_print_level level,
								  const char *fmt, va_list args)
{
	return level == LIBBPF_WARN && getenv("V") ? vfprintf(stderr, fmt, args) : 0;
}

/* Loads the program, or ends the process with 77 where that is not allowed. */
static inline void rig_open(struct rig *r)
{
	libbpf_set_print(rig_quiet);
	r->cpus = libbpf_num_possible_cpus();
	r->skel = twinlease__open_and_load();
	if (!r->skel && (errno == EPERM || geteuid() != 0)) {
		printf("skipped: loading the program needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n");
		exit(77);
	}
	if (!r->skel || r->cpus > RIG_CPUS) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		exit(1);
	}
	r->prog = bpf_program__fd(r->skel->progs.twinlease_xdp);
}

static inline void rig_close(struct rig *r)
{
	twinlease__destroy(r->skel);
}

/* ENOMEM passes: the kernel refills its per-CPU store of elements a moment later. */
static inline void rig_update(struct bpf_map *map, const void *key, const void *value)
{
	int r = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);

	for (int i = 0; r == -ENOMEM && i < 100; i++) {
		usleep(1000);
		r = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);
	}
	if (r) {
		fprintf(stderr, "%s: %s\n", bpf_map__name(map), strerror(errno));
		abort();
	}
}

static inline struct bpf_map *rig_bucket_map(struct rig *r, uint32_t relation)
{
	return relation < TL_BUCKET_NEAR ? r->skel->maps.tl_bucket : r->skel->maps.tl_bucket_more;
}

/* As the daemon does: untagged clients of a low interface index apart from the others. */
static inline void rig_iface(struct rig *r, const struct filter_iface *i)
{
	struct iface_choice near = { .relation = i->choice.relation,
				     .partner_cannot_serve = i->choice.partner_cannot_serve,
				     .known = 1 };

	if (i->key.ifindex < TL_IFACE_NEAR && !i->key.vlan)
		rig_update(r->skel->maps.tl_iface_near, &i->key.ifindex, &near);
	else
		rig_update(r->skel->maps.tl_iface, &i->key, &i->choice);
}

/* The same tables into the maps; @slot of each relationship is made the active one. */
static inline void rig_apply(struct rig *r, const struct filter_tables *t, unsigned slot)
{
	static struct bucket_counters fresh[RIG_CPUS];
	struct local_value ours = { .ifindex = RIG_IFINDEX };
	struct relation_control c = { .active_slot = slot };
	uint32_t key = 0;

	for (unsigned i = 0; i < t->n_local; i++)
		rig_update(r->skel->maps.tl_local, &t->local[i], &ours);
	for (unsigned i = 0; i < t->n_subnets; i++)
		rig_update(r->skel->maps.tl_subnet, &t->subnets[i].key, &t->subnets[i].choice);
	for (unsigned i = 0; i < t->n_ifaces; i++)
		rig_iface(r, &t->ifaces[i]);
	for (uint32_t i = 0; i < t->n_policies; i++) {
		uint32_t at = i * TL_SLOTS + slot;

		rig_update(r->skel->maps.tl_relation, &at, &t->policies[i]);
		rig_update(r->skel->maps.tl_control, &i, &c);
		rig_update(rig_bucket_map(r, i), &i, fresh);
	}
	rig_update(r->skel->maps.tl_alive, &key, &t->alive);
}

/* Return: XDP_PASS or XDP_DROP; negative when the run failed. @repeat 0 is once. */
static inline int rig_run_opts(int prog, const void *data, unsigned len, struct xdp_md *ctx,
			       unsigned repeat, uint32_t *ret_ns)
{
	static uint8_t out[65536];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = data, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = (int)repeat);

	if (ctx) {
		o.ctx_in = ctx;
		o.ctx_size_in = sizeof(*ctx);
	}
	if (bpf_prog_test_run_opts(prog, &o))
		return -errno;
	if (ret_ns)
		*ret_ns = o.duration;
	return (int)o.retval;
}

static inline int rig_run(struct rig *r, const struct frame *f)
{
	return rig_run_opts(r->prog, f->b, f->len, NULL, 1, NULL);
}

/* Sums over all CPUs. */
static inline void rig_verdicts(struct rig *r, struct filter_counter ret[FILTER_REASONS])
{
	static struct filter_verdicts v[RIG_CPUS];
	uint32_t key = 0;

	memset(ret, 0, FILTER_REASONS * sizeof(*ret));
	if (bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.tl_verdict), &key, v))
		abort();
	for (int cpu = 0; cpu < r->cpus; cpu++) {
		const struct filter_counter *c = (const struct filter_counter *)&v[cpu];

		for (unsigned i = 0; i < FILTER_REASONS; i++) {
			ret[i].packets += c[i].packets;
			ret[i].octets += c[i].octets;
		}
	}
}

/* What one run counted: the reason whose packets went up by one, or -1 when not exactly one. */
static inline int rig_counted(const struct filter_counter before[FILTER_REASONS],
			      const struct filter_counter after[FILTER_REASONS])
{
	int found = -1;

	for (unsigned i = 0; i < FILTER_REASONS; i++) {
		uint64_t d = after[i].packets - before[i].packets;

		if (d == 0)
			continue;
		if (d != 1 || found >= 0)
			return -1;
		found = (int)i;
	}
	return found;
}

static inline int rig_reason(struct rig *r, const struct frame *f, int *ret_action)
{
	struct filter_counter before[FILTER_REASONS], after[FILTER_REASONS];

	rig_verdicts(r, before);
	*ret_action = rig_run(r, f);
	rig_verdicts(r, after);
	return rig_counted(before, after);
}

static inline void rig_buckets(struct rig *r, uint32_t relation, struct bucket_counters *ret)
{
	static struct bucket_counters v[RIG_CPUS];

	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(bpf_map__fd(rig_bucket_map(r, relation)), &relation, v))
		return;
	for (int cpu = 0; cpu < r->cpus; cpu++) {
		for (unsigned b = 0; b < 256; b++) {
			ret->passed[b] += v[cpu].passed[b];
			ret->left[b] += v[cpu].left[b];
			ret->by_secs[b] += v[cpu].by_secs[b];
		}
	}
}

static inline uint64_t rig_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * The little world of the tests: relationship 0 owns buckets 0 to 127 (threshold 3), 1 the others
 * (never by secs), 2 serves none, 3 serves all, 4 hashes the hardware address.
 */
static inline void rig_world(struct filter_tables *t)
{
	static const struct local_key local[] = { { { 192, 0, 2, 1 } }, { { 192, 0, 2, 9 } } };
	static const struct filter_subnet subnets[] = {
		{ { 16, { 10, 1, 0, 0 } }, { .relation = 0 } },
		{ { 24, { 10, 1, 2, 0 } }, { .relation = 1 } },
		{ { 24, { 10, 1, 3, 0 } }, { .relation = TL_NO_RELATION } },
		{ { 24, { 10, 1, 4, 0 } }, { .relation = 0, .partner_cannot_serve = 1 } },
		{ { 24, { 10, 1, 5, 0 } }, { .relation = 2, .partner_cannot_serve = 1 } },
		{ { 24, { 10, 1, 6, 0 } }, { .relation = 3 } },
		{ { 24, { 10, 1, 7, 0 } }, { .relation = TL_MAX_RELATIONS } },
		{ { 24, { 10, 1, 8, 0 } }, { .relation = 4 } },
		{ { 25, { 10, 1, 8, 128 } }, { .relation = 1 } },
		{ { 24, { 10, 1, 9, 0 } }, { .relation = 7 } }, /* cleared: serves all */
	};
	static const struct filter_iface ifaces[] = {
		{ { RIG_IFINDEX, 0, { 0 } }, { .relation = 0 } },
		{ { RIG_IFINDEX, 5, { 0 } }, { .relation = 1 } },
		{ { RIG_IFINDEX, 6, { 0 } }, { .relation = 4 } },
		{ { RIG_IFINDEX, 7, { 0 } }, { .relation = TL_NO_RELATION } },
	};
	static struct relation_policy p[5] = {
		{ .serve = SERVE_BALANCE, .secs_threshold = 3 },
		{ .serve = SERVE_BALANCE, .secs_threshold = SECS_NEVER },
		{ .serve = SERVE_NONE, .secs_threshold = 0 },
		{ .serve = SERVE_ALL },
		{ .serve = SERVE_BALANCE, .secs_threshold = 6, .hash_identity = HASH_HARDWARE },
	};

	memset(p[0].owned, 0xff, 16);
	memset(p[1].owned + 16, 0xff, 16);
	memset(p[4].owned, 0xff, 16);
	*t = (struct filter_tables){
		.alive = { .abi_version = TL_ABI_VERSION, .deadline_ns = TL_DEADLINE_BY_HAND },
		.local = local,
		.n_local = sizeof(local) / sizeof(local[0]),
		.subnets = subnets,
		.n_subnets = sizeof(subnets) / sizeof(subnets[0]),
		.ifaces = ifaces,
		.n_ifaces = sizeof(ifaces) / sizeof(ifaces[0]),
		.policies = p,
		.n_policies = sizeof(p) / sizeof(p[0]),
	};
}
