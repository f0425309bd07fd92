/*
 * Fuzzer of DHCP messages. What decodes is asked everything that the daemon asks; then it is
 * answered in three ways, and each answer must decode, say what it was made to say, keep to its
 * limits, and echo what RFC 3046 and RFC 6842 want echoed.
 */
#include <stdlib.h>
#include <string.h>
#include "core/dhcp_reply.h"

#define MTU_PAYLOAD 1472

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

static void must_equal(struct octets a, struct octets b)
{
	must(!a.p == !b.p && a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len)));
}

extern uint32_t dhcp_fuzz_sum;
uint32_t dhcp_fuzz_sum; /* visible, so that every octet is really read */

static void ask_everything(const struct dhcp_msg *m)
{
	enum subnet_by by;

	for (unsigned code = 0; code < 256; code++) {
		struct octets o = dhcp_opt(m, (uint8_t)code);

		for (uint32_t i = 0; i < o.len; i++)
			dhcp_fuzz_sum += o.p[i];
		dhcp_fuzz_sum += dhcp_relay_sub(m, (uint8_t)code).len;
		dhcp_fuzz_sum += dhcp_opt_u32(m, (uint8_t)code, 0);
	}
	must(!dhcp_has(m, DHO_PAD) && !dhcp_has(m, DHO_END));
	must(dhcp_chaddr(m).len <= 16);
	dhcp_fuzz_sum += dhcp_subnet_hint(m, &by) + dhcp_bucket(m, 0) + dhcp_bucket(m, 1);
	must(by <= SUBNET_BY_INTERFACE);
}

/* Every code once, the value as long as the code says, a long one among them. */
static struct option_set every_option(void)
{
	static uint8_t tlv[256 * 300];
	uint32_t n = 0;

	for (unsigned code = 1; code < 255; code++) {
		uint16_t len = code == 125 ? 270 : (uint16_t)(code % 37);

		tlv[n++] = (uint8_t)code;
		tlv[n++] = (uint8_t)(len >> 8);
		tlv[n++] = (uint8_t)len;
		memset(tlv + n, (int)code, len);
		n += len;
	}
	return (struct option_set){ tlv, n };
}

static void check_answer(const struct dhcp_msg *req, const struct dhcp_reply *r)
{
	uint8_t buf[2048];
	struct dhcp_msg got;
	size_t n = dhcp_reply_encode(req, r, buf, sizeof(buf), MTU_PAYLOAD);

	if (!n)
		return;
	must(n >= DHCP_MIN_REPLY && n <= MTU_PAYLOAD);
	must(dhcp_msg_decode_any(buf, n, &got) == DHCP_OK);
	must(got.op == BOOTREPLY && got.type == r->type && got.xid == req->xid);
	must(dhcp_opt_addr(&got, DHO_SERVER_ID) == r->server_id);
	must_equal(dhcp_opt(req, DHO_CLIENT_ID), dhcp_opt(&got, DHO_CLIENT_ID));
	must_equal(dhcp_opt(req, DHO_RELAY_AGENT), dhcp_opt(&got, DHO_RELAY_AGENT));
	must_equal(dhcp_opt(req, DHO_SUBNET_SELECTION), dhcp_opt(&got, DHO_SUBNET_SELECTION));
	must(dhcp_opt_u32(&got, DHO_LEASE_TIME, 0) == (r->type == DHCPNAK ? 0 : r->lease));
	must(dhcp_reply_dest(req, r).addr != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct option_set set = every_option();
	struct dhcp_reply offer = { .type = DHCPOFFER,
				    .yiaddr = 0x0a090037,
				    .server_id = 0x0a090001,
				    .lease = 3600,
				    .renew = 1800,
				    .rebind = 3150,
				    .options = &set };
	struct dhcp_reply nak = { .type = DHCPNAK, .server_id = 0x0a090001, .message = "no" };
	struct dhcp_reply inform = { .type = DHCPACK, .server_id = 0x0a090001, .options = &set };
	struct dhcp_msg m;

	(void)dhcp_msg_decode_any(data, size, &m);
	if (dhcp_msg_decode(data, size, &m) != DHCP_OK)
		return 0;
	ask_everything(&m);
	check_answer(&m, &offer);
	check_answer(&m, &nak);
	check_answer(&m, &inform);
	return 0;
}
