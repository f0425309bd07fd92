/*
 * Failover messages to send. A writer that runs out of room stays bad, and fo_write_end says 0.
 *
 * Callers: core/fo_endpoint, net/fo_session (refusals).
 * Spec: draft-ietf-dhc-failover-12 §7, §12. Order and choice of what is written follow ISC dhcpd,
 * the partner that is picky.
 */
#include "core/fo_msg.h"
#include "core/lease.h"
#include "core/wire.h"

enum { STARTUP_FLAG = 0x01 };

static uint8_t *room(struct fo_writer *w, size_t len)
{
	struct wr c = { w->buf, w->size, w->len, w->bad };
	uint8_t *p = wr_room(&c, len);

	w->len = c.len;
	w->bad = c.bad;
	return p;
}

static void put(struct fo_writer *w, uint64_t v, size_t len)
{
	uint8_t *p = room(w, len);
	struct wr c = wr_init(p, len);

	if (p)
		wr_uint(&c, v, len);
}

void fo_write_begin(struct fo_writer *w, uint8_t *buf, size_t size, uint8_t type, wall_t time,
		    uint32_t xid)
{
	*w = (struct fo_writer){ .buf = buf, .size = size < FO_MSG_MAX ? size : FO_MSG_MAX };
	put(w, 0, 2);
	put(w, type, 1);
	put(w, FO_HDR_LEN, 1);
	put(w, (uint32_t)time.sec, 4);
	put(w, xid, 4);
}

void fo_write_opt(struct fo_writer *w, uint16_t code, const void *p, size_t len)
{
	uint8_t *to;

	put(w, code, 2);
	put(w, len, 2); /* what does not fit in 16 bits does not fit in a message either */
	to = room(w, len);
	if (to && len)
		memcpy(to, p, len);
}

void fo_write_u8(struct fo_writer *w, uint16_t code, uint8_t v)
{
	fo_write_opt(w, code, &v, 1);
}

void fo_write_u32(struct fo_writer *w, uint16_t code, uint32_t v)
{
	put(w, code, 2);
	put(w, 4, 2);
	put(w, v, 4);
}

size_t fo_write_end(struct fo_writer *w)
{
	if (w->bad)
		return 0;
	w->buf[0] = (uint8_t)(w->len >> 8);
	w->buf[1] = (uint8_t)w->len;
	return w->len;
}

/* Absolute times stay in 31 bits: the partner may keep them in a signed number. */
static void write_time(struct fo_writer *w, uint16_t code, uint32_t sec)
{
	fo_write_u32(w, code, sec_clamp(sec));
}

static void write_octets(struct fo_writer *w, uint16_t code, struct octets o)
{
	fo_write_opt(w, code, o.p, o.len);
}

static bool none(const uint8_t *p, size_t len)
{
	while (len--)
		if (p[len])
			return false;
	return true;
}

static void write_u64(struct fo_writer *w, uint16_t code, uint64_t v)
{
	put(w, code, 2);
	put(w, 8, 2);
	put(w, v, 8);
}

static void write_connect_vendor(struct fo_writer *w, const struct fo_connect *c)
{
	bool has = !none(c->incarnation, sizeof(c->incarnation));

	put(w, FO_OPT_VENDOR_SPECIFIC, 2);
	put(w,
	    12 + (has ? 4 + sizeof(c->incarnation) : 0) + (c->remembered ? 12 : 0) +
		    (c->max_skew ? 8 : 0) + (c->features ? 8 : 0) + (c->lead ? 8 : 0) +
		    (c->has_nonce ? 4 + FO_NONCE_LEN : 0),
	    2);
	if (has)
		fo_write_opt(w, FO_VENDOR_INCARNATION, c->incarnation, sizeof(c->incarnation));
	write_u64(w, FO_VENDOR_START_COUNT, c->start_count);
	if (c->remembered)
		write_u64(w, FO_VENDOR_REMEMBERED, c->remembered);
	if (c->max_skew)
		fo_write_u32(w, FO_VENDOR_MAX_SKEW, c->max_skew);
	if (c->features)
		fo_write_u32(w, FO_VENDOR_FEATURES, c->features);
	if (c->lead)
		fo_write_u32(w, FO_VENDOR_LEAD, c->lead);
	if (c->has_nonce)
		fo_write_opt(w, FO_VENDOR_NONCE, c->nonce, FO_NONCE_LEN);
}

static void write_connect_opt(struct fo_writer *w, const struct fo_connect *c, uint8_t code)
{
	switch (code) {
	case FO_OPT_RELATIONSHIP_NAME:
		write_octets(w, code, c->name);
		break;
	case FO_OPT_MAX_UNACKED:
		fo_write_u32(w, code, c->max_unacked);
		break;
	case FO_OPT_RECEIVE_TIMER:
		fo_write_u32(w, code, c->receive_timer);
		break;
	case FO_OPT_VENDOR_CLASS:
		write_octets(w, code, c->vendor);
		break;
	case FO_OPT_VERSION:
		fo_write_u8(w, code, c->version);
		break;
	case FO_OPT_TLS_REQUEST:
	case FO_OPT_TLS_REPLY:
		fo_write_u8(w, code, c->tls);
		break;
	case FO_OPT_MCLT:
		fo_write_u32(w, code, c->mclt);
		break;
	case FO_OPT_HBA:
		fo_write_opt(w, code, c->hba, sizeof(c->hba));
		break;
	case FO_OPT_REJECT_REASON:
		fo_write_u8(w, code, c->reject);
		break;
	case FO_OPT_MESSAGE:
		write_octets(w, code, c->message);
		break;
	case FO_OPT_VENDOR_SPECIFIC:
		write_connect_vendor(w, c);
		break;
	default:
		break;
	}
}

