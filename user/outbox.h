#pragma once
/*
 * What waits for a commit: replies, failover messages, closes, policies, in the order they were
 * decided, each with the number of the batch that must be durable before it may leave. One ring
 * of fixed size, no allocation per item.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_item {
	uint64_t batch;
	uint32_t len; /* octets of payload that follow */
	uint16_t kind;
	uint16_t relation;
	/* payload, aligned to 8 */
};

struct outbox {
	uint8_t *mem;
	size_t size, head, tail; /* head == tail: empty */
	size_t items;
};

int outbox_init(struct outbox *o, size_t size); /* 0 or -ENOMEM */
void outbox_done(struct outbox *o);

/* Room for an item of @len octets; NULL when the ring is full. @batch never falls. */
void *outbox_push(struct outbox *o, uint64_t batch, uint16_t kind, uint16_t relation, uint32_t len);
/* The oldest item if its batch is durable, else NULL. The payload follows it. */
const struct outbox_item *outbox_ready(struct outbox *o, uint64_t durable);
void outbox_pop(struct outbox *o);
void outbox_clear(struct outbox *o);

static inline const void *outbox_payload(const struct outbox_item *i)
{
	return i + 1;
}
