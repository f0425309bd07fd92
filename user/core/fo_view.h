#pragma once
/*
 * What serving clients needs to know of a failover relationship: a value made by fo_endpoint at
 * every change and read for every packet. A scope without relationship uses fo_view_alone.
 */
#include "core/types.h"
#include "shared/xdp_abi.h"

struct fo_view {
	struct relation_policy policy; /* who answers DISCOVER and INIT-REBOOT; also in the maps */
	bool primary;		       /* our role: FREE is ours, else BACKUP is */
	bool serve_new;	  /* DISCOVER, SELECTING, INIT-REBOOT, DECLINE, RELEASE are heard */
	bool serve_renew; /* RENEWING and REBINDING are heard */
	bool nak;	  /* what we know is certain enough to refuse a client (decision A15) */
	bool hold;     /* only own unexpired ACTIVE leases are renewed, no longer than the partner
			* waits for (decision A8; RECOVER-DONE without a link) */
	bool balanced; /* NORMAL: the policy's buckets decide; else everybody is served */
	bool limited;  /* the MCLT bounds what a client is promised */
	bool isc;      /* the partner is an ISC dhcpd: in NORMAL its primary alone expires */
	bool partner_down;    /* PARTNER-DOWN: addresses return without the partner's word */
	uint32_t mclt;	      /* sec; 0 only without a relationship */
	uint32_t mclt_former; /* sec, PARTNER-DOWN: by this longer one the partner may have promised
				 before it was lost (decision A16); 0: there is none */
	uint32_t partner_pool_from; /* UTC sec from which the partner's free addresses are ours to
				       give (PARTNER-DOWN: stos + MCLT); SEC_INFINITE = never */
	/* sec, PARTNER-DOWN: the clock of a partner that takes our times as they are may be so far
	 * behind, and they come so much later by it */
	uint32_t behind;
};

/* The lead time that waits for the partner's promises go by, sec, as long as it is by our clock. */
static inline uint32_t fo_view_wait(const struct fo_view *v)
{
	return (v->mclt_former > v->mclt ? v->mclt_former : v->mclt) + v->behind;
}

/* No relationship: serves everybody, no limit (mclt 0), every address ours as if PARTNER-DOWN had
 * begun long ago. */
extern const struct fo_view fo_view_alone;

/**
 * fo_view_narrow - what may be promised while a new view waits for its commit
 * @now: the view in force; @next: the latest one that was decided
 *
 * A right that @next gives is there when its state is on disk; one that it takes away ends at once.
 * Else a server that has left PARTNER-DOWN would go on to give the partner's addresses, while
 * NORMAL has been told to the partner, and that gives them too.
 */
struct fo_view fo_view_narrow(const struct fo_view *now, const struct fo_view *next);
