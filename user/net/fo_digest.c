/*
 * The message digest of the failover connection: seals what is sent, checks what is received, and
 * knows a CONNECT that was heard before.
 *
 * Callers: fo_guard. Standards: draft-ietf-dhc-failover-12 §12.17, RFC 2104 (HMAC), RFC 5869
 * (HKDF); decision A24.
 */
#include "net/fo_digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "core/wire.h"

enum {
	MAC_LEN = 32,
	KEY_LEN = 32,
	OPT_HDR_LEN = 4,
	BEFORE = 64, /* former numbers that are tried to tell a replayed message from a wrong one */
};
_Static_assert(FO_DIGEST_ROOM == OPT_HDR_LEN + 1 + MAC_LEN, "option 17 with its header");

enum way { IN, OUT };

struct fo_digest {
	struct octets secret[2]; /* in force, former */
	unsigned chosen;	 /* which one this connection takes */
	bool primary, keyed;
	bool has[2]; /* nonce of the primary, of the secondary */
	uint8_t nonce[2][FO_NONCE_LEN];
	uint8_t key[2][KEY_LEN]; /* by enum way */
	uint64_t count[2];	 /* messages so far, by enum way */
};

const char *fo_digest_text(enum fo_digest_verdict v)
{
	static const char *const text[] = {
		[FO_DIGEST_OK] = "the digest is right",
		[FO_DIGEST_MISSING] = "a message without a digest",
		[FO_DIGEST_WRONG] = "the digest is not that of our secret",
		[FO_DIGEST_REPLAYED] = "a message that was sent before is repeated",
		[FO_DIGEST_UNEXPECTED] =
			"a message with a digest, and no secret is configured here",
	};

	return (unsigned)v < FO_DIGEST_VERDICTS ? text[v] : "unknown";
}

enum fo_reject fo_digest_reject(enum fo_digest_verdict v)
{
	switch (v) {
	case FO_DIGEST_OK:
		return FO_REJECT_NONE;
	case FO_DIGEST_MISSING:
		return FO_REJECT_DIGEST_MISSING;
	case FO_DIGEST_UNEXPECTED:
		return FO_REJECT_DIGEST_UNCONFIGURED;
	default:
		return FO_REJECT_DIGEST_MISMATCH;
	}
}

/* --- OpenSSL ---------------------------------------------------------------------------------- */

/* Fetched once: looking an algorithm up takes longer than using it. */
static EVP_MAC *hmac(void)
{
	static EVP_MAC *mac;

	if (!mac)
		mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	return mac;
}

static bool hmac_sha256(struct octets key, const struct octets *part, unsigned n,
			uint8_t ret[MAC_LEN])
{
	OSSL_PARAM params[2];
	EVP_MAC *mac = hmac();
	EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
	char sha256[] = "SHA256";
	size_t len = 0;
	bool ok;

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0);
	params[1] = OSSL_PARAM_construct_end();
	ok = c && EVP_MAC_init(c, key.p, key.len, params);
	for (unsigned i = 0; ok && i < n; i++)
		ok = !part[i].len || EVP_MAC_update(c, part[i].p, part[i].len);
	ok = ok && EVP_MAC_final(c, ret, &len, MAC_LEN) && len == MAC_LEN;
	EVP_MAC_CTX_free(c);
	return ok;
}

static bool hkdf_sha256(struct octets secret, struct octets salt, const char *info,
			uint8_t ret[KEY_LEN])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char sha256[] = "SHA256";
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.p,
						  secret.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.p,
						  salt.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
						  strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	bool ok = c && EVP_KDF_derive(c, ret, KEY_LEN, p) == 1;

	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return ok;
}

/* --- keys ------------------------------------------------------------------------------------- */

struct fo_digest *fo_digest_new(struct octets secret, struct octets former, bool primary)
{
	struct fo_digest *d = OPENSSL_secure_zalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->secret[0] = secret;
	d->secret[1] = former;
	d->primary = primary;
	return d;
}

