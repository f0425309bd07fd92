/*
 * Fuzzer of the records on disk. An input is tried as a whole record, and as the items of one
 * (framed here with version and check, which chance would never hit). What decodes must encode
 * to a record that decodes to the same, and merging must not lose the holder.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "store/lease_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

static void try_merge(const uint8_t *p, size_t len, const struct lease *l)
{
	uint8_t fresh[LEASE_RECORD_MAX], merged[LEASE_RECORD_MAX];
	size_t n = lease_record_encode(l, NULL, fresh, sizeof(fresh));
	struct lease_client before, after;
	struct lease again;
	int m;

	m = lease_record_merge((struct octets){ fresh, (uint32_t)n },
			       (struct octets){ p, (uint32_t)len }, merged, sizeof(merged));
	if (m < 0)
		return; /* unknown items may be too long to stand beside every number */
	must(lease_record_decode(p, len, &again, &before) == 0);
	must(lease_record_decode(merged, (size_t)m, &again, &after) == 0);
	must(!memcmp(&before, &after, sizeof(before)));
}

static void try_lease(const uint8_t *p, size_t len)
{
	uint8_t one[LEASE_RECORD_MAX], two[LEASE_RECORD_MAX];
	struct lease_client c;
	struct lease l;
	size_t n;

	if (lease_record_decode(p, len, &l, &c) < 0)
		return;
	n = lease_record_encode(&l, &c, one, sizeof(one));
	must(n > 0);
	must(lease_record_decode(one, n, &l, &c) == 0);
	must(lease_record_encode(&l, &c, two, sizeof(two)) == n && !memcmp(one, two, n));
	try_merge(p, len, &l);
}

static void try_run(const uint8_t *p, size_t len)
{
	uint8_t one[LEASE_RECORD_MAX], two[LEASE_RECORD_MAX];
	struct lease l;
	uint32_t n;
	size_t size;

	if (run_record_decode(p, len, &l, &n) < 0)
		return;
	must(n > 0 && (l.state == LEASE_FREE || l.state == LEASE_BACKUP));
	size = run_record_encode(&l, n, one, sizeof(one));
	must(size > 0);
	must(run_record_decode(one, size, &l, &n) == 0);
	must(run_record_encode(&l, n, two, sizeof(two)) == size && !memcmp(one, two, size));
}

static void try_relation(const uint8_t *p, size_t len)
{
	uint8_t one[LEASE_RECORD_MAX], two[LEASE_RECORD_MAX];
	struct fo_record r;
	size_t n;

	if (fo_record_decode(p, len, &r) < 0)
		return;
	n = fo_record_encode(&r, one, sizeof(one));
	must(n > 0);
	must(fo_record_decode(one, n, &r) == 0);
	must(fo_record_encode(&r, two, sizeof(two)) == n && !memcmp(one, two, n));
}

/* version | @data | ff 04 crc */
static size_t frame(const uint8_t *data, size_t size, uint8_t *buf)
{
	uint32_t check;

	buf[0] = LEASE_RECORD_VERSION;
	if (size)
		memcpy(buf + 1, data, size);
	check = (uint32_t)crc32(0, buf, (uInt)(size + 1));
	buf += size + 1;
	buf[0] = 0xff;
	buf[1] = 4;
	for (int i = 0; i < 4; i++)
		buf[2 + i] = (uint8_t)(check >> (24 - 8 * i));
	return size + 7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *framed;
	size_t len;

	try_lease(data, size);
	try_relation(data, size);
	try_run(data, size);
	if (size > LEASE_RECORD_MAX)
		return 0;
	framed = malloc(size + 7); /* exact, for the address sanitizer */
	must(framed);
	len = frame(data, size, framed);
	try_lease(framed, len);
	try_relation(framed, len);
	try_run(framed, len);
	free(framed);
	return 0;
}
