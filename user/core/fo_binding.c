/*
 * What a lease is in an update to the partner: its state, times and client, and what our own record
 * must say before.
 *
 * Callers: fo_update, fo_acked, fo_run, fo_balance, fo_receive, fo_isc.
 * Standards: draft-ietf-dhc-failover-12 §7.1; failover-behaviour §5.4; failover-wire §5.3.
 */
#include "core/fo_endpoint_priv.h"

bool fo_wanted_back(const struct fo_endpoint *e, const struct lease *l)
{
	return e->conf->primary && lease_is_wanted_back(l);
}

bool fo_taking_back(const struct fo_endpoint *e, const struct lease *l)
{
	return e->rec.end.state == FO_NORMAL && fo_wanted_back(e, l);
}

bool fo_was_taken(const struct fo_sent *s, const struct lease *l)
{
	return l->state == LEASE_BACKUP && s->state == LEASE_FREE;
}

struct lease fo_mark_dirty(const struct lease *l)
{
	struct lease d = *l;

	d.flags |= LEASE_DIRTY;
	if (d.state == LEASE_BACKUP)
		d.acked_state = LEASE_FREE; /* else it would read as wanted back */
	return d;
}

static bool none_or_free(unsigned state)
{
	return state == LEASE_NONE || state == LEASE_FREE || state == LEASE_BACKUP;
}

/* Our own record must say what the partner may have seen, before it can see it: a lease that the
 * partner never heard of may end without asking, and one whose end it never heard of may go on. */
static bool must_note(const struct lease *l)
{
	switch ((enum lease_state)l->state) {
	case LEASE_ACTIVE:
	case LEASE_ABANDONED:
		return none_or_free(l->acked_state);
	case LEASE_EXPIRED:
	case LEASE_RELEASED:
	case LEASE_RESET:
		return l->acked_state != l->state;
	case LEASE_NONE:
	case LEASE_FREE:
	case LEASE_BACKUP:
		break;
	}
	return false;
}

bool fo_is_noted(struct fo_endpoint *e, const struct lease *l)
{
	struct lease noted = *l;

	if (!must_note(l))
		return true;
	noted.acked_state = noted.state;
	fo_store(e, &noted, NULL);
	return false;
}

uint8_t fo_state_to_send(const struct fo_endpoint *e, const struct lease *l)
{
	if (fo_taking_back(e, l) || l->state == LEASE_NONE)
		return LEASE_FREE;
	return l->state;
}

/* Who has lost its storage hears what it may have relied on, told by whomever (decision A7). */
static bool forgot(const struct fo_endpoint *e)
{
	uint8_t peer = e->rec.end.peer;

	return e->own_kind &&
	       ((e->dump.active && e->dump.all) || peer == FO_RECOVER || peer == FO_RECOVER_WAIT);
}

static uint32_t largest_pet(const struct lease *l)
{
	return sec_later(sec_later(l->sent_pet, l->expires), sec_later(l->acked_pet, l->rcvd_pet));
}

static uint32_t pet_to_send(const struct fo_endpoint *e, const struct lease *l)
{
	if (e->isc && (l->state == LEASE_FREE || l->state == LEASE_BACKUP))
		return fo_isc_share_pet(e);
	if (forgot(e) &&
	    (l->state == LEASE_ACTIVE || l->state == LEASE_EXPIRED || l->state == LEASE_RELEASED))
		return largest_pet(l);
	if (l->state != LEASE_ACTIVE)
		return 0;
	return l->sent_pet > l->expires ? l->sent_pet : l->expires; /* PET >= LET, §7.1 */
}

/* Who holds or held it. Return: false when that is needed and not known. */
static bool add_client(struct fo_endpoint *e, const struct lease *l, struct fo_client_octets *room,
		       struct fo_binding *b)
{
	bool needed =
		l->state == LEASE_ACTIVE || l->state == LEASE_EXPIRED || l->state == LEASE_RELEASED;
	unsigned hlen;

	if (client_key_none(l->key) && !needed)
		return true;
	if (l->state == LEASE_ABANDONED)
		return true;
	if (!e->sink.client(e->sink.ctx, l->addr, &room->c))
		return !needed;
	hlen = room->c.hlen <= CHADDR_MAX ? room->c.hlen : CHADDR_MAX;
	room->chaddr[0] = room->c.htype;
	for (unsigned i = 0; i < hlen; i++)
		room->chaddr[1 + i] = room->c.chaddr[i];
	if (hlen)
		b->chaddr = (struct octets){ room->chaddr, 1 + hlen };
	if (room->c.id_len)
		b->client_id = (struct octets){ room->c.id, room->c.id_len };
	return hlen || (room->c.id_len && !e->isc); /* an ISC wants the hardware address */
}

/* What has happened lies ahead only where our clock did, and was set back since: the partner would
 * refuse it until that time has come. Between our own the serial orders what happened. */
static uint32_t happened(const struct fo_endpoint *e, uint32_t at)
{
	return e->own_kind && at > e->now.wall.sec ? sec_clamp(e->now.wall.sec) : at;
}

bool fo_to_binding(struct fo_endpoint *e, const struct lease *l, struct fo_client_octets *room,
		   struct fo_binding *ret)
{
	*ret = (struct fo_binding){
		.addr = l->addr,
		.status = fo_state_to_send(e, l),
		.expires = l->expires,
		.pet = pet_to_send(e, l),
		/* an ISC means the beginning of the lease (failover-wire §5.3) */
		.stos = e->own_kind ? happened(e, l->stos) : l->starts,
		.cltt = happened(e, l->cltt),
		.ip_flags = l->flags & (LEASE_RESERVED | LEASE_BOOTP),
		.serial = l->serial,
		.has_serial = true,
		.run = pool_run_length(e->pool, l),
	};
	return add_client(e, l, room, ret);
}
