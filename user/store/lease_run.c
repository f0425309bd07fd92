/*
 * Runs on disk. The newest run wins: of an older one there stays what lies before and behind it, so
 * that runs are always disjoint, and one look-up finds the run of an address. All within the
 * transaction of the new one: no power failure leaves an address to two runs, or to none.
 *
 * Called by the writer thread. Spec: decision A3.
 */
#include "store/lease_run.h"

#include "core/wire.h"
#include "store/lease_record.h"

struct span {
	uint64_t first, end; /* one above the last */
	struct lease l;
};

static int read_span(const MDB_val *key, const MDB_val *val, struct span *ret)
{
	struct rd rd = rd_init(key->mv_data, key->mv_size);
	uint32_t n;
	int r;

	ret->first = rd_u32(&rd);
	if (rd.bad || rd.len)
		return -EBADMSG;
	r = run_record_decode(val->mv_data, val->mv_size, &ret->l, &n);
	ret->end = ret->first + n;
	return r;
}

static int write_span(const struct lease_env *e, MDB_txn *txn, const struct span *s)
{
	uint8_t addr[4], buf[LEASE_RECORD_MAX];
	struct wr w = wr_init(addr, sizeof(addr));
	MDB_val key = { sizeof(addr), addr }, val = { 0, buf };

	wr_u32(&w, (uint32_t)s->first);
	val.mv_size = run_record_encode(&s->l, (uint32_t)(s->end - s->first), buf, sizeof(buf));
	return err_from_mdb(mdb_put(txn, e->runs, &key, &val, 0));
}

/* The run that reaches farthest into @s from the left, or the last one that begins within it: any
 * that overlaps will do. -ENOENT: none (left). */
static int find_overlap(const struct lease_env *e, MDB_txn *txn, const struct span *s,
			struct span *ret)
{
	uint8_t addr[4];
	struct wr w = wr_init(addr, sizeof(addr));
	MDB_val key = { sizeof(addr), addr }, val;
	MDB_cursor *c;
	int r = err_from_mdb(mdb_cursor_open(txn, e->runs, &c));

	if (r < 0)
		return r;
	wr_u32(&w, (uint32_t)(s->end - 1));
	r = err_from_mdb(mdb_cursor_get(c, &key, &val, MDB_SET_RANGE));
	if (r == -ENOENT) {
		r = err_from_mdb(mdb_cursor_get(c, &key, &val, MDB_LAST));
	} else if (r == 0) {
		r = read_span(&key, &val, ret);
		if (r == 0 && ret->first >= s->end)
			r = err_from_mdb(mdb_cursor_get(c, &key, &val, MDB_PREV));
	}
	if (r == 0)
		r = read_span(&key, &val, ret);
	mdb_cursor_close(c);
	return r == 0 && ret->end <= s->first ? -ENOENT : r;
}

/* Leave of @old what @s does not cover. */
static int cut(const struct lease_env *e, MDB_txn *txn, const struct span *old,
	       const struct span *s)
{
	struct span head = *old, tail = *old;
	uint8_t addr[4];
	struct wr w = wr_init(addr, sizeof(addr));
	MDB_val key = { sizeof(addr), addr };
	int r;

	wr_u32(&w, (uint32_t)old->first);
	r = err_from_mdb(mdb_del(txn, e->runs, &key, NULL));
	head.end = s->first;
	if (r == 0 && head.first < head.end)
		r = write_span(e, txn, &head);
	tail.first = s->end;
	if (r == 0 && tail.first < tail.end)
		r = write_span(e, txn, &tail);
	return r;
}

int lease_run_put(const struct lease_env *e, MDB_txn *txn, struct octets key, struct octets value)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.p };
	MDB_val v = { value.len, (void *)(uintptr_t)value.p };
	struct span s, old;
	int r = read_span(&k, &v, &s);

	while (r == 0) {
		r = find_overlap(e, txn, &s, &old);
		if (r == 0)
			r = cut(e, txn, &old, &s);
	}
	return r == -ENOENT ? err_from_mdb(mdb_put(txn, e->runs, &k, &v, 0)) : r;
}
