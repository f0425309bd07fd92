/*
 * twinbench: clients that wait for an answer. All in one list wait equally long, so each list is
 * in the order of time and only its head is looked at.
 * Spec: RFC 2131 §4.1 (doubled up to 64 s, and a random part that is not the same for all).
 */
#include <string.h>
#include "bench.h"

#define LONGEST_US 64000000LL

/* Of one level: doubled as often as it was sent, one of several steps around that. */
static int64_t wait_us(const struct bench_conf *c, unsigned list)
{
	unsigned level = list / BENCH_JITTERS, step = list % BENCH_JITTERS;
	int64_t jitter = (int64_t)c->jitter_ms * 1000;
	int64_t us = (int64_t)c->timeout_ms * 1000;

	for (; c->backoff && level > 0 && us < LONGEST_US; level--)
		us = 2 * us < LONGEST_US ? 2 * us : LONGEST_US;
	return us - jitter + 2 * jitter * step / (BENCH_JITTERS - 1);
}

void bench_wait_init(struct bench *b)
{
	memset(b->head, 0xff, sizeof(b->head));
	memset(b->tail, 0xff, sizeof(b->tail));
	for (unsigned i = 0; i < BENCH_LISTEN; i++)
		b->wait_us[i] = wait_us(&b->conf, i);
	b->wait_us[BENCH_LISTEN] = (int64_t)b->conf.listen_ms * 1000;
}

/* Another step for each client, each exchange and each level. */
static uint8_t list_of(const struct bench_client *cl)
{
	uint32_t step = (cl->xid + cl->level) * 2654435761u >> 29;

	if (cl->state == CL_LISTEN)
		return BENCH_LISTEN;
	return (uint8_t)(cl->level * BENCH_JITTERS + step % BENCH_JITTERS);
}

void bench_wait_add(struct bench *b, struct bench_client *cl)
{
	uint32_t n = bench_number(b, cl), last;

	cl->list = list_of(cl);
	last = b->tail[cl->list];
	cl->next = BENCH_NONE;
	cl->prev = last;
	if (last == BENCH_NONE)
		b->head[cl->list] = n;
	else
		b->client[last].next = n;
	b->tail[cl->list] = n;
}

void bench_wait_remove(struct bench *b, struct bench_client *cl)
{
	if (cl->prev == BENCH_NONE)
		b->head[cl->list] = cl->next;
	else
		b->client[cl->prev].next = cl->next;
	if (cl->next == BENCH_NONE)
		b->tail[cl->list] = cl->prev;
	else
		b->client[cl->next].prev = cl->prev;
}

/* Those that are sent again meanwhile come to an end of a list, with a later time. */
void bench_wait_run_out(struct bench *b)
{
	for (unsigned i = 0; i < BENCH_LISTS; i++)
		while (b->head[i] != BENCH_NONE) {
			struct bench_client *cl = &b->client[b->head[i]];

			if (cl->sent_us + b->wait_us[i] > b->now.us)
				break;
			bench_exchange_timeout(b, cl);
		}
}

int64_t bench_wait_next(const struct bench *b, int64_t latest)
{
	for (unsigned i = 0; i < BENCH_LISTS; i++) {
		uint32_t n = b->head[i];

		if (n != BENCH_NONE && b->client[n].sent_us + b->wait_us[i] < latest)
			latest = b->client[n].sent_us + b->wait_us[i];
	}
	return latest;
}
