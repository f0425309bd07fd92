/*
 * The lease store when something is wrong: it is silent, not wrong, when the disk fails, recovers
 * when it can, and refuses what is not its own. With preload_syncfail the disk fails on command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "store/lease_record.h"
#include "../lib/own_fs.h"
#include "../lib/store_fix.h"

/* --- failing disks ---------------------------------------------------------------------------- */

/* An empty batch is not durable before those before it. */
static void test_empty_after_failure(void **state)
{
	struct fix *f = *state;

	syncfail_arm(SYNC, ENOSPC, 1);
	put(f, 1, 1);
	assert_int_equal(lease_store_submit(f->st), 1);
	assert_int_equal(lease_store_submit(f->st), 2);
	store_wait(f->st, &f->told, 2);
	assert_int_equal(f->told.n_durable, 0);
	assert_int_equal(f->told.n_failed, 1);
	assert_int_equal(f->told.lost, 1);
}

/* Batch 1 is durable, 2 fails with the given error, 3 was submitted behind it, 4 is open. */
static void fail_second(struct fix *f, int what, int err)
{
	struct lease_client c = client_of(1);
	struct lease l = lease_of(1, 5);

	put(f, 1, 1);
	commit(f);
	syncfail_arm(what, err, 1000000);
	put(f, 1, 2);
	put(f, 2, 2);
	assert_int_equal(lease_store_submit(f->st), 2);
	put(f, 1, 3);
	assert_int_equal(lease_store_submit(f->st), 3);
	put(f, 1, 4);
	store_wait(f->st, &f->told, 3);
	assert_int_equal(f->told.durable, 1);
	assert_int_equal(f->told.n_failed, 1);
	assert_int_equal(f->told.lost, 2);
	assert_int_equal(f->told.err, -err);
	assert_int_equal(lease_store_put(f->st, &l, &c), -err);
	assert_int_equal(lease_store_put(f->st, &l, NULL), -err);
	assert_int_equal(lease_store_put_meta(f->st, "a", "b", 1), -err);
	assert_false(lease_store_room(f->st, 1));
	assert_int_equal(lease_store_submit(f->st), 0);
	assert_true(lease_store_idle(f->st));
	lease_store_dispatch(f->st);
	assert_int_equal(f->told.n_failed, 1); /* once */
}

static void test_failed_then_reopened(void **state)
{
	static const struct {
		int what, err;
	} rows[] = { { SYNC, ENOSPC },
		     { DATA_WRITE, ENOSPC },
		     { META_WRITE, ENOSPC },
		     { DATA_WRITE, EDQUOT },
		     { DATA_WRITE, EFBIG } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fix *f = *state;

		fix_close(f);
		store_dir_remove(f->dir);
		store_dir_make(f->dir);
		assert_int_equal(fix_open(f), 0);
		fail_second(f, rows[i].what, rows[i].err);
		syncfail_arm(rows[i].what, 0, 0);
		f->told = (struct told){ .durable = 3 };
		assert_int_equal(lease_store_reopen(f->st, f->err), 0);
		assert_true(lease_store_batch(f->st) > 4); /* no number comes twice */
		assert_int_equal(serial_at(f, 1), 1);
		assert_int_equal(serial_at(f, 2), 0);
		put(f, 1, 6);
		commit(f);
		assert_int_equal(f->told.n_failed, 0);
		assert_int_equal(serial_at(f, 1), 6);
		assert_int_equal(serial_at(f, 2), 0);
		assert_int_equal(lease_store_reopen(f->st, f->err), -EINVAL);
	}
}

/* Decision C2: nobody knows what a disk has after a failed fdatasync. */
static void test_sync_never_tried_again(void **state)
{
	struct fix *f = *state;

	put(f, 1, 1);
	commit(f);
	syncfail_arm(SYNC, EIO, 1);
	put(f, 1, 2);
	store_wait(f->st, &f->told, lease_store_submit(f->st));
	assert_int_equal(f->told.err, -EIO);
	assert_int_equal(syncfail_calls(SYNC), 1);
	assert_int_equal(lease_store_reopen(f->st, f->err), -EIO);
	assert_non_null(strstr(f->err, "start the daemon again"));
	assert_int_equal(lease_store_submit(f->st), 0);
	fix_close(f);
	assert_int_equal(syncfail_calls(SYNC), 1);
	assert_int_equal(fix_open(f), 0); /* as the next process would */
	assert_int_equal(serial_at(f, 1), 1);
}

