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
#include <sys/un.h>
#include <unistd.h>

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
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	fprintf(stderr,
		"twinctl: cannot reach the server at %s: %s: is twinleased running, and "
		"are you in its group?\n",
		path, strerror(errno));
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

	if (h->status < 300 && o)
		return o;
	(void)json_unpack(o, "{s:{s:s}}", "error", "message", &message);
	fprintf(stderr, "twinctl: %s\n", message ? message : "the server's answer cannot be read");
	json_decref(o);
	return NULL;
}

json_t *api_call(const struct twinctl *t, const char *path, json_t *body)
{
	FILE *f = request(t, path, body);
	char *text = NULL;
	json_t *o = NULL;
	struct head h;

	if (!f)
		return NULL;
	if (read_head(f, &h))
		text = read_body(f, &h);
	fclose(f);
	if (text)
		o = json_loads(text, 0, NULL);
	free(text);
	return check_answer(&h, o);
}

/* Events are lines; a chunk's size is a line of hexadecimal digits and skipped. */
int api_follow(const struct twinctl *t, const char *path, bool (*cb)(void *ctx, const char *line),
	       void *ctx)
{
	FILE *f = request(t, path, NULL);
	char line[8192];
	struct head h;
	bool ok;

	if (!f)
		return EXIT_FAILED;
	ok = read_head(f, &h) && h.status == 200;
	while (ok && fgets(line, sizeof(line), f))
		if (line[0] == '{' && !cb(ctx, line))
			break;
	fclose(f);
	return ok ? EXIT_DONE : EXIT_FAILED;
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
