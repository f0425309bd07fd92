/*
 * core/pool against a naive model: after any sequence of changes every index says what a search
 * over all addresses says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool_world.h"

/* --- the model -------------------------------------------------------------------------------- */

#define ADDRESSES 127
#define CLIENTS 12

struct model_row {
	struct lease l;
	uint32_t range;
	bool record, reserved, in_flight, lacked;
	uint64_t batch, changed; /* order of the change */
	uint32_t timer;
	bool offered;
	struct client_key offer_key;
	mono_t until;
	uint64_t offer_made;
	uint64_t freed; /* since when it is in a free list by a record; 0: by an offer's end */
};

static struct model_row model[ADDRESSES];
static uint64_t step, rng;

static uint32_t chance(uint32_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % n;
}

/* Runs by address: what the newest one said; where it begins and ends is told by its number. */
static struct {
	struct lease l;
	uint64_t piece, batch; /* piece 0: none; neighbours of one number are one run */
	bool in_flight, lacked;
} run_model[ADDRESSES];
static uint64_t pieces;

static const struct scope *scope_of(const struct model_row *m)
{
	return &scopes[ranges[m->range].scope];
}

static bool model_reserved(const struct model_row *m)
{
	return m->reserved || m->l.flags & LEASE_RESERVED;
}

static bool reserved_in(const struct scope *s, uint32_t addr)
{
	for (uint32_t i = 0; i < s->n_reservations; i++)
		if (s->reservations[i].addr == addr)
			return true;
	return false;
}

static void model_init(void)
{
	unsigned n = 0;

	memset(model, 0, sizeof(model));
	memset(run_model, 0, sizeof(run_model));
	pieces = 0;
	for (uint32_t i = 0; i < N(ranges); i++)
		for (uint32_t a = ranges[i].first; a <= ranges[i].last; a++, n++) {
			model[n].l.addr = a;
			model[n].range = i;
			model[n].reserved = reserved_in(scope_of(&model[n]), a);
		}
	assert_int_equal(n, ADDRESSES);
}

static unsigned free_kind(const struct model_row *m)
{
	if (model_reserved(m) || m->offered || !lease_is_free(&m->l))
		return 0;
	return m->l.state == LEASE_BACKUP ? LEASE_BACKUP : LEASE_FREE;
}

static void model_drop(struct model_row *m)
{
	m->offered = false;
	m->freed = 0;
}

static void do_apply(struct pool *p, struct model_row *m)
{
	static const uint8_t states[] = { LEASE_FREE,	 LEASE_ACTIVE,	 LEASE_ACTIVE,
					  LEASE_EXPIRED, LEASE_RELEASED, LEASE_ABANDONED,
					  LEASE_RESET,	 LEASE_BACKUP };
	unsigned was_kind = free_kind(m), was_state = m->l.state;
	struct lease l = m->l;

	if (chance(4)) /* else: the same again, say after an acknowledgement */
		l.state = states[chance(N(states))];
	l.flags = (uint8_t)((chance(2) ? LEASE_DIRTY : 0) | (chance(12) ? 0 : LEASE_RESERVED));
	l.acked_state = chance(2) ? LEASE_BACKUP : 0;
	if (chance(2))
		l.key = chance(5) ? key_of(1 + chance(CLIENTS)) : (struct client_key){ { 0, 0 } };
	if (chance(2))
		l.cltt = (uint32_t)step;
	l.expires = chance(10) ? 1 + chance(500) : SEC_MAX;
	if (l.state != was_state)
		l.stos = (uint32_t)step;
	m->batch = chance(30) ? step / 7 : 0; /* several changes per commit */
	assert_int_equal(pool_apply(p, &l, m->batch), 0);
	m->l = l;
	m->record = true;
	m->in_flight = m->lacked = false;
	m->changed = step;
	if (l.state == LEASE_ACTIVE || l.state == LEASE_ABANDONED) {
		m->timer = l.expires < SEC_MAX ? l.expires : 0;
		model_drop(m);
	} else if (lease_is_free(&l)) {
		m->timer = 0;
	} else if (was_state != l.state) {
		m->timer = l.stos ? l.stos : 1;
	}
	if (free_kind(m) && free_kind(m) != was_kind)
		m->freed = step;
}

