/*
 * The filters that split the traffic of an interface between its sockets. They ask two questions.
 * Is it sent to 255.255.255.255 with giaddr 0? Then a packet socket hears it, else a UDP socket
 * (decision D1). Can it wait, being a DISCOVER or an INFORM? These have sockets of their own: when
 * more comes than can be answered, DISCOVERs fill their own queue, and the kernel drops what does
 * not fit in, which costs us nothing, while a client that holds an address, or was offered one,
 * finds the other queue empty. Each packet is heard exactly once.
 *
 * Called by dhcp_io_sockets.c.
 * Spec: RFC 2131 §4.1; packet(7), ip(7), socket(7) (SO_ATTACH_REUSEPORT_CBPF).
 */
#include <linux/filter.h>
#include "net/dhcp_io_priv.h"

#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (at))
#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
/* relative to register X, which says where the BOOTP message begins */
#define MESSAGE_AT(x) BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, (x))
#define MESSAGE_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_IND, (at))
#define MESSAGE_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_IND, (at))
#define MESSAGE_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_IND, (at))
#define IF_EQUAL(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), (yes), (no))
#define IF_AT_LEAST(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (v), (yes), (no))
#define IF_ANY_BIT(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (v), (yes), (no))
#define ANSWER(n) BPF_STMT(BPF_RET | BPF_K, (n))
#define WHOLE 0xffffffff
#define NOTHING 0
#define IP_AT(off) ((uint32_t)SKF_NET_OFF + (off))
#define UDP_HEAD 8
#define TYPE_AT (DHCP_OPTIONS_OFF + 2)

/* The answer by the message's type. Clients send it first of all options; whose message has it
 * elsewhere, or is too short for it (a load beyond the end would drop it), does not wait. */
#define BY_KIND(discovers, requests)                                                               \
	BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),             \
		IF_AT_LEAST(TYPE_AT + 1, 0, 5), MESSAGE_HALF(DHCP_OPTIONS_OFF),                    \
		IF_EQUAL(DHO_MESSAGE_TYPE << 8 | 1, 0, 3), MESSAGE_BYTE(TYPE_AT),                  \
		IF_EQUAL(DHCPDISCOVER, 2, 0), IF_EQUAL(DHCPINFORM, 1, 0), ANSWER(requests),        \
		ANSWER(discovers)

#define PROGRAM(code) ((struct sock_fprog){ sizeof(code) / sizeof((code)[0]), (code) })

/* A packet socket without link header: the IP header is at 0. */
int io_filter_packets(int fd, enum dhcp_io_kind kind)
{
	bool discovers = kind == DHCP_IO_DISCOVERS;
	struct sock_filter code[] = {
		LOAD_BYTE((uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE),
		IF_AT_LEAST(PACKET_OTHERHOST, 14, 0), /* and OUTGOING */
		LOAD_BYTE(9),
		IF_EQUAL(IPPROTO_UDP, 0, 12),
		LOAD_HALF(6),
		IF_ANY_BIT(0x3fff, 10, 0), /* a fragment */
		LOAD_WORD(16),
		IF_EQUAL(INADDR_BROADCAST, 0, 8),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X = length of the IP header */
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		IF_EQUAL(DHCP_SERVER_PORT, 0, 5),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, UDP_HEAD),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		MESSAGE_WORD(DHCP_OFF_GIADDR),
		IF_EQUAL(0, 1, 0),
		ANSWER(NOTHING),
		BY_KIND(discovers ? WHOLE : NOTHING, discovers ? NOTHING : WHOLE),
	};
	struct sock_fprog prog = PROGRAM(code);

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* A UDP socket: the UDP header is at 0, the IP header by its own base. A broadcast comes to both
 * sockets of the port, so each has to know what is its own. */
int io_filter_udp(int fd, enum dhcp_io_kind kind)
{
	bool discovers = kind == DHCP_IO_DISCOVERS;
	struct sock_filter code[] = {
		MESSAGE_AT(UDP_HEAD),
		LOAD_WORD(IP_AT(16)),
		IF_EQUAL(INADDR_BROADCAST, 0, 3),
		MESSAGE_WORD(DHCP_OFF_GIADDR),
		IF_EQUAL(0, 0, 1),
		ANSWER(NOTHING),
		BY_KIND(discovers ? WHOLE : NOTHING, discovers ? NOTHING : WHOLE),
	};
	struct sock_fprog prog = PROGRAM(code);

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* Which socket of the port a unicast goes to: the number in order of binding. The message is at 0.
 */
int io_sort_udp(int fd)
{
	struct sock_filter code[] = {
		MESSAGE_AT(0),
		BY_KIND(DHCP_IO_DISCOVERS, DHCP_IO_REQUESTS),
	};
	struct sock_fprog prog = PROGRAM(code);

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog));
}
