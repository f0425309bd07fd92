/*
 * net/dhcp_io on real interfaces: a veth pair between two network namespaces of its own, "server"
 * with veth0 (10.9.0.1) and "field" with veth1, where clients and relays are played and the
 * replies are watched as frames. Needs root.
 *
 * That a packet is heard once, or never, is shown by what follows it: each socket is a queue, so
 * when a later packet has come out of every socket, all of the earlier one has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/dhcp_field.h"

/* --- hearing
 * ---------------------------------------------------------------------------------------- */

enum spoil {
	NOTHING_SPOILT,
	UDP_SUM_WRONG,
	UDP_SUM_ZERO,
	IP_SUM_WRONG,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
	PORT_68,
	NOT_UDP,
	OTHER_MAC,
	TAGGED_7,
	TAGGED_0,
	PADDED,
	WITH_IP_OPTIONS,
	CUT_IN_HEADER,
	UDP_LEN_TOO_LARGE,
};

static void insert(struct frame *f, size_t at, const void *p, size_t n)
{
	memmove(f->buf + at + n, f->buf + at, f->len - at);
	memcpy(f->buf + at, p, n);
	f->len += n;
}

static void spoil_ip(struct frame *f, size_t at, uint8_t v)
{
	f->buf[14 + at] = v;
	ip_sum_again(f);
}

static void spoil_frame(struct frame *f, enum spoil s)
{
	switch (s) {
	case NOTHING_SPOILT:
		break;
	case UDP_SUM_WRONG:
		f->buf[40] ^= 0x55;
		break;
	case UDP_SUM_ZERO:
		f->buf[40] = f->buf[41] = 0;
		break;
	case IP_SUM_WRONG:
		f->buf[24] ^= 0x55;
		break;
	case FRAGMENT_FIRST:
		spoil_ip(f, 6, 0x20);
		break;
	case FRAGMENT_LATER:
		spoil_ip(f, 7, 8);
		break;
	case PORT_68:
		f->buf[37] = 68;
		f->buf[40] = f->buf[41] = 0;
		break;
	case NOT_UDP:
		spoil_ip(f, 9, 6);
		break;
	case OTHER_MAC:
		memcpy(f->buf, "\x02\x11\x22\x33\x44\x55", 6);
		break;
	case TAGGED_7:
		insert(f, 12, "\x81\x00\x00\x07", 4);
		break;
	case TAGGED_0:
		insert(f, 12, "\x81\x00\xe0\x00", 4);
		break;
	case PADDED:
		memset(f->buf + f->len, 0xaa, 40);
		f->len += 40;
		break;
	case WITH_IP_OPTIONS: /* four no-operations */
		insert(f, 34, "\x01\x01\x01\x01", 4);
		f->buf[14] = 0x46;
		f->buf[17] += 4; /* does not carry: the message is short */
		ip_sum_again(f);
		break;
	case CUT_IN_HEADER:
		f->len = 14 + IP_UDP_LEN + DHCP_OFF_GIADDR + 2;
		break;
	case UDP_LEN_TOO_LARGE:
		f->buf[38] = 8;
		break;
	}
}

