/*
 * twinleased: order of start, the loop, order of stop; nothing else.
 *
 * Rights are checked first, so that a missing one is named before anything has changed; sockets
 * and the filter are opened with them; then they are given up, before the first thread exists.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "conf/conf.h"
#include "net/fo_keys.h"
#include "node.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/notify.h"
#include "sys/priv.h"

struct daemon {
	struct event_base *base;
	struct conf *conf;
	struct node *node;
	bool stop;
};

static int usage(FILE *out)
{
	fprintf(out,
		"twinleased %s - DHCPv4 server with failover\n\n"
		"usage: twinleased -c FILE [--check]\n\n"
		"  -c FILE    configuration (default /etc/twinlease/twinlease.yaml)\n"
		"  --check    say what is wrong with it, start nothing; exit 0 or 1\n"
		"  --version  print the version\n",
		TWINLEASE_VERSION);
	return out == stdout ? 0 : 2;
}

static int fail(const char *err)
{
	fprintf(stderr, "twinleased: %s\n", err);
	return 1;
}

static int load(const char *file, struct conf **ret)
{
	struct conf_problems problems;
	int r = conf_load(file, ret, &problems);

	conf_problems_print(file, &problems, stderr);
	conf_problems_free(&problems);
	return r;
}

/* --- rights and directories ------------------------------------------------------------------- */

static unsigned rights_needed(const struct conf *c)
{
	unsigned need = priv_serve_need(c->filter.mode != FILTER_OFF);

	/* auto does what it can with what it has; native and generic insist */
	if (c->filter.mode == FILTER_NATIVE || c->filter.mode == FILTER_GENERIC)
		need |= PRIV_ATTACH;
	return need;
}

static int make_directories(const struct conf *c, char err[PRIV_ERR])
{
	char dir[256];
	char *slash;
	int r = priv_make_directory(c->server.state_directory, c->server.user, 0750, err);

	for (unsigned i = 0; !r && i < c->api.n_listen; i++) {
		if (strncmp(c->api.listen[i], "unix:", 5))
			continue;
		snprintf(dir, sizeof(dir), "%s", c->api.listen[i] + 5);
		slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			continue;
		*slash = 0;
		r = priv_make_directory(dir, c->server.user, 0755, err);
	}
	return r;
}

/* --- signals ------------------------------------------------------------------------------------
 */

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_event(LOG_L_INFO, "stopping", "signal=%d", (int)sig);
	d->stop = true;
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)sig;
	(void)what;
	if (d->node)
		node_reload(d->node);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_watchdog();
}

#define N_EVENTS 4
#define FILES_WANTED 16384

static int open_signals(struct daemon *d, struct event *ev[N_EVENTS])
{
	static const struct {
		int sig;
		event_callback_fn cb;
	} on[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };
	long us = notify_watchdog_us();
	struct timeval tv = { us / 1000000, us % 1000000 };

	(void)signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < 3; i++) {
		ev[i] = evsignal_new(d->base, on[i].sig, on[i].cb, d);
		if (!ev[i] || event_add(ev[i], NULL) < 0)
			return -ENOMEM;
	}
	ev[3] = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
	if (!ev[3])
		return -ENOMEM;
	return us ? event_add(ev[3], &tv) : 0;
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

static int loop(struct daemon *d)
{
	while (!d->stop && !node_fatal(d->node)) {
		if (event_base_loop(d->base, EVLOOP_ONCE) < 0)
			return 1;
		node_turn_end(d->node);
	}
	if (node_fatal(d->node))
		return fail("the store is broken for good: see the log; the service manager may "
			    "start me again");
	return 0;
}

/* A connection for each relationship, and more for the API: the usual 1,024 are too few. */
static void raise_file_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	if (lim.rlim_cur < FILES_WANTED && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max < FILES_WANTED ? lim.rlim_max : FILES_WANTED;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static int run(struct daemon *d)
{
	char err[PRIV_ERR] = "out of memory";
	struct event *ev[N_EVENTS] = { NULL };
	int r;

	if (priv_check(rights_needed(d->conf), err) < 0 || make_directories(d->conf, err) < 0 ||
	    open_signals(d, ev) < 0 || node_open(d->base, d->conf, &d->node, err) < 0 ||
	    priv_drop(d->conf->server.user, priv_serve_need(d->conf->filter.mode != FILTER_OFF),
		      err) < 0 ||
	    node_start(d->node, err) < 0) {
		r = fail(err);
	} else {
		if (geteuid() == 0)
			log_event(LOG_L_WARNING, "running-as-root",
				  "remedy=\"name an unprivileged user in server.user\"");
		log_event(LOG_L_INFO, "started", "version=%s configuration=%s", TWINLEASE_VERSION,
			  d->conf->file);
		notify_ready("serving");
		r = loop(d);
		notify_stopping();
	}
	node_close(d->node);
	for (unsigned i = 0; i < N_EVENTS; i++)
		if (ev[i])
			event_free(ev[i]);
	return r;
}

static int start(const char *file)
{
	struct daemon d = { 0 };
	int r;

	if (load(file, &d.conf) < 0)
		return 1;
	log_setup(d.conf->server.log_level, d.conf->server.log_format);
	clock_init();
	umask(027);
	raise_file_limit();
	d.base = event_base_new();
	if (!d.base || event_base_priority_init(d.base, PRIO_COUNT) < 0)
		r = fail("out of memory");
	else
		r = run(&d);
	if (d.base)
		event_base_free(d.base);
	conf_free(d.conf);
	return r;
}

/* The configuration, and the secrets and certificates that it names. */
static int check_only(const char *file)
{
	struct conf *conf = NULL;
	struct fo_keys *keys = NULL;
	char err[FO_KEYS_ERR];
	int r;

	if (load(file, &conf) < 0)
		return 1;
	r = fo_keys_load(conf, &keys, err) < 0 ? fail(err) : 0;
	fo_keys_free(keys);
	conf_free(conf);
	return r;
}

int main(int argc, char **argv)
{
	const char *file = "/etc/twinlease/twinlease.yaml";
	bool check = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-c") && i + 1 < argc)
			file = argv[++i];
		else if (!strcmp(argv[i], "--check"))
			check = true;
		else if (!strcmp(argv[i], "--version"))
			return printf("twinleased %s\n", TWINLEASE_VERSION) < 0;
		else if (!strcmp(argv[i], "--help"))
			return usage(stdout);
		else
			return usage(stderr);
	}
	if (!check)
		return start(file);
	return check_only(file);
}
