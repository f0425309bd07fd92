/*
 * Events of a failover relationship in the words of an operator: names of states instead of
 * numbers, and a bound on what updates by the thousand can write.
 */
#include "node_priv.h"

#include <stdio.h>
#include <string.h>

#define UPDATE_EVENTS_PER_MIN 60

typedef void describe_fn(char *buf, size_t size, uint32_t a, uint32_t b);

static void nothing(char *buf, size_t size, uint32_t a, uint32_t b)
{
	(void)a;
	(void)b;
	(void)size;
	buf[0] = 0;
}

static void states(char *buf, size_t size, uint32_t a, uint32_t b)
{
	snprintf(buf, size, " from=%s to=%s", fo_state_name(a), fo_state_name(b));
}

static void link_terms(char *buf, size_t size, uint32_t a, uint32_t b)
{
	snprintf(buf, size, " max-unacked=%u receive-timer=%us", a, b);
}

static void close_reason(char *buf, size_t size, uint32_t a, uint32_t b)
{
	static const char *const names[] = {
		[FO_CLOSE_PEER] = "closed-by-partner",	[FO_CLOSE_SILENT] = "partner-is-silent",
		[FO_CLOSE_PROTOCOL] = "protocol-error", [FO_CLOSE_REJECTED] = "rejected",
		[FO_CLOSE_DUPLICATE] = "duplicate",	[FO_CLOSE_STATE] = "closed-by-us",
		[FO_CLOSE_STUCK] = "no-progress"
	};

	(void)b;
	snprintf(buf, size, " reason=%s",
		 a < sizeof(names) / sizeof(names[0]) ? names[a] : "unknown");
}

static void update(char *buf, size_t size, uint32_t a, uint32_t b)
{
	snprintf(buf, size, " reject-reason=%u binding=%s", a, lease_state_name(b));
}

static void lead_time(char *buf, size_t size, uint32_t a, uint32_t b)
{
	snprintf(buf, size, " max-client-lead-time=%us configured=%us", a, b);
}

static void skew(char *buf, size_t size, uint32_t a, uint32_t b)
{
	snprintf(buf, size, " skew=%ds limit=%us", (int32_t)a, b);
}

static const struct kind {
	const char *what;
	enum log_level level;
	describe_fn *describe;
	bool limited;
} kinds[] = {
	{ "state", LOG_L_INFO, states, false },
	{ "link-up", LOG_L_INFO, link_terms, false },
	{ "link-lost", LOG_L_WARNING, close_reason, false },
	{ "update-refused", LOG_L_WARNING, update, true },
	{ "update-rejected", LOG_L_WARNING, update, true },
	{ "update-unsendable", LOG_L_ERROR, nothing, true },
	{ "config-differs", LOG_L_WARNING, lead_time, false },
	{ "storage-lost", LOG_L_WARNING, nothing, false },
	{ "clock-skew", LOG_L_WARNING, skew, false },
	{ "connect-refused", LOG_L_WARNING, nothing, true },
	{ "connect-rejected", LOG_L_WARNING, nothing, true },
	{ "garbage", LOG_L_WARNING, nothing, true },
};

static const struct kind *find_kind(const char *what)
{
	static const struct kind other = { "", LOG_L_INFO, nothing, true };

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].what, what))
			return &kinds[i];
	return &other;
}

void node_partner_event(struct node_relation *r, const char *what, const char *why, uint32_t addr,
			uint32_t a, uint32_t b)
{
	const struct kind *k = find_kind(what);
	const char *name = r->node->conf->relations[r->index].fo.name;
	char about[128], at[32] = "", ip[16], quoted[160];

	if (k->limited && !log_allow(&r->limit, UPDATE_EVENTS_PER_MIN, r->node->now.mono))
		return;
	if (addr)
		snprintf(at, sizeof(at), " address=%s", ctl_addr_text(addr, ip));
	k->describe(about, sizeof(about), a, b);
	log_event(k->level, what, "relationship=%s%s%s%s%s%s",
		  log_quote(name, strlen(name), quoted, sizeof(quoted)), at, about,
		  why && *why ? " why=\"" : "", why && *why ? why : "", why && *why ? "\"" : "");
}