static const struct {
	const char *ref, *given;
	uint32_t dest, giaddr;
	enum spoil spoil;
	unsigned want; /* times heard */
	bool by_packet_socket;
	uint32_t want_dest;
} rows[] = {
	{ "D1", "a client's broadcast", ALL, 0, 0, 1, true, 0 },
	{ "D1", "a relay's broadcast", ALL, RELAY, 0, 1, false, 0 },
	{ "D1", "a client's unicast", SERVER, 0, 0, 1, false, SERVER },
	{ "D1", "a relay's unicast", SERVER, RELAY, 0, 1, false, SERVER },
	{ "D2", "to our second address", SERVER2, RELAY, 0, 1, false, SERVER2 },
	{ "D1", "to the subnet's broadcast", SUBNET_ALL, 0, 0, 1, false, 0 },
	{ "D1", "to somebody else", NOBODY, RELAY, 0, 0, false, 0 },
	{ "D3", "broadcast, UDP checksum wrong", ALL, 0, UDP_SUM_WRONG, 0, true, 0 },
	{ "D3", "unicast, UDP checksum wrong", SERVER, RELAY, UDP_SUM_WRONG, 0, false, 0 },
	{ "D3", "broadcast, not summed", ALL, 0, UDP_SUM_ZERO, 1, true, 0 },
	{ "D3", "unicast, not summed", SERVER, RELAY, UDP_SUM_ZERO, 1, false, SERVER },
	{ "791", "broadcast, IP checksum wrong", ALL, 0, IP_SUM_WRONG, 0, true, 0 },
	{ "791", "a first fragment", ALL, 0, FRAGMENT_FIRST, 0, true, 0 },
	{ "791", "a later fragment", ALL, 0, FRAGMENT_LATER, 0, true, 0 },
	{ "2131", "to the client's port", ALL, 0, PORT_68, 0, true, 0 },
	{ "791", "not UDP", ALL, 0, NOT_UDP, 0, true, 0 },
	{ "D1", "broadcast in another's frame", ALL, 0, OTHER_MAC, 0, true, 0 },
	{ "B2", "tagged for VLAN 7", ALL, 0, TAGGED_7, 0, true, 0 },
	{ "802.1Q", "tagged with a priority alone", ALL, 0, TAGGED_0, 1, true, 0 },
	{ "802.3", "padding behind the datagram", ALL, 0, PADDED, 1, true, 0 },
	{ "791", "with IP options", ALL, 0, WITH_IP_OPTIONS, 1, true, 0 },
	{ "2131", "cut within the fixed header", ALL, 0, CUT_IN_HEADER, 0, true, 0 },
	{ "768", "longer than its packet", ALL, 0, UDP_LEN_TOO_LARGE, 0, true, 0 },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void check_row(unsigned i)
{
	struct frame sent = frame_of(rows[i].dest, rows[i].giaddr, 100 + i);
	const struct heard *h;

	if (count_of(100 + i) != rows[i].want)
		fail_msg("%s, %s: heard %u times", rows[i].ref, rows[i].given, count_of(100 + i));
	if (!rows[i].want)
		return;
	h = find(100 + i);
	assert_int_equal(h->d.by_packet_socket, rows[i].by_packet_socket);
	assert_int_equal(h->d.dest, rows[i].want_dest);
	assert_int_equal(h->d.src, source_of(rows[i].dest, rows[i].giaddr));
	assert_int_equal(h->d.src_port, rows[i].giaddr ? 67 : 68);
	assert_int_equal(h->d.iface, 0);
	assert_int_equal(h->d.ifindex, dhcp_io_ifindex(io, 0));
	assert_in_range(dhcp_datagram_age_us(&h->d), 0, 5000000);
	assert_int_equal(h->d.len, sent.len - 14 - IP_UDP_LEN);
	assert_memory_equal(h->payload, sent.buf + 14 + IP_UDP_LEN, h->d.len);
}

static void test_heard_once(void **state)
{
	(void)state;
	open_io();
	for (unsigned i = 0; i < N_ROWS; i++) {
		struct frame f = frame_of(rows[i].dest, rows[i].giaddr, 100 + i);

		spoil_frame(&f, rows[i].spoil);
		send_frame(&f);
	}
	hear_all();
	for (unsigned i = 0; i < N_ROWS; i++)
		check_row(i);
	assert_int_equal(dhcp_io_counters(io)->bad_checksum, 1); /* the kernel counts the other */
	assert_int_equal(dhcp_io_counters(io)->bad_ip, 2);
	assert_int_equal(dhcp_io_counters(io)->heard, n_heard);
}

/* Decision D3: over veth the kernel leaves the checksum of its own UDP to the receiver's card. */
static void test_not_yet_summed(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(67),
				  .sin_addr.s_addr = INADDR_BROADCAST };
	struct frame f = frame_of(ALL, 0, 7);
	int fd, on = 1;

	(void)state;
	open_io();
	enter(field_ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enter(server_ns);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "veth1", 5), 0);
	assert_true(sendto(fd, f.buf + 42, f.len - 42, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	close(fd);
	hear_all();
	assert_int_equal(count_of(7), 1);
	assert_int_equal(dhcp_io_counters(io)->bad_checksum, 0);
}

static void test_too_long(void **state)
{
	static uint8_t big[4000];
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(67),
				  .sin_addr.s_addr = htonl(SERVER) };
	int fd;

	(void)state;
	open_io();
	enter(field_ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enter(server_ns);
	assert_int_equal(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)), 4000);
	close(fd);
	hear_all();
	assert_int_equal(n_heard, 4);
	assert_int_equal(dhcp_io_counters(io)->too_long, 1);
}

/* Decision A19: time in the kernel's queue counts. */
static void test_age(void **state)
{
	struct timespec t = { 0, 60 * 1000 * 1000 };

	(void)state;
	open_io();
	send_plain(ALL, 0, 1);
	send_plain(SERVER, RELAY, 2);
	nanosleep(&t, NULL);
	hear_all();
	assert_in_range(find(1)->d.age_us, 60000, 5000000);
	assert_in_range(find(2)->d.age_us, 60000, 5000000);
}

