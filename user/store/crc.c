/*
 * CRC-32 of short pieces. A start checks a record of 80 octets for each lease, and zlib, made for
 * long streams, goes over most of so few one by one: it needs three times as long.
 *
 * Eight octets at a time (Kounavis, Berry: "A systematic approach to building high performance,
 * software-based, CRC generators"): table[k][b] is what octet b comes to when k more have followed
 * it. The CRC is linear, so a table is made of the values of its eight bits.
 *
 * Called by lease_record and lease_env, on both threads.
 */
#include "store/crc.h"

#include <endian.h>
#include <string.h>

/* clang-format off */
#define B1(x, a)                     (x), (x) ^ (a)
#define B2(x, b, a)                  B1(x, a), B1((x) ^ (b), a)
#define B3(x, c, b, a)               B2(x, b, a), B2((x) ^ (c), b, a)
#define B4(x, d, c, b, a)            B3(x, c, b, a), B3((x) ^ (d), c, b, a)
#define B5(x, e, d, c, b, a)         B4(x, d, c, b, a), B4((x) ^ (e), d, c, b, a)
#define B6(x, f, e, d, c, b, a)      B5(x, e, d, c, b, a), B5((x) ^ (f), e, d, c, b, a)
#define B7(x, g, f, e, d, c, b, a)   B6(x, f, e, d, c, b, a), B6((x) ^ (g), f, e, d, c, b, a)
#define ALL(h, g, f, e, d, c, b, a)  { B7(0U, g, f, e, d, c, b, a), B7(0U ^ (h), g, f, e, d, c, b, a) }

/* Bits from the highest to the lowest: each is the one before it, one step on. */
static const uint32_t table[8][256] = {
	ALL(0xedb88320, 0x76dc4190, 0x3b6e20c8, 0x1db71064, 0x0edb8832, 0x076dc419, 0xee0e612c, 0x77073096),
	ALL(0x3b83984b, 0xf0794f05, 0x958424a2, 0x4ac21251, 0xc8d98a08, 0x646cc504, 0x32366282, 0x191b3141),
	ALL(0xe1351b80, 0x709a8dc0, 0x384d46e0, 0x1c26a370, 0x0e1351b8, 0x0709a8dc, 0x0384d46e, 0x01c26a37),
	ALL(0xed59b63b, 0x9b14583d, 0xa032af3e, 0x5019579f, 0xc5b428ef, 0x8f629757, 0xaa09c88b, 0xb8bc6765),
	ALL(0xb1e6b092, 0x58f35849, 0xc1c12f04, 0x60e09782, 0x30704bc1, 0xf580a6c0, 0x7ac05360, 0x3d6029b0),
	ALL(0x1eb014d8, 0x0f580a6c, 0x07ac0536, 0x03d6029b, 0xec53826d, 0x9b914216, 0x4dc8a10b, 0xcb5cd3a5),
	ALL(0x8816eaf2, 0x440b7579, 0xcfbd399c, 0x67de9cce, 0x33ef4e67, 0xf44f2413, 0x979f1129, 0xa6770bb4),
	ALL(0x533b85da, 0x299dc2ed, 0xf9766256, 0x7cbb312b, 0xd3e51bb5, 0x844a0efa, 0x4225077d, 0xccaa009e),
};
/* clang-format on */

uint32_t crc_of(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0U;
	uint64_t w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, sizeof(w));
		w = le64toh(w) ^ crc;
		crc = table[7][w & 0xff] ^ table[6][w >> 8 & 0xff] ^ table[5][w >> 16 & 0xff] ^
		      table[4][w >> 24 & 0xff] ^ table[3][w >> 32 & 0xff] ^
		      table[2][w >> 40 & 0xff] ^ table[1][w >> 48 & 0xff] ^ table[0][w >> 56];
	}
	while (len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}
