#pragma once
/*
 * Ranges less exclusions plus reserved addresses of one scope -> sorted disjoint ranges.
 */
#include "conf/schema.h"
#include "core/scope.h"

/* Ranges of all scopes while they are collected. */
struct range_list {
	struct addr_range *v;
	uint32_t n, room;
	uint64_t addresses;
};

/* Check and append those of one scope, sorted; @scope is its index in the final table. */
void ranges_build(struct conf_ctx *c, const struct raw_scope *s, uint32_t scope,
		  struct range_list *to);
