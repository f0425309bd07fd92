/*
 * The maximum client lead time when it changes: who learns of it when, and for how long the former
 * one still counts.
 *
 * Callers: fo_connect (CONNECT, CONNECTACK), fo_endpoint (start, view), whoever waits.
 * Standards: draft-ietf-dhc-failover-12 §5.2.1, §7.8; decision A16.
 */
#include "core/fo_endpoint_priv.h"

/* For waits: what either server may have promised under a former MCLT counts until that is over
 * (decision A16). */
uint32_t fo_wait_mclt(const struct fo_endpoint *e)
{
	const struct fo_record *r = &e->rec;

	return e->now.wall.sec < r->mclt_until && r->mclt_former > r->mclt ? r->mclt_former
									   : r->mclt;
}

static void change_mclt(struct fo_endpoint *e, uint32_t mclt, uint32_t until)
{
	uint32_t former = fo_wait_mclt(e);

	if (mclt < former) {
		e->rec.mclt_former = former;
		e->rec.mclt_until = until;
	}
	e->rec.mclt = mclt;
}

/* Until when either may have promised by a former MCLT: that long from now, and as long beyond what
 * either knew of a lease; the update that told so may never have arrived. */
static uint32_t former_until(const struct fo_endpoint *e, uint32_t former)
{
	uint32_t known = sec_clamp(e->now.wall.sec), at;
	const struct lease *l;

	for (uint64_t a = 0; (l = fo_next_mine(e, a)); a = (uint64_t)l->addr + 1) {
		known = sec_later(known, l->sent_pet);
		known = sec_later(known, sec_later(l->acked_pet, l->rcvd_pet));
		known = l->state == LEASE_ACTIVE ? sec_later(known, l->expires) : known;
	}
	at = sec_clamp((int64_t)known + former);
	return at < SEC_MAX ? at : SEC_MAX - 1; /* which says that the partner was not told yet */
}

void fo_mclt_told(struct fo_endpoint *e, uint32_t mclt)
{
	uint32_t former = fo_wait_mclt(e);

	if (mclt != e->rec.mclt)
		change_mclt(e, mclt, mclt < former ? former_until(e, former) : 0);
}

/* The longest lead time that either of us may have promised by what still holds. */
uint32_t fo_mclt_lead(const struct fo_endpoint *e)
{
	uint32_t wait = fo_wait_mclt(e);

	return wait > e->conf->mclt ? wait : e->conf->mclt;
}

/* A former lead time of which the primary knows nothing was told by somebody in its name: the
 * primary promised nobody anything by it, and does not wait for what we may have. With an empty
 * store it may only have forgotten. One that we do not know of we have forgotten ourselves, or were
 * told not to heed. */
void fo_mclt_counts(struct fo_endpoint *e, const struct fo_connect *c)
{
	uint32_t lead = c->lead > c->mclt ? c->lead : c->mclt;

	if (!c->own_kind || !c->lead)
		return;
	if (lead > e->rec.mclt && lead > fo_wait_mclt(e)) {
		e->rec.mclt_former = lead;
		e->rec.mclt_until = former_until(e, lead);
	}
	if (!fo_any(c->incarnation, sizeof(c->incarnation)) || e->rec.mclt_former <= lead)
		return;
	e->rec.mclt_former = lead > e->rec.mclt ? lead : 0;
	if (!e->rec.mclt_former)
		e->rec.mclt_until = 0;
}

void fo_mclt_agreed(struct fo_endpoint *e)
{
	bool waiting = e->rec.mclt_until == SEC_MAX;

	if (e->rec.mclt == e->conf->mclt && !waiting)
		return;
	if (waiting)
		e->rec.mclt_until = former_until(e, e->rec.mclt_former);
	if (e->rec.mclt != e->conf->mclt)
		fo_mclt_told(e, e->conf->mclt);
	fo_persist(e);
	fo_refresh_view(e);
}

/* A longer lead time needs the partner's knowledge first, a shorter one holds at once; but the
 * partner promises by the former one until it was told. */
void fo_mclt_load(struct fo_endpoint *e)
{
	if (!e->rec.mclt)
		e->rec.mclt = e->conf->mclt;
	else if (e->conf->primary && e->conf->mclt < e->rec.mclt)
		change_mclt(e, e->conf->mclt, SEC_MAX);
}

/* PARTNER-DOWN waits to its end by the lead time that it was entered with: a lease that ended
 * before, and one that ends when the former has long passed, may rest on the same promises. */
uint32_t fo_former_mclt(const struct fo_endpoint *e)
{
	const struct fo_record *r = &e->rec;

	return r->mclt_former > r->mclt && r->end.stos < r->mclt_until ? r->mclt_former : 0;
}
