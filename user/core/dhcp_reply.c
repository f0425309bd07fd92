/*
 * Replies, values to octets. Three places take options: the options field, and file and sname,
 * which nothing else of ours needs. An option goes whole into the first place that has room; one
 * that is longer than 255 octets, or must not be left out, is cut over the places as a last resort
 * (RFC 3396). Room for the relay information at the end is set aside first.
 *
 * Callers: the daemon, for each decision of core/server that answers.
 * Spec: RFC 2131 §4.1, §4.3.1 table 3; RFC 2132 §3.3, §9.3, §9.8, §9.10; RFC 3011; RFC 3046 §2.1;
 * RFC 3396; RFC 3442; RFC 6842.
 */
#include "core/dhcp_reply.h"
#include "core/wire.h"

#define OPTION_HEAD 2	/* code and length */
#define OPTION_MAX 255	/* octets in one instance */
#define OVERLOAD_SIZE 3 /* option 52 */
#define END_SIZE 1

enum place { IN_OPTIONS, IN_FILE, IN_SNAME, PLACES };

struct places {
	struct wr at[PLACES]; /* in the order in which a client joins them */
	unsigned n;	      /* of them in use: NAK has the options field alone */
};

/* Octets that a value takes with its heads; an empty one has a head as well. */
static size_t encoded_size(size_t len)
{
	return len + OPTION_HEAD * (len ? (len + OPTION_MAX - 1) / OPTION_MAX : 1);
}

static size_t room(const struct wr *w)
{
	return w->size - w->len;
}

static void write_piece(struct wr *w, uint8_t code, struct octets *v, size_t n)
{
	wr_u8(w, code);
	wr_u8(w, (uint8_t)n);
	wr_octets(w, v->p, n);
	if (n)
		v->p += n;
	v->len -= (uint32_t)n;
}

static void write_whole(struct wr *w, uint8_t code, struct octets v)
{
	do {
		write_piece(w, code, &v, v.len > OPTION_MAX ? OPTION_MAX : v.len);
	} while (v.len);
}

static bool put_whole(struct places *pl, uint8_t code, struct octets v)
{
	for (unsigned i = 0; i < pl->n; i++) {
		if (encoded_size(v.len) <= room(&pl->at[i])) {
			write_whole(&pl->at[i], code, v);
			return true;
		}
	}
	return false;
}

/* Pieces over the places in order, or nothing at all. */
static bool put_cut(struct places *pl, uint8_t code, struct octets v)
{
	struct places before = *pl;

	for (unsigned i = 0; i < pl->n; i++) {
		struct wr *w = &pl->at[i];

		while (v.len && room(w) > OPTION_HEAD) {
			size_t n = room(w) - OPTION_HEAD;

			n = n < v.len ? n : v.len;
			write_piece(w, code, &v, n < OPTION_MAX ? n : OPTION_MAX);
		}
	}
	if (!v.len)
		return true;
	*pl = before;
	return false;
}

static bool put_mandatory(struct places *pl, uint8_t code, struct octets v)
{
	return put_whole(pl, code, v) || put_cut(pl, code, v);
}

static bool put_optional(struct places *pl, uint8_t code, struct octets v)
{
	return put_whole(pl, code, v) || (v.len > OPTION_MAX && put_cut(pl, code, v));
}

static bool put_u32(struct places *pl, uint8_t code, uint32_t value)
{
	uint8_t be[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			  (uint8_t)value };

	return put_mandatory(pl, code, (struct octets){ be, sizeof(be) });
}

/* What the client said and must hear again; absent in the request, absent in the reply. */
static bool put_echo(struct places *pl, const struct dhcp_msg *req, uint8_t code)
{
	return !dhcp_has(req, code) || put_mandatory(pl, code, dhcp_opt(req, code));
}

