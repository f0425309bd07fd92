/*
 * The commands that ask the API: status, relationship, scope, lease, explain, events.
 */
#include "twinctl/twinctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

int usage(const char *text)
{
	fprintf(stderr, "usage: twinctl %s\n", text);
	return EXIT_USAGE;
}

static int show(const struct twinctl *t, json_t *o)
{
	if (!o)
		return EXIT_FAILED;
	if (t->json)
		print_json(o);
	else
		print_object(o);
	json_decref(o);
	return EXIT_DONE;
}

static int list(const struct twinctl *t, json_t *o, const char *key, const struct column *cols,
		unsigned n)
{
	if (!o)
		return EXIT_FAILED;
	if (t->json)
		print_json(json_object_get(o, key));
	else
		print_table(json_object_get(o, key), cols, n);
	json_decref(o);
	return EXIT_DONE;
}

static const struct column relation_cols[] = {
	{ "NAME", "name" },	 { "ROLE", "role" },	     { "MODE", "mode" },
	{ "STATE", "state" },	 { "SINCE", "state-since" }, { "PARTNER", "partner-state" },
	{ "LINK", "connected" }, { "SHARE", "local-share" }, { "PENDING", "pending-updates" },
};

int cmd_status(const struct twinctl *t, int argc, char **argv)
{
	json_t *o = api_call(t, "/v1/status", NULL);
	char buf[256];

	(void)argv;
	if (argc)
		return usage("status");
	if (!o || t->json)
		return show(t, o);
	printf("%s  twinlease %s  since %s\n", value_text(o, "server", buf, sizeof(buf)),
	       json_string_value(json_object_get(o, "version")),
	       json_string_value(json_object_get(o, "started")));
	printf("serving %s", value_text(o, "serving", buf, sizeof(buf)));
	if (!json_is_true(json_object_get(o, "serving")))
		printf(": %s", json_string_value(json_object_get(o, "why-not")));
	printf("; filter %s", value_text(o, "filter", buf, sizeof(buf)));
	printf("; %s active leases", value_text(o, "leases-active", buf, sizeof(buf)));
	printf(" in %s scopes\n\n", value_text(o, "scopes", buf, sizeof(buf)));
	print_table(json_object_get(o, "relationships"), relation_cols, N(relation_cols));
	json_decref(o);
	return EXIT_DONE;
}

/* --- relationship -------------------------------------------------------------------------------
 */

static json_t *relation_call(const struct twinctl *t, const char *name, const char *verb,
			     json_t *body)
{
	char path[1200], escaped[1000];

	snprintf(path, sizeof(path), "/v1/relationships/%s%s%s",
		 api_escape(name, escaped, sizeof(escaped)), verb ? "/" : "", verb ? verb : "");
	return api_call(t, path, body);
}

static int partner_down(const struct twinctl *t, int argc, char **argv)
{
	static const char help[] = "relationship partner-down NAME [--force] [--since TIME]";
	json_t *body = json_object();
	const char *name = NULL;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--force"))
			json_object_set_new(body, "force", json_true());
		else if (!strcmp(argv[i], "--since") && i + 1 < argc)
			json_object_set_new(body, "since", json_string(argv[++i]));
		else if (argv[i][0] != '-' && !name)
			name = argv[i];
		else
			name = "";
	}
	if (name && *name)
		return show(t, relation_call(t, name, "partner-down", body));
	json_decref(body);
	return usage(help);
}

int cmd_relationship(const struct twinctl *t, int argc, char **argv)
{
	static const char *const verbs[] = { "shutdown", "pause", "resume" };

	if (argc == 1 && !strcmp(argv[0], "list"))
		return list(t, api_call(t, "/v1/relationships", NULL), "relationships",
			    relation_cols, N(relation_cols));
	if (argc == 2 && !strcmp(argv[0], "show"))
		return show(t, relation_call(t, argv[1], NULL, NULL));
	if (argc >= 1 && !strcmp(argv[0], "partner-down"))
		return partner_down(t, argc - 1, argv + 1);
	for (unsigned i = 0; argc == 2 && i < N(verbs); i++)
		if (!strcmp(argv[0], verbs[i]))
			return show(t, relation_call(t, argv[1], verbs[i], json_object()));
	return usage("relationship list | show NAME | partner-down NAME [--force] [--since TIME] | "
		     "shutdown NAME | pause NAME | resume NAME");
}

/* --- scope, lease -------------------------------------------------------------------------------
 */

static const struct column scope_cols[] = {
	{ "SUBNET", "subnet" },		{ "NAME", "name" },	{ "RELATIONSHIP", "relationship" },
	{ "LEASE-TIME", "lease-time" }, { "RANGES", "ranges" },
};

static const struct column stats_cols[] = {
	{ "SUBNET", "subnet" },
	{ "TOTAL", "addresses.total" },
	{ "FREE", "addresses.free" },
	{ "BACKUP", "addresses.backup" },
	{ "ACTIVE", "addresses.active" },
	{ "EXPIRED", "addresses.expired" },
	{ "RELEASED", "addresses.released" },
	{ "ABANDONED", "addresses.abandoned" },
	{ "RESERVED", "addresses.reserved" },
	{ "OFFERED", "addresses.offered" },
};

int cmd_scope(const struct twinctl *t, int argc, char **argv)
{
	char path[1200], escaped[1000];

	if (argc == 1 && !strcmp(argv[0], "list"))
		return list(t, api_call(t, "/v1/scopes", NULL), "scopes", scope_cols,
			    N(scope_cols));
	if (argc == 1 && !strcmp(argv[0], "stats"))
		return list(t, api_call(t, "/v1/scopes", NULL), "scopes", stats_cols,
			    N(stats_cols));
	if (argc == 2 && !strcmp(argv[0], "show")) {
		snprintf(path, sizeof(path), "/v1/scopes/%s",
			 api_escape(argv[1], escaped, sizeof(escaped)));
		return show(t, api_call(t, path, NULL));
	}
	return usage("scope list | stats | show SUBNET");
}

