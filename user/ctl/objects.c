/*
 * JSON of relationships, scopes, leases and decisions, as the API documents them. Called by the
 * handlers; reads through struct ctl_ops only.
 */
#include "ctl/fo_counters.h"
#include "ctl/objects.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

json_t *json_time(uint32_t sec)
{
	time_t t = (time_t)sec;
	struct tm tm;
	char buf[32];

	if (!sec || !gmtime_r(&t, &tm))
		return json_null();
	strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(buf);
}

const char *ctl_addr_text(uint32_t addr, char buf[16])
{
	snprintf(buf, 16, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
	return buf;
}

json_t *json_addr(uint32_t addr)
{
	char buf[16];

	return addr ? json_string(ctl_addr_text(addr, buf)) : json_null();
}

json_t *json_hex(const uint8_t *p, size_t len)
{
	char buf[3 * 256 + 1];
	size_t at = 0;

	if (!len || len > 256)
		return json_null();
	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%02x", i ? ":" : "", p[i]);
	return json_string(buf);
}

json_t *json_clean(const char *s)
{
	json_t *o = s ? json_string(s) : json_null();
	char buf[1024];
	size_t n = 0;

	if (o)
		return o;
	for (; s[n] && n < sizeof(buf) - 1; n++)
		buf[n] = (unsigned char)s[n] < 0x80 ? s[n] : '?';
	buf[n] = 0;
	return json_string(buf);
}

/* Text from outside: as it is where it is UTF-8, else in hex. */
static json_t *json_text(const uint8_t *p, size_t len)
{
	json_t *s = len ? json_stringn((const char *)p, len) : json_null();

	return s ? s : json_hex(p, len);
}

/* --- relationships
 * -------------------------------------------------------------------------------- */

static json_t *endpoint_text(const struct sockaddr_in *a)
{
	char ip[INET_ADDRSTRLEN], buf[32];

	inet_ntop(AF_INET, &a->sin_addr, ip, sizeof(ip));
	if (ntohs(a->sin_port) == 647)
		return json_string(ip);
	snprintf(buf, sizeof(buf), "%s:%u", ip, ntohs(a->sin_port));
	return json_string(buf);
}

static json_t *scope_list(const struct conf *c, unsigned relation)
{
	json_t *list = json_array();
	char buf[20];
	char ip[16];

	for (uint32_t i = 0; i < c->scopes.n_scopes; i++) {
		const struct scope *s = &c->scopes.scopes[i];

		if (s->relation != (int)relation)
			continue;
		snprintf(buf, sizeof(buf), "%s/%u", ctl_addr_text(s->subnet, ip), s->prefix);
		json_array_append_new(list, json_string(buf));
	}
	return list;
}

/* The buckets answered here while both serve; the last agreed ones else. */
static void owned_buckets(const struct fo_status *s, uint8_t ret[32])
{
	const uint8_t *hba = s->record->hba_known ? s->record->hba : s->conf->policy.hba;

	for (unsigned i = 0; i < 32; i++)
		ret[i] = s->conf->primary ? hba[i] : (uint8_t)~hba[i];
}

static unsigned count_bits(const uint8_t b[32])
{
	unsigned n = 0;

	for (unsigned i = 0; i < 256; i++)
		n += b[i / 8] >> (i % 8) & 1;
	return n;
}

static json_t *bucket_digits(const uint8_t b[32])
{
	char buf[65];

	for (unsigned i = 0; i < 32; i++)
		snprintf(buf + 2 * i, 3, "%02x", b[i]);
	return json_string(buf);
}

static json_t *state_text(unsigned state)
{
	return state ? json_string(fo_state_name(state)) : json_null();
}

static void set_shares(json_t *o, const struct fo_status *s)
{
	uint8_t owned[32];
	unsigned bits;

	if (s->conf->policy.hot_standby) {
		json_object_set_new(o, "local-share", json_null());
		json_object_set_new(o, "partner-share", json_null());
		json_object_set_new(o, "buckets", json_null());
		json_object_set_new(o, "standby-reserve", json_integer(s->conf->standby_reserve));
		return;
	}
	owned_buckets(s, owned);
	bits = count_bits(owned);
	json_object_set_new(o, "local-share", json_integer((bits * 100 + 128) / 256));
	json_object_set_new(o, "partner-share", json_integer(((256 - bits) * 100 + 128) / 256));
	json_object_set_new(o, "buckets", bucket_digits(owned));
	json_object_set_new(o, "standby-reserve", json_null());
}

static uint32_t count_active(const struct ctl_ops *ops, unsigned relation)
{
	const struct scope_table *t = &ops->conf(ops->ctx)->scopes;
	const struct pool *pool = ops->pool(ops->ctx);
	struct pool_counts k;
	uint32_t sum = 0;

	for (uint32_t i = 0; pool && i < t->n_scopes; i++) {
		if (t->scopes[i].relation != (int)relation)
			continue;
		pool_counts_scope(pool, &t->scopes[i], &k);
		sum += k.active;
	}
	return sum;
}

/* Alone for long, every lease becomes one of the lead time, renewed at its half (decision D8). */
static void add_renewals(const struct ctl_ops *ops, unsigned i, const struct fo_status *s,
			 char *buf, size_t size)
{
	size_t at = strlen(buf);

	if (s->record->end.state != FO_PARTNER_DOWN || !s->view->limited || !s->record->mclt)
		return;
	snprintf(buf + at, size - at,
		 "; leases shrink to the lead time: about %.1f renewals a second are to come",
		 2.0 * count_active(ops, i) / s->record->mclt);
}

static void set_next(json_t *o, const struct ctl_ops *ops, unsigned i, const struct fo_status *s)
{
	json_t *next = json_null();
	char what[300];

	if (s->next && *s->next) {
		next = json_object();
		snprintf(what, sizeof(what), "%s", s->next);
		add_renewals(ops, i, s, what, sizeof(what));
		json_object_set_new(next, "what", json_string(what));
		json_object_set_new(next, "at", json_time(s->next_at));
	}
	json_object_set_new(o, "next", next);
}

static void set_counters(json_t *o, const struct fo_status *s)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < ctl_n_fo_counters; i++)
		if (!ctl_fo_counters[i].gauge) /* the others are members of their own */
			json_object_set_new(
				all, ctl_fo_counters[i].name,
				json_integer((json_int_t)ctl_fo_value(&ctl_fo_counters[i], s)));
	json_object_set_new(o, "counters", all);
}