static void test_more_than_a_batch(void **state)
{
	static struct dhcp_datagram batch[2 * DHCP_IO_BATCH];
	int fds[8], most = 0;

	(void)state;
	open_io();
	for (unsigned i = 0; i < 150; i++)
		send_plain(ALL, 0, 1000 + i);
	assert_int_equal(dhcp_io_fds(io, fds, 8), 4);
	assert_int_equal(dhcp_io_fds(io, fds, 1), 1);
	(void)dhcp_io_fds(io, fds, 8);
	for (unsigned i = 0; i < 4; i++) {
		int got = dhcp_io_receive(io, fds[i], batch, 2 * DHCP_IO_BATCH);

		most = got > most ? got : most;
		for (int k = 0; k < got; k++)
			note(&batch[k], dhcp_io_kind_of(io, fds[i]));
	}
	assert_int_equal(most, DHCP_IO_BATCH);
	hear_all();
	for (unsigned i = 0; i < 150; i++)
		assert_int_equal(count_of(1000 + i), 1);
	assert_int_equal(dhcp_io_receive(io, fds[0], batch, 1), 0);
	assert_int_equal(dhcp_io_receive(io, 9999, batch, 1), -EBADF);
}

/* --- sending
 * ---------------------------------------------------------------------------------------- */

static void check_frame(const struct frame *f, const uint8_t *mac, uint32_t src, uint32_t dest,
			uint16_t port, size_t len)
{
	unsigned pseudo = 17 + 8 + (unsigned)len;

	assert_memory_equal(f->buf, mac, 6);
	assert_memory_equal(f->buf + 6, server_mac, 6);
	assert_int_equal(f->buf[14], 0x45);
	assert_int_equal(be16(f->buf + 16), IP_UDP_LEN + len);
	assert_int_equal(ones_sum(f->buf + 14, 20, 0), 0xffff);
	assert_int_equal(be32(f->buf + 26), src);
	assert_int_equal(be32(f->buf + 30), dest);
	assert_int_equal(be16(f->buf + 34), 67);
	assert_int_equal(be16(f->buf + 36), port);
	assert_int_equal(be16(f->buf + 38), 8 + len);
	assert_int_not_equal(be16(f->buf + 40), 0);
	assert_int_equal(ones_sum(f->buf + 26, 8 + 8 + len, pseudo), 0xffff);
}

static void test_four_ways(void **state)
{
	static const uint8_t chaddr[6] = { 2, 0, 0, 0, 0, 5 };
	static const struct {
		uint32_t giaddr, ciaddr, came_to;
		uint16_t flags, port;
		const uint8_t *mac;
		uint32_t src, dest;
	} row[] = {
		{ RELAY, 0, SERVER2, 0, 67, field_mac, SERVER2, RELAY },
		{ RELAY, 0, 0, 0, 67, field_mac, SERVER, RELAY },
		{ 0, CLIENT, SERVER2, 0, 68, field_mac, SERVER, CLIENT },
		{ 0, 0, 0, 0, 68, chaddr, SERVER, 0x0a090040 },
		{ 0, 0, 0, DHCP_BROADCAST_FLAG, 68, all_mac, SERVER, ALL },
	};
	uint8_t payload[DHCP_IO_PAYLOAD_MAX];

	(void)state;
	open_io();
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]) * 4; i++) {
		unsigned k = i % 5, len = (unsigned[]){ 300, 301, 576, DHCP_IO_PAYLOAD_MAX }[i / 5];
		struct dhcp_msg req = { .giaddr = row[k].giaddr,
					.ciaddr = row[k].ciaddr,
					.flags = row[k].flags,
					.hlen = 6 };
		struct dhcp_reply r = { .type = DHCPACK,
					.yiaddr = 0x0a090040,
					.server_id = SERVER };
		struct dhcp_datagram in = { .dest = row[k].came_to, .src_port = 67 };
		struct dhcp_io_dest d;
		struct frame f;

		memcpy(req.chaddr, chaddr, 6);
		d = dhcp_io_dest_for(&in, &req, &r);
		assert_true(dhcp_io_send(io, &d, payload, len));
		dhcp_io_flush(io);
		f = see_reply();
		check_frame(&f, row[k].mac, row[k].src, row[k].dest, row[k].port, len);
		assert_memory_equal(f.buf + 42, payload, len);
	}
	assert_int_equal(dhcp_io_counters(io)->sent, 20);
	assert_int_equal(dhcp_io_counters(io)->not_sent, 0);
}

