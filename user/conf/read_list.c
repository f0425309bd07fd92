/*
 * The readers of lists of values.
 *
 * Caller: read.c.
 */
#include <string.h>
#include "conf/read.h"

/* `key: [a, b]` and `key: a` are lists; each item goes through @item, which says whether it
 * counts. */
static void read_list(struct reader *r, size_t size, bool (*item)(struct reader *r, void *to))
{
	const struct node *n = r->n, *first = n->kind == NODE_LIST ? n->first : n;
	unsigned max = n->kind == NODE_LIST ? n->n : 1;
	struct raw_list list = { arena_array(r->c->scratch, max, size), 0 };

	if (n->kind == NODE_MAP) {
		reader_wrong(r, "is not a list: write - before each item, or [a, b]");
		return;
	}
	for (r->n = first; r->n; r->n = n->kind == NODE_LIST ? r->n->next : NULL) {
		if (r->n->kind != NODE_SCALAR || strlen(r->n->text) != r->n->len || !r->n->len)
			reader_wrong(r, "is no item of this list: write one value");
		else
			list.n += item(r, (uint8_t *)list.v + list.n * size);
	}
	r->n = n;
	if (r->k->max && list.n > r->k->max)
		conf_error(r->c, n, "%s holds %u items: %d are the most", r->k->name, list.n,
			   (int)r->k->max);
	memcpy(r->to, &list, sizeof(list));
}

static bool item_text(struct reader *r, void *to)
{
	struct raw_text t = { arena_text(r->c->keep, r->n->text, r->n->len),
			      r->n->line ? r->n : NULL }; /* a default is not in the tree */

	memcpy(to, &t, sizeof(t));
	return true;
}

static bool item_interface(struct reader *r, void *to)
{
	const char *how = value_interface(r->n->text);

	if (how)
		reader_wrong(r, how);
	return !how && item_text(r, to);
}

static bool item_listen(struct reader *r, void *to)
{
	struct sockaddr_in sa;

	if (!strncmp(r->n->text, "unix:/", 6)) {
		if (r->n->len - 5 < 108) /* sockaddr_un */
			return item_text(r, to);
		reader_wrong(r, "is too long for a socket: 107 octets of path are the most");
	} else if (!value_endpoint(r->n->text, 8647, &sa)) {
		reader_wrong(r, "is not available in this version: write unix:/path");
	} else {
		reader_wrong(r, "is no place to listen at: write unix:/run/twinlease/api.sock");
	}
	return false;
}

static bool item_span(struct reader *r, void *to)
{
	struct raw_span v = { .node = r->n };
	const char *how = value_span(r->n->text, &v.span);

	if (!how && !value_is_unicast(v.span.last))
		how = "is not made of host addresses: write unicast ones";
	if (how)
		reader_wrong(r, how);
	else
		memcpy(to, &v, sizeof(v));
	return !how;
}

void read_items(struct reader *r)
{
	if (r->k->type == KEY_INTERFACES)
		read_list(r, sizeof(struct raw_text), item_interface);
	else if (r->k->type == KEY_LISTEN)
		read_list(r, sizeof(struct raw_text), item_listen);
	else
		read_list(r, sizeof(struct raw_span), item_span);
}