static void set_state(json_t *o, const struct fo_status *s)
{
	const struct fo_end *e = &s->record->end;

	json_object_set_new(o, "state", state_text(e->state));
	json_object_set_new(o, "state-since", json_time(e->stos));
	json_object_set_new(o, "partner-state", state_text(e->peer));
	json_object_set_new(o, "partner-state-since", json_time(e->peer_stos));
	json_object_set_new(o, "connected", json_boolean(s->connected));
	json_object_set_new(o, "clock-skew",
			    s->connected ? json_real((double)s->clock_skew_ms / 1000.0)
					 : json_null());
	json_object_set_new(o, "max-clock-skew", json_integer(s->clock_skew_limit_sec));
	json_object_set_new(o, "pending-updates", json_integer(s->pending_updates));
	json_object_set_new(o, "unacked-updates", json_integer(s->unacked_updates));
}

/* How, and nothing of with what. */
static const char *authentication(const struct fo_conf *c)
{
	if (c->digest)
		return c->tls ? "hmac-sha256, tls" : "hmac-sha256";
	return c->tls ? "tls" : "off";
}

json_t *ctl_relation_object(const struct ctl_ops *ops, unsigned i)
{
	const struct conf *c = ops->conf(ops->ctx);
	const struct conf_relation *r = &c->relations[i];
	const struct fo_policy_conf *p = &r->fo.policy;
	json_t *o = json_object();
	struct fo_status s;

	ops->relation(ops->ctx, i, &s);
	json_object_set_new(o, "name", json_string(r->fo.name));
	json_object_set_new(o, "role", json_string(r->fo.primary ? "primary" : "secondary"));
	json_object_set_new(o, "mode",
			    json_string(p->hot_standby ? "hot-standby" : "load-balance"));
	json_object_set_new(o, "local", endpoint_text(&r->local));
	json_object_set_new(o, "partner", endpoint_text(&r->partner));
	json_object_set_new(o, "scopes", scope_list(c, i));
	set_shares(o, &s);
	json_object_set_new(o, "max-client-lead-time",
			    json_integer(s.record->mclt ? s.record->mclt : r->fo.mclt));
	json_object_set_new(o, "auto-partner-down",
			    r->fo.auto_partner_down_sec ? json_integer(r->fo.auto_partner_down_sec)
							: json_null());
	json_object_set_new(o, "secs-threshold",
			    p->secs_threshold == SECS_NEVER ? json_string("never")
							    : json_integer(p->secs_threshold));
	json_object_set_new(
		o, "hash-identity",
		json_string(p->hash_identity == HASH_CLIENT_ID ? "client-id" : "hardware-address"));
	json_object_set_new(o, "authentication", json_string(authentication(&r->fo)));
	set_state(o, &s);
	set_next(o, ops, i, &s);
	set_counters(o, &s);
	return o;
}