static void test_panic(void **state)
{
	struct fix *f = *state;

	fail_second(f, META_WRITE, EIO);
	assert_int_equal(lease_store_reopen(f->st, f->err), -EIO);
	syncfail_arm(META_WRITE, 0, 0);
	fix_close(f);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 1), 1);
}

static void test_reopen_fails_first(void **state)
{
	struct fix *f = *state;
	struct lease got;
	char data[80], away[80];

	fail_second(f, SYNC, ENOSPC);
	snprintf(data, sizeof(data), "%s/data.mdb", f->dir);
	snprintf(away, sizeof(away), "%s/new.mdb", f->dir);
	assert_int_equal(rename(data, away), 0);
	assert_int_equal(mkdir(data, 0700), 0); /* something that cannot be opened */
	assert_true(lease_store_reopen(f->st, f->err) < 0);
	assert_true(lease_store_get(f->st, 1, &got, NULL) < 0);
	assert_int_equal(rmdir(data), 0);
	assert_int_equal(rename(away, data), 0);
	syncfail_arm(SYNC, 0, 0);
	assert_int_equal(lease_store_reopen(f->st, f->err), 0);
	assert_int_equal(serial_at(f, 1), 1);
}

/* --- other people's stores -------------------------------------------------------------------- */

/* Run fn in a child process; its exit status. */
static int in_child(int (*fn)(struct fix *f), struct fix *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(f));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int child_opens(struct fix *f)
{
	struct fix mine = { .conf = f->conf };
	char holder[40];

	memcpy(mine.dir, f->dir, sizeof(mine.dir));
	snprintf(holder, sizeof(holder), "process %ld)", (long)getppid());
	if (fix_open(&mine) != -EBUSY)
		return 1;
	return strstr(mine.err, holder) && strstr(mine.err, f->dir) ? 0 : 2;
}

static void test_busy(void **state)
{
	struct fix *f = *state;

	assert_int_equal(in_child(child_opens, f), 0);
	put(f, 1, 1); /* and the first holder is not disturbed */
	commit(f);
	assert_int_equal(serial_at(f, 1), 1);
}

static int child_dies(struct fix *f)
{
	struct fix mine = { .conf = f->conf };
	struct lease l = lease_of(1, 77);

	memcpy(mine.dir, f->dir, sizeof(mine.dir));
	if (fix_open(&mine) < 0 || lease_store_put(mine.st, &l, NULL) < 0)
		return 1;
	store_wait(mine.st, &mine.told, lease_store_submit(mine.st));
	raise(SIGKILL);
	return 2;
}

static void test_killed_holder(void **state)
{
	struct fix *f = *state;

	fix_close(f);
	assert_int_equal(in_child(child_dies, f), 128 + SIGKILL);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 1), 77);
}

