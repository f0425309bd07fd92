#pragma once
/*
 * Runs of never-used addresses on disk: disjoint, keyed by the first address. Writer thread.
 */
#include "core/types.h"
#include "store/lease_env.h"

/* Put a run (@value: its record) and cut the older ones that it overlaps. 0 or -errno. */
int lease_run_put(const struct lease_env *e, MDB_txn *txn, struct octets key, struct octets value);
