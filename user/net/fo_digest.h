#pragma once
/*
 * The message digest of the failover connection: HMAC-SHA-256 in option 17, the first of every
 * message, of type 2. One object per connection; it lies in memory that no core dump shows.
 *
 * The input of the HMAC is: the number of the message in its direction (64 bits, from 0), which is
 * not sent; in CONNECTACK the nonce of the CONNECT that it answers; the message, with the 32 octets
 * of the digest zero. So what is replayed, left out or moved fails. CONNECT, CONNECTACK and what
 * comes before both nonces are known take the secret as the key; all that follows takes a key per
 * direction, HKDF-SHA-256 of the secret with both nonces as the salt: no message of one connection
 * is worth anything in another, nor in the other direction.
 *
 * Spec: draft-ietf-dhc-failover-12 §12.17; RFC 2104, RFC 5869; decision A24.
 */
#include "core/fo_msg.h"

#define FO_DIGEST_TYPE 2 /* HMAC-SHA-256; the draft's type 1 is HMAC-MD5 */

enum fo_digest_verdict {
	FO_DIGEST_OK,
	FO_DIGEST_MISSING,
	FO_DIGEST_WRONG,
	FO_DIGEST_REPLAYED,   /* right, for an earlier message or an earlier CONNECT */
	FO_DIGEST_UNEXPECTED, /* there is one, and we have no secret */
	FO_DIGEST_VERDICTS
};
const char *fo_digest_text(enum fo_digest_verdict v);
/* What the partner is told: 21, 20, 20, 13. */
enum fo_reject fo_digest_reject(enum fo_digest_verdict v);

struct fo_digest;

/**
 * fo_digest_new - for one connection
 * @secret: the one in force
 * @former: the one before it, taken from a primary as well; p NULL: none. A secondary answers with
 *          the one it was asked with.
 * Return: NULL when there is no memory. The secrets must outlive it.
 */
struct fo_digest *fo_digest_new(struct octets secret, struct octets former, bool primary);
void fo_digest_free(struct fo_digest *d);

/**
 * fo_digest_seal - the next message to send, with its digest
 * @msg: a whole message of at most FO_MSG_MAX - FO_DIGEST_ROOM octets, as the core writes them
 * Return: octets in @ret, 0 when that cannot be.
 */
size_t fo_digest_seal(struct fo_digest *d, const uint8_t *msg, size_t len, uint8_t ret[FO_MSG_MAX]);

/* The next message that came, @len octets of header length and all. Only FO_DIGEST_OK counts it;
 * else the connection has to be closed. */
enum fo_digest_verdict fo_digest_open(struct fo_digest *d, const uint8_t *msg, size_t len);

/* Does the message begin with a digest of our type? */
bool fo_digest_present(const uint8_t *msg, size_t len);

/* --- CONNECT, once ---------------------------------------------------------------------------- */

/* The nonces of a relationship's CONNECTs that may still be repeated in time. */
#define FO_REPLAY_SEEN 64
struct fo_replay {
	struct {
		uint8_t nonce[FO_NONCE_LEN];
		uint32_t time;
	} seen[FO_REPLAY_SEEN];
	unsigned n, next;
	uint32_t forgotten; /* CONNECTs of this time or before are not taken any more */
};

/**
 * fo_replay_check - is this CONNECT, whose digest is right, one that was never heard before?
 * @skew_sec: how far its time may be from ours
 * Return: FO_REJECT_NONE and it is remembered; FO_REJECT_TIME_MISMATCH; FO_REJECT_DIGEST_MISMATCH
 * for a replayed one.
 */
enum fo_reject fo_replay_check(struct fo_replay *r, const struct fo_msg *connect, wall_t now,
			       uint32_t skew_sec);