static struct model_row *model_offer(struct client_key key, const struct scope *s)
{
	for (unsigned i = 0; i < ADDRESSES; i++)
		if (model[i].offered && client_key_equal(model[i].offer_key, key) &&
		    scope_of(&model[i]) == s)
			return &model[i];
	return NULL;
}

static struct model_row *model_first_offer(unsigned *ret_n)
{
	struct model_row *best = NULL;

	*ret_n = 0;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct model_row *m = &model[i];

		if (!m->offered)
			continue;
		(*ret_n)++;
		if (!best || m->until.us < best->until.us ||
		    (m->until.us == best->until.us && m->offer_made < best->offer_made))
			best = m;
	}
	return best;
}

static void do_offer(struct pool *p, struct model_row *m)
{
	struct client_key key = key_of(1 + chance(CLIENTS));
	mono_t until = { (int64_t)step + chance(40) };
	struct model_row *former = model_offer(key, scope_of(m)), *oldest;
	unsigned n;

	pool_offer(p, m->l.addr, key, until);
	if (former)
		model_drop(former);
	if (m->offered)
		model_drop(m);
	oldest = model_first_offer(&n);
	if (n == MAX_OFFERS)
		model_drop(oldest);
	m->offered = true;
	m->offer_key = key;
	m->until = until;
	m->offer_made = step;
}

static void model_says(struct model_row *m, const struct lease *l)
{
	uint32_t addr = m->l.addr;

	if (m->record)
		return;
	m->l = l ? *l : (struct lease){ 0 };
	m->l.addr = addr;
	m->freed = 0;
}

/* A piece that is left of an older run is told anew. */
static void renumber(unsigned i, bool down)
{
	uint64_t was = run_model[i].piece;

	if (!was)
		return;
	for (pieces++; i < ADDRESSES && run_model[i].piece == was; i += down ? -1u : 1u) {
		run_model[i].piece = pieces;
		run_model[i].batch = step / 7;
		run_model[i].in_flight = run_model[i].lacked = false;
	}
}

static void do_run(struct pool *p)
{
	unsigned from = chance(ADDRESSES), n = 1 + chance(40), end, last;
	struct lease l = { .addr = model[from].l.addr,
			   .state = chance(3) ? LEASE_BACKUP : LEASE_FREE,
			   .acked_state = chance(2) ? LEASE_BACKUP : LEASE_FREE,
			   .flags = chance(2) ? LEASE_DIRTY : 0,
			   .serial = (uint32_t)step };

	/* over several ranges, and what lies between them */
	end = from + n < ADDRESSES ? from + n : ADDRESSES;
	last = model[end - 1].l.addr;
	assert_int_equal(pool_apply_run(p, &l, last - l.addr + 1, step / 7), 0);
	if (from && run_model[from - 1].piece == run_model[from].piece)
		renumber(from - 1, true);
	if (end < ADDRESSES && run_model[end - 1].piece == run_model[end].piece)
		renumber(end, false);
	for (unsigned i = from; i < end; i++) {
		if (i == from || model[i].range != model[i - 1].range)
			pieces++;
		run_model[i].l = l;
		run_model[i].l.addr = model[i].l.addr;
		run_model[i].piece = pieces;
		run_model[i].batch = step / 7;
		run_model[i].in_flight = run_model[i].lacked = false;
		model_says(&model[i], &l);
	}
}

static bool run_begins(unsigned i)
{
	return run_model[i].piece && (!i || run_model[i - 1].piece != run_model[i].piece);
}

static bool run_told(unsigned i)
{
	return scope_of(&model[i])->relation >= 0 && run_begins(i);
}

