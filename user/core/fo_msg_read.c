/*
 * What a failover message says: typed readers over a decoded message.
 *
 * Callers: core/fo_endpoint, net/fo_session (CONNECT). A reader may trust the fixed lengths, since
 * fo_msg_decode has checked them.
 * Spec: draft-ietf-dhc-failover-12 §7 (what a message carries), §12 (options).
 */
#include "core/fo_msg.h"
#include "core/wire.h"

enum {
	STARTUP_FLAG = 0x01,
	CHADDR_LEAST = 2, /* htype and one octet */
};

static uint32_t number(const uint8_t *p, unsigned len)
{
	struct rd r = rd_init(p, len);

	return (uint32_t)rd_uint(&r, len);
}

static struct octets value(const struct fo_opt *o)
{
	return (struct octets){ o->p, o->len };
}

struct octets fo_msg_opt(const struct fo_msg *m, uint16_t code)
{
	for (unsigned i = 0; i < m->n_opts; i++)
		if (m->opt[i].code == code)
			return value(&m->opt[i]);
	return (struct octets){ NULL, 0 };
}

bool fo_msg_u32(const struct fo_msg *m, uint16_t code, uint32_t *ret)
{
	struct octets o = fo_msg_opt(m, code);

	if (!o.p || (o.len != 1 && o.len != 2 && o.len != 4))
		return false;
	*ret = number(o.p, o.len);
	return true;
}

bool fo_vendor_is_own(struct octets vendor_class)
{
	static const char ours[] = "twinlease-";

	return vendor_class.p && vendor_class.len >= sizeof(ours) - 1 &&
	       !memcmp(vendor_class.p, ours, sizeof(ours) - 1);
}

/* One sub-option of option 29, where its length is @len; p NULL otherwise. */
static struct octets vendor_sub(struct octets vendor, uint16_t code, unsigned len)
{
	struct rd r = rd_of(vendor);

	while (r.len) {
		uint16_t c = rd_u16(&r), n = rd_u16(&r);
		struct octets o = rd_octets(&r, n);

		if (!r.bad && c == code && n == len)
			return o;
	}
	return (struct octets){ NULL, 0 };
}

static uint64_t vendor_u64(struct octets vendor, uint16_t code, bool *ret_has)
{
	struct octets o = vendor_sub(vendor, code, 8);
	struct rd r = rd_of(o);

	*ret_has = o.p != NULL;
	return o.p ? rd_u64(&r) : 0;
}

static void read_connect_vendor(struct octets vendor, struct fo_connect *ret)
{
	struct octets incarnation = vendor_sub(vendor, FO_VENDOR_INCARNATION, 16);
	struct octets skew = vendor_sub(vendor, FO_VENDOR_MAX_SKEW, 4);
	struct octets features = vendor_sub(vendor, FO_VENDOR_FEATURES, 4);
	struct octets nonce = vendor_sub(vendor, FO_VENDOR_NONCE, FO_NONCE_LEN);
	struct octets lead = vendor_sub(vendor, FO_VENDOR_LEAD, 4);
	bool has;

	ret->has_nonce = nonce.p != NULL;
	if (nonce.p)
		memcpy(ret->nonce, nonce.p, FO_NONCE_LEN);
	if (incarnation.p)
		memcpy(ret->incarnation, incarnation.p, 16);
	ret->start_count = vendor_u64(vendor, FO_VENDOR_START_COUNT, &has);
	ret->remembered = vendor_u64(vendor, FO_VENDOR_REMEMBERED, &has);
	ret->features = features.p ? number(features.p, features.len) : 0;
	ret->max_skew = skew.p ? number(skew.p, skew.len) : 0;
	ret->lead = lead.p ? number(lead.p, lead.len) : 0;
	ret->has |= 1u << FO_OPT_VENDOR_SPECIFIC;
}

