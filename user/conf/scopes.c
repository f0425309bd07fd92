/*
 * Scopes: raw values -> the sorted table that the core searches.
 *
 * Caller: conf_parse. Spec: RFC 2131 §2.2, §4.4.5 (T1, T2); decision A3 (addresses).
 */
#include <stdlib.h>
#include <string.h>
#include "conf/build.h"
#include "conf/options.h"
#include "conf/ranges.h"
#include "core/pool.h"
#include "shared/dhcp_wire.h"
#include "shared/xdp_abi.h"

#define DEFAULT_LEASE (8 * 86400)

static int by_subnet(const void *a, const void *b)
{
	const struct raw_scope *x = *(const struct raw_scope *const *)a;
	const struct raw_scope *y = *(const struct raw_scope *const *)b;

	if (x->subnet.addr != y->subnet.addr)
		return x->subnet.addr < y->subnet.addr ? -1 : 1;
	return x < y ? -1 : x > y; /* order of the file */
}

/* Those with a usable subnet, in order of address. Return: how many. */
static unsigned sort_scopes(const struct raw_list *list, const struct raw_scope **ret)
{
	const struct raw_scope *all = list->v;
	unsigned n = 0;

	for (unsigned i = 0; i < list->n; i++)
		if (all[i].subnet.len)
			ret[n++] = &all[i];
	if (n)
		qsort(ret, n, sizeof(*ret), by_subnet);
	return n;
}

static void tell_overlap(struct conf_ctx *c, const struct raw_scope *a, const struct raw_scope *b)
{
	char text[ADDR_TEXT];

	if (a > b) { /* the later one in the file is told */
		const struct raw_scope *t = a;

		a = b;
		b = t;
	}
	conf_error(c, node_or(b->node, "subnet"),
		   "subnet %s overlaps %s/%d in line %d: keep subnets apart, or join the two",
		   node_show(c, node_get(b->node, "subnet")), addr_text(a->subnet.addr, text),
		   a->subnet.len, a->node->line);
}

static void check_overlaps(struct conf_ctx *c, const struct raw_scope **v, unsigned n)
{
	unsigned widest = 0; /* of those seen, the one that reaches farthest */

	for (unsigned i = 1; i < n; i++) {
		if (v[i]->subnet.addr <= prefix_last(v[widest]->subnet))
			tell_overlap(c, v[widest], v[i]);
		if (prefix_last(v[i]->subnet) > prefix_last(v[widest]->subnet))
			widest = i;
	}
}

/* --- relationship ----------------------------------------------------------------------------- */

static void unknown_relation(struct conf_ctx *c, const struct raw_scope *s, const struct conf *conf)
{
	const struct node *at = node_or(s->node, "relationship");
	const char **names;
	unsigned n = 0;

	if (!conf->n_relations) {
		conf_error(c, at, "relationship %s is not defined: add it below relationships",
			   node_show(c, at));
		return;
	}
	names = arena_array(c->scratch, conf->n_relations, sizeof(*names));
	for (unsigned i = 0; i < conf->n_relations; i++)
		if (conf->relations[i].fo.name)
			names[n++] = conf->relations[i].fo.name;
	conf_error(c, at, "relationship %s is not defined: add it, or write \"%s\"",
		   node_show(c, at), schema_nearest(s->relationship, names, n));
}

static int16_t find_relation(struct conf_ctx *c, const struct raw_scope *s, const struct conf *conf)
{
	if (!s->relationship)
		return -1;
	for (unsigned i = 0; i < conf->n_relations; i++)
		if (conf->relations[i].fo.name &&
		    !strcmp(conf->relations[i].fo.name, s->relationship))
			return (int16_t)i;
	unknown_relation(c, s, conf);
	return -1;
}

/* --- times ------------------------------------------------------------------------------------ */

struct timing {
	uint32_t v;
	const struct node *at;
};

/* The scope's key, else its options', else the global options'. */
static struct timing choose(const struct raw_scope *s, const char *key, uint32_t v,
			    struct timing own, struct timing global)
{
	if (v)
		return (struct timing){ v, node_get(s->node, key) };
	return own.v ? own : global;
}

static void fill_times(struct conf_ctx *c, const struct raw_scope *s, const struct option_map *own,
		       const struct option_map *global, struct scope *ret)
{
	struct timing lease = choose(s, "lease-time", s->lease_time,
				     (struct timing){ own->lease_time, own->lease_node },
				     (struct timing){ global->lease_time, global->lease_node });
	struct timing renew = choose(s, "renew-time", s->renew_time,
				     (struct timing){ own->renew_time, own->renew_node },
				     (struct timing){ global->renew_time, global->renew_node });
	struct timing rebind = choose(s, "rebind-time", s->rebind_time,
				      (struct timing){ own->rebind_time, own->rebind_node },
				      (struct timing){ global->rebind_time, global->rebind_node });
	char text[DURATION_TEXT];
	uint32_t end;

	if (!lease.v)
		lease.v = DEFAULT_LEASE;
	end = rebind.v ? rebind.v : (uint32_t)((uint64_t)lease.v * 7 / 8);
	if (rebind.v >= lease.v)
		conf_error(c, rebind.at,
			   "rebind-time is not before the end of the lease (%s): shorten it",
			   duration_text(lease.v, text));
	else if (renew.v && renew.v >= end)
		conf_error(c, renew.at,
			   "renew-time is not before the time to rebind (%s): shorten it",
			   duration_text(end, text));
	if (lease.v == SEC_INFINITE && s->relationship)
		conf_error(c, lease.at,
			   "lease-time infinite cannot be shared with a partner: write a duration");
	ret->lease_time = lease.v;
	ret->renew_time = renew.v;
	ret->rebind_time = rebind.v;
}

