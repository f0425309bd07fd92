/*
 * What a client may do with one address: the question behind every offer, every ACK and every NAK.
 * Standards: RFC 2131 §4.3.1, §4.3.2; draft-ietf-dhc-failover-12 §7.1, §9; failover-behaviour
 * §3.2, §4.3 (reservations), §4.4 (rewind).
 */
#include "core/server_priv.h"

/* Reserved for somebody who is not this client? Where only a record says so (the partner has a
 * reservation that we lack), the client that the record names is the one. */
static bool kept_from(const struct job *j, const struct lease *l)
{
	if (pool_is_reserved(j->ctx->pool, l->addr))
		return !j->reservation || j->reservation->addr != l->addr;
	return l->flags & LEASE_RESERVED && !client_key_equal(l->key, j->req->key);
}

bool server_may_rewind(const struct fo_view *v, const struct lease *l)
{
	if (l->acked_pet || l->rcvd_pet)
		return false;
	switch (l->acked_state) {
	case LEASE_NONE:
	case LEASE_FREE:
		return v->primary || v->partner_down;
	case LEASE_BACKUP:
		return !v->primary || v->partner_down;
	default:
		return false;
	}
}

/* EXPIRED and RELEASED: the partner, once told, may already hold the address as free, and so the
 * primary may have given it away. Not told yet, or reserved: nobody else can have got it. */
static enum claim claim_ended(const struct job *j, const struct lease *l)
{
	if (!client_key_equal(l->key, j->req->key))
		return CLAIM_AWAITING;
	if (!j->view->mclt || l->acked_state == LEASE_ACTIVE || server_may_rewind(j->view, l))
		return CLAIM_RETURN;
	if (j->reservation && j->reservation->addr == l->addr)
		return CLAIM_RETURN;
	return CLAIM_AWAITING;
}

static enum claim claim_free(const struct job *j, const struct lease *l)
{
	if (pool_is_offered(j->ctx->pool, l->addr, j->req->key))
		return CLAIM_OFFERED;
	if (j->reservation && j->reservation->addr == l->addr) /* both servers may (§4.3) */
		return CLAIM_FREE;
	return binding_may_allocate(j->view, l, j->now->wall) ? CLAIM_FREE : CLAIM_PARTNERS;
}

enum claim server_claim(const struct job *j, const struct lease *l)
{
	if (kept_from(j, l))
		return CLAIM_OTHERS;
	switch ((enum lease_state)l->state) {
	case LEASE_NONE:
	case LEASE_FREE:
	case LEASE_BACKUP:
		return claim_free(j, l);
	case LEASE_ACTIVE:
		if (client_key_equal(l->key, j->req->key))
			return CLAIM_OWN;
		return l->expires > j->now->wall.sec ? CLAIM_OTHERS : CLAIM_AWAITING;
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
		return claim_ended(j, l);
	case LEASE_RESET:
		return CLAIM_OTHERS;
	case LEASE_ABANDONED:
		break;
	}
	return CLAIM_UNKNOWN;
}

enum claim server_claim_addr(const struct job *j, uint32_t addr)
{
	const struct lease *l = scope_holds(j->scope, addr) ? pool_get(j->ctx->pool, addr) : NULL;

	return l ? server_claim(j, l) : CLAIM_UNKNOWN;
}
