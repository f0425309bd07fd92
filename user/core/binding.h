#pragma once
/*
 * The rules of a binding in failover: how long a client may be promised an address, and what
 * becomes of an update from the partner. Pure functions over struct lease.
 * Spec: draft-ietf-dhc-failover-12 §5.2.1, §7.1.
 */
#include "core/fo_view.h"
#include "core/lease.h"

struct lease_grant {
	uint32_t seconds; /* to the client: options 51; SEC_INFINITE only without failover */
	uint32_t expires; /* UTC sec, clamped */
	uint32_t pet;	  /* potential expiry to tell the partner; 0 without failover */
	enum { LIMIT_NONE, LIMIT_MCLT, LIMIT_ACKED_PET, LIMIT_RCVD_PET } limited_by;
};

/**
 * binding_grant - the lease time by the MCLT rule
 * @l:       the binding as it stands (acked_pet and rcvd_pet count, sent_pet never does)
 * @desired: seconds that configuration and the client's wish give
 *
 * actual = min(desired, max(acked_pet, rcvd_pet, now) + MCLT - now);
 * potential expiry = now + desired + actual / 2.
 * Spec: draft §7.1.5; failover-12 §5.2.1.
 */
struct lease_grant binding_grant(const struct fo_view *v, const struct lease *l, wall_t now,
				 uint32_t desired);

/* The free state that is ours to allocate from: FREE of the primary, BACKUP of the secondary. */
static inline bool binding_is_ours(const struct fo_view *v, const struct lease *l)
{
	return v->primary ? l->state == LEASE_NONE || l->state == LEASE_FREE :
			    l->state == LEASE_BACKUP;
}

/* May this free address be given to a new client now? Includes the partner's after the wait. */
bool binding_may_allocate(const struct fo_view *v, const struct lease *l, wall_t now);

/* UTC second from which an EXPIRED, RELEASED or RESET binding may be used for anybody in
 * PARTNER-DOWN: max(expires, all potential expiries, stos of PD) + MCLT (draft, decision 6.4).
 * Of a lowered MCLT the former one counts, if it held when PARTNER-DOWN was entered (A16). */
uint32_t binding_reclaim_at(const struct fo_view *v, const struct lease *l, uint32_t pd_stos);

/* An update about one address as received, times already corrected to our clock. */
struct binding_update {
	struct lease lease;  /* state, expires, rcvd_pet (= PET of the message), cltt, stos, serial, flags */
	bool has_cltt, has_serial, has_client;
	bool partner_is_primary;
	bool forgot; /* our storage was lost, or is an older copy: we do not know our promises */
	uint32_t lead; /* sec, with @forgot: the lead time that they had at most; own kind only */
};

enum fo_reject { /* draft §12.21; 0 = accepted */
	FO_REJECT_NONE = 0,
	FO_REJECT_ILLEGAL_ADDRESS = 1,
	FO_REJECT_IN_USE = 2,
	FO_REJECT_MISSING_BINDING = 3,
	FO_REJECT_TIME_MISMATCH = 4,
	FO_REJECT_INVALID_MCLT = 5,
	FO_REJECT_UNKNOWN_REASON = 6,
	FO_REJECT_DUPLICATE_CONNECTION = 7,
	FO_REJECT_INVALID_PARTNER = 8,
	FO_REJECT_TLS_UNSUPPORTED = 9,
	FO_REJECT_TLS_UNCONFIGURED = 10,
	FO_REJECT_TLS_REQUIRED = 11,
	FO_REJECT_DIGEST_UNSUPPORTED = 12,
	FO_REJECT_DIGEST_UNCONFIGURED = 13,
	FO_REJECT_VERSION = 14,
	FO_REJECT_OUTDATED = 15,
	FO_REJECT_LESS_CRITICAL = 16,
	FO_REJECT_NO_TRAFFIC = 17,
	FO_REJECT_HBA_CONFLICT = 18,
	FO_REJECT_NOT_RESERVED = 19,
	FO_REJECT_DIGEST_MISMATCH = 20,
	FO_REJECT_DIGEST_MISSING = 21,
	FO_REJECT_UNKNOWN = 254,
};

const char *fo_reject_text(unsigned reason);

/**
 * binding_accept - judge an update of the partner: one numbered ladder
 * @v:	      our view; @ours: the binding as it stands; @in_flight: our update for it is un-acked
 * @ret:      the binding to store and then acknowledge; written on acceptance only
 *
 * Return: FO_REJECT_NONE, or the reason to send.
 * Spec: failover-12 §7.1.3 (table), decisions A13, A14, A22.
 */
enum fo_reject binding_accept(const struct fo_view *v, const struct lease *ours,
			      const struct binding_update *u, bool in_flight, wall_t now,
			      struct lease *ret);

/**
 * binding_recall - what we may have promised and forgotten, by an update that we refused
 * @ret: with true, the lease to store: it runs as long as it may have been renewed by us
 *
 * Spec: decision A7; draft §5.2.1: no promise of ours goes beyond the largest potential expiry that
 * either server acknowledged, plus MCLT; and the partner knows that one.
 */
bool binding_recall(const struct lease *ours, const struct binding_update *u, wall_t now,
		    struct lease *ret);

/* The binding after the partner acknowledged what we sent (EXPIRED, RELEASED, RESET -> FREE). */
struct lease binding_acked(const struct lease *ours, uint32_t sent_pet, uint8_t sent_state,
			   wall_t now);
