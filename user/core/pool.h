#pragma once
/*
 * Every address that may be leased, in memory: one row per address, derived from the records of
 * the store and nothing else (pool_apply and pool_apply_run are the only ways in). Indexes: by
 * address, by client, free addresses per range and owner (oldest first), timers, and what the
 * partner has not acknowledged.
 * Beside them short reservations of offers, which no record holds.
 *
 * Callers: core/server (clients), core/fo_endpoint (partner), the start-up scan. One thread.
 */
#include "core/lease.h"
#include "core/scope.h"

struct pool; /* lives in the caller's memory */

/* Rows and slots of clients have 32-bit numbers, and there are 7/3 as many slots as addresses. */
#define POOL_MAX_ADDRESSES 0x60000000U

/**
 * pool_size - octets that pool_init needs
 * @max_offers: bound on offers held at one time
 * Return: 0 when the ranges are too many for one table (POOL_MAX_ADDRESSES).
 */
size_t pool_size(const struct scope_table *t, uint32_t max_offers);

/**
 * pool_init - an empty table: every address without a record
 * @mem: zeroed, aligned to 64, pool_size() octets; the table @t must outlive the pool
 */
struct pool *pool_init(void *mem, size_t size, const struct scope_table *t, uint32_t max_offers);

/**
 * pool_get - the binding of an address
 * Return: NULL when the address is in no range. Valid until the next pool_apply.
 */
const struct lease *pool_get(const struct pool *p, uint32_t addr);
const struct scope *pool_scope(const struct pool *p, uint32_t addr); /* NULL likewise */
uint32_t pool_range_index(const struct pool *p, uint32_t addr);	     /* n_ranges: in none */
bool pool_has_record(const struct pool *p, uint32_t addr);

/**
 * pool_apply - bring memory in line with a record that has been put into the store
 * @batch: commit number of the record; its update to the partner waits for that commit.
 *         0: read from disk
 * Return: 0; -ENOENT when the address is in no range (the record is kept, not served).
 */
int pool_apply(struct pool *p, const struct lease *l, uint64_t batch);

/**
 * pool_load_begin - many records follow, of one address each: those of a whole store
 * Until pool_load_end they are applied and no client is looked for: all clients are sorted at its
 * end, which takes a third of the time that it takes to find the place of each in turn.
 */
void pool_load_begin(struct pool *p);
void pool_load_end(struct pool *p);

/* Where the rows of @addr and of @n - 1 addresses behind it lie (whatever range they are in), for
 * who knows that they will be used. Return: octets; 0 when @addr is in no range. */
size_t pool_rows_at(const struct pool *p, uint32_t addr, uint32_t n, const void **ret);

/* --- runs: consecutive addresses that nobody ever used (decision A3) --------------------------
 * A run says what holds for those of its addresses that have no record of their own; a record
 * always wins over the run, so that leasing an address changes no run. Where no run lies, such an
 * address is LEASE_NONE: FREE, the primary's. pool_get, counts and free lists know all of this. */

#define POOL_RUN_MIN 16 /* shorter ones are told address by address */

/**
 * pool_apply_run - bring memory in line with a run that has been put into the store
 * @l: the first address, and what holds for @n addresses from there on: state (FREE or BACKUP),
 *     acked_state, stos, serial, flags. A newer run cuts the older ones that it overlaps.
 * @batch: as in pool_apply
 * Return: 0; -ENOENT when none of the addresses is in a range; -ENOSPC when there would be too many
 * runs (nothing is changed; what takes the place of whole runs always fits).
 */
int pool_apply_run(struct pool *p, const struct lease *l, uint32_t n, uint64_t batch);
/* How many addresses @l speaks for when it is a run's, as it came from this pool; 0: not a run's */
uint32_t pool_run_length(const struct pool *p, const struct lease *l);
/* The first run that ends at or after @addr, NULL at the end. One that the partner or the disk
 * knows as a whole may be several here: ranges and newer runs cut it. */
const struct lease *pool_run_next(const struct pool *p, uint32_t addr);

struct pool_stretch {
	struct lease l; /* what holds for the addresses without a record; l.addr is the first */
	uint32_t n, range;
};
/* The first stretch within @addr..@last that lies in one range, and in one run or in none. */
bool pool_stretch_next(const struct pool *p, uint32_t addr, uint32_t last,
		       struct pool_stretch *ret);
/* The highest stretch of at most @max never-used addresses of one owner (@state FREE or BACKUP) in
 * a range, none of them reserved or offered, in one run or in none, below @below (exclusive). */
bool pool_unused_last(const struct pool *p, uint32_t range, unsigned state, uint32_t max,
		      uint64_t below, struct pool_stretch *ret);
/* An address of @first..@last with a record that the partner has not acknowledged; false: none */
bool pool_dirty_within(const struct pool *p, uint32_t first, uint32_t last);

/* Does our configuration reserve the address for somebody? (A record's R flag is in the lease.) */
bool pool_is_reserved(const struct pool *p, uint32_t addr);

/* The client's binding in one scope: ACTIVE first, then the latest by cltt; NULL when none. */
const struct lease *pool_find_client(const struct pool *p, struct client_key key,
				     const struct scope *s);

/* --- choice of an address ------------------------------------------------------------------- */

/* The oldest free address of a scope. @state: LEASE_FREE (never-used ones included) or
 * LEASE_BACKUP. Offered and reserved ones are not in the list. NULL when none. O(ranges). */
const struct lease *pool_free_first(const struct pool *p, const struct scope *s, unsigned state);
bool pool_is_offered(const struct pool *p, uint32_t addr, struct client_key except);

