#pragma once
/*
 * Replies: a decision of core/server becomes octets. RFC 2131 §4.3.1 table 3; RFC 3046 §2.1 (relay
 * information echoed last); RFC 6842 (client identifier echoed); RFC 3442; options in the order of
 * the client's parameter request list, what does not fit goes into file and sname (overload) or is
 * left out, never the mandatory ones.
 */
#include "core/dhcp_msg.h"
#include "core/scope.h"

struct dhcp_reply {
	uint8_t type;			  /* DHCPOFFER, DHCPACK, DHCPNAK */
	uint32_t yiaddr;		  /* 0 in NAK and in the ACK of an INFORM */
	uint32_t ciaddr;		  /* copied in ACK of renewals */
	uint32_t server_id;		  /* option 54 and nothing else tells who answered */
	uint32_t lease, renew, rebind;	  /* sec; lease 0: no lease times (INFORM, NAK) */
	const struct option_set *options; /* NULL in NAK */
	const char *message;		  /* option 56 in NAK; may be NULL */
};

/**
 * dhcp_reply_encode - octets of the BOOTP message (no UDP header)
 * @buf: @size octets; @mtu_payload: largest UDP payload that the way out carries
 *
 * Mandatory are 53, 54, the lease times, what is echoed (61, 82, and 118 by RFC 3011), and
 * nothing of r->options: of these the client gets what it listed in option 55, all where it sent
 * no list. Option 57 counts as the client's IP datagram, at least 576.
 *
 * Return: length, at least 300 (old relays); 0 when the mandatory options do not fit.
 */
size_t dhcp_reply_encode(const struct dhcp_msg *req, const struct dhcp_reply *r, uint8_t *buf,
			 size_t size, size_t mtu_payload);

/**
 * dhcp_reply_shorten - take @sec from the lease times (options 51, 58, 59) of an encoded reply
 * @msg: @len octets from dhcp_reply_encode; one without lease times stays as it is
 *
 * A lease ends when it was decided to end. A client counts from when it asked, which may have been
 * again while the reply waited (RFC 2131 §4.4.1), so that has to hear of the time that is left. An
 * infinite lease stays infinite; T1 and T2 do not become 0.
 *
 * Return: false when nothing is left of the lease: the reply would promise what is over.
 */
bool dhcp_reply_shorten(uint8_t *msg, size_t len, uint32_t sec);

/* Where the reply goes, RFC 2131 §4.1: giaddr, then a NAK to all, then ciaddr, then by the
 * broadcast flag. A client whose hardware address is not six octets long or who gets no address
 * (INFORM without ciaddr) cannot be reached by its own frame and is answered by broadcast. */
enum dhcp_way { DHCP_TO_RELAY, DHCP_TO_CIADDR, DHCP_TO_CHADDR, DHCP_BROADCAST };
struct dhcp_dest {
	enum dhcp_way way;
	uint32_t addr; /* host order: giaddr, ciaddr, yiaddr or 255.255.255.255 */
	uint16_t port; /* 67 to a relay, else 68 */
};
struct dhcp_dest dhcp_reply_dest(const struct dhcp_msg *req, const struct dhcp_reply *r);
