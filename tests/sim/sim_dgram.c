/*
 * Datagrams between clients and servers: lost, late, twice, out of order; and what a server does
 * with a batch of them, as user/node_clients.c.
 */
#include "sim.h"

#define BATCH 64
#define STALE_US (2 * SEC)
#define QUEUE_MAX 256 /* a socket's buffer */

/* --- on the way ----------------------------------------------------------------------------------
 */

static int64_t delay(struct world *w)
{
	int64_t us = 100 + below(w, (uint32_t)w->t.delay_max);

	if (w->t.spike_max && below(w, 50) == 0)
		us += below(w, (uint32_t)w->t.spike_max);
	return us;
}

static bool is_lost(struct world *w, unsigned path, unsigned server)
{
	return w->path_cut[path][server] || chance(w, w->t.loss) ||
	       (w->storm && chance(w, w->storm));
}

static int32_t new_request(struct world *w)
{
	int32_t id;

	if (w->free_request < 0) {
		uint32_t was = w->n_requests, n = was ? was * 2 : 256;

		w->requests = realloc(w->requests, n * sizeof(*w->requests));
		if (!w->requests)
			abort();
		w->n_requests = n;
		for (uint32_t i = n; i-- > was;) {
			w->requests[i].next = w->free_request;
			w->free_request = (int32_t)i;
		}
	}
	id = w->free_request;
	w->free_request = w->requests[id].next;
	return id;
}

static void free_request(struct world *w, int32_t id)
{
	w->requests[id].next = w->free_request;
	w->free_request = id;
}

void dgram_request(struct world *w, const struct request *r)
{
	unsigned copies = w->t.dup && chance(w, w->t.dup) ? 2 : 1;

	TRACE(w, r->ciaddr ? r->ciaddr : r->requested, r->client,
	      "client %u -> %c %s xid %x asks %08x server %08x secs %u", r->client, "PS"[r->server],
	      dhcp_type_name(r->type), r -> xid, r -> ciaddr ? r -> ciaddr : r -> requested,
	      r -> server_id, r -> secs);
	while (copies--) {
		int32_t id;

		if (is_lost(w, r->path, r->server))
			continue;
		id = new_request(w);
		w->requests[id] = *r;
		at(w, w->us + delay(w), EV_REQUEST, r->server, (uint32_t)id);
	}
}

void dgram_arrive(struct world *w, uint32_t id)
{
	struct request *r = &w->requests[id];
	struct server *s = &w->s[r->server];

	if (!s->up || s->n_dgrams >= QUEUE_MAX) {
		free_request(w, (int32_t)id);
		return;
	}
	r->arrived = w->us;
	r->next = -1;
	if (s->dgrams.first < 0)
		s->dgrams.first = (int32_t)id;
	else
		w->requests[s->dgrams.last].next = (int32_t)id;
	s->dgrams.last = (int32_t)id;
	s->n_dgrams++;
	server_wake(w, s, w->us + below(w, 200));
}

static int32_t take(struct world *w, struct server *s)
{
	int32_t id = s->dgrams.first;

	s->dgrams.first = w->requests[id].next;
	s->n_dgrams--;
	return id;
}

void dgram_forget(struct world *w, struct server *s)
{
	while (s->dgrams.first >= 0)
		free_request(w, take(w, s));
}

/* --- what the server makes of it ----------------------------------------------------------------
 */

static void add(struct dhcp_msg *m, uint8_t code, const void *p, unsigned len)
{
	m->opt[code].off = ++m->n_data;
	m->opt[code].len = (uint16_t)len;
	memcpy(m->data + m->n_data, p, len);
	m->n_data = (uint16_t)(m->n_data + len - 1);
}

static void add_u32(struct dhcp_msg *m, uint8_t code, uint32_t v)
{
	uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	if (v)
		add(m, code, be, 4);
}

static void to_message(const struct world *w, const struct request *r, struct dhcp_msg *m)
{
	const struct small_client *who = &w->c[r->client].who;

	memset(m, 0, offsetof(struct dhcp_msg, data));
	m->op = 1;
	m->htype = who->htype;
	m->hlen = who->hlen;
	memcpy(m->chaddr, who->chaddr, sizeof(who->chaddr));
	m->type = r->type;
	m->secs = r->secs;
	m->xid = r->xid;
	m->ciaddr = r->ciaddr;
	m->giaddr = r->giaddr;
	add(m, DHO_MESSAGE_TYPE, &r->type, 1);
	if (r->with_id)
		add(m, DHO_CLIENT_ID, who->id, who->id_len);
	add_u32(m, DHO_REQUESTED_ADDRESS, r->requested);
	add_u32(m, DHO_SERVER_ID, r->server_id);
	add_u32(m, DHO_LEASE_TIME, r->wish);
}

static bool waits_for_disk(const struct server_decision *d)
{
	return d->change || d->reply.type == DHCPNAK ||
	       (d->reply.type == DHCPACK && d->reply.yiaddr);
}

