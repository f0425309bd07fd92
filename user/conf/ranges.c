/*
 * The addresses of a scope. Sorted once, checked against the subnet and each other, cut by the
 * exclusions; reserved addresses that no range holds become ranges of their own.
 *
 * Caller: scopes.c.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/ranges.h"

static void grow(struct conf_ctx *c, struct range_list *to)
{
	uint32_t room = to->room ? 2 * to->room : 64;
	struct addr_range *v = arena_array(c->scratch, room, sizeof(*v));

	if (to->n)
		memcpy(v, to->v, to->n * sizeof(*v));
	to->v = v;
	to->room = room;
}

static void append(struct conf_ctx *c, struct range_list *to, struct addr_range r)
{
	if (to->n == to->room)
		grow(c, to);
	to->v[to->n++] = r;
	to->addresses += (uint64_t)r.last - r.first + 1;
}

static int by_begin(const void *a, const void *b)
{
	const struct raw_span *x = *(const struct raw_span *const *)a;
	const struct raw_span *y = *(const struct raw_span *const *)b;

	if (x->span.first != y->span.first)
		return x->span.first < y->span.first ? -1 : 1;
	return x < y ? -1 : x > y; /* order of the file */
}

static const struct raw_span **sorted(struct conf_ctx *c, const struct raw_list *list)
{
	const struct raw_span **v = arena_array(c->scratch, list->n, sizeof(*v)), *all = list->v;

	for (unsigned i = 0; i < list->n; i++)
		v[i] = &all[i];
	if (list->n)
		qsort(v, list->n, sizeof(*v), by_begin);
	return v;
}

/* Return: false when the range cannot be used. */
static bool check_range(struct conf_ctx *c, const struct raw_scope *s, const struct raw_span *r)
{
	struct prefix p = s->subnet;
	bool ends = p.len < 31; /* the first and the last address are special */
	uint32_t first = p.addr + ends, last = prefix_last(p) - ends;
	char a[ADDR_TEXT], b[ADDR_TEXT];
	const char *how;

	if (!prefix_holds(p, r->span.first) || !prefix_holds(p, r->span.last))
		how = "is outside of its subnet";
	else if (r->span.first < first)
		how = "holds the network address of its subnet";
	else if (r->span.last > last)
		how = "holds the broadcast address of its subnet";
	else
		return true;
	conf_error(c, r->node, "range %s %s: keep it within %s-%s", node_show(c, r->node), how,
		   addr_text(first, a), addr_text(last, b));
	return false;
}

static bool check_exclusion(struct conf_ctx *c, const struct raw_scope *s, const struct raw_span *x)
{
	const struct raw_span *r = s->ranges.v;
	char a[ADDR_TEXT];

	if (!prefix_holds(s->subnet, x->span.first) || !prefix_holds(s->subnet, x->span.last)) {
		conf_error(c, x->node, "exclusion %s is outside of its subnet %s/%d: correct it",
			   node_show(c, x->node), addr_text(s->subnet.addr, a), s->subnet.len);
		return false;
	}
	for (unsigned i = 0; i < s->ranges.n; i++)
		if (x->span.first <= r[i].span.last && x->span.last >= r[i].span.first)
			return true;
	conf_warning(c, x->node, "exclusion %s is in no range: it has no effect",
		     node_show(c, x->node));
	return true;
}

/* Keep those of a sorted list that pass @ok. Return: how many. */
static unsigned
keep(struct conf_ctx *c, const struct raw_scope *s, const struct raw_span **v, unsigned n,
     bool (*ok)(struct conf_ctx *, const struct raw_scope *, const struct raw_span *))
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (ok(c, s, v[i]))
			v[kept++] = v[i];
	return kept;
}

/* Of two ranges that overlap, the later one in the file is told. */
static unsigned drop_overlaps(struct conf_ctx *c, const struct raw_span **v, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct raw_span *a = kept ? v[kept - 1] : NULL, *b = v[i];

		if (!a || b->span.first > a->span.last) {
			v[kept++] = b;
			continue;
		}
		if (a > b) {
			const struct raw_span *t = a;

			a = b;
			b = t;
		}
		conf_error(c, b->node, "range %s overlaps range %s in line %d: keep them apart",
			   node_show(c, b->node), node_show(c, a->node), a->node->line);
	}
	return kept;
}

/* One range cut by the exclusions from @x on. Return: the first that may matter to the next. */
static unsigned cut(struct conf_ctx *c, struct range_list *to, struct addr_range r,
		    const struct raw_span **x, unsigned i, unsigned n)
{
	uint64_t at = r.first;

	while (i < n && x[i]->span.last < r.first)
		i++;
	for (unsigned k = i; k < n && x[k]->span.first <= r.last; k++) {
		struct span e = x[k]->span;

		if (e.first > at)
			append(c, to, (struct addr_range){ (uint32_t)at, e.first - 1, r.scope, 0 });
		if (e.last >= at)
			at = (uint64_t)e.last + 1;
	}
	if (at <= r.last)
		append(c, to, (struct addr_range){ (uint32_t)at, r.last, r.scope, 0 });
	return i;
}

static int by_first(const void *a, const void *b)
{
	const struct addr_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static bool in_ranges(const struct addr_range *v, uint32_t n, uint32_t addr)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) { /* the first that ends at or after @addr */
		uint32_t mid = lo + (hi - lo) / 2;

		if (v[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && v[lo].first <= addr;
}

static void add_reserved(struct conf_ctx *c, const struct raw_scope *s, uint32_t scope,
			 struct range_list *to, uint32_t from)
{
	const struct raw_reservation *r = s->reservations.v;
	uint32_t n = to->n - from;

	for (unsigned i = 0; i < s->reservations.n; i++)
		if (r[i].addr && prefix_holds(s->subnet, r[i].addr) &&
		    !in_ranges(to->v + from, n, r[i].addr))
			append(c, to,
			       (struct addr_range){ r[i].addr, r[i].addr, scope, RANGE_RESERVED });
	if (to->n > from)
		qsort(to->v + from, to->n - from, sizeof(*to->v), by_first);
}

void ranges_build(struct conf_ctx *c, const struct raw_scope *s, uint32_t scope,
		  struct range_list *to)
{
	const struct raw_span **r = sorted(c, &s->ranges), **x = sorted(c, &s->exclusions);
	unsigned n = keep(c, s, r, s->ranges.n, check_range);
	unsigned nx = keep(c, s, x, s->exclusions.n, check_exclusion), k = 0;
	uint32_t from = to->n;

	if (!to->v)
		grow(c, to);
	n = drop_overlaps(c, r, n);
	for (unsigned i = 0; i < n; i++)
		k = cut(c, to, (struct addr_range){ r[i]->span.first, r[i]->span.last, scope, 0 },
			x, k, nx);
	add_reserved(c, s, scope, to, from);
}
