/*
 * A small blocking HTTP/1.1 client for the API: one request per connection, over a UNIX socket or
 * loopback TCP. Called by the commands.
 */
#include "twinctl/twinctl.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 15

static void set_patience(int fd, long sec)
{
	struct timeval tv = { sec, 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int connect_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path)) {
		fprintf(stderr, "twinctl: %s: the path is too long for a socket\n", path);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		set_patience(fd, PATIENCE_S);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return fd;
	}
	fprintf(stderr, "twinctl: cannot reach the server at %s: %s: %s\n", path, strerror(errno),
		errno == EACCES	  ? "only root and the group of its socket may"
		: errno == EAGAIN ? "it does not answer"
				  : "is twinleased running?");
	if (fd >= 0)
		close(fd);
	return -1;
}

static int connect_tcp(const char *host_port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char host[256];
	const char *colon = strrchr(host_port, ':');
	int fd = -1;

	snprintf(host, sizeof(host), "%.*s",
		 (int)(colon ? colon - host_port : (long)strlen(host_port)), host_port);
	if (getaddrinfo(host, colon ? colon + 1 : "8647", &hints, &list) == 0)
		for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
			fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
			if (fd >= 0)
				set_patience(fd, PATIENCE_S);
			if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
				close(fd);
				fd = -1;
			}
		}
	if (list)
		freeaddrinfo(list);
	if (fd < 0)
		fprintf(stderr, "twinctl: cannot reach the server at %s\n", host_port);
	return fd;
}

static int api_connect(const struct twinctl *t)
{
	if (!strncmp(t->server, "unix:", 5))
		return connect_unix(t->server + 5);
	if (!strncmp(t->server, "http://", 7))
		return connect_tcp(t->server + 7);
	fprintf(stderr, "twinctl: --server %s: give unix:/path or http://address:port\n",
		t->server);
	return -1;
}

static FILE *request(const struct twinctl *t, const char *path, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int fd = api_connect(t);
	FILE *f = fd >= 0 ? fdopen(fd, "r+") : NULL;

	json_decref(body);
	if (f) {
		fprintf(f,
			"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			body ? "POST" : "GET", path, text ? strlen(text) : 0, text ? text : "");
		fflush(f);
	} else if (fd >= 0) {
		close(fd);
	}
	free(text);
	return f;
}

struct head {
	int status;
	bool chunked;
	long length; /* -1: to the end */
};

static bool read_head(FILE *f, struct head *h)
{
	char line[4096];

	*h = (struct head){ .length = -1 };
	if (!fgets(line, sizeof(line), f) || sscanf(line, "HTTP/1.%*d %d", &h->status) != 1)
		return false;
	while (fgets(line, sizeof(line), f) && strcmp(line, "\r\n")) {
		if (!strncasecmp(line, "Content-Length:", 15))
			h->length = atol(line + 15);
		if (!strncasecmp(line, "Transfer-Encoding:", 18) && strstr(line, "chunked"))
			h->chunked = true;
	}
	return true;
}

static char *read_body(FILE *f, const struct head *h)
{
	char *text = NULL;
	size_t len = 0, room = 0, got;

	for (;;) {
		if (len + 65537 > room) {
			char *more = realloc(text, room += 65537 + room / 2);

			if (!more) {
				free(text);
				return NULL;
			}
			text = more;
		}
		got = fread(text + len, 1, 65536, f);
		len += got;
		if (!got || (h->length >= 0 && len >= (size_t)h->length))
			break;
	}
	text[len] = 0;
	return text;
}

static json_t *check_answer(const struct head *h, json_t *o)
{
	const char *message = NULL;
	char buf[1024];

	if (h->status >= 200 && h->status < 300 && json_is_object(o))
		return o;
	(void)json_unpack(o, "{s:{s:s}}", "error", "message", &message);
	fprintf(stderr, "twinctl: %s\n",
		message ? safe_text(message, buf, sizeof(buf))
			: "what answers there is no twinleased, or it stopped while answering");
	json_decref(o);
	return NULL;
}

json_t *api_call(const struct twinctl *t, const char *path, json_t *body)
{
	FILE *f = request(t, path, body);
	struct head h = { 0 };
	char *text = NULL;
	json_t *o = NULL;
	bool late;

	if (!f)
		return NULL;
	errno = 0;
	if (read_head(f, &h))
		text = read_body(f, &h);
	late = ferror(f) && (errno == EAGAIN || errno == EWOULDBLOCK);
	fclose(f);
	if (text)
		o = json_loads(text, 0, NULL);
	free(text);
	if (!late)
		return check_answer(&h, o);
	fprintf(stderr, "twinctl: no answer from %s within %d s\n", t->server, PATIENCE_S);
	json_decref(o);
	return NULL;
}

/* Events are lines; a chunk's size is a line of hexadecimal digits and skipped. */
int api_follow(const struct twinctl *t, const char *path, bool (*cb)(void *ctx, const char *line),
	       void *ctx)
{
	FILE *f = request(t, path, NULL);
	bool more = true, ok;
	char line[8192];
	struct head h;

	if (!f)
		return EXIT_FAILED;
	ok = read_head(f, &h) && h.status == 200;
	if (!ok) {
		char *text = read_body(f, &h);
		json_t *o = text ? json_loads(text, 0, NULL) : NULL;

		h.status = 0;
		json_decref(check_answer(&h, o));
		free(text);
	}
	set_patience(fileno(f), 0); /* nothing may happen for long */
	while (ok && more && fgets(line, sizeof(line), f))
		if (line[0] == '{')
			more = cb(ctx, line);
	fclose(f);
	if (ok && more)
		fprintf(stderr, "twinctl: the server has ended the stream\n");
	return ok && !more ? EXIT_DONE : EXIT_FAILED;
}

const char *api_escape(const char *text, char *buf, size_t size)
{
	size_t at = 0;

	for (; *text && at + 4 < size; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf[at++] = *text;
		else
			at += (size_t)snprintf(buf + at, size - at, "%%%02X", (unsigned char)*text);
	}
	buf[at] = 0;
	return buf;
}
