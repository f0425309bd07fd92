/*
 * Invariants, looked at whenever something leaves a server or reaches its disk:
 *
 *   - an address is promised to one client at a time (decisions A2, A12);
 *   - no promise beyond the lead that the partner's knowledge allows (draft §5.2.1);
 *   - what is told stands on disk: ACK, BNDUPD, BNDACK, STATE, CONNECTACK, and the view in force;
 *   - UPDDONE comes after all that was asked for; the window is respected;
 *   - a client is not refused what it was promised;
 *   - a number of a record goes back only to let a running lease in, no lease is over before its
 * end;
 *   - what a new state takes away is given by nobody, not even until its commit;
 *   - who stood still for longer than the lead time begins anew before it serves (decision A19).
 */
#include "sim.h"

static int64_t true_of(const struct world *w, const struct server *s, uint32_t sec)
{
	(void)w;
	return ((int64_t)sec - BASE) * SEC - (s->off_max + s->off_min) / 2;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* --- promises ----------------------------------------------------------------------------------
 */

/* Two servers in PARTNER-DOWN, or one beside a partner that serves: then addresses which were
 * reclaimed may be given twice, nothing else (decision A12). */
static bool nobody_can_know(struct world *w, struct promise *p)
{
	if (!p->tainted && (!w->false_pd_from || w->us + clock_slack(w) < w->false_pd_from))
		return false;
	w->collisions += !p->tainted;
	p->tainted = true;
	return true;
}

static int64_t told_until(const struct world *w, const struct client *c, const struct out_reply *o)
{
	(void)w;
	return c->sent + (int64_t)o->r.lease * SEC;
}

static void promise(struct world *w, struct server *s, const struct out_reply *o)
{
	struct client *c = &w->c[o->r.client];
	uint32_t addr = o->lease.addr;
	struct promise *p = &w->promise[addr - FIRST];
	int64_t until = told_until(w, c, o);

	if (o->r.xid != c->xid)
		return; /* it has gone on since, and will not listen */
	if (p->client && p->client != c->i + 1 && p->until > w->us + clock_slack_unset(w) &&
	    !nobody_can_know(w, p))
		violate(w, "two-clients", addr, (int)c->i,
			"%08x was promised to client %u by %c for %.1f s more, and is now to "
			"client "
			"%u by %c for %u s",
			addr, p->client - 1u, "PS"[p->by], (double)(p->until - w->us) / 1e6, c->i,
			"PS"[s->i], o -> r.lease);
	if (p->client == c->i + 1 && p->until > until && c->state != CL_REQUESTING)
		until = p->until;
	p->client = (uint16_t)(c->i + 1);
	p->by = (uint8_t)s->i;
	p->until = until;
}

/* What counts is the ACK that it took: an earlier one with a longer time, of which the answer was
 * lost or which it outlived, is replaced (RFC 2131 §4.4.5). One that is yet to come it ignores. */
void check_bound(struct world *w, const struct client *c)
{
	struct promise *p = &w->promise[c->addr - FIRST];

	if (c->addr - FIRST < MAX_ADDR && p->client == c->i + 1)
		p->until = c->ends;
}

void check_gave_up(struct world *w, struct client *c, uint32_t addr)
{
	struct promise *p = &w->promise[addr - FIRST];

	if (addr - FIRST < MAX_ADDR && p->client == c->i + 1)
		p->client = 0;
}

/* By our own record, and by the clock as it was then: never what was only sent, and a free address
 * has no past. */
static void lead_by_own_record(struct world *w, struct server *s, const struct out_reply *o)
{
	const struct lease *l = &o->before;
	uint32_t then = (uint32_t)o->decided.wall.sec, known = then;

	if (!lease_is_free(l))
		known = max32(known, max32(l->acked_pet, l->rcvd_pet));
	if (o->lease.expires > known + waits(w) || then + o->r.lease > known + waits(w) + 1)
		violate(w, "lead", o->lease.addr, o->r.client,
			"%c promises %08x for %u s: acked %+d rcvd %+d, lead time %u", "PS"[s->i],
			o -> lease.addr, o->r.lease, (int)(l->acked_pet - then),
			(int)(l->rcvd_pet - then), waits(w));
}

/* By what the partner has on disk: it must know that the address is in use until then, but for
 * the lead time. */
static void lead_by_partner(struct world *w, struct server *s, const struct out_reply *o)
{
	const struct server *p = &w->s[!s->i];
	const struct lease *l = disk_lease(&p->disk, o->lease.addr - FIRST);
	int64_t known = w->us, ends = true_of(w, s, o->lease.expires);

	if (w->s[0].lost_ever || w->s[1].lost_ever || w->promise[o->lease.addr - FIRST].tainted)
		return;
	if (!lease_is_free(l)) {
		uint32_t t =
			max32(max32(l->expires, l->sent_pet), max32(l->acked_pet, l->rcvd_pet));

		if (true_of(w, p, t) > known)
			known = true_of(w, p, t);
	}
	if (ends > known + waits(w) * SEC + clock_slack(w))
		violate(w, "lead-unknown", o->lease.addr, o->r.client,
			"%c promises %08x until %+.1f s, the partner knows of %+.1f s (%s there), "
			"lead "
			"time %u",
			"PS"[s->i], o -> lease.addr, (double)(ends - w->us) / 1e6,
			(double)(known - w->us) / 1e6, lease_state_name(l->state), waits(w));
}

/* Or changed again in the same commit. */
static bool was_written(const struct server *s, uint32_t addr, uint32_t serial)
{
	if (s->disk.l[addr - FIRST].serial >= serial)
		return true;
	for (unsigned i = 0; i < 8; i++)
		if (s->recent[addr - FIRST][i] == serial)
			return true;
	return false;
}

static void refused(struct world *w, struct server *s, const struct out_reply *o)
{
	uint32_t a = o->r.asked - FIRST;
	const struct promise *p = &w->promise[a < MAX_ADDR ? a : 0];

	/* the client itself found a conflict there, and told the other server of it */
	if (a < MAX_ADDR && (disk_lease(&s->disk, a)->state == LEASE_ABANDONED ||
			     disk_lease(&s->disk, a)->state == LEASE_RESET))
		return;
	if (a >= MAX_ADDR || p->client != o->r.client + 1u || p->tainted ||
	    o->reason == SERVER_NAK_RESERVED || o->r.xid != w->c[o->r.client].xid)
		return;
	if (p->until > w->us + clock_slack(w) && !w->s[0].lost_ever && !w->s[1].lost_ever &&
	    !w->false_pd_from && w->c[o->r.client].state != CL_REQUESTING)
		violate(w, "refused", o->r.asked, o->r.client,
			"%c refuses %08x to client %u (%s), promised by %c for %.1f s more",
			"PS"[s->i], o -> r.asked, o->r.client, server_reason_name(o->reason),
			"PS"[p->by], (double)(p->until - w->us) / 1e6);
}

void check_reply(struct world *w, struct server *s, const struct out_reply *o)
{
	uint32_t addr = o->lease.addr;

	if (s->overslept)
		violate(w, "overslept", addr, o->r.client,
			"%c stood still for longer than the lead time, and answers as before",
			"PS"[s->i]);
	if (o->r.type == DHCPNAK)
		refused(w, s, o);
	if (o->r.type != DHCPACK || !o->r.yiaddr)
		return;
	if (!o->recorded || !s->disk.has[addr - FIRST] || !was_written(s, addr, o->lease.serial))
		violate(w, "ack-not-durable", addr, o->r.client,
			"%c acknowledges %08x: serial %u is not on disk (%u is)", "PS"[s->i], addr,
			o -> lease.serial, s->disk.l[addr - FIRST].serial);
	lead_by_own_record(w, s, o);
	lead_by_partner(w, s, o);
	promise(w, s, o);
}

/* --- what the partner is told
 * ---------------------------------------------------------------------
 */

void check_link_new(struct server *s)
{
	s->n_open_xids = 0;
	memset(s->recv_xid, 0, sizeof(s->recv_xid));
}

/* A newer run, or a record, may stand there by now. */
static void run_leaves(struct world *w, const struct server *s, const struct fo_binding *b)
{
	TRACE(w, 0, -1, "%c -> run %08x and %u more %s serial %u", "PS"[s->i], b -> addr,
	      b -> run - 1, lease_state_name(b->status), (unsigned)b -> serial);
	for (uint32_t i = 0; i < b->run; i++) {
		uint32_t a = b->addr + i - FIRST;

		if (a >= MAX_ADDR || disk_lease(&s->disk, a)->serial < b->serial)
			violate(w, "update-not-durable", b->addr + i, -1,
				"%c tells of a run that is not on disk", "PS"[s->i]);
	}
}

static void update_leaves(struct world *w, struct server *s, const struct fo_msg *m)
{
	unsigned cursor = 0, most = w->s[!s->i].conf.max_unacked;
	struct fo_binding b;

	while (fo_msg_next_binding(m, &cursor, &b)) {
		uint32_t a = b.addr - FIRST;
		const struct lease *l = disk_lease(&s->disk, a < MAX_ADDR ? a : 0);

		if (b.run) {
			run_leaves(w, s, &b);
			continue;
		}
		TRACE(w, b.addr, -1, "%c -> update %s serial %u ends %+d pet %+d", "PS"[s->i],
		      lease_state_name(b.status), (unsigned)b.serial,
		      (int)(b.expires - true_sec(w)), (int)(b.pet - true_sec(w)));
		if (a >= MAX_ADDR || !s->disk.has[a] ||
		    (b.has_serial && !was_written(s, b.addr, (uint32_t)b.serial)))
			violate(w, "update-not-durable", b.addr, -1,
				"%c tells of serial %u, on disk is %u", "PS"[s->i],
				(unsigned)b.serial, l->serial);
		if (b.status == LEASE_ACTIVE && b.pet < b.expires)
			violate(w, "update-pet", b.addr, -1, "%c: PET before the lease's end",
				"PS"[s->i]);
	}
	if (s->n_open_xids >= most || s->n_open_xids >= 128)
		violate(w, "window", 0, -1, "%c has %u updates on their way, allowed are %u",
			"PS"[s->i], s -> n_open_xids + 1, most);
	s->open_xids[s->n_open_xids++] = m->xid;
}

static void ack_leaves(struct world *w, struct server *s, const struct fo_msg *m)
{
	struct fo_binding b;
	unsigned cursor = 0;

	while (fo_msg_next_binding(m, &cursor, &b)) {
		uint32_t a = b.addr - FIRST;

		TRACE(w, b.addr, -1, "%c -> ack %s", "PS"[s->i],
		      b.reject ? fo_reject_text(b.reject) : "accepted");
		cover_reject(w, b.reject);
		if (b.reject || a >= MAX_ADDR || s->recv_xid[a] != m->xid)
			continue;
		if (disk_lease(&s->disk, a)->serial < s->recv_serial[a])
			violate(w, "bndack-not-durable", b.addr, -1,
				"%c acknowledges serial %u, on disk is %u", "PS"[s->i],
				s -> recv_serial[a], disk_lease(&s->disk, a) -> serial);
	}
}

static void state_leaves(struct world *w, struct server *s, const struct fo_msg *m)
{
	struct fo_state_msg t;

	if (!fo_msg_read_state(m, &t) || !fo_state_valid(t.state))
		violate(w, "state-number", 0, -1, "%c shows a state that does not exist",
			"PS"[s->i]);
	for (unsigned i = 0; i < WRITTEN; i++) {
		const struct fo_end *e = &s->written[i].end;
		bool startup = e->state == FO_STARTUP;

		if (s->written[i].valid && t.startup == startup && t.stos == e->stos &&
		    t.state == (startup ? e->saved : e->state))
			return;
	}
	violate(w, "state-not-durable", 0, -1, "%c shows %s%s since %+d, which is not on disk",
		"PS"[s->i], fo_state_name(t.state), t.startup ? " (startup)" : "",
		(int)(t.stos - true_sec(w)));
}

static void connectack_leaves(struct world *w, struct server *s, const struct fo_msg *m)
{
	struct fo_connect c;

	fo_msg_read_connect(m, &c);
	if (c.reject || !s->ep)
		return;
	if (!s->disk.rec.hba_known || s->disk.rec.mclt != s->ep->rec.mclt ||
	    memcmp(s->disk.rec.hba, s->ep->rec.hba, 32) != 0)
		violate(w, "terms-not-durable", 0, -1, "CONNECTACK before its terms are on disk");
}

/* All that was on our disk when the partner asked is on its disk, but for what it refused. An
 * answer to a request before its latest, which it does not take for one, may still be on its way
 * (failover-behaviour §3.7, 7). */
static void upddone_leaves(struct world *w, struct server *s, uint32_t xid)
{
	const struct disk *other = &w->s[!s->i].disk;

	if (xid != s->asked_xid)
		return;
	if (!s->ep || s->asked_rejects != s->ep->count.updates_rejected_by_partner)
		return;
	for (unsigned a = 0; a < MAX_ADDR; a++)
		if (s->asked[a] && s->disk.l[a].serial >= s->asked[a] &&
		    disk_lease(other, a)->serial < s->asked[a])
			violate(w, "upddone-early", FIRST + a, -1,
				"%c: UPDDONE, but the partner has serial %u instead of %u",
				"PS"[s->i], other -> l[a].serial, s->asked[a]);
}

/* Who knows that its storage is an older one does not rely on what that says of the partner. */
static void nothing_counts(struct world *w, const struct server *s)
{
	for (unsigned a = 0; s->disk.rec.end.lost_storage && a < MAX_ADDR; a++)
		if (s->disk.has[a] && s->disk.l[a].acked_pet)
			violate(w, "marks", FIRST + a, -1,
				"%c asks for everything, and relies on what its former life was "
				"told",
				"PS"[s->i]);
}

void check_message(struct world *w, struct server *s, const uint8_t *msg, size_t len)
{
	static struct fo_msg m;

	if (msg[2] == FO_CONTACT)
		return;
	if (fo_msg_decode(msg, len, &m) != FO_OK)
		violate(w, "bad-message", 0, -1, "%c sends what does not decode", "PS"[s->i]);
	switch (m.type) {
	case FO_BNDUPD:
		update_leaves(w, s, &m);
		break;
	case FO_BNDACK:
		ack_leaves(w, s, &m);
		break;
	case FO_STATE:
		state_leaves(w, s, &m);
		break;
	case FO_CONNECTACK:
		connectack_leaves(w, s, &m);
		break;
	case FO_UPDDONE:
		upddone_leaves(w, s, m.xid);
		break;
	case FO_UPDREQALL:
		nothing_counts(w, s);
		break;
	default:
		break;
	}
	if (m.type != FO_BNDUPD && m.type != FO_BNDACK)
		TRACE(w, 0, -1, "%c -> message %u", "PS"[s->i], m.type);
}

/* --- what the partner tells
 * ------------------------------------------------------------------------
 */

static void acked(struct server *s, uint32_t xid)
{
	for (unsigned i = 0; i < s->n_open_xids; i++)
		if (s->open_xids[i] == xid) {
			s->open_xids[i] = s->open_xids[--s->n_open_xids];
			return;
		}
}

void check_heard(struct world *w, struct server *s, const struct fo_msg *m)
{
	struct fo_binding b;
	unsigned cursor = 0;

	(void)w;
	switch (m->type) {
	case FO_BNDUPD:
		while (fo_msg_next_binding(m, &cursor, &b))
			if (b.addr - FIRST < MAX_ADDR) {
				s->recv_serial[b.addr - FIRST] = (uint32_t)b.serial;
				s->recv_xid[b.addr - FIRST] = m->xid;
			}
		break;
	case FO_BNDACK:
		acked(s, m->xid);
		break;
	case FO_UPDREQ:
	case FO_UPDREQALL:
		s->asked_rejects = s->ep ? s->ep->count.updates_rejected_by_partner : 0;
		s->asked_xid = m->xid;
		for (unsigned a = 0; a < MAX_ADDR; a++)
			s->asked[a] = s->disk.has[a] ? s->disk.l[a].serial : 0;
		break;
	default:
		break;
	}
}

/* --- disk, state, view --------------------------------------------------------------------------
 */

void check_put(struct world *w, struct server *s, const struct lease *l)
{
	uint32_t *last = &s->put_serial[l->addr - FIRST < MAX_ADDR ? l->addr - FIRST : 0];
	bool runs = l->state == LEASE_ACTIVE && l->expires > s->now.wall.sec;
	int64_t stepped = (s->off_max - s->off_min) / SEC; /* its clock, since it was written */

	if (l->serial < *last && !runs)
		violate(w, "serial-back", l->addr, -1, "%c: %08x %s, serial %u after %u",
			"PS"[s->i], l -> addr, lease_state_name(l->state), l -> serial, *last);
	if (l->state == LEASE_EXPIRED && l->expires > s->now.wall.sec + stepped)
		violate(w, "expired-early", l->addr, -1, "%c: %08x is over %d s before its end",
			"PS"[s->i], l -> addr, (int)(l->expires - s->now.wall.sec));
	*last = l->serial;
}

/* Judged by the state that was entered, not by the view that is in force. */
void check_decided(struct world *w, struct server *s, const struct lease *before,
		   const struct lease *l)
{
	if (l->state != LEASE_ACTIVE || !s->ep || pool_is_reserved(s->pool, l->addr) ||
	    before->state != (s->i ? LEASE_FREE : LEASE_BACKUP) || s->ep->view.partner_down)
		return;
	violate(w, "partners-share", l->addr, -1, "%c gives %08x, which is the partner's, in %s",
		"PS"[s->i], l -> addr, fo_state_name(s->ep->rec.end.state));
}

void check_written(struct world *w, struct server *s, const struct op *o)
{
	if (o->kind == OP_RECORD) {
		s->written[s->n_written++ % WRITTEN] = (struct written){ o->rec.end, true };
		return;
	}
	if (o->l.addr - FIRST >= MAX_ADDR || o->l.state > LEASE_BACKUP)
		violate(w, "bad-record", o->l.addr, -1, "%c writes state %u of %08x", "PS"[s->i],
			o -> l.state, o->l.addr);
}

/* What is in force follows from a state on disk; but silence is never wrong. */
static bool follows(const struct server *s, const struct fo_view *v, const struct fo_end *end)
{
	struct fo_view k = fo_fsm_view(end, &s->conf.policy, v->mclt, v->hold);

	if (k.partner_down != v->partner_down)
		return false;
	if (!v->serve_new && !v->serve_renew && v->policy.serve == SERVE_NONE)
		return true;
	return k.serve_new == v->serve_new && k.serve_renew == v->serve_renew &&
	       k.balanced == v->balanced && k.hold == v->hold && k.policy.serve == v->policy.serve;
}

void check_view(struct world *w, struct server *s, const struct fo_view *v)
{
	if (!v->partner_down)
		s->down_since = 0;
	else if (!s->down_since)
		s->down_since = w->us;
	for (unsigned i = 0; i < WRITTEN; i++)
		if (s->written[i].valid && follows(s, v, &s->written[i].end))
			return;
	violate(w, "view-not-durable", 0, -1,
		"%c: serve %u new %d renew %d down %d from no state on disk", "PS"[s->i],
		v -> policy.serve, v->serve_new, v->serve_renew, v->partner_down);
}

void check_state(struct world *w, const struct server *s)
{
	const struct fo_end *e;

	if (!s->up || !s->ep)
		return;
	e = &s->ep->rec.end;
	if ((e->state != FO_STARTUP && !fo_state_valid(e->state)) ||
	    (e->state == FO_STARTUP && !fo_state_valid(e->saved)) ||
	    (e->peer && !fo_state_valid(e->peer)))
		violate(w, "state-number", 0, -1, "%c is in state %u, saved %u, partner %u",
			"PS"[s->i], e -> state, e -> saved, e -> peer);
}
