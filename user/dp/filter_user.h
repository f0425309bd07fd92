#pragma once
/*
 * The kernel's filter as ordinary C: the same filter_glance() and filter_closely() over tables in memory. Tests compare
 * it with the program; sanitizers and fuzzers see the parser through it; the daemon may ask it what
 * the kernel would do. The tables borrow what they point to.
 */
#include <stddef.h>
#include "core/scope.h"
#include "shared/xdp_abi.h"

struct filter_subnet {
	struct subnet_key key;
	struct relation_choice choice;
};

struct filter_iface {
	struct iface_key key;
	struct relation_choice choice;
};

struct filter_tables {
	struct filter_alive alive;
	uint64_t now_ns; /* to compare with alive.deadline_ns */
	const struct local_key *local;
	unsigned n_local;
	const struct filter_subnet *subnets; /* any order; the longest prefix wins */
	unsigned n_subnets;
	const struct filter_iface *ifaces;
	unsigned n_ifaces;
	const struct relation_policy *policies; /* by relationship; beyond them: serve all */
	unsigned n_policies;
};

/* What there is to know about one judged frame. */
struct filter_result {
	enum filter_reason reason;
	bool judged; /* the rest is written */
	uint32_t relation;
	uint16_t secs;
	uint8_t bucket;
};

/**
 * filter_user_verdict - what the kernel program says about a frame
 * @ifindex: where it came in
 * Return: never fails; filter_drops(ret->reason) says whether the frame is dropped.
 */
void filter_user_verdict(const struct filter_tables *t, uint32_t ifindex, const uint8_t *frame,
			 size_t len, struct filter_result *ret);

/* The prefixes of scopes, as tl_subnet gets them. Return: how many there are (fill up to @max). */
unsigned filter_subnets_of(const struct scope_table *t, struct filter_subnet *ret, unsigned max);

const char *filter_reason_name(enum filter_reason r);
const char *filter_reason_text(enum filter_reason r);
