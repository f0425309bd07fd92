/*
 * The records: a lease granted or renewed, released, declined, expired. What the partner must hear
 * carries LEASE_DIRTY; what it knows (acked_state, acked_pet) changes only by its word.
 * Standards: RFC 2131 §4.3.1 to §4.3.4; draft-ietf-dhc-failover-12 §5.2.1, §7.1; failover-behaviour
 * §2, §4, §6.4; decisions A13, A14.
 */
#include "core/server_priv.h"

#include <string.h>

#define OFFER_HOLD_SEC 60
#define DECLINE_HOLD_SEC 86400
#define LEASE_MIN_SEC 60	  /* a client's wish counts down to here */
#define PRIMARY_EXPIRES_WITHIN 60 /* decision A14 */
/* An ISC primary refuses our word for the end of what runs there. By now it does not, or is 65 s
 * behind; and it may have said its own word when the lease still ran by our clock. */
#define ISC_EXPIRES_WITHIN 70
#define LOOK_AGAIN_SEC 60	  /* at bindings whose end the partner has to agree to */

/* --- every change -------------------------------------------------------------------------------
 */

static struct lease changed(const struct lease *l, bool has_partner)
{
	struct lease n = *l;

	n.serial = lease_serial_next(n.serial);
	if (has_partner)
		n.flags |= LEASE_DIRTY;
	return n;
}

static void enter(struct lease *l, unsigned state, wall_t now)
{
	if (l->state == state)
		return;
	l->state = (uint8_t)state;
	l->stos = sec_clamp(now.sec);
}

/* A free address has no promises left. */
static void enter_free(struct lease *l, unsigned state, wall_t now)
{
	enter(l, state, now);
	l->sent_pet = l->acked_pet = l->rcvd_pet = 0;
	l->flags &= (uint8_t)~LEASE_BY_PARTNER;
}

/* The end of a lease. Alone it is free; and if the partner never heard of the lease it is what it
 * was before, without asking (failover-behaviour §4.4; not while linked, where asking is cheap). */
static void enter_ended(struct lease *l, const struct fo_view *v, unsigned state, wall_t now)
{
	if (!v->mclt)
		enter_free(l, LEASE_FREE, now);
	else if (!v->balanced && server_may_rewind(v, l))
		enter_free(l, l->acked_state == LEASE_BACKUP ? LEASE_BACKUP : LEASE_FREE, now);
	else
		enter(l, state, now);
}

static void keep_client(struct lease_client *c, const struct dhcp_msg *m)
{
	struct octets id = dhcp_client_id(m), hw = dhcp_chaddr(m);
	struct octets name = dhcp_opt(m, DHO_HOST_NAME), relay = dhcp_opt(m, DHO_RELAY_AGENT);

	c->htype = m->htype;
	c->hlen = (uint8_t)hw.len;
	if (hw.len)
		memcpy(c->chaddr, hw.p, hw.len);
	if (id.len) /* a longer one, joined of several options, counts by its beginning: client_key
		     */
		memcpy(c->id, id.p,
		       c->id_len = (uint8_t)(id.len < CLIENT_ID_MAX ? id.len : CLIENT_ID_MAX));
	if (name.len && name.len <= sizeof(c->host_name))
		memcpy(c->host_name, name.p, c->host_name_len = (uint8_t)name.len);
	if (relay.len && relay.len <= sizeof(c->relay_agent))
		memcpy(c->relay_agent, relay.p, c->relay_agent_len = (uint8_t)relay.len);
}

/* --- times --------------------------------------------------------------------------------------
 */

static uint32_t desired_seconds(const struct job *j)
{
	uint32_t most = j->scope->lease_time, wish = dhcp_opt_u32(j->msg, DHO_LEASE_TIME, most);

	if (wish < LEASE_MIN_SEC)
		wish = LEASE_MIN_SEC;
	return wish < most ? wish : most;
}

/* What a client is told never ends later than the partner expects (draft §5.2.1). The rule has
 * been applied; if it ever were not, silence is better than two clients on one address. */
static bool within_limit(const struct fo_view *v, const struct lease *l,
			 const struct lease_grant *g, wall_t now)
{
	bool past = !lease_is_free(l) && !lease_end_is_told(l);
	int64_t base = now.sec;

	if (!g->seconds)
		return false;
	if (!v->mclt || !v->limited)
		return true;
	if (past && l->acked_pet > base)
		base = l->acked_pet;
	if (past && l->rcvd_pet > base)
		base = l->rcvd_pet;
	return g->expires <= base + v->mclt && now.sec + g->seconds <= base + v->mclt;
}

/* On hold the partner may have declared us down long ago. It then reclaims an address MCLT after
 * the last end that it knows of, without waiting for us: nobody is promised more than that, or than
 * had been promised before (decision A8; failover-behaviour §6.4). */
static void hold_back(const struct fo_view *v, const struct lease *l, wall_t now,
		      struct lease_grant *g)
{
	int64_t until =
		(l->acked_pet > l->rcvd_pet ? l->acked_pet : l->rcvd_pet) + (int64_t)v->mclt;

