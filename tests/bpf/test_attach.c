/*
 * Attach, keep, replace, refuse, detach: on veth in a network namespace of its own, with pins in a
 * directory of its own. What the daemon does after start runs without any capability.
 */
#include <arpa/inet.h>
#include <grp.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/if_link.h>
#include <linux/magic.h>

#include "dp/datapath.h"
#include "dp/links.h"
#include "rig.h"

#define OUR_SIDE "tlx0" /* the filter is here */
#define CLIENT_SIDE "tlx1"

static char dir[64];
static char err[256];

static struct datapath_conf conf_of(enum conf_filter_mode mode)
{
	static const char *const ifaces[] = { OUR_SIDE };

	return (struct datapath_conf){ .mode = mode,
				       .pin_directory = dir,
				       .interfaces = ifaces,
				       .n_interfaces = 1,
				       .fail_open_after_ms = 3600000 };
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	char cmd[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	return system(cmd);
}

static void open_pin(const char *name, int *ret)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*ret = bpf_obj_get(path);
	assert_true(*ret >= 0);
}

static uint32_t attached_prog(uint32_t *ret_mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	assert_int_equal(bpf_xdp_query((int)if_nametoindex(OUR_SIDE), 0, &q), 0);
	*ret_mode = q.attach_mode;
	return q.prog_id ? q.prog_id : q.skb_prog_id;
}

static void attach(enum conf_filter_mode mode)
{
	struct datapath_conf c = conf_of(mode);

	if (datapath_attach(&c, OUR_SIDE, err))
		fail_msg("%s", err);
}

static void detach(void)
{
	if (datapath_detach(dir, OUR_SIDE, err))
		fail_msg("%s", err);
}

/* The link goes when its pin goes; the kernel does that a moment later. */
static void wait_detached(void)
{
	uint32_t mode;

	for (int i = 0; i < 200 && attached_prog(&mode); i++)
		usleep(10000);
	assert_int_equal(attached_prog(&mode), 0);
}

/* --- the life of a link --- */

static void test_survives_process(void **state)
{
	pid_t pid = fork();
	uint32_t mode;
	int status;

	(void)state;
	if (pid == 0) {
		struct datapath_conf c = conf_of(FILTER_NATIVE);

		_exit(datapath_attach(&c, OUR_SIDE, err) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_not_equal(attached_prog(&mode), 0);
	assert_int_equal(mode, XDP_ATTACHED_DRV);
	detach();
	wait_detached();
	assert_int_equal(datapath_detach(dir, OUR_SIDE, err), -ENOENT);
	assert_non_null(strstr(err, "bpftool net detach"));
}

static void test_replacement_keeps_maps(void **state)
{
	struct local_key key = { { 198, 51, 100, 7 } };
	struct local_value v = { .ifindex = 4711 };
	uint32_t first, second, mode;
	int map;

	(void)state;
	attach(FILTER_NATIVE);
	first = attached_prog(&mode);
	open_pin("maps/tl_local", &map);
	assert_int_equal(bpf_map_update_elem(map, &key, &v, BPF_ANY), 0);
	close(map);
	attach(FILTER_NATIVE);
	second = attached_prog(&mode);
	assert_int_not_equal(second, 0);
	assert_int_not_equal(first, second);
	open_pin("maps/tl_local", &map);
	memset(&v, 0, sizeof(v));
	assert_int_equal(bpf_map_lookup_elem(map, &key, &v), 0);
	assert_int_equal(v.ifindex, 4711);
	close(map);
	detach();
	wait_detached();
}

static void test_other_abi_replaces_maps(void **state)
{
	struct filter_alive a = { .abi_version = TL_ABI_VERSION + 1, .deadline_ns = 1 };
	struct local_key key = { { 198, 51, 100, 7 } };
	struct datapath_conf c = conf_of(FILTER_EXTERNAL);
	struct datapath *dp = NULL;
	struct local_value v;
	uint32_t zero = 0;
	int map;

	(void)state;
	attach(FILTER_NATIVE);
	open_pin("maps/tl_alive", &map);
	assert_int_equal(bpf_map_update_elem(map, &zero, &a, BPF_ANY), 0);
	close(map);
	assert_int_equal(datapath_open(&c, &dp, err), -EPROTO);
	assert_null(dp);
	attach(FILTER_NATIVE);
	open_pin("maps/tl_alive", &map);
	assert_int_equal(bpf_map_lookup_elem(map, &zero, &a), 0);
	assert_int_equal(a.abi_version, 0);
	close(map);
	open_pin("maps/tl_local", &map);
	assert_int_not_equal(bpf_map_lookup_elem(map, &key, &v), 0);
	close(map);
	detach();
	wait_detached();
}

static void test_generic(void **state)
{
	uint32_t mode;

	(void)state;
	attach(FILTER_GENERIC);
	attached_prog(&mode);
	assert_int_equal(mode, XDP_ATTACHED_SKB);
	detach();
	wait_detached();
}

static void test_pins_for_group(void **state)
{
	struct datapath_conf c = conf_of(FILTER_AUTO);
	struct group *g = getgrnam("daemon");
	char path[128];
	struct stat st;

	(void)state;
	if (!g)
		skip();
	c.group = "daemon";
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_gid, g->gr_gid);
	assert_int_equal(st.st_mode & 0777, 0750);
	snprintf(path, sizeof(path), "%s/maps/tl_alive", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, g->gr_gid);
	assert_int_equal(st.st_mode & 0777, 0660);
	detach();
	wait_detached();
}

/* --- refusals --- */

static void test_refuses_bridge_port(void **state)
{
	struct datapath_conf c = conf_of(FILTER_AUTO);

	(void)state;
	if (run("ip link add tlbr type bridge 2>/dev/null"))
		skip();
	assert_int_equal(run("ip link set " OUR_SIDE " master tlbr"), 0);
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), -EBUSY);
	assert_non_null(strstr(err, "port of a bridge"));
	c.force = true;
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), 0);
	detach();
	wait_detached();
	assert_int_equal(run("ip link del tlbr"), 0);
}

