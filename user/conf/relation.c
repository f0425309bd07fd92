/*
 * Relationships: raw values -> struct conf_relation, and what cannot be true of them.
 *
 * Caller: conf_parse. Spec: failover-12 §5.3 (buckets); decisions A4 (shares), A6 (several
 * relationships between the same servers), A16 (which buckets are whose).
 */
#include <string.h>
#include "conf/build.h"
#include "shared/xdp_abi.h"

/* The primary owns buckets 0 .. round(2.56 * percent) - 1. */
static void share_to_buckets(uint32_t percent, uint8_t hba[32])
{
	unsigned n = (256 * percent + 50) / 100;

	memset(hba, 0, 32);
	for (unsigned b = 0; b < n; b++)
		hba[b / 8] |= (uint8_t)(1u << b % 8);
}

static uint32_t buckets_to_share(const uint8_t bits[32])
{
	unsigned n = 0;

	for (unsigned i = 0; i < 32; i++)
		n += (unsigned)__builtin_popcount(bits[i]);
	return (n * 100 + 128) / 256;
}

static void fill_buckets(const struct raw_relation *r, struct conf_relation *to)
{
	struct fo_policy_conf *p = &to->fo.policy;
	bool primary = to->fo.primary;

	to->local_share = r->buckets ? buckets_to_share(r->buckets) : r->local_share;
	if (p->hot_standby)
		share_to_buckets(p->active_is_primary ? 100 : 0, p->hba);
	else if (r->buckets)
		for (unsigned i = 0; i < 32; i++) /* ours in the file, the primary's here */
			p->hba[i] = primary ? r->buckets[i] : (uint8_t)~r->buckets[i];
	else
		share_to_buckets(primary ? r->local_share : 100 - r->local_share, p->hba);
}

/* How much of the free addresses should be the secondary's, decision A4. */
static uint32_t secondary_share(const struct raw_relation *r, const struct conf_relation *to)
{
	if (!to->fo.policy.hot_standby)
		return to->fo.primary ? 100 - to->local_share : to->local_share;
	return to->fo.policy.active_is_primary ? r->standby_reserve : 100 - r->standby_reserve;
}

/* An ISC dhcpd sends CONTACT each third of it, in whole seconds, and not above its own pace. */
#define CONTACT_ISC_MIN 6
#define CONTACT_ISC 20
#define CONTACT_OWN 3

static uint32_t contact_timeout_isc(const struct raw_relation *r)
{
	if (!r->contact_timeout)
		return CONTACT_ISC;
	return r->contact_timeout < CONTACT_ISC_MIN ? CONTACT_ISC_MIN : r->contact_timeout;
}

static uint32_t contact_timeout(const struct raw_relation *r)
{
	if (r->dialect == FO_DIALECT_ISC)
		return contact_timeout_isc(r);
	return r->contact_timeout ? r->contact_timeout : CONTACT_OWN;
}

static void fill(const struct raw_relation *r, unsigned index, struct conf_relation *to)
{
	to->line = r->node->line;
	to->local = r->local;
	to->partner = r->partner;
	to->secret_file = r->authentication.secret_file;
	to->former_secret_file = r->authentication.former_secret_file;
	to->tls.certificate = r->tls.certificate;
	to->tls.key = r->tls.key;
	to->tls.partner_ca = r->tls.partner_ca;
	to->tls.partner_name = r->tls.partner_name;
	to->fo = (struct fo_conf){
		.name = r->name,
		.relation = index,
		.primary = r->role == 0,
		.policy = {
			.hot_standby = r->mode == 1,
			.active_is_primary = r->active == 0,
			.secs_threshold = (uint16_t)r->secs_threshold,
			.hash_identity = (uint8_t)r->hash_identity,
		},
		.mclt = r->mclt,
		.max_unacked = r->max_unacked,
		.dialect = (enum fo_dialect)r->dialect,
		.contact_timeout_sec = contact_timeout(r),
		.contact_timeout_isc_sec = contact_timeout_isc(r),
		.auto_partner_down_sec = r->auto_partner_down,
		.max_clock_skew_sec = r->max_clock_skew,
		.standby_reserve = r->standby_reserve,
		.misbalance = r->misbalance,
		.ownership = r->ownership,
		.after_outage_hold = r->after_outage == 0,
		.lift_lease_limit = r->lease_limit == 1,
		.digest = r->authentication.secret_file != NULL,
		.tls = r->tls.certificate != NULL,
	};
	fill_buckets(r, to);
	to->fo.share_secondary = secondary_share(r, to);
}

static bool same_place(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_family && b->sin_family && a->sin_addr.s_addr == b->sin_addr.s_addr &&
	       a->sin_port == b->sin_port;
}

