/*
 * The table of what is counted of a failover relationship. Callers: ctl/objects (the relationship
 * object), node_api (metrics).
 */
#include "ctl/fo_counters.h"
#include "ctl/control.h"

#include <stdio.h>

static double state(const struct fo_status *s)
{
	return s->record->end.state;
}

static double partner_state(const struct fo_status *s)
{
	return s->record->end.peer;
}

static double connected(const struct fo_status *s)
{
	return s->connected;
}

static double pending(const struct fo_status *s)
{
	return s->pending_updates;
}

static double unacked(const struct fo_status *s)
{
	return s->unacked_updates;
}

static double skew(const struct fo_status *s)
{
	return (double)s->clock_skew_ms / 1000.0;
}

#define GAUGE(name, function, help)                                                                \
	{                                                                                          \
		name, help, true, function, 0                                                      \
	}
#define COUNT(member, name, help) { name, help, false, NULL, offsetof(struct fo_counters, member) },
#define BOTH_WAYS(type, name)                                                                      \
	COUNT(sent[type], name "-sent", "messages of this type sent")                              \
	COUNT(received[type], name "-received", "messages of this type received")
#define MESSAGES(X)                                                                                \
	X(FO_POOLREQ, "poolreq")                                                                   \
	X(FO_POOLRESP, "poolresp")                                                                 \
	X(FO_BNDUPD, "bndupd")                                                                     \
	X(FO_BNDACK, "bndack")                                                                     \
	X(FO_CONNECT, "connect")                                                                   \
	X(FO_CONNECTACK, "connectack")                                                             \
	X(FO_UPDREQALL, "updreqall")                                                               \
	X(FO_UPDDONE, "upddone")                                                                   \
	X(FO_UPDREQ, "updreq")                                                                     \
	X(FO_STATE, "state")                                                                       \
	X(FO_CONTACT, "contact")                                                                   \
	X(FO_DISCONNECT, "disconnect")

const struct ctl_fo_counter ctl_fo_counters[] = {
	GAUGE("state", state, "state number of the draft"),
	GAUGE("partner-state", partner_state, "the partner's, as it said last; 0 never heard"),
	GAUGE("connected", connected, "1: the partner is linked"),
	GAUGE("clock-skew-seconds", skew, "partner's clock minus ours"),
	GAUGE("pending-updates", pending, "bindings that the partner has yet to acknowledge"),
	GAUGE("unacked-updates", unacked, "of these: sent"),
	/* clang-format off */
	FO_COUNTERS(COUNT)
	MESSAGES(BOTH_WAYS)
	/* clang-format on */
};

/* Every message type is there, and as many relationships as the maps of the filter take fit into an
 * answer, with room for what is counted of the server. */
#define ONE(type, name) +1
_Static_assert(MESSAGES(ONE) == FO_MESSAGE_TYPES - 1, "a message type is not counted");
_Static_assert(sizeof(ctl_fo_counters) / sizeof(ctl_fo_counters[0]) * TL_MAX_RELATIONS + 1024 <=
		       CTL_METRICS_MAX,
	       "metrics of all relationships fit");

const unsigned ctl_n_fo_counters = sizeof(ctl_fo_counters) / sizeof(ctl_fo_counters[0]);

double ctl_fo_value(const struct ctl_fo_counter *c, const struct fo_status *s)
{
	if (c->value)
		return c->value(s);
	return (double)*(const uint64_t *)(const void *)((const char *)s->counters + c->at);
}

const char *ctl_fo_metric(const struct ctl_fo_counter *c)
{
	static char names[sizeof(ctl_fo_counters) / sizeof(ctl_fo_counters[0])][80];
	char *buf = names[c - ctl_fo_counters];

	if (buf[0])
		return buf;
	snprintf(buf, 80, "twinlease_failover_%s%s", c->name, c->gauge ? "" : "_total");
	for (char *p = buf; *p; p++)
		if (*p == '-')
			*p = '_';
	return buf;
}
