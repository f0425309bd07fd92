#pragma once
/*
 * TCP for the failover relationships: who connects, who listens, framing, retry. It knows of the
 * protocol only the length of a message, and of CONNECT the relationship's name.
 * Spec: draft-ietf-dhc-failover-12 §6.1, §8; failover-wire §1.
 */
#include "conf/conf.h"
#include "net/fo_keys.h"

struct event_base;
struct fo_net;
struct fo_tls_end;

/* Why there is no connection, before the core heard of one: one counter and one event each */
enum fo_refused {
	FO_REFUSED_DIGEST_MISSING,
	FO_REFUSED_DIGEST_WRONG,
	FO_REFUSED_DIGEST_REPLAYED,
	FO_REFUSED_DIGEST_UNEXPECTED,
	FO_REFUSED_TLS,
	FO_REFUSED_CONNECT, /* for a reason that the partner told; not counted */
	FO_REFUSED_LOCAL,   /* by our own host: the local address; not counted */
	FO_REFUSED_SOCKET,  /* likewise: a socket at all */
};

struct fo_net_ops { /* all on the loop thread */
	void *ctx;
	void (*link_up)(void *ctx, unsigned relation, bool ours);
	void (*link_down)(void *ctx, unsigned relation, enum fo_close_reason why);
	void (*message)(void *ctx, unsigned relation, const struct fo_msg *m);
	void (*garbage)(void *ctx, unsigned relation, enum fo_verdict v);
	void (*refused)(void *ctx, unsigned relation, enum fo_refused what, const char *why);
	/* Is there room for what one more message may cause? Where not it stays unread. */
	bool (*room)(void *ctx, unsigned relation);
	/* It has said something that stays unread for now: it is not silent. */
	void (*waits)(void *ctx, unsigned relation);
};

/**
 * fo_net_open - listen for every secondary, connect for every primary
 * @c, @keys: outlive the net, or its next fo_net_use
 * Return: 0 or -errno with one sentence in @err. Nothing is accepted or connected before the
 * loop runs.
 */
int fo_net_open(struct event_base *base, const struct conf *c, const struct fo_keys *keys,
		const struct fo_net_ops *ops, struct fo_net **ret, char err[256]);
void fo_net_close_all(struct fo_net *n); /* FIN to every partner; NULL is fine */

/* The same relationships, with the same addresses and roles, as another configuration has them.
 * Connections are closed, and come again with its secrets and certificates. */
void fo_net_use(struct fo_net *n, const struct conf *c, const struct fo_keys *keys);

/* End of a turn. What a link, or all, said beyond their share of it is heard in the next one, so
 * that a partner who floods takes neither the clients' turn nor another relationship's. */
void fo_net_turn(struct fo_net *n);

/* Octets for the partner; dropped when no link is up. */
void fo_net_send(struct fo_net *n, unsigned relation, const uint8_t *msg, size_t len);
/* Close after what was sent has left (at most 2 s), or at once where the partner is silent.
 * Does not call link_down. */
void fo_net_close(struct fo_net *n, unsigned relation, enum fo_close_reason why);
bool fo_net_is_up(const struct fo_net *n, unsigned relation);
/* When the certificates of the partner end, as its link has shown them; false: no such link. */
bool fo_net_partner_end(const struct fo_net *n, unsigned relation, struct fo_tls_end *ret);
