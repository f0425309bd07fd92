#pragma once
/* Counting: every exit under one reason; judged DISCOVERs also by bucket and by relay. */
#include "hooks.bpf.h"

static __always_inline void count(struct filter_verdicts *all, enum filter_reason reason,
				  __u64 octets)
{
	struct filter_counter *c;
	__u64 i = reason;

	asm volatile("" : "+r"(i)); /* or clang knows the range and drops the check below */
	if (i >= FILTER_REASONS)
		return;
	c = (struct filter_counter *)all + i;
	c->packets++;
	c->octets += octets;
}

static __always_inline void count_bucket(const struct filter_work *w, enum filter_reason reason)
{
	__u32 relation = w->relation;
	struct bucket_counters *c;
	__u64 *by_bucket;

	if (reason == REASON_NOT_SERVING)
		return;
	c = bpf_map_lookup_elem(&tl_bucket, &relation);
	if (!c && relation >= TL_BUCKET_NEAR)
		c = bpf_map_lookup_elem(&tl_bucket_more, &relation);
	if (!c)
		return;
	by_bucket = reason == REASON_PARTNERS  ? c->left
		    : reason == REASON_BY_SECS ? c->by_secs
					       : c->passed;
	by_bucket[FILTER_BOUND(w->bucket, 255)]++;
}

static __always_inline __u64 *relay_step(struct relay_counters *c, const struct filter_work *w)
{
	__u64 *step = w->owned ? &c->ours_secs_0 : &c->partners_secs_0;

	return step + (w->secs >= 8 ? 3 : w->secs >= 4 ? 2 : w->secs >= 1 ? 1 : 0);
}

static __always_inline void count_relay(struct filter_work *w)
{
	struct relay_counters *c;
	struct relay_key key;

	__builtin_memcpy(key.address, &w->giaddr, 4);
	c = bpf_map_lookup_elem(&tl_relay, &key);
	if (!c) {
		struct relay_counters fresh = {};

		bpf_map_update_elem(&tl_relay, &key, &fresh, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&tl_relay, &key);
		if (!c)
			return;
	}
	c->last_seen_ns = clock(w);
	__sync_fetch_and_add(relay_step(c, w), 1);
}

static __always_inline void tell(struct filter_env *env, const struct filter_frame *f,
				 struct filter_work *w, enum filter_reason reason)
{
	struct filter_event *e = bpf_ringbuf_reserve(&tl_event, sizeof(*e), 0);

	if (!e)
		return;
	e->time_ns = clock(w);
	e->reason = reason;
	e->ifindex = env->xdp->ingress_ifindex;
	e->relation = w->relation;
	e->vlan = f->vlan;
	e->secs = w->secs;
	e->bucket = w->bucket;
	e->hlen = w->msg[DHCP_OFF_HLEN];
	e->pad[0] = e->pad[1] = 0;
	__builtin_memcpy(e->giaddr, &w->giaddr, 4);
	__builtin_memcpy(e->chaddr, w->msg + DHCP_OFF_CHADDR, 16);
	bpf_ringbuf_submit(e, 0);
}

/* One in so many, counted per CPU. */
static __always_inline int sampled(struct filter_work *w)
{
	const struct filter_alive *alive = first_of(&tl_alive);

	if (!alive || !alive->sample_every || ++w->since_event < alive->sample_every)
		return 0;
	w->since_event = 0;
	return 1;
}
