/*
 * Room for the next commits: what a transaction may need, promised by the disk before it begins,
 * and written before it is used.
 *
 * Called by lease_writer, on its thread.
 */
#include "store/lease_env.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NEED_BASE (256 << 10) /* of a transaction: the path to each root, the free list */
#define AHEAD (1 << 20)
#define AHEAD_PIECE (64 << 10)

/*
 * A transaction writes each page that it touches to a new place: at most two pages per record (a
 * split), and never more than all there are now plus what comes in.
 */
uint64_t lease_env_need(const struct lease_env *e, uint64_t records, uint64_t octets)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), map, used, by_record, by_size;

	lease_env_sizes(e->mdb, &map, &used);
	by_record = records * 2 * page;
	by_size = used + 4 * octets;
	return (by_record < by_size ? by_record : by_size) + NEED_BASE;
}

static int reserve_by_free_space(const struct lease_env *e, uint64_t octets)
{
	struct statvfs v;

	if (fstatvfs(e->dir_fd, &v) < 0)
		return -errno;
	return (uint64_t)v.f_bavail * v.f_frsize < octets ? -ENOSPC : 0;
}

/*
 * LMDB reports a write that a full disk cut short as an input/output error, which would end the
 * process. So the disk is asked first, where a no costs nothing: all that a transaction may need
 * is allocated before it begins (and as much again, or a MiB, so that the question is
 * rare).
 */
int lease_env_reserve(struct lease_env *e, uint64_t octets)
{
	uint64_t map, used, more = octets > AHEAD ? octets : AHEAD;
	int fd;

	lease_env_sizes(e->mdb, &map, &used);
	if (used + octets <= e->reserved)
		return 0;
	if (mdb_env_get_fd(e->mdb, &fd) != 0)
		return -EIO;
	for (unsigned tries = 2; tries; tries--, more = 0) {
		if (fallocate(fd, 0, 0, (off_t)(used + octets + more)) == 0) {
			e->reserved = used + octets + more;
			return 0;
		}
		if (errno == EOPNOTSUPP)
			return reserve_by_free_space(e, octets);
	}
	return -errno;
}

struct span { /* of the file, in octets */
	uint64_t from, to;
};

/* What shall be written now in advance; empty when there still is enough. */
static struct span wanted_ahead(const struct lease_env *e)
{
	uint64_t map, used, to;
	struct span s;

	lease_env_sizes(e->mdb, &map, &used);
	to = used + AHEAD < e->reserved ? used + AHEAD : e->reserved;
	s.from = e->written > used ? e->written : used;
	s.to = s.from < used + AHEAD / 2 && to >= s.from + AHEAD_PIECE ? to : s.from;
	return s;
}

/* A refused or half a write is no loss: the commit that needs the place will say what is wrong. */
static uint64_t write_zeros(int fd, struct span s)
{
	static const uint8_t zeros[AHEAD_PIECE];
	uint64_t at = s.from;

	while (at + AHEAD_PIECE <= s.to && pwrite(fd, zeros, AHEAD_PIECE, (off_t)at) == AHEAD_PIECE)
		at += AHEAD_PIECE;
	if (at > s.from)
		(void)sync_file_range(fd, (off_t)s.from, (off_t)(at - s.from),
				      SYNC_FILE_RANGE_WRITE);
	return at;
}

/*
 * To sync what goes into room that is merely allocated, the file system commits its journal as
 * well, and that takes several times as long as to sync what overwrites. So commits find zeros
 * where they will write, and the journal is asked once for a MiB. Where zeros may go is looked up
 * once more under the lock of a write transaction: another program may have moved the end of the
 * store until then.
 */
void lease_env_write_ahead(struct lease_env *e)
{
	struct span s = wanted_ahead(e);
	MDB_txn *txn;
	int fd;

	if (s.from == s.to || mdb_env_get_fd(e->mdb, &fd) != 0 ||
	    mdb_txn_begin(e->mdb, NULL, 0, &txn) != 0)
		return;
	s = wanted_ahead(e);
	e->written = write_zeros(fd, s);
	mdb_txn_abort(txn);
}