static void check_runs(const struct pool *p)
{
	const struct lease *l = pool_run_next(p, 0);
	struct pool_stretch s;

	for (unsigned i = 0, n; i < ADDRESSES; i += n) {
		for (n = 1; i + n < ADDRESSES && model[i + n].range == model[i].range &&
			    run_model[i + n].piece == run_model[i].piece;
		     n++)
			;
		assert_true(pool_stretch_next(p, model[i].l.addr, UINT32_MAX, &s));
		assert_int_equal(s.n, n);
		assert_int_equal(s.l.addr, model[i].l.addr);
		assert_int_equal(s.l.state, run_model[i].l.state);
		assert_int_equal(s.l.serial, run_model[i].l.serial);
		if (!run_model[i].piece)
			continue;
		assert_non_null(l);
		assert_int_equal(l->addr, s.l.addr);
		assert_int_equal(pool_run_length(p, l), n);
		assert_int_equal(pool_run_is_in_flight(p, l->addr), run_model[i].in_flight);
		l = pool_run_next(p, l->addr + n);
	}
	assert_null(l);
	for (unsigned i = 0; i < ADDRESSES; i++)
		assert_int_equal(pool_get(p, model[i].l.addr)->state, model[i].l.state);
}

/* May one walk tell of both addresses in one breath? */
static bool one_gap(unsigned a, unsigned b)
{
	return !model[b].record && model[a].range == model[b].range &&
	       model[a].reserved == model[b].reserved &&
	       (model[a].reserved || run_model[a].piece == run_model[b].piece);
}

static void check_gaps(const struct pool *p)
{
	struct pool_stretch s;
	uint64_t at = 0;

	for (unsigned i = 0, n; i < ADDRESSES; i += n) {
		n = 1;
		if (model[i].record)
			continue;
		while (i + n < ADDRESSES && one_gap(i, i + n))
			n++;
		assert_true(pool_gap_next(p, (uint32_t)at, &s));
		assert_int_equal(s.l.addr, model[i].l.addr);
		assert_int_equal(s.n, n);
		assert_int_equal(!(s.l.flags & LEASE_RESERVED), !model[i].reserved);
		if (!model[i].reserved)
			assert_int_equal(s.l.state, model[i].l.state);
		at = (uint64_t)s.l.addr + n;
	}
	assert_false(pool_gap_next(p, (uint32_t)at, &s));
}

static bool unused(const struct model_row *m, unsigned state)
{
	return !m->record && !m->reserved && !m->offered &&
	       (m->l.state == LEASE_BACKUP) == (state == LEASE_BACKUP);
}

/* Never-used addresses from the highest one down: each once, but for those in a list. */
static void check_unused(const struct pool *p)
{
	for (uint32_t range = 0; range < N(ranges); range++)
		for (unsigned state = LEASE_FREE; state <= LEASE_BACKUP; state += 6) {
			uint64_t below = 1ULL << 32;
			unsigned got = 0, all = 0, loose = 0;
			struct pool_stretch s;

			while (pool_unused_last(p, range, state, 1 + chance(20), below, &s)) {
				assert_int_equal(s.range, range);
				assert_true(s.n && s.l.addr + s.n <= below);
				for (uint32_t a = s.l.addr; a < s.l.addr + s.n; a++) {
					unsigned i = pool_row_of(p, a) - 1;

					assert_true(unused(&model[i], state));
					assert_int_equal(
						run_model[i].piece,
						run_model[pool_row_of(p, s.l.addr) - 1].piece);
				}
				got += s.n;
				below = s.l.addr;
			}
			for (unsigned i = 0; i < ADDRESSES; i++) {
				bool yes = model[i].range == range && unused(&model[i], state);

				all += yes;
				loose += yes && bit_get(p->loose, i + 1);
			}
			assert_int_equal(got, all - loose);
		}
}

/* --- a step ----------------------------------------------------------------------------------- */

