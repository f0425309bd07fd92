/*
 * The API's sockets: HTTP/1.1 over UNIX sockets (0660). Called by the node on the loop
 * thread; requests go to the table in handlers.c.
 *
 * Whoever asks much must not keep the partner or the clients waiting: requests queue here, and one
 * is answered per turn of the loop. Half of the process' descriptors are never the API's.
 */
#include "ctl/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#define BODY_MAX (64 * 1024)
#define HEADERS_MAX (16 * 1024)
#define IDLE_S 60
#define BACKLOG 1024
#define UNIX_PREFIX "unix:"

/* A request that was read and is to be answered in a later turn. */
struct waiting {
	struct evhttp_request *http;
	struct ctl *ctl;
	TAILQ_ENTRY(waiting) next;
};

struct ctl {
	struct event_base *base;
	struct evhttp *http;
	struct event *work;   /* active while something waits */
	struct event *resume; /* accepts connections again */
	TAILQ_HEAD(, waiting) queue;
	struct evconnlistener *listeners[8];
	unsigned n_listeners;
	struct ctl_ops ops;
	struct ctl_followers *followers;
	char paths[8][108]; /* of our sockets, removed at the end */
	unsigned n_paths;
};

struct ctl_followers *ctl_get_followers(struct ctl *c)
{
	return c->followers;
}

/* --- answers
 * --------------------------------------------------------------------------------------- */

/* It may be megabytes: nothing is formatted. False: part of it is missing. */
static bool fill_body(struct evbuffer *out, const char *text)
{
	return !evbuffer_add(out, text, strlen(text)) && !evbuffer_add(out, "\n", 1);
}

void ctl_answer(struct ctl_request *r, int status, json_t *o)
{
	struct evbuffer *out = evbuffer_new();
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	if (out && text && fill_body(out, text)) {
		evhttp_add_header(evhttp_request_get_output_headers(r->http), "Content-Type",
				  "application/json");
		evhttp_send_reply(r->http, status, status < 300 ? "OK" : "Error", out);
	} else {
		evhttp_send_error(r->http, 500, "out of memory");
	}
	free(text);
	if (out)
		evbuffer_free(out);
}

void ctl_error(struct ctl_request *r, int status, const char *code, const char *subject,
	       const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	ctl_answer(r, status,
		   json_pack("{s:{s:s, s:o, s:o}}", "error", "code", code, "message",
			     json_clean(message), "subject", json_clean(subject)));
}

const char *ctl_query(const struct ctl_request *r, const char *key)
{
	return evhttp_find_header(&r->query, key);
}

bool ctl_query_number(struct ctl_request *r, const char *key, const char *code, uint64_t min,
		      uint64_t max, uint64_t *ret)
{
	const char *text = ctl_query(r, key);
	uint64_t v = 0;

	if (!text)
		return true;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || v > UINT64_MAX / 10 - 1)
			goto wrong;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	if (*text && v >= min && v <= max) {
		*ret = v;
		return true;
	}
wrong:
	ctl_error(r, 400, code, text, "%s: give a number from %llu to %llu", key,
		  (unsigned long long)min, (unsigned long long)max);
	return false;
}

bool ctl_parse_addr(const char *text, uint32_t *ret)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return false;
	*ret = ntohl(a.s_addr);
	return true;
}

bool ctl_query_addr(struct ctl_request *r, const char *key, uint32_t *ret)
{
	const char *text = ctl_query(r, key);

	return text && ctl_parse_addr(text, ret);
}

/* --- requests
 * -------------------------------------------------------------------------------------- */

static bool read_body(struct ctl_request *r)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
	size_t len = evbuffer_get_length(in);
	json_error_t e;

	if (!len || evhttp_request_get_command(r->http) != EVHTTP_REQ_POST)
		return true;
	r->body = json_loadb((const char *)evbuffer_pullup(in, -1), len, 0, &e);
	if (json_is_object(r->body))
		return true;
	if (r->body)
		ctl_error(r, 400, "bad-json", NULL, "the body is JSON, but no object");
	else
		ctl_error(r, 400, "bad-json", NULL, "the body is no JSON: %s (line %d, column %d)",
			  e.text, e.line, e.column);
	json_decref(r->body);
	r->body = NULL;
	return false;
}

