#pragma once
/* The check behind everything on disk: CRC-32 (ISO 3309, as zlib's), made for records of some dozen
 * octets, of which a start reads a million. */
#include <stddef.h>
#include <stdint.h>

uint32_t lease_check(const void *p, size_t len);
