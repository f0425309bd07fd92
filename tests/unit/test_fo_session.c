/*
 * The connections of the failover relationships, without what is said on them: a partner that the
 * test plays over TCP connects twice, says half a message, floods, and is replaced by another.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "../lib/certificate.h"
#include "net/fo_session_priv.h"
#include "sys/clock.h"
#include "sys/log.h"

#define LIMIT_MS 10000
#define LINKS 12 /* at the most */

/* --- a network of our own ----------------------------------------------------------------------
 */

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = -1;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

static int of_lo(unsigned long request, struct ifreq lo)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	strcpy(lo.ifr_name, "lo");
	r = fd < 0 ? -1 : ioctl(fd, request, &lo);
	if (fd >= 0)
		close(fd);
	return r;
}

static bool own_network(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET) < 0 ||
	    (getuid() && put_text("/proc/self/uid_map", map) < 0))
		return false;
	return of_lo(SIOCSIFFLAGS, (struct ifreq){ .ifr_flags = IFF_UP }) == 0;
}

static void address_of_lo(uint32_t addr) /* 0: none */
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
	struct ifreq lo = { 0 };

	memcpy(&lo.ifr_addr, &a, sizeof(a));
	assert_int_equal(of_lo(SIOCSIFADDR, lo), 0);
}

/* --- our side ----------------------------------------------------------------------------------
 */

static struct event_base *base;
static struct conf *conf;
static struct fo_keys *keys;
static struct fo_net *net;
static unsigned ups, downs, heard, heard_in_turn, most_in_turn;
static unsigned heard_of[LINKS], waits_of[LINKS];
static unsigned refused[FO_REFUSED_SOCKET + 1]; /* bit by link */
static const char *name_of_theirs;
static bool full;

static void on_up(void *ctx, unsigned i, bool ours)
{
	(void)ctx, (void)i, (void)ours;
	ups++;
}

static void on_down(void *ctx, unsigned i, enum fo_close_reason why)
{
	(void)ctx, (void)i, (void)why;
	downs++;
}

static void on_message(void *ctx, unsigned i, const struct fo_msg *m)
{
	(void)ctx, (void)m;
	heard++;
	heard_of[i]++;
	if (++heard_in_turn > most_in_turn)
		most_in_turn = heard_in_turn;
}

static void on_garbage(void *ctx, unsigned i, enum fo_verdict v)
{
	(void)ctx, (void)v;
	fo_net_close(net, i, FO_CLOSE_PROTOCOL);
	downs++;
}

static void on_refused(void *ctx, unsigned i, enum fo_refused what, const char *why)
{
	(void)ctx, (void)why;
	refused[what] |= 1u << i;
}

static bool has_room(void *ctx, unsigned i)
{
	(void)ctx, (void)i;
	return !full;
}

static void on_waits(void *ctx, unsigned i)
{
	(void)ctx;
	waits_of[i]++;
}

static void turn(void)
{
	(void)event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	heard_in_turn = 0;
	fo_net_turn(net);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
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

static struct conf *configuration(const char *terms)
{
	static const char head[] = "server: {interfaces: [lo], server-identifier: 10.9.0.1}\n"
				   "relationships:\n"
				   "  - {name: campus, local: 127.0.0.1, partner: 127.0.0.2, %s}\n"
				   "scopes:\n"
				   "  - {subnet: 10.9.0.0/16, relationship: campus}\n";
	struct conf_problems problems;
	struct conf *c = NULL;
	char text[2048];

	snprintf(text, sizeof(text), head, terms);
	if (conf_parse("test.yaml", text, strlen(text), &c, &problems) < 0)
		conf_problems_print("test.yaml", &problems, stderr);
	conf_problems_free(&problems);
	assert_non_null(c);
	return c;
}

static void start(const char *terms)
{
	struct fo_net_ops ops = { NULL,	      on_up,	  on_down,  on_message,
				  on_garbage, on_refused, has_room, on_waits };
	char err[256];

	conf = configuration(terms);
	assert_int_equal(fo_keys_load(conf, &keys, err), 0);
	assert_int_equal(fo_net_open(base, conf, keys, &ops, &net, err), 0);
}

static int setup(void **state)
{
	(void)state;
	ups = downs = heard = most_in_turn = 0;
	full = false;
	memset(heard_of, 0, sizeof(heard_of));
	memset(waits_of, 0, sizeof(waits_of));
	memset(refused, 0, sizeof(refused));
	name_of_theirs = "campus";
	base = event_base_new();
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fo_net_close_all(net);
	net = NULL;
	fo_keys_free(keys);
	keys = NULL;
	conf_free(conf);
	conf = NULL;
	event_base_free(base);
	return 0;
}

/* --- the partner -------------------------------------------------------------------------------
 */

static struct sockaddr_in at(unsigned host, unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(0x7f000000 | host) };
}