static void hold_port_67(int ready)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(67) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	prctl(PR_SET_NAME, "dhcrelay");
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void test_refuses_relay_agent(void **state)
{
	struct datapath_conf c = conf_of(FILTER_AUTO);
	int ready[2];
	pid_t pid;
	char x;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		hold_port_67(ready[1]);
	assert_int_equal(read(ready[0], &x, 1), 1);
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), -EBUSY);
	assert_non_null(strstr(err, "dhcrelay"));
	c.force = true;
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	detach();
	wait_detached();
}

static void test_refuses_what_is_not_there(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);

	(void)state;
	assert_int_equal(datapath_attach(&c, "tlx9", err), -ENODEV);
	assert_non_null(strstr(err, "no interface tlx9"));
	c.pin_directory = "/tmp/twinlease-no-bpffs";
	assert_true(datapath_attach(&c, OUR_SIDE, err) < 0);
	assert_non_null(strstr(err, "BPF file system"));
	rmdir("/tmp/twinlease-no-bpffs/maps");
	rmdir("/tmp/twinlease-no-bpffs");
}

/* --- pins --- */

/* The names of VLAN devices have dots, which a BPF file system does not take. */
static void test_name_with_a_dot(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	uint32_t ignored;
	int link;

	(void)state;
	assert_int_equal(run("ip link set " OUR_SIDE " down && ip link set " OUR_SIDE
			     " name tlx.10 && ip link set tlx.10 up"),
			 0);
	for (int i = 0; i < 2; i++) { /* the second finds the link of the first */
		if (datapath_attach(&c, "tlx.10", err))
			fail_msg("%s", err);
	}
	open_pin("link-tlx:10", &link);
	close(link);
	assert_int_equal(datapath_detach(dir, "tlx.10", err), 0);
	assert_int_equal(run("ip link set tlx.10 down && ip link set tlx.10 name " OUR_SIDE
			     " && ip link set " OUR_SIDE " up"),
			 0);
	(void)attached_prog(&ignored);
	wait_detached();
}