/* Write one value into a closed store, past all checks. */
static void raw_put(struct fix *f, const char *db, const void *key, size_t key_len, const void *p,
		    size_t len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v = { len, (void *)(uintptr_t)p };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, f->dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, db, 0, &dbi), 0);
	assert_int_equal(p ? mdb_put(txn, dbi, &k, &v, 0) : mdb_del(txn, dbi, &k, NULL), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void test_future_format(void **state)
{
	static const uint8_t format_3[] = { 0, 0, 0, 3, 0xb8, 0x4d, 0x8e, 0xa6 };
	uint8_t v[8];
	struct fix *f = *state;

	memcpy(v, format_3, sizeof(v));
	fix_close(f);
	raw_put(f, "meta", "format", 6, v, sizeof(v));
	assert_int_equal(fix_open(f), -EPROTO);
	assert_non_null(strstr(f->err, "format 3 "));
	v[7] ^= 1;
	raw_put(f, "meta", "format", 6, v, sizeof(v));
	assert_int_equal(fix_open(f), -EBADMSG);
	raw_put(f, "meta", "format", 6, NULL, 0);
	assert_int_equal(fix_open(f), -EBADMSG);
}

static int scan_any(void *ctx, const struct lease *l, const struct lease_client *c)
{
	(void)l;
	(void)c;
	++*(unsigned *)ctx;
	return 0;
}

static void test_bad_record(void **state)
{
	static const uint8_t key[] = { 0, 0, 0, 2 };
	static const struct {
		uint8_t octets[8];
		int expected;
	} rows[] = {
		{ { 1, 0xff, 4, 0xa5, 0x05, 0xdf, 0x1a }, -EBADMSG }, /* check is ..1b */
		{ { 2, 0xff, 4, 0x3c, 0x0c, 0x8e, 0xa1 }, -EPROTO },
	};
	struct fix *f = *state;

	for (uint32_t i = 1; i <= 3; i++)
		put(f, i, i);
	commit(f);
	for (size_t i = 0; i < 2; i++) {
		struct lease later = lease_of(2, 9), got;
		struct lease_store_stats s;
		unsigned n = 0;

		fix_close(f);
		raw_put(f, "leases", key, sizeof(key), rows[i].octets, 7);
		assert_int_equal(fix_open(f), 0);
		assert_int_equal(lease_store_get(f->st, 2, &got, NULL), rows[i].expected);
		assert_int_equal(lease_store_scan(f->st, scan_any, &n), rows[i].expected);
		assert_int_equal(n, 1);
		lease_store_stats(f->st, &s);
		assert_int_equal(s.bad_records, 2);
		assert_int_equal(s.bad_addr, 2);
		assert_int_equal(serial_at(f, 3), 3);
		/* its holder cannot be kept: rather silent than somebody forgotten */
		assert_int_equal(lease_store_put(f->st, &later, NULL), 0);
		store_wait(f->st, &f->told, lease_store_submit(f->st));
		assert_int_equal(f->told.err, rows[i].expected);
	}
}

static void test_not_a_store(void **state)
{
	struct fix *f = *state;
	char name[80];
	int fd;

	fix_close(f);
	snprintf(name, sizeof(name), "%s/data.mdb", f->dir);
	fd = open(name, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "something else ", 15), 15);
	close(fd);
	assert_int_equal(fix_open(f), -EBADMSG);
	assert_non_null(strstr(f->err, "is not a lease store"));
	/* what an interrupted creation left does not matter */
	snprintf(name, sizeof(name), "%s/new.mdb", f->dir);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "torn", 4), 4);
	close(fd);
	snprintf(name, sizeof(name), "%s/data.mdb", f->dir);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 1), 0);
}

static int child_without_rights(struct fix *f)
{
	struct fix mine = { .conf = f->conf };

	memcpy(mine.dir, f->dir, sizeof(mine.dir));
	if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
		return 3;
	if (fix_open(&mine) != -EACCES)
		return 1;
	return strstr(mine.err, "ermission") ? 0 : 2;
}

static void test_directory(void **state)
{
	struct fix *f = *state;
	char keep[64];

	fix_close(f);
	memcpy(keep, f->dir, sizeof(keep));
	assert_int_equal(chmod(f->dir, geteuid() ? 0 : 0700), 0);
	assert_int_equal(in_child(child_without_rights, f), 0);
	assert_int_equal(chmod(f->dir, 0700), 0);
	strcat(f->dir, "/none");
	assert_int_equal(fix_open(f), -ENOENT);
	assert_non_null(strstr(f->err, "create the directory"));
	memcpy(f->dir, keep, sizeof(keep));
	lease_store_close(NULL);
}

/* Zeros in advance are for speed alone. */
static void test_no_zeros_ahead(void **state)
{
	struct fix *f = *state;

	fix_close(f);
	syncfail_arm(AHEAD_WRITE, EIO, 1000);
	assert_int_equal(fix_open(f), 0);
	for (uint32_t i = 1; i <= 50; i++) {
		put(f, i, i);
		commit(f);
	}
	fix_close(f);
	assert_int_equal(f->told.n_failed, 0);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 50), 50);
	if (!syncfail_calls(AHEAD_WRITE)) { /* else each commit tries again */
		print_message("needs a file system with fallocate: skipped\n");
		skip();
	}
	assert_true(syncfail_calls(AHEAD_WRITE) >= 50);
}