static void answer(struct ctl *c, struct evhttp_request *http)
{
	struct ctl_request r = { .http = http, .ops = &c->ops, .ctl = c };
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;

	TAILQ_INIT(&r.query);
	if (!path || (query && evhttp_parse_query_str(query, &r.query) < 0))
		ctl_error(&r, 400, "bad-request", NULL, "the path or its query cannot be read");
	else if (read_body(&r))
		ctl_dispatch(&r, path);
	evhttp_clear_headers(&r.query);
	json_decref(r.body);
}

static void forget(struct waiting *w)
{
	TAILQ_REMOVE(&w->ctl->queue, w, next);
	free(w);
}

static void on_gone(struct evhttp_connection *conn, void *arg)
{
	(void)conn;
	forget(arg); /* the connection frees the request */
}

static void on_request(struct evhttp_request *http, void *arg)
{
	struct waiting *w = calloc(1, sizeof(*w));
	struct ctl *c = arg;

	if (!w) {
		evhttp_send_error(http, 500, "out of memory");
		return;
	}
	w->http = http;
	w->ctl = c;
	TAILQ_INSERT_TAIL(&c->queue, w, next);
	evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_gone, w);
	event_active(c->work, EV_TIMEOUT, 0);
}

/* Nothing is read from a connection whose request waits: a peer that left shows by this only. */
static bool has_left(struct evhttp_connection *conn)
{
	struct pollfd p = {
		.fd = bufferevent_getfd(evhttp_connection_get_bufferevent(conn)),
	};

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;
	struct waiting *w = TAILQ_FIRST(&c->queue);
	struct evhttp_connection *conn;
	struct evhttp_request *http;

	(void)fd;
	(void)what;
	if (!w)
		return;
	http = w->http;
	conn = evhttp_request_get_connection(http);
	evhttp_connection_set_closecb(conn, NULL, NULL);
	forget(w);
	if (has_left(conn))
		evhttp_connection_free(conn);
	else
		answer(c, http);
	if (!TAILQ_EMPTY(&c->queue))
		event_active(c->work, EV_TIMEOUT, 0);
	event_base_loopbreak(c->base); /* the turn ends; everybody else is heard before the next */
}

/* --- sockets
 * --------------------------------------------------------------------------------------- */

static void listen_again(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < c->n_listeners; i++)
		evconnlistener_enable(c->listeners[i]);
}

/* Called for each new connection. The next free descriptor tells how many there are: when half are
 * taken, nobody is let in for a second. NULL: the buffers are evhttp's own. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	static const struct timeval pause = { 1, 0 };
	struct ctl *c = arg;
	struct rlimit lim;
	int next = dup(evconnlistener_get_fd(c->listeners[0]));

	(void)base;
	if (next >= 0)
		close(next);
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || (next >= 0 && (rlim_t)next < lim.rlim_cur / 2))
		return NULL;
	for (unsigned i = 0; i < c->n_listeners; i++)
		evconnlistener_disable(c->listeners[i]);
	event_add(c->resume, &pause);
	return NULL;
}

/* Somebody answers on the socket file: it is another daemon's. */
static bool socket_is_alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

/* What a daemon that died has left is removed; anything else is somebody's. */
static int make_way(const struct sockaddr_un *a, char err[256])
{
	struct stat st;

	if (lstat(a->sun_path, &st) < 0)
		return 0; /* bind will say what else is wrong */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, 256, "%s exists and is no socket: choose another api.listen",
			 a->sun_path);
		return -EEXIST;
	}
	if (socket_is_alive(a)) {
		snprintf(err, 256,
			 "another daemon answers on %s: stop it, or choose another api.listen",
			 a->sun_path);
		return -EADDRINUSE;
	}
	(void)unlink(a->sun_path);
	return 0;
}

