/*
 * The lease store as the loop sees it: it fills a batch, hands it to the writer thread
 * (lease_writer.c), and is told through a descriptor when it is durable. This file decides
 * numbers and who may still write; the rest is lease_dir (directory, lock), lease_env (LMDB),
 * lease_record (octets) and lease_read (reading).
 *
 * Every function here is called on the loop thread. What a batch number promises:
 * on_durable(n) says that all that was put before submit returned n, and everything earlier, is
 * on disk. After on_failed(n) nothing from n on ever will be, nothing is written any more, and
 * what the owner keeps waiting for later numbers it must forget when it reopens.
 *
 * Spec: RFC 2131 §2.1 (configuration parameters repository); draft-ietf-dhc-failover-12 §5.4
 * (stable storage); decisions C1, C2, C4.
 */
#include "store/lease_store.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "store/lease_record.h"
#include "store/lease_store_priv.h"

#define BATCH_DEFAULT 4096
#define BATCH_EXTRA 64 /* relations and meta find room even when leases filled the batch */
#define BATCH_OVER 65536
#define OP_MAX (4 + LEASE_KEY_MAX + LEASE_RECORD_MAX)
#define MAP_MIN (1ull << 30)
#define MAP_PER_ADDRESS (4 * 512) /* four times a usual record with its share of the tree */
#define ADDRESSES_MAX (1ull << 32)

_Static_assert(LEASE_META_MAX <= LEASE_RECORD_MAX, "a meta value fits where a record does");

/* --- open and close --------------------------------------------------------------------------- */

static uint64_t map_size(const struct lease_store_conf *c)
{
	uint64_t addresses = c->addresses < ADDRESSES_MAX ? c->addresses : ADDRESSES_MAX;
	uint64_t size = addresses * MAP_PER_ADDRESS, min = c->map_min ? c->map_min : MAP_MIN;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return ((size > min ? size : min) + page - 1) & ~(page - 1);
}

/* One message of the partner, or one step of the state machine, may touch every address; several
 * may come while one batch is open. */
static uint32_t over_default(const struct lease_store_conf *c)
{
	uint64_t n = BATCH_OVER + 4 * (c->addresses < ADDRESSES_MAX ? c->addresses : ADDRESSES_MAX);

	return n < UINT32_MAX / 2 ? (uint32_t)n : UINT32_MAX / 2;
}

static int open_parts(struct lease_store *st, const struct lease_store_conf *c, char err[256])
{
	size_t batch_octets = ((size_t)st->batch_max + BATCH_EXTRA) * OP_MAX;
	int r = lease_dir_open(&st->dir, st->directory, err);

	if (r < 0)
		return r;
	st->env.directory = st->directory;
	st->env.dir_fd = st->dir.fd;
	st->env.map_want = map_size(c);
	r = lease_env_open(&st->env, err);
	if (r < 0)
		return r;
	r = lease_writer_start(&st->writer, &st->env, batch_octets);
	if (r < 0)
		return lease_dir_fail(err, st->directory, r, "cannot start the writer thread: %s",
				      strerror(-r));
	return 0;
}

int lease_store_open(const struct lease_store_conf *c, const struct lease_store_ops *ops,
		     struct lease_store **ret, char err[256])
{
	struct lease_store *st = calloc(1, sizeof(*st));
	int r;

	if (!st || !(st->directory = strdup(c->directory))) {
		free(st);
		return lease_dir_fail(err, c->directory, -ENOMEM, "out of memory");
	}
	st->ops = *ops;
	st->batch_max = c->batch_max ? c->batch_max : BATCH_DEFAULT;
	st->batch_over = c->batch_over ? c->batch_over : over_default(c);
	st->open = 1;
	st->dir = (struct lease_dir){ -1, -1 };
	st->writer.fd = -1;
	pthread_mutex_init(&st->env.map, NULL);
	r = open_parts(st, c, err);
	if (r < 0) {
		lease_store_close(st);
		return r;
	}
	*ret = st;
	return 0;
}

static void hand_over(struct lease_store *st)
{
	struct lease_batch *b = lease_writer_open(&st->writer);

	b->first = b->last = st->open++;
	st->deferred = false;
	lease_writer_submit(&st->writer);
}

