/*
 * Fuzzer of the IPv4 and UDP headers that a packet socket hands over unchecked. The first octet
 * says whether the kernel vouched for the checksum. The payload lies within the input.
 */
#include <stdlib.h>
#include "net/ip_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct octets payload;
	struct ip_udp h;

	if (!size || ip_udp_read(data + 1, size - 1, data[0] & 1, &h, &payload) != IP_UDP_OK)
		return 0;
	if (payload.p < data + 1 + IP_UDP_LEN || payload.p + payload.len > data + size)
		abort();
	return 0;
}