static int their_socket(unsigned port)
{
	struct sockaddr_in from = at(2, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	return fd;
}

static int they_connect(void)
{
	struct sockaddr_in to = at(1, 647);
	int fd = their_socket(0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int they_listen(void)
{
	int fd = their_socket(647);

	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int they_accept(int listener)
{
	int fd = -1;

	(void)fcntl(listener, F_SETFL, O_NONBLOCK);
	wait_until((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	return fd;
}

static void they_write(int fd, const void *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n =
			send(fd, (const char *)p + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else
			turn();
	}
}

static size_t message(uint8_t type, uint8_t buf[FO_MSG_MAX])
{
	struct fo_connect c = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_MCLT,
		.name = { (const uint8_t *)name_of_theirs, (uint32_t)strlen(name_of_theirs) },
		.vendor = { (const uint8_t *)FO_VENDOR_CLASS, sizeof(FO_VENDOR_CLASS) - 1 },
		.mclt = 3600,
	};
	struct fo_writer w;

	fo_write_begin(&w, buf, FO_MSG_MAX, type, clock_now().wall, 1);
	if (type == FO_CONNECT)
		fo_write_connect(&w, &c);
	return fo_write_end(&w);
}

static void they_say(int fd, uint8_t type)
{
	uint8_t buf[FO_MSG_MAX];

	they_write(fd, buf, message(type, buf));
}

/* What has come and then the end: type and reject reason of the last message; 0: nothing came. */
struct last {
	bool closed;
	unsigned type;
	uint32_t reason;
};

static struct last they_hear(int fd)
{
	static uint8_t in[65536];
	struct last last = { false, 0, 0 };
	struct fo_msg m;
	size_t have = 0;
	ssize_t n;

	while ((n = recv(fd, in + have, sizeof(in) - have, MSG_DONTWAIT)) > 0)
		have += (size_t)n;
	last.closed = n == 0 || errno == ECONNRESET;
	for (size_t i = 0; fo_msg_decode(in + i, have - i, &m) == FO_OK; i += m.len) {
		last.type = m.type;
		last.reason = 0;
		(void)fo_msg_u32(&m, FO_OPT_REJECT_REASON, &last.reason);
	}
	return last;
}

static struct last they_hear_the_end(int fd)
{
	int64_t limit = clock_now().mono.us + LIMIT_MS * 1000;
	struct last last = { false, 0, 0 };

	while (!last.closed) {
		struct last l = they_hear(fd);

		if (l.type)
			last = l;
		last.closed = l.closed;
		turn();
		assert_true(clock_now().mono.us < limit);
	}
	return last;
}

static void turns(unsigned n)
{
	while (n--)
		turn();
}

/* --- tests -------------------------------------------------------------------------------------
 */

#define SECONDARY "role: secondary, authentication: off"
#define PRIMARY "role: primary, authentication: off"

/* Half a message is nothing that could be done: the loop sleeps until the rest comes. */
static void half_a_message(void **state)
{
	uint8_t buf[FO_MSG_MAX];
	size_t len = message(FO_CONTACT, buf);
	int fd;

	(void)state;
	start(SECONDARY);
	fd = they_connect();
	they_say(fd, FO_CONNECT);
	wait_until(heard == 1);
	they_write(fd, buf, len - 1);
	turns(50);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	they_write(fd, buf + len - 1, 1);
	wait_until(heard == 2);
	close(fd);
	wait_until(downs == 1);
}

static unsigned told(const char *what)
{
	struct log_record r[64];
	unsigned n = log_ring_read(0, r, 64), count = 0;

	for (unsigned i = 0; i < n; i++)
		count += !strcmp(r[i].what, what);
	return count;
}

/* No descriptor is left: the loop sleeps, and the connection is taken when there is one again. */
static void no_descriptor_left(void **state)
{
	struct rlimit before, now;
	int fd;

	(void)state;
	start(SECONDARY);
	fd = they_connect();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)fd + 1; /* the lowest free one was theirs */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	turns(20);
	assert_int_equal(told("failover-accept-failed"), 1); /* it did not try in every turn */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	they_say(fd, FO_CONNECT);
	wait_until(heard == 1);
	close(fd);
	wait_until(downs == 1);
}

/* Nor for our own connection: that is told, and not as if the address were gone. */
static void no_descriptor_to_call(void **state)
{
	int listener = they_listen(), fd;
	struct rlimit before, now;

	(void)state;
	start(PRIMARY);
	fd = their_socket(0); /* the lowest free one */
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	event_active(net->links[0].retry, EV_TIMEOUT, 0);
	turns(20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(refused[FO_REFUSED_LOCAL], 0);
	assert_int_equal(refused[FO_REFUSED_SOCKET], 1);
	close(they_accept(listener)); /* tried again */
	close(listener);
}

/* A part in each turn, and all in the end; nothing while there is no room. */
static void a_flood(void **state)
{
	uint8_t buf[FO_MSG_MAX];
	size_t len = message(FO_CONTACT, buf);
	int fd;

	(void)state;
	start(SECONDARY);
	fd = they_connect();
	they_say(fd, FO_CONNECT);
	wait_until(heard == 1);
	full = true;
	for (unsigned i = 0; i < 20000; i++)
		they_write(fd, buf, len);
	turns(20);
	assert_int_equal(heard, 1);
	full = false;
	wait_until(heard == 20001);
	assert_in_range(most_in_turn, 2, 64);
	close(fd);
	wait_until(downs == 1);
}

/* The first CONNECT counts; the second is told so before its connection ends (failover-wire §1.2).
 */
/* Who has said more than the others does not keep them from being heard: each has its turn, and
 * whose octets wait is not taken for silent. */
static void many_floods(void **state)
{
	char terms[1536] = SECONDARY, name[8];
	uint8_t buf[FO_MSG_MAX];
	size_t len = message(FO_CONTACT, buf);
	int fd[LINKS];

	(void)state;
	for (unsigned i = 1; i < LINKS; i++)
		snprintf(terms + strlen(terms), sizeof(terms) - strlen(terms),
			 "}\n  - {name: r%u, local: 127.0.0.1, partner: 127.0.0.2, " SECONDARY, i);
	start(terms);
	for (unsigned i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		name_of_theirs = i ? name : "campus";
		fd[i] = they_connect();
		they_say(fd[i], FO_CONNECT);
		wait_until(heard_of[i] == 1);
	}
	for (unsigned i = 0; i < LINKS; i++)
		for (unsigned k = 0; k < 2000; k++)
			they_write(fd[i], buf, len);
	memset(heard_of, 0, sizeof(heard_of));
	for (unsigned k = 0; k < 12; k++) {
		unsigned before[LINKS];

		memcpy(before, heard_of, sizeof(before));
		memset(waits_of, 0, sizeof(waits_of));
		turn();
		for (unsigned i = 0; i < LINKS; i++)
			assert_true(waits_of[i] || heard_of[i] > before[i]);
	}
	for (unsigned i = 0; i < LINKS; i++)
		assert_true(heard_of[i] >= 3 * 64);
	for (unsigned i = 0; i < LINKS; i++)
		close(fd[i]);
	wait_until(downs == LINKS);
}

static void a_second_connection(void **state)
{
	struct last last;
	int first, second;

	(void)state;
	start(SECONDARY);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(ups == 1);
	second = they_connect();
	they_say(second, FO_CONNECT);
	last = they_hear_the_end(second);
	assert_int_equal(last.type, FO_CONNECTACK);
	assert_int_equal(last.reason, FO_REJECT_DUPLICATE_CONNECTION);
	they_say(first, FO_CONTACT);
	wait_until(heard == 2);
	assert_int_equal(ups, 1);
	assert_int_equal(downs, 0);
	close(first);
	close(second);
}

/* Silent beyond the receive timer: it gives way. */
static void a_silent_connection(void **state)
{
	int first, second;

	(void)state;
	start(SECONDARY ", contact-timeout: 1s");
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(ups == 1);
	for (int64_t until = clock_now().mono.us + 1100000; clock_now().mono.us < until;)
		turn();
	second = they_connect();
	they_say(second, FO_CONNECT);
	wait_until(ups == 2);
	assert_int_equal(downs, 1);
	assert_int_equal(they_hear_the_end(first).type, 0);
	they_say(second, FO_CONTACT);
	wait_until(heard == 3);
	close(first);
	close(second);
}

/* The secondary's own connection is an invitation and gives way to the primary's, as long as the
 * primary has not spoken on it. */
static void both_connect_to_us(void **state)
{
	int listener, own, theirs;

	(void)state;
	listener = they_listen();
	start(SECONDARY ", dialect: isc");
	own = they_accept(listener);
	wait_until(ups == 1);
	theirs = they_connect();
	they_say(theirs, FO_CONNECT);
	wait_until(ups == 2);
	assert_int_equal(downs, 1);
	assert_true(they_hear_the_end(own).closed);
	they_say(theirs, FO_CONTACT);
	wait_until(heard == 2);
	close(own);
	close(theirs);
	close(listener);
}

static void spoken_on_ours(void **state)
{
	int listener, own, theirs;
	struct last last;

	(void)state;
	listener = they_listen();
	start(SECONDARY ", dialect: isc");
	own = they_accept(listener);
	they_say(own, FO_CONNECT);
	wait_until(heard == 1);
	theirs = they_connect();
	they_say(theirs, FO_CONNECT);
	last = they_hear_the_end(theirs);
	assert_int_equal(last.reason, FO_REJECT_DUPLICATE_CONNECTION);
	they_say(own, FO_CONTACT);
	wait_until(heard == 2);
	assert_int_equal(downs, 0);
	close(own);
	close(theirs);
	close(listener);
}

/* The primary has a link: what comes in beside it is closed without a word. */
static void beside_our_own(void **state)
{
	int listener, own, theirs;

	(void)state;
	listener = they_listen();
	start(PRIMARY);
	own = they_accept(listener);
	wait_until(ups == 1);
	theirs = they_connect();
	assert_int_equal(they_hear_the_end(theirs).type, 0);
	they_say(own, FO_CONTACT);
	wait_until(heard == 1);
	assert_int_equal(downs, 0);
	close(own);
	close(theirs);
	close(listener);
}

/* It has none: it speaks on the one that came in, and connects itself once that is gone. */
static void instead_of_our_own(void **state)
{
	int listener, own, theirs;

	(void)state;
	start(PRIMARY);
	theirs = they_connect();
	wait_until(ups == 1);
	they_say(theirs, FO_CONTACT);
	wait_until(heard == 1);
	listener = they_listen();
	close(theirs);
	wait_until(downs == 1);
	own = they_accept(listener);
	wait_until(ups == 2);
	close(own);
	close(listener);
}

/* Of those who say nothing a few are kept, and one who speaks is heard all the same. */
static void half_open(void **state)
{
	int fd[40], open = 0;

	(void)state;
	start(SECONDARY);
	for (unsigned i = 0; i < 40; i++) {
		fd[i] = they_connect();
		turn();
	}
	turns(20);
	for (unsigned i = 0; i < 40; i++)
		open += !they_hear(fd[i]).closed;
	assert_in_range(open, 1, 4);
	they_say(fd[39], FO_CONNECT);
	wait_until(heard == 1);
	for (unsigned i = 0; i < 40; i++)
		close(fd[i]);
}

/* All but the last octet of a message, one now and then, for more than a second: true when they
 * close the connection meanwhile. */
static bool they_drip(int fd, uint8_t type)
{
	uint8_t buf[FO_MSG_MAX];
	size_t len = message(type, buf), said = 0;
	int64_t next = 0;

	while (said + 1 < len && !they_hear(fd).closed) {
		turn();
		if (clock_now().mono.us < next)
			continue;
		(void)!send(fd, buf + said++, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		next = clock_now().mono.us + 1100000 / (int64_t)len;
	}
	return said > 1 && they_hear(fd).closed;
}

/* The first message is whole in time, or the end comes. */
static void a_slow_speaker_gains_no_time(void **state)
{
	int fd;

	(void)state;
	start(SECONDARY);
	assert_int_equal(net->patience_ms, 15000);
	net->patience_ms = 300;
	fd = they_connect();
	assert_true(they_drip(fd, FO_CONNECT));
	assert_null(net->inbound);
	assert_int_equal(ups, 0);
	close(fd);
}

/* Likewise the answer that agrees on TLS, and it is told. */
static void a_slow_answer_gains_no_time(void **state)
{
	static const char terms[] =
		"role: primary, tls: {certificate: %s/a, key: %s/k, partner-ca: %s/a}";
	char dir[] = "/tmp/test_fo_session-XXXXXX", file[40], key[40], text[256];
	struct certificate c = certificate_make("a", NULL, NULL, 100);
	int listener, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/a", dir);
	snprintf(key, sizeof(key), "%s/k", dir);
	certificate_write(&c, NULL, file, key);
	certificate_free(&c);
	listener = they_listen();
	snprintf(text, sizeof(text), terms, dir, dir, dir);
	start(text); /* reads them */
	(void)unlink(file);
	(void)unlink(key);
	(void)rmdir(dir);
	net->patience_ms = 300;
	fd = they_accept(listener);
	assert_true(they_drip(fd, FO_CONNECT));
	assert_int_equal(refused[FO_REFUSED_TLS], 1);
	assert_int_equal(ups, 0);
	close(fd);
	close(listener);
}

/* Our own address is taken away: told by who calls and by who is called; the link is made when it
 * is back. */
static void the_address_goes(void **state)
{
	int listener = they_listen(), fd;

	(void)state;
	start(PRIMARY "}\n  - {name: r1, local: 127.0.0.1, partner: 127.0.0.2, " SECONDARY);
	event_active(net->links[1].retry, EV_TIMEOUT, 0); /* not in five seconds */
	address_of_lo(0);
	wait_until(refused[FO_REFUSED_LOCAL] == 3); /* of both */
	address_of_lo(INADDR_LOOPBACK);
	fd = they_accept(listener);
	wait_until(ups == 1);
	assert_null(net->links[1].bev); /* the secondary has called nobody */
	close(fd);
	close(listener);
}

/* Another configuration: every connection ends, also one that has not spoken yet. */
static void used_anew(void **state)
{
	struct conf *next;
	int first, second;

	(void)state;
	start(SECONDARY);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(heard == 1);
	second = they_connect();
	turns(20);
	next = configuration(SECONDARY ", max-unacked-updates: 7");
	fo_net_use(net, next, keys);
	conf_free(conf);
	conf = next;
	assert_true(they_hear_the_end(first).closed);
	assert_true(they_hear_the_end(second).closed);
	close(first);
	first = they_connect();
	they_say(first, FO_CONNECT);
	wait_until(heard == 2);
	close(first);
	close(second);
}

/* Told in full or not: two seconds, also where an octet goes now and then. */
static void a_slow_reader_gains_no_time(void **state)
{
	static uint8_t msg[1024];
	uint8_t drop[16];
	int fd, small = 4096;

	(void)state;
	start(SECONDARY);
	fd = they_connect();
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	they_say(fd, FO_CONNECT);
	wait_until(ups == 1);
	for (unsigned i = 0; i < 20000 && !net->links[0].choked; i++) {
		if (evbuffer_get_length(bufferevent_get_output(net->links[0].bev)) < 400000)
			fo_net_send(net, 0, msg, sizeof(msg));
		if (i % 16 == 0)
			turn();
	}
	assert_false(net->links[0].choked);
	fo_net_close(net, 0, FO_CLOSE_PROTOCOL);
	assert_non_null(net->leaving);
	wait_until((recv(fd, drop, sizeof(drop), MSG_DONTWAIT), !net->leaving));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_descriptor_left, setup, teardown),
		cmocka_unit_test_setup_teardown(no_descriptor_to_call, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(many_floods, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(a_silent_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(both_connect_to_us, setup, teardown),
		cmocka_unit_test_setup_teardown(spoken_on_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(beside_our_own, setup, teardown),
		cmocka_unit_test_setup_teardown(instead_of_our_own, setup, teardown),
		cmocka_unit_test_setup_teardown(half_open, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_speaker_gains_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_answer_gains_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(the_address_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(used_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader_gains_no_time, setup, teardown),
	};

	if (!own_network()) {
		printf("needs a namespace of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	log_setup(LOG_L_ERROR, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
