#pragma once
/*
 * One value of the file on its way to its place: between read.c and the readers by type.
 */
#include "conf/schema.h"

struct reader {
	struct conf_ctx *c;
	const struct schema_key *k;
	const struct node *n;
	uint8_t *to;
};

/* "KEY "VALUE" how": @how is "is not ...: write ...". */
void reader_wrong(struct reader *r, const char *how);

void read_scalar(struct reader *r); /* types of one value */
void read_later(struct reader *r);  /* KEY_LATER */
void read_items(struct reader *r);  /* types of lists of values */
