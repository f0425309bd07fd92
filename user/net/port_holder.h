#pragma once
/* Who holds a UDP port: for the one error that an operator can only mend by knowing it. */
#include <stddef.h>
#include <stdint.h>

/**
 * port_holder_name - "dnsmasq (pid 1234)"
 * @buf: always written; where nobody is found it says so
 */
void port_holder_name(uint16_t port, char *buf, size_t size);
