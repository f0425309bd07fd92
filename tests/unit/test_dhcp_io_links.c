/*
 * dhcp_io and its interfaces: ports that are taken, rights that are missing, interfaces and
 * addresses that come and go.
 *
 * Needs root: network namespaces of its own; skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/dhcp_field.h"

/* --- interfaces and addresses
 * ----------------------------------------------------------------------- */

static void test_port_taken(void **state)
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(67) };
	char want[64], octet;
	int ready[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		(void)prctl(PR_SET_NAME, "other-dhcpd");
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	assert_int_equal(dhcp_io_open(&c, &io, err), -EADDRINUSE);
	assert_null(io);
	snprintf(want, sizeof(want), "other-dhcpd (pid %d)", (int)pid);
	if (!strstr(err, want) || !strstr(err, "veth0"))
		fail_msg("%s", err);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
}

static bool keep_caps(const char *text)
{
	cap_t caps = cap_from_text(text);
	bool ok = caps && cap_set_proc(caps) == 0;

	cap_free(caps);
	return ok;
}

/* Both run in a child. Return: the step that failed, 0 none. */
static int refused_without_caps(const struct dhcp_io_conf *c)
{
	if (!keep_caps("="))
		return 1;
	return dhcp_io_open(c, &io, err) == -EPERM && strstr(err, "CAP_NET_RAW") ? 0 : 2;
}

static int live_with_two_caps(const struct dhcp_io_conf *c)
{
	struct dhcp_io_dest route = { DHCP_TO_RELAY, 0, SERVER, RELAY, 67, { 0 } };
	struct dhcp_io_dest frame = { DHCP_BROADCAST, 0, SERVER, ALL, 68, { 0 } };
	uint8_t payload[300] = { 0 };

	if (!keep_caps("cap_net_raw,cap_net_bind_service=ep") || dhcp_io_open(c, &io, err) < 0)
		return 1;
	if (dhcp_io_rescan(io) || !keep_caps("="))
		return 2;
	hear_all();
	if (!dhcp_io_send(io, &route, payload, 300) || !dhcp_io_send(io, &frame, payload, 300))
		return 3;
	dhcp_io_flush(io);
	return dhcp_io_counters(io)->sent == 2 ? 0 : 4;
}