/* --- scopes
 * ---------------------------------------------------------------------------------------- */

static json_t *counts_object(const struct pool_counts *k)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "total", k->total,
			 "free", k->free, "backup", k->backup, "active", k->active, "expired",
			 k->expired, "released", k->released, "abandoned", k->abandoned, "reset",
			 k->reset, "reserved", k->reserved, "offered", k->offered);
}

static json_t *range_list(const struct conf *c, const struct scope *s)
{
	json_t *list = json_array();
	char a[16], b[16], buf[40];

	for (uint32_t i = 0; i < s->n_ranges; i++) {
		const struct addr_range *r = &c->scopes.ranges[s->first_range + i];

		if (r->flags & RANGE_RESERVED)
			continue;
		snprintf(buf, sizeof(buf), "%s-%s", ctl_addr_text(r->first, a),
			 ctl_addr_text(r->last, b));
		json_array_append_new(list, json_string(buf));
	}
	return list;
}

json_t *ctl_scope_object(const struct ctl_ops *ops, const struct scope *s)
{
	const struct conf *c = ops->conf(ops->ctx);
	const struct pool *pool = ops->pool(ops->ctx);
	json_t *o = json_object();
	struct pool_counts k = { 0 };
	char buf[20], ip[16];

	snprintf(buf, sizeof(buf), "%s/%u", ctl_addr_text(s->subnet, ip), s->prefix);
	if (pool)
		pool_counts_scope(pool, s, &k);
	json_object_set_new(o, "subnet", json_string(buf));
	json_object_set_new(o, "name", s->name ? json_string(s->name) : json_null());
	json_object_set_new(o, "relationship",
			    s->relation >= 0 ? json_string(c->relations[s->relation].fo.name)
					     : json_null());
	json_object_set_new(o, "ranges", range_list(c, s));
	json_object_set_new(o, "lease-time", json_integer(s->lease_time));
	json_object_set_new(o, "reservations", json_integer(s->n_reservations));
	json_object_set_new(o, "addresses", counts_object(&k));
	return o;
}

/* --- leases
 * ---------------------------------------------------------------------------------------- */

static json_t *owner_text(const struct ctl_ops *ops, const struct scope *s, const struct lease *l)
{
	bool primary =
		!s || s->relation < 0 || ops->conf(ops->ctx)->relations[s->relation].fo.primary;

	if (!lease_is_free(l))
		return json_null();
	return json_string((l->state == LEASE_BACKUP) == primary ? "partner" : "local");
}

static json_t *client_hardware(const struct lease_client *c)
{
	return json_hex(c->chaddr, c->hlen <= CHADDR_MAX ? c->hlen : 0);
}

static json_t *scope_text(const struct scope *s)
{
	char buf[20], ip[16];

	if (!s)
		return json_null();
	snprintf(buf, sizeof(buf), "%s/%u", ctl_addr_text(s->subnet, ip), s->prefix);
	return json_string(buf);
}

