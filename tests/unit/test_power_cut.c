/*
 * Power failure (decision E2): a child writes many batches while preload_synclog logs what reaches
 * the file, and marks in the same log what the store promised. Then for every sync in the log the
 * file is rebuilt as a disk might hold it had the power failed just before that sync returned: what
 * was synced, plus none, all, or some sectors of what was written since. Each of these files must
 * open, hold every promised batch, and be exactly what the batches up to one of them make:
 * no half batch, nothing of another time.
 *
 * Two tests of the test: with a disk that ignores fdatasync it must find faults; and
 * test_power_cut_mutant.c is this program with a store that promises before it commits.
 * Environment: POWER_CUT_SEED=n for another run.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include "../lib/store_test.h"
#include "../lib/synclog.h"

#ifndef FAULTS_EXPECTED
#define FAULTS_EXPECTED false
#endif

#define BATCHES 120
#define ADDRS 300
#define SECTOR 512
#define FILE_MAX (8u << 20)
#define PENDING_MAX 4096
#define RANDOM_VARIANTS 4

static uint64_t seed = 1;

static uint64_t rnd(uint64_t *x) /* splitmix64 */
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* --- what batch n holds: the same in the child, which writes it, and in the model
 * ------------------ */

struct change {
	struct lease lease;
	bool keep;
	uint32_t run; /* so many addresses from this one on; 0: a lease */
	struct lease_client client;
};

static unsigned batch_size(uint64_t n)
{
	uint64_t x = seed * 1000003 + n;
	uint64_t kind = rnd(&x);

	return kind % 7 == 0 ? 0 : kind % 5 == 0 ? 200 : 1 + rnd(&x) % 30;
}

static struct change batch_change(uint64_t n, unsigned i)
{
	uint64_t x = (seed * 1000003 + n) * 4099 + i;
	struct change c = { .lease = { .addr = (uint32_t)(rnd(&x) % ADDRS),
				       .starts = (uint32_t)n,
				       .serial = (uint32_t)rnd(&x),
				       .expires = (uint32_t)rnd(&x),
				       .state = (uint8_t)(rnd(&x) % 8) } };

	c.keep = rnd(&x) % 3 == 0;
	c.client.htype = 1;
	c.client.hlen = 6;
	c.client.id_len = (uint8_t)rnd(&x);
	c.client.relay_agent_len = (uint8_t)(rnd(&x) % 40);
	memset(c.client.chaddr, (int)n, 6);
	memset(c.client.id, (int)rnd(&x), c.client.id_len);
	memset(c.client.relay_agent, (int)i, c.client.relay_agent_len);
	if (rnd(&x) % 4 == 0) {
		c.run = 1 + (uint32_t)(rnd(&x) % (rnd(&x) % 2 ? 20 : ADDRS));
		c.run = c.run < ADDRS - c.lease.addr ? c.run : ADDRS - c.lease.addr;
		c.lease.state = rnd(&x) % 2 ? LEASE_FREE : LEASE_BACKUP;
	}
	return c;
}

struct model {
	uint64_t batch; /* all up to this one are in it */
	bool there[ADDRS];
	struct lease lease[ADDRS];
	struct lease_client client[ADDRS];
	bool in_run[ADDRS];
	struct lease run[ADDRS];
};

static void model_run(struct model *m, const struct change *c)
{
	for (uint32_t a = c->lease.addr; a < c->lease.addr + c->run; a++) {
		m->in_run[a] = true;
		m->run[a] = c->lease;
	}
}

/* The model after @batch; earlier than it is now: from the beginning. */
static void model_to(struct model *m, uint64_t batch)
{
	if (batch < m->batch)
		memset(m, 0, sizeof(*m));
	while (m->batch < batch) {
		unsigned size = batch_size(++m->batch);

		for (unsigned i = 0; i < size; i++) {
			struct change c = batch_change(m->batch, i);
			uint32_t a = c.lease.addr;

			if (c.run) {
				model_run(m, &c);
				continue;
			}
			m->there[a] = true;
			m->lease[a] = c.lease;
			if (!c.keep)
				m->client[a] = c.client;
		}
	}
}

/* --- the child -------------------------------------------------------------------------------- */

static void (*mark)(uint64_t batch);

static void marking(void *ctx, uint64_t batch)
{
	told_durable(ctx, batch);
	mark(batch);
}

static void fill(struct lease_store *st, uint64_t n)
{
	unsigned size = batch_size(n);

	for (unsigned i = 0; i < size; i++) {
		struct change c = batch_change(n, i);

		if ((c.run ? lease_store_put_run(st, &c.lease, c.run)
			   : lease_store_put(st, &c.lease, c.keep ? NULL : &c.client)) < 0)
			abort();
	}
	if (size && lease_store_put_meta(st, "batch", &n, sizeof(n)) < 0)
		abort();
}