/* /sys/fs/bpf is often open to all: what somebody else made there ahead of us is not ours. */
static void test_refuses_pins_of_others(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	char theirs[64];
	struct stat st;

	(void)state;
	snprintf(theirs, sizeof(theirs), "/tmp/twinlease-theirs-%d", getpid());
	c.group = "daemon";
	assert_int_equal(run("rm -rf %s; mkdir -m 0700 %s", dir, theirs), 0);

	/* their directory, and in it the way to a place of ours */
	assert_int_equal(
		run("mkdir %s && ln -s %s %s/maps && chown 65534 %s", dir, theirs, dir, dir), 0);
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), -EPERM);
	assert_non_null(strstr(err, dir));
	assert_int_equal(stat(theirs, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(st.st_gid, 0);

	/* ours, but anybody may write there */
	assert_int_equal(run("rm -rf %s; mkdir %s && chmod 0777 %s", dir, dir, dir), 0);
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), -EPERM);

	/* no directory but a link to one */
	assert_int_equal(run("rm -rf %s %s-2; mkdir %s-2 && ln -s %s-2 %s && chown -h 65534 %s",
			     dir, dir, dir, dir, dir, dir),
			 0);
	assert_int_equal(datapath_attach(&c, OUR_SIDE, err), -EPERM);
	assert_int_equal(run("rm -rf %s %s-2 %s", dir, dir, theirs), 0);

	/* the daemon's user made it, as its service unit does; root attaches for its group */
	assert_int_equal(run("mkdir -m 0750 %s && chown daemon:daemon %s", dir, dir), 0);
	if (datapath_attach(&c, OUR_SIDE, err))
		fail_msg("%s", err);
	detach();
	wait_detached();
	assert_int_equal(run("rm -rf %s", dir), 0);
	attach(FILTER_NATIVE);
	detach();
	wait_detached();
}

/* A device per VLAN and container: the one we look for may stand far behind. */
static int find_among_many(void)
{
	static struct link_info all[LINKS_MAX];
	FILE *batch;
	int n;

	if (unshare(CLONE_NEWNET) || !(batch = popen("ip -batch -", "w")))
		return 2;
	for (int i = 0; i < 600; i++)
		fprintf(batch, "link add many%d type veth peer name more%d\n", i, i);
	if (pclose(batch))
		return 3;
	n = links_list(all, LINKS_MAX);
	return n == 1201 && links_find(all, n, "many599") && links_find(all, n, "more599") ? 0 : 4;
}

static void test_many_interfaces(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(find_among_many());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- the daemon --- */

static const struct scope scopes[] = {
	{ .subnet = 0x0a010000, .prefix = 24, .relation = 0, .name = "direct" },
	{ .subnet = 0x0a010200, .prefix = 24, .relation = 1, .name = "relayed" },
	{ .subnet = 0x0a010300, .prefix = 24, .relation = -1, .name = "alone" },
	{ .subnet = 0x0a010400, .prefix = 24, .relation = TL_BUCKET_NEAR - 1, .name = "last" },
	{ .subnet = 0x0a010500, .prefix = 24, .relation = TL_BUCKET_NEAR, .name = "first" },
};
static const struct scope_table table = { .scopes = scopes, .n_scopes = 5 };

static struct relation_policy policy(enum filter_serve serve)
{
	return (struct relation_policy){ .serve = serve, .secs_threshold = 3 };
}

static void send_from_client(const struct frame_spec *s)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(CLIENT_SIDE),
				  .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct frame f;

	assert_true(fd >= 0);
	frame_build(s, &f);
	assert_int_equal(sendto(fd, f.b, f.len, 0, (struct sockaddr *)&to, sizeof(to)), f.len);
	close(fd);
}

/* One frame on the wire is counted under this reason. */
static void expect(struct datapath *dp, struct frame_spec s, enum filter_reason reason)
{
	struct filter_counter before[FILTER_REASONS], after[FILTER_REASONS];

	frame_end(&s);
	assert_int_equal(datapath_verdicts(dp, before), 0);
	send_from_client(&s);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(datapath_verdicts(dp, after), 0);
		if (after[reason].packets > before[reason].packets)
			return;
		usleep(5000);
	}
	for (unsigned i = 0; i < FILTER_REASONS; i++) {
		if (after[i].packets != before[i].packets)
			print_message("counted: %s\n", filter_reason_name((enum filter_reason)i));
	}
	fail_msg("not counted under %s", filter_reason_name(reason));
}

static struct frame_spec to_our_address(uint8_t third_octet)
{
	struct frame_spec s = frame_relayed(DHCPDISCOVER, third_octet);