static void do_something(struct pool *p)
{
	struct model_row *m = &model[chance(chance(2) ? ADDRESSES : 30)];
	unsigned at = (unsigned)(m - model);
	bool flag;

	switch (chance(15)) {
	case 12:
		if (!chance(4))
			do_run(p);
		break;
	case 13:
		flag = chance(2);
		pool_run_in_flight(p, m->l.addr, flag);
		if (run_told(at))
			for (uint64_t was = run_model[at].piece;
			     at < ADDRESSES && run_model[at].piece == was; at++) {
				run_model[at].in_flight = flag;
				run_model[at].lacked &= flag;
			}
		break;
	case 14: /* nothing, unless it is dirty and in flight */
		pool_lacked(p, m->l.addr);
		m->lacked = m->in_flight && m->record && m->l.flags & LEASE_DIRTY;
		pool_run_lacked(p, m->l.addr);
		if (run_begins(at))
			run_model[at].lacked =
				run_model[at].in_flight && run_model[at].l.flags & LEASE_DIRTY;
		break;
	case 0:
	case 1:
		do_offer(p, m);
		break;
	case 2:
		pool_offer_drop(p, m->l.addr);
		if (m->offered)
			model_drop(m);
		break;
	case 3:
		pool_offers_expire(p, (mono_t){ (int64_t)step });
		for (unsigned i = 0; i < ADDRESSES; i++)
			if (model[i].offered && model[i].until.us <= (int64_t)step)
				model_drop(&model[i]);
		break;
	case 4:
		m->timer = chance(4) ? 1 + chance(500) : 0;
		pool_set_timer(p, m->l.addr, m->timer);
		break;
	case 5:
	case 6:
		flag = chance(2);
		pool_in_flight(p, m->l.addr, flag);
		if (scope_of(m)->relation >= 0)
			m->in_flight = flag;
		m->lacked &= flag;
		break;
	default:
		do_apply(p, m);
		break;
	}
}

/* --- what every index says -------------------------------------------------------------------- */

static void check_clients(const struct pool *p)
{
	for (uint32_t k = 1; k <= CLIENTS; k++)
		for (unsigned s = 0; s < N(scopes); s++) {
			const struct lease *got = pool_find_client(p, key_of(k), &scopes[s]);
			const struct lease *best = NULL;

			for (unsigned i = 0; i < ADDRESSES; i++) {
				const struct lease *l = &model[i].l;

				if (!model[i].record || !client_key_equal(l->key, key_of(k)) ||
				    scope_of(&model[i]) != &scopes[s])
					continue;
				if (!best ||
				    (l->state == LEASE_ACTIVE) > (best->state == LEASE_ACTIVE) ||
				    ((l->state == LEASE_ACTIVE) == (best->state == LEASE_ACTIVE) &&
				     l->cltt > best->cltt))
					best = l;
			}
			assert_int_equal(!got, !best);
			if (!got)
				continue;
			assert_int_equal(got->state == LEASE_ACTIVE, best->state == LEASE_ACTIVE);
			assert_int_equal(got->cltt, best->cltt);
			assert_true(client_key_equal(got->key, key_of(k)));
			assert_ptr_equal(pool_scope(p, got->addr), &scopes[s]);
		}
}

static void check_list(const struct pool *p, uint32_t range, const struct list *l, unsigned kind,
		       bool seen[ADDRESSES])
{
	uint32_t before = 0, id;
	uint64_t freed = 0;

	for (id = l->first; id; before = id, id = p->rows[id].free_next) {
		const struct model_row *m = &model[id - 1];

		assert_int_equal(p->rows[id].free_prev, before);
		assert_int_equal(m->range, range);
		assert_int_equal(free_kind(m), kind);
		assert_false(seen[id - 1]);
		seen[id - 1] = true;
		if (m->freed) { /* those that an offer did not put in front: oldest first */
			assert_true(m->freed >= freed);
			freed = m->freed;
		}
	}
	assert_int_equal(l->last, before);
}

