/*
 * The clients' side of the node: a batch of datagrams in, one decision each, leases into the
 * store, replies out after the commit. OFFERs and answers to INFORM promise nothing and leave
 * with the turn.
 */
#include "node_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct fo_view *node_view(const struct node *n, const struct scope *s)
{
	return s && s->relation >= 0 ? &n->views[s->relation] : &fo_view_alone;
}

/* --- replies
 * ---------------------------------------------------------------------------------------- */

/* What leaves of a reply that has waited for the disk: after too long nothing, since the client has
 * asked again (RFC 2131 §4.1), and is answered as well; @buf has room for it. */
static const uint8_t *in_time(int64_t waited_us, const uint8_t *reply, size_t len, uint8_t *buf)
{
	if (waited_us < 1000000)
		return reply;
	if (waited_us > NODE_LATE_US)
		return NULL;
	memcpy(buf, reply, len);
	return dhcp_reply_shorten(buf, len, (uint32_t)((waited_us + 999999) / 1000000)) ? buf : NULL;
}

void node_send_reply(struct node *n, const void *payload, uint32_t len)
{
	uint8_t buf[DHCP_IO_PAYLOAD_MAX];
	const uint8_t *reply;
	struct out_reply head;

	memcpy(&head, payload, sizeof(head));
	if (len < sizeof(head) + head.len || head.len > sizeof(buf))
		return;
	reply = in_time(n->now.mono.us - head.decided.us, (const uint8_t *)payload + sizeof(head),
			head.len, buf);
	if (!reply) {
		n->count.late++;
		return;
	}
	dhcp_io_send(n->io, &head.dest, reply, head.len);
	n->count.replies++;
}

static bool waits_for_disk(const struct server_decision *d)
{
	return d->change || d->reply.type == DHCPNAK ||
	       (d->reply.type == DHCPACK && d->reply.yiaddr);
}

static void reply(struct node *n, const struct dhcp_datagram *in, const struct dhcp_msg *m,
		  const struct server_decision *d)
{
	uint8_t buf[DHCP_IO_PAYLOAD_MAX];
	struct out_reply head = { .decided = n->now.mono };
	size_t mtu = dhcp_io_payload_max(n->io, in->iface);
	uint8_t *p;

	head.len = (uint32_t)dhcp_reply_encode(m, &d->reply, buf, sizeof(buf), mtu);
	if (!head.len) {
		n->count.reasons[SERVER_NO_ROOM]++;
		return;
	}
	head.dest = dhcp_io_dest_for(in, m, &d->reply);
	if (!waits_for_disk(d)) {
		dhcp_io_send(n->io, &head.dest, buf, head.len);
		n->count.replies++;
		return;
	}
	p = outbox_push(&n->outbox, node_wait_for(n), OUT_REPLY, 0,
			(uint32_t)sizeof(head) + head.len);
	if (!p) {
		n->count.outbox_full++;
		return; /* the client asks again */
	}
	n->commit.awaited = true;
	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), buf, head.len);
}

/* --- requests
 * --------------------------------------------------------------------------------------- */

/* The address of ours that stands for the interface: one inside of a scope, for clients without a
 * relay; else the first. */
static uint32_t interface_address(const struct node *n, unsigned iface, const struct dhcp_msg *m)
{
	enum subnet_by by;
	uint32_t hint = dhcp_subnet_hint(m, &by);
	const struct scope *s = hint ? scope_find(&n->conf->scopes, hint) : NULL;
	uint32_t addr, first = 0;

	for (unsigned i = 0; (addr = dhcp_io_address(n->io, iface, i)); i++) {
		const struct scope *mine = scope_find(&n->conf->scopes, addr);

		if (s ? mine == s : mine != NULL)
			return addr;
		if (!first)
			first = addr;
	}
	return first;
}

static int store_change(struct node *n, const struct server_decision *d)
{
	int r = node_put(n, &d->lease, d->change_client ? &d->client : NULL);

	if (r < 0)
		return r;
	(void)pool_apply(n->pool, &d->lease, lease_store_batch(n->store));
	node_touch(n, d->scope);
	return 0;
}

