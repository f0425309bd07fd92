/*
 * The lease store on a real LMDB: what it keeps, in which order it promises, how it grows.
 * Failing disks and other people's stores are in test_lease_store_fail.c, power failures in
 * test_power_cut.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include "store/lease_record.h"
#include "../lib/store_fix.h"

/* --- what it keeps ---------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
	struct fix *f = *state;
	struct lease l = lease_of(0x0a090001, 7), got;
	struct lease_client c = client_of(7), got_client;

	assert_int_equal(lease_store_put(f->st, &l, &c), 0);
	assert_int_equal(lease_store_get(f->st, l.addr, &got, &got_client), -ENOENT);
	assert_int_equal(lease_store_batch(f->st), 1);
	assert_int_equal(commit(f), 1);
	assert_int_equal(lease_store_batch(f->st), 2);
	assert_int_equal(lease_store_get(f->st, l.addr, &got, &got_client), 0);
	assert_memory_equal(&got, &l, sizeof(l));
	assert_memory_equal(&got_client, &c, sizeof(c));
	assert_int_equal(lease_store_get(f->st, l.addr, &got, NULL), 0);
	assert_int_equal(lease_store_get(f->st, l.addr + 1, &got, &got_client), -ENOENT);

	fix_close(f);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(lease_store_get(f->st, l.addr, &got, &got_client), 0);
	assert_memory_equal(&got, &l, sizeof(l));
	assert_memory_equal(&got_client, &c, sizeof(c));
}

static void test_relation_and_meta(void **state)
{
	struct fix *f = *state;
	struct fo_record r = { .end = { .state = FO_NORMAL, .stos = 9 }, .mclt = 3600 }, got;
	char longest[128], value[LEASE_RECORD_MAX];
	size_t len = sizeof(value);

	memset(longest, 'x', 127);
	longest[127] = 0;
	assert_int_equal(lease_store_put_relation(f->st, longest, &r), -EINVAL);
	longest[126] = 0;
	assert_int_equal(lease_store_put_relation(f->st, longest, &r), 0);
	assert_int_equal(lease_store_put_relation(f->st, "", &r), -EINVAL);
	assert_int_equal(lease_store_put_meta(f->st, "format", "1", 1), -EINVAL);
	assert_int_equal(lease_store_put_meta(f->st, "k", value, 1025), -EINVAL);
	assert_int_equal(lease_store_put_meta(f->st, "start-count", "12345678", 8), 0);
	commit(f);
	assert_int_equal(lease_store_get_relation(f->st, longest, &got), 0);
	assert_int_equal(got.end.state, FO_NORMAL);
	assert_int_equal(got.mclt, 3600);
	assert_int_equal(lease_store_get_relation(f->st, "campus", &got), -ENOENT);
	assert_int_equal(lease_store_get_relation(f->st, "", &got), -EINVAL);
	assert_int_equal(lease_store_get_meta(f->st, "start-count", value, &len), 0);
	assert_int_equal(len, 8);
	assert_memory_equal(value, "12345678", 8);
	len = 7;
	assert_int_equal(lease_store_get_meta(f->st, "start-count", value, &len), -ENOBUFS);
	assert_int_equal(lease_store_get_meta(f->st, "other", value, &len), -ENOENT);
}

static void test_keep_client(void **state)
{
	struct fix *f = *state;
	struct lease later = lease_of(5, 2), alone = lease_of(6, 3), got;
	struct lease_client c = client_of(5), got_client, nobody = { 0 };

	c.relay_agent_len = 200;
	put(f, 5, 1);
	assert_int_equal(lease_store_put(f->st, &later, &c), 0);
	commit(f);
	later.serial = 9;
	later.state = LEASE_EXPIRED;
	assert_int_equal(lease_store_put(f->st, &later, NULL), 0);
	assert_int_equal(lease_store_put(f->st, &alone, NULL), 0); /* no record to keep from */
	put(f, 7, 4);
	later.addr = 7;
	assert_int_equal(lease_store_put(f->st, &later, NULL), 0); /* put in the same batch */
	commit(f);
	assert_int_equal(lease_store_get(f->st, 5, &got, &got_client), 0);
	assert_int_equal(got.serial, 9);
	assert_int_equal(got.state, LEASE_EXPIRED);
	assert_memory_equal(&got_client, &c, sizeof(c));
	assert_int_equal(lease_store_get(f->st, 6, &got, &got_client), 0);
	assert_int_equal(got.serial, 3);
	assert_memory_equal(&got_client, &nobody, sizeof(nobody));
	c = client_of(7);
	assert_int_equal(lease_store_get(f->st, 7, &got, &got_client), 0);
	assert_int_equal(got.serial, 9);
	assert_memory_equal(&got_client, &c, sizeof(c));
}

