/*
 * The rules of a binding in failover: how long a client may be promised an address, when an
 * address may be used without the partner's word, and what becomes of the partner's updates.
 *
 * Callers: core/server (grants, choice of addresses), core/fo_endpoint (updates, reclaim).
 * Standards: draft-ietf-dhc-failover-12 §5.2.1, §7.1, §12.21; failover-behaviour §2, §5, §6.4.
 */
#include "core/binding.h"

/* --- lease times ------------------------------------------------------------------------------ */

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Until when the partner knows that the address may be in use. What was only sent never counts,
 * and a free address has no past: its former promises ended with both servers' agreement. Nor has
 * one whose end the partner was told of: it may hold it as free already. */
static int64_t known_to_partner(const struct lease *l)
{
	return lease_is_free(l) || lease_end_is_told(l) ? 0 : max64(l->acked_pet, l->rcvd_pet);
}

struct lease_grant binding_grant(const struct fo_view *v, const struct lease *l, wall_t now,
				 uint32_t desired)
{
	struct lease_grant g = { .seconds = desired, .limited_by = LIMIT_NONE };
	int64_t room = max64((int64_t)SEC_MAX - now.sec, 0);
	int64_t want = desired < room ? desired : room, base = known_to_partner(l), limit;

	if (!v->mclt) { /* served alone: nobody to promise anything to */
		g.expires = sec_clamp(now.sec + want);
		return g;
	}
	limit = max64(base, now.sec) + v->mclt - now.sec;
	g.seconds = (uint32_t)want;
	if (v->limited && want > limit) {
		g.seconds = (uint32_t)limit;
		g.limited_by = base <= now.sec		     ? LIMIT_MCLT
			       : l->acked_pet >= l->rcvd_pet ? LIMIT_ACKED_PET
							     : LIMIT_RCVD_PET;
	}
	g.expires = sec_clamp(now.sec + g.seconds);
	g.pet = sec_clamp(now.sec + want + g.seconds / 2);
	return g;
}

bool binding_may_allocate(const struct fo_view *v, const struct lease *l, wall_t now)
{
	if (!lease_is_free(l))
		return false;
	if (binding_is_ours(v, l))
		return true;
	/* Reserved: both servers may give it, to its one client (draft §5.8; the caller checks). */
	if (l->flags & LEASE_RESERVED)
		return true;
	return v->partner_down && v->partner_pool_from != SEC_INFINITE &&
	       now.sec >= v->partner_pool_from;
}

/* Was all of the lease given after the partner was gone, so that it promised nobody anything? */
static bool unknown_to_partner(const struct lease *l, uint32_t pd_stos)
{
	return l->starts >= pd_stos && l->starts && !l->acked_pet && !l->rcvd_pet &&
	       (l->acked_state == LEASE_NONE || l->acked_state == LEASE_FREE ||
		l->acked_state == LEASE_BACKUP);
}

uint32_t binding_reclaim_at(const struct fo_view *v, const struct lease *l, uint32_t pd_stos)
{
	int64_t at = max64(l->expires, pd_stos);

	if (unknown_to_partner(l, pd_stos))
		return l->expires;
	at = max64(at, l->sent_pet);
	at = max64(at, l->acked_pet);
	at = max64(at, l->rcvd_pet);
	return sec_clamp(at + fo_view_wait(v));
}

/* --- judging an update ------------------------------------------------------------------------ */

/* Two servers' clocks, corrected to whole seconds, may disagree by this much on when a lease they
 * both know is over; without it every other expiry would be rejected once. */
#define EXPIRY_SLACK_SEC 2

static bool same_client(const struct lease *ours, const struct binding_update *u)
{
	return !u->has_client || client_key_none(ours->key) ||
	       client_key_equal(ours->key, u->lease.key);
}

static bool live(const struct lease *l, wall_t now)
{
	return l->state == LEASE_ACTIVE && l->expires > now.sec;
}

static bool idle(unsigned state) /* held by nobody, and without anybody's wish */
{
	return state == LEASE_NONE || state == LEASE_FREE || state == LEASE_BACKUP ||
	       state == LEASE_EXPIRED;
}

static bool same_expiry_over(const struct lease *ours, const struct lease *theirs, wall_t now)
{
	return theirs->state == LEASE_EXPIRED &&
	       theirs->expires + EXPIRY_SLACK_SEC >= ours->expires &&
	       now.sec + EXPIRY_SLACK_SEC >= ours->expires;
}

