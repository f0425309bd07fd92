/*
 * One request -> one decision: the subnet of the client, the address that we answer from, what the
 * failover state allows, and the message types. Nothing is stored or sent here.
 *
 * Callers: the clients' side of the daemon, `twinctl explain`, the simulation.
 * Standards: RFC 2131 §3, §4.3; RFC 3011, RFC 3527 (choice of subnet); RFC 3074 (load balancing);
 * draft-ietf-dhc-failover-12 §5.3, §9; decisions A5, A15, D2.
 */
#include "core/server_priv.h"

#include <string.h>

#include "shared/loadbal.h"

/* --- reasons -------------------------------------------------------------------------------- */

const char *server_reason_name(enum server_reason r)
{
	static const char *const name[] = {
#define X(id, name, text) name,
		SERVER_REASONS(X)
#undef X
	};

	return (unsigned)r < SERVER_REASON_COUNT ? name[r] : "unknown";
}

const char *server_reason_text(enum server_reason r)
{
	static const char *const text[] = {
#define X(id, name, text) text,
		SERVER_REASONS(X)
#undef X
	};

	return (unsigned)r < SERVER_REASON_COUNT ? text[r] : "unknown";
}

/* --- where the client is -------------------------------------------------------------------- */

/* A client that sent its message straight to us is in the subnet of its address, behind routers
 * perhaps; everybody else is where the relay, the option or the interface says. */
static const struct scope *find_scope(const struct server_ctx *ctx,
				      const struct server_request *req)
{
	const struct dhcp_msg *m = req->msg;
	uint32_t hint = dhcp_subnet_hint(m, NULL);

	if (m->type == DHCPRELEASE || (!hint && m->ciaddr && req->dest_addr))
		hint = m->ciaddr;
	return scope_find(ctx->scopes, hint ? hint : req->iface_addr);
}

/* Decision D2. What the request came to is the next best where nothing is configured. */
static uint32_t find_server_id(const struct job *j)
{
	const struct server_request *req = j->req;

	if (req->iface_addr && scope_holds(j->scope, req->iface_addr))
		return req->iface_addr;
	if (j->ctx->server_identifier)
		return j->ctx->server_identifier;
	return req->dest_addr ? req->dest_addr : req->iface_addr;
}

/* --- gates ---------------------------------------------------------------------------------- */

bool server_hears(struct job *j, bool allowed)
{
	if (!allowed)
		j->ret->reason = j->view->hold ? SERVER_ON_HOLD : SERVER_NOT_SERVING;
	return allowed;
}

/* RFC 3074, by the very rule and the very policy that the kernel applies; outside of NORMAL the
 * policy says to serve all. */
bool server_owns_client(const struct job *j)
{
	enum loadbal_why why;

	return loadbal_serves(&j->view->policy, j->ret->bucket, j->msg->secs, &why);
}

/* --- types ---------------------------------------------------------------------------------- */

/* INFORM asks for options only; no lease is looked at (RFC 2131 §4.3.5). */
static void inform(struct job *j)
{
	if (!server_hears(j, j->view->serve_new || j->view->serve_renew))
		return;
	j->ret->reason = SERVER_INFORMED;
	j->ret->answer = true;
	j->ret->reply = (struct dhcp_reply){ .type = DHCPACK,
					     .ciaddr = j->msg->ciaddr,
					     .server_id = j->server_id,
					     .options = &j->scope->options };
}

static void by_type(struct job *j)
{
	switch (j->msg->type) {
	case DHCPDISCOVER:
		server_discover(j);
		break;
	case DHCPREQUEST:
		server_ask(j);
		break;
	case DHCPRELEASE:
		server_release(j);
		break;
	case DHCPDECLINE:
		server_decline(j);
		break;
	case DHCPINFORM:
		inform(j);
		break;
	default: /* the decoder lets no other type in */
		j->ret->reason = SERVER_NO_LEASE;
		break;
	}
}

void server_decide(const struct server_ctx *ctx, const struct server_request *req,
		   const struct now *now, struct server_decision *ret)
{
	struct job j = { .ctx = ctx, .req = req, .msg = req->msg, .now = now, .ret = ret };

	memset(ret, 0, sizeof(*ret));
	pool_offers_expire(ctx->pool, now->mono);
	ret->reason = SERVER_NO_SUBNET;
	ret->scope = j.scope = find_scope(ctx, req);
	if (!j.scope)
		return;
	ret->view = j.view =
		j.scope->relation < 0 ? &fo_view_alone : &ctx->views[j.scope->relation];
	ret->bucket = dhcp_bucket(req->msg, j.view->policy.hash_identity);
	j.server_id = find_server_id(&j);
	ret->reason = SERVER_NO_SERVER_ID;
	if (!j.server_id)
		return;
	j.reservation = scope_reservation(j.scope, dhcp_client_id(req->msg), req->msg->htype,
					  dhcp_chaddr(req->msg));
	by_type(&j);
}
