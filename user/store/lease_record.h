#pragma once
/*
 * Records on disk: tags and values with a version; unknown tags are skipped, so that an older
 * server reads what a newer one wrote within one version.
 */
#include "core/fo_endpoint.h"
#include "core/lease.h"

#define LEASE_RECORD_MAX 1200
#define LEASE_RECORD_VERSION 1

size_t lease_record_encode(const struct lease *l, const struct lease_client *c, uint8_t *buf,
			   size_t size);
/* Return: 0; -EBADMSG malformed; -EPROTO version from the future. addr is not in the record (it
 * is the key). */
int lease_record_decode(const uint8_t *p, size_t len, struct lease *ret,
			struct lease_client *ret_client);
size_t fo_record_encode(const struct fo_record *r, uint8_t *buf, size_t size);
int fo_record_decode(const uint8_t *p, size_t len, struct fo_record *ret);
