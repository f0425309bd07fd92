#pragma once
/*
 * Subnets, ranges and reservations as the core sees them: immutable, made by conf as one block,
 * sorted so that every look-up is a binary search.
 */
#include "core/types.h"

/* Encoded options, sorted by code: code (1 octet), length (2 octets, big-endian), value. */
struct option_set {
	const uint8_t *tlv;
	uint32_t len;
};

struct reservation {
	uint32_t addr;
	uint8_t htype; /* 0: @id is a client identifier (option 61), else a hardware address */
	struct octets id;
	const char *name; /* may be NULL */
};

struct scope {
	uint32_t subnet; /* network address, host order */
	uint8_t prefix;
	int16_t relation; /* index of the relationship; -1: served by this server alone */
	const char *name;
	uint32_t lease_time, renew_time, rebind_time; /* sec; renew and rebind 0 = 1/2 and 7/8 */
	struct option_set options;		      /* the scope's over the global ones */
	const struct reservation *reservations;	      /* sorted by (htype, id.len, id octets) */
	uint32_t n_reservations;
	uint32_t first_range, n_ranges; /* in scope_table.ranges */
};

enum range_flag {
	RANGE_RESERVED = 1, /* one reserved address outside the dynamic ranges */
};

/* Addresses that may be leased: configured ranges less exclusions, plus reserved addresses. */
struct addr_range {
	uint32_t first, last; /* inclusive */
	uint32_t scope;	      /* index into scope_table.scopes */
	uint32_t flags;
};

struct scope_table {
	const struct scope *scopes; /* sorted by subnet, disjoint */
	uint32_t n_scopes;
	const struct addr_range *ranges; /* sorted by first, disjoint */
	uint32_t n_ranges;
};

/**
 * scope_find - the scope whose subnet holds an address
 * Return: NULL when there is none.
 */
const struct scope *scope_find(const struct scope_table *t, uint32_t addr);

/**
 * scope_reservation - the reservation of a client in one scope
 * @id: option 61 or { NULL, 0 }; tried before the hardware address
 */
const struct reservation *scope_reservation(const struct scope *s, struct octets id, uint8_t htype,
					    struct octets chaddr);

/* Value of an option in a set; p is NULL when it is not there. */
struct octets option_set_get(const struct option_set *o, uint8_t code);

/* Does the subnet of @s hold @addr? */
bool scope_holds(const struct scope *s, uint32_t addr);
