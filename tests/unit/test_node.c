/*
 * The node as a whole in a network of its own: the real loop, store, sockets and configuration,
 * with a disk that stalls or fails on command and a partner that the test plays over TCP. What is
 * told before it is durable, or lost although it was told, shows here.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../lib/dhcp_build.h"
#include "core/fo_endpoint_priv.h"
#include "node_priv.h"
#include "../lib/own_fs.h"

#define NET 0x0a090000u
#define FIRST (NET + 256) /* of the range */
#define LIMIT_MS 10000
#define MCLT 3600

/* --- a disk that stalls or fails -----------------------------------------------------------------
 * LMDB finds this function before that of libc. */

static atomic_bool stalled;
static atomic_int sync_error;
static atomic_uint syncs;

int fdatasync(int fd)
{
	while (atomic_load(&stalled))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	atomic_fetch_add(&syncs, 1);
	errno = atomic_load(&sync_error);
	return errno ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* --- a wall clock that somebody sets --- */

static atomic_long wall_offset;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long r = syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += atomic_load(&wall_offset);
	return (int)r;
}

/* --- the world -----------------------------------------------------------------------------------
 */

static struct own_fs disk;
static const char *const dir = disk.dir;
static struct event_base *base;
static struct conf *conf;
static struct node *node;

static uint32_t wall(void)
{
	return sec_clamp(clock_now().wall.sec);
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = -1;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

/* Without a group of its own, root in the namespace may not make a socket in a directory. */
static bool put_map(const char *path, unsigned id)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", id);
	return put_text(path, map) == 0;
}

static bool own_namespaces(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (getuid()) {
		unsigned uid = getuid(), gid = getgid();

		if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0 ||
		    !put_map("/proc/self/uid_map", uid) ||
		    put_text("/proc/self/setgroups", "deny") < 0 ||
		    !put_map("/proc/self/gid_map", gid))
			return false;
	} else if (unshare(CLONE_NEWNET) < 0) {
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return false;
	close(fd);
	return true;
}

static const char campus[] = "relationships:\n"
			     "  - name: campus\n"
			     "    role: %s\n"
			     "    local: 127.0.0.1\n"
			     "    partner: 127.0.0.2\n"
			     "    max-client-lead-time: 1h\n"
			     "    contact-timeout: 60s\n"
			     "    max-unacked-updates: 1000\n"
			     "    authentication: off\n";

/* @more: of the scope, and further ones. */
static void configure_text(const char *interfaces, const char *relations, const char *more)
{
	struct conf_problems problems;
	char text[2048];
	int r;

	snprintf(text, sizeof(text),
		 "server:\n  name: a\n  interfaces: [%s]\n  state-directory: %s\n"
		 "  server-identifier: 10.9.0.1\n  authoritative: true\n  log: {level: error}\n"
		 "filter: {mode: off}\n"
		 "api: {listen: [\"unix:%s/api.sock\"]}\n%s"
		 "scopes:\n  - subnet: 10.9.0.0/16\n    ranges: [10.9.1.0-10.9.64.255]\n"
		 "    lease-time: 10m\n%s",
		 interfaces, dir, dir, relations, more);
	r = conf_parse("test.yaml", text, strlen(text), &conf, &problems);
	if (r < 0)
		conf_problems_print("test.yaml", &problems, stderr);
	conf_problems_free(&problems);
	assert_int_equal(r, 0);
	log_setup(conf->server.log_level, conf->server.log_format);
}

static void configure_on(const char *role, const char *interfaces)
{
	char relation[512] = "";

	if (role)
		snprintf(relation, sizeof(relation), campus, role);
	configure_text(interfaces, relation, role ? "    relationship: campus\n" : "");
}

static void configure(const char *role)
{
	configure_on(role, "lo");
}

static void start(void)
{
	char err[256] = "";
	int r = node_open(base, conf, &node, err);

	if (!r)
		r = node_start(node, err);
	if (r < 0)
		print_error("%s\n", err);
	assert_int_equal(r, 0);
}

