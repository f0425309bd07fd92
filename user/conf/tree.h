#pragma once
/*
 * A YAML document as a tree of nodes that know where they stand, and what is said about them.
 */
#include "conf/arena.h"
#include "conf/conf.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	int line, column;	/* from 1 */
	const char *text;	/* of a scalar; "" when nothing stands there */
	size_t len;		/* octets; text may hold a zero octet */
	const struct node *key; /* of a value in a map */
	struct node *first, *last, *next;
	unsigned n; /* children */
};

/* What every part of conf/ needs while it works on one file. */
struct node_parser;
struct conf_ctx {
	struct arena *keep;    /* lives as long as struct conf */
	struct arena *scratch; /* lives as long as conf_parse */
	struct conf_problems *problems;
	struct node_parser *parser; /* while node_parse runs */
};

/**
 * node_parse - the tree of a text
 * Return: NULL when the text is not YAML (said as a problem) or holds nothing.
 */
struct node *node_parse(struct conf_ctx *c, const char *text, size_t len);
/* Free what a node_parse left behind that ran out of memory; scratch must still be there. */
void node_parse_done(struct conf_ctx *c);

/* The value of a key; NULL when @map is no map or has none. The last one wins. */
const struct node *node_get(const struct node *map, const char *key);
bool node_is_empty(const struct node *n); /* NULL, or `key:` with nothing after it */
bool node_says(const struct node *n, const char *word);

/* Where to point for a key that may be missing: its value, or the map. */
const struct node *node_or(const struct node *map, const char *key);

#define CONF_MAX_PROBLEMS 200
/* "what: how to mend it", at a node; NULL: no place. More than the maximum are only counted. */
void conf_error(struct conf_ctx *c, const struct node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_ctx *c, const struct node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool conf_is_full(const struct conf_ctx *c); /* no use to look closer at further mistakes */
void conf_error_at(struct conf_ctx *c, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void conf_problems_sort(struct conf_problems *p); /* by place */

/* What stands in the file, in double quotes, printable and not too long: for messages. The
 * result lives in the scratch arena. */
const char *conf_show(struct conf_ctx *c, const char *text, size_t len);
const char *node_show(struct conf_ctx *c, const struct node *n);
