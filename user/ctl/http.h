#pragma once
/* What the handlers of the API share: requests, answers, errors with stable codes. */
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "ctl/objects.h"

struct ctl_request {
	struct evhttp_request *http;
	const struct ctl_ops *ops;
	struct ctl *ctl;
	char name[300]; /* decoded path element after the collection; "" none */
	struct evkeyvalq query;
	json_t *body; /* object of a POST; NULL when empty */
};

/* Takes over @o. */
void ctl_answer(struct ctl_request *r, int status, json_t *o);
/* {"error": {"code", "message", "subject"}}; codes are stable */
void ctl_error(struct ctl_request *r, int status, const char *code, const char *subject,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
const char *ctl_query(const struct ctl_request *r, const char *key); /* NULL absent */
bool ctl_parse_addr(const char *text, uint32_t *ret);		     /* false: no IPv4 address */
bool ctl_query_addr(struct ctl_request *r, const char *key, uint32_t *ret);
/* True: *ret is the number, or stays where the query has none. False: the error is answered. */
bool ctl_query_number(struct ctl_request *r, const char *key, const char *code, uint64_t min,
		      uint64_t max, uint64_t *ret);

/* handlers.c: one table of method, path, handler */
void ctl_dispatch(struct ctl_request *r, const char *path);

/* handlers_leases.c */
void ctl_list_scopes(struct ctl_request *r);
void ctl_show_scope(struct ctl_request *r);
void ctl_list_leases(struct ctl_request *r);
void ctl_show_lease(struct ctl_request *r);
void ctl_explain(struct ctl_request *r);

/* events.c */
struct ctl_followers;
struct ctl_followers *ctl_followers_new(struct event_base *base);
void ctl_followers_free(struct ctl_followers *f);
void ctl_events(struct ctl_request *r, struct ctl_followers *f);
struct ctl_followers *ctl_get_followers(struct ctl *c);