json_t *ctl_gap_object(const struct ctl_ops *ops, const struct lease *l, uint32_t n)
{
	const struct scope *s = scope_find(&ops->conf(ops->ctx)->scopes, l->addr);
	unsigned state = l->state == LEASE_BACKUP ? LEASE_BACKUP : LEASE_FREE;
	bool reserved = l->flags & LEASE_RESERVED;

	return json_pack("{s:o, s:o, s:I, s:o, s:s, s:o, s:b}", "address", json_addr(l->addr),
			 "last-address", json_addr(l->addr + n - 1), "addresses", (json_int_t)n,
			 "scope", scope_text(s), "state", lease_state_name(state), "owner",
			 reserved ? json_null() : owner_text(ops, s, l), "reserved", reserved);
}

json_t *ctl_lease_object(const struct ctl_ops *ops, const struct lease *l,
			 const struct lease_client *c)
{
	const struct scope *s = scope_find(&ops->conf(ops->ctx)->scopes, l->addr);
	json_t *o = json_object();

	json_object_set_new(o, "address", json_addr(l->addr));
	json_object_set_new(o, "scope", scope_text(s));
	json_object_set_new(o, "state", json_string(lease_state_name(l->state)));
	json_object_set_new(o, "owner", owner_text(ops, s, l));
	json_object_set_new(o, "client-id", json_hex(c->id, c->id_len));
	json_object_set_new(o, "hardware-address", client_hardware(c));
	json_object_set_new(o, "host-name", json_text(c->host_name, c->host_name_len));
	json_object_set_new(o, "starts", json_time(l->starts));
	json_object_set_new(o, "ends", json_time(l->expires));
	json_object_set_new(o, "potential-expiry", json_time(l->sent_pet));
	json_object_set_new(o, "acked-potential-expiry", json_time(l->acked_pet));
	json_object_set_new(o, "partner-potential-expiry", json_time(l->rcvd_pet));
	json_object_set_new(o, "cltt", json_time(l->cltt));
	json_object_set_new(o, "stos", json_time(l->stos));
	json_object_set_new(o, "reserved", json_boolean(l->flags & LEASE_RESERVED));
	json_object_set_new(o, "relay-agent", json_hex(c->relay_agent, c->relay_agent_len));
	json_object_set_new(o, "last-server",
			    json_string(l->flags & LEASE_BY_PARTNER ? "partner" : "local"));
	return o;
}

/* --- explain
 * --------------------------------------------------------------------------------------- */

static const char *limit_text(const struct lease_grant *g)
{
	switch (g->limited_by) {
	case LIMIT_NONE:
		return "nothing: the configured lease time is given";
	case LIMIT_MCLT:
		return "max-client-lead-time: the partner has acknowledged no longer lease yet";
	case LIMIT_ACKED_PET:
		return "the potential expiry that the partner acknowledged, plus "
		       "max-client-lead-time";
	case LIMIT_RCVD_PET:
		return "the potential expiry that the partner sent, plus max-client-lead-time";
	}
	return "";
}

json_t *ctl_decision_object(const struct ctl_ops *ops, const struct server_decision *d)
{
	const struct conf *c = ops->conf(ops->ctx);
	json_t *o = json_object();
	char buf[20], ip[16];

	if (d->scope)
		snprintf(buf, sizeof(buf), "%s/%u", ctl_addr_text(d->scope->subnet, ip),
			 d->scope->prefix);
	json_object_set_new(o, "scope", d->scope ? json_string(buf) : json_null());
	json_object_set_new(o, "relationship",
			    d->scope && d->scope->relation >= 0
				    ? json_string(c->relations[d->scope->relation].fo.name)
				    : json_null());
	json_object_set_new(o, "bucket", json_integer(d->bucket));
	json_object_set_new(o, "answer", json_boolean(d->answer));
	json_object_set_new(o, "reason", json_string(server_reason_name(d->reason)));
	json_object_set_new(o, "means", json_string(server_reason_text(d->reason)));
	json_object_set_new(o, "address", json_addr(d->answer ? d->reply.yiaddr : 0));
	json_object_set_new(o, "lease-time",
			    d->answer ? json_integer(d->reply.lease) : json_null());
	json_object_set_new(o, "limited-by",
			    d->answer ? json_string(limit_text(&d->grant)) : json_null());
	return o;
}