/*
 * Between our own servers (decision A13). Both ends must reach the same verdict from the same two
 * records, else both refuse or both swap; so every rung reads the same from either side, and a
 * rung that looks at the time agrees as soon as that time is past. A client that was promised an
 * address never loses it to an update that could not know of the promise; that is why the first
 * rungs stand above the serial numbers.
 */
static enum fo_reject judge_by_serial(const struct fo_view *v, const struct lease *ours,
				      const struct binding_update *u, bool unacked, wall_t now)
{
	const struct lease *theirs = &u->lease;
	bool we_live = live(ours, now), they_live = live(theirs, now);
	bool same = same_client(ours, u);

	/* 0. ours comes from an older copy of the store, and this was built on it (decision A7) */
	if (u->forgot && lease_serial_later(theirs->serial, ours->serial))
		return FO_REJECT_NONE;
	/* 1. the same event once more: its acknowledgement was lost, or all is told again */
	if (theirs->serial == ours->serial &&
	    (!unacked || (theirs->state == ours->state && theirs->state != LEASE_ACTIVE && same)))
		return FO_REJECT_NONE;
	/* 2. a running lease against an address that nobody holds: the lease */
	if (we_live && idle(theirs->state) && !same_expiry_over(ours, theirs, now))
		return FO_REJECT_IN_USE;
	if (they_live && idle(ours->state) && !same_expiry_over(theirs, ours, now))
		return FO_REJECT_NONE;
	/* 3. two clients: the one whose lease runs; if both do, the primary's */
	if (!same && we_live && they_live)
		return v->primary ? FO_REJECT_IN_USE : FO_REJECT_NONE;
	if (!same && we_live && theirs->state != LEASE_ABANDONED)
		return FO_REJECT_IN_USE;
	if (!same && they_live && ours->state != LEASE_ABANDONED)
		return FO_REJECT_NONE;
	/* 4. released here and renewed there at one time: it may be in use again */
	if (unacked && we_live && (theirs->state == LEASE_RELEASED || theirs->state == LEASE_RESET))
		return FO_REJECT_LESS_CRITICAL;
	if (unacked && they_live && (ours->state == LEASE_RELEASED || ours->state == LEASE_RESET))
		return FO_REJECT_NONE;
	/* 5. the serial; both changed it once: the primary's */
	if (lease_serial_later(theirs->serial, ours->serial))
		return FO_REJECT_NONE;
	if (!lease_serial_later(ours->serial, theirs->serial))
		return v->primary ? FO_REJECT_LESS_CRITICAL : FO_REJECT_NONE;
	return unacked ? FO_REJECT_LESS_CRITICAL : FO_REJECT_OUTDATED;
}

/* Duelling updates, ISC's table (failover-behaviour §5.3): does theirs win? */
static bool theirs_wins_duel(const struct fo_view *v, const struct lease *ours,
			     const struct binding_update *u)
{
	uint32_t cltt = u->has_cltt ? u->lease.cltt : 0;

	if (ours->state != LEASE_ACTIVE)
		return u->lease.state == LEASE_ACTIVE || !v->primary;
	if (u->lease.state == LEASE_EXPIRED)
		return true;
	if (u->lease.state != LEASE_ACTIVE || cltt == ours->cltt)
		return !v->primary;
	return cltt > ours->cltt;
}

enum rule { A, T1, T2, T3, R16, R_CLIENT, R_RELEASE };

/* The draft's table (§7.1.3; failover-behaviour §5.2): rows ours, columns received. */
static const uint8_t table[8][8] = {
	/*		       -  FREE ACTIVE	 EXPIRED REL.  ABAND. RESET BACKUP */
	[LEASE_NONE] = { A, A, A, A, A, A, A, A },
	[LEASE_FREE] = { A, A, A, A, A, A, A, A },
	[LEASE_BACKUP] = { A, A, A, A, A, A, A, A },
	[LEASE_ACTIVE] = { A, T2, R_CLIENT, T2, R_RELEASE, A, A, T2 },
	[LEASE_EXPIRED] = { A, A, T1, A, A, A, A, A },
	[LEASE_RELEASED] = { A, A, T1, T1, A, A, A, A },
	[LEASE_RESET] = { A, A, T3, A, A, A, A, A },
	[LEASE_ABANDONED] = { A, R16, R16, R16, R16, A, A, R16 },
};

