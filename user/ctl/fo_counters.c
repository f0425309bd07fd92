/*
 * The table of what is counted of a failover relationship. Callers: ctl/objects (the relationship
 * object), node_api (metrics).
 */
#include "ctl/fo_counters.h"

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
	return s->clock_skew_ms / 1000.0;
}

#define GAUGE(name, function, help)                                                                \
	{                                                                                          \
		name, help, true, function, 0                                                      \
	}
#define COUNT(name, member, help)                                                                  \
	{                                                                                          \
		name, help, false, NULL, offsetof(struct fo_counters, member)                      \
	}

/* clang-format off */
const struct ctl_fo_counter ctl_fo_counters[] = {
	GAUGE("state", state, "state number of the draft"),
	GAUGE("partner-state", partner_state, "the partner's, as it said last; 0 never heard"),
	GAUGE("connected", connected, "1: the partner is linked"),
	GAUGE("clock-skew-seconds", skew, "partner's clock minus ours"),
	GAUGE("pending-updates", pending, "bindings that the partner has yet to acknowledge"),
	GAUGE("unacked-updates", unacked, "of these: sent"),
	COUNT("updates-sent", updates_sent, "bindings sent"),
	COUNT("updates-acked", updates_acked, "bindings sent that the partner accepted"),
	COUNT("updates-rejected-by-partner", updates_rejected_by_partner, "bindings sent that it rejected"),
	COUNT("updates-dropped", updates_dropped, "bindings sent whose answer was lost with the link; sent again"),
	COUNT("updates-received", updates_received, "bindings received"),
	COUNT("updates-accepted", updates_accepted, "bindings received and accepted"),
	COUNT("updates-rejected", updates_rejected, "bindings rejected here"),
	COUNT("bndupd-sent", sent[FO_BNDUPD], "messages with binding updates sent"),
	COUNT("bndupd-received", received[FO_BNDUPD], "messages with binding updates received"),
	COUNT("bndack-sent", sent[FO_BNDACK], "messages with acknowledgements sent"),
	COUNT("bndack-received", received[FO_BNDACK], "messages with acknowledgements received"),
	COUNT("contact-sent", sent[FO_CONTACT], "CONTACT messages sent"),
	COUNT("contact-received", received[FO_CONTACT], "CONTACT messages received"),
	COUNT("poolreq-sent", sent[FO_POOLREQ], "requests for addresses sent"),
	COUNT("poolreq-received", received[FO_POOLREQ], "requests for addresses received"),
	COUNT("addresses-given", addresses_given, "free addresses moved to the partner"),
	COUNT("addresses-taken", addresses_taken, "free addresses taken back"),
	COUNT("links", links, "connections that were completed"),
	COUNT("links-lost", links_lost, "connections that ended"),
	COUNT("state-changes", state_changes, "changes of our state"),
	COUNT("into-communications-interrupted", into_comm_int, "entries into COMMUNICATIONS-INTERRUPTED"),
	COUNT("into-partner-down", into_partner_down, "entries into PARTNER-DOWN"),
	COUNT("into-recover", into_recover, "entries into RECOVER"),
	COUNT("digest-missing", digest_missing, "connections refused: a message without a digest"),
	COUNT("digest-wrong", digest_wrong, "connections refused: a digest of another secret"),
	COUNT("digest-replayed", digest_replayed, "connections refused: a message of former times"),
	COUNT("digest-unexpected", digest_unexpected, "connections refused: a digest, and no secret here"),
	COUNT("tls-failed", tls_failed, "connections refused: no TLS, or not with this partner"),
	COUNT("malformed-messages", garbage, "messages of the partner that do not decode"),
};
/* clang-format on */

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
