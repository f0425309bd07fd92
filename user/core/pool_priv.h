#pragma once
/*
 * Inside of the pool: one row per address and the links of its indexes. Rows are named by number
 * from 1 (0 = none), so that zeroed memory is an empty pool and nothing in it is a pointer.
 *
 *   pool.c        layout, look-up by address, pool_apply, counts, walking
 *   pool_run.c    runs of never-used addresses
 *   pool_free.c   free addresses per range
 *   pool_client.c bindings by client
 *   pool_slot.c   the table that finds a client's first one
 *   pool_dirty.c  what the partner has yet to hear
 *   pool_told.c   what the partner has yet to tell
 *   pool_timer.c  heap of points in time
 *   pool_clock.c  a step of the clock
 *   pool_offer.c  offers held, NAKs lately sent
 */
#include "core/pool.h"

enum row_flag {
	ROW_RECORD = 1,	    /* the store has a record of this address */
	ROW_CONFIGURED = 2, /* reserved by the configuration */
	ROW_IN_FREE = 4,    /* linked in the range's list of free addresses */
	ROW_IN_BACKUP = 8,  /* linked in the range's list of the partner's or our backup share */
	ROW_BY_CLIENT = 16, /* linked under its client */
	ROW_QUEUED = 32,    /* linked in the queue of its relationship */
	ROW_IN_FLIGHT = 64, /* taken out of that queue */
	ROW_TOLD = 128,	    /* the partner has told of it since it was asked for all */
	ROW_ASKED = 256,    /* queued since the partner asked for updates, changed since then */
	ROW_LACKED = 512,   /* in flight no more: the partner has no such address */
};

struct row {
	struct lease l;
	uint64_t batch; /* commit number of the last change */
	union {
		uint32_t sib_next; /* rows of one client in one scope */
		uint32_t length;   /* of a run */
	};
	union {
		uint32_t sib_prev; /* 0: the first */
		uint32_t first;	   /* of a run: number of its first address's row */
	};
	uint32_t free_next, free_prev;
	uint32_t dirty_next, dirty_prev;
	uint32_t offer; /* number of the offer held for it; 0 none */
	uint16_t flags;
};
_Static_assert(sizeof(struct row) == 96, "a million addresses in 100 MB");
/*
 * What an address needs besides: 8 octets in the heap of timers and 4 for its place there, 11 to 21
 * in the slots of clients, 3 bits. A lease in a store with no other addresses: 96 + 12 + 11 to 21.
 * All of it is taken only as it comes into use, addresses being used in order, but for the bits:
 * a never-used address costs none of it.
 */

struct list {
	uint32_t first, last;
};

struct pool_range {
	uint32_t base, size;	/* rows base .. base + size - 1 */
	uint32_t cursor;	/* first never-used row, by address; base + size: none left.
				   Never-used rows behind it are free without being in a list, so that
				   they need no memory */
	uint32_t backup_cursor; /* the same among the rows that lie in runs of the secondary's */
	struct list free, backup;
	uint32_t count[8];    /* by enum lease_state, not reserved; FREE is what remains */
	uint32_t wanted_back; /* of those counted BACKUP */
	uint32_t reserved, offered;
};

struct pool_relation {
	struct list queue;
	uint32_t dirty, lacked;
	uint64_t mark, carried; /* what waits since @mark at the latest: the newest commit that
				   changed some of it */
};

struct timer {
	uint32_t at, row;
};

struct slot {
	uint32_t tag, row; /* row 0: empty */
};

struct offer {
	struct client_key key;
	mono_t until;
	uint32_t row;
	uint32_t hash_next;
	uint32_t next, prev; /* by until, earliest first; next also links unused ones */
};

/* NAKs lately sent: sets of a few slots, found by the client's key */
#define NAK_SETS 4096
#define NAK_WAYS 4
#define NAK_QUIET_US 10000000 /* decision A15 */

struct nak {
	struct client_key key;
	mono_t until;
};

