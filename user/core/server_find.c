/*
 * DISCOVER: whether we answer, and with which address. The choice is a ladder; the first rung that
 * bears is taken.
 * Standards: RFC 2131 §4.3.1 (order of choice); RFC 3074; draft-ietf-dhc-failover-12 §5.3, §5.4;
 * decisions A4, A5, B7.
 */
#include "core/server_priv.h"

/* The partner is silent because it cannot serve: then its clients are ours, too (decision B7). */
static bool partner_has_none(const struct job *j)
{
	struct pool_counts c;

	pool_counts_scope(j->ctx->pool, j->scope, &c);
	return j->view->primary ? !c.backup : !c.free;
}

static const struct lease *usable(const struct job *j, uint32_t addr)
{
	return addr && claim_is_good(server_claim_addr(j, addr)) ? pool_get(j->ctx->pool, addr)
								 : NULL;
}

/* Addresses that have to do with this client. */
static const struct lease *find_known(const struct job *j)
{
	const struct pool *p = j->ctx->pool;
	const struct lease *last = pool_find_client(p, j->req->key, j->scope), *l = NULL;

	/* 1. reserved for it */
	if (j->reservation)
		l = usable(j, j->reservation->addr);
	/* 2. what it has */
	if (!l && last && last->state == LEASE_ACTIVE)
		l = usable(j, last->addr);
	/* 3. what it was offered a moment ago */
	if (!l)
		l = usable(j, pool_offered(p, j->req->key, j->scope));
	/* 4. what it asks for */
	if (!l)
		l = usable(j, dhcp_opt_addr(j->msg, DHO_REQUESTED_ADDRESS));
	/* 5. what it had */
	if (!l && last)
		l = usable(j, last->addr);
	return l;
}

static const struct lease *find_any(const struct job *j)
{
	unsigned ours = j->view->primary ? LEASE_FREE : LEASE_BACKUP;
	unsigned theirs = j->view->primary ? LEASE_BACKUP : LEASE_FREE;
	/* 6. the oldest of our share */
	const struct lease *l = pool_free_first(j->ctx->pool, j->scope, ours);

	if (l)
		return l;
	/* 7. in PARTNER-DOWN, after the wait, of the partner's. Expired leases come back to these
	 * lists when their own wait is over (server_expire); before that nobody may have them. */
	l = pool_free_first(j->ctx->pool, j->scope, theirs);
	return l && binding_may_allocate(j->view, l, j->now->wall) ? l : NULL;
}

void server_discover(struct job *j)
{
	const struct lease *l;

	if (!server_hears(j, j->view->serve_new))
		return;
	j->ret->reason = SERVER_PARTNERS_CLIENT;
	if (!server_owns_client(j) && !partner_has_none(j))
		return;
	j->ret->reason = SERVER_NO_ADDRESS;
	l = find_known(j);
	if (!l)
		l = find_any(j);
	if (l)
		server_offer(j, l);
}