/* --- options ---------------------------------------------------------------------------------- */

static void check_routers(struct conf_ctx *c, const struct raw_scope *s,
			  const struct option_map *own)
{
	const struct option_blob *b = &own->by_code[DHO_ROUTERS];
	char text[ADDR_TEXT];

	for (uint32_t i = 0; i + 4 <= b->len; i += 4) {
		const uint8_t *p = b->p + i;
		uint32_t addr = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];

		if (!prefix_holds(s->subnet, addr))
			conf_warning(c, b->node,
				     "router %s is outside of the subnet: clients may not reach it",
				     addr_text(addr, text));
	}
}

static bool given(const struct option_map *own, const struct option_map *global, uint8_t code)
{
	return own->by_code[code].len || global->by_code[code].len;
}

static void fill_options(struct conf_ctx *c, const struct raw_scope *s, struct option_map *own,
			 const struct option_map *global, struct scope *ret)
{
	struct prefix p = s->subnet;

	check_routers(c, s, own);
	if (!given(own, global, DHO_SUBNET_MASK))
		options_put_address(c, own, DHO_SUBNET_MASK, 0xffffffffu << (32 - p.len));
	if (p.len < 31 && !given(own, global, DHO_BROADCAST_ADDRESS))
		options_put_address(c, own, DHO_BROADCAST_ADDRESS, prefix_last(p));
	ret->options = options_encode(c, global, own);
}

/* --- one and all ------------------------------------------------------------------------------ */

struct scopes_job {
	struct conf_ctx *c;
	const struct conf *conf;
	struct option_map global, own;
	struct range_list ranges;
};

/* Something was meant to be there, right or wrong. */
static bool has_items(const struct raw_scope *s, const char *key)
{
	const struct node *n = node_get(s->node, key);

	return n && (n->len || n->n);
}

static void build_scope(struct scopes_job *j, const struct raw_scope *s, uint32_t index,
			struct scope *ret)
{
	struct conf_ctx *c = j->c;

	ret->subnet = s->subnet.addr;
	ret->prefix = s->subnet.len;
	ret->name = s->name;
	ret->relation = find_relation(c, s, j->conf);
	options_read(c, s->options, &j->own);
	fill_times(c, s, &j->own, &j->global, ret);
	fill_options(c, s, &j->own, &j->global, ret);
	build_reservations(c, s, ret);
	ret->first_range = j->ranges.n;
	ranges_build(c, s, index, &j->ranges);
	ret->n_ranges = j->ranges.n - ret->first_range;
	if (!has_items(s, "ranges") && !has_items(s, "reservations"))
		conf_warning(c, s->node, "scope without ranges: nobody gets an address; add some");
}

/* Nothing can be checked against a subnet that is not known, the rest can. */
static void check_without_subnet(struct scopes_job *j, const struct raw_list *list)
{
	const struct raw_scope *all = list->v;
	struct scope nobody;

	for (unsigned i = 0; i < list->n; i++) {
		if (all[i].subnet.len)
			continue;
		(void)find_relation(j->c, &all[i], j->conf);
		options_read(j->c, all[i].options, &j->own);
		fill_times(j->c, &all[i], &j->own, &j->global, &nobody);
		build_reservations(j->c, &all[i], &nobody);
	}
}

static void keep_ranges(struct scopes_job *j, const struct raw_root *raw, struct conf *ret)
{
	struct addr_range *v = arena_array(j->c->keep, j->ranges.n, sizeof(*v));

	if (j->ranges.n)
		memcpy(v, j->ranges.v, j->ranges.n * sizeof(*v));
	if (j->ranges.addresses > POOL_MAX_ADDRESSES)
		conf_error(j->c, node_get(raw->node, "scopes"),
			   "%llu addresses are too many for one server: %u are the most",
			   (unsigned long long)j->ranges.addresses, POOL_MAX_ADDRESSES);
	ret->scopes.ranges = v;
	ret->scopes.n_ranges = j->ranges.n;
	ret->n_addresses = j->ranges.addresses;
}

void build_scopes(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret)
{
	const struct raw_scope **order = arena_array(c->scratch, raw->scopes.n, sizeof(*order)),
			       *all = raw->scopes.v;
	struct scopes_job *j = arena_alloc(c->scratch, sizeof(*j));
	unsigned n = sort_scopes(&raw->scopes, order);
	struct scope *scopes = arena_array(c->keep, n, sizeof(*scopes));

	j->c = c;
	j->conf = ret;
	if (raw->scopes.n > TL_MAX_PREFIXES)
		conf_error(c, all[TL_MAX_PREFIXES].node, "too many scopes: %d are the most",
			   TL_MAX_PREFIXES);
	options_read(c, raw->options, &j->global);
	check_overlaps(c, order, n);
	for (unsigned i = 0; i < n; i++)
		build_scope(j, order[i], i, &scopes[i]);
	check_without_subnet(j, &raw->scopes);
	ret->scopes.scopes = scopes;
	ret->scopes.n_scopes = n;
	keep_ranges(j, raw, ret);
}
