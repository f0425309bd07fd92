#pragma once
/*
 * The writer thread and the ring of batches between it and the loop. Private to store/.
 *
 * Ring of three batches; three counters say whose each is:
 *
 *	freed <= done <= submitted <= freed + 2
 *	batch n in [freed, done)      committed; the loop will say so (lease_writer_collect)
 *	batch n in [done, submitted)  the writer's, in order; @done is being written
 *	batch submitted	              the loop's, open: it alone fills it
 *
 * Only the loop moves @submitted and @freed, only the writer moves @done, all under @lock. An
 * error stops the writer at @done until lease_writer_resume. Nothing here allocates after start.
 */
#include <pthread.h>
#include "core/wire.h"
#include "store/lease_env.h"

enum lease_op {
	OP_LEASE,      /* a whole record */
	OP_LEASE_KEEP, /* numbers only: the holder stays as the record on disk has it */
	OP_RUN,	       /* key: the first address; older runs that it overlaps are cut */
	OP_RELATION,
	OP_META,
};

#define LEASE_KEY_MAX 126
#define LEASE_BATCHES 3

struct lease_batch {
	uint64_t first, last; /* numbers it stands for: empty batches join the one before */
	uint32_t records;
	struct wr ops; /* op u8, key length u8, value length u16, key, value */
};

struct lease_writer_stats {
	uint64_t commits, records, failed, us_total, us_max;
};

struct lease_writer {
	struct lease_env *env;
	int fd; /* eventfd: something to collect */
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct lease_batch ring[LEASE_BATCHES];
	uint64_t freed, done, submitted;
	int err; /* of the batch @done; the writer rests */
	bool stop;
	struct lease_writer_stats stats;
};

struct lease_outcome {
	uint64_t durable; /* 0: nothing new */
	int err;	  /* < 0: @lost and all later ones are gone */
	uint64_t lost;
};

/* @batch_octets: room of each batch. Return: 0; -ENOMEM; -errno. */
int lease_writer_start(struct lease_writer *w, struct lease_env *env, size_t batch_octets);
/* Finish what was submitted, end the thread, free. Half-started ones too. */
void lease_writer_stop(struct lease_writer *w);

/* Loop thread. */
static inline struct lease_batch *lease_writer_open(struct lease_writer *w)
{
	return &w->ring[w->submitted % LEASE_BATCHES];
}
static inline unsigned lease_writer_on_way(const struct lease_writer *w)
{
	return (unsigned)(w->submitted - w->freed);
}
bool lease_writer_idle(struct lease_writer *w);
void lease_writer_empty(struct lease_writer *w);		 /* the open batch */
void lease_writer_submit(struct lease_writer *w);		 /* hand over the open batch */
void lease_writer_extend(struct lease_writer *w, uint64_t last); /* number of the newest one */
void lease_writer_tell(struct lease_writer *w);			 /* make the fd readable */
struct lease_outcome lease_writer_collect(struct lease_writer *w);
void lease_writer_resume(struct lease_writer *w); /* after an error, environment opened anew */
struct lease_writer_stats lease_writer_stats(struct lease_writer *w);