static void answer(struct world *w, struct server *s, const struct request *r,
		   const struct lease *before, const struct server_decision *d)
{
	struct out_reply o = {
		.r = { .client = r->client,
		       .server = (uint16_t)s->i,
		       .type = d->reply.type,
		       .xid = r->xid,
		       .yiaddr = d->reply.yiaddr,
		       .server_id = d->reply.server_id,
		       .lease = d->reply.lease,
		       .renew = d->reply.renew,
		       .rebind = d->reply.rebind,
		       .asked = r->ciaddr ? r->ciaddr : r->requested },
		.lease = d->lease,
		.before = *before,
		.recorded = d->change,
		.reason = d->reason,
		.decided = s->now,
	};
	struct out_reply *p;

	if (!waits_for_disk(d)) {
		check_reply(w, s, &o);
		dgram_reply(w, s, &o.r);
		return;
	}
	p = outbox_push(&s->outbox, server_wait_for(s), OUT_REPLY, 0, sizeof(*p));
	if (p)
		memcpy(p, &o, sizeof(o));
}

static bool renews_free(const struct server *s, const struct dhcp_msg *m)
{
	const struct lease *l = m->type == DHCPREQUEST ? pool_get(s->pool, m->ciaddr) : NULL;

	return l && lease_is_free(l);
}

static void partner_sign(struct server *s, const struct dhcp_msg *m,
			 const struct server_decision *d)
{
	if (s->ep && (d->reason == SERVER_OTHER_SERVER ||
		      (d->reason == SERVER_ON_HOLD && renews_free(s, m))))
		fo_endpoint_partner_sign(s->ep, &s->now);
}

static void hear(struct world *w, struct server *s, const struct request *r)
{
	static struct dhcp_msg m;
	static struct server_decision d;
	struct lease before = { 0 };
	struct server_request req;

	if (w->us - r->arrived > STALE_US)
		return;
	to_message(w, r, &m);
	req = (struct server_request){
		.msg = &m,
		.iface_addr = s->addr,
		.dest_addr = r->dest,
		.key = client_key(&s->hash, dhcp_client_id(&m), m.htype, dhcp_chaddr(&m)),
	};
	server_decide(&s->ctx, &req, &s->now, &d);
	cover_reason(w, d.reason);
	TRACE(w,
	      d.answer	  ? d.reply.yiaddr
	      : r->ciaddr ? r->ciaddr
			  : r->requested,
	      r->client, "%c %s of client %u: %s %08x for %u s", "PS"[s->i],
	      dhcp_type_name(r->type), r -> client, server_reason_name(d.reason),
	      d.answer ? d.reply.yiaddr : 0, d.answer ? d.reply.lease : 0);
	partner_sign(s, &m, &d);
	if (d.change) {
		before = *pool_get(s->pool, d.lease.addr);
		check_decided(w, s, &before, &d.lease);
		disk_put(s, &d.lease, d.change_client ? &d.client : NULL);
		(void)pool_apply(s->pool, &d.lease, s->open_no);
		s->touched = true;
		TRACE(w, d.lease.addr, -1,
		      "%c record: %s serial %u ends %+d sent %+d acked %+d rcvd %+d", "PS"[s->i],
		      lease_state_name(d.lease.state), d.lease.serial,
		      (int)(d.lease.expires - true_sec(w)), (int)(d.lease.sent_pet - true_sec(w)),
		      (int)(d.lease.acked_pet - true_sec(w)),
		      (int)(d.lease.rcvd_pet - true_sec(w)));
	}
	if (d.answer)
		answer(w, s, r, &before, &d);
}

void dgram_hear(struct world *w, struct server *s)
{
	for (unsigned n = 0; n < BATCH && s->dgrams.first >= 0; n++) {
		int32_t id = take(w, s);
		struct request r = w->requests[id];

		free_request(w, id);
		if (s->serving)
			hear(w, s, &r);
	}
}

/* --- and back
 * -------------------------------------------------------------------------------------- */

static int32_t new_reply(struct world *w)
{
	int32_t id;

	if (w->free_reply < 0) {
		uint32_t was = w->n_replies, n = was ? was * 2 : 256;

		w->replies = realloc(w->replies, n * sizeof(*w->replies));
		if (!w->replies)
			abort();
		w->n_replies = n;
		for (uint32_t i = n; i-- > was;) {
			w->replies[i].next = w->free_reply;
			w->free_reply = (int32_t)i;
		}
	}
	id = w->free_reply;
	w->free_reply = w->replies[id].next;
	return id;
}

void dgram_reply(struct world *w, struct server *s, const struct reply *r)
{
	unsigned copies = w->t.dup && chance(w, w->t.dup) ? 2 : 1;

	while (copies--) {
		int32_t id;

		if (is_lost(w, w->c[r->client].path, s->i))
			continue;
		id = new_reply(w);
		w->replies[id] = *r;
		at(w, w->us + delay(w), EV_REPLY, r->client, (uint32_t)id);
	}
}

void dgram_answer(struct world *w, uint32_t id)
{
	struct reply r = w->replies[id];

	w->replies[id].next = w->free_reply;
	w->free_reply = (int32_t)id;
	client_hear(w, &w->c[r.client], &r);
}
