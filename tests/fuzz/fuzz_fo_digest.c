/*
 * Any octets as messages with a digest: they are found to be without one, or wrong, and a message
 * that was sealed opens to the same once, and with any change not at all (decision A24).
 */
#include <stdlib.h>
#include <string.h>
#include "net/fo_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct octets secret = { (const uint8_t *)"sixteen octets!!", 16 };
static const struct octets none;

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Nobody who does not know the secret gets anything through. */
static void as_received(const uint8_t *data, size_t size)
{
	struct fo_digest *d = fo_digest_new(secret, none, false);

	must(fo_digest_open(d, data, size) != FO_DIGEST_OK);
	fo_digest_free(d);
}

static void as_sent(const uint8_t *data, size_t size)
{
	struct fo_digest *p = fo_digest_new(secret, none, true);
	struct fo_digest *s = fo_digest_new(secret, none, false);
	uint8_t out[FO_MSG_MAX];
	size_t n = fo_digest_seal(p, data, size, out);

	if (n) {
		must(n == size + FO_DIGEST_ROOM && fo_digest_present(out, n));
		out[n - 1] ^= 1;
		must(fo_digest_open(s, out, n) != FO_DIGEST_OK);
		out[n - 1] ^= 1;
		if (fo_digest_open(s, out, n) == FO_DIGEST_OK)
			must(fo_digest_open(s, out, n) != FO_DIGEST_OK);
		else
			must(out[2] == FO_CONNECTACK);
	}
	fo_digest_free(p);
	fo_digest_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fo_msg m;

	if (size < 4)
		return 0;
	as_received(data, size < FO_MSG_MAX ? size : FO_MSG_MAX);
	if (fo_msg_decode(data, size, &m) == FO_OK)
		as_sent(data, m.len);
	return 0;
}
