/*
 * The daemon's hand on the filter: opens it at start, then writes policy and deadline, without any
 * capability from then on (kernels from 6.1). Called by the loop thread only. A policy switch fills
 * an idle slot, reads it back and moves one index, so that a packet sees the old or the new one.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "dp/datapath_priv.h"
#include "sys/log.h"

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* In a time namespace CLOCK_MONOTONIC is shifted for us, but not for the program. */
static int64_t timens_offset_ns(void)
{
	FILE *f = fopen("/proc/self/timens_offsets", "re");
	long long sec, nsec, ret = 0;
	char name[32];

	while (f && fscanf(f, "%31s %lld %lld", name, &sec, &nsec) == 3) {
		if (!strcmp(name, "monotonic"))
			ret = sec * 1000000000 + nsec;
	}
	if (f)
		fclose(f);
	return ret;
}

static size_t pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static void *map_memory(int fd, size_t size)
{
	void *p = mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Attached by somebody else meanwhile, or newly: the pins tell, where we may open them. */
static bool still_attached(const struct datapath *dp, struct dp_iface *i)
{
	uint32_t pins[2];

	if (dp_is_attached(i->name, i->prog_id))
		return true;
	pins[0] = dp_link_prog(dp->pin_directory, i->name);
	pins[1] = dp_pinned_prog(dp->pin_directory);
	for (unsigned n = 0; n < 2; n++) {
		if (!dp_is_attached(i->name, pins[n]))
			continue;
		i->prog_id = pins[n];
		return true;
	}
	return false;
}

static int take_maps(struct datapath *dp, char err[256])
{
	dp->cpus = libbpf_num_possible_cpus();
	if (dp->cpus > 0)
		dp->buckets = calloc((size_t)dp->cpus, sizeof(*dp->buckets));
	dp->alive = map_memory(dp->maps.fd[MAP_tl_alive], sizeof(*dp->alive));
	dp->control =
		map_memory(dp->maps.fd[MAP_tl_control], TL_MAX_RELATIONS * sizeof(*dp->control));
	dp->near = map_memory(dp->maps.fd[MAP_tl_iface_near], TL_IFACE_NEAR * sizeof(*dp->near));
	if (!dp->alive || !dp->control || !dp->near || !dp->buckets) {
		snprintf(err, 256, "cannot map the filter's tables into memory: %s",
			 strerror(errno));
		return -ENOMEM;
	}
	for (unsigned i = 0; i < dp->n_ifaces; i++) /* later we may not open the link's pin */
		(void)still_attached(dp, &dp->ifaces[i]);
	dp->timens_ns = timens_offset_ns();
	datapath_disarm(dp); /* until all tables are ours */
	datapath_settle(dp); /* whatever a former daemon left half-way */
	__atomic_store_n(&dp->alive->abi_version, TL_ABI_VERSION, __ATOMIC_RELEASE);
	return 0;
}

/* Which of the interfaces? All must in native and generic mode; in auto one that fails is told. */
static int attach_all(struct datapath *dp, const struct datapath_conf *c, int prog, char err[256])
{
	unsigned attached = 0;
	const char *mode;
	int r = -ENODEV;

	snprintf(err, 256, "no interface is configured");
	for (unsigned i = 0; i < c->n_interfaces; i++) {
		r = dp_attach(c, c->interfaces[i], prog, &mode, err);
		if (r < 0 && c->mode != FILTER_AUTO)
			return r;
		if (r < 0) {
			log_event(LOG_L_WARNING, "filter-not-attached",
				  "interface=%s reason=\"%s\"", c->interfaces[i], err);
			continue;
		}
		if (!attached++ || !strcmp(mode, "generic"))
			dp->mode = mode;
		if (c->mode == FILTER_AUTO && !strcmp(mode, "generic"))
			log_event(LOG_L_WARNING, "filter-generic", "interface=%s",
				  c->interfaces[i]);
	}
	return attached ? 0 : r;
}

static int load_and_attach(struct datapath *dp, const struct datapath_conf *c, char err[256])
{
	int prog, r = dp_pins_load(c->pin_directory, c->group, &prog, &dp->maps, err);

	if (r < 0)
		return r;
	r = attach_all(dp, c, prog, err);
	close(prog);
	return r;
}

/* Attached before by somebody who may, and we may not: then it is as if configured external. */
static int open_pinned(struct datapath *dp, const struct datapath_conf *c, char err[256])
{
	dp->mode = "external";
	return dp_pins_open(c->pin_directory, &dp->maps, err);
}

static int open_by_mode(struct datapath *dp, const struct datapath_conf *c, char err[256])
{
	char ignored[256];
	int r;

	if (c->mode == FILTER_EXTERNAL)
		return open_pinned(dp, c, err);
	r = load_and_attach(dp, c, err);
	if (r < 0 && c->mode == FILTER_AUTO && (r == -EPERM || r == -EACCES) &&
	    open_pinned(dp, c, ignored) == 0)
		return 0;
	return r;
}

static int remember_conf(struct datapath *dp, const struct datapath_conf *c, char err[256])
{
	if (strlen(c->pin_directory) >= sizeof(dp->pin_directory) || c->n_interfaces > DP_IFACES) {
		snprintf(err, 256, "too many interfaces, or too long a pin directory");
		return -E2BIG;
	}
	strcpy(dp->pin_directory, c->pin_directory);
	for (unsigned i = 0; i < c->n_interfaces; i++)
		snprintf(dp->ifaces[i].name, sizeof(dp->ifaces[i].name), "%s", c->interfaces[i]);
	dp->n_ifaces = c->n_interfaces;
	dp->fail_open_ns = (uint64_t)c->fail_open_after_ms * 1000000u;
	dp->mode = "off";
	return 0;
}

int datapath_open(const struct datapath_conf *c, struct datapath **ret, char err[256])
{
	struct datapath *dp;
	int r;

	err[0] = 0;
	if (c->mode == FILTER_OFF) {
		*ret = NULL;
		return 0;
	}
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return -ENOMEM;
	r = remember_conf(dp, c, err);
	if (!r)
		r = open_by_mode(dp, c, err);
	if (!r)
		r = take_maps(dp, err);
	if (r < 0) {
		datapath_close(dp);
		dp = NULL;
	}
	if (r < 0 && c->mode == FILTER_AUTO) {
		log_event(LOG_L_WARNING, "filter-off", "reason=\"%s\"", err);
		r = 0;
	}
	if (!r)
		*ret = dp;
	return r;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	if (dp->alive)
		munmap(dp->alive, pages(sizeof(*dp->alive)));
	if (dp->control)
		munmap(dp->control, pages(TL_MAX_RELATIONS * sizeof(*dp->control)));
	if (dp->near)
		munmap(dp->near, pages(TL_IFACE_NEAR * sizeof(*dp->near)));
	dp_maps_close(&dp->maps);
	free(dp->buckets);
	free(dp);
}

/* --- deadline --------------------------------------------------------------------------------- */

void datapath_alive(struct datapath *dp)
{
	uint64_t kernel_now = monotonic_ns() - (uint64_t)dp->timens_ns;

	__atomic_store_n(&dp->alive->deadline_ns, kernel_now + dp->fail_open_ns, __ATOMIC_RELEASE);
}

void datapath_disarm(struct datapath *dp)
{
	__atomic_store_n(&dp->alive->deadline_ns, 0, __ATOMIC_RELEASE);
}

void datapath_sample(struct datapath *dp, uint32_t every)
{
	__atomic_store_n(&dp->alive->sample_every, every, __ATOMIC_RELAXED);
}

/* --- policy ----------------------------------------------------------------------------------- */

void datapath_settle(struct datapath *dp)
{
	static const struct timespec long_enough = { .tv_nsec = 100000000 };

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&long_enough, NULL); /* nohz_full: there is none */
	memset(dp->flips, 0, sizeof(dp->flips));
}