static void check_cursor(const struct pool *p, const struct pool_range *pr, uint32_t cursor,
			 unsigned kind, bool seen[ADDRESSES])
{
	for (uint32_t id = cursor; id < pr->base + pr->size; id++) {
		if (model[id - 1].record || free_kind(&model[id - 1]) != kind ||
		    bit_get(p->loose, id)) /* back from an offer: in the list */
			continue;
		assert_false(seen[id - 1]);
		seen[id - 1] = true;
	}
	if (cursor < pr->base + pr->size)
		assert_true(!model[cursor - 1].record && free_kind(&model[cursor - 1]) == kind);
}

static void check_free(const struct pool *p)
{
	bool seen[ADDRESSES] = { false };

	for (uint32_t i = 0; i < N(ranges); i++) {
		const struct pool_range *pr = &p->ranges[i];

		check_list(p, i, &pr->free, LEASE_FREE, seen);
		check_list(p, i, &pr->backup, LEASE_BACKUP, seen);
		check_cursor(p, pr, pr->cursor, LEASE_FREE, seen);
		check_cursor(p, pr, pr->backup_cursor, LEASE_BACKUP, seen);
	}
	for (unsigned i = 0; i < ADDRESSES; i++)
		assert_int_equal(seen[i], free_kind(&model[i]) != 0);
	for (unsigned s = 0; s < N(scopes); s++)
		for (unsigned k = 0; k < 2; k++) {
			unsigned kind = k ? LEASE_BACKUP : LEASE_FREE, any = 0;
			const struct lease *l = pool_free_first(p, &scopes[s], kind);

			for (unsigned i = 0; i < ADDRESSES; i++)
				any += scope_of(&model[i]) == &scopes[s] &&
				       free_kind(&model[i]) == kind;
			assert_int_equal(!l, !any);
			if (l)
				assert_int_equal(free_kind(&model[pool_row_of(p, l->addr) - 1]),
						 kind);
		}
}

static void check_timers(const struct pool *p)
{
	uint32_t earliest = 0, n = 0;
	const struct lease *l;

	for (unsigned i = 0; i < ADDRESSES; i++) {
		if (model[i].timer && (!earliest || model[i].timer < earliest))
			earliest = model[i].timer;
		n += model[i].timer != 0;
	}
	assert_int_equal(p->n_timers, n);
	assert_int_equal(pool_next_due(p), earliest);
	l = pool_due(p, (wall_t){ 250 });
	assert_int_equal(!l, !earliest || earliest > 250);
	if (l)
		assert_int_equal(model[pool_row_of(p, l->addr) - 1].timer, earliest);
	for (uint32_t i = 1; i <= p->n_timers; i++) {
		assert_int_equal(p->heap_place[p->heap[i].row], i);
		assert_int_equal(p->heap[i].at, model[p->heap[i].row - 1].timer);
		assert_true(i == 1 || p->heap[(i - 2) / 4 + 1].at <= p->heap[i].at);
	}
}

static void check_dirty(const struct pool *p)
{
	for (unsigned rel = 0; rel < 4; rel++) {
		unsigned dirty = 0, queued = 0, lacked = 0, walked = 0, id_run;
		uint64_t lowest = UINT64_MAX, batch = 0;
		const struct lease *l;

		for (unsigned i = 0; i < ADDRESSES; i++) {
			const struct model_row *m = &model[i];

			assert_int_equal(pool_is_in_flight(p, m->l.addr), m->in_flight);
			if (scope_of(m)->relation != (int)rel)
				continue;
			if (run_begins(i) && run_model[i].l.flags & LEASE_DIRTY) {
				dirty++;
				queued += !run_model[i].in_flight;
				lacked += run_model[i].lacked;
				if (!run_model[i].in_flight && run_model[i].batch < lowest)
					lowest = run_model[i].batch;
			}
			if (!m->record || !(m->l.flags & LEASE_DIRTY))
				continue;
			dirty++;
			queued += !m->in_flight;
			lacked += m->lacked;
			if (!m->in_flight && m->batch < lowest)
				lowest = m->batch;
		}
		assert_int_equal(pool_dirty_count(p, rel), dirty);
		assert_int_equal(pool_lacked_count(p, rel), lacked);
		l = pool_dirty_first(p, rel, UINT64_MAX);
		assert_int_equal(!l, !queued);
		if (!l)
			continue;
		assert_int_equal(pool_run_length(p, l)
					 ? run_model[pool_row_of(p, l->addr) - 1].batch
					 : model[pool_row_of(p, l->addr) - 1].batch,
				 lowest);
		assert_ptr_equal(pool_dirty_first(p, rel, lowest), l);
		if (lowest)
			assert_null(pool_dirty_first(p, rel, lowest - 1));
		for (uint32_t id = p->relations[rel].queue.first; id; id = p->rows[id].dirty_next) {
			assert_true(p->rows[id].batch >= batch);
			batch = p->rows[id].batch;
			walked++;
			if (id > ADDRESSES) {
				id_run = p->rows[id].first - 1;
				assert_true(run_model[id_run].l.flags & LEASE_DIRTY &&
					    !run_model[id_run].in_flight);
				continue;
			}
			assert_true(model[id - 1].l.flags & LEASE_DIRTY &&
				    !model[id - 1].in_flight);
		}
		assert_int_equal(walked, queued);
	}
}

