/*
 * DHCP options: typed names and codes -> octets as they go on the wire.
 *
 * Caller: scopes.c. Standards: RFC 2132 (the formats), RFC 3397 (domain search, without
 * compression), RFC 3442 (classless routes).
 */
#include <stdio.h>
#include <string.h>
#include "conf/options.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "shared/dhcp_wire.h"

#define VALUE_MAX 1024 /* octets of one option; longer than 255 goes out in parts, RFC 3396 */

enum format {
	F_ADDRESS,
	F_ADDRESSES,
	F_MASK,
	F_TEXT,
	F_DOMAIN,
	F_DOMAINS, /* RFC 3397 */
	F_ROUTES,  /* RFC 3442 */
	F_U8,
	F_U16,
	F_U32,
	F_I32,
	F_HEX,
	F_LEASE, /* not stored here: a time of the scope */
	F_RENEW,
	F_REBIND,
};

static const struct option_name {
	const char *name;
	uint8_t code;
	enum format format;
	int64_t min, max;
} names[] = {
	{ "subnet-mask", DHO_SUBNET_MASK, F_MASK, 0, 0 },
	{ "time-offset", 2, F_I32, INT32_MIN, INT32_MAX },
	{ "routers", DHO_ROUTERS, F_ADDRESSES, 0, 0 },
	{ "time-servers", 4, F_ADDRESSES, 0, 0 },
	{ "domain-name-servers", DHO_DOMAIN_NAME_SERVERS, F_ADDRESSES, 0, 0 },
	{ "log-servers", 7, F_ADDRESSES, 0, 0 },
	{ "host-name", DHO_HOST_NAME, F_DOMAIN, 0, 0 },
	{ "domain-name", DHO_DOMAIN_NAME, F_DOMAIN, 0, 0 },
	{ "interface-mtu", DHO_INTERFACE_MTU, F_U16, 68, 65535 },
	{ "broadcast-address", DHO_BROADCAST_ADDRESS, F_ADDRESS, 0, 0 },
	{ "ntp-servers", DHO_NTP_SERVERS, F_ADDRESSES, 0, 0 },
	{ "netbios-name-servers", 44, F_ADDRESSES, 0, 0 },
	{ "netbios-node-type", 46, F_U8, 1, 8 },
	{ "lease-time", DHO_LEASE_TIME, F_LEASE, 0, 0 },
	{ "renew-time", DHO_RENEWAL_TIME, F_RENEW, 0, 0 },
	{ "rebind-time", DHO_REBINDING_TIME, F_REBIND, 0, 0 },
	{ "tftp-server-name", 66, F_TEXT, 0, 0 },
	{ "bootfile-name", 67, F_TEXT, 0, 0 },
	{ "domain-search", 119, F_DOMAINS, 0, 0 },
	{ "classless-routes", DHO_CLASSLESS_ROUTES, F_ROUTES, 0, 0 },
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* The forms below a code. */
static const struct option_form {
	const char *name;
	enum format format;
	int64_t min, max;
} forms[] = {
	{ "address", F_ADDRESS, 0, 0 },	 { "address-list", F_ADDRESSES, 0, 0 },
	{ "text", F_TEXT, 0, 0 },	 { "hex", F_HEX, 0, 0 },
	{ "u8", F_U8, 0, UINT8_MAX },	 { "u16", F_U16, 0, UINT16_MAX },
	{ "u32", F_U32, 0, UINT32_MAX },
};
#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

/* One value under construction. */
struct maker {
	struct conf_ctx *c;
	const char *name;     /* as the file calls the option */
	const struct node *n; /* the value looked at */
	enum format format;
	int64_t min, max;
	uint8_t buf[VALUE_MAX];
	uint32_t len;
	bool bad;
};

static void wrong(struct maker *m, const char *how)
{
	conf_error(m->c, m->n, "%s %s %s", m->name, node_show(m->c, m->n), how);
	m->bad = true;
}

static void put(struct maker *m, const void *p, size_t len)
{
	if (m->bad || m->len + len > VALUE_MAX) {
		if (!m->bad)
			wrong(m, "is too long: 1024 octets are the most for one option");
		return;
	}
	memcpy(m->buf + m->len, p, len);
	m->len += (uint32_t)len;
}

static void put_number(struct maker *m, uint64_t v, unsigned octets)
{
	while (octets--) {
		uint8_t b = (uint8_t)(v >> (8 * octets));

		put(m, &b, 1);
	}
}

/* --- formats of one item ---------------------------------------------------------------------- */

static void make_address(struct maker *m)
{
	uint32_t addr = 0;
	const char *how = value_address(m->n->text, &addr);

	if (how)
		wrong(m, how);
	else
		put_number(m, addr, 4);
}

static void make_mask(struct maker *m)
{
	uint32_t mask = 0;

	if (value_address(m->n->text, &mask) || (~mask & (~mask + 1)))
		wrong(m, "is not a mask: write one as 255.255.255.0, or leave it out, since it "
			 "follows from the subnet");
	else
		put_number(m, mask, 4);
}

static void make_text(struct maker *m)
{
	put(m, m->n->text, m->n->len);
}

static void make_domain(struct maker *m)
{
	const char *how = value_domain(m->n->text);

	if (how)
		wrong(m, how);
	else
		put(m, m->n->text, m->n->len);
}

/* Labels with their length before, a zero at the end. */
static void make_search(struct maker *m)
{
	const char *s = m->n->text, *how = value_domain(s);

	if (how) {
		wrong(m, how);
		return;
	}
	while (*s) {
		size_t len = strcspn(s, ".");

		put_number(m, len, 1);
		put(m, s, len);
		s += len + (s[len] == '.');
	}
	put_number(m, 0, 1);
}

/* "10.0.0.0/8 via 10.9.0.1" or "default via 10.9.0.1" */
static void make_route(struct maker *m)
{
	const char *via = strstr(m->n->text, " via ");
	struct prefix p = { .len = 0 };
	char to[24];
	uint32_t router;

	if (!via || via - m->n->text >= (ptrdiff_t)sizeof(to) || value_address(via + 5, &router))
		goto bad;
	memcpy(to, m->n->text, (size_t)(via - m->n->text));
	to[via - m->n->text] = 0;
	if (strcmp(to, "default") && value_prefix(to, &p))
		goto bad;
	put_number(m, p.len, 1);
	put_number(m, p.len ? p.addr >> (32 - (p.len + 7) / 8 * 8) : 0, (p.len + 7u) / 8u);
	put_number(m, router, 4);
	return;
bad:
	wrong(m, "is not a route: write \"10.0.0.0/8 via 10.9.0.1\" or \"default via 10.9.0.1\"");
}

static void make_number(struct maker *m)
{
	unsigned octets = m->format == F_U8 ? 1 : m->format == F_U16 ? 2 : 4;
	char how[80];
	int64_t v;

	if (value_number(m->n->text, &v) || v < m->min || v > m->max) {
		(void)snprintf(how, sizeof(how), "is not a number from %lld to %lld: write one",
			       (long long)m->min, (long long)m->max);
		wrong(m, how);
		return;
	}
	put_number(m, (uint64_t)v, octets);
}

static void make_hex(struct maker *m)
{
	uint8_t buf[VALUE_MAX];
	size_t len;
	const char *how = value_octets(m->n->text, buf, 1, sizeof(buf), &len);

	if (how)
		wrong(m, how);
	else
		put(m, buf, len);
}

static void make_item(struct maker *m)
{
	static void (*const by_format[])(struct maker *) = {
		[F_ADDRESS] = make_address, [F_ADDRESSES] = make_address, [F_MASK] = make_mask,
		[F_TEXT] = make_text,	    [F_DOMAIN] = make_domain,	  [F_DOMAINS] = make_search,
		[F_ROUTES] = make_route,    [F_U8] = make_number,	  [F_U16] = make_number,
		[F_U32] = make_number,	    [F_I32] = make_number,	  [F_HEX] = make_hex,
	};

	if (m->n->kind != NODE_SCALAR || !m->n->len || strlen(m->n->text) != m->n->len)
		wrong(m, "is not one value: write text or a number");
	else
		by_format[m->format](m);
}

/* Formats that repeat on the wire take lists. */
static bool takes_list(const struct maker *m)
{
	switch (m->format) {
	case F_ADDRESSES:
	case F_DOMAINS:
	case F_ROUTES:
		return true;
	case F_U8:
	case F_U16:
	case F_U32:
		return m->min == 0; /* by code; the typed ones are single */
	default:
		return false;
	}
}

static void make_value(struct maker *m)
{
	const struct node *n = m->n;

	if (n->kind != NODE_LIST || !takes_list(m)) {
		make_item(m);
		return;
	}
	if (!n->n)
		wrong(m, "is empty: write at least one item, or remove it");
	for (m->n = n->first; m->n; m->n = m->n->next)
		make_item(m);
	m->n = n;
}

/* --- times ------------------------------------------------------------------------------------ */

static void read_time(struct maker *m, uint32_t *ret, const struct node **ret_node)
{
	const char *how = "is not one value: write a duration as in 8d";
	uint32_t v = 0;

	if (m->n->kind == NODE_SCALAR)
		how = m->format == F_LEASE && node_says(m->n, "infinite")
			      ? (v = SEC_INFINITE, NULL)
			      : value_duration(m->n->text, &v);
	if (!how && !v)
		how = "is too short: write at least 1s";
	if (how) {
		wrong(m, how);
		return;
	}
	*ret = v;
	*ret_node = m->n;
}

/* --- names and codes -------------------------------------------------------------------------- */

static void store(struct maker *m, struct option_map *to, uint8_t code)
{
	struct option_blob *b = &to->by_code[code];

	if (b->node) {
		conf_error(m->c, m->n->key,
			   "option %d is given a second time as %s (first in line %d): remove one",
			   code, m->name, b->node->line);
		return;
	}
	b->node = m->n;
	if (m->format == F_LEASE)
		read_time(m, &to->lease_time, &to->lease_node);
	else if (m->format == F_RENEW)
		read_time(m, &to->renew_time, &to->renew_node);
	else if (m->format == F_REBIND)
		read_time(m, &to->rebind_time, &to->rebind_node);
	else
		make_value(m);
	if (!m->bad && m->len)
		b->p = memcpy(arena_alloc(m->c->scratch, m->len), m->buf, m->len);
	b->len = m->bad ? 0 : m->len;
}

/* Options that the server writes itself, from the request or from other keys. */
static const char *reserved(int64_t code)
{
	switch (code) {
	case DHO_LEASE_TIME:
	case DHO_RENEWAL_TIME:
	case DHO_REBINDING_TIME:
		return "write lease-time, renew-time or rebind-time";
	case DHO_REQUESTED_ADDRESS:
	case DHO_OVERLOAD:
	case DHO_MESSAGE_TYPE:
	case DHO_SERVER_ID:
	case DHO_PARAMETER_LIST:
	case DHO_MESSAGE:
	case DHO_MAX_MESSAGE_SIZE:
	case DHO_CLIENT_ID:
	case DHO_RELAY_AGENT:
		return "remove it, the server sets it in each message";
	}
	return NULL;
}

static void unknown_form(struct maker *m, const struct node *key)
{
	const char *known[N_FORMS];

	for (unsigned i = 0; i < N_FORMS; i++)
		known[i] = forms[i].name;
	schema_unknown(m->c, key, known, N_FORMS);
}

/* `150: {address-list: [...]}` */
static void read_code(struct maker *m, struct option_map *to, int64_t code)
{
	const struct node *value = m->n, *form = value->kind == NODE_MAP ? value->first : NULL;

	if (code < 1 || code > 254) {
		conf_error(m->c, value->key, "option %s does not exist: codes go from 1 to 254",
			   node_show(m->c, value->key));
		return;
	}
	if (reserved(code)) {
		conf_error(m->c, value->key, "option %d cannot be set by its code: %s", (int)code,
			   reserved(code));
		return;
	}
	if (!form || form->next) {
		conf_error(m->c, value,
			   "option %d needs one form: write {address-list: [...]}, {address: .}, "
			   "{text: .}, {hex: .}, {u8: .}, {u16: .} or {u32: .}",
			   (int)code);
		return;
	}
	for (unsigned i = 0; i < N_FORMS; i++) {
		if (!node_says(form->key, forms[i].name))
			continue;
		m->format = forms[i].format;
		m->min = forms[i].min;
		m->max = forms[i].max;
		m->n = form;
		store(m, to, (uint8_t)code);
		return;
	}
	unknown_form(m, form->key);
}

static void unknown_name(struct maker *m)
{
	const char *known[N_NAMES];

	for (unsigned i = 0; i < N_NAMES; i++)
		known[i] = names[i].name;
	schema_unknown(m->c, m->n->key, known, N_NAMES);
}

static void read_option(struct maker *m, struct option_map *to)
{
	int64_t code;

	if (!value_number(m->name, &code)) {
		read_code(m, to, code);
		return;
	}
	for (unsigned i = 0; i < N_NAMES; i++) {
		if (!node_says(m->n->key, names[i].name))
			continue;
		m->format = names[i].format;
		m->min = names[i].min;
		m->max = names[i].max;
		if (!node_is_empty(m->n))
			store(m, to, names[i].code);
		return;
	}
	unknown_name(m);
}

void options_read(struct conf_ctx *c, const struct node *node, struct option_map *ret)
{
	struct maker m;

	memset(ret, 0, sizeof(*ret));
	for (const struct node *n = node ? node->first : NULL; n; n = n->next) {
		m.c = c;
		m.n = n;
		m.name = n->key->text;
		m.len = 0;
		m.bad = false;
		read_option(&m, ret);
	}
}

/* --- encoding --------------------------------------------------------------------------------- */

void options_put_address(struct conf_ctx *c, struct option_map *m, uint8_t code, uint32_t addr)
{
	uint8_t *p = arena_alloc(c->scratch, 4);

	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(addr >> (24 - 8 * i));
	m->by_code[code].p = p;
	m->by_code[code].len = 4;
}

static const struct option_blob *choose(const struct option_map *global,
					const struct option_map *scope, unsigned code)
{
	if (scope && scope->by_code[code].len)
		return &scope->by_code[code];
	return global && global->by_code[code].len ? &global->by_code[code] : NULL;
}

struct option_set options_encode(struct conf_ctx *c, const struct option_map *global,
				 const struct option_map *scope)
{
	const struct option_blob *b;
	uint32_t len = 0;
	uint8_t *tlv, *p;

	for (unsigned code = 1; code < 255; code++)
		if ((b = choose(global, scope, code)))
			len += 3 + b->len;
	tlv = p = arena_alloc(c->keep, len);
	for (unsigned code = 1; code < 255; code++) {
		b = choose(global, scope, code);
		if (!b)
			continue;
		*p++ = (uint8_t)code;
		*p++ = (uint8_t)(b->len >> 8);
		*p++ = (uint8_t)b->len;
		memcpy(p, b->p, b->len);
		p += b->len;
	}
	return (struct option_set){ tlv, len };
}
