/*
 * Runs of never-used addresses between two of our own: one update says for many addresses whose
 * share they are (decision A3). A record of an address always wins over the run, on both sides:
 * who has one tells it by its own update, so a run need not name its exceptions.
 *
 * What makes that safe: nobody takes an address by a run that the other could have used without
 * this side's knowledge. Who gives may use the addresses no more once that is durable. Who is asked
 * to give its own up refuses while it has news about any of them; the primary, which alone moves
 * shares, then leaves that run with the secondary and tries another (fo_balance).
 *
 * Callers: fo_update, fo_acked, fo_receive, fo_balance.
 * Standards: draft-ietf-dhc-failover-12 §5.4, §7.1; decisions A3, A13.
 */
#include "core/fo_endpoint_priv.h"

bool fo_store_run(struct fo_endpoint *e, const struct lease *l, uint32_t n)
{
	struct lease copy = *l; /* it may be the pool's own */

	if (pool_apply_run(e->pool, &copy, n, e->batch) < 0)
		return false;
	e->sink.put_run(e->sink.ctx, &copy, n);
	return true;
}

uint64_t fo_run_behind(const struct fo_endpoint *e, const struct lease *run)
{
	return (uint64_t)run->addr + pool_run_length(e->pool, run);
}

const struct lease *fo_next_run(const struct fo_endpoint *e, uint64_t addr)
{
	const struct lease *l = NULL;

	for (; addr <= UINT32_MAX; addr = fo_run_behind(e, l)) {
		l = pool_run_next(e->pool, (uint32_t)addr);
		if (!l || fo_mine(e, l->addr))
			return l;
	}
	return NULL;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Some of it in our ranges, none of it in those of another relationship. */
static bool in_ranges(const struct fo_endpoint *e, uint32_t first, uint32_t last)
{
	struct pool_stretch s;
	unsigned n = 0;

	for (uint64_t a = first; a <= last && pool_stretch_next(e->pool, (uint32_t)a, last, &s);
	     a = (uint64_t)s.l.addr + s.n, n++)
		if (!fo_mine(e, s.l.addr))
			return false;
	return n > 0;
}

/* Ours stands, and the partner is told of it. */
static void answer_with_run(struct fo_endpoint *e, const struct lease *stretch)
{
	const struct lease *run = pool_run_next(e->pool, stretch->addr);
	struct lease d;

	if (!run || run->addr > stretch->addr)
		return;
	if (run->flags & LEASE_DIRTY) {
		if (pool_run_is_in_flight(e->pool, run->addr))
			fo_retry_sooner(e);
		return;
	}
	d = fo_mark_dirty(run);
	(void)fo_store_run(e, &d, pool_run_length(e->pool, run));
}

static enum fo_reject judge_stretch(struct fo_endpoint *e, const struct lease *ours,
				    const struct binding_update *u, bool *ret_lose,
				    struct lease *ret)
{
	enum fo_reject r =
		binding_accept(&e->view, ours, u, ours->flags & LEASE_DIRTY, e->now.wall, ret);

	if (r == FO_REJECT_NONE)
		*ret_lose |= binding_is_ours(&e->view, ours) && !binding_is_ours(&e->view, ret);
	else
		answer_with_run(e, ours);
	return r;
}

enum fo_reject fo_receive_run(struct fo_endpoint *e, const struct binding_update *u, uint32_t n)
{
	uint32_t first = u->lease.addr, last = first + (n - 1);
	struct pool_stretch s;
	struct lease then;
	bool lose = false;

	if (n - 1 > UINT32_MAX - first || !in_ranges(e, first, last))
		return FO_REJECT_ILLEGAL_ADDRESS;
	if (fo_skewed(e)) /* decision A21 */
		return FO_REJECT_TIME_MISMATCH;
	if (!u->has_serial || (u->lease.state != LEASE_FREE && u->lease.state != LEASE_BACKUP))
		return FO_REJECT_MISSING_BINDING;
	for (uint64_t a = first; a <= last && pool_stretch_next(e->pool, (uint32_t)a, last, &s);
	     a = (uint64_t)s.l.addr + s.n) {
		enum fo_reject r = judge_stretch(e, &s.l, u, &lose, &then);

		if (r)
			return r;
	}
	/* our news of them are on their way; but for those of which the partner told us just now */
	if (lose && !u->forgot && pool_dirty_within(e->pool, first, last)) {
		fo_retry_sooner(e);
		return FO_REJECT_LESS_CRITICAL;
	}
	then = (struct lease){ .addr = first,
			       .state = u->lease.state,
			       .acked_state = u->lease.state,
			       .stos = u->lease.stos,
			       .serial = u->lease.serial };
	if (!fo_store_run(e, &then, n)) /* too many runs: nobody of ours makes so many */
		return FO_REJECT_UNKNOWN_REASON;
	return FO_REJECT_NONE;
}

/* --- what became of ours ---------------------------------------------------------------------- */

/* We took the partner's word while ours was on its way, and now it has taken ours: both tell again
 * what they hold (as for one address, fo_acked). */
static void tell_again(struct fo_endpoint *e, const struct fo_sent *s)
{
	const struct lease *run;
	struct lease d;

	for (uint64_t a = s->addr; a < (uint64_t)s->addr + s->run && (run = fo_next_run(e, a)) &&
				   run->addr < (uint64_t)s->addr + s->run;
	     a = fo_run_behind(e, run)) {
		if (run->flags & LEASE_DIRTY || run->serial == s->serial)
			continue;
		d = fo_mark_dirty(run);
		d.serial = lease_serial_above(s->serial, run->serial);
		(void)fo_store_run(e, &d, pool_run_length(e->pool, run));
	}
}

/* The partner has used some of it, or heard otherwise. What was wanted back stays its own: it is
 * told so, under a number above the refused one, and balancing goes on with another. */
static void refused(struct fo_endpoint *e, const struct lease *run, uint32_t n,
		    const struct fo_binding *b)
{
	bool dirty = run->flags & LEASE_DIRTY, leave = fo_taking_back(e, run);
	struct lease known = { .addr = run->addr, .state = run->acked_state }, d;

	leave &= b->reject != FO_REJECT_ILLEGAL_ADDRESS && b->reject != FO_REJECT_TIME_MISMATCH;
	fo_refused(e, &(struct fo_refusal){
			      .reason = b->reject,
			      .ours = run,
			      .theirs = &known,
			      .words = b->message,
			      .next = leave ? "it stays the partner's"
					    : fo_next_try(e, dirty, b->reject),
		      });
	if (leave) {
		d = fo_mark_dirty(run);
		d.serial = lease_serial_next(d.serial);
		(void)fo_store_run(e, &d, n);
		e->take_at = mono_add_us(e->now.mono, FO_TAKE_AGAIN_US);
	} else if (dirty) {
		if (b->reject == FO_REJECT_ILLEGAL_ADDRESS)
			pool_run_lacked(e->pool, run->addr);
		fo_retry_later(e, b->reject);
	} else {
		pool_run_in_flight(e->pool, run->addr, false);
	}
}

static void accepted(struct fo_endpoint *e, const struct fo_sent *s, const struct lease *run)
{
	struct lease then;

	if (!(run->flags & LEASE_DIRTY)) { /* of a full update: we had its word before */
		pool_run_in_flight(e->pool, s->addr, false);
		return;
	}
	e->count.addresses_taken += fo_was_taken(s, run) ? s->run : 0;
	then = binding_acked(run, 0, s->state, e->now.wall);
	(void)fo_store_run(e, &then, s->run);
}

/* Does what was sent still stand, whole? What was cut or changed since is on its way by itself. */
static bool unchanged(const struct fo_endpoint *e, const struct fo_sent *s, const struct lease *run)
{
	return run && run->addr == s->addr && pool_run_length(e->pool, run) == s->run &&
	       run->serial == s->serial && pool_run_is_in_flight(e->pool, s->addr) &&
	       (fo_state_to_send(e, run) == s->state || fo_wanted_back(e, run));
}

bool fo_run_acked(struct fo_endpoint *e, const struct fo_sent *s, const struct fo_binding *b)
{
	const struct lease *run = pool_run_next(e->pool, s->addr);
	bool rejected = b->has & 1u << FO_OPT_REJECT_REASON;

	if (!unchanged(e, s, run)) {
		if (!rejected)
			tell_again(e, s);
		return false;
	}
	if (rejected)
		refused(e, run, s->run, b);
	else
		accepted(e, s, run);
	return true;
}

/* Runs in flight of which no message is on its way. */
void fo_run_retry(struct fo_endpoint *e, bool lacked)
{
	const struct lease *run;

	for (uint64_t a = 0; (run = fo_next_run(e, a)); a = fo_run_behind(e, run))
		if (run->flags & LEASE_DIRTY && pool_run_is_in_flight(e->pool, run->addr) &&
		    pool_run_is_lacked(e->pool, run->addr) == lacked &&
		    !fo_this_flies(e, run, true))
			pool_run_in_flight(e->pool, run->addr, false);
}

void fo_run_forget(struct fo_endpoint *e)
{
	const struct lease *run;

	for (uint64_t a = 0; (run = fo_next_run(e, a));) {
		struct lease d = fo_mark_dirty(run);
		uint32_t n = pool_run_length(e->pool, run);

		(void)fo_store_run(e, &d, n);
		a = (uint64_t)d.addr + n;
	}
}

/* --- a partner that knows no runs ------------------------------------------------------------- */

void fo_run_expand(struct fo_endpoint *e, const struct lease *run)
{
	uint32_t n = pool_run_length(e->pool, run);
	struct lease told = *run, l;

	for (uint64_t a = told.addr; a < (uint64_t)told.addr + n; a++) {
		if (pool_has_record(e->pool, (uint32_t)a))
			continue;
		l = *pool_get(e->pool, (uint32_t)a);
		if (told.flags & LEASE_DIRTY) /* as the run: given, or wanted back */
			l.flags |= LEASE_DIRTY;
		else
			l = fo_mark_dirty(&l);
		fo_store(e, &l, NULL);
		pool_run_carry(e->pool, l.addr);
	}
	if (!(told.flags & LEASE_DIRTY))
		return;
	told.flags &= (uint8_t)~LEASE_DIRTY; /* it speaks for nobody any more */
	(void)fo_store_run(e, &told, n);
}

void fo_run_expand_all(struct fo_endpoint *e)
{
	const struct lease *run;

	for (uint64_t a = 0; (run = fo_next_run(e, a)); a = fo_run_behind(e, run))
		fo_run_expand(e, run);
}
