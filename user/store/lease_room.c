/*
 * Room for the next commits: what a transaction may need, promised by the disk before it begins.
 *
 * Called by lease_writer, on its thread.
 */
#include "store/lease_env.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NEED_BASE (256 << 10) /* of a transaction: the path to each root, the free list */

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
 * is allocated before it begins (and twice that, so that the question is rare).
 */
int lease_env_reserve(struct lease_env *e, uint64_t octets)
{
	uint64_t map, used;
	int fd;

	lease_env_sizes(e->mdb, &map, &used);
	if (used + octets <= e->reserved)
		return 0;
	if (mdb_env_get_fd(e->mdb, &fd) != 0)
		return -EIO;
	for (unsigned times = 2; times; times--) {
		if (fallocate(fd, 0, 0, (off_t)(used + times * octets)) == 0) {
			e->reserved = used + times * octets;
			return 0;
		}
		if (errno == EOPNOTSUPP)
			return reserve_by_free_space(e, octets);
	}
	return -errno;
}
