/*
 * Events of a failover relationship in the words of an operator: names of states instead of
 * numbers, and a bound on what updates by the thousand can write.
 */
#include "node_priv.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_PER_MIN 60
#define LIFE_EVENTS_PER_MIN 120 /* states, links: more than any partner causes that is in order */

typedef void describe_fn(const struct node_relation *r, char *buf, size_t size, uint32_t a,
			 uint32_t b);

static void nothing(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	(void)a;
	(void)b;
	(void)size;
	buf[0] = 0;
}

/* Without the former state where it is not known. */
static void states(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	if (a)
		snprintf(buf, size, " from=%s to=%s", fo_state_name(a), fo_state_name(b));
	else
		snprintf(buf, size, " to=%s", fo_state_name(b));
}

static void pending(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	(void)b;
	snprintf(buf, size, " pending-updates=%u", a);
}

static void addresses(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	(void)b;
	snprintf(buf, size, " addresses=%u", a);
}

static void link_terms(const struct node_relation *r, char *buf, size_t size, uint32_t a,
		       uint32_t b)
{
	(void)r;
	snprintf(buf, size, " max-unacked=%u receive-timer=%us", a, b);
}

static void close_reason(const struct node_relation *r, char *buf, size_t size, uint32_t a,
			 uint32_t b)
{
	static const char *const names[] = {
		[FO_CLOSE_PEER] = "closed-by-partner",	[FO_CLOSE_SILENT] = "partner-is-silent",
		[FO_CLOSE_PROTOCOL] = "protocol-error", [FO_CLOSE_REJECTED] = "rejected",
		[FO_CLOSE_DUPLICATE] = "duplicate",	[FO_CLOSE_STATE] = "closed-by-us",
		[FO_CLOSE_STUCK] = "no-progress"
	};

	(void)r;
	(void)b;
	snprintf(buf, size, " reason=%s",
		 a < sizeof(names) / sizeof(names[0]) ? names[a] : "unknown");
}

static void binding(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	(void)b;
	snprintf(buf, size, " binding=%s", lease_state_name(a));
}

static void lead_time(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)r;
	snprintf(buf, size, " max-client-lead-time=%us configured=%us", a, b);
}

const char *node_time_text(wall_t at, char buf[24])
{
	time_t t = (time_t)at.sec;
	struct tm tm;

	if (!t || !gmtime_r(&t, &tm) || !strftime(buf, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(buf, "-");
	return buf;
}

static const char *time_text(uint32_t sec, char buf[24])
{
	return node_time_text((wall_t){ sec }, buf);
}

static void clocks(const struct node_relation *r, char *buf, size_t size, uint32_t a, uint32_t b)
{
	char theirs[24], ours[24];
	struct fo_status s;

	fo_endpoint_status(r->ep, &s);
	snprintf(buf, size, " partner-clock=%s our-clock=%s skew=%ds limit=%us",
		 time_text(a, theirs), time_text(b, ours), (int32_t)(a - b),
		 s.clock_skew_limit_sec);
}

enum bound {
	OF_LIFE,     /* states and links: by what a partner in order can cause */
	OF_UPDATES,  /* what updates by the thousand can cause */
	OF_ATTEMPTS, /* likewise, and the same words about one relationship once a minute: who
		      * cannot connect tries again and again, for the same reason */
};

static const struct kind {
	const char *what;
	enum log_level level;
	describe_fn *describe;
	enum bound bound;
} kinds[] = {
	{ "state", LOG_L_WARNING, states, OF_LIFE },
	{ "partner-state", LOG_L_WARNING, states, OF_LIFE },
	{ "link-up", LOG_L_INFO, link_terms, OF_LIFE },
	{ "link-lost", LOG_L_ERROR, close_reason, OF_LIFE },
	{ "update-unsendable", LOG_L_ERROR, binding, OF_UPDATES },
	{ "left-out", LOG_L_WARNING, addresses, OF_LIFE },
	{ "shutdown", LOG_L_WARNING, pending, OF_LIFE },
	{ "shutdown-given-up", LOG_L_ERROR, pending, OF_LIFE },
	{ "config-differs", LOG_L_WARNING, lead_time, OF_LIFE },
	{ "storage-lost", LOG_L_WARNING, nothing, OF_LIFE },
	{ "partner-changed", LOG_L_WARNING, nothing, OF_LIFE },
	{ "clock-skew", LOG_L_ERROR, clocks, OF_LIFE },
	{ "partner-sign", LOG_L_WARNING, nothing, OF_LIFE },
	{ "connect-failed", LOG_L_WARNING, nothing, OF_ATTEMPTS },
	{ "connect-refused", LOG_L_WARNING, nothing, OF_ATTEMPTS },
	{ "connect-rejected", LOG_L_WARNING, nothing, OF_ATTEMPTS },
	{ "garbage", LOG_L_WARNING, nothing, OF_ATTEMPTS },
	{ "digest-missing", LOG_L_ERROR, nothing, OF_ATTEMPTS },
	{ "digest-wrong", LOG_L_ERROR, nothing, OF_ATTEMPTS },
	{ "digest-replayed", LOG_L_ERROR, nothing, OF_ATTEMPTS },
	{ "digest-unexpected", LOG_L_ERROR, nothing, OF_ATTEMPTS },
	{ "tls-failed", LOG_L_ERROR, nothing, OF_ATTEMPTS },
	{ "local-address-gone", LOG_L_ERROR, nothing, OF_ATTEMPTS },
};

static const struct kind *find_kind(const char *what)
{
	static const struct kind other = { "", LOG_L_INFO, nothing, OF_UPDATES };

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].what, what))
			return &kinds[i];
	return &other;
}

