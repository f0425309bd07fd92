/*
 * TLS 1.3 between two of our own servers. Each shows a certificate that the other's `partner-ca`
 * has signed and that names it: as an IP address the one that is configured as `partner`, or as a
 * DNS name the configured `partner-name`. Nothing older, nothing anonymous, no tickets.
 *
 * Callers: fo_keys (contexts), fo_guard and fo_session (connections), node_certificates (how long
 * ours is good for).
 * Standards: RFC 8446; RFC 5280 §4.2.1.6 (names); RFC 6125 (comparing them).
 */
#include "net/fo_tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { CERTIFICATE, KEY, PARTNER_CA };

/* --- contexts --------------------------------------------------------------------------------- */

static BIO *bio_of(struct octets o)
{
	return BIO_new_mem_buf(o.p, (int)o.len);
}

/* A daemon has nobody to ask. */
static int no_password(char *buf, int size, int rwflag, void *u)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)u;
	return -1;
}

static X509 *next_certificate(BIO *in)
{
	return in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
}

static const char *use_certificate(SSL_CTX *ctx, struct octets pem)
{
	static const char wrong[] = "holds no certificate: PEM is expected, the server's own first";
	BIO *in = bio_of(pem);
	X509 *x = next_certificate(in);
	const char *why = x && SSL_CTX_use_certificate(ctx, x) == 1 ? NULL : wrong;

	X509_free(x);
	while (!why && (x = next_certificate(in))) /* those between it and the CA */
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			why = wrong;
		}
	BIO_free(in);
	return why;
}

static const char *use_key(SSL_CTX *ctx, struct octets pem)
{
	BIO *in = bio_of(pem);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	const char *why = NULL;

	if (!key)
		why = "holds no private key that can be read: PEM without a password is expected";
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		why = "is not the key of the certificate: name the pair";
	EVP_PKEY_free(key);
	BIO_free(in);
	return why;
}

static const char *use_partner_ca(SSL_CTX *ctx, struct octets pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *in = bio_of(pem);
	unsigned n = 0;
	X509 *x;

	while ((x = next_certificate(in))) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(in);
	return n ? NULL : "holds no certificate: the CA's, in PEM, is expected";
}

static const char *fill(SSL_CTX *ctx, const struct fo_tls_files *f, unsigned *which)
{
	static const char *(*const use[])(SSL_CTX *, struct octets) = {
		[CERTIFICATE] = use_certificate,
		[KEY] = use_key,
		[PARTNER_CA] = use_partner_ca,
	};
	const char *why = NULL;

	for (unsigned i = 0; !why && i < 3; i++) {
		*which = i;
		why = use[i](ctx, f->text[i]);
	}
	return why;
}

const char *fo_tls_context(const struct fo_tls_files *f, unsigned *ret_which, SSL_CTX **ret)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const char *why = "cannot be used: OpenSSL is out of memory";

	if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1)
		why = fill(ctx, f, ret_which);
	ERR_clear_error(); /* the end of a PEM file is one */
	if (why) {
		SSL_CTX_free(ctx);
		return why;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0); /* every connection shows its certificate */
	*ret = ctx;
	return NULL;
}

void fo_tls_context_free(SSL_CTX *ctx)
{
	SSL_CTX_free(ctx);
}

/* --- validity --------------------------------------------------------------------------------- */

static bool ends_sooner(X509 *x, bool ca, struct fo_tls_end *best)
{
	struct tm tm;
	wall_t at;

	if (!x || ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return false;
	at.sec = timegm(&tm);
	if (at.sec >= best->at.sec)
		return false;
	best->at = at;
	best->ca = ca;
	(void)X509_NAME_oneline(X509_get_subject_name(x), best->subject, sizeof(best->subject));
	return true;
}

bool fo_tls_end_of_ours(SSL_CTX *ctx, struct fo_tls_end *ret)
{
	struct fo_tls_end best = { .at = { INT64_MAX } };
	STACK_OF(X509) *chain = NULL;
	bool found = ends_sooner(SSL_CTX_get0_certificate(ctx), false, &best);

	(void)SSL_CTX_get0_chain_certs(ctx, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++)
		found |= ends_sooner(sk_X509_value(chain, i), false, &best);
	if (found)
		*ret = best;
	return found;
}

/* What vouches for all the others stands last: it is from our own file. */
bool fo_tls_end_of_theirs(struct bufferevent *bev, struct fo_tls_end *ret)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	STACK_OF(X509) *chain = ssl ? SSL_get0_verified_chain(ssl) : NULL;
	struct fo_tls_end best = { .at = { INT64_MAX } };
	bool found = false;

	for (int i = 0, n = sk_X509_num(chain); i < n; i++)
		found |= ends_sooner(sk_X509_value(chain, i), i > 0 && i == n - 1, &best);
	if (found)
		*ret = best;
	return found;
}

/* --- connections ------------------------------------------------------------------------------ */

static bool expect(SSL *ssl, const struct conf_relation *c)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	const uint8_t *ip = (const uint8_t *)&c->partner.sin_addr.s_addr;

	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_WILDCARDS |
						   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (c->tls.partner_name)
		return X509_VERIFY_PARAM_set1_host(p, c->tls.partner_name, 0) == 1;
	return X509_VERIFY_PARAM_set1_ip(p, ip, 4) == 1;
}

struct bufferevent *fo_tls_start(struct event_base *base, struct bufferevent *plain, SSL_CTX *ctx,
				 const struct conf_relation *c, bool client)
{
	SSL *ssl = SSL_new(ctx);
	struct bufferevent *bev = NULL;
	evutil_socket_t fd = bufferevent_getfd(plain);

	if (ssl && expect(ssl, c)) {
		bufferevent_disable(plain, EV_READ | EV_WRITE);
		(void)bufferevent_setfd(plain, -1);
		bev = bufferevent_openssl_socket_new(base, fd, ssl,
						     client ? BUFFEREVENT_SSL_CONNECTING
							    : BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE);
		if (!bev)
			close(fd);
	} else {
		SSL_free(ssl);
	}
	if (bev) /* to close without notice is what a loss looks like, and nothing else follows from
		    it */
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	bufferevent_free(plain);
	return bev;
}

const char *fo_tls_why(struct bufferevent *bev, char *buf, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	unsigned long e = ssl ? bufferevent_get_openssl_error(bev) : 0;
	long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	if (verify != X509_V_OK)
		snprintf(buf, size, "the partner's certificate: %s",
			 X509_verify_cert_error_string(verify));
	else
		snprintf(buf, size, "%s", reason ? reason : "");
	return buf;
}

void fo_tls_finish(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	struct evbuffer *out = bufferevent_get_output(bev);
	size_t len = evbuffer_get_length(out);

	ERR_clear_error();
	if (len && SSL_write(ssl, evbuffer_pullup(out, -1), len < INT32_MAX ? (int)len : 0) <= 0)
		return;
	(void)SSL_shutdown(ssl);
}
