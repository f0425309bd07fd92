/*
 * Any octets as a configuration: either mistakes are told, or the result keeps what the core
 * relies on: scopes and ranges sorted and disjoint, ranges within their subnet.
 */
#include <stdio.h>
#include <stdlib.h>
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t last_of(const struct scope *s)
{
	return s->subnet | (uint32_t)((1ULL << (32 - s->prefix)) - 1);
}

static void check_options(const struct option_set *o)
{
	const uint8_t *p = o->tlv, *end = p + o->len;
	unsigned code = 0;

	while (p < end) {
		expect(end - p >= 3 && p[0] > code);
		code = p[0];
		p += 3 + (p[1] << 8 | p[2]);
		expect(p <= end);
	}
}

static void check_scopes(const struct conf *c)
{
	const struct scope_table *t = &c->scopes;
	uint64_t addresses = 0;

	for (uint32_t i = 0; i < t->n_scopes; i++) {
		const struct scope *s = &t->scopes[i];

		expect(!i || last_of(&t->scopes[i - 1]) < s->subnet);
		expect(s->relation >= -1 && s->relation < (int)c->n_relations);
		expect(s->lease_time && s->rebind_time < s->lease_time);
		expect(s->first_range + s->n_ranges <= t->n_ranges);
		check_options(&s->options);
	}
	for (uint32_t i = 0; i < t->n_ranges; i++) {
		const struct addr_range *r = &t->ranges[i];
		const struct scope *s = &t->scopes[r->scope];

		expect(!i || t->ranges[i - 1].last < r->first);
		expect(r->first <= r->last && r->first >= s->subnet && r->last <= last_of(s));
		expect(i >= s->first_range && i < s->first_range + s->n_ranges);
		addresses += (uint64_t)r->last - r->first + 1;
	}
	expect(addresses == c->n_addresses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_problems p;
	struct conf *c = NULL;
	int r = conf_parse("fuzz", (const char *)data, size, &c, &p);
	FILE *out = fopen("/dev/null", "w");

	expect((r == 0) == !p.errors && (r == 0) == (c != NULL));
	for (unsigned i = 0; i < p.n; i++)
		for (const char *s = p.list[i].text; *s; s++)
			expect((unsigned char)*s >= 0x20 && *s != 0x7f);
	if (out) {
		conf_problems_print("fuzz", &p, out);
		fclose(out);
	}
	if (c)
		check_scopes(c);
	conf_problems_free(&p);
	conf_free(c);
	return 0;
}
