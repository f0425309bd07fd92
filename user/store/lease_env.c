/*
 * The LMDB environment: data.mdb holds the databases "leases" (key: address, 4 octets big-endian,
 * so that cursor order is address order), "runs" (key: first address, likewise), "relations" (key:
 * name) and "meta" (key: name; the key "format" says who may read the rest).
 *
 * A new environment is made under another name and renamed when it is whole: a power failure
 * leaves none or a good one. No MDB_WRITEMAP: a stray pointer cannot write through the map, and
 * commits are faster without it. MDB_NOTLS: the reader belongs to its transaction, not a thread.
 * MDB_NORDAHEAD: leases are read here and there; who reads them all says so (lease_env_expect_all).
 * What the kernel reads ahead by itself lies in large pieces of the page cache, and each change of
 * a page then costs by the size of its piece.
 *
 * Called by lease_store (loop thread) and lease_writer (writer thread), as the header says.
 */
#include "store/lease_env.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include "core/wire.h"

#define DATA_FILE "data.mdb"
#define NEW_FILE "new.mdb"
#define NEW_MAP (1 << 20)
#define FILE_MODE 0600
#define AHEAD (128 << 10) /* of one wish more is not heeded */

int err_from_mdb(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -EOVERFLOW; /* not -ENOSPC, which is the disk's word */
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
		return -EBADMSG;
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	case MDB_MAP_RESIZED:
		return -EAGAIN;
	case MDB_READERS_FULL:
		return -EMFILE;
	}
	return rc > 0 ? -rc : -EIO; /* MDB_PANIC and what may not happen */
}

/* --- meta ------------------------------------------------------------------------------------- */

int lease_meta_put(MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val value)
{
	uint8_t buf[LEASE_META_MAX + 4];
	struct wr w = wr_init(buf, sizeof(buf));
	MDB_val whole;

	wr_octets(&w, value.mv_data, value.mv_size);
	wr_u32(&w, (uint32_t)crc32(0, value.mv_data, (uInt)value.mv_size));
	if (w.bad)
		return -E2BIG;
	whole = (MDB_val){ w.len, buf };
	return err_from_mdb(mdb_put(txn, dbi, &key, &whole, 0));
}

int lease_meta_get(MDB_txn *txn, MDB_dbi dbi, const char *key, void *p, size_t *len)
{
	MDB_val k = { strlen(key), (void *)(uintptr_t)key }, v;
	int r = err_from_mdb(mdb_get(txn, dbi, &k, &v));
	struct octets value;
	struct rd rd;

	if (r < 0)
		return r;
	rd = rd_init(v.mv_data, v.mv_size);
	value = rd_octets(&rd, v.mv_size < 4 ? 0 : v.mv_size - 4);
	if (rd_u32(&rd) != (uint32_t)crc32(0, value.p, value.len) || rd.bad)
		return -EBADMSG;
	if (value.len > *len)
		return -ENOBUFS;
	if (value.len)
		memcpy(p, value.p, value.len);
	*len = value.len;
	return 0;
}

/* --- creation --------------------------------------------------------------------------------- */

static int put_format(MDB_txn *txn, MDB_dbi meta)
{
	uint8_t format[4] = { 0, 0, 0, LEASE_STORE_FORMAT };

	return lease_meta_put(txn, meta, (MDB_val){ 6, "format" },
			      (MDB_val){ sizeof(format), format });
}

static int fill_new(MDB_env *mdb)
{
	static const char *const names[] = { "leases", "runs", "relations", "meta" };
	MDB_dbi dbi = 0;
	MDB_txn *txn;
	int r = err_from_mdb(mdb_txn_begin(mdb, NULL, 0, &txn));

	if (r < 0)
		return r;
	for (int i = 0; i < 4 && r == 0; i++)
		r = err_from_mdb(mdb_dbi_open(txn, names[i], MDB_CREATE, &dbi));
	if (r == 0)
		r = put_format(txn, dbi);
	if (r == 0)
		return err_from_mdb(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return r;
}

static int make_new(const char *path)
{
	MDB_env *mdb;
	int r = err_from_mdb(mdb_env_create(&mdb));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_env_set_mapsize(mdb, NEW_MAP));
	if (r == 0)
		r = err_from_mdb(mdb_env_set_maxdbs(mdb, 4));
	if (r == 0)
		r = err_from_mdb(mdb_env_open(mdb, path, MDB_NOSUBDIR | MDB_NOLOCK, FILE_MODE));
	if (r == 0)
		r = fill_new(mdb);
	mdb_env_close(mdb);
	return r;
}

