/*
 * DHCP clients: INIT to REBINDING, with retransmissions, reboots, releases and conflicts found.
 * Spec: RFC 2131 §3, §4.4.
 */
#include "sim.h"

#include "shared/loadbal.h"

#define SETTLE_US (12 * SEC) /* after a release or conflict: what was on its way has arrived */

enum { LEAVE_NOT, LEAVE_RELEASE, LEAVE_SILENTLY, LEAVE_REBOOT, LEAVE_CONFLICT };

const char *client_state_name(unsigned s)
{
	static const char *const name[] = { "off",   "selecting", "requesting", "rebooting",
					    "bound", "renewing",  "rebinding" };

	return s < CL_STATES ? name[s] : "?";
}

static void set_timer(struct world *w, struct client *c, int64_t us)
{
	c->timer = us > w->us ? us : w->us + 1;
	at(w, c->timer, EV_CLIENT, c->i, 0);
}

void client_init(struct world *w, unsigned i)
{
	struct client *c = &w->c[i];

	c->i = i;
	c->scope = i % w->t.scopes;
	c->path = c->scope ? 1 : 0;
	c->with_id = chance(w, 60);
	c->who = (struct small_client){
		.htype = 1,
		.hlen = 6,
		.chaddr = { 2, 0, 0, (uint8_t)w->seed, (uint8_t)(i >> 8), (uint8_t)i },
	};
	if (c->with_id) {
		memcpy(c->who.id, "\xff\0\1", 3);
		c->who.id[3] = (uint8_t)(w->seed >> 8);
		c->who.id[4] = (uint8_t)(i >> 8);
		c->who.id[5] = (uint8_t)i;
		c->who.id_len = 6;
	}
	c->bucket = loadbal_bucket(w->s[0].conf.policy.hash_identity, c->who.id, c->who.id_len,
				   c->who.chaddr, 6);
	c->state = CL_OFF;
	set_timer(w, c, (int64_t)below(w, w->t.arrive ? w->t.arrive * 1000 : 20000) * 1000);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_to(struct world *w, struct client *c, struct request *r, unsigned server)
{
	r->server = (uint16_t)server;
	r->dest = 0;
	if (!r->broadcast || r->giaddr)
		r->dest = w->s[server].addr;
	dgram_request(w, r);
	(void)c;
}

static struct request request(struct world *w, struct client *c, uint8_t type)
{
	int64_t secs = (w->us - c->began) / SEC;

	return (struct request){ .client = (uint16_t)c->i,
				 .type = type,
				 .path = (uint8_t)c->path,
				 .with_id = c->with_id,
				 .secs = (uint16_t)(secs > 250 ? 250 : secs),
				 .xid = c->xid };
}

/* A relay sends to every server it knows. */
static void broadcast(struct world *w, struct client *c, struct request *r)
{
	r->broadcast = true;
	if (c->path)
		r->giaddr = w->scopes[c->scope].subnet + 1;
	for (unsigned i = 0; i < 2; i++)
		send_to(w, c, r, i);
}

static void unicast(struct world *w, struct client *c, struct request *r)
{
	for (unsigned i = 0; i < 2; i++)
		if (w->s[i].addr == c->server_id)
			send_to(w, c, r, i);
}

static void discover(struct world *w, struct client *c)
{
	struct request r = request(w, c, DHCPDISCOVER);

	r.requested = c->addr;
	r.wish = c->wish;
	broadcast(w, c, &r);
}

static void ask(struct world *w, struct client *c)
{
	struct request r = request(w, c, DHCPREQUEST);

	c->sent = w->us;
	r.wish = c->wish;
	switch (c->state) {
	case CL_REQUESTING:
		r.requested = c->addr;
		r.server_id = c->server_id;
		broadcast(w, c, &r);
		break;
	case CL_REBOOTING:
		r.requested = c->addr;
		broadcast(w, c, &r);
		break;
	case CL_RENEWING:
		r.ciaddr = c->addr;
		unicast(w, c, &r);
		break;
	case CL_REBINDING:
		r.ciaddr = c->addr;
		broadcast(w, c, &r);
		break;
	default:
		break;
	}
}

static int64_t back_off(struct world *w, const struct client *c)
{
	int64_t us = 2 * SEC << (c->tries > 3 ? 3 : c->tries);

	return us - SEC / 2 + below(w, SEC);
}

/* --- states ----------------------------------------------------------------------------------- */

static void begin(struct world *w, struct client *c, enum client_state state)
{
	c->state = state;
	c->xid = (uint32_t)rnd(w);
	c->began = w->us;
	c->tries = 0;
	c->n_offers = 0;
	if (state == CL_SELECTING)
		c->wish = !w->t.no_wishes && chance(w, 20) ? 60 + below(w, 400) : 0;
}

static void start(struct world *w, struct client *c)
{
	begin(w, c, c->addr && chance(w, 70) ? CL_REBOOTING : CL_SELECTING);
	if (c->state == CL_SELECTING) {
		if (chance(w, 50))
			c->addr = 0;
		discover(w, c);
	} else {
		ask(w, c);
	}
	set_timer(w, c, w->us + back_off(w, c));
}

static void turn_off(struct world *w, struct client *c, int64_t for_us)
{
	c->state = CL_OFF;
	c->ends = 0;
	set_timer(w, c, w->us + for_us);
}

static void decline(struct world *w, struct client *c, uint32_t addr, uint32_t server_id)
{
	struct request r = request(w, c, DHCPDECLINE);

	r.requested = addr;
	r.server_id = server_id;
	r.xid = (uint32_t)rnd(w);
	c->xid = 0;
	broadcast(w, c, &r);
	check_gave_up(w, c, addr);
	c->addr = 0;
	turn_off(w, c, SETTLE_US);
}

static void leave(struct world *w, struct client *c)
{
	uint8_t how = c->leave_how;

	c->leave_how = LEAVE_NOT;
	if (how == LEAVE_RELEASE) {
		struct request r = request(w, c, DHCPRELEASE);

		r.ciaddr = c->addr;
		r.xid = (uint32_t)rnd(w);
		c->xid = 0;
		unicast(w, c, &r);
		check_gave_up(w, c, c->addr);
		if (chance(w, 50))
			c->addr = 0;
		turn_off(w, c, SETTLE_US + below(w, 60 * SEC));
	} else if (how == LEAVE_CONFLICT) { /* found later (RFC 5227 2.4) */
		decline(w, c, c->addr, c->server_id);
	} else if (how == LEAVE_SILENTLY) {
		turn_off(w, c, 5 * SEC + below(w, 200 * SEC));
	} else {
		turn_off(w, c, SEC + below(w, 3 * SEC));
	}
}

static void plan(struct world *w, struct client *c)
{
	unsigned roll = below(w, 100);

	c->leave_how = roll < 10		   ? LEAVE_RELEASE
		       : roll < 16		   ? LEAVE_SILENTLY
		       : roll < 24		   ? LEAVE_REBOOT
		       : roll < 24 + w->t.declines ? LEAVE_CONFLICT
						   : LEAVE_NOT;
	c->leave_at = w->us + below(w, (uint32_t)(w->t.lease_time * SEC));
	if (w->quiet)
		c->leave_how = LEAVE_NOT;
	set_timer(w, c, c->leave_how && c->leave_at < c->t1 ? c->leave_at : c->t1);
}

static void bind(struct world *w, struct client *c, const struct reply *a)
{
	bool fresh = c->state == CL_REQUESTING;

	if (fresh && !w->quiet && below(w, 200) == 0) {
		decline(w, c, a->yiaddr, a->server_id);
		return;
	}
	c->addr = a->yiaddr;
	c->server_id = a->server_id;
	c->t1 = c->sent + (int64_t)a->renew * SEC;
	c->t2 = c->sent + (int64_t)a->rebind * SEC;
	c->ends = c->sent + (int64_t)a->lease * SEC;
	c->state = CL_BOUND;
	c->xid = 0;
	check_bound(w, c);
	plan(w, c);
}

static void choose(struct world *w, struct client *c)
{
	const struct reply *o = &c->offers[below(w, c->n_offers)];

	c->state = CL_REQUESTING;
	c->addr = o->yiaddr;
	c->server_id = o->server_id;
	c->tries = 0;
	ask(w, c);
	set_timer(w, c, w->us + back_off(w, c));
}

static void again(struct world *w, struct client *c)
{
	unsigned most = c->state == CL_SELECTING ? 8 : 3;

	if (++c->tries > most && c->state == CL_REBOOTING) { /* the lease may still run */
		turn_off(w, c, SEC + below(w, 10 * SEC));
		return;
	}
	if (c->tries > most) {
		turn_off(w, c, 5 * SEC + below(w, 30 * SEC));
		return;
	}
	if (c->state == CL_SELECTING)
		discover(w, c);
	else
		ask(w, c);
	set_timer(w, c, w->us + back_off(w, c));
}

/* Half of the time that remains, as RFC 2131 §4.4.5 has it, a second at least. */
static void renew(struct world *w, struct client *c)
{
	int64_t until, wait;

	if (c->state == CL_BOUND)
		begin(w, c, CL_RENEWING);
	if (w->us >= c->ends) {
		begin(w, c, CL_SELECTING);
		discover(w, c);
		set_timer(w, c, w->us + back_off(w, c));
		return;
	}
	if (w->us >= c->t2 && c->state == CL_RENEWING) {
		c->state = CL_REBINDING;
		c->xid = (uint32_t)rnd(w);
	}
	ask(w, c);
	until = c->state == CL_RENEWING ? c->t2 : c->ends;
	wait = (until - w->us) / 2;
	set_timer(w, c,
		  w->us + (wait > 2 * SEC	     ? wait
			   : until > w->us + 2 * SEC ? 2 * SEC
						     : until - w->us));
}

void client_timer(struct world *w, struct client *c)
{
	if (c->quiet)
		return;
	switch (c->state) {
	case CL_OFF:
		start(w, c);
		break;
	case CL_SELECTING:
		if (c->n_offers)
			choose(w, c);
		else
			again(w, c);
		break;
	case CL_REQUESTING:
	case CL_REBOOTING:
		again(w, c);
		break;
	case CL_BOUND:
		if (c->leave_how && w->us >= c->leave_at)
			leave(w, c);
		else
			renew(w, c);
		break;
	case CL_RENEWING:
	case CL_REBINDING:
		renew(w, c);
		break;
	case CL_STATES:
		break;
	}
}

/* --- hearing ---------------------------------------------------------------------------------- */

static void offered(struct world *w, struct client *c, const struct reply *r)
{
	if (c->state != CL_SELECTING || c->n_offers == 2)
		return;
	if (!c->n_offers)
		set_timer(w, c, w->us + 20000 + below(w, 200000));
	c->offers[c->n_offers++] = *r;
}

void client_hear(struct world *w, struct client *c, const struct reply *r)
{
	if (c->i >= w->t.clients) { /* a probe */
		w->s[r->server].probe_answers++;
		return;
	}
	TRACE(w, r->yiaddr, (int)c->i, "client %u (%s) hears %s %08x from %c xid %x", c->i,
	      client_state_name(c->state), dhcp_type_name(r->type), r->yiaddr, "PS"[r->server],
	      r -> xid);
	if (c->quiet || !r->xid || r->xid != c->xid)
		return;
	if (r->type == DHCPOFFER) {
		offered(w, c, r);
	} else if (c->state == CL_SELECTING || c->state == CL_BOUND || c->state == CL_OFF) {
		return;
	} else if (r->type == DHCPACK) {
		bind(w, c, r);
	} else {
		c->addr = 0;
		c->xid = 0;
		turn_off(w, c, SETTLE_US / 4 + below(w, 3 * SEC));
	}
}

/* A stranger asks both servers, long enough for anybody to answer. */
void client_probe(struct world *w, unsigned scope)
{
	unsigned i = w->t.clients + scope;
	struct client *c = &w->c[i];
	struct request r;

	*c = (struct client){ .i = i, .scope = scope, .path = scope ? 1 : 0, .quiet = true };
	c->who = (struct small_client){ .htype = 1,
					.hlen = 6,
					.chaddr = { 2, 9, 9, 9, 9, (uint8_t)i } };
	c->xid = (uint32_t)rnd(w) | 1;
	r = request(w, c, DHCPDISCOVER);
	r.secs = 200;
	broadcast(w, c, &r);
}