	memcpy(s.dst, (uint8_t[]){ 10, 1, 0, 1 }, 4);
	return s;
}

/* Counted by bucket on both sides of the border between tl_bucket and tl_bucket_more. */
static void check_many_relations(struct datapath *dp)
{
	struct relation_policy p = policy(SERVE_BALANCE);
	struct bucket_counter b[256];

	for (uint8_t i = 0; i < 2; i++) {
		unsigned relation = TL_BUCKET_NEAR - 1u + i;

		assert_true(datapath_set_policy(dp, relation, &p) > 0);
		for (unsigned n = 1; n <= 2; n++) {
			expect(dp, to_our_address(4 + i), REASON_PARTNERS);
			assert_int_equal(datapath_buckets(dp, relation, b), 0);
			assert_int_equal(b[133].left, n);
		}
	}
	assert_true(datapath_buckets(dp, TL_BUCKET_NEAR + 1, b) < 0); /* nobody asked for it */
}

static void check_service(struct datapath *dp)
{
	struct relation_policy p = policy(SERVE_BALANCE);
	struct bucket_counter b[256];
	struct relay_health relays[8];

	assert_int_equal(datapath_set_local(dp), 0);
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	assert_true(datapath_set_policy(dp, 0, &p) > 0);
	assert_true(datapath_set_policy(dp, 1, &p) > 0);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_NOT_ARMED);
	datapath_alive(dp);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNERS);
	expect(dp, to_our_address(2), REASON_PARTNERS);
	expect(dp, to_our_address(3), REASON_NO_RELATION);
	expect(dp, to_our_address(9), REASON_UNKNOWN_SUBNET);
	expect(dp, frame_relayed(DHCPDISCOVER, 2), REASON_NOT_LOCAL);
	assert_int_equal(datapath_set_partner_empty(dp, &table, 0, true), 0);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNER_EMPTY);
	assert_int_equal(datapath_set_partner_empty(dp, &table, 0, false), 0);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNERS);
	datapath_disarm(dp);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_NOT_ARMED);
	datapath_alive(dp);
	assert_int_equal(datapath_buckets(dp, 1, b), 0);
	assert_true(b[133].left > 0);
	assert_int_equal(datapath_relays(dp, relays, 8), 1);
	assert_int_equal(relays[0].giaddr, 0x0a010201);
	assert_true(relays[0].counters.partners_secs_0 > 0);
	check_many_relations(dp);
}

static void check_switches(struct datapath *dp)
{
	struct relation_policy all = policy(SERVE_ALL), balance = policy(SERVE_BALANCE);
	struct datapath_status st;
	int g = datapath_set_policy(dp, 0, &balance);

	assert_true(g > 0);
	assert_int_equal(datapath_set_policy(dp, 0, &balance), g); /* nothing new */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(datapath_set_policy(dp, 0, &all), ++g);
		expect(dp, frame_direct(DHCPDISCOVER), REASON_SERVE_ALL);
		assert_int_equal(datapath_set_policy(dp, 0, &balance), ++g);
		expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNERS);
	}
	datapath_status(dp, &st);
	assert_true(st.attached[0]);
	assert_true(st.switches >= 10);
	assert_true(st.switch_us_max >= st.switch_us_last);
	assert_int_equal(datapath_set_policy(dp, TL_MAX_RELATIONS, &all), -ERANGE);
}

/* A scope that goes, goes from the maps as well. */
static void check_reload(struct datapath *dp)
{
	const struct scope_table fewer = { .scopes = scopes, .n_scopes = 1 };

	assert_int_equal(datapath_set_scopes(dp, &fewer), 0);
	expect(dp, to_our_address(2), REASON_UNKNOWN_SUBNET);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNERS);
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	expect(dp, to_our_address(2), REASON_PARTNERS);
}

static void test_daemon(void **state)
{
	struct datapath_conf c = conf_of(FILTER_AUTO);
	struct datapath *dp = NULL;
	struct datapath_status st;

	(void)state;
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	assert_non_null(dp);
	datapath_status(dp, &st);
	assert_string_equal(st.mode, "native");
	assert_true(st.attached[0]);
	check_service(dp);
	check_switches(dp);
	check_reload(dp);
	datapath_close(dp);
	/* comes back, finds its maps, and passes until it is ready */
	assert_int_equal(datapath_open(&c, &dp, err), 0);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_NOT_ARMED);
	datapath_alive(dp);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNERS);
	datapath_close(dp);
	detach();
	wait_detached();
}

