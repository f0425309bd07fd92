/*
 * What an endpoint asks of its driver, as user/node_partner.c answers it: messages, closes and
 * views wait for the commit that covers all that was put before; CONTACT does not.
 */
#include "sim.h"

struct world *the_world; /* one at a time */

static bool wait_for_link(struct server *s, enum out_kind kind, const void *data, size_t len)
{
	struct out_link *p = outbox_push(&s->outbox, server_wait_for(s), (uint16_t)kind, 0,
					 (uint32_t)(sizeof(*p) + len));

	if (!p)
		return false;
	p->conn = s->conn;
	memcpy(p->data, data, len);
	return true;
}

static void sink_send(void *ctx, const uint8_t *msg, size_t len)
{
	struct server *s = ctx;

	if (!wait_for_link(s, OUT_FO_MESSAGE, msg, len))
		s->broken = true;
}

static void sink_send_now(void *ctx, const uint8_t *msg, size_t len)
{
	struct server *s = ctx;

	if (msg[2] != FO_CONTACT)
		violate(the_world, "sent-now", 0, -1, "message of type %u does not wait", msg[2]);
	if (s->conn)
		link_send(the_world, s, msg, len);
}

static void sink_close(void *ctx, enum fo_close_reason why)
{
	struct server *s = ctx;
	uint8_t data = (uint8_t)why;

	if (why == FO_CLOSE_SILENT || !wait_for_link(s, OUT_FO_CLOSE, &data, 1))
		link_close(the_world, s, why);
}

static void sink_persist(void *ctx, const struct fo_record *rec)
{
	disk_persist(ctx, rec);
}

static void sink_put(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct server *s = ctx;
	const struct lease *row = pool_get(s->pool, l->addr);

	if (!row || memcmp(row, l, sizeof(*l)) != 0)
		violate(the_world, "put-not-applied", l->addr, -1, "memory holds something else");
	TRACE(the_world, l->addr, -1,
	      "%c record: %s serial %u ends %+d sent %+d acked %+d rcvd %+d flags %u knows %s",
	      "PS"[s->i], lease_state_name(l->state), l -> serial,
	      (int)(l->expires - true_sec(the_world)), (int)(l->sent_pet - true_sec(the_world)),
	      (int)(l->acked_pet - true_sec(the_world)), (int)(l->rcvd_pet - true_sec(the_world)),
	      l -> flags, lease_state_name(l->acked_state));
	disk_put(s, l, c);
}

static void sink_put_run(void *ctx, const struct lease *l, uint32_t n)
{
	struct server *s = ctx;

	TRACE(the_world, 0, -1, "%c run: %08x and %u more %s serial %u flags %u", "PS"[s->i],
	      l -> addr, n - 1, lease_state_name(l->state), l -> serial, l -> flags);
	disk_put_run(s, l, n);
}

static bool sink_client(void *ctx, uint32_t addr, struct lease_client *ret)
{
	return disk_client(ctx, addr, ret);
}

static void sink_policy(void *ctx, const struct fo_view *v)
{
	struct server *s = ctx;
	struct fo_view *p = outbox_push(&s->outbox, server_wait_for(s), OUT_POLICY, 0, sizeof(*p));

	if (!p)
		abort();
	memcpy(p, v, sizeof(*p));
	s->view = fo_view_narrow(&s->view, v);
}

static void sink_event(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		       uint32_t b)
{
	struct server *s = ctx;

	if (!strcmp(what, "state"))
		TRACE(the_world, 0, -1, "%c %s -> %s: %s", "PS"[s->i], fo_state_name(a),
		      fo_state_name(b), why);
	else
		TRACE(the_world, addr, -1, "%c event %s %s %u %u", "PS"[s->i], what, why, a, b);
}

static uint64_t sink_random(void *ctx)
{
	(void)ctx;
	return rnd(the_world);
}

struct fo_sink sink_of(struct server *s)
{
	return (struct fo_sink){ .ctx = s,
				 .send = sink_send,
				 .send_now = sink_send_now,
				 .close = sink_close,
				 .persist = sink_persist,
				 .put = sink_put,
				 .put_run = sink_put_run,
				 .client = sink_client,
				 .policy = sink_policy,
				 .event = sink_event,
				 .random = sink_random };
}
