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
#include "sys/log.h"

#define KEY_MAX 8

/* What a map shall hold: @n entries of @size octets, each a key of @key_size and its value. */
struct wanted {
	void *entries;
	unsigned n;
	size_t size, key_size;
	int (*compare)(const void *, const void *); /* keys */
};

/* Delete what is in the map and is not wanted. */
static int drop_stale(int fd, const struct wanted *w)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	bool more = !bpf_map_get_next_key(fd, NULL, key);

	while (more) {
		more = !bpf_map_get_next_key(fd, key, next);
		if (!bsearch(key, w->entries, w->n, w->size, w->compare) &&
		    bpf_map_delete_elem(fd, key) && errno != ENOENT)
			return -errno;
		memcpy(key, next, sizeof(key));
	}
	return 0;
}

static int put_all(int fd, const struct wanted *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		const uint8_t *e = (const uint8_t *)w->entries + i * w->size;

		if (bpf_map_update_elem(fd, e, e + w->key_size, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* Where old and new do not fit together, the old go first: for a moment the new ones pass. */
static int replace(int fd, const struct wanted *w)
{
	int r;

	qsort(w->entries, w->n, w->size, w->compare);
	r = put_all(fd, w);
	if (r == -ENOSPC || r == -E2BIG) {
		r = drop_stale(fd, w);
		if (!r)
			r = put_all(fd, w);
	}
	return r < 0 ? r : drop_stale(fd, w);
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

struct local_entry {
	struct local_key key;
	struct local_value value;
};

/* Those that do not fit are not known to be ours: what is sent to them passes. */
static unsigned list_local(const struct ifaddrs *all, struct local_entry ret[TL_MAX_LOCAL])
{
	unsigned n = 0;

	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		const struct sockaddr_in *sin = (const void *)a->ifa_addr;

		if (!sin || sin->sin_family != AF_INET)
			continue;
		if (n == TL_MAX_LOCAL) {
			log_event(LOG_L_WARNING, "filter-addresses",
				  "known=%u why=\"this host has more: DISCOVERs to those pass\"",
				  n);
			break;
		}
		memcpy(ret[n].key.address, &sin->sin_addr, 4);
		ret[n++].value.ifindex = if_nametoindex(a->ifa_name);
	}
	return n;
}

int datapath_set_local(struct datapath *dp)
{
	static struct local_entry entries[TL_MAX_LOCAL];
	struct wanted w = { entries, 0, sizeof(entries[0]), sizeof(entries[0].key), compare_4 };
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return -errno;
	w.n = list_local(all, entries);
	freeifaddrs(all);
	return replace(dp->maps.fd[MAP_tl_local], &w);
}

/* --- prefixes --------------------------------------------------------------------------------- */

static int set_subnets(struct datapath *dp, const struct scope_table *t)
{
	struct filter_subnet *s = calloc(t->n_scopes + 1u, sizeof(*s));
	struct wanted w = { s, 0, sizeof(*s), sizeof(s->key), compare_8 };
	int r;

	if (!s)
		return -ENOMEM;
	w.n = filter_subnets_of(t, s, t->n_scopes);
	r = w.n > TL_MAX_PREFIXES ? -E2BIG : replace(dp->maps.fd[MAP_tl_subnet], &w);
	free(s);
	return r;
}

/* --- interfaces ------------------------------------------------------------------------------- */

/* Labels ("eth0:1") count as their interface. */
static bool is_address_of(const struct ifaddrs *a, const char *iface)
{
	size_t len = strcspn(a->ifa_name, ":");

	return len == strlen(iface) && !memcmp(a->ifa_name, iface, len);
}

/* The scope of an interface's clients: that of its first address in one. */
static const struct scope *scope_of(const struct ifaddrs *all, const char *iface,
				    const struct scope_table *t)
{
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		const struct sockaddr_in *sin = (const void *)a->ifa_addr;
		const struct scope *s;

		if (!sin || sin->sin_family != AF_INET || !is_address_of(a, iface))
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

static bool is_near(const struct iface_key *k)
{
	return k->ifindex < TL_IFACE_NEAR && !k->vlan;
}

/* One aligned word: a packet sees the old or the new one. @c NULL: says nothing any more. */
static void store_near(struct datapath *dp, uint32_t ifindex, const struct relation_choice *c)
{
	struct iface_choice v = { 0 };
	uint64_t word;

	if (c) {
		v.relation = c->relation;
		v.partner_cannot_serve = c->partner_cannot_serve;
		v.known = 1;
	}
	memcpy(&word, &v, sizeof(word));
	__atomic_store_n(&dp->near[ifindex], word, __ATOMIC_RELEASE);
}

/* New ones first, as in replace(). */
static void set_near(struct datapath *dp, const struct scope_table *t)
{
	bool wanted[TL_IFACE_NEAR] = { false };

	for (unsigned i = 0; i < dp->n_direct; i++) {
		const struct dp_direct *d = &dp->direct[i];
		struct relation_choice c = choice_of(&t->scopes[d->scope], false);

		if (!is_near(&d->key))
			continue;
		store_near(dp, d->key.ifindex, &c);
		wanted[d->key.ifindex] = true;
	}
	for (uint32_t i = 0; i < TL_IFACE_NEAR; i++) {
		if (!wanted[i])
			store_near(dp, i, NULL);
	}
}

static int set_ifaces(struct datapath *dp, const struct scope_table *t)
{
	struct filter_iface entries[TL_MAX_IFACES];
	struct wanted w = { entries, 0, sizeof(entries[0]), sizeof(entries[0].key), compare_8 };
	struct ifaddrs *addrs;

	if (getifaddrs(&addrs))
		return -errno;
	find_direct(dp, addrs, t);
	freeifaddrs(addrs);
	set_near(dp, t);
	for (unsigned i = 0; i < dp->n_direct; i++) {
		if (is_near(&dp->direct[i].key))
			continue;
		entries[w.n].key = dp->direct[i].key;
		entries[w.n++].choice = choice_of(&t->scopes[dp->direct[i].scope], false);
	}
	return replace(dp->maps.fd[MAP_tl_iface], &w);
}

static int update_iface(struct datapath *dp, const struct iface_key *k,
			const struct relation_choice *c)
{
	if (!is_near(k))
		return bpf_map_update_elem(dp->maps.fd[MAP_tl_iface], k, c, BPF_ANY) ? -errno : 0;
	store_near(dp, k->ifindex, c);
	return 0;
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
	int r = 0;

	filter_subnets_of(&one, &s, 1);
	if (bpf_map_update_elem(dp->maps.fd[MAP_tl_subnet], &s.key, &c, BPF_ANY))
		return -errno;
	for (unsigned i = 0; i < dp->n_direct && !r; i++) {
		if (dp->direct[i].scope == scope)
			r = update_iface(dp, &dp->direct[i].key, &c);
	}
	return r;
}