/* The switch of an emergency: it works, and is told, while the daemon runs. */
static void test_detach_below_daemon(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct datapath *dp = NULL;
	struct datapath_status st;

	(void)state;
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	detach();
	wait_detached();
	datapath_status(dp, &st);
	assert_false(st.attached[0]);
	attach(FILTER_NATIVE); /* another load of the program: the pins tell */
	datapath_status(dp, &st);
	assert_true(st.attached[0]);
	assert_int_equal(run("rm %s/link-" OUR_SIDE, dir), 0);
	wait_detached();
	datapath_status(dp, &st);
	assert_false(st.attached[0]);
	datapath_close(dp);
}

/* After start: another user, no capability, and the maps still obey. */
static void test_without_capabilities(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct relation_policy all = policy(SERVE_ALL), balance = policy(SERVE_BALANCE);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct filter_counter v[FILTER_REASONS];
		struct bucket_counter b[256];
		struct datapath_status st;
		struct datapath *dp = NULL;
		int bad = datapath_open(&c, &dp, err);

		if (bad || setgid(65534) || setuid(65534))
			_exit(1);
		bad |= (datapath_set_local(dp) != 0) << 1;
		bad |= (datapath_set_scopes(dp, &table) != 0) << 2;
		bad |= (datapath_set_policy(dp, 0, &all) <= 0) << 3;
		bad |= (datapath_set_policy(dp, 0, &balance) <= 0) << 4;
		datapath_alive(dp);
		bad |= (datapath_verdicts(dp, v) != 0) << 5;
		bad |= (datapath_buckets(dp, 0, b) != 0) << 6;
		datapath_status(dp, &st);
		bad |= !st.attached[0] << 7;
		bad |= datapath_set_policy(dp, TL_BUCKET_NEAR, &balance) <= 0 ||
		       datapath_buckets(dp, TL_BUCKET_NEAR, b) != 0;
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	detach();
	wait_detached();
}

/* --- tables that change --- */

static bool partner_empty_of(const char *map, const void *key)
{
	struct relation_choice c; /* struct iface_choice begins like it */
	int fd;

	open_pin(map, &fd);
	assert_int_equal(bpf_map_lookup_elem(fd, key, &c), 0);
	close(fd);
	return c.partner_cannot_serve;
}

/* As many prefixes as fit, then as many others. */
static void test_full_of_former_prefixes(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct scope *many = calloc(TL_MAX_PREFIXES, sizeof(*many));
	struct scope_table t = { .scopes = many, .n_scopes = TL_MAX_PREFIXES };
	struct datapath *dp = NULL;

	(void)state;
	assert_non_null(many);
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	for (uint32_t base = 0x0b000000; base <= 0x0c000000; base += 0x01000000) {
		for (uint32_t i = 0; i < TL_MAX_PREFIXES; i++)
			many[i] = (struct scope){ .subnet = base + (i << 8), .prefix = 24 };
		assert_int_equal(datapath_set_scopes(dp, &t), 0);
	}
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	datapath_close(dp);
	free(many);
	detach();
	wait_detached();
}

/* What a former daemon knew of the partner is not what we know: we tell it anew. */
static void test_partner_empty_is_told_anew(void **state)
{
	struct subnet_key subnet = { 24, { 10, 1, 0, 0 } };
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct datapath *dp = NULL;
	uint32_t iface = if_nametoindex(OUR_SIDE);

	(void)state;
	for (int i = 0; i < 2; i++) {
		if (datapath_open(&c, &dp, err))
			fail_msg("%s", err);
		assert_int_equal(datapath_set_scopes(dp, &table), 0);
		assert_false(partner_empty_of("maps/tl_subnet", &subnet));
		assert_false(partner_empty_of("maps/tl_iface_near", &iface));
		assert_int_equal(datapath_set_partner_empty(dp, &table, 0, true), 0);
		assert_true(partner_empty_of("maps/tl_subnet", &subnet));
		assert_true(partner_empty_of("maps/tl_iface_near", &iface));
		datapath_close(dp);
	}
	detach();
	wait_detached();
}

