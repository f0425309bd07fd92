/*
 * The disk of a server as user/store presents it: one batch is filled while another is on its way,
 * a commit is all or nothing, and what is not committed is lost with the process.
 */
#include "sim.h"

struct lease_client client_full(const struct small_client *c)
{
	struct lease_client r = { .htype = c->htype, .hlen = c->hlen, .id_len = c->id_len };

	memcpy(r.chaddr, c->chaddr, sizeof(c->chaddr));
	memcpy(r.id, c->id, sizeof(c->id));
	return r;
}

struct small_client client_small(const struct lease_client *c)
{
	struct small_client r = { .htype = c->htype, .hlen = c->hlen, .id_len = c->id_len };

	memcpy(r.chaddr, c->chaddr, sizeof(r.chaddr));
	memcpy(r.id, c->id, sizeof(r.id));
	return r;
}

/* --- putting ---------------------------------------------------------------------------------- */

static struct op *new_op(struct batch *b, enum op_kind kind)
{
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 64;
		b->ops = realloc(b->ops, b->room * sizeof(*b->ops));
		if (!b->ops)
			abort();
	}
	b->ops[b->n].kind = kind;
	return &b->ops[b->n++];
}

void disk_put(struct server *s, const struct lease *l, const struct lease_client *c)
{
	struct op *o = new_op(&s->open, c ? OP_LEASE_CLIENT : OP_LEASE);

	check_put(the_world, s, l);
	o->l = *l;
	if (c)
		o->c = client_small(c);
}

void disk_put_run(struct server *s, const struct lease *l, uint32_t n)
{
	struct op *o = new_op(&s->open, OP_RUN);

	o->l = *l;
	o->n = n;
}

void disk_persist(struct server *s, const struct fo_record *r)
{
	new_op(&s->open, OP_RECORD)->rec = *r;
}

bool disk_client(const struct server *s, uint32_t addr, struct lease_client *ret)
{
	uint32_t a = addr - FIRST;

	if (a >= MAX_ADDR || !s->disk.has[a])
		return false;
	*ret = client_full(&s->disk.c[a]);
	return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int64_t commit_time(struct world *w, const struct server *s)
{
	return s->disk_us / 2 + below(w, (uint32_t)s->disk_us);
}

void disk_submit(struct world *w, struct server *s)
{
	struct batch b = s->committing;

	if (s->writing || s->written_unheard || !s->open.n)
		return;
	s->committing = s->open;
	s->open = b;
	s->open.n = 0;
	s->writing = true;
	s->writing_no = s->open_no++;
	s->commit_id = ++w->commits;
	at(w, w->us + commit_time(w, s), EV_COMMIT, s->i, s->commit_id);
}

static void write_lease(struct server *s, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST;

	memmove(s->recent[a] + 1, s->recent[a], sizeof(s->recent[a]) - sizeof(s->recent[a][0]));
	s->recent[a][0] = o->l.serial;
	s->disk.l[a] = o->l;
	s->disk.has[a] = true;
	if (o->kind == OP_LEASE_CLIENT)
		s->disk.c[a] = o->c;
}

const struct lease *disk_lease(const struct disk *d, unsigned a)
{
	return d->has[a] ? &d->l[a] : &d->run[a];
}

static void write_run(struct server *s, const struct op *o)
{
	uint32_t a = o->l.addr - FIRST, no = ++s->disk.runs;

	for (uint32_t i = 0; i < o->n && a + i < MAX_ADDR; i++) {
		s->disk.run[a + i] = o->l;
		s->disk.run_no[a + i] = no;
	}
}

static void write_all(struct world *w, struct server *s)
{
	for (uint32_t i = 0; i < s->committing.n; i++) {
		const struct op *o = &s->committing.ops[i];

		check_written(w, s, o);
		if (o->kind == OP_RECORD) {
			s->disk.rec = o->rec;
			s->disk.has_rec = true;
		} else if (o->kind == OP_RUN) {
			write_run(s, o);
		} else {
			write_lease(s, o);
		}
	}
	s->committing.n = 0;
}

static bool crash_here(struct server *s, enum crash_plan plan)
{
	return s->crash == plan && s->crash_in <= 1;
}

void disk_commit(struct world *w, struct server *s, uint32_t id)
{
	if (!s->writing || !s->up || id != s->commit_id)
		return;
	if (s->frozen) { /* the whole machine stands still */
		at(w, w->us + 50000, EV_COMMIT, s->i, id);
		return;
	}
	if (crash_here(s, CRASH_BEFORE_COMMIT)) {
		s->committing.n = 0;
		s->writing = false;
		server_kill(w, s, s->crash_power);
		return;
	}
	s->writing = false;
	s->written_unheard = true;
	s->commit_failed = s->fail_next_commit;
	s->fail_next_commit = false;
	if (!s->commit_failed)
		write_all(w, s);
	if (crash_here(s, CRASH_AFTER_COMMIT)) {
		server_kill(w, s, s->crash_power);
		return;
	}
	if (crash_here(s, CRASH_AFTER_TURN))
		s->crash_now = true;
	if (s->crash_in)
		s->crash_in--;
	server_wake(w, s, w->us);
}

/* What was on its way is there as a whole, or not at all. */
void disk_crash(struct world *w, struct server *s, bool power)
{
	if (s->writing && !power && chance(w, 50))
		write_all(w, s);
	s->writing = s->written_unheard = s->commit_failed = false;
	s->committing.n = s->open.n = 0;
}