static bool put_all_mandatory(struct places *pl, const struct dhcp_msg *req,
			      const struct dhcp_reply *r)
{
	bool ok = put_mandatory(pl, DHO_MESSAGE_TYPE, (struct octets){ &r->type, 1 }) &&
		  put_u32(pl, DHO_SERVER_ID, r->server_id);

	if (r->lease && r->type != DHCPNAK) {
		ok = ok && put_u32(pl, DHO_LEASE_TIME, r->lease);
		ok = ok && (!r->renew || put_u32(pl, DHO_RENEWAL_TIME, r->renew));
		ok = ok && (!r->rebind || put_u32(pl, DHO_REBINDING_TIME, r->rebind));
	}
	return ok && put_echo(pl, req, DHO_CLIENT_ID) && put_echo(pl, req, DHO_SUBNET_SELECTION);
}

/* --- configured options -------------------------------------------------------------------------
 */
struct codes {
	uint8_t bit[32];
};

static bool codes_has(const struct codes *c, uint8_t code)
{
	return c->bit[code >> 3] >> (code & 7) & 1;
}

static void codes_add(struct codes *c, uint8_t code)
{
	c->bit[code >> 3] |= (uint8_t)(1 << (code & 7));
}

struct choice {
	struct places *pl;
	const struct option_set *from;
	struct codes listed; /* in the client's parameter request list */
	struct codes looked_at, sent;
};

/* Options that no configuration decides: ours to make, or a client's to send. */
static bool not_configurable(uint8_t code)
{
	switch (code) {
	case DHO_PAD:
	case DHO_REQUESTED_ADDRESS:
	case DHO_LEASE_TIME:
	case DHO_OVERLOAD:
	case DHO_MESSAGE_TYPE:
	case DHO_SERVER_ID:
	case DHO_PARAMETER_LIST:
	case DHO_MAX_MESSAGE_SIZE:
	case DHO_RENEWAL_TIME:
	case DHO_REBINDING_TIME:
	case DHO_CLIENT_ID:
	case DHO_RELAY_AGENT:
	case DHO_SUBNET_SELECTION:
	case DHO_END:
		return true;
	default:
		return false;
	}
}

static void send_option(struct choice *c, uint8_t code)
{
	struct octets v;

	if (not_configurable(code) || codes_has(&c->looked_at, code))
		return;
	codes_add(&c->looked_at, code);
	v = option_set_get(c->from, code);
	if (v.p && put_optional(c->pl, code, v))
		codes_add(&c->sent, code);
}

/* The mask stands before the routers (RFC 2132 §3.3). A client that lists classless routes and
 * gets them is told no other routes (RFC 3442); where they did not fit, the others are better
 * than none. */
static void send_listed(struct choice *c, uint8_t code)
{
	if (code == DHO_ROUTERS && codes_has(&c->listed, DHO_SUBNET_MASK))
		send_option(c, DHO_SUBNET_MASK);
	if (code == DHO_ROUTERS || code == DHO_STATIC_ROUTES) {
		if (codes_has(&c->listed, DHO_CLASSLESS_ROUTES))
			send_option(c, DHO_CLASSLESS_ROUTES);
		if (codes_has(&c->sent, DHO_CLASSLESS_ROUTES))
			return;
	}
	send_option(c, code);
}

static void put_configured(struct places *pl, const struct option_set *from, struct octets list)
{
	struct choice c = { .pl = pl, .from = from };
	struct rd set = rd_init(from->tlv, from->len);

	for (uint32_t i = 0; i < list.len; i++)
		codes_add(&c.listed, list.p[i]);
	for (uint32_t i = 0; i < list.len; i++)
		send_listed(&c, list.p[i]);
	while (!list.len && set.len) {
		uint8_t code = rd_u8(&set);

		rd_skip(&set, rd_u16(&set));
		send_option(&c, code);
	}
}

/* --- the message -------------------------------------------------------------------------------
 */

/* Largest message that both the client and the way to it take. */
static size_t size_limit(const struct dhcp_msg *req, size_t size, size_t mtu_payload)
{
	struct rd r = rd_of(dhcp_opt(req, DHO_MAX_MESSAGE_SIZE));
	size_t client = rd_u16(&r);

	if (client < DHCP_MIN_DATAGRAM)
		client = DHCP_MIN_DATAGRAM;
	client -= DHCP_IP_UDP_LEN;
	size = size < mtu_payload ? size : mtu_payload;
	return size < client ? size : client;
}

