#pragma once
/*
 * Digests of what explore_world.h holds: all that matters for what can happen next (explore.c says
 * what is taken to be the same), and the kind of situation. Included by explore.c alone.
 */
#include "explore_client.h"
#include "explore_set.h"

static uint64_t digest_at(uint64_t h, int64_t at)
{
	int64_t d = at - BASE - w.sec;

	if (!at || at >= SEC_MAX)
		return seen_mix(h, at ? 1 : 2);
	return seen_mix(h, (uint64_t)(d < -MCLT_SEC ? -MCLT_SEC - 1 : d) + 1000);
}

static uint64_t digest_past(uint64_t h, int64_t at) /* of which only the future counts */
{
	return digest_at(h, at && at < BASE + w.sec ? BASE + w.sec - 1 : at);
}

static uint64_t digest_timer(uint64_t h, mono_t t)
{
	return digest_past(h, t.us == MONO_NEVER.us ? 0 : BASE + sec_of(t));
}

static uint32_t least_serial(unsigned at)
{
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		if (n->disk.l[at].serial < least)
			least = n->disk.l[at].serial;
		if (n->soft.l[at].serial < least)
			least = n->soft.l[at].serial;
	}
	return least;
}

static uint64_t digest_lease(uint64_t h, const struct lease *l, uint32_t least)
{
	h = seen_mix(h, (uint64_t)l->state << 24 | (uint64_t)l->acked_state << 16 | l->flags);
	h = seen_mix(h, l->serial - least);
	h = seen_mix(h, l->key.w[0]);
	h = digest_at(h, l->expires);
	h = digest_at(h, l->sent_pet);
	h = digest_at(h, l->acked_pet);
	h = digest_at(h, l->rcvd_pet);
	return digest_past(h, l->starts);
}

static uint64_t digest_record(uint64_t h, const struct fo_record *r)
{
	const struct fo_end *e = &r->end;

	h = seen_mix(h, (uint64_t)e->state << 24 | (uint64_t)e->saved << 16 | e->peer);
	h = seen_mix(h, (uint64_t)e->ever_normal << 2 | (uint64_t)e->lost_storage << 1 |
				(uint64_t)e->owes_all);
	h = digest_at(h, e->stos);
	h = digest_at(h, e->last_operational);
	h = seen_mix(h, e->peer_stos > e->last_operational);
	return seen_mix(h, r->incarnation[0]);
}

static uint64_t digest_disk(uint64_t h, const struct disk *d)
{
	for (unsigned a = 0; a < setup.n_addr; a++) {
		h = seen_mix(h, (uint64_t)d->has[a] << 8 | d->client[a]);
		if (d->has[a])
			h = digest_lease(h, &d->l[a], least_serial(a));
	}
	return digest_record(h, &d->rec);
}

static uint64_t flight_of(unsigned i, uint32_t xid) /* what an xid stands for */
{
	for (uint32_t k = 0; k < ep[i]->max_flights; k++)
		if (ep[i]->flights[k].xid == xid)
			return k + 1;
	return ep[i]->asked_xid == xid ? 100 : 101;
}

/* A message on its way from @from: what it means, not what it says. */
static uint64_t digest_message(uint64_t h, const uint8_t *msg, size_t len, unsigned from)
{
	static struct fo_msg m;
	struct fo_binding b;
	struct fo_state_msg s;
	unsigned cursor = 0;
	bool reply = msg[2] == FO_BNDACK || msg[2] == FO_UPDDONE;

	if (!len || fo_msg_decode(msg, len, &m) != FO_OK)
		return seen_mix(h, 1);
	h = seen_mix(h, m.type);
	h = seen_mix(h, flight_of(reply ? !from : from, m.xid));
	if (m.type == FO_STATE && fo_msg_read_state(&m, &s))
		h = digest_at(seen_mix(h, (uint64_t)s.state << 1 | s.startup), s.stos);
	while ((m.type == FO_BNDUPD || m.type == FO_BNDACK) &&
	       fo_msg_next_binding(&m, &cursor, &b)) {
		h = seen_mix(h, (uint64_t)b.addr << 16 | (uint64_t)b.status << 8 | b.reject);
		h = seen_mix(h, b.serial - least_serial(b.addr - FIRST));
		h = digest_at(digest_at(h, b.expires), b.pet);
		h = seen_mix(h, b.chaddr.len ? b.chaddr.p[6] : 0);
	}
	return h;
}

static uint64_t digest_wire(uint64_t h, unsigned i)
{
	const struct node *n = &w.n[i];

	for (uint16_t at = 0; at < n->wire_len;) {
		size_t len = (size_t)n->wire[at] << 8 | n->wire[at + 1];

		h = digest_message(h, n->wire + at, len, !i);
		at = (uint16_t)(at + (len ? len : 2));
	}
	return h;
}

static uint64_t digest_view(uint64_t h, const struct fo_view *v)
{
	h = seen_mix(h, (uint64_t)v->policy.serve << 8 | (uint64_t)v->serve_new << 4 |
				(uint64_t)v->serve_renew << 3 | (uint64_t)v->hold << 2 |
				(uint64_t)v->balanced << 1 | (uint64_t)v->partner_down);
	return digest_at(h, v->partner_pool_from);
}

