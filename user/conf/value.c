/*
 * Text -> value for the schema and the options. Pure functions of their arguments.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "conf/value.h"

const char *value_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "true", "yes", "on" };
	static const char *const no[] = { "false", "no", "off" };

	for (size_t i = 0; i < 3; i++) {
		if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
			*ret = !strcmp(s, yes[i]);
			return NULL;
		}
	}
	return "is neither yes nor no: write true or false";
}

/* The end of the digits, NULL when there are none. What does not fit is a huge number. */
static const char *digits(const char *s, int64_t *ret)
{
	const char *p = s;
	int64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		v = v > INT64_MAX / 16 ? INT64_MAX / 2 : v * 10 + (*p - '0');
	*ret = v;
	return p == s ? NULL : p;
}

const char *value_number(const char *s, int64_t *ret)
{
	bool minus = *s == '-';
	const char *end;
	int64_t v;

	end = digits(s + minus, &v);
	if (!end || *end)
		return "is not a number: write digits only";
	*ret = minus ? -v : v;
	return NULL;
}

static unsigned unit_sec(char c)
{
	switch (c) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	}
	return 0;
}

const char *value_duration(const char *s, uint32_t *ret)
{
	int64_t sum = 0, v;
	unsigned unit;

	do {
		s = digits(s, &v);
		unit = s ? unit_sec(*s) : 0;
		if (!unit)
			return "is not a duration: write a number with s, m, h or d after it, as "
			       "in 90s, 10m, 1h, 8d";
		sum = v > SEC_MAX ? SEC_MAX + (int64_t)1 : sum + v * unit;
		if (sum > SEC_MAX)
			return "is too long: the most is 24855d";
	} while (*++s);
	*ret = (uint32_t)sum;
	return NULL;
}

const char *value_address(const char *s, uint32_t *ret)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1)
		return "is not an IPv4 address: write four numbers of 0 to 255 with dots between, "
		       "as in 10.9.0.1";
	*ret = ntohl(a.s_addr);
	return NULL;
}

/* From @s to @end without the blanks around it, in @buf; NULL when it does not fit. */
static const char *part(const char *s, const char *end, char *buf, size_t size)
{
	while (s < end && *s == ' ')
		s++;
	while (end > s && end[-1] == ' ')
		end--;
	if ((size_t)(end - s) >= size)
		return NULL;
	memcpy(buf, s, (size_t)(end - s));
	buf[end - s] = 0;
	return buf;
}

uint32_t prefix_last(struct prefix p)
{
	return p.len ? p.addr | (uint32_t)((1ULL << (32 - p.len)) - 1) : UINT32_MAX;
}

bool prefix_holds(struct prefix p, uint32_t addr)
{
	return addr >= p.addr && addr <= prefix_last(p);
}

const char *value_prefix(const char *s, struct prefix *ret)
{
	const char *slash = strchr(s, '/');
	char buf[ADDR_TEXT];
	struct prefix p;
	int64_t len;

	if (!slash || !part(s, slash, buf, sizeof(buf)) || value_address(buf, &p.addr) ||
	    value_number(slash + 1, &len) || len < 0 || len > 32)
		return "is not a subnet: write address/length, as in 10.9.0.0/24";
	p.len = (uint8_t)len;
	if (p.addr != (p.len ? p.addr & (0xffffffffu << (32 - p.len)) : 0))
		return "has bits set beyond its length: clear them, or lengthen the prefix";
	*ret = p;
	return NULL;
}

const char *value_span(const char *s, struct span *ret)
{
	static const char wrong[] = "is not a range: write first-last, as in 10.9.0.10-10.9.0.200";
	const char *dash = strchr(s, '-'), *end = s + strlen(s);
	char a[ADDR_TEXT], b[ADDR_TEXT];
	struct span r;

	if (!part(s, dash ? dash : end, a, sizeof(a)) ||
	    !part(dash ? dash + 1 : s, end, b, sizeof(b)))
		return wrong;
	if (value_address(a, &r.first) || value_address(b, &r.last))
		return wrong;
	if (r.first > r.last)
		return "ends before it begins: write the lower address first";
	*ret = r;
	return NULL;
}

const char *value_endpoint(const char *s, uint16_t port, struct sockaddr_in *ret)
{
	const char *colon = strchr(s, ':');
	char buf[ADDR_TEXT];
	int64_t p = port;
	uint32_t addr;

	if (!part(s, colon ? colon : s + strlen(s), buf, sizeof(buf)) ||
	    value_address(buf, &addr) ||
	    (colon && (value_number(colon + 1, &p) || p < 1 || p > 65535)))
		return "is not address[:port]: write an IPv4 address, as in 192.0.2.1 or "
		       "192.0.2.1:647";
	if (!value_is_unicast(addr))
		return "is not the address of one host: write the server's own address";
	*ret = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)p),
		.sin_addr.s_addr = htonl(addr),
	};
	return NULL;
}

bool value_is_unicast(uint32_t addr)
{
	return addr >> 24 != 0 && addr < 0xe0000000u;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *value_octets(const char *s, uint8_t *ret, size_t min, size_t max, size_t *ret_len)
{
	static const char wrong[] = "is not hexadecimal: write two digits per octet, as in "
				    "02:00:00:00:00:55";
	char sep = strchr(s, ':') ? ':' : strchr(s, '-') ? '-' : 0;
	size_t n = 0;

	for (; *s; n++) {
		if (sep && n && *s++ != sep)
			return wrong;
		if (nibble(s[0]) < 0 || nibble(s[1]) < 0)
			return wrong;
		if (n == max)
			return "has too many octets: check the length";
		ret[n] = (uint8_t)(nibble(s[0]) << 4 | nibble(s[1]));
		s += 2;
	}
	if (n < min)
		return "has too few octets: check the length";
	*ret_len = n;
	return NULL;
}

const char *value_interface(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > 15 || !strcmp(s, ".") || !strcmp(s, "..") || strpbrk(s, "/: \t"))
		return "is not the name of an interface: write 1 to 15 characters as `ip link` "
		       "shows it";
	return NULL;
}

const char *value_domain(const char *s)
{
	static const char wrong[] = "is not a domain name: write labels of letters, digits and "
				    "hyphens with dots between, as in example.net";
	size_t label = 0, total = 0;

	if (!*s)
		return wrong;
	for (; *s; s++, total++) {
		if (*s == '.') {
			if (!label)
				return wrong;
			label = 0;
		} else if (isalnum((unsigned char)*s) || *s == '-' || *s == '_') {
			label++;
		} else {
			return wrong;
		}
		if (label > 63 || total >= 253)
			return "is too long for a domain name: 63 characters a label and 253 in "
			       "all are the most";
	}
	return NULL;
}

const char *addr_text(uint32_t addr, char buf[ADDR_TEXT])
{
	struct in_addr a = { htonl(addr) };

	(void)inet_ntop(AF_INET, &a, buf, ADDR_TEXT);
	return buf;
}

const char *duration_text(uint32_t sec, char buf[DURATION_TEXT])
{
	unsigned unit = sec % 60 ? 1 : sec % 3600 ? 60 : sec % 86400 ? 3600 : 86400;

	if (!sec)
		unit = 1;
	(void)snprintf(buf, DURATION_TEXT, "%u%c", sec / unit,
		       unit == 1      ? 's'
		       : unit == 60   ? 'm'
		       : unit == 3600 ? 'h'
				      : 'd');
	return buf;
}