static int write_batches(const char *dir)
{
	struct lease_store_conf conf = { .directory = dir, .map_min = 256 << 10 };
	struct told told = { 0 };
	struct lease_store_ops ops = { &told, marking, told_failed };
	struct lease_store *st;
	char err[256];

	*(void **)&mark = dlsym(RTLD_DEFAULT, "synclog_mark");
	if (lease_store_open(&conf, &ops, &st, err) < 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (uint64_t n = 1; n <= BATCHES; n++) {
		fill(st, n);
		if (lease_store_submit(st) != n)
			abort();
		/* by turns: each for itself, and two on their way */
		store_wait(st, &told, n % 16 < 8 ? n : n - 1);
	}
	store_wait(st, &told, BATCHES);
	lease_store_close(st);
	return told.n_failed != 0;
}

/* --- one possible disk ------------------------------------------------------------------------ */

struct disk {
	const uint8_t *log, *end;
	uint8_t *safe; /* what was synced */
	size_t safe_len;
	const struct synclog_record *pending[PENDING_MAX]; /* written, not synced */
	unsigned n_pending;
	uint64_t promised;
	enum { UNNAMED, RENAMED, NAMED } name;
	char dir[64]; /* where it is looked at */
	struct model model;
	unsigned syncs, looked, faults;
	bool lies; /* fdatasync does nothing */
};

static const uint8_t *payload(const struct synclog_record *r)
{
	return (const uint8_t *)(r + 1);
}

static void apply(uint8_t *file, size_t *len, const struct synclog_record *r, size_t from, size_t n)
{
	size_t end = r->off + from + n;

	if (end > FILE_MAX)
		abort();
	if (end > *len) {
		memset(file + *len, 0, end - *len);
		*len = end;
	}
	memcpy(file + r->off + from, payload(r) + from, n);
}

/* A write of the meta page reaches the disk whole or not at all (it lies within one sector). */
static void apply_some(uint8_t *file, size_t *len, const struct synclog_record *r, uint64_t *chance)
{
	size_t step = r->op == SYNCLOG_DSYNC ? r->len : SECTOR;

	for (size_t at = 0; at < r->len; at += step)
		if (rnd(chance) & 1)
			apply(file, len, r, at, r->len - at < step ? r->len - at : step);
}

struct look {
	struct disk *d;
	unsigned n, n_run, next_run;
	bool wrong;
};

static int compare(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct look *k = ctx;
	struct model *m = &k->d->model;

	k->n++;
	k->wrong |= l->addr >= ADDRS || !m->there[l->addr] ||
		    memcmp(l, &m->lease[l->addr], sizeof(*l)) ||
		    memcmp(c, &m->client[l->addr], sizeof(*c));
	return 0;
}

/* No address belongs to two runs, and each to the last that said anything of it. */
static int compare_run(void *ctx, const struct lease *l, uint32_t n)
{
	struct look *k = ctx;

	for (uint32_t a = l->addr; n--; a++, k->n_run++) {
		const struct lease *m = &k->d->model.run[a];

		k->wrong |= a >= ADDRS || !k->d->model.in_run[a] || a < k->next_run;
		k->wrong |= l->state != m->state || l->serial != m->serial;
		k->next_run = a + 1;
	}
	return 0;
}

/* Return: NULL, or what is wrong with this store. */
static const char *judge(struct disk *d, struct lease_store *st)
{
	struct look k = { .d = d };
	uint64_t batch = 0;
	size_t len = sizeof(batch);
	unsigned expected = 0;
	int r = lease_store_get_meta(st, "batch", &batch, &len);

	if (r < 0 && r != -ENOENT)
		return "meta is damaged";
	while (batch + 1 <= d->promised && !batch_size(batch + 1))
		batch++; /* an empty one leaves no trace */
	if (batch < d->promised)
		return "a promised batch is lost";
	if (batch > BATCHES)
		return "a batch that never was";
	model_to(&d->model, batch);
	if (lease_store_scan(st, compare, &k) < 0 || k.wrong)
		return "a record differs";
	if (lease_store_scan_runs(st, compare_run, &k) < 0 || k.wrong)
		return "a run differs";
	for (unsigned i = 0; i < ADDRS; i++)
		expected += d->model.there[i] + d->model.in_run[i];
	return k.n + k.n_run == expected ? NULL : "a record is missing";
}

static void put_file(const struct disk *d, const char *name, const uint8_t *file, size_t len)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", d->dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/new.mdb", d->dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, file, len) != (ssize_t)len || close(fd) < 0)
		abort();
}

static void look(struct disk *d, const char *name, const uint8_t *file, size_t len)
{
	struct lease_store_conf conf = { .directory = d->dir,
					 .batch_max = 1,
					 .map_min = 256 << 10 };
	struct told told = { 0 };
	struct lease_store_ops ops = { &told, told_durable, told_failed };
	struct lease_store *st = NULL;
	char err[256];
	const char *fault;

	put_file(d, name, file, len);
	fault = lease_store_open(&conf, &ops, &st, err) < 0 ? err : judge(d, st);
	lease_store_close(st);
	d->looked++;
	if (!fault)
		return;
	if (!d->faults++)
		printf("%sseed %llu, sync %u, promised %llu: %s\n",
		       d->lies ? "as it must with a disk that ignores fdatasync: " : "",
		       (unsigned long long)seed, d->syncs, (unsigned long long)d->promised, fault);
}

