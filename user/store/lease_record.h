#pragma once
/*
 * Records on disk: tags and values with a version; unknown tags are skipped, so that an older
 * server reads what a newer one wrote within one version.
 *
 *   octet 0        version, 1
 *   then items     tag, length, value; tags ascend; integers are big-endian; an absent number is 0
 *   last 6 octets  ff 04 and the CRC-32 (ISO 3309, as in zlib) of everything before them
 *
 * Tags 01 to 3f are numbers of the record, 40 to fe of a lease tell who holds it. A lease, ACTIVE
 * since 2026-01-01 00:00:00 UTC for an hour, bucket 0x2a, Ethernet address 02:00:00:00:00:01:
 *
 *   01  01 01 02  02 04 69 55 b9 00  03 04 69 55 c7 10  0c 01 2a
 *       state     starts             expires            bucket
 *   40 07 01 02 00 00 00 00 01  ff 04 f1 00 a7 c2
 *   hardware type and address   check
 */
#include "core/fo_endpoint.h"
#include "core/lease.h"

#define LEASE_RECORD_MAX 1200
#define LEASE_RECORD_VERSION 1

/**
 * lease_record_encode - one lease as it stands on disk; the address is the key and not in it
 * @c:    NULL: without the part that tells who holds it (see lease_record_merge)
 * @size: LEASE_RECORD_MAX is always enough
 *
 * Return: octets written, 0 when @size is too small.
 */
size_t lease_record_encode(const struct lease *l, const struct lease_client *c, uint8_t *buf,
			   size_t size);

/**
 * lease_record_decode - the reverse; ret->addr and ret->key are left zero
 * @ret_client: NULL: not wanted
 *
 * Return: 0; -EBADMSG malformed or damaged; -EPROTO intact, but of a version from the future.
 */
int lease_record_decode(const uint8_t *p, size_t len, struct lease *ret,
			struct lease_client *ret_client);

/* The same for one record after the other: @client is what the last one left there, at first all
 * zero. Not to write the 800 octets of it each time makes reading twice as fast. */
int lease_record_decode_over(const uint8_t *p, size_t len, struct lease *ret,
			     struct lease_client *client);

/**
 * lease_record_merge - numbers of one record, holder of another
 * @fresh: encoded without client
 * @old:   the record that stands on disk; also holder tags unknown to us are kept
 *
 * Return: octets written; -EBADMSG, -EPROTO about @old; -ENOBUFS.
 */
int lease_record_merge(struct octets fresh, struct octets old, uint8_t *buf, size_t size);

/* A run of never-used addresses: the tags of a lease's state, stos, serial, acked state and flags,
 * and 0d, how many addresses (never 0). The first address is the key and not in it. */
size_t run_record_encode(const struct lease *l, uint32_t n, uint8_t *buf, size_t size);
int run_record_decode(const uint8_t *p, size_t len, struct lease *ret, uint32_t *ret_n);

size_t fo_record_encode(const struct fo_record *r, uint8_t *buf, size_t size);
int fo_record_decode(const uint8_t *p, size_t len, struct fo_record *ret);