static void turn(void)
{
	(void)event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	node_turn_end(node);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static void turns(unsigned ms)
{
	int64_t until = clock_now().mono.us + ms * 1000;

	while (clock_now().mono.us < until)
		turn();
}

#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t limit_ = clock_now().mono.us + LIMIT_MS * 1000;                            \
		while (!(condition)) {                                                             \
			turn();                                                                    \
			if (clock_now().mono.us > limit_)                                          \
				fail_msg("never: %s", #condition);                                 \
		}                                                                                  \
	} while (0)

static int setup_sized(void **state, const char *size)
{
	(void)state;
	atomic_store(&stalled, false);
	atomic_store(&sync_error, 0);
	if (own_fs_open(&disk, "tmpfs", (const char *[]){ "size", size, NULL }) < 0)
		return -1;
	base = event_base_new();
	return base && event_base_priority_init(base, PRIO_COUNT) == 0 ? 0 : -1;
}

static int setup(void **state)
{
	return setup_sized(state, "64m");
}

static int teardown(void **state)
{
	(void)state;
	atomic_store(&stalled, false);
	atomic_store(&sync_error, 0);
	node_close(node);
	node = NULL;
	conf_free(conf);
	conf = NULL;
	event_base_free(base);
	own_fs_close(&disk);
	return 0;
}

/* --- what the store holds before and after -------------------------------------------------------
 */

static void ignore_durable(void *ctx, uint64_t batch)
{
	*(uint64_t *)ctx = batch;
}

static void ignore_failed(void *ctx, uint64_t batch, int err)
{
	(void)ctx;
	(void)batch;
	(void)err;
}

static struct lease_store *open_store(uint64_t *durable)
{
	struct lease_store_conf c = { .directory = dir, .addresses = 1000 };
	struct lease_store_ops ops = { durable, ignore_durable, ignore_failed };
	struct lease_store *st;
	char err[256];

	*durable = 0;
	assert_int_equal(lease_store_open(&c, &ops, &st, err), 0);
	return st;
}

static void commit(struct lease_store *st, uint64_t *durable)
{
	uint64_t n = lease_store_submit(st);

	while (*durable < n) {
		struct pollfd p = { .fd = lease_store_fd(st), .events = POLLIN };

		assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
		lease_store_dispatch(st);
	}
}

static struct lease_client client_of(uint32_t n)
{
	struct lease_client c = { .htype = 1, .hlen = 6, .chaddr = { 2 } };

	memcpy(c.chaddr + 2, &n, sizeof(n));
	return c;
}

/* A lease that the partner knows, and the record of a relationship that was NORMAL until now. */
static struct lease known_lease(uint32_t addr, uint32_t expires)
{
	return (struct lease){ .addr = addr,
			       .starts = wall() - 600,
			       .cltt = wall() - 600,
			       .stos = wall() - 600,
			       .expires = expires,
			       .acked_pet = wall() + 1000,
			       .sent_pet = wall() + 1000,
			       .serial = 1,
			       .state = LEASE_ACTIVE,
			       .acked_state = LEASE_ACTIVE };
}

static struct fo_record normal_record(bool primary)
{
	return (struct fo_record){ .end = { .state = FO_NORMAL,
					    .saved = FO_NORMAL,
					    .peer = FO_NORMAL,
					    .primary = primary,
					    .ever_normal = true,
					    .stos = wall() - 700,
					    .peer_stos = wall() - 700,
					    .last_operational = wall() - 5 },
				   .mclt = MCLT,
				   .incarnation = { 1 } };
}

static void store_lease(struct lease_store *st, const struct lease *l)
{
	struct lease_client c = client_of(l->addr);

	assert_int_equal(lease_store_put(st, l, &c), 0);
}

static bool on_disk(struct lease_store *st, uint32_t addr)
{
	struct lease_client c;
	struct lease l;

	return lease_store_get(st, addr, &l, &c) == 0 && l.state == LEASE_ACTIVE;
}

/* --- a partner, played ---------------------------------------------------------------------------
 */

static int peer = -1;
static uint32_t peer_addr = 0x7f000002;
static const char *peer_name = "campus";
static uint32_t peer_xid;
static uint8_t peer_in[1 << 20];
static size_t peer_have;

static struct fo_writer peer_begin(uint8_t *buf, uint8_t type, uint32_t xid)
{
	struct fo_writer w;

	fo_write_begin(&w, buf, FO_MSG_MAX, type, clock_now().wall, xid);
	return w;
}

static void peer_send(struct fo_writer *w)
{
	size_t len = fo_write_end(w), at = 0;

	assert_true(len > 0);
	while (at < len) {
		ssize_t n = send(peer, w->buf + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else
			turn();
	}
}

/* The node is the secondary: we connect to it. */
static void peer_connect(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(peer_addr) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(647),
				  .sin_addr.s_addr = htonl(0x7f000001) };
	int on = 1;

	peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	peer_have = 0;
	peer_xid = 0;
	assert_int_equal(bind(peer, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&to, sizeof(to)), 0);
}

static void peer_introduce(void)
{
	struct fo_connect c = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_MAX_UNACKED | 1u << FO_OPT_RECEIVE_TIMER |
		       1u << FO_OPT_VERSION | 1u << FO_OPT_VENDOR_SPECIFIC |
		       1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_MCLT | 1u << FO_OPT_HBA,
		.name = { (const uint8_t *)peer_name, (uint32_t)strlen(peer_name) },
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.max_unacked = 1000,
		.receive_timer = 60,
		.version = 1,
		.mclt = MCLT,
		.start_count = 1,
		.incarnation = { 1 }
	};
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w = peer_begin(buf, FO_CONNECT, ++peer_xid);

	memset(c.hba, 0x55, sizeof(c.hba));
	fo_write_connect(&w, &c);
	peer_send(&w);
}