static void read_connect_opt(const struct fo_opt *o, struct fo_connect *ret)
{
	switch (o->code) {
	case FO_OPT_HBA:
		if (o->len != sizeof(ret->hba))
			return;
		memcpy(ret->hba, o->p, sizeof(ret->hba));
		break;
	case FO_OPT_MAX_UNACKED:
		ret->max_unacked = number(o->p, o->len);
		break;
	case FO_OPT_MCLT:
		ret->mclt = number(o->p, o->len);
		break;
	case FO_OPT_MESSAGE:
		ret->message = value(o);
		break;
	case FO_OPT_RECEIVE_TIMER:
		ret->receive_timer = number(o->p, o->len);
		break;
	case FO_OPT_VERSION:
		ret->version = o->p[0];
		break;
	case FO_OPT_REJECT_REASON:
		ret->reject = o->p[0];
		break;
	case FO_OPT_RELATIONSHIP_NAME:
		ret->name = value(o);
		break;
	case FO_OPT_TLS_REPLY:
	case FO_OPT_TLS_REQUEST:
		ret->tls = o->p[0];
		break;
	case FO_OPT_VENDOR_CLASS:
		ret->vendor = value(o);
		break;
	default:
		return;
	}
	ret->has |= 1u << o->code;
}

void fo_msg_read_connect(const struct fo_msg *m, struct fo_connect *ret)
{
	struct octets vendor = fo_msg_opt(m, FO_OPT_VENDOR_SPECIFIC);

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < m->n_opts; i++)
		read_connect_opt(&m->opt[i], ret);
	ret->own_kind = fo_vendor_is_own(ret->vendor);
	if (ret->own_kind && vendor.p)
		read_connect_vendor(vendor, ret);
}

bool fo_msg_read_state(const struct fo_msg *m, struct fo_state_msg *ret)
{
	uint32_t state, flags = 0, stos = 0;

	if (!fo_msg_u32(m, FO_OPT_SERVER_STATE, &state))
		return false;
	(void)fo_msg_u32(m, FO_OPT_SERVER_FLAGS, &flags); /* absent reads as 0, as in ISC */
	(void)fo_msg_u32(m, FO_OPT_STOS, &stos);
	*ret = (struct fo_state_msg){ (uint8_t)state, flags & STARTUP_FLAG, stos };
	return true;
}

static void read_binding_vendor(struct octets vendor, struct fo_binding *ret)
{
	struct octets run = vendor_sub(vendor, FO_VENDOR_RUN_LENGTH, 4);

	ret->serial = vendor_u64(vendor, FO_VENDOR_SERIAL, &ret->has_serial);
	ret->run = run.p ? number(run.p, run.len) : 0;
}

static void read_binding_opt(const struct fo_opt *o, struct fo_binding *ret)
{
	switch (o->code) {
	case FO_OPT_BINDING_STATUS:
		ret->status = o->p[0];
		break;
	case FO_OPT_CLIENT_ID:
		if (!o->len)
			return;
		ret->client_id = value(o);
		break;
	case FO_OPT_CHADDR: /* nobody can be served by a type alone */
		if (o->len < CHADDR_LEAST)
			return;
		ret->chaddr = value(o);
		break;
	case FO_OPT_CLTT:
		ret->cltt = number(o->p, o->len);
		break;
	case FO_OPT_IP_FLAGS:
		ret->ip_flags = (uint16_t)number(o->p, o->len);
		break;
	case FO_OPT_LEASE_EXPIRY:
		ret->expires = number(o->p, o->len);
		break;
	case FO_OPT_MESSAGE:
		ret->message = value(o);
		break;
	case FO_OPT_POTENTIAL_EXPIRY:
		ret->pet = number(o->p, o->len);
		break;
	case FO_OPT_REJECT_REASON:
		ret->reject = o->p[0];
		break;
	case FO_OPT_STOS:
		ret->stos = number(o->p, o->len);
		break;
	case FO_OPT_VENDOR_SPECIFIC:
		read_binding_vendor(value(o), ret);
		break;
	default:
		return;
	}
	ret->has |= 1u << o->code;
}

bool fo_msg_next_binding(const struct fo_msg *m, unsigned *cursor, struct fo_binding *ret)
{
	unsigned i = *cursor;

	while (i < m->n_opts && m->opt[i].code != FO_OPT_ASSIGNED_ADDRESS)
		i++;
	if (i == m->n_opts)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->has = 1u << FO_OPT_ASSIGNED_ADDRESS;
	ret->addr = number(m->opt[i].p, m->opt[i].len);
	while (++i < m->n_opts && m->opt[i].code != FO_OPT_ASSIGNED_ADDRESS)
		read_binding_opt(&m->opt[i], ret);
	*cursor = i;
	return true;
}