static int create(struct lease_env *e, char err[256])
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", e->directory, NEW_FILE) >= (int)sizeof(path))
		return lease_dir_fail(err, e->directory, -ENAMETOOLONG, "name too long");
	(void)unlinkat(e->dir_fd, NEW_FILE, 0); /* of an attempt that the power ended */
	r = make_new(path);
	if (r == 0 && renameat(e->dir_fd, NEW_FILE, e->dir_fd, DATA_FILE) < 0)
		r = -errno;
	if (r == 0 && fsync(e->dir_fd) < 0) /* else the name itself may be lost with the power */
		r = -errno;
	if (r < 0)
		return lease_dir_fail(
			err, e->directory, r,
			"cannot create the lease store: %s: the daemon's user needs to "
			"write here, and some space",
			strerror(-r));
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int check_format(MDB_txn *txn, MDB_dbi meta, uint32_t *ret)
{
	uint8_t v[4];
	size_t len = sizeof(v);
	int r = lease_meta_get(txn, meta, "format", v, &len);
	struct rd rd = rd_init(v, len);

	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	*ret = rd_u32(&rd);
	if (rd.bad || !*ret)
		return -EBADMSG;
	return *ret > LEASE_STORE_FORMAT ? -EPROTO : 0;
}

static int open_databases(struct lease_env *e, uint32_t *ret_format)
{
	MDB_txn *txn;
	int r = err_from_mdb(mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, &txn));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_dbi_open(txn, "meta", 0, &e->meta));
	if (r == 0)
		r = check_format(txn, e->meta, ret_format);
	if (r == 0)
		r = err_from_mdb(mdb_dbi_open(txn, "leases", 0, &e->leases));
	if (r == 0)
		r = err_from_mdb(mdb_dbi_open(txn, "relations", 0, &e->relations));
	if (r == 0 && *ret_format >= 2)
		r = err_from_mdb(mdb_dbi_open(txn, "runs", 0, &e->runs));
	if (r < 0) {
		mdb_txn_abort(txn);
		return r == -ENOENT ? -EBADMSG : r;
	}
	return err_from_mdb(mdb_txn_commit(txn)); /* keeps the handles */
}

/* From here on no older server opens it: what it would not see it could give away. */
static int raise_format(struct lease_env *e)
{
	MDB_txn *txn;
	int r = err_from_mdb(mdb_txn_begin(e->mdb, NULL, 0, &txn));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_dbi_open(txn, "runs", MDB_CREATE, &e->runs));
	if (r == 0)
		r = put_format(txn, e->meta);
	if (r == 0)
		return err_from_mdb(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return r;
}

static int open_mdb(struct lease_env *e)
{
	int dead, r = err_from_mdb(mdb_env_create(&e->mdb));

	if (r < 0) {
		e->mdb = NULL;
		return r;
	}
	r = err_from_mdb(mdb_env_set_mapsize(e->mdb, e->map_want));
	if (r == 0)
		r = err_from_mdb(mdb_env_set_maxdbs(e->mdb, 8));
	if (r == 0)
		r = err_from_mdb(
			mdb_env_open(e->mdb, e->directory, MDB_NOTLS | MDB_NORDAHEAD, FILE_MODE));
	if (r == 0)
		(void)mdb_reader_check(e->mdb, &dead); /* slots of killed readers */
	return r;
}

static int renew(struct lease_env *e)
{
	int r = err_from_mdb(mdb_txn_renew(e->reader));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_cursor_renew(e->reader, e->at));
	if (r < 0)
		mdb_txn_reset(e->reader);
	return r;
}

static int open_reader(struct lease_env *e)
{
	int r = err_from_mdb(mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, &e->reader));

	if (r < 0) {
		e->reader = NULL;
		return r;
	}
	r = err_from_mdb(mdb_cursor_open(e->reader, e->leases, &e->at));
	if (r < 0)
		e->at = NULL;
	mdb_txn_reset(e->reader);
	return r;
}

