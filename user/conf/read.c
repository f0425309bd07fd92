/*
 * The tree of the file -> raw values, by the table in schema.c. Every mistake is told and the
 * reading goes on, so that one run shows them all.
 */
#include <string.h>
#include "conf/read.h"

#define MAX_KEYS 32 /* in one section */

static void read_section(struct conf_ctx *c, enum section in, const struct node *n, uint8_t *to);

static void read_sections(struct reader *r)
{
	enum section in = (enum section)r->k->min;
	struct raw_list list = { .n = 0 };

	if (r->n->kind != NODE_LIST) {
		conf_error(r->c, r->n, "%s is not a list: write - before each of them", r->k->name);
		return;
	}
	list.v = arena_array(r->c->scratch, r->n->n, schema_section_size[in]);
	for (const struct node *i = r->n->first; i; i = i->next) {
		if (i->kind != NODE_MAP)
			conf_error(r->c, i, "%s: %s is not a mapping: write `key: value` lines",
				   r->k->name, node_show(r->c, i));
		else
			read_section(r->c, in, i,
				     (uint8_t *)list.v + list.n++ * schema_section_size[in]);
	}
	memcpy(r->to, &list, sizeof(list));
}

/* What is off is told by a node that is no map; so is what is wrong and was told. */
static void read_switch(struct reader *r)
{
	if (r->n->kind == NODE_MAP) {
		read_section(r->c, (enum section)r->k->min, r->n, r->to);
		return;
	}
	memcpy(r->to, &r->n, sizeof(r->n));
	if (!node_says(r->n, "off"))
		reader_wrong(r, "is not known: write off, or its keys below it, indented");
}

static void read_value(struct reader *r)
{
	switch (r->k->type) {
	case KEY_SWITCH:
		read_switch(r);
		break;
	case KEY_LATER:
		read_later(r);
		break;
	case KEY_SECTION:
	case KEY_NODE:
		if (r->n->kind != NODE_MAP)
			conf_error(r->c, r->n,
				   "%s is not a mapping: write its keys below it, indented",
				   r->k->name);
		else if (r->k->type == KEY_NODE)
			memcpy(r->to, &r->n, sizeof(r->n));
		else
			read_section(r->c, (enum section)r->k->min, r->n, r->to);
		break;
	case KEY_SECTIONS:
		read_sections(r);
		break;
	case KEY_INTERFACES:
	case KEY_LISTEN:
	case KEY_SPANS:
		read_items(r);
		break;
	default:
		read_scalar(r);
	}
}

/* Defaults come first and by the same way as what is written. */
static void set_default(struct conf_ctx *c, const struct schema_key *k, uint8_t *section)
{
	struct node n = { .kind = NODE_SCALAR, .text = k->fallback };
	struct reader r = { c, k, &n, section + k->to };

	if (k->type == KEY_SECTION || k->type == KEY_SWITCH)
		read_section(c, (enum section)k->min, NULL, r.to);
	if (!k->fallback)
		return;
	n.len = strlen(k->fallback);
	read_value(&r);
}

static const struct schema_key *find_key(enum section in, const struct node *key)
{
	for (unsigned i = 0; i < schema_n_keys; i++)
		if (schema_keys[i].in == in && node_says(key, schema_keys[i].name))
			return &schema_keys[i];
	return NULL;
}

static void unknown(struct conf_ctx *c, enum section in, const struct node *key)
{
	const char *names[MAX_KEYS];
	unsigned n = 0;

	for (unsigned i = 0; i < schema_n_keys && n < MAX_KEYS; i++)
		if (schema_keys[i].in == in)
			names[n++] = schema_keys[i].name;
	schema_unknown(c, key, names, n);
}

static void read_entry(struct conf_ctx *c, enum section in, const struct node *n, uint8_t *to,
		       const struct node **seen)
{
	const struct schema_key *k = find_key(in, n->key);

	if (!k) {
		unknown(c, in, n->key);
	} else if (seen[k - schema_keys]) {
		conf_error(c, n->key, "%s stands here a second time (first in line %d): remove one",
			   k->name, seen[k - schema_keys]->line);
	} else {
		seen[k - schema_keys] = n->key;
		if (!node_is_empty(n))
			read_value(&(struct reader){ c, k, n, to + k->to });
	}
}

static void read_section(struct conf_ctx *c, enum section in, const struct node *n, uint8_t *to)
{
	const struct node *seen[SCHEMA_MAX_KEYS] = { NULL };

	memcpy(to, &n, sizeof(n)); /* the first member of every section */
	for (unsigned i = 0; i < schema_n_keys; i++)
		if (schema_keys[i].in == in)
			set_default(c, &schema_keys[i], to);
	for (const struct node *i = n ? n->first : NULL; i; i = i->next)
		read_entry(c, in, i, to, seen);
	for (unsigned i = 0; n && i < schema_n_keys; i++) {
		const struct schema_key *k = &schema_keys[i];

		if (k->in == in && k->required && node_is_empty(node_get(n, k->name)))
			conf_error(c, seen[i] ? seen[i] : n, "%s is missing: add it", k->name);
	}
}

void schema_read(struct conf_ctx *c, const struct node *root, struct raw_root *ret)
{
	read_section(c, IN_ROOT, root, (uint8_t *)ret);
}
