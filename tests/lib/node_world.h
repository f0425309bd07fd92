#pragma once
/*
 * A node in a network of its own, for tests of it: the real loop, store, sockets and configuration,
 * with a disk that stalls or fails on command, a wall clock that somebody sets, and a partner that
 * the test plays over TCP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/fo_endpoint_priv.h"
#include "dhcp_build.h"
#include "node_priv.h"
#include "own_fs.h"
#include "own_network.h"
#include "wait_until.h"

#define NET 0x0a090000u
#define FIRST (NET + 256) /* of the range */
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

static inline uint32_t wall(void)
{
	return sec_clamp(clock_now().wall.sec);
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
static inline void configure_text(const char *interfaces, const char *relations, const char *more)
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

static inline void configure_on(const char *role, const char *interfaces)
{
	char relation[512] = "";

	if (role)
		snprintf(relation, sizeof(relation), campus, role);
	configure_text(interfaces, relation, role ? "    relationship: campus\n" : "");
}

static inline void configure(const char *role)
{
	configure_on(role, "lo");
}

static inline void start(void)
{
	char err[256] = "";
	int r = node_open(base, conf, &node, err);

	if (!r)
		r = node_start(node, err);
	if (r < 0)
		print_error("%s\n", err);
	assert_int_equal(r, 0);
}

static inline void turn(void)
{
	(void)event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	node_turn_end(node);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static inline void turns(unsigned ms)
{
	int64_t until = clock_now().mono.us + ms * 1000;

	while (clock_now().mono.us < until)
		turn();
}

static inline int setup_sized(void **state, const char *size)
{
	(void)state;
	atomic_store(&stalled, false);
	atomic_store(&sync_error, 0);
	if (own_fs_open(&disk, "tmpfs", (const char *[]){ "size", size, NULL }) < 0)
		return -1;
	base = event_base_new();
	return base && event_base_priority_init(base, PRIO_COUNT) == 0 ? 0 : -1;
}

static inline int setup(void **state)
{
	return setup_sized(state, "64m");
}

static inline int teardown(void **state)
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

static inline void ignore_durable(void *ctx, uint64_t batch)
{
	*(uint64_t *)ctx = batch;
}

static inline void ignore_failed(void *ctx, uint64_t batch, int err)
{
	(void)ctx;
	(void)batch;
	(void)err;
}

static inline struct lease_store *open_store(uint64_t *durable)
{
	struct lease_store_conf c = { .directory = dir, .addresses = 1000 };
	struct lease_store_ops ops = { durable, ignore_durable, ignore_failed };
	struct lease_store *st;
	char err[256];

	*durable = 0;
	assert_int_equal(lease_store_open(&c, &ops, &st, err), 0);
	return st;
}

static inline void commit(struct lease_store *st, uint64_t *durable)
{
	uint64_t n = lease_store_submit(st);

	while (*durable < n) {
		struct pollfd p = { .fd = lease_store_fd(st), .events = POLLIN };

		assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
		lease_store_dispatch(st);
	}
}

static inline struct lease_client client_of(uint32_t n)
{
	struct lease_client c = { .htype = 1, .hlen = 6, .chaddr = { 2 } };

	memcpy(c.chaddr + 2, &n, sizeof(n));
	return c;
}

/* A lease that the partner knows, and the record of a relationship that was NORMAL until now. */
static inline struct lease known_lease(uint32_t addr, uint32_t expires)
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

static inline struct fo_record normal_record(bool primary)
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

static inline void store_lease(struct lease_store *st, const struct lease *l)
{
	struct lease_client c = client_of(l->addr);

	assert_int_equal(lease_store_put(st, l, &c), 0);
}

static inline bool on_disk(struct lease_store *st, uint32_t addr)
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

static inline struct fo_writer peer_begin(uint8_t *buf, uint8_t type, uint32_t xid)
{
	struct fo_writer w;

	fo_write_begin(&w, buf, FO_MSG_MAX, type, clock_now().wall, xid);
	return w;
}

static inline void peer_send(struct fo_writer *w)
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
static inline void peer_connect(void)
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

static inline void peer_introduce(void)
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

static inline void peer_tell(uint8_t state)
{
	struct fo_state_msg s = { .state = state, .stos = wall() - 700 };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w = peer_begin(buf, FO_STATE, ++peer_xid);

	fo_write_state(&w, &s);
	peer_send(&w);
}

/* The next message that has arrived, or false. It is valid until the next call. */
static inline bool peer_hear(struct fo_msg *m)
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

static inline bool peer_hears(uint8_t type)
{
	struct fo_msg m;

	while (peer_hear(&m))
		if (m.type == type)
			return true;
	return false;
}

/* Whatever else the node still says is passed over. */
static inline bool peer_is_closed(void)
{
	static uint8_t rest[65536];
	ssize_t n;

	do
		n = recv(peer, rest, sizeof(rest), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static inline void peer_close(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static inline void peer_link(void)
{
	peer_connect();
	peer_introduce();
	wait_until(peer_hears(FO_CONNECTACK));
}

/* BNDUPDs about new leases of addresses from @first on, 40 a message. */
static inline void peer_updates(uint32_t first, unsigned count)
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

static inline uint8_t state_of(void)
{
	struct fo_status s;

	fo_endpoint_status(node->relations[0].ep, &s);
	return s.record->end.state;
}

static inline void store_normal(bool primary)
{
	struct fo_record rec = normal_record(primary);
	uint64_t durable;
	struct lease_store *st = open_store(&durable);

	assert_int_equal(lease_store_put_relation(st, "campus", &rec), 0);
	commit(st, &durable);
	lease_store_close(st);
}

static inline void link_normal(void)
{
	peer_link();
	peer_tell(FO_NORMAL);
	wait_until(state_of() == FO_NORMAL && node->views[0].balanced);
}

/* A message of a client behind a relay that has 127.0.0.2. */
static inline void relay_unheard(struct dhcp_build *b)
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

static inline void relay(struct dhcp_build *b)
{
	uint64_t heard = node->count.datagrams;

	relay_unheard(b);
	wait_until(node->count.datagrams > heard);
}
