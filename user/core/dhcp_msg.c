/*
 * DHCP messages, octets to values. Two walks over the options: the first adds up what each option
 * holds over all its instances, the second copies the pieces to where the sum says, so that an
 * option is one run of octets however it was split.
 *
 * Callers: the daemon for each datagram, its own half of the filter, tests, the load generator.
 * Spec: RFC 2131, RFC 2132, RFC 3011, RFC 3046, RFC 3074, RFC 3396, RFC 3527.
 */
#include "core/dhcp_msg.h"
#include "core/wire.h"
#include "shared/loadbal.h"

/* The places where options lie, in the order in which RFC 3396 §5 joins them. */
struct fields {
	struct rd at[3];
	unsigned n;
};

/* The next option of a field; false at END, at the field's end, and when @r went bad. */
static bool next_option(struct rd *r, uint8_t *ret_code, struct octets *ret)
{
	uint8_t code;

	do {
		if (!r->len)
			return false;
		code = rd_u8(r);
	} while (code == DHO_PAD);
	if (code == DHO_END)
		return false;
	*ret_code = code;
	*ret = rd_octets(r, rd_u8(r));
	return !r->bad;
}

/* What of file and sname holds options (RFC 2132 §9.3); only the options field may say so. */
static void add_overloaded(const uint8_t *buf, uint8_t overload, struct fields *f)
{
	if (overload & DHCP_OVERLOAD_FILE)
		f->at[f->n++] = rd_init(buf + DHCP_OFF_FILE, DHCP_FILE_LEN);
	if (overload & DHCP_OVERLOAD_SNAME)
		f->at[f->n++] = rd_init(buf + DHCP_OFF_SNAME, DHCP_SNAME_LEN);
}

/* First walk: the joined length of each option, and the place that this gives it. */
static bool lay_out(const uint8_t *buf, struct fields *f, struct dhcp_msg *m)
{
	uint8_t order[256], code, overload = 0;
	unsigned n = 0, sum = 1; /* data[0] stays unused: offset 0 means absent */
	struct octets v;

	for (unsigned i = 0; i < f->n; i++) {
		struct rd r = f->at[i];

		while (next_option(&r, &code, &v)) {
			if (!m->opt[code].off)
				order[n++] = code;
			m->opt[code].off = 1;
			m->opt[code].len += (uint16_t)v.len;
			sum += v.len;
			if (sum > sizeof(m->data))
				return false;
			if (code == DHO_OVERLOAD && v.len == 1)
				overload = v.p[0];
		}
		if (r.bad)
			return false;
		if (i == 0)
			add_overloaded(buf, overload, f);
	}
	m->n_data = 1;
	for (unsigned i = 0; i < n; i++) {
		m->opt[order[i]].off = m->n_data;
		m->n_data += m->opt[order[i]].len;
		m->opt[order[i]].len = 0; /* grows again as the pieces arrive */
	}
	return true;
}

/* Second walk: the pieces to their places. Nothing can fail any more. */
static void collect(const struct fields *f, struct dhcp_msg *m)
{
	struct octets v;
	uint8_t code;

	for (unsigned i = 0; i < f->n; i++) {
		struct rd r = f->at[i];

		while (next_option(&r, &code, &v)) {
			if (v.len)
				memcpy(m->data + m->opt[code].off + m->opt[code].len, v.p, v.len);
			m->opt[code].len += (uint16_t)v.len;
		}
	}
}

/* Options that we act on and whose length the standards fix. */
static bool lengths_right(const struct dhcp_msg *m)
{
	static const struct {
		uint8_t code, len;
	} fixed[] = {
		{ DHO_REQUESTED_ADDRESS, 4 }, { DHO_LEASE_TIME, 4 },
		{ DHO_OVERLOAD, 1 },	      { DHO_MESSAGE_TYPE, 1 },
		{ DHO_SERVER_ID, 4 },	      { DHO_MAX_MESSAGE_SIZE, 2 },
		{ DHO_RENEWAL_TIME, 4 },      { DHO_REBINDING_TIME, 4 },
		{ DHO_SUBNET_SELECTION, 4 },
	};

	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (dhcp_has(m, fixed[i].code) && m->opt[fixed[i].code].len != fixed[i].len)
			return false;
	}
	return true;
}

static void decode_header(struct rd *r, struct dhcp_msg *m)
{
	m->op = rd_u8(r);
	m->htype = rd_u8(r);
	m->hlen = rd_u8(r);
	m->hops = rd_u8(r);
	m->xid = rd_u32(r);
	m->secs = dhcp_secs_repair(rd_u16(r));
	m->flags = rd_u16(r);
	m->ciaddr = rd_u32(r);
	m->yiaddr = rd_u32(r);
	m->siaddr = rd_u32(r);
	m->giaddr = rd_u32(r);
	rd_copy(r, m->chaddr, sizeof(m->chaddr));
	rd_skip(r, DHCP_SNAME_LEN + DHCP_FILE_LEN);
}

/* All but the question whether a server hears this kind of message. */
static enum dhcp_verdict decode(const uint8_t *buf, size_t len, bool replies, struct dhcp_msg *ret)
{
	struct rd r = rd_init(buf, len);
	struct fields f;