/* --- with file systems of their own: root only ------------------------------------------------ */

#define NO_FS 77

static int child_on_overlay(struct fix *f)
{
	static const char *const dirs[] = { "l", "u", "w" };
	struct fix mine = { .conf = f->conf };
	struct own_fs below, overlay;
	char path[3][48];

	if (own_fs_open(&below, "tmpfs", (const char *[]){ "size", "4m", NULL }) < 0)
		return NO_FS;
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", below.dir, dirs[i]);
		(void)mkdir(path[i], 0700);
	}
	if (own_fs_open(&overlay, "overlay",
			(const char *[]){ "lowerdir", path[0], "upperdir", path[1], "workdir",
					  path[2], NULL }) < 0)
		return NO_FS;
	memcpy(mine.dir, overlay.dir, sizeof(overlay.dir));
	if (fix_open(&mine) != -EMEDIUMTYPE)
		return 1;
	return strstr(mine.err, "overlayfs") ? 0 : 2;
}

static void test_overlay_refused(void **state)
{
	struct fix *f = *state;
	int r;

	fix_close(f);
	r = in_child(child_on_overlay, f);
	if (r == NO_FS) {
		print_message("needs root and overlayfs: skipped\n");
		skip();
	}
	assert_int_equal(r, 0);
}

/* Fill a disk of 1 MiB; 0: the store failed with -ENOSPC and @*ret_good was the last durable. */
static int fill_disk(struct fix *f, uint32_t *ret_good)
{
	for (uint32_t i = 1; i < 100000; i++) {
		struct lease_client c = client_of(i);
		struct lease l = lease_of(i, i);
		uint64_t n;

		if (lease_store_put(f->st, &l, &c) < 0)
			return 1;
		n = lease_store_submit(f->st);
		store_wait(f->st, &f->told, n);
		if (f->told.n_failed)
			return f->told.err == -ENOSPC && f->told.lost == n ? 0 : 2;
		*ret_good = i;
	}
	return 3;
}

static int child_fills_disk(struct fix *f)
{
	struct fix mine = { .conf = f->conf };
	struct lease l = lease_of(7, 4711), got;
	struct own_fs fs;
	uint32_t good = 0;

	if (own_fs_open(&fs, "tmpfs", (const char *[]){ "size", "1m", NULL }) < 0)
		return NO_FS;
	memcpy(mine.dir, fs.dir, sizeof(fs.dir));
	if (fix_open(&mine) < 0)
		return 10;
	if (fill_disk(&mine, &good) || good < 100)
		return 11;
	mine.told = (struct told){ .durable = mine.told.durable };
	if (lease_store_reopen(mine.st, mine.err) < 0) /* still full: old leases can be read */
		return 12;
	for (uint32_t i = 1; i <= good; i++)
		if (lease_store_get(mine.st, i, &got, NULL) < 0 || got.serial != i)
			return 13;
	if (lease_store_get(mine.st, good + 1, &got, NULL) != -ENOENT)
		return 14;
	if (own_fs_resize(&fs, "8m") < 0)
		return 15;
	if (lease_store_put(mine.st, &l, NULL) < 0)
		return 16;
	store_wait(mine.st, &mine.told, lease_store_submit(mine.st));
	if (lease_store_get(mine.st, 7, &got, NULL) < 0 || got.serial != 4711)
		return 17;
	lease_store_close(mine.st);
	return 0;
}

static void test_disk_full(void **state)
{
	struct fix *f = *state;
	int r;

	fix_close(f);
	r = in_child(child_fills_disk, f);
	if (r == NO_FS) {
		print_message("needs root: skipped\n");
		skip();
	}
	assert_int_equal(r, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_empty_after_failure),
		T(test_failed_then_reopened),
		T(test_sync_never_tried_again),
		T(test_panic),
		T(test_reopen_fails_first),
		T(test_busy),
		T(test_killed_holder),
		T(test_future_format),
		T(test_bad_record),
		T(test_not_a_store),
		T(test_directory),
		T(test_no_zeros_ahead),
		T(test_overlay_refused),
		T(test_disk_full),
	};

	(void)argc;
	syncfail_init(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