/* A relay must broadcast a NAK, since the client may not hold the address it is sent to
 * (RFC 2131 §4.3.2). */
static uint16_t reply_flags(const struct dhcp_msg *req, const struct dhcp_reply *r)
{
	return r->type == DHCPNAK && req->giaddr ? req->flags | DHCP_BROADCAST_FLAG : req->flags;
}

static void write_header(struct wr *w, const struct dhcp_msg *req, const struct dhcp_reply *r)
{
	bool nak = r->type == DHCPNAK;

	wr_u8(w, BOOTREPLY);
	wr_u8(w, req->htype);
	wr_u8(w, req->hlen);
	wr_u8(w, 0); /* hops */
	wr_u32(w, req->xid);
	wr_u16(w, 0); /* secs */
	wr_u16(w, reply_flags(req, r));
	wr_u32(w, nak ? 0 : r->ciaddr);
	wr_u32(w, nak ? 0 : r->yiaddr);
	wr_u32(w, 0); /* siaddr */
	wr_u32(w, req->giaddr);
	wr_octets(w, req->chaddr, sizeof(req->chaddr));
	wr_zero(w, DHCP_SNAME_LEN + DHCP_FILE_LEN);
	wr_u32(w, DHCP_COOKIE);
}

/* The three places of a message of at most @limit octets; false when that leaves no options field.
 */
static bool places_init(struct places *pl, uint8_t *buf, size_t limit, const struct dhcp_msg *req,
			bool nak)
{
	size_t aside = END_SIZE;

	if (dhcp_has(req, DHO_RELAY_AGENT))
		aside += encoded_size(dhcp_opt(req, DHO_RELAY_AGENT).len);
	if (!nak)
		aside += OVERLOAD_SIZE;
	if (limit < DHCP_OPTIONS_OFF + aside)
		return false;
	pl->n = nak ? 1 : PLACES;
	pl->at[IN_OPTIONS] = wr_init(buf + DHCP_OPTIONS_OFF, limit - DHCP_OPTIONS_OFF - aside);
	pl->at[IN_FILE] = wr_init(buf + DHCP_OFF_FILE, DHCP_FILE_LEN - END_SIZE);
	pl->at[IN_SNAME] = wr_init(buf + DHCP_OFF_SNAME, DHCP_SNAME_LEN - END_SIZE);
	return true;
}

/* End the places, say which are used, echo the relay information last. Return: message length. */
static size_t finish(struct places *pl, uint8_t *buf, size_t limit, const struct dhcp_msg *req)
{
	uint8_t overload = (pl->at[IN_FILE].len ? DHCP_OVERLOAD_FILE : 0) |
			   (pl->at[IN_SNAME].len ? DHCP_OVERLOAD_SNAME : 0);
	struct wr w = wr_init(buf, limit);

	if (overload & DHCP_OVERLOAD_FILE)
		buf[DHCP_OFF_FILE + pl->at[IN_FILE].len] = DHO_END;
	if (overload & DHCP_OVERLOAD_SNAME)
		buf[DHCP_OFF_SNAME + pl->at[IN_SNAME].len] = DHO_END;
	w.len = DHCP_OPTIONS_OFF + pl->at[IN_OPTIONS].len;
	if (overload)
		write_whole(&w, DHO_OVERLOAD, (struct octets){ &overload, 1 });
	if (dhcp_has(req, DHO_RELAY_AGENT))
		write_whole(&w, DHO_RELAY_AGENT, dhcp_opt(req, DHO_RELAY_AGENT));
	wr_u8(&w, DHO_END);
	if (w.len < DHCP_MIN_REPLY)
		wr_zero(&w, DHCP_MIN_REPLY - w.len);
	return w.bad ? 0 : w.len;
}

static struct octets text_of(const char *s)
{
	uint32_t n = 0;