/* More addresses than are known: no reason not to serve, and what is known is right. */
static void test_more_addresses_than_fit(void **state)
{
	struct local_key key = { { 10, 1, 0, 1 } };
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct datapath *dp = NULL;
	struct local_value v;
	FILE *batch;
	int map;

	(void)state;
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	batch = popen("ip -batch -", "w");
	assert_non_null(batch);
	for (int i = 0; i < TL_MAX_LOCAL; i++)
		fprintf(batch, "addr add 10.77.%d.%d/32 dev " CLIENT_SIDE "\n", i >> 8, i & 255);
	assert_int_equal(pclose(batch), 0);
	assert_int_equal(datapath_set_local(dp), 0);
	assert_int_equal(run("ip addr flush dev " CLIENT_SIDE), 0);
	assert_int_equal(datapath_set_local(dp), 0);
	open_pin("maps/tl_local", &map);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &v), 0);
	assert_int_equal(v.ifindex, if_nametoindex(OUR_SIDE));
	key = (struct local_key){ { 10, 77, 0, 1 } };
	assert_int_not_equal(bpf_map_lookup_elem(map, &key, &v), 0);
	close(map);
	datapath_close(dp);
	detach();
	wait_detached();
}

/* An interface moves to another subnet: its clients belong to another partner, or to none. */
static void test_interface_changes_subnet(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	uint32_t key = if_nametoindex(OUR_SIDE);
	struct iface_choice choice;
	struct datapath *dp = NULL;
	int map;

	(void)state;
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	open_pin("maps/tl_iface_near", &map);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &choice), 0);
	assert_int_equal(choice.relation, 0);
	assert_int_equal(run("ip addr flush dev " OUR_SIDE
			     " && ip addr add 10.1.2.1/24 dev " OUR_SIDE " label " OUR_SIDE ":1"),
			 0);
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &choice), 0);
	assert_int_equal(choice.relation, 1);
	assert_int_equal(
		run("ip addr flush dev " OUR_SIDE " && ip addr add 10.1.0.1/24 dev " OUR_SIDE), 0);
	datapath_close(dp);
	close(map);
	detach();
	wait_detached();
}

static int make_links(const char *index)
{
	return run("ip link add " OUR_SIDE " %s type veth peer name " CLIENT_SIDE
		   " && ip addr add 10.1.0.1/24 dev " OUR_SIDE " && ip link set " OUR_SIDE
		   " up && ip link set " CLIENT_SIDE " up",
		   index);
}

/* An index that tl_iface_near has no element for: the same by tl_iface. */
static void test_high_index(void **state)
{
	struct datapath_conf c = conf_of(FILTER_NATIVE);
	struct iface_key key = { .ifindex = TL_IFACE_NEAR };
	struct datapath *dp = NULL;

	(void)state;
	assert_int_equal(run("ip link del " OUR_SIDE), 0);
	assert_int_equal(make_links("index 256"), 0);
	assert_int_equal(if_nametoindex(OUR_SIDE), TL_IFACE_NEAR);
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	assert_int_equal(datapath_set_scopes(dp, &table), 0);
	assert_false(partner_empty_of("maps/tl_iface", &key));
	assert_int_equal(datapath_set_partner_empty(dp, &table, 0, true), 0);
	assert_true(partner_empty_of("maps/tl_iface", &key));
	datapath_alive(dp);
	expect(dp, frame_direct(DHCPDISCOVER), REASON_PARTNER_EMPTY);
	assert_int_equal(datapath_set_partner_empty(dp, &table, 0, false), 0);
	check_switches(dp);
	datapath_close(dp);
	detach();
	wait_detached();
	assert_int_equal(run("ip link del " OUR_SIDE), 0);
	assert_int_equal(make_links(""), 0);
}