static int say_open(const struct lease_env *e, int r, uint32_t format, char err[256])
{
	if (r == -EPROTO && format)
		return lease_dir_fail(
			err, e->directory, r,
			"written in format %u by a newer Twinlease, this one knows up to "
			"%d: install that version, or restore an older backup",
			format, LEASE_STORE_FORMAT);
	if (r == -EBADMSG || r == -EPROTO)
		return lease_dir_fail(err, e->directory, r,
				      DATA_FILE
				      " is not a lease store, or damaged: restore a backup, "
				      "or move it away to begin with an empty one");
	return lease_dir_fail(
		err, e->directory, r,
		"cannot open the lease store: %s: look at the rights and the space here",
		strerror(-r));
}

int lease_env_open(struct lease_env *e, char err[256])
{
	uint32_t format = 0;
	int r;

	e->lost = 0;
	e->reserved = e->written = 0;
	if (faccessat(e->dir_fd, DATA_FILE, F_OK, 0) < 0) {
		r = create(e, err);
		if (r < 0)
			return r;
	}
	r = open_mdb(e);
	if (r == 0)
		r = open_databases(e, &format);
	if (r == 0 && format < LEASE_STORE_FORMAT)
		r = raise_format(e);
	if (r == 0)
		r = open_reader(e);
	if (r == 0 && lease_env_tight(e))
		r = lease_env_grow(e, 0);
	if (r == 0)
		return 0;
	lease_env_close(e);
	return say_open(e, r, format, err);
}

void lease_env_close(struct lease_env *e)
{
	if (e->at)
		mdb_cursor_close(e->at);
	if (e->reader)
		mdb_txn_abort(e->reader);
	if (e->mdb)
		mdb_env_close(e->mdb);
	e->at = NULL;
	e->reader = NULL;
	e->mdb = NULL;
	e->lost = -EIO; /* nobody reads until it is open again */
}

/* --- reading ---------------------------------------------------------------------------------- */

int lease_env_read(struct lease_env *e)
{
	int r;

	if (e->reading++)
		return 0;
	pthread_mutex_lock(&e->map);
	r = e->lost ? e->lost : renew(e);
	if (r < 0) {
		pthread_mutex_unlock(&e->map);
		e->reading = 0;
	}
	return r;
}

void lease_env_read_end(struct lease_env *e)
{
	if (--e->reading)
		return;
	mdb_txn_reset(e->reader);
	pthread_mutex_unlock(&e->map);
}

void lease_env_sizes(MDB_env *mdb, uint64_t *ret_map, uint64_t *ret_used)
{
	MDB_envinfo info;
	MDB_stat st;

	(void)mdb_env_info(mdb, &info); /* fail only for a NULL environment */
	(void)mdb_env_stat(mdb, &st);
	*ret_map = info.me_mapsize;
	*ret_used = (info.me_last_pgno + 1) * st.ms_psize;
}

void lease_env_expect_all(const struct lease_env *e)
{
	uint64_t map, used;
	int fd;

	lease_env_sizes(e->mdb, &map, &used);
	if (mdb_env_get_fd(e->mdb, &fd) != 0)
		return;
	for (uint64_t at = 0; at < used; at += AHEAD) /* a no is no harm */
		(void)posix_fadvise(fd, (off_t)at, AHEAD, POSIX_FADV_WILLNEED);
}

/* --- map -------------------------------------------------------------------------------------- */

bool lease_env_tight(const struct lease_env *e)
{
	uint64_t map, used;

	lease_env_sizes(e->mdb, &map, &used);
	return used > map / 5 * 4;
}

static int set_size(struct lease_env *e, uint64_t size)
{
	int r;

	pthread_mutex_lock(&e->map); /* no reader has the map in use now */
	r = err_from_mdb(mdb_env_set_mapsize(e->mdb, size));
	if (r < 0)
		e->lost = r;
	else if (size)
		e->map_want = size;
	pthread_mutex_unlock(&e->map);
	return r;
}

int lease_env_grow(struct lease_env *e, uint64_t at_least)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), map, used, size;

	lease_env_sizes(e->mdb, &map, &used);
	size = map + (at_least > map ? at_least : map);
	return set_size(e, (size + page - 1) & ~(page - 1));
}

int lease_env_follow(struct lease_env *e)
{
	return set_size(e, 0);
}

/* Loop thread, also from within a read. */
void lease_env_size(struct lease_env *e, uint64_t *ret_map, uint64_t *ret_used)
{
	*ret_map = *ret_used = 0;
	if (!e->reading)
		pthread_mutex_lock(&e->map);
	if (e->mdb && !e->lost)
		lease_env_sizes(e->mdb, ret_map, ret_used);
	if (!e->reading)
		pthread_mutex_unlock(&e->map);
}
