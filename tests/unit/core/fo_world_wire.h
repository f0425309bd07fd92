#pragma once
/*
 * What leaves a server in a world (fo_world.h) when its commit is done, and the one connection that
 * carries it, which may be lost.
 */
#include "fo_world_check.h"

static struct out *new_out(struct node *n, enum out_kind kind)
{
	struct out *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->kind = kind;
	o->batch = wait_for(n);
	o->epoch = n->w->epoch;
	*n->outs_end = o;
	n->outs_end = &o->next;
	return o;
}

static void on_air(struct node *n, const uint8_t *msg, size_t len)
{
	struct node *to = &n->w->n[!n->i];
	struct in_air *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	a->at = n->w->us + WIRE_US;
	a->epoch = n->w->epoch;
	a->len = len;
	if (len)
		memcpy(a->msg, msg, len);
	*to->wire_end = a;
	to->wire_end = &a->next;
}

/* What a server of the first version says instead: the features in an unknown sub-option. */
static void hide_features(uint8_t *msg, size_t len)
{
	static const uint8_t from[] = { 0, FO_VENDOR_FEATURES, 0, 4 };

	for (size_t i = FO_HDR_LEN; i + sizeof(from) <= len; i++)
		if (!memcmp(msg + i, from, sizeof(from)))
			msg[i] = 0x7f;
}

static void leave(struct node *n, uint8_t *msg, size_t len)
{
	static struct fo_msg m;

	assert_int_equal(fo_msg_decode(msg, len, &m), FO_OK);
	if (m.type == FO_BNDUPD)
		check_update(n, &m);
	else if (m.type == FO_BNDACK)
		check_ack(n, &m);
	else if (m.type == FO_STATE)
		check_state(n, &m);
	else if (m.type == FO_CONNECTACK)
		check_connectack(n, &m);
	else if (m.type == FO_UPDDONE)
		check_done(n);
	if (n->w->no_runs && (m.type == FO_CONNECT || m.type == FO_CONNECTACK))
		hide_features(msg, len);
	on_air(n, msg, len);
}

static void drop_link(struct world *w, struct node *told, enum fo_close_reason why)
{
	if (!w->linked)
		return;
	w->linked = false;
	w->epoch++;
	w->n[0].in_flight = w->n[1].in_flight = 0;
	w->connect_at = w->us + RECONNECT_US;
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &w->n[i];
		struct now now = now_of(n);

		if (!n->up || n == told)
			continue;
		fo_endpoint_turn(n->ep, n->open, &now);
		fo_endpoint_link_down(n->ep, &now, why);
	}
}

/* What was sent before arrives first. */
static void hang_up(struct node *n)
{
	if (n->w->linked && !n->w->by_hand && !n->w->partition)
		on_air(n, NULL, 0);
	else
		drop_link(n->w, n, FO_CLOSE_PEER);
}

static void flush_outs(struct node *n)
{
	struct out *o;

	while (n->up && (o = n->outs) && o->batch <= n->durable) {
		n->outs = o->next;
		if (!n->outs)
			n->outs_end = &n->outs;
		if (o->kind == OUT_VIEW)
			n->view = o->view;
		else if (o->kind == OUT_ACK)
			promised(n, o);
		else if (o->epoch == n->w->epoch && n->w->linked && o->kind == OUT_MESSAGE)
			leave(n, o->msg, o->len);
		else if (o->epoch == n->w->epoch && o->kind == OUT_CLOSE)
			hang_up(n);
		free(o);
	}
}
