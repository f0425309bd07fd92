#pragma once
/*
 * What shared/filter.h asks of the half that includes it, as the kernel gives it: the frame by
 * direct access with a copy where it lies in several buffers, the tables by map look-up.
 */
#include "maps.bpf.h"

#define FILTER_GLOBAL __attribute__((noinline))

/* clang drops a mask that it knows to be idle; verifiers up to 6.8 then miss the bound. */
#define FILTER_BOUND(x, mask)                                                                      \
	({                                                                                         \
		__u64 bound_ = (x);                                                                \
		asm volatile("%0 &= %1" : "+r"(bound_) : "i"(mask));                               \
		bound_;                                                                            \
	})

#define FILTER_FORGET() asm volatile("" ::: "memory")

struct filter_env {
	struct xdp_md *xdp;
	const __u8 *data, *data_end;
	__u64 now; /* 0: not read yet */
	__u8 head[20];
};

#include "shared/filter.h"

/* The one message that this CPU looks at; never shared, never seen by users. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct filter_work);
} tl_scratch SEC(".maps");

static __always_inline void *first_of(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* Headers: where they are, or a copy when the first buffer of the frame is shorter. */
static __always_inline const __u8 *filter_peek(struct filter_env *env, __u32 off, __u32 n)
{
	const __u8 *p = env->data + off;

	if (p + n <= env->data_end)
		return p;
	return bpf_xdp_load_bytes(env->xdp, off, env->head, n) ? 0 : env->head;
}

static __always_inline int filter_copy(struct filter_env *env, __u32 off, __u8 *dst, __u32 n)
{
	/* n is in 1..2048 already; verifiers up to 6.5 want to see it here */
	return (int)bpf_xdp_load_bytes(env->xdp, off, dst,
				       FILTER_BOUND(n - 1, FILTER_MSG_MAX - 1) + 1);
}

static __always_inline int filter_eight_pads(const __u8 *p)
{
	return *(const __u64 *)p == 0;
}

static __always_inline struct filter_work *filter_scratch(struct filter_env *env)
{
	(void)env;
	return first_of(&tl_scratch);
}

/* Tick resolution, half the price of the exact clock; at most once per packet. */
static __always_inline __u64 clock(struct filter_env *env)
{
	if (!env->now)
		env->now = bpf_ktime_get_coarse_ns();
	return env->now;
}

static __always_inline int filter_find_local(struct filter_env *env, __u32 addr)
{
	struct local_key key;

	(void)env;
	__builtin_memcpy(key.address, &addr, 4);
	return bpf_map_lookup_elem(&tl_local, &key) != 0;
}

static __always_inline int filter_find_subnet(struct filter_env *env, __u32 addr,
					      struct relation_choice *ret)
{
	struct subnet_key key = { .prefix_length = 32 };
	const struct relation_choice *found;

	(void)env;
	__builtin_memcpy(key.address, &addr, 4);
	found = bpf_map_lookup_elem(&tl_subnet, &key);
	if (found)
		*ret = *found;
	return found != 0;
}

static __always_inline int filter_find_iface(struct filter_env *env, __u16 vlan,
					     struct relation_choice *ret)
{
	struct iface_key key = { .ifindex = env->xdp->ingress_ifindex, .vlan = vlan };
	const struct relation_choice *found = bpf_map_lookup_elem(&tl_iface, &key);

	if (found)
		*ret = *found;
	return found != 0;
}

/* The active slot is read once: what it names stays whole while we look at it. */
static __always_inline const struct relation_policy *filter_find_policy(struct filter_env *env,
									__u32 relation)
{
	const volatile struct relation_control *control;
	__u32 slot;

	(void)env;
	control = bpf_map_lookup_elem(&tl_control, &relation);
	if (!control)
		return 0;
	slot = control->active_slot;
	if (slot >= TL_SLOTS)
		return 0;
	slot += relation * TL_SLOTS;
	return bpf_map_lookup_elem(&tl_relation, &slot);
}

static __always_inline enum filter_reason filter_vouched(struct filter_env *env)
{
	const volatile struct filter_alive *alive = first_of(&tl_alive);
	__u64 deadline;

	if (!alive || alive->abi_version != TL_ABI_VERSION)
		return REASON_NOT_ARMED;
	deadline = alive->deadline_ns;
	if (deadline == 0)
		return REASON_NOT_ARMED;
	if (deadline == TL_DEADLINE_BY_HAND)
		return FILTER_GO_ON;
	return clock(env) < deadline ? FILTER_GO_ON : REASON_DEADLINE;
}
