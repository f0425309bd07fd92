/*
 * GET /v1/events: the last events, or a stream of them (?follow=true), one JSON object a line.
 * A follower that does not read gets no more once its output has grown long, and is dropped when
 * nothing of it could be written for a while.
 */
#include "ctl/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "sys/log.h"

#define FOLLOWERS_MAX 32
#define OUTPUT_MAX (256 * 1024)
#define STUCK_S 30

struct follower {
	struct evhttp_request *http;
	uint64_t seen;
};

struct ctl_followers {
	struct follower list[FOLLOWERS_MAX];
	struct event *wake;
};

static json_t *event_object(const struct log_record *e)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	time_t t = (time_t)(e->wall_us / 1000000);
	struct tm tm;
	char at[48];
	size_t n = 0;

	if (gmtime_r(&t, &tm))
		n = strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(at + n, sizeof(at) - n, ".%06uZ", (unsigned)(e->wall_us % 1000000));
	return json_pack("{s:I, s:s, s:s, s:o, s:o}", "seq", (json_int_t)e->seq, "time", at,
			 "level", levels[e->level & 3], "event", json_clean(e->what), "detail",
			 json_clean(e->detail));
}

static unsigned add_events(struct evbuffer *out, uint64_t *seen)
{
	struct log_record rec[16];
	unsigned n, all = 0;

	while ((n = log_ring_read(*seen, rec, 16))) {
		for (unsigned i = 0; i < n; i++) {
			json_t *o = event_object(&rec[i]);
			char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

			if (text)
				evbuffer_add_printf(out, "%s\n", text);
			free(text);
			json_decref(o);
			*seen = rec[i].seq;
		}
		all += n;
	}
	return all;
}

static void feed(struct follower *f)
{
	struct evbuffer *out = evbuffer_new();

	if (out && add_events(out, &f->seen))
		evhttp_send_reply_chunk(f->http, out);
	if (out)
		evbuffer_free(out);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_followers *f = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < FOLLOWERS_MAX; i++) {
		struct bufferevent *bev;

		if (!f->list[i].http)
			continue;
		bev = evhttp_connection_get_bufferevent(
			evhttp_request_get_connection(f->list[i].http));
		if (evbuffer_get_length(bufferevent_get_output(bev)) < OUTPUT_MAX)
			feed(&f->list[i]);
	}
}

static void on_new_event(void *arg)
{
	struct ctl_followers *f = arg;

	event_active(f->wake, EV_TIMEOUT, 0);
}

struct ctl_followers *ctl_followers_new(struct event_base *base)
{
	struct ctl_followers *f = calloc(1, sizeof(*f));

	if (f)
		f->wake = event_new(base, -1, 0, on_wake, f);
	if (!f || !f->wake) {
		free(f);
		return NULL;
	}
	log_ring_watch(on_new_event, f);
	return f;
}

void ctl_followers_free(struct ctl_followers *f)
{
	if (!f)
		return;
	log_ring_watch(NULL, NULL);
	event_free(f->wake);
	free(f);
}

static void on_gone(struct evhttp_connection *conn, void *arg)
{
	struct follower *f = arg;

	(void)conn;
	f->http = NULL; /* the connection frees the request */
}

static void follow(struct ctl_request *r, struct ctl_followers *f, uint64_t since)
{
	static const struct timeval stuck = { STUCK_S, 0 };
	struct evhttp_connection *conn = evhttp_request_get_connection(r->http);

	for (unsigned i = 0; i < FOLLOWERS_MAX; i++) {
		struct follower *me = &f->list[i];

		if (me->http)
			continue;
		me->http = r->http;
		me->seen = since;
		bufferevent_set_timeouts(evhttp_connection_get_bufferevent(conn), NULL, &stuck);
		evhttp_connection_set_closecb(conn, on_gone, me);
		evhttp_add_header(evhttp_request_get_output_headers(r->http), "Content-Type",
				  "application/x-ndjson");
		evhttp_send_reply_start(r->http, 200, "OK");
		feed(me);
		return;
	}
	ctl_error(r, 503, "too-many-followers", NULL, "%u clients follow the events already",
		  FOLLOWERS_MAX);
}

static void list_events(struct ctl_request *r, uint64_t since)
{
	struct log_record rec[16];
	json_t *list = json_array();
	unsigned n;

	while ((n = log_ring_read(since, rec, 16))) {
		for (unsigned i = 0; i < n; i++)
			json_array_append_new(list, event_object(&rec[i]));
		since = rec[n - 1].seq;
	}
	ctl_answer(r, 200, json_pack("{s:o}", "events", list));
}

void ctl_events(struct ctl_request *r, struct ctl_followers *f)
{
	const char *wanted = ctl_query(r, "follow");
	uint64_t seq = 0;

	if (!ctl_query_number(r, "since", "bad-since", 0, UINT64_MAX / 16, &seq))
		return;
	if (wanted && strcmp(wanted, "true") && strcmp(wanted, "false"))
		ctl_error(r, 400, "bad-follow", wanted, "follow: give true or false");
	else if (wanted && !strcmp(wanted, "true"))
		follow(r, f, seq);
	else
		list_events(r, seq);
}
