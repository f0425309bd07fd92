#pragma once
/*
 * The fake store of a server in a world (fo_world.h): what is put is written with the commit of its
 * batch, a record, a run of addresses, or one address. FO_ADDR=hex prints what is written of one.
 */
#include "fo_world_types.h"

static uint64_t wait_for(const struct node *n)
{
	return n->open_puts ? n->open : n->open - 1;
}

static struct op *new_op(struct node *n)
{
	struct op *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->batch = n->open;
	n->open_puts++;
	*n->ops_end = o;
	n->ops_end = &o->next;
	return o;
}

static void put(struct node *n, const struct lease *l, const struct lease_client *c)
{
	struct op *o = new_op(n);

	o->l = *l;
	if (c)
		o->c = *c;
	o->keep_client = !c;
}

static void write_run(struct node *n, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST;

	assert_true(a < MAX_ADDR && o->run <= MAX_ADDR - a);
	for (uint32_t i = a; i < a + o->run; i++) {
		n->disk.run[i] = o->l;
		n->disk.run[i].addr = FIRST + i;
		n->disk.has_run[i] = true;
		memmove(n->disk.recent_run[i] + 1, n->disk.recent_run[i], 3 * sizeof(uint32_t));
		n->disk.recent_run[i][0] = o->l.serial;
	}
	n->runs_written++;
}

/* What the disk says of an address; its client only when it has a record. */
static const struct lease *on_disk(const struct node *n, uint32_t a)
{
	return n->disk.has[a] ? &n->disk.l[a] : &n->disk.run[a];
}

static void write_op(struct node *n, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST;

	if (o->record) {
		n->disk.rec = o->rec;
		n->disk.has_rec = true;
		n->written[o->rec.end.state] = n->written[o->rec.end.saved] = true;
		return;
	}
	if (o->run) {
		write_run(n, o);
		return;
	}
	assert_true(a < MAX_ADDR);
	if (getenv("FO_ADDR") && strtoul(getenv("FO_ADDR"), NULL, 16) == o->l.addr)
		printf("%9.3f %c disk  %-9s serial %u ends +%d sent +%d acked +%d rcvd +%d flags "
		       "%u "
		       "acked-state %u\n",
		       (double)n->w->us / 1e6, n->i ? 'S' : 'P', lease_state_name(o->l.state),
		       o->l.serial, (int)(o->l.expires - BASE), (int)(o->l.sent_pet - BASE),
		       (int)(o->l.acked_pet - BASE), (int)(o->l.rcvd_pet - BASE), o->l.flags,
		       o->l.acked_state);
	n->disk.l[a] = o->l;
	memmove(n->disk.recent[a] + 1, n->disk.recent[a], 3 * sizeof(uint32_t));
	n->disk.recent[a][0] = o->l.serial;
	n->disk.has[a] = true;
	if (!o->keep_client)
		n->disk.c[a] = o->c;
}
