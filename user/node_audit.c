/*
 * The audit log: one line for each lease that a client of ours got, renewed, gave back, declined or
 * let expire, and for each NAK, written when it is on disk. Off unless log.leases is true; then
 * nothing is formatted, and nothing waits.
 *
 * Callers: node_clients (requests), node (expiry; the commit). What the partner did with its
 * clients stands in the partner's log.
 */
#include "node_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_LEN 560 /* a line of the log takes no more */

/* The numbers are those of the audit log of Windows DHCP servers, for what reads both. */
static const struct {
	unsigned id;
	const char *text;
} audit[] = {
	[AUDIT_ASSIGN] = { 10, "assign" },   [AUDIT_RENEW] = { 11, "renew" },
	[AUDIT_RELEASE] = { 12, "release" }, [AUDIT_DECLINE] = { 13, "decline" },
	[AUDIT_NAK] = { 15, "nak" },	     [AUDIT_EXPIRE] = { 17, "expire" },
};

static const char *hex_text(struct octets o, char *buf, size_t size)
{
	size_t at = 0;

	snprintf(buf, size, "-");
	for (size_t i = 0; i < o.len && at + 4 <= size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%02x", i ? ":" : "", o.p[i]);
	return buf;
}

static const char *time_text(uint32_t sec, char buf[24])
{
	time_t t = sec;
	struct tm tm;

	if (!sec || sec == SEC_INFINITE || !gmtime_r(&t, &tm) ||
	    !strftime(buf, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(buf, 24, "%s", sec == SEC_INFINITE ? "never" : "-");
	return buf;
}

struct told { /* of whom; what is empty is not known */
	struct octets host, hardware, id;
	uint32_t relay;
	bool has_xid;
	uint32_t xid;
};

static void say(struct node *n, enum node_audit what, uint32_t addr, uint32_t ends,
		const struct told *t)
{
	char host[100], hw[3 * CHADDR_MAX + 1], id[3 * 64 + 1], ip[16], relay[16], until[24];
	char xid[12] = "-", line[LINE_MAX_LEN];
	size_t len;
	void *p;

	if (t->has_xid)
		snprintf(xid, sizeof(xid), "%" PRIu32, t->xid);
	snprintf(line, sizeof(line),
		 "id=%u text=%s address=%s host=%s hardware-address=%s client-id=%s relay=%s "
		 "transaction=%s ends=%s",
		 audit[what].id, audit[what].text, addr ? ctl_addr_text(addr, ip) : "-",
		 t->host.len ? log_quote(t->host.p, t->host.len, host, sizeof(host)) : "-",
		 hex_text(t->hardware, hw, sizeof(hw)), hex_text(t->id, id, sizeof(id)),
		 t->relay ? ctl_addr_text(t->relay, relay) : "-", xid, time_text(ends, until));
	len = strlen(line) + 1;
	p = outbox_push(&n->outbox, node_wait_for(n), OUT_AUDIT, 0, (uint32_t)len);
	if (p)
		memcpy(p, line, len);
	else
		n->count.audit_lost++;
}

static bool kind_of(const struct server_decision *d, enum node_audit *ret)
{
	if (d->answer && d->reply.type == DHCPNAK)
		*ret = AUDIT_NAK;
	else if (d->reason == SERVER_ACKED_NEW)
		*ret = AUDIT_ASSIGN;
	else if (d->reason == SERVER_ACKED_RENEWED)
		*ret = AUDIT_RENEW;
	else if (d->reason == SERVER_RELEASED)
		*ret = AUDIT_RELEASE;
	else if (d->reason == SERVER_DECLINED)
		*ret = AUDIT_DECLINE;
	else
		return false;
	return true;
}

static uint32_t address_of(const struct dhcp_msg *m, const struct server_decision *d)
{
	if (d->change)
		return d->lease.addr;
	if (d->reply.yiaddr)
		return d->reply.yiaddr;
	return m->ciaddr ? m->ciaddr : dhcp_opt_addr(m, DHO_REQUESTED_ADDRESS);
}

void node_audit_request(struct node *n, const struct dhcp_msg *m, const struct server_decision *d)
{
	struct told t = { .host = dhcp_opt(m, DHO_HOST_NAME),
			  .hardware = dhcp_chaddr(m),
			  .id = dhcp_client_id(m),
			  .relay = m->giaddr,
			  .has_xid = true,
			  .xid = m->xid };
	enum node_audit what;

	if (n->conf->server.log_leases && kind_of(d, &what))
		say(n, what, address_of(m, d), d->change ? d->lease.expires : d->grant.expires, &t);
}

void node_audit_expired(struct node *n, uint32_t addr, uint32_t ended)
{
	struct lease_client c = { 0 };
	struct told t = { 0 };
	struct lease l;

	if (!n->conf->server.log_leases)
		return;
	if (lease_store_get(n->store, addr, &l, &c) == 0)
		t = (struct told){ .host = { c.host_name, c.host_name_len },
				   .hardware = { c.chaddr, c.hlen <= CHADDR_MAX ? c.hlen : 0 },
				   .id = { c.id, c.id_len } };
	say(n, AUDIT_EXPIRE, addr, ended, &t);
}
