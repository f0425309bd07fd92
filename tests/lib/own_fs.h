/*
 * A file system for one test, without a mount point: nothing else on the machine sees it, it is
 * gone with its descriptors, and it works where "/" is not a mount (in a chroot), so that mounts
 * cannot be made private first. Needs root, or a user namespace of one's own.
 */
#ifndef TESTS_OWN_FS_H
#define TESTS_OWN_FS_H

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

struct own_fs {
	int context, fd; /* the file system itself, and its root */
	char dir[40];	 /* a path to the root; of this process alone */
};

/* @options: names and values in turn, then NULL. 0 or -errno. */
static inline int own_fs_open(struct own_fs *fs, const char *type, const char *const options[])
{
	int r = 0;

	fs->fd = -1;
	fs->context = fsopen(type, FSOPEN_CLOEXEC);
	if (fs->context < 0)
		return -errno;
	for (; *options && !r; options += 2)
		r = fsconfig(fs->context, FSCONFIG_SET_STRING, options[0], options[1], 0);
	if (!r)
		r = fsconfig(fs->context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (!r)
		fs->fd = fsmount(fs->context, FSMOUNT_CLOEXEC, 0);
	if (fs->fd < 0) {
		r = -errno;
		close(fs->context);
		return r;
	}
	snprintf(fs->dir, sizeof(fs->dir), "/proc/self/fd/%d", fs->fd);
	return 0;
}

static inline int own_fs_resize(struct own_fs *fs, const char *size)
{
	if (fsconfig(fs->context, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(fs->context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

static inline void own_fs_close(struct own_fs *fs)
{
	close(fs->fd);
	close(fs->context);
}

#endif
