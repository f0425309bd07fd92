#pragma once
/*
 * The only durable memory: LMDB, one record per address, one per relationship, and meta. One
 * writer thread commits batches in order while the loop decides the next; the loop never waits
 * for a disk. put, submit, on_durable: nothing may be promised before on_durable says so.
 *
 * A failed commit loses its batch and all later ones: on_failed tells, the owner discards what
 * waits for them, and reads everything again (lease_store_reopen).
 */
#include "core/fo_endpoint.h"
#include "core/lease.h"

struct lease_store;

struct lease_store_conf {
	const char *directory; /* must exist; a local file system */
	uint64_t addresses;    /* configured ones: sizes the map */
	uint32_t batch_max;    /* records per batch; 0 = 4096 */
	uint64_t map_min;      /* smallest map; 0 = 1 GiB; less is for tests */
	uint32_t batch_over;   /* records beyond batch_max; 0 = 65536 and four times @addresses */
};

struct lease_store_ops { /* called on the loop thread, from lease_store_dispatch */
	void *ctx;
	void (*on_durable)(void *ctx, uint64_t batch); /* it and all before it are on disk */
	void (*on_failed)(void *ctx, uint64_t batch, int err); /* -ENOSPC, -EIO, ... */
};

/**
 * lease_store_open - open or create the store and take its lock
 * Return: 0; -EBUSY another daemon holds it; -EMEDIUMTYPE network or overlay file system;
 * -EPROTO a record version from the future; -EIO, -ENOSPC, -EACCES, ... Each failure leaves one
 * sentence in @err (what, where, how to mend it).
 * Context: after the last fork, and after capabilities were given up: the writer thread keeps
 * those of the moment it starts. It blocks all signals.
 */
int lease_store_open(const struct lease_store_conf *c, const struct lease_store_ops *ops,
		     struct lease_store **ret, char err[256]);
void lease_store_close(struct lease_store *st); /* commits what was submitted; NULL is fine */

/* --- writing (loop thread) ------------------------------------------------------------------- */

/* Number that the batch now being filled will have when durable; starts at 1. */
uint64_t lease_store_batch(const struct lease_store *st);
/* False while two batches are on their way and this one is full: hear no more clients. */
bool lease_store_room(const struct lease_store *st, unsigned records);
/* The partner cannot be asked to wait as clients can: what it sends, and what a change of state
 * asks for, makes the open batch larger. True when half of that allowance is used up: a partner
 * that goes on has no manners, hear it no more. */
bool lease_store_overfull(const struct lease_store *st);
/* Add to the open batch. @client NULL: keep what the record of this address has.
 * Return: 0; -ENOBUFS, -ENOMEM no room; -EINVAL; or what made the last commit fail. */
int lease_store_put(struct lease_store *st, const struct lease *l,
		    const struct lease_client *client);
/* A run of @n never-used addresses from l->addr on: what holds for those without a record. In the
 * same transaction it cuts the older runs that it overlaps (as pool_apply_run does in memory). */
int lease_store_put_run(struct lease_store *st, const struct lease *l, uint32_t n);
int lease_store_put_relation(struct lease_store *st, const char *name, const struct fo_record *r);
int lease_store_put_meta(struct lease_store *st, const char *key, const void *p, size_t len);
/* Close the open batch and hand it to the writer. An empty batch is durable as soon as those
 * before it are; it costs no transaction. With two batches on their way it stays open, under the
 * same number, until dispatch hands it over. Returns its number: when that is durable, all that
 * was put so far is. 0: the last commit failed, nothing is written until reopened. */
uint64_t lease_store_submit(struct lease_store *st);
/* Number that covers all that was put so far: the open batch's, or that of the one before it. */
uint64_t lease_store_covers(const struct lease_store *st);
/* Empty the open batch: none of it was told to anybody. */
void lease_store_discard(struct lease_store *st);
/* Records in the open batch. */
uint32_t lease_store_pending(const struct lease_store *st);
/* While the writer is at work a batch may stay open, so that it fills (group commit). */
bool lease_store_idle(const struct lease_store *st);

int lease_store_fd(const struct lease_store *st); /* readable: call lease_store_dispatch */
void lease_store_dispatch(struct lease_store *st);

/* --- reading (loop thread): what is durable --------------------------------------------------- */

/* Reads between these two see one moment, and cost less than each for itself. 0 or -errno; then
 * without lease_store_read_end. */
int lease_store_read(struct lease_store *st);
void lease_store_read_end(struct lease_store *st);
int lease_store_get(struct lease_store *st, uint32_t addr, struct lease *ret,
		    struct lease_client *ret_client); /* -ENOENT, -EBADMSG, -EIO */
int lease_store_get_relation(struct lease_store *st, const char *name, struct fo_record *ret);
/* *len: room at @p, then octets written. -ENOBUFS: it is longer. */
int lease_store_get_meta(struct lease_store *st, const char *key, void *p, size_t *len);
/* All bindings in address order. cb returns 0 to go on; it may get and put. lease.key is left zero.
 * Return: 0; what cb returned; -EBADMSG, -EPROTO: a record (stats.bad_addr) failed its check. */
int lease_store_scan(struct lease_store *st,
		     int (*cb)(void *ctx, const struct lease *l, const struct lease_client *c),
		     void *ctx);

/* All runs, likewise; they are disjoint. */
int lease_store_scan_runs(struct lease_store *st,
			  int (*cb)(void *ctx, const struct lease *l, uint32_t n), void *ctx);

struct lease_store_stats {
	uint64_t commits, records, failed, commit_us_total, commit_us_max;
	uint64_t map_size, used, disk_free;
	uint64_t bad_records; /* read, and found damaged or from the future */
	uint32_t bad_addr;    /* the last of them */
	uint64_t disk_size;   /* of the file system; an event is due when 90 % of it are used */
};
void lease_store_stats(struct lease_store *st, struct lease_store_stats *ret);
/* After on_failed: close and open the environment again; the caller then scans. Also callable from
 * on_failed. -EIO when that was the failure: only a new process may trust that disk (decision C2).
 */
int lease_store_reopen(struct lease_store *st, char err[256]);
