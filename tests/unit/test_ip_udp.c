/* net/ip_udp: headers written are headers read, and every way in which a frame may lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "net/ip_udp.h"

static uint8_t buf[2048];
static struct ip_udp got;
static struct octets payload;

static size_t write_one(size_t len)
{
	struct ip_udp h = { 0x0a090001, 0xffffffff, 67, 68 };

	for (size_t i = 0; i < len; i++)
		buf[IP_UDP_LEN + i] = (uint8_t)(i * 31 + 7);
	ip_udp_write(buf, &h, len);
	return IP_UDP_LEN + len;
}

static unsigned ones_sum(const uint8_t *p, size_t len, unsigned sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void ip_sum_again(void)
{
	unsigned sum;

	buf[10] = buf[11] = 0;
	sum = ones_sum(buf, (buf[0] & 15) * 4u, 0) ^ 0xffff;
	buf[10] = (uint8_t)(sum >> 8);
	buf[11] = (uint8_t)sum;
}

static void test_every_length(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 1472; len++) {
		size_t n = write_one(len);

		assert_int_equal(ones_sum(buf, 20, 0), 0xffff);
		assert_int_equal(ones_sum(buf + 12, n - 12, 17 + 8 + (unsigned)len), 0xffff);
		assert_int_equal(ip_udp_read(buf, n, false, &got, &payload), IP_UDP_OK);
		assert_int_equal(payload.len, len);
		assert_ptr_equal(payload.p, buf + IP_UDP_LEN);
		assert_int_equal(got.src, 0x0a090001);
		assert_int_equal(got.dest, 0xffffffff);
		assert_int_equal(got.src_port, 67);
		assert_int_equal(got.dest_port, 68);
	}
}

static void test_cut_and_padded(void **state)
{
	size_t n = write_one(300);

	(void)state;
	for (size_t len = 0; len < n; len++)
		assert_int_equal(ip_udp_read(buf, len, true, &got, &payload), IP_UDP_BAD_IP);
	assert_int_equal(ip_udp_read(buf, n + 46, false, &got, &payload), IP_UDP_OK);
	assert_int_equal(payload.len, 300);
	buf[3] += 4; /* a longer IP datagram than the UDP one in it */
	ip_sum_again();
	assert_int_equal(ip_udp_read(buf, n + 46, false, &got, &payload), IP_UDP_OK);
	assert_int_equal(payload.len, 300);
}

/* RFC 768: a sum that comes out as 0 is sent as all ones, since 0 says "not summed". */
static void test_sum_of_zero(void **state)
{
	unsigned sum;

	(void)state;
	(void)write_one(2);
	sum = (unsigned)buf[26] << 8 | buf[27];
	/* add what is missing to all ones: the sum of the others then ends in 0 */
	sum += (unsigned)buf[28] << 8 | buf[29];
	sum = (sum & 0xffff) + (sum >> 16);
	buf[28] = (uint8_t)(sum >> 8);
	buf[29] = (uint8_t)sum;
	ip_udp_write(buf, &(struct ip_udp){ 0x0a090001, 0xffffffff, 67, 68 }, 2);
	assert_int_equal(buf[26], 0xff);
	assert_int_equal(buf[27], 0xff);
	assert_int_equal(ip_udp_read(buf, 30, false, &got, &payload), IP_UDP_OK);
}

static const struct {
	const char *ref, *given;
	unsigned at;
	uint8_t value;
	bool summed;
	enum ip_udp_verdict want;
} rows[] = {
	{ "791 §3.1", "version 6", 0, 0x65, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "header of 16 octets", 0, 0x44, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "header of 60 octets", 0, 0x4f, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "total length of 27", 3, 27, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "total length beyond the frame", 3, 255, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "do not fragment", 6, 0x40, false, IP_UDP_OK },
	{ "791 §3.1", "more fragments", 6, 0x20, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "fragment offset", 7, 1, false, IP_UDP_BAD_IP },
	{ "791 §3.1", "TCP", 9, 6, false, IP_UDP_BAD_IP },
	{ "768", "UDP length of 7", 25, 7, true, IP_UDP_BAD_IP },
	{ "768", "UDP length of 8", 25, 8, true, IP_UDP_OK },
	{ "768", "UDP length beyond the datagram", 25, 19, true, IP_UDP_BAD_IP },
	{ "768", "payload changed", 30, 0, false, IP_UDP_BAD_SUM },
	{ "768", "source changed", 15, 9, false, IP_UDP_BAD_SUM },
	{ "D3", "the kernel vouches for the sum", 30, 0, true, IP_UDP_OK },
};

static void test_lies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = write_one(10);

		buf[rows[i].at] = rows[i].value;
		ip_sum_again();
		if (ip_udp_read(buf, n, rows[i].summed, &got, &payload) != rows[i].want)
			fail_msg("%s, %s", rows[i].ref, rows[i].given);
	}
	(void)write_one(10);
	buf[10] ^= 1;
	assert_int_equal(ip_udp_read(buf, 38, true, &got, &payload), IP_UDP_BAD_IP);
	(void)write_one(10);
	buf[26] = buf[27] = 0;
	assert_int_equal(ip_udp_read(buf, 38, false, &got, &payload), IP_UDP_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_cut_and_padded),
		cmocka_unit_test(test_sum_of_zero),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
