/*
 * Reading the store: what is durable, in a read transaction of the loop thread. Nothing that is
 * returned points into the map. Reads may nest (a scan's callback may get): they see one snapshot.
 *
 * A damaged record is named and ends a scan: the server then stays silent about all leases rather
 * than give away the address of the one that it cannot read.
 */
#include <errno.h>
#include "store/lease_record.h"
#include "store/lease_store_priv.h"

static void note_bad(struct lease_store *st, uint32_t addr, int r)
{
	if (r != -EBADMSG && r != -EPROTO)
		return;
	st->bad_records++;
	st->bad_addr = addr;
}

int lease_store_read(struct lease_store *st)
{
	return lease_env_read(&st->env);
}

void lease_store_read_end(struct lease_store *st)
{
	lease_env_read_end(&st->env);
}

int lease_store_get(struct lease_store *st, uint32_t addr, struct lease *ret,
		    struct lease_client *ret_client)
{
	uint8_t octets[4];
	struct wr w = wr_init(octets, sizeof(octets));
	MDB_val key = { sizeof(octets), octets }, val;
	int r = lease_env_read(&st->env);

	if (r < 0)
		return r;
	wr_u32(&w, addr);
	r = err_from_mdb(mdb_cursor_get(st->env.at, &key, &val, MDB_SET));
	if (r == 0)
		r = lease_record_decode(val.mv_data, val.mv_size, ret, ret_client);
	if (r == 0)
		ret->addr = addr;
	note_bad(st, addr, r);
	lease_env_read_end(&st->env);
	return r;
}

int lease_store_get_relation(struct lease_store *st, const char *name, struct fo_record *ret)
{
	MDB_val key = { strlen(name), (void *)(uintptr_t)name }, val;
	int r;

	if (!key.mv_size || key.mv_size > LEASE_KEY_MAX)
		return -EINVAL;
	r = lease_env_read(&st->env);
	if (r < 0)
		return r;
	r = err_from_mdb(mdb_get(st->env.reader, st->env.relations, &key, &val));
	if (r == 0)
		r = fo_record_decode(val.mv_data, val.mv_size, ret);
	lease_env_read_end(&st->env);
	return r;
}

int lease_store_get_meta(struct lease_store *st, const char *key, void *p, size_t *len)
{
	int r;

	if (!key[0] || strlen(key) > LEASE_KEY_MAX)
		return -EINVAL;
	r = lease_env_read(&st->env);
	if (r < 0)
		return r;
	r = lease_meta_get(st->env.reader, st->env.meta, key, p, len);
	lease_env_read_end(&st->env);
	return r;
}

/* What a scan does with one record. */
struct reader {
	struct lease_store *st;
	int (*lease)(void *ctx, const struct lease *l, const struct lease_client *c);
	int (*run)(void *ctx, const struct lease *l, uint32_t n);
	void *ctx;
	struct lease_client c;
};

static int scan_one(struct reader *s, const MDB_val *key, const MDB_val *val)
{
	struct rd rd = rd_init(key->mv_data, key->mv_size);
	uint32_t addr = rd_u32(&rd), n = 0;
	struct lease l;
	int r = rd.bad || rd.len ? -EBADMSG
		: s->run	 ? run_record_decode(val->mv_data, val->mv_size, &l, &n)
				 : lease_record_decode_over(val->mv_data, val->mv_size, &l, &s->c);

	if (r == 0 && n && n - 1 > UINT32_MAX - addr)
		r = -EBADMSG;
	note_bad(s->st, addr, r);
	if (r < 0)
		return r;
	l.addr = addr;
	return s->run ? s->run(s->ctx, &l, n) : s->lease(s->ctx, &l, &s->c);
}

static int scan(struct reader *s, MDB_dbi dbi)
{
	struct lease_env *env = &s->st->env;
	MDB_cursor *cursor;
	MDB_val key, val;
	int r = err_from_mdb(mdb_cursor_open(env->reader, dbi, &cursor));

	if (r < 0)
		return r;
	r = err_from_mdb(mdb_cursor_get(cursor, &key, &val, MDB_FIRST));
	while (r == 0) {
		r = scan_one(s, &key, &val);
		if (r == 0)
			r = err_from_mdb(mdb_cursor_get(cursor, &key, &val, MDB_NEXT));
		else
			goto stop; /* so that a callback's -ENOENT is not taken for the end */
	}
	r = r == -ENOENT ? 0 : r;
stop:
	mdb_cursor_close(cursor);
	return r;
}

int lease_store_scan(struct lease_store *st,
		     int (*cb)(void *ctx, const struct lease *l, const struct lease_client *c),
		     void *ctx)
{
	struct reader s = { .st = st, .lease = cb, .ctx = ctx };
	int r = lease_env_read(&st->env);

	if (r < 0)
		return r;
	lease_env_expect_all(&st->env);
	r = scan(&s, st->env.leases);
	lease_env_read_end(&st->env);
	return r;
}

int lease_store_scan_runs(struct lease_store *st,
			  int (*cb)(void *ctx, const struct lease *l, uint32_t n), void *ctx)
{
	struct reader s = { .st = st, .run = cb, .ctx = ctx };
	int r = lease_env_read(&st->env);

	if (r < 0)
		return r;
	r = scan(&s, st->env.runs);
	lease_env_read_end(&st->env);
	return r;
}