enum log_level node_state_level(unsigned from, unsigned to)
{
	if (to == FO_NORMAL)
		return LOG_L_INFO;
	return from == FO_NORMAL || to == FO_PARTNER_DOWN ? LOG_L_ERROR : LOG_L_WARNING;
}

static enum log_level level_of(const struct kind *k, const char *why, uint32_t a, uint32_t b)
{
	if (k->describe == states)
		return node_state_level(a, b);
	if (k->describe == clocks && strstr(why, "again"))
		return LOG_L_INFO;
	return k->level;
}

static const char *name_of(const struct node_relation *r, char quoted[160])
{
	const char *name = r->node->conf->relations[r->index].fo.name;

	return log_quote(name, strlen(name), quoted, 160);
}

/* --- what was told already -------------------------------------------------------------------- */

#define TOLD 1024 /* refusals that were told within the last minute, or hour */
#define TOLD_NEAR 8
#define MINUTE_US 60000000LL
#define HOUR_US (60 * MINUTE_US)

enum { TOLD_BY_PARTNER = 1, TOLD_BY_US }; /* the key's last octet */

/* Told already: not before @until again. */
static struct told {
	uint64_t key;
	mono_t until;
} told[TOLD];

/* Once in @every_us for each key. Where too many are told at one time the rest is counted only. */
static bool may_tell(struct node_relation *r, uint64_t key, int64_t every_us)
{
	mono_t now = r->node->now.mono;
	uint64_t at = key * 0x9e3779b97f4a7c15ULL >> 54;
	struct told *room = NULL;

	for (unsigned i = 0; i < TOLD_NEAR; i++) {
		struct told *t = &told[(at + i) % TOLD];

		if (t->key == key && t->until.us > now.us)
			return false;
		if (!room && t->until.us <= now.us)
			room = t;
	}
	if (!room) {
		r->node->count.refusals_untold++;
		return false;
	}
	*room = (struct told){ key, mono_add_us(now, every_us) };
	return true;
}