static uint64_t digest_out(uint64_t h, unsigned i)
{
	const struct node *n = &w.n[i];
	struct out_ack a;
	struct fo_view v;
	struct out o;

	for (uint16_t at = 0; at < n->out_len; at = (uint16_t)(at + sizeof(o) + o.len)) {
		const uint8_t *p = n->out + at + sizeof(o);

		memcpy(&o, n->out + at, sizeof(o));
		h = seen_mix(h, o.kind);
		if (o.kind == OUT_MESSAGE) {
			h = digest_message(h, p, o.len, i);
		} else if (o.kind == OUT_VIEW) {
			memcpy(&v, p, sizeof(v));
			h = digest_view(h, &v);
		} else if (o.kind == OUT_ACK) {
			memcpy(&a, p, sizeof(a));
			h = digest_at(seen_mix(h, a.addr << 4 | a.client), a.expires);
			h = seen_mix(h, a.released == w.released[a.client]);
		}
	}
	return h;
}

static uint64_t digest_flights(uint64_t h, const struct fo_endpoint *e)
{
	for (uint32_t k = 0; k < e->max_flights; k++) {
		const struct fo_flight *f = &e->flights[k];

		h = seen_mix(h, f->xid ? f->n + 1u : 0);
		for (unsigned b = 0; f->xid && b < f->n; b++) {
			h = seen_mix(h, (uint64_t)f->b[b].addr << 16 |
						(uint64_t)f->b[b].state << 8 | f->b[b].open);
			h = seen_mix(h, f->b[b].serial - least_serial(f->b[b].addr - FIRST));
		}
		h = seen_mix(h, f->xid && f->dump);
	}
	return h;
}

static uint64_t digest_endpoint(uint64_t h, unsigned i)
{
	const struct fo_endpoint *e = ep[i];

	h = digest_record(h, &e->rec);
	h = seen_mix(h, (uint64_t)e->link << 13 | (uint64_t)e->peer_lost << 12 |
				(uint64_t)e->new_pair << 11 |
				(uint64_t)e->heard << 10 | (uint64_t)e->heard_since_start << 9 |
				(uint64_t)e->hold << 8 | (uint64_t)e->tell_lost << 7 |
				(uint64_t)e->more_to_move << 6 | (uint64_t)e->dump.active << 5 |
				(uint64_t)e->dump.all << 4 | (uint64_t)(e->asked_xid != 0) << 3);
	h = seen_mix(h, e->dump.cursor);
	h = seen_mix(h, (uint64_t)e->n_flights << 32 | e->rejected);
	h = seen_mix(h, e->n_acks);
	h = digest_timer(digest_timer(h, e->startup_at), e->ack_at);
	h = digest_timer(digest_timer(h, e->retry_at), e->handshake_at);
	h = digest_past(digest_past(h, e->recover_until), e->hold_until);
	return digest_flights(h, e);
}

static uint64_t digest_pool(uint64_t h, unsigned i)
{
	for (unsigned a = 0; a < setup.n_addr; a++) {
		const struct row *r = &pools[i]->rows[a + 1];
		uint32_t place = pools[i]->heap_place[a + 1];

		h = seen_mix(h, r->flags);
		if (!(r->flags & ROW_RECORD))
			continue;
		h = digest_lease(h, &r->l, least_serial(a));
		h = digest_past(h, place ? pools[i]->heap[place].at : 0);
	}
	return h;
}

static uint64_t digest(bool with_budget)
{
	uint64_t h = 88172645463325252ULL;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		h = seen_mix(h, (uint64_t)n->up << 2 | (uint64_t)n->conn << 1 | n->waiting);
		h = digest_disk(h, &n->disk);
		if (n->waiting)
			h = digest_disk(h, &n->soft);
		if (n->up)
			h = digest_pool(digest_endpoint(h, i), i);
		h = digest_view(digest_out(digest_wire(h, i), i), &n->view);
	}
	for (unsigned c = 1; c <= setup.n_clients; c++)
		h = digest_at(seen_mix(h, w.addr[c] << 2 | w.asked[c]), w.until[c]);
	if (!with_budget)
		return h;
	for (unsigned a = 0; a < setup.n_addr; a++)
		h = digest_at(seen_mix(h, w.promise[a].client), w.promise[a].until);
	return seen_mix(h, (uint64_t)w.lost << 1 | w.down_declared);
}

/* What kind of situation it is: the states of both, the link, who holds which address by either
 * disk, and who was promised it. */
static uint64_t digest_kind(void)
{
	uint64_t h = 2463534242ULL;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		h = seen_mix(h, (uint64_t)state_of(i) << 8 | (uint64_t)n->conn << 1 | n->up);
		for (unsigned a = 0; a < setup.n_addr; a++)
			h = seen_mix(h, (uint64_t)n->disk.client[a] << 16 |
						(uint64_t)n->disk.l[a].state << 8 |
						(n->disk.l[a].flags & LEASE_DIRTY));
	}
	for (unsigned a = 0; a < setup.n_addr; a++)
		h = seen_mix(h, w.promise[a].client);
	return seen_mix(h, w.lost);
}