static void check(struct conf_ctx *c, const struct raw_relation *r)
{
	const struct node *share = node_get(r->node, "local-share");
	char text[DURATION_TEXT];

	if (same_place(&r->local, &r->partner))
		conf_error(
			c, node_or(r->node, "partner"),
			"partner is the same address as local: write the other server's address");
	if (r->dialect == FO_DIALECT_ISC && r->contact_timeout &&
	    r->contact_timeout < CONTACT_ISC_MIN)
		conf_error(c, node_or(r->node, "contact-timeout"),
			   "contact-timeout is too short for dialect isc: write 6s or more");
	if (r->buckets && !node_is_empty(share))
		conf_error(c, share, "local-share stands beside buckets: keep one of them");
	if (r->mode == 1 && (r->buckets || !node_is_empty(share)))
		conf_warning(
			c, node_or(r->node, r->buckets ? "buckets" : "local-share"),
			"%s has no effect in hot-standby: standby-reserve divides the addresses",
			r->buckets ? "buckets" : "local-share");
	if (r->mode == 1 && r->dialect == FO_DIALECT_ISC &&
	    !node_is_empty(node_get(r->node, "standby-reserve")))
		conf_warning(c, node_or(r->node, "standby-reserve"),
			     "standby-reserve has no effect with dialect isc: an ISC dhcpd keeps "
			     "half of the free addresses on each side");
	if (r->auto_partner_down && r->auto_partner_down < r->mclt)
		conf_warning(c, node_or(r->node, "auto-partner-down"),
			     "auto-partner-down is shorter than max-client-lead-time (%s): make it "
			     "longer, or an address may be given twice when both servers live",
			     duration_text(r->mclt, text));
}

/* An ISC dhcpd tells its partners apart by their addresses alone. */
static void check_alone(struct conf_ctx *c, const struct raw_relation *all, unsigned i)
{
	for (unsigned k = 0; k < i; k++) {
		if (all[i].dialect != FO_DIALECT_ISC && all[k].dialect != FO_DIALECT_ISC)
			continue;
		if (!all[i].partner.sin_family || !all[k].partner.sin_family ||
		    all[k].partner.sin_addr.s_addr != all[i].partner.sin_addr.s_addr ||
		    all[k].local.sin_addr.s_addr != all[i].local.sin_addr.s_addr)
			continue;
		conf_error(c, node_or(all[i].node, "partner"),
			   "the relationship in line %d joins the same two addresses, by which "
			   "alone dialect isc tells partners apart: give one another local address",
			   all[k].node->line);
		return;
	}
}

static bool is_on(const struct node *n)
{
	return n && n->kind == NODE_MAP;
}

/* A connection that anybody may speak on is somebody's decision, never an oversight (A24). */
static void check_security(struct conf_ctx *c, const struct raw_relation *r)
{
	const struct node *digest = r->authentication.node, *tls = r->tls.node;

	if (!digest && !is_on(tls))
		conf_error(c, node_or(r->node, "authentication"),
			   "authentication is missing: write authentication: {secret-file: /path}, "
			   "or tls, or authentication: off for a link that nobody else can reach");
	if (r->dialect == FO_DIALECT_ISC && (is_on(digest) || is_on(tls)))
		conf_error(c, is_on(digest) ? digest : tls,
			   "%s cannot be used towards dialect isc, which has none: write "
			   "authentication: off, without tls, and keep the link to yourselves",
			   is_on(digest) ? "authentication" : "tls");
	if (r->authentication.former_secret_file && r->role == 0)
		conf_warning(
			c, node_or(digest, "former-secret-file"),
			"former-secret-file has no effect here: the primary chooses the secret; "
			"write it on the secondary, while the primary still has the former one");
}

/* The name must tell relationships apart: the partner knows them by nothing else. */
static void check_name(struct conf_ctx *c, const struct raw_relation *all, unsigned i)
{
	for (unsigned k = 0; all[i].name && k < i; k++) {
		if (!all[k].name || strcmp(all[k].name, all[i].name))
			continue;
		conf_error(c, node_or(all[i].node, "name"),
			   "name %s is taken by the relationship in line %d: choose another",
			   conf_show(c, all[i].name, strlen(all[i].name)), all[k].node->line);
		return;
	}
}

void build_relations(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret)
{
	const struct raw_relation *r = raw->relations.v;
	struct conf_relation *list;
	unsigned n = raw->relations.n;

	if (n > TL_MAX_RELATIONS) {
		conf_error(c, r[TL_MAX_RELATIONS].node, "too many relationships: %d are the most",
			   TL_MAX_RELATIONS);
		n = TL_MAX_RELATIONS;
	}
	list = arena_array(c->keep, n, sizeof(*list));
	for (unsigned i = 0; i < n; i++) {
		check(c, &r[i]);
		check_security(c, &r[i]);
		check_name(c, r, i);
		check_alone(c, r, i);
		fill(&r[i], i, &list[i]);
	}
	ret->relations = list;
	ret->n_relations = n;
}
