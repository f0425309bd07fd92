#pragma once
/*
 * What an endpoint wishes done, in a world (fo_world.h): the callbacks of its fo_sink. FO_TRACE=1
 * prints its events and what was refused.
 */
#include "fo_world_wire.h"

static void sink_send(void *ctx, const uint8_t *msg, size_t len)
{
	struct out *o = new_out(ctx, OUT_MESSAGE);

	memcpy(o->msg, msg, len);
	o->len = len;
}

static void sink_send_now(void *ctx, const uint8_t *msg, size_t len)
{
	struct node *n = ctx;

	assert_int_equal(msg[2], FO_CONTACT);
	if (n->w->linked)
		on_air(n, msg, len);
}

static void sink_close(void *ctx, enum fo_close_reason why)
{
	(void)why;
	(void)new_out(ctx, OUT_CLOSE);
}

static void sink_persist(void *ctx, const struct fo_record *r)
{
	struct op *o = new_op(ctx);

	o->record = true;
	o->rec = *r;
}

static void sink_put(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct node *n = ctx;
	const struct lease *row = pool_get(n->pool, l->addr);

	assert_non_null(row);
	assert_memory_equal(row, l, sizeof(*l)); /* applied as well */
	put(n, l, c);
}

static void sink_put_run(void *ctx, const struct lease *l, uint32_t run)
{
	struct node *n = ctx;
	struct pool_stretch s;
	struct op *o;

	assert_true(pool_stretch_next(n->pool, l->addr, l->addr + run - 1, &s));
	assert_memory_equal(&s.l, l, sizeof(*l)); /* applied as well */
	assert_int_equal(s.n, run);
	o = new_op(n);
	o->l = *l;
	o->run = run;
}

static bool sink_client(void *ctx, uint32_t addr, struct lease_client *ret)
{
	struct node *n = ctx;

	*ret = n->disk.c[addr - FIRST];
	return n->disk.has[addr - FIRST];
}

static void sink_policy(void *ctx, const struct fo_view *v)
{
	new_out(ctx, OUT_VIEW)->view = *v;
}

static void sink_event(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		       uint32_t b)
{
	struct node *n = ctx;

	n->events++;
	n->clock_events += !strcmp(what, "clock-skew");
	snprintf(n->last_event, sizeof(n->last_event), "%s", what);
	snprintf(n->last_why, sizeof(n->last_why), "%s", why);
	if (!strcmp(what, "state") && n->n_trace < sizeof(n->trace))
		n->trace[n->n_trace++] = (uint8_t)b;
	if (getenv("FO_TRACE"))
		printf("%9.3f %c %-16s %-40s %08x %u %u%s%s\n", (double)n->w->us / 1e6,
		       n->i ? 'S' : 'P', what, why, addr, a, b, strcmp(what, "state") ? "" : " ",
		       strcmp(what, "state") ? "" : fo_state_name(b));
}

static void sink_refused(void *ctx, const struct fo_refusal *r)
{
	struct node *n = ctx;

	n->refusals++;
	n->lacked += !r->by_us && r->reason == FO_REJECT_ILLEGAL_ADDRESS;
	n->refused = *r;
	n->refused_ours = *r->ours;
	n->refused_theirs = *r->theirs;
	snprintf(n->refused_words, sizeof(n->refused_words), "%.*s", (int)r->words.len,
		 (const char *)r->words.p);
	if (getenv("FO_TRACE"))
		printf("%9.3f %c refused %s %s %08x next: %s\n", (double)n->w->us / 1e6,
		       n->i ? 'S' : 'P', r->by_us ? "by us" : "by them", fo_reject_text(r->reason),
		       r->ours->addr, r->next);
}

static uint64_t sink_random(void *ctx)
{
	return rnd(((struct node *)ctx)->w);
}