/* A client renews an address that is free by our records. */
static bool renews_free(const struct node *n, const struct dhcp_msg *m)
{
	const struct lease *l = m->type == DHCPREQUEST ? pool_get(n->pool, m->ciaddr) : NULL;

	return l && lease_is_free(l);
}

/* Another server was chosen, or gave what would be ours to give: if it is the partner, the partner
 * lives (decision A8). */
static void partner_sign(struct node *n, const struct dhcp_msg *m, const struct server_decision *d)
{
	struct fo_endpoint *e;

	if (!d->scope || d->scope->relation < 0 ||
	    !(d->reason == SERVER_OTHER_SERVER ||
	      (d->reason == SERVER_ON_HOLD && renews_free(n, m))))
		return;
	e = node_endpoint(n, (unsigned)d->scope->relation);
	if (e)
		fo_endpoint_partner_sign(e, &n->now);
}

/* A lease of this client outside of every range: the range was taken away since. No NAK, which
 * would end it at once: it runs out, and the client comes for another. */
static bool runs_out(struct node *n, const struct server_request *req)
{
	uint32_t addr = req->msg->ciaddr ? req->msg->ciaddr
					 : dhcp_opt_addr(req->msg, DHO_REQUESTED_ADDRESS);
	struct lease_client c;
	struct lease l;

	return !pool_get(n->pool, addr) && lease_store_get(n->store, addr, &l, &c) == 0 &&
	       l.state == LEASE_ACTIVE && l.expires > n->now.wall.sec &&
	       client_key_equal(lease_client_key(&n->hash, &c), req->key);
}

void node_hear(struct node *n, const struct dhcp_datagram *in)
{
	struct server_decision d;
	struct server_request req;
	struct dhcp_msg m;
	enum dhcp_verdict v;

	v = dhcp_msg_decode(in->payload, in->len, &m);
	if (v != DHCP_OK) {
		n->count.malformed[v]++;
		return;
	}
	req = (struct server_request){
		.msg = &m,
		.iface_addr = interface_address(n, in->iface, &m),
		.dest_addr = in->dest,
		.key = client_key(&n->hash, dhcp_client_id(&m), m.htype, dhcp_chaddr(&m)),
	};
	server_decide(&n->server, &req, &n->now, &d);
	if (d.reason == SERVER_NAK_UNKNOWN && runs_out(n, &req)) {
		d.reason = SERVER_NO_LEASE;
		d.answer = false;
	}
	n->count.reasons[d.reason]++;
	partner_sign(n, &m, &d);
	if (d.change && store_change(n, &d) < 0)
		return;
	if (d.answer)
		reply(n, in, &m, &d);
	node_audit_request(n, &m, &d);
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

int node_clients_open(struct node *n, char err[256])
{
	struct dhcp_io_conf c = { .interfaces = n->conf->server.interfaces,
				  .n_interfaces = n->conf->server.n_interfaces };

	return dhcp_io_open(&c, &n->io, err);
}

/* The interface's address says which scope its clients are in. Writing that forgets where the
 * partner has no address left: it is told again with the turn. */
static void tell_filter(struct node *n)
{
	(void)datapath_set_local(n->dp);
	(void)datapath_set_scopes(n->dp, &n->conf->scopes);
	for (uint32_t i = 0; i < n->conf->scopes.n_scopes; i++) {
		n->scopes[i].partner_empty = false;
		node_touch_scope(n, &n->conf->scopes.scopes[i]);
	}
}

void node_clients_refresh(struct node *n)
{
	bool changed = dhcp_io_rescan(n->io);

	node_watch_interfaces(n); /* also when one cannot be heard for the first time */
	if (!changed)
		return;
	(void)node_sockets_start(n);
	if (n->dp)
		tell_filter(n);
}

void node_clients_close(struct node *n)
{
	node_sockets_forget(n);
	dhcp_io_close(n->io);
	n->io = NULL;
}