/* A DHCPRELEASE is no transaction for an ISC: its CLTT stays that of the REQUEST before, or is
 * missing where we gave the lease; the start of the state, or the end of the lease, says when. */
static bool released_later(const struct lease *ours, const struct binding_update *u, wall_t now)
{
	if (u->has_cltt && (u->lease.cltt >= ours->cltt || !ours->cltt))
		return true;
	if (!same_client(ours, u))
		return false;
	return u->lease.stos > ours->cltt ||
	       (u->lease.expires > ours->cltt && u->lease.expires <= now.sec + EXPIRY_SLACK_SEC);
}

/* An ISC tells of a CLTT only what it saw itself. A lease that runs is news to who holds it as
 * expired. */
static bool runs_after_all(const struct lease *ours, const struct binding_update *u, wall_t now)
{
	return u->lease.state == LEASE_ACTIVE && ours->state == LEASE_EXPIRED && !u->has_cltt &&
	       live(&u->lease, now);
}

static enum fo_reject judge_by_table(const struct fo_view *v, const struct lease *ours,
				     const struct binding_update *u, wall_t now)
{
	const struct lease *theirs = &u->lease;
	bool ok = true;

	switch ((enum rule)table[ours->state & 7][theirs->state & 7]) {
	case A:
		break;
	case T1: /* an ISC resends the same event; the primary's word counts (do-change of 5.2) */
		ok = u->has_cltt && (theirs->cltt > ours->cltt ||
				     (theirs->cltt == ours->cltt && u->partner_is_primary));
		ok = ok || (u->has_cltt && !ours->cltt) || runs_after_all(ours, u, now);
		break;
	case T2: /* a lease ends at its last second, not after it: an ISC acts on it at once */
		ok = now.sec >= ours->expires || same_expiry_over(ours, theirs, now);
		break;
	case T3:
		ok = u->has_cltt && theirs->cltt > ours->stos;
		break;
	case R16: /* an ISC primary has decided when it frees what we hold as abandoned */
		if (u->partner_is_primary &&
		    (theirs->state == LEASE_FREE || theirs->state == LEASE_BACKUP))
			break;
		return FO_REJECT_LESS_CRITICAL;
	case R_CLIENT:
		return same_client(ours, u) || !v->primary ? FO_REJECT_NONE : FO_REJECT_IN_USE;
	case R_RELEASE:
		ok = released_later(ours, u, now);
		break;
	}
	return ok ? FO_REJECT_NONE : FO_REJECT_OUTDATED;
}

/* --- what is stored --------------------------------------------------------------------------- */

/* Both servers agree that nobody holds it: what was promised is history. */
static void end_lease(struct lease *l, unsigned state)
{
	l->state = (uint8_t)state;
	l->sent_pet = l->acked_pet = l->rcvd_pet = 0;
	l->flags &= (uint8_t)~LEASE_BY_PARTNER;
}

static void adopt_active(struct lease *l, const struct lease *ours, const struct binding_update *u)
{
	bool same = ours->state == LEASE_ACTIVE && same_client(ours, u);

	if (!same) {
		l->starts = u->lease.stos;
		l->cltt = u->has_cltt ? u->lease.cltt : 0;
		l->acked_pet = 0;
	}
	l->expires = u->lease.expires;
	l->rcvd_pet = u->lease.rcvd_pet > u->lease.expires ? u->lease.rcvd_pet : u->lease.expires;
	l->flags |= LEASE_BY_PARTNER;
}

#define ABANDONED_SEC 86400 /* where the partner does not say for how long */

/* Whoever uses the address is nobody's client; it rests for as long as who found out says. */
static void adopt_abandoned(struct lease *l, const struct lease *theirs, wall_t now)
{
	end_lease(l, LEASE_ABANDONED);
	l->expires = theirs->expires ? theirs->expires : sec_clamp(now.sec + ABANDONED_SEC);
	l->key = (struct client_key){ { 0, 0 } };
}

static struct lease adopt(const struct lease *ours, const struct binding_update *u, wall_t now)
{
	const uint8_t wire_flags = LEASE_RESERVED | LEASE_BOOTP;
	const struct lease *theirs = &u->lease;
	struct lease l = *ours;

