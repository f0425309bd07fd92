/*
 * The kernel half: leaves DISCOVERs to the partner that this server would not answer, before they
 * cost a socket. It loads by itself (bpftool prog load) and passes everything until its maps are
 * filled; see shared/filter.h for the rules, maps.bpf.h for the tables.
 *
 * Kernels from 6.1 on. License of this object: Dual BSD/GPL.
 */
#include "stats.bpf.h"

SEC("xdp.frags")
int twinlease_xdp(struct xdp_md *xdp)
{
	struct filter_env env = { .xdp = xdp,
				  .data = (const __u8 *)(long)xdp->data,
				  .data_end = (const __u8 *)(long)xdp->data_end };
	struct filter_frame frame;
	struct filter_work *w;
	enum filter_reason reason = filter_verdict(&env, &frame, &w);

	count_verdict(&env, &frame, reason);
	if (w && w->judged) {
		count_bucket(w, reason);
		if (w->giaddr)
			count_relay(&env, w);
		if (sampled(w))
			tell(&env, &frame, w, reason);
	}
	return filter_drops(reason) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