static void peer_tell(uint8_t state)
{
	struct fo_state_msg s = { .state = state, .stos = wall() - 700 };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w = peer_begin(buf, FO_STATE, ++peer_xid);

	fo_write_state(&w, &s);
	peer_send(&w);
}

/* The next message that has arrived, or false. It is valid until the next call. */
static bool peer_hear(struct fo_msg *m)
{
	static uint8_t one[FO_MSG_MAX];
	ssize_t n;
	size_t len;

	if (peer < 0)
		return false;
	n = recv(peer, peer_in + peer_have, sizeof(peer_in) - peer_have, MSG_DONTWAIT);
	if (n > 0)
		peer_have += (size_t)n;
	len = fo_msg_length(peer_in, peer_have);
	if (!len || len > peer_have)
		return false;
	memcpy(one, peer_in, len);
	memmove(peer_in, peer_in + len, peer_have -= len);
	return fo_msg_decode(one, len, m) == FO_OK;
}

static bool peer_hears(uint8_t type)
{
	struct fo_msg m;

	while (peer_hear(&m))
		if (m.type == type)
			return true;
	return false;
}

/* Whatever else the node still says is passed over. */
static bool peer_is_closed(void)
{
	static uint8_t rest[65536];
	ssize_t n;

	do
		n = recv(peer, rest, sizeof(rest), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void peer_close(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void peer_link(void)
{
	peer_connect();
	peer_introduce();
	wait_until(peer_hears(FO_CONNECTACK));
}

/* BNDUPDs about new leases of addresses from @first on, 40 a message. */
static void peer_updates(uint32_t first, unsigned count)
{
	for (unsigned done = 0; done < count;) {
		uint8_t buf[FO_MSG_MAX];
		struct fo_writer w = peer_begin(buf, FO_BNDUPD, ++peer_xid);

		for (unsigned i = 0; i < 25 && done < count; i++, done++) {
			struct lease_client c = client_of(first + done);
			uint8_t hw[7] = { 1 };
			struct fo_binding b = { .addr = first + done,
						.status = LEASE_ACTIVE,
						.chaddr = { hw, 7 },
						.expires = wall() + 600,
						.pet = wall() + 900,
						.stos = wall(),
						.cltt = wall(),
						.serial = 1 };

			memcpy(hw + 1, c.chaddr, 6);
			assert_true(fo_write_binding(&w, &b, true));
		}
		peer_send(&w);
		turn();
	}
}

static uint8_t state_of(void)
{
	struct fo_status s;

	fo_endpoint_status(node->relations[0].ep, &s);
	return s.record->end.state;
}

static void store_normal(bool primary)
{
	struct fo_record rec = normal_record(primary);
	uint64_t durable;
	struct lease_store *st = open_store(&durable);

	assert_int_equal(lease_store_put_relation(st, "campus", &rec), 0);
	commit(st, &durable);
	lease_store_close(st);
}

static void link_normal(void)
{
	peer_link();
	peer_tell(FO_NORMAL);
	wait_until(state_of() == FO_NORMAL && node->views[0].balanced);
}

/* --- tests ---------------------------------------------------------------------------------------
 */

/* What ended while we were away may have been renewed by the partner: nothing becomes free before
 * it was asked, also not in the first turns (draft §7.1; failover-behaviour §4.1). */
static void ended_leases_wait_for_the_partner(void **state)
{
	uint64_t durable;
	struct lease_store *st;

	(void)state;
	for (unsigned primary = 0; primary < 2; primary++) {
		struct lease active = known_lease(FIRST, wall() - 5);
		struct lease ended = known_lease(FIRST + 1, wall() - 50);
		struct fo_record rec = normal_record(primary);

		ended.state = LEASE_EXPIRED;
		ended.flags = LEASE_DIRTY;
		st = open_store(&durable);
		store_lease(st, &active);
		store_lease(st, &ended);
		assert_int_equal(lease_store_put_relation(st, "campus", &rec), 0);
		commit(st, &durable);
		lease_store_close(st);

		configure(primary ? "primary" : "secondary");
		start();
		turns(100);
		assert_int_equal(pool_get(node->pool, FIRST)->state, LEASE_ACTIVE);
		assert_int_equal(pool_get(node->pool, FIRST + 1)->state, LEASE_EXPIRED);
		node_close(node);
		node = NULL;
		conf_free(conf);
	}
	conf = NULL;
}

static bool file_has(int fd, const char *words)
{
	char buf[2048];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	return strstr(buf, words) != NULL;
}

/* A line of the audit log tells what is on disk; with the log off there is none. */
static void audited(bool on)
{
	struct lease l = known_lease(FIRST, wall() - 5);
	int saved = dup(STDERR_FILENO), fd;
	struct lease_store *st;
	uint64_t durable;
	char path[200], err[256];

	st = open_store(&durable);
	store_lease(st, &l);
	commit(st, &durable);
	lease_store_close(st);
	configure(NULL);
	conf->server.log_leases = on;
	assert_int_equal(node_open(base, conf, &node, err), 0);
	snprintf(path, sizeof(path), "%s/stderr", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	dup2(fd, STDERR_FILENO);
	atomic_store(&stalled, true);
	assert_int_equal(node_start(node, err), 0);
	wait_until(pool_get(node->pool, FIRST)->state != LEASE_ACTIVE);
	turns(50);
	assert_false(file_has(fd, "lease id="));
	atomic_store(&stalled, false);
	if (on)
		wait_until(file_has(fd, " info lease id=17 text=expire address=10.9.1.0 host="));
	turns(20);
	assert_int_equal(file_has(fd, "lease id="), on);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	node_close(node);
	node = NULL;
	conf_free(conf);
	conf = NULL;
}

static void the_audit_log_tells_what_is_durable(void **state)
{
	(void)state;
	audited(true);
}

static void the_audit_log_is_off(void **state)
{
	(void)state;
	audited(false);
}

/* More updates than a batch holds, while the disk stalls: what is acknowledged is on disk. */
static void what_is_acknowledged_is_on_disk(void **state)
{
	const unsigned count = 9000;
	static bool acked[9000];
	unsigned n_acked = 0, lost = 0;
	struct lease_store *st;
	uint64_t durable;
	struct fo_msg m;

	(void)state;
	memset(acked, 0, sizeof(acked));
	configure("secondary");
	start();
	peer_link();
	peer_tell(FO_NORMAL);
	turns(50);
	atomic_store(&stalled, true);
	peer_updates(FIRST, count);
	turns(50);
	atomic_store(&stalled, false);
	for (int64_t until = clock_now().mono.us + 3000000; clock_now().mono.us < until;) {
		turn();
		while (peer_hear(&m)) {
			unsigned cursor = 0;
			struct fo_binding b;

			while (m.type == FO_BNDACK && fo_msg_next_binding(&m, &cursor, &b)) {
				assert_false(b.has & 1u << FO_OPT_REJECT_REASON);
				acked[b.addr - FIRST] = true;
			}
		}
	}
	peer_close();
	node_close(node);
	node = NULL;
	st = open_store(&durable);
	for (unsigned i = 0; i < count; i++) {
		n_acked += acked[i];
		lost += acked[i] && !on_disk(st, FIRST + i);
	}
	lease_store_close(st);
	assert_int_equal(lost, 0);
	assert_int_equal(n_acked, count);
}

/* DECLINEd at the partner: the address rests as long there as here, and is nobody's, also after a
 * restart. */
static void an_abandoned_address_is_nobodys(void **state)
{
	struct fo_binding b = { .addr = FIRST,
				.status = LEASE_ABANDONED,
				.expires = wall() + 86400,
				.stos = wall(),
				.cltt = wall(),
				.serial = 9 };
	uint8_t buf[FO_MSG_MAX];
	struct lease_client c;
	struct fo_writer w;
	struct lease l;

	(void)state;
	store_normal(false);
	configure("secondary");
	start();
	link_normal();
	peer_updates(FIRST, 1);
	wait_until(peer_hears(FO_BNDACK));
	assert_false(client_key_none(pool_get(node->pool, FIRST)->key));
	w = peer_begin(buf, FO_BNDUPD, ++peer_xid);
	assert_true(fo_write_binding(&w, &b, true));
	peer_send(&w);
	wait_until(peer_hears(FO_BNDACK));
	assert_int_equal(pool_get(node->pool, FIRST)->state, LEASE_ABANDONED);
	assert_in_range(pool_get(node->pool, FIRST)->expires, b.expires - 2, b.expires + 2);
	assert_true(client_key_none(pool_get(node->pool, FIRST)->key));
	assert_int_equal(lease_store_get(node->store, FIRST, &l, &c), 0);
	assert_int_equal(c.hlen, 0);
	peer_close();
}

/* The node is the primary: it connects to us. Return: ms until it did. */
static int64_t peer_accept(int listener)
{
	int64_t began = clock_now().mono.us;

	wait_until((peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	peer_have = 0;
	return (clock_now().mono.us - began) / 1000;
}

static void peer_answer(enum fo_reject reject)
{
	struct fo_connect c = { .has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
				       1u << FO_OPT_MAX_UNACKED | 1u << FO_OPT_RECEIVE_TIMER |
				       1u << FO_OPT_VERSION,
				.name = { (const uint8_t *)"campus", 6 },
				.vendor = { (const uint8_t *)FO_VENDOR_CLASS, 10 },
				.max_unacked = 10,
				.receive_timer = 60,
				.version = 1,
				.reject = (uint8_t)reject };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;
	struct fo_msg m;

	wait_until(peer_hear(&m));
	assert_int_equal(m.type, FO_CONNECT);
	w = peer_begin(buf, FO_CONNECTACK, m.xid);
	fo_write_connectack(&w, &c);
	peer_send(&w);
}

static int peer_listen(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(647),
				  .sin_addr.s_addr = htonl(0x7f000002) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* A rejection once is no reason to be slow for ever: a link that was good comes back at once. */
static void a_good_link_is_tried_again_at_once(void **state)
{
	int listener;

	(void)state;
	configure("primary");
	listener = peer_listen();
	start();
	(void)peer_accept(listener);
	peer_answer(FO_REJECT_INVALID_PARTNER);
	wait_until(peer_is_closed());
	peer_close();
	assert_in_range(peer_accept(listener), 4000, 6000);
	peer_answer(FO_REJECT_NONE);
	wait_until(peer_hears(FO_STATE));
	peer_close();
	assert_in_range(peer_accept(listener), 0, 2000);
	peer_close();
	close(listener);
}

/* A partner that asks on and on and reads nothing costs a bounded amount of memory. */
static void a_partner_that_does_not_read_is_cut_off(void **state)
{
	uint8_t buf[FO_MSG_MAX];
	size_t sent = 0;

	(void)state;
	configure("secondary");
	start();
	peer_link();
	while (sent < (64u << 20)) {
		struct fo_writer w = peer_begin(buf, FO_BNDUPD, ++peer_xid);
		size_t at = 0;

		for (unsigned i = 0; i < 150; i++)
			fo_write_u32(&w, FO_OPT_ASSIGNED_ADDRESS, i);
		w.len = fo_write_end(&w);
		while (at < w.len) {
			ssize_t n = send(peer, buf + at, w.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n < 0 && errno != EAGAIN)
				goto cut;
			at += n > 0 ? (size_t)n : 0;
			if (n < 0)
				turn();
		}
		sent += w.len;
	}
	fail_msg("still heard after %zu octets", sent);
cut:
	peer_close();
	peer_link(); /* and may come back */
	peer_close();
}

static void put_lease(uint32_t addr)
{
	struct lease_client c = client_of(addr);
	struct lease l = { .addr = addr, .state = LEASE_ACTIVE, .expires = wall() + 600 };

	node_turn_begin(node);
	if (node_put(node, &l, &c) == 0)
		assert_int_equal(pool_apply(node->pool, &l, lease_store_batch(node->store)), 0);
}

/* A turn may end several times before the store has told what became of the batches before. What
 * is decided then waits for the batch that is still open. */
static void what_is_decided_waits_for_the_open_batch(void **state)
{
	(void)state;
	configure(NULL);
	start();
	for (unsigned i = 0; i < 5; i++) {
		uint64_t open;

		while (!lease_store_idle(node->store))
			(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
		put_lease(FIRST + i);
		open = lease_store_batch(node->store);
		assert_int_equal(node_wait_for(node), open);
		node_turn_end(node);
		assert_true(node_wait_for(node) >= open);
	}
	wait_until(node->durable >= node_wait_for(node));
}

static void fill_disk(const char *path)
{
	static const uint8_t zeros[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	for (size_t n = sizeof(zeros); n; n /= 2)
		while (write(fd, zeros, n) > 0)
			;
	close(fd);
}

static int setup_small(void **state)
{
	return setup_sized(state, "4m");
}

/* A full disk: silent until there is room, not only until the next try; and nothing that was
 * durable is lost (decision C2). */
static void silent_while_the_disk_is_full(void **state)
{
	char path[80];
	uint32_t n = 0;
	uint64_t kept;

	(void)state;
	configure(NULL);
	start();
	put_lease(FIRST);
	turn();
	wait_until(node->durable >= node_wait_for(node));
	kept = node->durable;
	snprintf(path, sizeof(path), "%s/filler", dir);
	fill_disk(path);
	while (node->serving && ++n < 16000) {
		put_lease(FIRST + n);
		turn();
	}
	assert_false(node->serving);
	assert_true(node->why_not[0]);
	for (int64_t until = clock_now().mono.us + 2500000; clock_now().mono.us < until;) {
		turn();
		assert_false(node->serving);
	}
	assert_int_equal(unlink(path), 0);
	wait_until(node->serving);
	assert_true(node->durable > kept);
	assert_int_equal(pool_get(node->pool, FIRST)->state, LEASE_ACTIVE);
	assert_int_equal(pool_get(node->pool, FIRST + n)->state, LEASE_NONE); /* never was */
	put_lease(FIRST + n);
	turn();
	wait_until(node->durable >= node_wait_for(node));
}

/* A record that found no room although its sender went on as if it had: memory is made anew, and
 * what was to be told of it is forgotten. */
static void a_refused_record_is_not_believed(void **state)
{
	(void)state;
	configure("secondary");
	start();
	wait_until(node->durable >= node_wait_for(node));
	put_lease(FIRST);
	assert_non_null(outbox_push(&node->outbox, node_wait_for(node), OUT_REPLY, 0, 1));
	node_put_refused(node);
	turn();
	assert_false(node->serving);
	assert_null(node->relations[0].ep);
	assert_int_equal(node->outbox.items, 0);
	wait_until(node->serving);
	assert_int_equal(pool_get(node->pool, FIRST)->state, LEASE_NONE);
	assert_non_null(node->relations[0].ep);
}

/* Frozen for longer than MCLT: the partner may have taken over and given away what was ours. It is
 * as after a restart; nothing that waited leaves, and the time of our last promise stays what it
 * was (decisions A8, A19). Frozen for less: the link is lost. */
static void frozen_and_thawed(void **state)
{
	struct fo_record before, after;
	struct fo_status now;

	(void)state;
	store_normal(false);
	configure("secondary");
	start();
	link_normal();
	wait_until(node->durable >= node_wait_for(node));
	node->last_turn.mono.us -= 100 * 1000000ll;
	node->last_turn.wall.sec -= 100;
	node_turn_begin(node);
	assert_int_equal(state_of(), FO_COMM_INT);
	/* not served since: a partner in PARTNER-DOWN since 50 s has taken over from us (A9) */
	fo_endpoint_status(node->relations[0].ep, &now);
	assert_int_equal(now.record->end.last_operational, node->now.wall.sec - 100);
	turn();
	wait_until(peer_is_closed());
	peer_close();
	link_normal();
	wait_until(node->durable >= node_wait_for(node));

	assert_int_equal(lease_store_get_relation(node->store, "campus", &before), 0);
	while (clock_now().wall.sec <= before.end.last_operational) /* another would be seen */
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_non_null(outbox_push(&node->outbox, node->durable + 1, OUT_REPLY, 0, 1));
	node->last_turn.mono.us -= (MCLT + 1) * 1000000ll;
	node_turn_begin(node);
	assert_int_equal(node->views[0].policy.serve, SERVE_NONE);
	assert_false(node->views[0].serve_renew || node->views[0].serve_new);
	turn();
	assert_int_equal(state_of(), FO_STARTUP);
	wait_until(node->durable >= node_wait_for(node) && node->outbox.items == 0);
	assert_int_equal(lease_store_get_relation(node->store, "campus", &after), 0);
	assert_int_equal(after.end.state, FO_STARTUP);
	assert_int_equal(after.end.last_operational, before.end.last_operational);
	wait_until(peer_is_closed());
	peer_close();
	link_normal();
	peer_close();
}

/* An operator's wish is confirmed when it is on disk and in force, and never when it is not. */
static void an_operator_hears_what_is_durable(void **state)
{
	struct fo_record r;

	(void)state;
	store_normal(false);
	configure("secondary");
	start();
	link_normal();
	wait_until(node->durable >= node_wait_for(node));
	peer_close();
	wait_until(state_of() == FO_COMM_INT);
	assert_null(node_operate(node, 0, FO_EV_OP_PAUSE, 0));
	assert_int_equal(lease_store_get_relation(node->store, "campus", &r), 0);
	assert_int_equal(r.end.state, FO_PAUSED);
	assert_int_equal(node->views[0].policy.serve, SERVE_NONE);
	assert_null(node_operate(node, 0, FO_EV_OP_RESUME, 0));
	turn();
	atomic_store(&sync_error, ENOSPC);
	assert_non_null(node_operate(node, 0, FO_EV_OP_PARTNER_DOWN, 0));
	assert_non_null(node_operate(node, 0, FO_EV_OP_PARTNER_DOWN, 0));
	assert_false(node->views[0].partner_down);
	turn();
	atomic_store(&sync_error, 0);
	wait_until(node->serving);
	assert_int_equal(state_of(), FO_STARTUP);
}

/* The kernel's and our own policy follow the state even if it found no room to wait. */
static void a_policy_is_not_forgotten(void **state)
{
	(void)state;
	configure("primary");
	start();
	wait_until(node->durable >= node_wait_for(node) && node->outbox.items == 0);
	node_turn_begin(node);
	for (uint32_t len = 1 << 20; len; len /= 2)
		while (outbox_push(&node->outbox, node->durable, OUT_REPLY, 0, len))
			;
	assert_null(fo_endpoint_operate(node->relations[0].ep, FO_EV_OP_FORCE_PARTNER_DOWN, 0,
					&node->now));
	assert_false(node->views[0].partner_down || node->views[0].serve_new);
	outbox_clear(&node->outbox);
	wait_until(node->views[0].partner_down && node->views[0].serve_new);
}

/* A disk that took longer than the client waits: it has asked again, and counts from then. */
static void a_late_reply_is_not_sent(void **state)
{
	struct out_reply head = { .dest = { .way = DHCP_TO_RELAY } };

	(void)state;
	configure(NULL);
	start();
	node_turn_begin(node);
	head.decided.us = node->now.mono.us - 2900000;
	node_send_reply(node, &head, sizeof(head));
	assert_int_equal(node->count.replies, 1);
	head.decided.us = node->now.mono.us - 3100000;
	node_send_reply(node, &head, sizeof(head));
	assert_int_equal(node->count.replies, 1);
	assert_int_equal(node->count.late, 1);
}

/* The end in order: what was decided becomes durable and is told, then the link has its FIN
 * (decision A10). */
static void what_was_decided_is_told_at_the_end(void **state)
{
	struct fo_msg m;
	bool acked = false;

	(void)state;
	store_normal(false);
	configure("secondary");
	start();
	link_normal();
	wait_until(node->outbox.items == 0);
	atomic_store(&stalled, true);
	peer_updates(FIRST, 1);
	wait_until(node->outbox.items > 0);
	atomic_store(&stalled, false);
	node_close(node);
	node = NULL;
	(void)event_base_loop(base, EVLOOP_NONBLOCK); /* libevent closes a little later */
	while (peer_hear(&m))
		acked |= m.type == FO_BNDACK;
	assert_true(acked);
	assert_true(peer_is_closed());
	peer_close();
}

/* A message of a client behind a relay that has 127.0.0.2. */
static void relay_unheard(struct dhcp_build *b)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(67),
				  .sin_addr.s_addr = htonl(0x7f000001) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len;

	db_put32(b, DHCP_OFF_GIADDR, NET + 1);
	len = db_done(b);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(sendto(fd, b->buf, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

static void relay(struct dhcp_build *b)
{
	uint64_t heard = node->count.datagrams;

	relay_unheard(b);
	wait_until(node->count.datagrams > heard);
}

/* --- two partners, one of whom says too much
 * ------------------------------------------------------
 */

enum { CAMPUS, WEST };
static int west = -1;

static void peer_is(uint32_t addr, const char *name)
{
	peer_addr = addr;
	peer_name = name;
}

static uint64_t heard_of(unsigned relation, uint8_t type)
{
	return fo_endpoint_counters(node->relations[relation].ep)->received[type];
}

/* Both links are up; @peer is that of campus. */
static void two_links(void)
{
	static const char two[] = "    relationship: campus\n"
				  "  - subnet: 10.8.0.0/16\n    ranges: [10.8.1.0-10.8.1.255]\n"
				  "    lease-time: 10m\n    relationship: west\n";
	char relations[1024];
	size_t len;

	snprintf(relations, sizeof(relations), campus, "secondary");
	len = strlen(relations);
	snprintf(relations + len, sizeof(relations) - len,
		 "  - name: west\n    role: secondary\n    local: 127.0.0.1\n"
		 "    partner: 127.0.0.3\n    max-client-lead-time: 1h\n    authentication: off\n");
	configure_text("lo", relations, two);
	start();
	peer_is(0x7f000003, "west");
	peer_link();
	west = peer;
	peer_is(0x7f000002, "campus");
	peer_link();
}

static void say_contact(void)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w = peer_begin(buf, FO_CONTACT, ++peer_xid);

	peer_send(&w);
}

/* One message of the other partner and one of a client are heard in one turn. */
static void others_are_heard(void)
{
	uint64_t contacts = heard_of(WEST, FO_CONTACT), datagrams = node->count.datagrams;
	int campus_peer = peer;
	struct dhcp_build b;

	peer = west;
	say_contact();
	peer = campus_peer;
	db_init(&b, 7);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	relay_unheard(&b);
	(void)event_base_loop(base, EVLOOP_ONCE); /* a turn as in main: of every priority */
	node_turn_end(node);
	assert_int_equal(heard_of(WEST, FO_CONTACT), contacts + 1);
	assert_int_equal(node->count.datagrams, datagrams + 1);
}

static void two_closed(void)
{
	peer_close();
	peer = west;
	peer_close();
	west = -1;
}

/* Of what has come at once a turn hears a part, then the others; the rest needs nothing to come. */
static void a_flood_delays_nobody(void **state)
{
	const unsigned n = 2000;
	uint64_t before;

	(void)state;
	two_links();
	before = heard_of(CAMPUS, FO_CONTACT);
	for (unsigned i = 0; i < n; i++)
		say_contact();
	assert_int_equal(heard_of(CAMPUS, FO_CONTACT), before); /* all of it is still to be read */
	others_are_heard();
	assert_in_range(heard_of(CAMPUS, FO_CONTACT) - before, 1, 64);
	others_are_heard();
	assert_in_range(heard_of(CAMPUS, FO_CONTACT) - before, 2, 128);
	wait_until(heard_of(CAMPUS, FO_CONTACT) == before + n);
	two_closed();
}

/* No timer is overlooked, and nobody is touched who has nothing to do. */
static void a_turn_touches_who_has_to_act(void **state)
{
	(void)state;
	two_links();
	node->next_refresh = mono_add_us(node->now.mono, 60000000); /* when all are looked at */
	for (int64_t until = clock_now().mono.us + 300000; clock_now().mono.us < until; turn()) {
		struct node_wake rest = node->wake[1];
		mono_t touched = node->relations[1].ep->now.mono;

		say_contact();
		node_turn_begin(node);
		assert_ptr_equal(node_endpoint(node, 0), node->relations[0].ep);
		assert_int_equal(node->wake[0].due.us, 0);
		assert_int_equal(node->wake[1].due.us, rest.due.us);
		node_turn_end(node);
		if (rest.due.us > node->now.mono.us)
			assert_int_equal(node->relations[1].ep->now.mono.us, touched.us);
		for (unsigned i = 0; i < 2; i++)
			assert_true(node->wake[i].due.us <=
				    fo_endpoint_next(node->relations[i].ep).us);
	}
	two_closed();
}

/* Held back after a long absence: who renews what we would give to others got it from a partner
 * that lives (decision A8). */
static void a_renewal_is_a_sign_of_the_partner(void **state)
{
	struct fo_record rec = normal_record(true);
	struct lease_store *st;
	struct dhcp_build b;
	uint64_t durable;

	(void)state;
	rec.end.last_operational = wall() - 2 * MCLT;
	st = open_store(&durable);
	assert_int_equal(lease_store_put_relation(st, "campus", &rec), 0);
	commit(st, &durable);
	lease_store_close(st);
	configure("primary");
	start();
	node->relations[0].ep->startup_at.us = 1;
	wait_until(node->views[0].hold);
	db_init(&b, 7);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPDISCOVER);
	relay(&b);
	assert_false(node->relations[0].ep->partner_sign);
	db_init(&b, 7);
	db_put32(&b, DHCP_OFF_CIADDR, FIRST + 5);
	db_opt8(&b, DHO_MESSAGE_TYPE, DHCPREQUEST);
	relay(&b);
	assert_int_equal(node->count.reasons[SERVER_ON_HOLD], 2);
	assert_true(node->relations[0].ep->partner_sign);
}

static void every_interface_is_heard(void **state)
{
	char list[64 * 8] = "", cmd[80];

	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		snprintf(cmd, sizeof(cmd), "ip link add t%u type veth peer name u%u", i, i);
		if (system(cmd)) {
			print_message("no veth here: skipped\n");
			skip();
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%st%u, u%u",
			 i ? ", " : "", i, i);
	}
	configure_on(NULL, list);
	start();
	assert_int_equal(node->n_dhcp_ev, 128);
	for (unsigned i = 0; i < 32; i++) {
		snprintf(cmd, sizeof(cmd), "ip link del t%u", i);
		assert_int_equal(system(cmd), 0);
	}
}

/* Somebody steps the clock of the system: leases go on by ours, and it is told (decision A20). */
static void a_step_of_the_clock_ends_nothing(void **state)
{
	uint32_t before;

	(void)state;
	configure(NULL);
	start();
	put_lease(FIRST);
	before = wall();
	atomic_store(&wall_offset, 86400);
	wait_until(node->clock_stepped);
	assert_in_range(wall(), before, before + 10);
	assert_int_equal(pool_get(node->pool, FIRST)->state, LEASE_ACTIVE);
	atomic_store(&wall_offset, 0);
	wait_until(!node->clock_stepped);
}

/* A clock that is behind what the store remembers: nobody is served until it is right again
 * (decision A20). */
static void a_clock_that_is_behind(void **state)
{
	struct lease l = known_lease(FIRST, wall() + 2 * 3600);
	struct lease_store *st;
	uint64_t durable;

	(void)state;
	l.cltt = wall() + 3600;
	st = open_store(&durable);
	store_lease(st, &l);
	commit(st, &durable);
	lease_store_close(st);
	configure("primary");
	start();
	turns(50);
	assert_false(node->serving);
	assert_non_null(strstr(node->why_not, "clock"));
	assert_null(node->relations[0].ep);
	atomic_store(&wall_offset, 3590); /* nearly right: within what is slewed */
	wait_until(node->serving);
	assert_true(wall() + 60 >= l.cltt);
	assert_int_equal(node->why_not[0], 0);
	assert_int_equal(state_of(), FO_STARTUP);
	atomic_store(&wall_offset, 0);
	clock_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ended_leases_wait_for_the_partner, setup, teardown),
		cmocka_unit_test_setup_teardown(the_audit_log_tells_what_is_durable, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_audit_log_is_off, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_acknowledged_is_on_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_decided_waits_for_the_open_batch, setup,
						teardown),
		cmocka_unit_test_setup_teardown(silent_while_the_disk_is_full, setup_small,
						teardown),
		cmocka_unit_test_setup_teardown(a_refused_record_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(an_abandoned_address_is_nobodys, setup, teardown),
		cmocka_unit_test_setup_teardown(frozen_and_thawed, setup, teardown),
		cmocka_unit_test_setup_teardown(an_operator_hears_what_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_is_not_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_late_reply_is_not_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_decided_is_told_at_the_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_turn_touches_who_has_to_act, setup, teardown),
		cmocka_unit_test_setup_teardown(a_renewal_is_a_sign_of_the_partner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_interface_is_heard, setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_of_the_clock_ends_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_good_link_is_tried_again_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flood_delays_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(a_partner_that_does_not_read_is_cut_off, setup,
						teardown),
	};

	if (!own_namespaces()) {
		printf("needs namespaces of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