	while (n < OPTION_MAX && s[n])
		n++;
	return (struct octets){ (const uint8_t *)s, n };
}

size_t dhcp_reply_encode(const struct dhcp_msg *req, const struct dhcp_reply *r, uint8_t *buf,
			 size_t size, size_t mtu_payload)
{
	size_t limit = size_limit(req, size, mtu_payload);
	bool nak = r->type == DHCPNAK;
	struct wr head = wr_init(buf, limit);
	struct places pl;

	write_header(&head, req, r);
	if (head.bad || !places_init(&pl, buf, limit, req, nak) || !put_all_mandatory(&pl, req, r))
		return 0;
	if (r->message && r->message[0])
		(void)put_optional(&pl, DHO_MESSAGE, text_of(r->message));
	if (r->options && !nak)
		put_configured(&pl, r->options, dhcp_opt(req, DHO_PARAMETER_LIST));
	return finish(&pl, buf, limit, req);
}

/* The value of an option of @len octets in a field that we have written; NULL: it is not there. */
static uint8_t *value_in(uint8_t *field, size_t size, uint8_t code, uint8_t len)
{
	for (size_t i = 0; i + 2 + len <= size && field[i] != DHO_END; i += 2u + field[i + 1])
		if (field[i] == code && field[i + 1] == len)
			return field + i + 2;
	return NULL;
}

/* Where long relay information leaves no room for the lease times, they are in file or in sname. */
static uint8_t *value_of(uint8_t *msg, size_t len, uint8_t code)
{
	size_t room = len > DHCP_OPTIONS_OFF ? len - DHCP_OPTIONS_OFF : 0;
	uint8_t *v = value_in(msg + DHCP_OPTIONS_OFF, room, code, 4);
	const uint8_t *over = value_in(msg + DHCP_OPTIONS_OFF, room, DHO_OVERLOAD, 1);

	if (!v && over && *over & DHCP_OVERLOAD_FILE)
		v = value_in(msg + DHCP_OFF_FILE, DHCP_FILE_LEN, code, 4);
	if (!v && over && *over & DHCP_OVERLOAD_SNAME)
		v = value_in(msg + DHCP_OFF_SNAME, DHCP_SNAME_LEN, code, 4);
	return v;
}

static uint32_t time_at(const uint8_t *v)
{
	struct rd r = rd_init(v, 4);

	return v ? rd_u32(&r) : SEC_INFINITE;
}

bool dhcp_reply_shorten(uint8_t *msg, size_t len, uint32_t sec)
{
	static const uint8_t times[] = { DHO_LEASE_TIME, DHO_RENEWAL_TIME, DHO_REBINDING_TIME };

	if (time_at(value_of(msg, len, DHO_LEASE_TIME)) <= sec)
		return false;
	for (size_t i = 0; i < sizeof(times); i++) {
		uint8_t *v = value_of(msg, len, times[i]);
		uint32_t was = time_at(v);
		struct wr w = wr_init(v, 4);

		if (was != SEC_INFINITE)
			wr_u32(&w, was > sec ? was - sec : 1);
	}
	return true;
}

struct dhcp_dest dhcp_reply_dest(const struct dhcp_msg *req, const struct dhcp_reply *r)
{
	if (req->giaddr)
		return (struct dhcp_dest){ DHCP_TO_RELAY, req->giaddr, DHCP_SERVER_PORT };
	if (r->type == DHCPNAK)
		goto to_all;
	if (req->ciaddr)
		return (struct dhcp_dest){ DHCP_TO_CIADDR, req->ciaddr, DHCP_CLIENT_PORT };
	if (!(req->flags & DHCP_BROADCAST_FLAG) && req->hlen == 6 && r->yiaddr)
		return (struct dhcp_dest){ DHCP_TO_CHADDR, r->yiaddr, DHCP_CLIENT_PORT };
to_all:
	return (struct dhcp_dest){ DHCP_BROADCAST, 0xffffffffu, DHCP_CLIENT_PORT };
}