	l.flags = (uint8_t)((ours->flags & ~(wire_flags | LEASE_DIRTY)) |
			    (theirs->flags & wire_flags));
	if (u->has_cltt && theirs->cltt > l.cltt)
		l.cltt = theirs->cltt;
	l.stos = theirs->stos ? theirs->stos : sec_clamp(now.sec);
	l.serial = u->has_serial ? theirs->serial : ours->serial;
	if (u->has_client) {
		l.key = theirs->key;
		l.bucket = theirs->bucket;
	}
	switch (theirs->state) {
	case LEASE_ACTIVE:
		adopt_active(&l, ours, u);
		l.state = LEASE_ACTIVE;
		break;
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET: /* with our acknowledgement both hold it as FREE (§7.1.3) */
		end_lease(&l, LEASE_FREE);
		break;
	case LEASE_ABANDONED:
		adopt_abandoned(&l, theirs, now);
		break;
	default:
		end_lease(&l, theirs->state);
		break;
	}
	l.acked_state = l.state;
	return l;
}

/* As long as it may last. That it ends later than the partner thinks is news to the partner. */
static void prolong(struct lease *l, const struct lease *ours, uint32_t end)
{
	if (end <= l->expires)
		return;
	l->expires = end;
	l->serial = lease_serial_above(ours->serial, l->serial);
	l->flags |= LEASE_DIRTY;
}

/* Both servers renewed one client's lease before they heard of each other: the client may rely on
 * the later end, and on ours even if what the partner says next was decided without knowing of it
 * (a release). So ours stays to be told, under a number above both. Where the partner knows of a
 * stranger that uses the address, nobody else gets it before that end. */
static void keep_promise(struct lease *l, const struct lease *ours, const struct binding_update *u,
			 wall_t now)
{
	if (l->state == LEASE_ABANDONED && live(ours, now) && u->has_serial)
		prolong(l, ours, ours->expires);
	if (l->state != LEASE_ACTIVE || !live(ours, now) || !same_client(ours, u))
		return;
	if (ours->expires > l->expires)
		l->expires = ours->expires;
	if (l->sent_pet < l->expires)
		l->sent_pet = l->expires;
	l->serial = lease_serial_above(ours->serial, l->serial);
	l->flags |= LEASE_DIRTY;
}

/* --- what was forgotten with the storage (decision A7) -----------------------------------------
 */

static uint32_t recalled_end(const struct binding_update *u)
{
	return u->forgot && u->lead && u->lease.rcvd_pet
		       ? sec_clamp((int64_t)u->lease.rcvd_pet + u->lead)
		       : 0;
}

/* Is what we hold better than that? */
static bool stands(const struct lease *ours, const struct binding_update *u, uint32_t end,
		   wall_t now)
{
	if (live(ours, now) && same_client(ours, u))
		return end <= ours->expires;
	return (live(ours, now) || ours->state == LEASE_ABANDONED) &&
	       u->lease.serial <= ours->serial;
}

bool binding_recall(const struct lease *ours, const struct binding_update *u, wall_t now,
		    struct lease *ret)
{
	const struct lease *theirs = &u->lease;
	uint32_t end = recalled_end(u);
	bool held = theirs->state == LEASE_ACTIVE || theirs->state == LEASE_EXPIRED ||
		    theirs->state == LEASE_RELEASED;

	if (end <= now.sec || !u->has_client || !held || stands(ours, u, end, now))
		return false;
	*ret = *ours;
	if (ours->state != LEASE_ACTIVE || !same_client(ours, u)) {
		ret->starts = ret->stos = theirs->stos;
		ret->cltt = u->has_cltt ? theirs->cltt : 0;
		ret->sent_pet = ret->acked_pet = ret->rcvd_pet = 0;
	}
	ret->state = LEASE_ACTIVE;
	ret->acked_state = theirs->state;
	ret->key = theirs->key;
	ret->bucket = theirs->bucket;
	if (ret->rcvd_pet < theirs->rcvd_pet)
		ret->rcvd_pet = theirs->rcvd_pet;
	if (lease_serial_later(theirs->serial, ret->serial))
		ret->serial = theirs->serial;
	ret->expires = 0;
	prolong(ret, ours, end);
	return true;
}

enum fo_reject binding_accept(const struct fo_view *v, const struct lease *ours,
			      const struct binding_update *u, bool in_flight, wall_t now,
			      struct lease *ret)
{
	unsigned state = u->lease.state;
	enum fo_reject r;