void fo_digest_free(struct fo_digest *d)
{
	OPENSSL_secure_clear_free(d, sizeof(*d));
}

static struct octets key_of(const struct fo_digest *d, enum way way, unsigned secret)
{
	if (!d->keyed)
		return d->secret[secret];
	return (struct octets){ d->key[way], KEY_LEN };
}

static void derive(struct fo_digest *d)
{
	static const char *const info[] = { "twinlease failover: from the primary",
					    "twinlease failover: from the secondary" };
	struct octets salt = { d->nonce[0], sizeof(d->nonce) };

	d->keyed = hkdf_sha256(d->secret[d->chosen], salt, info[!d->primary], d->key[OUT]) &&
		   hkdf_sha256(d->secret[d->chosen], salt, info[d->primary], d->key[IN]);
}

/* After a CONNECT, or a CONNECTACK that accepts. False: it should have told a nonce. */
static bool note_nonce(struct fo_digest *d, const uint8_t *msg, size_t len)
{
	struct fo_connect c;
	struct fo_msg m;
	unsigned of = msg[2] == FO_CONNECTACK;

	if ((msg[2] != FO_CONNECT && msg[2] != FO_CONNECTACK) || d->keyed)
		return true;
	if (fo_msg_decode(msg, len, &m) != FO_OK)
		return true; /* which the caller finds as well */
	fo_msg_read_connect(&m, &c);
	if (of && c.has & 1u << FO_OPT_REJECT_REASON)
		return true;
	if (!c.has_nonce) /* CONNECT may ask for TLS first, and is answered alike */
		return !of || !d->has[0];
	memcpy(d->nonce[of], c.nonce, FO_NONCE_LEN);
	d->has[of] = true;
	if (d->has[0] && d->has[1])
		derive(d);
	return !of || d->keyed;
}

/* --- messages --------------------------------------------------------------------------------- */

/* Where option 17 stands, or would have to; 0: nowhere. */
static size_t place(const uint8_t *msg, size_t len)
{
	size_t at = len > 3 ? msg[3] : 0;

	if (at == 8) /* what the draft's text says, against its own picture */
		at = FO_HDR_LEN;
	return at >= FO_HDR_LEN && at <= len && len <= FO_MSG_MAX ? at : 0;
}

bool fo_digest_present(const uint8_t *msg, size_t len)
{
	static const uint8_t head[] = { 0, FO_OPT_DIGEST, 0, 1 + MAC_LEN, FO_DIGEST_TYPE };
	size_t at = place(msg, len);

	return at && len - at >= FO_DIGEST_ROOM && !memcmp(msg + at, head, sizeof(head));
}

/* The digest of a message that has room for it: @at its 32 octets. */
static bool compute(const struct fo_digest *d, enum way way, unsigned secret, uint64_t number,
		    const uint8_t *msg, size_t len, size_t at, uint8_t ret[MAC_LEN])
{
	static const uint8_t zero[MAC_LEN];
	bool answers = !d->keyed && msg[2] == FO_CONNECTACK && d->has[0];
	uint8_t count[8];
	struct wr w = wr_init(count, sizeof(count));
	struct octets part[] = {
		{ count, sizeof(count) },
		{ d->nonce[0], answers ? FO_NONCE_LEN : 0 },
		{ msg, (uint32_t)at },
		{ zero, MAC_LEN },
		{ msg + at + MAC_LEN, (uint32_t)(len - at - MAC_LEN) },
	};

	wr_u64(&w, number);
	return hmac_sha256(key_of(d, way, secret), part, sizeof(part) / sizeof(part[0]), ret);
}

