#pragma once
/* Inside of twinctl: the API's client, tables, and the commands. */
#include <jansson.h>
#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTLY = 3 };

struct twinctl {
	const char *server; /* unix:/path or http://address:port */
	bool json;	    /* print what the API says */
	bool colour;
};

/* http.c: one request. NULL: told on stderr. GET where @body is NULL. @body is taken over. */
json_t *api_call(const struct twinctl *t, const char *path, json_t *body);
/* Lines of a stream until it ends; cb returns false to stop. */
int api_follow(const struct twinctl *t, const char *path, bool (*cb)(void *ctx, const char *line),
	       void *ctx);
/* @text with everything but unreserved characters as %XX, into @buf. */
const char *api_escape(const char *text, char *buf, size_t size);

/* print.c */
struct column {
	const char *title, *key; /* key may go down: "addresses.free" */
	unsigned most;		 /* characters; what is longer ends in "..."; 0: any length */
};
void print_table(const json_t *rows, const struct column *cols, unsigned n);
void print_object(const json_t *o);
void print_json(const json_t *o);
const char *value_text(const json_t *o, const char *key, char *buf, size_t size);
/* @text as a terminal may get it: whatever is no printable character as \xNN. */
const char *safe_text(const char *text, char *buf, size_t size);
void print_buckets(const struct twinctl *t, const json_t *o);

/* commands: return an exit code */
int cmd_status(const struct twinctl *t, int argc, char **argv);
int cmd_relationship(const struct twinctl *t, int argc, char **argv);
int cmd_scope(const struct twinctl *t, int argc, char **argv);
int cmd_lease(const struct twinctl *t, int argc, char **argv);
int cmd_filter(const struct twinctl *t, int argc, char **argv);
extern const struct column lease_cols[];
extern const unsigned n_lease_cols;
/* All pages of /v1/leases as one array; NULL: told on stderr. */
json_t *all_leases(const struct twinctl *t, const char *query);
int cmd_explain(const struct twinctl *t, int argc, char **argv);
int cmd_clock(const struct twinctl *t, int argc, char **argv);
int cmd_events(const struct twinctl *t, int argc, char **argv);
int usage(const char *text); /* prints it, returns EXIT_USAGE */
