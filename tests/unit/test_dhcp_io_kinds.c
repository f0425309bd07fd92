/*
 * net/dhcp_io: DISCOVERs and INFORMs have queues of their own, so that whatever comes of them, all
 * else finds room; and what found none is counted by kind. On a veth pair, as in test_dhcp_io.
 * Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/dhcp_field.h"

enum layout {
	TYPE_FIRST,
	TYPE_SECOND, /* behind the client's identifier */
	TYPE_LONG,   /* two octets long, which is no type */
	NO_TYPE,
	NO_OPTIONS, /* the message ends with the cookie */
	CUT_BEFORE_TYPE,
	NO_COOKIE, /* it ends with the fixed fields */
};

static const struct {
	const char *given;
	enum layout layout;
	uint8_t type;
	enum dhcp_io_kind want;
} rows[] = {
	{ "DISCOVER", TYPE_FIRST, DHCPDISCOVER, DHCP_IO_DISCOVERS },
	{ "INFORM", TYPE_FIRST, DHCPINFORM, DHCP_IO_DISCOVERS },
	{ "REQUEST", TYPE_FIRST, DHCPREQUEST, DHCP_IO_REQUESTS },
	{ "DECLINE", TYPE_FIRST, DHCPDECLINE, DHCP_IO_REQUESTS },
	{ "RELEASE", TYPE_FIRST, DHCPRELEASE, DHCP_IO_REQUESTS },
	{ "a type that nobody knows", TYPE_FIRST, 200, DHCP_IO_REQUESTS },
	{ "DISCOVER, not its first option", TYPE_SECOND, DHCPDISCOVER, DHCP_IO_REQUESTS },
	{ "REQUEST, not its first option", TYPE_SECOND, DHCPREQUEST, DHCP_IO_REQUESTS },
	{ "a type of two octets", TYPE_LONG, DHCPDISCOVER, DHCP_IO_REQUESTS },
	{ "BOOTP", NO_TYPE, 0, DHCP_IO_REQUESTS },
	{ "no option at all", NO_OPTIONS, 0, DHCP_IO_REQUESTS },
	{ "cut before the type", CUT_BEFORE_TYPE, DHCPDISCOVER, DHCP_IO_REQUESTS },
	{ "no cookie", NO_COOKIE, 0, DHCP_IO_REQUESTS },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct {
	uint32_t dest, giaddr;
	const char *name;
} ways[] = {
	{ ALL, 0, "a client's broadcast" },
	{ ALL, RELAY, "a relay's broadcast" },
	{ SUBNET_ALL, 0, "a broadcast to the subnet" },
	{ SERVER, 0, "a client's unicast" },
	{ SERVER, RELAY, "a relay's unicast" },
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static size_t put_options(struct dhcp_build *b, enum layout layout, uint8_t type)
{
	if (layout == TYPE_SECOND)
		db_opt(b, DHO_CLIENT_ID, "\x01\x02\x03\x04\x05\x06\x07", 7);
	if (layout == TYPE_FIRST || layout == TYPE_SECOND || layout == CUT_BEFORE_TYPE)
		db_opt8(b, DHO_MESSAGE_TYPE, type);
	else if (layout == TYPE_LONG)
		db_opt16(b, DHO_MESSAGE_TYPE, (uint16_t)(type << 8));
	switch (layout) {
	case NO_OPTIONS:
		return DHCP_OPTIONS_OFF;
	case CUT_BEFORE_TYPE:
		return DHCP_OPTIONS_OFF + 2;
	case NO_COOKIE:
		return DHCP_FIXED_LEN;
	default:
		return db_done(b);
	}
}

static void send_row(unsigned way, unsigned row, uint32_t xid)
{
	static struct dhcp_build b;
	struct frame f;
	size_t len;

	db_init(&b, 5);
	db_put32(&b, DHCP_OFF_XID, xid);
	db_put32(&b, DHCP_OFF_GIADDR, ways[way].giaddr);
	len = put_options(&b, rows[row].layout, rows[row].type);
	f = frame_with(ways[way].dest, ways[way].giaddr, &b, len);
	send_frame(&f);
}

static void test_sorted(void **state)
{
	(void)state;
	open_io();
	for (unsigned w = 0; w < N_WAYS; w++)
		for (unsigned r = 0; r < N_ROWS; r++)
			send_row(w, r, 100 + w * N_ROWS + r);
	hear_all();
	for (unsigned w = 0; w < N_WAYS; w++) {
		for (unsigned r = 0; r < N_ROWS; r++) {
			uint32_t xid = 100 + w * N_ROWS + r;

			if (count_of(xid) != 1 || find(xid)->kind != rows[r].want)
				fail_msg("%s, %s: heard %u times, or in the wrong queue",
					 ways[w].name, rows[r].given, count_of(xid));
		}
	}
	dhcp_io_count_full(io);
	assert_int_equal(dhcp_io_counters(io)->full[DHCP_IO_REQUESTS], 0);
	assert_int_equal(dhcp_io_counters(io)->full[DHCP_IO_DISCOVERS], 0);
}

/* How many of @kind there are, in as many batches as it takes. */
static unsigned hear_kind(enum dhcp_io_kind kind)
{
	static struct dhcp_datagram batch[DHCP_IO_BATCH];
	unsigned n_fds, all = 0;
	int fds[8], got;

	n_fds = dhcp_io_fds(io, fds, 8);
	for (unsigned i = 0; i < n_fds; i++) {
		if (dhcp_io_kind_of(io, fds[i]) != kind)
			continue;
		while ((got = dhcp_io_receive(io, fds[i], batch, DHCP_IO_BATCH)) > 0)
			all += (unsigned)got;
	}
	return all;
}

/* A flood of DISCOVERs, one way, beside a few of all else in all ways. */
static void flood_open(uint32_t dest, uint32_t giaddr)
{
	unsigned discovers = 0, heard_of[DHCP_IO_KINDS];
	const struct dhcp_io_counts *c = dhcp_io_counters(io);
	uint64_t before = c->full[DHCP_IO_DISCOVERS];

	for (unsigned i = 0; i < 600; i++, discovers++)
		send_plain(dest, giaddr, i);
	for (unsigned w = 0; w < N_WAYS; w++)
		send_type(ways[w].dest, ways[w].giaddr, 1000 + w, DHCPREQUEST);
	/* the REQUESTs were sent last: with the last of them, all has arrived */
	heard_of[DHCP_IO_REQUESTS] = 0;
	for (unsigned ms = 0; heard_of[DHCP_IO_REQUESTS] < N_WAYS && ms < LIMIT_MS; ms++) {
		heard_of[DHCP_IO_REQUESTS] += hear_kind(DHCP_IO_REQUESTS);
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(heard_of[DHCP_IO_REQUESTS], N_WAYS);
	heard_of[DHCP_IO_DISCOVERS] = hear_kind(DHCP_IO_DISCOVERS);
	dhcp_io_count_full(io);
	assert_in_range(heard_of[DHCP_IO_DISCOVERS], 20, 400);
	discovers -= heard_of[DHCP_IO_DISCOVERS];
	assert_int_equal(c->full[DHCP_IO_DISCOVERS] - before, discovers);
	assert_int_equal(c->full[DHCP_IO_REQUESTS], 0);
	dhcp_io_count_full(io);
	assert_int_equal(c->full[DHCP_IO_DISCOVERS] - before, discovers);
}

static void flood(uint32_t dest, uint32_t giaddr)
{
	open_io_with(128 << 10);
	flood_open(dest, giaddr);
}

static void test_flood_by_relay(void **state)
{
	(void)state;
	flood(SERVER, RELAY);
}

static void test_flood_by_broadcast(void **state)
{
	(void)state;
	flood(ALL, 0);
}

/* Both UDP sockets are handed these, and the kernel counts those that a filter leaves to the other
 * beside those that found no room. */
static void test_flood_by_relays_broadcast(void **state)
{
	(void)state;
	flood(ALL, RELAY);
}

static void test_flood_to_the_subnet(void **state)
{
	(void)state;
	flood(SUBNET_ALL, RELAY);
}

/* Broadcasts that UDP never saw, here for the checksum of their IP header, hide no later loss. */
static void test_flood_behind_unseen(void **state)
{
	struct frame f = frame_of(ALL, 0, 1);
	const struct dhcp_io_counts *c;

	(void)state;
	f.buf[24] ^= 1;
	open_io_with(128 << 10);
	c = dhcp_io_counters(io);
	for (unsigned i = 0; i < 1000; i++)
		send_frame(&f);
	for (unsigned ms = 0; ms < LIMIT_MS; ms++) {
		(void)hear_kind(DHCP_IO_DISCOVERS);
		dhcp_io_count_full(io);
		if (c->bad_ip + c->full[DHCP_IO_DISCOVERS] == 1000)
			break;
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(c->bad_ip + c->full[DHCP_IO_DISCOVERS], 1000);
	dhcp_io_count_full(io);
	flood_open(SERVER, RELAY);
}

/* The port is shared between our own sockets alone: a second server finds it held. */
static void test_second_server(void **state)
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };
	struct dhcp_io *second = NULL;

	(void)state;
	open_io();
	assert_int_equal(dhcp_io_open(&c, &second, err), -EADDRINUSE);
	assert_non_null(strstr(err, "UDP port 67 on veth0 is held by"));
	assert_null(second);
	hear_all(); /* and the first did not notice */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sorted, close_io),
		cmocka_unit_test_teardown(test_flood_by_relay, close_io),
		cmocka_unit_test_teardown(test_flood_by_broadcast, close_io),
		cmocka_unit_test_teardown(test_flood_by_relays_broadcast, close_io),
		cmocka_unit_test_teardown(test_flood_to_the_subnet, close_io),
		cmocka_unit_test_teardown(test_flood_behind_unseen, close_io),
		cmocka_unit_test_teardown(test_second_server, close_io),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs root: no network namespace of its own (%s)\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
