/*
 * The node as a whole in a network of its own: the real loop, store, sockets and configuration,
 * with a disk that stalls or fails on command and a partner that the test plays over TCP. What is
 * told before it is durable, or lost although it was told, shows here.
 *
 * Needs namespaces (as root, or of a user of one's own); skipped without.
 * First: it waits for 20 s in all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/node_world.h"

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

static void put_lease(uint32_t addr)
{
	struct lease_client c = client_of(addr);
	struct lease l = { .addr = addr, .state = LEASE_ACTIVE, .expires = wall() + 600 };

	c.host_name_len = UINT8_MAX; /* a disk is full the sooner */
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
	assert_int_equal(node_partner_next(node).us, MONO_NEVER.us); /* no timer of its, overdue */
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
	assert_int_equal(node->n_sockets, 256);
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
		cmocka_unit_test_setup_teardown(a_renewal_is_a_sign_of_the_partner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_interface_is_heard, setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_of_the_clock_ends_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_behind, setup, teardown),
	};

	if (!own_network(CLONE_NEWNS)) {
		printf("needs namespaces of its own (root, or user namespaces)\n");
		return 77;
	}
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