#define MANY 2000

/* Some follow each other, some lie anywhere. */
static uint32_t address(uint32_t i)
{
	return i % 3 ? 1000 + i : i * 2654435761u;
}

/* Records that grow where they stand push others aside; whoever looks for the next one near the
 * last must find it all the same, and nothing where there is none. */
static void test_near_and_far(void **state)
{
	struct fix *f = *state;
	struct lease_client c, expected;
	struct lease got;

	for (uint32_t i = 0; i < MANY; i++)
		put(f, address(i), 1);
	commit(f);
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t at = i % 2 ? i : MANY - 2 - i;
		struct lease l = lease_of(address(at), at + 2);

		l.sent_pet = l.acked_pet = l.rcvd_pet = l.cltt = l.stos = 7;
		assert_int_equal(lease_store_put(f->st, &l, NULL), 0);
	}
	commit(f);
	assert_int_equal(lease_store_read(f->st), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		expected = client_of(address(i));
		assert_int_equal(lease_store_get(f->st, address(i), &got, &c), 0);
		assert_int_equal(got.serial, i + 2);
		assert_int_equal(got.rcvd_pet, 7);
		assert_memory_equal(&c, &expected, sizeof(c));
		assert_int_equal(lease_store_get(f->st, 500000 + i, &got, &c), -ENOENT);
	}
	lease_store_read_end(f->st);
}

struct scan {
	struct fix *f;
	uint32_t last;
	unsigned n;
	int stop;
};

static int scan_cb(void *ctx, const struct lease *l, const struct lease_client *c)
{
	struct lease_client expected = client_of(l->addr);
	struct scan *s = ctx;

	assert_true(!s->n || l->addr > s->last);
	assert_true(client_key_none(l->key));
	assert_memory_equal(c, &expected, sizeof(expected));
	assert_int_equal(serial_at(s->f, l->addr), l->serial); /* reads nest */
	s->last = l->addr;
	return ++s->n == 4 ? s->stop : 0;
}

static void test_scan(void **state)
{
	static const uint32_t addrs[] = { 0xffffffff, 0, 256, 0x80000000, 255, 1 };
	struct fix *f = *state;
	struct scan s = { .f = f };

	assert_int_equal(lease_store_scan(f->st, scan_cb, &s), 0);
	assert_int_equal(s.n, 0);
	for (size_t i = 0; i < 6; i++)
		put(f, addrs[i], 1 + (uint32_t)i);
	commit(f);
	assert_int_equal(lease_store_scan(f->st, scan_cb, &s), 0);
	assert_int_equal(s.n, 6);
	assert_int_equal(s.last, 0xffffffff);
	s = (struct scan){ .f = f, .stop = -ENOENT };
	assert_int_equal(lease_store_scan(f->st, scan_cb, &s), -ENOENT);
	assert_int_equal(s.n, 4);
	commit(f); /* the reader is gone: nothing is locked */
	put(f, 3, 3);
	commit(f);
}

/* --- batches ---------------------------------------------------------------------------------- */

static void test_order(void **state)
{
	struct fix *f = *state;
	uint64_t last = 0;

	for (uint32_t i = 1; i <= 40; i++) {
		put(f, 1, i);
		put(f, 1000 + i, i);
		last = lease_store_submit(f->st);
		if (i % 3 == 0)
			store_step(f->st);
	}
	store_wait(f->st, &f->told, last);
	assert_int_equal(f->told.durable, lease_store_batch(f->st) - 1);
	assert_int_equal(serial_at(f, 1), 40);
	for (uint32_t i = 1; i <= 40; i++)
		assert_int_equal(serial_at(f, 1000 + i), i);
	assert_true(lease_store_idle(f->st));
}

