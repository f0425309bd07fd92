/*
 * The node and its partners: who is called again and when, who does not read, two of whom one says
 * too much, whom a turn touches, and who hears of a commit.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 * Alone: the seconds between two attempts to connect are measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/node_world.h"

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

/* --- who hears of a commit ---------------------------------------------------------------------
 */

#define WEST_FIRST 0x0a080100u

static struct fo_endpoint *endpoint_of(unsigned relation)
{
	return node->relations[relation].ep;
}

static void sink_one(unsigned relation)
{
	const struct fo_sink *s = &endpoint_of(relation)->sink;
	struct lease l = known_lease(relation == WEST ? WEST_FIRST : FIRST, wall() + 600);
	struct lease_client c = client_of(l.addr);

	s->put(s->ctx, &l, &c);
}

static void sink_run(unsigned relation)
{
	const struct fo_sink *s = &endpoint_of(relation)->sink;
	struct lease l = { .addr = WEST_FIRST + 8, .state = LEASE_FREE, .stos = wall() };

	s->put_run(s->ctx, &l, 4);
}

static void sink_record(unsigned relation)
{
	const struct fo_sink *s = &endpoint_of(relation)->sink;

	s->persist(s->ctx, &endpoint_of(relation)->rec);
}

/* What @put puts through the sink alone is committed: nobody has asked for the endpoint. */
static void commit_of(void (*put)(unsigned relation), unsigned relation)
{
	uint64_t batch;

	node_turn_begin(node);
	put(relation);
	batch = node_wait_for(node);
	assert_true(batch > node->durable);
	node_turn_end(node);
	wait_until(node->durable >= batch);
}

/* Of a commit hears who has put something, by whichever way, and nobody else. */
static void of_a_commit_hears_who_waits_for_it(void **state)
{
	static void (*const put[])(unsigned relation) = { sink_one, sink_run, sink_record };

	(void)state;
	two_links();
	node->next_refresh = mono_add_us(node->now.mono, 60000000); /* when all are looked at */
	commit_of(sink_one, CAMPUS); /* what both have put before is told */
	for (unsigned i = 0; i < sizeof(put) / sizeof(put[0]); i++) {
		uint64_t known = endpoint_of(WEST)->durable;

		commit_of(sink_one, CAMPUS);
		assert_int_equal(endpoint_of(CAMPUS)->durable, node->durable);
		assert_int_equal(endpoint_of(WEST)->durable, known);
		assert_true(known < node->durable);
		commit_of(put[i], WEST);
		assert_int_equal(endpoint_of(WEST)->durable, node->durable);
	}
	two_closed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_turn_touches_who_has_to_act, setup, teardown),
		cmocka_unit_test_setup_teardown(of_a_commit_hears_who_waits_for_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_good_link_is_tried_again_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flood_delays_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(a_partner_that_does_not_read_is_cut_off, setup,
						teardown),
	};

	if (!own_network(CLONE_NEWNS)) {
		printf("needs namespaces of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