size_t fo_digest_seal(struct fo_digest *d, const uint8_t *msg, size_t len, uint8_t ret[FO_MSG_MAX])
{
	static const uint8_t head[] = { 0, FO_OPT_DIGEST, 0, 1 + MAC_LEN, FO_DIGEST_TYPE };
	size_t at = place(msg, len), all = len + FO_DIGEST_ROOM;

	if (!at || all > FO_MSG_MAX)
		return 0;
	memcpy(ret, msg, at);
	memcpy(ret + at, head, sizeof(head));
	memcpy(ret + at + FO_DIGEST_ROOM, msg + at, len - at);
	ret[0] = (uint8_t)(all >> 8);
	ret[1] = (uint8_t)all;
	at += sizeof(head);
	if (!compute(d, OUT, d->chosen, d->count[OUT], ret, all, at, ret + at))
		return 0;
	d->count[OUT]++;
	return note_nonce(d, ret, all) ? all : 0;
}

static bool is_right(const struct fo_digest *d, unsigned secret, uint64_t number,
		     const uint8_t *msg, size_t len)
{
	size_t at = place(msg, len) + OPT_HDR_LEN + 1;
	uint8_t mac[MAC_LEN];

	return compute(d, IN, secret, number, msg, len, at, mac) &&
	       !CRYPTO_memcmp(mac, msg + at, MAC_LEN);
}

/* A secondary answers with the secret that it was asked with. */
static bool choose(struct fo_digest *d, const uint8_t *msg, size_t len)
{
	for (unsigned i = 0; i < 2; i++) {
		bool free = i == d->chosen || (!d->count[IN] && !d->count[OUT]);

		if (!free || !d->secret[i].p || !is_right(d, i, d->count[IN], msg, len))
			continue;
		d->chosen = i;
		return true;
	}
	return false;
}

/* A wrong digest ends the connection: it may cost something to say what is wrong with it. */
static enum fo_digest_verdict blame(const struct fo_digest *d, const uint8_t *msg, size_t len)
{
	for (uint64_t i = 1; i <= BEFORE && i <= d->count[IN]; i++)
		if (is_right(d, d->chosen, d->count[IN] - i, msg, len))
			return FO_DIGEST_REPLAYED;
	return FO_DIGEST_WRONG;
}

enum fo_digest_verdict fo_digest_open(struct fo_digest *d, const uint8_t *msg, size_t len)
{
	if (!fo_digest_present(msg, len))
		return FO_DIGEST_MISSING;
	if (!choose(d, msg, len))
		return blame(d, msg, len);
	d->count[IN]++;
	return note_nonce(d, msg, len) ? FO_DIGEST_OK : FO_DIGEST_WRONG;
}

/* --- CONNECT, once ---------------------------------------------------------------------------- */

static void remember(struct fo_replay *r, const uint8_t nonce[FO_NONCE_LEN], uint32_t time)
{
	if (r->n == FO_REPLAY_SEEN && r->seen[r->next].time > r->forgotten)
		r->forgotten = r->seen[r->next].time;
	memcpy(r->seen[r->next].nonce, nonce, FO_NONCE_LEN);
	r->seen[r->next].time = time;
	r->next = (r->next + 1) % FO_REPLAY_SEEN;
	if (r->n < FO_REPLAY_SEEN)
		r->n++;
}

enum fo_reject fo_replay_check(struct fo_replay *r, const struct fo_msg *connect, wall_t now,
			       uint32_t skew_sec)
{
	int64_t off = (int64_t)connect->time - now.sec;
	struct fo_connect c;

	if (off > skew_sec || -off > skew_sec)
		return FO_REJECT_TIME_MISMATCH;
	fo_msg_read_connect(connect, &c);
	if (!c.has_nonce || connect->time <= r->forgotten)
		return FO_REJECT_DIGEST_MISMATCH;
	for (unsigned i = 0; i < r->n; i++)
		if (!memcmp(r->seen[i].nonce, c.nonce, FO_NONCE_LEN))
			return FO_REJECT_DIGEST_MISMATCH;
	remember(r, c.nonce, connect->time);
	return FO_REJECT_NONE;
}
