#pragma once
/*
 * For tests of the API: a child process that serves made-up data through struct ctl_ops on a UNIX
 * socket, and the client of twinctl to ask it with. start() and stop() are for the group of tests.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "ctl/control.h"
#include "sys/log.h"
#include "twinctl/http.c"
#include "twinctl/print.c"

#define NET 0x0a090000u
#define DESCRIPTORS 256 /* the server's limit */

static char socket_path[64];
static pid_t child;

/* --- what the child serves -------------------------------------------------------------------- */

static struct conf conf;
static struct conf_relation relation;
static struct fo_record record;
static struct fo_view view;
static struct fo_counters counters;
static struct scope scope;
static struct addr_range range = { NET + 10, NET + 209, 0, 0 };
static struct pool *pool;

static unsigned answered, most_in_one_turn;

static inline struct now fake_now(void *ctx)
{
	(void)ctx;
	return (struct now){ { 5000000 }, { 1700000000 } };
}

static inline const struct conf *fake_conf(void *ctx)
{
	(void)ctx;
	return &conf;
}

static inline const struct pool *fake_pool(void *ctx)
{
	(void)ctx;
	return pool;
}

static inline void fake_status(void *ctx, struct ctl_status *ret)
{
	(void)ctx;
	answered++;
	*ret = (struct ctl_status){ .version = "9",
				    .server_name = "a",
				    .serving = true,
				    .why_not = "",
				    .filter_mode = "native",
				    .leases_active = 3 };
}

static inline void fake_relation(void *ctx, unsigned i, struct fo_status *ret)
{
	(void)ctx;
	(void)i;
	*ret = (struct fo_status){ .conf = &relation.fo,
				   .record = &record,
				   .view = &view,
				   .counters = &counters,
				   .connected = true,
				   .clock_skew_ms = -1500,
				   .pending_updates = 7,
				   .next = "something happens",
				   .next_at = 1700000100 };
}

static inline const char *fake_operate(void *ctx, unsigned i, enum fo_event ev, uint32_t since)
{
	(void)ctx;
	(void)i;
	if (ev == FO_EV_OP_PARTNER_DOWN)
		return "the partner is linked";
	return ev == FO_EV_OP_FORCE_PARTNER_DOWN && since == 1700000000 ? NULL : "unexpected";
}

static inline int fake_lease(void *ctx, uint32_t addr, struct lease *ret, struct lease_client *c)
{
	(void)ctx;
	if (addr < NET + 10 || addr > NET + 12)
		return -ENOENT;
	*ret = (struct lease){ .addr = addr, .state = LEASE_ACTIVE, .expires = 1700003600 };
	*c = (struct lease_client){ .htype = 1,
				    .hlen = 6,
				    .chaddr = { 2, 0, 0, 0, 0, (uint8_t)addr },
				    .host_name_len = 2,
				    .host_name = "pc" };
	return 0;
}

static inline int fake_filter(void *ctx, struct ctl_filter *ret)
{
	(void)ctx;
	memset(ret, 0, sizeof(*ret));
	ret->mode = "native";
	return 0;
}

static inline int fake_buckets(void *ctx, unsigned i, struct ctl_bucket ret[256])
{
	(void)ctx;
	(void)i;
	ret[255].left = 5;
	return 0;
}

static inline void fake_explain(void *ctx, const struct lease_client *c, uint32_t addr,
				uint16_t secs, struct server_decision *ret)
{
	(void)ctx;
	memset(ret, 0, sizeof(*ret));
	ret->scope = &scope;
	ret->bucket = (uint8_t)(c->chaddr[5] + secs);
	ret->answer = true;
	ret->reply.yiaddr = addr + 9;
	ret->grant.limited_by = LIMIT_MCLT;
}

static inline unsigned fake_metrics(void *ctx, struct ctl_metric ret[CTL_METRICS_MAX])
{
	(void)ctx;
	ret[0] = (struct ctl_metric){ "twinlease_x_total", "reason", "a\"\\\n", "help", false, 4 };
	ret[1] = (struct ctl_metric){ "most_in_one_turn", "", "", "help", true, most_in_one_turn };
	return 2;
}