struct pool {
	const struct scope_table *t;
	struct row *rows; /* [1 .. n_rows] */
	struct pool_range *ranges;
	struct pool_relation *relations;
	struct timer *heap;   /* [1 .. n_timers] */
	uint32_t *heap_place; /* by row: where in the heap, 0 nowhere. Apart from the rows, since a
				 change of the heap moves entries of rows that it has no other
				 business with */
	struct slot *slots;   /* homes [0 .. n_homes), and behind them what found no room there */
	uint64_t *records;    /* a bit per row: ROW_RECORD */
	uint64_t *apart; /* a bit per row: has a record or is reserved, so no run speaks for it */
	uint64_t *loose; /* a bit per row: not apart, but offered, or linked in a free list */
	uint32_t *runs;	 /* rows behind the addresses' own: by address, disjoint, [n_runs] */
	struct offer *offers; /* [1 .. max_offers] */
	uint32_t *offer_chain;
	struct nak *naks;
	uint32_t n_rows, n_timers, n_relations, offer_mask;
	uint32_t n_clients, n_homes, max_homes; /* of the slots: in use, and where they begin */
	bool loading; /* slots stand side by side in no order, [0 .. n_clients) */
	uint32_t max_offers, n_offers, used_offers, unused_offer;
	uint32_t max_runs, n_runs, used_runs, unused_run;
	struct list offer_order;
};

/* The first range that ends at or after @addr, t->n_ranges when there is none. */
uint32_t pool_range_from(const struct pool *p, uint32_t addr);
/* A range's number, or t->n_ranges when no range holds @addr. */
uint32_t pool_range_of(const struct pool *p, uint32_t addr);
uint32_t pool_row_of(const struct pool *p, uint32_t addr);	/* 0: in no range */
uint32_t pool_scope_index(const struct pool *p, uint32_t addr); /* of an address in a range */

static inline bool row_is_reserved(const struct row *r)
{
	return r->flags & ROW_CONFIGURED || r->l.flags & LEASE_RESERVED;
}

/* --- bits, one per row --- */
static inline bool bit_get(const uint64_t *map, uint32_t id)
{
	return map[id / 64] >> (id % 64) & 1;
}

static inline void bit_set(uint64_t *map, uint32_t id, bool on)
{
	uint64_t bit = 1ULL << (id % 64);

	map[id / 64] = on ? map[id / 64] | bit : map[id / 64] & ~bit;
}

/* --- pool_run.c --- */
/* The run that a row without a record lies in, 0 none. */
uint32_t pool_run_over(const struct pool *p, uint32_t id);
/* The first run that ends behind row @id: its place among the runs, n_runs when there is none. */
uint32_t pool_run_place(const struct pool *p, uint32_t id);
/* A row without a record says what its run says. */
void pool_row_derive(const struct pool *p, uint32_t id, uint32_t addr);
uint32_t pool_addr_of(const struct pool *p, uint32_t range, uint32_t id);
/* The first row at or after @id, below @end, that neither record, reservation nor list holds. */
uint32_t pool_next_unused(const struct pool *p, uint32_t id, uint32_t end);

/* Cursors of a range after a change of runs in it. */
void pool_free_advance(struct pool *p, uint32_t range);

/* Bring the lists of free addresses in line with the row. @to_front: it was free all the time. */
void pool_free_update(struct pool *p, uint32_t range, uint32_t id, bool to_front);

/* The first slot whose tag is @tag or more; an empty one at the latest. */
uint32_t pool_slot_first(const struct pool *p, uint32_t tag);
void pool_slot_add(struct pool *p, uint32_t tag, uint32_t row);
void pool_slot_drop(struct pool *p, uint32_t slot);
/* Into an empty table all at once: append them, sort, and spread; whoever wants none of two with
 * one tag takes it out before that. */
void pool_slot_append(struct pool *p, uint32_t tag, uint32_t row);
void pool_slot_sort(struct pool *p);
void pool_slot_spread(struct pool *p);

/* @scope: that of the row's address */
void pool_client_link(struct pool *p, uint32_t id, uint32_t scope);
void pool_client_unlink(struct pool *p, uint32_t id, uint32_t scope);

/* The row as it was (@was: flags of its lease) has been replaced, in commit @batch. */
void pool_dirty_update(struct pool *p, uint32_t id, uint8_t was, uint64_t batch);
bool pool_dirty_asked(const struct pool *p, uint32_t id);
void pool_dirty_carry(struct pool *p, uint32_t id); /* it stands for one that was asked for */

void pool_timer_set(struct pool *p, uint32_t id, uint32_t at);

void pool_offer_forget(struct pool *p, uint32_t id); /* without touching the free lists */
