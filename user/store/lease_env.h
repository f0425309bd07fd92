#pragma once
/*
 * The LMDB environment of the store: creation, opening, map size, errors. Private to store/.
 *
 * Threads: opened and closed on the loop thread while the writer thread rests. The loop reads
 * between lease_env_read and lease_env_read_end; the writer owns the write transaction. LMDB lets
 * both work at once; only the map may not move under a reader: that is what @map guards.
 */
#include <lmdb.h>
#include <pthread.h>
#include "core/types.h"
#include "store/lease_dir.h"

/* Raised whenever an older server could misread the store. 2: it may hold runs, without which the
 * secondary's share would look like the primary's. A store of format 1 is raised when opened. */
#define LEASE_STORE_FORMAT 2
#define LEASE_META_MAX 1024

struct lease_env {
	const char *directory;
	int dir_fd;
	uint64_t map_want; /* size to open with; grows with the map */
	uint64_t reserved; /* octets of the file that the disk has promised us; writer thread */
	uint64_t written;  /* up to here the file was written, in part with zeros; writer thread */
	uint64_t refused;  /* what it had no room for; less is not asked for until there is */

	MDB_env *mdb; /* NULL: closed */
	MDB_dbi leases, runs, relations, meta;
	MDB_txn *reader;  /* of the loop thread, renewed for each read: no allocation */
	MDB_cursor *at;	  /* of @reader: where the last lease was found, the next one is near */
	unsigned reading; /* nested reads see the same snapshot */
	pthread_mutex_t map;
	int lost; /* -errno: the map could not be put back; under @map */
};

/* 0, or -errno of what LMDB returned. */
int err_from_mdb(int rc);

/* Open, after creating it when there is none. e->directory, dir_fd, map_want and map are set.
 * Return: 0; -EPROTO format from the future; -EBADMSG not a store of ours; -errno. */
int lease_env_open(struct lease_env *e, char err[256]);
void lease_env_close(struct lease_env *e); /* half-open ones too */

/* Loop thread. -EAGAIN: another program made the map larger; the writer follows by and by. */
int lease_env_read(struct lease_env *e);
void lease_env_read_end(struct lease_env *e);
void lease_env_expect_all(const struct lease_env *e); /* within a read: all will be read soon */

/* Writer thread, between transactions. */
bool lease_env_tight(const struct lease_env *e);	    /* more than 80 % of the map used */
int lease_env_grow(struct lease_env *e, uint64_t at_least); /* by @at_least octets, or double */
int lease_env_follow(struct lease_env *e); /* take the size that another program gave */
/* Octets: of the map, and of the file's pages that are or were in use. */
void lease_env_sizes(MDB_env *mdb, uint64_t *ret_map, uint64_t *ret_used);
/* The same by the loop thread. */
void lease_env_size(struct lease_env *e, uint64_t *ret_map, uint64_t *ret_used);

/* --- lease_room.c; writer thread, between transactions ---------------------------------------- */

/* What a transaction of so many records may need beyond what is used. */
uint64_t lease_env_need(const struct lease_env *e, uint64_t records, uint64_t octets);
int lease_env_reserve(struct lease_env *e, uint64_t octets); /* -ENOSPC: the disk has no room */
void lease_env_write_ahead(struct lease_env *e); /* after a commit was told */

/* Octets of a program's own making under a name, with a check behind them. */
int lease_meta_put(MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val value);
int lease_meta_get(MDB_txn *txn, MDB_dbi dbi, const char *key, void *p, size_t *len);