static inline void make_pool(void)
{
	size_t size = pool_size(&conf.scopes, 16);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pool = pool_init(mem, size, &conf.scopes, 16);
	for (uint32_t i = 10; i < 13; i++) {
		struct lease l = { .addr = NET + i,
				   .state = LEASE_ACTIVE,
				   .expires = 1700003600,
				   .key = { { i, 1 } } };

		pool_apply(pool, &l, 0);
	}
	pool_apply_run(pool, &(struct lease){ .addr = NET + 100, .state = LEASE_BACKUP }, 50, 0);
}

static inline void make_conf(const char **listen)
{
	scope = (struct scope){ .subnet = NET,
				.prefix = 24,
				.relation = 0,
				.name = "floor 9",
				.lease_time = 600,
				.n_ranges = 1 };
	conf.scopes = (struct scope_table){ &scope, 1, &range, 1 };
	relation.fo = (struct fo_conf){ .name = "cam/pus", .primary = true, .mclt = 30 };
	memset(relation.fo.policy.hba, 0xff, 16);
	record = (struct fo_record){ .end = { .state = FO_NORMAL,
					      .peer = FO_NORMAL,
					      .stos = 1700000000,
					      .primary = true } };
	conf.relations = &relation;
	conf.n_relations = 1;
	conf.api.listen = listen;
	conf.api.n_listen = 1;
	make_pool();
}

static bool ended;

static inline void end_child(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	ended = true;
}

static bool stepped = true;

static inline void fake_clock(void *ctx, struct ctl_clock *ret)
{
	(void)ctx;
	*ret = (struct ctl_clock){ .ours = 1700000000,
				   .system = stepped ? 1700007200 : 1700000000,
				   .step_sec = stepped ? 7200 : 0,
				   .limit_sec = 60 };
}

static inline const char *fake_clock_accept(void *ctx)
{
	(void)ctx;
	if (!stepped)
		return "there is nothing to accept";
	stepped = false;
	return NULL;
}

static inline void serve(int ready)
{
	static char listen_at[80];
	const char *listen[] = { listen_at };
	struct event_base *base = event_base_new();
	struct event *end = evsignal_new(base, SIGTERM, end_child, NULL);
	struct ctl_ops ops = { NULL,	    fake_now,	      fake_conf,    fake_pool,
			       fake_status, fake_relation,    fake_operate, fake_lease,
			       fake_filter, fake_buckets,     fake_explain, fake_metrics,
			       fake_clock,  fake_clock_accept };
	struct ctl *ctl;
	char err[256];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){ DESCRIPTORS, DESCRIPTORS });
	snprintf(listen_at, sizeof(listen_at), "unix:%s", socket_path);
	make_conf(listen);
	log_setup(LOG_L_ERROR, LOG_TEXT);
	log_event(LOG_L_INFO, "hello", "a=1");
	if (ctl_open(base, &conf, &ops, &ctl, err) < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	event_add(end, NULL);
	while (!ended) { /* as the daemon does: a turn may end after each request */
		unsigned before = answered;

		(void)event_base_loop(base, EVLOOP_ONCE);
		if (answered - before > most_in_one_turn)
			most_in_one_turn = answered - before;
	}
	ctl_close(ctl);
	event_free(end);
	event_base_free(base);
	_exit(0);
}

static inline int start(void **state)
{
	int pipes[2];
	char c;

	(void)state;
	snprintf(socket_path, sizeof(socket_path), "/tmp/twinlease-test-%d.sock", (int)getpid());
	if (pipe(pipes) < 0)
		return -1;
	child = fork();
	if (!child)
		serve(pipes[1]);
	close(pipes[1]);
	return read(pipes[0], &c, 1) == 1 ? 0 : -1;
}

/* --- questions -------------------------------------------------------------------------------- */

static inline struct twinctl ask_with(void)
{
	static char server[80];

	snprintf(server, sizeof(server), "unix:%s", socket_path);
	return (struct twinctl){ .server = server };
}

static inline int stop(void **state)
{
	struct twinctl t = ask_with();
	FILE *follower = request(&t, "/v1/events?follow=true", NULL);
	struct head h;
	int status;

	(void)state;
	if (!follower || !read_head(follower, &h)) /* somebody follows when it ends */
		return -1;
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	fclose(follower);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || access(socket_path, F_OK) == 0)
		fail_msg("the server did not end cleanly: status %x", (unsigned)status);
	return 0;
}

static inline json_t *ask(const char *path, json_t *body)
{
	struct twinctl t = ask_with();

	return api_call(&t, path, body);
}

static inline const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static inline bool first_event(void *ctx, const char *line)
{
	strcpy(ctx, line);
	return false;
}
