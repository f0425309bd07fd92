#pragma once
/*
 * The directory of the store: is it one that keeps promises, and is it ours alone?
 * Called by lease_store on the loop thread.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct lease_dir {
	int fd, lock_fd; /* -1: not open */
};

/* Return: 0; -EMEDIUMTYPE network or overlay file system; -EBUSY locked by another process;
 * -ENOENT, -EACCES, ... */
int lease_dir_open(struct lease_dir *d, const char *path, char err[256]);
void lease_dir_close(struct lease_dir *d);
/* Octets left for us on its file system, and all it has; zeros where it does not say. */
void lease_dir_space(const struct lease_dir *d, uint64_t *ret_free, uint64_t *ret_size);

/* One sentence about a failure in @dir, and its number. */
__attribute__((format(printf, 4, 5))) static inline int
lease_dir_fail(char err[256], const char *dir, int r, const char *fmt, ...)
{
	int n = snprintf(err, 256, "%.100s: ", dir);
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	(void)vsnprintf(err + n, 256 - (size_t)n, fmt, ap);
	__builtin_va_end(ap);
	return r;
}
