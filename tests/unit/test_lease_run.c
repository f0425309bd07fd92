/*
 * Runs of never-used addresses on disk: the newest cuts the older ones; a store of the former
 * format opens, and cannot be opened by a server that would not see its runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <lmdb.h>
#include "../lib/store_fix.h"
#include "store/lease_record.h"

#define ADDRS 400

static uint64_t rng = 7;

static uint32_t chance(uint32_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % n;
}

static struct lease run_of(uint32_t addr, uint32_t serial)
{
	return (struct lease){ .addr = addr,
			       .state = serial % 3 ? LEASE_BACKUP : LEASE_FREE,
			       .acked_state = LEASE_BACKUP,
			       .flags = serial % 2 ? LEASE_DIRTY : 0,
			       .stos = serial * 5,
			       .serial = serial };
}

struct seen {
	uint32_t serial[ADDRS], runs, next;
};

static int note(void *ctx, const struct lease *l, uint32_t n)
{
	struct lease expected = run_of(l->addr, l->serial);
	struct seen *s = ctx;

	assert_memory_equal(l, &expected, sizeof(*l));
	assert_true(n > 0 && l->addr >= s->next); /* in order, disjoint */
	for (uint32_t i = 0; i < n; i++)
		s->serial[l->addr - 1000 + i] = l->serial;
	s->next = l->addr + n;
	s->runs++;
	return 0;
}

static void check(struct fix *f, const uint32_t expected[ADDRS])
{
	struct seen s = { .runs = 0 };

	assert_int_equal(lease_store_scan_runs(f->st, note, &s), 0);
	assert_memory_equal(s.serial, expected, sizeof(s.serial));
}

static void test_newest_wins(void **state)
{
	static uint32_t model[ADDRS];
	struct fix *f = *state;

	for (uint32_t serial = 1; serial < 600; serial++) {
		uint32_t from = chance(ADDRS), n = 1 + chance(chance(4) ? 30 : ADDRS);
		struct lease l;

		n = n < ADDRS - from ? n : ADDRS - from;
		l = run_of(1000 + from, serial);
		assert_int_equal(lease_store_put_run(f->st, &l, n), 0);
		for (uint32_t i = 0; i < n; i++)
			model[from + i] = serial;
		if (chance(3))
			continue; /* several of one batch cut each other, too */
		commit(f);
		check(f, model);
	}
	commit(f);
	fix_close(f);
	assert_int_equal(fix_open(f), 0);
	check(f, model);
	put(f, 1007, 3); /* a lease is another matter */
	commit(f);
	check(f, model);
}

static void test_refused(void **state)
{
	struct fix *f = *state;
	struct lease l = run_of(1000, 1);

	assert_int_equal(lease_store_put_run(f->st, &l, 0), -EINVAL);
	l.addr = UINT32_MAX - 3;
	assert_int_equal(lease_store_put_run(f->st, &l, 5), -EINVAL);
	assert_int_equal(lease_store_put_run(f->st, &l, 4), 0);
	l.state = LEASE_ACTIVE;
	assert_int_equal(lease_store_put_run(f->st, &l, 1), -EINVAL);
	commit(f);
	l.addr = 0;
	l.state = LEASE_FREE;
	assert_int_equal(lease_store_put_run(f->st, &l, UINT32_MAX), 0); /* over all but one */
	commit(f);
}

/* As octets, so that a change of the format has to be meant. */
static void test_record(void **state)
{
	static const uint8_t expected[] = { 1, 0x01, 1, 7, 0x08, 4, 0, 0, 0, 10, 0x09, 4, 0, 0, 0,
					    2, 0x0a, 1, 7, 0x0d, 4, 0, 8, 0, 0,	 0xff, 4 };
	uint8_t buf[LEASE_RECORD_MAX];
	struct lease l = run_of(0, 2), got;
	uint32_t n;

	(void)state;
	assert_int_equal(run_record_encode(&l, 0x80000, buf, sizeof(buf)), sizeof(expected) + 4);
	assert_memory_equal(buf, expected, sizeof(expected));
	assert_int_equal(run_record_decode(buf, sizeof(expected) + 4, &got, &n), 0);
	assert_int_equal(n, 0x80000);
	assert_memory_equal(&got, &l, sizeof(l));
	for (size_t len = 0; len < sizeof(expected) + 4; len++)
		assert_int_equal(run_record_decode(buf, len, &got, &n), -EBADMSG);
	assert_int_equal(run_record_encode(&l, 5, buf, sizeof(expected)), 0);
}

static void in_env(const char *dir, void (*change)(MDB_txn *txn))
{
	MDB_env *env;
	MDB_txn *txn;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	change(txn);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* As 0.1.0 left it: no runs, format 1. */
static void make_former(MDB_txn *txn)
{
	static const uint8_t format_1[] = { 0, 0, 0, 1, 0x56, 0x43, 0xef, 0x8a };
	MDB_val key = { 6, (void *)(uintptr_t) "format" },
		val = { sizeof(format_1), (void *)(uintptr_t)format_1 };
	MDB_dbi dbi;

	assert_int_equal(mdb_dbi_open(txn, "runs", 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &val, 0), 0);
}

static void is_format_2(MDB_txn *txn)
{
	MDB_val key = { 6, (void *)(uintptr_t) "format" }, val;
	MDB_dbi dbi;

	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
	assert_int_equal(mdb_get(txn, dbi, &key, &val), 0);
	assert_int_equal(((const uint8_t *)val.mv_data)[3], 2);
}

static void test_former_store(void **state)
{
	struct fix *f = *state;
	struct lease l = run_of(1000, 1);
	uint32_t model[ADDRS] = { 0 };

	put(f, 1001, 9);
	commit(f);
	fix_close(f);
	in_env(f->dir, make_former);
	assert_int_equal(fix_open(f), 0);
	assert_int_equal(serial_at(f, 1001), 9);
	check(f, model);
	assert_int_equal(lease_store_put_run(f->st, &l, 2), 0);
	commit(f);
	fix_close(f);
	in_env(f->dir, is_format_2);
	assert_int_equal(fix_open(f), 0);
	model[0] = model[1] = 1;
	check(f, model);
	assert_int_equal(serial_at(f, 1001), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_newest_wins),
		T(test_refused),
		T(test_record),
		T(test_former_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
