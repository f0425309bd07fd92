#pragma once
/*
 * What tests of the store share: a directory of their own, a store with a record of what it told,
 * waiting for its descriptor, and starting again under a preloaded library.
 */
#include <dlfcn.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "store/lease_store.h"

/* A new directory that a store may live in: below STORE_TEST_DIR, or memory first. Exits with 77
 * where there is none. */
static inline void store_dir_make(char path[64])
{
	const char *const places[] = { getenv("STORE_TEST_DIR"), "/dev/shm", "/tmp", "." };

	for (size_t i = 0; i < 4; i++) {
		struct statfs fs;

		if (!places[i])
			continue;
		snprintf(path, 64, "%s/twinlease-store-XXXXXX", places[i]);
		if (statfs(places[i], &fs) == 0 && fs.f_type != 0x794c7630 && mkdtemp(path))
			return;
	}
	puts("no directory on a local file system (overlay does not count)");
	exit(77);
}

static inline void store_dir_remove(const char *path)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "new.mdb", "twinlease.lock" };
	char name[PATH_MAX];

	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, files[i]);
		(void)unlink(name);
	}
	(void)rmdir(path);
}

struct told { /* by the store */
	uint64_t durable, lost;
	unsigned n_durable, n_failed;
	int err;
};

static inline void told_durable(void *ctx, uint64_t batch)
{
	struct told *t = ctx;

	if (batch <= t->durable || t->n_failed) {
		fprintf(stderr, "on_durable(%llu) out of order\n", (unsigned long long)batch);
		abort();
	}
	t->durable = batch;
	t->n_durable++;
}

static inline void told_failed(void *ctx, uint64_t batch, int err)
{
	struct told *t = ctx;

	t->lost = batch;
	t->err = err;
	t->n_failed++;
}

/* Wait for the store's next word. */
static inline void store_step(struct lease_store *st)
{
	struct pollfd p = { .fd = lease_store_fd(st), .events = POLLIN };

	if (poll(&p, 1, 20000) != 1) {
		fputs("the store says nothing for 20 s\n", stderr);
		abort();
	}
	lease_store_dispatch(st);
}

static inline void store_wait(struct lease_store *st, const struct told *t, uint64_t batch)
{
	while (t->durable < batch && !t->n_failed)
		store_step(st);
}

/* Run this program again with tests/lib/NAME.so beside it preloaded; returns in the second run. */
static inline void preload(char **argv, const char *name, const char *symbol)
{
	char self[PATH_MAX], lib[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	if (dlsym(RTLD_DEFAULT, symbol))
		return;
	self[n < 0 ? 0 : n] = 0;
	end = strstr(self, "/tests/unit/");
	snprintf(lib, sizeof(lib), "%.*s/tests/lib/%s.so", end ? (int)(end - self) : 0, self, name);
	if (!end || access(lib, R_OK) < 0 || getenv("LD_PRELOAD")) {
		fprintf(stderr, "%s is missing or does not load: make test builds it\n", lib);
		exit(1);
	}
	setenv("LD_PRELOAD", lib, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	execv(self, argv);
	perror(self);
	exit(1);
}
