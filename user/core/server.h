#pragma once
/*
 * One request and what is known -> one decision. The same function decides an offer and checks a
 * request: server_decide finds the address for the client, DISCOVER offers it, REQUEST compares.
 * Spec: RFC 2131 §4.3; RFC 4361; draft-ietf-dhc-failover-12 §9; decisions A15, D2.
 */
#include "core/binding.h"
#include "core/dhcp_msg.h"
#include "core/dhcp_reply.h"
#include "core/pool.h"

/* Every request ends under exactly one of these; X(id, public name, what it means) */
#define SERVER_REASONS(X)                                                                          \
	X(OFFERED, "offered", "DISCOVER answered with an OFFER")                                   \
	X(ACKED_NEW, "acked-new", "REQUEST answered with an ACK: new lease")                       \
	X(ACKED_RENEWED, "acked-renewed", "REQUEST answered with an ACK: lease extended")          \
	X(INFORMED, "informed", "INFORM answered with an ACK")                                     \
	X(RELEASED, "released", "RELEASE recorded")                                                \
	X(DECLINED, "declined", "DECLINE recorded, address abandoned")                             \
	X(NAK_WRONG_SUBNET, "nak-wrong-subnet", "the address is not of the client's subnet")       \
	X(NAK_NOT_YOURS, "nak-not-yours", "the address is held by somebody else")                  \
	X(NAK_UNKNOWN, "nak-unknown", "the client has no lease on this address")                   \
	X(NAK_RESERVED, "nak-reserved", "another address is reserved for the client")              \
	X(NO_SUBNET, "no-subnet", "no scope for giaddr, link or interface")                        \
	X(NO_ADDRESS, "no-address", "no free address that is ours to give")                        \
	X(NO_SERVER_ID, "no-server-id", "no address of ours to answer from")                       \
	X(OTHER_SERVER, "other-server", "REQUEST selects another server (option 54)")              \
	X(PARTNERS_CLIENT, "partners-client", "the partner's bucket, below secs-threshold")        \
	X(NOT_SERVING, "not-serving", "the failover state forbids an answer")                      \
	X(ON_HOLD, "on-hold", "partner may have taken over: only own unexpired leases")            \
	X(PARTNERS_ADDRESS, "partners-address", "the address is the partner's to give")            \
	X(AWAITING_PARTNER, "awaiting-partner", "the partner has not agreed to the address's end") \
	X(NO_LEASE, "no-lease", "RELEASE, DECLINE or renewal without a lease here")                \
	X(NAK_LIMIT, "nak-limit", "a NAK went to this client within 10 s")                         \
	X(NOT_AUTHORITATIVE, "not-authoritative", "would be a NAK, but not authoritative")         \
	X(OFFER_GONE, "offer-gone", "the offered address went to somebody else meanwhile")         \
	X(NO_ROOM, "no-room", "the reply does not fit the client's maximum message size")
/* NO_ROOM is found when the reply is encoded; server_decide never says so. */

enum server_reason {
#define X(id, name, text) SERVER_##id,
	SERVER_REASONS(X)
#undef X
		SERVER_REASON_COUNT
};

const char *server_reason_name(enum server_reason r);
const char *server_reason_text(enum server_reason r);

struct server_request {
	const struct dhcp_msg *msg;
	uint32_t iface_addr; /* our address on the incoming interface in the client's subnet, or
				its first; 0 none */
	uint32_t dest_addr;  /* IP destination when it is one of ours, else 0 */
	struct client_key key;
};

struct server_ctx {
	const struct scope_table *scopes;
	struct pool *pool;	     /* offers are held in it; leases change by pool_apply only */
	const struct fo_view *views; /* by relationship index */
	uint32_t server_identifier;  /* configured; 0 none */
	bool authoritative;
	uint32_t offer_hold_sec;   /* how long an offer is reserved; 0 = 60 */
	uint32_t decline_hold_sec; /* how long a declined address stays abandoned; 0 = 86400 */
};

struct server_decision {
	enum server_reason reason;
	const struct scope *scope; /* NULL when none was found */
	const struct fo_view *view;
	uint8_t bucket;
	bool answer; /* @reply is to be sent after the change is durable */
	bool change; /* @lease is to be stored; @client where set, else kept */
	bool change_client;
	struct dhcp_reply reply;
	struct lease lease;
	struct lease_client client;
	struct lease_grant grant; /* for explain */
};

/**
 * server_decide - what becomes of one request
 * Side effects: offers held or dropped in ctx->pool; nothing else. The caller stores ret->lease,
 * applies it to the pool in the same turn, and sends the reply once it is durable.
 */
void server_decide(const struct server_ctx *ctx, const struct server_request *req,
		   const struct now *now, struct server_decision *ret);

/**
 * server_expire - what becomes of a lease whose time is over
 * @view: of its relationship. In NORMAL the primary expires, the secondary 60 s late (A14); an
 * expired lease returns to FREE at once where the partner need not agree.
 * Return: true with @ret = the record to store; false: look again at *ret_again (UTC sec).
 */
bool server_expire(const struct fo_view *view, const struct lease *l, wall_t now, struct lease *ret,
		   uint32_t *ret_again);