static void test_empty_batch(void **state)
{
	struct fix *f = *state;
	uint64_t n;

	assert_int_equal(lease_store_submit(f->st), 1);
	assert_int_equal(lease_store_submit(f->st), 2);
	assert_int_equal(f->told.durable, 0); /* only dispatch tells */
	store_step(f->st);
	assert_int_equal(f->told.durable, 2);
	lease_store_dispatch(f->st);
	assert_int_equal(f->told.n_durable, 1); /* told once */
	assert_int_equal(commits(f), 0);

	put(f, 1, 1);
	assert_int_equal(lease_store_submit(f->st), 3);
	n = lease_store_submit(f->st); /* behind 3 */
	assert_int_equal(n, 4);
	while (f->told.durable < 4) {
		assert_int_not_equal(f->told.durable, 3);
		store_step(f->st);
	}
	assert_int_equal(serial_at(f, 1), 1);
	assert_int_equal(commits(f), 1);
}

static void test_room(void **state)
{
	struct fix *f = *state;
	struct fo_record r = { .mclt = 1 };
	struct lease l = lease_of(99, 1);
	struct lease_client bad = { .hlen = 17 };

	fix_close(f);
	f->conf.batch_max = 4;
	f->conf.batch_over = 4;
	assert_int_equal(fix_open(f), 0);
	assert_true(lease_store_room(f->st, 4));
	assert_false(lease_store_room(f->st, 5));
	assert_int_equal(lease_store_put(f->st, &l, &bad), -EINVAL);
	for (uint32_t i = 0; i < 4; i++)
		put(f, i, 1);
	assert_false(lease_store_room(f->st, 1));
	assert_true(lease_store_room(f->st, 0));
	for (uint32_t i = 4; i < 8; i++) { /* for clients no more, for the partner yet */
		assert_int_equal(lease_store_overfull(f->st), i > 6);
		put(f, i, 1);
	}
	assert_int_equal(lease_store_put(f->st, &l, NULL), -ENOBUFS);
	assert_int_equal(lease_store_put_relation(f->st, "a", &r), 0); /* states find room */
	commit(f);
	assert_true(lease_store_room(f->st, 4));
	assert_int_equal(serial_at(f, 7), 1);
	assert_int_equal(serial_at(f, 99), 0);
	assert_int_equal(lease_store_get_relation(f->st, "a", &r), 0);
}

/* A batch grows with what must be in it: large records, many times its usual number. */
static void test_grows(void **state)
{
	struct lease_client c = { .hlen = 6, .id_len = 255, .host_name_len = 255 };
	struct fix *f = *state;

	fix_close(f);
	f->conf.batch_max = 4;
	assert_int_equal(fix_open(f), 0);
	for (uint32_t i = 0; i < 3000; i++) {
		struct lease l = lease_of(i, i + 1);

		memcpy(c.id, &i, sizeof(i));
		assert_int_equal(lease_store_put(f->st, &l, &c), 0);
	}
	commit(f);
	assert_int_equal(commits(f), 1);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(serial_at(f, i), i + 1);
}

/* Submit as often as one likes: two are on their way, the third waits under its number. */
static void test_deferred(void **state)
{
	struct fix *f = *state;
	uint64_t n = 0;

	for (uint32_t i = 1; i <= 20; i++) {
		put(f, i, i);
		n = lease_store_submit(f->st);
	}
	assert_int_equal(n, 3);
	assert_int_equal(lease_store_batch(f->st), 3);
	store_wait(f->st, &f->told, n);
	for (uint32_t i = 1; i <= 20; i++)
		assert_int_equal(serial_at(f, i), i);
	assert_int_equal(commits(f), 3);
}

static void test_close_commits_submitted(void **state)
{
	struct fix *f = *state;

	for (uint32_t i = 1; i <= 5; i++) {
		put(f, i, i);
		(void)lease_store_submit(f->st);
	}
	fix_close(f);
	assert_int_equal(fix_open(f), 0);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(serial_at(f, i), i);
	put(f, 6, 6); /* never submitted */
	fix_close(f);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 6), 0);
}