static const struct column lease_cols[] = {
	{ "ADDRESS", "address" },
	{ "STATE", "state" },
	{ "HARDWARE", "hardware-address" },
	{ "CLIENT-ID", "client-id" },
	{ "HOST-NAME", "host-name" },
	{ "ENDS", "ends" },
	{ "BY", "last-server" },
};

/* All pages of /v1/leases as one array. */
static json_t *all_leases(const struct twinctl *t, const char *query)
{
	json_t *all = json_array();
	char path[1400], from[32] = "";

	for (;;) {
		json_t *page, *next;

		snprintf(path, sizeof(path), "/v1/leases?limit=5000%s%s%s%s", *from ? "&from=" : "",
			 from, *query ? "&" : "", query);
		page = api_call(t, path, NULL);
		if (!page) {
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(page, "leases"));
		next = json_object_get(page, "next");
		snprintf(from, sizeof(from), "%s",
			 json_is_string(next) ? json_string_value(next) : "");
		json_decref(page);
		if (!*from)
			return all;
	}
}

static int lease_list(const struct twinctl *t, int argc, char **argv)
{
	char query[1200] = "", escaped[1000];
	json_t *all;

	for (int i = 0; i < argc; i += 2) {
		if (i + 1 >= argc || (strcmp(argv[i], "--scope") && strcmp(argv[i], "--state")))
			return usage("lease list [--scope SUBNET] [--state STATE]");
		snprintf(query + strlen(query), sizeof(query) - strlen(query), "%s%s=%s",
			 *query ? "&" : "", argv[i] + 2,
			 api_escape(argv[i + 1], escaped, sizeof(escaped)));
	}
	all = all_leases(t, query);
	return all ? list(t, json_pack("{s:o}", "leases", all), "leases", lease_cols, N(lease_cols))
		   : EXIT_FAILED;
}

int cmd_lease(const struct twinctl *t, int argc, char **argv)
{
	char path[1200], escaped[1000];

	if (argc >= 1 && !strcmp(argv[0], "list"))
		return lease_list(t, argc - 1, argv + 1);
	if (argc == 2 && !strcmp(argv[0], "show")) {
		snprintf(path, sizeof(path), "/v1/leases/%s",
			 api_escape(argv[1], escaped, sizeof(escaped)));
		return show(t, api_call(t, path, NULL));
	}
	return usage("lease list [--scope SUBNET] [--state STATE] | show ADDRESS");
}

/* --- explain ------------------------------------------------------------------------------------
 */

static void print_explanation(const json_t *o)
{
	static const struct column cols[] = {
		{ "SCOPE", "scope" },	  { "BUCKET", "bucket" },    { "ANSWER", "answer" },
		{ "ADDRESS", "address" }, { "LEASE", "lease-time" }, { "LIMITED-BY", "limited-by" },
		{ "REASON", "reason" },	  { "MEANS", "means" },
	};

	if (json_array_size(json_object_get(o, "leases"))) {
		printf("leases of this client:\n");
		print_table(json_object_get(o, "leases"), lease_cols, N(lease_cols));
		putchar('\n');
	} else {
		printf("this client holds no lease and held none\n\n");
	}
	printf("a DISCOVER of this client would meet, right now:\n");
	print_table(json_object_get(o, "discover"), cols, N(cols));
}

int cmd_explain(const struct twinctl *t, int argc, char **argv)
{
	static const char help[] =
		"explain HARDWARE-ADDRESS [--client-id HEX] [--scope SUBNET] [--secs N]";
	char path[2600] = "/v1/explain?hardware-address=", escaped[800];
	json_t *o;

	if (argc < 1 || argv[0][0] == '-')
		return usage(help);
	strcat(path, api_escape(argv[0], escaped, sizeof(escaped)));
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 >= argc || (strcmp(argv[i], "--client-id") &&
				      strcmp(argv[i], "--scope") && strcmp(argv[i], "--secs")))
			return usage(help);
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "&%s=%s", argv[i] + 2,
			 api_escape(argv[i + 1], escaped, sizeof(escaped)));
	}
	o = api_call(t, path, NULL);
	if (!o || t->json)
		return show(t, o);
	print_explanation(o);
	json_decref(o);
	return EXIT_DONE;
}

/* --- events -------------------------------------------------------------------------------------
 */

static bool print_event(void *ctx, const char *line)
{
	const struct twinctl *t = ctx;
	json_t *o;

	if (t->json) {
		fputs(line, stdout);
	} else if ((o = json_loads(line, 0, NULL))) {
		printf("%s %-7s %s %s\n", json_string_value(json_object_get(o, "time")),
		       json_string_value(json_object_get(o, "level")),
		       json_string_value(json_object_get(o, "event")),
		       json_string_value(json_object_get(o, "detail")));
		json_decref(o);
	}
	return fflush(stdout) == 0;
}

int cmd_events(const struct twinctl *t, int argc, char **argv)
{
	static const struct column cols[] = {
		{ "TIME", "time" },
		{ "LEVEL", "level" },
		{ "EVENT", "event" },
		{ "DETAIL", "detail" },
	};
	struct twinctl copy = *t;

	if (argc == 1 && !strcmp(argv[0], "--follow"))
		return api_follow(t, "/v1/events?follow=true", print_event, &copy);
	if (argc)
		return usage("events [--follow]");
	return list(t, api_call(t, "/v1/events", NULL), "events", cols, N(cols));
}