	if (until < l->expires)
		until = l->expires;
	if (!v->hold || g->expires <= until)
		return;
	g->expires = sec_clamp(until);
	g->seconds = until > now.sec ? (uint32_t)(until - now.sec) : 0;
	g->limited_by = l->acked_pet >= l->rcvd_pet ? LIMIT_ACKED_PET : LIMIT_RCVD_PET;
}

/* T1 and T2, RFC 2131 §4.4.5; configured ones where they fit into the lease. */
static void set_times(struct dhcp_reply *r, const struct scope *s, uint32_t seconds)
{
	r->lease = r->renew = r->rebind = seconds;
	if (seconds == SEC_INFINITE)
		return;
	r->rebind =
		s->rebind_time && s->rebind_time < seconds ? s->rebind_time : seconds - seconds / 8;
	r->renew = s->renew_time && s->renew_time < seconds ? s->renew_time : seconds / 2;
	if (r->renew > r->rebind)
		r->renew = r->rebind;
}

/* --- DISCOVER and REQUEST -----------------------------------------------------------------------
 */

static bool answer(struct job *j, const struct lease *l, uint8_t type)
{
	struct server_decision *d = j->ret;

	d->grant = binding_grant(j->view, l, j->now->wall, desired_seconds(j));
	hold_back(j->view, l, j->now->wall, &d->grant);
	if (!within_limit(j->view, l, &d->grant, j->now->wall)) {
		d->reason = SERVER_AWAITING_PARTNER;
		return false;
	}
	d->answer = true;
	d->reply = (struct dhcp_reply){ .type = type,
					.yiaddr = l->addr,
					.server_id = j->server_id,
					.options = &j->scope->options };
	set_times(&d->reply, j->scope, d->grant.seconds);
	return true;
}

void server_offer(struct job *j, const struct lease *l)
{
	uint32_t hold = j->ctx->offer_hold_sec ? j->ctx->offer_hold_sec : OFFER_HOLD_SEC;

	if (!answer(j, l, DHCPOFFER))
		return;
	j->ret->reason = SERVER_OFFERED;
	j->ret->lease = *l;
	pool_offer(j->ctx->pool, l->addr, j->req->key,
		   mono_add_us(j->now->mono, (int64_t)hold * 1000000));
}

/* What is promised to the partner. The largest number ever told stays while the lease lasts: the
 * partner may have relied on it. Also when the former lease has ended and the partner was told, for
 * that may not have arrived: then it is a ground for the partner's promises, and none for ours. An
 * acknowledged one that is longer than what is told now counts no more (a shortened lease time,
 * failover-behaviour §2.1). */
static void promise(struct lease *l, const struct lease *was, enum claim c, uint32_t pet)
{
	if (lease_end_is_told(was)) {
		l->sent_pet = sec_later(l->sent_pet, sec_later(l->acked_pet, l->rcvd_pet));
		l->acked_pet = l->rcvd_pet = 0;
	}
	if (c == CLAIM_FREE || !pet) /* no past, no partner */
		l->sent_pet = l->acked_pet = l->rcvd_pet = 0;
	if (pet > l->sent_pet)
		l->sent_pet = pet;
	if (l->acked_pet > pet)
		l->acked_pet = pet;
}

void server_grant(struct job *j, const struct lease *l, enum claim c)
{
	bool reserved = j->reservation && j->reservation->addr == l->addr;
	uint32_t now = sec_clamp(j->now->wall.sec);
	struct lease n = changed(l, j->view->mclt != 0);

	if (!answer(j, l, DHCPACK))
		return;
	j->ret->reply.ciaddr = j->msg->ciaddr;
	j->ret->reason = c == CLAIM_OWN ? SERVER_ACKED_RENEWED : SERVER_ACKED_NEW;
	if (c != CLAIM_OWN)
		n.starts = now;
	enter(&n, LEASE_ACTIVE, j->now->wall);
	if (j->view->balanced) /* linked: the partner may hear of it the moment it is durable */
		n.acked_state = LEASE_ACTIVE;
	n.expires = j->ret->grant.expires;
	n.cltt = now;
	n.key = j->req->key;
	n.bucket = j->ret->bucket;
	n.flags &= LEASE_DIRTY;
	n.flags |= reserved ? LEASE_RESERVED : 0;
	promise(&n, l, c, j->ret->grant.pet);
	j->ret->lease = n;
	j->ret->change = j->ret->change_client = true;
	keep_client(&j->ret->client, j->msg);
}

/* --- RELEASE and DECLINE ------------------------------------------------------------------------
 */

/* The running lease that a client speaks of; else the reason is set. */
static const struct lease *own_lease(struct job *j, uint32_t addr)
{
	const struct lease *l = scope_holds(j->scope, addr) ? pool_get(j->ctx->pool, addr) : NULL;

	if (!server_hears(j, j->view->serve_new))
		return NULL;
	j->ret->reason = SERVER_NO_LEASE;
	if (!l || l->state != LEASE_ACTIVE || !client_key_equal(l->key, j->req->key))
		return NULL;
	return l;
}