static int in_child(int (*fn)(const struct dhcp_io_conf *))
{
	static const char *const dev[] = { "veth0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn(&c));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Two capabilities to open, none to hear and answer. */
static void test_capabilities(void **state)
{
	(void)state;
	n_heard = 0;
	assert_int_equal(in_child(live_with_two_caps), 0);
	assert_int_equal(in_child(refused_without_caps), 0);
}

static void test_bad_name(void **state)
{
	static const char *const dev[] = { "a-name-of-16-oct" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 1 };

	(void)state;
	assert_int_equal(dhcp_io_open(&c, &io, err), -EINVAL);
	assert_non_null(strstr(err, "a-name-of-16-oct"));
}

static void make_later(bool make)
{
	run(make ? "ip link add later0 type veth peer name later1 && ip link set later0 up && "
		   "ip link set later1 up && ip addr add 10.10.0.1/24 dev later0"
		 : "ip link del later0");
}

/* What comes in by later0, from its other end in the same namespace. */
static void hear_by_later(uint32_t xid)
{
	int before = watch;
	struct frame f = frame_of(ALL, 0, xid);

	watch = raw_socket("later1");
	send_frame(&f);
	close(watch);
	watch = before;
	while (!count_of(xid))
		hear_some();
	assert_int_equal(find(xid)->d.iface, 1);
	assert_int_equal(find(xid)->d.ifindex, if_nametoindex("later0"));
}

/* The lowest free descriptor tells whether one was left open. */
static int lowest_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void test_absent_interface(void **state)
{
	static const char *const dev[] = { "veth0", "later0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 2 };
	struct dhcp_io_dest d = { DHCP_BROADCAST, 1, SERVER, ALL, 68, { 0 } };
	uint8_t payload[300] = { 0 };
	int fds[16], lowest;

	(void)state;
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	lowest = lowest_fd();
	n_heard = 0;
	for (unsigned round = 0; round < 2; round++) {
		assert_false(dhcp_io_rescan(io));
		assert_int_equal(lowest_fd(), lowest); /* those of the gone device are closed */
		assert_int_equal(dhcp_io_fds(io, fds, 16), 4);
		assert_null(dhcp_io_problem(io, 0));
		assert_string_equal(dhcp_io_problem(io, 1), "absent");
		assert_int_equal(dhcp_io_ifindex(io, 1), 0);
		assert_int_equal(dhcp_io_address(io, 1, 0), 0);
		assert_false(dhcp_io_send(io, &d, payload, sizeof(payload)));
		make_later(true);
		assert_true(dhcp_io_rescan(io));
		assert_int_equal(dhcp_io_fds(io, fds, 16), 8);
		assert_null(dhcp_io_problem(io, 1));
		assert_int_equal(dhcp_io_address(io, 1, 0), 0x0a0a0001);
		hear_by_later(50 + round);
		assert_true(dhcp_io_send(io, &d, payload, sizeof(payload)));
		/* gone and back between two looks: another device of the same name */
		make_later(false);
		make_later(true);
		dhcp_io_flush(io);
		assert_true(dhcp_io_rescan(io));
		assert_int_equal(dhcp_io_fds(io, fds, 16), 8);
		hear_by_later(60 + round);
		make_later(false);
		assert_true(dhcp_io_rescan(io));
	}
	hear_all(); /* veth0 never noticed */
}

static int hold_port(const char *dev)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(67) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev)),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Another server was faster at the device that came back: the caller has to hear that our sockets
 * are gone all the same, since the next look closes them. */
static void test_port_taken_meanwhile(void **state)
{
	static const char *const dev[] = { "veth0", "later0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 2 };
	int fds[16], other;

	(void)state;
	make_later(true);
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	n_heard = 0;
	make_later(false);
	make_later(true);
	other = hold_port("later0");
	assert_true(dhcp_io_rescan(io));
	assert_int_equal(dhcp_io_fds(io, fds, 16), 4);
	assert_non_null(strstr(dhcp_io_problem(io, 1), "UDP port 67 on later0 is held by"));
	assert_false(dhcp_io_rescan(io));
	close(other);
	assert_true(dhcp_io_rescan(io));
	assert_null(dhcp_io_problem(io, 1));
	hear_by_later(70);
	make_later(false);
}

/* A device that was lent to a container comes back with the number it had; packet sockets do not
 * follow it there and back. */
static void test_same_number_again(void **state)
{
	static const char *const dev[] = { "veth0", "later0" };
	struct dhcp_io_conf c = { .interfaces = dev, .n_interfaces = 2 };
	char again[160];

	(void)state;
	make_later(true);
	assert_int_equal(dhcp_io_open(&c, &io, err), 0);
	n_heard = 0;
	hear_by_later(80);
	snprintf(again, sizeof(again),
		 "ip link add later0 index %u type veth peer name later1 && "
		 "ip addr add 10.10.0.1/24 dev later0 && ip link set later0 up && "
		 "ip link set later1 up",
		 if_nametoindex("later0"));
	make_later(false);
	run(again);
	assert_true(dhcp_io_rescan(io)); /* forgotten */
	assert_true(dhcp_io_rescan(io)); /* opened anew */
	assert_null(dhcp_io_problem(io, 1));
	assert_false(dhcp_io_rescan(io));
	hear_by_later(81);
	make_later(false);
}

static void test_addresses(void **state)
{
	(void)state;
	open_io();
	assert_int_equal(dhcp_io_address(io, 0, 0), SERVER);
	assert_int_equal(dhcp_io_address(io, 0, 1), SERVER2);
	assert_int_equal(dhcp_io_address(io, 0, 2), 0);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090100, 24), SERVER2);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090000, 16), SERVER);
	assert_int_equal(dhcp_io_address_in(io, 0, 0, 0), SERVER);
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0);
	assert_int_equal(dhcp_io_address_in(io, 0, SERVER2, 32), SERVER2);
	assert_false(dhcp_io_rescan(io));
	run("ip addr add 10.9.2.1/24 dev veth0 label veth0:x");
	assert_true(dhcp_io_rescan(io));
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0x0a090201);
	run("ip addr del 10.9.2.1/24 dev veth0");
	assert_true(dhcp_io_rescan(io));
	assert_int_equal(dhcp_io_address_in(io, 0, 0x0a090200, 24), 0);
	assert_int_equal(dhcp_io_payload_max(io, 0), DHCP_IO_PAYLOAD_MAX);
	run("ip link set veth0 mtu 1000");
	(void)dhcp_io_rescan(io);
	assert_int_equal(dhcp_io_payload_max(io, 0), 1000 - IP_UDP_LEN);
	run("ip link set veth0 mtu 1500");
	(void)dhcp_io_rescan(io);
}

/* A link that is down and comes up again is heard without any help. */
static void test_link_down_and_up(void **state)
{
	struct dhcp_datagram d[4];
	int fds[8];

	(void)state;
	open_io();
	run("ip link set veth0 down");
	(void)dhcp_io_fds(io, fds, 8);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(dhcp_io_receive(io, fds[i], d, 4), 0);
	assert_int_equal(dhcp_io_fds(io, fds, 8), 4);
	run("ip link set veth0 up");
	hear_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_port_taken, close_io),
		cmocka_unit_test_teardown(test_capabilities, close_io),
		cmocka_unit_test_teardown(test_bad_name, close_io),
		cmocka_unit_test_teardown(test_absent_interface, close_io),
		cmocka_unit_test_teardown(test_port_taken_meanwhile, close_io),
		cmocka_unit_test_teardown(test_same_number_again, close_io),
		cmocka_unit_test_teardown(test_addresses, close_io),
		cmocka_unit_test_teardown(test_link_down_and_up, close_io),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs root: no network namespace of its own (%s)\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
