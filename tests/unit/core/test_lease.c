/* core/lease: client identity (RFC 2131 §4.2, RFC 4361 §6) and names of states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/lease.h"

/* Key 00 01 .. 0f, as in the published vectors of SipHash. */
static const struct client_hash hash = { { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL } };

static void octets_of(struct client_key k, uint8_t out[16])
{
	for (int i = 0; i < 16; i++)
		out[i] = (uint8_t)(k.w[i / 8] >> (8 * (i % 8)));
}

/* `printf MESSAGE | openssl mac -macopt hexkey:000102..0f -macopt size:16 SIPHASH`; a hardware
 * address is hashed as 00, htype, chaddr; a client identifier as 01, identifier. */
static const struct {
	const char *what;
	uint8_t id_len, htype, chaddr_len; /* id: 02 03 .. ; chaddr: 02 03 .. */
	uint8_t want[16];
} digests[] = {
	{ "hardware, no address",
	  0,
	  1,
	  0,
	  { 0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a,
	    0xff, 0xe4 } },
	{ "ethernet",
	  0,
	  1,
	  6,
	  { 0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14,
	    0x97, 0xb4 } },
	{ "a whole number of words",
	  0,
	  1,
	  14,
	  { 0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23,
	    0x05, 0x77 } },
	{ "infiniband, longest",
	  0,
	  32,
	  16,
	  { 0x8a, 0x5b, 0x0e, 0xf4, 0xe0, 0x92, 0x4c, 0xff, 0x80, 0xfc, 0xf0, 0xa7, 0xda, 0x18,
	    0x5a, 0x23 } },
	{ "identifier of one octet",
	  1,
	  1,
	  6,
	  { 0xa9, 0x19, 0x53, 0x9a, 0x7c, 0x26, 0xf3, 0xbb, 0x8b, 0xa6, 0xa1, 0xc9, 0x27, 0xea,
	    0x7f, 0xff } },
	{ "identifier of seven",
	  7,
	  1,
	  6,
	  { 0x53, 0x2a, 0x77, 0xeb, 0x0b, 0x89, 0x5d, 0xbd, 0x0a, 0xe5, 0xcf, 0xec, 0x46, 0x71,
	    0x71, 0x52 } },
	{ "DUID",
	  14,
	  255,
	  0,
	  { 0xbb, 0x7d, 0x7a, 0x44, 0x74, 0xea, 0xf7, 0xc9, 0x7e, 0x1e, 0xa8, 0x2e, 0x6c, 0x6b,
	    0x3f, 0xe1 } },
	{ "longest identifier",
	  255,
	  1,
	  6,
	  { 0xd0, 0x19, 0x82, 0x72, 0x5d, 0x96, 0x22, 0xb9, 0x8a, 0x41, 0x54, 0x0c, 0x36, 0x41,
	    0xd4, 0x21 } },
};

static void digest_is_siphash_2_4_128(void **state)
{
	uint8_t run[CLIENT_ID_MAX], got[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(run); i++)
		run[i] = (uint8_t)(i + 2);
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		struct octets id = { digests[i].id_len ? run : NULL, digests[i].id_len };
		struct octets hw = { run, digests[i].chaddr_len };

		octets_of(client_key(&hash, id, digests[i].htype, hw), got);
		if (memcmp(got, digests[i].want, 16))
			fail_msg("%s: wrong digest", digests[i].what);
	}
}

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t id_of_mac[7] = { 1, 2, 0, 0, 0, 0, 1 };

static void what_makes_two_clients(void **state)
{
	struct octets none = { NULL, 0 }, hw = { mac, 6 }, id = { id_of_mac, 7 };
	struct client_key by_mac = client_key(&hash, none, 1, hw);
	struct client_hash other = { { 1, 2 } };

	(void)state;
	/* §4.2: with an identifier the hardware address does not count */
	assert_true(client_key_equal(client_key(&hash, id, 1, hw), client_key(&hash, id, 6, none)));
	/* the same octets as identifier and as hardware address are two clients */
	assert_false(client_key_equal(by_mac, client_key(&hash, id, 1, hw)));
	assert_false(client_key_equal(by_mac, client_key(&hash, none, 6, hw)));
	/* an empty option 61 identifies nobody */
	assert_true(client_key_equal(by_mac, client_key(&hash, (struct octets){ mac, 0 }, 1, hw)));
	assert_false(client_key_equal(by_mac, client_key(&other, none, 1, hw)));
	assert_false(client_key_none(client_key(&hash, none, 0, none)));
}

static void stored_client_has_the_key_of_the_request(void **state)
{
	struct lease_client c = { .htype = 1, .hlen = 6 }, nobody = { .htype = 1 };
	struct octets none = { NULL, 0 }, hw = { mac, 6 }, id = { id_of_mac, 7 };

	(void)state;
	memcpy(c.chaddr, mac, 6);
	assert_true(client_key_equal(lease_client_key(&hash, &c), client_key(&hash, none, 1, hw)));
	c.id_len = 7;
	memcpy(c.id, id_of_mac, 7);
	assert_true(client_key_equal(lease_client_key(&hash, &c), client_key(&hash, id, 1, hw)));
	c.id_len = 0;
	c.hlen = 255; /* from a damaged record: no more than there is room for */
	assert_false(client_key_none(lease_client_key(&hash, &c)));
	assert_true(client_key_none(lease_client_key(&hash, &nobody)));
}

/* Of any number there is a next one that is later, and none of two is later than the other both
 * ways; also after the largest, which only a partner without a mind gets to. */
static void serials_go_round(void **state)
{
	static const uint32_t some[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		uint32_t a = some[i], next = lease_serial_next(a);

		assert_int_not_equal(next, 0);
		assert_true(lease_serial_later(next, a));
		assert_false(lease_serial_later(a, next));
		assert_false(lease_serial_later(a, a));
		assert_int_equal(lease_serial_later(a, 0), a != 0);
		for (unsigned k = 0; k < sizeof(some) / sizeof(some[0]); k++)
			assert_false(lease_serial_later(a, some[k]) &&
				     lease_serial_later(some[k], a));
	}
	assert_int_equal(lease_serial_above(UINT32_MAX, 3), 4);
	assert_int_equal(lease_serial_above(3, UINT32_MAX), 4);
	assert_int_equal(lease_serial_above(0, UINT32_MAX), 1);
	assert_int_equal(lease_serial_above(5, 9), 10);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(lease_state_name(LEASE_NONE), "free");
	assert_string_equal(lease_state_name(LEASE_FREE), "free");
	assert_string_equal(lease_state_name(LEASE_ACTIVE), "active");
	assert_string_equal(lease_state_name(LEASE_EXPIRED), "expired");
	assert_string_equal(lease_state_name(LEASE_RELEASED), "released");
	assert_string_equal(lease_state_name(LEASE_ABANDONED), "abandoned");
	assert_string_equal(lease_state_name(LEASE_RESET), "reset");
	assert_string_equal(lease_state_name(LEASE_BACKUP), "backup");
	assert_string_equal(lease_state_name(8), "unknown");
	assert_string_equal(lease_state_name(255), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_is_siphash_2_4_128),
		cmocka_unit_test(what_makes_two_clients),
		cmocka_unit_test(stored_client_has_the_key_of_the_request),
		cmocka_unit_test(serials_go_round),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