static uint32_t hash_words(const char *s)
{
	uint32_t h = 2166136261u;

	for (; s && *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

uint64_t node_said_key(const char *words, uint32_t about)
{
	return (uint64_t)hash_words(words) << 32 | about;
}

bool node_said_lately(const struct node_said *s, uint64_t key, mono_t now)
{
	for (unsigned i = 0; i < NODE_SAID; i++)
		if (s->slot[i].key == key && s->slot[i].until.us > now.us)
			return true;
	return false;
}

/* Where there is no room to remember it is said all the same: the bound holds, and the first sign
 * of something new is worth more than a repetition costs. */
bool node_may_say(struct node_said *s, uint64_t key, unsigned per_min, mono_t now)
{
	if (!log_allow(&s->limit, per_min, now))
		return false;
	for (unsigned i = 0; i < NODE_SAID; i++) {
		if (s->slot[i].until.us > now.us)
			continue;
		s->slot[i].key = key;
		s->slot[i].until = mono_add_us(now, MINUTE_US);
		break;
	}
	return true;
}

static bool may_tell_attempt(struct node_relation *r, const struct kind *k, const char *why)
{
	uint64_t key = node_said_key(why, (uint32_t)(k - kinds));
	mono_t now = r->node->now.mono;

	return !node_said_lately(&r->attempts, key, now) &&
	       node_may_say(&r->attempts, key, EVENTS_PER_MIN, now);
}

static bool may_tell_kind(struct node_relation *r, const struct kind *k, const char *why)
{
	if (k->bound == OF_LIFE)
		return log_allow(&r->limit_life, LIFE_EVENTS_PER_MIN, r->node->now.mono);
	if (k->bound == OF_ATTEMPTS)
		return may_tell_attempt(r, k, why);
	return log_allow(&r->limit, EVENTS_PER_MIN, r->node->now.mono);
}

/* --- events ----------------------------------------------------------------------------------- */

void node_partner_event(struct node_relation *r, const char *what, const char *why, uint32_t addr,
			uint32_t a, uint32_t b)
{
	const struct kind *k = find_kind(what);
	char about[160], at[32] = "", ip[16], quoted[160];

	if (!may_tell_kind(r, k, why))
		return;
	if (addr)
		snprintf(at, sizeof(at), " address=%s", ctl_addr_text(addr, ip));
	k->describe(r, about, sizeof(about), a, b);
	log_event(level_of(k, why, a, b), what, "relationship=%s%s%s%s%s%s", name_of(r, quoted), at,
		  about, why && *why ? " why=\"" : "", why && *why ? why : "",
		  why && *why ? "\"" : "");
}

/* --- refused updates -------------------------------------------------------------------------- */

static uint64_t told_key(const struct node_relation *r, uint32_t addr, const struct fo_refusal *f)
{
	return (uint64_t)addr << 32 | (uint64_t)(r->index & 0xffff) << 16 |
	       (uint64_t)f->reason << 8 | (f->by_us ? TOLD_BY_US : TOLD_BY_PARTNER);
}

static void client_text(const struct lease_client *c, char *buf, size_t size)
{
	const uint8_t *p = c->id_len ? c->id : c->chaddr;
	unsigned len = c->id_len ? c->id_len : c->hlen <= CHADDR_MAX ? c->hlen : CHADDR_MAX;
	size_t at = 0;

	snprintf(buf, size, "-");
	for (unsigned i = 0; i < len && at + 4 < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%02x", i ? ":" : "", p[i]);
}

/* A range that one of the servers lacks: one event for the scope, since all of its addresses will
 * be refused (decision A16). */
static void tell_range(struct node_relation *r, const struct fo_refusal *f)
{
	const struct scope_table *t = &r->node->conf->scopes;
	const struct scope *s = scope_find(t, f->ours->addr);
	uint32_t net = s ? s->subnet : f->ours->addr & 0xffffff00;
	char ip[16], first[16], quoted[160];

	if (!may_tell(r, told_key(r, net, f), HOUR_US))
		return;
	log_event(LOG_L_WARNING, "range-differs",
		  "relationship=%s scope=%s/%u address=%s reject-reason=1 missing-at=%s "
		  "next=\"%s\"",
		  name_of(r, quoted), ctl_addr_text(net, ip), s ? s->prefix : 24,
		  ctl_addr_text(f->ours->addr, first), f->by_us ? "us" : "partner", f->next);
}

/* Both renewed one client's lease before they heard of each other: nobody loses anything. */
static bool duel_of_one_client(const struct fo_refusal *f)
{
	return f->reason == FO_REJECT_LESS_CRITICAL && !client_key_none(f->ours->key) &&
	       client_key_equal(f->ours->key, f->theirs->key);
}

static void tell_records(struct node_relation *r, const struct fo_refusal *f)
{
	char ip[16], quoted[160], ours[64] = "-", theirs[64] = "-", words[200] = "";
	char o_ends[24], o_cltt[24], t_ends[24], t_cltt[24], name[64];
	struct lease_client c;
	struct lease stored;

	if (!client_key_none(f->ours->key) &&
	    lease_store_get(r->node->store, f->ours->addr, &stored, &c) == 0)
		client_text(&c, ours, sizeof(ours));
	if (f->client)
		client_text(f->client, theirs, sizeof(theirs));
	snprintf(name, sizeof(name), "%s", name_of(r, quoted));
	if (f->words.len)
		log_quote(f->words.p, f->words.len, words, sizeof(words));
	log_event(duel_of_one_client(f) ? LOG_L_INFO : LOG_L_WARNING,
		  f->by_us ? "update-refused" : "update-rejected",
		  "relationship=%s address=%s reject-reason=%u ours=%s,%s,ends=%s,cltt=%s "
		  "theirs=%s,%s,ends=%s,cltt=%s%s%s why=\"%s\" next=\"%s\"",
		  name, ctl_addr_text(f->ours->addr, ip), f->reason,
		  lease_state_name(f->ours->state), ours, time_text(f->ours->expires, o_ends),
		  time_text(f->ours->cltt, o_cltt), lease_state_name(f->theirs->state), theirs,
		  time_text(f->theirs->expires ? f->theirs->expires : f->theirs->rcvd_pet, t_ends),
		  time_text(f->theirs->cltt, t_cltt), *words ? " partner-says=" : "", words,
		  fo_reject_text(f->reason), f->next);
}

void node_partner_refusal(struct node_relation *r, const struct fo_refusal *f)
{
	if (f->reason == FO_REJECT_TIME_MISMATCH) /* one event names both clocks: clock-skew */
		return;
	if (f->reason == FO_REJECT_ILLEGAL_ADDRESS)
		tell_range(r, f);
	else if (may_tell(r, told_key(r, f->ours->addr, f), MINUTE_US))
		tell_records(r, f);
}
