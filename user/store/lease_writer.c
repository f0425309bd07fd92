/*
 * The writer thread: takes a batch, puts all of it into one transaction, commits (LMDB: data,
 * fdatasync, then the meta page through an O_DSYNC descriptor), tells the loop by an eventfd.
 * While it works the loop fills the next batch: that is the group commit (decision C1).
 *
 * After an error it does nothing until told to: a commit is never tried again, since after a
 * failed fdatasync nobody knows what the disk has (decision C2). Only a full map is mended and
 * the batch applied once more: then nothing had been written.
 *
 * Callers: lease_store.c, on the loop thread. The thread itself touches the ring, the
 * environment's write side, and nothing else of the process.
 */
#include "store/lease_writer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "store/lease_record.h"
#include "store/lease_run.h"
#include "sys/clock.h"

/* --- one batch -------------------------------------------------------------------------------- */

/* A transaction. Most leases of a batch follow each other, as a resynchronisation goes by address:
 * a cursor that stands near finds the next one without a walk down from the root. */
struct put {
	const struct lease_env *e;
	MDB_txn *txn;
	MDB_cursor *leases;
};

static int keep_client(MDB_cursor *at, MDB_val *key, struct octets fresh)
{
	uint8_t buf[LEASE_RECORD_MAX];
	MDB_val old, val = { fresh.len, (void *)(uintptr_t)fresh.p };
	int r = err_from_mdb(mdb_cursor_get(at, key, &old, MDB_SET));
	struct octets was;

	if (r == -ENOENT)
		return err_from_mdb(mdb_cursor_put(at, key, &val, 0));
	if (r < 0)
		return r;
	was = (struct octets){ old.mv_data, (uint32_t)old.mv_size };
	r = lease_record_merge(fresh, was, buf, sizeof(buf));
	if (r < 0)
		return r;
	val = (MDB_val){ (size_t)r, buf };
	return err_from_mdb(mdb_cursor_put(at, key, &val, MDB_CURRENT));
}

static int apply_op(const struct put *p, enum lease_op op, struct octets key, struct octets value)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.p };
	MDB_val v = { value.len, (void *)(uintptr_t)value.p };

	switch (op) {
	case OP_LEASE:
		return err_from_mdb(mdb_cursor_put(p->leases, &k, &v, 0));
	case OP_LEASE_KEEP:
		return keep_client(p->leases, &k, value);
	case OP_RUN:
		return lease_run_put(p->e, p->txn, key, value);
	case OP_RELATION:
		return err_from_mdb(mdb_put(p->txn, p->e->relations, &k, &v, 0));
	case OP_META:
		return lease_meta_put(p->txn, p->e->meta, k, v);
	}
	return -EIO;
}

static int apply_ops(const struct put *p, const struct lease_batch *b)
{
	struct rd rd = rd_init(b->ops.p, b->ops.len);

	while (rd.len) {
		enum lease_op op = rd_u8(&rd);
		uint8_t key_len = rd_u8(&rd);
		uint16_t value_len = rd_u16(&rd);
		struct octets key = rd_octets(&rd, key_len), value = rd_octets(&rd, value_len);
		int r = apply_op(p, op, key, value);

		if (r < 0)
			return r;
	}
	return 0;
}

static int commit_once(struct lease_env *e, const struct lease_batch *b)
{
	struct put p = { .e = e };
	int r = err_from_mdb(mdb_txn_begin(e->mdb, NULL, 0, &p.txn));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_cursor_open(p.txn, e->leases, &p.leases));
	if (r == 0) {
		r = apply_ops(&p, b);
		mdb_cursor_close(p.leases);
	}
	if (r == 0)
		return err_from_mdb(mdb_txn_commit(p.txn));
	mdb_txn_abort(p.txn);
	return r;
}

static int commit(struct lease_env *e, const struct lease_batch *b)
{
	uint64_t need;
	int r;

	if (e->lost)
		return e->lost;
	need = lease_env_need(e, b->records, b->ops.len);
	/* else a small batch would find room where the next large one fails again */
	if (need < e->refused)
		need = e->refused;
	r = lease_env_reserve(e, need);
	e->refused = r == -ENOSPC ? need : 0;
	if (r < 0)
		return r;
	r = commit_once(e, b);
	if (r == -EOVERFLOW) {
		r = lease_env_grow(e, need);
		r = r < 0 ? r : commit_once(e, b);
	} else if (r == -EAGAIN) {
		r = lease_env_follow(e);
		r = r < 0 ? r : commit_once(e, b);
	}
	if (r == 0 && lease_env_tight(e))   /* now, so that no batch has to be applied twice */
		(void)lease_env_grow(e, 0); /* a failure stands in e->lost and fails the next */
	return r;
}

/* --- the thread ------------------------------------------------------------------------------- */

