/*
 * Certificates that end soon: which one is told, with what words, and how often; the partner's as
 * its handshake has shown it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "../lib/certificate.h"
#include "../lib/log_news.h"
#include "net/fo_session_priv.h"
#include "net/fo_tls.h"
#include "node_priv.h"

#define DAY_US (86400 * 1000000ll)

static char dir[] = "/tmp/test_certificates-XXXXXX";
static char crt[64], key[64], ca_crt[64];
static struct certificate ca;
static struct conf_relation relations[1] = {
	{ .fo = { .name = "campus" },
	  .tls = { .certificate = crt, .key = key, .partner_ca = ca_crt } }
};
static struct conf conf = { .relations = relations, .n_relations = 1 };
static struct node node;
static struct node_relation rel;

/* One that ends in @days, signed by a CA that ends in @ca_days and stands in the file as well. */
static void load(int days, int ca_days)
{
	struct certificate c;
	char err[FO_KEYS_ERR];

	certificate_free(&ca);
	ca = certificate_make("the ca", NULL, NULL, ca_days);
	c = certificate_make("a server", "IP:127.0.0.1", &ca, days);
	certificate_write(&c, &ca, crt, key);
	certificate_write(&ca, NULL, ca_crt, NULL);
	certificate_free(&c);
	fo_keys_free(node.keys);
	node.keys = NULL;
	assert_int_equal(fo_keys_load(&conf, &node.keys, err), 0);
}

static int setup(void **state)
{
	static int64_t days;

	(void)state;
	node.conf = &conf;
	node.relations = &rel;
	node.now = clock_now();
	node.now.mono.us += (days += 100) * DAY_US; /* after every test before */
	node.next_certificates = node.now.mono;
	rel = (struct node_relation){ .node = &node };
	(void)news();
	return 0;
}

static void later(int64_t us)
{
	node.now.mono.us += us;
	node.now.wall.sec += us / 1000000;
}

static void once_a_day(void **state)
{
	(void)state;
	load(31, 400);
	node_certificates_watch(&node);
	assert_int_equal(news(), 0);
	later(DAY_US);
	node_certificates_watch(&node);
	assert_int_equal(news(), 0); /* 30 days and an hour */
	later(DAY_US);
	node_certificates_watch(&node);
	assert_int_equal(news(), 1);
	assert_string_equal(last.what, "certificate-ends");
	assert_int_equal(last.level, LOG_L_WARNING);
	says("relationship=campus whose=ours");
	says(crt);
	says("subject=\"/CN=a server\"");
	says("ends=20");
	says("days-left=29");
	says("put another into the file and reload");
	later(DAY_US - 1000000);
	node_certificates_watch(&node);
	assert_int_equal(news(), 0);
	later(1000000);
	node_certificates_watch(&node);
	assert_int_equal(news(), 1);
	says("days-left=28");
	later(29 * DAY_US);
	node_certificates_watch(&node);
	assert_int_equal(news(), 1);
	assert_int_equal(last.level, LOG_L_ERROR); /* it is over */
}

/* Of several in the file the one that ends first. */
static void also_of_the_chain(void **state)
{
	(void)state;
	load(300, 10);
	node_certificates_watch(&node);
	assert_int_equal(news(), 1);
	says("subject=\"/CN=the ca\"");
	says("days-left=10");
}

/* A link that comes and goes each second does not fill the log. */
static void at_each_link(void **state)
{
	(void)state;
	load(20, 400);
	for (unsigned i = 0; i < 50; i++) {
		node_certificates_of(&rel);
		later(1000000);
	}
	assert_int_equal(news(), 1);
	later(20 * 1000000);
	node_certificates_of(&rel);
	assert_int_equal(news(), 1);
}

/* --- many relationships -----------------------------------------------------------------------
 */

#define MANY 64

static struct conf_relation many_confs[MANY];
static struct node_relation many[MANY];

static void use_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		many_confs[i] = relations[0];
		many[i] = (struct node_relation){ .node = &node, .index = i };
	}
	conf.relations = many_confs;
	conf.n_relations = MANY;
	node.relations = many;
}

static int use_one(void **state)
{
	(void)state;
	conf.relations = relations;
	conf.n_relations = 1;
	return 0;
}

static void watch_until_next(int64_t us)
{
	int64_t next = node.now.mono.us + us;

	node_certificates_watch(&node);
	assert_int_equal(node.next_certificates.us, next);
}

/* One file for all: one event a day, and one when their links come up one after the other. */
static void one_file_for_many(void **state)
{
	(void)state;
	use_many();
	load(10, 400);
	watch_until_next(DAY_US);
	assert_int_equal(news(), 1);
	later(DAY_US);
	watch_until_next(DAY_US);
	assert_int_equal(news(), 1);
	for (unsigned i = 1; i < MANY; i++) {
		later(61 * 1000000);
		assert_true(node_certificates_of(&many[i]));
	}
	assert_int_equal(news(), 0);
}

