/*
 * The directory of the store. A commit is a promise only where fdatasync and mmap mean what they
 * say: on network file systems locks and maps of two hosts do not agree, on overlays the file may
 * change identity under an open map. So these are refused, by what statfs tells (decision C4).
 *
 * One daemon at a time: flock on a file of our own that stays when the database is replaced.
 */
#include "store/lease_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_FILE "twinlease.lock"

static const struct {
	uint32_t magic;
	const char *name;
} refused[] = {
	{ 0x00006969, "NFS" },	{ 0x0000517b, "SMB" },	  { 0xff534d42, "CIFS" },
	{ 0xfe534d42, "SMB2" }, { 0x01021997, "9P" },	  { 0x5346414f, "AFS" },
	{ 0x6b414653, "AFS" },	{ 0x73757245, "Coda" },	  { 0x00c36400, "Ceph" },
	{ 0x01161970, "GFS2" }, { 0x7461636f, "OCFS2" },  { 0x0bd00bd0, "Lustre" },
	{ 0x65735546, "FUSE" }, { 0x564c, "NCP" },	  { 0xaad7aaea, "PanFS" },
	{ 0x47504653, "GPFS" }, { 0x786f4256, "vboxsf" }, { 0x794c7630, "overlayfs" },
	{ 0x61756673, "aufs" },
};

static const char *refused_name(const struct statfs *fs)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (refused[i].magic == (uint32_t)fs->f_type)
			return refused[i].name;
	return NULL;
}

static int check_file_system(struct lease_dir *d, const char *path, char err[256])
{
	struct statfs fs;
	const char *name;

	if (fstatfs(d->fd, &fs) < 0)
		return lease_dir_fail(err, path, -errno, "statfs: %s", strerror(errno));
	name = refused_name(&fs);
	if (name)
		return lease_dir_fail(
			err, path, -EMEDIUMTYPE,
			"lies on %s, which cannot keep leases through a power failure: "
			"move state-directory to a local file system (ext4, xfs, ...)",
			name);
	return 0;
}

/* Who wrote its number into the lock file; 0: nobody did. */
static long lock_holder(int fd)
{
	char text[24] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

static int take_lock(struct lease_dir *d, const char *path, char err[256])
{
	d->lock_fd = openat(d->fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return lease_dir_fail(
			err, path, -errno,
			"cannot create %s: %s: let the daemon's user own the directory", LOCK_FILE,
			strerror(errno));
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK ? -EBUSY : -errno;

		if (r == -EBUSY)
			return lease_dir_fail(err, path, r,
					      "in use by another daemon (process %ld): stop it, or "
					      "give this one a state-directory of its own",
					      lock_holder(d->lock_fd));
		return lease_dir_fail(err, path, r, "cannot lock: %s", strerror(-r));
	}
	/* for the message above only: a failure here harms nobody */
	if (ftruncate(d->lock_fd, 0) == 0)
		(void)dprintf(d->lock_fd, "%ld\n", (long)getpid());
	return 0;
}

int lease_dir_open(struct lease_dir *d, const char *path, char err[256])
{
	int r;

	*d = (struct lease_dir){ -1, -1 };
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return lease_dir_fail(err, path, -errno,
				      "%s: create the directory for the daemon's user, or mend "
				      "state-directory",
				      strerror(errno));
	r = check_file_system(d, path, err);
	return r < 0 ? r : take_lock(d, path, err);
}

void lease_dir_close(struct lease_dir *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct lease_dir){ -1, -1 };
}

void lease_dir_space(const struct lease_dir *d, uint64_t *ret_free, uint64_t *ret_size)
{
	struct statvfs v = { 0 };

	(void)fstatvfs(d->fd, &v); /* a failure leaves the zeros */
	*ret_free = (uint64_t)v.f_bavail * v.f_frsize;
	*ret_size = (uint64_t)v.f_blocks * v.f_frsize;
}