	if (len < DHCP_OPTIONS_OFF)
		return DHCP_TOO_SHORT;
	memset(ret, 0, offsetof(struct dhcp_msg, data));
	decode_header(&r, ret);
	if (ret->op != BOOTREQUEST && !(replies && ret->op == BOOTREPLY))
		return DHCP_NOT_REQUEST;
	if (ret->hlen > sizeof(ret->chaddr))
		return DHCP_BAD_HLEN;
	if (rd_u32(&r) != DHCP_COOKIE)
		return DHCP_BAD_COOKIE;
	f = (struct fields){ { r }, 1 };
	if (!lay_out(buf, &f, ret))
		return DHCP_BAD_OPTION;
	collect(&f, ret);
	if (!lengths_right(ret))
		return DHCP_BAD_OPTION;
	if (!dhcp_has(ret, DHO_MESSAGE_TYPE))
		return DHCP_NO_TYPE;
	ret->type = dhcp_opt(ret, DHO_MESSAGE_TYPE).p[0];
	return DHCP_OK;
}

static bool server_hears(uint8_t type)
{
	return type == DHCPDISCOVER || type == DHCPREQUEST || type == DHCPDECLINE ||
	       type == DHCPRELEASE || type == DHCPINFORM;
}

enum dhcp_verdict dhcp_msg_decode(const uint8_t *buf, size_t len, struct dhcp_msg *ret)
{
	enum dhcp_verdict v = decode(buf, len, false, ret);

	return v == DHCP_OK && !server_hears(ret->type) ? DHCP_BAD_TYPE : v;
}

enum dhcp_verdict dhcp_msg_decode_any(const uint8_t *buf, size_t len, struct dhcp_msg *ret)
{
	enum dhcp_verdict v = decode(buf, len, true, ret);

	if (v == DHCP_OK && (ret->type < DHCPDISCOVER || ret->type > DHCPINFORM))
		return DHCP_BAD_TYPE;
	return v;
}

const char *dhcp_verdict_name(enum dhcp_verdict v)
{
	static const char *const name[DHCP_VERDICTS] = {
		[DHCP_OK] = "ok",
		[DHCP_TOO_SHORT] = "too-short",
		[DHCP_NOT_REQUEST] = "not-request",
		[DHCP_BAD_COOKIE] = "bad-cookie",
		[DHCP_BAD_OPTION] = "bad-option",
		[DHCP_NO_TYPE] = "no-type",
		[DHCP_BAD_TYPE] = "bad-type",
		[DHCP_BAD_HLEN] = "bad-hlen",
	};

	return (unsigned)v < DHCP_VERDICTS ? name[v] : "unknown";
}

const char *dhcp_type_name(uint8_t type)
{
	static const char *const name[] = {
		[DHCPDISCOVER] = "DISCOVER", [DHCPOFFER] = "OFFER",   [DHCPREQUEST] = "REQUEST",
		[DHCPDECLINE] = "DECLINE",   [DHCPACK] = "ACK",	      [DHCPNAK] = "NAK",
		[DHCPRELEASE] = "RELEASE",   [DHCPINFORM] = "INFORM",
	};

	return type >= DHCPDISCOVER && type <= DHCPINFORM ? name[type] : "unknown";
}

/* Four octets as a number; anything else as @otherwise. */
static uint32_t u32_of(struct octets o, uint32_t otherwise)
{
	struct rd r = rd_of(o);

	return o.len == 4 ? rd_u32(&r) : otherwise;
}

uint32_t dhcp_opt_addr(const struct dhcp_msg *m, uint8_t code)
{
	return u32_of(dhcp_opt(m, code), 0);
}

uint32_t dhcp_opt_u32(const struct dhcp_msg *m, uint8_t code, uint32_t otherwise)
{
	return u32_of(dhcp_opt(m, code), otherwise);
}

struct octets dhcp_relay_sub(const struct dhcp_msg *m, uint8_t sub)
{
	struct rd r = rd_of(dhcp_opt(m, DHO_RELAY_AGENT));

	while (r.len) {
		uint8_t code = rd_u8(&r);
		struct octets v = rd_octets(&r, rd_u8(&r));

		if (v.p && code == sub)
			return v;
	}
	return (struct octets){ NULL, 0 };
}

struct octets dhcp_client_id(const struct dhcp_msg *m)
{
	struct octets id = dhcp_opt(m, DHO_CLIENT_ID);

	return id.len ? id : (struct octets){ NULL, 0 };
}

struct octets dhcp_chaddr(const struct dhcp_msg *m)
{
	return (struct octets){ m->chaddr, m->hlen };
}

uint32_t dhcp_subnet_hint(const struct dhcp_msg *m, enum subnet_by *ret_by)
{
	uint32_t addr = m->giaddr ? u32_of(dhcp_relay_sub(m, RELAY_LINK_SELECTION), 0) : 0;
	enum subnet_by by = SUBNET_BY_LINK;

	if (!addr) {
		addr = dhcp_opt_addr(m, DHO_SUBNET_SELECTION);
		by = SUBNET_BY_OPTION;
	}
	if (!addr) {
		addr = m->giaddr;
		by = addr ? SUBNET_BY_GIADDR : SUBNET_BY_INTERFACE;
	}
	if (ret_by)
		*ret_by = by;
	return addr;
}

uint8_t dhcp_bucket(const struct dhcp_msg *m, unsigned hash_identity)
{
	struct octets id = dhcp_client_id(m);

	return loadbal_bucket(hash_identity, id.p, id.len, m->chaddr, m->hlen);
}