/* Hold an address for a client until @until. Replaces the client's former offer in that scope.
 * When the table of offers is full the oldest goes. */
void pool_offer(struct pool *p, uint32_t addr, struct client_key key, mono_t until);
uint32_t pool_offered(const struct pool *p, struct client_key key, const struct scope *s); /* 0 */
void pool_offer_drop(struct pool *p, uint32_t addr);
void pool_offers_expire(struct pool *p, mono_t now);

/* --- timers: set by pool_apply, and by whoever was told to look again later ------------------
 * ACTIVE and ABANDONED rows fire at expires; EXPIRED, RELEASED and RESET ones once at the time of
 * the change, then when pool_set_timer said so; free ones not. */
void pool_set_timer(struct pool *p, uint32_t addr, uint32_t at_sec); /* 0: none */
const struct lease *pool_due(const struct pool *p, wall_t now);	     /* earliest due, else NULL */
uint32_t pool_next_due(const struct pool *p);			     /* UTC sec, 0 none */

/* --- NAKs ------------------------------------------------------------------------------------ */

/* May a NAK go to this client, at most one in 10 s? Yes is remembered. No also when too many other
 * clients got one lately (1600 per second and more). Spec: decision A15. */
bool pool_nak_take(struct pool *p, struct client_key key, mono_t now);

/* --- what the partner has yet to hear ------------------------------------------------------- */

/* Rows and runs with LEASE_DIRTY and not in flight, oldest change first, of one relationship, whose
 * commit number is <= durable. pool_in_flight takes a row out until it changes, or is put back. */
const struct lease *pool_dirty_first(const struct pool *p, unsigned relation, uint64_t durable);
/* What waits with a commit up to @batch has been asked for. */
void pool_dirty_mark(struct pool *p, unsigned relation, uint64_t batch);
/* The newest commit that changed a row which had been asked for and was still waiting: what was to
 * be said of it is said with this one. What was changed since then without having been asked for
 * does not move it, else it would have no end. */
uint64_t pool_dirty_carried(const struct pool *p, unsigned relation);
/* The address tells what the run it lies in was to tell: if that was asked for, so is this. */
void pool_run_carry(struct pool *p, uint32_t addr);
void pool_in_flight(struct pool *p, uint32_t addr, bool in_flight);
bool pool_is_in_flight(const struct pool *p, uint32_t addr);
/* The same for the run that begins at @addr; without one, nothing happens and it is not. */
void pool_run_in_flight(struct pool *p, uint32_t addr, bool in_flight);
bool pool_run_is_in_flight(const struct pool *p, uint32_t addr);
uint32_t pool_dirty_count(const struct pool *p, unsigned relation); /* queued + in flight */
/* The partner has refused a dirty row or run in flight: it has no such address. That holds until it
 * changes, or is put back. */
void pool_lacked(struct pool *p, uint32_t addr);
void pool_run_lacked(struct pool *p, uint32_t addr);
bool pool_is_lacked(const struct pool *p, uint32_t addr);
bool pool_run_is_lacked(const struct pool *p, uint32_t addr);
uint32_t pool_lacked_count(const struct pool *p, unsigned relation); /* of the dirty ones */

/* --- what the partner has yet to tell: a mark per address, in memory only ----------------------
 */

void pool_told_none(struct pool *p, unsigned relation); /* take all marks away */
bool pool_told(struct pool *p, uint32_t addr); /* mark it; false: it is marked, or in no range */
/* The next address at or after @addr of the relationship's ranges that has no mark and is not
 * reserved; above 32 bits: none. */
uint64_t pool_untold(const struct pool *p, unsigned relation, uint64_t addr);

/* --- a step of the wall clock: all times of all rows move along; 0 and SEC_MAX stay ------------
 */

void pool_clock_moved(struct pool *p, int64_t by_sec);

/* --- walking and counting ------------------------------------------------------------------- */

/* The last address of the range that @addr lies in; @addr where it lies in none. */
uint32_t pool_range_last(const struct pool *p, uint32_t addr);
/* The next row at or after @addr that has a record, in address order; NULL at the end. Addresses
 * without a record are left out: pool_gap_next. */
const struct lease *pool_next(const struct pool *p, uint32_t addr);
/* The first addresses at or after @addr without a record: as many as lie together in one range, in
 * one run or in none, all or none of them reserved by the configuration. False: none are left. */
bool pool_gap_next(const struct pool *p, uint32_t addr, struct pool_stretch *ret);

struct pool_counts {
	uint32_t total;	       /* dynamic addresses (reserved ones not counted) */
	uint32_t free, backup; /* never-used ones are free; reserved not counted */
	uint32_t active, expired, released, abandoned, reset;
	uint32_t wanted_back; /* on the primary: of those in backup, it has asked for them */
	uint32_t reserved;    /* reserved addresses, whatever their state */
	uint32_t offered;
};
void pool_counts_range(const struct pool *p, uint32_t range, struct pool_counts *ret);
void pool_counts_scope(const struct pool *p, const struct scope *s, struct pool_counts *ret);
const struct scope_table *pool_table(const struct pool *p);

/* The oldest free row of one range in a state, for moving it to the other server's share. */
const struct lease *pool_range_free_first(const struct pool *p, uint32_t range, unsigned state);
/* The same of those that were used before, oldest first; @before: the one that came last, or NULL.
 * Ask for the next one before anything is changed. */
const struct lease *pool_range_used_next(const struct pool *p, uint32_t range, unsigned state,
					 const struct lease *before);