/* The power fails now: @last, if any, is the write that was under way. */
static void cut(struct disk *d, const struct synclog_record *last)
{
	static uint8_t file[FILE_MAX];
	uint64_t chance = seed + d->syncs * 7919;

	if (last)
		d->pending[d->n_pending++] = last;
	for (unsigned v = 0; v < 2 + RANDOM_VARIANTS; v++) {
		bool named = d->name == NAMED || (d->name == RENAMED && v % 2);
		size_t len = d->safe_len;

		memcpy(file, d->safe, len);
		for (unsigned i = 0; v && i < d->n_pending; i++)
			if (v == 1)
				apply(file, &len, d->pending[i], 0, d->pending[i]->len);
			else
				apply_some(file, &len, d->pending[i], &chance);
		look(d, named ? "data.mdb" : "new.mdb", file, len);
	}
	if (last)
		d->n_pending--;
	d->syncs++;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void sync_all(struct disk *d)
{
	for (unsigned i = 0; i < d->n_pending; i++)
		apply(d->safe, &d->safe_len, d->pending[i], 0, d->pending[i]->len);
	d->n_pending = 0;
}

static void event(struct disk *d, const struct synclog_record *r)
{
	switch ((enum synclog_op)r->op) {
	case SYNCLOG_WRITE:
		if (d->n_pending + 1 >= PENDING_MAX)
			abort();
		d->pending[d->n_pending++] = r;
		return;
	case SYNCLOG_DSYNC:
		cut(d, r);
		apply(d->safe, &d->safe_len, r, 0, r->len);
		return;
	case SYNCLOG_SYNC:
		cut(d, NULL);
		if (!d->lies)
			sync_all(d);
		return;
	case SYNCLOG_RENAME:
		d->name = RENAMED;
		return;
	case SYNCLOG_DIR:
		cut(d, NULL);
		d->name = NAMED;
		return;
	case SYNCLOG_MARK:
		d->promised = r->off;
		return;
	case SYNCLOG_ODD:
		break;
	}
	fputs("the log holds what this test has no meaning for\n", stderr);
	abort();
}

static void replay(struct disk *d)
{
	const uint8_t *p = d->log;

	while (p < d->end) {
		const struct synclog_record *r = (const void *)p;

		event(d, r);
		p += sizeof(*r) + ((r->len + 7) & ~7u);
		if (d->lies && d->faults)
			return;
	}
	cut(d, NULL);
}

/* The log in memory, each record aligned. */
static void load_log(struct disk *d, const char *path)
{
	size_t room = 64u << 20, len = 0;
	uint8_t *buf = calloc(1, room);
	struct synclog_record r;
	FILE *f = fopen(path, "rb");

	if (!f || !buf)
		abort();
	while (fread(&r, sizeof(r), 1, f) == 1) {
		if (len + sizeof(r) + r.len + 8 > room)
			abort();
		memcpy(buf + len, &r, sizeof(r));
		if (r.len && fread(buf + len + sizeof(r), r.len, 1, f) != 1)
			abort();
		len += sizeof(r) + ((r.len + 7) & ~7u);
	}
	fclose(f);
	d->log = buf;
	d->end = buf + len;
}

static int run_child(char **argv, const char *dir, const char *log)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("POWER_CUT_DIR", dir, 1);
		setenv("SYNCLOG", log, 1);
		preload(argv, "preload_synclog", "synclog_mark");
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a process of its own, since LMDB may trip over what such a disk leaves. */
static bool lying_disk_is_noticed(struct disk *d)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		d->lies = true;
		replay(d);
		fflush(stdout);
		_exit(d->faults ? 1 : 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

static int power_cuts(char **argv)
{
	static struct disk d;
	char dir[64], log[96];
	int r;

	store_dir_make(dir);
	store_dir_make(d.dir);
	snprintf(log, sizeof(log), "%s.log", dir);
	r = run_child(argv, dir, log);
	if (r == 0) {
		load_log(&d, log);
		d.safe = calloc(1, FILE_MAX);
		r = lying_disk_is_noticed(&d) ? 0 : 1;
		if (r)
			puts("a disk that ignores fdatasync went unnoticed");
		replay(&d);
		printf("%u syncs, %u disks looked at, %u faults\n", d.syncs, d.looked, d.faults);
		r |= d.promised != BATCHES || d.syncs < BATCHES / 2 ||
		     (d.faults > 0) != FAULTS_EXPECTED;
	}
	(void)unlink(log);
	store_dir_remove(dir);
	store_dir_remove(d.dir);
	return r;
}

int main(int argc, char **argv)
{
	(void)argc;
	if (getenv("POWER_CUT_SEED"))
		seed = strtoull(getenv("POWER_CUT_SEED"), NULL, 0);
	if (dlsym(RTLD_DEFAULT, "synclog_mark"))
		return write_batches(getenv("POWER_CUT_DIR"));
	return power_cuts(argv);
}
