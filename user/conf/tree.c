/*
 * YAML -> tree. libyaml tells events with marks; this file stacks them up. What a configuration
 * does not need is refused in words: aliases, several documents, keys that are not words.
 *
 * Caller: conf_parse. Standard: YAML 1.1 as libyaml reads it, without its types: a scalar is text,
 * and the schema says what it means.
 */
#include <string.h>
#include <yaml.h>
#include "conf/tree.h"

#define MAX_DEPTH 16

struct builder {
	struct conf_ctx *c;
	struct node *root;
	struct node *open[MAX_DEPTH];	   /* lists and maps that are not closed */
	const struct node *key[MAX_DEPTH]; /* in a map: the key that waits for its value */
	unsigned depth;
	unsigned documents;
	bool stop, failed;
};

/* `!word` in front of a value; a schema needs none, and it is mostly a word to be quoted. */
static const yaml_char_t *tag_of(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return ev->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return ev->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return ev->data.mapping_start.tag;
	default:
		return NULL;
	}
}

static struct node *new_node(struct builder *b, enum node_kind kind, const yaml_event_t *ev)
{
	struct node *n = arena_alloc(b->c->scratch, sizeof(*n));

	n->kind = kind;
	n->line = (int)ev->start_mark.line + 1;
	n->column = (int)ev->start_mark.column + 1;
	n->text = "";
	if (tag_of(ev))
		conf_error(b->c, n,
			   "tags are not understood: remove it, or quote a value that "
			   "begins with an exclamation mark");
	return n;
}

static void append(struct node *parent, struct node *n)
{
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->n++;
}

/* Hang a node under the innermost open one. */
static void attach(struct builder *b, struct node *n)
{
	struct node *parent = b->depth ? b->open[b->depth - 1] : NULL;
	const struct node **key = b->depth ? &b->key[b->depth - 1] : NULL;

	if (!parent) {
		b->root = n;
	} else if (parent->kind == NODE_LIST) {
		append(parent, n);
	} else if (*key) {
		n->key = *key;
		if (n->kind == NODE_SCALAR && !n->len) { /* `key:` and no more: point at the key */
			n->line = n->key->line;
			n->column = n->key->column;
		}
		*key = NULL;
		append(parent, n);
	} else if (n->kind == NODE_SCALAR) {
		*key = n;
	} else {
		conf_error(b->c, n, "a key must be a word, this is a %s: write `key: value`",
			   n->kind == NODE_LIST ? "list" : "mapping");
		b->stop = b->failed = true;
	}
}

static void open_node(struct builder *b, enum node_kind kind, const yaml_event_t *ev)
{
	struct node *n = new_node(b, kind, ev);

	attach(b, n);
	if (b->depth == MAX_DEPTH) {
		conf_error(b->c, n, "nested too deeply: nothing here needs more than %d levels",
			   MAX_DEPTH);
		b->stop = b->failed = true;
		return;
	}
	b->key[b->depth] = NULL;
	b->open[b->depth++] = n;
}

static void scalar(struct builder *b, const yaml_event_t *ev)
{
	struct node *n = new_node(b, NODE_SCALAR, ev);
	const char *text = (const char *)ev->data.scalar.value;

	n->len = ev->data.scalar.length;
	if (ev->data.scalar.plain_implicit && (!strcmp(text, "~") || !strcmp(text, "null")))
		n->len = 0;
	n->text = arena_text(b->c->scratch, text, n->len);
	attach(b, n);
}

static void alias(struct builder *b, const yaml_event_t *ev)
{
	struct node *n = new_node(b, NODE_SCALAR, ev);

	conf_error(b->c, n, "aliases are not understood: write the value itself");
	attach(b, n);
}

static void document(struct builder *b, const yaml_event_t *ev)
{
	if (b->documents++) {
		conf_error(b->c, new_node(b, NODE_SCALAR, ev),
			   "a second document begins: keep all in one, without `---` between");
		b->stop = b->failed = true;
	}
}

