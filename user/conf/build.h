#pragma once
/*
 * Raw values -> struct conf, with the checks of how they fit together. One function per part.
 */
#include "conf/schema.h"

/* Relationships in the order of the file. */
void build_relations(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret);
/* Scopes, ranges, reservations and options; needs the relationships' names. */
void build_scopes(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret);
/* Reservations of one scope. */
void build_reservations(struct conf_ctx *c, const struct raw_scope *s, struct scope *ret);
