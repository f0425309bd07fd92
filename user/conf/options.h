#pragma once
/*
 * DHCP options of the configuration: names or codes with values -> encoded option_set.
 */
#include "conf/tree.h"
#include "core/scope.h"

struct option_blob {
	const uint8_t *p;
	uint32_t len;
	const struct node *node; /* NULL: nothing stands for this code */
};

struct option_map {
	struct option_blob by_code[256];
	uint32_t lease_time, renew_time, rebind_time; /* 0: not given here */
	const struct node *lease_node, *renew_node, *rebind_node;
};

/* Read `options:`; @node may be NULL. Mistakes are told, what is wrong is left out. */
void options_read(struct conf_ctx *c, const struct node *node, struct option_map *ret);

/* One encoded set: what @scope says over what @global says; both may be NULL. */
struct option_set options_encode(struct conf_ctx *c, const struct option_map *global,
				 const struct option_map *scope);

void options_put_address(struct conf_ctx *c, struct option_map *m, uint8_t code, uint32_t addr);