/* RFC 8357: a relay that sends its own port in sub-option 19 is answered there. */
static void test_relay_port(void **state)
{
	static struct dhcp_build b;
	struct dhcp_datagram in = { .dest = SERVER, .src_port = 5067 };
	struct dhcp_reply r = { .type = DHCPOFFER, .server_id = SERVER };
	struct dhcp_msg m;

	(void)state;
	for (unsigned asks = 0; asks < 2; asks++) {
		db_init(&b, 5);
		db_put32(&b, DHCP_OFF_GIADDR, RELAY);
		db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
		if (asks)
			db_opt(&b, DHO_RELAY_AGENT, "\x13\x00", 2);
		assert_int_equal(dhcp_msg_decode(b.buf, db_done(&b), &m), DHCP_OK);
		assert_int_equal(dhcp_io_dest_for(&in, &m, &r).port, asks ? 5067 : 67);
	}
}

/* A batch of mixed ways leaves whole, in order per way, and more than one queue's worth. */
static void test_batch(void **state)
{
	unsigned seen[2] = { 0, 0 };

	(void)state;
	open_io();
	for (unsigned i = 0; i < 150; i++) {
		struct dhcp_io_dest d = { .way = i & 1 ? DHCP_TO_RELAY : DHCP_BROADCAST,
					  .src = SERVER,
					  .addr = i & 1 ? RELAY : ALL,
					  .port = i & 1 ? 67 : 68 };
		uint8_t payload[300] = { (uint8_t)(i / 2) };

		memset(d.mac, 0xff, 6);
		assert_true(dhcp_io_send(io, &d, payload, sizeof(payload)));
	}
	dhcp_io_flush(io);
	for (unsigned i = 0; i < 150; i++) {
		struct frame f = see_reply();
		unsigned way = be16(f.buf + 36) == 67;

		assert_int_equal(f.buf[42], seen[way]);
		seen[way]++;
	}
	assert_int_equal(seen[0], 75);
	assert_int_equal(seen[1], 75);
	assert_int_equal(dhcp_io_counters(io)->sent, 150);
	dhcp_io_flush(io); /* nothing twice */
	assert_int_equal(dhcp_io_counters(io)->sent, 150);
}

/* Decision D2: a missing ARP answer never holds up a batch, nor does a route that is missing. */
static void test_unanswered_arp(void **state)
{
	struct dhcp_io_dest nobody = { DHCP_TO_RELAY, 0, SERVER, NOBODY, 67, { 0 } };
	struct dhcp_io_dest nowhere = { DHCP_TO_RELAY, 0, SERVER, 0xc0000201, 67, { 0 } };
	struct dhcp_io_dest relay = { DHCP_TO_RELAY, 0, SERVER, RELAY, 67, { 0 } };
	uint8_t payload[DHCP_IO_PAYLOAD_MAX] = { 0 };
	struct frame f;

	(void)state;
	open_io();
	for (unsigned i = 0; i < 1000; i++)
		assert_true(dhcp_io_send(io, &nobody, payload, sizeof(payload)));
	assert_true(dhcp_io_send(io, &nowhere, payload, sizeof(payload)));
	assert_true(dhcp_io_send(io, &relay, payload, 300));
	dhcp_io_flush(io);
	f = see_reply();
	check_frame(&f, field_mac, SERVER, RELAY, 67, 300);
	assert_int_equal(dhcp_io_counters(io)->not_sent, 1);
}

static void test_refused(void **state)
{
	static uint8_t payload[DHCP_IO_PAYLOAD_MAX + 1];
	struct dhcp_io_dest d = { DHCP_BROADCAST, 0, SERVER, ALL, 68, { 0 } };

	(void)state;
	open_io();
	assert_false(dhcp_io_send(io, &d, payload, sizeof(payload)));
	d.iface = 1;
	assert_false(dhcp_io_send(io, &d, payload, 300));
	assert_int_equal(dhcp_io_counters(io)->not_sent, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_heard_once, close_io),
		cmocka_unit_test_teardown(test_not_yet_summed, close_io),
		cmocka_unit_test_teardown(test_too_long, close_io),
		cmocka_unit_test_teardown(test_age, close_io),
		cmocka_unit_test_teardown(test_more_than_a_batch, close_io),
		cmocka_unit_test_teardown(test_four_ways, close_io),
		cmocka_unit_test_teardown(test_relay_port, close_io),
		cmocka_unit_test_teardown(test_batch, close_io),
		cmocka_unit_test_teardown(test_unanswered_arp, close_io),
		cmocka_unit_test_teardown(test_refused, close_io),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs root: no network namespace of its own (%s)\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