/* As the daemon does it: submit when the writer is idle, else let the batch fill. */
static void test_load(void **state)
{
	struct fix *f = *state;
	struct lease_store_stats s;
	uint32_t put_n = 0;

	fix_close(f);
	f->conf.batch_max = 512;
	assert_int_equal(fix_open(f), 0);
	while (put_n < 10000) {
		for (unsigned i = 0; i < 32 && lease_store_room(f->st, 1) && put_n < 10000;
		     i++, put_n++)
			put(f, put_n * 7919 % 10007, put_n + 1);
		if (lease_store_idle(f->st) || !lease_store_room(f->st, 1))
			(void)lease_store_submit(f->st);
		if (!lease_store_room(f->st, 1))
			store_step(f->st);
		else if (poll(&(struct pollfd){ lease_store_fd(f->st), POLLIN, 0 }, 1, 0) == 1)
			lease_store_dispatch(f->st);
	}
	store_wait(f->st, &f->told, lease_store_submit(f->st));
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(serial_at(f, i * 7919 % 10007), i + 1);
	lease_store_stats(f->st, &s);
	assert_int_equal(s.records, 10000);
	assert_int_equal(s.failed, 0);
	assert_true(s.commits >= 20 && s.commits < 5000);
	assert_true(s.commit_us_max <= s.commit_us_total && s.commit_us_max > 0);
	assert_true(s.disk_free > 0 && s.disk_free <= s.disk_size);
	assert_true(s.used > 10000 && s.used < s.map_size);
	print_message("10000 records in %u commits\n", (unsigned)s.commits);
}

/* --- the map ---------------------------------------------------------------------------------- */

static void check_range(struct fix *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(serial_at(f, i), 1 + i % 1000);
}

static void test_growth(void **state)
{
	struct fix *f = *state;
	struct lease_store_stats before, after;

	fix_close(f);
	f->conf.map_min = 128 << 10;
	assert_int_equal(fix_open(f), 0);
	lease_store_stats(f->st, &before);
	assert_int_equal(before.map_size, 128 << 10);
	for (uint32_t i = 0; i < 1000; i++) {
		put(f, i, 1 + i);
		if (i % 50 == 49) /* small steps: at 80 % */
			commit(f);
	}
	lease_store_stats(f->st, &after);
	assert_true(after.map_size >= 2 * before.map_size);
	assert_true(after.used <= after.map_size / 5 * 4);
	check_range(f, 1000);
	fix_close(f); /* opens small again, and finds what is there */
	assert_int_equal(fix_open(f), 0);
	check_range(f, 1000);
	for (uint32_t i = 1000; i < 5000; i++) /* one step: full within the transaction */
		put(f, i, 1 + i % 1000);
	commit(f);
	assert_int_equal(f->told.n_failed, 0);
	check_range(f, 5000);
}

static void test_map_size(void **state)
{
	struct fix *f = *state;
	struct lease_store_stats s;

	fix_close(f);
	f->conf.map_min = 0;
	assert_int_equal(fix_open(f), 0);
	lease_store_stats(f->st, &s);
	assert_int_equal(s.map_size, 1 << 30);
	fix_close(f);
	f->conf.addresses = 4 << 20;
	assert_int_equal(fix_open(f), 0);
	lease_store_stats(f->st, &s);
	assert_int_equal(s.map_size, 8ull << 30);
}

/* What the next commits will write is no hole: their syncs need no journal. */
static void test_written_ahead(void **state)
{
	struct fix *f = *state;
	struct lease_store_stats s;
	char name[80];
	int fd;

	for (uint32_t i = 0; i < 400; i++) {
		put(f, i * 100, i + 1);
		commit(f);
	}
	lease_store_stats(f->st, &s);
	fix_close(f); /* with the writer's last work done */
	snprintf(name, sizeof(name), "%s/data.mdb", f->dir);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) < 0 && errno == EOPNOTSUPP) {
		close(fd);
		print_message("needs a file system with fallocate: skipped\n");
		skip();
	}
	assert_true(lseek(fd, 0, SEEK_HOLE) >= (off_t)s.used + (128 << 10));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),    T(test_relation_and_meta),
		T(test_keep_client),   T(test_scan),
		T(test_order),	       T(test_empty_batch),
		T(test_room),	       T(test_grows),
		T(test_deferred),      T(test_close_commits_submitted),
		T(test_near_and_far),  T(test_load),
		T(test_growth),	       T(test_map_size),
		T(test_written_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