static int unix_socket(const char *path, char err[256])
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(a.sun_path)) {
		snprintf(err, 256, "api.listen: the path %.100s... is longer than %zu characters",
			 path, sizeof(a.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(a.sun_path, path, strlen(path));
	r = make_way(&a, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0660) < 0) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		snprintf(err, 256,
			 "cannot listen on %s: %s: does the directory exist, and may "
			 "this user write there?",
			 path, strerror(-r));
		return r;
	}
	return fd;
}

/* The group of the daemon's user may use the API (decision D7). */
static void share_with_group(const char *path, const char *user)
{
	const struct passwd *pw = user ? getpwnam(user) : NULL;

	if (pw && geteuid() == 0)
		(void)!chown(path, (uid_t)-1, pw->pw_gid);
}

static int listen_unix(struct ctl *c, struct event_base *base, const char *path, const char *user,
		       char err[256])
{
	struct evconnlistener *l;
	int fd;

	if (c->n_paths == sizeof(c->paths) / sizeof(c->paths[0])) {
		snprintf(err, 256, "api.listen: at most %u sockets", c->n_paths);
		return -E2BIG;
	}
	fd = unix_socket(path, err);
	if (fd < 0)
		return fd;
	share_with_group(path, user);
	l = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, BACKLOG, fd);
	if (!l || !evhttp_bind_listener(c->http, l)) {
		close(fd);
		return -ENOMEM;
	}
	c->listeners[c->n_listeners++] = l;
	snprintf(c->paths[c->n_paths++], sizeof(c->paths[0]), "%s", path);
	return 0;
}

static int set_up(struct ctl *c, struct event_base *base)
{
	TAILQ_INIT(&c->queue);
	c->base = base;
	c->http = evhttp_new(base);
	c->followers = ctl_followers_new(base);
	c->work = event_new(base, -1, 0, on_work, c);
	c->resume = evtimer_new(base, listen_again, c);
	if (!c->http || !c->followers || !c->work || !c->resume)
		return -ENOMEM;
	evhttp_set_max_body_size(c->http, BODY_MAX);
	evhttp_set_max_headers_size(c->http, HEADERS_MAX);
	evhttp_set_timeout(c->http, IDLE_S);
	evhttp_set_allowed_methods(c->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
						    EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
						    EVHTTP_REQ_OPTIONS); /* answered with 405 */
	evhttp_set_bevcb(c->http, on_accept, c);
	evhttp_set_gencb(c->http, on_request, c);
	return 0;
}

int ctl_open(struct event_base *base, const struct conf *conf, const struct ctl_ops *ops,
	     struct ctl **ret, char err[256])
{
	struct ctl *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->ops = *ops;
	r = set_up(c, base);
	for (unsigned i = 0; !r && i < conf->api.n_listen; i++) {
		const char *at = conf->api.listen[i];

		if (!strncmp(at, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1)) {
			r = listen_unix(c, base, at + sizeof(UNIX_PREFIX) - 1, conf->server.user,
					err);
		} else { /* without TLS every local user could give orders */
			snprintf(err, 256,
				 "api.listen: \"%.100s\": this version answers on UNIX "
				 "sockets only: give unix:/path",
				 at);
			r = -EOPNOTSUPP;
		}
	}
	if (r < 0) {
		ctl_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void ctl_close(struct ctl *c)
{
	if (!c)
		return;
	if (c->http)
		evhttp_free(c->http); /* tells followers and those who wait that they are gone */
	ctl_followers_free(c->followers);
	if (c->work)
		event_free(c->work);
	if (c->resume)
		event_free(c->resume);
	for (unsigned i = 0; i < c->n_paths; i++)
		(void)unlink(c->paths[i]);
	free(c);
}