	/* 1. what a binding must have */
	if (state < LEASE_FREE || state > LEASE_BACKUP)
		return FO_REJECT_MISSING_BINDING;
	if (!u->has_client &&
	    (state == LEASE_ACTIVE || state == LEASE_EXPIRED || state == LEASE_RELEASED))
		return FO_REJECT_MISSING_BINDING;
	/* 2. we may have renewed it and forgotten that: nobody hears from us that it is over */
	if (u->forgot &&
	    (state == LEASE_EXPIRED || state == LEASE_RELEASED || state == LEASE_RESET))
		return FO_REJECT_LESS_CRITICAL;
	/* 3. whose word counts */
	if (u->has_serial)
		r = judge_by_serial(v, ours, u, in_flight, now);
	else if (in_flight && !theirs_wins_duel(v, ours, u))
		r = FO_REJECT_LESS_CRITICAL;
	else
		r = judge_by_table(v, ours, u, now);
	if (r)
		return r;
	/* 4. reserved there and not here; between our own servers every address of ours may be
	 * (decision A22) */
	if (!u->has_serial && (u->lease.flags & LEASE_RESERVED) && !(ours->flags & LEASE_RESERVED))
		return FO_REJECT_NOT_RESERVED;
	*ret = adopt(ours, u, now);
	if (u->has_serial ? in_flight
			  : ours->flags & LEASE_DIRTY && ours->expires > u->lease.expires)
		keep_promise(ret, ours, u, now);
	if (ret->state == LEASE_ACTIVE)
		prolong(ret, ours, recalled_end(u));
	return FO_REJECT_NONE;
}

struct lease binding_acked(const struct lease *ours, uint32_t sent_pet, uint8_t sent_state,
			   wall_t now)
{
	struct lease l = *ours;

	l.flags &= (uint8_t)~LEASE_DIRTY;
	switch (sent_state) {
	case LEASE_ACTIVE:
		l.acked_pet = sent_pet;
		break;
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET:
	case LEASE_FREE: /* also a BACKUP address that the primary took back */
		end_lease(&l, LEASE_FREE);
		if (ours->state != LEASE_FREE)
			l.stos = sec_clamp(now.sec);
		break;
	default:
		break;
	}
	l.acked_state = l.state;
	return l;
}

const char *fo_reject_text(unsigned reason)
{
	static const char *const text[] = {
		[FO_REJECT_NONE] = "accepted",
		[FO_REJECT_ILLEGAL_ADDRESS] = "address is in no range of this relationship",
		[FO_REJECT_IN_USE] = "address is in use by another client",
		[FO_REJECT_MISSING_BINDING] = "binding information is missing",
		[FO_REJECT_TIME_MISMATCH] = "clocks differ too much",
		[FO_REJECT_INVALID_MCLT] = "invalid maximum client lead time",
		[FO_REJECT_UNKNOWN_REASON] = "unknown reason",
		[FO_REJECT_DUPLICATE_CONNECTION] = "duplicate connection",
		[FO_REJECT_INVALID_PARTNER] = "invalid failover partner",
		[FO_REJECT_TLS_UNSUPPORTED] = "TLS is not supported",
		[FO_REJECT_TLS_UNCONFIGURED] = "TLS is not configured",
		[FO_REJECT_TLS_REQUIRED] = "TLS is required",
		[FO_REJECT_DIGEST_UNSUPPORTED] = "message digest is not supported",
		[FO_REJECT_DIGEST_UNCONFIGURED] = "message digest is not configured",
		[FO_REJECT_VERSION] = "protocol version mismatch",
		[FO_REJECT_OUTDATED] = "outdated binding information",
		[FO_REJECT_LESS_CRITICAL] = "less critical binding information",
		[FO_REJECT_NO_TRAFFIC] = "no traffic within sufficient time",
		[FO_REJECT_HBA_CONFLICT] = "hash bucket assignment conflict",
		[FO_REJECT_NOT_RESERVED] = "address is not reserved on this server",
		[FO_REJECT_DIGEST_MISMATCH] = "message digest does not match",
		[FO_REJECT_DIGEST_MISSING] = "message digest is missing",
	};

	return reason < sizeof(text) / sizeof(text[0]) ? text[reason] : "unknown reject reason";
}
