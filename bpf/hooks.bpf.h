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

#define FILTER_OPAQUE(w, x) ((x) ^ (w)->nothing)

/* The verifier sees to it that this is only loaded where the machine does it in one go. */
#define FILTER_LOAD(type, p) (*(const type *)(p))

struct filter_env {
	struct xdp_md *xdp;
	const __u8 *data, *data_end;
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

static const __u32 first_key = 0;

static __always_inline void *first_of(void *map)
{
	return bpf_map_lookup_elem(map, &first_key);
}

/* Headers: where they are, or a copy when the first buffer of the frame is shorter. */
static __always_inline const __u8 *filter_peek(struct filter_env *env, __u32 off, __u32 n)
{
	const __u8 *p = env->data + off;

	if (p + n <= env->data_end)
		return p;
	return bpf_xdp_load_bytes(env->xdp, off, env->head, n) ? 0 : env->head;
}

struct octets_8 {
	__u64 words[1];
};
struct octets_32 {
	__u64 words[4];
};
struct octets_48 {
	__u64 words[6];
};
#define COPY(type, dst, src) (*(struct type *)(dst) = *(const struct type *)(src))

/*
 * A helper would cost as much as the rest of the walk, therefore by hand: the fixed part, blocks
 * of 32 octets, and the last 32, which may overlap. The slack behind @dst is wide enough for them.
 * Return: 0, or -1 when the message is not whole in the first buffer.
 */
static __always_inline int copy_by_hand(struct filter_env *env, __u32 off, struct filter_work *w,
					__u32 n)
{
	const __u8 *p = env->data + off, *last;
	__u64 at = FILTER_BOUND(n - 32, FILTER_MSG_MAX - 1), left = FILTER_OPAQUE(w, (__u64)n);
	__u8 *dst = w->msg;

	asm volatile("" : "+r"(p)); /* one pointer, of which the verifier learns how far it goes */
	last = p + at;
	if (last + 32 > env->data_end || p + DHCP_OPTIONS_OFF > env->data_end)
		return -1;
	COPY(octets_48, dst, p);					      /* op to chaddr */
	COPY(octets_8, dst + DHCP_OPTIONS_OFF - 8, p + DHCP_OPTIONS_OFF - 8); /* the cookie */
	COPY(octets_32, dst + at, last);
	for (__u64 i = DHCP_OPTIONS_OFF; i < FILTER_MSG_MAX; i += 32) {
		if (i + 32 >= left)
			break;
		if (p + i + 32 > env->data_end)
			return -1;
		COPY(octets_32, dst + i, p + i);
	}
	return 0;
}

static __always_inline int filter_copy(struct filter_env *env, __u32 off, struct filter_work *w,
				       __u32 n)
{
	if (copy_by_hand(env, off, w, n) == 0)
		return 0;
	/* n is in 1..2048 already; verifiers up to 6.5 want to see it here */
	return (int)bpf_xdp_load_bytes(env->xdp, off, w->msg,
				       FILTER_BOUND(n - 1, FILTER_MSG_MAX - 1) + 1);
}

/* Seldom asked for, therefore not copied before: only option 52 makes options of sname and file. */
static __always_inline int filter_copy_fields(struct filter_env *env, __u32 off,
					      struct filter_work *w)
{
	return (int)bpf_xdp_load_bytes(env->xdp, off + DHCP_OFF_SNAME, w->msg + DHCP_OFF_SNAME,
				       DHCP_SNAME_LEN + DHCP_FILE_LEN);
}

static __always_inline struct filter_work *filter_scratch(struct filter_env *env)
{
	(void)env;
	return first_of(&tl_scratch);
}

/*
 * The coarse clock goes by ticks, and reading it is a helper's call: once per tick and CPU is
 * enough (it may be a tick behind: the kernel counts a tick before it moves the clock). Jiffies are
 * read in place.
 */
static __always_inline __u64 clock(struct filter_work *w)
{
	__u64 tick = bpf_jiffies64();

	if (w->tick != tick || !w->now_ns) {
		w->tick = tick;
		w->now_ns = bpf_ktime_get_coarse_ns();
	}
	return w->now_ns;
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

/* Whole in one load, as the daemon stores it. */
static __always_inline int find_near(__u32 ifindex, struct relation_choice *ret)
{
	const volatile __u64 *found = bpf_map_lookup_elem(&tl_iface_near, &ifindex);
	struct iface_choice c;

	if (!found)
		return 0;
	*(__u64 *)&c = *found;
	ret->relation = c.relation;
	ret->partner_cannot_serve = c.partner_cannot_serve;
	return c.known;
}

static __always_inline int filter_find_iface(struct filter_env *env, __u16 vlan,
					     struct relation_choice *ret)
{
	struct iface_key key = { .ifindex = env->xdp->ingress_ifindex, .vlan = vlan };
	const struct relation_choice *found;

	if (!vlan && find_near(key.ifindex, ret))
		return 1;
	found = bpf_map_lookup_elem(&tl_iface, &key);
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

static __always_inline enum filter_reason filter_vouched(struct filter_env *env,
							 struct filter_work *w)
{
	const volatile struct filter_alive *alive = first_of(&tl_alive);
	__u64 deadline;

	(void)env;
	if (!alive || alive->abi_version != TL_ABI_VERSION)
		return REASON_NOT_ARMED;
	deadline = alive->deadline_ns;
	if (deadline == 0)
		return REASON_NOT_ARMED;
	if (deadline == TL_DEADLINE_BY_HAND)
		return FILTER_GO_ON;
	return clock(w) < deadline ? FILTER_GO_ON : REASON_DEADLINE;
}
