#pragma once
/*
 * Inside of the server: one request on its way to a decision.
 *
 *   server.c         which subnet, which of our addresses answers, the gates of failover, the types
 *   server_claim.c   what a client may do with one address
 *   server_find.c    DISCOVER: the address for a client
 *   server_ask.c     REQUEST in its four states; NAKs
 *   server_lease.c   the records: lease granted, renewed, released, declined, expired
 */
#include "core/server.h"

struct job {
	const struct server_ctx *ctx;
	const struct server_request *req;
	const struct dhcp_msg *msg;
	const struct now *now;
	const struct scope *scope;
	const struct fo_view *view;
	const struct reservation *reservation; /* of this client in this scope; NULL none */
	uint32_t server_id;
	struct server_decision *ret;
};

/* What a client may do with an address. */
enum claim {
	CLAIM_OWN,	/* its own running lease */
	CLAIM_RETURN,	/* its own lease, ended, and the partner was not told of the end */
	CLAIM_FREE,	/* free, and ours to give to this client */
	CLAIM_OTHERS,	/* held by somebody else, or reserved for somebody else */
	CLAIM_OFFERED,	/* free, offered to somebody else */
	CLAIM_PARTNERS, /* free, the partner's to give */
	CLAIM_AWAITING, /* ended, and the partner has yet to agree */
	CLAIM_UNKNOWN,	/* not leased at all: in no range, or abandoned after a conflict */
};

static inline bool claim_is_good(enum claim c)
{
	return c == CLAIM_OWN || c == CLAIM_RETURN || c == CLAIM_FREE;
}

enum claim server_claim(const struct job *j, const struct lease *l);
/* The same by address; one outside of the client's scope is UNKNOWN. */
enum claim server_claim_addr(const struct job *j, uint32_t addr);

/* Does the partner know nothing of this lease, so that its address is ours again without a word? */
bool server_may_rewind(const struct fo_view *v, const struct lease *l);

/* May a request of this kind be heard now? Else the reason is set. */
bool server_hears(struct job *j, bool allowed);
bool server_owns_client(const struct job *j);

void server_discover(struct job *j);
void server_ask(struct job *j);

/* The answer to DISCOVER and REQUEST, and the record that an ACK stands for. */
void server_offer(struct job *j, const struct lease *l);
void server_grant(struct job *j, const struct lease *l, enum claim c);
void server_release(struct job *j);
void server_decline(struct job *j);