/* Whoever hears it records it, also for a lease that the partner gave. The client stays known: it
 * gets the address again if nobody else needed it (RFC 2131 §4.3.4). */
void server_release(struct job *j)
{
	const struct lease *l = own_lease(j, j->msg->ciaddr);
	uint32_t now = sec_clamp(j->now->wall.sec);
	struct lease n;

	if (!l)
		return;
	n = changed(l, j->view->mclt != 0);
	n.cltt = now;
	if (n.expires > now)
		n.expires = now;
	enter_ended(&n, j->view, LEASE_RELEASED, j->now->wall);
	j->ret->lease = n;
	j->ret->change = true;
	j->ret->reason = SERVER_RELEASED;
}

/* Somebody who is not ours uses the address (RFC 2131 §4.3.3): nobody gets it for a while. */
void server_decline(struct job *j)
{
	uint32_t hold = j->ctx->decline_hold_sec ? j->ctx->decline_hold_sec : DECLINE_HOLD_SEC;
	const struct lease *l = own_lease(j, dhcp_opt_addr(j->msg, DHO_REQUESTED_ADDRESS));
	struct lease n;

	if (!l)
		return;
	n = changed(l, j->view->mclt != 0);
	enter(&n, LEASE_ABANDONED, j->now->wall);
	n.cltt = sec_clamp(j->now->wall.sec);
	n.expires = sec_clamp(j->now->wall.sec + hold);
	n.key = (struct client_key){ { 0, 0 } };
	n.flags &= (uint8_t)~LEASE_BY_PARTNER;
	j->ret->lease = n;
	j->ret->change = j->ret->change_client = true; /* the client's data goes, too */
	j->ret->reason = SERVER_DECLINED;
}

/* --- time
 * ----------------------------------------------------------------------------------------- */

static bool wait_until(int64_t at, uint32_t *ret_again)
{
	*ret_again = sec_clamp(at);
	return false;
}

static bool expire_active(const struct fo_view *v, wall_t now, struct lease *n, uint32_t *ret_again)
{
	int64_t at = n->expires;

	if (v->mclt && !v->serve_new && at <= now.sec) /* the partner may know better */
		return wait_until(now.sec + LOOK_AGAIN_SEC, ret_again);
	if (v->mclt && v->balanced && !v->primary)
		at += v->isc ? ISC_EXPIRES_WITHIN : PRIMARY_EXPIRES_WITHIN;
	if (at > now.sec)
		return wait_until(at, ret_again);
	enter_ended(n, v, LEASE_EXPIRED, now);
	return true;
}

/* EXPIRED, RELEASED, RESET: free with the partner's word; without it in PARTNER-DOWN, later. */
static bool reclaim(const struct fo_view *v, wall_t now, struct lease *n, uint32_t *ret_again)
{
	bool down = v->partner_down && v->partner_pool_from != SEC_INFINITE;
	uint32_t stos = v->partner_pool_from - fo_view_wait(v);
	int64_t at = down ? binding_reclaim_at(v, n, stos) : SEC_INFINITE;

	if (!v->mclt || (down && at <= now.sec)) {
		enter_free(n, LEASE_FREE, now);
		return true;
	}
	if (v->serve_new && !v->balanced && n->state != LEASE_RESET && server_may_rewind(v, n)) {
		enter_ended(n, v, n->state, now);
		return true;
	}
	return wait_until(down ? at : now.sec + LOOK_AGAIN_SEC, ret_again);
}

/* A declined address comes back by way of RESET, which the partner has to agree to; the primary
 * begins, since it will own the address. */
static bool end_quarantine(const struct fo_view *v, wall_t now, struct lease *n,
			   uint32_t *ret_again)
{
	if (n->expires > now.sec)
		return wait_until(n->expires, ret_again);
	if (!v->mclt)
		enter_free(n, LEASE_FREE, now);
	else if (v->serve_new && (v->primary || v->partner_down))
		enter(n, LEASE_RESET, now);
	else
		return wait_until(now.sec + LOOK_AGAIN_SEC, ret_again);
	return true;
}

bool server_expire(const struct fo_view *view, const struct lease *l, wall_t now, struct lease *ret,
		   uint32_t *ret_again)
{
	struct lease n = changed(l, view->mclt != 0);
	bool done = false;

	*ret_again = 0;
	switch ((enum lease_state)l->state) {
	case LEASE_ACTIVE:
		done = expire_active(view, now, &n, ret_again);
		break;
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET:
		done = reclaim(view, now, &n, ret_again);
		break;
	case LEASE_ABANDONED:
		done = end_quarantine(view, now, &n, ret_again);
		break;
	case LEASE_NONE:
	case LEASE_FREE:
	case LEASE_BACKUP:
		break;
	}
	if (done)
		*ret = n;
	return done;
}
