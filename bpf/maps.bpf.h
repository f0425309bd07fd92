#pragma once
/*
 * The maps. Names, keys and values are public: operators dump them with bpftool, by their BTF they
 * print in words. The daemon writes them through user/dp/datapath.c.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "shared/xdp_abi.h"

/* Who vouches for the maps, and until when. Writer: daemon, by mmap. Reader: before each drop. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct filter_alive);
} tl_alive SEC(".maps");

/* Relationship -> its active slot. Writer: daemon, by mmap, after the slot was filled. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TL_MAX_RELATIONS);
	__type(key, __u32);
	__type(value, struct relation_control);
} tl_control SEC(".maps");

/* Slot relationship * TL_SLOTS + n -> policy. Writer: daemon, idle slots only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TL_MAX_RELATIONS *TL_SLOTS);
	__type(key, __u32);
	__type(value, struct relation_policy);
} tl_relation SEC(".maps");

/* Our IPv4 addresses. Writer: daemon. Full: the daemon says so; to the rest, all passes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TL_MAX_LOCAL);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct local_key);
	__type(value, struct local_value);
} tl_local SEC(".maps");

/* Prefixes of the configured subnets. Writer: daemon, which refuses more than fit. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, TL_MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct subnet_key);
	__type(value, struct relation_choice);
} tl_subnet SEC(".maps");

/* Untagged clients without a relay, by the index of their interface. Writer: daemon, by mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TL_IFACE_NEAR);
	__type(key, __u32);
	__type(value, struct iface_choice);
} tl_iface_near SEC(".maps");

/* The other clients without a relay. Writer: daemon, which refuses more than fit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TL_MAX_IFACES);
	__type(key, struct iface_key);
	__type(value, struct relation_choice);
} tl_iface SEC(".maps");

/* Every exit under one reason. Writer: kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct filter_verdicts);
} tl_verdict SEC(".maps");

/* Relationships below TL_BUCKET_NEAR -> counters by bucket. Writer: kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TL_BUCKET_NEAR);
	__type(key, __u32);
	__type(value, struct bucket_counters);
} tl_bucket SEC(".maps");

/* The other relationships. Elements: made by the daemon; a missing one is not counted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TL_MAX_RELATIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct bucket_counters);
} tl_bucket_more SEC(".maps");

/* Relays of known subnets. Writer: kernel. Full: the one that was silent longest is forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TL_MAX_RELAYS);
	__type(key, struct relay_key);
	__type(value, struct relay_counters);
} tl_relay SEC(".maps");

/* Sampled verdicts. Writer: kernel; reader: daemon. Full: the sample is lost. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TL_EVENT_OCTETS);
} tl_event SEC(".maps");
