/*
 * The node and its store: what a commit sets free, what a failed one takes away, and everything
 * that is read at the start, or again after a failure.
 *
 * Callers: node (start), node_turn (each turn, while it does not serve), node_reload, and the loop.
 */
#include "node_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RETRY_STORE_US 1000000

/* --- when it fails ---------------------------------------------------------------------------- */

/* Memory is not to be believed any more. Silent from here on: what waits is forgotten, the
 * partner finds nobody, clients are not answered. */
void node_stop_serving(struct node *n, int err)
{
	if (n->serving) {
		snprintf(n->why_not, sizeof(n->why_not), "the store in %s cannot be written: %s",
			 n->conf->server.state_directory, strerror(-err));
		log_event(LOG_L_ERROR, "store-failed", "error=\"%s\" serving=no", strerror(-err));
	}
	n->serving = n->suspect = false;
	n->probe = 0;
	node_outbox_clear(n);
	node_partner_lost(n, FO_CLOSE_STATE);
	n->retry_store = mono_add_us(n->now.mono, RETRY_STORE_US);
}

/* After a failed commit everything in memory is suspect, disk alone is true (decision C2). Whether
 * it takes records again is shown by a record: a server that could only offer would be worse than
 * none. */
void node_store_again(struct node *n)
{
	char err[256];

	if (n->probe || n->now.mono.us < n->retry_store.us)
		return;
	n->retry_store = mono_add_us(n->now.mono, RETRY_STORE_US);
	if (n->store_failed && lease_store_reopen(n->store, err) < 0)
		return;
	n->store_failed = false;
	if (lease_store_put_meta(n->store, "start-count", &n->start_count,
				 sizeof(n->start_count)) == 0)
		n->probe = lease_store_submit(n->store);
}

static void recover(struct node *n)
{
	n->probe = 0;
	if (node_load(n) < 0)
		return; /* and once more, after a moment */
	n->serving = true;
	n->behind = false;
	n->why_not[0] = 0;
	log_event(LOG_L_INFO, "store-recovered", "serving=yes");
}

/* --- commits ---------------------------------------------------------------------------------- */

static void on_store(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;

	(void)fd;
	(void)what;
	node_turn_begin(n);
	lease_store_dispatch(n->store);
}

static void on_durable(void *ctx, uint64_t batch)
{
	struct node *n = ctx;
	int reading;

	n->durable = batch;
	if (n->probe && batch >= n->probe)
		recover(n);
	reading = lease_store_read(n->store); /* many updates may leave now, each with its client */
	if (n->serving)
		node_partner_durable(n, batch);
	if (reading == 0)
		lease_store_read_end(n->store);
	node_flush(n);
}

static void on_failed(void *ctx, uint64_t batch, int err)
{
	struct node *n = ctx;

	(void)batch;
	n->store_failed = true;
	node_stop_serving(n, err);
	if (err == -EIO) {
		n->fatal = err;
		event_base_loopbreak(n->base);
	}
}

/* --- what it holds ---------------------------------------------------------------------------- */

static void note_time(struct node *n, uint32_t sec)
{
	if (n->newest < sec && sec < SEC_MAX)
		n->newest = sec;
}

/* The kernel gives memory page by page as it is touched, which takes as long as to read what comes
 * into it; several at once take half of that. (Not in pieces of 2 MB: of a machine's memory that
 * nobody had for a while they are what a host has taken back, and slow to come.) */
#define STRIDE 2048

struct load {
	struct node *n;
	unsigned left;	  /* records until the next look */
	const char *rows; /* of the address at the last one */
};

/* Addresses that followed each other closely will go on to do so. */
static void want_rows(struct load *load, uint32_t addr)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, end;
	const void *rows;
	size_t len = pool_rows_at(load->n->pool, addr, STRIDE, &rows);

	load->left = STRIDE - 1;
	if (!len)
		return;
	from = (uintptr_t)rows & ~(page - 1);
	end = ((uintptr_t)rows + len + page - 1) & ~(page - 1);
	if (load->rows && (size_t)((const char *)rows - load->rows) <= len + len / 8)
		(void)madvise((void *)from, end - from, MADV_POPULATE_WRITE); /* a no is no harm */
	load->rows = rows;
}

