/*
 * The connections of the failover relationships where something runs short: descriptors, room,
 * turns of the loop, the time that a partner may take to speak or to read.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 */
#include <sys/resource.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "fo_session_world.h"
#include "../lib/certificate.h"

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
		cmocka_unit_test_setup_teardown(a_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(many_floods, setup, teardown),
		cmocka_unit_test_setup_teardown(half_open, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_speaker_gains_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_answer_gains_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader_gains_no_time, setup, teardown),
	};

	if (!world_begin())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
