#pragma once
/*
 * Text -> value, one function per kind of value. Each returns NULL, or what is wrong and how to
 * mend it in the form "is not ...: write ..."; then *ret is untouched.
 */
#include <netinet/in.h>
#include "core/types.h"

struct prefix {
	uint32_t addr; /* host order */
	uint8_t len;
};

struct span {
	uint32_t first, last; /* host order, inclusive */
};

const char *value_bool(const char *s, bool *ret);
const char *value_number(const char *s, int64_t *ret);
const char *value_duration(const char *s, uint32_t *ret);    /* seconds; 90s 10m 1h 8d 1h30m */
const char *value_address(const char *s, uint32_t *ret);     /* host order; any address */
const char *value_prefix(const char *s, struct prefix *ret); /* /0 is one */
const char *value_span(const char *s, struct span *ret);     /* "a-b" or "a" */
const char *value_endpoint(const char *s, uint16_t port, struct sockaddr_in *ret);
/* "0a:0b:0c", "0a-0b-0c" or "0a0b0c": @min to @max octets. */
const char *value_octets(const char *s, uint8_t *ret, size_t min, size_t max, size_t *ret_len);
const char *value_interface(const char *s);
const char *value_domain(const char *s); /* labels of RFC 1035 §2.3.1, underscore allowed */

bool value_is_unicast(uint32_t addr);
uint32_t prefix_last(struct prefix p);
bool prefix_holds(struct prefix p, uint32_t addr);
#define ADDR_TEXT 16
const char *addr_text(uint32_t addr, char buf[ADDR_TEXT]);
#define DURATION_TEXT 16
const char *duration_text(uint32_t sec, char buf[DURATION_TEXT]); /* in the largest whole unit */