static void check_counts(const struct pool *p)
{
	for (uint32_t r = 0; r < N(ranges); r++) {
		struct pool_counts got, want = { 0 };

		for (unsigned i = 0; i < ADDRESSES; i++) {
			const struct model_row *m = &model[i];

			if (m->range != r)
				continue;
			want.offered += m->offered;
			want.reserved += model_reserved(m);
			if (model_reserved(m))
				continue;
			want.total++;
			want.free += m->l.state == LEASE_NONE || m->l.state == LEASE_FREE;
			want.backup += m->l.state == LEASE_BACKUP;
			want.wanted_back += m->l.state == LEASE_BACKUP &&
					    m->l.flags & LEASE_DIRTY &&
					    m->l.acked_state == LEASE_BACKUP;
			want.active += m->l.state == LEASE_ACTIVE;
			want.expired += m->l.state == LEASE_EXPIRED;
			want.released += m->l.state == LEASE_RELEASED;
			want.abandoned += m->l.state == LEASE_ABANDONED;
			want.reset += m->l.state == LEASE_RESET;
		}
		pool_counts_range(p, r, &got);
		assert_memory_equal(&got, &want, sizeof(got));
	}
}

static void check_rows(const struct pool *p)
{
	const struct lease *next = pool_next(p, 0);

	for (unsigned i = 0; i < ADDRESSES; i++) {
		const struct model_row *m = &model[i];

		assert_memory_equal(pool_get(p, m->l.addr), &m->l, sizeof(m->l));
		for (uint32_t k = 1; k <= CLIENTS; k++)
			assert_int_equal(pool_is_offered(p, m->l.addr, key_of(k)),
					 m->offered && !client_key_equal(m->offer_key, key_of(k)));
		if (!m->record)
			continue;
		assert_non_null(next);
		assert_int_equal(next->addr, m->l.addr);
		next = pool_next(p, m->l.addr + 1);
	}
	assert_null(next);
	check_gaps(p);
	for (uint32_t k = 1; k <= CLIENTS; k++)
		for (unsigned s = 0; s < N(scopes); s++) {
			const struct model_row *m = model_offer(key_of(k), &scopes[s]);

			assert_int_equal(pool_offered(p, key_of(k), &scopes[s]), m ? m->l.addr : 0);
		}
}

static void any_sequence_keeps_every_index_right(void **state)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);

	(void)state;
	for (unsigned round = 0; round < 12; round++, seed++) {
		struct pool *p = new_pool(&table, MAX_OFFERS);

		print_message("SEED=%llu\n", (unsigned long long)seed);
		rng = seed;
		model_init();
		for (step = 1; step <= 3000; step++) {
			do_something(p);
			if (step % 8 && step > 100)
				continue;
			check_rows(p);
			check_clients(p);
			check_free(p);
			check_timers(p);
			check_dirty(p);
			check_counts(p);
			check_runs(p);
			check_unused(p);
		}
		end_pool();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_keeps_every_index_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
