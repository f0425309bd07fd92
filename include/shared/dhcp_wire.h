#pragma once
/*
 * Numbers of the DHCP wire format that the kernel program and the daemon share.
 * Spec: RFC 951, RFC 2131 §2, RFC 2132.
 */
#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_FIXED_LEN 236 /* op .. file */
#define DHCP_COOKIE 0x63825363u
#define DHCP_OPTIONS_OFF 240
#define DHCP_OFF_HTYPE 1
#define DHCP_OFF_HLEN 2
#define DHCP_OFF_XID 4
#define DHCP_OFF_SECS 8
#define DHCP_OFF_FLAGS 10
#define DHCP_OFF_CIADDR 12
#define DHCP_OFF_GIADDR 24
#define DHCP_OFF_CHADDR 28
#define DHCP_OFF_SNAME 44
#define DHCP_SNAME_LEN 64
#define DHCP_OFF_FILE 108
#define DHCP_FILE_LEN 128
#define DHCP_MIN_REPLY 300
#define DHCP_BROADCAST_FLAG 0x8000
#define DHCP_MIN_DATAGRAM 576 /* every client takes an IP datagram of this size (RFC 2131 §2) */
#define DHCP_IP_UDP_LEN 28
#define DHCP_OVERLOAD_FILE 1 /* bits of option 52 */
#define DHCP_OVERLOAD_SNAME 2

#define BOOTREQUEST 1
#define BOOTREPLY 2

enum dhcp_type {
	DHCPDISCOVER = 1,
	DHCPOFFER = 2,
	DHCPREQUEST = 3,
	DHCPDECLINE = 4,
	DHCPACK = 5,
	DHCPNAK = 6,
	DHCPRELEASE = 7,
	DHCPINFORM = 8,
};

enum dhcp_option_code {
	DHO_PAD = 0,
	DHO_SUBNET_MASK = 1,
	DHO_ROUTERS = 3,
	DHO_DOMAIN_NAME_SERVERS = 6,
	DHO_HOST_NAME = 12,
	DHO_DOMAIN_NAME = 15,
	DHO_INTERFACE_MTU = 26,
	DHO_BROADCAST_ADDRESS = 28,
	DHO_STATIC_ROUTES = 33,
	DHO_NTP_SERVERS = 42,
	DHO_REQUESTED_ADDRESS = 50,
	DHO_LEASE_TIME = 51,
	DHO_OVERLOAD = 52,
	DHO_MESSAGE_TYPE = 53,
	DHO_SERVER_ID = 54,
	DHO_PARAMETER_LIST = 55,
	DHO_MESSAGE = 56,
	DHO_MAX_MESSAGE_SIZE = 57,
	DHO_RENEWAL_TIME = 58,
	DHO_REBINDING_TIME = 59,
	DHO_CLIENT_ID = 61,
	DHO_RELAY_AGENT = 82,
	DHO_SUBNET_SELECTION = 118,
	DHO_CLASSLESS_ROUTES = 121,
	DHO_END = 255,
};

#define RELAY_CIRCUIT_ID 1
#define RELAY_REMOTE_ID 2
#define RELAY_LINK_SELECTION 5
#define RELAY_SOURCE_PORT 19 /* RFC 8357 */

/* A client that writes secs in the wrong byte order: above 255 with an empty low octet. */
static inline unsigned short dhcp_secs_repair(unsigned short secs)
{
	return secs > 255 && !(secs & 255) ? (unsigned short)(secs >> 8) : secs;
}
