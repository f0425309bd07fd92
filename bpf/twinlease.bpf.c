/*
 * The kernel half: leaves DISCOVERs to the partner that this server would not answer, before they
 * cost a socket. It loads by itself (bpftool prog load) and passes everything until its maps are
 * filled; see shared/filter.h for the rules, maps.bpf.h for the tables.
 *
 * Kernels from 6.1 on. License of this object: Dual BSD/GPL.
 */
#include "stats.bpf.h"

static __always_inline int judge(struct xdp_md *xdp, struct filter_verdicts *all)
{
	struct filter_frame frame;
	struct filter_env env;
	struct filter_work *w;
	enum filter_reason reason;

	env.xdp = xdp;
	env.data = (const __u8 *)(long)xdp->data;
	env.data_end = (const __u8 *)(long)xdp->data_end;
	reason = filter_closely(&env, &frame, &w);
	count(all, reason, frame.octets ? frame.octets : (__u64)(env.data_end - env.data));
	if (w && w->judged) {
		count_bucket(w, reason);
		if (w->giaddr)
			count_relay(w);
		if (sampled(w))
			tell(&env, &frame, w, reason);
	}
	return filter_drops(reason) ? XDP_DROP : XDP_PASS;
}

static __always_inline int pass(struct filter_counter *c, __u64 octets)
{
	c->packets++;
	c->octets += octets;
	return XDP_PASS;
}

SEC("xdp.frags")
int twinlease_xdp(struct xdp_md *xdp)
{
	struct filter_verdicts *all = first_of(&tl_verdict);
	const __u8 *data = (const __u8 *)(long)xdp->data;
	const __u8 *data_end = (const __u8 *)(long)xdp->data_end;
	enum filter_reason reason = FILTER_GO_ON;
	__u64 octets = (__u64)(data_end - data);

	if (!all)
		return XDP_PASS; /* there is always one */
	if (data + FILTER_GLANCE <= data_end)
		reason = filter_glance(data, &octets);
	switch (reason) {
	case REASON_NOT_DHCP:
		return pass(&all->not_dhcp, octets);
	case REASON_NOT_UDP:
		return pass(&all->not_udp, octets);
	case REASON_NOT_IPV4:
		return pass(&all->not_ipv4, octets);
	default:
		return judge(xdp, all);
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
