/*
 * Which known name somebody meant. Callers: read.c, options.c, scopes.c.
 */
#include <string.h>
#include "conf/schema.h"

#define MAX_WORD 40

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* Insertions, deletions and replacements that make one of the other; the first 40 octets count. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strnlen(a, MAX_WORD), lb = strnlen(b, MAX_WORD);
	unsigned row[MAX_WORD + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned above = row[j];

			row[j] =
				least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

const char *schema_nearest(const char *wrong, const char *const *names, unsigned n)
{
	const char *best = "";
	unsigned best_distance = 2 * MAX_WORD;

	for (unsigned i = 0; i < n; i++) {
		unsigned d = distance(wrong, names[i]);

		if (d < best_distance) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

void schema_unknown(struct conf_ctx *c, const struct node *key, const char *const *names,
		    unsigned n)
{
	const char *near;

	if (conf_is_full(c)) {
		conf_error(c, key, "unknown key");
		return;
	}
	near = schema_nearest(key->text, names, n);
	if (distance(key->text, near) <= (strlen(near) + 1) / 3)
		conf_error(c, key, "unknown key %s: did you mean \"%s\"?", node_show(c, key), near);
	else
		conf_error(c, key, "unknown key %s: remove it; the nearest known key is \"%s\"",
			   node_show(c, key), near);
}