static int load_lease(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct load *load = ctx;
	struct node *n = load->n;
	struct lease whole = *l;

	if (!load->left--)
		want_rows(load, l->addr);
	note_time(n, l->cltt);
	note_time(n, l->stos);
	whole.key = lease_client_key(&n->hash, c);
	(void)pool_apply(n->pool, &whole, 0); /* outside of every range: kept, not served */
	return 0;
}

static int load_leases(struct node *n)
{
	struct load load = { .n = n };
	int r;

	pool_load_begin(n->pool);
	r = lease_store_scan(n->store, load_lease, &load);
	pool_load_end(n->pool);
	return r;
}

static int load_run(void *ctx, const struct lease *l, uint32_t n)
{
	struct node *node = ctx;
	int r = pool_apply_run(node->pool, l, n, 0);

	note_time(node, l->stos);
	return r == -ENOENT ? 0 : r; /* outside of every range: kept, not served */
}

static void note_relations(struct node *n)
{
	struct fo_record rec;

	for (unsigned i = 0; i < n->conf->n_relations; i++) {
		if (lease_store_get_relation(n->store, n->conf->relations[i].fo.name, &rec) < 0)
			continue;
		note_time(n, rec.end.stos);
		note_time(n, rec.end.last_operational);
	}
}

/* The one thing at start that grows with the leases: a single scan of the store, runs and all. */
int node_load(struct node *n)
{
	size_t size = pool_size(&n->conf->scopes, NODE_MAX_OFFERS);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (mem == MAP_FAILED)
		return -ENOMEM;
	if (n->pool_mem)
		(void)munmap(n->pool_mem, n->pool_mem_size);
	n->pool_mem = mem;
	n->pool_mem_size = size;
	n->pool = pool_init(n->pool_mem, n->pool_mem_size, &n->conf->scopes, NODE_MAX_OFFERS);
	n->server.pool = n->pool;
	n->newest = 0;
	r = lease_store_scan_runs(n->store, load_run, n);
	if (!r)
		r = load_leases(n);
	note_relations(n);
	if (!r && node_clock_is_behind(n))
		r = -ETIME;
	for (uint32_t i = 0; !r && i < n->conf->scopes.n_scopes; i++)
		node_touch_scope(n, &n->conf->scopes.scopes[i]);
	return r < 0 ? r : node_partner_load(n);
}

/* The store's start counter: what tells the partner that a store was lost or restored (A7). */
static int count_start(struct node *n)
{
	uint64_t count = 0;
	size_t len = sizeof(count);
	int r = lease_store_get_meta(n->store, "start-count", &count, &len);

	if (r < 0 && r != -ENOENT)
		return r;
	n->start_count = count + 1;
	return lease_store_put_meta(n->store, "start-count", &n->start_count,
				    sizeof(n->start_count));
}

static int listen_to_store(struct node *n)
{
	n->store_ev =
		event_new(n->base, lease_store_fd(n->store), EV_READ | EV_PERSIST, on_store, n);
	if (!n->store_ev)
		return -ENOMEM;
	event_priority_set(n->store_ev, PRIO_LINK);
	event_add(n->store_ev, NULL);
	return 0;
}

int node_store_open(struct node *n, char err[256])
{
	struct lease_store_conf c = { .directory = n->conf->server.state_directory,
				      .addresses = n->conf->n_addresses };
	struct lease_store_ops ops = { n, on_durable, on_failed };
	int r = lease_store_open(&c, &ops, &n->store, err);

	if (r < 0)
		return r;
	r = count_start(n);
	if (r < 0)
		snprintf(err, 256, "cannot read the store in %s: %s", c.directory, strerror(-r));
	return r < 0 ? r : listen_to_store(n);
}
