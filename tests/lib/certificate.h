#pragma once
/* Certificates for tests, made as they are needed: written to files as PEM, with a key each. */
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct certificate {
	X509 *x;
	EVP_PKEY *key;
};

static inline void certificate_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* @by NULL: signs itself, and others. @address: "IP:127.0.0.1". It ends @days from now. */
static inline struct certificate certificate_make(const char *cn, const char *address,
						  const struct certificate *by, int days)
{
	struct certificate c = { X509_new(), EVP_EC_gen("P-256") };
	X509_NAME *name = X509_get_subject_name(c.x);
	static long serial;

	(void)X509_set_version(c.x, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0);
	(void)X509_set_issuer_name(c.x, by ? X509_get_subject_name(by->x) : name);
	(void)X509_time_adj_ex(X509_getm_notBefore(c.x), -400, 0, NULL);
	(void)X509_time_adj_ex(X509_getm_notAfter(c.x), days, 3600, NULL); /* and an hour */
	(void)X509_set_pubkey(c.x, c.key);
	if (by)
		certificate_extend(c.x, NID_subject_alt_name, address);
	else
		certificate_extend(c.x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(c.x, by ? by->key : c.key, EVP_sha256()) > 0);
	return c;
}

static inline void certificate_free(struct certificate *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
}

/* @chain: more certificates into the same file, NULL none; @key NULL: no key. */
static inline void certificate_write(const struct certificate *c, const struct certificate *chain,
				     const char *file, const char *key)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, c->x), 1);
	if (chain)
		assert_int_equal(PEM_write_X509(f, chain->x), 1);
	assert_int_equal(fclose(f), 0);
	if (!key)
		return;
	f = fopen(key, "w");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}