static void take(struct builder *b, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		document(b, ev);
		break;
	case YAML_SCALAR_EVENT:
		scalar(b, ev);
		break;
	case YAML_ALIAS_EVENT:
		alias(b, ev);
		break;
	case YAML_MAPPING_START_EVENT:
		open_node(b, NODE_MAP, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		open_node(b, NODE_LIST, ev);
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		break;
	case YAML_STREAM_END_EVENT:
		b->stop = true;
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
}

static const char *remedy(const char *problem)
{
	if (strstr(problem, "cannot start any token"))
		return "indent with spaces, and quote values that begin with @, ` or %";
	if (strstr(problem, "mapping values are not allowed"))
		return "quote values that hold a colon, and check the indentation";
	if (strstr(problem, "unexpected end"))
		return "close the quote";
	if (strstr(problem, "did not find expected ',' or"))
		return "close the bracket, and separate its items by commas";
	return "check indentation, colons, brackets and quotes here and in the line above";
}

/* The reader stops at octets that are not text, and tells an offset only. */
static void bad_octets(struct conf_ctx *c, const char *text, size_t offset)
{
	int line = 1, column = 1;

	for (size_t i = 0; i < offset; i++, column++)
		if (text[i] == '\n') {
			line++;
			column = 0;
		}
	conf_error_at(c, line, column,
		      "not text: save the file as UTF-8 without control characters");
}

static void not_yaml(struct conf_ctx *c, const yaml_parser_t *p, const char *text, size_t len)
{
	const char *problem = p->problem ? p->problem : "unknown fault";

	if (p->error == YAML_READER_ERROR)
		bad_octets(c, text, p->problem_offset < len ? p->problem_offset : len);
	else
		conf_error_at(c, (int)p->problem_mark.line + 1, (int)p->problem_mark.column + 1,
			      "not YAML (%s): %s", problem, remedy(problem));
}

struct node_parser {
	struct builder b;
	yaml_parser_t yaml;
	yaml_event_t ev;
};

static bool build(struct node_parser *t, const char *text, size_t len)
{
	while (!t->b.stop) {
		if (!yaml_parser_parse(&t->yaml, &t->ev)) {
			not_yaml(t->b.c, &t->yaml, text, len);
			return false;
		}
		take(&t->b, &t->ev);
		yaml_event_delete(&t->ev);
	}
	return true;
}

void node_parse_done(struct conf_ctx *c)
{
	if (!c->parser)
		return;
	yaml_event_delete(&c->parser->ev); /* leaves it empty, so that twice is fine */
	yaml_parser_delete(&c->parser->yaml);
	c->parser = NULL;
}

struct node *node_parse(struct conf_ctx *c, const char *text, size_t len)
{
	struct node_parser *t = arena_alloc(c->scratch, sizeof(*t));

	t->b.c = c;
	if (!yaml_parser_initialize(&t->yaml))
		longjmp(*c->scratch->no_memory, 1);
	c->parser = t;
	yaml_parser_set_input_string(&t->yaml, (const unsigned char *)text, len);
	if (!build(t, text, len))
		t->b.failed = true;
	node_parse_done(c);
	return t->b.failed ? NULL : t->b.root; /* half a tree would only seem to lack things */
}

/* --- reading the tree ------------------------------------------------------------------------- */

bool node_says(const struct node *n, const char *word)
{
	return n && n->kind == NODE_SCALAR && n->len == strlen(word) &&
	       !memcmp(n->text, word, n->len);
}

const struct node *node_get(const struct node *map, const char *key)
{
	const struct node *found = NULL;

	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *n = map->first; n; n = n->next)
		if (node_says(n->key, key))
			found = n;
	return found;
}

const struct node *node_or(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return n ? n : map;
}

bool node_is_empty(const struct node *n)
{
	return !n || (n->kind == NODE_SCALAR && !n->len);
}
