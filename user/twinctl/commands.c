/*
 * The commands that ask the API: status, relationship, scope, lease, clock, events.
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
	{ "NAME", "name", 32 },
	{ "ROLE", "role", 0 },
	{ "MODE", "mode", 0 },
	{ "STATE", "state", 0 },
	{ "SINCE", "state-since", 0 },
	{ "PARTNER", "partner-state", 0 },
	{ "LINK", "connected", 0 },
	{ "SHARE", "local-share", 0 },
	{ "PENDING", "pending-updates", 0 },
};

int cmd_status(const struct twinctl *t, int argc, char **argv)
{
	char buf[256];
	json_t *o;

	(void)argv;
	if (argc)
		return usage("status");
	o = api_call(t, "/v1/status", NULL);
	if (!o || t->json)
		return show(t, o);
	printf("%s", value_text(o, "server", buf, sizeof(buf)));
	printf("  twinlease %s", value_text(o, "version", buf, sizeof(buf)));
	printf("  since %s\n", value_text(o, "started", buf, sizeof(buf)));
	printf("serving %s", value_text(o, "serving", buf, sizeof(buf)));
	if (!json_is_true(json_object_get(o, "serving")))
		printf(": %s", value_text(o, "why-not", buf, sizeof(buf)));
	printf("; filter %s", value_text(o, "filter", buf, sizeof(buf)));
	printf("; %s active leases", value_text(o, "leases-active", buf, sizeof(buf)));
	printf(" in %s scopes\n\n", value_text(o, "scopes", buf, sizeof(buf)));
	if (json_array_size(json_object_get(o, "relationships")))
		print_table(json_object_get(o, "relationships"), relation_cols, N(relation_cols));
	else
		printf("no relationship: this server serves alone\n");
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
	{ "SUBNET", "subnet", 0 },
	{ "NAME", "name", 32 },
	{ "RELATIONSHIP", "relationship", 32 },
	{ "LEASE-TIME", "lease-time", 0 },
	{ "RANGES", "ranges", 80 },
};

static const struct column stats_cols[] = {
	{ "SUBNET", "subnet", 0 },
	{ "TOTAL", "addresses.total", 0 },
	{ "FREE", "addresses.free", 0 },
	{ "BACKUP", "addresses.backup", 0 },
	{ "ACTIVE", "addresses.active", 0 },
	{ "EXPIRED", "addresses.expired", 0 },
	{ "RELEASED", "addresses.released", 0 },
	{ "ABANDONED", "addresses.abandoned", 0 },
	{ "RESERVED", "addresses.reserved", 0 },
	{ "OFFERED", "addresses.offered", 0 },
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

const struct column lease_cols[] = {
	{ "ADDRESS", "address", 0 },
	{ "STATE", "state", 0 },
	{ "HARDWARE", "hardware-address", 23 },
	{ "CLIENT-ID", "client-id", 29 },
	{ "HOST-NAME", "host-name", 24 },
	{ "ENDS", "ends", 0 },
	{ "BY", "last-server", 0 },
};
const unsigned n_lease_cols = N(lease_cols);

json_t *all_leases(const struct twinctl *t, const char *query)
{
	json_t *all = json_array();
	char path[2400], from[32] = "";

	for (;;) {
		json_t *page, *next;

		snprintf(path, sizeof(path), "/v1/leases?limit=1000%s%s%s%s", *from ? "&from=" : "",
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

static const struct column all_cols[] = {
	{ "ADDRESS", "address", 0 },
	{ "STATE", "state", 0 },
	{ "OWNER", "owner", 0 },
	{ "HARDWARE", "hardware-address", 23 },
	{ "CLIENT-ID", "client-id", 29 },
	{ "HOST-NAME", "host-name", 24 },
	{ "ENDS", "ends", 0 },
	{ "BY", "last-server", 0 },
	{ "ADDRESSES", "addresses", 0 },
};

/* Addresses that nobody ever used are one line: first-last. */
static void join_addresses(json_t *leases)
{
	for (size_t i = 0; i < json_array_size(leases); i++) {
		json_t *o = json_array_get(leases, i);
		const char *a = json_string_value(json_object_get(o, "address"));
		const char *b = json_string_value(json_object_get(o, "last-address"));

		if (a && b && strcmp(a, b))
			json_object_set_new(o, "address", json_sprintf("%s-%s", a, b));
	}
}

#define LIST_HELP "lease list [--scope SUBNET] [--state STATE | --all]"

/* People see what somebody holds or once held; programs, and --all, see every record. */
static int lease_list(const struct twinctl *t, int argc, char **argv)
{
	char query[2200] = "", escaped[1000];
	bool held = !t->json;
	json_t *all;

	for (int i = 0; i < argc; i++) {
		bool state = !strcmp(argv[i], "--state");

		held = held && !state;
		if (!strcmp(argv[i], "--all")) {
			held = false;
			continue;
		}
		if (i + 1 >= argc || (strcmp(argv[i], "--scope") && !state) ||
		    strlen(query) > sizeof(query) / 2)
			return usage(LIST_HELP);
		snprintf(query + strlen(query), sizeof(query) - strlen(query), "%s%s=%s",
			 *query ? "&" : "", argv[i] + 2,
			 api_escape(argv[i + 1], escaped, sizeof(escaped)));
		i++;
	}
	if (held)
		strcat(query, *query ? "&held=true" : "held=true");
	all = all_leases(t, query);
	if (!all)
		return EXIT_FAILED;
	if (!t->json)
		join_addresses(all);
	return list(t, json_pack("{s:o}", "leases", all), "leases", held ? lease_cols : all_cols,
		    held ? N(lease_cols) : N(all_cols));
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
	return usage(LIST_HELP " | show ADDRESS");
}

/* --- clock --------------------------------------------------------------------------------------
 */

int cmd_clock(const struct twinctl *t, int argc, char **argv)
{
	if (argc == 1 && !strcmp(argv[0], "show"))
		return show(t, api_call(t, "/v1/clock", NULL));
	if (argc == 1 && !strcmp(argv[0], "accept"))
		return show(t, api_call(t, "/v1/clock/accept", json_object()));
	return usage("clock show | accept");
}

/* --- events -------------------------------------------------------------------------------------
 */

static bool print_event(void *ctx, const char *line)
{
	const struct twinctl *t = ctx;
	char buf[1024];
	json_t *o;

	if (t->json) {
		fputs(line, stdout);
	} else if ((o = json_loads(line, 0, NULL))) {
		static const char *const keys[] = { "time", "level", "event", "detail" };

		for (unsigned i = 0; i < 4; i++)
			printf("%-*s%s", i == 1 ? 7 : 0, value_text(o, keys[i], buf, sizeof(buf)),
			       i < 3 ? " " : "\n");
		json_decref(o);
	}
	return fflush(stdout) == 0;
}

int cmd_events(const struct twinctl *t, int argc, char **argv)
{
	static const struct column cols[] = {
		{ "TIME", "time", 0 },
		{ "LEVEL", "level", 0 },
		{ "EVENT", "event", 0 },
		{ "DETAIL", "detail", 0 },
	};
	struct twinctl copy = *t;

	if (argc == 1 && !strcmp(argv[0], "--follow"))
		return api_follow(t, "/v1/events?follow=true", print_event, &copy);
	if (argc)
		return usage("events [--follow]");
	return list(t, api_call(t, "/v1/events", NULL), "events", cols, N(cols));
}