static bool same_policy(const struct relation_policy *a, const struct relation_policy *b)
{
	return a->serve == b->serve && !memcmp(a->owned, b->owned, sizeof(a->owned)) &&
	       a->secs_threshold == b->secs_threshold && a->hash_identity == b->hash_identity;
}

/* Fill a slot that no packet reads, and be sure of it. */
static int fill_slot(int fd, uint32_t slot, const struct relation_policy *p)
{
	struct relation_policy there;

	if (bpf_map_update_elem(fd, &slot, p, BPF_ANY) || bpf_map_lookup_elem(fd, &slot, &there))
		return -errno;
	return memcmp(&there, p, sizeof(there)) ? -EIO : 0;
}

static void count_switch(struct datapath *dp, uint64_t since_ns)
{
	uint64_t us = (monotonic_ns() - since_ns) / 1000;

	dp->switch_us_last = us;
	if (us > dp->switch_us_max)
		dp->switch_us_max = us;
	dp->switches++;
}

/*
 * Beyond tl_bucket the kernel counts only where there is an element; with many processors it is
 * large. The kernel takes it from a store that it refills a moment later: -ENOMEM passes.
 */
static void want_buckets(struct datapath *dp, uint32_t relation)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	int fd = dp->maps.fd[MAP_tl_bucket_more], r;

	if (relation < TL_BUCKET_NEAR || dp->has_buckets[relation])
		return;
	memset(dp->buckets, 0, (size_t)dp->cpus * sizeof(*dp->buckets));
	r = bpf_map_update_elem(fd, &relation, dp->buckets, BPF_NOEXIST);
	for (int i = 0; r == -ENOMEM && i < 20; i++) {
		nanosleep(&moment, NULL);
		r = bpf_map_update_elem(fd, &relation, dp->buckets, BPF_NOEXIST);
	}
	dp->has_buckets[relation] = !r || r == -EEXIST;
}

