#pragma once
/*
 * RFC 3074 load balancing: the hash and the one rule that says whether a server answers a client.
 * Compiled for the kernel program and for the daemon; no libc.
 */
#include "shared/xdp_abi.h"
