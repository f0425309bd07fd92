/*
 * Ring of things that wait for a commit. Called by the node on the loop thread.
 *
 * An item never wraps: where the end of the ring is too short for it, a filler takes the rest.
 */
#include "outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define FILLER 0xffff

int outbox_init(struct outbox *o, size_t size)
{
	/* mapped, not allocated: pages that were never needed cost nothing */
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	*o = (struct outbox){ .mem = mem, .size = size };
	return 0;
}

void outbox_done(struct outbox *o)
{
	if (o->mem)
		(void)munmap(o->mem, o->size);
	*o = (struct outbox){ 0 };
}

static size_t item_size(uint32_t len)
{
	return (sizeof(struct outbox_item) + len + 7) & ~(size_t)7;
}

static struct outbox_item *item_at(struct outbox *o, size_t off)
{
	return (struct outbox_item *)(void *)(o->mem + off);
}

/* Contiguous room at the tail, one octet of the ring always left free; false: full. */
static bool make_room(struct outbox *o, size_t need)
{
	size_t to_end = o->size - o->tail;

	if (o->tail < o->head)
		return o->head - o->tail > need;
	if (to_end > need || (to_end == need && o->head > 0))
		return true;
	if (o->head <= need)
		return false;
	if (to_end >= sizeof(struct outbox_item))
		*item_at(o, o->tail) = (struct outbox_item){ .kind = FILLER };
	o->tail = 0;
	return true;
}

void *outbox_push(struct outbox *o, uint64_t batch, uint16_t kind, uint16_t relation, uint32_t len)
{
	size_t need = item_size(len);
	struct outbox_item *i;

	if (!o->items)
		o->head = o->tail = 0;
	if (!make_room(o, need))
		return NULL;
	i = item_at(o, o->tail);
	*i = (struct outbox_item){ .batch = batch, .len = len, .kind = kind, .relation = relation };
	o->tail = (o->tail + need) % o->size;
	o->items++;
	return i + 1;
}

/* Skip what lies unused at the end of the ring. */
static void skip_filler(struct outbox *o)
{
	if (o->size - o->head < sizeof(struct outbox_item) || item_at(o, o->head)->kind == FILLER)
		o->head = 0;
}

const struct outbox_item *outbox_ready(struct outbox *o, uint64_t durable)
{
	if (!o->items)
		return NULL;
	skip_filler(o);
	return item_at(o, o->head)->batch <= durable ? item_at(o, o->head) : NULL;
}

void outbox_pop(struct outbox *o)
{
	if (!o->items)
		return;
	skip_filler(o);
	o->head = (o->head + item_size(item_at(o, o->head)->len)) % o->size;
	o->items--;
}

void outbox_clear(struct outbox *o)
{
	o->head = o->tail = o->items = 0;
}
