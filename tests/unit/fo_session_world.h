#pragma once
/*
 * For tests of the failover connections: a network of our own, our side of them with what it told,
 * and a partner that the test plays over TCP. Needs namespaces.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>

#include "../lib/own_network.h"
#include "../lib/wait_until.h"
#include "net/fo_session_priv.h"
#include "sys/clock.h"
#include "sys/log.h"

#define LINKS 12 /* at the most */
#define SECONDARY "role: secondary, authentication: off"
#define PRIMARY "role: primary, authentication: off"

/* --- our side --------------------------------------------------------------------------------- */

static struct event_base *base;
static struct conf *conf;
static struct fo_keys *keys;
static struct fo_net *net;
static unsigned ups, downs, heard, heard_in_turn, most_in_turn;
static unsigned heard_of[LINKS], waits_of[LINKS];
static unsigned refused[FO_REFUSED_SOCKET + 1]; /* bit by link */
static const char *name_of_theirs;
static bool full;

static inline void on_up(void *ctx, unsigned i, bool ours)
{
	(void)ctx, (void)i, (void)ours;
	ups++;
}

static inline void on_down(void *ctx, unsigned i, enum fo_close_reason why)
{
	(void)ctx, (void)i, (void)why;
	downs++;
}

static inline void on_message(void *ctx, unsigned i, const struct fo_msg *m)
{
	(void)ctx, (void)m;
	heard++;
	heard_of[i]++;
	if (++heard_in_turn > most_in_turn)
		most_in_turn = heard_in_turn;
}

static inline void on_garbage(void *ctx, unsigned i, enum fo_verdict v)
{
	(void)ctx, (void)v;
	fo_net_close(net, i, FO_CLOSE_PROTOCOL);
	downs++;
}

static inline void on_refused(void *ctx, unsigned i, enum fo_refused what, const char *why)
{
	(void)ctx, (void)why;
	refused[what] |= 1u << i;
}

static inline bool has_room(void *ctx, unsigned i)
{
	(void)ctx, (void)i;
	return !full;
}

static inline void on_waits(void *ctx, unsigned i)
{
	(void)ctx;
	waits_of[i]++;
}

static inline void turn(void)
{
	(void)event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	heard_in_turn = 0;
	fo_net_turn(net);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static inline struct conf *configuration(const char *terms)
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

static inline void start(const char *terms)
{
	struct fo_net_ops ops = { NULL,	      on_up,	  on_down,  on_message,
				  on_garbage, on_refused, has_room, on_waits };
	char err[256];

	conf = configuration(terms);
	assert_int_equal(fo_keys_load(conf, &keys, err), 0);
	assert_int_equal(fo_net_open(base, conf, keys, &ops, &net, err), 0);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

/* --- the partner ------------------------------------------------------------------------------ */

static inline struct sockaddr_in at(unsigned host, unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(0x7f000000 | host) };
}

static inline int their_socket(unsigned port)
{
	struct sockaddr_in from = at(2, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	return fd;
}

static inline int they_connect(void)
{
	struct sockaddr_in to = at(1, 647);
	int fd = their_socket(0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline int they_listen(void)
{
	int fd = their_socket(647);

	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static inline int they_accept(int listener)
{
	int fd = -1;

	(void)fcntl(listener, F_SETFL, O_NONBLOCK);
	wait_until((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	return fd;
}

static inline void they_write(int fd, const void *p, size_t len)
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

static inline size_t message(uint8_t type, uint8_t buf[FO_MSG_MAX])
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

static inline void they_say(int fd, uint8_t type)
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

static inline struct last they_hear(int fd)
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

static inline struct last they_hear_the_end(int fd)
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

static inline void turns(unsigned n)
{
	while (n--)
		turn();
}

/* What main() does before the tests; false, and told, where there is no namespace. */
static inline bool world_begin(void)
{
	if (!own_network(0)) {
		printf("needs a namespace of its own (root, or user namespaces)\n");
		return false;
	}
	clock_init();
	log_setup(LOG_L_ERROR, 0);
	return true;
}
