#pragma once
/*
 * TLS 1.3 of the failover connection, with certificates on both sides. The only file that calls
 * OpenSSL's libssl and libevent's part for it.
 * Spec: RFC 8446, RFC 5280; draft-ietf-dhc-failover-12 §8.2; failover-wire §6.
 */
#include <openssl/types.h>

#include "conf/conf.h"

struct bufferevent;
struct event_base;

struct fo_tls_files {
	struct octets text[3]; /* PEM: certificate (and its chain), key, the partner's CA */
};

/**
 * fo_tls_context - what all connections of a relationship share
 * Return: NULL with @ret, or what is wrong and how to mend it; then @ret_which says with which of
 * the files.
 */
const char *fo_tls_context(const struct fo_tls_files *f, unsigned *ret_which, SSL_CTX **ret);
void fo_tls_context_free(SSL_CTX *ctx);

/* The first of several certificates to end. */
struct fo_tls_end {
	wall_t at;
	bool ca; /* it is the CA's, of `partner-ca` */
	char subject[160];
};
bool fo_tls_end_of_ours(SSL_CTX *ctx, struct fo_tls_end *ret); /* and of its chain */
bool fo_tls_end_of_theirs(struct bufferevent *bev,
			  struct fo_tls_end *ret); /* after the handshake */

/**
 * fo_tls_start - begin the handshake on a connection
 * @plain: everything written to it has left, nothing of it is unread; given up in every case
 * @c: whom the partner's certificate must name
 * @client: the primary is
 * Return: NULL when there is no memory. BEV_EVENT_CONNECTED says when the handshake is done.
 */
struct bufferevent *fo_tls_start(struct event_base *base, struct bufferevent *plain, SSL_CTX *ctx,
				 const struct conf_relation *c, bool client);

/* Why a connection failed, in words; "" when TLS is not to blame. */
const char *fo_tls_why(struct bufferevent *bev, char *buf, size_t size);

/* Write what the loop has not written yet, as far as it goes without waiting, and say good bye. */
void fo_tls_finish(struct bufferevent *bev);
