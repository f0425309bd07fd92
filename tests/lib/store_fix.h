#pragma once
/*
 * Fixture of the store's cmocka tests: one store in a directory of its own, and short verbs.
 * Included after cmocka.h.
 */
#include <errno.h>
#include "store_test.h"

enum { DATA_WRITE, META_WRITE, SYNC, AHEAD_WRITE }; /* of preload_syncfail.c */
static void (*syncfail_arm)(int what, int err, int times);
static unsigned (*syncfail_calls)(int what);

static inline void syncfail_init(char **argv)
{
	preload(argv, "preload_syncfail", "syncfail_arm");
	*(void **)&syncfail_arm = dlsym(RTLD_DEFAULT, "syncfail_arm");
	*(void **)&syncfail_calls = dlsym(RTLD_DEFAULT, "syncfail_calls");
}

struct fix {
	char dir[64];
	struct lease_store_conf conf;
	struct lease_store *st;
	struct told told;
	char err[256];
};

static inline int fix_open(struct fix *f)
{
	struct lease_store_ops ops = { &f->told, told_durable, told_failed };

	f->told = (struct told){ 0 };
	f->conf.directory = f->dir;
	return lease_store_open(&f->conf, &ops, &f->st, f->err);
}

static inline void fix_close(struct fix *f)
{
	lease_store_close(f->st);
	f->st = NULL;
}

static inline int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	store_dir_make(f->dir);
	f->conf.map_min = 16 << 20;
	*state = f;
	if (fix_open(f) == 0)
		return 0;
	fprintf(stderr, "%s\n", f->err);
	return -1;
}

static inline int teardown(void **state)
{
	struct fix *f = *state;

	if (syncfail_arm)
		for (int what = DATA_WRITE; what <= AHEAD_WRITE; what++)
			syncfail_arm(what, 0, 0);
	lease_store_close(f->st);
	store_dir_remove(f->dir);
	free(f);
	return 0;
}

static inline struct lease lease_of(uint32_t addr, uint32_t serial)
{
	return (struct lease){ .addr = addr,
			       .starts = serial * 2,
			       .expires = serial * 3,
			       .serial = serial,
			       .state = LEASE_ACTIVE,
			       .bucket = (uint8_t)addr };
}

static inline struct lease_client client_of(uint32_t n)
{
	struct lease_client c = { .htype = 1, .hlen = 6, .id_len = 5, .host_name_len = 3 };

	memcpy(c.chaddr + 2, &n, sizeof(n));
	memcpy(c.id + 1, &n, sizeof(n));
	memcpy(c.host_name, "pc7", 3);
	return c;
}

static inline void put(struct fix *f, uint32_t addr, uint32_t serial)
{
	struct lease l = lease_of(addr, serial);
	struct lease_client c = client_of(addr);

	assert_int_equal(lease_store_put(f->st, &l, &c), 0);
}

static inline uint64_t commit(struct fix *f)
{
	uint64_t n = lease_store_submit(f->st);

	assert_int_not_equal(n, 0);
	store_wait(f->st, &f->told, n);
	return n;
}

/* The serial on disk, 0: no record. */
static inline uint32_t serial_at(struct fix *f, uint32_t addr)
{
	struct lease_client c;
	struct lease l;
	int r = lease_store_get(f->st, addr, &l, &c);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	assert_int_equal(l.addr, addr);
	return l.serial;
}

static inline uint64_t commits(struct fix *f)
{
	struct lease_store_stats s;

	lease_store_stats(f->st, &s);
	return s.commits;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
