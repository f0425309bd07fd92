/*
 * REQUEST: the four states in which a client asks for an address, and what speaks against it. A
 * server that is in doubt is silent: the client asks somebody else, or again. A NAK is for certain
 * knowledge only.
 * Standards: RFC 2131 §4.3.2; draft-ietf-dhc-failover-12 §9; failover-behaviour §3.2; decision A15.
 */
#include "core/server_priv.h"

enum asking { ASK_SELECTING, ASK_INIT_REBOOT, ASK_RENEWING };

/* --- NAK ------------------------------------------------------------------------------------ */

/* Only in states in which we are sure of what we know: NORMAL, COMMUNICATIONS-INTERRUPTED,
 * PARTNER-DOWN, and alone. Returns false where the client hears nothing. */
static bool nak(struct job *j, enum server_reason why)
{
	struct server_decision *d = j->ret;

	d->reason = SERVER_NOT_AUTHORITATIVE;
	if (!j->ctx->authoritative || !server_hears(j, j->view->nak))
		return false;
	d->reason = SERVER_NAK_LIMIT;
	if (!pool_nak_take(j->ctx->pool, j->req->key, j->now->mono))
		return false;
	d->reason = why;
	d->answer = true;
	d->reply = (struct dhcp_reply){ .type = DHCPNAK,
					.server_id = j->server_id,
					.message = server_reason_text(why) };
	return true;
}

/* --- what speaks against it ------------------------------------------------------------------- */

/* A reserved address waits for the client: it is sent there, which takes a NAK. */
static bool moves_to_reservation(struct job *j, enum asking how, uint32_t addr)
{
	const struct reservation *r = j->reservation;

	if (how == ASK_SELECTING || !r || r->addr == addr ||
	    !claim_is_good(server_claim_addr(j, r->addr)))
		return false;
	return nak(j, SERVER_NAK_RESERVED);
}

/* One address per client and scope: who has one gets no second. */
static bool has_another(const struct job *j, uint32_t addr)
{
	const struct lease *l = pool_find_client(j->ctx->pool, j->req->key, j->scope);

	if (j->reservation && j->reservation->addr == addr)
		return false;
	return l && l->state == LEASE_ACTIVE && l->addr != addr && l->expires > j->now->wall.sec &&
	       server_claim(j, l) == CLAIM_OWN;
}

static void refuse(struct job *j, enum claim c)
{
	switch (c) {
	case CLAIM_OTHERS:
		(void)nak(j, SERVER_NAK_NOT_YOURS);
		break;
	case CLAIM_OFFERED:
		j->ret->reason = SERVER_OFFER_GONE;
		break;
	case CLAIM_PARTNERS:
		j->ret->reason = SERVER_PARTNERS_ADDRESS;
		break;
	case CLAIM_AWAITING:
		j->ret->reason = SERVER_AWAITING_PARTNER;
		break;
	case CLAIM_OWN:
	case CLAIM_RETURN:
	case CLAIM_FREE: /* good, but not for a client that has another address */
	case CLAIM_UNKNOWN:
		(void)nak(j, SERVER_NAK_UNKNOWN);
		break;
	}
}

static void ask_for(struct job *j, enum asking how, uint32_t addr)
{
	const struct lease *l;
	enum claim c;

	if (!scope_holds(j->scope, addr)) {
		(void)nak(j, SERVER_NAK_WRONG_SUBNET);
		return;
	}
	l = pool_get(j->ctx->pool, addr);
	c = l ? server_claim(j, l) : CLAIM_UNKNOWN;
	/* decision A8: back after a long absence, what runs may run on, nothing else */
	if (j->view->hold && !server_hears(j, c == CLAIM_OWN && l->expires > j->now->wall.sec))
		return;
	if (!claim_is_good(c) || (c != CLAIM_OWN && has_another(j, addr))) {
		refuse(j, c);
		return;
	}
	/* RECOVER-DONE renews only: no new lease for a client that merely says it had one */
	if (c != CLAIM_OWN && !server_hears(j, j->view->serve_new))
		return;
	if (!moves_to_reservation(j, how, addr))
		server_grant(j, l, c);
}

/* --- the states ---------------------------------------------------------------------------------
 */

static bool is_our_id(const struct job *j, uint32_t id)
{
	return id && (id == j->req->iface_addr || id == j->ctx->server_identifier ||
		      id == j->req->dest_addr || id == j->server_id);
}

static void selecting(struct job *j)
{
	uint32_t offered = pool_offered(j->ctx->pool, j->req->key, j->scope);

	/* before the failover gate: another server's identifier may show that the partner lives */
	if (!is_our_id(j, dhcp_opt_addr(j->msg, DHO_SERVER_ID))) {
		if (offered)
			pool_offer_drop(j->ctx->pool, offered);
		j->ret->reason = SERVER_OTHER_SERVER;
	} else if (server_hears(j, j->view->serve_new)) {
		ask_for(j, ASK_SELECTING, dhcp_opt_addr(j->msg, DHO_REQUESTED_ADDRESS));
	}
}

static void init_reboot(struct job *j)
{
	if (!server_hears(j, j->view->serve_new))
		return;
	if (server_owns_client(j))
		ask_for(j, ASK_INIT_REBOOT, dhcp_opt_addr(j->msg, DHO_REQUESTED_ADDRESS));
	else
		j->ret->reason = SERVER_PARTNERS_CLIENT;
}

static void renewing(struct job *j)
{
	if (server_hears(j, j->view->serve_renew))
		ask_for(j, ASK_RENEWING, j->msg->ciaddr);
}

/* RFC 2131 §4.3.2, table 4. A client that fills in ciaddr and asks for no other address renews,
 * whatever else it says; RENEWING and REBINDING are one to both servers (decision A15). */
void server_ask(struct job *j)
{
	bool asks = dhcp_opt_addr(j->msg, DHO_REQUESTED_ADDRESS) != 0;

	if (asks && dhcp_has(j->msg, DHO_SERVER_ID))
		selecting(j);
	else if (j->msg->ciaddr)
		renewing(j);
	else if (asks)
		init_reboot(j);
	else
		j->ret->reason = SERVER_NO_LEASE;
}
