#pragma once
/* What lease_store.c and lease_read.c share. All of it is the loop thread's. */
#include "store/lease_dir.h"
#include "store/lease_env.h"
#include "store/lease_store.h"
#include "store/lease_writer.h"

struct lease_store {
	struct lease_store_ops ops;
	char *directory;
	struct lease_dir dir;
	struct lease_env env;
	struct lease_writer writer;
	uint32_t batch_max, batch_over;

	uint64_t open;	/* number of the batch being filled */
	uint64_t ready; /* an empty batch with nothing before it: to be told; 0: none */
	bool deferred;	/* submitted while two were on their way: dispatch hands it over */
	int failed;	/* -errno of the lost commit, until lease_store_reopen */
	uint64_t bad_records;
	uint32_t bad_addr;
};
