/*
 * Mistakes in a configuration, collected by all of conf/ and printed by main.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/tree.h"

#define SHOWN 64 /* characters of somebody's text within a message */

__attribute__((format(printf, 5, 0))) static void add(struct conf_ctx *c, bool warning, int line,
						      int column, const char *fmt, va_list ap)
{
	struct conf_problems *p = c->problems;
	struct conf_problem *list;
	char *text;

	p->errors += !warning;
	if (conf_is_full(c))
		return;
	list = realloc(p->list, (p->n + 1) * sizeof(*list));
	if (!list)
		return; /* the error counts, its words are lost */
	p->list = list;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	list[p->n++] = (struct conf_problem){ line, column, warning, text };
}

bool conf_is_full(const struct conf_ctx *c)
{
	return c->problems->n >= CONF_MAX_PROBLEMS;
}

void conf_error(struct conf_ctx *c, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, false, at ? at->line : 0, at ? at->column : 0, fmt, ap);
	va_end(ap);
}

void conf_warning(struct conf_ctx *c, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, true, at ? at->line : 0, at ? at->column : 0, fmt, ap);
	va_end(ap);
}

void conf_error_at(struct conf_ctx *c, int line, int column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, false, line, column, fmt, ap);
	va_end(ap);
}

static int by_place(const void *a, const void *b)
{
	const struct conf_problem *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return strcmp(x->text, y->text);
}

void conf_problems_sort(struct conf_problems *p)
{
	if (p->n)
		qsort(p->list, p->n, sizeof(*p->list), by_place);
}

void conf_problems_free(struct conf_problems *p)
{
	for (unsigned i = 0; i < p->n; i++)
		free((void *)(uintptr_t)p->list[i].text);
	free(p->list);
	*p = (struct conf_problems){ .n = 0 };
}

void conf_problems_print(const char *file, const struct conf_problems *p, void *file_out)
{
	FILE *out = file_out;
	unsigned told = 0;

	for (unsigned i = 0; i < p->n; i++) {
		const struct conf_problem *q = &p->list[i];

		if (q->line)
			fprintf(out, "%s:%d:%d: %s%s\n", file, q->line, q->column,
				q->warning ? "warning: " : "", q->text);
		else
			fprintf(out, "%s: %s%s\n", file, q->warning ? "warning: " : "", q->text);
		told += !q->warning;
	}
	if (p->errors > told)
		fprintf(out, "%s: %u more mistakes: mend these first\n", file, p->errors - told);
}

/* --- somebody's text in a message ------------------------------------------------------------- */

/* C0, DEL, and C1 in UTF-8 (c2 80 to c2 9f) drive terminals. */
static bool is_control(const unsigned char *s, size_t i, size_t len)
{
	if (s[i] < 0x20 || s[i] == 0x7f)
		return true;
	if (s[i] == 0xc2)
		return i + 1 < len && s[i + 1] < 0xa0;
	return i && s[i - 1] == 0xc2 && s[i] >= 0x80 && s[i] < 0xa0;
}

const char *conf_show(struct conf_ctx *c, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	char *buf = arena_alloc(c->scratch, SHOWN * 4 + 8), *p = buf;
	size_t i;

	*p++ = '"';
	for (i = 0; i < len; i++) {
		/* not in the middle of a character */
		if (i >= SHOWN - 4 && (s[i] & 0xc0) != 0x80)
			break;
		if (i >= SHOWN)
			break;
		if (is_control(s, i, len))
			p += sprintf(p, "\\x%02x", s[i]);
		else
			*p++ = (char)s[i];
	}
	(void)strcpy(p, i < len ? "...\"" : "\"");
	return buf;
}

const char *node_show(struct conf_ctx *c, const struct node *n)
{
	static const char *const kinds[] = { "", "(a list)", "(a mapping)" };

	if (!n)
		return "(nothing)";
	return n->kind == NODE_SCALAR ? conf_show(c, n->text, n->len) : kinds[n->kind];
}