/* The options of @order (ends with 0) that @has names. */
static void write_connect_opts(struct fo_writer *w, const struct fo_connect *c, uint32_t has,
			       const uint8_t *order)
{
	for (; *order; order++)
		if (has & 1u << *order)
			write_connect_opt(w, c, *order);
}

void fo_write_connect(struct fo_writer *w, const struct fo_connect *c)
{
	static const uint8_t order[] = { FO_OPT_RELATIONSHIP_NAME,
					 FO_OPT_MAX_UNACKED,
					 FO_OPT_RECEIVE_TIMER,
					 FO_OPT_VENDOR_CLASS,
					 FO_OPT_VERSION,
					 FO_OPT_TLS_REQUEST,
					 FO_OPT_MCLT,
					 FO_OPT_HBA,
					 FO_OPT_VENDOR_SPECIFIC,
					 0 };

	write_connect_opts(w, c, c->has, order);
}

void fo_write_connectack(struct fo_writer *w, const struct fo_connect *c)
{
	static const uint8_t accept[] = { FO_OPT_RELATIONSHIP_NAME, FO_OPT_MAX_UNACKED,
					  FO_OPT_RECEIVE_TIMER,	    FO_OPT_VENDOR_CLASS,
					  FO_OPT_VERSION,	    FO_OPT_TLS_REPLY,
					  FO_OPT_VENDOR_SPECIFIC,   0 };
	static const uint8_t reject[] = { FO_OPT_RELATIONSHIP_NAME,
					  FO_OPT_VENDOR_CLASS,
					  FO_OPT_VERSION,
					  FO_OPT_TLS_REPLY,
					  FO_OPT_REJECT_REASON,
					  FO_OPT_MESSAGE,
					  0 };

	if (c->reject)
		write_connect_opts(w, c, c->has | 1u << FO_OPT_REJECT_REASON, reject);
	else
		write_connect_opts(w, c, c->has, accept);
}

void fo_write_state(struct fo_writer *w, const struct fo_state_msg *s)
{
	fo_write_u8(w, FO_OPT_SERVER_STATE, s->state);
	fo_write_u8(w, FO_OPT_SERVER_FLAGS, s->startup ? STARTUP_FLAG : 0);
	write_time(w, FO_OPT_STOS, s->stos);
}

static void write_binding_vendor(struct fo_writer *w, const struct fo_binding *b)
{
	bool run = b->run != 0;
	unsigned len = (b->has_serial ? 12 : 0) + (run ? 8 : 0);

	if (!len)
		return;
	put(w, FO_OPT_VENDOR_SPECIFIC, 2);
	put(w, len, 2);
	if (b->has_serial)
		write_u64(w, FO_VENDOR_SERIAL, b->serial);
	if (run)
		fo_write_u32(w, FO_VENDOR_RUN_LENGTH, b->run);
}

/* Return: whether it fitted; the writer is as @before when not. */
static bool fitted(struct fo_writer *w, const struct fo_writer *before)
{
	if (!w->bad || before->bad)
		return !w->bad;
	*w = *before;
	return false;
}

bool fo_write_binding(struct fo_writer *w, const struct fo_binding *b, bool own_kind)
{
	struct fo_writer before = *w;
	bool client = b->status != LEASE_ABANDONED; /* a partner rejects it with client data */

	fo_write_u32(w, FO_OPT_ASSIGNED_ADDRESS, b->addr);
	fo_write_u8(w, FO_OPT_BINDING_STATUS, b->status == LEASE_NONE ? LEASE_FREE : b->status);
	if (client && b->client_id.len)
		write_octets(w, FO_OPT_CLIENT_ID, b->client_id);
	if (client && b->chaddr.len)
		write_octets(w, FO_OPT_CHADDR, b->chaddr);
	write_time(w, FO_OPT_LEASE_EXPIRY, b->expires);
	write_time(w, FO_OPT_POTENTIAL_EXPIRY, b->pet);
	write_time(w, FO_OPT_STOS, b->stos);
	if (b->cltt)
		write_time(w, FO_OPT_CLTT, b->cltt);
	if (b->ip_flags) {
		put(w, FO_OPT_IP_FLAGS, 2);
		put(w, 2, 2);
		put(w, b->ip_flags, 2);
	}
	if (own_kind)
		write_binding_vendor(w, b);
	return fitted(w, &before);
}

/* Texts are cut at 255 octets, as the partner may do. */
static size_t text_len(const char *s)
{
	size_t n = 0;

	while (s && n < 255 && s[n])
		n++;
	return n;
}

bool fo_write_ack(struct fo_writer *w, uint32_t addr, enum fo_reject reject, const char *message)
{
	struct fo_writer before = *w;

	fo_write_u32(w, FO_OPT_ASSIGNED_ADDRESS, addr);
	if (reject != FO_REJECT_NONE) {
		fo_write_u8(w, FO_OPT_REJECT_REASON, (uint8_t)reject);
		if (text_len(message))
			fo_write_opt(w, FO_OPT_MESSAGE, message, text_len(message));
	}
	return fitted(w, &before);
}
