/*
 * What selects a relationship, written into the maps: prefixes of scopes, interfaces with their
 * VLANs, our own addresses. New entries come before stale ones go, so that nothing known is unknown
 * in between. Called by the loop thread at start, on reload, and when addresses change.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "dp/datapath_priv.h"
#include "dp/filter_user.h"
#include "dp/links.h"

#define KEY_MAX 8

/* Delete what is in the map and not in @keys (@n of @size octets). */
static int drop_stale(int fd, const void *keys, unsigned n, size_t size,
		      int (*compare)(const void *, const void *))
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	bool more = !bpf_map_get_next_key(fd, NULL, key);

	while (more) {
		more = !bpf_map_get_next_key(fd, key, next);
		if (!bsearch(key, keys, n, size, compare) && bpf_map_delete_elem(fd, key) &&
		    errno != ENOENT)
			return -errno;
		memcpy(key, next, sizeof(key));
	}
	return 0;
}

static int compare_4(const void *a, const void *b)
{
	return memcmp(a, b, 4);
}

static int compare_8(const void *a, const void *b)
{
	return memcmp(a, b, 8);
}

/* --- our addresses ---------------------------------------------------------------------------- */

int datapath_set_local(struct datapath *dp)
{
	static struct local_key keys[TL_MAX_LOCAL];
	int fd = dp->maps.fd[MAP_tl_local], r = 0;
	struct ifaddrs *all;
	unsigned n = 0;

	if (getifaddrs(&all))
		return -errno;
	for (const struct ifaddrs *a = all; a && !r; a = a->ifa_next) {
		const struct sockaddr_in *sin = (const void *)a->ifa_addr;
		struct local_value v = { .ifindex = if_nametoindex(a->ifa_name) };

		if (!sin || sin->sin_family != AF_INET)
			continue;
		if (n == TL_MAX_LOCAL) {
			r = -E2BIG;
			break;
		}
		memcpy(keys[n].address, &sin->sin_addr, 4);
		if (bpf_map_update_elem(fd, &keys[n++], &v, BPF_ANY))
			r = -errno;
	}
	freeifaddrs(all);
	qsort(keys, n, sizeof(keys[0]), compare_4);
	return r < 0 ? r : drop_stale(fd, keys, n, sizeof(keys[0]), compare_4);
}

/* --- prefixes --------------------------------------------------------------------------------- */

static int put_subnet(int fd, struct filter_subnet *s)
{
	struct relation_choice old;

	if (!bpf_map_lookup_elem(fd, &s->key, &old) && old.relation == s->choice.relation)
		s->choice.partner_cannot_serve = old.partner_cannot_serve;
	return bpf_map_update_elem(fd, &s->key, &s->choice, BPF_ANY) ? -errno : 0;
}

static int set_subnets(struct datapath *dp, const struct scope_table *t)
{
	struct filter_subnet *s = calloc(t->n_scopes + 1u, sizeof(*s));
	struct subnet_key *keys = calloc(t->n_scopes + 1u, sizeof(*keys));
	int fd = dp->maps.fd[MAP_tl_subnet], r = s && keys ? 0 : -ENOMEM;
	unsigned n = r ? 0 : filter_subnets_of(t, s, t->n_scopes);

	if (n > TL_MAX_PREFIXES)
		r = -E2BIG;
	for (unsigned i = 0; i < n && !r; i++) {
		r = put_subnet(fd, &s[i]);
		keys[i] = s[i].key;
	}
	if (!r) {
		qsort(keys, n, sizeof(*keys), compare_8);
		r = drop_stale(fd, keys, n, sizeof(*keys), compare_8);
	}
	free(s);
	free(keys);
	return r;
}

/* --- interfaces ------------------------------------------------------------------------------- */

/* The scope of an interface's clients: that of its first address in one. */
static const struct scope *scope_of(const struct ifaddrs *all, const char *iface,
				    const struct scope_table *t)
{
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		const struct sockaddr_in *sin = (const void *)a->ifa_addr;
		const struct scope *s;

		if (!sin || sin->sin_family != AF_INET || strcmp(a->ifa_name, iface) != 0)
			continue;
		s = scope_find(t, ntohl(sin->sin_addr.s_addr));
		if (s)
			return s;
	}
	return NULL;
}

static void add_direct(struct datapath *dp, uint32_t ifindex, uint16_t vlan, uint32_t scope)
{
	struct dp_direct *d;

	if (dp->n_direct == TL_MAX_IFACES)
		return;
	d = &dp->direct[dp->n_direct++];
	memset(d, 0, sizeof(*d));
	d->key.ifindex = ifindex;
	d->key.vlan = vlan;
	d->scope = scope;
}

/* A VLAN device is known twice: by itself, and by its tag on the interface below. */
static void find_direct(struct datapath *dp, const struct ifaddrs *addrs,
			const struct scope_table *t)
{
	static struct link_info links[LINKS_MAX];
	int n = links_list(links, LINKS_MAX);

	dp->n_direct = 0;
	for (unsigned i = 0; i < dp->n_ifaces; i++) {
		const struct link_info *l = links_find(links, n, dp->ifaces[i].name);
		const struct scope *s = l ? scope_of(addrs, l->name, t) : NULL;

		if (!s)
			continue;
		add_direct(dp, l->ifindex, 0, (uint32_t)(s - t->scopes));
		if (l->lower)
			add_direct(dp, l->lower, l->vlan, (uint32_t)(s - t->scopes));
	}
}

static struct relation_choice choice_of(const struct scope *s, bool partner_empty)
{
	return (struct relation_choice){ .relation = s->relation < 0 ? TL_NO_RELATION
								     : (uint32_t)s->relation,
					 .partner_cannot_serve = partner_empty };
}

static int set_ifaces(struct datapath *dp, const struct scope_table *t)
{
	struct iface_key keys[TL_MAX_IFACES];
	int fd = dp->maps.fd[MAP_tl_iface];
	struct ifaddrs *addrs;

	if (getifaddrs(&addrs))
		return -errno;
	find_direct(dp, addrs, t);
	freeifaddrs(addrs);
	for (unsigned i = 0; i < dp->n_direct; i++) {
		struct relation_choice c = choice_of(&t->scopes[dp->direct[i].scope], false);

		keys[i] = dp->direct[i].key;
		if (bpf_map_update_elem(fd, &keys[i], &c, BPF_ANY))
			return -errno;
	}
	qsort(keys, dp->n_direct, sizeof(keys[0]), compare_8);
	return drop_stale(fd, keys, dp->n_direct, sizeof(keys[0]), compare_8);
}

int datapath_set_scopes(struct datapath *dp, const struct scope_table *t)
{
	int r = set_subnets(dp, t);

	return r < 0 ? r : set_ifaces(dp, t);
}

int datapath_set_partner_empty(struct datapath *dp, const struct scope_table *t, unsigned scope,
			       bool empty)
{
	struct relation_choice c = choice_of(&t->scopes[scope], empty);
	const struct scope_table one = { .scopes = &t->scopes[scope], .n_scopes = 1 };
	struct filter_subnet s;

	filter_subnets_of(&one, &s, 1);
	if (bpf_map_update_elem(dp->maps.fd[MAP_tl_subnet], &s.key, &c, BPF_ANY))
		return -errno;
	for (unsigned i = 0; i < dp->n_direct; i++) {
		if (dp->direct[i].scope == scope &&
		    bpf_map_update_elem(dp->maps.fd[MAP_tl_iface], &dp->direct[i].key, &c, BPF_ANY))
			return -errno;
	}
	return 0;
}