/* Attached by hand, as the README says; the daemon then works on the pins. */
static void test_bpftool_way(void **state)
{
	const char *b = getenv("B") ? getenv("B") : "build";
	struct datapath_conf c = conf_of(FILTER_EXTERNAL);
	struct relation_policy p = policy(SERVE_BALANCE);
	struct datapath *dp = NULL;
	struct datapath_status st;

	(void)state;
	if (run("command -v bpftool >/dev/null || test -x /usr/sbin/bpftool"))
		skip();
	assert_int_equal(run("rm -rf %s; mkdir -p %s", dir, dir), 0);
	assert_true(datapath_open(&c, &dp, err) < 0); /* nothing there yet */
	assert_int_equal(run("PATH=$PATH:/usr/sbin; bpftool prog load %s/bpf/twinlease.bpf.o "
			     "%s/prog type xdp pinmaps %s/maps && bpftool net attach xdp pinned "
			     "%s/prog dev " OUR_SIDE,
			     b, dir, dir, dir),
			 0);
	if (datapath_open(&c, &dp, err))
		fail_msg("%s", err);
	datapath_status(dp, &st);
	assert_string_equal(st.mode, "external");
	assert_true(st.attached[0]);
	check_service(dp);
	assert_true(datapath_set_policy(dp, 5, &p) > 0);
	/* operators see words */
	assert_int_equal(run("PATH=$PATH:/usr/sbin; bpftool map dump pinned %s/maps/tl_relation | "
			     "grep -q SERVE_BALANCE",
			     dir),
			 0);
	assert_int_equal(run("PATH=$PATH:/usr/sbin; bpftool map dump pinned %s/maps/tl_verdict | "
			     "grep -q not_armed",
			     dir),
			 0);
	datapath_close(dp);
	assert_int_equal(run("PATH=$PATH:/usr/sbin; bpftool net detach xdp dev " OUR_SIDE), 0);
	wait_detached();
}

/* Auto never fails the start: somebody else's program is there, so it serves without. */
static void test_auto_goes_on_without(void **state)
{
	struct datapath_conf c = conf_of(FILTER_AUTO);
	struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, 2, NULL);
	struct datapath *dp = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(OUR_SIDE), fd, 0, NULL), 0);
	assert_int_equal(datapath_open(&c, &dp, err), 0);
	assert_null(dp);
	c.mode = FILTER_NATIVE;
	assert_true(datapath_open(&c, &dp, err) < 0);
	assert_non_null(strstr(err, "another XDP program"));
	assert_int_equal(bpf_xdp_detach((int)if_nametoindex(OUR_SIDE), 0, NULL), 0);
	close(fd);
	c.mode = FILTER_OFF;
	assert_int_equal(datapath_open(&c, &dp, err), 0);
	assert_null(dp);
}

static int setup(void **state)
{
	struct statfs fs;
	struct rig probe;

	(void)state;
	rig_open(&probe); /* exits 77 without the privileges */
	rig_close(&probe);
	if (statfs("/sys/fs/bpf", &fs) || fs.f_type != BPF_FS_MAGIC)
		(void)mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
	if (statfs("/sys/fs/bpf", &fs) || fs.f_type != BPF_FS_MAGIC || unshare(CLONE_NEWNET) ||
	    run("ip link set lo up") || make_links("")) {
		printf("skipped: no BPF file system, or no veth in a namespace of its own\n");
		exit(77);
	}
	snprintf(dir, sizeof(dir), "/sys/fs/bpf/twinlease-test-%d", getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return run("rm -rf %s", dir); /* the namespace goes with us */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survives_process),
		cmocka_unit_test(test_replacement_keeps_maps),
		cmocka_unit_test(test_other_abi_replaces_maps),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_pins_for_group),
		cmocka_unit_test(test_refuses_bridge_port),
		cmocka_unit_test(test_refuses_relay_agent),
		cmocka_unit_test(test_refuses_what_is_not_there),
		cmocka_unit_test(test_name_with_a_dot),
		cmocka_unit_test(test_refuses_pins_of_others),
		cmocka_unit_test(test_many_interfaces),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_detach_below_daemon),
		cmocka_unit_test(test_without_capabilities),
		cmocka_unit_test(test_full_of_former_prefixes),
		cmocka_unit_test(test_partner_empty_is_told_anew),
		cmocka_unit_test(test_more_addresses_than_fit),
		cmocka_unit_test(test_interface_changes_subnet),
		cmocka_unit_test(test_high_index),
		cmocka_unit_test(test_bpftool_way),
		cmocka_unit_test(test_auto_goes_on_without),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