/* A file each: so many a minute, and the others in the minutes after it. */
static void a_file_each(void **state)
{
	static char names[MANY][4];
	unsigned told[4];

	(void)state;
	use_many();
	load(10, 400);
	for (unsigned i = 0; i < MANY; i++) { /* the keys are loaded: it is the names that count */
		snprintf(names[i], sizeof(names[i]), "%u", i);
		many_confs[i].tls.certificate = names[i];
	}
	for (unsigned i = 0; i < 4; i++) {
		watch_until_next(i < 3 ? 60000000 : DAY_US);
		told[i] = news();
		later(59 * 1000000);
		node_certificates_watch(&node);
		assert_int_equal(news(), 0);
		later(1000000);
	}
	assert_int_equal(told[0], 20);
	assert_int_equal(told[1], 20);
	assert_int_equal(told[2], 20);
	assert_int_equal(told[3], MANY - 60);
	says("file=63");
	node_certificates_watch(&node);
	assert_int_equal(news(), 0); /* until tomorrow */
}

/* --- the partner's ------------------------------------------------------------------------------
 */

static unsigned connected;

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)arg;
	assert_int_equal(what, BEV_EVENT_CONNECTED);
	connected++;
}

static struct bufferevent *end_of(struct event_base *base, int fd, bool client)
{
	struct bufferevent *plain = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE), *bev;

	relations[0].partner.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bev = fo_tls_start(base, plain, fo_keys_tls(node.keys, 0), &relations[0], client);
	assert_non_null(bev);
	bufferevent_setcb(bev, NULL, NULL, on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return bev;
}

/* Both sides show the same certificate; @l is the link of ours. Where there are many relationships
 * all have a link like it. */
static void theirs_after_a_handshake(bool client)
{
	struct event_base *base = event_base_new();
	struct bufferevent *bev[2];
	struct link l = { .relation = 0 }, links[MANY];
	struct fo_net net = { .links = &l, .n_links = 1 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	connected = 0;
	for (unsigned i = 0; i < 2; i++)
		bev[i] = end_of(base, fd[i], i);
	while (connected < 2)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	l.bev = bev[client];
	node.net = &net;
	node_certificates_of(&rel);
	l.up = true;
	node_certificates_of(&rel);
	assert_int_equal(news(), 1); /* ours; as long as it is not encrypted there is no other */
	l.encrypted = true;
	for (unsigned i = 0; i < MANY; i++)
		links[i] = l;
	net.links = links;
	for (unsigned i = 0; i < conf.n_relations; i++)
		assert_true(node_certificates_of(&node.relations[i]));
	node.net = NULL;
	for (unsigned i = 0; i < 2; i++)
		bufferevent_free(bev[i]);
	event_base_free(base);
}

static void of_the_partner(void **state)
{
	(void)state;
	for (unsigned client = 0; client < 2; client++) {
		later(2 * DAY_US);
		load(9, 400);
		theirs_after_a_handshake(client);
		assert_int_equal(news(), 1);
		says("whose=partner file=-");
		says("subject=\"/CN=a server\"");
		says("the partner needs another");
	}
}

static void of_its_ca(void **state)
{
	(void)state;
	load(300, 9);
	theirs_after_a_handshake(true);
	assert_int_equal(news(), 1);
	says("whose=partner-ca");
	says(ca_crt);
	says("subject=\"/CN=the ca\"");
}

/* The same CA, or the same partner, for all: once, with whichever link it comes. */
static void of_the_partner_of_many(void **state)
{
	(void)state;
	use_many();
	load(300, 9);
	theirs_after_a_handshake(true);
	assert_int_equal(news(), 1);
	says("whose=partner-ca");
	later(DAY_US);
	load(9, 400);
	theirs_after_a_handshake(true);
	assert_int_equal(news(), 1);
	says("whose=partner ");
	later(DAY_US);
	many_confs[7].partner.sin_addr.s_addr = htonl(0x7f000007); /* another, of the same name */
	theirs_after_a_handshake(true);
	assert_int_equal(news(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(once_a_day, setup),
		cmocka_unit_test_setup(also_of_the_chain, setup),
		cmocka_unit_test_setup(at_each_link, setup),
		cmocka_unit_test_setup(of_the_partner, setup),
		cmocka_unit_test_setup(of_its_ca, setup),
		cmocka_unit_test_setup_teardown(one_file_for_many, setup, use_one),
		cmocka_unit_test_setup_teardown(a_file_each, setup, use_one),
		cmocka_unit_test_setup_teardown(of_the_partner_of_many, setup, use_one),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(crt, sizeof(crt), "%s/a.crt", dir);
	snprintf(key, sizeof(key), "%s/a.key", dir);
	snprintf(ca_crt, sizeof(ca_crt), "%s/ca.crt", dir);
	clock_init();
	log_setup(LOG_L_ERROR, 0);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	fo_keys_free(node.keys);
	certificate_free(&ca);
	(void)unlink(crt);
	(void)unlink(key);
	(void)unlink(ca_crt);
	(void)rmdir(dir);
	return r;
}