void lease_writer_tell(struct lease_writer *w)
{
	uint64_t one = 1;

	(void)!write(w->fd, &one, sizeof(one)); /* full: it is readable already */
}

static void count(struct lease_writer_stats *s, const struct lease_batch *b, uint64_t ns, int r)
{
	if (r < 0) {
		s->failed++;
		return;
	}
	s->commits++;
	s->records += b->records;
	s->us_total += ns / 1000;
	if (s->us_max < ns / 1000)
		s->us_max = ns / 1000;
}

static void finish(struct lease_writer *w, const struct lease_batch *b, uint64_t ns, int r)
{
	pthread_mutex_lock(&w->lock);
	count(&w->stats, b, ns, r);
	if (r < 0)
		w->err = r;
	else
		w->done++;
	pthread_mutex_unlock(&w->lock);
	lease_writer_tell(w);
}

static void write_batch(struct lease_writer *w, const struct lease_batch *b)
{
#ifdef MUTANT_DURABLE_EARLY /* tests/unit/test_power_cut_mutant.c: must be noticed */
	finish(w, b, 0, 0);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	(void)commit(w->env, b);
#else
	uint64_t began = clock_monotonic_ns();
	int r = commit(w->env, b);

	finish(w, b, clock_monotonic_ns() - began, r);
	if (r == 0) /* now that the loop knows */
		lease_env_write_ahead(w->env);
#endif
}

/* The next batch to write, NULL to end. */
static struct lease_batch *wait_for_work(struct lease_writer *w)
{
	struct lease_batch *b = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && (w->err || w->done == w->submitted))
		pthread_cond_wait(&w->wake, &w->lock);
	if (!w->err && w->done != w->submitted)
		b = &w->ring[w->done % LEASE_BATCHES];
	pthread_mutex_unlock(&w->lock);
	return b;
}

static void *writer_main(void *arg)
{
	struct lease_writer *w = arg;
	struct lease_batch *b;

	while ((b = wait_for_work(w)))
		write_batch(w, b);
	return NULL;
}

static int start_thread(struct lease_writer *w)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->started = r == 0;
	return r;
}

int lease_writer_start(struct lease_writer *w, struct lease_env *env, size_t batch_octets)
{
	*w = (struct lease_writer){ .env = env, .fd = -1 };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	for (int i = 0; i < LEASE_BATCHES; i++) {
		void *p = malloc(batch_octets); /* large: pages never needed cost nothing */

		if (!p)
			return -ENOMEM;
		w->ring[i].ops = wr_init(p, batch_octets);
	}
	return start_thread(w);
}

void lease_writer_stop(struct lease_writer *w)
{
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->wake);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		w->started = false;
	}
	for (int i = 0; i < LEASE_BATCHES; i++)
		free(w->ring[i].ops.p);
	if (w->fd >= 0)
		close(w->fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
}

/* --- the loop's side -------------------------------------------------------------------------- */

static void empty(struct lease_batch *b)
{
	b->records = 0;
	b->ops.len = 0;
	b->ops.bad = false;
}

void lease_writer_empty(struct lease_writer *w)
{
	empty(lease_writer_open(w));
}

bool lease_writer_idle(struct lease_writer *w)
{
	bool idle;

	pthread_mutex_lock(&w->lock);
	idle = w->err || w->done == w->submitted;
	pthread_mutex_unlock(&w->lock);
	return idle;
}

void lease_writer_submit(struct lease_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->submitted++;
	empty(lease_writer_open(w));
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void lease_writer_extend(struct lease_writer *w, uint64_t last)
{
	pthread_mutex_lock(&w->lock);
	w->ring[(w->submitted - 1) % LEASE_BATCHES].last = last;
	pthread_mutex_unlock(&w->lock);
}

struct lease_outcome lease_writer_collect(struct lease_writer *w)
{
	struct lease_outcome out = { 0 };
	uint64_t told;

	(void)!read(w->fd, &told, sizeof(told)); /* nothing to read: somebody asked early */
	pthread_mutex_lock(&w->lock);
	if (w->freed < w->done)
		out.durable = w->ring[(w->done - 1) % LEASE_BATCHES].last;
	w->freed = w->done;
	if (w->err && w->done < w->submitted) {
		out.err = w->err;
		out.lost = w->ring[w->done % LEASE_BATCHES].first;
		w->freed = w->done = w->submitted;
		empty(lease_writer_open(w));
	}
	pthread_mutex_unlock(&w->lock);
	return out;
}

void lease_writer_resume(struct lease_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->err = 0;
	empty(lease_writer_open(w));
	pthread_mutex_unlock(&w->lock);
}

struct lease_writer_stats lease_writer_stats(struct lease_writer *w)
{
	struct lease_writer_stats s;

	pthread_mutex_lock(&w->lock);
	s = w->stats;
	pthread_mutex_unlock(&w->lock);
	return s;
}