/* A batch submitted while two were on their way has its turn too. */
static void drain(struct lease_store *st)
{
	struct pollfd pfd = { .fd = st->writer.fd, .events = POLLIN };

	while (st->deferred) {
		(void)poll(&pfd, 1, -1);
		if (lease_writer_collect(&st->writer).err < 0)
			st->deferred = false;
		else if (lease_writer_on_way(&st->writer) < LEASE_BATCHES - 1)
			hand_over(st);
	}
}

void lease_store_close(struct lease_store *st)
{
	if (!st)
		return;
	drain(st);
	lease_writer_stop(&st->writer);
	lease_env_close(&st->env);
	lease_dir_close(&st->dir);
	pthread_mutex_destroy(&st->env.map);
	free(st->directory);
	free(st);
}

int lease_store_reopen(struct lease_store *st, char err[256])
{
	int r;

	if (!st->failed)
		return lease_dir_fail(err, st->directory, -EINVAL, "the store has not failed");
	if (st->failed == -EIO)
		return lease_dir_fail(err, st->directory, -EIO,
				      "the disk failed: what it holds is unknown to this process: "
				      "look at the kernel's log, then start the daemon again");
	lease_env_close(&st->env);
	r = lease_env_open(&st->env, err);
	if (r < 0)
		return r;
	lease_writer_resume(&st->writer);
	st->failed = 0;
	st->ready = 0;
	st->open++; /* numbers of what was lost never come back */
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

uint64_t lease_store_batch(const struct lease_store *st)
{
	return st->open;
}

uint32_t lease_store_pending(const struct lease_store *st)
{
	return st->writer.ring[st->writer.submitted % LEASE_BATCHES].records;
}

bool lease_store_room(const struct lease_store *st, unsigned records)
{
	return !st->failed && (uint64_t)lease_store_pending(st) + records <= st->batch_max;
}

bool lease_store_overfull(const struct lease_store *st)
{
	return !st->failed && lease_store_pending(st) > (uint64_t)st->batch_max + st->batch_over / 2;
}

/* Room for one more operation, whatever its size. A batch that has grown stays so: its pages cost
 * nothing when they are not needed. */
static int make_room(struct wr *w)
{
	size_t size = w->size;
	uint8_t *p;

	if (w->size - w->len >= OP_MAX)
		return 0;
	size += size / 2 > OP_MAX ? size / 2 : OP_MAX;
	p = realloc(w->p, size);
	if (!p)
		return -ENOMEM;
	w->p = p;
	w->size = size;
	return 0;
}

/* Begin an operation in the open batch; the value follows. NULL: *ret_err says why not. */
static struct wr *begin_op(struct lease_store *st, enum lease_op op, const void *key,
			   size_t key_len, int *ret_err)
{
	struct lease_batch *b = lease_writer_open(&st->writer);
	uint32_t max = st->batch_max + st->batch_over;

	if (op == OP_RELATION || op == OP_META)
		max += BATCH_EXTRA;
	*ret_err = st->failed				 ? st->failed
		   : key_len > LEASE_KEY_MAX || !key_len ? -EINVAL
		   : b->records >= max			 ? -ENOBUFS
							 : make_room(&b->ops);
	if (*ret_err < 0)
		return NULL;
	wr_u8(&b->ops, (uint8_t)op);
	wr_u8(&b->ops, (uint8_t)key_len);
	wr_u16(&b->ops, 0);
	wr_octets(&b->ops, key, key_len);
	return &b->ops;
}

/* @value_len octets were written behind the operation that began at @at. */
static int end_op(struct lease_store *st, size_t at, size_t value_len)
{
	struct lease_batch *b = lease_writer_open(&st->writer);

	if (!value_len) { /* did not fit or makes no sense: as if it had never begun */
		b->ops.len = at;
		b->ops.bad = false;
		return -EINVAL;
	}
	b->ops.len += value_len;
	wr_set_u16(&b->ops, at + 2, (uint16_t)value_len);
	b->records++;
	return 0;
}

int lease_store_put(struct lease_store *st, const struct lease *l,
		    const struct lease_client *client)
{
	size_t at = lease_writer_open(&st->writer)->ops.len, n;
	uint8_t key[4];
	struct wr k = wr_init(key, sizeof(key)), *w;
	int r;

	wr_u32(&k, l->addr);
	w = begin_op(st, client ? OP_LEASE : OP_LEASE_KEEP, key, sizeof(key), &r);
	if (!w)
		return r;
	n = lease_record_encode(l, client, w->p + w->len, w->size - w->len);
	return end_op(st, at, n);
}

int lease_store_put_run(struct lease_store *st, const struct lease *l, uint32_t n)
{
	size_t at = lease_writer_open(&st->writer)->ops.len, len;
	uint8_t key[4];
	struct wr k = wr_init(key, sizeof(key)), *w;
	int r;

	if (!n || n - 1 > UINT32_MAX - l->addr ||
	    (l->state != LEASE_FREE && l->state != LEASE_BACKUP))
		return -EINVAL;
	wr_u32(&k, l->addr);
	w = begin_op(st, OP_RUN, key, sizeof(key), &r);
	if (!w)
		return r;
	len = run_record_encode(l, n, w->p + w->len, w->size - w->len);
	return end_op(st, at, len);
}

int lease_store_put_relation(struct lease_store *st, const char *name, const struct fo_record *rec)
{
	size_t at = lease_writer_open(&st->writer)->ops.len, n;
	struct wr *w;
	int r;

	w = begin_op(st, OP_RELATION, name, strlen(name), &r);
	if (!w)
		return r;
	n = fo_record_encode(rec, w->p + w->len, w->size - w->len);
	return end_op(st, at, n);
}

int lease_store_put_meta(struct lease_store *st, const char *key, const void *p, size_t len)
{
	size_t at = lease_writer_open(&st->writer)->ops.len;
	struct wr *w;
	int r;

	if (!strcmp(key, "format") || !len || len > LEASE_META_MAX)
		return -EINVAL;
	w = begin_op(st, OP_META, key, strlen(key), &r);
	if (!w)
		return r;
	memcpy(w->p + w->len, p, len);
	return end_op(st, at, len);
}

static void submit_empty(struct lease_store *st)
{
	if (lease_writer_on_way(&st->writer)) {
		lease_writer_extend(&st->writer, st->open++);
		return;
	}
	st->ready = st->open++;
	lease_writer_tell(&st->writer);
}

uint64_t lease_store_submit(struct lease_store *st)
{
	uint64_t number = st->open;

	if (st->failed)
		return 0;
	if (!lease_store_pending(st))
		submit_empty(st);
	else if (lease_writer_on_way(&st->writer) < LEASE_BATCHES - 1)
		hand_over(st);
	else
		st->deferred = true;
	return number;
}

uint64_t lease_store_covers(const struct lease_store *st)
{
	return lease_store_pending(st) ? st->open : st->open - 1;
}

void lease_store_discard(struct lease_store *st)
{
	lease_writer_empty(&st->writer);
	st->deferred = false;
}

bool lease_store_idle(const struct lease_store *st)
{
	return lease_writer_idle(&((struct lease_store *)(uintptr_t)st)->writer);
}

/* --- what became of it ------------------------------------------------------------------------ */

int lease_store_fd(const struct lease_store *st)
{
	return st->writer.fd;
}

void lease_store_dispatch(struct lease_store *st)
{
	struct lease_outcome out = lease_writer_collect(&st->writer);
	uint64_t durable = out.durable > st->ready ? out.durable : st->ready;

	st->ready = 0;
	if (out.err < 0) {
		st->failed = out.err;
		st->deferred = false;
	} else if (st->deferred && lease_writer_on_way(&st->writer) < LEASE_BATCHES - 1) {
		hand_over(st);
	}
	if (durable)
		st->ops.on_durable(st->ops.ctx, durable);
	if (out.err < 0)
		st->ops.on_failed(st->ops.ctx, out.lost, out.err);
}

void lease_store_stats(struct lease_store *st, struct lease_store_stats *ret)
{
	struct lease_writer_stats w = lease_writer_stats(&st->writer);

	*ret = (struct lease_store_stats){
		.commits = w.commits,
		.records = w.records,
		.failed = w.failed,
		.commit_us_total = w.us_total,
		.commit_us_max = w.us_max,
		.bad_records = st->bad_records,
		.bad_addr = st->bad_addr,
	};
	lease_dir_space(&st->dir, &ret->disk_free, &ret->disk_size);
	lease_env_size(&st->env, &ret->map_size, &ret->used);
}
