#pragma once
/* CRC-32 (ISO 3309, ITU-T V.42), as zlib has it. */
#include <stddef.h>
#include <stdint.h>

uint32_t crc_of(const uint8_t *p, size_t len);
