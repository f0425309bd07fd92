#pragma once
/*
 * What stands between a connection and the core: message digest and TLS, where they are
 * configured. The core sees messages that have passed, and a link once it is encrypted.
 * Spec: decision A24; failover-wire §4.3 (reasons), §6; draft-ietf-dhc-failover-12 §8.2, §12.17.
 */
#include "net/fo_session_priv.h"

/* --- links ------------------------------------------------------------------------------------ */

/* A connection begins, or goes on encrypted: nothing of the former one counts. False: no memory. */
bool guard_begin(struct link *l);
void guard_end(struct link *l);

/* @len octets of a whole message: has it passed? If not the connection was refused and closed. */
bool guard_accepts(struct link *l, const uint8_t *msg, size_t len);

/* A message as it has to leave: @msg itself, or sealed in @room. 0: that cannot be. */
size_t guard_seal(struct link *l, const uint8_t **msg, size_t len, uint8_t room[FO_MSG_MAX]);

bool guard_wants_tls(const struct link *l); /* configured, and not yet in force */
void guard_ask_tls(struct link *l);	    /* the primary's first message, in the clear */
void guard_tls_answer(struct link *l);	    /* something came after it */
/* Tells why; true: for what one of the two does not accept of the other. */
bool guard_tls_failed(struct link *l, struct bufferevent *bev, const char *otherwise);

/* --- accepted connections --------------------------------------------------------------------- */

enum guard_inbound {
	GUARD_ADOPT,   /* the message has passed: the connection is the link's */
	GUARD_REFUSED, /* answered and closed */
	GUARD_WAIT,    /* answered: TLS begins */
};

/* The first message of an accepted connection names relationship @l: may it have it? */
enum guard_inbound guard_connect(struct inbound *in, struct link *l, const uint8_t *msg,
				 const struct fo_msg *m, const struct fo_connect *c);
void guard_inbound_sent(struct inbound *in); /* all that was written has left */