int datapath_set_policy(struct datapath *dp, unsigned relation, const struct relation_policy *p)
{
	uint64_t since = monotonic_ns();
	struct relation_policy now, next = *p;
	uint32_t active, slot;
	int fd = dp->maps.fd[MAP_tl_relation], r;

	if (relation >= TL_MAX_RELATIONS)
		return -ERANGE;
	active = dp->control[relation].active_slot % TL_SLOTS;
	slot = relation * TL_SLOTS + active;
	if (bpf_map_lookup_elem(fd, &slot, &now))
		return -errno;
	if (now.generation && same_policy(&now, p))
		return (int)now.generation;
	if (dp->flips[relation] >= TL_SLOTS - 1)
		datapath_settle(dp);
	next.generation = now.generation % INT32_MAX + 1;
	memset(next.pad, 0, sizeof(next.pad));
	active = (active + 1) % TL_SLOTS;
	r = fill_slot(fd, relation * TL_SLOTS + active, &next);
	if (r < 0)
		return r;
	__atomic_store_n(&dp->control[relation].active_slot, active, __ATOMIC_RELEASE);
	dp->flips[relation]++;
	count_switch(dp, since);
	want_buckets(dp, relation);
	return (int)next.generation;
}

/* --- what the kernel counted ------------------------------------------------------------------ */

void datapath_status(struct datapath *dp, struct datapath_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->mode = dp->mode;
	for (unsigned i = 0; i < dp->n_ifaces; i++)
		ret->attached[i] = still_attached(dp, &dp->ifaces[i]);
	ret->switch_us_last = dp->switch_us_last;
	ret->switch_us_max = dp->switch_us_max;
	ret->switches = dp->switches;
}

int datapath_verdicts(struct datapath *dp, struct filter_counter ret[FILTER_REASONS])
{
	struct filter_verdicts *all = calloc((size_t)dp->cpus, sizeof(*all));
	uint32_t key = 0;
	int r = 0;

	if (!all)
		return -ENOMEM;
	if (bpf_map_lookup_elem(dp->maps.fd[MAP_tl_verdict], &key, all))
		r = -errno;
	if (!r)
		memset(ret, 0, FILTER_REASONS * sizeof(*ret));
	for (int cpu = 0; !r && cpu < dp->cpus; cpu++) {
		const struct filter_counter *c = (const struct filter_counter *)&all[cpu];

		for (unsigned i = 0; i < FILTER_REASONS; i++) {
			ret[i].packets += c[i].packets;
			ret[i].octets += c[i].octets;
		}
	}
	free(all);
	return r;
}

int datapath_buckets(struct datapath *dp, unsigned relation, struct bucket_counter ret[256])
{
	enum map_id map = relation < TL_BUCKET_NEAR ? MAP_tl_bucket : MAP_tl_bucket_more;
	uint32_t key = relation;

	if (bpf_map_lookup_elem(dp->maps.fd[map], &key, dp->buckets))
		return -errno;
	memset(ret, 0, 256 * sizeof(*ret));
	for (int cpu = 0; cpu < dp->cpus; cpu++) {
		for (unsigned b = 0; b < 256; b++) {
			ret[b].passed += dp->buckets[cpu].passed[b];
			ret[b].left += dp->buckets[cpu].left[b];
			ret[b].by_secs += dp->buckets[cpu].by_secs[b];
		}
	}
	return 0;
}

int datapath_relays(struct datapath *dp, struct relay_health *ret, unsigned max)
{
	int fd = dp->maps.fd[MAP_tl_relay], n = 0;
	struct relay_counters c;
	struct relay_key key, *at = NULL;

	/* the map changes under us: what is gone by now is left out, the number of steps is bounded
	 */
	while (n < TL_MAX_RELAYS && !bpf_map_get_next_key(fd, at, &key)) {
		at = &key;
		if (bpf_map_lookup_elem(fd, &key, &c))
			continue;
		if ((unsigned)n < max) {
			ret[n].giaddr = (uint32_t)key.address[0] << 24 |
					(uint32_t)key.address[1] << 16 |
					(uint32_t)key.address[2] << 8 | key.address[3];
			ret[n].counters = c;
		}
		n++;
	}
	return n;
}
