#pragma once
/*
 * Values of the core as JSON objects of the API. Each function returns a new reference.
 */
#include <jansson.h>

#include "ctl/control.h"

json_t *json_time(uint32_t sec); /* RFC 3339, UTC; null for 0 */
json_t *json_addr(uint32_t addr);
json_t *json_hex(const uint8_t *p, size_t len); /* "01:02:..", null when empty */
json_t *json_clean(const char *s); /* "?" for octets that are no UTF-8; null for NULL */
const char *ctl_addr_text(uint32_t addr, char buf[16]);

json_t *ctl_relation_object(const struct ctl_ops *ops, unsigned i);
json_t *ctl_scope_object(const struct ctl_ops *ops, const struct scope *s);
json_t *ctl_lease_object(const struct ctl_ops *ops, const struct lease *l,
			 const struct lease_client *c);
/* @n addresses from l->addr on that nobody ever used: "address", "last-address", "addresses",
 * "scope", "state", "owner", "reserved". */
json_t *ctl_gap_object(const struct ctl_ops *ops, const struct lease *l, uint32_t n);
json_t *ctl_decision_object(const struct ctl_ops *ops, const struct server_decision *d);
